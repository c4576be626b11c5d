"""Recent denials as tables: one a line, and the same grouped by who was denied and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.web.markup import Markup, element, link, markup, table
from nsgd.web.page import clock, end, group_link, nic_link, number, url

Denial = Mapping[str, Any]

_NONE = (
    "No denial is kept that is so. They are kept since the daemon started, the last ones only;"
    " every one is counted in the hits of its rule."
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


def grouped_table(denials: Sequence[Denial], most: int) -> Markup:
    """Who is denied most, where to, and by which rule."""
    groups: dict[tuple[Any, ...], list[Denial]] = {}
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
        groups.setdefault(key, []).append(denial)
    ranked = sorted(groups.values(), key=lambda found: (-len(found), -found[0]["id"]))
    return table(
        "Denied most, of those that are kept",
        ("Source", "To", "Protocol", "Denied by", "Times", "Last (UTC)", "Why"),
        [
            (
                markup(denial["source"], _name(denial["from"])),
                markup(end(denial["destination"], denial["destinationPort"]), _name(denial["to"])),
                denial["protocol"],
                _rule(denial),
                number(len(found)),
                clock(denial["time"]),
                _why(denial),
            )
            for found in ranked[:most]
            for denial in (found[0],)
        ],
        numeric=(4,),
        empty=_NONE,
    )


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
