"""Imitate Colab: open the student edition's notebooks one by one where digitlib is not installed, and run them.

Examples:
    python -m tools.colab PYTHON          all eleven, in the environment of this Python
    python -m tools.colab PYTHON 07 09    these

`make test-colab` makes the environment: another Python, with Colab's packages (tests/colab.txt). Each notebook lies
alone in an empty folder; its own first cell fetches the wheel from a server that stands for GitHub. Every cell has to
run, every check to say "not attempted", and no package of Colab's may be another one afterwards.
"""

import argparse
import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from tools import launch, student
from tools.exercises import NotebookError, part_of, read
from tools.notebooks import find


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *arguments):
        """Say nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("python", type=Path, help="the Python of an environment with Colab's packages")
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a number such as 07")
    options = parser.parse_args(arguments)
    try:
        paths = find(options.notebooks)
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as repository:
            edition = Path(folder) / "owner/name/raw" / launch.BRANCH
            student.build(edition, repository)
            python = options.python.absolute()  # its notebooks run in a folder of their own
            for path in paths:
                print(f"{path.stem}: {open_alone(edition / 'notebooks' / path.name, python)}", flush=True)
    except (NotebookError, launch.LaunchError, OSError, subprocess.CalledProcessError) as error:
        print(f"tools/colab.py: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as GitHub serves repositories; give the address of the one that lies at owner/name."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/owner/name"
        server.shutdown()


def open_alone(path: Path, python: Path) -> str:
    """Run one notebook from its first cell on, and return what it took.

    Raises:
        NotebookError: a cell fails, a check has something to say, or a package was exchanged.
    """
    uv = [sys.executable, "-m", "uv", "pip"]
    subprocess.run([*uv, "uninstall", "--quiet", "--python", python, "digitlib"], capture_output=True)
    before = packages(python)
    with tempfile.TemporaryDirectory() as home:
        notebook = read(Path(shutil.copy(path, home)))
        started, first = time.perf_counter(), []
        client = NotebookClient(
            notebook,
            km=kernel(python, home),
            timeout=None,
            resources={"metadata": {"path": home}},
            on_cell_executed=lambda **cell: first.append(time.perf_counter() - started),
        )
        client.owns_km = True  # so that the kernel ends with its notebook
        try:
            client.execute()
        except (CellExecutionError, DeadKernelError) as error:
            raise NotebookError(f"{path.stem} failed: {str(error)[-1500:]}") from error
    for cell in notebook.cells:
        shown = "".join(str(output.get("data", "")) for output in cell.get("outputs", []))
        if part_of(cell) == "check" and "Not attempted yet." not in shown:
            raise NotebookError(f"{path.stem}, cell {cell.id}: expected 'Not attempted yet.', got {shown!r}")
    changed = {line for line in packages(python) ^ before if not line.startswith("digitlib ")}
    if changed:
        raise NotebookError(f"{path.stem}: expected Colab's packages as they were, found {sorted(changed)}")
    return f"the first cell took {first[0]:.0f} s, all {time.perf_counter() - started:.0f} s"


def kernel(python: Path, home: str) -> KernelManager:
    """Return a manager of kernels of another Python, as its user has them: a home of its own, none of our variables."""
    manager = KernelManager()
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.kernel_spec.argv = command
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DIGITLIB", "PYTHONPATH"))
    }
    manager.kernel_spec.env = {"HOME": home, "XDG_DATA_HOME": f"{home}/share", "PYTHONPATH": ""}
    for name in os.environ.keys() - kept.keys() - {"PYTHONPATH"}:
        manager.kernel_spec.env[name] = ""
    return manager


def packages(python: Path) -> set[str]:
    """Return a line for each package of an environment, with its version."""
    command = [sys.executable, "-m", "uv", "pip", "list", "--quiet", "--format", "freeze", "--python", python]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.replace("==", " ") for line in listed.splitlines()}


if __name__ == "__main__":
    sys.exit(main())
