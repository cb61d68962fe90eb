"""Train one network with several processes, each on its share of every batch.

`torchrun --nproc-per-node=2 -m digitlib train mlp` starts them. They keep equal copies of the network: each works out
the gradients of its own images, torch's DistributedDataParallel the mean of all. The losses are one process's, up to
rounding, unless there is dropout, which each draws for itself, or, on CPUs, batch normalisation: each takes mean and
variance of its own images, as in a smaller batch; torch's SyncBatchNorm, which takes the whole batch's, needs GPUs.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from digitlib.data import load_part
from digitlib.evaluation import Evaluation, measure, predict_logits
from digitlib.recipes import Recipe, build_model, build_optimizer, build_schedule, epoch_batches
from digitlib.training import EpochRecord, History

TORCHRUN = os.getppid()  # the process that started this one


class ProcessLost(RuntimeError):
    """Another process of the training has ended or was told to stop, so this one cannot go on."""


def num_processes() -> int:
    """Return how many processes torchrun has started; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def rank() -> int:
    """Return this process's number, from 0; process 0 is the one that prints and writes."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def train(
    recipe: Recipe, *, device: str = "cpu", after_epoch: Callable | None = None
) -> tuple[nn.Module, History]:
    """Train the recipe's network with all processes that torchrun has started; each of them calls this.

    Args:
        device: see `digitlib.recipes.train`; on "cuda" there is a GPU for each process of a machine.
        after_epoch: called in process 0 after each epoch, with the model so far and its History.
    Returns:
        The trained model, on the device, and the History of all processes together: both are equal in each process.
    Raises:
        ProcessLost: another process has ended.
    """
    (images, labels), validation, history = load_part("train"), load_part("validation"), History()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with _connected(device), torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build_model(recipe).to(device, memory_format=torch.channels_last)
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model) if device == "cuda" else model
        torch.manual_seed((recipe.seed + rank()) % 2**63)  # what is drawn from here on is dropout
        optimizer = build_optimizer(recipe, model)
        num_steps = -(-len(images) // recipe.batch_size) * recipe.num_epochs
        schedule = build_schedule(recipe, optimizer, num_steps=num_steps)
        parallel = nn.parallel.DistributedDataParallel(model)
        generator = torch.Generator().manual_seed(recipe.seed)
        for _ in range(recipe.num_epochs):
            batches = epoch_batches(recipe, images.to(device), labels.to(device), generator)
            epoch = train_one_epoch(parallel, batches, optimizer, schedule, recipe.clip_norm)
            for running_average in model.buffers():  # those of process 0 are validated and saved
                dist.broadcast(running_average, src=0)
            history.record(epoch, evaluate(model, *validation))
            if rank() == 0 and after_epoch is not None:
                after_epoch(model, history)
    return model, history


def train_one_epoch(model, batches, optimizer, schedule, clip_norm) -> EpochRecord:
    """Take one step for each batch, as `digitlib.training.train_one_epoch` does, on this process's share of it."""
    model.train()
    own = []  # a row a step
    for images, labels in batches:
        if os.getppid() != TORCHRUN:  # nobody would end this process any more
            raise ProcessLost("torchrun has ended")
        own_images, own_labels = (rows.tensor_split(num_processes())[rank()] for rows in (images, labels))
        logits = model(own_images)
        # Each image weighs 1 / len(labels), whichever process has it: some may have one more than others.
        loss = nn.functional.cross_entropy(logits, own_labels, reduction="sum") / len(labels)
        optimizer.zero_grad()
        (loss * num_processes()).backward()  # the sum of all gradients is wanted, model takes the mean
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        num_correct = (logits.argmax(dim=1) == own_labels).sum().item()
        own.append((loss.item(), loss.item() * len(labels), num_correct, len(own_labels)))
    sums = torch.tensor(own, dtype=torch.double, device=labels.device)
    dist.all_reduce(sums)  # over the processes
    total_loss, num_correct, num_seen = sums[:, 1:].sum(dim=0).tolist()
    return EpochRecord(sums[:, 0].tolist(), total_loss / num_seen, num_correct / num_seen)


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> Evaluation:
    """Return what `digitlib.evaluation.evaluate` does, each process reading its share of the images once."""
    own = torch.arange(len(images)).tensor_split(num_processes())[rank()]
    logits = torch.zeros(len(images), 10, device=next(model.parameters()).device)
    logits[own] = predict_logits(model, images[own]).to(logits.dtype)
    dist.all_reduce(logits)  # a sum, in which the other processes hold zeros for these rows
    return measure(logits, labels)


@contextmanager
def _connected(device: str) -> Iterator[None]:
    """Connect the processes; say in plain words when one of them is lost."""

    def stop(number, frame):
        raise ProcessLost("torchrun has told this process to stop, as it does when another one has ended")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(minutes=5))
        yield
        dist.destroy_process_group()
        signal.signal(signal.SIGTERM, before)
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # before it ends, this process has a word to say
        if isinstance(error, dist.DistError) or "gloo" in str(error).lower():
            raise ProcessLost("another process has ended, or answers no longer") from error
        raise
