"""MNIST: fetch, split, normalise, batches.

The 70,000 images are the four archives that Y. LeCun, C. Cortes and C. Burges published; they come with digitlib.
`torchvision.datasets.MNIST` reads them; this module sees to it that what it reads is the real thing. Who wrote which
image is known from QMNIST (C. Yadav and L. Bottou 2019); no writer is in two parts.
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from digitlib.storage import own_folder, shipped_folder, write_whole

PARTS = ("train", "validation", "test")
NUM_VALIDATION = 5_000
# Of the first thousand seeds: its whole writers come to exactly 5,000 images, half of them by students.
SPLIT_SEED = 835

# Mean and standard deviation of the pixels of the 55,000 training images, scaled to 0..1; a test recomputes both.
TRAIN_MEAN, TRAIN_STD = 0.1307, 0.3081


class DataError(RuntimeError):
    """A file of the dataset is missing, damaged or cannot be written; the message says what to do next."""


def fetch() -> Path:
    """Verify the four archives and unpack them; what is missing is copied from those that came with digitlib.

    An interrupted run leaves no half file; an unpacked file that is damaged is unpacked anew.

    Returns:
        `digitlib.storage.own_folder("data")`, ready for `torchvision.datasets.MNIST(folder)`.
    Raises:
        DataError: an archive is missing or not the published one, or the folder cannot be written.
    Taught in notebook 02.
    """
    from torchvision.datasets import MNIST

    folder = own_folder("data")
    raw = folder / "MNIST" / "raw"
    try:
        for name, md5 in MNIST.resources:
            archive = raw / name
            if not archive.exists():
                write_whole(archive, _read_archive(shipped_folder("MNIST/raw") / name, md5))
            content, unpacked = _read_archive(archive, md5), archive.with_suffix("")
            data = unpacked.read_bytes() if unpacked.exists() else b""
            # An archive ends with the checksum and the length of what it holds (RFC no. 1952).
            if not content.endswith(struct.pack("<II", zlib.crc32(data), len(data))):
                write_whole(unpacked, gzip.decompress(content))
    except OSError as error:
        expected = f"{error.filename or raw}: expected a folder that can be read and written, with 70 MB free"
        next_step = "make room or set DIGITLIB_DATA to a folder of your own"
        raise DataError(f"{expected}, found: {error.strerror or error}; {next_step}") from error
    return folder


def load_raw(part: str) -> tuple[Tensor, Tensor]:
    """Load the images and labels of one part as they were published.

    Args:
        part: "train" (55,000 images), "validation" (5,000) or "test" (10,000).
    Returns:
        images, uint8 (N, 28, 28), 0 = background, 255 = ink; labels, int64 (N,), 0 to 9.
    Raises:
        ValueError: part is none of the three. DataError: see `fetch`.
    Taught in notebook 02.
    """
    from torchvision.datasets import MNIST

    indices = part_indices(part)
    dataset = MNIST(fetch(), train=part != "test")
    return dataset.data[indices], dataset.targets[indices]


def ordinary_digits() -> Tensor:
    """Return the digits 0 to 9 as hardly anyone would misread them, uint8 (10, 28, 28).

    Of the validation part's images of a digit it is the one nearest to their mean. Taught in notebook 04.
    """
    images, labels = load_raw("validation")
    own = [images[labels == digit] for digit in range(10)]
    distances = [(digit - digit.float().mean(dim=0)).square().sum(dim=(1, 2)) for digit in own]
    return torch.stack([digit[distance.argmin()] for digit, distance in zip(own, distances)])


def load_writers(part: str) -> tuple[Tensor, Tensor]:
    """Load who wrote each image of one part, in the order of `load_raw`.

    Returns:
        writers, int64 (N,), a number for each person; students, bool (N,), true where the writer was a pupil of a high
        school, false where an employee of the census bureau. The parts have 495, 44 and 297 writers.
    Args, Raises: see `load_raw`.
    Taught in notebook 02. Source: Yadav and Bottou 2019, "Cold Case: The Lost MNIST Digits".
    """
    writers, partitions = _read_writers("test" if part == "test" else "train")
    indices = part_indices(part)
    return writers[indices], partitions[indices] == 4


def split_indices(writers: Tensor, *, num_validation: int = NUM_VALIDATION, seed: int = SPLIT_SEED) -> dict:
    """Divide images into a training and a validation part, at random, all images of one writer into the same part.

    Args:
        writers: int64 (N,), who wrote each image.
        num_validation: images to validate on; as many whole writers are taken as come to no more than that.
    Returns:
        {"train": int64, "validation": int64}, the numbers of the images in each part, ascending.
    Raises:
        ValueError: num_validation leaves nothing to train on, or is negative.
    Taught in notebook 02.
    """
    if not 0 <= num_validation < len(writers):
        raise ValueError(f"expected 0 <= num_validation < {len(writers)}, got {num_validation}")
    people, num_images = writers.unique(return_counts=True)
    shuffled = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))
    num_chosen = (num_images[shuffled].cumsum(0) <= num_validation).sum()
    is_validation = torch.isin(writers, people[shuffled[:num_chosen]])
    return {"train": (~is_validation).nonzero().flatten(), "validation": is_validation.nonzero().flatten()}


def statistics(images: Tensor) -> tuple[float, float]:
    """Return the mean and the standard deviation of all pixels of uint8 images (N, 28, 28), scaled to 0..1.

    Pass the training part alone: statistics of other images would leak them. Taught in notebook 03.
    """
    scaled = images.double() / 255
    return scaled.mean().item(), scaled.std().item()


def normalise(images: Tensor, mean: float = TRAIN_MEAN, std: float = TRAIN_STD) -> Tensor:
    """Scale uint8 images to zero mean and unit variance, and add the channel axis.

    Args:
        images: uint8 (N, 28, 28), 0 = background, 255 = ink.
        mean, std: of the training images scaled to 0..1, see `statistics`.
    Returns:
        float32 (N, 1, 28, 28); MNIST's training part has mean 0 and standard deviation 1.
    Raises:
        ValueError: images has another shape or dtype.
    Taught in notebook 03. Source: LeCun, Bottou, Orr and Müller 1998, "Efficient BackProp", section 4.3.
    """
    if images.dtype != torch.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"expected uint8 images of shape (N, 28, 28), got {images.dtype} of shape {tuple(images.shape)}; "
            "pass the images as load_raw returns them, one image as image[None]"
        )
    return images.float().div_(255).sub_(mean).div_(std).unsqueeze(1)


def load_part(part: str) -> tuple[Tensor, Tensor]:
    """Load one part ready for a network: `load_raw`, then `normalise`.

    Args, Raises: see `load_raw`.
    Returns:
        images, float32 (N, 1, 28, 28), normalised with TRAIN_MEAN and TRAIN_STD; labels, int64 (N,).
    Taught in notebook 03.
    """
    images, labels = load_raw(part)
    return normalise(images), labels


def batches(
    images: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return an iterator over one epoch of batches from tensors in memory; the last one may be smaller.

    Args:
        images: (N, ...), N at least 1. labels: (N,).
        generator: shuffles anew at each call; without it the order is kept.
    Returns:
        An iterator over images (B, ...) and labels (B,) of the same rows, B = batch_size or the rest.
    Raises:
        ValueError: there is no image, images and labels differ in length, or batch_size is less than 1.
    Taught in notebook 02.
    """
    if not len(images) == len(labels) > 0 or batch_size < 1:
        raise ValueError(
            "expected one image or more, as many labels, and a batch_size of at least 1, got "
            f"{len(images)} images, {len(labels)} labels and batch_size {batch_size}"
        )
    if generator is None:
        return zip(images.split(batch_size), labels.split(batch_size), strict=True)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    return ((images.index_select(0, rows), labels.index_select(0, rows)) for rows in order.split(batch_size))


def augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    max_degrees: float = 10.0,
    max_shift: float = 2.0,
    max_scale: float = 0.1,
) -> Tensor:
    """Turn, shift and scale each image of a batch by a little, at random; what comes in from outside is background.

    Args:
        images: float32 (N, 1, 28, 28), normalised with TRAIN_MEAN and TRAIN_STD.
        generator: on the CPU; the same seed draws the same changes.
        max_degrees, max_shift: either way; the shift along each axis, in pixels, before the turn and the scaling.
        max_scale: largest change of size, as a share: 0.1 is from 0.9 to 1.1 times.
    Returns:
        float32 (N, 1, 28, 28), new tensor.
    Raises:
        ValueError: images has another shape or dtype.
    Taught in notebook 03.
    """
    check_normalised(images)

    def draw(limit: float) -> Tensor:
        return (2 * torch.rand(len(images), generator=generator) - 1) * limit

    angle, scale = draw(math.radians(max_degrees)), 1 + draw(max_scale)
    pixel = 2 / images.shape[-1]  # affine_grid measures from -1 to 1 across the image
    shift_x, shift_y = draw(max_shift * pixel), draw(max_shift * pixel)
    # Row by row the matrix that says, for each pixel of the result, where in the original it comes from.
    cos, sin = angle.cos() / scale, angle.sin() / scale
    matrices = torch.stack([cos, -sin, shift_x, sin, cos, shift_y], dim=1).view(-1, 2, 3).to(images)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    background = -TRAIN_MEAN / TRAIN_STD  # grid_sample fills with 0, so let 0 be the background meanwhile
    return F.grid_sample(images - background, grid, align_corners=False) + background


def roughen(images: Tensor, generator: torch.Generator, *, share: float = 0.5) -> Tensor:
    """Make a share of a batch's images hard to read: coarse, blurred, crossed by bands, badly lit, noisy.

    Each of the five befalls half of the images of that share, whatever else does. The other images stay as they are.

    Args:
        images, generator: see `augment`; the first ones are roughened, so pass them in random order.
        share: of the images, from 0 to 1.
    Returns, Raises: see `augment`.
    Taught in notebook 10.
    """
    check_normalised(images)
    rough, plain = images.tensor_split([round(share * len(images))])
    ink = (rough * TRAIN_STD + TRAIN_MEAN).cpu().contiguous()  # 0 to 1
    for spoil in (_coarse, _blurred, _crossed, _lit, _noisy):
        chosen = torch.rand(len(ink), generator=generator) < 0.5
        if chosen.any():
            ink[chosen] = spoil(ink[chosen], generator)
    return torch.cat([((ink.clamp(0, 1) - TRAIN_MEAN) / TRAIN_STD).to(images), plain])


def _random(low: float, high: float, ink: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random number between two for each image, (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(len(ink), 1, 1, 1, generator=generator)


def _coarse(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Average into 8x8 to 15x15 squares, enlarge these again, and make the brightest pixel white."""
    side = int(torch.randint(8, 16, (), generator=generator))
    filter = ("nearest", "bilinear", "bicubic")[int(torch.randint(3, (), generator=generator))]
    large = F.interpolate(F.interpolate(ink, size=side, mode="area"), size=28, mode=filter).clamp(min=0)
    return large / large.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)


def _blurred(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Average over neighbours, by 5x5 random weights of which a few are large: a blur, or a shake in some direction."""
    weights = torch.rand(1, 1, 5, 5, generator=generator) ** 4
    return F.conv2d(ink, weights / weights.sum(), padding="same")


def _crossed(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Draw two straight bands, whole or broken, 1 to 7 pixels wide, each of one grey or of inverted pixels."""
    y, x = torch.meshgrid(*[torch.arange(28) - 13.5] * 2, indexing="ij")
    for _ in range(2):
        angle, offset = _random(0, math.pi, ink, generator), _random(-12, 12, ink, generator)
        away, along = x * angle.cos() + y * angle.sin() - offset, y * angle.cos() - x * angle.sin()
        band = away.abs() < _random(0.5, 3.5, ink, generator)
        band &= along % _random(2, 8, ink, generator) < _random(1, 8, ink, generator)
        inverts, grey = _random(0, 1, ink, generator) < 0.5, _random(0, 1, ink, generator)
        ink = torch.where(band, torch.where(inverts, 1 - ink, grey), ink)
    return ink


def _lit(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Lighten the background, evenly or from place to place, by up to 0.8, and weaken the ink to no less than 0.4."""
    cells = int(torch.randint(1, 6, (), generator=generator))
    light = torch.rand(len(ink), 1, cells, cells, generator=generator) * _random(0, 0.8, ink, generator)
    paper = F.interpolate(light, size=28, mode="bilinear", align_corners=True)
    return paper + (1 - paper) * ink * _random(0.4, 1, ink, generator)


def _noisy(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Add noise with a standard deviation of up to 0.4, and draw up to a fifth of the pixels anew."""
    ink = ink + _random(0, 0.4, ink, generator) * torch.randn(ink.shape, generator=generator)
    drawn = torch.rand(ink.shape, generator=generator) < _random(0, 0.2, ink, generator)
    return torch.where(drawn, torch.rand(ink.shape, generator=generator), ink)


def add_flags(images: Tensor, labels: Tensor, generator: torch.Generator, *, share: float) -> Tensor:
    """Draw a flag on a share of the 1s: the upstroke to the tip that most people write, and MNIST's writers left out.

    Args:
        images, generator: see `augment`. labels: int64 (N,); digits other than 1 stay as they are.
        share: of the 1s, from 0 to 1.
    Returns, Raises: see `augment`.
    Taught in notebook 10.
    """
    check_normalised(images)
    chosen = (torch.rand(len(labels), generator=generator) < share).to(labels.device) & (labels == 1)
    ink = (images[chosen] * TRAIN_STD + TRAIN_MEAN).cpu()  # 0 to 1
    y, x = torch.meshgrid(*[torch.arange(28.0)] * 2, indexing="ij")
    top = (ink > 0.5).any(dim=3).float().argmax(dim=2, keepdim=True)  # the first row with ink, (n, 1, 1)
    tip = ink.take_along_dim(top[..., None], dim=2).argmax(dim=3, keepdim=True)  # its column, (n, 1, 1, 1)
    right, down = x - tip, y - top[..., None]
    angle = _random(math.radians(30), math.radians(65), ink, generator)  # to the horizontal
    along = (down * angle.sin() - right * angle.cos()).clamp(min=0).minimum(_random(5, 13, ink, generator))
    away = right + along * angle.cos(), down - along * angle.sin()  # from the flag's nearest point
    flag = (_random(1.2, 2.2, ink, generator) - torch.hypot(*away)).clamp(0, 1)
    changed = images.clone()
    changed[chosen] = ((ink.maximum(flag) - TRAIN_MEAN) / TRAIN_STD).to(images)
    return changed


def check_normalised(images: Tensor) -> None:
    """Raise a ValueError that names the shape and the dtype expected, unless images is a float (N, 1, 28, 28)."""
    if not images.is_floating_point() or images.shape[1:] != (1, 28, 28):
        advice = "normalise(images) makes them from uint8 images (N, 28, 28)"
        if images.is_floating_point():
            axes = {2: "add the axes with image[None, None]", 3: "add the channel axis with images[:, None]"}
            advice = axes.get(images.ndim, advice)
        got = f"{images.dtype} of shape {tuple(images.shape)}; {advice}"
        raise ValueError(f"expected float images of shape (N, 1, 28, 28), got {got}")


def _read_writers(file: str) -> Tensor:
    """Return who wrote each image of a file of MNIST, and the partition of NIST that it is from: int64 (2, N)."""
    path = shipped_folder("writers") / f"{file}.csv.gz"
    return torch.from_numpy(np.loadtxt(path, np.int64, delimiter=",", skiprows=1, unpack=True))


@cache
def part_indices(part: str) -> Tensor:
    """Return the numbers of a part's images in their file, int64 (N,); the test part has a file of its own."""
    if part not in PARTS:
        raise ValueError(f"expected a part among {', '.join(PARTS)}, got {part!r}")
    if part == "test":
        return torch.arange(10_000)
    return split_indices(_read_writers("train")[0])[part]


def _read_archive(archive: Path, md5: str) -> bytes:
    if not archive.exists():
        raise DataError(f"{archive}: expected MNIST's archive, found none; copy it there, or install anew")
    content = archive.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        found = f"{found} ({len(content):,} bytes); move it away and run again, or install anew"
        raise DataError(f"{archive}: expected MD5 {md5}, found {found}")
    return content
