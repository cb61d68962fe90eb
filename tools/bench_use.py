"""The benchmark's sections "predict", "neighbour", "scaling" and "project": what somebody who uses it waits for."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from digitlib.evaluation import predict_logits
from digitlib.recipes import RECIPES, build_model, find
from tools import timing
from tools.timing import ROOT, interleaved, medians, ratio, seconds, training_epoch

# --- predict: latency and throughput


def measure_predictions(repeat: int, quick: bool) -> dict:
    """Time one image at a time, and a thousand at once."""
    images, _ = timing.parts(quick)["validation"]
    thousand = images[:500].repeat(2, 1, 1, 1)
    models = {name: build_model(recipe) for name, recipe in RECIPES.items()}
    rounds = [5, 1] if quick else [40 * repeat, 5 * repeat]
    one, many = (
        medians(
            interleaved(
                {name: partial(predict_logits, model, tried) for name, model in models.items()}, number
            )
        )
        for tried, number in zip((images[:1], thousand), rounds)
    )
    found = {
        name: {"milliseconds for one": 1000 * one[name], "images a second": 1000 / many[name]}
        for name in models
    }
    return {"rounds": rounds, "recipes": found}


# --- neighbour: a machine that is not idle

# Trains the CNN on an eighth of the images, and prints the seconds.
EIGHTH = """
from digitlib.data import load_part
from digitlib.recipes import find
from tools.timing import seconds, training_epoch
print(seconds(training_epoch(find("cnn"), [tensor[:6875] for tensor in load_part("train")])))
"""


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Let another process keep one core busy meanwhile."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def train_command(launcher: list[str], name: str, environment: dict[str, str]) -> float:
    """Train a recipe for one epoch in a new process; return the seconds that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*launcher, "train", name, "--epochs", "1", "--output", f"{folder}/trained.pth"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-2].split()[-2])  # "validation accuracy ... after 1 epochs, 4.2 s"


def train_eighth(environment: dict[str, str]) -> float:
    """Train for an eighth of an epoch in a new process; return the seconds that it prints."""
    command = [sys.executable, "-c", EIGHTH]
    return float(
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True).stdout
    )


def measure_neighbour(repeat: int, quick: bool) -> dict:
    """Time a training of one epoch alone and beside a process that keeps one core busy.

    By command, loading and validation included, in an environment that says nothing about how threads wait, because
    the command says it itself; an epoch of each recipe in this process, which has said it; and what saying it changes,
    by an eighth of an epoch with and without, since without it beside another process may take a minute.
    """
    name = "mlp" if quick else "cnn"
    unsaid = {variable: value for variable, value in os.environ.items() if variable != "OMP_WAIT_POLICY"}
    said = unsaid | {"OMP_WAIT_POLICY": "PASSIVE"}
    command = [str(Path(sys.executable).with_name("digitlib"))]
    trainings = {
        f"digitlib train {name}": partial(train_command, command, name, unsaid),
        "an eighth of cnn, OMP_WAIT_POLICY=PASSIVE": partial(train_eighth, said),
        "an eighth of cnn, nothing said": partial(train_eighth, unsaid),
    }
    train_part = timing.parts(quick)["train"]
    for recipe in RECIPES:
        trainings[f"epoch of {recipe}"] = partial(seconds, training_epoch(find(recipe), train_part))
    found = {way: {"quiet": [], "busy": []} for way in trainings}
    for _ in range(repeat):
        for way, training in trainings.items():
            found[way]["quiet"].append(training())
            with busy_neighbour():
                found[way]["busy"].append(training())
    ways = {
        way: medians(times) | {"ratio": ratio(times["busy"], times["quiet"])} for way, times in found.items()
    }
    return {"rounds": repeat, "ways": ways}


# --- scaling: several processes


def measure_scaling(repeat: int, quick: bool) -> dict:
    """Time an epoch of `best`, loading included, with one process and with two, on the same cores."""
    cores = max(2, os.cpu_count() or 1)
    plain = [sys.executable, "-m", "digitlib"]
    torchrun = [
        sys.executable,
        *"-m torch.distributed.run --standalone --nproc-per-node=2 -m digitlib".split(),
    ]
    ways = {
        f"one process, {cores // 2} of {cores} cores": (plain, cores // 2),
        f"one process, {cores} cores": (plain, cores),
        f"two processes, {cores // 2} of {cores} cores each": (torchrun, cores // 2),
    }
    name = "mlp" if quick else "best"
    durations = interleaved(
        {
            way: partial(train_command, launcher, name, os.environ | {"OMP_NUM_THREADS": str(threads)})
            for way, (launcher, threads) in ways.items()
        },
        repeat,
    )
    return {"rounds": repeat, "ways": medians(durations)}


# --- project: imports, the book, the notebooks


def run(*command: str) -> None:
    """Run Python from the repository's root; what it prints is shown only where it fails."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def measure_project(repeat: int, quick: bool) -> dict:
    """Time what a reader waits for."""
    imports = ("import torch", "import digitlib", "from digitlib import load_part")
    commands = {"python alone": ""} | {code: code for code in imports}
    found = medians(
        interleaved({name: partial(run, "-c", code) for name, code in commands.items()}, 2 * repeat + 1)
    )
    if quick:
        return {"rounds": 2 * repeat + 1, "seconds": found}
    jupyter_book = "from jupyter_book.cli.main import main; main()"
    with tempfile.TemporaryDirectory() as folder:  # in a folder of its own, from nothing
        options = ("build", ".", "--path-output", folder, "-W", "-n", "--keep-going")
        found["build the book"] = seconds(partial(run, "-c", jupyter_book, *options))
    found["pytest --nbval notebooks"] = seconds(partial(run, "-m", "pytest", "--nbval", "-q", "notebooks"))
    return {"rounds": 2 * repeat + 1, "seconds": found}
