"""The checks of notebook 6: cross-entropy, softmax twice, gradient descent and a sweep."""

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.core import (
    NotYet,
    call,
    close,
    describe_value,
    exercise,
    expect,
    expect_number,
    graph_of,
)


@exercise(
    passed="Cross-entropy is the mean of −ln p of the true digit, and safe as a difference of logarithms."
)
def cross_entropy_by_hand(answer) -> None:
    """Take logits (N, C), however large, and labels (N,); return the mean cross-entropy, a tensor of one number."""
    for number, num_classes in ((12, 7), (8, 10), (5, 5), (1, 3), (100, 6)):
        logits = (1.5 * torch.randn(number, num_classes)).requires_grad_()
        labels = torch.randint(0, num_classes, (number,))
        if number > 1:
            labels[0] = logits[0].argmin()  # so that the true digit is not always the most probable one
        before = logits.detach().clone()
        found = call(answer, logits, labels, changes=(0,))  # not a copy, whose gradient nobody could see
        expect(
            torch.equal(logits, before),
            "Your function changes the logits that it is given; work on new tensors.",
        )
        expect(
            not (isinstance(found, Tensor) and found.shape == labels.shape and number > 1),
            f"You return {number} losses, one for each image; asked is one number for the batch.",
        )
        expect(
            not _is_nan(found),
            "Your loss is `nan`, not a number. Logits may be negative, so make them probabilities first.",
        )
        value = expect_number(found, what="the loss")
        _expect_loss(value, logits.detach(), labels)
        expect(
            isinstance(found, Tensor) and found.requires_grad,
            "The number is right, but no gradient can flow back from it: keep it a tensor, without `.item()`, `float`, "
            "`detach` or `no_grad`.",
        )

        own = (before.softmax(dim=1) - F.one_hot(labels, num_classes)) / number
        (gradient,) = torch.autograd.grad(found, logits, allow_unused=True)
        expect(
            gradient is not None and close(gradient, own),
            "The number is right, but its gradient is not: on the way from the logits it was cut off, by `detach`, "
            "`.data` or a new tensor.",
        )

    labels, logits = torch.tensor([0, 1, 2]), torch.randn(3, 3)
    large = logits + torch.tensor([[1000.0, 998.0, 0.0], [-700.0, -3000.0, -701.0], [0.0, 150.0, 20.0]])
    right = F.cross_entropy(large.double(), labels).item()
    found = call(answer, large, labels)
    value = float(found) if isinstance(found, Tensor | float | int) else expect_number(found)
    expect(
        math.isfinite(value),
        f"For logits of 1,000 your loss becomes {value}: e to such a power is beyond what a float can hold, or a "
        "probability becomes 0. Stay with logarithms.",
    )
    expect(
        close(value, right, 1e-3),
        f"Your loss is right for small logits, but for logits of 1,000 it is {value:.4g} where {right:.4g} is due. Is "
        "something cut off, or added, to keep the logarithm finite?",
    )
    used = graph_of(answer, torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, 1, 1]))
    expect(
        "NllLoss" not in used and "CrossEntropy" not in used,
        "The loss is right, but it is torch's. Build it yourself, of logarithms and exponentials.",
    )


def _is_nan(value: object) -> bool:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return isinstance(value, float) and math.isnan(value)


def _expect_loss(found: float, logits: Tensor, labels: Tensor) -> None:
    logits = logits.double()
    number, num_classes = logits.shape
    rows, right = torch.arange(number), F.cross_entropy(logits, labels).item()
    if close(found, right):
        return
    p, by_column = logits.softmax(dim=1), logits.softmax(dim=0)
    losses, true = -p[rows, labels].log(), p[rows, labels]
    log_p, one_hot = p.log(), F.one_hot(labels, num_classes).double()
    typical = {
        "You add up the losses of the images; asked is their mean.": losses.sum(),
        "The sign is missing: the logarithm of a probability is negative, a loss is not.": -losses.mean(),
        "You add up the logarithms, with their own sign; asked is the mean of what is paid, minus the logarithm.": (
            -losses.sum()
        ),
        "You count in bits: take the natural logarithm, `log`, not `log2`.": losses.mean() / math.log(2),
        "You take the logarithm to the base 10; asked is the natural one, `log`.": losses.mean()
        / math.log(10),
        "You divide by the number of all logits; asked is the mean over the images.": losses.sum()
        / logits.numel(),
        "You divide by the number of classes; asked is the mean over the images.": losses.sum() / num_classes,
        "You average the probabilities before the logarithm; each image pays for itself first.": -true.mean().log(),
        "You use the probabilities themselves; the loss is minus their logarithm.": -true.mean(),
        "You pay 1 − p; asked is minus the logarithm of p.": (1 - true).mean(),
        "This is the mean probability of the true digit; its logarithm is missing, and a minus.": true.mean(),
        "You leave the softmax out: the logits are no probabilities yet.": -logits[rows, labels].mean(),
        "You take the logarithm of logits; make them probabilities first.": -logits.abs()[rows, labels]
        .log()
        .mean(),
        "Your softmax adds up to 1 over the images; it should do so over the digits of each image.": (
            -by_column[rows, labels].log().mean()
        ),
        "Your exponentials are divided by their sum over the whole batch; each image needs its own sum.": (
            -(logits - logits.logsumexp(dim=(0, 1)))[rows, labels].mean()
        ),
        "Softmax has been taken twice: `logsumexp` wants the logits, as `F.cross_entropy` does.": F.cross_entropy(
            p, labels
        ),
        "Your index pairs every row with every label; asked is one number of each row.": -log_p[
            :, labels
        ].mean(),
        "You look at the probability of the most probable digit; what counts is the true one.": (
            -p.amax(dim=1).log().mean()
        ),
        "You average over all digits; only the true digit's probability counts.": -log_p.mean(),
        "You add the logarithms of all digits; only the true digit's probability counts.": -log_p.sum(
            dim=1
        ).mean(),
        "The logits should be subtracted from the logarithm of the sum, not added to it.": (
            logits[rows, labels] + logits.logsumexp(dim=1)
        ).mean(),
        "You add up e to the logits, but the logarithm of that sum is missing.": (
            -logits[rows, labels] + logits.exp().sum(dim=1)
        ).mean(),
        "The sum of logits has no exponentials: it is e to each of them that is added up.": (
            -logits[rows, labels] + logits.sum(dim=1).abs().log()
        ).mean(),
        "The largest logit is subtracted inside the sum, and should be from the true digit's logit too.": (
            (logits.logsumexp(dim=1) - logits.amax(dim=1) - logits[rows, labels]).mean()
        ),
        "You pick the digit before the label. The classes count from 0, as Python does.": (
            -log_p[rows, labels - 1].mean()
        ),
        "You pick the digit after the label. The classes count from 0, as Python does.": (
            -log_p[rows, (labels + 1) % num_classes].mean()
        ),
        "All true logits are picked from the first row; each image has a row of its own.": (
            (logits.logsumexp(dim=1) - logits[0, labels]).mean()
        ),
        "You add the other digits' 1 − p, as for yes-or-no questions; only the true digit's probability counts.": (
            -(one_hot * log_p + (1 - one_hot) * (1 - p).log()).sum(dim=1).mean()
        ),
        "The logit of the true digit is left out.": logits.logsumexp(dim=1).mean(),
        "This is a squared error. Cross-entropy is minus the logarithm of the true digit's probability.": (
            ((p - one_hot) ** 2).mean()
        ),
        "You square differences; cross-entropy is minus the logarithm of the true digit's probability.": (
            ((p - one_hot) ** 2).sum(dim=1).mean()
        ),
        "This is the entropy of the answers; the labels do not occur in it.": -(p * log_p).sum(dim=1).mean(),
        "You look at the last image's loss only.": losses[-1],
        "You look at the first image's loss only.": losses[0],
        "This is the median of the losses; asked is their mean.": losses.median(),
        "Sigmoid looks at each logit alone; the probabilities of ten digits come from softmax.": (
            -torch.sigmoid(logits)[rows, labels].log().mean()
        ),
        "The loss is 0, whatever the logits are.": torch.tensor(0.0),
    }
    if number > 1:
        typical["You divide by N − 1; a mean divides by N."] = losses.sum() / (number - 1)
    for fixed in (10, 100):
        typical[f"You divide by {fixed}, however many images there are."] = losses.sum() / fixed
    for hint, value in typical.items():
        expect(not close(found, value, 1e-5), hint)  # so near that it is no coincidence
    expect(
        found > 0, f"Your loss is {found:.4g}, but minus the logarithm of a probability is never negative."
    )
    raise NotYet(
        f"For {number} images and {num_classes} digits your loss is {found:.4f}. Compare with one image by hand: minus "
        "the logarithm of the probability that softmax gives to its label."
    )


def _loss_and_confidence(model, images, labels):
    outputs = model(images).softmax(dim=1)
    loss = F.cross_entropy(outputs, labels)
    confidence = outputs.max(dim=1).values.mean()
    return loss, confidence


@exercise(
    passed="The loss wants logits, people want probabilities: keep both, under two names.",
    blank=_loss_and_confidence,
)
def loss_and_confidence(answer) -> None:
    """Take a model, images and labels; return the loss on logits, and the mean of the largest probabilities."""
    for number, num_classes in ((12, 10), (9, 4), (6, 6)):
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, num_classes))
        images, labels = 3 * torch.randn(number, 1, 28, 28), torch.randint(0, num_classes, (number,))
        before = copy.deepcopy(model.state_dict())
        logits = model(images).detach()
        labels[:3] = logits[:3].argmax(dim=1)  # so that the accuracy is no coincidence of 0 or 1 / N
        found = call(answer, model, images, labels)
        expect(
            isinstance(found, tuple | list) and len(found) == 2,
            f"Expected two things, the loss and the confidence; got {describe_value(found)}.",
        )
        expect(
            not any(isinstance(value, Tensor) and value.numel() > 1 for value in found),
            "Both values should be means over the batch: one number each, not one an image.",
        )
        loss = expect_number(found[0], what="the loss")
        confidence = expect_number(found[1], what="the confidence")
        _expect_both(loss, confidence, logits, labels)
        expect(
            all(parameter.grad is None for parameter in model.parameters()),
            "Your function calls `backward`; leave that to the training loop, which calls it once.",
        )
        expect(
            model.training,
            "Your function switches the model to `eval`, in which a training loop would go on.",
        )
        expect(
            isinstance(found[1], Tensor),
            "The numbers are right, but the confidence is a plain number, where a tensor is asked for.",
        )
        expect(
            isinstance(found[0], Tensor) and found[0].requires_grad,
            "The numbers are right, but the loss cannot train any more: `backward` must be able to start from it.",
        )
        gradient = torch.autograd.grad(found[0], model[1].weight, allow_unused=True)[0]
        own = torch.autograd.grad(F.cross_entropy(model(images), labels), model[1].weight)[0]
        expect(
            gradient is not None and close(gradient, own),
            "The loss has the right value, but its gradient does not reach the model's weights as it should.",
        )
        after = model.state_dict()
        expect(
            all(torch.equal(before[name], after[name]) for name in before), "Your function changes the model."
        )


def _expect_both(loss: float, confidence: float, logits: Tensor, labels: Tensor) -> None:
    number = len(labels)
    p = logits.softmax(dim=1)
    rows = torch.arange(number)
    right_loss, right_confidence = F.cross_entropy(logits, labels), p.amax(dim=1).mean()
    expect(
        not (close(loss, right_confidence) and close(confidence, right_loss)),
        "Loss and confidence have changed places: the loss comes first.",
    )
    typical_losses = {
        "The loss still sees a softmax twice: one in the program, and the one inside `F.cross_entropy`.": (
            F.cross_entropy(p, labels)
        ),
        "The loss sees a softmax over the images, and then another one inside `F.cross_entropy`.": (
            F.cross_entropy(logits.softmax(dim=0), labels)
        ),
        "The loss sees a sigmoid before its softmax; it wants the logits as they are.": (
            F.cross_entropy(logits.sigmoid(), labels)
        ),
        "`F.nll_loss` wants logarithms of probabilities; it got the probabilities.": F.nll_loss(p, labels),
        "`F.nll_loss` contains no softmax, and got the logits as they are.": F.nll_loss(logits, labels),
        "You add up the losses of the images; asked is their mean.": F.cross_entropy(
            logits, labels, reduction="sum"
        ),
        "The loss has its sign turned.": -right_loss,
        "The loss is measured against the network's own answers, not against the labels.": (
            F.cross_entropy(logits, logits.argmax(dim=1))
        ),
        "Softmax has now been taken three times.": F.cross_entropy(p.softmax(dim=1), labels),
    }
    if not close(loss, right_loss):
        for hint, value in typical_losses.items():
            expect(not close(loss, value, 1e-5), hint)
        raise NotYet(
            f"The loss should be the cross-entropy of the model's logits, here {float(right_loss):.4f}, but "
            f"it is {loss:.4f}."
        )
    if close(confidence, right_confidence):
        return
    answers = logits.argmax(dim=1)
    typical = {
        "The loss is right now, but the confidence is no probability any more: it has lost its softmax.": (
            logits.amax(dim=1).mean()
        ),
        "The loss is right now. The confidence is the logarithm of a probability; it should be the probability.": (
            logits.log_softmax(dim=1).amax(dim=1).mean()
        ),
        "The confidence has a softmax too many: it was taken twice.": p.softmax(dim=1).amax(dim=1).mean(),
        "The confidence uses a softmax over the images; it should be over the digits of each image.": (
            logits.softmax(dim=0).amax(dim=1).mean()
        ),
        "You look for the largest probability of each digit; asked is that of each image.": p.amax(
            dim=0
        ).mean(),
        "You take the one largest probability of the batch; asked is the mean of each image's largest.": p.amax(),
        "You average the probabilities of the true digits; the confidence is that of the network's own answers.": (
            p[rows, labels].mean()
        ),
        "You add the images' confidences up; asked is their mean.": p.amax(dim=1).sum(),
        "The mean of all probabilities is always one over the number of digits; take each image's largest.": p.mean(),
        "The confidence is computed by a sigmoid; the probabilities come from softmax.": (
            logits.sigmoid().amax(dim=1).mean()
        ),
        "You take each image's smallest probability; the confidence is the largest.": p.amin(dim=1).mean(),
        "You average over the images first; take the largest probability of each image before.": (
            p.mean(dim=0).amax()
        ),
        "Your softmax goes over the images' largest logits, so its mean is always one over their number.": (
            torch.tensor(1 / number)
        ),
        "This is e to minus the loss, which looks at the labels; the confidence does not.": (
            -right_loss
        ).exp(),
        "This is the accuracy; the confidence does not look at the labels.": (answers == labels)
        .float()
        .mean(),
        "These are the answers, as `argmax` gives them; the confidence is their probability.": answers.float().mean(),
    }
    for hint, value in typical.items():
        expect(not close(confidence, value, 1e-5), hint)
    expect(
        0 <= confidence <= 1,
        f"The loss is right. The confidence is {confidence:.4g}, but a mean of probabilities lies "
        "between 0 and 1.",
    )
    raise NotYet(
        f"The loss is right. The confidence is {confidence:.4f}, but the mean of each image's largest probability is "
        f"another number ({number} images)."
    )


@exercise(passed="Each rate had the same start and the same steps, and what became `nan` did not win.")
def best_rate(answer) -> None:
    """Take a loss function, a start, rates and a number of steps; descend with each, return best rate and losses."""
    for size, rates, num_steps in (
        (2, [0.03, 0.4, 0.1, 0.005], 6),
        (3, [0.02, 0.3, 0.001, 0.08, 0.004], 5),
        (2, [50.0, 0.01, 0.07, 0.25], 7),
        (4, [0.05, 0.3, 60.0, 0.1], 9),
        (2, [1.6, 0.8, 0.2], 4),
        (1, [0.2, 0.05], 1),
        (2, [2.6, 0.3, 0.02], 4),  # losses below 0, and one that rises slowly
    ):
        while True:  # until one rate is the best beyond doubt
            bowl, start = _bowl(size, shallow=rates[0] == 2.6), 1 + torch.rand(size)
            right = [_descend(bowl, start, rate, num_steps)[-1] for rate in rates]
            first, second = sorted(filter(math.isfinite, right))[:2]
            if second - first > 0.02 * abs(first):
                break
        given = list(rates)
        result = call(answer, bowl, start, given, num_steps, changes=(2,))
        expect(given == rates, "Your function changes the list of rates that it is given.")
        expect(
            isinstance(result, tuple | list) and len(result) == 2,
            f"Expected two things, the best rate and the list of final losses; got {describe_value(result)}.",
        )
        rate, losses = result
        expect(
            _length(rate) != len(rates) or _length(losses) == len(rates),
            "Rate and losses have changed places: the best rate comes first.",
        )
        expect(
            _length(losses) == len(rates),
            f"The second thing should hold {len(rates)} losses, one for each rate; got "
            + (f"{_length(losses)}." if _length(losses) else f"{describe_value(losses)}."),
        )
        for place, loss in enumerate(losses):
            expect(
                isinstance(loss, int | float) or (isinstance(loss, Tensor) and loss.numel() == 1),
                f"Each rate has one final loss, a number; entry {place} of your list is {describe_value(loss)}.",
            )
        _expect_losses([_number(loss) for loss in losses], right, bowl, start, rates, num_steps)
        _expect_rate(rate, right, rates)


def _bowl(size: int, shallow: bool = False) -> Callable[[Tensor], Tensor]:
    """Return a loss over `size` parameters: a bowl, so steep far out that too large steps explode, or less steep."""
    steepness, lowest = 0.6 + 0.4 * torch.rand(size), torch.randn(size) / 4

    def loss_function(parameters: Tensor) -> Tensor:
        distance = parameters - lowest
        if shallow:
            return (0.5 * (0.65 + 0.35 * steepness) * distance**2).sum() - 9
        return (0.5 * steepness * distance**2).sum() + 0.02 * (distance**4).sum() + 0.1

    return loss_function


def _descend(bowl, start: Tensor, rate: float, num_steps: int, way: str = "") -> list[float]:
    """Return the loss before and after each step of plain gradient descent, or of a mistaken way."""
    parameters, total, losses = start.clone().requires_grad_(), torch.zeros_like(start), []
    for _ in range(num_steps):
        loss = bowl(parameters)
        (gradient,) = torch.autograd.grad(loss, parameters)
        total = total + gradient
        step = {
            "up": -rate * gradient,
            "sum": rate * total,
            "sign": rate * gradient.sign(),
            "length": rate * gradient / gradient.norm(),
            "no rate": gradient,
        }.get(way, rate * gradient)
        losses.append(loss.item())
        parameters = (parameters - step).detach().requires_grad_()
    return [*losses, bowl(parameters).item()]


def _goes_on(bowl, start: Tensor, rates: list[float], num_steps: int) -> list[float]:
    """Return the losses where each rate begins at the place where the last one stopped."""
    losses, parameters = [], start
    for rate in rates:
        for _ in range(num_steps):
            (gradient,) = torch.autograd.grad(bowl(parameters.requires_grad_()), parameters)
            parameters = (parameters - rate * gradient).detach()
        losses.append(bowl(parameters).item())
    return losses


def _zeros_first(bowl, start: Tensor, rate: float, num_steps: int) -> float:
    return _descend(bowl, torch.zeros_like(start), rate, num_steps)[-1]


def _one_gradient(bowl, start: Tensor, rate: float, num_steps: int) -> float:
    """Return the loss where every step uses the gradient at the start."""
    place = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(bowl(place), place)
    return bowl(start - num_steps * rate * gradient).item()


def _expect_losses(
    found: list[float], right: list[float], bowl, start: Tensor, rates: list, num_steps: int
) -> None:
    if _agree(found, right):
        return

    def each(way: str) -> list[float]:
        return [_descend(bowl, start, rate, num_steps, way)[-1] for rate in rates]

    long = [_descend(bowl, start, rate, 100) for rate in rates]
    paths = [losses[: num_steps + 1] for losses in long]
    first = bowl(start).item()
    typical = {
        "Every loss is the one at the start: the steps do not change what the loss is measured at.": [first]
        * len(rates),
        "The losses rise: the gradient points uphill, so the step goes the other way.": each("up"),
        "Each step uses the sum of all gradients so far. What has to happen to a gradient once it is used?": each(
            "sum"
        ),
        "Your losses are those before the last step: measure after it, or take one step more.": [
            losses[num_steps - 1] for losses in long
        ],
        "You take one step too many.": [losses[num_steps + 1] for losses in long],
        "You take a single step with each rate, whatever `num_steps` says.": [losses[1] for losses in long],
        "Each rate goes on where the last one stopped. To compare them, begin each at `start`.": _goes_on(
            bowl, start, rates, num_steps
        ),
        "The rate does not occur in your step.": each("no rate"),
        "You begin at zeros; begin at `start`.": [
            _zeros_first(bowl, start, rate, num_steps) for rate in rates
        ],
        "Every step uses the gradient at the start; a gradient holds at one place only.": [
            _one_gradient(bowl, start, rate, num_steps) for rate in rates
        ],
        "You use the gradient's sign only; the step is the rate times the gradient itself.": each("sign"),
        "You give each step the same length; it is the rate times the gradient itself.": each("length"),
        "You keep the mean of the losses on the way; asked is the loss after the last step.": [
            sum(path[1:]) / num_steps for path in paths
        ],
        "You average the losses before each step; asked is the loss after the last step.": [
            sum(path[:-1]) / num_steps for path in paths
        ],
        "You add up the losses on the way; asked is the loss after the last step.": [
            sum(path[:-1]) for path in paths
        ],
        "You keep the lowest loss on the way; asked is the loss after the last step.": [
            min(path) for path in paths
        ],
        "You keep the lowest loss of all steps; asked is the loss after the last one.": [
            min(path[1:]) for path in paths
        ],
    }
    for count in (10, 20, 40, 50, 80, 100):
        typical[f"You always take {count} steps; `num_steps` says how many."] = [
            losses[count] for losses in long
        ]
    for rate in rates:
        same = [right[rates.index(rate)]] * len(rates)
        typical[f"You use the rate {rate} for every run; each rate should have a run of its own."] = same
    for hint, losses in typical.items():
        expect(not _agree(found, losses), hint)
    expect(
        not _agree(sorted(found, key=_rank), sorted(right, key=_rank)),
        "The losses are right, but in another order than the rates: the first loss belongs to the first rate.",
    )
    worst = next(i for i in range(len(rates)) if not _agree([found[i]], [right[i]]))
    raise NotYet(
        f"With the rate {rates[worst]}, the loss after {num_steps} step(s) of plain gradient descent is not "
        f"{found[worst]:.4g}. Begin at `start`; every step: gradient here, times the rate, subtracted."
    )


def _expect_rate(rate: object, right: list[float], rates: list[float]) -> None:
    lowest, number = min(filter(math.isfinite, right)), _number(rate)
    expect(
        not math.isnan(number) and _length(rate) in (None, 1),
        f"The first thing should be one of the rates, but it is {describe_value(rate)}.",
    )
    if close(number, rates[right.index(lowest)]):
        return
    exploded = [rate for rate, loss in zip(rates, right) if not _small(loss)]
    expect(
        not any(close(number, rate) for rate in exploded),
        f"You choose the rate {number:g}, whose loss is `nan` or `inf`. No comparison with `nan` is true: set such "
        "losses aside before you look for the lowest.",
    )
    expect(
        not any(number == index for index in range(len(rates))) or number in rates,
        "The first thing looks like a place in the list; asked is the rate that stands there.",
    )
    expect(
        not close(number, lowest), "The first thing is the lowest loss; asked is the rate that reaches it."
    )
    finite = [(loss, rate) for loss, rate in zip(right, rates) if _small(loss)]
    expect(
        not close(number, max(finite)[1]) or len(finite) < 2,
        f"You choose the rate {number:g}, which has the highest loss; asked is the one with the lowest.",
    )
    raise NotYet(f"The losses are right, but the lowest of them is not that of the rate {number:g}.")


def _length(value: object) -> int | None:
    if isinstance(value, Tensor):
        return len(value) if value.ndim == 1 else None
    return len(value) if isinstance(value, tuple | list) else None


def _number(value: object) -> float:
    """Return a number or a tensor of one as a float; nan where it is neither."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value.detach())
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _small(loss: float) -> bool:
    return math.isfinite(loss) and loss < 1e4


def _rank(loss: float) -> float:
    return loss if _small(loss) else math.inf


def _agree(found: list[float], expected: list[float]) -> bool:
    """Tell whether two lists of losses agree; what has exploded agrees with what has exploded."""
    return len(found) == len(expected) and all(
        close(a, b, 1e-3) if _small(a) and _small(b) else _small(a) == _small(b)
        for a, b in zip(found, expected)
    )
