"""Call an answer safely, and read in its code what it uses."""

import contextlib
import dis
import functools
import inspect
import io
import types
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from digitlib.checks import core

EXPLAINED = {  # a piece of an exception's text, and what stands behind it
    "backward through the graph a second time": "`backward()` walked the same record twice: compute the loss anew in "
    "every step.",
    "does not require grad": "torch recorded nothing that `backward()` could walk: is the loss computed without "
    "gradients?",
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
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                result = core.within_time(lambda: self._noting(function, arguments), core.SECONDS)
        except core.NotYet:
            raise
        except (Exception, SystemExit, KeyboardInterrupt, core.TooSlow) as error:
            raise Raised(
                _told(function, error, arguments), f"{type(error).__name__} {str(error)[:30]}"
            ) from None
        if printed.getvalue():
            print(printed.getvalue())  # where `exercise` hears that something was printed
        return result

    def _noting(self, function: Callable, arguments: tuple) -> object:
        try:
            return core.finished(function(*arguments))
        finally:
            self.records = self.records and torch.is_grad_enabled()


def _told(function: Callable, error: BaseException, arguments: tuple) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    name = "Your function" if name == "<lambda>" else f"`{name}`"
    if isinstance(error, core.TooSlow):
        told = f"{name} did not end within {core.SECONDS:.0f} seconds: is there a loop whose condition never changes?"
        return f"{told}{error}"
    if isinstance(error, RecursionError):
        return f"{name} calls itself without an end."
    if isinstance(
        error, KeyboardInterrupt
    ):  # from a case that plays Ctrl-C; a true one comes outside this thread
        return f"Ctrl-C went through {name} and took all that was finished along."
    for sign, meaning in EXPLAINED.items():
        if sign in str(error):
            return meaning
    if isinstance(error, TypeError) and not _takes(function, len(arguments)):
        return f"{name} should take {core.count(len(arguments), 'argument')}: {core.describe(error)}."
    never = unread(function)
    if isinstance(error, NameError) and never:
        return f"{name} never reads its argument `{never[0]}`, and raised {core.describe(error)}."
    shapes = ", ".join(core.describe_value(value) for value in arguments)
    told, given = f"{name} raised {core.describe(error)}.", f" It was given {shapes}."
    return told + given * (len(told + given) <= 300)


def _takes(function: Callable, number: int) -> bool:
    try:
        inspect.signature(function).bind(*range(number))
    except TypeError:
        return False
    except ValueError:  # a function of C, which does not say
        pass
    return True


def _functions(answer: object) -> list[types.FunctionType]:
    """Return the functions of an answer that are written in Python: itself, or a class's methods."""
    if isinstance(answer, functools.partial):
        return _functions(answer.func)
    if isinstance(answer, type):
        return [value for value in vars(answer).values() if isinstance(value, types.FunctionType)]
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
            uses = [step for step in _steps(code) if _names(step, name) and step.opname != "MAKE_CELL"]
            if name != "self" and (not uses or _stores(uses[0], name)):
                found.append(name)
    return found


def _names(step: dis.Instruction, name: str) -> bool:
    held = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    return name in held and not step.opname.endswith(("GLOBAL", "ATTR", "METHOD", "CONST"))


def _stores(step: dis.Instruction, name: str) -> bool:
    loads = step.opname == "STORE_FAST_LOAD_FAST" and step.argval[1] == name
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
    kinds = (
        Tensor,
        np.ndarray,
        nn.Module,
        torch.optim.Optimizer,
        torch.Generator,
        list,
        tuple,
        dict,
        int,
        float,
        str,
    )
    read = _read_globals(answer).items()
    return [name for name, value in read if isinstance(value, kinds) and not name.isupper()]


def not_own_work(answer: object) -> bool:
    """Tell whether a function comes from digitlib, or calls something of the checks."""
    names = [getattr(function, "__module__", "") or "" for function in _functions(answer)]
    names += [answer.__module__ or ""] if isinstance(answer, type) else []
    inside = [
        getattr(value, "__module__", None) or getattr(value, "__name__", "")
        for value in _read_globals(answer).values()
    ]
    return any(name.split(".")[0] == "digitlib" for name in names) or any(
        str(name).startswith("digitlib.checks") for name in inside
    )


def in_place(answer: object, name: str) -> str:
    """Return how an answer may change its argument in place, in words, or nothing."""
    ways = {}
    for function in _functions(answer):
        steps = list(_steps(function.__code__))
        for step, following in zip(steps, steps[1:], strict=False):
            if step.opname == "BINARY_OP" and step.argrepr.endswith("="):
                if _names(following, name):
                    return f" `{step.argrepr}` works in place."
                ways[f"`{step.argrepr}`"] = None
            elif step.opname in ("STORE_SUBSCR", "STORE_SLICE"):
                ways["`x[...] = `"] = None
            elif step.opname in ("LOAD_METHOD", "LOAD_ATTR") and _changes(str(step.argval)):
                ways[f"`.{step.argval}()`"] = None
    return f" Look at what works in place: {', '.join(ways)}." if ways else ""


def _changes(method: str) -> bool:
    return method in ("sort", "reverse", "pop") or (method.endswith("_") and not method.endswith("__"))
