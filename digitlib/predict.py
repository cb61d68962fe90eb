"""From a picture of a digit to the digit: the stages between a photo and what the network was trained on.

    load_grey        any picture file                      -> grey levels, upright, at most 400 pixels a side
    even_light       paper, light and shadow               -> how much darker than its paper each pixel is
    find_ink         noise, ruled lines, shadows, a desk   -> the writing alone, everything else exactly 0
    split_digits     the writing                           -> each digit on its own, from left to right
    to_mnist_format  writing of any size, anywhere         -> 28x28, as the makers of MNIST did it
    predict          all of these, then the network        -> a digit and ten probabilities
    predict_number   the same for a row of digits          -> a prediction for each

Each stage is a plain function on arrays, so that a notebook can draw what it does. Sizes within a picture are shares
of its longer side or of the writing's length, never pixels: a photo from further away gives the same answer.
"""

import contextlib
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
MAX_PIXELS_OF = {"WEBP": 24_000_000}  # its decoder holds the whole picture several times over
LARGE = 0.4  # of the longest piece's length: from there on a piece may be a digit, below it is part of one or a speck
BLANK = "expected a digit, found a blank picture; write darker, or crop it closer"
BLUR = 0.01  # of the longer side: broad beside a ruled line, narrow beside a stroke
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
    """Read the one digit in a picture file.

    Args:
        model: maps float32 (N, 1, 28, 28), normalised, to logits (N, 10).
        path: a picture of one digit; dark on light or light on dark, any size. Paper had better fill it: a dark desk
            around the sheet is left out where it is told from ink, which is nearly always.
    Raises:
        ImageError: the file is no readable picture, nothing is written on it, or several digits are.
    Taught in notebook 11.
    """
    return predict_images(model, [prepare(path)])[0]


def predict_number(model: nn.Module, path: str | os.PathLike) -> list[Prediction]:
    """Read the digits of a row in a picture file, from left to right.

    Args:
        model: maps float32 (N, 1, 28, 28), normalised, to logits (N, 10).
        path: a picture of one row of digits, that may differ in height or climb a little. Leave paper between them:
            where digits touch, they are cut apart, and more than half of such rows come out wrong.
    Returns:
        One Prediction a digit. "".join(str(p.digit) for p in predictions) is the number, zeros in front included.
    Raises:
        ImageError: the file is no readable picture, nothing is written on it, or the digits stand in several rows.
    """
    with _naming(path):
        ink = find_ink(load_grey(path))
        digits = split_digits(ink)
        _expect_one_row(digits)
        parts = [part for digit in digits for part in _cut_touching(model, digit)]
        return predict_images(model, [torch.from_numpy(to_mnist_format(part)) for part in parts])


def predict_images(model: nn.Module, images: list[Tensor]) -> list[Prediction]:
    """Read images that have gone through all stages.

    Args:
        model: maps float32 (N, 1, 28, 28), normalised, to logits (N, 10).
        images: at least one, each uint8 (28, 28), 0 = background, 255 = ink.
    Returns:
        One Prediction an image.
    """
    probabilities = predict_logits(model, normalise(torch.stack(images))).double().softmax(1)
    return [Prediction(int(p.argmax()), tuple(p.tolist()), image) for p, image in zip(probabilities, images)]


def prepare(path: str | os.PathLike) -> Tensor:
    """Turn a picture file with one digit into an image like MNIST's own.

    Returns:
        uint8 (28, 28), 0 = background, 255 = ink.
    Raises:
        ImageError: the file is no readable picture, nothing is written on it, or several digits are.
    Taught in notebook 11.
    """
    with _naming(path):
        digits = split_digits(find_ink(load_grey(path)))
        if len(digits) > 1:
            raise ImageError(
                f"expected one digit, found {len(digits)} digits; crop the picture to one, or read a row of them "
                "with `digitlib predict --number`"
            )
        return torch.from_numpy(to_mnist_format(digits[0]))


@contextlib.contextmanager
def _naming(path: str | os.PathLike):
    """Let an error of a stage, which sees no file, name the file."""
    try:
        yield
    except ImageError as error:
        raise error if str(error).startswith(f"{path}: ") else ImageError(f"{path}: {error}") from None


def load_grey(path: str | os.PathLike) -> np.ndarray:
    """Open a picture file of any mode, turn it upright as its EXIF says, shrink it and make it grey.

    Returns:
        float32 (H, W), 0 = black, 1 = white, H and W at most 400.
    Raises:
        ImageError: the file is missing, cut short, larger than 64 million pixels (WebP: 24), or no picture.
    """
    path, limit = Path(path), MAX_PIXELS
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
                limit = MAX_PIXELS_OF.get(image.format, MAX_PIXELS)
                if image.width * image.height > limit:
                    raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
                return _to_grey(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        expected, found = f"a picture ({', '.join(FORMATS)})", "another kind of file; save it as PNG or JPEG"
    except Image.DecompressionBombError as error:
        expected, found = f"at most {limit:,} pixels", f"{error}; crop it to the digit or scale it down"
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
    return _best_channel(image)


def _best_channel(image: Image.Image) -> np.ndarray:
    """Return the grey levels, or those of the one colour that shows the writing far better: yellow ink is not blue."""
    grey = np.asarray(image.convert("L"), dtype=np.float32) / 255
    if image.mode in ("1", "L") or min(grey.shape) < 12:
        return grey
    channels = [grey, *np.moveaxis(np.asarray(image.convert("RGB"), dtype=np.float32) / 255, -1, 0)]
    contrasts = []
    for channel in channels:
        coarse = _shrink(channel, 150)
        contrast = skimage.filters.gaussian(coarse, 0.7) - skimage.filters.gaussian(
            coarse, max(coarse.shape) / 8
        )
        contrasts.append(np.ptp(np.percentile(contrast, (0.5, 99.5))))
    best = int(np.argmax(contrasts))
    return channels[best] if contrasts[best] > 1.5 * contrasts[0] else grey


def _lay_on_paper(grey: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Put a transparent picture on a paper that its ink stands out from, be it black, white or in between."""
    opaque = grey[alpha > 0.5]
    if opaque.size == 0:
        return np.ones_like(grey)
    darkest, lightest = np.percentile(opaque, (0.5, 99.5))
    if alpha.min() < 0.5 and lightest - darkest < 0.3:
        return 1 - alpha  # one colour all over: only the shape tells, so draw it black on white
    return grey * alpha + np.median(opaque) * (1 - alpha)


def even_light(grey: np.ndarray) -> tuple[np.ndarray, bool]:
    """Remove paper, light and shadow: how much darker than the paper under it is each pixel?

    Args:
        grey: float32 (H, W), 0 to 1, dark writing on light or light on dark.
    Returns:
        float32 (H, W), 0 = paper, 1 = as dark as can be; for light writing, of the negative. And whether the picture is
        a photo, with light and noise of its own, rather than a drawing or a scan, whose paper has one level.
    Taught in notebook 11.
    """
    grey = grey / max(grey.max(), 0.05)  # a dim photo is no blackboard
    if _is_light_on_dark(grey):
        grey = 1 - grey
    side = max(grey.shape)
    # A closing fills what is dark and narrower than its window, so it leaves the lit paper without the strokes.
    smooth = skimage.filters.gaussian(grey, side / 400)
    paper = skimage.morphology.closing(smooth, _disk(0.07 * side))
    paper = np.maximum(paper, 0.35 * paper.max())  # below that it is ink, not shadow
    is_photo = not _is_clean(grey, paper)
    if not is_photo:
        paper = np.full_like(grey, max(np.median(_border(grey)), np.median(grey)))  # ink may fill the border
    return (np.clip(paper - grey, 0, None) / np.maximum(paper, 0.3)).astype(np.float32), is_photo


def _is_light_on_dark(grey: np.ndarray) -> bool:
    """The border is paper, or most of it: is it nearer to the darkest level of the picture than to the lightest?"""
    coarse = _shrink(grey, 100)
    levels = (coarse - coarse.min()) / max(np.ptp(coarse), 1e-6)
    border = _border(levels)
    if np.mean(border < 0.1) <= np.mean(border > 0.9):
        return False
    # A shadow or the desk may darken the border of white paper, but never evenly, and the paper shows in the middle.
    is_even = np.mean(border < 0.01) > 0.2
    widest_light = skimage.morphology.opening(levels, _disk(0.15 * max(levels.shape))).max()
    return bool(is_even or widest_light < 0.5)


def _is_clean(grey: np.ndarray, paper: np.ndarray) -> bool:
    """Is this a drawing, a scan or MNIST itself: its paper of one grey level, or its border, and not in shadow?"""
    border, light = _border(grey), _border(paper) / max(paper.max(), 0.05)
    if np.mean(border > 0.99 * grey.max()) > 0.08:  # white to the last pixel, as no camera sees paper
        return not _is_in_shadow(grey / grey.max())
    is_even = np.mean(np.abs(border - np.median(border)) < 0.01) > 0.4
    return bool(is_even and np.mean(_is_half_lit(light)) < 0.15)


def _is_in_shadow(grey: np.ndarray) -> bool:
    """A shadow is wide, and reaches two corners; a stroke that the border cuts off may be one of these, hardly both."""
    coarse = _shrink(grey, 100)
    side = max(coarse.shape)
    reach, corner = round(0.1 * side), max(1, side // 25)
    # White around the picture: a stroke at the border then is no wider than it is.
    framed = np.pad(coarse, reach + 1, constant_values=1)
    widest = skimage.morphology.closing(framed, _disk(reach))[reach + 1 : -reach - 1, reach + 1 : -reach - 1]
    ends = [slice(None, corner), slice(-corner, None)]
    corners = np.array([coarse[rows, columns].mean() for rows in ends for columns in ends])
    return bool(_is_half_lit(corners).sum() > 1 and np.mean(_is_half_lit(_border(widest))) > 0.2)


def _is_half_lit(levels: np.ndarray) -> np.ndarray:
    return (0.35 < levels) & (levels < 0.85)


def _sides(grey: np.ndarray) -> list[np.ndarray]:
    return [grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]]


def _border(grey: np.ndarray) -> np.ndarray:
    return np.concatenate(_sides(grey))


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
    dark, is_photo = even_light(grey)
    dark = _clear_desk(dark, is_photo)
    smooth = skimage.filters.gaussian(dark, max(dark.shape) / 400) if max(dark.shape) > 100 else dark
    threshold = _threshold(smooth)
    is_broad = not is_photo and _is_broad(dark)
    if is_broad:  # a few pixels, enlarged: a pale one may be all that holds two parts of a stroke together
        threshold /= 2
    body = _find_writing(smooth, threshold, dark, is_photo)
    if is_photo and not body.any():
        # As pale as the ruled lines, but broader? A blur leaves little of the lines.
        soft = skimage.filters.gaussian(dark, BLUR * max(dark.shape))
        limit = _threshold(soft)
        if _median_above(limit, soft) > 0.5 * _median_above(threshold, smooth):
            body = _find_writing(soft, limit, soft, is_photo)
        if body.any():
            dark, smooth, threshold = soft, soft, limit
    if not body.any():  # small writing among many ruled lines: is anything twice as dark as they are?
        threshold = max(0.2, 2 * _median_above(threshold, smooth))
        body = _find_writing(smooth, threshold, dark, True)
    if not body.any():
        raise ImageError(BLANK)

    if is_broad:
        margin, floor = np.ones_like(body), 0.05  # above the ripples that some ways of enlarging leave
    else:
        margin = skimage.morphology.dilation(body, _square(int(np.ceil(0.15 * _longest(body)))))
        # Nearly all paper away from the ink is lighter than this, ruled lines too; it is 0 where the paper is clean.
        floor = min(np.percentile(smooth[~margin], 99.9), threshold) if not margin.all() else 0.0
    kept = margin & skimage.filters.apply_hysteresis_threshold(smooth, floor, threshold)
    kept = _drop_specks(kept, dark)
    ink_level = np.percentile(smooth[body], 90)
    return np.where(kept, np.clip((dark - floor) / (ink_level - floor), 0, 1), 0).astype(np.float32)


def _threshold(dark: np.ndarray) -> float:
    """Return the level above which pixels may be ink."""
    threshold = skimage.filters.threshold_otsu(dark)
    if dark.max() > threshold:
        # Half as dark as the ink: most shadows and ruled lines stay below that.
        threshold = max(threshold, np.percentile(dark[dark > threshold], 90) / 2)
    return threshold


def _median_above(threshold: float, dark: np.ndarray) -> float:
    above = dark[dark > threshold]
    return float(np.median(above)) if above.size else 0.0


def _clear_desk(dark: np.ndarray, is_photo: bool) -> np.ndarray:
    """Make paper of the desk around a sheet: broader than a ruled line, it fills a corner or lies along a side.

    Where nothing else is dark, what lies along a side may be the writing; in a drawing, so may what fills a corner.
    """
    side = max(dark.shape)
    if side <= 64:
        return dark  # too small to tell
    reach = 0.008 * side
    width = int(np.ceil(reach)) + 1
    mask = dark > skimage.filters.threshold_otsu(dark)
    opened = skimage.morphology.isotropic_opening(np.pad(mask, width, mode="edge"), reach)
    opened = opened[width:-width, width:-width]
    pieces = skimage.measure.label(opened, connectivity=1)
    share = 0.15 if is_photo else 0.8
    desk = [np.flatnonzero(np.bincount(edge) > share * len(edge)) for edge in _sides(pieces)]
    corners = pieces[[0, 0, -1, -1], [0, -1, 0, -1]] if is_photo else []
    is_desk = np.isin(pieces, np.concatenate([corners, *desk])) & opened
    if not (opened & ~is_desk).any():
        is_desk = np.isin(pieces, corners) & opened
    if is_desk.any():
        dark = np.where(skimage.morphology.isotropic_dilation(is_desk, 3 * reach), 0, dark).astype(np.float32)
    return dark


def _is_broad(dark: np.ndarray) -> bool:
    """Is the paper without grain, and nothing on it as narrow as a ruled line?"""
    if np.mean((dark > 0) & (dark < 0.03)) > 0.2:
        return False
    mask = np.pad(dark > 0.1, 1, mode="edge")
    opened = skimage.morphology.isotropic_opening(mask, 0.012 * max(dark.shape))
    return bool(opened.sum() > 0.9 * mask.sum())


def _find_writing(smooth: np.ndarray, threshold: float, dark: np.ndarray, is_photo: bool) -> np.ndarray:
    """Return a mask of what is darker than the threshold and may be writing; all False where nothing is."""
    body = smooth > threshold
    if not body.any():
        return body
    # Ink stands out from its paper; noise, which any threshold cuts in two, does not.
    paper = smooth[~body]
    if np.percentile(smooth[body], 90) - paper.mean() < max(0.05, 6.5 * paper.std() if is_photo else 0):
        return np.zeros_like(body)
    return _drop_specks(_drop_paper(body, dark, is_photo), dark)


def _drop_paper(body: np.ndarray, dark: np.ndarray, is_photo: bool) -> np.ndarray:
    """Keep the pieces that a pen may have left; the others are ruled lines and, in a photo, shadows and the desk."""
    height, width = body.shape
    side = max(height, width)
    if side <= 64:
        return body  # too small to tell
    sigma = 0.007 * side
    soft = skimage.filters.gaussian(dark, sigma)
    # At the edge of ink the slope is 0.3 to 0.4 of the ink's level, whatever the picture.
    slope = np.hypot(*np.gradient(soft)) * sigma
    edge = body & ~skimage.morphology.isotropic_erosion(body, 1)
    kept = np.zeros_like(body)
    pieces = skimage.measure.label(_drop_light(body, dark, 0.01), connectivity=2)
    for piece in skimage.measure.regionprops(pieces):
        mask, place, length = piece.image, piece.slice, max(piece.image.shape)
        top, left, bottom, right = piece.bbox
        borders = (top == 0) + (left == 0) + (bottom == height) + (right == width)
        is_grid = borders > 0 and piece.euler_number < -5  # many holes; a digit has two at most
        is_line = borders > 1 and not _holds_disk(mask, 0.008 * side)
        if is_photo:
            level = np.percentile(soft[place][mask], 75)
            is_blurred = level < 0.25 and np.median(slope[place][mask & edge[place]]) < 0.2 * level
            is_desk = borders > 0 and _holds_disk(mask, 0.12 * side)
            # A closing leaves the corners of shadows.
            is_corner = length < 0.12 * side and _holds_disk(mask, 0.15 * length)
            is_grain = length < 0.04 * side
        if not (is_grid or is_line or (is_photo and (is_blurred or is_desk or is_corner or is_grain))):
            kept[place] |= mask
    return kept


def _holds_disk(mask: np.ndarray, radius: float) -> bool:
    return bool(skimage.morphology.isotropic_erosion(np.pad(mask, 1), radius).any())


def _drop_light(mask: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """Drop pieces that weigh less than this share of the heaviest."""
    pieces = skimage.measure.label(mask, connectivity=2)
    mass = np.bincount(pieces.ravel(), weights=weight.ravel() * mask.ravel())
    return (mass >= share * mass.max())[pieces] & mask


def _drop_specks(mask: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Drop pieces with less than a twentieth of the heaviest one's ink, and small ones far from all large ones."""
    pieces = skimage.measure.label(_drop_light(mask, weight, 0.05), connectivity=2)
    lengths = np.array([0, *(max(piece.image.shape) for piece in skimage.measure.regionprops(pieces))])
    is_large = lengths >= LARGE * lengths.max()
    is_large[0] = False
    near = skimage.morphology.isotropic_dilation(is_large[pieces], 0.3 * lengths.max() + 1)
    return np.isin(pieces, pieces[near]) & (pieces > 0)


def _longest(mask: np.ndarray) -> int:
    """Return the length of the longest piece: the longer side of its box."""
    return max(
        max(piece.image.shape)
        for piece in skimage.measure.regionprops(skimage.measure.label(mask, connectivity=2))
    )


def _disk(radius: float) -> tuple:
    return skimage.morphology.disk(max(1, round(radius)), decomposition="sequence")


def _shrink(grey: np.ndarray, side: int) -> np.ndarray:
    picture = Image.fromarray(grey)
    picture.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(picture)


def _square(reach: int) -> tuple:
    return skimage.morphology.footprint_rectangle((2 * reach + 1, 2 * reach + 1), decomposition="separable")


def split_digits(ink: np.ndarray) -> list[np.ndarray]:
    """Tell digits apart by the paper between them; strokes of one digit that do not quite meet stay together.

    Args:
        ink: float32 (H, W), 0 = background, 1 = ink.
    Returns:
        One array like ink for each digit, from left to right, with that digit alone.
    Taught in notebook 11.
    """
    pieces = skimage.measure.label(ink > 0, connectivity=2)
    strokes = skimage.measure.regionprops(pieces)
    longest = max(max(stroke.image.shape) for stroke in strokes)
    digits = []
    for stroke in strokes:
        if max(stroke.image.shape) >= LARGE * longest:
            same = [
                digit for digit in digits if any(_belong_together(pieces, stroke, s, longest) for s in digit)
            ]
            digits = [digit for digit in digits if digit not in same] + [sum(same, [stroke])]
    # A small piece, such as a bar or a dot, goes to the digit that it lies nearest to.
    numbers = np.zeros_like(pieces)
    for number, digit in enumerate(digits, start=1):
        numbers[np.isin(pieces, [stroke.label for stroke in digit])] = number
    nearest = skimage.segmentation.expand_labels(numbers, sum(ink.shape))
    for stroke in strokes:
        on_it = pieces == stroke.label
        numbers[on_it] = np.bincount(nearest[on_it]).argmax()
    alone = [np.where(numbers == number, ink, 0) for number in range(1, len(digits) + 1)]
    return sorted(alone, key=lambda digit: np.nonzero(digit)[1].mean())


def _belong_together(pieces: np.ndarray, one, other, longest: int) -> bool:
    """Are two large pieces (of regionprops) strokes of one digit, rather than two digits?"""
    (top, left, bottom, right), (other_top, other_left, other_bottom, other_right) = one.bbox, other.bbox
    height = max(bottom, other_bottom) - min(top, other_top)  # of the two together
    width = max(right, other_right) - min(left, other_left)
    narrower = min(right - left, other_right - other_left)
    lower = min(bottom - top, other_bottom - other_top)
    flat = min((bottom - top) / (right - left), (other_bottom - other_top) / (other_right - other_left)) < 0.5
    if flat or min(right, other_right) - max(left, other_left) > 0.5 * narrower:
        gap = 0.2  # one is a bar, as a 5 may have, or they stand one above the other
    elif width > 1.1 * height:
        return False
    else:  # side by side, as the two strokes of an open 4; where both are as high, they are more likely two digits
        gap = 0.2 if lower < 0.75 * height else 0.07
    around = skimage.morphology.isotropic_dilation(pieces == one.label, gap * longest + 1)
    return bool((around & (pieces == other.label)).any())


def _expect_one_row(digits: list[np.ndarray]) -> None:
    boxes = [_box(digit > 0)[0] for digit in digits]
    for one, other in zip(boxes, boxes[1:]):
        if min(one.stop, other.stop) <= max(one.start, other.start):
            raise ImageError(
                f"expected one row of digits, found {len(digits)} digits above one another; crop the picture to one row"
            )


def _cut_touching(model: nn.Module, digit: np.ndarray) -> list[np.ndarray]:
    """Cut digits that touch where the least ink is crossed, if the network reads the parts better than the whole.

    Source: the idea of over-segmentation in LeCun et al. 1998, section V.
    """
    rows, columns = _box(digit > 0)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if width < 0.75 * height:
        return [digit]
    best, best_score = [digit], _plausibility(model, [digit])
    for num_parts in range(2, min(5, round(2.5 * width / height)) + 1):
        parts, rest = [], digit
        for number in range(1, num_parts):
            part, rest = _cut(rest, columns.start + width * number / num_parts, 0.25 * width / num_parts)
            parts.append(part)
        parts.append(rest)
        if not all((part > 0).any() for part in parts):
            continue
        score = _plausibility(model, parts) - 0.25  # halves of a digit may look like digits
        if score > best_score:
            best, best_score = parts, score
    return best


def _cut(ink: np.ndarray, column: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left and what is right of the path from top to bottom, near a column, that crosses least ink."""
    start, stop = max(1, round(column - reach)), min(ink.shape[1] - 1, round(column + reach) + 1)
    # A row above and one below cost next to nothing: the path is free to begin and to end anywhere.
    cost = np.pad(ink[:, start:stop] + 0.005, ((1, 1), (0, 0)), constant_values=1e-6)
    path, _ = skimage.graph.route_through_array(cost, (0, 0), (cost.shape[0] - 1, cost.shape[1] - 1))
    rightmost = {}
    for row, place in path:
        rightmost[row - 1] = max(rightmost.get(row - 1, 0), start + place)
    is_left = np.arange(ink.shape[1]) <= np.array([rightmost[row] for row in range(len(ink))])[:, None]
    return np.where(is_left, ink, 0), np.where(is_left, 0, ink)


def _plausibility(model: nn.Module, digits: list[np.ndarray]) -> float:
    """Return the mean logarithm of the probabilities that the network gives its answers, less for wide digits."""
    images = [torch.from_numpy(to_mnist_format(digit)) for digit in digits]
    sure = np.mean([np.log(max(prediction.probabilities)) for prediction in predict_images(model, images)])
    boxes = [digit[_box(digit > 0)].shape for digit in digits]
    return float(sure - np.mean([max(0.0, width / height - 0.9) for height, width in boxes]))


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest rows and columns that hold all of the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


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
