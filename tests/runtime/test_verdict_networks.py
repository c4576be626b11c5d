"""What is remembered of one virtual network is not taken for another that overlaps it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.address import Address
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy

from .test_verdict_agreement import Comparison, Sent, to_bytes

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
SHARED = "10.0.0.5"  # an address of both networks, and judged in each by a group of its own


def overlapping(*, is_linked: bool) -> dict[str, Any]:
    """Networks a and b, each with a client that no group judges and a server that one judges.

    The clients are told apart by their links, or else by addresses that only one network has.
    """
    interfaces: list[dict[str, Any]] = []
    for place, name in enumerate("ab"):
        client = "10.0.0.4" if is_linked else f"10.0.{place + 1}.4"
        subnet = "shared" if is_linked else "own"
        interfaces += [
            {
                "name": f"client-{name}",
                "subnet": f"{name}/{subnet}",
                "privateIPAddresses": [client],
                **({"link": f"client-{name}"} if is_linked else {}),
            },
            {
                "name": f"server-{name}",
                "subnet": f"{name}/shared",
                "privateIPAddresses": [SHARED],
                "networkSecurityGroup": name,
            },
        ]
    rule = {
        "name": "All",
        "priority": 100,
        "direction": "Inbound",
        "protocol": "*",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "*",
    }
    return {
        "virtualNetworks": [
            {
                "name": name,
                "addressSpace": ["10.0.0.0/24", f"10.0.{place + 1}.0/24"],
                # VirtualNetwork holds both clients in both networks: no rule tells them apart.
                "onPremises": ["10.0.0.0/16"],
                "subnets": [
                    {"name": "shared", "addressPrefix": "10.0.0.0/24"},
                    {"name": "own", "addressPrefix": f"10.0.{place + 1}.0/24"},
                ],
            }
            for place, name in enumerate("ab")
        ],
        "networkInterfaces": interfaces,
        "networkSecurityGroups": [
            {"name": "a", "securityRules": [{**rule, "access": "Deny"}]},
            {"name": "b", "securityRules": [{**rule, "access": "Allow"}]},
        ],
    }


@pytest.mark.parametrize("order", ["ab", "ba", "abab", "baab"])
@pytest.mark.parametrize("is_linked", [True, False])
def test_the_senders_network_says_which_receiver_is_meant(order: str, is_linked: bool) -> None:
    """Neither client is in a group: only their networks tell what they send to one address."""
    content = json.dumps(overlapping(is_linked=is_linked)).encode()
    policy = compile_policy(load_documents([Document("d", content)]).model)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
    built = WorkerPolicy.build(1, policy, numbers, SETTINGS)
    counters = SharedCounters.create(LAYOUT.capacity)
    try:
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters)
        for name in order:
            client = "10.0.0.4" if is_linked else {"a": "10.0.1.4", "b": "10.0.2.4"}[name]
            ends = Address.parse(client).value, Address.parse(SHARED).value
            packet = PacketHeader(4, TCP, *ends, 40000, 80, False)
            link = f"client-{name}" if is_linked else None
            expected = decide(policy, packet, link, None).access
            assert expected is (Access.DENY if name == "a" else Access.ALLOW)
            mark = path.judge(to_bytes(packet), 0, link, None)
            assert (mark is None) is (expected is Access.DENY), (name, order)
    finally:
        counters.close()


@pytest.mark.parametrize("is_linked", [True, False])
def test_the_short_way_agrees(monkeypatch: pytest.MonkeyPatch, is_linked: bool) -> None:
    """Between all addresses that are there, both ways: most are of both networks, or of none."""
    comparison = Comparison(monkeypatch, SETTINGS)
    values = [Address.parse(f"10.0.{third}.{last}").value for third in (0, 1, 2) for last in (4, 5)]
    sent = [
        Sent(to_bytes(PacketHeader(4, protocol, source, to, 40000, 80, False)), 0, link, None)
        for source, to in itertools.permutations((*values, Address.parse("8.8.8.8").value), 2)
        for protocol in (TCP, UDP)
        for link in ("client-a", "client-b", None)
    ]
    comparison.compare(overlapping(is_linked=is_linked), sent * 2)
    assert comparison.short == 2 * len(sent)
    assert min(comparison.verdicts.values()) > 50
