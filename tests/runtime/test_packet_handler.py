"""How often the handler asks the tables: once for all flows that no rule tells apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.address import Address
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.tree_nodes import left_to_ask
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime import packet_handler, tables_between
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.runtime.test_verdict_agreement import FakePacket, to_bytes

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)


def document() -> dict[str, Any]:
    """One group with a rule for either protocol and one for both."""
    common = {"access": "Allow", "direction": "Inbound", "sourcePortRange": "*"}
    common |= {"sourceAddressPrefix": "*", "destinationAddressPrefix": "*"}
    rules = [
        {"name": "tcp", "priority": 100, "protocol": "Tcp", "destinationPortRange": "80"},
        {"name": "udp", "priority": 101, "protocol": "Udp", "destinationPortRange": "80-81"},
        {"name": "both", "priority": 102, "protocol": "*", "destinationPortRange": "82-90"},
    ]
    subnet = {"name": "s", "addressPrefix": "10.0.0.0/24", "networkSecurityGroup": "group"}
    return {
        "virtualNetworks": [{"name": "n", "addressSpace": ["10.0.0.0/16"], "subnets": [subnet]}],
        "networkSecurityGroups": [
            {"name": "group", "securityRules": [common | rule for rule in rules]}
        ],
    }


class Asked:
    """A handler, and how often it went to the tables and worked out what is left to ask them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = json.dumps(document()).encode()
        policy = compile_policy(load_documents([Document("d", content)]).model)
        numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        built = WorkerPolicy.build(1, policy, numbers, SETTINGS)
        self.counters = SharedCounters.create(LAYOUT.capacity)
        self.path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), self.counters)
        self.decided = self.worked_out = 0
        decide = self.path.decide

        def counted_decide(*args: Any) -> Any:
            self.decided += 1
            return decide(*args)

        def counted_left_to_ask(*args: Any) -> Any:
            self.worked_out += 1
            return left_to_ask(*args)

        monkeypatch.setattr(self.path, "decide", counted_decide)
        monkeypatch.setattr("nsgd.runtime.asked_tables.left_to_ask", counted_left_to_ask)
        self.given: list[tuple[int, int, int]] = []
        self._handle = packet_handler.packet_handler(
            self.path, OutcomeCells(self.counters), lambda *verdict: self.given.append(verdict)
        )

    def send(self, protocol: int, source: str, port: int) -> None:
        """A packet to a resource of the subnet."""
        ends = Address.parse(source).value, Address.parse("10.0.0.5").value
        header = PacketHeader(4, protocol, *ends, 40000, port, False)
        self._handle(FakePacket(to_bytes(header), 0, 1, 2))


@pytest.fixture(params=[packet_handler._MOST_PLACES, 0], ids=["list", "dictionary"])
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """One handler, with either memory."""
    monkeypatch.setattr(packet_handler, "_MOST_PLACES", request.param)
    made = Asked(monkeypatch)
    yield made
    made.counters.close()


def test_protocols_are_one_where_no_rule_tells_them_apart(asked: Asked) -> None:
    """By the port: the rules of another port do not matter."""
    for protocol in (TCP, UDP):
        for port in (82, 85, 90):
            asked.send(protocol, "8.8.8.8", port)
    assert asked.decided == 1
    for protocol, port in ((TCP, 80), (UDP, 80), (TCP, 81), (UDP, 81), (TCP, 1)):
        asked.send(protocol, "8.8.8.8", port)
    # UDP to 80 is as to 81; TCP to 81 is as to 1: no rule is for it.
    assert asked.decided == 1 + 3


def test_tables_are_gone_through_once_for_two_addresses(asked: Asked) -> None:
    """Other ports between resources of the same kind go on behind what is known."""
    for port in range(75, 95):
        for source in ("8.8.8.8", "8.8.8.9"):
            asked.send(TCP, source, port)
    assert asked.worked_out == 1  # of one table
    assert asked.decided == 3
    asked.send(TCP, "10.0.0.7", 80)
    assert (asked.worked_out, asked.decided) == (3, 4)  # the sender's outbound table too


def test_the_memory_of_addresses_is_bounded(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full, it begins anew, and decides as before."""
    monkeypatch.setattr(tables_between, "_MOST_KNOWN", 1)
    monkeypatch.setattr(packet_handler, "_MOST_REMEMBERED", 1)
    for _ in range(3):
        asked.given.clear()
        for source in ("8.8.8.8", "10.0.0.7"):
            for port in (80, 100):
                asked.send(TCP, source, port)
        # From the Internet to port 100: denied; within the network all is allowed.
        assert [each[0] for each in asked.given] == [1, 0, 1, 1]
    assert asked.worked_out == 3 * (1 + 2)
    assert asked.decided == 3 * 4
