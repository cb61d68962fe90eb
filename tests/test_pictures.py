"""From a file of any kind to the writing on it: what is ink is known for every pixel, for the tests drew it."""

import io
import random
import subprocess
import sys
import zlib

import numpy as np
import PIL
import pytest
import scipy
from PIL import Image, ImageDraw

from digitlib.pictures import ImageError, even_light, find_ink, load_grey
from tests.photographs import CONDITIONS, photograph, written


@pytest.fixture(scope="module")
def four():
    """A four of strokes, dark on light: it is the same neither mirrored, nor turned, nor upside down."""
    ink = written([4], random.Random(1), "clean", styles=[0])
    return photograph(ink, random.Random(1), "clean")


def save(picture, folder, name="picture.png", **options):
    picture.save(folder / name, **options)
    return folder / name


def assert_found(ink, drawn, *, missed=0.03, wrong=0.02):
    """The ink that was found is what was drawn: nearly all of the strokes' cores, and next to nothing far from them."""
    if ink.shape != drawn.shape:
        small = Image.fromarray(drawn.astype(np.float32)).resize(ink.shape[::-1], Image.Resampling.BOX)
        drawn = np.asarray(small)
    is_near = scipy.ndimage.binary_dilation(drawn > 0.05, iterations=3)
    core = drawn > 0.6 * drawn.max()
    assert (ink[core] == 0).mean() <= missed, f"{(ink[core] == 0).mean():.1%} of the strokes missed"
    assert ink[~is_near].sum() <= wrong * ink.sum(), f"{ink[~is_near].sum() / ink.sum():.1%} is no ink"


# --- files


def in_mode(picture, mode):
    levels = np.asarray(picture)
    if mode == "I;16":
        return Image.fromarray(levels.astype(np.uint16) * 257)
    if mode in ("I", "F"):
        return Image.fromarray(levels.astype(np.int32 if mode == "I" else np.float32))
    return picture.convert(mode)


def test_every_mode_shows_the_same_grey(four, tmp_path):
    expected = np.asarray(four) / 255
    modes = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"]
    if int(PIL.__version__.split(".")[0]) >= 13:  # earlier ones cannot read their own TIFF of this mode
        modes.append("YCbCr")
    for mode in modes:
        picture = in_mode(four, mode)
        assert picture.mode == mode
        name = "picture.tif" if mode in ("CMYK", "YCbCr", "F", "I") else "picture.png"
        grey = load_grey(save(picture, tmp_path, name))
        assert (
            grey.shape == expected.shape and grey.dtype == np.float32 and 0 <= grey.min() <= grey.max() <= 1
        )
        assert np.abs(grey - expected).mean() < 0.005, mode


@pytest.mark.parametrize("lowest, highest", [(-3.4e38, 3.4e38), (0, 1e-3), (-7, -5)])
def test_floats_of_any_range_show_the_same_grey(four, tmp_path, lowest, highest):
    shares = np.asarray(four, np.float64) / 255
    levels = lowest + shares * highest - shares * lowest
    grey = load_grey(save(Image.fromarray(levels.astype(np.float32)), tmp_path, "picture.tif"))
    assert np.abs(grey - shares).mean() < 0.005
    assert_found(find_ink(grey), 1 - shares)


def test_the_camera_s_rotation_is_undone(four, tmp_path):
    turns = (
        Image.Transpose
    )  # how a camera held in each of the eight ways stores a picture that is upright to the eye
    stored = [None, turns.FLIP_LEFT_RIGHT, turns.ROTATE_180, turns.FLIP_TOP_BOTTOM, turns.TRANSPOSE]
    stored += [turns.ROTATE_90, turns.TRANSVERSE, turns.ROTATE_270]
    for orientation, turn in enumerate(stored, start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = four if turn is None else four.transpose(turn)
        for name in ("turned.jpg", "turned.png", "turned.tif", "turned.webp"):
            grey = load_grey(save(picture, tmp_path, name, exif=exif))
            assert grey.shape == four.size[::-1], (name, orientation)
            assert np.abs(grey - np.asarray(four) / 255).mean() < 0.02, (name, orientation)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 60, 200)])
def test_ink_of_any_colour_on_nothing_is_dark_on_light(four, tmp_path, colour):
    picture = Image.new("RGBA", four.size, (*colour, 0))
    picture.putalpha(Image.fromarray(255 - np.asarray(four)))
    assert load_grey(save(picture, tmp_path)) == pytest.approx(np.asarray(four) / 255, abs=0.02)


def test_a_transparent_frame_around_paper_is_paper(four, tmp_path):
    picture = Image.new("RGBA", (four.width + 60, four.height + 60), (0, 0, 0, 0))
    picture.paste(four.convert("RGBA"), (30, 30))
    assert_found(find_ink(load_grey(save(picture, tmp_path))), np.pad(1 - np.asarray(four) / 255, 30))


@pytest.mark.parametrize("mode, name", [("RGB", "large.jpg"), ("L", "large.png"), ("F", "large.tif")])
def test_a_large_picture_shrinks(four, tmp_path, mode, name):
    grey = load_grey(save(four.resize((1600, 2000)).convert(mode), tmp_path, name))
    assert grey.shape == (400, 320)
    assert np.abs(grey - np.asarray(four.resize((320, 400))) / 255).mean() < 0.01


# --- light and ink


@pytest.mark.parametrize("is_negative", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_ink_is_what_was_drawn(condition, is_negative):
    for digit in range(0, 10, 2):
        rng = random.Random(digit)
        drawn = written([digit + is_negative], rng, condition)
        picture = photograph(drawn, rng, condition, is_negative=is_negative)
        assert_found(find_ink(np.asarray(picture, np.float32) / 255), drawn, missed=0.05, wrong=0.05)


BOARDS = {
    "even": lambda rows, columns: 60 + 0 * rows,
    "lighter edges": lambda rows, columns: 60 + 80 * np.hypot(rows - 0.5, columns - 0.5),
    "lit from the left": lambda rows, columns: 110 - 60 * columns,
    "a magnet": lambda rows, columns: np.where(np.hypot(rows - 0.1, columns - 0.9) < 0.04, 8, 70),
}


@pytest.mark.parametrize("board", BOARDS)
def test_chalk_on_a_board_is_ink_and_the_board_is_not(board):
    for digit in (1, 4, 7, 8):
        drawn = written([digit], random.Random(digit), "plain")
        side = max(drawn.shape) + 60
        drawn = np.pad(drawn, [((side - n) // 2, side - n - (side - n) // 2) for n in drawn.shape])
        levels = BOARDS[board](*np.mgrid[:side, :side] / side) * (1 - drawn) + 215 * drawn
        levels += np.random.default_rng(digit).normal(0, 3, levels.shape)
        assert_found(find_ink((levels / 255).clip(0, 1).astype(np.float32)), drawn, missed=0.05)


def test_even_light_is_nought_on_paper_and_tells_photographs():
    drawn = written([3], random.Random(3), "plain")
    for condition, is_photo in {"clean": False, "plain": True}.items():
        grey = np.asarray(photograph(drawn, random.Random(3), condition), np.float32) / 255
        dark, told = even_light(grey)
        assert told == is_photo and dark.dtype == np.float32 and 0 <= dark.min() <= dark.max() <= 1
        assert dark[drawn == 0].mean() < 0.06 and dark[drawn == 1].mean() > 0.5


def in_uneven_light(drawn, *, gleam):
    """Photograph writing across the edge of a hard shadow, with a lamp's gleam of some strength in the shadow."""
    rows, columns = np.mgrid[: len(drawn), : drawn.shape[1]] / max(drawn.shape)
    levels = np.where(columns + 0.2 * rows < 0.6, 0.5, 0.9) * (1 - 0.8 * drawn)
    levels += gleam * np.exp(-((columns - 0.4) ** 2 + (rows - 0.45) ** 2) / (2 * 0.02**2))
    levels *= 1 - 0.2 * rows
    levels += np.random.default_rng(0).normal(0, 0.015, levels.shape)
    return levels.clip(0, 1).astype(np.float32)


def test_a_gleam_in_a_shadow_is_no_ink():
    for digit in range(0, 10, 3):
        drawn = written([digit], random.Random(digit), "thin")
        assert_found(find_ink(in_uneven_light(drawn, gleam=0.4)), drawn, missed=0.05, wrong=0.05)


def test_a_blot_is_ink_as_far_as_it_reaches():
    for radius in (0.1, 0.2, 0.3):
        rows, columns = np.mgrid[:300, :300] / 300
        blot = np.hypot(rows - 0.6, columns - 0.5) < radius
        stem = (np.abs(columns - 0.5 + radius) < 0.03) & (np.abs(rows - 0.35) < 0.28)
        assert_found(find_ink(in_uneven_light(1.0 * (blot | stem), gleam=0)), 1.0 * (blot | stem))


def test_a_digit_that_fills_its_picture_keeps_its_grey_edges_and_loses_nothing():
    ring = np.hypot(*(np.mgrid[:60, :60] - 29.5))
    drawn = np.clip(30.5 - ring, 0, 1) * np.clip(ring - 22.5, 0, 1)
    ink = find_ink((1 - drawn).astype(np.float32))
    assert ink == pytest.approx(drawn, abs=0.1) and (ink[drawn == 0] == 0).all()


def test_a_bar_along_the_edge_of_a_drawing_is_part_of_the_digit():
    drawn = np.zeros((300, 200))
    drawn[:30] = 1  # a 7 that was cropped to its box
    for row in range(30, 300):
        drawn[row, 170 - row // 2 : 200 - row // 2] = 1
    assert_found(find_ink((1 - drawn).astype(np.float32)), drawn)


# --- what cannot be read


def whole_png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_bomb(path, four):
    """Write a PNG that claims 30,000 x 30,000 pixels in a few bytes."""
    data = bytearray(whole_png(Image.new("1", (8, 8))))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)


def write_webp(path, four):
    Image.new("L", (6000, 4001), 255).save(path, "WEBP", lossless=True, quality=0, method=0)


def write_nans(path, four):
    Image.fromarray(np.full((20, 20), np.nan, np.float32)).save(path, "TIFF")


BAD_PICTURES = {
    "no such file": (lambda path, four: None, "nothing there"),
    "a folder": (lambda path, four: path.mkdir(), "a folder"),
    "an empty file": (lambda path, four: path.write_bytes(b""), "no content"),
    "a text": (lambda path, four: path.write_text("four"), "another kind of file"),
    "a program": (lambda path, four: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n"), "another kind of file"),
    "cut short": (lambda path, four: path.write_bytes(whole_png(four)[:700]), "whole, readable picture"),
    "a bomb": (write_bomb, "pixels"),
    "more than we take": (lambda path, four: Image.new("1", (8001, 8000)).save(path), "8001 x 8000 pixels"),
    "a large WebP": (write_webp, "at most 24,000,000 pixels, found 6000 x 4001 pixels"),
    "white paper": (lambda path, four: Image.new("L", (300, 200), 255).save(path), "blank"),
    "black paper": (lambda path, four: Image.new("L", (300, 200), 0).save(path), "blank"),
    "nothing at all": (lambda path, four: Image.new("RGBA", (300, 200)).save(path), "blank"),
    "not a number": (write_nans, "blank"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_what_cannot_be_read_gets_a_clear_word(four, tmp_path, name):
    path = tmp_path / "picture.png"
    write, words = BAD_PICTURES[name]
    write(path, four)
    with pytest.raises(ImageError, match="^expected [^\n]+$") as error:
        find_ink(load_grey(path))
    assert words in str(error.value)


# So many of forty blank sheets may be taken for writing.
TAKEN = {"plain": 0, "ruled": 0, "squared": 1, "shadow": 1, "desk": 0}


@pytest.mark.parametrize("condition", TAKEN)
def test_blank_paper_is_refused(condition):
    taken = []
    for seed in range(40):
        rng = random.Random(seed)
        photo = photograph(np.zeros((220, 300)), rng, condition, is_negative=seed % 2 == 1)
        try:
            find_ink(np.asarray(photo, np.float32) / 255)
            taken.append(seed)
        except ImageError as error:
            assert "blank" in str(error)
    assert len(taken) <= TAKEN[condition], taken


@pytest.mark.parametrize("name", ["d.png", "d.jpg", "d.gif", "d.bmp", "d.tif", "d.webp", "d.pgm"])
def test_damaged_files_end_in_a_word_or_a_digit_but_never_in_a_traceback(four, tmp_path, name):
    whole = save(four.resize((40, 56)), tmp_path, name).read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for attempt in range(16):
        data = bytearray(whole)
        if attempt % 2:
            data = data[: generator.integers(1, len(data))]
        else:
            for place in generator.integers(0, min(len(data), 300), 8):
                data[place] = generator.integers(256)
        (tmp_path / name).write_bytes(data)
        try:
            assert find_ink(load_grey(tmp_path / name)).max() > 0
        except ImageError as error:
            refused += 1
            assert str(error).startswith("expected") and "\n" not in str(error)
    assert refused > 0


# --- limits. A child reads all files; the system counts its memory, and ends it after ten seconds of the processor for
# one, several times what is promised: what this keeps from coming back took two minutes.
SCRIPT = """
import resource, sys
from digitlib.predict import ImageError, find_ink, load_grey, split_digits
used = lambda: resource.getrusage(resource.RUSAGE_SELF)
libraries = used().ru_maxrss
for path in sys.argv[1:]:
    resource.setrlimit(resource.RLIMIT_CPU, (int(used().ru_utime + used().ru_stime) + 10, resource.RLIM_INFINITY))
    try:
        answer = f"{len(split_digits(find_ink(load_grey(path))))} digit"
    except ImageError as error:
        answer = error
    print(used().ru_maxrss - libraries, answer)
"""


def page_of_text(four):
    page = Image.new("L", (1200, 1600), 255)
    for row in range(20, 1580, 30):
        ImageDraw.Draw(page).text(
            (20, row), "All work and no play makes Jack a dull boy. " * 3, fill=0, font_size=20
        )
    return page


def uneven_dots(four):
    """Draw 400 dots, no two of a size."""
    rows, columns = np.mgrid[:400, :400]
    radii = np.linspace(2, 9, 400).reshape(20, 20)[rows // 20, columns // 20]
    return Image.fromarray(np.hypot(rows % 20 - 10, columns % 20 - 10) > radii)


HOSTILE = {
    "fifty million pixels.jpg": (lambda four: four.convert("RGB").resize((7906, 6325), 0), "1 digit"),
    "fifty million pixels, transparent.png": (
        lambda four: four.convert("RGBA").resize((7906, 6325), 0),
        "1 digit",
    ),
    "fifty million pixels, floats.tif": (lambda four: four.convert("F").resize((7906, 6325), 0), "1 digit"),
    "dots.png": (
        lambda four: Image.fromarray(np.hypot(*(np.mgrid[:400, :400] % 8 - 4)) > 2.5),
        "found 2500 pieces",
    ),
    "uneven dots.png": (uneven_dots, "pieces; crop the picture"),
    "text.png": (page_of_text, "expected a digit"),
    # Neither paper nor ink: any answer will do, so long as it comes soon.
    "squares.png": (lambda four: Image.fromarray((np.indices((400, 400)) // 7).sum(0) % 2 > 0), ""),
    "lines.png": (
        lambda four: Image.fromarray(np.pad(np.indices((390, 390))[0] % 4 > 0, 5, constant_values=1)),
        "",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kilobytes")
def test_nothing_takes_long_or_half_a_gigabyte(four, tmp_path):
    paths = [
        save(paint(four), tmp_path, name, **({"compress_level": 1} if name.endswith("png") else {}))
        for name, (paint, _) in HOSTILE.items()
    ]
    run = subprocess.run([sys.executable, "-c", SCRIPT, *paths], capture_output=True, text=True)
    for path in paths:
        path.unlink()  # up to 200 MB
    assert run.returncode == 0, run.stdout + run.stderr
    for line, (name, (_, answer)) in zip(run.stdout.splitlines(), HOSTILE.items(), strict=True):
        assert int(line.split()[0]) < 500_000 and answer in line, name


def test_pictures_of_very_few_pixels_do_not_fail_otherwise():
    generator = np.random.default_rng(0)
    for height, width in [
        (1, 1),
        (1, 7),
        (7, 1),
        (2, 2),
        (3, 5),
        (12, 12),
        (1, 400),
        (400, 1),
        (65, 2),
        (2, 400),
    ]:
        for levels in (np.zeros, np.ones, generator.random):
            grey = levels((height, width)).astype(np.float32)
            try:
                assert find_ink(grey).shape == grey.shape
            except ImageError as error:
                assert "blank" in str(error)
