"""Train every recipe with several seeds, read the test images once for each, and show the results.

What was measured is kept in book/results.json, run by run: an interrupted measurement is taken up where it stopped, and
a recipe whose settings have changed is measured again. book/results.ipynb shows the figures; README.md gets its first
table, and book/scaling.md the one of several processes. The test images are read when a network is finished, once for
each network, and at the end by the best ones together; no setting is chosen by them.

Example:
    python -m tools.results                    what is missing; half an hour for everything, on an idle machine
    python -m tools.results --recipes quick    this recipe's missing runs alone
    python -m tools.results --fresh            everything again

Where the processor has bfloat16 arithmetic, the recipes of BF16_SEEDS are trained with it as well, after all others;
those figures stand beside the ones in float32. tests/test_results.py fails where the tables differ from the page's.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported, as `digitlib train` does

# isort: split
import nbformat
import torch
from torch import Tensor, nn

from digitlib.checkpoints import checkpoint_path, load_or_train, save
from digitlib.data import load_part
from digitlib.evaluation import predict_logits
from digitlib.recipes import RECIPES, Recipe, change, find, has_bf16, train
from tools import notebooks
from tools.pages import insert_table, write_whole
from tools.timing import ROOT, machine

NOTEBOOK = ROOT / "book" / "results.ipynb"
MEASURED = ROOT / "book" / "results.json"
COPIES = {
    "results-table": ROOT / "README.md",
    "bench-scaling": ROOT / "book" / "scaling.md",
}  # by the table's cell
SEEDS = {name: tuple(range(5 if recipe.num_epochs == 1 else 3)) for name, recipe in RECIPES.items()}
BF16_SEEDS = {"quick": SEEDS["quick"]}
ENSEMBLE = "best"  # the recipe whose seeds vote together


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing and show it; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--recipes", nargs="+", metavar="RECIPE", choices=list(RECIPES), default=list(RECIPES)
    )
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--no-bf16", action="store_true", help="measure in float32 alone")
    parser.add_argument("--no-page", action="store_true", help="measure, and leave the pages alone")
    options = parser.parse_args(arguments)
    measure_missing(MEASURED, options.recipes, fresh=options.fresh, bf16=has_bf16() and not options.no_bf16)
    return 0 if options.no_page else show()


def show() -> int:
    """Execute the results page, which reads what is stored, and copy two of its tables; return the exit code."""
    code = notebooks.main([str(NOTEBOOK)])
    for cell_id, path in COPIES.items() if code == 0 else ():
        try:
            table = read_table(NOTEBOOK, cell_id)
            text = insert_table(path.read_text(encoding="utf-8"), table, path.name)
        except ValueError as error:
            print(f"tools/results.py: {error}", file=sys.stderr)
            return 1
        write_whole(path, text)
        print(f"{path.relative_to(ROOT)} holds its table of {NOTEBOOK.name}")
    return code


# --- measuring


def measure_missing(path: Path, names: list[str], *, fresh: bool = False, bf16: bool = False) -> dict:
    """Train and measure the runs that the file lacks, storing each when it is done; return what the file holds."""
    measured = {"runs": {}, "ensemble": None, "bf16": {}}
    if path.exists():
        measured |= json.loads(path.read_text(encoding="utf-8"))
    for kind, wanted in (("runs", names), ("bf16", BF16_SEEDS.keys() & names if bf16 else ())):
        runs = measured[kind]  # in the order of today's recipes, and without those that are gone
        measured[kind] = {name: runs.get(name, {}) for name in RECIPES if name in runs or name in wanted}

    def measure(runs: dict, name: str, seeds: tuple[int, ...], bf16: bool) -> None:
        for seed in seeds:
            recipe = change(find(name), seed=seed)
            run = runs.get(str(seed))
            if fresh or run is None or run["settings"] != settings(recipe):
                runs[str(seed)] = measure_run(recipe, bf16=bf16)
                write(path, measured)
        for seed in set(runs) - {str(seed) for seed in seeds}:
            del runs[seed]

    for name in names:
        measure(measured["runs"][name], name, SEEDS[name], False)
    if ENSEMBLE in names:
        members = [change(find(ENSEMBLE), seed=seed) for seed in SEEDS[ENSEMBLE]]
        wanted = [settings(member) for member in members]
        if fresh or measured["ensemble"] is None or measured["ensemble"]["settings"] != wanted:
            measured["ensemble"] = measure_ensemble(members)
            write(path, measured)
    for name in names:
        if bf16 and name in BF16_SEEDS:
            measure(measured["bf16"][name], name, BF16_SEEDS[name], True)
    write(path, measured)  # what is gone is gone there, too
    return measured


def settings(recipe: Recipe) -> str:
    """Return a fingerprint of everything that decides how the recipe trains; its title does not."""
    decisive = {key: value for key, value in asdict(recipe).items() if key != "title"}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def measure_run(recipe: Recipe, *, bf16: bool = False) -> dict:
    """Train the recipe from scratch, then read the test images once; keep the checkpoint of a run in float32."""
    print(f"{recipe.name}, seed {recipe.seed}{', bfloat16' if bf16 else ''}: training", flush=True)
    start = time.perf_counter()
    model, history = train(recipe, bf16=bf16, progress=False)
    duration = time.perf_counter() - start
    if history.interrupted:
        raise KeyboardInterrupt
    if not bf16:
        metrics = {
            "validation_accuracy": history.validation_accuracy[-1],
            "validation_loss": history.validation_loss[-1],
            "seconds": duration,
        }
        save(checkpoint_path(recipe), model, recipe, history=history, metrics=metrics)
    wrong = read_test_images([model])
    print(f"    {10_000 - len(wrong)} of 10,000 right, {duration:.1f} s", flush=True)
    return {
        "settings": settings(recipe),
        "machine": machine(),
        "seconds": round(duration, 2),
        "validation_accuracy": history.validation_accuracy,
        "wrong": wrong,
    }


def measure_ensemble(members: list[Recipe]) -> dict:
    """Let the networks of several seeds, just trained, vote on the test images."""
    wrong = read_test_images([load_or_train(member, progress=False).model for member in members])
    print(
        f"{len(members)} networks of {ENSEMBLE} together: {10_000 - len(wrong)} of 10,000 right", flush=True
    )
    return {"settings": [settings(member) for member in members], "wrong": wrong}


def read_test_images(models: list[nn.Module]) -> dict[str, int]:
    """Return {number of the image: digit read} for the test images read wrongly; several networks vote.

    Each network's vote is its probabilities, and their mean decides.
    """
    images, labels = load_part("test")
    probabilities = torch.stack([predict_logits(model, images).softmax(dim=1) for model in models])
    predictions = probabilities.mean(dim=0).argmax(dim=1)
    wrong = (predictions != labels).nonzero().flatten().tolist()
    return {str(number): predictions[number].item() for number in wrong}


def predictions_of(run: dict, labels: Tensor) -> Tensor:
    """Return the digits that a stored run read, int64 (10000,), from the labels and what it read wrongly."""
    predictions = labels.clone()
    for number, digit in run["wrong"].items():
        predictions[int(number)] = digit
    return predictions


def write(path: Path, measured: dict) -> None:
    """Store the measurements, whole or not at all."""
    write_whole(path, json.dumps(measured) + "\n")


# --- the table


def read_table(path: Path, cell_id: str = "results-table") -> str:
    """Return the Markdown table that a cell of the notebook put out.

    Raises:
        ValueError: there is no such output.
    """
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.id == cell_id:
            for output in cell.outputs:
                if "text/markdown" in output.get("data", {}):
                    return output.data["text/markdown"]
    raise ValueError(f"expected {path.name} with an executed cell {cell_id}, found none; run `make results`")


if __name__ == "__main__":
    sys.exit(main())
