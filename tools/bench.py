"""Measure what each choice buys: ours against the plain way, side by side in one run, and how far the limit is.

The plain way is the one of many tutorials: torchvision's transforms image by image, a DataLoader, the network as it
comes. Candidates take turns, round after round, and medians are reported: whatever else the machine does then falls on
all of them. Each section is stored in book/bench.json as soon as it is measured, so that an interruption loses one
section at most; book/results.ipynb shows them. Accuracies are those on the validation images: nothing here opens the
test images.

Sections:
    plain     the plain way against ours: batches alone, seconds an epoch, what is learnt, seconds to an accuracy
    limit     arithmetic of each recipe's epoch over the rate of multiplying matrices; layouts, bfloat16, a profile
    growth    seconds an epoch against the number of images, the batch size and the width
    predict   one prediction's latency, and the rate of a thousand
    neighbour seconds beside a process that keeps one core busy, against a quiet machine
    scaling   seconds an epoch of `best` with two processes against one
    project   seconds of `import digitlib`, of building the book and of comparing all notebooks with pytest --nbval

Example:
    python -m tools.bench                 everything, on an otherwise idle machine (half an hour), then the page
    python -m tools.bench plain limit     these again
    python -m tools.bench --quick         a look at everything but the project, in a minute; stored nowhere
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: how threads wait

# isort: split
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from digitlib.data import augment, batches, load_part
from digitlib.evaluation import evaluate, predict_logits
from digitlib.recipes import (
    RECIPES,
    Recipe,
    build_model,
    build_optimizer,
    change,
    epoch_batches,
    find,
    has_bf16,
    precision,
    train_on,
)
from digitlib.training import EpochRecord, train_one_epoch
from tools.pages import write_whole
from tools.plain import loader

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "bench.json"
TARGETS = (0.9723, 0.9773, 0.99, 0.995)  # the first two are what the earlier CNN and dense network read
FEW = {"train": 2000, "validation": 500}  # images for a quick look
WHOLE = 55_000  # images to train on, an epoch

# The earlier systems with the usual settings: batches of 100, a constant learning rate, Adam's default one.
USUAL = {"batch_size": 100, "schedule": "constant", "learning_rate": 1e-3}
EARLIER = {
    "cnn": Recipe("cnn", "the earlier CNN", "cnn", **USUAL),
    "mlp": Recipe("mlp", "the dense network", "mlp", **USUAL),
    "rnn": Recipe(
        "rnn",
        "the recurrent network",
        "rnn",
        optimizer="sgd",
        clip_norm=1.0,
        **USUAL | {"learning_rate": 0.05},
    ),
}
# So many epochs each: enough for the plain CNN and the plain dense network to read their share of TARGETS right.
EPOCHS = {"cnn": 4, "mlp": 8, "rnn": 4}
# Ours to an accuracy: short trainings, each with a one-cycle of its own, on a share of the images. On less than all,
# quick is smaller, takes batches of 64, since as many steps as that matter more than how long each takes, and reads
# each image once: validating with five views of each would take as long as the training.
SHORT = {
    "recipe": "quick",
    "model": "convnet",
    "model_options": find("quick").model_options | {"num_channels": [16, 32, 64]},
    "batch_size": 64,
}
LADDER = [
    *({"recipe": "cnn", "share": share, "num_epochs": 1} for share in (0.25, 0.5, 0.75, 1)),
    *(SHORT | {"share": share} for share in (0.125, 0.1875, 0.25, 0.5)),
    {"recipe": "quick", "share": 1},
    *({"recipe": "best", "share": 1, "num_epochs": number} for number in (1, 4)),
]


def main(arguments: list[str] | None = None) -> int:
    """Measure the sections asked for, storing each, then execute the page; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)} (default: all)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="rounds; medians are shown (default: 3)"
    )
    parser.add_argument("--quick", action="store_true", help="one round on few images, stored nowhere")
    parser.add_argument("--no-page", action="store_true", help="leave book/results.ipynb alone")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"expected sections among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    names = options.sections or [name for name in SECTIONS if not (options.quick and name == "project")]
    for name in names:
        print(f"{name}: measuring", flush=True)
        start = time.perf_counter()
        found = SECTIONS[name](1 if options.quick else options.repeat, options.quick)
        found["machine"] = machine()
        if options.quick:
            print(json.dumps(found, indent=1), flush=True)
        else:
            store(name, found)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0 if options.quick or options.no_page else show_page()


def store(name: str, found: dict) -> None:
    """Put one section into book/bench.json, whole or not at all; the others stay.

    Where a section has "runs", what the ones before told stays behind it: they differ with what else the machine does,
    and nobody should have to believe in one run alone.
    """
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if "runs" in found:
        found["runs"] = found["runs"] + stored.get(name, {}).get("runs", [])
    stored[name] = found
    ordered = {section: stored[section] for section in SECTIONS if section in stored}
    write_whole(RESULTS, json.dumps(rounded(ordered), indent=1) + "\n")


def rounded(tree):
    """Return the same tree of dictionaries and lists with its numbers to five digits: more is noise."""
    if isinstance(tree, dict):
        return {str(key): rounded(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [rounded(value) for value in tree]
    return float(f"{tree:.5g}") if isinstance(tree, float) else tree


def show_page() -> int:
    """Execute the results page, which reads what is stored, and print its tables of the benchmark."""
    import nbformat

    from tools import results  # which imports this module

    code = results.show()
    for cell in nbformat.read(results.NOTEBOOK, as_version=4).cells if code == 0 else []:
        for output in cell.get("outputs", []) if cell.id.startswith("bench-") else []:
            if "text/markdown" in output.get("data", {}):
                print(f"\n{output.data['text/markdown']}")
    return code


def machine() -> str:
    """Describe where the figures come from, in one line."""
    processor = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(
            (line.partition(": ")[2] for line in lines if line.startswith("model name")), processor
        )
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )


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


def exhaust(iterable: Iterable) -> None:
    """Take everything out of it, and use nothing."""
    for _ in iterable:
        pass


def parts(quick: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """Load the training and the validation part; few images of each for a quick look."""
    return {part: tuple(t[: FEW[part] if quick else None] for t in load_part(part)) for part in FEW}


# --- plain: the plain way against ours


def our_epoch(
    model: nn.Module, optimizer, recipe: Recipe, data: dict, generator
) -> tuple[EpochRecord, float]:
    """Train for an epoch and validate as `digitlib.recipes.train` does; return both ways' record and accuracy."""
    epoch = epoch_batches(recipe, *data["train"], generator)
    record = train_one_epoch(model, epoch, optimizer, clip_norm=recipe.clip_norm)
    return record, evaluate(model, *data["validation"]).accuracy


def side_by_side(
    recipe: Recipe, data: dict, quick: bool, num_epochs: int
) -> tuple[dict[str, list], list[float]]:
    """Train one network each way from the same first weights, an epoch of each in turn.

    The plain way has a process of its own, since importing digitlib sets how threads wait and how memory is kept.

    Returns:
        {"plain": ..., "ours": ...}: a pair for each epoch, its seconds (validation included) and the validation
        accuracy after it; and what `time_loop` took between the epochs.
    """
    torch.manual_seed(recipe.seed)
    ours = build_model(recipe).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(recipe.seed)
    our_step = partial(our_epoch, ours, build_optimizer(recipe, ours), recipe, data, generator)
    order = json.dumps({"recipe": asdict(recipe), "few": FEW if quick else {}})
    child = subprocess.Popen(
        [sys.executable, "-m", "tools.plain", order],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    found, loop = {"plain": [], "ours": []}, []
    with child:  # which closes its input at the end, and it ends by that
        for _ in range(num_epochs):
            loop += time_loop()
            print(file=child.stdin, flush=True)
            found["plain"].append(json.loads(child.stdout.readline()))
            loop += time_loop()
            start = time.perf_counter()
            _, accuracy = our_step()
            found["ours"].append([time.perf_counter() - start, accuracy])
    return found, loop


def short_training(recipe: Recipe, share: float, data: dict) -> tuple[float, float]:
    """Train on the first images alone; return the seconds, validations included, and the last one's accuracy."""
    few = tuple(tensor[: round(share * len(tensor))] for tensor in data["train"])
    start = time.perf_counter()
    _, history = train_on(recipe, few, data["validation"], progress=False)
    if history.interrupted:
        raise KeyboardInterrupt
    return time.perf_counter() - start, history.validation_accuracy[-1]


def measure_plain(repeat: int, quick: bool) -> dict:
    """Measure both ways, and the ladder of short trainings; a round is a seed."""
    data, seeds = parts(quick), range(repeat)
    plain_loader = loader("train", 100, FEW if quick else {}, shuffle=True)
    candidates = {
        "plain": lambda: exhaust(plain_loader),
        "ours": lambda: exhaust(batches(*data["train"], 100, torch.Generator())),
    }
    candidates["ours"]()  # the first pass over fresh memory is no data path's fault
    data_seconds = interleaved(candidates, repeat)
    systems = {name: {"plain": [], "ours": []} for name in EARLIER}
    ladder, loop = [rung | {"seconds": [], "accuracy": []} for rung in LADDER], []
    for seed in seeds:
        for name, recipe in EARLIER.items():
            num_epochs = 1 if quick else EPOCHS[name]
            both, between = side_by_side(change(recipe, seed=seed), data, quick, num_epochs)
            loop += between
            for way, curve in both.items():
                systems[name][way].append(curve)
        for rung in ladder:
            settings = {
                name: rung.get(name) for name in ("model", "model_options", "batch_size", "num_epochs")
            }
            recipe = change(find(rung["recipe"]), seed=seed, **settings)
            duration, accuracy = short_training(recipe, rung["share"], data)
            rung["seconds"].append(duration)
            rung["accuracy"].append(accuracy)
    found = {
        "seeds": list(seeds),
        "data": {"seconds": medians(data_seconds), "ratio": ratio(*data_seconds.values())},
        "systems": {name: curves | compare(curves) for name, curves in systems.items()},
        "ladder": ladder,
        "targets": [reach(target, systems, ladder) for target in TARGETS],
        "loop": {"fastest": min(loop), "median": statistics.median(loop)},
    }
    return found | {"runs": [ratios(found)]}


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
    for way, names in (("same network", ("cnn",)), ("any network", ("cnn", "quick", "best"))):
        enough = [
            statistics.median(rung["seconds"])
            for rung in ladder
            if rung["recipe"] in names and statistics.mean(rung["accuracy"]) >= target
        ]
        row[way] = min(enough, default=None)
    return row


# --- limit: how far from what the machine can do


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
    """Compare an epoch of each recipe with its operations at the rate of a matrix product.

    The same epoch with the channels first in memory, and in bfloat16 where the processor has it, stands beside.
    """
    train_part = parts(quick)["train"]
    found = {}
    for name, recipe in RECIPES.items():
        few = [
            tensor[: len(tensor) // 4] for tensor in train_part
        ]  # a quarter of an epoch is enough for a rate
        scale = WHOLE / len(few[0])
        ways = {
            "as trained": (torch.channels_last, False),
            "channels first": (torch.contiguous_format, False),
        } | ({"bfloat16": (torch.channels_last, True)} if has_bf16() else {})
        steps = {way: training_steps(recipe, few, *layout) for way, layout in ways.items()}
        rates, times = [], {way: [] for way in ways}
        for _ in range(repeat):  # the rate again each time: a machine that slows down slows both
            rates.append(matmul_rate(repeat))
            for way, step in steps.items():
                times[way].append(scale * seconds(step))
        images, labels = (tensor[: recipe.batch_size] for tensor in train_part)
        operations = count_operations(recipe, images, labels) * WHOLE / recipe.batch_size
        found[name] = {
            "gflop an epoch": operations / 1e9,
            "seconds an epoch": medians(times),
            "matmul gflop a second": statistics.median(rates) / 1e9,
            "share of the limit": statistics.median(
                operations / rate / duration for rate, duration in zip(rates, times["as trained"])
            ),
        }
    profiles = {name: profile(find(name), train_part, 5 if quick else 40) for name in ("quick", "best")}
    return {"rounds": repeat, "recipes": found, "profile": profiles}


def training_steps(
    recipe: Recipe, few: Iterable[Tensor], layout: torch.memory_format, bf16: bool
) -> Callable[[], object]:
    """Return a function that trains a new network of the recipe for an epoch of few images."""
    torch.manual_seed(recipe.seed)
    model = build_model(recipe).to(memory_format=layout)
    optimizer = build_optimizer(recipe, model)
    generator = torch.Generator().manual_seed(recipe.seed)

    def train() -> None:
        with precision("cpu", bf16=bf16):
            epoch = epoch_batches(recipe, *few, generator)
            train_one_epoch(model, epoch, optimizer, clip_norm=recipe.clip_norm)

    return train


def profile(recipe: Recipe, train_part: tuple[Tensor, Tensor], num_steps: int) -> dict[str, float]:
    """Return the share of each kind of operation in the time of some steps of training, the ten largest first."""
    few = [tensor[: num_steps * recipe.batch_size] for tensor in train_part]
    train = training_steps(recipe, few, torch.channels_last, False)
    train()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        train()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    largest = sorted(times, key=times.get, reverse=True)[:10]
    return {key: times[key] / sum(times.values()) for key in largest}


# --- growth: how the cost grows


def measure_growth(repeat: int, quick: bool) -> dict:
    """Time the recipe cnn with more images (augmented copies), larger batches and more channels.

    Batches and channels are tried on a quarter of the images, and their seconds scaled to an epoch.
    """
    images, labels = parts(quick)["train"]
    base = find("cnn")

    def epoch(recipe: Recipe, share: float) -> Callable[[], object]:
        copies, num_images = max(1, round(share)), round(share * len(images))
        generator = torch.Generator().manual_seed(0)
        few = images[:num_images]
        if copies > 1:
            few = torch.cat([images, *(augment(images, generator) for _ in range(copies - 1))])
        return training_steps(
            recipe, [few, labels.repeat(copies)[:num_images]], torch.channels_last, bf16=False
        )

    def with_channels(factor: float) -> Recipe:
        options = base.model_options | {"num_channels": [round(10 * factor), round(20 * factor)]}
        return change(base, model_options=options)

    found = {
        "images": {
            round(share * WHOLE): (share, base)
            for share in ((0.125, 2) if quick else (0.125, 0.25, 0.5, 1, 2, 4))
        },
        "batch": {
            size: (0.25, change(base, batch_size=size))
            for size in ((256,) if quick else (16, 32, 64, 128, 256, 512, 1024))
        },
        "width": {factor: (0.25, with_channels(factor)) for factor in ((0.5,) if quick else (0.5, 1, 2, 4))},
    }
    grown = {"rounds": repeat}
    for kind, values in found.items():
        times = interleaved(
            {value: epoch(recipe, share) for value, (share, recipe) in values.items()}, repeat
        )
        scale = 1 if kind == "images" else 4
        grown[kind] = [[value, scale * duration] for value, duration in medians(times).items()]
    return grown


# --- predict: latency and throughput


def measure_predictions(repeat: int, quick: bool) -> dict:
    """Time one image at a time, and a thousand at once."""
    images, _ = parts(quick)["validation"]
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

# What a script measures of itself; its second argument names the recipe, as that of `digitlib train` does.
SCRIPT = r"""
import sys, time
import digitlib
from digitlib.recipes import change, find, train
started = time.perf_counter()
train(change(find(sys.argv[2]), num_epochs=1))
print(f"a script: {time.perf_counter() - started} s", "saves nothing", sep="\n")
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


def measure_neighbour(repeat: int, quick: bool) -> dict:
    """Time a training of one epoch alone and beside a process that keeps one core busy.

    From a new process, with loading and validation; the thread policy of this one is taken out of the environment, so
    that each way to start has to bring its own. And in this process, where the neighbour comes long after digitlib was
    imported, training alone.
    """
    name = "mlp" if quick else "cnn"
    commands = {
        f"digitlib train {name}": [str(Path(sys.executable).with_name("digitlib"))],
        f"import digitlib, {name}": [sys.executable, "-c", SCRIPT],
    }
    trainings = {
        way: partial(train_command, command, name, dict(os.environ)) for way, command in commands.items()
    }
    train_part = parts(quick)["train"]
    for name in ("mlp", "cnn", "rnn", "quick", "best"):
        epoch = training_steps(find(name), train_part, torch.channels_last, False)
        trainings[f"epoch of {name}"] = partial(seconds, epoch)
    found = {way: {"quiet": [], "busy": []} for way in trainings}
    for _ in range(repeat):
        for way, training in trainings.items():
            found[way]["quiet"].append(training())
            with busy_neighbour():
                found[way]["busy"].append(training())
    return {
        "rounds": repeat,
        "ways": {
            way: medians(times) | {"ratio": ratio(times["busy"], times["quiet"])}
            for way, times in found.items()
        },
    }


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
    imports = {"python alone": "", "import torch": "import torch", "import digitlib": "import digitlib"}
    found = medians(
        interleaved({name: partial(run, "-c", code) for name, code in imports.items()}, 2 * repeat + 1)
    )
    if quick:
        return {"rounds": 2 * repeat + 1, "seconds": found}
    jupyter_book = "from jupyter_book.cli.main import main; main()"
    with tempfile.TemporaryDirectory() as folder:  # in a folder of its own, from nothing
        options = ("build", ".", "--path-output", folder, "-W", "-n", "--keep-going")
        found["build the book"] = seconds(partial(run, "-c", jupyter_book, *options))
    found["pytest --nbval notebooks"] = seconds(partial(run, "-m", "pytest", "--nbval", "-q", "notebooks"))
    return {"rounds": 2 * repeat + 1, "seconds": found}


SECTIONS = {
    "plain": measure_plain,
    "limit": measure_limit,
    "growth": measure_growth,
    "predict": measure_predictions,
    "neighbour": measure_neighbour,
    "scaling": measure_scaling,
    "project": measure_project,
}


if __name__ == "__main__":
    sys.exit(main())
