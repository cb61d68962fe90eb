"""The checks of notebook 8: curves of the training loss."""

import copy  # noqa: F401 (for changes of right answers)
import math
import random

import torch
import torch.nn.functional as F
from torch import nn

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
        "These are the numbers of a mean that began at zero and was corrected for it; here nothing is divided.": (
            "values[:1]", "[0.0]", "values[1:]", "values",
            "return curve", "return [each / (1 - keep**n) for n, each in enumerate(curve) if n]"),
        "You mix each value with the raw one before it; `keep` belongs to the smoothed one.": (
            "= curve[-1]", "= values[len(curve) - 1]"),
        "The two weights should add up to one: the new value comes in with the share `1 - keep`.": [
            (" * (1 - keep)", ""), ("(1 - keep)", "keep")],
    })  # fmt: skip


def _runs():
    for digits, patience in (
        ("95673", 2), ("95673", 3), ("95633428881", 2), ("8676645", 3), ("97561", 1), ("97856342", 2),
        ("867", 3), ("5", 2), *((str(random.randrange(10**6, 10**9)), number) for number in 3 * (2, 3, 4)),
    ):  # fmt: skip
        losses = [float(f"0.{digit}") for digit in digits]
        yield f"the losses {', '.join(map(str, losses))} and patience {patience}", (losses, patience)
    yield "losses above 1, with small falls, and patience 2", ([2.0, 1.0001, 1.0, 1.3, 1.1, 0.5], 2)


def _patient(losses, patience):
    lowest, kept, waited = math.inf, 0, 0
    for number, loss in enumerate(losses, 1):
        waited += 1
        if loss < lowest:
            lowest, kept, waited = loss, number, 0
        if waited >= patience:
            return kept
    return kept


epoch_to_keep = exercise(
    "epoch_to_keep", given=_runs, right=_patient, returns="the number of an epoch",
    passed="Early stopping: keep the best epoch that patience let you see.", wrong={
        "You count the epochs from 0; the first epoch is number 1.": ("(losses, 1)", "(losses)"),
        "This is the epoch in which patience runs out; by then the best one lies behind.": [
            ("return kept", "return number"), ("        return kept", "        return number")],
        "Where patience never runs out, the best epoch is asked for, too: not the last, nor one counted from it.": [
            ("\n    return kept", "\n    return number"), ("return kept", "return number - patience")],
        "Your answers know the future: once patience has run out, no later epoch was ever trained.": (
            "waited >= patience", "False"),
        "A tie is no improvement: it neither is a new best nor ends the waiting.": ("< lowest", "<= lowest"),
        "Patience runs out after `patience` epochs in a row without a new best: not one later or earlier.": [
            (">= patience", "> patience"), (">= patience", ">= patience - 1")],
        "You compare each epoch with the one before it. A small fall is no progress while the best so far is lower.": [
            ("waited += 1", "waited = 0 if loss < losses[number - 2] else waited + 1"),
            ("loss < lowest", "number == 1 or loss < losses[number - 2]")],
        "You count all epochs without a new best, or all there are; with each new best the waiting begins anew.": [
            ("number, 0", "number, waited - 1"), (", waited = loss, number, 0", " = loss, number")],
    })  # fmt: skip


class _Maker:
    """Makes networks, with the same weights from the same random numbers; notes which weights meet images."""

    def __init__(self):
        self.drawn, self.used, self.weights = [], [], 0.05 * torch.randn(40, 10, 784)

    def __call__(self):
        self.drawn.append(torch.rand(()).item())
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, bias=False))
        model[1].weight.data = self.weights[self.drawn.index(self.drawn[-1])].clone()
        model.register_forward_pre_hook(lambda model, _: self.used.append(model[1].weight[0, 0].item()))
        return model


def _some_rates():
    torch.optim.SGD([torch.zeros(1)]).zero_grad()  # the first one takes seconds: not on an answer's clock
    for rates, num_steps in (((0.05, 0.4, 0.15), 6), ((0.3, 0.02), 9)):
        images, labels = 0.1 * torch.randn(12, 1, 28, 28), torch.randint(10, (12,))
        yield f"the learning rates {rates}", (_Maker(), images, labels, rates, num_steps)


def _watch_rates(run, make_model, *others):
    result, marks = run(make_model, *others), make_model.weights[:, 0, 0].tolist()
    begins = marks.index(make_model.used[0]) if make_model.used and make_model.used[0] in marks else 0
    if begins:  # with another network than the first: once more, and that one gets the first weights
        make_model.weights, make_model.drawn = make_model.weights.roll(begins, 0), []
        result = run(make_model, *others)
    curves = list(map(str, result.values())) if isinstance(result, dict) else []
    return {
        "the networks come from `make_model`": bool(make_model.drawn),
        "each learning rate has a curve of its own": len(curves) == len(set(curves)), "the result": result,
    }  # fmt: skip


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
        "Within a run the loss never changes: does the optimizer hold the weights of the model in use, and does it "
        "step?": [("SGD(model", "SGD(start"), ("optimizer.step()", "pass"), ("loss.backward()", "pass")],
        "You note each loss after its step, so the curves do not show their common beginning.": (
            "loss.item()", "F.cross_entropy(model(images), labels).item()"),
    })  # fmt: skip


def _kinds_of_curves():
    for first, middle, tail, last, length, *spikes in (
        (2.3, 1, 0.2, 0.2, 60), (2.3, 1, 0.2, math.nan, 60), (2.3, 1, 0.2, math.inf, 60), (6, 6, 6.0, 6, 60),
        (3.2, 2, 2.4, 2.4, 60), (2.3, 2.3, 2.3, 2.3, 8, (5, 9)), (2, 1, 0.2, 4, 60), (3.4, 1, 0.3, 1, 60),
        (1.6, 1, 1.6, 3.3, 60), (5.5, 9, 14.0, 14, 60), (3.5, 1, 0.3, 1, 60), (2.3, 2.3, 0.5, 0.5, 200),
        (2.3, 1, 0.2, 0.2, 60, (30, math.inf), (1, 5)), (2.3, 1, 0.2, 0.2, 60, (-20, 60)),
        (2.3, 1, 0.2, 0.2, 60, (-21, 60)), (2.3, 2.3, 2.12, 0.2, 60), (2.3, 2, 2.1, 2.1, 60),
    ):  # fmt: skip
        losses = ([first] + max(0, length - 21) * [middle] + 20 * [tail])[:length]
        for place, loss in (*spikes, (length - 1, last)):
            losses[place] = loss
        end = losses[-20:]
        ends = f"ends at {last}, with the mean {sum(end) / len(end):.4g} of its last {len(end)} losses"
        yield f"a curve that begins at {first} and {ends}", (losses,)


def _rules(losses):
    first, last, tail = losses[0], losses[-1], losses[-20:]
    found = {
        "diverged": not math.isfinite(last) or last > 2 * first,
        "wrong scale": first > 1.5 * math.log(10),
        "not learning": sum(tail) / len(tail) > 0.9 * first,
        "healthy": True,
    }
    return next(word for word in found if found[word])


first_look = exercise(
    "first_look", given=_kinds_of_curves, right=_rules, returns="one of the four words",
    passed="Finite, the right start, and a fall: the first three questions to ask of any curve.", wrong={
        "NaN is neither larger nor smaller than any number, nor equal to itself, so no comparison finds it.": [
            ("not math.isfinite(last)", f"last == math.{what}") for what in ("inf", "nan")],
        "What happens on the way does not count: whether a run has diverged, its last loss alone decides.": [
            ("math.isfinite(last)", "all(map(math.isfinite, losses))"), ("last > 2", "max(losses) > 2")],
        "The first loss may be 1.5 times that of a network that guesses, the natural logarithm of 10, and no more.": [
            ("log(", "log10("), ("1.5 * ", "")],
        "The mean of the last 20 losses, of all if fewer, decides whether it learns; one may be lucky.": [
            ("len(tail)", "20"), *(("losses[-20:]", f"losses{part}") for part in ("", "[:20]", "[-20:-1]")),
            *(("sum(tail) / len(tail)", one) for one in ("last", "min(losses)", "min(tail)"))],
        "The rules have an order: `diverged` comes first, then the scale, then whether it is learning.": [
            ("in found", f"in ('{word}', *found)") for word in ("wrong scale", "not learning")],
    })  # fmt: skip
