"""The verdict path: from a queued packet's bytes to accept or drop and a mark.

One call decides one packet and counts it; it logs nothing, keeps nothing of the packet, and
never waits. The decision is that of nsgd.policy.evaluate.decide, made of integers prepared at
the hand-over of a policy instead of names.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.model.decision import Decision, Reason
from nsgd.model.packet import PacketHeader, Unparsable
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings, FailureMode, Mode, UnmanagedTraffic
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.evaluate import consulted_tables
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import AUDIT_DENIED, NO_TABLE, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialWriter
from nsgd.wire.packet import parse_packet


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """A compiled policy with the marks and numbers of its rules, as a worker uses it."""

    generation: int
    policy: CompiledPolicy
    mark_mask: int
    accept_unmanaged: bool
    is_audit: bool
    is_fail_open: bool
    rule_numbers: Sequence[Sequence[int]]  # by table and rule
    rule_marks: Sequence[Sequence[int]]  # mark bits of these numbers, on their table's side

    @classmethod
    def build(
        cls,
        generation: int,
        policy: CompiledPolicy,
        numbers: DecisionNumbers,
        settings: DaemonSettings,
    ) -> WorkerPolicy:
        """Prepare everything that need not be computed for each packet."""
        layout = MarkLayout(settings.mark_mask)
        rule_numbers = [numbers.of_table(policy, index) for index in range(len(policy.tables))]
        rule_marks = [
            [
                layout.outbound(number)
                if table.direction is Direction.OUTBOUND
                else layout.inbound(number)
                for number in table_numbers
            ]
            for table, table_numbers in zip(policy.tables, rule_numbers, strict=True)
        ]
        return cls(
            generation,
            policy,
            settings.mark_mask,
            settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT,
            settings.mode is Mode.AUDIT,
            settings.failure_mode is FailureMode.OPEN,
            rule_numbers,
            rule_marks,
        )

    def to_bytes(self) -> bytes:
        """For the hand-over between processes of this same Python; never for a file."""
        plain: tuple[Any, ...] = (
            self.generation,
            self.policy.to_plain(),
            self.mark_mask,
            self.accept_unmanaged,
            self.is_audit,
            self.is_fail_open,
            self.rule_numbers,
            self.rule_marks,
        )
        return marshal.dumps(plain)

    @classmethod
    def from_bytes(cls, data: bytes) -> WorkerPolicy:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        generation, policy, *rest = marshal.loads(data)  # noqa: S302
        return cls(generation, CompiledPolicy.from_plain(policy), *rest)


class VerdictPath:
    """Decides packets by one policy and counts into shared memory."""

    def __init__(self, worker_policy: WorkerPolicy, counters: SharedCounters) -> None:
        self._policy = worker_policy.policy
        self._tables = worker_policy.policy.tables
        self._accept_unmanaged = worker_policy.accept_unmanaged
        self._numbers = worker_policy.rule_numbers
        self._marks = worker_policy.rule_marks
        layout = MarkLayout(worker_policy.mark_mask)
        self._others = ~worker_policy.mark_mask & 0xFFFFFFFF
        self._is_reply = layout.is_reply
        self._is_open = layout.is_open
        self._is_each = layout.is_each
        self._known = layout.is_open | layout.is_decided
        self._no_outbound = layout.outbound(NO_TABLE)
        self._no_inbound = layout.inbound(NO_TABLE)
        self._cells = counters.cells
        # Audit mode lets through what it denies, with a mark that says so: a flow that carries a
        # denying rule's number can come from nowhere else.
        self._audit_log = DenialWriter(counters) if worker_policy.is_audit else None
        self._audit_denied = layout.inbound(AUDIT_DENIED)
        self._first_hit = [counters.first_hit_cell(table.direction) for table in self._tables]

    def judge(
        self, payload: bytes, mark: int, in_link: str | None, out_link: str | None
    ) -> int | None:
        """Decide one packet.

        Args:
            payload: The packet from its IP header on, perhaps cut short.
            mark: The packet mark, with request bits in our part of it.
            in_link: Name of the link by which it came.
            out_link: Name of the link by which it will leave.

        Returns:
            The packet mark to accept it with, None to drop it.
        """
        packet = parse_packet(payload)
        if not isinstance(packet, PacketHeader):
            return self._deny_unparsable(packet, mark)
        if mark & self._is_reply:
            # A flow is judged by its original direction, whichever side speaks first.
            packet = packet.reversed()
            in_link, out_link = out_link, in_link
        tables = consulted_tables(self._policy, packet, in_link, out_link)
        if isinstance(tables, Decision):
            return self._without_table(tables, packet, mark)
        # In transit of a forwarding NIC every packet is judged; a flow counts once a crossing,
        # and as long as it is denied.
        counted = mark & self._known != self._known
        cells = self._cells
        outbound, inbound = self._no_outbound, self._no_inbound
        direction = Direction.INBOUND
        version, protocol, source, destination, source_port, destination_port, midstream = packet
        for index in tables:
            table = self._tables[index]
            rule = table.match(
                version, protocol, source, destination, source_port, destination_port
            )
            direction = table.direction
            allowed = table.allows >> rule & 1
            if counted or not allowed:
                cells[self._first_hit[index] + self._numbers[index][rule]] += 1
            if not allowed:
                cells[cell.FLOWS[direction, Access.DENY, Reason.RULE]] += 1
                cells[cell.DENIED[Reason.RULE]] += 1
                if self._audit_log is None:
                    cells[cell.DROPPED] += 1
                    return None
                self._audit_log.write(packet, direction, self._numbers[index][rule])
                if direction is Direction.OUTBOUND:
                    outbound = self._marks[index][rule]
                else:
                    inbound = self._marks[index][rule]
                break
            if direction is Direction.OUTBOUND:
                outbound = self._marks[index][rule]
            else:
                inbound = self._marks[index][rule]
        else:
            if counted:
                cells[cell.FLOWS[direction, Access.ALLOW, Reason.RULE]] += 1
        if counted and midstream and not mark & self._is_open:
            cells[cell.MIDSTREAM] += 1
        cells[cell.ACCEPTED] += 1
        return self._accepting(mark, outbound | inbound)

    def _accepting(self, mark: int, decision: int) -> int:
        """The packet mark to accept with; a packet judged by itself leaves no decision."""
        return mark & self._others | (0 if mark & self._is_each else decision)

    def _without_table(self, decision: Decision, packet: PacketHeader, mark: int) -> int | None:
        cells = self._cells
        if decision.access is None:
            # The kernel's sets were of another policy than ours for a moment.
            accept = self._accept_unmanaged or self._audit_log is not None
            cells[cell.UNMANAGED_ACCEPTED if accept else cell.UNMANAGED_DROPPED] += 1
            cells[cell.ACCEPTED if accept else cell.DROPPED] += 1
            return mark & self._others if accept else None
        if decision.access is Access.DENY or mark & self._known != self._known:
            cells[cell.FLOWS[Direction.INBOUND, decision.access, decision.reason]] += 1
        if decision.access is Access.DENY:
            cells[cell.DENIED[decision.reason]] += 1
            if self._audit_log is None:
                cells[cell.DROPPED] += 1
                return None
            self._audit_log.write(packet, Direction.INBOUND, AUDIT_DENIED)
            cells[cell.ACCEPTED] += 1
            return self._accepting(mark, self._no_outbound | self._audit_denied)
        cells[cell.ACCEPTED] += 1
        return self._accepting(mark, self._no_outbound | self._no_inbound)

    def _deny_unparsable(self, reason: Unparsable, mark: int) -> int | None:
        cells = self._cells
        cells[cell.UNPARSABLE[reason]] += 1
        cells[cell.FLOWS[Direction.INBOUND, Access.DENY, Reason.UNPARSABLE]] += 1
        cells[cell.DENIED[Reason.UNPARSABLE]] += 1
        if self._audit_log is None:
            cells[cell.DROPPED] += 1
            return None
        cells[cell.ACCEPTED] += 1
        return self._accepting(mark, self._no_outbound | self._audit_denied)
