"""What the pages of results share: what was measured, read from the files beside, and the shape of their tables."""

import json
from pathlib import Path
from statistics import mean, stdev

import torch
from IPython.display import Markdown

from digitlib.data import load_raw, load_writers
from digitlib.evaluation import writers_interval
from digitlib.recipes import RECIPES

FOLDER = Path(__file__).parent
measured = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
bench = json.loads((FOLDER / "bench.json").read_text(encoding="utf-8"))
few = json.loads((FOLDER / "few.json").read_text(encoding="utf-8"))
images, labels = load_raw("test")
writers, students = load_writers("test")


def right_answers(run):
    """Return which test images a stored run read right, bool (10000,)."""
    right = torch.ones(len(labels), dtype=torch.bool)
    right[[int(number) for number in run["wrong"]]] = False
    return right


def table(columns, rows, words=1):
    """Return a Markdown table; so many columns of words are left-aligned, the others right."""
    lines = [columns, [":--"] * words + ["--:"] * (len(columns) - words), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def spread(shares):
    """Return the mean and the standard deviation of shares, in percent."""
    return f"{mean(shares):.2%} ± {100 * stdev(shares):.2f}"


def interval(values):
    """Return the 95% interval over writers of a mean over the test images, in percent."""
    low, high = writers_interval(values, writers)
    return f"{100 * low:.2f}–{high:.2%}"


def points(difference):
    """Return the 95% interval over writers of a difference over the test images, in percentage points."""
    low, high = writers_interval(difference, writers)
    return f"{100 * low:.2f} to {100 * high:.2f}".replace("-", "−")


runs = {name: list(measured["runs"][name].values()) for name in RECIPES}
right = {name: torch.stack([right_answers(run) for run in runs[name]]).double() for name in RECIPES}
shares = {name: each.mean(dim=1).tolist() for name, each in right.items()}
