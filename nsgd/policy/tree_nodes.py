"""What a decision tree is made of, and how a packet goes through it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from nsgd.policy.address_set import Range


class Field(IntEnum):
    """What a node asks. Ports are asked only after the protocol, where it has some."""

    PROTOCOL = 0
    DESTINATION_PORT = 1
    SOURCE = 2
    DESTINATION = 3
    SOURCE_PORT = 4


# A tree is of built-in types: a node is a rule's index, or one of two that ask something.
#
#   (FIELD, starts, children)  goes on by the value of the field: children[i] from starts[i] to the
#                              next start; the first start is 0
#   (LIST, tests, node)        the first test that is met decides; where none is, the node goes on
#
# A test is a rule's index and its conditions, each of which must be met: the field is within
# bounds, which are starts and ends of ranges in turn. Nodes are the same where they are one object.
PlainNode = Any
Bounds = tuple[int, ...]
Condition = tuple[int, Bounds]
PlainTest = tuple[int, tuple[Condition, ...]]
LIST = -1


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of one table and IP version."""

    root: PlainNode
    elements: int  # classes of all nodes and rules of all lists
    longest_list: int


class Flattener:
    """Turns ranges into bounds; what trees share as one object they share as one afterwards."""

    def __init__(self) -> None:
        self._bounds: dict[int, tuple[tuple[Range, ...], Bounds]] = {}

    def bounds(self, ranges: tuple[Range, ...]) -> Bounds:
        """Starts and ends in turn."""
        found = self._bounds.get(id(ranges))
        if found is None:
            bounds = tuple(bound for first, last in ranges for bound in (first, last + 1))
            # Kept with the ranges, whose identity is theirs as long as they are there.
            found = self._bounds[id(ranges)] = ranges, bounds
        return found[1]


def is_list(node: PlainNode) -> bool:
    """Tell a list of rules from other nodes."""
    return node.__class__ is tuple and node[0] == LIST


def is_split(node: PlainNode) -> bool:
    """Tell a node that goes on by one field from others."""
    return node.__class__ is tuple and node[0] != LIST


def nodes_of(root: PlainNode) -> Iterator[PlainNode]:
    """Every node that asks something, once, each behind those it goes on to."""
    found: list[PlainNode] = []
    if root.__class__ is tuple:
        _walk_plain(root, set(), found)
    return iter(found)


# No function within another that calls itself: each such call is a circle, which nothing but the
# collector would free.
def _walk_plain(node: PlainNode, seen: set[int], found: list[PlainNode]) -> None:
    seen.add(id(node))
    for child in (node[2],) if node[0] == LIST else node[2]:
        if child.__class__ is not tuple or id(child) in seen:
            continue
        # Most of the nodes are lists that go on with something known: not worth a call.
        if child[0] == LIST and (child[2].__class__ is not tuple or id(child[2]) in seen):
            seen.add(id(child))
            found.append(child)
        else:
            _walk_plain(child, seen, found)
    found.append(node)


def longest_list_of(root: PlainNode) -> int:
    """Rules of the longest list, as Tree says it."""
    return max((len(node[1]) + 1 for node in nodes_of(root) if node[0] == LIST), default=0)


def match_plain(node: PlainNode, values: tuple[int, ...]) -> int:
    """The index of the deciding rule for the values of the fields, in the order of Field."""
    while node.__class__ is tuple:
        if node[0] != LIST:
            node = node[2][bisect_right(node[1], values[node[0]]) - 1]
            continue
        for rule, conditions in node[1]:
            for field, bounds in conditions:
                if not bisect_right(bounds, values[field]) & 1:
                    break
            else:
                return int(rule)
        node = node[2]
    return int(node)


def left_to_ask(node: PlainNode, values: tuple[int | None, ...]) -> PlainNode:
    """A node that decides as *node* does, where the values of some fields are known.

    Nothing is asked again ahead of the first split by a field that is not known; what stands
    behind that is not looked at.

    Args:
        node: Where to begin.
        values: In the order of Field; None for what is not known.
    """
    while node.__class__ is tuple and node[0] != LIST:
        value = values[node[0]]
        if value is None:
            return node
        node = node[2][bisect_right(node[1], value) - 1]
    if node.__class__ is not tuple:
        return node
    left: list[PlainNode] = []
    for rule, conditions in node[1]:
        unknown = []
        for field, bounds in conditions:
            value = values[field]
            if value is None:
                unknown.append((field, bounds))
            elif not bisect_right(bounds, value) & 1:
                break
        else:
            if not unknown:
                # Met for certain: nothing behind it is ever asked.
                return (LIST, tuple(left), rule) if left else rule
            left.append((rule, tuple(unknown)))
    rest = left_to_ask(node[2], values)
    return (LIST, tuple(left), rest) if left else rest
