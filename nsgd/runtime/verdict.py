"""The verdict path: from a packet's bytes to accept or drop and a mark.

One call decides one packet and counts it; it logs nothing, keeps nothing of the packet, and
never waits. The decision is that of nsgd.policy.evaluate.decide, made of integers prepared at
the hand-over of a policy instead of names.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from nsgd.model.decision import Decision, Reason
from nsgd.model.packet import UDP, PacketHeader, Unparsable
from nsgd.model.rule import Access, Direction
from nsgd.policy.evaluate import (
    ALLOWED_WITHOUT_GROUP,
    consulted_tables,
    consulted_tables_of_host,
)
from nsgd.ruleset.marks import AUDIT_DENIED, NO_TABLE, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.asked_sides import Said, ask, values_of
from nsgd.runtime.asked_tables import AskedTable
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialWriter
from nsgd.runtime.tables_between import TablesBetween
from nsgd.runtime.worker_lookups import Lookups, make_lookups
from nsgd.runtime.worker_policy import WorkerPolicy
from nsgd.wire.packet import Fields, parse_fields

_MOST_REMEMBERED = 16384  # about 6 MB
_UNBOUND = -1  # the class of links that bind nothing
_ALLOWED_OUT = (cell.FLOWS[Direction.OUTBOUND, Access.ALLOW, Reason.RULE],)
_ALLOWED_IN = (cell.FLOWS[Direction.INBOUND, Access.ALLOW, Reason.RULE],)


class Outcome(NamedTuple):
    """What follows from a packet's header, links and request bits."""

    decision: int | None  # mark bits to accept with, None to drop
    counted: tuple[int, ...]  # cells to add one to
    denial: tuple[Direction, int] | None  # for the logs: the denying rule's side and number


class VerdictPath:
    """Decides packets by one policy and counts into shared memory.

    What was decided is remembered, up to a bound, by the classes of addresses and ports that some
    rule or endpoint tells apart: packets of equal classes, links and protocol are decided alike.
    """

    def __init__(
        self, worker_policy: WorkerPolicy, counters: SharedCounters, before: Lookups | None = None
    ) -> None:
        """Remember nothing yet; *before* is as in make_lookups()."""
        self.lookups = made = make_lookups(worker_policy, counters, before)
        self._policy, self._tables = worker_policy.policy, made.tables
        self.nics, self.ends_v4 = made.nics, made.nics.ends_v4
        self._accept_unmanaged = worker_policy.accept_unmanaged
        layout = MarkLayout(worker_policy.mark_mask)
        self.other_bits = ~worker_policy.mark_mask & 0xFFFFFFFF
        self.requests = layout.requests
        self._is_reply = layout.is_reply
        self._is_open = layout.is_open
        self._is_each = layout.is_each
        self._known = layout.is_open | layout.is_decided
        self._no_outbound = layout.outbound(NO_TABLE)
        self._no_inbound = layout.inbound(NO_TABLE)
        # Audit mode lets through what it denies, with a mark that says so: a flow that carries a
        # denying rule's number can come from nowhere else.
        self.is_audit = worker_policy.is_audit
        self.denials = DenialWriter(counters, is_limited=not worker_policy.tells_denials)
        self._audit_denied = layout.inbound(AUDIT_DENIED)
        self._cells = counters.cells
        self._first_hit = {each: counters.first_hit_cell(each) for each in Direction}
        self.counters = counters
        unasked = self._no_outbound, self._no_inbound
        self._tables_between = TablesBetween(made.judges, self._tables[4], unasked)
        self._starts_v6, self._classes_v6 = worker_policy.address_classes[6]
        self._link_classes = worker_policy.link_classes
        # On such a machine a link tells by its side which end is the machine's, whatever it binds.
        self._is_host_only = worker_policy.is_host_only
        self._consulted = consulted_tables_of_host if self._is_host_only else consulted_tables
        self.tells_links = self._is_host_only or bool(self._link_classes)
        self.source_ports = worker_policy.source_port_classes
        self.tcp_ports = worker_policy.tcp_port_classes
        self.udp_ports = worker_policy.udp_port_classes
        self._remembered: dict[tuple[object, ...], Outcome] = {}

    def judge(
        self, payload: bytes, mark: int, in_link: str | None, out_link: str | None
    ) -> int | None:
        """Decide any packet and count it.

        Args:
            payload: The packet from its IP header on, perhaps cut short.
            mark: The packet mark, with request bits in our part of it.
            in_link: Name of the link by which it came.
            out_link: Name of the link by which it will leave.

        Returns:
            The packet mark to accept it with, None to drop it.
        """
        packet = parse_fields(payload)
        if isinstance(packet, Unparsable):
            return self._deny_unparsable(packet, mark)
        outcome = self.outcome(packet, mark & self.requests, in_link, out_link)
        cells = self._cells
        for index in outcome.counted:
            cells[index] += 1
        if self.nics.is_counted:
            if mark & self._is_reply:
                original: Fields = PacketHeader(*packet).reversed()
                self.nics.count(original, out_link, in_link, outcome.counted)
            else:
                self.nics.count(packet, in_link, out_link, outcome.counted)
        if outcome.denial is not None and self.denials.wants(*outcome.denial):
            header = PacketHeader(*packet)
            # Like the flow, by its original direction.
            told = header.reversed() if mark & self._is_reply else header
            self.denials.write(told, *outcome.denial)
        if outcome.decision is None:
            return None
        return mark & self.other_bits | outcome.decision

    def outcome(
        self, packet: Fields, request: int, in_link: str | None, out_link: str | None
    ) -> Outcome:
        """What follows from a packet: remembered, or decided now; nothing is counted."""
        version, protocol, source, destination, source_port, destination_port, midstream = packet
        if version == 4:
            classes = self.ends_v4.find_class(source), self.ends_v4.find_class(destination)
        else:
            starts = self._starts_v6
            classes = (
                self._classes_v6[bisect_right(starts, source) - 1],
                self._classes_v6[bisect_right(starts, destination) - 1],
            )
        destination_ports = self.udp_ports if protocol == UDP else self.tcp_ports
        if request & self._is_reply:
            # The ports of an answer are those of its flow the other way round.
            ports = destination_ports[source_port], self.source_ports[destination_port]
        else:
            ports = self.source_ports[source_port], destination_ports[destination_port]
        key = (
            classes,
            ports,
            protocol,
            version,
            self.links_class(in_link, out_link),
            request,
            midstream,
        )
        outcome = self._remembered.get(key)
        if outcome is None:
            outcome = self._decide(PacketHeader(*packet), request, in_link, out_link)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = outcome
        return outcome

    def links_class(self, in_link: str | None, out_link: str | None) -> tuple[int | None, ...]:
        """Links that decisions do not tell apart have equal ones."""
        other = _UNBOUND if self._is_host_only else None
        return (
            self._link_classes.get(in_link, other) if in_link else None,
            self._link_classes.get(out_link, other) if out_link else None,
        )

    def decide(
        self,
        packet: Fields,
        in_link: str | None,
        out_link: str | None,
        source_class: int,
        destination_class: int,
    ) -> Outcome:
        """What follows from a first IPv4 packet without request bits, decided anew.

        The classes are those of its addresses.
        """
        if not self.tells_links:
            port_of = self.udp_ports if packet[1] == UDP else self.tcp_ports
            ports = self.source_ports[packet[4]] << 16 | port_of[packet[5]]
            said = self._tables_between.ask(packet, source_class, destination_class, ports)
            if said is not None:
                sent, received = said
                if received.hits and received.reason is None and not packet[6]:
                    # What together() comes to for most flows.
                    counted = *sent.hits, *received.hits, *_ALLOWED_IN, cell.ACCEPTED
                    return Outcome(sent.mark | received.mark, counted, None)
                return self._together(sent, received, 0, is_counted=True, midstream=packet[6])
        return self._decide(PacketHeader(*packet), 0, in_link, out_link)

    def _decide(
        self, packet: PacketHeader, request: int, in_link: str | None, out_link: str | None
    ) -> Outcome:
        if request & self._is_reply:
            # A flow is judged by its original direction, whichever side speaks first.
            packet = packet.reversed()
            in_link, out_link = out_link, in_link
        # In transit of a forwarding NIC every packet is judged; a flow counts once a crossing,
        # and as long as it is denied.
        is_counted = request & self._known != self._known
        tables = self._consulted(self._policy, packet, in_link, out_link)
        if isinstance(tables, Decision):
            return self._without_table(tables, request, is_counted)
        of_version = self._tables[packet.version]
        sent, received = self._ask([of_version[index] for index in tables], packet)
        return self._together(
            sent, received, request, is_counted=is_counted, midstream=packet.is_midstream
        )

    def _ask(self, tables: Sequence[AskedTable], packet: PacketHeader) -> tuple[Said, Said]:
        values = values_of(packet)
        outbound = [each for each in tables if each.direction is Direction.OUTBOUND]
        sent = ask(outbound, values, self._no_outbound)
        inbound = tables[len(outbound) :] if sent.reason is None else ()
        return sent, ask(inbound, values, self._no_inbound)

    def _together(
        self, sent: Said, received: Said, request: int, *, is_counted: bool, midstream: bool
    ) -> Outcome:
        hits = sent.hits + received.hits
        if not hits:
            return self._without_table(ALLOWED_WITHOUT_GROUP, request, is_counted)
        decision = sent.mark | received.mark
        reason, direction = sent.reason, Direction.OUTBOUND
        if reason is None:
            reason, direction = received.reason, Direction.INBOUND
        if reason is not None:
            counted = (
                *(hits if is_counted else hits[-1:]),
                cell.FLOWS[direction, Access.DENY, reason],
                cell.DENIED[reason],
            )
            number = hits[-1] - self._first_hit[direction]
            return self._denied(decision, request, counted, (direction, number))
        if not is_counted:
            return self._accepted(decision, request, ())
        hits += _ALLOWED_IN if received.hits else _ALLOWED_OUT
        if midstream and not request & self._is_open:
            hits += (cell.MIDSTREAM,)
        return self._accepted(decision, request, hits)

    def _without_table(self, decision: Decision, request: int, is_counted: bool) -> Outcome:
        if decision.access is None:
            # The kernel's sets were of another policy than ours for a moment.
            if self._accept_unmanaged or self.is_audit:
                return Outcome(0, (cell.UNMANAGED_ACCEPTED, cell.ACCEPTED), None)
            return Outcome(None, (cell.UNMANAGED_DROPPED, cell.DROPPED), None)
        flow = cell.FLOWS[Direction.INBOUND, decision.access, decision.reason]
        if decision.access is Access.DENY:
            return self._denied(
                self._no_outbound | self._audit_denied,
                request,
                (flow, cell.DENIED[decision.reason]),
                (Direction.INBOUND, AUDIT_DENIED),
            )
        return self._accepted(
            self._no_outbound | self._no_inbound, request, (flow,) if is_counted else ()
        )

    def _accepted(
        self,
        decision: int,
        request: int,
        counted: tuple[int, ...],
        denial: tuple[Direction, int] | None = None,
    ) -> Outcome:
        # A packet judged by itself leaves no decision.
        kept = 0 if request & self._is_each else decision
        return Outcome(kept, (*counted, cell.ACCEPTED), denial)

    def _denied(
        self, decision: int, request: int, counted: tuple[int, ...], denial: tuple[Direction, int]
    ) -> Outcome:
        if self.is_audit:
            return self._accepted(decision, request, counted, denial)
        return Outcome(None, (*counted, cell.DROPPED), denial)

    def _deny_unparsable(self, reason: Unparsable, mark: int) -> int | None:
        counted = (
            cell.UNPARSABLE[reason],
            cell.FLOWS[Direction.INBOUND, Access.DENY, Reason.UNPARSABLE],
            cell.DENIED[Reason.UNPARSABLE],
        )
        outcome = self._denied(
            self._no_outbound | self._audit_denied,
            mark & self.requests,
            counted,
            (Direction.INBOUND, AUDIT_DENIED),
        )
        for index in outcome.counted:
            self._cells[index] += 1
        return None if outcome.decision is None else mark & self.other_bits | outcome.decision
