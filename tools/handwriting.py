"""Measure how each recipe reads digits by other writers, with and without each stage of preprocessing.

The images are scikit-learn's `load_digits`: 1,797 digits of 8x8 pixels, by 43 writers that are not in MNIST. Nothing
was trained or chosen on them.

Example:
    python tools/handwriting.py
    python tools/handwriting.py cnn --output book/handwriting.md

A recipe that has no checkpoint yet is trained first. Source of the images: E. Alpaydin and C. Kaynak, "Optical
Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from digitlib import checkpoints
from digitlib.data import normalise
from digitlib.evaluation import accuracy_interval, predict_logits
from digitlib.predict import ImageError, find_ink, split_digits, to_mnist_format
from digitlib.recipes import RECIPES, find


def main(arguments: list[str] | None = None) -> None:
    """Print the table, and write it where --output says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(RECIPES)} (default: all)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there, as Markdown")
    options = parser.parse_args(arguments)

    images, labels = load_handwriting()
    models = {
        name: checkpoints.load_or_train(name).model
        for name in [find(name).name for name in options.recipes] or RECIPES
    }
    table = as_markdown(measure(models, images, labels), len(labels))
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8", newline="\n")


def load_handwriting() -> tuple[np.ndarray, Tensor]:
    """Return the images, float32 (1797, 8, 8), 0 = background, 1 = ink, and their labels, int64 (1797,)."""
    from sklearn.datasets import load_digits  # for tests and this table only, so imported where it is used

    data = load_digits()
    return (data.images / 16).astype(np.float32), torch.from_numpy(data.target.astype(np.int64))


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the image at another size, bilinear, float32."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


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


def photo(image: np.ndarray) -> np.ndarray:
    """Take the picture, enlarged 20 times, through all that `digitlib predict` does; nothing where it refuses."""
    try:
        digits = split_digits(find_ink(resize(image, 160, 160)))
    except ImageError:
        digits = []
    return (
        to_mnist_format(digits[0]) / np.float32(255) if len(digits) == 1 else np.zeros((28, 28), np.float32)
    )


STAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "stretched to 28×28": stretch,
    "in the 20-pixel box": box,
    "cropped, in the box": crop,
    "… and centred by mass": centre,
    "all of `digitlib predict`": photo,
}


def measure(models: dict[str, nn.Module], images: np.ndarray, labels: Tensor) -> dict[str, dict[str, float]]:
    """Return {recipe: {stage: accuracy}}."""
    results = {name: {} for name in models}
    for stage, prepare in STAGES.items():
        levels = np.stack([prepare(image) for image in images])
        prepared = normalise(torch.from_numpy(np.rint(255 * levels.clip(0, 1)).astype(np.uint8)))
        for name, model in models.items():
            results[name][stage] = (predict_logits(model, prepared).argmax(1) == labels).float().mean().item()
    return results


def as_markdown(results: dict[str, dict[str, float]], num_images: int) -> str:
    """Return a Markdown table with a row for each stage and a column for each recipe."""
    lines = [
        f"| preprocessing | {' | '.join(f'`{name}`' for name in results)} |",
        f"|---|{'---:|' * len(results)}",
    ]
    for stage in STAGES:
        shares = []
        for accuracies in results.values():
            low, high = accuracy_interval(round(accuracies[stage] * num_images), num_images)
            shares.append(f"{accuracies[stage]:.1%} ({low:.1%} to {high:.1%})")
        lines.append(f"| {stage} | {' | '.join(shares)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
