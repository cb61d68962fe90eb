"""Answers to the exercises of notebook 4, beside those that its declarations hold."""

from collections import Counter

import torch

from tests.exercises import Answers


def shares(result=lambda shares: shares):
    """Return an answer that is right but for what it does with the shares."""
    return lambda labels, n: result(torch.stack([(labels == each).double().mean() for each in range(n)]))


def most_common_first(labels, num_classes):
    counts = Counter(range(num_classes)) + Counter(labels.tolist())
    return torch.tensor([(counts[each] - 1) / len(labels) for each, _ in counts.most_common()])


def by_a_loop(images, k):
    mean = images.float().mean(dim=0)
    distances = [((image.float() - mean) ** 2).sum().sqrt() for image in images]
    return torch.tensor(sorted(range(len(images)), key=lambda i: distances[i])[:k])


def typical(result=lambda order, k: order[:k], distance=lambda x: (x - x.mean(dim=0)).norm(dim=1)):
    """Return an answer that is right but for its distance, or what it does with the order."""
    return lambda images, k: result(distance(images.flatten(1).double()).argsort(), k)


def one_at_a_time(x, labels):
    correct = 0
    for i in range(len(x)):
        rest = [j for j in range(len(x)) if j != i]
        correct += int(labels[rest[int((x[rest] - x[i]).norm(dim=1).argmin())]] == labels[i])
    return correct / len(x)


def second_of_two(x, labels):
    return (labels[torch.cdist(x, x).topk(2, largest=False).indices[:, 1]] == labels).float().mean()


def of_neighbours(number, largest=False):
    """Return an answer that looks at one of the neighbours: 0 is the image itself, or the farthest of all."""
    return lambda x, labels: (
        (labels[torch.cdist(x, x).argsort(dim=1, descending=largest)[:, number]] == labels).double().mean()
    )


ANSWERS = {
    "class_shares": Answers(
        right={"comparing": shares()},
        wrong={
            "percent": (shares(lambda found: 100 * found), "100 times"),
            "most common first": (most_common_first, "stand in another order"),
            "of 55,000": (lambda labels, n: labels.bincount(minlength=n) / 55_000, "These are the counts"),
            "hundredths": (shares(lambda found: found.round(decimals=2)), "are rounded"),
            "of the others": (shares(lambda found: 1 - found), "1 minus"),
            "two faults: absent ones, percent": (lambda labels, n: 100 * labels.bincount() / len(labels), "shape (7,)"),
        },
    ),
    "most_typical": Answers(
        right={"a loop": by_a_loop, "means of squares": typical(distance=lambda x: (x - x.mean(0)).square().mean(1))},
        wrong={
            "unsorted": (typical(lambda order, k: order[:k].sort().values), "in another order"),
            "floats": (typical(lambda order, k: order[:k].float()), "is float32, where int64"),
            "pixels": (lambda images, k: images.double().std(0).flatten().argsort()[:k], "are off; at [0]"),
            "largest difference": (typical(distance=lambda x: (x - x.mean(0)).abs().amax(1)), "For 24 images"),
            "two faults: farthest, one too many": (typical(lambda order, k: order.flip(0)[: k + 1]), "it has (7,)"),
        },
    ),
    "leave_one_out": Answers(
        right={"the second": second_of_two, "a loop": one_at_a_time},
        wrong={
            "farthest": (of_neighbours(0, largest=True), "You take the farthest"),
            "share that is wrong": (lambda *given: 1 - of_neighbours(1)(*given), "1 minus"),
            "percent": (lambda *given: 100 * of_neighbours(1)(*given), "100 times"),
            "two neighbours": (lambda *given: (1 + of_neighbours(1)(*given)) / 2, "5 of 5 numbers"),
            "two faults: too far, a number": (lambda x, labels: len(x) * of_neighbours(2)(x, labels), "too far"),
        },
    ),
}  # fmt: skip
