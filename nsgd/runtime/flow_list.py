"""Answers which flows are decided, and ends those that an operator names, page by page.

A page is what the kernel tells of its connection table at once, about a hundred flows: between two
pages the loop goes on, and nothing is kept of those before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from nsgd.model.packet import PacketHeader
from nsgd.model.settings import Mode
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.flow_filter import FlowFilter, Side
from nsgd.runtime.flow_names import FlowNames, ends_as_json, side_as_json
from nsgd.runtime.flows import Flows
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import OpenFlows, RefusedByKernel
from nsgd.wire.conntrack import ConntrackEntry
from nsgd.wire.conntrack_detail import FlowDetail, parse_detail

log = logging.getLogger("nsgd")

Parts = Generator[dict[str, Any], None, dict[str, Any]]
# What the mark names, and the groups that let the flow pass before.
SeenSide = tuple[Side, tuple[str, ...]]


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
        return self._cut(meant, ", ".join(f"{k} {_printable(v)}" for k, v in rest.items()) or "all")

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
            self._counts.marked()
            log.info("%d open flows cut: %s", count, words)
        return {"cut": count}


class _Reader:
    """Reads marks by one policy's numbers."""

    def __init__(self, loaded: LoadedPolicy, meant: FlowFilter) -> None:
        self._names = FlowNames(loaded)
        self._meant = meant

    def meant(
        self, entry: ConntrackEntry
    ) -> Iterator[tuple[tuple[SeenSide, SeenSide], tuple[str | None, str | None]]]:
        """The two sides and the names of both ends, if the flow is decided and meant."""
        if not self._names.layout.is_decision(entry.mark):
            return
        if not self._meant.meets_header(entry.header):
            return
        outbound, inbound = (
            (side, self._names.asked_before(entry.header, side))
            for side in self._names.sides(entry.mark)
        )
        sides = outbound, inbound
        if not any(self._meets(*side) for side in sides):
            return
        names = self._names.ends(entry.header)
        if self._meant.meets_ends(*names):
            yield sides, names

    def _meets(self, side: Side, before: tuple[str, ...]) -> bool:
        # Which of their rules allowed the flow is not known of the groups that were asked before.
        return self._meant.meets_side(side) or any(
            self._meant.meets_side(side._replace(network_security_group=group, rule=""))
            for group in before
        )


def _printable(value: object) -> str:
    """For a line of the log, of which a value must not make two."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _row(
    header: PacketHeader,
    sides: tuple[SeenSide, SeenSide],
    names: tuple[str | None, str | None],
    detail: FlowDetail,
) -> dict[str, Any]:
    """A flow in the words of ``nsgd flows -o json``."""
    counts = detail.counts
    return {
        **ends_as_json(header, names),
        **{side.direction.value.lower(): side_as_json(side, before) for side, before in sides},
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
