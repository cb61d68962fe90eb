"""Digits as strokes on paper, photographed: pictures of which the tests know every pixel of ink."""

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.strokes import STYLES, write

# What may lie or fall on the paper, besides the digits.
CONDITIONS = ("clean", "plain", "ruled", "squared", "shadow", "desk", "underlined", "thin")


def lay_out(digits, rng: random.Random, *, height: float, gap: float, styles=None) -> list[np.ndarray]:
    """Return the strokes of a row of digits, each (N, 2), x and y in pixels, so many heights apart."""
    placed, left = [], 0.0
    for digit, style in zip(digits, styles or [None] * len(digits)):
        path = rng.choice(STYLES[digit]) if style is None else STYLES[digit][style]
        strokes = [np.array(stroke) * height / 0.8 for stroke in write(path, rng, height=0.8)]
        low, high = (limit(np.concatenate(strokes), axis=0) for limit in (np.min, np.max))
        placed += [stroke - low + (left, rng.uniform(0, 0.12) * height) for stroke in strokes]
        left += high[0] - low[0] + gap * height * rng.uniform(0.8, 1.4)
    return placed


def draw(strokes: list[np.ndarray], *, pen: float, margin: tuple[float, float]) -> np.ndarray:
    """Return how much of each pixel is ink, float64 (H, W), 0 to 1, with so much paper beside and above the strokes."""
    points = np.concatenate(strokes)
    shift = np.array(margin) - points.min(0)
    width, height = np.ceil(np.ptp(points, axis=0) + 2 * np.array(margin)).astype(int)
    image = Image.new("L", (2 * width, 2 * height))  # drawn twice as large, for soft edges
    canvas = ImageDraw.Draw(image)
    for stroke in strokes:
        line = [tuple(point) for point in 2 * (stroke + shift)]
        canvas.line(line, fill=255, width=max(1, round(2 * pen)), joint="curve")
        for x, y in (line[0], line[-1]):
            canvas.ellipse((x - pen, y - pen, x + pen, y + pen), fill=255)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX)) / 255


def photograph(
    ink: np.ndarray, rng: random.Random, condition: str = "plain", *, is_negative=False
) -> Image.Image:
    """Take a photograph of ink on paper: uneven light, a little out of focus, with a camera's noise."""
    if condition == "clean":
        return Image.fromarray(np.rint(255 * (ink if is_negative else 1 - ink)).astype(np.uint8))
    height, width = ink.shape
    rows, columns = np.mgrid[:height, :width] / max(ink.shape)
    paper = np.full(ink.shape, rng.uniform(0.8, 0.95))
    if condition in ("ruled", "squared"):
        step, slope = rng.uniform(0.12, 0.3), rng.uniform(-0.02, 0.02)
        is_line = (rows + slope * columns + rng.uniform(0, step)) % step < 0.004
        if condition == "squared":
            is_line |= (columns - slope * rows + rng.uniform(0, step)) % step < 0.004
        paper[is_line] *= rng.uniform(0.55, 0.75)
    if condition == "underlined" and ink.any():
        row = int(np.flatnonzero(ink.any(1))[-1] * 0.6 + 0.4 * height)
        paper[row : row + 3, int(0.08 * width) : int(0.94 * width)] = 0.2
    levels = paper * (1 - ink) + 0.2 * ink
    if condition == "shadow":
        levels[columns + rng.uniform(-0.5, 0.5) * rows < rng.uniform(0.3, 0.7)] *= rng.uniform(0.45, 0.65)
    angle = rng.uniform(0, 2 * math.pi)
    levels *= 1 - 0.25 * (math.cos(angle) * columns + math.sin(angle) * rows + 1) / 2
    if condition == "desk":
        from_edge = rng.choice([columns, columns.max() - columns, rows, rows.max() - rows])
        levels[from_edge < 0.04 + 0.03 * (rows + columns)] = rng.uniform(0.1, 0.3)
    if is_negative:
        levels = 1 - levels
    picture = Image.fromarray(np.rint(255 * levels).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    noise = np.random.default_rng(rng.randrange(2**31)).normal(0, 4, ink.shape)
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def written(digits, rng: random.Random, condition: str, *, gap=0.25, styles=None) -> np.ndarray:
    """Return the ink, as of `draw`, of a row of digits of some size, written with some pen."""
    height = rng.uniform(60, 150)
    pen = height * (rng.uniform(0.02, 0.03) if condition == "thin" else rng.uniform(0.05, 0.12))
    margin = height * rng.uniform(0.35, 1), height * rng.uniform(0.45, 1)
    if condition == "underlined":  # longer than a digit is high: that is what tells it from one
        margin = max(0.8 * height, margin[0]), margin[1]
    return draw(lay_out(digits, rng, height=height, gap=gap, styles=styles), pen=pen, margin=margin)
