"""From the path of any picture of a digit to the digit and ten probabilities.

A network reads what it was trained on: light ink on black, the digit in a box of 20×20 pixels, its centre of mass in
the middle of 28×28. So a picture goes through the stages of MNIST's makers, one function each:

    load_grey        a file -> grey levels, turned upright, without transparency
    find_ink         grey levels -> how much ink lies at each pixel; paper, shadows and specks become 0
    to_mnist_format  ink -> 28×28, scaled and centred
    predict          all of it, and the network

Taught in notebook 11. Source: LeCun, Bottou, Bengio and Haffner 1998, section III.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from digitlib.data import normalise
from digitlib.evaluation import predict_logits

IMAGE_SIZE, BOX_SIZE = 28, 20
LARGEST_SIDE = 640  # pixels; finer detail than this does not survive the way to 20×20
MOST_PIXELS = 64_000_000  # a file of a few kilobytes can claim to be a picture of many gigabytes
LEAST_CONTRAST = 0.08  # between paper and ink, where 1 is black on white
NEXT_STEP = "save it anew as a PNG or JPEG picture of one digit and name that file"


class ImageError(ValueError):
    """A picture cannot be read, or shows no digit; the message says what to do next."""


@dataclass(frozen=True)
class Prediction:
    """What a network reads in one picture.

    Attributes:
        digit: the most probable one, 0 to 9.
        probabilities: ten numbers that sum to 1, for the digits 0 to 9.
        image: what the network saw, uint8 (28, 28), 0 = background, 255 = ink.
    """

    digit: int
    probabilities: tuple[float, ...]
    image: Tensor


def predict(model: nn.Module, path: Path | str) -> Prediction:
    """Read the digit in a picture.

    Args:
        model: returns logits (N, 10) for normalised images.
        path: a picture of one digit, dark on light or light on dark, of any format and mode that Pillow reads.
    Raises:
        ImageError: there is no such file, it is no picture or too large, or it shows no ink.
    """
    image = prepare(path)
    probabilities = predict_logits(model, normalise(image[None])).double().softmax(dim=1)[0]
    return Prediction(int(probabilities.argmax()), tuple(probabilities.tolist()), image)


def prepare(path: Path | str) -> Tensor:
    """Return what a network is to see of a picture: uint8 (28, 28), 0 = background, 255 = ink.

    Raises:
        ImageError: see `predict`.
    """
    try:
        return to_mnist_format(find_ink(load_grey(path)))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error.__cause__


def load_grey(path: Path | str) -> np.ndarray:
    """Open a picture as grey levels, upright, with its transparent parts filled, at most 640 pixels a side.

    Returns:
        float32 (H, W), 0 = black, 1 = white.
    Raises:
        ImageError: the file cannot be read as a picture.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ImageError(
                    f"expected a picture of at most {MOST_PIXELS:,} pixels, got {picture.width} x {picture.height}; "
                    "make it smaller and try again"
                )
            return _to_grey(picture)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError("expected a picture, found no such file; check the path") from error
    except IsADirectoryError as error:
        raise ImageError("expected a picture, found a folder; name the files in it") from error
    except PermissionError as error:
        raise ImageError(
            "expected a picture, got no permission to read it; change it and try again"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"expected a picture, found a file of another kind; {NEXT_STEP}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"expected a picture of at most {MOST_PIXELS:,} pixels, got far more; make it smaller"
        ) from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost anything
        raise ImageError(
            f"expected a whole picture, found a damaged or shortened one; {NEXT_STEP}"
        ) from error


def find_ink(grey: np.ndarray) -> np.ndarray:
    """Tell ink from paper, whichever of the two is darker, also where the light falls unevenly.

    Args:
        grey: float (H, W), 0 = black, 1 = white.
    Returns:
        float32 (H, W), 0 = paper, 1 = full ink; stray specks are paper, the grey edges of strokes are kept.
    Raises:
        ImageError: there is no ink.
    """
    from skimage.filters import apply_hysteresis_threshold, gaussian, threshold_otsu
    from skimage.morphology import dilation

    if not _is_dark_on_light(grey):
        grey = 1 - grey
    darkness = np.clip(1 - grey / _paper(grey), 0, 1)
    blur = max(grey.shape) / 400 if max(grey.shape) > 100 else 0  # grain of the paper, noise of the camera
    smooth = gaussian(darkness, blur) if blur else darkness
    if np.ptp(smooth) < LEAST_CONTRAST:
        raise ImageError(
            f"expected a digit, found an empty picture (contrast {np.ptp(smooth):.0%}, at least {LEAST_CONTRAST:.0%} is "
            "needed); write it larger or darker"
        )
    threshold = threshold_otsu(smooth)
    full = np.percentile(darkness[smooth > threshold], 90)
    threshold = max(threshold, full / 2)
    strokes = _without_specks(smooth > threshold, darkness)
    # Around the strokes their fainter edges count as ink, down to where the empty paper begins.
    rows, columns = np.nonzero(strokes)
    reach = int(np.ceil(0.1 * (max(np.ptp(rows), np.ptp(columns)) + 1)))
    near = dilation(strokes, _square(reach))
    floor = min(np.percentile(smooth[~near], 99), threshold) if (~near).any() else 0.0
    ink = near & apply_hysteresis_threshold(smooth, floor, threshold)
    return np.where(ink, np.clip((darkness - floor) / (full - floor), 0, 1), 0).astype(np.float32)


def to_mnist_format(ink: np.ndarray) -> Tensor:
    """Scale ink into 20×20 with its proportions kept, and put its centre of mass into the middle of 28×28.

    Args:
        ink: float (H, W), 0 = paper, 1 = full ink.
    Returns:
        uint8 (28, 28), 0 = background, 255 = the fullest ink.
    Raises:
        ImageError: there is no ink.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        raise ImageError("expected a digit, found no ink; write it larger or darker")
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = crop.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = crop
    small = np.asarray(Image.fromarray(square).resize((BOX_SIZE, BOX_SIZE), Image.Resampling.BOX))
    small = small / small.max()
    steps, mass = np.arange(BOX_SIZE), small.sum()
    # The box may move by 8 pixels; its centre of mass goes to row 14 and column 14, as in MNIST.
    top = int(np.clip(round(IMAGE_SIZE / 2 - (small.sum(axis=1) @ steps) / mass), 0, IMAGE_SIZE - BOX_SIZE))
    left = int(np.clip(round(IMAGE_SIZE / 2 - (small.sum(axis=0) @ steps) / mass), 0, IMAGE_SIZE - BOX_SIZE))
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    image[top : top + BOX_SIZE, left : left + BOX_SIZE] = np.rint(255 * small)
    return torch.from_numpy(image)


def _to_grey(picture: Image.Image) -> np.ndarray:
    if (
        picture.mode.startswith("I") or picture.mode == "F"
    ):  # more than 8 bits a pixel: scale before Pillow clips them
        levels = np.nan_to_num(np.asarray(picture, dtype=np.float32))
        most = (
            65535 if picture.mode.startswith("I;16") or levels.max() > 255 else 255 if levels.max() > 1 else 1
        )
        picture = Image.fromarray(np.clip(levels / most, 0, 1))
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        return np.clip(np.asarray(picture), 0, 1)
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    orientation = picture.getexif().get(0x0112)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    if orientation:
        picture = ImageOps.exif_transpose(picture)
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"), dtype=np.float32) / 255
    grey, alpha = np.moveaxis(
        np.asarray(picture.convert("RGBA").convert("LA"), dtype=np.float32) / 255, -1, 0
    )
    opaque = grey[alpha > 0.5]
    if len(opaque) == 0:
        return np.ones_like(grey)
    if np.ptp(np.percentile(opaque, [1, 99])) < 0.3:  # one colour: the shape is in what is transparent
        return 1 - alpha
    return grey * alpha + np.median(opaque) * (1 - alpha)


def _is_dark_on_light(grey: np.ndarray) -> bool:
    """Compare pixels with their surroundings: the few that differ much are ink, the many that differ little paper."""
    from skimage.filters import gaussian

    difference = grey - gaussian(grey, max(grey.shape) / 8, mode="nearest")
    return bool((difference**3).sum() < 0)


def _paper(grey: np.ndarray) -> np.ndarray:
    """Return how bright the paper would be at each pixel without the ink on it."""
    from skimage.filters import gaussian
    from skimage.morphology import closing

    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = np.median(border)
    if np.mean(np.abs(border - level) < 0.02) >= 0.8:  # drawn on a screen, or scanned: one level everywhere
        return np.full_like(grey, max(level, 1e-3))
    reach = max(1, int(0.07 * max(grey.shape)))  # wider than half a stroke, narrower than a shadow
    smooth = gaussian(grey, max(grey.shape) / 400) if max(grey.shape) > 100 else grey
    paper = closing(smooth, _square(reach))
    return np.maximum(paper, 0.35 * paper.max())


def _without_specks(mask: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Keep the connected pieces that weigh at least a twentieth of the heaviest."""
    from skimage.measure import label

    pieces = label(mask, connectivity=2)
    weight = np.bincount(pieces.ravel(), weights=weights.ravel())
    weight[0] = 0
    return (weight >= weight.max() / 20)[pieces] & mask


def _square(reach: int):
    from skimage.morphology import footprint_rectangle

    return footprint_rectangle((2 * reach + 1, 2 * reach + 1), decomposition="separable")
