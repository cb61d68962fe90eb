"""Write what the book's things to touch need: digits, a landscape, two networks' numbers, images to learn from.

A page that is opened from a folder may load scripts and nothing else, so all become scripts: numbers as base64.
Jupyter Book calls this as a Sphinx extension (see _config.yml) at the end of each build; it takes seconds, and nothing
of it is committed. What the pages do with it: book/_static/touch.

Example:
    python tools/export_touch.py _build/html
"""

import base64
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

FOLDER = "_static/touch/data"  # in the built book
LICENCE = "// Images of MNIST: Y. LeCun, C. Cortes, C. Burges, CC BY-SA 3.0.\n"


def digits() -> list[str]:
    """Return ten ordinary digits, 0 to 9, uint8 28x28 each in base64."""
    from digitlib.data import ordinary_digits

    return [_base64(image.numpy()) for image in ordinary_digits()]


def surface(size: int = 86) -> dict:
    """Return the loss surface of notebook 06: its height on a grid, and the images that it is made of.

    Returns:
        size; low, high: the corners [w, b]; heights: float32 (size, size), b by row, w by column; ink: float32 (1000,);
        labels: uint8 (1000,), 0 or 1.
    """
    import torch

    ink, labels = zeros_and_ones()
    low, high = [-1.0, -4.5], [5.0, 3.5]  # as the notebook draws it
    b, w = torch.meshgrid(
        torch.linspace(low[1], high[1], size), torch.linspace(low[0], high[0], size), indexing="ij"
    )
    heights = torch.stack(
        [loss_at(torch.stack(point), ink, labels) for point in zip(w.flatten(), b.flatten())]
    )
    return {
        "size": size,
        "low": low,
        "high": high,
        "heights": _base64(heights.numpy()),
        "ink": _base64(ink.numpy()),
        "labels": _base64(labels.byte().numpy()),
    }


def zeros_and_ones() -> tuple:
    """Return the ink in the middle of the first 1,000 zeros and ones, and which they are, as notebook 06 does."""
    from digitlib.data import load_part

    images, labels = load_part("train")
    two = (labels < 2).nonzero()[:1000, 0]
    return images[two, 0, 13:15, 13:15].sum(dim=(1, 2)), labels[two]


def loss_at(parameters, ink, labels):
    """Return the loss of [w, b], as notebook 06 does."""
    import torch
    import torch.nn.functional as F

    score = parameters[0] * ink + parameters[1]
    return F.cross_entropy(torch.stack([torch.zeros(len(ink)), score], dim=1), labels)


def images(num_images: int = 3000, num_validation: int = 500) -> dict:
    """Return the first images of the training part, to learn from in the page; the last of them are for validation.

    Returns:
        zlib: uint8 (num_images, 28, 28), compressed (zlib's "deflate" is a browser's own, too); labels: uint8; the
        two numbers.
    """
    from digitlib.data import load_raw

    pixels, labels = load_raw("train")
    return {
        "numImages": num_images,
        "numValidation": num_validation,
        "zlib": _compressed(pixels[:num_images].numpy()),
        "labels": _base64(labels[:num_images].byte().numpy()),
    }


def rnn() -> dict:
    """Return a small recurrent network, as `describe_rnn` does, and its accuracy on the validation part.

    It is the recipe `rnn` with fewer units and epochs: trained in seconds, and once, for its checkpoint is kept.
    """
    from digitlib.checkpoints import load_or_train
    from digitlib.recipes import change, find

    small = {
        "model_options": {"hidden_size": 32},
        "optimizer": "adam",
        "learning_rate": 8e-3,
        "num_epochs": 3,
    }
    checkpoint = load_or_train(change(find("rnn"), name="rnn-small", **small))
    return {"accuracy": checkpoint.metrics["validation_accuracy"], **describe_rnn(checkpoint.model)}


def describe_rnn(model) -> dict:
    """Return each tensor's float32 in base64; both biases of the recurrent layer are one."""
    layer = model.rnn
    tensors = {
        "weightIn": layer.weight_ih_l0,
        "weightHidden": layer.weight_hh_l0,
        "bias": layer.bias_ih_l0 + layer.bias_hh_l0,
        "out": model.fc.weight,
        "outBias": model.fc.bias,
    }
    return {name: _base64(tensor.detach().numpy()) for name, tensor in tensors.items()}


def mistakes(logits=None, *, most_sure: float = 0.99) -> dict:
    """Return what a network makes of the test images: all counts, and the images that it misreads or is not sure of.

    Args:
        logits: float (10000, 10); without them, those of the network that is part of digitlib.
        most_sure: images that are read right with at least this probability are counted, and left out.
    Returns:
        counts: (10, 10), row = true digit, column = digit read; mostSure; labels; zlib: the images, compressed;
        probabilities: uint16 of each image's ten probabilities, 65535 = 1.
    """
    from digitlib.checkpoints import load_recommended
    from digitlib.data import load_raw, normalise
    from digitlib.evaluation import confusion_matrix, predict_logits

    pixels, labels = load_raw("test")
    logits = predict_logits(load_recommended().model, normalise(pixels)) if logits is None else logits
    confidence, read = logits.softmax(1).max(1)
    shown = ((read != labels) | (confidence < most_sure)).nonzero().flatten()
    probabilities = (65535 * logits[shown].double().softmax(1)).round().numpy().astype("<u2")
    return {
        "counts": confusion_matrix(labels, read).tolist(),
        "mostSure": most_sure,
        "labels": labels[shown].tolist(),
        "probabilities": _base64(probabilities),
        "zlib": _compressed(pixels[shown].numpy()),
    }


DATA: dict[str, Callable] = {
    "digits": digits,
    "surface": surface,
    "images": images,
    "rnn": rnn,
    "mistakes": mistakes,
}


def script(name: str) -> str:
    """Return the script that gives the pages one of DATA: `Touch.data.NAME = ...`."""
    return f"// Written by tools/export_touch.py.\n{LICENCE}Touch.data.{name} = {json.dumps(DATA[name]())};\n"


def setup(app) -> dict:
    """Have Sphinx put the loader on every page, and call `write_into_book` when a build has ended."""
    app.add_js_file("touch/touch.js", loading_method="defer")
    app.connect("build-finished", write_into_book)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_into_book(app, exception: Exception | None) -> None:
    """Write all scripts into the built book; other kinds of output (LaTeX, a link check) need none."""
    if exception is None and app.builder.format == "html":
        write(Path(app.outdir))


def write(book: Path) -> None:
    """Write all scripts into a built book's folder."""
    folder = book / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in DATA:
        (folder / f"{name}.js").write_text(script(name), encoding="utf-8")


def _base64(numbers) -> str:
    if numbers.dtype.kind == "f":
        numbers = numbers.astype("<f4")
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def _compressed(pixels) -> str:
    return base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode("ascii")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
