"""Groups with so many rules that trees have large nodes, as real ones of a hundred rules do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .choose import Chooser, Written, chance, disjoint, pick, weighted

_MOST_RULES = 110


def add_many_rules(chooser: Chooser, document: Written, prefixes: Sequence[str]) -> Written:
    """The same document with thirty or more rules in each group, ahead of its own and behind.

    Most are for one range of ports of a port number that few others have, since few rules are left
    for each then; some for the same ports as others, for several ranges, or for any.
    """
    groups = [dict(group) for group in document.get("networkSecurityGroups") or []]
    for group in groups:
        own = list(group.get("securityRules") or [])
        taken = {(str(rule["direction"]).lower(), rule["priority"]) for rule in own}
        main = pick(chooser, ("Inbound", "Outbound"))
        most_sides = pick(chooser, (20, 60))
        for number in range(30 + chooser.integer(_MOST_RULES - 30)):
            direction = main if chance(chooser, 80) else pick(chooser, ("Inbound", "Outbound"))
            priority = 100 + chooser.integer(3996)
            if (direction.lower(), priority) in taken:
                continue
            taken.add((direction.lower(), priority))
            own.append(_rule(chooser, number, direction, priority, prefixes, most_sides))
        group["securityRules"] = own
    return document | {"networkSecurityGroups": groups}


def _rule(
    chooser: Chooser,
    number: int,
    direction: str,
    priority: int,
    prefixes: Sequence[str],
    most_sides: int,
) -> Written:
    rule: dict[str, Any] = {
        "name": f"Many{number}",
        "priority": priority,
        "direction": direction,
        "access": pick(chooser, ("Allow", "Deny")),
        "protocol": weighted(chooser, [(40, "Tcp"), (30, "*"), (28, "Udp"), (2, "Icmp")]),
    }
    is_ipv6 = chance(chooser, 30)
    texts = [text for text in prefixes if (":" in text) == is_ipv6]
    for side in ("source", "destination"):
        if not texts or not chance(chooser, most_sides):
            rule[f"{side}AddressPrefix"] = "*"
        elif chance(chooser, 60):
            rule[f"{side}AddressPrefix"] = pick(chooser, texts)
        else:
            rule[f"{side}AddressPrefixes"] = disjoint(chooser, texts, 2)
    has_ports = rule["protocol"] != "Icmp"
    rule["sourcePortRange"] = "32768-65535" if has_ports and chance(chooser, 8) else "*"
    rule["destinationPortRange"] = "*"
    kind = weighted(chooser, [(70, "one"), (15, "several"), (10, "wide"), (5, "any")])
    if has_ports and kind == "several":
        del rule["destinationPortRange"]
        first = 20 * number + chooser.integer(3)
        rule["destinationPortRanges"] = [str(first), f"{first + 4000}-{first + 4009}"]
    elif has_ports and kind != "any":
        first = 20 * (number if kind == "one" else chooser.integer(_MOST_RULES))
        last = first + (0, 9, 19, 30)[chooser.integer(3)] + (600 if kind == "wide" else 0)
        rule["destinationPortRange"] = f"{first}-{last}" if last > first else str(first)
    return rule
