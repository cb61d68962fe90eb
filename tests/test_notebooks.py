"""Guards for what `pytest --nbval` cannot see: a notebook that was cleared, a picture that was lost or swapped, form.

Each guard is a function from a notebook to a list of complaints. The tamperings show that each of them can fail.
"""

import ast
import base64
import hashlib
import io
import re
import statistics
from collections import Counter

import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import comment_markers, metadata_tags
from PIL import Image

from tests.guards import FOLDER, NAMES, ROOT, Tamperings, cell_of, read
from tools.exercises import part_of, tree
from tools.notebooks import as_text, minutes, normalise, picture_hashes, pictures, record_seconds

# Cells, by id, whose output nbval may pass over, each with its reason. Every one is a cell that nothing checks.
IGNORED_OUTPUTS: dict[str, str] = {}

# Which cells have a tag; see tools/exercises.py for those of an exercise.
PLAIN_TAGS = {
    "exercise": lambda cell: part_of(cell) == "stub",
    "check": lambda cell: part_of(cell) == "check",
    "hide-input": lambda cell: "plt." in cell.source,  # how a figure is drawn is no part of the lesson
    "picture-varies": lambda cell: bool(
        pictures(cell)
    ),  # a training's outcome: conftest.py compares it loosely
    "nbval-ignore-output": lambda cell: cell.id in IGNORED_OUTPUTS,  # which says why
}
# What an output may be, for nbval and the book show no difference where another kind is added.
KINDS = [
    ["image/png", "text/plain"],
    ["text/html", "text/plain"],
    ["text/markdown", "text/plain"],
    ["text/plain"],
]
# Numbers in prose that no run can change. Any other of three digits or more, with a point or a per cent sign has to
# stand in the notebook's own code, as a setting does; what the notebook measures is put out by a cell, never typed.
FIXED_NUMBERS = {
    "the sizes of MNIST and of its parts": "70,000 60,000 55,000 10,000 5,000",
    "an image's pixels and bytes": "784 255 256",
    "ln 10": "2.3 2.303",
    "ways of speaking": "100 1,000 100% 95%",
}
FIXED_IN = {
    ("01", "0.8"): "1 - 2 · 0.1, worked out in the text",
    ("01", "99,999,999"): "a number that a float32 cannot hold",
    ("02", "172"): "55,000 · 784 · 4 bytes in millions, worked out in the text",
    ("02", "1,625,948,160"): "60,000 with its four bytes in the wrong order",
    ("03", "4.3"): "the number of a section that is cited",
    ("04", "90%"): "a share that the reader is warned of",
    ("04", "98%"): "an accuracy taken as an example",
    ("05", "180"): "degrees of half a turn",
    ("05", "1000"): "the exponent of an example",
    ("06", "0.9"): "the customary beta of Adam, and momentum",
    ("06", "0.999"): "the customary second beta of Adam",
    ("07", "5000"): "the images of the validation part, in a product",
    ("08", "300"): "the steps of 60 epochs of 500 images in batches of 100",
    ("09", "0.0001"): "the loss that the earlier CNN reported",
    ("09", "1.96"): "the normal distribution's quantile for 95%",
    ("09", "80%"): "a confidence taken as an example",
    ("10", "0.09%"): "cited: An et al. 2020",
    ("10", "0.21%"): "cited: Wan et al. 2013",
    ("10", "0.23%"): "cited: Cireşan et al. 2012",
    ("10", "0.4%"): "cited: Simard et al. 2003",
    ("10", "0.8%"): "cited: LeCun et al. 1998",
    ("10", "0.95%"): "cited: LeCun et al. 1998",
    ("10", "12.0%"): "cited: LeCun et al. 1998",
    ("10", "4,500"): "5,000 less the 500 of the example",
    ("10", "30%"): "the share of a one-cycle schedule that rises, torch's default",
    ("11", "2.6"): "a version of torch",
}
LONGEST_CELL = 20  # lines; more belong in digitlib
MEDIAN_CELL = 5  # lines
WORDS = (900, 2400)  # of a lesson: exercises and quiz aside
CODE_CELLS = (12, 32)  # of a lesson
LARGEST_PICTURE = 160_000  # bytes, of twice as many pixels a side as a page shows
SHORTEST_ALT_TEXT = 8  # words


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def calls(node: ast.AST, name: str, *, certain: bool = True) -> int:
    """Count the calls of a name that surely run with the cell: not those in a function, or under a condition."""
    found = 0
    for child in ast.iter_child_nodes(node):
        found += isinstance(child, ast.Call) and ast.unparse(child.func) == name
        waits = isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.If | ast.Try
        )
        if not (waits and certain):
            found += calls(child, name, certain=certain)
    return found


def texts(cell) -> list[str]:
    """Return every text that a code cell has put out."""
    found = [output.text for output in cell.outputs if output.output_type == "stream"]
    for output in cell.outputs:
        found += [
            text
            for kind, text in output.get("data", {}).items()
            if isinstance(text, str) and "image" not in kind
        ]
    return found


# ---- the guards -----------------------------------------------------------------------------------------------


def has_normal_form(notebook):
    if as_text(notebook) != as_text(normalise(notebook)):
        return ["the file is not in the normal form; run `make notebooks`"]
    return []


def has_unique_ids(notebook):
    ids = Counter(cell.id for cell in notebook.cells)
    return [f"{count} cells have the id {cell_id}" for cell_id, count in ids.items() if count > 1]


def ran_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        return [f"expected the execution counts 1 to {len(counts)} in order, got {counts}"]
    return []


def has_outputs(notebook):
    return [] if any(cell.outputs for cell in code_cells(notebook)) else ["no cell has any output"]


def shows_what_it_prints(notebook):
    return [
        f"cell {cell.id} prints, but no text is stored"
        for cell in code_cells(notebook)
        if calls(tree(cell.source), "print")
        and not any(output.output_type == "stream" for output in cell.outputs)
    ]


def shows_what_it_draws(notebook):
    complaints, showing = [], ["plt.show"]
    for cell in code_cells(notebook):
        expected, found = sum(calls(tree(cell.source), name) for name in showing), len(pictures(cell))
        if found < expected:
            complaints.append(f"cell {cell.id} draws {expected} pictures, but {found} are stored")
        if found and not any(calls(tree(cell.source), name, certain=False) for name in showing):
            complaints.append(f"cell {cell.id} has a picture, but does not end with plt.show()")
        functions = [node for node in tree(cell.source).body if isinstance(node, ast.FunctionDef)]
        showing += [node.name for node in functions if calls(node, "plt.show")]  # to call these is to draw
    return complaints


def keeps_its_own_pictures(notebook):
    return [
        f"cell {cell.id} does not hold the pictures that `make notebooks` stored there"
        for cell in code_cells(notebook)
        if cell.metadata.get("digitlib", {}).get("pictures", []) != picture_hashes(cell)
    ]


def has_small_pictures(notebook):
    return [
        f"cell {cell.id} has a picture of {len(png):,} bytes; expected at most {LARGEST_PICTURE:,}"
        for cell in code_cells(notebook)
        for png in pictures(cell)
        if len(png) > LARGEST_PICTURE
    ]


def describes_its_pictures(notebook):
    complaints, seen = [], {}
    for cell in code_cells(notebook):
        if not pictures(cell):
            continue
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if len(alt.split()) < SHORTEST_ALT_TEXT:
            complaints.append(f"cell {cell.id} has a picture with the alt text {alt!r}; say what it shows")
        elif alt in seen:
            complaints.append(f"cell {cell.id} repeats the alt text of cell {seen[alt]}")
        seen.setdefault(alt, cell.id)
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", markdown(notebook)):
        if len(alt.split()) < SHORTEST_ALT_TEXT:
            complaints.append(f"the picture {target} has the alt text {alt!r}; say what it shows")
    return complaints


# What a reader should not meet in an output, and why nbval would stumble over it on another machine or another day.
UNWANTED = {
    r"\bat 0x[0-9a-fA-F]+": "an address in memory",
    r"<(Axes|Figure|AxesSubplot|matplotlib\.\S+|Tensor)\b": "the name of an object",
    r"(?<![\w.])/(home|Users|root|tmp|work|var|opt|content|mnt)/": "a path of one machine",
    r"[A-Za-z]:\\": "a path of one machine",
    r"\d+%\|": "a progress bar",
    r"\bWall time:|\bCPU times:|\d loops each": "a timing",
}


def has_clean_outputs(notebook):
    complaints = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                complaints.append(f"cell {cell.id} failed with {output.ename}")
            elif output.output_type == "stream" and output.name != "stdout":
                complaints.append(f"cell {cell.id} wrote to stderr: {output.text.strip()[:80]}")
        has_picture = bool(pictures(cell))
        for text in texts(cell):
            if has_picture and re.fullmatch(r"<Figure size \S+ with \d+ Axes>", text):
                continue  # the picture's own stand-in, which is not shown
            found = {what for pattern, what in UNWANTED.items() if re.search(pattern, text)}
            complaints += [f"cell {cell.id} puts out {what}" for what in sorted(found)]
    return complaints


def has_plain_sources(notebook):
    complaints = []
    for cell in code_cells(notebook):
        if not cell.source.strip():
            complaints.append(f"cell {cell.id} is empty")
        if cell.source.rstrip().endswith(";"):
            complaints.append(f"cell {cell.id} ends with a semicolon; end with plt.show(), or assign to _")
        if re.search(r"^\s*%%?time", cell.source, re.MULTILINE):
            complaints.append(f"cell {cell.id} prints a time, which differs on every run")
        for node in ast.walk(tree(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                complaints.append(f"cell {cell.id} imports * from {node.module}; name what is used")
    return complaints


def has_known_tags(notebook):
    complaints = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        for tag in tags:
            if tag not in PLAIN_TAGS and not re.fullmatch(r"lib:digitlib(\.\w+)+", tag):
                complaints.append(f"cell {cell.id} has the unknown tag {tag!r}")
            elif cell.cell_type != "code" or tags.count(tag) > 1 or not PLAIN_TAGS.get(tag, bool)(cell):
                complaints.append(f"cell {cell.id} has the tag {tag!r}, which has no business there")
            if tag in metadata_tags and cell.id not in IGNORED_OUTPUTS:
                complaints.append(f"cell {cell.id} has the tag {tag!r} without a reason in IGNORED_OUTPUTS")
        for line in cell.source.split("\n") if cell.cell_type == "code" else []:
            if line.strip().lstrip("#").strip() in comment_markers:
                complaints.append(f"cell {cell.id} gives nbval an order in a comment; use a tag")
    return complaints


def sizes(output) -> dict[str, int]:
    """Return an output's height and width in pixels, or nothing where it is no picture."""
    if "image/png" not in output.get("data", {}):
        return {}
    picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    return {"height": picture.height, "width": picture.width}


def shows_its_outputs_as_they_are(notebook):
    """Nothing is hidden, shown in another size, or put out twice in two kinds of which a reader sees one."""
    complaints = []
    for cell in notebook.cells:
        if hidden := cell.metadata.get("jupyter"):
            complaints.append(f"cell {cell.id} hides something: jupyter is {dict(hidden)}")
        for output in cell.get("outputs", []):
            # A picture is sharp: half of its pixels is the size at which it is shown.
            halved = {size: pixels // 2 for size, pixels in sizes(output).items()}
            if output.get("metadata", {}) != ({"image/png": halved} if halved else {}):
                complaints.append(f"cell {cell.id} shows an output otherwise: {dict(output.metadata)}")
            if "data" in output and sorted(output.data) not in KINDS:
                complaints.append(f"cell {cell.id} puts out {sorted(output.data)}, expected one of {KINDS}")
    return complaints


def has_short_cells(notebook):
    lengths = {cell.id: len(cell.source.split("\n")) for cell in code_cells(notebook)}
    return [
        f"cell {cell_id} has {length} lines; expected at most {LONGEST_CELL}"
        for cell_id, length in lengths.items()
        if length > LONGEST_CELL
    ]


def lesson(notebook):
    """Return the cells of a lesson: without the exercises and the quiz."""
    return [cell for cell in notebook.cells if part_of(cell) is None and not cell.id.startswith("quiz-")]


def has_the_length_of_a_lesson(notebook):
    complaints = []
    prose = "\n".join(cell.source for cell in lesson(notebook) if cell.cell_type == "markdown")
    words = len(re.sub(r"!\[[^\]]*\]|</?div[^>]*>", "", prose).split())  # without pictures' descriptions
    lengths = [len(cell.source.split("\n")) for cell in lesson(notebook) if cell.cell_type == "code"]
    if not WORDS[0] <= words <= WORDS[1]:
        complaints.append(f"expected {WORDS[0]} to {WORDS[1]} words, found {words}")
    if not CODE_CELLS[0] <= len(lengths) <= CODE_CELLS[1]:
        complaints.append(f"expected {CODE_CELLS[0]} to {CODE_CELLS[1]} code cells, found {len(lengths)}")
    if lengths and statistics.median(lengths) > MEDIAN_CELL:
        complaints.append(
            f"expected a median of {MEDIAN_CELL} lines a cell, found {statistics.median(lengths)}"
        )
    return complaints


def states_its_minutes(notebook):
    """The minutes come from a formula over the notebook's length and its measured seconds; `normalise` writes them."""
    if not notebook.metadata.get("digitlib", {}).get("seconds"):
        return ["nobody has measured how long it runs; run `make notebooks`"]
    if f"About {minutes(notebook)} minutes" not in notebook.cells[0].source:
        return [f"expected 'About {minutes(notebook)} minutes' in the first cell; run `make notebooks`"]
    return []


def numbers(text: str) -> list[str]:
    """Return the numbers of a text that could be measured; years, code, links and arXiv numbers are left out."""
    text = re.sub(r"```.*?```|`[^`]*`|https?://\S+|arXiv[: ]\S+", " ", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    found = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?: ?%)?", text)
    found = [number.rstrip(",").replace(" ", "") for number in found]
    plain = [number for number in found if not re.fullmatch(r"\d{1,2}|1[789]\d\d|20\d\d", number)]
    return list(dict.fromkeys(plain))


def has_no_typed_measurement(notebook):
    title = re.match(r"# (\d+)\.", notebook.cells[0].source if notebook.cells else "")
    name = title[1].zfill(2) if title else ""
    fixed = set(" ".join(FIXED_NUMBERS.values()).split()) | {
        number for own, number in FIXED_IN if own == name
    }
    code = "\n".join(cell.source for cell in code_cells(notebook)).replace("_", "")
    settings = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?", code))
    return [
        f"cell {cell.id} has {number} in its prose; let a cell put it out, or say in FIXED_IN why it is fixed"
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for number in numbers(cell.source)
        if number not in fixed and number.replace(",", "") not in settings
    ]


def has_prose_between(notebook):
    # The stub and check of an exercise follow each other by its form, see test_exercises.py.
    kinds = [cell.cell_type == "code" and part_of(cell) is None for cell in notebook.cells]
    return [
        f"cell {notebook.cells[i].id} and its two neighbours before are all code, without a word between them"
        for i in range(2, len(kinds))
        if all(kinds[i - 2 : i + 1])
    ]


def begins_with_its_title(notebook):
    titles = [
        line
        for line in re.sub(r"```.*?```", "", markdown(notebook), flags=re.S).split("\n")
        if line[:2] == "# "
    ]
    first = notebook.cells[0] if notebook.cells else None
    if not (first and first.cell_type == "markdown" and first.source.startswith("# ") and len(titles) == 1):
        return [f"expected the first cell to begin with the one title, got the titles {titles}"]
    return []


def links_to_what_exists(notebook):
    complaints = []
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", markdown(notebook)):
        path = target.split("#")[0]
        if path and not re.match(r"https?:|mailto:|attachment:", path) and not (FOLDER / path).is_file():
            complaints.append(f"the link to {target} leads nowhere")
    return complaints


GUARDS = [
    has_normal_form,
    has_unique_ids,
    ran_from_top_to_bottom,
    has_outputs,
    shows_what_it_prints,
    shows_what_it_draws,
    keeps_its_own_pictures,
    has_small_pictures,
    describes_its_pictures,
    has_clean_outputs,
    has_plain_sources,
    has_known_tags,
    shows_its_outputs_as_they_are,
    has_short_cells,
    has_the_length_of_a_lesson,
    states_its_minutes,
    has_no_typed_measurement,
    has_prose_between,
    begins_with_its_title,
    links_to_what_exists,
]


# ---- the eleven notebooks -------------------------------------------------------------------------------------


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def test_the_folder_holds_the_eleven_and_nothing_else():
    assert sorted(path.name for path in FOLDER.iterdir() if path.name[0] != ".") == [
        f"{name}.ipynb" for name in NAMES
    ]


def test_the_book_holds_the_eleven_in_order():
    assert [file for file in toc_files() if file.startswith("notebooks/")] == [
        f"notebooks/{name}" for name in NAMES
    ]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_notebook(name, guard):
    assert guard(read(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_file_is_in_the_normal_form(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == as_text(normalise(read(name))), "run `make notebooks`"


def test_every_fixed_number_is_in_use():
    used = {
        (name[:2], number) for name in NAMES for cell in read(name).cells for number in numbers(cell.source)
    }
    assert set(FIXED_IN) <= used


def test_every_reason_to_ignore_an_output_is_in_use():
    tagged = {
        cell.id
        for name in NAMES
        for cell in read(name).cells
        if "nbval-ignore-output" in cell.metadata.get("tags", [])
    }
    assert tagged == set(IGNORED_OUTPUTS)


def test_no_alt_text_is_repeated_from_another_notebook():
    alts = Counter(
        cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        for name in NAMES
        for cell in code_cells(read(name))
        if pictures(cell)
    )
    assert [alt for alt, count in alts.items() if count > 1] == []


# ---- the same guards, on notebooks that were tampered with ------------------------------------------------------


def png(colour="white", size=(60, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG", optimize=True)
    return file.getvalue()


def picture_output(content: bytes):
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": "<Figure size 30x20 with 1 Axes>"}
    output = new_output("display_data", data=data)
    output.metadata = {"image/png": {size: pixels // 2 for size, pixels in sizes(output).items()}}
    return output


def text_output(text: str, name: str = "stdout"):
    return new_output("stream", name=name, text=text)


def honest_notebook():
    """Return a notebook that no guard complains of, with every feature that a guard looks at."""
    alt = "A small {} rectangle that stands in for a picture of data."
    cells = [
        new_markdown_cell(
            "# 1. A title\n\nSee [the commands](../Makefile#book).\n\nAbout 1 minutes." + " word" * 900,
            id="title",
        ),
        new_code_cell("import matplotlib.pyplot as plt\nfrom math import pi", id="imports"),
        new_markdown_cell("Some prose.", id="prose"),
        new_code_cell("print(round(pi, 4))", id="number", outputs=[text_output("3.1416\n")]),
        new_markdown_cell("More prose.", id="more"),
        new_code_cell("plt.plot([1, 2])\nplt.show()", id="red", outputs=[picture_output(png("red"))]),
        new_code_cell("plt.plot([2, 1])\nplt.show()", id="blue", outputs=[picture_output(png("blue"))]),
        new_markdown_cell("The library's own.", id="quote"),
        new_code_cell("def double(x):\n    print(x)\n    return 2 * x", id="double"),
    ]
    for cell in cells[5:7]:
        cell.metadata.mystnb = {"image": {"alt": alt.format(cell.id)}}
    cells[-1].metadata.tags = ["lib:digitlib.made_up.double"]
    for number in range(8):
        cells.append(new_markdown_cell(f"Prose {number}.", id=f"prose-{number}"))
        cells.append(new_code_cell(f"x = {number}", id=f"code-{number}"))
    notebook = new_notebook(cells=cells)
    record_seconds(notebook, 20.0)
    return normalise(notebook)


tampering = Tamperings()


@tampering(has_normal_form, "make notebooks")
def keep_the_python_version(notebook):
    notebook.metadata.language_info.version = "3.11.7"


@tampering(has_normal_form, "make notebooks")
def keep_timings(notebook):
    notebook.cells[1].metadata.execution = {"iopub.execute_input": "2026-01-01T00:00:00Z"}


@tampering(has_normal_form, "make notebooks")
def cut_a_print_in_two(notebook):
    cell_of(notebook, "number").outputs = [text_output("3.1"), text_output("416\n")]


@tampering(has_unique_ids, "have the id imports")
def repeat_an_id(notebook):
    notebook.cells[3].id = "imports"


@tampering(ran_from_top_to_bottom, "in order")
def run_cells_out_of_order(notebook):
    notebook.cells[1].execution_count, notebook.cells[3].execution_count = 2, 1


@tampering(ran_from_top_to_bottom, "12, None]")
def leave_a_cell_unrun(notebook):
    notebook.cells[-1].execution_count = None


@tampering(ran_from_top_to_bottom, "got [None")
def clear_all(notebook):
    clear_outputs(notebook)
    for cell in code_cells(notebook):
        cell.execution_count = None


@tampering(has_outputs, "no cell has any output")
def clear_outputs(notebook):
    for cell in code_cells(notebook):
        cell.outputs = []


@tampering(shows_what_it_prints, "number prints")
def clear_a_printed_text(notebook):
    cell_of(notebook, "number").outputs = []


@tampering(shows_what_it_draws, "red draws 1 pictures, but 0")
def lose_a_picture_with_its_hash(notebook):
    cell_of(notebook, "red").outputs = []
    del cell_of(notebook, "red").metadata["digitlib"]


@tampering(shows_what_it_draws, "does not end with plt.show()")
def draw_without_show(notebook):
    cell_of(notebook, "red").source = "plt.plot([1, 2])"


@tampering(shows_what_it_draws, "number draws 2 pictures, but 0")
def draw_in_a_function_without_a_picture(notebook):
    cell_of(notebook, "imports").source += "\n\n\ndef draw(x):\n    plt.plot(x)\n    plt.show()"
    cell_of(notebook, "number").source = "draw([1])\ndraw([2])"


@tampering(keeps_its_own_pictures, "cell red")
def lose_a_picture(notebook):
    cell_of(notebook, "red").outputs = []


@tampering(keeps_its_own_pictures, "cell red")
def swap_two_pictures(notebook):
    red, blue = cell_of(notebook, "red"), cell_of(notebook, "blue")
    red.outputs, blue.outputs = blue.outputs, red.outputs


@tampering(keeps_its_own_pictures, "cell blue")
def blank_a_picture(notebook):
    cell_of(notebook, "blue").outputs = [picture_output(png("white"))]


@tampering(keeps_its_own_pictures, "cell red")
def drop_the_hash(notebook):
    del cell_of(notebook, "red").metadata["digitlib"]


@tampering(has_small_pictures, "at most 160,000")
def store_a_large_picture(notebook):
    noise = b"".join(hashlib.sha256(bytes([i // 256, i % 256])).digest() for i in range(8192))
    file = io.BytesIO()
    Image.frombytes("RGB", (256, 340), noise[: 256 * 340 * 3]).save(file, "PNG")
    cell_of(notebook, "red").outputs = [picture_output(file.getvalue())]


@tampering(describes_its_pictures, "say what it shows")
def leave_out_the_alt_text(notebook):
    del cell_of(notebook, "red").metadata["mystnb"]


@tampering(describes_its_pictures, "say what it shows")
def write_a_short_alt_text(notebook):
    cell_of(notebook, "red").metadata.mystnb.image.alt = "a plot of the loss"


@tampering(describes_its_pictures, "repeats the alt text of cell red")
def repeat_an_alt_text(notebook):
    cell_of(notebook, "blue").metadata.mystnb = cell_of(notebook, "red").metadata.mystnb


@tampering(describes_its_pictures, "digit.png")
def show_a_file_without_alt_text(notebook):
    notebook.cells[2].source = "![](digit.png)"


@tampering(has_clean_outputs, "stderr: FutureWarning")
def warn(notebook):
    cell_of(notebook, "number").outputs.append(text_output("FutureWarning: soon\n", "stderr"))


@tampering(has_clean_outputs, "failed with ValueError")
def fail(notebook):
    cell_of(notebook, "number").outputs = [
        new_output("error", ename="ValueError", evalue="no", traceback=["no"])
    ]


@tampering(has_clean_outputs, "the name of an object")
def put_out_axes(notebook):
    cell_of(notebook, "red").outputs.append(
        new_output("execute_result", data={"text/plain": "<Axes: xlabel='x'>"})
    )


@tampering(has_clean_outputs, "an address in memory")
def put_out_an_address(notebook):
    cell_of(notebook, "number").outputs = [text_output("[<Line2D object at 0x7f3c1a2b>]")]


@tampering(has_clean_outputs, "a path of one machine")
def put_out_a_path(notebook):
    cell_of(notebook, "number").outputs = [text_output("saved to /home/ada/digits/cnn.pth")]


@tampering(has_clean_outputs, "a path of one machine")
def put_out_a_windows_path(notebook):
    cell_of(notebook, "number").outputs = [text_output("saved to C:\\digits\\cnn.pth")]


@tampering(has_clean_outputs, "a progress bar")
def put_out_a_progress_bar(notebook):
    cell_of(notebook, "number").outputs = [text_output("epoch 1:  40%|####      | 2/5 [00:01<00:02]")]


@tampering(has_clean_outputs, "a timing")
def put_out_a_timing(notebook):
    cell_of(notebook, "number").outputs = [text_output("CPU times: user 2 s\nWall time: 1 s\n")]


@tampering(has_plain_sources, "semicolon")
def end_with_a_semicolon(notebook):
    cell_of(notebook, "red").source += ";"


@tampering(has_plain_sources, "a time")
def time_a_cell(notebook):
    cell_of(notebook, "number").source = "%%time\nprint(round(pi, 4))"


@tampering(has_plain_sources, "imports * from math")
def import_everything(notebook):
    cell_of(notebook, "imports").source = "from math import *"


@tampering(has_plain_sources, "cell double is empty")
def empty_a_cell(notebook):
    cell_of(notebook, "double").source = "\n"


@tampering(has_known_tags, "unknown tag 'nbval-ignore-outputs'")
def misspell_a_tag(notebook):
    cell_of(notebook, "number").metadata.tags = ["nbval-ignore-outputs"]


@tampering(has_known_tags, "unknown tag 'nbval-skip'")
def skip_a_cell(notebook):
    cell_of(notebook, "number").metadata.tags = ["nbval-skip"]


@tampering(has_known_tags, "without a reason")
def ignore_an_output(notebook):
    cell_of(notebook, "number").metadata.tags = ["nbval-ignore-output"]


@tampering(has_known_tags, "'hide-output'")
def hide_an_output_by_a_tag(notebook):
    cell_of(notebook, "number").metadata.tags = ["hide-output"]


@tampering(has_known_tags, "unknown tag 'hide-cell'")
def hide_a_cell_of_the_lesson(notebook):
    cell_of(notebook, "number").metadata.tags = ["hide-cell"]


@tampering(has_known_tags, "'hide-input', which has no business there")
def hide_a_line_of_the_lesson(notebook):
    cell_of(notebook, "number").metadata.tags = ["hide-input"]


@tampering(has_known_tags, "'picture-varies', which has no business there")
def let_a_text_vary(notebook):
    cell_of(notebook, "number").metadata.tags = ["picture-varies"]


@tampering(has_known_tags, "'check', which has no business there")
def tag_prose(notebook):
    cell_of(notebook, "prose").metadata.tags = ["check"]


@tampering(has_known_tags, "'picture-varies', which has no business there")
def tag_twice(notebook):
    cell_of(notebook, "red").metadata.tags = ["picture-varies"] * 2


@tampering(shows_its_outputs_as_they_are, "cell red puts out ['image/jpeg', 'image/png', 'text/plain']")
def add_a_jpeg(notebook):
    cell_of(notebook, "red").outputs[0].data["image/jpeg"] = "/9j/"


@tampering(shows_its_outputs_as_they_are, "application/vnd.jupyter.widget-view+json")
def add_a_widget(notebook):
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider(value=3)"}
    cell_of(notebook, "number").outputs.append(new_output("display_data", data=data))


@tampering(shows_its_outputs_as_they_are, "cell red shows an output otherwise: {'image/png': {'width': 3")
def shrink_a_picture(notebook):
    cell_of(notebook, "red").outputs[0].metadata = {"image/png": {"width": 3, "height": 2}}


@tampering(shows_its_outputs_as_they_are, "cell number hides something: jupyter is {'outputs_hidden': True}")
def hide_an_output(notebook):
    cell_of(notebook, "number").metadata.jupyter = {"outputs_hidden": True}


@tampering(has_normal_form, "make notebooks")
def keep_the_widgets_state(notebook):
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}


@tampering(has_known_tags, "in a comment")
def skip_a_cell_by_a_comment(notebook):
    cell_of(notebook, "number").source = "# NBVAL_SKIP\nprint(round(pi, 4))"


@tampering(has_short_cells, "has 21 lines")
def write_a_long_cell(notebook):
    cell_of(notebook, "double").source = "\n".join(["x = 1"] * 21)


@tampering(has_the_length_of_a_lesson, "900 to 2400 words")
def write_too_little(notebook):
    notebook.cells[0].source = "# 1. A title"


@tampering(has_the_length_of_a_lesson, "code cells, found 33")
def write_too_many_cells(notebook):
    notebook.cells += [new_code_cell("x = 0", id=f"more-{number}") for number in range(20)]


@tampering(has_the_length_of_a_lesson, "a median of 5 lines")
def write_long_cells_throughout(notebook):
    for cell in code_cells(notebook):
        cell.source += "\nx = 1" * 5


@tampering(states_its_minutes, "expected 'About 10 minutes'")
def state_other_minutes(notebook):
    notebook.cells[0].source = notebook.cells[0].source.replace("About 10 minutes", "About 5 minutes")


@tampering(states_its_minutes, "nobody has measured")
def measure_no_time(notebook):
    del notebook.metadata["digitlib"]


@tampering(has_no_typed_measurement, "has 97.3% in its prose")
def type_an_accuracy(notebook):
    cell_of(notebook, "prose").source = "You see that 97.3% are right."


@tampering(has_no_typed_measurement, "has 9,731 in its prose")
def type_a_count(notebook):
    cell_of(
        notebook, "prose"
    ).source = "Of the [10,000](../Makefile) images, 9,731 are right, since `1234` and 2015."


@tampering(has_no_typed_measurement, "has 0.4 in its prose")
def type_another_notebooks_number(notebook):
    cell_of(notebook, "prose").source = "The deviation is 0.4 points."


@tampering(has_prose_between, "all code")
def leave_out_the_prose(notebook):
    notebook.cells.remove(cell_of(notebook, "more"))


@tampering(begins_with_its_title, "the one title")
def leave_out_the_title(notebook):
    del notebook.cells[0]


@tampering(begins_with_its_title, "the one title")
def write_two_titles(notebook):
    notebook.cells[2].source = "# Another title"


@tampering(links_to_what_exists, "12_missing.ipynb")
def link_to_nowhere(notebook):
    notebook.cells[2].source = "Read on in [the next](12_missing.ipynb)."


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_no_guard_complains_of_an_honest_notebook(guard):
    assert guard(honest_notebook()) == []


@pytest.mark.parametrize("change, guard, complaint", tampering)
def test_tampering_is_found(change, guard, complaint):
    notebook = honest_notebook()
    change(notebook)
    assert complaint in "\n".join(guard(notebook))


def test_every_guard_can_fail():
    assert {param.values[1] for param in tampering} == set(GUARDS)


@pytest.mark.parametrize("name", NAMES)
def test_the_real_notebook_cannot_be_cleared(name):
    notebook = read(name)
    clear_outputs(notebook)
    assert has_outputs(notebook)
    assert shows_what_it_prints(notebook) or shows_what_it_draws(notebook)
    clear_all(notebook)
    assert ran_from_top_to_bottom(notebook)


@pytest.mark.parametrize("name", NAMES)
def test_no_picture_of_the_real_notebook_can_be_lost_or_swapped(name):
    notebook = read(name)
    every = [png("blue"), *(picture for cell in code_cells(notebook) for picture in pictures(cell))]
    for cell in code_cells(notebook):
        for i, output in enumerate(cell.outputs):
            if "image/png" not in output.get("data", {}):
                continue
            own = output.data["image/png"]
            for other in every:
                output.data["image/png"] = base64.b64encode(other).decode()
                assert bool(keeps_its_own_pictures(notebook)) == (output.data["image/png"] != own)
            output.data["image/png"] = own
            del cell.outputs[i]
            assert keeps_its_own_pictures(notebook)
            cell.outputs.insert(i, output)
