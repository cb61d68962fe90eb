"""The checks of notebook 3: pixels and numbers, a fair comparison, whose statistics, what keeps a label."""

import torch
from torch import Tensor, nn

from digitlib.checks.comparing import same
from digitlib.checks.core import expect
from digitlib.checks.engine import change, exercise
from digitlib.data import TRAIN_MEAN, TRAIN_STD  # noqa: F401 (for changes of right answers)
from digitlib.models import MLP


def _normalised_images():
    cases = [("a batch with black and white in it", 5, 0.46, 0.23), ("a batch of one image", 1, 0.31, 0.42)]
    for case, number, mean, std in [*cases, ("a batch of greys", 3, 0.07, 0.9)]:
        pixels = torch.randint(12, 240, (number, 28, 28))
        pixels[: number // 5, 0] = torch.tensor([0, 255]).repeat(14)  # in the first of five
        yield case, ((pixels / 255 - mean).div(std)[:, None], mean, std)


def _back_to_pixels(batch, mean, std):
    images = batch.squeeze(1)
    shares = images * std + mean
    scaled = 255 * shares
    return scaled.round().byte()


to_pixels = exercise(
    "to_pixels", given=_normalised_images, right=_back_to_pixels, returns="uint8 (N, 28, 28)",
    passed="Undoing a step is the best test of whether you know what it does.", wrong={
        "The largest pixel is 255, so the scale is 255, and not 256.": [
            ("255 *", "256 *"), ("255 *", "256 *", ".round()", ".round().clamp(0, 255)")],
        "Whole numbers were made before the scale was that of pixels: nearly all are 0 or 1, or 0 or 255.": [
            ("scaled.round()", "shares"), ("scaled.round()", "shares.round()"), ("* shares", "* shares.byte()"),
            ("* shares", "* shares.round()")],
        "The two steps are undone in the wrong order: begin with the last one.": ("* std + mean", "* std + mean * std"),
        "The pixels were divided by the deviation; to divide again does not undo it.": [
            ("* std", "/ std"), ("images * std + mean", "(images - mean) / std"),
            ("images * std + mean", "(images - mean) / std", ".round()", "")],
        "Black and white have changed places: the background should be 0.": ("255 * shares", "255 - 255 * shares"),
    })  # fmt: skip


class _Training:
    """A training that only takes notes: of each network, its first weights and the order of its batches."""

    def __call__(self, model, inputs, generator):
        kinds = nn.Module, Tensor, torch.Generator
        in_order = all(map(isinstance, (model, inputs, generator), kinds))
        expect(in_order, "`train` takes a network, inputs and a generator, in this order.")
        weights = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        self.notes.append((model, weights, torch.randperm(50, generator=generator).tolist()))
        torch.rand(len(self.notes))  # trainings use up random numbers, and not always as many
        nn.utils.vector_to_parameters(torch.full_like(weights, 100.0), model.parameters())
        return [inputs.mean().item(), inputs.std().item()]


def _three_kinds():
    kinds = {f"kind {number}": torch.rand(4, 1, 28, 28) for number in range(3)}
    yield "three kinds of inputs", (kinds, _Training(), int(torch.randint(1, 10_000, ())))


def _watch_trainings(run, kinds, train, seed):
    notes = []
    for each in (seed, seed, seed + 1):
        train.notes = []
        curves = run(kinds, train, each)
        notes.append(list(zip(*train.notes)))
    if not all(notes):
        return {"the number of trainings": 0}
    (models, weights, draws), (_, again, draws_again), (_, other, other_draws) = notes
    return {
        "the number of trainings": len(models), "the result": curves,
        "the number of weights of each network": [len(each) for each in weights],
        "each kind trains a network of its own": len(set(models)) == len(models),
        "no network starts from weights that another training has changed": all(each[0] != 100 for each in weights),
        "the first weights are random": all(each.unique().numel() > 2 for each in weights),
        "all kinds start from the same weights": all(same(each, weights[0], 1e-6) for each in weights),
        "all kinds see the batches in the same order": all(each == draws[0] for each in draws),
        "the same seed gives the same weights": same(weights[0], again[0], 1e-6),
        "the same seed gives the same batches": draws == draws_again,
        "another seed gives other weights": not same(weights[0], other[0], 1e-6),
        "another seed gives other batches": draws != other_draws,
    }  # fmt: skip


def _unlike_curves(kinds, train, seed):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    curves = {}
    for name, inputs in kinds.items():
        model = MLP(hidden_sizes=(16,))
        curves[name] = train(model, inputs, generator)
    return curves


fair_curves = exercise(
    "fair_curves", given=_three_kinds, blank=_unlike_curves, observe=_watch_trainings,
    right=change(_unlike_curves, "model =", "generator.manual_seed(torch.manual_seed(seed).initial_seed()); model ="),
    returns="a dict, a curve for each kind of inputs",
    passed="A comparison is fair when one thing differs. Everything else, luck included, is the same for all.",
)  # fmt: skip


def _two_batches():
    for num_train, num_new in ((60, 25), (40, 1), (50, 50)):
        train = (torch.rand(num_train, 28, 28) ** torch.randint(2, 5, ()) * 250).to(torch.uint8)
        train[: num_train // 2] //= 2
        new = (torch.rand(num_new, 28, 28) * 60 + torch.randint(90, 140, ())).to(torch.uint8)
        new[:, :5] = 250
        yield f"{num_train} training images and {num_new} new", (train, new)
    yield "two blank new images", (train, torch.zeros(2, 28, 28, dtype=torch.uint8))


def _by_training_images(train_images, new_images):
    train, new = (each.unsqueeze(1).float() / 255 for each in (train_images, new_images))
    source, other = train, train
    train, new = (train - source.mean()) / source.std(), (new - other.mean()) / other.std()
    return train, new


_BOTH, _ALL = "= train, train\n", "torch.cat([train, new])"
_TRAIN, _NEW = "(train - source.mean()) / source.std()", "(new - other.mean()) / other.std()"
prepared = exercise(
    "prepared", given=_two_batches, right=_by_training_images, tolerance=2e-4,
    returns="two float32 batches (N, 1, 28, 28), the training images and the new ones",
    passed="Two numbers from the training part, used everywhere: also on the photo of a stranger, next year.", wrong={
        "What is new has leaked into the statistics: they belong to the training images alone.": [
            (_BOTH, f"= 2 * [{_ALL}]\n"), (_BOTH, f"= train, {_ALL}\n"), (_BOTH, "= new, new\n")],
        "The new images are scaled by numbers of their own. The weights know the training's scale.": [
            (_BOTH, "= train, new\n"), ("other.std()", "new.std()"), ("other.mean()", "new.mean()")],
        "This divides by the variance, which is the square of the deviation.": (".std()", ".var()"),
        "Pixels from 0 to 1 are not enough: the mean, the deviation or both are still missing.": [
            (" / source.std()", "", " / other.std()", ""), (" - source.mean()", "", " - other.mean()", ""),
            (_TRAIN, "train", _NEW, "new")],
        "The new images are not normalised, or by numbers that were taken after the training images had been.": (
            _NEW, "new"),
        "These are MNIST's numbers; compute those of the images that you are given.": (
            _TRAIN, "(train - TRAIN_MEAN) / TRAIN_STD", _NEW, "(new - TRAIN_MEAN) / TRAIN_STD"),
        "Each image, or each pixel, is scaled by numbers of its own; one pair should serve all.": [
            (_BOTH, both, ".mean()", f".mean({dims}, True)", ".std()", f".std({dims}, keepdim=True)")
            for both, dims in (("= train, new\n", (1, 2, 3)), (_BOTH, 0), (_BOTH, (0, 1, 2)))],
        "First subtract the mean, then divide: the order matters, and needs parentheses.": [
            (_TRAIN, "train / source.std() - source.mean()", _NEW, "new / other.std() - other.mean()"),
            (_TRAIN, "train - source.mean() / source.std()", _NEW, "new - other.mean() / other.std()")],
        "The images are brought to 0 to 1 by their extremes; asked is mean 0 and deviation 1.": (
            ".mean()", ".min()", ".std()", ".max().sub(train.min())"),
        "Either the images are divided by 255, or their statistics, but not both: divide before all else.": [
            (_BOTH, "= 255 * train, 255 * train\n"), ("(train -", "(255 * train -", "(new -", "(255 * new -")],
    })  # fmt: skip


def _squares():
    images = torch.zeros(150, 1, 28, 28)
    images[:, :, 6:22, 6:22] = 0.2 + 0.8 * torch.rand(150, 1, 16, 16)
    yield "150 images", (images, torch.Generator().manual_seed(int(torch.randint(1, 10_000, ()))))


def _shifts(found: Tensor, images: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Tell which of the found are images, lighter or darker, shifted by up to `most` pixels, and by how many."""
    shifts = torch.cartesian_prod(*2 * [torch.arange(-most, most + 1)])
    bright = images * (found.sum((1, 2, 3)) / images.sum((1, 2, 3)))[:, None, None, None]
    off = torch.stack([(found - bright.roll(by, (2, 3))).abs().amax((1, 2, 3)) for by in shifts.tolist()])
    return off.amin(0) < 1e-3, shifts[off.argmin(0)].T


def _look_at_versions(run, images, generator):
    given, copied = images.clone(), generator.clone_state()
    result = run(images, generator)
    if not isinstance(result, Tensor) or result.shape != given.shape or not result.is_floating_point():
        return {"the result": result}
    found, again, further = result.detach().clone(), run(given.clone(), copied), run(given.clone(), copied)
    known, (down, right) = _shifts(found, given, 2)
    ink, rest, before = found.sum((1, 2, 3)) / given.sum((1, 2, 3)), found[~known], given[~known]
    turns = "mirrored", "upside down", "turned by half a turn", "turned by a quarter"
    turned = before.flip(3), before.flip(2), before.flip(2, 3), before.rot90(1, (2, 3))
    counts = [int(_shifts(rest, each, 2)[0].sum()) for each in turned]
    low, high = (10 * ink.min() + 0.01).floor() / 10, (10 * ink.max() - 0.01).ceil() / 10
    linked = torch.stack([down, right, ink]).corrcoef().triu(1).abs().max() > 0.6
    return {
        "the result": torch.zeros_like(found), "something is changed": not same(found, given, 1e-5),
        **{f"the number of images that are {turn}": n * (n > 0.3 * len(rest)) for turn, n in zip(turns, counts)},
        "the number of images that are cut off at 1": int(((rest.amax((1, 2, 3)) - 1).abs() < 1e-5).sum()),
        "the number of images that are shifted by more than two pixels": int(_shifts(rest, before, 5)[0].sum()),
        "the number of images that are neither shifted nor made lighter or darker, but something else": len(rest),
        "the shifts up and down, in pixels": f"from {down.min()} to {down.max()}",
        "the shifts left and right, in pixels": f"from {right.min()} to {right.max()}",
        "the brightness, times what it was": f"about {low:.1f} to {high:.1f}",
        "each kind of change has a random number of its own": not linked,
        "the same seed gives the same versions": same(again, found, 1e-6),
        "each call draws new changes from the generator": not same(again, further, 1e-6),
    }  # fmt: skip


def _mirrors(images, generator):
    versions = []
    for image in images:
        down, right, chance, ink = torch.rand(4, generator=generator).tolist()
        image = image.roll((round(4 * down - 2), round(4 * right - 2)), dims=(1, 2))
        if chance < 0.5:
            image = image.flip(2)
        versions.append(image * (0.8 + 0.4 * ink))
    return torch.stack(versions)


random_versions = exercise(
    "random_versions", given=_squares, blank=_mirrors, observe=_look_at_versions, returns="float32 (N, 1, 28, 28)",
    right=change(_mirrors, "if chance < 0.5", "if chance < 0"),
    passed="A change keeps the label when a person would still read the same digit; no program knows that for you.",
    wrong={
        "Nothing changes any more. Most of the changes were fine; which one turns a digit into another, or into none?":
            lambda images, generator: images.clone(),
        "All images are mirrored: would a person read a mirrored 2 or 6 as the same digit?": ("chance < 0", "True"),
    })  # fmt: skip
