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
        labels[0] = logits[0].argmin()  # so that the true digit is not always the most probable one
        yield f"logits of shape ({number}, {num_classes})", (logits.requires_grad_(), labels)
    large = torch.tensor([[1000.0, 998.0, 0.0], [-700.0, -3000.0, -701.0], [0.0, 150.0, 20.0]])
    yield "logits of 1,000", ((large + torch.randn(3, 3)).requires_grad_(), torch.tensor([0, 1, 2]))


def _watch_cost(run, logits, labels):
    result, own = run(logits, labels), F.cross_entropy(logits, labels)
    number = as_numbers(result)
    if number is None or number.numel() > 1:
        return {"the result": result}
    if not number.isfinite():
        return {"the loss is a finite number": False}
    facts = {"the loss is a finite number": True, "the result": result} | _gradient(run, result, own, logits)
    used = names_of(run, logits, labels) if len(labels) == 3 else ""
    by_hand = "nll_loss" not in used and "cross_entropy" not in used
    return facts | {"it is built of logarithms and exponentials": by_hand}


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
        "The loss is right, but it is torch's. Build it yourself, of logarithms and exponentials.": F.cross_entropy,
        "For logits of 1,000 your loss is no finite number: e to such a power is beyond what a float can hold, or a "
        "probability becomes 0. Stay with logarithms.": ("log_softmax(1)", "softmax(1).log()"),
        "Take the natural logarithm, `log`, not `log2` or `log10`.": [
            (_MEAN, f"{_MEAN} / math.log({base})") for base in (2, 10)],
        "A mean over the images divides by their number, not by that of the digits, of all logits, or by one less.": [
            (_MEAN, f"-chosen.sum() / {n}") for n in ("logits.numel()", "logits.shape[1]", "(len(labels) - 1)")],
        "Average after the logarithm: each image pays for itself.": (_MEAN, "-chosen.exp().mean().log()"),
        "You use the probabilities themselves, or 1 − p; the loss is minus the logarithm of p.": [
            (_MEAN, f"({sign} chosen.exp()).mean()") for sign in ("-", "", "1 -")],
        "The logits are no probabilities yet: first comes a softmax.": [(_LOG_P, "logits"), (_LOG_P, "logits.log()")],
        "Your softmax adds up to 1 down the columns, over the images, or over all; it should do so along each row, the "
        "digits of one image.": [
            (_LOG_P, "logits.log_softmax(0)"), (_LOG_P, "(logits - logits.logsumexp((0, 1)))")],
        "Softmax has been taken twice: a loss wants the logits.": (_LOG_P, "logits.softmax(1).log_softmax(1)"),
        "Sigmoid looks at each logit alone; softmax compares them.": (_LOG_P, "logits.sigmoid().log()"),
        "Your index pairs every row with every label; asked is one number of each row.": (
            ".gather(1, labels[:, None])", "[:, labels]"),
        "The number is right, but no gradient can flow back from it: keep it a tensor, without `.item()`, `float`, "
        "`detach` or `no_grad`.": (_MEAN, "-chosen.mean().item()"),
        "Your loss is right for small logits, but not for logits of 1,000. Is something cut off, or added, to keep the "
        "logarithm finite?": [("log_softmax(1)", f"softmax(1).add(1e-{n}).log()") for n in range(6, 16)],
    })  # fmt: skip


def _some_images():
    for number, num_classes in ((12, 10), (9, 4), (6, 6)):
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes))
        images, labels = 3 * torch.randn(number, 1, 28, 28), torch.randint(num_classes, (number,))
        labels[:3] = model(images)[:3].argmax(dim=1)  # so that the accuracy is no coincidence of 0 or 1 / N
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
        "`F.cross_entropy` wants the logits as they are, without a sigmoid, or a softmax over the images.": [
            ("(outputs,", "(outputs.softmax(dim=0),"), ("(outputs,", "(outputs.sigmoid(),")],
        "`F.nll_loss` contains no softmax and no logarithm: it wants logarithms of probabilities.": [
            ("F.cross_entropy(outputs,", "F.nll_loss(outputs.softmax(dim=1),"), ("cross_entropy", "nll_loss")],
        "The numbers are right, but one is a plain number, where a tensor is asked for.": [
            ("loss, confidence", pair) for pair in (
                "loss.item(), confidence", "loss, confidence.item()", "loss.item(), confidence.item()")],
        "Loss and confidence have changed places: the loss comes first.": ("loss, confidence", "confidence, loss"),
        "The confidence needs one softmax, not two or none.": [(_SOFTMAX, n * _SOFTMAX) for n in (0, 2)],
        "The confidence needs a softmax over the digits of each image: not over the images, and no sigmoid.": [
            (_SOFTMAX, ".softmax(dim=0)"), (_SOFTMAX, ".sigmoid()")],
        "Take the largest probability of each image: not of each digit, nor of the batch, nor the smallest.": [
            (".max(dim=1)", ".max(dim=0)"), (".max(dim=1).values.mean()", ".max()"), (".max(", ".min(")],
        "The confidence asks for no label: it is each answer's probability, not the true digit's, nor the "
        "answer or whether it is right.": [("values", "indices.float()"), (".values", ".indices.eq(labels).float()"),
            (".max(dim=1).values", "[range(len(labels)), labels]")],
    })  # fmt: skip


class _Bowl:
    """A loss over three parameters, so steep far out that too large steps explode."""

    def __init__(self, floor: float):
        self.steep, self.lowest, self.floor = 0.8 + 0.2 * torch.rand(3), torch.randn(3) / 4, floor

    def __call__(self, place: Tensor) -> Tensor:
        away = place - self.lowest
        return (self.steep * away**2 / 2 + 0.02 * away**4).sum() + self.floor


def _bowls():
    # torch's first optimizer takes seconds: not on the clock of an answer
    torch.optim.SGD([torch.zeros(1, requires_grad=True)]).zero_grad()
    for rates, num_steps in (
        ([0.03, 0.4, 0.1, 0.005], 6), ([0.02, 0.3, 0.001, 0.08, 0.004], 5), ([50.5, 0.01, 0.07, 0.25], 7),
        ([0.05, 0.3, 60.5, 0.1], 9), ([2.6, 0.9, 0.2], 3), ([1.8, 0.8, 0.05], 1),
    ):  # fmt: skip
        bowl = _Bowl(-3.0 if len(rates) == 3 else 0.1)
        yield f"the rates {rates} and num_steps={num_steps}", (bowl, 1 + torch.rand(3), rates, num_steps)


def _watch_sweep(run, *given):
    result = run(*given)
    if not isinstance(result, tuple | list) or len(result) != 2:
        return {"the result": result}
    numbers = [as_numbers(each) for each in result]  # all that has exploded is alike
    rate, ends = (n if x is None else x.where(x < 1e4, math.inf).tolist() for n, x in zip(result, numbers))
    whole = numbers[1] is not None and numbers[1].shape == (len(given[2]),)
    if whole and rate == given[2][ends.index(min(ends))]:
        rate = _sweep(*given)[0]  # a right choice, even where the losses are wrong
    return {"the result": (rate, ends)}


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
        "Every loss is the one at the start: the steps do not change what the loss is measured at.": ("- rate", "- 0"),
        "Each step uses the sum of all gradients so far. What has to happen to a gradient once it is used?": (
            _SLOPE, "sum(map(slope, path))"),
        "Your losses are those before the last step: measure after it.": ("function(path[-1])", "function(path[-2])"),
        "Each rate goes on where the last one stopped. To compare them, begin each at `start`.": (
            "[start.clone()]", "[path[-1] if ends else start.clone()]"),
        "The rate does not occur in your step, or always the same one; each rate should have a run of its own.": [
            ("rate *", f"{rate} *") for rate in ("1", "rates[0]", "rates[-1]", "0.1")],
        "Every step uses the gradient at the start; a gradient holds at one place only.": (_SLOPE, "slope(start)"),
        "You keep the lowest loss on the way; asked is the loss after the last step.": [
            ("(loss_function(path[-1])", f"(min(map(loss_function, path{part}))") for part in ("", "[1:]", "[:-1]")],
        "You choose a rate whose loss is `nan` or `inf`. No comparison with `nan` is true: set them aside first.": [
            ("math.inf if math.isnan(end) else end", "end"), (_BEST, "int(torch.tensor(ends).argmin())")],
        "You choose the first that is finite, or a rate by its size; asked is the one with the lowest loss.": [
            (f"rates[{_BEST}]", f"{pick}(rate for rate, end in zip(rates, ends) if end < 1e4)")
            for pick in ("min", "max", "next")],
        "The first thing is the lowest loss; asked is the rate that reaches it.": (f"rates[{_BEST}]", "min(known)"),
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
        "The steps go uphill: the sum shows where the loss grows, so step against it.": (_CHANGE, "rate * speed"),
        "The step comes before this step's gradient is in the sum, so it is one step behind.": (
            f"speed = {_NEXT}\n        changes.append({_CHANGE})", f"changes.append({_CHANGE}); speed = {_NEXT}"),
        "Of the gradients before, only the last one counts: the sum holds them all, each fainter than the next.": (
            f"speed = {_NEXT}\n        changes.append({_CHANGE})", f"changes.append(-rate * ({_NEXT})); speed = slope"),
        "This looks a step ahead, as Nesterov's momentum does; the plain one steps along the sum.": (
            _CHANGE, "-rate * (keep * speed + slope)"),
        "The first gradient counts twice: the sum is empty at first.": ("0 * gradients[0]", "gradients[0]"),
    })  # fmt: skip


def _moments_of_adam():
    for step, size in ((1, 4), (3, 6), (40, 2)):
        weights, slope, mean = torch.randn(3, size)
        rate, decay = (0.2 + 0.3 * torch.rand(2)).tolist()
        before = float(step > 1)  # both means are 0 before the first step
        slope[0] = 2e-8 if step == 1 else slope[0]  # where the 1e-8 below the line counts
        means = (before * mean, before * torch.rand(size))
        yield f"step {step}", (3 * weights, slope, *means, step, rate, decay)


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
        "Nothing decays any more: each weight should still lose the share `rate * decay`.": (_DECAY, "rate * change"),
        "Each weight loses the share `decay`; it should be `rate * decay`.": (
            _DECAY, "rate * change - decay * parameters"),
        "With this sign the weights grow.": (_DECAY, "rate * (change - decay * parameters)"),
        "It decays twice: the decay acts outside now, but is still in the gradient too.": (
            "    mean = 0.9", f"{_INSIDE}    mean = 0.9"),
        "The decay is still in one of the two running means: it should be in neither.": [
            ("0.1 * gradient", "0.1 * (gradient + decay * parameters)"),
            ("gradient**2", "(gradient + decay * parameters)**2"),
            ("0.1 * gradient", "0.1 * (gradient + decay * parameters)", _DECAY, "rate * change")],
        "Each weight loses its share of what it was before the step, not of what the step has made of it.": (
            f"parameters - {_DECAY}", "(parameters - rate * change) * (1 - rate * decay)"),
    })  # fmt: skip
