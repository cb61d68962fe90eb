"""The checks of notebook 11: weights that are kept, files that are refused, what a file has to say, pictures."""

import math
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from digitlib.checks.core import (
    NotYet,
    call,
    close,
    describe_value,
    exercise,
    expect,
    expect_tensor,
)
from digitlib.data import TRAIN_MEAN, TRAIN_STD, normalise
from digitlib.evaluation import predict_logits
from digitlib.models import CNN

# ---- the best weights so far -------------------------------------------------------------------------------------


def _keeping_the_living_ones(model, step, score, num_steps):
    best, best_score = None, float("-inf")
    for _ in range(num_steps):
        step(model)
        new_score = score(model)
        if new_score > best_score:
            best, best_score = model.state_dict(), new_score
    return best


@exercise(
    passed="A state dict holds the living tensors: whoever keeps it for later keeps a copy of each.",
    blank=_keeping_the_living_ones,
)
def best_weights(answer) -> None:
    """Take a model, a step, a score and a number of steps; return the state dict after the best-scored step."""
    for scores in ([3, 9, 2, 5, 4], [8, 1, 7, 2], [1, 2, 5, 6, 9], [-4, -1, -3, -2], [2, 7, 3, 7, 1, 4], [5]):
        course = _Course(scores)
        found = call(answer, course.model, course.step, course.score, len(scores), returns=False)
        expect(
            found is not None or min(scores) < 0,
            "Your function returns nothing; it should end by returning the state dict that it has kept.",
        )
        expect(
            found is not None,
            f"For the scores {', '.join(map(str, scores))} your function returns nothing: which is the lowest score "
            "that may count as the best so far?",
        )
        expect(
            not isinstance(found, nn.Module),
            "You return a model; return its state dict, which is what goes into a file.",
        )
        expect(
            isinstance(found, dict), f"The result should be a state dict, but it is {describe_value(found)}."
        )
        names = list(course.model.state_dict())
        missing = [name for name in names if name not in found]
        expect(
            not missing or any("running" not in name and "tracked" not in name for name in missing),
            "The weights are there, but `BatchNorm`'s running averages are missing: they are no parameters, and "
            "belong to the state dict all the same.",
        )
        expect(
            not missing,
            f"Names are missing in the state dict that you return, for example {(missing or [''])[0]}.",
        )
        strange = next((found[name] for name in names if not isinstance(found[name], Tensor)), None)
        expect(
            strange is None,
            f"The values of a state dict are tensors, but yours holds {describe_value(strange)}: no model could load "
            "it as it is.",
        )
        living = course.model.state_dict()
        expect(
            all(found[name].dtype == living[name].dtype for name in names),
            "Your state dict holds numbers of another dtype than the model's; rounded weights are other weights.",
        )
        values = {name: _steps_in(found[name]) for name in names}
        expect(
            all(value is not None for value in values.values()),
            "Your state dict holds other numbers than the model had after any step.",
        )
        taken = course.taken
        expect(
            taken == len(scores),
            f"Asked for {len(scores)} steps, your answer takes {taken}: the training should go on to its end.",
        )
        expect(
            all(_steps_in(tensor) == taken for tensor in course.model.state_dict().values()),
            "The model itself has changed beside the steps: keep the best weights, but leave the model where it is.",
        )
        steps, best = set(values.values()), scores.index(max(scores)) + 1
        expect(
            len(steps) == 1,
            "Some tensors of your state dict are from one step and some from another: copy every one of them.",
        )
        kept = steps.pop()
        if kept == best:
            continue
        shared = any(found[name].data_ptr() == living[name].data_ptr() for name in names)
        expect(
            kept != taken or shared,
            f"The best score came after step {best}. Your tensors are copies, but of the last step: were they copied "
            "too late, or replaced after a lower score?",
        )
        expect(
            kept != taken,
            f"The best score came after step {best}, but the weights that you return are those of the last step. "
            "Training goes on changing them: does your answer hold tensors of its own?",
        )
        expect(kept > 0, "The weights that you return are those from before the first step.")
        expect(
            scores[kept - 1] != max(scores),
            f"Steps {best} and {kept} had the same score; keep the first of equals.",
        )
        expect(
            scores[kept - 1] != min(scores),
            f"You keep the weights with the lowest score, {scores[kept - 1]}; a higher score is better.",
        )
        raise NotYet(
            f"For the scores {', '.join(map(str, scores))} you keep the weights of step {kept}; those of step {best} "
            "were the best."
        )


class _Course:
    """A training by script: after step k every number in the model is k, and the score is the k-th of a list."""

    def __init__(self, scores: list[int]):
        self.model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.scores, self.taken = scores, 0
        self.fill()

    def fill(self) -> None:
        with torch.no_grad():
            for tensor in self.model.state_dict().values():
                tensor.fill_(self.taken)

    def step(self, model: nn.Module) -> None:
        expect(model is self.model, "`step` should be called with the model that your function was given.")
        self.taken += 1
        expect(self.taken <= 2 * len(self.scores), "Your answer takes more steps than it was asked for.")
        self.fill()

    def score(self, model: nn.Module) -> float:
        taken = int(model[0].bias[0])
        expect(
            taken >= 1,
            "`score` is asked before the first step; a network untrained is not among the candidates.",
        )
        expect(taken <= len(self.scores), "Your answer takes more steps than it was asked for.")
        return float(self.scores[taken - 1])


def _steps_in(tensor: object) -> int | None:
    """Return after which step a tensor was copied, or None where it holds something else."""
    if not isinstance(tensor, Tensor) or tensor.numel() == 0:
        return None
    first = tensor.flatten()[0].item()
    return int(first) if bool((tensor == first).all()) and first == int(first) else None


# ---- a file that would run code ----------------------------------------------------------------------------------

_RAN: list[str] = []


def _run_by_a_file(word: str) -> str:
    """Note that a file had its way; it is what the check's own hostile files call, and it does no harm."""
    _RAN.append(word)
    return word


class _Surprise:
    def __reduce__(self):
        return _run_by_a_file, ("this file ran code",)


@exercise(
    passed="A refusal is an answer. Every other error stays an error, so that nobody mistakes one for the other."
)
def opens_safely(answer) -> None:
    """Take the path of a file; return whether torch opens it without running code from it."""
    weights = {"fc.weight": torch.randn(3, 2), "fc.bias": torch.randn(3)}
    good = {
        "weights": weights,
        "weights and more": {"state_dict": weights, "mean": 0.13, "classes": [3, 5], "note": "x"},
        "a list": [torch.randn(3), torch.randn(2)],
    }
    bad = {"hostile": {"state_dict": weights, "note": _Surprise()}, "a whole network": nn.Linear(2, 3)}
    with tempfile.TemporaryDirectory() as folder:
        verdicts = {}
        for number, (kind, content) in enumerate((good | bad).items()):
            path = Path(folder) / f"{random.randrange(10**6)}-{number}.pth"
            torch.save(content, path)
            _RAN.clear()
            try:
                verdicts[kind] = _verdict(answer, path)
            except NotYet as hint:
                ran, told = bool(_RAN), str(hint)
                expect(not ran, _IT_RAN)
                expect(
                    "Weights only load failed" not in told,
                    "Torch refuses the file, as it should, but your function passes the error on. Catch it, and say "
                    "`False`.",
                )
                raise
            expect(not _RAN, _IT_RAN)
        _expect_verdicts(verdicts, good, bad)
        whole = path.read_bytes()
        (Path(folder) / "empty.pth").write_bytes(b"")
        (Path(folder) / "cut.pth").write_bytes(whole[: len(whole) // 2])
        _expect_error(answer, Path(folder) / "missing.pth", "a file that does not exist", "FileNotFoundError")
        _expect_error(answer, Path(folder) / "empty.pth", "an empty file", "EOFError")
        _expect_error(answer, Path(folder) / "cut.pth", "a file cut off in the middle", "RuntimeError")


_IT_RAN = "Code from the file was run while your function looked at it. To load first and look afterwards is too late."


def _verdict(answer: Callable, path: Path) -> bool:
    verdict = call(answer, path, returns=False)
    expect(
        verdict is not None,
        "For some files your function returns nothing; each way through it needs its `return`.",
    )
    if isinstance(verdict, Tensor) and verdict.numel() == 1:
        verdict = bool(verdict)
    expect(
        isinstance(verdict, bool),
        f"The result should be `True` or `False`, but it is {describe_value(verdict)}.",
    )
    return verdict


def _expect_verdicts(verdicts: dict[str, bool], good: dict, bad: dict) -> None:
    expect(
        not (all(verdicts[kind] for kind in bad) and not any(verdicts[kind] for kind in good)),
        "The two answers have changed places: `True` is for a file that opens safely.",
    )
    expect(
        not all(verdicts.values()),
        "Every file is safe by your answer, one that would run code too. What does torch do with that one?",
    )
    expect(
        any(verdicts.values()), "No file is safe by your answer, not even one that holds nothing but weights."
    )
    expect(verdicts["weights"], "A file of weights alone is refused by your answer.")
    expect(
        verdicts["weights and more"],
        "A dictionary with numbers and text beside the weights is refused by your answer; torch opens it safely.",
    )
    expect(
        verdicts["a list"],
        "A file that holds a list of tensors is refused by your answer; torch opens it safely.",
    )
    expect(not verdicts["hostile"], "A file that would run code passes as safe.")
    expect(
        not verdicts["a whole network"],
        "A file that holds a whole network, as an object of its class, passes as safe; torch refuses it.",
    )


def _expect_error(answer: Callable, path: Path, kind: str, error: str) -> None:
    try:
        verdict = call(answer, path, returns=False)
    except NotYet as hint:
        expect(
            error in str(hint),
            f"For {kind}, the error that torch raises should come through as it is.",
        )
        return
    raise NotYet(
        f"For {kind} your function says `{verdict}`. That is neither safe nor unsafe: catch only the error that a "
        "refusal raises."
    )


# ---- all that a file has to say ----------------------------------------------------------------------------------


@exercise(
    passed="The file says which network it is and how its images were prepared; you believed it, and ran no code."
)
def read_with_file(answer) -> None:
    """Take a path and raw images, uint8 (N, 28, 28); return the logits of the network that the file describes."""
    with tempfile.TemporaryDirectory() as folder:
        # Without dropout first: what still varies from call to call then are weights that were not loaded.
        for dropout, (mean, std), num_images in (
            (0.0, (0.25, 0.4), 5),
            (0.6, (0.5, 0.2), 3),
            (0.3, (0.1, 0.6), 1),
        ):
            options = {"num_channels": random.choice([[4, 6], [3, 7]]), "hidden_size": random.choice([9, 12])}
            options["dropout"] = dropout
            if dropout == 0.6:
                options = dict(reversed(options.items()))  # they have names, and so no order
            model, path = CNN(**options), Path(folder) / f"{num_images}.pth"
            with torch.no_grad():
                model.fc2.weight.mul_(5)  # so that differences show
            content = {"options": options, "state_dict": model.state_dict(), "mean": mean, "std": std}
            torch.save(content, path)
            _expect_logits(answer, path, model, mean, std, num_images)
        hostile = Path(folder) / "hostile.pth"
        torch.save({**content, "note": _Surprise()}, hostile)
        _RAN.clear()
        try:
            ignored = call(answer, hostile, _raw(2), returns=False) is None
        except NotYet as hint:
            expect(not _RAN, _IT_RAN)
            expect(
                "Weights only load failed" in str(hint),
                f"A file that would run code was met with this: {hint}",
            )
            return
        expect(
            _RAN or not ignored,
            "For a file that would run code your function returns nothing: torch's own error should come through.",
        )
        raise NotYet(_IT_RAN if _RAN else "A file that would run code was not refused.")


def _expect_logits(
    answer: Callable, path: Path, model: CNN, mean: float, std: float, num_images: int
) -> None:
    raw = _raw(num_images)
    try:
        first, second = (call(answer, path, raw) for _ in range(2))
    except NotYet as hint:
        expect(
            "size mismatch" not in str(hint),
            "The weights do not fit the network that you build: the file says with which options its own was built.",
        )
        expect(
            "unpack" not in str(hint),
            "The options have names: each is for the argument of that name, whatever their order in the file.",
        )
        expect(
            "CheckpointError" not in str(hint),
            "The stranger's file is no checkpoint of digitlib's own making; open it with torch.",
        )
        expect(
            "KeyError" not in str(hint),
            f"The file has the keys `options`, `state_dict`, `mean` and `std`. {hint}",
        )
        raise
    expect(
        not (isinstance(first, Tensor) and first.shape == (num_images,)),
        "You return one number an image; return the ten logits of each.",
    )
    logits = expect_tensor(first, (num_images, 10), what="the result")
    expected = predict_logits(model, normalise(raw, mean, std))
    if close(logits, expected, 1e-3) and close(second, expected, 1e-3):
        return
    expect(
        not close(logits, expected.softmax(dim=1), 1e-3),
        "You return probabilities; logits were asked for, before any softmax.",
    )
    expect(
        not close(logits, expected.log_softmax(dim=1), 1e-3),
        "You return logarithms of probabilities; logits were asked for, before any softmax.",
    )
    if not close(first, second):
        expect(
            model.dropout.p > 0,
            "Two calls with one file give different logits: the network still has the weights that it was born with.",
        )
        raise NotYet(
            "Two calls with one file give different logits: dropout is on. Which mode is the network in?"
        )
    scaled = raw[:, None] / 255
    for images, hint in (
        (
            normalise(raw, TRAIN_MEAN, TRAIN_STD),
            "You prepare the images with this course's own mean and standard deviation. This network was trained with "
            "others: the file says which.",
        ),
        (
            scaled,
            "You scale the pixels to 0 to 1 and stop there; the file says how this network's images were prepared.",
        ),
        (
            raw[:, None].float(),
            "The pixels go in as they are, 0 to 255; the file says how they were prepared in training.",
        ),
        (
            normalise(raw, mean, TRAIN_STD),
            "The mean is that of the file, but the standard deviation is this course's own.",
        ),
        (
            normalise(raw, TRAIN_MEAN, std),
            "The standard deviation is that of the file, but the mean is this course's own.",
        ),
        (
            normalise(255 - raw, mean, std),
            "You invert the images; they are as the network wants them already.",
        ),
        ((normalise(raw, mean, std) - mean) / std, "The images are normalised twice."),
        (normalise(raw, mean, std**2), "You divide by the square of the standard deviation."),
        (
            raw[:, None].float() - 255 * mean,
            "The mean is subtracted from pixels of 0 to 255, and nothing is divided; both numbers are for 0 to 1.",
        ),
        (
            (raw[:, None].float() - 255 * mean) / std,
            "Mean and pixels go from 0 to 255 in your answer, but the standard deviation is for pixels from 0 to 1.",
        ),
        (normalise(raw, std, mean), "Mean and standard deviation have changed places."),
        (scaled - mean, "The mean is subtracted, but nothing is divided by the standard deviation."),
        (scaled / std, "Divided by the standard deviation, but the mean is not subtracted first."),
        (
            (raw[:, None].float() - mean) / std,
            "Mean and standard deviation are those of pixels from 0 to 1, but yours go from 0 to 255.",
        ),
        (
            (scaled - scaled.mean()) / scaled.std(),
            "You take mean and standard deviation from the images at hand; the file holds those of the training.",
        ),
    ):
        expect(not close(logits, predict_logits(model, images), 1e-3), hint)
    largest = (logits - expected).abs().max().item()
    raise NotYet(
        f"The logits differ from those of the network that was saved by up to {largest:.2g}. Compare its weights, its "
        "mode and its images, one after the other."
    )


def _raw(num_images: int) -> Tensor:
    return torch.randint(0, 256, (num_images, 28, 28), dtype=torch.uint8)


# ---- the centre of mass ------------------------------------------------------------------------------------------


@exercise(passed="Your picture now lies where MNIST's digits lie, whatever its shape.")
def centred(answer) -> None:
    """Take one image, uint8 (28, 28); return it moved by whole pixels, its centre of mass nearest to (14, 14)."""
    images = [_blob(steep=number < 2) for number in range(8)]
    found = []
    for image in images:
        moved = expect_tensor(call(answer, image), (28, 28), what="the moved image")
        found.append(moved.double())
    if all(close(moved, _moved(image, _shift(image))) for moved, image in zip(found, images, strict=True)):
        return
    for moved, image in zip(found, images, strict=True):
        expect(
            not close(moved * 255, image.double()) and not close(moved.sum() * 255, image.double().sum()),
            "The pixels were scaled to 0 to 1; only their place should change.",
        )
        lost = not close(moved.flatten().sort().values, image.double().flatten().sort().values)
        expect(
            not lost,
            "Some of the ink is lost or changed; only its place should change, and it fits the image.",
        )
    for rule, hint in _WRONG_SHIFTS:
        expect(
            not all(
                close(moved, _moved(image, rule(image))) for moved, image in zip(found, images, strict=True)
            ),
            hint,
        )
    for flipped, word in ((lambda m: m.T, "on its side"), (lambda m: m.flip(0), "upside down")):
        expect(
            not all(
                close(flipped(moved), _moved(image, _shift(image)))
                for moved, image in zip(found, images, strict=True)
            ),
            f"Your image lies {word}: rows have to stay rows, in their order.",
        )
    moved = next(
        m for m, image in zip(found, images, strict=True) if not close(m, _moved(image, _shift(image)))
    )
    row, column = _mass_centre(moved)
    raise NotYet(
        f"In your result for one of the images the centre of mass is at row {row:.2f}, column {column:.2f}; a move by "
        "whole pixels brings it within half a pixel of 14, 14."
    )


def _mass_centre(image: Tensor) -> tuple[float, float]:
    image, steps = image.double(), torch.arange(28).double()
    return tuple(((image.sum(dim=axis) * steps).sum() / image.sum()).item() for axis in (1, 0))


def _ink_centre(image: Tensor) -> tuple[float, float]:
    return _mass_centre(image > 0)


def _median_centre(image: Tensor) -> tuple[float, float]:
    return tuple(places.median().item() for places in torch.nonzero(image, as_tuple=True))


def _overflowing_centre(image: Tensor) -> tuple[float, float]:
    places = torch.arange(28, dtype=torch.uint8)
    return tuple((image * each).sum().item() / image.sum().item() for each in (places[:, None], places))


def _box_centre(image: Tensor) -> tuple[float, float]:
    return tuple((places.min() + places.max()).item() / 2 for places in torch.nonzero(image, as_tuple=True))


def _shift(
    image: Tensor, centre: Callable = _mass_centre, goal: float = 14, rounded: Callable = round
) -> tuple[int, int]:
    row, column = centre(image)
    return rounded(goal - row), rounded(goal - column)


def _moved(image: Tensor, shift: tuple[int, int]) -> Tensor:
    return torch.roll(image.double(), shift, dims=(0, 1))


_WRONG_SHIFTS = [
    (lambda image: (0, 0), "The image is where it was."),
    (
        lambda image: _shift(image)[::-1],
        "Rows and columns have changed places: the image is moved along the wrong axes.",
    ),
    (
        lambda image: tuple(-steps for steps in _shift(image)),
        "The image is moved by the right number of pixels, but the other way: further from the middle.",
    ),
    (lambda image: (_shift(image)[0], 0), "Rows are right; the columns were not moved."),
    (lambda image: (0, _shift(image)[1]), "Columns are right; the rows were not moved."),
    (
        lambda image: _shift(image, _box_centre),
        "You put the middle of the box around the ink in the middle; heavy strokes should count for more.",
    ),
    (
        lambda image: _shift(image, _ink_centre),
        "Every pixel with ink counts the same in your mean place; weigh each by how bright it is.",
    ),
    (
        lambda image: _shift(image, goal=13.5),
        "Your result is up to one pixel short of 14, 14: either the shift is always rounded down, or its goal is the "
        "middle at 13.5.",
    ),
    (
        lambda image: _shift(image, rounded=math.trunc),
        "The shift is cut off to a whole number, so it can be almost one pixel short: round it to the nearest.",
    ),
    *(
        (
            lambda image, goal=goal: _shift(image, goal=goal),
            f"You bring the centre of mass to {goal}, {goal}; row and column 14 were asked for, counted from 0.",
        )
        for goal in (13, 15)
    ),
    (
        lambda image: tuple(2 * steps for steps in _shift(image)),
        "The image is moved the right way, but twice as far.",
    ),
    (
        lambda image: _shift(image, lambda each: _mass_centre(each.double() ** 2)),
        "Bright pixels count for too much: twice as bright weighs twice as much, not four times.",
    ),
    (
        lambda image: _shift(image, _median_centre),
        "You take the median place of the ink; the centre of mass is a mean, weighted by brightness.",
    ),
    (
        lambda image: tuple(-int(places.min()) for places in torch.nonzero(image, as_tuple=True)),
        "You move the ink into the corner at the upper left.",
    ),
    (
        lambda image: tuple(
            (28 - int(places.max() - places.min()) - 1) // 2 - int(places.min())
            for places in torch.nonzero(image, as_tuple=True)
        ),
        "You put the box around the ink in the middle; a centre of mass depends on where the ink is heavy.",
    ),
    (
        lambda image: _shift(image, _overflowing_centre),
        "Products of a pixel and its place are too large for uint8: above 255 they begin again at 0.",
    ),
    (
        lambda image: _shift(image, rounded=math.ceil),
        "The shift is always rounded up, so it can be almost one pixel off: round it to the nearest.",
    ),
    (
        lambda image: tuple(14 - value for value in divmod(image.flatten().argmax().item(), 28)),
        "You move the brightest pixel to the middle; the centre of mass is the mean place of all ink.",
    ),
    (
        lambda image: tuple(14 - round(value) for value in _mass_centre(255 - image)),
        "The background is weighed instead of the ink: ink is bright, 255.",
    ),
]


def _blob(*, steep: bool = False) -> Tensor:
    """Draw one image for which the ways to centre it differ: heavy at one end (very, where steep), off the middle."""
    while True:
        height, width = random.randint(8, 12), random.randint(5, 9)
        down, right = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
        weights = ((1 - down) * (1 - right)) ** (5 if steep else 2) * (0.5 + 0.5 * torch.rand(height, width))
        blob = (((5 if steep else 40) + 215 * weights) * (down + right < 1.05)).to(
            torch.uint8
        )  # a triangle, heavy in its corner
        blob = blob.flip(dims=[axis for axis in (0, 1) if random.random() < 0.5])
        image = torch.zeros(28, 28, dtype=torch.uint8)
        top, left = random.randint(0, 28 - height), random.randint(0, 28 - width)
        image[top : top + height, left : left + width] = blob
        centre = _mass_centre(image)
        # No rounding may hang by a thread, and the move has to go both ways, by different numbers of pixels.
        clear = all(0.1 < (14 - value) % 1 < 0.4 or 0.6 < (14 - value) % 1 < 0.9 for value in centre)
        shifts = [_shift(image, rule) for rule in (_mass_centre, _ink_centre, _box_centre, _median_centre)]
        down, right = shifts[0]
        if (
            clear
            and min(abs(down), abs(right)) >= 2
            and abs(down) != abs(right)
            and shifts[0] not in shifts[1:]
        ):
            return image
