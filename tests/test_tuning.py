"""What importing digitlib sets for its process: how threads wait, and how much memory is kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digitlib import tuning
from tools import bench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is tuned")

# With OMP_DISPLAY_ENV, OpenMP says on stderr how long a waiting thread spins before it sleeps.
LET_OPENMP_TELL = bench.without_tuning() | {"OMP_DISPLAY_ENV": "VERBOSE"}
TUNED = [f"GOMP_SPINCOUNT = '{count}'" for count in tuning.SPIN_COUNT.values()]


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
    assert any(line in run(command, LET_OPENMP_TELL).stderr for line in TUNED)


@pytest.mark.parametrize(
    "code, said, spin_count",
    [
        ("import torch", {}, "300000"),
        ("import digitlib", {"DIGITLIB_TUNING": "off"}, "300000"),
        ("import digitlib", {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "17"}, "17"),
    ],
    ids=["without the library", "switched off", "said by the user"],
)
def test_what_is_not_asked_of_the_library_is_left_alone(code, said, spin_count):
    done = run([sys.executable, "-c", code], LET_OPENMP_TELL | said)
    assert f"GOMP_SPINCOUNT = '{spin_count}'" in done.stderr


def test_no_time_is_spent_on_threads_that_would_not_heed_it():
    code = "import torch, os, digitlib; print(os.environ.get('GOMP_SPINCOUNT'))"
    assert run([sys.executable, "-c", code], bench.without_tuning()).stdout == "None\n"


def test_a_neighbour_is_a_process_that_always_runs(tmp_path, monkeypatch):
    """The fourth field of /proc/loadavg counts this process, too."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    load = tmp_path / "loadavg"
    monkeypatch.setattr(tuning, "LOAD", load)

    def found(running):
        load.write_text(f"0.10 0.20 0.30 {running}/123 4567\n")
        return tuning.has_neighbour(num_looks=2, pause=0)

    assert [found(running) for running in (0, 1, 2, 5)] == [False, False, True, True]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # then one core may be busy
    assert [found(running) for running in (1, 2, 3)] == [False, False, True]
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")  # a list, of which torch takes all cores
    assert found(2)
    load.unlink()  # as where /proc is not mounted
    assert not tuning.has_neighbour()


def test_a_process_that_runs_for_a_moment_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    looks = iter([3, 2, 1, 2])

    class Load:
        def exists(self):
            return True

        def read_text(self):
            return f"0.10 0.20 0.30 {next(looks)}/123 4567"

    monkeypatch.setattr(tuning, "LOAD", Load())
    assert not tuning.has_neighbour(num_looks=4, pause=0)


def test_a_busy_process_is_noticed():
    with bench.busy_neighbour():
        environment = LET_OPENMP_TELL | {"OMP_NUM_THREADS": str(os.cpu_count())}
        done = run([sys.executable, "-c", "import digitlib"], environment)
    assert f"GOMP_SPINCOUNT = '{tuning.SPIN_COUNT['busy']}'" in done.stderr


PAGE_FAULTS = """
import resource
import digitlib, torch
from digitlib.models import CNN
from digitlib.recipes import find, build_optimizer
from digitlib.training import train_one_epoch
model = CNN()
images, labels = torch.randn(100, 1, 28, 28), torch.zeros(100, dtype=torch.int64)
optimizer = build_optimizer(find("cnn"), model)
train_one_epoch(model, [(images, labels)] * 5, optimizer)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
train_one_epoch(model, [(images, labels)] * 20, optimizer)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="musl has no mallopt")
def test_a_training_step_asks_the_system_for_no_memory_again():
    """Twenty steps; untuned they mostly fault for 20,000 pages or more, unless the heap happens to lie well."""
    assert int(run([sys.executable, "-c", PAGE_FAULTS], bench.without_tuning()).stdout) < 4000
