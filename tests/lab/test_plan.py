"""Which probes are sent: at the boundaries of rules, the same each time, and not too many."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from nsgd.lab.boundaries import rule_shapes
from nsgd.lab.from_policy import Drawn, draw
from nsgd.lab.traffic import Probe
from nsgd.model.rule import Direction, Protocol
from nsgd.policy.compile import compile_policy
from tests.lab.policies import FORWARDING, NO_GROUP, PEERED, SCALED, Json, group, load, rule


def drawn(document: Json, *, hosts: int = 24, probes: int = 800, seed: int = 1) -> Drawn:
    """A lab that is not built."""
    return draw(load(document), None, hosts, probes, seed)


def asked(probes: tuple[Probe, ...]) -> set[tuple[str, str, str]]:
    """Sender, receiver and service of each."""
    return {(p.sender.name, p.receiver.name, p.service.name) for p in probes}


def test_shapes_are_read_back_from_the_compiled_table() -> None:
    """Protocols, and ports of both sides, of each rule; ICMP has none."""
    rules = (
        rule("a", 100, "Inbound", "Allow", protocol="Tcp", destinationPortRange="80-89"),
        rule("b", 101, "Inbound", "Allow", sourcePortRange="53"),
        rule("c", 102, "Inbound", "Allow", protocol="Udp", destinationPortRange="65535"),
        rule("d", 103, "Inbound", "Allow", protocol="Esp"),
        rule("e", 104, "Inbound", "Allow", protocol="Icmp"),
    )
    document = NO_GROUP | {"networkSecurityGroups": [group("g", *rules)]}
    document = json.loads(json.dumps(document))
    document["networkInterfaces"][0]["networkSecurityGroup"] = "g"
    policy = compile_policy(load(document).model)
    (table,) = (t for t in policy.tables if t.direction is Direction.INBOUND)
    a, b, c, d, e, *defaults = rule_shapes(table)
    assert (a.protocols, a.inside(), a.beyond()) == ((Protocol.TCP,), [80, 89], [79, 90])
    assert (b.protocols, b.source_ports) == ((Protocol.TCP, Protocol.UDP), ((53, 53),))
    assert (b.source_beyond(), b.inside(), b.beyond()) == ([52, 54], [1, 65535], [])
    assert (c.protocols, c.inside(), c.beyond()) == ((Protocol.UDP,), [65535], [65534])
    assert (d.protocols, e.protocols) == ((), (Protocol.ICMP,))
    assert all(shape.protocols == (Protocol.TCP, Protocol.UDP, Protocol.ICMP) for shape in defaults)


def test_a_rule_is_probed_at_both_ends_and_beyond() -> None:
    """First and last port and the ones next to them, and source ports too."""
    services = {name for _, _, name in asked(drawn(PEERED).plan.probes)}
    assert {f"tcp {port}" for port in (7999, 8000, 8010, 8011)} <= services
    assert {f"udp {port} from 123" for port in (122, 123, 124)} <= services
    assert {"udp 123 from 122", "udp 123 from 124", "icmp"} <= services


@pytest.mark.parametrize("document", [PEERED, SCALED, FORWARDING])
def test_every_rule_of_a_user_is_reached(document: Json) -> None:
    """What is not reached are default and platform rules that others stand before."""
    names = {rule for _, _, rule in drawn(document).plan.not_reached}
    groups = document["networkSecurityGroups"]
    assert not names & {each["name"] for group in groups for each in group["securityRules"]}


def test_the_reasons_why_rules_are_not_reached() -> None:
    """Each its own."""
    document = NO_GROUP | {
        "virtualNetworks": [
            {
                "name": "net",
                "addressSpace": ["10.5.0.0/16"],
                "subnets": [
                    {
                        "name": "one",
                        "addressPrefixes": ["10.5.1.0/24"],
                        "networkSecurityGroup": "g",
                    }
                ],
            }
        ],
        "networkSecurityGroups": [
            group(
                "g",
                rule("Esp", 100, "Inbound", "Deny", protocol="Esp"),
                # The rest of the network has no subnet, and so no host.
                rule("Nobody", 110, "Inbound", "Deny", sourceAddressPrefix="10.5.2.0/24"),
                rule("First", 120, "Inbound", "Deny", protocol="Tcp"),
                rule("Behind", 130, "Inbound", "Deny", protocol="Tcp", destinationPortRange="9"),
            )
        ],
    }
    why = {key[2]: reason for key, reason in drawn(document).plan.not_reached.items()}
    assert why["Esp"] == "only TCP, UDP and ICMP are sent"
    assert why["Nobody"] == "no two hosts of the lab have its addresses"
    assert why["Behind"] == "other rules, or a failsafe, decide what was tried"
    assert "First" not in why
    why = {key[2]: reason for key, reason in drawn(document, probes=0).plan.not_reached.items()}
    assert why["First"] == "there was no probe left for it"


def test_a_failsafe_is_no_way_to_a_rule() -> None:
    """A rule that only a failsafe's traffic would meet is not reached."""
    document = PEERED | {
        "daemon": {
            "failsafe": [
                {"protocol": "Tcp", "sourceAddressPrefix": "*", "destinationPortRange": "22"}
            ]
        }
    }
    reasons = drawn(document).plan.not_reached
    assert ("app1", "Inbound", "DenyFromWebPart") in reasons
    assert ("app1", "Inbound", "DenyFromWebPart") not in drawn(PEERED).plan.not_reached


@pytest.mark.parametrize("limit", [0, 1, 30, 300])
def test_no_more_probes_than_asked_for(limit: int) -> None:
    """Neither more nor, where there is enough to ask, fewer; none twice."""
    probes = drawn(PEERED, probes=limit).plan.probes
    assert len(probes) == len(set(probes)) == limit


def test_the_same_seed_gives_the_same_probes() -> None:
    """And another seed others."""
    assert drawn(PEERED).plan.probes == drawn(PEERED).plan.probes
    assert drawn(PEERED).plan.probes != drawn(PEERED, seed=2).plan.probes


def test_every_two_hosts_meet() -> None:
    """In the families that both have, over other links: behind a NIC is no way past the gateway."""
    lab = drawn(FORWARDING)
    met = {(p.sender.name, p.receiver.name, p.version) for p in lab.plan.probes}
    for sender in lab.choice.hosts:
        for receiver in lab.choice.hosts:
            for version in (4, 6):
                both = sender.address(version) and receiver.address(version)
                is_apart = sender.gateway_link != receiver.gateway_link
                met_them = (sender.name, receiver.name, version) in met
                assert met_them == bool(both and is_apart), (sender.name, receiver.name, version)


def test_no_two_sockets_meet() -> None:
    """A port that a probe is sent from is nobody else's, and nothing listens on it."""
    probes = drawn(PEERED).plan.probes
    sent_from = Counter(
        (p.sender.addresses, p.service.protocol, p.service.source_port)
        for p in probes
        if p.service.source_port
    )
    listening = {(p.receiver.addresses, p.service.protocol, p.service.port) for p in probes}
    assert sent_from
    assert set(sent_from.values()) == {1}
    assert not sent_from.keys() & listening
