"""The checks of notebook 1: libraries, tensors, seeds and gradients."""

import torch

from digitlib.checks.core import NotYet, call, close, exercise, expect, expect_number, expect_tensor

_LIBRARIES = {  # the job that each of them does, and how a hint puts it
    "torch": ("gradients", "computes, and knows the derivatives of what it computed"),
    "torchvision": ("datasets", "knows datasets of images and how to read them"),
    "matplotlib": ("pictures", "draws whatever you tell it, point by point"),
    "seaborn": ("statistics", "draws statistics, with the help of a library that draws anything"),
    "pandas": ("tables", "holds rows and columns with names"),
    "digitlib": ("earlier work", "keeps what this course has built so far"),
}
_JOBS = [job for job, _ in _LIBRARIES.values()]
_OTHER_NAMES = {"pytorch", "plt", "matplotlib.pyplot", "sns", "pd"}


@exercise(passed="Each library has one job; when an error names a library, you know which job went wrong.")
def library_for(answer) -> None:
    """Take a dict from six jobs to the names of the libraries that do them."""
    expect(
        isinstance(answer, dict),
        "Expected a dict, `{job: library, …}`, with the six jobs of the task as its keys.",
    )
    expect(
        not any(key in _LIBRARIES for key in answer),
        "Your dict goes from the library to the job; the task wants the jobs as keys.",
    )
    for job in _JOBS:
        expect(job in answer, f'The job "{job}" has no library yet; the keys are spelt as in the task.')
    extra = [key for key in answer if key not in _JOBS]
    expect(
        not extra,
        f"{len(extra)} of your keys are no jobs of the task, such as {str(extra[:1])[1:-1][:40]}; there are six.",
    )
    names = {job: getattr(name, "__name__", name) for job, name in answer.items()}  # a module has a name too
    for job, name in names.items():
        expect(isinstance(name, str), f'The library for "{job}" should be a name in quotes.')
        names[job] = name = name.strip().lower()
        expect(
            name not in _OTHER_NAMES,
            f"`{name[:30]}` is another name for one of the six: write it as the task spells it.",
        )
        expect(name in _LIBRARIES, f"`{name[:30]}` is none of the six libraries of the task.")
    expect(
        (names["pictures"], names["statistics"]) != ("seaborn", "matplotlib"),
        "The two that draw have changed places: one draws anything, the other builds on it for one purpose.",
    )
    expect(
        (names["gradients"], names["datasets"]) != ("torchvision", "torch"),
        "Two names with the same beginning have changed places: one of them is made for images alone.",
    )
    for job, name in names.items():
        own_job, what = _LIBRARIES[name]
        expect(job == own_job, f'`{name}` {what}. Is that what the job "{job}" asks for?')


@exercise(
    passed="(N, 1, 1, 1) beside (N, 1, 28, 28): the axes of length 1 are stretched, the others have to agree."
)
def brightened(answer) -> None:
    """Take uint8 (N, 28, 28) and float32 (N,); return float32 (N, 1, 28, 28), to each image its number added."""
    for num_images in (28, 3, 1, int(torch.randint(4, 9, ()))):  # 28: where a missing axis raises no error
        images = torch.randint(0, 256, (num_images, 28, 28), dtype=torch.uint8)
        images[:, :2] = torch.tensor([0, 255], dtype=torch.uint8).repeat(14)
        amounts = torch.rand(num_images) * 40 + torch.arange(num_images) * 3 + 10.25
        batch = call(answer, images, amounts)
        expect_tensor(batch, what="the batch")
        _expect_image_axes(batch, num_images)
        expect(
            batch.is_floating_point(),
            f"The batch is {str(batch.dtype).removeprefix('torch.')}, which cannot hold what the sums need: 255 + 1 "
            "starts again at 0. Networks compute with floats.",
        )
        expect(
            batch.dtype == torch.float32,
            f"The batch is {str(batch.dtype).removeprefix('torch.')}; the task asks for float32.",
        )
        _recognise_sum(batch.double(), images.double()[:, None], amounts.double())


def _expect_image_axes(batch, num_images: int) -> None:
    shape = tuple(batch.shape)
    if num_images == 1:
        expect(
            shape == (1, 1, 28, 28),
            f"For a batch of one image the shape is {shape}, where (1, 1, 28, 28) is expected.",
        )
        return
    expect(
        shape != (num_images, 28, 28, 1),
        f"The batch has the shape {shape}: the new axis stands at the end, and the channels come second.",
    )
    expect(
        shape[:2] != (num_images, num_images) or len(shape) != 4,
        f"The batch has the shape {shape}: every number was added to every image. Write the two shapes below each "
        "other, from the last axis backwards.",
    )
    expect(
        len(shape) == 4,
        f"The batch has {len(shape)} axes, where a batch of images has four; each `None` in an index adds one.",
    )
    expect(
        shape not in ((1, num_images, 28, 28), (num_images, 28, 1, 28)),
        f"The batch has the shape {shape}: the new axis stands in the wrong place. The order is images, channels, "
        "rows, columns.",
    )
    expect(
        shape == (num_images, 1, 28, 28),
        f"For {num_images} images the batch has the shape {shape}, where {(num_images, 1, 28, 28)} is expected.",
    )


def _recognise_sum(batch, pixels, amounts) -> None:
    """Compare with what typical mistakes give; pixels are float64 (N, 1, 28, 28)."""
    added = amounts[:, None, None, None]
    if close(batch, pixels + added):
        return
    if len(amounts) == 28:
        expect(
            not close(batch, pixels + amounts),
            "The numbers were added along the columns: with 28 of them nothing warns you. Give `amounts` the axes that "
            "make it one number for each image.",
        )
        expect(
            not close(batch, pixels + amounts[:, None]),
            "The numbers were added along the rows: with 28 of them nothing warns. Count the axes from the last one.",
        )
    for wrong, hint in [
        (pixels, "The images are unchanged: nothing was added to them."),
        (
            (pixels + added.floor()) % 256,
            "The sums went past 255 and began again at 0: make floats before you add.",
        ),
        ((pixels + added) % 256, "The sums went past 255 and began again at 0: make floats before you add."),
        (pixels + added.floor(), "The numbers to add have lost their fractions: keep them floats."),
        (pixels + added.round(), "The numbers to add were rounded: keep them as they are."),
        (pixels + amounts.max(), "Every image got the largest of the numbers; each has one of its own."),
        (added.expand_as(pixels), "The pixels are gone, and only the numbers are left."),
        (torch.zeros_like(pixels), "All values are 0: the pixels are gone."),
        ((pixels + added).clamp(max=255), "Values above 255 were cut off; here they may stay as they are."),
        (((pixels + added) / 255), "The sums were scaled by 255; here the values should stay as they are."),
        ((pixels / 255 + added), "The pixels were scaled to 0 to 1; here they should stay as they are."),
        (pixels * added, "The numbers were multiplied with the pixels, where they should be added."),
        (pixels - added, "The numbers were subtracted, so that the images become darker."),
        (pixels + amounts[0], "Every image got the first number; each has one of its own."),
        (pixels + amounts.mean(), "Every image got the mean of the numbers; each has one of its own."),
        (pixels + amounts.sum(), "Every image got the sum of all numbers; each has one of its own."),
        (pixels + added.flip(0), "The numbers were handed out in the wrong order."),
        (
            pixels + amounts.cumsum(0)[:, None, None, None],
            "The numbers add up from image to image; each image gets its own alone.",
        ),
        (added.expand_as(pixels), "The pixels are gone: the batch holds only the numbers to add."),
        (
            (pixels + added).transpose(2, 3),
            "Rows and columns have changed places: add axes, do not swap them.",
        ),
        (pixels.transpose(2, 3) + added, "Rows and columns have changed places: add axes, do not swap them."),
    ]:
        expect(not close(batch, wrong), hint)
    largest, place = (batch - pixels - added).abs().flatten(1).max(dim=1)
    image = int(largest.argmax())
    before, after = (each[image].flatten()[place[image]] for each in (pixels, batch))
    raise NotYet(
        f"{int((largest > 0.01).sum())} of {len(amounts)} images differ from what is expected; in image {image}, for "
        f"example, a pixel {before:g} became {after:g}, where the number to add is {amounts[image]:.2f}."
    )


def _same_noise(image, num_copies, seed):
    """The program of the bug hunt, as it stands in the notebook."""
    copies = []
    for _ in range(num_copies):
        generator = torch.Generator().manual_seed(seed)
        copies.append(image + torch.rand(image.shape, generator=generator))
    return torch.stack(copies)


@exercise(
    passed="A generator goes on from where it was: seed it once, then draw as often as you need.",
    blank=_same_noise,
)
def noisy_copies(answer) -> None:
    """Take a float32 image (H, W), a number of copies and a seed; each copy has noise of its own, repeatable."""
    height, width = (int(side) for side in torch.randint(8, 20, (2,)))
    image = 20 * torch.rand(height, width)
    seed = int(torch.randint(1, 10_000, ()))
    before = torch.get_rng_state()
    copies = call(answer, image, 6, seed)
    shared = not torch.equal(before, torch.get_rng_state())
    noise = expect_tensor(copies, (6, height, width), what="the copies") - image
    expect(
        copies.dtype == torch.float32,
        f"The copies are {str(copies.dtype).removeprefix('torch.')}, and the image float32: they should be alike.",
    )
    blank_copies = [number for number in range(6) if noise[number].abs().max() < 1e-3]
    expect(
        len(blank_copies) in (0, 6),
        f"Copy {(blank_copies or [0])[0]} is the image itself; each of the copies should have noise of its own.",
    )
    expect(
        noise.abs().max() > 1e-3, "The copies are all equal to the image: there is no noise in them any more."
    )
    _expect_repeatable(answer, image, seed, copies)
    growth = torch.diff(noise, dim=0)
    expect(
        not (noise[-1].max() > 1.05 and growth.min() > -1e-3 and growth.max() < 1.001),
        "The noise adds up from copy to copy: each one should start from the image that was given.",
    )
    same = [(i, k) for i in range(6) for k in range(i) if close(noise[i], noise[k], 1e-5)]
    expect(
        len(same) < 15,
        "All copies have the same noise. Follow the generator through the loop: where is it when a copy is drawn?",
    )
    expect(not same, f"{len(same)} pairs of copies have the same noise; each should have noise of its own.")
    ordered = noise.flatten(1).sort(dim=1).values
    expect(
        any(not close(ordered[0], other, 1e-5) for other in ordered[1:])
        or close(noise.std(dim=(1, 2)), torch.zeros(6), 1e-3),
        "Every copy has the same random numbers, in other places only: each should draw numbers of its own.",
    )
    for axis, what in ((1, "rows"), (2, "columns")):
        expect(
            not close(noise.amax(dim=axis), noise.amin(dim=axis), 1e-3)
            or close(noise.std(dim=(1, 2)), torch.zeros(6)),
            f"All {what} of a copy have the same noise: each pixel needs a number of its own.",
        )
    expect(
        not close(noise.std(dim=(1, 2)), torch.zeros(6), 1e-3),
        "All pixels of a copy have the same noise: each pixel needs a number of its own.",
    )
    expect(
        -1e-4 < noise.min() and noise.max() < 1.0001 and noise.mean() > 0.4 and noise.max() > 0.9,
        "The noise should be as `torch.rand` draws it, evenly between 0 and 1, added to the image; yours goes from "
        f"{noise.min():.2f} to {noise.max():.2f}.",
    )
    expect(noise.mean() < 0.6, f"The noise has the mean {noise.mean():.2f}, where about 0.5 is expected.")
    inside = float(((noise > 0.1) & (noise < 0.9)).double().mean())
    expect(
        0.65 < inside < 0.95,
        f"Evenly spread noise has about 0.8 of its values between 0.1 and 0.9; of yours it is {inside:.2f}.",
    )
    expect(
        not shared,
        "Your program uses the random numbers that all of torch shares, and so changes what others draw after it. "
        "Use a generator of its own.",
    )
    single = call(answer, image, 1, seed)
    expect_tensor(single, (1, height, width), what="a single copy")
    zero = expect_tensor(call(answer, image, 3, 0), (3, height, width), what="the copies")
    expect(
        not any(close(zero[i], zero[k], 1e-5) for i in range(3) for k in range(i)),
        "With the seed 0 some copies have the same noise: how does the seed of each copy come about?",
    )


def _expect_repeatable(answer, image, seed, copies) -> None:
    torch.rand(3)  # an honest answer does not notice
    expect(
        close(call(answer, image, 6, seed), copies, 1e-6),
        "Two calls with the same seed give different copies: the random numbers are not repeatable any more.",
    )
    expect(
        not close(call(answer, image, 6, seed + 1_000), copies, 1e-6),
        "Two different seeds give the same copies: is `seed` still used?",
    )


@exercise(passed="Clear, backward, step: you have written the heart of every training in this course.")
def descend(answer) -> None:
    """Take a function, a start, a learning rate and a number of steps; return the x that gradient descent reaches."""
    goal = 2 + 3 * torch.rand(()).item()
    parabola = _Watched(lambda x: (x - goal) ** 2, lambda x: 2 * (x - goal))
    quartic = _Watched(lambda x: x**4 / 40 + x, lambda x: x * x * x / 10 + 1)
    waves = _Watched(lambda x: 3 * torch.sin(x), lambda x: 3 * torch.cos(torch.tensor(x)).item())
    start = goal + 2.5 + torch.rand(()).item()
    start += 1.5 * (int(start) == 5)  # apart from the lesson's own start, 5
    for function, at, rate, steps in [
        (parabola, start, 0.1, 3),
        (parabola, start, 0.07, 4),
        (parabola, start, 0.15, 0),
        (quartic, 2.6 + torch.rand(()).item() / 5, 0.11, 5),
        (waves, 0.3 + torch.rand(()).item() / 5, 0.04, 6),
        (parabola, goal - 3.5, 0.12, 7),
        (parabola, start, 1.04, 4),  # so large that each step climbs higher
    ]:
        found = _descended(answer, function, at, rate, steps)
        place = expect_number(found, what="the final `x`")
        expect(
            rate < 1 or not close(place, at, 1e-6),
            f"With the rate {rate} every step climbs, and you return the start: the task asks for the last `x`, not "
            "for the best.",
        )
        _recognise_descent(place, function, at, rate, steps)
        expect(
            not (isinstance(found, torch.Tensor) and found.requires_grad),
            "Your `x` is right, but still a tensor that autograd watches; the task asks for a number.",
        )


class _Watched:
    """A function of one tensor that remembers whether anything it was given was watched by autograd."""

    def __init__(self, function, derivative) -> None:
        self.function, self.derivative, self.calls, self.watched = function, derivative, 0, 0

    def __call__(self, x):
        self.calls += 1
        self.watched += isinstance(x, torch.Tensor) and x.requires_grad
        return self.function(x if isinstance(x, torch.Tensor) else torch.tensor(float(x)))

    def path(self, start: float, rate: float, steps: int, *, add_up=False, sign=-1, slope=None) -> float:
        """Return where descent ends; add_up: with gradients that nobody clears; slope: in the derivative's place."""
        x, total = start, 0.0
        for _ in range(steps):
            total = (slope or self.derivative)(x) + (total if add_up else 0.0)
            x += sign * rate * total
        return x


def _with_momentum(function: _Watched, start: float, rate: float, steps: int) -> float:
    x, speed = start, 0.0
    for _ in range(steps):
        speed = 0.9 * speed + function.derivative(x)
        x -= rate * speed
    return x


def _descended(answer, function: _Watched, start: float, rate: float, steps: int) -> float | torch.Tensor:
    function.calls = function.watched = 0
    try:
        found = call(answer, function, start, rate, steps)
    except NotYet as hint:
        text = str(hint)
        if "leaf Variable" in text:
            raise NotYet(
                "torch refuses: you change `x` in place while autograd watches it. The step itself should not be "
                "recorded; the lesson's last picture shows how."
            ) from None
        if "NoneType" in text or "not a leaf" in text:
            raise NotYet(
                "`x.grad` is None where you use it: either it was cleared before the step, or `x` was replaced by the "
                "result of a computation, which keeps no gradient."
            ) from None
        if "does not require grad" in text:
            raise NotYet(
                "Autograd does not watch `x` when you call `backward()`. It needs a tensor that requires a gradient, "
                "that is not replaced by another one, and a function that is called outside `no_grad`."
            ) from None
        if "floating point" in text:
            raise NotYet("Whole numbers have no gradient in torch: make a float tensor of `start`.") from None
        if "second time" in text:
            raise NotYet(
                "`backward()` walked the same record twice: call the function anew in each step, at the new `x`."
            ) from None
        raise
    expect_number(found, what="the final `x`")
    expect(
        steps == 0 or function.watched,
        "The function was never given a tensor that autograd watches. The task asks for `backward()`, not for "
        "differences or a formula.",
    )
    return found


def _recognise_descent(found: float, function: _Watched, start: float, rate: float, steps: int) -> None:
    if close(found, function.path(start, rate, steps)):
        return
    case = f"from {start:.3f}, rate {rate}, {steps} step{'s' * (steps != 1)}"
    expect(
        steps > 0,
        f"With 0 steps `x` stays where it started, at {start:.3f}; yours is {found:.3f}.",
    )
    end = function.path(start, rate, steps)
    value = function.function(torch.tensor(end)).item()
    for wrong, hint in [
        (
            start,
            "`x` is still where it started. Does the step use the gradient, and does it change `x` itself?",
        ),
        (
            function.path(start, rate, steps, sign=1),
            "`x` climbs: the derivative points uphill, and you want to go the other way.",
        ),
        (
            function.path(start, rate, steps, add_up=True),
            "After the first step you go too far: `backward()` adds to the gradients that are there already.",
        ),
        (function.path(start, rate, steps, add_up=True, sign=1), "`x` climbs, and its gradients add up."),
        (function.path(start, rate, steps - 1), "One step too few: count the passes of your loop."),
        (function.path(start, rate, steps + 1), "One step too many: count the passes of your loop."),
        (function.path(start, rate, 1), "Only one step was taken: is the return inside the loop?"),
        (
            function.path(start, 1.0, steps),
            "The learning rate is not used: the step is its product with the gradient.",
        ),
        (function.path(start, 0.1, steps), "The learning rate is always 0.1; use the one that is given."),
        (
            function.derivative(function.path(start, rate, steps - 1)),
            "This is the last gradient; return the `x` that was reached.",
        ),
        (
            function.path(int(start), rate, steps),
            "The descent begins at a whole number: keep `start` as it is.",
        ),
        (_with_momentum(function, start, rate, steps), "The steps have momentum; the task asks for none."),
        (function.path(start, rate, 20), "There are always 20 steps; take as many as are asked for."),
        (function.path(5.0, rate, steps), "You always begin at 5; begin where `start` says."),
        (
            start - rate * steps * function.derivative(start),
            "The gradient was computed once, at the start; it changes with `x`, so each step needs a new one.",
        ),
        (
            function.path(start, rate, steps, slope=lambda x: function.function(torch.tensor(x)).item()),
            "The step uses the value of the function, where it should use its derivative.",
        ),
        (
            function.path(start, 1 / rate, steps),
            "The gradient is divided by the learning rate, where it should be multiplied by it.",
        ),
        (function.derivative(start), "This is the gradient at the start; return the `x` that was reached."),
        (
            function.path(start, rate / steps, steps),
            "The step is divided by the number of steps; it should not be.",
        ),
        (
            start - rate * steps,
            "Every step has the same length: it should be the learning rate times the gradient.",
        ),
        (value, "This is the value of the function at the end; return the `x` that was reached."),
        (function.derivative(end), "This is the gradient at the end; return the `x` that was reached."),
    ]:
        expect(not close(found, wrong, 1e-5), f"{hint} ({case[0].upper()}{case[1:]}.)")
    for digits in (0, 1, 2, 3):
        expect(
            found not in (round(end, digits), int(end)),
            f"Your `x` is {found:g}, and unrounded it would be right: return it with all its digits.",
        )
    raise NotYet(
        f"{case[0].upper()}{case[1:]}: your `x` ends at {found:.4f}, which is not where descent leads. Try it by hand "
        "for one step on the parabola."
    )
