"""Answers to the exercises of notebook 8."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

from tests.exercises import Answers

# ---- exponential_mean -------------------------------------------------------------------------------------------


def recursively(values, keep):
    if len(values) == 1:
        return [values[0]]
    before = recursively(values[:-1], keep)
    return [*before, before[-1] + (1 - keep) * (values[-1] - before[-1])]


def as_a_tensor(values, keep):
    means = torch.tensor(values, dtype=torch.float64)
    for i in range(1, len(means)):
        means[i] = keep * means[i - 1] + (1 - keep) * means[i]
    return means


def smoothing(
    start="values[:1]", rest="values[1:]", rule="keep * means[-1] + (1 - keep) * value", end="means"
):
    """Build an exponential mean with one fault."""
    source = f"""
def smoothed(values, keep):
    means = {start}
    for i, value in enumerate({rest}):
        means.append({rule})
    return {end}
"""
    namespace = {}
    exec(source, namespace)
    return namespace["smoothed"]


def in_place(values, keep):
    for i in range(1, len(values)):
        values[i] = keep * values[i - 1] + (1 - keep) * values[i]
    return values


def in_an_array(values, keep):
    means = np.array(values)  # of whole numbers, where the values are
    for i in range(1, len(means)):
        means[i] = keep * means[i - 1] + (1 - keep) * means[i]
    return means.tolist()


def corrected(values, keep):
    mean, means = 0.0, []
    for number, value in enumerate(values, 1):
        mean = keep * mean + (1 - keep) * value
        means.append(mean / (1 - keep**number))
    return means


EXPONENTIAL_MEAN = Answers(
    right={
        "recursion": recursively,
        "a copy, changed": lambda values, keep: as_a_tensor(values, keep).tolist(),
    },
    wrong={
        "weights swapped": (smoothing(rule="(1 - keep) * means[-1] + keep * value"), "changed places"),
        "begins at zero": (smoothing("[0.0]", "values", end="means[1:]"), "begins at zero"),
        "corrected for zero": (corrected, "correct for it"),
        "mixes raw values": (
            smoothing(rule="keep * values[i] + (1 - keep) * value"),
            "with the raw one",
        ),
        "new value in full": (smoothing(rule="keep * means[-1] + value"), "full weight"),
        "mean so far": (smoothing(rule="sum(values[: i + 2]) / (i + 2)"), "mean of all values"),
        "raw": (lambda values, keep: list(values), "nothing is smoothed"),
        "in place": (in_place, "changes the list"),
        "one too few": (smoothing(end="means[1:]"), "but your list has 6"),
        "the last alone": (smoothing(end="means[-1]"), "Expected a list as long"),
        "backwards": (lambda values, keep: recursively(values[::-1], keep)[::-1], "from the end"),
        "one too late": (
            lambda values, keep: [values[0], *recursively(values, keep)][: len(values)],
            "one place too late",
        ),
        "a fixed keep": (lambda values, keep: recursively(values, 0.9), "With keep="),
        "always one half": (lambda values, keep: recursively(values, 0.5), "one half each"),
        "mixes with the first": (
            smoothing(rule="keep * values[0] + (1 - keep) * value"),
            "mixed with the very first one",
        ),
        "only fades": (smoothing(rule="keep * means[-1]"), "only fades"),
        "twice": (lambda values, keep: recursively(recursively(values, keep), keep), "smoothed twice"),
        "rounded": (
            lambda values, keep: [round(mean, 2) for mean in recursively(values, keep)],
            "with all their digits",
        ),
        "an array of whole numbers": (in_an_array, "where are the fractions cut off"),
        "a tensor": (as_a_tensor, "got a tensor"),
        "a numpy array": (lambda values, keep: np.array(recursively(values, keep)), "returns a NumPy array"),
        "begins with the mean": (smoothing("[sum(values) / len(values)]"), "first smoothed value should be"),
    },
)

# ---- epoch_to_keep ----------------------------------------------------------------------------------------------


def by_the_best(losses, patience):
    for stop in range(len(losses)):
        best = losses.index(min(losses[: stop + 1]))
        if stop - best == patience:
            return best + 1
    return losses.index(min(losses)) + 1


def stopping(
    better="loss < best", first="math.inf", reset="waited = 0", over="waited == patience", result="kept",
    number="number",
):  # fmt: skip
    """Build an early stopping with one fault."""
    source = f"""
def stopped(losses, patience):
    best, kept, waited, last = {first}, 0, 0, None
    for number, loss in enumerate(losses, 1):
        if {better}:
            best, kept = loss, {number}
            {reset}
        else:
            waited += 1
        if {over}:
            break
    return {result}
"""
    namespace = {"math": math}
    exec(source, namespace)
    return namespace["stopped"]


def by_rises(losses, patience):
    waited, kept = 0, 1
    for number in range(2, len(losses) + 1):
        waited = 0 if losses[number - 1] < losses[number - 2] else waited + 1
        if losses[number - 1] < losses[kept - 1]:
            kept = number
        if waited == patience:
            break
    return kept


EPOCH_TO_KEEP = Answers(
    right={"look back": by_the_best, "a flag": stopping(over="waited >= patience")},
    wrong={
        "from zero": (stopping(number="number - 1"), "count the epochs from 0"),
        "the lowest of all, from zero": (
            lambda losses, patience: losses.index(min(losses)),
            "from 0, and besides: Your answers know",
        ),
        "where it stops": (stopping(result="number"), "in which patience runs out"),
        "the lowest of all": (lambda losses, patience: losses.index(min(losses)) + 1, "know the future"),
        "the highest": (lambda losses, patience: losses.index(max(losses)) + 1, "the highest loss"),
        "patience of one": (stopping(over="waited == 1"), "the first epoch without a new lowest"),
        "patience of two": (stopping(over="waited == 2"), "always 2"),
        "counted back": (
            stopping(result="number - patience"),
            "wrong where patience never ran out",
        ),
        "the last where it never stops": (
            stopping(result="kept if waited == patience else number"),
            "Where patience never runs out",
        ),
        "where it stops, if it does": (
            stopping(result="number if waited == patience else kept"),
            "Where patience runs out you return",
        ),
        "the first epochs alone": (
            lambda losses, patience: losses.index(min(losses[: patience + 1])) + 1,
            "You look at the first epochs alone; the waiting",
        ),
        "clearly lower": (stopping(better="loss < best - 0.01"), "however close"),
        "the last": (lambda losses, patience: len(losses), "the last epoch"),
        "the loss": (stopping(result="best"), "returns the loss"),
        "waits too long": (stopping(over="waited > patience"), "one epoch too long"),
        "stops too early": (stopping(over="waited >= patience - 1"), "lose patience"),
        "compares neighbours": (by_rises, "the one before it"),
        "never begins anew": (stopping(reset="pass"), "begins anew"),
        "a tie is better": (stopping(better="loss <= best"), "A tie is no improvement"),
        "patience": (lambda losses, patience: patience, "Go through them by hand"),
        "no answer at the end": (
            lambda losses, patience: stopping()(losses, patience) if len(losses) > 2 else None,
            "returns nothing",
        ),
        "sorts the losses": (lambda losses, patience: losses.sort() or 1, "changes the list"),
    },
)

# ---- compare_rates ----------------------------------------------------------------------------------------------


def comparison(
    before="",
    in_run="",
    loss_after=False,
    note=".item()",
    make="torch.optim.SGD(model.parameters(), lr=lr)",
    zero=True,
):
    """Build a comparison from what comes before all runs and what begins each of them."""
    source = f"""
def compare(make_model, images, labels, rates, num_steps):
    curves = {{}}
    {before or "pass"}
    for lr in rates:
        {in_run or "pass"}
        optimizer = {make}
        losses = []
        for _ in range(num_steps):
            loss = F.cross_entropy(model(images), labels)
            {"optimizer.zero_grad()" if zero else "pass"}
            loss.backward()
            optimizer.step()
            losses.append(({"F.cross_entropy(model(images), labels)" if loss_after else "loss"}){note})
        curves[lr] = losses
    return curves
"""
    namespace = {"F": F, "torch": torch, "copy": copy}
    exec(source, namespace)
    return namespace["compare"]


SEEDED = "torch.manual_seed(3); model = make_model()"
COMPARE_RATES = Answers(
    right={
        "copies": comparison("start = make_model()", "model = copy.deepcopy(start)"),
        "a kept state": comparison(
            "model = make_model(); state = copy.deepcopy(model.state_dict())", "model.load_state_dict(state)"
        ),
        "one seed": comparison(in_run=SEEDED),
    },
    wrong={
        "a state that is no copy": (
            comparison(
                "torch.manual_seed(0); model = make_model(); state = model.state_dict()",
                "model.load_state_dict(state)",  # the state went along with the training
            ),
            "goes on with the trained weights",
        ),
        "a model each, without a seed": (comparison(in_run="model = make_model()"), "other random ones"),
        "one optimizer for all": (
            comparison("first = rates[0]", SEEDED, make="torch.optim.SGD(model.parameters(), lr=first)"),
            "All the curves are that of the learning rate",
        ),
        "an optimizer of another model": (
            comparison("old = make_model()", SEEDED, make="torch.optim.SGD(old.parameters(), lr=lr)"),
            "does the optimizer hold the weights",
        ),
        "one rate for all": (
            comparison(in_run=SEEDED, make="torch.optim.SGD(model.parameters(), lr=0.7)"),
            "which number does the optimizer get",
        ),
        "no zero_grad": (comparison(in_run=SEEDED, zero=False), "pile up"),
        "after the step": (comparison(in_run=SEEDED, loss_after=True), "after its step"),
        "tensors": (comparison(in_run=SEEDED, note=""), "keep each step's record"),
        "another optimizer": (
            comparison(in_run=SEEDED, make="torch.optim.Adam(model.parameters(), lr=lr)"),
            "take the steps just as they were",
        ),
        "a list of curves": (
            lambda *given: list(comparison(in_run=SEEDED)(*given).values()),
            "stay a dictionary",
        ),
        "last losses": (
            lambda *given: {lr: losses[-1] for lr, losses in comparison(in_run=SEEDED)(*given).items()},
            "Expected 6 losses",
        ),
        "a model of its own": (
            comparison(
                in_run="torch.manual_seed(3); model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))"
            ),
            "never calls `make_model`",
        ),
    },
)

# ---- first_look -------------------------------------------------------------------------------------------------


def look(
    diverged="not math.isfinite(losses[-1]) or losses[-1] > 2 * losses[0]",
    scale="losses[0] > 1.5 * math.log(10)",
    stuck="sum(losses[-20:]) / len(losses[-20:]) > 0.9 * losses[0]",
    order=("diverged", "wrong scale", "not learning"),
    healthy="'healthy'",
):
    """Build the four rules with one fault."""
    rules = {"diverged": diverged, "wrong scale": scale, "not learning": stuck}
    source = ["def look(losses):"]
    source += [f"    if {rules[word]}: return {word!r}" for word in order]
    source += [f"    return {healthy}"]
    namespace = {"math": math, "torch": torch}
    exec("\n".join(source), namespace)
    return namespace["look"]


FIRST_LOOK = Answers(
    right={
        "comparisons turned round": look("not losses[-1] <= 2 * losses[0]"),
        "in words": look(
            'str(losses[-1]) in ("nan", "inf") or losses[-1] > 2 * losses[0]',
        ),
        "in torch": look(
            "not torch.tensor(losses[-1]).isfinite() or losses[-1] > 2 * losses[0]",
            stuck="torch.tensor(losses[-20:]).mean() > 0.9 * losses[0]",
        ),
    },
    wrong={
        "infinite once, and better since": (
            look("not all(map(math.isfinite, losses)) or losses[-1] > 2 * losses[0]"),
            "infinite once in the middle",
        ),
        "the end against ln 10": (
            look(
                "not math.isfinite(losses[-1]) or losses[-1] > 2 * losses[0]",
                stuck="sum(losses[-20:]) / len(losses[-20:]) > 0.9 * math.log(10)",
            ),
            "the run's own first loss",
        ),
        "the very last loss left out": (
            look(
                "not math.isfinite(losses[-1]) or losses[-1] > 2 * losses[0]",
                stuck="sum(losses[-20:-1]) / len(losses[-20:-1]) > 0.9 * losses[0]",
            ),
            "its very last loss brings",
        ),
        "two more than the first": (
            look("not math.isfinite(losses[-1]) or losses[-1] > 2 + losses[0]"),
            "almost, but not quite twice",
        ),
        "twice is enough": (
            look("not math.isfinite(losses[-1]) or losses[-1] >= 2 * losses[0]"),
            "just twice the first",
        ),
        "no word for NaN": (look("losses[-1] > 2 * losses[0]"), "no comparison finds it"),
        "compares with NaN": (
            look(
                "losses[-1] == math.nan or losses[-1] > 2 * losses[0]", scale="losses[0] > 2 * math.log(10)"
            ),
            "ends with ten times NaN",
        ),
        "log10": (look(scale="losses[0] > 1.5 * math.log10(10)"), "natural logarithm"),
        "the last loss": (look(stuck="losses[-1] > 0.9 * losses[0]"), "very last loss"),
        "the mean of all": (look(stuck="sum(losses) / len(losses) > 0.9 * losses[0]"), "mean of all losses"),
        "the lowest": (look(stuck="min(losses) > 0.9 * losses[0]"), "one lucky batch"),
        "always 20": (look(stuck="sum(losses[-20:]) / 20 > 0.9 * losses[0]"), "divide by 20"),
        "the last ten": (
            look(stuck="sum(losses[-10:]) / len(losses[-10:]) > 0.9 * losses[0]"),
            "the last 10 losses",
        ),
        "any growth": (
            look("not math.isfinite(losses[-1]) or losses[-1] > losses[0]"),
            "a little above its beginning",
        ),
        "scale first": (look(order=("wrong scale", "diverged", "not learning")), "wherever it began"),
        "learning before scale": (look(order=("diverged", "not learning", "wrong scale")), "last question"),
        "learning first": (look(order=("not learning", "diverged", "wrong scale")), "comes last"),
        "nothing for the healthy": (look(healthy="None"), "returns nothing"),
        "a word of its own": (look(healthy="'fine'"), "none of the four words"),
        "all are healthy": (lambda losses: "healthy", "Every curve is called"),
        "no scale": (look(scale="False"), "begins at 5 and falls"),
    },
)

ANSWERS = {
    "exponential_mean": EXPONENTIAL_MEAN,
    "epoch_to_keep": EPOCH_TO_KEEP,
    "compare_rates": COMPARE_RATES,
    "first_look": FIRST_LOOK,
}
