"""Answers to the exercises of notebook 2, beside those that its declarations hold."""

import math
import struct

import numpy as np
import torch

from tests.exercises import Answers


def lengths(header, result=list):
    return result(struct.unpack(f">{header[3]}I", header[4 : 4 + 4 * header[3]]))


def parts(cut=lambda train, validation, test: (train, validation, test), order=torch.randperm):
    """Return an answer that is right but for what it does with its parts, or the order they are cut from."""

    def answer(num_images, num_validation, num_test, generator):
        sizes = (num_images - num_validation - num_test, num_validation, num_test)
        return cut(*order(num_images, generator=generator).split(sizes))

    return answer


def parts_of_sets(num_images, num_validation, num_test, generator):
    order = torch.randperm(num_images, generator=generator).tolist()
    test, validation = set(order[:num_test]), set(order[num_test : num_test + num_validation])
    train = set(range(num_images)) - test - validation
    return [torch.tensor(sorted(part), dtype=torch.int64) for part in (train, validation, test)]


def epoch(order_of=torch.randperm, batch_of=lambda images, labels: (images, labels)):
    """Return an answer with another order, or other batches, made of images and labels."""

    def answer(images, labels, batch_size, generator):
        order = order_of(len(images), generator=generator)
        return [batch_of(images[chosen], labels[chosen]) for chosen in order.split(batch_size)]

    return answer


def a_pick_at_a_time(images, labels, batch_size, generator):
    pairs = list(zip(images, labels))
    order = torch.randperm(len(pairs), generator=generator).tolist()
    for start in range(0, len(pairs), batch_size):
        yield tuple(torch.stack(part) for part in zip(*[pairs[i] for i in order[start : start + batch_size]]))


def with_replacement(number, generator):
    return torch.randint(number, (number,), generator=generator)


def whole_batches(number, generator):
    return torch.cat([torch.arange(6 * i, min(6 * i + 6, number)) for i in torch.randperm(-(-number // 6))])


ANSWERS = {
    "idx_lengths": Answers(
        right={
            "struct": lengths,
            "numpy": lambda header: np.frombuffer(header, ">u4", header[3], offset=4).tolist(),
            "a tuple of powers": lambda header: tuple(
                sum(256 ** (3 - i) * header[4 + 4 * axis + i] for i in range(4)) for axis in range(header[3])),
        },
        wrong={
            "backwards": (lambda header: lengths(header)[::-1], "in the reverse order"),
            "a tensor": (lambda header: torch.tensor(lengths(header)), "is a tensor"),
            "not a list": (lambda header: math.prod(lengths(header)), "should be a list of int"),
            "two faults: little, from byte 0": (
                lambda header: np.frombuffer(header, "<u4", header[3]).tolist(), "the wrong way round"),
        },
    ),
    "count_batches": Answers(
        right={
            "with ceil": lambda n, size: (math.ceil(n / size), n % size or size),
            "a list": lambda n, size: [1 + (n - 1) // size, n - (n - 1) // size * size],
        },
        wrong={
            "swapped": (lambda n, size: (n % size or size, -(-n // size)), "changed places"),
            "always one more": (lambda n, size: (-(-n // size) + 1, n % size or size), "1 too large"),
            "one number": (lambda n, size: -(-n // size), "should be two numbers"),
            "one more than fits": (lambda n, size: (-(-n // size), size + 1), "result 2 of 2 should be 2"),
            "a float": (lambda n, size: (float(-(-n // size)), n % size or size), "are whole (int)"),
            "two faults: one more, an empty one": (lambda n, size: (n // size + 1, n % size), "there is no batch more"),
        },
    ),
    "three_parts": Answers(
        right={"a list": parts(lambda *found: list(found)), "sets": parts_of_sets},
        wrong={
            "with replacement": (parts(order=with_replacement), "no image is drawn twice"),
            "one is lost": (parts(lambda train, *others: (train[1:], *others)), "but it is 79 + 25 + 15"),
            "in order": (parts(order=lambda n, generator: torch.arange(n)), "and not a run"),
            "from one": (parts(lambda *found: [part + 1 for part in found]), "but it is 1 and 120"),
            "a dict": (parts(lambda *found: dict(zip("abc", found))), "but it is a dict"),
            "lists": (parts(lambda *found: [part.tolist() for part in found]), "it is a list of 80"),
            "an empty part of floats": (parts(lambda *found: [torch.tensor(p.tolist()) for p in found]), "is float32"),
        },
    ),
    "shuffled_epoch": Answers(
        right={"split": epoch(), "pair by pair": a_pick_at_a_time},
        wrong={
            "sorted labels": (epoch(batch_of=lambda images, labels: (images, labels.sort().values)), "its own label"),
            "whole batches": (epoch(whole_batches), "no block of neighbours"),
            "turned round": (epoch(lambda n, generator: torch.arange(n).flip(0)), "a second epoch with"),
            "with replacement": (epoch(with_replacement), "different images should be 47"),
            "swapped": (epoch(batch_of=lambda images, labels: (labels, images)), "it yields pairs"),
            "labels as floats": (epoch(batch_of=lambda images, labels: (images, labels.float())), "torch.int64, but"),
            "an empty batch": (lambda *given: [*epoch()(*given), (given[0][:0], given[1][:0])], "6 6 6 6 6 6 6 5 0"),
        },
    ),
}  # fmt: skip
