"""Our metrics against scikit-learn's and against figures worked out by hand."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import nn

from digitlib.data import load_writers
from digitlib.evaluation import (
    accuracy_interval,
    confusion_matrix,
    evaluate,
    measure,
    predict_logits,
    report,
    writers_interval,
    writers_test,
)
from digitlib.models import CNN


@pytest.fixture
def images():
    return torch.randn(7, 1, 28, 28, generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=[(500, 10), (40, 10), (200, 4)], ids=["all classes", "some missing", "four classes"])
def guesses(request):
    num_images, num_classes = request.param
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, num_classes, (num_images,), generator=generator)
    random = torch.randint(0, num_classes, (num_images,), generator=generator)
    predictions = torch.where(torch.rand(num_images, generator=generator) < 0.7, labels, random)
    predictions[predictions == 3] = 2  # so that class 3 is never predicted
    return labels, predictions, num_classes


def test_predict_logits_does_not_depend_on_the_batch_size(images):
    model = CNN()
    whole = predict_logits(model, images)
    for batch_size in (1, 2):
        torch.testing.assert_close(predict_logits(model, images, batch_size=batch_size), whole)


def test_predict_logits_uses_evaluation_mode_builds_no_graph_and_restores_the_mode(images):
    for training in (True, False):
        model = CNN(dropout=0.9).train(training)
        logits = predict_logits(model, images)
        assert torch.equal(predict_logits(model, images), logits)
        assert not logits.requires_grad
        with pytest.raises(ValueError):
            predict_logits(model, torch.zeros(2, 28, 28))
        assert model.training is training


def test_every_image_counts_once_in_a_ragged_last_batch(images):
    model, labels = CNN(), torch.tensor([0, 1, 2, 3, 4, 5, 6])
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(image[None]) for image in images])
    each = F.cross_entropy(logits, labels, reduction="none")
    measured = evaluate(model, images, labels, batch_size=3)
    assert measured.loss == pytest.approx(each.mean().item(), rel=1e-5)
    assert measured.num_correct == int((logits.argmax(1) == labels).sum())
    assert measured.num_images == 7
    assert measured.accuracy == measured.num_correct / 7
    assert measured.interval == accuracy_interval(measured.num_correct, 7)


def test_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    # Two equal logits: ln 2. A gap of 2 against the truth: ln(1 + e^2).
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(2.0)))) / 2
    assert measure(logits, torch.tensor([1, 0])).loss == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("num_labels", [6, 0, 8])
def test_lengths_must_agree(images, num_labels):
    with pytest.raises(ValueError, match=r"expected one label for each image.*7"):
        evaluate(CNN(), images, torch.zeros(num_labels, dtype=torch.int64))


def test_no_images_have_no_accuracy():
    with pytest.raises(ValueError, match="at least one"):
        measure(torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64))


def test_confusion_matrix_against_scikit_learn(guesses):
    labels, predictions, num_classes = guesses
    ours = confusion_matrix(labels, predictions, num_classes=num_classes)
    theirs = metrics.confusion_matrix(labels, predictions, labels=range(num_classes))
    assert ours.tolist() == theirs.tolist()


def test_report_against_scikit_learn(guesses):
    labels, predictions, num_classes = guesses
    ours = report(confusion_matrix(labels, predictions, num_classes=num_classes))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(num_classes), zero_division=0
    )
    assert ours.precision.tolist() == pytest.approx(precision)
    assert ours.recall.tolist() == pytest.approx(recall)
    assert ours.f1.tolist() == pytest.approx(f1)
    assert ours.support.tolist() == support.tolist()
    assert ours.macro_precision == pytest.approx(precision.mean())
    assert ours.macro_recall == pytest.approx(recall.mean())
    assert ours.macro_f1 == pytest.approx(f1.mean())


def test_rows_are_true_and_columns_predicted():
    confusion = confusion_matrix(torch.tensor([3, 3, 5]), torch.tensor([8, 3, 5]))
    assert confusion[3, 8] == 1
    assert confusion[8, 3] == 0
    assert confusion.sum() == 3


class OnAppleGPU(torch.Tensor):
    """A tensor that, as one on Apple's GPU, has no float64 and meets tensors of the CPU only after cpu()."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        options = options or {}
        if function is torch.Tensor.cpu:
            return arguments[0].as_subclass(torch.Tensor)
        both = arguments[0] if isinstance(arguments[0], list | tuple) else arguments
        if any(type(each) is torch.Tensor and each.ndim for each in both):
            raise RuntimeError("Expected all tensors to be on the same device")
        result = super().__torch_function__(function, types, arguments, options)
        if isinstance(result, torch.Tensor) and result.dtype is torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return result


def test_a_model_on_a_gpu_without_float64_is_measured_too(guesses):
    labels, predictions, num_classes = guesses
    there = predictions.as_subclass(OnAppleGPU)
    with pytest.raises(TypeError, match="float64"):
        there.double()
    with pytest.raises(RuntimeError, match="same device"):
        torch.cat([labels, there])
    confusion = confusion_matrix(labels, there, num_classes=num_classes)
    assert torch.equal(confusion, confusion_matrix(labels, predictions, num_classes=num_classes))
    on_cpu, on_gpu = report(confusion), report(confusion.as_subclass(OnAppleGPU))
    assert torch.equal(on_gpu.f1, on_cpu.f1)
    assert type(on_gpu.f1) is torch.Tensor


@pytest.mark.parametrize(
    "labels, predictions, words",
    [
        ([1, 2], [1], "one shape"),
        ([1, 10], [1, 1], "from 0 to 9"),
        ([1, 1], [-1, 1], "from 0 to 9"),
        ([1.0, 1.0], [1.0, 2.0], "torch.float32"),
    ],
)
def test_confusion_matrix_refuses_what_it_cannot_count(labels, predictions, words):
    with pytest.raises(ValueError, match=words):
        confusion_matrix(torch.tensor(labels), torch.tensor(predictions))


def test_logits_in_place_of_predictions_are_explained():
    with pytest.raises(ValueError, match="argmax"):
        confusion_matrix(torch.tensor([1, 2]), torch.zeros(2, 10))


def test_interval_equals_the_published_formula():
    # Wilson's interval holds the shares p with |p_hat - p| <= z * sqrt(p (1 - p) / n): its ends meet it exactly.
    for num_correct, num_images in [(9_723, 10_000), (3, 10), (1, 7), (50, 100)]:
        share = num_correct / num_images
        for end in accuracy_interval(num_correct, num_images):
            z = abs(share - end) / (end * (1 - end) / num_images) ** 0.5
            assert z == pytest.approx(1.959964, rel=1e-6)


def test_interval_of_all_and_of_none():
    low, high = accuracy_interval(10_000, 10_000)
    assert 0.999 < low < 1 == high
    low, high = accuracy_interval(0, 10_000)
    assert low == 0 < high < 0.001


@pytest.mark.parametrize("counts", [(1, 0), (-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="num_correct"):
        accuracy_interval(*counts)


# --- writers


@pytest.fixture(scope="module")
def writers():
    """Who wrote MNIST's test images: 297 people, from 8 to 130 images each."""
    return load_writers("test")[0]


def right_answers(writers, accuracy, spread, num_sets, seed):
    """Draw sets of right answers, bool (num_sets, N): each writer is read with an accuracy of their own.

    The accuracies have a beta distribution, whose mean is the one given: what an interval ought to cover is known.
    """
    random = np.random.default_rng(seed)
    people, owner = writers.unique(return_inverse=True)
    shape = accuracy * (1 - spread) / spread, (1 - accuracy) * (1 - spread) / spread
    own = random.beta(*shape, size=(num_sets, len(people)))
    return torch.from_numpy(random.random((num_sets, len(writers))) < own[:, owner.numpy()])


def test_the_interval_over_writers_covers_what_it_promises_and_the_other_does_not(writers):
    accuracy, by_writers, by_images = 0.975, 0, 0
    for number, right in enumerate(right_answers(writers, accuracy, 0.02, 1500, seed=0)):
        low, high = writers_interval(right, writers, num_samples=500, seed=number)
        by_writers += low <= accuracy <= high
        low, high = accuracy_interval(right.sum().item(), len(right))
        by_images += low <= accuracy <= high
    assert 0.94 <= by_writers / 1500 <= 0.96  # the simulation's own standard error is 0.006
    assert by_images / 1500 < 0.89


def test_the_interval_of_a_difference_covers_it(writers):
    first, second = (
        right_answers(writers, share, 0.02, 500, seed) for seed, share in enumerate((0.98, 0.97))
    )
    covered = 0
    for number, difference in enumerate(first.double() - second.double()):
        low, high = writers_interval(difference, writers, num_samples=500, seed=number)
        covered += low <= 0.01 <= high
    assert 0.93 <= covered / 500 <= 0.97


def test_where_images_are_independent_both_intervals_agree():
    right = torch.rand(4000, generator=torch.Generator().manual_seed(0)) < 0.9
    ours, wilson = writers_interval(right, torch.arange(4000)), accuracy_interval(right.sum().item(), 4000)
    assert ours == pytest.approx(wilson, abs=0.0015)
    assert (
        writers_interval(right, torch.arange(4000))
        == ours
        != writers_interval(right, torch.arange(4000), seed=1)
    )


def test_nobody_read_wrongly_leaves_room_for_writers_not_seen(writers):
    low, high = writers_interval(torch.ones(10_000, dtype=torch.bool), writers)
    assert low == pytest.approx(1 - 3 / 297) and high == 1
    low, high = writers_interval(torch.zeros(10_000, dtype=torch.bool), writers)
    assert low == 0 and high == pytest.approx(3 / 297)
    assert writers_interval(torch.zeros(10_000), writers) == pytest.approx((-3 / 297, 3 / 297)), (
        "a difference"
    )


def test_the_paired_test_against_all_turns_of_eight_writers():
    generator = torch.Generator().manual_seed(2)
    writers = torch.arange(8).repeat(25)
    first, second = (torch.rand(200, generator=generator) < share for share in (0.9, 0.85))
    sums = torch.zeros(8).index_add(0, writers, first.float() - second.float()).tolist()
    turns = [abs(sum(a * b for a, b in zip(sums, signs))) for signs in product((1, -1), repeat=8)]
    exact = sum(turn >= abs(sum(sums)) for turn in turns) / 2**8
    assert 0.01 < exact < 0.5
    assert writers_test(first, second, writers, num_samples=20_000) == pytest.approx(exact, abs=0.012)
    assert writers_test(second, first, writers) == writers_test(first, second, writers)
    assert writers_test(first, first, writers) == 1


def test_the_paired_test_finds_no_difference_where_there_is_none_but_in_one_of_twenty(writers):
    first, second = (right_answers(writers, 0.98, 0.02, 600, seed) for seed in (3, 4))
    values = [writers_test(a, b, writers, num_samples=199) for a, b in zip(first, second)]
    assert 0.03 <= sum(value <= 0.05 for value in values) / 600 <= 0.07


def test_writers_who_do_not_fit_the_images_are_refused(writers):
    for values, people in ((torch.ones(9), writers), (torch.ones(4), torch.zeros(4, dtype=torch.long))):
        with pytest.raises(ValueError, match=r"one value and one writer for each image.*load_writers"):
            writers_interval(values, people)
        with pytest.raises(ValueError, match="one writer for each image"):
            writers_test(values, values, people)


def test_models_on_any_module():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.arange(10.0))

        def forward(self, images):
            return self.logits.expand(len(images), 10)

    measured = evaluate(Constant(), torch.zeros(4, 1, 28, 28), torch.tensor([9, 9, 9, 0]))
    assert measured.accuracy == 0.75
