"""The named experiments: settings checked early, one seed one history, the test part left alone."""

import ast
import inspect
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest
import torch

from digitlib import recipes
from digitlib.models import MODELS, count_parameters
from digitlib.recipes import (
    RECIPES,
    Recipe,
    build_model,
    build_optimizer,
    build_schedule,
    change,
    epoch_batches,
    find,
    train,
)
from digitlib.training import train_one_epoch

ROOT = Path(__file__).parents[1]
SMALL = Recipe(name="small", title="a test", model="cnn", num_epochs=2, batch_size=50)
SEEDED = [SMALL, change(SMALL, augment=True, roughen=0.5), change(SMALL, model="rnn", optimizer="sgd")]


def stripes(num_images=400):
    """Return noise with one bright stripe, the higher the smaller the label: normalised images to learn from."""
    images = torch.randn(num_images, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(num_images) % 10
    images[torch.arange(num_images), 0, 4 + 2 * labels] += 3
    return images, labels


@pytest.fixture
def few_images(monkeypatch):
    """Let recipes train on few images, and note which parts they ask for."""
    parts = []
    monkeypatch.setattr(recipes, "load_part", lambda part: parts.append(part) or stripes())
    return parts


def histories():
    """Train in this process what the test below trains in another one, too."""
    recipes.load_part = lambda part: stripes()
    return [asdict(recipes.train(recipe)[1]) for recipe in SEEDED]


def test_every_recipe_builds():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert find(name) is recipe
        model = build_model(recipe)
        assert isinstance(model, MODELS[recipe.model])
        assert json.loads(json.dumps(asdict(recipe))) == asdict(recipe), "settings survive a file"
        optimizer = build_optimizer(recipe, model)
        num_optimized = sum(
            parameter.numel() for group in optimizer.param_groups for parameter in group["params"]
        )
        assert num_optimized == count_parameters(model)


def test_the_earlier_systems_are_there():
    assert {"mlp", "cnn", "rnn"} <= RECIPES.keys()
    assert RECIPES["rnn"].optimizer == "sgd"
    assert RECIPES["cnn"].optimizer == "adam"
    assert count_parameters(build_model(RECIPES["cnn"])) == 21_840
    assert len(build_model(RECIPES["mlp"]).layers) == 4


def test_the_improved_recipes_are_there():
    assert list(RECIPES) == ["mlp", "cnn", "rnn", "quick", "best"]
    assert RECIPES["quick"].num_epochs == 1 and RECIPES["best"].num_epochs <= 20
    assert RECIPES["best"].augment and not RECIPES["quick"].augment
    assert {RECIPES[name].model for name in ("quick", "best")} == {"convnet"}


def test_weight_decay_shrinks_the_weights_apart_from_the_gradient():
    model = torch.nn.Linear(1, 1, bias=False)
    recipe = change(SMALL, optimizer="adamw", learning_rate=0.1, weight_decay=0.2)
    optimizer = build_optimizer(recipe, model)
    before = model.weight.item()
    model.weight.grad = torch.zeros(1, 1)
    optimizer.step()
    assert model.weight.item() == pytest.approx(before * (1 - 0.1 * 0.2))


def test_network_and_loop_of_each_recipe_fit_on_a_page():
    """The lines of code that notebook 10 shows whole: without docstrings, comments and blank lines."""

    def lines_of_code(*definitions):
        trees = [ast.parse(textwrap.dedent(inspect.getsource(definition))) for definition in definitions]
        for node in (node for tree in trees for node in ast.walk(tree)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        return sum(len(ast.unparse(tree).splitlines()) for tree in trees)

    loop = (train_one_epoch, epoch_batches, build_optimizer, build_schedule)
    for recipe in RECIPES.values():
        assert lines_of_code(MODELS[recipe.model], *loop) <= 60, recipe.name


def test_recipes_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        RECIPES["cnn"].seed = 1


def test_the_same_seed_gives_the_identical_history_in_one_process_and_in_two(few_images):
    program = "import json; from tests import test_recipes; print(json.dumps(test_recipes.histories()))"
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | threads
    )
    firsts = []
    for recipe in SEEDED:
        (first_model, first), (second_model, second) = train(recipe), train(recipe)
        assert first == second
        assert first.train_loss[1] < first.train_loss[0], "it learns"
        for a, b in zip(first_model.parameters(), second_model.parameters(), strict=True):
            assert torch.equal(a, b)
        firsts.append(asdict(first))
    assert json.loads(other.communicate()[0]) == firsts


def test_training_opens_no_test_image_and_leaves_the_global_random_numbers_as_they_were(few_images):
    before = torch.random.get_rng_state()
    history = train(SMALL)[1]
    assert sorted(set(few_images)) == ["train", "validation"]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert history != train(change(SMALL, seed=5))[1]


def test_augmentation_changes_what_the_network_sees_but_not_the_data(monkeypatch):
    images, labels = stripes()
    monkeypatch.setattr(recipes, "load_part", lambda part: (images, labels))
    plain = train(SMALL)[1].step_loss
    for setting in ({"augment": True}, {"roughen": 0.5}):
        assert train(change(SMALL, **setting))[1].step_loss != plain
    assert torch.equal(images, stripes()[0])


def test_the_learning_rate_rises_to_its_peak_and_falls():
    recipe = change(SMALL, learning_rate=0.01)
    optimizer = build_optimizer(recipe, build_model(recipe))
    schedule = build_schedule(recipe, optimizer, num_steps=100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert 20 <= rates.index(max(rates)) <= 40
    assert rates[0] < 0.001 and rates[-1] < 0.0001
    assert build_schedule(change(SMALL, schedule="constant"), optimizer, num_steps=100) is None


def test_another_optimizer_brings_its_own_learning_rate():
    sgd = change(RECIPES["cnn"], optimizer="sgd")
    assert (sgd.learning_rate, sgd.momentum) == recipes.OPTIMIZERS["sgd"]
    assert change(RECIPES["cnn"], optimizer="sgd", learning_rate=0.3).learning_rate == 0.3
    assert change(RECIPES["cnn"], optimizer="adam") == RECIPES["cnn"]
    assert change(RECIPES["cnn"], seed=None, num_epochs=None) == RECIPES["cnn"]
    assert change(RECIPES["cnn"], augment=False, seed=0) == RECIPES["cnn"]


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"model": "transformer"}, "mlp, cnn, rnn"),
        ({"optimizer": "lion"}, "adam, adamw, sgd"),
        ({"schedule": "step"}, "one-cycle"),
        ({"num_epochs": 0}, "num_epochs"),
        ({"num_epochs": 1.5}, "num_epochs"),
        ({"batch_size": -1}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**70}, "seed"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings, words):
    with pytest.raises(ValueError, match=words):
        change(SMALL, **settings)


def test_an_unknown_recipe_lists_those_that_there_are():
    with pytest.raises(ValueError, match="mlp, cnn, rnn.*'resnet'"):
        find("resnet")
