"""The checks of notebook 5: dense layers, a convolution, softmax."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.core import names_of
from digitlib.checks.engine import change, exercise


class _Stack(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = [nn.Linear(size_in, size_out) for size_in, size_out in zip(sizes, sizes[1:])]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def _sizes():
    for sizes in ([6, 5, 4, 3], [4, 4, 4], [7, 2], [3, 9, 8, 6, 5, 2]):
        yield f"the sizes {sizes}", (sizes, 2 * torch.randn(40, sizes[0]))


def _watch_stack(run, sizes, x):
    model = run(sizes)
    facts = {"`Stack(sizes)` makes an `nn.Module`": isinstance(model, nn.Module)}
    weights = list(model.parameters()) if isinstance(model, nn.Module) else []
    facts["the number of parameters that `parameters()` finds"] = sum(map(torch.numel, weights))
    if not weights:
        return facts
    for each in weights:  # the same ones for the same shape, in whatever order the layers come
        nn.init.normal_(each, 0.0, 0.5, torch.Generator().manual_seed(each.numel()))
    logits = run.of(model, x)
    if isinstance(logits, Tensor) and logits.requires_grad:
        run.of(logits.sum().backward)
    reached = sum(weight.grad is not None for weight in weights)
    return facts | {"the number of weights and biases that a gradient reaches": reached, "the result": logits}


stack = exercise(
    "stack", given=_sizes, blank=_Stack, observe=_watch_stack, returns="logits, float32 (N, the last size)",
    right=change(_Stack, "= [", "= nn.ModuleList([", "[1:])]", "[1:])])", "for layer in self.layers",
                 "for number, layer in enumerate(self.layers)", "layer(x)", "layer(F.relu(x) if number > 0 else x)"),
    passed="Training reaches what `parameters()` finds, and a stack needs ReLU to be more than one layer.",
    wrong={
        "`parameters()` finds nothing, so an optimizer would have nothing to train. In which kind of list does a "
        "network keep its layers?": ("nn.ModuleList(", "list("),
        "Without ReLU between its layers the whole stack is one linear layer.": ("number > 0", "False"),
        "A ReLU follows the last layer too. Logits may be negative, so it should not.": ("return x", "return x.relu()"),
        "A ReLU changes the images before the first layer sees them; it belongs between the layers.": [
            ("number > 0", "True"), ("number > 0", "number == 0")],
        "A softmax, or its like, follows the last layer; the network should return logits.": [
            ("return x", f"return x.{end}") for end in ("softmax(dim=1)", "log_softmax(dim=1)", "sigmoid()")],
        "A ReLU is missing somewhere: one belongs between each two layers.": [
            ("number > 0", "number == 1"), ("number > 0", "len(self.layers) - 1 > number > 0")],
    })  # fmt: skip


def _images_and_kernels():
    cases = [(8, 8, 3, 3, 1), (9, 9, 3, 3, 2), (10, 7, 2, 4, 1), (7, 13, 4, 3, 3), (5, 6, 5, 6, 1)]
    for rows, columns, high, wide, stride in [*cases, (10, 14, 1, 2, 4)]:
        name = f"an image of {rows}×{columns}, a kernel of {high}×{wide} and a stride of {stride}"
        yield name, (torch.randn(rows, columns), torch.randn(high, wide), stride)


def _slide(image, kernel, stride):
    (height, width), (high, wide) = image.shape, kernel.shape
    tops, lefts = range(0, height - high + 1, stride), range(0, width - wide + 1, stride)
    sums = torch.zeros(len(tops), len(lefts))
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            sums[i, j] = (image[top : top + high, left : left + wide] * kernel).sum()
    return sums


def _watch_map(run, image, kernel, stride):
    result, own = run(image, kernel, stride), stride < 4 or "conv" not in names_of(run, image, kernel, stride)
    return {"the result": result, "it is your own work, not torch's": own}


convolve = exercise(
    "convolve", given=_images_and_kernels, right=_slide, returns="the map, float32 (rows, columns)", dtype=False,
    passed="One small window everywhere; a larger stride makes a smaller map.", observe=_watch_map,
    wrong={
        "You turn the kernel by 180°, as mathematicians do, or mirror it; networks lay it on as it is.": [
            ("kernel)", f"kernel.flip({axes}))") for axes in ("0, 1", "0", "1")],
        "`@` is the product of matrices; here each pixel is multiplied by its own weight, with `*`.": (
            "* kernel)", "@ kernel.T)"),
        "The map has the right size, but the window moves on by one pixel only, not by the stride, to the right, down "
        "or both.": [("left : left", "j : j", "top : top", "i : i"), ("left : left", "j : j"), ("top : top", "i : i")],
        "The image and the kernel have sizes of their own, and are not always square: rows are not columns.": [
            ("width - wide", "height - high"), ("- wide", "- high"), ("left + wide", "left + high")],
        "Count the whole windows: the last one too, none that reaches beyond the edge, and pad nothing.": [
            ("return sums", "return sums[:-1, :-1]"), (" + 1", ""), ("+ 1, stride", "+ stride, stride"),
            lambda image, kernel, stride: _slide(F.pad(image, (1, 1, 1, 1)), kernel, stride)],
    })  # fmt: skip


def _rows_of_logits():
    for shape in ((6, 6), (4, 7), (9, 3), (1, 5)):
        yield f"logits of shape {shape}", (2 * torch.randn(shape),)
    large = 3 * torch.randn(5, 8) + torch.tensor([[1000.0], [0.0], [-1000.0], [300.0], [-300.0]])
    wide = torch.tensor([[0.0, 1000.0, 999.0, -1000.0], [-500.0, -501.5, -900.0, 400.0]])
    for name, logits in (("a row", large[:1]), ("different rows", large), ("logits far apart", wide)):
        yield f"{name} with numbers near 1,000", (logits,)


def _watch_rows(run, logits):
    result, last = run(logits), logits.shape == (2, 4)
    if isinstance(result, Tensor) and not result.isfinite().all():
        return {"all numbers are finite": False}
    own = not last or "softmax" not in names_of(run, logits)
    return {"all numbers are finite": True, "the result": result, "it is your own work, not torch's": own}


def _shares(logits):
    shift = logits.amax(1, keepdim=True)
    powers = torch.exp(logits - shift)
    return powers / powers.sum(1, keepdim=True)


_MAX, _SUM, _SHARE = "amax(1, keepdim=True)", "sum(1, keepdim=True)", "powers / powers.sum(1, keepdim=True)"
softmax_of_rows = exercise(
    "softmax_of_rows", given=_rows_of_logits, right=_shares, observe=_watch_rows, dtype=False,
    returns="the probabilities, float32 (N, C)",
    passed="Each row is a list of probabilities of its own; only differences between its logits count.",
    wrong={
        "Every row, one image, should add up to 1 by itself: not every column, nor the whole batch.": [
            ("sum(1", "sum(0"), ("(1, k", "(0, k"), (_SUM, "sum()"), (_MAX, "max()", _SUM, "sum()")],
        "Row i meets another row's number, or shapes do not go together: (N, C) goes with (N, 1), so keep the axis.": [
            (_SUM, "sum(1)"), (_MAX, "amax(1)"), (", keepdim=True", ""), (" - shift", "", _SUM, "sum(1)")],
        "With logits of 1,000 the result is no number: powers of e are too large for a float, or all 0. Only "
        "differences between logits count: what can be subtracted first?": (" - shift", ""),
        "What you subtract has to suit each row: its own largest logit, so that no power is too large and no sum is 0.":
            [(_MAX, what) for what in ("max()", "mean(1, keepdim=True)", "mean()", "new_tensor(1000.0)")],
        "Large logits or powers are cut off, or a number stands for `nan`: 1,000 and 999 become equal, "
        "though their probabilities differ.": [
            ("logits - shift", "logits.clamp(max=80)"), ("(logits - shift)", "(logits).nan_to_num()"),
            *[(" - shift", "", _SHARE, f"({_SHARE}).nan_to_num({n})") for n in (0.0, 1.0)]],
    })  # fmt: skip
