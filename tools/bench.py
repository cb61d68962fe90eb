"""Measure what each choice buys: ours against the plain way, side by side in one run, and how far the limit is.

Candidates take turns, round after round, and medians are reported: whatever else the machine does then falls on all of
them. Each section is stored in book/bench.json as soon as it is measured, so that an interruption loses one section at
most; book/results.ipynb shows them. Accuracies are those on the validation images: nothing here opens the test images.

Sections:
    plain     the plain way against ours: batches alone, seconds an epoch, what is learnt, seconds to an accuracy
    limit     arithmetic of each recipe's epoch over the rate of multiplying matrices; layouts, a profile
    growth    seconds an epoch against the number of images, the batch size and the width
    predict   one prediction's latency, and the rate of a thousand
    neighbour seconds beside a process that keeps one core busy, against a quiet machine
    scaling   seconds an epoch of `best` with two processes against one
    project   seconds of the imports, of building the book and of comparing all notebooks with pytest --nbval

Example:
    python -m tools.bench                 everything, on an otherwise idle machine (half an hour), then the page
    python -m tools.bench plain limit     these again
    python -m tools.bench --quick         a look at everything but the project, in a minute; stored nowhere
"""

import argparse
import json
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: how threads wait, see README

# isort: split
import nbformat

from tools import results
from tools.bench_limit import measure_growth, measure_limit
from tools.bench_plain import measure_plain
from tools.bench_use import measure_neighbour, measure_predictions, measure_project, measure_scaling
from tools.pages import write_whole
from tools.timing import ROOT, machine

RESULTS = ROOT / "book" / "bench.json"
SECTIONS = {
    "plain": measure_plain,
    "limit": measure_limit,
    "growth": measure_growth,
    "predict": measure_predictions,
    "neighbour": measure_neighbour,
    "scaling": measure_scaling,
    "project": measure_project,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the sections asked for, storing each, then execute the page; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)} (default: all)"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="rounds; medians are shown (default: 3)"
    )
    parser.add_argument("--quick", action="store_true", help="one round on few images, stored nowhere")
    parser.add_argument("--no-page", action="store_true", help="leave book/results.ipynb alone")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"expected sections among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    names = options.sections or [name for name in SECTIONS if not (options.quick and name == "project")]
    for name in names:
        print(f"{name}: measuring", flush=True)
        start = time.perf_counter()
        found = SECTIONS[name](1 if options.quick else options.repeat, options.quick)
        found["machine"] = machine()
        if options.quick:
            print(json.dumps(found, indent=1), flush=True)
        else:
            store(name, found)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0 if options.quick or options.no_page else show_page()


def store(name: str, found: dict) -> None:
    """Put one section into book/bench.json, whole or not at all; the others stay.

    Where a section has "runs", what the ones before told stays behind it: they differ with what else the machine does,
    and nobody should have to believe in one run alone.
    """
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if "runs" in found:
        found["runs"] = found["runs"] + stored.get(name, {}).get("runs", [])
    stored[name] = found
    ordered = {section: stored[section] for section in SECTIONS if section in stored}
    write_whole(RESULTS, json.dumps(rounded(ordered), indent=1) + "\n")


def rounded(tree):
    """Return the same tree of dictionaries and lists with its numbers to five digits: more is noise."""
    if isinstance(tree, dict):
        return {str(key): rounded(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [rounded(value) for value in tree]
    return float(f"{tree:.5g}") if isinstance(tree, float) else tree


def show_page() -> int:
    """Execute the results page, which reads what is stored, and print its tables of the benchmark."""
    code = results.show()
    for cell in nbformat.read(results.NOTEBOOK, as_version=4).cells if code == 0 else []:
        for output in cell.get("outputs", []) if cell.id.startswith("bench-") else []:
            if "text/markdown" in output.get("data", {}):
                print(f"\n{output.data['text/markdown']}")
    return code


if __name__ == "__main__":
    sys.exit(main())
