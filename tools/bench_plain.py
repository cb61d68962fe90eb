"""The benchmark's section "plain": ours against the plain way of many tutorials, and a ladder of short trainings.

The plain way: torchvision's transforms image by image, a DataLoader, the optimizer as torch's documentation writes it.
Both share split, network, first weights, settings and the loop over the batches, and take turns in one process.
"""

import statistics
import time
from collections import deque
from functools import partial

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import MNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from digitlib.data import TRAIN_MEAN, TRAIN_STD, batches, fetch, part_indices
from digitlib.evaluation import evaluate
from digitlib.recipes import Recipe, build_model, build_optimizer, change, epoch_batches, find, train
from digitlib.training import EpochRecord, train_one_epoch
from tools import timing
from tools.timing import interleaved, medians, ratio, time_loop

TARGETS = (0.9723, 0.9773, 0.99, 0.995)  # the first two are what the earlier CNN and dense network read

# The networks with the usual settings: batches of 100, a constant learning rate, Adam's default one; and so many epochs
# each, enough for the plain CNN and the plain dense network to read their share of TARGETS right.
USUAL = {"batch_size": 100, "schedule": "constant", "learning_rate": 1e-3}
OF_RNN = {"optimizer": "sgd", "learning_rate": 0.05, "clip_norm": 1.0}
EARLIER = {
    "cnn": Recipe("cnn", "the earlier CNN", "cnn", **USUAL, num_epochs=4),
    "mlp": Recipe("mlp", "the dense network", "mlp", **USUAL, num_epochs=8),
    "rnn": Recipe("rnn", "the recurrent network", "rnn", **USUAL | OF_RNN, num_epochs=4),
}
# Ours to an accuracy: short trainings, each with a one-cycle of its own, on a share of the images. On less than all,
# quick takes batches of 64, since as many steps as that matter more than how long each takes.
LADDER = [
    *({"recipe": "cnn", "share": share, "num_epochs": 1} for share in (0.25, 0.5, 0.75, 1)),
    *({"recipe": "quick", "share": share, "batch_size": 64} for share in (0.125, 0.1875, 0.25, 0.5)),
    {"recipe": "quick", "share": 1},
    *({"recipe": "best", "share": 1, "num_epochs": number} for number in (1, 4)),
]


# --- the plain way, an epoch of it and of ours


def loader(
    part: str, batch_size: int, few: dict[str, int], *, shuffle: bool = False, seed: int = 0
) -> DataLoader:
    """Return torchvision's DataLoader of a part: each image opened, normalised and stacked on its own.

    Where `few` says how many, it serves only that many of the part's first images, in order.
    """
    dataset = MNIST(fetch(), transform=Compose([ToTensor(), Normalize((TRAIN_MEAN,), (TRAIN_STD,))]))
    places = part_indices(part).tolist()
    if few:
        return DataLoader(Subset(dataset, places[: few[part]]), batch_size)
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(Subset(dataset, places), batch_size, shuffle=shuffle, generator=generator)


def plain_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimizer as torch's documentation writes it, whatever `build_optimizer` adds to it."""
    kind = torch.optim.SGD if recipe.optimizer == "sgd" else torch.optim.Adam
    return kind(model.parameters(), lr=recipe.learning_rate)


def plain_epoch(
    model: nn.Module, optimizer, recipe: Recipe, loaders: dict[str, DataLoader]
) -> tuple[EpochRecord, float]:
    """Train for an epoch and validate as most tutorials do; return the epoch's record and validation accuracy."""
    record = train_one_epoch(model, loaders["train"], optimizer, clip_norm=recipe.clip_norm)
    model.eval()
    num_correct = num_images = 0
    with torch.no_grad():
        for images, labels in loaders["validation"]:
            num_correct += (model(images).argmax(dim=1) == labels).sum().item()
            num_images += len(labels)
    return record, num_correct / num_images


def our_epoch(
    model: nn.Module, optimizer, recipe: Recipe, data: dict, generator
) -> tuple[EpochRecord, float]:
    """Train for an epoch and validate as `digitlib.recipes.train` does; return what `plain_epoch` returns."""
    epoch = epoch_batches(recipe, *data["train"], generator)
    record = train_one_epoch(model, epoch, optimizer, clip_norm=recipe.clip_norm)
    return record, evaluate(model, *data["validation"]).accuracy


def side_by_side(recipe: Recipe, data: dict, few: dict[str, int]) -> tuple[dict[str, list], list[float]]:
    """Train one network each way from the same first weights, an epoch of each in turn.

    Args:
        data, few: the parts as tensors; and how many images that is, {} for all.
    Returns:
        {"plain": ..., "ours": ...}: a pair for each epoch, its seconds (validation included) and the validation
        accuracy after it; and what `time_loop` took between the epochs.
    """
    plain, ours = first_networks(recipe)
    loaders = {
        "train": loader("train", recipe.batch_size, few, shuffle=True, seed=recipe.seed),
        "validation": loader("validation", recipe.batch_size, few),
    }
    generator = torch.Generator().manual_seed(recipe.seed)
    ways = {
        "plain": partial(plain_epoch, plain, plain_optimizer(recipe, plain), recipe, loaders),
        "ours": partial(our_epoch, ours, build_optimizer(recipe, ours), recipe, data, generator),
    }
    found, loop = {way: [] for way in ways}, []
    for _ in range(recipe.num_epochs):
        for way, train_epoch in ways.items():
            loop += time_loop()
            start = time.perf_counter()
            _, accuracy = train_epoch()
            found[way].append([time.perf_counter() - start, accuracy])
    return found, loop


def first_networks(recipe: Recipe) -> tuple[nn.Module, nn.Module]:
    """Return the recipe's network twice, with the same weights: as it comes, and laid out as `train` trains it."""
    networks = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(recipe.seed)
        networks.append(build_model(recipe).to(memory_format=layout))
    return tuple(networks)


# --- the section


def short_training(recipe: Recipe, share: float, data: dict) -> tuple[float, float]:
    """Train on the first images alone; return the seconds, validations included, and the last one's accuracy."""
    few = tuple(tensor[: round(share * len(tensor))] for tensor in data["train"])
    start = time.perf_counter()
    _, history = train(recipe, parts=(few, data["validation"]))
    if history.interrupted:
        raise KeyboardInterrupt
    return time.perf_counter() - start, history.validation_accuracy[-1]


def measure_plain(repeat: int, quick: bool) -> dict:
    """Measure both ways, and the ladder of short trainings; a round is a seed."""
    data, few = timing.parts(quick), timing.FEW if quick else {}
    data_seconds = time_batches(data, few, repeat)
    systems = {name: {"plain": [], "ours": []} for name in EARLIER}
    ladder, loop = [rung | {"seconds": [], "accuracy": []} for rung in LADDER], []
    for seed in range(repeat):
        for name, recipe in EARLIER.items():
            both, between = side_by_side(
                change(recipe, seed=seed, num_epochs=1 if quick else None), data, few
            )
            loop += between
            for way, curve in both.items():
                systems[name][way].append(curve)
        for rung in ladder:
            settings = {name: rung.get(name) for name in ("batch_size", "num_epochs")}
            duration, accuracy = short_training(
                change(find(rung["recipe"]), seed=seed, **settings), rung["share"], data
            )
            rung["seconds"].append(duration)
            rung["accuracy"].append(accuracy)
    found = {
        "seeds": list(range(repeat)),
        "data": {"seconds": medians(data_seconds), "ratio": ratio(*data_seconds.values())},
        "systems": {name: curves | compare(curves) for name, curves in systems.items()},
        "ladder": ladder,
        "targets": [reach(target, systems, ladder) for target in TARGETS],
        "loop": {"fastest": min(loop), "median": statistics.median(loop)},
    }
    return found | {"runs": [ratios(found)]}


def time_batches(data: dict, few: dict[str, int], repeat: int) -> dict[str, list[float]]:
    """Time an epoch's batches alone, which nobody uses, each way in turn."""
    plain_loader = loader("train", 100, few, shuffle=True)
    candidates = {
        "plain": lambda: deque(plain_loader, maxlen=0),
        "ours": lambda: deque(batches(*data["train"], 100, torch.Generator()), maxlen=0),
    }
    candidates["ours"]()  # the first pass over fresh memory is no data path's fault
    return interleaved(candidates, repeat)


def compare(curves: dict[str, list]) -> dict:
    """Return the medians and the paired ratio of all epochs of all seeds, and what the last epochs read."""
    times = {way: [point[0] for curve in found for point in curve] for way, found in curves.items()}
    last = {way: [curve[-1][1] for curve in found] for way, found in curves.items()}
    return {"seconds": medians(times), "ratio": ratio(times["plain"], times["ours"]), "accuracy": last}


def ratios(found: dict) -> dict:
    """Return what is kept of each run: its loop, and how many times faster ours made batches and trained."""
    systems = {name: system["ratio"] for name, system in found["systems"].items()}
    return {"loop": found["loop"], "data": found["data"]["ratio"], **systems}


def reach(target: float, systems: dict, ladder: list[dict]) -> dict:
    """Return how many seconds each way takes to a validation accuracy, as a median over the seeds; None where it fails.

    The plain way counts from its first epoch that reaches it. Of ours, the first training whose mean over the seeds
    reaches it counts, from the start to the end of its validation.
    """
    row = {"target": target}
    for name in ("cnn", "mlp"):
        reached = []
        for curve in systems[name]["plain"]:
            number = next((i for i, (_, accuracy) in enumerate(curve) if accuracy >= target), None)
            reached.append(None if number is None else sum(point[0] for point in curve[: number + 1]))
        row[f"plain {name}"] = None if None in reached else statistics.median(reached)
    for way, rungs in (
        ("same network", [rung for rung in ladder if rung["recipe"] == "cnn"]),
        ("any network", ladder),
    ):
        enough = [
            statistics.median(rung["seconds"])
            for rung in rungs
            if statistics.mean(rung["accuracy"]) >= target
        ]
        row[way] = min(enough, default=None)
    return row
