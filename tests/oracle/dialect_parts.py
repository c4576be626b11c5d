"""Draw security admin rules, and write a document in the dialects of 2017 and of classic."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from .choose import Chooser, Written, cased, chance, pick, some, weighted
from .oracle import PLATFORM_TAGS

# What a drawn case is of: today's dialect without and with security admin rules, or an older one.
FORMS = ((48, "now"), (24, "admin"), (16, "2017"), (12, "classic"))

PORT_FIELDS: tuple[tuple[str | int, ...], ...] = (
    ("*",),
    ("80",),
    (443,),
    ("0",),
    (0,),
    ("65535",),
    ("0-65535",),
    ("1-65535",),
    ("0-65534",),
    ("1024-65535",),
    ("80", "443"),
    (22, "8000-8100", "65535"),
    ("0-1023", "1024-65535"),
    ("1024-65535", "0-1022"),
    ("32768-65535", "0-9", "10-32767"),
    ("0-79", "81-65535"),
    ("8080", "8081", "8082-8090"),
    (25,),
    ("24-26",),
    ("53",),
    ("1688",),
    ("1689-65535", "0-1687"),
)

# AVNM: subnets with these are exempt; with the last two, the whole virtual network.
SERVICES = (
    "ApplicationGateway",
    "Bastion",
    "Firewall",
    "RouteServer",
    "VpnGateway",
    "VirtualWan",
    "ExpressRouteGateway",
    "SqlManagedInstance",
    "Databricks",
)
ESP_OR_AH = ((3, "Esp"), (3, "Ah"))
COMPUTED_TAGS = ("VirtualNetwork", "Internet", "AzureLoadBalancer")

# Tags of the drawn files that the 2017 list has not, and what takes their place.
TAGS_2017 = {
    "azurecloud": "AzureTrafficManager",
    "azurecloud.centralfrance": "Sql.WestUS",
    "azurefrontdoor.frontend": "sql.EastUS2",
}
KEPT_IN_2017 = ("storage", "storage.westus", "storage.west")
CLASSIC_TAGS = {
    "virtualnetwork": "VIRTUAL_NETWORK",
    "azureloadbalancer": "AZURE_LOADBALANCER",
    "internet": "INTERNET",
}


# -- security admin rules ----------------------------------------------------------------


def add_admin_rules(
    chooser: Chooser, document: Written, prefixes: Sequence[str], tags: Sequence[str]
) -> Written:
    """The document with configurations; no network is of two, and names and numbers are unique."""
    networks = [network["name"] for network in document["virtualNetworks"]]
    count = 2 if len(networks) > 1 and chance(chooser, 30) else 1
    parts = [networks[index::count] for index in range(count)]
    numbers: set[tuple[str, int]] = set()
    configurations: list[Written] = []
    rules = 0
    for index, part in enumerate(parts):
        configuration: Written = {"name": f"baseline{index}", "ruleCollections": []}
        if chance(chooser, 50):
            configuration["applyOnNetworkIntentPolicyBasedServices"] = cased(
                chooser, pick(chooser, ("None", "All", "AllowRulesOnly"))
            )
        for number in range(1 + chooser.integer(2)):
            written = []
            for _ in range(1 + chooser.integer(3)):
                rule = _admin_rule(chooser, rules, numbers, prefixes, tags)
                if rule is not None:
                    rules += 1
                    written.append(rule)
            if written:
                configuration["ruleCollections"].append(
                    {
                        "name": f"collection{number}",
                        "appliesTo": [cased(chooser, name) for name in some(chooser, part)],
                        "rules": written,
                    }
                )
        configurations.append(configuration)
    subnets = [subnet for network in document["virtualNetworks"] for subnet in network["subnets"]]
    for subnet in subnets:
        if chance(chooser, 12):
            subnet["services"] = [cased(chooser, pick(chooser, SERVICES))]
        elif chance(chooser, 5):
            subnet["services"] = []
    return {**document, "securityAdminConfigurations": configurations}


def _admin_rule(
    chooser: Chooser,
    number: int,
    numbers: set[tuple[str, int]],
    prefixes: Sequence[str],
    tags: Sequence[str],
) -> Written | None:
    direction = pick(chooser, ("Inbound", "Outbound"))
    priority = pick(chooser, (10 * (number + 1), 1, 100, 4096, 1 + chooser.integer(4095)))
    if (direction, priority) in numbers:
        return None
    numbers.add((direction, priority))
    protocol = cased(
        chooser,
        weighted(
            chooser,
            [
                (30, "Any"),
                (10, "*"),
                (30, "Tcp"),
                (14, "Udp"),
                (10, "Icmp"),
                (3, "Esp"),
                (3, "Ah"),
            ],
        ),
    )
    has_ports = protocol.lower() not in ("icmp", "esp", "ah")
    return {
        "name": f"Admin{number}",
        "priority": priority,
        "direction": cased(chooser, direction),
        "access": cased(chooser, pick(chooser, ("Allow", "AlwaysAllow", "Deny"))),
        "protocol": protocol,
        "sources": _admin_side(chooser, prefixes, tags),
        "sourcePortRanges": list(pick(chooser, PORT_FIELDS))
        if has_ports and chance(chooser, 12)
        else ["*"],
        "destinations": _admin_side(chooser, prefixes, tags),
        "destinationPortRanges": list(pick(chooser, PORT_FIELDS))
        if has_ports and chance(chooser, 50)
        else ["*"],
    }


def _admin_side(chooser: Chooser, prefixes: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Everything, or prefixes and tags side by side."""
    if chance(chooser, 45):
        return ["*"]
    found: dict[str, str] = {}
    for _ in range(1 + chooser.integer(2)):
        kind = weighted(chooser, [(60, "prefix"), (25, "computed"), (15, "published"), (5, "all")])
        if kind == "published" and tags:
            text = cased(chooser, pick(chooser, tags))
        elif kind == "computed":
            text = cased(chooser, pick(chooser, COMPUTED_TAGS))
        elif kind == "all":
            text = pick(chooser, ("0.0.0.0/0", "::/0"))
        else:
            text = pick(chooser, prefixes)
        found.setdefault(text.lower(), text)
    return list(found.values())


# -- the older dialects ------------------------------------------------------------------


def as_2017(
    chooser: Chooser, document: Written, tag_files: dict[str, Written]
) -> tuple[Written, dict[str, Written]]:
    """The document as far as 2017 could say it, and tag files with the tags of that time."""
    document, tag_files = copy.deepcopy((document, tag_files))
    for file in tag_files.values():
        file["values"] += [
            {**entry, "name": TAGS_2017[key], "id": TAGS_2017[key]}
            for entry in file["values"]
            if (key := entry["name"].lower()) in TAGS_2017
        ]
    for rule in _rules(document):
        if str(rule["protocol"]).lower() in ("icmp", "esp", "ah"):
            rule["protocol"] = "*"
        is_ipv6 = _has_ipv6(rule)
        for side in ("source", "destination"):
            _rename(rule, side, lambda text, is_ipv6=is_ipv6: _tag_of_2017(text, is_ipv6))
            groups = rule.get(f"{side}ApplicationSecurityGroups")
            if groups:
                rule[f"{side}ApplicationSecurityGroups"] = [pick(chooser, groups)]
    subscription = document.get("subscription")
    if subscription:
        kind = subscription["kind"].lower()
        other = {"enterprisedevtest": "PayAsYouGo", "cloudserviceprovider": "BizSpark"}.get(kind)
        subscription["kind"] = other or subscription["kind"]
    document["dialect"] = pick(chooser, ("2017", 2017))
    return document, tag_files


def _tag_of_2017(text: str, is_ipv6: bool) -> str:
    name = text.lower()
    if name in PLATFORM_TAGS:
        takes_host = name == "azureplatformdns" and not is_ipv6
        return "168.63.129.16" if takes_host else "AzureLoadBalancer"
    known = name in KEPT_IN_2017 or name in CLASSIC_TAGS or not name[0].isalpha() or ":" in name
    return text if known else TAGS_2017.get(name, "Storage")


def as_classic(chooser: Chooser, document: Written) -> Written:
    """A document of 2017 as classic could say it: machines and cloud services, single values."""
    document = copy.deepcopy(document)
    for rule in _rules(document):
        is_ipv6 = _has_ipv6(rule)
        for side in ("source", "destination"):
            groups = rule.get(f"{side}ApplicationSecurityGroups")
            if groups:
                del rule[f"{side}ApplicationSecurityGroups"]
                rule[f"{side}AddressPrefix"] = "VirtualNetwork"
            for name in (f"{side}AddressPrefix", f"{side}PortRange"):
                if len(rule.get(f"{name}s" if "Port" in name else f"{name}es") or []) > 1:
                    plural = f"{name}s" if "Port" in name else f"{name}es"
                    rule[name] = rule.pop(plural)[0]
            _rename(rule, side, lambda text, is_ipv6=is_ipv6: _tag_of_classic(text, is_ipv6))
    for key in ("applicationSecurityGroups", "scaleSets"):
        document.pop(key, None)
    machines = document.pop("networkInterfaces", [])
    services: list[Written] = []
    alone: list[Written] = []
    groups = [group["name"] for group in document.get("networkSecurityGroups") or []]
    for machine in machines:
        machine.pop("applicationSecurityGroups", None)
        if not chance(chooser, 50):
            alone.append(machine)
            continue
        if not services or chance(chooser, 50):
            services.append({"name": f"service{len(services)}"})
            if groups and chance(chooser, 70):
                services[-1]["networkSecurityGroup"] = cased(chooser, pick(chooser, groups))
        service = services[-1]
        if chance(chooser, 50):
            machine.pop("networkSecurityGroup", None)
            service.setdefault("roleInstances", []).append(machine)
            continue
        if service.get("networkSecurityGroup"):  # 13.1: a machine has one or the other
            machine["networkSecurityGroup"] = pick(chooser, (None, ""))
        service.setdefault("virtualMachines", []).append(cased(chooser, machine["name"]))
        alone.append(machine)
    document["virtualMachines"] = alone
    if services or chance(chooser, 20):
        document["cloudServices"] = services
    document["dialect"] = cased(chooser, "classic")
    return document


def _tag_of_classic(text: str, is_ipv6: bool) -> str:
    name = text.lower()
    if name in CLASSIC_TAGS:
        return CLASSIC_TAGS[name] if text != name else CLASSIC_TAGS[name].lower()
    if not name[0].isalpha() or ":" in name:
        return text
    return "2a01:10::/48" if is_ipv6 else "20.40.0.0/16"


def _rules(document: Written) -> Iterator[Written]:
    for group in document.get("networkSecurityGroups") or []:
        yield from group.get("securityRules") or []


def _has_ipv6(rule: Written) -> bool:
    """Whether the rule's prefixes, which are of one family, are of IPv6."""
    texts: list[Any] = []
    for side in ("source", "destination"):
        texts += [rule.get(f"{side}AddressPrefix"), *(rule.get(f"{side}AddressPrefixes") or [])]
    return any(":" in str(text) for text in texts)


def _rename(rule: Written, side: str, change: Any) -> None:
    """Change the tags and prefixes of one side, which stand in either field."""
    single, several = f"{side}AddressPrefix", f"{side}AddressPrefixes"
    if rule.get(single):
        rule[single] = change(rule[single])
    if rule.get(several):
        rule[several] = [change(text) for text in rule[several]]
