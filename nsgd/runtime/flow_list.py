"""Answers which flows are decided, and ends those that an operator names, page by page.

A page is what the kernel tells of its connection table at once, about a hundred flows: between two
pages the loop goes on, and nothing is kept of those before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from nsgd.model.address import Address
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import Mode
from nsgd.ruleset.marks import ADOPTED, AUDIT_DENIED, NO_TABLE, MarkLayout
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.flow_filter import PROTOCOL_NAMES, FlowFilter, Side
from nsgd.runtime.flows import Flows
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import OpenFlows, RefusedByKernel
from nsgd.wire.conntrack import ConntrackEntry
from nsgd.wire.conntrack_detail import FlowDetail, parse_detail

log = logging.getLogger("nsgd")

Parts = Generator[dict[str, Any], None, dict[str, Any]]
_WITHOUT_RULE = {
    NO_TABLE: ("noNetworkSecurityGroup", Access.ALLOW),
    ADOPTED: ("adopted", Access.ALLOW),
    AUDIT_DENIED: ("audit", Access.DENY),
}


class FlowLister:
    """Serves the verbs ``flows`` and ``cutFlows``; *counts* has what it did to flows."""

    def __init__(
        self, flows: Flows, counts: OpenFlows, in_force: Callable[[], LoadedPolicy]
    ) -> None:
        self._flows = flows
        self._counts = counts
        self._in_force = in_force

    def list_flows(self, arguments: Mapping[str, Any]) -> Parts:
        """Flows that are meant: ``{"flows": [...]}`` for each page, then how many there are.

        Raises:
            UsageRefused, RefusedByKernel: The filter is none, or the table cannot be read.
        """
        meant = FlowFilter.of(arguments)
        limit = arguments.get("limit", 0)
        if limit < 0:
            raise UsageRefused(f"{limit} is no limit; write 0 for none")
        return self._list(meant, limit)

    def _list(self, meant: FlowFilter, limit: int) -> Parts:
        reader = _Reader(self._in_force(), meant)
        shown = 0
        for page in self._flows.pages():
            found = [
                _row(entry.header, sides, names, parse_detail(body))
                for entry, body in page
                for sides, names in reader.meant(entry)
            ]
            if limit and shown + len(found) >= limit:
                # Counting the rest would cost as much as listing it.
                found = found[: limit - shown]
                yield {"flows": found}
                return {"shown": limit, "isWhole": False}
            shown += len(found)
            yield {"flows": found}
        return {"shown": shown, "isWhole": True}

    def cut_flows(self, arguments: Mapping[str, Any]) -> Parts:
        """End the flows that are meant; each page tells how many have been so far.

        Raises:
            UsageRefused, RefusedByKernel: As for list_flows(); or no flow is named, and not all are
                asked for; or audit mode drops nothing.
        """
        rest = {name: value for name, value in arguments.items() if name != "all"}
        meant = FlowFilter.of(rest)
        if meant.is_empty is not bool(arguments.get("all")):
            raise UsageRefused(
                "no flow is named; name some, or say --all"
                if meant.is_empty
                else "--all and a filter exclude one another"
            )
        if self._in_force().settings.mode is Mode.AUDIT:
            raise RefusedByKernel("mode: audit drops nothing, so no flow can be cut")
        return self._cut(meant, ", ".join(f"{k} {v}" for k, v in rest.items()) or "all")

    def _cut(self, meant: FlowFilter, words: str) -> Parts:
        loaded = self._in_force()
        layout = MarkLayout(loaded.settings.mark_mask)
        reader = _Reader(loaded, meant)
        count = 0
        try:
            for page in self._flows.pages():
                found = [entry for entry, _ in page for _ in reader.meant(entry)]
                if found:
                    changed = self._flows.set_marks(found, layout.cut, layout.mask)
                    count += changed
                    self._counts.cut += changed
                yield {"cut": count}
        finally:
            # Also where the client is gone before the end.
            log.info("%d open flows cut: %s", count, words)
        return {"cut": count}


class _Reader:
    """Reads marks by one policy's numbers."""

    def __init__(self, loaded: LoadedPolicy, meant: FlowFilter) -> None:
        self._layout = MarkLayout(loaded.settings.mark_mask)
        self._endpoints = loaded.policy.endpoint_map
        self._meant = meant
        self._identities = {
            direction: {number: rule for rule, number in by_rule.items()}
            for direction, by_rule in loaded.numbers.by_direction.items()
        }
        self._sides: dict[tuple[Direction, int], Side] = {}

    def meant(
        self, entry: ConntrackEntry
    ) -> Iterator[tuple[tuple[Side, Side], tuple[str | None, str | None]]]:
        """The two sides and the names of both ends, if the flow is decided and meant."""
        if not self._layout.is_decision(entry.mark) or not self._meant.meets_header(entry.header):
            return
        numbers = self._layout.numbers(entry.mark)
        outbound, inbound = Direction.OUTBOUND, Direction.INBOUND
        sides = self._side(outbound, numbers[0]), self._side(inbound, numbers[1])
        if not any(self._meant.meets_side(side) for side in sides):
            return
        names = self._names(entry.header)
        if self._meant.meets_ends(*names):
            yield sides, names

    def _side(self, direction: Direction, number: int) -> Side:
        side = self._sides.get((direction, number))
        if side is None:
            side = self._sides[direction, number] = self._new_side(direction, number)
        return side

    def _new_side(self, direction: Direction, number: int) -> Side:
        identity = self._identities[direction].get(number)
        if identity is not None:
            group, rule, access = identity
            return Side(direction, group or None, rule, access.value, "rule")
        # Unknown are those of a state directory that was lost, or of another gateway's.
        reason, access = _WITHOUT_RULE.get(number, ("unknown", Access.ALLOW))
        return Side(direction, None, None, access.value, reason)

    def _names(self, header: PacketHeader) -> tuple[str | None, str | None]:
        found = self._endpoints.find(header.version, header.source, header.destination, None, None)
        sender, receiver = (
            self._endpoints.endpoints[index].name if index >= 0 else None for index in found
        )
        return sender, receiver


def _row(
    header: PacketHeader,
    sides: tuple[Side, Side],
    names: tuple[str | None, str | None],
    detail: FlowDetail,
) -> dict[str, Any]:
    """A flow in the words of ``nsgd flows -o json``."""
    has_ports = header.protocol in (TCP, UDP)
    counts = detail.counts
    return {
        "protocol": PROTOCOL_NAMES.get(header.protocol, str(header.protocol)),
        "source": str(Address(header.version, header.source)),
        "sourcePort": header.source_port if has_ports else None,
        "destination": str(Address(header.version, header.destination)),
        "destinationPort": header.destination_port if has_ports else None,
        "from": names[0],
        "to": names[1],
        **{side.direction.value.lower(): _side_as_json(side) for side in sides},
        "state": detail.tcp_state or ("REPLIED" if detail.is_answered else "UNREPLIED"),
        "ageSeconds": None
        if detail.started_ns is None
        else max(0, round(time.time() - detail.started_ns / 1e9)),
        "expiresInSeconds": detail.expires_s,
        "packets": None if counts is None else counts.packets,
        "bytes": None if counts is None else counts.bytes,
        "replyPackets": None if counts is None else counts.reply_packets,
        "replyBytes": None if counts is None else counts.reply_bytes,
    }


def _side_as_json(side: Side) -> dict[str, Any]:
    return {
        "networkSecurityGroup": side.network_security_group,
        "rule": side.rule,
        "access": side.access,
        "reason": side.reason,
    }
