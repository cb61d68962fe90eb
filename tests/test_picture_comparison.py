"""`pytest --nbval` compares pictures too (conftest.py): the same plot passes, and another one fails."""

import base64
import copy
import io
import os
import random
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from conftest import compare_order, compare_pictures
from digitlib.plotting import named_curves
from tools.notebooks import as_text, execute, normalise

ROOT = Path(__file__).parents[1]
TINY = [
    "import matplotlib.pyplot as plt",
    "print('value', 42)",
    "plt.figure(figsize=(3, 2))\nplt.plot([1, 4, 9])\nplt.show()",
    "plt.figure(figsize=(3, 2))\nplt.plot([9, 4, 1])\nplt.show()",
]


def change_a_digit(notebook):
    notebook.cells[1].outputs[0].text = "value 43\n"


def swap_the_pictures(notebook):
    first, second = notebook.cells[2:]
    first.outputs, second.outputs = second.outputs, first.outputs


def blank_a_picture(notebook):
    data = notebook.cells[3].outputs[0].data
    size = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size
    file = io.BytesIO()
    Image.new("RGB", size, "white").save(file, "PNG")
    data["image/png"] = base64.b64encode(file.getvalue()).decode()


def store_a_picture_twice(notebook):
    data = notebook.cells[2].outputs[0].data
    notebook.cells[1].outputs.append(
        nbformat.v4.new_output("display_data", data={"image/png": data["image/png"]})
    )


# Which cells of the tiny notebook must fail after which changes.
CHANGES = {
    "honest": ([], []),
    "changed": ([change_a_digit, swap_the_pictures], [1, 2, 3]),
    "one more": ([store_a_picture_twice, blank_a_picture], [1, 3]),
}


def test_nbval_finds_a_changed_digit_and_a_changed_picture(tmp_path):
    honest = new_notebook(cells=[new_code_cell(source) for source in TINY])
    execute(honest, tmp_path / "honest.ipynb")
    expected = set()
    for name, (changes, failing) in CHANGES.items():
        notebook = copy.deepcopy(honest)
        for change in changes:
            change(notebook)
        (tmp_path / f"{name}.ipynb").write_text(as_text(normalise(notebook)), encoding="utf-8")
        expected |= {f"{name}.ipynb::Cell {number}" for number in failing}

    pytest_with_our_settings = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        ROOT / "pyproject.toml",
        "-p",
        "conftest",
    ]
    run = subprocess.run(
        [
            *pytest_with_our_settings,
            "--rootdir",
            tmp_path,
            "-p",
            "no:cacheprovider",
            "-rf",
            "--nbval",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])},
    )
    lines = [line.split(" - ")[0] for line in run.stdout.splitlines() if line.startswith("FAILED")]
    failed = {line.split("/")[-1] for line in lines}
    assert failed == expected, run.stdout + run.stderr
    assert f"{len(CHANGES) * len(TINY) - len(expected)} passed" in run.stdout
    assert "picture 1 differs from the stored one by" in run.stdout
    assert "make notebooks" in run.stdout


def drawn(*curves, title="loss", kind="plot"):
    """Return a small picture of some curves."""
    figure, ax = plt.subplots(figsize=(4, 3))
    for curve in curves:
        getattr(ax, kind)(range(len(curve)), curve)
    ax.set(xlabel="epoch", title=title)
    file = io.BytesIO()
    figure.savefig(file, dpi=100, bbox_inches="tight")
    plt.close(figure)
    return Image.open(file).convert("RGBA")


FALLING = 2.3 * np.exp(-np.arange(10) / 3)


def test_the_same_picture_passes():
    assert compare_pictures([drawn(FALLING)], [drawn(FALLING * (1 + 1e-7))]) == []


@pytest.mark.parametrize(
    "other",
    [
        drawn(FALLING[::-1]),
        drawn(FALLING, FALLING / 2),
        drawn(FALLING, kind="bar"),
        drawn(FALLING, title="accuracy"),
        drawn(np.append(FALLING[:-1], 1.0)),
    ],
    ids=["another curve", "one more", "bars", "another title", "another last point"],
)
def test_another_picture_fails(other):
    (complaint,) = compare_pictures([drawn(FALLING)], [other])
    assert complaint.startswith("picture 1 differs")


def losses(draw, num_curves):
    """Return the curves of a training that a test has made up, and of the same one on another processor."""
    steps = np.arange(draw.choice([5, 10, 40]))
    curves = [
        draw.uniform(0.5, 2.5) * np.exp(-steps / draw.uniform(2, 30)) + draw.uniform(0, 1)
        for _ in range(num_curves)
    ]
    return curves, [curve * (1 + 0.03 * np.cos(steps * draw.uniform(1, 9))) for curve in curves]


def named(curves, hidden=None):
    """Return a picture of curves in the library's look; the legend has the hidden one none the less."""
    ax = named_curves({f"system {i}": curve for i, curve in enumerate(curves)}, ylabel="loss")
    ax.set_ylim(0, 4)
    handles = [copy.copy(line) for line in ax.lines]
    if hidden is not None:
        ax.lines[hidden].set_visible(False)
        ax.legend(handles, [f"system {i}" for i in range(len(curves))], loc="upper right")
    else:
        ax.legend(loc="upper right")
    file = io.BytesIO()
    ax.figure.savefig(file, dpi=100, bbox_inches="tight")
    plt.close("all")
    return Image.open(file).convert("RGBA")


def test_where_it_may_vary_a_curve_that_is_rubbed_out_or_added_is_found_and_another_processor_passes():
    draw = random.Random(0)
    missed = []
    for number in range(5):
        curves, again = losses(draw, 2 + number % 4)
        stored = named(curves)
        if complaints := compare_pictures([stored], [named(again)], loosely=True):
            missed.append((number, "passes", complaints))
        other = named(again, hidden=draw.randrange(len(curves)))
        for pair in ((stored, other), (other, stored)):
            if compare_pictures([pair[0]], [pair[1]], loosely=True) == []:
                missed.append((number, "rubbed out"))
    assert missed == []


def test_each_output_has_its_place_and_its_kind():
    text = new_output("stream", text="1\n")
    picture = new_output("display_data", data={"image/png": "", "text/plain": "<Figure>"})
    for others in ([picture, text], [text], [text, picture, text]):
        assert (
            "expected outputs in the order ['stdout', 'image/png or text/plain'], got"
            in (compare_order([text, picture], others)[0])
        )
    for kind in ("image/jpeg", "application/vnd.jupyter.widget-view+json"):
        other = new_output("display_data", data={**picture.data, kind: ""})
        assert kind in compare_order([text, picture], [text, other])[0]
    cut = [new_output("stream", text="1"), new_output("stream", text="\n")]
    assert compare_order([text, picture], [*cut, picture]) == []


def test_where_it_may_vary_a_slightly_different_training_passes():
    other = FALLING * (1 + 0.03 * np.cos(np.arange(10)))
    assert compare_pictures([drawn(FALLING)], [drawn(other)]) != []
    assert compare_pictures([drawn(FALLING)], [drawn(other)], loosely=True) == []


@pytest.mark.parametrize(
    "other", [drawn(FALLING[::-1]), drawn(FALLING, kind="bar"), Image.new("RGBA", (40, 30), "white")]
)
def test_where_it_may_vary_another_plot_still_fails(other):
    assert len(compare_pictures([drawn(FALLING)], [other], loosely=True)) == 1


def test_a_missing_and_an_additional_picture_fail():
    assert "got 0" in compare_pictures([drawn(FALLING)], [])[0]
    assert "the 0 stored pictures, got 1" in compare_pictures([], [drawn(FALLING)])[0]


def test_two_blank_pictures_agree():
    blank = Image.new("RGBA", (40, 30), "white")
    assert compare_pictures([blank], [blank.copy()], loosely=True) == []
