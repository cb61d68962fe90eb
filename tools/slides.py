"""Make slides of notebooks, from the same cells, in dist/slides.

Example:
    python -m tools.slides 07

Each section begins a slide, and what follows goes below it. What a cell puts out comes with the next key, so that a
class can predict it first. Of an exercise there are the task and the stub; its solution, hints and check are left out.
The pages are shown by reveal.js, which is fetched once; then they need no network.
"""

import argparse
import copy
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from traitlets.config import Config

from tools.book_formulas import MATHJAX
from tools.exercises import ROOT, NotebookError, name_of, naming, part_of, read
from tools.notebooks import find, made_of
from tools.student import without_solutions

FOLDER = ROOT / "dist" / "slides"
REVEAL = "reveal.js@5.2.1"
LEFT_OUT = ("check", "hints", "solution")
TEMPLATE = """\
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}
<script>MathJax = {tex: {inlineMath: [['$', '$']]}};</script>
<script src="tex-svg.js" async></script>
<style>.reveal .slides > section > section { max-height: 700px; overflow-y: auto; text-align: left; }</style>
{%- endblock -%}
{%- block data_png scoped -%}
<img src="data:image/png;base64,{{ output.data['image/png'] | replace('\\n', '') }}"
     alt="{{ output | get_metadata('alt', 'image/png') | escape_html }}">
{%- endblock -%}
{%- block footer_js -%}
<script src="{{ resources.reveal.url_prefix }}/dist/reveal.js"></script>
<script>Reveal.initialize({hash: true, slideNumber: 'c/t', width: 1100, height: 700, center: false});</script>
{%- endblock -%}
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a number such as 07; or all")
    options = parser.parse_args(arguments)
    try:
        for path in find(options.notebooks):
            print(name_of(write(path, FOLDER)))
        fetch(FOLDER)
    except (NotebookError, OSError, subprocess.CalledProcessError) as error:
        print(f"tools/slides.py: {error}", file=sys.stderr)
        return 1
    return 0


def write(path: Path, folder: Path) -> Path:
    """Write the slides of one notebook into a folder; return the page."""
    notebook = read(path)
    with naming(path):
        config = Config({"TagRemovePreprocessor": {"enabled": True, "remove_input_tags": {"output-only"}}})
        exporter = SlidesExporter(config=config, raw_template=TEMPLATE, reveal_url_prefix="reveal")
        exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
        page, _ = exporter.from_notebook_node(slides(notebook), {"metadata": {"name": path.stem}})
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.stem}.html"
    target.write_text(page, encoding="utf-8")
    return target


def slides(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook whose cells say on which slide they come, without anything that answers an exercise."""
    cells = []
    for cell in without_solutions(notebook, keep_outputs=True).cells:
        if part_of(cell) in LEFT_OUT:
            continue
        if cell.cell_type == "markdown":
            texts = [text.strip() for text in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE)]
            for number, text in enumerate(text for text in texts if text):
                part = copy.deepcopy(cell) | {"id": f"{cell.id}-{number}", "source": without_links(text)}
                cells.append(_on(NotebookNode(part), "slide" if text.startswith("#") else "subslide"))
            continue
        outputs, cell.outputs = cell.outputs, []
        cells.append(_on(cell, "-"))
        if outputs:
            shown = new_code_cell(
                "", id=f"{cell.id}-output", outputs=outputs, metadata={"tags": ["output-only"]}
            )
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
            for output in outputs:
                if alt and "image/png" in output.get("data", {}):
                    output.metadata["image/png"] = NotebookNode(alt=alt)
            cells.append(_on(shown, "fragment"))
    return made_of(cells)


def without_links(markdown: str) -> str:
    """Return a text whose links to files of the book are their words alone: beside the slides there is no book."""
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)\s]+\)", r"\1", markdown)


def _on(cell: NotebookNode, kind: str) -> NotebookNode:
    cell.metadata["slideshow"] = NotebookNode(slide_type=kind)
    return cell


def fetch(folder: Path) -> None:
    """Put reveal.js and MathJax beside the slides, where they are not there yet.

    Raises:
        NotebookError: there is no npm, or no network the first time.
    """
    shutil.copy(MATHJAX / "tex-svg.js", folder)  # one file, fonts included
    if (folder / "reveal").exists():
        return
    npm = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
    try:
        command = [npm or "npm", "pack", "--silent", REVEAL]
        packed = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        told = f"expected npm and a network, to fetch {REVEAL} once, found {type(error).__name__}"
        raise NotebookError(
            f"{told}; the pages are written, and show their slides once it lies in reveal/"
        ) from error
    with tarfile.open(folder / packed) as archive:
        archive.extractall(folder, filter="data")
    (folder / packed).unlink()
    (folder / "package").rename(folder / "reveal")


if __name__ == "__main__":
    sys.exit(main())
