"""Numbers within their tolerances pass, everything else fails: other numbers, other words, a turned conclusion."""

import copy
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.guards import NAMES, read
from tools.tolerances import compare, earlier, numbers, record, round_up, too_wide, within_tolerance

STORED = "CNN accuracy  99.12%, MLP accuracy 98.31%\n1,075 steps, p = 3.2e-05, gap -0.20\n"


def outputs(text):
    table = new_output("display_data", data={"text/markdown": "| 7 | 0.50 |", "image/png": "AAAA"})
    return [new_output("stream", name="stdout", text=text), table]


def verdict(text, varies, stored=STORED):
    """Return whether the text passes for the stored one, and the complaints."""
    aligned, complaints = within_tolerance(outputs(text), outputs(stored), varies)
    return aligned == outputs(stored), complaints


VARIES = {"0": [0.1, 0.2], "1": [0.2, 0.4], "3": [1e-5, 2e-5], "4": [0.05, 0.1]}


def test_numbers_are_found_in_every_form():
    assert numbers(STORED) == ["99.12", "98.31", "1,075", "3.2e-05", "-0.20"]
    assert numbers("3×3, conv2, text/2, [1, 2.5], 10% of 4.") == ["3", "3", "2", "1", "2.5", "10", "4"]


@pytest.mark.parametrize(
    "text",
    [
        STORED,
        STORED.replace("99.12", "99.31").replace("98.31", "98.00"),
        STORED.replace("  99.12", " 99.0"),
        STORED.replace("3.2e-05", "0.00005"),
        STORED.replace("-0.20", "-0.11"),
    ],
)
def test_numbers_within_their_tolerances_pass(text):
    assert verdict(text, VARIES) == (True, [])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("99.12", "99.33", r"number 0 .*expected 99.12 ± 0.2, got 99.33"),
        ("98.31", "97.90", r"number 1 .*expected 98.31 ± 0.4"),
        ("1,075", "1,076", r"number 2 .*expected 1,075 ± 0, got 1,076"),
        ("3.2e-05", "5.3e-05", "number 3"),
        ("-0.20", "0.20", "number 4"),
    ],
)
def test_a_number_beyond_its_tolerance_is_named_with_what_was_stored(old, new, expected):
    _, complaints = verdict(STORED.replace(old, new), VARIES)
    assert len(complaints) == 1 and re.search(expected, complaints[0])


def test_words_are_compared_to_the_letter():
    for old, new in (("CNN", "RNN"), ("steps,", "steps"), ("%", ""), ("\n1", " 1")):
        same, complaints = verdict(STORED.replace(old, new, 1), VARIES)
        assert not same and not complaints  # nbval's own comparison says what differs


def test_a_conclusion_that_is_turned_is_found_though_each_number_is_near_enough():
    wide = {"0": [0.3, 0.6], "1": [0.3, 0.6]}
    _, complaints = verdict(STORED.replace("99.12", "98.60").replace("98.31", "98.80"), wide)
    assert len(complaints) == 1 and "a conclusion is turned" in complaints[0]


def notebook(text):
    cells = [new_code_cell("print(1)", id="first", outputs=[new_output("stream", name="stdout", text=text)])]
    return new_notebook(cells=[*cells, new_code_cell("x = 1", id="second")])


def test_what_was_seen_is_recorded_and_twice_that_allowed():
    stored = notebook("loss 0.1000, right 98.20%\n")
    seen = compare(stored, notebook("loss 0.1023, right 98.20%\n"))
    assert seen == {"first": {"0": pytest.approx(0.0023)}}
    record(stored, seen)
    assert stored.cells[0].metadata.digitlib.varies == {"0": [0.0023, 0.0046]}
    assert earlier(stored) == {"first": {"0": 0.0023}}
    assert "varies" not in stored.cells[1].metadata.get("digitlib", {})
    assert too_wide(stored) == []
    record(stored, {})
    assert "varies" not in stored.cells[0].metadata.get("digitlib", {})
    with pytest.raises(ValueError, match="cell first to differ in numbers alone"):
        compare(stored, notebook("loss 0.1000, wrong 98.20%\n"))


def test_a_number_is_rounded_up_to_two_digits():
    assert [round_up(number) for number in (0.00231, 0.2, 12.01, 0.099)] == [0.0024, 0.2, 13, 0.099]


@pytest.mark.parametrize("varies", [{"0": [0.1, 0.5]}, {"0": [0.1, 0]}, {"9": [0.1, 0.2]}, {"0": [0, 0.1]}])
def test_a_tolerance_that_is_wider_than_what_was_seen_or_of_no_number_is_found(varies):
    tampered = notebook("loss 0.1000\n")
    tampered.cells[0].metadata.digitlib = {"varies": varies}
    assert len(too_wide(nbformat.from_dict(copy.deepcopy(tampered)))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_no_notebook_has_a_tolerance_that_is_too_wide(name):
    assert too_wide(read(name)) == []
