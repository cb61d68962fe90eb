"""The page on which readers draw: its JavaScript, run in Node, does what the library does; its parts fit together."""

import base64
import functools
import json
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy
import skimage
import torch
from PIL import Image, ImageDraw

from digitlib import pictures, predict
from digitlib.checkpoints import load_recommended
from digitlib.data import load_raw, normalise
from digitlib.evaluation import predict_logits
from digitlib.models import ConvNet, count_parameters
from tools import draw_table, export_page, pages
from tools.draw_table import PEN, SIZE, run_scripts
from tools.strokes import STYLES, collection

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "book/_static/draw"
PAGE = draw_table.PAGE.read_text(encoding="utf-8")
FIRST_PAGE = (ROOT / "book/introduction.md").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in (*FOLDER.glob("*.js"), export_page.PAD)}
LARGEST_PAGE = 900_000  # bytes, beyond the theme

HELPERS = """
const toBase64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
const floats = (text) => new Float32Array(decodeBytes(text).buffer);
"""


@pytest.fixture(scope="module")
def model():
    return load_recommended().model


@pytest.fixture(scope="module")
def weights():
    """Make the script that the book's build writes."""
    return export_page.script()


def javascript(body: str, script: str = "", **given):
    return run_scripts(HELPERS + body, script, size=SIZE, pen=PEN, **given)


def as_base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def squares(text: str, dtype=np.uint8) -> np.ndarray:
    """Return the images of one side that a script sent as base64."""
    numbers = np.frombuffer(bytearray(base64.b64decode(text)), dtype)
    return numbers.reshape(-1, SIZE, SIZE) if dtype == np.float32 else numbers.reshape(-1, 28, 28)


def prepare_all(images: list[np.ndarray], *left_out: str) -> list[np.ndarray]:
    """Take float32 squares, 0 = paper, through the page's stages; return uint8 (28, 28) each."""
    answers = javascript(
        "return given.images.map(([side, text]) =>"
        " toBase64(prepare(floats(text), side, new Set(given.leftOut)).levels));",
        images=[(len(image), as_base64(image.astype(np.float32))) for image in images],
        leftOut=left_out,
    )
    return [squares(text)[0] for text in answers]


@functools.cache
def drawings() -> list[np.ndarray]:
    """Draw every fifth way of writing with the page's own pen; return float32 (280, 280) each."""
    written = [strokes for _, strokes in collection(1, seed=0)[::5]]
    answers = javascript(
        "return given.written.map((strokes) => toBase64(draw(strokes, given.size, given.pen)));",
        written=written,
    )
    return [squares(text, np.float32)[0] for text in answers]


# ---- the stages -----------------------------------------------------------------------------------------------------


def test_a_drawing_is_prepared_as_a_picture_file_of_it_is(tmp_path):
    """`digitlib.predict.prepare` on what the canvas shows, dark ink on white, is the reference."""
    differences = []
    for image, levels in zip(drawings(), prepare_all(drawings()), strict=True):
        Image.fromarray(np.rint(255 * (1 - image)).astype(np.uint8)).save(tmp_path / "pad.png")
        expected = predict.prepare(tmp_path / "pad.png").numpy().astype(int)
        differences.append(np.abs(expected - levels).mean() / 255)
    assert len(differences) == 23 and np.mean(differences) <= 0.02


def odd_images() -> list[np.ndarray]:
    """Draw what a hand would not: one pixel, less than 20 pixels, a line, the whole pad, noise, faint ink."""
    rng = np.random.default_rng(0)
    places = [(5, 9, 1, 1), (0, 0, 13, 7), (3, 2, 20, 20), (40, 1, 1, 150), (1, 40, 150, 2), (0, 0, 200, 200)]
    images = []
    for top, left, height, width in [*places, (7, 11, 61, 90)]:
        image = np.zeros((200, 200), np.float32)
        image[top : top + height, left : left + width] = rng.uniform(0.01, 0.4, (height, width))
        images.append(image)
    return images


def test_scaling_and_centring_are_those_of_to_mnist_format():
    images = [*odd_images(), *drawings()]
    for image, levels in zip(images, prepare_all(images, "specks"), strict=True):
        assert np.abs(predict.to_mnist_format(image).astype(int) - levels).max() <= 1


def dotted(rng: np.random.Generator) -> np.ndarray:
    """Draw some discs of all sizes, the first one large, on a pad of 120 pixels."""
    y, x = np.mgrid[:120, :120]
    image = np.zeros((120, 120), np.float32)
    for number in range(rng.integers(2, 8)):
        radius = rng.uniform(10, 18) if number == 0 else rng.uniform(1, 14)
        top, left = rng.uniform(radius, 119 - radius, 2)
        level = rng.uniform(0.3, 1)
        image = np.maximum(image, level * np.clip(radius - np.hypot(y - top, x - left), 0, 1))
    return image.astype(np.float32)


def test_specks_are_dropped_by_the_library_s_rule():
    rng = np.random.default_rng(0)
    images = [dotted(rng) for _ in range(60)]
    answers = javascript(
        "return given.images.map((text) => toBase64(dropSpecks(floats(text), 120)));",
        images=[as_base64(image) for image in images],
    )
    num_pieces = []
    for image, text in zip(images, answers, strict=True):
        kept = pictures._drop_specks(image > 0, image)
        assert np.array_equal(
            np.frombuffer(base64.b64decode(text), np.float32).reshape(120, 120), image * kept
        )
        heights = pictures.piece_heights(skimage.measure.label(image > 0, connectivity=2))[1:]
        num_pieces.append((len(heights), np.count_nonzero(kept != (image > 0)) > 0))
    assert 20 <= sum(dropped for _, dropped in num_pieces) <= 50  # of both there are enough


def test_no_ink_is_no_image():
    assert (
        javascript("return [[100, 10], [0, 0]].map(([n, side]) => prepare(new Float32Array(n), side));")
        == [None] * 2
    )


def placed(small: np.ndarray) -> np.ndarray:
    """Put an image into the middle of 28x28 grey levels."""
    margin = (28 - len(small)) // 2
    return np.pad(np.rint(255 * (small / small.max())).astype(np.uint8), margin)


def resized(image: np.ndarray, side: int, how=Image.Resampling.BILINEAR) -> np.ndarray:
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((side, side), how))


def test_each_stage_can_be_left_out():
    """Pillow does the rest of the stages here."""
    image = scipy.ndimage.grey_dilation(
        drawings()[2], 25
    )  # a 1, taller than wide, and broad: nothing to thicken
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    cropped = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = cropped.shape
    assert height > width
    square = np.pad(cropped, ((0, 0), ((height - width) // 2, height - width - (height - width) // 2)))
    expected = {
        ("centre",): placed(resized(square, 20)),
        ("centre", "proportions"): placed(resized(cropped, 20)),
        ("centre", "average"): placed(resized(square, 20, Image.Resampling.NEAREST)),
        ("centre", "crop"): placed(resized(image, 28)),
        ("centre", "invert"): 255 - placed(resized(square, 20)),
    }
    found = javascript(
        "return given.leftOut.map((out) => toBase64(prepare(floats(given.image), 280, new Set(out)).levels));",
        image=as_base64(image),
        leftOut=[list(left_out) for left_out in expected],
    )
    for (left_out, levels), text in zip(expected.items(), found, strict=True):
        assert np.abs(squares(text)[0].astype(int) - levels).max() <= 1, left_out

    (whole,) = prepare_all([image], "crop")  # small still, but in the middle
    for axis in (0, 1):
        mass = whole.sum(1 - axis, dtype=float)
        assert abs((mass * np.arange(28)).sum() / mass.sum() - 14) <= 0.55
    plain, scaled = javascript(
        "return [[], ['normalise']].map((out) => Array.from(prepare(floats(given.image), 280, new Set(out)).input));",
        image=as_base64(image),
    )
    (levels,) = prepare_all([image])
    assert np.array_equal(np.float32(scaled), levels.ravel() / np.float32(255))
    assert np.allclose(plain, normalise(torch.from_numpy(levels)[None]).flatten(), atol=1e-6)


# ---- the network ----------------------------------------------------------------------------------------------------

FORWARD = """
const network = decodeNetwork(NETWORK);
const levels = decodeBytes(given.levels);
return Array.from({ length: levels.length / 784 }, (_, i) => {
  const { logits, maps, probabilities } = forward(network, normalise(levels.subarray(784 * i, 784 * (i + 1))));
  return { logits: Array.from(logits), shape: maps.shape, maps: i === 0 ? Array.from(maps.data) : null, probabilities };
});
"""


def unlike_the_recommended_one() -> ConvNet:
    """Make a network of other sizes that pools maps of odd sides, with statistics as training leaves them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConvNet((3, 5, 4), (0, 1, 2))
        model(4 * torch.randn(64, 1, 28, 28) + 1)
        for layer in model.features[1::4]:
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
    return model.eval()


@pytest.mark.parametrize("make", [lambda: None, unlike_the_recommended_one], ids=["recommended", "other"])
def test_images_are_read_as_torch_reads_them(make, model):
    """The logits and probabilities of 64 images, and the feature maps of the first convolution, normalised."""
    made = make()
    images = load_raw("validation")[0][:64]
    answers = javascript(FORWARD, export_page.script(made), levels=as_base64(images.numpy()))
    reader = made or model
    with torch.inference_mode():
        maps = reader.features[:2](normalise(images[:1]))[0]
    expected = predict_logits(reader, normalise(images))
    assert (torch.tensor([answer["logits"] for answer in answers]) - expected).abs().max() <= 1e-4
    shares = torch.tensor([answer["probabilities"] for answer in answers])
    assert (shares - expected.softmax(1)).abs().max() <= 1e-4
    assert answers[0]["shape"] == list(maps.shape)
    assert np.allclose(answers[0]["maps"], maps.flatten(), atol=1e-4)


def test_softmax_bears_large_logits():
    assert javascript("return softmax([1000, 0, 1000]);") == [0.5, 0, 0.5]


# ---- how well it reads ----------------------------------------------------------------------------------------------


def test_drawn_digits_are_read_right_and_the_page_says_how_many(weights):
    assert sorted(STYLES) == list(range(10)) and sum(map(len, STYLES.values())) == 114
    written = collection(draw_table.TIMES, seed=0)
    (answer,) = draw_table.read(weights, written, [[]])
    num_right = sum(digit == read for (digit, _), read in zip(written, answer, strict=True))
    assert num_right >= 0.98 * len(written)

    table = PAGE.partition(pages.START)[2].partition(pages.END)[0].strip()
    assert pages.insert_table(PAGE, table, "draw.md") == PAGE
    rows = dict(re.findall(r"^\| ([a-z, ]+) \| (\d+\.\d%) \|$", table, flags=re.MULTILINE))
    assert list(rows) == [", ".join(stages) or "nothing" for stages in draw_table.LEFT_OUT]
    assert rows["nothing"] == f"{num_right / len(written):.1%}", "run: python -m tools.draw_table"
    shares = {left_out: float(share.rstrip("%")) for left_out, share in rows.items()}
    both, nothing = shares["crop, centre"], shares["nothing"]  # what the prose says under the table
    assert min(shares["crop"], shares["centre"]) > nothing - 3
    assert max(both, shares["proportions"]) < nothing - 5
    assert min(shares["normalise"], shares["average"]) > nothing - 1
    assert shares["invert"] < 65
    stages = json.loads(re.search(r"const STAGES = (\[.*?\]);", SCRIPTS["page.js"])[1])
    assert {stage for left_out in draw_table.LEFT_OUT for stage in left_out} == set(stages)


def test_right_answers_are_counted():
    answers = [[1, 2, 3, 3], *[[1, 2, 3, 4]] * (len(draw_table.LEFT_OUT) - 1)]
    head, _, first, *others = draw_table.as_markdown([(d, None) for d in (1, 2, 3, 4)], answers).splitlines()
    assert (head, first) == ("| left out | read right |", "| nothing | 75.0% |")
    assert others[-1] == "| normalise | 100.0% |"


def test_what_the_page_says_of_the_network_is_so(model, weights):
    convolutions = [layer for layer in model.features if isinstance(layer, torch.nn.Conv2d)]
    sides = []
    hooks = [
        layer.register_forward_hook(lambda _, __, maps: sides.append(maps.shape[-1]))
        for layer in convolutions
    ]
    predict_logits(model, torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    counts = [side**2 * layer.weight.numel() for side, layer in zip(sides, convolutions, strict=True)]
    assert f"= {counts[1]:,} times" in PAGE
    assert f"{(sum(counts) + model.fc.weight.numel()) / 1e6:.1f} million times" in PAGE
    assert f"{count_parameters(model):,} parameters" in PAGE
    assert f"{len(weights) / 1000:.0f} kB" in PAGE
    assert f"{predict.SURE:.0%} the page says that it is not sure" in PAGE
    assert convolutions[0].weight.shape == (16, 1, 3, 3) and "sixteen kernels of 3×3" in PAGE


def test_what_the_page_says_of_the_training_images_is_so():
    images = load_raw("train")[0]
    ink = images > 0
    place = torch.arange(28)
    longest = torch.maximum(
        *(
            (lines * place).amax(1) - (27 - (lines * (27 - place)).amax(1)) + 1
            for lines in (ink.any(1), ink.any(2))
        )
    )
    assert torch.bincount(longest)[:21].tolist() == [0] * 19 + [12, 54_988]
    for axis in (1, 2):
        lines = images.sum(axis, dtype=torch.double)
        assert ((lines * torch.arange(28)).sum(1) / lines.sum(1) - 14).abs().max() < 0.53


# ---- the pad --------------------------------------------------------------------------------------------------------

# Enough of a browser for the pad: it is shown at half its size, 10 pixels from the left and 20 from the top.
BROWSER = """
const listeners = {};
const captured = new Set();
let shown = null;
let changes = 0;
const canvas = {
  style: {},
  setAttribute() {},
  getContext: () => ({
    createImageData: (width, height) => ({ data: new Uint8ClampedArray(4 * width * height) }),
    putImageData: (picture) => (shown = picture.data),
  }),
  addEventListener: (type, listener) => (listeners[type] = listener),
  getBoundingClientRect: () => ({ left: 10, top: 20, width: 140, height: 140 }),
  setPointerCapture(id) {
    if (id === 99) throw new Error("no such pointer");
    captured.add(id);
  },
  hasPointerCapture: (id) => captured.has(id),
};
globalThis.document = { createElement: () => canvas };
const pad = createPad({ append() {} }, { onChange: () => changes++ });
const send = (type, clientX, clientY, more = {}) => {
  listeners[type]({ pointerId: 1, button: 0, clientX, clientY, preventDefault() {}, ...more });
};
const points = () => pad.items.map((item) => item.points);
const ink = () => pad.grey.reduce((sum, level) => sum + level, 0);
"""


def pad(body: str):
    return javascript(BROWSER + body)


def test_strokes_follow_the_pointer():
    """Through what a browser sends between two frames, too; a second finger and another button draw nothing."""
    answer = pad("""
        send("pointermove", 30, 40);  // not pressed
        send("pointerdown", 20, 40, { button: 2 });
        send("pointerdown", 20, 40);
        send("pointerdown", 90, 90, { pointerId: 2 });
        send("pointermove", 95, 95, { pointerId: 2 });
        send("pointerup", 95, 95, { pointerId: 2 });
        const between = [{ clientX: 30, clientY: 40 }, { clientX: 40, clientY: 40 }];
        send("pointermove", 40, 40, { getCoalescedEvents: () => between });
        send("pointermove", 50, 45, { getCoalescedEvents: () => [] });
        send("pointerup", 50, 45);
        return { points: points(), width: pad.items[0].width, changes, touch: canvas.style.touchAction };
    """)
    stroke = [[20, 40], [40, 40], [60, 40], [80, 50]]
    assert answer == {"points": [stroke], "width": PEN, "changes": 4, "touch": "none"}


def test_a_pointer_that_cannot_be_captured_draws_and_blocks_nobody():
    answer = pad("""
        send("pointerdown", 20, 40, { pointerId: 99 });
        send("pointermove", 25, 40, { pointerId: 99 });
        send("pointerdown", 50, 40);  // the other one never was let go of
        return points();
    """)
    assert answer == [[[20, 40], [30, 40]], [[80, 40]]]


def test_a_stroke_ends():
    answer = pad("""
        for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
          send("pointerdown", 20, 40);
          send(end, 20, 40);
          send("pointermove", 90, 90);
        }
        send("pointerdown", 20, 40);
        pad.undo();  // in the middle of a stroke
        send("pointermove", 90, 90);
        return points();
    """)
    assert answer == [[[20, 40]]] * 3


def test_undo_takes_back_each_change_a_stroke_a_move_a_sample_and_clear():
    answer = pad("""
        const picture = { pixels: [255], side: 1, left: 100, top: 50, scale: 10 };
        const steps = [
          () => { send("pointerdown", 30, 40); send("pointermove", 35, 45); send("pointerup", 35, 45); },
          () => { send("pointerdown", 80, 90); send("pointerup", 80, 90); },
          () => pad.transform(1.5, 20, -10),
          () => pad.replace([picture]),
          () => pad.transform(2, 0, 0),
          () => pad.clear(),
        ];
        const state = () => JSON.stringify([pad.items, ink(), pad.isEmpty()]);
        const before = steps.map((step) => { const was = state(); step(); return was; });
        pad.clear();  // an empty pad: nothing to take back
        const end = [ink(), pad.isEmpty()];
        const after = steps.map(() => { pad.undo(); return state(); }).reverse();
        pad.undo();  // nothing is left
        return { before, after, end, isEmpty: pad.isEmpty(), changes };
    """)
    assert answer["after"] == answer["before"] and len(set(answer["before"])) == 6
    assert answer["end"] == [0, True] and answer["isEmpty"] and answer["changes"] == 15


def test_what_is_shown_is_dark_ink_on_white_paper():
    shown, grey = pad("""
        send("pointerdown", 30, 40);
        send("pointermove", 60, 80);
        return [toBase64(shown), toBase64(pad.grey)];
    """)
    shown = np.frombuffer(base64.b64decode(shown), np.uint8).reshape(SIZE, SIZE, 4)
    grey = np.frombuffer(base64.b64decode(grey), np.float32).reshape(SIZE, SIZE)
    assert grey.max() == 1 and grey.min() == 0
    assert np.abs(shown[..., 0] - 255 * (1 - grey)).max() <= 0.5 + 1e-3
    assert (shown[..., :3] == shown[..., :1]).all() and (shown[..., 3] == 255).all()


def test_a_line_covers_what_a_line_covers():
    """Against Pillow, at eight times the size and averaged."""
    (x1, y1), (x2, y2) = (60.3, 200.8), (215.6, 45.2)
    picture = Image.new("L", (8 * SIZE, 8 * SIZE))
    pen = ImageDraw.Draw(picture)
    pen.line([8 * v for v in (x1, y1, x2, y2)], fill=255, width=8 * PEN)
    for x, y in ((x1, y1), (x2, y2)):
        pen.ellipse([8 * (v + s * PEN / 2) for s in (-1, 1) for v in (x, y)], fill=255)
    expected = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX)) / 255
    text = javascript(
        "const grey = new Float32Array(280 * 280); drawSegment(grey, 280, given.start, given.end, given.pen);"
        "return toBase64(grey);",
        start=(x1, y1),
        end=(x2, y2),
    )
    drawn = np.frombuffer(base64.b64decode(text), np.float32).reshape(SIZE, SIZE)
    assert np.abs(drawn - expected).max() <= 0.2  # at the edge
    assert np.abs(drawn - expected).mean() <= 0.001


def test_a_line_may_leave_the_pad():
    grey = javascript(
        "const grey = new Float32Array(100); drawSegment(grey, 10, [-50, 5], [50, 5], 2); return Array.from(grey);"
    )
    assert np.array_equal(np.reshape(grey, (10, 10))[4:6], np.ones((2, 10)))
    assert np.sum(grey) == 20


def test_a_drawing_moves_and_grows_with_its_pen():
    before, after = pad("""
        pad.replace([
          { width: 10, points: [[20, 30], [60, 30]] },
          { pixels: [255, 0, 0, 255], side: 2, left: 100, top: 50, scale: 10 },
        ]);
        const box = () => findBox({ pixels: pad.grey, width: 280, height: 280 });
        const before = box();
        pad.transform(1.5, 20, -10);
        return [before, [...pad.items, box()]];
    """)
    assert before == {"left": 15, "top": 25, "width": 105, "height": 45}
    assert after[0] == {"width": 15, "points": [[50, 35], [110, 35]]}
    assert after[1] == {"pixels": [255, 0, 0, 255], "side": 2, "left": 170, "top": 65, "scale": 15}
    for side, added in (("left", 20), ("top", -10), ("width", 0), ("height", 0)):
        assert abs(after[2][side] - (1.5 * before[side] + added)) <= 1


# ---- the page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page, own", [(PAGE, "page.js"), (FIRST_PAGE, "first.js")])
def test_a_page_loads_its_scripts_in_order(page, own):
    loaded = re.findall(r'<script defer src="\.\./_static/draw/([^"]+)">', page)
    assert loaded == ["weights.js", *(path.name for path in draw_table.SCRIPTS), "show.js", own]
    assert f"../{export_page.SCRIPT}" in page
    assert set(loaded) <= {*SCRIPTS, "weights.js"}


# Enough of a browser for the page: elements remember what is written into them, and time passes with `wait`.
DOCUMENT = """
const elements = {};
const heard = {}; // by what stands around the pad, and by the document
const makeElement = () => ({
  style: {}, dataset: {}, classList: { toggle() {} }, checked: true, width: 28, height: 28, textContent: "",
  parentElement: { addEventListener: (type, listener) => (heard[type] = listener) },
  setAttribute() {}, append() {},
  addEventListener(type, listener) { this[type] = listener; },
  getContext: () => ({
    createImageData: (width, height) => ({ width, data: new Uint8ClampedArray(4 * width * height) }),
    putImageData() {},
  }),
});
const samplesShown = Array.from({ length: 10 }, (_, sample) => Object.assign(makeElement(), { dataset: { sample } }));
globalThis.document = {
  createElement: makeElement,
  getElementById: (id) => (elements[id] ??= makeElement()),
  querySelectorAll: () => samplesShown,
  addEventListener: (type, listener) => (heard[type] = listener),
};
const waiting = [];
globalThis.requestAnimationFrame = globalThis.setTimeout = (task) => waiting.push(task);
const wait = () => { while (waiting.length) waiting.shift()(); };
"""


def test_the_page_says_what_it_reads_and_where_it_is_not_sure(weights):
    """The samples are one of each digit, and survive being put on the pad and prepared again."""
    one, dash = [[[0.3, 0.3], [0.5, 0.2], [0.5, 0.8]]], [[[0.2, 0.5], [0.8, 0.5]]]
    letter = [[[0.3, 0.2], [0.3, 0.8]], [[0.7, 0.2], [0.3, 0.5], [0.7, 0.8]]]  # a K
    answers, empty, asked = javascript(
        """
        const ids = ["draw-digit", "draw-sure", "draw-doubt", "draw-status", "draw-says-specks"];
        const say = () => { wait(); return ids.map((id) => elements[id].textContent); };
        const read = () => forward(network, prepare(pad.grey, pad.size).input).probabilities;
        const drawn = given.written.map((strokes) => {
          const items = strokes.map((points) => ({ width: 16, points: points.map((p) => p.map((x) => 280 * x)) }));
          return () => pad.replace(items);
        });
        const answers = [...samplesShown.map(({ click }) => click), ...drawn].map((act) => (act(), [read(), say()]));
        elements["draw-undo"].click();  // the page shows what was drawn before
        answers.push([read(), say()]);
        elements["draw-clear"].click();
        return [answers, say(), Object.keys(elements)];
        """,
        weights + DOCUMENT + SCRIPTS["show.js"] + SCRIPTS["page.js"],
        written=[letter, one, dash],
    )
    for probabilities, (digit, sure, doubt, status, says) in answers:
        second, first = np.argsort(probabilities)[-2:]
        is_sure = probabilities[first] >= predict.SURE
        share, other = (f"{100 * probabilities[place]:.1f}%" for place in (first, second))
        assert (str(digit), sure, says) == (str(first), share, f"{first}, {share}")
        assert doubt == ("" if is_sure else f"Not sure: it may also be {second} ({other}).")
        assert status == f"The network reads {first}, with probability {share}. {doubt}"
    assert [(digit, doubt) for _, (digit, _, doubt, *_) in answers[:10]] == [(d, "") for d in range(10)]
    assert any(doubt for _, (_, _, doubt, *_) in answers)
    assert answers[-1] == answers[-3] != answers[-2]  # what the 1 made it say
    assert empty == ["–", "nothing drawn yet", "", "The pad is empty.", "–"]
    assert len(asked) > 30 and set(asked) <= set(re.findall(r'\bid="([^"]+)"', PAGE))


def test_the_first_page_has_a_digit_on_it_which_makes_room_and_comes_back(weights):
    """A stroke clears the sample, one of many does not; Ctrl+Z undoes outside of fields, and other keys do nothing."""
    found, asked = javascript(
        """
        const say = () => { wait(); return [elements["draw-digit"].textContent, pad.items.length]; };
        const key = (name, more = {}) => {
          const event = { key: name, ctrlKey: true, target: { matches: () => more.isField ?? false }, ...more };
          let isStopped = false;
          heard.keydown({ ...event, preventDefault: () => (isStopped = true) });
          return isStopped;
        };
        const stroke = { width: 16, points: [[140, 60], [140, 220]] };
        const found = [say()];
        heard.pointerdown({ button: 2 });
        found.push(say());
        heard.pointerdown({ button: 0 });
        found.push(say());
        pad.replace([stroke]);
        heard.pointerdown({ button: 0 });
        found.push(say());
        found.push([key("y"), key("z", { shiftKey: true }), key("z", { isField: true }), say()[1]]);
        found.push([key("z"), say()]);
        found.push([key("Z", { ctrlKey: false, metaKey: true }), say()]);
        elements["draw-another"].click();
        found.push(say());
        return [found, Object.keys(elements)];
        """,
        weights + DOCUMENT + SCRIPTS["show.js"] + SCRIPTS["first.js"],
    )
    assert found[:4] == [[7, 1], [7, 1], ["–", 0], [1, 1]]
    assert found[4:] == [[False, False, False, 1], [True, ["–", 0]], [True, [7, 1]], [0, 1]]
    assert set(asked) <= set(re.findall(r'\bid="([^"]+)"', FIRST_PAGE))


def what_a_folder_forbids(script: str) -> list[str]:
    """Return what a script uses that a page opened from a folder, without a network, could not have."""
    forbidden = r"^\s*(?:import|export)\b|\bimport\(|\bfetch\(|XMLHttpRequest|https?:|console\."
    return re.findall(forbidden, script, flags=re.MULTILINE)


def test_the_page_needs_neither_a_server_nor_a_network(weights):
    for script in (*SCRIPTS.values(), weights):
        assert what_a_folder_forbids(script) == []
    for line in ("import x from './x.js'", "fetch('x')", "console.log(1)", "import('x')"):
        assert what_a_folder_forbids(f"const a = 1;\n{line};\n"), line


def test_the_page_is_light(weights):
    files = [export_page.PAD, *(path for path in FOLDER.iterdir() if path.is_file())]
    assert sum(path.stat().st_size for path in files) + len(weights) + len(PAGE.encode()) < LARGEST_PAGE


def test_a_reader_without_javascript_or_without_a_mouse_is_served():
    assert "<noscript>" in PAGE
    assert sorted(re.findall(r'data-sample="(\d)"', PAGE)) == [str(digit) for digit in range(10)]
    assert 'role="status"' in PAGE
    for canvas in re.findall(r"<canvas[^>]*>", PAGE):
        assert 'role="img"' in canvas and 'aria-label="' in canvas
    for number in (3, 10, 11):
        assert re.search(rf"\(\.\./notebooks/{number:02}_", PAGE)


# ---- the export -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, error, written",
    [("html", None, True), ("latex", None, False), ("html", RuntimeError("the build failed"), False)],
)
def test_the_weights_come_into_every_built_book(tmp_path, weights, kind, error, written):
    called = []
    export_page.setup(SimpleNamespace(connect=lambda *what: called.append(what)))
    ((event, function),) = called
    assert event == "build-finished"
    function(SimpleNamespace(builder=SimpleNamespace(format=kind), outdir=tmp_path), error)
    target = tmp_path / "_static/draw/weights.js"
    assert target.exists() == written
    assert not written or target.read_text() == weights
    assert not written or target.with_name("pad.js").read_text() == SCRIPTS["pad.js"]
    for name in (
        ("result.svg", "result-narrow.svg") if written else ()
    ):  # what the first page says of its picture
        drawing = ElementTree.parse(tmp_path / "_static/frame" / name).getroot()
        texts = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert texts[::2] == [str(digit) for digit in range(10)]
