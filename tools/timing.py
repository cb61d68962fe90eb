"""What the measuring tools share: the machine in a line, timing in turn, few images to try with, epochs to time."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from digitlib.data import load_part
from digitlib.recipes import Recipe, build_model, build_optimizer, epoch_batches
from digitlib.training import train_one_epoch

ROOT = Path(__file__).resolve().parents[1]
FEW = {"train": 2000, "validation": 500}  # images for a quick look
WHOLE = 55_000  # images to train on, an epoch


def machine() -> str:
    """Describe where the figures come from, in one line."""
    processor = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(
            (line.partition(": ")[2] for line in lines if line.startswith("model name")), processor
        )
    threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    return f"{processor}, {os.cpu_count()} cores, {threads}, torch {torch.__version__}"


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def time_loop() -> list[float]:
    """Return the milliseconds that a fixed loop of Python takes on each core.

    Always the same on an idle machine; longer while others use the processor, whom a virtual machine cannot see
    otherwise. So the median over the fastest of many says how far the figures beside them are the machine's own.
    """

    def once() -> float:
        return 1000 * seconds(lambda: sum(range(1_500_000)))

    if not hasattr(os, "sched_setaffinity"):  # on other systems than Linux: on the core that the system gives
        return [once()]
    cores, times = os.sched_getaffinity(0), []
    for core in cores:
        os.sched_setaffinity(0, {core})
        times.append(once())
    os.sched_setaffinity(0, cores)
    return times


def interleaved(candidates: dict[str, Callable[[], object]], repeat: int) -> dict[str, list[float]]:
    """Time each candidate in turn, round after round: {name: seconds of each round}."""
    durations = {name: [] for name in candidates}
    for _ in range(repeat):
        for name, candidate in candidates.items():
            durations[name].append(seconds(candidate))
    return durations


def medians(durations: dict[str, list[float]]) -> dict[str, float]:
    """Return {name: the median of its rounds}."""
    return {name: statistics.median(times) for name, times in durations.items()}


def ratio(slow: Iterable[float], fast: Iterable[float]) -> float:
    """Return the median, over the rounds, of how many times faster the second is."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def parts(quick: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """Load the training and the validation part; few images of each for a quick look."""
    return {part: tuple(t[: FEW[part] if quick else None] for t in load_part(part)) for part in FEW}


def training_epoch(
    recipe: Recipe,
    few: Iterable[Tensor],
    layout: torch.memory_format = torch.channels_last,
) -> Callable[[], object]:
    """Return a function that trains a network of the recipe, new at first, for an epoch of these images."""
    torch.manual_seed(recipe.seed)
    model = build_model(recipe).to(memory_format=layout)
    optimizer = build_optimizer(recipe, model)
    generator = torch.Generator().manual_seed(recipe.seed)

    def train() -> None:
        epoch = epoch_batches(recipe, *few, generator)
        train_one_epoch(model, epoch, optimizer, clip_norm=recipe.clip_norm)

    return train
