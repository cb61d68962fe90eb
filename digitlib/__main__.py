"""The command line: digitlib recipes | train | evaluate | predict.

Exit codes: 0, all went well; 1, some picture could not be read, or the output not be written; 2, the command or its
input is not usable; 130, interrupted with Ctrl-C. Errors are one line on stderr; DIGITLIB_DEBUG=1 shows the traceback.

Functions import what they need: before main() runs Ctrl-C is Python's own, so little may happen up to there.
"""

import argparse
import io
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path


class OutputLost(OSError):
    """What was printed cannot be written, to a full disk for one."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command, by default the one that this process was started for, and return its exit code."""
    if arguments is None:  # else the process is somebody else's, and stays as it is
        # Threads that wait shall sleep: by default they spin, and beside one busy program training takes many times
        # as long. torch reads this when it is imported.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # ignored where started with &
            signal.signal(signal.SIGINT, _end_at_once)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a picture's name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            options = build_parser().parse_args(arguments)
            return options.command(options)
        finally:
            _flush()
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        return 0
    except Exception as error:
        if os.environ.get("DIGITLIB_DEBUG"):
            raise
        _complain(_one_line(error))
        return 1 if isinstance(error, OutputLost) else 2


def _end_at_once(number, frame) -> None:
    """Answer Ctrl-C where nothing can be lost; a KeyboardInterrupt amid an import shows a traceback, or is ignored."""
    with suppress(OSError):
        os.write(2, b"digitlib: interrupted\n")
    os._exit(130)


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, on which training keeps its finished epochs; they are saved undisturbed."""
    own_process = signal.getsignal(signal.SIGINT) is _end_at_once
    if own_process:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if own_process:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _flush() -> None:
    """Write out what was printed; what cannot be written is dropped, or Python would complain of it at its end."""
    try:
        print(end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputLost(f"expected to write the output, found: {error.strerror}") from error


def _complain(text: str) -> None:
    if sys.stderr is not None:  # closed; print would then take stdout
        print(f"digitlib: {text}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    from importlib.metadata import version

    about = "Train, test and use networks that read handwritten digits."
    parser = argparse.ArgumentParser(prog="digitlib", description=about)
    parser.add_argument("--version", action="version", version=f"digitlib {version('digitlib')}")
    parser.set_defaults(command=lambda options: parser.print_help() or 2)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_command(commands, recipes, "digitlib recipes")

    examples = "digitlib train cnn", "digitlib train mlp --optimizer sgd --epochs 3 --output mine.pth"
    add = _add_command(commands, train, *examples, "torchrun --nproc-per-node=2 -m digitlib train best")
    switch = argparse.BooleanOptionalAction
    add("recipe", metavar="RECIPE", help="a name that `digitlib recipes` lists")
    add("--optimizer", choices=["adam", "adamw", "sgd"], help="another one, at a learning rate that suits it")
    add("--learning-rate", type=float, metavar="RATE", help="the highest learning rate")
    add("--batch-size", type=int, metavar="N", help="images a step")
    add("--epochs", dest="num_epochs", type=int, metavar="N", help="passes over the 55,000 training images")
    add("--seed", type=int, metavar="N", help="another seed: other weights, another order")
    add("--augment", action=switch, help="turn, shift and scale each image a little, anew each epoch")
    add("--flags", type=float, metavar="SHARE", help="draw a flag on this share of the 1s")
    add("--roughen", type=float, metavar="SHARE", help="make this share of the images hard to read")
    add("--device", default="cpu", choices=["cpu", "cuda", "mps"], help="where to train (default: cpu)")
    add("--output", type=Path, metavar="FILE", help="the checkpoint (default: named after the recipe)")

    examples = "digitlib evaluate checkpoints/cnn-1f3a5b7c.pth", "digitlib evaluate mine.pth --json"
    add = _add_command(commands, evaluate, *examples)
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="a .pth file that `digitlib train` wrote")
    parts = "the images (default: validation; the test images are for the end, when nothing is to be chosen any more)"
    add("--part", default="validation", choices=["train", "validation", "test"], help=parts)
    add("--json", action="store_true", help="print one JSON object instead of a table")

    examples = "digitlib predict photo.jpg", "digitlib predict *.png --checkpoint mine.pth --json"
    add = _add_command(commands, predict, *examples, "digitlib predict --number row.jpg")
    network = "a .pth file (default: the recommended network, of the recipe best, which is part of digitlib)"
    add("images", nargs="+", type=Path, metavar="IMAGE", help="a picture of one digit, any usual format")
    add("--checkpoint", type=Path, metavar="FILE", help=network)
    add("--number", action="store_true", help="read a row of digits, from left to right")
    add("--json", action="store_true", help="print a JSON list, one object a picture")
    return parser


def _add_command(commands, function: Callable, *examples: str) -> Callable:
    """Add a command that the function's docstring describes; return the function that adds its options."""
    text = function.__doc__ or ""  # python -OO leaves docstrings out
    about = {"help": text[:1].lower() + text[1:].rstrip("."), "description": text}
    about |= {"epilog": "\n  ".join(["examples:", *examples])}
    plain = argparse.RawDescriptionHelpFormatter  # leaves the lines of the examples as they are
    command = commands.add_parser(function.__name__, formatter_class=plain, **about)
    command.set_defaults(command=function)
    return command.add_argument


def recipes(options: argparse.Namespace) -> int:
    """List the named experiments."""
    from digitlib.models import count_parameters
    from digitlib.recipes import RECIPES, build_model

    width = max(map(len, ["recipe", *RECIPES]))
    print(f"{'recipe':<{width}}  parameters  optimizer    rate  batch  epochs  title")
    for recipe in RECIPES.values():
        size = count_parameters(build_model(recipe))
        settings = f"{recipe.learning_rate:>6g}  {recipe.batch_size:>5}  {recipe.num_epochs:>6}"
        print(f"{recipe.name:<{width}}  {size:>10,}  {recipe.optimizer:<9}  {settings}  {recipe.title}")
    return 0


def train(options: argparse.Namespace) -> int:
    """Train a recipe from scratch and save its checkpoint."""
    from digitlib import checkpoints, distributed
    from digitlib import recipes as experiments

    names = "optimizer", "learning_rate", "batch_size", "num_epochs", "seed", "augment", "flags", "roughen"
    settings = {name: getattr(options, name) for name in names}
    recipe = experiments.change(experiments.find(options.recipe), **settings)
    _expect_device(options.device)
    path = options.output or checkpoints.checkpoint_path(recipe)
    if not path.name:  # an empty name, or the folder of all folders
        raise ValueError(f"expected a checkpoint's name, as in --output mine.pth, got {str(path)!r}")
    unfinished = path.with_stem(f"{path.stem}-interrupted")  # never in the place of a finished one
    for each in (path, unfinished):
        checkpoints.ensure_writable(each)
    processes = distributed.num_processes()
    if distributed.rank() == 0:
        about = f"{recipe.title}, {recipe.num_epochs} epochs, seed {recipe.seed}"
        together = f", {processes} processes" if processes > 1 else ""
        print(f"training {recipe.name}: {about}{together}", flush=True)
    # With it come a thousand modules of torch that training needs; imported later, some swallow a KeyboardInterrupt.
    import torchvision.datasets  # noqa: F401

    start = time.perf_counter()
    if processes > 1:
        model, history = _train_together(recipe, options.device, unfinished, start)
    else:
        with _stopped_by_ctrl_c():
            model, history = experiments.train(recipe, device=options.device)
    if len(history) == 0:
        raise KeyboardInterrupt
    if distributed.rank() == 0:
        print(_save(unfinished if history.interrupted else path, recipe, start, model, history))
        if processes > 1:
            unfinished.unlink(missing_ok=True)
    if history.interrupted:
        raise KeyboardInterrupt(f"interrupted after {len(history)} of {recipe.num_epochs} epochs")
    return 0


def _train_together(recipe, device: str, unfinished: Path, start: float) -> tuple:
    """Train as one of the processes that torchrun has started; process 0 keeps each finished epoch."""
    from digitlib import checkpoints, distributed

    earlier = unfinished.exists() and unfinished.stat().st_mtime_ns  # that of another training
    keep = partial(_save, unfinished, recipe, start)
    try:
        with _stopped_by_ctrl_c():
            return distributed.train(recipe, device=device, after_epoch=keep)
    except (distributed.ProcessLost, KeyboardInterrupt) as error:
        kept = "no epoch was finished, nothing is kept"
        if unfinished.exists() and unfinished.stat().st_mtime_ns != earlier:
            num_epochs = len(checkpoints.load(unfinished).history)
            kept = f"{num_epochs} of {recipe.num_epochs} epochs are kept in {unfinished}"
        raise type(error)(f"{str(error) or 'interrupted'}; {kept}; start the training again") from error


def _save(path: Path, recipe, start: float, model, history) -> str:
    """Save the checkpoint with what was measured, and return the words that say so."""
    from digitlib import checkpoints

    seconds = time.perf_counter() - start
    checkpoints.save(path, model, recipe, history=history, metrics={"seconds": seconds})
    accuracy = f"validation accuracy {history.validation_accuracy[-1]:.2%}"
    return f"{accuracy} after {len(history)} epochs, {seconds:.1f} s\nsaved {path}"


def evaluate(options: argparse.Namespace) -> int:
    """Measure a checkpoint on one part, by default the 5,000 validation images."""
    from digitlib.checkpoints import load
    from digitlib.data import load_part, load_writers
    from digitlib.evaluation import confusion_matrix, measure, predict_logits, report, writers_interval

    path, checkpoint, part = options.checkpoint, load(options.checkpoint), options.part
    if part == "test":
        _complain("a choice made by this number makes it too good; choose by validation")
    images, labels = load_part(part)
    logits = predict_logits(checkpoint.model, images)
    measured, predictions = measure(logits, labels), logits.argmax(dim=1)
    if not math.isfinite(measured.loss):
        raise ValueError(f"{path}: expected finite logits, got a loss of {measured.loss}; train it anew")
    low, high = writers_interval(predictions == labels, load_writers(part)[0])
    scores = report(confusion_matrix(labels, predictions))
    macro = {name: getattr(scores, name) for name in ("macro_precision", "macro_recall", "macro_f1")}
    if options.json:
        about = {"checkpoint": str(path), "recipe": checkpoint.recipe.name, "part": part}
        found = about | vars(measured) | {"interval_over_writers": (low, high)} | macro
        print(json.dumps(found, indent=2, allow_nan=False))
        return 0
    print(f"{path}: recipe {checkpoint.recipe.name}, {part} images")
    print(f"accuracy {measured.accuracy:.2%} ({measured.num_correct:,} of {measured.num_images:,} right)")
    print(f"95% interval for new writers {low:.2%} to {high:.2%}, loss {measured.loss:.4f}")
    print("digit  precision  recall     F1  images")
    for digit, row in enumerate(zip(scores.precision, scores.recall, scores.f1, scores.support)):
        print("{:>5}  {:>9.4f}  {:.4f}  {:.4f}  {:>6,}".format(digit, *row))
    print("macro  {:>9.4f}  {:.4f}  {:.4f}".format(*macro.values()))
    return 0


def predict(options: argparse.Namespace) -> int:
    """Read the digit in each picture."""
    from digitlib import checkpoints
    from digitlib import predict as reader

    named, results = options.checkpoint, []
    model = (checkpoints.load(named) if named else checkpoints.load_recommended()).model
    for path in options.images:
        try:
            guesses = reader.predict_number(model, path) if options.number else [reader.predict(model, path)]
        except Exception as error:  # whatever it is, the other pictures are read none the less
            which = "" if isinstance(error, reader.ImageError) else f"{path}: "
            found = which + _one_line(error)
            _complain(found)
            results.append({"image": str(path), "error": found})
            continue
        digits = [
            {"digit": g.digit, "probabilities": [round(p, 6) for p in g.probabilities], "sure": g.is_sure}
            for g in guesses
        ]
        number = "".join(str(guess.digit) for guess in guesses)
        found = {"number": number, "digits": digits} if options.number else digits[0]
        results.append({"image": str(path), **found})
        if not options.json:
            print(f"{path}: {_as_text(guesses, options.number)}", flush=True)
    if options.json:
        print(json.dumps(results, indent=2, allow_nan=False))
    return 1 if any("error" in result for result in results) else 0


def _as_text(guesses: list, is_number: bool) -> str:
    """Return the answer, its shares and, where the network is not sure of a digit, the second guess."""
    answer, doubts = "".join(str(guess.digit) for guess in guesses), []
    shares = [(guess.digit, max(guess.probabilities)) for guess in guesses]
    if not is_number:
        answer, shares = f"{answer} (probability {shares[0][1]:.1%})", enumerate(guesses[0].probabilities)
    for place, guess in enumerate(guesses, 1):
        if not guess.is_sure:
            which, share = f"digit {place}" if is_number else "it", guess.probabilities[guess.second]
            doubts.append(f"{which} may also be {guess.second} ({share:.1%})")
    lines = [answer, "  ".join(f"{digit}: {share:.1%}" for digit, share in shares)]
    return "\n  ".join(lines + (["not sure: " + ", ".join(doubts)] if doubts else []))


def _expect_device(device: str) -> None:
    import torch

    is_there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not is_there[device]:
        found = ", ".join(filter(is_there.get, is_there))
        raise ValueError(f"expected a device of this machine ({found}), got {device!r}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    explained = text and isinstance(error, (ValueError, RuntimeError, OSError))
    return text if explained else f"{type(error).__name__}: {text}".removesuffix(": ")


if __name__ == "__main__":
    sys.exit(main())
