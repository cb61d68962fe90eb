"""The checks of notebook 7: training loops."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.engine import change, exercise
from digitlib.training import fit


def _images(number: int, size: float = 0.1) -> tuple[Tensor, Tensor]:
    """Return random images (N, 1, 28, 28) and labels (N,); the size is small enough for bold steps."""
    return size * torch.randn(number, 1, 28, 28), torch.randint(10, (number,))


def _learner(kind=torch.optim.Adam, **options) -> tuple:
    """Return a new model of one layer, and an optimizer over its weights."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    return model, kind(model.parameters(), **options)


def _watch_steps(run, *arguments):
    steps, optimizer = [], next(each for each in arguments if isinstance(each, torch.optim.Optimizer))
    optimizer.register_step_post_hook(lambda *_: steps.append(1))
    result = run(*arguments)
    return {"the number of steps that the given optimizer takes": len(steps), "the result": result}


def _one_batch():
    slow, fast = _learner(torch.optim.SGD, lr=0.2, momentum=0.5), _learner(torch.optim.SGD, lr=0.5)
    for number, num_steps, learner in ((11, 6, slow), (5, 9, _learner(lr=2e-3)), (3, 25, fast)):
        yield f"{number} images and {num_steps} steps", (*learner, *_images(number), num_steps)


def _by_heart(model, optimizer, images, labels, num_steps):
    noted = []
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        noted.append(loss.item())
    return noted


learn_by_heart = exercise(
    "learn_by_heart", given=_one_batch, right=_by_heart, observe=_watch_steps, plain=True,
    returns="a list with one loss for each step, plain numbers",
    passed="Zero, backward, step: a loop that learns eight images by heart is worth trusting with more.", wrong={
        "The loss never changes. Is it computed in every step? Does `zero_grad` come before `backward`?": [
            ("optimizer.zero_grad()", "pass", "backward()", "backward(); optimizer.zero_grad()"),
            ("= F", "= loss if noted else F", "backward()", "backward(retain_graph=True)")],
        "Only a part of the images is used: the cross-entropy is that of all of them.": [
            ("model(images), labels", f"model(images[{n}]), labels[{n}]")
            for n in (":8", ":1", "(j := len(noted) % len(images)):j + 1")],
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
        "Sum and count do not go together: weigh each mean by its batch's length, divide by all images.": [
            ("mean * len(labels)", "mean"), ("count += len(labels)", "count += 1"),
            ("count += len(labels)", "count += 1", "/ count", "/ (count * len(labels))")],
        "The batches come once: a loop before yours has used them up.": (
            "0.0, 0", "0.0, sum(len(labels) for _, labels in batches)", "count += len", "len"),
    })  # fmt: skip


def _small_epochs():
    for mode, sizes, num_epochs in (("training", (4, 4, 3), 3), ("evaluation", (5, 2), 4)):
        train, model = [_images(size) for size in sizes], _Probe().train(mode == "training")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
        given = (model, lambda train=train: iter(train), _images(320, 0.5), optimizer, num_epochs)
        yield f"a model that comes in {mode} mode", given


def _watch_modes(run, model, *others):
    seen = _watch_steps(run, model, *others)
    trained = [mode for _, mode, _, size in model.uses if size != 320]
    judged = [(mode, recorded) for _, mode, recorded, size in model.uses if size == 320]
    return {
        "the number of validations": len(judged),
        model.ONE_MODE: all(own == inner for own, inner, _, _ in model.uses),
        "each validation works in evaluation mode": not any(mode for mode, _ in judged),
        "no validation keeps a record for gradients": not any(recorded for _, recorded in judged),
        "every epoch trains in training mode, to its last step": all(trained), **seen,
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


keep_dropout = exercise(
    "keep_dropout", given=_small_epochs, blank=_forgets_training_mode, observe=_watch_modes, plain=True, modes=False,
    right=change(_forgets_training_mode, "    model.train()\n", "", "    for s", "    model.train()\n        for s"),
    returns="a list with one accuracy for each epoch, plain numbers",
    passed="A validation changes the mode, so every epoch has to ask for training mode anew.",
)  # fmt: skip


class _Epochs:
    """Gives the batches of each epoch, and notes a random number for it; Ctrl-C comes in the epoch `interrupt`."""

    def __init__(self, batches, interrupt):
        self.batches, self.interrupt, self.drawn = batches, interrupt, []

    def __call__(self):
        self.drawn.append(torch.rand(()).item())  # as a shuffle would
        for batch in self.batches:
            yield batch
            if len(self.drawn) == self.interrupt:
                raise KeyboardInterrupt  # it also ends a loop without an end


def _goals():
    labels, first = torch.randint(10, (109,)), _learner()
    images = 0.1 * torch.randn(10, 1, 28, 28)[labels] + 0.4 * torch.randn(109, 1, 28, 28)
    validation, batches = (images[:64], labels[:64]), list(zip(images[64:].split(16), labels[64:].split(16)))
    model, adam = copy.deepcopy(first)
    found = fit(model, lambda: batches, validation, optimizer=adam, num_epochs=5).validation_accuracy
    best = max(found)  # it comes late, and sooner on the training images
    n = found.index(best) + 1
    for case, goal, most, interrupt in (
        ("most_epochs=3 and a goal out of reach", 1.1, 3, 20), (f"a goal that epoch {n} reaches exactly", best, 6, 20),
        (f"a goal that epoch {n} passes", best - 1 / 128, 6, 20), ("Ctrl-C in epoch 2", 1.1, 5, 2),
    ):  # fmt: skip
        model, adam = copy.deepcopy(first)
        yield case, (model, _Epochs(batches, interrupt), validation, adam, goal, most)


def _watch_epochs(run, model, train_batches, *others):
    seen, drawn = _watch_steps(run, model, train_batches, *others), train_batches.drawn
    return {
        "the number of epochs that ask `train_batches` for new batches": len(drawn),
        "each epoch has random numbers of its own": len(set(drawn)) == len(drawn), **seen,
    }  # fmt: skip


def _until(model, train_batches, validation, optimizer, goal, most_epochs):
    found = []
    while len(found) < most_epochs:
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=1)
        found += run.validation_accuracy
        if run.interrupted or run.validation_accuracy[-1] >= goal:
            break
    return found


fit_until = exercise(
    "fit_until", given=_goals, right=_until, observe=_watch_epochs, modes=False,
    returns="a list with the validation accuracy of each finished epoch",
    passed="One model and one optimizer, however many calls of `fit`: that is all it takes to go on.", wrong={
        "A new optimizer has lost what the old one kept of past gradients: go on with the one that was given.": (
            "run = fit", "optimizer = torch.optim.Adam(model.parameters()); run = fit"),
        "You take the accuracy on the training images; goal and list are meant for the validation images.": [
            (old, old.replace("validation", "train"))
            for old in ("run.validation_accuracy[-1]", "+= run.validation", "run.validation")],
    })  # fmt: skip
