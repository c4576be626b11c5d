"""Collects problems by place and adds what a reader needs: the names and the line.

Checking keeps no positions. Only when something is wrong is a document read once more for its
lines, so a good document pays nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nsgd.azure.origins import Origins
from nsgd.config.problem import Key, Problem, format_path
from nsgd.config.tree import Lines, Unreadable
from nsgd.config.wording import show
from nsgd.config.yaml_tree import read_lines


class Place(NamedTuple):
    """A path in one of the documents, which are counted from 0."""

    document: int
    path: tuple[Key, ...] = ()

    def at(self, *keys: Key) -> Place:
        """The place that *keys* lead to from here."""
        return Place(self.document, self.path + keys)


class Located(NamedTuple):
    """A place in what the user wrote: its document, which may be one that a template links to.

    *expression* is the text there where it is an expression of a template.
    """

    document: str
    path: tuple[Key, ...]
    line: int | None
    expression: str | None = None


class Parsed(Protocol):
    """What was read of a document; the tree alone of what has no text of its own."""

    @property
    def text(self) -> str | None:
        """As it was written."""

    @property
    def tree(self) -> object:
        """Plain values."""


@dataclass(frozen=True, slots=True)
class Source:
    """One document as far as it could be read; *parsed* is None where it could not.

    *origins* lead from the places that checking knows to the text, where that is not native. Of a
    template the tree is what came out of it: *locate* leads from there to its text.
    *missing_way_out* is what to do where it refers to what is nowhere.
    """

    name: str
    parsed: Parsed | None = None
    origins: Origins | None = None
    locate: Callable[[tuple[Key, ...]], Located] | None = None
    missing_way_out: str | None = None


# A document of a million mistakes is not read to its end by anybody.
MOST_PROBLEMS = 1000
_SHOWN_EXPRESSION = 120


class _Entry(NamedTuple):
    place: Place
    message: str
    way_out: str
    line: int | None


class Report:
    """The problems found so far, in all documents.

    *is_complete* is False where a document could not be read at all: a name that is declared
    nowhere may then be declared there, so it is not reported as unknown.
    """

    def __init__(self, sources: Sequence[Source], is_complete: bool = True) -> None:
        self.is_complete = is_complete
        self._sources = sources
        self._entries: list[_Entry] = []
        self._others = 0
        self._made: list[tuple[int, Problem]] = []
        self._lines: dict[int, Lines | None] = {}

    @property
    def has_problems(self) -> bool:
        """Whether anything was found so far."""
        return bool(self._entries or self._made)

    def add(self, place: Place, message: str, way_out: str, line: int | None = None) -> None:
        """Note a problem; *line* where the caller already knows it."""
        self.add_as_written(self._written(place), message, way_out, line)

    def add_as_written(
        self, place: Place, message: str, way_out: str, line: int | None = None
    ) -> None:
        """Note a problem whose place is one of the document's text."""
        if len(self._entries) + len(self._made) >= MOST_PROBLEMS:
            self._others += 1
            return
        self._entries.append(_Entry(place, message, way_out, line))

    def add_problem(self, document: int, problem: Problem) -> None:
        """Note a problem that is whole already; *document* is where it is told."""
        if len(self._entries) + len(self._made) >= MOST_PROBLEMS:
            self._others += 1
            return
        self._made.append((document, problem))

    def missing_way_out(self, place: Place) -> str | None:
        """What to do where *place* refers to what is nowhere, if its document has a word on it."""
        return self._sources[self._written(place).document].missing_way_out

    def describe(self, document: int, path: tuple[Key, ...]) -> str:
        """A place of a document's text with the document's name."""
        located = self._located(Place(document, path))
        shown = format_path(located.path)
        return f"{located.document}: {shown}" if shown else located.document

    def _located(self, place: Place) -> Located:
        source = self._sources[place.document]
        if source.locate is not None:
            return source.locate(place.path)
        return Located(source.name, place.path, None)

    def locate(self, place: Place, seen_from: Place) -> str:
        """Name a place in a message about another: with its document only where that differs."""
        return self.locate_as_written(self._written(place), self._written(seen_from))

    def locate_as_written(self, place: Place, seen_from: Place) -> str:
        """As locate(), of places of the documents' text."""
        located = self._located(place)
        path = format_path(located.path)
        if located.document == self._located(seen_from).document:
            return path or "this document"
        return f"{path} in {located.document}" if path else located.document

    def _written(self, place: Place) -> Place:
        origins = self._sources[place.document].origins
        return place if origins is None else Place(*origins.find(place.path))

    def where(self, place: Place) -> Located:
        """Where a place stands in what the user wrote, with its line where that is known."""
        return self._with_line(self._written(place), None)

    def _with_line(self, written: Place, known_line: int | None) -> Located:
        located = self._located(written)
        line = located.line if known_line is None else known_line
        parsed = self._sources[written.document].parsed
        if line is None and parsed is not None and parsed.text is not None:
            if written.document not in self._lines:
                self._lines[written.document] = _read_lines(parsed.text)
            line = _line_of(self._lines[written.document], written.path)
        return located._replace(line=line)

    def problems(self) -> tuple[Problem, ...]:
        """The first problems found, by document and line, and how many others there are."""
        result: list[tuple[int, int, Problem]] = []
        for place, message, way_out, known_line in self._entries:
            source = self._sources[place.document]
            parsed = source.parsed
            located = self._with_line(place, known_line)
            line = located.line
            names = "" if parsed is None else _names(parsed.tree, place.path)
            problem = Problem(
                located.document,
                format_path(located.path),
                line,
                with_expression(f"{names}: {message}" if names else message, located.expression),
                way_out,
            )
            result.append((place.document, line or 0, problem))
        result += [(document, one.line or 0, one) for document, one in self._made]
        result.sort(key=lambda entry: entry[:2])
        problems = [problem for _, _, problem in result]
        if self._others:
            message = f"there are {self._others} other problems"
            problems.append(Problem("documents", "", None, message, "mend these first"))
        return tuple(problems)


def with_expression(message: str, expression: str | None) -> str:
    """A message about a value, with the expression of a template that gave it."""
    if not expression:
        return message
    if len(expression) > _SHOWN_EXPRESSION:
        expression = f"{expression[:_SHOWN_EXPRESSION]}..."
    return f"{message} (from {expression if expression.isprintable() else ascii(expression)})"


def _read_lines(text: str) -> Lines | None:
    try:
        return read_lines(text)
    except Unreadable:
        # Only JSON that is not YAML as well comes here, such as one with escaped surrogate pairs.
        return None


def _line_of(lines: Lines | None, path: tuple[Key, ...]) -> int | None:
    """The line of the path, or of the deepest part of it that the document has."""
    if lines is None:
        return None
    for key in path:
        children = lines.children
        following: Lines | None = None
        if isinstance(children, dict) and isinstance(key, str):
            following = children.get(key)
        elif isinstance(children, list) and isinstance(key, int) and key < len(children):
            following = children[key]
        if following is None:
            break
        lines = following
    return lines.line


def _names(tree: object, path: tuple[Key, ...]) -> str:
    """The names of the objects that the path leads through, the innermost first."""
    names: list[str] = []
    # A problem with a name itself shows that name already.
    steps = path[:-2] if path[-1:] == ("name",) else path
    if isinstance(tree, dict) and isinstance(tree.get("name"), str) and steps and tree["name"]:
        names.append(show(tree["name"]))  # one resource of Azure's JSON by itself
    for key in steps:
        if isinstance(tree, dict) and isinstance(key, str):
            tree = tree.get(key)
        elif isinstance(tree, list) and isinstance(key, int) and key < len(tree):
            tree = tree[key]
        else:
            break
        if isinstance(tree, dict) and isinstance(tree.get("name"), str) and tree["name"]:
            names.append(show(tree["name"]))
    return " of ".join(reversed(names))
