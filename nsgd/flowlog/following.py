"""Follows open flows from what conntrack tells of them, to what a flow log says: B, C, E.

State of flows is conntrack's. What is kept here is only what has been said of each: that it began,
and how much of its traffic. So what is lost between the kernel and here is made up for by a dump:
each packet is said once, unless its flow ended unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nsgd.flowlog.record import FlowState
from nsgd.model.packet import PacketHeader
from nsgd.wire.flow_events import FlowSeen

Counts = tuple[int, int, int, int]  # packets and bytes sent, packets and bytes received
NOTHING: Counts = (0, 0, 0, 0)


class Saying(NamedTuple):
    """What is to be logged of a flow; *counts* since what was said before, None if not counted."""

    state: FlowState
    time_ms: int
    header: PacketHeader
    mark: int
    counts: Counts | None


@dataclass(slots=True)
class OpenFlow:
    """What has been said of a flow."""

    ident: int
    start_ms: int
    header: PacketHeader
    mark: int
    said: Counts  # in all records so far
    seen: Counts | None  # what the kernel had counted when it last told
    said_ms: int  # when something was last said
    round: int  # the last dump that had it, or that was under way when it began
    is_from_dump: bool = False  # its begin has not been told
    is_undecided: bool = False  # its decision was taken back, and its end was said


class FlowFollower:
    """The open flows. Methods return what follows for the log, in order."""

    def __init__(
        self,
        is_decided: Callable[[int], bool],
        interval_ms: int,
        most: int,
        logging_since_ms: int,
        mark_mask: int = 0xFFFFFFFF,
    ) -> None:
        """Follow nothing yet.

        Args:
            is_decided: Whether a conntrack mark is a decision of ours: other flows are not logged.
            interval_ms: Time between records of a flow that goes on.
            most: Flows at most; others are not followed, and counted.
            logging_since_ms: Flows that began before are not said to begin, and of their traffic
                only what comes from now on is said.
            mark_mask: Bits of marks that are ours; the others may change as they like.
        """
        self._is_decided = is_decided
        self.interval_ms = interval_ms
        self._most = most
        self._since_ms = logging_since_ms
        self._mark_mask = mark_mask
        self._is_first_dump = True
        self._round = 0
        self.flows: dict[bytes, OpenFlow] = {}
        # While a dump is under way: what ended, which a part of it may still have.
        self._ended: set[tuple[bytes, int]] | None = None
        self.ended_unseen = self.begun_unseen = self.not_followed = 0

    def begun(self, flow: FlowSeen, now_ms: int) -> Sequence[Saying]:
        """A flow began."""
        if not self._is_decided(flow.mark):
            return ()
        time_ms = flow.time_ms or now_ms
        known = self.flows.get(flow.key)
        if known is None:
            return self._begin(flow, time_ms)
        if known.is_from_dump and known.ident == flow.ident:
            # A dump was ahead of this event.
            known.is_from_dump = False
            return ()
        return [*self._end_unseen(flow.key, now_ms), *self._begin(flow, time_ms)]

    def ended(self, flow: FlowSeen, now_ms: int) -> Sequence[Saying]:
        """A flow ended; its counts are final."""
        key, ident, _, mark, _, _, time_ms = flow
        if self._ended is not None:
            self._ended.add((key, ident))
        time_ms = time_ms or now_ms
        known = self.flows.get(key)
        if known is None:
            return self._ended_unknown(flow, time_ms)
        if known.ident != ident:
            return [*self._end_unseen(key, now_ms), *self._ended_unknown(flow, time_ms)]
        del self.flows[key]
        counts = _since(known.said, flow.counts)
        if not known.is_undecided:
            # Where its decision was taken back meanwhile, what was let through was so by that one.
            return (Saying(FlowState.END, time_ms, known.header, known.mark, counts),)
        if not self._is_decided(mark):
            return ()
        return (
            Saying(FlowState.BEGIN, time_ms, known.header, mark, NOTHING),
            Saying(FlowState.END, time_ms, known.header, mark, counts),
        )

    def _ended_unknown(self, flow: FlowSeen, time_ms: int) -> Sequence[Saying]:
        """The end of a flow of whose begin nothing was told."""
        if not self._is_decided(flow.mark):
            return ()
        if self._is_old(flow):
            # It was never followed: how much of its traffic belongs in this log is not known.
            return (Saying(FlowState.END, time_ms, flow.header, flow.mark, None),)
        self.begun_unseen += 1
        start_ms = flow.start_ms or time_ms
        return (
            Saying(FlowState.BEGIN, start_ms, flow.header, flow.mark, NOTHING),
            Saying(FlowState.END, time_ms, flow.header, flow.mark, flow.counts),
        )

    def dump_begins(self) -> None:
        """Everything that is open comes now, by dumped()."""
        self._round += 1
        self._ended = set()

    def dumped(self, flows: Iterable[FlowSeen], now_ms: int) -> Iterator[Saying]:
        """A part of the dump."""
        ended = self._ended or ()
        for flow in flows:
            if (flow.key, flow.ident) in ended:
                continue
            known = self.flows.get(flow.key)
            is_decided = self._is_decided(flow.mark)
            if known is not None and known.ident != flow.ident:
                yield from self._end_unseen(flow.key, now_ms)
                known = None
            if known is None:
                if is_decided:
                    yield from self._found(flow, now_ms)
                continue
            known.round = self._round
            known.seen = flow.counts
            if known.is_undecided:
                if is_decided:
                    yield self._decided_anew(known, flow, now_ms)
                else:
                    # What has come since was let through by no decision.
                    known.said = flow.counts or known.said
            elif (known.mark ^ flow.mark) & self._mark_mask:
                # Its decision was taken back; the next is another, or a denial, or has yet to come.
                known.is_undecided = True
                counts = _since(known.said, flow.counts)
                known.said = flow.counts or known.said
                yield Saying(FlowState.END, now_ms, known.header, known.mark, counts)
                if is_decided:
                    yield self._decided_anew(known, flow, now_ms)
            elif now_ms - known.said_ms >= self.interval_ms:
                yield from self._go_on(known, flow, now_ms)

    def dump_ends(self) -> list[bytes]:
        """All of the dump has come: keys of flows that were not in it.

        Their ends may have been told and not read yet, or they have run out and the kernel has not
        come to them. Only after a while may they be given to vanished().
        """
        self._is_first_dump = False
        self._ended = None
        return [key for key, flow in self.flows.items() if flow.round != self._round]

    def vanished(self, keys: Iterable[bytes], now_ms: int) -> Iterator[Saying]:
        """Of flows that a dump did not have no end was told: it was lost."""
        for key in keys:
            flow = self.flows.get(key)
            if flow is not None and flow.round != self._round:
                yield from self._end_unseen(key, now_ms)

    def _found(self, flow: FlowSeen, now_ms: int) -> Iterator[Saying]:
        """A dump has a flow that no event told of."""
        if self._is_old(flow):
            if self._follow(flow, now_ms, flow.counts or NOTHING):
                self.flows[flow.key].is_from_dump = True
            return
        self.begun_unseen += 1
        for saying in self._begin(flow, flow.start_ms or now_ms):
            self.flows[flow.key].is_from_dump = True
            self.flows[flow.key].seen = flow.counts
            yield saying

    def _is_old(self, flow: FlowSeen) -> bool:
        """Tell whether a flow that is not known is from before this log."""
        if flow.start_ms:
            return flow.start_ms < self._since_ms
        return self._is_first_dump

    def _begin(self, flow: FlowSeen, time_ms: int) -> Sequence[Saying]:
        if not self._follow(flow, time_ms, NOTHING):
            return ()
        return (Saying(FlowState.BEGIN, time_ms, flow.header, flow.mark, NOTHING),)

    def _follow(self, flow: FlowSeen, time_ms: int, said: Counts) -> bool:
        """Tell whether there is room for it."""
        flows = self.flows
        if len(flows) >= self._most:
            self.not_followed += 1
            return False
        key, ident, header, mark, counts, start_ms, _ = flow
        flows[key] = OpenFlow(ident, start_ms, header, mark, said, counts, time_ms, self._round)
        return True

    @staticmethod
    def _decided_anew(known: OpenFlow, flow: FlowSeen, now_ms: int) -> Saying:
        known.is_undecided, known.mark, known.said_ms = False, flow.mark, now_ms
        return Saying(FlowState.BEGIN, now_ms, known.header, flow.mark, NOTHING)

    def _go_on(self, known: OpenFlow, flow: FlowSeen, now_ms: int) -> Iterator[Saying]:
        counts = _since(known.said, flow.counts)
        if counts == NOTHING:
            return  # in Azure a flow that rests for so long has ended
        known.said_ms = now_ms
        known.said = flow.counts or known.said
        yield Saying(FlowState.CONTINUE, now_ms, known.header, flow.mark, counts)

    def _end_unseen(self, key: bytes, now_ms: int) -> Sequence[Saying]:
        known = self.flows.pop(key)
        if known.is_undecided:
            return ()
        self.ended_unseen += 1
        counts = _since(known.said, known.seen)
        return (Saying(FlowState.END, now_ms, known.header, known.mark, counts),)


def _since(said: Counts, seen: Counts | None) -> Counts | None:
    """What is new in *seen*."""
    if seen is None or said is NOTHING:
        return seen
    # Never less than nothing: somebody may have set the counters back (conntrack -z).
    return (
        max(seen[0] - said[0], 0),
        max(seen[1] - said[1], 0),
        max(seen[2] - said[2], 0),
        max(seen[3] - said[3], 0),
    )
