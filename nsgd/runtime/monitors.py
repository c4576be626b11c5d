"""Monitors: clients that are told decisions as they happen: allowed flows, and denials.

Nobody waits for one. What comes is looked at a bounded number at a time, each monitor keeps a
bounded number until its client has read, and whatever is left out on the way is counted and told.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.denials import Denial
from nsgd.runtime.flow_filter import FlowFilter, Side
from nsgd.runtime.flow_names import FlowNames, ends_as_json, side_as_json
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.loop import Loop
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.recent_denials import RecentDenials
from nsgd.wire.flow_events import FlowSeen

log = logging.getLogger("nsgd")

MOST_MONITORS = 8
MOST_WAITING = 2000  # decisions, for each
STEP_S = 0.05
_EVENTS_A_STEP = 512
_MOST_IN_A_PART = 250
# A part comes at least so often: a client sees that the daemon lives.
_ALIVE_S = 1.0
_NO_RULE = "noRule"


class FlowBegins(Protocol):
    """The kernel's events of new flows."""

    @property
    def lost(self) -> int:
        """Events that were not read in time."""

    def read(self, most: int) -> Sequence[tuple[bool, FlowSeen]]:
        """What has come, without waiting. Raises RefusedByKernel."""

    def close(self) -> None:
        """Hear no more."""


class Monitor:
    """What waits for one client."""

    def __init__(
        self, meant: FlowFilter, access: Access | None, leave: Callable[[Monitor], None]
    ) -> None:
        self.meant = meant
        self.access = access
        self._leave = leave
        self._waiting: deque[dict[str, Any]] = deque()
        self._counts = {"lost": 0, "suppressed": 0, "missed": 0}
        self._next_s = 0.0

    def add(self, decision: dict[str, Any]) -> None:
        """Keep a decision; where there are too many, the oldest is lost."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._counts["lost"] += 1
        self._waiting.append(decision)

    def count(self, name: str, number: int) -> None:
        """Tell of so many more that were *suppressed*, or *missed*."""
        self._counts[name] += number

    def take(self) -> dict[str, Any] | None:
        """The next part: decisions, oldest first, and how many were left out ahead of them."""
        now_s = time.monotonic()
        if not self._waiting and not any(self._counts.values()) and now_s < self._next_s:
            return None
        self._next_s = now_s + _ALIVE_S
        most = min(len(self._waiting), _MOST_IN_A_PART)
        part = {"decisions": [self._waiting.popleft() for _ in range(most)], **self._counts}
        self._counts = dict.fromkeys(self._counts, 0)
        return part

    def close(self) -> None:
        """The client has left."""
        self._leave(self)


class Monitors:
    """All of them. The kernel tells of new flows while one of them wants to hear of these."""

    def __init__(
        self,
        loop: Loop,
        in_force: Callable[[], LoadedPolicy],
        recent: RecentDenials,
        open_events: Callable[[], FlowBegins],
        untold: Callable[[], int],
        feed: Callable[[], None],
    ) -> None:
        """Hear of denials from *recent*, and of allowed flows from the events of the kernel.

        Args:
            loop: Comes by more often while there are monitors.
            in_force: The policy in force.
            recent: Reads denials of both engines.
            open_events: Opens the kernel's events. Raises RefusedByKernel.
            untold: Denials that the kernel engine has counted and not told.
            feed: Hands what waits to the clients.
        """
        self._loop = loop
        self._in_force = in_force
        self._recent = recent
        self._open_events = open_events
        self._untold = untold
        self._feed = feed
        self._monitors: list[Monitor] = []
        self._events: FlowBegins | None = None
        self._names: FlowNames | None = None
        self._named: LoadedPolicy | None = None
        self._next_step_s = self._next_count_s = 0.0
        self._seen = {"events": 0, "denials": 0, "untold": 0}

    def attach(self, arguments: Mapping[str, Any]) -> Monitor:
        """A monitor of what happens from now on: the verb ``monitor``.

        Args:
            arguments: A flow filter's, and *access*.

        Raises:
            UsageRefused, RefusedByKernel: The filter is none, there are too many monitors, or the
                kernel does not tell of flows.
        """
        rest = {name: value for name, value in arguments.items() if name != "access"}
        monitor = Monitor(FlowFilter.of(rest), _access(arguments.get("access")), self._detach)
        if len(self._monitors) >= MOST_MONITORS:
            raise RefusedByKernel(
                f"there are {MOST_MONITORS} monitors already, the most at once; end one"
            )
        if monitor.access is not Access.DENY and self._events is None:
            self._events = self._open_events()
            self._seen["events"] = 0
        self._recent.tell_all(True)
        # What was before belongs to those who were there.
        self._next_count_s = 0.0
        self._step()
        self._monitors.append(monitor)
        self._recent.listener = self._denied
        return monitor

    def tend(self) -> None:
        """Look at what has come; called in every round of the loop."""
        if not self._monitors:
            return
        self._loop.soon(STEP_S)
        if time.monotonic() >= self._next_step_s:
            self._next_step_s = time.monotonic() + STEP_S
            self._step()
            self._feed()

    def close(self) -> None:
        """Tell nobody any more."""
        self._monitors.clear()
        self._close_events()

    def _detach(self, monitor: Monitor) -> None:
        if monitor in self._monitors:
            self._monitors.remove(monitor)
        if all(other.access is Access.DENY for other in self._monitors):
            self._close_events()
        if not self._monitors:
            self._recent.listener = None
            self._recent.tell_all(False)

    def _close_events(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None

    def _step(self) -> None:
        loaded = self._in_force()
        if self._named is not loaded:
            self._named, self._names = loaded, FlowNames(loaded)
        self._recent.read(loaded)
        if self._events is not None:
            try:
                self._read_events(self._events)
            except RefusedByKernel as error:
                # Those who listen go on with denials; the next monitor asks the kernel again.
                log.error("monitors hear of no new flows: %s", error)
                self._close_events()
        self._count("denials", "missed", self._recent.missed)
        if time.monotonic() >= self._next_count_s:
            # All of the table's counters are read for it.
            self._next_count_s = time.monotonic() + 1
            self._count("untold", "suppressed", self._untold())

    def _read_events(self, events: FlowBegins) -> None:
        names = self._names
        if names is None:
            return
        for has_ended, flow in events.read(_EVENTS_A_STEP):
            if has_ended or not names.layout.is_decision(flow.mark):
                continue
            sides = names.sides(flow.mark)
            # In audit mode: the engine has told of it as a denial.
            if all(side.access == Access.ALLOW.value for side in sides):
                time_ms = flow.start_ms or flow.time_ms or time.time_ns() // 1_000_000
                self._tell(Access.ALLOW, time_ms, flow.header, sides)
        self._count("events", "missed", events.lost)

    def _denied(self, denial: Denial) -> None:
        if self._names is None:
            return
        side = self._names.side(denial.direction, denial.number)
        if side.rule is None:
            side = Side(denial.direction, None, None, Access.DENY.value, _NO_RULE)
        self._tell(Access.DENY, denial.time_ms, denial.header, (side,))

    def _tell(
        self, access: Access, time_ms: int, header: PacketHeader, sides: tuple[Side, ...]
    ) -> None:
        meant = [
            monitor
            for monitor in self._monitors
            if monitor.access in (None, access)
            and monitor.meant.meets_header(header)
            and any(monitor.meant.meets_side(side) for side in sides)
        ]
        if not meant or self._names is None:
            return
        ends = self._names.ends(header)
        decision: dict[str, Any] = {
            "time": _iso_utc(time_ms),
            "access": access.value,
            **ends_as_json(header, ends),
            "outbound": None,
            "inbound": None,
            **{side.direction.value.lower(): side_as_json(side) for side in sides},
        }
        for monitor in meant:
            if monitor.meant.meets_ends(*ends):
                monitor.add(decision)

    def _count(self, what: str, name: str, total: int) -> None:
        more, self._seen[what] = total - self._seen[what], total
        # Another table begins to count anew.
        if more <= 0:
            return
        for monitor in self._monitors:
            is_of_flows = what == "events"
            if monitor.access is not (Access.DENY if is_of_flows else Access.ALLOW):
                monitor.count(name, more)


def _access(text: str | None) -> Access | None:
    if text is None:
        return None
    for access in Access:
        if access.value.casefold() == text.casefold():
            return access
    raise UsageRefused(f"{text[:60]!r} is not an access; write Allow or Deny")


def _iso_utc(time_ms: int) -> str:
    found = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return found.replace("+00:00", "Z")
