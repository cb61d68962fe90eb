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

import contextlib
import functools
import inspect
import itertools
import re
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from digitlib.checks import comparing, core
from digitlib.checks.calling import Raised, Run, borrowed, unread
from digitlib.checks.comparing import differences, explained, number_fault, same

DECLARED: dict[str, "Exercise"] = {}  # every declaration, by the id of its exercise
TRIES = 100  # how many pairs of misconceptions to try

# Misconceptions that come everywhere: patterns in the source of whatever is right, and what stands there instead.
USUAL = {
    "The gradients pile up from step to step: clear them before each `backward()`.": [
        (r"optimizer\.zero_grad\(\)|x\.grad = None", "pass")],
    "This is the loss of a second softmax: `F.cross_entropy` takes the logits themselves.": [
        (r"(cross_entropy\(.+)(, \w+\))", r"\1.softmax(1)\2")],
    "You add up the losses of the images, where `F.cross_entropy` by itself takes their mean.": [
        (r"(cross_entropy\(.+, \w+)\)", r"\1, reduction='sum')")],
    "You add up, where a mean is asked.": [(r"\bmean\(", "sum(")],
    "You take a mean, where a sum is asked.": [(r"\bsum\(", "mean(")],
    "The largest stands where the smallest belongs, or the other way round.": [
        (r"\b(arg|a|)min\(", r"\1max("), (r"\b(arg|a|)max\(", r"\1min(")],
    "It goes wrong where two numbers are equal, or counts one too far: think of `<` and `<=`.": [
        (r" ([<>]) ", r" \1= "), (r" ([<>])= ", r" \1 ")],
    "It goes along the wrong axis, down the columns or along the rows.": [(r"(\(|dim=)1(?=\)|, [kl])", r"\g<1>0")],
    "A loop makes one pass too few or too many.": [
        (r"range\((\w+)\)", rf"range(\1 {sign} 1)") for sign in "-+"],
    "A plus stands where a minus belongs, or the other way round.": [
        (r" -(=?) (?!\d)", r" +\1 "), (r" \+(=?) (?!\d)", r" -\1 ")],
    "You multiply where you should divide, or the other way round.": [
        (r" / (?!\d)", r" * "), (r" \* (?!\d)", r" / ")],
}  # fmt: skip


def source_of(function: Callable) -> str:
    """Return the source of a function or class, also of a changed one."""
    return getattr(function, "source", None) or textwrap.dedent(inspect.getsource(function))


def change(function: Callable, *texts: str) -> Callable:
    """Return a function or class whose source has other texts: old, new, and perhaps more pairs.

    Raises:
        ValueError: an old text is not in the source.
    """
    source = source_of(function)
    for old, new in zip(texts[::2], texts[1::2], strict=True):
        if old not in source:
            raise ValueError(f"expected {old!r} in the source of {function.__name__}, found:\n{source}")
        source = source.replace(old, new)
    space = dict(vars(inspect.getmodule(function)) if isinstance(function, type) else function.__globals__)
    exec(compile(source, f"<{function.__name__}>", "exec"), space)
    changed = space[function.__name__]
    changed.source = source
    return changed


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
        modes: whether it matters in which mode a model is left.
        plain: whether the numbers in a list have to be Python's own, not tensors.
        value: whether the answer is a value, and no function; then right and wrong are functions that return one.
        blank: the stub, where it is more than an empty body: the program of a bug hunt, as it stands there.
    """

    name: str
    passed: str
    given: Callable[[], Iterable[tuple[str, tuple]]]
    right: Callable
    wrong: dict[str, object] = field(default_factory=dict)
    returns: str = "what the exercise asks for"
    observe: Callable[..., dict] = lambda run, *arguments: {"the result": run(*arguments)}
    tolerance: float = 1e-4
    dtype: bool = True
    modes: bool = True
    plain: bool = False
    value: bool = False
    blank: object = None


@functools.cache
def usual(right: Callable) -> list[tuple[str, tuple]]:
    """Return the hints of the usual misconceptions, each with a change of some lines of the right answer."""
    source, found = source_of(right).rstrip(), []
    for hint, old, new in ((hint, *each) for hint, changes in USUAL.items() for each in changes):
        for place in re.finditer(old, source):
            start = source.rfind("\n", 0, place.start()) + 1
            before, after = source[start : place.start()], source[place.end() :].split("\n")[0]
            texts = before + place[0] + after, before + place.expand(new) + after
            with contextlib.suppress(SyntaxError):
                made(right, texts)
                found.append((hint, texts))
    return found


def changes(exercise: Exercise) -> list[tuple[str, object]]:
    """Return what is declared to be wrong, one by one, each with the hint that it is for."""
    lists = {hint: wrong if isinstance(wrong, list) else [wrong] for hint, wrong in exercise.wrong.items()}
    return [(hint, each) for hint, wrong in lists.items() for each in wrong]


@functools.cache
def made(right: Callable, wrong: Callable | tuple[str, ...]) -> Callable:
    """Return a wrong answer as a function, also where it is declared as a change of the right one."""
    return change(right, *wrong) if isinstance(wrong, tuple) else wrong


def look(exercise: Exercise, answer: object, seed: int) -> Iterator[dict]:
    """Yield, case by case, what is observed of an answer, and the state of its arguments before and after."""
    names = list(inspect.signature(exercise.right).parameters)

    def states(arguments: tuple) -> dict:
        return {name: comparing.state(value, exercise.modes) for name, value in zip(names, arguments)}

    core.seed_all(seed)
    with contextlib.closing(_drawn(exercise)) as cases:
        for case, arguments in cases:
            drawn, before, run = core.random_states(), states(arguments), Run(answer)
            core.seed_all(seed + 1)
            try:
                seen = dict(exercise.observe(run, *arguments))
            except core.NotYet as raised:
                seen = {"raised": raised if isinstance(raised, Raised) else Raised(str(raised), "NotYet")}
            after, records = states(arguments), run.records
            yield {"case": case, "seen": seen, "before": before, "after": after, "records": records}
            if "raised" in seen and seen["raised"].kind.startswith("TooSlow"):
                return  # one case without an end is enough
            core.restore(drawn)


def _drawn(exercise: Exercise) -> Iterator[tuple[str, tuple]]:
    """Draw the cases; `given` may hold files open, and is closed with this."""
    yield from exercise.given()


@dataclass
class Looked:
    """One answer beside the right one: what was observed of both, case by case, and what differs in each case."""

    exercise: Exercise
    answer: object
    seed: int
    right: list[dict]
    found: list[dict]
    off: list[list[tuple]]


def judge(exercise: Exercise, answer: object) -> None:
    """Return where an answer is right; else look for a hint, from what is certain to what is likely.

    Raises:
        NotYet: the answer is not right; with a hint.
    """
    if exercise.value:
        value, answer = answer, lambda: value
    kind = "class" if isinstance(exercise.right, type) else "function"
    if not callable(answer) or (kind == "class" and not isinstance(answer, type | types.FunctionType)):
        told = f"Expected the {kind} itself, without parentheses behind its name; got"
        raise core.NotYet(f"{told} {core.describe_value(answer)}, which it may have made.")
    seed = core.fresh_seed()
    right, found = list(look(exercise, exercise.right, seed)), list(look(exercise, answer, seed))
    if error := next((each["seen"]["raised"] for each in right if "raised" in each["seen"]), None):
        raise RuntimeError(f"the right answer of {exercise.name} raises: {error}")
    off = [differences(exercise, *pair) for pair in zip(right, found)]
    looked = Looked(exercise, answer, seed, right, found, off)
    certain = [_known, _meddling]
    likely = [_raised, _fact, _general, _usual, _partly, _pairs, _beside, _rest]
    for step in certain + likely if any(off) else [_meddling]:
        if hint := step(looked):
            raise core.NotYet(" ".join([hint, *(_reads(looked) if step in likely else [])]))


def _known(looked: Looked) -> str | None:
    """Return the hint of the misconception that gives just what was found, in every case."""
    return _agreeing(looked, changes(looked.exercise))


def _agreeing(looked: Looked, wrong: list[tuple]) -> str | None:
    return next((hint for hint, each in wrong if _agrees(looked, made(looked.exercise.right, each))), None)


def _agrees(looked: Looked, answer: Callable) -> bool:
    """Tell whether a wrong answer gives just what was found; the first case where it does not ends the search."""
    with contextlib.closing(look(looked.exercise, answer, looked.seed)) as seen:
        return all(
            same([one["seen"], one["after"]], [other["seen"], other["after"]], looked.exercise.tolerance)
            for one, other in zip(looked.found, seen)
        )


def _meddling(looked: Looked) -> str | None:
    """Return a hint where the answer changes what it was given, or leaves torch in another state."""
    for right, found in zip(looked.right, looked.found):
        for name, before in right["before"].items():
            kept = same(before, right["after"][name], 1e-9)
            if kept and (hint := comparing.told_of(name, before, found["after"][name])):
                return hint
    if all(found["records"] for found in looked.found):
        return None
    return "Afterwards torch records no gradients any more, for anybody: switch that off for a while, not for good."


def _reads(looked: Looked) -> list[str]:
    """Return that an argument is never read, where one is that the right answer reads, and which variables are."""
    never = [name for name in unread(looked.answer) if name not in unread(looked.exercise.right)]
    facts = [f"Your function never reads its argument `{name}`, or overwrites it." for name in never[:1]]
    told = "It uses the notebook's `{}`, which is the same whatever your function is given."
    return facts + [told.format(name) for name in borrowed(looked.answer)[:1]]


def _raised(looked: Looked) -> str | None:
    """Return what an exception tells, and in which case it came where it did not come in all."""
    cases = [each for each in looked.found if "raised" in each["seen"]]
    if not cases:
        return None
    hint = str(cases[0]["seen"]["raised"])
    return hint if len(cases) == len(looked.found) else f"{hint} That is for {cases[0]['case']}."


def _usual(looked: Looked) -> str | None:
    """Return the hint of a misconception that comes everywhere, where it gives just what was found."""
    return _agreeing(looked, usual(looked.exercise.right))


def _fact(looked: Looked) -> str | None:
    """Return what is off before the result is, where something is: it is certain, and often explains the result."""
    what = next(off for off in looked.off if off)[0][0]
    is_result = what.startswith(("the result", "result ")) or what.endswith("afterwards")
    return None if is_result else _rest(looked)


def _general(looked: Looked) -> str | None:
    """Return the hint of a fault that every exercise knows: of type, shape, order, rounding."""
    cases = [(case["case"], off) for case, off in zip(looked.right, looked.off) if off]
    return comparing.general_fault(looked.exercise, cases, len(cases) == len(looked.off))


def _partly(looked: Looked) -> str | None:
    """Return the hint of the misconception that explains most: half of what is off, and in half of the cases."""
    exercise, best, num_off = looked.exercise, None, sum(map(bool, looked.off))
    most = num_off / 2
    for hint, each in changes(exercise):
        seen = look(exercise, made(exercise.right, each), looked.seed)
        shares = [_share(exercise, *case) for case in zip(looked.off, looked.right, seen)]
        often = sum(map(bool, shares)) >= num_off / 2  # one small case may agree by chance
        best, most = (hint, sum(shares)) if often and sum(shares) > most else (best, most)
    return best


def _share(exercise: Exercise, off: list[tuple], right: dict, seen: dict) -> float:
    """Return how many parts that are off in one case are just what a wrong answer gives, less a bit for others."""
    other = {what: part for what, _, part in differences(exercise, right, seen)}
    alike = [explained(*pair, other.pop(what), exercise.tolerance) for what, *pair in off if what in other]
    return max(sum(alike) - len(other) / 100, 0.0)


def _pairs(looked: Looked) -> str | None:
    """Return the hint of the first of two misconceptions that together give what was found; early ones come first."""
    right, first_of_each = looked.exercise.right, dict(reversed(changes(looked.exercise)))
    texts = [pair for pair in reversed(first_of_each.items()) if isinstance(pair[1], tuple)] + usual(right)
    for one, other in sorted(itertools.combinations(range(len(texts)), 2), key=sum)[:TRIES]:
        (hint, first), (_, second) = texts[one], texts[other]
        for both in ((*first, *second), (*second, *first)):
            with contextlib.suppress(ValueError, SyntaxError):  # in this order they do not go together
                if _agrees(looked, made(right, both)):
                    return hint
                break
    return None


def _beside(looked: Looked) -> str | None:
    """Return the hint of a misconception beside which a fault that every exercise knows explains the rest."""
    for hint, each in changes(looked.exercise):
        seen = look(looked.exercise, made(looked.exercise.right, each), looked.seed)
        off = [part for pair in zip(seen, looked.found) for part in differences(looked.exercise, *pair)]
        besides = number_fault(off) if off else None
        if besides and not besides.startswith(("All", "Some")):  # these may be chance
            return f"{hint} Besides: {besides[0].lower()}{besides[1:]}"
    return None


def _rest(looked: Looked) -> str:
    """Return what the numbers are, and what they should be, in the first case where something is off."""
    number = next(number for number, off in enumerate(looked.off) if off)
    others = " All other cases are right." if sum(map(bool, looked.off)) == 1 < len(looked.off) else ""
    told = comparing.explain(*looked.off[number][0], looked.exercise.tolerance)
    return f"For {looked.right[number]['case']}: {told}{others}"


def exercise(name: str, **declared) -> Callable[[object], core.Result]:
    """Declare an exercise (see `Exercise`); return its check, a function of one answer that returns a Result."""
    declaration = Exercise(name, **declared)

    def body(answer: object) -> None:
        judge(declaration, answer)

    body.__name__, body.__module__ = name, declaration.given.__module__
    body.__doc__ = f"Say whether an answer to the exercise {name} is right, or what stands in its way."
    DECLARED[name] = declaration
    return core.exercise(body, declaration.passed, declaration.blank)
