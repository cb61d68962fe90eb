"""Prove that a built book is whole: every page there, every picture on it, no traceback, nothing from other servers.

Example:
    python tools/check_book.py _build/html

Jupyter Book ends with success even where a page shows an error or lacks a picture; this does not.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|class=\"output traceback")


class Page(HTMLParser):
    """What a page loads and shows.

    Attributes:
        pictures: (source, alternative text) of each picture inside a cell's output.
        loaded: the address of each script, style sheet and picture.
    """

    def __init__(self, html: str):
        super().__init__()
        self.pictures: list[tuple[str, str]] = []
        self.loaded: list[str] = []
        self.output_depth = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Note what a tag loads, and whether it lies in a cell's output."""
        attributes = dict(attrs)
        if tag == "div" and (self.output_depth or "cell_output" in (attributes.get("class") or "").split()):
            self.output_depth += 1
        if tag == "img" and self.output_depth:
            self.pictures.append((attributes.get("src", ""), attributes.get("alt", "")))
        if tag in ("img", "script", "iframe") and attributes.get("src"):
            self.loaded.append(attributes["src"])
        if tag == "link" and "stylesheet" in (attributes.get("rel") or "") and attributes.get("href"):
            self.loaded.append(attributes["href"])

    def handle_endtag(self, tag):
        """Leave a cell's output with the last of its boxes."""
        if tag == "div" and self.output_depth:
            self.output_depth -= 1


def expected_pages() -> list[str]:
    """Return the pages that _toc.yml lists, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def stored_alt_texts(notebook: Path) -> list[str]:
    """Return the alternative text of each picture stored in a notebook, in order."""
    texts = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                texts.append(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))
    return texts


def complaints(book: Path) -> list[str]:
    """Return a line for each thing that is wrong with the book; an empty list for a whole one."""
    found = []
    for name in expected_pages():
        path = book / f"{name}.html"
        if not path.is_file():
            found.append(f"{name}: expected a page, found none")
            continue
        html = path.read_text(encoding="utf-8")
        page = Page(html)
        if TRACEBACK.search(html):
            found.append(f"{name}: shows a traceback")
        notebook = ROOT / f"{name}.ipynb"
        alt_texts = [alt for _, alt in page.pictures]
        try:
            stored = stored_alt_texts(notebook) if notebook.exists() else alt_texts
        except Exception as error:  # whatever a damaged file makes its reader raise
            found.append(f"{name}: expected a notebook, found {type(error).__name__}: {error}")
            continue
        if alt_texts != stored:
            found.append(
                f"{name}: expected {len(stored)} pictures with their alt texts, found {len(alt_texts)}"
            )
        for address in page.loaded:
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                found.append(f"{name}: loads {address} from another server")
            elif not (path.parent / unquote(parts.path)).is_file():
                found.append(f"{name}: loads {address}, which is not in the book")
    return found


def main() -> int:
    """Check the book named on the command line; return the exit code."""
    book = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "_build" / "html")
    found = complaints(book)
    for line in found:
        print(f"tools/check_book.py: {line}", file=sys.stderr)
    if not found:
        print(
            f"{book}: {len(expected_pages())} pages, each with its pictures, no traceback, nothing from other servers"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
