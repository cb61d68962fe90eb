"""From a picture of a digit to the digit: the stages between a photo and what the network was trained on.

    load_grey        any picture file                      -> grey levels, upright, at most 400 pixels a side
    even_light       paper and shadow                      -> how much darker than its paper each pixel is
    find_ink         specks, ruled lines, noise            -> the writing alone, on exactly 0
    to_mnist_format  writing of any size, anywhere         -> 28x28, as the makers of MNIST did it
    predict          the four above, then the network      -> a digit and ten probabilities

Each stage is a plain function on arrays, so that a notebook can draw what it does.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import skimage  # its parts are loaded on first use: importing this module stays cheap
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from digitlib.data import normalise
from digitlib.evaluation import predict_logits

# No other decoder sees a stranger's file: Pillow has some that start programs (EPS) or are hardly ever used.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS = 64_000_000
WORKING_SIDE = 400  # pixels: plenty for a result of 28, and it averages a camera's noise away


class ImageError(ValueError):
    """A file is no readable picture of a digit; the message names the file and says what to do next."""


@dataclass(frozen=True)
class Prediction:
    """What the network reads in one picture.

    Attributes:
        digit: the most probable digit, 0 to 9.
        probabilities: ten floats that sum to 1, the softmax of the logits; probabilities[digit] is the largest.
        image: uint8 (28, 28), what the network saw.
    """

    digit: int
    probabilities: tuple[float, ...]
    image: Tensor = field(repr=False, compare=False)


def predict(model: nn.Module, path: str | os.PathLike) -> Prediction:
    """Read the digit in a picture file.

    Args:
        model: maps float32 (N, 1, 28, 28), normalised, to logits (N, 10).
        path: a picture of one digit; dark on light or light on dark, any size. Of several digits, those that
            stand close together are read as one, and the rest is left out.
    Raises:
        ImageError: the file is no readable picture, or nothing is written on it.
    Taught in notebook 11.
    """
    image = prepare(path)
    probabilities = predict_logits(model, normalise(image[None]))[0].double().softmax(0)
    return Prediction(int(probabilities.argmax()), tuple(probabilities.tolist()), image)


def prepare(path: str | os.PathLike) -> Tensor:
    """Turn a picture file into an image like MNIST's own.

    Returns:
        uint8 (28, 28), 0 = background, 255 = ink.
    Raises:
        ImageError: the file is no readable picture, or nothing is written on it.
    Taught in notebook 11.
    """
    grey = load_grey(path)
    try:
        return torch.from_numpy(to_mnist_format(find_ink(grey)))
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None


def load_grey(path: str | os.PathLike) -> np.ndarray:
    """Open a picture file of any mode, turn it upright as its EXIF says, shrink it and make it grey.

    Returns:
        float32 (H, W), 0 = black, 1 = white, H and W at most 400.
    Raises:
        ImageError: the file is missing, cut short, larger than 64 million pixels, or no picture.
    """
    path = Path(path)
    try:
        if path.is_dir() or not path.exists():
            found = "a folder" if path.is_dir() else "nothing there"
            raise ImageError(f"{path}: expected a picture file, found {found}; check the path")
        if not path.is_file() or path.stat().st_size == 0:
            raise ImageError(f"{path}: expected a picture file, found no content; save the picture again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is either checked here or harmless
            # By its name Pillow 13 would map an uncompressed TIFF into memory, and lose one that lies on its side.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
                return _to_grey(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        expected, found = f"a picture ({', '.join(FORMATS)})", "another kind of file; save it as PNG or JPEG"
    except Image.DecompressionBombError as error:
        expected, found = f"at most {MAX_PIXELS:,} pixels", f"{error}; crop it to the digit or scale it down"
    except Exception as error:  # on damaged data a decoder may fail with anything, even struct.error
        reason = error if str(error) else type(error).__name__
        expected, found = "a whole, readable picture", f"{reason}; save or copy it again"
    raise ImageError(f"{path}: expected {expected}, found {' '.join(found.split())}")


def _to_grey(image: Image.Image) -> np.ndarray:
    """Shrink early, in the file's own mode where that is possible: 50 million pixels must not become floats."""
    if image.format == "TIFF":
        image.load()  # Pillow turns these upright as it loads them; only then is their size what it says
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # 16-bit files are white at 65535; the others have no fixed white, so take the customary one that fits.
        customary = (65535,) if image.mode.startswith("I;16") else (1, 255, 65535)
        image = image.convert("I") if image.mode.startswith("I;16") else image
        image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)  # BOX overshoots no white
        values = np.asarray(ImageOps.exif_transpose(image), dtype=np.float32)
        values = np.nan_to_num(values, posinf=0, neginf=0)
        low, high = min(0.0, float(values.min())), float(values.max())
        white = next((level for level in customary if high - low < 1.01 * level), high - low)
        return np.clip((values - low) / white, 0, 1).astype(np.float32)

    transparent = image.mode == "PA" or "transparency" in image.info
    if image.mode in ("1", "P") or transparent:  # the entries of a palette cannot be averaged
        image = image.convert("RGBA" if transparent else "L")
    image.thumbnail((WORKING_SIDE, WORKING_SIDE))  # JPEGs are decoded at 1/2, 1/4 or 1/8 of their size here
    image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "RGBA"):
        grey, alpha = np.moveaxis(np.asarray(image.convert("LA"), dtype=np.float32) / 255, -1, 0)
        return _lay_on_paper(grey, alpha)
    return np.asarray(image.convert("L"), dtype=np.float32) / 255


def _lay_on_paper(grey: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Put a transparent picture on a paper that its ink stands out from, be it black, white or in between."""
    opaque = grey[alpha > 0.5]
    if opaque.size == 0:
        return np.ones_like(grey)
    darkest, lightest = np.percentile(opaque, (0.5, 99.5))
    if alpha.min() < 0.5 and lightest - darkest < 0.3:
        return 1 - alpha  # one colour all over: only the shape tells, so draw it black on white
    return grey * alpha + np.median(opaque) * (1 - alpha)


def even_light(grey: np.ndarray) -> np.ndarray:
    """Remove paper, light and shadow: how much darker than the paper under it is each pixel?

    Ink covers the smaller part of a picture. So, next to the mean around them, the few pixels that differ most are
    ink, and the sign of the third moment (the skewness) says whether they are dark or light.

    Args:
        grey: float32 (H, W), 0 to 1, dark writing on light or light on dark.
    Returns:
        float32 (H, W), 0 = paper, 1 = as dark as can be; for light writing, of the negative.
    Taught in notebook 11.
    """
    side = max(grey.shape)
    contrast = grey - skimage.filters.gaussian(grey, side / 8)
    if (contrast**3).sum() > 0:
        grey = 1 - grey

    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = np.median(border)
    if np.mean(np.abs(border - level) < 0.02) > 0.5:
        paper = np.full_like(grey, level)  # a drawing or a scan, or MNIST itself: nothing to even out
    else:
        # A closing fills what is dark and narrower than its window, so it leaves the lit paper without the strokes.
        smooth = skimage.filters.gaussian(grey, side / 400)
        paper = skimage.morphology.closing(smooth, _square(round(side * 0.07)))
        paper = np.maximum(paper, 0.35 * paper.max())  # below that it is ink, not shadow
    return (np.clip(paper - grey, 0, None) / np.maximum(paper, 0.05)).astype(np.float32)


def find_ink(grey: np.ndarray) -> np.ndarray:
    """Keep the writing with its grey levels, as MNIST's edges are grey too, and set everything else to exactly 0.

    Args:
        grey: float32 (H, W), 0 to 1, dark writing on light or light on dark.
    Returns:
        float32 (H, W), 0 = background, 1 = ink.
    Raises:
        ImageError: there is no writing.
    Taught in notebook 11.
    """
    dark = even_light(grey)
    smooth = skimage.filters.gaussian(dark, max(dark.shape) / 400) if max(dark.shape) > 100 else dark
    threshold = skimage.filters.threshold_otsu(smooth)
    if smooth.max() > threshold:
        # Half as dark as the ink: most shadows and ruled lines stay below that.
        threshold = max(threshold, np.percentile(smooth[smooth > threshold], 90) / 2)
    body = smooth > threshold
    # Ink stands out from its paper; noise, which any threshold cuts in two, does not.
    paper = smooth[~body]
    if not body.any() or np.percentile(smooth[body], 90) - paper.mean() < max(0.08, 5 * paper.std()):
        raise ImageError("expected a digit, found a blank picture; write darker, or crop it closer")

    body = _main_writing(body, dark)
    margin = skimage.morphology.dilation(body, _square(int(np.ceil(0.15 * _length(body)))))
    # All but 1% of the paper away from the ink is lighter than this; it is 0 where the paper is clean.
    floor = min(np.percentile(smooth[~margin], 99), threshold) if not margin.all() else 0.0
    kept = margin & skimage.filters.apply_hysteresis_threshold(smooth, floor, threshold)
    kept = _main_writing(kept, dark)
    ink_level = np.percentile(smooth[body], 90)
    return np.where(kept, np.clip((dark - floor) / (ink_level - floor), 0, 1), 0).astype(np.float32)


def _main_writing(mask: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Drop specks, and whatever lies further from the largest piece than two fifths of its length."""
    pieces = skimage.measure.label(mask, connectivity=2)
    mass = np.bincount(pieces.ravel(), weights=weight.ravel() * mask.ravel())
    mask = (mass >= 0.05 * mass.max())[pieces] & mask
    reach = max(1, round(0.2 * _length(pieces == mass.argmax())))
    groups = skimage.measure.label(skimage.morphology.dilation(mask, _square(reach)), connectivity=2) * mask
    return groups == np.bincount(groups.ravel(), weights=weight.ravel() * mask.ravel()).argmax()


def _square(reach: int) -> tuple:
    return skimage.morphology.footprint_rectangle((2 * reach + 1, 2 * reach + 1), decomposition="separable")


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest rows and columns that hold all of the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _length(mask: np.ndarray) -> int:
    return max(mask[_box(mask)].shape)


def to_mnist_format(ink: np.ndarray) -> np.ndarray:
    """Scale the writing into 20x20 pixels and centre it by mass in 28x28, as MNIST was made.

    Args:
        ink: float32 (H, W), 0 = background, 1 = ink.
    Returns:
        uint8 (28, 28), 0 = background, 255 = ink. The centre of mass lies at row 14, column 14, to half a pixel.
    Raises:
        ImageError: there is no ink.
    Taught in notebook 11. Source: LeCun et al. 1998, section III.A.
    """
    if not (ink > 0).any():
        raise ImageError("expected some ink, found none; look at what find_ink made of the picture")
    digit = ink[_box(ink > 0)]
    height, width = digit.shape
    side = max(height, width)
    square = np.zeros((side, side), np.float32)  # padding to a square first keeps the aspect ratio exactly
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = digit

    # Antialiased, and a digit that has 20 pixels already stays as it is.
    small = np.asarray(Image.fromarray(square).resize((20, 20), Image.Resampling.BILINEAR))
    small = small / small.max()  # a thin pen would otherwise come out as pale as it is thin

    offset = []
    for axis in (1, 0):  # rows, then columns
        mass = small.sum(axis)
        centre = (mass * np.arange(20)).sum() / mass.sum()
        offset.append(int(np.clip(np.floor(14.5 - centre), 0, 8)))  # 0 to 8, so that nothing is cut off
    image = np.zeros((28, 28), np.uint8)
    image[offset[0] : offset[0] + 20, offset[1] : offset[1] + 20] = np.rint(255 * small)
    return image
