"""Copy the table of results from the executed notebook book/results.ipynb into README.md.

Example:
    python -m tools.results      after `python -m tools.notebooks book/results.ipynb`; `make results` does both

The notebook is the source; tests/test_results.py fails where the two differ.
"""

import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "book" / "results.ipynb"
README = ROOT / "README.md"
START, END = "<!-- results:start -->", "<!-- results:end -->"


def main() -> int:
    """Rewrite the part of README.md between the two marks; return the exit code."""
    try:
        text = insert_table(README.read_text(encoding="utf-8"), read_table(NOTEBOOK))
    except ValueError as error:
        print(f"tools/results.py: {error}", file=sys.stderr)
        return 1
    README.write_text(text, encoding="utf-8", newline="\n")
    print("README.md holds the table of book/results.ipynb")
    return 0


def read_table(path: Path) -> str:
    """Return the Markdown table that the notebook's cell `results-table` put out.

    Raises:
        ValueError: there is no such output.
    """
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.id == "results-table":
            for output in cell.outputs:
                if "text/markdown" in output.get("data", {}):
                    return output.data["text/markdown"]
    raise ValueError(
        f"expected {path.name} with an executed cell results-table, found none; run `make results`"
    )


def insert_table(text: str, table: str) -> str:
    """Return the text with the table between the marks.

    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in after or END in after:
        raise ValueError(f"expected one {START} and one {END} after it in README.md")
    return f"{before}{START}\n{table}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
