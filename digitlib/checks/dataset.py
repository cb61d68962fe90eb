"""The checks of notebook 2: the header of a file, batches, three parts, shuffling."""

import random

import torch

from digitlib.checks.engine import change, exercise


def _whole(run, *given):
    result = run(*given)
    floats = isinstance(result, list | tuple) and any(isinstance(each, float) for each in result)
    return {"the result": result, "the numbers are whole (int), as `range` and indices need them": not floats}


def _headers():
    for axes in (3, 1, 4, 2):
        rest = random.choices(range(1, 128), k=4 * axes + 64)  # the lengths, and the first pixels
        yield f"a file with axes: {axes}", (bytes([0, 0, random.choice([9, 11, 13]), axes, *rest]),)


def _lengths(header):
    axes = header[3]
    places = [4 + 4 * axis for axis in range(axes)]
    return [int.from_bytes(header[place : place + 4], "big") for place in places]


idx_lengths = exercise(
    "idx_lengths", passed="A file format is a promise about bytes; whoever knows it needs no library.",
    given=_headers, right=_lengths, observe=_whole, plain=True, returns="a list of int, one length for each axis",
    wrong={
        "The bytes of each length are read the wrong way round: the largest comes first.": ('"big"', '"little"'),
        "Four bytes make one length: you read fewer or more, add them up, or begin one byte after another.": [
            ("4 * axis", "axis"), ("int.from_bytes(", "sum(", ', "big")', ")"), ("place + 4", "place + 1")],
        "You begin at the wrong byte: four come before the first length, zeros, the type and the number of axes.": [
            ("4 + 4", f"{start} + 4") for start in (0, 1, 2, 3, 5, 8)],
        "A byte has 256 values, so each is worth 256 times the next one, not 255 times.": ("int.from_bytes(",
            "sum(byte * 255**n for n, byte in enumerate(reversed(", ', "big")', ")))"),
    })  # fmt: skip


def _counted(num_images, batch_size):
    full, rest = divmod(num_images, batch_size)
    if rest > 0:
        return full + 1, rest
    return full, batch_size


count_batches = exercise(
    "count_batches", passed="Whoever divides by the number of batches should know how large the last one is.",
    given=lambda: [(f"{number:,} images in batches of {size}", (number, size)) for number, size in (
        (58, 8), (random.randrange(49, 54), 6), (32, 8), (5, 8), (8, 8), (17, 1), (1, 1), (1, 256), (60_000, 256))],
    right=_counted, observe=_whole, returns="two numbers: of batches, and of images in the last one",
    wrong={
        "A ragged last batch is not counted: `//` leaves out what does not fill a batch, and `round` what is less than "
        "half of one.": [("full + 1", "full"), *[("full +", f"{most} + 0 *") for most in (
            "round(num_images / batch_size)", "max(1, round(num_images / batch_size))")]],
        "The last batch gets what is left over, which is less than a full one.": ("rest\n", "batch_size\n"),
        "This is what the last batch lacks, not what it holds.": [
            ("rest\n", "batch_size - rest\n", "full, batch_size", f"full, {last}") for last in ("batch_size", 0)],
        "Where the division leaves no rest, there is no batch more, and the last one is full, not empty.": [
            ("full, batch_size", end) for end in ("full + 1, batch_size", "full + 1, 0", "full, 0")],
    })  # fmt: skip


def _generator():
    return torch.Generator().manual_seed(int(torch.randint(1, 9999, ())))


def _look_at_parts(run, *given):
    *sizes, generator = given
    other = torch.Generator().manual_seed(generator.initial_seed() + 1)
    result, *more = (run(*sizes, each) for each in (generator.clone_state(), generator, other))
    dtypes = isinstance(result, list | tuple) and [getattr(part, "dtype", None) for part in result]
    if dtypes != 3 * [torch.int64]:
        return {"the result": tuple(result) if isinstance(result, list) else result}
    parts, same, others = ([set(part.flatten().tolist()) for part in drawn] for drawn in (result, *more))
    numbers = torch.cat([part.flatten() for part in result]).tolist()
    return {
        "the split into training + validation + test": " + ".join(str(part.numel()) for part in result),
        "no image is drawn twice, for one part or for two": len(set(numbers)) == len(numbers),
        "the smallest and the largest number": f"{min(numbers, default=None)} and {max(numbers, default=None)}",
        "each part is drawn, and not a run": not any(max(one) - min(one) < len(one) for one in parts if one),
        "the same seed gives the same parts": parts == same,
        "another seed gives other parts": parts != others,
        "the result": tuple(0 * part for part in result),
    }


def _parts(num_images, num_validation, num_test, generator):
    shuffled = torch.randperm(num_images, generator=generator)
    sizes = (num_images - num_validation - num_test, num_validation, num_test)
    return shuffled.split(sizes)


three_parts = exercise(
    "three_parts", passed="Random, repeatable, and no image in two parts: this is what keeps a score honest.",
    given=lambda: [("{} images, {} for validation and {} for the test".format(*sizes), (*sizes, _generator()))
                   for sizes in ((120, 25, 15), (150, 20, 0), (90, 0, 30), (40, 12, 28), (131, 14, 33))],
    right=_parts, observe=_look_at_parts, returns="three int64 tensors, `train, validation, test`",
)  # fmt: skip


def _epoch(run, *given):
    """Return the batches of an epoch; none where they are no pairs of images (B, ...) and labels (B,)."""
    result = run(*given)
    found = run.of(list, result) if hasattr(result, "__iter__") else []
    kinds = [isinstance(each, tuple | list) and [getattr(part, "ndim", 0) for part in each] for each in found]
    return found if kinds == len(found) * [[4, 1]] else []


def _look_at_epochs(run, images, labels, batch_size, generator):
    generators = (generator.clone_state(), generator, generator)
    epochs = [_epoch(run, images, labels, batch_size, each) for each in generators]
    if not all(epochs):
        return {}
    again, first, second = (torch.cat([found for _, found in epoch]) for epoch in epochs)
    shown = torch.cat([batch[:, 0, 0, 0] for batch, _ in epochs[1]])
    blocks = [set(block.tolist()) for block in labels.split(batch_size)] if 1 < batch_size < 9 else []
    return {
        "it yields pairs, one after the other: images (B, …) and labels (B,)": True,
        "a batch is no block of neighbours": not any(set(found.tolist()) in blocks for _, found in epochs[1]),
        "the row of batch sizes": " ".join(str(len(found)) for _, found in epochs[1]),
        "every image comes with its own label": torch.equal(shown.double(), first.double()),
        "the number of different images": len(shown.unique()),
        "a second epoch with the same generator has another order": not torch.equal(first, second),
        "the same seed gives the same order": torch.equal(first, again),
        "the dtypes of images and labels": f"{shown.dtype} and {first.dtype}",
    }


def _shuffled_apart(images, labels, batch_size, generator):
    image_order = torch.randperm(len(images), generator=generator)
    label_order = torch.randperm(len(labels), generator=generator)
    for start in range(0, len(images), batch_size):
        stop = start + batch_size
        yield images[image_order[start:stop]], labels[label_order[start:stop]]


shuffled_epoch = exercise(
    "shuffled_epoch",
    passed="An image and its label stay together because one order picks them both. No error would have told you.",
    given=lambda: [(f"{len(labels)} images in batches of {size}",  # each image shows its label
                    (labels.float().view(-1, 1, 1, 1).repeat(1, 1, 2, 3), labels, size, _generator()))
                   for num, size in ((47, 6), (33, 50), (35, 1), (64, 33)) for labels in [torch.arange(num) + 100]],
    observe=_look_at_epochs, returns="batches, one after the other", blank=_shuffled_apart,
    right=change(_shuffled_apart, "labels[label_order", "labels[image_order"),
)  # fmt: skip
