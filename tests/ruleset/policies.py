"""Random policies and one worst case for the rulesets of the kernel engine, and their loading."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.policy.compile import Compiled, compile_after
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.ruleset.objects import Ruleset
from nsgd.ruleset.policy_rulesets import PolicyRulesets
from nsgd.ruleset.queues import QueueRule

Policy = dict[str, Any]
Rules = list[dict[str, Any]]

DIRECTIONS = "Inbound", "Outbound"
GROUPS = "web", "a.b", "c_d-e", "rg/web", "unused"
_PROTOCOLS = "Tcp", "Udp", "Icmp", "Esp", "Ah", "*"
_ANYWHERE = "*", "VirtualNetwork", "Internet", "AzureLoadBalancer"
NUMBERS_CAPACITY = MarkLayout(0xFFFFFFFF).capacity


class Daemon:
    """What a running daemon keeps from one policy to the next, so that equal parts are one."""

    def __init__(self, numbers: DecisionNumbers | None = None) -> None:
        self._read_before = ReadDocuments()
        self._compiled: Compiled | None = None
        self._rulesets = PolicyRulesets()
        self.numbers = numbers or DecisionNumbers()

    def load(self, document: Policy, epoch: str = "a", *, adopting: bool = False) -> Ruleset:
        """The ruleset of a document."""
        content = json.dumps(document).encode()
        loaded = load_documents([Document("policy", content)], self._read_before)
        self._compiled = compile_after(self._compiled, loaded.model)
        policy = self._compiled.policy
        self.numbers = self.numbers.extended(policy, FIRST_RULE_NUMBER, NUMBERS_CAPACITY)
        return self._rulesets.ruleset(
            loaded.model,
            policy,
            self.numbers,
            loaded.settings,
            QueueRule(loaded.settings.queue_number, False, loaded.settings.queues),
            inward_links=tuple(sorted(i.link for i in loaded.model.network_interfaces if i.link)),
            adopting=adopting,
            epoch=epoch,
        )


def load(document: Policy) -> Ruleset:
    """The ruleset of a document, whole."""
    return Daemon().load(document).whole()


def random_policy(seed: int) -> Policy:
    """Anything that the kernel engine has to do with, small; two networks use the same groups."""
    generator = random.Random(seed)
    has = _chance(generator)
    groups = [name for name in GROUPS if has(0.7)] or ["web"]
    networks = [_network(generator, "lab", 0, groups)]
    if has(0.5):
        networks.append(_network(generator, "other", 9, groups))
    interfaces = [
        each
        for network in networks
        for subnet in network["subnets"]
        for number in range(4, 9)
        if has(0.5)
        for each in [_interface(generator, network["name"], subnet, number, groups)]
    ]
    policy: Policy = {
        "virtualNetworks": networks,
        "networkInterfaces": interfaces,
        "networkSecurityGroups": [
            {"name": name, "securityRules": _rules(generator)} for name in groups
        ],
        "daemon": {
            "engine": "kernel" if has(0.85) else "queue",
            "mode": "audit" if has(0.2) else "enforce",
            "failureMode": "open" if has(0.2) else "closed",
            "unmanagedTraffic": "drop" if has(0.2) else "accept",
        },
    }
    if has(0.3):
        subnet = generator.choice(networks[0]["subnets"])
        policy["scaleSets"] = [
            {
                "name": "set",
                "subnet": f"lab/{subnet['name']}",
                "privateIPAddressPrefixes": [_inside(subnet, 64, 26)],
                "networkSecurityGroup": generator.choice(groups),
            }
        ]
    if has(0.4):
        policy["securityAdminConfigurations"] = [
            _configuration(_admin_rules(generator), [each["name"] for each in networks])
        ]
    if has(0.3):
        policy["subscription"] = {"kind": "PayAsYouGo", "created": "2018-01-31"}
    if has(0.2):
        policy["daemon"]["failsafe"] = [
            {
                "protocol": "Tcp",
                "sourceAddressPrefix": "192.0.2.0/24",
                "destinationPortRange": "22",
            }
        ]
    return policy


def changed(policy: Policy, seed: int) -> Policy:
    """The policy with one thing otherwise, as an administrator would change it."""
    generator = random.Random(seed)
    other: Policy = json.loads(json.dumps(policy))
    groups = other["networkSecurityGroups"]
    names = [group["name"] for group in groups]
    network = generator.choice(other["virtualNetworks"])
    subnet = generator.choice(network["subnets"])
    interfaces = other["networkInterfaces"]

    def rule_of_a_group() -> None:
        group = generator.choice(groups)
        group["securityRules"] = _rules(generator)

    def one_rule_less() -> None:
        group = max(groups, key=lambda each: len(each["securityRules"]))
        del group["securityRules"][:1]

    def group_of_a_subnet() -> None:
        subnet.pop("networkSecurityGroup", None)
        if generator.random() < 0.7:
            subnet["networkSecurityGroup"] = generator.choice(names)

    def routes_of_a_subnet() -> None:
        subnet["routes"] = [] if subnet.get("routes") else ["198.18.0.0/15"]

    def interface_gone() -> None:
        if interfaces:
            interfaces.remove(generator.choice(interfaces))

    def interface_added() -> None:
        taken = {each["privateIPAddresses"][0] for each in interfaces}
        made = _interface(generator, network["name"], subnet, 9, names)
        if made["privateIPAddresses"][0] not in taken:
            interfaces.append(made)

    def engine() -> None:
        daemon = other["daemon"]
        daemon["engine"] = "queue" if daemon["engine"] == "kernel" else "kernel"

    def mode() -> None:
        daemon = other["daemon"]
        daemon["mode"] = "audit" if daemon["mode"] == "enforce" else "enforce"

    def admin() -> None:
        known = [each["name"] for each in other["virtualNetworks"]]
        if not other.pop("securityAdminConfigurations", None):
            other["securityAdminConfigurations"] = [_configuration(_admin_rules(generator), known)]

    generator.choice(
        (
            rule_of_a_group,
            rule_of_a_group,
            one_rule_less,
            group_of_a_subnet,
            routes_of_a_subnet,
            interface_gone,
            interface_added,
            engine,
            mode,
            admin,
        )
    )()
    return other


def worst_policy(
    mode: str = "audit", rules: int = 500, roles: Sequence[str] = ("gateway",)
) -> Policy:
    """Almost the longest way that a packet can be sent: trees of five fields on both sides.

    Behind rules for one address, which come first, and AlwaysAllow of security admin rules, with
    links that bind, transit, and the SMTP table.
    """
    groups = {
        name: [
            rule
            for way, direction in enumerate(DIRECTIONS)
            for rule in (*rules_for_one(direction), *crossing_rules(direction, rules, seed + way))
        ]
        for seed, name in ((0, "subnet"), (10, "nic"))
    }
    admin = [
        as_admin_rule(rule, access)
        for way, direction in enumerate(DIRECTIONS)
        for number, rule in enumerate(crossing_rules(direction, rules, 20 + way))
        for access in [("Allow", "Deny", "AlwaysAllow")[number % 3]]
    ]
    policy: Policy = {
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/16", "fd00:10::/48"],
                "subnets": [
                    {
                        "name": name,
                        "addressPrefixes": [f"10.0.{number}.0/24", f"fd00:10:0:{number}::/64"],
                        "networkSecurityGroup": "subnet",
                    }
                    for number, name in ((1, "one"), (2, "two"))
                ],
            }
        ],
        "networkInterfaces": [
            {
                "name": name,
                "subnet": f"lab/{subnet}",
                "privateIPAddresses": [f"10.0.{number}.4", f"fd00:10:0:{number}::4"],
                "link": f"veth-{name}",
                "networkSecurityGroup": "nic",
                "enableIPForwarding": forwards,
            }
            for name, subnet, number, forwards in (
                ("server", "one", 1, False),
                ("router", "two", 2, True),
            )
        ],
        "networkSecurityGroups": [
            {"name": name, "securityRules": made} for name, made in groups.items()
        ],
        "securityAdminConfigurations": [_configuration(admin, ["lab"])],
        "subscription": {"kind": "PayAsYouGo", "created": "2018-01-31"},
        "limits": {"securityRulesPerNetworkSecurityGroup": 2000},
        "daemon": {"engine": "kernel", "mode": mode, "roles": list(roles)},
    }
    return policy


def crossing_rules(direction: str, number: int, seed: int) -> Rules:
    """Rules that constrain all five fields, crossing each other; of both IP versions in turn."""
    generator = random.Random(seed)

    def ports() -> str:
        first, last = sorted(generator.sample(range(65536), 2))
        return f"{first}-{last}"

    def prefix(is_v6: bool) -> str:
        third, fourth = generator.choice((1, 2)), generator.randrange(16)
        if is_v6:
            return generator.choice(
                (
                    f"fd00:10:0:{third}::{fourth << 4:x}/124",
                    f"fd00:10:0:{third}::{fourth >> 2 << 6:x}/122",
                    "2600:1f00::/124",
                )
            )
        return generator.choice(
            (
                f"10.0.{third}.{fourth << 4}/28",
                f"10.0.{third}.{fourth >> 2 << 6}/26",
                "203.0.113.0/28",
            )
        )

    return [
        {
            "name": f"{direction}{index}",
            "priority": 200 + index,
            "direction": direction,
            "access": generator.choice(("Allow", "Deny")),
            "protocol": generator.choice(("Tcp", "Udp", "*")),
            "sourcePortRange": ports(),
            "destinationPortRange": ports(),
            "sourceAddressPrefix": prefix(bool(index % 2)),
            "destinationAddressPrefix": prefix(bool(index % 2)),
        }
        for index in range(number)
    ]


def rules_for_one(direction: str) -> Rules:
    """Rules for one address on one side, with sets of addresses on the other."""
    return [
        {
            "name": f"{direction}One{index}",
            "priority": 100 + index,
            "direction": direction,
            "access": "Deny",
            "protocol": "Tcp",
            "sourcePortRange": "*",
            "destinationPortRanges": ["22", "1024-2047"],
            "sourceAddressPrefix": address,
            "destinationAddressPrefixes": others,
        }
        for index, (address, others) in enumerate(
            (
                ("10.0.2.4/32", ["10.0.1.0/28", "10.0.1.64/28"]),
                ("fd00:10:0:2::4/128", ["fd00:10:0:1::/124", "fd00:10:0:1::80/124"]),
                ("10.0.2.5/32", ["10.0.1.0/28", "10.0.1.64/28"]),
            )
        )
    ]


def _chance(generator: random.Random) -> Callable[[float], bool]:
    def has(probability: float) -> bool:
        return generator.random() < probability

    return has


def _network(generator: random.Random, name: str, second: int, groups: list[str]) -> Policy:
    subnets = []
    # Addresses between the subnets belong to none.
    for number in (1, 3, 4)[: generator.randint(1, 3)]:
        subnet: Policy = {
            "name": f"s{number}",
            "addressPrefixes": [f"10.{second}.{number}.0/24", f"fd00:{second}:0:{number}::/64"],
        }
        if generator.random() < 0.6:
            subnet["networkSecurityGroup"] = generator.choice(groups)
        if generator.random() < 0.3:
            subnet["routes"] = ["198.18.0.0/15"]
        subnets.append(subnet)
    return {
        "name": name,
        "addressSpace": [f"10.{second}.0.0/16", f"fd00:{second}::/48"],
        "subnets": subnets,
    }


def _interface(
    generator: random.Random, network: str, subnet: Policy, number: int, groups: list[str]
) -> Policy:
    name = f"{network}.{subnet['name']}-{number}_x"
    v4, v6 = subnet["addressPrefixes"]
    address = f"{v6.removesuffix('/64')}{number:x}"
    made: Policy = {
        "name": name,
        "subnet": f"{network}/{subnet['name']}",
        "privateIPAddresses": [f"{v4.removesuffix('0/24')}{number}", address],
    }
    if generator.random() < 0.4:
        made["link"] = f"{network}{subnet['name']}{number}"
        made["enableIPForwarding"] = generator.random() < 0.3
    if generator.random() < 0.5:
        made["networkSecurityGroup"] = generator.choice(groups)
    return made


def _inside(subnet: Policy, number: int, length: int) -> str:
    return f"{subnet['addressPrefixes'][0].removesuffix('0/24')}{number}/{length}"


def _rules(generator: random.Random) -> Rules:
    few_names = [f"Rule.{number}" for number in range(12)]
    generator.shuffle(few_names)
    rules = []
    for index in range(generator.choice((0, 1, 3, 8))):
        rule: dict[str, Any] = {
            "name": few_names[index],
            "priority": 100 + index,
            "direction": generator.choice(DIRECTIONS),
            "access": generator.choice(("Allow", "Deny")),
            "protocol": generator.choice(_PROTOCOLS),
            "sourcePortRange": "*",
        }
        has_ports = rule["protocol"] in ("Tcp", "Udp", "*")
        rule["destinationPortRanges"] = (
            generator.choice((["80"], ["80", "443"], ["1-1000", "2000", "3000-4000"], ["*"]))
            if has_ports
            else ["*"]
        )
        for side in ("source", "destination"):
            if generator.random() < 0.5:
                rule[f"{side}AddressPrefix"] = generator.choice(_ANYWHERE)
            else:
                at = generator.randrange(0, 200, 8)
                rule[f"{side}AddressPrefixes"] = [
                    f"10.0.1.{at}/29",
                    f"10.0.2.{at}/30",
                    *(f"203.0.113.{n}/32" for n in range(0, generator.choice((0, 40)), 3)),
                ]
        rules.append(rule)
    return rules


def _admin_rules(generator: random.Random) -> Rules:
    return [
        {
            "name": f"Admin{index}",
            "priority": 1 + index,
            "direction": generator.choice(DIRECTIONS),
            "access": generator.choice(("Allow", "Deny", "AlwaysAllow")),
            "protocol": generator.choice(("Tcp", "Any")),
            "sources": ["*"],
            "sourcePortRanges": ["*"],
            "destinations": [generator.choice(("*", "10.0.1.0/24"))],
            "destinationPortRanges": [generator.choice(("*", "22", "80"))],
        }
        for index in range(generator.randint(1, 3))
    ]


def as_admin_rule(rule: dict[str, Any], access: str) -> dict[str, Any]:
    """The same as a security admin rule, ahead of all others."""
    return {
        "name": rule["name"],
        "priority": rule["priority"] - 199,
        "direction": rule["direction"],
        "access": access,
        "protocol": {"*": "Any"}.get(rule["protocol"], rule["protocol"]),
        "sources": [rule["sourceAddressPrefix"]],
        "sourcePortRanges": [rule["sourcePortRange"]],
        "destinations": [rule["destinationAddressPrefix"]],
        "destinationPortRanges": [rule["destinationPortRange"]],
    }


def _configuration(rules: Rules, networks: list[str]) -> Policy:
    collection = {"name": "all", "appliesTo": networks, "rules": rules}
    return {"name": "baseline", "ruleCollections": [collection]}
