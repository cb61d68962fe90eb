"""The checks of notebook 6: cross-entropy, softmax twice, gradient descent and a sweep."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.comparing import same
from digitlib.checks.core import as_numbers, names_of
from digitlib.checks.engine import change, exercise


def _gradient(run, loss: object, own: Tensor, leaf: Tensor) -> dict:
    """Return whether a gradient flows back from a loss, and, where the loss is right, whether the gradient is."""
    flows = isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1
    facts = {"a gradient can flow back from the loss": flows}
    if flows and same(loss, own, 1e-4):
        (found,) = run.of(lambda: torch.autograd.grad(loss, leaf, allow_unused=True))
        facts["the gradient goes all the way back"] = same(found, torch.autograd.grad(own, leaf)[0], 1e-4)
    return facts


def _logits_and_labels():
    for number, num_classes in ((12, 7), (8, 10), (5, 5), (1, 3), (100, 6)):
        logits, labels = 1.5 * torch.randn(number, num_classes), torch.randint(num_classes, (number,))
        yield f"logits of shape ({number}, {num_classes})", (logits.requires_grad_(), labels)
    large = torch.tensor([[1000.0, 998.0, 0.0], [-700.0, -3000.0, -701.0], [0.0, 150.0, 20.0]])
    yield "logits of 1,000", ((large + torch.randn(3, 3)).requires_grad_(), torch.tensor([0, 1, 2]))


def _watch_cost(run, logits, labels):
    result, loss = run(logits, labels), F.cross_entropy(logits, labels)
    number = as_numbers(result)
    if number is not None and not number.isfinite().all():
        return {"the loss is a finite number": False}
    facts = {"the loss is a finite number": True, "the result": result} | _gradient(run, result, loss, logits)
    used = names_of(run, logits, labels) if len(labels) == 3 else ""
    return facts | {"it is your own work, not torch's": "nll_loss" not in used and "entropy" not in used}


def _mean_cost(logits, labels):
    log_p = logits.log_softmax(1)
    chosen = log_p.gather(1, labels[:, None])
    return -chosen.mean()


_LOG_P, _MEAN = "logits.log_softmax(1)", "-chosen.mean()"
cross_entropy_by_hand = exercise(
    "cross_entropy_by_hand", given=_logits_and_labels, right=_mean_cost, observe=_watch_cost, dtype=False,
    returns="a tensor of one number, the mean over the batch",
    passed="Cross-entropy is the mean of −ln p of the true digit, and safe as a difference of logarithms.",
    wrong={
        "For logits of 1,000 your loss is no finite number: e to such a power is beyond what a float can hold, or a "
        "probability becomes 0. Stay with logarithms.": ("log_softmax(1)", "softmax(1).log()"),
        "A mean over the images divides by their number, not by that of the digits, of all logits, or by one less.": [
            (_MEAN, f"-chosen.sum() / {n}") for n in ("logits.numel()", "logits.shape[1]", "(len(labels) - 1)")],
        "Average after the logarithm: each image pays for itself.": (_MEAN, "-chosen.exp().mean().log()"),
        "Your index pairs every row with every label; asked is one number of each row.": (
            ".gather(1, labels[:, None])", "[:, labels]"),
        "Your loss is right for small logits, but not for logits of 1,000. Is something cut off, or added, to keep the "
        "logarithm finite?": [("log_softmax(1)", f"softmax(1).add(1e-{n}).log()") for n in range(6, 16)],
    })  # fmt: skip


def _some_images():
    for number, num_classes in ((12, 10), (9, 4), (6, 6)):
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes))
        images, labels = 3 * torch.randn(number, 1, 28, 28), torch.randint(num_classes, (number,))
        yield f"{number} images and {num_classes} digits", (model, images, labels)


def _watch_both(run, model, images, labels):
    result = run(model, images, labels)
    if any(each.grad is not None for each in model.parameters()):
        return {"the call of `backward` is left to others": False}
    pair = result if isinstance(result, tuple | list) and len(result) == 2 else (None, None)
    facts = {"the call of `backward` is left to others": True, "the result": result}
    facts |= _gradient(run, pair[0], F.cross_entropy(model(images), labels), model[1].weight)
    return facts | {"two tensors": all(isinstance(each, Tensor) for each in pair)}


def _loss_and_confidence(model, images, labels):
    outputs = model(images).softmax(dim=1)
    loss = F.cross_entropy(outputs, labels)
    confidence = outputs.max(dim=1).values.mean()
    return loss, confidence


_SOFTMAX = ".softmax(dim=1)"
loss_and_confidence = exercise(
    "loss_and_confidence", given=_some_images, blank=_loss_and_confidence, observe=_watch_both,
    right=change(_loss_and_confidence, _SOFTMAX, "", "= outputs", "= outputs" + _SOFTMAX),
    returns="two tensors, the loss and the confidence, each of one number",
    passed="The loss wants logits, people want probabilities: keep both, under two names.",
    wrong={
        "The loss still sees a softmax twice: one in the program, and the one inside `F.cross_entropy`.": (
            "(outputs,", "(outputs.softmax(dim=1),"),
        "`F.nll_loss` contains no softmax and no logarithm: it wants logarithms of probabilities.": [
            ("F.cross_entropy(outputs,", "F.nll_loss(outputs.softmax(dim=1),"), ("cross_entropy", "nll_loss")],
        "The confidence needs just one softmax, over the digits of each image and not over the images.": [
            (_SOFTMAX, new) for new in ("", 2 * _SOFTMAX, ".softmax(dim=0)", ".sigmoid()")],
        "Take the largest probability of each image, not of each digit, of the batch or of means.": [
            (".max(dim=1).values", f".{new}") for new in ("max(dim=0).values", "max()", "mean(dim=0).max()")],
        "The confidence asks for no label: it is each answer's probability, not the true digit's.": [
            (".values", ".indices.eq(labels).float()"), (".max(dim=1).values", "[:, labels].diag()")],
    })  # fmt: skip


def _bowl(floor: float):
    """Return a loss over three parameters that is no number out there where too large steps lead."""
    steep, middle = 0.8 + 0.2 * torch.rand(3), torch.randn(3) / 4
    return lambda place: (steep * (place.where(place.abs() < 50, math.nan) - middle) ** 2).sum() + floor


def _bowls():
    # torch's first optimizer takes seconds: not on the clock of an answer
    torch.optim.SGD([torch.zeros(1, requires_grad=True)]).zero_grad()
    cases = (0.1, 6, [0.02, 0.2, 0.1, 0.01]), (0.1, 7, [30.5, 0.01, 0.1, 1e3, 0.04]), (-3, 3, [1.3, 0.4, 0.1])
    for floor, steps, rates in cases:
        yield f"the rates {rates} and num_steps={steps}", (_bowl(floor), 2 + torch.rand(3), rates, steps)


def _watch_sweep(run, *given):
    result, rates = run(*given), given[2]
    ends = as_numbers(result[1]) if isinstance(result, tuple | list) and len(result) == 2 else None
    if ends is None or ends.shape != (len(rates),):
        return {"the result": result}
    ends = ends.nan_to_num(math.inf, math.inf)  # all that has exploded is alike
    fits = same(result[0], rates[int(ends.argmin())], 1e-9)  # a right choice, even where the losses are wrong
    return {"the result": (_sweep(*given)[0] if fits else result[0], ends.tolist())}


def _sweep(loss_function, start, rates, num_steps):
    ends, slope = [], torch.func.grad(loss_function)
    for rate in rates:
        path = [start.clone()]
        for _ in range(num_steps):
            path.append(path[-1] - rate * slope(path[-1]))
        ends.append(float(loss_function(path[-1])))
    known = [math.inf if math.isnan(end) else end for end in ends]
    return rates[known.index(min(known))], ends


_SLOPE, _BEST = "slope(path[-1])", "known.index(min(known))"
best_rate = exercise(
    "best_rate", given=_bowls, right=_sweep, observe=_watch_sweep, tolerance=1e-3,
    returns="two things, the best rate and the list of all final losses",
    passed="Each rate had the same start and the same steps, and what became `nan` did not win.",
    wrong={
        "Each step uses the sum of all gradients so far. What has to happen to a gradient once it is used?": (
            _SLOPE, "sum(map(slope, path))"),
        "Your losses are those before the last step: measure after it.": ("function(path[-1])", "function(path[-2])"),
        "Each rate goes on where the last one stopped. To compare them, begin each at `start`.": (
            "[start.clone()]", "[path[-1] if ends else start.clone()]"),
        "You choose a rate whose loss is `nan` or `inf`. No comparison with `nan` is true: set them aside first.": [
            ("math.inf if math.isnan(end) else end", "end"), (_BEST, "int(torch.tensor(ends).argmin())")],
        "You look up a place in a list without `nan` and `inf`; in `rates` all are still there.": (
            _BEST, "[end for end in known if end < math.inf].index(min(known))"),
    })  # fmt: skip


def _measured_gradients():
    for num_steps, size in ((6, 3), (9, 2), (1, 4)):
        rate, keep = (0.2 + 0.6 * torch.rand(2)).tolist()
        yield f"gradients of shape ({num_steps}, {size})", (torch.randn(num_steps, size), rate, keep)


def _rolling(gradients, rate, keep):
    speed, changes = 0 * gradients[0], []
    for slope in gradients:
        speed = keep * speed + slope
        changes.append(-rate * speed)
    return torch.stack(changes)


_NEXT, _CHANGE = "keep * speed + slope", "-rate * speed"
momentum_steps = exercise(
    "momentum_steps", given=_measured_gradients, right=_rolling,
    returns="float (T, P), the change of the parameters at each step",
    passed="Momentum goes on where the gradient has gone: good along the floor of a valley, less so at its end.",
    wrong={
        "All rows are the last step: one tensor, changed in place, stands in your list again and again.": (
            "stack(changes)", "stack(len(changes) * changes[-1:])"),
        "The rate belongs to the step alone; in the sum it is taken once more.": [
            (_NEXT, "keep * speed + rate * slope"), (_NEXT, f"-rate * ({_NEXT})", _CHANGE, "speed")],
        "The new gradient is added whole, and `keep` is for the old sum alone: it is a sum that fades, and no mean.": [
            (_NEXT, new) for new in (
                "keep * speed + (1 - keep) * slope", "speed + keep * slope", "keep * (speed + slope)")],
        "These are places, added up from step to step; asked is the change at each step.": (
            "stack(changes)", "stack(changes).cumsum(0)"),
        "This looks a step ahead, as Nesterov's momentum does; the plain one steps along the sum.": (
            _CHANGE, "-rate * (keep * speed + slope)"),
        "The first gradient counts twice: the sum is empty at first.": ("0 * gradients[0]", "gradients[0]"),
    })  # fmt: skip


def _moments_of_adam():
    for step, size in ((1, 4), (3, 6), (40, 2)):
        weights, slope = 3 * torch.randn(2, size)
        slope[0] = 2e-8  # so that in the first step the 1e-8 below the line counts
        mean, square = torch.rand(2, size) * (step > 1)  # both are 0 before the first step
        yield f"step {step}", (weights, slope, mean, square, step, *(0.2 + 0.3 * torch.rand(2)).tolist())


def _divided_decay(parameters, gradient, mean, square, step, rate, decay):
    gradient = gradient + decay * parameters
    mean = 0.9 * mean + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient**2
    change = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    return parameters - rate * change, mean, square


_INSIDE, _DECAY = "    gradient = gradient + decay * parameters\n", "rate * (change + decay * parameters)"
adamw_step = exercise(
    "adamw_step", given=_moments_of_adam, blank=_divided_decay, returns="the parameters and both means, float (P,)",
    right=change(_divided_decay, _INSIDE, "", "rate * change", _DECAY),
    passed="Past Adam's division, the decay is the same share of every weight, however steep its slope.",
    wrong={
        "Each weight loses the share `decay`; it should be `rate * decay`.": (
            _DECAY, "rate * change - decay * parameters"),
        "It decays twice: the decay acts outside now, but is still in the gradient too.": (
            "    mean = 0.9", f"{_INSIDE}    mean = 0.9"),
        "The decay is still in one of the two running means: it should be in neither.": [
            (old, old.replace("gradient", "(gradient + decay * parameters)"), *rest) for old, *rest in (
                ("0.1 * gradient",), ("gradient**2",), ("0.1 * gradient", _DECAY, "rate * change"))],
        "The decay is divided by the root of the squares: add it after the division, outside.": (
            "change = mean / (1 - 0.9**step) /", "change = (mean / (1 - 0.9**step) + decay * parameters) /",
            _DECAY, "rate * change"),
        "Each weight loses its share of what it was before the step, not of what the step has made of it.": (
            f"parameters - {_DECAY}", "(parameters - rate * change) * (1 - rate * decay)"),
    })  # fmt: skip
