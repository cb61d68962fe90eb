"""Answers to the exercises of notebook 7, beside those that its declarations hold."""

import copy

import torch
import torch.nn.functional as F

from digitlib.evaluation import evaluate
from digitlib.training import fit, train_one_epoch
from tests.exercises import Answers


def by_heart(*lines, loss="F.cross_entropy(model(images), labels)", note="losses.append(loss.item())"):
    """Build a loop from the lines of one step; the table below differs in these alone."""
    body = "\n        ".join([f"loss = {loss}", *lines, note])
    source = f"""
def learn(model, optimizer, images, labels, num_steps):
    losses = []
    for step in range(num_steps):
        {body}
    return losses
"""
    namespace = {"F": F, "torch": torch}
    exec(source, namespace)
    return namespace["learn"]


ZERO, BACKWARD, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"
OWN = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"
USUAL = by_heart(ZERO, BACKWARD, STEP)


def restored(model, batches):
    was_training = model.training
    model.eval()
    total, num_seen = 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            total += F.cross_entropy(model(images), labels, reduction="sum").item()
            num_seen += len(labels)
    model.train(was_training)
    return total / num_seen


def all_at_once(model, batches):
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    return evaluate(model, images, labels).loss


@torch.inference_mode()
def decorated(model, batches):
    mode = model.training
    model.eval()
    logits, labels = zip(*[(model(images), labels) for images, labels in batches], strict=True)
    model.train(mode)
    return F.cross_entropy(torch.cat(logits), torch.cat(labels))


def trains(model, batches):
    return train_one_epoch(model, batches, torch.optim.SGD(model.parameters(), lr=0.1)).loss


def never_records_again(model, batches):
    loss = restored(model, batches)
    torch.set_grad_enabled(False)
    return loss


def freezes_the_weights(model, batches):
    model.requires_grad_(False)
    return restored(model, batches)


def means_in_training_mode(model, batches):
    with torch.no_grad():
        means = [F.cross_entropy(model(images), labels).item() for images, labels in batches]
    return sum(means) / len(means)


def mended(*, first="model.train()", each="pass", last="pass"):
    """Build the loop of keep_dropout from its modes."""
    source = f"""
def train(model, train_batches, validation, optimizer, num_epochs):
    accuracies = []
    model.train()
    for _ in range(num_epochs):
        {first}
        for images, labels in train_batches():
            {each}
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = model(validation[0]).argmax(dim=1) == validation[1]
        accuracies.append(right.double().mean().item())
        {last}
    return accuracies
"""
    namespace = {"F": F, "torch": torch}
    exec(source, namespace)
    return namespace["train"]


def with_fit(model, train_batches, validation, optimizer, num_epochs):
    return fit(
        model, train_batches, validation, optimizer=optimizer, num_epochs=num_epochs
    ).validation_accuracy


def for_loop(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    for _ in range(most_epochs):
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=1)
        accuracies.extend(run.validation_accuracy)
        if run.interrupted or run.validation_accuracy[-1] >= goal:
            break
    return accuracies


def without_a_net(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    while len(accuracies) < most_epochs and (not accuracies or accuracies[-1] < goal):
        train_one_epoch(model, train_batches(), optimizer)
        accuracies.append(evaluate(model, *validation).accuracy)
    return accuracies


def own_loop(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    try:
        while len(accuracies) < most_epochs and (not accuracies or accuracies[-1] < goal):
            train_one_epoch(model, train_batches(), optimizer)
            accuracies.append(evaluate(model, *validation).accuracy)
    except KeyboardInterrupt:
        pass
    return accuracies


def repeats_the_last(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    for _ in range(most_epochs):
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=1)
        accuracies += run.validation_accuracy or accuracies[-1:]
        if run.interrupted or accuracies[-1] >= goal:
            break
    return accuracies


ANSWERS = {
    "learn_by_heart": Answers(
        right={
            "zero at the end": by_heart(BACKWARD, STEP, ZERO),
            "zero by the model": by_heart("model.zero_grad()", BACKWARD, STEP),
            "gradients by torch.autograd.grad": by_heart(
                "gradients = torch.autograd.grad(loss, list(model.parameters()))",
                "for w, g in zip(model.parameters(), gradients): w.grad = g",
                STEP,
            ),
            "a tuple": lambda *given: tuple(USUAL(*given)),
            "log_softmax and nll_loss": by_heart(
                ZERO, BACKWARD, STEP, loss="F.nll_loss(model(images).log_softmax(dim=1), labels)"
            ),
        },
        wrong={
            "a tensor of losses": (lambda *given: torch.tensor(USUAL(*given)), "but it is a tensor of shape"),
            "the losses and more": (lambda *given: (USUAL(*given), given[0]), "join their numbers"),
            "detached tensors": (
                by_heart(ZERO, BACKWARD, STEP, note="losses.append(loss.detach())"),
                "not plain",
            ),
            "tensors": (
                by_heart(ZERO, BACKWARD, STEP, note="losses.append(loss)"),
                "without the record for gradients",
            ),
            "rounded": (
                by_heart(ZERO, BACKWARD, STEP, note="losses.append(round(loss.item(), 2))"),
                "are rounded",
            ),
            "enough is enough": (
                by_heart(ZERO, BACKWARD, STEP, "if loss < 0.5: return losses + [loss.item()]"),
                "takes should be",
            ),
            "an optimizer of its own": (
                by_heart(OWN, ZERO, BACKWARD, STEP),
                "the given optimizer takes should be 6",
            ),
            "a number's backward": (
                by_heart(ZERO, BACKWARD, STEP, loss="F.cross_entropy(model(images), labels).item()"),
                "take the number out of a loss only to note it",
            ),
            "one loss for all steps": (
                lambda model, optimizer, images, labels, num_steps: [
                    each.backward() for each in num_steps * [F.cross_entropy(model(images), labels)]
                ],
                "the same record twice",
            ),
        },
    ),
    "validation_loss": Answers(
        right={
            "a copy does the work": lambda model, batches: restored(copy.deepcopy(model), batches),
            "sums": restored,
            "evaluate": all_at_once,
            "inference mode, a tensor": decorated,
        },
        wrong={
            "recording switched off for good": (never_records_again, "for anybody"),
            "weights frozen": (freezes_the_weights, "ask for no gradients any more"),
            "trains": (trains, "nothing here should train it"),
            "two faults": (means_in_training_mode, "the model works in evaluation mode"),
            "the sum of all losses, twice": (
                lambda *given: 2 * restored(*given),
                "2 times what it should be",
            ),
        },
    ),
    "keep_dropout": Answers(
        right={
            "in every step": mended(first="pass", each="model.train()"),
            "after the validation": mended(first="pass", last="model.train()"),
            "fit": with_fit,
        },
        wrong={
            "as if it had come in training mode": (
                mended(each="model.train(_ > 0)"),
                "the first step trains in training mode",
            ),
            "the second step of an epoch": (
                mended(first="pass", each="model.train(len(labels) > 3)"),
                "training mode",
            ),
            "validates on other images": (
                lambda *given: [each / 2 for each in with_fit(*given)],
                "0.5 times",
            ),
            "one epoch": (lambda *given: with_fit(*given[:4], 1), "validations should be 3, but it is 1"),
        },
    ),
    "fit_until": Answers(
        right={"for": for_loop, "a loop of its own": own_loop},
        wrong={
            "no net for Ctrl-C": (without_a_net, "Ctrl-C went through"),
            "lists in a list": (lambda *given: [[each] for each in for_loop(*given)], "join their numbers"),
            "repeats the last": (repeats_the_last, "should have 1 entry, but it has 2"),
        },
    ),
}
