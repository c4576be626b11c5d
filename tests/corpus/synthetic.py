"""A network for groups that nothing is attached to, so that there are flows to judge by them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

Raw = dict[str, Any]
IPv4 = ipaddress.IPv4Network

SYNTHETIC = "agreement"
# Behind the network's gateway, and of its route.
_FAR = (IPv4("192.168.64.0/24"), IPv4("172.31.0.0/24"))


def network_beside(
    document: Raw, near: Mapping[str, Sequence[str]], application_groups: Sequence[str]
) -> Raw:
    """The network, whose IPv4 space is apart from those of *document*.

    *near* are the groups, each with the prefixes that its rules name where it is attached;
    *application_groups* get members.
    """
    made = synthetic_network(list(near), application_groups, _free_space(document), "fd00:10:0")
    add_near_subnets(made, near, [*_ipv4_space(document), *_ipv4_space(made), *_FAR])
    return made


def synthetic_network(
    groups: Sequence[str], application_groups: Sequence[str], ipv4: str, ipv6: str
) -> Raw:
    """For each group a subnet that has it, and one where an interface has it; with members.

    *ipv4* is the beginning of a /16, *ipv6* of a /48.
    """
    subnets: list[Raw] = []
    interfaces: list[Raw] = []
    for number, group in enumerate(groups):
        for at, (of_subnet, of_interface) in enumerate(((group, None), (None, group))):
            third = 2 * number + at
            name = f"s{third}"
            subnets.append(
                {
                    "name": name,
                    "addressPrefixes": [f"{ipv4}.{third}.0/24", f"{ipv6}:{third:x}::/64"],
                    **({"networkSecurityGroup": of_subnet} if of_subnet else {}),
                }
            )
            for host in range(3):
                both = [f"{ipv4}.{third}.{10 + host}", f"{ipv6}:{third:x}::{10 + host:x}"]
                interface: Raw = {
                    "name": f"{SYNTHETIC}-{third}-{host}",
                    "subnet": f"{SYNTHETIC}/{name}",
                    "privateIPAddresses": both[: 2 - host % 2],
                }
                if host == 2:
                    interface["link"] = f"veth{third}"
                attached = of_interface or (group if host == 1 else None)
                if attached:
                    interface["networkSecurityGroup"] = attached
                members = list(application_groups)[host % 2 :: 2] if host else []
                if members:
                    interface["applicationSecurityGroups"] = members[:20]
                interfaces.append(interface)
    network: Raw = {
        "name": SYNTHETIC,
        "addressSpace": [f"{ipv4}.0.0/16", f"{ipv6}::/48"],
        "onPremises": [str(_FAR[0])],
        "routes": [str(_FAR[1])],
        "subnets": subnets,
    }
    return {"virtualNetworks": [network], "networkInterfaces": interfaces}


def add_near_subnets(document: Raw, near: Mapping[str, Sequence[str]], taken: list[IPv4]) -> None:
    """For each group of *near* a subnet of each prefix there, as far as it is free, with machines.

    They are what the group's rules name on the side where it is attached.
    """
    (network,) = document["virtualNetworks"]
    for group, texts in near.items():
        for text in texts:
            block = ipaddress.IPv4Network(text)
            if any(block.overlaps(each) for each in taken):
                continue
            taken.append(block)
            network["addressSpace"].append(text)
            number = len(network["subnets"])
            network["subnets"].append(
                {"name": f"s{number}", "addressPrefixes": [text], "networkSecurityGroup": group}
            )
            document["networkInterfaces"].append(
                {
                    "name": f"{SYNTHETIC}-{number}-0",
                    "subnet": f"{SYNTHETIC}/s{number}",
                    "privateIPAddresses": [str(block[5])],
                }
            )


def near_prefixes(rules: Sequence[Raw]) -> list[str]:
    """The private prefixes that could be a subnet: inbound destinations, outbound sources."""
    found: dict[str, None] = {}
    for rule in rules:
        side = "destination" if rule["direction"].lower() == "inbound" else "source"
        single = rule.get(f"{side}AddressPrefix")
        for text in [single, *(rule.get(f"{side}AddressPrefixes") or [])]:
            if text and text[0].isdigit() and ":" not in text:
                block = ipaddress.IPv4Network(text)
                if block.is_private and 16 <= block.prefixlen <= 29:
                    found[str(block)] = None
    return list(found)


def _free_space(document: Raw) -> str:
    """The beginning of a /16 that no network of the document has addresses of."""
    taken = _ipv4_space(document)
    for start in ("10.0", *(f"10.{second}" for second in range(213, 256))):
        space = ipaddress.IPv4Network(f"{start}.0.0/16")
        if not any(space.overlaps(each) for each in taken):
            return start
    return "192.168"


def _ipv4_space(document: Raw) -> list[IPv4]:
    return [
        ipaddress.IPv4Network(text)
        for network in document.get("virtualNetworks") or []
        for text in network["addressSpace"]
        if ":" not in text
    ]
