"""The checks of notebook 1: libraries, tensors, seeds and gradients."""

import itertools

import torch
from torch import Tensor

from digitlib.checks.calling import Raised
from digitlib.checks.comparing import same
from digitlib.checks.engine import change, exercise

_LIBRARIES = {  # the job that each of them does, and how a hint puts it
    "torch": ("gradients", "computes, and knows the derivatives of what it computed"),
    "torchvision": ("datasets", "knows datasets of images and how to read them"),
    "matplotlib": ("pictures", "draws whatever you tell it, point by point"),
    "seaborn": ("statistics", "draws statistics, with the help of a library that draws anything"),
    "pandas": ("tables", "holds rows and columns with names"),
    "digitlib": ("earlier work", "keeps what this course has built so far"),
}


def _libraries():
    return {job: name for name, (job, _) in _LIBRARIES.items()}


def _read_names(run):
    answer = run()
    if not isinstance(answer, dict) or answer.keys() != _libraries().keys():
        return {"the result": answer}
    names = {job: str(getattr(name, "__name__", name)).strip() for job, name in answer.items()}
    for job, name in names.items():
        unknown = "", "is none of the six names, as the task spells them"
        own_job, what = _LIBRARIES.get(name.lower(), unknown)
        if job != own_job:
            raise Raised(f'`{name[:30]}` {what}. Is that what the job "{job}" asks for?', f"{job} {name}")
    return {"the result": _libraries()}


library_for = exercise(
    "library_for",
    passed="Each library has one job; when an error names a library, you know which job went wrong.",
    given=lambda: [("the six jobs", ())], right=_libraries, observe=_read_names, value=True,
    returns="a dict, `{job: library, …}`, with the six jobs of the task as its keys",
)  # fmt: skip


def _brighter(images, amounts):
    pixels = images.unsqueeze(1).float()
    added = amounts.view(-1, 1, 1, 1)
    return pixels + added


_SUM, _AXES = "pixels + added", "-1, 1, 1, 1"
brightened = exercise(
    "brightened",
    passed="(N, 1, 1, 1) beside (N, 1, 28, 28): the axes of length 1 are stretched, the others have to agree.",
    given=lambda: [(case, (torch.randint(256, (n, 28, 28)).byte(), 40 * torch.rand(n) + torch.arange(n) + 10))
                   for case, n in (("28 images", 28), ("3 images", 3), ("a batch of one image", 1))],
    right=_brighter, returns="float32 (N, 1, 28, 28)",
    wrong={
        "The numbers were added along the columns or the rows: with 28 of them nothing warns you. Give `amounts` the "
        "axes that make it one number for each image.": [(".view(-1, 1, 1, 1)", ""), (_AXES, "-1, 1")],
        "Every number was added to every image. Write the two shapes below each other.": (_AXES, "-1, 1, 1"),
        "The sums went past 255 and began again at 0: make floats before you add.": [
            (_SUM, f"({_SUM}.floor()) % 256"), (_SUM, f"({_SUM}) % 256"), (_SUM, f"({_SUM}).byte()")],
        "Something was scaled by 255; here pixels and numbers stay as they are.": [
            ("float()", "float() / 255"), (_SUM, f"({_SUM}) / 255"), ("= amounts", "= 255 * amounts")],
        "Each image has a number of its own in `amounts`; all of yours got the same.": [
            ("+ added", f"+ amounts{one}") for one in ("[0]", ".mean()", ".max()", ".sum()")],
    })  # fmt: skip


def _look_at_noise(run, image, num_copies, seed):
    before = torch.get_rng_state()
    result = run(image, num_copies, seed)
    untouched = torch.equal(before, torch.get_rng_state())
    again, other = (run(image, num_copies, each) for each in (seed, seed + 1_000))
    if not isinstance(result, Tensor) or result.shape != (num_copies, *image.shape):
        return {"the result": result}
    noise = result.detach() - image
    spread = min(noise.std(1).min(), noise.std(2).min()).item()  # over the rows, over the columns
    alike = [same(*pair, 1e-4) for pair in itertools.combinations(noise.flatten(1).sort(1).values, 2)]
    found = f"from {noise.min() + 1e-3:.1f} to {noise.max():.1f}, with the mean {noise.mean():.1f} and the deviation"
    return {
        "each pixel of each copy has noise of its own": spread > 1e-3,
        "two calls with the same seed give the same copies": same(again, result, 1e-4),
        "two different seeds give different copies": not same(other, result, 1e-4),
        "the number of pairs of copies with the same random numbers": sum(alike),
        "the noise": f"{found} {noise.std():.1f}",
        "torch's shared random numbers stay untouched": untouched,
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
        ("6 copies", 6, int(torch.randint(1, 9999, ()))), ("a single copy", 1, 7), ("3 copies and the seed 0", 3, 0))],
    right=change(_same_noise, "    " + _SEEDED, "", "    for", _SEEDED + "    for"), blank=_same_noise,
    observe=_look_at_noise, returns="float32 (num_copies, H, W)",
    wrong={"The noise adds up from copy to copy: each one should start from the image that was given.":
           ("image + torch", "(copies or [image])[-1] + torch")},
)  # fmt: skip


def _slopes():
    goal, more = (2 + 3 * torch.rand(2)).tolist()
    yield "a parabola", (lambda x: (x - goal) ** 2, goal + more, 0.07, 4)
    yield "waves", (lambda x: 3 * torch.sin(x), 0.3 + more / 25, 0.04, 6)
    yield "a rate so large that a step may climb", (lambda x: x**4 / 40 + x, 1.9 + more / 50, 1.6, 4)
    yield "0 steps", (lambda x: (x - goal) ** 2, goal + more, 0.15, 0)


def _watch_descent(run, function, *others):
    watched = []

    def noting(x):
        watched.append(isinstance(x, Tensor) and x.requires_grad)
        return function(torch.as_tensor(x))

    result = run(noting, *others)
    return {
        "the function is given a tensor that autograd watches": any(watched) or others[-1] == 0,
        "the result": result,
        "the number is free of autograd's record": not getattr(result, "requires_grad", False),
    }


def _downhill(function, start, learning_rate, num_steps):
    x = torch.tensor(start, requires_grad=True)
    for _ in range(num_steps):
        x.grad = None
        value = function(x)
        value.backward()
        with torch.no_grad():
            x -= learning_rate * x.grad
    return x.item()


_OFF = "with torch.no_grad()"
descend = exercise(
    "descend",
    passed="Clear, backward, step: you have written the heart of every training in this course.",
    given=_slopes, right=_downhill, observe=_watch_descent, returns="one number, the `x` that is reached",
    wrong={
        "`x` is still where it started. Does the step use the gradient, and does it change `x` itself?": [
            ("x -=", "y = x -"), (_OFF, f"x.grad.zero_()\n        {_OFF}")],
        "The step uses the value of the function, where it should use its derivative.": ("x.grad\n", "value\n"),
        "This is the value of the function; return the `x` that was reached.": ("x.item()", "function(x).item()"),
        "`x.grad` is None where you use it: there was no `backward()` yet, the gradient was cleared, or `x` was "
        "replaced by the result of a computation, which keeps no gradient.": [
            ("= None", ".zero_()"), (_OFF, f"x.grad = None\n        {_OFF}"), (_OFF, "if 1", "-=", "= x -")],
    })  # fmt: skip
