"""Recent denials, kept for the verb ``denials``: who was denied, when and by which rule.

Of bounded number, of those that a rule denied and that were told: a few of each rule a second (all
of them in audit mode and for flow logs), the rest counted. Rule hits count every one. Of each rule
and source the newest are kept: a scan does not push out what befell others a minute ago.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.runtime import counters as cell
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import Denial, DenialReader
from nsgd.runtime.fair_ring import FairRing
from nsgd.runtime.flow_filter import PROTOCOL_NAMES, FlowFilter, Side
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.tally import Tally
from nsgd.runtime.told_denials import ToldDenials

MOST_KEPT = 1000
_MOST_AT_ONCE = 512
# The loop comes by at least once a second; what comes by more often is no reason to tell more.
_WINDOW_S = 0.9


class _Kept(NamedTuple):
    id: int  # goes up by one with each
    denial: Denial
    header: PacketHeader
    side: Side
    names: tuple[str | None, str | None]  # of the sender and the receiver, where declared

    @property
    def alike(self) -> Hashable:
        """What is the same of those that differ in time and source port only."""
        header = self.header
        ends = header.version, header.source, header.destination
        port = header.destination_port if header.protocol in (TCP, UDP) else None
        return self.side, header.protocol, ends, port


class RecentDenials:
    """Hears of denials by the workers and by the kernel engine; the newest are kept."""

    def __init__(
        self, areas: Sequence[SharedCounters], told: ToldDenials, most: int = MOST_KEPT
    ) -> None:
        """Hear of workers, each by its area, and of the kernel engine; keep *most*."""
        self._cells = [counters.cells for counters in areas]
        self._readers = [DenialReader(counters) for counters in areas]
        self._since_s = time.time()
        self._kept: FairRing[Hashable, _Kept] = FairRing(most)
        # How many alike are kept, and how many were told since the first of these.
        self._alike: Counter[Hashable] = Counter()
        self._times: dict[Hashable, Tally] = {}
        self._last_id = 0
        self._missed = 0  # told by workers, and not read
        self._heard: list[Denial] = []
        self._numbers: object = None
        self._rules: dict[tuple[Direction, int], tuple[str, str]] = {}
        self._told = told
        self._next_window_s = 0.0
        self.listener: Callable[[Denial], None] | None = None  # hears of each that is read
        told.listener = self._hear

    @property
    def missed(self) -> int:
        """Denials that were told, or would have been by workers, and not read."""
        return self._untold + self._missed + self._told.lost

    @property
    def _untold(self) -> int:
        return sum(cells[cell.DENIALS_UNTOLD] for cells in self._cells)

    def tell_all(self, is_wanted: bool) -> None:
        """Have the workers tell of every denial, or of some of each rule."""
        for cells in self._cells:
            cells[cell.DENIALS_ALL] = is_wanted

    def tend(self, loaded: LoadedPolicy) -> None:
        """Read what came and, once a second, let the workers tell of more."""
        self.read(loaded)
        now_s = time.monotonic()
        if now_s >= self._next_window_s:
            self._next_window_s = now_s + _WINDOW_S
            for cells in self._cells:
                cells[cell.DENIALS_WINDOW] += 1

    def read(self, loaded: LoadedPolicy) -> None:
        """Keep what came since the last call."""
        denials: list[Denial] = []
        for reader in self._readers:
            read, others = reader.read(_MOST_AT_ONCE)
            denials += read
            self._missed += others
        if len(self._readers) > 1:
            denials.sort(key=lambda denial: denial.time_ms)
        heard, self._heard = self._heard, []
        for denial in (*denials, *heard):
            self._keep(denial, loaded)
            if self.listener is not None:
                self.listener(denial)

    def list_denials(
        self, arguments: Mapping[str, Any], loaded: LoadedPolicy | None
    ) -> dict[str, Any]:
        """Answer the verb ``denials``: those that are kept and meant, the newest first.

        Args:
            arguments: A flow filter's, whose NIC is at either end; *after*, an id: those that came
                later; *limit*.
            loaded: The policy in force, by which new ones are named.

        Raises:
            UsageRefused: The filter is none.
        """
        meant = FlowFilter.of(arguments)
        limit = arguments.get("limit", 0)
        if limit < 0:
            raise UsageRefused(f"{limit} is no limit; write 0 for none")
        if loaded is not None:
            self.read(loaded)
        after = arguments.get("after", 0)
        now_ms = time.time_ns() // 1_000_000
        found = (
            _row(kept, self._times[kept.alike], now_ms)
            for kept in sorted(self._kept, key=lambda kept: -kept.id)
            if kept.id > after
            and meant.meets_header(kept.header)
            and meant.meets_side(kept.side)
            and meant.meets_ends(*kept.names)
        )
        return {
            "denials": list(itertools.islice(found, min(limit, len(self._kept)) or None)),
            "lastId": self._last_id,
            "kept": len(self._kept),
            "mostKept": self._kept.most,
            # Were kept once, and went for newer ones of those with most.
            "givenUp": self._kept.given_up,
            "since": _iso_utc(self._since_s),
            # Denied by rules and never here: beyond the limits, or faster than they are read. Those
            # beyond the kernel engine's limits are kernelDenials.untold of the status.
            "notTold": self._untold + self._missed,
        }

    def _hear(self, denial: Denial) -> None:
        if len(self._heard) < MOST_KEPT:
            self._heard.append(replace(denial, time_ms=time.time_ns() // 1_000_000))
        else:
            self._missed += 1

    def _keep(self, denial: Denial, loaded: LoadedPolicy) -> None:
        if self._numbers is not loaded.numbers:
            self._numbers = loaded.numbers
            self._rules = {
                (direction, number): (group, rule)
                for direction, by_rule in loaded.numbers.by_direction.items()
                for (group, rule, access), number in by_rule.items()
                if access is Access.DENY
            }
        found = self._rules.get((denial.direction, denial.number))
        if found is None:
            return  # by no rule, such as an ambiguous network: counted by its reason
        group, rule = found
        header = denial.header
        endpoints = loaded.policy.endpoint_map
        ends = endpoints.find(header.version, header.source, header.destination, None, None)
        sender, receiver = (
            endpoints.endpoints[index].name if index >= 0 else None for index in ends
        )
        side = Side(denial.direction, group or None, rule, Access.DENY.value, "rule")
        self._last_id += 1
        self._remember(_Kept(self._last_id, denial, header, side, (sender, receiver)))

    def _remember(self, kept: _Kept) -> None:
        alike = kept.alike
        self._alike[alike] += 1
        self._times.setdefault(alike, Tally()).add(kept.denial.time_ms)
        gone = self._kept.add((kept.side, kept.header.version, kept.header.source), kept)
        if gone is not None:
            self._alike[gone.alike] -= 1
            if not self._alike[gone.alike]:
                del self._alike[gone.alike], self._times[gone.alike]


def _row(kept: _Kept, times: Tally, now_ms: int) -> dict[str, Any]:
    denial, side = kept.denial, kept.side
    has_ports = denial.protocol in (TCP, UDP)
    is_outbound = side.direction is Direction.OUTBOUND
    return {
        "id": kept.id,
        "time": _iso_utc(denial.time_ms / 1000),
        "direction": side.direction.value,
        "networkSecurityGroup": side.network_security_group,
        "rule": side.rule,
        "protocol": PROTOCOL_NAMES.get(denial.protocol, str(denial.protocol)),
        "source": str(denial.source),
        "sourcePort": denial.source_port if has_ports else None,
        "destination": str(denial.destination),
        "destinationPort": denial.destination_port if has_ports else None,
        "from": kept.names[0],
        "to": kept.names[1],
        # Whose rule it was.
        "networkInterface": kept.names[0] if is_outbound else kept.names[1],
        # How often the like was told, with other source ports too: of some only the newest are
        # kept.
        "times": times.total,
        "timesLately": times.lately(now_ms),
    }


def _iso_utc(time_s: float) -> str:
    found = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
    return found.replace("+00:00", "Z")
