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
        header = bytes([0, 0, random.choice([9, 11, 13]), axes])  # a type that is no number of axes
        lengths = [random.randrange(20_000_000, 2_000_000_000).to_bytes(4, "big") for _ in range(axes)]
        pixels = bytes(random.choices(range(1, 256), k=64))
        yield f"a file with axes: {axes}", (header + b"".join(lengths) + pixels,)


def _lengths(header):
    axes = header[3]
    places = [4 + 4 * axis for axis in range(axes)]
    return [int.from_bytes(header[place : place + 4], "big") for place in places]


idx_lengths = exercise(
    "idx_lengths",
    passed="A file format is a promise about bytes; whoever knows it needs no library.",
    given=_headers, right=_lengths, observe=_whole, plain=True, returns="a list of int, one length for each axis",
    wrong={
        "The bytes of each length are read the wrong way round: the largest comes first.": ('"big"', '"little"'),
        "Four bytes make one length: you read fewer or more, add them up, or begin one byte after another.": [
            ("4 * axis", "axis"), ("int.from_bytes(", "sum(", ', "big")', ")"),
            *[("place : place + 4", f"place : place + {number}") for number in (1, 2, 3, 5)]],
        "You begin at the wrong byte: four come before the first length, zeros, the type and the number of axes.": [
            ("4 + 4", f"{start} + 4") for start in (0, 1, 2, 3, 5, 8)],
    })  # fmt: skip


def _counted(num_images, batch_size):
    full, rest = divmod(num_images, batch_size)
    if rest > 0:
        return full + 1, rest
    return full, batch_size


_MORE, _FITS = "full + 1, rest", "return full, batch_size"
count_batches = exercise(
    "count_batches",
    passed="Whoever divides by the number of batches should know how large the last one is.",
    given=lambda: [(f"{number:,} images in batches of {size}", (number, size)) for size in [random.randrange(6, 11)]
                   for number, size in ((size * 7 + 2, size), (size * 9 - 1, size), (size * 4, size), (size - 3, size),
                                        (size, size), (17, 1), (1, 1), (1, 256), (60_000, 256))],
    right=_counted, observe=_whole, returns="two numbers: of batches, and of images in the last one",
    wrong={
        "The ragged last batch is not counted. `//` leaves out what does not fill a batch.": [
            (_MORE, "full, rest"), (_MORE, "full, batch_size"), (_MORE, "full, rest", _FITS, "return full, 0")],
        "The last batch gets what is left over, which is less than a full one.": (_MORE, "full + 1, batch_size"),
        "This is what the last batch lacks, not what it holds.": [
            (_MORE, "full + 1, batch_size - rest"), (_MORE, "full + 1, batch_size - rest", _FITS, "return full, 0")],
        "Where the images fill every batch, nothing is left for one more.": [
            (_FITS, f"return full + 1, {last}") for last in ("batch_size", 0)],
        "Where the division leaves no rest, the last batch is full, and not empty.": (_FITS, "return full, 0"),
        "There is no part of a batch, and also a small rest makes one: `/` is no help, nor is `round`.": [
            ("full +", "num_images / batch_size + 0 *"), ("full +", "round(num_images / batch_size) + 0 *")],
    })  # fmt: skip


def _generator():
    return torch.Generator().manual_seed(int(torch.randint(1, 9999, ())))


def _look_at_parts(run, *given):
    same, other = given[-1].clone_state(), torch.Generator().manual_seed(given[-1].initial_seed() + 1)
    result, *more = (run(*given[:-1], generator) for generator in (given[-1], same, other))
    dtypes = isinstance(result, list | tuple) and [getattr(part, "dtype", None) for part in result]
    if dtypes != 3 * [torch.int64]:
        return {"the result": tuple(result) if isinstance(result, list) else result}
    parts, same, others = ([set(part.flatten().tolist()) for part in drawn] for drawn in (result, *more))
    held, runs = set.union(*parts), [len(part) > 9 and max(part) - min(part) < len(part) for part in parts]
    return {
        "the split into training + validation + test": " + ".join(str(part.numel()) for part in result),
        "no part holds an image twice": [len(part) for part in parts] == [part.numel() for part in result],
        "no image is in more than one part": sum(map(len, parts)) == len(held),
        "the smallest and the largest number": f"{min(held, default=None)} and {max(held, default=None)}",
        "each part is drawn from everywhere, and no run of neighbours": not any(runs),
        "the same seed gives the same parts": parts == same,
        "another seed gives other parts": parts != others,
        "the result": tuple(0 * part for part in result),
    }


def _parts(num_images, num_validation, num_test, generator):
    shuffled = torch.randperm(num_images, generator=generator)
    sizes = (num_images - num_validation - num_test, num_validation, num_test)
    train, validation, test = shuffled.split(sizes)
    return train, validation, test


_DRAW, _FIXED = "torch.randperm(num_images, generator=generator)", "=torch.Generator().manual_seed(0)"
three_parts = exercise(
    "three_parts",
    passed="Random, repeatable, and no image in two parts: this is what keeps a score honest.",
    given=lambda: [("{} images, {} for validation and {} for the test".format(*sizes), (*sizes, _generator()))
                   for sizes in ((120, 25, 15), (150, 20, 0), (90, 0, 30), (40, 12, 28), (131, 14, 33))],
    right=_parts, observe=_look_at_parts, returns="three int64 tensors, `train, validation, test`",
    wrong={
        "Some images are in more than one part: cut the parts from one random order, instead of drawing each anew.":
            ("shuffled.split(sizes)", f"({_DRAW}[:size] for size in sizes)"),
        "The same seed gives different parts: use the generator that you are given.": (", generator=generator", ""),
        "Different seeds give the same parts: use the generator that you are given, as it is.": ("=generator", _FIXED),
        "Slices with a minus sign have a pitfall: `-0` is `0`, the beginning.": [
            ("return train, validation, test", f"return train, {part}, shuffled[-num_test:]")
            for part in ("validation", "shuffled[-num_validation - num_test : -num_test]")],
    })  # fmt: skip


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
    orders = (labels.flip(0), labels.sort().values, labels.sort().values.flip(0))
    return {
        "it yields pairs, one after the other: images (B, …) and labels (B,)": True,
        "the row of batch sizes": " ".join(str(len(found)) for _, found in epochs[1]),
        "the images are shuffled": not torch.equal(shown, labels.float()),
        "the labels are shuffled": not torch.equal(first, labels),
        "every image comes with its own label": torch.equal(shown.double(), first.double()),
        "the number of different images": len(shown.unique()),
        "the order is neither turned round nor sorted": not any(torch.equal(first, each) for each in orders),
        "a batch is no block of neighbours": not any(set(found.tolist()) in blocks for _, found in epochs[1]),
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
    given=lambda: [(f"{number} images in batches of {size}",  # each image shows its label
                    (labels.float().view(-1, 1, 1, 1).repeat(1, 1, 2, 3), labels, size, _generator()))
                   for number, size in ((47, 6), (40, 8), (33, 50), (35, 1), (64, 33))
                   for labels in [torch.randperm(number) + 100]],
    observe=_look_at_epochs, returns="batches, one after the other", blank=_shuffled_apart,
    right=change(_shuffled_apart, "labels[label_order", "labels[image_order"),
    wrong={
        "The ragged last batch is dropped. Those images would never be seen in this epoch.":
            ("len(images), batch_size)", "len(images) - batch_size + 1, batch_size)"),
        "A second epoch has the same order again: let the generator go on from where it was.": ("=generator", _FIXED),
        "The same seed gives different orders: use the generator that you are given.": (", generator=generator", ""),
    })  # fmt: skip
