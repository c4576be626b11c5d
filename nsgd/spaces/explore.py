"""Looks at every packet of a box at once: by class, with those rules only that are still left."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from nsgd.spaces.budget import Budget
from nsgd.spaces.diagram import Diagrams
from nsgd.spaces.node_store import Node
from nsgd.spaces.space import Axes, Box, Scope

V = TypeVar("V", bound=Hashable)

# Takes the rules that are left, and those that match for certain; gives the rules that still
# matter, and the value of all packets here, or None where it is not the same or not known. Where
# all rules that are left match for certain there is a value.
Judge = Callable[[int, int], tuple[int, V | None]]
_STATE_STEPS = 3  # that a state is remembered costs more than an edge


def explore(
    space: Axes, scope: Scope, judge: Judge[V], diagrams: Diagrams[V], budget: Budget
) -> Node:
    """The function that *judge* tells, over all packets of the scope.

    Raises:
        OverBudget: There are too many different cases.
    """
    made: dict[tuple[int, int], Node] = {}

    def visit(candidates: int, level: int) -> Node:
        candidates, value = judge(candidates, scope.sure[level])
        if value is not None:
            return diagrams.leaf(value)
        while not candidates & ~scope.every[level]:
            level += 1
        found = made.get((candidates, level))
        if found is not None:
            return found
        budget.spend(_state_steps(scope, level), scope.bits)
        children: dict[Node, int] = {}
        parts = space.axes[level].split(candidates, scope.inside[level], scope.every[level])
        budget.spend(len(parts), scope.bits)
        for classes, left in parts:
            child = visit(left, level + 1)
            children[child] = children.get(child, 0) | classes
        made[candidates, level] = node = diagrams.node(level, children)
        return node

    return visit(scope.candidates, 0)


def find(space: Axes, scope: Scope, judge: Judge[bool], budget: Budget) -> Box | None:
    """Some packets of the scope for which *judge* says True; None where there are none.

    Raises:
        OverBudget: Neither was found within the budget.
    """
    fruitless: set[tuple[int, int]] = set()

    def visit(candidates: int, level: int, box: Box) -> Box | None:
        candidates, value = judge(candidates, scope.sure[level])
        if value is not None:
            return box if value else None
        while not candidates & ~scope.every[level]:
            level += 1
        if (candidates, level) in fruitless:
            return None
        budget.spend(_state_steps(scope, level), scope.bits)
        parts = space.axes[level].split(candidates, scope.inside[level], scope.every[level])
        budget.spend(len(parts), scope.bits)
        # Where few rules are left, there is soon an answer.
        parts.sort(key=lambda part: part[1].bit_count())
        for classes, left in parts:
            found = visit(left, level + 1, (*box[:level], classes, *box[level + 1 :]))
            if found is not None:
                return found
        fruitless.add((candidates, level))
        return None

    return visit(scope.candidates, 0, scope.inside)


def _state_steps(scope: Scope, level: int) -> int:
    # Where many rules tell classes apart, every class is looked at.
    return _STATE_STEPS + (scope.inside[level].bit_count() >> 3)
