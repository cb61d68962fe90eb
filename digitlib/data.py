"""MNIST: fetch, split, normalise, batches.

The 70,000 images lie in the repository as the four archives that Y. LeCun, C. Cortes and C. Burges published.
`torchvision.datasets.MNIST` reads them; this module sees to it that what it reads is the real thing.
"""

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Subset

PARTS = ("train", "validation", "test")
NUM_VALIDATION = 5_000
SPLIT_SEED = 1

# Mean and standard deviation of the pixels of the 55,000 training images, scaled to 0..1; a test recomputes both.
TRAIN_MEAN = 0.1307
TRAIN_STD = 0.3081

# SHA-256 of the unpacked files. torchvision holds the MD5 of the archives, but never looks at what they unpack to.
UNPACKED_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
UNPACKED_BYTES = 54_950_048

_REPOSITORY_FOLDER = Path(__file__).resolve().parents[1] / "data"


class DataError(RuntimeError):
    """A file of the dataset is missing, damaged or cannot be written; the message says what to do next."""


def data_folder() -> Path:
    """Return the folder that holds `MNIST/raw`: $DIGITLIB_DATA where it is set, else the repository's `data/`."""
    return Path(os.environ.get("DIGITLIB_DATA") or _REPOSITORY_FOLDER).expanduser()


def fetch(folder: Path | str | None = None) -> Path:
    """Verify the four archives, unpack those that are not yet unpacked, and verify what came out.

    Nothing is downloaded. A folder without archives takes them from the repository's own `data/`. Files are
    unpacked aside and moved into place whole, so that an interrupted run leaves no half file behind.

    Args:
        folder: the folder that holds `MNIST/raw`; `data_folder()` by default.
    Returns:
        The folder, ready for `torchvision.datasets.MNIST(folder)`.
    Raises:
        DataError: an archive or an unpacked file is missing or differs from the published one, or the folder
            cannot be written.
    Taught in notebook 02.
    """
    from torchvision.datasets import MNIST

    folder = data_folder() if folder is None else Path(folder)
    raw = folder / "MNIST" / "raw"
    try:
        _refuse_legacy_files(folder)
        for archive_name, md5 in MNIST.resources:
            archive, unpacked = raw / archive_name, raw / archive_name.removesuffix(".gz")
            if archive.exists():
                _expect_hash(archive, "md5", md5, next_step=_restore_step(archive))
            if unpacked.exists():
                _expect_hash(
                    unpacked,
                    "sha256",
                    UNPACKED_SHA256[unpacked.name],
                    next_step="delete this file and run again: it is unpacked anew from its archive",
                )
            else:
                _unpack(archive, unpacked, md5)
    except OSError as error:
        raise DataError(
            f"{error.filename or raw}: expected a folder that can be read and written, with {UNPACKED_BYTES:,} bytes "
            f"free for the unpacked files, found: {error.strerror or error}; make room or set DIGITLIB_DATA to a "
            "folder of your own"
        ) from error
    return folder


def load_raw(part: str, *, seed: int = SPLIT_SEED, folder: Path | str | None = None) -> tuple[Tensor, Tensor]:
    """Load the images and labels of one part as they were published.

    Args:
        part: "train" (55,000 images), "validation" (5,000) or "test" (10,000).
        seed: decides which 5,000 of the 60,000 training images are the validation part.
        folder: the folder that holds `MNIST/raw`; `data_folder()` by default.
    Returns:
        images, uint8 (N, 28, 28), 0 = background, 255 = ink; labels, int64 (N,), 0 to 9.
    Raises:
        ValueError: part is none of the three.
        DataError: see `fetch`.
    Taught in notebook 02.
    """
    dataset = _open_mnist(part, folder)
    if part == "test":
        return dataset.data, dataset.targets
    indices = split_indices(len(dataset), seed=seed)[part]
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


def load_part(
    part: str, *, seed: int = SPLIT_SEED, folder: Path | str | None = None
) -> tuple[Tensor, Tensor]:
    """Load one part ready for a network: `load_raw`, then `normalise`.

    Returns:
        images, float32 (N, 1, 28, 28), normalised with TRAIN_MEAN and TRAIN_STD; labels, int64 (N,).
    Raises:
        ValueError, DataError: see `load_raw`.
    Taught in notebook 03.
    """
    images, labels = load_raw(part, seed=seed, folder=folder)
    return normalise(images), labels


def batches(
    images: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of batches from tensors in memory; the last one may be smaller.

    Args:
        images: (N, ...), N at least 1. labels: (N,).
        batch_size: images a batch, at least 1.
        generator: shuffles anew at each call; without it the order is kept.
    Yields:
        images (B, ...) and labels (B,) of the same rows, B = batch_size or the rest.
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
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)
    else:
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for indices in order.split(batch_size):
            yield images.index_select(0, indices), labels.index_select(0, indices)


def data_loader(
    part: str,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    transform: Callable | None = None,
    folder: Path | str | None = None,
) -> DataLoader:
    """Return torchvision's standard way to the same split: each image opened, transformed and stacked on its own.

    Args:
        part: one of PARTS.
        shuffle: draw a new order each epoch, from a generator seeded with `seed`.
        transform: takes a PIL image; by default ToTensor and Normalize(TRAIN_MEAN, TRAIN_STD).
    Returns:
        A DataLoader of batches like those of `batches(*load_part(part), batch_size)`.
    Raises:
        ValueError, DataError: see `load_raw`.
    Taught in notebook 02.
    """
    from torchvision import transforms

    if transform is None:
        transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((TRAIN_MEAN,), (TRAIN_STD,))]
        )
    dataset = _open_mnist(part, folder, transform)
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
        generator: a generator on the CPU; the same seed draws the same changes.
        max_degrees: largest rotation, either way.
        max_shift: largest shift along each axis, in pixels, before the turn and the change of size.
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
        images: float32 (N, 1, 28, 28), normalised with TRAIN_MEAN and TRAIN_STD, in random order.
        generator: a generator on the CPU; the same seed draws the same changes.
        share: of the images, from 0 to 1.
    Returns:
        float32 (N, 1, 28, 28), new tensor.
    Raises:
        ValueError: images has another shape or dtype.
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
        raise ValueError(
            f"expected normalised float images of shape (N, 1, 28, 28), got {images.dtype} of shape "
            f"{tuple(images.shape)}; normalise(images) makes them from uint8 images"
        )


def _open_mnist(part: str, folder: Path | str | None, transform: Callable | None = None):
    from torchvision.datasets import MNIST

    if part not in PARTS:
        raise ValueError(f"expected a part among {', '.join(PARTS)}, got {part!r}")
    return MNIST(fetch(folder), train=part != "test", transform=transform)


def _unpack(archive: Path, unpacked: Path, md5: str) -> None:
    """Unpack beside the goal, verify, then move into place in one step."""
    from torchvision.datasets.utils import extract_archive

    if not archive.exists():
        stored = _REPOSITORY_FOLDER / "MNIST" / "raw" / archive.name
        if not stored.exists():
            raise DataError(
                f"{archive}: expected an archive of MNIST, found no such file; {_restore_step(archive)}, or set "
                "DIGITLIB_DATA to a folder that holds it"
            )
        _expect_hash(stored, "md5", md5, next_step=_restore_step(stored))
        archive = stored
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=unpacked.parent))
    try:
        extract_archive(str(archive), str(aside))
        _expect_hash(
            aside / unpacked.name,
            "sha256",
            UNPACKED_SHA256[unpacked.name],
            next_step="run again; if it stays so, the disk or its folder is damaged: set DIGITLIB_DATA to another one",
        )
        os.replace(aside / unpacked.name, unpacked)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _expect_hash(path: Path, algorithm: str, expected: str, *, next_step: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: expected {algorithm.upper()} {expected}, found {found} ({path.stat().st_size:,} bytes): the "
            f"file is damaged or was changed; {next_step}"
        )


def _restore_step(archive: Path) -> str:
    if archive.is_relative_to(_REPOSITORY_FOLDER):
        return f"restore it with: git checkout -- data/MNIST/raw/{archive.name}"
    return "copy it from data/MNIST/raw/ of a fresh copy of the repository"


def _refuse_legacy_files(folder: Path) -> None:
    """Refuse the two files of torchvision before 0.9, which it would read unverified in place of the archives."""
    legacy = folder / "MNIST" / "processed" / "training.pt"
    if legacy.exists():
        raise DataError(
            f"{legacy}: expected no such file, found one that an old torchvision made and that would be read "
            "unverified; move the folder 'processed' away"
        )
