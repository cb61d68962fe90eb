"""The results page: the three systems as they are today, the promised accuracies, and the same table in the README."""

import re

import pytest

from digitlib.models import count_parameters
from digitlib.recipes import RECIPES, build_model
from tools import results

# Shares of the 10,000 test images that the course promises, above what the earlier systems read.
AT_LEAST = {"mlp": 0.98, "cnn": 0.985, "rnn": 0.968}


def parse(table: str) -> dict[str, dict[str, str]]:
    """Return {recipe: {column: text}} of a Markdown table."""
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {row[0].strip("`"): dict(zip(head, row, strict=True)) for row in rows}


@pytest.fixture(scope="module")
def rows():
    return parse(results.read_table(results.NOTEBOOK))


def test_the_three_systems_have_a_row_with_their_settings_of_today(rows):
    assert list(rows) == ["mlp", "cnn", "rnn"]
    for name, row in rows.items():
        assert row["network"] == RECIPES[name].title
        assert row["parameters"] == f"{count_parameters(build_model(RECIPES[name])):,}"
        assert row["epochs"] == str(RECIPES[name].num_epochs)


@pytest.mark.parametrize("name", AT_LEAST)
def test_the_promised_accuracy_was_measured(rows, name):
    accuracy, low, high = (
        float(share) / 100 for share in re.findall(r"([\d.]+)%", rows[name]["accuracy (95% interval)"])
    )
    assert AT_LEAST[name] <= accuracy <= 1
    assert low < accuracy < high
    for column in ("precision", "recall", "F1"):
        assert accuracy - 0.01 < float(rows[name][column]) < 1


def test_the_readme_holds_the_same_table():
    text = results.README.read_text(encoding="utf-8")
    assert results.insert_table(text, results.read_table(results.NOTEBOOK)) == text, (
        "run: python -m tools.results"
    )


def test_a_changed_digit_in_the_readme_is_found():
    table = results.read_table(results.NOTEBOOK)
    text = results.insert_table(f"{results.START}\n{results.END}\n", table)
    tampered = text.replace("9", "8", 1)
    assert tampered != text
    assert results.insert_table(tampered, table) == text


@pytest.mark.parametrize(
    "text", ["", results.START, f"{results.END}{results.START}", f"{results.START}{results.END}" * 2]
)
def test_a_readme_without_the_marks_is_refused(text):
    with pytest.raises(ValueError, match=r"expected one <!-- results:start -->"):
        results.insert_table(text, "| a |")


def test_a_notebook_that_was_not_executed_is_refused(tmp_path):
    path = tmp_path / "results.ipynb"
    path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with pytest.raises(ValueError, match="make results"):
        results.read_table(path)
