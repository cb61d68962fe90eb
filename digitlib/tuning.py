"""What importing digitlib sets for the whole process: how threads wait, and how much memory is kept.

Neither changes a result, only how soon it is there. DIGITLIB_TUNING=off leaves both as the system has them, and
where OMP_WAIT_POLICY is set, threads wait as it says. On other systems than Linux nothing is set.
"""

import ctypes
import os
import sys
import time
from pathlib import Path

# How often a waiting thread looks again before it sleeps. A sleeping thread is slow to wake, and waits of a training
# step are short, so it pays to look for some 50 µs; but not where another process could use the core meanwhile.
SPIN_COUNT = {"idle": 5000, "busy": 0}

# Where Linux says, in the fourth field, how many processes run or could run right now, on all cores.
LOAD = Path("/proc/loadavg")

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def tune() -> None:
    """Set both, unless the environment says otherwise; how threads wait only while torch is not imported yet."""
    if os.environ.get("DIGITLIB_TUNING") == "off" or sys.platform != "linux":
        return
    if "OMP_WAIT_POLICY" not in os.environ and "torch" not in sys.modules:
        spin_count = SPIN_COUNT["busy" if has_neighbour() else "idle"]
        os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(spin_count)}
    # A training step frees what the next one asks for again. By default glibc hands large blocks back to the system
    # each time, whose pages are then cleared and mapped anew: a quarter of an epoch of `best`. Keep up to 1 GiB.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that glibc takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)


def has_neighbour(num_looks: int = 50, pause: float = 0.005) -> bool:
    """Return whether other processes keep so many cores busy that fewer are left than this one may use.

    Args:
        num_looks: all of them have to find it so, since most processes run for a moment only.
        pause: seconds between two looks.
    """
    num_cores = os.cpu_count() or 1
    asked_for = os.environ.get("OMP_NUM_THREADS", "")
    num_threads = int(asked_for) if asked_for.isdecimal() else num_cores
    if not LOAD.exists():
        return False
    for _ in range(num_looks):
        running, _, _ = LOAD.read_text().split()[3].partition("/")
        others = int(running) - 1  # this process runs, too
        if num_cores - others >= num_threads:
            return False
        time.sleep(pause)
    return True


tune()
