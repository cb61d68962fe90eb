"""Say whether the course can be installed here: with this Python, on this machine. Needs nothing but Python.

`python3 tools/machine.py` prints nothing where it can; else what is in the way and what to do, and exits with 1.
"""

import platform
import re
import sys
import sysconfig
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# PyTorch has packages for these alone; none for Intel Macs since 2024, none for Windows on ARM yet.
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("amd64",)}
OLDEST_MACOS = 14
NEXT_STEP = {
    ("Darwin", "x86_64"): "if the Mac has Apple silicon, install a Python that is made for it",
    ("Windows", "arm64"): "install Python for 64-bit Intel processors, which Windows runs as well",
}
IN_THE_BROWSER = "the notebooks also run in the browser, on Colab or Binder"


def python_range(project: str) -> tuple:
    """Return the lowest and the highest minor version of Python 3 that pyproject.toml lets in, such as (11, 14)."""
    lowest, above = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', project, re.MULTILINE).groups()
    return int(lowest), int(above) - 1


def complaint(python: tuple, system: str, machine: str, macos: str) -> str:
    """Return what is in the way of an installation, and what to do next; an empty text where nothing is.

    Args:
        python: (3, 12, 1). system: as `platform.system()` says it. machine: the processor that Python was made for.
        macos: the version of macOS, such as "14.2"; "" elsewhere.
    """
    lowest, highest = python_range(PROJECT.read_text(encoding="utf-8"))
    if not (3, lowest) <= python[:2] <= (3, highest):
        expected, found = f"Python 3.{lowest} to 3.{highest}", "Python " + ".".join(map(str, python))
        return f"expected {expected}, got: {found}; install one of these, and name it where you have several"
    if machine not in MACHINES.get(system, ()):
        named = {"Darwin": "macOS"}.get(system, system)
        machines = (
            "a machine that PyTorch has packages for: Linux, Windows on x86-64, a Mac with Apple silicon"
        )
        steps = [*filter(None, [NEXT_STEP.get((system, machine))]), IN_THE_BROWSER]
        return f"expected {machines}, got: {named} on {machine}; {'; '.join(steps)}"
    if system == "Darwin" and int(macos.split(".")[0]) < OLDEST_MACOS:
        return f"expected macOS {OLDEST_MACOS} or later, got: {macos}; update it; {IN_THE_BROWSER}"
    return ""


def here() -> tuple:
    """Return this Python and this machine, as the arguments of `complaint`."""
    system, machine = platform.system(), platform.machine()
    if system == "Windows":  # may run a Python that was made for another processor
        machine = sysconfig.get_platform().rpartition("-")[2]
    return tuple(sys.version_info[:3]), system, machine, platform.mac_ver()[0]


if __name__ == "__main__":
    sys.exit(complaint(*here()) or None)
