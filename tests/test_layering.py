"""Imports run one way, and importing digitlib changes nothing about the process."""

import ast
import graphlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import digitlib

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "digitlib"

# Which modules of digitlib each module may import; whoever adds a module says here where it stands.
ALLOWED = {
    "storage": set(),
    "data": {"storage"},
    "models": {"data"},
    "evaluation": set(),
    "training": {"evaluation"},
    "recipes": {"data", "models", "training"},
    "checkpoints": {"recipes", "storage", "training"},
    "distributed": {"data", "evaluation", "recipes", "training"},
    "pictures": set(),
    "predict": {"data", "evaluation", "pictures"},
    "plotting": set(),
    "widgets": {"data", "predict"},
    "__main__": {
        "checkpoints",
        "data",
        "distributed",
        "evaluation",
        "models",
        "predict",
        "recipes",
        "training",
    },
    "__init__": {"checkpoints", "data", "evaluation", "models", "recipes", "training"},
}


def imported_names(source: str) -> set[str]:
    """Return what a source text imports, at the top or inside functions, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def imports_within(folder: Path) -> dict[str, set[str]]:
    """Return, for each file of a package, which names of its own package it imports: the modules', mostly."""
    prefix = f"{folder.name}."
    return {
        path.stem: {
            name.split(".")[1]
            for name in imported_names(path.read_text(encoding="utf-8"))
            if name.startswith(prefix)
        }
        for path in folder.glob("*.py")
    }


def test_the_library_s_imports_run_one_way():
    found = imports_within(LIBRARY)
    assert set(found) == set(ALLOWED), "say in the table what a new module may import"
    assert {name: used - ALLOWED[name] for name, used in found.items() if used - ALLOWED[name]} == {}


def test_no_import_is_relative_and_none_takes_all_and_none_is_of_ctypes():
    for path in [*LIBRARY.glob("*.py"), *(ROOT / "tools").glob("*.py")]:
        names = imported_names(path.read_text(encoding="utf-8"))
        wrong = {name for name in names if name[0] == "." or name.endswith(".*") or name.startswith("ctypes")}
        assert wrong == set(), path.name


@pytest.mark.parametrize("package", ["digitlib", "tools"])
def test_no_imports_go_round_in_a_circle(package):
    graphlib.TopologicalSorter(imports_within(ROOT / package)).prepare()


def test_a_circle_is_found_also_where_a_function_closes_it(tmp_path):
    package = tmp_path / "made_up"
    package.mkdir()
    for name, source in (
        ("first", "from made_up import second"),
        ("second", "import made_up.third as t"),
        ("third", "def late():\n    from made_up.first import anything"),
    ):
        (package / f"{name}.py").write_text(source)
    with pytest.raises(graphlib.CycleError) as error:
        graphlib.TopologicalSorter(imports_within(package)).prepare()
    assert set(error.value.args[1]) == {"first", "second", "third"}
    (package / "third.py").write_text("from made_up import *\nfrom . import first\nimport ctypes.util")
    assert imported_names((package / "third.py").read_text()) == {"made_up.*", "..first", "ctypes.util"}


# --- what `import digitlib` does

# In a fresh interpreter: imports the modules named, after all that they import from elsewhere, so that only their own
# effects count. Prints {module: what its import changed}.
LOOK = r"""
import _thread, ast, importlib, importlib.util, json, os, random, signal, sys, threading

ACTS = {
    "sys.addaudithook": "an audit hook",
    "ctypes.dlopen": "a library's function, such as the allocator's",
    "ctypes.dlsym": "a library's function, such as the allocator's",
    "subprocess.Popen": "a process",
    "os.fork": "a process",
    "socket.connect": "a connection",
}
acts = set()
sys.addaudithook(lambda event, arguments: acts.add(ACTS[event]) if event in ACTS else None)

def noted(start):  # not all versions of Python audit threads
    def start_noted(*arguments, **options):
        acts.add("a thread")
        return start(*arguments, **options)
    return start_noted

threading.Thread.start = noted(threading.Thread.start)
_thread.start_new_thread = noted(_thread.start_new_thread)

def state():
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    return {
        "the environment": dict(os.environ),
        "the cores": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "a signal's handler": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "Python's random numbers": random.getstate(),
        "numpy's random numbers": numpy and repr(numpy.random.get_state()),
        "torch's random numbers": torch and torch.get_rng_state().tolist(),
        "the number of threads": torch and torch.get_num_threads(),
    }

def effects(module):
    before = state()
    acts.clear()
    importlib.import_module(module)
    after = state()
    return sorted(acts | {name for name in before if before[name] != after[name]})

def import_from_elsewhere(module):
    with open(importlib.util.find_spec(module).origin, encoding="utf-8") as file:
        body = ast.parse(file.read()).body
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                if name.split(".")[0] not in ("digitlib", "made_up"):
                    importlib.import_module(name)

found = {"digitlib": effects("digitlib")}
loaded = {"digitlib": sorted(sys.modules)}
import numpy, torch
for module in sys.argv[1:]:
    import_from_elsewhere(module)
for module in sys.argv[1:]:
    found[module] = effects(module)
print(json.dumps([found, loaded["digitlib"]]))
"""

# What each made-up module does, and what is then said of it.
MADE_UP = {
    "threads": ("import threading; threading.Thread(target=int).start()", "a thread"),
    "hooks": ("import sys; sys.addaudithook(lambda event, arguments: None)", "an audit hook"),
    "allocates": ("import ctypes; ctypes.CDLL(None)", "a library's function, such as the allocator's"),
    "starts": ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", "a process"),
    "says": ("import os; os.environ['OMP_WAIT_POLICY'] = 'said'", "the environment"),
    "handles": ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "a signal's handler"),
    "draws": ("import random; random.random()", "Python's random numbers"),
    "samples": ("import numpy; numpy.random.rand()", "numpy's random numbers"),
    "seeds": ("import torch; torch.manual_seed(7)", "torch's random numbers"),
    "counts": ("import torch; torch.set_num_threads(torch.get_num_threads() + 1)", "the number of threads"),
}
if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
    MADE_UP["moves"] = ("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})", "the cores")


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """Import every module of digitlib, then the made-up ones, in a process of their own; return what LOOK prints."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "made_up").mkdir()
    for name, (source, _) in MADE_UP.items():
        (folder / f"made_up/{name}.py").write_text(source)
    files = sorted(path.relative_to(ROOT).with_suffix("") for path in LIBRARY.rglob("*.py"))
    modules = [".".join(path.parts).removesuffix(".__init__") for path in files]
    path = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", LOOK, *modules, *(f"made_up.{name}" for name in MADE_UP)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def test_importing_digitlib_changes_nothing(looked):
    found, _ = looked
    library = {module: changed for module, changed in found.items() if module.startswith("digitlib")}
    assert {"digitlib", "digitlib.__main__", "digitlib.predict", "digitlib.checks.core"} <= set(library)
    assert {module: changed for module, changed in library.items() if changed} == {}


def test_whatever_an_import_changes_is_noticed(looked):
    found, _ = looked
    assert {name: found[f"made_up.{name}"] for name in MADE_UP} == {
        name: [said] for name, (_, said) in MADE_UP.items()
    }


def test_importing_digitlib_alone_imports_not_even_torch(looked):
    _, loaded = looked
    assert [name for name in loaded if name.startswith("digitlib")] == ["digitlib"]
    assert not {"torch", "numpy"} & set(loaded)


def test_the_names_of_the_package_come_from_their_modules_when_they_are_asked_for():
    code = (
        "from digitlib import *\n"
        "import digitlib, sys\n"
        "print(load_part is digitlib.load_part is sys.modules['digitlib.data'].load_part)\n"
        "print(*sys.modules)\n"
        "from digitlib import checks, predict, recipes\n"
        "print(checks.__name__, predict.__name__, recipes.__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    same, loaded, modules = run.stdout.splitlines()
    assert same == "True"
    assert modules == "digitlib.checks digitlib.predict digitlib.recipes"
    heavy = {"torchvision", "matplotlib", "seaborn", "pandas", "skimage"}
    assert heavy & set(loaded.split()) == set(), "heavy packages are imported where they are used"
    assert set(digitlib.__all__) <= set(dir(digitlib))
    with pytest.raises(AttributeError, match="module 'digitlib' has no attribute 'tuning'"):
        _ = digitlib.tuning
