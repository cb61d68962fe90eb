"""The training loop, which notebook 07 writes in the open: one epoch, several epochs, the record that they leave."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from digitlib.evaluation import Evaluation, evaluate


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: the loss at each step, and mean loss and accuracy per image, measured on the way."""

    step_loss: list[float]
    loss: float
    accuracy: float


@dataclass
class History:
    """What a training run leaves behind: losses in nats, accuracies from 0 to 1. One seed leaves equal histories."""

    train_loss: list[float] = field(default_factory=list)  # one an epoch, while the weights change
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)  # one an epoch, measured after it
    validation_accuracy: list[float] = field(default_factory=list)
    step_loss: list[float] = field(default_factory=list)  # one a step (a batch)
    interrupted: bool = False  # whether the run was stopped before its last epoch

    def __len__(self) -> int:
        """Return the number of finished epochs."""
        return len(self.train_loss)

    def record(self, epoch: EpochRecord, validation: Evaluation) -> None:
        """Append what one epoch brought."""
        self.train_loss.append(epoch.loss)
        self.train_accuracy.append(epoch.accuracy)
        self.validation_loss.append(validation.loss)
        self.validation_accuracy.append(validation.accuracy)
        self.step_loss += epoch.step_loss

    def as_table(self) -> dict[str, list[float]]:
        """Return columns for a `pandas.DataFrame` with a row an epoch: epoch (from 1), the losses, the accuracies."""
        names = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
        return {"epoch": list(range(1, len(self) + 1)), **{name: getattr(self, name) for name in names}}


def train_one_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    *,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    clip_norm: float | None = None,
) -> EpochRecord:
    """Take one step for each batch.

    Args:
        model: returns logits (B, 10). optimizer: over its parameters.
        batches: yields images (B, 1, 28, 28) and labels (B,), on the model's device.
        schedule: changes the learning rate after each step.
        clip_norm: gradients whose norm is larger are scaled down to it.
    Raises:
        ValueError: batches yields nothing.
    Taught in notebook 07.
    """
    model.train()
    step_loss, total_loss, num_correct, num_seen = [], 0.0, 0, 0
    for images, labels in batches:
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        step_loss.append(loss.item())
        total_loss += loss.item() * len(labels)  # the last batch may be smaller, so weigh each by its length
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
        num_seen += len(labels)
    if num_seen == 0:
        raise ValueError("expected at least one batch, got none; a generator serves one epoch only")
    return EpochRecord(step_loss, total_loss / num_seen, num_correct / num_seen)


def fit(
    model: nn.Module,
    train_batches: Callable[[], Iterable[tuple[Tensor, Tensor]]],
    validation: tuple[Tensor, Tensor],
    *,
    optimizer: torch.optim.Optimizer,
    num_epochs: int,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    clip_norm: float | None = None,
) -> History:
    """Train for several epochs and validate after each.

    Ctrl-C (KeyboardInterrupt) ends the training early: the model keeps what it has learnt, and the History of the
    finished epochs is returned with `interrupted` set. In a terminal and in a notebook a bar moves with each batch and
    is gone afterwards, unless the variable DIGITLIB_STILL is set.

    Args:
        train_batches: a function that returns the batches of one epoch; called once an epoch. For example
            `lambda: batches(images, labels, 100, generator)`, or `lambda: loader` for a DataLoader.
        validation: images (N, 1, 28, 28) and labels (N,). schedule, clip_norm: see `train_one_epoch`.
    Raises:
        ValueError: num_epochs is less than 1, or train_batches is no function.
    Taught in notebook 07.
    """
    if num_epochs < 1:
        raise ValueError(f"expected at least one epoch, got num_epochs={num_epochs}")
    if not callable(train_batches):
        got = f"{type(train_batches).__name__}; write lambda: batches(images, labels, batch_size, generator)"
        raise ValueError(f"expected train_batches to be a function that returns batches, got {got}")
    look = _options_of_the_bar()
    history, num_steps, result = History(), None, None
    try:
        for number in range(1, num_epochs + 1):
            title = f"epoch {number}/{num_epochs}"
            with tqdm(train_batches(), title, num_steps, postfix=result, leave=False, **look) as bar:
                epoch = train_one_epoch(model, bar, optimizer, schedule=schedule, clip_norm=clip_norm)
                measured = evaluate(model, *validation)
            history.record(epoch, measured)
            num_steps = len(epoch.step_loss)  # a generator does not tell its length beforehand
            result = f"loss {epoch.loss:.4f}, validation {measured.accuracy:.2%}"
    except KeyboardInterrupt:
        history.interrupted = True
    return history


def _options_of_the_bar() -> dict:
    """Return what tells tqdm where to show its bar, if anywhere."""
    if os.environ.get("DIGITLIB_STILL"):
        return {"disable": True}
    if type(sys.stdout).__module__ == "ipykernel.iostream":
        # Here a bar that is gone leaves blanks; tqdm.auto leaves its first state in the file, stderr a red line.
        return {"file": sys.stdout, "ncols": 100}
    return {"disable": not (sys.stderr and sys.stderr.isatty())}
