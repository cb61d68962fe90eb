"""What importing digitlib sets for the whole process: how threads wait, and how much memory is kept.

Neither changes a result, only how soon it is there. DIGITLIB_TUNING=off leaves both as the system has them, and
where OMP_WAIT_POLICY or GOMP_SPINCOUNT is set, threads wait as it says. On other systems than Linux nothing is set.
"""

import ctypes
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path

# How often a waiting thread looks again before it sleeps: for some 0.3 ms. A sleeping thread is slow to wake, and the
# waits of a training step are short, so it pays to look. But where another process wants the core, it may take an
# epoch ten times as long: the thread that is waited for does not run.
SPIN_COUNT = "30000"

# Seconds between two looks for such a process, and how much of a core it has to take.
LOOK_EVERY, SHARE = 0.1, 0.5

# Where Linux counts, in its first line, how long all cores did what.
STAT = Path("/proc/stat")

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def tune() -> None:
    """Set both, unless the environment says otherwise."""
    if os.environ.get("DIGITLIB_TUNING") == "off" or sys.platform != "linux":
        return
    # A process that started this one may have set the count already, in the environment that they share.
    said = "OMP_WAIT_POLICY" in os.environ or os.environ.get("GOMP_SPINCOUNT", SPIN_COUNT) != SPIN_COUNT
    if not said and os.access(STAT, os.R_OK):
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT  # where torch is imported already, threads spin for longer
        threading.Thread(target=watch, name="digitlib: look for neighbours", daemon=True).start()
    # A training step frees what the next one asks for again. By default glibc hands large blocks back to the system
    # each time, whose pages are then cleared and mapped anew: a quarter of an epoch of `best`. Keep up to 1 GiB.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that glibc takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)


def watch() -> None:
    """Let threads sleep soon while another process wants a core that they would spin on; never returns."""
    while "torch" not in sys.modules:
        time.sleep(LOOK_EVERY)
    import torch  # which waits until it is imported

    sleepy, looks, before = None, deque([False] * 2, maxlen=2), clocks()
    while True:
        time.sleep(LOOK_EVERY)
        now = clocks()
        wall, own, everyone = (b - a for a, b in zip(before, now, strict=True))
        others = (everyone - own) / wall
        looks.append(is_crowded(own / wall, others, torch.get_num_threads(), os.cpu_count() or 1))
        if all(looks) and sleepy is None:
            sleepy = Sleepy()
        elif sleepy is not None and not any(looks):
            sleepy = sleepy.end()
        before = now


def clocks() -> tuple[float, float, float]:
    """Return three clocks in seconds: the wall's, what this process has computed, what all processes have."""
    with STAT.open(encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq = map(int, stat.readline().split()[1:8])
    everyone = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return time.monotonic(), time.process_time(), everyone


def is_crowded(own: float, others: float, num_threads: int, num_cores: int) -> bool:
    """Return whether this process computes, and others leave it fewer cores than it has threads.

    Args:
        own, others: cores that this process and all others kept busy of late, on average.
    """
    return num_threads > 1 and own > SHARE and others > num_cores - num_threads + SHARE


class Sleepy:
    """From here to its end, waiting threads sleep at once.

    OpenMP has no call for that, but a rule: where it keeps more threads than there are cores, they wait for a moment
    only (GNU libgomp's manual, GOMP_SPINCOUNT). So another thread makes a team of its own, which then does nothing.
    """

    def __init__(self):
        """Make the team."""
        self.ended, ready = threading.Event(), threading.Event()

        def keep_a_team() -> None:
            import torch

            torch.zeros(2**16)  # long enough to be divided among two threads
            ready.set()
            self.ended.wait()

        self.thread = threading.Thread(target=keep_a_team, name="digitlib: let threads sleep", daemon=True)
        self.thread.start()
        ready.wait()

    def end(self) -> None:
        """Give the team back, so that threads look for longer again."""
        self.ended.set()
        self.thread.join()


tune()
