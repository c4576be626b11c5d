"""Words as source of manual pages: what means something to roff is written so that it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Beginnings of lines that roff would take for requests.
_REQUEST = re.compile(r"^(?=[.'])", re.MULTILINE)
# Options, and words that stand for a user's: --config, -o, PATH, IP:PORT.
_OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)(?![\w-])")
_PLACEHOLDER = re.compile(r"(?<![\w/.-])([A-Z]{2,}(?:[:|][A-Z]{2,})*)(?![\w.-])")


def escape(text: str) -> str:
    """Text that roff prints as it is; every '-' is the one that a shell knows."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return _REQUEST.sub(r"\\&", escaped)


def bold(text: str) -> str:
    """Literal text, such as an option's name."""
    return rf"\fB{escape(text)}\fR"


def italic(text: str) -> str:
    """Text that stands for a user's own."""
    return rf"\fI{escape(text)}\fR"


def usage(text: str) -> str:
    """A line of usage, options in bold and what stands for a user's words in italics."""
    parts = []
    for word in re.split(r"(\s+|[\[\]{},|])", text):
        if _OPTION.fullmatch(word):
            parts.append(bold(word))
        elif _PLACEHOLDER.fullmatch(word):
            parts.append(italic(word))
        else:
            parts.append(escape(word))
    return "".join(parts)


def title(name: str, section: int, version: str, date: str, what: str) -> str:
    """The first lines of a page. *date* is of the form 2026-01-31, or empty."""
    head = f'.TH "{name.upper()}" {section} "{date}" "nsgd {version}" "System Administration"\n'
    # No hyphenation, and text flush left: names must be found by a search.
    return f"{head}.nh\n.ad l\n" + section_of("NAME", f"{escape(name)} \\- {escape(what)}\n")


def section_of(heading: str, body: str) -> str:
    """A section; *body* is source."""
    return f".SH {heading}\n{body}"


def subsection_of(heading: str, body: str) -> str:
    """A subsection; *body* is source."""
    return f".SS {bold(heading)}\n{body}"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f".PP\n{escape(text)}\n"


def definitions(entries: Iterable[tuple[str, str]]) -> str:
    """A list of terms, which are source, and what plain text says of each."""
    return "".join(f".TP\n{term}\n{escape(text) or escape('-')}\n" for term, text in entries)


def literal(text: str) -> str:
    """Lines as they are, indented."""
    return f".PP\n.RS 4\n.nf\n{escape(text.rstrip())}\n.fi\n.RE\n"
