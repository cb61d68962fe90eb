"""Imports run one way, and importing digitlib does no work."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "digitlib"

# Which modules of digitlib each module may import; whoever adds a module says here where it stands.
ALLOWED = {
    "data": set(),
    "models": set(),
    "evaluation": set(),
    "training": {"evaluation"},
    "recipes": {"data", "models", "training"},
    "checkpoints": {"models", "recipes", "training"},
    "distributed": {"data", "evaluation", "recipes", "training"},
    "predict": {"data", "evaluation"},
    "plotting": set(),
    "widgets": {"data", "evaluation", "predict"},
    "__main__": {
        "checkpoints",
        "data",
        "distributed",
        "evaluation",
        "models",
        "plotting",
        "predict",
        "recipes",
        "training",
    },
    "__init__": {"checkpoints", "data", "evaluation", "models", "recipes", "training"},
}

MODULES = sorted(path.stem for path in LIBRARY.glob("*.py"))

# Prints what importing digitlib did beyond importing torch: modules, seconds, changed random state or threads.
IMPORT_AND_LOOK = """
import time, torch
state, threads = torch.random.get_rng_state(), torch.get_num_threads()
start = time.perf_counter()
import digitlib
print(time.perf_counter() - start)
import sys
print(",".join(name for name in ("torchvision", "matplotlib", "seaborn", "pandas", "skimage") if name in sys.modules))
print(torch.equal(state, torch.random.get_rng_state()), threads == torch.get_num_threads())
"""


def imported_modules(source: str) -> set[str]:
    """Return the modules of digitlib that a source text imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.add("a relative import")
        elif isinstance(node, ast.ImportFrom) and node.module == "digitlib":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("digitlib."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("digitlib.")}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    assert module in ALLOWED, f"say in this table what {module} may import"
    assert imported_modules((LIBRARY / f"{module}.py").read_text()) <= ALLOWED[module]


def test_the_table_names_no_module_that_is_gone():
    assert set(ALLOWED) == set(MODULES)


@pytest.mark.parametrize(
    "source",
    [
        "from digitlib.plotting import gallery",
        "from digitlib import plotting",
        "import digitlib.plotting",
        "def f():\n    from digitlib.plotting import gallery",
    ],
)
def test_every_way_to_import_is_seen(source):
    assert imported_modules(source) == {"plotting"}


def test_relative_imports_are_seen():
    assert imported_modules("from .plotting import gallery") == {"a relative import"}


def test_no_star_imports():
    for path in LIBRARY.glob("*.py"):
        names = [
            a.name
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.ImportFrom)
            for a in n.names
        ]
        assert "*" not in names, path.name


def test_importing_digitlib_does_no_work():
    seconds, heavy = [], ""
    for _ in range(3):  # the fastest of three: a busy machine is no fault of the import
        run = subprocess.run(
            [sys.executable, "-c", IMPORT_AND_LOOK], capture_output=True, text=True, check=True
        )
        lines = run.stdout.split("\n")
        seconds.append(float(lines[0]))
        heavy = lines[1]
        assert lines[2] == "True True"
        assert run.stderr == ""
    assert heavy == "", "heavy packages are imported where they are used"
    assert min(seconds) <= 0.2
