"""Ports of rules as Azure's answers list them: always ranges, merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nsgd.model.address import PortRange
from nsgd.policy.address_set import merge_ranges


def listed_ports(ports: Iterable[PortRange]) -> list[str]:
    """Disjoint ranges in ascending order, a single port too: ``80-80``."""
    merged = merge_ranges((each.first, each.last) for each in ports)
    return [f"{first}-{last}" for first, last in merged]


def ports_as_text(ranges: Sequence[str]) -> str:
    """Listed ranges for people: ``*`` for all, single ports as such."""
    if list(ranges) == ["0-65535"]:
        return "*"
    texts = (part.partition("-") for part in ranges)
    return " ".join(first if first == last else f"{first}-{last}" for first, _, last in texts)
