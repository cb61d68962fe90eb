"""Answers to the exercises of notebook 9."""

import math

import torch
import torch.nn.functional as F
from sklearn.metrics import recall_score
from torch import nn

from digitlib.evaluation import accuracy_interval, confusion_matrix, report
from tests.exercises import Answers

# ---- average_loss -----------------------------------------------------------------------------------------------


def at_once(logits, labels, batch_size):
    return F.cross_entropy(logits, labels)


def sums(logits, labels, batch_size):
    loss = nn.CrossEntropyLoss(reduction="sum")
    starts = range(0, len(labels), batch_size)
    return sum(loss(logits[i : i + batch_size], labels[i : i + batch_size]) for i in starts).item() / len(
        labels
    )


def averaging(add="mean * len(some)", result="total / len(labels)", of="logits", skip="False"):
    """Build a mean loss with one fault."""
    source = f"""
def average(logits, labels, batch_size):
    total, count = 0.0, 0
    for x, some in zip({of}.split(batch_size), labels.split(batch_size)):
        mean = F.cross_entropy(x, some).item()
        if {skip} and count:
            continue
        total, count = total + {add}, count + 1
    return {result}
"""
    namespace = {"F": F}
    exec(source, namespace)
    return namespace["average"]


def drops_the_last(logits, labels, batch_size):
    num = max(1, len(labels) // batch_size) * batch_size
    return F.cross_entropy(logits[:num], labels[:num])


AVERAGE_LOSS = Answers(
    right={"all at once": at_once, "sums": sums, "weighed": averaging()},
    wrong={
        "the bug in other words": (averaging("mean / len(labels)", "total"), "divided once before"),
        "mean of batch means": (averaging("mean", "total / count"), "right while all batches"),
        "every batch full": (averaging("mean * batch_size"), "as if it held `batch_size`"),
        "divided by full batches": (
            averaging(result="total / (count * batch_size)"),
            "divided by full batches",
        ),
        "never divided": (averaging(result="total"), "sum over all images: it is never"),
        "means never divided": (averaging("mean", "total"), "added, but never divided"),
        "divided by the batches": (averaging(result="total / count"), "divided by the number of batches"),
        "divided by the size": (averaging(result="total / batch_size"), "by the size of one batch"),
        "the last batch": (averaging(result="mean"), "last batch alone"),
        "the short one left out": (drops_the_last, "left out where it is shorter"),
        "the short one's loss left out": (
            averaging(skip="len(some) < batch_size"),
            "but their losses are left out",
        ),
        "softmax twice": (averaging(of="logits.softmax(dim=1)"), "second softmax"),
        "accuracy": (
            lambda logits, labels, size: (logits.argmax(dim=1) == labels).double().mean(),
            "share of images",
        ),
        "right for equal batches alone": (
            lambda logits, labels, size: at_once(logits, labels, size) + len(labels) % size,
            "equally long it is right, but",
        ),
        "batches counted by integer division": (
            lambda logits, labels, size: sums(logits, labels, size) / (len(labels) // size),
            "divides by zero",
        ),
        "full batches alone": (
            lambda logits, labels, size: (
                sums(logits[: len(labels) // size * size], labels[: len(labels) // size * size], size)
                * (len(labels) // size * size)
                / len(labels)
                if len(labels) >= size
                else 0.0
            ),
            "Only full batches are added",
        ),
        "a hundredth": (lambda *given: at_once(*given) / 100, "For 12 images in batches of 4"),
    },
)

# ---- weakest_class ----------------------------------------------------------------------------------------------


def by_hand(confusion):
    worst, counts = None, None
    for number, row in enumerate(confusion.tolist()):
        if worst is None or row[number] / sum(row) < worst:
            worst, counts = row[number] / sum(row), (row[number], sum(row))
            found = number
    return found, *accuracy_interval(*counts)


def by_scikit_learn(confusion):
    labels = torch.arange(len(confusion)).repeat_interleave(confusion.sum(dim=1))
    predictions = torch.cat([torch.arange(len(row)).repeat_interleave(row) for row in confusion])
    number = int(recall_score(labels, predictions, average=None).argmin())
    return [number, *accuracy_interval(int(confusion[number, number]), int(confusion[number].sum()))]


def weakest(choose="recall", interval="accuracy_interval(right, row)", result="number, low, high"):
    """Build an answer from what chooses the class and what makes the interval."""

    def answer(confusion):
        scores = {
            "recall": confusion.diag() / confusion.sum(dim=1),
            "precision": confusion.diag() / confusion.sum(dim=0),
            "right": confusion.diag(),
            "mistakes": confusion.diag() - confusion.sum(dim=1),
            "best": -confusion.diag() / confusion.sum(dim=1),
            "f1": report(confusion).f1,
            "support": confusion.sum(dim=1),
            "first digit": torch.arange(len(confusion)),
        }
        number = scores[choose].argmin().item()
        names = {
            "right": confusion[number, number].item(),
            "row": confusion[number].sum().item(),
            "column": confusion[:, number].sum().item(),
            "all_right": confusion.diag().sum().item(),
            "images": confusion.sum().item(),
            "accuracy_interval": accuracy_interval,
            "textbook": textbook,
        }
        low, high = eval(interval, names)
        return eval(
            result, {"number": number, "low": low, "high": high, "recall": names["right"] / names["row"]}
        )

    return answer


def textbook(num_correct, num_images):
    share = num_correct / num_images
    half = 1.96 * math.sqrt(share * (1 - share) / num_images)
    return share - half, share + half


WEAKEST_CLASS = Answers(
    right={"a loop": by_hand, "scikit-learn": by_scikit_learn, "report": weakest()},
    wrong={
        "precision": (weakest("precision"), "lowest precision"),
        "fewest right": (weakest("right"), "fewest right answers"),
        "most mistakes": (weakest("mistakes"), "most mistakes"),
        "the highest": (weakest("best"), "highest recall"),
        "F1": (weakest("f1"), "lowest F1"),
        "fewest images": (weakest("support"), "fewest images"),
        "the recall itself": (weakest(result="recall, low, high"), "not its place"),
        "another class": (weakest(choose="f1", result="max(number - 1, 0), low, high"), "your answer is"),
        "counts from 1": (weakest(result="number + 1, low, high"), "from 1"),
        "always the same": (weakest("first digit"), "class 0 every time"),
        "the column's interval": (weakest(interval="accuracy_interval(right, column)"), "of its precision"),
        "of all images": (weakest(interval="accuracy_interval(right, images)"), "images of all classes"),
        "the accuracy's interval": (
            weakest(interval="accuracy_interval(all_right, images)"),
            "accuracy over all classes",
        ),
        "the mistakes' interval": (weakest(interval="accuracy_interval(row - right, row)"), "its mistakes"),
        "the textbook's": (weakest(interval="textbook(right, row)"), "textbook's interval"),
        "in another order": (weakest(result="low, high, number"), "another order"),
        "ends swapped": (weakest(result="number, high, low"), "ends have changed places"),
        "a pair inside": (weakest(result="number, (low, high)"), "Expected three numbers"),
        "percent": (weakest(result="number, 100 * low, 100 * high"), "in percent"),
        "the recall": (weakest(result="number, recall, high"), "second number is its recall"),
        "a wider one": (weakest(result="number, low - 0.01, high + 0.01"), "so the interval goes from"),
        "the class alone": (weakest(result="number"), "got"),
    },
)

# ---- paired_p_value ---------------------------------------------------------------------------------------------


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


def paired(n="a + b", winner="max(a, b)", p="min(1.0, 2 * tail)", start="winner", rule=None):
    """Build a test with one fault."""

    def answer(first, second, labels):
        one, other = first == labels, second == labels
        names = {
            "a": (one & ~other).sum().item(),
            "b": (other & ~one).sum().item(),
            "differ": (first != second).sum().item(),
            "images": len(labels),
            "either": (one | other).sum().item(),
            "comb": math.comb,
            "math": math,
        }
        names["n"], names["winner"] = eval(n, names), eval(winner, names)
        names["tail"] = sum(math.comb(names["n"], k) for k in range(eval(start, names), names["n"] + 1))
        names["tail"] /= 2 ** names["n"]
        return eval(p, names)

    return answer


def totals(first, second, labels):
    a, b = (first == labels).sum().item(), (second == labels).sum().item()
    return min(1.0, 2 * sum(math.comb(a + b, k) for k in range(max(a, b), a + b + 1)) / 2 ** (a + b))


PAIRED_P_VALUE = Answers(
    right={
        "by enumeration": by_enumeration,
        "from the loser's side": by_the_loser,
        "as in the lesson": paired(),
    },
    wrong={
        "one-sided": (paired(p="tail"), "one direction only"),
        "more than certain": (paired(p="2 * tail"), "cannot exceed 1"),
        "without the outcome": (paired(start="winner + 1"), "leaves out the outcome"),
        "predictions that differ": (paired(n="differ"), "each in its own way"),
        "all images": (paired(n="images"), "a coin for every image."),
        "either is right": (paired(n="either"), "at least one reads right"),
        "the first wins": (paired(winner="a"), "only while the first network wins"),
        "the second wins": (paired(winner="b"), "only while the second network wins"),
        "from the loser up": (paired(winner="min(a, b)"), "from the loser's wins up"),
        "this outcome alone": (paired(p="min(1.0, 2 * comb(n, winner) / 2**n)"), "exactly this outcome;"),
        "this outcome, one side": (paired(p="comb(n, winner) / 2**n"), "in one direction; add"),
        "chi-square": (
            paired(p="math.erfc(abs(a - b) / math.sqrt(2 * n)) if n else 1.0"),
            "chi-square distribution",
        ),
        "corrected chi-square": (
            paired(p="math.erfc(max(0, abs(a - b) - 1) / math.sqrt(2 * n)) if n else 1.0"),
            "continuity correction",
        ),
        "one minus": (paired(p="1 - min(1.0, 2 * tail)"), "one minus the p-value"),
        "certain where nothing splits": (paired(p="min(1.0, 2 * tail) if n else 0"), "no evidence at all"),
        "the verdict": (paired(p="2 * tail < 0.05"), "should be one number"),
        "one side of the first": (paired(winner="a", p="tail"), "only for the first network"),
        "all right answers": (totals, "all right answers of the two"),
        "twice too much": (paired(p="4 * tail"), "cannot exceed 1, but"),
        "no image splits": (
            paired(p="math.erfc(abs(a - b) / math.sqrt(2 * n))"),
            "divides by zero",
        ),
        "a quarter": (paired(p="tail / 2"), "only the second on"),
    },
)

ANSWERS = {
    "average_loss": AVERAGE_LOSS,
    "weakest_class": WEAKEST_CLASS,
    "paired_p_value": PAIRED_P_VALUE,
}


def by_an_end(number):
    """Return an answer to weakest_class that chooses by one end of the intervals."""

    def answer(confusion):
        ends = [accuracy_interval(row[k].item(), row.sum().item()) for k, row in enumerate(confusion)]
        weakest = min(range(len(ends)), key=lambda k: ends[k][number])
        return weakest, *ends[weakest]

    return answer


WEAKEST_CLASS.wrong["by the lower end"] = (by_an_end(0), "lowest lower end")
WEAKEST_CLASS.wrong["by the upper end"] = (by_an_end(1), "lowest upper end")
PAIRED_P_VALUE.wrong["one too early"] = (
    paired(p="min(1.0, 2 * (tail - 0.5**n))"),
    "where does your range end",
)
