"""What is meant to be read in one sitting stays that small; the bars are those that the project has set itself."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = 50  # lines of a function, a method or a class: one screen


def too_long(source: str) -> list[str]:
    """Return the functions and classes of more than LONGEST lines, decorators aside, with how many they have."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    lines = {
        node: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, kinds)
    }
    return [f"{node.name}: {count}" for node, count in lines.items() if count > LONGEST]


def num_lines(*paths: Path) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def test_no_definition_is_longer_than_a_screen():
    paths = [path for folder in ("digitlib", "tools", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 40
    found = {path.name: too_long(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: definitions for name, definitions in found.items() if definitions} == {}


def test_a_definition_that_is_longer_is_found():
    body = "\n".join(["        x = 1"] * 49)
    assert too_long(f"class A:\n    def f():\n{body}") == ["A: 51"]  # f has the 50 lines that are allowed
    assert too_long(f"def g():\n    async def f():\n{body}\n        x = 1") == ["g: 52", "f: 51"]


def test_the_library_and_the_tools_are_small():
    assert num_lines(*(ROOT / "digitlib").glob("*.py")) <= 2700
    assert max(num_lines(ROOT / f"digitlib/{name}.py") for name in ("pictures", "predict")) <= 250
    assert num_lines(ROOT / "digitlib/distributed.py") <= 130
    assert num_lines(*(ROOT / "digitlib/checks").glob("*.py")) <= 3000
    assert num_lines(*(ROOT / "tests/exercises").glob("*.py")) <= 1500
    assert {path.name for path in (ROOT / "tools").glob("*.py") if num_lines(path) > 350} == set()
