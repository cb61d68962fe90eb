"""Several processes train the network that one process trains, and say so when one of them is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from digitlib import __main__ as cli
from digitlib import checkpoints, data, distributed, recipes
from digitlib.models import ConvNet
from digitlib.recipes import change, find

# Both ways of training, on few images, with the first steps of the whole recipe's schedule.
TRAIN_AND_WRITE = """
import json, sys
from dataclasses import asdict
import torch
from digitlib import data, distributed, recipes

name, num_images, dtype, path = sys.argv[1:]
dtype = getattr(torch, dtype)
torch.set_default_dtype(dtype)
load_part, build_schedule = data.load_part, recipes.build_schedule

def load_few(part):
    images, labels = load_part(part)
    return images[: int(num_images)].to(dtype), labels[: int(num_images)]

for module in (recipes, distributed):
    module.load_part = load_few
    module.build_schedule = lambda recipe, optimizer, num_steps: build_schedule(recipe, optimizer, num_steps=2000)
recipe = recipes.change(recipes.find(name), num_epochs=1, batch_size=100)
train = distributed.train if distributed.num_processes() > 1 else recipes.train
model, history = train(recipe)
assert all(type(module).__module__ != "digitlib.distributed" for module in model.modules())
if distributed.rank() == 0:
    with open(path, "w") as file:
        json.dump(asdict(history), file)
"""

COMMAND_ON_FEW_IMAGES = """
import sys
from digitlib import __main__ as cli, data, distributed, recipes
load_part = data.load_part
recipes.load_part = distributed.load_part = lambda part: tuple(t[:1000] for t in load_part(part))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a script in so many processes; whatever still runs is ended afterwards."""
    started = []

    def start(script, *arguments, processes=2):
        path = tmp_path / "script.py"
        path.write_text(script)
        # --standalone finds a free port of this machine
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*launcher, f"--nproc-per-node={processes}", path, *arguments]
        started.append(
            subprocess.Popen(
                [str(word) for word in command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    # the processes of a lost torchrun are nobody's children, but they still have the script's path in their command
    subprocess.run(["pkill", "-KILL", "-f", str(tmp_path / "script.py")])
    for process in started:
        process.communicate(timeout=60)


def workers(process) -> list[int]:
    """Return the processes that torchrun started, by rank."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return sorted(map(int, children.stdout.split()))


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def is_alive(number) -> bool:
    status = Path(f"/proc/{number}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    "name, dtype, difference",
    [
        ("mlp", "float32", 1e-5),
        ("rnn", "float32", 1e-5),  # its gradients are clipped
        # Batch normalisation over both processes. In float32 the rounding of each step changes the next one, for one
        # process with another number of threads too; float64 shows that nothing but rounding is left.
        ("best", "float64", 1e-10),
    ],
)
def test_two_processes_train_as_one_does(name, dtype, difference, start, tmp_path):
    # 22 steps, the last one with 43 images: 22 for one process, 21 for the other.
    together = start(TRAIN_AND_WRITE, name, 2143, dtype, tmp_path / "two.json")
    _, errors = together.communicate(timeout=200)
    assert together.returncode == 0, errors
    assert "Warning" not in errors
    (tmp_path / "alone.py").write_text(TRAIN_AND_WRITE)
    command = [sys.executable, tmp_path / "alone.py", name, "2143", dtype, tmp_path / "one.json"]
    subprocess.run(command, check=True)
    one, two = (json.loads((tmp_path / f"{count}.json").read_text()) for count in ("one", "two"))
    assert len(one["step_loss"]) == 22
    assert max(abs(a - b) for a, b in zip(one["step_loss"], two["step_loss"], strict=True)) < difference
    for key in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert two[key] == pytest.approx(one[key], abs=max(difference, 1e-9)), key


def test_the_command_writes_one_checkpoint_and_prints_once(start, tmp_path):
    path = tmp_path / "mine.pth"
    process = start(COMMAND_ON_FEW_IMAGES, "train", "quick", "--output", path)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    first, result, saved = output.splitlines()
    assert first.startswith("training quick: ") and first.endswith(", 1 epochs, seed 0, 2 processes")
    checkpoint = checkpoints.load(path)
    assert result.startswith(
        f"validation accuracy {checkpoint.metrics['validation_accuracy']:.2%} after 1 epochs"
    )
    assert saved == f"saved {path}"
    assert [file.name for file in tmp_path.glob("*.pth")] == ["mine.pth"]
    assert isinstance(checkpoint.model, ConvNet)


def test_a_training_ends_at_its_next_batch_when_torchrun_is_lost_between_two_epochs(monkeypatch, as_process):
    as_process(0, 1)
    batch = torch.zeros(4, 1), torch.zeros(4)
    assert len(list(distributed.Shares(nn.Identity(), [batch, batch]))) == 2
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(distributed.ProcessLost, match="torchrun has ended"):
        list(distributed.Shares(nn.Identity(), [batch, batch]))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("lost", ["process 0", "process 1", "torchrun"])
def test_a_killed_process_ends_the_training_and_leaves_a_whole_checkpoint(lost, start, tmp_path):
    path = tmp_path / "mine.pth"
    kept = tmp_path / "mine-interrupted.pth"
    process = start(COMMAND_ON_FEW_IMAGES, "train", "mlp", "--epochs", 100_000, "--output", path)
    wait_until(kept.exists)
    numbers = workers(process)
    assert len(numbers) == 2
    os.kill({"process 0": numbers[0], "process 1": numbers[1], "torchrun": process.pid}[lost], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)  # ends when the last process has closed its stderr
    wait_until(lambda: not any(map(is_alive, [*numbers, process.pid])), seconds=30)
    assert process.returncode != 0
    assert not path.exists(), "an unfinished network does not look like a finished one"
    num_epochs = len(checkpoints.load(kept).history)
    assert num_epochs >= 1
    lines = [line for line in errors.splitlines() if line.startswith("digitlib: ")]
    assert lines and all("has ended" in line for line in lines)
    # Where torchrun is lost, one process may notice before the other has written its last epoch.
    assert any(
        f"{num_epochs} of 100000 epochs are kept in {kept}; start the training again" in line
        for line in lines
    )
    ours = errors.partition("torch/distributed/elastic")[
        0
    ]  # torchrun reports the loss in its own way, after us
    assert "Traceback" not in ours or (lost == "torchrun" and "digitlib/" not in errors)


# --- in one process, as if there were more


@pytest.fixture
def as_process(monkeypatch):
    """Let this process think that it is one of several; sums over processes are set by the test."""

    def as_process(number, num_processes):
        monkeypatch.setattr(distributed, "num_processes", lambda: num_processes)
        monkeypatch.setattr(distributed, "rank", lambda: number)

    return as_process


def test_without_torchrun_there_is_one_process_and_the_plain_loop(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")  # other programs set it too
    assert (distributed.num_processes(), distributed.rank()) == (1, 0)
    parts = {part: tuple(t[:300].clone() for t in data.load_part(part)) for part in ("train", "validation")}
    monkeypatch.setattr(recipes, "load_part", parts.__getitem__)
    monkeypatch.delattr(distributed, "train")
    assert cli.main(["train", "mlp", "--epochs", "1", "--output", str(tmp_path / "mine.pth")]) == 0


def test_the_shares_of_a_batch_are_the_batch(as_process):
    images, labels = torch.arange(23.0)[:, None], torch.arange(23)
    seen, weights = [], []
    for number in range(3):
        as_process(number, 3)
        shares = distributed.Shares(
            nn.Identity(), iter([(images[:15], labels[:15]), (images[15:], labels[15:])])
        )
        for own_images, own_labels in shares:
            assert torch.equal(own_images[:, 0].long(), own_labels)
            seen += own_labels.tolist()
        weights.append(shares.weights)
    assert sorted(seen) == list(range(23))
    # DistributedDataParallel divides by the number of processes, so the weights of a batch sum to that number
    assert torch.tensor(weights).sum(dim=0).tolist() == pytest.approx([3, 3])


def test_each_image_is_evaluated_once(as_process, monkeypatch):
    images, labels = (tensor[:101] for tensor in data.load_part("validation"))
    model = recipes.build_model(find("quick"))
    expected = distributed.measure(distributed.predict_logits(model, images), labels)
    partial = []
    monkeypatch.setattr(distributed, "sum_over_processes", lambda logits: partial.append(logits) or logits)
    for number in range(3):
        as_process(number, 3)
        distributed.evaluate(model, images, labels)
    whole = torch.stack(partial)
    assert (whole != 0).any(dim=2).sum(dim=0).tolist() == [1] * 101
    measured = distributed.measure(whole.sum(dim=0), labels)
    assert (measured.num_correct, measured.num_images) == (expected.num_correct, 101)
    assert measured.loss == pytest.approx(expected.loss, abs=1e-6)


def test_shared_statistics_of_one_process_are_torch_s_own(monkeypatch):
    monkeypatch.setattr(distributed, "sum_over_processes", lambda tensor: tensor.clone())
    x = torch.randn(6, 3, 5, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0)) + 2
    goal = torch.randn(6, 3, 5, 5, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    found = []
    for layer in (nn.BatchNorm2d(3), distributed.SharedBatchNorm2d(3)):
        layer = layer.double()
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            layer.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
        inputs = x.clone().to(memory_format=torch.channels_last).requires_grad_()
        outputs = layer(inputs)
        (outputs * goal).sum().backward()
        found.append([outputs, inputs.grad, layer.weight.grad, layer.bias.grad, *layer.state_dict().values()])
        layer.eval()
        found[-1].append(layer(inputs))
    for expected, shared in zip(*found, strict=True):
        torch.testing.assert_close(shared, expected)


@pytest.mark.parametrize("batch_size, smallest", [(2, 2), (2749, 20)])
def test_a_batch_with_fewer_images_than_processes_is_refused(batch_size, smallest, as_process):
    as_process(0, 24)
    with pytest.raises(
        ValueError, match=f"24 processes in every batch, got a batch of {smallest} with 55,000"
    ):
        distributed.train(change(find("mlp"), batch_size=batch_size))


@pytest.fixture
def same_sigterm():
    """Have this process end at SIGTERM as before, afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    yield before
    signal.signal(signal.SIGTERM, before)


def test_a_process_that_lost_another_says_so_before_torchrun_can_end_it(monkeypatch, same_sigterm):
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *arguments, **options: None)
    with distributed._process_group("gloo"):
        assert callable(signal.getsignal(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == same_sigterm
    for loss in (RuntimeError("[gloo/transport] Connection closed by peer"), KeyboardInterrupt()):
        with pytest.raises((distributed.ProcessLost, KeyboardInterrupt)), distributed._process_group("gloo"):
            raise loss
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_an_error_that_has_nothing_to_do_with_the_others_keeps_its_name(monkeypatch, same_sigterm):
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *arguments, **options: None)
    with pytest.raises(RuntimeError, match="out of memory") as caught, distributed._process_group("gloo"):
        raise RuntimeError("out of memory")
    assert not isinstance(caught.value, distributed.ProcessLost)
    with (
        pytest.raises(distributed.ProcessLost, match="another process has ended"),
        distributed._process_group("gloo"),
    ):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1")
