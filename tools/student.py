"""Make the student edition: the notebooks without their solutions and outputs, and one zip with all that they need.

Examples:
    python -m tools.student                 build dist/student and its zip, and run every notebook of it
    python -m tools.student 07 09           run only these of the notebooks (all are built)
    python -m tools.student --no-run        build, and run nothing
    python -m tools.student --book FOLDER   copy the book's sources there, without solutions but with outputs

A solution goes as a whole cell, found by its id, a tag or its first line, never by searching texts. What is left is
then compared with every line of every solution, and a line that came through stops the build. Beside the notebooks go
files of the repository, never what only lies there; and only a folder is emptied that this tool has made.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools import launch
from tools.exercises import NOTEBOOKS, ROOT, NotebookError, code_of, name_of, naming, part_of, read
from tools.notebooks import as_text, execute, find, made_of

EDITION = ROOT / "dist" / "student"
ARCHIVE = ROOT / "dist" / "digitlib-student.zip"
MARK = ".made-by-tools-student"
MARKED = (
    "python -m tools.student empties this folder before it writes here: keep nothing of your own in it.\n"
)
# What a student needs beside the notebooks and the pages that they link to.
CONTENTS = [
    "digitlib",
    "data",
    "LICENSE",
    "pyproject.toml",
    "requirements.lock",
    "environment.yml",
    "postBuild",
    "tools/cpu.awk",
    "tools/machine.py",
]
BOOK_SOURCES = ["_config.yml", "_toc.yml", "book", "digitlib", "tools"]
KINDS = {*".awk .bib .css .gz .ipynb .js .json .lock .md .mplstyle .png .pth .py .svg .toml .yml".split()}
SHORTEST_LINE = 12  # characters: shorter ones, such as "return loss", say nothing
# Lines of every training loop: the course itself teaches them, and no exercise is solved by one of them alone.
COMMON_LINES = {
    "for _ in range(num_steps):",
    "for images, labels in batches:",
    "for rate in rates:",
    "loss = F.cross_entropy(model(images), labels)",
    "loss.backward()",
    "losses.append(loss.item())",
    "model.train()",
    "optimizer.step()",
    "optimizer.zero_grad()",
    "outputs = model(images)",
    'return "diverged"',  # a word of the exercise
    "return False",
    "return losses",
    "return result",
    "super().__init__()",
    "with torch.inference_mode():",
    "with torch.no_grad():",
}
README = """\
# Reading Handwritten Digits: the notebooks

Set up once, with Python 3.11 to 3.14, in this folder:

    python3 tools/machine.py
    python3 -m venv .venv
    .venv/bin/python -m pip install -r requirements.lock
    .venv/bin/python -m pip install --no-deps --no-build-isolation -e .

Then open the notebooks, and begin with 01_imports.ipynb:

    .venv/bin/jupyter lab notebooks

The first line says nothing where all is well. On Windows the commands are in `.venv\\Scripts` instead of `.venv/bin`.
Each exercise is a cell to fill in and a cell that checks it; hints are below them.
"""


class EditionError(NotebookError):
    """The student edition would give a solution away, or does not run; the message says where."""


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="run only these: 07, for example")
    parser.add_argument("--no-run", action="store_true", help="build the edition, and run no notebook")
    parser.add_argument("--book", type=Path, metavar="FOLDER", help="copy the book without solutions there")
    options = parser.parse_args(arguments)
    try:
        if options.book:
            copy_book(options.book)
            return 0
        build(EDITION, launch.repository())
        own = own_notebooks()
        for path in sorted(set(find([])) - set(own)):
            print(f"left out, as git does not know it: {path.relative_to(ROOT)}")
        chosen = find(options.notebooks) if options.notebooks else own
        for path in [] if options.no_run else chosen:
            print(f"running {path.stem} with every exercise left blank", flush=True)
            run_blank(EDITION / "notebooks" / path.name)
        pack(EDITION, ARCHIVE)
    except (NotebookError, launch.LaunchError, OSError) as error:
        print(f"tools/student.py: {error}", file=sys.stderr)
        return 1
    print(f"{ARCHIVE.relative_to(ROOT)}: {ARCHIVE.stat().st_size / 1e6:.1f} MB")
    return 0


def is_solution(cell: NotebookNode) -> bool:
    """Tell whether a cell is a solution, by its id, a tag in any spelling or its first line; one of them is enough."""
    tags = [str(tag).strip().lower() for tag in cell.metadata.get("tags", [])]
    first_line = cell.source.lstrip().split("\n")[0]
    return part_of(cell) == "solution" or "solution" in tags or "<summary>Solution" in first_line


def without_solutions(notebook: NotebookNode, *, keep_outputs: bool = False) -> NotebookNode:
    """Return a notebook of fresh cells: no solution, and of the others nothing but source, tags and alt text.

    Args:
        keep_outputs: keep what the lesson's cells have put out. A check's output is never kept: it tells of a solution.
    """
    cells = []
    for cell in notebook.cells:
        if is_solution(cell):
            continue
        kept = NotebookNode(id=cell.id, cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode())
        for key in ("tags", "mystnb"):
            if key in cell.metadata:
                kept.metadata[key] = cell.metadata[key]
        if cell.cell_type == "code":
            shown = keep_outputs and part_of(cell) is None
            kept.outputs = cell.outputs if shown else []
            kept.execution_count = cell.execution_count if shown else None
        elif "attachments" in cell and part_of(cell) is None:
            kept.attachments = cell.attachments  # pictures of the lesson's own
        cells.append(kept)
    return made_of(cells)


def secret_lines(notebook: NotebookNode) -> set[str]:
    """Return the lines of a notebook's solutions that tell something and that their own stub does not hold already."""
    stubs = [_lines(cell) for cell in notebook.cells if part_of(cell) == "stub"]
    solutions = [_lines(cell) for cell in notebook.cells if is_solution(cell)]
    told = set().union(*solutions) - set().union(*stubs)
    return {line for line in told if len(line) >= SHORTEST_LINE and line not in COMMON_LINES}


def leaks(folder: Path, secrets: set[str]) -> list[str]:
    """Return a line for each text of a folder's files that holds a secret line."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".gz"):
        text = path.read_bytes().decode("utf-8", errors="ignore")
        if path.suffix == ".ipynb":  # as it is read, without JSON's quoting
            text = "\n".join(_texts(nbformat.from_dict(nbformat.reads(text, as_version=4))))
        text = _plain(text)
        found += [
            f"{path.relative_to(folder)} holds {secret!r}" for secret in sorted(secrets) if secret in text
        ]
    return found


def build(folder: Path, repository: str = "") -> None:
    """Write the student edition into a folder, which is emptied first.

    Args:
        repository: where it will be published, see `launch.open_anywhere`.
    Raises:
        EditionError: a line of a solution would be in it, or the folder is none of this tool's.
        NotebookError: a notebook cannot be read, or links to a file that is not part of the repository.
    """
    empty(folder)
    secrets: set[str] = set()
    editions = {}
    for path in own_notebooks():
        notebook = read(path)
        with naming(path):
            secrets |= secret_lines(notebook)
            edition = without_solutions(notebook)
            _copy(_links(_prose(edition), NOTEBOOKS), folder)
            editions[path.stem] = edition
    _copy(_files(CONTENTS), folder)
    (folder / "README.md").write_text(README, encoding="utf-8")
    wheel = launch.build_wheel(folder, folder).name if editions else ""
    for name, edition in editions.items():
        launch.open_anywhere(edition, name, wheel, repository)
        _write(edition, folder / "notebooks" / f"{name}.ipynb")
    if found := leaks(folder, secrets):
        raise EditionError(
            "expected no line of a solution in the student edition, found:\n  "
            + "\n  ".join(found)
            + "\nWrite the solution in words of its own; a line that every training loop has may go into COMMON_LINES"
        )


def run_blank(path: Path) -> None:
    """Execute a notebook of the edition as a student finds it, and leave its file as it is.

    Raises:
        NotebookError: a cell raises an exception.
        EditionError: a check says something else than "not attempted".
    """
    notebook = read(path)
    execute(notebook, path)
    for cell in notebook.cells:
        if part_of(cell) == "check":
            shown = "".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)
            if "Not attempted yet." not in shown:
                raise EditionError(
                    f"{name_of(path)}, cell {cell.id}: expected 'Not attempted yet.', got {shown!r}"
                )


def pack(folder: Path, archive: Path) -> None:
    """Write a folder into one zip, the same bytes each time."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARK):
            entry = zipfile.ZipInfo(f"digitlib-student/{path.relative_to(folder).as_posix()}")
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, path.read_bytes())


def copy_book(folder: Path) -> None:
    """Copy what the book is built from into a folder, which is emptied first; its notebooks have no solutions.

    Raises:
        EditionError, NotebookError: see `build`.
    """
    empty(folder)
    _copy(_files(BOOK_SOURCES), folder)
    for page in _files(["book"]):
        if page.suffix == ".md":
            with naming(page):
                _copy(_links(page.read_text(encoding="utf-8"), page.parent), folder)
    for path in own_notebooks():
        notebook = read(path)
        with naming(path):
            _write(without_solutions(notebook, keep_outputs=True), folder / "notebooks" / path.name)


def empty(folder: Path) -> None:
    """Make a folder, or empty one that this tool has made: its mark is in it.

    Raises:
        EditionError: it is none of this tool's, so what it holds may be the only copy.
    """
    folder = folder.resolve()
    if folder.exists():
        is_own = folder.is_dir() and (folder / MARK).is_file() and not (folder / ".git").exists()
        if not is_own and not (folder.is_dir() and not any(folder.iterdir())):
            raise EditionError(f"{folder}: expected an empty folder, or one of this tool's; name another")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(MARKED, encoding="utf-8")
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()


def own_notebooks() -> list[Path]:
    """Return the repository's notebooks: one that nobody has committed may be private."""
    return [path for path in _files(["notebooks"]) if path.suffix == ".ipynb"]


def _files(names: list[str]) -> list[Path]:
    """Return the repository's files at or below these names; in a copy without git, those of KINDS."""
    try:
        command = ["git", "ls-files", "-z", "--", *names]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
        paths = [ROOT / os.fsdecode(name) for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = []
    if not paths:
        found = [path for name in names for path in (ROOT / name, *(ROOT / name).rglob("*"))]
        kept = [path for path in found if path.suffix in KINDS or path.name in CONTENTS]
        paths = [path for path in kept if not any(part[0] == "." for part in path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def _links(markdown: str, folder: Path) -> list[Path]:
    """Return the files that a page in this folder links to, the notebooks aside.

    Raises:
        EditionError: one of them is not the repository's.
    """
    targets = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)", markdown)}
    paths = {Path(os.path.realpath(folder / target)) for target in targets if target and "://" not in target}
    linked = sorted(path for path in paths if os.path.isfile(path) and path.suffix != ".ipynb")
    for path in linked:
        if not path.is_relative_to(ROOT) or not _files([str(path.relative_to(ROOT))]):
            raise EditionError(f"expected links to files of the repository, found one to {path}; add it")
    return linked


def _prose(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def _write(notebook: NotebookNode, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_text(notebook), encoding="utf-8", newline="\n")


def _copy(paths: Iterable[Path], folder: Path) -> None:
    """Copy files of the repository to the same places below a folder."""
    for path in paths:
        if not path.resolve().is_relative_to(ROOT):
            name = path.relative_to(ROOT)
            raise EditionError(f"{name}: expected a file of the repository, found a link to {path.resolve()}")
        copied = folder / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)


def _lines(cell: NotebookNode) -> set[str]:
    return {_plain(line) for line in code_of(cell.source).split("\n")}


def _plain(text: str) -> str:
    """Return a text with single spaces, so that indentation and line ends make no difference."""
    return " ".join(text.split())


def _texts(value: object) -> list[str]:
    """Return every text within a notebook: keys and values, at any depth."""
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (key, *_texts(each))]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


if __name__ == "__main__":
    sys.exit(main())
