"""Gives the book's pages what Jupyter Book and its theme leave out: boxes, numbers, names, and less to load.

Jupyter Book calls this as a Sphinx extension (see _config.yml). Before a page is written, its exercises, its quiz and
its predictions become boxes with an end, and its figures get a number and a caption. After the build, what the theme
has put into each page is mended by the table MENDS, the book's entrance becomes a real page, and what no page
needs is left out.
"""

import html
import re
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

EXERCISE_TAGS = {"tag_exercise", "tag_check"}
# Pixels: no figure is shown wider, so a picture that is wider has two pixels for each of the page's.
DENSE = 650

# How American spelling writes what these pages write in British.
AMERICAN = [
    (r"(\w{3,}(?:al|an|ar|er|gn|ic|im|it|nt|or))is(e|ed|er|es|ing|ation|ations)", r"\1iz\2"),
    (r"(\w*(?:col|fav|behavi|hon|neighb))our(\w*)", r"\1or\2"),
    (r"(\w*(?:ab|av|ev|od))ell(ed|ing)", r"\1el\2"),
    (r"centr(ed|ing)", r"center\1"),
    (r"centre(s?)", r"center\1"),
    (r"grey(\w*)", r"gray\1"),
    (r"learnt", "learned"),
]

# What the theme writes into each page, and what stands there instead.
MENDS = [
    (r'\s*<!-- So that users can add custom icons -->\s*<script defer src="[^"]*fontawesome.js[^>]*></script>', ""),
    (r'(<meta name="viewport"[^>]*>)(.*?)<meta name="viewport"[^>]*>', r"\1\2"),
    (r'<meta name="docsearch:[^>]*>\s*', ""),
    # Only the page of the search needs its scripts.
    (r'<script src="[^"]*_static/searchtools\.js"></script>\s*<script src="[^"]*language_data\.js"></script>\s*'
     r'<script src="[^"]*searchindex\.js"></script>\s*(?=</head>)', ""),
    # A control is called what it shows.
    (r'(<summary) aria-label="Toggle hidden content"', r"\1"),
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    ("Color mode", "Colour mode"),
    # The page of the search tells the console about itself.
    (r'console\.log\("\[PST\][^;]*;', ""),
    # The sidebar with the book's name is a landmark.
    (r'(<div id="pst-primary-sidebar")(?! role)', r'\1 role="navigation" aria-label="Book"'),
]  # fmt: skip


class Boxes(SphinxTransform):
    """Give exercises, quizzes and predictions boxes of their own; a box ends where its subject ends."""

    default_priority = 870  # before Sphinx, at 880, lists the contents of a page

    def apply(self, **options):
        """Change the page in place."""
        for section in list(self.document.findall(nodes.section)):
            if any(_tags(child) & EXERCISE_TAGS for child in section.children):
                box_exercise(section)
            if any(_begins_with(child, "Quiz") for child in section.children):
                box_quiz(section, self.document)
        for paragraph in list(self.document.findall(nodes.paragraph)):
            mark_prediction(paragraph)
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("hide_mode") == "input" and "code cell" in cell.get("prompt_show", ""):
                shown = [
                    part
                    for part in cell.findall(nodes.container)
                    if part.get("nb_element") == "cell_code_output"
                ]
                what = "behind this figure" if next(cell.findall(nodes.image), None) else "behind this output"
                what = what if shown else "of this cell"
                for verb in ("show", "hide"):
                    cell[f"prompt_{verb}"] = f"{verb.capitalize()} the code {what}"


class Spellings(SphinxTransform):
    """Let the search find a page by American spelling too: its words are keywords of the page."""

    default_priority = 880

    def apply(self, **options):
        """Add them to the page, if it has any."""
        words = set(re.findall(r"[a-z]+", self.document.astext().lower()))
        if others := sorted({american(word) for word in words} - words):
            self.document.append(nodes.meta("", name="keywords", content=", ".join(others)))


class Figures(SphinxPostTransform):
    """Make figures of the pictures that cells put out, each with the caption that its author has written behind it.

    A caption is a paragraph that begins with "**Figure 3.**"; without one, the text that describes the picture does.
    """

    default_priority = 300  # when one of a cell's outputs has been chosen for this kind of book
    formats = ("html",)

    def run(self, **options):
        """Change the page in place."""
        cells = [
            box for box in self.document.findall(nodes.container) if box.get("nb_element") == "cell_code"
        ]
        pictures = [(cell, image) for cell in cells for image in cell.findall(nodes.image)]
        for count, (cell, image) in enumerate(pictures, 1):
            if "width" not in image and (width := _width(Path(self.env.srcdir, image["uri"]))) > DENSE:
                image["width"] = f"{width // 2}px"
            behind = cell.next_node(descend=False, siblings=True)
            if _begins_with(behind, f"Figure {count}."):
                caption = behind.children
                behind.parent.remove(behind)
            else:
                # Whoever listens has heard these words as the picture's own.
                words = f'<span aria-hidden="true"> {html.escape(image.get("alt", ""))}</span>'
                caption = [nodes.strong("", f"Figure {count}."), nodes.raw("", words, format="html")]
            opening = nodes.raw("", f'<figure id="figure-{count}">', format="html")
            closing = nodes.raw("", "</figcaption></figure>", format="html")
            begin = nodes.raw("", "<figcaption>", format="html")
            image.parent.replace(image, [opening, image, begin, *caption, closing])


def box_exercise(section: nodes.section) -> None:
    """Make a section's exercise, up to its last cell or hint, all that it holds; the rest comes after it.

    What a check says of a blank answer, or of ours, is no news to a reader: the book shows the check without it.
    """
    children = section.children
    last = max(i for i, child in enumerate(children) if _tags(child) & EXERCISE_TAGS)
    last = _end_of_details(children, last + 1)
    rest = children[last:]
    section["classes"].append("exercise")
    for text in list(section.children[0].findall(nodes.Text)):
        text.parent.replace(text, nodes.Text(text.replace(" minutes)", "\u00a0minutes)")))
    del section.children[last:]
    _insert_after(section, rest)
    for cell in section.children:
        if "tag_check" in _tags(cell):
            for output in [part for part in cell.children if part.get("nb_element") == "cell_code_output"]:
                cell.remove(output)


def box_quiz(section: nodes.section, document: nodes.document) -> None:
    """Gather a section's quiz at its end, under a heading, with a box for each question and its answers."""
    first = next(i for i, child in enumerate(section.children) if _begins_with(child, "Quiz"))
    quiz = nodes.section("", nodes.title("", "Quiz"), ids=["quiz"], names=["quiz"], classes=["quiz"])
    document.note_implicit_target(quiz)
    i = first
    while i < len(section.children) and _begins_with(section.children[i], "Quiz"):
        end = _end_of_details(section.children, i + 1)
        question = nodes.container("", *section.children[i:end], classes=["question"])
        quiz.append(question)
        i = end
    rest = section.children[i:]
    del section.children[first:]
    section.append(quiz)
    section.extend(rest)


def american(word: str) -> str:
    """Return a word in American spelling."""
    for british, other in AMERICAN:
        if found := re.fullmatch(british, word):
            return found.expand(other)
    return word


def mark_prediction(paragraph: nodes.paragraph) -> None:
    """Make a request to predict a paragraph of its own, which looks like a stop; in a list, mark its first word."""
    for i, child in enumerate(paragraph.children):
        if not (isinstance(child, nodes.strong) and child.astext().startswith("Predict")):
            continue
        child["classes"].append("predict-word")
        if not isinstance(paragraph.parent, nodes.section):
            return
        request = nodes.paragraph("", "", *paragraph.children[i:], classes=["predict"])
        del paragraph.children[i:]
        if paragraph.astext().strip():
            _insert_after(paragraph, [request])
        else:
            paragraph.parent.replace(paragraph, request)
        return


def _tags(node: nodes.Node) -> set[str]:
    return set(node.get("classes", [])) if isinstance(node, nodes.container) else set()


def _begins_with(node: nodes.Node, word: str) -> bool:
    if not isinstance(node, nodes.paragraph):
        return False
    first = next((child for child in node.children if child.astext()), None)
    return isinstance(first, nodes.strong) and first.astext().startswith(word)


def _end_of_details(children: list, start: int) -> int:
    """Return the index behind the <details> that follow each other from start on; raw HTML in a page's tree."""
    depth, end = 0, start
    for i in range(start, len(children)):
        raw = children[i].astext() if isinstance(children[i], nodes.raw) else ""
        depth += raw.count("<details") - raw.count("</details>")
        if depth == 0 and not raw.strip():
            break
        if depth == 0:
            end = i + 1
    return end


def _insert_after(node: nodes.Element, following: list) -> None:
    at = node.parent.index(node) + 1
    node.parent[at:at] = following


def _width(picture: Path) -> int:
    from PIL import Image  # not for a build that only lists the extension

    with Image.open(picture) as image:
        return image.width


# ---- around the text of a page ---------------------------------------------------------------------------------------


def add_to_head(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give each page a description and a picture for link previews; no script for formulas: they are set."""
    context["metatags"] = re.sub(r'<meta name="viewport"[^>]*>\s*', "", context.get("metatags") or "")
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "mathjax" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
    ]
    if doctree is None:
        return
    title = context.get("title") or app.config.project
    if re.sub("<.*?>", "", title) == context.get("docstitle"):
        context["docstitle"] = ""  # once is enough
    picture = context["pathto"]("_static/frame/preview.png", 1)
    tags = {
        "name": {"description": describe(doctree)},
        "property": {
            "og:title": html.unescape(re.sub("<.*?>", "", title)),
            "og:description": describe(doctree),
            "og:image": picture,
            "og:type": "article",
        },
    }
    for kind, values in tags.items():
        for name, value in values.items():
            context["metatags"] += f'<meta {kind}="{name}" content="{html.escape(value)}" />\n'


def describe(doctree: nodes.document) -> str:
    """Return a page's first words, in whole sentences as far as 200 characters allow."""
    words = []
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section):
            words += paragraph.astext().split()
            if len(" ".join(words)) >= 120:
                break
    text = " ".join(words)
    if len(text) <= 200:
        return text
    end = max(text.rfind(mark, 60, 200) for mark in (". ", "? ", ": "))
    return text[: end + 1] if end > 0 else text[:199].rsplit(" ", 1)[0] + " …"


# ---- after the build -------------------------------------------------------------------------------------------------


def finish(app, exception: Exception | None) -> None:
    """Mend what the theme wrote, make the entrance a page, and leave out what no page loads."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(mended(text, page.stem == "search"), encoding="utf-8")
    root = app.config.root_doc
    if (folder / f"{root}.html").exists():
        text = (folder / f"{root}.html").read_text(encoding="utf-8")
        (folder / "index.html").write_text(moved_up(text, root.rpartition("/")[0]), encoding="utf-8")
    static = folder / "_static"
    for pattern in ("scripts/fontawesome.*", "**/*.map", "vendor/fontawesome/webfonts/*"):
        for path in static.glob(pattern):
            path.unlink()
    for script in (static / "scripts").glob(
        "*theme.js"
    ):  # which tells the console about colours and scrolling
        text = script.read_text(encoding="utf-8")
        script.write_text(text.replace("console.log(", "void("), encoding="utf-8")
    theme = static / "styles/pydata-sphinx-theme.css"
    theme.write_text(without_icon_font(theme.read_text(encoding="utf-8")), encoding="utf-8")


def mended(text: str, is_search: bool = False) -> str:
    """Return a page with what the theme wrote mended."""
    for pattern, replacement in MENDS:
        if not (is_search and "searchtools" in pattern):
            text = re.sub(pattern, replacement, text, flags=re.DOTALL if "viewport" in pattern else 0)
    return text


def moved_up(text: str, folder: str) -> str:
    """Return a page of a folder of the book with the addresses that it has as a page of the book's root."""

    def address(match: re.Match) -> str:
        attribute, value = match.groups()
        if re.match(r"[a-z]+:|#|/", value) or not value:
            return match[0]
        value = value[3:] if value.startswith("../") else f"{folder}/{value}"
        return f'{attribute}="{value}"'

    text = text.replace('data-content_root="../"', 'data-content_root="./"')
    return re.sub(r'\b(href|src|srcset|action)="([^"]*)"', address, text)


def without_icon_font(css: str) -> str:
    """Return the theme's style sheet without Font Awesome's 2,000 icons: those in use are drawn in frame/icons.css."""
    css = re.sub(r"@font-face\{[^}]*Font Awesome[^}]*\}", "", css)
    css = re.sub(r"(?<=\})(?:\.fa[srb]?(?:-[a-z0-9-]+)?(?:::?[a-z]+)?,?)+\{[^}]*\}", "", css)
    return re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)


def setup(app) -> dict:
    """Tie all this to the moments of a build."""
    app.add_transform(Boxes)
    app.add_transform(Spellings)
    app.add_post_transform(Figures)
    app.connect("html-page-context", add_to_head, priority=900)  # when the others have added their scripts
    app.connect("build-finished", finish, priority=400)  # before an index.html that only leads on is written
    return {"parallel_read_safe": True, "parallel_write_safe": True}
