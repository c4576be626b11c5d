"""Denials that the kernel engine tells of: a few of each rule a second, and the rest counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Direction
from nsgd.model.settings import DaemonSettings, Engine
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.denials import Denial, DenialWriter
from nsgd.runtime.loop import Loop
from nsgd.wire.nflog import LoggedPacket
from nsgd.wire.packet import parse_packet

_MOST_AT_ONCE = 512
_MOST_KEPT = 1024


class LogReader(Protocol):
    """Reads packets that rules log."""

    @property
    def lost(self) -> int:
        """Logged and never read."""

    def fileno(self) -> int:
        """For a selector."""

    def read(self, most: int) -> Sequence[LoggedPacket]:
        """What has come, at most so many."""

    def close(self) -> None:
        """Stop reading."""


class ToldDenials:
    """Follows the engine in force, and keeps what was told until it is taken."""

    def __init__(self, loop: Loop, open_group: Callable[[int], LogReader | None]) -> None:
        """Read in a loop; *open_group* gives the reader of a log group, or None."""
        self._loop = loop
        self._open_group = open_group
        self._reader: LogReader | None = None
        self._layout = MarkLayout(DaemonSettings().mark_mask)
        self._kept: list[Denial] = []
        self._not_kept = 0
        self._lost = 0
        self.told = 0
        self.also: DenialWriter | None = None  # where denials go beside what take() gives
        self.listener: Callable[[Denial], None] | None = None  # hears of each

    @property
    def lost(self) -> int:
        """Told by the kernel and not read in time."""
        return self._lost + (self._reader.lost if self._reader is not None else 0)

    def follow(self, settings: DaemonSettings) -> None:
        """Read while the kernel engine is in force."""
        self._layout = MarkLayout(settings.mark_mask)
        is_wanted = settings.engine is Engine.KERNEL
        if is_wanted and self._reader is None:
            self._reader = self._open_group(settings.queue_number)
            if self._reader is not None:
                self._loop.watch(self._reader, self._read)
        elif not is_wanted:
            self.close()

    def close(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._loop.unwatch(self._reader)
            self._lost += self._reader.lost
            self._reader.close()
            self._reader = None

    def take(self) -> tuple[list[Denial], int]:
        """Denials since the last call, and how many more there were."""
        kept, others = self._kept, self._not_kept
        self._kept, self._not_kept = [], 0
        return kept, others

    def _read(self) -> None:
        if self._reader is None:
            return
        for packet in self._reader.read(_MOST_AT_ONCE):
            self.told += 1
            denial = self._denial(packet)
            if denial is not None and self.also is not None:
                self.also.write(denial.header, denial.direction, denial.number)
            if denial is not None and self.listener is not None:
                self.listener(denial)
            if denial is None or len(self._kept) >= _MOST_KEPT:
                self._not_kept += 1
            else:
                self._kept.append(denial)

    def _denial(self, packet: LoggedPacket) -> Denial | None:
        header = parse_packet(packet.payload)
        if not isinstance(header, PacketHeader):
            return None
        outbound, inbound = self._layout.numbers(packet.mark)
        # A rule of the inbound side is asked only after the outbound side has allowed.
        is_inbound = inbound >= FIRST_RULE_NUMBER
        return Denial.of(
            header,
            Direction.INBOUND if is_inbound else Direction.OUTBOUND,
            inbound if is_inbound else outbound,
        )
