"""The loop: a step by hand, an epoch weighed rightly, the same seed twice, Ctrl-C."""

import io
import re
import sys
from functools import partial

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from tqdm import tqdm

from digitlib import training
from digitlib.data import batches, load_part
from digitlib.models import CNN, MLP
from digitlib.training import History, fit, train_one_epoch


@pytest.fixture(scope="module")
def digits():
    images, labels = load_part("train")
    return images[:600], labels[:600]


def new_model(seed=0):
    torch.manual_seed(seed)
    return MLP(hidden_sizes=(16,))


def epoch_batches(digits, seed=0, batch_size=64):
    return partial(batches, *digits, batch_size, torch.Generator().manual_seed(seed))


def run(digits, seed=0, num_epochs=2, validation=None, **options):
    torch.manual_seed(seed)
    model = CNN()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    train_batches, validation = epoch_batches(digits, seed), validation or digits
    return model, fit(model, train_batches, validation, optimizer=optimizer, num_epochs=num_epochs, **options)


def test_one_step_of_sgd_by_hand(digits):
    images, labels = digits[0][:32], digits[1][:32]
    model, twin = new_model(), new_model()
    record = train_one_epoch(model, [(images, labels)], torch.optim.SGD(model.parameters(), 0.1))
    loss = F.cross_entropy(twin(images), labels)
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    for parameter, start, gradient in zip(model.parameters(), twin.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter, start - 0.1 * gradient)
    assert record.step_loss == [pytest.approx(loss.item())]
    assert record.accuracy == (twin(images).argmax(1) == labels).float().mean().item()


def test_gradients_of_one_step_do_not_reach_the_next(digits):
    images, labels = digits[0][:32], digits[1][:32]
    together, apart = new_model(), new_model()
    train_one_epoch(together, [(images, labels)] * 2, torch.optim.SGD(together.parameters(), 0.1))
    optimizer = torch.optim.SGD(apart.parameters(), 0.1)
    for _ in range(2):
        train_one_epoch(apart, [(images, labels)], optimizer)
    for a, b in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_ragged_last_batch_weighs_what_it_holds(digits):
    images, labels = digits[0][:10], digits[1][:10]
    model = new_model()
    record = train_one_epoch(model, batches(images, labels, 8), torch.optim.SGD(model.parameters(), 0.0))
    logits = model(images)
    assert record.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert record.loss != pytest.approx(sum(record.step_loss) / 2, rel=1e-3), "a mean of batch means"
    assert record.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())


def test_training_mode_is_set(digits):
    model = CNN().eval()
    train_one_epoch(model, epoch_batches(digits)(), torch.optim.SGD(model.parameters(), 0.01))
    assert model.training


def test_clip_norm_limits_the_step(digits):
    images, labels = digits[0][:32], digits[1][:32]
    model, start = new_model(), new_model()
    train_one_epoch(model, [(images, labels)], torch.optim.SGD(model.parameters(), 1.0), clip_norm=0.01)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(model.parameters(), start.parameters(), strict=True)]
    )
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_schedule_moves_once_a_step(digits):
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    train_one_epoch(model, [(digits[0][:8], digits[1][:8])] * 3, optimizer, schedule=schedule)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.125)


def test_no_batches_are_refused():
    model = new_model()
    with pytest.raises(ValueError, match="at least one batch"):
        train_one_epoch(model, iter([]), torch.optim.SGD(model.parameters(), 0.1))


def test_eight_images_can_be_learnt_by_heart(digits):
    eight = digits[0][:8], digits[1][:8]
    model = new_model()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    history = fit(model, lambda: batches(*eight, 8), eight, optimizer=optimizer, num_epochs=100)
    assert history.validation_loss[-1] < 1e-3
    assert history.validation_accuracy[-1] == 1.0


def test_history_holds_a_row_an_epoch_and_a_loss_a_step(digits):
    _, history = run(digits, num_epochs=3)
    table = pd.DataFrame(history.as_table())
    assert list(table.columns) == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
    ]
    assert table["epoch"].tolist() == [1, 2, 3]
    assert len(history) == 3
    assert len(history.step_loss) == 3 * 10  # 600 images in batches of 64
    assert table["train_loss"].iloc[-1] < table["train_loss"].iloc[0]
    assert not history.interrupted


def test_the_same_seed_gives_the_identical_history_and_validation_does_not_train(digits):
    """Dropout and weights see the same random numbers and steps, whatever the validation images are."""
    _, first = run(digits)
    assert run(digits)[1] == first
    few = digits[0][:5], digits[1][:5]
    assert run(digits, validation=few)[1].step_loss == first.step_loss
    assert run(digits, seed=1)[1] != first


@pytest.mark.parametrize("where", ["in a batch", "in validation"])
def test_ctrl_c_keeps_what_was_learnt(digits, monkeypatch, where):
    model = new_model()
    start = [parameter.clone() for parameter in model.parameters()]
    num_calls = 0

    def train_batches():
        nonlocal num_calls
        num_calls += 1
        for number, batch in enumerate(batches(*digits, 64)):
            if where == "in a batch" and num_calls == 2 and number == 3:
                raise KeyboardInterrupt
            yield batch

    if where == "in validation":
        monkeypatch.setattr(training, "evaluate", interrupt_after(1, training.evaluate))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    history = fit(model, train_batches, digits, optimizer=optimizer, num_epochs=5)
    assert history.interrupted
    assert len(history) == 1
    assert any(not torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))


def interrupt_after(num_calls, function):
    """Return the function, good for so many calls, then Ctrl-C."""
    calls = iter(range(num_calls))

    def interrupted(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return function(*arguments)

    return interrupted


def test_other_errors_are_not_swallowed(digits):
    model = new_model()
    with pytest.raises(ValueError, match="expected float images"):
        fit(
            model,
            lambda: [(torch.zeros(2, 28, 28), torch.zeros(2, dtype=torch.int64))],
            digits,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
            num_epochs=1,
        )


def test_no_epochs_are_refused(digits):
    for num_epochs in (0, -1):
        with pytest.raises(ValueError, match="num_epochs"):
            run(digits, num_epochs=num_epochs)


def test_a_used_up_generator_is_explained(digits):
    model = new_model()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match="lambda"):
        fit(model, batches(*digits, 64), digits, optimizer=optimizer, num_epochs=1)
    once = batches(*digits, 64)
    with pytest.raises(ValueError, match="one epoch only"):
        fit(model, lambda: once, digits, optimizer=optimizer, num_epochs=2)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_moves_with_each_batch_and_is_gone_in_the_end(digits, monkeypatch):
    monkeypatch.delenv("DIGITLIB_STILL")
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(training, "tqdm", partial(tqdm, mininterval=0, miniters=1))  # however fast it is
    _, history = run(digits)
    *states, last = sys.stderr.getvalue().split("\r")
    assert last.strip() == states[-1].strip() == ""
    for number in range(11):
        assert any(state.startswith(f"epoch 1/2: {number}it [") for state in states)
        assert any(state.startswith("epoch 2/2: ") and f" {number}/10 [" in state for state in states)
    result = f"loss {history.train_loss[0]:.4f}, validation {history.validation_accuracy[0]:.2%}"
    assert all((result in state) is state.startswith("epoch 2/2") for state in states)


def test_the_bar_shows_in_a_terminal_unless_it_is_unwanted(digits, monkeypatch):
    for stream, still, is_shown in (
        (Terminal(), "", True),
        (Terminal(), "1", False),
        (io.StringIO(), "", False),
    ):
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("DIGITLIB_STILL", still)
        run(digits, num_epochs=1)
        assert ("epoch 1/1" in stream.getvalue()) is is_shown


def test_without_a_stderr_there_is_no_bar(digits, monkeypatch):
    monkeypatch.delenv("DIGITLIB_STILL")
    monkeypatch.setattr("sys.stderr", None)  # closed by the shell: 2>&-
    assert len(run(digits, num_epochs=1)[1]) == 1


def test_in_a_notebook_the_bar_is_live_and_nothing_of_it_is_stored(monkeypatch):
    monkeypatch.delenv("DIGITLIB_STILL")
    source = """
import contextlib, io
import torch
from digitlib import training
from digitlib.models import MLP

digits = torch.zeros(9, 1, 28, 28), torch.zeros(9, dtype=torch.int64)
model = MLP((2,))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
train = lambda: training.fit(model, lambda: [digits] * 3, digits, optimizer=optimizer, num_epochs=2)
print("before")
train()
with contextlib.redirect_stdout(io.StringIO()) as printed:  # as a check does, to hear what an answer prints
    train()
print("after", [printed.getvalue()])
"""
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    written = "".join(output.text for output in notebook.cells[0].outputs)
    assert "epoch 2/2: " in written and " 0/3 [" in written
    assert re.sub(r".*\r", "", written) == "before\nafter ['']\n", "the lab stores what is not written over"


def test_empty_history():
    assert len(History()) == 0
    assert History().as_table()["epoch"] == []
