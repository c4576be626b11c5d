"""Read security admin rules as each virtual network has them, from Azure's text alone.

Sources: AVNM (Virtual Network Manager's security admin rules, section 9 of the notes), and its
REST interface for the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .reading import PortRange, entries, key, read_port_ranges, read_protocol

# AVNM: the rules are not applied in subnets with these services, in lower case ...
SUBNET_SERVICES = (
    "applicationgateway",
    "bastion",
    "firewall",
    "routeserver",
    "vpngateway",
    "virtualwan",
    "expressroutegateway",
)
# ... nor in virtual networks with one of these, unless the configuration says otherwise.
NETWORK_SERVICES = ("sqlmanagedinstance", "databricks")


class AdminRule(NamedTuple):
    """One rule of a network; names and words in lower case, but the rule's own name."""

    name: str
    priority: int
    direction: str  # "Inbound" or "Outbound"
    access: str  # "allow", "deny" or "alwaysallow"
    protocol: str
    sources: tuple[str, ...]
    source_ports: tuple[PortRange, ...]
    destinations: tuple[str, ...]
    destination_ports: tuple[PortRange, ...]


def read_admin_rules(
    document: Mapping[str, Any], services: Mapping[str, set[str]]
) -> dict[str, list[AdminRule]]:
    """The rules of each network, by ascending priority; *services* are those in its subnets."""
    found: dict[str, list[AdminRule]] = {network: [] for network in services}
    for configuration in entries(document, "securityAdminConfigurations"):
        which = key(configuration.get("applyOnNetworkIntentPolicyBasedServices") or "None")
        for collection in entries(configuration, "ruleCollections"):
            rules = [_read(rule) for rule in entries(collection, "rules")]
            for network in map(key, entries(collection, "appliesTo")):
                is_exempt = any(service in NETWORK_SERVICES for service in services[network])
                found[network] += [
                    rule
                    for rule in rules
                    if not is_exempt
                    or which == "all"
                    or (which == "allowrulesonly" and rule.access != "deny")
                ]
    return {
        network: sorted(rules, key=lambda rule: rule.priority) for network, rules in found.items()
    }


def _read(rule: Mapping[str, Any]) -> AdminRule:
    protocol = key(rule["protocol"])
    return AdminRule(
        rule["name"],
        rule["priority"],
        str(rule["direction"]).capitalize(),
        key(rule["access"]),
        "*" if protocol == "any" else read_protocol(protocol),
        tuple(entries(rule, "sources")),
        read_port_ranges(entries(rule, "sourcePortRanges")),
        tuple(entries(rule, "destinations")),
        read_port_ranges(entries(rule, "destinationPortRanges")),
    )
