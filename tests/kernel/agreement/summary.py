"""What a run has done with one engine: how much, of what kinds, and what disagreed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.kernel.agreement.expected import KERNEL, Expected
from tests.kernel.agreement.flows import expected_decisions
from tests.kernel.agreement.traffic import Traffic
from tests.oracle.oracle import Answer

_MOST_TOLD, _MOST_LINES = 5, 20


@dataclass
class Summary:
    """What a run did with one engine."""

    engine: str
    policies: int = 0
    sent: int = 0
    passed: int = 0
    decided: int = 0  # by the engine itself: without those that the kernel engine queues
    queued: int = 0
    spoofed: int = 0
    unmanaged: int = 0
    counters: int = 0  # compared, that were not zero
    flows: int = 0  # whose decision in the connection table was compared
    disagreements: int = 0
    told: list[str] = field(default_factory=list)
    shapes: Counter[str] = field(default_factory=Counter)

    def add(self, traffic: Traffic, answers: Sequence[Answer], expected: Expected) -> None:
        """Add one policy's packets."""
        counts = expected.counts
        self.policies += 1
        self.sent += len(traffic.packets)
        self.passed += len(expected.passing)
        self.queued += expected.queued
        self.decided += expected.by_kernel if self.engine == KERNEL else expected.queued
        self.spoofed += counts["packets", "denied", "spoofed"]
        self.unmanaged += sum(counts["packets", "unmanaged", fate] for fate in ("accept", "drop"))
        self.flows += expected_decisions(traffic, answers, expected).total()
        self.counters += sum(1 for count in counts.values() if count)
        document = traffic.case.document
        admin = "securityAdminConfigurations" in document
        form = "now with admin rules" if admin else document.get("dialect") or "now"
        self.shapes[f"dialect: {form}"] += len(traffic.packets)
        for setting in traffic.settings.items():
            self.shapes["{}: {}".format(*setting)] += len(traffic.packets)
        for sent, answer in zip(traffic.packets, answers, strict=True):
            packet = sent.way.packet
            self.shapes[f"IPv{packet.version} protocol {packet.protocol}"] += 1
            self.shapes[f"shape: {sent.shape.value}"] += 1
            words = (answer.access, answer.reason, answer.direction or "")
            self.shapes[f"oracle: {' '.join(words)}"] += 1
            self.shapes["in transit of a forwarding interface"] += sent.way.is_transit

    def tell(self, traffic: Traffic, problems: Sequence[str]) -> None:
        """Add one policy's disagreements, if there are any."""
        self.disagreements += len(problems)
        if problems and len(self.told) < _MOST_TOLD:
            text = "\n".join(problems[:_MOST_LINES])
            document = json.dumps({**traffic.case.document, "daemon": traffic.settings})
            self.told.append(f"policy {traffic.seed}, {self.engine}: {text}\n{document}")

    def __str__(self) -> str:
        rows = "".join(f"\n    {row:<60}{n:>9}" for row, n in sorted(self.shapes.items()) if n)
        return (
            f"{self.engine}: {self.policies} policies, {self.sent} packets sent, {self.passed}"
            f" passed; {self.decided} decided by the {self.engine} engine, {self.queued} queued,"
            f" {self.spoofed} spoofed, {self.unmanaged} unmanaged; {self.counters} counters"
            f" and {self.flows} flows' decisions compared; {self.disagreements} disagreements{rows}"
        )
