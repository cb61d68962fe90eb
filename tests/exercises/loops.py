"""Answers to the exercises of notebook 7, beside those that its declarations hold."""

import copy

import torch
import torch.nn.functional as F

from digitlib.checks.engine import change
from digitlib.evaluation import evaluate
from digitlib.training import fit, train_one_epoch
from tests.exercises import Answers


def by_heart(model, optimizer, images, labels, num_steps):
    losses = []
    for _ in range(num_steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


ZERO, STEP, LOSS = "optimizer.zero_grad()", "optimizer.step()", "F.cross_entropy(model(images), labels)"
GRADS = "for w, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))): w.grad = g"


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


def in_each_step(model, train_batches, validation, optimizer, num_epochs):
    accuracies = []
    for _ in range(num_epochs):
        for images, labels in train_batches():
            model.train()
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracies.append(evaluate(model.eval(), *validation).accuracy)
    return accuracies


def with_fit(model, train_batches, validation, optimizer, num_epochs):
    run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=num_epochs)
    return run.validation_accuracy


def for_loop(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    for _ in range(most_epochs):
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=1)
        accuracies.extend(run.validation_accuracy)
        if run.interrupted or run.validation_accuracy[-1] >= goal:
            break
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


ANSWERS = {
    "learn_by_heart": Answers(
        right={
            "zero at the end": change(by_heart, ZERO, "pass", STEP, f"{STEP}; {ZERO}"),
            "zero by the model": change(by_heart, ZERO, "model.zero_grad()"),
            "gradients by torch.autograd.grad": change(by_heart, ZERO, "pass", "loss.backward()", GRADS),
            "a tuple": lambda *given: tuple(by_heart(*given)),
            "log_softmax and nll_loss": change(by_heart, LOSS, "F.nll_loss(model(images).log_softmax(dim=1), labels)"),
        }, wrong={
            "a tensor of losses": (lambda *given: torch.tensor(by_heart(*given)), "but it is a tensor of shape"),
            "the losses and more": (lambda *given: (by_heart(*given), given[0]), "join their numbers"),
            "detached tensors": (change(by_heart, "loss.item()", "loss.detach()"), "not plain"),
            "tensors": (change(by_heart, "loss.item()", "loss"), "without the record for gradients"),
            "rounded": (change(by_heart, "loss.item()", "round(loss.item(), 2)"), "are rounded"),
            "enough is enough": (change(by_heart, "    return", "        break\n    return"), "takes should be"),
            "an optimizer of its own": (
                change(by_heart, ZERO, "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"),
                "the given optimizer takes should be 6"),
            "a number's backward": (change(by_heart, LOSS, f"{LOSS}.item()"), "take the number out of a loss only"),
            "one loss for all steps": (
                change(by_heart, f"        loss = {LOSS}\n", "", "losses = []", f"losses, loss = [], {LOSS}"),
                "the same record twice"),
        }),
    "validation_loss": Answers(
        right={
            "a copy does the work": lambda model, batches: restored(copy.deepcopy(model), batches),
            "sums": restored, "evaluate": all_at_once,
        }, wrong={
            "recording switched off for good": (
                lambda *given: (restored(*given), torch.set_grad_enabled(False))[0], "for anybody"),
            "weights frozen": (
                lambda model, batches: restored(model.requires_grad_(False), batches), "ask for no gradients any more"),
            "trains": (
                lambda model, batches: train_one_epoch(model, batches, torch.optim.SGD(model.parameters())).loss,
                "nothing here should train it"),
            "two faults": (
                change(restored, "model.eval()", "pass", ', reduction="sum"', "", "len(labels)", "1"),
                "the model works in evaluation mode"),
            "the sum of all losses, twice": (lambda *given: 2 * restored(*given), "2 times what it should be"),
        }),
    "keep_dropout": Answers(
        right={
            "in every step": in_each_step, "fit": with_fit,
            "after the validation": change(
                in_each_step, "model.train()", "pass", "accuracies = []", "accuracies = []; model.train()",
                "    return", "        model.train()\n    return"),
        }, wrong={
            "the second step of an epoch": (change(in_each_step, "train()", "train(len(labels) > 3)"), "training mode"),
            "validates on other images": (lambda *given: [each / 2 for each in with_fit(*given)], "0.5 times"),
            "one epoch": (lambda *given: with_fit(*given[:4], 1), "validations should be 3, but it is 1"),
        }),
    "fit_until": Answers(
        right={"for": for_loop, "a loop of its own": own_loop}, wrong={
            "no net for Ctrl-C": (change(own_loop, "KeyboardInterrupt", "ValueError"), "Ctrl-C went through"),
            "lists in a list": (lambda *given: [[each] for each in for_loop(*given)], "join their numbers"),
            "repeats the last": (
                change(for_loop, "run.validation_accuracy)", "run.validation_accuracy or accuracies[-1:])",
                       "run.validation_accuracy[-1]", "accuracies[-1]"),
                "should have 1 entry, but it has 2"),
        }),
}  # fmt: skip
