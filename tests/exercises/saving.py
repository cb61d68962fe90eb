"""Answers to the exercises of notebook 11, beside those that its declarations hold."""

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


def keeping(copied, better=lambda score, best: score > best, finish=lambda best: best):
    """Return an answer that keeps what `copied` makes of the model; it asks for each score twice."""

    def answer(model, step, score, num_steps):
        best, best_score = None, -math.inf
        for _ in range(num_steps):
            step(model)
            if better(score(model), best_score):
                best, best_score = copied(model), score(model)
        return finish(best)

    return answer


def cloned(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def through_a_file(model):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def with_a_list(model, step, score, num_steps):
    kept = [(cloned(model), score(model)) for _ in range(num_steps) if step(model) is None]
    return max(kept, key=lambda pair: pair[1])[0]


def clones_of_the_linear_layer(model):
    return {name: tensor.clone() if name[0] == "0" else tensor for name, tensor in model.state_dict().items()}


def loading(error, *, refused=False, **options):
    def answer(path):
        safe = True
        try:
            torch.load(Path(path), map_location="cpu", **options)
        except error:
            safe = refused
        return safe

    return answer


def deleting(path):
    return loading(pickle.UnpicklingError)(path), path.unlink()


def unpickling(path):
    return isinstance(pickle.loads(path.read_bytes()), dict)


def by_hand(path, raw_images):
    stored = torch.load(path)
    model = CNN(**stored["options"]).eval()
    model.load_state_dict(stored["state_dict"])
    with torch.no_grad():
        return model((raw_images[:, None].double() / 255 - stored["mean"]).div(stored["std"]).float())


def reading(prepare=normalise, logits=predict_logits, **options):
    """Return an answer that is right but for the part given."""

    def answer(path, raw_images):
        stored = torch.load(path, weights_only=True)
        model = CNN(**stored["options"] | options)
        model.load_state_dict(stored["state_dict"])
        return logits(model, prepare(raw_images, stored["mean"], stored["std"]))

    return answer


def on_a_canvas(image):
    rows, columns = torch.nonzero(image, as_tuple=True)
    weights = image[rows, columns].double()
    down = round(14 - (rows * weights).sum().item() / weights.sum().item())
    right = round(14 - (columns * weights).sum().item() / weights.sum().item())
    canvas = torch.zeros_like(image)
    canvas[rows + down, columns + right] = image[rows, columns]
    return canvas


def rolling(shift):
    def answer(image):
        mass = image.double().numpy() / image.double().sum().item()
        row, column = mass.sum(axis=1) @ np.arange(28), mass.sum(axis=0) @ np.arange(28)
        return image.roll(shift(float(row), float(column)), dims=(0, 1))

    return answer


ANSWERS = {
    "best_weights": Answers(
        right={"clones": keeping(cloned), "a file in memory": keeping(through_a_file), "a list": with_a_list}, wrong={
            "some cloned": (keeping(clones_of_the_linear_layer), "after step 2 and step 5"),
            "two faults: living, and the last of equals": (
                keeping(lambda model: model.state_dict(), lambda score, best: score >= best), "those of the last step"),
            "lists of numbers": (keeping(lambda model: {"0.bias": model[0].bias.tolist()}), "has the keys"),
            "rounded": (keeping(lambda model: copy.deepcopy(model).half().state_dict()), "float16"),
            "nothing comes back": (keeping(cloned, finish=lambda best: None), "returns nothing"),
        }),
    "opens_safely": Answers(
        right={"with an error's base class": loading((pickle.UnpicklingError, pickle.PicklingError))}, wrong={
            "two faults: every error, turned round": (
                lambda path: not loading(Exception)(path), "should be `True`, but it is `False`"),
            "nothing for a refusal": (loading(pickle.UnpicklingError, refused=None), "should be `False`"),
            "the content": (lambda path: path.read_bytes(), "should be `True`"),
            "pickle itself": (unpickling, "the error UnpicklingError"),
            "the file is deleted": (deleting, "the file is left as it was: that should be so"),
        }),
    "read_with_file": Answers(
        right={"by hand": by_hand, "with predict_logits": reading()}, wrong={
            "two faults: course's own statistics, probabilities": (
                reading(
                    lambda raw, mean, std: normalise(raw),
                    lambda model, images: predict_logits(model, images).softmax(dim=1),
                ),
                "return probabilities",
            ),
            "other sizes": (reading(hidden_size=5), "size mismatch for fc1.weight"),
            "dropout on": (reading(logits=lambda model, images: model.train()(images)), "dropout is on"),
            "a number of logits": (reading(logits=lambda *given: predict_logits(*given).sum()), "the shape"),
        }),
    "centred": Answers(
        right={
            "on a canvas": on_a_canvas,
            "numpy inside": rolling(lambda row, column: (round(14 - row), round(14 - column))),
        }, wrong={
            "two faults: goal of 13, the wrong axes": (
                rolling(lambda row, column: (round(13 - column), round(13 - row))), "along the wrong axes"),
            "a fixed shift": (lambda image: image.roll((3, -3), dims=(0, 1)), "result as a move should be"),
            "floats": (lambda image: on_a_canvas(image).float(), "numbers are right, but the result is float32"),
            "cut at the edge": (lambda image: on_a_canvas(image).clamp(max=200), "as bright as it was"),
            "one axis too many": (lambda image: on_a_canvas(image)[None], "should have the shape"),
        }),
}  # fmt: skip
