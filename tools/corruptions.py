"""Corruptions: what happens to pictures of digits on the way to a network, in the manner of MNIST-C, written here.

`MEASURED` are the fourteen kinds by which `make results` measures every recipe, on the test images. `CHOOSING` are six
others, by which the recipes' settings may be compared, on validation images. Every kind takes images float32 (N, 1, 28,
28), 0 = background, 1 = ink, and a generator, and returns new ones; its strength stands in its docstring. Source of the
idea: N. Mu and J. Gilmer 2019, "MNIST-C: A Robustness Benchmark for Computer Vision".
"""

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.data import load_raw, normalise
from digitlib.evaluation import evaluate

SIDE = 28
SEED = 0
Corruption = Callable[[Tensor, torch.Generator], Tensor]


@cache
def corrupted(part: str, name: str) -> tuple[Tensor, Tensor]:
    """Return a part's images under one corruption, always the same, normalised as for a network, and their labels."""
    images, labels = load_raw(part)
    kind = (MEASURED | CHOOSING)[name]
    ink = kind(images[:, None] / 255, torch.Generator().manual_seed(SEED))
    return normalise((255 * ink.clamp(0, 1)).round().byte()[:, 0]), labels


def accuracies(model: nn.Module, part: str, kinds: dict[str, Corruption]) -> dict[str, float]:
    """Return the share of a part's images that the model reads right under each of some corruptions."""
    return {kind: evaluate(model, *corrupted(part, kind)).accuracy for kind in kinds}


def between(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    """Return a random number between two for each image, (N, 1, 1, 1)."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def either_way(size: Tensor, generator: torch.Generator) -> Tensor:
    """Return the sizes, half of them negative."""
    return size * (2 * torch.randint(2, size.shape, generator=generator) - 1)


def warp(ink: Tensor, matrices: Tensor) -> Tensor:
    """Move each image by its 2x2 matrix about the middle; what comes in from outside is background."""
    theta = torch.cat([matrices, torch.zeros(len(ink), 2, 1)], dim=2)
    return F.grid_sample(ink, F.affine_grid(theta, list(ink.shape), align_corners=False), align_corners=False)


def smooth_field(count: int, cells: int, generator: torch.Generator) -> Tensor:
    """Return random fields (N, 1, 28, 28) that change slowly, each from 0 to 1."""
    coarse = torch.rand(count, 1, cells, cells, generator=generator)
    field = F.interpolate(coarse, size=SIDE, mode="bicubic", align_corners=True)
    low, high = field.amin((2, 3), keepdim=True), field.amax((2, 3), keepdim=True)
    return (field - low) / (high - low)


def distance_to_line(angle: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's distance from a straight line and its place along it, in pixels; angle in radians."""
    y, x = torch.meshgrid(*[torch.arange(SIDE) - (SIDE - 1) / 2] * 2, indexing="ij")
    return x * angle.cos() + y * angle.sin() - offset, y * angle.cos() - x * angle.sin()


# --- the fourteen that are measured


def noise(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Add normal noise with a standard deviation of 0.3 to each pixel."""
    return ink + 0.3 * torch.randn(ink.shape, generator=generator)


def impulse(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Make 15% of the pixels black or white."""
    hit = torch.rand(ink.shape, generator=generator) < 0.15
    return torch.where(hit, torch.randint(2, ink.shape, generator=generator).float(), ink)


def blur(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Blur with a Gaussian of a standard deviation of 1.5 pixels."""
    weights = torch.exp(-(torch.arange(-5, 6.0) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    return F.conv2d(
        F.conv2d(ink, weights.view(1, 1, 1, -1), padding="same"), weights.view(1, 1, -1, 1), padding="same"
    )


def motion(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Average along 7 pixels, in a direction of each image's own."""
    angle = between(0, math.pi, len(ink), generator)
    away, along = distance_to_line(angle, torch.zeros(()))
    kernel = ((1 - away.abs()).clamp(0) * (along.abs() <= 3.5)).to(ink)[:, :, 8:20, 8:20]
    kernel = F.pad(kernel, (0, 1, 0, 1)) / kernel.sum((2, 3), keepdim=True)
    return F.conv2d(ink.transpose(0, 1), kernel, padding=6, groups=len(ink)).transpose(0, 1)


def shear(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Slant by 0.4 to 0.6 pixels a row, to either side."""
    slant = either_way(between(0.4, 0.6, len(ink), generator), generator).flatten()
    one, zero = torch.ones_like(slant), torch.zeros_like(slant)
    return warp(ink, torch.stack([one, slant, zero, one], dim=1).view(-1, 2, 2))


def scale(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Shrink to 0.6 to 0.75 of the size."""
    factor = between(0.6, 0.75, len(ink), generator)[:, 0]
    return warp(ink, torch.eye(2) / factor)


def rotation(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Turn by 20 to 30 degrees, either way."""
    angle = either_way(between(20, 30, len(ink), generator), generator).flatten().deg2rad()
    return warp(ink, torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2))


def brightness(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Add 0.3 to 0.5 everywhere."""
    return ink + between(0.3, 0.5, len(ink), generator)


def contrast(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Bring all pixels to 0.25 to 0.4 of their distance from the middle grey."""
    return 0.5 + between(0.25, 0.4, len(ink), generator) * (ink - 0.5)


def fog(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Cover with fog of 5x5 random cells, 0.2 to 0.75 thick: so much of each pixel becomes white."""
    thickness = 0.2 + 0.55 * smooth_field(len(ink), 5, generator)
    return ink + thickness * (1 - ink)


def stripes(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Invert every pixel of two upright stripes of 3 pixels."""
    columns = torch.arange(SIDE)
    for _ in range(2):
        start = torch.randint(4, 22, (len(ink), 1, 1, 1), generator=generator)
        ink = torch.where((columns >= start) & (columns < start + 3), 1 - ink, ink)
    return ink


def dotted_line(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a white dotted line through the middle third, 2 pixels wide, 2 on and 2 off."""
    angle, offset = between(0, math.pi, len(ink), generator), between(-4.5, 4.5, len(ink), generator)
    away, along = distance_to_line(angle, offset)
    return torch.where((away.abs() <= 1) & (along % 4 < 2), 1.0, ink)


def spatter(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Cover an eighth of the image with white drops of some three pixels."""
    field = smooth_field(len(ink), 12, generator)
    highest = field.flatten(1).quantile(0.875, dim=1).view(-1, 1, 1, 1)
    return torch.where(field > highest, 0.9, ink)


def cut_edges(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Cut 7 pixels off one side, 3 of them beyond the margin."""
    rows, side = torch.arange(SIDE).view(-1, 1), torch.randint(4, (len(ink), 1, 1, 1), generator=generator)
    cut = [rows < 7, rows >= SIDE - 7, rows.T < 7, rows.T >= SIDE - 7]
    gone = torch.stack([mask.expand(SIDE, SIDE) for mask in cut])[side.flatten()][:, None]
    return torch.where(gone, 0.0, ink)


# --- six others, to choose by


def translation(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Move by 4 pixels along a random diagonal."""
    sides = torch.randint(2, (len(ink), 2), generator=generator) * 8 - 4
    return torch.stack([image.roll(tuple(side.tolist()), (1, 2)) for image, side in zip(ink, sides)])


def elastic(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Move each pixel along a smooth field, by up to 1.5 pixels."""
    moves = [3 * (smooth_field(len(ink), 6, generator) - 0.5) / (SIDE / 2) for _ in range(2)]
    theta = torch.eye(2, 3).expand(len(ink), 2, 3)
    grid = F.affine_grid(theta, list(ink.shape), align_corners=False)
    return F.grid_sample(ink, grid + torch.cat(moves, dim=1).permute(0, 2, 3, 1), align_corners=False)


def speckle(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Multiply each pixel's distance from white by a random number from 0.5 to 1, and each pixel by another."""
    first, second = (0.5 + 0.5 * torch.rand(ink.shape, generator=generator) for _ in range(2))
    return (1 - first * (1 - ink)) * second


def zigzag(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a grey zigzag line across, 2 pixels wide, its teeth 4 pixels high."""
    angle, offset = between(0, math.pi, len(ink), generator), between(-6, 6, len(ink), generator)
    away, along = distance_to_line(angle, offset)
    teeth = 2 * ((along % 8) - 4).abs() - 4
    return torch.where((away - teeth / 2).abs() <= 1, 0.7, ink)


def vignette(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Lighten the paper away from a random middle, to 0.8 of white in the corners, and weaken the ink to a half."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    away = (x - between(-0.5, 0.5, len(ink), generator)) ** 2 + (
        y - between(-0.5, 0.5, len(ink), generator)
    ) ** 2
    paper = 0.8 * away / away.amax((2, 3), keepdim=True)
    return paper + 0.5 * (1 - paper) * ink


def patches(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Cover three random squares of 5 pixels with grey of random lightness."""
    rows, columns = torch.arange(SIDE).view(-1, 1), torch.arange(SIDE)
    for _ in range(3):
        top, left = (torch.randint(2, 21, (len(ink), 1, 1, 1), generator=generator) for _ in range(2))
        inside = (rows >= top) & (rows < top + 5) & (columns >= left) & (columns < left + 5)
        ink = torch.where(inside, between(0, 1, len(ink), generator), ink)
    return ink


def _named(*kinds: Corruption) -> dict[str, Corruption]:
    return {kind.__name__.replace("_", " "): kind for kind in kinds}


MEASURED = _named(
    noise, impulse, blur, motion, shear, scale, rotation, brightness, contrast, fog, stripes, dotted_line, spatter,
    cut_edges,
)  # fmt: skip
CHOOSING = _named(translation, elastic, speckle, zigzag, vignette, patches)
