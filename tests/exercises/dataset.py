"""Answers to the exercises of notebook 2."""

import math
import struct

import numpy as np
import torch

from tests.exercises import Answers


def lengths_with(*, axes=3, start=4, order="big", width=4, more=0):
    """Return an answer that is right but for what the arguments change; axes: the byte that counts them."""

    def answer(header):
        count = header[axes] + more
        places = [start + 4 * number for number in range(count)]
        return [int.from_bytes(header[place : place + width], order) for place in places]

    return answer


def parts_with(cut):
    """Return an answer that cuts a random order in a way of its own."""

    def answer(num_images, num_validation, num_test, generator):
        return cut(torch.randperm(num_images, generator=generator), num_validation, num_test)

    return answer


def parts_of_a_set(num_images, num_validation, num_test, generator):
    order = torch.randperm(num_images, generator=generator).tolist()
    test, validation = set(order[:num_test]), set(order[num_test : num_test + num_validation])
    train = [number for number in range(num_images) if number not in test | validation]
    return tuple(torch.tensor(part, dtype=torch.int64) for part in (train, sorted(validation), sorted(test)))


def parts_drawn_apart(num_images, num_validation, num_test, generator):
    sizes = (num_images - num_validation - num_test, num_validation, num_test)
    return tuple(torch.randperm(num_images, generator=generator)[:size] for size in sizes)


def parts_with_replacement(num_images, num_validation, num_test, generator):
    sizes = (num_images - num_validation - num_test, num_validation, num_test)
    return tuple(torch.randint(num_images, (size,), generator=generator) for size in sizes)


def parts_in_order(num_images, num_validation, num_test, generator):
    return torch.arange(num_images).split((num_images - num_validation - num_test, num_validation, num_test))


def parts_without_generator(num_images, num_validation, num_test, generator):
    order = torch.randperm(num_images)
    return order.split((num_images - num_validation - num_test, num_validation, num_test))


def parts_of_one_seed(num_images, num_validation, num_test, generator):
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(0))
    return order.split((num_images - num_validation - num_test, num_validation, num_test))


def test_from_the_end(num_images, num_validation, num_test, generator):
    rest = torch.randperm(num_images - num_test, generator=generator)
    return rest[num_validation:], rest[:num_validation], torch.arange(num_images - num_test, num_images)


def counted_from_one(num_images, num_validation, num_test, generator):
    order = torch.randperm(num_images, generator=generator) + 1
    return order.split((num_images - num_validation - num_test, num_validation, num_test))


def as_a_dict(num_images, num_validation, num_test, generator):
    names = ("train", "validation", "test")
    return dict(zip(names, parts_drawn_apart(num_images, num_validation, num_test, generator)))


def epoch_with(order_of):
    """Return an answer that picks images and labels by the two orders that order_of returns."""

    def answer(images, labels, batch_size, generator):
        first, second = order_of(len(images), batch_size, generator)
        return [
            (images[a], labels[b])
            for a, b in zip(first.split(batch_size), second.split(batch_size), strict=True)
        ]

    return answer


def twice(order):
    return order, order


def within_batches(number, size, generator):
    pieces = torch.arange(number).split(size)
    return twice(torch.cat([piece[torch.randperm(len(piece), generator=generator)] for piece in pieces]))


def whole_batches(number, size, generator):
    pieces = torch.arange(number // size * size).split(size)
    chosen = torch.randperm(len(pieces), generator=generator)
    return twice(torch.cat([*[pieces[i] for i in chosen], torch.arange(number // size * size, number)]))


def same_seed_twice(images, labels, batch_size, generator):
    state = generator.get_state()
    image_order = torch.randperm(len(images), generator=generator)
    generator.set_state(state)
    label_order = torch.randperm(len(labels), generator=generator)
    return zip(images[image_order].split(batch_size), labels[label_order].split(batch_size))


def a_pick_at_a_time(images, labels, batch_size, generator):
    pairs = list(zip(images, labels))
    order = torch.randperm(len(pairs), generator=generator).tolist()
    for start in range(0, len(pairs), batch_size):
        chosen = [pairs[number] for number in order[start : start + batch_size]]
        yield torch.stack([image for image, _ in chosen]), torch.stack([label for _, label in chosen])


def drops_the_rest(images, labels, batch_size, generator):
    order = torch.randperm(len(images), generator=generator)
    for number in range(len(images) // batch_size):
        chosen = order[number * batch_size : (number + 1) * batch_size]
        yield images[chosen], labels[chosen]


def one_batch_only(images, labels, batch_size, generator):
    order = torch.randperm(len(images), generator=generator)[:batch_size]
    return images[order], labels[order]


ANSWERS = {
    "idx_lengths": Answers(
        right={
            "struct": lambda header: list(struct.unpack(f">{header[3]}I", header[4 : 4 + 4 * header[3]])),
            "powers of 256": lambda header: [
                sum(header[4 + 4 * axis + place] * 256 ** (3 - place) for place in range(4))
                for axis in range(header[3])
            ],
            "numpy": lambda header: np.frombuffer(header, ">u4", header[3], offset=4).tolist(),
            "a tuple": lambda header: tuple(lengths_with()(header)),
        },
        wrong={
            "the wrong way round": (lengths_with(order="little"), "the wrong way round"),
            "from the first byte": (lengths_with(start=0), "where the lengths do not begin yet"),
            "with the first four bytes": (lengths_with(start=0, more=1), "type and axes"),
            "always three": (
                lambda header: [int.from_bytes(header[start : start + 4], "big") for start in (4, 8, 12)],
                "Not every file has three axes",
            ),
            "the first alone": (
                lambda header: [int.from_bytes(header[4:8], "big")],
                "one length for each axis",
            ),
            "the type counts the axes": (lengths_with(axes=2), "the type of the numbers"),
            "one byte each": (lengths_with(width=1), "and you read one"),
            "the last byte of each": (lengths_with(start=7, width=1), "the last one alone"),
            "two bytes each": (lengths_with(start=6, width=2), "you read two"),
            "three bytes each": (lengths_with(width=3), "you read three"),
            "the last is missing": (lengths_with(more=-1), "The last axis is missing"),
            "one too many": (lengths_with(more=1), "made of pixels"),
            "backwards": (lambda header: lengths_with()(header)[::-1], "in the wrong order"),
            "bytes": (lambda header: [header[4:8]], "a bytes"),
            "five bytes each": (lengths_with(width=5), "you read five"),
            "the bytes added": (
                lambda header: [sum(header[4 + 4 * axis : 8 + 4 * axis]) for axis in range(header[3])],
                "add the four bytes up",
            ),
            "the number of axes too": (
                lambda header: [header[3], *lengths_with()(header)],
                "the number of axes itself",
            ),
            "a tensor": (lambda header: torch.tensor(lengths_with()(header)), "got a tensor"),
            "a numpy array": (lambda header: np.array(lengths_with()(header)), "returns a NumPy array"),
            "not a list": (lambda header: math.prod(lengths_with()(header)), "Expected a list"),
            "one byte late": (lengths_with(start=5), "one byte too late"),
            "each byte": (lambda header: list(header[4 : 4 + 4 * header[3]]), "each byte by itself"),
        },
    ),
    "count_batches": Answers(
        right={
            "with ceil": lambda n, size: (math.ceil(n / size), n % size or size),
            "with divmod": lambda n, size: (n // size + bool(n % size), n % size or size),
            "by counting": lambda n, size: (
                (len(range(0, n, size)), len(range(0, n, size)[-1:]) and n - range(0, n, size)[-1])
            ),
            "as a list": lambda n, size: [1 + (n - 1) // size, n - (n - 1) // size * size],
        },
        wrong={
            "the last is dropped": (lambda n, size: (n // size, size), "is not counted"),
            "one too many where it fits": (
                lambda n, size: (n // size + 1, n % size or size),
                "nothing is left",
            ),
            "an empty last batch": (lambda n, size: (-(-n // size), n % size), "full, and not empty"),
            "swapped": (lambda n, size: (n % size or size, -(-n // size)), "changed places"),
            "a fraction": (lambda n, size: (n / size, n % size or size), "no part of a batch"),
            "the last is full": (lambda n, size: (-(-n // size), size), "what is left over"),
            "always one more": (lambda n, size: (-(-n // size) + 1, n % size or size), "less or more images"),
            "what is lacking": (
                lambda n, size: (-(-n // size), -n % size or size),
                "what the last batch lacks",
            ),
            "one number": (lambda n, size: -(-n // size), "Expected two numbers"),
            "one more than fits": (lambda n, size: (-(-n // size), size + 1), "does not hold"),
            "the mean size": (
                lambda n, size: (-(-n // size), n // -(-n // size)),
                "the mean size of a batch",
            ),
            "a float": (lambda n, size: (float(-(-n // size)), n % size or size), "a float"),
        },
    ),
    "three_parts": Answers(
        right={
            "split": lambda n, v, t, generator: torch.randperm(n, generator=generator).split(
                (n - v - t, v, t)
            ),
            "sets": parts_of_a_set,
            "random_split": lambda n, v, t, generator: [
                torch.tensor(part.indices, dtype=torch.int64)
                for part in torch.utils.data.random_split(range(n), (n - v - t, v, t), generator=generator)
            ],
        },
        wrong={
            "drawn apart": (parts_drawn_apart, "in more than one part"),
            "with replacement": (parts_with_replacement, "with replacement"),
            "in order": (parts_in_order, "a run of neighbours"),
            "the last as the test part": (test_from_the_end, "The test part is a run"),
            "no generator": (parts_without_generator, "use the generator that you are given"),
            "always one seed": (parts_of_one_seed, "as it is"),
            "minus zero": (
                parts_with(lambda order, v, t: (order[: -(v + t)], order[-(v + t) : -t], order[-t:])),
                "`-0` is `0`",
            ),
            "validation and test swapped": (
                parts_with(lambda order, v, t: (order[v + t :], order[:t], order[t : t + v])),
                "validation and test have changed places",
            ),
            "training last": (
                parts_with(lambda order, v, t: (order[:v], order[v : v + t], order[v + t :])),
                "in another order",
            ),
            "training keeps validation": (
                parts_with(lambda order, v, t: (order[t:], order[t : t + v], order[:t])),
                "more than there are",
            ),
            "one is lost": (
                parts_with(lambda order, v, t: (order[v + t + 1 :], order[:v], order[v : v + t])),
                "in none",
            ),
            "from one": (counted_from_one, "has the number 0"),
            "a dict": (as_a_dict, "you return a dict"),
            "lists": (
                parts_with(
                    lambda order, v, t: [
                        part.tolist() for part in (order[v + t :], order[:v], order[v : v + t])
                    ]
                ),
                "you return a list of 80",
            ),
            "int32": (
                parts_with(
                    lambda order, v, t: [part.int() for part in (order[v + t :], order[:v], order[v : v + t])]
                ),
                "one of yours is int32",
            ),
            "an empty part of floats": (
                parts_with(
                    lambda order, v, t: [
                        torch.tensor(part.tolist()) for part in (order[v + t :], order[:v], order[v : v + t])
                    ]
                ),
                "An empty part is float32",
            ),
            "always 60,000": (
                lambda n, v, t, generator: torch.randperm(60_000, generator=generator).split(
                    (60_000 - v - t, v, t)
                ),
                "is in `num_images`",
            ),
            "two parts": (parts_with(lambda order, v, t: (order[v:], order[:v])), "got a tuple of 2"),
            "sizes": (
                parts_with(lambda order, v, t: (len(order) - v - t, v, t)),
                "should be a tensor with one axis",
            ),
            "masks": (
                parts_with(lambda order, v, t: (order >= v + t, order < v, (order >= v) & (order < v + t))),
                "is a mask",
            ),
        },
    ),
    "shuffled_epoch": Answers(
        right={
            "split": epoch_with(lambda n, size, generator: twice(torch.randperm(n, generator=generator))),
            "pair by pair": a_pick_at_a_time,
            "the same random numbers for both": same_seed_twice,
        },
        wrong={
            "the bug in other words": (
                epoch_with(
                    lambda n, size, generator: (
                        torch.randperm(n, generator=generator),
                        torch.randperm(n, generator=generator),
                    )
                ),
                "with the label of another image",
            ),
            "labels not shuffled": (
                epoch_with(
                    lambda n, size, generator: (torch.randperm(n, generator=generator), torch.arange(n))
                ),
                "the labels are not",
            ),
            "images not shuffled": (
                epoch_with(
                    lambda n, size, generator: (torch.arange(n), torch.randperm(n, generator=generator))
                ),
                "the images are not",
            ),
            "nothing shuffled": (
                epoch_with(lambda n, size, generator: twice(torch.arange(n))),
                "nothing is shuffled",
            ),
            "the rest is dropped": (drops_the_rest, "is dropped"),
            "a new generator each time": (
                epoch_with(
                    lambda n, size, generator: twice(
                        torch.randperm(n, generator=torch.Generator().manual_seed(0))
                    )
                ),
                "the same order again",
            ),
            "no generator": (
                epoch_with(lambda n, size, generator: twice(torch.randperm(n))),
                "different orders",
            ),
            "within batches": (epoch_with(within_batches), "the order within each batch"),
            "whole batches": (epoch_with(whole_batches), "the order of the batches"),
            "with replacement": (
                epoch_with(lambda n, size, generator: twice(torch.randint(n, (n,), generator=generator))),
                "each should come once",
            ),
            "swapped": (
                lambda images, labels, size, generator: [
                    (b, a) for a, b in a_pick_at_a_time(images, labels, size, generator)
                ],
                "changed places",
            ),
            "one batch only": (one_batch_only, "returns a single batch"),
            "labels as floats": (
                lambda images, labels, size, generator: [
                    (a, b.float()) for a, b in a_pick_at_a_time(images, labels, size, generator)
                ],
                "they should stay float32 and int64",
            ),
            "images alone": (
                lambda images, labels, size, generator: [
                    a for a, b in a_pick_at_a_time(images, labels, size, generator)
                ],
                "should be a pair",
            ),
            "an empty batch": (
                lambda images, labels, size, generator: (
                    list(a_pick_at_a_time(images, labels, size, generator))
                    + [(images[:0], labels[:0])] * (len(images) % size == 0)
                ),
                "the last of your batches is empty",
            ),
            "turned round": (
                epoch_with(lambda n, size, generator: twice(torch.arange(n).flip(0))),
                "turned round",
            ),
        },
    ),
}
