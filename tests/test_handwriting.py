"""The table of accuracies on digits by other writers: what each stage does, and what is counted."""

import numpy as np
import pytest
import torch
from torch import nn

from digitlib.recipes import RECIPES
from tools import handwriting


def test_the_images_are_scikit_learn_s():
    images, labels = handwriting.load_handwriting()
    assert images.shape == (1797, 8, 8) and images.dtype == np.float32
    assert images.min() == 0 and images.max() == 1
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.parametrize("stage", handwriting.STAGES)
def test_each_stage_gives_what_the_network_takes(stage):
    image = np.zeros((8, 8), np.float32)
    image[1:7, 4] = 1
    result = handwriting.STAGES[stage](image)
    assert result.shape == (28, 28) and 0 <= result.min() < result.max() <= 1


def test_the_stages_do_what_they_are_called():
    image = np.zeros((8, 8), np.float32)
    image[2:6, 1:3] = 1  # not in the middle
    rows = {name: np.flatnonzero((stage(image) > 0.5).any(1)) for name, stage in handwriting.STAGES.items()}
    heights = [np.ptp(each) + 1 for each in rows.values()]
    assert heights[:3] == pytest.approx([14, 10, 20], abs=1)
    assert min(heights[3:]) > 14  # cropped as well; the edges are softer
    centred = handwriting.centre(image)
    assert (centred.sum(0) * np.arange(28)).sum() / centred.sum() == pytest.approx(14, abs=0.51)


def test_a_picture_that_is_refused_shows_the_network_nothing():
    assert handwriting.photo(np.zeros((8, 8), np.float32)).max() == 0


def test_accuracies_are_counted_and_shown():
    class SaysThree(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.eye(10)[3])

        def forward(self, images):
            return self.logits.expand(len(images), 10)

    images, labels = handwriting.load_handwriting()
    results = handwriting.measure({"threes": SaysThree()}, images[:40], labels[:40])
    share = (labels[:40] == 3).float().mean().item()
    assert all(accuracy == pytest.approx(share) for accuracy in results["threes"].values())
    head, _, *rows = handwriting.as_markdown(results, 40).splitlines()
    assert head == "| preprocessing | `threes` |"
    assert len(rows) == len(handwriting.STAGES)
    assert all(f" {share:.1%} (" in row for row in rows)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match=next(iter(RECIPES))):
        handwriting.main(["no_such_recipe"])
