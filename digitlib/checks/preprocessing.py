"""The checks of notebook 3: pixels and numbers, a fair comparison, whose statistics, what keeps a label."""

from functools import partial

import torch
from torch import Tensor, nn

from digitlib.checks.comparing import same
from digitlib.checks.engine import change, exercise
from digitlib.models import MLP


def _normalised_images():
    for case, number, mean, std in (("five images", 5, 0.46, 0.23), ("a batch of one image", 1, 0.31, 0.42)):
        pixels = torch.randint(12, 240, (number, 28, 28))
        yield case, ((pixels / 255 - mean).div(std)[:, None], mean, std)


def _back_to_pixels(batch, mean, std):
    images = batch.squeeze(1)
    shares = images * std + mean
    scaled = 255 * shares
    return scaled.round().byte()


to_pixels = exercise(
    "to_pixels", given=_normalised_images, right=_back_to_pixels, returns="uint8 (N, 28, 28)",
    passed="Undoing a step is the best test of whether you know what it does.", wrong={
        "The largest pixel is 255, so the scale is 255, and not 256.": ("255 *", "256 *"),
        "Whole numbers were made before the scale was that of pixels: nearly all are 0 or 1, or 0 or 255.": [
            ("scaled.round()", "shares"), ("* shares", "* shares.byte()"), ("* shares", "* shares.round()")],
        "The two steps are undone in the wrong order: begin with the last one.": ("* std + mean", "* std + mean * std"),
    })  # fmt: skip


def _take_notes(notes, model, inputs, generator):
    """Train nothing: note the network, its first weights and what orders its batches; then change all of them."""
    weights = nn.utils.parameters_to_vector(model.parameters())
    notes.append((model, weights.tolist(), generator.get_state().tolist()))
    torch.randperm(50, generator=generator)
    for each in model.parameters():  # in place, as an optimizer does
        each.data.fill_(100.0)
    return [inputs.mean().item(), inputs.std().item()]


def _three_kinds():
    kinds = {f"kind {number}": torch.rand(4, 1, 28, 28) for number in range(3)}
    yield "three kinds of inputs", (kinds, _take_notes, int(torch.randint(1, 10_000, ())))


def _watch_trainings(run, kinds, train, seed):
    notes = [], [], []
    curves = [run(kinds, partial(train, taken), each) for taken, each in zip(notes, (seed, seed, seed + 1))]
    if not all(notes):
        return {"the number of trainings": 0}
    (models, weights, orders), again, (_, others, other_orders) = (tuple(zip(*taken)) for taken in notes)
    return {
        "the number of trainings": len(models), "the result": curves[0],
        "the number of weights of each network": [len(each) for each in weights],
        "all kinds start from the same weights": all(each == weights[0] for each in weights),
        "all kinds see the batches in the same order": all(each == orders[0] for each in orders),
        "the same seed gives the same weights and batches": (weights, orders) == again[1:],
        "another seed gives other weights": weights[0] != others[0],
        "another seed gives other batches": orders[0] != other_orders[0],
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
        train = torch.randint(250, (num_train, 28, 28)) // torch.randint(1, 4, (num_train, 1, 1))
        new = torch.randint(90, 240, (num_new, 28, 28))
        yield f"{num_train} training images and {num_new} new", (train.byte(), new.byte())


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
            (" / source.std()", "", " / other.std()", ""), (" - source.mean()", "", " - other.mean()", "")],
        "The new images are not normalised, or by numbers that were taken after the training images had been.": (
            _NEW, "new"),
        "These are MNIST's numbers; compute those of the images that you are given.": (
            _TRAIN, "(train - 0.1307) / 0.3081", _NEW, "(new - 0.1307) / 0.3081"),
        "Each image, or each pixel, is scaled by numbers of its own; one pair should serve all.": [
            (_BOTH, both, ".mean()", f".mean({dims}, True)", ".std()", f".std({dims}, keepdim=True)")
            for both, dims in (("= train, new\n", (1, 2, 3)), (_BOTH, 0))],
    })  # fmt: skip


def _squares():
    images = torch.zeros(150, 1, 28, 28)
    images[:, :, 6:22, 6:22] = 0.2 + 0.8 * torch.rand(150, 1, 16, 16)
    yield "150 images", (images, torch.Generator().manual_seed(int(torch.randint(1, 10_000, ()))))


def _shifts(found: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Tell which of the found are images, lighter or darker, shifted by up to two pixels, and by how many."""
    shifts = torch.cartesian_prod(*2 * [torch.arange(-2, 3)])
    bright = images * (found.sum((1, 2, 3)) / images.sum((1, 2, 3)))[:, None, None, None]
    off = torch.stack([(found - bright.roll(by, (2, 3))).abs().amax((1, 2, 3)) for by in shifts.tolist()])
    return off.amin(0) < 1e-3, shifts[off.argmin(0)].T


def _look_at_versions(run, images, generator):
    given, copied = images.clone(), generator.clone_state()
    result = run(images, generator)
    if not isinstance(result, Tensor) or result.shape != given.shape or not result.is_floating_point():
        return {"the result": result}
    found, again, further = result.detach().clone(), run(given.clone(), copied), run(given.clone(), copied)
    known, (down, right) = _shifts(found, given)
    ink, rest, before = found.sum((1, 2, 3)) / given.sum((1, 2, 3)), found[~known], given[~known]
    mirrored, upside_down = (int(_shifts(rest, before.flip(axis))[0].sum()) for axis in (3, 2))
    low, high = (10 * ink.min() + 0.01).floor() / 10, (10 * ink.max() - 0.01).ceil() / 10
    linked = torch.stack([down, right, ink]).corrcoef().triu(1).abs().max() > 0.6
    return {
        "the result": torch.zeros_like(found), "something is changed": not same(found, given, 1e-5),
        "the number of images that are mirrored": mirrored, "the number that are upside down": upside_down,
        "the number of images that are not just shifted by up to two pixels, lighter or darker": len(rest),
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
)  # fmt: skip
