"""Where digitlib keeps its files, and how it writes them: whole or not at all."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent


def repository_folder(name: str) -> Path:
    """Return the repository's folder of that name; it exists only where digitlib runs from its repository."""
    return _PACKAGE.parent / name


def own_folder(name: str) -> Path:
    """Return the folder for files of one kind, "data" or "checkpoints"; it need not exist.

    It is $DIGITLIB_DATA or $DIGITLIB_CHECKPOINTS where that is set; else the repository's, where digitlib runs from
    one; else, from an installed wheel, one of the user's own: on Linux ~/.local/share/digitlib/data.
    """
    if named := os.environ.get(f"DIGITLIB_{name.upper()}"):
        return Path(named).expanduser()
    if repository_folder("data/MNIST").is_dir():
        return repository_folder(name)
    return platformdirs.user_data_path("digitlib", appauthor=False) / name


def shipped_folder(name: str) -> Path:
    """Return a folder that is part of digitlib, such as "weights": the package's, in a wheel; else one of data/."""
    in_wheel = _PACKAGE / name
    return in_wheel if in_wheel.is_dir() else repository_folder("data") / name


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, then move into place in one step: an earlier file stays until the new one is complete.

    Its folder is made where it is missing; the earlier file's permissions are kept, and a link stays a link to it.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing half-written is left.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_over in path.parent.glob(".digitlib-writing-*"):
        with suppress(FileNotFoundError):  # another process tidies up, too
            if time.time() - left_over.stat().st_mtime > 86_400:  # a day: its process was killed
                shutil.rmtree(left_over, ignore_errors=True)
    # A folder aside, not a file of tempfile's, which nobody but its owner could read.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".digitlib-writing-") as aside:
        complete = Path(aside) / path.name
        complete.write_bytes(content)
        if path.exists():
            shutil.copymode(path, complete)
        os.replace(complete, path)
