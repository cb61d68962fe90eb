"""Turn a notebook into an assignment for a class, as nbgrader wants its source.

Examples:
    python -m tools.assignment 07
    cd dist/class && nbgrader generate_assignment 07_training

The course folder dist/class is made where it is missing, with its nbgrader_config.py. Each exercise becomes an
autograded answer (the stub, with the solution between the marks that nbgrader cuts out) and an autograded test (the
check), worth a point if it is easy, two if medium and three if hard.
"""

import argparse
import sys
from pathlib import Path

from nbformat import NotebookNode

from tools.exercises import LEVELS, ROOT, NotebookError, exercises, naming, part_of, read
from tools.notebooks import as_text, find, made_of

COURSE = ROOT / "dist" / "class"
CONFIG = '''\
"""The class's settings for nbgrader; see its documentation for more."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "digitlib"
# A student's empty answer runs: nothing stands in the place of the solution but this.
c.ClearSolutions.code_stub = {"python": "# Your answer; it replaces the definition above."}
c.ExecutePreprocessor.timeout = 600  # seconds a cell: some of them train a network
'''


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", help="a number such as 07")
    parser.add_argument(
        "--course", type=Path, default=COURSE, metavar="FOLDER", help="nbgrader's course folder"
    )
    options = parser.parse_args(arguments)
    try:
        for path in find(options.notebooks):
            print(write(path, options.course))
    except (NotebookError, OSError) as error:
        print(f"tools/assignment.py: {error}", file=sys.stderr)
        return 1
    return 0


def write(path: Path, course: Path) -> Path:
    """Write one notebook's assignment into a course folder; return the file.

    Raises:
        NotebookError: the notebook has no exercise, or one without a level.
    """
    notebook = read(path)
    with naming(path):
        if not exercises(notebook):
            raise NotebookError("expected exercises, found none; `make new-exercise` makes one")
        text = as_text(assignment(notebook))
    config = course / "nbgrader_config.py"
    source = course / "source" / path.stem / path.name
    source.parent.mkdir(parents=True, exist_ok=True)
    if not config.exists():  # an instructor's own settings stay
        config.write_text(CONFIG, encoding="utf-8")
    source.write_text(text, encoding="utf-8", newline="\n")
    return source


def assignment(notebook: NotebookNode) -> NotebookNode:
    """Return nbgrader's source of a notebook: every cell marked, no outputs."""
    parts = {
        f"{each.id}-{part}": each for each in exercises(notebook) for part in ("stub", "check", "solution")
    }
    cells = []
    for cell in notebook.cells:
        each, part = parts.get(cell.id), part_of(cell)
        if part == "solution":
            continue
        made = NotebookNode(id=cell.id, cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode())
        if cell.cell_type == "code":
            made.outputs, made.execution_count = [], None
        if each and part == "stub":
            made.source = f"{each.stub}\n\n\n### BEGIN SOLUTION\n{each.solution}\n### END SOLUTION"
            made.metadata.nbgrader = _mark(each.id, solution=True)
        elif each and part == "check":
            made.source = (
                f"result = {each.check}\n### BEGIN HIDDEN TESTS\n"
                f'assert result.status == "passed", result\n### END HIDDEN TESTS\nresult'
            )
            made.metadata.nbgrader = _mark(f"{each.id}-points", grade=True, points=points(each))
        cells.append(made)
    return made_of(cells)


def points(exercise) -> int:
    """Return what an exercise is worth: 1, 2 or 3, by its level.

    Raises:
        NotebookError: its prompt does not say the level.
    """
    if not (heading := exercise.heading()):
        example = "'### Exercise: a title (5 minutes)', then '*Objective 1, easy.* '"
        raise NotebookError(f"expected the prompt of {exercise.id} to begin with {example}; write its level")
    return 1 + LEVELS.index(heading["level"])


def _mark(grade_id: str, *, solution: bool = False, grade: bool = False, points: int = 0) -> NotebookNode:
    mark = {"schema_version": 3, "grade_id": grade_id, "solution": solution, "grade": grade}
    mark |= {"locked": grade, "task": False}
    return NotebookNode(mark | ({"points": points} if grade else {}))


if __name__ == "__main__":
    sys.exit(main())
