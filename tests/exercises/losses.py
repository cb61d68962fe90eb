"""Answers to the exercises of notebook 6, beside those that its declarations hold."""

import math

import torch
import torch.nn.functional as F

from tests.exercises import Answers


def by_differences(logits, labels):
    return (logits - logits.gather(1, labels[:, None])).logsumexp(dim=1).mean()


def naive(logits, labels):
    return -logits.softmax(dim=1).log().gather(1, labels[:, None])


def both(loss, confidence=lambda logits: logits.softmax(dim=1).amax(dim=1).mean()):
    """Return an answer that computes loss and confidence of the logits in these ways."""

    def answer(model, images, labels):
        logits = model(images)
        return loss(logits, labels), confidence(logits)

    return answer


def walk(loss_function, start, rate, num_steps):
    parameters = start.clone().requires_grad_()
    for _ in range(num_steps):
        (gradient,) = torch.autograd.grad(loss_function(parameters), parameters)
        parameters = (parameters - rate * gradient).detach().requires_grad_()
    return loss_function(parameters).item()


def by_optimizer(loss_function, start, rate, num_steps, momentum=0.0):
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([parameters], rate, momentum=momentum)
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss_function(parameters).backward()
        optimizer.step()
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


def moves_the_start(loss_function, start, rate, num_steps):
    start += walk(loss_function, start, rate, num_steps)
    return start[0]


def unrolled(gradients, rate, keep):
    ages = torch.arange(len(gradients))[:, None] - torch.arange(len(gradients))
    return -rate * torch.where(ages < 0, 0.0, keep ** ages.clamp(min=0).float()) @ gradients


def adamw_of_torch(parameters, gradient, mean, square, step, rate, decay):
    parameter = torch.nn.Parameter(parameters.clone())
    optimizer = torch.optim.AdamW([parameter], rate, weight_decay=decay)
    optimizer.state[parameter] = {
        "step": torch.tensor(step - 1.0),
        "exp_avg": mean.clone(),
        "exp_avg_sq": square.clone(),
    }
    parameter.grad = gradient.clone()
    optimizer.step()
    return parameter.detach(), *(optimizer.state[parameter][name] for name in ("exp_avg", "exp_avg_sq"))


ANSWERS = {
    "cross_entropy_by_hand": Answers(
        right={
            "one-hot": lambda z, y: -(F.one_hot(y, z.shape[1]) * z.log_softmax(dim=1)).sum() / len(y),
            "differences": by_differences,
        },
        wrong={
            "one an image": (lambda z, y: F.cross_entropy(z, y, reduction="none"), "the shape (), but it has (12,)"),
            "half of it": (lambda z, y: by_differences(z, y) / 2, "0.5 times"),
            "cut off": (lambda z, y: by_differences(z.clamp(max=80), y), "All other cases are right"),
            "the first image": (lambda z, y: by_differences(z[:1], y[:1]), "For logits of shape (12, 7)"),
            "two faults: a sum, overflow": (lambda z, y: naive(z, y).sum(), "no finite number"),
            "two faults: bits, overflow": (lambda z, y: naive(z, y).mean() / math.log(2), "1.443 times"),
        },
    ),
    "loss_and_confidence": Answers(
        right={
            "nll_loss": both(lambda z, y: F.nll_loss(z.log_softmax(dim=1), y)),
            "a list": lambda *given: list(both(F.cross_entropy)(*given)),
        },
        wrong={
            "loss alone": (lambda model, x, y: F.cross_entropy(model(x), y), "should be two tensors"),
            "one an image": (both(lambda z, y: F.cross_entropy(z, y, reduction="none")), "should have the shape"),
            "evaluation mode": (lambda model, *given: both(F.cross_entropy)(model.eval(), *given), "evaluation mode"),
            "two faults: softmax": (both(lambda z, y: F.cross_entropy(z.softmax(1), y), torch.max), "softmax twice"),
        },
    ),
    "momentum_steps": Answers(
        right={"a matrix of powers": unrolled},
        wrong={
            "the last step alone": (lambda *given: unrolled(*given)[-1], "should have"),
            "a list": (lambda *given: list(unrolled(*given)), "should be a tensor"),
            "two faults: uphill, places": (lambda *given: -unrolled(*given).cumsum(0), "These are places"),
        },
    ),
    "adamw_step": Answers(
        right={"torch's": adamw_of_torch},
        wrong={
            "parameters alone": (lambda *given: adamw_of_torch(*given)[0], "should "),
            "in place": (lambda p, *rest: adamw_of_torch(p.mul_(0.5), *rest), "changes its argument"),
            "no correction": (lambda p, g, m, s, t, *rest: adamw_of_torch(p, g, m, s, 10**9, *rest), "result 1 of 3"),
        },
    ),
    "best_rate": Answers(
        right={"by hand": sweep(walk), "an optimizer": sweep(by_optimizer)},
        wrong={
            "moves the start": (sweep(moves_the_start), "changes its argument `start`"),
            "momentum": (sweep(lambda *given: by_optimizer(*given, momentum=0.9)), "4 of 4 numbers of result 2 of 2"),
            "changed places": (lambda *given: sweep(walk)(*given)[::-1], "should be one number"),
            "the first finite one": (
                sweep(walk, lambda rates, ends: next(r for r, end in zip(rates, ends) if math.isfinite(end))),
                "result 1 of 2 should be 0.2, but it is 0.02",
            ),
            "rate alone": (lambda *given: sweep(walk)(*given)[0], "should be two things"),
            "two faults: a step too many, and the place": (
                sweep(lambda f, p, r, n: walk(f, p, r, n + 1), lambda *given: given[0].index(lowest(*given))),
                "result 1 of 2 should be",
            ),
        },
    ),
}  # fmt: skip
