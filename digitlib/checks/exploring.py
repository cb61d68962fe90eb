"""The checks of notebook 4: class balance, distance from the mean, nearest neighbours."""

import torch

from digitlib.checks.engine import change, exercise


def _shares(labels, num_classes):
    counts = torch.bincount(labels, minlength=num_classes)
    total = counts.sum()
    return counts.float() / total


class_shares = exercise(
    "class_shares", passed="The shares add up to 1, and a class without an image has its place too.",
    given=lambda: [
        (f"{number} classes, {number - len(present)} of them without a label",
         (torch.tensor(present)[torch.randint(len(present), (20 * number + 1,))], number))
        for present, number in ((range(5), 5), ([0, 2, 3, 5], 7), ([2, 3], 4), ([1], 3))],
    right=_shares, dtype=False, tolerance=1e-5, returns="float (num_classes,), one share for each class",
    wrong={
        "A class without a label needs its place all the same, with the share 0: the length of the result must not "
        "depend on the labels.": [(", minlength=num_classes", ""),
            ("torch.bin", "torch.unique(labels, return_counts=True)[1] # ")],
        "These are the counts. A share says which part of all labels they are.": (".float() / total", ""),
        "Each class is counted once: `counts[labels] += 1` writes a place once, however often it is named.": (
            "torch.bincount(labels, minlength=num_classes)", "torch.zeros(num_classes).index_fill(0, labels, 1.0)",
            "counts.sum()", "len(labels)"),
        "Your bins reach from the smallest label to the largest; they should be those of all classes, from 0 on.": (
            "torch.bincount(labels, minlength=num_classes)", "torch.histc(labels.float(), num_classes)"),
    })  # fmt: skip


def _variations():
    for num_images, k in ((24, 6), (25, 4), (20, 9)):  # of more than 25, `cdist` rounds coarsely
        centre, light = torch.rand(28, 28) * 116 - 58, 110 + 15 * torch.randn(num_images, 1, 1).exp()
        few = 3.2 * (torch.rand(num_images, 28, 28) < 0.1)  # where few pixels change, they do so by more
        strength = 4 + 26 * torch.rand(num_images, 1, 1) * torch.where(light > light.median(), 1, few)
        images = centre + light + strength * torch.randn(num_images, 28, 28)
        yield f"{num_images} images and k={k}", (images.clamp(0, 255).byte(), k)


def _nearest(images, k):
    x = images.float()
    centre = x.mean(0)
    distances = (x - centre).square().sum((1, 2)).sqrt()
    order = distances.argsort()
    return order[:k]


_SQUARES = ".square().sum((1, 2)).sqrt()"
most_typical = exercise(
    "most_typical", passed="The most typical images have the smallest distance from the mean image.",
    given=_variations, right=_nearest, returns="int64 (k,), numbers of images",
    wrong={
        "These are the images farthest from the mean. The typical ones are the nearest.": [
            ("argsort()", "argsort(descending=True)"), ("[:k]", "[-k:]")],
        "The type `uint8` has no negative numbers: 3 − 5 becomes 254. Convert the images before you subtract.": [
            ("x - centre", f"(images - centre{to}.byte()){so}") for to in ("", ".round()") for so in ("", ".float()")],
        "You add up absolute differences. For a distance, square before you add.": (_SQUARES, ".abs().sum((1, 2))"),
        "You compare the images with one another; asked is the distance from their mean image.": (
            f"(x - centre){_SQUARES}", "torch.cdist(x.flatten(1), x.flatten(1)).sum(1)"),
        "Differences above and below cancel each other in your sum: square before you add.": [
            (_SQUARES, ".sum((1, 2))"), (_SQUARES, ".sum((1, 2)).abs()")],
        "You compare with one number; the mean image has a value for each place.": ("mean(0)", "mean()"),
        "You compare each image with its own mean: average over the images.": ("mean(0)", "mean((1, 2), keepdim=True)"),
        "You leave out the nearest image of all, but none has to be skipped.": ("[:k]", "[1 : k + 1]"),
    })  # fmt: skip


def _groups():
    collections = []
    for pairs, size in ((31, 5), (41, 3), (36, 28), (40, 6), (33, 4)):
        x = 2_000 * torch.randn(pairs, size).repeat(2, 1)  # each image has one like it
        x += 100 * torch.randn(2 * pairs, size)
        x[5:9] *= 30  # far from all others
        labels = torch.randint(4, (pairs,)).repeat(2)
        labels[: pairs // 2] = torch.randint(4, (pairs // 2,))  # and often with another label
        collections.append((x, labels))
    yield "five collections", tuple(zip(*collections))  # one case: a single share may agree by chance


def _leave_one_out(x, labels):
    distances = torch.cdist(x, x)  # (N, N)
    nearest = distances.argmin(dim=1)
    return (labels[nearest] == labels).double().mean().item()


_SELF, _PICK = " + torch.eye(len(x)) * 1e9", "distances.argmin(dim=1)"
leave_one_out = exercise(
    "leave_one_out", passed="What a program has stored, it knows; what it has learnt, only other images tell.",
    given=_groups, blank=_leave_one_out, returns="one number, the share of images that are read right",
    observe=lambda run, *given: {"the result": [run(*collection) for collection in zip(*given)]},
    right=change(_leave_one_out, "torch.cdist(x, x)", f"torch.cdist(x, x){_SELF}"),
    wrong={
        "Still every answer is right. Which image is the nearest to an image of the same collection?": (_SELF, ""),
        "You take the farthest image. The diagonal needs a value that the smallest distance never has.": [
            (_SELF, "", "argmin", "argmax"), (_PICK, "torch.cdist(x, x).topk(2).indices[:, 1]")],
        "Once an image is taken out of `x`, all later places move up by one: take its label out, too.": (
            "labels[nearest]", "labels[nearest - (nearest > torch.arange(len(x))).long()]"),
        "You go one neighbour too far: skip the image itself, and nothing more.": (_PICK, "distances.argsort()[:, 1]"),
        "Nearly every image gets the label of the first one: print `distances`. Zero times infinity is `nan`.":
            (_SELF, " + torch.inf * torch.eye(len(x))"),
    })  # fmt: skip
