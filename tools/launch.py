"""Where a reader can run a notebook without installing anything: Colab, Kaggle, Binder.

`make book REPOSITORY=https://github.com/OWNER/NAME` puts buttons on the book's pages that lead there, and a line of
links at the top of each student notebook; without it neither is there. What opens is the student edition,
`dist/student`, published as the branch `student` of that repository.

The edition carries digitlib as a wheel. Each of its notebooks begins with a cell that installs it where it is missing,
beside the packages that are there: Colab's torch stays as it is.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

BRANCH = "student"
FIRST_CELL = """\
# On your own computer this does nothing. On Colab or Kaggle it installs the course's library.
import importlib.util

if importlib.util.find_spec("digitlib") is None:
    %pip install --quiet --no-deps {wheel}"""


class LaunchError(ValueError):
    """$REPOSITORY is no repository on GitHub, or the wheel cannot be built; the message says what to do."""


def repository() -> str:
    """Return $REPOSITORY, https://github.com/OWNER/NAME, or an empty text where it is not set.

    Raises:
        LaunchError: it is something else.
    """
    named = os.environ.get("REPOSITORY", "").strip().rstrip("/").removesuffix(".git")
    if named and not re.fullmatch(r"https://github\.com/[\w-]+/[\w.-]+", named):
        raise LaunchError(f"expected REPOSITORY=https://github.com/OWNER/NAME, got {named!r}")
    return named


def places(repository: str, name: str) -> dict[str, str]:
    """Return the addresses that open a notebook of the student edition, such as "07_training", by place."""
    owner_and_name, path = repository.partition("://")[2].partition("/")[2], f"notebooks/{name}.ipynb"
    at_github = f"{owner_and_name}/blob/{BRANCH}/{path}"
    return {
        "Colab": f"https://colab.research.google.com/github/{at_github}",
        "Kaggle": f"https://www.kaggle.com/kernels/welcome?src=https://github.com/{at_github}",
        "Binder": f"https://mybinder.org/v2/gh/{owner_and_name}/{BRANCH}?urlpath=lab/tree/{path}",
    }


def open_anywhere(notebook: NotebookNode, name: str, wheel: str, repository: str = "") -> None:
    """Let a notebook of the student edition begin with the cell that installs digitlib where it is missing.

    Args:
        wheel: the file name of digitlib's wheel, at the top of the edition.
        repository: where the edition is published. With one the notebook says where else it opens, and its links to the
            book lead there; without one there are no such links, and the wheel is looked for beside the notebooks.
    """
    address = f"{repository}/raw/{BRANCH}/{wheel}" if repository else f"../{wheel}"
    opening = [new_code_cell(FIRST_CELL.format(wheel=address), id="first")]
    if repository:
        links = [f"[{place}]({link})" for place, link in places(repository, name).items()]
        text = f"Run this notebook in the browser: {' · '.join(links)} · [the repository]({repository})"
        opening.insert(0, new_markdown_cell(text, id="run-it"))
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = with_absolute_links(cell.source, repository)
    notebook.cells[:0] = opening


def with_absolute_links(markdown: str, repository: str) -> str:
    """Return a notebook's Markdown with its links to the book's pages and pictures as addresses that open anywhere."""
    pictures = re.sub(r"(!\[[^\]]*\]\()\.\./book/", rf"\1{repository}/raw/{BRANCH}/book/", markdown)
    return pictures.replace("](../book/", f"]({repository}/blob/{BRANCH}/book/")


def build_wheel(source: Path, folder: Path) -> Path:
    """Build digitlib's wheel from a copy of its sources, since building leaves files behind; return its path.

    Args:
        source: the repository, or the student edition. folder: where the wheel is written.
    Raises:
        LaunchError: it cannot be built.
    """
    with tempfile.TemporaryDirectory() as aside:
        copy = Path(aside) / "digitlib"
        for name in ("digitlib", "data"):
            shutil.copytree(
                source / name, copy / name, ignore=shutil.ignore_patterns("*-ubyte", "__pycache__")
            )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(source / name, copy)
        build = ["uv", "build", "--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
        command = [sys.executable, "-m", *build, "--out-dir", str(Path(aside) / "built"), str(copy)]
        environment = os.environ | {
            "SOURCE_DATE_EPOCH": "315532800"
        }  # 1980, so that it is the same bytes each time
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
        if run.returncode:
            raise LaunchError(f"expected a wheel of digitlib, got: {' '.join(run.stderr.split())[-500:]}")
        (wheel,) = (Path(aside) / "built").glob("*.whl")
        return Path(shutil.copy(wheel, folder))


# ---- the book --------------------------------------------------------------------------------------------------------


def add_buttons(app, page: str, template: str, context: dict, doctree) -> None:
    """Put the buttons at the top of a page of the book: a lesson's lead to its notebook, all to the repository."""
    address = repository()
    if not address or "header_buttons" not in context:
        return
    folder, _, name = page.rpartition("/")
    lesson = places(address, name) if folder == "notebooks" else {}
    links = {f"Run it on {place}": link for place, link in lesson.items()} | {"The repository": address}
    buttons = [{"type": "link", "url": link, "text": text} for text, link in links.items()]
    group = {"type": "group", "buttons": buttons, "icon": "fas fa-rocket", "label": "launch-buttons"}
    context["header_buttons"].append(group | {"tooltip": "Run it in the browser"})


def setup(app) -> dict:
    """Tie the buttons to the pages; say at once where $REPOSITORY is none."""
    repository()
    app.connect("html-page-context", add_buttons, priority=600)  # when the theme has made its own, at 501
    return {"parallel_read_safe": True, "parallel_write_safe": True}
