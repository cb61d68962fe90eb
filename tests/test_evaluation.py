"""Our metrics against scikit-learn's and against figures worked out by hand."""

import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import nn

from digitlib.evaluation import (
    accuracy_interval,
    confusion_matrix,
    evaluate,
    measure,
    predict_logits,
    report,
    within,
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
    with pytest.raises(ValueError, match=r"expected one label an image.*7"):
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


def test_within_shows_the_range_inside_and_the_value_outside():
    assert within(0.985, 0.98, 0.99) == "between 98.0% and 99.0%"
    assert within(0.98, 0.98, 0.99) == "between 98.0% and 99.0%"
    assert within(0.97123, 0.98, 0.99) == "97.12%, outside the expected 98.0% to 99.0%"
    assert within(2.5, 2, 3, percent=False) == "between 2.0 and 3.0"
    assert within(float("nan"), 2, 3, percent=False).startswith("nan, outside")


def test_models_on_any_module():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.arange(10.0))

        def forward(self, images):
            return self.logits.expand(len(images), 10)

    measured = evaluate(Constant(), torch.zeros(4, 1, 28, 28), torch.tensor([9, 9, 9, 0]))
    assert measured.accuracy == 0.75
