"""Few parameters: how well do the networks read that the protocol chose among those of under 2,000 and under 8,000?

Each is trained with three seeds and measured on the test images; the figures go into book/few.json, and
book/details.ipynb draws them beside the recipes.

Example:
    python -m tools.choose    first, unless that is done: which candidate reads most of the validation images
    python -m tools.few       what is missing
"""

import json

from digitlib.data import load_part
from digitlib.evaluation import evaluate
from digitlib.models import count_parameters
from digitlib.recipes import Recipe, change, train
from tools import choose
from tools.pages import write_whole
from tools.results import settings
from tools.timing import ROOT

FEW = ROOT / "book" / "few.json"
NAMES = ("under-2000", "under-8000")
SEEDS = (0, 1, 2)


def main() -> None:
    """Measure what is missing."""
    stored = json.loads(FEW.read_text(encoding="utf-8")) if FEW.exists() else {}
    for name in NAMES:
        runs = runs_of(name)
        if stored.get(name, {}).get("settings") != [settings(run) for run in runs]:
            stored[name] = measure(runs)
            print(name, stored[name], flush=True)
            write_whole(FEW, json.dumps(stored, indent=1) + "\n")


def runs_of(name: str) -> list[Recipe]:
    """Return the chosen candidate of that name, with each seed."""
    recipe = choose.chosen(name, choose.read())
    return [change(recipe, seed=seed) for seed in SEEDS]


def measure(runs: list[Recipe]) -> dict:
    """Train each of these recipes, which differ in their seeds, and return what they read."""
    models = [train(run)[0] for run in runs]
    parts = {part: load_part(part) for part in ("validation", "test")}
    found = {part: [evaluate(model, *data).accuracy for model in models] for part, data in parts.items()}
    about = {"settings": [settings(run) for run in runs], "channels": runs[0].model_options["num_channels"]}
    return about | {"parameters": count_parameters(models[0])} | found


if __name__ == "__main__":
    main()
