"""Measure a trained network: predictions, loss, accuracy with its intervals, confusion matrix, precision and recall."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, and the counts behind it."""

    loss: float  # mean cross-entropy per image, in nats
    accuracy: float  # share of images read right, 0 to 1
    interval: tuple[float, float]  # the 95% interval of that share, see `accuracy_interval`
    num_correct: int
    num_images: int


@dataclass(frozen=True)
class Report:
    """Precision, recall and F1 of each class, float64 (C,), their plain means over classes, and the images a class."""

    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor
    macro_precision: float
    macro_recall: float
    macro_f1: float


def predict_logits(model: nn.Module, images: Tensor, *, batch_size: int = 1000) -> Tensor:
    """Run the model on all images in evaluation mode, without gradients; the mode it was in is restored.

    Args:
        images: float32 (N, 1, 28, 28), normalised; moved to where the model is, batch_size at once.
    Returns:
        logits, float32 (N, 10), on the model's device.
    Taught in notebook 09.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return torch.cat([model(batch.to(device)) for batch in images.split(batch_size)])
    finally:
        model.train(was_training)


def evaluate(model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 1000) -> Evaluation:
    """Return the mean loss and the accuracy over all images, each image counting once.

    Args:
        images: float32 (N, 1, 28, 28), normalised. labels: int64 (N,).
    Raises: see `measure`.
    Taught in notebook 09.
    """
    return measure(predict_logits(model, images, batch_size=batch_size), labels)


def measure(logits: Tensor, labels: Tensor) -> Evaluation:
    """Return the mean loss and the accuracy of predictions already made.

    Args:
        logits: float32 (N, 10). labels: int64 (N,).
    Raises:
        ValueError: there are no images, or logits and labels differ in length.
    Taught in notebook 09.
    """
    if len(logits) != len(labels) or len(labels) == 0:
        raise ValueError(
            f"expected one label for each image, and at least one image, got {len(labels)} for {len(logits)}"
        )
    labels = labels.to(logits.device)
    num_correct = (logits.argmax(dim=1) == labels).sum().item()
    return Evaluation(
        loss=F.cross_entropy(logits, labels).item(),
        accuracy=num_correct / len(labels),
        interval=accuracy_interval(num_correct, len(labels)),
        num_correct=num_correct,
        num_images=len(labels),
    )


def accuracy_interval(num_correct: int, num_images: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of an accuracy, as two shares, as if the images were independent.

    Of many sets of independent images of one kind, about 95% give an interval that covers the accuracy on unlimited
    images of that kind. Images by one writer are alike, though: for new writers, see `writers_interval`.

    Raises:
        ValueError: the counts are impossible.
    Taught in notebook 09. Source: Wilson 1927.
    """
    if not 0 <= num_correct <= num_images or num_images == 0:
        raise ValueError(
            f"expected 0 <= num_correct <= num_images and an image, got {num_correct} of {num_images}"
        )
    z = 1.959964  # 95% of a normal distribution lie within this many standard deviations
    share = num_correct / num_images
    centre = share + z**2 / (2 * num_images)
    half_width = z * math.sqrt(share * (1 - share) / num_images + z**2 / (4 * num_images**2))
    scale = 1 + z**2 / num_images
    # Rounding could carry the ends a hair beyond what a share can be.
    return max(0.0, (centre - half_width) / scale), min(1.0, (centre + half_width) / scale)


def writers_interval(
    values: Tensor, writers: Tensor, *, num_samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95% interval of a mean over images, as it would vary with other writers: a bootstrap over writers.

    Writers, each with all their images, are drawn with replacement, as many as there are, again and again. How far the
    mean of such a draw lies from the mean of all, in standard errors of the draw's own, says how far the mean of all
    may lie from that of unlimited writers (bootstrap-t; plain percentiles are too narrow where mistakes are few).

    Args:
        values: (N,), right answers, as `predictions == labels`; or one network's minus another's, in -1, 0, 1.
        writers: int64 (N,), as `digitlib.data.load_writers` returns them.
        num_samples, seed: of the bootstrap; the same seed gives the same interval.
    Raises:
        ValueError: values and writers are not two rows of one length, or there are fewer than two writers.
    Taught in notebook 09. Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 12.5.
    """
    sums, sizes = _by_writer(values, writers)
    num_writers, mean = len(sizes), (sums.sum() / sizes.sum()).item()
    lowest = 0.0 if values.dtype == torch.bool or values.min() >= 0 < values.max() else -1.0
    error = _means_and_errors(sums, sizes, torch.ones(1, num_writers).double())[1].item()
    if error == 0:  # no writer differs, nor can a draw; of unlimited ones up to 3 / num_writers may
        return max(lowest, mean - 3 / num_writers), min(1.0, mean + 3 / num_writers)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(num_writers, (num_samples, num_writers), generator=generator)
    times = torch.zeros_like(drawn).scatter_add_(1, drawn, torch.ones_like(drawn)).double()
    means, errors = _means_and_errors(sums, sizes, times)
    ends = ((means - mean) / errors.clamp(min=1e-6)).quantile(torch.tensor([0.975, 0.025]).double()).tolist()
    low, high = (mean - end * error for end in ends)
    return max(lowest, low), min(1.0, high)


def writers_test(
    first: Tensor, second: Tensor, writers: Tensor, *, num_samples: int = 9999, seed: int = 0
) -> float:
    """Return how often chance alone would set two networks as far apart as they are: a paired test by writers.

    Were the two alike, then each writer's difference might as well have been the other way round. So the differences
    are turned round at random, writer by writer; the p-value is the share of turns that come at least as far from 0.

    Args:
        first, second: bool (N,), the two networks' right answers on the same images. Others: see `writers_interval`.
    Returns:
        The two-sided p-value, from 1 / (num_samples + 1) to 1.
    Taught in notebook 09. Source: Fisher 1935, "The Design of Experiments", section 21.
    """
    sums, _ = _by_writer(first.double() - second.double(), writers)
    generator = torch.Generator().manual_seed(seed)
    signs = 2 * torch.randint(2, (num_samples, len(sums)), generator=generator).double() - 1
    num_as_far = ((signs @ sums).abs() >= sums.sum().abs()).sum().item()
    return (num_as_far + 1) / (num_samples + 1)


def _by_writer(values: Tensor, writers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of each writer's values, and how many images are theirs, float64 (W,)."""
    people, owner = writers.cpu().unique(return_inverse=True)
    if values.shape != writers.shape or values.ndim != 1 or len(people) < 2:
        got = f"values of shape {tuple(values.shape)} and {len(people)} writers of {tuple(writers.shape)}"
        expected = "one value and one writer for each image, of two writers or more"
        raise ValueError(f"expected {expected}, got {got}; see load_writers(part)")
    return owner.bincount(values.cpu().double()), owner.bincount().double()


def _means_and_errors(sums: Tensor, sizes: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of each draw (row of times: how often each writer was drawn), and its standard error, (D,)."""
    num_drawn, num_images = times.sum(dim=1), times @ sizes
    means = (times @ sums) / num_images
    squares = times @ sums**2 - 2 * means * (times @ (sums * sizes)) + means**2 * (times @ sizes**2)
    return means, (squares.clamp(min=0) * num_drawn / (num_drawn - 1)).sqrt() / num_images


def confusion_matrix(labels: Tensor, predictions: Tensor, *, num_classes: int = 10) -> Tensor:
    """Count how often each true class was read as each class.

    Args:
        labels, predictions: int64 (N,), 0 to num_classes - 1, on any device.
    Returns:
        int64 (num_classes, num_classes), on the CPU; row = true class, column = predicted class.
    Raises:
        ValueError: the two differ in length, or hold a class that is not there.
    Taught in notebook 09.
    """
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            f"expected labels and predictions of one shape (N,), got {tuple(labels.shape)} and "
            f"{tuple(predictions.shape)}; logits become predictions with logits.argmax(dim=1)"
        )
    labels, predictions = labels.cpu(), predictions.cpu()
    both = torch.cat([labels, predictions])
    if both.is_floating_point() or (len(both) and not (0 <= both.min() and both.max() < num_classes)):
        raise ValueError(f"expected whole classes from 0 to {num_classes - 1}, got {both.dtype} beyond them")
    pairs = labels * num_classes + predictions
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def report(confusion: Tensor) -> Report:
    """Derive precision, recall and F1 from a confusion matrix, int64 (C, C), as `confusion_matrix` returns it.

    Where one of them is undefined (0 / 0) it counts as 0. Taught in notebook 09.
    """
    confusion = confusion.cpu().double()  # not every GPU has float64
    correct, predicted, support = confusion.diag(), confusion.sum(dim=0), confusion.sum(dim=1)
    precision = correct / predicted.clamp(min=1)
    recall = correct / support.clamp(min=1)
    f1 = 2 * correct / (predicted + support).clamp(min=1)
    return Report(
        precision=precision,
        recall=recall,
        f1=f1,
        support=support.long(),
        macro_precision=precision.mean().item(),
        macro_recall=recall.mean().item(),
        macro_f1=f1.mean().item(),
    )
