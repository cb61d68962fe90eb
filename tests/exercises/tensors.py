"""Answers to the exercises of notebook 1, beside those that its declarations hold."""

import numpy as np
import torch

from tests.exercises import Answers

LIBRARIES = {"statistics": " Seaborn", "gradients": torch, "datasets": "torchvision", "pictures": "Matplotlib",
             "tables": "pandas", "earlier work": "digitlib"}  # fmt: skip


def brighter(to=lambda amounts: amounts.view(-1, 1, 1, 1), result=lambda total: total):
    """Return an answer that is right but for what the arguments change."""
    return lambda images, amounts: result(images[:, None].float() + to(amounts))


def noisy(draw=lambda image, generator: torch.rand(image.shape, generator=generator), seed_of=None):
    """Return an answer that draws other noise, or whose copies have seeds of their own."""

    def answer(image, num_copies, seed):
        once = torch.Generator().manual_seed(seed)
        each = [
            torch.Generator().manual_seed(seed_of(seed, n)) if seed_of else once for n in range(num_copies)
        ]
        return torch.stack([image + draw(image, generator) for generator in each])

    return answer


def moved(image, num_copies, seed):
    noise = noisy()(image, 1, seed)[0] - image
    return torch.stack([image + noise.roll(number, 0) for number in range(num_copies)])


def by_sgd(function, start, learning_rate, num_steps):
    x = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([x], learning_rate)
    for _ in range(num_steps):
        optimizer.zero_grad()
        function(x).backward()
        optimizer.step()
    return x.item()


def descent(*, clear="x.grad = None", sign="-", scope="with torch.no_grad()", result="x.item()"):
    """Return an answer that is right but for what the arguments change."""
    source = f"""
def descend(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        {clear}
        function(x).backward()
        {scope}:
            x {sign}= learning_rate * x.grad
    return {result}
"""
    space = {"torch": torch}
    exec(source, space)
    return space["descend"]


def the_best(function, *others):
    places = [USUAL(function, *others[:2], steps) for steps in range(others[2] + 1)]
    return min(places, key=lambda x: function(torch.tensor(x)))


def differences(function, start, learning_rate, num_steps):
    for _ in range(num_steps):
        slope = (function(torch.tensor(start + 0.01)) - function(torch.tensor(start - 0.01))) / 0.02
        start -= learning_rate * slope.item()
    return start


USUAL = descent()

ANSWERS = {
    "library_for": Answers(
        right={"another order, capitals, a module": LIBRARIES},
        wrong={
            "a list": (list(LIBRARIES.values()), "should be a dict"),
            "a job is missing": ({"gradients": "torch"}, "has the keys ['gradients'], not"),
            "a job too many": (LIBRARIES | {"cooking": "pandas"}, "'cooking'], not"),
            "seaborn draws all": (LIBRARIES | {"pictures": "seaborn"}, "['pictures'] should be the one that"),
            "swapped": (LIBRARIES | {"gradients": "torchvision", "datasets": "torch"}, "the one that knows datasets"),
            "another name": (LIBRARIES | {"gradients": "PyTorch"}, "it is PyTorch, none of the six"),
            "two faults: short names": (LIBRARIES | {"pictures": "plt", "tables": "pd"}, "it is plt, none of the six"),
        },
    ),
    "brightened": Answers(
        right={
            "axes last": lambda images, amounts: (images.float() + amounts.reshape(-1, 1, 1)).unsqueeze(1),
            "one by one": lambda images, amounts: torch.stack([i[None].float() + a for i, a in zip(images, amounts)]),
        },
        wrong={
            "no channel axis": (brighter(result=lambda total: total.squeeze(1)), "an axis of length 1"),
            "float64": (brighter(result=lambda total: total.double()), "is float64"),
            "the ink alone": (lambda images, amounts: brighter()(images, amounts) * (images > 0)[:, None], "all pix"),
        },
    ),
    "noisy_copies": Answers(
        right={
            "all at once": lambda image, num_copies, seed: image + torch.rand(
                num_copies, *image.shape, generator=torch.Generator().manual_seed(seed)),
            "a seed for each copy": noisy(seed_of=lambda seed, number: 1000 * seed + number),
        },
        wrong={
            "the same in pairs": (noisy(seed_of=lambda seed, number: seed + number // 2), "random numbers should be 0"),
            "times the seed": (noisy(seed_of=lambda seed, number: seed * number), "a single copy: two different"),
            "the same numbers moved": (moved, "random numbers should be 0, but it is 15"),
            "zeros and ones": (noisy(lambda image, g: torch.randint(2, image.shape, generator=g)), "the deviation 0.5"),
            "a row's noise": (noisy(lambda image, g: torch.rand(len(image), 1, generator=g)), "noise of its own: that"),
            "float64": (lambda *given: noisy()(*given).double(), "is float64"),
            "a list": (lambda *given: list(noisy()(*given)), "should be a tensor"),
            "only noise": (noisy(lambda image, g: torch.rand(image.shape, generator=g) - image), "it is from -"),
            "two faults: NumPy's numbers, no seed": (
                noisy(lambda image, g: torch.tensor(np.random.rand(*image.shape))), "two calls with the same seed"),
        },
    ),
    "descend": Answers(
        right={"an optimizer": by_sgd},
        wrong={
            "the step is watched": (descent(scope="if True"), "may not be changed in place"),
            "differences": (differences, "a tensor that autograd watches: that should be so"),
            "rounded": (descent(result="round(x.item(), 2)"), "Your numbers are rounded"),
            "the best": (the_best, "a rate so large that a step may climb"),
            "twice": (descent(result="2 * x.item()"), "2 times what it should be"),
            "x and its value": (descent(result="x.item(), function(x)"), "should be one number"),
            "uphill": (descent(sign="+"), "goes uphill"),
        },
    ),
}  # fmt: skip
