"""Answers to the exercises of notebook 9, beside those that its declarations hold."""

import math

import torch
import torch.nn.functional as F
from sklearn.metrics import recall_score
from torch import nn

from digitlib.evaluation import accuracy_interval, confusion_matrix, report
from tests.exercises import Answers


def at_once(logits, labels, batch_size):
    return F.cross_entropy(logits, labels)


def sums(logits, labels, batch_size):
    loss = nn.CrossEntropyLoss(reduction="sum")
    parts = [slice(start, start + batch_size) for start in range(0, len(labels), batch_size)]
    return sum(loss(logits[part], labels[part]) for part in parts).item() / len(labels)


def softmax_and_batch_means(logits, labels, batch_size):
    pairs = list(zip(logits.softmax(dim=1).split(batch_size), labels.split(batch_size)))
    return sum(F.cross_entropy(*pair).item() for pair in pairs) / len(pairs)


def by_hand(confusion):
    shares = {number: row[number] / sum(row) for number, row in enumerate(confusion.tolist())}
    weakest = min(shares, key=shares.get)
    return weakest, *accuracy_interval(int(confusion[weakest, weakest]), int(confusion[weakest].sum()))


def by_scikit_learn(confusion):
    labels = torch.arange(len(confusion)).repeat_interleave(confusion.sum(dim=1))
    predictions = torch.cat([torch.arange(len(row)).repeat_interleave(row) for row in confusion])
    number = int(recall_score(labels, predictions, average=None).argmin())
    return [number, *accuracy_interval(int(confusion[number, number]), int(confusion[number].sum()))]


def by_report(confusion):
    number = report(confusion).recall.argmin()
    ends = accuracy_interval(int(confusion[number, number]), int(confusion[number].sum()))
    return torch.tensor([number, *ends], dtype=torch.float64)


def by_enumeration(first, second, labels):
    """Add the chances of all outcomes that are no likelier than the one that was seen: the same, for a fair coin."""
    a = ((first == labels) & (second != labels)).sum().item()
    b = ((first != labels) & (second == labels)).sum().item()
    chances = [math.comb(a + b, k) / 2 ** (a + b) for k in range(a + b + 1)]
    return min(1.0, sum(chance for chance in chances if chance <= chances[a]))


def by_the_loser(first, second, labels):
    both = confusion_matrix((first == labels).long(), (second == labels).long(), num_classes=2)
    n, loser = (both[0, 1] + both[1, 0]).item(), min(both[0, 1], both[1, 0]).item()
    return torch.tensor(min(1.0, 2 * sum(math.comb(n, k) for k in range(loser + 1)) / 2**n))


def all_images_one_direction(first, second, labels):
    a, b = (int(((one == labels) & (two != labels)).sum()) for one, two in ((first, second), (second, first)))
    return sum(math.comb(len(labels), k) for k in range(max(a, b), len(labels) + 1)) / 2 ** len(labels)


ANSWERS = {
    "average_loss": Answers(
        right={"all at once": at_once, "sums": sums}, wrong={
            "two faults: softmax, and means of batches": (softmax_and_batch_means, "mean of the batch means"),
            "right for equal batches alone": (
                lambda logits, labels, size: at_once(logits, labels, size) + len(labels) % size,
                "For 10 images in batches of 4",
            ),
            "a hundredth": (lambda *given: at_once(*given) / 100, "0.01 times what it should be"),
            "a loss for each image": (
                lambda logits, labels, size: F.cross_entropy(logits, labels, reduction="none"), "should be one number"),
        }),
    "weakest_class": Answers(
        right={"by hand": by_hand, "scikit-learn": by_scikit_learn, "report, and a tensor": by_report}, wrong={
            "another class": (
                lambda confusion: ((by_hand(confusion)[0] + 3) % 6, *by_hand(confusion)[1:]),
                "result 1 of 3 should be",
            ),
            "counted from 1": (lambda confusion: (by_hand(confusion)[0] + 1, *by_hand(confusion)[1:]), "1 too large"),
            "rounded": (lambda confusion: [round(each, 2) for each in by_hand(confusion)], "are rounded"),
            "a pair inside": (lambda confusion: (by_hand(confusion)[0], by_hand(confusion)[1:]), "holds lists"),
            "the class alone": (lambda confusion: by_hand(confusion)[0], "should be three numbers"),
        }),
    "paired_p_value": Answers(
        right={"by enumeration": by_enumeration, "from the loser's side": by_the_loser}, wrong={
            "two faults: all images, one direction": (all_images_one_direction, "one direction only"),
            "the verdict": (lambda *given: by_enumeration(*given) < 0.05, "should be one number"),
            "one minus": (lambda *given: 1 - by_enumeration(*given), "1 minus what it should be"),
            "twice too much": (lambda *given: 2 * by_enumeration(*given), "2 times what it should be"),
        }),
}  # fmt: skip
