"""Put the trained CNN, ten sample digits and the pad into the book, for the page on which readers draw.

A page that is opened from a folder may load scripts and nothing else, so both become one script: numbers as base64.
Jupyter Book calls this as a Sphinx extension (see _config.yml) at the end of each build, so that the page can hold no
other weights than those of the recipe. Where no earlier run has kept the CNN, it is trained first, in about half a
minute. The pad is the one of digitlib's widget, which brings it along.

Example:
    python tools/export_page.py weights.js
"""

import base64
import json
import shutil
import sys
from pathlib import Path

RECIPE = "cnn"
SCRIPT = "_static/draw/weights.js"  # in the built book
PAD = Path(__file__).parents[1] / "digitlib" / "pad.js"


def script(model=None) -> str:
    """Return the script: `const WEIGHTS`, by name the shape and the float32 of each tensor, and `const SAMPLES`.

    Args:
        model: a trained `digitlib.models.CNN`; without one, that of the recipe's checkpoint.
    """
    if model is None:
        from digitlib.checkpoints import load_or_train  # torch takes seconds: not for `import export_page`

        model = load_or_train(RECIPE).model
    weights = {
        name: {"shape": list(tensor.shape), "base64": _base64(tensor.numpy().astype("<f4").tobytes())}
        for name, tensor in model.state_dict().items()
    }
    samples = [_base64(image.numpy().tobytes()) for image in sample_images()]
    return (
        f"// Written by tools/export_page.py: the recipe {RECIPE!r}, trained.\n"
        f"const WEIGHTS = {json.dumps(weights)};\n"
        "// Digits 0 to 9 of MNIST's validation part, uint8 28x28. Y. LeCun, C. Cortes, C. Burges, CC BY-SA 3.0.\n"
        f"const SAMPLES = {json.dumps(samples)};\n"
    )


def sample_images() -> list:
    """Return ten ordinary digits, 0 to 9: of the validation part, the image of each that is nearest to their mean."""
    from digitlib.data import load_raw

    images, labels = load_raw("validation")
    samples = []
    for digit in range(10):
        own = images[labels == digit]
        mean = own.float().mean(dim=0)
        samples.append(own[(own - mean).square().sum(dim=(1, 2)).argmin()])  # uint8 (28, 28)
    return samples


def setup(app) -> dict:
    """Have Sphinx call `write_into_book` when a build has ended."""
    app.connect("build-finished", write_into_book)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_into_book(app, exception: Exception | None) -> None:
    """Write both scripts into the built book; other kinds of output (LaTeX, a link check) need none."""
    if exception is None and app.builder.format == "html":
        print(f"writing the trained CNN to {SCRIPT}; where none is kept, it is trained first: half a minute")
        _write(Path(app.outdir) / SCRIPT)
        shutil.copy(PAD, (Path(app.outdir) / SCRIPT).parent)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(), encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
