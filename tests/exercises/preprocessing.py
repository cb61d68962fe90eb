"""Answers to the exercises of notebook 3, beside those that its declarations hold."""

import copy

import torch
import torch.nn.functional as F

from digitlib.models import MLP
from tests.exercises import Answers


def right_pixels(batch, mean, std):
    return 255 * (batch * std + mean)


def by_numpy(batch, mean, std):
    pixels = (batch.numpy()[:, 0].astype("float64") * std + mean) * 255
    return torch.from_numpy(pixels.round().astype("uint8"))


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
    for name in reversed(kinds):
        model = MLP(hidden_sizes=(16,))
        model.load_state_dict(weights)
        curves[name] = train(model, kinds[name], torch.Generator().manual_seed(seed))
    return curves


def fair(kinds, train, seed, order_seed=None, sizes=(16,)):
    curves = {}
    for name, inputs in kinds.items():
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed if order_seed is None else order_seed)
        curves[name] = train(MLP(hidden_sizes=sizes), inputs, generator)
    return curves


def copies_of_a_trained_model(kinds, train, seed):
    torch.manual_seed(seed)
    model, curves = MLP(hidden_sizes=(16,)), {}
    for name, inputs in kinds.items():
        model = copy.deepcopy(model)
        curves[name] = train(model, inputs, torch.Generator().manual_seed(seed))
    return curves


def never_seeded(kinds, train, seed):
    model, order = MLP(hidden_sizes=(16,)), int(torch.randint(1000, ()))
    return {
        name: train(copy.deepcopy(model), inputs, torch.Generator().manual_seed(order))
        for name, inputs in kinds.items()
    }


def all_alike(kinds, train, seed):
    curves = {}
    for name, inputs in kinds.items():
        model = MLP(hidden_sizes=(16,))
        torch.nn.utils.vector_to_parameters(torch.full((12730,), 0.1), model.parameters())
        curves[name] = train(model, inputs, torch.Generator().manual_seed(seed))
    return curves


def prepared_as_bytes(train_images, new_images):
    mean, std = train_images.double().mean(), train_images.double().std()
    return [((images.unsqueeze(1) - mean) / std).float() for images in (train_images, new_images)]


def prepared_in_place(train_images, new_images):
    train_images //= 255
    return prepared_as_bytes(train_images, new_images)


def leak_and_no_deviation(train_images, new_images):
    mean = torch.cat([train_images, new_images]).double().mean() / 255
    return tuple((images[:, None] / 255 - mean).float() for images in (train_images, new_images))


def versions(*, turn=lambda image, bright: image, most=2, low=0.8, same=False):
    """Return an answer without the bug, but for what the arguments change."""

    def answer(images, generator):
        found = []
        for image in images:
            down, right, _, bright = torch.rand(4, generator=generator).tolist()
            right = down if same else right
            image = image.roll((round(2 * most * down - most), round(2 * most * right - most)), dims=(1, 2))
            found.append(turn(image, bright) * (low + 0.4 * bright))
        return torch.stack(found)

    return answer


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


TURNS = {
    "mirrored": lambda image, bright: image.flip(2) if bright < 0.2 else image,
    "upside down": lambda image, bright: image.flip(1) if bright < 0.5 else image,
    "turned by half a turn": lambda image, bright: image.flip(1, 2) if bright < 0.5 else image,
    "turned by a quarter": lambda image, bright: image.rot90(1, (1, 2)) if bright < 0.5 else image,
    "cut off at 1": lambda image, bright: image.clamp(max=1 / (0.8 + 0.4 * bright)),
    "something else": lambda image, bright: image + 0.1 * torch.rand(image.shape),
}

ANSWERS = {
    "to_pixels": Answers(
        right={"in NumPy": by_numpy},
        wrong={
            "floats": (lambda *given: right_pixels(*given)[:, 0].round(), "is float32"),
            "int8": (lambda *given: right_pixels(*given)[:, 0].round().to(torch.int8), "is int8"),
            "rounded up": (
                lambda *given: right_pixels(*given)[:, 0].ceil().clamp(0, 255).byte(),
                "1 too large",
            ),
            "the channel axis kept": (
                lambda *given: right_pixels(*given).round().byte(),
                "an axis of length 1",
            ),
            "transposed": (lambda *given: right_pixels(*given).round().byte()[:, 0].mT, "Rows and columns"),
            "two faults: no mean, and 256": (
                lambda batch, mean, std: (batch * std * 256).round().clamp(0, 255).byte()[:, 0],
                "The mean is not added back",
            ),
        },
    ),
    "fair_curves": Answers(
        right={"seeded": fair, "copies": copies_of_one_model, "weights loaded": stored_weights},
        wrong={
            "copies of a trained network": (copies_of_a_trained_model, "another training has changed"),
            "batches by seed 0": (
                lambda *given: fair(*given, order_seed=0),
                "another seed gives other batches",
            ),
            "never seeded": (never_seeded, "the same seed gives the same weights"),
            "all weights alike": (all_alike, "the first weights are random"),
            "a larger network": (
                lambda *given: fair(*given, sizes=(64,)),
                "the number of weights of each network",
            ),
            "a list": (lambda *given: list(fair(*given).values()), "should be a dict"),
            "inputs first": (
                lambda kinds, train, seed: {
                    name: train(kinds[name], MLP(), torch.Generator()) for name in kinds
                },
                "takes a network, inputs",
            ),
        },
    ),
    "prepared": Answers(
        right={"never divided by 255": prepared_as_bytes},
        wrong={
            "swapped": (lambda *given: prepared_as_bytes(*given)[::-1], "changed places"),
            "no channel axis": (
                lambda *given: [part[:, 0] for part in prepared_as_bytes(*given)],
                "an axis of length 1",
            ),
            "NumPy arrays": (
                lambda *given: [part.numpy() for part in prepared_as_bytes(*given)],
                "NumPy array",
            ),
            "double": (lambda *given: [part.double() for part in prepared_as_bytes(*given)], "is float64"),
            "one batch": (
                lambda *given: torch.cat(prepared_as_bytes(*given)),
                "should be two float32 batches",
            ),
            "in place": (prepared_in_place, "changes its argument `train_images`: work on a new one. `+=`"),
            "two faults": (leak_and_no_deviation, "has leaked"),
        },
    ),
    "random_versions": Answers(
        right={
            "all at once": all_at_once,
            "cut out of a wider picture": with_padding,
            "in a loop": versions(),
        },
        wrong={kind: (versions(turn=turn), kind) for kind, turn in TURNS.items()}
        | {
            "one number for both shifts": (versions(same=True), "a random number of its own"),
            "shifted too far": (versions(most=4), "by more than two pixels"),
            "shifted too little": (versions(most=1), "should be from -2 to 2, but it is from -1 to 1"),
            "too dark": (versions(low=0.5), "should be about 0.8 to 1.2"),
            "a seed of its own": (
                lambda images, generator: versions()(images, torch.Generator().manual_seed(0)),
                "each call draws new changes",
            ),
            "shared random numbers": (
                lambda images, generator: all_at_once(images, None),
                "the same seed gives",
            ),
        },
    ),
}
