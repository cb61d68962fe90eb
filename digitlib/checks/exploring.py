"""The checks of notebook 4: class balance, distance from the mean, nearest neighbours."""

import torch

from digitlib.checks.engine import change, exercise


def _shares(labels, num_classes):
    counts = torch.bincount(labels, minlength=num_classes)
    total = counts.sum()
    return counts.float() / total


class_shares = exercise(
    "class_shares",
    passed="The shares add up to 1, and a class without an image has its place too.",
    given=lambda: [(f"{len(counts)} classes, {counts.count(0)} of them without a label",
                    (labels[torch.randperm(len(labels))], len(counts))) for counts in (
                        [9, 21, 5, 15, 11], [3, 0, 8, 1, 0, 5, 0], [0, 0, 6, 5], [0, 1, 0], [4, 0, *range(19, 10, -1)])
                   for labels in [torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))]],
    right=_shares, dtype=False, tolerance=1e-5, returns="float (num_classes,), one share for each class",
    wrong={
        "A class without a label needs its place all the same, with the share 0: the length of the result must not "
        "depend on the labels.": [(", minlength=num_classes", ""),
            ("torch.bin", "torch.unique(labels, return_counts=True)[1] # ")],
        "These are the counts. A share says which part of all labels they are.": [
            (".float() / total", ""), (" / total", "")],
        "Every share is 0: a division with `//`, or a whole-number dtype, cuts off what comes after the point.": [
            (".float() / total", " // total"), (" / total", " // total")],
        "You divide by the number of classes, or by the largest count; a share is a part of all labels.": [
            ("counts.sum()", "num_classes"), ("counts.sum()", "counts.max()")],
    })  # fmt: skip


def _variations():
    for num_images, k in ((37, 6), (52, 4), (30, 9)):
        gap = 0.0
        while gap < 1e-3:  # no rounding should change an order
            centre, light = torch.rand(28, 28) * 116 - 58, 110 + 15 * torch.randn(num_images, 1, 1).exp()
            few = 3.2 * (torch.rand(num_images, 28, 28) < 0.1)  # where few pixels change, they do so by more
            strength = 4 + 26 * torch.rand(num_images, 1, 1) * torch.where(light > light.median(), 1, few)
            contrast, noise = 1 - 0.4 * torch.rand(num_images, 1, 1), torch.randn(num_images, 28, 28)
            images = (centre * contrast + light + noise * strength).clamp(0, 255).byte()
            distances = (images.double() - images.double().mean(0)).flatten(1).norm(dim=1).sort().values
            gap = (distances[: k + 1].diff().min() / distances[0]).item()
        yield f"{num_images} images and k={k}", (images, k)


def _nearest(images, k):
    x = images.float()
    centre = x.mean(0)
    distances = (x - centre).square().sum((1, 2)).sqrt()
    order = distances.argsort()
    return order[:k]


_SQUARES = ".square().sum((1, 2)).sqrt()"
most_typical = exercise(
    "most_typical",
    passed="The most typical images have the smallest distance from the mean image.",
    given=_variations, right=_nearest, returns="int64 (k,), numbers of images",
    wrong={
        "These are the images farthest from the mean. The typical ones are the nearest.": [
            ("argsort()", "argsort(descending=True)"), ("[:k]", "[-k:]")],
        "The type `uint8` has no negative numbers: 3 − 5 becomes 254. Convert the images before you subtract.": [
            ("x - centre", f"(images - centre{to}.byte()){so}") for to in ("", ".round()") for so in ("", ".float()")],
        "You add up absolute differences. For a distance, square before you add.": (_SQUARES, ".abs().sum((1, 2))"),
        "A product with the mean image, or an angle, is no distance: subtract, square, add up.": [
            ("(x -", "-(x *", _SQUARES, f".sum((1, 2)){by}") for by in ("", " / x.norm(dim=(1, 2))")],
        "Differences above and below cancel each other in your sum: square before you add.": [
            (_SQUARES, ".sum((1, 2))"), (_SQUARES, ".sum((1, 2)).abs()")],
        "You compare with one number; the mean image has a value for each place.": ("mean(0)", "mean()"),
        "You compare each image with its own mean: average over the images.": ("mean(0)", "mean((1, 2), keepdim=True)"),
        "These are distances; asked are the numbers of the images, in the order of their distances.": (
            "order[:k]", "distances.sort().values[:k]"),
        "You leave out the nearest image of all, but none has to be skipped.": ("[:k]", "[1 : k + 1]"),
    })  # fmt: skip


def _groups():
    collections = []
    for number, size in ((61, 5), (83, 3), (72, 28), (79, 6), (66, 4)):
        gap = share = 0.0
        while gap < 0.1 or not 0.4 < share < 0.8:
            labels = torch.multinomial(torch.tensor([0.12, 0.2, 0.28, 0.4]), number, replacement=True)
            x = 220 / size**0.4 * torch.randn(4, size)[labels] + 100 * torch.randn(number, size)
            x[5:9] *= 30  # far from all others
            distances, order = torch.cdist(x.double(), x.double()).sort(dim=1)  # each image first
            gap = distances[:, 1:3].diff(dim=1).min().item()
            share = (labels[order[:, 1]] == labels).double().mean().item()
        collections.append((x, labels))
    yield "five collections", tuple(zip(*collections))  # one case: a single share may agree by chance


def _leave_one_out(x, labels):
    distances = torch.cdist(x, x)  # (N, N)
    nearest = distances.argmin(dim=1)
    return (labels[nearest] == labels).double().mean().item()


_SELF, _PICK = " + torch.eye(len(x)) * 1e9", "distances.argmin(dim=1)"
leave_one_out = exercise(
    "leave_one_out",
    passed="What a program has stored, it knows; what it has learnt, only other images tell.",
    given=_groups, blank=_leave_one_out, returns="one number, the share of images that are read right",
    observe=lambda run, *given: {"the result": [run(*collection) for collection in zip(*given)]},
    right=change(_leave_one_out, "torch.cdist(x, x)", f"torch.cdist(x, x){_SELF}"),
    wrong={
        "Still every answer is right. Which image is the nearest to an image of the same collection?": (_SELF, ""),
        "You take the farthest image. The diagonal needs a value that the smallest distance never has.": [
            (_SELF, "", "argmin", "argmax"), (_PICK, "torch.cdist(x, x).topk(2).indices[:, 1]")],
        "You go one neighbour too far: skip the image itself, and nothing more.": (_PICK, "distances.argsort()[:, 1]"),
        "You compare images' numbers with labels; look up the label of the nearest image first.": (
            "labels[nearest]", "nearest"),
        "That is no value for the diagonal: an image that is far from all others stays its own neighbour.": [
            (_SELF, f" + {value} * torch.eye(len(x))") for value in ("torch.cdist(x, x).mean()", "999")],
        "Nearly every image gets the label of the first one: print `distances`. Zero times infinity is `nan`.":
            (_SELF, " + torch.inf * torch.eye(len(x))"),
        "Several neighbours vote in your answer; here the nearest other image decides alone.": [
            (_PICK, f"distances.argsort(dim=1)[:, :{n}]", "[nearest]", "[nearest].mode(dim=1)[0]") for n in (3, 5)],
    })  # fmt: skip
