"""The scaffold of a new exercise is whole, in its places, and the tests ask for what it leaves to be written."""

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import textwrap

import nbformat
import pytest

from digitlib.checks import CHECKS
from digitlib.checks.engine import DECLARED, changes, made
from tests.test_exercises import folds_its_solutions, has_complete_exercises, has_hints
from tools.exercises import ROOT, exercises
from tools.new_exercise import main, scaffold, with_export
from tools.notebooks import NotebookError


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the repository, as far as exercises are concerned."""
    for folder in ("digitlib", "notebooks", "tools", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def run(copy, *command):
    return subprocess.run([sys.executable, "-m", *command], cwd=copy, capture_output=True, text=True)


def test_the_scaffold_is_whole_and_the_tests_ask_for_the_rest(copy):
    changed = scaffold("03", "count_pages", copy)
    assert len(changed) == 4 and all(path.is_relative_to(copy) for path in changed)
    notebook = nbformat.read(copy / "notebooks" / "03_preprocessing.ipynb", as_version=4)
    nbformat.validate(notebook)
    found = {each.id: each for each in exercises(notebook)}
    assert found["count_pages"].heading()["minutes"] == "5"
    assert not any("count_pages" in line for line in has_complete_exercises(notebook) + has_hints(notebook))
    assert folds_its_solutions(notebook) == []
    for path in changed[1:]:
        ast.parse(path.read_text())
    tests = run(copy, "pytest", "-v", "-p", "no:cacheprovider", "tests/test_checks.py", "-k", "count_pages")
    assert "FAILED tests/test_checks.py::test_a_wrong_answer_gets_its_hint[count_pages-TODO" in tests.stdout
    assert "PASSED" in tests.stdout and "ERROR" not in tests.stdout  # the machinery itself works
    style = run(copy, "ruff", "check", *map(str, changed[1:]))
    assert style.returncode == 0, style.stdout


@pytest.mark.parametrize("name", ["9x", "Has-Dashes", "class", "x"])
def test_a_name_that_cannot_be_an_id_is_refused(name):
    with pytest.raises(NotebookError, match="expected an id in small letters"):
        scaffold("01", name)


def test_a_name_that_is_taken_is_refused(capsys):
    taken = exercises(nbformat.read(ROOT / "notebooks" / "01_imports.ipynb", as_version=4))[0].id
    assert main(["01", taken]) == 1
    assert "expected an id that is free" in capsys.readouterr().err


def test_the_example_for_instructors_works(tmp_path):
    page = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
    source = textwrap.dedent(re.search(r"```python\n(.+?)```", page, re.S)[1])
    assert len(source.splitlines()) <= 25
    path = tmp_path / "example.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("example", path)
    example = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(example)
        declared = DECLARED["number_of_batches"]
        assert len(declared.wrong) == 3
        assert example.number_of_batches(lambda images, size: -(-images // size)).status == "passed"
        for hint, wrong in changes(declared):
            assert example.number_of_batches(made(declared.right, wrong)).message == hint
    finally:
        DECLARED.pop("number_of_batches", None), CHECKS.pop("number_of_batches", None)


def test_exports_stay_in_order():
    text = "from digitlib.checks.core import CHECKS\nfrom digitlib.checks.a import b\n"
    longer = with_export(text, "a", "aa")
    assert "from digitlib.checks.a import aa, b\n" in longer
    names = [f"quite_a_long_name_{number}" for number in range(6)]
    for name in names:
        longer = with_export(longer, "a", name)
    assert "import (\n    aa,\n    b,\n    quite_a_long_name_0,\n" in longer
    ast.parse(longer)
