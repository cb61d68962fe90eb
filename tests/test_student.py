"""The student edition: no solution gets through, whatever its cell looks like, and the rest works."""

import random
import zipfile

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from digitlib import checks
from tests.guards import NAMES, notebook_with_exercises, read
from tools import student
from tools.exercises import answer, exercises, part_of
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


@pytest.mark.parametrize("kind", ["code", "markdown"])
@pytest.mark.parametrize("tags", ODD_TAGS.values(), ids=ODD_TAGS)
@pytest.mark.parametrize("source", ODD_SOURCES.values(), ids=ODD_SOURCES)
@pytest.mark.parametrize("keep_outputs", [False, True])
def test_nothing_of_an_odd_solution_survives(source, tags, kind, keep_outputs):
    edition = student.without_solutions(
        notebook_with(solution_cell(source, tags, 1, kind)), keep_outputs=keep_outputs
    )
    assert "secret" not in as_text(edition)
    assert [cell.id for cell in edition.cells] == ["title", "end"]
    nbformat.validate(edition)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_survives_of_solutions_in_any_order(seed):
    draw = random.Random(seed)
    cells = []
    for number in range(draw.randint(1, 12)):
        if draw.random() < 0.5:
            source, tags = draw.choice([*ODD_SOURCES.values()]), draw.choice([*ODD_TAGS.values()])
            cells.append(solution_cell(source, tags, number, draw.choice(["code", "markdown"])))
        else:
            cells.append(
                new_code_cell(
                    f"x = {number}", id=f"lesson-{number}", outputs=[new_output("stream", text="0")]
                )
            )
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
    assert len(whole.cells) - len(notebook.cells) == len(exercises(whole))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert {key for cell in notebook.cells for key in cell.metadata} <= {"tags", "mystnb"}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", ["01_imports", "02_load_dataset"])
def test_a_blank_notebook_runs_from_top_to_bottom(edition, name):
    student.run_blank(edition / "notebooks" / f"{name}.ipynb")  # the others: `make student`


def test_a_notebook_whose_check_would_tell_stops_the_build(edition, tmp_path):
    notebook = nbformat.read(edition / "notebooks" / "01_imports.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("imports", "descend-check")]
    notebook.cells[-1].source = "checks.descend(lambda *inputs: 1)"  # an answer, where the stub should stand
    (tmp_path / "told.ipynb").write_text(as_text(notebook))
    with pytest.raises(student.EditionError, match="Not attempted yet"):
        student.run_blank(tmp_path / "told.ipynb")


@pytest.mark.parametrize("name", NAMES)
def test_with_the_solutions_put_back_every_check_is_green(edition, name):
    """Put each solution cell after its stub in the edition, and run imports, stubs, solutions and checks."""
    blank = nbformat.read(edition / "notebooks" / f"{name}.ipynb", as_version=4)
    solutions = {cell.id: cell for cell in read(name).cells if part_of(cell) == "solution"}
    cells = []
    for cell in blank.cells:
        cells.append(cell)
        if part_of(cell) == "stub":
            cells.append(solutions[cell.id.replace("-stub", "-solution")])
    blank.cells = cells
    assert [each.id for each in exercises(blank)] == [each.id for each in exercises(read(name))]
    for each in exercises(blank, name):
        assert checks.CHECKS[each.id](answer(each, each.stub)).status == "not attempted"
        assert checks.CHECKS[each.id](answer(each, f"{each.stub}\n\n{each.solution}")).status == "passed"
