"""The book builds without a warning from the stored outputs, and is whole; each check of it can fail."""

import shutil
import subprocess
import sys

import pytest

from tools import check_book


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """Build the book from nothing, as `make book` does, in a folder of its own."""
    output = tmp_path_factory.mktemp("book")
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*jupyter_book, "build", ".", "--path-output", str(output), "-W", "-n", "--keep-going"]
    run = subprocess.run(command, cwd=check_book.ROOT, capture_output=True, text=True)
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    return output / "_build" / "html"


def test_the_book_is_whole(book):
    assert check_book.complaints(book) == []


def test_eleven_notebooks_an_introduction_and_the_results_are_in_it():
    pages = check_book.expected_pages()
    assert pages[0] == "book/introduction"
    assert sum(page.startswith("notebooks/") for page in pages) == 11
    assert "book/results" in pages


def test_neither_the_library_nor_the_tests_are_in_it(book):
    assert not any(
        (book / name).exists() for name in ("README.html", "CONTRIBUTING.html", "tests", "digitlib")
    )


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda page: page.unlink(), "notebooks/05_build_network: expected a page, found none"),
        (lambda page: edit(page, "<img ", "<p "), "expected"),
        (lambda page: edit(page, 'alt="', 'alt="not '), "pictures with their alt texts"),
        (lambda page: edit(page, "</h1>", "</h1>Traceback (most recent call last)"), "shows a traceback"),
        (
            lambda page: edit(page, "</h1>", '</h1><script src="https://example.org/x.js"></script>'),
            "another server",
        ),
        (lambda page: edit(page, "</h1>", '</h1><img src="gone.png">'), "gone.png, which is not in the book"),
    ],
)
def test_what_is_wrong_with_a_book_is_found(book, tmp_path, change, complaint):
    shutil.copytree(book, tmp_path / "html", ignore=shutil.ignore_patterns("mathjax", "_sources"))
    (tmp_path / "html/_static/mathjax").symlink_to(book / "_static/mathjax")
    assert check_book.complaints(tmp_path / "html") == []
    change(tmp_path / "html/notebooks/05_build_network.html")
    found = check_book.complaints(tmp_path / "html")
    assert found and complaint in found[0]


def edit(page, old, new):
    """Replace the first occurrence below the article's start."""
    head, article, rest = page.read_text().partition("<article")
    assert old in rest
    page.write_text(head + article + rest.replace(old, new, 1))
