"""The benchmark: its sections run, its arithmetic is right, and what it has stored agrees with itself.

No test says how fast anything is: that depends on the machine, and stands on the results page.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, median, stdev

import pytest
import torch

from digitlib.data import batches, load_part
from digitlib.recipes import RECIPES, build_optimizer, find
from tools import bench, bench_limit, bench_plain, bench_use, pages, timing


@pytest.fixture
def few_images(monkeypatch):
    """Let the benchmark have 256 images to train on and 100 to validate with."""
    monkeypatch.setattr(timing, "FEW", {"train": 256, "validation": 100})


def all_numbers(found):
    """Yield every number in a tree of dictionaries and lists."""
    if isinstance(found, dict | list):
        for value in found.values() if isinstance(found, dict) else found:
            yield from all_numbers(value)
    elif isinstance(found, int | float):
        yield found


@pytest.mark.parametrize("section", ["plain", "limit", "growth", "predict", "neighbour", "scaling"])
def test_a_section_can_be_looked_at_quickly(section, few_images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")
    monkeypatch.setattr(bench_use, "train_command", lambda launcher, name, environment: 2.0)
    monkeypatch.setattr(bench_use, "train_eighth", lambda environment: len(environment))
    assert bench.main([section, "--quick"]) == 0
    first, *printed, last = capsys.readouterr().out.splitlines()
    assert first == f"{section}: measuring" and last.startswith(f"{section}: ")
    found = json.loads("\n".join(printed))
    assert "torch" in found["machine"]
    numbers = list(all_numbers(found))
    assert len(numbers) > 3 and all(0 <= number < math.inf for number in numbers)
    assert not bench.RESULTS.exists(), "a quick look is stored nowhere"


def test_sections_are_stored_one_by_one_and_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench.json")
    bench.RESULTS.write_text('{"predict": 1, "limit": {"kept": true}}')

    def measure(repeat, quick):
        return {"rounds": repeat, "third": 1 / 3, "quick": quick}

    def fail(repeat, quick):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "SECTIONS", bench.SECTIONS | {"predict": measure, "scaling": fail})
    with pytest.raises(KeyboardInterrupt):
        bench.main(["predict", "scaling", "--repeat", "7", "--no-page"])
    stored = json.loads(bench.RESULTS.read_text())
    assert list(stored) == ["limit", "predict"], "in the order of the sections"
    assert stored["limit"] == {"kept": True}
    assert stored["predict"] == {"rounds": 7, "third": 0.33333, "quick": False, "machine": timing.machine()}
    with pytest.raises(SystemExit):
        bench.main(["speed"])
    assert "expected sections among plain, limit" in capsys.readouterr().err
    for number in (1, 2, 3):  # what the runs before told stays
        bench.store("plain", {"number": number, "runs": [{"cnn": 10 * number}]})
    assert json.loads(bench.RESULTS.read_text())["plain"] == {
        "number": 3,
        "runs": [{"cnn": 30}, {"cnn": 20}, {"cnn": 10}],
    }


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    pages.write_whole(path, "1\n")
    write = Path.write_bytes

    def half(self, content):
        write(self, content[:1])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="no space left"):
        pages.write_whole(path, "2\n3\n")
    assert path.read_bytes() == b"1\n" and [*tmp_path.iterdir()] == [path]


def test_how_threads_wait_is_said_before_torch_is_imported():
    code = (
        "import importlib, os, sys\n"
        "class Watch:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'torch':\n"
        "            raise ImportError(os.environ.get('OMP_WAIT_POLICY'))\n"
        "sys.meta_path.insert(0, Watch)\n"
        "for tool in ('tools.bench', 'tools.results'):\n"
        "    for chosen in (None, 'ACTIVE'):\n"
        "        os.environ.pop('OMP_WAIT_POLICY', None)\n"
        "        os.environ.update({'OMP_WAIT_POLICY': chosen} if chosen else {})\n"
        "        try:\n"
        "            importlib.import_module(tool)\n"
        "        except ImportError as error:\n"
        "            print(tool, error)\n"
        "        for name in [name for name in sys.modules if name.startswith('tools.')]:\n"
        "            del sys.modules[name]\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=timing.ROOT, capture_output=True, text=True)
    assert run.stdout.splitlines() == [
        f"tools.{tool} {waits}" for tool in ("bench", "results") for waits in ("PASSIVE", "ACTIVE")
    ], run.stderr


# --- its arithmetic


def test_the_loop_is_timed_on_each_core_and_the_process_may_use_all_afterwards(monkeypatch):
    cores, ran_on = os.sched_getaffinity(0), []
    monkeypatch.setattr(timing, "seconds", lambda loop: ran_on.append(os.sched_getaffinity(0)) or 0.02)
    assert timing.time_loop() == [20] * len(cores)
    assert ran_on == [{core} for core in cores]
    assert os.sched_getaffinity(0) == cores


def test_candidates_take_turns_and_ratios_are_paired():
    order = []
    durations = timing.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 3
    assert {name: len(times) for name, times in durations.items()} == {"a": 3, "b": 3}
    # a machine that was slow in one round was so for both: 3, 3 and 4 times faster
    assert timing.ratio([3.0, 300.0, 4.0], [1.0, 100.0, 1.0]) == 3


def test_both_ways_see_the_same_images_and_learn_the_same(few_images):
    data = timing.parts(True)
    recipe = bench_plain.EARLIER["mlp"]
    theirs, ours = bench_plain.first_networks(recipe)
    loaders = {part: bench_plain.loader(part, 100, timing.FEW) for part in timing.FEW}
    for (images, labels), (x, y) in zip(
        loaders["validation"], batches(*data["validation"], 100), strict=True
    ):
        torch.testing.assert_close(images, x)
        assert torch.equal(labels, y)
    in_order = None  # no generator, no shuffling: then both ways take the same steps
    (plain_record, plain_accuracy), (record, accuracy) = (
        bench_plain.plain_epoch(theirs, bench_plain.plain_optimizer(recipe, theirs), recipe, loaders),
        bench_plain.our_epoch(ours, build_optimizer(recipe, ours), recipe, data, in_order),
    )
    assert plain_record.step_loss == pytest.approx(record.step_loss, abs=1e-3)
    assert plain_record.loss == pytest.approx(record.loss, abs=1e-3)
    assert plain_record.accuracy == pytest.approx(record.accuracy, abs=0.011)
    assert plain_accuracy == pytest.approx(accuracy, abs=0.011)
    torch.testing.assert_close([*theirs.parameters()], [*ours.parameters()], atol=1e-4, rtol=1e-3)


def test_both_ways_start_from_the_same_network():
    images, _ = load_part("validation")
    for recipe in bench_plain.EARLIER.values():
        theirs, ours = bench_plain.first_networks(recipe)
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
        torch.testing.assert_close(ours.eval()(images[:50]), theirs.eval()(images[:50]))


def test_a_target_is_reached_by_all_seeds_or_not_at_all():
    curves = [[[10, 0.96], [10, 0.98]], [[12, 0.975], [12, 0.96]], [[13, 0.96], [15, 0.974]]]
    systems = {"cnn": {"plain": curves}, "mlp": {"plain": [[[1, 0.99]], [[1, 0.5]]]}}
    ladder = [
        {"recipe": "cnn", "seconds": [4, 5, 9], "accuracy": [0.96, 0.98, 0.98]},
        {"recipe": "quick", "seconds": [1, 2, 3], "accuracy": [0.99, 0.96, 0.96]},
        {"recipe": "quick", "seconds": [4, 4, 4], "accuracy": [0.98, 0.98, 0.98]},
    ]
    assert bench_plain.reach(0.9723, systems, ladder) == {
        "target": 0.9723,
        "plain cnn": 20,  # of 20, 12 and 28
        "plain mlp": None,
        "same network": 5,
        "any network": 4,
    }
    assert bench_plain.reach(0.985, systems, ladder)["any network"] is None


def test_operations_are_counted_by_the_formulas():
    """A product of (B, n) and (n, m) takes 2 B n m: once forward, twice backward, less the gradient of the images."""
    images, labels = (tensor[:256] for tensor in load_part("validation"))
    sizes = [(784, 256), (256, 128), (128, 64), (64, 10)]
    dense = sum(6 * 256 * n * m for n, m in sizes) - 2 * 256 * 784 * 256
    assert bench_limit.count_operations(find("mlp"), images, labels) == dense
    first, second = 24 * 24 * 10 * 5 * 5, 8 * 8 * 20 * 5 * 5 * 10  # products of the convolutions, an image
    convolutional = 2 * 256 * (2 * first + 3 * (second + 320 * 50 + 50 * 10))
    assert bench_limit.count_operations(find("cnn"), images, labels) == convolutional


# --- what `make bench` has measured and stored


@pytest.fixture(scope="module")
def stored():
    assert bench.RESULTS.exists(), "nothing is measured yet; run: make bench"
    return json.loads(bench.RESULTS.read_text(encoding="utf-8"))


def test_every_section_is_stored_of_today_s_recipes(stored):
    assert list(stored) == list(bench.SECTIONS)
    assert all(section["rounds"] for name, section in stored.items() if name != "plain")
    assert list(stored["limit"]["recipes"]) == list(stored["predict"]["recipes"]) == list(RECIPES)
    waited_for = {"import digitlib", "build the book", "pytest --nbval notebooks"}
    assert waited_for <= set(stored["project"]["seconds"])
    assert {f"epoch of {name}" for name in RECIPES} <= set(stored["neighbour"]["ways"])
    growth = stored["growth"]
    assert [growth["images"][end][0] for end in (0, -1)] == [55_000 // 8, 4 * 55_000]
    assert len(growth["batch"]) >= 4 and len(growth["width"]) >= 4
    assert len(stored["scaling"]["ways"]) == 3


def test_the_ratios_and_the_targets_follow_from_the_times(stored):
    plain = stored["plain"]
    assert len(plain["seeds"]) >= 3
    assert 0 < plain["loop"]["fastest"] <= plain["loop"]["median"]
    assert plain["runs"][0] == bench_plain.ratios(plain)
    for system in plain["systems"].values():
        pairs = [
            theirs[0] / ours[0]
            for curves in zip(system["plain"], system["ours"], strict=True)
            for theirs, ours in zip(*curves, strict=True)
        ]
        assert len(pairs) >= 3
        assert system["ratio"] == pytest.approx(median(pairs), rel=1e-3)
    assert [row["target"] for row in plain["targets"]] == list(bench_plain.TARGETS)
    for row in plain["targets"]:
        again = bench_plain.reach(row["target"], plain["systems"], plain["ladder"])
        assert {way for way in row if row[way] is None} == {way for way in again if again[way] is None}
        assert all(row[way] == pytest.approx(again[way], rel=1e-3) for way in row if row[way] is not None)


@pytest.mark.parametrize("name", bench_plain.EARLIER)
def test_both_ways_learn_the_same_within_noise(name, stored):
    """The difference of the means is below 4.6 standard errors: 99% of Student's distribution with 4 degrees."""
    plain, ours = stored["plain"]["systems"][name]["accuracy"].values()
    error = math.sqrt(stdev(plain) ** 2 / len(plain) + stdev(ours) ** 2 / len(ours))
    assert abs(mean(plain) - mean(ours)) < max(4.6 * error, 0.002)


def test_the_plain_way_loads_the_same_images_in_a_seeded_order():
    images, labels = load_part("validation")
    loader = bench_plain.loader("validation", 1999, {})
    batches = list(loader)
    torch.testing.assert_close(torch.cat([batch for batch, _ in batches]), images, atol=1e-6, rtol=0)
    assert torch.equal(torch.cat([batch for _, batch in batches]), labels)
    first, again = (next(iter(bench_plain.loader("validation", 99, {}, shuffle=True)))[1] for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, labels[:99])
