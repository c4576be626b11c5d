"""Open flows by rule, and how long decisions take: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsgd.model.rule import Access, Direction

# Network security group (empty ahead of all groups), direction, rule, access.
Rule = tuple[str, Direction, str, Access]


@dataclass(frozen=True, slots=True)
class OpenFlows:
    """Flows with a decision; *by_rule* those that a rule decided, once for each of its sides."""

    flows: int
    by_rule: Mapping[Rule, int]


@dataclass(frozen=True, slots=True)
class DecisionTimes:
    """Decisions of workers that were timed, a few a second."""

    bounds_ns: Sequence[int]  # each bucket's longest; what is longer is in one more
    counts: Sequence[int]
    sum_ns: int
