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


_LOSS, _ZERO = "F.cross_entropy(model(images), labels)", "        optimizer.zero_grad()\n"
_SOFTMAX = ("model(images)", "model(images).softmax(dim=1)")
learn_by_heart = exercise(
    "learn_by_heart", given=_one_batch, right=_by_heart, observe=_watch_steps, plain=True,
    returns="a list with one loss for each step, plain numbers",
    passed="Zero, backward, step: a loop that learns eight images by heart is worth trusting with more.", wrong={
        "The gradients pile up from step to step: one line of the loop's ten is missing, or stands outside the loop.": [
            (_ZERO, ""), (_ZERO, "", "    for", "    optimizer.zero_grad()\n    for")],
        "The loss is computed once, before the loop; every step needs one of its own.": (
            "= F", "= loss if noted else F", "backward()", "backward(retain_graph=True)"),
        "The gradients are there, but the weights did not move: who makes the step?": ("optimizer.step()", "pass"),
        "The weights did not move: each step finds no gradient. In which order do `zero_grad`, `backward` and the step "
        "come?": (_ZERO, "", "backward()", "backward(); optimizer.zero_grad()"),
        "The optimizer steps before `backward()` has computed this step's gradient, so it is always one step behind.": (
            _ZERO, "", "loss.backward()", "", ".step()", ".step(); optimizer.zero_grad(); loss.backward()"),
        "This is the loss of a second softmax: `F.cross_entropy` takes the logits themselves.": _SOFTMAX,
        "Each loss is measured after its step; note the one that you call `backward()` on.": ("(loss", "(" + _LOSS),
        "You train on the sum over the images, where `F.cross_entropy` by itself takes their mean.": (
            "labels)", "labels, reduction='sum')"),
        "Your losses are divided by the number of images, and `F.cross_entropy` has done so already.": (
            "loss.item()", "loss.item() / len(images)"),
        "Your list holds the sum or the mean of all losses so far; note each step's own.": [
            ("return noted", f"return [sum(noted[:n]){by} for n in range(1, len(noted) + 1)]") for by in ("", " / n")],
        "Every entry is the last loss, or only that is there: note each loss in the loop, not after it.": [
            ("return noted", f"return {last}") for last in ("noted[-1]", "noted[-1:]", "num_steps * noted[-1:]")],
        "With the sign turned round, the training makes the answers worse.": [
            (_LOSS, "-" + _LOSS), ("loss.backward()", "(-loss).backward()")],
        "Only a part of the images is used: the cross-entropy is that of all of them.": [
            ("model(images), labels", f"model(images[{part}]), labels[{part}]") for part in (
                ":8", "::2", ":1", ":-1", "(n := len(noted) % len(images)):n + 1")],
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
        "This is a sum; divide it once, at the end.": [
            ("total / count", "total"), ("mean * len(labels)", "mean", "total / count", "total")],
        "The sum over the images is divided by the number of batches.": ("count += len(labels)", "count += 1"),
        "The last batch is smaller, but it is counted as if it were full.": [
            (f"{n} len(labels)", f"{n} (size := size if count else len(labels))") for n in ("mean *", "count +=")],
        "This is the loss of the first batch, or of the last one, alone.": [
            ("total / count", "mean"), ("            count +=", "            return mean\n            count +=")],
        "This is the share of images read right, not the loss.": (
            "F.cross_entropy(model(images), labels)", "(model(images).argmax(1) == labels).double().mean()"),
        "This is the loss of a second softmax: `F.cross_entropy` takes the logits themselves.": _SOFTMAX,
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


_TRAIN, _READ = "    model.train()\n        for some", "right = model(images).argmax(dim=1) == labels"
_NOTE = "accuracies.append(right.double().mean().item())"
_LEARNT_NOTHING = "The model that was given has learnt nothing: train that one, not a copy or a new one."
_VALIDATED = f"    model.eval()\n        with torch.no_grad(): {_READ}\n        {_NOTE}\n    "
keep_dropout = exercise(
    "keep_dropout", given=_small_epochs, blank=_forgets_training_mode, observe=_watch_modes, plain=True, modes=False,
    right=change(_forgets_training_mode, "    model.train()\n", "", "    for some", _TRAIN),
    returns="a list with one accuracy for each epoch, plain numbers",
    passed="A validation changes the mode, so every epoch has to ask for training mode anew.", wrong={
        "From the second epoch on it still trains in evaluation mode. In which mode does an epoch leave the model to "
        "the next one?": (_TRAIN, "    for some", "    for _", "    model.train()\n    for _"),
        "An epoch trains in evaluation mode: does each ask for training mode, and keep it to its last step?": [
            (_TRAIN, "    for some"), (_TRAIN, "    model.eval()\n        for some"),
            ("loss = F", "model.eval(); loss = F")],
        "Each epoch validates before it trains; the accuracies are those after each epoch.": (
            _READ, "pass", _NOTE, "pass", _TRAIN, _VALIDATED + _TRAIN),
        _LEARNT_NOTHING: ("= []", "= []; trained = copy.deepcopy(model)", "entropy(model", "entropy(trained"),
        "The modes are right, but `zero_grad` is lost: the gradients pile up.": ("optimizer.zero_grad()", "pass"),
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


_CTRL_C = "        if run.interrupted:\n            break\n"
fit_until = exercise(
    "fit_until", given=_goals, right=_until, observe=_watch_epochs, modes=False,
    returns="a list with the validation accuracy of each finished epoch",
    passed="One model and one optimizer, however many calls of `fit`: that is all it takes to go on.", wrong={
        _LEARNT_NOTHING: [(old, f"model = copy.deepcopy(model); {old}") for old in ("run = fit", "found = []")],
        "A new optimizer has lost what the old one kept of past gradients: go on with the one that was given.": (
            "run = fit", "optimizer = torch.optim.Adam(model.parameters()); run = fit"),
        "It never looks at the goal: compare the newest validation accuracy after every single epoch.": [
            (">= goal", "> 9"), ("while len(found) < most_epochs", "for _ in range(most_epochs)", ">= goal", "> 9")],
        "It looks at the goal one epoch late: look at the newest accuracy after every single epoch.": (
            "run.validation_accuracy[-1] >= goal", "len(found) > 1 and found[-2] >= goal"),
        "The goal itself is enough, and your training goes on.": (">= goal", "> goal"),
        "It stops by the accuracy on the training images; the goal is meant for the validation images.": (
            "run.validation_accuracy[-1]", "run.train_accuracy[-1]"),
        "These are the accuracies on the training images.": [
            ("+= run.validation", "+= run.train"), ("run.validation", "run.train")],
        "These are the losses of the validation, not its accuracies.": ("validation_accuracy\n", "validation_loss\n"),
        "After Ctrl-C it goes on with the next epoch: a History says whether it was interrupted.": (
            _CTRL_C, _CTRL_C.replace("break", "continue")),
        "An epoch that Ctrl-C ends leaves an empty History behind, and an empty list has no last entry.": (_CTRL_C, ""),
    })  # fmt: skip
