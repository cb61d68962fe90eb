"""What the guards of the notebooks share: the notebooks, a made-up one to tamper with, and a register of tamperings.

A guard is a function from a notebook to a list of complaints.
"""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.exercises import SOLUTION
from tools.notebooks import normalise

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NAMES = [
    "01_imports",
    "02_load_dataset",
    "03_preprocessing",
    "04_explore",
    "05_build_network",
    "06_loss_and_optimizer",
    "07_training",
    "08_training_loss",
    "09_testing",
    "10_improving",
    "11_saving",
]


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def cell_of(notebook, cell_id: str):
    return next(cell for cell in notebook.cells if cell.id == cell_id)


class Tamperings(list):
    """Changes of an honest notebook, each with the guard that has to complain of it, and of what.

    Called as a decorator it adds a change; as a list it is what `pytest.mark.parametrize` takes.
    """

    def __call__(self, guard, complaint: str):
        def register(change):
            self.append(pytest.param(change, guard, complaint, id=change.__name__))
            return change

        return register


HINTS = "<details><summary>Hint 1</summary>\n\nLook at `sum`.\n\n</details>\n\n"
HINTS += "<details><summary>Hint 2</summary>\n\nUse its `dim`.\n\n</details>"
QUIZ = "**Quiz.** How much is it?\n\n" + "\n\n".join(
    f"<details><summary>{option}</summary>\n\n{verdict} because of what was said in the section above.\n\n</details>"
    for option, verdict in (("A. One", "No,"), ("B. Two", "Right,"), ("C. Three", "No."))
)


def five_cells(exercise_id: str, kind: str, objective: int, level: str) -> list:
    prompt = f"### {kind}: a title (5 minutes)\n\n*Objective {objective}, {level}.* Write `{exercise_id}_it`."
    solved = f"def {exercise_id}_it(images):\n    return torch.tensor(images).sum(dim=0)"
    check = new_code_cell(f"checks.{exercise_id}({exercise_id}_it)", id=f"{exercise_id}-check")
    check.metadata.tags = ["check"]
    blank = {"text/plain": "○ Not attempted yet. Write your answer."}
    check.outputs = [new_output("execute_result", data=blank, execution_count=1)]
    stub = new_code_cell(f"def {exercise_id}_it(images):\n    ...", id=f"{exercise_id}-stub")
    stub.metadata.tags = ["exercise"]
    return [
        new_markdown_cell(prompt, id=f"{exercise_id}-prompt"),
        stub,
        check,
        new_markdown_cell(HINTS, id=f"{exercise_id}-hints"),
        new_markdown_cell(SOLUTION.format(solved), id=f"{exercise_id}-solution"),
    ]


def notebook_with_exercises():
    """Return a notebook with two exercises and a quiz that no guard of test_exercises.py complains of."""
    cells = [
        new_markdown_cell("# 1. A title", id="title"),
        new_markdown_cell("You will be able to\n\n1. sum;\n2. mend.", id="objectives"),
        new_code_cell("import torch\n\nfrom digitlib import checks", id="imports"),
        new_code_cell("total = torch.ones(3)", id="lesson"),
        *five_cells("first", "Exercise", 1, "easy"),
        new_markdown_cell("Some prose.", id="prose"),
        *five_cells("second", "Find the bug", 2, "medium"),
        new_markdown_cell(QUIZ, id="quiz-one"),
        new_markdown_cell(QUIZ, id="quiz-two"),
    ]
    return normalise(new_notebook(cells=cells))
