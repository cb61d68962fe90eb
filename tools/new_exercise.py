"""Scaffold an exercise: the five cells in a notebook, its declaration and its rows in the table of answers.

Example:
    python -m tools.new_exercise 07 count_batches

The cells go before the notebook's summary; move them to the section they belong to. Everything that is left for you
to write says TODO, and `make test` fails until it is written.
"""

import argparse
import keyword
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from digitlib.checks import CHECKS
from tools.exercises import ROOT, SOLUTION, exercises
from tools.notebooks import NotebookError, as_text, find

PROMPT = """\
### Exercise: TODO title (5 minutes)

*Objective 1, easy.* Write `{name}(TODO)`: TODO what it takes and returns, with shapes and dtypes."""
STUB = '''\
def {name}(images):
    """TODO: say what it returns."""
    ...'''
SOLVED = """\
def {name}(images):
    return images  # TODO"""
HINTS = """\
<details><summary>Hint 1</summary>

TODO: what to look at.

</details>

<details><summary>Hint 2</summary>

TODO: what to use.

</details>"""
CHECK = """

def _{name}_given():
    yield "TODO: five images", (torch.rand(5, 1, 28, 28),)


def _{name}_right(images):
    return images + 0  # TODO: in other words than in the notebook


{name} = exercise(
    "{name}",
    passed="TODO: one thing to remember.",
    given=_{name}_given,
    right=_{name}_right,
    returns="TODO: float32 (N, 1, 28, 28)",
    wrong={{
        "TODO: the hint for the first misconception.": ("+ 0", "+ 1"),
        "TODO: the hint for the second misconception.": ("+ 0", "- images"),
        "TODO: the hint for the third misconception.": ("+ 0", "+ 2"),
    }},
)
"""
ROW = """\
    "{name}": Answers(
        right={{"TODO: another way": lambda images: images}},
        wrong={{"TODO: what no misconception is": (lambda images: 3 * images, "TODO: words of its hint")}},
    ),
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("notebook", metavar="NOTEBOOK", help="a number such as 07")
    parser.add_argument(
        "name", metavar="ID", help="the exercise's id and its function's name, such as count_batches"
    )
    options = parser.parse_args(arguments)
    try:
        for path in scaffold(options.notebook, options.name):
            print(f"changed {path.relative_to(ROOT)}")
    except NotebookError as error:
        print(f"tools/new_exercise.py: {error}", file=sys.stderr)
        return 1
    return 0


def scaffold(number: str, name: str, root: Path = ROOT) -> list[Path]:
    """Write the scaffold into the files below root; return the four files that changed.

    Raises:
        NotebookError: the name is none for a function or is taken, or there is no such notebook.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]+", name) or keyword.iskeyword(name):
        raise NotebookError(
            f"expected an id in small letters, digits and _, such as count_batches, got {name!r}"
        )
    if name in CHECKS:
        raise NotebookError(
            f"expected an id that is free, got {name!r}, which notebook {CHECKS[name].__module__} has"
        )
    path = root / find([number])[0].relative_to(ROOT)
    notebook = nbformat.read(path, as_version=4)
    module = check_module(notebook)
    paths = {
        "notebook": path,
        "check": root / "digitlib" / "checks" / f"{module}.py",
        "exports": root / "digitlib" / "checks" / "__init__.py",
        "table": root / "tests" / "exercises" / f"{module}.py",
    }
    if "from digitlib.checks.engine import " not in paths["check"].read_text(encoding="utf-8"):
        raise NotebookError(
            f"expected digitlib/checks/{module}.py to import exercise from digitlib.checks.engine"
        )
    exports = paths["exports"].read_text(encoding="utf-8")
    if f"from digitlib.checks.{module} import " not in exports:
        raise NotebookError(
            f"expected digitlib/checks/__init__.py to import from {module}, found no such line"
        )
    position = next(
        (i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## Summary")), None
    )
    notebook.cells[position:position] = five_cells(name)
    path.write_text(as_text(notebook), encoding="utf-8", newline="\n")
    with paths["check"].open("a", encoding="utf-8") as file:
        file.write(CHECK.format(name=name))
    paths["exports"].write_text(with_export(exports, module, name), encoding="utf-8")
    table = paths["table"].read_text(encoding="utf-8").rstrip()
    rows, end = re.fullmatch(r"(.+\n)(\}.*)", table, re.DOTALL).groups()  # the table ends the file
    paths["table"].write_text(f"{rows}{ROW.format(name=name)}{end}\n", encoding="utf-8")
    return list(paths.values())


def check_module(notebook: NotebookNode) -> str:
    """Return the module of digitlib.checks that a notebook's exercises are checked in."""
    modules = {
        CHECKS[each.id].__module__.rpartition(".")[2] for each in exercises(notebook) if each.id in CHECKS
    }
    if len(modules) != 1:
        raise NotebookError(
            f"expected the notebook's checks in one module of digitlib.checks, found {sorted(modules)}"
        )
    return modules.pop()


def five_cells(name: str) -> list[NotebookNode]:
    """Return the five cells of a new exercise."""
    stub = new_code_cell(STUB.format(name=name), id=f"{name}-stub", metadata={"tags": ["exercise"]})
    check = new_code_cell(f"checks.{name}({name})", id=f"{name}-check", metadata={"tags": ["check"]})
    prompt = new_markdown_cell(PROMPT.format(name=name), id=f"{name}-prompt")
    solution = new_markdown_cell(SOLUTION.format(SOLVED.format(name=name)), id=f"{name}-solution")
    return [prompt, stub, check, new_markdown_cell(HINTS, id=f"{name}-hints"), solution]


def with_export(text: str, module: str, name: str) -> str:
    """Return the text of digitlib/checks/__init__.py with one more name imported, in order."""

    def longer(match: re.Match) -> str:
        names = sorted({*re.findall(r"\w+", match[1]), name})
        line = f"from digitlib.checks.{module} import {', '.join(names)}\n"
        if len(line) <= 110:
            return line
        return (
            f"from digitlib.checks.{module} import (\n" + "".join(f"    {each},\n" for each in names) + ")\n"
        )

    return re.sub(rf"from digitlib\.checks\.{module} import (\([^)]*\)|[^\n(]+)\n", longer, text)


if __name__ == "__main__":
    sys.exit(main())
