"""digitlib: the small library behind a course in reading handwritten digits with PyTorch.

A map of the modules, each small enough to read in one sitting:

    data         MNIST: fetch, split, normalise, batches
    models       the networks: MLP, CNN, RNN, ConvNet
    evaluation   loss, accuracy with its interval, confusion matrix, precision and recall
    training     train_one_epoch, fit -> History
    recipes      the named experiments: model, optimizer, schedule, seed
    checkpoints  save, load, load_or_train
    pictures     a file -> grey -> even light -> ink
    predict      ink -> the digits in MNIST's format -> each digit and ten probabilities
    plotting     galleries, curves, matrices; arrays in, Axes out
    widgets      a pad to draw on, sliders above a figure
    checks       one check an exercise; imported by no other module
    distributed  recipes.train, shared out over several processes
    storage      where the files of digitlib lie, and how they are written
    __main__     the command line: digitlib recipes | train | evaluate | predict

Importing digitlib does no work and changes nothing: no download, no choice of a device, no seed, and not even torch is
imported. The few names of __all__ are imported from their modules when they are asked for (PEP 562).
"""

from importlib import import_module

_HOMES = {
    **dict.fromkeys(["CNN", "MLP", "RNN"], "models"),
    **dict.fromkeys(["batches", "load_part", "load_raw", "normalise"], "data"),
    **dict.fromkeys(["evaluate", "predict_logits"], "evaluation"),
    "fit": "training",
    "load_or_train": "checkpoints",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import a name of __all__ from its module."""
    if name not in _HOMES:  # a module, for one: `from digitlib import predict` looks for that then
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the names that are not imported yet, too."""
    return sorted({*globals(), *__all__})
