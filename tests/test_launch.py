"""Where notebooks open without an installation: the first cell, the links, the buttons; and no link without a place."""

import importlib.util
from types import SimpleNamespace

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import launch

REPOSITORY = "https://github.com/ada/digits"
WHEEL = "digitlib-1.0-py3-none-any.whl"
LESSON = """![A map.](../book/map.svg) A [term](../book/glossary.md#tensor), [the next](02_load.ipynb)."""


def opened(repository=""):
    """Return the cells of a small notebook of the edition."""
    cells = [new_markdown_cell(LESSON, id="title"), new_code_cell("1 + 1", id="sum")]
    notebook = new_notebook(cells=cells)
    launch.open_anywhere(notebook, "07_training", WHEEL, repository)
    return notebook.cells


def run(source, monkeypatch, *, is_there):
    """Run a cell as IPython does, where digitlib is there or is not; return the magics that it called."""
    called = []
    shell = SimpleNamespace(run_line_magic=lambda name, line, *rest: called.append((name, line)))
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: is_there or name != "digitlib" or None)
        exec(TransformerManager().transform_cell(source), {"get_ipython": lambda: shell})
    return called


def test_the_first_cell_installs_the_wheel_alone_and_only_where_digitlib_is_missing(monkeypatch):
    places = {"": f"../{WHEEL}", REPOSITORY: f"{REPOSITORY}/raw/student/{WHEEL}"}
    for repository, address in places.items():
        (first,) = [cell for cell in opened(repository) if cell.id == "first"]
        assert run(first.source, monkeypatch, is_there=True) == []
        (magic,) = run(first.source, monkeypatch, is_there=False)
        assert magic == ("pip", f"install --quiet --no-deps {address}")


def test_without_a_repository_a_notebook_has_no_link_that_leads_away():
    cells = opened()
    assert [cell.id for cell in cells] == ["first", "title", "sum"]
    assert cells[1].source == LESSON
    assert "http" not in str(cells)


def test_with_a_repository_a_notebook_says_where_it_opens_and_links_to_what_is_there():
    links, first, title, _ = opened(REPOSITORY)
    assert (links.id, first.id) == ("run-it", "first")
    blob = "ada/digits/blob/student/notebooks/07_training.ipynb"
    for address in (
        f"https://colab.research.google.com/github/{blob}",
        f"https://www.kaggle.com/kernels/welcome?src=https://github.com/{blob}",
        "https://mybinder.org/v2/gh/ada/digits/student?urlpath=lab/tree/notebooks/07_training.ipynb",
        REPOSITORY,
    ):
        assert f"]({address})" in links.source
    assert f"![A map.]({REPOSITORY}/raw/student/book/map.svg)" in title.source
    assert f"[term]({REPOSITORY}/blob/student/book/glossary.md#tensor)" in title.source
    assert "[the next](02_load.ipynb)" in title.source


def buttons(page, monkeypatch, repository):
    monkeypatch.setenv("REPOSITORY", repository)
    context = {"header_buttons": []}
    launch.add_buttons(None, page, "page.html", context, None)
    return {
        button["text"]: button["url"] for group in context["header_buttons"] for button in group["buttons"]
    }


def test_the_book_s_buttons_lead_from_a_lesson_to_its_notebook_and_from_any_page_to_the_repository(
    monkeypatch,
):
    lesson = buttons("notebooks/07_training", monkeypatch, f"{REPOSITORY}.git/")
    assert lesson.pop("The repository") == REPOSITORY
    assert {f"Run it on {place}" for place in launch.places(REPOSITORY, "07_training")} == set(lesson)
    for page in ("book/results", "book/introduction", "index", "search"):
        assert buttons(page, monkeypatch, REPOSITORY) == {"The repository": REPOSITORY}
        assert buttons(page, monkeypatch, "") == {}


@pytest.mark.parametrize(
    "named",
    ["ada/digits", "https://github.com/ada", "https://gitlab.com/a/b", "x y", "http://github.com/a/b"],
)
def test_any_other_repository_is_refused(named, monkeypatch):
    monkeypatch.setenv("REPOSITORY", named)
    with pytest.raises(launch.LaunchError, match="expected REPOSITORY=https://github.com/OWNER/NAME, got"):
        launch.repository()


def test_a_wheel_that_cannot_be_built_is_said_in_one_line(tmp_path):
    for name in ("digitlib", "data"):
        (tmp_path / name).mkdir()
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).touch()
    (tmp_path / "pyproject.toml").write_text("[project]")
    with pytest.raises(launch.LaunchError, match="expected a wheel of digitlib, got: [^\\n]+$"):
        launch.build_wheel(tmp_path, tmp_path)
