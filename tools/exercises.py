"""Find the exercises of the notebooks: five adjacent cells each, told apart by their ids and tags.

    <id>-prompt     markdown: the task, the objective, the minutes
    <id>-stub       code, tag exercise: runs, and does nothing yet
    <id>-check      code, tag check: one call, checks.<id>(answer)
    <id>-hints      markdown: two or three hints, each collapsed
    <id>-solution   markdown: the solution's code, collapsed; absent from the student edition

The id is the name of the check in digitlib.checks. A solution is to be read: nothing runs it in a notebook, so it
never takes the place of an answer.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PARTS = ("prompt", "stub", "check", "hints", "solution")
TAGS = {"stub": "exercise", "check": "check"}  # of the code cells
SOLUTION = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"
HEADING = re.compile(
    r"### (?P<kind>Exercise|Find the bug): (?P<title>.+) \((?P<minutes>\d+) minutes?\)\n\n"
    r"\*Objectives? (?P<objectives>\d(?: and \d)?), (?P<level>easy|medium|hard)\.\* "
)
LEVELS = ("easy", "medium", "hard")


class NotebookError(RuntimeError):
    """A notebook that is not there, is none, fails, or is not in the normal form; the message says which and where."""


def name_of(path: Path) -> str:
    """Return the path as seen from the repository's root, where it lies below it."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let whatever goes wrong with a notebook name its file, in one line, as a NotebookError."""
    try:
        yield
    except Exception as error:
        found = " ".join(str(error).split())[:300]
        found = found if isinstance(error, NotebookError) else f"{type(error).__name__}: {found}"
        raise NotebookError(f"{name_of(path)}: {found}") from error


def read(path: Path) -> NotebookNode:
    """Read a notebook; a mark of the byte order at its start, which some editors write, is passed over.

    Raises:
        NotebookError: it is no notebook, or one of an old format, whose cells have no ids.
    """
    with (
        naming(path),
        warnings.catch_warnings(action="error"),
    ):  # nbformat gives what has no id a new one, and warns
        notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        nbformat.validate(notebook)
        if not all("id" in cell for cell in notebook.cells):
            expected = "expected cells with ids, so format 4.5 or later"
            raise NotebookError(f"{expected}, found {notebook.nbformat_minor}; save it with JupyterLab")
    return notebook


@dataclass(frozen=True)
class Exercise:
    """One exercise of a notebook.

    Attributes:
        id: the name of its check in digitlib.checks.
        notebook: the notebook's file name without .ipynb, such as "07_training".
        position: the index of its first cell.
        prompt, stub, check, hints: the sources of its first four cells.
        solution: the code in the fifth.
    """

    id: str
    notebook: str
    position: int
    prompt: str
    stub: str
    check: str
    hints: str
    solution: str

    @property
    def answer_name(self) -> str:
        """Return the name that the check cell passes on: the student's function, class or value."""
        return ast.unparse(ast.parse(self.check, mode="eval").body.args[0])

    def heading(self) -> dict[str, str]:
        """Return kind, title, minutes, objectives and level, as the prompt says them; empty where it says none."""
        found = HEADING.match(self.prompt)
        return found.groupdict() if found else {}


def exercises(notebook: NotebookNode, name: str = "") -> list[Exercise]:
    """Return the complete exercises of a notebook, in order."""
    found = []
    for position in range(len(notebook.cells) - len(PARTS) + 1):
        cells = notebook.cells[position : position + len(PARTS)]
        exercise_id = cells[0].id.removesuffix("-prompt")
        if [cell.id for cell in cells] == [f"{exercise_id}-{part}" for part in PARTS]:
            *others, solution = (cell.source for cell in cells)
            found.append(Exercise(exercise_id, name, position, *others, code_of(solution)))
    return found


def code_of(solution: str) -> str:
    """Return the code of a solution's cell; a cell that has another form than SOLUTION is returned as it is."""
    before, after = SOLUTION.split("{}")
    return solution.removeprefix(before).removesuffix(after)


def all_exercises() -> list[Exercise]:
    """Return the exercises of the eleven notebooks, in order."""
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    return [each for path in paths for each in exercises(read(path), path.stem)]


def part_of(cell: NotebookNode) -> str | None:
    """Return which part of an exercise a cell is ("stub", …), or None where it belongs to the lesson."""
    part = cell.id.rpartition("-")[2]
    return part if part in PARTS else None


def tree(source: str) -> ast.Module:
    """Parse a cell's code; IPython's own lines (%config, !ls) are left out."""
    return ast.parse(
        "\n".join("pass" if line.startswith(("%", "!")) else line for line in source.split("\n"))
    )


def imports(notebook: NotebookNode) -> str:
    """Return every import statement of a notebook's lesson: all that a stub or a solution may rely on."""
    statements = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and part_of(cell) is None:
            nodes = [node for node in tree(cell.source).body if isinstance(node, ast.Import | ast.ImportFrom)]
            statements += map(ast.unparse, nodes)
    return "\n".join(statements)


def answer(exercise: Exercise, source: str) -> object:
    """Run a stub, a solution or another answer with the notebook's imports alone; return what the check is given."""
    namespace: dict = {"__name__": "answer"}
    notebook = read(NOTEBOOKS / f"{exercise.notebook}.ipynb")
    exec(compile(imports(notebook), exercise.notebook, "exec"), namespace)
    exec(compile(source, exercise.id, "exec"), namespace)
    return namespace.get(exercise.answer_name)
