"""Security admin rules of one priority in different rule collections of one virtual network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nsgd.config.report import Place, Report
from nsgd.config.wording import show
from nsgd.model.admin import AdminAddress, SecurityAdminRule
from nsgd.model.rule import PrefixList, Protocol


class PlacedRule(NamedTuple):
    """A rule, where it stands, and where its collection does."""

    rule: SecurityAdminRule
    place: Place
    collection: Place


def check_ties(network: str, rules: Sequence[PlacedRule], report: Report) -> None:
    """Report rules of one priority in two collections that one packet could match and disagree.

    Azure does not say which of them decides.
    """
    by_priority: dict[tuple[object, int], list[PlacedRule]] = {}
    for placed in rules:
        same = by_priority.setdefault((placed.rule.direction, placed.rule.priority), [])
        for other in same:
            rule = placed.rule
            if (
                other.collection != placed.collection
                and other.rule.access is not rule.access
                and _may_both_match(other.rule, rule)
            ):
                report.add(
                    placed.place.at("priority"),
                    f"{rule.direction.value} priority {rule.priority} is that of"
                    f" {report.locate(other.place, placed.place)} too, of another rule collection"
                    f" for virtual network {show(network)}, and Azure does not say which decides",
                    "give them different priorities; the lower number decides",
                )
        same.append(placed)


def _may_both_match(one: SecurityAdminRule, other: SecurityAdminRule) -> bool:
    """Tell whether some packet may match both rules; only what is certain is excluded."""
    if one.protocol is not other.protocol and Protocol.ANY not in (one.protocol, other.protocol):
        return False
    for ours, theirs in (
        (one.source_ports, other.source_ports),
        (one.destination_ports, other.destination_ports),
    ):
        if not any(a.first <= b.last and b.first <= a.last for a in ours for b in theirs):
            return False
    return all(
        _may_overlap(ours, theirs)
        for ours, theirs in (
            (one.sources, other.sources),
            (one.destinations, other.destinations),
        )
    )


def _may_overlap(ours: Sequence[AdminAddress], theirs: Sequence[AdminAddress]) -> bool:
    ours_in, theirs_in = ([e for e in side if isinstance(e, PrefixList)] for side in (ours, theirs))
    if len(ours_in) < len(ours) or len(theirs_in) < len(theirs):
        return True  # what a tag holds is not looked at
    return any(a.prefixes[0].overlaps(b.prefixes[0]) for a in ours_in for b in theirs_in)
