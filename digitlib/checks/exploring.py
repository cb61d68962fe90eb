"""The checks of notebook 4: class balance, distance from the mean, nearest neighbours."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from digitlib.checks.core import (
    NotYet,
    call,
    close,
    exercise,
    expect,
    expect_number,
    expect_tensor,
    recognise,
)


@exercise(passed="The shares add up to 1, and a class without an image has its place too.")
def class_shares(answer) -> None:
    """Take labels int64 (N,) and the number of classes C; return the share of each class, float (C,), 0 to 1."""
    counts = int(torch.randint(2, 6, ())) * torch.tensor([4, 9, 2, 7, 5]) + 1  # of no sorted order
    _expect_shares(answer, counts, call(answer, _labels_of(counts), len(counts)))

    for counts in ([3, 0, 8, 1, 0, 5, 0], [0, 0, 6, 5], [0, 1, 0], [30, 2, 41, 0, 17, 9, 5, 26, 11, 3, 0, 8]):
        counts = torch.tensor(counts)
        absent = int((counts == 0).nonzero()[-1])
        hint = (
            f"Of {len(counts)} classes, class {absent} has no label here. It needs its place all the same, with the "
            "share 0: how long the result is must not depend on the labels."
        )
        try:
            found = call(answer, _labels_of(counts), len(counts))
        except NotYet as error:
            raise NotYet(hint) if "IndexError" in str(error) else error from None
        expect(not isinstance(found, Tensor) or found.shape == counts.shape, hint)
        _expect_shares(answer, counts, found)


def _labels_of(counts: Tensor) -> Tensor:
    labels = torch.arange(len(counts)).repeat_interleave(counts)
    return labels[torch.randperm(len(labels))]


def _expect_shares(answer, counts: Tensor, found: object) -> None:
    number, num_classes = int(counts.sum()), len(counts)
    expect_tensor(found)
    places = found.numel()
    if found.shape != counts.shape:
        expect(
            places != number,
            f"You return one number for each of the {number} labels; asked is one for each class.",
        )
        expect(
            places != 1,
            f"You return a single number; asked is one share for each of the {num_classes} classes.",
        )
        expect(
            places != 10,
            f"Your result has 10 places, but there are {num_classes} classes here: use `num_classes`, not a fixed ten.",
        )
        expect(
            abs(places - num_classes) != 1,
            f"Your result has {places} places for {num_classes} classes. Is one left out, or one too many? The first "
            "class is 0.",
        )
    found = expect_tensor(found, (num_classes,))
    shares = counts / number
    if close(found, shares):
        return
    typical = {
        "These are the counts. A share says which part of all labels they are.": counts,
        "These are percentages; the shares asked for lie between 0 and 1.": 100 * shares,
        "Every share is 0: a division with `//`, or a whole-number dtype, cuts off what comes after the point.": 0
        * shares,
        "You divide by the number of classes; a share is a part of all labels.": counts / num_classes,
        "You divide by the largest count; a share is a part of all labels.": counts / counts.max(),
        "All shares are the same: look at the labels, not at the number of classes alone.": torch.full(
            (num_classes,), 1 / num_classes
        ),
        "These are shares of what is not of the class: each is 1 minus the one asked for.": 1 - shares,
        "The numbers have been rounded; leave them as they are.": shares.round(),
        "The numbers have been rounded to hundredths; leave them as they are.": shares.round(decimals=2),
        "The numbers have been rounded to tenths; leave them as they are.": shares.round(decimals=1),
        "Entry 0 holds the share of class 1, and so on: the classes count from 0.": torch.cat(
            [shares[1:], torch.zeros(1)]
        ),
        "Softmax is not needed: a share is a count divided by a number.": counts.double().softmax(dim=0),
    }
    for hint, value in typical.items():
        expect(not close(found, value), hint)
    expect(
        not close(found.double().sort().values, shares.double().sort().values),
        "The shares are right, but in other places: entry 0 belongs to class 0, entry 1 to class 1, and so on.",
    )
    total = float(found.double().sum())
    expect(
        abs(total - 1) < 1e-3,
        f"Your shares add up to {total:.4g}, but shares of a whole add up to 1. There are {number} labels here.",
    )
    worst = int((found - shares).abs().argmax())
    raise NotYet(
        f"Class {worst} has {int(counts[worst])} of the {number} labels, so its share is not {float(found[worst]):.4g}."
    )


@exercise(passed="The most typical images have the smallest distance from the mean image.")
def most_typical(answer) -> None:
    """Take uint8 (N, 28, 28) and k; return the numbers of the k images nearest to their mean, nearest first."""
    for number, k in ((37, 6), (52, 4), (30, 9)):
        images, right, typical = _variations_of_one_image(number, k)
        found = call(answer, images, k)
        _expect_numbers_of_images(found, images, k)
        found = found.long()
        if torch.equal(found, right[:k]):
            continue
        for hint, order in typical.items():
            expect(not torch.equal(found, order[:k]), hint)
        expect(
            not torch.equal(found, right[-k:]) and not torch.equal(found, right.flip(0)[:k]),
            "These are the images farthest from the mean. The typical ones are the nearest.",
        )
        expect(
            not torch.equal(found, right[1 : k + 1]),
            "You leave out the nearest image of all. No image here is the mean itself, so none has to be skipped.",
        )
        expect(
            not torch.equal(found, right.argsort()[:k]),
            "These are ranks: entry i says at which place image i comes. Asked are the images at the first places.",
        )
        expect(
            not torch.equal(found, torch.arange(k)),
            "These are the first images as they come, whatever their distance is.",
        )
        expect(
            not torch.equal(found.sort().values, right[:k].sort().values),
            "These are the right images, but in another order: the nearest should come first.",
        )
        agree = len(set(found.tolist()) & set(right[:k].tolist()))
        raise NotYet(
            f"Of the {k} images nearest to the mean image your answer holds {agree}. A distance is the root of the "
            "summed squared differences of all pixels, one number an image."
        )


def _variations_of_one_image(number: int, k: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return images, their right order, and the orders that come from typical mistakes; all begin differently."""
    while True:
        centre = torch.randint(70, 186, (28, 28)).float()
        strength = torch.linspace(4, 30, number)[torch.randperm(number)].view(-1, 1, 1)
        dense = torch.rand(number, 1, 1) < 0.5  # the others change few pixels, by more
        change = torch.where(dense, 1.0, 3.2 * (torch.rand(number, 28, 28) < 0.1)) * strength
        contrast, light = 1 - 0.4 * torch.rand(number, 1, 1), 12 * torch.randn(number, 1, 1)
        images = (centre - 128) * contrast + 128 + light + change * torch.randn(number, 28, 28)
        images = images.clamp(0, 255).to(torch.uint8)

        x = images.flatten(1).double()
        mean, distances = x.mean(dim=0), (x - x.mean(dim=0)).norm(dim=1)
        as_bytes = images.flatten(1) - mean.to(torch.uint8)
        rounded = images.flatten(1) - mean.round().to(torch.uint8)
        by = {
            "The type `uint8` has no negative numbers: 3 − 5 becomes 254. Convert the images before you subtract.": (
                as_bytes.double().norm(dim=1)
            ),
            "The type `uint8` overflows here: convert the images to float before you subtract and square.": (
                (as_bytes**2).sum(dim=1)
            ),
            "You add up absolute differences. A distance is the root of the summed *squared* differences.": (
                (x - mean).abs().sum(dim=1)
            ),
            "`uint8` wraps around here, and rounding the mean does not help: convert the images before you subtract.": (
                (rounded**2).sum(dim=1)
            ),
            "Differences with their own sign cancel, and leave an order by brightness: square them before you add.": (
                (x - mean).sum(dim=1)
            ),
            "Differences above and below cancel each other in your sum: square before you add.": (
                (x - mean).sum(dim=1).abs()
            ),
            "You compare with one number, the mean over all pixels. The mean image has a value for each place.": (
                (x - x.mean()).norm(dim=1)
            ),
            "You compare each image with its own mean: to get the mean image, average over the images.": (
                (x - x.mean(dim=1, keepdim=True)).norm(dim=1)
            ),
            "You compare with the first image, not with the mean of all.": (x - x[0]).norm(dim=1),
            "You measure each image's own size: subtract the mean image first.": x.norm(dim=1),
            "You compare with the median image; asked is the mean.": (x - x.median(dim=0).values).norm(dim=1),
            "Only the largest difference of a single pixel counts in your distance; all should.": (
                (x - mean).abs().amax(dim=1)
            ),
        }
        typical = {hint: value.argsort() for hint, value in by.items()}
        right = distances.argsort()
        gaps = distances[right[: k + 1]].diff() / distances.min()
        orders = {tuple(order[:k].tolist()) for order in [right, *typical.values()]}
        apart = len(orders) == 1 + len(typical)  # a hint must fit one mistake only
        if gaps.min() > 1e-3 and apart and right[:k].tolist() != sorted(right[:k].tolist()):
            return images, right, typical


def _expect_numbers_of_images(found: object, images: Tensor, k: int) -> None:
    number = len(images)
    expect_tensor(found)
    expect(
        found.shape[1:] != images.shape[1:],
        "You return the images themselves; asked are their numbers, as `argsort` gives them.",
    )
    expect(
        found.shape != (number,),
        f"You return something for all {number} images; asked are the first {k}, as many as `k` says.",
    )
    expect(found.ndim > 0, f"You return the number of a single image; asked are {k}, as `k` says.")
    expect(
        found.ndim != 1 or len(found) not in (k - 1, k + 1),
        f"You return {len(found)} images where `k` is {k}: one too many or too few.",
    )
    expect_tensor(found, (k,))
    x = images.flatten(1).double()
    distances = (x - x.mean(dim=0)).norm(dim=1)
    expect(
        not close(found, distances.sort().values[:k]),
        "These are the distances; asked are the numbers of the images that have them.",
    )
    whole = found.double() == found.double().round()
    expect(bool(whole.all()), "An image's number is a whole number, from 0 to N − 1; yours are not.")
    expect(
        not found.is_floating_point(),
        f"Your numbers have the dtype {str(found.dtype).removeprefix('torch.')}, and nothing can be indexed with "
        "floats: return whole numbers.",
    )
    expect(
        0 <= found.min() and found.max() < number,
        f"Your answer holds {int(found.max() if found.max() >= number else found.min())}, but the images have the "
        f"numbers 0 to {number - 1}. Do you sort pixels, where images should be sorted?",
    )


def _leave_one_out(x, labels):
    distances = torch.cdist(x, x)  # (N, N)
    nearest = distances.argmin(dim=1)
    return (labels[nearest] == labels).double().mean().item()


@exercise(
    passed="What a program has stored, it knows; what it has learnt, only other images tell.",
    blank=_leave_one_out,
)
def leave_one_out(answer) -> None:
    """Take x float (N, D) and labels (N,); return the share of images whose nearest other image has their label."""
    cases, answers = [_groups(number, size) for number, size in ((61, 5), (83, 3), (72, 28))], []
    for x, labels, _, _ in cases:
        found = call(answer, x, labels)
        expect(
            not (isinstance(found, Tensor) and found.shape == labels.shape),
            f"You return one value for each of the {len(x)} images; asked is the share that is read right.",
        )
        answers.append(expect_number(found))
    wrong = [number for number, case in enumerate(cases) if not close(answers[number], case[2])]
    if not wrong:
        return
    recognise(answers, {hint: [case[3][hint] for case in cases] for hint in cases[0][3]})
    x, labels, right, _ = cases[wrong[0]]
    found, number = answers[wrong[0]], len(x)
    expect(0 <= found <= 1, f"A share lies between 0 and 1, but your answer is {found:.4g}.")
    expect(
        found < 1 - 1.5 / number,
        "Nearly all answers are right still: most images are their own nearest. Is the diagonal left out as a whole?",
    )
    expect(
        not close(found, _without_zeros(x, labels)),
        "The distance of an image to itself need not be exactly 0 as a computer finds it. Choose the diagonal by its "
        "place, not by its value.",
    )
    raise NotYet(
        f"Of {number} images, {round(right * number)} have a nearest *other* image with their own label; your "
        f"share {found:.3f} stands for {found * number:.4g} of them."
    )


def _without_zeros(x: Tensor, labels: Tensor) -> float:
    distances = torch.cdist(x, x)
    nearest = distances.where(distances > 0, torch.inf).argmin(dim=1)
    return (labels[nearest] == labels).double().mean().item()


def _groups(number: int, size: int) -> tuple[Tensor, Tensor, float, dict[str, float]]:
    """Return points, labels, the right share, and the shares that come from typical mistakes."""
    while True:
        labels = torch.multinomial(torch.tensor([0.12, 0.2, 0.28, 0.4]), number, replacement=True)
        labels[:4] = torch.arange(4)
        centres = 2.2 / size**0.4 * torch.randn(4, size)
        x = centres[labels] + torch.randn(number, size)
        x[:3] += 12 * F.normalize(torch.randn(3, size), dim=1) * (5 + size**0.5)  # far from all others
        places = torch.cat(
            [torch.tensor([3]), torch.tensor([0, 1, 2, *range(4, number)])[torch.randperm(number - 1)]]
        )
        x, labels = x[places] * 100, labels[places]
        distances = torch.cdist(x.double(), x.double())
        order = distances.argsort(dim=1)  # each image first, then its neighbours
        if not 0.4 < (labels[order[:, 1]] == labels).double().mean() < 0.8:
            continue
        share = (labels[order] == labels[:, None]).double().mean(dim=0).tolist()
        right, votes = share[1], labels[order[:, 1:6]].mode(dim=1).values
        lower, upper = torch.ones(number, number).tril(-1).bool(), torch.ones(number, number).triu(1).bool()
        earlier = labels[distances.where(lower, torch.inf).argmin(dim=1)] == labels
        later = labels[distances.where(upper, torch.inf).argmin(dim=1)] == labels
        typical = {
            "No answer is right: do you leave out every image with the same label? Leave out the image itself.": 0.0,
            "Still every answer is right. Which image is the nearest to an image of the same collection?": 1.0,
            "This is the share that is read wrong; asked is the share that is read right.": 1 - right,
            "This is the number of images read right; divide it by how many there are.": right * number,
            "This is a percentage; the share asked for lies between 0 and 1.": 100 * right,
            "You take the farthest image. The diagonal needs a value that the smallest distance never has.": share[
                -1
            ],
            "You take the second farthest image: `topk` looks for the largest unless it is told otherwise.": share[
                -2
            ],
            "You go one neighbour too far: skip the image itself, and nothing more.": share[2],
            "You compare images' numbers with labels; look up the label of the nearest image first.": (
                (order[:, 1] == labels).double().mean().item()
            ),
            "Each image is divided by a number that leaves one out: leave it out as its own neighbour, but count it.": (
                right * number / (number - 1)
            ),
            "The mean of the distances is no value for the diagonal: an image that is far from all others stays its "
            "own neighbour.": (
                (labels[distances.clone().fill_diagonal_(distances.mean()).argmin(dim=1)] == labels)
                .double()
                .mean()
                .item()
            ),
            "Nearly every image gets the label of the first one: print `distances`. Zero times infinity is `nan`.": (
                (labels[(torch.arange(number) == 0).long()] == labels).double().mean().item()
            ),
            "You leave the image out, and the numbers of all images behind it change by one: look them up with care.": (
                (labels[order[:, 1] - (order[:, 1] > torch.arange(number)).long()] == labels)
                .double()
                .mean()
                .item()
            ),
            "You average over two neighbours, and the first of them is still the image itself.": (1 + right)
            / 2,
            "Several neighbours vote in your answer; here the nearest other image decides alone.": (
                (votes == labels).double().mean().item()
            ),
            "You look among the images before each one only; those after it are neighbours too.": (
                earlier.double().mean().item()
            ),
            "You look among the images after each one only; those before it are neighbours too.": (
                later.double().mean().item()
            ),
        }
        apart = min(abs(right - value) for value in typical.values())  # whoever has right made no mistake
        gap = distances.gather(1, order[:, 1:3]).diff(dim=1).min()
        constant = (
            share[-1],
            share[-2],
            (labels == labels[0]).double().mean().item(),
        )  # one label for nearly all
        told_apart = min(abs(one - other) for one, other in itertools.combinations(constant, 2))
        if (order[:, 1] == labels).any() and gap > 0.01 and apart > 0.004 and told_apart > 0.04:
            return x, labels, right, typical
