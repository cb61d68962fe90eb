"""The checks of notebook 10: mistakes, spread between seeds, selection, and published results."""

import functools
import random

import torch

from digitlib.checks.engine import change, exercise
from digitlib.checks.testing import choice_first
from digitlib.evaluation import accuracy_interval


def _mix_ups():
    # a and b are mixed up most, but evenly; c and d most one way; i is rare, and read as j; c and e are misread most.
    counts = "ab6 ba5 cd9 dc1 ef8 gh8 ij7 eg1 ej3 cj4 ii3".split()
    for a in (0, 9, 4, 7, 2):
        digits = dict(zip("abcdefghij", [a, *random.sample([digit for digit in range(10) if digit != a], 9)]))
        pairs = [(digits[true], digits[read]) for true, read, times in counts for _ in range(int(times))]
        for digit, often in zip(digits.values(), random.sample(range(30, 60), 10)):
            pairs += (digit != digits["i"]) * often * [(digit, digit)]
        case = f"{len(pairs)} images, in which {a} and {digits['b']} are mixed up most, 11 times"
        yield case, tuple(torch.tensor(random.sample(pairs, len(pairs))).T)
    yield "three images, one of them misread", (torch.tensor([4, 3, 3]), torch.tensor([1, 3, 3]))


def _most_mixed_up(labels, predictions):
    table = torch.bincount(10 * labels + predictions, minlength=100).view(10, 10)
    table = table.fill_diagonal_(0)
    pair = divmod(int((table + table.T).argmax()), 10)
    return sorted(pair)


_BOTH, _RATE = "(table + table.T)", "(table / (1e-9 + torch.bincount(labels, minlength=10)[:, None]))"
most_confused = exercise(
    "most_confused", given=_mix_ups, right=_most_mixed_up, returns="two digits, such as `(4, 9)`",
    passed="A pair that is mixed up either way round is where the next idea should help.", wrong={
        "This is one digit twice: images that were read right are counted too.": (".fill_diagonal_(0)", ""),
        "You count one direction alone. A 4 read as 9 and a 9 read as 4 are mix-ups of the same pair: count both "
        "together.": [(_BOTH, "table"), (_BOTH, "table", "sorted(pair)", "pair"),
            (_BOTH, "table.triu()"), (_BOTH, "table.tril()")],
        "You choose each digit on its own, by its mistakes; the two need not be mixed up with each other.": [
            ("divmod(int((table + table.T).argmax()), 10)", pair) for pair in (
                "table.sum(1).topk(2).indices.tolist()", "int(table.sum(1).argmax()), int(table.sum(0).argmax())")],
        "You compare shares of a digit's images, so a rare digit wins with a few mistakes; compare the counts.": [
            (_BOTH, _RATE), (_BOTH, f"({_RATE} + {_RATE}.T)")],
    })  # fmt: skip


def _scores():
    for n, m, gain in ((3, 5, 2), (6, 2, -3), (4, 4, 1), (8, 3, -1)):
        baseline, other = (torch.randn(size, dtype=torch.float64) for size in (n, m))
        scores = 92 + 0.3 * baseline, 92 + gain + 1.2 * other
        yield f"{n} seeds of the baseline and {m} of the other", scores


def _gain_and_error(baseline, other):
    a, b, n, m = baseline, other, len(baseline), len(other)
    gain = b.mean() - a.mean()
    error = (a.var() / n + b.var() / m) ** 0.5
    return gain.item(), error.item()


_SQUARE = "a.var() / n + b.var() / m"
difference_of_means = exercise(
    "difference_of_means", given=_scores, right=_gain_and_error, returns="two numbers, difference and standard error",
    passed="A difference without its standard error says little, and with few seeds even both say only so much.",
    wrong={
        "Squared deviations are divided by n − 1, as `var()` does by itself; the variance of a mean, then, by n.": [
            ("/ n +", "/ (n - 1) +", "/ m)", "/ (m - 1))"), ("var()", "var(correction=0)")],
        "Each variance is divided by its own version's number of seeds, and by no other number.": [
            ("/ n +", "/ m +", "/ m)", "/ n)"),
            *((_SQUARE, f"(a.var() + b.var()) / {number}") for number in ("n", "m", "(n + m)"))],
        "The pooled variance takes both versions to spread alike; here each has its own.": (
            _SQUARE, "((n - 1) * a.var() + (m - 1) * b.var()) / (n + m - 2) * (1 / n + 1 / m)"),
        "Independent errors partly cancel: their squares, the variances, are added, and the root comes last.": [
            (f"({_SQUARE}) ** 0.5", "a.std() / n**0.5 + b.std() / m**0.5"), ("var()", "std()"),
            (f"({_SQUARE}) ** 0.5", "a.std() / n + b.std() / m")],
    })  # fmt: skip


def _choosing_on_everything(validation, fresh):
    accuracies = torch.cat([validation, fresh], dim=1).double().mean(dim=1)
    winner = accuracies.argmax().item()
    return winner, accuracies[winner].item()


def _candidates():
    """Yield what each candidate reads right: one is the best on the first images, one on all, one on the fresh."""
    for num, first, num_fresh, second in (
        (50, (48, 47, 40, 35), 60, (45, 55, 58, 41)), (100, (95, 93, 85, 80), 30, (20, 26, 29, 15)),
        (300, (285, 270, 240, 230), 50, (48, 49, 47, 40)),
    ):  # fmt: skip
        order = torch.randperm(4)
        parts = (num, torch.tensor(first)[order]), (num_fresh, torch.tensor(second)[order])
        right = [torch.stack([torch.randperm(n) < count for count in counts]) for n, counts in parts]
        yield f"{num} validation images and {num_fresh} fresh ones", tuple(right)


_CHOICE, _REPORT = "validation.double()", "fresh[winner].double().mean()"
_honest = change(_choosing_on_everything, "torch.cat([validation, fresh], dim=1).double()", _CHOICE,
                 "accuracies[winner]", _REPORT)  # fmt: skip
search_result = exercise(
    "search_result", given=_candidates, blank=_choosing_on_everything, returns="the winner's number and its accuracy",
    right=_honest, observe=functools.partial(choice_first, _honest),
    passed="The images that chose cannot say how good the choice is; images that chose nothing can.", wrong={
        "The fresh images still take part in choosing. Choose as if they did not exist yet.": [
            (_CHOICE, "fresh.double()"), (_CHOICE, "torch.cat([validation, fresh], 1).double()"),
            (_CHOICE, "(validation.double().mean(1) + fresh.double().mean(1))[:, None]")],
        "You report the accuracy on the images that chose. It is too high: the winner was lucky on just these.": (
            _REPORT, "validation[winner].double().mean()"),
        "The images that chose are still in the accuracy that you report, and so is the winner's luck on them.": (
            _REPORT, "torch.cat([validation, fresh], 1)[winner].double().mean()"),
        "You divide by the number of the validation images; the fresh ones have a number of their own.": (
            _REPORT, "(fresh[winner].sum() / validation.shape[1])"),
        "You report the best accuracy on the fresh images, or the mean of all; report that of the winner.": [
            (_REPORT, "fresh.double().mean(1).max()"), (_REPORT, "fresh.double().mean()")],
    })  # fmt: skip


def _ladders():
    """Yield published errors inside the interval (one comes first), near its ends on either side, and beyond it."""
    for right, images in ((9_900, 10_000), (498, 500), (4_960, 5_000), (190, 200)):
        low, high = (100 * (1 - end) for end in accuracy_interval(right, images)[::-1])
        own = 100 * (1 - right / images)
        errors = [low / 2, 0.996 * low, 1.004 * low, (low + own) / 2, 0.996 * high, 1.004 * high, 2 * high]
        errors = [(own + high) / 2, *random.sample(errors, 7)]
        case = f"{right:,} of {images:,} images right, an error rate between {low:.3f}% and {high:.3f}%"
        yield case, (right, images, dict(zip("Ada Alan Blaise Carl Emmy Grace Henri Kurt".split(), errors)))
    yield "published results beyond the interval", (970, 1_000, {"Ada": 0.4, "Emmy": 9.5, "Kurt": 5.9})


def _look_at_names(run, num_correct, num_images, published):
    names = run(num_correct, num_images, published)
    texts = isinstance(names, list | tuple | set) and all(isinstance(name, str) for name in names)
    if not texts or not published.keys() >= set(names) or len(set(names)) < len(names):
        return {"the result": names}
    told = "result with the name for an error of {:.3f}%"
    return {"the result": True, **{told.format(error): name in names for name, error in published.items()}}


def _covered(num_correct, num_images, published):
    low, high = accuracy_interval(num_correct, num_images)
    return [name for name, error in published.items() if low <= 1 - error / 100 and 1 - error / 100 <= high]


_SHARE, _OWN = "1 - error / 100", "num_correct / num_images"
_LOW, _HIGH = "low <= 1 - error / 100", "1 - error / 100 <= high"
_WALD = f"(1 - error / 100 - {_OWN}) ** 2 <= 1.96**2 * {_OWN} * (1 - {_OWN}) / num_images"
covered_results = exercise(
    "covered_results", given=_ladders, right=_covered, observe=_look_at_names,
    returns="a list of names, keys of `published`, each of them once",
    passed="An interval may cover several rungs of the ladder, and then your number cannot choose among them.", wrong={
        "You keep one side of the interval, or one half: it has two sides, and ends on both.": [
            (f"{_LOW} and ", ""), (f" and {_HIGH}", ""), (_HIGH, f"{_SHARE} <= {_OWN}"), (_LOW, f"{_OWN} <= {_SHARE}")],
        "That is the simple interval, as wide to one side as to the other; take the one that the prompt names.": (
            f"{_LOW} and {_HIGH}", _WALD),
        "Compare like with like: error or accuracy, shares or percent, and the lower end first.": (
            _SHARE, "error / 100"),
        "Your list ends too soon, and an interval may cover several names: is a `return` or `break` too early?": (
            "high]", "high][:1]"),
    })  # fmt: skip
