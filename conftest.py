"""What every run of pytest here needs: no network, and pictures that `pytest --nbval` compares too.

nbval re-executes the notebooks and compares their text with the stored text, but it passes over pictures. Here each
re-drawn picture is compared with the stored one, pixel by pixel after a slight blur. A cell with the tag
`picture-varies` draws the outcome of a training, which differs a little between processors, or between one thread and
two: its picture may differ by that much, and another plot still fails.
"""

import base64
import importlib.util
import io
import os
from pathlib import Path

import numpy as np
from nbval.plugin import IPyNbCell
from PIL import Image, ImageFilter

from tools.notebooks import merge_streams
from tools.tolerances import within_tolerance

OFFLINE = Path(__file__).parent / "tests" / "offline"
MAY_VARY = "picture-varies"
LARGEST_DIFFERENCE = 0.12  # of one blurred pixel, where 1 is black against white; the same plot has 0.00
LARGEST_CHANGE = 0.35  # of the ink, where the picture may vary: up to 0.31 measured, another plot from 0.37
SIZE_DIFFERENCE = 8  # pixels: an axis label one digit longer moves the edges a little

strict_compare = IPyNbCell.compare_outputs


def pytest_configure():
    """Cut this process, and every Python process that it starts, off from the network."""
    # How threads wait: for this process, before torch is imported, and for the kernels and processes it starts. The
    # kernel's specification says the same, but nbval takes this Python's own kernel, which has none.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if (
        "PYTEST_XDIST_WORKER" in os.environ
    ):  # a core for each process: threads beyond that wait for one another
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
    """Compare a cell's text as nbval does, but for numbers that may vary a little; then its pictures."""
    if varies := cell.cell.metadata.get("digitlib", {}).get("varies"):
        test, complaints = within_tolerance(merge_streams(test), ref, varies)
        if complaints:
            cell.comparison_traceback = complaints
            return False
    if not strict_compare(cell, test, ref, skip_compare):
        return False
    loosely = MAY_VARY in cell.cell.metadata.get("tags", [])
    cell.comparison_traceback = compare_pictures(pictures(ref), pictures(test), loosely)
    return not cell.comparison_traceback


def pictures(outputs) -> list[Image.Image]:
    """Return the PNG pictures among a cell's outputs, on white."""
    data = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    opened = [Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA") for png in data]
    return [Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture) for picture in opened]


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
    differences = [picture_difference(old, new, loosely) for old, new in zip(stored, drawn, strict=True)]
    return [
        f"picture {number} differs from the stored one by {difference:.2f}, more than {limit}; {next_step}"
        for number, difference in enumerate(differences, 1)
        if difference > limit
    ]


def picture_difference(old: Image.Image, new: Image.Image, loosely: bool = False) -> float:
    """Return the largest difference of a pixel; loosely, the share of the ink that has changed. Equal is 0, other 1."""
    if max(abs(a - b) for a, b in zip(old.size, new.size, strict=True)) > SIZE_DIFFERENCE:
        return 1.0
    blur = ImageFilter.GaussianBlur(4 if loosely else 2)
    old, new = (np.asarray(each.resize(old.size).convert("RGB").filter(blur)) / 255 for each in (old, new))
    if not loosely:
        return float(np.abs(old - new).max())
    paper = np.median(old.reshape(-1, 3), axis=0)
    ink = (np.abs(old - paper).sum() + np.abs(new - paper).sum()) / 2
    return float(np.abs(old - new).sum() / max(ink, 1.0))
