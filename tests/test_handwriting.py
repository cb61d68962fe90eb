"""The table of accuracies on digits by other writers: what each stage does, what is counted, what the page says."""

import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from digitlib.checkpoints import RECOMMENDED
from digitlib.evaluation import writers_interval
from digitlib.recipes import RECIPES
from tools import handwriting, pages


@pytest.fixture(scope="module")
def data():
    return handwriting.load_handwriting()


def test_the_images_are_scikit_learn_s(data):
    images, labels = data
    assert images.shape == (1797, 8, 8) and images.dtype == np.float32
    assert images.min() == 0 and images.max() == 1
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.parametrize("stage", handwriting.STAGES)
def test_each_stage_gives_what_the_network_takes(stage):
    image = np.zeros((8, 8), np.float32)
    image[1:7, 4] = 1
    result = handwriting.STAGES[stage](image, 7)
    assert result.shape == (28, 28) and 0 <= result.min() < result.max() <= 1


def test_the_stages_do_what_they_are_called():
    image = np.zeros((8, 8), np.float32)
    image[2:6, 1:3] = 1  # not in the middle
    stages = [handwriting.stretch, handwriting.box, handwriting.crop, handwriting.centre]
    heights = [np.ptp(np.flatnonzero((stage(image) > 0.5).any(1))) + 1 for stage in stages]
    assert heights[:3] == pytest.approx([14, 10, 20], abs=1)
    assert heights[3] > 14  # cropped as well; the edges are softer
    centred = handwriting.centre(image)
    assert (centred.sum(0) * np.arange(28)).sum() / centred.sum() == pytest.approx(14, abs=0.51)


@pytest.mark.parametrize("filter", handwriting.FILTERS.values(), ids=list(handwriting.FILTERS))
def test_pictures_are_of_all_sizes_dark_and_light_with_and_without_a_margin(filter):
    image = np.zeros((8, 8), np.float32)
    image[:, 3:5] = 1  # from the top of the picture to its bottom, if there is no margin
    num_sides = len(handwriting.SIDES)
    pictures = [handwriting.enlarge(image, number, filter) for number in range(4 * num_sides)]
    assert {picture.shape for picture in pictures} == {(side, side) for side in handwriting.SIDES}
    for side in range(num_sides):
        light, dark, light_in_margin, dark_in_margin = pictures[side::num_sides]
        assert dark == pytest.approx(1 - light) and dark_in_margin == pytest.approx(1 - light_in_margin)
        assert light[0].max() > 0.9 and light_in_margin[0].max() < 0.1
        assert light[:, 0].max() < 0.1


def test_pictures_hold_the_levels_of_a_file():
    levels = 255 * handwriting.enlarge(np.random.default_rng(0).random((8, 8), np.float32), 3, 1)
    assert levels == pytest.approx(np.rint(levels), abs=1e-3)


class SaysThree(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.eye(10)[3])

    def forward(self, images):
        return self.logits.expand(len(images), 10)


def test_accuracies_are_counted_and_shown(data, monkeypatch):
    images, labels = data
    stages = dict(list(handwriting.STAGES.items())[:4])
    monkeypatch.setattr(handwriting, "STAGES", stages)
    found = handwriting.measure({"threes": SaysThree()}, images, labels)
    assert all(torch.equal(right, labels == 3) for right in found["threes"].values())
    head, _, *rows = handwriting.as_markdown(found).splitlines()
    assert head == "| what the network gets | `threes` |"
    assert len(rows) == len(stages)
    low, high = writers_interval(labels == 3, handwriting.runs_of_neighbours(1797))
    share = (labels == 3).double().mean()
    assert all(row.endswith(f" | {share:.1%}<br>{100 * low:.1f}–{100 * high:.1f} |") for row in rows)


def test_the_runs_of_neighbours_are_thirteen_and_alike_in_length():
    sizes = handwriting.runs_of_neighbours(1797).bincount()
    assert len(sizes) == 13 and sizes.max() - sizes.min() <= 1


def test_a_picture_that_is_refused_counts_as_misread(monkeypatch):
    stage = "`predict`, nearest"
    monkeypatch.setattr(handwriting, "STAGES", {stage: handwriting.STAGES[stage]})
    images = np.zeros((2, 8, 8), np.float32)  # one of them blank
    images[1, :, 3:5] = 1
    results = handwriting.measure({"threes": SaysThree()}, images, torch.tensor([3, 3]))
    assert results["threes"][stage].tolist() == [False, True]


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match=next(iter(RECIPES))):
        handwriting.main(["no_such_recipe"])


# --- the page


@pytest.fixture(scope="module")
def shown():
    """The page's table: {stage: {recipe: (accuracy, lower limit, upper limit)}}, in percent."""
    text = handwriting.PAGE.read_text(encoding="utf-8")
    table = text.partition(pages.START)[2].partition(pages.END)[0].strip()
    assert pages.insert_table(text, table, "page.md") == text
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    recipes = [name.strip("`") for name in head[1:]]
    numbers = [
        [tuple(map(float, re.fullmatch(r"([\d.]+)%<br>([\d.]+)–([\d.]+)", cell).groups())) for cell in cells]
        for _, *cells in rows
    ]
    return {row[0]: dict(zip(recipes, line, strict=True)) for row, line in zip(rows, numbers)}


def test_the_page_shows_every_recipe_at_every_stage(shown):
    assert list(shown) == list(handwriting.STAGES)
    assert all(list(line) == list(RECIPES) for line in shown.values())
    for line in shown.values():
        for accuracy, low, high in line.values():
            assert 0 <= low < accuracy < high <= 100


def test_what_the_page_says_follows_from_its_table(shown):
    stretched, _, _, centred, *predicted = (
        {name: accuracy for name, (accuracy, _, _) in line.items()} for line in shown.values()
    )
    assert all(centred[name] > stretched[name] for name in RECIPES), "more with all four stages"
    assert all(max(line, key=line.get) == RECOMMENDED for line in predicted), "best reads the most"


def test_the_page_knows_how_many_wrote_the_images():
    people = re.search(r"different (\d+)\s+to the test set", load_digits().DESCR).group(1)
    assert f"by {people} writers" in handwriting.PAGE.read_text(encoding="utf-8")
    assert f"by {people} writers" in handwriting.__doc__
