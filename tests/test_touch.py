"""The things to touch in the book: their JavaScript, run in Node, computes what torch computes; their data is small."""

import json
import re
import subprocess
import zlib
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from digitlib.data import load_raw
from digitlib.models import RNN, ConvNet
from tools import export_page, export_touch
from tools.draw_table import NODE

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "book/_static/touch"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js")}
PAGE = (ROOT / "book/touch.md").read_text(encoding="utf-8")
CLOSE = 1e-5


def javascript(body: str, *files: str, script: str = "", **given):
    """Run files of the folder, one more script, then a function's body, which knows `given`; return its result."""
    last = f"const given = {json.dumps(given)};\nconsole.log(JSON.stringify((() => {{ {body} }})()));"
    program = "\n".join([*(SCRIPTS[name] for name in ("touch.js", *files)), script, last])
    run = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0 and not run.stderr, run.stderr[-2000:]
    return json.loads(run.stdout)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def faults_of_syntax(paths: list[Path]) -> list[str]:
    """Return the scripts that Node cannot even read."""
    runs = {path.name: subprocess.run([NODE, "--check", path], capture_output=True) for path in paths}
    return [name for name, run in runs.items() if run.returncode != 0]


def test_every_script_of_the_book_can_be_read(tmp_path):
    scripts = [*(ROOT / "book/_static").rglob("*.js"), ROOT / "digitlib/pad.js"]
    assert len(scripts) > 15 and faults_of_syntax(scripts) == []
    (tmp_path / "wrong.js").write_text("function f() { const a = 1; const a = 2; }")
    assert faults_of_syntax([tmp_path / "wrong.js"]) == ["wrong.js"]


def test_a_convolution_is_torch_s():
    generator = seeded()
    cases = [
        (stride, padding, torch.randn(28, 28, generator=generator), torch.randn(3, 3, generator=generator))
        for stride in (1, 2, 3)
        for padding in (0, 1)
    ]
    answers = javascript(
        "return given.cases.map(([stride, padding, image, kernel]) =>"
        " Touch.maths.convolve(image, 28, kernel, { stride, padding }));",
        "maths.js",
        cases=[(s, p, image.flatten().tolist(), kernel.flatten().tolist()) for s, p, image, kernel in cases],
    )
    for (stride, padding, image, kernel), answer in zip(cases, answers, strict=True):
        expected = F.conv2d(image[None, None], kernel[None, None], stride=stride, padding=padding)
        assert torch.allclose(torch.tensor(answer), expected.flatten(), atol=CLOSE)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.7),
    "momentum": lambda p: torch.optim.SGD(p, 0.7, momentum=0.8),
    "adam": lambda p: torch.optim.Adam(p, 0.7),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descent_goes_torch_s_way(name):
    """In double precision on both sides, so that only the formulas are compared."""
    ink, labels = export_touch.zeros_and_ones()
    parameters = torch.tensor([-4.5, 3.5], dtype=torch.double, requires_grad=True)
    optimizer, expected = OPTIMIZERS[name]([parameters]), []
    for _ in range(30):
        optimizer.zero_grad()
        loss = export_touch.loss_at(parameters, ink.double(), labels)
        loss.backward()
        expected.append([*parameters.tolist(), loss.item(), *parameters.grad.tolist()])
        optimizer.step()
    found = javascript(
        """
        const step = Touch.maths.optimizers[given.name]({ rate: 0.7, momentum: 0.8 });
        let point = [-4.5, 3.5];
        return Array.from({ length: 30 }, () => {
          const { loss, gradient } = Touch.maths.lossAndGradient(point, given.images);
          const all = [...point, loss, ...gradient];
          point = step(point, gradient);
          return all;
        });
        """,
        "maths.js",
        name=name,
        images={"ink": ink.tolist(), "labels": labels.tolist()},
    )
    assert np.allclose(found, expected, atol=CLOSE)


def test_the_landscape_is_that_of_the_loss():
    given = export_touch.surface(size=3)
    heights = np.frombuffer(b64decode(given["heights"]), "<f4").reshape(3, 3)
    ink, labels = export_touch.zeros_and_ones()
    (left, bottom), (right, _) = given["low"], given["high"]
    assert np.isclose(heights[0, 2], export_touch.loss_at(torch.tensor([right, bottom]), ink, labels).item())
    assert np.isclose(heights[0, 0], export_touch.loss_at(torch.tensor([left, bottom]), ink, labels).item())
    assert np.array_equal(np.frombuffer(b64decode(given["ink"]), "<f4"), ink.numpy())
    assert list(b64decode(given["labels"])) == labels.tolist()


@pytest.mark.parametrize("hidden", [[], [7], [9, 5]], ids=str)
@pytest.mark.parametrize("dropout", [0, 0.4])
def test_the_network_that_learns_has_torch_s_loss_and_gradients(hidden, dropout):
    """With the same masks where units are dropped; the gradients by `backward()`, the step by torch's SGD."""
    generator = seeded()
    sizes = [784, *hidden, 10]
    weights = [torch.randn(b, a, generator=generator) / a**0.5 for a, b in zip(sizes, sizes[1:])]
    biases = [torch.randn(b, generator=generator) for b in sizes[1:]]
    images = torch.randn(6, 784, generator=generator).clamp(min=0)  # half of the pixels without ink
    labels = torch.randint(10, (6,), generator=generator)
    kept = [torch.rand(6, size, generator=generator) >= dropout for size in hidden]
    masks = [mask / (1 - dropout) for mask in kept]
    parameters = [parameter.requires_grad_() for parameter in (*weights, *biases)]
    x = images
    for number, (weight, bias) in enumerate(zip(weights, biases)):
        x = F.linear(x, weight, bias)
        x = F.relu(x) * masks[number] if number < len(hidden) else x
    loss = F.cross_entropy(x, labels)
    loss.backward()
    found = javascript(
        """
        const L = Touch.learning();
        const array = (numbers) => Float32Array.from(numbers);
        const layers = given.weights.map((weight, i) => ({ weight: array(weight), bias: array(given.biases[i]) }));
        const masks = given.masks.map(array);
        const values = L.forward(layers, array(given.images), masks);
        const { loss, numRight, gradient } = L.crossEntropy(values.at(-1), given.labels);
        const gradients = L.backward(layers, values, gradient, masks);
        const list = (name) => gradients.map((layer) => Array.from(layer[name]));
        return [loss, numRight, list("weight"), list("bias")];
        """,
        "learn.js",
        weights=[weight.flatten().tolist() for weight in weights],
        biases=[bias.tolist() for bias in biases],
        masks=[mask.flatten().tolist() for mask in masks],
        images=images.flatten().tolist(),
        labels=labels.tolist(),
    )
    assert abs(found[0] - loss.item()) <= CLOSE
    assert found[1] == (x.argmax(1) == labels).sum()
    for number, parameter in enumerate(parameters):
        answer = [*found[2], *found[3]][number]
        assert torch.allclose(torch.tensor(answer), parameter.grad.flatten(), atol=CLOSE)
        assert parameter.grad.abs().max() > 1e-3


def floats(text: str) -> list[float]:
    return np.frombuffer(b64decode(text), "<f4").tolist()


def test_a_recurrent_network_has_torch_s_states_and_logits_after_every_row():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = RNN(hidden_size=11)
        image = torch.randn(1, 1, 28, 28)
    with torch.inference_mode():
        states = model.rnn(image[0])[0][0]  # (28, 11)
        logits = model.fc(states)
        assert torch.allclose(logits[-1], model(image)[0], atol=CLOSE)
    found = javascript(
        "return Touch.maths.readRows(given.image, given.network);",
        "maths.js",
        image=image.flatten().tolist(),
        network={name: floats(text) for name, text in export_touch.describe_rnn(model).items()},
    )
    assert np.allclose(found["states"], states, atol=CLOSE)
    assert np.allclose(found["logits"], logits, atol=CLOSE)


LAYERS = """
const tools = { convolve, relu, maxPool, weightedSums };
const stages = Touch.layers.run(decodeNetwork(NETWORK), given.image, tools);
const described = stages.map(({ kind, shape, data }) => ({ kind, shape, data: Array.from(data) }));
const explained = given.places.map((place) => Touch.layers.explain(stages, ...place));
return [described, explained];
"""


def test_every_number_inside_the_network_is_torch_s_and_the_sum_of_its_parts():
    """In a network of other sizes than the recommended one's, with maps of odd sides."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ConvNet((3, 5, 4), (0, 1)).eval()
        image = torch.randn(1, 1, 28, 28)
    expected, x = [image[0]], image
    with torch.inference_mode():
        for layer in model.features:
            x = layer(x)
            if isinstance(layer, (torch.nn.ReLU, torch.nn.MaxPool2d)):
                expected.append(x[0])
        expected.append(model(image)[0, :, None, None])
    places = [
        (index, int(c), int(y), int(z))
        for index, maps in enumerate(expected[1:], 1)
        for c, y, z in np.random.default_rng(index).integers(0, maps.shape, (12, 3))
    ]
    draw = (FOLDER.parent / "draw/network.js").read_text(encoding="utf-8").replace('"use strict";', "")
    stages, explained = javascript(
        LAYERS,
        "layers.js",
        script=draw + export_page.script(model),
        image=image.flatten().tolist(),
        places=places,
    )
    for stage, maps in zip(stages, expected, strict=True):
        assert stage["shape"] == list(maps.shape)
        assert torch.allclose(torch.tensor(stage["data"]), maps.flatten(), atol=CLOSE)
    assert [stage["kind"] for stage in stages] == [
        "input", "convolution", "pooling", "convolution", "pooling", "convolution", "sums",
    ]  # fmt: skip
    for (index, *place), parts in zip(places, explained, strict=True):
        value, sums = expected[index][tuple(place)].item(), [part["sum"] for part in parts["parts"]]
        kind = stages[index]["kind"]
        made = max(sums) if kind == "pooling" else sum(sums) + parts["bias"]
        assert abs((max(0, made) if kind == "convolution" else made) - value) <= CLOSE
        assert abs(parts["value"] - value) <= CLOSE and abs(parts["total"] - made) <= CLOSE
        assert len(sums) == (4 if kind == "pooling" else len(expected[index - 1]))


def test_dropout_leaves_out_its_share_and_scales_the_rest():
    mask = javascript(
        "const L = Touch.learning(); return Array.from(L.drawMask(10000, 0.3, L.random(0)));", "learn.js"
    )
    assert set(np.round(mask, 5)) == {0, round(1 / 0.7, 5)}
    assert abs(np.mean(np.equal(mask, 0)) - 0.3) < 0.02


def test_it_learns_to_read_from_the_images_that_the_page_carries():
    """By the page's own loop and the settings that it begins with: 90% of the validation images, and the same anew."""
    settings = dict(hidden=[64], rate=10**-1.3, dropout=0, batchSize=16, numEpochs=10, seed=0)
    source = SCRIPTS["training.js"]
    for shown in ("value: -1.3,", 'value: "64"', "value: 16,"):
        assert shown in source
    reports = javascript(
        """
        const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
        const { zlib, labels, numImages, numValidation } = Touch.data.images;
        const pixels = Float32Array.from(require("zlib").inflateSync(bytes(zlib)), (level) => level / 255);
        const part = (a, b) => ({ images: pixels.subarray(784 * a, 784 * b), labels: bytes(labels).subarray(a, b) });
        const numTrain = numImages - numValidation;
        const data = { train: part(0, numTrain), validation: part(numTrain, numImages) };
        const reports = [];
        Touch.learning().train(data, given.settings, ({ logits, ...report }) => reports.push(report));
        const first = reports[0];
        Touch.learning().train(data, { ...given.settings, numEpochs: 1 }, ({ train }) => first.again = train);
        return reports;
        """,
        "learn.js",
        script=export_touch.script("images"),
        settings=settings,
    )
    assert max(report["validation"]["accuracy"] for report in reports) >= 0.9
    assert reports[-1]["train"]["loss"] < reports[0]["train"]["loss"] / 3
    assert reports[0].pop("again") == reports[0]["train"]


# ---- the data -------------------------------------------------------------------------------------------------------


def test_the_images_to_learn_from_are_the_first_of_the_training_part():
    given = export_touch.images()
    pixels, labels = load_raw("train")
    assert given["numImages"] == 3000 and given["numValidation"] == 500
    assert zlib.decompress(b64decode(given["zlib"])) == pixels[:3000].numpy().tobytes()
    assert list(b64decode(given["labels"])) == labels[:3000].tolist()


@pytest.fixture(scope="module")
def guesses():
    """Logits for the test images that read most of them right, some wrong, with all degrees of certainty."""
    labels = load_raw("test")[1]
    noise = torch.randn(10_000, 10, generator=seeded())
    return (noise + 3 * F.one_hot(labels, 10)) * torch.rand(10_000, 1, generator=seeded()) * 3


def test_mistakes_are_counted_as_torch_counts_them_at_every_threshold(guesses):
    pixels, labels = load_raw("test")
    given = export_touch.mistakes(guesses)
    confidence, read = guesses.softmax(1).max(1)
    shown = (read != labels) | (confidence < given["mostSure"])
    assert zlib.decompress(b64decode(given["zlib"])) == pixels[shown].numpy().tobytes()
    thresholds = [0, 0.5, 0.9, 0.99]
    answers = javascript(
        """
        const data = Touch.confusion.unpack(given.data, new Uint8Array(784 * given.data.labels.length));
        return given.thresholds.map((threshold) => {
          const { counts, cells } = Touch.confusion.withThreshold(data, threshold);
          return [counts, cells.map((row) => row.map((cell) => cell.length))];
        });
        """,
        "mistakes.js",
        script="Touch.bytes = (text) => Uint8Array.from(Buffer.from(text, 'base64'));",
        data=given,
        thresholds=thresholds,
    )
    for threshold, (counts, cells) in zip(thresholds, answers, strict=True):
        column = torch.where(confidence.double() >= threshold, read, 10)
        expected = torch.bincount(11 * labels + column, minlength=110).view(10, 11)
        in_cells = torch.bincount((11 * labels + column)[shown], minlength=110).view(10, 11)
        assert (torch.tensor(counts) - expected).abs().sum() <= 4  # a probability of 0.5 may be rounded down
        assert (torch.tensor(cells) - in_cells).abs().sum() <= 4
    off_diagonal = ~torch.eye(10, 11, dtype=torch.bool)
    assert (torch.tensor(answers[0][0]) * off_diagonal).sum() == (read != labels).sum() > 100


def test_the_data_comes_into_every_built_book_and_is_light(tmp_path):
    files, called = [], []
    export_touch.setup(
        SimpleNamespace(
            add_js_file=lambda file, **how: files.append(file), connect=lambda *what: called.append(what)
        )
    )
    ((event, function),) = called
    assert event == "build-finished" and (FOLDER.parent / files[0]).is_file()
    for kind, error in (("latex", None), ("html", RuntimeError("the build failed"))):
        function(SimpleNamespace(builder=SimpleNamespace(format=kind), outdir=tmp_path), error)
    assert list(tmp_path.iterdir()) == []
    function(SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path), None)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / export_touch.FOLDER).iterdir()}
    assert sizes.pop("images.js") < 700_000
    assert max(sizes.values()) < 250_000
    asked = set(re.findall(r'"data/(\w+\.js)"', "".join(SCRIPTS.values())))
    assert asked == {*sizes, "images.js"}


# ---- the pages ------------------------------------------------------------------------------------------------------


def test_every_thing_is_on_the_page_with_a_still_and_words():
    things = set(re.findall(r'^    (\w+): \[.*\.js"\],$', SCRIPTS["touch.js"], re.M))
    assert things == set(re.findall(r"^  Touch\.things\.(\w+) = ", "".join(SCRIPTS.values()), re.M))
    found = re.findall(
        r'<div class="touch" data-touch="(\w+)">\n\n!\[([^\]]{30,})\]\(([^)]+)\)\n\n</div>', PAGE
    )
    assert {name for name, *_ in found} == things and len(found) == len(things)
    for name, _, still in found:  # a picture of the thing, small
        assert (ROOT / "book" / still).stat().st_size < 80_000
        script = next(text for text in SCRIPTS.values() if f"Touch.things.{name} = " in text)
        assert "Touch.words(" in script  # which announces the result


def test_the_scripts_are_short_and_need_neither_a_server_nor_a_network():
    forbidden = re.compile(
        r"^\s*(?:import|export)\b|\bimport\(|\bfetch\(|XMLHttpRequest|https?:|console\.", re.M
    )
    for name, script in SCRIPTS.items():
        assert script.count("\n") < 300, name
        assert not forbidden.search(script), name
    assert forbidden.search("\n  import x from './x.js'") and forbidden.search("await fetch('x')")
