"""The checks of notebook 1: libraries, tensors, seeds and gradients."""

import random

import torch

from digitlib.checks.engine import change, exercise

_LIBRARIES = {  # the job that each of them has, and what a hint calls it
    "torch": ("gradients", "the one that computes, and knows the derivatives of what it computed"),
    "torchvision": ("datasets", "the one that knows datasets of images and how to read them"),
    "matplotlib": ("pictures", "the one that draws whatever you tell it, point by point"),
    "seaborn": ("statistics", "the one that draws statistics, with the help of one that draws anything"),
    "pandas": ("tables", "the one that holds rows and columns with names"),
    "digitlib": ("earlier work", "the one that keeps what this course has built so far"),
}


def _libraries():
    return {job: name for name, (job, _) in _LIBRARIES.items()}


def _read_names(run):
    """Return what the library of each job does: whoever errs is told that, and no right name."""
    answer = run()
    if not isinstance(answer, dict):
        return {"the result": answer}
    names = {job: str(getattr(library, "__name__", library)).strip() for job, library in answer.items()}
    known = {name: what for name, (_, what) in _LIBRARIES.items()}
    found = {job: known.get(name.lower(), f"{name[:30]}, none of the six") for job, name in names.items()}
    return {"the result": found}


library_for = exercise(
    "library_for",
    passed="Each library has one job; when an error names a library, you know which job went wrong.",
    given=lambda: [("the six jobs", ())], right=_libraries, observe=_read_names, value=True,
    returns="a dict, `{job: library, …}`, with the six jobs of the task as its keys",
)  # fmt: skip


def _brighter(images, amounts):
    return images.unsqueeze(1).float() + amounts.view(-1, 1, 1, 1)


brightened = exercise(
    "brightened",
    passed="(N, 1, 1, 1) beside (N, 1, 28, 28): the axes of length 1 are stretched, the others have to agree.",
    given=lambda: [(case, (torch.randint(256, (n, 28, 28)).byte(), 40 * torch.rand(n) + torch.arange(n) + 10))
                   for case, n in (("28 images", 28), ("3 images", 3), ("a batch of one image", 1))],
    right=_brighter, returns="float32 (N, 1, 28, 28)",
    wrong={
        "`amounts` lies along the columns, the rows or the channels, and with 28 of them nothing warns you. Write the "
        "two shapes below each other, and give it the axes that make it one number for each image.": [
            (".view(-1, 1, 1, 1)", ""), ("1, 1, 1)", "1)"), ("1, 1, 1)", "1, 1)")],
        "The sums went past 255 and began again at 0: make floats before you add.":
            (".float() + amounts", " + amounts.byte()"),
        "The number is for all pixels, the background too.": ("1, 1, 1)", "1, 1, 1) * (images > 0)[:, None]"),
        "Something was scaled by 255; here pixels and numbers stay as they are.": ("float()", "float() / 255"),
    })  # fmt: skip


def _look_at_noise(run, image, num_copies, seed):
    before = torch.get_rng_state()
    result, again, other = (run(image, num_copies, each) for each in (seed, seed, seed + 1_000))
    if not torch.is_tensor(result) or result.shape != (num_copies, *image.shape):
        return {"the result": result}
    noise = result.detach() - image
    spread = min(noise.std(1).min(), noise.std(2).min()).item()  # over the rows, over the columns
    alike = torch.pdist(noise.flatten(1).sort(1).values) < 0.01
    found = f"from {noise.min() + 1e-3:.1f} to {noise.max():.1f}, with the mean {noise.mean():.1f} and the deviation"
    return {
        "each pixel of each copy has noise of its own": spread > 1e-3,
        "two calls with the same seed give the same copies": torch.equal(again, result),
        "two different seeds give different copies": not torch.equal(other, result),
        "the number of pairs of copies with the same random numbers": int(alike.sum()),
        "the noise": f"{found} {noise.std():.1f}",
        "torch's shared random numbers stay untouched": torch.equal(before, torch.get_rng_state()),
        "the result": torch.zeros_like(result),
    }


def _same_noise(image, num_copies, seed):
    copies = []
    for _ in range(num_copies):
        generator = torch.Generator().manual_seed(seed)
        copies.append(image + torch.rand(image.shape, generator=generator))
    return torch.stack(copies)


_SEEDED = "    generator = torch.Generator().manual_seed(seed)\n"
noisy_copies = exercise(
    "noisy_copies",
    passed="A generator goes on from where it was: seed it once, then draw as often as you need.",
    given=lambda: [(case, (20 * torch.rand(60, 70), num_copies, seed)) for case, num_copies, seed in (
        ("6 copies", 6, 41), ("a single copy", 1, 7), ("3 copies and the seed 0", 3, 0))],
    right=change(_same_noise, "    " + _SEEDED, "", "    for", _SEEDED + "    for"), blank=_same_noise,
    observe=_look_at_noise, returns="float32 (num_copies, H, W)",
)  # fmt: skip


def _watch_descent(run, function, *others):
    watched = [others[-1] == 0]  # where there is no step, nothing has to be watched

    def noting(x):
        watched.append(getattr(x, "requires_grad", False))
        return function(torch.as_tensor(x))

    result = run(noting, *others)
    return {
        "the function is given a tensor that autograd watches": any(watched),
        "the result": result,
        "the number is free of autograd's record": not getattr(result, "requires_grad", False),
    }


def _downhill(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        x.grad = None
        function(x).backward()
        with torch.no_grad():
            x -= learning_rate * x.grad
    return x.item()


descend = exercise(
    "descend", passed="Clear, backward, step: you have written the heart of every training in this course.",
    given=lambda: [("a parabola", (lambda x: (x - 3) ** 2, random.uniform(5, 6), 0.07, 4)),
                   ("waves", (lambda x: 3 * torch.sin(x), random.uniform(0.3, 0.5), 0.04, 6)),
                   ("a rate so large that a step may climb", (lambda x: x**4 / 40 + x, 2.0, 1.6, 4)),
                   ("0 steps", (lambda x: (x - 3) ** 2, 4.0, 0.15, 0))],
    right=_downhill, observe=_watch_descent, returns="one number, the `x` that is reached",
    wrong={
        "`x` is still where it started. Does the step use the gradient, and does it change `x` itself?":
            ("x -=", "y = x -"),
        "The step goes uphill: the derivative shows where the function grows.": ("-=", "+="),
        "The step uses the value of the function, where it should use its derivative.": ("x.grad\n", "function(x)\n"),
        "Every step takes the derivative at the start: find it anew wherever a step has led.": (
            "x.grad = None", "pass", "function(x).back", "x.grad is None and function(x).back"),
    })  # fmt: skip
