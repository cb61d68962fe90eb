"""The book builds without a warning from the stored outputs, and is whole; each check of it can fail.

The glossary and the bibliography agree with the notebooks: no dead link, no unused entry, no citation without a source.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import docutils.nodes
import nbformat
import pybtex.database
import pytest
from myst_parser.mdit_to_docutils.base import default_slugify
from pybtex.database import Entry

from tools import book_formulas, book_frame, book_pdf, check_book
from tools.draw_table import NODE

BOOK = check_book.ROOT / "book"


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """Build the book from nothing, as `make book` does, in a folder of its own."""
    output = tmp_path_factory.mktemp("book")
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*jupyter_book, "build", ".", "--path-output", str(output), "-W", "-n", "--keep-going"]
    run = subprocess.run(command, cwd=check_book.ROOT, capture_output=True, text=True)
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    return output / "_build" / "html"


def test_the_book_is_whole(book):
    assert check_book.complaints(book) == []


def test_eleven_notebooks_an_introduction_and_the_results_are_in_it():
    pages = check_book.expected_pages()
    assert pages[0] == "book/introduction"
    assert sum(page.startswith("notebooks/") for page in pages) == 11
    assert "book/results" in pages
    for name in ("how_to_use", "glossary", "bibliography", "testing"):
        assert f"book/{name}" in pages


def test_neither_the_library_nor_the_tests_are_in_it(book):
    assert not any(
        (book / name).exists() for name in ("README.html", "CONTRIBUTING.html", "tests", "digitlib")
    )


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda page: page.unlink(), "notebooks/05_build_network: expected a page, found none"),
        (lambda page: edit(page, "<img ", "<p "), "expected"),
        (lambda page: edit(page, 'alt="', 'alt="not '), "pictures with their alt texts"),
        (lambda page: edit(page, "</h1>", "</h1>Traceback (most recent call last)"), "shows a traceback"),
        (
            lambda page: edit(page, "</h1>", '</h1><script src="https://example.org/x.js"></script>'),
            "another server",
        ),
        (lambda page: edit(page, "</h1>", '</h1><img src="gone.png">'), "gone.png, which is not in the book"),
    ],
)
def test_what_is_wrong_with_a_book_is_found(book, tmp_path, change, complaint):
    shutil.copytree(book, tmp_path / "html", ignore=shutil.ignore_patterns("_sources"))
    assert check_book.complaints(tmp_path / "html") == []
    change(tmp_path / "html/notebooks/05_build_network.html")
    found = check_book.complaints(tmp_path / "html")
    assert found and complaint in found[0]


def edit(page, old, new):
    """Replace the first occurrence below the article's start."""
    head, article, rest = page.read_text().partition("<article")
    assert old in rest
    page.write_text(head + article + rest.replace(old, new, 1))


def test_the_map_names_every_notebook_and_loads_nothing():
    drawing = ElementTree.parse(BOOK / "map.svg").getroot()
    texts = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    numbered = [text for text in texts if text[0].isdigit()]
    assert [text.split()[0] for text in numbered] == [str(number) for number in range(1, 12)]
    assert not any("href" in name for element in drawing.iter() for name in element.attrib)


# ---- the frame of each page -----------------------------------------------------------------------------------------

LICENCE = "MNIST, by Y. LeCun, C. Cortes and C. Burges"
LARGEST_PAGE = 1_500_000  # bytes, without pictures


def page_of(book: Path, name: str) -> str:
    return (book / f"{name}.html").read_text(encoding="utf-8")


def loaded_with(book: Path, name: str) -> set[Path]:
    """Return the page's file and those of its scripts and style sheets."""
    text = page_of(book, name)
    folder = (book / name).parent
    addresses = re.findall(r'<script[^>]* src="([^"?]+)|<link[^>]* href="([^"?]+\.css)', text)
    files = {(folder / unquote(script or style)).resolve() for script, style in addresses}
    return {book / f"{name}.html", *files}


def faults_of_frame(text: str) -> list[str]:
    """Return what is missing around a page's text, or stands there although the book mends it."""
    wanted = {
        "the licences": LICENCE,
        "CC BY-SA 3.0's address": "https://creativecommons.org/licenses/by-sa/3.0/",
        "a description": '<meta name="description" content="',
        "a title for previews": '<meta property="og:title" content="',
        "a picture for previews": '<meta property="og:image" content="',
        "a language": '<html lang="en"',
    }
    unwanted = {
        "Font Awesome": "fontawesome",
        "a name for all": "Toggle hidden content",
        "a search": "searchindex.js",
    }
    found = [f"lacks {what}" for what, words in wanted.items() if words not in text]
    found += [f"has {what}" for what, words in unwanted.items() if words in text]
    return found + ["has several viewports"] * (text.count('<meta name="viewport"') != 1)


def test_every_page_has_its_frame_and_is_light(book):
    for name in [*check_book.expected_pages(), "index"]:
        text = page_of(book, name)
        assert faults_of_frame(text) == [], name
        size = sum(file.stat().st_size for file in loaded_with(book, name))
        assert size < LARGEST_PAGE, f"{name} loads {size:,} bytes"
    assert (book / "_static/frame/preview.png").is_file()
    titles = [re.search("<title>(.*?)</title>", page_of(book, n))[1] for n in check_book.expected_pages()]
    assert len(set(titles)) == len(titles)


# ---- formulas -------------------------------------------------------------------------------------------------------


def test_formulas_are_set_and_no_page_loads_a_script_for_them(book):
    style = (book / book_formulas.FOLDER / "style.css").read_text(encoding="utf-8")
    num_formulas = 0
    for page in book.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        formulas = [match[0] for match in book_formulas.FORMULA.finditer(text)]
        num_formulas += len(formulas)
        assert all("<mjx-math" in each and "<mjx-assistive-mml" in each for each in formulas), page.name
        assert not re.search(r'<script[^>]*(src="[^"]*mathjax|>[^<]*MathJax)', text), page.name
        linked = [book / page.parent / path for path in re.findall(r'href="([^"]*formulas/style.css)', text)]
        assert len(linked) == bool(formulas) and all(path.is_file() for path in linked), page.name
        characters = set(re.findall(r'class="(mjx-c[0-9A-F]+)', "".join(formulas)))
        assert all(re.search(rf"\.{char}[.:]", style) for char in characters), page.name
    numbered = page_of(book, "notebooks/06_loss_and_optimizer")
    assert r"\tag{1}" in numbered and "mjx-mlabeledtr" in numbered
    assert num_formulas > 100 and not (book / "_static/mathjax").exists()
    fonts = {name for name in re.findall(r'url\("fonts/([^"]+)"\)', style)}
    assert fonts and fonts <= {path.name for path in (book / book_formulas.FOLDER / "fonts").iterdir()}


def test_a_page_that_is_not_built_anew_keeps_its_formulas(tmp_path):
    """The style sheet holds the characters of all pages, those of an earlier build too."""
    head = '<html data-content_root="./"><head><title>T</title></head>'
    page = head + '<span class="math notranslate nohighlight">\\(%s\\)</span>'
    (tmp_path / "first.html").write_text(page % "a &lt; \\beta", encoding="utf-8")
    book_formulas.set_book(tmp_path)
    first = (tmp_path / "first.html").read_text(encoding="utf-8")
    assert 'data-tex="a &lt; \\beta"' in first and first.count("style.css") == 1
    (tmp_path / "second.html").write_text(page % "\\gamma", encoding="utf-8")
    book_formulas.set_book(tmp_path)
    assert (tmp_path / "first.html").read_text(encoding="utf-8") == first
    style = (tmp_path / book_formulas.FOLDER / "style.css").read_text(encoding="utf-8")
    assert "1D6FD" in style and "1D6FE" in style, "beta and gamma"


def test_a_formula_that_nobody_can_read_ends_the_build():
    with pytest.raises(ValueError, match=r"found '.*frac\{1\}': Missing argument.*; mend it"):
        book_formulas.set_all([("x", False), (r"\frac{1}", True)])


def test_a_fault_of_the_frame_is_found(book):
    text = page_of(book, "notebooks/05_build_network")
    assert faults_of_frame(text.replace(LICENCE, "")) == ["lacks the licences"]
    assert faults_of_frame(text + "fontawesome.js") == ["has Font Awesome"]
    assert faults_of_frame(text + '<meta name="viewport" content="">') == ["has several viewports"]


def test_the_entrance_is_the_first_page_itself(book):
    text, first = page_of(book, "index"), page_of(book, "book/introduction")
    assert "http-equiv" not in text and 'id="draw-pad"' in text and 'id="frame-begin"' in text
    for address in re.findall(r'\b(?:href|src|srcset)="([^"#?]+)', text):
        assert urlsplit(address).scheme or (book / unquote(address)).exists(), address
    assert len(re.findall(" href=", text)) == len(re.findall(" href=", first))


def test_exercises_quizzes_predictions_and_figures_are_marked(book):
    for path in sorted((check_book.ROOT / "notebooks").glob("*.ipynb")):
        text = page_of(book, f"notebooks/{path.stem}")
        cells = nbformat.read(path, as_version=4).cells
        tags = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
        boxes = re.findall(r'<section class="exercise"[^>]*>(.*?)</section>', text, re.S)
        assert len(boxes) == tags.count("check") > 0, path.name
        for box in boxes:
            assert "tag_exercise" in box and "tag_check" in box and "Hint 1" in box
            assert 'role="status"' not in box  # what a check says of our own answer
        quiz = sum(cell.source.startswith("**Quiz.**") for cell in cells)
        assert len(re.findall(r'<div class="question[^>]*>\s*<p><strong>Quiz', text)) == quiz
        assert re.search(r'<a class="[^"]*nav-link[^"]*" href="#quiz">', text)
        assert text.count('<p class="predict">') >= 3
        pictures = sum("image/png" in o.get("data", {}) for cell in cells for o in cell.get("outputs", []))
        written = [
            number for cell in cells for number in re.findall(r"(?m)^\*\*Figure (\d+)\.\*\* \S", cell.source)
        ]
        captions = re.findall(r"<figcaption><strong>Figure (\d+)\.</strong> \S", text)
        assert written == captions == [str(i + 1) for i in range(pictures)], path.name
        assert "<p><strong>Figure" not in text


def tree(markdown: str):
    """Return a page's tree; in it, a container whose class is a cell's tag stands for the cell."""
    import docutils.core

    page = docutils.core.publish_doctree(
        markdown, settings_overrides={"report_level": 5, "doctitle_xform": False}
    )
    for cell in page.findall(docutils.nodes.container):  # reStructuredText writes no underscore in a class
        cell["classes"] = [name.replace("-", "_") for name in cell["classes"]]
    return page


EXERCISE = """
Section
=======

Exercise: one
-------------

Do it.

.. container:: tag_exercise

   stub

.. container:: tag_check

   check

.. raw:: html

   <details><summary>Hint 1</summary>

Look.

.. raw:: html

   </details>

The lesson goes on.

Exercise: two
-------------

.. container:: tag_check

   check
"""


def test_a_box_ends_with_its_exercise():
    page = tree(EXERCISE)
    sections = [s for s in page.findall(docutils.nodes.section) if s.astext().startswith("Exercise")]
    for section in sections:
        book_frame.box_exercise(section)
    first, second = sections
    assert first["classes"] == second["classes"] == ["exercise"]
    assert "Look." in first.astext() and "goes on" not in first.astext()
    following = first.parent[first.parent.index(first) + 1]
    assert following.astext() == "The lesson goes on." and following.tagname == "paragraph"


def test_a_prediction_is_a_paragraph_of_its_own_but_in_a_list():
    page = tree(
        "Title\n=====\n\nBefore. **Predict:** what then?\n\n**Predict** it.\n\n- Try. **Predict:** so?\n"
    )
    for paragraph in list(page.findall(docutils.nodes.paragraph)):
        book_frame.mark_prediction(paragraph)
    found = [(p.astext(), p["classes"]) for p in page.findall(docutils.nodes.paragraph)]
    assert found == [
        ("Before. ", []),
        ("Predict: what then?", ["predict"]),
        ("Predict it.", ["predict"]),
        ("Try. Predict: so?", []),
    ]


SIBLINGS = """
const elements = kinds.map((kind, i) => ({
  i,
  textContent: kind,
  matches: (selector) => ({ cell: ".cell", p: "p:not(.predict)", table: ".pst-scrollable-table-container" })[
    kind.match(/[a-z]+/)[0]] === selector,
  querySelector: () => (kind === "cell!" ? { i } : null),
}));
elements.forEach((element, i) => (element.nextElementSibling = elements[i + 1] ?? null));
console.log(JSON.stringify(answersTo({ nextElementSibling: elements[0] }).map(({ i }) => i)));
"""


@pytest.mark.parametrize(
    "behind, hidden",
    [
        ("cell! p p", [0, 1]),
        ("cell p cell! p", [2, 3]),  # the first cell puts out nothing
        ("cell! p: cell! p", [0, 1, 2, 3]),  # the paragraph announces another cell
        ("p table p", [0, 1]),
        ("table p", [0]),
        ("p p", [0]),
        ("quiz cell!", []),
    ],
)
def test_what_answers_a_prediction_is_hidden_until_there_is_one(behind, hidden):
    script = (BOOK / "_static/frame/frame.js").read_text(encoding="utf-8")
    functions = re.search(r"  const isParagraph = .*?(?=  /\*\* Hide what answers)", script, re.S)[0]
    program = f"const kinds = {behind.split()};\n{functions}{SIBLINGS}"
    run = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True)
    assert run.stderr == "" and json.loads(run.stdout) == hidden


def test_american_spelling_finds_a_page_too(book):
    words = "normalise normalisation colours neighbouring grey labelled modelling centre centred learnt visualised"
    others = (
        "normalize normalization colors neighboring gray labeled modeling center centered learned visualized"
    )
    assert [book_frame.american(word) for word in words.split()] == others.split()
    index = (book / "searchindex.js").read_text(encoding="utf-8")
    assert all(f'"{stem}"' in index for stem in ("neighbor", "optim", "color"))
    same = "noise raise otherwise exercise arise precise four hour spelling excellent premise".split()
    assert [book_frame.american(word) for word in same] == same


def test_a_description_is_of_whole_sentences():
    page = tree("Title\n=====\n\n" + "A short one. " * 8 + "\n\n" + "Then another comes along here. " * 9)
    words = book_frame.describe(page)
    assert 60 <= len(words) <= 200 and words.startswith("A short one.") and words.endswith(".")


def test_the_pdf_s_pages_are_one_with_links_within_it(book):
    names = check_book.expected_pages()
    text = book_pdf.join(book, names)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and text.count("<article") == len(names)
    known = set(ids)
    for address in re.findall(r'\b(?:href|src)="([^"?]+)', text.partition("</head>")[2]):
        if address.startswith("#"):
            assert unquote(address[1:]) in known, address
        else:
            assert urlsplit(address).scheme or (book / unquote(address.partition("#")[0])).exists(), address
    assert LICENCE in text and "<script" not in text.partition("</head>")[2]


# ---- the glossary and the bibliography --------------------------------------------------------------------------
#
# As in test_notebooks.py, each guard returns complaints, and a tampering shows that it can fail.

# How a notebook may write a term where it introduces it, other than as the glossary's heading has it.
OTHER_FORMS = {"training part": "training", "validation part": "validation", "DataLoader": "dataloader"}
OTHER_FORMS |= {"graph of a computation": "graph"}
# What begins a sentence and may stand before a year without being a name.
NO_NAMES = {"About", "After", "Around", "Before", "By", "From", "In", "Since", "Until"}

NAME = r"(?:[A-Z]\. )*[A-Z][\w’-]+"
# Elman, 1990 | Smith and Topin (2019) | LeCun et al., 1998b | C. Guo and others (2017) | Otsu's threshold (1979)
# | A. Karpathy ("A Recipe", 2019) | Xiao, Rasul and Vollgraf, 2017
CITATION = re.compile(
    rf"(?P<names>{NAME}(?:, {NAME})*(?:,? and (?:{NAME}|others)| et al\.?)?)(?:['’]s(?: \w+){{1,3}})?"
    r'(?:,? \(?(?:["“][^"”]{5,150}["”],? )?)\(?(?P<year>(?:19|20)\d\d[a-z]?)\b'
)


def prose(path: Path) -> str:
    """Return the words of a page: what a notebook's Markdown or a Markdown file says, without code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"```.*?```", "", text, flags=re.S)


NOTEBOOKS = {path.name: prose(path) for path in sorted((check_book.ROOT / "notebooks").glob("*.ipynb"))}
PAGES = {path.name: prose(path) for path in [*sorted(BOOK.glob("*.md")), BOOK / "results.ipynb"]}
CODE = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((check_book.ROOT / "digitlib").rglob("*.py"))
}


def anchors(page: str) -> dict[str, str]:
    """Return the headings of the third level of a Markdown page, by the anchors that they get in the book."""
    return {default_slugify(heading): heading for heading in re.findall(r"^### (.+)$", page, re.M)}


def anchors_in_disorder(glossary: str) -> list[str]:
    complaints, letter, last = [], "", ""
    for level, heading in re.findall(r"^(##|###) (.+)$", glossary, re.M):
        if level == "##":
            letter = heading
        elif heading[0].upper() != letter:
            complaints.append(f"{heading} stands under {letter}")
        elif heading.casefold() == last.casefold():
            complaints.append(f"{heading} stands there twice")
        elif heading.casefold() < last.casefold():
            complaints.append(f"{heading} stands after {last}")
        last = heading if level == "###" else last
    return complaints


def dead_links(text: str, page: str) -> list[str]:
    """Return the links of a text to a page of the book (given by its name) that lead to no heading of it."""
    known = anchors(PAGES[page])
    return [
        f"{page}#{anchor}"
        for anchor in re.findall(rf"\]\((?:\.\./book/|)?{re.escape(page)}#([^)\s]*)\)", text)
        if unquote(anchor) not in known
    ]


def introduces(notebook: str, term: str) -> bool:
    """Tell whether a notebook's prose links to a term, has it in bold, or lists it among its new terms."""
    if re.search(rf"\(\.\./book/glossary\.md#{re.escape(default_slugify(term))}\)", notebook):
        return True
    forms = {term.casefold(), OTHER_FORMS.get(term, term).casefold()}
    bold = {text.casefold() for text in re.findall(r"\*\*([^*]+)\*\*", notebook)}
    listed = " ".join(re.findall(r"^New terms: (.+?)(?:\n\n|\Z)", notebook, re.M | re.S)).casefold()
    return bool(forms & bold) or bool(forms & set(re.split(r",\s+|\s+and\s+", listed.strip(". \n"))))


def never_introduced(glossary: str, notebooks: dict[str, str]) -> list[str]:
    """Return the terms that no notebook introduces, or not the notebook that the glossary names."""
    complaints = []
    for entry in re.split(r"^### ", glossary, flags=re.M)[1:]:
        term = entry.split("\n")[0]
        opened = re.findall(r"Opened in \[notebook (\d+)\]\(\.\./notebooks/(\S+\.ipynb)\)", entry)
        if len(opened) != 1 or not opened[0][1].startswith(f"{int(opened[0][0]):02}_"):
            complaints.append(f"{term} names no notebook, or two")
        elif not introduces(notebooks.get(opened[0][1], ""), term):
            complaints.append(f"{term} is not introduced in {opened[0][1]}")
    return complaints


def sources() -> dict[str, Entry]:
    return pybtex.database.parse_file(str(BOOK / "references.bib")).entries


def families(entry: Entry) -> list[str]:
    return [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]


def author_and_year(key: str, entry: Entry) -> str:
    """Return how an entry is cited: "Elman, 1990", "Smith and Topin, 2019", "LeCun et al., 1998b"."""
    names = families(entry)
    who = " and ".join(names) if len(names) <= 2 else f"{names[0]} et al."
    return f"{who}, {entry.fields['year']}{key[-1] if key[-1].isalpha() else ''}"


def citations(text: str) -> list[tuple[list[str], str]]:
    """Return the names (families only) and the year, perhaps with a letter, of each citation in a text."""
    text = " ".join(re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text).split())
    found = []
    for match in CITATION.finditer(text):
        names = re.sub(r"\b[A-Z]\. ", "", match["names"])
        names = [name for name in re.split(r", | and ", names.replace(" et al.", "")) if name != "others"]
        if names[0] not in NO_NAMES:
            found.append((names, match["year"]))
    return found


def source_of(names: list[str], year: str, entries: dict[str, Entry]) -> str | None:
    """Return the key of the entry that a citation means, or None."""
    for key, entry in entries.items():
        own = families(entry)
        letter = key[-1] if key[-1].isalpha() else ""
        right_year = year == entry.fields["year"] + letter or (
            len(names) > 2 and year == entry.fields["year"]
        )
        if right_year and own[0] == names[0] and set(names) <= set(own):
            return key
    return None


def without_a_source(text: str) -> list[str]:
    entries = sources()
    return [f"{names[0]} {year}" for names, year in citations(text) if not source_of(names, year, entries)]


def cited_in(text: str) -> set[str]:
    entries = sources()
    return {source_of(names, year, entries) for names, year in citations(text)} - {None}


def test_the_glossary_is_in_order():
    assert anchors_in_disorder(PAGES["glossary.md"]) == []
    assert len(anchors(PAGES["glossary.md"])) >= 80


@pytest.mark.parametrize(
    "glossary, complaint",
    [
        ("## A\n\n### bias", "bias stands under A"),
        ("## A\n\n### axis\n\n### Adam", "Adam stands after axis"),
        ("## A\n\n### Adam\n\n### adam", "adam stands there twice"),
    ],
)
def test_disorder_is_found(glossary, complaint):
    assert anchors_in_disorder(glossary) == [complaint]


@pytest.mark.parametrize("page", ["glossary.md", "bibliography.md"])
@pytest.mark.parametrize("name", [*NOTEBOOKS, *PAGES])
def test_links_lead_to_an_entry(name, page):
    assert dead_links((NOTEBOOKS | PAGES)[name], page) == []


def test_a_link_to_no_entry_is_found():
    links = (
        "[a](../book/glossary.md#softmax) [b](glossary.md#softmaxx) [c](../book/bibliography.md#elman-1990)"
    )
    assert dead_links(links, "glossary.md") == ["glossary.md#softmaxx"]
    assert dead_links(links, "bibliography.md") == []


def test_every_term_is_introduced_in_the_notebook_that_the_glossary_names():
    assert never_introduced(PAGES["glossary.md"], NOTEBOOKS) == []


@pytest.mark.parametrize(
    "notebook, introduced",
    [
        ("A **running mean** is", True),
        ("the [mean](../book/glossary.md#running-mean) of", True),
        ("New terms: long form,\nrunning mean, step.\n\nNext", True),
        ("A running mean is", False),
        ("the [mean](../book/glossary.md#mean) of", False),
        ("New terms: long form.\n\nrunning mean, step.", False),
    ],
)
def test_a_term_that_no_notebook_introduces_is_found(notebook, introduced):
    entry = "### running mean\n\nA mean.\nOpened in [notebook 8](../notebooks/08_training_loss.ipynb)."
    found = never_introduced(entry, {"08_training_loss.ipynb": notebook, "07_training.ipynb": ""})
    assert found == ([] if introduced else ["running mean is not introduced in 08_training_loss.ipynb"])
    assert never_introduced(entry.replace("08_", "07_"), {})[0].endswith("names no notebook, or two")


def test_the_bibliography_has_one_section_for_each_source():
    page = (BOOK / "bibliography.md").read_text(encoding="utf-8")
    sections = re.findall(
        r"^### (.+)\n\n.+\n\n```\{bibliography\}\n:list: bullet\n:filter: key == \"(\w+)\"\n```", page, re.M
    )
    assert len(sections) == page.count("\n### ") == page.count("{bibliography}")
    expected = [(author_and_year(key, entry), key) for key, entry in sources().items()]
    assert sorted(sections) == sorted(expected)


def test_every_source_is_cited():
    everything = NOTEBOOKS | CODE | {name: text for name, text in PAGES.items() if name != "bibliography.md"}
    cited = set().union(*map(cited_in, everything.values()))
    assert sorted(set(sources()) - cited) == []


@pytest.mark.parametrize("name", [*NOTEBOOKS, *PAGES, *CODE])
def test_every_citation_has_a_source(name):
    assert without_a_source((NOTEBOOKS | PAGES | CODE)[name]) == []


@pytest.mark.parametrize(
    "text, key",
    [
        ("(Elman, 1990)", "elman1990"),
        ("Wilson (1927) turned", "wilson1927"),
        ("E. B. Wilson (1927)", "wilson1927"),
        ("[LeCun et al., 1998](../book/bibliography.md#lecun-et-al-1998)", "lecun1998"),
        ("LeCun et al., 1998b", "lecun1998b"),
        ("(LeCun, Bottou, Orr and\nMüller, 1998, section 4.3)", "lecun1998b"),
        ("He et al. (2015, section 2)", "he2015"),
        ("C. Guo and others (2017)", "guo2017"),
        ("J. Bergstra and Y. Bengio, 2012", "bergstra2012"),
        ("N. Otsu's threshold (1979)", "otsu1979"),
        ('A. Karpathy ("A Recipe for Training Neural Networks", 2019)', "karpathy2019"),
        ('"Deep Learning" (Goodfellow, Bengio and\nCourville, 2016)', "goodfellow2016"),
        ("Source: Elman 1990; the rest", "elman1990"),
    ],
)
def test_a_citation_is_understood(text, key):
    assert cited_in(text) == {key}


@pytest.mark.parametrize(
    "text, found",
    [
        ("(Elman, 1991)", ["Elman 1991"]),
        ("N. Body and others (2020)", ["Body 2020"]),
        ("Smith and Wesson, 2019", ["Smith 2019"]),
        ("LeCun et al., 1998c", ["LeCun 1998c"]),
        ("Around 1990 the forms of 1995 came, and 2000 images; since 2020 none. In 2021", []),
    ],
)
def test_a_citation_without_a_source_is_found(text, found):
    assert without_a_source(text) == found
