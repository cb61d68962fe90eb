"""What importing digitlib sets for its process: how threads wait, where they run, and how much memory is kept."""

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
        ("import digitlib", {"GOMP_CPU_AFFINITY": "0-63"}, "300000", False),
        ("import digitlib", {"GOMP_SPINCOUNT": tuning.SPIN_COUNT}, tuning.SPIN_COUNT, True),
        ("import torch, digitlib", {}, "300000", True),
        ("import digitlib", {}, tuning.SPIN_COUNT, True),
    ],
    ids=[
        "no library",
        "off",
        "said",
        "counted",
        "bound",
        "said by a parent",
        "torch before it",
        "nothing said",
    ],
)
def test_what_is_not_asked_of_the_library_is_left_alone(code, said, spin_count, looks):
    code += "; import threading; print([thread.name for thread in threading.enumerate()])"
    done = run([sys.executable, "-c", code], LET_OPENMP_TELL | said)
    assert f"GOMP_SPINCOUNT = '{spin_count}'" in done.stderr
    assert (LOOKING in done.stdout) == looks


def test_nobody_looks_where_linux_does_not_tell(tmp_path, monkeypatch):
    """As where /proc is not mounted, or not to be read."""
    for name in (*tuning.SAID, "DIGITLIB_TUNING"):
        monkeypatch.setenv(name, "")  # so that it is as before, after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(tuning, "STAT", tmp_path / "stat")
    started = []
    monkeypatch.setattr(tuning.threading, "Thread", started.append)
    tuning.tune()
    assert started == [] and "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.parametrize(
    "own, others, num_threads, num_cores, share, expected",
    [
        (1.9, 0.1, 2, 2, 0.5, False),
        (1.3, 0.9, 2, 2, 0.5, True),
        (1.5, 0.4, 2, 2, 0.5, False),
        (1.5, 0.4, 2, 2, 0.2, True),
        (0.1, 1.0, 2, 2, 0.5, False),  # nothing is computed here
        (1.0, 1.9, 1, 2, 0.5, False),  # a thread alone waits for nobody
        (1.0, 0.9, 4, 2, 0.5, False),  # there is no core for each
        (3.9, 4.1, 4, 8, 0.5, False),  # the others have cores of their own
        (3.9, 4.9, 4, 8, 0.5, True),
    ],
)
def test_it_is_crowded_where_threads_have_no_core_each(own, others, num_threads, num_cores, share, expected):
    assert tuning.is_crowded(own, others, num_threads, num_cores, share) == expected


def test_the_clocks_tell_this_process_from_all():
    cores = os.sched_getaffinity(0)
    before = tuning.clocks(cores)
    while time.process_time() - before[1] < 0.3:
        pass
    wall, own, everyone = (b - a for a, b in zip(before, tuning.clocks(cores), strict=True))
    assert wall > 0.1 and own >= 0.3
    assert everyone > own - 0.1, "this process is among them"
    assert tuning.clocks(set())[2] == 0, "no core, no time"


def test_threads_are_listed_with_what_they_computed_and_their_core():
    me, until = threading.get_native_id(), time.thread_time() + 0.2
    before = tuning.list_threads()[me]
    while time.thread_time() < until:
        pass
    ticks, core = tuning.list_threads()[me]
    assert 0.15 < (ticks - before[0]) / os.sysconf("SC_CLK_TCK") < 0.3
    assert core in os.sched_getaffinity(0)


class Machine:
    """Stands in for Linux: remembers where each thread may run. A thread that is not in it has ended."""

    def __init__(self, monkeypatch, *threads):
        self.cores = {0, 1, 2, 3}
        self.allowed = {thread: self.cores for thread in threads}
        monkeypatch.setattr(os, "sched_setaffinity", self.set)
        monkeypatch.setattr(os, "sched_getaffinity", self.get)
        monkeypatch.setattr(sys, "addaudithook", lambda hook: None)  # nobody could take it away again

    def get(self, thread):
        if thread not in self.allowed:
            raise ProcessLookupError(thread)
        return self.allowed[thread]

    def set(self, thread, cores):
        self.get(thread)
        self.allowed[thread] = cores


def test_threads_that_compute_get_a_core_each_and_give_it_back(monkeypatch):
    machine = Machine(monkeypatch, 11, 12, 13)
    apart = tuning.Apart(machine.cores)
    before, now = {11: (5, 1), 12: (5, 1), 13: (70, 2)}, {11: (9, 1), 12: (8, 1), 13: (70, 2)}
    apart.keep(before, now, 2)
    (first,), (second,) = machine.allowed[11], machine.allowed[12]
    assert 1 in {first, second} and first != second, "one stays, the other moves"
    assert machine.allowed[13] == machine.cores, "it computes nothing"
    del machine.allowed[12]
    apart.end(now)  # though one of them has ended
    assert machine.allowed == {11: machine.cores, 13: machine.cores} and apart.places == {}


@pytest.mark.parametrize("bound", [True, False])
def test_threads_are_left_alone_where_they_are_bound_or_not_enough(bound, monkeypatch):
    machine = Machine(monkeypatch, 11, 12)
    if bound:
        machine.allowed[12] = {3}
    before, now = {11: (5, 1), 12: (5, 3)}, {11: (9, 1), 12: (9 if bound else 5, 3)}
    as_it_was = dict(machine.allowed)
    tuning.Apart(machine.cores).keep(before, now, 2)
    assert machine.allowed == as_it_was


def test_a_thread_that_starts_meanwhile_is_not_kept_on_the_core_of_its_parent(monkeypatch):
    machine = Machine(monkeypatch, 11, 12)
    apart = tuning.Apart(machine.cores)
    before, now = {11: (5, 0), 12: (5, 1)}, {11: (9, 0), 12: (9, 1)}
    apart.keep(before, now, 2)
    machine.allowed[13] = machine.allowed[14] = {0}
    apart.keep(now, now | {13: (1, 0)}, 2)
    assert machine.allowed == {11: {0}, 12: {1}, 13: machine.cores, 14: {0}}
    apart.end(now | {13: (1, 0), 14: (1, 0)})
    assert all(cores == machine.cores for cores in machine.allowed.values())


def test_the_threads_that_compute_are_not_taken_for_others(monkeypatch):
    """As while images are loaded: one thread computes, and another does a little."""
    machine = Machine(monkeypatch, 11, 12, 13)
    apart = tuning.Apart(machine.cores)
    readings = [
        {11: (5, 0), 12: (5, 1), 13: (5, 2)},
        {11: (15, 0), 12: (6, 1), 13: (5, 2)},  # too little for a thread that shares the work
        {11: (25, 0), 12: (16, 1), 13: (5, 2)},
        {11: (35, 0), 12: (16, 1), 13: (15, 2)},  # another team of threads
    ]
    found = []
    for before, now in zip(readings, readings[1:]):
        apart.keep(before, now, 2)
        found.append({thread for thread, cores in machine.allowed.items() if len(cores) == 1})
    assert found == [set(), {11, 12}, {11, 13}]


WATCHED = """
import os, subprocess, sys, time
import digitlib, torch
from tools.bench import busy_neighbour

everywhere = os.sched_getaffinity(0)

def comes(kept):
    a, end = torch.randn(500, 500), time.monotonic() + 20
    while time.monotonic() < end:
        for _ in range(20):
            a @ a
        places = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
        alone = [tuple(cores) for cores in places if cores != everywhere]
        if len(alone) == len(set(alone)) == (torch.get_num_threads() if kept else 0):
            return True
    return False

with busy_neighbour():
    assert comes(kept=True), "the busy process is not noticed"
    tell = "import os; print(os.sched_getaffinity(0))"
    told = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True).stdout
    assert told.strip() == str(everywhere), "a process started meanwhile has one core: " + told
    assert comes(kept=True)
    child = os.fork()
    if child == 0:
        os._exit(os.sched_getaffinity(0) != everywhere)
    assert os.waitpid(child, 0)[1] == 0, "a forked process has one core"
assert comes(kept=False), "its end is not noticed"
"""


@pytest.mark.skipif(
    not 1 < torch.get_num_threads() == os.cpu_count(), reason="every thread has a core to itself"
)
def test_a_busy_process_is_noticed_and_its_end():
    run([sys.executable, "-W", "ignore", "-c", WATCHED], bench.without_tuning())


ENDS = """
import sys, time
import digitlib, torch

class Late:
    def __del__(self, audit=sys.audit):
        audit("os.fork")

time.sleep(0.3)  # the watching thread has begun
digitlib.tuning.late = Late()
"""


def test_nothing_is_said_when_python_ends():
    """Python goes on to audit while it takes modules apart, and what is left of ours is asked."""
    assert run([sys.executable, "-c", ENDS], bench.without_tuning()).stderr == ""


def steps(num_steps):
    """Train a CNN for some steps; return the loss at each."""
    torch.manual_seed(0)
    model = CNN()
    images, labels = torch.randn(100, 1, 28, 28), torch.zeros(100, dtype=torch.int64)
    optimizer = build_optimizer(find("cnn"), model)
    return train_one_epoch(model, [(images, labels)] * num_steps, optimizer).step_loss


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
