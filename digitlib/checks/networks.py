"""The checks of notebook 5: dense layers, a convolution, softmax."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.checks.core import NotYet, call, close, exercise, expect, expect_tensor, graph_of


class _Stack(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = [nn.Linear(size_in, size_out) for size_in, size_out in zip(sizes, sizes[1:])]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@exercise(
    passed="Training reaches what `parameters()` finds, and a stack needs ReLU to be more than one layer.",
    blank=_Stack,
)
def stack(answer) -> None:
    """Take a class; `Stack(sizes)` makes dense layers that `parameters()` finds, with ReLU between them."""
    for sizes in ([6, 5, 4, 3], [4, 4, 4], [7, 2], [3, 9, 8, 6, 5, 2]):
        model = call(answer, sizes)
        expect(
            isinstance(model, nn.Module),
            "Expected a class derived from `nn.Module`, as in the cell above; its object has no layers to train.",
        )
        _expect_layers(list(model.parameters()), sizes)
        x = 2 * torch.randn(40, sizes[0])
        logits = call(model, x)
        expect(isinstance(logits, Tensor), "`forward` should return the logits, as a tensor.")
        found = expect_tensor(logits, (40, sizes[-1]), what="the result of `forward`")
        expect(
            close(call(model, x), found),
            "Two calls on the same images give different logits: `forward` should draw nothing at random, and make no "
            "layers of its own.",
        )
        _expect_relu_between(model, x, found)
        expect(logits.requires_grad, "No gradient can flow back: leave out `detach`, `no_grad` and `.data`.")
        logits.square().sum().backward()
        still = [p for p in model.parameters() if p.grad is None]
        expect(
            not still,
            f"{len(still)} of the parameter tensors get no gradient: does every layer take part in `forward`, once?",
        )


def _expect_layers(parameters: list[Tensor], sizes: list[int]) -> None:
    found = sum(parameter.numel() for parameter in parameters)
    expected = sum(size_in * size_out + size_out for size_in, size_out in zip(sizes, sizes[1:]))
    weights = expected - sum(sizes[1:])
    expect(
        found > 0,
        "`parameters()` finds nothing, so an optimizer would have nothing to train. In which kind of list does a "
        "network keep its layers?",
    )
    expect(
        found != weights,
        f"For the sizes {sizes} the network has {found} parameters, just the weights: each layer needs its biases too.",
    )
    expect(
        found != 784 * 32 + 32 + 32 * 10 + 10,
        f"For the sizes {sizes} you make the layers of `[784, 32, 10]`; use the sizes that are given.",
    )
    expect(
        found >= expected,
        f"For the sizes {sizes} `parameters()` finds {found} numbers of {expected}: some layers are missing or hidden.",
    )
    expect(
        found == expected,
        f"For the sizes {sizes} the network should have {expected} parameters, but it has {found}: are there "
        "layers that were not asked for?",
    )
    shapes = [tuple(parameter.shape) for parameter in parameters if parameter.ndim == 2]
    expect(
        shapes == [(size_out, size_in) for size_in, size_out in zip(sizes, sizes[1:])],
        f"For the sizes {sizes} the weights have the shapes {shapes}: the layers are not those asked for, or not "
        "in their order.",
    )


def _expect_relu_between(model: nn.Module, x: Tensor, found: Tensor) -> None:
    weights = [p.detach() for p in model.parameters() if p.ndim == 2]
    biases = [p.detach() for p in model.parameters() if p.ndim == 1]

    def run(between, first=None, last=None, only=None) -> Tensor:
        value = x if first is None else first(x)
        for number, (weight, bias) in enumerate(zip(weights, biases)):
            value = F.linear(value, weight, bias)
            step = between if number < len(weights) - 1 else last
            step = step if only is None or number == only else None
            value = value if step is None else step(value)
        return value

    if close(found, run(F.relu)):
        return
    typical = {
        "Without ReLU between its layers the whole stack is one linear layer.": run(None),
        "A ReLU follows the last layer too. Logits may be negative, so it should not.": run(
            F.relu, last=F.relu
        ),
        "A ReLU follows the last layer, and none stands between the layers: the other way round is right.": run(
            None, last=F.relu
        ),
        "A ReLU changes the images before the first layer sees them; it belongs between the layers.": run(
            F.relu, first=F.relu
        ),
        "ReLU comes before every layer, the first included: the images should reach it unchanged.": run(
            None, first=F.relu
        ),
        "A softmax follows the last layer; the network should return logits.": run(
            F.relu, last=lambda z: z.softmax(dim=1)
        ),
        "A `log_softmax` follows the last layer; the network should return logits.": run(
            F.relu, last=lambda z: z.log_softmax(dim=1)
        ),
        "Only the first layer has its ReLU; one belongs between each two layers.": run(F.relu, only=0),
        "The only ReLU comes just before the last layer; one belongs between each two layers.": run(
            F.relu, only=len(weights) - 2
        ),
        "Sigmoid stands between the layers; asked is ReLU.": run(torch.sigmoid),
        "Tanh stands between the layers; asked is ReLU.": run(torch.tanh),
        "A leaky ReLU stands between the layers; asked is the plain one.": run(F.leaky_relu),
        "GELU stands between the layers; asked is ReLU.": run(F.gelu),
        "The absolute value is not ReLU, which makes negative numbers 0.": run(torch.abs),
        "Your ReLU keeps the negative numbers and drops the positive ones.": run(lambda z: z.clamp(max=0)),
    }
    for hint, value in typical.items():
        expect(not close(found, value), hint)
    some = f"{len(weights)} layers" if len(weights) > 1 else "a single layer"
    raise NotYet(
        f"With {some} the logits are not those of dense layers with one ReLU between each two of them and none at the "
        "ends."
    )


@exercise(passed="One small window everywhere; a larger stride makes a smaller map.")
def convolve(answer) -> None:
    """Take image (H, W), kernel (h, w) and a stride; return the map of a convolution without padding."""
    cases = [(8, 8, 3, 3, 1), (9, 9, 3, 3, 2), (12, 9, 2, 4, 1), (7, 13, 4, 3, 3), (11, 10, 5, 2, 2)]
    for rows, columns, height, width, stride in [*cases, (5, 6, 5, 6, 1), (10, 14, 1, 2, 4)]:
        image, kernel = torch.randn(rows, columns), torch.randn(height, width)
        case = f"an image of {rows}×{columns}, a kernel of {height}×{width} and a stride of {stride}"
        try:
            found = call(answer, image, kernel, stride)
        except NotYet as hint:
            if " raised " not in str(hint):
                raise
            square = rows == columns and height == width
            advice = "" if square else " Rows and columns need sizes of their own."
            advice = advice if stride == 1 else " How many whole windows fit?"
            advice = " Sizes have to be whole numbers." if "TypeError" in str(hint) else advice
            raise NotYet(f"With {case}: {str(hint).split('. It was given')[0][:150]}.{advice}") from None
        _expect_map(found, image, kernel, stride, case)


def _expect_map(found: object, image: Tensor, kernel: Tensor, stride: int, case: str) -> None:
    expect_tensor(found, what="the map")
    right = _slide(image, kernel, stride)
    (rows, columns), (height, width) = right.shape, kernel.shape
    shape = tuple(found.shape)
    if shape != (rows, columns):
        expect(
            tuple(size for size in shape if size > 1) != (rows, columns) or len(shape) == 2,
            f"Your map has the shape {shape}. Take the axes of images and channels away: asked are rows and columns.",
        )
        expect(
            shape != tuple(image.shape) or stride > 1,
            "Your map is as large as the image. Without padding the window has fewer places than there are pixels.",
        )
        expect(
            stride == 1 or shape not in (tuple(image.shape), tuple(_slide(image, kernel, 1).shape)),
            f"Your map has the shape {shape}, as if the stride were 1; here it is {stride}.",
        )
        expect(
            shape not in ((rows - 1, columns - 1), (rows - 1, columns), (rows, columns - 1)),
            f"For {case} your map has the shape {shape}: one place of the window is left out, the last or the first.",
        )
        expect(
            shape not in ((rows + 1, columns + 1), (rows + 1, columns), (rows, columns + 1)),
            f"For {case} your map has the shape {shape}: its last window reaches beyond the edge.",
        )
        expect(
            len(set(shape)) != 1 or rows == columns,
            f"For {case} your map has the shape {shape}: rows and columns need sizes of their own.",
        )
        raise NotYet(
            f"For {case} the map should have {rows} rows and {columns} columns, but yours has the shape {shape}."
        )
    found = expect_tensor(found, (rows, columns), what="the map")
    if close(found, right):
        return
    typical = {
        "You turn the kernel by 180°. That is the mathematicians' convolution; networks lay it on as it is.": _slide(
            image, kernel.flip(0, 1), stride
        ),
        "The kernel is turned upside down.": _slide(image, kernel.flip(0), stride),
        "The kernel is mirrored, left to right.": _slide(image, kernel.flip(1), stride),
        "You take the mean of the products; a convolution takes their sum.": right / kernel.numel(),
        "You take the largest product of each window; a convolution takes the sum of all.": _slide(
            image, kernel, stride, lambda products: products.amax(dim=(2, 3))
        ),
        "You add up the window's pixels; multiply them by the kernel first.": _slide(
            image, torch.ones_like(kernel), stride
        ),
        "The result is negative where it should be positive, and the other way round.": -right,
        "You add the kernel to the window; a convolution multiplies by it.": (
            _slide(image, torch.ones_like(kernel), stride) + kernel.sum()
        ),
        "The map is full of zeros: is anything written into it?": torch.zeros_like(right),
        "The sums are right, but negative ones have become 0. A ReLU comes after the convolution.": right.relu(),
        "The sums are cut off to whole numbers; the map should hold floats.": right.trunc(),
    }
    if rows > 1:
        one_row = torch.zeros_like(right)
        one_row[0] = right[0]
        typical["Only the first row of the map is filled: does a `return` end the loops too early?"] = one_row
    if height == width:
        hint = "`@` multiplies matrices; the window and the kernel are multiplied entry by entry."
        typical[hint] = _slide(image, kernel.sum(dim=1).expand(height, width), stride)
        typical["The kernel is transposed: its rows belong to the window's rows."] = _slide(
            image, kernel.T, stride
        )
    if stride > 1:
        near = _slide(image, kernel, 1)[:rows, :columns]
        typical[
            "The map has the right size, but the window moves on by one pixel only, not by the stride."
        ] = near
        hint = "The stride counts for rows and for columns; you use it for one of them only."
        typical[hint] = _slide(image, kernel, 1)[::stride, :columns]
        typical[hint + " The columns have it."] = _slide(image, kernel, 1)[:rows, ::stride]
    for hint, value in typical.items():
        expect(not close(found, value), hint.removesuffix(" The columns have it."))
    if rows == columns:
        expect(not close(found, right.T), "Rows and columns of your map have changed places.")
    wrong = (~torch.isclose(found.double(), right.double(), atol=1e-3)).nonzero()
    row, column = wrong[0].tolist() if len(wrong) else (0, 0)
    raise NotYet(
        f"For {case}, the map's row {row}, column {column} should come from the window whose corner is the pixel in "
        f"row {row * stride}, column {column * stride}; the sum is another."
    )


def _slide(
    image: Tensor, kernel: Tensor, stride: int, reduce=lambda products: products.sum(dim=(2, 3))
) -> Tensor:
    """Convolve by strided views: another way than a loop, and another than torch's."""
    height, width = kernel.shape
    windows = image.unfold(0, height, stride).unfold(1, width, stride)  # (rows, columns, height, width)
    return reduce(windows * kernel)


@exercise(passed="Each row is a list of probabilities of its own; only differences between its logits count.")
def softmax_of_rows(answer) -> None:
    """Take logits (N, C), however large; return each row's softmax, (N, C)."""
    sizes = [(6, 6), (4, 7), (9, 3), (1, 5), (12, 10)]
    for number, num_classes in sizes:
        _expect_softmax(answer, 2 * torch.randn(number, num_classes), "")

    large = torch.randn(5, 8) + torch.tensor([[1000.0], [0.0], [-1000.0], [300.0], [-300.0]])
    _expect_softmax(answer, large[:1], " with logits near 1,000")
    _expect_softmax(answer, large, " with rows far from each other")
    wide = torch.tensor([[0.0, 1000.0, 999.0, -1000.0], [-500.0, -501.5, -900.0, 400.0]])
    _expect_softmax(answer, wide[:, torch.randperm(4)], " with logits far from each other")
    used = graph_of(answer, torch.randn(4, 7, requires_grad=True))
    expect(
        "Softmax" not in used,
        "The probabilities are right, but they are torch's. Build them yourself, of exponentials and sums.",
    )


def _expect_softmax(answer, logits: Tensor, where: str) -> None:
    number, num_classes = logits.shape
    try:
        found = call(answer, logits)
    except NotYet as hint:
        expect(
            "must match" not in str(hint) or number == num_classes,
            f"A tensor of shape ({number}, {num_classes}) goes with no ({number},) in one operation: "
            "keep the axis, with length 1.",
        )
        raise
    expect(
        isinstance(found, Tensor) and found.shape == logits.shape,
        f"Expected probabilities of shape ({number}, {num_classes}), got "
        + (f"the shape {tuple(found.shape)}." if isinstance(found, Tensor) else f"a {type(found).__name__}."),
    )
    if where:
        _expect_finite(found.detach(), logits, where)
    found = expect_tensor(found, (number, num_classes), what="the result")
    right = torch.softmax(logits.double(), dim=1)
    if close(found, right):
        return
    clamped = [logits.clamp(max=most).softmax(dim=1) for most in (50, 60, 70, 80, 85, 88, 100)]
    expect(
        not where or not any(close(found, value) for value in clamped),
        "You cut large logits off: 1,000 and 999 become equal, though their probabilities differ.",
    )
    exp = logits.double().exp()
    typical = {
        "Each column adds up to 1; it should be each row, because a row belongs to one image.": exp
        / exp.sum(dim=0),
        "All your numbers together add up to 1. Every row, one image, should do so by itself.": exp
        / exp.sum(),
        "These are the exponentials; divide each row by its sum.": exp,
        "These are logarithms of probabilities, as `log_softmax` gives them.": right.log(),
        "Sigmoid looks at each logit alone, so its rows do not add up to 1.": torch.sigmoid(logits),
        "You divide by the sum of the logits; take the exponentials first, which are positive.": (
            logits / logits.sum(dim=1, keepdim=True)
        ),
        "Softmax has been taken twice.": right.softmax(dim=1),
        "You put everything on the largest logit; softmax leaves something to the others.": F.one_hot(
            logits.argmax(dim=1), num_classes
        ),
        "You raise 2 to the logits; softmax raises e.": (logits * 0.6931471805599453).softmax(dim=1),
        "You raise 10 to the logits; softmax raises e.": (logits * 2.302585092994046).softmax(dim=1),
        "The signs are wrong: the largest logit should get the largest probability.": (-logits).softmax(
            dim=1
        ),
        "The largest number of each row is 1. Divide what you have by its sum, row by row.": exp
        / exp.amax(dim=1, keepdim=True),
        "You divide by the mean of the exponentials; divide by their sum.": exp
        / exp.mean(dim=1, keepdim=True),
        "You divide the logits by their largest; that changes their differences. Subtract it instead.": (
            (logits / logits.amax(dim=1, keepdim=True)).softmax(dim=1)
        ),
        "You divide by the logits' standard deviation. Only a shift of a row leaves its softmax as it is.": (
            (logits / logits.std(dim=1, keepdim=True)).softmax(dim=1)
        ),
        "The logits come back unchanged.": logits,
    }
    powers = (logits.double() - logits.double().amax(dim=1, keepdim=True)).exp()
    for hint, value in [
        (
            "Your numbers are divided by the sums of columns; each row should be divided by its own.",
            powers / powers.sum(0),
        ),
        (
            "Your numbers are divided by the sum of all; each row should be divided by its own.",
            powers / powers.sum(),
        ),
        (
            "From each column you subtract its own largest logit, which changes the differences within a row.",
            _shifted(logits, logits.amax(dim=0)),
        ),
        (
            "The shifted powers are divided by the sum of the unshifted ones.",
            powers / exp.sum(dim=1, keepdim=True),
        ),
        ("The numbers have been rounded to hundredths; leave them as they are.", right.round(decimals=2)),
    ]:
        expect(not close(found, value), hint)
    if number == num_classes:
        shifted = (logits - logits.amax(dim=1)).double().exp()
        for value in (powers / powers.sum(dim=1), shifted / shifted.sum(dim=1)):
            expect(
                not close(found, value),
                "Row i is divided by what belongs to another row: print the shapes, and keep the axis.",
            )
        typical[
            "Row i is divided by the sum that belongs to another row: the sums lie along the wrong axis."
        ] = exp / exp.sum(dim=1)
        expect(
            not close(found, _shifted(logits, logits.amax(dim=1))),
            "From row i you subtract what belongs to another row: the largest logits lie along the wrong axis.",
        )
    for hint, value in typical.items():
        expect(not close(found, value), hint)
    sums = found.double().sum(dim=1)
    far = int((sums - 1).abs().argmax())
    expect(
        abs(float(sums[far]) - 1) < 1e-3,
        f"Row {far} of your result adds up to {float(sums[far]):.4g}{where}; probabilities add up to 1.",
    )
    expect(not (found < -1e-6).any(), "Some of your probabilities are negative; exponentials are not.")
    raise NotYet(
        f"Your rows add up to 1{where}, but each number should be e to its logit, as a share of its row's sum."
    )


def _shifted(logits: Tensor, shift: Tensor) -> Tensor:
    exp = (logits - shift).double().exp()
    return exp / exp.sum(dim=1, keepdim=True)


def _expect_finite(found: Tensor, logits: Tensor, where: str) -> None:
    broken = (~found.isfinite()).any(dim=1)
    if not broken.any():
        return
    if bool(broken.all()) or len(logits) == 1:
        raise NotYet(
            f"Your result is not a number{where}: e to such a power is too large for a float. Only differences between "
            "logits count, so make the logits smaller first."
        )
    raise NotYet(
        f"Row {int(broken.nonzero()[0])} becomes `nan`{where}. What you subtract has to suit each row: its own largest "
        "logit, so that no power is too large and no sum is 0."
    )
