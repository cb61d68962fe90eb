"""The widgets, without a browser: what Python does with a drawing, and the still pictures of a book."""

import runpy
import subprocess
import sys

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.utils.capture import capture_output

from digitlib import CNN, load_raw, normalise, widgets
from digitlib.data import ordinary_digits
from digitlib.predict import predict
from digitlib.widgets import PAD_SIZE, DrawPad, explore
from tools import export_page
from tools.draw_table import NODE


@pytest.fixture
def live(monkeypatch):
    monkeypatch.delenv("DIGITLIB_STILL", raising=False)


@pytest.fixture
def still(monkeypatch):
    monkeypatch.setenv("DIGITLIB_STILL", "1")


def drawing(number: int = 0) -> bytes:
    """Return a drawing as the browser sends it: a digit of the validation part, ten times as large."""
    image = load_raw("validation")[0][number].numpy()
    return np.kron(image, np.ones((10, 10), np.uint8)).tobytes()


def test_a_drawing_is_read_like_a_picture_of_it(live, tmp_path):
    from PIL import Image

    torch.manual_seed(0)
    model = CNN().eval()
    pad = DrawPad(model)
    assert (pad.image, pad.probabilities) == (None, [])
    pad.ink = drawing()
    levels = np.frombuffer(pad.ink, np.uint8).reshape(PAD_SIZE, PAD_SIZE)
    Image.fromarray(255 - levels).save(tmp_path / "drawing.png")
    assert pad.probabilities == pytest.approx(predict(model, tmp_path / "drawing.png").probabilities)
    with torch.no_grad():
        expected = model(normalise(pad.image[None])).softmax(dim=1)[0]
    torch.testing.assert_close(torch.tensor(pad.probabilities), expected)
    assert pad.seen == pad.image.numpy().tobytes()


def test_a_drawing_comes_as_the_browser_sends_it(live):
    pad = DrawPad(CNN())
    pad.set_state({"ink": memoryview(drawing())})
    assert pad.ink == drawing() and len(pad.probabilities) == 10
    assert pad.model.training, "the model stays in its mode"


def test_an_empty_pad_has_no_answer(live):
    pad = DrawPad(CNN())
    pad.ink = drawing()
    assert len(pad.probabilities) == 10
    pad.ink = bytes(PAD_SIZE**2)
    assert (pad.image, pad.probabilities, pad.seen) == (None, [], b"")
    pad.ink = b"\x01\x02"  # not from our page
    assert pad.probabilities == []


def test_a_pad_brings_ten_digits_for_a_keyboard(live):
    assert DrawPad(CNN()).samples == ordinary_digits().numpy().tobytes()


def test_a_pad_wants_a_network(live):
    with pytest.raises(TypeError, match="expected a trained network"):
        DrawPad("checkpoints/cnn.pth")


def test_the_script_is_a_valid_module_with_the_books_own_pad(live, tmp_path):
    script = str(DrawPad(CNN())._esm)
    assert script.startswith(export_page.PAD.read_text()) and script.count("export default") == 1
    (tmp_path / "pad.mjs").write_text(script)
    run = subprocess.run([NODE, "--check", tmp_path / "pad.mjs"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert ".digitlib-pad canvas" in str(DrawPad(CNN())._css)


def test_without_the_packages_of_widgets_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"no anywidget; run: pip install 'digitlib\[widgets\]'"):
        runpy.run_path(widgets.__file__)


def test_a_still_pad_says_where_the_live_one_is(still):
    bundle = DrawPad(CNN())._repr_mimebundle_()
    assert "[its own page](../book/draw.md)" in bundle["text/markdown"]
    assert not any("widget" in kind for kind in bundle)


def noted(calls):
    def draw(digit, order):
        calls.append((digit, order))

    return draw


def controls():
    return {
        "digit": ipywidgets.IntSlider(value=3, min=0, max=9),
        "order": ipywidgets.Dropdown(options=["near", "far"], value="far"),
    }


def test_explore_draws_once_where_nobody_moves_anything(still):
    calls = []
    with capture_output() as captured:
        assert explore(noted(calls), **controls()) is None
    assert calls == [(3, "far")]
    assert captured.outputs == []


def test_explore_draws_anew_when_a_control_is_moved(live):
    calls, moved = [], controls()
    with capture_output():
        explore(noted(calls), **moved)
        moved["digit"].value = 7
    assert calls == [(3, "far"), (7, "far")]
    assert moved["digit"].description == "digit"


def test_explore_takes_figures(still):
    def draw(size):
        plt.plot(range(size))
        plt.close()

    explore(draw, size=ipywidgets.IntSlider(value=2))
