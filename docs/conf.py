"""How the pages of this directory become a site: ``make docs``.

The pages are plain Markdown that reads as well where the repository is hosted, so nothing in them
is written for Sphinx. What it needs beside them, the order of pages, is taken from the lists of
index.md: a page that is in no list is a warning, and warnings are errors.
"""

from __future__ import annotations

import re

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from nsgd import __version__

project = "nsgd"
author = "the authors of nsgd"
copyright = author
version = release = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["requirements.txt"]
nitpicky = True
# Links such as policy-document.md#host-role mean the anchors that hosts of code make of headings.
myst_heading_anchors = 4
pygments_style = "friendly"
pygments_dark_style = "monokai"

html_theme = "furo"
html_title = f"nsgd {__version__}"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["site"]
html_css_files = ["site.css"]
# No date and no address of this machine: the same sources make the same site.
html_last_updated_fmt = None

_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_TO_README = re.compile(r"\]\((?:\.\./)+README\.md(?:#[^)]*)?\)")
# Words after ``` that name no language that is coloured: nft has no lexer, others tell tests what
# a block is.
_PLAIN = ("nft", "internet-only-nsgd", "internet-only-azure")
_LISTED = re.compile(r"^\* \[[^\]]+\]\(([^)#]+)\.md\)", re.MULTILINE)


def contents(index: str) -> str:
    """The tables of contents that the lists of the start page stand for, one for each section."""
    trees = []
    for heading, text in _SECTION.findall(index):
        pages = _LISTED.findall(text)
        if pages:
            lines = [f":caption: {heading}", ":hidden:", "", *pages]
            trees.append("\n".join(("```{toctree}", *lines, "```")))
    return "\n\n".join(trees)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    # The start page is to the site what README.md is to the repository.
    start = f"{'../' * page.count('/')}index.md"
    source[0] = _TO_README.sub(rf"]({start})", source[0])
    if page == "index":
        source[0] += f"\n{contents(source[0])}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Read pages as a site has them."""
    for word in _PLAIN:
        app.add_lexer(word, TextLexer)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
