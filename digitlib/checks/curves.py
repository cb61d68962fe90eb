"""The checks of notebook 8: curves of the training loss."""

import copy
import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

# ---- exponential_mean -------------------------------------------------------------------------------------------


def _smoothed(
    values: list[float], keep: float, *, start: float | None = None, raw: bool = False
) -> list[float]:
    """Smooth exponentially from a start value; `raw` takes the raw value before instead of the smoothed one."""
    mean, means = values[0] if start is None else start, []
    for number, value in enumerate(values):
        before = values[max(0, number - 1)] if raw else mean
        mean = keep * before + (1 - keep) * value
        means.append(mean)
    return means


def _corrected(values: list[float], keep: float) -> list[float]:
    """Smooth from zero, and divide by the weights so far: what Adam does to its running means."""
    means = _smoothed(values, keep, start=0.0)
    return [mean / (1 - keep**number) for number, mean in enumerate(means, 1)]


def _unweighted(values: list[float], keep: float) -> list[float]:
    means = [values[0]]
    for value in values[1:]:
        means.append(keep * means[-1] + value)
    return means


def _mean_so_far(values: list[float], keep: float) -> list[float]:
    return [sum(values[:n]) / n for n in range(1, len(values) + 1)]


@exercise(passed="The more it keeps, the smoother the curve, and the later it tells.")
def exponential_mean(answer) -> None:
    """Take a list of numbers and keep; return the exponentially smoothed list, which begins with the first number."""
    tries = []
    for length, keep in ((7, 0.8), (12, 0.6), (5, 0.3), (4, 0.0), (1, 0.9), (60, 0.95), (6, 0.7)):
        values = [round(random.uniform(1, 3) + 4 * (number % 3 == 0), 3) for number in range(length)]
        if length == 6:
            values = [4, 0, 0, 7, 3, random.randrange(10, 20)]  # whole numbers, as in the example
        given = list(values)
        try:
            found = call(answer, given, keep, changes=(0,))
        except NotYet as hint:
            if "NumPy array" in str(hint):
                raise NotYet(
                    "Your function returns a NumPy array; the task asks for a list of numbers."
                ) from None
            raise
        expect(
            given == values,
            "Your function changes the list that it is given: whoever draws the raw losses beside the smooth ones "
            "needs both. Begin a new list.",
        )
        expect(
            isinstance(found, list | tuple),
            f"Expected a list as long as the one that came, got {describe_value(found)}.",
        )
        expect(
            len(found) == length,
            f"{length} values came, but your list has {len(found)}: each value gets a smoothed one, the first too.",
        )
        found = [expect_number(value, what="a value in your list") for value in found]
        tries.append((values, keep, found))

    def told(smooth) -> list:
        return [torch.tensor(smooth(values, keep), dtype=torch.float64) for values, keep, _ in tries]

    found = [torch.tensor(each, dtype=torch.float64) for _, _, each in tries]
    if not all(close(*pair) for pair in zip(found, told(_smoothed), strict=True)):
        recognise(
            found,
            {
                "The two weights have changed places: `keep` belongs to what was there before.": told(
                    lambda values, keep: _smoothed(values, 1 - keep)
                ),
                "Your mean begins at zero, so the first values are far too low: begin with the first value.": told(
                    lambda values, keep: _smoothed(values, keep, start=0.0)
                ),
                "You begin at zero and correct for it. The rule here is simpler: the first value stays as it is.": told(
                    _corrected
                ),
                "You mix each value with the raw one before it; `keep` belongs to the smoothed one.": told(
                    lambda values, keep: _smoothed(values, keep, raw=True)
                ),
                "The new value comes in with its full weight, so the curve climbs: the two weights should add up to "
                "one.": told(_unweighted),
                "This is the mean of all values so far; early values should fade.": told(_mean_so_far),
                "The shares are one half each, whatever `keep` is.": told(
                    lambda values, keep: _smoothed(values, 0.5)
                ),
                "This is the mean of each value and the raw one before it, whatever `keep` is.": told(
                    lambda values, keep: _smoothed(values, 0.5, raw=True)
                ),
                "Each value is mixed with the very first one; it should be the smoothed value just before it.": told(
                    lambda values, keep: [keep * values[0] + (1 - keep) * value for value in values]
                ),
                "The new values never come in: what you have only fades.": told(
                    lambda values, keep: [values[0] * keep**number for number in range(len(values))]
                ),
                "The values are smoothed twice.": told(
                    lambda values, keep: _smoothed(_smoothed(values, keep), keep)
                ),
            },
        )
        for digits in (0, 1, 2, 3):
            # No comparison with the right values rounded: half a unit may be rounded either way.
            short = all(close(each, each.round(decimals=digits), 1e-9) for each in found)
            off = max((one - other).abs().max() for one, other in zip(found, told(_smoothed), strict=True))
            expect(
                not (short and off <= 0.5001 * 10.0**-digits),
                "Your values are rounded: give them with all their digits.",
            )
        whole = tries[-1]
        expect(
            not (
                all(close(*pair) for pair in zip(found[:-1], told(_smoothed)[:-1], strict=True))
                and all(value == int(value) for value in whole[2])
            ),
            f"For the whole numbers {', '.join(map(str, whole[0]))} your values are whole numbers too: where are the "
            "fractions cut off?",
        )
        recognise(
            found,
            {
                "Your curve is the raw one: nothing is smoothed.": told(lambda values, keep: values),
                "Your curve stays at the first value: the new ones never come in.": told(
                    lambda values, keep: [values[0]] * len(values)
                ),
                "It is smoothed from the end to the beginning: go through the values in their order.": told(
                    lambda values, keep: _smoothed(values[::-1], keep)[::-1]
                ),
                "Each smoothed value comes one place too late: it does not know the value of its own step.": told(
                    lambda values, keep: [values[0], *_smoothed(values, keep)[:-1]]
                ),
            },
        )
    for values, keep, numbers in tries:
        expect(
            close(numbers[0], values[0]),
            f"The first smoothed value should be the first value, {values[0]:.3f}, but it is {numbers[0]:.3f}.",
        )
        for number, (one, other) in enumerate(zip(numbers, _smoothed(values, keep), strict=True), 1):
            expect(
                close(one, other) or one != int(one) or abs(one - other) >= 1,
                f"With keep={keep}, value {number} should be {other:.3f}; in your list it is cut off to {one:g}.",
            )
            expect(
                close(one, other) or one != round(one, 2) or abs(one - other) > 0.06,
                f"With keep={keep}, value {number} should be {other:.4f}; in your list it is rounded to {one:g}.",
            )
            expect(
                close(one, other),
                f"With keep={keep}, value {number} should be {other:.3f}, but it is {one:.3f}: how much of the old "
                "is kept, and how much of the new one?",
            )


# ---- epoch_to_keep ----------------------------------------------------------------------------------------------


def _stopped(
    losses: list[float], patience: int, *, ties: bool = False, least: float = 0.0
) -> tuple[int, int]:
    """Return the best epoch that patience lets you see, and the epoch in which it runs out, both from 1."""
    best, waited = 0, 0
    for number, loss in enumerate(losses):
        if loss < losses[best] - least or number == 0 or (ties and loss == losses[best]):
            best, waited = number, 0
        else:
            waited += 1
        if waited == patience:
            return best + 1, number + 1
    return best + 1, len(losses)


def _by_rises(losses: list[float], patience: int) -> int:
    """Wait for rises from one epoch to the next, and forget the best when the loss falls a little."""
    best, waited = 0, 0
    for number in range(1, len(losses)):
        waited = 0 if losses[number] < losses[number - 1] else waited + 1
        if losses[number] < losses[best]:
            best = number
        if waited == patience:
            break
    return best + 1


def _best_or_last(losses: list[float], patience: int) -> int:
    best, stop = _stopped(losses, patience)
    return best if stop - best >= patience else len(losses)


def _best_or_stop(losses: list[float], patience: int) -> int:
    best, stop = _stopped(losses, patience)
    return stop if stop - best >= patience else best


def _never_reset(losses: list[float], patience: int) -> int:
    best, waited = 0, 0
    for number in range(1, len(losses)):
        if losses[number] < losses[best]:
            best = number
        else:
            waited += 1
        if waited == patience:
            break
    return best + 1


def _lowest(losses: list[float], patience: int = 0) -> int:
    return losses.index(min(losses)) + 1


_RUNS = [  # validation losses, patience
    ([0.9, 0.5, 0.6, 0.7, 0.3], 2),
    ([0.9, 0.5, 0.6, 0.7, 0.3], 3),
    ([0.9, 0.5, 0.6, 0.3, 0.35, 0.4, 0.2], 2),
    ([0.8, 0.6, 0.7, 0.65, 0.62, 0.4, 0.5], 3),
    ([0.8, 0.6, 0.7, 0.65, 0.7, 0.64, 0.3], 4),
    ([0.8, 0.6, 0.6, 0.7, 0.75, 0.2], 3),
    ([0.8, 0.6, 0.7, 0.6, 0.7, 0.2], 3),
    ([0.7, 0.6, 0.5, 0.4], 2),
    ([0.3, 0.4, 0.2], 1),
    ([0.5], 2),
    ([0.9, 0.5, 0.6, 0.7, 0.8, 0.3], 2),
    ([0.9, 0.5, 0.6, 0.4, 0.5, 0.6, 0.7, 0.8, 0.2], 3),
    ([0.4, 0.6, 0.5, 0.45, 0.42, 0.1], 4),
    ([2.0, 1.0, 1.5, 0.9, 1.2, 1.1, 1.0, 0.5], 3),
    ([3.0, 2.9, 2.95, 2.8, 2.85, 2.7, 2.75, 2.6, 2.9], 2),
    ([1.0, 0.9, 0.95, 0.8, 0.85, 0.7, 0.9, 0.75, 0.72, 0.6], 3),
    ([0.9, 0.7, 0.5, 0.6, 0.1], 1),
    ([0.5, 0.4999, 0.4998, 0.6, 0.7, 0.3], 2),
    ([4.0, 3.0, 2.0, 2.5, 2.6, 1.0], 2),
]


@exercise(passed="Early stopping: keep the best epoch that patience let you see.")
def epoch_to_keep(answer) -> None:
    """Take validation losses and patience; return the number, from 1, of the epoch whose weights to keep."""
    runs = list(_RUNS)
    for _ in range(6):
        losses = [round(random.uniform(0.2, 1), 2) for _ in range(random.randint(5, 12))]
        runs.append((losses, random.randint(1, 4)))
    found = []
    for losses, patience in runs:
        given = list(losses)
        result = expect_number(call(answer, given, patience, changes=(0,)), what="the epoch")
        expect(
            given == losses, "Your function changes the list that it is given; leave the losses as they are."
        )
        found.append(result)
    right = [_stopped(losses, patience)[0] for losses, patience in runs]
    if found != right:

        def told(rule) -> list:
            return [rule(losses, patience) for losses, patience in runs]

        wrong = {
            "You count the epochs from 0; the first epoch is number 1.": [n - 1 for n in right],
            "Every answer is one too large: the first epoch is number 1.": [n + 1 for n in right],
            "This is the epoch in which patience runs out; by then the best one lies behind.": told(
                lambda losses, patience: _stopped(losses, patience)[1]
            ),
            "Your answers know the future: once patience has run out, no later epoch was ever trained.": told(
                _lowest
            ),
            "You keep the epoch with the highest loss; the lowest is the best.": told(
                lambda losses, patience: losses.index(max(losses)) + 1
            ),
            "You keep the last epoch: there the network may long have begun to overfit.": told(
                lambda losses, patience: len(losses)
            ),
            "Your function returns the loss; the exercise asks for the number of the epoch.": told(
                lambda losses, patience: losses[_stopped(losses, patience)[0] - 1]
            ),
            "You wait one epoch too long: at `patience` epochs in a row without a new best, it is over.": told(
                lambda losses, patience: _stopped(losses, patience + 1)[0]
            ),
            "You lose patience one epoch too early: it runs out after `patience` epochs in a row without a new "
            "best.": told(lambda losses, patience: _stopped(losses, patience - 1)[0] if patience > 1 else 1),
            "You compare each epoch with the one before it. A small fall is no progress while the best so far is "
            "lower.": told(_by_rises),
            "You count all epochs without a new best; with each new best the waiting begins anew.": told(
                _never_reset
            ),
            "A tie is no improvement: it neither is a new best nor ends the waiting.": told(
                lambda losses, patience: _stopped(losses, patience, ties=True)[0]
            ),
            "You stop at the first epoch without a new lowest loss, whatever `patience` is.": told(
                lambda losses, patience: _stopped(losses, 1)[0]
            ),
            "Your patience is always 2; use the one that is given.": told(
                lambda losses, patience: _stopped(losses, 2)[0]
            ),
            "You count back from the last epoch that was trained, which is wrong where patience never ran out.": told(
                lambda losses, patience: _stopped(losses, patience)[1] - patience
            ),
            "Where patience never runs out you return the last epoch; the best one is asked for there too.": told(
                lambda losses, patience: _best_or_last(losses, patience)
            ),
            "Where patience runs out you return the epoch in which it does; the best one lies behind.": told(
                lambda losses, patience: _best_or_stop(losses, patience)
            ),
            "You look at the first epochs alone, as many as `patience` says; the waiting begins anew with each new "
            "best.": told(lambda losses, patience: _lowest(losses[:patience])),
            "You look at the first epochs alone; the waiting begins anew with each new best.": told(
                lambda losses, patience: _lowest(losses[: patience + 1])
            ),
            "A loss above 1 can be the lowest so far as well: where does your lowest loss begin?": told(
                lambda losses, patience: _stopped([1.0, *losses], patience)[0] - 1
            ),
        }
        for least in (0.001, 0.01, 0.05):
            wrong[
                "You ask for a loss that is clearly lower; every new lowest loss counts, however close."
            ] = told(lambda losses, patience, least=least: _stopped(losses, patience, least=least)[0])
            recognise(found, wrong, 1e-9)
        recognise(found, wrong, 1e-9)
        besides = {
            f"You count the epochs from 0, and besides: {hint}": values for hint, values in wrong.items()
        }
        recognise([number + 1 for number in found], besides, 1e-9)
    for (losses, patience), one, other in zip(runs, found, right, strict=True):
        expect(
            one == other,
            f"For the losses {', '.join(map(str, losses))} and patience {patience} the epoch to keep is {other}, your "
            f"answer is {one:g}. Go through them by hand: which is the best so far, and how long ago was it?",
        )


# ---- compare_rates ----------------------------------------------------------------------------------------------


def _one_model_for_all(make_model, images, labels, rates, num_steps):
    curves = {}
    model = make_model()
    for lr in rates:
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        losses = []
        for _ in range(num_steps):
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        curves[lr] = losses
    return curves


def _descent(start: nn.Module, images: Tensor, labels: Tensor, lr: float, num_steps: int, *, zero=True):
    """Return the losses of plain gradient descent from the weights of `start`, one more than steps, and the end."""
    model = copy.deepcopy(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for step in range(num_steps + 1):
        loss = F.cross_entropy(model(images), labels)
        losses.append(loss.item())
        if step < num_steps:
            if zero:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return losses, model


@exercise(
    passed="One start for all: now the curves differ by the learning rate alone.",
    blank=_one_model_for_all,
)
def compare_rates(answer) -> None:
    """Mend a comparison of learning rates in which each run goes on where the one before it ended."""
    weight = torch.zeros(1, requires_grad=True)
    torch.optim.SGD(
        [weight], lr=0.1
    ).zero_grad()  # torch's first optimizer takes seconds: not on the answer's clock
    for rates, num_steps in (((0.05, 0.4, 0.15), 6), ((0.3, 0.02), 9)):
        images, labels = 0.1 * torch.randn(12, 1, 28, 28), torch.randint(10, (12,))
        made: list[nn.Module] = []

        def make_model(made=made):
            model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
            made.append(copy.deepcopy(model))
            return model

        found = call(answer, make_model, images, labels, rates, num_steps)
        expect(
            isinstance(found, dict) and set(found) == set(rates),
            "The result should stay a dictionary with one entry for each learning rate, and the rates as its keys; you "
            f"return {describe_value(found)}{f' of {len(found)}' * isinstance(found, dict)}.",
        )
        for lr, losses in found.items():
            expect(
                isinstance(losses, list | tuple) and len(losses) == num_steps,
                f"Expected {num_steps} losses for the learning rate {lr}, got {describe_value(losses)}: each rate has "
                "a list of its own.",
            )
            expect(
                not any(isinstance(loss, Tensor) and loss.requires_grad for loss in losses),
                "The losses are tensors now that keep each step's record for gradients; they were plain numbers.",
            )
            expect(
                not any(isinstance(loss, Tensor) for loss in losses),
                "The losses are tensors now; they were plain numbers.",
            )
            found[lr] = [expect_number(loss, what="a loss") for loss in losses]
        expect(made, "Your function never calls `make_model`, so it compares nothing.")
        firsts = [found[lr][0] for lr in rates]
        if not all(close(first, firsts[0]) for first in firsts):
            _, end = _descent(made[0], images, labels, rates[0], num_steps)
            continued = F.cross_entropy(end(images), labels).item()
            expect(
                not close(firsts[1], continued),
                f"The curve for {rates[1]} begins at {firsts[1]:.3f}, just where the training with {rates[0]} had "
                "arrived: it goes on with the trained weights.",
            )
            fresh = [F.cross_entropy(model(images), labels).item() for model in made]
            expect(
                not all(any(close(first, each) for each in fresh) for first in firsts),
                f"Each run has weights of its own now, but other random ones: the curves begin at "
                f"{', '.join(f'{first:.3f}' for first in firsts)}. A fair comparison gives all the same.",
            )
            expect(
                not any(
                    all(close(found[lr][0], _descent(start, images, labels, lr, 1)[0][1]) for lr in rates)
                    for start in made
                ),
                "You note each loss after its step, so the curves do not show their common beginning.",
            )
        expect(
            all(close(first, firsts[0]) for first in firsts),
            f"Before the first step the learning rate has done nothing, yet the curves begin at "
            f"{', '.join(f'{first:.3f}' for first in firsts)}. What has changed between the runs?",
        )
        start = next(
            (model for model in made if close(F.cross_entropy(model(images), labels).item(), firsts[0])), None
        )
        expect(
            start,
            "The curves begin together, but not at the loss of a model that `make_model` has just made.",
        )
        expected = {lr: _descent(start, images, labels, lr, num_steps)[0][:-1] for lr in rates}
        if not all(close(found[lr], expected[lr]) for lr in rates):
            for lr in rates:
                expect(
                    not all(close(found[each], expected[lr]) for each in rates),
                    f"All the curves are that of the learning rate {lr}: each run needs an optimizer of its own.",
                )
            expect(
                not all(close(found[lr], [found[lr][0]] * num_steps, 1e-6) for lr in rates),
                "Within a run the loss never changes: does the optimizer hold the weights of the model in use, and "
                "does it step?",
            )
            expect(
                not all(close(found[lr], found[rates[0]]) for lr in rates),
                "All the curves are alike, so the learning rate does nothing: which number does the optimizer get?",
            )
            expect(
                not all(
                    close(found[lr], _descent(start, images, labels, lr, num_steps, zero=False)[0][:-1])
                    for lr in rates
                ),
                "Now the gradients pile up from step to step; the steps themselves were right.",
            )
            if close([found[lr] for lr in rates], [expected[lr] for lr in rates[::-1]]):
                expect(False, "The curves belong to each other's learning rates.")
        for lr in rates:
            expect(
                close(found[lr], expected[lr]),
                f"The curves begin together, but that of the learning rate {lr} ends at {found[lr][-1]:.4f}, not at "
                f"{expected[lr][-1]:.4f}: take the steps just as they were, {num_steps} in each run.",
            )


# ---- first_look -------------------------------------------------------------------------------------------------

_DIVERGED, _SCALE, _STUCK, _HEALTHY = "diverged", "wrong scale", "not learning", "healthy"
_LN_10 = math.log(10)


def _tail(losses: list[float]) -> float:
    """Return the mean of the last 20 losses, or of those that there are."""
    return sum(losses[-20:]) / len(losses[-20:])


def _judged(
    losses: list[float],
    *,
    finite=math.isfinite,
    usual: float = _LN_10,
    tail=_tail,
    growth: float = 2,
    first=lambda losses: losses[0],
    order: tuple[str, ...] = (_DIVERGED, _SCALE, _STUCK),
) -> str:
    """Apply the four rules, or rules with one fault."""
    rules = {
        _DIVERGED: not finite(losses[-1]) or losses[-1] > growth * losses[0],
        _SCALE: losses[0] > 1.5 * usual,
        _STUCK: tail(losses) > 0.9 * first(losses),
    }
    return next((word for word in order if rules[word]), _HEALTHY)


_FAULTS = {
    "NaN is neither larger nor smaller than any number, so no comparison finds it: a run that ends with NaN is called "
    "healthy.": {"finite": lambda loss: True},
    "`math.log10(10)` is 1, but the loss of a network that guesses is the natural logarithm of 10.": {
        "usual": 1.0
    },
    "You judge the end by the very last loss, which may be a lucky or an unlucky batch.": {
        "tail": lambda losses: losses[-1]
    },
    "You take the mean of all losses: a run that begins to learn late is called sick.": {
        "tail": lambda losses: sum(losses) / len(losses)
    },
    "You look at the lowest loss, and one lucky batch makes a flat curve healthy.": {"tail": min},
    "You divide by 20 even where there are fewer losses than that.": {
        "tail": lambda losses: sum(losses[-20:]) / 20
    },
    "You look at the last 10 losses instead of the last 20.": {
        "tail": lambda losses: sum(losses[-10:]) / len(losses[-10:])
    },
    "You compare the end with ln 10, not with the run's own first loss.": {"first": lambda losses: _LN_10},
    "You call a run diverged that ends a little above its beginning; the rule asks for more than twice.": {
        "growth": 1
    },
    "The rules have an order: a run that grows without bound is diverged, wherever it began.": {
        "order": (_SCALE, _DIVERGED, _STUCK)
    },
    "The rules have an order: whether a run is learning is the last question.": {
        "order": (_DIVERGED, _STUCK, _SCALE)
    },
    "The rules have an order, and not learning comes last.": {"order": (_STUCK, _DIVERGED, _SCALE)},
}


def _curve(*levels: float, length: int = 60) -> list[float]:
    """Return a curve that runs straight from level to level, with a little noise."""
    pieces, last = len(levels) - 1, length - 1
    values = []
    for number in range(length):
        position = number / last * pieces
        left = min(int(position), pieces - 1)
        values.append(levels[left] + (position - left) * (levels[left + 1] - levels[left]))
    return [value + random.uniform(-0.01, 0.01) for value in values]


def _with(values: list[float], value: float, number: int = 1) -> list[float]:
    """Return the values with other ones at the end."""
    return values[:-number] + [value] * number


def _put(values: list[float], number: int, value: float) -> list[float]:
    """Return the values with another one at one place."""
    values = list(values)
    values[number] = value
    return values


def _cases() -> list[tuple[list[float], str, str]]:
    """Return (losses, the right word, what makes this curve special)."""
    fall, flat = _curve(2.3, 0.6, 0.3, 0.2), _curve(_LN_10, _LN_10)
    return [
        (fall, _HEALTHY, "begins near ln 10 and falls to 0.2"),
        (_put(fall, 30, 7.0), _HEALTHY, "has one high spike in the middle and falls to 0.2"),
        (_curve(2.3, 2.2, 1.8, 1.5), _HEALTHY, "falls slowly, from 2.3 to 1.5"),
        (_curve(2.3, 0.4, 0.2, length=23), _HEALTHY, "has only 23 losses and falls to 0.2"),
        (_with(fall, math.nan, 10), _DIVERGED, "ends with ten times NaN"),
        (
            _with(fall, math.nan),
            _DIVERGED,
            "ends with NaN, and NaN is neither larger nor smaller than any number",
        ),
        (_with(fall, math.inf), _DIVERGED, "ends with infinity, which is no finite number"),
        (_curve(2.3, 2.0, 9.0), _DIVERGED, "ends at four times its first loss"),
        (_curve(2.3, 1.0, 5.2), _DIVERGED, "ends at more than twice its first loss"),
        (_curve(5.5, 9.0, 14.0), _DIVERGED, "begins at 5.5 and ends at 14"),
        (_curve(2.3, 1.6, 3.4), _STUCK, "ends at 3.4, higher than it began, but not twice as high"),
        (_curve(1.6, 1.6, 4.0), _DIVERGED, "begins at 1.6 and ends at 4"),
        (_curve(5.0, 2.0, 0.5), _SCALE, "begins at 5 and falls to 0.5"),
        (_curve(3.9, 1.0, 0.4), _SCALE, "begins at 3.9, more than one and a half times ln 10"),
        (_curve(6.0, 6.0), _SCALE, "begins at 6 and stays there"),
        (
            _curve(3.2, 1.0, 0.4),
            _HEALTHY,
            "begins at 3.2, less than one and a half times ln 10, and falls to 0.4",
        ),
        (flat, _STUCK, "stays at ln 10 from beginning to end"),
        (_curve(_LN_10, _LN_10, length=8), _STUCK, "has only 8 losses, all of them near ln 10"),
        (_put(fall, 30, math.inf), _HEALTHY, "is infinite once in the middle and falls to 0.2 after that"),
        (
            _with(_with(flat, 0.93 * _LN_10, 20), 0.2),
            _HEALTHY,
            "stays a little below ln 10, and its very last loss brings the mean of the last 20 below 0.9 of the first",
        ),
        (_curve(3.2, 2.4, 2.4), _HEALTHY, "falls from 3.2 to 2.4"),
        (_curve(1.6, 1.6), _STUCK, "begins at 1.6 and stays there"),
        (
            _with(fall, 4.45),
            _HEALTHY,
            "ends with a single loss that is almost, but not quite twice the first",
        ),
        (_put(_put(fall, 0, 2.0), -1, 4.0), _HEALTHY, "ends with a loss just twice the first, and not more"),
        (_with(flat, 0.4), _STUCK, "stays at ln 10, and only its very last loss is low"),
        (_with(flat, 1.9, 9), _STUCK, "stays at ln 10, but for its last nine losses"),
        (_with(flat, 0.9, 14), _HEALTHY, "leaves ln 10 for 0.9 in its last fourteen losses"),
        (_curve(2.3, 1.4, 2.3, 2.3), _STUCK, "falls to 1.4, but comes back to 2.3"),
        (_with(_curve(2.3, 0.5, 0.3), 2.35), _HEALTHY, "falls to 0.3, and only its very last loss is high"),
        (_put(fall, 1, 4.6), _HEALTHY, "begins at 2.3, has one high loss after that, and falls to 0.2"),
        (
            _put(_put(fall, 0, 4.6), 1, 2.3),
            _SCALE,
            "begins at 4.6 and falls to 2.3 in one step, and on to 0.2",
        ),
        (_put(flat, 1, 4.6), _STUCK, "stays at ln 10, but for a high second loss"),
        (
            _put(_curve(2.3, 1.0, 5.2), 1, 4.6),
            _DIVERGED,
            "ends at more than twice its first loss, not its second",
        ),
        (_with(fall, 9.0), _DIVERGED, "falls, and ends with a single loss of 9"),
        (_put(fall, -21, 60.0), _HEALTHY, "has a very high loss just before its last 20"),
        (_put(fall, -20, 60.0), _STUCK, "has a very high loss as the first of its last 20"),
        (_put(fall, 0, 3.52), _SCALE, "begins at 3.52, a little more than one and a half times ln 10"),
        (_put(fall, 0, 3.39), _HEALTHY, "begins at 3.39, a little less than one and a half times ln 10"),
        (_curve(2.3, 2.25, 2.2), _STUCK, "falls only from 2.3 to 2.2"),
        (_curve(2.3, 2.3, 2.3, 1.9, length=200), _HEALTHY, "moves only in its last third, down to 1.9"),
    ]


@exercise(passed="Finite, the right start, and a fall: the first three questions to ask of any curve.")
def first_look(answer) -> None:
    """Take the losses of the steps; return "diverged", "wrong scale", "not learning" or "healthy", by four rules."""
    words = (_DIVERGED, _SCALE, _STUCK, _HEALTHY)
    cases, found = _cases(), []
    for losses, _, what in cases:
        given = list(losses)
        result = call(answer, given, changes=(0,))
        expect(
            given == losses, "Your function changes the list that it is given; leave the losses as they are."
        )
        expect(
            isinstance(result, str),
            f"Expected one of four words, got {describe_value(result)}, for a curve that {what}.",
        )
        expect(
            result in words,
            f"Your function returns {result[:30]!r}, which is none of the four words, letter by letter.",
        )
        found.append(result)
    if found != [right for _, right, _ in cases]:
        for word in words:
            expect(
                set(found) != {word},
                f"Every curve is called {word!r}, the sick ones and the healthy ones alike.",
            )
        for hint, fault in _FAULTS.items():
            expect(found != [_judged(losses, **fault) for losses, _, _ in cases], hint)
    for (_, right, what), result in zip(cases, found, strict=True):
        expect(result == right, f"A curve that {what} is {right!r} by the rules, but you call it {result!r}.")
