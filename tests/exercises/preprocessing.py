"""Answers to the exercises of notebook 3."""

import copy

import torch
import torch.nn.functional as F

from digitlib.data import TRAIN_MEAN, TRAIN_STD
from digitlib.models import MLP
from tests.exercises import Answers


def pixels_with(compute, finish=torch.round):
    """Return an answer that computes the pixels in a way of its own, before they become whole numbers."""

    def answer(batch, mean, std):
        return finish(compute(batch, mean, std)).clamp(0, 255).to(torch.uint8).squeeze(1)

    return answer


def right_pixels(batch, mean, std):
    return 255 * (batch * std + mean)


def fair(*, first=True, order=True, model=None):
    """Return an answer that seeds the first weights, the order of the batches, both or none within the loop."""

    def answer(kinds, train, seed):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        curves = {}
        for name, inputs in kinds.items():
            if first:
                torch.manual_seed(seed)
            if order:
                generator.manual_seed(seed)
            curves[name] = train(model or MLP(hidden_sizes=(16,)), inputs, generator)
        return curves

    return answer


def copies_of_one_model(kinds, train, seed):
    torch.manual_seed(seed)
    model = MLP(hidden_sizes=(16,))
    return {
        name: train(copy.deepcopy(model), inputs, torch.Generator().manual_seed(seed))
        for name, inputs in kinds.items()
    }


def stored_weights(kinds, train, seed):
    torch.manual_seed(seed)
    weights = copy.deepcopy(MLP(hidden_sizes=(16,)).state_dict())
    curves = {}
    for name, inputs in kinds.items():
        model = MLP(hidden_sizes=(16,))
        model.load_state_dict(weights)
        curves[name] = train(model, inputs, torch.Generator().manual_seed(seed))
    return curves


def one_model(kinds, train, seed):
    torch.manual_seed(seed)
    model = MLP(hidden_sizes=(16,))
    return {name: train(model, inputs, torch.Generator().manual_seed(seed)) for name, inputs in kinds.items()}


def copies_of_a_trained_model(kinds, train, seed):
    torch.manual_seed(seed)
    model, curves = MLP(hidden_sizes=(16,)), {}
    for name, inputs in kinds.items():
        model = copy.deepcopy(model)
        curves[name] = train(model, inputs, torch.Generator().manual_seed(seed))
    return curves


def always_seed_zero(kinds, train, seed):
    return fair()(kinds, train, 0)


def never_seeded(kinds, train, seed):
    model = MLP(hidden_sizes=(16,))
    order = int(torch.randint(1000, ()))
    return {
        name: train(copy.deepcopy(model), inputs, torch.Generator().manual_seed(order))
        for name, inputs in kinds.items()
    }


def order_by_zero(kinds, train, seed):
    curves = {}
    for name, inputs in kinds.items():
        torch.manual_seed(seed)
        curves[name] = train(MLP(hidden_sizes=(16,)), inputs, torch.Generator().manual_seed(0))
    return curves


def larger_network(kinds, train, seed):
    curves = {}
    for name, inputs in kinds.items():
        torch.manual_seed(seed)
        curves[name] = train(MLP(hidden_sizes=(64,)), inputs, torch.Generator().manual_seed(seed))
    return curves


def one_kind_for_all(kinds, train, seed):
    first = next(iter(kinds.values()))
    return fair()(dict.fromkeys(kinds, first), train, seed)


def last_curve_for_all(kinds, train, seed):
    curves = fair()(kinds, train, seed)
    return dict.fromkeys(kinds, curves[list(kinds)[-1]])


def prepared_by(statistics_of, finish=lambda images, mean, std: (images - mean) / std):
    """Return an answer whose statistics for training and new images come from what statistics_of returns."""

    def answer(train_images, new_images):
        train, new = train_images[:, None].float() / 255, new_images[:, None].float() / 255
        sources = statistics_of(train, new)
        return tuple(
            finish(images, source.mean(), source.std())
            for images, source in zip((train, new), sources, strict=True)
        )

    return answer


def prepared_as_bytes(train_images, new_images):
    mean, std = train_images.double().mean(), train_images.double().std()
    return [((images.unsqueeze(1) - mean) / std).float() for images in (train_images, new_images)]


def prepared_each_alone(train_images, new_images):
    def each(images):
        images = images[:, None].float() / 255
        return (images - images.mean((1, 2, 3), keepdim=True)) / images.std((1, 2, 3), keepdim=True)

    return each(train_images), each(new_images)


def by_the_variance(images, mean, std):
    return (images - mean) / std**2


def versions(*, turn=None, shift=True, ink=True, one_shift=False, same=False, most=2, own=False):
    """Return an answer without the bug, but for what the arguments change."""

    def answer(images, generator):
        if own:
            generator = torch.Generator().manual_seed(0)
        found = []
        for image in images:
            down, right, _, bright = torch.rand(4, generator=generator).tolist()
            down, right = (0.3, 0.9) if one_shift else (down, right)
            right = down if same else right
            if shift:
                image = image.roll(
                    (round(2 * most * down - most), round(2 * most * right - most)), dims=(1, 2)
                )
            if turn is not None:
                image = turn(image, bright)
            found.append(image * (0.8 + 0.4 * bright if ink else 1.0))
        return torch.stack(found)

    return answer


def brightest_cut(image, bright):
    """Return the image so that it is at most 1 once it is made as bright as this number says."""
    return image.clamp(max=1 / (0.8 + 0.4 * bright))


def all_at_once(images, generator):
    down, right = torch.randint(-2, 3, (2, len(images)), generator=generator).tolist()
    moved = torch.stack([image.roll((d, r), (1, 2)) for image, d, r in zip(images, down, right, strict=True)])
    return moved * (0.8 + 0.4 * torch.rand(len(images), 1, 1, 1, generator=generator))


def with_padding(images, generator):
    found = []
    for image in images:
        down, right = torch.randint(0, 5, (2,), generator=generator).tolist()
        wide = F.pad(image, (2, 2, 2, 2))
        bright = 0.8 + 0.4 * torch.rand((), generator=generator)
        found.append(bright * wide[:, down : down + 28, right : right + 28])
    return torch.stack(found)


def shared_random_numbers(images, generator):
    return all_at_once(images, None)


ANSWERS = {
    "to_pixels": Answers(
        right={
            "rounded by adding a half": lambda batch, mean, std: (
                (batch[:, 0] * std + mean) * 255 + 0.5
            ).byte(),
            "squeezed": pixels_with(right_pixels),
        },
        wrong={
            "cut off": (pixels_with(right_pixels, finish=torch.floor), "is cut off"),
            "floats": (lambda batch, mean, std: right_pixels(batch, mean, std)[:, 0].round(), "is float32"),
            "rounded up": (pixels_with(right_pixels, finish=torch.ceil), "1 too large"),
            "a half added and rounded": (
                pixels_with(lambda batch, mean, std: 255 * (batch * std + mean) + 0.5),
                "1 too large; make",
            ),
            "only the scale": (pixels_with(lambda batch, mean, std: 255 * batch), "Neither the deviation"),
            "int8": (
                lambda batch, mean, std: right_pixels(batch, mean, std)[:, 0].round().to(torch.int8),
                "int8 ends at 127",
            ),
            "stretched": (
                pixels_with(
                    lambda batch, mean, std: 255 * (batch - batch.min()) / (batch.max() - batch.min())
                ),
                "Stretching from the darkest",
            ),
            "from -1 to 1": (
                pixels_with(lambda batch, mean, std: (batch + 1) * 127.5),
                "normalising to -1 to 1",
            ),
            "multiplied too late": (
                lambda batch, mean, std: (batch * std + mean)[:, 0].byte() * 255,
                "0 or 255 alone",
            ),
            "from 0 to 1": (lambda batch, mean, std: (batch * std + mean)[:, 0], "from 0 to 1"),
            "whole numbers too early": (
                pixels_with(lambda batch, mean, std: batch * std + mean),
                "0 or 1: whole",
            ),
            "no mean": (pixels_with(lambda batch, mean, std: 255 * batch * std), "mean is not added"),
            "no deviation": (
                pixels_with(lambda batch, mean, std: 255 * (batch + mean)),
                "deviation is not undone",
            ),
            "the wrong order": (
                pixels_with(lambda batch, mean, std: 255 * (batch + mean) * std),
                "the wrong order",
            ),
            "divided": (
                pixels_with(lambda batch, mean, std: 255 * (batch / std + mean)),
                "to divide again",
            ),
            "normalised again": (
                pixels_with(lambda batch, mean, std: 255 * (batch - mean) / std),
                "normalised once more",
            ),
            "subtracted": (
                pixels_with(lambda batch, mean, std: 255 * (batch * std - mean)),
                "subtracted once more",
            ),
            "always MNIST's": (
                pixels_with(lambda batch, mean, std: right_pixels(batch, TRAIN_MEAN, TRAIN_STD)),
                "not MNIST's",
            ),
            "256": (pixels_with(lambda batch, mean, std: 256 * (batch * std + mean)), "not 256"),
            "swapped": (
                pixels_with(lambda batch, mean, std: right_pixels(batch, std, mean)),
                "changed places",
            ),
            "the channel axis kept": (
                lambda batch, mean, std: right_pixels(batch, mean, std).round().byte(),
                "still have the channel axis",
            ),
            "all axes squeezed": (
                lambda batch, mean, std: right_pixels(batch, mean, std).round().byte().squeeze(),
                "has lost both axes",
            ),
            "transposed": (
                lambda batch, mean, std: right_pixels(batch, mean, std).round().byte()[:, 0].mT,
                "Rows and columns",
            ),
        },
    ),
    "fair_curves": Answers(
        right={
            "seeded in the loop": fair(),
            "copies of one network": copies_of_one_model,
            "weights kept and loaded": stored_weights,
        },
        wrong={
            "the bug in other words": (fair(first=False, order=False), "and so do the batches"),
            "only the weights": (fair(order=False), "batches in another order"),
            "only the batches": (fair(first=False), "starts from other weights"),
            "one network": (one_model, "one and the same network"),
            "copies of a trained network": (copies_of_a_trained_model, "another training has changed"),
            "always seed 0": (always_seed_zero, "same first weights"),
            "batches by seed 0": (order_by_zero, "the same batches: use"),
            "never seeded": (never_seeded, "nobody could repeat"),
            "a larger network": (larger_network, "another size"),
            "one kind for all": (one_kind_for_all, "never trained on"),
            "one curve for all": (last_curve_for_all, "another kind of inputs"),
            "a list": (
                lambda kinds, train, seed: list(fair()(kinds, train, seed).values()),
                "Expected a dict",
            ),
            "inputs first": (
                lambda kinds, train, seed: {
                    name: train(inputs, MLP(hidden_sizes=(16,)), torch.Generator())
                    for name, inputs in kinds.items()
                },
                "takes a network first",
            ),
        },
    ),
    "prepared": Answers(
        right={
            "scaled first": prepared_by(lambda train, new: (train, train)),
            "never divided by 255": prepared_as_bytes,
        },
        wrong={
            "all images": (prepared_by(lambda train, new: 2 * (torch.cat([train, new]),)), "has leaked"),
            "each by its own": (prepared_by(lambda train, new: (train, new)), "by numbers of their own"),
            "new by all": (
                prepared_by(lambda train, new: (train, torch.cat([train, new]))),
                "statistics of all images",
            ),
            "by the new": (prepared_by(lambda train, new: (new, new)), "come from the new images"),
            "each image alone": (prepared_each_alone, "by its own brightness; one pair"),
            "MNIST's numbers": (
                lambda train, new: tuple(
                    (images[:, None] / 255 - TRAIN_MEAN) / TRAIN_STD for images in (train, new)
                ),
                "MNIST's numbers; compute",
            ),
            "only scaled": (
                lambda train, new: (train[:, None] / 255, new[:, None] / 255),
                "only scaled to 0 to 1",
            ),
            "only the mean": (
                prepared_by(
                    lambda train, new: (train, train), finish=lambda images, mean, std: images - mean
                ),
                "deviation is still missing",
            ),
            "the variance": (
                prepared_by(lambda train, new: (train, train), finish=by_the_variance),
                "variance, which is",
            ),
            "new not normalised": (
                lambda train, new: (prepared_as_bytes(train, new)[0], new[:, None] / 255),
                "come out only scaled",
            ),
            "swapped": (
                lambda train, new: tuple(reversed(prepared_as_bytes(train, new))),
                "changed places",
            ),
            "no channel axis": (
                lambda train, new: tuple(part[:, 0] for part in prepared_as_bytes(train, new)),
                "channel axis is missing",
            ),
            "one pixel, one mean": (
                lambda train, new: tuple(
                    (images[:, None] / 255 - (train[:, None] / 255).mean(0)) / (train / 255).std()
                    for images in (train, new)
                ),
                "one pair of numbers should serve all pixels",
            ),
            "each pixel by its own": (
                lambda train, new: tuple(
                    ((images - train.float().mean(dim=0)) / train.float().std(dim=0))[:, None]
                    for images in (train, new)
                ),
                "a mean and a deviation of its own",
            ),
            "NumPy arrays": (
                lambda train, new: tuple(part.numpy() for part in prepared_as_bytes(train, new)),
                "NumPy arrays",
            ),
            "double": (
                lambda train, new: [part.double() for part in prepared_as_bytes(train, new)],
                "is float64",
            ),
            "one batch": (
                lambda train, new: torch.cat(prepared_as_bytes(train, new)),
                "Expected two tensors",
            ),
        },
    ),
    "random_versions": Answers(
        right={
            "all at once": all_at_once,
            "cut out of a wider picture": with_padding,
            "in a loop": versions(),
        },
        wrong={
            "mirrors a few": (
                versions(turn=lambda image, bright: image.flip(2) if bright < 0.2 else image),
                "images are mirrored",
            ),
            "mirrors all": (
                versions(turn=lambda image, bright: image.flip(2)),
                "250 of 250 images are mirrored",
            ),
            "upside down instead": (
                versions(turn=lambda image, bright: image.flip(1) if bright < 0.5 else image),
                "are upside down",
            ),
            "half a turn instead": (
                versions(turn=lambda image, bright: image.flip(1, 2) if bright < 0.5 else image),
                "half a turn",
            ),
            "a quarter of a turn": (
                versions(turn=lambda image, bright: image.rot90(1, (1, 2)) if bright < 0.5 else image),
                "turned by a quarter",
            ),
            "nothing changes": (lambda images, generator: images.clone(), "Nothing changes any more"),
            "no shift": (versions(shift=False), "no longer shifted"),
            "one shift for all": (versions(one_shift=True), "shifted alike"),
            "one number for both shifts": (versions(same=True), "from the same random number"),
            "cut off at 1": (
                versions(turn=lambda image, bright: brightest_cut(image, bright)),
                "cut off at 1",
            ),
            "shifted too far": (versions(most=4), "by more than two pixels"),
            "shifted too little": (versions(most=1), "they went from -2 to 2"),
            "no brightness": (versions(ink=False), "no longer varies"),
            "a seed of its own": (versions(own=True), "Each call should draw new changes"),
            "shared random numbers": (shared_random_numbers, "give different versions"),
            "noise instead": (
                versions(turn=lambda image, bright: image + 0.1 * torch.rand(image.shape)),
                "neither shifted",
            ),
        },
    ),
}
