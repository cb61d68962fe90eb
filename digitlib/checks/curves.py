"""The checks of notebook 8: curves of the training loss."""

import copy  # noqa: F401 (for changes of right answers)
import math
import random

import torch
import torch.nn.functional as F
from torch import nn

from digitlib.checks.comparing import same
from digitlib.checks.core import as_numbers
from digitlib.checks.engine import change, exercise


def _rough_curves():
    for length, keep in ((7, 0.8), (12, 0.6), (5, 0.3), (4, 0.0), (1, 0.9), (60, 0.95)):
        values = [round(random.uniform(1, 3) + 4 * (number % 3 == 0), 3) for number in range(length)]
        yield f"{length} value(s) and keep={keep}", (values, keep)
    yield "whole numbers and keep=0.7", ([4, 0, 0, 7, 3, random.randrange(10, 20)], 0.7)


def _smooth(values, keep):
    curve = values[:1]
    for value in values[1:]:
        before = curve[-1]
        curve.append(before * keep + value * (1 - keep))
    return curve


exponential_mean = exercise(
    "exponential_mean", given=_rough_curves, right=_smooth, returns="a list as long as the one that came",
    passed="The more it keeps, the smoother the curve, and the later it tells.", wrong={
        "The two weights have changed places: `keep` belongs to what was there before.": (
            "before * keep + value * (1 - keep)", "before * (1 - keep) + value * keep"),
        "Your mean begins at zero, so the first values are far too low: begin with the first value.": (
            "values[:1]", "[0.0]", "values[1:]", "values", "return curve", "return curve[1:]"),
        "You mix each value with the raw one before it; `keep` belongs to the smoothed one.": (
            "= curve[-1]", "= values[len(curve) - 1]"),
        "The new value comes in with its full weight: the two weights should add up to one.": (" * (1 - keep)", ""),
        "You begin at zero and correct for it. The rule here is simpler: the first value stays as it is.": (
            "[:1]", "[:0] or [0.0]", "values[1:]", "values",
            "return curve", "return [each / (1 - keep**n) for n, each in enumerate(curve) if n]"),
    })  # fmt: skip


def _runs():
    for losses, patience in (
        ("0.5 0.4999 0.4998 0.6 0.7 0.3", 2), ("2.0 1.0 1.5 0.9 1.2 1.1 1.0 0.5", 3), ("4 3 2 2.5 2.6 1", 2),
        ("95673", 2), ("95673", 3), ("9563342", 2), ("8676645", 3), ("86776763", 4), ("866772", 3), ("867672", 3),
        ("7654", 2), ("342", 1), ("5", 2), ("95678", 2), ("956456782", 3), ("465541", 4), ("97561", 1), ("97856342", 2),
        ("8675", 3), ("867", 3), *[(str(random.randrange(10**6, 10**9)), random.randint(1, 4)) for _ in range(5)],
    ):  # fmt: skip
        losses = losses if " " in losses else " ".join(f"0.{digit}" for digit in losses)
        name = f"the losses {losses.replace(' ', ', ')} and patience {patience}"
        yield name, ([float(loss) for loss in losses.split()], patience)


def _patient(losses, patience):
    lowest, kept, waited = math.inf, 0, 0
    for number, loss in enumerate(losses, 1):
        waited += 1
        if loss < lowest:
            lowest, kept, waited = loss, number, 0
        if waited >= patience:
            return kept
    return kept


_RESET = ", waited = loss, number, 0"
epoch_to_keep = exercise(
    "epoch_to_keep", given=_runs, right=_patient, returns="the number of an epoch",
    passed="Early stopping: keep the best epoch that patience let you see.", wrong={
        "You count the epochs from 0; the first epoch is number 1.": ("(losses, 1)", "(losses)"),
        "This is the epoch in which patience runs out; by then the best one lies behind.": [
            ("return kept", "return number"), ("        return kept", "        return number")],
        "Where patience never runs out you return the last epoch; the best one is asked for there too.": (
            "\n    return kept", "\n    return number"),
        "Your answers know the future: once patience has run out, no later epoch was ever trained.": (
            "waited >= patience", "False"),
        "A tie is no improvement: it neither is a new best nor ends the waiting.": ("loss < lowest", "loss <= lowest"),
        "You wait one epoch too long: at `patience` epochs in a row without a new best, it is over.": (">= p", "> p"),
        "You lose patience one epoch too early: it runs out after `patience` epochs in a row without a new best.": (
            ">= patience", ">= patience - 1"),
        "You compare each epoch with the one before it. A small fall is no progress while the best so far is lower.": [
            ("waited += 1", "waited = 0 if loss < losses[number - 2] else waited + 1"),
            ("loss < lowest", "number == 1 or loss < losses[number - 2]")],
        "You ask for a loss that is clearly lower; every new lowest loss counts, however close.": [
            ("loss < lowest", f"loss < lowest - {least}") for least in (0.001, 0.01, 0.1)],
        "A lowest loss may be above 1: where do you begin?": [("math.inf", "1.0"), ("math.inf, 0", "1.0, 1")],
        "You keep the highest loss; the lowest is the best.": ("math.inf", "-math.inf", "<", ">"),
        "Your function returns the loss; asked is the number of the epoch.": ("return kept", "return lowest"),
        "You keep the last epoch, or count back from it: note the epoch with each new lowest loss.": [
            lambda losses, _: len(losses), ("return kept", "return number - patience")],
        "You count all epochs without a new best, or all there are; with each new best the waiting begins anew.": [
            (_RESET, ", waited = loss, number, waited - 1"), (_RESET, " = loss, number")],
    })  # fmt: skip


class _Maker:
    """Makes networks: with the same weights from the same random numbers, with others from others."""

    def __init__(self):
        self.drawn, self.first, self.seed = [], 0, int(torch.randint(100, 1000, ()))

    def __call__(self):
        self.drawn.append(torch.rand(()).item())
        return self.number(self.drawn.index(self.drawn[-1]))

    def number(self, number: int) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        generator = torch.Generator().manual_seed(self.seed + number - self.first)
        nn.init.normal_(model[1].weight, 0.0, 0.05, generator)
        nn.init.zeros_(model[1].bias)
        return model


def _some_rates():
    # torch's first optimizer takes seconds: not on the clock of an answer
    torch.optim.SGD([torch.zeros(1, requires_grad=True)]).zero_grad()
    for rates, num_steps in (((0.05, 0.4, 0.15), 6), ((0.3, 0.02), 9)):
        images, labels = 0.1 * torch.randn(12, 1, 28, 28), torch.randint(10, (12,))
        yield f"the learning rates {rates}", (_Maker(), images, labels, rates, num_steps)


def _watch_rates(run, make_model, images, labels, rates, num_steps):
    result = run(make_model, images, labels, rates, num_steps)
    first = as_numbers(result.get(rates[0])) if isinstance(result, dict) else None
    if first is not None and first.ndim:  # whichever network it begins with, it is given the right answer's
        losses = [F.cross_entropy(make_model.number(n)(images), labels) for n in range(len(make_model.drawn))]
        make_model.first = next((n for n, loss in enumerate(losses) if same(loss, first[0], 1e-6)), 0)
    if make_model.first:
        make_model.drawn = []
        result = run(make_model, images, labels, rates, num_steps)
    curves = list(map(str, result.values())) if first is not None else []
    return {
        "the networks come from `make_model`": bool(make_model.drawn),
        "each learning rate has a curve of its own": len(curves) == len(set(curves)),
        "the result": result,
    }


def _one_model_for_all(make_model, images, labels, rates, num_steps):
    curves = {}
    model = make_model()
    for lr in rates:
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        losses = []
        for _ in range(num_steps):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        curves[lr] = losses
    return curves


_COPY = "copy.deepcopy(start)"
compare_rates = exercise(
    "compare_rates", given=_some_rates, blank=_one_model_for_all, observe=_watch_rates, plain=True,
    right=change(_one_model_for_all, "model = make", "start = make", "rates:\n", f"rates:\n        model = {_COPY}\n"),
    returns="a dict that holds, for each rate, the list of its losses",
    passed="One start for all: now the curves differ by the learning rate alone.", wrong={
        "A later curve begins where the training before has arrived, with the trained weights. Saved weights move "
        "along with each step, too, unless they are copied.": (_COPY, "start"),
        "Each run has weights of its own now, but other random ones. A fair comparison gives all the same.": [
            (_COPY, "make_model()"), (_COPY, "start; start[1].reset_parameters()")],
        "All the curves are those of one learning rate: each run needs an optimizer of its own, with its own rate.": (
            "lr=lr", "lr=rates[0]"),
        "Within a run the loss never changes: does the optimizer hold the weights of the model in use, and does it "
        "step?": [("SGD(model", "SGD(start"), ("optimizer.step()", "pass"), ("loss.backward()", "pass")],
        "You note each loss after its step, so the curves do not show their common beginning.": (
            "loss.item()", "F.cross_entropy(model(images), labels).item()"),
    })  # fmt: skip


def _kinds_of_curves():
    for first, middle, tail, last, length, spikes in (
        (2.3, 1, 0.2, 0.2, 60, {}), (2.3, 1, 0.2, math.nan, 60, {}), (2.3, 1, 0.2, math.inf, 60, {}),
        (2.3, 1, 0.2, 2.4, 60, {}), (2.3, 2.3, 2.3, 0.2, 60, {}), (2.3, 2.3, 2.3, 2.3, 8, {5: 9}), (6, 6, 6, 6, 60, {}),
        (2.3, 2.3, 0.5, 0.5, 200, {}), (5.5, 9, 14, 14, 60, {}), (5, 1, 0.5, 0.5, 60, {}), (2.3, 2.3, 2.3, 5, 60, {}),
        (1.6, 1, 1.6, 1.6, 60, {}), (1.6, 1, 1.6, 3.3, 60, {}), (3.2, 2, 2.4, 2.4, 60, {}), (2, 1, 0.2, 4, 60, {}),
        (2.3, 0.8, 2.3, 2.3, 60, {}), (3.4, 1, 0.3, 1, 60, {}), (3.5, 1, 0.3, 1, 60, {}), (2.3, 1, 0.2, 4.5, 60, {}),
        (2.3, 2, 2, 2, 60, {}), (2.3, 2, 2.1, 2.1, 60, {}), (2.3, 2.3, 2.12, 0.2, 60, {}), (2.3, 1, 2.2, 0.2, 9, {}),
        (2.3, 1, 0.2, 0.2, 60, {30: math.inf, 1: 5.0}), (2.3, 1, 0.2, 0.2, 60, {-21: 60.0}),
        (2.3, 1, 0.2, 0.2, 60, {-20: 60.0}), (2.3, 2.3, 2.3, 2.3, 60, {number: 1.4 for number in range(-10, 0)}),
    ):  # fmt: skip
        losses = ([first] + max(0, length - 21) * [middle] + 20 * [tail])[:length]
        for place, loss in {**spikes, length - 1: last}.items():
            losses[place] = loss
        mean = sum(losses[-20:]) / len(losses[-20:])
        what = f"a curve that begins at {first:.4g} and ends at {last:.4g}"
        yield f"{what}, with the mean {mean:.4g} of its last {len(losses[-20:])} losses", (losses,)


def _rules(losses):
    first, last, tail = losses[0], losses[-1], losses[-20:]
    found = {
        "diverged": not math.isfinite(last) or last > 2 * first,
        "wrong scale": first > 1.5 * math.log(10),
        "not learning": sum(tail) / len(tail) > 0.9 * first,
        "healthy": True,
    }
    return next(word for word in found if found[word])


_TAIL, _MEAN = "losses[-20:]", "sum(tail) / len(tail)"
first_look = exercise(
    "first_look", given=_kinds_of_curves, right=_rules, returns="one of the four words",
    passed="Finite, the right start, and a fall: the first three questions to ask of any curve.", wrong={
        "NaN is neither larger nor smaller than any number, nor equal to itself, so no comparison finds it.": [
            ("not math.isfinite(last)", f"last == math.{what}") for what in ("inf", "nan")],
        "What happens on the way does not count: whether a run has diverged, its last loss alone decides.": [
            ("math.isfinite(last)", "all(map(math.isfinite, losses))"), ("last > 2", "max(losses) > 2"),
            ("last > 2", "sum(tail) / len(tail) > 2")],
        "The first loss may be 1.5 times that of a network that guesses, the natural logarithm of 10, and no more.": [
            ("log(", "log10("), ("1.5 * ", "")],
        "You judge the end by the very last loss, which may be a lucky or an unlucky batch.": (_MEAN, "last"),
        "You take the mean of all losses: a run that begins to learn late is called sick.": (_TAIL, "losses"),
        "You look at the lowest loss, and one lucky batch makes a flat curve healthy.": [
            (_MEAN, "min(losses)"), (_MEAN, "min(tail)")],
        "You divide by 20 even where there are fewer losses than that.": ("len(tail)", "20"),
        "You look at other losses than the last 20.": [
            (_TAIL, f"losses[{part}]") for part in ("-10:", "-19:", "-21:", ":20", "20:", "-20:-1")],
        "The rules have an order: `diverged` comes first, then the scale, then whether it is learning.": [
            ("in found", f"in ('{word}', *found)") for word in ("wrong scale", "not learning")],
        "The mean of the end is compared with 0.9 times the run's own first loss, not with another number.": [
            ("0.9 * first", other) for other in ("0.9 * math.log(10)", "0.9 * max(losses)", "0.9 * tail[0]", "0.9")],
    })  # fmt: skip
