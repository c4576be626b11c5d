"""What nsgd's table holds, by name, for the next change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from nsgd.ruleset.flow_timeout import FlowTimeout
from nsgd.ruleset.objects import AnySet, GroupParts, RateLimit


@dataclass(frozen=True, slots=True)
class Present:
    """Names of what the kernel holds in the table now."""

    sets: frozenset[str] = frozenset()
    chains: frozenset[str] = frozenset()  # base chains are not among them
    limits: frozenset[str] = frozenset()
    counters: frozenset[str] = frozenset()
    base_chains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupNames:
    """What was written of a chain group."""

    chains: tuple[str, ...]
    sets: tuple[str, ...]

    @classmethod
    def of(cls, parts: GroupParts) -> GroupNames:
        """Of a group that is to be written."""
        return cls(
            tuple(chain.name for chain in parts.chains),
            tuple(each.name for each in parts.sets),
        )


@dataclass(slots=True)
class Written:
    """What a table holds that was written as a ruleset."""

    counters: tuple[str, ...] = ()
    limits: tuple[RateLimit, ...] = ()
    sets: dict[str, AnySet] = field(default_factory=dict)
    # Chain.content by name.
    chains: dict[str, object] = field(default_factory=dict)
    groups: dict[Hashable, GroupNames] = field(default_factory=dict)
    group_chains: dict[str, object] = field(default_factory=dict)
    group_sets: Counter[str] = field(default_factory=Counter)  # groups that use each
    timeouts: tuple[FlowTimeout, ...] = ()  # those of earlier rulesets are there too
