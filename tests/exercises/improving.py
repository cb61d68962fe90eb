"""Answers to the exercises of notebook 10."""

import math
from collections import Counter

import torch

from digitlib.evaluation import accuracy_interval
from tests.exercises import Answers

# ---- most_confused ----------------------------------------------------------------------------------------------


def counted_in_a_loop(labels, predictions):
    pairs = zip(labels.tolist(), predictions.tolist(), strict=True)
    return Counter(tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1]).most_common(1)[0][0]


def matrix(labels, predictions):
    counts = torch.zeros(10, 10, dtype=torch.long)
    counts.index_put_((labels, predictions), torch.tensor(1), accumulate=True)
    return counts


def from_a_matrix(labels, predictions):
    counts = matrix(labels, predictions)
    counts = torch.triu(counts + counts.T, diagonal=1)
    return torch.tensor(divmod(counts.argmax().item(), 10))


def larger_first(labels, predictions):
    return counted_in_a_loop(labels, predictions)[::-1]


def with_the_right_ones(labels, predictions):
    pairs = zip(labels.tolist(), predictions.tolist(), strict=True)
    return Counter(tuple(sorted(pair)) for pair in pairs).most_common(1)[0][0]


def one_way(labels, predictions):
    pairs = zip(labels.tolist(), predictions.tolist(), strict=True)
    return Counter(pair for pair in pairs if pair[0] != pair[1]).most_common(1)[0][0]


def smaller_digit_true(labels, predictions):
    return divmod(torch.triu(matrix(labels, predictions), diagonal=1).argmax().item(), 10)


def by_rate(labels, predictions):
    counts = matrix(labels, predictions)
    rates = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    return tuple(sorted(divmod(rates.fill_diagonal_(0).argmax().item(), 10)))


def most_misread(labels, predictions):
    return tuple(sorted(torch.bincount(labels[labels != predictions], minlength=10).topk(2).indices.tolist()))


def only_the_count(labels, predictions):
    return (labels != predictions).sum()


def least_confused(labels, predictions):
    pairs = zip(labels.tolist(), predictions.tolist(), strict=True)
    return Counter(tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1]).most_common()[-1][0]


# ---- difference_of_means ----------------------------------------------------------------------------------------


def by_hand(baseline, other):
    parts = []
    for scores in (baseline, other):
        mean = sum(scores.tolist()) / len(scores)
        squares = sum((score - mean) ** 2 for score in scores.tolist())
        parts.append((mean, squares / (len(scores) - 1) / len(scores)))
    return parts[1][0] - parts[0][0], math.sqrt(parts[0][1] + parts[1][1])


def as_one_tensor(baseline, other):
    errors = torch.stack([scores.std() / math.sqrt(len(scores)) for scores in (baseline, other)])
    return torch.stack([other.mean() - baseline.mean(), errors.norm()])


def means(difference=None, error=None):
    """Return an answer that is right but for the part given."""
    difference = difference or (lambda a, b: b.mean() - a.mean())
    error = error or (lambda a, b: (a.var() / len(a) + b.var() / len(b)).sqrt())
    return lambda baseline, other: (difference(baseline, other), error(baseline, other))


# ---- search_result ----------------------------------------------------------------------------------------------


def in_a_loop(validation, fresh):
    best, winner = -1, None
    for number, row in enumerate(validation):
        if row.sum() > best:
            best, winner = row.sum(), number
    return [torch.tensor(winner), fresh[winner].float().mean()]


def choosing(scores, report=lambda v, f, w: f[w].double().mean().item()):
    def answer(validation, fresh):
        winner = scores(validation.double(), fresh.double()).argmax().item()
        return winner, report(validation, fresh, winner)

    return answer


def on_validation(validation, fresh):
    return validation.mean(dim=1)


# ---- covered_results --------------------------------------------------------------------------------------------


def in_accuracies(num_correct, num_images, published):
    low, high = accuracy_interval(num_correct, num_images)
    names = set()
    for name, error in published.items():
        if low <= (100 - error) / 100 <= high:
            names.add(name)
    return names


def in_percent(num_correct, num_images, published):
    low, high = (100 - 100 * end for end in accuracy_interval(num_correct, num_images)[::-1])
    return [name for name in published if low <= published[name] <= high]


def keeping(rule):
    def answer(num_correct, num_images, published):
        low, high = (100 * end for end in accuracy_interval(num_correct, num_images))
        own = 100 * num_correct / num_images
        return [name for name, error in published.items() if rule(100 - error, low, high, own)]

    return answer


def simple_interval(num_correct, num_images, published):
    error = 1 - num_correct / num_images
    half = 1.96 * math.sqrt(error * (1 - error) / num_images)
    return [name for name, each in published.items() if error - half <= each / 100 <= error + half]


def nearest(num_correct, num_images, published):
    own = 100 - 100 * num_correct / num_images
    return [min(published, key=lambda name: abs(published[name] - own))]


def percent_against_shares(num_correct, num_images, published):
    low, high = accuracy_interval(num_correct, num_images)
    return [name for name, error in published.items() if 1 - high <= error <= 1 - low]


ANSWERS = {
    "most_confused": Answers(
        right={"a loop": counted_in_a_loop, "a matrix, and a tensor": from_a_matrix},
        wrong={
            "the larger first": (larger_first, "in the other order"),
            "right ones counted": (with_the_right_ones, "read right are among those"),
            "one direction": (one_way, "one direction alone"),
            "half of the matrix": (smaller_digit_true, "true digit is the smaller one"),
            "rates": (by_rate, "compare the counts"),
            "two misread digits": (most_misread, "need not be misread as each other"),
            "only a count": (only_the_count, "should be two digits"),
            "the least": (least_confused, "but another pair"),
        },
    ),
    "difference_of_means": Answers(
        right={"by hand": by_hand, "one tensor": as_one_tensor},
        wrong={
            "swapped": (lambda a, b: means()(a, b)[::-1], "changed places"),
            "wrong sign": (means(lambda a, b: a.mean() - b.mean()), "wrong sign"),
            "no sign": (means(lambda a, b: (a.mean() - b.mean()).abs()), "never negative"),
            "best seeds": (means(lambda a, b: b.max() - a.max()), "best seed of each"),
            "best against mean": (means(lambda a, b: b.max() - a.mean()), "favours the first"),
            "sums": (means(lambda a, b: b.sum() - a.sum()), "compare sums"),
            "divided by n": (
                means(
                    error=lambda a, b: (a.var(correction=0) / len(a) + b.var(correction=0) / len(b)).sqrt()
                ),
                "n − 1",
            ),
            "single trainings": (
                means(error=lambda a, b: (a.var() + b.var()).sqrt()),
                "two single trainings",
            ),
            "no root": (means(error=lambda a, b: a.var() / len(a) + b.var() / len(b)), "a root is missing"),
            "errors added": (
                means(error=lambda a, b: a.std() / len(a) ** 0.5 + b.std() / len(b) ** 0.5),
                "partly cancel",
            ),
            "one number of seeds": (
                means(error=lambda a, b: ((a.var() + b.var()) / len(a)).sqrt()),
                "the baseline's number",
            ),
            "always three seeds": (
                means(error=lambda a, b: ((a.var() + b.var()) / 3).sqrt()),
                "three seeds only",
            ),
            "all pooled": (
                means(error=lambda a, b: torch.cat([a, b]).std() / (len(a) + len(b)) ** 0.5),
                "pool all scores",
            ),
            "something else": (means(error=lambda a, b: 2 * a.std()), "the standard error is"),
            "the difference alone": (lambda a, b: b.mean() - a.mean(), "two numbers"),
        },
    ),
    "search_result": Answers(
        right={
            "a loop, and tensors": in_a_loop,
            "by counts": choosing(lambda v, f: v.sum(dim=1)),
        },
        wrong={
            "fresh images choose": (choosing(lambda v, f: f.mean(dim=1)), "fresh no longer"),
            "all images choose": (
                choosing(lambda v, f: torch.cat([v, f], dim=1).mean(dim=1)),
                "still take part",
            ),
            "the worst": (choosing(lambda v, f: -v.mean(dim=1)), "worst accuracy"),
            "validation reported": (
                choosing(on_validation, lambda v, f, w: v[w].double().mean().item()),
                "images that chose. It is too high",
            ),
            "both reported": (
                choosing(on_validation, lambda v, f, w: torch.cat([v[w], f[w]]).double().mean()),
                "still in the accuracy that you report",
            ),
            "best fresh reported": (
                choosing(on_validation, lambda v, f, w: f.double().mean(dim=1).max()),
                "best accuracy that any candidate",
            ),
            "mean of all reported": (
                choosing(on_validation, lambda v, f, w: f.double().mean()),
                "mean over all candidates",
            ),
            "a count reported": (choosing(on_validation, lambda v, f, w: f[w].sum()), "a number of images"),
            "errors reported": (
                choosing(on_validation, lambda v, f, w: (~f[w]).double().mean()),
                "read wrong",
            ),
            "first hundred alone": (lambda v, f: (0, 0.5), "You choose candidate 0"),
        },
    ),
    "covered_results": Answers(
        right={"in accuracies, a set": in_accuracies, "in percent": in_percent},
        wrong={
            "nothing fits": (percent_against_shares, "ompare like with like"),
            "one end": (keeping(lambda a, low, high, own: a >= low), "every result that is better"),
            "the other end": (keeping(lambda a, low, high, own: a <= high), "above the interval's lower end"),
            "better ones": (keeping(lambda a, low, high, own: a >= own), "better than yours; the interval"),
            "worse ones": (keeping(lambda a, low, high, own: a <= own), "worse than yours; the interval"),
            "one half": (keeping(lambda a, low, high, own: low <= a <= own), "one half of the interval: it"),
            "the simple interval": (simple_interval, "the simple interval"),
            "the others": (keeping(lambda a, low, high, own: not low <= a <= high), "does not cover"),
            "the nearest": (nearest, "nearest result alone"),
            "all": (lambda c, n, published: list(published), "every name"),
            "errors, not names": (lambda c, n, published: list(published.values()), "keys of `published`"),
            "a fixed margin": (keeping(lambda a, low, high, own: abs(a - own) < 0.1), "in the list"),
        },
    ),
}


def most_involved(labels, predictions):
    wrong = labels != predictions
    digits = torch.bincount(torch.cat([labels[wrong], predictions[wrong]]), minlength=10).topk(2).indices
    return tuple(sorted(digits.tolist()))


def covered_in_place(num_correct, num_images, published):
    low, high = accuracy_interval(num_correct, num_images)
    for name in list(published):
        if not low <= 1 - published[name] / 100 <= high:
            del published[name]
    return list(published)


ANSWERS["most_confused"].wrong["each digit alone"] = (most_involved, "on its own")
ANSWERS["difference_of_means"].wrong["twice the error"] = (
    lambda a, b: (b.mean() - a.mean(), 2 * (a.var() / len(a) + b.var() / len(b)).sqrt()),
    "twice the standard error",
)
ANSWERS["search_result"].wrong["counted in uint8"] = (
    choosing(lambda v, f: v.sum(dim=1, dtype=torch.uint8), lambda v, f, w: f[w].double().mean().item()),
    "of the validation images right; another",
)
ANSWERS["covered_results"].wrong["in place"] = (covered_in_place, "changes the dictionary")
ANSWERS["covered_results"].wrong["None for none"] = (
    lambda c, n, published: in_percent(c, n, published) or None,
    "where no name is found",
)
