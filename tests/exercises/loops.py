"""Answers to the exercises of notebook 7."""

import copy

import torch
import torch.nn.functional as F

from digitlib.evaluation import evaluate
from digitlib.training import fit, train_one_epoch
from tests.exercises import Answers

# ---- learn_by_heart ---------------------------------------------------------------------------------------------


def by_heart(
    *lines,
    before="",
    loss="F.cross_entropy(model(images), labels)",
    note="losses.append(loss.item())",
    after="",
):
    """Build a loop from the lines of one step; the table below differs in these alone."""
    body = [f"loss = {loss}", *lines, note]
    source = ["def learn(model, optimizer, images, labels, num_steps):", "    losses = []"]
    source += [f"    {before or 'pass'}", "    for step in range(num_steps):"]
    source += [f"        {line}" for line in body if line]
    source += [f"    {after or 'return losses'}"]
    namespace = {"F": F, "torch": torch, "copy": copy}
    exec("\n".join(source), namespace)
    return namespace["learn"]


ZERO, BACKWARD, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"
OWN = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)"

LEARN_BY_HEART = Answers(
    right={
        "zero at the end": by_heart(BACKWARD, STEP, ZERO),
        "zero at the start, by the model": by_heart("model.zero_grad()", BACKWARD, STEP),
        "gradients by torch.autograd.grad": by_heart(
            "gradients = torch.autograd.grad(loss, list(model.parameters()))",
            "for w, g in zip(model.parameters(), gradients): w.grad = g",
            STEP,
        ),
        "a tuple of losses": by_heart(ZERO, BACKWARD, STEP, after="return tuple(losses)"),
        "log_softmax and nll_loss": by_heart(
            ZERO, BACKWARD, STEP, loss="F.nll_loss(model(images).log_softmax(dim=1), labels)"
        ),
    },
    wrong={
        "no zero_grad": (by_heart(BACKWARD, STEP), "pile up"),
        "no step": (by_heart(ZERO, BACKWARD), "who makes the step"),
        "no backward": (by_heart(ZERO, STEP), "gets its `backward()`"),
        "zero_grad before the step": (by_heart(BACKWARD, ZERO, STEP), "each step finds no gradient"),
        "a tensor of losses": (
            by_heart(ZERO, BACKWARD, STEP, after="return torch.tensor(losses)"),
            "got a tensor of shape",
        ),
        "the losses and more": (
            by_heart(ZERO, BACKWARD, STEP, after="return losses, model"),
            "got a tuple of 2",
        ),
        "detached tensors": (
            by_heart(ZERO, BACKWARD, STEP, note="losses.append(loss.detach())"),
            "not plain numbers",
        ),
        "two steps at once": (by_heart(ZERO, BACKWARD, STEP, STEP), "the optimizer took 12 steps"),
        "in evaluation mode": (by_heart(ZERO, BACKWARD, STEP, before="model.eval()"), "in evaluation mode"),
        "eight images at most": (
            by_heart(ZERO, BACKWARD, STEP, loss="F.cross_entropy(model(images[:8]), labels[:8])"),
            "Already the first loss",
        ),
        "one loss for all steps": (
            by_heart(
                ZERO,
                BACKWARD,
                STEP,
                before="first = F.cross_entropy(model(images), labels)",
                loss="first",
            ),
            "the same record twice",
        ),
        "turned round": (
            by_heart(ZERO, BACKWARD, STEP, loss="-F.cross_entropy(model(images), labels)"),
            "the sign turned round",
        ),
        "rounded": (
            by_heart(ZERO, BACKWARD, STEP, note="losses.append(round(loss.item(), 2))"),
            "Your losses are rounded",
        ),
        "enough is enough": (
            by_heart(ZERO, BACKWARD, STEP, "if loss < 0.5: return losses + [loss.item()]"),
            "each of the 40 steps",
        ),
        "step before backward": (by_heart(STEP, ZERO, BACKWARD), "one step behind"),
        "a second softmax": (
            by_heart(ZERO, BACKWARD, STEP, loss="F.cross_entropy(model(images).softmax(dim=1), labels)"),
            "second softmax",
        ),
        "the sum of the losses": (
            by_heart(ZERO, BACKWARD, STEP, loss="F.cross_entropy(model(images), labels, reduction='sum')"),
            "sum over the images",
        ),
        "tensors in the list": (by_heart(ZERO, BACKWARD, STEP, note="losses.append(loss)"), "holds tensors"),
        "nll_loss of logits": (
            by_heart(ZERO, BACKWARD, STEP, loss="F.nll_loss(model(images), labels)"),
            "takes log-probabilities",
        ),
        "an optimizer of its own": (by_heart(ZERO, BACKWARD, STEP, before=OWN), "not by the optimizer"),
        "measured after the step": (
            by_heart(
                ZERO, BACKWARD, STEP, note="losses.append(F.cross_entropy(model(images), labels).item())"
            ),
            "measured after its step",
        ),
        "the last loss alone": (
            by_heart(ZERO, BACKWARD, STEP, after="return losses[-1]"),
            "Expected a list with one loss",
        ),
        "noted after the loop": (
            by_heart(ZERO, BACKWARD, STEP, note="", after="return [loss.item()]"),
            "6 steps, got 1",
        ),
        "no last step": (
            by_heart(ZERO, BACKWARD, "if step + 1 < num_steps: optimizer.step()"),
            "the optimizer took 5 steps",
        ),
        "half of the images": (
            by_heart(ZERO, BACKWARD, STEP, loss="F.cross_entropy(model(images[::2]), labels[::2])"),
            "Already the first loss",
        ),
    },
)

# ---- validation_loss --------------------------------------------------------------------------------------------


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
    batches = list(batches)
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    return evaluate(model, images, labels).loss


@torch.inference_mode()
def decorated(model, batches):
    mode = model.training
    model.eval()
    logits, labels = zip(*[(model(images), labels) for images, labels in batches], strict=True)
    model.train(mode)
    return F.cross_entropy(torch.cat(logits), torch.cat(labels))


def validate(mode=True, record=False, restore="was", total="each * len(labels)", result="total / seen"):
    """Build a validation with one fault."""

    def validation(model, batches):
        was = model.training
        if mode:
            model.eval()
        sum_, seen, count, first = 0.0, 0, 0, None
        with torch.set_grad_enabled(record):
            for images, labels in batches:
                each = F.cross_entropy(model(images), labels).item()
                first = first or len(labels)
                names = {"each": each, "labels": labels, "len": len, "first": first}
                sum_ += eval(total, names)
                seen, count = seen + len(labels), count + 1
        if restore == "was":
            model.train(was)
        elif restore == "train":
            model.train()
        return eval(result, {"total": sum_, "seen": seen, "count": count, "first": first, "last": each})

    return validation


def returns_in_the_loop(model, batches):
    mode = model.training
    model.eval()
    with torch.no_grad():
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels).item()
            model.train(mode)
            return loss


def trains(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return train_one_epoch(model, batches, optimizer).loss


def never_records_again(model, batches):
    loss = validate()(model, batches)
    torch.set_grad_enabled(False)
    return loss


def freezes_the_weights(model, batches):
    for weight in model.parameters():
        weight.requires_grad_(False)
    return validate()(model, batches)


def counts_before(model, batches):
    num_images = sum(len(labels) for _, labels in batches)
    return sum(validate(result="total")(model, [batch]) for batch in batches) / num_images


def with_a_copy(model, batches):
    return validate(restore="")(copy.deepcopy(model), batches)


def accuracy_instead(model, batches):
    batches = list(batches)
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    return evaluate(model, images, labels).accuracy


VALIDATION_LOSS = Answers(
    right={
        "a copy does the work": with_a_copy,
        "sums": restored,
        "evaluate": all_at_once,
        "inference mode, a tensor": decorated,
    },
    wrong={
        "eval forgotten": (validate(mode=False), "training mode, so dropout"),
        "recording switched off for good": (never_records_again, "for anybody"),
        "weights frozen": (freezes_the_weights, "ask for no gradients any more"),
        "counted before": (counts_before, "a loop before that used them up"),
        "cut off": (validate(result="total // seen"), "would be right with all its digits"),
        "no_grad forgotten": (validate(record=True), "kept a record"),
        "left in evaluation mode": (validate(restore=""), "though it came in training mode"),
        "always back to training mode": (validate(restore="train"), "though it came in evaluation mode"),
        "mean of batch means": (validate(total="each", result="total / count"), "mean of the batch means"),
        "batch means over images": (validate(total="each"), "Batch means are added, and then"),
        "never divided": (validate(total="each", result="total"), "never divided"),
        "the sum": (validate(result="total"), "sum over all images"),
        "sum over batches": (validate(result="total / count"), "by the number of batches"),
        "all batches full": (validate(total="each * first"), "as if it were full"),
        "all batches full, in the end": (validate(result="total / (first * count)"), "as if every batch"),
        "the last batch": (validate(result="last"), "last batch alone"),
        "the first batch": (returns_in_the_loop, "The model saw 8 images"),
        "trains": (trains, "measures and does not train"),
        "the length of a generator": (
            lambda model, batches: restored(model, batches) / len(batches),
            "has no length",
        ),
        "the accuracy": (accuracy_instead, "not the loss"),
    },
)

# ---- keep_dropout -----------------------------------------------------------------------------------------------


def epochs(
    *,
    start="",
    first="model.train()",
    each="",
    validate="model.eval()",
    guard="torch.no_grad()",
    last="",
    end="",
):
    """Build the loop from its modes."""
    source = f"""
def train(model, train_batches, validation, optimizer, num_epochs):
    images, labels = validation
    accuracies = []
    {start or "pass"}
    for _ in range(num_epochs):
        {first or "pass"}
        for some_images, some_labels in train_batches():
            {each or "pass"}
            loss = F.cross_entropy(model(some_images), some_labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        {validate or "pass"}
        with {guard}:
            right = model(images).argmax(dim=1) == labels
        accuracies.append(right.double().mean().item())
        {last or "pass"}
    {end or "pass"}
    return accuracies
"""
    namespace = {"F": F, "torch": torch}
    exec(source, namespace)
    return namespace["train"]


def with_the_library(model, train_batches, validation, optimizer, num_epochs):
    return fit(
        model, train_batches, validation, optimizer=optimizer, num_epochs=num_epochs
    ).validation_accuracy


def batches_once(model, train_batches, validation, optimizer, num_epochs):
    once = train_batches()
    return fit(
        model, lambda: once, validation, optimizer=optimizer, num_epochs=num_epochs
    ).validation_accuracy


def without_zero_grad(model, train_batches, validation, optimizer, num_epochs):
    accuracies = []
    for _ in range(num_epochs):
        model.train()
        for images, labels in train_batches():
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        accuracies.append(evaluate(model, *validation).accuracy)
    return accuracies


KEEP_DROPOUT = Answers(
    right={
        "in every step": epochs(first="", each="model.train()"),
        "after the validation": epochs(start="model.train()", first="", last="model.train()"),
        "fit": with_the_library,
    },
    wrong={
        "as it comes, and back at the end": (
            epochs(first="", last="model.train()"),
            "comes in evaluation mode stays in it",
        ),
        "train() after the loop": (
            epochs(start="model.train()", first="", end="model.train()"),
            "From the second epoch on",
        ),
        "no eval": (epochs(validate=""), "works in training mode"),
        "train() nowhere": (epochs(start="model.eval()", first=""), "dropout never works"),
        "no_grad given up": (epochs(guard="torch.enable_grad()"), "not a replacement for `no_grad`"),
        "only the second epoch too": (
            epochs(start="model.train()", first="if _ == 1: model.train()"),
            "of epoch 3 still trains",
        ),
        "the last accuracy": (
            lambda *given: with_the_library(*given)[-1],
            "Expected a list with one accuracy",
        ),
        "percent": (lambda *given: [100 * each for each in with_the_library(*given)], "shares from 0 to 1"),
        "zero_grad lost": (without_zero_grad, "not the old ones any more"),
        "validates on other images": (
            lambda *given: [each / 2 for each in with_the_library(*given)],
            "not those of the validation images",
        ),
        "one epoch": (lambda *given: with_the_library(*given[:4], 1), "found 1"),
    },
)

# ---- fit_until --------------------------------------------------------------------------------------------------


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


def until(
    *, go_on="len(found) < most_epochs", made="", note="run.validation_accuracy", caught=True, stop="note[-1] >= goal",
    num=1, result="found",
):  # fmt: skip
    """Build a fit_until with one fault."""
    source = f"""
def until(model, train_batches, validation, optimizer, goal, most_epochs):
    found = []
    while {go_on}:
        {made or "pass"}
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs={num})
        if {caught} and run.interrupted:
            break
        note = {note}
        found += note
        if {stop}:
            break
    return {result}
"""
    namespace = {"fit": fit, "torch": torch, "copy": copy}
    exec(source, namespace)
    return namespace["until"]


def without_a_net(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    while len(accuracies) < most_epochs and (not accuracies or accuracies[-1] < goal):
        train_one_epoch(model, train_batches(), optimizer)
        accuracies.append(evaluate(model, *validation).accuracy)
    return accuracies


def repeats_the_last(model, train_batches, validation, optimizer, goal, most_epochs):
    accuracies = []
    for _ in range(most_epochs):
        run = fit(model, train_batches, validation, optimizer=optimizer, num_epochs=1)
        accuracies += run.validation_accuracy or accuracies[-1:]
        if run.interrupted or accuracies[-1] >= goal:
            break
    return accuracies


NEW_ADAM = "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)"
FIT_UNTIL = Answers(
    right={"for": for_loop, "a loop of its own": own_loop},
    wrong={
        "a new optimizer each epoch": (until(made=NEW_ADAM), "forgotten its running means"),
        "the same batches in every epoch": (
            until(made="once = once if found else list(train_batches()); train_batches = lambda: once"),
            "`train_batches` was called 1 time",
        ),
        "a seed in every epoch": (until(made="torch.manual_seed(0)"), "who sets the seed"),
        "nothing where the goal is not reached": (
            until(result="found if found[-1] >= goal else None"),
            "Where the goal is never reached",
        ),
        "nothing after an interruption": (
            until(result="None if run.interrupted else found"),
            "After Ctrl-C your function returns nothing",
        ),
        "never stops": (until(stop="False"), "the training goes on to epoch"),
        "looks one epoch late": (
            until(stop="len(found) > 1 and found[-2] >= goal"),
            "look at the newest",
        ),
        "the goal is not enough": (until(stop="note[-1] > goal"), "exactly"),
        "the training's accuracy": (until(stop="run.train_accuracy[-1] >= goal"), "on the training images"),
        "one epoch too many": (until(go_on="len(found) <= most_epochs"), "a further epoch was begun"),
        "one epoch too few": (until(go_on="len(found) < most_epochs - 1"), "but 2 were begun"),
        "notes the losses": (
            until(note="run.validation_loss", stop="run.validation_accuracy[-1] >= goal"),
            "These are the losses",
        ),
        "notes the training": (
            until(note="run.train_accuracy", stop="run.validation_accuracy[-1] >= goal"),
            "accuracies on the training images",
        ),
        "ignores the interruption": (
            until(caught=False, stop="note and note[-1] >= goal"),
            "but 6 epochs were begun",
        ),
        "last entry of nothing": (until(caught=False), "no last entry"),
        "no net for Ctrl-C": (without_a_net, "Ctrl-C went through"),
        "the last accuracy": (until(result="found[-1]"), "Expected a list with the validation accuracy"),
        "another model": (
            until(made="model = copy.deepcopy(model)"),
            "has learnt nothing",
        ),
        "lists in a list": (
            until(note="[run.validation_accuracy]", stop="run.validation_accuracy[-1] >= goal"),
            "holds lists",
        ),
        "repeats the last": (repeats_the_last, "your list has 2 entries"),
    },
)

ANSWERS = {
    "learn_by_heart": LEARN_BY_HEART,
    "validation_loss": VALIDATION_LOSS,
    "keep_dropout": KEEP_DROPOUT,
    "fit_until": FIT_UNTIL,
}
