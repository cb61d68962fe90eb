"""From a stranger's picture file to the writing on it, by plain stages on arrays that a notebook can draw.

    load_grey     any picture file          -> grey levels, upright, at most 400 pixels a side
    even_light    paper, light and shadow   -> how much darker than its paper each pixel is
    find_ink      a threshold, then pieces  -> the writing alone, everything else exactly 0

Sizes are shares of the picture's longer side, or of the writing's, never pixels.
"""

import os
import warnings

import numpy as np
import scipy
import skimage  # its parts are loaded on first use: importing this module stays cheap
from PIL import Image, ImageOps, UnidentifiedImageError

# No other decoder sees a stranger's file: Pillow has some that start programs (EPS) or are hardly ever used.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_PIXELS, MAX_PIXELS_OF_WEBP = 64_000_000, 24_000_000  # WebP's decoder holds the picture several times over
SIDE = 400  # pixels of the result: plenty for the network's 28, and a camera's noise is averaged away
LARGE = 0.4  # of the highest piece: from there on a piece may be a digit, below it is part of one, or a speck
LEAST_HEIGHT = 5  # pixels of the highest piece: less is no digit


class ImageError(ValueError):
    """A file is no readable picture of a digit; the message says what to do next."""


def load_grey(path: str | os.PathLike) -> np.ndarray:
    """Open a picture file of any mode, turn it upright as its EXIF says, shrink it and make it grey.

    Returns:
        float32 (H, W), 0 = black, 1 = white, H and W at most 400.
    Raises:
        ImageError: the file is missing, cut short, larger than 64 million pixels (WebP: 24), or no picture.
    """
    if not os.path.isfile(path) or os.path.getsize(path) == 0:
        got = "a folder" if os.path.isdir(path) else "no content" if os.path.exists(path) else "nothing there"
        raise ImageError(f"expected a picture file, found {got}; check the path, or save the picture again")
    limit = MAX_PIXELS
    try:
        # Pillow's warnings are of what is checked here, or harmless. By its name it would map an uncompressed TIFF
        # into memory, and lose one that lies on its side, so it gets the open file.
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            image = Image.open(file, formats=FORMATS)
            limit = MAX_PIXELS_OF_WEBP if image.format == "WEBP" else MAX_PIXELS
            if image.width * image.height > limit:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            return _to_grey(image)
    except UnidentifiedImageError:
        expected, found = f"a picture ({', '.join(FORMATS)})", "another kind of file; save it as PNG or JPEG"
    except Image.DecompressionBombError as error:
        expected, found = f"at most {limit:,} pixels", f"{error}; crop it to the digit or scale it down"
    except Exception as error:  # on damaged data a decoder may fail with anything, even struct.error
        expected, found = "a whole, readable picture", f"{error or type(error).__name__}; save it again"
    raise ImageError(f"expected {expected}, found {' '.join(found.split())}")


def _to_grey(image: Image.Image) -> np.ndarray:
    if image.format == "TIFF":
        image.load()  # Pillow turns these upright as it loads them; only then is their size what it says
    if image.mode.startswith("I"):  # in practice neither integers nor floats have a fixed white
        image = image.convert("F")
    elif image.mode in ("1", "P", "PA"):  # the entries of a palette cannot be averaged
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "L")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)  # JPEGs are decoded at a fraction of their size
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        # In float64: a difference of two levels may be beyond float32.
        levels = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
        levels = levels - min(levels.min(), 0)
        return (levels / max(levels.max(), 1e-6)).astype(np.float32)
    grey, alpha = np.moveaxis(np.asarray(image.convert("RGBA").convert("LA"), np.float32) / 255, -1, 0)
    opaque = grey[alpha > 0.5]
    if alpha.min() < 0.5 and (opaque.size == 0 or np.ptp(np.percentile(opaque, (1, 99))) < 0.3):
        return 1 - alpha  # one colour all over: only the shape tells, so draw it black on white
    return grey * alpha + np.median(opaque) * (1 - alpha)


def even_light(grey: np.ndarray) -> tuple[np.ndarray, bool]:
    """Remove paper, light and shadow: how much darker than the paper under it is each pixel?

    Args:
        grey: float32 (H, W), 0 to 1, dark writing on light or light on dark.
    Returns:
        float32 (H, W), 0 = paper, 1 = as dark as can be; and whether the picture is a photo, with light and
        noise of its own, rather than a drawing or a scan, whose paper has one level.
    Taught in notebook 11.
    """
    side = max(grey.shape)
    grey = grey / max(grey.max(), 0.05)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = np.median(border)
    # A camera sees no paper of one level, and none that is white or black to the last pixel.
    is_photo = max(np.mean(np.abs(border - end) < 0.01) for end in (level, 0, 1)) < 0.25
    # Paper lies along the border of a drawing. In a photo a shadow or a desk may, but writing is what differs much
    # from its surroundings and covers little: its sign is that of the third moment.
    difference = grey - skimage.filters.gaussian(grey, 0.07 * side)
    if (difference**3).sum() > 0 if is_photo else level < (grey.min() + grey.max()) / 2:  # light on dark
        grey, level = 1 - grey, 1 - level
    paper = np.full_like(grey, level)
    if is_photo:
        # A closing fills what is narrow, thin strokes and ruled lines. (Reflected, two rows of pixels become nonsense.)
        window = skimage.morphology.disk(max(1, round(0.02 * side)))
        paper = skimage.morphology.closing(skimage.filters.gaussian(grey, side / 400), window, mode="nearest")
        # Then holes are filled: what is dark, however broad, and lighter all around. Zeros around the picture join
        # what comes in from outside, a desk or a shadow, to a piece that is too large for a hole.
        frame = int(0.1 * side) + 1
        levels = np.pad(np.rint(255 * paper).astype(np.uint8), frame)
        filled = skimage.morphology.area_closing(levels, 0.4 * paper.size)
        paper = filled[frame:-frame, frame:-frame] / np.float32(255)
    return (np.clip(paper - grey, 0, None) / np.maximum(paper, 0.5)).astype(np.float32), bool(is_photo)


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
    side = max(dark.shape)
    if is_photo and side > 64:  # in fewer pixels a desk cannot be told from a stroke
        dark = _clear_desk(dark)
    smooth = skimage.filters.gaussian(dark, side / 400) if side > 64 else dark
    threshold = skimage.filters.threshold_otsu(smooth)
    body = smooth > threshold
    if is_photo and body.any():  # at least half as dark as the ink: most shadows and ruled lines are not
        threshold = max(threshold, np.percentile(smooth[body], 90) / 2)
        body = smooth > threshold
        paper = smooth[~body]  # noise, which any threshold cuts in two, does not stand out from it
        body &= np.percentile(smooth[body], 90) > paper.mean() + max(0.05, 6.5 * paper.std())
    body = _drop_specks(_drop_lines(body) if side > 64 else body, dark)
    height = max(piece_heights(skimage.measure.label(body, connectivity=2)))
    if height < LEAST_HEIGHT:
        found = "a blank picture but for specks" if height else "a blank picture"
        raise ImageError(f"expected a digit, found {found}; write darker, or crop it closer")
    near = skimage.morphology.isotropic_dilation(body, 0.1 * height)
    floor = min(np.percentile(smooth[~near], 99), threshold) if not near.all() else 0.0
    kept = _drop_specks(near & skimage.filters.apply_hysteresis_threshold(smooth, floor, threshold), dark)
    levels = (dark - floor) / (np.percentile(smooth[body], 90) - floor)
    return np.where(kept, levels.clip(0, 1), 0).astype(np.float32)


def _clear_desk(dark: np.ndarray) -> np.ndarray:
    """Make paper of the desk around a sheet: broader than a ruled line, it fills a corner or lies along a side."""
    reach = 0.008 * max(dark.shape)
    width = int(reach) + 2
    mask = dark > skimage.filters.threshold_otsu(dark)
    # Woven cloth has light gaps: they are filled first.
    filled = skimage.morphology.isotropic_closing(np.pad(mask, width, mode="edge"), reach)
    broad = skimage.morphology.isotropic_opening(filled, reach)
    pieces = skimage.measure.label(broad[width:-width, width:-width])
    corners = pieces[[0, 0, -1, -1], [0, -1, 0, -1]]
    sides = [pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]
    along = [np.flatnonzero(np.bincount(side) > 0.15 * len(side)) for side in sides]
    desk = np.isin(pieces, np.concatenate([corners, *along])) & (pieces > 0)
    if not ((pieces > 0) & ~desk).any():  # then what lies along a side may be the writing
        desk = np.isin(pieces, corners) & (pieces > 0)
    desk = skimage.morphology.isotropic_dilation(desk, 3 * reach)
    return np.where(desk, 0, dark) if (mask & ~desk).any() else dark


def _drop_lines(mask: np.ndarray) -> np.ndarray:
    """Drop thin lines that two borders cut off, squares too, and flat ones longer than anything else is high."""
    pieces = skimage.measure.label(mask, connectivity=2)
    heights, widths = piece_heights(pieces), piece_heights(pieces.T)
    is_flat = widths > np.maximum(8 * heights, 1.2 * heights[widths <= 8 * heights].max())
    sides = [pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]
    num_ends = sum(np.bincount(np.unique(side), minlength=len(heights)) for side in sides)
    core = skimage.morphology.isotropic_erosion(np.pad(mask, 1), 0.008 * max(mask.shape))[1:-1, 1:-1]
    # No piece touches another, so one erosion does for all; where squares cross, a little is left.
    is_thin = np.bincount(pieces.ravel(), weights=core.ravel()) < 0.01 * np.bincount(pieces.ravel())
    return mask & ~(is_flat | (is_thin & (num_ends > 1)))[pieces]


def _drop_specks(mask: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """Drop pieces with less than a twentieth of the heaviest one's ink, and small ones far from all large ones."""
    pieces = skimage.measure.label(mask, connectivity=2)
    mass = np.bincount(pieces.ravel(), weights=(dark * mask).ravel())
    pieces[mass[pieces] < 0.05 * mass.max()] = 0
    heights = piece_heights(pieces)
    large = (heights >= LARGE * heights.max())[pieces] & (pieces > 0)
    near = skimage.morphology.isotropic_dilation(large, 0.3 * heights.max() + 1)
    return np.isin(pieces, pieces[near]) & (pieces > 0)


def piece_heights(pieces: np.ndarray) -> np.ndarray:
    """Return each piece's height by its label, the background's 0 included; 0 where it is gone. A row may be wide."""
    boxes = scipy.ndimage.find_objects(pieces)
    return np.array([0, *(box[0].stop - box[0].start if box else 0 for box in boxes)])
