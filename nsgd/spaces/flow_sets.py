"""Functions of a flow's protocol and ports, in values and not in classes: those of any rules.

They are decision diagrams whose edges have ranges. Equal functions are one node, whichever
tables they come from, so they are compared and put together across tables.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, TypeVar

from nsgd.model.packet import TCP, UDP
from nsgd.policy.address_set import merge_ranges
from nsgd.spaces.budget import Budget
from nsgd.spaces.node_store import Node, NodeStore
from nsgd.spaces.ranges import Ranges, common, complement

V = TypeVar("V", bound=Hashable)
FlowSet = Node  # of equal functions the same

TOPS = (255, 65535, 65535)
EVERY: tuple[Ranges, ...] = tuple(((0, top),) for top in TOPS)
WITH_PORTS: Ranges = ((TCP, TCP), (UDP, UDP))
WITHOUT_PORTS: Ranges = ((0, TCP - 1), (TCP + 1, UDP - 1), (UDP + 1, 255))
_LEAF = len(TOPS)


class FlowBox(NamedTuple):
    """Flows with any combination of these values."""

    protocols: Ranges
    destination_ports: Ranges
    source_ports: Ranges


class FlowSets(NodeStore[V, Ranges]):
    """All functions to values of one kind, or several: which kind a node has, its maker knows."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(_LEAF)
        self._budget = budget

    def _charge(self, edges: tuple[tuple[Ranges, FlowSet], ...]) -> None:
        self._budget.spend(sum(len(ranges) for ranges, _ in edges))

    def of_box(self, box: FlowBox, inside: V, outside: V) -> FlowSet:
        """The function that is *inside* in a box; of protocols without ports, all are inside."""
        no = self.leaf(outside)
        node = yes = self.leaf(inside)
        for level in (2, 1):
            node = self._cut(level, box[level], node, no)
        by_child: dict[FlowSet, list[tuple[int, int]]] = {}
        for ranges, child in (
            (common(box.protocols, WITH_PORTS), node),
            (common(box.protocols, WITHOUT_PORTS), yes),
            (complement(box.protocols, TOPS[0]), no),
        ):
            if ranges:
                by_child.setdefault(child, []).extend(ranges)
        return self.node(0, {child: merge_ranges(each) for child, each in by_child.items()})

    def _cut(self, level: int, ranges: Ranges, yes: FlowSet, no: FlowSet) -> FlowSet:
        parts = {yes: ranges, no: complement(ranges, TOPS[level])}
        return self.node(level, {child: each for child, each in parts.items() if each})

    def _children(self, node: FlowSet, level: int) -> tuple[tuple[Ranges, FlowSet], ...]:
        return ((EVERY[level], node),) if self._levels[node] != level else self._edges[node]

    def joining(self, operation: Callable[[V, V], V]) -> Callable[[FlowSet, FlowSet], FlowSet]:
        """What makes the function whose value is that of *operation* on those of two others."""
        made: dict[tuple[FlowSet, FlowSet], FlowSet] = {}

        def join(one: FlowSet, other: FlowSet) -> FlowSet:
            found = made.get((one, other))
            if found is not None:
                return found
            level = min(self._levels[one], self._levels[other])
            if level == _LEAF:
                result = self.leaf(operation(self._values[one], self._values[other]))
            else:
                parts: dict[FlowSet, list[tuple[int, int]]] = {}
                for ranges_one, child_one in self._children(one, level):
                    # Of one node every two edges are apart.
                    same = ((ranges_one, child_one),)
                    others = same if one == other else self._children(other, level)
                    for ranges_other, child_other in others:
                        both = common(ranges_one, ranges_other)
                        self._budget.spend(1 + len(both))
                        if both:
                            parts.setdefault(join(child_one, child_other), []).extend(both)
                merged = {child: merge_ranges(each) for child, each in parts.items()}
                result = self.node(level, merged)
            made[one, other] = result
            return result

        return join

    def mapping(self, change: Callable[[V], V]) -> Callable[[FlowSet], FlowSet]:
        """What makes the function whose value is that of *change* on that of another."""
        join = self.joining(lambda value, _: change(value))
        return lambda node: join(node, node)

    def at(self, node: FlowSet, flow: tuple[int, int, int]) -> V:
        """The value of one flow: protocol, destination port and source port."""
        while (level := self._levels[node]) != _LEAF:
            node = next(
                child
                for ranges, child in self._edges[node]
                if any(first <= flow[level] <= last for first, last in ranges)
            )
        return self._values[node]

    def boxes(self, node: FlowSet) -> Iterator[tuple[V, FlowBox]]:
        """Disjoint boxes with their values; together they hold every flow."""

        def walk(here: FlowSet, level: int, box: tuple[Ranges, ...]) -> Iterator[tuple[V, FlowBox]]:
            if level == _LEAF:
                yield self._values[here], FlowBox(*box)
                return
            for ranges, child in self._children(here, level):
                yield from walk(child, level + 1, (*box, ranges))

        yield from walk(node, 0, ())
