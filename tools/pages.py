"""Files of the repository that tools fill in: written whole or not at all, with tables between two marks."""

import os
from pathlib import Path

START, END = "<!-- results:start -->", "<!-- results:end -->"


def write_whole(path: Path, text: str) -> None:
    """Write a file at once: an interruption leaves the old one or the new one."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8", newline="\n")
    os.replace(aside, path)


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
