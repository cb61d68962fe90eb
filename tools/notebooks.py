"""Execute notebooks in place, top to bottom on a fresh kernel, and store them in one normal form.

Examples:
    python -m tools.notebooks                      the eleven notebooks
    python -m tools.notebooks 07 09                some of them, by number
    python -m tools.notebooks book/results.ipynb   any other, by its path
    python -m tools.notebooks --check              execute and write nothing; report what is not in the normal form

The normal form makes two runs on one machine byte for byte the same, so that a difference in git is a difference in
content: execution counts from 1, no timings, neighbouring prints merged, compact pictures, sorted keys. The hash of
every picture goes into its cell's metadata, where tests/test_notebooks.py finds a picture that was swapped or lost,
and the minutes that a student needs go into the first cell.
"""

import argparse
import base64
import hashlib
import io
import math
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager
from PIL import Image
from traitlets import default

from tools.exercises import HEADING, ROOT, NotebookError, name_of, part_of, read
from tools.pages import write_whole

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {
    "file_extension": ".py",
    "name": "python",
    "pygments_lexer": "ipython3",
}  # without the patch version
NOTEBOOK_METADATA = ("digitlib", "kernelspec", "language_info", "mystnb")
MINUTES = re.compile(r"\bAbout \d+ minutes")  # in a lesson's first cell
CELL_METADATA = ("digitlib", "jupyter", "mystnb", "tags")


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a number such as 07, or a path")
    parser.add_argument(
        "--check", action="store_true", help="report what is not in the normal form, write nothing"
    )
    options = parser.parse_args(arguments)
    try:
        paths = find(options.notebooks)
        for path in paths:
            if options.check:
                expect_normal_form(path)
            else:
                run(path)
    except NotebookError as error:
        print(f"tools/notebooks.py: {error}", file=sys.stderr)
        return 1
    if options.check:
        print(f"{len(paths)} notebooks in the normal form")
    return 0


def find(names: list[str]) -> list[Path]:
    """Return the paths of the notebooks with these numbers or paths; of all in notebooks/ where none is named."""
    if not names:
        return sorted((ROOT / "notebooks").glob("*.ipynb"))
    found = []
    for name in names:
        paths = (
            sorted((ROOT / "notebooks").glob(f"{name.zfill(2)}_*.ipynb")) if name.isdigit() else [Path(name)]
        )
        if not (paths and paths[0].is_file()):
            raise NotebookError(f"expected a notebook's number (such as 07) or path, got {name!r}")
        found += paths
    return found


def run(path: Path) -> None:
    """Execute one notebook and store it; a notebook that fails is left as it was.

    Raises:
        NotebookError: a cell raises an exception, or the kernel dies.
    """
    notebook = read(path)
    started = time.perf_counter()
    execute(notebook, path)
    record_seconds(notebook, time.perf_counter() - started)
    text = as_text(normalise(notebook))
    changed = text.encode() != path.read_bytes()
    write_whole(path, text)
    print(
        f"{name_of(path)}: {time.perf_counter() - started:.1f} s, {'changed' if changed else 'as before'}",
        flush=True,
    )


def execute(notebook: NotebookNode, path: Path) -> None:
    """Run every cell on a fresh kernel of this Python, in the notebook's own folder, as nbval does.

    Raises:
        NotebookError: a cell raises an exception, or the kernel dies.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    begun = []
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # which this kernel's specification does not say
    os.environ["DIGITLIB_STILL"] = "1"  # nobody sits there to move a widget
    client = NotebookClient(
        notebook,
        kernel_name=CURRENT_ENV_KERNEL_NAME,  # "python3" might be another Python's, where the machine has several
        kernel_manager_class=KernelManager,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        on_cell_execute=lambda cell, cell_index: begun.append(cell.id),
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        outcome = f"failed with {error.ename}: {error.evalue}".splitlines()[0].rstrip(" .")
    except DeadKernelError:
        outcome = "ended the kernel"
    else:
        return
    raise NotebookError(
        f"{name_of(path)}, cell {begun[-1]} (In [{len(begun)}]), {outcome}. Nothing was written."
    )


def record_seconds(notebook: NotebookNode, seconds: float) -> None:
    """Write into a lesson's metadata how long it runs, in steps of 15 s; only another order of time replaces it."""
    if not (notebook.cells and MINUTES.search(notebook.cells[0].source)):
        return
    own = notebook.metadata.setdefault("digitlib", NotebookNode())
    steps = 15 * math.ceil(seconds / 15)
    if not 0.5 * steps <= own.get("seconds", 0) <= 2 * steps:
        own.seconds = steps


def minutes(notebook: NotebookNode) -> int:
    """Return how many minutes a student needs for a notebook, to the next five.

    Reading takes a minute for 120 words of prose or 12 lines of code; exercises say their minutes; a quiz item takes
    one; and the notebook runs once as a whole.
    """
    total = notebook.metadata.get("digitlib", {}).get("seconds", 0) / 60
    for cell in notebook.cells:
        if cell.id.startswith("quiz-"):
            total += 1
        elif part_of(cell) == "prompt":
            total += int(HEADING.match(cell.source)["minutes"]) if HEADING.match(cell.source) else 0
        elif part_of(cell) is None and cell.cell_type == "markdown":
            total += len(cell.source.split()) / 120
        elif part_of(cell) is None:
            total += len(cell.source.split("\n")) / 12
    return 5 * math.ceil(total / 5)


class KernelManager(AsyncKernelManager):
    """Starts kernels of this Python, as `pytest --nbval-current-env` does."""

    @default("kernel_spec_manager")
    def _find_this_python(self):
        return NbvalKernelspecManager(parent=self)


def made_of(cells: list[NotebookNode], **metadata) -> NotebookNode:
    """Return a notebook of copies of these cells, for any Python 3, with this metadata besides."""
    metadata |= {"kernelspec": KERNELSPEC, "language_info": LANGUAGE_INFO}
    # Format 4.5 is the first in which cells have ids.
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook in the normal form that this module describes."""
    notebook = made_of(notebook.cells, **_only(notebook.metadata, NOTEBOOK_METADATA))
    if notebook.cells and notebook.metadata.get("digitlib", {}).get("seconds"):
        title = notebook.cells[0]
        title.source = re.sub(
            r"\bAbout \d+ minutes", f"About {minutes(notebook)} minutes", title.source, count=1
        )
    count = 0
    for cell in notebook.cells:
        cell.metadata = _only(cell.metadata, CELL_METADATA)
        if cell.cell_type != "code":
            continue
        cell.outputs = merge_streams(cell.outputs)
        count += bool(cell.source.strip())  # Jupyter does not count an empty cell
        cell.execution_count = count if cell.source.strip() else None
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
            if "image/png" in output.get("data", {}):
                png = compact_png(base64.b64decode(output.data["image/png"]))
                output.data["image/png"] = base64.b64encode(png).decode("ascii")
        _record_pictures(cell)
    return notebook


def pictures(cell: NotebookNode) -> list[bytes]:
    """Return the PNG files among a code cell's outputs, in order."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return [base64.b64decode(entry["image/png"]) for entry in data if "image/png" in entry]


def picture_hashes(cell: NotebookNode) -> list[str]:
    """Return the SHA-256 of each picture among a code cell's outputs."""
    return [hashlib.sha256(png).hexdigest() for png in pictures(cell)]


def compact_png(png: bytes) -> bytes:
    """Return the same pixels in fewer bytes, where that can be had; the same bytes every time."""
    with Image.open(io.BytesIO(png)) as picture:
        if picture.mode == "RGBA" and picture.getextrema()[3] == (255, 255):
            picture = picture.convert("RGB")  # nothing shows through
        smaller = io.BytesIO()
        picture.save(smaller, "PNG", optimize=True)
    return min(png, smaller.getvalue(), key=len)


def as_text(notebook: NotebookNode) -> str:
    """Return the text of a notebook's file: sorted keys, an indent of 1, a newline at the end."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def expect_normal_form(path: Path) -> None:
    """Raise NotebookError where a stored notebook is not in the normal form."""
    if path.read_bytes() != as_text(normalise(read(path))).encode():
        raise NotebookError(
            f"{name_of(path)} is not in the normal form; run: python -m tools.notebooks {path}"
        )


def _only(metadata: NotebookNode, keys: tuple[str, ...]) -> NotebookNode:
    return NotebookNode({key: metadata[key] for key in keys if key in metadata})


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring prints: where the kernel cuts them is a matter of chance."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _record_pictures(cell: NotebookNode) -> None:
    """Write the hashes of a cell's pictures into its metadata, or nothing where it has none."""
    own = NotebookNode(cell.metadata.get("digitlib", {}))
    own.pop("pictures", None)
    if hashes := picture_hashes(cell):
        own.pictures = hashes
    if own:
        cell.metadata.digitlib = own
    else:
        cell.metadata.pop("digitlib", None)


if __name__ == "__main__":
    sys.exit(main())
