"""Functions of packets as decision diagrams: nodes ask a field and go on by the class of its value.

Equal functions are one node, so comparing two is comparing two numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Generic, TypeVar

from nsgd.spaces.budget import Budget
from nsgd.spaces.space import Box

V = TypeVar("V", bound=Hashable)
Node = int  # a node's number; leaves have levels past the last field


class Diagrams(Generic[V]):
    """All nodes of functions over one box of a space, to values of one kind."""

    def __init__(self, inside: Box, budget: Budget) -> None:
        self.inside = inside
        self._budget = budget
        self._levels: list[int] = []
        self._edges: list[tuple[tuple[int, Node], ...]] = []
        self._values: dict[Node, V] = {}
        self._leaves: dict[V, Node] = {}
        self._nodes: dict[tuple[int, tuple[tuple[int, Node], ...]], Node] = {}

    def leaf(self, value: V) -> Node:
        """The function that is *value* everywhere."""
        found = self._leaves.get(value)
        if found is None:
            found = self._leaves[value] = self._add(len(self.inside), ())
            self._values[found] = value
        return found

    def node(self, level: int, children: Mapping[Node, int]) -> Node:
        """What goes on by child, each for its classes of the field; all classes are there."""
        if len(children) == 1:
            return next(iter(children))
        edges = tuple(sorted((classes, child) for child, classes in children.items()))
        found = self._nodes.get((level, edges))
        if found is None:
            found = self._nodes[level, edges] = self._add(level, edges)
        return found

    def _add(self, level: int, edges: tuple[tuple[int, Node], ...]) -> Node:
        self._levels.append(level)
        self._edges.append(edges)
        return len(self._levels) - 1

    def value(self, node: Node) -> V | None:
        """The value of a leaf; None for a node that asks something."""
        return self._values.get(node)

    def level(self, node: Node) -> int:
        """The field that a node asks; of leaves past the last."""
        return self._levels[node]

    def children(self, node: Node, level: int) -> tuple[tuple[int, Node], ...]:
        """What *node* becomes by the classes of one field, none before which it asks."""
        if self._levels[node] != level:
            return ((self.inside[level], node),)
        return self._edges[node]

    def apply(self, operation: Callable[[V, V], V], one: Node, other: Node) -> Node:
        """The function whose value is that of *operation* on both values."""
        made: dict[tuple[Node, Node], Node] = {}

        def join(a: Node, b: Node) -> Node:
            found = made.get((a, b))
            if found is not None:
                return found
            level = min(self._levels[a], self._levels[b])
            if level == len(self.inside):
                result = self.leaf(operation(self._values[a], self._values[b]))
            else:
                children: dict[Node, int] = {}
                for classes_a, child_a in self.children(a, level):
                    for classes_b, child_b in self.children(b, level):
                        if both := classes_a & classes_b:
                            self._budget.spend(1, both.bit_length())
                            child = join(child_a, child_b)
                            children[child] = children.get(child, 0) | both
                result = self.node(level, children)
            made[a, b] = result
            return result

        return join(one, other)

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

    def boxes(self, node: Node, value: V) -> Iterator[Box]:
        """Disjoint boxes that hold exactly the packets for which the function is *value*."""
        wanted = self._leaves.get(value)
        if wanted is None:
            return
        leads: dict[Node, bool] = {}

        def reaches(here: Node) -> bool:
            found = leads.get(here)
            if found is None:
                found = here == wanted or any(reaches(child) for _, child in self._edges[here])
                leads[here] = found
            return found

        def walk(here: Node, box: Box) -> Iterator[Box]:
            if here == wanted:
                yield box
                return
            level = self._levels[here]
            for classes, child in self._edges[here]:
                if reaches(child):
                    yield from walk(child, (*box[:level], classes, *box[level + 1 :]))

        if reaches(node):
            yield from walk(node, self.inside)


def merge_boxes(boxes: list[Box]) -> list[Box]:
    """Fewer boxes for the same packets: those that differ in one field alone become one."""
    while True:
        count = len(boxes)
        for level in range(len(boxes[0]) if boxes else 0):
            joined: dict[Box, int] = {}
            for box in boxes:
                key = (*box[:level], 0, *box[level + 1 :])
                joined[key] = joined.get(key, 0) | box[level]
            boxes = [(*key[:level], classes, *key[level + 1 :]) for key, classes in joined.items()]
        if len(boxes) == count:
            return boxes
