"""The checks of notebook 11: weights that are kept, files that are refused, what a file has to say, pictures."""

import copy  # noqa: F401 (for changes of right answers)
import random
import tempfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from digitlib.checks.calling import Raised
from digitlib.checks.comparing import same
from digitlib.checks.core import describe_value, expect
from digitlib.checks.engine import change, exercise
from digitlib.data import TRAIN_MEAN, TRAIN_STD  # noqa: F401
from digitlib.models import CNN


def _courses():
    """Yield trainings by script: after step k every number in the model is k, and the score is the k-th of a list."""

    def step(model: nn.Module) -> None:
        expect(model[0].bias[0] < 2 * len(scores), "Your answer takes more steps than it was asked for.")
        for tensor in model.state_dict().values():
            tensor += 1

    def score(model: nn.Module) -> float:
        taken = int(model[0].bias[0])
        expect(taken, "`score` is asked before the first step; the untrained network is no candidate.")
        return float(scores[min(taken, len(scores)) - 1])

    for scores in ([3, 9, 2, 5, 4], [8, 1, 7, 2], [1, 2, 5, 6, 9], [-4, -1, -3, -2], [2, 7, 3, 7, 1, 4], [5]):
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        for tensor in model.state_dict().values():
            tensor.zero_()
        yield f"the scores {str(scores)[1:-1]}", (model, step, score, len(scores))


def _watch_course(run, model, step, score, num_steps):
    taken = []
    result = run(model, lambda model: taken.append(step(model)), score, num_steps)
    seen = {"the number of steps that are taken": len(taken)}
    if isinstance(result, dict) and all(isinstance(each, Tensor) for each in result.values()):
        found = sorted({number for each in result.values() for number in each.double().unique().tolist()})
        steps = " and step ".join(f"{each:g}" for each in found)
        seen["the moment that your weights are from"] = f"after step {steps}"
    return seen | {"the result": result}


def _keeps_the_living_ones(model, step, score, num_steps):
    best, best_score = None, float("-inf")
    for _ in range(num_steps):
        step(model)
        new_score = score(model)
        if new_score > best_score:
            best, best_score = model.state_dict(), new_score
    return best


best_weights = exercise(
    "best_weights", given=_courses, blank=_keeps_the_living_ones, returns="a state dict, whose values are tensors",
    right=change(_keeps_the_living_ones, "model.state_dict()", "copy.deepcopy(model.state_dict())"),
    observe=_watch_course,
    passed="A state dict holds the living tensors: whoever keeps it for later keeps a copy of each.", wrong={
        "The weights that you return are those of the last step, whatever its score. Are they kept after a new best "
        "one alone, and in tensors of their own, which training does not change?": _keeps_the_living_ones,
        "Where all scores are negative, nothing is kept: which is the lowest that may count?": ('"-inf"', "0.0"),
    })  # fmt: skip

_RAN: list[int] = []  # grows where a hostile file has its way


class _Surprise:
    def __reduce__(self):
        return exec, ("from digitlib.checks import saving; saving._RAN.append(1)",)


def _files():
    with tempfile.TemporaryDirectory() as folder:
        for case, content in (
            ("weights alone", {"fc.bias": torch.randn(3)}), ("a number and a tensor", [0.13, torch.randn(2)]),
            ("code that would run", {"weights": torch.randn(3), "note": _Surprise()}),
            ("a whole network, as an object of its class", nn.Linear(2, 3)),
            ("a picture, and was renamed", b"\x89PNG\r\n" * 20), ("nothing: it does not exist", None), ("no byte", b""),
            ("the first bytes of such a file, where the rest is lost", b"PK\x03\x04" + bytes(99)),
        ):  # fmt: skip
            path = Path(folder) / f"{random.randrange(10**6)}.pth"
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif content is not None:
                torch.save(content, path)
            yield f"a file that holds {case}", (path,)


def _outcome(run, path, *arguments) -> dict:
    """See whether code of the file runs, and how a call ends: with a value, or one of the errors that torch raises."""
    _RAN.clear()
    content = path.exists() and path.read_bytes()
    try:
        result = run(path, *arguments)
        told = f"`{result}`" if isinstance(result, bool) else describe_value(result)
    except Raised as error:
        told = f"the error {error.kind.split()[0]}"
        if told.split()[-1] not in ("UnpicklingError", "FileNotFoundError", "EOFError", "RuntimeError"):
            raise
    kept = content == (path.exists() and path.read_bytes())
    ran = {"code from the file was kept from running": not _RAN}
    return ran | {"the file is left as it was": kept, "the result": told}


def _guard(path):
    try:
        torch.load(path)
        return True
    except UnpicklingError:
        return False


_LATE = "Code from the file was run while your function looked at it. To load first and look afterwards is too late."
opens_safely = exercise(
    "opens_safely", given=_files, right=_guard, observe=_outcome,
    passed="A refusal is an answer. Every other error stays an error, so that nobody mistakes one for the other.",
    wrong={
        _LATE: ("load(path)", "load(path, weights_only=False)"),
        "A file that is missing, empty or cut off is neither safe nor unsafe: catch only the error of a refusal.": (
            "UnpicklingError", "Exception"),
        "Torch refuses the file, as it should, but your function passes the error on. Catch it, and say `False`.": (
            "return False", "raise"),
    })  # fmt: skip


def _strangers():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stranger.pth"
        for num, dropout in ((1, 0.0), (3, 0.6), (2, 0.0)):
            options = {"hidden_size": random.randint(8, 12), "num_channels": [3, 6], "dropout": dropout}
            model, mean, std = CNN(**options), random.uniform(0.2, 0.4), random.uniform(0.5, 0.7)
            model.fc2.weight.data *= 5  # so that differences show
            content = {"options": options, "state_dict": model.state_dict(), "mean": mean, "std": std}
            torch.save(content | {"note": _Surprise()} if num == 2 else content, path)
            case = f"a network with dropout={dropout}" if num != 2 else "a file that would run code"
            yield case, (path, torch.randint(0, 256, (num, 28, 28), dtype=torch.uint8))


def _read_twice(run, path, raw_images):
    if len(raw_images) == 2:
        return _outcome(run, path, raw_images)
    logits, again = run(path, raw_images), run(path, raw_images)
    return {"two calls with one file give the same logits": same(logits, again, 1e-4), "the result": logits}


def _as_described(path, raw_images):
    file = torch.load(path)
    model = CNN(**file["options"])
    model.load_state_dict(file["state_dict"])
    mean, std = file["mean"], file["std"]
    x = (raw_images[:, None] / 255 - mean) / std
    with torch.no_grad():
        return model.eval()(x)


read_with_file = exercise(
    "read_with_file", given=_strangers, right=_as_described, observe=_read_twice, tolerance=1e-3,
    returns="logits, float32 (N, 10)",
    passed="The file says which network it is and how its images were prepared; you believed it, and ran no code.",
    wrong={
        _LATE: ("load(path)", "load(path, weights_only=False)"),
        "Two calls with one file give different logits: dropout is on. Which mode is the network in?": (".eval()", ""),
        "You return probabilities, or their logarithms; logits were asked for, before any softmax.": [
            ("(x)\n", "(x).softmax(dim=1)\n"), ("(x)\n", "(x).log_softmax(dim=1)\n")],
        "You prepare the images with this course's own mean and standard deviation, or with these images'. This "
        "network was trained with others: the file says which.": [('file["mean"], file["std"]', other) for other in (
            "TRAIN_MEAN, TRAIN_STD", "raw_images.div(255).mean(), raw_images.div(255).std()")],
        "The images are not scaled as the file says: to 0 to 1 first, then by its mean and its deviation, once.": [
            (" / 255", ""), (" - mean) / std", ")")],
        "Mean and standard deviation have changed places.": ("mean, std =", "std, mean ="),
    })  # fmt: skip


def _digits():
    """Yield images for which the ways to centre them differ: heavy in one corner, off the middle."""
    for number in range(1, 9):
        height, width = 5 + number, 13 - number
        down, right = torch.linspace(1, 0, height)[:, None], torch.linspace(1, 0, width)
        ink = (250 * (down * right) ** 3).rot90(2 * random.randrange(2))
        top, left = random.randint(1, 27 - height), random.randint(1, 27 - width)
        image = torch.zeros(28, 28, dtype=torch.uint8)
        image[top : top + height, left : left + width] = ink
        yield f"image {number} of 8", (image,)


def _as_a_move(run, image):
    result = run(image)
    if not isinstance(result, Tensor) or result.shape != image.shape:
        return {"the result": result}
    places = [divmod(each.double().argmax().item(), 28) for each in (image, result)]  # of the brightest pixel
    down, right = ((new - old + 14) % 28 - 14 for old, new in zip(*places))
    moved = same(image.roll((down, right), (0, 1)), result, 1e-9)
    told = f"{down:+} rows and {right:+} columns" if moved else "none"
    kept = {"each pixel is there, as bright as it was, and moved with all others": moved}
    return kept | {"the result": torch.zeros_like(result) if moved else result, "result as a move": told}


def _to_the_middle(image):
    ink, places = image.double(), torch.arange(28)
    down, right = (round(14 - ((ink.sum(dim) * places).sum() / ink.sum()).item()) for dim in (1, 0))
    return image.roll((down, right), (0, 1))


centred = exercise(
    "centred", given=_digits, right=_to_the_middle, observe=_as_a_move, returns="the moved image, uint8 (28, 28)",
    passed="Your picture now lies where MNIST's digits lie, whatever its shape.", wrong={
        "Rows and columns have changed places: the image is moved along the wrong axes.": (
            "(down, right)", "(right, down)"),
        "You put the middle of the box around the ink in the middle; heavy strokes should count for more.": (
            "(ink.sum(dim) * places).sum() / ink.sum()", "ink.sum(dim).nonzero()[[0, -1]].double().mean()"),
        "Weigh each pixel by how bright it is: twice as bright, twice as much.": (
            "image.double()", "(image > 0).double()"),
        "Your result is a pixel off or so: the goal is 14, 14, counted from 0, and shifts are to be rounded.": [
            ("14", "13"), ("14", "15"), ("14", "13.5"), ("round(", "int(")],
    })  # fmt: skip
