"""First packets by network interface: whose they are, and on which side they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.packet import ICMP, UDP, PacketHeader
from nsgd.model.settings import DaemonRole, DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.packet_handler import packet_handler
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy

from .test_verdict_agreement import FakePacket, to_bytes

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
A, B, C, OUTSIDE = ((10 << 24) + host for host in (4, 5, 6, -1))
SLOTS = {"a": 1, "b": 2, "c": 3}


def rule(name: str, direction: str, port: str, **prefixes: str) -> dict[str, Any]:
    """One that denies."""
    return {
        "name": name,
        "priority": 100,
        "direction": direction,
        "access": "Deny",
        "protocol": "*",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": port,
        **prefixes,
    }


def document(**links: str) -> dict[str, Any]:
    """Three interfaces, of which c has no group; port 1 may not leave a, nor 2 enter b."""
    subnet = {"name": "s", "addressPrefix": "10.0.0.0/24"}
    groups = {"a": rule("NotOut", "Outbound", "1"), "b": rule("NotIn", "Inbound", "2")}
    return {
        "virtualNetworks": [{"name": "n", "addressSpace": ["10.0.0.0/16"], "subnets": [subnet]}],
        "networkInterfaces": [
            {
                "name": name,
                "subnet": "n/s",
                "privateIPAddresses": [f"10.0.0.{3 + SLOTS[name]}"],
                **({"networkSecurityGroup": name} if name in groups else {}),
                **({"link": links[name]} if name in links else {}),
            }
            for name in SLOTS
        ],
        "networkSecurityGroups": [
            {"name": name, "securityRules": [rule]} for name, rule in groups.items()
        ],
    }


Send = Callable[..., dict[str, list[int]]]


@pytest.fixture(params=["short", "full"])
def sending(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Send]]:
    """Makes a function that sends packets and returns what has changed, by either way."""
    monkeypatch.setattr("socket.if_indextoname", lambda index: f"eth{index}")
    opened: list[SharedCounters] = []

    def make(made: dict[str, Any], settings: DaemonSettings = SETTINGS) -> Send:
        model = load_documents([Document("a.json", json.dumps(made).encode())]).model
        policy = compile_policy(model)
        numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        built = WorkerPolicy.build(1, policy, numbers, settings, tuple(SLOTS.values()))
        counters = SharedCounters.create(LAYOUT.capacity)
        opened.append(counters)
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters)
        handle = packet_handler(path, OutcomeCells(counters), lambda *verdict: None)

        def send(
            source: int, to: int, port: int, links: tuple[int, int] = (0, 0), mark: int = 0
        ) -> dict[str, list[int]]:
            before = counters.nic_counts(SLOTS)
            payload = to_bytes(PacketHeader(4, UDP, source, to, 99, port, False))
            if request.param == "short":
                handle(FakePacket(payload, mark, *links))
            else:
                names = (f"eth{index}" if index else None for index in links)
                path.judge(payload, mark, *names)
            after = counters.nic_counts(SLOTS)
            changes = {
                name: [now - then for now, then in zip(after[name], before[name], strict=True)]
                for name in SLOTS
            }
            return {name: change for name, change in changes.items() if any(change)}

        return send

    yield make
    for counters in opened:
        counters.close()


# What is counted: of what comes in, allowed and denied; of what goes out, allowed and denied.
IN, NOT_IN, OUT, NOT_OUT = ([int(place == index) for index in range(4)] for place in range(4))


def test_by_address(sending: Callable[..., Send]) -> None:
    """Each end once; where the sender's rules deny, the receiver's are not asked."""
    send = sending(document())
    for _ in range(2):
        assert send(A, B, 3) == {"a": OUT, "b": IN}
        assert send(A, B, 1) == {"a": NOT_OUT}
        assert send(A, B, 2) == {"a": OUT, "b": NOT_IN}
        assert send(OUTSIDE, C, 2) == {"c": IN}
        assert send(C, OUTSIDE, 1) == {"c": OUT}
        assert send(A, A + 90, 3) == {"a": OUT}


def test_by_link(sending: Callable[..., Send]) -> None:
    """A link that binds an interface tells more than an address."""
    send = sending(document(a="eth1", b="eth2"))
    for _ in range(2):
        assert send(C, C, 3, (1, 2)) == {"a": OUT, "b": IN}
        assert send(C, C, 2, (1, 2)) == {"a": OUT, "b": NOT_IN}
        assert send(C, C, 1, (1, 2)) == {"a": NOT_OUT}
        assert send(OUTSIDE, OUTSIDE, 3, (1, 2)) == {"a": OUT, "b": NOT_IN}
        assert send(C, A + 90, 3, (9, 2)) == {"c": OUT, "b": IN}
        assert send(C, A, 3, (9, 8)) == {"c": OUT, "a": IN}


def test_one_end_of_a_host(sending: Callable[..., Send]) -> None:
    """The other one guards itself, whoever it is."""
    host = DaemonSettings(roles=frozenset({DaemonRole.HOST}))
    send = sending(document(a="eth1"), host)
    for _ in range(2):
        assert send(A, B, 3, (0, 1)) == {"a": OUT}
        assert send(A, B, 1, (0, 1)) == {"a": NOT_OUT}
        assert send(C, A, 3, (1, 0)) == {"a": IN}
        assert send(A, B, 2, (9, 0)) == {"b": NOT_IN}


def test_networks_that_overlap(sending: Callable[..., Send]) -> None:
    """The other end tells whose an address is; where it does not, nobody's count moves."""
    made = document()
    made["virtualNetworks"].append(
        {
            "name": "m",
            "addressSpace": ["10.0.0.0/16", "10.1.0.0/16"],
            "subnets": [
                {"name": "s", "addressPrefix": "10.0.0.0/24"},
                {"name": "t", "addressPrefix": "10.1.0.0/24"},
            ],
        }
    )
    made["networkInterfaces"][2] |= {"subnet": "m/s", "privateIPAddresses": ["10.0.0.4"]}
    made["networkInterfaces"][1] |= {"subnet": "m/t", "privateIPAddresses": ["10.1.0.5"]}
    send = sending(made)
    for _ in range(2):
        assert send(A, (10 << 24) + (1 << 16) + 5, 3) == {"c": OUT, "b": IN}
        assert send(OUTSIDE, A, 3) == {}


def test_an_answer_and_a_packet_in_transit(sending: Callable[..., Send]) -> None:
    """By the flow's original direction; what is known and decided counts no more."""
    send = sending(document())
    reply = LAYOUT.is_reply | LAYOUT.is_open
    assert send(B, A, 3, mark=reply) == {"a": OUT, "b": IN}
    assert send(B, A, 3, mark=reply | LAYOUT.is_decided) == {}


def test_what_no_interface_sends_or_gets(sending: Callable[..., Send]) -> None:
    """Unparsable packets have no ends, and unmanaged ones none of ours."""
    send = sending(document())
    assert send(OUTSIDE, OUTSIDE, 3) == {}


def test_other_protocols_and_ipv6() -> None:
    """They go by judge() only."""
    made = document()
    made["virtualNetworks"][0]["addressSpace"].append("fd00::/48")
    made["virtualNetworks"][0]["subnets"][0] = {
        "name": "s",
        "addressPrefixes": ["10.0.0.0/24", "fd00::/64"],
    }
    made["networkInterfaces"][2]["privateIPAddresses"] = ["10.0.0.6", "fd00::6", "fd00::7"]
    model = load_documents([Document("a.json", json.dumps(made).encode())]).model
    policy = compile_policy(model)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
    counters = SharedCounters.create(LAYOUT.capacity)
    path = VerdictPath(
        WorkerPolicy.build(1, policy, numbers, SETTINGS, tuple(SLOTS.values())), counters
    )
    v6 = 0xFD00 << 112
    path.judge(to_bytes(PacketHeader(6, UDP, v6 + 7, v6 + 6, 1, 2, False)), 0, None, None)
    path.judge(to_bytes(PacketHeader(4, ICMP, A, C, 0, 0, False)), 0, None, None)
    path.judge(b"\x45", 0, None, None)
    counts = counters.nic_counts(SLOTS)
    assert counts == {"a": OUT, "b": [0] * 4, "c": [2, 0, 1, 0]}
    counters.close()


def test_without_slots_nothing_is_counted() -> None:
    """As metricsDetail says."""
    model = load_documents([Document("a.json", json.dumps(document()).encode())]).model
    policy = compile_policy(model)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
    counters = SharedCounters.create(LAYOUT.capacity)
    path = VerdictPath(WorkerPolicy.build(1, policy, numbers, SETTINGS), counters)
    assert not path.nics.is_counted
    path.judge(to_bytes(PacketHeader(4, UDP, A, B, 1, 3, False)), 0, None, None)
    assert not any(counters.nics.tolist())
    counters.close()
