"""Draw the picture of the book's first page: ten handwritten digits, what the network sees of them, what it reads.

The digits are of `tools.strokes`, so no one's in particular; all else is computed by the network that is part of
digitlib whenever the book is built. The same digits make the picture that a link to the book is shown with.
"""

import base64
import io
import random
from pathlib import Path

import numpy as np

from tools.strokes import STYLES, write

SEED, SCALE = 7, 4  # the digits are drawn SCALE times as large as they are shown, and then made smaller
SIDE, GAP, PEN = (
    64,
    12,
    0.045,
)  # of a digit's square, in the units of the picture; the pen, in shares of the square
STYLE = {1: 4, 2: 0, 4: 0, 7: 2, 9: 0}  # the way of writing, where it is not the first
INK, PAPER = "#1d3557", "#fffdf7"


def draw(folder: Path) -> None:
    """Write result.svg, result-narrow.svg (for a phone) and preview.png into a folder."""
    rng = random.Random(SEED)
    written = [write(STYLES[digit][STYLE.get(digit, 0)], rng, height=0.72, margin=0.1) for digit in range(10)]
    folder.mkdir(parents=True, exist_ok=True)
    answers = read(written)
    for name, in_a_row in (("result", 10), ("result-narrow", 5)):
        (folder / f"{name}.svg").write_text(as_svg(written, answers, in_a_row), encoding="utf-8")
    as_preview(written).save(folder / "preview.png", optimize=True)


def rendered(strokes: list, side: int):
    """Return a Pillow image, mode L, of strokes in the unit square: dark ink on white."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (SCALE * side, SCALE * side), 255)
    pen, width = ImageDraw.Draw(image), PEN * SCALE * side
    for points in strokes:
        places = [(x * SCALE * side, y * SCALE * side) for x, y in points]
        pen.line(places, fill=0, width=round(width), joint="curve")
        for x, y in (places[0], places[-1]):
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=0)
    return image.resize((side, side), Image.Resampling.LANCZOS)


def read(written: list) -> list[tuple[np.ndarray, int, float]]:
    """Return, for each drawing, what the network sees (uint8, 28 x 28), the digit that it reads, how probable it is."""
    import torch

    from digitlib.checkpoints import load_recommended
    from digitlib.predict import find_ink, predict_images, to_mnist_format

    papers = [np.asarray(rendered(strokes, 280), np.float32) / 255 for strokes in written]
    images = [torch.from_numpy(to_mnist_format(find_ink(paper))) for paper in papers]
    answers = [np.array(answer.probabilities) for answer in predict_images(load_recommended().model, images)]
    return [
        (image.numpy(), int(p.argmax()), float(p.max())) for image, p in zip(images, answers, strict=True)
    ]


def as_svg(written: list, answers: list, in_a_row: int) -> str:
    """Return the picture: for each digit a column of paper, of 28 x 28 pixels, and of the answer."""
    height = 2 * SIDE + 2 * GAP + 74  # of a row of columns
    columns = []
    for i, (strokes, (pixels, digit, share)) in enumerate(zip(written, answers, strict=True)):
        left, top = GAP + i % in_a_row * (SIDE + GAP), GAP + i // in_a_row * height
        lines = "".join(
            f'<polyline points="{" ".join(f"{x * SIDE:.1f},{y * SIDE:.1f}" for x, y in points)}"/>'
            for points in strokes
        )
        columns.append(
            f'<g transform="translate({left} {top})"><rect width="{SIDE}" height="{SIDE}" rx="4" fill="{PAPER}"/>'
            f'<g fill="none" stroke="{INK}" stroke-width="{PEN * SIDE:.1f}" stroke-linecap="round" '
            f'stroke-linejoin="round">{lines}</g>'
            f'<image y="{SIDE + GAP}" width="{SIDE}" height="{SIDE}" style="image-rendering: pixelated" '
            f'href="data:image/png;base64,{_png(pixels)}"/>'
            f'<text x="{SIDE / 2}" y="{2 * SIDE + GAP + 40}" font-size="34" font-weight="700">{digit}</text>'
            f'<text x="{SIDE / 2}" y="{2 * SIDE + GAP + 62}" font-size="13">{share:.1%}</text></g>'
        )
    width, height = GAP + in_a_row * (SIDE + GAP), len(written) // in_a_row * height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, \'Segoe UI\', \'DejaVu Sans\', sans-serif" text-anchor="middle" fill="#1a1a1a">'
        f'<rect width="{width}" height="{height}" rx="8" fill="#e8edf3"/>{"".join(columns)}</svg>\n'
    )


def as_preview(written: list):
    """Return a Pillow image of 1200 x 630, the size that link previews ask for: the book's name over ten digits."""
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (1200, 630), "#e8edf3")
    pen = ImageDraw.Draw(picture)
    for text, size, y, weight in (
        ("Reading Handwritten Digits", 68, 70, "bold"),
        ("A first course in deep learning, with PyTorch", 36, 168, "normal"),
    ):
        path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
        pen.text((600, y), text, fill=INK, font=ImageFont.truetype(path, size), anchor="ma")
    for i, strokes in enumerate(written):
        square = rendered(strokes, 180)
        left, top = 90 + (i % 5) * 210, 245 + (i // 5) * 195
        tint = Image.merge(
            "RGB", [square.point(lambda v, c=c: c + (255 - c) * v // 255) for c in (29, 53, 87)]
        )
        picture.paste(tint, (left, top))
    return picture


def _png(pixels: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
