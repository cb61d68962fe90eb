"""The checks of notebook 9: measuring a trained network."""

import functools
import math

import torch
import torch.nn.functional as F

from digitlib.checks.comparing import same, whole
from digitlib.checks.engine import change, exercise
from digitlib.evaluation import accuracy_interval


def _adds_means(logits, labels, batch_size):
    total = 0.0
    for some_logits, some_labels in zip(logits.split(batch_size), labels.split(batch_size)):
        total += F.cross_entropy(some_logits, some_labels).item()
    return total / len(labels)


def _unequal_batches():
    for num, size, num_classes in ((12, 4, 10), (10, 4, 10), (19, 8, 6), (7, 1, 10), (5, 8, 10), (9, 6, 10)):
        labels = torch.randint(num_classes, (num,))
        yield f"{num} images in batches of {size}", (3 * torch.randn(num, num_classes), labels, size)


_MEAN, _SIZE, _BY = "F.cross_entropy(some_logits, some_labels)", "len(some_labels) * ", " / len(labels)"
_BATCHES = "len(labels.split(batch_size))"
average_loss = exercise(
    "average_loss", given=_unequal_batches, blank=_adds_means, right=change(_adds_means, _MEAN, _SIZE + _MEAN),
    passed="Each image counts once: the loss no longer depends on the size of the batches.",
    returns="one number, the mean loss of all images", wrong={
        "This is the mean of the batch means. It is right while all batches are equally long; in a short last batch "
        "each image counts for more.": (_SIZE, "", _BY, f" / {_BATCHES}"),
        "The last batch may hold fewer images than `batch_size`: count the images.": (_SIZE, "batch_size * "),
        "This is one batch alone: does the loop forget what was added, or return too soon?": [
            ("total +=", "total ="), ("total +=", "total =", "len(labels)", "len(some_labels)"),
            ("labels.split(batch_size))", "[labels[:batch_size]])", "len(labels)", "len(some_labels)")],
        "The last batch, which may be smaller, is left out.": (
            "zip(logits.split(", "zip(logits[: len(labels) // batch_size * batch_size].split("),
    })  # fmt: skip


def _matrices():
    """Yield matrices in which the lowest recall, lowest ends, fewest images and most mistakes are of other classes."""
    rows = [[60, 3, 1, 16, 18, 2], [1, 13, 1, 1, 3, 1], [0, 0, 11, 1, 0, 0], [20, 10, 5, 620, 300, 45]]
    rows += [[4, 1, 1, 3, 90, 1], [10, 5, 5, 180, 400, 1500]]
    first = torch.randperm(6)
    for number, order in enumerate(first.roll(places) for places in range(6)):  # each class at each place
        yield f"matrix {number + 1}, of 6 classes", (torch.tensor(rows)[order][:, order],)
    yield "a class that is mostly read as another", (torch.tensor([[30, 45, 5], [6, 90, 4], [9, 8, 70]]),)


def choice_first(right, run, *arguments):
    """Judge what follows from a choice only where the choice is right: of a wrong one it is another's."""
    expected, result = right(*arguments), run(*arguments)
    pair = isinstance(result, tuple | list) and len(result) == len(expected)
    off = pair and whole(result[0]) and not same(result[0], expected[0], 0)
    return {"the result": (result[0], *expected[1:]) if off else result}


def _lowest_recall(confusion):
    hits, rows = confusion.diag(), confusion.sum(1)
    number = int((hits / rows).argmin())
    low, high = accuracy_interval(int(hits[number]), int(rows[number]))
    return number, low, high


weakest_class = exercise(
    "weakest_class", given=_matrices, right=_lowest_recall, observe=functools.partial(choice_first, _lowest_recall),
    passed="A class's recall comes with an interval of its own, from its own images: fewer images, a wider one. "
    "That of the class that came out lowest lies too low.",
    returns="three numbers, the class and the two ends of the interval", wrong={
        "This is the class of the lowest precision: recall looks at the images of a class, so at its row.":
            ("confusion.sum(1)", "confusion.sum(0)"),
        "This is the class with the fewest right answers, the most mistakes or the fewest images: compare shares.": [
            ("hits / rows", "hits"), ("hits / rows", "hits - rows")],
        "This is p ± 1.96·√(p(1 − p)/n); asked is Wilson's interval, as `accuracy_interval` gives it.": (
            "accuracy_interval(int(hits[number]), int(rows[number]))", "((hits / rows)[number] + 1.96 * side * "
            "((hits / rows) * (1 - hits / rows) / rows)[number].sqrt() for side in (-1, 1))"),
        "The interval is that of other counts: a recall rests on the images of its class alone, its row.": [
            ("rows[number]", "confusion[:, number].sum()"), ("rows[number]", "rows.sum()"),
            ("rows[number]", "rows.sum()", "hits[number]", "hits.sum()"), ("hits[number]", "(rows - hits)[number]")],
    })  # fmt: skip


def _two_networks():
    splits = [(9, 2, 30, 2), (3, 12, 2, 3), (4, 4, 20, 10), (0, 0, 20, 9), (14, 22, 30, 0), (58, 40, 60, 9)]
    for a, b, both, neither in splits:  # where both are wrong, each is so in its own way
        off = torch.tensor(a * [(0, 3)] + b * [(8, 0)] + both * [(0, 0)] + neither * [(2, 6)])
        labels = torch.randint(10, (len(off),))
        first, second = ((labels[:, None] + off[torch.randperm(len(off))]) % 10).T
        case = f"{a} images that the first network alone reads right, and {b} that the second does"
        yield case if a else "two networks that no image splits", (first, second, labels)


def _fair_coin(first, second, labels):
    one, other = first == labels, second == labels
    a, b = int((one & ~other).sum()), int((other & ~one).sum())
    n, least = a + b, max(a, b)
    tail = sum(math.comb(n, k) for k in range(least, n + 1)) / 2**n
    return min(1.0, 2 * tail)


_LEAST, _P, _NUM = "max(a, b)\n", "min(1.0, 2 * tail)", "n, least = a + b"
paired_p_value = exercise(
    "paired_p_value", given=_two_networks, right=_fair_coin, returns="one number, the p-value",
    passed="Only the images that split the two networks tell them apart, and a fair coin says how well.", wrong={
        "This is one direction only. Before the test nobody knew which network would win, so the other direction "
        "counts too.": [(_P, "tail"), (_P, "tail", _LEAST, "a\n"), (_P, "tail", _LEAST, "b\n")],
        "You count the images on which the predictions differ. Where both are wrong, each in its own way, neither has "
        "won.": [(_NUM, "n, least = int((first != second).sum())"), ("one & ~other", "(first != second) & ~other")],
        "You toss a coin for images that do not split the two: what both read right, or both wrong, is no toss.": [
            (_NUM, "n, least = len(labels)"), ("one & ~other", "one", "other & ~one", "other")],
        "This is an approximation, by a normal or a chi-square distribution; with so few images count the coins.": [
            (_P, f"math.erfc(max(0, abs(a - b) - {less}) / math.sqrt(2 * max(n, 1)))") for less in (0, 1)],
        "The tail leaves out an outcome: it goes from the one that was seen to all wins for one.": [
            ("(least,", "(least + 1,"), ("n + 1", "n")],
        "This is the chance of exactly this outcome; the more uneven ones count too.": [
            ("n + 1", "least + 1"), ("n + 1", "least + 1", _P, "tail")],
    })  # fmt: skip
