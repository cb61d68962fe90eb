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
STEP_LOSS = list(RANDOM.uniform(0.1, 2, 60))
CONFUSION = RANDOM.integers(0, 4, (10, 10)) + np.diag(RANDOM.integers(900, 1100, 10))
PROBABILITIES = np.array([0.01, 0.02, 0.03, 0.6, 0.04, 0.05, 0.15, 0.03, 0.03, 0.04])

# One call of each function that draws on one Axes, and of each that draws a grid.
SINGLE = {
    "pixel_image": (IMAGES[0],),
    "loss_curves": (TABLE,),
    "accuracy_curves": (TABLE,),
    "named_curves": ({"MLP": [3, 2, 1], "CNN": [2, 1]},),
    "step_losses": (STEP_LOSS,),
    "confusion_heatmap": (CONFUSION,),
    "class_balance": (LABELS,),
    "probability_bars": (PROBABILITIES, 6),
}
GRIDS = {"gallery": (IMAGES, LABELS, PREDICTIONS), "feature_maps": (RANDOM.normal(size=(7, 12, 12)),)}
OPTIONS = {"named_curves": {"ylabel": "loss"}, "step_losses": {"log_scale": True}}  # with minor ticks


def draw(name, **options):
    arguments = (SINGLE | GRIDS)[name]
    return getattr(plotting, name)(*arguments, **OPTIONS.get(name, {}), **options)


def figure_of(drawn):
    return np.ravel(drawn)[0].figure


def titles_of(axes):
    return [ax.get_title() for ax in axes.flat]


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


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
        name
        for name, function in inspect.getmembers(plotting, inspect.isfunction)
        if function.__module__ == "digitlib.plotting" and not name.startswith("_")
    }
    assert public == set(SINGLE) | set(GRIDS) | {"running_mean", "style"}


@pytest.mark.parametrize("name", SINGLE)
def test_ax_is_drawn_on_and_returned(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert draw(name, ax=right) is right
    assert plt.get_fignums() == [figure.number]
    assert right.has_data()
    assert not left.has_data()


@pytest.mark.parametrize("name", SINGLE)
def test_without_ax_one_new_figure_is_drawn(name):
    figure, untouched = plt.subplots()
    ax = draw(name)
    assert isinstance(ax, plt.Axes)
    assert ax.figure is not figure
    assert len(plt.get_fignums()) == 2
    assert not untouched.has_data()


@pytest.mark.parametrize("name", SINGLE | GRIDS)
def test_the_style_is_applied_and_does_not_leak(name):
    with plt.style.context("dark_background"):
        before = dict(mpl.rcParams)
        drawn = draw(name)
        assert dict(mpl.rcParams) == before
        figure = figure_of(drawn)
        figure.canvas.draw()  # late ticks are made here, under the caller's style
        assert min(to_rgb(figure.get_facecolor())) > 0.95
        assert figure.get_facecolor()[3] == 1
        for ax in figure.axes:
            words = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.get_xticklabels(which="both")]
            words += ax.get_yticklabels(which="both")
            words += ax.get_legend().get_texts() if ax.get_legend() else []
            for word in words:
                assert contrast(word.get_color(), plotting.PAPER) > 7, word


def test_an_error_does_not_leak_the_style_either():
    before = dict(mpl.rcParams)
    with pytest.raises(ValueError):
        plotting.gallery(IMAGES[0])
    assert dict(mpl.rcParams) == before


def test_style_dresses_other_figures_and_ends():
    before = dict(mpl.rcParams)
    with plotting.style():
        figure, _ = plt.subplots()
    assert to_hex(figure.get_facecolor()) == plotting.PAPER
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", SINGLE | GRIDS)
def test_text_can_be_read_and_the_file_is_small(name):
    figure = figure_of(draw(name))
    assert figure.get_figwidth() <= 5.2
    figure.canvas.draw()
    for text in figure.findobj(mpl.text.Text):
        assert text.get_fontsize() >= 9 or not text.get_text(), text
    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight")
    assert len(file.getvalue()) < 80_000


def test_even_a_hundred_noisy_images_make_a_small_file():
    strokes = np.zeros((100, 28, 28), np.uint8)
    strokes[:, 6:22, 10:18] = RANDOM.integers(0, 256, (100, 16, 8))  # as many grey pixels as a digit has
    file = io.BytesIO()
    figure_of(plotting.gallery(strokes, num_columns=10)).savefig(file, bbox_inches="tight")
    assert len(file.getvalue()) < 80_000


@pytest.mark.parametrize("name", [name for name in SINGLE if name != "pixel_image"])
def test_axes_have_labels(name):
    ax = draw(name)
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_inputs_are_not_changed():
    images, labels, predictions = IMAGES.copy(), LABELS.copy(), PREDICTIONS.copy()
    confusion, step_loss, probabilities = CONFUSION.copy(), np.array(STEP_LOSS), PROBABILITIES.copy()
    given = (images, labels, predictions, confusion, step_loss, probabilities)
    for array in given:
        array.setflags(write=False)  # a write would raise
    plotting.gallery(images, labels, predictions)
    plotting.feature_maps(images)
    plotting.pixel_image(images[0, 8:20, 8:20], values=True)
    plotting.confusion_heatmap(confusion)
    plotting.step_losses(step_loss)
    plotting.class_balance(labels)
    plotting.probability_bars(probabilities)
    table = {name: list(column) for name, column in TABLE.items()}
    plotting.loss_curves(table)
    plotting.accuracy_curves(table)
    assert table == TABLE


# Images


def test_gallery_marks_wrong_ones_in_words_and_with_a_frame():
    axes = draw("gallery", num_columns=4)
    assert axes.shape == (3, 4)
    expected = [f"read {digit}" for digit in PREDICTIONS]
    expected[3], expected[7] = "read 7\nis 1 ✗", "read 0\nis 6 ✗"
    assert titles_of(axes) == [*expected, "", ""]
    framed = [ax.axison and all(spine.get_visible() for spine in ax.spines.values()) for ax in axes.flat]
    assert np.flatnonzero(framed).tolist() == [3, 7]
    assert axes.flat[3].spines["top"].get_linewidth() >= 2


def test_gallery_draws_each_image_and_leaves_the_other_cells_blank():
    axes = draw("gallery", num_columns=4)
    for ax, image in zip(axes.flat, IMAGES):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.images[0].get_clim() == (0, 255)
    for ax in axes.flat[len(IMAGES) :]:
        assert not ax.axison
        assert not ax.has_data()


def test_gallery_takes_labels_or_predictions_or_titles_alone():
    assert titles_of(plotting.gallery(IMAGES, LABELS))[:3] == ["3", "1", "4"]
    assert titles_of(plotting.gallery(IMAGES, predictions=PREDICTIONS))[:2] == ["read 3", "read 1"]
    assert titles_of(plotting.gallery(IMAGES[:2], titles=["one", 2])) == ["one", "2"]
    assert set(titles_of(plotting.gallery(IMAGES))) == {""}
    axes = plotting.gallery(IMAGES[3:4], LABELS[3:4], PREDICTIONS[3:4], titles=["98% sure"])
    assert titles_of(axes) == ["98% sure\nread 7\nis 1 ✗"]


def test_gallery_has_no_more_columns_than_images():
    assert plotting.gallery(IMAGES[:3]).shape == (1, 3)
    assert plotting.gallery(IMAGES[:1], LABELS[:1]).shape == (1, 1)


def test_gallery_takes_normalised_tensors_on_one_scale():
    images = torch.linspace(-0.4, 2.8, 3 * 784).reshape(3, 1, 28, 28).requires_grad_()
    axes = plotting.gallery(images, torch.tensor([1, 2, 3]), torch.tensor([1, 2, 0]))
    assert titles_of(axes) == ["read 1", "read 2", "read 0\nis 3 ✗"]
    for ax, image in zip(axes.flat, images.detach()):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[0])
        assert ax.images[0].get_clim() == pytest.approx((-0.4, 2.8))


def test_feature_maps_of_both_signs_share_a_scale_around_zero():
    maps = torch.randn(6, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    axes = plotting.feature_maps(maps, num_columns=4, value="weight")
    largest = maps.abs().max().item()
    assert axes.shape == (2, 4)
    assert titles_of(axes) == ["0", "1", "2", "3", "4", "5", "", ""]
    assert [len(ax.images) for ax in axes.flat] == [1] * 6 + [0] * 2
    for ax, filter_ in zip(axes.flat, maps[:, 0]):
        np.testing.assert_array_equal(ax.images[0].get_array(), filter_)
        assert ax.images[0].get_clim() == pytest.approx((-largest, largest))
    bar = axes[0, 0].figure.axes[-1]
    assert bar.get_ylabel() == "weight"
    assert bar.get_ylim() == pytest.approx((-largest, largest))


def test_feature_maps_without_negative_values_start_at_the_lowest():
    axes = plotting.feature_maps(np.arange(18.0).reshape(2, 3, 3), titles=["a", "b"])
    assert titles_of(axes) == ["a", "b"]
    assert {ax.images[0].get_clim() for ax in axes.flat} == {(0, 17)}


def test_pixel_image_writes_each_value_where_it_belongs():
    piece = IMAGES[0, 8:20, 8:18]
    ax = plotting.pixel_image(piece, values=True, title="a piece")
    assert ax.get_title() == "a piece"
    assert texts_of(ax) == [str(value) for value in piece.ravel()]
    assert [text.get_position() for text in ax.texts] == [(c, r) for r in range(12) for c in range(10)]
    for text, value in zip(ax.texts, piece.ravel()):
        assert contrast(text.get_color(), [value / 255] * 3) >= 4.5


def test_pixel_image_writes_normalised_values_with_one_decimal():
    image = torch.tensor([[[-0.4242, 2.8215], [0.0, 1.25]]])
    assert texts_of(plotting.pixel_image(image, values=True)) == ["-0.4", "2.8", "0.0", "1.2"]


def test_pixel_image_numbers_rows_and_columns_on_request():
    assert plotting.pixel_image(IMAGES[0]).get_xticks().size == 0
    ax = plotting.pixel_image(IMAGES[0], ticks=True)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column", "row")
    assert {0, 10, 20} <= set(ax.get_xticks())
    assert not ax.texts


def test_pixel_image_takes_pictures_of_other_sizes():
    picture = RANDOM.uniform(size=(40, 60))
    np.testing.assert_array_equal(plotting.pixel_image(picture).images[0].get_array(), picture)


# Curves


@pytest.mark.parametrize("table", [TABLE, pd.DataFrame(TABLE)], ids=["dict", "DataFrame"])
@pytest.mark.parametrize(("quantity", "factor"), [("loss", 1), ("accuracy", 100)])
def test_history_curves_equal_the_table(table, quantity, factor):
    ax = getattr(plotting, f"{quantity}_curves")(table)
    for line, part in zip(ax.lines, ("train", "validation"), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), TABLE["epoch"])
        np.testing.assert_allclose(line.get_ydata(), factor * np.array(TABLE[f"{part}_{quantity}"]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylabel() == {"loss": "loss (cross-entropy)", "accuracy": "accuracy (%)"}[quantity]


def test_epochs_are_whole_numbers_on_the_axis_and_one_epoch_can_be_seen():
    ax = plotting.loss_curves({name: column[:1] for name, column in TABLE.items()})
    assert ax.lines[0].get_marker() != "None"
    for tick in plotting.loss_curves(TABLE).get_xticks():
        assert tick == round(tick)


def test_named_curves_differ_without_colour():
    curves = {f"system {i}": np.arange(i, i + 4) for i in range(20)}
    ax = plotting.named_curves(curves, ylabel="accuracy (%)", xlabel="step", start=0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "accuracy (%)")
    assert len({(line.get_marker(), line.get_linestyle()) for line in ax.lines}) == 20
    for line, (name, values) in zip(ax.lines, curves.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_named_curves_may_differ_in_length():
    ax = plotting.named_curves({"short": [1], "long": torch.tensor([3.0, 2.0])}, ylabel="loss")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1], [1, 2]]


def test_markers_of_long_curves_stay_apart():
    ax = plotting.named_curves({"short": range(5), "long": range(2000)}, ylabel="loss")
    assert [line.get_markevery() for line in ax.lines] == [1, 200]


@pytest.mark.parametrize("window", [1, 2, 7, 60, 100])
def test_running_mean_is_the_mean_of_the_last_values(window):
    expected = [np.mean(STEP_LOSS[max(0, i + 1 - window) : i + 1]) for i in range(len(STEP_LOSS))]
    np.testing.assert_allclose(plotting.running_mean(STEP_LOSS, window), expected)


def test_step_losses_show_each_step_and_the_running_mean():
    ax = plotting.step_losses(torch.tensor(STEP_LOSS), window=7)
    raw, smooth = ax.lines
    np.testing.assert_array_equal(raw.get_xdata(), np.arange(1, 61))
    np.testing.assert_allclose(raw.get_ydata(), STEP_LOSS, rtol=1e-6)
    np.testing.assert_allclose(smooth.get_ydata(), plotting.running_mean(STEP_LOSS, 7), rtol=1e-6)
    assert smooth.get_label() == "mean of the last 7"
    assert smooth.get_linewidth() > 2 * raw.get_linewidth()
    assert ax.get_yscale() == "linear"


def test_step_losses_on_a_logarithmic_axis():
    ax = plotting.step_losses(STEP_LOSS, log_scale=True)
    assert ax.get_yscale() == "log"
    ax.figure.canvas.draw()
    assert "0.1" in [label.get_text() for label in ax.get_yticklabels()]


# Digits and mistakes


def test_confusion_heatmap_shows_every_count():
    ax = draw("confusion_heatmap")
    assert texts_of(ax) == [str(count) for count in CONFUSION.ravel()]
    assert [text.get_position() for text in ax.texts[:11]] == [(c + 0.5, 0.5) for c in range(10)] + [
        (0.5, 1.5)
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit")
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(digit) for digit in range(10)]
    assert ax.yaxis_inverted()  # the first row, digit 0, is on top


def test_confusion_heatmap_colours_the_mistakes_alone():
    ax = draw("confusion_heatmap")
    coloured = ax.collections[0].get_array().reshape(10, 10)
    mistakes = np.where(np.eye(10, dtype=bool), 0, CONFUSION)
    np.testing.assert_array_equal(coloured, mistakes)
    assert ax.collections[0].get_clim() == (0, mistakes.max())
    assert sorted(patch.get_xy() for patch in ax.patches) == [(digit, digit) for digit in range(10)]


def test_confusion_heatmap_has_readable_numbers():
    ax = draw("confusion_heatmap")
    ax.figure.canvas.draw()
    faces = ax.collections[0].get_facecolors()
    for i, (text, count) in enumerate(zip(ax.texts, CONFUSION.ravel())):
        background = plotting.PALE if i % 11 == 0 else faces[i][:3]
        assert contrast(text.get_color(), background) >= 4.5, count


def test_confusion_heatmap_without_any_mistake():
    ax = plotting.confusion_heatmap(torch.eye(10, dtype=torch.int64) * 7)
    assert texts_of(ax)[:2] == ["7", "0"]
    assert ax.collections[0].get_clim() == (0, 1)


def test_confusion_heatmap_on_axes_that_have_text_already():
    ax = plt.subplots()[1]
    ax.text(0, 0, "mine")
    plotting.confusion_heatmap(CONFUSION, ax=ax)
    assert texts_of(ax) == ["mine"] + [str(count) for count in CONFUSION.ravel()]
    assert [i for i, text in enumerate(ax.texts) if text.get_fontweight() == "bold"] == list(
        range(1, 101, 11)
    )


def test_class_balance_bars_are_the_shares():
    ax = draw("class_balance")
    shares = [0, 20, 10, 20, 10, 20, 10, 0, 0, 10]
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], shares)
    np.testing.assert_allclose(
        [bar.get_x() + bar.get_width() / 2 for bar in ax.patches], range(10), atol=1e-9
    )
    assert texts_of(ax) == [f"{share:.1f}" for share in shares]
    assert set(ax.lines[0].get_ydata()) == {10}


def test_class_balance_of_several_parts_differs_without_colour():
    ax = plotting.class_balance({"train": [0, 0, 1, 9], "test": torch.tensor([2, 2])})
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert heights == [[50, 25, 0, 0, 0, 0, 0, 0, 0, 25], [0, 0, 100, 0, 0, 0, 0, 0, 0, 0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["equal shares", "train", "test"]
    assert len({bars[0].get_hatch() for bars in ax.containers}) == 2
    first, second = (bars[4].get_x() for bars in ax.containers)
    assert second == pytest.approx(first + ax.containers[0][4].get_width())


@pytest.mark.parametrize(
    ("label", "title"), [(None, "read 3"), (3, "read 3, is 3"), (np.int64(6), "read 3, is 6 ✗")]
)
def test_probability_bars_say_what_was_read(label, title):
    ax = plotting.probability_bars(torch.tensor(PROBABILITIES), label)
    assert ax.get_title() == title
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], 100 * PROBABILITIES)
    assert texts_of(ax) == [f"{100 * probability:.1f}" for probability in PROBABILITIES]
    thick = [digit for digit, bar in enumerate(ax.patches) if bar.get_linewidth() >= 2]
    assert thick == ([] if label is None else [label])
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2
    assert ax.patches[3].get_facecolor() != ax.patches[0].get_facecolor()


# What is refused, and what it says

ONE = IMAGES[:1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plotting.gallery(IMAGES[0]),
            r"shape \(N, H, W\).*got \(28, 28\); add an axis with images\[None\]",
        ),
        (lambda: plotting.gallery(np.zeros((5, 784))), r"got \(5, 784\); .*images.reshape\(-1, 28, 28\)"),
        (lambda: plotting.gallery(np.zeros((2, 3, 28, 28))), r"got \(2, 3, 28, 28\); draw grey images"),
        (lambda: plotting.gallery(np.zeros((0, 28, 28))), r"got \(0, 28, 28\); choose some images"),
        (lambda: plotting.gallery([]), r"got \(0,\); choose some images"),
        (
            lambda: plotting.gallery(np.zeros((101, 28, 28))),
            r"N from 1 to 100, got \(101, 28, 28\); .*images\[:40\]",
        ),
        (lambda: plotting.gallery(IMAGES, LABELS[:9]), "expected 10 labels, .* got 9; slice both alike"),
        (
            lambda: plotting.gallery(IMAGES, LABELS, [1]),
            "expected 10 predictions, .* got 1; slice both alike",
        ),
        (
            lambda: plotting.gallery(ONE, [3], np.zeros((1, 10))),
            r"predictions.*float64 \(1, 10\); take logits.argmax\(1\)",
        ),
        (
            lambda: plotting.gallery(ONE, [3.0]),
            r"labels of shape \(N,\), whole numbers, got float64 \(1,\); pass one",
        ),
        (lambda: plotting.gallery(ONE, titles=["a", "b"]), "expected 1 titles, .* got 2; slice both alike"),
        (lambda: plotting.gallery(ONE, num_columns=0), "expected 1 column or more, got 0; try num_columns=8"),
        (
            lambda: plotting.feature_maps(IMAGES[0]),
            r"expected maps of shape .* got \(28, 28\); add an axis with maps\[None\]",
        ),
        (
            lambda: plotting.feature_maps(IMAGES, titles=["a"]),
            "expected 10 titles, .* got 1; slice both alike",
        ),
        (
            lambda: plotting.pixel_image(IMAGES),
            r"shape \(H, W\), got \(10, 28, 28\); choose one with images\[0\]",
        ),
        (lambda: plotting.pixel_image(IMAGES[0], values=True), r"12 x 12 .* got \(28, 28\); cut a piece out"),
        (
            lambda: plotting.loss_curves({"epoch": [1]}),
            "train_loss, validation_loss, got epoch; pass history.as_table",
        ),
        (lambda: plotting.loss_curves({}), "got none; pass history.as_table"),
        (
            lambda: plotting.loss_curves(STEP_LOSS),
            "expected columns epoch, .* got a list; pass history.as_table",
        ),
        (
            lambda: plotting.loss_curves(TABLE | {"epoch": [1]}),
            "one length, got 1, 3 and 3; pass history.as_table",
        ),
        (
            lambda: plotting.loss_curves({name: [] for name in TABLE}),
            r"column epoch .* got \(0,\); train first",
        ),
        (
            lambda: plotting.accuracy_curves(TABLE | {"train_accuracy": [80, 90, 95]}),
            "0 to 1, got 95; divide .* by 100",
        ),
        (lambda: plotting.named_curves({}, ylabel="loss"), "expected curves by name, got none; write"),
        (lambda: plotting.named_curves([1, 2], ylabel="loss"), "expected curves by name, got list; write"),
        (
            lambda: plotting.named_curves({"CNN": []}, ylabel="loss"),
            r"curve 'CNN' .* got \(0,\); train first",
        ),
        (lambda: plotting.step_losses([]), r"at least one number, got \(0,\); train first"),
        (
            lambda: plotting.step_losses(STEP_LOSS, window=0),
            "window of 1 value or more, got 0; try window=50",
        ),
        (
            lambda: plotting.confusion_heatmap(LABELS),
            r"shape \(10, 10\).* got int64 \(10,\); pass confusion_matrix",
        ),
        (
            lambda: plotting.confusion_heatmap(CONFUSION / 10),
            r"got float64 \(10, 10\); pass confusion_matrix",
        ),
        (lambda: plotting.confusion_heatmap(CONFUSION[:9]), r"got int64 \(9, 10\); pass confusion_matrix"),
        (lambda: plotting.confusion_heatmap(-CONFUSION), "counts of 0 or more"),
        (
            lambda: plotting.class_balance([]),
            r"labels of shape \(N,\).* got float64 \(0,\); pass one whole number",
        ),
        (lambda: plotting.class_balance({}), "expected labels by name, got none; write"),
        (
            lambda: plotting.class_balance([3, 10]),
            "expected labels from 0 to 9, got 3 to 10; find the wrong ones",
        ),
        (
            lambda: plotting.probability_bars(np.ones((1, 10))),
            r"shape \(10,\), got \(1, 10\); choose one image's row",
        ),
        (lambda: plotting.probability_bars(np.arange(10.0)), r"sum of 45; pass logits.softmax\(-1\)"),
        (
            lambda: plotting.probability_bars(PROBABILITIES - 0.1),
            r"a lowest of -0.09 .*; pass logits.softmax\(-1\)",
        ),
        (lambda: plotting.probability_bars(np.full(10, np.nan)), r"sum of nan; pass logits.softmax\(-1\)"),
        (lambda: plotting.probability_bars(PROBABILITIES, 10), "expected label from 0 to 9, got 10 to 10"),
    ],
)
def test_bad_input_is_refused_with_the_next_step(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not plt.get_fignums(), "no half-drawn figure is left to be shown"
