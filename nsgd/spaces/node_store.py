"""The nodes of decision diagrams: of equal functions there is one, which is a number."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from nsgd.spaces.ranges import Ranges

V = TypeVar("V", bound=Hashable)
E = TypeVar("E", int, Ranges)  # what an edge holds of a field: its classes or its ranges
Node = int  # a node's number; leaves have the level past the last field


class NodeStore(Generic[V, E]):
    """Nodes that ask a field, leaves that have a value, and which of them there are already."""

    def __init__(self, leaf_level: int) -> None:
        self._leaf_level = leaf_level
        self._levels: list[int] = []
        self._edges: list[tuple[tuple[E, Node], ...]] = []
        self._values: dict[Node, V] = {}
        self._leaves: dict[V, Node] = {}
        self._nodes: dict[tuple[int, tuple[tuple[E, Node], ...]], Node] = {}

    def leaf(self, value: V) -> Node:
        """The function that is *value* everywhere."""
        found = self._leaves.get(value)
        if found is None:
            found = self._leaves[value] = self._add(self._leaf_level, ())
            self._values[found] = value
        return found

    def node(self, level: int, children: Mapping[Node, E]) -> Node:
        """What goes on by child, each for its part of the field; together they are all of it."""
        if len(children) == 1:
            return next(iter(children))
        edges = tuple(sorted((part, child) for child, part in children.items()))
        found = self._nodes.get((level, edges))
        if found is None:
            self._charge(edges)
            found = self._nodes[level, edges] = self._add(level, edges)
        return found

    def _charge(self, edges: tuple[tuple[E, Node], ...]) -> None:
        """Called before a node is made that asks something."""

    def _add(self, level: int, edges: tuple[tuple[E, Node], ...]) -> Node:
        self._levels.append(level)
        self._edges.append(edges)
        return len(self._levels) - 1

    def value(self, node: Node) -> V | None:
        """The value of a function that is the same everywhere; None for others."""
        return self._values.get(node)

    def values(self, node: Node) -> frozenset[V]:
        """Every value that the function has somewhere."""
        seen: set[Node] = set()
        waiting = [node]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += (child for _, child in self._edges[here])
        return frozenset(self._values[each] for each in seen if each in self._values)
