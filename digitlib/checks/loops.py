"""The checks of notebook 7: training loops."""

import copy
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.core import expect
from digitlib.checks.engine import change, exercise
from digitlib.training import fit


def _images(number: int, size: float = 0.1) -> tuple[Tensor, Tensor]:
    """Return random images (N, 1, 28, 28) and labels (N,); the size is small enough for bold steps."""
    return size * torch.randn(number, 1, 28, 28), torch.randint(10, (number,))


def _count_steps(optimizer: torch.optim.Optimizer) -> list:
    steps: list = []
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    return steps


def _one_batch():
    kinds = [(11, 6, torch.optim.SGD, {"lr": 0.2, "momentum": 0.5}), (5, 9, torch.optim.Adam, {"lr": 2e-3})]
    for number, num_steps, kind, options in [*kinds, (3, 25, torch.optim.SGD, {"lr": 0.5})]:
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        given = (model, kind(model.parameters(), **options), *_images(number), num_steps)
        yield f"{number} images and {num_steps} steps", given


def _watch_steps(run, model, optimizer, *others):
    steps, modes, passes = _count_steps(optimizer), [], []
    model[1].bias.register_hook(lambda _: passes.append(1))
    model.register_forward_pre_hook(lambda *_: modes.append(model.training))
    result = run(model, optimizer, *others)
    return {
        "the number of steps that the given optimizer takes": len(steps),
        "the number of times that `backward()` reaches the given model": len(passes),
        "each step is taken in training mode": all(modes), "the result": result,
    }  # fmt: skip


def _by_heart(model, optimizer, images, labels, num_steps):
    noted = []
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        noted.append(loss.item())
    return noted


_ZERO = "        optimizer.zero_grad()\n"
learn_by_heart = exercise(
    "learn_by_heart", given=_one_batch, right=_by_heart, observe=_watch_steps, plain=True,
    returns="a list with one loss for each step, plain numbers",
    passed="Zero, backward, step: a loop that learns eight images by heart is worth trusting with more.", wrong={
        "The loss is computed once, before the loop; every step needs one of its own.": (
            "= F", "= loss if noted else F", "backward()", "backward(retain_graph=True)"),
        "The weights did not move: each step finds no gradient. In which order do `zero_grad`, `backward` and the step "
        "come?": (_ZERO, "", "backward()", "backward(); optimizer.zero_grad()"),
        "The optimizer steps before `backward()` has computed this step's gradient, so it is always one step behind.": (
            _ZERO, "", "loss.backward()", "", ".step()", ".step(); optimizer.zero_grad(); loss.backward()"),
        "Only a part of the images is used: the cross-entropy is that of all of them.": [
            ("model(images), labels", f"model(images[{n}]), labels[{n}]") for n in (
                ":8", "::2", ":1", "(j := len(noted) % len(images)):j + 1")],
        "Each loss is measured after its step; note the one that you call `backward()` on.": (
            "(loss", "(F.cross_entropy(model(images), labels)"),
    })  # fmt: skip


class _Probe(nn.Module):
    """A network whose dropout is not random; it notes at each call both modes, the record and the number of images."""

    ONE_MODE = "the model and its layers are in one mode: `eval()` and `train()` set both"

    def __init__(self):
        super().__init__()
        self.dropout, self.layer, self.uses = nn.Identity(), nn.Linear(784, 10), []
        self.note = self.uses.append  # a copy of the network notes in the same list

    def forward(self, images):
        self.note((self.training, self.dropout.training, torch.is_grad_enabled(), len(images)))
        x = images.flatten(1)
        return self.layer(2 * x * (torch.arange(784) % 2) if self.dropout.training else x)


def _some_batches():
    for sizes, mode in (((8, 8, 3), True), ((6, 2, 1), False), ((5, 5), True)):
        case = f"batches of {sizes}, and a model in {'training' if mode else 'evaluation'} mode"
        yield case, (_Probe().train(mode), iter([_images(size, 0.5 + n) for n, size in enumerate(sizes)]))


def _watch_validation(run, model, batches):
    result = run(model, batches)
    return {
        model.ONE_MODE: all(own == inner for own, inner, _, _ in model.uses),
        "the model works in evaluation mode": not any(mode for _, mode, _, _ in model.uses),
        "torch records nothing for gradients": not any(recorded for _, _, recorded, _ in model.uses),
        "the number of images that the model sees": sum(size for *_, size in model.uses), "the result": result,
    }  # fmt: skip


def _validate(model, batches):
    before, total, count = model.training, 0.0, 0
    model.eval()
    with torch.no_grad():
        for images, labels in batches:
            mean = F.cross_entropy(model(images), labels).item()
            total += mean * len(labels)
            count += len(labels)
    model.train(before)
    return total / count


validation_loss = exercise(
    "validation_loss", given=_some_batches, right=_validate, observe=_watch_validation, tolerance=2e-5,
    returns="one number, the mean loss of all images",
    passed="Evaluation mode, no record, each image once, and no trace left behind: a validation that does no harm.",
    wrong={
        "This is the mean of the batch means, in which an image of a small last batch counts for more than another.": (
            "mean * len(labels)", "mean", "count += len(labels)", "count += 1"),
        "Batch means are added, and then divided by the number of images: the loss looks far too small.": (
            "mean * len(labels)", "mean"),
        "The batches come once: a loop before yours has used them up.": (
            "0.0, 0", "0.0, sum(len(labels) for _, labels in batches)", "count += len", "len"),
        "The sum over the images is divided by the number of batches.": ("count += len(labels)", "count += 1"),
        "The last batch is smaller, but it is counted as if it were full.": [
            (f"{n} len(labels)", f"{n} (size := size if count else len(labels))") for n in ("mean *", "count +=")],
    })  # fmt: skip


def _small_epochs():
    for mode, sizes, num_epochs in (("training", (4, 4, 3), 3), ("evaluation", (5, 2), 4)):
        train, model = [_images(size) for size in sizes], _Probe().train(mode == "training")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
        given = (model, lambda train=train: iter(train), _images(320, 0.5), optimizer, num_epochs)
        yield f"a model that comes in {mode} mode", given


def _watch_modes(run, model, train_batches, validation, optimizer, num_epochs):
    steps = _count_steps(optimizer)
    result = run(model, train_batches, validation, optimizer, num_epochs)
    trained = [mode for _, mode, _, size in model.uses if size != 320]
    judged = [(mode, recorded) for _, mode, recorded, size in model.uses if size == 320]
    return {
        "the number of validations": len(judged), "the number of steps": len(steps),
        model.ONE_MODE: all(own == inner for own, inner, _, _ in model.uses),
        "each validation works in evaluation mode": not any(mode for mode, _ in judged),
        "no validation keeps a record for gradients": not any(recorded for _, recorded in judged),
        "the first step trains in training mode": trained[:1] == [True],
        "every epoch trains in training mode, to its last step": all(trained), "the result": result,
    }  # fmt: skip


def _forgets_training_mode(model, train_batches, validation, optimizer, num_epochs):
    images, labels = validation
    accuracies = []
    model.train()
    for _ in range(num_epochs):
        for some_images, some_labels in train_batches():
            loss = F.cross_entropy(model(some_images), some_labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = model(images).argmax(dim=1) == labels
        accuracies.append(right.double().mean().item())
    return accuracies


_LEARNT_NOTHING = "The model that was given has learnt nothing: train that one, not a copy or a new one."
keep_dropout = exercise(
    "keep_dropout", given=_small_epochs, blank=_forgets_training_mode, observe=_watch_modes, plain=True, modes=False,
    right=change(_forgets_training_mode, "    model.train()\n", "", "    for s", "    model.train()\n        for s"),
    returns="a list with one accuracy for each epoch, plain numbers",
    passed="A validation changes the mode, so every epoch has to ask for training mode anew.", wrong={
        _LEARNT_NOTHING: ("= []", "= []; trained = copy.deepcopy(model)", "entropy(model", "entropy(trained"),
    })  # fmt: skip


class _Epochs:
    """Makes the batches of one epoch after the other, and notes how often; Ctrl-C comes in the epoch `interrupt`."""

    def __init__(self, images, labels, most=99, interrupt=0):
        self.batches = list(zip(images.clone().split(16), labels.split(16)))
        self.most, self.interrupt, self.drawn = most, interrupt, []

    def __call__(self):
        self.drawn.append(torch.rand(()).item())  # as a shuffle would
        told = f"With most_epochs={self.most} epoch {len(self.drawn)} was begun: count the epochs."
        expect(len(self.drawn) <= self.most + 1, told)
        if len(self.drawn) == self.interrupt:
            yield self.batches[0]
            raise KeyboardInterrupt
        yield from self.batches


@functools.lru_cache(maxsize=1)  # the right answer and all wrong ones are given the same
def _known_run(seed: int) -> tuple:
    """Draw images until a goal comes in the middle, that the training's accuracy reaches in an earlier epoch."""
    torch.manual_seed(seed)
    while True:
        labels = torch.randint(10, (109,))
        images = 0.1 * torch.randn(10, 1, 28, 28)[labels] + 0.4 * torch.randn(109, 1, 28, 28)
        train, validation = (images[:45], labels[:45]), (images[45:], labels[45:])
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        first, adam = copy.deepcopy(model), torch.optim.Adam(model.parameters())
        history = fit(model, _Epochs(*train), validation, optimizer=adam, num_epochs=6)
        found = history.validation_accuracy  # of 64 images: such shares have no rounding
        for number in range(1, 5):
            if max(found[:number]) < found[number] < max(history.train_accuracy[:number]):
                return first, train, validation, number + 1, found[number]


def _goals():
    first, train, validation, n, goal = _known_run(int(torch.randint(2**31, ())))
    for case, asked, most, interrupt in (
        (f"a goal that epoch {n} passes", goal - 1 / 128, 6, 0), (f"a goal that epoch {n} reaches exactly", goal, 6, 0),
        ("most_epochs=3 and a goal out of reach", 1.1, 3, 0), ("Ctrl-C in epoch 2", 1.1, 5, 2),
    ):  # fmt: skip
        model = copy.deepcopy(first)
        adam = torch.optim.Adam(model.parameters())
        yield case, (model, _Epochs(*train, most, interrupt), validation, adam, asked, most)


def _watch_epochs(run, model, train_batches, validation, optimizer, *limits):
    steps, drawn = _count_steps(optimizer), train_batches.drawn
    result = run(model, train_batches, validation, optimizer, *limits)
    return {
        "the number of epochs that ask `train_batches` for new batches": len(drawn),
        "each epoch has random numbers of its own": len(set(drawn)) == len(drawn),
        "the number of steps that the given optimizer takes": len(steps), "the result": result,
    }  # fmt: skip


def _until(model, train_batches, validation, optimizer, goal, most_epochs):
    found = []
    while len(found) < most_epochs:
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=1)
        if run.interrupted:
            break
        found += run.validation_accuracy
        if run.validation_accuracy[-1] >= goal:
            break
    return found


fit_until = exercise(
    "fit_until", given=_goals, right=_until, observe=_watch_epochs, modes=False,
    returns="a list with the validation accuracy of each finished epoch",
    passed="One model and one optimizer, however many calls of `fit`: that is all it takes to go on.", wrong={
        _LEARNT_NOTHING: [(old, f"model = copy.deepcopy(model); {old}") for old in ("run = fit", "found = []")],
        "A new optimizer has lost what the old one kept of past gradients: go on with the one that was given.": (
            "run = fit", "optimizer = torch.optim.Adam(model.parameters()); run = fit"),
        "It looks at the goal one epoch late: look at the newest accuracy after every single epoch.": (
            "run.validation_accuracy[-1] >= goal", "len(found) > 1 and found[-2] >= goal"),
        "It stops by the accuracy on the training images; the goal is meant for the validation images.": (
            "run.validation_accuracy[-1]", "run.train_accuracy[-1]"),
        "These are the accuracies on the training images.": [
            ("+= run.validation", "+= run.train"), ("run.validation", "run.train")],
        "An epoch that Ctrl-C ends leaves an empty History behind, and an empty list has no last entry.": (
            "        if run.interrupted:\n            break\n", ""),
    })  # fmt: skip
