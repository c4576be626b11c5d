"""From what is told of flows and denials to records in the buffer, and from there to the output."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from nsgd.flowlog.entry import Ruling
from nsgd.flowlog.following import NOTHING, FlowFollower, Saying
from nsgd.model.address import IPVersion
from nsgd.model.settings import FlowLog, FlowLogFormat
from nsgd.runtime.counters import DENIAL_RING_RECORDS, SharedCounters
from nsgd.runtime.denials import DenialReader, DenialRing
from nsgd.runtime.flow_log import cells as cell
from nsgd.runtime.flow_log.azure_files import AzureFiles
from nsgd.runtime.flow_log.buffer import Buffer
from nsgd.runtime.flow_log.cells import FlowLogCells
from nsgd.runtime.flow_log.giving_way import GivingWay
from nsgd.runtime.flow_log.handover import Handover
from nsgd.runtime.flow_log.line_file import LineFile
from nsgd.runtime.flow_log.output import Output
from nsgd.runtime.flow_log.saved import SavedFlows
from nsgd.wire.flow_events import FlowSeen

log = logging.getLogger("nsgd")

# Some 600 bytes each.
MOST_FLOWS = 1_000_000
_TIDY_S = 60.0
_MOST_MARKS = 65536
_AT_ONCE = 8  # flows or denials between which others go first: some 50 us


class FlowLogger:
    """One log: the policy in force, the flows that are open, the records that wait."""

    def __init__(
        self, cells: FlowLogCells, areas: Sequence[SharedCounters], way: GivingWay
    ) -> None:
        """Read denials of the kernel engine in *cells*, of workers in *areas*."""
        self._cells = cells
        self._between = way.between
        self._counts = cells.cells
        # From where the process before had come to, or where the log was turned on.
        rings: tuple[DenialRing, ...] = (cells, *areas)
        self._rings = [
            (index, DenialReader(ring, self._counts[index]))
            for index, ring in zip(cell.DENIALS_READ, rings, strict=False)
        ]
        self._buffer = Buffer(cells, lambda line: log.warning("%s", line), way)
        self._handover: Handover | None = None
        self._follower = FlowFollower(self._is_decided, 1, MOST_FLOWS, 0)
        self._output: Output | None = None
        self._next_flush_s = self._next_tidy_s = 0.0
        self._flush_began_ms = 0
        self._decided: dict[int, bool] = {}
        self._traffic_cells: dict[Ruling, int] = {}
        # Counts go on from those of the process before.
        self._before = tuple(
            self._counts[index]
            for index in (cell.BEGUN_UNSEEN, cell.ENDED_UNSEEN, cell.NOT_FOLLOWED)
        )

    @property
    def has_policy(self) -> bool:
        """Tell whether use() was called."""
        return self._handover is not None

    @property
    def interval_s(self) -> float:
        """Time between records of a flow that goes on."""
        return self._follower.interval_ms / 1000

    @property
    def is_flushing(self) -> bool:
        """Tell whether tick() has something to do at once."""
        return self._buffer.is_flushing and self._output is not None

    def use(self, handover: Handover) -> None:
        """Attribute flows by another policy from now on, and write where its settings say."""
        before, self._handover = self._handover, handover
        self._traffic_cells.clear()
        self._follower.interval_ms = handover.settings.interval_seconds * 1000
        if before is not None and before.settings != handover.settings:
            self._next_flush_s = 0.0
            if _where(before.settings) != _where(handover.settings):
                self._close_output()

    def follow(self, saved: SavedFlows | None, since_ms: int, now_ms: int) -> None:
        """Begin with flows that were followed before, or with none.

        Args:
            saved: What was left by the process before.
            since_ms: Where nothing was: when it was last known to log, 0 where there was none.
            now_ms: Unix time.
        """
        if self._handover is None:
            raise RuntimeError("no policy was handed over yet")
        since_ms = saved.until_ms if saved is not None else since_ms or now_ms
        self._follower = FlowFollower(
            self._is_decided,
            self._follower.interval_ms,
            MOST_FLOWS,
            since_ms,
            self._handover.attribution.mark_mask,
        )
        if saved is not None:
            self._follower.flows.update(saved.flows)

    def saved(self, now_ms: int) -> SavedFlows:
        """What the next process has to go on with."""
        return SavedFlows(now_ms, self._follower.flows)

    def events(self, events: Iterable[tuple[bool, FlowSeen]], now_ms: int) -> None:
        """Begins and ends of flows."""
        begun, ended = self._follower.begun, self._follower.ended
        sayings: list[Saying] = []
        for has_ended, flow in self._between(events, _AT_ONCE):
            sayings += ended(flow, now_ms) if has_ended else begun(flow, now_ms)
        self._say(sayings)

    # What a dump brings

    def dump_begins(self) -> None:
        """All flows come now."""
        self._follower.dump_begins()

    def dumped(self, flows: list[FlowSeen], now_ms: int) -> None:
        """Some of them."""
        self._say(self._follower.dumped(flows, now_ms))

    def dump_ends(self, *, is_resync: bool) -> list[tuple[bytes, IPVersion]]:
        """That was all; flows that should have been there are returned."""
        self._counts[cell.RESYNCS] += is_resync
        flows = self._follower.flows
        return [(key, flows[key].header.version) for key in self._follower.dump_ends()]

    def vanished(self, flows: list[tuple[bytes, IPVersion]], now_ms: int) -> None:
        """Of these no end was told."""
        self._say(self._follower.vanished([key for key, _ in flows], now_ms))

    # Time

    def tick(self, now_s: float, unix_s: float) -> None:
        """Read denials, and write what is due; *now_s* is of the monotonic clock."""
        self._read_denials()
        follower = self._follower
        self._counts[cell.OPEN_FLOWS] = len(follower.flows)
        self._counts[cell.BEGUN_UNSEEN] = self._before[0] + follower.begun_unseen
        self._counts[cell.ENDED_UNSEEN] = self._before[1] + follower.ended_unseen
        self._counts[cell.NOT_FOLLOWED] = self._before[2] + follower.not_followed
        if now_s >= self._next_flush_s or self._buffer.is_full:
            self._next_flush_s = now_s + self._settings.seconds_between_writes
            self._start_flush(unix_s)
        if self._output is not None:
            if self._buffer.is_flushing:
                self._buffer.step(self._output, unix_s)
            if self._buffer.has_written_all:
                self._counts[cell.LOGGED_UNTIL_MS] = self._flush_began_ms
            if now_s >= self._next_tidy_s:
                self._next_tidy_s = now_s + _TIDY_S
                self._tidy(self._output, unix_s)

    def finish(self, has_time: Callable[[], bool], unix_s: float) -> None:
        """Write everything, as long as there is time."""
        self._read_denials()
        self._start_flush(unix_s)
        while self._output is not None and self._buffer.is_flushing and has_time():
            self._buffer.step(self._output, unix_s)
        self._close_output()

    # Inside

    @property
    def _settings(self) -> FlowLog:
        if self._handover is None:
            raise RuntimeError("no policy was handed over yet")
        return self._handover.settings

    def _is_decided(self, mark: int) -> bool:
        # Bit by bit it takes longer than all the rest, and the mask does not change.
        known = self._decided.get(mark)
        if known is None:
            if self._handover is None:
                return False
            if len(self._decided) >= _MOST_MARKS:
                self._decided.clear()
            known = self._decided[mark] = self._handover.attribution.is_decided(mark)
        return known

    def _say(self, sayings: Iterable[Saying]) -> None:
        if self._handover is None:
            return
        cells = self._traffic_cells
        make, add, counts = self._handover.attribution.entry, self._buffer.add, self._counts
        for saying in self._between(sayings, _AT_ONCE):
            entry = make(saying)
            if not entry.sides:
                continue
            add(entry)
            traffic = saying.counts
            if traffic is None or traffic is NOTHING:
                continue
            sent, sent_bytes, received, received_bytes = traffic
            for _, ruling in entry.sides:
                index = cells.get(ruling) or self._traffic_cell(ruling)
                counts[index] += sent + received
                counts[index + 1] += sent_bytes + received_bytes

    def _traffic_cell(self, ruling: Ruling) -> int:
        found = self._cells.traffic_cell(ruling.direction, ruling.number)
        self._traffic_cells[ruling] = found
        return found

    def _read_denials(self) -> None:
        if self._handover is None:
            return
        for index, ring in self._rings:
            denials, missed = ring.read(DENIAL_RING_RECORDS)
            self._counts[index] = ring.seen
            if not self._handover.logs_denials:
                continue
            self._counts[cell.DENIALS_MISSED] += missed
            for denial in self._between(denials, _AT_ONCE):
                self._buffer.add(
                    self._handover.attribution.denial(
                        denial.time_ms, denial.header, denial.direction, denial.number
                    )
                )

    def _start_flush(self, unix_s: float) -> None:
        if self._output is None:
            try:
                self._output = _open_output(self._settings)
            except OSError as error:
                self._buffer.failed(error)
                return
            log.info("flow log: %s at %s", self._settings.format.value, self._settings.path)
        self._flush_began_ms = int(unix_s * 1000)
        self._buffer.start(self._output, self._flush_began_ms)

    def _tidy(self, output: Output, unix_s: float) -> None:
        try:
            output.tidy(unix_s)
        except OSError as error:
            log.warning("flow log: old files cannot be removed: %s", error)

    def _close_output(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None


def _where(settings: FlowLog) -> tuple[object, ...]:
    """What an output is made of."""
    return settings.path, settings.format, settings.max_bytes, settings.retention_days


def _open_output(settings: FlowLog) -> Output:
    path = Path(settings.path)
    if settings.format is FlowLogFormat.AZURE:
        return AzureFiles(path, settings.max_bytes, settings.retention_days)
    return LineFile(path, settings.max_bytes, settings.retention_days)
