"""A key for what is made of one object and no other."""

from __future__ import annotations


class Same:
    """A key that equals only another one of the very same object, which it keeps alive."""

    __slots__ = ("_kept",)

    def __init__(self, kept: object) -> None:
        self._kept = kept

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._kept is other._kept

    def __hash__(self) -> int:
        return id(self._kept)
