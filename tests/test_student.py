"""The student edition: no solution gets through, whatever its cell looks like, and the rest works."""

import itertools
import json
import random
import subprocess
import sys
import zipfile

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from digitlib import checks
from tests.guards import NAMES, notebook_with_exercises, read
from tools import assignment, notebooks, student
from tools.exercises import answer, exercises, part_of
from tools.exercises import read as tools_read
from tools.notebooks import as_text, normalise

SECRET = "the_secret_answer = images.flip(3)"
ODD_SOURCES = {
    "plain": SECRET,
    "indented": f"    if True:\n        {SECRET}\n",
    "nested": f"class A:\n    def b(self):\n        def c(images):\n            {SECRET}\n        return c",
    "tabs": f"if True:\n\t\t{SECRET.replace(' = ', chr(9) + '=' + chr(9))}",
    "blank lines": f"\n\n\n{SECRET}\n\n\n",
    "windows": f"x = 1\r\n{SECRET}\r\n",
    "a string": f'"""\n{SECRET}\n"""',
    "magic": f"%%time\n{SECRET}",
    "marks of nbgrader": f"### BEGIN SOLUTION\n{SECRET}\n### END SOLUTION",
}
ODD_TAGS = {
    "solution": ["solution"],
    "hidden": ["hide-cell", "solution"],
    "capitals": ["Solution"],
    "spaces": [" solution "],
    "both": ["exercise", "solution"],
    "none, but the id": [],
}


def solution_cell(source: str, tags: list[str], number: int, kind: str = "code"):
    """Return a solution with everything that could carry it elsewhere: outputs, metadata, an attachment."""
    if kind == "markdown":
        cell = new_markdown_cell(source, id=f"odd{number}-solution")
        cell.attachments = {"answer.png": {"image/png": SECRET}}
    else:
        cell = new_code_cell(source, id=f"odd{number}-solution", execution_count=7)
        cell.outputs = [
            new_output("stream", text=SECRET),
            new_output(
                "execute_result", data={"text/plain": SECRET, "text/html": SECRET}, metadata={"a": SECRET}
            ),
        ]
    cell.metadata = {"tags": tags, "answer": SECRET, "mystnb": {"image": {"alt": SECRET}}}
    return nbformat.from_dict(cell)


def notebook_with(*cells):
    notebook = new_notebook(
        cells=[new_markdown_cell("# Title", id="title"), *cells, new_code_cell("1 + 1", id="end")]
    )
    notebook.metadata = {"widgets": {"state": SECRET}, "answers": SECRET, "kernelspec": {"name": SECRET}}
    return nbformat.from_dict(notebook)


def test_nothing_of_an_odd_solution_survives():
    odd = itertools.product(ODD_SOURCES.values(), ODD_TAGS.values(), ["code", "markdown"], [False, True])
    for source, tags, kind, keep_outputs in odd:
        notebook = notebook_with(solution_cell(source, tags, 1, kind))
        edition = student.without_solutions(notebook, keep_outputs=keep_outputs)
        assert "secret" not in as_text(edition), (source, tags, kind)
        assert [cell.id for cell in edition.cells] == ["title", "end"]
        nbformat.validate(edition)


def test_nothing_survives_of_solutions_in_any_order():
    draw, cells = random.Random(0), []
    for number in range(200):
        if draw.random() < 0.5:
            source, tags = draw.choice([*ODD_SOURCES.values()]), draw.choice([*ODD_TAGS.values()])
            cells.append(solution_cell(source, tags, number, draw.choice(["code", "markdown"])))
        else:
            output = new_output("stream", text="0")
            cells.append(new_code_cell(f"x = {number}", id=f"lesson-{number}", outputs=[output]))
    edition = student.without_solutions(notebook_with(*cells))
    assert "secret" not in as_text(edition)
    assert [cell.source for cell in edition.cells[1:-1]] == [
        cell.source for cell in cells if "lesson" in cell.id
    ]
    assert not any(cell.get("outputs") for cell in edition.cells)


def test_a_renamed_solution_is_known_by_its_tag_and_an_untagged_one_by_its_id():
    renamed, untagged = solution_cell(SECRET, ["solution"], 1), solution_cell(SECRET, [], 2)
    renamed.id = "something-else"
    assert student.is_solution(renamed) and student.is_solution(untagged)
    assert not student.is_solution(new_code_cell("x = 1", id="resolution"))


def test_a_check_says_nothing_of_the_solution_even_where_outputs_are_kept():
    notebook = notebook_with_exercises()
    edition = student.without_solutions(notebook, keep_outputs=True)
    assert any(cell.outputs for cell in notebook.cells if part_of(cell) == "check")
    assert not any(cell.outputs for cell in edition.cells if part_of(cell) == "check")


# ---- the guard that reads the finished edition -----------------------------------------------------------------


def test_a_line_of_a_solution_in_the_lesson_is_found(tmp_path):
    notebook = notebook_with_exercises()
    secrets = student.secret_lines(notebook)
    assert "return torch.tensor(images).sum(dim=0)" in secrets
    assert not any(line.startswith("def ") for line in secrets)  # the stub has that line as well
    (tmp_path / "clean.ipynb").write_text(as_text(student.without_solutions(notebook)))
    assert student.leaks(tmp_path, secrets) == []
    leaky = student.without_solutions(notebook)
    leaky.cells[0].source += "\n\n`return  torch.tensor(images).sum(dim=0)`"
    (tmp_path / "leaky.ipynb").write_text(as_text(leaky))
    (tmp_path / "notes.txt").write_text("def f():\n    return torch.tensor(images).sum(dim=0)\n")
    found = student.leaks(tmp_path, secrets)
    assert [line.split(" holds ")[0] for line in found] == ["leaky.ipynb", "notes.txt"]


def test_quotes_and_backslashes_do_not_hide_a_line(tmp_path):
    line = r'label = "a\tb" + "\\"'
    leaky = normalise(new_notebook(cells=[new_code_cell(f"# Title\n{line}", id="x")]))
    (tmp_path / "leaky.ipynb").write_text(as_text(leaky))
    assert student.leaks(tmp_path, {line})


def test_the_book_without_solutions_is_built_from_no_line_of_them(tmp_path):
    student.copy_book(tmp_path / "book")
    secrets = set().union(*[student.secret_lines(read(name)) for name in NAMES])
    assert student.leaks(tmp_path / "book" / "notebooks", secrets) == []
    assert any(
        cell.get("outputs") for cell in nbformat.read(tmp_path / "book/notebooks/01_imports.ipynb", 4).cells
    )


# ---- where it writes, what it packs, and what it cannot read ------------------------------------------------------


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_no_folder_is_emptied_that_the_tool_has_not_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(student, "own_notebooks", lambda: [])
    monkeypatch.setattr(student, "BOOK_SOURCES", ["LICENSE"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    for name in (".", "..", "../mine", "../link", "thesis.txt", str(student.ROOT)):
        assert student.main(["--book", name]) == 1
        assert "expected an empty folder, or one of this tool's" in capsys.readouterr().err
        assert files_in(tmp_path) == ["mine/thesis.txt"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "own").symlink_to(tmp_path / "empty")
    for name in ("empty", "own", "a/new one"):
        for _ in range(2):  # the second time it has to be emptied
            assert student.main(["--book", str(tmp_path / name)]) == 0
            assert {"LICENSE", student.MARK} <= set(files_in(tmp_path / name))
            (tmp_path / name / "_build").mkdir()
            (tmp_path / name / "_build" / "page.html").touch()
    (tmp_path / "empty" / ".git").mkdir()
    assert student.main(["--book", str(tmp_path / "empty")]) == 1


@pytest.fixture
def small_repository(tmp_path, monkeypatch):
    """Stand in for the repository: two files of it, and what lies beside them."""
    root = tmp_path / "repository"
    tracked = ["LICENSE", "digitlib/models.py", "data/images.gz", "notebooks/01_imports.ipynb"]
    beside = [
        "digitlib/answers.txt",
        "digitlib/__pycache__/models.pyc",
        "data/.secret.md",
        "data/images-ubyte",
    ]
    for name in tracked + beside:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    monkeypatch.setattr(student, "ROOT", root)
    return root, tracked


def test_only_the_repository_s_files_are_packed(small_repository, tmp_path):
    root, tracked = small_repository
    names = ["digitlib", "data", "LICENSE", "notebooks"]

    def found():
        return [path.relative_to(root).as_posix() for path in student._files(names)]

    assert found() == sorted(tracked), "a copy without git"
    for command in (["init", "-q"], ["add", "--", *tracked]):
        subprocess.run(["git", *command], cwd=root, check=True)
    (root / "digitlib" / "answers.py").touch()  # of a kind that is packed, but nobody's commit
    (root / "notebooks" / "12_exam.ipynb").touch()
    assert found() == sorted(tracked)
    assert [path.name for path in student.own_notebooks()] == ["01_imports.ipynb"]
    (root / "data" / "answers.md").symlink_to(tmp_path / "outside.md")
    (tmp_path / "outside.md").touch()
    with pytest.raises(student.EditionError, match="data/answers.md: expected a file of the repository"):
        student._copy([root / "data" / "answers.md"], tmp_path / "copy")


def as_file(change=lambda content: None, encoding="utf-8"):
    """Return the bytes of an honest notebook's file after a change of its JSON."""
    content = json.loads(as_text(notebook_with_exercises()))
    change(content)
    return json.dumps(content).encode(encoding)


def without_ids(content):
    content["nbformat_minor"] = 4
    for cell in content["cells"]:
        del cell["id"]


def link_outside(content):
    content["cells"][0]["source"] = f"# 1. A title\n\nSee [this]({sys.executable})."


STRANGE = {
    "cells without ids": (as_file(without_ids), "expected cells with ids"),
    "one cell without an id": (
        as_file(lambda content: content["cells"][2].pop("id")),
        "MissingIDFieldWarning",
    ),
    "no notebook": (b"# 1. A title", "NotJSONError"),
    "another JSON": (b"[]", ""),
    "nothing": (b"", "NotJSONError"),
    "another encoding": (as_file(encoding="utf-16"), "UnicodeDecodeError"),
    "no cells": (as_file(lambda content: content.pop("cells")), ""),
    "tags that are none": (
        as_file(lambda content: content["cells"][2]["metadata"].update(tags=None)),
        "tags",
    ),
    "a link out of the repository": (as_file(link_outside), "expected links to files of the repository"),
    "a prompt without a level": (
        as_file(lambda content: content["cells"][4].update(source="### Exercise: a title")),
        "expected the prompt of first to begin with",
    ),
}


def test_a_link_that_no_system_takes_leads_nowhere():
    assert student._links(f"[a]({'b' * 5000}) and [b](README.md)", student.ROOT) == [
        student.ROOT / "README.md"
    ]


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_notebook_is_named_in_one_line(name, tmp_path, monkeypatch, capsys):
    content, words = STRANGE[name]
    path = tmp_path / "strange.ipynb"
    path.write_bytes(content)
    monkeypatch.setattr(student, "own_notebooks", lambda: [path])
    monkeypatch.setattr(student, "CONTENTS", [])
    monkeypatch.setattr(student, "EDITION", tmp_path / "edition")
    monkeypatch.setattr(student, "ARCHIVE", student.ROOT / "dist" / "never.zip")
    if "level" in name:
        code = assignment.main([str(path), "--course", str(tmp_path)])
    elif "link" in name:
        code = student.main(["--no-run"])
    else:
        code = max(student.main(["--no-run"]), student.main(["--book", str(tmp_path / "book")]))
        assert assignment.main([str(path), "--course", str(tmp_path)]) == notebooks.main([str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert code == 1 and lines
    assert all(line.startswith("tools/") and "strange.ipynb: " in line and words in line for line in lines)


def test_a_mark_of_the_byte_order_is_passed_over(tmp_path):
    (tmp_path / "marked.ipynb").write_bytes(as_file(encoding="utf-8-sig"))
    assert exercises(tools_read(tmp_path / "marked.ipynb")) == exercises(notebook_with_exercises())


# ---- the eleven ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("student") / "edition"
    student.build(folder)
    return folder


def test_the_zip_holds_every_notebook_and_no_line_of_a_solution(edition, tmp_path):
    archive = tmp_path / "student.zip"
    student.pack(edition, archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / "digitlib-student"
    assert [path.stem for path in sorted((folder / "notebooks").iterdir())] == NAMES
    secrets = set().union(*[student.secret_lines(read(name)) for name in NAMES])
    assert len(secrets) > 60
    assert student.leaks(folder, secrets) == []
    for part in ("digitlib/checks/core.py", "data/MNIST/raw/train-images-idx3-ubyte.gz", "README.md"):
        assert (folder / part).is_file()


def test_the_zip_is_the_same_bytes_each_time(edition, tmp_path):
    student.pack(edition, tmp_path / "one.zip")
    student.pack(edition, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_of_the_edition_is_valid_and_bare(edition, name):
    notebook = nbformat.read(edition / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    whole = read(name)
    assert notebook.cells[0].id == "first"
    assert len(whole.cells) - len(notebook.cells[1:]) == len(exercises(whole))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert {key for cell in notebook.cells for key in cell.metadata} <= {"tags", "mystnb"}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_a_blank_notebook_runs_from_top_to_bottom(edition):
    student.run_blank(edition / "notebooks" / "01_imports.ipynb")  # the others: `make student`


def test_a_notebook_whose_check_would_tell_stops_the_build(edition, tmp_path):
    notebook = nbformat.read(edition / "notebooks" / "01_imports.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("imports", "descend-check")]
    notebook.cells[-1].source = "checks.descend(lambda *inputs: 1)"  # an answer, where the stub should stand
    (tmp_path / "told.ipynb").write_text(as_text(notebook))
    with pytest.raises(student.EditionError, match="Not attempted yet"):
        student.run_blank(tmp_path / "told.ipynb")


@pytest.mark.parametrize("name", NAMES)
def test_with_the_solutions_put_back_every_check_is_green(edition, name):
    """Put each solution back behind its hints in the edition; with it in place of the stub its check passes."""
    blank = nbformat.read(edition / "notebooks" / f"{name}.ipynb", as_version=4)
    solutions = {cell.id: cell for cell in read(name).cells if part_of(cell) == "solution"}
    cells = []
    for cell in blank.cells:
        cells.append(cell)
        if part_of(cell) == "hints":
            cells.append(solutions[cell.id.replace("-hints", "-solution")])
    blank.cells = cells
    assert [each.id for each in exercises(blank)] == [each.id for each in exercises(read(name))]
    for each in exercises(blank, name):
        assert checks.CHECKS[each.id](answer(each, each.stub)).status == "not attempted"
        assert checks.CHECKS[each.id](answer(each, f"{each.stub}\n\n{each.solution}")).status == "passed"
