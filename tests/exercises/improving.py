"""Answers to the exercises of notebook 10, beside those that its declarations hold."""

import math
from collections import Counter

import torch

from digitlib.evaluation import accuracy_interval
from tests.exercises import Answers


def counted(labels, predictions):
    pairs = zip(labels.tolist(), predictions.tolist(), strict=True)
    return Counter(tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1]).most_common()


def from_a_matrix(labels, predictions):
    counts = torch.zeros(10, 10, dtype=torch.long)
    counts.index_put_((labels, predictions), torch.tensor(1), accumulate=True)
    counts = torch.triu(counts + counts.T, diagonal=1)
    return divmod(counts.argmax().item(), 10)


def one_way_with_the_right_ones(labels, predictions):
    return Counter(zip(labels.tolist(), predictions.tolist(), strict=True)).most_common(1)[0][0]


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


def in_a_loop(validation, fresh):
    best, winner = -1, None
    for number, row in enumerate(validation):
        if row.sum() > best:
            best, winner = row.sum(), number
    return [torch.tensor(winner), fresh[winner].float().mean()]


def chosen_by(scores, report):
    def answer(validation, fresh):
        winner = int(scores(validation, fresh).argmax())
        return winner, report(validation, fresh, winner)

    return answer


def in_accuracies(num_correct, num_images, published):
    low, high = accuracy_interval(num_correct, num_images)
    return {name for name, error in published.items() if low <= (100 - error) / 100 <= high}


def in_percent(num_correct, num_images, published):
    low, high = (100 - 100 * end for end in accuracy_interval(num_correct, num_images)[::-1])
    return sorted(name for name in published if low <= published[name] <= high)


def keeping(rule):
    def answer(num_correct, num_images, published):
        low, high = (100 * end for end in accuracy_interval(num_correct, num_images))
        return [name for name, error in published.items() if rule(100 - error, low, high)]

    return answer


def covered_in_place(num_correct, num_images, published):
    for name in published.keys() - in_accuracies(num_correct, num_images, published):
        del published[name]
    return list(published)


ANSWERS = {
    "most_confused": Answers(
        right={"a loop": lambda *given: counted(*given)[0][0], "a matrix": from_a_matrix}, wrong={
            "a tensor": (lambda *given: torch.tensor(from_a_matrix(*given)), "but it is a tensor"),
            "the larger first": (lambda *given: counted(*given)[0][0][::-1], "in the reverse order"),
            "two faults: one way, and the right ones": (one_way_with_the_right_ones, "one digit twice"),
            "the least": (lambda *given: counted(*given)[-1][0], "2 numbers of the result are off"),
            "only a count": (lambda labels, predictions: (labels != predictions).sum(), "should be two digits"),
        }),
    "difference_of_means": Answers(
        right={"by hand": by_hand, "one tensor": as_one_tensor}, wrong={
            "swapped": (lambda *given: by_hand(*given)[::-1], "changed places"),
            "two faults: wrong sign, twice the error": (
                lambda a, b: (a.mean() - b.mean(), 2 * by_hand(a, b)[1]), "result 1 of 2 should be"),
            "something else": (lambda a, b: (by_hand(a, b)[0], 2 * a.std()), "result 2 of 2 should be"),
            "the difference alone": (lambda a, b: b.mean() - a.mean(), "should be two numbers"),
            "a hundred times": (lambda a, b: [100 * each for each in by_hand(a, b)], "100 times"),
        }),
    "search_result": Answers(
        right={"a loop, and tensors": in_a_loop}, wrong={
            "always a half": (lambda *given: (in_a_loop(*given)[0], 0.5), "All your numbers are the same"),
            "two faults: fresh ones choose, a count": (
                chosen_by(lambda v, f: f.sum(dim=1), lambda v, f, w: f[w].sum()), "still take part in choosing"),
            "errors": (lambda *given: (in_a_loop(*given)[0], 1 - in_a_loop(*given)[1]), "1 minus"),
            "the winner alone": (lambda validation, fresh: validation.sum(dim=1).argmax(), "the winner's number"),
        }),
    "covered_results": Answers(
        right={"in accuracies, a set": in_accuracies, "in percent, in order": in_percent}, wrong={
            "errors, not names": (lambda right, images, published: list(published.values()), "keys of `published`"),
            "each name twice": (lambda *given: 2 * in_percent(*given), "each of them once"),
            "a fixed margin": (
                keeping(lambda share, low, high: abs(2 * share - low - high) < 0.2), "name for an error"),
            "in place": (covered_in_place, "changes its argument `published`"),
            "None for none": (lambda *given: in_percent(*given) or None, "returns nothing"),
        }),
}  # fmt: skip
