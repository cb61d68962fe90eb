"""Slides hold a notebook's cells and no answer; the page of solutions holds every answer."""

import re

import pytest

from tests.guards import NAMES, notebook_with_exercises, read
from tools import slides, solutions
from tools.exercises import all_exercises, part_of
from tools.student import leaks, secret_lines


@pytest.mark.parametrize("name", NAMES)
def test_slides_hold_every_lesson_cell_and_no_answer(name):
    notebook, made = read(name), slides.slides(read(name))
    secrets, text = secret_lines(notebook), " ".join(" ".join(cell.source.split()) for cell in made.cells)
    assert [secret for secret in secrets if secret in text] == []
    assert not [cell.id for cell in made.cells if part_of(cell) in slides.LEFT_OUT]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code" and part_of(cell) is None]
    assert set(code) <= {cell.source for cell in made.cells}
    kinds = [cell.metadata.slideshow.slide_type for cell in made.cells]
    assert kinds[0] == "slide" and set(kinds) == {"slide", "subslide", "fragment", "-"}
    sections = sum(len(re.findall(r"^## ", cell.source, re.MULTILINE)) for cell in notebook.cells)
    assert kinds.count("slide") >= sections


def test_an_output_comes_after_its_code_with_the_next_key():
    notebook = notebook_with_exercises()
    cell = next(cell for cell in notebook.cells if cell.id == "lesson")
    cell.outputs = [slides.NotebookNode(output_type="stream", name="stdout", text="3")]
    made = {cell.id: cell for cell in slides.slides(notebook).cells}
    assert made["lesson"].outputs == []
    assert made["lesson-output"].outputs[0].text == "3"
    assert made["lesson-output"].metadata.slideshow.slide_type == "fragment"


def test_the_page_needs_nothing_from_another_server(tmp_path):
    page = slides.write(slides.find(["1"])[0], tmp_path)
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']https?://(?![^"']*(doi|arxiv))[^"']+\.(js|css)""", text)
    assert 'src="reveal/dist/reveal.js"' in text and 'href="reveal/dist/reveal.css"' in text
    assert "No description has been provided" not in text  # every picture has its alt text
    assert leaks(tmp_path, secret_lines(read("01_imports"))) == []


def test_links_to_the_book_become_words():
    text = "a [term](../book/glossary.md#term), [a page](https://example.org), ![picture](a.png)"
    assert slides.without_links(text) == "a term, [a page](https://example.org), ![picture](a.png)"


def test_without_npm_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(slides.shutil, "which", lambda *_, **__: str(tmp_path / "no-npm"))
    with pytest.raises(slides.NotebookError, match="expected npm and a network, to fetch reveal.js"):
        slides.fetch(tmp_path)


def test_the_page_of_solutions_holds_every_task_and_answer(tmp_path):
    assert solutions.main(tmp_path / "new" / "solutions.md") == 0
    text = (tmp_path / "new" / "solutions.md").read_text(encoding="utf-8")
    for each in all_exercises():
        assert each.solution in text and each.prompt.partition("\n\n")[2] in text
    assert solutions.PAGE.parent.name == "dist"  # which git ignores
