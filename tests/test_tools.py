"""The tool that executes notebooks and brings them into their normal form."""

import base64
import io
import json

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools import notebooks

PLOT = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\nplt.plot([1, 2])\nplt.show()"


@pytest.fixture
def notebook(tmp_path):
    """Write a notebook as JupyterLab would, not yet executed, and return its path."""
    path = tmp_path / "made_up.ipynb"
    cells = [
        new_markdown_cell("# A title", id="title"),
        new_code_cell(
            "for i in range(3):\n    print(i, flush=True)", id="count", metadata={"collapsed": False}
        ),
        new_code_cell(
            "from pathlib import Path\nsorted(path.name for path in Path().iterdir())", id="folder"
        ),
        new_code_cell(PLOT, id="plot", metadata={"tags": ["picture-varies"]}),
    ]
    made = new_notebook(
        cells=cells, metadata={"language_info": {"name": "python", "version": "3.4.5"}, "toc": {}}
    )
    nbformat.write(made, path)
    return path


def test_a_notebook_is_executed_into_the_normal_form(notebook, capsys):
    assert notebooks.main(["--check", str(notebook)]) == 1
    assert "not in the normal form" in capsys.readouterr().err

    assert notebooks.main([str(notebook)]) == 0
    stored = nbformat.read(notebook, as_version=4)
    _, count, folder, plot = stored.cells
    assert [cell.get("execution_count") for cell in stored.cells] == [None, 1, 2, 3]
    assert [output.text for output in count.outputs] == ["0\n1\n2\n"]  # one output, however the kernel cut it
    assert count.metadata == {}
    assert folder.outputs[0].data["text/plain"] == "['made_up.ipynb']"  # the notebook's own folder
    assert plot.metadata.tags == ["picture-varies"]
    assert plot.metadata.digitlib.pictures == notebooks.picture_hashes(plot)
    assert len(plot.metadata.digitlib.pictures) == 1
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert "version" not in stored.metadata.language_info
    assert notebook.read_text().endswith("}\n")

    once = notebook.read_bytes()
    assert notebooks.main([str(notebook)]) == 0
    assert notebook.read_bytes() == once
    assert "as before" in capsys.readouterr().out
    assert notebooks.main(["--check", str(notebook)]) == 0


@pytest.mark.parametrize(
    "source, reason",
    [
        ("1 / 0", "cell broken (In [2]), failed with ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)", "cell broken (In [2]), ended the kernel"),
    ],
)
def test_a_notebook_that_fails_is_left_as_it_was(notebook, capsys, source, reason):
    made = nbformat.read(notebook, as_version=4)
    made.cells[2] = new_code_cell(source, id="broken")
    nbformat.write(made, notebook)
    before = notebook.read_bytes()
    assert notebooks.main([str(notebook)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"made_up.ipynb, {reason}" in line
    assert line.endswith("Nothing was written.")
    assert notebook.read_bytes() == before
    assert [path.name for path in notebook.parent.iterdir()] == ["made_up.ipynb"]


def test_notebooks_are_found_by_number(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    for name in ("02_second", "01_first", "11_last"):
        (tmp_path / f"notebooks/{name}.ipynb").touch()
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    assert [path.stem for path in notebooks.find([])] == ["01_first", "02_second", "11_last"]
    assert [path.stem for path in notebooks.find(["2", "11"])] == ["02_second", "11_last"]
    assert notebooks.main(["07"]) == 1
    assert "expected a notebook's number (such as 07) or path, got '07'" in capsys.readouterr().err


def test_normalising_changes_nothing_that_a_reader_sees():
    picture = np.arange(40 * 40 * 4).reshape(40, 40, 4).astype(np.uint8)
    files = {}
    for kind, alpha in {"opaque": 255, "transparent": 100}.items():
        picture[..., 3] = alpha
        file = io.BytesIO()
        Image.fromarray(picture, "RGBA").save(file, "PNG", compress_level=0)
        smaller = notebooks.compact_png(file.getvalue())
        assert len(smaller) < len(file.getvalue())
        assert notebooks.compact_png(smaller) == smaller
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(smaller)).convert("RGBA")), picture)
        files[kind] = smaller
    data = {"image/png": base64.b64encode(files["opaque"]).decode()}
    cell = new_code_cell(
        "show()", id="show", outputs=[new_output("execute_result", data=data, execution_count=9)]
    )
    made = new_notebook(cells=[cell])
    normal = notebooks.normalise(made)
    assert notebooks.pictures(normal.cells[0]) == [files["opaque"]]
    assert normal.cells[0].outputs[0].execution_count == normal.cells[0].execution_count == 1
    assert made.cells[0].execution_count is None  # the one that came is left alone
    assert notebooks.as_text(notebooks.normalise(normal)) == notebooks.as_text(normal)
    nbformat.validate(json.loads(notebooks.as_text(normal)))


def test_the_minutes_of_a_lesson_follow_from_its_length_and_its_run():
    prose = new_markdown_cell("# 1. A title\n\nAbout 1 minutes. " + "word " * 593, id="title")  # 5 to read
    code = new_code_cell("\n".join(["x = 1"] * 24), id="code")  # 2
    prompt = new_markdown_cell(
        "### Exercise: a title (4 minutes)\n\n*Objective 1, easy.* Write it.", id="it-prompt"
    )
    quiz = new_markdown_cell("**Quiz.** Why?", id="quiz-why")  # 1
    notebook = new_notebook(cells=[prose, code, prompt, quiz])
    assert notebooks.minutes(notebook) == 15  # 12 and a little
    notebooks.record_seconds(notebook, 290.0)
    assert notebook.metadata.digitlib.seconds == 300
    assert notebooks.minutes(notebook) == 20  # 17 and a little
    assert "About 20 minutes." in notebooks.normalise(notebook).cells[0].source


@pytest.mark.parametrize(
    "before, seconds, after", [(None, 1, 15), (15, 25, 15), (30, 61, 75), (75, 16, 30), (90, 14, 15)]
)
def test_only_another_order_of_time_replaces_the_stored_seconds(before, seconds, after):
    notebook = new_notebook(cells=[new_markdown_cell("# 1\n\nAbout 5 minutes.")])
    if before:
        notebook.metadata.digitlib = {"seconds": before}
    notebooks.record_seconds(notebook, seconds)
    assert notebook.metadata.digitlib.seconds == after


def test_a_page_that_promises_no_minutes_keeps_no_seconds():
    notebook = new_notebook(cells=[new_markdown_cell("# Results")])
    notebooks.record_seconds(notebook, 120)
    assert notebook.metadata == {}
