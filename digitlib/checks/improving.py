"""The checks of notebook 10: mistakes, spread between seeds, selection, and published results."""

import math
import random

import torch
from torch import Tensor

from digitlib.checks.core import NotYet, call, close, describe_value, exercise, expect, expect_number
from digitlib.evaluation import accuracy_interval

# ---- the two digits that are mixed up most ----------------------------------------------------------------------


@exercise(passed="A pair that is mixed up either way round is where the next idea should help.")
def most_confused(answer) -> None:
    """Take labels and predictions, int64 (N,), and return the pair mixed up most: two ints, the smaller first."""
    cases = [_mix_ups(*digits) for digits in ((0,), (9,), (), (), ())]
    once = random.sample(range(10), 2)
    cases.append((torch.tensor([once[0], 3, 3]), torch.tensor([once[1], 3, 3])))
    found = [_pair(call(answer, labels, predictions)) for labels, predictions in cases]
    counts = [_confusion(labels, predictions) for labels, predictions in cases]
    right = [_largest(count + count.T, off_diagonal=True) for count in counts]
    if found == right:
        return

    def all_give(rule) -> bool:
        return found[:5] == [rule(count) for count in counts[:5]]  # the last has one mistake

    expect(
        found != [pair[::-1] for pair in right],
        f"The two digits are right, but in the other order: {found[0]} should begin with the smaller one.",
    )
    expect(
        not all(low == high for low, high in found),
        f"{found[0]} is one digit twice: images that were read right are among those that you count.",
    )
    expect(
        not (all_give(lambda c: _ordered(_largest(c, True))) or all_give(lambda c: _largest(c, True))),
        "You count one direction alone. A 4 read as 9 and a 9 read as 4 are mix-ups of the same pair: count both "
        "together.",
    )
    for half in (torch.triu, torch.tril):
        expect(
            not all_give(lambda c, half=half: _ordered(_largest(half(c), True))),
            "You count only mix-ups where the true digit is the "
            f"{'smaller' if half is torch.triu else 'larger'} one; the others are mistakes too.",
        )
    for rate in (_rate, lambda c: _rate(c) + _rate(c).T):
        expect(
            not all_give(lambda c, rate=rate: _ordered(_largest(rate(c), True))),
            "You compare shares of a digit's images, so a rare digit wins with a few mistakes; compare the counts.",
        )
    expect(
        not all_give(
            lambda c: tuple(sorted(c.clone().fill_diagonal_(0).sum(dim=1).topk(2).indices.tolist()))
        ),
        "You return the two digits that are misread most often, but they need not be misread as each other.",
    )
    expect(
        not all_give(lambda c: tuple(sorted(_wrong(c + c.T).topk(2).indices.tolist())))
        and not all_give(lambda c: _ordered((_wrong(c).argmax().item(), _wrong(c.T).argmax().item()))),
        "You choose each digit on its own, by the mistakes it is part of; the two need not be mixed up with each "
        "other.",
    )
    number = next(i for i in range(len(cases)) if found[i] != right[i])
    low, high = found[number]
    count = counts[number]
    expect(0 <= low <= 9 and 0 <= high <= 9, f"{found[number]} are not two digits from 0 to 9.")
    mixed, most = (count + count.T)[low, high].item(), (count + count.T)[right[number]].item()
    if low == high:
        raise NotYet(
            f"{found[number]} is one digit twice. Of {len(cases[number][0])} images, {most} show the pair in question, "
            "and one direction alone is enough for a mix-up."
        )
    raise NotYet(
        f"Among {len(cases[number][0])} images, {low} and {high} were mixed up {mixed} times, but another pair "
        f"{most} times."
    )


def _mix_ups(*first: int) -> tuple[Tensor, Tensor]:
    """Draw labels and predictions for which each way to count gives another pair.

    The pair (a, b) is mixed up most, but evenly; c -> d most in one direction; e -> f and g -> h most among those
    with the smaller and the larger digit first; i is rare, and mostly read as j. Of all digits c and e are misread
    most, and c and j have a part in most mistakes. The digits that are given come first.
    """
    others = [digit for digit in range(10) if digit not in first]
    a, b, c, d, e, f, g, h, i, j = *first, *random.sample(others, len(others))
    (e, f), (h, g) = sorted((e, f)), sorted((h, g))
    if first:  # so that c -> d is in neither half of the table every time
        c, d = sorted((c, d), reverse=first == (0,))
    count = torch.diag(torch.randint(30, 60, (10,)))
    for true, predicted, times in (
        (a, b, 6),
        (b, a, 5),
        (c, d, 9),
        (d, c, 1),
        (e, f, 8),
        (g, h, 8),
        (i, j, 7),
        (e, g, 1),
        (e, j, 3),
        (c, j, 4),
    ):
        count[true, predicted] = times
    count[i, i] = 3
    count *= random.randint(1, 3)
    pairs = torch.arange(100).repeat_interleave(count.flatten())
    pairs = pairs[torch.randperm(len(pairs))]
    return pairs // 10, pairs % 10


def _confusion(labels: Tensor, predictions: Tensor) -> Tensor:
    return torch.bincount(10 * labels + predictions, minlength=100).view(10, 10)


def _wrong(count: Tensor) -> Tensor:
    """Return how many mistakes each row holds."""
    return count.clone().fill_diagonal_(0).sum(dim=1)


def _rate(count: Tensor) -> Tensor:
    return count / count.sum(dim=1, keepdim=True).clamp(min=1)


def _largest(count: Tensor, off_diagonal: bool) -> tuple[int, int]:
    count = count.clone().fill_diagonal_(-1) if off_diagonal else count
    return divmod(count.argmax().item(), 10)


def _ordered(pair: tuple[int, int]) -> tuple[int, int]:
    return min(pair), max(pair)


def _pair(value: object) -> tuple[int, int]:
    """Return an answer's two digits; a list and a tensor of two are as good as a tuple."""
    told = f"The result should be two digits, such as `(4, 9)`, but it is {describe_value(value)}."
    if isinstance(value, Tensor):
        value = value.tolist()
    expect(isinstance(value, tuple | list) and len(value) == 2, told)
    numbers = [expect_number(each, what="each of the two digits") for each in value]
    expect(
        all(number == int(number) for number in numbers), f"The two digits should be whole, got {numbers}."
    )
    return int(numbers[0]), int(numbers[1])


# ---- a difference and its standard error ------------------------------------------------------------------------


@exercise(
    passed="A difference without its standard error says little, and with few seeds even both say only so much."
)
def difference_of_means(answer) -> None:
    """Take float64 (n,) and (m,), scores of two versions; return the difference of means and its standard error."""
    sizes = ((3, 5), (6, 2), (4, 4), (8, 3))
    cases = [_scores(n, m, means) for (n, m), means in zip(sizes, [(92, 95), (96, 93)] * 2, strict=True)]
    found = []
    for baseline, other in cases:
        result = call(answer, baseline, other)
        result = result.tolist() if isinstance(result, Tensor) and result.ndim else result
        expect(
            isinstance(result, tuple | list) and len(result) == 2,
            f"The result should be two numbers, difference and standard error, but it is {describe_value(result)}.",
        )
        first = expect_number(result[0], what="the difference")
        found.append((first, expect_number(result[1], what="the standard error")))

    def all_give(number: int, rule) -> bool:
        return all(_near(value[number], rule(*case)) for value, case in zip(found, cases, strict=True))

    expect(
        not (all_give(0, _standard_error) and all_give(1, _difference)),
        "The two numbers have changed places: the difference comes first.",
    )
    for rule, hint in _WRONG_DIFFERENCES:
        expect(not all_give(0, rule), hint)
    for value, (baseline, other) in zip(found, cases, strict=True):
        expect(
            _near(value[0], _difference(baseline, other)),
            f"For means of {baseline.mean():.2f} and {other.mean():.2f} you return the difference {value[0]:.3f}. All "
            "seeds of a version count, also where the other has fewer.",
        )
    for rule, hint in _WRONG_ERRORS:
        expect(not all_give(1, rule), hint)
    for value, (baseline, other) in zip(found, cases, strict=True):
        expect(
            _near(value[1], _standard_error(baseline, other)),
            f"The difference is right. For {len(baseline)} and {len(other)} seeds with deviations of "
            f"{baseline.std():.3f} and {other.std():.3f} the standard error is {_standard_error(baseline, other):.4f}, "
            f"and you return {value[1]:.4f}.",
        )


def _difference(baseline: Tensor, other: Tensor) -> Tensor:
    return other.mean() - baseline.mean()


def _standard_error(baseline: Tensor, other: Tensor) -> Tensor:
    return torch.sqrt(baseline.var() / len(baseline) + other.var() / len(other))


def _near(found: float, expected: Tensor) -> bool:
    return math.isclose(found, float(expected), rel_tol=1e-3)


def _scores(n: int, m: int, means: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Draw scores in percent, so spread that no two ways to compare them agree."""
    deviations = random.sample([0.3, 0.6, 1.2], 2)
    scores = []
    for size, mean, deviation in zip((n, m), means, deviations, strict=True):
        raw = torch.randn(size, dtype=torch.float64) + 0.5 * torch.arange(size)  # never all alike
        raw = (raw - raw.mean()) / raw.std()
        scores.append((mean + random.random() + deviation * raw)[torch.randperm(size)])
    return scores[0], scores[1]


_WRONG_DIFFERENCES = [
    (
        lambda a, b: a.mean() - b.mean(),
        "The difference has the wrong sign: it should be positive where `other` is better.",
    ),
    (
        lambda a, b: (b.mean() - a.mean()).abs(),
        "The difference is never negative in your answer, so nobody can see which version is the better one.",
    ),
    (
        lambda a, b: b.max() - a.max(),
        "You compare the best seed of each version. More seeds have better best ones by luck; compare the means.",
    ),
    (
        lambda a, b: b.max() - a.mean(),
        "You compare the best seed of one version with the mean of the other, which favours the first.",
    ),
    (
        lambda a, b: b.median() - a.median(),
        "You compare the medians; the formula for the standard error is for means.",
    ),
    (
        lambda a, b: b.sum() - a.sum(),
        "You compare sums, which grow with the number of seeds; compare the means.",
    ),
    (lambda a, b: b[0] - a[0], "You compare the first seed of each version; all seeds should count."),
    (lambda a, b: b.mean() / a.mean(), "You return a ratio of the means; the difference was asked for."),
    (
        lambda a, b: (b.mean() - a.mean()) / a.mean(),
        "You return the difference as a share of the baseline; give it in the scores' own unit.",
    ),
]

_WRONG_DIFFERENCES += [
    (
        lambda a, b: 100 * (b.mean() - a.mean()),
        "Your difference is a hundred times too large: keep the scores' unit.",
    ),
    (
        lambda a, b: (b.mean() - a.mean()) / _standard_error(a, b),
        "Your difference is already divided by its standard error; the two numbers are asked for one by one.",
    ),
]

_WRONG_ERRORS = [
    (
        lambda a, b: 2 * _standard_error(a, b),
        "You return twice the standard error. That is a rule for judging the difference, and not the error itself.",
    ),
    (
        lambda a, b: 1.96 * _standard_error(a, b),
        "You return half the width of a 95% interval; the standard error comes before the factor 1.96.",
    ),
    (
        lambda a, b: torch.sqrt(a.var() / (len(a) - 1) + b.var() / (len(b) - 1)),
        "`var()` has its n − 1 inside already; the variance of a mean has a different divisor.",
    ),
    (
        lambda a, b: torch.sqrt(
            ((len(a) - 1) * a.var() + (len(b) - 1) * b.var())
            / (len(a) + len(b) - 2)
            * (1 / len(a) + 1 / len(b))
        ),
        "You pool the two variances as if both versions spread alike; each has its own.",
    ),
    (
        lambda a, b: torch.sqrt((a.var() + b.var()) / ((len(a) + len(b)) / 2)),
        "You divide both variances by the mean number of seeds; each version has its own.",
    ),
    (
        lambda a, b: torch.sqrt((a.var() + b.var()) / min(len(a), len(b))),
        "You divide both variances by the smaller number of seeds; each version has its own.",
    ),
    (
        lambda a, b: torch.sqrt(a.var(correction=0) / len(a) + b.var(correction=0) / len(b)),
        "Your standard error is a little too small: divide the squared deviations by n − 1, not by n, since the mean "
        "is estimated from the same scores.",
    ),
    (
        lambda a, b: torch.sqrt(a.var() + b.var()),
        "That is the spread of a difference between two single trainings. A mean over several seeds is steadier: where "
        "do their numbers come in?",
    ),
    (
        lambda a, b: a.var() / len(a) + b.var() / len(b),
        "That is the square of the standard error; a root is missing.",
    ),
    (
        lambda a, b: a.std() / len(a) ** 0.5 + b.std() / len(b) ** 0.5,
        "You add the two errors of the means. Independent errors partly cancel, so their squares are added instead.",
    ),
    (
        lambda a, b: a.std() + b.std(),
        "You add the two deviations: their squares are what adds up, a mean's share of each.",
    ),
    (
        lambda a, b: torch.sqrt((a.var() + b.var()) / len(a)),
        "Right while both have the same number of seeds. You use the baseline's number for both versions.",
    ),
    (
        lambda a, b: torch.sqrt((a.var() + b.var()) / len(b)),
        "Right while both have the same number of seeds. You use the other version's number for both.",
    ),
    (
        lambda a, b: torch.sqrt((a.var() + b.var()) / (len(a) + len(b))),
        "You divide by the number of all seeds together, but each mean rests on its own seeds alone.",
    ),
    (
        lambda a, b: torch.sqrt((a.var() + b.var()) / 3),
        "That is right for three seeds only; the number of seeds differs from call to call.",
    ),
    (
        lambda a, b: torch.sqrt(a.var() / len(b) + b.var() / len(a)),
        "Each variance is divided by the other version's number of seeds.",
    ),
    (
        lambda a, b: torch.sqrt(a.std() / len(a) + b.std() / len(b)),
        "Deviations are added under the root where their squares, the variances, belong.",
    ),
    (
        lambda a, b: torch.sqrt(a.var() / len(a) ** 2 + b.var() / len(b) ** 2),
        "Too small: a mean's variance falls with the number of seeds, not with its square.",
    ),
    (
        lambda a, b: (a.var() / len(a) - b.var() / len(b)).abs().sqrt(),
        "You subtract the two variances. Both means are uncertain, and the difference is more so than either.",
    ),
    (
        lambda a, b: b.std() / len(b) ** 0.5,
        "That is the error of the second mean alone; the baseline's is uncertain too.",
    ),
    (
        lambda a, b: a.std() / len(a) ** 0.5,
        "That is the error of the baseline's mean alone; the other's is uncertain too.",
    ),
    (
        lambda a, b: torch.cat([a, b]).std() / (len(a) + len(b)) ** 0.5,
        "You pool all scores into one, so the very difference counts as spread. Each version has its own deviation.",
    ),
]


# ---- the images that choose, and the images that report ----------------------------------------------------------


def _choosing_on_everything(validation, fresh):
    accuracies = torch.cat([validation, fresh], dim=1).double().mean(dim=1)
    winner = accuracies.argmax().item()
    return winner, accuracies[winner].item()


@exercise(
    passed="The images that chose cannot say how good the choice is; images that chose nothing can.",
    blank=_choosing_on_everything,
)
def search_result(answer) -> None:
    """Take bool (candidates, images) twice; return the winner on the first, with its accuracy on the second."""
    cases = [
        _candidates(*sizes)
        for sizes in (((50, 48, 47, 40), (60, 45, 55, 58)), ((100, 95, 93, 85), (30, 20, 26, 29)))
    ]
    cases += [_candidates((40, 37, 35, 31), (90, 61, 75, 80)) for _ in range(2)]
    # More than fit into uint8, a winner with more luck on the fresh ones, and its mistakes all among the first images.
    cases.append(_candidates((300, 285, 270, 240), (50, 48, 47, 49)))
    winner = cases[-1][0].sum(dim=1).argmax()
    cases[-1][0][winner] = torch.arange(300) >= 15
    found = []
    for validation, fresh in cases:
        result = call(answer, validation, fresh)
        result = result.tolist() if isinstance(result, Tensor) and result.ndim == 1 else result
        expect(
            isinstance(result, tuple | list) and len(result) == 2,
            f"The result should be the winner's number and its accuracy, but it is {describe_value(result)}.",
        )
        winner = expect_number(result[0], what="the winner's number")
        expect(
            winner == int(winner) and 0 <= winner < len(validation),
            f"The winner should be one of the candidates 0 to {len(validation) - 1}, but it is {winner:g}.",
        )
        found.append((int(winner), expect_number(result[1], what="the accuracy")))

    def all_choose(rule) -> bool:
        return all(
            winner
            == rule(_share(validation), _share(fresh), _share(torch.cat([validation, fresh], dim=1))).item()
            for (winner, _), (validation, fresh) in zip(found, cases, strict=True)
        )

    def all_report(rule) -> bool:
        return all(
            close(score, rule(validation, fresh, winner))
            for (winner, score), (validation, fresh) in zip(found, cases, strict=True)
        )

    expect(
        not all_choose(lambda v, f, both: f.argmax()),
        "The fresh images choose the winner here, so they are fresh no longer: their number would be too high again.",
    )
    expect(
        not all_choose(lambda v, f, both: both.argmax()),
        "The fresh images still take part in choosing. Choose as if they did not exist yet.",
    )
    expect(
        not all_choose(lambda v, f, both: v.argmin()),
        "You choose the candidate with the worst accuracy, not the best.",
    )
    expect(
        not all_choose(lambda v, f, both: ((v + f) / 2).argmax()),
        "You choose by the mean of both accuracies, so the fresh images still take part in choosing.",
    )
    for (winner, _), (validation, _) in zip(found, cases, strict=True):
        expect(
            winner == _share(validation).argmax().item(),
            f"You choose candidate {winner} with {_share(validation)[winner]:.1%} of the validation images right; "
            f"another has {_share(validation).max():.1%}.",
        )
    expect(
        not all_report(lambda v, f, w: v[w].double().mean()),
        "You report the accuracy on the images that chose. It is too high: the winner was lucky on just these.",
    )
    expect(
        not all_report(lambda v, f, w: torch.cat([v[w], f[w]]).double().mean()),
        "The images that chose are still in the accuracy that you report, and so is the winner's luck on them.",
    )
    expect(
        not all_report(lambda v, f, w: _share(f).max()),
        "You report the best accuracy that any candidate has on the fresh images; report that of the winner.",
    )
    expect(
        not all_report(lambda v, f, w: (v[w].double().mean() + f[w].double().mean()) / 2),
        "You report the mean of two accuracies; the one on the images that chose does not belong in it.",
    )
    expect(
        not all_report(lambda v, f, w: f.double().mean()),
        "You report the mean over all candidates; report that of the winner.",
    )
    expect(
        not all_report(lambda v, f, w: f[w].sum()),
        "You report a number of images; an accuracy is a share of them.",
    )
    expect(
        not all_report(lambda v, f, w: 100 * f[w].double().mean()),
        "You report percent; give the accuracy as a share from 0 to 1.",
    )
    expect(
        not all_report(lambda v, f, w: 1 - f[w].double().mean()),
        "You report the share that was read wrong; the accuracy is the share read right.",
    )
    expect(
        not all_report(lambda v, f, w: f[w].sum() / v.shape[1]),
        "You divide right answers on fresh images by the number of validation images.",
    )
    expect(
        not all_report(lambda v, f, w: min(_share(v)[w], _share(f)[w])),
        "You report the lower of two accuracies; which of them is the honest one does not depend on their values.",
    )
    for (winner, score), (_, fresh) in zip(found, cases, strict=True):
        expect(
            close(score, fresh[winner].double().mean()),
            f"The winner is right, but of {fresh.shape[1]} fresh images it reads {fresh[winner].sum()} right; you "
            f"report the accuracy {score:.4f}.",
        )


def _share(right: Tensor) -> Tensor:
    return right.double().mean(dim=1)


def _candidates(on_validation: tuple[int, ...], on_fresh: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Draw which images each candidate reads right.

    Each argument holds the number of images, then how many of them three candidates read right: the best on the
    validation images, the best on both together, the best on the fresh ones. Others are worse on all.
    """
    counts = [*zip(on_validation[1:], on_fresh[1:], strict=True)]
    worst = min(on_validation[1:]) - 5, min(on_fresh[1:]) - 5
    counts += [(worst[0] - number, worst[1] - number) for number in range(random.randint(1, 4))]
    random.shuffle(counts)
    return (
        torch.stack([_rows(on_validation[0], num_right) for num_right, _ in counts]),
        torch.stack([_rows(on_fresh[0], num_right) for _, num_right in counts]),
    )


def _rows(num_images: int, num_right: int) -> Tensor:
    return torch.randperm(num_images) < num_right


# ---- published results within the interval -----------------------------------------------------------------------


@exercise(
    passed="An interval may cover several rungs of the ladder, and then your number cannot choose among them."
)
def covered_results(answer) -> None:
    """Take two counts and a dict from name to error in percent; return the names whose error the interval covers."""
    cases = [_ladder(*counts) for counts in ((9_900, 10_000), (498, 500), (4_960, 5_000), (190, 200))]
    found = []
    cases.append((970, 1_000, {"Ada": 0.4, "Emmy": 9.5, "Kurt": 5.9}))  # none of them is covered
    for num_correct, num_images, published in cases:
        given = dict(published)
        result = call(answer, num_correct, num_images, given, changes=(2,), returns=False)
        expect(
            given == published,
            "Your function changes the dictionary that it is given, and its owner may still need it.",
        )
        expect(
            result is not None,
            "Your function returns nothing; does every way end with a `return`, also where no name is found?",
        )
        expect(
            not isinstance(result, dict),
            "You return a dictionary; a list of the names was asked for.",
        )
        result = list(result) if isinstance(result, tuple | set) else result
        expect(
            isinstance(result, list),
            f"The result should be a list of names, but it is {describe_value(result)}.",
        )
        expect(
            all(isinstance(name, str) and name in published for name in result),
            "The result should hold names, keys of `published`, and nothing else.",
        )
        expect(len(set(result)) == len(result), "A name comes twice in your list.")
        found.append(set(result))

    def all_give(rule) -> bool:
        return all(
            names
            == {
                name
                for name, error in published.items()
                if rule(num_correct, num_images, error / 100, published)
            }
            for names, (num_correct, num_images, published) in zip(found, cases, strict=True)
        )

    if all_give(_is_covered):
        return
    expect(
        any(found),
        "Your list is empty each time. Compare like with like: error or accuracy, shares or percent, and the lower end "
        "first.",
    )
    for rule, hint in _WRONG_COVERS:
        expect(not all_give(rule), hint)
    expect(
        max(map(len, found)) > 1,
        "Your list never has more than one name, but an interval may cover several: does the function return too soon?",
    )
    for names, (num_correct, num_images, published) in zip(found, cases, strict=True):
        for name, error in published.items():
            expected = _is_covered(num_correct, num_images, error / 100, published)
            low, high = (100 * (1 - end) for end in reversed(accuracy_interval(num_correct, num_images)))
            expect(
                (name in names) == expected,
                f"With {num_correct:,} of {num_images:,} right, the interval of the error rate goes from {low:.3f}% to "
                f"{high:.3f}%. An error of {error:.3f}% {'belongs' if expected else 'does not belong'} in the list.",
            )


def _is_covered(num_correct: int, num_images: int, error: float, published: dict) -> bool:
    low, high = accuracy_interval(num_correct, num_images)
    return low <= 1 - error <= high


def _wald(num_correct: int, num_images: int, error: float, published: dict) -> bool:
    share = num_correct / num_images
    return abs(1 - share - error) <= 1.96 * math.sqrt(share * (1 - share) / num_images)


_WRONG_COVERS = [
    (
        lambda c, n, error, p: 1 - error <= accuracy_interval(c, n)[1],
        "You keep every result above the interval's lower end; those beyond its other end are not covered.",
    ),
    (
        lambda c, n, error, p: 1 - error >= accuracy_interval(c, n)[0],
        "You keep every result that is better, however far; those beyond the interval's other end are not covered.",
    ),
    (
        lambda c, n, error, p: 1 - error <= c / n,
        "You keep the results that are worse than yours; the interval plays no part.",
    ),
    (
        lambda c, n, error, p: 1 - error >= c / n,
        "You keep the results that are better than yours; the interval plays no part.",
    ),
    (
        lambda c, n, error, p: accuracy_interval(c, n)[0] <= 1 - error <= c / n,
        "You keep one half of the interval: it reaches to both sides of your own error rate.",
    ),
    (
        lambda c, n, error, p: c / n <= 1 - error <= accuracy_interval(c, n)[1],
        "You keep one half of the interval, the better one: it reaches to both sides of your own error rate.",
    ),
    (
        _wald,
        "That is the simple interval, as wide to one side as to the other, or, which covers the same, an interval "
        "around each published result. Take the one that the prompt names, around your own.",
    ),
    (
        lambda c, n, error, p: not _is_covered(c, n, error, p),
        "You keep just those results that the interval does not cover.",
    ),
    (
        lambda c, n, error, p: (
            abs(error - (1 - c / n)) == min(abs(e / 100 - (1 - c / n)) for e in p.values())
        ),
        "You return the nearest result alone; an interval may cover several, or none.",
    ),
    (
        lambda c, n, error, p: accuracy_interval(c, n)[0] <= 100 * error <= accuracy_interval(c, n)[1],
        "Compare like with like: your errors in percent are set against shares read right.",
    ),
    (
        lambda c, n, error, p: _is_covered(c, n, 100 * error, p),
        "Compare like with like: your errors in percent are set against shares read wrong.",
    ),
    (lambda c, n, error, p: True, "You return every name; compare each error with the interval."),
]


def _ladder(num_correct: int, num_images: int) -> tuple[int, int, dict[str, float]]:
    """Draw published errors: on both sides of one's own, inside the interval and beyond; in an order by chance."""
    share = num_correct / num_images
    low, high = (1 - end for end in reversed(accuracy_interval(num_correct, num_images)))
    error, simple = 1 - share, 1.96 * math.sqrt(share * (1 - share) / num_images)
    between = [
        (error + simple + high) / 2,
        (low + max(error - simple, 0)) / 2,
    ]  # where the two intervals disagree
    inside = [
        error + (high - error) * random.uniform(0.1, 0.4),
        error - (error - low) * random.uniform(0.2, 0.5),
    ]
    outside = [high * random.uniform(1.3, 3), high + 0.05, low * random.uniform(0.3, 0.6)]
    near_the_ends = [end * (1 + side) for end in (low, high) for side in (-0.004, 0.004)]
    errors = [100 * each for each in (*between, *inside, *outside, *near_the_ends)]
    random.shuffle(errors)
    names = "Ada Alan Blaise Carl Emmy Grace Henri Kurt Leonhard Mary Sofia".split()
    random.shuffle(names)
    return num_correct, num_images, dict(zip(names, errors, strict=True))
