"""MNIST: fetch, split, normalise, batches.

The 70,000 images are the four archives that Y. LeCun, C. Cortes and C. Burges published; they lie in the repository.
`torchvision.datasets.MNIST` reads them; this module sees to it that what it reads is the real thing.
"""

import gzip
import hashlib
import math
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from digitlib.storage import own_folder, repository_folder, write_whole

PARTS = ("train", "validation", "test")
NUM_VALIDATION = 5_000
SPLIT_SEED = 1

# Mean and standard deviation of the pixels of the 55,000 training images, scaled to 0..1; a test recomputes both.
TRAIN_MEAN = 0.1307
TRAIN_STD = 0.3081


class DataError(RuntimeError):
    """A file of the dataset is missing, damaged or cannot be written; the message says what to do next."""


def fetch() -> Path:
    """Verify the four archives and unpack them; archives that are missing are fetched first.

    They come from the repository, where digitlib runs from one, else from the network. An interrupted run leaves no
    half file; an unpacked file that is damaged is unpacked anew.

    Returns:
        `digitlib.storage.own_folder("data")`, ready for `torchvision.datasets.MNIST(folder)`.
    Raises:
        DataError: an archive is not the published one or cannot be fetched, or the folder cannot be written.
    Taught in notebook 02.
    """
    from torchvision.datasets import MNIST

    folder = own_folder("data")
    raw = folder / "MNIST" / "raw"
    try:
        missing = [name for name, _ in MNIST.resources if not (raw / name).exists()]
        if missing:
            _fetch_archives(raw, missing)
        for name, md5 in MNIST.resources:
            _expect_md5(raw / name, md5)
            _unpack(raw / name)
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
    dataset = _open_mnist(part)
    if part == "test":
        return dataset.data, dataset.targets
    indices = split_indices(len(dataset))[part]
    return dataset.data[indices], dataset.targets[indices]


def split_indices(
    num_images: int, *, num_validation: int = NUM_VALIDATION, seed: int = SPLIT_SEED
) -> dict[str, Tensor]:
    """Divide the numbers 0 to num_images - 1 at random into a training and a validation part.

    Returns:
        {"train": int64 (num_images - num_validation,), "validation": int64 (num_validation,)}, each ascending.
    Raises:
        ValueError: num_validation leaves nothing to train on, or is negative.
    Taught in notebook 02.
    """
    if not 0 <= num_validation < num_images:
        raise ValueError(f"expected 0 <= num_validation < {num_images}, got {num_validation}")
    shuffled = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed))
    return {
        "train": shuffled[num_validation:].sort().values,
        "validation": shuffled[:num_validation].sort().values,
    }


def statistics(images: Tensor) -> tuple[float, float]:
    """Return the mean and the standard deviation of all pixels, scaled to 0..1.

    Args:
        images: uint8 (N, 28, 28). Pass the training part alone: statistics of other images would leak them.
    Taught in notebook 03.
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


def data_loader(part: str, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> DataLoader:
    """Return torchvision's standard way to `batches` of a part: each image opened, normalised, stacked on its own.

    Args:
        shuffle: draw a new order each epoch, from a generator seeded with `seed`.
    Raises: see `load_raw`.
    Taught in notebook 02.
    """
    from torchvision.transforms import Compose, Normalize, ToTensor

    dataset = _open_mnist(part, Compose([ToTensor(), Normalize((TRAIN_MEAN,), (TRAIN_STD,))]))
    if part != "test":
        dataset = Subset(dataset, split_indices(len(dataset))[part].tolist())
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_size, shuffle=shuffle, generator=generator)


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


def coarsen(images: Tensor, generator: torch.Generator, *, share: float = 0.25) -> Tensor:
    """Make a share of a batch's images coarse, as if a picture of a few large pixels had been enlarged.

    The first images of the batch are averaged into 8x8 to 15x15 squares and enlarged again, by a filter drawn anew each
    time; their brightest pixel comes out white. The others stay as they are.

    Args:
        images, generator: see `augment`; in random order.
        share: of the images, from 0 to 1.
    Returns, Raises: see `augment`.
    Explained in book/handwriting.md.
    """
    check_normalised(images)
    coarse, fine = images.tensor_split([round(share * len(images))])
    side = int(torch.randint(8, 16, (), generator=generator))
    filter = ("nearest", "bilinear", "bicubic")[int(torch.randint(3, (), generator=generator))]
    background, white = -TRAIN_MEAN / TRAIN_STD, (1 - TRAIN_MEAN) / TRAIN_STD
    small = F.interpolate(coarse - background, size=side, mode="area")
    ink = F.interpolate(small, size=28, mode=filter).clamp(min=0)  # bicubic goes below the background
    ink *= (white - background) / ink.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
    return torch.cat([ink + background, fine])


def check_normalised(images: Tensor) -> None:
    """Raise a ValueError that names the shape and the dtype expected, unless images is a float (N, 1, 28, 28)."""
    if not images.is_floating_point() or images.shape[1:] != (1, 28, 28):
        got = f"{images.dtype} of shape {tuple(images.shape)}; normalise(images) makes them from uint8 images"
        raise ValueError(f"expected normalised float images of shape (N, 1, 28, 28), got {got}")


def _open_mnist(part: str, transform: Callable | None = None):
    from torchvision.datasets import MNIST

    if part not in PARTS:
        raise ValueError(f"expected a part among {', '.join(PARTS)}, got {part!r}")
    return MNIST(fetch(), train=part != "test", transform=transform)


def _fetch_archives(raw: Path, missing: list[str]) -> None:
    """Copy the archives that are missing from the repository; outside of one, have torchvision download them."""
    from torchvision.datasets import MNIST

    source = repository_folder("data") / "MNIST" / "raw"
    with tempfile.TemporaryDirectory() as aside:
        if not all((source / name).exists() for name in missing):
            source = Path(aside) / "MNIST" / "raw"
            try:
                MNIST(aside, download=True)
            except (RuntimeError, ConnectionError, TimeoutError, HTTPException) as error:
                found = f"none, and the download failed: {' '.join(str(error).split())}"
                hint = "run again with a network, copy the archives there or set DIGITLIB_DATA"
                raise DataError(f"{raw}: expected {', '.join(missing)}, found {found}; {hint}") from error
        for name in missing:
            _expect_md5(source / name, dict(MNIST.resources)[name])
            write_whole(raw / name, (source / name).read_bytes())


def _expect_md5(archive: Path, md5: str) -> None:
    found = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    if found != md5:
        found = f"{found} ({archive.stat().st_size:,} bytes); move it away and run again, to fetch it anew"
        raise DataError(f"{archive}: expected MD5 {md5}, found {found}")


def _unpack(archive: Path) -> None:
    """Unpack, unless that is done: an archive ends with the checksum and length of what it holds (RFC no. 1952)."""
    content, unpacked = archive.read_bytes(), archive.with_suffix("")
    data = unpacked.read_bytes() if unpacked.exists() else b""
    if not content.endswith(struct.pack("<II", zlib.crc32(data), len(data))):
        write_whole(unpacked, gzip.decompress(content))
