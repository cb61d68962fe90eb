"""Train every recipe with several seeds, read the test images once for each network, and show the results.

What was measured is kept in book/results.json, run by run: an interrupted measurement is taken up where it stopped, and
a recipe whose settings have changed is measured again. book/results.ipynb and book/details.ipynb show the figures;
README.md gets the first table, and book/scaling.md the one of several processes. When a network is finished it reads
the test images, clean and under each of the corruptions of `tools.corruptions`, and scikit-learn's digits by other
writers; the networks of `best` read the clean ones together at the end. No setting is to be chosen by any of it.

Example:
    python -m tools.results                    what is missing; all of it takes three quarters of an hour
    python -m tools.results --recipes quick    this recipe's missing runs alone
    python -m tools.results --fresh            everything again

tests/test_results.py fails where the tables differ from the page's.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported, as `digitlib train` does

# isort: split
import nbformat
import numpy as np
import torch
from torch import Tensor, nn

from digitlib.checkpoints import checkpoint_path, load_or_train, save
from digitlib.data import load_part, normalise
from digitlib.evaluation import evaluate, predict_logits
from digitlib.recipes import RECIPES, Recipe, change, find, train
from tools import corruptions, handwriting, notebooks
from tools.pages import insert_table, write_whole
from tools.timing import ROOT, machine

NOTEBOOK = ROOT / "book" / "results.ipynb"
DETAILS = ROOT / "book" / "details.ipynb"
MEASURED = ROOT / "book" / "results.json"
COPIES = {  # what gets a copy of a table, and the table's notebook and cell
    ROOT / "README.md": (NOTEBOOK, "results-table"),
    ROOT / "book" / "scaling.md": (DETAILS, "bench-scaling"),
}
SEEDS = {name: (0, 1, 2) if name == "best" else (0, 1, 2, 3, 4) for name in RECIPES}  # best takes long
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
    parser.add_argument("--no-page", action="store_true", help="measure, and leave the pages alone")
    options = parser.parse_args(arguments)
    measure_missing(MEASURED, options.recipes, fresh=options.fresh)
    return 0 if options.no_page else show()


def show() -> int:
    """Execute the two pages, which read what is stored, and copy two of their tables; return the exit code."""
    code = notebooks.main([str(NOTEBOOK), str(DETAILS)])
    for path, (notebook, cell_id) in COPIES.items() if code == 0 else ():
        try:
            table = read_table(notebook, cell_id)
            text = insert_table(path.read_text(encoding="utf-8"), table, path.name)
        except ValueError as error:
            print(f"tools/results.py: {error}", file=sys.stderr)
            return 1
        write_whole(path, text)
        print(f"{path.relative_to(ROOT)} holds its table of {notebook.name}")
    return code


# --- measuring


def measure_missing(path: Path, names: list[str], *, fresh: bool = False) -> dict:
    """Train and measure the runs that the file lacks, storing each when it is done; return what the file holds."""
    measured = {"runs": {}, "ensemble": None}
    if path.exists():
        measured |= json.loads(path.read_text(encoding="utf-8"))
    runs = measured["runs"]  # in the order of today's recipes, and without those that are gone
    runs = {name: runs.get(name, {}) for name in RECIPES if name in runs or name in names}
    measured = {"runs": runs, "ensemble": measured["ensemble"]}
    for name in names:
        for seed in SEEDS[name]:
            recipe = change(find(name), seed=seed)
            run = runs[name].get(str(seed))
            if fresh or run is None or run["settings"] != settings(recipe):
                runs[name][str(seed)] = measure_run(recipe)
                write(path, measured)
        runs[name] = {str(seed): runs[name][str(seed)] for seed in SEEDS[name]}
    if ENSEMBLE in names:
        members = [change(find(ENSEMBLE), seed=seed) for seed in SEEDS[ENSEMBLE]]
        wanted = [settings(member) for member in members]
        if fresh or measured["ensemble"] is None or measured["ensemble"]["settings"] != wanted:
            measured["ensemble"] = measure_ensemble(members)
    write(path, measured)  # what is gone is gone there, too
    return measured


def settings(recipe: Recipe) -> str:
    """Return a fingerprint of everything that decides how the recipe trains; its title does not."""
    decisive = {key: value for key, value in asdict(recipe).items() if key != "title"}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def measure_run(recipe: Recipe) -> dict:
    """Train the recipe from scratch and keep its checkpoint, then read the test images once, of each kind."""
    print(f"{recipe.name}, seed {recipe.seed}: training", flush=True)
    start = time.perf_counter()
    model, history = train(recipe)
    duration = time.perf_counter() - start
    if history.interrupted:
        raise KeyboardInterrupt
    save(checkpoint_path(recipe), model, recipe, history=history, metrics={"seconds": duration})
    wrong = read_test_images([model])
    print(f"    {10_000 - len(wrong)} of 10,000 right, {duration:.1f} s", flush=True)
    return {
        "settings": settings(recipe),
        "machine": machine(),
        "seconds": round(duration, 2),
        "validation_accuracy": history.validation_accuracy,
        "wrong": wrong,
        "corrupted": corruptions.accuracies(model, "test", corruptions.MEASURED),
        "other writers": evaluate(model, *other_writers()).accuracy,
    }


@cache
def other_writers() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's digits, brought into MNIST's format as `digitlib predict` does, and their labels."""
    images, labels = handwriting.load_handwriting()
    grey = [np.rint(255 * handwriting.centre(image)).astype(np.uint8) for image in images]
    return normalise(torch.from_numpy(np.stack(grey))), labels


def measure_ensemble(members: list[Recipe]) -> dict:
    """Let the networks of several seeds, just trained, vote on the test images."""
    wrong = read_test_images([load_or_train(member).model for member in members])
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
