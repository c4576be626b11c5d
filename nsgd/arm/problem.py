"""What is wrong with a template: values that name the place, the expression and the way out."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice

Key = str | int  # one step of a path: a key of an object or a place in a list
Path = tuple[Key, ...]

_SHOWN_CHARACTERS = 80

# How much is done to find the word that was meant. A comparison takes ten times as long as a look
# at a word's length and ends; all of both that a template gets are about a second.
_LONGEST_COMPARED = 64
_MOST_COMPARED = 100  # for one word
_LOOKS = 100_000  # in one template
_COMPARISONS = 20_000  # in one template
_ALIKE = 0.6  # of all letters; as difflib counts it


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """One mistake in one template.

    *document* is empty for the template that was given, and the link of a linked template
    otherwise. *path* leads through nested templates; *expression* is the text of the value that
    could not be evaluated, or None; *line* counts from 1, or is None where it is not known.
    """

    path: Path
    expression: str | None
    message: str
    way_out: str
    document: str = ""
    line: int | None = None

    def __str__(self) -> str:
        line = None if self.line is None else f"line {self.line}"
        where = ":".join(part for part in (self.document, line) if part)
        prefix = " ".join(part for part in (where, format_path(self.path)) if part)
        expression = f" in {show(self.expression)}" if self.expression else ""
        return f"{prefix or 'template'}: {self.message}{expression}; {self.way_out}"


class TemplateRefused(Exception):
    """No resource was taken: *problems* holds every mistake that was found, never none."""

    def __init__(self, problems: tuple[TemplateProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Mistake(Exception):
    """Raised inside one value; whoever evaluates the value knows its place."""

    def __init__(self, message: str, way_out: str) -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out


class LimitReached(Exception):
    """The whole evaluation stops: going on would take too long or too much memory."""

    def __init__(self, message: str, way_out: str) -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out


def show(value: object) -> str:
    """Write a value for a message: one line, printable, of bounded length."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # repr escapes what a terminal would act on, lone surrogates included.
        text = str(value)
        return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
    if isinstance(value, int | float):
        return repr(value)
    return "an array" if isinstance(value, list) else "an object"


def format_path(path: Iterable[Key]) -> str:
    """Write a path as ``resources[0].properties.securityRules[3]``."""
    parts: list[str] = []
    for key in path:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif key.replace("_", "a").replace("$", "a").isalnum() and key.isascii() and len(key) < 80:
            parts.append(f".{key}" if parts else key)
        else:
            parts.append(f"[{show(key)}]")
    return "".join(parts)


@dataclass(slots=True)
class _Left:
    """What may still be done to find the words that were meant."""

    looks: int = _LOOKS
    comparisons: int = _COMPARISONS


_LEFT: ContextVar[_Left | None] = ContextVar("left", default=None)


@contextmanager
def bounded_suggestions() -> Iterator[None]:
    """Bound what closest() does in all its calls inside, and not only in each.

    A template of a few megabytes has room for thousands of names and for thousands of mistakes:
    the first of these get a suggestion, and the others none.
    """
    token = _LEFT.set(_Left())
    try:
        yield
    finally:
        _LEFT.reset(token)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* was probably meant to be; None also where looking is too much."""
    left = _LEFT.get() or _Left()
    if not 0 < len(word) <= _LONGEST_COMPARED or not left.comparisons:
        return None
    looked_at = list(islice(known, left.looks))
    left.looks -= len(looked_at)
    length = len(word)
    # Where one is much longer than the other, too few letters are alike, whatever they are.
    by_lower = {
        one.lower(): one
        for one in looked_at
        if 2 * min(length, len(one)) / (length + len(one)) >= _ALIKE
    }
    lower = word.lower()
    possible: Iterable[str] = by_lower
    allowed = min(_MOST_COMPARED, left.comparisons)
    if len(by_lower) > allowed:
        # A slip leaves the ends as they are.
        possible = heapq.nlargest(allowed, by_lower, key=lambda one: _shared_ends(lower, one))
    left.comparisons -= min(len(by_lower), allowed)
    found = difflib.get_close_matches(lower, possible, n=1, cutoff=_ALIKE)
    return by_lower[found[0]] if found else None


def _shared_ends(one: str, other: str) -> int:
    """How many letters two words begin and end with alike."""
    return _shared_start(one, other) + _shared_start(one[::-1], other[::-1])


def _shared_start(one: str, other: str) -> int:
    count = 0
    for letter, its in zip(one, other, strict=False):
        if letter != its:
            break
        count += 1
    return count
