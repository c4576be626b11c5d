"""What is wrong with a template: values that name the place, the expression and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Key = str | int  # one step of a path: a key of an object or a place in a list
Path = tuple[Key, ...]

_SHOWN_CHARACTERS = 80
_LONGEST_COMPARED = 64


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


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* was probably meant to be."""
    if len(word) > _LONGEST_COMPARED:
        return None
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
