"""Numbers that differ a little between processors: measure how far they move, and compare with that tolerance.

Training adds in another order where there is another number of threads, or another kind of processor, so what it prints
differs in the last digits. This tool executes notebooks under one and two threads, with the processor's own
instructions and with those of an older one (AVX2), each with a folder of checkpoints of its own, and writes into the
metadata of each cell how far each of its numbers moved, and twice that as its tolerance. What was seen on other
machines stays, unless it is told to forget it:

    "digitlib": {"varies": {"0": [0.0004, 0.0008]}}        the first number of the cell's output

`pytest --nbval` compares the numbers named there within their tolerances; all else to the letter (conftest.py).

Example:
    python -m tools.tolerances           every notebook; half an hour
    python -m tools.tolerances 07 09     some of them, by number
    python -m tools.tolerances --fresh   as if nothing had been seen before
"""

import argparse
import copy
import itertools
import math
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools import notebooks
from tools.pages import write_whole

NUMBER = re.compile(r"(?<![\w.])-?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
TEXTS = ("text/html", "text/markdown", "text/plain")
THREADS = ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"})
PROCESSORS = (
    {},
    {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
)
WIDEST = 4  # times what was seen: a tolerance beyond that is refused


def main(arguments: list[str] | None = None) -> None:
    """Measure the notebooks that are named, or all, and write what was seen into them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a number such as 07, or a path")
    parser.add_argument("--fresh", action="store_true", help="forget what was seen before")
    options = parser.parse_args(arguments)
    for path in notebooks.find(options.notebooks):
        stored = nbformat.read(path, as_version=4)
        seen = {} if options.fresh else earlier(stored)
        for environment in (first | second for first, second in itertools.product(THREADS, PROCESSORS)):
            for cell_id, moves in compare(stored, execute(stored, path, environment)).items():
                for place, move in moves.items():
                    seen.setdefault(cell_id, {})
                    seen[cell_id][place] = max(move, seen[cell_id].get(place, 0))
        record(stored, seen)
        write_whole(path, notebooks.as_text(notebooks.normalise(stored)))
        print(f"{notebooks.name_of(path)}: {sum(map(len, seen.values()))} numbers vary", flush=True)


def earlier(notebook: NotebookNode) -> dict[str, dict[str, float]]:
    """Return how far numbers were seen to move before: {cell's id: {place: distance}}."""
    cells = [(cell.id, cell.metadata.get("digitlib", {}).get("varies", {})) for cell in notebook.cells]
    return {
        cell_id: {place: move for place, (move, _) in varies.items()} for cell_id, varies in cells if varies
    }


def execute(stored: NotebookNode, path: Path, environment: dict[str, str]) -> NotebookNode:
    """Return the notebook executed in an environment, its networks trained there too."""
    executed = copy.deepcopy(stored)
    with tempfile.TemporaryDirectory() as folder:
        changed = environment | {"DIGITLIB_CHECKPOINTS": folder}
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            notebooks.execute(executed, path)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return notebooks.normalise(executed)


def compare(stored: NotebookNode, executed: NotebookNode) -> dict[str, dict[str, float]]:
    """Return how far each number moved that did: {cell's id: {place: distance}}.

    Raises:
        ValueError: a cell's words differ; numbers alone may.
    """
    moves = {}
    for old, new in zip(stored.cells, executed.cells, strict=True):
        if old.cell_type != "code":
            continue
        before, after = list(texts(old.outputs)), list(texts(new.outputs))
        if [words(text) for text in before] != [words(text) for text in after]:
            raise ValueError(f"expected cell {old.id} to differ in numbers alone, got {after} for {before}")
        pairs = zip(numbers("\n".join(before)), numbers("\n".join(after)), strict=True)
        found = {str(place): abs(value(a) - value(b)) for place, (a, b) in enumerate(pairs) if a != b}
        if found:
            moves[old.id] = found
    return moves


def record(notebook: NotebookNode, seen: dict[str, dict[str, float]]) -> None:
    """Write what was seen, and twice that as the tolerance, into the cells' metadata; what stood there goes."""
    for cell in notebook.cells:
        own = NotebookNode(cell.metadata.get("digitlib", {}))
        own.pop("varies", None)
        if cell.id in seen:
            own.varies = {
                place: [round_up(move), round_up(2 * move)] for place, move in sorted(seen[cell.id].items())
            }
        cell.metadata.digitlib = own


def round_up(number: float) -> float:
    """Return the number, rounded up to two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(number / unit - 1e-6) * unit:.2g}")


def within_tolerance(outputs: list, reference: list, varies: dict) -> tuple[list, list[str]]:
    """Return the outputs with the stored numbers in the place of those that are near enough, and what is not.

    Where two numbers of a cell lie further apart than they were seen to move, their order is a conclusion, which may
    not be turned round.
    """
    outputs, complaints, place, kept = copy.deepcopy(outputs), [], 0, []
    for new, old in zip(outputs, reference):
        for key, text, put in editable(new):
            stored = dict((name, content) for name, content, _ in editable(old)).get(key, "")
            if words(text) != words(stored):
                return outputs, complaints  # the comparison to the letter says what differs
            for got, expected in zip(numbers(text), numbers(stored)):
                seen, tolerance = varies.get(str(place), (0, 0))
                if abs(value(got) - value(expected)) > tolerance * (1 + 1e-9):
                    complaints.append(
                        f"number {place} of the output: expected {expected} ± {tolerance:g}, got {got}; look at the "
                        "cell; if the new number is right, run `make notebooks` and `python -m tools.tolerances`"
                    )
                kept.append((value(got), value(expected), seen))
                place += 1
            put(stored)
    for (a, b, move), (c, d, other) in itertools.combinations(kept, 2) if not complaints else ():
        if move and other and abs(b - d) > move + other and (a - c) * (b - d) < 0:
            complaints.append(
                f"expected {b:g} and {d:g} in this order, got {a:g} and {c:g}: a conclusion is turned"
            )
    return outputs, complaints


def too_wide(notebook: NotebookNode) -> list[str]:
    """Return a line for each tolerance that is wider than what was seen allows, or that no number has."""
    complaints = []
    for cell in notebook.cells:
        count = len(numbers("\n".join(texts(cell.get("outputs", [])))))
        for place, (seen, tolerance) in cell.metadata.get("digitlib", {}).get("varies", {}).items():
            if not (0 < tolerance <= WIDEST * seen and int(place) < count):
                complaints.append(f"cell {cell.id}, number {place}: {tolerance} for {seen} seen")
    return complaints


def editable(output) -> Iterator[tuple]:
    """Yield the output's texts, each as (where it stands, the text, a function that puts another in its place)."""
    if "text" in output:
        yield "text", output["text"], lambda text: output.update({"text": text})
    for key in TEXTS:
        if key in output.get("data", {}):
            yield key, output["data"][key], lambda text, key=key: output["data"].update({key: text})


def texts(outputs: list) -> Iterator[str]:
    """Yield the texts of a cell's outputs, in order."""
    for output in outputs:
        yield from (text for _, text, _ in editable(output))


def words(text: str) -> list[str]:
    """Return what stands between the numbers; how many spaces, is left open, for columns move with their numbers."""
    return [re.sub(r"[ -]+", " ", part) for part in NUMBER.split(text)]


def numbers(text: str) -> list[str]:
    """Return the numbers of a text as they are written."""
    return NUMBER.findall(text)


def value(number: str) -> float:
    """Return the number that is written."""
    return float(number.replace(",", ""))


if __name__ == "__main__":
    main()
