"""Compare what was observed of two answers, and say in words what is off: types, shapes, order, rounding, numbers."""

from collections.abc import Iterator

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
    if isinstance(right, tuple) and isinstance(found, Tensor) and found.ndim == 1:
        found = found.tolist()  # two numbers may come as a tensor of two
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
        if what in other
        for part in parts(seen[what], other[what], what)
        if kind_fault(exercise, *part) or not same(*part[1:], exercise.tolerance)
    ]
    for name, value in right["after"].items():
        if not same(value, found["after"][name], max(exercise.tolerance, 1e-3)):
            off.append((f"`{name}` afterwards", value, found["after"][name]))
    return off or [(what, seen[what], None) for what in seen if what not in other]


def explained(right: object, found: object, wrong: object, tolerance: float) -> float:
    """Return which share of what is off in a part is as in a wrong answer's, 0 where that may be a coincidence."""
    numbers = [as_numbers(value) for value in (right, found, wrong)]
    if any(value is None for value in numbers) or len({value.shape for value in numbers}) > 1:
        return float(not isinstance(found, str | bool | None) and same(found, wrong, tolerance))
    right, found, wrong = numbers
    off = ~torch.isclose(found, right, rtol=tolerance, atol=tolerance)
    alike = off & torch.isclose(found, wrong, rtol=tolerance, atol=tolerance)
    share = (alike.sum() / off.sum().clamp(min=1)).item()
    few = found[alike].unique().numel() < 3  # by chance, unless they are all that is off, and no whole ones
    return 0.0 if share <= 0.25 or (few and (share < 1 or _whole(found[alike]))) else share


def kind_fault(exercise, what: str, right: object, found: object) -> str | None:
    """Return what is wrong about a value's kind, shape or dtype, or None; its numbers are not looked at."""
    name, is_a, numbers = what[0].upper() + what[1:], describe_value(found), as_numbers(found)
    if found is None and right is not None:
        return f"Your function returns nothing, where {exercise.returns} is expected. End it with `return`."
    if isinstance(found, np.ndarray | np.generic) and not isinstance(found, float):
        return f"{name} is a NumPy array. Stay in torch and Python, which can follow gradients: leave out `.numpy()`."
    if isinstance(right, Tensor) and isinstance(found, Tensor):
        return _tensor_fault(exercise, name, right, found)
    if isinstance(right, list | tuple) and isinstance(found, list | tuple):
        return _list_fault(exercise, name, right, found)
    if isinstance(right, dict) and isinstance(found, dict):
        off = right.keys() != found.keys()
        return f"{name} has the keys {_short(found)}, not {_short(right)}." if off else None
    if isinstance(right, int | float) and not isinstance(right, bool):
        one = numbers is not None and numbers.numel() == 1 and not isinstance(found, list | tuple)
        return None if one else f"{name} should be one number, but it is {is_a}."
    if isinstance(right, Tensor):
        number = right.ndim == 0 and isinstance(found, int | float) and not isinstance(found, bool)
        told = f"{name} should be a tensor, but it is {is_a}: asked is {exercise.returns}."
        return None if number else told
    kind = next((kind for kind in (list | tuple, dict, bool, str) if isinstance(right, kind)), object)
    asked = exercise.returns if what == "the result" else describe_value(right)
    return None if isinstance(found, kind) else f"{name} should be {asked}, but it is {is_a}."


def _tensor_fault(exercise, name: str, right: Tensor, found: Tensor) -> str | None:
    if found.shape != right.shape and not found.numel() == right.numel() == 1:
        told = f"{name} should have the shape {tuple(right.shape)}, but it has {tuple(found.shape)}"
        if found.squeeze().shape == right.squeeze().shape:
            where = "stands in the wrong place" if found.ndim == right.ndim else "is missing, or too many"
            return f"{told}: an axis of length 1 {where}."
        return f"{told}: asked is {exercise.returns}."
    floats = found.is_floating_point() and right.is_floating_point()
    if found.dtype == right.dtype or (floats and not exercise.dtype):
        return None
    asked, kind = (str(each.dtype).removeprefix("torch.") for each in (right, found))
    if found.dtype == torch.bool:
        return f"{name} is a mask of truths (bool)."
    if same(right, found, exercise.tolerance):
        name = f"The numbers are right, but {name[0].lower()}{name[1:]}"
    return f"{name} is {kind}, where {asked} is expected."


def _list_fault(exercise, name: str, right: list | tuple, found: list | tuple) -> str | None:
    tensors = [each for each in found if isinstance(each, Tensor)]
    if as_numbers(right) is not None and any(isinstance(each, list | tuple) for each in found):
        return f"{name} holds lists: join their numbers into one list."
    if exercise.plain and tensors:
        records = ", without the record for gradients" if tensors[0].requires_grad else ""
        return f"{name} holds tensors, not plain numbers; `.item()` takes out the number{records}."
    if len(found) != len(right):
        return f"{name} should have {count(len(right), 'entry', 'entries')}, but it has {len(found)}."
    strange = [each for each in found if (numbers := as_numbers(each)) is None or numbers.numel() > 1]
    if strange and as_numbers(right) is not None:
        return f"{name} should hold numbers, but it holds {describe_value(strange[0])}."
    return None


def told_of(name: str, before: object, now: object) -> str | None:
    """Return a hint where an argument has changed, or nothing."""
    if same(before, now, 1e-9):
        return None
    if not (isinstance(before, dict) and before.keys() == {"weights", "modes", "asks"}):
        told = "`+=`, `x[0] = …` and methods such as `mul_` or `sort` work in place."
        return f"Your function changes its argument `{name}`: work on a new one. {told}"
    if not same(before["weights"], now["weights"], 1e-9):
        return f"Afterwards the weights of `{name}` are different: nothing here should train it."
    if before["asks"] != now["asks"]:
        return f"Afterwards the weights of `{name}` ask for no gradients any more, so it could not learn on."
    changed = next(pair for pair in zip(before["modes"], now["modes"]) if pair[0] != pair[1])
    came, goes = ("training" if mode else "evaluation" for mode in changed)
    return f"Afterwards `{name}` is in {goes} mode, though it came in {came} mode: give back the old one."


def general_fault(exercise, cases: list[tuple[str, list]], everywhere: bool) -> str | None:
    """Return the hint of a fault that every exercise knows, where it explains all that is off.

    Cases are pairs, a name and what is off, of those where something is; everywhere tells that there are no others.
    """
    if all(_swapped(off, exercise.tolerance) for _, off in cases):
        return "The two things that you return have changed places."
    for case, off in cases:
        for what, *pair in off:
            if not what.endswith("afterwards") and (fault := kind_fault(exercise, what, *pair)):
                return fault if everywhere else f"{fault} That is for {case}."
    return number_fault([part for _, off in cases for part in off])


def number_fault(off: list[tuple]) -> str | None:
    """Return the hint of a fault that explains all these parts of results: of their order, or of each number."""
    if not all(what.startswith(("the result", "result ")) for what, *_ in off):
        return None
    numbers = [tuple(map(as_numbers, pair)) for _, *pair in off]
    if any(one is None or other is None or one.shape != other.shape for one, other in numbers):
        return None
    if all(other.isnan().any() and not one.isnan().any() for one, other in numbers):
        return "Your result holds NaN (not a number): is it 0 / 0, or the root of a negative number?"
    for hint, test in ARRANGED.items():
        if all(test(*pair) for pair in numbers):
            return hint
    right, found = (torch.cat([pair[side].flatten() for pair in numbers]) for side in (0, 1))
    if right.unique().numel() < 3:  # one number or two agree by chance
        return None
    return next((hint for hint, test in FAULTS.items() if test(right, found)), None) or _factor(right, found)


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def _whole(values: Tensor) -> bool:
    return bool((values - values.round()).abs().max() < 1e-3)


def _rounded(right: Tensor, found: Tensor) -> bool:
    units, most = [10.0**-digits for digits in range(5)], (found - right).abs().max()
    return not _whole(right) and any(_whole(found / unit) and most <= 0.501 * unit for unit in units)


ARRANGED = {  # tests of each part by itself
    "The numbers are right, and stand in the reverse order.": lambda r, f: r.ndim > 0 and _near(f, r.flip(0)),
    "The numbers are right, and stand in another order.": lambda r, f: (
        r.ndim == 1 and len(r) > 2 and _near(f.sort().values, r.sort().values)),
    "Rows and columns have changed places.": lambda r, f: r.ndim > 1 and r.mT.shape == f.shape and _near(f, r.mT),
    "It is mirrored, or upside down.": lambda r, f: r.ndim > 1 and any(_near(f, r.flip(axis)) for axis in (-1, -2)),
}  # fmt: skip
FAULTS = {  # tests of all numbers that are off
    "All your numbers are the same, and they should not be.": lambda r, f: f.unique().numel() == 1,
    "The sign is turned round: each number is minus what it should be.": lambda r, f: _near(f, -r),
    "Your numbers are rounded: give them with all their digits.": _rounded,
    "Your numbers are cut off to whole ones: give them with all their digits.": lambda r, f: (
        not _whole(r) and _near(f, r.trunc())),
    "Some numbers are 1 too small: is something cut off, or counted one short?": lambda r, f: (
        _whole(r) and set((r - f).unique().tolist()) <= {0, 1}),
    "Some numbers are 1 too large: is something rounded up, or counted one too far?": lambda r, f: (
        _whole(r) and set((f - r).unique().tolist()) <= {0, 1}),
    "Each number is 1 minus what it should be.": lambda r, f: _near(f, 1 - r),
    "Each number is the square of what it should be.": lambda r, f: r.abs().max() > 1e-2 and _near(f, r**2),
    "Each number is the logarithm of what it should be.": lambda r, f: bool((r > 0).all()) and _near(f, r.log()),
}  # fmt: skip


def _factor(right: Tensor, found: Tensor) -> str | None:
    """Return a hint where all numbers are the same multiple of the right ones, or lie the same number beside them."""
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


def explain(what: str, right: object, found: object, tolerance: float) -> str:
    """Return what a part of the result is, and what it should be."""
    name = what.removeprefix("the result").lstrip() or "the result"
    if what.endswith("afterwards"):
        return f"the rest is right, but {what} is not as it should be: what changed it, or did not?"
    if isinstance(right, bool):
        return f"{name}: that should {'' if right else 'not '}be so, and {'is not' if right else 'it is'}."
    first, second = as_numbers(right), as_numbers(found)
    if first is None or second is None or first.shape != second.shape:
        return f"{name} should be {_short(right)}, but it is {_short(found)}."
    if first.numel() == 1:
        return f"{name} should be {first.item():.6g}, but it is {second.item():.6g}."
    wrong = ~torch.isclose(second, first, rtol=tolerance, atol=tolerance, equal_nan=True)
    place = tuple(wrong.nonzero()[0].tolist())
    told = f"{int(wrong.sum())} of {first.numel()} numbers of {name} are off; at {list(place)} it should be"
    return f"{told} {first[place].item():.6g}, but it is {second[place].item():.6g}."


def _short(value: object) -> str:
    value = list(value) if isinstance(value, dict) else value
    short = isinstance(value, list | tuple) and len(value) < 8
    plain = short or isinstance(value, bool | int | float | None)
    text = value if isinstance(value, str) else repr(value) if plain else ""
    return text if 0 < len(text) < 110 else describe_value(value)
