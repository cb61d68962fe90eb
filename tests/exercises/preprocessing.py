"""Answers to the exercises of notebook 3, beside those that its declarations hold."""

import copy

import torch
import torch.nn.functional as F

from digitlib.checks.engine import change
from digitlib.models import MLP
from tests.exercises import Answers


def by_numpy(batch, mean, std):
    pixels = (batch.numpy()[:, 0].astype("float64") * std + mean) * 255
    return torch.from_numpy(pixels.round().astype("uint8"))


def copies(kinds, train, seed):
    torch.manual_seed(seed)
    model, curves = MLP(hidden_sizes=(16,)), {}
    for name, inputs in kinds.items():
        curves[name] = train(copy.deepcopy(model), inputs, torch.Generator().manual_seed(seed))
    return curves


def stored_weights(kinds, train, seed):
    torch.manual_seed(seed)
    weights, curves = copy.deepcopy(MLP(hidden_sizes=(16,)).state_dict()), {}
    for name in reversed(kinds):
        model = MLP(hidden_sizes=(16,))
        model.load_state_dict(weights)
        curves[name] = train(model, kinds[name], torch.Generator().manual_seed(seed))
    return curves


def as_bytes(train_images, new_images):
    mean, std = train_images.double().mean(), train_images.double().std()
    return [((images.unsqueeze(1) - mean) / std).float() for images in (train_images, new_images)]


def versions(images, generator):
    found = []
    for image in images:
        down, right, turn, bright = torch.rand(4, generator=generator).tolist()
        image = image.roll((round(4 * down - 2), round(4 * right - 2)), dims=(1, 2))
        found.append((0.8 + 0.4 * bright) * image)
    return torch.stack(found)


def all_at_once(images, generator):
    down, right = torch.randint(-2, 3, (2, len(images)), generator=generator).tolist()
    moved = torch.stack([image.roll((d, r), (1, 2)) for image, d, r in zip(images, down, right, strict=True)])
    return moved * (0.8 + 0.4 * torch.rand(len(images), 1, 1, 1, generator=generator))


def with_padding(images, generator):
    found = []
    for image in images:
        down, right = torch.randint(0, 5, (2,), generator=generator).tolist()
        wide = F.pad(image, (2, 2, 2, 2))[:, down : down + 28, right : right + 28]
        found.append(wide * (0.8 + 0.4 * torch.rand((), generator=generator)))
    return torch.stack(found)


TURNS = {
    "mirrored": "(image.flip(2) if turn < 0.2 else image)", "upside down": "(image.flip(1) if turn < 0.5 else image)",
    "not just shifted": "(image + 0.1 * torch.rand(image.shape))",
}  # fmt: skip
ANSWERS = {
    "to_pixels": Answers(
        right={"in NumPy": by_numpy}, wrong={
            "floats": (lambda *given: by_numpy(*given).float(), "is float32"),
            "int8": (lambda *given: by_numpy(*given).to(torch.int8), "is int8"),
            "rounded up": (change(by_numpy, "pixels.round()", "(-(-pixels // 1)).clip(0, 255)"), "1 too large"),
            "the channel axis kept": (lambda *given: by_numpy(*given)[:, None], "an axis of length 1"),
            "both axes gone": (lambda *given: by_numpy(*given).squeeze(), "or too many. That is for a batch of one"),
            "transposed": (lambda *given: by_numpy(*given).mT, "Rows and columns"),
            "two faults: no mean, and 256": (
                lambda batch, mean, std: (batch * std * 256).round().clamp(0, 255).byte()[:, 0],
                "never reads its argument `mean`"),
        }),
    "fair_curves": Answers(
        right={"copies": copies, "weights loaded": stored_weights}, wrong={
            "copies of a trained network": (
                change(copies, "curves[", "model = copy.deepcopy(model)\n        curves[", "train(copy.deepcopy(model)",
                       "train(model"), "all kinds start from the same weights"),
            "batches by seed 0": (
                change(copies, "Generator().manual_seed(seed)", "Generator().manual_seed(0)"),
                "another seed gives other batches"),
            "never seeded": (change(copies, "torch.manual_seed(seed)\n", "pass\n"), "seed gives the same weights"),
            "all weights alike": (
                change(copies, "    for", "    for each in model.parameters(): each.data.fill_(0.1)\n    for"),
                "another seed gives other weights"),
            "a larger network": (change(copies, "(16,)", "(64,)"), "the number of weights of each network"),
            "a list": (lambda *given: list(copies(*given).values()), "should be a dict"),
            "inputs first": (change(copies, "copy.deepcopy(model), inputs", "inputs, model"),
                             "has no attribute 'parameters'"),
        }),
    "prepared": Answers(
        right={"never divided by 255": as_bytes}, wrong={
            "swapped": (lambda *given: as_bytes(*given)[::-1], "changed places"),
            "no channel axis": (lambda *given: [part[:, 0] for part in as_bytes(*given)], "an axis of length 1"),
            "NumPy arrays": (lambda *given: [part.numpy() for part in as_bytes(*given)], "NumPy array"),
            "double": (lambda *given: [part.double() for part in as_bytes(*given)], "is float64"),
            "one batch": (lambda *given: torch.cat(as_bytes(*given)), "should be two float32 batches"),
            "in place": (
                change(as_bytes, "    mean", "    train_images //= 255\n    mean"),
                "changes its argument `train_images`: work on a new one. `+=`"),
            "two faults: all images, no deviation": (
                change(as_bytes, "train_images.double().mean()", "torch.cat([train_images, new_images]).float().mean()",
                       "train_images.double().std()", "255"), "has leaked"),
        }),
    "random_versions": Answers(
        right={"all at once": all_at_once, "cut out of a wider picture": with_padding, "in a loop": versions},
        wrong={kind: (change(versions, "* image", f"* {turn}"), kind) for kind, turn in TURNS.items()} | {
            "turned by half a turn": (
                change(versions, "* image", "* (image.flip(1, 2) if turn < 0.5 else image)"), "not just shifted"),
            "one number for both shifts": (change(versions, "4 * right", "4 * down"), "a random number of its own"),
            "all shifted alike": (change(versions, "4 * down", "4 * 0.7"), "from -2 to 2, but it is from 1 to 1"),
            "shifted too far": (change(versions, "4 * ", "8 * ", "- 2", "- 4"), "not just shifted by up to two pixels"),
            "shifted too little": (change(versions, "4 * ", "2 * ", "- 2", "- 1"), "but it is from -1 to 1"),
            "too dark": (change(versions, "0.8", "0.5"), "should be about 0.8 to 1.2"),
            "a seed of its own": (
                lambda images, generator: versions(images, torch.Generator().manual_seed(0)),
                "each call draws new changes"),
            "shared random numbers": (lambda images, generator: all_at_once(images, None), "the same seed gives"),
        }),
}  # fmt: skip
