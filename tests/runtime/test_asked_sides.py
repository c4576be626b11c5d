"""Each side's tables are asked once for what a port leaves to ask, whoever is at the other end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime import asked_sides
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.packet_handler import packet_handler
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from nsgd.wire.verdict import ACCEPT
from tests.runtime.test_verdict_agreement import FakePacket, to_bytes

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
SENDERS, RECEIVERS = (range(first, first + 3) for first in (0x0A000004, 0x0A000104))
PORTS = (80, 81, 82, 83)


def document() -> dict[str, Any]:
    """Three resources a side, each with a group: sender i may not send to ports below 80 + i."""
    common: dict[str, Any] = {"access": "Deny", "sourcePortRange": "*", "protocol": "*"}
    common |= {"sourceAddressPrefix": "*", "destinationAddressPrefix": "*", "priority": 100}
    subnets = [
        {"name": name, "addressPrefix": prefix}
        for name, prefix in (("senders", "10.0.0.0/24"), ("receivers", "10.0.1.0/24"))
    ]
    named = [
        (f"{side}{index}", side, index) for side in ("senders", "receivers") for index in range(3)
    ]
    rules: dict[str, dict[str, Any]] = {
        name: {
            "name": "not",
            "direction": "Outbound" if side == "senders" else "Inbound",
            "destinationPortRange": f"70-{79 + index}" if side == "senders" else f"{82 + index}-90",
        }
        for name, side, index in named
    }
    return {
        "virtualNetworks": [{"name": "n", "addressSpace": ["10.0.0.0/16"], "subnets": subnets}],
        "networkSecurityGroups": [
            {"name": name, "securityRules": [common | rule]} for name, rule in rules.items()
        ],
        "networkInterfaces": [
            {
                "name": name,
                "subnet": f"n/{side}",
                "networkSecurityGroup": name,
                "privateIPAddresses": [f"10.0.{int(side == 'receivers')}.{4 + index}"],
            }
            for name, side, index in named
        ],
    }


class Worker:
    """A handler, and how often tables of a side were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = json.dumps(document()).encode()
        self.policy: CompiledPolicy = compile_policy(load_documents([Document("d", content)]).model)
        numbers = DecisionNumbers().extended(self.policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        built = WorkerPolicy.build(1, self.policy, numbers, SETTINGS)
        self.counters = SharedCounters.create(LAYOUT.capacity)
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), self.counters)
        self.given: list[int] = []
        self._handle = packet_handler(
            path, OutcomeCells(self.counters), lambda verdict, *_: self.given.append(verdict)
        )
        self.asked = 0
        ask = asked_sides.ask

        def counted_ask(*args: Any) -> Any:
            self.asked += 1
            return ask(*args)

        monkeypatch.setattr(asked_sides, "ask", counted_ask)

    def check_all(self, protocol: int) -> None:
        """Each sender to each receiver and port, as the plain evaluator decides."""
        for source, to, port in product(SENDERS, RECEIVERS, PORTS):
            header = PacketHeader(4, protocol, source, to, 40000, port, False)
            self._handle(FakePacket(to_bytes(header), 0, 0, 0))
            is_allowed = decide(self.policy, header, None, None).access is Access.ALLOW
            assert (self.given.pop() == ACCEPT) is is_allowed, header


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """One handler."""
    made = Worker(monkeypatch)
    yield made
    made.counters.close()


def test_sides_are_asked_apart(worker: Worker) -> None:
    """Not once for each pair of ends and class of ports; both protocols are of one class."""
    worker.check_all(TCP)
    assert worker.asked == 2 * 3 * len(PORTS)
    worker.check_all(UDP)
    assert worker.asked == 2 * 3 * len(PORTS)


def test_the_memory_of_sides_is_bounded(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full, it begins anew, and decides as before."""
    monkeypatch.setattr(asked_sides, "_MOST_KNOWN", 2)
    worker.check_all(TCP)
    assert worker.asked > 2 * 3 * len(PORTS)
