"""Time an epoch of each recipe's training, with its batches made in two ways.

    DataLoader   torchvision's standard way: each image opened, transformed and stacked on its own
    batches      digitlib.data.batches: rows of one tensor in memory

Example:
    python -m tools.bench
    python -m tools.bench --repeat 5 cnn
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from digitlib.data import batches, data_loader, load_part
from digitlib.recipes import RECIPES, Recipe, build_model, build_optimizer, find
from digitlib.training import train_one_epoch


def main(arguments: list[str] | None = None) -> None:
    """Print a table: for each recipe and each way, the seconds an epoch takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(RECIPES)} (default: all)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="epochs timed; their median is shown"
    )
    options = parser.parse_args(arguments)
    recipes = [find(name) for name in options.recipes] or list(RECIPES.values())

    images, labels = load_part("train")
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} CPU cores"
    print(
        f"{len(labels):,} images an epoch; the median of {options.repeat} epochs; torch {torch.__version__}, {threads}"
    )
    print()
    print(f"{'recipe':8} {'way':12} {'data alone':>12} {'with training':>14} {'images/second':>14}")
    for recipe in recipes:
        shuffled = torch.Generator().manual_seed(0)
        ways = {
            "DataLoader": partial(data_loader, "train", recipe.batch_size, shuffle=True),
            "batches": partial(batches, images, labels, recipe.batch_size, shuffled),
        }
        for way, make_batches in ways.items():
            data = seconds(partial(read_through, make_batches), options.repeat)
            training = seconds(partial(train_through, make_batches, *prepare(recipe)), options.repeat)
            rate = len(labels) / training
            print(f"{recipe.name:8} {way:12} {data:10.2f} s {training:12.2f} s {rate:14,.0f}", flush=True)


def prepare(recipe: Recipe) -> tuple:
    """Return the recipe's model, laid out in memory as its training has it, its optimizer and its clip_norm."""
    torch.manual_seed(recipe.seed)
    model = build_model(recipe).to(memory_format=torch.channels_last)
    return model, build_optimizer(recipe, model), recipe.clip_norm


def read_through(make_batches: Callable) -> None:
    """Make every batch of an epoch, and use none."""
    for _ in make_batches():
        pass


def train_through(make_batches: Callable, model, optimizer, clip_norm) -> None:
    """Train for an epoch."""
    train_one_epoch(model, make_batches(), optimizer, clip_norm=clip_norm)


def seconds(epoch: Callable[[], object], repeat: int) -> float:
    """Return the median duration of an epoch."""
    durations = []
    for _ in range(repeat):
        started = time.perf_counter()
        epoch()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


if __name__ == "__main__":
    main()
