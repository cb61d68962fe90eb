"""The named experiments, written down once for all who train: a model, an optimizer, a schedule and a seed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from digitlib.data import add_flags, augment, batches, load_part, roughen
from digitlib.models import MODELS
from digitlib.training import History, fit

Part = tuple[Tensor, Tensor]  # images and their labels

# A recipe that changes to another optimizer takes over, unless it brings its own: learning rate, momentum.
OPTIMIZERS = {"adam": (2e-3, 0.0), "adamw": (2e-3, 0.0), "sgd": (0.05, 0.9)}
SCHEDULES = ("one-cycle", "constant")


@dataclass(frozen=True)
class Recipe:
    """One experiment, whole: the same recipe on the same machine trains the same network.

    Raises:
        ValueError: a setting is none that training knows.
    Taught in notebook 10.
    """

    name: str  # what the command line calls it, and what its checkpoint is named after
    title: str  # one line for people
    model: str  # a key of digitlib.models.MODELS
    model_options: dict = field(default_factory=dict)  # the arguments of its class
    optimizer: str = "adam"  # or "adamw", "sgd"
    learning_rate: float = 2e-3  # the highest, where the schedule is "one-cycle": a rise, then a long fall
    momentum: float = 0.0  # for "sgd"
    weight_decay: float = 0.0  # for "adamw"
    batch_size: int = 256
    num_epochs: int = 5
    schedule: str = "one-cycle"  # or "constant"
    clip_norm: float | None = None  # gradients longer than this are scaled down to it
    augment: bool = False  # turn, shift and scale each image a little, anew each epoch
    flags: float = 0.0  # draw a flag on this share of the 1s
    roughen: float = 0.0  # make this share of the images hard to read, others each epoch
    seed: int = 0  # decides the first weights, the order of the images, dropout and augmentation

    def __post_init__(self):
        """Refuse settings that training would not understand, or would fail on much later."""
        # A name becomes the name of a file, and both are printed: a checkpoint from a stranger brings its own.
        is_name = isinstance(self.name, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name)
        expected = {
            "model": (self.model in MODELS, f"to be one of {', '.join(MODELS)}"),
            "optimizer": (self.optimizer in OPTIMIZERS, f"to be one of {', '.join(OPTIMIZERS)}"),
            "schedule": (self.schedule in SCHEDULES, f"to be one of {', '.join(SCHEDULES)}"),
            "name": (is_name, "in small letters, digits, - and _"),
            "title": (isinstance(self.title, str) and self.title.isprintable(), "to be one printable line"),
            "augment": (isinstance(self.augment, bool), "to be True or False"),
            "learning_rate": (0 < (self.learning_rate or 0) <= 100, "above 0 and at most 100"),
            "clip_norm": (self.clip_norm is None or self.clip_norm > 0, "above 0, or None"),
            "momentum": (0 <= self.momentum < 1, "from 0 to below 1"),
            "weight_decay": (0 <= self.weight_decay <= 1, "from 0 to 1"),
            "flags": (0 <= self.flags <= 1, "from 0 to 1"),
            "roughen": (0 <= self.roughen <= 1, "from 0 to 1"),
        }
        for setting, least in {"batch_size": 1, "num_epochs": 1, "seed": 0}.items():
            value = getattr(self, setting)  # True is an int, too; torch takes seeds of 63 bits
            is_whole = type(value) is int and least <= value < 2**63
            expected[setting] = is_whole, f"to be a whole number of at least {least}"
        for setting, (holds, words) in expected.items():
            if not holds:
                raise ValueError(f"expected {setting} {words}, got {getattr(self, setting)!r}")


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="mlp",
            title="four dense layers",
            model="mlp",
            model_options={"hidden_sizes": [256, 128, 64]},
            num_epochs=8,
        ),
        Recipe(
            name="cnn",
            title="two convolutions, 10 and 20 channels",
            model="cnn",
            model_options={"dropout": 0.25},
            learning_rate=5e-3,
            batch_size=128,
            num_epochs=6,
        ),
        Recipe(
            name="rnn",
            title="a simple recurrent layer that reads row by row",
            model="rnn",
            optimizer="sgd",
            learning_rate=0.2,
            batch_size=128,
            num_epochs=10,
            clip_norm=1.0,
        ),
        Recipe(
            name="quick",
            title="three 3×3 convolutions with batch normalisation, one epoch",
            model="convnet",
            model_options={"num_channels": [16, 32, 128], "pooled": [0, 1]},
            learning_rate=0.01,
            batch_size=96,
            num_epochs=1,
        ),
        Recipe(
            name="best",
            title="six 3×3 convolutions, augmented and rough images",
            model="convnet",
            model_options={"num_channels": [16, 32, 32, 64, 64, 96], "pooled": [0]},
            optimizer="adamw",
            learning_rate=0.01,
            weight_decay=0.05,
            num_epochs=20,
            augment=True,
            flags=0.25,
            roughen=0.25,
        ),
    )
}


def find(name: str) -> Recipe:
    """Return the recipe of that name, or raise a ValueError that lists those that there are."""
    if name not in RECIPES:
        raise ValueError(f"expected a recipe among {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]


def change(recipe: Recipe, **settings) -> Recipe:
    """Return the recipe with other settings; those that are None stay as they are.

    Another optimizer brings its own learning rate and momentum, unless they are given: Adam's rate stalls SGD.
    """
    settings = {name: value for name, value in settings.items() if value is not None}
    optimizer = settings.get("optimizer", recipe.optimizer)
    if optimizer != recipe.optimizer and optimizer in OPTIMIZERS:
        settings = dict(zip(("learning_rate", "momentum"), OPTIMIZERS[optimizer])) | settings
    return replace(recipe, **settings)


def build_model(recipe: Recipe) -> nn.Module:
    """Return the recipe's network, untrained; its first weights come from torch's global random numbers."""
    return MODELS[recipe.model](**recipe.model_options)


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over the model's parameters. Taught in notebook 06."""
    # fused: all weights are updated in one call, not each tensor in calls of its own.
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), recipe.learning_rate, momentum=recipe.momentum, fused=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.Adam(model.parameters(), recipe.learning_rate, fused=True)


def build_schedule(recipe: Recipe, optimizer: torch.optim.Optimizer, *, num_steps: int) -> LRScheduler | None:
    """Return the learning rate's course over num_steps steps, or None where it stays as it is.

    Source: Smith and Topin 2019, "Super-convergence". Taught in notebook 10.
    """
    if recipe.schedule == "constant":
        return None
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=num_steps, cycle_momentum=False
    )


def train(
    recipe: Recipe, *, device: str | torch.device = "cpu", parts: tuple[Part, Part] | None = None
) -> tuple[nn.Module, History]:
    """Train the recipe's network from scratch, and validate after each epoch.

    The test part is never opened here. torch's global random numbers are as they were, afterwards.

    Args:
        device: where to train, and where the model is returned: "cpu", "cuda" or "mps".
        parts: what to train and to validate on, each images float32 (N, 1, 28, 28), normalised, and labels int64
            (N,); by default MNIST's training and validation part.
    """
    train_part, validation = parts or (load_part("train"), load_part("validation"))
    images, labels = (tensor.to(device) for tensor in train_part)
    num_steps = -(-len(images) // recipe.batch_size) * recipe.num_epochs
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        # Convolutions on CPUs run faster with the channels last in memory; dense layers do not care.
        model = build_model(recipe).to(device, memory_format=torch.channels_last)
        optimizer = build_optimizer(recipe, model)
        history = fit(
            model,
            lambda: epoch_batches(recipe, images, labels, generator),
            validation,
            optimizer=optimizer,
            num_epochs=recipe.num_epochs,
            schedule=build_schedule(recipe, optimizer, num_steps=num_steps),
            clip_norm=recipe.clip_norm,
        )
    return model.to(memory_format=torch.contiguous_format), history


def epoch_batches(
    recipe: Recipe, images: Tensor, labels: Tensor, generator: torch.Generator
) -> Iterator[Part]:
    """Yield one epoch of the recipe's batches, shuffled and, where the recipe says so, changed at random.

    Args:
        images, labels: float32 (N, 1, 28, 28), normalised; int64 (N,).
        generator: on the CPU; decides the order and the changes.
    """
    for batch_images, batch_labels in batches(images, labels, recipe.batch_size, generator):
        if recipe.flags:
            batch_images = add_flags(batch_images, batch_labels, generator, share=recipe.flags)
        if recipe.augment:
            batch_images = augment(batch_images, generator)
        if recipe.roughen:
            batch_images = roughen(batch_images, generator, share=recipe.roughen)
        yield batch_images, batch_labels
