"""The engine of the checks: one declaration an exercise says what is right, what is wrong, and why.

    halved = exercise(
        "halved",
        passed="One thing to remember.",
        given=draw_images,                        # yields (name of the case, arguments), at random
        right=halve,                              # a function, or a class
        wrong={"The hint.": ("/ 2", "* 2")},      # what gives the misconception away: a change of the right answer
        returns="float32 (N, 28, 28)",
    )

Right, wrong and a student's answer are looked at alike: each is called on the same cases, drawn anew from one seed, and
what it returns is compared, with what it has done to its arguments. `observe` says what else there is to be looked at.
"""

import functools
import inspect
import itertools
import math
import textwrap
import time
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

from digitlib.checks import core
from digitlib.checks.calling import Raised, Run, borrowed, in_place, not_own_work, unread
from digitlib.checks.comparing import (
    differences,
    explain,
    general_fault,
    same,
    state,
    told_of_arguments,
)

DECLARED: dict[str, "Exercise"] = {}  # every declaration, by the id of its exercise
SECONDS_FOR_TWO = 0.8  # how long to look for two misconceptions at once


def change(function: Callable, *texts: str) -> Callable:
    """Return a function or class whose source has other texts: old, new, and perhaps more pairs.

    Raises:
        ValueError: an old text is not in the source.
    """
    source = getattr(function, "source", None) or textwrap.dedent(inspect.getsource(function))
    for old, new in zip(texts[::2], texts[1::2], strict=True):
        if old not in source:
            raise ValueError(f"expected {old!r} in the source of {function.__name__}, found:\n{source}")
        source = source.replace(old, new)
    space = (
        dict(vars(inspect.getmodule(function))) if isinstance(function, type) else function.__globals__.copy()
    )
    exec(compile(source, f"<{function.__name__}>", "exec"), space)
    changed = space[function.__name__]
    changed.source = source
    return changed


def _result(run: Run, *arguments) -> dict:
    return {"the result": run(*arguments)}


@dataclass(frozen=True)
class Exercise:
    """All that the engine knows of one exercise.

    Attributes:
        name: the exercise's id.
        passed: what to tell whose answer is right: better one thing to remember than praise.
        given: draws the cases, pairs of a name and the arguments; called anew with the same seed, it draws the same.
        right: the right answer.
        wrong: hint: the wrong answer that it is for: a function, or a tuple of texts, old and new, that change the
            right one; or a list of such.
        returns: what the result should be, in words for hints: "uint8 (N, 28, 28)".
        observe: is given `run`, which calls an answer, and the arguments; returns what is to be compared, by names
            that make hints: {"the number of steps": 6, "the seed is used": True}.
        tolerance: how far floats may be off, as a share of their size.
        dtype: whether a tensor has to have just the right answer's dtype.
        ways: changes of the right answer that leave it right; a misconception may come with each of them.
        modes: whether it matters in which mode a model is left.
        plain: whether the numbers in a list have to be Python's own, not tensors.
        value: whether the answer is a value, and no function; then right and wrong are functions that return one.
        blank: the stub, where it is more than an empty body: the program of a bug hunt, as it stands there.
    """

    name: str
    passed: str
    given: Callable[[], Iterable[tuple[str, tuple]]]
    right: Callable
    wrong: dict[str, object]
    returns: str = "what the exercise asks for"
    observe: Callable[..., dict] = _result
    tolerance: float = 1e-4
    ways: tuple[tuple[str, ...], ...] = ()
    dtype: bool = True
    modes: bool = True
    plain: bool = False
    value: bool = False
    blank: object = None
    made: dict = field(default_factory=dict, repr=False)  # wrong answers, once they have been made


def answers(exercise: Exercise, hint: str) -> list[Callable]:
    """Return the wrong answers that a hint is for."""
    value = exercise.wrong[hint]
    return [made(exercise, example) for example in (value if isinstance(value, list) else [value])]


def made(exercise: Exercise, example: object) -> Callable:
    """Return a wrong answer as a function, also where it is declared as a change of the right one."""
    if not isinstance(example, tuple):
        return example
    if example not in exercise.made:
        exercise.made[example] = change(exercise.right, *example)
    return exercise.made[example]


def look(exercise: Exercise, answer: object, seed: int, most: int | None = None) -> list[dict]:
    """Return what is observed of an answer in each case, and the state of its arguments before and after."""
    core.seed_all(seed)
    looked = []
    for case, arguments in itertools.islice(exercise.given(), most):
        drawn, names = core.random_states(), list(inspect.signature(exercise.right).parameters)
        before = {name: state(value, exercise.modes) for name, value in zip(names, arguments, strict=False)}
        core.seed_all(seed + 1)
        run = Run(answer)
        try:
            seen = dict(exercise.observe(run, *arguments))
        except core.NotYet as raised:
            seen = {"raised": raised if isinstance(raised, Raised) else Raised(str(raised), "NotYet")}
        after = {name: state(value, exercise.modes) for name, value in zip(names, arguments, strict=False)}
        looked.append({"case": case, "seen": seen, "before": before, "after": after, "run": run})
        core.restore(drawn)
    return looked


def judge(exercise: Exercise, answer: object) -> None:
    """Return where an answer is right.

    Raises:
        NotYet: it is not; with a hint.
    """
    if exercise.value:
        value, answer = answer, lambda: value
    core.expect(callable(answer), _no_function(exercise, answer))
    if isinstance(exercise.right, type) and not isinstance(answer, type | types.FunctionType):
        raise core.NotYet(_no_function(exercise, answer))
    seed = core.fresh_seed()
    right, found = look(exercise, exercise.right, seed), look(exercise, answer, seed)
    if error := next((each["seen"]["raised"] for each in right if "raised" in each["seen"]), None):
        raise RuntimeError(f"the right answer of {exercise.name} raises: {error}")
    _give(Looked(exercise, answer, seed, right, found))


def _no_function(exercise: Exercise, answer: object) -> str:
    kind = "class" if isinstance(exercise.right, type) else "function"
    given = core.describe_value(answer)
    return f"Expected the {kind} itself, without parentheses behind its name; got {given}, which it may have made."


@dataclass
class Looked:
    """One answer, looked at beside the right one.

    Attributes:
        seed: what the cases were drawn from.
        right, found: what was observed of the right answer and of this one, case by case.
        off: of each case, what differs.
        wrong_cases: the numbers of the cases in which something does.
        looks: what was observed of wrong answers so far.
    """

    exercise: Exercise
    answer: object
    seed: int
    right: list[dict]
    found: list[dict]
    off: list[list[tuple]] = field(default_factory=list)
    wrong_cases: list[int] = field(default_factory=list)
    looks: dict[Callable, list[dict]] = field(default_factory=dict)

    def __post_init__(self):
        self.off = [differences(self.exercise, *pair) for pair in zip(self.right, self.found, strict=True)]
        self.wrong_cases = [number for number, off in enumerate(self.off) if off]


def _give(looked: Looked) -> None:
    """Raise NotYet with the first hint that fits, in the order from what is certain to what is likely."""
    steps = [_meddling, _never_read]
    if looked.wrong_cases:
        steps = [_known, *steps, _raised, _general, _partly, _pairs, _rest]
    for step in steps:
        if hint := step(looked):
            raise core.NotYet(hint)


def _known(looked: Looked) -> str | None:
    """Return the hint of the misconception that gives just what was found, in every case."""
    for hint in looked.exercise.wrong:
        if any(_agrees(looked, each) for each in answers(looked.exercise, hint)):
            return hint
    return _two(looked, looked.exercise.ways)


def _looked(looked: Looked, answer: Callable) -> list[dict]:
    if answer not in looked.looks:
        looked.looks[answer] = look(looked.exercise, answer, looked.seed)
    return looked.looks[answer]


def _agrees(looked: Looked, answer: Callable) -> bool:
    first = looked.wrong_cases[0]  # looking at one case more often saves looking at all
    start = look(looked.exercise, answer, looked.seed, first + 1)
    return _alike(looked, looked.found[first], start[first]) and all(
        _alike(looked, *pair) for pair in zip(looked.found, _looked(looked, answer), strict=True)
    )


def _alike(looked: Looked, one: dict, other: dict) -> bool:
    tolerance = looked.exercise.tolerance
    return same(one["seen"], other["seen"], tolerance) and same(one["after"], other["after"], tolerance)


def _meddling(looked: Looked) -> str | None:
    """Return a hint where the answer changes what it was given, or leaves torch in another state."""
    for right, found in zip(looked.right, looked.found, strict=True):
        if hint := told_of_arguments(right, found, functools.partial(in_place, looked.answer)):
            return hint
        if not found["run"].records:
            return (
                "Afterwards torch records no gradients any more, for anybody: switch that off for a while, not for "
                "good."
            )
    return None


def _never_read(looked: Looked) -> str | None:
    """Return a hint where an argument is never read, and a variable of the notebook is."""
    never = [name for name in unread(looked.answer) if name not in unread(looked.exercise.right)]
    other = borrowed(looked.answer)
    if not never or not other:
        return None
    return (
        f"Your function never reads its argument `{never[0]}`. It uses the notebook's `{other[0]}`, which is the "
        "same whatever your function is given."
    )


def _raised(looked: Looked) -> str | None:
    """Return what an exception tells, and in which case it came where it did not come in all."""
    cases = [each for each in looked.found if "raised" in each["seen"]]
    if not cases:
        return None
    hint = str(cases[0]["seen"]["raised"])
    return hint if len(cases) == len(looked.found) else f"{hint} That is for {cases[0]['case']}."


def _general(looked: Looked) -> str | None:
    """Return the hint of a fault that every exercise knows: of type, shape, order, rounding."""
    cases = [looked.off[number] for number in looked.wrong_cases]
    return general_fault(looked.exercise, cases, looked.found, looked.wrong_cases)


def _partly(looked: Looked) -> str | None:
    """Return the hint of the misconception that explains most of what is off, in part of the cases at least."""
    best, most = None, 0.0
    for hint in looked.exercise.wrong:
        for answer in answers(looked.exercise, hint):
            explained = sum(_share(looked, answer, number) for number in looked.wrong_cases)
            best, most = (hint, explained) if explained > most else (best, most)
    return best


def _share(looked: Looked, answer: Callable, number: int) -> float:
    """Return how many of the parts that are off in one case are just what this wrong answer gives."""
    seen = _looked(looked, answer)[number]
    other = {what: part for what, _, part in differences(looked.exercise, looked.right[number], seen)}
    return sum(
        share_explained(right, part, other[what], looked.exercise.tolerance)
        for what, right, part in looked.off[number]
        if what in other
    )


def _rest(looked: Looked) -> str:
    """Return what the numbers are, and what they should be."""
    number = looked.wrong_cases[0]
    return explain(looked.exercise, looked.right[number], looked.off)


def _pairs(looked: Looked) -> str | None:
    """Return the hint of the first of two misconceptions that together give what was found."""
    until = time.monotonic() + SECONDS_FOR_TWO
    return _two(looked, [example for _, example in _changes(looked)], until)


def _changes(looked: Looked) -> list[tuple[str, tuple]]:
    return [
        (hint, example)
        for hint, value in looked.exercise.wrong.items()
        for example in (value if isinstance(value, list) else [value])
        if isinstance(example, tuple)
    ]


def _two(looked: Looked, others: Iterable[tuple], until: float = math.inf) -> str | None:
    """Return the hint of the misconception that, together with one of the other changes, gives what was found."""
    for other, (hint, one) in itertools.product(others, _changes(looked)):
        for two in ((one, other), (other, one)):
            if time.monotonic() > until:
                return None
            try:
                if one != other and _agrees(looked, made(looked.exercise, (*two[0], *two[1]))):
                    return hint
            except (ValueError, SyntaxError):  # the two do not go together
                continue
    return None


def share_explained(right: object, found: object, wrong: object, tolerance: float) -> float:
    """Return which share of what is off in a part is as in a wrong answer's, 0 where that may be a coincidence."""
    numbers = [core.as_numbers(value) for value in (right, found, wrong)]
    if any(value is None for value in numbers) or len({value.shape for value in numbers}) > 1:
        return float(not isinstance(found, str | bool | None) and same(found, wrong, tolerance))
    right, found, wrong = numbers
    off = ~torch.isclose(found, right, rtol=tolerance, atol=tolerance)
    alike = off & torch.isclose(found, wrong, rtol=tolerance, atol=tolerance)
    values = found[alike]
    if off.sum() == 0 or (values.unique().numel() < 3 and bool((values == values.round()).all())):
        return 0.0
    share = (alike.sum() / off.sum()).item()
    return share if share > 0.25 else 0.0


def exercise(name: str, **declared) -> Callable[[object], core.Result]:
    """Declare an exercise (see `Exercise`); return its check, a function of one answer that returns a Result."""
    declaration = Exercise(name, **declared)

    def body(answer: object) -> None:
        core.expect(
            not not_own_work(answer),
            "This function comes from `digitlib` itself; the exercise asks for yours.",
        )
        judge(declaration, answer)

    body.__name__ = name
    body.__doc__ = f"Say whether an answer to the exercise {name} is right, or what stands in its way."
    body.__module__ = declaration.given.__module__
    DECLARED[name] = declaration
    return core.exercise(passed=declaration.passed, blank=declaration.blank)(body)
