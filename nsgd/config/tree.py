"""What the readers of YAML and JSON share: a tree of plain values, its lines and its mistakes."""

from __future__ import annotations

from typing import NamedTuple, Union

from nsgd.config.problem import Key, Refusal

# Text, integers, floats, true, false, null, lists and objects with text keys, as in JSON.
Tree = object


class Lines(NamedTuple):
    """The line of a value, from 1, and those of what it holds; an entry's is that of its key."""

    line: int
    children: Union[dict[str, Lines], list[Lines], None]  # noqa: UP007 - refers to itself


class TreeMistake(NamedTuple):
    """A mistake that leaves the rest of the document readable, such as a key given twice."""

    path: tuple[Key, ...]
    line: int | None
    message: str
    way_out: str


class Unreadable(Refusal):
    """The document cannot be read past *line*, which counts from 1, or is None if unknown."""

    def __init__(self, message: str, way_out: str, line: int | None = None) -> None:
        super().__init__(message, way_out)
        self.line = line
