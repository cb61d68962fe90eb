"""Keep a trained network: save, load, and load what was trained earlier or train it now.

A checkpoint is one `.pth` file: the weights with the recipe that made them, what was measured, and the library's
version. It is read with `weights_only=True`, so that a file from a stranger can be refused, but cannot run anything.
"""

import hashlib
import io
import json
import os
import pickletools
import re
import stat
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from digitlib import recipes
from digitlib.recipes import Recipe
from digitlib.storage import own_folder, shipped_folder, write_whole
from digitlib.training import History

RECOMMENDED = "best"  # the recipe whose trained network is part of digitlib
FORMAT = "digitlib checkpoint 2"
# What a file may ask of the computer that reads it. The network that is part of digitlib takes 0.6 MB.
LARGEST_FILE = 64_000_000  # bytes: 16 million weights
MOST_RECORDS = 1_000  # a file has one for each tensor
LARGEST_PICKLE = 50_000  # bytes: it names the tensors, and describes the rest
LONGEST_RECIPE = 2_000  # characters
# What torch.save asks for where tensors hold floats or counts. torch.load would grant more: bytearray(10**12), for one.
_NAMES = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
_NAMES |= {f"torch {kind}Storage" for kind in ("Float", "Double", "Long")}
# What to do next.
_ANEW = "name another file, or move it away and train anew, `digitlib train RECIPE`"
_ELSEWHERE = "make room, name another file (--output), or set DIGITLIB_CHECKPOINTS to a folder of your own"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, of another kind or cannot be written; the message says what to do next."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and what is known of it."""

    model: nn.Module  # on the CPU, in evaluation mode
    recipe: Recipe  # how it was trained
    history: History
    metrics: dict[str, float]  # what was measured after training, for example {"validation_accuracy": 0.98}
    version: str  # of the digitlib that wrote it


def checkpoint_path(recipe: Recipe) -> Path:
    """Return the file for a recipe, such as `cnn-1f3a5b7c.pth`: another setting, seed or format is another file.

    It lies in `digitlib.storage.own_folder("checkpoints")`.
    """
    settings = FORMAT + json.dumps(asdict(recipe), sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return own_folder("checkpoints") / f"{recipe.name}-{digest}.pth"


def save(
    path: Path | str,
    model: nn.Module,
    recipe: Recipe,
    *,
    history: History | None = None,
    metrics: dict[str, float] | None = None,
) -> None:
    """Write a checkpoint, whole or not at all, see `digitlib.storage.write_whole`.

    Args:
        recipe: how the model was trained; its architecture must be the model's.
        metrics: what else was measured; the history's last validation_accuracy and validation_loss are kept anyway.
    Raises:
        CheckpointError: the file cannot be written, or could not be loaded again: a weight is not a finite number,
            the network is too large or none of the recipe's architecture.
    Taught in notebook 11.
    """
    path, history = Path(path), vars(history if history is not None else History())
    # Tensors are read whole, a list number by number; a number of NumPy's would be pickled as a call.
    lists = {name: value for name, value in history.items() if name != "interrupted"}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in lists.items()}
    last = {name: history[name][-1] for name in ("validation_accuracy", "validation_loss") if history[name]}
    content = {
        "format": FORMAT,
        "version": version("digitlib"),
        "recipe": asdict(recipe),
        "history": history | tensors,
        "metrics": {name: float(value) for name, value in (last | (metrics or {})).items()},
        "state_dict": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
    }
    buffer = io.BytesIO()  # torch words a full disk worse than the operating system does
    torch.save(content, buffer)
    with _refusing(path, "a network that load will take", "train it anew"):
        _restore(buffer.getvalue())
    with _refusing(path, "a file that can be written", _ELSEWHERE):
        _expect_writable(path)
        write_whole(path, buffer.getvalue())


def load(path: Path | str) -> Checkpoint:
    """Read a checkpoint, trusting nothing in it: no code of the file is run, and no more memory taken than it holds.

    Raises:
        CheckpointError: it is missing, damaged, too large, of another kind or architecture, or could run code.
    Taught in notebook 11.
    """
    path = Path(path)
    with _refusing(path, "a checkpoint of digitlib", _ANEW):
        _expect_file(path)
        return _restore(_read(path))


def load_recommended() -> Checkpoint:
    """Load the network that is part of digitlib: of all recipes, it reads strangers' handwriting best."""
    return load(shipped_folder("weights") / f"{RECOMMENDED}.pth")


def load_or_train(recipe: Recipe | str) -> Checkpoint:
    """Return a recipe's trained model: the one that an earlier run kept or that is part of digitlib, or a new one.

    So any notebook can be opened first. A new one is kept. Training takes seconds or minutes, see the results page.

    Raises:
        ValueError: no recipe has that name.
        CheckpointError: the kept file is damaged, or the folder cannot be written (found before training starts).
    Taught in notebook 11.
    """
    if isinstance(recipe, str):
        recipe = recipes.find(recipe)
    path = checkpoint_path(recipe)
    for kept in (path, shipped_folder("weights") / f"{recipe.name}.pth"):
        if kept.exists() and checkpoint_path((checkpoint := load(kept)).recipe) == path:
            return checkpoint
    if path.exists():
        found = "others: the file was renamed; move it away and run again"
        raise CheckpointError(f"{path}: expected the recipe and settings of the file's name, found {found}")
    ensure_writable(path)
    model, history = recipes.train(recipe)
    if history.interrupted:
        raise KeyboardInterrupt(f"training of {recipe.name} was interrupted, nothing was kept")
    save(path, model, recipe, history=history)
    return load(path)


def ensure_writable(path: Path) -> None:
    """Make the folder of path and try a file in it, so that a long training does not end at a closed door.

    Raises:
        CheckpointError: it cannot be written, or path names something else than a new file or an earlier checkpoint.
    """
    with _refusing(path, "a file that can be written", _ELSEWHERE):
        _expect_writable(path)
        folder = path.resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    if path.exists():
        with _refusing(path, "a new name, or a checkpoint", "move it away or name another (--output)"):
            _restore(_read(path))


@contextmanager
def _refusing(path: Path, expected: str, next_step: str) -> Iterator[None]:
    """Say in one line which file an error speaks of, what was expected and what to do next."""
    try:
        yield
    except Exception as error:  # whatever a damaged or hostile file makes its readers raise
        found = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(f"{path}: expected {expected}, found: {found}; {next_step}") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)  # a file may hold more than it says


def _expect_file(path: Path) -> None:
    if not path.is_file():
        there = "a folder" if path.is_dir() else "something that is no ordinary file"
        raise ValueError(there if path.exists() else "no such file")


def _expect_writable(path: Path) -> None:
    """Refuse to replace what is no file, a device for one, or is read-only, though root could."""
    if path.exists():
        _expect_file(path)
        if not (path.stat().st_mode & stat.S_IWUSR and os.access(path, os.W_OK)):
            raise ValueError("a read-only file")


def _restore(data: bytes) -> Checkpoint:
    """Make the checkpoint that a file's bytes describe; each step refuses what it cannot take."""
    _expect_modest(data)
    with warnings.catch_warnings(action="ignore"):
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"another file of torch.save, as a bare state_dict is, where save writes a {FORMAT}")
    weights, history = content["state_dict"], content["history"]
    tensors = [value for value in (*weights.values(), *history.values()) if torch.is_tensor(value)]
    if sum(tensor.nbytes for tensor in tensors) > len(data):  # one number may be repeated, and take no space
        raise ValueError("tensors of more numbers than the file holds")
    known = {field.name for field in fields(Recipe)}  # a later digitlib may add some
    settings = {name: value for name, value in content["recipe"].items() if name in known}
    if len(json.dumps(settings)) > LONGEST_RECIPE:
        raise ValueError(f"a recipe of more than {LONGEST_RECIPE:,} characters")
    recipe = Recipe(**settings)
    with torch.device("meta"):  # takes no memory, whatever sizes the file claims
        model = recipes.build_model(recipe)
    expected = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights, assign=True)
    for name, tensor in model.state_dict().items():
        if tensor.dtype != expected[name]:
            raise ValueError(f"{tensor.dtype} in {name} where {expected[name]} should be")
        if not tensor.isfinite().all():  # such a network would read every picture as the digit 0
            raise ValueError(f"not only finite numbers in {name}: training diverged, lower the learning rate")
    interrupted = history.pop("interrupted", False)
    history = History(**{name: value.tolist() for name, value in history.items()}, interrupted=interrupted)
    metrics = {str(name): float(value) for name, value in content["metrics"].items()}
    return Checkpoint(model.eval(), recipe, history, metrics, str(content["version"]))


def _expect_modest(data: bytes) -> None:
    """Refuse what would take far more time or memory to read than its own bytes, or could run code."""
    if len(data) > LARGEST_FILE or data.count(b"PK\x01\x02") > MOST_RECORDS:  # that announces a record
        raise ValueError(f"more than {LARGEST_FILE:,} bytes, or more than {MOST_RECORDS:,} records")
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("a damaged file or another kind of file, as a plain pickle is, which could run code")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = archive.infolist()
        pickles = [record for record in records if record.filename.lower().endswith("data.pkl")]
        num_bytes = sum(record.file_size for record in records)
        if num_bytes > len(data) or len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
            raise ValueError("an archive of another kind, or one that unpacks to more than its own size")
        if any(record.external_attr & 0x10 for record in records):  # torch would take its content for zeros
            raise ValueError("a damaged file: a record that says it is a folder")
        _expect_plain(archive.read(pickles[0]))
        if damaged := archive.testzip():
            raise ValueError(f"a damaged file: the checksum of {damaged} is another")


def _expect_plain(pickled: bytes) -> None:
    """Refuse a pickle that asks for more than tensors, or holds a list twice: forty such lists hold 2^40 items."""
    before, lists = "", set()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST") and argument not in _NAMES:
            name = re.sub(r"[^\w.]+", ".", str(argument))
            raise ValueError(f"a pickle that could run code ({name}), which was refused")
        if "PUT" in opcode.name and before not in ("GLOBAL", "BINUNICODE"):
            lists.add(argument)
        if "GET" in opcode.name and argument in lists:
            raise ValueError("a pickle that holds a list twice")
        before = opcode.name
