"""Files of the repository that tools fill in: written whole or not at all, with tables between two marks."""

from pathlib import Path

from digitlib import storage

START, END = "<!-- results:start -->", "<!-- results:end -->"


def write_whole(path: Path, text: str) -> None:
    """Write a text file at once, with the same line ends everywhere: an interruption leaves the old one or the new."""
    storage.write_whole(path, text.encode("utf-8"))


def insert_table(text: str, table: str, name: str) -> str:
    """Return a page's text with the table between its marks.

    Args:
        name: what the page is called, for the error.
    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in after or END in after:
        raise ValueError(f"expected one {START} and one {END} after it in {name}")
    return f"{before}{START}\n{table}\n{END}{after}"
