"""Time an epoch of each recipe's training, with its batches made in two ways.

    DataLoader   torchvision's standard way: each image opened, transformed and stacked on its own
    batches      digitlib.data.batches: rows of one tensor in memory

Example:
    python tools/bench.py
    python tools/bench.py --repeat 5 cnn
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch

from digitlib.data import batches, data_loader, load_part
from digitlib.recipes import RECIPES, build_model, build_optimizer, find
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
        ways = {
            "DataLoader": lambda size=recipe.batch_size: data_loader("train", size, shuffle=True),
            "batches": lambda size=recipe.batch_size: batches(
                images, labels, size, torch.Generator().manual_seed(0)
            ),
        }
        for way, make_batches in ways.items():
            torch.manual_seed(recipe.seed)
            model = build_model(recipe).to(memory_format=torch.channels_last)
            optimizer = build_optimizer(recipe, model)
            data = seconds(lambda make=make_batches: [None for _ in make()], options.repeat)
            training = seconds(
                lambda make=make_batches, model=model, optimizer=optimizer, clip_norm=recipe.clip_norm: (
                    train_one_epoch(model, make(), optimizer, clip_norm=clip_norm)
                ),
                options.repeat,
            )
            rate = len(labels) / training
            print(f"{recipe.name:8} {way:12} {data:10.2f} s {training:12.2f} s {rate:14,.0f}", flush=True)


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
