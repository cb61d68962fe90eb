"""What moves in a notebook: a pad to draw digits on, and controls that draw a figure anew.

    DrawPad   write a digit by hand; the model that you trained reads it as you draw
    explore   sliders and menus above a figure

With $DIGITLIB_STILL set, as where a notebook is tested or made into a page, both show one still picture instead.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

try:
    import anywidget
    import ipywidgets
    import traitlets
    from IPython.display import display
except ImportError as error:
    found = f"no {error.name}; run: pip install 'digitlib[widgets]'"
    raise ImportError(f"expected the packages of digitlib's widgets, found {found}") from error

from digitlib.data import ordinary_digits
from digitlib.predict import find_ink, predict_images, to_mnist_format

PAD_SIZE = 280  # pixels along a side
_STILL = {
    "text/plain": "In JupyterLab a pad appears here.",
    "text/markdown": "*In JupyterLab a pad appears here; the book has one on [its own page](../book/draw.md).*",
}


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def explore(draw: Callable[..., None], **controls: ipywidgets.Widget) -> None:
    """Show controls and, below them, what draw makes of their values; draw again whenever one is moved.

    Args:
        draw: takes one argument for each control, draws a figure and ends with `plt.show()`.
        controls: ipywidgets such as `IntSlider(value=3, min=0, max=9)`, named as the arguments of draw.
    Taught in notebook 04.
    """
    if os.environ.get("DIGITLIB_STILL"):
        draw(**{name: control.value for name, control in controls.items()})
        return
    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.style.description_width = "initial"
    shown = ipywidgets.interactive_output(draw, controls)
    display(ipywidgets.VBox([*controls.values(), shown]))


class DrawPad(anywidget.AnyWidget):
    """A pad to write a digit on, in JupyterLab, VS Code or Colab; the model reads it as you draw.

    Args:
        model: maps float32 (N, 1, 28, 28), normalised, to logits (N, 10).
    Attributes:
        image: uint8 (28, 28), what the network saw, or None.
    Raises:
        TypeError: model is no nn.Module.
    Taught in notebook 11.
    """

    _esm = _beside("pad.js") + _beside("draw_pad.js")  # the first is the pad of the book's page, too
    _css = _beside("draw_pad.css")
    # 280 x 280 levels row by row, 0 = paper, 255 = ink; what the browser sends comes as a memoryview.
    ink = traitlets.Bytes(b"").tag(sync=True, from_json=lambda levels, _: bytes(levels))
    probabilities = traitlets.List(traitlets.Float()).tag(sync=True)  # ten, or none while nothing is drawn
    seen = traitlets.Bytes(b"").tag(sync=True)  # the levels of image, or none
    samples = traitlets.Bytes().tag(sync=True)  # of ten digits that a keyboard can put on the pad

    def __init__(self, model: nn.Module):
        if not isinstance(model, nn.Module):
            raise TypeError(f"expected a trained network (nn.Module), got {type(model).__name__}")
        self.model, self.image = model, None
        super().__init__(samples=ordinary_digits().numpy().tobytes())

    @traitlets.observe("ink")
    def _read(self, change: dict) -> None:
        """Take the drawing the way of every picture: ink, 28x28, the network."""
        try:
            levels = np.frombuffer(change["new"], np.uint8).reshape(PAD_SIZE, PAD_SIZE)
            image = torch.from_numpy(to_mnist_format(find_ink(1 - levels.astype(np.float32) / 255)))
        except ValueError:  # of another size; or an ImageError: nothing is drawn, or hardly anything yet
            self.image, self.seen, self.probabilities = None, b"", []
            return
        (prediction,) = predict_images(self.model, [image])
        self.image, self.seen = image, image.numpy().tobytes()
        self.probabilities = list(prediction.probabilities)

    def _repr_mimebundle_(self, **options):
        return _STILL if os.environ.get("DIGITLIB_STILL") else super()._repr_mimebundle_(**options)
