"""Answers to the exercises of notebook 5."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.exercises import Answers


def dense_layers(sizes):
    return [nn.Linear(size_in, size_out) for size_in, size_out in zip(sizes, sizes[1:])]


class Sequence(nn.Module):
    """Right: torch's own container, with a ReLU before every layer but the first."""

    def __init__(self, sizes):
        super().__init__()
        first, *others = dense_layers(sizes)
        self.body = nn.Sequential(first, *[nn.Sequential(nn.ReLU(), layer) for layer in others])

    def forward(self, x):
        return self.body(x)


class Registered(nn.Module):
    """Right: each layer as an attribute of its own name."""

    def __init__(self, sizes):
        super().__init__()
        self.depth = len(sizes) - 1
        for number, layer in enumerate(dense_layers(sizes)):
            self.add_module(f"layer{number}", layer)

    def forward(self, x):
        for number in range(self.depth):
            x = getattr(self, f"layer{number}")(x if number == 0 else torch.maximum(x, torch.zeros_like(x)))
        return x


def variant(run, layers=dense_layers):
    """Return a class whose layers `parameters()` finds, and whose forward pass is `run(layers, x)`."""

    class Variant(nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.layers = nn.ModuleList(layers(sizes))

        def forward(self, x):
            return run(self.layers, x)

    return Variant


class StillAList(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = dense_layers(sizes)

    def forward(self, x):
        return forward(self.layers, x)


class HalfHidden(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.first, *self.others = dense_layers(sizes)

    def forward(self, x):
        return forward([self.first, *self.others], x)


def forward(layers, x, between=F.relu):
    *others, last = layers
    for layer in others:
        x = between(layer(x))
    return last(x)


def straight(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def relu_everywhere(layers, x):
    return F.relu(forward(layers, x))


def dropped(layers, x):
    return forward(layers, x, between=lambda z: F.dropout(F.relu(z), 0.5))


def without_bias(sizes):
    return [nn.Linear(size_in, size_out, bias=False) for size_in, size_out in zip(sizes, sizes[1:])]


def with_one_more(sizes):
    return [*dense_layers(sizes), nn.Linear(sizes[-1], sizes[-1])]


def map_size(image, kernel, stride):
    return [(size - window) // stride + 1 for size, window in zip(image.shape, kernel.shape)]


def by_torch(image, kernel, stride):
    return F.conv2d(image[None, None], kernel[None, None], stride=stride)[0, 0]


def by_unfolding(image, kernel, stride):
    rows, columns = map_size(image, kernel, stride)
    columns_of_pixels = F.unfold(image[None, None], kernel.shape, stride=stride)[0]
    return (kernel.flatten() @ columns_of_pixels).view(rows, columns)


def by_shifting(image, kernel, stride):
    rows, columns = map_size(image, kernel, stride)
    total = 0
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            total = total + kernel[i, j] * image[i::stride, j::stride][:rows, :columns]
    return total


def loops(reduce=torch.sum, size=map_size, step=(1, 1), window=lambda kernel: kernel.shape, strided=True):
    """Return an answer written as two loops, with one of its parts exchanged."""

    def answer(image, kernel, stride):
        rows, columns = size(image, kernel, stride)
        height, width = window(kernel)
        result = torch.zeros(rows, columns)
        for row in range(rows):
            for column in range(columns):
                top = row * (stride if step[0] else 1)
                left = column * (stride if step[1] else 1)
                result[row, column] = reduce(image[top : top + height, left : left + width] * kernel)
        return result

    return answer


def largest(image, kernel, stride):
    return loops(reduce=torch.amax)(image, kernel, stride)


def square_size(image, kernel, stride):
    rows = (image.shape[0] - kernel.shape[0]) // stride + 1
    return rows, rows


def size_without_one(image, kernel, stride):
    return [number - 1 for number in map_size(image, kernel, stride)]


def size_without_stride(image, kernel, stride):
    return map_size(image, kernel, 1)


def padded(image, kernel, stride):
    return F.conv2d(image[None, None], kernel[None, None], padding="same")[0, 0, ::stride, ::stride]


def exponentials(logits, shift=0.0):
    return (logits - shift).exp()


def largest_of_rows(logits):
    return logits.amax(dim=1, keepdim=True)


def by_rows(logits):
    rows = []
    for row in logits:
        powers = (row - row.max()).exp()
        rows.append(powers / powers.sum())
    return torch.stack(rows)


def over(logits, shift=0.0, **options):
    """Return exponentials over their sum along whichever axis."""
    powers = exponentials(logits, shift)
    return powers / powers.sum(**options)


ANSWERS = {
    "stack": Answers(
        right={
            "nn.Sequential": Sequence,
            "attributes": Registered,
            "clamp": variant(lambda layers, x: forward(layers, x, between=lambda z: z.clamp(min=0))),
        },
        wrong={
            "still a list": (StillAList, "`parameters()` finds nothing"),
            "half of it": (HalfHidden, "missing or hidden"),
            "no ReLU": (variant(straight), "Without ReLU"),
            "ReLU at the end too": (variant(relu_everywhere), "follows the last layer too"),
            "ReLU at the end only": (
                variant(lambda layers, x: F.relu(straight(layers, x))),
                "none stands between",
            ),
            "ReLU first": (variant(lambda layers, x: forward(layers, F.relu(x))), "before the first layer"),
            "softmax": (variant(lambda layers, x: forward(layers, x).softmax(dim=1)), "return logits"),
            "sigmoid": (variant(lambda layers, x: forward(layers, x, between=torch.sigmoid)), "Sigmoid"),
            "one ReLU only": (
                variant(lambda layers, x: straight(layers[1:], F.relu(layers[0](x)))),
                "Only the first layer",
            ),
            "log_softmax": (
                variant(lambda layers, x: forward(layers, x).log_softmax(dim=1)),
                "`log_softmax` follows",
            ),
            "fixed sizes": (
                variant(forward, layers=lambda sizes: dense_layers([784, 32, 10])),
                "use the sizes",
            ),
            "tanh": (variant(lambda layers, x: forward(layers, x, between=torch.tanh)), "Tanh"),
            "no bias": (variant(forward, layers=without_bias), "just the weights"),
            "one more layer": (variant(forward, layers=with_one_more), "not asked for"),
            "dropout": (variant(dropped), "draw nothing at random"),
            "one layer twice": (
                variant(lambda layers, x: layers[-1](F.relu(layers[0](x)))),
                "shapes cannot be multiplied",
            ),
            "detached": (variant(lambda layers, x: forward(layers, x).detach()), "No gradient can flow"),
            "a plain class": (lambda sizes: sizes, "derived from `nn.Module`"),
        },
    ),
    "convolve": Answers(
        right={"torch's": by_torch, "unfold": by_unfolding, "shifted images": by_shifting},
        wrong={
            "kernel turned": (lambda i, k, s: by_torch(i, k.flip(0, 1), s), "by 180°"),
            "kernel upside down": (lambda i, k, s: by_torch(i, k.flip(0), s), "upside down"),
            "kernel transposed": (lambda i, k, s: by_torch(i, k.T, s), "transposed"),
            "mean": (loops(reduce=torch.mean), "the mean of the products"),
            "largest": (largest, "largest product"),
            "no kernel": (lambda i, k, s: by_torch(i, torch.ones_like(k), s), "multiply them by the kernel"),
            "stride forgotten": (lambda i, k, s: by_torch(i, k, 1), "as if the stride were 1"),
            "window creeps": (loops(step=(0, 0)), "by one pixel only"),
            "stride in rows only": (loops(step=(1, 0)), "for one of them only"),
            "square maps": (loops(size=square_size), "sizes of their own"),
            "last place left out": (loops(size=size_without_one), "one place of the window is left out"),
            "ReLU": (lambda i, k, s: by_torch(i, k, s).relu(), "negative ones have become 0"),
            "whole numbers": (lambda i, k, s: by_torch(i, k, s).int(), "to whole numbers"),
            "padded": (padded, "as large as the image"),
            "too many places": (loops(size=size_without_stride), "How many whole windows fit"),
            "all axes": (lambda i, k, s: by_torch(i, k, s)[None, None], "Take the axes"),
            "swapped": (lambda i, k, s: by_torch(i, k, s).T, "have changed places"),
            "bias": (lambda i, k, s: by_torch(i, k, s) + 1, "the sum is another"),
        },
    ),
    "softmax_of_rows": Answers(
        right={
            "row by row": by_rows,
            "logsumexp": lambda logits: (logits - logits.logsumexp(dim=1, keepdim=True)).exp(),
        },
        wrong={
            "torch's": (lambda logits: logits.softmax(dim=1), "they are torch's"),
            "columns": (lambda logits: over(logits, dim=0), "Each column adds up"),
            "everything": (lambda logits: over(logits), "All your numbers together"),
            "no keepdim": (lambda logits: over(logits, dim=1), "another row"),
            "naive": (lambda logits: over(logits, dim=1, keepdim=True), "too large for a float"),
            "one largest for all": (
                lambda logits: over(logits, logits.max(), dim=1, keepdim=True),
                "has to suit each row",
            ),
            "subtracts the mean": (
                lambda logits: over(logits, logits.mean(dim=1, keepdim=True), dim=1, keepdim=True),
                "with logits far from each other: e to such",
            ),
            "largest of each column": (
                lambda logits: over(logits, shift=logits.amax(dim=0), dim=1, keepdim=True),
                "From each column",
            ),
            "cut off": (lambda logits: logits.clamp(max=80).softmax(dim=1), "cut large logits off"),
            "no sum": (exponentials, "These are the exponentials"),
            "no exponentials": (lambda logits: logits / logits.sum(dim=1, keepdim=True), "sum of the logits"),
            "log": (lambda logits: logits.log_softmax(dim=1), "logarithms of probabilities"),
            "sigmoid": (torch.sigmoid, "Sigmoid looks at each"),
            "twice": (lambda logits: logits.softmax(dim=1).softmax(dim=1), "taken twice"),
            "base 2": (lambda logits: 2**logits / (2**logits).sum(dim=1, keepdim=True), "raise 2"),
            "negative": (lambda logits: (-logits).softmax(dim=1), "signs are wrong"),
            "divided by the largest": (
                lambda logits: (logits / largest_of_rows(logits)).softmax(dim=1),
                "Subtract it instead",
            ),
            "one row": (lambda logits: logits.softmax(dim=1)[0], "got the shape"),
            "largest along the wrong axis": (
                lambda logits: over(logits, logits.amax(dim=1), dim=1, keepdim=True),
                "From row i you subtract",
            ),
        },
    ),
}
