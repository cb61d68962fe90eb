"""The checks of notebook 11: weights that are kept, files that are refused, what a file has to say, pictures."""

import copy  # noqa: F401 (for changes of right answers)
import random
import tempfile
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.calling import Raised
from digitlib.checks.comparing import same
from digitlib.checks.core import describe_value, expect
from digitlib.checks.engine import change, exercise
from digitlib.data import TRAIN_MEAN, TRAIN_STD  # noqa: F401
from digitlib.models import CNN


class _Course:
    """A training by script: after step k every number in the model is k, and the score is the k-th of a list."""

    def __init__(self, scores: list[int]):
        self.model, self.scores, self.taken = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), scores, -1
        self.step(self.model)

    def step(self, model: nn.Module) -> None:
        expect(model is self.model, "`step` should be called with the model that your function was given.")
        expect(self.taken < 2 * len(self.scores), "Your answer takes more steps than it was asked for.")
        self.taken += 1
        for tensor in model.state_dict().values():
            tensor.fill_(self.taken)

    def score(self, model: nn.Module) -> float:
        expect(self.taken, "`score` is asked before the first step; the untrained network is no candidate.")
        return float(self.scores[min(int(model[0].bias[0]), len(self.scores)) - 1])


def _courses():
    for scores in ([3, 9, 2, 5, 4], [8, 1, 7, 2], [1, 2, 5, 6, 9], [-4, -1, -3, -2], [2, 7, 3, 7, 1, 4], [5]):
        course = _Course(scores)
        yield f"the scores {str(scores)[1:-1]}", (course.model, course.step, course.score, len(scores))


def _watch_course(run, model, step, score, num_steps):
    result = run(model, step, score, num_steps)
    if not isinstance(result, dict) or not all(isinstance(each, Tensor) for each in result.values()):
        return {"the result": result}
    found = sorted({number for each in result.values() for number in each.double().unique().tolist()})
    steps = " and step ".join(f"{each:g}" for each in found)
    taken = {"the number of steps that are taken": step.__self__.taken}
    return taken | {"the moment that your weights are from": f"after step {steps}", "the result": result}


def _keeps_the_living_ones(model, step, score, num_steps):
    best, best_score = None, float("-inf")
    for _ in range(num_steps):
        step(model)
        new_score = score(model)
        if new_score > best_score:
            best, best_score = model.state_dict(), new_score
    return best


_COPY = "copy.deepcopy(model.state_dict())"
best_weights = exercise(
    "best_weights", given=_courses, blank=_keeps_the_living_ones, returns="a state dict, whose values are tensors",
    right=change(_keeps_the_living_ones, "model.state_dict()", _COPY), observe=_watch_course,
    passed="A state dict holds the living tensors: whoever keeps it for later keeps a copy of each.", wrong={
        "The weights that you return are those of the last step, whatever its score. Are they kept after a new best "
        "one alone, and in tensors of their own, which training does not change?": [
            (_COPY, "dict(model.state_dict())"), ("return best", f"return {_COPY}")],
        "Where all scores are negative, nothing is kept: which is the lowest that may count?": ('"-inf"', "0.0"),
    })  # fmt: skip

_RAN: list[int] = []  # grows where a hostile file has its way


class _Surprise:
    def __reduce__(self):
        return exec, ("from digitlib.checks import saving; saving._RAN.append(1)",)


def _files():
    weights = {"fc.weight": torch.randn(3, 2), "fc.bias": torch.randn(3)}
    with tempfile.TemporaryDirectory() as folder:
        for case, content in (
            ("weights alone", weights), ("a list of tensors", [torch.randn(3), torch.randn(2)]),
            ("weights, a number and a list", {"state_dict": weights, "mean": 0.13, "classes": [3, 5]}),
            ("code that would run", {"state_dict": weights, "note": _Surprise()}),
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
        result = bool(result) if isinstance(result, Tensor) and result.numel() == 1 else result
        told = f"`{result}`" if isinstance(result, bool) else describe_value(result)
    except Raised as error:
        told = f"the error {error.kind.split()[0]}"
        if told.split()[-1] not in ("UnpicklingError", "FileNotFoundError", "EOFError", "RuntimeError"):
            raise
    kept = content == (path.exists() and path.read_bytes())
    ran = {"code from the file was kept from running": not _RAN}
    return ran | {"the file is left as it was": kept, "the result": told}


def _guard(path):
    safe = True
    try:
        torch.load(path)
    except UnpicklingError:
        safe = False
    return safe


_LATE = "Code from the file was run while your function looked at it. To load first and look afterwards is too late."
opens_safely = exercise(
    "opens_safely", given=_files, right=_guard, observe=_outcome,
    passed="A refusal is an answer. Every other error stays an error, so that nobody mistakes one for the other.",
    wrong={
        _LATE: [("load(path)", "load(path, weights_only=False)"),
                    ("load(path)", "load(path, weights_only=False)", "UnpicklingError", "Exception")],
        "A file that is missing, empty or cut off is neither safe nor unsafe: catch only the error of a refusal.": [
            ("UnpicklingError", each) for each in (
                "Exception", *(f"(UnpicklingError, {error})" for error in ("OSError", "EOFError", "RuntimeError")))],
        "Torch refuses the file, as it should, but your function passes the error on. Catch it, and say `False`.": (
            "safe = False", "raise"),
        "The two answers have changed places: `True` is for what opens safely.": ("safe\n", "not safe\n"),
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
    logits = run(path, raw_images)
    again = run(path, raw_images) if len(raw_images) > 1 else logits
    return {"two calls with one file give the same logits": same(logits, again, 1e-4), "the result": logits}


def _as_described(path, raw_images):
    file = torch.load(path)
    model = CNN(**file["options"])
    model.load_state_dict(file["state_dict"])
    x, mean, std = raw_images[:, None] / 255, file["mean"], file["std"]
    x = (x - mean) / std
    with torch.no_grad():
        return model.eval()(x)


_X, _MEAN, _STD = "x = (x - mean) / std", 'file["mean"]', 'file["std"]'
read_with_file = exercise(
    "read_with_file", given=_strangers, right=_as_described, observe=_read_twice, tolerance=1e-3,
    returns="logits, float32 (N, 10)",
    passed="The file says which network it is and how its images were prepared; you believed it, and ran no code.",
    wrong={
        _LATE: ("load(path)", "load(path, weights_only=False)"),
        "The weights do not fit the network: it is built with the `options` of the file, and loads its `state_dict`.": [
            ('CNN(**file["options"])', "CNN()"), ('(file["state_dict"])', "(file)")],
        "Two calls with one file give different logits: dropout is on. Which mode is the network in?": (".eval()", ""),
        "You return probabilities, or their logarithms; logits were asked for, before any softmax.": [
            ("(x)\n", "(x).softmax(dim=1)\n"), ("(x)\n", "(x).log_softmax(dim=1)\n")],
        "You prepare the images with this course's own mean and standard deviation. This network was trained with "
        "others: the file says which.": [
            (_MEAN, "TRAIN_MEAN", _STD, "TRAIN_STD"), (_MEAN, "TRAIN_MEAN"), (_STD, "TRAIN_STD")],
        "The images are not scaled as the file says: to 0 to 1 first, then by its mean and its deviation, once.": [
            (_X, f"x = {x}") for x in ("x", "255 * x", "(255 * x - mean) / std")],
        "Ink and paper have changed places: leave the pixels as they come.": ("= raw_images", "= 1 - raw_images"),
        "Mean and standard deviation have changed places.": ("mean, std =", "std, mean ="),
    })  # fmt: skip


def _mass_centre(image: Tensor) -> tuple[float, float]:
    places, total = torch.arange(28).double(), image.double().sum()
    return tuple(((image.double().sum(dim) * places).sum() / total).item() for dim in (1, 0))


def _digits():
    """Yield images for which the ways to centre them differ: a triangle, heavy in one corner, off the middle."""
    for number in range(1, 9):
        clear = False
        while not clear:
            height, width = random.randint(8, 12), random.randint(5, 9)
            down, right = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
            ink = ((1 - down) * (1 - right)) ** 3 * (0.5 + 0.5 * torch.rand(height, width))
            ink = ((20 + 215 * ink) * (down + right < 1.05)).rot90(2 * random.randrange(2))
            top, left = random.randint(1, 27 - height), random.randint(1, 27 - width)
            image = F.pad(ink, (left, 28 - width - left, top, 28 - height - top)).to(torch.uint8)
            row, column = (14 - place for place in _mass_centre(image))
            clear = all(abs(n) > 1.5 and 0.1 < abs(n % 1 - 0.5) < 0.4 for n in (row, column))
            clear = clear and abs(abs(row) - abs(column)) > 1.5
        yield f"image {number} of 8", (image,)


def _as_a_move(run, image):
    before, result = image.clone(), run(image)
    if not isinstance(result, Tensor) or result.shape != before.shape:
        return {"the result": result}
    sums = [[each.sum(dim).tolist() for each in (before, result)] for dim in (1, 0)]
    steps = [[n for n in range(-14, 14) if new == old[-n:] + old[:-n]] or [0] for old, new in sums]
    down, right = steps[0][0], steps[1][0]
    moved = same(before.roll((down, right), (0, 1)), result, 1e-9)
    told = f"{down:+} rows and {right:+} columns" if moved else "none"
    kept = {"each pixel is there, as bright as it was, and moved with all others": moved}
    return kept | {"the result": torch.zeros_like(result) if moved else result, "result as a move": told}


def _to_the_middle(image):
    ink = image.double()
    row, column = _mass_centre(ink)
    down, right = round(14 - row), round(14 - column)
    return image.roll((down, right), (0, 1))


_INK, _PLACE = "image.double()", "_mass_centre(ink)"
_BOX = "for x in image.nonzero(as_tuple=True)]"
centred = exercise(
    "centred", given=_digits, right=_to_the_middle, observe=_as_a_move, returns="the moved image, uint8 (28, 28)",
    passed="Your picture now lies where MNIST's digits lie, whatever its shape.", wrong={
        "Rows and columns have changed places: the image is moved along the wrong axes.": [(
            "(down, right)", f"({move})") for move in ("right, down", "-right, -down")],
        "The image is moved by the right number of pixels, but the other way.": ("(down, right)", "(-down, -right)"),
        "Only rows or only columns were moved; both should be.": [
            ("(down, right)", "(down, 0)"), ("(down, right)", "(0, right)")],
        "You put the middle of the box around the ink in the middle; heavy strokes should count for more.": [
            (_PLACE, f"[14 - (27 - (x.max() - x.min()).item()) // 2 + x.min().item() {_BOX}"),
            (_PLACE, f"[(x.min() + x.max()).item() / 2 {_BOX}")],
        "Weigh each pixel by how bright it is: twice as bright, twice as much.": [
            (_INK, "(image > 0).double()"), (_INK, "image.double() ** 2"), (_INK, "(image > 128).double()"),
            (_PLACE, f"[x.median().item() {_BOX}")],
        "The sum of place times weight is divided by the sum of the weights, and by no other number.": [
            (_PLACE, f"[n * image.sum() / {by} for n in {_PLACE}]") for by in (28, 784, "(ink > 0).sum()")],
        "The type `uint8` ends at 255: products of such numbers begin again at 0. Make floats first.": (
            _PLACE, "[((image * torch.arange(28).byte().view(shape)).sum() / image.sum()).item() "
            "for shape in ((28, 1), (1, 28))]"),
        "Your result is a pixel off or so: the goal is 14, 14, counted from 0, and shifts are to be rounded.": [
            ("14", "13"), ("14", "15"), ("14", "13.5"), ("round(", "int(")],
    })  # fmt: skip
