"""What every run of pytest here needs: no network, and pictures that `pytest --nbval` compares too.

nbval re-executes the notebooks and compares their text with the stored text, but it passes over pictures. Here each
re-drawn picture is compared with the stored one, pixel by pixel after a slight blur. A cell with the tag
`picture-varies` draws the outcome of a training, which differs a little between processors, or between one thread and
two: every colour of its picture has to be near where it was, so another plot or a lost curve still fails.
"""

import base64
import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import scipy
from nbval.plugin import IPyNbCell
from PIL import Image, ImageFilter

from tools.notebooks import merge_streams
from tools.tolerances import within_tolerance

OFFLINE = Path(__file__).parent / "tests" / "offline"
MAY_VARY = "picture-varies"
LARGEST_DIFFERENCE = 0.12  # of one blurred pixel, where 1 is black against white; the same plot has 0.00
LARGEST_CHANGE = 0.5  # of a colour's pixels that are near none of it, where the picture may vary
REACH = 16  # pixels: a curve of another processor is that near
SHADE = 40  # of 255 levels: one colour
FEWEST_PIXELS = 30  # of a colour that is drawn, not where two meet
SIZE_DIFFERENCE = 8  # pixels: an axis label one digit longer moves the edges a little

strict_compare = IPyNbCell.compare_outputs


def pytest_configure():
    """Cut this process, and every Python process that it starts, off from the network."""
    # How threads wait: for this process, before torch is imported, and for the kernels and processes it starts. The
    # kernel's specification says the same, but nbval takes this Python's own kernel, which has none.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "PYTEST_XDIST_WORKER" in os.environ:
        # A core for each process: threads beyond that wait for one another.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["DIGITLIB_STILL"] = "1"  # the notebooks' widgets show the still that is stored
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(OFFLINE) not in path:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), *filter(None, path)])
    spec = importlib.util.spec_from_file_location("digitlib_offline", OFFLINE / "sitecustomize.py")
    offline = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(offline)
    offline.cut_off()
    IPyNbCell.compare_outputs = compare_outputs


def pytest_runtest_setup(item):
    if isinstance(item, IPyNbCell):
        item.output_timeout = 60  # seconds; nbval's own 5 are few on a busy machine


def compare_outputs(cell: IPyNbCell, test, ref, skip_compare=None) -> bool:
    """Compare a cell's text as nbval does, but for numbers that may vary a little; then the order, then pictures."""
    if varies := cell.cell.metadata.get("digitlib", {}).get("varies"):
        test, complaints = within_tolerance(merge_streams(test), ref, varies)
        if complaints:
            cell.comparison_traceback = complaints
            return False
    if not strict_compare(cell, test, ref, skip_compare):
        return False
    loosely = MAY_VARY in cell.cell.metadata.get("tags", [])
    order = compare_order(ref, test)
    cell.comparison_traceback = order or compare_pictures(pictures(ref), pictures(test), loosely)
    return not cell.comparison_traceback


def compare_order(stored, put_out) -> list[str]:
    """Return a line where outputs came in another order, or are of other kinds, whatever nbval passes over."""
    old, new = kinds(stored), kinds(put_out)
    return [] if old == new else [f"expected outputs in the order {old}, got {new}; run `make notebooks`"]


def kinds(outputs) -> list[str]:
    """Return what each output is; where the kernel cuts a print in two is a matter of chance."""
    found = [output.get("name") or " or ".join(sorted(output.get("data", {}))) for output in outputs]
    return [
        kind for i, kind in enumerate(found) if kind not in ("stdout", "stderr") or found[i - 1 : i] != [kind]
    ]


def pictures(outputs) -> list[Image.Image]:
    """Return the PNG pictures among a cell's outputs, on white, at the size at which a page shows them."""
    found = []
    for output in (output for output in outputs if "image/png" in output.get("data", {})):
        picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))).convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        shown = output.get("metadata", {}).get("image/png", {}).get("width", picture.width)
        found.append(picture.reduce(round(picture.width / shown)))
    return found


def compare_pictures(stored: list[Image.Image], drawn: list[Image.Image], loosely: bool = False) -> list[str]:
    """Return a line for each picture that differs from the stored one; an empty list where all agree."""
    next_step = "look at the cell; if the new picture is right, run `make notebooks`"
    if len(stored) != len(drawn):
        return [f"expected the {len(stored)} stored pictures, got {len(drawn)}; {next_step}"]
    limit = LARGEST_CHANGE if loosely else LARGEST_DIFFERENCE
    if loosely:
        next_step += "; where the training only came out otherwise, fix the limits of the axes"
    else:
        next_step += f"; where it draws the outcome of a training, tag it {MAY_VARY}"
    difference_of = colour_difference if loosely else pixel_difference
    differences = [difference_of(old, new) for old, new in zip(stored, drawn, strict=True)]
    return [
        f"picture {number} differs from the stored one by {difference:.2f}, more than {limit}; {next_step}"
        for number, difference in enumerate(differences, 1)
        if difference > limit
    ]


def pixel_difference(old: Image.Image, new: Image.Image) -> float:
    """Return the largest difference of a pixel. Equal is 0, another size 1."""
    if max(abs(a - b) for a, b in zip(old.size, new.size, strict=True)) > SIZE_DIFFERENCE:
        return 1.0
    blur = ImageFilter.GaussianBlur(2)
    old, new = (np.asarray(each.resize(old.size).convert("RGB").filter(blur)) / 255 for each in (old, new))
    return float(np.abs(old - new).max())


def colour_difference(old: Image.Image, new: Image.Image) -> float:
    """Return the largest share of a colour's pixels that have none of it near them in the other picture.

    A curve that moved a little is near; one that was rubbed out, or added, is not, whatever else is drawn.
    """
    if max(abs(a - b) for a, b in zip(old.size, new.size, strict=True)) > SIZE_DIFFERENCE:
        return 1.0
    box = (0, 0, *map(min, old.size, new.size))
    old, new = (np.asarray(each.crop(box).convert("RGB"), int) for each in (old, new))
    shares = [0.0]
    for one, other in ((old, new), (new, old)):
        for colour in drawn_colours(one):
            here, there = (np.abs(each - colour).max(axis=2) <= SHADE for each in (one, other))
            near = scipy.ndimage.maximum_filter(there, 2 * REACH + 1)
            shares.append((here & ~near).sum() / here.sum())
    return float(max(shares))


def drawn_colours(picture: np.ndarray) -> list[np.ndarray]:
    """Return the colours that a picture is drawn with, the paper's aside: those of many pixels, shades left out."""
    codes, counts = np.unique(picture @ [256**2, 256, 1], return_counts=True)
    colours = codes[:, None] // [256**2, 256, 1] % 256
    found = []
    for number in counts.argsort()[::-1][: (counts >= FEWEST_PIXELS).sum()]:
        if all(np.abs(colours[number] - other).max() > 1.5 * SHADE for other in found):
            found.append(colours[number])
    return found[1:]
