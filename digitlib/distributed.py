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
from digitlib.evaluation import evaluate
from digitlib.recipes import Recipe, build_model, build_optimizer, build_schedule, epoch_batches
from digitlib.training import History, train_one_epoch

TORCHRUN = os.getppid()  # the process that started this one


class ProcessLost(RuntimeError):
    """Another process of the training has ended or was told to stop, so this one cannot go on."""


def num_processes() -> int:
    """Return how many processes torchrun has started; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def rank() -> int:
    """Return this process's number, from 0; process 0 is the one that prints and writes."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


class Together(nn.parallel.DistributedDataParallel):
    """A network that reads a batch together with those of the other processes: each its share of the images.

    It returns the logits of all images, so the training loop finds the loss of the whole batch, as one process does.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, 10), the same in each process; gradients flow back through those of its own share."""
        if os.getppid() != TORCHRUN:  # nobody would end this process any more
            raise ProcessLost("torchrun has ended")
        own = torch.arange(len(images)).tensor_split(num_processes())[rank()]
        own_logits = super().forward(images[own])
        logits = own_logits.new_zeros(len(images), 10)
        logits[own] = own_logits.detach()
        dist.all_reduce(logits)  # a sum, in which the other processes hold zeros for these rows
        if own_logits.requires_grad:
            # The sum of all gradients is wanted, and DistributedDataParallel takes their mean.
            own_logits.register_hook(lambda gradient: gradient * num_processes())
        logits[own] = own_logits
        return logits


def train(recipe: Recipe, *, device: str = "cpu", after_epoch: Callable) -> tuple[nn.Module, History]:
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
        network = build_model(recipe).to(device, memory_format=torch.channels_last)
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network) if device == "cuda" else network
        torch.manual_seed((recipe.seed + rank()) % 2**63)  # what is drawn from here on is dropout
        optimizer = build_optimizer(recipe, network)
        num_steps = -(-len(images) // recipe.batch_size) * recipe.num_epochs
        schedule = build_schedule(recipe, optimizer, num_steps=num_steps)
        model = Together(network)
        generator = torch.Generator().manual_seed(recipe.seed)
        for _ in range(recipe.num_epochs):
            batches = epoch_batches(recipe, images.to(device), labels.to(device), generator)
            epoch = train_one_epoch(model, batches, optimizer, schedule=schedule, clip_norm=recipe.clip_norm)
            # Before it reads, DistributedDataParallel takes over the running averages of process 0: those are saved.
            history.record(epoch, evaluate(model, *validation))
            if rank() == 0:
                after_epoch(network, history)
    return network, history


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
