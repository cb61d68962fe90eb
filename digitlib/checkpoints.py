"""Keep a trained network: save, load, and load what was trained earlier or train it now.

A checkpoint is one `.pth` file: the weights with the recipe that made them, what was measured, and the library's
version. It is read with `weights_only=True`, so that a file from a stranger can be refused, but cannot run anything.
"""

import hashlib
import json
import os
import tempfile
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
        CheckpointError: the folder cannot be written.
    Taught in notebook 11.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "version": version("digitlib"),
        "recipe": asdict(recipe),
        "history": asdict(history or History()),
        "metrics": dict(metrics or {}),
        "state_dict": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
    }
    aside = None
    try:
        ensure_writable(path)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saving-", delete=False) as file:
            aside = Path(file.name)
            torch.save(content, file)
        os.replace(aside, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(
            f"{path}: expected to write a checkpoint, found: {error}; {_ELSEWHERE}"
        ) from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


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
        history = History(**content["history"])
    except CheckpointError:
        raise
    except (TypeError, ValueError, AttributeError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path}: expected the settings of a recipe that this digitlib knows, found: {_one_line(error)}; {_RETRAIN}"
        ) from error
    if architecture is not None and recipe.model != architecture:
        raise CheckpointError(
            f"{path}: expected a checkpoint of the architecture {architecture!r}, found {recipe.model!r} (recipe "
            f"{recipe.name!r}); {_RETRAIN}"
        )
    return Checkpoint(model.eval(), recipe, history, content["metrics"], str(content["version"]))


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
        return load(path, architecture=recipe.model)
    try:
        ensure_writable(path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected to write a checkpoint, found: {error}; {_ELSEWHERE}"
        ) from error
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
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saving-"):
        pass


_RETRAIN = "train it anew with `digitlib train RECIPE`, or name another file"
_ELSEWHERE = "make room, name another file, or set DIGITLIB_CHECKPOINTS to a folder of your own"


def _read(path: Path) -> dict:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"{path}: expected a checkpoint, found {found}; {_RETRAIN}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a file that can be read, found: {error.strerror}; {_RETRAIN}"
        ) from error
    except Exception as error:  # whatever a damaged or hostile file makes the unpickler raise
        reason = "a pickle that could run code, which was refused" if _is_refusal(error) else "a damaged file"
        raise CheckpointError(
            f"{path}: expected a checkpoint of digitlib, found {reason} ({path.stat().st_size:,} bytes); {_RETRAIN}"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not content.keys() >= _KEYS:
        raise CheckpointError(
            f"{path}: expected a checkpoint with {', '.join(sorted(_KEYS))}, found "
            f"{_describe(content)}; digitlib.checkpoints.save writes one"
        )
    return content


def _check_weights(path: Path, model: nn.Module, state_dict: dict) -> None:
    """Compare names, shapes and dtypes before torch does, in words a student can use."""
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


def _shape(weights: dict, name: str) -> str:
    return "{0} of {1}".format(*reversed(weights[name])) if name in weights else "nothing"


def _is_refusal(error: Exception) -> bool:
    return "weights_only" in str(error) or "Weights only" in str(error) or "Unsupported" in str(error)


def _describe(content: object) -> str:
    if isinstance(content, dict) and all(isinstance(value, torch.Tensor) for value in content.values()):
        return "a bare state_dict, without the recipe that made it"
    return f"a {type(content).__name__} of another kind"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
