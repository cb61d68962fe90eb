"""Checkpoints: what is saved is what is loaded; a stranger's file is refused in one line, and runs nothing."""

import copy
import errno
import io
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import time
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from digitlib import checkpoints, data, recipes, storage
from digitlib.checkpoints import (
    CheckpointError,
    checkpoint_path,
    ensure_writable,
    load,
    load_or_train,
    load_recommended,
    save,
)
from digitlib.evaluation import evaluate
from digitlib.models import CNN, MLP
from digitlib.recipes import Recipe, build_model, change
from digitlib.training import History
from tools import weights

TINY = {
    "mlp": Recipe(name="tiny-mlp", title="a test", model="mlp", model_options={"hidden_sizes": [8, 6]}),
    "cnn": Recipe(name="tiny-cnn", title="a test", model="cnn", model_options={"num_channels": [2, 3]}),
    "rnn": Recipe(name="tiny-rnn", title="a test", model="rnn", model_options={"hidden_size": 7}),
    "convnet": Recipe(
        name="tiny-net", title="a test", model="convnet", model_options={"num_channels": [2], "pooled": [0]}
    ),
}
RECIPE = TINY["mlp"]
HISTORY = History(
    train_loss=[0.5, 0.1 + 0.2],  # a number that only survives whole
    train_accuracy=[0.8, 0.9],
    validation_loss=[0.4, float("inf")],
    validation_accuracy=[0.85, 0.9],
    step_loss=[2.3, 1 / 3],
    interrupted=True,
)
IMAGES = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def make(recipe=RECIPE):
    torch.manual_seed(3)
    return build_model(recipe)


@pytest.fixture
def path(tmp_path):
    """A sound checkpoint."""
    path = tmp_path / "sound.pth"
    save(path, make(), RECIPE, history=HISTORY)
    return path


@pytest.fixture
def forge(path):
    """Return a function that writes a copy of the sound checkpoint in which some entries are others."""

    def write(**entries):
        content = torch.load(path, weights_only=True)
        for key, value in entries.items():
            content[key] = value(content[key]) if callable(value) else value
        torch.save(content, path.with_name("forged.pth"))
        return path.with_name("forged.pth")

    return write


@pytest.fixture
def few_images(tmp_path, monkeypatch):
    """Let recipes train on 300 images, count how often they do, and keep what they train in a folder of its own."""
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path / "kept"))
    calls, train = [], recipes.train
    images = torch.randn(300, 1, 28, 28, generator=torch.Generator().manual_seed(1))

    def count(recipe, **options):
        calls.append(recipe)
        return train(recipe, **options)

    monkeypatch.setattr(recipes, "load_part", lambda part: (images, torch.arange(300) % 10))
    monkeypatch.setattr(recipes, "train", count)
    return calls


def refusal(path, *words):
    """Assert that a file is refused in one line, which names the file, what was found and a next step."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected a checkpoint of digitlib, found: ")
    assert "\n" not in message and len(message) < 600 and "`digitlib train RECIPE`" in message
    assert all(word in message for word in words), message


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- save, then load


@pytest.mark.parametrize("architecture", TINY)
def test_what_is_saved_is_what_is_loaded(architecture, tmp_path):
    recipe = TINY[architecture]
    model = make(recipe).to(memory_format=torch.channels_last).train()
    before = copy.deepcopy(model.state_dict())
    path = tmp_path / "a" / "b c" / "model.pth"  # the folders are made
    # NumPy's and torch's numbers would be pickled as calls, and then refused as such.
    metrics = {"a": np.float64(0.5), "b": np.float32(0.25), "c": torch.tensor(0.75), "d": 1}
    save(str(path), model, recipe, history=HISTORY, metrics=metrics)
    assert model.training and all(torch.equal(model.state_dict()[name], before[name]) for name in before)

    state = torch.random.get_rng_state()
    loaded = load(str(path))
    assert torch.equal(torch.random.get_rng_state(), state), "the global random numbers are left alone"
    assert (loaded.recipe, loaded.history, loaded.version) == (recipe, HISTORY, "1.0.0")
    last = {"validation_accuracy": 0.9, "validation_loss": float("inf")}  # the history's
    assert loaded.metrics == {"a": 0.5, "b": 0.25, "c": 0.75, "d": 1.0} | last
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())
    assert torch.equal(loaded.model(IMAGES), model.eval()(IMAGES))

    optimizer = torch.optim.SGD(loaded.model.parameters(), 0.1)  # it can be trained on
    loaded.model(IMAGES).sum().backward()
    optimizer.step()
    assert not torch.equal(loaded.model(IMAGES), model(IMAGES))
    path.with_name("ordinary").write_bytes(b"")  # one trains for the class, all read it
    assert path.stat().st_mode == path.with_name("ordinary").stat().st_mode


def test_history_and_metrics_may_be_left_out(tmp_path):
    save(tmp_path / "model.pth", make(), RECIPE)
    assert (load(tmp_path / "model.pth").history, load(tmp_path / "model.pth").metrics) == (History(), {})


def test_the_file_is_one_that_torch_alone_can_read(path):
    content = torch.load(path, weights_only=True)
    assert content["recipe"] == asdict(RECIPE)
    model = MLP([8, 6])
    model.load_state_dict(content["state_dict"])
    assert torch.equal(model(IMAGES), load(path).model(IMAGES))


# --- writing: whole, or not at all


@pytest.mark.parametrize("step", ["write", "replace"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), CheckpointError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "Ctrl-C"],
)
def test_an_error_midway_leaves_the_earlier_file(error, raised, step, path, monkeypatch):
    before, write_bytes = path.read_bytes(), Path.write_bytes

    def write_half(self, content):
        write_bytes(self, bytes(content)[: len(content) // 2])
        raise error

    def refuse(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "write_bytes", write_half) if step == "write" else (os, "replace", refuse)))
        with pytest.raises(raised) as caught:
            save(path, make(TINY["cnn"]), TINY["cnn"])
    if raised is CheckpointError:
        words = ("expected a file that can be written, found: ", "No space left on device", "make room")
        assert all(word in str(caught.value) for word in (f"{path}: ", *words))
    assert path.read_bytes() == before and names_in(path.parent) == ["sound.pth"]
    save(path, make(TINY["cnn"]), TINY["cnn"])
    assert load(path).recipe == TINY["cnn"]


def nan_in_a_bias():
    model = make()
    with torch.no_grad():
        model.layers[1].bias[2] = float("nan")
    return model


@pytest.mark.parametrize(
    ("model", "recipe", "words"),
    [
        (nan_in_a_bias, RECIPE, "finite numbers in layers.1.bias: training diverged"),  # reads all as a 0
        (CNN, RECIPE, "loading state_dict for MLP"),
        (lambda: make().double(), RECIPE, "torch.float64 in layers.0.weight where torch.float32 should be"),
        (
            lambda: MLP([4300, 4300]),
            change(RECIPE, model_options={"hidden_sizes": [4300] * 2}),
            "64,000,000 bytes",
        ),
    ],
    ids=["diverged", "another architecture", "double", "large"],
)
def test_what_could_not_be_loaded_is_not_saved(model, recipe, words, path):
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        save(path, model(), recipe)
    assert words in str(caught.value) and str(path) in str(caught.value)
    assert path.read_bytes() == before


def special_places(folder):
    """Return names that no file may take, and by when they are gone: a folder, a pipe, a socket and links to them."""
    import socket

    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as plain:
        plain.bind(os.path.relpath(folder / "socket"))
    (folder / "link").symlink_to(folder / "pipe")
    return [*(folder / name for name in ("folder", "pipe", "socket", "link")), Path(os.devnull)]


def identity(place):
    """Return all that is known of a file, folder or link but its atime, which moves when a link is looked at."""
    found = os.lstat(place)
    return *found[:7], found.st_mtime_ns, found.st_ctime_ns


@pytest.mark.skipif(sys.platform == "win32", reason="needs a system with pipes and devices")
def test_nothing_but_a_file_is_replaced_or_read(tmp_path):
    """As root, replacing /dev/null would break the machine."""
    for place in special_places(tmp_path):
        before = identity(place)
        for write in (ensure_writable, lambda path: save(path, make(), RECIPE)):
            with pytest.raises(
                CheckpointError, match="found: (a folder|something that is no ordinary file); make"
            ):
                write(place)
        assert identity(place) == before or place == Path(os.devnull)
        refusal(place, "found: a folder" if place.name == "folder" else "no ordinary file")
    assert not Path(os.devnull).is_file()
    refusal(tmp_path / "missing.pth", "found: no such file")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="DIGITLIB_CHECKPOINTS"):
        ensure_writable(tmp_path / "file" / "model.pth")


def test_a_training_replaces_no_other_document_and_nothing_read_only(path):
    ensure_writable(path)
    for name, content in {
        "thesis.pdf": b"%PDF-1.7",
        "empty": b"",
        "half.pth": path.read_bytes()[:9000],
    }.items():
        (path.parent / name).write_bytes(content)
        (path.parent / "link.pth").unlink(missing_ok=True)
        (path.parent / "link.pth").symlink_to(name)
        for place in (path.parent / name, path.parent / "link.pth"):
            with pytest.raises(CheckpointError, match=f"{place}: expected a new name, or a .* move it away"):
                ensure_writable(place)
        assert (path.parent / name).read_bytes() == content
    path.chmod(0o444)  # root could write it none the less
    for write in (ensure_writable, lambda path: save(path, make(), RECIPE)):
        with pytest.raises(CheckpointError, match="found: a read-only file; make room, name another"):
            write(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions")
def test_a_file_that_is_replaced_keeps_its_permissions(path):
    for mode in (0o600, 0o644, 0o664):
        path.chmod(mode)
        save(path, make(TINY["cnn"]), TINY["cnn"])
        assert path.stat().st_mode & 0o777 == mode


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from digitlib import storage
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
storage.write_whole(Path(sys.argv[1]), b"new")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that kills")
def test_what_a_killed_process_left_is_tidied_a_day_later_and_nothing_else(path):
    before = path.read_bytes()
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, path])
    (litter,) = path.parent.glob(".digitlib-writing-*")
    assert path.read_bytes() == before and names_in(litter) == ["sound.pth"]
    others = [path.with_name(name) for name in (".writing-mine", ".digitlib", "digitlib-writing-mine")]
    for folder in others:
        folder.mkdir()
    for hours, remains in ((23, True), (25, False)):  # another process may still be writing
        for folder in (litter, *others):
            os.utime(folder, (time.time() - 3600 * hours,) * 2)
        save(path, make(), RECIPE)
        assert litter.exists() == remains and all(folder.exists() for folder in others)


def test_a_link_to_a_file_stays_one(path):
    (path.parent / "link.pth").symlink_to(path)
    (path.parent / "dangling.pth").symlink_to(path.parent / "new.pth")
    for name in ("link.pth", "dangling.pth"):
        ensure_writable(path.parent / name)
        save(path.parent / name, make(TINY["cnn"]), TINY["cnn"])
        assert (path.parent / name).is_symlink()
    assert names_in(path.parent) == ["dangling.pth", "link.pth", "new.pth", "sound.pth"]
    assert load(path).recipe == load(path.parent / "new.pth").recipe == TINY["cnn"]


# --- a stranger's file


class Hostile:
    """Whoever unpickles it runs a command, which leaves a marker."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("where", ["alone", "recipe", "state_dict", "version", "extra"])
@pytest.mark.parametrize("as_zip", [True, False])
def test_a_hostile_pickle_runs_nothing(where, as_zip, path, tmp_path, monkeypatch):
    marker, hostile = tmp_path / "it ran", tmp_path / "hostile.pth"
    content = {**torch.load(path), where: Hostile(marker)}
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # which trusts every file
    content = content["alone"] if where == "alone" else content
    torch.save(content, hostile, _use_new_zipfile_serialization=as_zip)
    refusal(hostile, "could run code (posix.system), which was refused" if as_zip else "a plain pickle")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        hostile.write_bytes(
            pickle.dumps(content["recipe"] if where == "recipe" else Hostile(marker), protocol)
        )
        refusal(hostile)
    assert not marker.exists()
    torch.save(content, hostile)
    torch.load(hostile, weights_only=False)
    assert marker.exists(), "without care it would run"


def test_what_is_no_checkpoint_is_named(path, tmp_path):
    for content, words in [
        (make(), "could run code (digitlib.models.MLP)"),
        (nn.Linear(2, 2), "could run code (torch.nn.modules.linear.Linear)"),
        (make().state_dict(), "another file of torch.save, as a bare state_dict is"),
        ({}, "another file of torch.save"),
        (torch.zeros(3), "another file of torch.save"),
        ({**torch.load(path), "format": "digitlib checkpoint 1"}, "another file of torch.save"),
        ({**torch.load(path), "format": torch.zeros(2)}, "another file of torch.save"),
        *(
            ({key: 1 for key in torch.load(path) if key != left_out}, "another file")
            for left_out in torch.load(path)
        ),
    ]:
        torch.save(content, tmp_path / "other.pth")
        refusal(tmp_path / "other.pth", words)
    for content in (b"", b"hello", b"PK, but no archive", bytes(1000), b"(" * 1000, "Grüße, 数字".encode()):
        (tmp_path / "other.pth").write_bytes(content)
        refusal(tmp_path / "other.pth", "a damaged file or another kind of file")


def places_of_content(data):
    """Return the places of all bytes that are some record's content, of a file without folders."""
    places = set()
    for record in zipfile.ZipFile(io.BytesIO(data)).infolist():
        lengths = struct.unpack_from("<HH", data, record.header_offset + 26)  # of its name and of the padding
        start = record.header_offset + 30 + sum(lengths)
        places.update(range(start, start + record.file_size))
    return places


def all_of(checkpoint):
    """Return what a checkpoint holds, in a form that can be compared."""
    weights = {name: value.numpy().tobytes() for name, value in checkpoint.model.state_dict().items()}
    return weights, checkpoint.recipe, checkpoint.history, checkpoint.metrics, checkpoint.version


def with_flipped_bit(data, place, bit):
    flipped = bytearray(data)
    flipped[place] ^= 1 << bit
    return flipped


@pytest.fixture(params=["small", "best"])
def sound(request, path):
    """The bytes of a checkpoint; path is free for others."""
    best = storage.shipped_folder("weights") / "best.pth"
    return (path if request.param == "small" else best).read_bytes()


def test_a_file_that_was_cut_short_is_refused(sound, path):
    end = len(sound) - len(zipfile.ZipFile(io.BytesIO(sound)).comment)  # which says nothing
    for num_bytes in [*range(0, end, end // 30), end - 1]:
        path.write_bytes(sound[:num_bytes])
        refusal(path)


def test_a_flipped_bit_is_refused_or_changes_nothing(sound, path):
    """A record's content has a checksum; what stands around it need not matter, as the padding does not."""
    path.write_bytes(sound)
    whole, content = all_of(load(path)), places_of_content(sound)
    around = [place for place in range(len(sound)) if place not in content]
    assert 0.005 * len(sound) < len(around) < 0.2 * len(sound)
    draw, num_read = random.Random(0), 0
    for place in draw.sample(sorted(content), 100):
        path.write_bytes(with_flipped_bit(sound, place, draw.randrange(8)))
        refusal(path)
    for place in draw.sample(around, 300):
        path.write_bytes(with_flipped_bit(sound, place, draw.randrange(8)))
        try:
            read = load(path)
        except CheckpointError:
            continue
        num_read += 1
        assert all_of(read) == whole, place
    assert 0 < num_read < 300


def test_a_record_that_says_it_is_a_folder_is_refused(sound, path):
    """For torch its numbers would all be zeros; the checksum is right."""
    entries = [found.start() for found in re.finditer(b"PK\x01\x02", sound)]
    assert len(entries) == len(zipfile.ZipFile(io.BytesIO(sound)).infolist())
    for entry in entries:
        path.write_bytes(with_flipped_bit(sound, entry + 38, 4))
        refusal(path, "a record that says it is a folder")


def test_a_file_with_a_comment_is_read_too(path):
    """Earlier versions wrote a digest there; the network that is part of digitlib has one."""
    whole, content = all_of(load(path)), path.read_bytes()
    path.write_bytes(content[:-2] + (64).to_bytes(2, "little") + b"d" * 64)
    assert zipfile.ZipFile(path).comment == b"d" * 64 and all_of(load(path)) == whole
    assert len(zipfile.ZipFile(storage.shipped_folder("weights") / "best.pth").comment) == 64


# --- the settings and the weights inside


@pytest.mark.parametrize(
    ("setting", "values", "words"),
    [
        ("model", ["transformer", None], "expected model to be one of mlp, cnn, rnn, convnet, got"),
        ("model", [["mlp"]], "unhashable"),
        ("optimizer", ["lion"], "expected optimizer to be one of adam, adamw, sgd, got 'lion'"),
        ("num_epochs", [-1, 0, 1.5, True], "expected num_epochs to be a whole number of at least 1"),
        ("learning_rate", [float("nan"), float("inf"), None], "expected learning_rate"),
        ("learning_rate", ["fast"], "'str'"),
        ("learning_rate", [torch.ones(1)], "not JSON serializable"),
        ("seed", [-1, 2**70, True], "expected seed"),
        ("augment", ["yes", 1], "expected augment"),
        # A name becomes a file's name; name and title are printed to the terminal.
        ("name", [5, "", "../../elsewhere/cnn", "mlp\n\x1b[2J"], "expected name"),
        ("title", [None, "a title\x1b]0;of the terminal\x07"], "expected title"),
        ("title", ["long" * 501], "a recipe of more than 2,000 characters"),
    ],
)
def test_settings_that_no_recipe_has(setting, values, words, forge):
    for value in values:
        refusal(forge(recipe=lambda recipe, value=value: {**recipe, setting: value}), words)


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ("recipe", [None, [], "mlp", {}, {1: 2}, {"name": "mlp"}, torch.zeros(2)]),
        ("history", [None, "history", {"foo": torch.ones(1)}, {"train_loss": 5.0}, {"step_loss": [0.5]}]),
        ("metrics", [None, [0.5], "good", {"accuracy": "high"}, {"accuracy": [0.5]}]),
    ],
)
def test_entries_of_another_kind(entry, values, forge):
    for value in values:
        refusal(forge(**{entry: value}))


SIZES = [
    [10**9] * 2,
    [10**40],
    [-8, 6],
    [8.0, 6],
    ["8", "6"],
    [[8], [6]],
    8,
    None,
    [8] * 300,
    [0, 6],
    [8, 7],
    [8],
]


def test_sizes_that_the_weights_do_not_have(forge):
    """However large they are, no memory is taken for them."""
    wrong = [{"model_options": {"hidden_sizes": sizes}} for sizes in SIZES]
    wrong += [
        {"model_options": options} for options in ({"hidden_size": 8}, {"self": 8}, {1: 8}, [8, 6], None, {})
    ]
    wrong += [
        {"model": "rnn", "model_options": {"hidden_size": size}} for size in (10**5, 10**40, 0, -1, "7", None)
    ]
    wrong += [{"model": model, "model_options": {}} for model in ("cnn", "rnn", "convnet")]
    for changes in wrong:
        refusal(forge(recipe=lambda recipe, changes=changes: {**recipe, **changes}))
    assert load(forge(recipe=lambda recipe: {**recipe, "invented_later": 3})).recipe == RECIPE


def test_weights_that_do_not_fit(forge):
    def each(change):
        return lambda weights: {name: change(tensor) for name, tensor in weights.items()}

    for values, words in [
        (each(lambda tensor: tensor[:-1]), "size mismatch for layers.0.weight"),
        (each(torch.Tensor.double), "torch.float64 in layers.0.weight where torch.float32 should be"),
        (each(lambda tensor: tensor.round().long()), "Error(s) in loading state_dict for MLP"),
        (each(torch.Tensor.half), "torch.HalfStorage"),
        (lambda weights: {**weights, "extra.weight": torch.zeros(2)}, "extra.weight"),
        (lambda weights: dict(list(weights.items())[1:]), "Missing key(s) in state_dict"),
        (lambda weights: {**weights, 3: torch.zeros(2)}, ""),
        (each(lambda tensor: tensor * float("nan")), "not only finite numbers in layers.0.weight"),
        (each(torch.Tensor.to_sparse), "_rebuild_sparse_tensor"),
        (each(lambda tensor: tensor.to("meta")), "_rebuild_meta_tensor"),
        (each(lambda tensor: [0.5]), "expected torch.Tensor"),
        ([torch.zeros(2)], ""),
        (None, ""),
    ]:
        refusal(forge(state_dict=values), words)


# --- files that would take more time or memory than they are worth


def archive(pickled, compression=zipfile.ZIP_STORED, **records):
    """Return a file like those of torch.save, with any bytes for a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content in {
            "data.pkl": pickled,
            "version": b"3\n",
            "byteorder": b"little",
            **records,
        }.items():
            made.writestr(f"archive/{name}", content)
    return buffer.getvalue()


DEEP = b")" + b"\x85" * 40_000  # the empty tuple in a tuple in a tuple
# Forty tuples, each of which holds the one before it twice: whoever follows them counts to 2^40.
TWICE = b")q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(40))

BOMBS = {
    "deflated": lambda: archive(bytes(2 * 10**9 // 20), zipfile.ZIP_DEFLATED),
    "deflated weights": lambda: archive(b"\x80\x02N.", zipfile.ZIP_DEFLATED, **{"data/0": bytes(10**8)}),
    "records": lambda: archive(b"\x80\x02N.", **{str(number): b"" for number in range(5_000)}),
    "a large pickle": lambda: archive(b"\x80\x02" + b"]" * 10**7 + b"."),
    "a huge bytearray": lambda: archive(b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x40\x85R."),
    "twice": lambda: archive(b"\x80\x02" + TWICE + b"."),
    "a key twice": lambda: archive(b"\x80\x02}q\xff" + TWICE + b"h\xffh\x28Ns."),
    "deep": lambda: archive(b"\x80\x02" + DEEP + b"."),
    "a deep key": lambda: archive(b"\x80\x02}" + DEEP + b"Ns."),
}


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    """A folder with the files of BOMBS, and with forged checkpoints that claim sizes which they do not hold."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, make_bomb in BOMBS.items():
        (folder / f"{name}.pth").write_bytes(make_bomb())
    with (folder / "sparse.pth").open("wb") as file:
        file.truncate(6 * 10**9)
    save(folder / "sound.pth", make(), RECIPE)
    content = torch.load(folder / "sound.pth")
    for num_layers in (20_000, 10**6):
        recipe = {**content["recipe"], "model_options": {"hidden_sizes": [1] * num_layers}}
        torch.save({**content, "recipe": recipe}, folder / f"{num_layers} layers.pth")
    shared, shapes = (
        torch.zeros(1),
        {"layers.0": (10**6, 784), "layers.1": (10**6, 10**6), "layers.2": (10, 10**6)},
    )
    wide = {f"{name}.weight": shared.expand(shape) for name, shape in shapes.items()}
    wide |= {f"{name}.bias": shared.expand(shape[0]) for name, shape in shapes.items()}
    options = {"hidden_sizes": [10**6, 10**6]}
    content |= {"recipe": {**content["recipe"], "model_options": options}, "state_dict": wide}
    torch.save(content, folder / "repeated.pth")
    content = torch.load(folder / "sound.pth")
    torch.save({**content, "history": {"step_loss": torch.zeros(1).expand(10**10)}}, folder / "history.pth")
    (folder / "sound.pth").unlink()
    return folder


READ_ALL = """
import resource, sys, time
from pathlib import Path
from digitlib.checkpoints import CheckpointError, load
import torch
limit = 1_000_000_000  # bytes of address space beyond what torch takes by itself
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + limit, taken + limit))
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.process_time()
    try:
        load(path)
        print("loaded", path)
    except CheckpointError as error:
        print(f"{time.process_time() - started:.1f}", path.name, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_no_file_takes_a_gigabyte_or_long(bombs):
    """The processor's own seconds: all take tenths of one, and without care more than a hundred, or for ever."""
    run = subprocess.run([sys.executable, "-c", READ_ALL, bombs], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert len(lines) == len(names_in(bombs)) == len(BOMBS) + 5
    assert [line for line in lines if not float(line.split()[0]) < 10] == []
    assert not any("memory" in line.lower() for line in lines)


# --- load_or_train, and the network that is part of digitlib


def test_each_setting_has_a_file_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLIB_CHECKPOINTS", str(tmp_path))
    changes = [
        {},
        {"seed": 1},
        {"learning_rate": 0.001},
        {"augment": True},
        {"num_epochs": 6},
        {"clip_norm": 1.0},
    ]
    changes += [{"model_options": {"hidden_sizes": [8, 7]}}, {"name": "other"}]
    assert len({checkpoint_path(change(RECIPE, **settings)) for settings in changes}) == len(changes)
    assert checkpoint_path(RECIPE) == checkpoint_path(Recipe(**json.loads(json.dumps(asdict(RECIPE)))))
    assert checkpoint_path(RECIPE).parent == tmp_path
    assert checkpoint_path(RECIPE).name.startswith("tiny-mlp-") and checkpoint_path(RECIPE).suffix == ".pth"


def test_it_trains_once_and_then_loads(few_images, tmp_path, monkeypatch):
    recipe = change(RECIPE, num_epochs=2, model_options={"hidden_sizes": (4,)})  # a tuple comes back as one
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    trained, loaded = load_or_train(recipe), load_or_train("tiny")
    assert few_images == [recipe]
    assert names_in(tmp_path / "kept") == [checkpoint_path(recipe).name]
    assert trained.recipe == loaded.recipe and len(trained.history) == 2
    assert (trained.history, trained.metrics, trained.version) == (
        loaded.history,
        loaded.metrics,
        loaded.version,
    )
    assert trained.metrics["validation_accuracy"] == trained.history.validation_accuracy[-1]
    assert not trained.model.training and torch.equal(trained.model(IMAGES), loaded.model(IMAGES))
    other = load_or_train(change(recipe, seed=1))
    assert len(few_images) == 2 and not torch.equal(other.model(IMAGES), loaded.model(IMAGES))
    with pytest.raises(ValueError, match="expected a recipe among mlp, cnn, .*, tiny, got 'tinny'"):
        load_or_train("tinny")


def test_an_interrupted_training_keeps_nothing(few_images, tmp_path, monkeypatch):
    calls, evaluate_in_fit = [], recipes.fit.__globals__["evaluate"]

    def interrupt(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate_in_fit(*arguments, **options)

    monkeypatch.setitem(recipes.fit.__globals__, "evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt, match="nothing was kept"):
        load_or_train(change(RECIPE, num_epochs=3))
    assert len(calls) == 2, "one epoch was finished, and even that is not kept"
    assert names_in(tmp_path / "kept") == []


def test_what_stands_in_the_way_is_found_before_training_and_not_replaced(few_images, tmp_path):
    (tmp_path / "kept").write_text("no folder")
    with pytest.raises(CheckpointError, match="expected a file that can be written"):
        load_or_train(RECIPE)
    (tmp_path / "kept").unlink()
    path = checkpoint_path(RECIPE)
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="a damaged file"):
        load_or_train(RECIPE)
    assert path.read_bytes() == b"damaged"
    for changes in ({"seed": 1}, {"name": "other"}):  # the same architecture: the weights alone would pass
        save(path, make(), change(RECIPE, **changes))
        with pytest.raises(CheckpointError, match="the file was renamed; move it away and run again"):
            load_or_train(RECIPE)
    assert few_images == []


@pytest.fixture
def shipped(few_images, tmp_path, monkeypatch):
    """Stand in for data/weights with a network that was trained in a moment; its recipe is named `best`."""
    recipe = change(RECIPE, name="best", num_epochs=1)
    monkeypatch.setitem(recipes.RECIPES, "best", recipe)
    monkeypatch.setattr(weights, "repository_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(checkpoints, "shipped_folder", lambda name: tmp_path / "data" / "weights")
    weights.main([])
    return few_images


def test_the_recommended_network_is_found_without_training(shipped, tmp_path):
    recipe = recipes.find("best")
    recommended, found = load_recommended(), load_or_train("best")
    assert shipped == [recipe], "the tool trained it"
    assert recommended.recipe == recipe and len(recommended.history) == 1
    assert torch.equal(recommended.model(IMAGES), found.model(IMAGES))
    load_or_train(change(recipe, seed=1))
    assert len(shipped) == 2 and len(names_in(tmp_path / "kept")) == 1, "other settings are trained"
    measured = evaluate(recommended.model, *recipes.load_part("validation"))
    names = ["validation_accuracy", "validation_loss"]
    assert [recommended.metrics[name] for name in names] == [measured.accuracy, pytest.approx(measured.loss)]


def test_the_network_in_the_repository_reads_as_many_images_as_it_says():
    """Up to 3 of 5,000: processors round otherwise, which turns the answer on an image that is hardly decided."""
    path = storage.shipped_folder("weights") / "best.pth"
    checkpoint = load_recommended()
    assert checkpoint.recipe == recipes.find("best") and path.stat().st_size < 700_000
    assert {tensor.dtype for tensor in checkpoint.model.parameters()} == {torch.float32}
    images, labels = data.load_part("validation")
    found = evaluate(checkpoint.model, images, labels).accuracy
    assert abs(found - checkpoint.metrics["validation_accuracy"]) <= 3.5 / len(images)
