"""What importing digitlib sets for its process: how threads wait, and how much memory is kept."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from digitlib import tuning
from digitlib.models import CNN
from digitlib.recipes import build_optimizer, find
from digitlib.training import train_one_epoch
from tools import bench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is tuned")

# With OMP_DISPLAY_ENV, OpenMP says on stderr how long a waiting thread spins before it sleeps.
LET_OPENMP_TELL = bench.without_tuning() | {"OMP_DISPLAY_ENV": "VERBOSE"}
LOOKING = "digitlib: look for neighbours"
SLEEPING = "digitlib: let threads sleep"


def run(command, environment):
    done = subprocess.run(command, cwd=bench.ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "digitlib", "recipes"],
        [Path(sys.executable).with_name("digitlib"), "recipes"],
        [sys.executable, "-m", "tools.results", "--help"],  # which imports tools.bench
    ],
    ids=["module", "script", "tool"],
)
def test_threads_wait_as_set_however_the_library_is_started(command):
    assert f"GOMP_SPINCOUNT = '{tuning.SPIN_COUNT}'" in run(command, LET_OPENMP_TELL).stderr


@pytest.mark.parametrize(
    "code, said, spin_count, looks",
    [
        ("import torch", {}, "300000", False),
        ("import digitlib", {"DIGITLIB_TUNING": "off"}, "300000", False),
        ("import digitlib", {"OMP_WAIT_POLICY": "ACTIVE"}, "30000000000", False),
        ("import digitlib", {"GOMP_SPINCOUNT": "17"}, "17", False),
        ("import digitlib", {"GOMP_SPINCOUNT": tuning.SPIN_COUNT}, tuning.SPIN_COUNT, True),
        ("import torch, digitlib", {}, "300000", True),
        ("import digitlib", {}, tuning.SPIN_COUNT, True),
    ],
    ids=["no library", "off", "said", "counted", "said by a parent", "torch before it", "nothing said"],
)
def test_what_is_not_asked_of_the_library_is_left_alone(code, said, spin_count, looks):
    code += "; import threading; print([thread.name for thread in threading.enumerate()])"
    done = run([sys.executable, "-c", code], LET_OPENMP_TELL | said)
    assert f"GOMP_SPINCOUNT = '{spin_count}'" in done.stderr
    assert (LOOKING in done.stdout) == looks


def test_nobody_looks_where_linux_does_not_tell(tmp_path, monkeypatch):
    """As where /proc is not mounted, or not to be read."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "DIGITLIB_TUNING"):
        monkeypatch.setenv(name, "")  # so that it is as before, after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(tuning, "STAT", tmp_path / "stat")
    started = []
    monkeypatch.setattr(tuning.threading, "Thread", started.append)
    tuning.tune()
    assert started == [] and "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.parametrize(
    "own, others, num_threads, num_cores, expected",
    [
        (1.9, 0.1, 2, 2, False),
        (1.3, 0.9, 2, 2, True),
        (0.1, 1.0, 2, 2, False),  # nothing is computed here
        (1.0, 1.9, 1, 2, False),  # a thread alone waits for nobody
        (3.9, 4.1, 4, 8, False),  # the others have cores of their own
        (3.9, 4.9, 4, 8, True),
    ],
)
def test_it_is_crowded_where_threads_have_no_core_each(own, others, num_threads, num_cores, expected):
    assert tuning.is_crowded(own, others, num_threads, num_cores) == expected


def test_the_clocks_tell_this_process_from_all():
    before = tuning.clocks()
    while time.process_time() - before[1] < 0.3:
        pass
    wall, own, everyone = (b - a for a, b in zip(before, tuning.clocks(), strict=True))
    assert wall > 0.1 and own >= 0.3
    assert everyone > own - 0.1, "this process is among them"


WATCHED = f"""
import threading, time
import digitlib, torch
from tools.bench import busy_neighbour

def comes(sleeping):
    a, end = torch.randn(500, 500), time.monotonic() + 20
    while time.monotonic() < end:
        a @ a
        if ({SLEEPING!r} in [thread.name for thread in threading.enumerate()]) == sleeping:
            return True
    return False

with busy_neighbour():
    assert comes(sleeping=True), "the busy process is not noticed"
assert comes(sleeping=False), "its end is not noticed"
"""


@pytest.mark.skipif(
    not 1 < torch.get_num_threads() == os.cpu_count(), reason="every thread has a core to itself"
)
def test_a_busy_process_is_noticed_and_its_end():
    run([sys.executable, "-c", WATCHED], bench.without_tuning())


def steps(num_steps):
    """Train a CNN for some steps; return the loss at each."""
    torch.manual_seed(0)
    model = CNN()
    images, labels = torch.randn(100, 1, 28, 28), torch.zeros(100, dtype=torch.int64)
    optimizer = build_optimizer(find("cnn"), model)
    return train_one_epoch(model, [(images, labels)] * num_steps, optimizer).step_loss


def test_what_is_learnt_does_not_depend_on_how_threads_wait():
    awake = steps(8)
    sleepy = tuning.Sleepy()
    assert SLEEPING in [thread.name for thread in threading.enumerate()]
    asleep = steps(8)
    sleepy.end()
    assert SLEEPING not in [thread.name for thread in threading.enumerate()]
    assert awake == asleep == steps(8)


SWITCHES = """
import resource
import digitlib, torch
from digitlib.tuning import Sleepy

torch.set_num_threads(2)
a = torch.randn(2**17)

def switches():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    for _ in range(2000):
        a.sin()
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

switches()
awake = switches()
sleepy = Sleepy()
asleep = switches()
sleepy.end()
print(awake, asleep, switches())
"""


@pytest.mark.skipif(os.cpu_count() == 1, reason="a thread waits for nobody")
def test_sleepy_threads_sleep():
    """A thread that goes to sleep switches to another of its own accord; 2,000 times two threads wait here."""
    counts = run([sys.executable, "-c", SWITCHES], bench.plain_environment()).stdout.split()
    awake, asleep, again = map(int, counts)
    assert asleep > 1000 and max(awake, again) < asleep / 3, (awake, asleep, again)


PAGE_FAULTS = """
import resource
from tests.test_tuning import steps
steps(5)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
steps(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="musl has no mallopt")
def test_a_training_step_asks_the_system_for_no_memory_again():
    """Twenty steps; untuned they mostly fault for 20,000 pages or more, unless the heap happens to lie well."""
    assert int(run([sys.executable, "-c", PAGE_FAULTS], bench.without_tuning()).stdout) < 2000
