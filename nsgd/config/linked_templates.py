"""Links of one template to others: those that lie below its own directory are read."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nsgd.arm.problem import TemplateRefused
from nsgd.arm.text import ParsedTemplate, parse_template_text
from nsgd.config.document import Document, ReadLinked
from nsgd.config.parse import decode_document
from nsgd.config.problem import Problem, Refusal
from nsgd.config.tree import Unreadable

# Where a template is said to lie, for links that are relative to it: one directory below the root,
# so that a link that leads out of the directory is not taken for one inside.
_BASE = "file:///template/"
# How the note on a linked template that is nowhere near ends: what it deploys may hold rules.
NOT_LOADED = "is not loaded: what it deploys is missing"


class LinkedFiles:
    """Reads what a template links to, each file once.

    *read* are the documents that were read, *problems* those that could not be, and *parsed* the
    linked templates by link.
    """

    def __init__(
        self, template: str, given: Iterable[Document], read_linked: ReadLinked | None
    ) -> None:
        """Take the name of the template's document, and where to look.

        Args:
            template: The name; links are relative to its directory.
            given: Linked templates that are at hand.
            read_linked: Reads one that is not.
        """
        self._template = template
        self._given = {document.name: document for document in given}
        self._read_linked = read_linked
        self._by_link: dict[str, dict[str, Any] | None] = {}
        self.read: list[Document] = []
        self.parsed: dict[str, ParsedTemplate] = {}
        self.problems: list[Problem] = []

    @property
    def uri(self) -> str:
        """The link of the template itself."""
        return _BASE + quote(posixpath.basename(self._template))

    def name(self, link: str) -> str:
        """What a link is called in messages: its file beside the template, or the link."""
        relative = _relative(link)
        return link if relative is None else self._joined(relative)

    def _joined(self, relative: str) -> str:
        return posixpath.join(posixpath.dirname(self._template), relative)

    def load(self, link: str) -> dict[str, Any] | None:
        """The template behind a link; None where it cannot be read, which is then a problem.

        Without a problem it lies elsewhere: that is not fetched, and told as missing.
        """
        if link not in self._by_link:
            self._by_link[link] = self._load(link)
        return self._by_link[link]

    def _load(self, link: str) -> dict[str, Any] | None:
        relative = _relative(link)
        if relative is None:
            return None
        name = self._joined(relative)
        document = self._given.get(name)
        try:
            if document is None and self._read_linked is not None:
                document = self._read_linked(self._template, relative)
            if document is None:
                if link.startswith(_BASE):
                    self._refuse_absent(name)
                return None
            parsed = parse_template_text(decode_document(document.content))
        except Unreadable as unreadable:
            self._refuse(name, unreadable.message, unreadable.way_out, unreadable.line)
        except Refusal as refusal:
            self._refuse(name, refusal.message, refusal.way_out, None)
        except TemplateRefused as refused:
            problem = refused.problems[0]
            self._refuse(name, problem.message, problem.way_out, problem.line)
        else:
            if document not in self.read:
                self.read.append(document)
            self.parsed[link] = parsed
            return parsed.tree
        return None

    def _refuse_absent(self, name: str) -> None:
        """A file of the template's own directory: Azure would not deploy without it.

        To go on would take away, without a word, rules that a lost file held.
        """
        message = f"there is no such file, and {self._template} deploys what is in it"
        way_out = "put the linked template there, or remove its deployment"
        self._refuse(name, message, way_out, None)

    def _refuse(self, name: str, message: str, way_out: str, line: int | None) -> None:
        self.problems.append(Problem(name, "", line, message, way_out))


def _relative(link: str) -> str | None:
    """The path of a link inside the template's directory; None where it leads elsewhere."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        if not link.startswith(_BASE):
            return None
        link = link.removeprefix(_BASE)
    # Behind ? templates put tokens of storage accounts.
    path = posixpath.normpath(unquote(link.partition("?")[0]).replace("\\", "/"))
    is_outside = path.startswith(("/", "../")) or path in (".", "..") or "\0" in path
    return None if is_outside else path
