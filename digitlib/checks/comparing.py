"""Compare what was observed of two answers, and say in words what is off: types, shapes, order, rounding, numbers."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from digitlib.checks.core import as_numbers, count, describe_value


def state(value: object, modes: bool = True) -> object:
    """Return what of an argument a call might change: values, weights, and modes where they matter."""
    if isinstance(value, nn.Module):
        asks = [parameter.requires_grad for parameter in value.parameters()]
        training = [module.training for module in value.modules() if modes]
        return {"weights": state(dict(value.state_dict())), "modes": tuple(training), "asks": tuple(asks)}
    if isinstance(value, Tensor | np.ndarray):
        return torch.as_tensor(value).detach().clone()
    if isinstance(value, list | tuple):
        return [state(each) for each in value]
    if isinstance(value, dict):
        return {key: state(each) for key, each in value.items()}
    return value if isinstance(value, int | float | str) else None


def same(one: object, other: object, tolerance: float) -> bool:
    """Tell whether two values agree: a list and a tuple, or a number and a tensor of one, may do so."""
    if hasattr(one, "kind") or hasattr(other, "kind"):  # exceptions
        return getattr(one, "kind", None) == getattr(other, "kind", None)
    if isinstance(one, dict) or isinstance(other, dict):
        both = isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys()
        return both and all(same(one[key], other[key], tolerance) for key in one)
    first, second = as_numbers(one), as_numbers(other)
    if first is not None and second is not None:
        if first.numel() == second.numel() == 1 and min(first.ndim, second.ndim) == 0:
            first, second = first.flatten(), second.flatten()
        if first.shape != second.shape or first.numel() == 0:
            return first.shape == second.shape
        near = 1e-12 if whole(one) and whole(other) else tolerance
        return torch.allclose(first, second, rtol=near, atol=near, equal_nan=True)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(*pair, tolerance) for pair in zip(one, other, strict=True))
    return first is None and second is None and type(one) is type(other) and (one == other) is True


def whole(value: object) -> bool:
    """Tell whether a value is made of whole numbers, which have to agree exactly."""
    if isinstance(value, Tensor):
        return not value.is_floating_point()
    if isinstance(value, list | tuple):
        return all(whole(each) for each in value)
    return isinstance(value, int)


def parts(right: object, found: object, what: str) -> Iterator[tuple[str, object, object]]:
    """Yield pairs to compare: the entries of a tuple or dict each by itself, as far as both have the same ones."""
    if isinstance(right, tuple) and isinstance(found, tuple | list) and len(right) == len(found):
        for number, pair in enumerate(zip(right, found, strict=True)):
            yield from parts(*pair, f"{what.removeprefix('the ')} {number + 1} of {len(right)}")
    elif isinstance(right, dict) and isinstance(found, dict) and right.keys() == found.keys():
        for key in right:
            yield from parts(right[key], found[key], f"{what}[{key!r}]")
    else:
        yield what, right, found


def differences(exercise, right: dict, found: dict) -> list[tuple[str, object, object]]:
    """Return what differs between the right answer and another in one case: name, right part, found part."""
    seen, other = right["seen"], found["seen"]
    if "raised" in other:
        return [("raised", None, other["raised"])]
    off = [
        part
        for what in seen
        for part in parts(seen[what], other.get(what), what)
        if kind_fault(exercise, *part) or not same(*part[1:], exercise.tolerance)
    ]
    return off + [
        (f"`{name}` afterwards", value, found["after"][name])
        for name, value in right["after"].items()
        if not same(value, found["after"][name], max(exercise.tolerance, 1e-3))
    ]


def kind_fault(exercise, what: str, right: object, found: object) -> str | None:
    """Return what is wrong about a value's kind, shape or dtype, or None; its numbers are not looked at."""
    name, is_a = _named(what), describe_value(found)
    if found is None and right is not None:
        return f"Your function returns nothing, where {exercise.returns} is expected. End it with `return`."
    if isinstance(found, np.ndarray | np.generic) and not isinstance(found, float):
        return f"{name} is a NumPy array. Stay in torch and Python, which can follow gradients: leave out `.numpy()`."
    if isinstance(right, Tensor):
        if (
            right.numel() == 1
            and right.ndim == 0
            and not isinstance(found, bool | Tensor | list | tuple | dict | str)
        ):
            return (
                None
                if as_numbers(found) is not None
                else f"{name} should be {exercise.returns}, but it is {is_a}."
            )
        if not isinstance(found, Tensor):
            return f"{name} should be a tensor, but it is {is_a}: asked is {exercise.returns}."
        return _tensor_fault(exercise, name, right, found)
    if isinstance(right, list | tuple):
        return _list_fault(exercise, name, right, found)
    if isinstance(right, dict):
        if not isinstance(found, dict):
            return f"{name} should be a dict, but it is {is_a}: asked is {exercise.returns}."
        return (
            None
            if right.keys() == found.keys()
            else f"{name} has the keys {_short(found)}, not {_short(right)}."
        )
    if isinstance(right, int | float) and not isinstance(right, bool):
        if isinstance(found, Tensor) and found.numel() != 1:
            return f"{name} should be one number, but it is {is_a}."
        fits = as_numbers(found) is not None and not isinstance(found, list | tuple)
        return None if fits else f"{name} should be one number, but it is {is_a}."
    if isinstance(right, bool | str) and not isinstance(found, type(right)) and not isinstance(found, Tensor):
        return f"{name} should be {exercise.returns}, but it is {is_a}."
    return None


def _tensor_fault(exercise, name: str, right: Tensor, found: Tensor) -> str | None:
    if found.shape != right.shape and not found.numel() == right.numel() == 1:
        told = f"{name} should have the shape {tuple(right.shape)}, but it has {tuple(found.shape)}"
        if found.squeeze().shape == right.squeeze().shape:
            return f"{told}: an axis of length 1 is missing, or too many."
        return f"{told}: asked is {exercise.returns}."
    if found.dtype == right.dtype or (
        not exercise.dtype and found.is_floating_point() and right.is_floating_point()
    ):
        return None
    asked, kind = (str(each.dtype).removeprefix("torch.") for each in (right, found))
    if same(right, found, exercise.tolerance):
        return f"The numbers are right, but {name[0].lower()}{name[1:]} is {kind}, where {asked} is expected."
    return (
        f"{name} is {kind}, where {asked} is expected."
        if kind != "bool"
        else f"{name} is a mask of truths ({kind})."
    )


def _list_fault(exercise, name: str, right: list | tuple, found: object) -> str | None:
    if not isinstance(found, list | tuple):
        return f"{name} should be {exercise.returns}, but it is {describe_value(found)}."
    if any(isinstance(each, list | tuple) for each in found) and as_numbers(right) is not None:
        return f"{name} holds lists: join their numbers into one list."
    tensors = [each for each in found if isinstance(each, Tensor)]
    if exercise.plain and any(each.requires_grad for each in tensors):
        return f"{name} holds tensors that keep their records for gradients; a plain number comes from `.item()`."
    if exercise.plain and tensors:
        return f"{name} holds tensors, not plain numbers; `.item()` takes the number out of a tensor."
    if len(found) != len(right):
        return f"{name} should have {count(len(right), 'entry', 'entries')}, but it has {len(found)}."
    if as_numbers(right) is not None and as_numbers(found) is None:
        strange = next(each for each in found if as_numbers(each) is None)
        return f"{name} should hold numbers, but it holds {describe_value(strange)}."
    return None


def told_of_arguments(right: dict, found: dict, in_place: Callable[[str], str]) -> str | None:
    """Return a hint where an argument is changed that should be left as it was."""
    for name, before in right["before"].items():
        now = found["after"][name]
        if same(right["after"][name], now, 1e-9) or not same(before, right["after"][name], 1e-9):
            continue
        if not (isinstance(before, dict) and before.keys() == {"weights", "modes", "asks"}):
            return f"Your function changes its argument `{name}`: work on a new one.{in_place(name)}"
        if not same(before["weights"], now["weights"], 1e-9):
            return f"Afterwards the weights of `{name}` are different: nothing here should train it."
        if before["asks"] != now["asks"]:
            return (
                f"Afterwards the weights of `{name}` ask for no gradients any more, so it could not learn on."
            )
        came, goes = ("training" if each["modes"][-1] else "evaluation" for each in (before, now))
        return f"Afterwards `{name}` is in {goes} mode, though it came in {came} mode: give back the mode of before."
    return None


def general_fault(exercise, cases: list[list[tuple]], looked: list[dict], numbers: list[int]) -> str | None:
    """Return the hint of a fault that every exercise knows, where it explains all that is off."""
    if all(_swapped(off, exercise.tolerance) for off in cases):
        return "The two things that you return have changed places."
    for off, number in zip(cases, numbers, strict=True):
        for what, right, found in off:
            if not what.endswith("afterwards") and (fault := kind_fault(exercise, what, right, found)):
                return (
                    fault if len(numbers) == len(looked) else f"{fault} That is for {looked[number]['case']}."
                )
    pairs = [pair for off in cases for what, *pair in off if not what.endswith("afterwards")]
    tensors = [(as_numbers(right), as_numbers(found)) for right, found in pairs]
    if not tensors or any(one is None or other is None or one.shape != other.shape for one, other in tensors):
        return None
    tensors = [pair for pair in tensors if pair[0].numel()]
    if not all(what.startswith(("the result", "result")) for off in cases for what, *_ in off):
        return None
    if any(other.isnan().any() and not one.isnan().any() for one, other in tensors):
        return f"{_named(cases[0][0][0])} holds NaN (not a number): was something divided by zero?"
    for hint, test in FAULTS.items():
        if tensors and all(test(*pair) for pair in tensors):
            return hint
    return _factor(tensors)


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def _rounded(right: Tensor, found: Tensor) -> bool:
    if _near(right, right.round()):
        return False
    units = [10.0**-digits for digits in range(5)]
    return any(
        _near((found / u).round() * u, found) and (found - right).abs().max() <= 0.501 * u for u in units
    )


def _cut(right: Tensor, found: Tensor) -> bool:
    off = (right - found).abs()
    return bool((found == found.round()).all()) and bool((off < 1).all()) and not _near(right, right.round())


def _one_off(way: int) -> Callable[[Tensor, Tensor], bool]:
    return lambda right, found: (
        _near(right, right.round()) and set((found - right).unique().tolist()) <= {0, way}
    )


FAULTS = {
    "The numbers are right, and stand in the reverse order.": lambda r, f: r.ndim > 0 and _near(f, r.flip(0)),
    "The numbers are right, and stand in another order.": lambda r, f: (
        r.ndim == 1 and len(r) > 2 and _near(f.sort().values, r.sort().values)
    ),
    "Rows and columns have changed places.": lambda r, f: (
        r.ndim > 1 and r.mT.shape == f.shape and _near(f, r.mT)
    ),
    "It is mirrored, left to right.": lambda r, f: r.ndim > 1 and _near(f, r.flip(-1)),
    "It is upside down.": lambda r, f: r.ndim > 1 and _near(f, r.flip(-2)),
    "The sign is turned round: each number is minus what it should be.": lambda r, f: _near(f, -r),
    "Your numbers are rounded: give them with all their digits.": _rounded,
    "Your numbers are cut off to whole ones: give them with all their digits.": _cut,
    "Some numbers are 1 too small: is something cut off, or counted one short?": _one_off(-1),
    "Some numbers are 1 too large: is something rounded up, or counted one too far?": _one_off(1),
    "Each number is 1 minus what it should be.": lambda r, f: _near(f, 1 - r),
    "Each number is the square of what it should be.": lambda r, f: r.abs().max() > 1e-2 and _near(f, r**2),
    "Each number is the root of what it should be.": lambda r, f: bool((r >= 0).all()) and _near(f, r.sqrt()),
    "Each number is the logarithm of what it should be.": lambda r, f: (
        bool((r > 0).all()) and _near(f, r.log())
    ),
    "All your numbers are the same, and they should not be.": lambda r, f: (
        r.numel() > 2 and f.unique().numel() == 1 and r.unique().numel() > 1
    ),
}


def _factor(tensors: list[tuple[Tensor, Tensor]]) -> str | None:
    """Return a hint where all numbers are the same multiple of the right ones, or lie the same number beside them."""
    right, found = (torch.cat([pair[side].flatten() for pair in tensors]) for side in (0, 1))
    if right.unique().numel() < 3:  # of one number or two it says nothing
        return None
    factor = (right @ found / (right @ right)).item()
    if factor and _near(found, factor * right):
        return f"Each number is {factor:.4g} times what it should be."
    beside = (found - right).mean().item()
    if _near(found, right + beside):
        return f"Each number is {abs(beside):.4g} too {'large' if beside > 0 else 'small'}."
    return None


def _swapped(off: list[tuple], tolerance: float) -> bool:
    if [what for what, *_ in off] != ["result 1 of 2", "result 2 of 2"]:
        return False
    (_, first, one), (_, second, other) = off
    return same(first, other, tolerance) and same(second, one, tolerance)


def explain(exercise, right: dict, off: list[list]) -> str:
    """Return what the first thing that is off is, and what it should be, in the first case where it is off."""
    mine = next(each for each in off if each)
    what, one, other = mine[0]
    others = " All other cases are right." if sum(map(bool, off)) == 1 < len(off) else ""
    case = f"For {right['case']}: "
    name = what.removeprefix("the result").lstrip() or "the result"
    if what.endswith("afterwards"):
        return f"{case}the rest is right, but {what} is not as it should be: what changed it, or did not?{others}"
    if isinstance(one, bool):
        return f"{case}{name}: that should {'' if one else 'not '}be so, and {'is not' if one else 'it is'}.{others}"
    first, second = as_numbers(one), as_numbers(other)
    if first is None or second is None or first.shape != second.shape:
        return f"{case}{name} should be {_short(one)}, but it is {_short(other)}.{others}"
    if first.numel() == 1:
        return f"{case}{name} should be {_digits(first)}, but it is {_digits(second)}.{others}"
    tolerance = exercise.tolerance
    wrong = ~torch.isclose(second, first, rtol=tolerance, atol=tolerance, equal_nan=True)
    place = wrong.nonzero()[0]
    at = ", ".join(str(number) for number in place.tolist())
    values = (
        f"at [{at}] it should be {_digits(first[tuple(place)])}, but it is {_digits(second[tuple(place)])}"
    )
    return f"{case}{int(wrong.sum())} of {first.numel()} numbers of {name} are off; {values}.{others}"


def _digits(value: Tensor) -> str:
    number = value.item()
    return (
        f"{number:g}"
        if number == round(number) and abs(number) < 1e6
        else f"{number:.4f}"
        if abs(number) < 1e5
        else f"{number:.6g}"
    )


def _named(what: str) -> str:
    return what[0].upper() + what[1:]


def _short(value: object) -> str:
    if isinstance(value, dict):
        value = list(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | None) or (isinstance(value, list | tuple) and len(value) < 8):
        text = repr(value)
        return text if len(text) < 90 else describe_value(value)
    return describe_value(value)
