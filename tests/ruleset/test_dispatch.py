"""The chains that decide first packets: verdict, counts and marks are those of the policy."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings, Mode
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.endpoints import NOT_DECLARED
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.tree_nodes import Flattener
from nsgd.ruleset import profiles, table_chains
from nsgd.ruleset.dispatch import ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.ruleset.names import interface_count, interface_counter, rule_name
from nsgd.ruleset.objects import Ruleset
from nsgd.ruleset.policy_rulesets import PolicyRulesets
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.telling import UNTOLD
from tests.ruleset.nft_interpreter import Interpreter, Walk
from tests.ruleset.policies import Policy, changed, random_policy, worst_policy

GRE = 47
PROTOCOLS = TCP, TCP, TCP, UDP, UDP, ICMP, ICMPV6, ESP, AH, GRE
PORTS = 0, 22, 25, 79, 80, 443, 1000, 1001, 2000, 3500, 65535
ALLOW, DENY = Access.ALLOW, Access.DENY
IN, OUT = Direction.INBOUND, Direction.OUTBOUND


@dataclass
class Case:
    """A policy with its ruleset."""

    model: NetworkModel
    policy: CompiledPolicy
    settings: DaemonSettings
    numbers: DecisionNumbers
    ruleset: Ruleset

    @property
    def layout(self) -> MarkLayout:
        return MarkLayout(self.settings.mark_mask)


def case(document: Policy) -> Case:
    """Loaded for the kernel engine."""
    document = document | {"daemon": document["daemon"] | {"engine": "kernel"}}
    loaded = load_documents([Document("policy", json.dumps(document).encode())])
    policy = compile_policy(loaded.model)
    layout = MarkLayout(loaded.settings.mark_mask)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, layout.capacity)
    ruleset = PolicyRulesets().ruleset(
        loaded.model,
        policy,
        numbers,
        loaded.settings,
        QueueRule(1, False),
        inward_links=("eth9", *(i.link for i in loaded.model.network_interfaces if i.link)),
        adopting=False,
        epoch="a",
    )
    return Case(loaded.model, policy, loaded.settings, numbers, ruleset)


def packets(made: Case, seed: int, number: int) -> Iterator[Walk]:
    """First packets between what is declared, and with the world."""
    generator = random.Random(seed)
    interfaces = made.model.network_interfaces
    bound = [each for each in interfaces if each.link]

    def address(version: IPVersion) -> int:
        own = [a.value for i in interfaces for a in i.private_ip_addresses if a.version == version]
        prefixes = [
            p
            for network in made.model.virtual_networks
            for subnet in network.subnets
            for p in subnet.address_prefixes
            if p.version == version
        ]
        kind = generator.random()
        if kind < 0.45 and own:
            return generator.choice(own)
        if kind < 0.8:
            prefix = generator.choice(prefixes)
            return prefix.first + generator.randrange(256)
        if kind < 0.85:
            return generator.choice(prefixes).last + generator.randrange(1, 256)
        world = (0xCB007100, 0xC6120000) if version == 4 else (0x26001F00 << 96, 0x20010DB8 << 96)
        return generator.choice(world) + generator.randrange(64)

    for _ in range(number):
        version = generator.choice(IP_VERSIONS)
        protocol = generator.choice(PROTOCOLS)
        has_ports = protocol in (TCP, UDP)
        source, destination = address(version), address(version)
        in_link = out_link = "eth9"
        if bound and generator.random() < 0.5:
            sender = generator.choice(bound)
            in_link = sender.link or ""
            own = [a.value for a in sender.private_ip_addresses if a.version == version]
            # An address of another NIC comes from those that forward, or is spoofed.
            source = generator.choice(own) if generator.random() < 0.8 else source
        if bound and generator.random() < 0.5:
            receiver = generator.choice(bound)
            out_link = receiver.link or ""
            own = [a.value for a in receiver.private_ip_addresses if a.version == version]
            destination = generator.choice(own) if generator.random() < 0.8 else destination
        header = PacketHeader(
            version,
            protocol,
            source,
            destination,
            generator.choice(PORTS) if has_ports else 0,
            generator.choice(PORTS) if has_ports else 0,
            protocol == TCP and generator.random() < 0.1,
        )
        yield Walk(
            header,
            in_link,
            out_link,
            generator.choice((None, None, None, 0, 43, 44, 60)) if version == 6 else None,
            # Bits that somebody else has left in our part of the mark.
            mark=generator.choice((0, 0, 0x3, 0x20)),
        )


def endpoints(made: Case, walk: Walk) -> tuple[int, int]:
    packet = walk.packet
    return made.policy.endpoint_map.find(
        packet.version, packet.source, packet.destination, walk.in_link, walk.out_link
    )


def is_for_the_worker(made: Case, walk: Walk) -> bool:
    """No plain first packet of a flow that has an end of ours, or no tree to decide by."""
    if walk.packet.is_midstream or walk.next_header is not None or is_transit(made, walk):
        return True
    if walk.packet.version == 6 and walk.packet.protocol == AH:
        return True
    sender, receiver = endpoints(made, walk)
    known = made.policy.endpoint_map.endpoints
    tables = () if sender < 0 else known[sender].outbound
    tables += () if receiver < 0 else known[receiver].inbound
    version = walk.packet.version
    longest_list = getattr(table_chains, "LONGEST_LIST")  # noqa: B009 - it may be patched
    return any(
        made.policy.tables[index].tree(version, Flattener()).longest_list > longest_list
        for index in tables
    )


def is_transit(made: Case, walk: Walk) -> bool:
    """Through a NIC that forwards, from or to addresses that are not its own."""
    forwarders = {i.link: i for i in made.model.network_interfaces if i.enable_ip_forwarding}
    packet = walk.packet
    return any(
        link in forwarders
        and address not in {a.value for a in forwarders[link].private_ip_addresses}
        for link, address in (
            (walk.in_link, packet.source),
            (walk.out_link, packet.destination),
        )
    )


def expected(made: Case, walk: Walk) -> tuple[str, Counter[str], tuple[int, int]]:
    """Verdict, counts and numbers in the mark, by the policy alone."""
    policy, packet = made.policy, walk.packet
    decision = decide(policy, packet, walk.in_link, walk.out_link)
    counted = Counter(rule_name(each) for each in decision.consulted)
    numbers = {OUT: NO_TABLE, IN: NO_TABLE}
    for each in decision.consulted:
        identity = each.network_security_group, each.rule, each.access
        numbers[each.direction] = made.numbers.by_direction[each.direction][identity]
    is_denied = decision.access is DENY
    denied_at = decision.consulted[-1].direction if is_denied else None
    sender, receiver = endpoints(made, walk)
    for endpoint, direction in ((sender, OUT), (receiver, IN)):
        name = interface_of(made, endpoint)
        if direction is IN and denied_at is OUT:
            break
        if name is not None:
            counted[interface_count(name, direction)] += 1
            if denied_at is direction:
                counted[interface_counter(name, direction, DENY)] += 1
    if is_denied:
        verdict = "accept" if made.settings.mode is Mode.AUDIT else "drop"
    else:
        verdict = "accept"
        last = decision.consulted[-1].direction if decision.consulted else None
        names = {IN: ALLOWED_INBOUND, OUT: ALLOWED_OUTBOUND, None: ALLOWED_WITHOUT_GROUP}
        counted[names[last]] += 1
    return verdict, counted, (numbers[OUT], numbers[IN])


def interface_of(made: Case, endpoint: int) -> str | None:
    interfaces = made.model.network_interfaces
    first = len(made.policy.endpoint_map.endpoints) - len(interfaces)
    return interfaces[endpoint - first].name if endpoint >= first and endpoint >= 0 else None


def check(made: Case, seed: int, number: int) -> Counter[str]:
    """Every packet; what became of them."""
    interpreter = Interpreter(made.ruleset)
    outcomes: Counter[str] = Counter()
    for walk in packets(made, seed, number):
        before = walk.mark
        verdict = interpreter.run(walk)
        if walk.counted["spoofed"]:
            outcomes["spoofed"] += 1
            continue
        if endpoints(made, walk) == (NOT_DECLARED, NOT_DECLARED):
            assert set(walk.counted) <= {"unmanaged_accepted", "unmanaged_dropped", "failsafe"}
            continue
        if walk.counted["failsafe"]:
            continue
        outcomes[verdict] += 1
        if is_for_the_worker(made, walk):
            assert verdict == "ask", walk
            # The worker counts; a count here would be a second one.
            assert walk.counted == Counter(["queued"]), walk
            continue
        decided, counted, numbers = expected(made, walk)
        assert (verdict, walk.counted) == (decided, counted), walk
        is_denied = decide(made.policy, walk.packet, walk.in_link, walk.out_link).access is DENY
        outcomes["denied"] += is_denied
        if verdict == "accept":
            assert made.layout.numbers(walk.ct_mark) == numbers, walk
            others = ~made.settings.mark_mask & 0xFFFFFFFF
            assert walk.mark == before & others
        if is_denied:
            # As nsgd.runtime.told_denials reads it.
            (mark,) = walk.logged_marks
            outbound, inbound = made.layout.numbers(mark)
            if numbers[1] >= FIRST_RULE_NUMBER:
                assert inbound == numbers[1]
            else:
                assert (outbound, inbound < FIRST_RULE_NUMBER) == (numbers[0], True)
            assert UNTOLD not in walk.counted
        else:
            assert not walk.logged_marks
    return outcomes


@pytest.mark.parametrize("seed", range(24))
def test_random_policies(seed: int) -> None:
    """Links, forwarding, scale sets, two networks, admin rules, SMTP, audit, routes of subnets."""
    policy = random_policy(seed)
    outcomes = check(case(policy), seed, 250)
    assert set(outcomes) >= {"ask", "accept"}
    check(case(changed(policy, seed)), seed + 1, 100)


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_the_longest_ways(mode: str) -> None:
    """Trees of five fields on both sides, behind rules that end the questions of a side."""
    outcomes = check(case(worst_policy(mode, rules=30)), 1, 400)
    assert outcomes["denied"]
    assert outcomes["accept"]


@pytest.mark.parametrize("seed", range(12))
def test_more_pairs_than_have_chains(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The table of the subnet is looked up, for whoever is known by address."""
    monkeypatch.setattr(profiles, "MOST_PAIRS", -1)
    made = case(random_policy(seed))
    assert "accept" in check(made, seed, 250)
    ruleset = made.ruleset.whole()
    pairs = [n for chain in ruleset.chains if (n := chain.name).endswith("/.subnet")]
    maps = {each.name.partition("_subnets")[0] for each in ruleset.sets if "_subnets" in each.name}
    assert maps == {"out", "in"}
    subnets = {
        (network.name, subnet.name)
        for network in made.model.virtual_networks
        for subnet in network.subnets
        if subnet.network_security_group
    }
    resources: list[NetworkInterface | ScaleSet] = [*made.model.network_interfaces]
    resources += made.model.scale_sets
    assert bool(pairs) == any(
        each.network_security_group and (each.virtual_network, each.subnet) in subnets
        for each in resources
    )


def test_longest_ways_of_more_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind rules that end the questions of a side, too."""
    monkeypatch.setattr(profiles, "MOST_PAIRS", 0)
    outcomes = check(case(worst_policy("enforce", rules=30)), 1, 400)
    assert outcomes["denied"]
    assert outcomes["accept"]


def test_each_pair_of_ten_thousand_needs_no_chain() -> None:
    """As many NICs as pairs: a chain for each group of NICs, in the versions they have."""
    policy: Policy = {"daemon": {}}
    groups = 2 * (profiles.MOST_PAIRS // 16)
    policy["networkSecurityGroups"] = [
        {"name": f"group{index}", "securityRules": []} for index in range(groups)
    ]
    policy["virtualNetworks"] = [
        {
            "name": "lab",
            "addressSpace": ["10.0.0.0/8"],
            "subnets": [
                {
                    "name": f"s{index}",
                    "addressPrefixes": [f"10.0.{index}.0/24"],
                    "networkSecurityGroup": f"group{index}",
                }
                for index in range(16)
            ],
        }
    ]
    policy["networkInterfaces"] = [
        {
            "name": f"nic{subnet}-{group}",
            "subnet": f"lab/s{subnet}",
            "privateIPAddresses": [f"10.0.{subnet}.{4 + group}"],
            "networkSecurityGroup": f"group{group}",
        }
        for subnet in range(16)
        for group in range(groups)
    ]
    ways = [
        chain.name
        for chain in case(policy).ruleset.whole().chains
        if chain.name.startswith(("from4/", "from6/", "to4/", "to6/"))
    ]
    # Of each direction: those of NICs, and those of what else is in the subnets.
    assert len(ways) == 2 * (groups + 16)


@pytest.mark.parametrize("seed", range(8))
def test_tables_without_a_tree(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Who touches one is decided by the worker, on both sides, and counted there only."""
    monkeypatch.setattr(table_chains, "LONGEST_LIST", 2)
    made = case(random_policy(seed))
    check(made, seed, 250)


def test_some_tables_without_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others still decide."""
    monkeypatch.setattr(table_chains, "LONGEST_LIST", 3)
    policy = worst_policy("enforce", rules=30)
    for interface in policy["networkInterfaces"]:
        del interface["networkSecurityGroup"]
    del policy["securityAdminConfigurations"], policy["subscription"]
    _, second = policy["virtualNetworks"][0]["subnets"]
    del second["networkSecurityGroup"]
    outcomes = check(case(policy), 2, 400)
    assert outcomes["ask"]
    assert outcomes["accept"]
    made = case(policy)
    names = {chain.name for chain in made.ruleset.whole().chains}
    assert not any(name.startswith("nsg/subnet/in4") for name in names)


def test_a_group_in_two_networks() -> None:
    """Each network's table, one counter for the rule, and two chains for the ways."""
    policy = random_policy(5)
    policy["networkSecurityGroups"] = [
        {
            "name": "web",
            "securityRules": [
                {
                    "name": "FromVnet",
                    "priority": 100,
                    "direction": "Inbound",
                    "access": "Deny",
                    "protocol": "*",
                    "sourcePortRange": "*",
                    "destinationPortRange": "*",
                    "sourceAddressPrefix": "VirtualNetwork",
                    "destinationAddressPrefix": "*",
                }
            ],
        }
    ]
    policy["virtualNetworks"] = [
        {
            "name": name,
            "addressSpace": [f"10.{second}.0.0/16", f"fd00:{second}::/48"],
            "subnets": [
                {
                    "name": "s1",
                    "addressPrefixes": [f"10.{second}.1.0/24", f"fd00:{second}:0:1::/64"],
                    "networkSecurityGroup": "web",
                },
            ],
        }
        for name, second in (("lab", 0), ("other", 9))
    ]
    policy["networkInterfaces"] = []
    for section in ("scaleSets", "securityAdminConfigurations", "subscription"):
        policy.pop(section, None)
    made = case(policy)
    assert check(made, 3, 300)["denied"]
    names = {chain.name for chain in made.ruleset.whole().chains}
    assert {"nsg/web/in4", "nsg/web/in.24", "to4/web", "to4/web_", "from4/web_"} <= names
    # The rule stands in the lists of both tables, and has no chain.
    assert made.ruleset.whole().counters.count("deny/web/in/FromVnet") == 1
    assert "deny/web/in/FromVnet" not in names


def test_the_table_has_no_chain_for_what_nobody_asks() -> None:
    """Every chain that a statement names is there, and no two have one name."""
    for seed in range(10):
        ruleset = case(random_policy(seed)).ruleset.whole()
        names = [chain.name for chain in ruleset.chains]
        assert len(set(names)) == len(names)
