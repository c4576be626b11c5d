"""Failsafe entries: management traffic that no rule and no crash closes, spelt out in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.config.addresses import parse_rule_address
from nsgd.config.compound import Field, ListOf, ObjectOf
from nsgd.config.limits import Limits
from nsgd.config.names import Names
from nsgd.config.ports import parse_port_range
from nsgd.config.problem import Refusal
from nsgd.config.report import Place, Report
from nsgd.config.rule import DESTINATION, SOURCE, References, read_address, read_ports
from nsgd.config.rule_tags import RuleTags
from nsgd.config.shape import Choice, Parsed
from nsgd.model.address import ALL_PORTS, Prefix
from nsgd.model.rule import AnyAddress, PrefixList, Protocol
from nsgd.model.settings import Failsafe


def parse_failsafe_source(value: object) -> AnyAddress | Prefix:
    """Read ``*``, an address or a prefix; what a tag holds changes with time. Raises Refusal."""
    entry = parse_rule_address(value)
    if isinstance(entry, AnyAddress | Prefix):
        return entry
    raise Refusal(
        "a service tag cannot be a failsafe's source", "write '*', an address or a prefix"
    )


_PORT = Parsed("a port or a range of ports", parse_port_range)
_SOURCE = Parsed("'*', an address or a prefix", parse_failsafe_source)

FAILSAFE = ObjectOf(
    "a failsafe",
    {
        "protocol": Field(
            Choice({p.value: p for p in (Protocol.TCP, Protocol.UDP)}), is_required=True
        ),
        "sourceAddressPrefix": Field(_SOURCE),
        "sourceAddressPrefixes": Field(ListOf(_SOURCE)),
        "destinationPortRange": Field(_PORT),
        "destinationPortRanges": Field(ListOf(_PORT)),
    },
)


def assemble_failsafe(raw: Mapping[str, Any], place: Place, report: Report) -> Failsafe | None:
    """The entry, or None where a part of it was refused, which has then been reported.

    Sources and ports must both be said: an entry that lacks one would open more than was meant.
    """
    nothing = References(
        Names("application security group", report),
        RuleTags(None, None, report),
        Limits({}),
        report,
    )
    source = read_address(raw, SOURCE, place, nothing)
    ports = read_ports(raw, DESTINATION, place, report)
    if ports is not None and ALL_PORTS in ports:
        report.add(place, "it opens every port", "name the ports of your management traffic")
        return None
    protocol = raw.get("protocol")
    if source is None or ports is None or protocol is None:
        return None
    prefixes = source.prefixes if isinstance(source, PrefixList) else ()
    return Failsafe(protocol, ports, prefixes)
