"""Measure how few parameters a network can do with: small networks of this library, beside its recipes.

Each small recipe was chosen by the protocol of book/protocol.md (tools.choose), is trained with three seeds and reads
the test images once for each. What was measured is kept in book/parameters.json; book/parameters.ipynb draws it.

Example:
    python -m tools.parameters        what is missing; twenty minutes for everything
"""

import argparse
import json
import sys

from digitlib.models import count_parameters
from digitlib.recipes import Recipe, build_model, change, train
from tools import choose, notebooks
from tools.pages import write_whole
from tools.results import read_test_images, settings
from tools.timing import ROOT

MEASURED = ROOT / "book" / "parameters.json"
NOTEBOOK = ROOT / "book" / "parameters.ipynb"
SMALL = ("small-2k", "small-8k")
SEEDS = (0, 1, 2)


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing and execute the page; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    for name in SMALL:
        recipe = choose.chosen(name, choose.read())
        for seed in SEEDS:
            measure(change(recipe, seed=seed))
    return notebooks.main([str(NOTEBOOK)])


def read() -> dict[str, dict]:
    """Return what was measured: {fingerprint of the settings and the seed: figures}."""
    return json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}


def measure(recipe: Recipe) -> None:
    """Train the recipe and let it read the test images once, unless that was done."""
    if settings(recipe) in read():
        return
    model, history = train(recipe, progress=False)
    found = {
        "name": recipe.name,
        "seed": recipe.seed,
        "parameters": count_parameters(build_model(recipe)),
        "validation_accuracy": history.validation_accuracy[-1],
        "wrong": read_test_images([model]),
    }
    print(f"{recipe.name}, seed {recipe.seed}: {10_000 - len(found['wrong'])} of 10,000 right", flush=True)
    write_whole(MEASURED, json.dumps(read() | {settings(recipe): found}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
