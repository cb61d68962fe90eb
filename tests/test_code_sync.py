"""Where a notebook builds what the library holds, both are the same code.

A cell with the tag `lib:digitlib.module.name` defines that function or class of the library. Comments, docstrings,
annotations and layout may differ; nothing else may.
"""

import ast
import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


class Plain(ast.NodeTransformer):
    """Takes docstrings and annotations out of a tree."""

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.visit_ClassDef(node)

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        if node.value is None:
            return node  # `lr: float` alone declares a dataclass's field: that is more than an annotation
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno))


def plain(node: ast.AST) -> str:
    """Return a definition as text that shows only what makes a difference."""
    return ast.unparse(Plain().visit(node))


def library_definition(name: str) -> str | None:
    """Return the definition with a dotted name such as digitlib.training.fit; None where there is none."""
    module, _, name = name.rpartition(".")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return None
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    return next((plain(node) for node in body if isinstance(node, DEFINITIONS) and node.name == name), None)


def quotes(notebook) -> list[tuple]:
    """Return (cell, dotted name) for every cell with a lib: tag."""
    tagged = [(cell, tag) for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    return [(cell, tag.removeprefix("lib:")) for cell, tag in tagged if tag.startswith("lib:")]


def unfaithful_quotes(notebook) -> list[str]:
    """Return a complaint for every quote that differs from the library."""
    complaints = []
    for cell, name in quotes(notebook):
        library = library_definition(name)
        body = ast.parse(cell.source).body
        if library is None:
            complaints.append(f"cell {cell.id}: the library has no {name}")
        elif len(body) != 1 or not isinstance(body[0], DEFINITIONS):
            complaints.append(
                f"cell {cell.id}: expected one definition and nothing else in a cell that quotes {name}"
            )
        elif (quoted := plain(body[0])) != library:
            complaints.append(
                f"cell {cell.id} differs from {name}:\n{quoted}\n--- the library has:\n{library}"
            )
    return complaints


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_quotes_the_library_faithfully(path):
    assert unfaithful_quotes(nbformat.read(path, as_version=4)) == []


def test_the_library_is_quoted():
    assert any(quotes(nbformat.read(path, as_version=4)) for path in NOTEBOOKS)


def test_each_definition_is_built_in_one_place():
    names = [name for path in NOTEBOOKS for _, name in quotes(nbformat.read(path, as_version=4))]
    assert sorted(names) == sorted(set(names))


# ---- the guard itself -------------------------------------------------------------------------------------------

LIBRARY = '''
def mean(values: list[float], weights=None) -> float:
    """Return the mean.

    Taught in notebook 01.
    """
    total = 0.0
    for value in values:  # one by one
        total += value
    return total / len(values)


class Point:
    """A point."""

    x: int
    label: str = "none"

    def moved(self, by: int) -> "Point":
        """Return the point further on."""
        return Point(self.x + by)
'''
MEAN = """
def mean(values, weights=None):
    # In the lesson this comment says more.
    total = 0.0
    for value in values:
        total += value
    return (total / len(values))
"""
POINT = """
class Point:
    x: int
    label = "none"
    def moved(self, by): return Point(self.x + by)
"""


@pytest.fixture
def complaints_of(tmp_path, monkeypatch):
    (tmp_path / "made_up.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)

    def complaints_of(source, name="made_up.mean"):
        cell = new_code_cell(source, id="quote", metadata={"tags": ["lib:" + name]})
        return unfaithful_quotes(new_notebook(cells=[cell]))

    return complaints_of


def test_comments_docstrings_annotations_and_layout_may_differ(complaints_of):
    assert complaints_of(MEAN) == []
    assert complaints_of(POINT, "made_up.Point") == []
    assert complaints_of(LIBRARY.split("\n\n\n")[0]) == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("total / len", "total * len"),  # an operator
        ("total +=", "total -="),
        ("value", "number"),  # a name
        ("0.0", "0"),  # a constant
        ("weights=None", "weights=1"),  # a default
        ("weights=None", "*, weights=None"),  # how an argument is passed
        ("def mean", "def average"),
        (
            "    total = 0.0\n",
            '    "total = 0.0"\n    total = 0.0\n    print(total)\n',
        ),  # a further statement
        ("def mean", "@staticmethod\ndef mean"),
    ],
)
def test_anything_else_is_found(complaints_of, old, new):
    assert old in MEAN
    (complaint,) = complaints_of(MEAN.replace(old, new))
    assert "differs from made_up.mean" in complaint


def test_a_lost_field_is_found(complaints_of):
    assert "differs" in complaints_of(POINT.replace("x: int", "pass"), "made_up.Point")[0]


@pytest.mark.parametrize("name", ["made_up.median", "made_up.mean.median", "no_such_module.mean", "mean"])
def test_an_unknown_name_is_found(complaints_of, name):
    assert f"the library has no {name}" in complaints_of(MEAN, name)[0]


@pytest.mark.parametrize(
    "source", [MEAN + "print(mean([1, 2]))", MEAN + POINT, "mean = sum", "", "import math\n" + MEAN]
)
def test_a_quote_beside_other_code_is_found(complaints_of, source):
    assert "expected one definition" in complaints_of(source)[0]
