"""A class is graded to the point, whatever some of its students did to their files; its report counts right."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from digitlib.checks.core import NOT_YET, PASSED
from tests import classroom
from tests.guards import read
from tools import grade
from tools.exercises import exercises
from tools.judge import Job, Limits, Verdict, begin, judge
from tools.notebooks import find

NAME = "01_imports"
LESSON = grade.Lesson(find(["1"])[0])
DESCEND = next(each for each in LESSON.exercises if each.id == "descend")
LIMITS = Limits(seconds=4, memory=1e9, disk=2e7)
TROUBLES = {
    "copied": "is copied",
    "split": "is split",
    "deleted answer": "is deleted",
    "deleted checks": "the check of",
    "other metadata": "other metadata",
    "renamed": "renamed: my answers (2).ipynb.txt",
    "no notebook": "no notebook of this lesson: 01_imports.ipynb",
    "cut off": "no notebook of this lesson: 01_imports.ipynb",
    "endless": "never ends",
    "full disk": "fills the disk",
    "full memory": "fills the memory",
    "dead process": "ends its process",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits all of time, disk and memory")


@linux
def test_a_class_that_holds_every_kind_of_trouble_is_graded_to_the_point(tmp_path):
    kinds = len(classroom.KINDS)
    expected = classroom.make(NAME, kinds + 1, tmp_path, broken=list(range(1, kinds + 1)))
    students = grade.grade(LESSON, tmp_path, LIMITS, 2)
    assert classroom.complaints(expected, students) == []

    troubles = {each.name: "; ".join(each.troubles) for each in students}
    told = [text for name, text in troubles.items() if name.count("-") == 1]
    assert told == [""]  # who is not broken
    for kind, words in TROUBLES.items():
        (text,) = [text for name, text in troubles.items() if name.endswith("-" + kind.replace(" ", "-"))]
        assert words in text, kind

    found = Counter({(key, hint): number for number, key, hint in grade.hints(students)})
    counted = classroom.counted(expected)
    assert {each: found[each] for each in counted} == counted
    report = grade.write_report(LESSON, students, tmp_path / "reports")
    rows = (report.parent / "scores.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[5]) for row in rows] == [
        sum(LESSON.points[key] for key, (status, _) in said.items() if status == PASSED)
        for _, said in sorted(expected.items())
    ]
    number, key, hint = grade.hints(students)[0]
    assert f"1. {number} students, `{key}`: {hint}" in report.read_text()


def verdict(code: str, *others: str):
    """Return the verdict on an answer to `descend`, in a notebook with other cells besides."""
    begin(LESSON.imports)
    cells = [grade.Cell(source, True, ("", ""), "") for source in (*others, code)]
    return grade.verdict_of(LESSON, DESCEND, grade.attempts(DESCEND, cells[-1:]), [cells], LIMITS)


def test_an_answer_may_use_what_the_students_other_cells_define():
    source = DESCEND.solution.replace("learning_rate *", "length_of_step(learning_rate) *")
    assert "NameError" in verdict(source).hint
    helper = "1 / 0\ndef length_of_step(rate):\n    return rate"
    assert verdict(source, "raise SystemExit", helper, "checks.descend(descend)").status == PASSED


@pytest.mark.parametrize(
    "code, hint",
    [
        ("from digitlib.checks import core\ncore.within_time = lambda *_: 1\n" + DESCEND.solution, "changes the"),
        ("import digitlib.checks as c\nc.core.CHECKS['descend'] = lambda _: c.Result('', 'passed', '')", ""),
        ("def descend(x:", "The cell with the answer raised SyntaxError"),
        ("1 / 0", "The cell with the answer raised ZeroDivisionError"),
        ("def descend(*_):\n    return input()", "asks for `input()`"),
    ],
)  # fmt: skip
def test_no_point_for(code, hint):
    found = verdict(code)
    assert found.status != PASSED and hint in found.hint


@pytest.mark.parametrize(
    "first", ["%matplotlib inline", "%%time", "print(no_such_name)", "import sys; sys.exit()"]
)
def test_a_point_in_spite_of(first):
    assert verdict(f"{first}\n{DESCEND.solution}").status == PASSED


@linux
def test_an_answer_runs_in_a_folder_of_its_own_that_goes_with_it():
    code = "import os, tempfile\nraise OSError(os.getcwd() + ' ' + tempfile.mkdtemp())"
    job = Job("descend", "descend", "", code)
    begin(LESSON.imports)
    where, temporary = judge(job, LIMITS).hint.split(": ")[1].rstrip(".").split()
    assert Path(temporary).parent == Path(where) != Path.cwd() and not Path(where).exists()


# ---- files as they come ------------------------------------------------------------------------------------------

STUB = {"cell_type": "code", "id": "descend-stub", "metadata": {}, "source": ["def descend():\n", "    ..."]}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"cells": [STUB]}).encode("utf-8-sig"),
        json.dumps({"cells": [STUB]}).encode("utf-16"),
        json.dumps({"cells": [None, 3, STUB | {"metadata": None}, {}]}).encode(),
        json.dumps({"cells": [STUB | {"metadata": {"nbgrader": [1]}}]}).encode(),
        json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": STUB["source"]}]}]}).encode(),
    ],
)
def test_a_notebook_is_read_in_spite_of_its_form(tmp_path, data):
    (tmp_path / "a.ipynb").write_bytes(data)
    cells = grade.cells_in(tmp_path / "a.ipynb")
    assert [cell.source for cell in cells if cell.source] == ["def descend():\n    ..."]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"3", b'{"cells": 3}', b"\xff\x00", b"[" * 100_000, b"PK\3\4"]
)
def test_what_is_no_notebook_is_known(tmp_path, data):
    (tmp_path / "a.ipynb").write_bytes(data)
    assert grade.cells_in(tmp_path / "a.ipynb") is None


def hand_in(course: Path, name: str, *cells: dict) -> None:
    path = course / "submitted" / "ada" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")


def graded(course: Path) -> grade.Student:
    (student,) = grade.grade(LESSON, course, LIMITS, 1)
    return student


def test_the_best_of_several_answers_counts_wherever_they_lie(tmp_path):
    hand_in(tmp_path, f"{NAME}/{NAME}.ipynb", STUB)
    hand_in(tmp_path, "old/final.ipynb", STUB | {"source": DESCEND.solution})
    hand_in(tmp_path, f"07_training/{NAME}.ipynb", STUB)  # another lesson's
    hand_in(tmp_path, f"{NAME}/.ipynb_checkpoints/{NAME}-checkpoint.ipynb", STUB)
    student = graded(tmp_path)
    assert student.verdicts["descend"].status == PASSED
    assert f"several notebooks: {NAME}.ipynb, final.ipynb" in student.troubles


def test_what_nobody_foresaw_is_that_students_trouble_alone(tmp_path, monkeypatch):
    hand_in(tmp_path, f"{NAME}.ipynb", STUB)
    monkeypatch.setattr(grade, "answers", lambda *_: 1 / 0)
    student = graded(tmp_path)
    assert "could not be graded, look at it: ZeroDivisionError" in student.troubles[-1]
    assert sum(grade.scores(LESSON, student).values()) == 0


def test_nobody_is_graded_where_the_solution_itself_does_not_pass(tmp_path, monkeypatch, capsys):
    hand_in(tmp_path, f"{NAME}.ipynb", STUB)
    monkeypatch.setattr(grade, "judge", lambda *_: Verdict(NOT_YET, "why", "ends its process"))
    assert grade.main(["1", "--course", str(tmp_path)]) == 1
    assert "expected the notebook's own library_for to pass, got Verdict" in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()


def test_without_submissions_it_says_where_they_go(tmp_path, capsys):
    assert grade.main(["1", "--course", str(tmp_path)]) == 1
    assert f"submitted/STUDENT/{NAME}/{NAME}.ipynb, found none" in capsys.readouterr().err.replace("\\", "/")


def test_no_lesson_defines_the_name_of_an_answer():
    """Such a cell would count as an answer."""
    for path in find([]):
        lesson = [
            cell for cell in read(path.stem).cells if cell.cell_type == "code" and "-stub" not in cell.id
        ]
        cells = [grade.Cell(cell.source, True, (), "") for cell in lesson]
        assert not [
            each.id for each in exercises(read(path.stem)) if any(grade.defines(each, c) for c in cells)
        ]
