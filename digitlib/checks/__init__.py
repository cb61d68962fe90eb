"""One check an exercise: `checks.descend(descend)` says whether an answer is right, or what stands in its way.

Each check compares an answer with the right one on fresh random inputs, so that every right answer passes, however it
was written. It shows one or two lines, never the answer, and never raises.

    engine         the declaration of an exercise, and how a hint is found for an answer
    calling        a safe way to call an answer, and what its code reads
    comparing      what is off between two results, in words
    core           what all checks share: Result, the time limit, describing values

    tensors        notebook 1          losses      notebook 6          testing     notebook 9
    dataset        notebook 2          loops       notebook 7          improving   notebook 10
    preprocessing  notebook 3          curves      notebook 8          saving      notebook 11
    exploring      notebook 4
    networks       notebook 5
"""

from digitlib.checks.core import CHECKS, Result
from digitlib.checks.curves import compare_rates, epoch_to_keep, exponential_mean, first_look
from digitlib.checks.dataset import count_batches, idx_lengths, shuffled_epoch, three_parts
from digitlib.checks.exploring import class_shares, leave_one_out, most_typical
from digitlib.checks.improving import covered_results, difference_of_means, most_confused, search_result
from digitlib.checks.loops import fit_until, keep_dropout, learn_by_heart, validation_loss
from digitlib.checks.losses import (
    adamw_step,
    best_rate,
    cross_entropy_by_hand,
    loss_and_confidence,
    momentum_steps,
)
from digitlib.checks.networks import convolve, softmax_of_rows, stack
from digitlib.checks.preprocessing import fair_curves, prepared, random_versions, to_pixels
from digitlib.checks.saving import best_weights, centred, opens_safely, read_with_file
from digitlib.checks.tensors import brightened, descend, library_for, noisy_copies
from digitlib.checks.testing import average_loss, paired_p_value, weakest_class

__all__ = ["CHECKS", "Result", *CHECKS]
