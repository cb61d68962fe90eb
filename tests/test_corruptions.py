"""The corruptions: seeded, new tensors within 0 to 1, each as strong as its docstring says."""

import pytest
import torch

from tools import corruptions
from tools.corruptions import CHOOSING, MEASURED, corrupted

KINDS = MEASURED | CHOOSING


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def ink():
    return corruptions.load_raw("validation")[0][:200, None] / 255


def test_there_are_fourteen_and_six_others():
    assert (len(MEASURED), len(CHOOSING), len(KINDS)) == (14, 6, 20)


@pytest.mark.parametrize("name", KINDS)
def test_a_corruption_is_seeded_and_changes_every_image(name, ink):
    before, state = ink.clone(), torch.random.get_rng_state()
    changed = KINDS[name](ink, generator())
    assert changed.shape == ink.shape and changed.isfinite().all()
    assert torch.equal(KINDS[name](ink, generator()), changed)
    assert torch.equal(ink, before) and torch.equal(torch.random.get_rng_state(), state)
    untouched = (changed - ink).flatten(1).abs().amax(dim=1) < 0.05
    assert untouched.float().mean() < (0.4 if name == "cut edges" else 0.1)  # a side may hold no ink


def test_the_images_are_normalised_bytes_the_same_each_time():
    images, labels = corrupted("validation", "fog")
    assert images.shape == (5000, 1, 28, 28) and labels.shape == (5000,)
    levels = images * 0.3081 + 0.1307
    assert -1e-5 < levels.min() and levels.max() < 1 + 1e-5
    assert torch.equal(corrupted("validation", "fog")[0], images)


def test_strengths_are_those_of_the_docstrings(ink):
    blank, half = torch.zeros(400, 1, 28, 28), torch.full((400, 1, 28, 28), 0.5)
    assert corruptions.noise(half, generator()).std().item() == pytest.approx(0.3, abs=0.01)
    hit = corruptions.impulse(half, generator()) != 0.5
    assert hit.float().mean().item() == pytest.approx(0.15, abs=0.01)
    spot = blank[:1].clone()
    spot[0, 0, 14, 14] = 1
    blurred = corruptions.blur(spot, generator())
    places = torch.arange(28) - 14.0
    assert (blurred.sum((0, 1, 2)) * places**2).sum().item() ** 0.5 == pytest.approx(1.5, abs=0.03)
    shaken = corruptions.motion(spot.expand(50, 1, 28, 28), generator())
    assert shaken.sum((1, 2, 3)) == pytest.approx(torch.ones(50), abs=1e-4)
    lifted = corruptions.brightness(blank, generator())
    assert 0.3 <= lifted.min() < 0.31 and 0.49 < lifted.max() <= 0.5
    flat = corruptions.contrast(ink, generator())
    assert 0.3 <= flat.min() and flat.max() <= 0.7
    foggy = corruptions.fog(blank, generator()).flatten(1)
    assert foggy.amin(1) == pytest.approx(torch.full((400,), 0.2)) and foggy.amax(1).max() <= 0.751
    drops = corruptions.spatter(blank, generator()) > 0
    assert drops.float().mean().item() == pytest.approx(0.125, abs=0.01)
    upside = corruptions.stripes(blank, generator())
    assert set(upside.sum(2).unique().tolist()) == {0.0, 28.0} and upside.mean() == pytest.approx(
        5.05 / 28, abs=0.01
    )
    assert corruptions.cut_edges(torch.ones(8, 1, 28, 28), generator()).mean().item() == pytest.approx(0.75)


def test_shapes_are_moved_as_far_as_is_said():
    cross = torch.zeros(60, 1, 28, 28)
    cross[:, :, 4:24, 13:15] = 1  # an upright bar, 20 high
    tall = corruptions.scale(cross, generator()).amax(3).gt(0.5).sum(2).float()
    assert 11 <= tall.min() and tall.max() <= 16  # 0.6 to 0.75 of 20

    def lean(images):
        """The middle of the top four rows, against that of the bottom four, in pixels."""
        middle = (images * torch.arange(28)).sum(3) / images.sum(3).clamp(min=1e-6)
        return (middle[:, 0, 7:10].mean(1) - middle[:, 0, 18:21].mean(1)).abs()

    slanted, turned = (
        lean(corruptions.shear(cross, generator())),
        lean(corruptions.rotation(cross, generator())),
    )
    assert 0.4 * 11 - 0.7 <= slanted.min() and slanted.max() <= 0.6 * 11 + 0.7
    assert 11 * 0.36 - 0.7 <= turned.min() and turned.max() <= 11 * 0.58 + 0.7  # tan 20° and tan 30°
