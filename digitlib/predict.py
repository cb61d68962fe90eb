"""From the writing on a picture to digits: each on its own, in MNIST's format, read by a network.

    split_digits     the writing                     -> each digit on its own, from left to right
    cut_touching     digits that touch               -> the parts that look most like digits to the network
    to_mnist_format  writing of any size, anywhere   -> 28x28, as the makers of MNIST did it

`predict` and `predict_number` take a file through the stages of `digitlib.pictures`, then through these.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy
import skimage  # its parts are loaded on first use: importing this module stays cheap
import torch
from PIL import Image
from torch import Tensor, nn

from digitlib.data import normalise
from digitlib.evaluation import predict_logits
from digitlib.pictures import LARGE, ImageError, find_ink, load_grey, piece_heights

MAX_DIGITS = 40
SURE = 0.8  # on the validation part half of the wrong answers stay below it, and one in a hundred right ones


@dataclass(frozen=True)
class Prediction:
    """What the network reads in one picture."""

    digit: int  # the most probable one, 0 to 9
    second: int  # the next
    probabilities: tuple[float, ...]  # ten that sum to 1, the softmax of the logits
    is_sure: bool  # whether the digit's probability is at least SURE
    image: Tensor = field(repr=False, compare=False)  # uint8 (28, 28), what the network saw


def predict(model: nn.Module, path: str | os.PathLike) -> Prediction:
    """Read the one digit in a picture file.

    Args:
        model: maps float32 (N, 1, 28, 28), normalised, to logits (N, 10).
        path: a picture of one digit of any size, dark on light or light on dark.
    Raises:
        ImageError: the file is no readable picture, nothing is written on it, or several digits are.
        ValueError: the network's probabilities are not finite.
    Taught in notebook 11.
    """
    predictions = predict_number(model, path)
    if len(predictions) > 1:
        found = f"{len(predictions)} digits; crop it to one, or read a row with `digitlib predict --number`"
        raise ImageError(f"{path}: expected one digit, found {found}")
    return predictions[0]


def predict_number(model: nn.Module, path: str | os.PathLike) -> list[Prediction]:
    """Read the digits of one row in a picture file: a Prediction for each, from left to right.

    Raises:
        ImageError: the file is no readable picture, nothing is written on it, or digits stand above one another.
    """
    digits = _through_stages(path, split_digits)
    parts = [part for digit in digits for part in cut_touching(model, digit)]
    return predict_images(model, [torch.from_numpy(to_mnist_format(part)) for part in parts])


def prepare(path: str | os.PathLike) -> Tensor:
    """Turn a picture file with one digit into an image like MNIST's own: uint8 (28, 28), 0 = background, 255 = ink.

    Raises:
        ImageError: the file is no readable picture, or nothing is written on it.
    Taught in notebook 11.
    """
    return torch.from_numpy(_through_stages(path, to_mnist_format))


def _through_stages(path: str | os.PathLike, last_stage: Callable) -> np.ndarray | list[np.ndarray]:
    """Take a file through the stages up to the last one; an error, raised where no file is seen, names the file."""
    try:
        return last_stage(find_ink(load_grey(path)))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None


def predict_images(model: nn.Module, images: list[Tensor]) -> list[Prediction]:
    """Read images that have gone through all stages, each uint8 (28, 28), 0 = background, 255 = ink."""
    found = predict_logits(model, normalise(torch.stack(images))).cpu().double().softmax(1)
    if not found.isfinite().all():  # the largest would be nan, and the digit always 0
        raise ValueError("expected finite probabilities, got nan; the weights are no good, train anew")
    rows = zip(found.topk(2).indices.tolist(), found.tolist(), images)  # best: the digit and the second
    return [Prediction(*best, tuple(p), p[best[0]] >= SURE, image) for best, p, image in rows]


def split_digits(ink: np.ndarray) -> list[np.ndarray]:
    """Tell digits apart: pieces that lie above one another belong together, small ones to the nearest.

    Args:
        ink: float32 (H, W), 0 = background, 1 = ink.
    Returns:
        One array like ink for each digit, from left to right, with that digit alone.
    Raises:
        ImageError: digits stand in several rows, or there are more than 40 pieces.
    Taught in notebook 11.
    """
    pieces = skimage.measure.label(ink > 0, connectivity=2)
    heights = piece_heights(pieces)
    is_large = heights >= LARGE * heights.max()
    if is_large.sum() > MAX_DIGITS:
        expected = f"expected a digit, or up to {MAX_DIGITS} in a row"
        raise ImageError(f"{expected}, found {is_large.sum()} pieces; crop the picture")
    digits = np.where(is_large[pieces], pieces, 0)
    while pair := _find_overlap(digits, max_gap=0.2 * heights.max()):
        digits[digits == pair[1]] = pair[0]
    nearest = skimage.segmentation.expand_labels(digits, sum(ink.shape))
    for label, box in enumerate(scipy.ndimage.find_objects(pieces), start=1):
        piece = pieces[box] == label
        digits[box][piece] = np.bincount(nearest[box][piece]).argmax()
    alone = [np.where(digits == number, ink, 0) for number in np.unique(digits[digits > 0])]
    return sorted(alone, key=lambda digit: sum((digit > 0).any(0).nonzero()[0][[0, -1]]))


def _find_overlap(digits: np.ndarray, max_gap: float) -> tuple[int, int] | None:
    """Return two numbers of a label image whose columns overlap, by two fifths of the narrower, or None."""
    boxes = [(number, *box) for number, box in enumerate(scipy.ndimage.find_objects(digits), start=1) if box]
    for (one, rows, columns), (other, other_rows, other_columns) in itertools.combinations(boxes, 2):
        shared = min(columns.stop, other_columns.stop) - max(columns.start, other_columns.start)
        narrower = min(columns.stop - columns.start, other_columns.stop - other_columns.start)
        if shared >= 0.4 * narrower:
            if max(rows.start, other_rows.start) - min(rows.stop, other_rows.stop) > max_gap:
                raise ImageError("expected one row of digits, found several; crop the picture to one row")
            return one, other
    return None


def cut_touching(model: nn.Module, digit: np.ndarray) -> list[np.ndarray]:
    """Cut digits that touch into the parts of which even the least looks most like a digit; one digit stays whole.

    How much a part looks like a digit is the logarithm of its logits' summed exponentials: half a digit excites none
    of the ten outputs much, though softmax may be sure of one of them.

    Source: the segmentation graph of LeCun et al. 1998, section V; the score is the energy of Liu et al. 2020.
    """
    digit = _crop(digit)
    height, width = digit.shape
    if not height / 2 <= width <= MAX_DIGITS * height:  # narrow, or a bar
        return [digit]
    num = max(2, round(4 * width / height))  # a cut every quarter of the height, or none
    cuts = [_cut(digit, width * k / num, 0.6 * width / num) for k in range(1, num)]
    strip = sum(np.arange(width) > cut[:, None] for cut in cuts)  # how many cuts are left of each pixel
    parts = {(0, num): digit}  # by the cuts on both sides; the whole is one in any case
    for stop in range(1, num + 1):
        for start in range(max(0, stop - 5), stop):
            part = np.where((start <= strip) & (strip < stop), digit, 0)
            if (part > 0).any(1).sum() > height / 2:
                parts[start, stop] = part
    images = [torch.from_numpy(to_mnist_format(part)) for part in parts.values()]
    scores = predict_logits(model, normalise(torch.stack(images))).logsumexp(1).tolist()
    best = {0: (np.inf, [])}  # for each cut the best way to get there: its least score and its parts
    for (start, stop), part, score in zip(parts, parts.values(), scores):
        if start in best:
            way = min(best[start][0], score), [*best[start][1], part]
            best[stop] = max(best.get(stop, way), way, key=lambda way: way[0])
    return best[num][1]


def _cut(ink: np.ndarray, column: float, reach: float) -> np.ndarray:
    """Return, for each row, where the path from top to bottom near a column runs that crosses least ink."""
    start = min(max(0, round(column - reach)), ink.shape[1] - 1)  # one column at least, of tiny digits too
    stop = round(column + reach) + 1
    # A row above and one below cost next to nothing: the path is free to begin and to end anywhere.
    cost = np.pad(ink[:, start:stop] + 0.005, ((1, 1), (0, 0)), constant_values=1e-6)
    path, _ = skimage.graph.route_through_array(cost, (0, 0), (cost.shape[0] - 1, cost.shape[1] - 1))
    last = np.zeros(len(cost), int)
    for row, place in path:
        last[row] = max(last[row], start + place)
    return last[1:-1]


def _crop(ink: np.ndarray) -> np.ndarray:
    """Return the smallest box that holds all of the ink."""
    return ink[scipy.ndimage.find_objects(ink > 0, 1)[0]]


def to_mnist_format(ink: np.ndarray) -> np.ndarray:
    """Scale the writing into 20x20 pixels and centre it by mass in 28x28, as MNIST was made.

    Args:
        ink: float32 (H, W), 0 = background, 1 = ink; some ink.
    Returns:
        uint8 (28, 28), 0 = background, 255 = ink. The centre of mass lies at row 14, column 14, to half a pixel.
    Taught in notebook 11. Source: LeCun et al. 1998, section III.A.
    """
    digit = _crop(ink)
    missing = max(digit.shape) - np.array(digit.shape)
    square = np.pad(digit, [(n // 2, n - n // 2) for n in missing])  # keeps the proportions exactly
    # Antialiased, and a digit that has 20 pixels already stays as it is.
    small = np.asarray(Image.fromarray(square).resize((20, 20), Image.Resampling.BILINEAR))
    small = _thicken(small / small.max())  # a thin pen would otherwise come out as pale as it is thin
    centre = [(small.sum(axis) * np.arange(20)).sum() / small.sum() for axis in (1, 0)]
    top, left = (int(np.clip(np.floor(14.5 - c), 0, 8)) for c in centre)  # 0 to 8, so that nothing is cut off
    return np.pad(np.rint(255 * small).astype(np.uint8), [(top, 8 - top), (left, 8 - left)])


def _thicken(small: np.ndarray) -> np.ndarray:
    """Give the pixels beside thin strokes a share of their ink: of MNIST's a twentieth lies in strokes a pixel wide."""
    thin = 1 - scipy.ndimage.grey_opening(small, size=2).sum() / small.sum()
    beside = scipy.ndimage.maximum_filter(small, footprint=scipy.ndimage.generate_binary_structure(2, 1))
    return np.maximum(small, np.clip(2 * thin - 0.4, 0, 0.6) * beside)
