"""Dumps of all flows: at the start, now and then for their counters, and where more is to be seen.

That is after a loss of events, and where marks were changed, of which the kernel tells nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from nsgd.model.address import IPVersion
from nsgd.wire.flow_events import FlowSeen

# What was not in a dump has as long to be told of as ended.
_GRACE_S = 2.0
_MOST_PAUSE_S = 60.0
_DUMPS_AN_INTERVAL = 5
_EAGER_S = 0.5


class DumpReader(Protocol):
    """Who makes something of a dump."""

    @property
    def interval_s(self) -> float:
        """Time between records of a flow that goes on."""

    def dump_begins(self) -> None:
        """All flows come now."""

    def dumped(self, flows: list[FlowSeen], now_ms: int) -> None:
        """Some of them."""

    def dump_ends(self, *, is_resync: bool) -> list[tuple[bytes, IPVersion]]:
        """That was all; flows that should have been there are returned."""

    def vanished(self, flows: list[tuple[bytes, IPVersion]], now_ms: int) -> None:
        """Of these nothing was told since."""


class Resync:
    """Goes through one dump after the other, a step at a time."""

    def __init__(
        self,
        reader: DumpReader,
        dump: Callable[[], Iterator[list[FlowSeen]]],
        look_up: Callable[[Iterable[tuple[bytes, IPVersion]]], None],
    ) -> None:
        """Give dumps to a reader.

        Args:
            reader: Is told of every flow of a dump.
            dump: Begins one.
            look_up: Has the kernel end those of some flows that have run out.
        """
        self._reader = reader
        self._dump, self._look_up = dump, look_up
        self._parts: Iterator[list[FlowSeen]] | None = None
        self._began_s: float | None = None
        self._took_s = 0.0
        self._missing: list[tuple[bytes, IPVersion]] = []
        self._missing_until_s = 0.0
        self._wanted_s: float | None = None
        self._next_s = 0.0
        self._eager_s = math.inf
        self._is_resync = False

    @property
    def is_dumping(self) -> bool:
        """Tell whether step() has something to do at once."""
        return self._parts is not None

    @property
    def _pause_s(self) -> float:
        """Dumps must not take all of the time that is for reading events."""
        return min(5 * self._took_s, _MOST_PAUSE_S)

    def wanted(self, now_s: float) -> None:
        """Events were lost: what flows there are must be looked up."""
        if self._wanted_s is None:
            began_s = now_s if self._began_s is None else self._began_s
            self._wanted_s = max(now_s, began_s + self._pause_s)

    def soon(self, now_s: float) -> None:
        """Decisions were taken back: what there was of them is to be said, and not much later.

        Nor is it told when flows are decided anew: some more dumps follow, each twice as long after
        the one before.
        """
        self._eager_s = _EAGER_S
        began_s = now_s if self._began_s is None else self._began_s
        self._next_s = min(self._next_s, max(now_s, began_s + self._pause_s))

    def step(self, now_s: float, now_ms: int) -> None:
        """Do what is due. Raises KernelError."""
        if self._parts is not None:
            part = next(self._parts, None)
            if part is not None:
                self._reader.dumped(part, now_ms)
                return
            self._parts = None
            self._took_s = now_s - (self._began_s or 0.0)
            self._missing = self._reader.dump_ends(is_resync=self._is_resync)
            self._missing_until_s = now_s + _GRACE_S
            self._look_up(self._missing)
        elif self._missing:
            if now_s >= self._missing_until_s:
                self._reader.vanished(self._missing, now_ms)
                self._missing = []
        elif self._wanted_s is not None and now_s >= self._wanted_s:
            self._wanted_s = None
            self._begin(now_s, is_resync=True)
        elif now_s >= self._next_s:
            self._begin(now_s, is_resync=False)

    def _begin(self, now_s: float, *, is_resync: bool) -> None:
        self._began_s = now_s
        pause_s = self._reader.interval_s / _DUMPS_AN_INTERVAL
        if self._eager_s < pause_s:
            pause_s, self._eager_s = self._eager_s, 2 * self._eager_s
        self._next_s = now_s + max(pause_s, self._pause_s)
        self._is_resync = is_resync
        self._reader.dump_begins()
        self._parts = self._dump()
