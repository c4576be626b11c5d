"""Where each part of a document that was made from Azure's JSON stands in the user's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Key = str | int  # one step of a path, as in nsgd.config.problem


class Written(NamedTuple):
    """A path in one of the documents as the user wrote them; documents are counted from 0."""

    document: int
    path: tuple[Key, ...] = ()

    def at(self, *keys: Key) -> Written:
        """The place that *keys* lead to from here."""
        return Written(self.document, self.path + keys)


class Leaf(NamedTuple):
    """A value that was taken over as it is."""

    at: Written

    def find(self, path: Sequence[Key]) -> Written:
        """Where *path*, from this value on, stands."""
        return self.at.at(*path)


class Entries(NamedTuple):
    """A list; *at* is where the list as a whole stands."""

    at: Written
    items: Sequence[Leaf | Piece]

    def find(self, path: Sequence[Key]) -> Written:
        """Where *path*, from this list on, stands."""
        if path and isinstance(path[0], int) and path[0] < len(self.items):
            return self.items[path[0]].find(path[1:])
        return self.at


class Piece:
    """One native object that is being made, and where each of its keys stands.

    *at* is the object of the user's file, *below* is where its fields are: the same, or its
    ``properties``. A key that was given no place is said to be missing from there.
    """

    __slots__ = ("at", "below", "parts", "value")

    def __init__(self, at: Written, below: Written) -> None:
        self.at = at
        self.below = below
        self.value: dict[str, Any] = {}
        self.parts: dict[str, Leaf | Entries] = {}

    def put(self, key: str, value: object, where: Written) -> None:
        """Set a key whose value stands at *where*, with all that is in it."""
        self.value[key] = value
        self.parts[key] = Leaf(where)

    def put_list(self, key: str, values: Sequence[tuple[object, Written]], where: Written) -> None:
        """Set a key to a list whose entries stand apart from one another."""
        self.value[key] = [value for value, _ in values]
        self.parts[key] = Entries(where, [Leaf(at) for _, at in values])

    def put_pieces(self, key: str, pieces: Sequence[Piece], where: Written) -> None:
        """Set a key to a list of objects."""
        self.value[key] = [piece.value for piece in pieces]
        self.parts[key] = Entries(where, list(pieces))

    def missing(self, key: str, where: Written) -> None:
        """Say where a key that is absent was looked for."""
        self.parts[key] = Leaf(where)

    def find(self, path: Sequence[Key]) -> Written:
        """Where *path*, from this object on, stands."""
        if not path:
            return self.at
        part = self.parts.get(path[0]) if isinstance(path[0], str) else None
        return self.below.at(*path) if part is None else part.find(path[1:])


class Origins:
    """The way back from paths of one native document to what the user wrote."""

    def __init__(self, document: int, sections: Mapping[str, Entries]) -> None:
        self._document = document
        self._sections = sections

    def find(self, path: Sequence[Key]) -> Written:
        """Where a path of the native document stands; perhaps in another document."""
        section = self._sections.get(path[0]) if path and isinstance(path[0], str) else None
        return Written(self._document, tuple(path)) if section is None else section.find(path[1:])
