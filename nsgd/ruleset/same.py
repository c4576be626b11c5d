"""Keys for what is made of one object and no other, and of many things together."""

from __future__ import annotations

from collections.abc import Hashable


class Same:
    """A key that equals only another one of the very same object, which it keeps alive."""

    __slots__ = ("_kept",)

    def __init__(self, kept: object) -> None:
        self._kept = kept

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._kept is other._kept

    def __hash__(self) -> int:
        return id(self._kept)


class Together:
    """A key of parts whose hash is made once, for a key that is kept and looked up often."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, *parts: Hashable) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Together) and self._parts == other._parts)

    def __hash__(self) -> int:
        return self._hash
