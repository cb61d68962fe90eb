"""The command line: every command, every exit code, and one line for each error."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.metrics import precision_recall_fscore_support

from digitlib import __main__ as cli
from digitlib import checkpoints, data, predict, recipes
from digitlib.models import MODELS, count_parameters
from digitlib.recipes import RECIPES, Recipe, change

COMMANDS = ["recipes", "train", "evaluate", "predict"]
TINY = Recipe(
    name="tiny",
    title="a test",
    model="mlp",
    model_options={"hidden_sizes": [32]},
    num_epochs=2,
    batch_size=50,
)


@pytest.fixture(autouse=True)
def own_checkpoints(tmp_path, monkeypatch):
    """Keep the checkpoints of the tests apart from the user's."""
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.delenv("DIGITLIB_DEBUG", raising=False)


@pytest.fixture
def run(capsys):
    """Return a function that runs a command in this process: its exit code, stdout and stderr."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
        output, errors = capsys.readouterr()
        assert "Traceback" not in output + errors
        return code, output, errors

    return run


@pytest.fixture(scope="session")
def parts():
    """4,000 images of each part, loaded once."""
    return {part: tuple(t[:4000].clone() for t in data.load_part(part)) for part in ("train", "validation")}


@pytest.fixture
def tiny(parts, monkeypatch):
    """A recipe that trains in a moment, on 300 images."""
    monkeypatch.setitem(RECIPES, "tiny", TINY)
    monkeypatch.setattr(recipes, "load_part", lambda part: tuple(t[:300] for t in parts[part]))
    return TINY


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("expected the error before the training")

    monkeypatch.setattr(recipes, "train", refuse)


@pytest.fixture(scope="session")
def trained(parts, tmp_path_factory):
    """A checkpoint that reads digits passably: 4,000 images, three epochs."""
    path = tmp_path_factory.mktemp("trained") / "trained.pth"
    recipe = change(TINY, name="trained", num_epochs=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "load_part", parts.__getitem__)
        model, history = recipes.train(recipe)
    assert history.validation_accuracy[-1] > 0.8
    checkpoints.save(path, model, recipe, history=history)
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Four test images as files, black on white, and the digits in them: {path: digit}."""
    folder = tmp_path_factory.mktemp("pictures")
    images, labels = data.load_raw("test")
    paths = [folder / name for name in ("a.png", "b.jpg", "name with spaces.png", "чисел 数字.png")]
    for path, image in zip(paths, images):
        Image.fromarray(255 - image.numpy()).resize((140, 140)).save(path)
    return dict(zip(paths, labels[:4].tolist()))


def assert_one_line(errors, *words):
    assert errors.startswith("digitlib: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    for word in words:
        assert str(word) in errors


def start(*arguments, **options):
    """Start the command as a user does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-m", "digitlib", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**environment, "PYTHONUTF8": "1"},
        **options,
    )


# --- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_text_has_examples_and_every_example_is_understood(command, run):
    code, output, errors = run(command, "--help")
    assert (code, errors) == (0, "")
    examples = output.partition("examples:\n")[2].strip().splitlines()
    assert examples
    for example in examples:
        program, *arguments = shlex.split(example)
        assert program == "digitlib"
        options = cli.build_parser().parse_args(arguments)
        assert options.command is getattr(cli, command)
        assert arguments[0] == command
        assert getattr(options, "recipe", "cnn") in RECIPES


def test_the_first_help_text_names_every_command(run):
    code, output, _ = run("--help")
    assert code == 0
    for command in COMMANDS:
        assert re.search(rf"^ +{command} +\w", output, re.MULTILINE)


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_every_option_is_explained(command):
    parser = cli.build_parser()._subparsers._group_actions[0].choices[command]
    for action in parser._actions:
        assert action.help, f"{action.dest} of {command} has no help"


def test_without_a_command_it_helps_and_exits_with_2(run):
    code, output, errors = run()
    assert (code, errors) == (2, "")
    assert output.startswith("usage: digitlib")
    assert output == cli.build_parser().format_help()


def test_the_version(run):
    assert run("--version") == (0, "digitlib 0.1.0\n", "")


def test_the_console_command_is_this_main():
    (entry,) = [entry for entry in entry_points(group="console_scripts") if entry.name == "digitlib"]
    assert entry.load() is cli.main


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["train"], ["evaluate"], ["predict"], ["recipes", "extra"], ["predict", "--json"], ["-x"]],
    ids=" ".join,
)
def test_a_command_that_is_not_understood_exits_with_2(arguments, run):
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert "error: " in errors.splitlines()[-1]


# --- recipes


def test_recipes_lists_each_with_its_settings(run):
    code, output, errors = run("recipes")
    assert (code, errors) == (0, "")
    heading, *lines = output.splitlines()
    assert heading.split() == ["recipe", "parameters", "optimizer", "rate", "batch", "epochs", "title"]
    assert len(lines) == len(RECIPES)
    for line, (name, recipe) in zip(lines, RECIPES.items(), strict=True):
        words = line.split(maxsplit=6)
        model = MODELS[recipe.model](**recipe.model_options)
        assert words[0] == name
        assert int(words[1].replace(",", "")) == count_parameters(model)
        assert words[2] == recipe.optimizer
        assert float(words[3]) == recipe.learning_rate
        assert [int(words[4]), int(words[5])] == [recipe.batch_size, recipe.num_epochs]
        assert words[6] == recipe.title


# --- train


def test_train_saves_what_it_says_where_it_says(run, tiny, tmp_path):
    code, output, errors = run("train", "tiny")
    assert (code, errors) == (0, "")
    first, result, saved = output.splitlines()
    assert first == "training tiny: a test, 2 epochs, seed 0"
    path = Path(saved.removeprefix("saved "))
    assert path == checkpoints.checkpoint_path(TINY)
    assert path.is_relative_to(tmp_path)
    checkpoint = checkpoints.load(path)
    assert checkpoint.recipe == TINY
    assert len(checkpoint.history) == 2
    accuracy = checkpoint.history.validation_accuracy[-1]
    assert result.startswith(f"validation accuracy {accuracy:.2%} after 2 epochs, ")
    assert checkpoint.metrics["validation_accuracy"] == accuracy
    assert checkpoint.metrics["seconds"] == pytest.approx(float(result.split()[-2]), abs=0.051)


def test_what_train_saved_is_what_load_or_train_finds(run, tiny, monkeypatch):
    run("train", "tiny")
    monkeypatch.delattr(recipes, "train")
    assert len(checkpoints.load_or_train("tiny").history) == 2


def test_every_setting_reaches_the_training(run, tiny, tmp_path):
    path = tmp_path / "folders" / "on the way" / "mine.pth"
    code, output, _ = run(
        *("train", "tiny", "--learning-rate", "0.01", "--batch-size", "75", "--epochs", "3"),
        *("--seed", "7", "--augment", "--coarsen", "--output", path),
    )
    assert code == 0
    assert output.splitlines()[0] == "training tiny: a test, 3 epochs, seed 7"
    assert output.splitlines()[-1] == f"saved {path}"
    checkpoint = checkpoints.load(path)
    settings = {"learning_rate": 0.01, "batch_size": 75, "num_epochs": 3, "seed": 7}
    expected = change(TINY, **settings, augment=True, coarsen=True)
    assert checkpoint.recipe == expected
    assert len(checkpoint.history) == 3
    assert len(checkpoint.history.step_loss) == 3 * 4
    assert not (tmp_path / "checkpoints").exists()


def test_the_same_seed_gives_the_same_network_and_another_another(run, tiny, tmp_path):
    loaded = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("train", "tiny", "--seed", seed, "--epochs", 1, "--output", tmp_path / f"{name}.pth")
        loaded.append(checkpoints.load(tmp_path / f"{name}.pth"))
    assert loaded[0].history == loaded[1].history
    assert loaded[0].history != loaded[2].history


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("adam", 2e-3, 0.0)),
        (["--optimizer", "sgd"], ("sgd", 0.05, 0.9)),
        (["--optimizer", "adam"], ("adam", 2e-3, 0.0)),
        (["--optimizer", "sgd", "--learning-rate", "0.3"], ("sgd", 0.3, 0.9)),
    ],
)
def test_another_optimizer_brings_a_learning_rate_that_suits_it(options, expected, run, tiny, tmp_path):
    run("train", "tiny", "--epochs", 1, *options, "--output", tmp_path / "mine.pth")
    recipe = checkpoints.load(tmp_path / "mine.pth").recipe
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum) == expected


@pytest.mark.parametrize("setting", ["augment", "coarsen"])
def test_augmentation_can_be_switched_off(setting, run, tiny, monkeypatch, tmp_path):
    monkeypatch.setitem(RECIPES, "tiny", change(TINY, num_epochs=1, **{setting: True}))
    run("train", "tiny", "--output", tmp_path / "on.pth")
    run("train", "tiny", f"--no-{setting}", "--output", tmp_path / "off.pth")
    assert getattr(checkpoints.load(tmp_path / "on.pth").recipe, setting) is True
    assert getattr(checkpoints.load(tmp_path / "off.pth").recipe, setting) is False


def test_an_unknown_recipe(run, no_training):
    code, output, errors = run("train", "transformer")
    assert (code, output) == (2, "")
    assert_one_line(errors, "mlp, cnn, rnn", "got 'transformer'")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--epochs", "0", "num_epochs to be a whole number of at least 1, got 0"),
        ("--epochs", "-1", "num_epochs to be a whole number of at least 1, got -1"),
        ("--batch-size", "0", "batch_size to be a whole number of at least 1, got 0"),
        ("--batch-size", "-5", "batch_size"),
        ("--seed", "-1", "seed to be a whole number of at least 0, got -1"),
        ("--seed", str(2**64), "seed"),
        ("--learning-rate", "nan", "learning_rate above 0 and at most 100, got nan"),
        ("--learning-rate", "inf", "learning_rate"),
        ("--learning-rate", "0", "learning_rate"),
        ("--learning-rate", "-0.1", "learning_rate"),
    ],
)
def test_a_number_that_makes_no_sense(option, value, words, run, no_training, tmp_path):
    code, output, errors = run("train", "cnn", option, value, "--output", tmp_path / "mine.pth")
    assert (code, output) == (2, "")
    assert_one_line(errors, words)
    assert not (tmp_path / "mine.pth").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", "many"),
        ("--epochs", "1.5"),
        ("--learning-rate", "fast"),
        ("--optimizer", "lion"),
        ("--device", "tpu"),
    ],
)
def test_a_word_that_an_option_does_not_take(option, value, run, no_training):
    code, output, errors = run("train", "cnn", option, value)
    assert (code, output) == (2, "")
    assert option in errors.splitlines()[-1]
    assert value in errors.splitlines()[-1]


def test_a_device_that_is_not_there(run, no_training, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, output, errors = run("train", "cnn", "--device", "cuda")
    assert (code, output) == (2, "")
    assert_one_line(errors, "expected a device of this machine (cpu", "got 'cuda'")


@pytest.mark.parametrize("place", ["file/mine.pth", "folder", "/sys/kernel/mine.pth"])
def test_an_output_that_cannot_be_written_is_found_before_training(place, run, no_training, tmp_path):
    if place.startswith("/") and not Path("/sys/kernel").is_dir():
        pytest.skip("needs Linux, where not even root writes to /sys")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    code, output, errors = run("train", "cnn", "--output", tmp_path / place)
    assert (code, output) == (2, "")
    assert_one_line(errors, tmp_path / place, "expected to write a checkpoint", "--output")


def test_a_training_that_diverges_is_not_kept(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "tiny", change(TINY, model_options={"hidden_sizes": [64] * 6}))
    code, _, errors = run(
        *("train", "tiny", "--optimizer", "sgd", "--learning-rate", "100", "--epochs", "4"),
        *("--output", tmp_path / "mine.pth"),
    )
    assert code == 2
    assert_one_line(errors, "finite numbers", "smaller learning rate")
    assert not (tmp_path / "mine.pth").exists()


def test_data_that_is_not_there(run, monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    code, _, errors = run("train", "cnn", "--output", tmp_path / "mine.pth")
    assert code == 2
    assert_one_line(errors, tmp_path / "file", "Not a directory", "DIGITLIB_DATA")


def interrupt_in_epoch(number, patch):
    """Press Ctrl-C while that epoch is validated."""
    loop = recipes.fit.__globals__
    evaluate, calls = loop["evaluate"], []

    def interrupt(*arguments, **options):
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    patch.setitem(loop, "evaluate", interrupt)


def test_ctrl_c_keeps_the_finished_epochs_aside(run, tiny, tmp_path, monkeypatch):
    path = tmp_path / "mine.pth"
    assert run("train", "tiny", "--epochs", 3, "--output", path)[0] == 0
    before = path.read_bytes()
    interrupt_in_epoch(3, monkeypatch)
    code, output, errors = run("train", "tiny", "--epochs", 3, "--output", path)
    assert code == 130
    assert_one_line(errors, "interrupted after 2 of 3 epochs")
    kept = tmp_path / "mine-interrupted.pth"
    assert output.splitlines()[-1] == f"saved {kept}"
    assert path.read_bytes() == before, "a finished network stays"
    assert len(checkpoints.load(kept).history) == 2
    assert checkpoints.load(kept).history.interrupted


def test_ctrl_c_in_the_first_epoch_keeps_nothing(run, tiny, tmp_path, monkeypatch):
    interrupt_in_epoch(1, monkeypatch)
    code, _, errors = run("train", "tiny", "--output", tmp_path / "mine.pth")
    assert code == 130
    assert errors == "digitlib: interrupted\n"
    assert list(tmp_path.glob("**/*.pth")) == []


# --- evaluate


@pytest.mark.parametrize("part", ["test", "validation"])
def test_the_table_and_the_json_say_the_same_and_scikit_learn_agrees(part, run, trained):
    code, output, errors = run("evaluate", trained, "--part", part)
    assert (code, errors) == (0, "")
    code, as_json, errors = run("evaluate", trained, "--part", part, "--json")
    assert (code, errors) == (0, "")
    result = json.loads(as_json)

    images, labels = data.load_part(part)
    with torch.no_grad():
        logits = checkpoints.load(trained).model(images)
    predictions = logits.argmax(dim=1)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predictions)
    assert result["num_images"] == len(labels)
    assert result["num_correct"] == (predictions == labels).sum().item()
    assert result["accuracy"] == pytest.approx(result["num_correct"] / len(labels))
    assert result["loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), abs=1e-5)
    assert result["macro_precision"] == pytest.approx(precision.mean(), abs=1e-9)
    assert result["macro_recall"] == pytest.approx(recall.mean(), abs=1e-9)
    assert result["macro_f1"] == pytest.approx(f1.mean(), abs=1e-9)
    low, high = result["interval"]
    assert low < result["accuracy"] < high
    assert (result["recipe"], result["part"], result["checkpoint"]) == ("trained", part, str(trained))

    lines = output.splitlines()
    assert lines[0] == f"{trained}: recipe trained, {part} images"
    accuracy = f"{result['accuracy']:.2%} ({result['num_correct']:,} of {result['num_images']:,} right)"
    assert lines[1] == f"accuracy {accuracy}"
    assert lines[2] == f"95% interval {low:.2%} to {high:.2%}, loss {result['loss']:.4f}"
    assert lines[3].split() == ["digit", "precision", "recall", "F1", "images"]
    for digit in range(10):
        number, *scores, images = lines[4 + digit].split()
        assert int(number) == digit
        assert [float(score) for score in scores] == pytest.approx(
            [precision[digit], recall[digit], f1[digit]], abs=5.1e-5
        )
        assert int(images.replace(",", "")) == support[digit]
    macro = [result["macro_precision"], result["macro_recall"], result["macro_f1"]]
    assert lines[14].split() == ["macro", *(f"{score:.4f}" for score in macro)]
    assert len(lines) == 15


def test_evaluate_reads_the_test_part_unless_told_otherwise(run, trained):
    assert json.loads(run("evaluate", trained, "--json")[1])["part"] == "test"


@pytest.mark.parametrize("content", [None, b"", b"some text", "half"])
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_checkpoint_that_cannot_be_used(command, content, run, tmp_path, trained, pictures):
    path = tmp_path / "broken.pth"
    if content is not None:
        path.write_bytes(trained.read_bytes()[:5000] if content == "half" else content)
    arguments = [path] if command == "evaluate" else [*pictures, "--checkpoint", path]
    code, output, errors = run(command, *arguments)
    assert (code, output) == (2, "")
    found = "no such file" if content is None else "a damaged file"
    assert_one_line(errors, path, "expected a checkpoint", f"found {found}", "digitlib train")


def test_debug_shows_where_an_error_comes_from(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLIB_DEBUG", "1")
    with pytest.raises(checkpoints.CheckpointError):
        cli.main(["evaluate", str(tmp_path / "missing.pth")])


# --- predict


@pytest.fixture
def broken_pictures(tmp_path):
    """Three paths without a picture, each in its own way."""
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    return [tmp_path / name for name in ("missing.png", "text.png", "folder.png")]


def test_predict_reads_each_picture(run, trained, pictures):
    code, output, errors = run("predict", *pictures, "--checkpoint", trained)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) == 2 * len(pictures)
    model = checkpoints.load(trained).model
    num_right = 0
    for (path, digit), answer, shares in zip(pictures.items(), lines[::2], lines[1::2], strict=True):
        expected = predict.predict(model, path)
        share = expected.probabilities[expected.digit]
        assert answer == f"{path}: {expected.digit} (probability {share:.1%})"
        found = re.findall(r"(\d): (\d+\.\d)%", shares)
        assert [int(number) for number, _ in found] == list(range(10))
        assert sum(float(percent) for _, percent in found) == pytest.approx(100, abs=0.5)
        num_right += expected.digit == digit
    assert num_right >= 3


def test_predict_prints_json(run, trained, pictures):
    code, output, errors = run("predict", *pictures, "--checkpoint", trained, "--json")
    assert (code, errors) == (0, "")
    results = json.loads(output)
    assert [result["image"] for result in results] == [str(path) for path in pictures]
    model = checkpoints.load(trained).model
    for path, result in zip(pictures, results, strict=True):
        expected = predict.predict(model, path)
        assert result.keys() == {"image", "digit", "probabilities"}
        assert result["digit"] == expected.digit
        assert result["probabilities"] == pytest.approx(list(expected.probabilities), abs=1e-6)
        assert sum(result["probabilities"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_picture_that_cannot_be_read_does_not_stop_the_others(
    as_json, run, trained, pictures, broken_pictures
):
    good = list(pictures)
    paths = [good[0], *broken_pictures[:2], good[1], broken_pictures[2], good[2]]
    code, output, errors = run("predict", *paths, "--checkpoint", trained, *(["--json"] if as_json else []))
    assert code == 1
    lines = errors.splitlines(keepends=True)
    assert len(lines) == 3
    for line, path in zip(lines, broken_pictures, strict=True):
        assert_one_line(line, path, "expected a picture", "found")
    if as_json:
        results = json.loads(output)
        assert [result["image"] for result in results] == [str(path) for path in paths]
        assert [result.keys() for result in results if "error" not in result] == [
            {"image", "digit", "probabilities"}
        ] * 3
        for result, line in zip([r for r in results if "error" in r], lines, strict=True):
            assert result.keys() == {"image", "error"}
            assert line == f"digitlib: {result['error']}\n"
    else:
        assert [line.rsplit(": ", 1)[0] for line in output.splitlines()[::2]] == [str(p) for p in good[:3]]


@pytest.fixture
def row(tmp_path):
    """Three test images side by side, and the digits in them from left to right."""
    images, labels = data.load_raw("test")
    picture = Image.new("L", (480, 160), 255)
    for number, image in enumerate(images[:3]):
        picture.paste(Image.fromarray(255 - image.numpy()).resize((140, 140)), (160 * number + 10, 10))
    picture.save(tmp_path / "row.png")
    return tmp_path / "row.png", labels[:3].tolist()


def test_several_digits_need_number(run, trained, row):
    code, output, errors = run("predict", row[0], "--checkpoint", trained)
    assert (code, output) == (1, "")
    assert_one_line(errors, row[0], "expected one digit, found 3 digits", "--number")


def test_number_prints_the_number_and_each_probability(run, trained, row, broken_pictures):
    path, digits = row
    code, output, errors = run("predict", "--number", path, broken_pictures[0], "--checkpoint", trained)
    assert code == 1
    assert_one_line(errors, broken_pictures[0])
    first, second = output.splitlines()
    expected = predict.predict_number(checkpoints.load(trained).model, path)
    assert first == f"{path}: {''.join(str(prediction.digit) for prediction in expected)}"
    assert second.split() == [
        word for p in expected for word in (f"{p.digit}:", f"{p.probabilities[p.digit]:.1%}")
    ]
    assert sum(p.digit == digit for p, digit in zip(expected, digits, strict=True)) >= 2


def test_number_prints_json(run, trained, row):
    code, output, errors = run("predict", "--number", "--json", row[0], "--checkpoint", trained)
    assert (code, errors) == (0, "")
    (result,) = json.loads(output)
    expected = predict.predict_number(checkpoints.load(trained).model, row[0])
    assert result.keys() == {"image", "number", "digits"}
    assert result["number"] == "".join(str(prediction.digit) for prediction in expected)
    for digit, prediction in zip(result["digits"], expected, strict=True):
        assert digit["digit"] == prediction.digit
        assert digit["probabilities"] == pytest.approx(list(prediction.probabilities), abs=1e-6)


def test_only_pictures_that_cannot_be_read(run, trained, broken_pictures):
    code, output, errors = run("predict", *broken_pictures, "--checkpoint", trained)
    assert (code, output) == (1, "")
    assert len(errors.splitlines()) == 3


def test_the_same_picture_twice_is_answered_twice(run, trained, pictures):
    path = next(iter(pictures))
    first, second = json.loads(run("predict", path, path, "--checkpoint", trained, "--json")[1])
    assert first == second


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_name_that_is_no_text_does_not_stop_the_others(as_json, run, trained, pictures, tmp_path):
    """As an old archive leaves it: café.png in Latin-1."""
    path, readable = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"), next(iter(pictures))
    Path(path).write_bytes(readable.read_bytes())
    options = ["--json"] if as_json else []
    code, output, errors = run("predict", path, readable, "--checkpoint", trained, *options)
    assert (code, errors) == (0, "")
    assert r"caf\udce9.png" in output
    assert str(readable) in output


def test_a_terminal_that_cannot_show_a_name(run, trained, pictures, tmp_path):
    """Such as Windows' own, or one without a language set."""
    path = list(pictures)[3]
    with (
        open(tmp_path / "output", "w", encoding="ascii") as terminal,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", terminal)
        assert cli.main(["predict", str(path), "--checkpoint", str(trained)]) == 0
    assert rf"\u6570\u5b57.png: {predict.predict(checkpoints.load(trained).model, path).digit} " in (
        (tmp_path / "output").read_text(encoding="ascii")
    )


def test_without_a_checkpoint_the_recipe_cnn_is_loaded_or_trained(run, trained, pictures, monkeypatch):
    calls = []

    def load_or_train(*arguments, **options):
        calls.append((arguments, options))
        return checkpoints.load(trained)

    monkeypatch.setattr(checkpoints, "load_or_train", load_or_train)
    path = next(iter(pictures))
    code, output, errors = run("predict", path, "--json")
    assert code == 0
    assert calls == [(("cnn",), {})]
    assert_one_line(errors, "training the recipe cnn once")
    assert json.loads(output)[0]["image"] == str(path)

    kept = checkpoints.checkpoint_path(RECIPES["cnn"])
    kept.parent.mkdir(parents=True)
    kept.touch()
    code, _, errors = run("predict", path)
    assert (code, errors) == (0, "")
    assert len(calls) == 2


def test_the_network_is_trained_once_for_all_later_calls(run, tiny, pictures, monkeypatch):
    monkeypatch.setitem(RECIPES, "cnn", change(TINY, name="cnn"))
    path = next(iter(pictures))
    first = run("predict", path)
    monkeypatch.delattr(recipes, "train")
    second = run("predict", path)
    assert first[0] == second[0] == 0
    assert first[1] == second[1]
    assert "training" in first[2]
    assert second[2] == ""


def test_ctrl_c_while_it_trains(run, tiny, pictures, monkeypatch):
    monkeypatch.setitem(RECIPES, "cnn", change(TINY, name="cnn"))
    interrupt_in_epoch(2, monkeypatch)
    code, output, errors = run("predict", next(iter(pictures)))
    assert (code, output) == (130, "")
    assert errors.endswith("digitlib: interrupted\n")
    assert not checkpoints.checkpoint_path(RECIPES["cnn"]).exists()


def test_numbers_that_json_does_not_know_are_never_printed(run, trained, pictures, monkeypatch):
    def answer(model, path):
        return predict.Prediction(0, (float("nan"),) * 10, torch.zeros(28, 28))

    monkeypatch.setattr(predict, "predict", answer)
    code, output, errors = run("predict", *pictures, "--checkpoint", trained, "--json")
    assert (code, output) == (2, "")
    assert_one_line(errors, "JSON")


# --- as a user starts it


def test_every_command_runs_as_a_program(tmp_path, pictures):
    path, picture = tmp_path / "mine.pth", list(pictures)[3]
    for arguments, words in (
        (["recipes"], "21,840"),
        (["train", "mlp", "--epochs", "1", "--batch-size", "1000", "--output", path], f"saved {path}"),
        (["evaluate", path], "95% interval"),
        (["predict", picture, "--checkpoint", path], f"{picture}: "),
    ):
        process = start(*arguments, stdout=subprocess.PIPE)
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
        assert words in output


def test_a_reader_who_has_gone_is_no_error():
    """As with `digitlib recipes | head -1`, or a pager that was left."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = start("recipes", stdout=writer)
        _, errors = process.communicate(timeout=60)
    finally:
        os.close(writer)
    assert (process.returncode, errors) == (0, "")


def test_ctrl_c_ends_a_training_in_one_line(tmp_path):
    # A program in the background may have been started deaf to Ctrl-C, so this one listens expressly.
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from digitlib.__main__ import main\n"
        f"sys.exit(main(['train', 'rnn', '--epochs', '500', '--output', {str(tmp_path / 'mine.pth')!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().startswith("training rnn")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == "digitlib: interrupted\n"
    assert not (tmp_path / "mine.pth").exists()


@pytest.mark.parametrize("chosen, expected", [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_how_threads_wait_is_set_before_torch_is_imported(chosen, expected):
    script = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'torch':\n"
        "            print(os.environ.get('OMP_WAIT_POLICY'), flush=True)\n"
        "            os._exit(0)\n"
        "sys.meta_path.insert(0, Watch)\n"
        "from digitlib.__main__ import main\n"
        "main(['recipes'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | chosen
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == expected + "\n"
