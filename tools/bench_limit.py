"""The benchmark's sections "limit" and "growth": how near an epoch comes to the machine's best, how its cost grows."""

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from digitlib.data import augment
from digitlib.recipes import RECIPES, Recipe, build_model, change, find
from tools import timing
from tools.timing import WHOLE, interleaved, medians, seconds, training_epoch


def matmul_rate(repeat: int, size: int = 1024) -> float:
    """Return the floating-point operations a second of multiplying two float32 matrices, the best of some tries."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    times = [seconds(lambda: a @ b) for _ in range(5 + 10 * repeat)]
    return 2 * size**3 / min(times)


def count_operations(recipe: Recipe, images: Tensor, labels: Tensor) -> int:
    """Return the floating-point operations of one training step: those of its matrix products and convolutions.

    An addition and a multiplication count one each. Elementwise operations, normalisation, pooling and augmentation
    are left out.
    """
    model = build_model(recipe)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(images), labels).backward()
    return counter.get_total_flops()


def measure_limit(repeat: int, quick: bool) -> dict:
    """Compare an epoch of each recipe with its operations at the rate of a matrix product; profile two of them."""
    train_part = timing.parts(quick)["train"]
    recipes = {name: measure_recipe(recipe, train_part, repeat) for name, recipe in RECIPES.items()}
    profiles = {name: profile(find(name), train_part, 5 if quick else 40) for name in ("quick", "best")}
    return {"rounds": repeat, "recipes": recipes, "profile": profiles}


def measure_recipe(recipe: Recipe, train_part: tuple[Tensor, Tensor], repeat: int) -> dict:
    """Time an epoch as it is trained, and with the channels first in memory."""
    few = [tensor[: len(tensor) // 4] for tensor in train_part]  # a quarter of an epoch is enough for a rate
    scale = WHOLE / len(few[0])
    epochs = {
        "as trained": training_epoch(recipe, few),
        "channels first": training_epoch(recipe, few, torch.contiguous_format),
    }
    rates, times = [], {way: [] for way in epochs}
    for _ in range(repeat):  # the rate again each time: a machine that slows down slows both
        rates.append(matmul_rate(repeat))
        for way, epoch in epochs.items():
            times[way].append(scale * seconds(epoch))
    step = (tensor[: recipe.batch_size] for tensor in train_part)
    operations = count_operations(recipe, *step) * WHOLE / recipe.batch_size
    shares = [operations / rate / duration for rate, duration in zip(rates, times["as trained"])]
    return {
        "gflop an epoch": operations / 1e9,
        "seconds an epoch": medians(times),
        "matmul gflop a second": statistics.median(rates) / 1e9,
        "share of the limit": statistics.median(shares),
    }


def profile(recipe: Recipe, train_part: tuple[Tensor, Tensor], num_steps: int) -> dict[str, float]:
    """Return the share of each kind of operation in the time of some steps of training, the ten largest first."""
    train = training_epoch(recipe, [tensor[: num_steps * recipe.batch_size] for tensor in train_part])
    train()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        train()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    largest = sorted(times, key=times.get, reverse=True)[:10]
    return {key: times[key] / sum(times.values()) for key in largest}


def measure_growth(repeat: int, quick: bool) -> dict:
    """Time the recipe cnn with more images (augmented copies), larger batches and more channels.

    Batches and channels are tried on a quarter of the images, and their seconds scaled to an epoch.
    """
    train_part = timing.parts(quick)["train"]
    cnn = find("cnn")
    shares = (0.125, 2) if quick else (0.125, 0.25, 0.5, 1, 2, 4)
    sizes = (256,) if quick else (16, 32, 64, 128, 256, 512, 1024)
    factors = (0.5,) if quick else (0.5, 1, 2, 4)
    kinds = {
        "images": {round(share * WHOLE): sized_epoch(cnn, train_part, share) for share in shares},
        "batch": {size: sized_epoch(change(cnn, batch_size=size), train_part, 0.25) for size in sizes},
        "width": {factor: sized_epoch(widened(cnn, factor), train_part, 0.25) for factor in factors},
    }
    grown = {"rounds": repeat}
    for kind, epochs in kinds.items():
        scale = 1 if kind == "images" else 4
        times = medians(interleaved(epochs, repeat))
        grown[kind] = [[value, scale * duration] for value, duration in times.items()]
    return grown


def sized_epoch(recipe: Recipe, train_part: tuple[Tensor, Tensor], share: float) -> Callable[[], object]:
    """Return an epoch of a share of the images; what there is more than one of are augmented copies."""
    images, labels = train_part
    copies, num_images = max(1, round(share)), round(share * len(images))
    generator = torch.Generator().manual_seed(0)
    more = torch.cat([images, *(augment(images, generator) for _ in range(copies - 1))])
    return training_epoch(recipe, [more[:num_images], labels.repeat(copies)[:num_images]])


def widened(recipe: Recipe, factor: float) -> Recipe:
    """Return the recipe of the CNN with so many times the channels."""
    return change(
        recipe,
        model_options=recipe.model_options | {"num_channels": [round(10 * factor), round(20 * factor)]},
    )
