"""Rules as a table, each with what the daemon counts of it while the page is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.web.markup import Content, Markup, element, markup, table
from nsgd.web.page import Live, access

HEADS = (
    "Rule",
    "Priority",
    "Access",
    "Protocol",
    "Source",
    "Source ports",
    "Destination",
    "Destination ports",
    "Hits",
)
# A row of effective rules: direction, priority, name, access, protocol, source, its ports,
# destination, its ports.
Row = Sequence[str]
TRAFFIC_HEADS = ("Packets", "Bytes")
# Group (empty for rules ahead of all), direction, rule and access.
RuleKey = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a status says of rules."""

    hits: Mapping[RuleKey, int]
    # Packets and bytes, both ways, of the flows whose records name a rule, where it may let some
    # through; None where flows are not logged.
    traffic: Mapping[RuleKey, tuple[int, int]] | None

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Counts:
        """Read them."""
        log = status.get("flowLog")
        return cls(
            {_rule(row): row["hits"] for row in status["ruleHits"]},
            log and {_rule(row): (row["packets"], row["bytes"]) for row in log["ruleTraffic"]},
        )

    def hint(self) -> Markup | None:
        """What packets and bytes are, where there are some."""
        if self.traffic is None:
            return None
        text = (
            "Packets and bytes are both ways, of the flows whose records name the rule: the last to"
            " allow at either end. They are counted when they are logged."
        )
        return element("p", text, class_="hint")


def _rule(row: Mapping[str, Any]) -> RuleKey:
    return row["networkSecurityGroup"] or "", row["direction"], row["rule"], row["access"]


def rule_table(
    caption: Content, group: str, rows: Iterable[Row], direction: str, counts: Counts, live: Live
) -> Markup:
    """The rules of one group and direction, by priority."""
    heads = HEADS if counts.traffic is None else HEADS + TRAFFIC_HEADS
    return table(
        caption,
        heads,
        [_cells(group, row, counts, live) for row in rows if row[0] == direction],
        numeric=(1, *range(8, len(heads))),
        empty="It has no rule.",
    )


def _cells(group: str, row: Row, counts: Counts, live: Live) -> tuple[Content, ...]:
    direction, priority, listed, word, protocol, source, from_ports, to, to_ports = row
    kind, _, name = listed.partition("/")
    # Rules ahead of groups are counted by the whole name.
    counted = name if kind in ("securityRules", "defaultSecurityRules") else listed
    is_default = kind == "defaultSecurityRules"
    key = (group, direction, counted, word)
    return (
        markup(name, element("span", " default", class_="quiet") if is_default else None),
        priority,
        access(word),
        protocol,
        source,
        from_ports,
        to,
        to_ports,
        live.value("/".join(("hits", *key)), counts.hits.get(key, 0)),
        *_traffic(key, counts, live),
    )


def _traffic(key: RuleKey, counts: Counts, live: Live) -> Iterator[Content]:
    if counts.traffic is not None:
        for name, count in zip(
            ("packets", "bytes"), counts.traffic.get(key, ("-", "-")), strict=True
        ):
            yield live.value("/".join((name, *key)), count)
