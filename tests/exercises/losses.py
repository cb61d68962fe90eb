"""Answers to the exercises of notebook 6."""

import math

import torch
import torch.nn.functional as F

from tests.exercises import Answers


def picked(p, labels):
    return p[torch.arange(len(labels)), labels]


def entropy_by_gather(logits, labels):
    return -logits.log_softmax(dim=1).gather(1, labels[:, None]).mean()


def entropy_by_a_loop(logits, labels):
    losses = []
    for row, label in zip(logits, labels):
        shifted = row - row.max()
        losses.append(shifted.exp().sum().log() - shifted[label])
    return torch.stack(losses).mean()


def entropy_by_one_hot(logits, labels):
    return -(F.one_hot(labels, logits.shape[1]) * logits.log_softmax(dim=1)).sum() / len(labels)


def of(change, reduce=torch.mean):
    """Return an answer that reduces something computed of the true digits' probabilities."""
    return lambda logits, labels: reduce(change(picked(logits.softmax(dim=1), labels)))


def with_epsilon(logits, labels):
    return -(picked(logits.softmax(dim=1), labels) + 1e-8).log().mean()


def both(loss, confidence):
    """Return an answer that computes loss and confidence of the logits in these ways."""

    def answer(model, images, labels):
        logits = model(images)
        return loss(logits, labels), confidence(logits)

    return answer


def largest(logits):
    return logits.softmax(dim=1).max(dim=1).values.mean()


def twice(logits, labels):
    return F.cross_entropy(logits.softmax(dim=1), labels)


def confidence_in_labels(model, images, labels):
    logits = model(images)
    return F.cross_entropy(logits, labels), picked(logits.softmax(dim=1), labels).mean()


def trains_already(model, images, labels):
    loss, confidence = both(F.cross_entropy, largest)(model, images, labels)
    loss.backward()
    return loss, confidence


def without_gradients(model, images, labels):
    with torch.no_grad():
        return both(F.cross_entropy, largest)(model, images, labels)


def walk(loss_function, start, rate, num_steps, sign=-1):
    parameters = start.clone().requires_grad_()
    for _ in range(num_steps):
        (gradient,) = torch.autograd.grad(loss_function(parameters), parameters)
        parameters = (parameters + sign * rate * gradient).detach().requires_grad_()
    return loss_function(parameters).item()


def lowest(rates, losses):
    finite = [loss if math.isfinite(loss) else math.inf for loss in losses]
    return rates[finite.index(min(finite))]


def sweep(run, choose=lowest):
    """Return an answer that runs each rate, and chooses one, in these ways."""

    def answer(loss_function, start, rates, num_steps):
        losses = [run(loss_function, start, rate, num_steps) for rate in rates]
        return choose(rates, losses), losses

    return answer


def by_optimizer(loss_function, start, rate, num_steps, zero=True, momentum=0.0):
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([parameters], rate, momentum=momentum)
    for _ in range(num_steps):
        if zero:
            optimizer.zero_grad()
        loss_function(parameters).backward()
        optimizer.step()
    return loss_function(parameters).item()


def before_the_last(loss_function, start, rate, num_steps):
    parameters = start.clone().requires_grad_()
    for _ in range(num_steps):
        parameters.grad = None
        loss = loss_function(parameters)
        loss.backward()
        with torch.no_grad():
            parameters -= rate * parameters.grad
    return loss.item()


def one_start_for_all(loss_function, start, rates, num_steps):
    parameters, losses = start.clone().requires_grad_(), []
    for rate in rates:
        for _ in range(num_steps):
            (gradient,) = torch.autograd.grad(loss_function(parameters), parameters)
            parameters = (parameters - rate * gradient).detach().requires_grad_()
        losses.append(loss_function(parameters).item())
    return lowest(rates, losses), losses


def moves_the_start(loss_function, start, rate, num_steps):
    parameters = start.requires_grad_()
    for _ in range(num_steps):
        (gradient,) = torch.autograd.grad(loss_function(parameters), parameters)
        with torch.no_grad():
            parameters -= rate * gradient
    return loss_function(parameters).item()


def with_functional_gradients(loss_function, start, rates, num_steps):
    losses = []
    for rate in rates:
        parameters = start
        for _ in range(num_steps):
            parameters = parameters - rate * torch.func.grad(loss_function)(parameters)
        losses.append(loss_function(parameters))
    losses = torch.stack(losses)
    return rates[int(losses.nan_to_num(torch.inf).argmin())], losses


def naive_lowest(rates, losses):
    return rates[int(torch.tensor(losses).argmin())]


def highest(rates, losses):
    return max((loss, rate) for loss, rate in zip(losses, rates) if math.isfinite(loss))[1]


def place_of(rates, losses):
    return rates.index(lowest(rates, losses))


def lowest_loss(rates, losses):
    return min(loss for loss in losses if math.isfinite(loss))


def swapped(*inputs):
    return sweep(walk)(*inputs)[::-1]


def wrong_order(loss_function, start, rates, num_steps):
    rate, losses = sweep(walk)(loss_function, start, rates, num_steps)
    return rate, sorted(losses)


ANSWERS = {
    "cross_entropy_by_hand": Answers(
        right={
            "gather": entropy_by_gather,
            "a loop": entropy_by_a_loop,
            "one-hot": entropy_by_one_hot,
        },
        wrong={
            "sum": (of(lambda p: -p.log(), torch.sum), "add up the losses"),
            "no minus": (of(torch.log), "sign is missing"),
            "bits": (of(lambda p: -p.log2()), "count in bits"),
            "base 10": (of(lambda p: -p.log10()), "base 10"),
            "mean before log": (
                lambda z, y: -picked(z.softmax(dim=1), y).mean().log(),
                "before the logarithm",
            ),
            "no log": (of(torch.neg), "use the probabilities themselves"),
            "1 - p": (of(lambda p: 1 - p), "pay 1 − p"),
            "no softmax": (lambda z, y: -picked(z, y).mean(), "leave the softmax out"),
            "log of logits": (lambda z, y: -picked(z, y).log().mean(), "`nan`"),
            "softmax over images": (
                lambda z, y: -picked(z.softmax(dim=0), y).log().mean(),
                "over the images",
            ),
            "softmax twice": (lambda z, y: F.cross_entropy(z.softmax(dim=1), y), "taken twice"),
            "all pairs": (lambda z, y: -z.softmax(dim=1)[:, y].log().mean(), "every label"),
            "most probable": (lambda z, y: -z.softmax(dim=1).amax(dim=1).log().mean(), "most probable digit"),
            "all digits": (lambda z, y: -z.log_softmax(dim=1).mean(), "average over all digits"),
            "one an image": (lambda z, y: F.cross_entropy(z, y, reduction="none"), "one for each image"),
            "over N times C": (
                lambda z, y: F.cross_entropy(z, y, reduction="sum") / z.numel(),
                "number of all logits",
            ),
            "label before": (
                lambda z, y: (z.logsumexp(dim=1) - z[torch.arange(len(y)), y - 1]).mean(),
                "before the label",
            ),
            "first row": (lambda z, y: (z.logsumexp(dim=1) - z[0, y]).mean(), "from the first row"),
            "over 100": (lambda z, y: F.cross_entropy(z, y, reduction="sum") / 100, "divide by 100"),
            "squares": (
                lambda z, y: ((z.softmax(dim=1) - F.one_hot(y, z.shape[1])) ** 2).mean(),
                "squared error",
            ),
            "a plain number": (lambda z, y: F.cross_entropy(z, y).item(), "no gradient can flow"),
            "a new tensor": (
                lambda z, y: torch.tensor(F.cross_entropy(z, y).item(), requires_grad=True),
                "its gradient is not",
            ),
            "torch's": (F.cross_entropy, "it is torch's"),
            "overflow": (lambda z, y: (z.exp().sum(dim=1).log() - picked(z, y)).mean(), "becomes"),
            "epsilon": (with_epsilon, "Is something cut off"),
        },
    ),
    "loss_and_confidence": Answers(
        right={
            "nll_loss": both(lambda z, y: F.nll_loss(z.log_softmax(dim=1), y), largest),
            "log_softmax once more": both(lambda z, y: F.cross_entropy(z.log_softmax(dim=1), y), largest),
        },
        wrong={
            "retyped otherwise": (both(twice, largest), "still sees a softmax twice"),
            "softmax gone": (both(F.cross_entropy, lambda z: z.max(dim=1).values.mean()), "lost its softmax"),
            "log_softmax": (
                both(F.cross_entropy, lambda z: z.log_softmax(dim=1).max(dim=1).values.mean()),
                "logarithm of a probability",
            ),
            "nll of probabilities": (
                both(lambda z, y: F.nll_loss(z.softmax(dim=1), y), largest),
                "`F.nll_loss` wants",
            ),
            "nll of logits": (both(F.nll_loss, largest), "contains no softmax"),
            "sum": (both(lambda z, y: F.cross_entropy(z, y, reduction="sum"), largest), "add up the losses"),
            "changed places": (lambda *given: both(F.cross_entropy, largest)(*given)[::-1], "changed places"),
            "loss alone": (lambda model, x, y: F.cross_entropy(model(x), y), "Expected two things"),
            "of the labels": (confidence_in_labels, "of the true digits"),
            "of each digit": (
                both(F.cross_entropy, lambda z: z.softmax(dim=1).max(dim=0).values.mean()),
                "of each digit",
            ),
            "of the batch": (both(F.cross_entropy, lambda z: z.softmax(dim=1).max()), "of the batch"),
            "over the images": (
                both(F.cross_entropy, lambda z: z.softmax(dim=0).max(dim=1).values.mean()),
                "over the images",
            ),
            "one an image": (
                both(F.cross_entropy, lambda z: z.softmax(dim=1).max(dim=1).values),
                "not one an image",
            ),
            "a number for confidence": (
                both(F.cross_entropy, lambda z: largest(z).item()),
                "a plain number, where a tensor",
            ),
            "backward too early": (trains_already, "calls `backward`"),
            "smallest": (both(F.cross_entropy, lambda z: z.softmax(dim=1).amin(dim=1).mean()), "smallest"),
            "no gradients": (without_gradients, "cannot train any more"),
            "a plain number": (
                both(lambda z, y: F.cross_entropy(z, y).item() + 1, largest),
                "should be the cross-entropy",
            ),
        },
    ),
    "best_rate": Answers(
        right={
            "by hand": sweep(walk),
            "an optimizer": sweep(by_optimizer),
            "functional gradients": with_functional_gradients,
        },
        wrong={
            "uphill": (sweep(lambda f, p, r, n: walk(f, p, r, n, sign=1)), "points uphill"),
            "no zero_grad": (
                sweep(lambda f, p, r, n: by_optimizer(f, p, r, n, zero=False)),
                "sum of all gradients",
            ),
            "before the last step": (sweep(before_the_last), "before the last step"),
            "one step too many": (sweep(lambda f, p, r, n: walk(f, p, r, n + 1)), "one step too many"),
            "a single step": (sweep(lambda f, p, r, n: walk(f, p, r, 1)), "a single step"),
            "no step": (sweep(lambda f, p, r, n: f(p).item()), "at the start"),
            "always forty": (sweep(lambda f, p, r, n: walk(f, p, r, 40)), "always take 40 steps"),
            "one rate": (sweep(lambda f, p, r, n: walk(f, p, 0.1, n)), "You use the rate 0.1"),
            "goes on": (one_start_for_all, "where the last one stopped"),
            "moves the start": (sweep(moves_the_start), "changes the tensor"),
            "momentum": (
                sweep(lambda f, p, r, n: by_optimizer(f, p, r, n, momentum=0.9)),
                "plain gradient descent",
            ),
            "lowest on the way": (
                sweep(lambda f, p, r, n: min(walk(f, p, r, steps) for steps in range(1, n + 1))),
                "You keep the lowest loss",
            ),
            "nan wins": (sweep(walk, naive_lowest), "No comparison with `nan`"),
            "highest": (sweep(walk, highest), "the highest loss"),
            "place": (sweep(walk, place_of), "a place in the list"),
            "loss for rate": (sweep(walk, lowest_loss), "is the lowest loss"),
            "changed places": (swapped, "changed places"),
            "sorted losses": (wrong_order, "another order"),
            "rate alone": (lambda *given: sweep(walk)(*given)[0], "Expected two things"),
        },
    ),
}
