"""Digits as strokes: 114 ways of writing the ten digits, to try out the page on which readers draw.

They were written down by hand, coordinate by coordinate, and resemble no one's handwriting in particular.
"""

import math
import random
import re

# For each digit ten ways of writing it, and more where networks stumble: 1s with a long flag, 6s with a large loop.
# They are about 60 wide and 100 high, y downwards. M starts a stroke at a point; L goes on in a straight line to a
# point, Q and C in a curve, with one and two control points before the end.
STYLES = {
    0: [
        "M30 0 C-5 0 -5 100 30 100 C65 100 65 0 30 0",
        "M32 2 C5 2 0 40 2 60 C5 105 55 105 58 55 C60 10 45 -2 28 4",
        "M45 8 C25 -8 0 20 0 55 C0 90 20 102 35 99 C60 92 65 30 42 6",
        "M30 0 C60 0 62 45 58 65 C52 110 5 105 2 60 C0 25 10 0 30 0",
        "M50 50 C50 10 40 0 28 0 C10 0 5 25 5 50 C5 80 12 100 28 100 C45 100 50 80 50 47",
        "M40 0 C15 5 -5 55 5 85 C12 105 40 98 52 60 C62 25 58 -5 38 1",
        "M30 10 C0 10 0 90 35 90 C75 90 75 8 28 10",
        "M25 5 C-10 25 -5 95 30 97 C65 97 70 15 38 3",
        "M34 3 C14 -2 4 30 4 52 C4 84 18 100 32 98 C52 95 58 70 56 45 C54 18 48 4 30 2",
        "M45 12 C38 0 15 0 8 30 C0 62 5 92 25 98 C48 104 60 70 57 40 C55 20 48 10 40 8",
    ],
    1: [
        "M30 0 L30 100",
        "M38 0 L24 100",
        "M10 25 L35 0 L35 100",
        "M5 35 C20 25 30 12 38 0 L36 100",
        "M14 22 L34 0 L34 100 M12 100 L56 100",
        "M30 0 C31 30 29 70 30 100",
        "M20 18 L36 2 L30 98",
        "M25 2 L34 98",
        "M8 30 Q26 22 36 0 Q34 50 32 100",
        "M22 15 L32 0 L32 100 M20 100 L44 100",
        "M5 32 L40 0 L40 100",
        "M0 45 L36 0 L36 100",
        "M2 38 C18 28 30 14 38 0 L34 100",
        "M10 30 L42 0 L22 100",
        "M0 40 C16 34 34 16 44 0 L26 100",
        "M4 42 L40 2 L32 100",
        "M0 30 C10 26 28 14 34 0 L34 100",
        "M8 50 L38 0 L38 100",
    ],
    2: [
        "M3 25 C5 -8 60 -8 55 30 C50 60 10 85 0 100 L60 100",
        "M5 20 C15 -10 58 -2 52 32 C46 62 20 80 2 98 C20 92 40 104 60 96",
        "M2 30 C2 -10 58 -10 56 25 C55 55 5 70 8 90 C10 105 30 85 25 80 C30 90 45 105 62 94",
        "M8 12 C25 -5 55 0 52 25 C50 50 25 70 5 97 L58 97",
        "M0 18 C20 -12 62 0 54 34 C48 60 18 88 4 100 L64 98",
        "M10 28 C5 5 30 -3 42 5 C62 18 38 55 6 95 L56 92",
        "M5 22 C12 0 45 -6 50 18 C54 45 22 70 0 98 C15 88 25 100 55 99",
        "M6 15 C30 -12 55 8 50 30 C44 56 26 72 6 92 C0 100 10 98 20 95 C35 90 50 95 60 90",
        "M2 25 C5 -5 55 -8 56 28 C56 58 20 78 4 100 L60 102",
        "M10 8 C40 -8 60 10 50 35 C40 58 15 80 2 96 C25 94 45 100 58 94",
    ],
    3: [
        "M5 12 C20 -8 55 -2 50 25 C48 42 30 46 22 47 C40 46 60 55 56 75 C52 104 15 104 0 86",
        "M3 2 L52 2 L24 40 C50 38 62 58 55 78 C48 104 12 102 0 86",
        "M8 10 C30 -10 55 5 48 28 C44 42 30 46 20 47 M20 47 C45 45 60 60 54 80 C46 105 10 102 2 88",
        "M5 15 C10 -5 50 -8 50 22 C50 44 25 48 18 48 C35 48 60 52 58 76 C55 106 5 105 2 82",
        "M10 5 C35 -5 58 8 46 30 C40 42 28 44 24 46 C46 42 62 62 50 84 C40 102 15 100 4 94",
        "M6 8 C22 -6 54 0 48 26 C44 40 26 44 24 48 C30 52 58 50 56 74 C54 98 20 104 4 90",
        "M2 10 C20 -5 60 0 52 22 C46 40 30 42 15 50 C45 44 62 60 52 82 C40 104 14 98 2 92",
        "M12 4 L50 4 L28 42 C52 44 60 64 50 84 C40 102 14 98 6 90",
        "M4 14 C14 -4 44 -6 48 18 C50 36 36 46 26 46 C44 46 56 56 56 72 C56 96 26 106 4 88",
        "M8 6 C28 -4 52 2 48 22 C44 38 34 42 24 46 C40 44 58 54 54 76 C50 96 26 106 0 96",
    ],
    4: [
        "M38 0 L2 65 L60 65 M44 35 L44 100",
        "M8 0 L5 48 L55 48 M48 0 L48 100",
        "M42 0 L4 62 L62 62 M42 0 L42 100",
        "M10 2 C8 25 6 40 8 46 C15 52 40 50 55 46 M50 5 C48 40 46 70 44 100",
        "M36 2 L0 60 L58 58 M40 30 L36 100",
        "M12 0 C10 30 2 50 10 52 C25 54 40 50 52 48 M54 0 L46 100",
        "M45 0 C30 30 15 45 2 66 C20 64 40 66 62 64 M46 38 L42 100",
        "M4 5 L4 52 L50 52 M50 2 L50 98",
        "M40 0 L5 58 L58 56 M40 0 L38 100",
        "M14 0 L4 50 L56 46 M46 10 L40 100",
    ],
    5: [
        "M52 2 L12 2 L8 42 C30 30 58 40 56 68 C54 104 15 104 0 86",
        "M12 2 L8 42 C32 32 60 42 54 72 C48 102 14 102 2 88 M12 2 L54 2",
        "M55 0 L15 2 L10 45 C28 34 52 44 50 70 C48 98 18 104 2 92",
        "M50 4 C35 2 25 4 16 2 C14 18 10 30 10 44 C25 36 56 40 54 70 C52 100 18 104 2 90",
        "M14 0 L10 40 C40 30 62 52 52 78 C44 100 16 102 0 92 M14 0 L56 -2",
        "M48 2 L14 4 L10 40 C24 32 48 36 50 62 C52 92 26 104 4 94",
        "M56 6 L18 0 L8 44 C22 36 50 38 52 66 C54 96 24 108 2 88",
        "M16 4 C14 20 10 34 8 46 C24 34 54 38 54 68 C54 98 20 106 2 86 M16 4 C30 6 40 4 52 2",
        "M50 0 L12 0 L12 46 C30 36 56 44 54 70 C52 98 20 102 4 90",
        "M58 2 L20 4 L14 44 C34 38 54 48 48 74 C42 96 18 104 0 94",
    ],
    6: [
        "M45 0 C15 20 0 50 4 75 C8 105 55 105 54 72 C52 45 12 45 5 72",
        "M40 2 C20 20 4 50 4 72 C4 106 52 104 52 74 C52 48 14 50 6 70",
        "M50 5 C25 5 2 45 2 72 C4 104 50 106 54 76 C56 50 20 46 4 72",
        "M30 0 C10 30 0 60 6 82 C14 106 54 100 50 72 C46 50 16 54 6 76",
        "M42 0 C28 14 6 45 6 74 C8 100 44 104 50 80 C54 56 20 52 8 74",
        "M54 8 C40 -6 10 20 4 62 C2 92 20 102 34 98 C60 90 56 50 32 52 C18 54 8 66 6 74",
        "M34 0 C18 24 2 52 6 78 C12 104 50 102 52 78 C52 58 24 52 8 76",
        "M46 4 C26 14 8 44 6 70 C6 96 26 102 38 98 C58 90 54 58 34 56 C20 56 10 68 8 78",
        "M38 0 C16 22 4 48 4 72 C6 100 46 104 50 76 C50 52 22 50 6 68",
        "M28 0 C12 30 4 56 6 76 C10 102 48 102 50 76 C50 56 20 56 8 72",
        "M46 0 C10 20 -6 60 4 84 C14 108 60 104 60 76 C60 46 14 44 2 72",
        "M40 0 C10 20 -4 56 2 80 C10 108 62 104 60 70 C58 36 8 40 2 74",
        "M52 6 C20 0 0 40 0 66 C0 112 64 110 64 68 C64 34 12 32 2 66",
        "M44 4 C24 6 2 40 2 68 C2 106 60 108 62 70 C60 30 10 36 4 68",
        "M50 0 C20 10 0 44 4 74 C8 104 54 104 54 72 C54 44 14 46 6 72",
        "M56 10 C40 -8 4 14 2 62 C2 112 62 108 60 68 C58 40 16 40 4 66",
    ],
    7: [
        "M0 2 L56 2 L22 100",
        "M0 4 C20 2 40 4 58 0 C45 35 30 65 24 100",
        "M2 2 L58 2 L20 100 M12 50 L52 48",
        "M0 12 L4 2 L56 2 C44 40 32 60 26 100",
        "M4 4 L54 0 L30 98",
        "M0 4 L58 4 C40 30 26 66 24 100 M10 52 L50 52",
        "M2 0 L52 4 L26 100",
        "M0 14 L2 2 L54 0 L24 98",
        "M4 6 C24 0 40 6 54 2 C50 30 34 60 30 98",
        "M2 4 L56 2 L28 100 M16 46 L54 50",
    ],
    8: [
        "M45 12 C30 -8 2 0 8 25 C14 46 52 52 54 76 C54 104 4 106 4 76 C6 52 46 46 48 22 C48 8 40 2 32 2",
        "M30 48 C5 38 5 0 30 0 C55 0 55 38 30 48 C0 58 0 100 30 100 C60 100 60 58 30 48",
        "M48 8 C30 -8 5 5 10 25 C16 42 48 55 50 76 C50 102 8 104 6 78 C6 55 50 40 50 12",
        "M30 0 C8 0 6 40 30 47 C52 40 52 0 30 0 M30 47 C-2 55 0 100 30 100 C60 100 62 55 30 47",
        "M50 14 C42 -6 8 -2 10 22 C12 44 50 50 52 74 C52 102 8 104 6 78 C6 56 44 46 50 16",
        "M36 2 C10 -2 4 30 24 44 C48 58 58 76 46 92 C30 106 4 92 8 72 C14 52 48 40 48 18 C48 6 42 2 34 2",
        "M54 10 C36 -8 8 4 14 26 C20 46 50 54 46 78 C42 102 4 100 6 76 C10 54 52 36 56 12",
        "M28 50 C2 40 10 0 34 2 C56 4 50 40 28 50 C2 62 0 98 28 98 C56 98 54 62 28 50",
        "M44 6 C20 -6 6 14 14 30 C22 46 46 54 50 74 C52 98 14 104 8 82 C4 60 40 48 46 26 C48 14 46 8 42 4",
        "M32 2 C14 2 10 34 30 46 C50 56 54 96 30 98 C6 96 8 58 28 46 C46 36 48 4 32 2",
    ],
    9: [
        "M52 25 C50 -8 5 -6 5 28 C5 58 50 55 52 25 C52 50 50 80 46 100",
        "M50 20 C40 -5 4 0 6 30 C8 58 46 50 50 20 L46 100",
        "M50 28 C52 -4 6 -6 6 26 C6 52 44 54 50 28 C50 60 44 90 10 98",
        "M48 10 C30 -8 2 8 6 34 C12 56 44 46 48 12 C50 40 46 70 40 100",
        "M52 6 C30 -6 4 8 6 32 C10 54 46 46 50 10 L44 100",
        "M46 26 C48 0 10 -4 8 26 C8 48 40 50 46 26 C48 60 46 80 36 100",
        "M54 22 C46 -8 6 -2 6 28 C8 54 48 52 54 22 C54 70 50 102 8 92",
        "M48 16 C36 -6 6 2 6 28 C8 50 42 48 48 20 L38 100",
        "M50 24 C46 0 8 -2 8 28 C10 52 44 50 50 24 C50 55 48 80 44 98",
        "M44 4 C20 -4 4 14 8 34 C14 52 42 44 48 8 C48 44 44 76 38 100",
    ],
}


def strokes(path: str, step: float = 4.0) -> list[list[tuple[float, float]]]:
    """Return the strokes of a path of STYLES, each a list of points about `step` apart."""
    found: list[list[tuple[float, float]]] = []
    for command, numbers in re.findall(r"([MLQC])([^MLQC]*)", path):
        values = [float(number) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2]))
        if command == "M":
            found.append(points)
            continue
        corners = [found[-1][-1], *points]
        num_steps = max(2, int(sum(math.dist(a, b) for a, b in zip(corners, corners[1:])) / step))
        found[-1] += [point_on_curve(corners, i / num_steps) for i in range(1, num_steps + 1)]
    return found


def point_on_curve(corners: list[tuple[float, float]], t: float) -> tuple[float, float]:
    """Return the point of a Bézier curve at t, 0 to 1, by de Casteljau's construction; of a line with two corners."""
    while len(corners) > 1:
        corners = [
            ((1 - t) * a[0] + t * b[0], (1 - t) * a[1] + t * b[1]) for a, b in zip(corners, corners[1:])
        ]
    return corners[0]


def write(path: str, rng: random.Random, *, height: float, margin: float = 0.06) -> list[list[list[float]]]:
    """Write a digit on a pad that is 1 wide and 1 high: somewhere, a little turned, slanted, stretched and shaky.

    Args:
        path: of STYLES.
        height: of the digit, before it is turned.
        margin: of paper that is left free; for the width of the pen.
    Returns:
        The strokes, lists of [x, y].
    """
    angle, slant, width = rng.uniform(-0.1, 0.1), rng.uniform(-0.05, 0.25), rng.uniform(0.85, 1.2)
    tremor = rng.uniform(0, 0.006)
    written = []
    for stroke in strokes(path):
        phase = rng.uniform(0, 6.28)
        written.append([])
        for i, (x, y) in enumerate(stroke):
            x, y = width * x / 100 * height, y / 100 * height
            x -= slant * y
            x, y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
            shake = tremor * math.sin(i / 5 + phase)
            written[-1].append([x + shake, y - shake])
    for axis in (0, 1):
        values = [point[axis] for stroke in written for point in stroke]
        low, high = margin - min(values), 1 - margin - max(values)
        shift = rng.uniform(low, high) if low < high else (low + high) / 2
        for stroke in written:
            for point in stroke:
                point[axis] += shift
    return written


def collection(times: int, seed: int) -> list[tuple[int, list[list[list[float]]]]]:
    """Return (digit, strokes) of every style, `times` times each, a third to five sixths as high as the pad."""
    rng = random.Random(seed)
    return [
        (digit, write(path, rng, height=rng.uniform(0.33, 0.83)))
        for digit, paths in STYLES.items()
        for path in paths
        for _ in range(times)
    ]
