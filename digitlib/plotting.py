"""Pictures of digits, curves and mistakes: arrays or tensors in, Axes out.

Each function is named after the picture it draws. It draws on the Axes given as `ax`, or on a new figure, and
returns the Axes, so that a notebook can add to it before `plt.show()`. Nothing is told by colour alone. What cannot be
drawn raises a ValueError that says what was expected, what came and what to do next.
The look is applied inside each function and does not outlast it; `with style():` lends it to other figures.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette, which colour-blind readers can tell apart, without the yellow, pale on white.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
INK, GREY, PALE, PAPER = "#222222", "#6b6b6b", "#dddddd", "#fdfdfd"  # three are those of digitlib.mplstyle
MARKERS, LINE_STYLES, HATCHES = "os^Dv", ("-", "--", "-.", ":"), ("", "///", "...", "xxx")
WIDTH = 5.2  # inches: 520 pixels at the default 100 dpi, so that text of 10 points can be read on a phone
MOST_IMAGES = 100  # that can be told apart


def style():
    """A context in which new figures look like this module's: `with style(): fig, ax = plt.subplots()`."""
    return plt.style.context(Path(__file__).with_name("digitlib.mplstyle"))


@style()
def gallery(images, labels=None, predictions=None, *, titles=None, num_columns=8) -> np.ndarray:
    """Images with their digits, an array of Axes (rows, columns); wrong ones have a frame, a cross and both digits.

    Args:
        images: uint8 or float (N, H, W) or (N, 1, H, W), at most 100; high is bright, on one scale for all.
        labels, predictions: int (N,), the true digits and those that a model read. titles: N short texts above them.
    """
    images = _images(images, "images")
    labels = None if labels is None else _digits(labels, "labels")
    if predictions is None:
        return _grid(images, [titles, labels], num_columns)
    predictions = _digits(predictions, "predictions")
    read = [f"read {digit}" for digit in predictions]
    if labels is None:
        return _grid(images, [titles, read], num_columns)
    mistakes = ["" if true == guess else f"is {true} ✗" for true, guess in zip(labels, predictions)]
    axes = _grid(images, [titles, read, mistakes], num_columns)
    for ax in axes.flat[: len(images)][labels != predictions]:
        ax.set_frame_on(True)
        ax.spines[:].set(color=VERMILION, linewidth=3)
    return axes


@style()
def feature_maps(maps, *, titles=None, num_columns=5, value="activation") -> np.ndarray:
    """Channels, filters or mean images on one scale, with its colour bar: an array of Axes (rows, columns).

    Args:
        maps: (C, H, W), what one image became in C channels; or (C, 1, H, W), a layer's filters; at most 100.
        titles: C short texts above the maps. value: what the colours mean, written beside the colour bar.
    """
    axes = _grid(_images(maps, "maps"), [titles], num_columns, margin=0.9)
    bar = axes[0, 0].figure.colorbar(axes[0, 0].images[0], ax=axes, aspect=25)
    bar.outline.set_visible(False)
    _dress(bar.ax, "", value, grid=False)
    return axes


@style()
def pixel_image(image, *, title="", ax=None) -> Axes:
    """One grey image of any size, uint8 or float (H, W) or (1, H, W); high is bright."""
    image = _array(image)
    image = image[0] if image.ndim == 3 and len(image) == 1 else image
    if image.ndim != 2:
        raise ValueError(f"expected an image of shape (H, W), got {image.shape}; choose one with images[0]")
    ax = _axes(ax, 3.2, 3.2)
    ax.imshow(image, cmap="gray", clim=_limits(image))
    ax.set(title=title, xticks=[], yticks=[])
    return ax


def loss_curves(table, *, ax=None) -> Axes:
    """Training and validation loss after each epoch, from `History.as_table()` or a DataFrame of it."""
    return named_curves(_columns(table, "loss"), ylabel="loss (cross-entropy)", ax=ax)


def accuracy_curves(table, *, ax=None) -> Axes:
    """Training and validation accuracy after each epoch, in percent, from such a table, which holds shares, 0 to 1."""
    return named_curves(_columns(table, "accuracy", unit=100), ylabel="accuracy (%)", ax=ax)


@style()
def named_curves(curves, *, ylabel, xlabel="epoch", ax=None) -> Axes:
    """Several systems or settings in one picture, each with its own colour, marker and line style.

    Args:
        curves: mapping of names to values, one for each epoch or step, counted from 1; lengths may differ.
        ylabel, xlabel: what the values are, with their unit, and what they are counted in.
    """
    if not hasattr(curves, "items") or len(curves) == 0:
        raise ValueError(f'expected curves by name, got {curves!r:.40}; write {{"CNN": losses}}')
    curves = {name: _series(values, f"curve {name!r}") for name, values in curves.items()}
    ax = _axes(ax, WIDTH, 3.4)
    for i, (name, values) in enumerate(curves.items()):
        looks = {"color": COLOURS[i % len(COLOURS)], "linestyle": LINE_STYLES[i % len(LINE_STYLES)]}
        looks |= {"marker": MARKERS[i % len(MARKERS)], "markevery": max(1, len(values) // 10)}
        ax.plot(range(1, len(values) + 1), values, label=name, **looks)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.legend(loc="best")  # said aloud, it does not warn when the search takes long
    return _dress(ax, xlabel, ylabel)


def running_mean(values, window) -> np.ndarray:
    """The mean of the last `window` values, 1 or more, at each place; at the start, of as many as there are.

    From values (N,) it makes float64 (N,). Taught in notebook 08.
    """
    values = _series(values, "values")
    sums = np.convolve(values, np.ones(window))[: len(values)]
    return sums / np.minimum(np.arange(1, len(values) + 1), window)


@style()
def step_losses(step_loss, *, window=50, log_scale=False, ax=None) -> Axes:
    """The loss of each training step, thin, and its running mean, thick.

    Args:
        step_loss: (N,) losses, as in `History.step_loss`; window: see `running_mean`.
        log_scale: draw the losses on a logarithmic axis, which shows the small gains late in training.
    """
    smooth = running_mean(step_loss, window)
    steps = np.arange(1, len(smooth) + 1)
    ax = _axes(ax, WIDTH, 3.4)
    ax.plot(steps, _array(step_loss), color="#9dbfd6", linewidth=0.7, label="each step")
    ax.plot(steps, smooth, color=BLUE, linewidth=2.2, label=f"mean of the last {window}")
    if log_scale:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    ax.legend(loc="best")
    return _dress(ax, "step (one batch)", "loss (cross-entropy)")


@style()
def confusion_heatmap(confusion, *, ax=None) -> Axes:
    """How often each true digit (row) was read as each (column), int (C, C): mistakes coloured, right answers grey."""
    import seaborn as sns  # here, because it brings pandas and takes half a second, for this picture alone

    confusion = _array(confusion)
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1] or confusion.dtype.kind not in "iu":
        got = f"{confusion.dtype} {confusion.shape}; pass confusion_matrix(labels, predictions)"
        raise ValueError(f"expected confusion of shape (10, 10), whole numbers, got {got}")
    mistakes = confusion - np.diag(np.diag(confusion))  # the right answers, 1,000 each, would outshine them
    ax = _axes(ax, WIDTH, 4.7)
    colours = sns.blend_palette([PAPER, ORANGE], as_cmap=True)  # light enough for dark numbers everywhere
    # A few mistakes more or fewer, as on another processor, change a shade a little.
    looks = {"cmap": colours, "vmin": 0, "vmax": max(12, mistakes.max()), "cbar": False, "linewidths": 1}
    sns.heatmap(mistakes, annot=confusion, fmt="d", annot_kws={"size": 10, "color": INK}, ax=ax, **looks)
    texts = np.reshape(ax.texts[-confusion.size :], confusion.shape)
    for text in texts[confusion == 0]:
        text.set_color(GREY)
    for digit, text in enumerate(texts.diagonal()):
        text.set(color=INK, fontweight="bold")
        ax.add_patch(Rectangle((digit, digit), 1, 1, facecolor=PALE, edgecolor=PAPER))
    ax.tick_params(rotation=0, length=0)
    return _dress(ax, "predicted digit", "true digit", grid=False)


@style()
def class_balance(labels, *, ax=None) -> Axes:
    """The share of each digit among labels, int (N,), in percent, or among several such by name, side by side."""
    parts = labels if hasattr(labels, "items") else {"": labels}
    parts = {name: _digits(part, "labels") for name, part in parts.items()}
    ax = _axes(ax, WIDTH, 3.4)
    width = 0.82 / len(parts)
    for i, (name, digits) in enumerate(parts.items()):
        places = np.arange(10) + (i + 0.5) * width - 0.41
        looks = {"color": COLOURS[i % len(COLOURS)], "hatch": HATCHES[i % len(HATCHES)], "edgecolor": PAPER}
        shares = 100 * np.bincount(digits, minlength=10) / len(digits)
        ax.bar(places, shares, width, label=name, **looks)
    ax.axhline(10, color=INK, linestyle="--", linewidth=1, label="equal shares")
    ax.set_xticks(range(10))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, columnspacing=1.2, handlelength=1.6)
    return _dress(ax, "digit", "share of images (%)")


@style()
def probability_bars(probabilities, label=None, *, ax=None) -> Axes:
    """The ten probabilities of one image, in percent; the title says which digit was read, and which it is.

    Args:
        probabilities: (10,), 0 or more, with sum 1: the softmax of one row of logits.
        label: the true digit, if it is known; its bar has a thick edge.
    """
    probabilities = _array(probabilities)
    if probabilities.shape != (10,) or probabilities.min() < 0 or not abs(probabilities.sum() - 1) < 1e-3:
        got = f"shape {probabilities.shape} and sum {probabilities.sum():.3g}; pass logits.softmax(-1)[0]"
        raise ValueError(f"expected probabilities of shape (10,), 0 or more with sum 1, got {got}")
    read = int(probabilities.argmax())
    title = f"read {read}"
    if label is not None:
        label = int(_digits([label], "label")[0])
        title += f", is {label}" if label == read else f", is {label} ✗"
    ax = _axes(ax, WIDTH, 3)
    colours = [BLUE if digit == read else "#b9c4cc" for digit in range(10)]
    bars = ax.bar(range(10), 100 * probabilities, color=colours)
    ax.bar_label(bars, fmt="%.1f", padding=2)
    if label is not None:
        bars[label].set(edgecolor=INK, linewidth=2)
    ax.set(title=title, ylim=(0, 112), xticks=range(10), yticks=range(0, 101, 25))
    return _dress(ax, "digit", "probability (%)")


def _array(values):
    """An array of a list, an array or a tensor, on whatever device and with or without a gradient."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _images(images, name):
    images = _array(images)
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim == 3 and 0 < len(images) <= MOST_IMAGES:
        return images
    hints = {2: f"take {name}[None] or {name}.reshape(-1, 28, 28)", 3: f"choose some, as {name}[:40]"}
    got = f"got {images.shape}; {hints.get(images.ndim, 'draw grey ones, of one channel each')}"
    raise ValueError(f"expected {name} of shape (N, H, W), N from 1 to {MOST_IMAGES}, {got}")


def _digits(digits, name):
    digits = _array(digits)
    if digits.ndim != 1 or digits.size == 0 or digits.dtype.kind not in "iu":
        got = f"{digits.dtype} {digits.shape}; pass one digit for each image, as logits.argmax(1)"
        raise ValueError(f"expected {name} of shape (N,), whole numbers, got {got}")
    if digits.min() < 0 or digits.max() > 9:
        raise ValueError(f"expected {name} from 0 to 9, got {digits.min()} to {digits.max()}")
    return digits


def _series(values, name):
    values = _array(values)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"expected {name} of shape (N,), N at least 1, got {values.shape}; train first")
    return values.astype(float)


def _columns(table, quantity, unit=1):
    """The training and validation values by name, of a History's table."""
    names = {"training": f"train_{quantity}", "validation": f"validation_{quantity}"}
    try:
        return {part: unit * _series(table[name], name) for part, name in names.items()}
    except (KeyError, TypeError) as error:
        got = f"got {type(table).__name__}: {error}; pass history.as_table()"
        raise ValueError(f"expected columns {' and '.join(names.values())}, {got}") from error


def _limits(images):
    """The values drawn black and white: the ends of uint8, otherwise the lowest and the highest value."""
    return (0, 255) if images.dtype == np.uint8 else (images.min(), images.max())


def _axes(ax, width, height):
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def _grid(images, lines, num_columns, *, margin=0.0):
    """A new figure of images on one scale, with their texts above; each line holds N texts, or is None."""
    lines = [line for line in lines if line is not None]
    for line in lines:
        if len(line) != len(images):
            expected = f"expected {len(images)} titles, labels or predictions, one for each image"
            raise ValueError(f"{expected}, got {len(line)}; slice all alike")
    captions = ["\n".join(map(str, words)).rstrip() for _, *words in zip(images, *lines)]
    num_columns = min(num_columns, len(images))
    num_rows = -(-len(images) // num_columns)
    width = min(1.3, (WIDTH - margin) / num_columns)  # inches of a cell
    most_lines = 1 + max(caption.count("\n") for caption in captions)
    height = width * images.shape[1] / images.shape[2] + 0.1 + 0.17 * most_lines
    looks = {"figsize": (num_columns * width + margin, num_rows * height), "layout": "compressed"}
    bare = {"xticks": [], "yticks": [], "frame_on": False}
    axes = plt.subplots(num_rows, num_columns, squeeze=False, subplot_kw=bare, **looks)[1]
    limits = _limits(images)
    for ax, image, caption in zip(axes.flat, images, captions):
        ax.imshow(image, cmap="gray", clim=limits)
        ax.set_title(caption, fontsize=10, pad=4)
    return axes


def _dress(ax, xlabel, ylabel, *, grid=True):
    ax.set(xlabel=xlabel, ylabel=ylabel)
    # Ticks are made late, when the style has gone again: what they look like must be said to the axis itself.
    ax.tick_params(which="both", labelsize=10, labelcolor=INK, color=GREY)
    if grid:
        ax.set_axisbelow(True)
        ax.grid(axis="y", color=PALE, linewidth=0.8)
        ax.spines[["top", "right"]].set_visible(False)
    return ax
