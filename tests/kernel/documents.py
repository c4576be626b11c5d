"""The policy documents of the kernel tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Rule = dict[str, Any]

INTERNET_V4, INTERNET_V6 = "203.0.113.10", "2600:1f00::10"


def rule(
    name: str,
    priority: int,
    direction: str,
    access: str,
    protocol: str = "*",
    port: str | list[str] = "*",
    source: str = "*",
    destination: str = "*",
    **fields: Any,
) -> Rule:
    """A security rule in Azure's words; groups in *fields* take the place of a prefix."""
    made: Rule = {
        "name": name,
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": protocol,
        "sourcePortRange": "*",
    }
    if isinstance(port, list):
        made["destinationPortRanges"] = port
    else:
        made["destinationPortRange"] = port
    if "sourceApplicationSecurityGroups" not in fields:
        made["sourceAddressPrefix"] = source
    if "destinationApplicationSecurityGroups" not in fields:
        made["destinationAddressPrefix"] = destination
    return made | fields


def nic(name: str, subnet: str, number: int, subnet_number: int, **fields: Any) -> dict[str, Any]:
    """A NIC with an address of both families, bound to its link."""
    return {
        "name": name,
        "subnet": f"lab/{subnet}",
        "privateIPAddresses": list(nic_addresses(subnet_number, number)),
        "link": f"veth-{name}",
    } | fields


def nic_addresses(subnet_number: int, number: int) -> tuple[str, str]:
    """The addresses of a NIC by the numbers of its subnet and of itself."""
    return f"10.0.{subnet_number}.{number}", f"fd00:10:0:{subnet_number}::{number:x}"


def subnet(name: str, number: int, group: str | None = None) -> dict[str, Any]:
    """A subnet of both families."""
    made: dict[str, Any] = {
        "name": name,
        "addressPrefixes": [f"10.0.{number}.0/24", f"fd00:10:0:{number}::/64"],
    }
    return made | ({"networkSecurityGroup": group} if group else {})


def document(
    subnets: Iterable[dict[str, Any]],
    nics: Iterable[dict[str, Any]],
    groups: dict[str, list[Rule]],
    application_security_groups: Iterable[str] = (),
) -> dict[str, Any]:
    """One virtual network of both families."""
    return {
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/16", "fd00:10::/48"],
                "subnets": list(subnets),
            }
        ],
        "networkInterfaces": list(nics),
        "networkSecurityGroups": [
            {"name": name, "securityRules": rules} for name, rules in groups.items()
        ],
        "applicationSecurityGroups": [{"name": name} for name in application_security_groups],
    }
