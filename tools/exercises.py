"""Find the exercises of the notebooks: five adjacent cells each, told apart by their ids and tags.

    <id>-prompt     markdown: the task, the objective, the minutes
    <id>-stub       code, tag exercise: runs, and does nothing yet
    <id>-solution   code, tag solution: begins with SOLUTION_LINE; collapsed, absent from the student edition
    <id>-check      code, tag check: one call, checks.<id>(answer)
    <id>-hints      markdown: two or three hints, each collapsed

The id is the name of the check in digitlib.checks.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PARTS = ("prompt", "stub", "solution", "check", "hints")
SOLUTION_LINE = (
    "# Solution. Running it replaces your answer."  # what JupyterLab shows of a folded solution cell
)
TAGS = {"stub": "exercise", "solution": "solution", "check": "check"}
HEADING = re.compile(
    r"### (?P<kind>Exercise|Find the bug): (?P<title>.+) \((?P<minutes>\d+) minutes?\)\n\n"
    r"\*Objectives? (?P<objectives>\d(?: and \d)?), (?P<level>easy|medium|hard)\.\* "
)
LEVELS = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Exercise:
    """One exercise of a notebook.

    Attributes:
        id: the name of its check in digitlib.checks.
        notebook: the notebook's file name without .ipynb, such as "07_training".
        position: the index of its first cell.
        prompt, stub, solution, check, hints: the sources of its five cells.
    """

    id: str
    notebook: str
    position: int
    prompt: str
    stub: str
    solution: str
    check: str
    hints: str

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
            found.append(Exercise(exercise_id, name, position, *(cell.source for cell in cells)))
    return found


def all_exercises() -> list[Exercise]:
    """Return the exercises of the eleven notebooks, in order."""
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    return [each for path in paths for each in exercises(nbformat.read(path, as_version=4), path.stem)]


def part_of(cell: NotebookNode) -> str | None:
    """Return which part of an exercise a cell is ("stub", …), or None where it belongs to the lesson."""
    part = cell.id.rpartition("-")[2]
    return part if part in PARTS else None


def imports(notebook: NotebookNode) -> str:
    """Return every import statement of a notebook's lesson: all that a stub or a solution may rely on."""
    statements = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and part_of(cell) is None:
            source = "\n".join(line for line in cell.source.split("\n") if not line.startswith(("%", "!")))
            statements += [
                ast.unparse(node)
                for node in ast.parse(source).body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    return "\n".join(statements)


def answer(exercise: Exercise, source: str) -> object:
    """Run a stub, a solution or another answer with the notebook's imports alone; return what the check is given."""
    namespace: dict = {"__name__": "answer"}
    notebook = nbformat.read(NOTEBOOKS / f"{exercise.notebook}.ipynb", as_version=4)
    exec(compile(imports(notebook), exercise.notebook, "exec"), namespace)
    exec(compile(source, exercise.id, "exec"), namespace)
    return namespace.get(exercise.answer_name)
