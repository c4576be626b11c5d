"""Flows in a reader's words: boxes, packets and decisions, for text and for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.analysis.labels import (
    AddressLabels,
    number_list,
    port_list,
    port_text,
    prefixes_of,
    protocol_text,
)
from nsgd.answers.azure_names import group_name, rule_name
from nsgd.model.address import Address, IPVersion
from nsgd.model.decision import TableDecision
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.ranges import Ranges, common

_WITH_PORTS: Ranges = ((TCP, TCP), (UDP, UDP))


def packet_text(packet: PacketHeader) -> str:
    """``Tcp 203.0.113.7:50000 > 10.0.0.4:22``."""
    protocol = protocol_text(packet.version, ((packet.protocol, packet.protocol),))
    ends = (
        (Address(packet.version, packet.source), packet.source_port),
        (Address(packet.version, packet.destination), packet.destination_port),
    )
    if packet.protocol not in (TCP, UDP):
        return f"{protocol} {' > '.join(str(address) for address, _ in ends)}"
    shape = "{}:{}" if packet.version == 4 else "[{}]:{}"
    return f"{protocol} {' > '.join(shape.format(*end) for end in ends)}"


def packet_as_json(packet: PacketHeader) -> dict[str, Any]:
    """The packet in the words of IP flow verify; ports only where there are some."""
    found: dict[str, Any] = {
        "protocol": protocol_text(packet.version, ((packet.protocol, packet.protocol),)),
        "source": str(Address(packet.version, packet.source)),
        "destination": str(Address(packet.version, packet.destination)),
    }
    if packet.protocol in (TCP, UDP):
        found |= {
            "sourcePort": packet.source_port,
            "destinationPort": packet.destination_port,
        }
    return found


def box_text(
    version: IPVersion, values: Mapping[Field, Ranges], labels: AddressLabels
) -> tuple[str, str, str, str, str]:
    """Protocol, source, its ports, destination and its ports."""
    ports = [values[Field.SOURCE_PORT], values[Field.DESTINATION_PORT]]
    has_ports = bool(common(values[Field.PROTOCOL], _WITH_PORTS))
    source_ports, destination_ports = (port_text(each) if has_ports else "" for each in ports)
    return (
        protocol_text(version, values[Field.PROTOCOL]),
        labels.text(values[Field.SOURCE]),
        source_ports,
        labels.text(values[Field.DESTINATION]),
        destination_ports,
    )


def box_as_json(version: IPVersion, values: Mapping[Field, Ranges]) -> dict[str, Any]:
    """The box with all its prefixes and ranges."""
    return {
        "protocols": number_list(values[Field.PROTOCOL]),
        "sources": prefixes_of(version, values[Field.SOURCE]),
        "sourcePorts": port_list(values[Field.SOURCE_PORT]),
        "destinations": prefixes_of(version, values[Field.DESTINATION]),
        "destinationPorts": port_list(values[Field.DESTINATION_PORT]),
    }


def decision_text(decision: TableDecision | None) -> str:
    """``securityRules/AllowHttp of web``."""
    if decision is None:
        return "no rule"
    group = group_name(decision.network_security_group)
    return f"{rule_name(decision.rule)} of {group}" if group else rule_name(decision.rule)


def decision_as_json(decision: TableDecision | None) -> dict[str, Any]:
    """The rule in the words of IP flow verify; null where there is none."""
    return {
        "ruleName": None if decision is None else rule_name(decision.rule),
        "networkSecurityGroup": (
            None if decision is None else group_name(decision.network_security_group)
        ),
    }
