"""Rules as a table, each with the hits that the daemon counts while the page is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
Hits = Mapping[tuple[str, str, str, str], int]


def hits_of(status: Mapping[str, Any]) -> Hits:
    """Hits by group (empty for rules ahead of all), direction, rule and access."""
    return {
        (row["networkSecurityGroup"] or "", row["direction"], row["rule"], row["access"]): row[
            "hits"
        ]
        for row in status["ruleHits"]
    }


def rule_table(
    caption: Content, group: str, rows: Iterable[Row], direction: str, hits: Hits, live: Live
) -> Markup:
    """The rules of one group and direction, by priority."""
    return table(
        caption,
        HEADS,
        [_cells(group, row, hits, live) for row in rows if row[0] == direction],
        numeric=(1, 8),
        empty="It has no rule.",
    )


def _cells(group: str, row: Row, hits: Hits, live: Live) -> tuple[Content, ...]:
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
        live.value("/".join(("hits", *key)), hits.get(key, 0)),
    )
