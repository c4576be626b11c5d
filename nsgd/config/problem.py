"""A user's mistake as a value: where it stands, what is wrong, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nsgd.config.wording import show

Key = str | int  # one step of a path: a key of an object or a place in a list

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$<-]{1,60}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in one document.

    *path* is empty where the whole document is meant; *line* counts from 1 and is None
    where it is not known.
    """

    document: str
    path: str
    line: int | None
    message: str
    way_out: str

    def __str__(self) -> str:
        where = self.document if self.line is None else f"{self.document}:{self.line}"
        path = f"{self.path}: " if self.path else ""
        return f"{where}: {path}{self.message}; {self.way_out}"


class ConfigRefused(Exception):
    """No document was taken: *problems* holds every mistake of all documents, never none."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Refusal(Exception):
    """Raised by a parser of one text; the caller knows the place and makes a problem of it."""

    def __init__(self, message: str, way_out: str) -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out


def format_path(path: Iterable[Key]) -> str:
    """Write a path as ``networkSecurityGroups[0].securityRules[3].priority``."""
    parts: list[str] = []
    for key in path:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif _PLAIN_KEY.fullmatch(key):
            parts.append(f".{key}" if parts else key)
        else:
            parts.append(f"[{show(key)}]")
    return "".join(parts)
