"""The command line: digitlib recipes | train | evaluate | predict.

Exit codes: 0, all went well; 1, a picture could not be read, the others could; 2, the command or its input is not
usable; 130, interrupted with Ctrl-C. Errors are one line on stderr; DIGITLIB_DEBUG=1 shows the traceback behind one.
"""

import argparse
import io
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a picture's name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(arguments)
        finally:  # a reader who has gone is noticed here, and not when Python ends
            print(end="", flush=True)
    except KeyboardInterrupt:
        print("digitlib: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("DIGITLIB_DEBUG"):
            raise
        print(f"digitlib: {_one_line(error)}", file=sys.stderr)
        return 2


def _run(arguments: list[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    return options.command(options)


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(
        prog="digitlib", description="Train, test and use networks that read handwritten digits."
    )
    parser.add_argument("--version", action="version", version=f"digitlib {version('digitlib')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(command=None)

    _add_command(commands, recipes, "list the named experiments", "digitlib recipes")

    command = _add_command(
        commands,
        train,
        "train a recipe from scratch and save its checkpoint",
        "digitlib train cnn\n  digitlib train mlp --optimizer sgd --epochs 3 --seed 7 --output mine.pth",
        "With several processes: torchrun --nproc-per-node=2 -m digitlib train best",
    )
    command.add_argument("recipe", metavar="RECIPE", help="a name that `digitlib recipes` lists")
    command.add_argument(
        "--optimizer",
        choices=["adam", "adamw", "sgd"],
        help="another optimizer, at a learning rate that suits it",
    )
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="the highest learning rate")
    command.add_argument("--batch-size", type=int, metavar="N", help="images a step")
    command.add_argument("--epochs", type=int, metavar="N", help="passes over the 55,000 training images")
    command.add_argument("--seed", type=int, metavar="N", help="another seed: other weights, another order")
    command.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="turn, shift and scale each image a little, anew each epoch",
    )
    command.add_argument(
        "--coarsen",
        action=argparse.BooleanOptionalAction,
        help="make a quarter of the images coarse, as pictures of few pixels are",
    )
    command.add_argument(
        "--device", default="cpu", choices=["cpu", "cuda", "mps"], help="where to train (default: cpu)"
    )
    command.add_argument(
        "--bf16", action="store_true", help="multiply in bfloat16: faster where the processor has it"
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="the checkpoint (default: under checkpoints/)"
    )

    command = _add_command(
        commands,
        evaluate,
        "measure a checkpoint on the 10,000 test images",
        "digitlib evaluate checkpoints/cnn-1f3a5b7c.pth\n  digitlib evaluate mine.pth --json",
    )
    command.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="a .pth file that `digitlib train` wrote"
    )
    command.add_argument(
        "--part",
        default="test",
        choices=["train", "validation", "test"],
        help="the images to read (default: test)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    command = _add_command(
        commands,
        predict,
        "read the digit in each picture",
        "digitlib predict photo.jpg\n  digitlib predict *.png --checkpoint mine.pth --json\n"
        "  digitlib predict --number row.jpg",
        "The recipe robust was made for pictures from elsewhere: digitlib train robust --output mine.pth",
    )
    command.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="a picture of one digit, any usual format"
    )
    command.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="a .pth file (default: the recipe cnn, trained now if need be)",
    )
    command.add_argument("--number", action="store_true", help="read a row of digits, from left to right")
    command.add_argument("--json", action="store_true", help="print a JSON list, one object a picture")
    return parser


def recipes(options: argparse.Namespace) -> int:
    """List the named experiments."""
    from digitlib.models import count_parameters
    from digitlib.recipes import RECIPES, build_model

    print(f"{'recipe':<8} {'parameters':>10} {'optimizer':<10} {'rate':>6} {'batch':>6} {'epochs':>6}  title")
    for recipe in RECIPES.values():
        parameters = count_parameters(build_model(recipe))
        print(
            f"{recipe.name:<8} {parameters:>10,} {recipe.optimizer:<10} {recipe.learning_rate:>6g} "
            f"{recipe.batch_size:>6} {recipe.num_epochs:>6}  {recipe.title}"
        )
    return 0


def train(options: argparse.Namespace) -> int:
    """Train a recipe from scratch, save its checkpoint and say how well it does on the validation images."""
    from digitlib import checkpoints, distributed
    from digitlib import recipes as experiments

    recipe = experiments.change(
        experiments.find(options.recipe),
        optimizer=options.optimizer,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        num_epochs=options.epochs,
        seed=options.seed,
        augment=options.augment,
        coarsen=options.coarsen,
    )
    _expect_device(options.device)
    path = options.output or checkpoints.checkpoint_path(recipe)
    checkpoints.ensure_writable(path)
    announcement = f"training {recipe.name}: {recipe.title}, {recipe.num_epochs} epochs, seed {recipe.seed}"
    if distributed.num_processes() > 1:
        return _train_together(recipe, path, announcement, options)
    print(announcement, flush=True)
    start = time.perf_counter()
    model, history = experiments.train(recipe, device=options.device, bf16=options.bf16)
    seconds = time.perf_counter() - start
    if len(history) == 0:
        raise KeyboardInterrupt
    metrics = {
        "validation_accuracy": history.validation_accuracy[-1],
        "validation_loss": history.validation_loss[-1],
        "seconds": seconds,
    }
    if history.interrupted:  # never in the place of a finished one
        path = path.with_name(f"{path.stem}-interrupted{path.suffix}")
    checkpoints.save(path, model, recipe, history=history, metrics=metrics)
    print(
        f"validation accuracy {metrics['validation_accuracy']:.2%} after {len(history)} epochs, {seconds:.1f} s"
    )
    print(f"saved {path}")
    if history.interrupted:
        print(f"digitlib: interrupted after {len(history)} of {recipe.num_epochs} epochs", file=sys.stderr)
        return 130
    return 0


def _train_together(recipe, path: Path, announcement: str, options: argparse.Namespace) -> int:
    """Train as one of the processes that torchrun has started; process 0 prints, and keeps each finished epoch."""
    from digitlib import checkpoints, distributed

    writer, start = distributed.rank() == 0, time.perf_counter()
    unfinished = path.with_name(
        f"{path.stem}-interrupted{path.suffix}"
    )  # never in the place of a finished one
    if writer:
        unfinished.unlink(missing_ok=True)  # one of an earlier training
        print(f"{announcement}, {distributed.num_processes()} processes", flush=True)

    def keep(model, history) -> None:
        metrics = {
            "validation_accuracy": history.validation_accuracy[-1],
            "validation_loss": history.validation_loss[-1],
            "seconds": time.perf_counter() - start,
        }
        last = len(history) == recipe.num_epochs
        checkpoints.save(path if last else unfinished, model, recipe, history=history, metrics=metrics)
        if last:
            unfinished.unlink(missing_ok=True)
            print(
                f"validation accuracy {metrics['validation_accuracy']:.2%} after {len(history)} epochs, "
                f"{metrics['seconds']:.1f} s\nsaved {path}"
            )

    try:
        distributed.train(recipe, device=options.device, bf16=options.bf16, after_epoch=keep)
    except (distributed.ProcessLost, KeyboardInterrupt) as error:
        kept = "no epoch was finished, nothing is kept"
        if unfinished.exists():
            num_epochs = len(checkpoints.load(unfinished).history)
            kept = f"{num_epochs} of {recipe.num_epochs} epochs are kept in {unfinished}"
        raise type(error)(f"{error or 'interrupted'}; {kept}; start the training again") from error
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a checkpoint on one part, by default the test images."""
    from digitlib.checkpoints import load
    from digitlib.data import load_part
    from digitlib.evaluation import confusion_matrix, measure, predict_logits, report

    checkpoint = load(options.checkpoint)
    images, labels = load_part(options.part)
    logits = predict_logits(checkpoint.model, images)
    measured = measure(logits, labels)
    scores = report(confusion_matrix(labels, logits.argmax(dim=1)))
    low, high = measured.interval
    if options.json:
        result = {
            "checkpoint": str(options.checkpoint),
            "recipe": checkpoint.recipe.name,
            "part": options.part,
            "num_images": measured.num_images,
            "num_correct": measured.num_correct,
            "accuracy": measured.accuracy,
            "interval": [low, high],
            "loss": measured.loss,
            "macro_precision": scores.macro_precision,
            "macro_recall": scores.macro_recall,
            "macro_f1": scores.macro_f1,
        }
        print(json.dumps(result, indent=2, allow_nan=False))
        return 0
    print(f"{options.checkpoint}: recipe {checkpoint.recipe.name}, {options.part} images")
    print(f"accuracy {measured.accuracy:.2%} ({measured.num_correct:,} of {measured.num_images:,} right)")
    print(f"95% interval {low:.2%} to {high:.2%}, loss {measured.loss:.4f}")
    print("digit  precision  recall     F1  images")
    for digit in range(len(scores.support)):
        print(
            f"{digit:>5}  {scores.precision[digit]:>9.4f}  {scores.recall[digit]:.4f}  {scores.f1[digit]:.4f}  "
            f"{scores.support[digit]:>6,}"
        )
    print(f"macro  {scores.macro_precision:>9.4f}  {scores.macro_recall:.4f}  {scores.macro_f1:.4f}")
    return 0


def predict(options: argparse.Namespace) -> int:
    """Read the digit, or the number, in each picture; one that cannot be read is named on stderr, the others go on."""
    from digitlib import checkpoints
    from digitlib import predict as reader

    if options.checkpoint is not None:
        checkpoint = checkpoints.load(options.checkpoint)
    else:
        if not checkpoints.checkpoint_path(checkpoints.recipes.find("cnn")).exists():
            print("digitlib: no network yet: training the recipe cnn once (under a minute)", file=sys.stderr)
        checkpoint = checkpoints.load_or_train("cnn")
    results = []
    for path in options.images:
        try:
            if options.number:
                predictions = reader.predict_number(checkpoint.model, path)
            else:
                predictions = [reader.predict(checkpoint.model, path)]
        except reader.ImageError as error:
            print(f"digitlib: {_one_line(error)}", file=sys.stderr)
            results.append({"image": str(path), "error": _one_line(error)})
            continue
        digits = [
            {
                "digit": prediction.digit,
                "probabilities": [round(float(p), 6) for p in prediction.probabilities],
            }
            for prediction in predictions
        ]
        if options.number:
            number = "".join(str(digit["digit"]) for digit in digits)
            results.append({"image": str(path), "number": number, "digits": digits})
            if not options.json:
                shares = "  ".join(f"{d['digit']}: {d['probabilities'][d['digit']]:.1%}" for d in digits)
                print(f"{path}: {number}\n  {shares}")
            continue
        results.append({"image": str(path), **digits[0]})
        if not options.json:
            digit, probabilities = digits[0]["digit"], digits[0]["probabilities"]
            print(f"{path}: {digit} (probability {probabilities[digit]:.1%})")
            print("  " + "  ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(probabilities)))
    if options.json:
        print(json.dumps(results, indent=2, allow_nan=False))
    return 1 if any("error" in result for result in results) else 0


def _add_command(commands, function, summary: str, example: str, note: str = "") -> argparse.ArgumentParser:
    command = commands.add_parser(
        function.__name__,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {note}".strip(),
        epilog=f"examples:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=function)
    return command


def _expect_device(device: str) -> None:
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[device]:
        found = ", ".join(name for name, there in available.items() if there)
        raise ValueError(f"expected a device of this machine ({found}), got {device!r}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        text
        if isinstance(error, (ValueError, RuntimeError, OSError)) and text
        else f"{type(error).__name__}: {text}"
    )


if __name__ == "__main__":
    sys.exit(main())
