"""The tools that the Makefile calls: execute and normalise notebooks, measure the speed."""

import base64
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median, stdev

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from digitlib.data import batches, load_part
from digitlib.recipes import RECIPES, build_model, build_optimizer, find
from tools import bench, notebooks, pages, plain

PLOT = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\nplt.plot([1, 2])\nplt.show()"


@pytest.fixture
def notebook(tmp_path):
    """Write a notebook as JupyterLab would, not yet executed, and return its path."""
    path = tmp_path / "made_up.ipynb"
    cells = [
        new_markdown_cell("# A title", id="title"),
        new_code_cell(
            "for i in range(3):\n    print(i, flush=True)", id="count", metadata={"collapsed": False}
        ),
        new_code_cell(
            "from pathlib import Path\nsorted(path.name for path in Path().iterdir())", id="folder"
        ),
        new_code_cell(PLOT, id="plot", metadata={"tags": ["picture-varies"]}),
    ]
    made = new_notebook(
        cells=cells, metadata={"language_info": {"name": "python", "version": "3.4.5"}, "toc": {}}
    )
    nbformat.write(made, path)
    return path


def test_a_notebook_is_executed_into_the_normal_form(notebook, capsys):
    assert notebooks.main(["--check", str(notebook)]) == 1
    assert "not in the normal form" in capsys.readouterr().err

    assert notebooks.main([str(notebook)]) == 0
    stored = nbformat.read(notebook, as_version=4)
    _, count, folder, plot = stored.cells
    assert [cell.get("execution_count") for cell in stored.cells] == [None, 1, 2, 3]
    assert [output.text for output in count.outputs] == ["0\n1\n2\n"]  # one output, however the kernel cut it
    assert count.metadata == {}
    assert folder.outputs[0].data["text/plain"] == "['made_up.ipynb']"  # the notebook's own folder
    assert plot.metadata.tags == ["picture-varies"]
    assert plot.metadata.digitlib.pictures == notebooks.picture_hashes(plot)
    assert len(plot.metadata.digitlib.pictures) == 1
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert "version" not in stored.metadata.language_info
    assert notebook.read_text().endswith("}\n")

    once = notebook.read_bytes()
    assert notebooks.main([str(notebook)]) == 0
    assert notebook.read_bytes() == once
    assert "as before" in capsys.readouterr().out
    assert notebooks.main(["--check", str(notebook)]) == 0


@pytest.mark.parametrize(
    "source, reason",
    [
        ("1 / 0", "cell broken (In [2]), failed with ZeroDivisionError: division by zero"),
        ("import os\nos._exit(1)", "cell broken (In [2]), ended the kernel"),
    ],
)
def test_a_notebook_that_fails_is_left_as_it_was(notebook, capsys, source, reason):
    made = nbformat.read(notebook, as_version=4)
    made.cells[2] = new_code_cell(source, id="broken")
    nbformat.write(made, notebook)
    before = notebook.read_bytes()
    assert notebooks.main([str(notebook)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"made_up.ipynb, {reason}" in line
    assert line.endswith("Nothing was written.")
    assert notebook.read_bytes() == before
    assert [path.name for path in notebook.parent.iterdir()] == ["made_up.ipynb"]


def test_notebooks_are_found_by_number(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    for name in ("02_second", "01_first", "11_last"):
        (tmp_path / f"notebooks/{name}.ipynb").touch()
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    assert [path.stem for path in notebooks.find([])] == ["01_first", "02_second", "11_last"]
    assert [path.stem for path in notebooks.find(["2", "11"])] == ["02_second", "11_last"]
    assert notebooks.main(["07"]) == 1
    assert "expected a notebook's number (such as 07) or path, got '07'" in capsys.readouterr().err


def test_normalising_changes_nothing_that_a_reader_sees():
    picture = np.arange(40 * 40 * 4).reshape(40, 40, 4).astype(np.uint8)
    files = {}
    for kind, alpha in {"opaque": 255, "transparent": 100}.items():
        picture[..., 3] = alpha
        file = io.BytesIO()
        Image.fromarray(picture, "RGBA").save(file, "PNG", compress_level=0)
        smaller = notebooks.compact_png(file.getvalue())
        assert len(smaller) < len(file.getvalue())
        assert notebooks.compact_png(smaller) == smaller
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(smaller)).convert("RGBA")), picture)
        files[kind] = smaller
    data = {"image/png": base64.b64encode(files["opaque"]).decode()}
    cell = new_code_cell(
        "show()", id="show", outputs=[new_output("execute_result", data=data, execution_count=9)]
    )
    made = new_notebook(cells=[cell])
    normal = notebooks.normalise(made)
    assert notebooks.pictures(normal.cells[0]) == [files["opaque"]]
    assert normal.cells[0].outputs[0].execution_count == normal.cells[0].execution_count == 1
    assert made.cells[0].execution_count is None  # the one that came is left alone
    assert notebooks.as_text(notebooks.normalise(normal)) == notebooks.as_text(normal)
    nbformat.validate(json.loads(notebooks.as_text(normal)))


def test_the_minutes_of_a_lesson_follow_from_its_length_and_its_run():
    prose = new_markdown_cell("# 1. A title\n\nAbout 1 minutes. " + "word " * 593, id="title")  # 5 to read
    code = new_code_cell("\n".join(["x = 1"] * 24), id="code")  # 2
    prompt = new_markdown_cell(
        "### Exercise: a title (4 minutes)\n\n*Objective 1, easy.* Write it.", id="it-prompt"
    )
    quiz = new_markdown_cell("**Quiz.** Why?", id="quiz-why")  # 1
    notebook = new_notebook(cells=[prose, code, prompt, quiz])
    assert notebooks.minutes(notebook) == 15  # 12 and a little
    notebooks.record_seconds(notebook, 290.0)
    assert notebook.metadata.digitlib.seconds == 300
    assert notebooks.minutes(notebook) == 20  # 17 and a little
    assert "About 20 minutes." in notebooks.normalise(notebook).cells[0].source


@pytest.mark.parametrize(
    "before, seconds, after", [(None, 1, 15), (15, 25, 15), (30, 61, 75), (75, 16, 30), (90, 14, 15)]
)
def test_only_another_order_of_time_replaces_the_stored_seconds(before, seconds, after):
    notebook = new_notebook(cells=[new_markdown_cell("# 1\n\nAbout 5 minutes.")])
    if before:
        notebook.metadata.digitlib = {"seconds": before}
    notebooks.record_seconds(notebook, seconds)
    assert notebook.metadata.digitlib.seconds == after


def test_a_page_that_promises_no_minutes_keeps_no_seconds():
    notebook = new_notebook(cells=[new_markdown_cell("# Results")])
    notebooks.record_seconds(notebook, 120)
    assert notebook.metadata == {}


# ---- the benchmark --------------------------------------------------------------------------------------------


def all_numbers(found):
    """Yield every number in a tree of dictionaries and lists."""
    if isinstance(found, dict | list):
        for value in found.values() if isinstance(found, dict) else found:
            yield from all_numbers(value)
    elif isinstance(found, int | float):
        yield found


@pytest.fixture
def few_images(monkeypatch):
    """Let the benchmark have 256 images to train on and 100 to validate with."""
    few = {"train": 256, "validation": 100}
    images = {part: tuple(tensor[:count] for tensor in load_part(part)) for part, count in few.items()}
    monkeypatch.setattr(bench, "FEW", few)
    monkeypatch.setattr(bench, "parts", lambda quick: images)


@pytest.mark.parametrize("section", ["plain", "limit", "growth", "predict"])
def test_a_section_can_be_looked_at_quickly(section, few_images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")
    assert bench.main([section, "--quick"]) == 0
    first, *printed, last = capsys.readouterr().out.splitlines()
    assert first == f"{section}: measuring" and last.startswith(f"{section}: ")
    found = json.loads("\n".join(printed))
    assert "torch" in found["machine"]
    numbers = list(all_numbers(found))
    assert len(numbers) > 3 and all(0 <= number < math.inf for number in numbers)
    assert not bench.RESULTS.exists(), "a quick look is stored nowhere"


def test_a_section_is_measured_alone_and_the_others_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")
    bench.RESULTS.write_text('{"predict": 1, "limit": {"kept": true}}')
    monkeypatch.setitem(
        bench.SECTIONS, "predict", lambda repeat, quick: {"rounds": repeat, "third": 1 / 3, "quick": quick}
    )
    assert bench.main(["predict", "--repeat", "7", "--no-page"]) == 0
    stored = json.loads(bench.RESULTS.read_text())
    assert list(stored) == ["limit", "predict"], "in the order of the sections"
    assert stored["limit"] == {"kept": True}
    assert stored["predict"] == {"rounds": 7, "third": 0.33333, "quick": False, "machine": bench.machine()}
    with pytest.raises(SystemExit):
        bench.main(["speed"])
    assert "expected sections among plain, limit" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    pages.write_whole(path, "1\n")
    write = Path.write_text

    def half(self, text, **options):
        write(self, text[:1], **options)
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="no space left"):
        pages.write_whole(path, "2\n3\n")
    assert path.read_bytes() == b"1\n"


def test_what_the_runs_before_told_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")
    kept = []
    for number in (1, 2, 3):
        bench.store("plain", {"number": number, "runs": [{"cnn": 10 * number}]})
        kept.insert(0, {"cnn": 10 * number})
        assert json.loads(bench.RESULTS.read_text())["plain"] == {"number": number, "runs": kept}


def test_a_section_that_fails_loses_none_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")

    def fail(repeat, quick):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "SECTIONS", {"plain": lambda repeat, quick: {"done": 1}, "limit": fail})
    with pytest.raises(KeyboardInterrupt):
        bench.main(["--no-page"])
    assert json.loads(bench.RESULTS.read_text())["plain"]["done"] == 1


def test_the_loop_is_timed_on_each_core_and_the_process_may_use_all_afterwards(monkeypatch):
    cores, ran_on = os.sched_getaffinity(0), []
    monkeypatch.setattr(bench, "seconds", lambda loop: ran_on.append(os.sched_getaffinity(0)) or 0.02)
    assert bench.time_loop() == [20] * len(cores)
    assert ran_on == [{core} for core in cores]
    assert os.sched_getaffinity(0) == cores


def test_candidates_take_turns_and_ratios_are_paired():
    order = []
    durations = bench.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 3
    assert {name: len(times) for name, times in durations.items()} == {"a": 3, "b": 3}
    # a machine that was slow in one round was so for both: 3, 3 and 4 times faster
    assert bench.ratio([3.0, 300.0, 4.0], [1.0, 100.0, 1.0]) == 3


def test_both_ways_see_the_same_images_and_learn_the_same(few_images):
    data = bench.parts(True)
    recipe = bench.EARLIER["mlp"]
    torch.manual_seed(0)
    theirs, ours = plain.plain_model(recipe), build_model(recipe)
    ours.load_state_dict(theirs.state_dict())
    loaders = [plain.loader(part, 100, bench.FEW) for part in ("train", "validation")]
    for (images, labels), (x, y) in zip(loaders[1], batches(*data["validation"], 100), strict=True):
        torch.testing.assert_close(images, x)
        assert torch.equal(labels, y)
    in_order = None  # no generator, no shuffling: then both ways take the same steps
    (plain_record, plain_accuracy), (record, accuracy) = (
        plain.plain_epoch(theirs, plain.plain_optimizer(recipe, theirs), *loaders, recipe.clip_norm),
        bench.our_epoch(ours, build_optimizer(recipe, ours), recipe, data, in_order),
    )
    assert plain_record.step_loss == pytest.approx(record.step_loss, abs=1e-3)
    assert plain_record.loss == pytest.approx(record.loss, abs=1e-3)
    assert plain_record.accuracy == pytest.approx(record.accuracy, abs=0.011)
    assert plain_accuracy == pytest.approx(accuracy, abs=0.011)
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", bench.EARLIER)
def test_both_ways_start_from_the_same_network(name):
    images, labels = load_part("validation")
    found = []
    for build in (plain.plain_model, build_model):
        torch.manual_seed(3)  # for the first weights and for dropout
        model = build(bench.EARLIER[name])
        logits = model(images[:50])
        F.cross_entropy(logits, labels[:50]).backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        found.append([logits, *gradients, model.eval()(images[:50])])
    torch.testing.assert_close(*found)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is tuned")
def test_the_plain_way_is_left_as_torch_has_it(few_images, monkeypatch):
    """Its process prints what OpenMP was told; ours, which started it, was told to wait otherwise."""
    monkeypatch.setenv("OMP_DISPLAY_ENV", "VERBOSE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "17")
    order = json.dumps({"recipe": asdict(bench.EARLIER["mlp"]), "few": bench.FEW})
    done = subprocess.run(
        [sys.executable, "-m", "tools.plain", order],
        cwd=bench.ROOT,
        env=bench.plain_environment(),
        input="\n\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    epochs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(epochs) == 2 and all(seconds > 0 and 0 <= accuracy <= 1 for seconds, accuracy in epochs)
    assert "GOMP_SPINCOUNT = '300000'" in done.stderr


def test_a_target_is_reached_by_all_seeds_or_not_at_all():
    curves = [[[10, 0.96], [10, 0.98]], [[12, 0.975], [12, 0.96]], [[13, 0.96], [15, 0.974]]]
    systems = {"cnn": {"plain": curves}, "mlp": {"plain": [[[1, 0.99]], [[1, 0.5]]]}}
    ladder = [
        {"recipe": "cnn", "seconds": [4, 5, 9], "accuracy": [0.96, 0.98, 0.98]},
        {"recipe": "quick", "seconds": [1, 2, 3], "accuracy": [0.99, 0.96, 0.96]},
        {"recipe": "quick", "seconds": [4, 4, 4], "accuracy": [0.98, 0.98, 0.98]},
    ]
    assert bench.reach(0.9723, systems, ladder) == {
        "target": 0.9723,
        "plain cnn": 20,  # of 20, 12 and 28
        "plain mlp": None,
        "same network": 5,
        "any network": 4,
    }
    assert bench.reach(0.985, systems, ladder)["any network"] is None


def test_operations_are_counted_by_the_formulas():
    """A product of (B, n) and (n, m) takes 2 B n m: once forward, twice backward, less the gradient of the images."""
    images, labels = (tensor[:256] for tensor in load_part("validation"))
    sizes = [(784, 256), (256, 128), (128, 64), (64, 10)]
    dense = sum(6 * 256 * n * m for n, m in sizes) - 2 * 256 * 784 * 256
    assert bench.count_operations(find("mlp"), images, labels) == dense
    first, second = 24 * 24 * 10 * 5 * 5, 8 * 8 * 20 * 5 * 5 * 10  # products of the convolutions, an image
    convolutional = 2 * 256 * (2 * first + 3 * (second + 320 * 50 + 50 * 10))
    assert bench.count_operations(find("cnn"), images, labels) == convolutional


# What `make bench` has measured and stored.


@pytest.fixture(scope="module")
def stored():
    assert bench.RESULTS.exists(), "nothing is measured yet; run: make bench"
    return json.loads(bench.RESULTS.read_text(encoding="utf-8"))


def test_every_section_of_the_benchmark_is_stored(stored):
    assert list(stored) == list(bench.SECTIONS)
    assert len(stored["plain"]["seeds"]) >= 3
    assert 0 < stored["plain"]["loop"]["fastest"] <= stored["plain"]["loop"]["median"]
    assert stored["plain"]["runs"][0] == bench.ratios(stored["plain"])
    assert all(section["rounds"] for name, section in stored.items() if name != "plain")
    assert list(stored["limit"]["recipes"]) == list(stored["predict"]["recipes"]) == list(RECIPES)
    assert {"import digitlib", "build the book", "pytest --nbval notebooks"} <= set(
        stored["project"]["seconds"]
    )
    growth = stored["growth"]
    assert [growth["images"][end][0] for end in (0, -1)] == [55_000 // 8, 4 * 55_000]
    assert len(growth["batch"]) >= 4 and len(growth["width"]) >= 4
    assert len(stored["scaling"]["ways"]) == 3


@pytest.mark.parametrize("name, times", [("cnn", 3), ("mlp", 5), ("rnn", 2.5)])
def test_an_epoch_is_as_many_times_faster_as_promised(name, times, stored):
    """In the newest run. The ratios differ with what others do on the machine; the results page lists all runs."""
    system = stored["plain"]["systems"][name]
    pairs = [
        plain[0] / ours[0]
        for curves in zip(system["plain"], system["ours"], strict=True)
        for plain, ours in zip(*curves, strict=True)
    ]
    assert len(pairs) >= 3
    assert system["ratio"] == pytest.approx(median(pairs), rel=1e-3)
    assert median(pairs) >= times


@pytest.mark.parametrize("name", bench.EARLIER)
def test_both_ways_learn_the_same_within_noise(name, stored):
    """The difference of the means is below 4.6 standard errors: 99% of Student's distribution with 4 degrees."""
    plain, ours = stored["plain"]["systems"][name]["accuracy"].values()
    error = math.sqrt(stdev(plain) ** 2 / len(plain) + stdev(ours) ** 2 / len(ours))
    assert abs(mean(plain) - mean(ours)) < max(4.6 * error, 0.002)


def test_the_data_path_is_as_many_times_faster_as_promised(stored):
    assert stored["plain"]["data"]["ratio"] >= 90


def test_the_earlier_accuracies_are_reached_as_soon_as_promised(stored):
    rows = {row["target"]: row for row in stored["plain"]["targets"]}
    assert list(rows) == [0.9723, 0.9773, 0.99, 0.995]
    assert rows[0.9723]["plain cnn"] >= 8 * rows[0.9723]["same network"]
    assert rows[0.9723]["plain cnn"] >= 12 * rows[0.9723]["any network"]
    measured = bench.rounded(
        [bench.reach(target, stored["plain"]["systems"], stored["plain"]["ladder"]) for target in rows]
    )
    for row, found in zip(rows.values(), measured, strict=True):
        missed = {way for way, seconds in row.items() if seconds is None}
        assert missed == {way for way, seconds in found.items() if seconds is None}
        assert all(row[way] == pytest.approx(found[way], rel=1e-3) for way in row.keys() - missed)


def test_the_dense_network_s_accuracy_is_reached_as_soon_as_promised(stored):
    row = next(row for row in stored["plain"]["targets"] if row["target"] == 0.9773)
    assert row["plain mlp"] >= 15 * row["any network"]


def test_an_epoch_of_quick_is_as_short_as_promised(stored):
    """Training alone: the validation that may follow reads each image five times, for another quarter of the time."""
    assert stored["limit"]["recipes"]["quick"]["seconds an epoch"]["as trained"] <= 4


@pytest.mark.parametrize(
    "way",
    [
        "digitlib train cnn",
        "import digitlib, cnn",
        *(f"epoch of {name}" for name in ("mlp", "cnn", "rnn", "quick", "improved")),
    ],
)
def test_a_busy_neighbour_is_borne(way, stored):
    assert stored["neighbour"]["ways"][way]["ratio"] <= 3
