"""A made-up class for tools.grade: what its students hand in, and what each of them must get.

Example:
    python -m tests.classroom 07 300    make a class of 300, one in ten broken; grade it, compare, say what it took
"""

import contextlib
import copy
import functools
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from nbformat import NotebookNode

from digitlib.checks import CHECKS
from digitlib.checks.core import NOT_ATTEMPTED, NOT_YET, PASSED
from tests.guards import read
from tools import grade
from tools.assignment import assignment
from tools.exercises import Exercise, answer, exercises
from tools.judge import Limits
from tools.notebooks import as_text, find

# Wrong answers, as changes of the notebook's own solutions.
WRONG = {
    "library_for": [('"seaborn"', '"?"', '"matplotlib"', '"seaborn"', '"?"', '"matplotlib"')],
    "brightened": [("amounts[:, None, None, None]", "amounts.mean()")],
    "noisy_copies": [("manual_seed(seed)", "manual_seed(0)"), (", generator=generator", "")],
    "descend": [("place.grad = None", "pass"), ("-=", "+=")],
    "learn_by_heart": [("        optimizer.zero_grad()\n", ""), ("optimizer.step()", "pass")],
    "validation_loss": [(".item() * len(labels)", ".item()"), ("    model.eval()\n", "")],
    "keep_dropout": [("model.train()", "model.eval()"), ("optimizer.zero_grad()", "pass")],
    "fit_until": [
        (">= goal", "> goal"),
        ("            break\n        acc", "            continue\n        acc"),
    ],
}
HARM = {  # what stands in place of one answer
    "endless": "while True:\n    pass",
    "full disk": "import os\ndef {}(*_):\n    while True:\n        open(os.urandom(8).hex(), 'wb').write(bytes(10**7))",
    "full memory": "def {}(*_):\n    return [bytearray(10**10) for _ in range(10**6)]",
    "dead process": "import os\ndef {}(*_):\n    os._exit(0)",
}
KINDS = (
    "copied",
    "split",
    "deleted answer",
    "deleted checks",
    "other metadata",
    "renamed",
    "no notebook",
    "cut off",
)
KINDS += tuple(HARM)
NO_NOTEBOOK = ("no notebook", "cut off")

Said = tuple[str, str]  # a status, and a hint


@functools.cache
def choices(exercise: Exercise) -> list[tuple[str, Said]]:
    """Return answers to an exercise, none among them, with what its check says when it is asked directly."""
    sources = ["", exercise.solution]
    for changes in WRONG[exercise.id]:
        source = exercise.solution
        for old, new in zip(changes[::2], changes[1::2]):
            assert old in source, (exercise.id, old)
            source = source.replace(old, new, 1)
        sources.append(source)
    results = [CHECKS[exercise.id](answer(exercise, source or exercise.stub)) for source in sources]
    statuses = [result.status for result in results]
    assert statuses == [NOT_ATTEMPTED, PASSED] + [NOT_YET] * len(WRONG[exercise.id]), results
    hints = [result.message if result.status == NOT_YET else "" for result in results]
    return [(source, said) for source, *said in zip(sources, statuses, hints)]


def release(name: str) -> NotebookNode:
    """Return an assignment as nbgrader hands it out."""
    notebook = assignment(read(name))
    for cell in notebook.cells:
        cell.source = re.sub(r"### BEGIN SOL.*?### END SOLUTION", "# Yours", cell.source, flags=re.DOTALL)
        cell.source = re.sub(r"### BEGIN HID.*?### END HIDDEN TESTS\n", "", cell.source, flags=re.DOTALL)
    return notebook


def make(
    name: str, count: int, course: Path, *, broken: list[int], seed: int = 0
) -> dict[str, dict[str, Said]]:
    """Write submissions below a course's folder; return what each student must get for each exercise.

    Args:
        broken: the numbers of the students whose submission is broken, in the ways of KINDS in turn.
    """
    draw, tasks, expected = random.Random(seed), exercises(read(name), name), {}
    for number in range(count):
        kind = KINDS[broken.index(number) % len(KINDS)] if number in broken else ""
        student, notebook = f"student-{number:03}{'-' * bool(kind)}{kind.replace(' ', '-')}", release(name)
        picked = {each.id: draw.choice(choices(each)) for each in tasks}
        expected[student] = {key: said for key, (_, said) in picked.items()}
        for each in tasks:
            stub_of(notebook, each).source += "\n" + picked[each.id][0]
        victim = draw.choice(tasks[1:])  # the first one's answer may be no function
        if kind in NO_NOTEBOOK:
            expected[student] = dict.fromkeys(picked, (NOT_ATTEMPTED, ""))
        elif kind == "deleted answer":
            expected[student][victim.id] = (NOT_ATTEMPTED, "")
        elif kind in HARM:
            expected[student][victim.id] = (NOT_YET, None)
        write(
            damaged(notebook, kind, victim, draw),
            kind,
            course / "submitted" / student / name / f"{name}.ipynb",
        )
    return expected


def stub_of(notebook: NotebookNode, exercise: Exercise) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == f"{exercise.id}-stub")


def damaged(notebook: NotebookNode, kind: str, victim: Exercise, draw: random.Random) -> NotebookNode:
    """Return a notebook with one kind of damage to one of its answers."""
    cells, stub = notebook.cells, stub_of(notebook, victim)
    place, lines = cells.index(stub), stub.source.rstrip().split("\n")
    if kind == "copied":  # the copy has been left blank, above the answer or below it
        blank = copy.deepcopy(stub) | {"id": "a-copy", "source": victim.stub}
        cells.insert(place + draw.randrange(2), NotebookNode(blank))
    elif kind == "split":  # in the middle of the answer, as JupyterLab does
        half = (len(victim.stub.split("\n")) + len(lines)) // 2 + 1
        second = copy.deepcopy(stub) | {"id": "a-half", "source": "\n".join(lines[half:])}
        stub.source = "\n".join(lines[:half])
        cells.insert(place + 1, NotebookNode(second))
    elif kind == "deleted answer":
        cells.remove(stub)
    elif kind == "deleted checks":
        notebook.cells = [cell for cell in cells if not cell.id.endswith("-check")]
    elif kind == "other metadata":
        for number, cell in enumerate(cells):
            cell.id, cell.metadata = f"cell-{number}", NotebookNode(tags=["mine"])
    elif kind in HARM:
        stub.source = HARM[kind].format(victim.answer_name)
    return notebook


def write(notebook: NotebookNode, kind: str, path: Path) -> None:
    """Store a submission, in the way that belongs to its kind of damage."""
    data = as_text(notebook).encode()
    if kind == "renamed":
        path = path.parents[1] / "Homework" / "my answers (2).ipynb.txt"
    elif kind == "no notebook":
        data = b"%PDF-1.7 " + bytes(range(256))
    elif kind == "cut off":
        data = data[: len(data) // 2]
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def complaints(expected: dict[str, dict[str, Said]], students: list[grade.Student]) -> list[str]:
    """Return a line for each answer whose verdict is another one than must come."""
    found = {each.name: each.verdicts for each in students}
    assert set(found) == set(expected)
    return [
        f"{student}, {key}: expected {status} {hint}, got {verdict}"
        for student, said in expected.items()
        for key, (status, hint) in said.items()
        if (verdict := found[student][key]).status != status or hint not in (None, verdict.hint)
    ]


def counted(expected: dict[str, dict[str, Said]]) -> Counter:
    """Return how many students must get each hint of a misconception: {(exercise, hint): how many}."""
    return Counter((key, hint) for said in expected.values() for key, (_, hint) in said.items() if hint)


def memory() -> int:
    """Return the bytes that this process and all below it hold together; what they share counts once."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # it has just ended
            used = process.memory_full_info()
            total += getattr(used, "pss", used.uss)
    return total


def main(number: str, count: int) -> int:
    """Grade a whole class, and print what it took; return 1 where a score is wrong."""
    (path,) = find([number])
    lesson, samples, done = grade.Lesson(path), [], threading.Event()

    def watch() -> None:
        while not done.wait(1):
            samples.append(memory())

    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        expected = make(lesson.name, count, course, broken=list(range(5, count, 10)))
        threading.Thread(target=watch, daemon=True).start()
        started = time.perf_counter()
        students = grade.grade(lesson, course, Limits(), os.cpu_count())
        minutes = (time.perf_counter() - started) / 60
        done.set()
        print(grade.write_report(lesson, students, course / "reports").read_text(encoding="utf-8"))
    wrong = complaints(expected, students)
    print(*wrong, sep="\n")
    print(
        f"{count} students in {minutes:.1f} minutes, at most {max(samples) / 1e9:.1f} GB; {len(wrong)} wrong verdicts"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
