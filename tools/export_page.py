"""Put the recommended network, ten sample digits and the pad into the book, for the page on which readers draw.

A page that is opened from a folder may load scripts and nothing else, so all become scripts: numbers as base64.
Jupyter Book calls this as a Sphinx extension (see _config.yml) at the end of each build, so that the page can hold no
other weights than those of data/weights. The pad is the one of digitlib's widget, which brings it along.

Example:
    python tools/export_page.py weights.js
"""

import base64
import json
import shutil
import sys
from pathlib import Path

SCRIPT = "_static/draw/weights.js"  # in the built book
ROOT = Path(__file__).resolve().parents[1]
PAD = ROOT / "digitlib" / "pad.js"


def script(model=None) -> str:
    """Return the script: `const NETWORK`, see `describe`, `const SURE`, as in `digitlib.predict`, `const SAMPLES`.

    Args:
        model: a trained `digitlib.models.ConvNet`; without one, the network that is part of digitlib.
    """
    from digitlib.checkpoints import load_recommended  # torch takes seconds: not for `import export_page`
    from digitlib.data import ordinary_digits
    from digitlib.predict import SURE

    samples = [_base64(image.numpy().tobytes()) for image in ordinary_digits()]
    return (
        "// Written by tools/export_page.py.\n"
        f"const NETWORK = {json.dumps(describe(model or load_recommended().model))};\n"
        f"const SURE = {SURE};\n"
        "// Digits 0 to 9 of MNIST's validation part, uint8 28x28. Y. LeCun, C. Cortes, C. Burges, CC BY-SA 3.0.\n"
        f"const SAMPLES = {json.dumps(samples)};\n"
    )


def describe(model) -> dict:
    """Return a ConvNet's layers, each tensor as its shape and its float32 in base64, ready for JSON.

    Returns:
        {"convolutions": [{"weight", "bias", "isPooled"}, ...], "fc": {"weight", "bias"}}, with the normalisation of
        evaluation mode inside the convolutions' weights and biases.
    """
    from torch import nn

    convolutions = []
    for layer, following in zip(model.features, model.features[1:]):
        if isinstance(layer, nn.Conv2d):
            weight, bias = fold(layer, following)
            convolutions.append({"weight": _tensor(weight), "bias": _tensor(bias), "isPooled": False})
        elif isinstance(following, nn.MaxPool2d):
            convolutions[-1]["isPooled"] = True
    return {
        "convolutions": convolutions,
        "fc": {"weight": _tensor(model.fc.weight), "bias": _tensor(model.fc.bias)},
    }


def fold(convolution, normalisation) -> tuple:
    """Return the weight and the bias of the one convolution that does what both layers do in evaluation mode.

    There the mean and the variance are fixed, and with scale = weight / √(variance + eps)
    scale · (kernel · x - mean) + bias  =  (scale · kernel) · x + (bias - scale · mean).
    """
    scale = normalisation.weight / (normalisation.running_var + normalisation.eps).sqrt()
    return convolution.weight * scale[
        :, None, None, None
    ], normalisation.bias - scale * normalisation.running_mean


def setup(app) -> dict:
    """Have Sphinx call `write_into_book` when a build has ended."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # Jupyter Book knows the folder of this file alone
    app.connect("build-finished", write_into_book)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_into_book(app, exception: Exception | None) -> None:
    """Write scripts and pictures into the built book; other kinds of output (LaTeX, a link check) need none."""
    if exception is None and app.builder.format == "html":
        from tools import front_picture

        _write(Path(app.outdir) / SCRIPT)
        shutil.copy(PAD, (Path(app.outdir) / SCRIPT).parent)
        front_picture.draw(Path(app.outdir) / "_static/frame")


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(), encoding="utf-8")


def _tensor(tensor) -> dict:
    numbers = tensor.detach().numpy().astype("<f4")
    return {"shape": list(tensor.shape), "base64": _base64(numbers.tobytes())}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
