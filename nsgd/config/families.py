"""Keeps the prefixes of a rule to one address family, on both of its sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.config.report import Place, Report
from nsgd.model.address import Prefix

MIXED = "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"
_FIELDS = (
    ("source", "sourceAddressPrefix"),
    ("source", "sourceAddressPrefixes"),
    ("destination", "destinationAddressPrefix"),
    ("destination", "destinationAddressPrefixes"),
)


def check_families(raw: Mapping[str, Any], place: Place, report: Report) -> None:
    """Report the first prefix of a security rule that is not of its first prefix's family.

    Service tags, '*' and application security groups are of no family. *raw* is the rule as the
    table of fields reads it; entries that the table refused are None.

    Source:
        The service's message, as kubernetes-sigs/cloud-provider-azure issue 2218 and others quote
        it of a rule: "All IP addresses or prefixes in the resource should belong to the same
        address family." A rule with IPv4 on one side and IPv6 on the other matches nothing, so that
        a Deny would deny nothing without a word.
    """
    first: Prefix | None = None
    first_side = ""
    for side, key in _FIELDS:
        written = raw.get(key)
        if written is None:
            continue
        is_list = isinstance(written, list)
        for index, entry in enumerate(written if is_list else (written,)):
            if not isinstance(entry, Prefix):
                continue
            if first is None:
                first, first_side = entry, side
            elif entry.version != first.version:
                report.add(
                    place.at(key, index) if is_list else place.at(key),
                    f"{MIXED}: {_told(first_side, first, side, entry)}",
                    "write two rules, one with prefixes of IPv4 alone and one of IPv6 alone",
                )
                return


def _told(first_side: str, first: Prefix, side: str, other: Prefix) -> str:
    known, differing = (f"{prefix} is IPv{prefix.version}" for prefix in (first, other))
    if first_side == side:
        return f"in the {side}, {known} and {differing}"
    return f"{first_side} {known}, {side} {differing}"
