"""Which classes of a tree's node have their rules in one list.

A node with many classes goes on by as many nodes, most of them a list of one rule. Those are twice
as many nodes to make, to write and to keep as where eight of them are together, and the tests in
vain of a list cost less than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# A node with fewer is left alone: the kernel compares its classes one after the other, and what a
# single rule does stands there.
FEW_CLASSES = 49
_MOST_RULES = 8


class Gathering:
    """Puts classes together, one after the other; rules are bits."""

    def __init__(self, own: int, of_one_range: int, of_any_protocol: int) -> None:
        """Begin.

        Args:
            own: The rules that count: all but those that end most lists.
            of_one_range: The rules that match one range of the node's field. The others would be
                tested for each of theirs, in as many lists.
            of_any_protocol: The rules that match all protocols.
        """
        self._own = own
        self._of_several_ranges = own & ~of_one_range
        self._of_some_protocols = own & ~of_any_protocol
        # Rules of any protocol have lists by themselves: TCP and UDP ask the same ones.
        self._open: dict[bool, _Together] = {}
        self._all: list[_Together] = []

    def add(self, start: int, rules: int) -> None:
        """Add a class with the rules that it leaves, up to one that is met for certain."""
        own = rules & self._own
        if not own or own & self._of_several_ranges or own.bit_count() > _MOST_RULES:
            return
        kind = bool(own & self._of_some_protocols)
        together = self._open.get(kind)
        if together is None or ((together.rules & self._own) | own).bit_count() > _MOST_RULES:
            together = self._open[kind] = _Together()
            self._all.append(together)
        together.rules |= rules
        together.different.add(rules)
        together.starts.append(start)

    def lists(self) -> Iterator[tuple[int, Sequence[int]]]:
        """The rules of each list, and the starts of the classes that have it.

        A list of all these rules in order decides about each class as its own rules do, if each
        rule is tested for what it asks of the field but the last: of a class that has it not,
        another one before is met for certain.
        """
        for each in self._all:
            if len(each.different) > 1:
                yield each.rules, each.starts


class _Together:
    def __init__(self) -> None:
        self.rules = 0
        self.different: set[int] = set()  # those that different classes leave
        self.starts: list[int] = []
