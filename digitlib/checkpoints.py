"""Keep a trained network: save, load, and load what was trained earlier or train it now.

A checkpoint is one `.pth` file: the weights with the recipe that made them, what was measured, and the library's
version. It is read with `weights_only=True`, so that a file from a stranger can be refused, but cannot run anything.
"""

import hashlib
import io
import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from digitlib import recipes
from digitlib.recipes import Recipe
from digitlib.training import History

FORMAT = "digitlib checkpoint 1"
_KEYS = {"format", "version", "recipe", "history", "metrics", "state_dict"}


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, of another kind or cannot be written; the message says what to do next."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and what is known of it.

    Attributes:
        model: on the CPU, in evaluation mode.
        recipe: how it was trained.
        history: its training record.
        metrics: what was measured after training, by name, for example {"validation_accuracy": 0.98}.
        version: the digitlib that wrote it.
    """

    model: nn.Module
    recipe: Recipe
    history: History
    metrics: dict[str, float]
    version: str


def checkpoint_folder() -> Path:
    """Return where checkpoints are kept: $DIGITLIB_CHECKPOINTS if it is set, else the repository's `checkpoints/`."""
    default = Path(__file__).resolve().parents[1] / "checkpoints"
    return Path(os.environ.get("DIGITLIB_CHECKPOINTS") or default).expanduser()


def checkpoint_path(recipe: Recipe, folder: Path | str | None = None) -> Path:
    """Return the file for a recipe, such as `cnn-1f3a5b7c.pth`: another setting or seed is another file."""
    settings = json.dumps(asdict(recipe), sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return Path(folder or checkpoint_folder()) / f"{recipe.name}-{digest}.pth"


def save(
    path: Path | str,
    model: nn.Module,
    recipe: Recipe,
    *,
    history: History | None = None,
    metrics: dict[str, float] | None = None,
) -> None:
    """Write a checkpoint, whole or not at all: an earlier file at that path stays until the new one is complete.

    Args:
        path: ends in .pth by custom; its folder is made where it is missing.
        recipe: how the model was trained; its architecture must be the model's.
    Raises:
        CheckpointError: the folder cannot be written, or a weight is not a finite number.
    Taught in notebook 11.
    """
    path = Path(path)
    _expect_finite(path, model.state_dict())
    content = {
        "format": FORMAT,
        "version": version("digitlib"),
        "recipe": asdict(recipe),
        "history": asdict(History() if history is None else history),  # one without epochs counts as false
        # NumPy's numbers would be pickled as calls, which load refuses.
        "metrics": {name: float(value) for name, value in (metrics or {}).items()},
        "state_dict": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
    }
    buffer = io.BytesIO()  # torch words a full disk worse than the operating system does
    torch.save(content, buffer)
    with _writing(path):
        _try_folder(path)
        # A folder aside, not a file of tempfile's, which nobody but its owner could read.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as aside:
            complete = Path(aside) / path.name
            complete.write_bytes(buffer.getbuffer())
            os.replace(complete, path)


def load(path: Path | str, *, architecture: str | None = None) -> Checkpoint:
    """Read a checkpoint, trusting nothing in it: no code of the file is run.

    Args:
        architecture: "mlp", "cnn" or "rnn", where only that one will do.
    Raises:
        CheckpointError: the file is missing, truncated, no checkpoint of digitlib, holds a pickle that could run
            code, or holds another architecture than it says or than you ask for.
    Taught in notebook 11.
    """
    path = Path(path)
    content = _read(path)
    try:
        settings = {
            key: value for key, value in content["recipe"].items() if key in {f.name for f in fields(Recipe)}
        }
        recipe = Recipe(**settings)
        with torch.device("meta"):  # takes no memory, whatever sizes the file claims
            model = recipes.build_model(recipe)
        _check_weights(path, model, content["state_dict"])
        model.load_state_dict(content["state_dict"], assign=True)
        history, metrics = History(**content["history"]), content["metrics"]
        _check_numbers(history, metrics)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a stranger's settings make the constructors raise
        raise CheckpointError(
            f"{path}: expected a recipe, a history and metrics that this digitlib knows, found: {_one_line(error)}; "
            f"{_RETRAIN}"
        ) from error
    if architecture is not None and recipe.model != architecture:
        raise CheckpointError(
            f"{path}: expected a checkpoint of the architecture {architecture!r}, found {recipe.model!r} (recipe "
            f"{recipe.name!r}); {_RETRAIN}"
        )
    return Checkpoint(model.eval(), recipe, history, metrics, str(content["version"]))


def load_or_train(
    recipe: Recipe | str, *, folder: Path | str | None = None, progress: bool | None = None
) -> Checkpoint:
    """Return the recipe's trained model: the one that an earlier run kept, or one trained now, and kept.

    So any notebook can be opened first. Training takes from seconds to a minute, see the results page.

    Args:
        recipe: a recipe, or the name of one.
        folder: `checkpoint_folder()` by default.
    Raises:
        ValueError: no recipe has that name.
        CheckpointError: the kept file is damaged, or the folder cannot be written (found before training starts).
    Taught in notebook 11.
    """
    if isinstance(recipe, str):
        recipe = recipes.find(recipe)
    path = checkpoint_path(recipe, folder)
    if path.exists():
        checkpoint = load(path, architecture=recipe.model)
        if checkpoint_path(checkpoint.recipe, folder) != path:
            raise CheckpointError(
                f"{path}: expected the recipe {recipe.name!r} with the settings that the file's name stands for, found "
                f"{checkpoint.recipe.name!r} with others: the file was renamed; move it away and run again"
            )
        return checkpoint
    ensure_writable(path)
    model, history = recipes.train(recipe, progress=progress)
    if history.interrupted:
        raise KeyboardInterrupt(f"training of {recipe.name} was interrupted, nothing was kept")
    metrics = {
        "validation_accuracy": history.validation_accuracy[-1],
        "validation_loss": history.validation_loss[-1],
    }
    save(path, model, recipe, history=history, metrics=metrics)
    return Checkpoint(model.eval(), recipe, history, metrics, version("digitlib"))


def ensure_writable(path: Path) -> None:
    """Make the folder of path and try a file in it, so that a long training does not end at a closed door.

    Raises:
        CheckpointError: it cannot be written.
    """
    with _writing(path):
        _try_folder(path)


def _try_folder(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saving-"):
        pass


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says of a file that cannot be written into words for a student."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected to write a checkpoint, found: {error}; {_ELSEWHERE}"
        ) from error


_RETRAIN = "train it anew with `digitlib train RECIPE`, or name another file"
_ELSEWHERE = "make room, name another file (--output), or set DIGITLIB_CHECKPOINTS to a folder of your own"


def _read(path: Path) -> dict:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"{path}: expected a checkpoint, found {found}; {_RETRAIN}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a file that can be read, found: {error.strerror or error}; {_RETRAIN}"
        ) from error
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch finds odd in a file is said below
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes the unpickler raise
        raise CheckpointError(
            f"{path}: expected a checkpoint of digitlib, found {_reason(error, data)} ({len(data):,} bytes); {_RETRAIN}"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not content.keys() >= _KEYS:
        raise CheckpointError(
            f"{path}: expected a checkpoint with {', '.join(sorted(_KEYS))}, found "
            f"{_describe(content)}; digitlib.checkpoints.save writes one"
        )
    return content


def _check_weights(path: Path, model: nn.Module, state_dict: dict) -> None:
    """Compare names, shapes and dtypes before torch does, in words a student can use."""
    if not isinstance(state_dict, dict) or not all(map(_is_plain_tensor, state_dict.values())):
        raise CheckpointError(
            f"{path}: expected the weights of {type(model).__name__} as tensors, found something else; {_RETRAIN}"
        )
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state_dict.items()}
    if expected != found:
        names = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        name = names[0]
        raise CheckpointError(
            f"{path}: expected the weights of {type(model).__name__}, found another architecture: {name} is "
            f"{_shape(found, name)} where {_shape(expected, name)} should be; {_RETRAIN}"
        )
    _expect_finite(path, state_dict)


def _is_plain_tensor(value: object) -> bool:
    """Refuse sparse tensors, those without numbers, and those that claim more numbers than the file holds."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and not value.is_meta
        and value.untyped_storage().nbytes() >= value.nbytes
    )


def _expect_finite(path: Path, state_dict: dict) -> None:
    """Refuse a network that would answer with "not a number", which is read as the digit 0."""
    for name, tensor in state_dict.items():
        if not tensor.isfinite().all():
            raise CheckpointError(
                f"{path}: expected weights that are finite numbers, found others in {name}: its training diverged; "
                "train it anew with a smaller learning rate"
            )


def _check_numbers(history: History, metrics: dict) -> None:
    lists = [value for name, value in vars(history).items() if name != "interrupted"]
    if not all(isinstance(numbers, list) for numbers in lists) or not isinstance(metrics, dict):
        raise ValueError("a history without lists, or metrics without names")
    if not all(
        isinstance(number, float | int) for numbers in [*lists, metrics.values()] for number in numbers
    ):
        raise ValueError("a history or metrics with something else than numbers")


def _shape(weights: dict, name: str) -> str:
    return "{0} of {1}".format(*reversed(weights[name])) if name in weights else "nothing"


def _reason(error: Exception, data: bytes) -> str:
    """Tell a pickle that asks for code from a file that is merely damaged."""
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    if wanted:
        return f"a pickle that could run code ({wanted[1]}), which was refused"
    if data.startswith(b"\x80"):
        return "a plain pickle, which could run code and was refused"
    return "a damaged file or one of another kind"


def _describe(content: object) -> str:
    if isinstance(content, dict) and content and all(map(torch.is_tensor, content.values())):
        return "a bare state_dict, without the recipe that made it"
    return f"something else, of type {type(content).__name__}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
