"""The data: the published images and no others, split once, in the numbers that a network expects.

Every damage to a file must end in a message that says what to do; the tests then do it, and all must be well.
"""

import errno
import gzip
import hashlib
import math
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from digitlib import data
from digitlib.data import (
    PARTS,
    TRAIN_MEAN,
    TRAIN_STD,
    DataError,
    augment,
    batches,
    coarsen,
    data_folder,
    data_loader,
    fetch,
    load_part,
    load_raw,
    normalise,
    split_indices,
    statistics,
)

REPOSITORY_DATA = Path(__file__).parents[1] / "data"
ARCHIVES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]
UNPACKED = [name.removesuffix(".gz") for name in ARCHIVES]
BACKGROUND = -TRAIN_MEAN / TRAIN_STD

# Whole numbers that no rounding can blur: images, images of each digit, the sum of all pixels, a digest of all bytes.
PUBLISHED = {
    "train": (
        55_000,
        [5423, 6151, 5469, 5614, 5373, 4944, 5414, 5737, 5388, 5487],
        1_436_825_677,
        "4e6985f5c3af76a4ee189fb95c9d9bbae65ec7a0888536a0890f49e673c296ef",
    ),
    "validation": (
        5_000,
        [500, 591, 489, 517, 469, 477, 504, 528, 463, 462],
        130_472_868,
        "e87790d4ae7a9b681722cab3693b75842f13f0cba1e910b56c83352044cd76da",
    ),
    "test": (
        10_000,
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        264_923_200,
        "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891",
    ),
}


@pytest.fixture(scope="module")
def raw():
    return {part: load_raw(part) for part in PARTS}


@pytest.fixture(scope="module")
def published():
    """Read the archives without torchvision and without digitlib: (images, labels) of "train" and "t10k"."""

    def read(name, header):
        with gzip.open(REPOSITORY_DATA / "MNIST" / "raw" / name) as file:
            return torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=header).copy())

    return {
        half: (
            read(f"{half}-images-idx3-ubyte.gz", 16).view(-1, 28, 28),
            read(f"{half}-labels-idx1-ubyte.gz", 8).long(),
        )
        for half in ("train", "t10k")
    }


@pytest.fixture
def empty_folder(tmp_path):
    """An empty folder, which is gone after the test: 55 MB each time would fill /tmp."""
    folder = tmp_path / "data"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(empty_folder, raw):
    """A folder with everything in it, archives and unpacked files; links, so that it costs nothing."""
    raw_folder = empty_folder / "MNIST" / "raw"
    raw_folder.mkdir(parents=True)
    for name in ARCHIVES + UNPACKED:
        (raw_folder / name).symlink_to(REPOSITORY_DATA / "MNIST" / "raw" / name)
    return empty_folder


@pytest.fixture
def no_repository(tmp_path, monkeypatch):
    """Take away the archives that the repository carries."""
    monkeypatch.setattr(data, "_REPOSITORY_FOLDER", tmp_path / "no repository")


def overwrite(path, content):
    """Put other bytes in the place of a link, and leave alone what it pointed to."""
    path.unlink()
    path.write_bytes(content)


def flip_a_bit(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def snapshot(folder):
    """Everything that writing would change: names, sizes, the times of files and of folders."""
    return {
        path: (path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def names_in(folder):
    return sorted(path.name for path in (folder / "MNIST" / "raw").iterdir())


# --- the three parts


@pytest.mark.parametrize("part", PARTS)
def test_a_part_holds_the_published_images(part, raw):
    num_images, label_counts, pixel_sum, digest = PUBLISHED[part]
    images, labels = raw[part]
    assert images.shape == (num_images, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.shape == (num_images,)
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == label_counts
    assert images.sum(dtype=torch.int64).item() == pixel_sum
    content = images.numpy().tobytes() + labels.numpy().astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest() == digest


def test_train_and_validation_divide_the_60_000_images_between_them(raw, published):
    indices = split_indices(60_000)
    assert len(indices["train"]) == 55_000
    assert len(indices["validation"]) == 5_000
    images, labels = published["train"]
    used = torch.zeros(60_000, dtype=torch.int64)
    for part in ("train", "validation"):
        used[indices[part]] += 1
        assert torch.equal(raw[part][0], images[indices[part]])
        assert torch.equal(raw[part][1], labels[indices[part]])
    assert torch.equal(used, torch.ones_like(used)), "every image is in one part, and in one only"


def test_the_test_part_is_the_published_one_in_its_order(raw, published):
    assert torch.equal(raw["test"][0], published["t10k"][0])
    assert torch.equal(raw["test"][1], published["t10k"][1])


def test_validation_is_drawn_from_everywhere(raw):
    validation = split_indices(60_000)["validation"]
    for start in range(0, 60_000, 10_000):
        share = ((validation >= start) & (validation < start + 10_000)).float().mean().item()
        assert share == pytest.approx(1 / 6, abs=0.03)


def test_the_split_is_seeded_and_leaves_the_global_random_numbers_alone():
    torch.manual_seed(5)
    first = split_indices(1000, num_validation=100)
    after = torch.rand(3)
    torch.manual_seed(6)
    second = split_indices(1000, num_validation=100)
    assert all(torch.equal(first[part], second[part]) for part in first)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), after)
    other = split_indices(1000, num_validation=100, seed=2)
    assert not torch.equal(first["validation"], other["validation"])


def test_another_seed_moves_other_images_into_validation(raw):
    images, labels = load_raw("validation", seed=2)
    assert len(images) == len(labels) == 5000
    assert not torch.equal(images, raw["validation"][0])


@pytest.mark.parametrize("num_validation", [-1, 10, 11])
def test_a_split_that_leaves_nothing_is_refused(num_validation):
    with pytest.raises(ValueError, match=f"num_validation < 10, got {num_validation}"):
        split_indices(10, num_validation=num_validation)


def test_a_split_may_keep_everything_for_training():
    indices = split_indices(10, num_validation=0)
    assert indices["train"].tolist() == list(range(10))
    assert len(indices["validation"]) == 0


@pytest.mark.parametrize("load", [load_raw, load_part, lambda part: data_loader(part, 10)])
@pytest.mark.parametrize("part", ["Train", "valid", "", None])
def test_an_unknown_part_is_named_beside_the_known_ones(load, part):
    with pytest.raises(ValueError, match=f"train, validation, test, got {part!r}"):
        load(part)


# --- numbers for a network


def test_the_statistics_are_those_of_the_training_part_alone(raw):
    counts = np.bincount(raw["train"][0].numpy().ravel(), minlength=256)
    levels = np.arange(256) / 255
    expected_mean = (counts * levels).sum() / counts.sum()
    expected_std = math.sqrt((counts * (levels - expected_mean) ** 2).sum() / counts.sum())
    assert round(expected_mean, 4) == TRAIN_MEAN
    assert round(expected_std, 4) == TRAIN_STD
    mean, std = statistics(raw["train"][0])
    assert mean == pytest.approx(expected_mean, abs=1e-9)
    assert std == pytest.approx(expected_std, abs=1e-7)
    assert statistics(raw["test"][0])[0] != pytest.approx(mean, abs=1e-3), (
        "other images have other statistics"
    )


def test_statistics_by_hand():
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    images[1] = 255
    mean, std = statistics(images)
    assert mean == 0.5
    assert std == pytest.approx(0.5, abs=1e-3)


def test_normalise_by_hand():
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[0, 3, 4], images[0, 27, 0] = 255, 51
    normalised = normalise(images)
    assert normalised[0, 0, 0, 0].item() == pytest.approx((0 - 0.1307) / 0.3081, abs=1e-6)
    assert normalised[0, 0, 3, 4].item() == pytest.approx((1 - 0.1307) / 0.3081, abs=1e-6)
    assert normalised[0, 0, 27, 0].item() == pytest.approx((0.2 - 0.1307) / 0.3081, abs=1e-6)
    assert normalise(images, mean=0.0, std=1.0).max().item() == 1.0


def test_the_normalised_training_part_has_mean_0_and_deviation_1(raw):
    images = normalise(raw["train"][0])
    assert images.shape == (55_000, 1, 28, 28)
    assert images.dtype == torch.float32
    assert images.mean(dtype=torch.float64).item() == pytest.approx(0, abs=2e-4)
    assert images.std().item() == pytest.approx(1, abs=2e-4)


def test_the_outer_three_pixels_hold_a_hundredth_of_the_ink(raw):
    """What ConvNet says when it leaves out padding, and the margin of `quick`."""
    images = raw["train"][0].double()
    middle = images[:, 3:-3, 3:-3]
    assert 1 - (middle.sum() / images.sum()).item() == pytest.approx(0.01, abs=0.0005)


def test_normalise_leaves_its_input_as_it_was(raw):
    images = raw["test"][0][:5].clone()
    normalise(images)
    assert torch.equal(images, raw["test"][0][:5])


def test_normalise_takes_no_image_and_images_of_any_memory_layout():
    images = torch.arange(2 * 28 * 28).remainder(256).to(torch.uint8).view(2, 28, 28)
    turned = images.transpose(1, 2)
    assert torch.equal(normalise(turned), normalise(turned.contiguous()))
    assert normalise(images[:0]).shape == (0, 1, 28, 28)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(28, 28, dtype=torch.uint8),
        torch.zeros(5, 1, 28, 28, dtype=torch.uint8),
        torch.zeros(5, 28, 28),
        torch.zeros(5, 28, 28, dtype=torch.int64),
        torch.zeros(5, 28, 27, dtype=torch.uint8),
        torch.zeros(5, 32, 32, dtype=torch.uint8),
        torch.zeros(5, 784, dtype=torch.uint8),
    ],
)
def test_normalise_says_what_it_expects(images):
    with pytest.raises(ValueError) as caught:
        normalise(images)
    message = str(caught.value)
    assert "expected uint8 images of shape (N, 28, 28)" in message
    assert f"got {images.dtype} of shape {tuple(images.shape)}" in message
    assert "image[None]" in message


def test_load_part_is_load_raw_normalised(raw):
    images, labels = load_part("test")
    assert torch.equal(images, normalise(raw["test"][0]))
    assert torch.equal(labels, raw["test"][1])


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
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    epoch = list(batches(*numbered(num_images), batch_size, generator))
    assert [len(images) for images, _ in epoch] == lengths
    assert all(images.shape == (len(labels), 1, 28, 28) for images, labels in epoch)
    assert all(torch.equal(images[:, 0, 0, 0].long(), labels) for images, labels in epoch)
    assert sorted(torch.cat([labels for _, labels in epoch]).tolist()) == list(range(num_images))


def order(num_images, generator=None):
    return torch.cat([labels for _, labels in batches(*numbered(num_images), 7, generator)]).tolist()


def test_without_a_generator_the_order_is_kept():
    assert order(100) == list(range(100))


def test_shuffling_is_seeded_and_new_each_epoch():
    generator = torch.Generator().manual_seed(1)
    first, second = order(100, generator), order(100, generator)
    assert first != list(range(100))
    assert first != second
    generator.manual_seed(1)
    assert [order(100, generator), order(100, generator)] == [first, second]
    assert order(100, torch.Generator().manual_seed(2)) != first


def test_shuffling_leaves_the_global_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    order(100, torch.Generator().manual_seed(1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("num_images", "num_labels", "batch_size"),
    [(10, 9, 3), (9, 10, 3), (10, 10, 0), (10, 10, -1), (0, 0, 3)],
)
@pytest.mark.parametrize("generator", [None, torch.Generator()])
def test_batches_refuses_what_would_mix_images_up(num_images, num_labels, batch_size, generator):
    with pytest.raises(
        ValueError, match=f"got {num_images} images, {num_labels} labels and batch_size {batch_size}"
    ):
        list(batches(torch.zeros(num_images, 1), torch.zeros(num_labels), batch_size, generator))


@pytest.mark.parametrize("part", PARTS)
def test_data_loader_gives_the_same_tensors_as_load_part(part):
    images, labels = load_part(part)
    seen = 0
    for loaded_images, loaded_labels in data_loader(part, 100):
        assert loaded_images.dtype == torch.float32
        torch.testing.assert_close(loaded_images, images[seen : seen + 100], atol=1e-6, rtol=0)
        assert torch.equal(loaded_labels, labels[seen : seen + 100])
        seen += 100
        if seen == 300:
            break
    assert len(data_loader(part, 100).dataset) == len(images)


def loaded_labels(loader):
    return torch.cat([labels for _, labels in loader]).tolist()


def test_data_loader_shuffles_by_its_seed_anew_each_epoch(raw):
    def loader(**options):
        return data_loader("validation", 999, transform=lambda image: 0, **options)

    in_order = raw["validation"][1].tolist()
    assert loaded_labels(loader()) == in_order
    first_loader = loader(shuffle=True, seed=4)
    first, second = loaded_labels(first_loader), loaded_labels(first_loader)
    assert first != in_order
    assert first != second
    assert sorted(first) == sorted(in_order)
    assert loaded_labels(loader(shuffle=True, seed=4)) == first
    assert loaded_labels(loader(shuffle=True, seed=5)) != first


def test_data_loader_hands_each_image_to_its_transform_as_pil_does(raw):
    def take(image):
        assert isinstance(image, Image.Image)
        return torch.from_numpy(np.asarray(image).copy())

    images, _ = next(iter(data_loader("test", 5, transform=take)))
    assert torch.equal(images, raw["test"][0][:5])


def test_data_loader_keeps_the_ragged_last_batch():
    lengths = [
        len(labels) for _, labels in data_loader("validation", 1999, transform=lambda image: torch.zeros(1))
    ]
    assert lengths == [1999, 1999, 1002]


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


def test_a_shift_moves_the_centre_by_up_to_max_shift_pixels_along_each_axis():
    moved = augment(blobs(600), torch.Generator().manual_seed(0), max_degrees=0, max_shift=4, max_scale=0)
    (x, y), _ = moments(moved)
    assert_uniform(x, -4, 4)
    assert_uniform(y, -4, 4)
    assert abs(torch.corrcoef(torch.stack([x, y]))[0, 1]) < 0.15, "the two axes are drawn apart"


def test_a_scale_of_one_half_makes_from_half_to_one_and_a_half_times_the_size():
    images = blobs(600)
    scaled = augment(images, torch.Generator().manual_seed(0), max_degrees=0, max_shift=0, max_scale=0.5)
    centre, (xx, xy, yy) = moments(scaled)
    assert centre.abs().max() < 0.01
    before = moments(images)[1][0]
    assert_uniform((xx / before).sqrt(), 0.5, 1.5)
    torch.testing.assert_close(xx, yy, atol=0.01, rtol=0)
    assert xy.abs().max() < 0.01


def test_a_turn_is_up_to_max_degrees_either_way_and_keeps_the_size():
    images = blobs(600, width=4, height=1.5)
    turned = augment(images, torch.Generator().manual_seed(0), max_degrees=30, max_shift=0, max_scale=0)
    centre, (xx, xy, yy) = moments(turned)
    assert centre.abs().max() < 0.01
    assert_uniform(torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy)), -30, 30)
    before = moments(images)[1]
    torch.testing.assert_close(xx + yy, before[0] + before[2], atol=0, rtol=0.03)


def test_the_three_changes_are_drawn_apart():
    changed = augment(
        blobs(600, width=3, height=1.5),
        torch.Generator().manual_seed(0),
        max_degrees=20,
        max_shift=3,
        max_scale=0.2,
    )
    (x, y), (xx, xy, yy) = moments(changed)
    draws = torch.stack([x, y, 0.5 * torch.atan2(2 * xy, xx - yy), (xx + yy).sqrt()])
    assert (torch.corrcoef(draws) - torch.eye(4)).abs().max() < 0.15


def test_the_same_seed_draws_the_same_changes():
    images = normalise(load_raw("test")[0][:50])
    generator = torch.Generator().manual_seed(3)
    first, second = augment(images, generator), augment(images, generator)
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert not torch.equal(first, second), "each call draws anew"
    assert not torch.equal(first, images)
    assert torch.equal(augment(images, torch.Generator().manual_seed(3)), first)


def test_zero_limits_change_nothing():
    images = normalise(load_raw("test")[0][:100])
    same = augment(images, torch.Generator().manual_seed(0), max_degrees=0, max_shift=0, max_scale=0)
    torch.testing.assert_close(same, images, atol=1e-4, rtol=0)


def test_what_comes_in_from_outside_is_background():
    blank = normalise(torch.zeros(20, 28, 28, dtype=torch.uint8))
    changed = augment(blank, torch.Generator().manual_seed(0), max_degrees=180, max_shift=20, max_scale=0.5)
    torch.testing.assert_close(changed, blank, atol=1e-6, rtol=0)
    ink = normalise(torch.full((20, 28, 28), 255, dtype=torch.uint8))
    gone = augment(ink, torch.Generator().manual_seed(0), max_degrees=0, max_shift=14, max_scale=0)
    assert gone.min().item() == pytest.approx(BACKGROUND, abs=1e-6)
    assert gone.max().item() <= ink.max().item() + 1e-5


def test_augmentation_leaves_its_input_and_the_global_random_numbers_alone():
    images = normalise(load_raw("test")[0][:20])
    before = images.clone()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    changed = augment(images, torch.Generator().manual_seed(0))
    assert torch.equal(images, before)
    assert torch.equal(torch.rand(3), expected)
    changed.zero_()
    assert torch.equal(images, before), "the result shares no memory with the input"


def test_augmentation_takes_images_of_any_memory_layout():
    images = normalise(load_raw("test")[0][:20])
    expected = augment(images.transpose(2, 3).contiguous(), torch.Generator().manual_seed(0))
    assert torch.equal(augment(images.transpose(2, 3), torch.Generator().manual_seed(0)), expected)
    channels_last = images.transpose(2, 3).to(memory_format=torch.channels_last)
    assert torch.equal(augment(channels_last, torch.Generator().manual_seed(0)), expected)
    every_other = augment(images[::2], torch.Generator().manual_seed(0))
    assert torch.equal(every_other, augment(images[::2].contiguous(), torch.Generator().manual_seed(0)))


def sharpness(images):
    """How much each pixel differs from the mean around it; less in coarse images."""
    smooth = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    return (images - smooth).square().mean(dim=(1, 2, 3))


def test_coarsen_makes_a_share_of_the_images_coarse_and_leaves_the_others():
    images = normalise(load_raw("train")[0][:100])
    for seed in range(20):
        coarse = coarsen(images, torch.Generator().manual_seed(seed), share=0.4)
        assert coarse.shape == images.shape and coarse.dtype == torch.float32
        assert torch.equal(coarse[40:], images[40:])
        assert (coarse[:40] != images[:40]).flatten(1).any(dim=1).all()
        # MNIST's strokes are two to three pixels wide, and a coarse pixel is about as wide.
        assert sharpness(coarse[:40]).mean() < 0.9 * sharpness(images[:40]).mean()
        # The digit stays where it was, as dark as it was.
        assert (moments(coarse)[0] - moments(images)[0]).abs().max() < 1.5
        brightest = coarse.amax(dim=(1, 2, 3))
        assert torch.allclose(brightest[:40], torch.tensor((1 - TRAIN_MEAN) / TRAIN_STD), atol=1e-4)
        assert coarse.min().item() == pytest.approx(BACKGROUND, abs=1e-5)


def test_coarse_pixels_come_in_several_sizes_and_by_several_filters():
    image = torch.full((4, 1, 28, 28), BACKGROUND)
    image[:, 0, 13, 13] = (1 - TRAIN_MEAN) / TRAIN_STD
    spots = [coarsen(image, torch.Generator().manual_seed(seed))[0, 0] for seed in range(60)]
    assert len({tuple((spot > BACKGROUND + 0.01).flatten().tolist()) for spot in spots}) > 10
    flat = sum(len((spot * 1000).round().unique()) == 2 for spot in spots)  # squares of one grey level
    assert 10 < flat < 30


def test_coarsen_leaves_its_input_and_the_global_random_numbers_alone():
    images = normalise(load_raw("train")[0][:20])
    before, state = images.clone(), torch.random.get_rng_state()
    changed = coarsen(images, torch.Generator().manual_seed(0))
    assert torch.equal(images, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(changed, coarsen(images, torch.Generator().manual_seed(0)))
    changed.zero_()
    assert torch.equal(images, before), "the result shares no memory with the input"


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_coarsen_bears_the_last_batch_and_a_blank_image(num_images):
    blank = torch.full((num_images, 1, 28, 28), BACKGROUND)
    coarse = coarsen(blank, torch.Generator(), share=1)
    assert torch.allclose(coarse, blank, atol=1e-5)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(5, 28, 28),
        torch.zeros(28, 28),
        torch.zeros(5, 1, 28, 28, dtype=torch.uint8),
        torch.zeros(5, 1, 32, 32),
        torch.zeros(5, 3, 28, 28),
    ],
)
@pytest.mark.parametrize("change", [augment, coarsen])
def test_augmentation_says_what_it_expects(change, images):
    with pytest.raises(ValueError) as caught:
        change(images, torch.Generator())
    message = str(caught.value)
    assert "shape (N, 1, 28, 28)" in message
    assert f"got {images.dtype} of shape {tuple(images.shape)}" in message
    assert "normalise" in message


# --- where the data lies


def test_the_folder_is_the_repository_s_unless_the_environment_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv("DIGITLIB_DATA", raising=False)
    assert data_folder() == REPOSITORY_DATA
    monkeypatch.setenv("DIGITLIB_DATA", "")
    assert data_folder() == REPOSITORY_DATA
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DIGITLIB_DATA", "~/mnist")
    assert data_folder() == tmp_path / "mnist"


def test_an_empty_folder_takes_the_archives_from_the_repository_and_no_network(
    empty_folder, monkeypatch, raw
):
    def refuse(*arguments, **options):
        raise AssertionError(f"something asked the network for {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("DIGITLIB_DATA", str(empty_folder))
    for part in PARTS:
        images, labels = load_raw(part)
        assert torch.equal(images, raw[part][0])
        assert torch.equal(labels, raw[part][1])
    assert names_in(empty_folder) == sorted(UNPACKED), "no archive was copied, nothing was left behind"
    assert data_loader("test", 10).dataset.root == empty_folder


def test_a_folder_with_its_own_archives_needs_no_repository(folder, monkeypatch, no_repository, raw):
    for name in UNPACKED:
        (folder / "MNIST" / "raw" / name).unlink()
    monkeypatch.setenv("DIGITLIB_DATA", str(folder))
    assert torch.equal(load_raw("test")[0], raw["test"][0])
    assert names_in(folder) == sorted(ARCHIVES + UNPACKED)


def test_unpacked_files_alone_are_enough(folder, no_repository, raw):
    for name in ARCHIVES:
        (folder / "MNIST" / "raw" / name).unlink()
    assert torch.equal(load_raw("test", folder=folder)[1], raw["test"][1])


def test_what_is_unpacked_is_verified_but_not_written_again(folder, monkeypatch, raw):
    before = snapshot(folder)
    assert fetch(folder) == folder
    assert fetch(str(folder)) == folder
    assert torch.equal(load_raw("test", folder=folder)[0], raw["test"][0])
    assert snapshot(folder) == before


def test_an_unpacked_file_has_the_rights_of_any_other_file(folder):
    """A folder for a class is filled by one and read by all."""
    path = folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.unlink()
    fetch(folder)
    ordinary = folder / "ordinary"
    ordinary.write_bytes(b"")
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_two_processes_may_unpack_at_the_same_time(empty_folder, tmp_path):
    script = (
        "import sys, time, torchvision\n"
        "from pathlib import Path\n"
        "from digitlib.data import load_raw\n"
        "folder, ready, go = map(Path, sys.argv[1:])\n"
        "ready.touch()\n"
        "while not go.exists(): time.sleep(0.001)\n"
        "print(load_raw('test', folder=folder)[0].sum().item())\n"
    )
    ready, go = tmp_path / "ready", tmp_path / "go"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(empty_folder), str(ready), str(go)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as other:
        try:
            while not ready.exists():
                assert other.poll() is None, other.stderr.read()
                time.sleep(0.01)
            go.touch()
            assert load_raw("test", folder=empty_folder)[0].sum().item() == PUBLISHED["test"][2]
            output, errors = other.communicate(timeout=60)
        finally:
            other.kill()
    assert (output.strip(), errors, other.returncode) == (str(PUBLISHED["test"][2]), "", 0)
    assert names_in(empty_folder) == sorted(UNPACKED)


# --- damage: the message names the file, what was expected, what was found, and a next step that helps


def refused(folder):
    """Return the message with which a folder is refused."""
    with pytest.raises(DataError) as caught:
        fetch(folder)
    return str(caught.value)


@pytest.mark.parametrize("load", [load_raw, load_part, lambda part, **place: data_loader(part, 5, **place)])
def test_every_way_in_verifies_first(load, folder):
    path = folder / "MNIST" / "raw" / UNPACKED[0]
    overwrite(path, b"")
    with pytest.raises(DataError, match="delete this file"):
        load("test", folder=folder)


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "short": lambda content: content[:-1],
    "empty": lambda content: b"",
    "altered": lambda content: flip_a_bit(content, len(content) - 15),
    "longer": lambda content: content + b"\0",
    "another": lambda content: gzip.compress(b"something else", mtime=0),
    "web page": lambda content: b"<html>Not found</html>",
}
# Every damage to one file, and one damage to every file.
ARCHIVE_CASES = [(ARCHIVES[1], damage) for damage in DAMAGES] + [(name, "altered") for name in ARCHIVES[::2]]
UNPACKED_CASES = [(UNPACKED[1], damage) for damage in ("half", "short", "empty", "altered", "longer")]
UNPACKED_CASES += [(name, "altered") for name in UNPACKED[::2]] + [(UNPACKED[0], "half")]


@pytest.mark.parametrize(("name", "damage"), ARCHIVE_CASES)
@pytest.mark.parametrize("already_unpacked", [True, False])
def test_a_damaged_archive_is_refused(name, damage, already_unpacked, folder):
    damage = DAMAGES[damage]
    archive = folder / "MNIST" / "raw" / name
    content = archive.read_bytes()
    overwrite(archive, damage(content))
    if not already_unpacked:
        archive.with_suffix("").unlink()
    before = snapshot(folder)
    message = refused(folder)
    assert str(archive) in message
    assert f"expected MD5 {hashlib.md5(content).hexdigest()}" in message
    assert f"found {hashlib.md5(damage(content)).hexdigest()}" in message
    assert f"({len(damage(content)):,} bytes)" in message
    assert "copy it from data/MNIST/raw/" in message
    assert snapshot(folder) == before
    shutil.copy(REPOSITORY_DATA / "MNIST" / "raw" / name, archive)
    fetch(folder)


@pytest.mark.parametrize(("name", "damage"), UNPACKED_CASES)
def test_a_damaged_unpacked_file_is_refused(name, damage, folder):
    """torchvision itself would read the altered one without a word."""
    damage = DAMAGES[damage]
    path = folder / "MNIST" / "raw" / name
    content = path.read_bytes()
    overwrite(path, damage(content))
    message = refused(folder)
    assert str(path) in message
    assert f"expected SHA256 {hashlib.sha256(content).hexdigest()}" in message
    assert f"found {hashlib.sha256(damage(content)).hexdigest()}" in message
    assert f"({len(damage(content)):,} bytes)" in message
    assert "delete this file and run again" in message
    path.unlink()
    fetch(folder)
    assert path.read_bytes() == content


def test_files_in_each_other_s_place_are_refused(folder):
    """Both are published files, so each would pass a test for a known digest."""
    images = folder / "MNIST" / "raw" / "train-images-idx3-ubyte"
    other = images.with_name("t10k-images-idx3-ubyte")
    images.rename(images.with_name("aside"))
    other.rename(images)
    images.with_name("aside").rename(other)
    assert str(images) in refused(folder)


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_missing_archive_is_named(name, folder, no_repository):
    archive = folder / "MNIST" / "raw" / name
    archive.unlink()
    archive.with_suffix("").unlink()
    message = refused(folder)
    assert str(archive) in message
    assert "found no such file" in message
    assert "copy it from data/MNIST/raw/" in message
    assert "DIGITLIB_DATA" in message
    shutil.copy(REPOSITORY_DATA / "MNIST" / "raw" / name, archive)
    fetch(folder)


def test_a_damaged_archive_of_the_repository_is_not_copied_on(empty_folder, folder, tmp_path, monkeypatch):
    stored = folder / "MNIST" / "raw" / ARCHIVES[0]
    overwrite(stored, stored.read_bytes()[:-100])
    monkeypatch.setattr(data, "_REPOSITORY_FOLDER", folder)
    elsewhere = tmp_path / "elsewhere"
    message = refused(elsewhere)
    assert str(stored) in message
    assert f"git checkout -- data/MNIST/raw/{ARCHIVES[0]}" in message


def test_an_old_torchvision_s_files_are_refused(folder):
    """torchvision would read them in place of the archives, and verify nothing."""
    processed = folder / "MNIST" / "processed"
    processed.mkdir()
    forged = (torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    for name in ("training.pt", "test.pt"):
        torch.save(forged, processed / name)
    message = refused(folder)
    assert str(processed / "training.pt") in message
    assert "move the folder 'processed' away" in message
    processed.rename(folder / "processed")
    assert len(load_raw("test", folder=folder)[0]) == 10_000


# --- folders that cannot be used


def assert_asks_for_another_folder(message, path, reason):
    assert str(path) in message
    assert "expected a folder that can be read and written" in message
    assert "54,950,048 bytes free" in message
    assert f"found: {reason}" in message
    assert "DIGITLIB_DATA" in message


def test_the_bytes_that_the_message_asks_for_are_those_that_unpacking_takes():
    unpacked = [REPOSITORY_DATA / "MNIST" / "raw" / name for name in UNPACKED]
    assert data.UNPACKED_BYTES == sum(path.stat().st_size for path in unpacked)


def test_a_file_in_the_folder_s_place(tmp_path, monkeypatch):
    path = tmp_path / "data"
    path.write_text("not a folder")
    monkeypatch.setenv("DIGITLIB_DATA", str(path))
    with pytest.raises(DataError) as caught:
        load_part("test")
    assert_asks_for_another_folder(str(caught.value), path, "Not a directory")
    assert path.read_text() == "not a folder"


def test_a_folder_in_a_file_s_place(folder):
    path = folder / "MNIST" / "raw" / UNPACKED[1]
    path.unlink()
    path.mkdir()
    assert_asks_for_another_folder(refused(folder), path, "Is a directory")


def test_a_folder_that_cannot_be_written(tmp_path):
    """For root, who may write everywhere, the kernel's own /sys stands in."""
    if os.access("/sys/MNIST", os.W_OK) or not Path("/sys/kernel").is_dir():
        pytest.skip("needs Linux")
    folder = Path("/sys")
    if os.geteuid() != 0:
        folder = tmp_path / "read only"
        folder.mkdir(mode=0o555)
    with pytest.raises(DataError) as caught:
        fetch(folder)
    assert str(folder / "MNIST") in str(caught.value)
    assert any(reason in str(caught.value) for reason in ("Permission denied", "not permitted", "Read-only"))


def test_a_read_only_folder_that_lacks_a_file(folder, monkeypatch):
    def refuse(suffix=None, prefix=None, dir=None):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))

    (folder / "MNIST" / "raw" / UNPACKED[3]).unlink()
    monkeypatch.setattr(data.tempfile, "mkdtemp", refuse)
    assert_asks_for_another_folder(refused(folder), folder / "MNIST" / "raw", "Permission denied")


def test_a_read_only_folder_with_everything_in_it_will_do(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    for module, name in ((data.tempfile, "mkdtemp"), (os, "mkdir"), (os, "replace")):
        monkeypatch.setattr(module, name, refuse)
    assert fetch(folder) == folder


class FullDisk:
    """A file that takes some bytes and then no more."""

    def __init__(self, path, error):
        self.file, self.error = open(path, "wb"), error  # noqa: SIM115 -- closed by __exit__

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        raise self.error


@pytest.mark.parametrize(
    ("error", "raised", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), DataError, "No space left on device"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), DataError, os.strerror(errno.EDQUOT)),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
    ids=["full", "over quota", "Ctrl-C"],
)
def test_an_extraction_that_stops_midway_leaves_no_half_file(error, raised, reason, folder, monkeypatch):
    import torchvision

    path = folder / "MNIST" / "raw" / UNPACKED[0]
    path.unlink()
    left = []

    def open_on_a_full_disk(name, mode):
        if "w" not in mode:
            return open(name, mode)
        left.append(Path(name))
        return FullDisk(name, error)

    with monkeypatch.context() as patch:
        patch.setattr(torchvision.datasets.utils, "open", open_on_a_full_disk, raising=False)
        with pytest.raises(raised) as caught:
            fetch(folder)
    if reason:
        assert_asks_for_another_folder(str(caught.value), path.parent, reason)
    assert left, "the disk was full in this test"
    assert path not in left, "the file takes its name when it is whole"
    assert names_in(folder) == sorted(ARCHIVES + UNPACKED[1:])
    fetch(folder)
    assert names_in(folder) == sorted(ARCHIVES + UNPACKED)


def test_what_a_killed_process_left_behind_does_no_harm(folder):
    """Nobody cleans up after a power cut."""
    raw_folder = folder / "MNIST" / "raw"
    content = (raw_folder / UNPACKED[1]).read_bytes()
    (raw_folder / UNPACKED[1]).unlink()
    (raw_folder / ".unpacking-old").mkdir()
    (raw_folder / ".unpacking-old" / UNPACKED[1]).write_bytes(content[:1000])
    fetch(folder)
    assert (raw_folder / UNPACKED[1]).read_bytes() == content


def test_an_extraction_that_comes_out_wrong_is_not_kept(folder, monkeypatch):
    """As with bad memory: the archive is right, what was written is not."""
    import torchvision

    path = folder / "MNIST" / "raw" / UNPACKED[2]
    path.unlink()

    def extract_wrongly(archive, aside):
        (Path(aside) / path.name).write_bytes(b"something else")

    with monkeypatch.context() as patch:
        patch.setattr(torchvision.datasets.utils, "extract_archive", extract_wrongly)
        message = refused(folder)
    assert path.name in message
    assert hashlib.sha256(b"something else").hexdigest() in message
    assert "run again" in message
    assert not path.exists()
    fetch(folder)
