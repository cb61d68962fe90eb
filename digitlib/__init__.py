"""digitlib: the small library behind a course in reading handwritten digits with PyTorch.

A map of the modules, each small enough to read in one sitting:

    data         MNIST: fetch, split, normalise, batches
    models       the networks: MLP, CNN, RNN, ConvNet, ShiftedConvNet
    evaluation   loss, accuracy with its interval, confusion matrix, precision and recall
    training     train_one_epoch, fit -> History
    recipes      the named experiments: model, optimizer, schedule, seed
    checkpoints  save, load, load_or_train
    predict      a picture of a digit -> the digit and ten probabilities
    plotting     galleries, curves, matrices; arrays in, Axes out
    tuning       what importing digitlib sets: how threads wait, how much memory is kept
    widgets      a pad to draw on, sliders above a figure
    checks       one check an exercise; imported by no other module
    distributed  recipes.train, shared out over several processes
    __main__     the command line: digitlib recipes | train | evaluate | predict

Importing digitlib does no work: no download, no choice of a device, no seed. On Linux a thread of its own then looks
again and again whether another process needs a core (tuning).
"""

from digitlib import tuning  # noqa: F401 - first, because threads heed it only where torch is not imported yet

# isort: split
from digitlib.checkpoints import load_or_train
from digitlib.data import batches, load_part, load_raw, normalise
from digitlib.evaluation import evaluate, predict_logits
from digitlib.models import CNN, MLP, RNN
from digitlib.training import fit

__all__ = [
    "CNN",
    "MLP",
    "RNN",
    "batches",
    "evaluate",
    "fit",
    "load_or_train",
    "load_part",
    "load_raw",
    "normalise",
    "predict_logits",
]
