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
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from sklearn.metrics import precision_recall_fscore_support

from digitlib import __main__ as cli
from digitlib import checkpoints, data, distributed, evaluation, predict, recipes
from digitlib.models import MODELS, count_parameters
from digitlib.recipes import RECIPES, Recipe, change

COMMANDS = ["recipes", "train", "evaluate", "predict"]
LAYERS = {"hidden_sizes": [32]}
TINY = Recipe(name="tiny", title="a test", model="mlp", model_options=LAYERS, num_epochs=2, batch_size=50)


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
        before = signal.getsignal(signal.SIGINT), os.environ.get("OMP_WAIT_POLICY")
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
        assert (signal.getsignal(signal.SIGINT), os.environ.get("OMP_WAIT_POLICY")) == before
        output, errors = capsys.readouterr()
        assert "Traceback" not in output + errors
        return code, output, errors

    return run


@pytest.fixture
def tiny(monkeypatch):
    """A recipe that trains in a moment, on 300 images."""
    images = torch.randn(300, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    monkeypatch.setitem(RECIPES, "tiny", TINY)
    monkeypatch.setattr(recipes, "load_part", lambda part: (images, torch.arange(300) % 10))
    return TINY


@pytest.fixture
def trainings(monkeypatch):
    """The recipes that would have been trained."""
    found = []

    def train(recipe, **options):
        found.append(recipe)
        raise ValueError("no training here")

    monkeypatch.setattr(recipes, "train", train)
    return found


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """A checkpoint whose weights are as they were at the start: what it reads it reads badly, and says so."""
    path = tmp_path_factory.mktemp("network") / "network.pth"
    torch.manual_seed(0)
    checkpoints.save(path, recipes.build_model(TINY), TINY)
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Three test images as files, black on white, and the digits in them: {path: digit}."""
    folder = tmp_path_factory.mktemp("pictures")
    images, labels = data.load_raw("test")
    paths = [folder / name for name in ("a.png", "name with spaces.jpg", "чисел 数字.png")]
    for path, image in zip(paths, images):
        Image.fromarray(255 - image.numpy()).resize((140, 140)).save(path)
    return dict(zip(paths, labels[:3].tolist()))


def assert_one_line(errors, *words):
    assert re.fullmatch(r"digitlib: .+\n", errors)
    for word in words:
        assert str(word) in errors


# --- help and mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_text_has_examples_and_every_example_and_option_is_understood(command, run):
    code, output, errors = run(command, "--help")
    assert (code, errors) == (0, "")
    examples = output.partition("examples:\n")[2].replace("torchrun --nproc-per-node=2 -m ", "").splitlines()
    for example in examples:
        program, *arguments = shlex.split(example)
        options = cli.build_parser().parse_args(arguments)
        assert (program, options.command) == ("digitlib", getattr(cli, command))
        assert getattr(options, "recipe", "cnn") in RECIPES
    parser = cli.build_parser()._subparsers._group_actions[0].choices[command]
    assert examples and all(action.help for action in parser._actions)


def test_without_a_command_it_helps_with_each_and_exits_with_2(run):
    code, output, errors = run()
    assert (code, errors) == (2, "")
    assert run("--help") == (0, output, "")
    for command in COMMANDS:
        assert re.search(rf"^ +{command} +\w", output, re.MULTILINE)
    assert run("--version") == (0, "digitlib 1.0.0\n", "")


MISTAKES = """nonsense|train|evaluate|predict|recipes extra|predict --json|-x|train cnn --epochs 1.5
train cnn --learning-rate fast|train cnn --optimizer lion|train cnn --device tpu""".replace("\n", "|").split(
    "|"
)


def test_a_command_that_is_not_understood_exits_with_2(run, trainings):
    for arguments in MISTAKES:
        code, output, errors = run(*arguments.split())
        assert (code, output, trainings) == (2, "", [])
        last = errors.splitlines()[-1]
        assert "error: " in last
        assert all(word in last for word in arguments.split()[2:])


CANNOT_BE_USED = """
train transformer                        | mlp, cnn, rnn | got 'transformer'
train cnn --epochs 0                     | num_epochs to be a whole number of at least 1, got 0
train cnn --batch-size -5                | batch_size to be a whole number of at least 1, got -5
train cnn --seed -1                      | seed to be a whole number of at least 0, got -1
train cnn --seed 18446744073709551616    | seed
train cnn --learning-rate nan            | learning_rate above 0 and at most 100, got nan
train cnn --learning-rate 0              | learning_rate
train cnn --device cuda                  | expected a device of this machine (cpu | got 'cuda'
train cnn --output HERE/text/mine.pth    | HERE/text | expected | --output
train cnn --output HERE                  | HERE | expected | --output
train cnn --output HERE/text             | HERE/text | expected a new name, or a checkpoint | --output
train cnn --output HERE/mine.pth         | HERE/mine-interrupted.pth | expected a new name | --output
train cnn --output /                     | '/' | expected a checkpoint's name | --output
evaluate HERE/missing.pth                | missing.pth | expected a checkpoint | no such file | digitlib train
evaluate HERE/text                       | HERE/text | expected a checkpoint | damaged | digitlib train
predict a.png --checkpoint HERE/half.pth | half.pth | expected a checkpoint | damaged | digitlib train
"""


def test_what_cannot_be_used_is_named_in_one_line(run, trainings, network, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("text", "mine-interrupted.pth"):
        (tmp_path / name).write_text("some text")
    (tmp_path / "half.pth").write_bytes(network.read_bytes()[:5000])
    for line in CANNOT_BE_USED.strip().replace("HERE", str(tmp_path)).splitlines():
        arguments, *words = line.split("|")
        code, output, errors = run(*arguments.split())
        assert (code, output, trainings) == (2, "", [])
        assert_one_line(errors, *map(str.strip, words))


def test_debug_shows_where_an_error_comes_from(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLIB_DEBUG", "1")
    with pytest.raises(checkpoints.CheckpointError):
        cli.main(["evaluate", str(tmp_path / "missing.pth")])


# --- recipes and train


def test_recipes_lists_each_with_its_settings_in_columns(run, monkeypatch):
    monkeypatch.setitem(RECIPES, "a-longer-name", change(TINY, name="a-longer-name"))
    code, output, errors = run("recipes")
    assert (code, errors) == (0, "")
    heading, *lines = output.splitlines()
    assert heading.split() == ["recipe", "parameters", "optimizer", "rate", "batch", "epochs", "title"]
    for line, r in zip(lines, RECIPES.values(), strict=True):
        num_parameters = count_parameters(MODELS[r.model](**r.model_options))
        settings = f"{num_parameters:,} {r.optimizer} {r.learning_rate:g} {r.batch_size} {r.num_epochs}"
        assert line.split(maxsplit=6) == [r.name, *settings.split(), r.title]
        assert line.index(r.title) == heading.index("title")


def test_train_saves_what_it_says_where_load_or_train_finds_it(run, tiny, tmp_path, monkeypatch):
    code, output, errors = run("train", "tiny")
    assert (code, errors) == (0, "")
    first, result, saved = output.splitlines()
    assert first == "training tiny: a test, 2 epochs, seed 0"
    assert saved == f"saved {checkpoints.checkpoint_path(TINY)}"
    assert checkpoints.checkpoint_path(TINY).is_relative_to(tmp_path)
    monkeypatch.delattr(recipes, "train")
    checkpoint = checkpoints.load_or_train("tiny")
    assert (checkpoint.recipe, len(checkpoint.history)) == (TINY, 2)
    accuracy, seconds = (checkpoint.metrics[name] for name in ("validation_accuracy", "seconds"))
    assert accuracy == checkpoint.history.validation_accuracy[-1]
    assert result == f"validation accuracy {accuracy:.2%} after 2 epochs, {seconds:.1f} s"


def test_every_setting_reaches_the_training(run, tiny, trainings, monkeypatch):
    numbers = "--learning-rate 0.01 --batch-size 75 --epochs 3 --seed 7"
    run("train", "tiny", *f"{numbers} --augment --flags 0.3 --roughen 0.5".split())
    settings = {"learning_rate": 0.01, "batch_size": 75, "num_epochs": 3, "seed": 7}
    assert trainings.pop() == change(TINY, **settings, augment=True, flags=0.3, roughen=0.5)
    monkeypatch.setitem(RECIPES, "tiny", change(TINY, augment=True, flags=0.3, roughen=0.5))
    run("train", "tiny")
    assert trainings.pop() == RECIPES["tiny"]
    run("train", "tiny", "--no-augment", "--flags", "0", "--roughen", "0", "--optimizer", "sgd")
    assert trainings.pop() == change(TINY, optimizer="sgd") != change(TINY, optimizer="adam")


def test_ctrl_c_in_the_first_epoch_keeps_nothing(run, tiny, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(recipes.fit.__globals__, "evaluate", interrupted)
    code, _, errors = run("train", "tiny", "--output", tmp_path / "mine.pth")
    assert (code, errors) == (130, "digitlib: interrupted\n")
    assert list(tmp_path.glob("**/*.pth")) == []


def test_an_earlier_interrupted_training_of_several_processes_stays_until_an_epoch_is_finished(
    run, tiny, tmp_path, monkeypatch
):
    path, kept = tmp_path / "mine.pth", tmp_path / "mine-interrupted.pth"
    history = recipes.History([0.5], [0.5], [0.5], [0.5], [0.5])
    checkpoints.save(kept, recipes.build_model(TINY), TINY, history=history)
    earlier, num_epochs = kept.read_bytes(), 0

    def train(recipe, *, device, after_epoch):
        for _ in range(num_epochs):
            after_epoch(recipes.build_model(recipe), history)
        raise distributed.ProcessLost("another process has ended")

    monkeypatch.setattr(distributed, "num_processes", lambda: 2)
    monkeypatch.setattr(distributed, "train", train)
    code, _, errors = run("train", "tiny", "--output", path)
    assert (code, kept.read_bytes()) == (2, earlier)
    assert_one_line(errors, "no epoch was finished, nothing is kept; start the training again")
    num_epochs = 1
    code, _, errors = run("train", "tiny", "--output", path)
    assert code == 2 and kept.read_bytes() != earlier and not path.exists()
    assert_one_line(errors, f"1 of 2 epochs are kept in {kept}")


# --- evaluate


def test_the_table_and_the_json_say_the_same_and_scikit_learn_agrees(run, network):
    code, output, errors = run("evaluate", network, "--part", "validation")
    result = json.loads(run("evaluate", network, "--part", "validation", "--json")[1])
    assert (code, errors) == (0, "")
    images, labels = data.load_part("validation")
    with torch.no_grad():
        logits = checkpoints.load(network).model(images)
    predictions = logits.argmax(dim=1)
    *scores, support = precision_recall_fscore_support(labels, predictions, zero_division=0)
    macro = [score.mean() for score in scores]
    num_correct = (predictions == labels).sum().item()
    share, (low, high) = num_correct / len(labels), result.pop("interval_over_writers")
    assert low < share < high
    assert result.pop("interval") == list(evaluation.accuracy_interval(num_correct, len(labels)))
    assert result == {
        **{"checkpoint": str(network), "recipe": "tiny", "part": "validation"},
        **{"num_images": len(labels), "num_correct": num_correct, "accuracy": pytest.approx(share)},
        "loss": pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), abs=1e-5),
        **dict(zip(["macro_precision", "macro_recall", "macro_f1"], map(pytest.approx, macro))),
    }
    assert output.splitlines() == [
        f"{network}: recipe tiny, validation images",
        f"accuracy {share:.2%} ({num_correct:,} of {len(labels):,} right)",
        f"95% interval for new writers {low:.2%} to {high:.2%}, loss {result['loss']:.4f}",
        "digit  precision  recall     F1  images",
        *("{:5}     {:.4f}  {:.4f}  {:.4f}  {:6,}".format(*row) for row in zip(range(10), *scores, support)),
        "macro     {:.4f}  {:.4f}  {:.4f}".format(*macro),
    ]
    assert json.loads(run("evaluate", network, "--json")[1])["part"] == "validation"
    code, output, errors = run("evaluate", network, "--part", "test")
    assert code == 0 and "test images" in output and "choose by validation" in errors


# --- predict


def as_json(guess):
    probabilities = pytest.approx(list(guess.probabilities), abs=1e-6)
    return {"digit": guess.digit, "probabilities": probabilities, "sure": guess.is_sure}


def test_each_picture_is_read_and_one_that_cannot_be_does_not_stop_the_others(
    run, network, pictures, tmp_path
):
    (tmp_path / "text.png").write_text("no picture")
    first, second, third = pictures
    paths = [first, tmp_path / "missing.png", second, tmp_path, tmp_path / "text.png", third, first]
    code, output, errors = run("predict", *paths, "--checkpoint", network)
    answered = [line.rsplit(": ", 1)[0] for line in output.splitlines() if not line.startswith("  ")]
    assert (code, answered) == (1, list(map(str, (first, second, third, first))))
    lines = iter(errors.splitlines(keepends=True))
    results = json.loads(run("predict", *paths, "--checkpoint", network, "--json")[1])
    for path, result in zip(paths, results, strict=True):
        if path in pictures:
            expected = as_json(predict.predict(checkpoints.load(network).model, path))
        else:
            expected, line = {"error": result["error"]}, next(lines)
            assert line == f"digitlib: {result['error']}\n"
            assert_one_line(line, path, "expected a picture", "found")
        assert result == {"image": str(path), **expected}
    assert list(lines) == []


def test_a_row_is_read_as_a_number_alone(run, network, tmp_path):
    row = tmp_path / "row.png"
    digits = [255 - image for image in data.load_raw("test")[0][:3]]
    Image.fromarray(torch.cat(digits, dim=1).numpy()).resize((480, 160)).save(row)
    code, output, errors = run("predict", row, "--checkpoint", network)
    assert (code, output) == (1, "")
    assert_one_line(errors, row, "--number")
    (result,) = json.loads(run("predict", "--number", "--json", row, "--checkpoint", network)[1])
    expected = predict.predict_number(checkpoints.load(network).model, row)
    number = "".join(str(guess.digit) for guess in expected)
    assert len(number) == 3
    assert result == {"image": str(row), "number": number, "digits": list(map(as_json, expected))}


def guess(digit, share):
    """A prediction of which 7 has the rest; below two thirds it is not sure."""
    shares = [0.0] * 10
    shares[7], shares[digit] = 1 - share, share
    return SimpleNamespace(digit=digit, second=7, probabilities=tuple(shares), is_sure=share > 2 / 3)


ANSWERS = {
    "one": [guess(1, 0.625)],
    "sure": [guess(2, 0.75)],
    "row": [guess(3, 0.9), guess(1, 0.5), guess(4, 0.6)],
}
ONE = """one: 1 (probability 62.5%)
  0: 0.0%  1: 62.5%  2: 0.0%  3: 0.0%  4: 0.0%  5: 0.0%  6: 0.0%  7: 37.5%  8: 0.0%  9: 0.0%
  not sure: it may also be 7 (37.5%)
sure: 2 (probability 75.0%)
  0: 0.0%  1: 0.0%  2: 75.0%  3: 0.0%  4: 0.0%  5: 0.0%  6: 0.0%  7: 25.0%  8: 0.0%  9: 0.0%
"""
ROW = """row: 314
  3: 90.0%  1: 50.0%  4: 60.0%
  not sure: digit 2 may also be 7 (50.0%), digit 3 may also be 7 (40.0%)
sure: 2
  2: 75.0%
"""


def test_the_answer_comes_with_probabilities_and_a_doubt_with_the_second_guess(run, network, monkeypatch):
    monkeypatch.setattr(predict, "predict", lambda model, path: ANSWERS[str(path)][0])
    monkeypatch.setattr(predict, "predict_number", lambda model, path: ANSWERS[str(path)])
    assert run("predict", "one", "sure", "--checkpoint", network) == (0, ONE, "")
    assert run("predict", "--number", "row", "sure", "--checkpoint", network) == (0, ROW, "")


@pytest.mark.parametrize(
    "error", [MemoryError(), ZeroDivisionError("by\nzero"), OSError(5, "Input/output error")]
)
@pytest.mark.parametrize("stage", ["load_grey", "find_ink", "cut_touching", "predict_images"])
def test_whatever_goes_wrong_with_one_picture_is_its_own_error(
    stage, error, run, network, pictures, monkeypatch
):
    first, second, third = pictures
    calls, work = [], getattr(predict, stage)

    def fail_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) % 3 == 2:
            raise error
        return work(*arguments)

    monkeypatch.setattr(predict, stage, fail_at_the_second)
    for options in ([], ["--number"]):
        code, output, errors = run(
            "predict", first, second, third, "--json", "--checkpoint", network, *options
        )
        assert code == 1
        assert_one_line(errors, second, " ".join(str(error).split()) or "MemoryError")
        assert [("error" in result, result["image"]) for result in json.loads(output)] == [
            (path == second, str(path)) for path in pictures
        ]


def test_a_network_without_finite_probabilities_gives_no_answer(run, pictures, tmp_path):
    path, model = tmp_path / "huge.pth", recipes.build_model(TINY)
    for weights in model.parameters():
        weights.data = weights.sign() * 3e38  # finite, and no more
    checkpoints.save(path, model, TINY)
    for options in ([], ["--number"]):
        code, output, errors = run("predict", *pictures, "--checkpoint", path, *options)
        assert (code, output, errors.count("expected finite probabilities, got nan")) == (1, "", 3)
    code, output, errors = run("evaluate", path, "--part", "validation")
    assert (code, output) == (2, "")
    assert_one_line(errors, path, "expected finite logits")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_the_terminal_cannot_show(run, network, pictures, tmp_path):
    """As an old archive leaves it, café.png in Latin-1; or any but English in a terminal without a language."""
    path, chinese = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"), list(pictures)[2]
    Path(path).write_bytes(chinese.read_bytes())
    for options in ([], ["--json"]):
        code, output, errors = run("predict", path, chinese, "--checkpoint", network, *options)
        assert (code, errors) == (0, "")
        assert r"caf\udce9.png" in output
    with open(tmp_path / "output", "w", encoding="ascii") as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert cli.main(["predict", str(chinese), "--checkpoint", str(network)]) == 0
    assert r"\u6570\u5b57.png: " in (tmp_path / "output").read_text(encoding="ascii")


# --- as a user starts it


def start(script, *arguments, **options):
    """Run Python code as a process of its own, in which sys.argv is that of the command."""
    script = f"import sys; sys.argv[0] = 'digitlib'\n{script}\nfrom digitlib.__main__ import main; sys.exit(main())"
    # Buffered, as it is unless one asks for it: since 3.14 argparse keeps quiet about a line that it could not write.
    options |= {
        "env": {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": ""},
        "encoding": "utf-8",
        "timeout": 300,
    }
    return subprocess.run([sys.executable, "-c", script, *map(str, arguments)], **options)


def test_the_console_command_is_this_main_and_reads_a_picture_without_any_training(pictures):
    (entry,) = [entry for entry in entry_points(group="console_scripts") if entry.name == "digitlib"]
    assert entry.load() is cli.main
    path, digit = list(pictures.items())[2]
    script = """
import atexit, digitlib.recipes
del digitlib.recipes.train
slow = {"torchvision", "pandas", "matplotlib", "IPython"}
atexit.register(lambda: print(sorted(slow & sys.modules.keys())))
"""
    found = start(script, "predict", path, capture_output=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"{path}: {digit} (probability ")
    assert found.stdout.endswith("\n[]\n")


PRESS = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
IN_A_CALLBACK = f"""
class Callback:
    def __del__(self):
        {PRESS}
Callback()
raise ImportError("went on")
"""


IMPORTS = {
    "Ctrl-C": (PRESS, 130, "digitlib: interrupted\n"),
    "Ctrl-C in a callback": (IN_A_CALLBACK, 130, "digitlib: interrupted\n"),
    "Ctrl-C in the background": (IN_A_CALLBACK, 2, "digitlib: ImportError: went on\n"),
    "no memory": ("raise MemoryError", 2, "digitlib: MemoryError\n"),
    "no library": ("raise OSError('cannot\\nallocate')", 2, "digitlib: cannot allocate\n"),
    "threads": ("import os, sys; sys.exit(os.environ['OMP_WAIT_POLICY'])", 1, "PASSIVE\n"),
}


@pytest.mark.parametrize("what", IMPORTS)
def test_what_happens_while_torch_is_imported(what, tmp_path, monkeypatch):
    """A torch of our own stands in for the one that takes seconds to import."""
    torch_module, code, errors = IMPORTS[what]
    (tmp_path / "torch.py").write_text(torch_module)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    handler = "SIG_IGN" if "background" in what else "default_int_handler"
    script = f"import signal; signal.signal(signal.SIGINT, signal.{handler}); sys.path.insert(0, {str(tmp_path)!r})"
    for arguments in (["train", "cnn"], ["evaluate", "mine.pth"], ["predict", "a.png"]):
        found = start(script, *arguments, capture_output=True)
        assert (found.returncode, found.stdout, found.stderr) == (code, "", errors)


IN_THE_THIRD_EPOCH_AND_WHILE_SAVING = """
import os, signal, torch
from digitlib import recipes, training
signal.signal(signal.SIGINT, signal.default_int_handler)
press, replace, evaluate, calls = lambda: os.kill(os.getpid(), signal.SIGINT), os.replace, training.evaluate, [1, 2]
training.evaluate = lambda *arguments: evaluate(*arguments) if calls and calls.pop() else press()
os.replace = lambda *paths: (press(), replace(*paths))
def load_part(part):
    assert {"torch._dynamo", "torchvision.datasets"} <= sys.modules.keys(), "an import while Ctrl-C may be swallowed"
    return torch.zeros(60, 1, 28, 28), torch.arange(60) % 10
recipes.load_part = load_part
"""


def test_ctrl_c_ends_a_training_and_its_epochs_are_saved_whole_whoever_presses_again(tmp_path):
    path, kept = tmp_path / "mine.pth", tmp_path / "mine-interrupted.pth"
    checkpoints.save(path, recipes.build_model(TINY), TINY)
    finished, arguments = path.read_bytes(), ["train", "mlp", "--output", path]
    found = start(IN_THE_THIRD_EPOCH_AND_WHILE_SAVING, *arguments, capture_output=True)
    assert (found.returncode, found.stderr) == (130, "digitlib: interrupted after 2 of 8 epochs\n")
    assert found.stdout.endswith(f"\nsaved {kept}\n")
    assert sorted(tmp_path.iterdir()) == [kept, path]
    assert path.read_bytes() == finished
    assert len(checkpoints.load(kept).history) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full disk")
def test_a_reader_who_has_gone_is_no_error_and_a_full_disk_is_one(pictures):
    """As with `digitlib --help | head -1`, or a pager that was left."""
    reader, writer = os.pipe()
    os.close(reader)
    found = start("", "--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (found.returncode, found.stderr) == (0, "")
    for arguments in (
        ["--help"],
        ["predict", *pictures],
    ):  # the one is written at the end, the other on the way
        with open("/dev/full", "w") as full:
            found = start("", *arguments, stdout=full, stderr=subprocess.PIPE)
        assert found.returncode == 1
        assert_one_line(found.stderr, "No space left")


def test_without_a_stderr_errors_do_not_go_into_the_json(run, pictures, network, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as where it was closed, with 2>&-
    code, output, _ = run("predict", *pictures, "missing.png", "--json", "--checkpoint", network)
    assert code == 1 and len(json.loads(output)) == 4
    code, output, _ = run("evaluate", network, "--part", "test", "--json")
    assert (code, json.loads(output)["part"]) == (0, "test")
