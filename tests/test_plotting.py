"""The pictures: what is drawn equals what was given; the style stays inside; errors name the next step."""

import inspect
import io

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from digitlib import plotting

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(5, 250, (10, 28, 28), dtype=np.uint8)  # without pure black or white
LABELS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
PREDICTIONS = np.array([3, 1, 4, 7, 5, 9, 2, 0, 5, 3])  # the fourth and the eighth are wrong
TABLE = {
    "epoch": [1, 2, 3],
    "train_loss": [0.5, 0.25, 0.125],
    "train_accuracy": [0.8, 0.9, 0.95],
    "validation_loss": [0.4, 0.3, 0.35],
    "validation_accuracy": [0.85, 0.91, 0.9],
}
STEP_LOSS = RANDOM.uniform(0.1, 2, 60)
CONFUSION = RANDOM.integers(0, 4, (10, 10)) + np.diag(RANDOM.integers(900, 1100, 10))
PROBABILITIES = np.array([0.01, 0.02, 0.03, 0.6, 0.04, 0.05, 0.15, 0.03, 0.03, 0.04])

# One call of each function that draws on one Axes, and of each that draws a grid.
SINGLE = {
    "pixel_image": lambda **ax: plotting.pixel_image(IMAGES[0], **ax),
    "loss_curves": lambda **ax: plotting.loss_curves(TABLE, **ax),
    "accuracy_curves": lambda **ax: plotting.accuracy_curves(TABLE, **ax),
    "named_curves": lambda **ax: plotting.named_curves({"MLP": [3, 2], "CNN": [2]}, ylabel="loss", **ax),
    "step_losses": lambda **ax: plotting.step_losses(STEP_LOSS, log_scale=True, **ax),  # with minor ticks
    "confusion_heatmap": lambda **ax: plotting.confusion_heatmap(CONFUSION, **ax),
    "class_balance": lambda **ax: plotting.class_balance(LABELS, **ax),
    "probability_bars": lambda **ax: plotting.probability_bars(PROBABILITIES, 6, **ax),
}
GRIDS = {
    "gallery": lambda: plotting.gallery(IMAGES, LABELS, PREDICTIONS, num_columns=4),
    "feature_maps": lambda: plotting.feature_maps(RANDOM.normal(size=(7, 12, 12))),
}
for array in (IMAGES, LABELS, PREDICTIONS, STEP_LOSS, CONFUSION, PROBABILITIES):
    array.setflags(write=False)  # a function that changes what it was given raises an error


def texts(words):
    return [word.get_text() for word in words]


def titles_of(axes):
    return [ax.get_title() for ax in axes.flat]


def heights(bars):
    return [bar.get_height() for bar in bars]


def file_size(figure):
    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight")
    return len(file.getvalue())


def contrast(one, other):
    """Return the contrast of two colours as WCAG defines it, 1 to 21."""
    luminances = []
    for colour in (one, other):
        channels = np.array(to_rgb(colour))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        luminances.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


# Every function


def test_every_public_function_is_drawn_here():
    public = {
        name for name, _ in inspect.getmembers(plotting, inspect.isfunction) if not name.startswith("_")
    }
    assert public == {*SINGLE, *GRIDS, "running_mean", "style"}


def test_ax_is_drawn_on_and_returned():
    figure, axes = plt.subplots(2, 4)
    for i, ((name, draw), ax) in enumerate(zip(SINGLE.items(), axes.flat, strict=True)):
        assert draw(ax=ax) is ax
        assert [other.has_data() for other in axes.flat] == [True] * (i + 1) + [False] * (7 - i)
        assert name == "pixel_image" or (ax.get_xlabel() and ax.get_ylabel())
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", SINGLE | GRIDS)
def test_a_new_figure_has_the_style_can_be_read_and_is_small(name):
    with plt.style.context("dark_background"):
        _, untouched = plt.subplots()
        before = dict(mpl.rcParams)
        figure = np.ravel((SINGLE | GRIDS)[name]())[0].figure
        assert dict(mpl.rcParams) == before, "the style does not leak"
        assert len(plt.get_fignums()) == 2 and not untouched.has_data()
        assert file_size(figure) < 80_000  # late ticks are made here, under the caller's style
    assert figure.get_figwidth() <= 5.2
    assert min(to_rgb(figure.get_facecolor())) > 0.95 and figure.get_facecolor()[3] == 1
    assert all(text.get_fontsize() >= 9 for text in figure.findobj(mpl.text.Text) if text.get_text())
    for ax in figure.axes:
        words = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.get_xticklabels(which="both")]
        words += ax.get_yticklabels(which="both")
        words += ax.get_legend().get_texts() if ax.get_legend() else []
        for word in words:
            assert contrast(word.get_color(), plotting.PAPER) > 7, word


def test_style_dresses_other_figures_and_ends_even_with_an_error():
    before = dict(mpl.rcParams)
    with pytest.raises(ValueError), plotting.style():
        figure, _ = plt.subplots()
        look = [to_hex(mpl.rcParams[name]) for name in ("text.color", "axes.edgecolor", "axes.facecolor")]
        plotting.gallery(IMAGES[0])
    assert look == [plotting.INK, plotting.GREY, plotting.PAPER]
    assert to_hex(figure.get_facecolor()) == plotting.PAPER
    assert dict(mpl.rcParams) == before


# Images


def test_gallery_draws_each_image_and_marks_wrong_ones_in_words_and_with_a_frame():
    axes = GRIDS["gallery"]()
    assert axes.shape == (3, 4)
    expected = [f"read {digit}" for digit in PREDICTIONS]
    expected[3], expected[7] = "read 7\nis 1 ✗", "read 0\nis 6 ✗"
    assert titles_of(axes) == [*expected, "", ""]
    assert [i for i, ax in enumerate(axes.flat) if ax.get_frame_on()] == [3, 7]
    assert axes.flat[3].spines["top"].get_linewidth() >= 2
    for ax, image in zip(axes.flat, IMAGES):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.images[0].get_clim() == (0, 255)
    assert not any(ax.has_data() for ax in axes.flat[10:]), "the other cells are blank"


def test_gallery_takes_labels_or_predictions_or_titles_alone():
    assert titles_of(plotting.gallery(IMAGES[:2], LABELS[:2])) == ["3", "1"]
    assert titles_of(plotting.gallery(IMAGES[:2], predictions=PREDICTIONS[:2])) == ["read 3", "read 1"]
    assert titles_of(plotting.gallery(IMAGES[:2], titles=["one", 2])) == ["one", "2"]
    assert titles_of(plotting.gallery(IMAGES[:1])) == [""]
    axes = plotting.gallery(IMAGES[3:5], LABELS[3:5], PREDICTIONS[3:5], titles=["98% sure", "sure"])
    assert axes.shape == (1, 2), "no more columns than images"
    assert titles_of(axes) == ["98% sure\nread 7\nis 1 ✗", "sure\nread 5"]


def test_gallery_takes_normalised_tensors_on_one_scale():
    images = torch.linspace(-0.4, 2.8, 2 * 784).reshape(2, 1, 28, 28).requires_grad_()
    axes = plotting.gallery(images, torch.tensor([1, 3]), torch.tensor([1, 0]))
    assert titles_of(axes) == ["read 1", "read 0\nis 3 ✗"]
    for ax, image in zip(axes.flat, images.detach()):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])
        assert ax.images[0].get_clim() == pytest.approx((-0.4, 2.8))


def test_feature_maps_share_a_scale_that_the_colour_bar_shows():
    maps = torch.randn(6, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    axes = plotting.feature_maps(maps, num_columns=4, value="weight")
    limits = pytest.approx((maps.min().item(), maps.max().item()))
    assert axes.shape == (2, 4)
    for ax, filter_ in zip(axes.flat, maps[:, 0]):
        np.testing.assert_array_equal(ax.images[0].get_array(), filter_)
        assert ax.images[0].get_clim() == limits
    bar = axes[0, 0].figure.axes[-1]
    assert (bar.get_ylabel(), bar.get_ylim()) == ("weight", limits)
    assert titles_of(plotting.feature_maps(np.arange(18.0).reshape(2, 3, 3), titles=["a", "b"])) == ["a", "b"]


def test_pixel_image_takes_any_size():
    picture = RANDOM.uniform(size=(40, 60))
    ax = plotting.pixel_image(picture, title="a picture")
    np.testing.assert_array_equal(ax.images[0].get_array(), picture)
    assert ax.get_title() == "a picture" and ax.get_xticks().size == 0
    image = torch.tensor([[[-0.4242, 2.8215], [0.0, 1.25]]])
    ax = plotting.pixel_image(image)
    np.testing.assert_array_equal(ax.images[0].get_array(), image[0])
    assert ax.images[0].get_clim() == pytest.approx((-0.4242, 2.8215))
    assert plotting.pixel_image(IMAGES[0]).images[0].get_clim() == (0, 255)


# Curves


def test_history_curves_equal_the_table():
    cases = [
        (TABLE, "loss", 1, "loss (cross-entropy)"),
        (pd.DataFrame(TABLE), "accuracy", 100, "accuracy (%)"),
    ]
    for table, quantity, factor, label in cases:
        ax = getattr(plotting, f"{quantity}_curves")(table)
        for line, part in zip(ax.lines, ("train", "validation"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), TABLE["epoch"])
            np.testing.assert_allclose(line.get_ydata(), factor * np.array(TABLE[f"{part}_{quantity}"]))
        assert texts(ax.get_legend().get_texts()) == ["training", "validation"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", label)
        assert all(tick == round(tick) for tick in ax.get_xticks()), "there is no half epoch"


def test_named_curves_differ_without_colour_and_may_differ_in_length():
    curves = {f"system {i}": np.arange(i, i + 4) for i in range(20)}
    ax = plotting.named_curves(curves, ylabel="accuracy (%)", xlabel="step")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "accuracy (%)")
    assert len({(line.get_marker(), line.get_linestyle()) for line in ax.lines}) == 20
    for line, (name, values) in zip(ax.lines, curves.items(), strict=True):
        assert line.get_label() == name and line.get_marker() != "None"  # so one epoch can be seen
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_array_equal(line.get_ydata(), values)
    ax = plotting.named_curves({"short": [1], "long": torch.arange(2000.0)}, ylabel="loss")
    assert [len(line.get_xdata()) for line in ax.lines] == [1, 2000]
    assert [line.get_markevery() for line in ax.lines] == [1, 200], "markers stay apart"


def test_step_losses_show_each_step_and_the_running_mean():
    ax = plotting.step_losses(torch.tensor(STEP_LOSS), window=7)
    raw, smooth = ax.lines
    np.testing.assert_array_equal(raw.get_xdata(), np.arange(1, 61))
    np.testing.assert_allclose(raw.get_ydata(), STEP_LOSS)
    np.testing.assert_allclose(
        smooth.get_ydata(), [STEP_LOSS[max(0, i - 6) : i + 1].mean() for i in range(60)]
    )
    np.testing.assert_allclose(plotting.running_mean([2, 4, 9], 100), [2, 3, 5])
    assert smooth.get_label() == "mean of the last 7"
    assert smooth.get_linewidth() > 2 * raw.get_linewidth()
    assert ax.get_yscale() == "linear"
    ax = plotting.step_losses(STEP_LOSS, log_scale=True)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "log" and "0.1" in texts(ax.get_yticklabels())


# Digits and mistakes


def test_confusion_heatmap_shows_every_count_and_colours_the_mistakes_alone():
    ax = plt.subplots()[1]
    ax.text(0, 0, "mine")
    plotting.confusion_heatmap(CONFUSION, ax=ax)
    counts = ax.texts[1:]
    assert texts(counts) == [str(count) for count in CONFUSION.ravel()]
    places = [(column + 0.5, row + 0.5) for row in range(10) for column in range(10)]
    assert [text.get_position() for text in counts] == places and ax.yaxis_inverted()  # digit 0 is on top
    assert texts(ax.get_xticklabels()) == texts(ax.get_yticklabels()) == list("0123456789")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit")
    mistakes = np.where(np.eye(10, dtype=bool), 0, CONFUSION)
    np.testing.assert_array_equal(ax.collections[0].get_array().reshape(10, 10), mistakes)
    assert ax.collections[0].get_clim() == (0, max(12, mistakes.max()))
    assert sorted(patch.get_xy() for patch in ax.patches) == [(digit, digit) for digit in range(10)]
    assert [i for i, text in enumerate(counts) if text.get_fontweight() == "bold"] == list(range(0, 100, 11))
    ax.figure.canvas.draw()
    for i, (text, face) in enumerate(zip(counts, ax.collections[0].get_facecolors(), strict=True)):
        assert contrast(text.get_color(), plotting.PALE if i % 11 == 0 else face[:3]) >= 4.5, text
    faultless = plotting.confusion_heatmap(torch.eye(10, dtype=torch.int64) * 7)
    assert faultless.collections[0].get_clim() == (0, 12)


def test_class_balance_bars_are_the_shares_and_differ_without_colour():
    (bars,) = plotting.class_balance(LABELS).containers
    assert heights(bars) == pytest.approx([0, 20, 10, 20, 10, 20, 10, 0, 0, 10])
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx(range(10), abs=1e-9)
    ax = plotting.class_balance({"train": [0, 0, 1, 9], "test": torch.tensor([2, 2])})
    train, test = ax.containers
    assert heights(train) == [50, 25, 0, 0, 0, 0, 0, 0, 0, 25]
    assert heights(test) == [0, 0, 100, 0, 0, 0, 0, 0, 0, 0]
    assert texts(ax.get_legend().get_texts()) == ["equal shares", "train", "test"]
    assert train[0].get_hatch() != test[0].get_hatch() and set(ax.lines[0].get_ydata()) == {10}
    assert test[4].get_x() == pytest.approx(train[4].get_x() + train[4].get_width())


def test_probability_bars_say_what_was_read():
    for label, title in ((None, "read 3"), (3, "read 3, is 3"), (np.int64(6), "read 3, is 6 ✗")):
        ax = plotting.probability_bars(torch.tensor(PROBABILITIES), label)
        assert ax.get_title() == title
        np.testing.assert_allclose(heights(ax.patches), 100 * PROBABILITIES)
        assert texts(ax.texts) == [f"{100 * probability:.1f}" for probability in PROBABILITIES]
        thick = [digit for digit, bar in enumerate(ax.patches) if bar.get_linewidth() >= 2]
        assert thick == ([] if label is None else [label])
        colours = [to_hex(bar.get_facecolor()) for bar in ax.patches]
        assert colours.count(colours[3]) == 1 and len(set(colours)) == 2


# What is refused, and what it says

REFUSED = [
    ("gallery", (IMAGES[0],), r"\(N, H, W\).* got \(28, 28\); take images\[None\]"),
    ("gallery", (np.zeros((2, 3, 28, 28)),), r"got \(2, 3, 28, 28\); draw grey ones"),
    ("gallery", (np.zeros((101, 28, 28)),), r"N from 1 to 100, got \(101, 28, 28\); .*images\[:40\]"),
    ("gallery", (IMAGES, LABELS, [1]), "expected 10 titles, labels or predictions.* got 1; slice all alike"),
    ("gallery", (IMAGES, [1], PREDICTIONS), "expected 10 .* got 1; slice all alike"),
    ("gallery", (IMAGES, None, np.zeros((10, 10))), r"float64 \(10, 10\); .*logits.argmax\(1\)"),
    ("feature_maps", ([],), r"expected maps of shape .* got \(0,\)"),
    ("pixel_image", (IMAGES,), r"shape \(H, W\), got \(10, 28, 28\); choose one with images\[0\]"),
    ("loss_curves", ({"epoch": [1]},), "train_loss and validation_loss, got dict: .*history.as_table"),
    ("loss_curves", ([0.5],), "expected columns .* got list: .*; pass history.as_table"),
    ("step_losses", ([],), r"N at least 1, got \(0,\); train first"),
    ("confusion_heatmap", (CONFUSION / 10,), r"got float64 \(10, 10\); pass confusion_matrix"),
    ("confusion_heatmap", (CONFUSION[:9],), r"\(10, 10\), .* got int64 \(9, 10\); pass confusion_matrix"),
    ("class_balance", ([3, 10],), "expected labels from 0 to 9, got 3 to 10"),
    ("probability_bars", (np.ones((1, 10)),), r"shape \(10,\).*, got shape \(1, 10\)"),
    ("probability_bars", (np.array([-0.5, 1.5] + 8 * [0]),), "0 or more"),
    ("probability_bars", (np.full(10, np.nan),), r"sum nan; pass logits.softmax\(-1\)"),
    ("probability_bars", (PROBABILITIES, 10), "expected label from 0 to 9, got 10 to 10"),
]


def test_bad_input_is_refused_with_the_next_step():
    for name, arguments, message in REFUSED:
        with pytest.raises(ValueError, match=message):
            getattr(plotting, name)(*arguments)
    for curves in ({}, [1, 2]):
        with pytest.raises(ValueError, match="expected curves by name, got .*; write"):
            plotting.named_curves(curves, ylabel="loss")
    assert not plt.get_fignums(), "no half-drawn figure is left to be shown"
