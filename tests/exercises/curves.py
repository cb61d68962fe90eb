"""Answers to the exercises of notebook 8, beside those that its declarations hold."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F

from tests.exercises import Answers


def recursively(values, keep):
    if len(values) == 1:
        return [values[0]]
    before = recursively(values[:-1], keep)
    return [*before, before[-1] + (1 - keep) * (values[-1] - before[-1])]


def by_the_best(losses, patience, first=1, most=None):
    for stop in range(len(losses)):
        best = losses.index(min(losses[: stop + 1]))
        if stop - best == (most or patience):
            return best + first
    return losses.index(min(losses)) + first


def comparison(
    before="pass", in_run="torch.manual_seed(3); model = make_model()", make="SGD(model", rate="lr", note=""
):
    """Build a comparison from what comes before all runs, and what begins each of them."""
    source = f"""
def compare(make_model, images, labels, rates, num_steps):
    curves = {{}}
    {before}
    for lr in rates:
        {in_run}
        optimizer = torch.optim.{make}.parameters(), lr={rate})
        losses = []
        for _ in range(num_steps):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append({note or "loss.item()"})
        curves[lr] = losses
    return curves
"""
    namespace = {"F": F, "torch": torch, "copy": copy}
    exec(source, namespace)
    return namespace["compare"]


def look(
    diverged="not losses[-1] <= 2 * losses[0]", scale="losses[0] > 1.5 * math.log(10)", healthy="'healthy'"
):
    """Build the four rules from the first two and the last word."""
    stuck = "sum(losses[-20:]) / len(losses[-20:]) > 0.9 * losses[0]"
    rules = f"'diverged' if {diverged} else 'wrong scale' if {scale} else 'not learning' if {stuck} else {healthy}"
    return eval(f"lambda losses: {rules}", {"math": math})


ANSWERS = {
    "exponential_mean": Answers(
        right={"recursion": recursively, "NumPy's numbers": lambda *given: list(np.array(recursively(*given)))},
        wrong={
            "in place": (lambda values, keep: values.sort() or values, "changes its argument `values`"),
            "a tensor": (lambda *given: torch.tensor(recursively(*given)), "but it is a tensor of shape"),
            "one too few": (lambda *given: recursively(*given)[1:], "should have 7 entries, but it has 6"),
            "backwards": (lambda values, keep: recursively(values[::-1], keep)[::-1], "7 of 7 numbers"),
            "rounded": (lambda *given: [round(mean, 2) for mean in recursively(*given)], "are rounded"),
        },
    ),
    "epoch_to_keep": Answers(
        right={"look back": by_the_best, "a tensor": lambda *given: torch.tensor(by_the_best(*given))},
        wrong={
            "patience": (lambda losses, patience: patience, "the result should be"),
            "no answer at the end": (lambda x, n: by_the_best(x, n) if len(x) > 2 else None, "returns nothing"),
            "sorts the losses": (lambda losses, patience: losses.sort() or 1, "changes its argument `losses`"),
            "two faults: from 0, and the future": (lambda x, n: by_the_best(x, n, first=0, most=99), "from 0"),
        },
    ),
    "compare_rates": Answers(
        right={
            "a kept state": comparison(
                "model = make_model(); state = copy.deepcopy(model.state_dict())", "model.load_state_dict(state)"),
            "one seed": comparison(),
            "one seed, and a network that nobody uses": comparison("make_model()"),
        },
        wrong={
            "another network's": (comparison("old = make_model()", make="SGD(old"), "does the optimizer hold"),
            "one rate": (comparison(rate=0.7), "has a curve of its own"),
            "Adam": (comparison(make="Adam(model"), "5 of 6 numbers"),
            "tensors": (comparison(note="loss"), "without the record for gradients"),
            "a list": (lambda *given: list(comparison()(*given).values()), "should be a dict"),
            "a network of its own": (
                comparison(in_run="model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))"),
                "come from `make_model`"),
            "two faults: no seed, and each loss after its step": (
                comparison(in_run="model = make_model()", note="F.cross_entropy(model(images), labels).item()"),
                "note each loss after its step"),
        },
    ),
    "first_look": Answers(
        right={"turned round": look(), "words": look("str(losses[-1]) in 'nan inf' or losses[-1] > 2 * losses[0]")},
        wrong={
            "twice is enough": (look("not losses[-1] < 2 * losses[0]"), "two numbers are equal"),
            "infinite once": (look("math.inf in losses or not losses[-1] <= 2 * losses[0]"), "on the way"),
            "nothing for the healthy": (look(healthy="None"), "returns nothing"),
            "a word of its own": (look(healthy="'fine'"), "should be healthy, but it is fine"),
            "two faults": (look("losses[-1] > 2 * losses[0]", "losses[0] > 1.5 * math.log10(10)"), "no comparison"),
        },
    ),
}  # fmt: skip
