"""Grade what a class has handed in for one notebook, whatever students did to their files, and write a report.

Examples:
    python -m tools.grade 07
    python -m tools.grade 07 --course FOLDER --seconds 300

Whatever lies below submitted/STUDENT/ is looked through, as nbgrader collects it. Of a submission only the answers run,
each in a process of its own with limits of time, memory and disk: the code of the cells that belong to an exercise, by
their ids, by nbgrader's grade_id, by their place or by the name that they define, after the notebook's imports. The
check's verdict gives the points, and where a student has several answers to one exercise the best one counts.
"""

import argparse
import csv
import json
import os
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from tqdm import tqdm

from digitlib.checks.core import NOT_ATTEMPTED, NOT_YET, PASSED, count, describe
from tools.assignment import COURSE, points
from tools.exercises import Exercise, NotebookError, exercises, imports, naming, part_of, read
from tools.judge import ENDED, ENDLESS, Job, Limits, Verdict, begin, best, judge
from tools.notebooks import find

LARGEST_FILE = 100e6  # bytes; a larger one is no notebook that anybody wrote
MOST_TRIES = 8  # of copies and halves of one answer


@dataclass
class Student:
    """One student's result: a verdict for each exercise, and the troubles that the submission had."""

    name: str
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cell:
    """A cell as it was handed in: ids are all that may say which cell of the notebook it was."""

    source: str
    is_code: bool
    ids: tuple[str, ...]
    grade_id: str


class Lesson:
    """The notebook that was handed out: its exercises, and how their cells are known again."""

    def __init__(self, path: Path):
        notebook = read(path)
        self.name, self.exercises, self.imports = path.stem, exercises(notebook, path.stem), imports(notebook)
        if not self.exercises:
            raise NotebookError("expected exercises, found none; `make new-exercise` makes one")
        self.points = {each.id: points(each) for each in self.exercises}
        self.seconds = notebook.metadata.get("digitlib", {}).get("seconds", 60)
        self.places: dict[tuple[str, str], tuple[str, str]] = {}  # how a cell is known: (exercise, part)
        for cell in notebook.cells:
            part = part_of(cell) or ""
            place = cell.id.removesuffix(f"-{part}") if part else "", part
            self.places |= {("id", cell.id): place, ("source", cell.source.strip()): place}
        for each in self.exercises:  # as tools.assignment marks them
            self.places[("grade_id", each.id)] = each.id, "stub"
            self.places[("grade_id", f"{each.id}-points")] = each.id, "check"

    def place(self, cell: Cell) -> tuple[str, str] | None:
        """Return the exercise and the part that a cell belongs to, empty for the lesson's; None if it is new."""
        source = cell.source.strip()
        keys = [*(("id", each) for each in cell.ids), ("grade_id", cell.grade_id), ("source", source)]
        if call := re.match(r"(?:result = )?checks\.(\w+)\(", source):
            keys.append(("id", f"{call[1]}-check"))
        return next((self.places[key] for key in keys if key in self.places), None)


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("notebook", metavar="NOTEBOOK", help="a number such as 07")
    parser.add_argument("--course", type=Path, default=COURSE, metavar="FOLDER", help="the course folder")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="of a processor, for an answer")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="answers that run at a time")
    options = parser.parse_args(arguments)
    try:
        (path,) = find([options.notebook])
        with naming(path):
            lesson = Lesson(path)
        class_ = grade(lesson, options.course, Limits(seconds=options.seconds), options.workers)
        print(write_report(lesson, class_, options.course / "reports" / lesson.name))
    except (NotebookError, OSError) as error:
        print(f"tools/grade.py: {error}", file=sys.stderr)
        return 1
    return 0


def grade(lesson: Lesson, course: Path, limits: Limits, workers: int) -> list[Student]:
    """Grade every student below submitted/, in the order of their names.

    Raises:
        NotebookError: nobody has handed in anything, or a solution of the notebook itself does not pass.
    """
    submitted = course / "submitted"
    folders = sorted(path for path in submitted.glob("*") if path.name[0] != ".")
    if not folders:
        where = submitted / "STUDENT" / lesson.name / f"{lesson.name}.ipynb"
        raise NotebookError(f"expected submissions such as {where}, found none; put them there")
    begin(lesson.imports)
    for each in lesson.exercises:  # what fails here would cost everybody a point
        verdict = judge(Job(each.id, each.answer_name, lesson.imports, each.solution), limits)
        if verdict.status != PASSED:
            raise NotebookError(
                f"expected the notebook's own {each.id} to pass, got {verdict}; mend it first"
            )
    with ThreadPoolExecutor(workers) as pool:
        students = pool.map(lambda folder: grade_student(lesson, folder, limits), folders)
        return list(tqdm(students, "graded", len(folders), unit=" students", disable=None))


def grade_student(lesson: Lesson, folder: Path, limits: Limits) -> Student:
    """Grade one student; whatever goes wrong with a submission is that student's trouble alone."""
    student = Student(folder.stem if folder.is_file() else folder.name)
    student.verdicts = {each.id: Verdict(NOT_ATTEMPTED) for each in lesson.exercises}
    try:
        notebooks = handed_in(lesson, folder, student)
        found = [answers(lesson, cells, student) for cells in notebooks]
        for each in lesson.exercises:
            tries = [code for cells in found for code in attempts(each, cells[each.id])][:MOST_TRIES]
            student.verdicts[each.id] = verdict = verdict_of(lesson, each, tries, notebooks, limits)
            if verdict.trouble:
                student.troubles.append(f"{each.id} {verdict.trouble}")
            elif not tries and notebooks:
                student.troubles.append(f"{each.id} is deleted")
    except Exception as error:  # of a kind that nobody foresaw
        student.troubles.append(f"could not be graded, look at it: {describe(error)}")
    return student


def verdict_of(
    lesson: Lesson, exercise: Exercise, tries: list[str], notebooks: list[list[Cell]], limits: Limits
):
    """Return the best verdict of what is tried as one answer.

    An answer that uses a name of other cells is tried behind all of them too, as it ran in the student's notebook.
    """
    job = Job(exercise.id, exercise.answer_name, lesson.imports)
    for _ in range(2):
        verdict = best(judge(replace(job, code=code), limits) for code in tries)
        if verdict.trouble != ENDED:  # else the machine may have been short of memory
            break
    others = [python(cell.source) for cells in notebooks for cell in cells if cell.is_code]
    others = [
        each for each in others if each not in tries and not re.search(r"^(result = )?checks\.", each, re.M)
    ]
    missing = re.search(r"NameError: name '(\w+)'", verdict.hint)
    if missing and any(re.search(rf"\b{missing[1]}\b", source) for source in others):
        longer = replace(limits, seconds=limits.seconds + 4 * lesson.seconds)
        behind = [judge(replace(job, code=code, before=tuple(others)), longer) for code in tries[:1]]
        verdict = best([*behind, verdict])
    return verdict


# ---- what was handed in ----------------------------------------------------------------------------------------


def handed_in(lesson: Lesson, folder: Path, student: Student) -> list[list[Cell]]:
    """Return the cells of every file of a student that is this notebook, whatever it is called."""
    files = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    others = {path.stem for path in find([])} - {lesson.name}
    inside = {path: path.relative_to(folder.parent).parts[:-1] for path in sorted(files)}
    files = [path for path in inside if not any(name in others or name[0] == "." for name in inside[path])]
    found = {path: cells for path in files if (cells := cells_in(path)) is not None}
    own = [path for path, cells in found.items() if lesson.name in inside[path] or _is_of(lesson, cells)]
    if not own:
        names = ", ".join(path.name for path in files) or "no file"
        student.troubles.append(f"no notebook of this lesson: {names}")
    elif len(own) > 1:
        student.troubles.append("several notebooks: " + ", ".join(path.name for path in own))
    elif own[0].name != f"{lesson.name}.ipynb":
        student.troubles.append(f"renamed: {own[0].name}")
    return [found[path] for path in own]


def cells_in(path: Path) -> list[Cell] | None:
    """Return the cells of a notebook of any format, however it was damaged; None where a file is none."""
    try:
        data = json.loads(path.read_bytes()) if path.stat().st_size < LARGEST_FILE else {}
        pages = [data] if "cells" in data else data["worksheets"]  # which format 3 has
        return [_cell(cell) for page in pages for cell in page["cells"] if isinstance(cell, dict)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _cell(cell: dict) -> Cell:
    metadata = _dict(cell.get("metadata"))
    source = cell.get("source", cell.get("input", ""))
    source = source if isinstance(source, str) else "".join(map(str, source or []))
    ids = (str(cell.get("id", "")), str(metadata.get("id", "")))  # Colab keeps ids in the metadata
    grade_id = str(_dict(metadata.get("nbgrader")).get("grade_id", ""))
    return Cell(source, cell.get("cell_type") == "code", ids, grade_id)


def python(source: str) -> str:
    """Return a cell's source as the notebook runs it: %magics and >>> prompts made Python, an indent taken away."""
    source = re.sub(r"^%%.*$", "", source, flags=re.MULTILINE)
    try:
        return TransformerManager().transform_cell(source).rstrip()
    except SyntaxError:
        return source


def _dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _is_of(lesson: Lesson, cells: list[Cell]) -> bool:
    places = [lesson.place(cell) for cell in cells]
    return any(place and place[0] for place in places) or any(
        defines(each, cell) for each in lesson.exercises for cell in cells
    )


def defines(exercise: Exercise, cell: Cell) -> bool:
    """Tell whether a cell defines what the exercise's check is given."""
    name = exercise.answer_name
    pattern = rf"^(async def|def|class) {name}\b|^{name}\s*(:[^=\n]*)?=(?!=)"
    return cell.is_code and bool(re.search(pattern, python(cell.source), re.MULTILINE))


def answers(lesson: Lesson, cells: list[Cell], student: Student) -> dict[str, list[Cell]]:
    """Return the cells of each exercise in one notebook, and note what was done to them.

    An exercise has its stub, new cells between its prompt and its check, and whatever defines its name.
    """
    found = {each.id: [] for each in lesson.exercises}
    checked, marked, now = set(), any(cell.grade_id for cell in cells), ""
    for cell in cells:
        exercise, part = lesson.place(cell) or (now, "new")
        now = exercise if part in ("prompt", "stub", "new") else ""
        if part == "check":
            checked.add(exercise)
        if part == "solution" or not cell.source.strip():
            continue
        for each in lesson.exercises:
            is_its = each.id == exercise and (part == "stub" or (part == "new" and cell.is_code))
            if is_its or defines(each, cell):
                found[each.id].append(cell)
    for each in lesson.exercises:
        own = found[each.id]
        known = any(f"{each.id}-stub" in cell.ids and cell.is_code for cell in own)
        if own and not (known and (not marked or any(cell.grade_id == each.id for cell in own))):
            student.troubles.append(f"{each.id} has other metadata")
        if len(own) > 1:
            copied = sum(defines(each, cell) for cell in own) > 1
            student.troubles.append(f"{each.id} is {'copied' if copied else 'split'}")
        if each.id not in checked:
            student.troubles.append(f"the check of {each.id} is deleted")
    return found


def attempts(exercise: Exercise, cells: list[Cell]) -> list[str]:
    """Return what to try as one answer: all its cells together, then each that defines it, the last one first."""
    together = "\n".join(dict.fromkeys(cell.source for cell in cells))  # halves of a function fit together
    alone = [cell.source for cell in reversed(cells) if defines(exercise, cell)]
    return list(dict.fromkeys(python(source) for source in (together, *alone) if source))


# ---- the report ------------------------------------------------------------------------------------------------


def write_report(lesson: Lesson, students: list[Student], folder: Path) -> Path:
    """Write report.md, scores.csv and answers.csv into a folder; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [["student", *lesson.points, "points", "of", "trouble"]]
    rows += [
        [each.name, *scores(lesson, each).values(), sum(scores(lesson, each).values()),
         sum(lesson.points.values()), "; ".join(each.troubles)]
        for each in students
    ]  # fmt: skip
    _table(folder / "scores.csv", rows)
    verdicts = [(each.name, name, verdict) for each in students for name, verdict in each.verdicts.items()]
    rows = [["student", "exercise", "status", "hint"]]
    _table(
        folder / "answers.csv", rows + [[name, key, each.status, each.hint] for name, key, each in verdicts]
    )
    (folder / "report.md").write_text(report(lesson, students), encoding="utf-8")
    return folder / "report.md"


def scores(lesson: Lesson, student: Student) -> dict[str, int]:
    """Return the points of one student, exercise by exercise."""
    return {key: most * (student.verdicts[key].status == PASSED) for key, most in lesson.points.items()}


def hints(students: list[Student]) -> list[tuple[int, str, str]]:
    """Return how many students got each hint: (count, exercise, hint), the most frequent first.

    Hints that differ in their numbers alone are one.
    """
    counts, words = Counter(), {}
    for student in students:
        for key, verdict in student.verdicts.items():
            if verdict.hint and verdict.trouble in (
                "",
                ENDLESS,
            ):  # what went wrong otherwise is no misconception
                plain = key, re.sub(r"\d[\d.,]*(e[+-]?\d+)?", "0", verdict.hint)
                counts[plain] += 1
                words.setdefault(plain, verdict.hint)
    return [(number, plain[0], words[plain]) for plain, number in counts.most_common()]


def report(lesson: Lesson, students: list[Student]) -> str:
    """Return the class's report, as Markdown."""
    full = sum(lesson.points.values())
    mean = sum(sum(scores(lesson, each).values()) for each in students) / len(students)
    lines = [f"# {lesson.name}: {len(students)} students, {mean:.2f} of {full} points on average", ""]
    lines += ["## What to teach tomorrow", ""]
    found = hints(students)
    first = [f"1. {count(number, 'student')}, `{key}`: {hint}" for number, key, hint in found[:10]]
    lines += first or ["Nothing: all is right."]
    for each in lesson.exercises:
        said = Counter(student.verdicts[each.id].status for student in students)
        shares = ", ".join(f"{said[status]} {status}" for status in (PASSED, NOT_YET, NOT_ATTEMPTED))
        lines += ["", f"## {each.heading()['title'].capitalize()} (`{each.id}`)", "", f"{shares}.", ""]
        lines += [f"- {number}: {hint}" for number, key, hint in found if key == each.id]
    lines += ["", "## Who had which trouble", ""]
    troubled = [each for each in students if each.troubles]
    lines += [f"- {each.name}: {'; '.join(each.troubles)}" for each in troubled] or ["Nobody."]
    return "\n".join(lines) + "\n"


def _table(path: Path, rows: list[list]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
