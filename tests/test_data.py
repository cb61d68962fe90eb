"""The data: the published images and no others, split once, in the numbers that a network expects.

Every damage to a file must end in the right images or in a message that says what to do; the tests then do it.
"""

import errno
import gzip
import hashlib
import math
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import MNIST

from digitlib import data, storage
from digitlib.data import (
    PARTS,
    TRAIN_MEAN,
    TRAIN_STD,
    DataError,
    add_flags,
    augment,
    batches,
    fetch,
    load_part,
    load_raw,
    load_writers,
    normalise,
    roughen,
    split_indices,
    statistics,
)

PUBLISHED_FOLDER = Path(__file__).parents[1] / "data" / "MNIST" / "raw"
ARCHIVES = [name for name, _ in MNIST.resources]
UNPACKED = [name.removesuffix(".gz") for name in ARCHIVES]
BACKGROUND = -TRAIN_MEAN / TRAIN_STD

# How many images each part has, and the SHA-256 of all its pixels and labels.
PUBLISHED = {
    "train": (55_000, "1b15900f1f39188b747ce22d239c754944a0f7ae053741bad739efec7bd3b2b6"),
    "validation": (5_000, "a8ddabc4c72425641fb0366bb58db0fdfe26c510c9bf0eb1b316893a0b2bae77"),
    "test": (10_000, "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891"),
}


@pytest.fixture(scope="module")
def raw():
    return {part: load_raw(part) for part in PARTS}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def flag(images, draw):
    """Draw a flag on each image, as if all were 1s."""
    return add_flags(images, torch.ones(len(images), dtype=torch.int64), draw, share=1.0)


# --- the three parts


@pytest.mark.parametrize("part", PARTS)
def test_a_part_holds_the_published_images(part, raw):
    num_images, digest = PUBLISHED[part]
    images, labels = raw[part]
    assert images.shape == (num_images, 28, 28) and images.dtype == torch.uint8
    assert labels.shape == (num_images,) and labels.dtype == torch.int64
    content = images.numpy().tobytes() + labels.numpy().astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest() == digest


def test_the_parts_are_the_archives_divided_by_split_indices(raw):
    """The archives, read without torchvision and without digitlib."""

    def read(name, header):
        with gzip.open(PUBLISHED_FOLDER / name) as file:
            return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=header).copy())

    images, labels = read(ARCHIVES[0], 16).view(-1, 28, 28), read(ARCHIVES[1], 8).long()
    with gzip.open(PUBLISHED_FOLDER.parents[1] / "writers" / "train.csv.gz", "rt") as file:
        writers = torch.tensor([int(line.split(",")[0]) for line in file.read().splitlines()[1:]])
    indices = split_indices(writers)
    for part in ("train", "validation"):
        assert torch.equal(load_writers(part)[0], writers[indices[part]])
        assert torch.equal(raw[part][0], images[indices[part]])
        assert torch.equal(raw[part][1], labels[indices[part]])
    assert torch.equal(raw["test"][0], read(ARCHIVES[2], 16).view(-1, 28, 28))
    assert torch.equal(raw["test"][1], read(ARCHIVES[3], 8).long())


def test_ordinary_digits_are_ten_of_the_validation_part_no_other_nearer_to_the_mean_of_its_digit():
    images, labels = data.load_raw("validation")
    for digit, found in enumerate(data.ordinary_digits()):
        own = images[labels == digit].flatten(1).double()
        distances = torch.cdist(own, own.mean(dim=0, keepdim=True))
        assert torch.equal(own[distances.argmin()], found.flatten().double())


def test_nobody_writes_in_two_parts_and_both_groups_write_in_each():
    writers, students = zip(*(load_writers(part) for part in PARTS), strict=True)
    people = [set(each.tolist()) for each in writers]
    assert [len(each) for each in people] == [495, 44, 297]
    assert len(set.union(*people)) == 495 + 44 + 297
    assert all(abs(share.double().mean() - 0.5) < 0.02 for share in students)
    # The first half of the test images is by students, but for one of the second; so MNIST was put together.
    assert students[2][:5_000].all() and students[2][5_000:].sum() == 1


def test_a_split_holds_each_image_once_whole_writers_drawn_by_its_seed():
    drawn = torch.randint(300, (20_000,), generator=generator())
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    indices = split_indices(drawn, num_validation=4_000)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(torch.cat(list(indices.values())).sort().values, torch.arange(20_000))
    assert all(torch.equal(part, part.sort().values) for part in indices.values())
    assert not set(drawn[indices["train"]].tolist()) & set(drawn[indices["validation"]].tolist())
    largest = drawn.bincount().max()
    assert 4_000 - largest < len(indices["validation"]) <= 4_000
    chosen = drawn[indices["validation"]].unique().double()
    assert abs(chosen.mean() - 149.5) < 40  # from everywhere: the first 60 of 300 have a mean of 30
    assert torch.equal(split_indices(drawn, num_validation=4_000)["validation"], indices["validation"])
    assert not torch.equal(split_indices(drawn, num_validation=4_000, seed=2)["train"], indices["train"])


def test_a_split_may_keep_everything_for_training_but_not_nothing():
    writers = torch.arange(10)
    assert split_indices(writers, num_validation=0)["train"].tolist() == list(range(10))
    for num_validation in (-1, 10, 11):
        with pytest.raises(ValueError, match=f"num_validation < 10, got {num_validation}"):
            split_indices(writers, num_validation=num_validation)


@pytest.mark.parametrize("load", [load_raw, load_part, load_writers])
@pytest.mark.parametrize("part", ["Train", None])
def test_an_unknown_part_is_named_beside_the_known_ones(load, part):
    with pytest.raises(ValueError, match=f"train, validation, test, got {part!r}"):
        load(part)


# --- numbers for a network


def test_the_statistics_are_those_of_the_training_part_alone(raw):
    counts = np.bincount(raw["train"][0].numpy().ravel(), minlength=256)
    levels = np.arange(256) / 255
    expected_mean = (counts * levels).sum() / counts.sum()
    expected_std = math.sqrt((counts * (levels - expected_mean) ** 2).sum() / counts.sum())
    assert (round(expected_mean, 4), round(expected_std, 4)) == (TRAIN_MEAN, TRAIN_STD)
    mean, std = statistics(raw["train"][0])
    assert mean == pytest.approx(expected_mean, abs=1e-9)
    assert std == pytest.approx(expected_std, abs=1e-7)
    assert statistics(raw["test"][0])[0] != pytest.approx(mean, abs=1e-3), "other images, other statistics"


def test_normalise_by_hand():
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[0, 3, 4], images[0, 27, 0] = 255, 51
    before = images.clone()
    normalised = normalise(images)
    assert normalised.shape == (1, 1, 28, 28) and normalised.dtype == torch.float32
    assert normalised[0, 0, 0, 0].item() == pytest.approx((0 - 0.1307) / 0.3081, abs=1e-6)
    assert normalised[0, 0, 3, 4].item() == pytest.approx((1 - 0.1307) / 0.3081, abs=1e-6)
    assert normalised[0, 0, 27, 0].item() == pytest.approx((0.2 - 0.1307) / 0.3081, abs=1e-6)
    assert normalise(images, mean=0.0, std=1.0).max().item() == 1.0
    assert torch.equal(images, before), "the input is as it was"
    turned = images.transpose(1, 2)
    assert torch.equal(normalise(turned), normalise(turned.contiguous()))
    assert normalise(images[:0]).shape == (0, 1, 28, 28)


def test_the_outer_three_pixels_hold_a_hundredth_of_the_ink(raw):
    """What ConvNet says when it leaves out padding."""
    images = raw["train"][0]
    middle, everything = images[:, 3:-3, 3:-3].sum(dtype=torch.int64), images.sum(dtype=torch.int64)
    assert 1 - (middle / everything).item() == pytest.approx(0.01, abs=0.0005)


UINT8, FLOAT = "uint8 images of shape (N, 28, 28)", "float images of shape (N, 1, 28, 28)"


@pytest.mark.parametrize(
    ("change", "expected", "images"),
    [
        *(
            (normalise, UINT8, torch.zeros(shape, dtype=torch.uint8))
            for shape in [(28, 28), (5, 1, 28, 28), (5, 28, 27)]
        ),
        (normalise, UINT8, torch.zeros(5, 28, 28)),
        *((augment, FLOAT, torch.zeros(shape)) for shape in [(5, 28, 28), (5, 3, 28, 28)]),
        *(
            (change, FLOAT, torch.zeros(5, 1, 28, 28, dtype=torch.uint8))
            for change in (augment, roughen, flag)
        ),
    ],
)
def test_images_of_another_kind_are_refused_with_what_to_do(change, expected, images):
    with pytest.raises(ValueError) as caught:
        change(images, *([] if change is normalise else [generator()]))
    assert expected in str(caught.value) and f"got {images.dtype} of shape {tuple(images.shape)}" in str(
        caught.value
    )
    advice = "image[None]", "images[:, None]", "normalise(images)"
    assert any(words in str(caught.value) for words in advice)


# --- batches


def numbered(num_images):
    """Images that know their number, and labels that repeat it."""
    numbers = torch.arange(num_images)
    return numbers.float().view(-1, 1, 1, 1).expand(-1, 1, 28, 28), numbers


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(
    ("num_images", "batch_size", "lengths"),
    [(10, 3, [3, 3, 3, 1]), (9, 3, [3, 3, 3]), (2, 5, [2]), (1, 1, [1])],
)
def test_every_image_comes_once_with_its_own_label(num_images, batch_size, lengths, seed):
    epoch = list(batches(*numbered(num_images), batch_size, None if seed is None else generator(seed)))
    assert [len(images) for images, _ in epoch] == lengths
    assert all(images.shape == (len(labels), 1, 28, 28) for images, labels in epoch)
    assert all(torch.equal(images[:, 0, 0, 0].long(), labels) for images, labels in epoch)
    assert sorted(torch.cat([labels for _, labels in epoch]).tolist()) == list(range(num_images))


def test_shuffling_is_seeded_and_new_each_epoch():
    def order(draw=None):
        return torch.cat([labels for _, labels in batches(*numbered(100), 7, draw)]).tolist()

    state, draw = torch.random.get_rng_state(), generator(1)
    first, second = order(draw), order(draw)
    assert order() == list(range(100))
    assert order() != first != second
    draw.manual_seed(1)
    assert [order(draw), order(draw)] == [first, second]
    assert order(generator(2)) != first
    assert torch.equal(torch.random.get_rng_state(), state), "the global random numbers are left alone"


@pytest.mark.parametrize("draw", [None, torch.Generator()])
@pytest.mark.parametrize(
    ("num_images", "num_labels", "batch_size"),
    [(10, 9, 3), (9, 10, 3), (10, 10, 0), (10, 10, -1), (0, 0, 3)],
)
def test_batches_refuses_what_would_mix_images_up_when_it_is_called(num_images, num_labels, batch_size, draw):
    found = f"got {num_images} images, {num_labels} labels and batch_size {batch_size}"
    with pytest.raises(ValueError, match=found):
        batches(torch.zeros(num_images, 1), torch.zeros(num_labels), batch_size, draw)


# --- augmentation


def blobs(num_images, *, width=2.5, height=2.5):
    """A soft blob in the middle of each image, as normalise would leave it."""
    place = torch.arange(28) - 13.5
    blob = torch.exp(-(place[None, :] ** 2) / (2 * width**2) - (place[:, None] ** 2) / (2 * height**2))
    return ((blob - TRAIN_MEAN) / TRAIN_STD).expand(num_images, 1, 28, 28)


def moments(images):
    """The centre of mass of the ink (x, y) and its covariance (xx, xy, yy), per image, in pixels."""
    ink = ((images[:, 0] - BACKGROUND) * TRAIN_STD).double()
    ink = ink / ink.sum(dim=(1, 2), keepdim=True)
    place = torch.arange(28).double() - 13.5
    x, y = place.view(1, 1, 28), place.view(1, 28, 1)
    centre_x, centre_y = (ink * x).sum(dim=(1, 2)), (ink * y).sum(dim=(1, 2))
    x, y = x - centre_x.view(-1, 1, 1), y - centre_y.view(-1, 1, 1)
    spread = torch.stack([(ink * a * b).sum(dim=(1, 2)) for a, b in ((x, x), (x, y), (y, y))])
    return torch.stack([centre_x, centre_y]), spread


def assert_uniform(values, low, high):
    """The values fill the range from low to high evenly, and do not leave it."""
    width = high - low
    slack = 0.03 * width  # drawing a blob between pixels widens it a little
    assert values.min().item() == pytest.approx(low, abs=slack)
    assert values.max().item() == pytest.approx(high, abs=slack)
    assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.05 * width)
    assert values.std().item() == pytest.approx(width / math.sqrt(12), rel=0.1)


def change(images, max_degrees=0, max_shift=0, max_scale=0):
    return augment(images, generator(), max_degrees=max_degrees, max_shift=max_shift, max_scale=max_scale)


def test_a_shift_moves_the_centre_by_up_to_max_shift_pixels_along_each_axis():
    (x, y), _ = moments(change(blobs(600), max_shift=4))
    assert_uniform(x, -4, 4)
    assert_uniform(y, -4, 4)
    assert abs(torch.corrcoef(torch.stack([x, y]))[0, 1]) < 0.15, "the two axes are drawn apart"


def test_a_scale_of_one_half_makes_from_half_to_one_and_a_half_times_the_size():
    images = blobs(600)
    centre, (xx, xy, yy) = moments(change(images, max_scale=0.5))
    assert centre.abs().max() < 0.01
    assert_uniform((xx / moments(images)[1][0]).sqrt(), 0.5, 1.5)
    torch.testing.assert_close(xx, yy, atol=0.01, rtol=0)
    assert xy.abs().max() < 0.01


def test_a_turn_is_up_to_max_degrees_either_way_and_keeps_the_size():
    images = blobs(600, width=4, height=1.5)
    centre, (xx, xy, yy) = moments(change(images, max_degrees=30))
    assert centre.abs().max() < 0.01
    assert_uniform(torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy)), -30, 30)
    before = moments(images)[1]
    torch.testing.assert_close(xx + yy, before[0] + before[2], atol=0, rtol=0.03)


def test_the_three_changes_are_drawn_apart():
    images = change(blobs(600, width=3, height=1.5), max_degrees=20, max_shift=3, max_scale=0.2)
    (x, y), (xx, xy, yy) = moments(images)
    draws = torch.stack([x, y, 0.5 * torch.atan2(2 * xy, xx - yy), (xx + yy).sqrt()])
    assert (torch.corrcoef(draws) - torch.eye(4)).abs().max() < 0.15


def test_no_change_is_none_and_what_comes_in_from_outside_is_background(raw):
    images = normalise(raw["test"][0][:100])
    torch.testing.assert_close(change(images), images, atol=1e-4, rtol=0)
    blank = torch.full((20, 1, 28, 28), BACKGROUND)
    turned = change(blank, max_degrees=180, max_shift=20, max_scale=0.5)
    torch.testing.assert_close(turned, blank, atol=1e-6, rtol=0)
    ink = normalise(torch.full((20, 28, 28), 255, dtype=torch.uint8))
    gone = change(ink, max_shift=14)
    assert gone.min().item() == pytest.approx(BACKGROUND, abs=1e-6)
    assert gone.max().item() <= ink.max().item() + 1e-5


@pytest.mark.parametrize("change", [augment, roughen, flag])
def test_augmentation_is_seeded_and_touches_nothing_else(change, raw):
    images = normalise(raw["test"][0][:20])
    before, state, draw = images.clone(), torch.random.get_rng_state(), generator(3)
    first, second = change(images, draw), change(images, draw)
    assert first.shape == images.shape and first.dtype == images.dtype
    assert not torch.equal(first, second) and not torch.equal(first, images), "each call draws anew"
    assert torch.equal(change(images, generator(3)), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    first.zero_()
    assert torch.equal(images, before), "the result shares no memory with the input"
    turned = images.transpose(2, 3)
    expected = change(turned.contiguous(), generator())
    for same in (turned, turned.to(memory_format=torch.channels_last)):
        torch.testing.assert_close(change(same, generator()), expected, atol=1e-5, rtol=0)


def test_a_flag_leads_to_the_tip_of_a_share_of_the_1s_and_nothing_else_changes(raw):
    images, labels = normalise(raw["train"][0][:2000]), raw["train"][1][:2000]
    flagged = add_flags(images, labels, generator(), share=0.25)
    changed = (flagged != images).flatten(1).any(dim=1)
    assert not changed[labels != 1].any() and 0.15 < changed[labels == 1].double().mean() < 0.35
    assert torch.equal(add_flags(images, labels, generator(), share=0), images)

    line = torch.zeros(50, 28, 28, dtype=torch.uint8)
    line[:, 4:24, 14] = 255
    ones = torch.ones(50, dtype=torch.int64)
    added = (add_flags(normalise(line), ones, generator(), share=1) - normalise(line)).squeeze(1) > 0.5
    rows, columns = added.any(dim=2).double(), added.any(dim=1).double()
    assert rows[:, :3].sum() == 0 and columns[:, 17:].sum() == 0, "below the tip, and left of it"
    assert rows[:, 5:7].all() and columns[:, 12:14].all(), "from the tip on"
    assert rows[:, 18:].sum() == 0 and columns[:, :1].sum() == 0, "and shorter than the 1"
    assert len(added.flatten(1).unique(dim=0)) > 40, "each another one"


@pytest.mark.parametrize("label", [[], [0, 7], [1]])
def test_flags_bear_a_batch_without_a_1_and_a_blank_image(label):
    blank = torch.full((len(label), 1, 28, 28), BACKGROUND)
    assert add_flags(blank, torch.tensor(label), generator(), share=1).isfinite().all()


def test_roughen_changes_a_share_of_the_images_and_leaves_the_others(raw):
    images = normalise(raw["train"][0][:100])
    for seed in range(10):
        rough = roughen(images, generator(seed), share=0.4)
        assert torch.equal(rough[40:], images[40:])
        changed = (rough[:40] != images[:40]).flatten(1).any(dim=1).sum()
        assert changed >= 34  # 1 of 32 escapes all five
        ink = rough * TRAIN_STD + TRAIN_MEAN
        assert ink.min() > -1e-5 and ink.max() < 1 + 1e-5
    assert torch.equal(roughen(images, generator(), share=0), images)


def test_each_way_to_roughen_does_what_it_is_named_after(raw):
    """Each alone, against a figure that tells it from the others: sharpness, the background's level, its unrest."""
    ink = raw["train"][0][:200, None] / 255

    def sharpness(images):
        smooth = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
        return (images - smooth).square().mean().item()

    def paper(images):  # the four corners' mean and their spread, image by image
        corners = images[:, 0, [0, 0, 27, 27], [0, 27, 0, 27]]
        return corners.mean().item(), corners.std(dim=1).mean().item()

    draw = generator(1)
    coarse, blurred, crossed, lit, noisy = (
        spoil(ink, draw) for spoil in (data._coarse, data._blurred, data._crossed, data._lit, data._noisy)
    )
    assert sharpness(coarse) < 0.9 * sharpness(ink) and coarse.amax((1, 2, 3)).min() == pytest.approx(1)
    assert sharpness(blurred) < 0.7 * sharpness(ink)
    assert blurred.sum() == pytest.approx(ink.sum().item(), rel=0.02), "a blur loses no ink"
    assert 0.03 < (crossed != ink).float().mean() < 0.4
    assert 0.1 < paper(lit)[0] < 0.4 and paper(lit)[1] > 0.05 and sharpness(lit) < sharpness(ink)
    assert sharpness(noisy) > 1.2 * sharpness(ink) and abs(paper(noisy)[0]) < 0.15


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_roughen_bears_the_last_batch(num_images):
    blank = torch.full((num_images, 1, 28, 28), BACKGROUND)
    for seed in range(5):
        assert roughen(blank, generator(seed), share=1).isfinite().all()


# --- the files: where they lie, and what becomes of damaged ones


@pytest.fixture
def folder(tmp_path, monkeypatch, raw):
    """$DIGITLIB_DATA with everything in it, as hard links where that can be; no archives came along."""
    raw_folder = tmp_path / "data" / "MNIST" / "raw"
    raw_folder.mkdir(parents=True)
    for name in ARCHIVES + UNPACKED:
        try:
            os.link(PUBLISHED_FOLDER / name, raw_folder / name)
        except OSError:  # on another disk
            shutil.copyfile(PUBLISHED_FOLDER / name, raw_folder / name)
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path / "data"))
    package = tmp_path / "site-packages" / "digitlib"
    shutil.copytree(PUBLISHED_FOLDER.parents[1] / "writers", package / "writers")  # as a wheel has them
    monkeypatch.setattr(storage, "_PACKAGE", package)
    yield raw_folder
    shutil.rmtree(tmp_path)  # 66 MB each time would fill /tmp


def replace(path, content):
    """Put other bytes in the place of a link, and leave alone what it pointed to."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def refused(*words):
    with pytest.raises(DataError) as caught:
        fetch()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_whole(folder, names=ARCHIVES + UNPACKED):
    assert names_in(folder) == sorted(names), "nothing half-written is left"
    for name in names:
        assert (folder / name).read_bytes() == (PUBLISHED_FOLDER / name).read_bytes()


def test_the_folder_is_named_or_the_repository_s_or_the_user_s(monkeypatch, tmp_path):
    root = Path(__file__).parents[1]
    monkeypatch.setenv("DIGITLIB_DATA", "~/mnist")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert storage.own_folder("data") == tmp_path / "mnist"
    for name in ("data", "checkpoints"):
        monkeypatch.delenv(f"DIGITLIB_{name.upper()}", raising=False)
        assert storage.own_folder(name) == root / name
        monkeypatch.setenv(f"DIGITLIB_{name.upper()}", "")
        assert storage.own_folder(name) == root / name
    monkeypatch.setattr(storage, "_PACKAGE", tmp_path / "site-packages" / "digitlib")
    if sys.platform == "linux":
        assert storage.own_folder("checkpoints") == tmp_path / "share" / "digitlib" / "checkpoints"


def test_what_is_whole_is_read_and_not_written_again(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    for module, name in ((storage.tempfile, "mkdtemp"), (os, "mkdir"), (os, "replace")):
        monkeypatch.setattr(module, name, refuse)  # as in a folder that cannot be written
    assert fetch() == folder.parents[1]
    assert len(load_raw("test")[0]) == 10_000


def test_an_empty_folder_takes_the_archives_that_came_along(folder, monkeypatch):
    shutil.rmtree(folder.parent)
    monkeypatch.undo()
    monkeypatch.setenv("DIGITLIB_DATA", str(folder.parents[1]))
    fetch()
    assert_whole(folder)
    ordinary = folder / "ordinary"
    ordinary.write_bytes(b"")  # a folder for a class is filled by one and read by all
    assert {path.stat().st_mode for path in folder.iterdir()} == {ordinary.stat().st_mode}


def test_an_archive_that_is_nowhere_is_asked_for(folder):
    name = ARCHIVES[3]
    (folder / name).unlink()
    refused(name, "found none", "copy it there", "install anew")
    shutil.copy(PUBLISHED_FOLDER / name, folder)
    fetch()


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "altered": lambda content: content[:-15] + bytes([content[-15] ^ 1]) + content[-14:],
    "longer": lambda content: content + b"\0",
    "another": lambda content: gzip.compress(b"something else", mtime=0),
}
# Every damage to labels, and one to images.
CASES = [(1, damage) for damage in DAMAGES] + [(0, "altered")]


@pytest.mark.parametrize(("number", "damage"), CASES)
def test_a_damaged_archive_is_refused(number, damage, folder):
    archive = folder / ARCHIVES[number]
    content = archive.read_bytes()
    damaged = DAMAGES[damage](content)
    replace(archive, damaged)
    (folder / UNPACKED[number]).unlink()
    refused(
        f"{archive}: expected MD5 {hashlib.md5(content).hexdigest()}",
        f"found {hashlib.md5(damaged).hexdigest()} ({len(damaged):,} bytes)",
        "move it away and run again",
    )
    assert archive.read_bytes() == damaged
    replace(archive, content)
    fetch()
    assert_whole(folder)


@pytest.mark.parametrize(("number", "damage"), CASES)
def test_a_damaged_unpacked_file_is_unpacked_anew(number, damage, folder):
    """torchvision itself would read the altered one without a word."""
    path = folder / UNPACKED[number]
    replace(path, DAMAGES[damage](path.read_bytes()))
    fetch()
    assert_whole(folder)


def test_files_in_each_other_s_place_are_put_right(folder):
    images, other = folder / UNPACKED[0], folder / UNPACKED[2]
    images.rename(folder / "aside")
    other.rename(images)
    (folder / "aside").rename(other)
    fetch()
    assert_whole(folder)


def test_a_damaged_archive_that_came_along_is_not_copied_on(folder, tmp_path, monkeypatch):
    replace(folder / ARCHIVES[0], b"damaged")
    monkeypatch.setattr(
        storage, "_PACKAGE", folder.parents[2] / "digitlib"
    )  # so that this is its repository's data
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path / "elsewhere"))
    refused(str(folder / ARCHIVES[0]), "expected MD5")
    assert not (tmp_path / "elsewhere" / "MNIST").exists()


@pytest.mark.parametrize("load", [load_raw, load_part])
def test_every_way_in_verifies_first(load, folder):
    replace(folder / ARCHIVES[0], b"")
    with pytest.raises(DataError, match="expected MD5"):
        load("test")


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), DataError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["full", "Ctrl-C"],
)
def test_writing_that_stops_midway_leaves_no_half_file(error, raised, folder, monkeypatch):
    write_bytes = Path.write_bytes
    (folder / UNPACKED[0]).unlink()
    # Nobody cleans up after a power cut; it must do no harm.
    (folder / ".digitlib-writing-old").mkdir()
    (folder / ".digitlib-writing-old" / UNPACKED[0]).write_bytes(b"half")

    def write_half(self, content):
        write_bytes(self, content[: len(content) // 2])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_half)
        with pytest.raises(raised) as caught:
            fetch()
    if raised is DataError:
        assert "expected a folder that can be read and written, with 70 MB free" in str(caught.value)
        assert "No space left on device" in str(caught.value) and "DIGITLIB_DATA" in str(caught.value)
    assert names_in(folder) == sorted([".digitlib-writing-old", *ARCHIVES, *UNPACKED[1:]])
    fetch()
    shutil.rmtree(folder / ".digitlib-writing-old")
    assert_whole(folder)


def test_70_megabytes_are_what_the_files_take():
    num_bytes = sum((PUBLISHED_FOLDER / name).stat().st_size for name in ARCHIVES + UNPACKED)
    assert 0.9 * 70e6 < num_bytes < 70e6


def test_a_place_that_is_no_folder_or_cannot_be_written(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    (folder / UNPACKED[3]).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(storage.tempfile, "mkdtemp", refuse)
        refused(
            f"{folder}: expected a folder that can be read and written", "Permission denied", "DIGITLIB_DATA"
        )
    (folder / UNPACKED[3]).mkdir()
    refused(str(folder / UNPACKED[3]), "Is a directory")
    monkeypatch.setattr(storage, "_PACKAGE", Path(storage.__file__).parent)
    monkeypatch.setenv("DIGITLIB_DATA", str(folder / ARCHIVES[0]))
    refused(str(folder / ARCHIVES[0]), "Not a directory", "DIGITLIB_DATA")


def test_two_may_unpack_at_the_same_time(folder):
    for name in UNPACKED:
        (folder / name).unlink()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: fetch(), range(2))) == [folder.parents[1]] * 2
    assert_whole(folder)
