"""Print the built book as one PDF: a title page, the contents, and every page in order.

Example:
    python -m tools.book_pdf _build/html        writes _build/reading-handwritten-digits.pdf; a minute or two

The pages are joined into one, whose links lead within it, and a browser prints it: Chromium, Chrome or Edge, which
$CHROMIUM can name. How it looks on paper stands in book/_static/frame/print.css.
"""

import html
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.book_formulas import FOLDER
from tools.check_book import ROOT, expected_pages

NAME = "reading-handwritten-digits"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge", "microsoft-edge")
TITLE = """<section class="paper-title">
<h1>Reading Handwritten Digits</h1>
<p>A first course in deep learning: eleven notebooks, with PyTorch</p>
<img src="_static/frame/result.svg" alt="">
<p>The digitlib authors, 2026</p>
<p>{licence}</p>
</section>
<nav class="paper-contents"><h2>Contents</h2><ol>{entries}</ol></nav>
"""


def main() -> int:
    """Print the book named on the command line; return the exit code."""
    book = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "_build" / "html").resolve()
    if not (book / "index.html").is_file():
        print(f"tools/book_pdf.py: expected a built book in {book}; run: make book", file=sys.stderr)
        return 1
    if (browser := find_browser()) is None:
        print(
            "tools/book_pdf.py: expected a browser that prints, found none of " + ", ".join(BROWSERS) + "; "
            "install one, or name it: CHROMIUM=/path/to/it make pdf",
            file=sys.stderr,
        )
        return 1
    joined, target = book / f"{NAME}.html", book.parent / f"{NAME}.pdf"
    joined.write_text(join(book, expected_pages()), encoding="utf-8")
    try:
        print_page(browser, joined, target)
    finally:
        joined.unlink()
    print(f"The book as a PDF: {target}")
    return 0


def find_browser() -> str | None:
    """Return the path of a browser that can print, or None."""
    names = [os.environ.get("CHROMIUM"), *BROWSERS]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def join(book: Path, pages: list[str]) -> str:
    """Return one page, to stand in the book's folder, that holds the articles of all.

    Args:
        pages: as _toc.yml names them.
    """
    first = (book / f"{pages[0]}.html").read_text(encoding="utf-8")
    licence = re.search(r'<div class="extra_footer">(.*?)</div>', first, re.S)
    # Of the head, the formulas' style sheet stands in the pages alone that have one.
    heads = [
        (page, (book / f"{page}.html").read_text(encoding="utf-8").partition("</head>")[0]) for page in pages
    ]
    page, head = next(((page, head) for page, head in heads if FOLDER in head), heads[0])
    head = re.sub(r"<title>.*?</title>", "<title>Reading Handwritten Digits</title>", head, flags=re.S)
    head = re.sub(r'\b(href|src)="([^"#]+)"', lambda m: f'{m[1]}="{_moved(m[2], page)}"', head)
    head = re.sub(r'<script[^>]*src="[^"]*(?:frame|touch|draw)/[^"]*"></script>', "", head)
    articles, entries = [], []
    for page in pages:
        text = (book / f"{page}.html").read_text(encoding="utf-8")
        articles.append(article(text, page, set(pages)))
        title = re.sub(
            r"<a class=\"headerlink.*?</a>|<[^>]*>", "", re.search(r"<h1>(.*?)</h1>", articles[-1], re.S)[1]
        )
        entries.append(f'<li><a href="#{_anchor(page)}">{html.escape(html.unescape(title.strip()))}</a></li>')
    front = TITLE.format(licence=licence[1] if licence else "", entries="\n".join(entries))
    return f'{head}</head><body class="paper"><main>{front}{"".join(articles)}</main></body></html>'


def article(text: str, page: str, pages: set[str]) -> str:
    """Return a page's article for the joined page: without scripts, its names and links made those of one page."""
    body = re.search(r'<article class="bd-article">(.*?)</article>', text, re.S)[1]
    body = re.sub(r"<script\b.*?</script>|<noscript>.*?</noscript>", "", body, flags=re.S)
    body = re.sub(r'\bid="([^"]+)"', lambda m: f'id="{_anchor(page)}--{m[1]}"', body)

    def address(match: re.Match) -> str:
        attribute, value = match.groups()
        path, _, anchor = value.partition("#")
        if re.match(r"[a-z]+:", value):
            return match[0]
        path = _moved(path, page) if path else f"{page}.html"
        if path.removesuffix(".html") in pages and attribute == "href":
            name = _anchor(path.removesuffix(".html"))
            return f'href="#{name}--{anchor}"' if anchor else f'href="#{name}"'
        return f'{attribute}="{path}"'

    body = re.sub(r'\b(href|src)="([^"]*)"', address, body)
    return f'<article class="bd-article" id="{_anchor(page)}">{body}</article>'


def print_page(browser: str, page: Path, target: Path) -> None:
    """Have a browser print a page into a PDF.

    Raises:
        RuntimeError: it did not, with what it said.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
        ]
        command += [
            "--virtual-time-budget=600000",
            "--allow-file-access-from-files",
            f"--print-to-pdf={target}",
        ]
        if getattr(os, "geteuid", lambda: 1)() == 0:
            command.append("--no-sandbox")  # Chromium's sandbox does not work for root
        run = subprocess.run([*command, page.as_uri()], capture_output=True, text=True)
    if run.returncode != 0 or not target.is_file():
        raise RuntimeError(f"expected {browser} to print {page.name}, it said: {run.stderr[-1000:]}")


def _moved(address: str, page: str) -> str:
    """Return an address that a page of a folder gives, as the book's own folder has it."""
    if re.match(r"[a-z]+:", address):
        return address
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), address))


def _anchor(page: str) -> str:
    return page.replace("/", "-")


if __name__ == "__main__":
    sys.exit(main())
