"""The checks of notebook 3: pixels and numbers, a fair comparison, whose statistics, what keeps a label."""

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from digitlib.checks.core import NotYet, call, close, describe_value, exercise, expect, expect_tensor
from digitlib.data import TRAIN_MEAN, TRAIN_STD
from digitlib.models import MLP


@exercise(passed="Undoing a step is the best test of whether you know what it does.")
def to_pixels(answer) -> None:
    """Take normalised images, float32 (N, 1, 28, 28), their mean and deviation; return uint8 (N, 28, 28)."""
    for num_images, mean, std in [
        (5, 0.46, 0.23),
        (1, 0.31, 0.42),
        (3, 0.07, 0.9),
    ]:
        pixels = torch.randint(0, 256, (num_images, 28, 28), dtype=torch.uint8)
        if num_images > 1:
            pixels[:, 0] = torch.tensor([0, 255], dtype=torch.uint8).repeat(14)
        if num_images != 5:
            pixels = pixels.clamp(12, 240)  # not every batch has black and white in it
        batch = (pixels.float() / 255 - mean).div(std)[:, None]
        found = call(answer, batch, mean, std)
        expect_tensor(found, what="the images")
        shape = tuple(found.shape)
        expect(
            shape != (num_images, 1, 28, 28),
            "The images still have the channel axis, (N, 1, 28, 28), where (N, 28, 28) is expected.",
        )
        expect(
            not (num_images == 1 and shape == (28, 28)),
            "A batch of one image has lost both axes of length 1: say which one is to go.",
        )
        expect(
            shape == (num_images, 28, 28), f"The images have the shape {shape}, not {(num_images, 28, 28)}."
        )
        _expect_pixels(found, pixels, batch[:, 0], mean, std)


def _expect_pixels(found: Tensor, pixels: Tensor, batch: Tensor, mean: float, std: float) -> None:
    right = pixels.double()
    values, batch = found.double(), batch.double()
    if found.dtype == torch.uint8 and torch.equal(found, pixels):
        return
    kind = str(found.dtype).removeprefix("torch.")
    expect(
        found.dtype != torch.int8,
        "The type int8 ends at 127, and pixels go up to 255; uint8 is expected.",
    )
    expect(
        found.dtype == torch.uint8 or not torch.allclose(values, right, rtol=0, atol=1.01),
        f"The numbers are right, and their type is {kind}, where uint8 is expected.",
    )
    expect(
        not torch.allclose(values, right / 255, rtol=0, atol=1e-3),
        "Your values go from 0 to 1; pixels go from 0 to 255.",
    )
    expect(
        not torch.equal(values, (right / 255).round()) and not torch.equal(values, (right / 255).floor()),
        "Nearly all of your pixels are 0 or 1: whole numbers were made before the scale was that of pixels.",
    )
    short = right - values
    expect(
        not (short.min() >= 0 and short.max() == 1),
        f"{int(short.sum())} pixels are 1 too small: a float such as 252.9999 is cut off to 252. Make whole numbers "
        "another way.",
    )
    expect(
        not torch.equal(values, 255 * (right / 255).floor())
        and not torch.equal(values, 255 * (right / 255).round()),
        "Your pixels are 0 or 255 alone: whole numbers were made before the multiplication, not after it.",
    )
    low, high = batch.min(), batch.max()
    for wrong, hint in [
        (
            255 * (batch - low) / (high - low),
            "Stretching from the darkest to the brightest is right by luck only, where both "
            "black and white occur. Use the two numbers that you are given.",
        ),
        (
            (batch + 1) * 127.5,
            "This undoes a normalising to -1 to 1, with 0.5 and 0.5; use the mean and deviation given.",
        ),
        (
            (batch * batch.std() + batch.mean()) * 255,
            "These are statistics of the normalised batch; use the two given.",
        ),
        (batch * 255, "Neither the deviation nor the mean is undone; only the scale is."),
        (batch * std * 255, "The mean is not added back: the background does not come out as 0."),
        ((batch + mean) * 255, "The deviation is not undone: the pixels were divided by it."),
        ((batch * std - mean) * 255, "The mean is subtracted once more, where it was subtracted before."),
        ((batch + mean) * std * 255, "The two steps are undone in the wrong order: begin with the last one."),
        (
            (batch / std + mean) * 255,
            "The pixels were divided by the deviation; to divide again does not undo it.",
        ),
        ((batch - mean) / std * 255, "The images are normalised once more, instead of back."),
        (
            (batch * TRAIN_STD + TRAIN_MEAN) * 255,
            "Use the mean and the deviation that you are given, not MNIST's.",
        ),
        (
            (batch * std**2 + mean) * 255,
            "The deviation was squared, as a variance would be; multiply by it once.",
        ),
        ((batch * std + mean) * 256, "The largest pixel is 255, so the scale is 255, and not 256."),
        ((batch * mean + std) * 255, "Mean and deviation have changed places."),
        (
            255 * batch * std + mean,
            "The mean is one of pixels scaled to 0 to 1: add it before you multiply by 255.",
        ),
        (255 - right, "Black and white have changed places: the background should be 0."),
        (right.transpose(1, 2), "Rows and columns have changed places."),
    ]:
        expect(not _like_pixels(values, wrong), hint)
    expect(
        not set((-short).remainder(256).unique().tolist()) <= {0, 1},  # 256 is 0 in uint8
        f"{int((short != 0).sum())} pixels are 1 too large; make of each float the whole number that is nearest.",
    )
    worst = short.abs().argmax()
    raise NotYet(
        f"{int((short != 0).sum())} of {short.numel()} pixels differ; one that was {right.flatten()[worst]:g} came out "
        f"as {values.flatten()[worst]:g}."
    )


def _like_pixels(found: Tensor, wrong: Tensor) -> bool:
    """Tell whether found are these numbers, rounded or cut: as they are, kept in 0 to 255, or begun again at 0."""
    again = (found - wrong + 128).remainder(256) - 128  # what uint8 does beyond 255
    return any(
        -1.001 < apart.min() and apart.max() < 0.501
        for apart in (found - wrong, found - wrong.clamp(0, 255), again)
    )


def _unlike_curves(kinds, train, seed):
    """The program of the bug hunt, as it stands in the notebook."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    curves = {}
    for name, inputs in kinds.items():
        model = MLP(hidden_sizes=(16,))
        curves[name] = train(model, inputs, generator)
    return curves


@exercise(
    passed="A comparison is fair when one thing differs. Everything else, luck included, is the same for all.",
    blank=_unlike_curves,
)
def fair_curves(answer) -> None:
    """Take a dict of inputs, a function that trains, and a seed; train each on the same first weights and batches."""
    kinds = {f"kind {number}": torch.rand(4, 1, 28, 28) for number in range(3)}
    seed = int(torch.randint(1, 10_000, ()))
    torch.rand(1)
    trainings = _trainings(answer, kinds, seed)
    weights = [each["weights"] for each in trainings]
    expect(
        not any(each.unique().numel() == 1 and each[0] < 50 for each in weights),
        "All weights of a network begin with the same number. Leave them random, as the program drew them.",
    )
    expect(
        len({each["model"] for each in trainings}) == 3,
        "All kinds train one and the same network: the second goes on where the first one ended.",
    )
    expect(
        not any(bool((each > 50).all()) for each in weights),
        "A network starts from weights that another training has changed already.",
    )
    same_weights = all(close(each, weights[0], 1e-6) for each in weights)
    same_batches = len({each["draws"] for each in trainings}) == 1
    expect(
        same_weights or same_batches,
        "The first weights differ from kind to kind, and so do the batches. Follow both kinds of random numbers "
        "through the loop.",
    )
    expect(
        same_weights,
        "The batches are the same for all kinds now, but each network starts from other weights than the one before.",
    )
    expect(
        same_batches,
        "The first weights are the same for all kinds now, but each kind gets its batches in another order.",
    )
    torch.rand(7)  # an honest answer does not notice
    again, other = _trainings(answer, kinds, seed), _trainings(answer, kinds, seed + 1)
    expect(
        close(again[0]["weights"], weights[0], 1e-6) and again[0]["draws"] == trainings[0]["draws"],
        "Two calls with the same seed differ: nobody could repeat your comparison.",
    )
    expect(
        not close(other[0]["weights"], weights[0], 1e-6),
        "Another seed gives the same first weights: use `seed`.",
    )
    expect(other[0]["draws"] != trainings[0]["draws"], "Another seed gives the same batches: use `seed`.")


def _trainings(answer, kinds: dict[str, Tensor], seed: int) -> list[dict]:
    """Call the answer with a training that only takes notes; return the notes, one for each kind."""
    notes = []

    def train(model, inputs, generator):
        expect(
            isinstance(model, nn.Module),
            f"`train` takes a network first, and was given {describe_value(model)}.",
        )
        expect(
            isinstance(inputs, Tensor) and isinstance(generator, torch.Generator),
            "`train` takes a network, inputs and a generator, in this order.",
        )
        weights = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        expect(
            len(weights) == sum(each.numel() for each in MLP(hidden_sizes=(16,)).parameters()),
            "The network has another size than in the program that you were given; leave it as it was.",
        )
        draws = tuple(torch.randperm(50, generator=generator).tolist())
        notes.append(
            {"model": id(model), "kept": model, "inputs": inputs, "weights": weights, "draws": draws}
        )
        torch.rand(len(notes))  # trainings use up random numbers, and not always as many
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(100.0)
        notes[-1]["losses"] = [2.3 / len(notes), 1.1 / len(notes)]
        return notes[-1]["losses"]

    curves = call(answer, dict(kinds), train, seed)
    expect(
        isinstance(curves, dict),
        f"Expected a dict, a curve for each kind of inputs, got {describe_value(curves)}.",
    )
    expect(
        set(curves) == set(kinds),
        f"There are {len(kinds)} kinds of inputs, and your dict has {len(curves)} curves; it needs the same names.",
    )
    by_name = []
    for name, inputs in kinds.items():
        own = [note for note in notes if torch.equal(note["inputs"], inputs)]
        expect(own, "One kind of inputs was never trained on: each network should get its own kind.")
        note = next((note for note in own if note["losses"] == curves[name]), None)
        expect(
            note is not None,
            "A curve belongs to another kind of inputs, or is not what `train` has returned.",
        )
        by_name.append(note)
    return by_name


@exercise(
    passed="Two numbers from the training part, used everywhere: also on the photo of a stranger, next year."
)
def prepared(answer) -> None:
    """Take uint8 training images and new images; return both normalised by the training images' statistics."""
    for num_train, num_new in ((60, 25), (40, 1), (50, 50)):
        dark, bright = int(torch.randint(2, 5, ())), int(torch.randint(90, 140, ()))
        train = (torch.rand(num_train, 28, 28) ** dark * 250).to(torch.uint8)
        train[: num_train // 2] //= 2
        new = (torch.rand(num_new, 28, 28) * 60 + bright).to(torch.uint8)
        new[:, :5] = 250
        found = call(answer, train, new)
        expect(
            not (isinstance(found, tuple | list) and any(isinstance(part, np.ndarray) for part in found)),
            "You return NumPy arrays. Stay in torch: leave out `.numpy()`.",
        )
        expect(
            isinstance(found, tuple | list)
            and len(found) == 2
            and all(isinstance(part, Tensor) for part in found),
            f"Expected two tensors, the training images and the new ones, got {describe_value(found)}.",
        )
        found = [
            expect_tensor(part, what=f"the {what} batch")
            for part, what in zip(found, ("training", "new"), strict=True)
        ]
        expect(
            num_train == num_new or (len(found[0]), len(found[1])) != (num_new, num_train),
            "The two have changed places: the training images come first.",
        )
        for part, number, what in zip(found, (num_train, num_new), ("training", "new"), strict=True):
            expect(
                tuple(part.shape) != (number, 28, 28),
                "The channel axis is missing: a batch is (N, 1, 28, 28), and yours is (N, 28, 28).",
            )
            expect_tensor(part, (number, 1, 28, 28), what=f"the {what} batch")
            expect(
                part.dtype == torch.float32,
                f"The {what} batch is {str(part.dtype).removeprefix('torch.')}, where float32 is expected.",
            )
        _expect_prepared(found, train.double()[:, None] / 255, new.double()[:, None] / 255)
    blank = call(answer, train, torch.zeros(2, 28, 28, dtype=torch.uint8))
    expect_tensor(blank[1], (2, 1, 28, 28), what="a batch of two blank images")


def _expect_prepared(found: list[Tensor], train: Tensor, new: Tensor) -> None:
    def by(images: Tensor, source: Tensor, dims: tuple = (0, 1, 2, 3)) -> Tensor:
        return (images - source.mean(dim=dims, keepdim=True)) / source.std(dim=dims, keepdim=True)

    first, second = (part.double() for part in found)
    everything = torch.cat([train, new])
    each = (1, 2, 3)
    if close(first, by(train, train), 2e-4):
        for wrong, hint in [
            (
                by(new, new),
                "The new images are scaled by numbers of their own. The weights know the training's scale.",
            ),
            (
                by(new, everything),
                "The new images are scaled by statistics of all images, their own among them.",
            ),
            (
                by(new, new, each),
                "Each new image is scaled by its own brightness; a blank one would divide by zero.",
            ),
            (
                new,
                "The new images come out only scaled to 0 to 1: they are not normalised, or by numbers that were taken "
                "after the training images had been.",
            ),
            (
                255 * new,
                "The new images are not scaled; they should go through the same steps as the others.",
            ),
            ((new - train.mean()) / new.std(), "The deviation comes from the new images."),
            ((new - new.mean()) / train.std(), "The mean comes from the new images."),
            (
                (new - TRAIN_MEAN) / TRAIN_STD,
                "The new images are scaled by MNIST's numbers, not those of `train_images`.",
            ),
            (
                (255 * new - train.mean()) / train.std(),
                "The training images were divided by 255 before their statistics were taken, the new ones were not.",
            ),
        ]:
            expect(not close(second, wrong, 2e-4), hint)
        expect(
            close(second, by(new, train), 2e-4),
            f"The training images are right. The new ones have the mean {second.mean():.3f}, where the training's "
            f"statistics lead to {by(new, train).mean():.3f}.",
        )
        return
    for wrong, hint in [
        (by(train, everything), "The statistics come from all images: what is new has leaked into them."),
        (by(train, new), "The statistics come from the new images; they belong to the training images."),
        (
            by(train, train, each),
            "Each image is scaled by its own brightness; one pair of numbers should serve all.",
        ),
        (
            (train - train.mean(dim=0, keepdim=True)) / train.std(),
            "Each pixel has a mean of its own; one pair of numbers should serve all pixels.",
        ),
        (
            by(train, train, (0, 1)),
            "Each pixel has a mean and a deviation of its own; one pair of numbers should serve all pixels.",
        ),
        (
            by(train, train, (0, 1, 2)),
            "Each column has numbers of its own; one pair should serve all pixels.",
        ),
        (by(train, train, (0, 1, 3)), "Each row has numbers of its own; one pair should serve all pixels."),
        (
            (train - TRAIN_MEAN) / TRAIN_STD,
            "These are MNIST's numbers; compute those of the images that you are given.",
        ),
        (by(new, train), "The two have changed places: the training images come first."),
        (train, "The images are only scaled to 0 to 1; mean and deviation are still missing."),
        (255 * train, "The images have the right shape, and their values are as they were."),
        (train - train.mean(), "The mean is subtracted; the deviation is still missing."),
        (255 * (train - train.mean()), "The mean is subtracted; the deviation is still missing."),
        (train / train.std(), "The deviation is divided out; the mean is still missing."),
        (
            (train - train.mean()) / train.var(),
            "This divides by the variance, which is the square of the deviation.",
        ),
        (
            (train - train.mean()) / (255 * train.var()),
            "This divides by the variance, the square of the deviation.",
        ),
        (
            (train - train.mean()) * train.std(),
            "This multiplies by the deviation; a small one should spread the values.",
        ),
        (train / train.std() - train.mean(), "First subtract the mean, then divide: the order matters."),
        ((train + train.mean()) / train.std(), "The mean is added, where it should be subtracted."),
        (
            (train - train.min()) / (train.max() - train.min()),
            "The images are brought to 0 to 1 by their extremes; asked is mean 0 and deviation 1.",
        ),
        (
            (train / 255 - train.mean()) / train.std(),
            "The images are divided by 255 twice, or the statistics not at all.",
        ),
        (
            (255 * train - train.mean()) / train.std(),
            "The statistics are of scaled images, and the images are not scaled.",
        ),
        (
            (train - 255 * train.mean()) / (255 * train.std()),
            "The images are scaled, and the statistics are not.",
        ),
    ]:
        expect(not close(first, wrong, 2e-4), hint)
    if close(first.amin(), first.amax()):
        raise NotYet("All pixels of your training batch are alike: something was divided or rounded away.")
    raise NotYet(
        f"Your training batch has the mean {first.mean():.3f} and the deviation {first.std():.3f}; asked are 0 and 1, "
        "by one pair of numbers."
    )


def _mirrors(images, generator):
    """The program of the bug hunt, as it stands in the notebook."""
    versions = []
    for image in images:
        down, right, mirror, ink = torch.rand(4, generator=generator).tolist()
        image = image.roll((round(4 * down - 2), round(4 * right - 2)), dims=(1, 2))
        if mirror < 0.5:
            image = image.flip(2)
        versions.append(image * (0.8 + 0.4 * ink))
    return torch.stack(versions)


_TURNS = {
    "mirrored": lambda images: images.flip(3),
    "upside down": lambda images: images.flip(2),
    "turned by half a turn": lambda images: images.flip(2, 3),
    "turned by a quarter": lambda images: images.rot90(1, (2, 3)),
    "turned by a quarter ": lambda images: images.rot90(-1, (2, 3)),
    "mirrored at the diagonal": lambda images: images.transpose(2, 3),
}


@exercise(
    passed="A change keeps the label when a person would still read the same digit; no program knows that for you.",
    blank=_mirrors,
)
def random_versions(answer) -> None:
    """Take images scaled to 0 to 1, float32 (N, 1, 28, 28); return changed ones that still show the same digits."""
    images = torch.zeros(250, 1, 28, 28)
    images[:, :, 6:22, 6:22] = 0.2 + 0.8 * torch.rand(250, 1, 16, 16)
    seed = int(torch.randint(1, 10_000, ()))
    found = call(answer, images, torch.Generator().manual_seed(seed))
    found = expect_tensor(found, tuple(images.shape), what="the result")
    expect(found.is_floating_point(), "The versions should be floats, as the images are.")
    ink = found.sum(dim=(1, 2, 3)) / images.sum(dim=(1, 2, 3))
    expect(
        not (
            ink.max() - ink.min() < 1e-4 and _explained(found, images, ink, 0)[0].all() and close(ink[0], 1)
        ),
        "Nothing changes any more. Most of the changes were fine; which one turns a digit into another, or into none?",
    )
    right, down, across = _explained(found, images, ink, 2)
    if not right.all():
        rest, given = found[~right], images[~right]
        for turn, turned in _TURNS.items():
            known, _, _ = _explained(rest, turned(given), ink[~right], 2)
            expect(
                known.float().mean() < 0.3,
                f"{int(known.sum())} of {len(images)} images are {turn.strip()}: would a person read a 2 or a 6 that "
                f"is {turn.strip()} as the same digit?",
            )
        expect(
            not (rest.amax(dim=(1, 2, 3)) - 1).abs().max() < 1e-5,
            f"{len(rest)} of {len(images)} images are cut off at 1; no change of the program did that. Leave them as "
            "they were.",
        )
        far, _, _ = _explained(rest, given, ink[~right], 5)
        expect(not far.any(), f"{int(far.sum())} images are shifted by more than two pixels.")
        raise NotYet(
            f"{len(rest)} of {len(images)} images are neither shifted by up to two pixels nor made lighter or darker, "
            "but something else. Leave the harmless changes as they were."
        )
    shifts = set(zip(down.tolist(), across.tolist(), strict=True))
    expect(
        len(shifts) > 1 or ink.max() - ink.min() > 1e-3,
        "All images are changed in one and the same way; each should draw changes of its own.",
    )
    expect(
        len(shifts) > 1 or shifts == {(0, 0)},
        "All images are shifted alike; each should have a shift of its own.",
    )
    expect(
        down.abs().max() > 0 and across.abs().max() > 0,
        "The images are no longer shifted both ways. Small shifts keep the digit: leave them in.",
    )
    for moved, what in ((down, "up and down"), (across, "left and right")):
        expect(
            (moved.min(), moved.max()) == (-2, 2),
            f"The shifts {what} go from {moved.min()} to {moved.max()} pixels; they went from -2 to 2.",
        )
    expect(
        not close(ink.max(), ink.min(), 1e-3),
        "The brightness no longer varies from image to image; leave that in.",
    )
    expect(
        0.799 < ink.min() < 0.85 and 1.15 < ink.max() < 1.201,
        f"The brightness goes from {ink.min():.2f} to {ink.max():.2f} times; it went from 0.8 to 1.2.",
    )
    for (one, first), (other, second) in itertools.combinations(
        {"up and down": down, "left and right": across, "brightness": ink}.items(), 2
    ):
        expect(
            torch.stack([first.double(), second.double()]).corrcoef()[0, 1].abs() < 0.6,
            f"The changes {one} and {other} come from the same random number; each had a number of its own.",
        )
    torch.rand(3)
    expect(
        close(call(answer, images, torch.Generator().manual_seed(seed)), found, 1e-6),
        "Two generators with the same seed give different versions: draw with the one that you are given.",
    )
    generator = torch.Generator().manual_seed(seed + 1)
    first, second = call(answer, images, generator), call(answer, images, generator)
    expect(
        not close(first, found) and not close(first, second),
        "Each call should draw new changes from the generator.",
    )


def _explained(found: Tensor, images: Tensor, ink: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tell which of the found are images times their ink, shifted by up to `most` pixels, and by how many."""
    known = torch.zeros(len(found), dtype=torch.bool)
    down, across = torch.zeros(2, len(found), dtype=torch.int64)
    brighter = images * ink[:, None, None, None]
    for rows in range(-most, most + 1):
        for columns in range(-most, most + 1):
            same = (found - brighter.roll((rows, columns), (2, 3))).abs().amax(dim=(1, 2, 3)) < 1e-3
            known |= same
            down[same], across[same] = rows, columns
    return known, down, across
