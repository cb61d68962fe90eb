"""The checks of the exercises, against right and wrong answers.

For each exercise: the notebook's solution passes, its stub is not attempted, at least one other right answer passes,
and at least three wrong answers each get a hint of their own. The rows stand in tests/exercises/.
"""

import functools
import importlib
import inspect
import os
import random
import subprocess
import sys
import threading
import types
from pathlib import Path

import IPython
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from digitlib import checks
from digitlib.checks import core, engine
from digitlib.checks.calling import Run
from digitlib.checks.comparing import same
from tests.exercises import Answers
from tools.exercises import all_exercises, answer

EXERCISES = {exercise.id: exercise for exercise in all_exercises()}
TABLES = sorted(
    path.stem for path in (Path(__file__).parent / "exercises").glob("*.py") if path.stem != "__init__"
)
ROWS: dict[str, Answers] = {}
for table in TABLES:
    ROWS |= importlib.import_module(f"tests.exercises.{table}").ANSWERS

DECLARED = [(name, hint) for name, each in engine.DECLARED.items() for hint in each.wrong]
RIGHT = [(name, row) for name in ROWS for row in ROWS[name].right]
WRONG = [(name, row) for name in ROWS for row in ROWS[name].wrong]


def check(name: str, given: object) -> checks.Result:
    return core.CHECKS[name](given)


@pytest.fixture(autouse=True)
def seeds(monkeypatch, request):
    """Draw the inputs of the checks from seeds that stay, so that no test fails by chance.

    `CHECK_SEED=1 pytest tests/test_checks.py` takes others: to look for a hint that some inputs do not bring out.
    """
    numbers = random.Random(f"{os.environ.get('CHECK_SEED', 0)} {request.node.name}")
    monkeypatch.setattr(core, "fresh_seed", lambda: numbers.getrandbits(32))


# ---- the table ------------------------------------------------------------------------------------------------


def test_every_exercise_has_its_check_and_its_rows():
    assert set(EXERCISES) == set(core.CHECKS) == set(ROWS)
    assert all(getattr(checks, name) is core.CHECKS[name] for name in core.CHECKS)


@pytest.mark.parametrize("name", ROWS)
def test_there_are_enough_rows(name):
    declared = engine.DECLARED[name].wrong if name in engine.DECLARED else {}
    assert len(ROWS[name].right) >= 1 and len(ROWS[name].wrong) + len(declared) >= 3


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    for _ in range(3):  # the inputs are new each time
        result = check(name, answer(EXERCISES[name], EXERCISES[name].solution))
        assert (result.status, result.exercise) == (core.PASSED, name), result


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_not_attempted(name):
    assert check(name, answer(EXERCISES[name], EXERCISES[name].stub)).status == core.NOT_ATTEMPTED


@pytest.mark.parametrize("name, row", RIGHT)
def test_another_right_answer_passes(name, row):
    for _ in range(3):
        assert check(name, ROWS[name].right[row]).status == core.PASSED, check(name, ROWS[name].right[row])


@functools.cache
def verdict(name: str, row: str) -> checks.Result:
    """Return what is said of a wrong answer; two tests read it, and it is judged once."""
    return check(name, ROWS[name].wrong[row][0])


@pytest.mark.parametrize("name, row", WRONG)
def test_a_wrong_answer_gets_its_hint(name, row):
    given, hint = ROWS[name].wrong[row]
    more = [check(name, given) for _ in range(0 if name in engine.DECLARED else 2)]
    for result in (verdict(name, row), *more):
        assert result.status == core.NOT_YET
        assert hint in result.message


@pytest.mark.parametrize("name", ROWS)
def test_each_misconception_has_a_hint_of_its_own(name):
    hints = [verdict(name, row).message for row in ROWS[name].wrong]
    assert len(set(hints)) == len(hints), hints


@pytest.mark.parametrize("name, hint", DECLARED)
def test_a_misconception_gets_its_hint(name, hint):
    declared = engine.DECLARED[name]
    for wrong in (wrong for declared_for, wrong in engine.changes(declared) if declared_for == hint):
        with pytest.raises(core.NotYet) as raised, core._own_state():
            given = engine.made(declared.right, wrong)
            engine.judge(declared, given() if declared.value else given)
        assert str(raised.value) == hint


@pytest.mark.parametrize("name", engine.DECLARED)
def test_the_declared_right_answer_passes(name):
    declared = engine.DECLARED[name]
    with core._own_state():
        engine.judge(declared, declared.right() if declared.value else declared.right)


# ---- whatever an answer is, a check says a fair word -----------------------------------------------------------


def prints_only(*inputs, **options):
    print("42")


def raises(*inputs, **options):
    return inputs[0]["no such key"][1 / 0]


def leaves(*inputs, **options):
    raise SystemExit


STRANGE = [
    42,
    "text",
    [],
    {},
    object(),
    3.5,
    True,
    torch.tensor(float("nan")),
    np.zeros(3),
    len,
    int,
    torch.nn.Linear,
]
STRANGE += [prints_only, raises, leaves]
STRANGE += [
    lambda *inputs, value=value, **options: value
    for value in (None, 1, "text", [], {}, np.zeros(3), object())
]
STRANGE += [lambda *inputs, **options: torch.full((2, 2), float("nan")), lambda *inputs, **options: inputs[0]]


@pytest.mark.parametrize("name", core.CHECKS)
def test_strange_answers_get_a_fair_word(name, capsys):
    for given in STRANGE:
        result = check(name, given)
        assert result.status in (core.NOT_YET, core.NOT_ATTEMPTED), f"{given} passed"
        assert "Traceback" not in repr(result) and len(repr(result)) < 400
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", core.CHECKS)
def test_a_check_leaves_the_notebooks_random_numbers_alone(name):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    check(name, answer(EXERCISES[name], EXERCISES[name].solution))
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


# ---- the engine, on an exercise of its own ---------------------------------------------------------------------


def brighter_by(images, amount):
    total = images + amount
    return total.flip(0), total.mean()


def drawn():
    yield "three images", (torch.rand(3, 4), 2.0)
    yield "one image", (torch.rand(1, 4), 0.5)
    yield "two images", (torch.rand(2, 4), 1.0)


def in_the_notebook(source):
    """Return the function of a notebook's cell, beside which the notebook has variables of its own."""
    space = {"torch": torch, "np": np, "shift": torch.tensor(2.0), "batch": torch.ones(3, 4)}
    exec(source, space)
    return space["answer"]


CELL = "def answer(images, amount):\n    total = images + amount\n    return total.flip(0), total.mean()\n"
FAULTS = {  # what a cell has in the place of what, and what is then said
    (
        "images + amount",
        "images + shift",
    ): "never reads its argument `amount`, or overwrites it. It uses the notebook's `shift`",
    ("images + amount", "images + 0.7"): "never reads its argument `amount`, or overwrites it",
    (
        "total = images + amount",
        "images += amount; total = images",
    ): "changes its argument `images`: work on a new one. `+=`",
    ("return", "if len(images) == 1: return\n    return"): "returns nothing",
    ("total.flip(0), total.mean()", "total.mean(), total.flip(0)"): "have changed places",
    ("total.flip(0)", "total.flip(0).numpy()"): "is a NumPy array",
    ("total.flip(0)", "total.flip(0).double()"): "is float64, where float32",
    ("total.flip(0)", "total.flip(0).tolist()"): "should be a tensor",
    ("total.flip(0)", "total"): "not turned round",
    ("total.mean()", "total.sum()"): "a sum",
    ("total.flip(0), total.mean()", "total, total.sum()"): "It is a sum",  # so it is in both cases
    ("total.flip(0), total.mean()", "total, 7 * total.mean()"): "not turned round",
    ("total.mean()", "total.mean().round()"): "rounded",
    ("total.mean()", "total.mean() + 0.3"): "Each number is 0.3 too large",
    ("total.mean()", "images.std()"): "result 2 of 2 should be",
    ("images + amount", "images"): "never reads its argument `amount`, or overwrites it",
    ("total.flip(0)", "0 * total"): "All your numbers are the same",
    ("images + amount", "images + amounts"): "name 'amounts' is not defined",
    ("images, amount", "images"): "takes 1 positional argument but 2 were given",
    ("return", "torch.set_grad_enabled(False); return"): "for anybody",
    ("total.flip(0), total.mean()", "'text'"): "should be two tensors",
    ("total.flip(0), total.mean()", "[total]"): "should have 2 entries, but it has 1",
}


@pytest.fixture(scope="module")
def tiny():
    check = engine.exercise(
        "tiny",
        passed="Well.",
        given=drawn,
        right=brighter_by,
        returns="two tensors",
        wrong={"It is not turned round.": (".flip(0)", ""), "It is a sum.": ("mean", "sum")},
    )
    del core.CHECKS["tiny"], engine.DECLARED["tiny"]
    return check


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_every_exercise_knows_is_named(tiny, fault):
    assert tiny(in_the_notebook(CELL)).status == core.PASSED
    assert fault[0] in CELL
    result = tiny(in_the_notebook(CELL.replace(*fault)))
    assert result.status == core.NOT_YET
    assert FAULTS[fault] in result.message


def test_no_function_of_the_library_is_an_answer(tiny):
    calls = in_the_notebook(
        "from digitlib.checks import core\n" + CELL.replace("images +", "core.as_numbers and images +")
    )
    for given in (brighter_by, core.as_numbers, calls, functools.partial(core.as_numbers, 1)):
        assert ("comes from `digitlib` itself" in tiny(given).message) == (given is not brighter_by)


def test_a_cell_that_did_not_run_is_noticed(monkeypatch, capsys):
    """After a SyntaxError the answer that ran before is still there: it is not the one to be judged."""
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    solution = EXERCISES["descend"].solution
    verdicts = []
    for cell in (solution, solution.replace("return", "return ("), f"# mended\n{solution}", "%time x = 1"):
        shell.run_cell("import torch\nfrom digitlib import checks", store_history=True)
        shell.run_cell(cell, store_history=True)
        verdicts.append(shell.run_cell("checks.descend(descend)", store_history=True).result)
    assert [each.status for each in verdicts] == ["passed", "not yet", "passed", "passed"]
    assert "did not run" in verdicts[1].message


def test_one_is_told_from_many():
    assert [core.count(1, "step"), core.count(2, "step"), core.count(0, "entry", "entries")] == [
        "1 step",
        "2 steps",
        "0 entries",
    ]


# ---- core ------------------------------------------------------------------------------------------------------


def for_ever(*inputs):
    while True:
        try:
            while True:
                pass
        except Exception:  # no help against what ends it
            pass


def calls_itself(tensor):
    return calls_itself(tensor)


def asks(tensor):
    return input("which digit? ")


@pytest.mark.parametrize(
    "answer, hint",
    [
        (for_ever, "did not end"),
        (calls_itself, "calls itself"),
        (asks, "asks for `input()`"),
        (raises, "raised IndexError"),
        (leaves, "raised SystemExit"),
        (lambda: 1, "takes 0 positional arguments but 1 was given"),
    ],
)
def test_a_call_names_what_went_wrong(answer, hint, monkeypatch):
    monkeypatch.setattr(core, "SECONDS", 0.3)

    @unregistered
    def body(given):
        Run(given)(torch.ones(3))

    result = body(answer)
    assert result.status == core.NOT_YET and hint in result.message


STUBBORN = """
import os
from digitlib import checks
from digitlib.checks import core, engine

def answer(*inputs):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

core.SECONDS = 0.1
print(getattr(checks, next(iter(core.CHECKS)))(answer), flush=True)
os._exit(0)
"""


def test_an_answer_that_nothing_ends_gets_its_word_too():
    # In a process of its own: it may go on for as long as that lives.
    run = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and "did not end" in run.stdout and run.stderr == ""


def test_who_cannot_be_ended_is_told_to_restart(monkeypatch):
    monkeypatch.setattr(core, "SECONDS", 0.1)
    monkeypatch.setattr(core, "_interrupt", lambda thread: None)
    done = threading.Event()

    @unregistered
    def body(given):
        Run(given)(torch.ones(3))

    result = body(lambda tensor: done.wait(60))
    done.set()
    assert "did not end" in result.message and "restart the kernel" in result.message


def unregistered(body):
    decorated = core.exercise(body, passed="Well.")
    del core.CHECKS[body.__name__]
    return decorated


def test_what_an_answer_prints_is_kept_out_of_the_notebook(capsys):
    @unregistered
    def body(given):
        Run(given)(torch.ones(3))

    def answer(tensor):
        print("I am here")
        return tensor

    result = body(answer)
    assert result.status == core.PASSED and "What your answer printed" in result.message
    assert capsys.readouterr() == ("", "")


def test_gradients_are_on_in_a_check_and_the_state_is_put_back():
    @unregistered
    def body(given):
        core.expect(torch.is_grad_enabled(), "no gradients")
        torch.set_default_dtype(torch.float64)

    with torch.no_grad():
        assert body(1).status == core.PASSED
        assert not torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def stub(images):
    """Return something."""
    return images.mean()  # the bug


def retyped(images):
    return images.mean()


def mended(images):
    return images.mean(0)


def copies(image, seed):
    for _ in range(2):
        generator = torch.Generator().manual_seed(seed)
    return torch.stack([image, torch.rand(image.shape, generator=generator)])


compiled_elsewhere = {}  # in a notebook, where Python does not know that torch is a module
exec(inspect.getsource(copies), compiled_elsewhere)


def documented_only(images):
    """Return something."""


@pytest.mark.parametrize(
    "answer, blank, expected",
    [
        (None, None, True),
        (..., None, True),
        (documented_only, None, True),
        (lambda: ..., None, True),
        (core._raise, None, True),
        (mended, None, False),
        (stub, None, False),
        (stub, stub, True),
        (retyped, stub, True),
        (mended, stub, False),
        (compiled_elsewhere["copies"], copies, True),
        (0, None, False),
    ],
)
def test_is_blank(answer, blank, expected):
    assert core.is_blank(answer, blank) == expected


def test_a_class_is_blank_while_one_of_its_methods_is():
    class Stub(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x):
            """Return logits."""

    class Written(Stub):
        def forward(self, x):
            return self.layer(x)

    assert core.is_blank(Stub) and not core.is_blank(Written)


def test_a_result_is_text_and_html_and_not_told_by_colour_alone():
    result = checks.Result("x", core.NOT_YET, "Use `a < b` & more.")
    assert repr(result) == "✘ Not yet. Use `a < b` & more."
    assert "<strong>Not yet.</strong>" in result._repr_html_()
    assert "<code>a &lt; b</code> &amp; more." in result._repr_html_()


def test_same():
    assert same(1, torch.tensor(1.00001), 1e-4) and not same(1, 1.01, 1e-4)
    assert not same(torch.ones(2), torch.ones(2, 1), 1e-4)


@pytest.mark.parametrize("name", checks.CHECKS)
def test_no_helper_of_a_check_is_its_answer(name):
    """Neither as it is nor called by another function: the checks' own helpers know the answers."""
    check = checks.CHECKS[name]
    own = sys.modules[check.__module__]
    helpers = [
        each for _, each in inspect.getmembers(own, inspect.isfunction) if each.__module__ == own.__name__
    ]
    code = compile("lambda *given: helper(*given)", "", "eval").co_consts[0]
    for helper in helpers:
        for given in (helper, types.FunctionType(code, {"helper": helper})):
            result = check(given)  # the stub of a bug hunt is not attempted
            assert result.status == core.NOT_ATTEMPTED or "comes from `digitlib` itself" in result.message
