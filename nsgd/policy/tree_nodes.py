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


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """The rule is known."""

    rule: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Goes on by the value of *field*: ``children[i]`` from ``starts[i]`` to the next start."""

    field: Field
    starts: tuple[int, ...]  # the first is 0
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """The rule decides if each field is in one of its ranges."""

    rule: int
    conditions: tuple[tuple[Field, tuple[Range, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class RuleList:
    """The first test that is met decides, and where none is, *rest* goes on."""

    tests: tuple[Test, ...]
    rest: Node


Node = Decided | Split | RuleList

# The same in built-in types: a rule's index; or field, starts and children; or a list's mark,
# tests of rule and conditions, each of field and bounds, which are starts and ends in turn, and
# then what goes on.
PlainNode = Any
Bounds = tuple[int, ...]
_LIST = -1


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of one table and IP version."""

    root: Node
    elements: int  # classes of all nodes and rules of all lists
    longest_list: int

    def nodes(self) -> Iterator[Split | RuleList]:
        """Every node that asks something, once, each behind those it goes on to."""
        found: list[Split | RuleList] = []
        _walk(self.root, set(), found)
        return iter(found)


# No function within another that calls itself: each such call is a circle, which nothing but the
# collector would free.
def _walk(node: Node, seen: set[int], found: list[Split | RuleList]) -> None:
    if isinstance(node, Decided) or id(node) in seen:
        return
    seen.add(id(node))
    for child in node.children if isinstance(node, Split) else (node.rest,):
        if not isinstance(child, Decided):
            _walk(child, seen, found)
    found.append(node)


class Flattener:
    """Turns trees into built-in types; what nodes share is shared there too."""

    def __init__(self) -> None:
        self._bounds: dict[int, tuple[tuple[Range, ...], Bounds]] = {}

    def plain(self, tree: Tree) -> PlainNode:
        """The root of a tree."""
        made: dict[int, PlainNode] = {}

        def of(node: Node) -> PlainNode:
            return node.rule if isinstance(node, Decided) else made[id(node)]

        for node in tree.nodes():
            if isinstance(node, Split):
                children = tuple(of(child) for child in node.children)
                made[id(node)] = int(node.field), node.starts, children
            else:
                tests = tuple(
                    (
                        test.rule,
                        tuple((int(field), self._of(ranges)) for field, ranges in test.conditions),
                    )
                    for test in node.tests
                )
                made[id(node)] = _LIST, tests, of(node.rest)
        return of(tree.root)

    def _of(self, ranges: tuple[Range, ...]) -> Bounds:
        found = self._bounds.get(id(ranges))
        if found is None:
            bounds = tuple(bound for first, last in ranges for bound in (first, last + 1))
            # Kept with the ranges, whose identity is theirs as long as they are there.
            found = self._bounds[id(ranges)] = ranges, bounds
        return found[1]


def is_list(node: PlainNode) -> bool:
    """Tell a list of rules from other nodes."""
    return node.__class__ is tuple and node[0] == _LIST


def is_split(node: PlainNode) -> bool:
    """Tell a node that goes on by one field from others."""
    return node.__class__ is tuple and node[0] != _LIST


def nodes_of(root: PlainNode) -> Iterator[PlainNode]:
    """Every node that asks something, once, each behind those it goes on to."""
    found: list[PlainNode] = []
    if root.__class__ is tuple:
        _walk_plain(root, set(), found)
    return iter(found)


def _walk_plain(node: PlainNode, seen: set[int], found: list[PlainNode]) -> None:
    seen.add(id(node))
    for child in (node[2],) if node[0] == _LIST else node[2]:
        if child.__class__ is tuple and id(child) not in seen:
            _walk_plain(child, seen, found)
    found.append(node)


def longest_list_of(root: PlainNode) -> int:
    """Rules of the longest list, as Tree says it."""
    return max((len(node[1]) + 1 for node in nodes_of(root) if node[0] == _LIST), default=0)


def match_plain(node: PlainNode, values: tuple[int, ...]) -> int:
    """The index of the deciding rule for the values of the fields, in the order of Field."""
    while node.__class__ is tuple:
        if node[0] != _LIST:
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
    while node.__class__ is tuple and node[0] != _LIST:
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
                return (_LIST, tuple(left), rule) if left else rule
            left.append((rule, tuple(unknown)))
    rest = left_to_ask(node[2], values)
    return (_LIST, tuple(left), rest) if left else rest
