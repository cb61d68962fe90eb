"""Answers to the exercises of notebook 1."""

import torch

from tests.exercises import Answers

LIBRARIES = {
    "gradients": "torch",
    "datasets": "torchvision",
    "pictures": "matplotlib",
    "statistics": "seaborn",
    "tables": "pandas",
    "earlier work": "digitlib",
}


def noisy_at_once(image, num_copies, seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return image + torch.rand((num_copies, *image.shape), generator=generator)


def noisy_with_a_seed_each(image, num_copies, seed):
    seeds = range(seed * 1000, seed * 1000 + num_copies)
    noise = [torch.rand(image.shape, generator=torch.Generator().manual_seed(each)) for each in seeds]
    return image + torch.stack(noise)


def noisy(draw):
    """Return an answer that draws noise of another kind with one generator."""

    def answer(image, num_copies, seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.stack([image + draw(image, generator) for _ in range(num_copies)])

    return answer


def noise_without_a_seed(image, num_copies, seed):
    return torch.stack([image + torch.rand(image.shape) for _ in range(num_copies)])


def noise_of_one_seed(image, num_copies, seed):
    generator = torch.Generator().manual_seed(0)
    return torch.stack([image + torch.rand(image.shape, generator=generator) for _ in range(num_copies)])


def noise_of_the_shared_seed(image, num_copies, seed):
    torch.manual_seed(seed)
    return torch.stack([image + torch.rand(image.shape) for _ in range(num_copies)])


def noise_upon_noise(image, num_copies, seed):
    generator = torch.Generator().manual_seed(seed)
    copies = []
    for _ in range(num_copies):
        image = image + torch.rand(image.shape, generator=generator)
        copies.append(image)
    return torch.stack(copies)


def noise_in_pairs(image, num_copies, seed):
    copies = []
    for number in range(num_copies):
        generator = torch.Generator().manual_seed(seed + number // 2)
        copies.append(image + torch.rand(image.shape, generator=generator))
    return torch.stack(copies)


def a_list_of_copies(image, num_copies, seed):
    return list(noisy_at_once(image, num_copies, seed))


def descend_with_data(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        (slope,) = torch.autograd.grad(function(x), x)
        x.data -= learning_rate * slope
    return x.detach()


def descend_with_sgd(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.SGD([x], learning_rate)
    for _ in range(num_steps):
        optimizer.zero_grad()
        function(x).backward()
        optimizer.step()
    return x.item()


def descend_with_a_new_tensor(function, start, learning_rate, num_steps):
    for _ in range(num_steps):
        x = torch.tensor(start, requires_grad=True)
        function(x).backward()
        start -= learning_rate * x.grad.item()
    return start


def descent(*, clear=True, sign=-1, more=0, rate=None, steps=None, result=lambda function, x: x.item()):
    """Return an answer that is right but for what the arguments change."""

    def answer(function, start, learning_rate, num_steps):
        x = torch.tensor(start, requires_grad=True)
        for _ in range((steps or num_steps) + more):
            if clear:
                x.grad = None
            function(x).backward()
            with torch.no_grad():
                x += sign * (learning_rate if rate is None else rate) * x.grad
        return result(function, x)

    return answer


def the_best_of_all(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    best, lowest = start, function(x).item()
    for _ in range(num_steps):
        x.grad = None
        function(x).backward()
        with torch.no_grad():
            x -= learning_rate * x.grad
            if function(x) < lowest:
                best, lowest = x.item(), function(x).item()
    return best


def returns_in_the_loop(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        function(x).backward()
        with torch.no_grad():
            x -= learning_rate * x.grad
        return x.item()
    return start


def clears_too_early(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        function(x).backward()
        x.grad.zero_()
        with torch.no_grad():
            x -= learning_rate * x.grad
    return x.item()


def steps_under_watch(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        x.grad = None
        function(x).backward()
        x -= learning_rate * x.grad
    return x.item()


def replaces_x(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        function(x).backward()
        x = x - learning_rate * x.grad
    return x.item()


def measures_differences(function, start, learning_rate, num_steps):
    for _ in range(num_steps):
        slope = (function(torch.tensor(start + 0.01)) - function(torch.tensor(start - 0.01))) / 0.02
        start -= learning_rate * slope.item()
    return start


def forgets_to_watch(function, start, learning_rate, num_steps):
    x = torch.tensor(start)
    function(x).backward()
    return x.item()


def one_gradient(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    function(x).backward()
    for _ in range(num_steps):
        x.data -= learning_rate * x.grad
    return x.item()


def steps_by_the_value(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        x.data -= learning_rate * function(x).item()
    return x.item()


def computes_once(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    result = function(x)
    for _ in range(num_steps):
        x.grad = None
        result.backward()
        x.data -= learning_rate * x.grad
    return x.item()


ANSWERS = {
    "library_for": Answers(
        right={
            "in another order, with capitals": {
                job: LIBRARIES[job].capitalize() for job in sorted(LIBRARIES)
            },
            "the module itself": LIBRARIES | {"gradients": torch},
        },
        wrong={
            "a list": (list(LIBRARIES.values()), "Expected a dict"),
            "the wrong way round": ({name: job for job, name in LIBRARIES.items()}, "the jobs as keys"),
            "a job is missing": ({"gradients": "torch"}, 'job "datasets" has no library'),
            "a job too many": (LIBRARIES | {"cooking": "pandas"}, "no jobs of the task"),
            "seaborn for everything that is drawn": (
                LIBRARIES | {"pictures": "seaborn"},
                "draws statistics, with",
            ),
            "the two that draw swapped": (
                LIBRARIES | {"pictures": "seaborn", "statistics": "matplotlib"},
                "changed places: one draws",
            ),
            "torch and torchvision swapped": (
                LIBRARIES | {"gradients": "torchvision", "datasets": "torch"},
                "the same beginning",
            ),
            "pandas reads images": (LIBRARIES | {"datasets": "pandas"}, "rows and columns with names"),
            "called by another name": (LIBRARIES | {"gradients": "PyTorch"}, "another name"),
            "a library of another course": (LIBRARIES | {"gradients": "tensorflow"}, "none of the six"),
            "no name": (LIBRARIES | {"tables": 5}, "a name in quotes"),
        },
    ),
    "brightened": Answers(
        right={
            "view": lambda images, amounts: images.unsqueeze(1).to(torch.float32) + amounts.view(-1, 1, 1, 1),
            "axes last": lambda images, amounts: (images.float() + amounts.reshape(-1, 1, 1)).unsqueeze(1),
            "one by one": lambda images, amounts: torch.stack(
                [image.float() + amount for image, amount in zip(images, amounts)]
            )[:, None],
        },
        wrong={
            "no axes for the numbers": (
                lambda images, amounts: images[:, None] + amounts,
                "along the columns",
            ),
            "one axis for the numbers": (
                lambda images, amounts: images[:, None] + amounts[:, None],
                "along the rows",
            ),
            "two axes for the numbers": (
                lambda images, amounts: images[:, None] + amounts[:, None, None],
                "every number was added to every image",
            ),
            "no channel axis": (lambda images, amounts: images + amounts[:, None, None], "has 3 axes"),
            "channel axis first": (
                lambda images, amounts: (images + amounts[:, None, None])[None],
                "the wrong place",
            ),
            "left as bytes": (
                lambda images, amounts: images[:, None] + amounts.byte()[:, None, None, None],
                "is uint8",
            ),
            "added as bytes": (
                lambda images, amounts: (images[:, None] + amounts.byte()[:, None, None, None]).float(),
                "began again at 0",
            ),
            "float64": (
                lambda images, amounts: images[:, None].double() + amounts.view(-1, 1, 1, 1),
                "is float64",
            ),
            "cut off": (
                lambda images, amounts: (images[:, None] + amounts.view(-1, 1, 1, 1)).clamp(max=255),
                "cut off",
            ),
            "scaled": (
                lambda images, amounts: images[:, None] / 255 + amounts.view(-1, 1, 1, 1),
                "scaled to 0 to 1",
            ),
            "multiplied": (lambda images, amounts: images[:, None] * amounts.view(-1, 1, 1, 1), "multiplied"),
            "the first number for all": (
                lambda images, amounts: images[:, None] + amounts[0],
                "the first number",
            ),
            "nothing added": (lambda images, amounts: images[:, None].float(), "nothing was added"),
            "axis at the end": (
                lambda images, amounts: images[..., None] + amounts.view(-1, 1, 1, 1),
                "stands at the end",
            ),
            "numbers added up": (
                lambda images, amounts: images[:, None] + amounts.cumsum(0).view(-1, 1, 1, 1),
                "add up from image to image",
            ),
            "the ink alone": (
                lambda images, amounts: images[:, None] + amounts.view(-1, 1, 1, 1) * (images > 0)[:, None],
                "a pixel 0 became 0",
            ),
            "only for 28": (
                lambda images, amounts: images.float().view(28, 1, 28, 28) + amounts.view(28, 1, 1, 1),
                "raised RuntimeError",
            ),
        },
    ),
    "noisy_copies": Answers(
        right={"all at once": noisy_at_once, "a seed for each copy": noisy_with_a_seed_each},
        wrong={
            "no seed": (noise_without_a_seed, "not repeatable"),
            "always the same seed": (noise_of_one_seed, "is `seed` still used"),
            "the shared random numbers": (noise_of_the_shared_seed, "all of torch shares"),
            "noise upon noise": (noise_upon_noise, "adds up from copy to copy"),
            "the same in pairs": (noise_in_pairs, "3 pairs of copies"),
            "the bug in other words": (
                lambda image, num_copies, seed: noisy_at_once(image, 1, seed).repeat(num_copies, 1, 1),
                "All copies have the same noise",
            ),
            "bell-shaped": (
                noisy(lambda image, g: torch.randn(image.shape, generator=g)),
                "as `torch.rand` draws it",
            ),
            "one number a copy": (noisy(lambda image, g: torch.rand(1, generator=g)), "All pixels of a copy"),
            "one number a column": (
                noisy(lambda image, g: torch.rand(image.shape[1], generator=g)),
                "All rows of a copy",
            ),
            "one number a row": (
                noisy(lambda image, g: torch.rand(len(image), 1, generator=g)),
                "All columns of a copy",
            ),
            "a list": (a_list_of_copies, "should be a tensor"),
            "times the seed": (
                lambda image, num_copies, seed: torch.cat(
                    [noisy_at_once(image, 1, seed * number) for number in range(num_copies)]
                ),
                "With the seed 0",
            ),
            "the first without noise": (
                lambda image, num_copies, seed: torch.cat(
                    [image[None], noisy_at_once(image, num_copies - 1, seed)]
                ),
                "Copy 0 is the image itself",
            ),
            "zeros and ones": (
                noisy(lambda image, g: torch.randint(2, image.shape, generator=g)),
                "between 0.1 and 0.9",
            ),
            "float64": (
                lambda image, num_copies, seed: noisy_at_once(image, num_copies, seed).double(),
                "The copies are float64",
            ),
            "the same numbers moved": (
                lambda image, num_copies, seed: torch.stack(
                    [
                        image + (noisy_at_once(image, 1, seed)[0] - image).roll(number, 0)
                        for number in range(num_copies)
                    ]
                ),
                "in other places only",
            ),
            "no noise": (lambda image, num_copies, seed: image.repeat(num_copies, 1, 1), "no noise in them"),
            "only noise": (
                noisy(lambda image, g: torch.rand(image.shape, generator=g) - image),
                "added to the image",
            ),
        },
    ),
    "descend": Answers(
        right={
            "with grad and data": descend_with_data,
            "with an optimizer": descend_with_sgd,
            "with a new tensor each step": descend_with_a_new_tensor,
        },
        wrong={
            "gradients not cleared": (descent(clear=False), "adds to the gradients"),
            "uphill": (descent(sign=1), "`x` climbs: the derivative"),
            "uphill, gradients not cleared": (descent(sign=1, clear=False), "its gradients add up"),
            "one step too few": (descent(more=-1), "One step too few"),
            "one step too many": (descent(more=1), "One step too many"),
            "always 20 steps": (descent(steps=20), "always 20 steps"),
            "no learning rate": (descent(rate=1.0), "learning rate is not used"),
            "always 0.1": (descent(rate=0.1), "always 0.1"),
            "returns in the loop": (returns_in_the_loop, "Only one step"),
            "cleared before the step": (clears_too_early, "still where it started"),
            "the step is watched": (steps_under_watch, "torch refuses"),
            "x is replaced": (replaces_x, "`x.grad` is None"),
            "differences": (measures_differences, "never given a tensor"),
            "not watched": (forgets_to_watch, "does not watch `x`"),
            "one gradient for all steps": (one_gradient, "was computed once"),
            "the value in the derivative's place": (steps_by_the_value, "uses the value of the function"),
            "divided by the rate": (
                lambda function, start, learning_rate, num_steps: descent()(
                    function, start, 1 / learning_rate, num_steps
                ),
                "divided by the learning rate",
            ),
            "rounded": (descent(result=lambda function, x: round(x.item(), 2)), "with all its digits"),
            "still watched": (descent(result=lambda function, x: x), "that autograd watches; the task"),
            "the best instead of the last": (the_best_of_all, "every step climbs"),
            "always from 5": (
                lambda function, start, learning_rate, num_steps: descent()(
                    function, 5.0, learning_rate, num_steps
                ),
                "always begin at 5",
            ),
            "whole numbers": (
                lambda function, start, learning_rate, num_steps: torch.tensor(
                    int(start), requires_grad=True
                ),
                "Whole numbers have no gradient",
            ),
            "computed once": (computes_once, "the same record twice"),
            "returns the value": (descent(result=lambda function, x: function(x)), "value of the function"),
            "returns the gradient": (
                descent(result=lambda function, x: 2 * x.item()),
                "not where descent leads",
            ),
        },
    ),
}
