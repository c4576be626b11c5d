"""A bounded memory that one source cannot fill: of those with most in it the oldest goes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class FairRing(Generic[Key, Item]):
    """Keeps *most* items; each key has a share, and what one has beyond others' it loses first.

    Adding takes a constant number of steps, whatever the keys.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.given_up = 0  # items that were kept once
        self._length = self._longest = 0
        self._of_key: dict[Key, deque[Item]] = {}
        # Keys by how many items they have; in each, the one that has had so many for longest first.
        self._sizes: dict[int, dict[Key, None]] = {}

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Item]:
        """Everything that is kept, each key's oldest first."""
        for items in self._of_key.values():
            yield from items

    def add(self, key: Key, item: Item) -> Item | None:
        """Keep an item; returns the one that went for it, if any did."""
        items = self._of_key.setdefault(key, deque())
        items.append(item)
        self._length += 1
        self._moved(key, len(items) - 1, len(items))
        return self._give_up() if self._length > self.most else None

    def _give_up(self) -> Item:
        while not self._sizes.get(self._longest):
            self._longest -= 1
        key = next(iter(self._sizes[self._longest]))
        items = self._of_key[key]
        gone = items.popleft()
        self._length -= 1
        self.given_up += 1
        self._moved(key, len(items) + 1, len(items))
        if not items:
            del self._of_key[key]
        return gone

    def _moved(self, key: Key, before: int, after: int) -> None:
        if before:
            keys = self._sizes[before]
            del keys[key]
            if not keys:
                del self._sizes[before]
        if after:
            self._sizes.setdefault(after, {})[key] = None
            self._longest = max(self._longest, after)
