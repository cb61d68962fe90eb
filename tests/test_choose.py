"""The recipes are those that the protocol chose, on validation images alone; the page shows all that was tried."""

import json

import pytest

from digitlib import data
from digitlib.models import count_parameters
from digitlib.recipes import RECIPES, build_model, change, find
from tools import choose, few, pages
from tools.results import settings


def test_the_recipes_are_the_chosen_candidates():
    measured = choose.read()
    for name in RECIPES:
        assert settings(choose.chosen(name, measured)) == settings(find(name)), name


def test_the_page_shows_every_candidate():
    text = choose.PAGE.read_text(encoding="utf-8")
    table = choose.as_markdown(choose.read())
    assert pages.insert_table(text, table, "protocol.md") == text, "run: python -m tools.choose"
    assert table.count("\n") == 1 + sum(map(len, choose.CANDIDATES.values()))


@pytest.fixture
def made_up(monkeypatch):
    """Three candidates for `best` and three for `mlp`, with figures that the criteria judge differently."""
    best = [choose.best(share) for share in (0.0, 0.25, 0.5)]
    mlp = [choose.dense(learning_rate=rate) for rate in (0.001, 0.002, 0.003)]
    monkeypatch.setattr(choose, "CANDIDATES", {"best": best, "mlp": mlp})
    monkeypatch.setattr(choose, "SEEDS", {})
    accuracy, hard = (0.9950, 0.9945, 0.9938), (0.80, 0.95, 0.97)
    return {
        settings(candidate): {"accuracy": share, "corrupted": {"zigzag": other, "patches": other}}
        for candidate, share, other in zip(best + mlp, accuracy + accuracy[::-1], hard + hard)
    }


def test_the_criteria_are_those_of_the_protocol(made_up):
    assert choose.chosen("mlp", made_up).learning_rate == 0.003, "the highest accuracy"
    assert choose.chosen("best", made_up).roughen == 0.25, "within 0.1 points of it, the best under damage"


def test_choosing_opens_no_test_image(made_up, monkeypatch, tmp_path):
    opened, load_raw = [], data.load_raw

    def load_few(part):
        opened.append(part)
        return tuple(tensor[:300] for tensor in load_raw(part))

    monkeypatch.setattr(data, "load_raw", load_few)
    monkeypatch.setattr(choose.corruptions, "load_raw", load_few)
    monkeypatch.setattr(choose, "CHOICES", tmp_path / "choices.json")
    choose.corruptions.corrupted.cache_clear()
    choose.measure(change(choose.best(0.25), num_epochs=1))
    (found,) = json.loads((tmp_path / "choices.json").read_text()).values()
    assert set(opened) == {"train", "validation"} and list(found["corrupted"]) == list(
        choose.corruptions.CHOOSING
    )
    choose.measure(change(choose.best(0.25), num_epochs=1))
    assert len(choose.read()) == 1, "what is known is not measured again"
    choose.corruptions.corrupted.cache_clear()  # of few images


def test_the_small_networks_are_the_chosen_ones_and_as_small_as_said():
    stored = json.loads(few.FEW.read_text(encoding="utf-8"))
    for name, limit in zip(few.NAMES, (2000, 8000), strict=True):
        runs = few.runs_of(name)
        assert stored[name]["settings"] == [settings(run) for run in runs], "run: python -m tools.few"
        assert stored[name]["parameters"] == count_parameters(build_model(runs[0])) < limit
        assert len(stored[name]["test"]) == len(few.SEEDS)
