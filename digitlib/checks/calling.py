"""Call an answer safely, and read in its code what it uses."""

import dis
import functools
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from digitlib.checks import core

EXPLAINED = {  # a piece of an exception's text, and what stands behind it
    "backward through the graph a second time": "`backward()` walked the same record twice: compute the loss anew in "
    "every step.",
    "does not require grad": "torch recorded nothing that `backward()` could walk: is all computed with gradients, "
    "from a float tensor that asks for them?",
    "object has no attribute 'backward'": "A plain number has no `backward()`: take the number out of a loss only to "
    "note it.",
    "not implemented for 'Long'": "torch was given whole numbers where it needs floats: `F.cross_entropy` takes the "
    "logits first, and `mean` needs floats.",
    "a leaf Variable that requires grad": "A tensor that asks for gradients may not be changed in place, except within "
    "`torch.no_grad()`.",
}


class Raised(core.NotYet):
    """An answer raised an exception, or did not end; the message is the hint, `kind` tells exceptions apart."""

    def __init__(self, hint: str, kind: str):
        super().__init__(hint)
        self.kind = kind


class Run:
    """Calls an answer, within a time limit, and turns whatever it raises into a hint.

    Attributes:
        answer: the answer itself.
        records: whether torch still records gradients after all calls.
    """

    def __init__(self, answer: Callable):
        self.answer, self.records = answer, True

    def __call__(self, *arguments):
        """Return what the answer returns; of a generator, a list of what it yields.

        Raises:
            Raised: an exception came, or no end.
        """
        return self.of(self.answer, *arguments)

    def of(self, function: Callable, *arguments):
        """Call another function in the same way: a model that an answer has made, for example."""
        try:
            return core.within_time(lambda: self._noting(function, arguments), core.SECONDS)
        except core.NotYet:
            raise
        except (Exception, SystemExit, KeyboardInterrupt, core.TooSlow) as error:
            kind = f"{type(error).__name__} {str(error)[:30]}"
            raise Raised(_told(function, error, arguments), kind) from None

    def _noting(self, function: Callable, arguments: tuple) -> object:
        try:
            return core.finished(function(*arguments))
        finally:
            self.records = self.records and torch.is_grad_enabled()


def _told(function: Callable, error: BaseException, arguments: tuple) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    name = "Your function" if name == "<lambda>" else f"`{name}`"
    if isinstance(error, core.TooSlow):
        end = f"{name} did not end within {core.SECONDS:.0f} seconds"
        return f"{end}: is there a loop whose condition never changes?{error}"
    if isinstance(error, RecursionError):
        return f"{name} calls itself without an end."
    if isinstance(error, KeyboardInterrupt):  # a case plays Ctrl-C; a true one comes outside this thread
        return f"Ctrl-C went through {name} and took all that was finished along."
    for sign, meaning in EXPLAINED.items():
        if sign in str(error):
            return meaning
    shapes = ", ".join(core.describe_value(value) for value in arguments)
    told, given = f"{name} raised {core.describe(error)}.", f" It was given {shapes}."
    return told + given * (len(told + given) <= 300)


def _functions(answer: object) -> list[types.FunctionType]:
    """Return the functions of an answer that are written in Python: itself, or a class's methods."""
    if isinstance(answer, functools.partial):
        return _functions(answer.func)
    if isinstance(answer, type):
        return core.methods(answer)
    answer = inspect.unwrap(answer) if callable(answer) else answer
    answer = getattr(answer, "__func__", answer)
    return [answer] if isinstance(answer, types.FunctionType) else []


def _steps(code: types.CodeType) -> Iterator[dis.Instruction]:
    for step in dis.get_instructions(code):
        if isinstance(step.argval, types.CodeType):
            yield from _steps(step.argval)
        yield step


def unread(answer: object) -> list[str]:
    """Return the arguments of a function that its code never reads, or overwrites before it does."""
    found = []
    for function in _functions(answer):
        code = function.__code__
        for name in code.co_varnames[: code.co_argcount]:
            uses = [step for step in _steps(code) if _names(step, name)]
            if name != "self" and (not uses or _stores(uses[0], name)):
                found.append(name)
    return found


def _names(step: dis.Instruction, name: str) -> bool:
    held = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    return name in held and ("FAST" in step.opname or "DEREF" in step.opname)


def _stores(step: dis.Instruction, name: str) -> bool:
    loads = step.opname == "STORE_FAST_LOAD_FAST" and step.argval[1] == name  # since Python 3.13
    return step.opname.startswith("STORE") and not loads


def _read_globals(answer: object) -> dict[str, object]:
    """Return the global names that an answer's code reads, with what they stand for."""
    found = {}
    for function in _functions(answer):
        for step in _steps(function.__code__):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval in function.__globals__:
                found[step.argval] = function.__globals__[step.argval]
    return found


def borrowed(answer: object) -> list[str]:
    """Return the variables of the notebook that an answer reads: data, no functions, modules or CONSTANTS."""
    kinds = Tensor | np.ndarray | nn.Module | torch.Generator | list | tuple | dict | int | float | str
    read = _read_globals(answer).items()
    return [name for name, value in read if isinstance(value, kinds) and not name.isupper()]


def is_broken_cell(exercise: str) -> bool:
    """Tell whether the notebook's last cell with the answer is no Python: then the answer is an older one."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    cells = shell.user_ns.get("In", []) if shell else []
    asked = re.search(rf"\bchecks\.{exercise}\((\w+)\)", cells[-1]) if cells else None
    defines = rf"^\s*(def|class)\s+{asked[1]}\b|^{asked[1]}\s*=[^=]" if asked else "$."
    source = next((cell for cell in reversed(cells) if re.search(defines, cell, re.M)), None)
    return source is not None and shell.check_complete(source + "\n\n")[0] != "complete"


def not_own_work(answer: object) -> bool:
    """Tell whether an answer comes from digitlib, or calls something of the checks."""
    own = [*_functions(answer), *([answer] if isinstance(answer, type) else [])]
    read = _read_globals(answer).values()
    inside = [getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in read]
    inside = [name for name in inside if str(name).startswith("digitlib.checks")]
    return bool(inside) or any((each.__module__ or "").split(".")[0] == "digitlib" for each in own)
