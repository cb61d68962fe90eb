"""Measure how each recipe reads digits by other writers, with and without each stage of preprocessing.

The images are scikit-learn's `load_digits`: 1,797 digits of 8x8 pixels, by 13 writers that are not in MNIST. Nothing
was trained on them. The table goes into book/handwriting.md, with 95% intervals over writers.

Example:
    python -m tools.handwriting               every recipe, into the page; some minutes, and the training
    python -m tools.handwriting cnn           this recipe, on the screen alone

A recipe that has no checkpoint yet is trained first. Source of the images: E. Alpaydin and C. Kaynak, "Optical
Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from digitlib import checkpoints
from digitlib.data import normalise
from digitlib.evaluation import predict_logits, writers_interval
from digitlib.pictures import ImageError, find_ink
from digitlib.predict import split_digits, to_mnist_format
from digitlib.recipes import RECIPES, find
from tools.pages import insert_table, write_whole

PAGE = Path(__file__).resolve().parents[1] / "book" / "handwriting.md"
FILTERS = {
    name: Image.Resampling[name.upper()] for name in ("nearest", "box", "bilinear", "bicubic", "lanczos")
}
NUM_WRITERS = 13
SIDES = (12, 16, 20, 28, 40, 64, 100, 160, 256, 400)  # pixels, of enlarged pictures, in turn


def main(arguments: list[str] | None = None) -> None:
    """Print the table; write it into the page if it is of all recipes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(RECIPES)} (default: all)"
    )
    options = parser.parse_args(arguments)

    images, labels = load_handwriting()
    models = {
        name: checkpoints.load_or_train(name).model
        for name in [find(name).name for name in options.recipes] or RECIPES
    }
    table = as_markdown(measure(models, images, labels))
    print(table)
    if not options.recipes:
        write_whole(PAGE, insert_table(PAGE.read_text(encoding="utf-8"), table, PAGE.name))


def load_handwriting() -> tuple[np.ndarray, Tensor]:
    """Return the images, float32 (1797, 8, 8), 0 = background, 1 = ink, and their labels, int64 (1797,)."""
    from sklearn.datasets import load_digits  # for tests and this table only, so imported where it is used

    data = load_digits()
    return (data.images / 16).astype(np.float32), torch.from_numpy(data.target.astype(np.int64))


def resize(
    image: np.ndarray, height: int, width: int, filter: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    """Return the image at another size, float32, 0 to 1."""
    return np.asarray(Image.fromarray(image).resize((width, height), filter)).clip(0, 1)


def in_middle(image: np.ndarray) -> np.ndarray:
    """Return the image in the middle of 28x28 zeros."""
    height, width = image.shape
    top, left = (28 - height) // 2, (28 - width) // 2
    return np.pad(image, ((top, 28 - height - top), (left, 28 - width - left)))


def stretch(image: np.ndarray) -> np.ndarray:
    """Blow the picture up to the 28x28 pixels that the network takes, and do no more."""
    return resize(image, 28, 28)


def box(image: np.ndarray) -> np.ndarray:
    """Leave MNIST's margin: the whole picture in the middle 20x20 pixels."""
    return in_middle(resize(image, 20, 20))


def crop(image: np.ndarray) -> np.ndarray:
    """Cut the paper off first, then scale the longer side to 20 pixels."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    digit = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = 20 / max(digit.shape)
    return in_middle(resize(digit, *(max(1, round(side * scale)) for side in digit.shape)))


def centre(image: np.ndarray) -> np.ndarray:
    """Crop, box, and move the centre of mass to the middle, as MNIST was made."""
    return to_mnist_format(resize(image, 160, 160)) / np.float32(255)


def enlarge(image: np.ndarray, number: int, filter: Image.Resampling) -> np.ndarray:
    """Make a picture as a stranger might: of some size, dark on light or light on dark, with a margin or without.

    Args:
        number: which of the pictures it is; decides size, ink and margin.
        filter: how Pillow enlarges it.
    Returns:
        float32 (H, W) in steps of 1/255 as in a file, 0 = black, 1 = white.
    """
    side = SIDES[number % len(SIDES)]
    is_dark, has_margin = number // len(SIDES) % 2, number // len(SIDES) // 2 % 2
    paper = np.pad(image, 2) if has_margin else image
    picture = np.rint(255 * resize(paper, side, side, filter)).astype(np.float32) / 255
    return 1 - picture if is_dark else picture


def photo(image: np.ndarray, number: int, filter: Image.Resampling) -> np.ndarray:
    """Take an enlarged picture through what `digitlib predict` does before it asks a network; nothing if refused."""
    try:
        digits = split_digits(find_ink(enlarge(image, number, filter)))
    except ImageError:
        digits = []
    if len(digits) != 1:
        return np.zeros((28, 28), np.float32)
    return to_mnist_format(digits[0]) / np.float32(255)


def of_the_image(prepare: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return a stage that does not care which picture it is."""
    return lambda image, number: prepare(image)


STAGES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "stretched to 28×28": of_the_image(stretch),
    "in the 20-pixel box": of_the_image(box),
    "cropped, in the box": of_the_image(crop),
    "… and centred by mass": of_the_image(centre),
    **{f"`predict`, {name}": partial(photo, filter=filter) for name, filter in FILTERS.items()},
}


def runs_of_neighbours(num_images: int) -> Tensor:
    """Return a number for each image, int64 (N,): thirteen runs of neighbours of one length, in place of the writers.

    Thirteen people wrote the images, and nobody has published who wrote which. They were collected person by person,
    some 138 images each: the order of the labels begins anew at about such distances.
    """
    return torch.arange(num_images) * NUM_WRITERS // num_images


def measure(models: dict[str, nn.Module], images: np.ndarray, labels: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return which images were read right: {recipe: {stage: bool (N,)}}."""
    results = {name: {} for name in models}
    for stage, prepare in STAGES.items():
        levels = np.stack([prepare(image, number) for number, image in enumerate(images)])
        prepared = normalise(torch.from_numpy(np.rint(255 * levels.clip(0, 1)).astype(np.uint8)))
        is_refused = torch.from_numpy(levels.max((1, 2)) == 0)
        for name, model in models.items():
            is_right = (predict_logits(model, prepared).argmax(1) == labels) & ~is_refused
            results[name][stage] = is_right
    return results


def as_markdown(results: dict[str, dict[str, Tensor]]) -> str:
    """Return a Markdown table with a row for each stage and a column for each recipe."""
    lines = [
        f"| what the network gets | {' | '.join(f'`{name}`' for name in results)} |",
        f"|:--|{'--:|' * len(results)}",
    ]
    for stage in STAGES:
        shares = []
        for found in results.values():
            right = found[stage]
            low, high = writers_interval(right, runs_of_neighbours(len(right)))
            # On two lines: a page has room for all columns then.
            shares.append(f"{right.double().mean():.1%}<br>{100 * low:.1f}–{100 * high:.1f}")
        lines.append(f"| {stage} | {' | '.join(shares)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
