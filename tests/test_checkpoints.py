"""Checkpoints: what is saved is what is loaded; a stranger's file is refused in one line, and runs nothing."""

import copy
import errno
import json
import os
import pickle
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from digitlib import data, recipes
from digitlib.checkpoints import (
    Checkpoint,
    CheckpointError,
    checkpoint_folder,
    checkpoint_path,
    ensure_writable,
    load,
    load_or_train,
    save,
)
from digitlib.models import CNN, MLP
from digitlib.recipes import Recipe, build_model, change
from digitlib.training import History

TINY = {
    "mlp": Recipe(name="tiny-mlp", title="a test", model="mlp", model_options={"hidden_sizes": [8, 6]}),
    "cnn": Recipe(name="tiny-cnn", title="a test", model="cnn", model_options={"num_channels": [2, 3]}),
    "rnn": Recipe(name="tiny-rnn", title="a test", model="rnn", model_options={"hidden_size": 7}),
}
RECIPE = TINY["mlp"]
HISTORY = History(
    train_loss=[0.5, 0.1 + 0.2],  # a number that only survives whole
    train_accuracy=[0.8, 0.9],
    validation_loss=[0.4, 0.3],
    validation_accuracy=[0.85, 0.9],
    step_loss=[2.3, 1 / 3],
)
METRICS = {"validation_accuracy": 0.9, "seconds": 1.5}
IMAGES = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def make(recipe=RECIPE):
    torch.manual_seed(3)
    return build_model(recipe)


@pytest.fixture
def path(tmp_path):
    """A sound checkpoint."""
    path = tmp_path / "sound.pth"
    save(path, make(), RECIPE, history=HISTORY, metrics=METRICS)
    return path


@pytest.fixture
def forge(path):
    """Return a function that writes a copy of the sound checkpoint in which some entries are others."""

    def write(**entries):
        content = torch.load(path, weights_only=True)
        for key, value in entries.items():
            content[key] = value(content[key]) if callable(value) else value
        forged = path.with_name("forged.pth")
        torch.save(content, forged)
        return forged

    return write


@pytest.fixture(scope="module")
def parts():
    return {part: tuple(t[:300].clone() for t in data.load_part(part)) for part in ("train", "validation")}


@pytest.fixture
def few_images(parts, monkeypatch):
    """Let recipes train on 300 images, and count how often they do."""
    calls = []
    train = recipes.train

    def count(recipe, **options):
        calls.append(recipe)
        return train(recipe, **options)

    monkeypatch.setattr(recipes, "load_part", parts.__getitem__)
    monkeypatch.setattr(recipes, "train", count)
    return calls


def refusal(path, **options):
    """Return the message with which a file is refused: one line that names the file and a next step."""
    with pytest.raises(CheckpointError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert "found" in message
    assert "\n" not in message
    assert any(step in message for step in ("digitlib train", "digitlib.checkpoints.save", "train it anew"))
    return message


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- save, then load


@pytest.mark.parametrize("architecture", TINY)
def test_what_is_saved_is_what_is_loaded(architecture, tmp_path):
    recipe = TINY[architecture]
    model = make(recipe)
    path = tmp_path / "model.pth"
    save(path, model, recipe, history=HISTORY, metrics=METRICS)
    loaded = load(path, architecture=architecture)
    assert isinstance(loaded, Checkpoint)
    assert type(loaded.model) is type(model)
    assert loaded.recipe == recipe
    assert loaded.history == HISTORY
    assert loaded.metrics == METRICS
    assert loaded.version == "0.1.0"
    expected, found = model.state_dict(), loaded.model.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert torch.equal(loaded.model(IMAGES), model.eval()(IMAGES))


def test_a_loaded_model_is_ready_to_predict_and_can_be_trained_on(path):
    model = load(path).model
    assert not any(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    before = model(IMAGES).detach()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(IMAGES).sum().backward()
    optimizer.step()
    assert not torch.equal(model(IMAGES), before)


def test_saving_leaves_the_model_as_it_was(tmp_path):
    model = make().train()
    before = copy.deepcopy(model.state_dict())
    save(tmp_path / "model.pth", model, RECIPE)
    assert model.training
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_history_and_metrics_may_be_left_out(tmp_path):
    save(tmp_path / "model.pth", make(), RECIPE)
    loaded = load(tmp_path / "model.pth")
    assert loaded.history == History()
    assert loaded.metrics == {}


def test_metrics_may_come_from_numpy_and_torch(tmp_path):
    """Their numbers would be pickled as calls, and then refused as such."""
    metrics = {"a": np.float64(0.5), "b": np.float32(0.25), "c": torch.tensor(0.75), "d": 1}
    save(tmp_path / "model.pth", make(), RECIPE, metrics=metrics)
    assert load(tmp_path / "model.pth").metrics == {"a": 0.5, "b": 0.25, "c": 0.75, "d": 1.0}


def test_an_interrupted_history_says_so_after_loading(tmp_path):
    save(tmp_path / "model.pth", make(), RECIPE, history=History(interrupted=True))
    assert load(tmp_path / "model.pth").history.interrupted


def test_loading_leaves_the_global_random_numbers_alone(path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load(path)
    assert torch.equal(torch.rand(3), expected)


def test_channels_last_memory_survives(tmp_path):
    model = make(TINY["cnn"]).to(memory_format=torch.channels_last)
    save(tmp_path / "model.pth", model, TINY["cnn"])
    assert torch.equal(load(tmp_path / "model.pth").model(IMAGES), model.eval()(IMAGES))


def test_folders_on_the_way_are_made_and_strings_are_paths(tmp_path):
    path = tmp_path / "a" / "b c" / "model.pth"
    save(str(path), make(), RECIPE)
    assert load(str(path)).recipe == RECIPE


def test_a_checkpoint_has_the_rights_of_any_other_file(path):
    """One trains for the class, all read it."""
    path.with_name("ordinary").write_bytes(b"")
    assert path.stat().st_mode == path.with_name("ordinary").stat().st_mode


def test_the_file_is_one_that_torch_alone_can_read(path):
    content = torch.load(path, weights_only=True)
    assert content["recipe"] == asdict(RECIPE)
    assert content["version"] == "0.1.0"
    model = MLP([8, 6])
    model.load_state_dict(content["state_dict"])
    assert torch.equal(model(IMAGES), load(path).model(IMAGES))


# --- writing: whole, or not at all


class Broken(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), CheckpointError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (Broken("midway"), Broken),
    ],
    ids=["full disk", "Ctrl-C", "another"],
)
@pytest.mark.parametrize("step", ["write", "replace"])
def test_an_error_midway_leaves_the_earlier_file(error, raised, step, path, monkeypatch):
    before = path.read_bytes()
    write_bytes = Path.write_bytes

    def write_half(self, content):
        write_bytes(self, bytes(content)[: len(content) // 2])
        raise error

    def refuse(*arguments):
        raise error

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(Path, "write_bytes", write_half)
        else:
            patch.setattr(os, "replace", refuse)
        with pytest.raises(raised) as caught:
            save(path, make(TINY["cnn"]), TINY["cnn"])
    if raised is CheckpointError:
        assert str(path) in str(caught.value)
        assert "No space left on device" in str(caught.value)
        assert "make room" in str(caught.value)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["sound.pth"]
    save(path, make(TINY["cnn"]), TINY["cnn"])
    assert load(path).recipe == TINY["cnn"]


@pytest.mark.parametrize("num_bytes", [0, 500, 10_000])
def test_a_disk_that_really_fills_up_leaves_the_earlier_file(num_bytes, path):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        message = None
        try:
            save(path, make(), RECIPE)
        except CheckpointError as error:
            message = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert message is not None
    assert message.startswith(f"{path}: expected to write a checkpoint, found: ")
    assert "File too large" in message
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["sound.pth"]


def test_a_model_that_cannot_be_pickled_leaves_the_earlier_file(path):
    before = path.read_bytes()
    recipe = change(RECIPE, model_options={"hidden_sizes": [8, 6], "more": lambda: "no number"})
    with pytest.raises((pickle.PicklingError, AttributeError)):
        save(path, make(), recipe)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["sound.pth"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="expected to write a checkpoint") as caught:
        save(tmp_path / "file" / "model.pth", make(), RECIPE)
    assert str(tmp_path / "file" / "model.pth") in str(caught.value)
    assert "DIGITLIB_CHECKPOINTS" in str(caught.value)
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(CheckpointError, match="is a folder"):
        save(tmp_path / "folder.pth", make(), RECIPE)
    assert names_in(tmp_path) == ["file", "folder.pth"]


@pytest.mark.skipif(
    not Path("/sys/kernel").is_dir(), reason="needs Linux, where not even root writes to /sys"
)
def test_a_folder_without_the_right_to_write():
    with pytest.raises(CheckpointError, match="expected to write a checkpoint") as caught:
        save("/sys/kernel/model.pth", make(), RECIPE)
    assert "/sys/kernel/model.pth" in str(caught.value)


def test_ensure_writable_leaves_nothing_behind(path):
    ensure_writable(path)
    ensure_writable(path.with_name("new.pth"))
    assert names_in(path.parent) == ["sound.pth"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_network_that_diverged_is_not_saved(number, path):
    """It would read every picture as a 0."""
    before = path.read_bytes()
    model = make()
    with torch.no_grad():
        model.layers[1].bias[2] = number
    with pytest.raises(CheckpointError, match="finite numbers, found others in layers.1.bias") as caught:
        save(path, model, RECIPE)
    assert "smaller learning rate" in str(caught.value)
    assert path.read_bytes() == before


# --- a stranger's file


def test_it_is_torch_s_careful_reader_that_reads(path, monkeypatch):
    calls = []
    torch_load = torch.load

    def watch(*arguments, **options):
        calls.append(options)
        return torch_load(*arguments, **options)

    monkeypatch.setattr(torch, "load", watch)
    load(path)
    assert [options["weights_only"] for options in calls] == [True]


def test_a_setting_that_forces_torch_to_trust_files_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    marker = tmp_path / "it ran"
    torch.save(Hostile(marker), tmp_path / "hostile.pth")
    refusal(tmp_path / "hostile.pth")
    assert not marker.exists()


class Hostile:
    """Whoever unpickles it runs a command, which leaves a marker."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def test_the_hostile_pickle_would_run_without_care(tmp_path):
    """The tests below prove something only if this one passes."""
    torch.save(Hostile(tmp_path / "it ran"), tmp_path / "hostile.pth")
    torch.load(tmp_path / "hostile.pth", weights_only=False)
    assert (tmp_path / "it ran").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_hostile_pickle_runs_nothing(protocol, tmp_path):
    path, marker = tmp_path / "hostile.pth", tmp_path / "it ran"
    path.write_bytes(pickle.dumps({"format": Hostile(marker)}, protocol=protocol))
    message = refusal(path)
    assert not marker.exists()
    assert "could run code" in message or protocol == 0  # its letters look like any text
    assert f"({path.stat().st_size:,} bytes)" in message


@pytest.mark.parametrize("where", ["alone", "recipe", "history", "metrics", "state_dict", "version", "extra"])
@pytest.mark.parametrize("as_zip", [True, False])
def test_a_hostile_pickle_in_a_checkpoint_s_clothes_runs_nothing(where, as_zip, path, forge, tmp_path):
    marker = tmp_path / "it ran"
    content = torch.load(path, weights_only=True)
    content[where] = Hostile(marker)
    torch.save(
        content["alone"] if where == "alone" else content,
        tmp_path / "hostile.pth",
        _use_new_zipfile_serialization=as_zip,
    )
    message = refusal(tmp_path / "hostile.pth")
    assert not marker.exists()
    assert "found a pickle that could run code (posix.system), which was refused" in message


def test_a_whole_model_is_refused_by_name(tmp_path):
    torch.save(make(), tmp_path / "model.pth")
    assert "could run code (digitlib.models.MLP)" in refusal(tmp_path / "model.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "model.pth")
    assert "could run code (torch.nn.modules.linear.Linear)" in refusal(tmp_path / "model.pth")


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.5, 0.9, 0.999, 0.99999])
def test_a_truncated_file(share, path):
    content = path.read_bytes()
    num_bytes = int(share * len(content))
    path.write_bytes(content[:num_bytes])
    assert f"found a damaged file or one of another kind ({num_bytes:,} bytes)" in refusal(path)


def test_every_length_but_the_whole_is_refused(path):
    content = path.read_bytes()
    for num_bytes in range(1, len(content), 101):
        path.write_bytes(content[:num_bytes])
        refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"A letter of some length.\n" * 100,
        "Grüße, 数字".encode(),
        b"PK, but no archive",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b'{"format": "digitlib checkpoint 1"}',
        b"<html>Not found</html>",
        bytes(1000),
        b"(" * 1000,
        b"\xff" * 1000,
    ],
)
def test_a_file_of_another_kind(content, path):
    path.write_bytes(content)
    assert f"a damaged file or one of another kind ({len(content):,} bytes)" in refusal(path)


def test_no_flipped_byte_runs_anything_or_escapes_as_another_error(path):
    """Most flips are found by torch, some in a weight are not; none may end in anything but a CheckpointError."""
    content = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for position in torch.randint(len(content), (150,), generator=generator).tolist():
        path.write_bytes(content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :])
        try:
            load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)


def test_a_bare_state_dict_is_named(tmp_path):
    for as_zip in (True, False):
        torch.save(make().state_dict(), tmp_path / "weights.pth", _use_new_zipfile_serialization=as_zip)
        message = refusal(tmp_path / "weights.pth")
        assert "found a bare state_dict, without the recipe that made it" in message
        assert "digitlib.checkpoints.save writes one" in message


@pytest.mark.parametrize(
    ("content", "kind"), [({}, "dict"), ([1, 2], "list"), (torch.zeros(3), "Tensor"), (None, "NoneType")]
)
def test_something_else_is_named(content, kind, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    assert f"found something else, of type {kind}" in refusal(tmp_path / "other.pth")


@pytest.mark.parametrize("key", ["format", "version", "recipe", "history", "metrics", "state_dict"])
def test_a_missing_entry(key, path):
    content = torch.load(path, weights_only=True)
    del content[key]
    torch.save(content, path)
    message = refusal(path)
    assert "expected a checkpoint with format, history, metrics, recipe, state_dict, version" in message


@pytest.mark.parametrize("mark", ["digitlib checkpoint 99", None, 1, torch.zeros(2)])
def test_a_file_of_another_format(mark, forge):
    assert "expected a checkpoint with" in refusal(forge(format=mark))


def test_a_file_that_is_not_there(tmp_path):
    assert "found no such file" in refusal(tmp_path / "missing.pth")
    assert "found a folder" in refusal(tmp_path)
    (tmp_path / "link.pth").symlink_to(tmp_path / "nowhere")
    assert "found no such file" in refusal(tmp_path / "link.pth")


def test_a_file_that_may_not_be_read(path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "expected a file that can be read, found: Permission denied" in refusal(path)


# --- the settings and the weights inside


def setting(**settings):
    return lambda recipe: {**recipe, **settings}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model": "transformer"},
            "expected model to be one of mlp, cnn, rnn, convnet, shifted, got 'transformer'",
        ),
        ({"model": ["mlp"]}, "unhashable"),
        ({"model": None}, "expected model to be one of"),
        ({"optimizer": "lion"}, "expected optimizer to be one of adam, adamw, sgd, got 'lion'"),
        ({"schedule": 3}, "expected schedule to be one of"),
        ({"num_epochs": -1}, "expected num_epochs to be a whole number of at least 1, got -1"),
        ({"num_epochs": 0}, "expected num_epochs"),
        ({"num_epochs": 1.5}, "expected num_epochs"),
        ({"batch_size": "many"}, "expected batch_size"),
        ({"learning_rate": float("nan")}, "expected learning_rate"),
        ({"learning_rate": float("inf")}, "expected learning_rate"),
        ({"learning_rate": "fast"}, "'fast'|str"),
        ({"clip_norm": -1.0}, "expected clip_norm"),
        ({"momentum": 1.0}, "expected momentum"),
        ({"momentum": None}, "NoneType"),
        ({"seed": -1}, "expected seed"),
        ({"seed": 2**70}, "expected seed"),
        ({"learning_rate": torch.zeros(3)}, "ambiguous|learning_rate"),
    ],
)
def test_settings_that_no_recipe_has(changes, words, forge):
    message = refusal(forge(recipe=setting(**changes)))
    assert "expected a recipe, a history and metrics that this digitlib knows, found: " in message
    assert any(word in message for word in words.split("|"))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 5},
        {"name": ""},
        {"name": "../../elsewhere/cnn"},
        {"name": "mlp\n\x1b[2J"},
        {"title": None},
        {"title": "a title\x1b]0;of the terminal\x07"},
        {"learning_rate": None},
        {"augment": "yes"},
        {"coarsen": 1},
        {"seed": True},
        {"num_epochs": True},
    ],
    ids=ascii,
)
def test_settings_that_would_do_harm_later(changes, forge):
    """A name becomes a file's name, name and title are printed to the terminal."""
    assert "expected " + next(iter(changes)) in refusal(forge(recipe=setting(**changes)))


@pytest.mark.parametrize("recipe", [None, [], "mlp", {}, {1: 2}, {"name": "mlp"}, torch.zeros(2)])
def test_a_recipe_of_another_kind(recipe, forge):
    assert "expected a recipe, a history and metrics that this digitlib knows" in refusal(
        forge(recipe=recipe)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_sizes": [10**9, 10**9]},
        {"hidden_sizes": [10**15, 10**15]},
        {"hidden_sizes": [10**40]},
        {"hidden_sizes": [-8, 6]},
        {"hidden_sizes": [8.0, 6]},
        {"hidden_sizes": ["8", "6"]},
        {"hidden_sizes": [float("nan")]},
        {"hidden_sizes": [[8], [6]]},
        {"hidden_sizes": 8},
        {"hidden_sizes": None},
        {"hidden_sizes": [8] * 2000},
        {"hidden_sizes": [0, 6]},
        {"hidden_size": 8},
        {"self": 8},
        {1: 8},
        [8, 6],
        None,
        8,
    ],
    ids=lambda value: str(value)[:40],
)
def test_sizes_that_the_weights_do_not_have(options, forge):
    """However large they are, no memory is taken for them."""
    refusal(forge(recipe=setting(model_options=options)))


@pytest.mark.parametrize("size", [10**5, 10**9, 10**15, 10**40, 0, -1, "7", None])
def test_sizes_of_a_recurrent_layer(size, forge):
    refusal(forge(recipe=setting(model="rnn", model_options={"hidden_size": size})))


def test_a_huge_network_in_a_small_file_takes_no_memory(forge):
    """Weights that repeat one number may have any shape: 4 bytes on disk, 4 TB to work with."""
    size = 10**6
    shapes = {"layers.0": (size, 784), "layers.1": (size, size), "layers.2": (10, size)}
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = torch.zeros(1).expand(shape)
        weights[f"{name}.bias"] = torch.zeros(1).expand(shape[0])
    path = forge(recipe=setting(model_options={"hidden_sizes": [size, size]}), state_dict=weights)
    assert path.stat().st_size < 10_000
    assert "as tensors, found something else" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "cnn", "model_options": {}},
        {"model": "rnn", "model_options": {}},
        {"model_options": {"hidden_sizes": [8, 7]}},
        {"model_options": {"hidden_sizes": [8]}},
        {"model_options": {}},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_checkpoint_that_says_one_architecture_and_holds_another(changes, forge):
    message = refusal(forge(recipe=setting(**changes)))
    kind = {"cnn": "CNN", "rnn": "RNN"}.get(changes.get("model"), "MLP")
    assert f"expected the weights of {kind}, found another architecture" in message
    assert "should be" in message


def test_a_model_saved_under_the_wrong_recipe_is_refused(tmp_path):
    save(tmp_path / "wrong.pth", CNN(), RECIPE)
    message = refusal(tmp_path / "wrong.pth")
    assert "expected the weights of MLP, found another architecture: conv1.bias" in message
    assert "torch.float32 of (10,) where nothing should be" in message


def test_the_architecture_that_is_asked_for(path):
    assert load(path, architecture="mlp").recipe == RECIPE
    message = refusal(path, architecture="cnn")
    assert "expected a checkpoint of the architecture 'cnn', found 'mlp' (recipe 'tiny-mlp')" in message


def each_weight(change):
    return lambda state_dict: {name: change(tensor) for name, tensor in state_dict.items()}


@pytest.mark.parametrize(
    ("state_dict", "words"),
    [
        (each_weight(lambda tensor: tensor[:-1]), "found another architecture: layers.0.bias is"),
        (
            each_weight(lambda tensor: tensor[None]),
            "torch.float32 of (1, 8) where torch.float32 of (8,) should be",
        ),
        (each_weight(torch.Tensor.double), "torch.float64 of (8,) where torch.float32 of (8,) should be"),
        (each_weight(torch.Tensor.half), "torch.float16"),
        (each_weight(torch.Tensor.bool), "torch.bool"),
        (each_weight(lambda tensor: tensor.to(torch.complex64)), "torch.complex64"),
        (lambda weights: {**weights, "extra.weight": torch.zeros(2)}, "extra.weight is"),
        (lambda weights: dict(list(weights.items())[1:]), "layers.0.weight is nothing where"),
        (lambda weights: {}, "is nothing where"),
        (lambda weights: {**weights, 3: torch.zeros(2)}, "3 is|not supported"),
        (
            each_weight(lambda tensor: tensor * float("nan")),
            "finite numbers, found others in layers.0.weight",
        ),
        (
            each_weight(lambda tensor: tensor + float("inf")),
            "finite numbers, found others in layers.0.weight",
        ),
        (each_weight(torch.Tensor.to_sparse), "as tensors, found something else"),
        (each_weight(lambda tensor: tensor.to("meta")), "as tensors, found something else"),
        (each_weight(lambda tensor: tensor.tolist()), "as tensors, found something else"),
        (each_weight(lambda tensor: None), "as tensors, found something else"),
        (None, "as tensors, found something else"),
        ([torch.zeros(2)], "as tensors, found something else"),
        (torch.zeros(2), "as tensors, found something else"),
    ],
)
def test_weights_that_do_not_fit(state_dict, words, forge):
    message = refusal(forge(state_dict=state_dict))
    assert any(word in message for word in words.split("|"))


@pytest.mark.parametrize(
    "history",
    [
        None,
        [],
        "history",
        {"foo": [1.0]},
        {"train_loss": 5.0},
        {"train_loss": ["0.5"]},
        {"step_loss": [None]},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_history_of_another_kind(history, forge):
    assert "expected a recipe, a history and metrics" in refusal(forge(history=history))


@pytest.mark.parametrize(
    "metrics",
    [None, [0.5], "good", {"accuracy": "high"}, {"accuracy": [0.5]}],
    ids=lambda value: str(value)[:40],
)
def test_metrics_of_another_kind(metrics, forge):
    assert "expected a recipe, a history and metrics" in refusal(forge(metrics=metrics))


def test_a_setting_that_a_later_digitlib_added_is_passed_over(forge):
    assert load(forge(recipe=setting(invented_later=3))).recipe == RECIPE


# --- load_or_train


def test_the_folder_is_the_repository_s_unless_the_environment_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv("DIGITLIB_CHECKPOINTS", raising=False)
    assert checkpoint_folder() == Path(__file__).parents[1] / "checkpoints"
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", "")
    assert checkpoint_folder() == Path(__file__).parents[1] / "checkpoints"
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path))
    assert checkpoint_folder() == tmp_path
    assert checkpoint_path(RECIPE).parent == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", "~/kept")
    assert checkpoint_folder() == tmp_path / "kept"


def test_each_setting_has_a_file_of_its_own():
    variants = [
        RECIPE,
        change(RECIPE, seed=1),
        change(RECIPE, learning_rate=0.001),
        change(RECIPE, augment=True),
        change(RECIPE, num_epochs=6),
        change(RECIPE, clip_norm=1.0),
        change(RECIPE, model_options={"hidden_sizes": [8, 7]}),
        change(RECIPE, name="other"),
    ]
    assert len({checkpoint_path(recipe) for recipe in variants}) == len(variants)
    assert checkpoint_path(RECIPE) == checkpoint_path(Recipe(**json.loads(json.dumps(asdict(RECIPE)))))
    assert checkpoint_path(RECIPE).name.startswith("tiny-mlp-")
    assert checkpoint_path(RECIPE).suffix == ".pth"


def test_it_trains_once_and_then_loads(few_images, tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path / "kept"))
    recipe = change(RECIPE, num_epochs=2)
    trained, loaded = load_or_train(recipe), load_or_train(recipe)
    assert few_images == [recipe]
    assert names_in(tmp_path / "kept") == [checkpoint_path(recipe).name]
    assert trained.recipe == loaded.recipe == recipe
    assert trained.history == loaded.history
    assert len(trained.history) == 2
    assert trained.metrics == loaded.metrics
    assert trained.metrics["validation_accuracy"] == trained.history.validation_accuracy[-1]
    assert trained.version == loaded.version
    assert not trained.model.training
    assert not loaded.model.training
    assert torch.equal(trained.model(IMAGES), loaded.model(IMAGES))


def test_another_setting_is_trained_anew(few_images, tmp_path):
    recipe, other = change(RECIPE, num_epochs=1), change(RECIPE, num_epochs=1, seed=1)
    first, second = load_or_train(recipe, folder=tmp_path), load_or_train(other, folder=tmp_path)
    assert few_images == [recipe, other]
    assert len(names_in(tmp_path)) == 2
    assert not torch.equal(first.model(IMAGES), second.model(IMAGES))
    load_or_train(recipe, folder=str(tmp_path))
    load_or_train(other, folder=str(tmp_path))
    assert len(few_images) == 2


def test_a_name_will_do(few_images, tmp_path, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", change(RECIPE, num_epochs=1))
    assert load_or_train("tiny", folder=tmp_path).recipe is recipes.RECIPES["tiny"]
    with pytest.raises(ValueError, match="expected a recipe among mlp, cnn, .*, tiny, got 'tinny'"):
        load_or_train("tinny", folder=tmp_path)


def test_an_interrupted_training_keeps_nothing(few_images, tmp_path, monkeypatch):
    recipe = change(RECIPE, num_epochs=3)
    calls = []
    evaluate = recipes.fit.__globals__["evaluate"]

    def interrupt(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setitem(recipes.fit.__globals__, "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt, match="nothing was kept"):
            load_or_train(recipe, folder=tmp_path)
    assert len(calls) == 2, "one epoch was finished, and even that is not kept"
    assert names_in(tmp_path) == []
    assert len(load_or_train(recipe, folder=tmp_path).history) == 3


def test_a_place_that_cannot_be_written_is_found_before_training(few_images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="expected to write a checkpoint"):
        load_or_train(RECIPE, folder=tmp_path / "file")
    assert few_images == []


def test_a_damaged_file_is_refused_and_not_replaced(few_images, tmp_path):
    path = checkpoint_path(RECIPE, tmp_path)
    path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged file"):
        load_or_train(RECIPE, folder=tmp_path)
    assert path.read_bytes() == b"damaged"
    assert few_images == []


@pytest.mark.parametrize("changes", [{"seed": 1}, {"name": "other"}, {"learning_rate": 0.1}])
def test_a_file_that_was_renamed_is_not_taken_for_another_run(changes, few_images, tmp_path):
    """The same architecture, so that the weights alone would pass."""
    save(checkpoint_path(RECIPE, tmp_path), make(), change(RECIPE, **changes), history=HISTORY)
    with pytest.raises(CheckpointError, match="the file was renamed; move it away and run again"):
        load_or_train(RECIPE, folder=tmp_path)
    assert few_images == []


def test_sizes_given_as_a_tuple_find_their_own_file_again(few_images, tmp_path):
    recipe = change(RECIPE, model_options={"hidden_sizes": (4,)}, num_epochs=1)
    load_or_train(recipe, folder=tmp_path)
    load_or_train(recipe, folder=tmp_path)
    assert len(few_images) == 1


def test_the_progress_option_reaches_the_training(monkeypatch, tmp_path):
    seen = []

    def train(recipe, *, progress):
        seen.append(progress)
        return make(), HISTORY

    monkeypatch.setattr(recipes, "train", train)
    load_or_train(RECIPE, folder=tmp_path, progress=False)
    assert seen == [False]


def test_two_runs_that_save_at_the_same_time_do_not_mix(tmp_path):
    """Each writes aside in a folder of its own, so the last one wins with a whole file."""
    path, folders = tmp_path / "model.pth", set()
    replace = os.replace

    def note(source, target):
        folders.add(Path(source).parent)
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", note)
        for _ in range(3):
            save(path, make(), RECIPE)
    assert len(folders) == 3
    load(path)
