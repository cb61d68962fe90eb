"""The checks of notebook 2: the header of a file, batches, three parts, shuffling."""

import random

import torch
from torch import Tensor

from digitlib.checks.core import NotYet, call, describe_value, exercise, expect, expect_number


@exercise(passed="A file format is a promise about bytes; whoever knows it needs no library.")
def idx_lengths(answer) -> None:
    """Take the first bytes of an IDX file, header and a little more; return the lengths of its axes."""
    for num_axes in (3, 1, 4, 2, 1):
        lengths = [random.randrange(20_000_000, 2_000_000_000) for number in range(num_axes)]
        kind = random.choice([9, 11, 13])  # none of them a number of axes, nor MNIST's 8
        header = bytes([0, 0, kind, num_axes]) + b"".join(length.to_bytes(4, "big") for length in lengths)
        more = bytes(random.choices(range(1, 256), k=64))  # the pixels that follow
        try:
            found = call(answer, header + more)
        except NotYet as hint:
            if "NumPy array" in str(hint):
                raise NotYet(
                    "Your function returns a NumPy array; the task asks for a list of `int`."
                ) from None
            raise
        if isinstance(found, int) and num_axes == 1:
            raise NotYet("Return a list, also where there is a single axis.")
        expect(
            isinstance(found, list | tuple),
            f"Expected a list with one length for each axis, got {describe_value(found)}.",
        )
        expect(
            all(isinstance(value, int) for value in found),
            f"The lengths should be whole numbers, but your list holds {describe_value((*found, 0)[0])}: put the four "
            "bytes of a length together to one `int`.",
        )
        if list(found) != lengths:
            _explain_lengths(list(found), lengths, header, more)


def _explain_lengths(found: list[int], lengths: list[int], header: bytes, more: bytes) -> None:
    """Raise NotYet with what is wrong about lengths that are not those of the header."""
    axes, everything = len(lengths), header + more

    def read(start: int, count: int, order: str = "big", width: int = 4) -> list[int]:
        return [int.from_bytes(everything[start + 4 * i :][:width], order) for i in range(count)]

    case = f"The number of axes in the header is {axes}; you return {len(found)} length{'s' * (len(found) != 1)}."
    for wrong, hint in [
        (lengths[::-1], "The lengths come in the wrong order: the first axis is stored first."),
        (
            read(4, axes, "little"),
            "The bytes of each length are read the wrong way round: the largest comes first.",
        ),
        (read(0, axes), "You begin with the first byte of the file, where the lengths do not begin yet."),
        (
            read(0, axes + 1),
            "The first of your lengths is made of the four bytes before them: type and axes.",
        ),
        (read(4, axes, width=1), "Each length takes four bytes, and you read one."),
        (read(7, axes, width=1), "Each length takes four bytes, and you read the last one alone."),
        (read(4, axes, width=2), "Each length takes four bytes, and you read two."),
        (read(6, axes, width=2), "Each length takes four bytes, and you read two."),
        (read(4, axes, width=3), "Each length takes four bytes, and you read three."),
        (read(5, axes, width=3), "Each length takes four bytes, and you read three."),
        (
            [sum(header[4 + 4 * i :][:4]) for i in range(axes)],
            "You add the four bytes up, as if they were equal.",
        ),
        (
            [int.from_bytes(everything[4 + i :][:4], "big") for i in range(axes)],
            "Each length begins one byte after the one before it; but a length takes four bytes.",
        ),
        (
            [int.from_bytes(everything[4 + 4 * i :][:5], "big") for i in range(axes)],
            "Each length takes four bytes, and you read five.",
        ),
        ([axes, *lengths], f"{case} The first of them is the number of axes itself."),
        (read(5, axes), "You begin one byte too late."),
        (read(3, axes), "You begin one byte too early."),
        (read(8, axes), "You skip the first length."),
        (list(header[4:]), f"{case} Four bytes make one length; you return each byte by itself."),
        (read(4, 3), f"{case} Not every file has three axes: the header says how many there are."),
        (read(4, 1), f"{case} There is one length for each axis."),
        (read(4, axes - 1), f"{case} The last axis is missing."),
        (read(4, axes + 1), f"{case} The last one is made of pixels, behind the header's end."),
        (read(4, header[2]), f"{case} The third byte is the type of the numbers; which one counts the axes?"),
    ]:
        expect(found != wrong, hint)
    expect(len(found) == axes, f"{case} Which byte of the header counts them?")
    place = next(number for number in range(axes) if found[number] != lengths[number])
    raise NotYet(
        f"Length {place + 1} of {axes} is {found[place]}, and not what its four bytes "
        f"{list(header[4 + 4 * place :][:4])} make together."
    )


@exercise(passed="Whoever divides by the number of batches should know how large the last one is.")
def count_batches(answer) -> None:
    """Take a number of images and a batch size; return the number of batches, and the size of the last one."""
    size = random.randrange(6, 11)
    cases = [
        (size * 7 + 2, size),
        (size * 9 + size - 1, size),
        (size * 4, size),
        (size - 3, size),
        (size, size),
    ]
    cases += [(size * 3 + 1, size), (17, 1), (1, 1), (1, 256), (60_000, 256)]
    for num_images, batch_size in cases:
        number, last = -(-num_images // batch_size), (num_images - 1) % batch_size + 1
        found = call(answer, num_images, batch_size)
        case = f"{num_images:,} images in batches of {batch_size}"
        expect(
            isinstance(found, tuple | list) and len(found) == 2,
            f"Expected two numbers, the number of batches and the size of the last one, got {describe_value(found)}.",
        )
        for value, what in zip(found, ("the number of batches", "the size of the last batch"), strict=True):
            whole = expect_number(value, what=what)
            expect(
                whole == int(whole),
                f"{case}: {what} is {whole:g}, and there is no part of a batch or of an image. `//` divides into whole "
                "numbers.",
            )
            expect(
                not isinstance(value, float),
                f"{case}: {what} is {float(value)!r}, a float; `range` and indices take whole numbers (int) alone.",
            )
        found = (int(found[0]), int(found[1]))
        if found != (number, last):
            _explain_counts(found, number, last, num_images, batch_size, case)


def _explain_counts(found, number, last, num_images, batch_size, case) -> None:
    expect(found != (last, number), f"{case}: the two numbers have changed places.")
    full, rest = divmod(num_images, batch_size)
    if rest:
        expect(
            found[0] != full,
            f"{case}: the ragged last batch is not counted. `//` leaves out what does not fill a batch.",
        )
        expect(
            found != (number, batch_size),
            f"{case}: the last batch gets what is left over, which is less than a full one.",
        )
        expect(
            found != (number, num_images // number),
            f"{case}: {found[1]} is the mean size of a batch; all batches but the last are full.",
        )
        expect(
            found[1] != batch_size - rest, f"{case}: this is what the last batch lacks, not what it holds."
        )
    else:
        expect(
            found[0] != full + 1,
            f"{case}: the images fill every batch, and nothing is left for one more.",
        )
        expect(
            found != (number, 0),
            f"{case}: the last batch is full, and not empty, where the division leaves no rest.",
        )
    expect(found[0] == number, f"{case}: {found[0]:,} batches would hold less or more images than there are.")
    raise NotYet(
        f"{case}: the last batch does not hold {found[1]:,}. How many are left when the others are full?"
    )


@exercise(passed="Random, repeatable, and no image in two parts: this is what keeps a score honest.")
def three_parts(answer) -> None:
    """Take a number of images, sizes of two parts and a generator; return the numbers of the images in three parts."""
    for num_images, num_validation, num_test in [
        (120, 25, 15),
        (150, 20, 0),
        (90, 0, 30),
        (40, 12, 28),
        (131, 14, 33),
    ]:
        sizes = (num_images - num_validation - num_test, num_validation, num_test)
        seed = int(torch.randint(1, 10_000, ()))

        def parts(seed, given=(num_images, num_validation, num_test)):
            return _as_parts(call(answer, *given, torch.Generator().manual_seed(seed)), given[0])

        found = parts(seed)
        _expect_sizes([len(part) for part in found], sizes, num_images)
        _expect_each_once(found, num_images)
        for part, what in zip(found, ("training", "validation", "test"), strict=True):
            if 10 <= len(part) < num_images:
                expect(
                    int(part.max() - part.min()) >= len(part),
                    f"The {what} part is a run of neighbours, from {part.min()} to {part.max()}: it should be drawn at "
                    "random from everywhere.",
                )
        torch.rand(1)
        again, other = parts(seed), parts(seed + 1)
        expect(
            all(torch.equal(a.sort().values, b.sort().values) for a, b in zip(found, again, strict=True)),
            "Two generators with the same seed give different parts: use the generator that you are given.",
        )
        expect(
            not all(torch.equal(a.sort().values, b.sort().values) for a, b in zip(found, other, strict=True)),
            "Generators with different seeds give the same parts: use the one that you are given, as it is.",
        )


def _as_parts(found, num_images: int) -> list[Tensor]:
    if isinstance(found, dict):
        raise NotYet(
            "Expected three tensors, one for each part, as `train, validation, test`; you return a dict."
        )
    expect(
        isinstance(found, tuple | list) and len(found) == 3,
        f"Expected three tensors, one for each part, got {describe_value(found)}.",
    )
    parts = []
    for part in found:
        expect(
            isinstance(part, Tensor) and part.ndim == 1,
            f"Each part should be a tensor with one axis, of numbers of images; you return {describe_value(part)}.",
        )
        expect(
            part.dtype != torch.bool,
            f"A part is a mask of {len(part)} truths; the task asks for the numbers of its images.",
        )
        expect(
            len(part) or not part.is_floating_point(),
            f"An empty part is {str(part.dtype).removeprefix('torch.')}; it should be int64 as the others are.",
        )
        expect(
            not part.is_floating_point(),
            "The numbers of images should be whole numbers (int64), which can index a tensor.",
        )
        expect(
            part.dtype == torch.int64,
            f"The parts should be int64, but one of yours is {str(part.dtype).removeprefix('torch.')}.",
        )
        parts.append(part)
    return parts


def _expect_sizes(found: list[int], sizes: tuple[int, int, int], num_images: int) -> None:
    asked = f"Of {num_images} images, {sizes[1]} for validation and {sizes[2]} for the test"
    if found == list(sizes):
        return
    train, validation, test = sizes
    expect(
        found != [train, test, validation],
        f"{asked}: validation and test have changed places, or got each other's size.",
    )
    expect(
        sorted(found) != sorted(sizes),
        f"{asked}: your parts hold {found}, in another order than training, validation, test.",
    )
    expect(
        sum(found) != 60_000 and max(found) <= num_images,
        f"{asked}: your parts hold {found}. How many images there are is in `num_images`.",
    )
    if 0 in (validation, test):
        raise NotYet(
            f"{asked}: your parts hold {found}. Slices with a minus sign have a pitfall: `-0` is `0`, the beginning."
        )
    expect(
        sum(found) >= num_images,
        f"{asked}: your parts hold {found}, which leaves {num_images - sum(found)} images in none.",
    )
    expect(
        sum(found) == num_images or found[1:] != list(sizes[1:]),
        f"{asked}: your parts hold {found}, more than there are: does training keep what others were given?",
    )
    raise NotYet(f"{asked}: your parts hold {found} images, where {list(sizes)} is expected.")


def _expect_each_once(parts: list[Tensor], num_images: int) -> None:
    for part, what in zip(parts, ("training", "validation", "test"), strict=True):
        expect(
            len(part.unique()) == len(part),
            f"The {what} part holds some images twice: it was drawn with replacement.",
        )
    everything = torch.cat(parts)
    expect(
        not (everything.min() == 1 and everything.max() == num_images),
        f"Your numbers go from 1 to {num_images}; the first image has the number 0.",
    )
    expect(
        0 <= everything.min() and everything.max() < num_images,
        f"Your numbers go from {everything.min()} to {everything.max()}, where 0 to {num_images - 1} is expected.",
    )
    twice = num_images - len(everything.unique())
    expect(
        twice == 0,
        f"{twice} images are in more than one part: cut the parts from one random order, instead of drawing each anew.",
    )


def _shuffled_apart(images, labels, batch_size, generator):
    """The program of the bug hunt, as it stands in the notebook."""
    image_order = torch.randperm(len(images), generator=generator)
    label_order = torch.randperm(len(labels), generator=generator)
    for start in range(0, len(images), batch_size):
        stop = start + batch_size
        yield images[image_order[start:stop]], labels[label_order[start:stop]]


@exercise(
    passed="An image and its label stay together because one order picks them both. No error would have told you.",
    blank=_shuffled_apart,
)
def shuffled_epoch(answer) -> None:
    """Take images (N, ...), labels (N,), a batch size and a generator; yield the batches of one shuffled epoch."""
    for num_images, batch_size in [(47, 6), (40, 8), (33, 50), (35, 1), (64, 33)]:
        numbers = torch.randperm(num_images) + 100  # each image shows its label, and no place in the list
        images = numbers.float().view(-1, 1, 1, 1).expand(-1, 1, 2, 3).contiguous()
        seed = int(torch.randint(1, 10_000, ()))
        generator = torch.Generator().manual_seed(seed)

        def epoch(generator, given=(images, numbers, batch_size)):
            return _as_batches(call(answer, *given, generator), *given)

        first = epoch(generator)
        _expect_epoch(first, numbers, batch_size)
        second = epoch(generator)
        order = torch.cat([labels for _, labels in first])
        expect(
            not torch.equal(order, torch.cat([labels for _, labels in second])),
            "A second epoch with the same generator has the same order again: let it go on from where it was.",
        )
        torch.rand(1)
        again = epoch(torch.Generator().manual_seed(seed))
        expect(
            torch.equal(order, torch.cat([labels for _, labels in again])),
            "Two generators with the same seed give different orders: use the generator that you are given.",
        )


def _as_batches(found, images: Tensor, labels: Tensor, batch_size: int) -> list[tuple[Tensor, Tensor]]:
    expect(
        not isinstance(found, Tensor | dict | str) and hasattr(found, "__iter__"),
        f"Expected batches, one after the other, got {describe_value(found)}.",
    )
    found = list(found)
    expect(found, "There are no batches at all.")
    expect(
        not (len(found) == 2 and all(isinstance(part, Tensor) for part in found)),
        "Your function returns a single batch; the epoch should go on, which `yield` allows and `return` does not.",
    )
    for batch in found:
        expect(
            isinstance(batch, tuple | list)
            and len(batch) == 2
            and all(isinstance(part, Tensor) for part in batch),
            f"Each batch should be a pair, images and their labels; one of yours is {describe_value(batch)}.",
        )
        expect(
            not (batch[0].ndim == 1 and batch[1].ndim == images.ndim),
            "Images and labels have changed places: the images come first.",
        )
        expect(
            batch[0].shape[1:] == images.shape[1:] and batch[0].ndim == images.ndim and batch[1].ndim == 1,
            f"A batch of images has the shape {tuple(batch[0].shape)} and labels {tuple(batch[1].shape)}; for images "
            f"of shape {tuple(images.shape)} each batch should differ in its first axis alone.",
        )
        expect(
            batch[0].dtype == images.dtype and batch[1].dtype == labels.dtype,
            f"Images and labels come as {_kind(batch[0])} and {_kind(batch[1])}; they should stay {_kind(images)} and "
            f"{_kind(labels)}.",
        )
        expect(
            len(batch[0]) == len(batch[1]),
            f"One batch has {len(batch[0])} images and {len(batch[1])} labels; there should be one label for each.",
        )
    return found


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _expect_epoch(epoch: list[tuple[Tensor, Tensor]], numbers: Tensor, batch_size: int) -> None:
    """Numbers are the labels in their given order, and what the images show."""
    sizes = [len(labels) for _, labels in epoch]
    rest = len(numbers) % batch_size
    case = f"{len(numbers)} images in batches of {batch_size}"
    expect(
        not (rest and sum(sizes) == len(numbers) - rest and set(sizes) <= {batch_size}),
        f"{case}: the ragged last batch of {rest} is dropped. Those images would never be seen in this epoch.",
    )
    expect(
        sizes[-1] > 0 or sum(sizes) < len(numbers),
        f"{case}: the last of your batches is empty. Where the images fill every batch, no further one is needed.",
    )
    expect(
        len(sizes) <= -(-len(numbers) // batch_size),
        f"{case}: you yield {len(sizes)} batches with {sum(sizes)} images in all: each image should come once.",
    )
    expect(
        max(sizes) <= batch_size and set(sizes[:-1]) <= {batch_size} and sizes[-1] > 0,
        f"{case}: your batches hold {str(sizes[:8])[1:-1]} images; all but the last should be full.",
    )
    shown = torch.cat([images[:, 0, 0, 0] for images, _ in epoch]).long()
    labels = torch.cat([labels for _, labels in epoch])
    matched = len(shown) == len(labels) and torch.equal(shown, labels)
    if not matched and len(labels) == len(numbers):
        expect(
            not torch.equal(labels, numbers),
            "The images are shuffled and the labels are not: an image meets the label of another one.",
        )
        expect(
            not torch.equal(shown, numbers),
            "The labels are shuffled and the images are not: an image meets the label of another one.",
        )
    expect(
        matched,
        f"{int((shown != labels).sum())} of {len(shown)} images come with the label of another image. Compare where "
        "the images' order comes from, and the labels'.",
    )
    different = len(labels.unique())
    expect(
        sum(sizes) == len(numbers) and different == len(numbers),
        f"{case}: your epoch shows {different} different images in {sum(sizes)} places; each should come once.",
    )
    expect(
        not torch.equal(labels, numbers),
        "The images come in the order they were given in: nothing is shuffled now.",
    )
    expect(not torch.equal(labels, numbers.flip(0)), "The order is turned round, which is not shuffled.")
    expect(
        not torch.equal(labels, numbers.sort().values)
        and not torch.equal(labels, numbers.sort().values.flip(0)),
        "The images are sorted by label; the order should be random.",
    )
    if len(epoch) > 3 and batch_size > 1:
        blocks = [set(block.tolist()) for block in numbers.split(batch_size)]
        batches = [set(part.tolist()) for _, part in epoch]
        expect(
            batches != blocks,
            "Only the order within each batch is random: the same images meet in the same batch every time.",
        )
        expect(
            not all(batch in blocks for batch in batches),
            "Only the order of the batches is random: the same images meet in the same batch every time.",
        )
