"""The checks of notebook 1: tensors and gradients."""

import torch

from digitlib.checks.core import call, close, exercise, expect, expect_tensor


@exercise(passed="An image batch is (N, 1, 28, 28): images, channels, rows, columns.")
def as_batch(answer) -> None:
    """Take uint8 (28, 28), one image, and return it as a batch: float32 (1, 1, 28, 28), values unchanged."""
    image = torch.randint(0, 256, (28, 28), dtype=torch.uint8)
    batch = call(answer, image)
    expect_tensor(batch, what="the batch")
    expect(
        batch.ndim == 4,
        f"Your batch has {batch.ndim} axes, where a batch of images has four; each `None` in an index adds one.",
    )
    batch = expect_tensor(batch, (1, 1, 28, 28), what="the batch")
    expect(
        batch.dtype == torch.float32,
        f"The pixels are still {str(batch.dtype).removeprefix('torch.')}; networks compute with `.float()`.",
    )
    expect(
        not close(batch[0, 0], image.float().T),
        "Rows and columns have changed places: add axes, do not swap them.",
    )
    expect(
        not close(batch[0, 0], image.float() / 255),
        "The values were scaled to 0 to 1; here they should stay as they are.",
    )
    expect(close(batch[0, 0], image.float()), "The pixels are not the ones that were given.")
