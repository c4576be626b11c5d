"""Azure's limits on what documents declare, and the ``limits`` section that raises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nsgd.config.compound import Field
from nsgd.config.dialect import DialectInForce
from nsgd.config.report import Place, Report
from nsgd.config.sections import Section
from nsgd.config.shape import Integer
from nsgd.model.dialect import NOW, Dialect

# Priorities and memory end long before; larger numbers are slips of the pen.
_LARGEST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Limit:
    """Words for ``COUNT *what*, and *holder* VALUE``, and what helps besides raising it."""

    what: str
    holder: str
    way_out: str
    way_out_without_lists: str | None = None


# How many Azure grants of each, the dialect says.
_LIMITS: Mapping[str, _Limit] = {
    "networkSecurityGroups": _Limit(
        "network security groups",
        "a subscription has at most",
        "attach one group to several subnets and interfaces",
    ),
    "securityRulesPerNetworkSecurityGroup": _Limit(
        "rules",
        "a network security group has at most",
        "join rules by lists of prefixes and ports, or use several groups",
        "use several groups",
    ),
    "addressesPerSide": _Limit(
        "prefixes",
        "a network security group has at most",
        "use shorter prefixes, application security groups, or several groups",
    ),
    "applicationSecurityGroups": _Limit(
        "application security groups", "a subscription has at most", "join groups"
    ),
    "applicationSecurityGroupsPerNetworkInterface": _Limit(
        "application security groups",
        "a network interface is in at most",
        "join groups, or use prefixes in the rules",
    ),
    "applicationSecurityGroupsPerRuleSide": _Limit(
        "application security groups",
        "one side of a rule has at most",
        "use several rules",
    ),
    "applicationSecurityGroupsPerNetworkSecurityGroup": _Limit(
        "application security groups in all rules",
        "a network security group has at most",
        "join groups, or use several network security groups",
    ),
    "ipConfigurationsPerApplicationSecurityGroup": _Limit(
        "IP configurations",
        "an application security group has at most",
        "use several groups, or prefixes in the rules",
    ),
    "peeringsPerVirtualNetwork": _Limit(
        "peerings", "a virtual network has at most", "peer with a hub, or join networks"
    ),
    "privateIPAddressesPerVirtualNetwork": _Limit(
        "private IP addresses of network interfaces",
        "a virtual network has at most",
        "use several virtual networks",
    ),
}

LIMITS: Mapping[str, Field] = {
    key: Field(Integer(1, _LARGEST), default=NOW.limits[key].default) for key in _LIMITS
}


class Limits:
    """The limits in force for one set of documents."""

    def __init__(self, raised: Mapping[str, int], dialect: Dialect = NOW) -> None:
        self._dialect = dialect
        self._values = {
            key: raised.get(key, limit.default) for key, limit in dialect.limits.items()
        }

    @property
    def values(self) -> Mapping[str, int]:
        """All that the dialect has, by key."""
        return self._values

    def get(self, key: str) -> int | None:
        """The limit of *key*; None where the dialect has none."""
        return self._values.get(key)

    def check(self, key: str, count: int, place: Place, report: Report, which: str = "") -> None:
        """Report a count that is beyond the limit *key*; *which* goes before what is counted."""
        value = self._values.get(key)
        if value is None or count <= value:
            return
        limit = _LIMITS[key]
        what = f"{which} {limit.what}" if which else limit.what
        report.add(
            place,
            f"{count} {what}, and {limit.holder} {value} ({self._raised_by(key, value)})",
            limit.way_out
            if self._dialect.has_lists
            else limit.way_out_without_lists or limit.way_out,
        )

    def _raised_by(self, key: str, value: int) -> str:
        maximum = self._dialect.limits[key].maximum
        if maximum is None:
            return f"limits.{key} raises it"
        if value < maximum:
            return f"limits.{key} raises it, to {maximum} at most"
        return f"the most in the dialect {self._dialect.name}"


def read_limits(section: Section | None, in_force: DialectInForce, report: Report) -> Limits:
    """The limits of the one section, or Azure's; a value that was refused counts as absent."""
    raised: dict[str, int] = {}
    if section is not None:
        place, raw = section
        for key, value in raw.items():
            if value is not None and value >= 1:
                _check_raised(key, value, place.at(key), in_force, report)
                raised[key] = value
    return Limits(raised, in_force.dialect)


def _check_raised(
    key: str, value: int, place: Place, in_force: DialectInForce, report: Report
) -> None:
    limit = in_force.dialect.limits.get(key)
    if limit is None:
        in_force.lacks(f"limit {key}", "remove it", place, report)
    elif limit.maximum is not None and value > limit.maximum and in_force.is_known:
        report.add(
            place,
            f"{value} is above {limit.maximum}, the most in the dialect {in_force.dialect.name}",
            f"write a number from 1 to {limit.maximum}",
        )


def check_numbers(key: str, sections: list[Section], limits: Limits, report: Report) -> None:
    """Check the number of resources of one kind; the first that is too many is named."""
    limit = limits.get(key)
    if limit is not None and len(sections) > limit:
        place = sections[limit][0]
        limits.check(key, len(sections), Place(place.document, (key,)), report)
