"""Recent denials as tables: one a line, and the same grouped by who was denied and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.web.markup import Markup, element, link, markup, table
from nsgd.web.page import clock, end, group_link, nic_link, number, url
from nsgd.web.rules import RuleKey

Denial = Mapping[str, Any]

_NONE = (
    "No denial is kept that is so. Kept are those since the daemon started, of each rule and source"
    " the newest, and of a flood a few a second; every one is counted in the hits of its rule. IP"
    " flow verify says what is denied now."
)


def denial_table(denials: Sequence[Denial], caption: str) -> Markup:
    """The newest first, as they come."""
    return table(
        caption,
        ("Time (UTC)", "Protocol", "Source", "Destination", "Denied by", "Direction", "At"),
        [
            (
                clock(denial["time"]),
                denial["protocol"],
                end(denial["source"], denial["sourcePort"]),
                end(denial["destination"], denial["destinationPort"]),
                _rule(denial),
                denial["direction"],
                nic_link(denial["networkInterface"]),
            )
            for denial in denials
        ],
        empty=_NONE,
    )


def grouped_table(denials: Sequence[Denial], most: int, hits: Mapping[RuleKey, int]) -> Markup:
    """Who is denied most, where to, and by which rule; *hits* of rules have all denials."""
    groups: dict[tuple[Any, ...], Denial] = {}
    for denial in denials:
        key = (
            denial["source"],
            denial["destination"],
            denial["protocol"],
            denial["destinationPort"],
            denial["networkSecurityGroup"],
            denial["direction"],
            denial["rule"],
        )
        groups.setdefault(key, denial)  # the newest, which says how many were told
    ranked = sorted(
        groups.values(), key=lambda found: (-found["timesLately"], -found["times"], -found["id"])
    )
    return table(
        "Denied most, of what was told one by one: 10 a second of each rule at most",
        (
            "Source",
            "To",
            "Protocol",
            "Denied by",
            "Last 10 min",
            "Told",
            "Rule's hits",
            "Last (UTC)",
            "Why",
        ),
        [
            (
                markup(denial["source"], _name(denial["from"])),
                markup(end(denial["destination"], denial["destinationPort"]), _name(denial["to"])),
                denial["protocol"],
                _rule(denial),
                number(denial["timesLately"]),
                number(denial["times"]),
                number(hits.get(_key(denial), 0)),
                clock(denial["time"]),
                _why(denial),
            )
            for denial in ranked[:most]
        ],
        numeric=(4, 5, 6),
        empty=_NONE,
    )


def _key(denial: Denial) -> RuleKey:
    group = denial["networkSecurityGroup"] or ""
    return group, denial["direction"], denial["rule"], "Deny"


def _rule(denial: Denial) -> Markup:
    group = denial["networkSecurityGroup"]
    return markup(group_link(group), " / " if group else None, denial["rule"])


def _name(name: str | None) -> Markup | None:
    return element("span", f" ({name})", class_="quiet") if name else None


def _why(denial: Denial) -> Markup:
    """The same flow as a question, whose answer explains each rule."""
    is_outbound = denial["direction"] == "Outbound"
    source = end(denial["source"], denial["sourcePort"])
    destination = end(denial["destination"], denial["destinationPort"])
    local, remote = (source, destination) if is_outbound else (destination, source)
    question = url(
        "/verify",
        direction=denial["direction"],
        protocol=denial["protocol"],
        local=local,
        remote=remote,
    )
    words = f" why {source} to {destination} is denied"
    return link(question, "explain", element("span", words, class_="unseen"))
