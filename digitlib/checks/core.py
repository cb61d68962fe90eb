"""What every check shares: the result, the blank stub, and a safe way to call a stranger's code.

A check is a function of one answer: a function, a class or a value that a student wrote. It raises `NotYet` with a
hint at the first property that fails, and returns at the end. `exercise` makes a `Result` of both.
"""

import builtins
import contextlib
import ctypes
import dis
import functools
import html
import io
import itertools
import random
import re
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

PASSED, NOT_ATTEMPTED, NOT_YET = "passed", "not attempted", "not yet"
SECONDS = 10.0  # an answer that takes longer has most likely a loop without an end
CHECKS: dict[str, Callable] = {}  # every check, by the id of its exercise

_MARKS = {PASSED: "✔", NOT_ATTEMPTED: "○", NOT_YET: "✘"}
_TITLES = {PASSED: "Passed.", NOT_ATTEMPTED: "Not attempted yet.", NOT_YET: "Not yet."}
_COLOURS = {PASSED: "#1a7f4b", NOT_ATTEMPTED: "#767676", NOT_YET: "#c2550a"}
_STILL_RUNNING = " It is still running and slows all else down: restart the kernel (menu Kernel)."
_BEGIN = "Write your answer in the cell above, run that cell, then run this one again."


class NotYet(Exception):
    """An answer lacks a property; the message is the hint that the student reads."""


@dataclass(frozen=True)
class Result:
    """What a check found; a notebook shows it as one or two lines.

    Attributes:
        exercise: the exercise's id.
        status: "passed", "not attempted" or "not yet".
        message: one sentence or two; names in `backticks` are code.
    """

    exercise: str
    status: str
    message: str

    def __repr__(self) -> str:
        return f"{_MARKS[self.status]} {_TITLES[self.status]} {self.message}"

    def _repr_html_(self) -> str:
        message = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.message, quote=False))
        style = f"border-left: 4px solid {_COLOURS[self.status]}; padding: 0.2em 0.8em;"
        title = f"{_MARKS[self.status]} <strong>{_TITLES[self.status]}</strong>"
        return f'<div role="status" style="{style}">{title} {message}</div>'


def exercise(body: Callable[[object], None], passed: str, blank: object = None) -> Callable[[object], Result]:
    """Turn a function of one answer, which raises NotYet, into a check: it returns a Result, and never raises.

    The check's random numbers are new each time, and those of the notebook go on as if it had not been called.
    """
    name = body.__name__

    @functools.wraps(body)
    def check(answer: object = None) -> Result:
        from digitlib.checks.calling import is_broken_cell, not_own_work  # here: that module needs this one

        try:
            if is_broken_cell(name):
                raise NotYet("The cell with your answer did not run: mend it, and run it again.")
            if is_blank(answer, blank):
                return Result(name, NOT_ATTEMPTED, _BEGIN)
            if not_own_work(answer):
                raise NotYet("This comes from `digitlib` itself; the exercise asks for yours.")
            with _own_state(), _quiet() as printed:
                body(answer)
            note = " (What your answer printed is left out here.)" if printed.getvalue() else ""
            return Result(name, PASSED, passed + note)
        except NotYet as hint:
            return Result(name, NOT_YET, str(hint))
        except (Exception, SystemExit, TooSlow) as error:  # an answer of a kind that nobody foresaw
            told = f"The check could not use your answer ({describe(error)})."
            return Result(name, NOT_YET, f"{told} Compare what it takes and returns with the exercise.")

    CHECKS[name] = check
    return check


def expect(condition: object, hint: str) -> None:
    """Raise NotYet with this hint, unless the condition holds."""
    if not condition:
        raise NotYet(hint)


class _Noting(TorchFunctionMode):
    def __torch_function__(self, function, types, given=(), named=None):
        self.names.add(getattr(function, "__name__", ""))
        return function(*given, **(named or {}))


def names_of(run: Callable, *given) -> str:
    """Return the names of all torch functions that an answer calls: so a check sees one that passes on torch's own."""
    noting = _Noting()
    noting.names = set()

    def noted(*given):
        with noting:
            return run.answer(*given)

    run.of(noted, *given)
    return " ".join(noting.names)


def describe(error: BaseException) -> str:
    """Return an exception as one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160].rstrip('.')}" if text else type(error).__name__


def describe_value(value: object) -> str:
    """Return a short description of a value: a tensor by its shape and dtype, most others by their type."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, nn.Module | type(None)):
        return "nothing" if value is None else f"a {type(value).__name__}"
    if isinstance(value, bool | int | float):
        return f"{value:.4g}" if isinstance(value, float) else repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def as_numbers(value: object) -> Tensor | None:
    """Return numbers, or a list of numbers, as a float64 tensor; None where a value is something else."""
    if isinstance(value, Tensor | np.ndarray):
        if isinstance(value, np.ndarray):
            value = value.astype(value.dtype.newbyteorder("="))
        value = torch.as_tensor(value).detach()
        return None if value.is_complex() else value.double()
    if isinstance(value, list | tuple) and value:
        numbers = [as_numbers(each) for each in value]
        plain = all(each is not None and each.numel() == 1 for each in numbers)
        return torch.stack([each.reshape(()) for each in numbers]) if plain else None
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return torch.tensor(float(value), dtype=torch.float64)
    return None


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 image, 2 images."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def is_blank(answer: object, blank: object = None) -> bool:
    """Tell whether an answer is still the stub: nothing, an empty body, or the very program that `blank` holds.

    A class is blank where one of its own methods is.
    """
    if answer is None or answer is ...:
        return True
    if isinstance(answer, type):
        own, stub = ([_program(each.__code__) for each in methods(kind)] for kind in (answer, blank))
        return own == stub if isinstance(blank, type) else any(each in _EMPTY for each in own)
    own, stub = (isinstance(each, types.FunctionType) and _program(each.__code__) for each in (answer, blank))
    return bool(own) and own in [*_EMPTY, stub]


def methods(kind: object) -> list[types.FunctionType]:
    """Return the functions that stand in a class."""
    return [each for each in getattr(kind, "__dict__", {}).values() if isinstance(each, types.FunctionType)]


def _program(code: types.CodeType) -> list:
    """Return what a function does, step by step; comments, docstring and layout make no difference.

    Nor does the file it stands in: Python calls `torch.rand` by other instructions where `import torch` is in view.
    """
    program = []
    for step in dis.get_instructions(code):
        jumps = step.opcode in dis.hasjrel or step.opcode in dis.hasjabs  # whose place the skipped steps move
        value = _program(step.argval) if isinstance(step.argval, types.CodeType) else step.argval
        if step.opname not in ("RESUME", "NOP", "PUSH_NULL"):
            program.append((step.opname.replace("METHOD", "ATTR"), None if jumps else value))
    return program


def _raise():
    raise NotImplementedError


_EMPTY = [_program(empty.__code__) for empty in (lambda: None, lambda: ..., _raise)]


def finished(result: object, most: int = 10_000) -> object:
    """Return a result as it is, or what a generator yields as a list; one that goes on and on is cut off."""
    if not isinstance(result, types.GeneratorType):
        return result
    values = list(itertools.islice(result, most))
    expect(len(values) < most, "Your generator yields without an end: does its loop ever stop?")
    return values


class TooSlow(BaseException):
    """Raised in the thread of an answer that takes too long; no `except Exception` of its own holds it up."""


def within_time(function: Callable[[], object], seconds: float) -> object:
    """Return what a function returns; raise what it raises, and TooSlow where it does not end in time.

    It runs in a thread of its own, so that the interruption cannot hit anything else.
    """
    outcome: dict[str, object] = {}

    def run() -> None:
        try:
            outcome["result"] = function()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _interrupt(thread)
        raise TooSlow(_STILL_RUNNING if thread.is_alive() else "")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def _interrupt(thread: threading.Thread, patience: float = 2.0) -> None:
    """End a thread; one that catches every exception is hit again, and left alone at last."""
    for _ in range(4):
        if thread.is_alive():
            number, error = ctypes.c_ulong(thread.ident), ctypes.py_object(TooSlow)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error)
            thread.join(patience / 4)


def fresh_seed() -> int:
    """Return another number each time, whatever the notebook has seeded, so that each check has new inputs."""
    return random.SystemRandom().getrandbits(32)


def seed_all(seed: int) -> None:
    """Seed the random numbers of torch, NumPy and Python."""
    # torch.manual_seed looks for GPUs too, and takes 100 times as long.
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_states() -> tuple:
    """Return where the random numbers of torch, NumPy and Python are."""
    return torch.get_rng_state(), np.random.get_state(), random.getstate()


def restore(states: tuple) -> None:
    """Let the random numbers go on from where they were."""
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


@contextlib.contextmanager
def _own_state():
    """Give the check random numbers of its own and gradients; put everything back afterwards."""
    states, dtype, threads = random_states(), torch.get_default_dtype(), torch.get_num_threads()
    with torch.enable_grad():
        seed_all(fresh_seed())
        try:
            yield
        finally:
            restore(states)
            torch.set_default_dtype(dtype)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


@contextlib.contextmanager
def _quiet():
    """Keep an answer's prints out of the notebook, and a question of `input` from waiting for ever."""
    own_input, printed = builtins.input, io.StringIO()

    def refuse(*_):
        raise NotYet("Your answer asks for `input()`; it should work with what it is given.")

    builtins.input = refuse
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            yield printed
    finally:
        builtins.input = own_input
