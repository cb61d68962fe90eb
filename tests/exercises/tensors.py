"""Answers to the exercises of notebook 1."""

import torch

from tests.exercises import Answers


def views_in_place(image):
    image = image.clone()
    image.unsqueeze_(0).unsqueeze_(0)
    return image.float()


ANSWERS = {
    "as_batch": Answers(
        right={
            "reshape": lambda image: image.reshape(1, 1, 28, 28).to(torch.float32),
            "unsqueeze": views_in_place,
        },
        wrong={
            "no channel axis": (lambda image: image[None].float(), "has 3 axes"),
            "left as bytes": (lambda image: image[None, None], "still uint8"),
            "transposed": (lambda image: image.T[None, None].float(), "changed places"),
            "scaled": (lambda image: image[None, None] / 255, "scaled to 0 to 1"),
        },
    ),
}
