"""Read network security groups out of Azure's JSON, for the oracle: rules and who has a group.

Written from the REST interface's own description (SPEC) and from exports, without the product's
readers. What decides nothing is left aside, and what could decide and is not known raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Raw = Mapping[str, Any]

_DECIDING = {"access", "direction", "protocol", "priority"} | {
    f"{side}{what}"
    for side in ("source", "destination")
    for what in ("AddressPrefix", "AddressPrefixes", "PortRange", "PortRanges")
}
# SPEC: what a rule says besides what decides.
_ASIDE = ("description", "provisioningstate")

GROUP = "microsoft.network/networksecuritygroups"
RULE = f"{GROUP}/securityrules"
INTERFACE = "microsoft.network/networkinterfaces"
NETWORK = "microsoft.network/virtualnetworks"
SUBNET = f"{NETWORK}/subnets"


def last_name(identifier: str) -> str:
    """The own name of what a resource id, or a name with its parents, names."""
    return identifier.rstrip("/").rpartition("/")[2]


def read_rule(rule: Raw) -> dict[str, Any]:
    """One rule in the words of the oracle's documents."""
    found: dict[str, Any] = {"name": last_name(rule["name"])}
    for key, value in rule["properties"].items():
        name = key[0].lower() + key[1:]
        if name.lower() in _ASIDE:
            continue
        if name.endswith("ApplicationSecurityGroups"):
            found[name] = [last_name(group["id"]) for group in value or []]
        elif name in _DECIDING:
            found[name] = value
        else:
            raise ValueError(f"{rule['name']}: what is {key}?")
    if not isinstance(found["priority"], int):
        found["priority"] = int(found["priority"])
    return found


def read_groups(resources: Iterable[Raw]) -> dict[str, list[dict[str, Any]]]:
    """The rules of each group by its last name in lower case, with those that stand alone."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for resource in resources:
        kind = _kind(resource)
        if kind == GROUP:
            rules = found.setdefault(last_name(resource["name"]).lower(), {})
            for rule in (resource.get("properties") or {}).get("securityRules") or []:
                rules[rule["name"].lower()] = read_rule(rule)
        elif kind == RULE:
            parent, name = _parent(resource, "networksecuritygroups"), last_name(resource["name"])
            found.setdefault(parent.lower(), {})[name.lower()] = read_rule(resource)
    return {name: list(rules.values()) for name, rules in found.items()}


def read_attachments(resources: Iterable[Raw]) -> set[tuple[str, str]]:
    """Which interface or subnet (its network, a slash, its name) has which group; lower case."""
    found: set[tuple[str, str]] = set()
    for resource in resources:
        kind, properties = _kind(resource), resource.get("properties") or {}
        name = last_name(resource["name"])
        if kind == INTERFACE:
            _attach(found, name, properties)
        elif kind == NETWORK:
            for subnet in properties.get("subnets") or []:
                owner = f"{name}/{last_name(subnet['name'])}"
                _attach(found, owner, subnet.get("properties") or {})
        elif kind == SUBNET:
            _attach(found, f"{_parent(resource, 'virtualnetworks')}/{name}", properties)
    return found


def _kind(resource: Raw) -> str:
    """The type in lower case; parts of resources often have only an id."""
    if resource.get("type"):
        return str(resource["type"]).lower()
    _, _, after = resource["id"].lower().partition("/providers/")
    namespace, *rest = after.split("/")
    return "/".join([namespace, *rest[::2]])


def _attach(found: set[tuple[str, str]], owner: str, properties: Raw) -> None:
    group = properties.get("networkSecurityGroup")
    if group:
        found.add((owner.lower(), last_name(group["id"]).lower()))


def _parent(resource: Raw, collection: str) -> str:
    """The name of what a part belongs to, by its own name in full or by its id."""
    if "/" in resource["name"]:
        return str(resource["name"].split("/")[-2])
    parts = resource["id"].split("/")
    return str(parts[[part.lower() for part in parts].index(collection) + 1])
