"""Policies by chance: the oracle's documents changed a little, and tiny ones of few packets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from nsgd.config.problem import ConfigRefused
from nsgd.model.address import Address
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, SecurityRule
from tests.oracle.agreement import as_header, load_case
from tests.oracle.choose import Chooser, RandomChooser, Written, chance, pick
from tests.oracle.generate import Case, random_case_of_any_form
from tests.oracle.oracle import Packet
from tests.policy.builders import ALLOW, DENY, INBOUND, OUTBOUND, group, nic, prefixes, rule, subnet

# -- the oracle's documents ------------------------------------------------------------


def rules_of(document: Written) -> list[list[Written]]:
    """The lists of rules of all groups that have some."""
    groups = document.get("networkSecurityGroups") or []
    return [rules for each in groups if (rules := each.get("securityRules"))]


def _remove_rule(chooser: Chooser, document: Written) -> None:
    rules = pick(chooser, rules_of(document))
    rules.pop(chooser.integer(len(rules) - 1))


def _flip_rule(chooser: Chooser, document: Written) -> None:
    found = pick(chooser, pick(chooser, rules_of(document)))
    found["access"] = "Deny" if found["access"].lower() == "allow" else "Allow"


def _renumber_rule(chooser: Chooser, document: Written) -> None:
    rules = pick(chooser, rules_of(document))
    taken = {each["priority"] for each in rules}
    pick(chooser, rules)["priority"] = next(p for p in range(100, 4096) if p not in taken)


def _widen_rule(chooser: Chooser, document: Written) -> None:
    found = pick(chooser, pick(chooser, rules_of(document)))
    field = pick(chooser, ("sourcePortRange", "destinationPortRange"))
    found.pop(f"{field}s", None)
    found[field] = pick(chooser, ("*", "80", "0-1023", "22-80"))


def _change_protocol(chooser: Chooser, document: Written) -> None:
    found = pick(chooser, pick(chooser, rules_of(document)))
    found["protocol"] = pick(chooser, ("*", "Tcp", "Udp"))


def _detach(chooser: Chooser, document: Written) -> None:
    owners = [
        *(each for net in document["virtualNetworks"] for each in net.get("subnets") or []),
        *(document.get("networkInterfaces") or []),
        *(document.get("virtualMachines") or []),
    ]
    attached = [each for each in owners if each.get("networkSecurityGroup")]
    del pick(chooser, attached)["networkSecurityGroup"]


def _leave_group(chooser: Chooser, document: Written) -> None:
    members = [
        each
        for each in document.get("networkInterfaces") or []
        if each.get("applicationSecurityGroups")
    ]
    del pick(chooser, members)["applicationSecurityGroups"]


def _remove_interface(chooser: Chooser, document: Written) -> None:
    interfaces = document["networkInterfaces"]
    interfaces.pop(chooser.integer(len(interfaces) - 1))


def _change_network(chooser: Chooser, document: Written) -> None:
    network = pick(chooser, document["virtualNetworks"])
    network.pop(pick(chooser, ("peerings", "onPremises", "routes")))


def _admin_rules_of(document: Written) -> list[Written]:
    return [
        rule
        for configuration in document["securityAdminConfigurations"]
        for collection in configuration["ruleCollections"]
        for rule in collection["rules"]
    ]


def _change_admin_rule(chooser: Chooser, document: Written) -> None:
    found = pick(chooser, _admin_rules_of(document))
    field, values = pick(
        chooser,
        (
            ("access", ("Allow", "AlwaysAllow", "Deny")),
            ("priority", (2, 2000, 4095)),
            ("sources", (["*"], ["VirtualNetwork"], ["Internet", "10.0.0.0/9"])),
            ("destinations", (["*"], ["10.0.0.0/9", "fd00::/9"])),
        ),
    )
    found[field] = pick(chooser, values)


def _change_where_admin_rules_are_applied(chooser: Chooser, document: Written) -> None:
    collection = pick(chooser, document["securityAdminConfigurations"][0]["ruleCollections"])
    if chance(chooser, 50):
        collection["appliesTo"].pop()
    else:
        network = pick(chooser, document["virtualNetworks"])
        services = ("Bastion", "SqlManagedInstance")
        pick(chooser, network["subnets"])["services"] = [pick(chooser, services)]


_CHANGES: tuple[Callable[[Chooser, Written], None], ...] = (
    _flip_rule,
    _remove_rule,
    _renumber_rule,
    _widen_rule,
    _change_protocol,
    _detach,
    _leave_group,
    _remove_interface,
    _change_network,
)
_ADMIN_CHANGES = (_change_admin_rule, _change_where_admin_rules_are_applied)


def changed(chooser: Chooser, case: Case) -> Case | None:
    """The case with one thing or a few changed; None where nothing valid came of it."""
    document = copy.deepcopy(case.document)
    count = 1 + chooser.integer(1)
    for _ in range(count):
        is_admin = "securityAdminConfigurations" in document and chance(chooser, 60)
        try:
            pick(chooser, _ADMIN_CHANGES if is_admin else _CHANGES)(chooser, document)
        except (IndexError, KeyError):
            continue
    after = case._replace(document=document)
    try:
        load_case(after)
    except ConfigRefused:
        return None
    return after


def administered(chooser: Chooser, case: Case) -> Case:
    """The case with security admin rules that say of some rules of groups what is to be.

    Drawn by themselves they seldom hold all that a rule of a group is for, or all of each other.
    """
    document = copy.deepcopy(case.document)
    rules = [rule for rules in rules_of(document) for rule in rules]
    for configuration in document.get("securityAdminConfigurations") or []:
        for collection in configuration["ruleCollections"]:
            for admin in collection["rules"]:
                like = [r for r in rules if r["direction"].lower() == admin["direction"].lower()]
                if like and chance(chooser, 60):
                    admin.update(_as_admin(chooser, pick(chooser, like)))
    after = case._replace(document=document)
    try:
        load_case(after)
    except ConfigRefused:
        return case
    return after


def _as_admin(chooser: Chooser, rule: Written) -> Written:
    """What a security admin rule has of a rule of a group, or more; nothing is of members."""
    protocol = pick(chooser, (rule["protocol"], "Any"))
    fields: Written = {"protocol": protocol}
    has_ports = protocol.lower() not in ("icmp", "esp", "ah")
    for side in ("source", "destination"):
        addresses = rule.get(f"{side}AddressPrefixes") or [rule.get(f"{side}AddressPrefix") or "*"]
        is_known = not any(text.lower().startswith("azureplatform") for text in addresses)
        fields[f"{side}s"] = list(addresses) if is_known and chance(chooser, 70) else ["*"]
        ports = rule.get(f"{side}PortRanges") or [rule.get(f"{side}PortRange") or "*"]
        as_text = [str(port) for port in ports]
        fields[f"{side}PortRanges"] = as_text if has_ports and chance(chooser, 80) else ["*"]
    return fields


def drawn_pair(seed: str, packets: int) -> tuple[Case, Case] | None:
    """A case and what came of changing it."""
    before = random_case_of_any_form(seed, packets)
    after = changed(RandomChooser(f"{seed}-change"), before)
    return None if after is None else (before, after)


def as_packet(header: PacketHeader) -> Packet:
    """A packet in the oracle's words, of unknown links."""
    return Packet(
        header.version,
        header.protocol,
        str(Address(header.version, header.source)),
        str(Address(header.version, header.destination)),
        header.source_port,
        header.destination_port,
        None,
        None,
    )


# -- tiny policies ---------------------------------------------------------------------

_SIDES = (
    "*",
    "10.0.0.0/29",
    "10.0.0.0/30",
    "10.0.0.4/31",
    "10.0.0.5",
    "10.0.0.1,10.0.0.4/31",
    "tag:Internet",
    "tag:VirtualNetwork",
    "tag:AzureLoadBalancer",
    "8.8.8.8",
    "asg:a",
    "asg:b",
    "asg:empty",
)
_PORTS = ("*", "*", "0-1", "1", "1-2", "2-65535", "0-65534", "3,1")
_PROTOCOLS = ("*", "*", "Tcp", "Tcp", "Udp", "Icmp", "Esp")
# One of each class that such rules can tell apart, and more.
_ADDRESSES = tuple(
    Address.parse(text).value
    for text in (*(f"10.0.0.{host}" for host in range(9)), "8.8.8.8", "9.9.9.9", "168.63.129.16")
)
_PACKET_PORTS = (0, 1, 2, 3, 4, 65535)


def tiny_rules(chooser: Chooser) -> tuple[SecurityRule, ...]:
    """A few rules of few values."""
    rules = []
    for index in range(1 + chooser.integer(6)):
        protocol = pick(chooser, _PROTOCOLS)
        has_ports = protocol not in ("Icmp", "Esp")
        rules.append(
            rule(
                f"r{index}",
                100 + index,
                OUTBOUND if chance(chooser, 25) else INBOUND,
                ALLOW if chance(chooser, 50) else DENY,
                protocol,
                source=pick(chooser, _SIDES),
                source_ports=pick(chooser, _PORTS) if has_ports and chance(chooser, 20) else "*",
                destination=pick(chooser, _SIDES) if chance(chooser, 60) else "*",
                ports=pick(chooser, _PORTS) if has_ports else "*",
            )
        )
    return tuple(rules)


def tiny_model(seed: str) -> NetworkModel:
    """One network of eight addresses, with groups at a subnet and at interfaces."""
    chooser = RandomChooser(seed)
    groups = tuple(group(name, *tiny_rules(chooser)) for name in ("g1", "g2"))
    names: tuple[str | None, ...] = ("g1", "g2", None)
    network = VirtualNetwork(
        "vnet",
        prefixes("10.0.0.0/29", "fd00::/125"),
        (
            subnet("s1", "10.0.0.0/30", pick(chooser, names)),
            subnet("s2", "10.0.0.4/30,fd00::/126", pick(chooser, names)),
        ),
    )
    return NetworkModel(
        virtual_networks=(network,),
        network_interfaces=(
            nic("n1", "10.0.0.1", "s1", pick(chooser, names), asgs=("a",)),
            nic("n2", "10.0.0.4,10.0.0.5", "s2", pick(chooser, names), asgs=("a", "b")),
        ),
        network_security_groups=groups,
    )


def tiny_packets() -> Iterator[PacketHeader]:
    """Every packet of a tiny space: all that tiny rules can tell apart."""
    for source, destination in product(_ADDRESSES, _ADDRESSES):
        for protocol in (1, 47, 50):
            yield PacketHeader(4, protocol, source, destination, 0, 0, False)
        for protocol in (6, 17):
            for ports in product(_PACKET_PORTS, _PACKET_PORTS):
                yield PacketHeader(4, protocol, source, destination, *ports, False)


def holds(box: Any, packet: PacketHeader) -> bool:
    """Whether a packet is in a box of ranges by field."""
    values = (
        packet.protocol,
        packet.destination_port,
        packet.source,
        packet.destination,
        packet.source_port,
    )
    has_ports = packet.protocol in (6, 17)
    return all(
        any(first <= values[field] <= last for first, last in ranges)
        for field, ranges in box.items()
        if has_ports or field.name not in ("SOURCE_PORT", "DESTINATION_PORT")
    )


__all__ = ["Access", "as_header", "as_packet", "drawn_pair", "holds", "tiny_model", "tiny_packets"]
