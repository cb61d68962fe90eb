"""Several processes train the network that one process trains, and say so when one of them is lost."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from digitlib import checkpoints, data, distributed, recipes
from digitlib.evaluation import evaluate
from digitlib.models import MLP, ConvNet
from digitlib.recipes import change, find

SIZES = {"train": 501, "validation": 101}
COMMAND_ON_FEW_IMAGES = """
import sys
from digitlib import __main__ as cli, data, distributed
load_part = data.load_part
distributed.load_part = lambda part: tuple(tensor[:1000] for tensor in load_part(part))
sys.exit(cli.main(sys.argv[1:]))
"""


# --- what is trained


@pytest.fixture(scope="module")
def few():
    """Return some images and labels of each part, as NumPy's arrays, which can be sent to another process."""
    return {part: [tensor[:size].numpy() for tensor in data.load_part(part)] for part, size in SIZES.items()}


def train_as_process(number, count, port, recipe, dtype, few):
    """Be one of the processes of torchrun; return what was trained, and what one process finds on validation."""
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "a test",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "RANK": str(number),
    }
    distributed.TORCHRUN = os.getppid()
    distributed.load_part = lambda part: as_tensors(few[part], dtype)
    torch.set_default_dtype(dtype)
    kept = []
    model, history = distributed.train(recipe, after_epoch=lambda model, history: kept.append(len(history)))
    assert kept == ([1, 2] if number == 0 else []), "one process writes"
    state = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    return history, state, evaluate(model, *as_tensors(few["validation"], dtype))


def as_tensors(part, dtype):
    images, labels = map(torch.from_numpy, part)
    return images.to(dtype), labels


def train_together(count, *settings):
    """Train with so many processes; return what they found, which must be the same, once."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["pytest", "digitlib.checkpoints", "digitlib.distributed"]
    )  # imported once
    with ProcessPoolExecutor(count, mp_context=context) as processes:
        waiting = [
            processes.submit(train_as_process, number, count, store.port, *settings)
            for number in range(count)
        ]
        found, *others = [process.result(timeout=300) for process in waiting]
    assert all(other == found for other in others)
    return found


@pytest.fixture
def train_alone(monkeypatch):
    """Train in this process; networks with batch normalisation normalise each of count shares of a batch by itself."""
    forward, count = ConvNet.forward, 1

    def in_shares(model, images):
        shares = images.tensor_split(count) if model.training else [images]
        return torch.cat([forward(model, share) for share in shares])

    def train(number, recipe, dtype, few):
        nonlocal count
        count = number
        torch.set_default_dtype(dtype)
        parts = [as_tensors(few[part], dtype) for part in ("train", "validation")]
        return recipes.train(recipe, parts=parts)[1]

    monkeypatch.setattr(ConvNet, "forward", in_shares)
    yield train
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "count, name, dtype, difference",
    [
        (2, "mlp", torch.float32, 1e-5),
        (3, "rnn", torch.float32, 1e-5),  # its gradients are clipped
        # Where batches are normalised float32 rounds each step otherwise with another number of threads too.
        (3, "quick", torch.float64, 1e-9),
    ],
)
def test_several_processes_train_as_one_does(count, name, dtype, difference, few, train_alone):
    # Batches of 50 images, which are no three equal shares, and of 1 image: some processes have none.
    recipe = change(find(name), num_epochs=2, batch_size=50)
    together, state, validation = train_together(count, recipe, dtype, few)
    alone = train_alone(count, recipe, dtype, few)
    assert len(together.step_loss) == 22
    keys = ["step_loss", "train_loss", "train_accuracy"]
    if name == "quick":  # what is kept are the averages of process 0: those that it is validated with
        assert [state[f"features.{i}.num_batches_tracked"] for i in (1, 5, 9)] == [22] * 3
    else:
        keys += ["validation_loss", "validation_accuracy"]
    for key in keys:
        assert getattr(together, key) == pytest.approx(getattr(alone, key), abs=difference), key
    # each image was read once, by the network that is returned
    assert together.validation_accuracy[-1] == validation.accuracy
    assert together.validation_loss[-1] == pytest.approx(validation.loss, abs=1e-6)


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # other programs set them too
    monkeypatch.setenv("RANK", "1")
    assert (distributed.num_processes(), distributed.rank()) == (1, 0)


# --- the command


@pytest.fixture
def torchrun(tmp_path, monkeypatch):
    """Return a function that starts the command on few images, with two processes."""
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    script = tmp_path / "script.py"
    script.write_text(COMMAND_ON_FEW_IMAGES)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    started = []

    def start(*arguments):
        command = [*launcher, script, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.terminate()  # it ends those that it has started
        process.communicate(timeout=60)


def test_the_command_writes_one_checkpoint_and_prints_once(torchrun, tmp_path):
    path = tmp_path / "mine.pth"
    process = torchrun("train", "mlp", "--epochs", 2, "--output", path)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "Warning" not in errors
    first, result, saved = output.splitlines()
    assert first.startswith("training mlp: ") and first.endswith(", 2 epochs, seed 0, 2 processes")
    checkpoint = checkpoints.load(path)
    accuracy = f"validation accuracy {checkpoint.metrics['validation_accuracy']:.2%} after 2 epochs"
    assert result.startswith(accuracy) and saved == f"saved {path}"
    assert [file.name for file in tmp_path.glob("*.pth")] == ["mine.pth"]
    assert isinstance(checkpoint.model, MLP) and len(checkpoint.history) == 2


def workers(process) -> list[int]:
    """Return the processes that torchrun started, by rank."""
    command = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
    return sorted(map(int, subprocess.run(command, capture_output=True, text=True).stdout.split()))


def wait_until(condition):
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("lost", ["process 0", "torchrun"])
def test_a_killed_process_ends_the_training_and_leaves_a_whole_checkpoint(lost, torchrun, tmp_path):
    path, kept = tmp_path / "mine.pth", tmp_path / "mine-interrupted.pth"
    process = torchrun("train", "mlp", "--epochs", 100_000, "--output", path)
    wait_until(lambda: kept.exists() or process.poll() is not None)
    numbers = workers(process)
    assert len(numbers) == 2, process.communicate()
    os.kill(numbers[0] if lost == "process 0" else process.pid, signal.SIGKILL)
    try:
        _, errors = process.communicate(timeout=120)  # ends when the last process has closed its stderr
    finally:
        for number in numbers:
            subprocess.run(["kill", "-KILL", str(number)], capture_output=True)  # where it still runs
    assert process.returncode != 0
    assert not path.exists(), "an unfinished network does not look like a finished one"
    num_epochs = len(checkpoints.load(kept).history)
    lines = [line for line in errors.splitlines() if line.startswith("digitlib: ")]
    assert lines and all("has ended" in line for line in lines)
    # Where torchrun is lost, one process may notice before the other has written its last epoch.
    words = f"{num_epochs} of 100000 epochs are kept in {kept}; start the training again"
    assert num_epochs >= 1 and any(words in line for line in lines)
    ours, _, _ = errors.partition("torch/distributed/elastic")  # torchrun reports the loss in its own way
    assert "Traceback" not in ours


# --- the word for a loss


@pytest.fixture
def alone(monkeypatch):
    """Have no other process to connect with, and this one end at SIGTERM as before, afterwards."""
    monkeypatch.setattr(dist, "init_process_group", lambda *arguments, **options: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "error, raised, words",
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed"), distributed.ProcessLost, "ended, or"),
        (dist.DistNetworkError("Broken pipe"), distributed.ProcessLost, "another process has ended"),
        (RuntimeError("out of memory"), RuntimeError, "out of memory"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    ],
)  # fmt: skip
def test_a_process_that_is_about_to_end_says_why_before_torchrun_can_end_it(error, raised, words, alone):
    with pytest.raises(raised, match=words) as caught, distributed._connected("cpu"):
        raise error
    assert caught.type is raised
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_sigterm_means_that_another_process_is_lost_as_long_as_the_training_lasts(alone):
    before = signal.getsignal(signal.SIGTERM)
    with distributed._connected("cpu"):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(distributed.ProcessLost, match="another one has ended"), distributed._connected("cpu"):
        signal.raise_signal(signal.SIGTERM)
