"""Answers that students might give, exercise by exercise: the table that tests/test_checks.py runs.

Each module holds ANSWERS for the notebook of the same check module in digitlib.checks. The notebook's own solution
and stub need no row: they are taken from the notebook.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """The answers to one exercise.

    Attributes:
        right: other answers that must pass, each named after what is different about it.
        wrong: named after the misconception: the answer, and words that its hint must hold.
    """

    right: dict[str, object]
    wrong: dict[str, tuple[object, str]]
