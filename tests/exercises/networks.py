"""Answers to the exercises of notebook 5, beside those that its declarations hold."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.exercises import Answers


def dense_layers(sizes):
    return [nn.Linear(size_in, size_out) for size_in, size_out in zip(sizes, sizes[1:])]


class LastFirst(nn.Module):
    """Right: the layers are registered in another order than they are used in."""

    def __init__(self, sizes):
        super().__init__()
        *others, self.last = dense_layers(sizes)
        self.others = nn.ModuleList(others)

    def forward(self, x):
        for layer in self.others:
            x = layer(x).clamp(min=0)
        return self.last(x)


def sequence(sizes):
    first, *others = dense_layers(sizes)
    return nn.Sequential(first, *[nn.Sequential(nn.ReLU(), layer) for layer in others])


def variant(between=F.relu, last=lambda x: x, hide=0, more=0):
    """Return a class of which some layers are hidden from `parameters()`, or too many."""

    class Variant(nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.layers = dense_layers(sizes)
            self.found = nn.ModuleList([*self.layers[hide:], *dense_layers(more * [sizes[-1]])])

        def forward(self, x):
            for layer in self.layers[:-1]:
                x = between(layer(x))
            return last(self.layers[-1](x))

    return Variant


def by_torch(image, kernel, stride):
    return F.conv2d(image[None, None], kernel[None, None], stride=stride)[0, 0]


def by_unfolding(image, kernel, stride):
    return (image.unfold(0, len(kernel), stride).unfold(1, kernel.shape[1], stride) * kernel).sum(dim=(2, 3))


def over(powers, **options):
    return powers / powers.sum(**options)


ANSWERS = {
    "stack": Answers(
        right={"nn.Sequential": sequence, "the last layer first": LastFirst, "a plain list too": variant()},
        wrong={
            "half of it": (variant(hide=1), "finds should be 74, but it is 39"),
            "one more layer": (variant(more=2), "finds should be 74, but it is 86"),
            "dropout": (variant(lambda x: F.dropout(F.relu(x))), "120 of 120 numbers of the result are off"),
            "detached": (variant(lambda x: F.relu(x).detach()), "gradient reaches should be 6, but it is 2"),
            "a plain class": (lambda sizes: sizes, "makes an `nn.Module`: that should be so"),
            "two faults: no ReLU, softmax": (variant(torch.clone, lambda x: x.softmax(dim=1)), "Without ReLU"),
        },
    ),
    "convolve": Answers(
        right={"unfold": by_unfolding},
        wrong={
            "torch's": (by_torch, "it is your own work, not torch's"),
            "kernel transposed": (lambda i, k, s: by_torch(i, k.T, s), "Kernel size can't be greater"),
            "whole numbers": (lambda i, k, s: by_torch(i, k, s).int(), "int32, where float32"),
            "all axes": (lambda i, k, s: by_torch(i, k, s)[None, None], "an axis of length 1"),
            "bias": (lambda i, k, s: by_unfolding(i, k, s) + 1, "Each number is 1 too large"),
        },
    ),
    "softmax_of_rows": Answers(
        right={
            "row by row": lambda logits: torch.stack([over((row - row.max()).exp()) for row in logits]),
            "normalize": lambda z: F.normalize((z - z.amax(1, keepdim=True)).exp(), p=1),
            "by differences": lambda logits: 1 / (logits[:, None, :] - logits[:, :, None]).exp().sum(dim=2),
        },
        wrong={
            "one row": (lambda logits: logits.softmax(dim=1)[0], "should have the shape (6, 6)"),
            "rounded": (lambda logits: (logits - logits.logsumexp(1, True)).exp().round(decimals=2), "are rounded"),
            "two faults: columns, overflow": (lambda logits: over(logits.exp(), dim=0), "not every column"),
            "two faults: torch's, cut off": (lambda logits: logits.clamp(max=88).softmax(1), "are cut off"),
        },
    ),
}  # fmt: skip
