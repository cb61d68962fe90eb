"""Let a check judge one answer of a student in a process of its own, with limits of time, memory and disk.

An answer may do whatever a program can: the limits hold what goes wrong by mistake. The process that all others come
from has imported the libraries already, so an answer costs a tenth of a second; on Windows, which cannot do that, it
costs some seconds. Memory is limited on Linux alone.
"""

import ast
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import matplotlib
import torch

from digitlib.checks import CHECKS, core

try:
    import resource
except ImportError:  # Windows: there the parent watches time and disk alone
    resource = None

ENDLESS, MEMORY, DISK, ENDED = "never ends", "fills the memory", "fills the disk", "ends its process"
SIGNS = {
    "did not end within": ENDLESS,
    "MemoryError": MEMORY,
    "allocate memory": MEMORY,
    "File too large": DISK,
}
SHARED = (
    __name__,
    "tools.assignment",
    "IPython.core.inputtransformer2",
    "tqdm",
)  # of judge, and of who calls it
LOCK = threading.Lock()  # multiprocessing looks at all children when one starts or ends


@dataclass(frozen=True)
class Limits:
    """What one answer may use.

    Attributes:
        seconds: of a processor's time; four times as much may pass by the clock.
        memory: bytes beyond what the libraries take.
        disk: bytes, all files together.
    """

    seconds: float = 100
    memory: float = 2e9
    disk: float = 100e6


@dataclass(frozen=True)
class Job:
    """What one process does: run `imports` and the cells `before`, then `code`; check what `name` stands for."""

    exercise: str
    name: str
    imports: str
    code: str = ""
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the check said of an answer: its status, the hint, and which limit it met."""

    status: str
    hint: str = ""
    trouble: str = ""


def best(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first verdict that passed, else the first that was attempted, else any; it asks for no more."""
    found = Verdict(core.NOT_ATTEMPTED)
    for verdict in verdicts:
        if verdict.status == core.PASSED:
            return verdict
        if found.status == core.NOT_ATTEMPTED:
            found = verdict
    return found


def begin(imports: str) -> None:
    """Get ready for answers that need these imports: one process has them, and all others come from it."""
    if _context().get_start_method() == "forkserver":
        nodes = ast.parse(imports).body
        names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in nodes]
        _context().set_forkserver_preload([*SHARED, *names])


def _context():
    names = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in names else "spawn")


def judge(job: Job, limits: Limits) -> Verdict:
    """Return what the check says of an answer, or which limit ended its process."""
    with tempfile.TemporaryDirectory(prefix="answer-", ignore_cleanup_errors=True) as folder:
        receiver, sender = _context().Pipe(duplex=False)
        process = _context().Process(target=_in_child, args=(sender, folder, job, limits))
        with LOCK:
            process.start()
        sender.close()
        trouble, end, said = "", time.monotonic() + 4 * limits.seconds, b""
        while not trouble and not wait([receiver, process.sentinel], 0.2):
            trouble = ENDLESS if time.monotonic() > end else DISK if _size(folder) > limits.disk else ""
        with contextlib.suppress(EOFError, OSError):
            said = receiver.recv_bytes(100_000) if not trouble and receiver.poll(1) else b""
        with contextlib.suppress(OSError):  # whatever it has started ends with it
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
        with LOCK:
            process.kill()
            process.join()
        receiver.close()
    if said:
        return Verdict(**json.loads(said))
    if process.exitcode == -getattr(signal, "SIGXCPU", 0):
        trouble = ENDLESS
    trouble = trouble or ENDED
    return Verdict(core.NOT_YET, f"The answer {trouble}.", trouble)


def _size(folder: str) -> int:
    paths = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    with contextlib.suppress(OSError):
        return sum(os.lstat(path).st_size for path in paths)
    return 0  # one of them has just gone


def _in_child(sender: Connection, folder: str, job: Job, limits: Limits) -> None:
    """Run and check one answer, and send the verdict as JSON: what a stranger pickles is never opened."""
    if hasattr(os, "setsid"):
        os.setsid()
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    torch.set_num_threads(1)  # a core for each answer
    matplotlib.use("Agg")  # and no window
    _set_limits(limits)
    check, before = CHECKS[job.exercise], _checks_as_they_are()
    module = sys.modules["__main__"] = types.ModuleType("__main__")  # as in a notebook
    for source in (job.imports, *job.before):
        run(source, vars(module))
    raised = run(job.code, vars(module))
    result = check(vars(module).get(job.name))
    status, hint = result.status, "" if result.status == core.PASSED else result.message
    if status == core.NOT_ATTEMPTED:
        status, hint = (
            (core.NOT_YET, f"The cell with the answer raised {raised}.") if raised else (status, "")
        )
    trouble = next((trouble for sign, trouble in SIGNS.items() if sign in hint), "")
    if _checks_as_they_are() != before:
        status, hint, trouble = core.NOT_YET, "The answer changes the checks.", "changes the checks"
    sender.send_bytes(json.dumps({"status": status, "hint": hint[:2000], "trouble": trouble}).encode())
    os._exit(0)


def run(source: str, namespace: dict) -> str:
    """Run a cell statement by statement, as far as each of them goes; return the first exception in words."""
    raised = ""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return core.describe(error)
    for statement in statements:
        try:
            exec(compile(ast.Module([statement], []), "answer", "exec"), namespace)
        except BaseException as error:
            raised = raised or core.describe(error)
    return raised


def _set_limits(limits: Limits) -> None:
    if resource is None:
        return
    kinds = {resource.RLIMIT_FSIZE: limits.disk, resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: limits.seconds}
    with contextlib.suppress(OSError):  # what the libraries take already; only Linux says it
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        kinds[resource.RLIMIT_AS] = pages * resource.getpagesize() + limits.memory
    for kind, value in kinds.items():
        with contextlib.suppress(OSError, ValueError):  # a system that has no such limit
            further = 5 if kind == resource.RLIMIT_CPU else 0  # the first one says what it is
            resource.setrlimit(kind, (int(value), int(value) + further))


def _checks_as_they_are() -> dict[tuple[str, str], int]:
    """Return which object every name in the modules of the checks stands for."""
    modules = [name for name in sys.modules if name.startswith("digitlib.checks")]
    return {(name, key): id(value) for name in modules for key, value in vars(sys.modules[name]).items()}
