"""Answers to the exercises of notebook 4."""

from collections import Counter

import torch

from tests.exercises import Answers


def shares_by_comparing(labels, num_classes):
    return torch.stack([(labels == each).double().mean() for each in range(num_classes)])


def shares_by_a_loop(labels, num_classes):
    shares = torch.zeros(num_classes)
    for label in labels.tolist():
        shares[label] += 1 / len(labels)
    return shares


def counted(labels, num_classes):
    return labels.bincount(minlength=num_classes)


def shares_of_most_common(labels, num_classes):
    return torch.tensor([count for _, count in Counter(labels.tolist()).most_common()]) / len(labels)


def flat(images):
    return images.flatten(1).float()


def by_mean_of_differences(images, k):
    differences = images.double() - images.double().mean(dim=0)
    return differences.square().mean(dim=(1, 2)).topk(k, largest=False).indices


def by_a_loop(images, k):
    mean = images.float().mean(dim=0)
    distances = [((image.float() - mean) ** 2).sum().sqrt() for image in images]
    return torch.tensor(sorted(range(len(images)), key=lambda i: distances[i])[:k])


def ordered_by(measure, images):
    """Return the numbers of images in the order of a measure of flattened floats."""
    return measure(flat(images)).argsort()


def to_the_mean(x):
    return (x - x.mean(dim=0)).norm(dim=1)


def wraps(images, k):
    mean = images.float().mean(dim=0).to(torch.uint8)
    return (images - mean).float().flatten(1).norm(dim=1).argsort()[:k]


def second_of_two(x, labels):
    others = torch.cdist(x, x).topk(2, largest=False).indices[:, 1]
    return (labels[others] == labels).float().mean()


def one_at_a_time(x, labels):
    correct = 0
    for i in range(len(x)):
        rest = [j for j in range(len(x)) if j != i]
        nearest = rest[int((x[rest] - x[i]).norm(dim=1).argmin())]
        correct += int(labels[nearest] == labels[i])
    return correct / len(x)


def filled(value, pick=torch.argmin):
    """Return an answer whose diagonal holds another value, or which looks for another distance."""

    def answer(x, labels):
        distances = torch.cdist(x, x).fill_diagonal_(value)
        return (labels[pick(distances, dim=1)] == labels).double().mean().item()

    return answer


def place(number):
    def answer(x, labels):
        nearest = torch.cdist(x, x).argsort(dim=1)[:, number]
        return (labels[nearest] == labels).double().mean().item()

    return answer


def without_the_number_one(x, labels):
    return place(1)(x, labels) * len(x) / (len(x) - 1)


def compares_numbers(x, labels):
    nearest = torch.cdist(x, x).fill_diagonal_(torch.inf).argmin(dim=1)
    return (nearest == labels).double().mean().item()


def without_its_kind(x, labels):
    distances = torch.cdist(x, x)
    distances[labels[:, None] == labels] = torch.inf
    return (labels[distances.argmin(dim=1)] == labels).double().mean().item()


def five_vote(x, labels):
    nearest = torch.cdist(x, x).argsort(dim=1)[:, 1:6]
    return (labels[nearest].mode(dim=1).values == labels).double().mean().item()


def nearest_by(distances, labels):
    return (labels[distances.argmin(dim=1)] == labels).double().mean().item()


def half_and_half(x, labels):
    half = len(x) // 2
    nearest = torch.cdist(x[half:], x[:half]).argmin(dim=1)
    return (labels[:half][nearest] == labels[half:]).double().mean().item()


def right_or_wrong(x, labels):
    return labels[torch.cdist(x, x).argsort(dim=1)[:, 1]] == labels


ANSWERS = {
    "class_shares": Answers(
        right={
            "comparing": shares_by_comparing,
            "a loop": shares_by_a_loop,
            "the counts' own sum": lambda labels, n: counted(labels, n) / counted(labels, n).sum(),
        },
        wrong={
            "counts": (counted, "These are the counts"),
            "percent": (lambda labels, n: 100 * counted(labels, n) / len(labels), "percentages"),
            "integer division": (lambda labels, n: counted(labels, n) // len(labels), "`//`"),
            "by the classes": (lambda labels, n: counted(labels, n) / n, "number of classes"),
            "by the largest": (
                lambda labels, n: counted(labels, n) / counted(labels, n).max(),
                "largest count",
            ),
            "no place for absent ones": (
                lambda labels, n: labels.bincount() / len(labels),
                "needs its place",
            ),
            "always ten": (lambda labels, n: labels.bincount(minlength=10) / len(labels), "a fixed ten"),
            "most common first": (shares_of_most_common, "in other places"),
            "one a label": (lambda labels, n: (counted(labels, n) / len(labels))[labels], "for each of the"),
            "without class 0": (lambda labels, n: (counted(labels, n) / len(labels))[1:], "left out"),
            "of 55,000": (lambda labels, n: counted(labels, n) / 55_000, "add up to"),
            "all alike": (lambda labels, n: torch.full((n,), 1 / n), "All shares are the same"),
            "one class too far": (
                lambda labels, n: torch.stack([(labels == c + 1).double().mean() for c in range(n)]),
                "Entry 0 holds the share of class 1",
            ),
            "hundredths": (
                lambda labels, n: (counted(labels, n) / len(labels)).round(decimals=2),
                "rounded to hundredths",
            ),
            "softmax": (
                lambda labels, n: counted(labels, n).double().softmax(dim=0),
                "Softmax is not needed",
            ),
            "mean label": (lambda labels, n: labels.double().mean(), "a single number"),
        },
    ),
    "most_typical": Answers(
        right={"topk of means": by_mean_of_differences, "a loop": by_a_loop},
        wrong={
            "farthest": (lambda images, k: ordered_by(to_the_mean, images).flip(0)[:k], "farthest"),
            "uint8 wraps": (wraps, "3 − 5 becomes 254"),
            "mean of bytes": (lambda images, k: images.mean(dim=0), "Got: Byte"),
            "absolute": (
                lambda images, k: ordered_by(lambda x: (x - x.mean(dim=0)).abs().sum(dim=1), images)[:k],
                "absolute differences",
            ),
            "signed": (
                lambda images, k: ordered_by(lambda x: (x - x.mean(dim=0)).sum(dim=1), images)[:k],
                "sign cancel",
            ),
            "one mean for all": (
                lambda images, k: ordered_by(lambda x: (x - x.mean()).norm(dim=1), images)[:k],
                "one number, the mean over all pixels",
            ),
            "each its own mean": (
                lambda images, k: ordered_by(lambda x: (x - x.mean(dim=1, keepdim=True)).norm(dim=1), images)[
                    :k
                ],
                "each image with its own mean",
            ),
            "to the first": (
                lambda images, k: ordered_by(lambda x: (x - x[0]).norm(dim=1), images)[:k],
                "with the first image",
            ),
            "no mean": (lambda images, k: ordered_by(lambda x: x.norm(dim=1), images)[:k], "own size"),
            "images": (
                lambda images, k: images[ordered_by(to_the_mean, images)[:k]],
                "the images themselves",
            ),
            "distances": (
                lambda images, k: to_the_mean(flat(images)).sort().values[:k],
                "These are the distances",
            ),
            "all": (lambda images, k: ordered_by(to_the_mean, images), "something for all"),
            "one too many": (
                lambda images, k: ordered_by(to_the_mean, images)[: k + 1],
                "one too many or too few",
            ),
            "skips the first": (
                lambda images, k: ordered_by(to_the_mean, images)[1 : k + 1],
                "leave out the nearest",
            ),
            "unsorted": (
                lambda images, k: ordered_by(to_the_mean, images)[:k].sort().values,
                "in another order",
            ),
            "ranks": (lambda images, k: ordered_by(to_the_mean, images).argsort()[:k], "These are ranks"),
            "first come": (lambda images, k: torch.arange(k), "as they come"),
            "pixels": (
                lambda images, k: (
                    (flat(images) - flat(images).mean(dim=0)).norm(dim=0).argsort(descending=True)[:k]
                ),
                "sort pixels",
            ),
            "one image": (lambda images, k: ordered_by(to_the_mean, images)[0], "a single image"),
            "floats": (lambda images, k: ordered_by(to_the_mean, images)[:k].float(), "indexed with floats"),
            "always twenty": (
                lambda images, k: ordered_by(to_the_mean, images)[:20],
                "should have the shape",
            ),
        },
    ),
    "leave_one_out": Answers(
        right={"the second": second_of_two, "a loop": one_at_a_time, "a large number": filled(1e9)},
        wrong={
            "diagonal of zeros": (filled(0.0), "Still every answer is right"),
            "farthest of all": (filled(0.0, torch.argmax), "You take the farthest"),
            "second farthest": (place(-2), "second farthest"),
            "one too far": (place(2), "one neighbour too far"),
            "share that is wrong": (lambda x, labels: 1 - place(1)(x, labels), "read wrong"),
            "a number": (lambda x, labels: place(1)(x, labels) * len(x), "number of images read right"),
            "percent": (lambda x, labels: 100 * place(1)(x, labels), "percentage"),
            "N - 1": (without_the_number_one, "leaves one out"),
            "numbers for labels": (compares_numbers, "images' numbers with labels"),
            "mean on the diagonal": (
                lambda x, labels: filled(torch.cdist(x, x).mean().item())(x, labels),
                "far from all others",
            ),
            "infinity by a product": (
                lambda x, labels: nearest_by(torch.cdist(x, x) + torch.eye(len(x)) * torch.inf, labels),
                "Zero times infinity",
            ),
            "two neighbours": (
                lambda x, labels: (place(0)(x, labels) + place(1)(x, labels)) / 2,
                "average over two neighbours",
            ),
            "five vote": (five_vote, "Several neighbours vote"),
            "none of its label": (without_its_kind, "the same label"),
            "halves": (half_and_half, "nearest *other* image"),
            "one an image": (right_or_wrong, "one value for each"),
        },
    ),
}
