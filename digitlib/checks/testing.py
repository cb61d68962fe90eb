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
        logits = (1 + 2.0 * (torch.arange(num) // size))[:, None] * torch.randn(num, num_classes)
        labels = (logits.argmin(1) + torch.randint(2, (num,))) % num_classes  # the later, the larger the loss
        yield f"{num} images in batches of {size}", (logits, labels, size)


_MEAN, _SIZE, _BY = "F.cross_entropy(some_logits, some_labels)", "len(some_labels) * ", " / len(labels)"
_BATCHES = "len(labels.split(batch_size))"
average_loss = exercise(
    "average_loss", given=_unequal_batches, blank=_adds_means, right=change(_adds_means, _MEAN, _SIZE + _MEAN),
    passed="Each image counts once: the loss no longer depends on the size of the batches.",
    returns="one number, the mean loss of all images", wrong={
        "It still adds the means of the batches and divides by the number of images: each mean was divided once "
        "before.": [(_SIZE, ""), (_SIZE, "1 / len(some_labels) * ")],
        "This is the mean of the batch means. It is right while all batches are equally long; in a short last batch "
        "each image counts for more.": (_SIZE, "", _BY, f" / {_BATCHES}"),
        "The last batch may hold fewer images than `batch_size`, and integer division forgets it: count the images.": [
            (_SIZE, "batch_size * "), (_BY, f" / (batch_size * {_BATCHES})"),
            (_SIZE, "", _BY, " / (len(labels) // batch_size)"), (_BY, " / (len(labels) // batch_size * batch_size)")],
        "This is one batch alone: does the loop forget what was added, or return too soon?": [
            (*each, "len(labels)", "len(some_labels)")
            for each in (("total +=", "total ="), ("    return", "        return"))],
        "The sum of the losses has to be divided by the number of images; yours is not, or by another number.": [
            (_SIZE, "", _BY, ""), (_BY, f" / {_BATCHES}"), (_BY, " / batch_size"), (_SIZE, "", _BY, " / batch_size")],
    })  # fmt: skip


# The lowest recall; then the lowest lower end, upper end, precision and F1, and the most mistakes, fewest read right,
# fewest images, highest recall. For each: images read right, images misread, and how often others are taken for it.
_KINDS = [(180, 120, 15), (94, 61, 20), (1525, 975, 500), (240, 12, 270), (150, 90, 150), (9000, 1600, 1000)]
_KINDS += [(90, 24, 6), (102, 6, 6), (600, 3, 250), *3 * [(450, 75, 250)]]


def _matrices():
    for num_classes in (10, 6, 12, 10):
        kinds = torch.tensor(_KINDS)[torch.randperm(num_classes)]
        confusion = torch.diag(kinds[:, 0] + torch.randint(3, (num_classes,)))
        for number, taken in enumerate(kinds[:, 2] * (1.0 - torch.eye(num_classes))):
            misread = taken.multinomial(int(kinds[number, 1]), replacement=True)
            confusion[number] += misread.bincount(minlength=num_classes)
        yield f"one of the matrices of {num_classes} classes", (confusion,)
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


_ENDS = "torch.tensor([accuracy_interval(int(h), int(n)) for h, n in zip(hits, rows)])"
weakest_class = exercise(
    "weakest_class", given=_matrices, right=_lowest_recall, observe=functools.partial(choice_first, _lowest_recall),
    passed="A class's recall comes with an interval of its own, from its own images: fewer images, a wider one. "
    "That of the class that came out lowest lies too low.",
    returns="three numbers, the class and the two ends of the interval", wrong={
        "This is the class of the lowest precision, or F1: recall looks at the images of a class, so at its row.": [
            ("confusion.sum(1)", "confusion.sum(0)"), ("hits / rows", "hits / confusion.sum(0)"),
            ("hits / rows", "2 * hits / (rows + confusion.sum(0))")],
        "This is the class with the fewest right answers, the most mistakes or the fewest images: compare shares.": [
            ("hits / rows", "hits"), ("hits / rows", "hits - rows"), ("hits / rows", "rows")],
        "This is the class whose interval has the lowest end; the class with the lowest recall was asked for.": [
            ("(hits / rows)", f"{_ENDS}[:, 0]"), ("(hits / rows)", f"{_ENDS}[:, 1]")],
        "Your answer is class 0 every time: is a share rounded down to 0 on the way, as `//` does?": ("/", "//"),
        "Your three numbers come in another order: the class first, then the lower and the upper end.": [
            ("number, low, high", "low, high, number"), ("number, low, high", "number, high, low")],
        "The interval is that of other counts: a recall rests on the images of its class alone, its row.": [
            ("rows[number]", "confusion[:, number].sum()"), ("rows[number]", "rows.sum()"),
            ("rows[number]", "rows.sum()", "hits[number]", "hits.sum()"), ("hits[number]", "(rows - hits)[number]"),
            ("int(hits[number])", "(hits / rows)[number].item()")],
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
        "A chance cannot exceed 1: where both win equally often, the middle is counted twice.": (_P, "2 * tail"),
        "You count the images on which the predictions differ. Where both are wrong, each in its own way, neither has "
        "won.": [(_NUM, "n, least = int((first != second).sum())"),
                 ("one & ~other", "(first != second) & ~other"), ("other & ~one", "(first != second) & ~one")],
        "You toss a coin for images that do not split the two: what both read right, or both wrong, is no toss.": [
            (_NUM, "n, least = len(labels)"), (_NUM, "n, least = int((one | other).sum())"), ("2**n", "2**len(labels)"),
            ("one & ~other", "one", "other & ~one", "other"), ("one & ~other", "~other", "other & ~one", "~one")],
        "This is an approximation, by a normal or a chi-square distribution; with so few images count the coins.": [
            (_P, f"math.erfc(max(0, abs(a - b) - {less}) / math.sqrt({scale} * max(n, 1)))")
            for less in (0, 1) for scale in (1, 2)],
        "It works only while one certain network wins; it may be either.": [(_LEAST, "a\n"), (_LEAST, "b\n")],
        "The tail leaves out an outcome: it goes from the one that was seen to all wins for one.": [
            ("(least,", "(least + 1,"), ("n + 1", "n")],
        "This is the chance of exactly this outcome; the more uneven ones count too.": [
            ("n + 1", "least + 1"), ("n + 1", "least + 1", _P, "tail")],
    })  # fmt: skip
