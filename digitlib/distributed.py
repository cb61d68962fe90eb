"""Train one network with several processes, each on its share of every batch; torchrun starts them.

    torchrun --nproc-per-node=2 -m digitlib train best

The processes keep equal copies of the network. Each works out the gradients of its own images, then torch's
DistributedDataParallel averages the gradients (over gloo on CPUs, nccl on GPUs) and everyone takes the same step. The
batches, the augmented images and the statistics of batch normalisation are those of one process, so the losses are
too, up to rounding. Dropout alone differs: each process draws its own.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from digitlib.data import load_part
from digitlib.evaluation import Evaluation, measure, predict_logits
from digitlib.recipes import Recipe, build_model, build_optimizer, build_schedule, epoch_batches, precision
from digitlib.training import EpochRecord, History, train_one_epoch

TIMEOUT = timedelta(minutes=5)  # how long the others wait for one that no longer answers
TORCHRUN = os.getppid()  # the process that started this one; read once, because it may end between two epochs


class ProcessLost(RuntimeError):
    """Another process of the training has ended or was told to stop, so this one cannot go on."""


def num_processes() -> int:
    """Return how many processes torchrun has started; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) if dist.is_torchelastic_launched() else 1


def rank() -> int:
    """Return this process's number, from 0; process 0 is the one that prints and writes."""
    return int(os.environ["RANK"]) if num_processes() > 1 else 0


def train(
    recipe: Recipe,
    *,
    device: str = "cpu",
    bf16: bool = False,
    after_epoch: Callable[[nn.Module, History], None] | None = None,
) -> tuple[nn.Module, History]:
    """Train the recipe's network with all processes that torchrun has started; each of them calls this.

    Args:
        device: "cpu", or "cuda" with one GPU for each process of this machine.
        bf16: see `digitlib.recipes.precision`.
        after_epoch: called in process 0 after each epoch, with the model so far and its History.
    Returns:
        The trained model, on the device, and the History of all processes together: equal in each process.
    Raises:
        ValueError: a batch would have fewer images than there are processes.
        ProcessLost: another process has ended.
    """
    parts = load_part("train"), load_part("validation")
    _expect_an_image_each(len(parts[0][0]), recipe.batch_size)
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    group = _process_group("nccl" if device.startswith("cuda") else "gloo")
    with precision(device, bf16=bf16), group, torch.random.fork_rng():
        return _train(recipe, *parts, torch.device(device), after_epoch)


def _train(recipe, train_part, validation, device, after_epoch) -> tuple[nn.Module, History]:
    images, labels = (tensor.to(device) for tensor in train_part)
    torch.manual_seed(recipe.seed)
    model = share_statistics(build_model(recipe)).to(device, memory_format=torch.channels_last)
    torch.manual_seed((recipe.seed + rank()) % 2**63)  # what is drawn from here on is dropout
    optimizer = build_optimizer(recipe, model)
    num_steps = -(-len(images) // recipe.batch_size) * recipe.num_epochs
    schedule = build_schedule(recipe, optimizer, num_steps=num_steps)
    generator = torch.Generator().manual_seed(recipe.seed)
    parallel = DistributedDataParallel(model, forward_sync_buffers=False)
    history = History()
    for _ in range(recipe.num_epochs):
        shares = Shares(model, epoch_batches(recipe, images, labels, generator))
        epoch = train_one_epoch(parallel, shares, optimizer, schedule=schedule, clip_norm=recipe.clip_norm)
        history.record(shares.combine(epoch, device), evaluate(model, *validation))
        if rank() == 0 and after_epoch is not None:
            after_epoch(without_shared_statistics(model, recipe), history)
    return without_shared_statistics(model, recipe), history


class Shares:
    """One epoch of batches, of which this process gets its share; weighs its gradients and its losses by that share.

    DistributedDataParallel takes the plain mean of the processes' gradients. Where a batch cannot be divided evenly, as
    the last one of an epoch, a process with fewer images must count for less: its gradients are scaled on their way
    back from the logits.
    """

    def __init__(self, model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]):
        self.model, self.batches = model, batches
        self.batch_lengths, self.weights = [], []

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process's rows of each batch."""
        hook = self.model.register_forward_hook(self._scale_gradients)
        try:
            for images, labels in self.batches:
                if os.getppid() != TORCHRUN:  # nobody would end this process any more
                    raise ProcessLost("torchrun has ended")
                own_images = images.tensor_split(num_processes())[rank()]
                own_labels = labels.tensor_split(num_processes())[rank()]
                self.batch_lengths.append(len(labels))
                self.weights.append(len(own_labels) * num_processes() / len(labels))
                yield own_images, own_labels
        finally:
            hook.remove()

    def _scale_gradients(self, module: nn.Module, inputs: tuple, logits: Tensor) -> None:
        weight = self.weights[-1]
        logits.register_hook(lambda gradient: gradient * weight)

    def combine(self, epoch: EpochRecord, device: torch.device) -> EpochRecord:
        """Return the record of the whole batches, from the records of all processes' shares."""
        lengths = torch.tensor(self.batch_lengths, dtype=torch.double)
        weights = torch.tensor(self.weights, dtype=torch.double) / num_processes()
        num_correct = round(epoch.accuracy * (lengths * weights).sum().item())
        own = torch.tensor([*(torch.tensor(epoch.step_loss).double() * weights), num_correct])
        *step_loss, num_correct = sum_over_processes(own.double().to(device)).tolist()
        loss = (torch.tensor(step_loss).double() * lengths).sum() / lengths.sum()
        return EpochRecord(step_loss, loss.item(), num_correct / lengths.sum().item())


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> Evaluation:
    """Return what `digitlib.evaluation.evaluate` does, each process reading its share of the images once."""
    device = next(model.parameters()).device
    own = torch.arange(len(images)).tensor_split(num_processes())[rank()]
    logits = torch.zeros(len(images), 10, device=device)
    logits[own.to(device)] = predict_logits(model, images[own])
    return measure(sum_over_processes(logits), labels)  # the other processes hold zeros in these rows


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the images of all processes; torch's own SyncBatchNorm does this on GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W) with the mean and variance of the whole batch."""
        if not self.training:
            return super().forward(x)
        rows = x.permute(0, 2, 3, 1).flatten(0, 2)  # (N·H·W, C), without a copy where the channels lie last
        with torch.no_grad():
            ones = torch.full_like(self.weight, len(rows))
            sums = torch.stack([ones, rows.sum(dim=0), rows.square().sum(dim=0)])
            count, mean, square = sum_over_processes(sums.double())
            mean, square = mean / count, square / count
            variance = square - mean**2
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(x.dtype), self.momentum)
            self.running_var.lerp_((variance * count / (count - 1)).to(x.dtype), self.momentum)
            mean, spread = mean.to(x.dtype), (variance + self.eps).sqrt().to(x.dtype)
        y = NormaliseTogether.apply(rows, self.weight, self.bias, mean, spread, count[0].item())
        return y.view(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)


class NormaliseTogether(torch.autograd.Function):
    """γ (x - μ) / σ + β, where μ and σ depend on the x of every process; x has a column for each channel."""

    @staticmethod
    def forward(context, x, weight, bias, mean, spread, count):
        """Return the normalised x; mean and spread belong to the count rows of all processes."""
        context.save_for_backward(x, weight, mean, spread)
        context.count = count
        scale = weight / spread
        return torch.addcmul(bias - mean * scale, x, scale)

    @staticmethod
    def backward(context, gradient):
        """Return the gradients of x, weight and bias, as Ioffe and Szegedy 2015 derive them."""
        x, weight, mean, spread = context.saved_tensors
        bias_gradient = gradient.sum(dim=0)
        weight_gradient = ((gradient * x).sum(dim=0) - mean * bias_gradient) / spread
        along_one, along_x = sum_over_processes(torch.stack([bias_gradient, weight_gradient])) / context.count
        slope = -along_x * weight / spread**2
        offset = -along_one * weight / spread - slope * mean
        x_gradient = torch.addcmul(torch.addcmul(offset, x, slope), gradient, weight / spread)
        return x_gradient, weight_gradient, bias_gradient, None, None, None


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return a new tensor, the sum of every process's; all of them must call this."""
    total = tensor.contiguous().clone()
    dist.all_reduce(total)
    return total


def share_statistics(model: nn.Module) -> nn.Module:
    """Put SharedBatchNorm2d, as new as it was, in the place of each nn.BatchNorm2d; return the model."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, SharedBatchNorm2d(child.num_features))
    return model


def without_shared_statistics(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Return a copy that needs no other process."""
    device = next(model.parameters()).device
    with torch.random.fork_rng():
        plain = build_model(recipe).to(device)
    plain.load_state_dict(model.state_dict())
    return plain


def _expect_an_image_each(num_images: int, batch_size: int) -> None:
    smallest = min(batch_size, num_images, num_images % batch_size or batch_size)
    if smallest < num_processes():
        raise ValueError(
            f"expected an image for each of {num_processes()} processes in every batch, got a batch of {smallest} "
            f"with {num_images:,} images and batch_size {batch_size}; choose another --batch-size"
        )


@contextmanager
def _process_group(backend: str) -> Iterator[None]:
    """Connect the processes; say in plain words when one of them is lost."""

    def stop(number, frame):
        raise ProcessLost("torchrun has told this process to stop, because another one has ended")

    in_main_thread = threading.current_thread() is threading.main_thread()
    afterwards = signal.signal(signal.SIGTERM, stop) if in_main_thread else None
    try:
        dist.init_process_group(backend, timeout=TIMEOUT)
        yield
    except (RuntimeError, KeyboardInterrupt) as error:
        lost = isinstance(error, dist.DistError) or "gloo" in str(error) or "onnection" in str(error)
        if lost or isinstance(error, (ProcessLost, KeyboardInterrupt)):
            afterwards = signal.SIG_IGN  # this process is about to end and has a last word to say before
        if lost and not isinstance(error, ProcessLost):
            raise ProcessLost("another process has ended, or answers no longer") from error
        raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, afterwards)
        if dist.is_initialized():
            dist.destroy_process_group()
