"""One check an exercise: `checks.as_batch(as_batch)` says whether an answer is right, or what stands in its way.

Each check tests properties on fresh random inputs, so that every right answer passes, however it was written. It
shows one or two lines, never the answer, and never raises.

    core     what all checks share: Result, the decorator exercise, a safe way to call an answer
    tensors  the checks of notebook 1; each notebook has a module of its own
"""

from digitlib.checks.core import CHECKS, Result
from digitlib.checks.tensors import as_batch

__all__ = ["CHECKS", "Result", "as_batch"]
