"""The checks of notebook 3: pixels and numbers, a fair comparison, whose statistics, what keeps a label."""

import itertools

import torch
from torch import Tensor, nn

from digitlib.checks.core import close, expect
from digitlib.checks.engine import change, exercise
from digitlib.data import TRAIN_MEAN, TRAIN_STD  # noqa: F401 (for changes of right answers)
from digitlib.models import MLP

# ---- to_pixels ------------------------------------------------------------------------------------------------


def _normalised_images():
    for case, num_images, mean, std in [
        ("a batch with black and white in it", 5, 0.46, 0.23),
        ("a batch of one image", 1, 0.31, 0.42),
        ("a batch of greys", 3, 0.07, 0.9),
    ]:
        pixels = torch.randint(12, 240, (num_images, 28, 28))
        if num_images == 5:
            pixels[:, 0] = torch.tensor([0, 255]).repeat(14)
        yield case, ((pixels / 255 - mean).div(std)[:, None], mean, std)


def _back_to_pixels(batch, mean, std):
    images = batch.squeeze(1)
    shares = images * std + mean
    scaled = 255 * shares
    return scaled.round().byte()


to_pixels = exercise(
    "to_pixels",
    passed="Undoing a step is the best test of whether you know what it does.",
    given=_normalised_images,
    right=_back_to_pixels,
    returns="uint8 (N, 28, 28)",
    ways=((".round()", ".round().clamp(0, 255)"), ("scaled.round()", "(scaled + 0.5).floor()")),
    wrong={
        "A float such as 252.9999 is cut off to 252. Make whole numbers another way.": [
            (".round()", ""), (".round()", ".clamp(0, 255)"), (".round()", ".clamp(0, 255).int()")],
        "The mean is not added back: the background does not come out as 0.": [
            ("* std + mean", "* std"), ("std + mean", "std", "255 * shares", "255 * shares + mean")],
        "The deviation is not undone: the pixels were divided by it.": ("images * std", "images"),
        "The mean is subtracted once more, where it was subtracted before.": ("std + mean", "std - mean"),
        "Mean and deviation have changed places.": ("std + mean", "mean + std"),
        "The largest pixel is 255, so the scale is 255, and not 256.": ("255 *", "256 *"),
        "Your values go from 0 to 1; pixels go from 0 to 255.": ("scaled.round().byte()", "shares"),
        "Whole numbers were made before the scale was that of pixels: nearly all are 0 or 1, or 0 or 255.": [
            ("scaled.round()", "shares"), ("scaled.round()", "shares.round()"), ("* shares", "* shares.byte()"),
            ("* shares", "* shares.round()")],
        "A batch of one image has lost both axes of length 1: say which one is to go.": ("squeeze(1)", "squeeze()"),
        "Use the mean and the deviation that you are given, and no others: not the batch's own, its extremes, MNIST's "
        "or 0.5.": [
            ("std + mean", "batch.std() + batch.mean()"), ("std + mean", "TRAIN_STD + TRAIN_MEAN"),
            ("std + mean", "0.5 + 0.5"), ("std + mean", "(images.max() - images.min()) + images.min()"),
            ("images * std + mean", "(images - images.min()) / (images.max() - images.min())")],
        "The two steps are undone in the wrong order: begin with the last one.": (
            "images * std + mean", "(images + mean) * std"),
        "The pixels were divided by the deviation; to divide again does not undo it.": [
            ("* std", "/ std"), ("images * std + mean", "(images - mean) / std")],
        "Black and white have changed places: the background should be 0.": ("255 * shares", "255 - 255 * shares"),
    },
)  # fmt: skip

# ---- fair_curves ------------------------------------------------------------------------------------------------


class _Training:
    """A training that only takes notes: of each network, its first weights and the order of its batches."""

    def __call__(self, model, inputs, generator):
        given = (
            isinstance(model, nn.Module),
            isinstance(inputs, Tensor),
            isinstance(generator, torch.Generator),
        )
        expect(all(given), "`train` takes a network, inputs and a generator, in this order.")
        weights = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        self.notes.append((model, weights, tuple(torch.randperm(50, generator=generator).tolist())))
        torch.rand(len(self.notes))  # trainings use up random numbers, and not always as many
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(100.0)
        return [inputs.mean().item(), inputs.std().item()]


def _three_kinds():
    kinds = {f"kind {number}": torch.rand(4, 1, 28, 28) for number in range(3)}
    yield "three kinds of inputs", (kinds, _Training(), int(torch.randint(1, 10_000, ())))


def _watch_trainings(run, kinds, train, seed):
    notes = []
    for each in (seed, seed, seed + 1):
        torch.rand(3)  # an honest answer does not notice
        train.notes = []
        curves = run(kinds, train, each)
        notes.append(list(zip(*train.notes)))
    if not all(notes):
        return {"the number of trainings": 0}
    (models, weights, draws), (_, again, draws_again), (_, other, other_draws) = notes
    return {
        "the number of trainings": len(models),
        "the result": curves,
        "the number of weights of each network": [len(each) for each in weights],
        "each kind trains a network of its own": len(set(models)) == len(models),
        "no network starts from weights that another training has changed": all(w[0] != 100 for w in weights),
        "the first weights are random": all(each.unique().numel() > 2 for each in weights),
        "all kinds start from the same weights": all(close(each, weights[0], 1e-6) for each in weights),
        "all kinds see the batches in the same order": len(set(draws)) == 1,
        "the same seed gives the same weights": close(weights[0], again[0]),
        "the same seed gives the same batches": draws == draws_again,
        "another seed gives other weights": not close(weights[0], other[0]),
        "another seed gives other batches": draws != other_draws,
    }


def _unlike_curves(kinds, train, seed):
    """The program of the bug hunt, as it stands in the notebook."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    curves = {}
    for name, inputs in kinds.items():
        model = MLP(hidden_sizes=(16,))
        curves[name] = train(model, inputs, generator)
    return curves


fair_curves = exercise(
    "fair_curves",
    passed="A comparison is fair when one thing differs. Everything else, luck included, is the same for all.",
    given=_three_kinds,
    observe=_watch_trainings,
    blank=_unlike_curves,
    right=change(_unlike_curves, "model =", "torch.manual_seed(seed); generator.manual_seed(seed)\n        model ="),
    returns="a dict, a curve for each kind of inputs",
    wrong={
        "The first weights differ from kind to kind, and so do the batches. Follow both kinds of random numbers "
        "through the loop.": ("torch.manual_seed(seed); generator.manual_seed(seed)\n        model", "model"),
        "One curve stands for all kinds: each name gets what its own training returns.": [
            ("return curves", "return dict.fromkeys(kinds, curves[name])"),
            ("inputs, generator", "kinds['kind 0'], generator")],
    },
)  # fmt: skip

# ---- prepared ---------------------------------------------------------------------------------------------------


def _two_batches():
    for num_train, num_new in ((60, 25), (40, 1), (50, 50)):
        dark, bright = int(torch.randint(2, 5, ())), int(torch.randint(90, 140, ()))
        train = (torch.rand(num_train, 28, 28) ** dark * 250).to(torch.uint8)
        train[: num_train // 2] //= 2
        new = (torch.rand(num_new, 28, 28) * 60 + bright).to(torch.uint8)
        new[:, :5] = 250
        yield f"{num_train} training images and {num_new} new", (train, new)
    yield "two blank new images", (train, torch.zeros(2, 28, 28, dtype=torch.uint8))


def _by_training_images(train_images, new_images):
    train, new = (each.unsqueeze(1).float() / 255 for each in (train_images, new_images))
    source, other = train, train
    train, new = (train - source.mean()) / source.std(), (new - other.mean()) / other.std()
    return train, new


def _along(dims, *more):
    """Return the change to a pair of numbers of its own for each image, pixel, row or column."""
    return (".mean()", f".mean({dims}, keepdim=True)", ".std()", f".std({dims}, keepdim=True)", *more)


_TRAIN, _NEW = "(train - source.mean()) / source.std()", "(new - other.mean()) / other.std()"
_MNIST = ("other.mean()", "TRAIN_MEAN", "other.std()", "TRAIN_STD")
prepared = exercise(
    "prepared",
    passed="Two numbers from the training part, used everywhere: also on the photo of a stranger, next year.",
    given=_two_batches,
    right=_by_training_images,
    returns="two float32 batches (N, 1, 28, 28), the training images and the new ones",
    tolerance=2e-4,
    wrong={
        "The statistics come from all images: what is new has leaked into them.": (
            "= train, train\n", "= 2 * [torch.cat([train, new])]\n"),
        "The new images are scaled by numbers of their own. The weights know the training's scale.": [
            ("= train, train\n", "= train, new\n"), ("other.std()", "new.std()"), ("other.mean()", "new.mean()")],
        "The new images are scaled by statistics of all images, their own among them.": (
            "= train, train\n", "= train, torch.cat([train, new])\n"),
        "The statistics come from the new images; they belong to the training images.": (
            "= train, train\n", "= new, new\n"),
        "This divides by the variance, which is the square of the deviation.": [
            (".std()", ".var()"), (".std()", ".var() / 255")],
        "The mean is subtracted; the deviation is still missing.": [
            (" / source.std()", "", " / other.std()", ""), (" / source.std()", " * 255", " / other.std()", " * 255")],
        "The deviation is divided out; the mean is still missing.": (" - source.mean()", "", " - other.mean()", ""),
        "The images are only scaled to 0 to 1; mean and deviation are still missing.": (_TRAIN, "train", _NEW, "new"),
        "The new images come out only scaled to 0 to 1: they are not normalised, or by numbers that were taken after "
        "the training images had been.": (_NEW, "new"),
        "The new images are not scaled; they should go through the same steps as the others.": (_NEW, "255 * new"),
        "These are MNIST's numbers; compute those of the images that you are given.": [
            (*_MNIST, "source.mean()", "TRAIN_MEAN", "source.std()", "TRAIN_STD"), _MNIST],
        "Each image is scaled by its own brightness; one pair of numbers should serve all.": [
            _along((1, 2, 3), "= train, train", "= train, new"),
            ("other.mean()", "new.mean((1, 2, 3), keepdim=True)", "other.std()", "new.std((1, 2, 3), keepdim=True)")],
        "Each pixel, row or column has numbers of its own; one pair should serve all pixels.": [
            _along(0), _along((0, 1)), (".mean()", ".mean(0)"), _along((0, 1, 2)), _along((0, 1, 3))],
        "First subtract the mean, then divide: the order matters.": (
            _TRAIN, "train / source.std() - source.mean()", _NEW, "new / other.std() - other.mean()"),
        "The images are brought to 0 to 1 by their extremes; asked is mean 0 and deviation 1.": (
            ".mean()", ".min()", "source.std()", "(source.max() - source.min())", "other.std()",
            "(other.max() - other.min())"),
        "Either the images are divided by 255, or their statistics, but not both: divide before all else.": [
            ("= train, train\n", "= 255 * train, 255 * train\n"), ("(new -", "(255 * new -"),
            ("(train -", "(255 * train -", "(new -", "(255 * new -")],
    },
)  # fmt: skip

# ---- random_versions --------------------------------------------------------------------------------------------

_TURNS = {
    "mirrored": lambda images: images.flip(3),
    "upside down": lambda images: images.flip(2),
    "turned by half a turn": lambda images: images.flip(2, 3),
    "turned by a quarter": lambda images: images.rot90(1, (2, 3)),
}


def _squares():
    images = torch.zeros(150, 1, 28, 28)
    images[:, :, 6:22, 6:22] = 0.2 + 0.8 * torch.rand(150, 1, 16, 16)
    yield "150 images", (images, torch.Generator().manual_seed(int(torch.randint(1, 10_000, ()))))


def _look_at_versions(run, images, generator):
    given, same = images.clone(), generator.clone_state()
    result = run(images, generator)
    if not isinstance(result, Tensor) or result.shape != given.shape or not result.is_floating_point():
        return {"the result": result}
    torch.rand(3)
    found, again, further = result.detach().clone(), run(given.clone(), same), run(given.clone(), same)
    ink = found.sum(dim=(1, 2, 3)) / given.sum(dim=(1, 2, 3))
    right, down, across = _explained(found, given, ink, 2)
    rest, before, light = found[~right], given[~right], ink[~right]
    turned = {turn: int(_explained(rest, to(before), light, 2)[0].sum()) for turn, to in _TURNS.items()}
    far, _, _ = _explained(rest, before, light, 5)
    linked = torch.stack([down.double(), across.double(), ink.double()]).corrcoef().triu(1).abs().max() > 0.6
    return {
        "the result": torch.zeros_like(found),
        "something is changed": not close(found, given, 1e-5),
        **{f"the number of images that are {turn}": n * (n > 0.3 * len(rest)) for turn, n in turned.items()},
        "the number of images that are cut off at 1": int(((rest.amax((1, 2, 3)) - 1).abs() < 1e-5).sum()),
        "the number of images that are shifted by more than two pixels": int(far.sum()),
        "the number of images that are neither shifted nor made lighter or darker, but something else": len(rest),
        "not all images are shifted alike": len(set(zip(down.tolist(), across.tolist()))) > 1,
        "the shifts up and down, in pixels": f"from {down.min()} to {down.max()}",
        "the shifts left and right, in pixels": f"from {across.min()} to {across.max()}",
        "the brightness, times what it was": f"about {ink.min():.1f} to {ink.max():.1f}",
        "each kind of change has a random number of its own": not linked,
        "the same seed gives the same versions": close(again, found, 1e-6),
        "each call draws new changes from the generator": not close(again, further),
    }  # fmt: skip


def _explained(found: Tensor, images: Tensor, ink: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tell which of the found are images times their ink, shifted by up to `most` pixels, and by how many."""
    known = torch.zeros(len(found), dtype=torch.bool)
    down, across = torch.zeros(2, len(found), dtype=torch.int64)
    brighter = images * ink[:, None, None, None]
    for rows, columns in itertools.product(range(-most, most + 1), repeat=2):
        same = (found - brighter.roll((rows, columns), (2, 3))).abs().amax(dim=(1, 2, 3)) < 1e-3
        known |= same
        down[same], across[same] = rows, columns
    return known, down, across


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


random_versions = exercise(
    "random_versions",
    passed="A change keeps the label when a person would still read the same digit; no program knows that for you.",
    given=_squares,
    observe=_look_at_versions,
    blank=_mirrors,
    right=change(_mirrors, "if mirror < 0.5", "if mirror < 0"),
    returns="float32 (N, 1, 28, 28)",
    wrong={
        "Nothing changes any more. Most of the changes were fine; which one turns a digit into another, or into none?":
            lambda images, generator: images.clone(),
        "All images are mirrored: would a person read a mirrored 2 or 6 as the same digit?": ("mirror < 0", "True"),
    },
)  # fmt: skip
