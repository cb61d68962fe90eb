"""Choose the recipes' settings on the validation part, by the protocol of book/protocol.md.

Each recipe has a list of candidates, the plainest first; the page tells which was written down when. Each candidate is
trained with the seeds of its list and measured on the validation images, whose writers wrote none of the training
images; the test images are never opened. What was measured goes into book/choices.json, and as a table into the page.
The recipes of digitlib.recipes are those that were chosen; tests/test_choose.py holds them to that.

Example:
    python -m tools.choose                 what is missing; two hours for everything, on an idle machine
    python -m tools.choose mlp quick       what is missing of these
"""

import argparse
import json
from statistics import mean, stdev

from digitlib.data import load_part
from digitlib.evaluation import evaluate
from digitlib.models import count_parameters
from digitlib.recipes import Recipe, build_model, change, train
from tools import corruptions
from tools.pages import insert_table, write_whole
from tools.results import settings
from tools.timing import ROOT

CHOICES = ROOT / "book" / "choices.json"
PAGE = ROOT / "book" / "protocol.md"
TOLERATED = (
    0.001  # for `best`: a candidate may read so much less of the clean images than the one that reads most
)


def convnet(name: str, num_channels: list[int], pooled: list[int], **options) -> Recipe:
    """Return a candidate whose network is a ConvNet."""
    shape = {"num_channels": num_channels, "pooled": pooled}
    return Recipe(name=name, title="a candidate", model="convnet", model_options=shape, **options)


def dense(**options) -> Recipe:
    """Return a candidate for `mlp`: four dense layers."""
    shape = {"hidden_sizes": [256, 128, 64]}
    return Recipe(name="mlp", title="a candidate", model="mlp", model_options=shape, num_epochs=8, **options)


def cnn(dropout: float, **options) -> Recipe:
    """Return a candidate for `cnn`: the earlier system's layers."""
    shape = {"dropout": dropout}
    given = {"batch_size": 128, "num_epochs": 6, **options}
    return Recipe(name="cnn", title="a candidate", model="cnn", model_options=shape, **given)


def rnn(**options) -> Recipe:
    """Return a candidate for `rnn`: one simple recurrent layer, SGD and clipped gradients, as the earlier system."""
    given = {"optimizer": "sgd", "clip_norm": 1.0, "num_epochs": 10, "batch_size": 128, **options}
    return Recipe(name="rnn", title="a candidate", model="rnn", **given)


def quick(last: int, learning_rate: float, batch_size: int) -> Recipe:
    """Return a candidate for `quick`: three convolutions, one epoch."""
    options = {"learning_rate": learning_rate, "batch_size": batch_size, "num_epochs": 1}
    return convnet("quick", [16, 32, last], [0, 1], **options)


def best(roughen: float, **options) -> Recipe:
    """Return a candidate for `best`: six convolutions, augmented images with flags, a share of them rough."""
    given = {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.05, "num_epochs": 10, **options}
    channels = [16, 32, 32, 64, 64, 96]
    return convnet("best", channels, [0], augment=True, flags=0.25, roughen=roughen, **given)


def few(name: str, num_channels: list[int], pooled: list[int], *, augment: bool) -> Recipe:
    """Return a candidate for "under 2,000" or "under 8,000" parameters: small networks, trained for long."""
    options = {"learning_rate": 0.02, "batch_size": 128, "num_epochs": 30, "augment": augment}
    return convnet(name, num_channels, pooled, **options)


CANDIDATES = {
    "mlp": [dense(learning_rate=rate, batch_size=size) for rate in (2e-3, 4e-3) for size in (256, 128)],
    "cnn": [cnn(dropout, learning_rate=rate) for dropout in (0.5, 0.25) for rate in (2.5e-3, 5e-3)],
    "rnn": [rnn(learning_rate=rate) for rate in (0.1, 0.2)],
    "quick": [quick(last, rate, size) for last in (64, 128) for rate in (0.01, 0.015) for size in (128, 96)],
    "best": [best(0.0), best(0.25), best(0.25, batch_size=128), best(0.5), best(0.25, num_epochs=20)],
    # No recipes of digitlib: tools/few.py measures what is chosen of these.
    "under-2000": [
        few("under-2000", [6, 8, 8, 10], [0, 2, 3], augment=False),
        few("under-2000", [6, 8, 8, 10], [0, 2, 3], augment=True),
        few("under-2000", [6, 6, 7, 7, 9], [0, 3], augment=False),
    ],
    "under-8000": [
        few("under-8000", [8, 16, 16, 24], [0, 2, 3], augment=False),
        few("under-8000", [8, 16, 16, 24], [0, 2, 3], augment=True),
        few("under-8000", [8, 12, 14, 16, 20], [0, 3], augment=False),
    ],
}
SEEDS = {"mlp": (0, 1), "quick": (0, 1, 2)}  # the others take long: seed 0 alone


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, and fill in the page's table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="of those that have candidates")
    names = parser.parse_args(arguments).recipes or CANDIDATES
    for name in names:
        for candidate in CANDIDATES[name]:
            for seed in SEEDS.get(name, (0,)):
                measure(change(candidate, seed=seed))
    if names is not CANDIDATES:
        return
    table = as_markdown(read())
    print(table)
    write_whole(PAGE, insert_table(PAGE.read_text(encoding="utf-8"), table, PAGE.name))


def read() -> dict[str, dict]:
    """Return what was measured: {fingerprint of the settings and the seed: figures}."""
    return json.loads(CHOICES.read_text(encoding="utf-8")) if CHOICES.exists() else {}


def measure(recipe: Recipe) -> None:
    """Train a candidate with its seed and store what it reads of the validation images, unless that is known."""
    if settings(recipe) in read():
        return
    model, _ = train(recipe)
    found = {"accuracy": evaluate(model, *load_part("validation")).accuracy}
    if recipe.roughen or recipe.name == "best":
        found["corrupted"] = corruptions.accuracies(model, "validation", corruptions.CHOOSING)
    print(recipe, found, flush=True)
    write_whole(CHOICES, json.dumps(read() | {settings(recipe): found}, indent=1) + "\n")


def figures(candidate: Recipe, measured: dict[str, dict]) -> list[dict]:
    """Return what was measured of a candidate, seed by seed."""
    seeds = SEEDS.get(candidate.name, (0,))
    return [measured[settings(change(candidate, seed=seed))] for seed in seeds]


def chosen(name: str, measured: dict[str, dict]) -> Recipe:
    """Return the candidate that the protocol's criterion picks.

    It is the one with the highest mean validation accuracy; the first, where several are equal. For `best` it is the
    one with the highest mean over the six corruptions, among those whose accuracy is within TOLERATED of the highest.
    """
    found = {index: figures(candidate, measured) for index, candidate in enumerate(CANDIDATES[name])}
    accuracy = {index: mean(run["accuracy"] for run in runs) for index, runs in found.items()}
    if name != "best":
        return CANDIDATES[name][max(accuracy, key=accuracy.get)]
    near = [index for index in found if accuracy[index] >= max(accuracy.values()) - TOLERATED]
    return CANDIDATES[name][max(near, key=lambda index: mean(found[index][0]["corrupted"].values()))]


def as_markdown(measured: dict[str, dict]) -> str:
    """Return a Markdown table of all candidates, the chosen one of each recipe in bold."""
    rows = [
        "| recipe | settings | seeds | validation accuracy | under six corruptions |",
        "|:--|:--|--:|--:|--:|",
    ]
    for name, candidates in CANDIDATES.items():
        for candidate in candidates:
            runs = figures(candidate, measured)
            shares = [run["accuracy"] for run in runs]
            spread = f" ± {100 * stdev(shares):.2f}" if len(shares) > 1 else ""
            mark = "**" if candidate == chosen(name, measured) else ""
            hard = f"{mean(runs[0]['corrupted'].values()):.2%}" if "corrupted" in runs[0] else ""
            shown = f"{mark}{mean(shares):.2%}{spread}{mark}"
            rows.append(f"| `{name}` | {describe(candidate)} | {len(runs)} | {shown} | {hard} |")
    return "\n".join(rows)


def describe(recipe: Recipe) -> str:
    """Return a candidate's settings that tell it from the others, for people."""
    words = [f"rate {recipe.learning_rate:g}, batches of {recipe.batch_size}"]
    if recipe.model == "cnn":
        words.append(f"dropout {recipe.model_options['dropout']:g}")
    if recipe.model == "convnet":
        words.append(f"{count_parameters(build_model(recipe)):,} parameters")
    if recipe.augment:
        words.append("augmented")
    if recipe.name == "best":
        words.append(f"{recipe.roughen:.0%} rough")
    if recipe.num_epochs >= 10 and recipe.model == "convnet":
        words.append(f"{recipe.num_epochs} epochs")
    return ", ".join(words)


if __name__ == "__main__":
    main()
