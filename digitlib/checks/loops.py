"""The checks of notebook 7: training loops."""

import copy
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.core import (
    NotYet,
    call,
    close,
    describe_value,
    exercise,
    expect,
    expect_number,
    recognise,
)
from digitlib.training import fit


class _Log(list):
    """A list that copies of its owner share: so a model is watched also where an answer uses a copy of it."""

    def __deepcopy__(self, memo: dict) -> "_Log":
        return self


class _Probe(nn.Module):
    """A small network that notes, at each call, how it was used.

    In training mode it leaves out half of the inputs, always the same ones: dropout without its randomness.

    Attributes:
        uses: of each call, the mode, whether gradients were recorded, and the number of images.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.layer = nn.Linear(784, num_classes)
        self.register_buffer("kept", (torch.arange(784) % 2).float())
        self.uses: list[tuple[bool, bool, int]] = _Log()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, num_classes)."""
        self.uses.append((self.training, torch.is_grad_enabled(), len(images)))
        x = images.flatten(1)
        return self.layer(2 * x * self.kept if self.training else x)


def _images(num_images: int, size: float = 0.1) -> tuple[Tensor, Tensor]:
    """Return random images (N, 1, 28, 28) and labels (N,); the size is small enough for bold steps."""
    return size * torch.randn(num_images, 1, 28, 28), torch.randint(10, (num_images,))


def _weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


# ---- learn_by_heart ---------------------------------------------------------------------------------------------


def _steps(model, optimizer, images, labels, num_steps, *, zero=True, early=False, criterion=F.cross_entropy):
    """Take the steps of a plain training loop, or of one with a known fault; return its losses."""
    losses = []
    for _ in range(num_steps):
        loss = criterion(model(images), labels)
        if early:
            optimizer.step()
        if zero:
            optimizer.zero_grad()
        loss.backward()
        if not early:
            optimizer.step()
        losses.append(loss.item())
    return losses


@exercise(
    passed="Zero, backward, step: a loop that learns eight images by heart is worth trusting with more."
)
def learn_by_heart(answer) -> None:
    """Take model, optimizer, images, labels, num_steps; train, and return the loss before each step."""
    for num_images, num_steps, make in (
        (11, 6, lambda model: torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)),
        (5, 9, lambda model: torch.optim.Adam(model.parameters(), lr=2e-3)),
        (3, 40, lambda model: torch.optim.SGD(model.parameters(), lr=0.3)),  # the loss falls almost to 0
    ):
        images, labels = _images(num_images)
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        start = copy.deepcopy(model)

        def losses_of(start=start, make=make, images=images, labels=labels, steps=num_steps, **fault):
            twin = copy.deepcopy(start)
            return _steps(twin, make(twin), images, labels, steps, **fault), _weights(twin)

        optimizer = make(model)
        counts = _Counts(model, optimizer)
        modes: list[bool] = []
        model.register_forward_pre_hook(lambda model, inputs, modes=modes: modes.append(model.training))
        try:
            found = call(answer, model, optimizer, images, labels, num_steps, changes=(0, 1))
        except NotYet as hint:
            _explain_refusal(str(hint))
            raise
        found = _numbers(found, num_steps, "loss", "step")
        counts.expect_moved(_weights(start), _weights(model))
        expect(all(modes), "The steps are taken in evaluation mode, in which dropout would rest.")
        expect(
            counts.steps == num_steps,
            f"For {num_steps} losses the optimizer took {counts.steps} steps; one step belongs to each loss.",
        )
        (expected, weights), (more, _) = losses_of(), losses_of(steps=num_steps + 1)
        if not close(found, expected):
            total = torch.tensor(expected).cumsum(dim=0)
            faults = {
                "The gradients pile up from step to step: one line of the loop's ten is missing, or stands outside "
                "the loop.": {"zero": False},
                "The optimizer steps before `backward()` has computed this step's gradient, so it is always one "
                "step behind.": {"early": True},
                "This is the loss of a second softmax: `F.cross_entropy` takes the logits themselves.": {
                    "criterion": lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels)
                },
                "You train on the sum over the images, where `F.cross_entropy` by itself takes their mean.": {
                    "criterion": lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")
                },
                "`F.nll_loss` takes log-probabilities, but the model returns logits.": {
                    "criterion": F.nll_loss
                },
            }
            recognise([found], {hint: [losses_of(**fault)[0]] for hint, fault in faults.items()})
            recognise(
                [found],
                {
                    "Each loss is measured after its step; note the one that you call `backward()` on.": [
                        more[1:]
                    ],
                    "Your list holds the sum of all losses so far; note each step's own.": [total],
                    "Your list holds the mean of all losses so far; note each step's own.": [
                        total / torch.arange(1, num_steps + 1)
                    ],
                    "Every entry is the last loss: note each loss in the loop, not after it.": [
                        [expected[-1]] * num_steps
                    ],
                    "The losses stand in the reverse order.": [expected[::-1]],
                    "Your losses are divided by the number of images, and `F.cross_entropy` has done so already.": [
                        torch.tensor(expected) / num_images
                    ],
                },
            )
        expect(
            not any(close(found, [round(loss, n) for loss in expected], 1e-6) for n in (0, 1, 2, 3)),
            "Your losses are rounded: note them with all their digits.",
        )
        expect(
            not close(found[0], -expected[0]),
            f"Your first loss is {found[0]:.4f}: with the sign turned round, the training makes the answers worse.",
        )
        expect(
            close(found[0], expected[0]),
            f"Already the first loss is {found[0]:.4f}, not {expected[0]:.4f}: it is the cross-entropy of all images, "
            "before any step.",
        )
        for number, (one, other) in enumerate(zip(found, expected, strict=True), 1):
            expect(
                close(one, other),
                f"Up to step {number - 1} all is well, but the loss of step {number} is {one:.4f}, not {other:.4f}: "
                "follow what each line of one step does.",
            )
        expect(
            close(_weights(model), weights, 1e-3),
            f"The losses are right, but the weights are not where {num_steps} steps of the optimizer lead: is each "
            "loss followed by one step?",
        )


def _numbers(found: object, length: int, what: str, per: str) -> list[float]:
    """Return what should be a list of plain numbers, one for each step or epoch."""
    expect(
        isinstance(found, list | tuple) and not (found and isinstance(found[0], list | tuple)),
        f"Expected a list with one {what} for each {per}, got {describe_value(found)}.",
    )
    expect(
        not any(isinstance(value, Tensor) and value.requires_grad for value in found),
        f"Your list holds tensors that keep every {per}'s record for gradients; a plain number comes from `.item()`.",
    )
    expect(
        not any(isinstance(value, Tensor) for value in found),
        "Your list holds tensors, not plain numbers; `.item()` takes the number out of a tensor.",
    )
    expect(
        len(found) == length,
        f"Expected one {what} for each of the {length} {per}s, got {len(found)}.",
    )
    return [expect_number(value, what=f"each {what} in your list") for value in found]


def _explain_refusal(text: str) -> None:
    """Raise NotYet with what stands behind one of torch's usual refusals."""
    for sign, meaning in {
        "second time": "`backward()` walked the same record twice: compute the loss anew in every step.",
        "does not require grad": "torch recorded nothing that `backward()` could walk: is the loss computed without "
        "gradients?",
        "has no attribute 'backward'": "A plain number has no `backward()`: take the number out of the loss only to "
        "note it.",
        "not implemented for 'Long'": "`F.cross_entropy` was given the labels where the logits belong: what comes "
        "first?",
    }.items():
        expect(sign not in text, meaning)


class _Counts:
    """Counts the backward passes through a model and the steps of its optimizer."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer):
        self.backward = self.steps = 0
        list(model.parameters())[-1].register_hook(self._count_backward)
        optimizer.register_step_post_hook(self._count_step)

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward += 1

    def _count_step(self, *_) -> None:
        self.steps += 1

    def expect_moved(self, before: Tensor, after: Tensor) -> None:
        """Raise NotYet where the weights stand still, or were moved by another optimizer."""
        if close(before, after, 1e-9):
            expect(
                self.backward,
                "The weights did not move: no loss of the model that is given gets its `backward()`.",
            )
            expect(self.steps, "The gradients are there, but the weights did not move: who makes the step?")
            raise NotYet(
                "The weights did not move: each step finds no gradient. In which order do `zero_grad`, `backward` and "
                "the step come?"
            )
        expect(
            self.steps,
            "The weights moved, but not by the optimizer that your function is given; use that one.",
        )


# ---- validation_loss --------------------------------------------------------------------------------------------


@exercise(
    passed="Evaluation mode, no record, each image once, and no trace left behind: a validation that does no harm."
)
def validation_loss(answer) -> None:
    """Take a model and batches; return the mean loss an image, and leave the model as it was."""
    for sizes, training in (((8, 8, 3), True), ((6, 2, 1), False), ((5, 5), True)):
        model, batches, known = _unequal_batches(sizes)
        model.train(training)
        before, given = _weights(model), iter(batches)
        left_on: list[bool] = []
        try:
            found = call(_noting_gradients(answer, left_on), model, given, changes=(0, 1))
        except NotYet as hint:
            if "has no len()" in str(hint):
                raise NotYet(
                    "`batches` yields its batches once and has no length: count while you go."
                ) from None
            raise
        name = "validation" if training else "validation of a model that came in evaluation mode"
        expect(
            model.uses or next(given, None) is not None,
            "Your function never calls the model. The batches come once: was there a loop before that used them up?",
        )
        expect(model.uses, "Your function never calls the model.")
        expect(
            all(weight.requires_grad for weight in model.parameters()),
            "Afterwards the weights ask for no gradients any more, so the model could not learn on.",
        )
        expect(
            all(left_on),
            "Afterwards torch records no gradients any more, for anybody: switch that off for a while, not for good.",
        )
        expect(
            close(_weights(model), before, 1e-9),
            "The weights are different afterwards: a validation measures and does not train.",
        )
        expect(
            not any(mode for mode, _, _ in model.uses),
            f"In this {name} the model worked in training mode, so dropout crippled it.",
        )
        expect(
            not any(recorded for _, recorded, _ in model.uses),
            "Torch kept a record for gradients that nobody asks for: evaluation mode alone does not stop that.",
        )
        expect(
            model.training or not training,
            "Afterwards the model is in evaluation mode, though it came in training mode: the training that goes on "
            "would have no dropout.",
        )
        expect(
            training or not model.training,
            "Afterwards the model is in training mode, though it came in evaluation mode: give back the mode that "
            "was there.",
        )
        seen = sum(size for _, _, size in model.uses)
        expect(
            seen >= sum(sizes),
            f"The model saw {seen} images, where the batches hold {sum(sizes)}: is the last batch left out, or does "
            "the function return too early?",
        )
        found = expect_number(found, what="the loss")
        right = known.pop("right")
        if not close(found, right):
            expect(
                found not in (right // 1, round(right), round(right, 1), round(right, 2), round(right, 3)),
                f"Your loss is {found:g}, and would be right with all its digits: {right:.4f}.",
            )
            recognise([found], {hint: [value] for hint, value in known.items()})
        expect(
            close(found, right),
            f"For batches of {_listed(sizes)} images the mean loss is {right:.4f}, yours is {found:.4f}: does each "
            "image count once?",
        )


def _noting_gradients(answer: object, noted: list[bool]) -> object:
    """Return the answer, made to note at its end whether torch still records; it runs in a thread of its own."""
    if not callable(answer):
        return answer

    @functools.wraps(answer, updated=())
    def noting(*inputs):
        result = answer(*inputs)
        noted.append(torch.is_grad_enabled())
        return result

    return noting


def _listed(sizes) -> str:
    return " and ".join([", ".join(str(size) for size in sizes[:-1]), str(sizes[-1])])


def _unequal_batches(sizes: tuple[int, ...]) -> tuple[_Probe, list, dict[str, float]]:
    """Return a model, batches of these sizes, and the right mean loss with the wrong ones, all of them apart."""
    while True:
        model = _Probe()
        batches = [_images(size, 0.5 + number) for number, size in enumerate(sizes)]
        with torch.no_grad():
            logits = [model.eval()(images) for images, _ in batches]
        model.uses.clear()
        means = [
            F.cross_entropy(each, labels).item() for each, (_, labels) in zip(logits, batches, strict=True)
        ]
        softmaxed = [
            F.cross_entropy(each.softmax(dim=1), labels).item()
            for each, (_, labels) in zip(logits, batches, strict=True)
        ]
        right_share = [
            (each.argmax(dim=1) == labels).sum().item()
            for each, (_, labels) in zip(logits, batches, strict=True)
        ]
        num_images, total = sum(sizes), sum(mean * size for mean, size in zip(means, sizes, strict=True))
        known = {
            "right": total / num_images,
            "Batch means are added, and then divided by the number of images: the loss looks far too small.": sum(
                means
            )
            / num_images,
            "Batch means are added but never divided.": sum(means),
            "This is the sum over all images; divide it once, at the end.": total,
            "The sum over the images is divided by the number of batches.": total / len(sizes),
            "This is the loss of the last batch alone.": means[-1],
            "This is the share of images read right, not the loss.": sum(right_share) / num_images,
            "This is the loss of a second softmax: `F.cross_entropy` takes the logits themselves.": sum(
                mean * size for mean, size in zip(softmaxed, sizes, strict=True)
            )
            / num_images,
        }
        if len(set(sizes)) > 1:
            known |= {
                "This is the mean of the batch means, in which an image of the small last batch counts for more than "
                "another.": sum(means) / len(means),
                "The last batch is smaller, but it is counted as if it were full.": sum(means)
                * sizes[0]
                / num_images,
                "You divide as if every batch were full; count the images that were there.": total
                / (sizes[0] * len(sizes)),
            }
        if _apart(known.values()):
            return model, batches, known


def _apart(values) -> bool:
    """Tell whether no two numbers lie within 1% of each other."""
    values = sorted(values)
    return all(b - a > 0.01 * max(abs(a), abs(b)) for a, b in zip(values, values[1:], strict=False))


# ---- keep_dropout -----------------------------------------------------------------------------------------------


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


@exercise(
    passed="A validation changes the mode, so every epoch has to ask for training mode anew.",
    blank=_forgets_training_mode,
)
def keep_dropout(answer) -> None:
    """Mend a loop that trains from the second epoch on in evaluation mode."""
    for sizes, num_epochs, num_validation in (((4, 4, 3), 3, 32), ((5, 2), 4, 16)):
        train, validation = [_images(size) for size in sizes], _images(num_validation, 0.5)
        model = _Probe().train(num_epochs == 3)  # the second one comes in evaluation mode
        start = copy.deepcopy(model)

        def epoch(train=train):
            yield from train

        make = lambda model: torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)  # noqa: E731
        optimizer = make(model)
        found = call(answer, model, epoch, validation, optimizer, num_epochs, changes=(0, 1, 2, 3))
        trained = [mode for mode, _, size in model.uses if size != num_validation]
        judged = [(mode, recorded) for mode, recorded, size in model.uses if size == num_validation]
        per_epoch = len(sizes)
        expect(
            len(judged) == num_epochs,
            f"Expected one validation after each of the {num_epochs} epochs, found {len(judged)}.",
        )
        expect(
            len(trained) == per_epoch * num_epochs,
            f"Expected {per_epoch} steps in each of the {num_epochs} epochs, {per_epoch * num_epochs} in all, found "
            f"{len(trained)}. `train_batches()` makes the batches of one epoch.",
        )
        expect(
            not any(mode for mode, _ in judged),
            "Now the validation works in training mode, with dropout: both modes have their turn in every epoch.",
        )
        expect(
            not any(recorded for _, recorded in judged),
            "The validation now keeps a record for gradients; the modes are not a replacement for `no_grad`.",
        )
        expect(
            trained[0] or num_epochs == 3,
            "A model that comes in evaluation mode stays in it for the first epoch: ask for the mode before you train.",
        )
        expect(trained[0], "The first epoch trains in evaluation mode already, so dropout never works.")
        expect(
            any(trained[per_epoch:]),
            "From the second epoch on it still trains in evaluation mode. In which mode does an epoch leave the model "
            "to the next one?",
        )
        first_wrong = trained.index(False) if not all(trained) else 0
        expect(
            all(trained),
            f"Step {first_wrong % per_epoch + 1} of epoch {first_wrong // per_epoch + 1} still trains in evaluation "
            "mode: every step of every epoch needs the other one.",
        )
        found = _numbers(found, num_epochs, "accuracy", "epoch")
        expect(
            max(found) <= 1,
            "Accuracies were shares from 0 to 1 and should stay so; only the modes were wrong.",
        )
        twin = copy.deepcopy(start)
        expected = _mended(twin, epoch, validation, make(twin), num_epochs)
        expect(
            close(_weights(model), _weights(twin), 1e-3),
            "The modes are right, but the steps are not the old ones any more: leave zero_grad, backward and step as "
            "they were.",
        )
        expect(
            close(found, expected),
            f"The training is right, but the accuracies are not those of the validation images: the first should be "
            f"{expected[0]:.4f}, yours is {found[0]:.4f}.",
        )


def _mended(model, train_batches, validation, optimizer, num_epochs):
    accuracies = []
    for _ in range(num_epochs):
        model.train()
        for images, labels in train_batches():
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracies.append((model(validation[0]).argmax(dim=1) == validation[1]).double().mean().item())
    return accuracies


# ---- fit_until --------------------------------------------------------------------------------------------------

_VALIDATION_IMAGES = 64  # a power of two, so that shares of it have no rounding


class _Run:
    """A small training whose every epoch is known beforehand, and which can be interrupted."""

    def __init__(self, num_epochs: int):
        while True:  # until one fits
            centres = torch.randn(10, 1, 28, 28)
            self.train, self.validation = self._draw(centres, 45), self._draw(centres, _VALIDATION_IMAGES)
            self.start = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
            self.reset()
            self.weights = [_weights(self.model)]
            self.history = fit(
                self.model, self._noting, self.validation, optimizer=self.optimizer, num_epochs=num_epochs
            )
            self.weights.append(_weights(self.model))
            found = self.history.validation_accuracy
            rises = [n for n in range(2, num_epochs) if found[n - 1] > max(found[: n - 1])]
            # The goal: an accuracy that the validation reaches in the middle, and the training not in that epoch.
            # The goal: reached by the validation in the middle, and by the training some epochs before.
            rises = [
                n for n in rises if self._epochs(self.history.train_accuracy, found[n - 1] - 1 / 128) < n
            ]
            if rises:
                self.goal_epoch, self.goal = rises[0], found[rises[0] - 1]
                self.reset()
                return

    @staticmethod
    def _draw(centres: Tensor, num_images: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(10, (num_images,))
        return 0.1 * (centres[labels] + 4 * torch.randn(num_images, 1, 28, 28)), labels

    @staticmethod
    def _epochs(accuracies: list[float], goal: float) -> int:
        """Return the first epoch that reaches the goal, or one after the last."""
        return next((n for n, value in enumerate(accuracies, 1) if value >= goal), len(accuracies) + 1)

    def reset(self, *, interrupt: int = 0, most: int = 1000) -> None:
        """Begin anew; Ctrl-C comes in the epoch `interrupt`, and more than `most` epochs are too many."""
        self.model = copy.deepcopy(self.start)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.begun, self.interrupt, self.most = 0, interrupt, most
        self.drawn: list[float] = []

    def _noting(self):
        if self.begun:
            self.weights.append(_weights(self.model))
        return self.batches()

    def batches(self):
        """Return the batches of the next epoch."""
        self.begun += 1
        self.drawn.append(torch.rand(()).item())  # as a shuffle would
        expect(
            self.begun <= self.most,
            f"With most_epochs={self.most} and a goal out of reach, a further epoch was begun: count the epochs.",
        )
        return self._batches(self.begun)

    def _batches(self, number: int):
        images, labels = self.train
        for count, batch in enumerate(zip(images.split(16), labels.split(16), strict=True)):
            if number == self.interrupt and count == 1:
                raise KeyboardInterrupt
            yield batch

    def call(self, answer, goal: float, most_epochs: int) -> object:
        """Call the answer; an interruption that escapes it is a hint as well."""
        try:
            return call(
                answer,
                self.model,
                self.batches,
                self.validation,
                self.optimizer,
                goal,
                most_epochs,
                changes=(0, 1, 2, 3),
            )
        except KeyboardInterrupt:
            raise NotYet(
                "Ctrl-C went through your function and took the finished epochs along; `fit` catches it."
            ) from None


@exercise(passed="One model and one optimizer, however many calls of `fit`: that is all it takes to go on.")
def fit_until(answer) -> None:
    """Train epoch by epoch with `fit`, until a goal, a number of epochs or an interruption; return accuracies."""
    run, num_epochs = _Run(6), 6
    accuracies = run.history.validation_accuracy

    goal, last = run.goal - 1 / (2 * _VALIDATION_IMAGES), run.goal_epoch
    found = run.call(answer, goal, num_epochs)
    expect(
        isinstance(found, list | tuple | Tensor),
        f"Expected a list with the validation accuracy of each epoch, got {describe_value(found)}.",
    )
    expect(run.begun, "No epoch was begun: `train_batches` goes to `fit` as the function that it is.")
    expect(
        not close(_weights(run.model), _weights(run.start), 1e-9),
        "The model that was given has learnt nothing: train that one, not a copy or a new one.",
    )
    steps = int(next(iter(run.optimizer.state.values()))["step"]) if run.optimizer.state else 0
    expect(
        steps <= 3 * run.begun,
        f"`train_batches` was called {run.begun} time{'s' * (run.begun != 1)} for {steps // 3} epochs; every epoch "
        "asks it for new batches.",
    )
    expect(
        len(set(run.drawn)) == len(run.drawn),
        "Every epoch begins with the same random numbers, so it would shuffle the images alike: who sets the seed?",
    )
    expect(
        steps == 3 * run.begun,
        "The optimizer that was given did not take all the steps: a new one in each epoch has forgotten its running "
        "means.",
    )
    if run.begun != last:
        by_training = run._epochs(run.history.train_accuracy, goal)
        expect(
            run.begun != by_training,
            "It stops by the accuracy on the training images; the goal is meant for the validation images.",
        )
        expect(
            run.begun < num_epochs,
            f"The goal is reached in epoch {last}, but the training goes on to epoch {run.begun}: when does it look?",
        )
        raise NotYet(
            f"The goal is reached in epoch {last}, but the training stops after epoch {run.begun}: look at the newest "
            "validation accuracy after every single epoch."
        )
    expect(
        close(_weights(run.model), run.weights[last], 1e-4),
        "The weights are not where the epochs lead in one go: go on with the same model and optimizer.",
    )
    _expect_accuracies(found, accuracies[:last], run)

    run.reset()
    run.call(answer, run.goal, num_epochs)
    expect(
        run.begun == last,
        f"Epoch {last} reaches the goal exactly, and {run.begun} epochs were begun: the goal itself is enough.",
    )

    run.reset(most=3)
    try:
        found = run.call(answer, 1.1, 3)
    except NotYet as hint:
        expect(
            "returns nothing" not in str(hint),
            "Where the goal is never reached, your function returns nothing; the accuracies are there all the same.",
        )
        raise
    expect(
        run.begun == 3,
        f"With most_epochs=3 and a goal out of reach there should be 3 epochs, but {run.begun} were begun.",
    )
    _expect_accuracies(found, accuracies[:3], run)

    run.reset(interrupt=2)
    try:
        found = run.call(answer, 1.1, 5)
    except NotYet as hint:
        if "IndexError" in str(hint):
            raise NotYet(
                "An epoch that Ctrl-C ends leaves an empty History behind, and an empty list has no last entry."
            ) from None
        expect(
            "returns nothing" not in str(hint),
            "After Ctrl-C your function returns nothing; the epochs before it are finished all the same.",
        )
        raise
    expect(
        isinstance(found, list),
        f"After Ctrl-C a list of the finished epochs is expected, got {describe_value(found)}.",
    )
    expect(
        run.begun == 2,
        f"Ctrl-C came in epoch 2, but {run.begun} epochs were begun: a History says whether it was interrupted.",
    )
    expect(
        len(found) == 1,
        f"Ctrl-C came in epoch 2, so one epoch was finished, but your list has {len(found)} entries.",
    )
    _expect_accuracies(found, accuracies[:1], run)


def _expect_accuracies(found: object, expected: list[float], run: _Run) -> None:
    expect(
        isinstance(found, list | tuple | Tensor) and len(found) == len(expected),
        f"After {len(expected)} epochs the list should hold as many accuracies; yours is {describe_value(found)}.",
    )
    expect(
        not any(isinstance(value, list | tuple) for value in found),
        "Your list holds lists: join the epochs' numbers into one list.",
    )
    found = _numbers(found, len(expected), "accuracy", "epoch")
    length, history = len(expected), run.history
    if not close(found, expected):
        recognise(
            [found],
            {
                "These are the accuracies on the training images.": [history.train_accuracy[:length]],
                "These are the losses of the validation, not its accuracies.": [
                    history.validation_loss[:length]
                ],
                "These are the training losses, not the validation's accuracies.": [
                    history.train_loss[:length]
                ],
            },
        )
    expect(
        close(found, expected),
        f"The validation accuracies of the epochs are {_rounded(expected)}, your list says {_rounded(found)}.",
    )


def _rounded(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
