"""Azure's limits on what documents declare, and the ``limits`` section that raises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nsgd.config.compound import Field
from nsgd.config.report import Place, Report
from nsgd.config.sections import Section
from nsgd.config.shape import Integer

# Priorities and memory end long before; larger numbers are slips of the pen.
_LARGEST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Limit:
    """Words for ``COUNT *what*, and *holder* VALUE``, and what helps besides raising it."""

    value: int
    what: str
    holder: str
    way_out: str


# Azure, Azure networking limits (azure-semantics.md 8, "now").
_LIMITS: Mapping[str, _Limit] = {
    "networkSecurityGroups": _Limit(
        5000,
        "network security groups",
        "a subscription has at most",
        "attach one group to several subnets and interfaces",
    ),
    "securityRulesPerNetworkSecurityGroup": _Limit(
        1000,
        "rules",
        "a network security group has at most",
        "join rules by lists of prefixes and ports, or use several groups",
    ),
    "addressesPerSide": _Limit(
        4000,
        "prefixes",
        "a network security group has at most",
        "use shorter prefixes, application security groups, or several groups",
    ),
    "applicationSecurityGroups": _Limit(
        3000, "application security groups", "a subscription has at most", "join groups"
    ),
    "applicationSecurityGroupsPerNetworkInterface": _Limit(
        20,
        "application security groups",
        "a network interface is in at most",
        "join groups, or use prefixes in the rules",
    ),
    "applicationSecurityGroupsPerRuleSide": _Limit(
        10,
        "application security groups",
        "one side of a rule has at most",
        "use several rules",
    ),
    "applicationSecurityGroupsPerNetworkSecurityGroup": _Limit(
        100,
        "application security groups in all rules",
        "a network security group has at most",
        "join groups, or use several network security groups",
    ),
    "ipConfigurationsPerApplicationSecurityGroup": _Limit(
        4000,
        "IP configurations",
        "an application security group has at most",
        "use several groups, or prefixes in the rules",
    ),
    "peeringsPerVirtualNetwork": _Limit(
        500, "peerings", "a virtual network has at most", "peer with a hub, or join networks"
    ),
    "privateIPAddressesPerVirtualNetwork": _Limit(
        65536,
        "private IP addresses of network interfaces",
        "a virtual network has at most",
        "use several virtual networks",
    ),
}

LIMITS: Mapping[str, Field] = {
    key: Field(Integer(1, _LARGEST), default=limit.value) for key, limit in _LIMITS.items()
}


class Limits:
    """The limits in force for one set of documents."""

    def __init__(self, raised: Mapping[str, int]) -> None:
        self._values = {key: raised.get(key, limit.value) for key, limit in _LIMITS.items()}

    def __getitem__(self, key: str) -> int:
        return self._values[key]

    def check(self, key: str, count: int, place: Place, report: Report, which: str = "") -> None:
        """Report a count that is beyond the limit *key*; *which* goes before what is counted."""
        value = self._values[key]
        if count <= value:
            return
        limit = _LIMITS[key]
        what = f"{which} {limit.what}" if which else limit.what
        report.add(
            place,
            f"{count} {what}, and {limit.holder} {value} (limits.{key} raises it)",
            limit.way_out,
        )


def read_limits(section: Section | None) -> Limits:
    """The limits of the one section, or Azure's; a value that was refused counts as absent."""
    raw: Mapping[str, Any] = {} if section is None else section[1]
    return Limits({key: value for key, value in raw.items() if value is not None and value >= 1})


def check_numbers(key: str, sections: list[Section], limits: Limits, report: Report) -> None:
    """Check the number of resources of one kind; the first that is too many is named."""
    if len(sections) > limits[key]:
        place = sections[limits[key]][0]
        limits.check(key, len(sections), Place(place.document, (key,)), report)
