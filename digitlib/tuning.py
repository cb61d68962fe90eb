"""What importing digitlib sets for the whole process: how threads wait, where they run, how much memory is kept.

None of it changes a result, only how soon it is there. DIGITLIB_TUNING=off leaves all as the system has it, and where
one of SAID is set, threads wait and run as it says. On other systems than Linux nothing is set.
"""

import atexit
import ctypes
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

# Environment variables by which somebody else decides how OpenMP's threads wait or where they run.
SAID = ("OMP_WAIT_POLICY", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT")

# How often a waiting thread looks again before it sleeps: for some 0.3 ms. A sleeping thread is slow to wake, and the
# waits of a training step are short, so it pays to look.
SPIN_COUNT = "30000"

# Seconds between two looks for a busy process, and how much of a core it has to take to be met, and to be still there:
# sharing a core with a thread of ours leaves it half.
LOOK_EVERY, COMES, STAYS = 0.05, 0.5, 0.2

# Where Linux counts how long each core did what, and how long each thread of this process has computed.
STAT, TASKS = Path("/proc/stat"), Path("/proc/self/task")

# What Python's audit says where a process is about to be started.
STARTS = {"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def tune() -> None:
    """Set all of it, unless the environment says otherwise."""
    if os.environ.get("DIGITLIB_TUNING") == "off" or sys.platform != "linux":
        return
    # A process that started this one may have set the count already, in the environment that they share.
    ours = {"GOMP_SPINCOUNT": SPIN_COUNT}
    said = any(os.environ[name] != ours.get(name) for name in SAID if name in os.environ)
    if not said and os.access(STAT, os.R_OK):
        os.environ |= ours  # where torch is imported already, threads spin for longer
        threading.Thread(target=watch, name="digitlib: look for neighbours", daemon=True).start()
    # A training step frees what the next one asks for again. By default glibc hands large blocks back to the system
    # each time, whose pages are then cleared and mapped anew: a quarter of an epoch of `best`. Keep up to 1 GiB.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that glibc takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)


def watch() -> None:
    """Keep threads that compute on a core each while another process wants one; never returns."""
    while "torch" not in sys.modules:
        time.sleep(LOOK_EVERY)
    import torch  # which waits until it is imported

    cores = os.sched_getaffinity(0)
    apart, looks, before, threads = Apart(cores), deque([False] * 2, maxlen=2), clocks(cores), {}
    while True:
        time.sleep(LOOK_EVERY)
        now, threads_before = clocks(cores), threads
        wall, own, everyone = (b - a for a, b in zip(before, now, strict=True))
        share = STAYS if apart.places else COMES
        others, num_threads = (everyone - own) / wall, torch.get_num_threads()
        looks.append(is_crowded(own / wall, others, num_threads, len(cores), share))
        threads = list_threads() if looks[-1] or apart.places else {}
        if apart.places and not any(looks):
            apart.end(threads)
        elif apart.places or all(looks):
            apart.keep(threads_before, threads, num_threads)
        before = now


def clocks(cores: set[int]) -> tuple[float, float, float]:
    """Return three clocks in seconds: the wall's, what this process has computed, what all have on these cores."""
    names = {f"cpu{core}" for core in cores}
    with STAT.open(encoding="ascii") as stat:
        lines = [line.split() for line in stat if line.startswith("cpu")]
    # user, nice, system, idle, iowait, irq, softirq: all but the two of waiting
    ticks = sum(int(line[i]) for line in lines if line[0] in names for i in (1, 2, 3, 6, 7))
    return time.monotonic(), time.process_time(), ticks / os.sysconf("SC_CLK_TCK")


def is_crowded(own: float, others: float, num_threads: int, num_cores: int, share: float) -> bool:
    """Return whether this process computes, and others leave it fewer cores than it has threads.

    Args:
        own, others: cores that this process and all others kept busy of late, on average.
        share: how much of one of the cores that it needs the others have to take.
    """
    return 1 < num_threads <= num_cores and own > COMES and others > num_cores - num_threads + share


def list_threads() -> dict[int, tuple[int, int]]:
    """Return what each thread of this process has computed, in ticks of the system's clock, and its core, by its id."""
    found = {}
    for task in TASKS.iterdir():
        with suppress(OSError):  # it has ended meanwhile
            fields = (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            user, system, core = (int(fields[i]) for i in (11, 12, 36))
            found[int(task.name)] = user + system, core
    return found


class Apart:
    """Keeps the threads that compute on a core each, from `keep` to `end`.

    Linux shares the cores out evenly, no matter whose threads they run: beside a busy process it may put two of ours on
    one core. Each then looks for what the other does, which cannot run meanwhile, and an epoch takes five to ten times
    as long. On a core each, one shares with the busy process and the others need not: twice as long.

    Args:
        cores: those that this process may use.
    Attributes:
        places: the core of each thread that is kept, by the thread's id; empty where none is.
    """

    def __init__(self, cores: set[int]):
        """Keep nothing yet."""
        self.cores, self.places, self.known = cores, {}, set()
        sys.addaudithook(self.let_go)  # which is called until the very end, when this module is half gone
        atexit.register(self.places.clear)

    def keep(self, before: dict, now: dict, number: int) -> None:
        """Put the threads that computed between two readings of `list_threads`, if so many did, on a core each."""
        self.free_new(now)
        computed = {thread: now[thread][0] - before[thread][0] for thread in now if thread in before}
        busiest = sorted(computed, key=computed.get)[-number:]
        # A thread that only looks after something, such as this one, computes a moment at most.
        enough = len(busiest) == number and computed[busiest[0]] * 5 > computed[busiest[-1]]
        if enough and set(busiest) != set(self.places):
            self.end(now)
            if all(map(self.is_free, busiest)):
                cores = [now[thread][1] for thread in busiest]
                free = self.cores.difference(cores)
                for i, thread in enumerate(busiest):
                    self.places[thread] = free.pop() if cores[i] in cores[:i] else cores[i]
        for thread, core in list(self.places.items()):
            run_on(thread, {core})  # each time, because of let_go

    def end(self, now: dict) -> None:
        """Let all threads run where the system wants them."""
        for thread in list(self.places):  # a copy, here as above: Python may end and clear it meanwhile
            run_on(thread, self.cores)
        self.free_new(now)
        self.places.clear()

    def is_free(self, thread: int) -> bool:
        """Return whether nobody has told the thread where to run."""
        with suppress(OSError):
            return os.sched_getaffinity(thread) == self.cores
        return False

    def free_new(self, now: dict) -> None:
        """Let threads that are new run anywhere: they began on the one core of the thread that started them."""
        for thread in now.keys() - self.known if self.places else ():
            run_on(thread, self.cores)
        self.known = set(now)

    def let_go(self, event: str, arguments: tuple) -> None:
        """Let the thread run anywhere for a moment that is about to start a process, which would keep its one core."""
        if self.places and event in STARTS and threading.get_native_id() in self.places:
            run_on(threading.get_native_id(), self.cores)


def run_on(thread: int, cores: set[int]) -> None:
    """Let a thread of this process run on these cores alone, where it is still there and the system lets us."""
    with suppress(OSError):
        os.sched_setaffinity(thread, cores)


tune()
