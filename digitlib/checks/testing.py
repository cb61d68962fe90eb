"""The checks of notebook 9: measuring a trained network."""

import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from digitlib.checks.core import (
    NotYet,
    call,
    close,
    describe_value,
    exercise,
    expect,
    expect_number,
    recognise,
)
from digitlib.evaluation import accuracy_interval

# ---- average_loss -----------------------------------------------------------------------------------------------


def _adds_means(logits, labels, batch_size):
    total = 0.0
    for some_logits, some_labels in zip(logits.split(batch_size), labels.split(batch_size)):
        total += F.cross_entropy(some_logits, some_labels).item()
    return total / len(labels)


def _unequal_logits(num_images: int, batch_size: int, num_classes: int) -> tuple[Tensor, Tensor, int]:
    """Return logits, labels and a batch size; the later a batch, the larger its loss."""
    number = torch.arange(num_images) // batch_size
    logits = (1 + 2.0 * number)[:, None] * torch.randn(num_images, num_classes)
    return logits, torch.randint(num_classes, (num_images,)), batch_size


def _batch_means(
    logits: Tensor, labels: Tensor, batch_size: int, *, softmax: bool = False
) -> list[tuple[float, int]]:
    """Return the mean loss and the length of each batch."""
    logits = logits.softmax(dim=1) if softmax else logits
    return [
        (F.cross_entropy(some_logits, some_labels).item(), len(some_labels))
        for some_logits, some_labels in zip(logits.split(batch_size), labels.split(batch_size), strict=True)
    ]


def _total(batches: list[tuple[float, int]]) -> float:
    return sum(mean * length for mean, length in batches)


def _full(batches: list[tuple[float, int]], batch_size: int) -> list[tuple[float, int]]:
    """Return the batches without a ragged last one, where others are left."""
    return [batch for batch in batches if batch[1] == batch_size] or batches


def _measured(answer, logits: Tensor, labels: Tensor, batch_size: int) -> object:
    try:
        return call(answer, logits, labels, batch_size)
    except NotYet as hint:
        if "ZeroDivisionError" in str(hint):
            raise NotYet(
                f"With {len(labels)} images and a batch size of {batch_size} your function divides by zero: one short "
                "batch is a batch too, and an integer division forgets it."
            ) from None
        raise


@exercise(
    passed="Each image counts once: the loss no longer depends on the size of the batches.", blank=_adds_means
)
def average_loss(answer) -> None:
    """Mend a mean loss that adds the batches' means and divides by the number of images."""
    sizes = ((12, 4, 10), (10, 4, 10), (19, 8, 6), (7, 1, 10), (5, 8, 10), (9, 6, 10))
    while True:
        cases = [_unequal_logits(*size) for size in sizes]
        means = [_batch_means(*case) for case in cases]
        if all(max(each)[0] > 1.5 * min(each)[0] for each in means if len(each) > 1):
            break
    found = [expect_number(_measured(answer, *case), what="the loss") for case in cases]
    expected = [_total(each) / len(case[1]) for each, case in zip(means, cases, strict=True)]
    if not close(found, expected):

        def told(rule) -> list[float]:
            return [rule(each, len(case[1]), case[2]) for each, case in zip(means, cases, strict=True)]

        softmaxed = [_batch_means(*case, softmax=True) for case in cases]
        recognise(
            found,
            {
                "It still adds the means of the batches and divides by the number of images: each mean was divided "
                "once before.": told(lambda each, n, size: sum(mean for mean, _ in each) / n),
                "This is the mean of the batch means. It is right while all batches are equally long; in a short last "
                "batch each image counts for more.": told(
                    lambda each, n, size: sum(mean for mean, _ in each) / len(each)
                ),
                "Every batch is counted as if it held `batch_size` images; the last one may hold fewer.": told(
                    lambda each, n, size: sum(mean for mean, _ in each) * size / n
                ),
                "Now the sum is divided by full batches, but the last one may hold fewer images.": told(
                    lambda each, n, size: _total(each) / (size * len(each))
                ),
                "This is the sum over all images: it is never divided.": told(
                    lambda each, n, size: _total(each)
                ),
                "The batch means are added, but never divided.": told(
                    lambda each, n, size: sum(mean for mean, _ in each)
                ),
                "The sum over all images is divided by the number of batches.": told(
                    lambda each, n, size: _total(each) / len(each)
                ),
                "The sum over all images is divided by the size of one batch.": told(
                    lambda each, n, size: _total(each) / size
                ),
                "The sum of the batch means is divided by the size of one batch.": told(
                    lambda each, n, size: sum(mean for mean, _ in each) / size
                ),
                "The last batch is left out where it is shorter than the others; its images count too.": told(
                    lambda each, n, size: (
                        _total(_full(each, size)) / sum(length for _, length in _full(each, size))
                    )
                ),
                "The images of a short last batch are counted, but their losses are left out.": told(
                    lambda each, n, size: _total(_full(each, size)) / n
                ),
                "Only full batches are added, but the images of a short last one are counted.": told(
                    lambda each, n, size: sum(mean * length for mean, length in each if length == size) / n
                ),
                "The short last batch is left out, also where it is the only one; its images count too.": told(
                    lambda each, n, size: (
                        sum(mean * length for mean, length in each if length == size)
                        / max(sum(length for _, length in each if length == size), 1)
                    )
                ),
                "Each batch is multiplied by the number of classes; how many images has it?": [
                    sum(mean for mean, _ in each) * case[0].shape[1] / len(case[1])
                    for each, case in zip(means, cases, strict=True)
                ],
                "The sum over a batch is multiplied by the number of its images once more.": told(
                    lambda each, n, size: sum(mean * length**2 for mean, length in each) / n
                ),
                "This is the last batch alone: each round of the loop forgets what the others have added.": told(
                    lambda each, n, size: each[-1][0] * each[-1][1] / n
                ),
                "This is the first batch alone: does the function return inside the loop?": told(
                    lambda each, n, size: each[0][0] * each[0][1] / n
                ),
                "This is the loss of the last batch alone.": told(lambda each, n, size: each[-1][0]),
                "This is the loss of the first batch alone: does the function return inside the loop?": told(
                    lambda each, n, size: each[0][0]
                ),
                "This is the loss of a second softmax: `F.cross_entropy` takes the logits themselves.": [
                    _total(each) / len(case[1]) for each, case in zip(softmaxed, cases, strict=True)
                ],
                "This is the share of images read right, not the loss.": [
                    (logits.argmax(dim=1) == labels).double().mean().item() for logits, labels, _ in cases
                ],
            },
        )
    cases = list(zip([(len(labels), size) for _, labels, size in cases], found, expected, strict=True))
    even = all(close(one, other) for (num_images, size), one, other in cases if num_images % size == 0)
    for (num_images, size), one, other in cases:
        text = f"for {num_images} images in batches of {size} the mean loss is {other:.4f}, and yours is {one:.4f}."
        text = f"Where all batches are equally long it is right, but {text}" if even else text.capitalize()
        expect(close(one, other), text)


# ---- weakest_class ----------------------------------------------------------------------------------------------


def _confusions(sizes: tuple[int, ...]) -> list[Tensor]:
    """Return random confusion matrices in which each usual mistake points to other classes.

    The weakest class is the last one, the first, the eleventh, and any.
    """
    while True:
        places = (9, 5, 0, 10, random.randrange(1, 9))
        matrices = [
            _placed(_confusion(size), place) for size, place in zip(sizes[1:], places[1:], strict=True)
        ]
        matrices.insert(0, matrices[-1])  # to save time: it gets another order, and a rival
        matrices[0] = _with_rival(_placed(matrices[4], 9), 30)
        matrices[1] = _with_rival(matrices[1], 4000)
        answers = [tuple(int(rule(each).argmin()) for each in matrices) for rule in _RULES.values()]
        if len(set(answers)) == len(answers):
            return matrices


def _placed(confusion: Tensor, place: int) -> Tensor:
    """Number the classes anew, so that the one of the lowest recall gets this place."""
    order = [number for number in range(len(confusion)) if number != int(_recall(confusion).argmin())]
    order.insert(place, int(_recall(confusion).argmin()))
    return confusion[order][:, order]


def _with_rival(confusion: Tensor, num_images: int) -> Tensor:
    """Give one class a recall slightly above the lowest: of few images a lower end below, of many an upper end."""
    recall = _recall(confusion)
    lowest = int(recall.argmin())
    rival, other = [number for number in range(len(confusion)) if number != lowest][:2]
    num_right = math.ceil(num_images * (recall[lowest].item() + 0.005))
    confusion = confusion.clone()
    confusion[rival] = 0
    confusion[rival, rival], confusion[rival, other] = num_right, num_images - num_right
    return confusion


def _lower_ends(confusion: Tensor) -> Tensor:
    return torch.tensor([_interval_of(confusion, number)[0] for number in range(len(confusion))])


def _upper_ends(confusion: Tensor) -> Tensor:
    return torch.tensor([_interval_of(confusion, number)[1] for number in range(len(confusion))])


def _interval_of(confusion: Tensor, number: int) -> tuple[float, float]:
    return accuracy_interval(confusion[number, number].item(), confusion[number].sum().item())


def _confusion(num_classes: int) -> Tensor:
    while True:
        often_named = torch.randint(1, 6, (num_classes,))
        confusion = torch.randint(0, 6, (num_classes, num_classes)) * often_named
        confusion += torch.diag(torch.randint(20, 400, (num_classes,)))
        recall = _recall(confusion)
        right, values = int(recall.argmin()), recall.sort().values
        if values[1] - values[0] > 0.01 and all(
            int(rule(confusion).argmin()) != right
            for rule in reversed(_RULES.values())
            if rule is not _recall
        ):
            return confusion


def _recall(confusion: Tensor) -> Tensor:
    return confusion.diag() / confusion.sum(dim=1)


def _precision(confusion: Tensor) -> Tensor:
    return confusion.diag() / confusion.sum(dim=0)


def _f1(confusion: Tensor) -> Tensor:
    return 2 * confusion.diag() / (confusion.sum(dim=0) + confusion.sum(dim=1))


def _few_mistakes(confusion: Tensor) -> Tensor:
    """Return the mistakes of each class with a minus, so that the most are the minimum."""
    return confusion.diag() - confusion.sum(dim=1)


_RULES = {
    "": _recall,
    "This is the class of the lowest precision: recall looks at the images that are of a class, so at its row.": (
        _precision
    ),
    "This is the class with the fewest right answers, but that depends on how many images it has: compare shares.": (
        torch.diag
    ),
    "This is the class with the most mistakes, but that depends on how many images it has: compare shares.": (
        _few_mistakes
    ),
    "This is the class with the highest recall.": lambda confusion: -_recall(confusion),
    "This is the class with the lowest F1; the exercise asks for the recall alone.": _f1,
    "This is the class with the fewest images.": lambda confusion: confusion.sum(dim=1),
}
_RULES_OF_ENDS = {
    "This is the class whose interval has the lowest lower end; the class with the lowest recall was asked for.": (
        _lower_ends
    ),
    "This is the class whose interval has the lowest upper end; the class with the lowest recall was asked for.": (
        _upper_ends
    ),
}


@exercise(
    passed="A class's recall comes with an interval of its own, from its own images: fewer images, a wider one. "
    "That of the class that came out lowest lies too low."
)
def weakest_class(answer) -> None:
    """Take a confusion matrix; return the class of the lowest recall, and the ends of that recall's interval."""
    matrices = _confusions((10, 10, 6, 12, 10))
    found = []
    for confusion in matrices:
        result = call(answer, confusion)
        if isinstance(result, Tensor) and result.ndim == 1:
            result = result.tolist()
        expect(
            isinstance(result, tuple | list) and len(result) == 3,
            f"Expected three numbers, the class and the two ends of the interval, got {describe_value(result)}.",
        )
        found.append([expect_number(value, what="each of the three") for value in result])
    classes = [numbers[0] for numbers in found]
    right = [int(_recall(confusion).argmin()) for confusion in matrices]
    if classes != right:
        expect(
            all(number == int(number) for number in classes) or [numbers[2] for numbers in found] == right,
            f"The first number should be a class, but it is {classes[0]:.3f}: a lowest value is not its place.",
        )
        expect(
            any(classes),
            "Your answer is class 0 every time: is a share rounded down to 0 on the way, as `//` does?",
        )
        expect(
            [numbers[2] for numbers in found] != right,
            "Your three numbers come in another order: the class first, then the lower and the upper end.",
        )
        told = {
            hint: [int(rule(confusion).argmin()) for confusion in matrices]
            for hint, rule in (_RULES | _RULES_OF_ENDS).items()
            if hint
        }
        told["You count the classes from 1; digits begin with 0."] = [each + 1 for each in right]
        recognise(classes, told, 1e-9)
        expect(
            all(0 <= one < len(confusion) for confusion, one in zip(matrices, classes, strict=True)),
            f"Some of your classes are not there: in matrices of 10, 10, 6, 12 and 10 classes you return "
            f"{', '.join(f'{each:g}' for each in classes)}.",
        )
        for confusion, one, other in zip(matrices, classes, right, strict=True):
            expect(
                one == other,
                f"In a matrix of {len(confusion)} classes the lowest recall, {_recall(confusion)[other]:.3f}, is "
                f"that of class {other}; your answer is {one:g}.",
            )
    _expect_intervals(matrices, right, [numbers[1:] for numbers in found])


def _textbook(num_correct: int, num_images: int) -> tuple[float, float]:
    share = num_correct / num_images
    half = 1.96 * math.sqrt(share * (1 - share) / num_images)
    return share - half, share + half


def _expect_intervals(matrices: list[Tensor], classes: list[int], found: list[list[float]]) -> None:
    """Raise NotYet unless the ends are those of the recall's interval in each matrix."""
    counts = [
        (
            confusion[number, number].item(),
            confusion[number].sum().item(),
            confusion[:, number].sum().item(),
            confusion.diag().sum().item(),
            confusion.sum().item(),
        )
        for confusion, number in zip(matrices, classes, strict=True)
    ]

    def told(interval) -> list[Tensor]:
        return [torch.tensor(interval(*each)).double() for each in counts]

    expected = told(lambda right, row, column, all_right, images: accuracy_interval(right, row))
    found = [torch.tensor(each).double() for each in found]
    if all(close(*pair) for pair in zip(found, expected, strict=True)):
        return
    recognise(
        found,
        {
            "The class is right, but the interval is that of its precision: a recall rests on the images of the "
            "class.": told(lambda right, row, column, all_right, images: accuracy_interval(right, column)),
            "The class is right, but its right answers are divided by the images of all classes.": told(
                lambda right, row, column, all_right, images: accuracy_interval(right, images)
            ),
            "The class is right, but the interval is that of the accuracy over all classes.": told(
                lambda right, row, column, all_right, images: accuracy_interval(all_right, images)
            ),
            "The class is right, but the interval is that of its mistakes.": told(
                lambda right, row, column, all_right, images: accuracy_interval(row - right, row)
            ),
            "The class is right, but this is the textbook's interval, which fails near 0 and 1; take Wilson's.": told(
                lambda right, row, column, all_right, images: _textbook(right, row)
            ),
            "The two ends have changed places: the lower one comes first.": [
                each.flip(0) for each in expected
            ],
            "The class is right, but the interval is in percent; shares go from 0 to 1.": [
                100 * each for each in expected
            ],
            "The class is right, but the second number is its recall; the exercise asks for both ends.": [
                torch.stack([torch.tensor(right / row).double(), ends[1]])
                for (right, row, *_), ends in zip(counts, expected, strict=True)
            ],
        },
    )
    for (right, row, *_), one, other in zip(counts, found, expected, strict=True):
        expect(
            close(one, other),
            f"{right} of {row} images of the class were read right, so the interval goes from {other[0]:.4f} to "
            f"{other[1]:.4f}; yours goes from {one[0]:.4f} to {one[1]:.4f}.",
        )


# ---- paired_p_value ---------------------------------------------------------------------------------------------


_SPLITS = (  # images that only the first reads right, only the second, both, neither
    (9, 2, 30, 2),
    (3, 12, 2, 3),
    (16, 1, 5, 2),
    (4, 4, 20, 10),
    (0, 0, 20, 9),
    (0, 6, 20, 1),
    (20, 9, 35, 8),
    (1, 0, 15, 8),
    (7, 8, 0, 4),
    (14, 22, 30, 0),
    (58, 40, 60, 9),  # more than an int64 can count
)


_TOO_MANY = (
    "It is right while few images split the two networks. Where 98 do, numbers run over: those in a tensor have a "
    "limit, Python's own whole numbers have none."
)


def _predictions(only_first: int, only_second: int, both: int, neither: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the predictions of two networks and the labels; where both are wrong, each is so in its own way."""
    num_images = only_first + only_second + both + neither
    labels = torch.randint(10, (num_images,))
    first, second = labels.clone(), labels.clone()
    second[:only_first] += 1 + torch.randint(9, (only_first,))
    first[only_first : only_first + only_second] += 1 + torch.randint(9, (only_second,))
    first[num_images - neither :] += 1 + torch.randint(4, (neither,))
    second[num_images - neither :] += 5 + torch.randint(4, (neither,))
    order = torch.randperm(num_images)
    return first[order] % 10, second[order] % 10, labels[order]


def _tail(num: int, least: int) -> float:
    """Return the chance that of `num` fair coins at least `least` show heads."""
    return sum(math.comb(num, k) for k in range(max(least, 0), num + 1)) / 2**num


def _two_sided(a: int, b: int) -> float:
    return min(1.0, 2 * _tail(a + b, max(a, b)))


def _chi_square(a: int, b: int, correction: int) -> float:
    """Return the p-value of the approximation by a chi-square distribution with one degree of freedom."""
    if a + b == 0:
        return 1.0
    return math.erfc(math.sqrt(max(0, abs(a - b) - correction) ** 2 / (a + b) / 2))


def _unpaired(a: int, b: int, both: int, neither: int) -> float:
    """Return the p-value of comparing the two accuracies as if they came from different images."""
    n = a + b + both + neither
    share = (a + b + 2 * both) / (2 * n)
    return math.erfc(abs(a - b) / n / math.sqrt(2 * share * (1 - share) / n) / math.sqrt(2))


@exercise(
    passed="Only the images that split the two networks tell them apart, and a fair coin says how well."
)
def paired_p_value(answer) -> None:
    """Take two networks' predictions and the labels; return the exact p-value of McNemar's test."""
    cases = [_predictions(*split) for split in _SPLITS]
    found = []
    for (a, b, *_), case in zip(_SPLITS, cases, strict=True):
        try:
            found.append(expect_number(call(answer, *case), what="the p-value"))
        except NotYet as hint:
            if a + b == 0 and "ZeroDivisionError" in str(hint):
                raise NotYet(
                    "Where no image splits the two networks, your function divides by zero."
                ) from None
            if a + b > 62 and close(found, [_two_sided(*each[:2]) for each in _SPLITS[:-1]]):
                raise NotYet(_TOO_MANY) from None
            raise
    expected = [_two_sided(a, b) for a, b, _, _ in _SPLITS]
    if not close(found, expected):
        expect(not close(found[:-1], expected[:-1]), _TOO_MANY)

        def told(rule) -> list[float]:
            return [rule(*split) for split in _SPLITS]

        recognise(
            found,
            {
                "This is one direction only. Before the test nobody knew which network would win, so the other "
                "direction counts too.": told(lambda a, b, *_: _tail(a + b, max(a, b))),
                "A chance cannot exceed 1: where the two win equally often, both directions count the middle.": told(
                    lambda a, b, *_: 2 * _tail(a + b, max(a, b))
                ),
                "The tail leaves out the outcome that was seen: at least as uneven includes just as uneven.": told(
                    lambda a, b, *_: min(1.0, 2 * _tail(a + b, max(a, b) + 1))
                ),
                "You count the images on which the predictions differ. Where both are wrong, each in its own way, "
                "neither has won.": told(
                    lambda a, b, both, neither: min(1.0, 2 * _tail(a + b + neither, max(a, b)))
                ),
                "You toss a coin for every image. Images that both read right, or both wrong, are no toss.": told(
                    lambda a, b, both, neither: min(1.0, 2 * _tail(a + b + both + neither, max(a, b)))
                ),
                "You toss a coin for every image that at least one reads right; those that both read right are no "
                "toss.": told(lambda a, b, both, neither: min(1.0, 2 * _tail(a + b + both, max(a, b)))),
                "It works only while the first network wins: the winner may be either of them.": told(
                    lambda a, b, *_: min(1.0, 2 * _tail(a + b, a))
                ),
                "It works only while the second network wins: the winner may be either of them.": told(
                    lambda a, b, *_: min(1.0, 2 * _tail(a + b, b))
                ),
                "It counts from the loser's wins up, which is nearly everything; count from the winner's.": told(
                    lambda a, b, *_: min(1.0, 2 * _tail(a + b, min(a, b)))
                ),
                "This is the chance of exactly this outcome; the more uneven ones count too.": told(
                    lambda a, b, *_: min(1.0, 2 * math.comb(a + b, a) / 2 ** (a + b))
                ),
                "This is the chance of exactly this outcome in one direction; add the more uneven ones, and the other "
                "direction.": told(lambda a, b, *_: math.comb(a + b, a) / 2 ** (a + b)),
                "This is the approximation by a chi-square distribution; with so few images take the coins "
                "themselves.": told(lambda a, b, *_: _chi_square(a, b, 0)),
                "This is the approximation with a continuity correction; take the coins themselves.": told(
                    lambda a, b, *_: _chi_square(a, b, 1)
                ),
                "This compares two accuracies as if they came from different images; both networks read the same "
                "ones.": told(_unpaired),
                "This is one direction only, and only for the first network; the winner may be either of them.": told(
                    lambda a, b, *_: _tail(a + b, a)
                ),
                "Here all right answers of the two are tossed, but images that both read right tell nothing.": told(
                    lambda a, b, both, neither: min(1.0, 2 * _tail(a + b + 2 * both, max(a, b) + both))
                ),
                "This is one minus the p-value: a small one should speak against the fair coin.": told(
                    lambda a, b, *_: 1 - _two_sided(a, b)
                ),
                "Here all mistakes of the two are tossed, but images that both misread tell nothing.": told(
                    lambda a, b, both, neither: min(1.0, 2 * _tail(a + b + 2 * neither, max(a, b) + neither))
                ),
                "You toss a coin for every image and count all that the better network reads right, but images that "
                "both read right, or both wrong, tell nothing.": told(
                    lambda a, b, both, neither: min(1.0, 2 * _tail(a + b + both + neither, max(a, b) + both))
                ),
                "Where both are wrong, each in its own way, you count a win of the second network.": told(
                    lambda a, b, both, neither: _two_sided(a, b + neither)
                ),
                "Where both are wrong, each in its own way, you count a win of the first network.": told(
                    lambda a, b, both, neither: _two_sided(a + neither, b)
                ),
                "The power of two counts all images, but only those that split the two are tossed.": told(
                    lambda a, b, both, neither: min(1.0, 2 * _tail(a + b, max(a, b)) / 2 ** (both + neither))
                ),
                "The most uneven outcome, all wins for one network, is missing: where does your range end?": told(
                    lambda a, b, *_: min(1.0, 2 * (_tail(a + b, max(a, b)) - 0.5 ** (a + b)))
                ),
                "You count the outcome that was seen only half, which is the mid-p variant; the exact test counts it "
                "in full.": told(lambda a, b, *_: _two_sided(a, b) - math.comb(a + b, a) / 2 ** (a + b)),
                "Where no image splits the two there is no toss, and so no evidence at all: the p-value is not 0.": [
                    0.0 if a + b == 0 else value for (a, b, *_), value in zip(_SPLITS, expected, strict=True)
                ],
            },
            1e-6,
        )
    expect(max(found) < 1 + 1e-6, f"A chance cannot exceed 1, but one of your answers is {max(found):.4f}.")
    for (a, b, *_), one, other in zip(_SPLITS, found, expected, strict=True):
        expect(
            close(one, other),
            f"Where only the first network is right on {a} images, and only the second on {b}, the p-value is "
            f"{other:.4f}; yours is {one:.4f}.",
        )
