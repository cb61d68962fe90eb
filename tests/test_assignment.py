"""nbgrader takes our assignments: it makes the release, grades real submissions, and its scores are as predicted."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from tests.guards import NAMES, notebook_with_exercises, read
from tools import assignment
from tools.exercises import all_exercises, exercises
from tools.notebooks import NotebookError, as_text, find
from tools.student import leaks, secret_lines

NAME = "01_imports"
EXERCISES = {each.id: each for each in all_exercises() if each.notebook == NAME}
# Three mistakes that students make; what is not named here is answered right.
MISTAKES = {
    "brightened": "def brightened(images, amounts):\n    return (images + 10).float()[:, None]",
    "noisy_copies": "",  # not attempted
    "descend": "def descend(function, start, learning_rate, num_steps):\n    return start / 0",
}


def nbgrader(course: Path, *arguments: str) -> None:
    """Run nbgrader as an instructor does, in the course's folder."""
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ["PATH"]]
    )  # it starts alembic by its name
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    run = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """Return a course folder with the release of one assignment, two submissions of it, and their grades."""
    folder = tmp_path_factory.mktemp("class")
    assignment.write(find(["1"])[0], folder)
    nbgrader(folder, "generate_assignment", NAME)
    release = folder / "release" / NAME / f"{NAME}.ipynb"
    right = {name: each.solution for name, each in EXERCISES.items()}
    for student, answers in {"right": right, "mistaken": right | MISTAKES}.items():
        notebook = nbformat.read(release, as_version=4)
        for cell in notebook.cells:
            if cell.id.endswith("-stub"):
                cell.source += "\n" + answers.get(cell.id.removesuffix("-stub"), "")
        submission = folder / "submitted" / student / NAME / f"{NAME}.ipynb"
        submission.parent.mkdir(parents=True)
        submission.write_text(as_text(notebook), encoding="utf-8")
    nbgrader(folder, "autograde", NAME)
    return folder


def scores(course: Path, student: str) -> dict[str, float]:
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        submission = book.find_submission(NAME, student)
        return {
            grade.name.removesuffix("-points"): grade.score
            for paper in submission.notebooks
            for grade in paper.grades
        }


POINTS = {name: assignment.points(each) for name, each in EXERCISES.items()}


@pytest.mark.parametrize(
    "student, expected",
    [
        ("right", POINTS),
        ("mistaken", POINTS | dict.fromkeys(MISTAKES, 0)),
    ],
)
def test_the_scores_are_as_predicted(course, student, expected):
    assert set(MISTAKES) < set(POINTS)
    assert scores(course, student) == expected
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        assert book.find_submission(NAME, student).score == sum(expected.values())
        assert book.find_assignment(NAME).max_score == sum(POINTS.values())


def test_the_release_holds_no_line_of_a_solution_and_no_hidden_test(course):
    release = course / "release"
    assert leaks(release, secret_lines(read(NAME)) | {"assert result.status"}) == []
    source = course / "source"
    assert leaks(source, secret_lines(read(NAME)))  # the search does find them where they are


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_becomes_an_assignment(name):
    made = assignment.assignment(read(name))
    nbformat.validate(made)
    marks = [cell.metadata.nbgrader for cell in made.cells if "nbgrader" in cell.metadata]
    assert [mark.points for mark in marks if mark.grade] == [
        assignment.points(each) for each in exercises(read(name))
    ]
    assert len({mark.grade_id for mark in marks}) == 2 * len(exercises(read(name)))
    assert not any(cell.get("outputs") for cell in made.cells)


def test_an_instructors_settings_stay(tmp_path):
    assignment.write(find(["1"])[0], tmp_path)
    (tmp_path / "nbgrader_config.py").write_text("# mine")
    assignment.write(find(["1"])[0], tmp_path)
    assert (tmp_path / "nbgrader_config.py").read_text() == "# mine"


def test_a_notebook_without_exercises_is_refused(tmp_path):
    notebook = notebook_with_exercises()
    notebook.cells = notebook.cells[:3]
    (tmp_path / "bare.ipynb").write_text(as_text(notebook))
    with pytest.raises(NotebookError, match="expected exercises, found none"):
        assignment.write(tmp_path / "bare.ipynb", tmp_path / "class")


def test_the_command_line_names_a_wrong_number(capsys):
    assert assignment.main(["99"]) == 1
    assert (
        capsys.readouterr().err
        == "tools/assignment.py: expected a notebook's number (such as 07) or path, got '99'\n"
    )
