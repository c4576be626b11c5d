"""Functions of packets as decision diagrams: nodes ask a field and go on by the class of its value.

Equal functions are one node, so comparing two is comparing two numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

from nsgd.spaces.budget import Budget
from nsgd.spaces.node_store import Node, NodeStore
from nsgd.spaces.space import Box

V = TypeVar("V", bound=Hashable)


class Diagrams(NodeStore[V, int]):
    """All nodes of functions over one box of a space, to values of one kind."""

    def __init__(self, inside: Box, budget: Budget) -> None:
        super().__init__(len(inside))
        self.inside = inside
        self._budget = budget

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
            if level == self._leaf_level:
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
