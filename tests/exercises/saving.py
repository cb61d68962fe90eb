"""Answers to the exercises of notebook 11."""

import copy
import io
import math
import pickle
from pathlib import Path

import numpy as np
import torch

from digitlib.data import normalise
from digitlib.evaluation import predict_logits
from digitlib.models import CNN
from tests.exercises import Answers

# ---- best_weights -----------------------------------------------------------------------------------------------


def keeping(copied, *, better=lambda score, best: score > best, first=-math.inf, finish=lambda best: best):
    """Return an answer that keeps what `copied` makes of the model."""

    def answer(model, step, score, num_steps):
        best, best_score = None, first
        for _ in range(num_steps):
            step(model)
            if better(score(model), best_score):
                best, best_score = copied(model), score(model)
        return finish(best)

    return answer


def through_a_file(model):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def cloned(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def parameters_only(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def stops_at_the_first_fall(model, step, score, num_steps):
    best, best_score = None, -math.inf
    for _ in range(num_steps):
        step(model)
        if score(model) <= best_score:
            break
        best, best_score = cloned(model), score(model)
    return best


def forgets_the_score(model, step, score, num_steps):
    best, best_score = None, -math.inf
    for _ in range(num_steps):
        previous = best_score
        step(model)
        best_score = score(model)
        if best_score > previous:
            best = cloned(model)
    return best


def goes_back_to_the_best(model, step, score, num_steps):
    best = keeping(cloned)(model, step, score, num_steps)
    model.load_state_dict(best)
    return best


def clones_the_weights_of_linear_layers(model):
    return {name: tensor.clone() if name[0] == "0" else tensor for name, tensor in model.state_dict().items()}


# ---- opens_safely -----------------------------------------------------------------------------------------------


def with_a_verdict_at_the_end(path):
    safe = True
    try:
        torch.load(Path(path), map_location="cpu")
    except pickle.UnpicklingError:
        safe = False
    return safe


def loading(error, *, weights_only=True, safe=True, refused=False):
    def answer(path):
        try:
            torch.load(path, weights_only=weights_only)
        except error:
            return refused
        return safe

    return answer


def passes_the_error_on(path):
    torch.load(path, weights_only=True)
    return True


# ---- read_with_file ---------------------------------------------------------------------------------------------


def by_hand(path, raw_images):
    stored = torch.load(path)
    model = CNN(**stored["options"]).eval()
    model.load_state_dict(stored["state_dict"])
    with torch.no_grad():
        return model((raw_images[:, None].double() / 255 - stored["mean"]).div(stored["std"]).float())


def reading(
    prepare=lambda raw, stored: normalise(raw, stored["mean"], stored["std"]),
    *,
    build=lambda stored: CNN(**stored["options"]),
    load=True,
    logits=predict_logits,
    weights_only=True,
):
    """Return an answer that is right but for the part given."""

    def answer(path, raw_images):
        stored = torch.load(path, weights_only=weights_only)
        model = build(stored)
        if load:
            model.load_state_dict(stored["state_dict"])
        return logits(model, prepare(raw_images, stored))

    return answer


# ---- centred ----------------------------------------------------------------------------------------------------


def with_a_canvas(image):
    rows, columns = torch.nonzero(image, as_tuple=True)
    weights = image[rows, columns].double()
    down = round(14 - (rows * weights).sum().item() / weights.sum().item())
    right = round(14 - (columns * weights).sum().item() / weights.sum().item())
    canvas = torch.zeros_like(image)
    canvas[rows + down, columns + right] = image[rows, columns]
    return canvas


def rolling(shift):
    return lambda image: image.roll(shift(*centre(image)), dims=(0, 1))


def centre(image):
    places = np.arange(28)
    mass = image.double().numpy() / image.double().sum().item()
    return float(mass.sum(axis=1) @ places), float(mass.sum(axis=0) @ places)


def boxed(image):
    rows, columns = torch.nonzero(image, as_tuple=True)
    middle = [(places.min() + places.max()).item() / 2 for places in (rows, columns)]
    return image.roll([round(14 - place) for place in middle], dims=(0, 1))


def unweighted(image):
    rows, columns = torch.nonzero(image, as_tuple=True)
    return image.roll([round(14 - places.double().mean().item()) for places in (rows, columns)], dims=(0, 1))


ANSWERS = {
    "best_weights": Answers(
        right={
            "clones": keeping(cloned),
            "deepcopy": keeping(lambda model: copy.deepcopy(model.state_dict())),
            "a file in memory": keeping(through_a_file),
        },
        wrong={
            "a shallow copy": (keeping(lambda model: dict(model.state_dict())), "tensors of its own"),
            "parameters only": (keeping(parameters_only), "running averages"),
            "the model": (keeping(copy.deepcopy), "You return a model"),
            "the lowest score": (keeping(cloned, better=lambda s, b: s < b, first=math.inf), "lowest score"),
            "the last of equals": (keeping(cloned, better=lambda s, b: s >= b), "the first of equals"),
            "starts at nought": (keeping(cloned, first=0.0), "returns nothing"),
            "stops early": (stops_at_the_first_fall, "should go on to its end"),
            "compares with the last": (forgets_the_score, "were the best"),
            "puts the best back": (goes_back_to_the_best, "leave the model where it is"),
            "some cloned": (keeping(clones_the_weights_of_linear_layers), "some from another"),
        },
    ),
    "opens_safely": Answers(
        right={
            "one return": with_a_verdict_at_the_end,
            "error in a tuple": loading((pickle.UnpicklingError, pickle.PicklingError)),
        },
        wrong={
            "code runs": (loading(pickle.UnpicklingError, weights_only=False), "was run while your function"),
            "every error caught": (loading(Exception), "neither safe nor unsafe"),
            "passes it on": (passes_the_error_on, "passes the error on"),
            "turned round": (loading(pickle.UnpicklingError, safe=False, refused=True), "changed places"),
            "always safe": (lambda path: True, "Every file is safe"),
            "never safe": (lambda path: False, "No file is safe"),
            "nothing returned": (loading(pickle.UnpicklingError, refused=None), "needs its `return`"),
            "the content": (lambda path: path.read_bytes(), "should be `True` or `False`"),
        },
    ),
    "read_with_file": Answers(
        right={"by hand": by_hand, "with predict_logits": reading()},
        wrong={
            "course's own statistics": (reading(lambda raw, stored: normalise(raw)), "course's own mean"),
            "scaled only": (reading(lambda raw, stored: raw[:, None] / 255), "stop there"),
            "raw pixels": (reading(lambda raw, stored: raw[:, None].float()), "as they are"),
            "mean for deviation": (
                reading(lambda raw, stored: normalise(raw, stored["std"], stored["mean"])),
                "have changed places",
            ),
            "own statistics": (
                reading(lambda raw, stored: (raw / 255 - (raw / 255).mean())[:, None] / (raw / 255).std()),
                "images at hand",
            ),
            "dropout on": (
                reading(logits=lambda model, images: model.train()(images)),
                "dropout is on",
            ),
            "not loaded": (reading(load=False), "born with"),
            "other sizes": (reading(build=lambda stored: CNN()), "do not fit"),
            "probabilities": (
                reading(logits=lambda model, images: predict_logits(model, images).softmax(dim=1)),
                "return probabilities",
            ),
            "digits": (
                reading(logits=lambda model, images: predict_logits(model, images).argmax(dim=1)),
                "one number an image",
            ),
            "code runs": (reading(weights_only=False), "was run while your function"),
        },
    ),
    "centred": Answers(
        right={
            "on a canvas": with_a_canvas,
            "numpy inside": rolling(lambda row, column: (round(14 - row), round(14 - column))),
        },
        wrong={
            "unmoved": (lambda image: image.clone(), "where it was"),
            "axes swapped": (
                rolling(lambda row, column: (round(14 - column), round(14 - row))),
                "wrong axes",
            ),
            "the other way": (
                rolling(lambda row, column: (round(row - 14), round(column - 14))),
                "other way",
            ),
            "rows only": (rolling(lambda row, column: (round(14 - row), 0)), "columns were not moved"),
            "the box": (boxed, "box around the ink"),
            "unweighted": (unweighted, "how bright it is"),
            "at 13.5": (rolling(lambda row, column: (round(13.5 - row), round(13.5 - column))), "13.5"),
            "cut off": (rolling(lambda row, column: (int(14 - row), int(14 - column))), "cut off"),
            "scaled": (lambda image: with_a_canvas(image) / 255, "scaled to 0 to 1"),
            "one axis too many": (lambda image: with_a_canvas(image)[None], "should have the shape"),
            "a fixed shift": (lambda image: image.roll((3, -3), dims=(0, 1)), "In your result for one"),
        },
    ),
}


def refused_by(*errors):
    """Return an answer to opens_safely that takes these errors for a refusal."""

    def answer(path):
        try:
            torch.load(path, weights_only=True)
        except (pickle.UnpicklingError, *errors):
            return False
        return True

    return answer


ANSWERS["best_weights"].wrong.update(
    {
        "copied at the end": (
            keeping(lambda model: model.state_dict(), finish=copy.deepcopy),
            "copied too late",
        ),
        "lists of numbers": (
            keeping(lambda model: {name: tensor.tolist() for name, tensor in model.state_dict().items()}),
            "values of a state dict are tensors",
        ),
        "nothing comes back": (keeping(cloned, finish=lambda best: None), "should end by returning"),
    }
)
ANSWERS["opens_safely"].wrong.update(
    {
        "an empty file is refused": (refused_by(EOFError), "For an empty file"),
        "a damaged file is refused": (refused_by(RuntimeError), "cut off in the middle"),
    }
)
ANSWERS["centred"].wrong.update(
    {
        "the median": (
            lambda image: image.roll(
                [14 - int(places.median()) for places in image.nonzero(as_tuple=True)], dims=(0, 1)
            ),
            "median place",
        ),
        "goal of 13": (rolling(lambda row, column: (round(13 - row), round(13 - column))), "to 13, 13"),
    }
)
