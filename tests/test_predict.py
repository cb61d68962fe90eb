"""A picture of any kind becomes the 28×28 that MNIST would have made of it; what is no picture gets a clear word."""

import io
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import nn

from digitlib.data import load_raw
from digitlib.predict import (
    ImageError,
    Prediction,
    find_ink,
    load_grey,
    predict,
    predict_number,
    prepare,
    split_digits,
    to_mnist_format,
)


@pytest.fixture(scope="module")
def digit():
    """A four, uint8 (28, 28): it is the same neither mirrored, nor turned, nor upside down."""
    images, labels = load_raw("train")
    return images[labels == 4][0].numpy()


@pytest.fixture(scope="module")
def drawn(digit):
    """The same digit drawn large, dark on white paper, off centre."""
    return draw(digit)


def draw(digit, *, size=200, top=40, left=90, height=320, width=400):
    picture = Image.new("L", (width, height), 255)
    ink = Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)
    picture.paste(0, (left, top), ink)
    return picture


def save(picture, folder, name="picture.png", **options):
    path = folder / name
    picture.save(path, **options)
    return path


def difference(image, other):
    """Return the mean difference of grey levels, 0 to 255, at the best of nine places a pixel apart."""
    image, other = np.asarray(image, dtype=float), np.asarray(other, dtype=float)
    shifts = [np.roll(image, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(np.abs(shifted - other).mean() for shifted in shifts)


def centre_of_mass(image):
    mass = np.asarray(image, dtype=float)
    return tuple((mass.sum(axis=1 - axis) * np.arange(28)).sum() / mass.sum() for axis in (0, 1))


def test_mnist_s_own_images_pass_almost_unchanged(tmp_path):
    images, _ = load_raw("validation")
    changes = [difference(prepare(save(Image.fromarray(i.numpy()), tmp_path)), i) for i in images[:20]]
    inverted = [difference(prepare(save(Image.fromarray(255 - i.numpy()), tmp_path)), i) for i in images[:20]]
    assert inverted == pytest.approx(changes, abs=0.1)
    assert np.median(changes) < 1
    assert max(changes) < 10


def test_a_digit_drawn_large_on_paper_comes_back(digit, drawn, tmp_path):
    assert difference(prepare(save(drawn, tmp_path)), digit) < 12


@pytest.mark.parametrize(
    "place", [{"top": 5, "left": 10}, {"size": 300, "top": 10}, {"size": 90, "left": 200}]
)
def test_neither_size_nor_place_matters(digit, drawn, tmp_path, place):
    expected = prepare(save(drawn, tmp_path))
    assert difference(prepare(save(draw(digit, **place), tmp_path)), expected) < 6


def test_the_result_is_centred_by_mass_in_a_box_of_twenty(drawn, tmp_path):
    image = prepare(save(drawn, tmp_path))
    assert image.shape == (28, 28) and image.dtype == torch.uint8 and image.max() == 255
    rows, columns = np.nonzero(image.numpy())
    assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    assert all(abs(centre - 14) <= 0.5 for centre in centre_of_mass(image))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F"])
def test_every_mode_shows_the_same_digit(drawn, tmp_path, mode):
    expected = prepare(save(drawn, tmp_path))
    levels = np.asarray(drawn)
    if mode == "I;16":
        picture = Image.fromarray(levels.astype(np.uint16) * 257)
    elif mode in ("I", "F"):
        picture = Image.fromarray(levels.astype(np.int32 if mode == "I" else np.float32))
    else:
        picture = drawn.convert(mode)
    assert picture.mode == mode
    name = "picture.tif" if mode in ("CMYK", "YCbCr", "F", "I") else "picture.png"
    assert difference(prepare(save(picture, tmp_path, name)), expected) < 8


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 60, 200)])
def test_ink_of_any_colour_on_nothing(digit, drawn, tmp_path, colour):
    picture = Image.new("RGBA", (400, 320), (*colour, 0))
    picture.putalpha(Image.fromarray(255 - np.asarray(drawn)))
    assert difference(prepare(save(picture, tmp_path)), prepare(save(drawn, tmp_path, "drawn.png"))) < 6


@pytest.mark.parametrize("ink, paper", [(0, 200), (255, 30), (90, 200), (200, 90)])
def test_dark_on_light_and_light_on_dark(drawn, tmp_path, ink, paper):
    share = np.asarray(drawn) / 255
    picture = Image.fromarray(np.rint(ink + (paper - ink) * share).astype(np.uint8))
    assert difference(prepare(save(picture, tmp_path)), prepare(save(drawn, tmp_path, "drawn.png"))) < 6


# How a camera held in each of the eight ways stores a picture that is upright to the eye.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.tif", "turned.webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_the_camera_s_rotation_is_undone(drawn, tmp_path, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = drawn if orientation == 1 else drawn.transpose(STORED[orientation])
    turned = save(stored, tmp_path, name, exif=exif, **({"lossless": True} if name.endswith("webp") else {}))
    assert difference(prepare(turned), prepare(save(drawn, tmp_path))) < 6


def test_a_transparent_frame_around_paper_is_no_ink(drawn, tmp_path):
    picture = Image.new("RGBA", (460, 380), (0, 0, 0, 0))
    picture.paste(drawn.convert("RGBA"), (30, 30))
    assert difference(prepare(save(picture, tmp_path)), prepare(save(drawn, tmp_path, "drawn.png"))) < 6


def test_a_digit_that_fills_its_picture_keeps_the_core_of_thick_strokes(digit, tmp_path):
    rows, columns = np.nonzero(digit)
    cropped = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    picture = Image.fromarray(255 - cropped).resize((160, 160), Image.Resampling.BICUBIC)
    picture = picture.filter(ImageFilter.MinFilter(15)).filter(ImageFilter.GaussianBlur(6))
    ink = find_ink(load_grey(save(picture, tmp_path)))
    assert ink[np.asarray(picture) < 10].min() > 0.9


@pytest.mark.parametrize("side", [16, 160])
@pytest.mark.parametrize("margin", [0, 2])
@pytest.mark.parametrize("way", ["NEAREST", "BOX", "BILINEAR", "BICUBIC", "LANCZOS"])
@pytest.mark.parametrize("label", [2, 5])
def test_a_picture_of_few_pixels_enlarged_in_any_way_comes_back(label, tmp_path, way, margin, side):
    """As scikit-learn's digits are made: 8x8 pixels, filled from top to bottom; a pale one holds strokes together."""
    images, labels = load_raw("train")
    digit = images[labels == label][0].numpy()
    rows, columns = np.nonzero(digit)
    cropped = Image.fromarray(digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    coarse = np.asarray(cropped.resize((7, 8), Image.Resampling.BOX))
    large = Image.fromarray(coarse / np.float32(255)).resize((140, 160), Image.Resampling.BILINEAR)
    expected = to_mnist_format(np.asarray(large))
    enlarged = Image.fromarray(np.pad(coarse, margin)).resize((side * 7 // 8, side), Image.Resampling[way])
    for name, picture in {"light": enlarged, "dark": Image.fromarray(255 - np.asarray(enlarged))}.items():
        assert difference(prepare(save(picture, tmp_path)), expected) < 16, name


def test_uneven_light_noise_and_a_speck(drawn, tmp_path):
    levels = np.asarray(drawn, dtype=float) * 0.6 + 0.4 * 255  # pale ink
    levels *= np.linspace(1, 0.6, levels.shape[1])  # light falls from the left
    levels += np.random.default_rng(0).normal(0, 3, levels.shape)
    levels[20:23, 20:23] = 60
    photo = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    path = save(photo, tmp_path, "photo.jpg", quality=80)
    assert difference(prepare(path), prepare(save(drawn, tmp_path))) < 14


def test_the_stages_hand_over_what_they_say(drawn, tmp_path):
    grey = load_grey(save(drawn, tmp_path))
    assert grey.shape == (320, 400) and grey.dtype == np.float32 and 0 <= grey.min() < grey.max() <= 1
    ink = find_ink(grey)
    assert ink.shape == grey.shape and ink.dtype == np.float32
    assert ink[:30].max() == 0 and ink.max() == 1
    assert np.array_equal(to_mnist_format(ink), prepare(tmp_path / "picture.png"))


def test_a_prediction_holds_what_the_network_says(drawn, tmp_path):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([0.0, 1, 2, 3, 9, 1, 0, 0, 0, 0]))

        def forward(self, images):
            assert images.shape == (1, 1, 28, 28) and images.dtype == torch.float32
            assert images.min() == pytest.approx(-0.4242, abs=1e-3), "normalised as in training"
            return self.logits.expand(1, 10)

    prediction = predict(Fixed(), save(drawn, tmp_path))
    assert isinstance(prediction, Prediction)
    assert prediction.digit == 4
    assert sum(prediction.probabilities) == pytest.approx(1)
    assert prediction.probabilities == pytest.approx(Fixed().logits.softmax(0).tolist(), rel=1e-5)
    assert prediction.image.shape == (28, 28)


@pytest.mark.parametrize("mode, name", [("RGB", "large.jpg"), ("L", "large.png"), ("F", "large.tif")])
def test_a_large_picture_shrinks_to_the_same_digit(drawn, tmp_path, mode, name):
    path = save(drawn.resize((2000, 1600)).convert(mode), tmp_path, name)
    assert max(load_grey(path).shape) <= 400
    assert difference(prepare(path), prepare(save(drawn, tmp_path))) < 6


def test_a_line_one_pixel_thin_is_not_lost():
    ink = np.zeros((200, 200), np.float32)
    ink[174, 81:138] = 1
    image = to_mnist_format(ink)
    assert image.max() == 255 and (image > 0).any(axis=0).sum() == 20


def test_no_ink_has_no_format():
    with pytest.raises(ImageError, match="expected some ink, found none; look"):
        to_mnist_format(np.zeros((50, 50), np.float32))


@pytest.mark.parametrize("name", ["d.png", "d.jpg", "d.gif", "d.bmp", "d.tif", "d.webp", "d.pgm"])
def test_damaged_files_end_in_a_word_or_a_digit_but_never_in_a_traceback(digit, tmp_path, name):
    whole = save(Image.fromarray(255 - digit).resize((56, 56)), tmp_path, name).read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for attempt in range(24):
        data = bytearray(whole)
        if attempt % 2:
            data = data[: generator.integers(1, len(data))]
        else:
            for place in generator.integers(0, min(len(data), 300), 8):
                data[place] = generator.integers(256)
        path = tmp_path / f"damaged_{attempt}_{name}"
        path.write_bytes(data)
        try:
            assert prepare(path).shape == (28, 28)
        except ImageError as error:
            refused += 1
            assert str(error).startswith(f"{path}: expected") and "\n" not in str(error)
    assert refused > 0


@pytest.mark.parametrize("side", [1, 2, 12])
def test_tiny_pictures_do_not_fail_otherwise(digit, tmp_path, side):
    path = save(Image.fromarray(digit).resize((side, side)), tmp_path)
    try:
        assert prepare(path).shape == (28, 28)
    except ImageError:
        assert side < 12


def whole_png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_bomb(path, drawn):
    """Write a PNG that claims 30,000 x 30,000 pixels in a few bytes."""
    data = bytearray(whole_png(Image.new("1", (8, 8))))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)


def grain(level, deviation):
    noise = np.random.default_rng(0).normal(level, deviation, (200, 300))
    return noise.round().clip(0, 255).astype(np.uint8)


BAD_PICTURES = {
    "no such file": (lambda path, drawn: None, "nothing there"),
    "a folder": (lambda path, drawn: path.mkdir(), "a folder"),
    "an empty file": (lambda path, drawn: path.write_bytes(b""), "no content"),
    "a text": (lambda path, drawn: path.write_text("four"), "another kind of file"),
    "cut short": (lambda path, drawn: path.write_bytes(whole_png(drawn)[:700]), "whole, readable picture"),
    "a bomb": (write_bomb, "pixels"),
    "more than we take": (lambda path, drawn: Image.new("1", (8001, 8000)).save(path), "8001 x 8000 pixels"),
    "a program": (lambda path, drawn: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n"), "another kind of file"),
    "white paper": (lambda path, drawn: Image.new("L", (300, 200), 255).save(path), "blank"),
    "black paper": (lambda path, drawn: Image.new("L", (300, 200), 0).save(path), "blank"),
    "nothing at all": (lambda path, drawn: Image.new("RGBA", (300, 200)).save(path), "blank"),
    "grainy paper": (lambda path, drawn: Image.fromarray(grain(200, 3)).save(path), "blank"),
    "a dark and noisy photo": (lambda path, drawn: Image.fromarray(grain(60, 12)).save(path), "blank"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_what_cannot_be_read_gets_a_clear_word(drawn, tmp_path, name):
    path = tmp_path / "picture.png"
    write, words = BAD_PICTURES[name]
    write(path, drawn)
    with pytest.raises(ImageError) as error:
        prepare(path)
    message = str(error.value)
    assert message.startswith(f"{path}: expected")
    assert words in message
    assert "\n" not in message and ";" in message


# --- shadows, and paper without a digit


def shadow(height, width, *, corner):
    """Half of the picture, or a corner of it, in the hard shadow of something."""
    rows, columns = np.mgrid[:height, :width]
    dark = columns + 0.3 * rows > 0.6 * width
    if corner:
        dark &= rows - 0.3 * columns > 0.2 * height
    return np.where(dark, 0.5, 1.0)


def photograph(levels, path, seed=0):
    """Save grey levels, 0 to 1, with the noise of a camera."""
    noise = np.random.default_rng(seed).normal(0, 0.012, levels.shape)
    Image.fromarray(np.rint(255 * (0.9 * levels + noise)).clip(0, 255).astype(np.uint8)).save(
        path, quality=85
    )
    return path


def written(drawn, strength):
    """The drawn digit as grey levels, 0 to 1, its ink as dark as that."""
    return 1 - strength * (1 - np.asarray(drawn) / 255)


@pytest.mark.parametrize("strength", [1.0, 0.4], ids=["ink", "pencil"])
@pytest.mark.parametrize("corner", [False, True], ids=["half", "corner"])
def test_a_hard_shadow_is_no_ink(drawn, tmp_path, corner, strength):
    levels = written(drawn, strength)
    photo = photograph(levels * shadow(*levels.shape, corner=corner), tmp_path / "photo.jpg")
    assert difference(prepare(photo), prepare(save(drawn, tmp_path))) < 14


def squared(height, width):
    levels = np.ones((height, width))
    levels[::30] = levels[:, ::30] = 0.75
    return levels


@pytest.mark.parametrize("corner", [False, True], ids=["half", "corner"])
def test_a_shadow_on_blank_paper_is_no_digit(tmp_path, corner):
    with pytest.raises(ImageError, match="blank"):
        prepare(photograph(shadow(320, 400, corner=corner), tmp_path / "photo.jpg"))


def pencil(drawn, level=0.5):
    """The drawn digit as a pencil leaves it: pale, and in grains."""
    grains = np.random.default_rng(1).normal(1, 0.3, (drawn.height, drawn.width)).clip(0.2, 1.6)
    return written(drawn, level * grains)


@pytest.mark.parametrize("lines", [0.75, 0.6, 0.55])
def test_pencil_on_squares_as_dark_as_itself(drawn, tmp_path, lines):
    levels = pencil(drawn)
    ruled = np.zeros_like(levels, dtype=bool)
    ruled[::30] = ruled[:, ::30] = True
    photo = photograph(np.where(ruled, lines * levels, levels), tmp_path / "photo.jpg")
    assert difference(prepare(photo), prepare(save(drawn, tmp_path))) < 25


def desk(levels, *sides, width=0.08, level=0.2):
    """A dark desk beside the sheet, at these sides of the picture; the edges of the sheet are not quite straight."""
    height, length = levels.shape
    rows, columns = np.mgrid[:height, :length] / max(levels.shape)
    slant = 0.06 * (rows - columns)
    distance = {
        "left": columns + slant,
        "right": columns[0, -1] - columns + slant,
        "top": rows + slant,
        "bottom": rows[-1, 0] - rows + slant,
    }
    return np.where(np.any([distance[side] < width for side in sides], axis=0), level, levels)


@pytest.mark.parametrize("width", [0.03, 0.08, 0.15])
@pytest.mark.parametrize(
    "sides", [["left"], ["bottom"], ["top", "left"], ["left", "right"]], ids=lambda sides: "-".join(sides)
)
@pytest.mark.parametrize("strength", [1.0, 0.5], ids=["ink", "pencil"])
def test_the_desk_around_the_sheet_is_no_ink(drawn, tmp_path, sides, width, strength):
    levels = written(drawn, strength)
    light = np.linspace(1, 0.85, drawn.width)
    photo = photograph(light * desk(levels, *sides, width=width), tmp_path / "photo.jpg")
    assert difference(prepare(photo), prepare(save(drawn, tmp_path))) < 14


def test_a_bar_along_the_edge_of_a_drawing_is_part_of_the_digit(tmp_path):
    levels = np.full((300, 200), 255, np.uint8)
    levels[:30] = 0  # a 7 that was cropped to its box
    for row in range(30, 300):
        levels[row, 170 - row // 2 : 200 - row // 2] = 0
    seven = prepare(save(Image.fromarray(levels), tmp_path, "tight.png"))
    wide = prepare(save(Image.fromarray(np.pad(levels, 60, constant_values=255)), tmp_path, "wide.png"))
    assert difference(seven, wide) < 5
    photo = prepare(photograph(levels / 255, tmp_path / "photo.jpg"))
    assert difference(photo, wide) < 14


def test_blank_squared_paper_is_no_digit(tmp_path):
    with pytest.raises(ImageError, match="blank"):
        prepare(photograph(squared(320, 400), tmp_path / "photo.jpg"))


# --- several digits


def row_of(*digits, step=180, climb=0):
    picture = Image.new("L", (60 + step * len(digits), 320), 255)
    for number, digit in enumerate(digits):
        ink = Image.fromarray(digit).resize((170, 170), Image.Resampling.BICUBIC)
        picture.paste(0, (30 + step * number, 90 - climb * number), ink)
    return picture


@pytest.fixture(scope="module")
def four_digits():
    """A 4, a 0, a 7 and a 1, uint8 (28, 28)."""
    images, labels = load_raw("train")
    return [images[labels == label][0].numpy() for label in (4, 0, 7, 1)]


class ByShape(nn.Module):
    """Stands for a network: knows four digits by heart, and says which one an image resembles most."""

    def __init__(self, digits):
        super().__init__()
        known = torch.stack([torch.from_numpy(to_mnist_format(digit / np.float32(255))) for digit in digits])
        self.known = nn.Parameter(known.flatten(1).float())

    def forward(self, images):
        images = (images.flatten(1) - images.min()) / (images.max() - images.min()) * 255
        logits = torch.full((len(images), 10), -100.0)
        logits[:, [4, 0, 7, 1]] = -torch.cdist(images, self.known) / 100
        return logits


@pytest.mark.parametrize("count", [2, 3, 4])
def test_several_digits_are_counted_and_not_read_as_one(four_digits, tmp_path, count):
    path = save(row_of(*four_digits[:count]), tmp_path)
    with pytest.raises(ImageError, match=f"expected one digit, found {count} digits; .* --number"):
        prepare(path)


@pytest.mark.parametrize("climb", [0, 20])
def test_a_row_is_read_from_left_to_right(four_digits, tmp_path, climb):
    path = save(row_of(*four_digits, climb=climb), tmp_path)
    predictions = predict_number(ByShape(four_digits), path)
    assert [prediction.digit for prediction in predictions] == [4, 0, 7, 1]
    for prediction in predictions:
        assert sum(prediction.probabilities) == pytest.approx(1)
        assert prediction.probabilities[prediction.digit] == max(prediction.probabilities)


def test_digits_that_touch_are_cut(four_digits, tmp_path):
    path = save(row_of(four_digits[0], four_digits[1], step=90), tmp_path)
    assert len(split_digits(find_ink(load_grey(path)))) == 1, "they should touch"
    assert [prediction.digit for prediction in predict_number(ByShape(four_digits), path)] == [4, 0]


def test_one_digit_is_a_number_too(four_digits, tmp_path):
    path = save(row_of(four_digits[1]), tmp_path)
    (only,) = predict_number(ByShape(four_digits), path)
    assert only == predict(ByShape(four_digits), path)


def test_rows_above_one_another_are_no_number(four_digits, tmp_path):
    picture = Image.new("L", (300, 640), 255)
    for number, digit in enumerate(four_digits[:2]):
        picture.paste(row_of(digit), (20, 320 * number))
    with pytest.raises(ImageError, match="expected one row of digits, found 2 digits above one another"):
        predict_number(ByShape(four_digits), save(picture, tmp_path))


def test_strokes_that_do_not_meet_are_one_digit(tmp_path):
    for name, strokes in {
        "a 5 with its bar off": [
            (40, 60, 52, 200),
            (70, 60, 160, 74),
            (150, 60, 162, 190),
            (150, 178, 254, 192),
            (240, 60, 254, 190),
        ],
        "an open 4": [(40, 60, 150, 74), (140, 60, 152, 150), (60, 165, 280, 180)],
    }.items():
        levels = np.full((320, 300), 255, np.uint8)
        for top, left, bottom, right in strokes:
            levels[top:bottom, left:right] = 0
        path = save(Image.fromarray(levels), tmp_path)
        assert prepare(path).shape == (28, 28), name


def test_hardly_any_of_mnist_s_digits_counts_as_several():
    images, _ = load_raw("validation")
    levels = images[:300].numpy().astype(np.float32) / 255
    assert sum(len(split_digits(find_ink(image))) > 1 for image in levels) <= 3


# --- limits


def test_a_large_webp_is_refused_before_it_is_decoded(tmp_path):
    path = save(Image.new("L", (6000, 4001), 255), tmp_path, "large.webp", lossless=True, quality=0, method=0)
    with pytest.raises(ImageError, match="at most 24,000,000 pixels, found 6000 x 4001 pixels"):
        prepare(path)


def truncated_jpeg(path, drawn):
    buffer = io.BytesIO()
    drawn.save(buffer, "JPEG")
    path.write_bytes(buffer.getvalue()[:1500])


def large(mode):
    def write(path, drawn):
        picture = drawn.convert(mode).resize((7906, 6325), Image.Resampling.NEAREST)
        picture.save(path, **({"compress_level": 1} if path.suffix == ".png" else {}))

    return write


def a_page(path, drawn):
    picture = Image.new("L", (900, 700), 255)
    for left, top in [(20, 10), (450, 350), (480, 20)]:
        picture.paste(drawn, (left, top))
    picture.save(path)


# What a stranger may hand over, and a word of the answer; None where it is read.
TRIALS = {
    **{f"{name}.png": trial for name, trial in BAD_PICTURES.items()},
    "cut short.jpg": (truncated_jpeg, "whole, readable picture"),
    "several digits.png": (a_page, "expected one digit, found 3 digits"),
    "fifty million pixels.jpg": (large("RGB"), None),
    "fifty million pixels.png": (large("RGB"), None),
    "fifty million pixels, grey.png": (large("L"), None),
    "fifty million pixels, transparent.png": (large("RGBA"), None),
    "fifty million pixels, floats.tif": (large("F"), None),
}

# The parent loads the libraries; each picture is read in a child, whose time and memory the system counts. Another
# child, just before, does what must be done: it decodes the file with Pillow alone, and reads a small picture.
SCRIPT = """
import json, os, sys
from PIL import Image
from digitlib.predict import ImageError, prepare

good, *paths = sys.argv[1:]
prepare(good)

def decode_only(path):
    with Image.open(path) as picture:
        picture.draft("RGB", (400, 400))
        picture.load()
    prepare(good)

def in_child(function, path):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            function(path)
            word = ""
        except ImageError as error:
            word = str(error)
        except BaseException as error:
            word = f"a traceback: {error!r}"
        os.write(writer, word.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        word = pipe.read()
    _, status, used = os.wait4(child, 0)
    return status, word, used.ru_utime + used.ru_stime, used.ru_maxrss

for path in paths:
    yardstick = in_child(decode_only, path)[2]
    print(json.dumps([path, yardstick, *in_child(prepare, path)]))
"""


@pytest.fixture(scope="module")
def trials(drawn, tmp_path_factory):
    """Read every picture of TRIALS; return {name: (yardstick, exit status, message, seconds of the processor, kB)}."""
    folder = tmp_path_factory.mktemp("trials")
    for name, (write, _) in TRIALS.items():
        write(folder / name, drawn)
    good = save(drawn, tmp_path_factory.mktemp("good"))
    command = [sys.executable, "-c", SCRIPT, str(good), *(str(folder / name) for name in TRIALS)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in TRIALS:
        if (folder / name).is_file():
            (folder / name).unlink()  # half a gigabyte
    answers = (json.loads(line) for line in run.stdout.splitlines())
    return {Path(path).name: rest for path, *rest in answers}


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and memory in kilobytes")
@pytest.mark.parametrize("name", TRIALS)
def test_nothing_takes_two_seconds_or_a_gigabyte(trials, name):
    yardstick, status, message, seconds, kilobytes = trials[name]
    assert status == 0
    words = TRIALS[name][1]
    assert message == "" if words is None else words in message and "traceback" not in message
    # Of the processor, not of the clock on the wall. Fifty million pixels, decoded alone, take a third of a second on a
    # laptop; a machine that is slower than that is allowed as many times more than what must be done anyway.
    assert seconds < max(2, 0.3 + 2.5 * yardstick)
    assert kilobytes < 1_000_000
