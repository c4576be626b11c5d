"""Any bytes as a queued packet: through the parser, the verdict path, and the short way beside it.

Whatever the bytes, the parser names them or reads values in their ranges; the short way of a new
flow and the full one give the same verdict, and count the same; no mark bits of others change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

from nsgd.model.packet import PacketHeader, Unparsable
from nsgd.model.settings import DaemonSettings, Mode
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.counters import OUTCOMES_USED, SharedCounters
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.packet_handler import Handler, packet_handler
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from nsgd.wire.packet import parse_packet
from nsgd.wire.verdict import ACCEPT
from tests.kernel.agreement.frames import Shape, ip_packet
from tests.models import SMALL
from tests.oracle.oracle import Packet

LONGEST_BYTES = 300  # the worker reads 256 of a packet
_HEAD = struct.Struct("!BI")  # which policy, packet mark
_LAYOUT = MarkLayout(DaemonSettings().mark_mask)
_NUMBERS = 64  # as few as will do: all counters are looked at each time
_LINK = "lo"


class _Queued:
    """A packet as the queue hands it over."""

    id = 7

    def __init__(self, payload: bytes, mark: int, indev: int, outdev: int) -> None:
        self._payload, self._mark = payload, mark
        self.indev, self.outdev = indev, outdev

    def get_payload(self) -> bytes:
        return self._payload

    def get_mark(self) -> int:
        return self._mark


class _Side(NamedTuple):
    path: VerdictPath
    counters: SharedCounters
    handle: Handler
    given: list[tuple[int, int, int]]


def _side(mode: Mode) -> _Side:
    # Bound to the one link that is everywhere, with index 1.
    web1, *others = SMALL.network_interfaces
    model = replace(SMALL, network_interfaces=(replace(web1, link=_LINK), *others))
    policy = compile_policy(model)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, _NUMBERS)
    built = WorkerPolicy.build(1, policy, numbers, DaemonSettings(mode=mode))
    counters = SharedCounters.create(_NUMBERS)
    path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters)
    given: list[tuple[int, int, int]] = []
    handle = packet_handler(path, OutcomeCells(counters), lambda *verdict: given.append(verdict))
    return _Side(path, counters, handle, given)


@cache
def _sides() -> tuple[tuple[_Side, _Side], ...]:
    """Two of each mode: one for the short way, one for the full."""
    return tuple((_side(mode), _side(mode)) for mode in Mode)


def test_one_input(data: bytes) -> None:
    """The first bytes choose policy and mark, the rest is the packet."""
    if len(data) < _HEAD.size:
        return
    chosen, mark = _HEAD.unpack_from(data)
    payload = data[_HEAD.size :]
    _check_header(parse_packet(payload))
    short, full = _sides()[chosen & 1]
    indev, outdev = chosen >> 1 & 1, chosen >> 2 & 1
    before = short.counters.totals(), full.counters.totals()
    short.given.clear()
    short.handle(_Queued(payload, mark, indev, outdev))
    judged = full.path.judge(payload, mark, _LINK if indev else None, _LINK if outdev else None)
    ((verdict, number, given_mark),) = short.given
    found = given_mark if verdict == ACCEPT else None
    if number != _Queued.id or found != judged:
        raise AssertionError(f"short way: {short.given}, full: {judged}")
    if judged is not None and (judged ^ mark) & short.path.other_bits:
        raise AssertionError(f"others' bits: {mark:#x} became {judged:#x}")
    counted = _difference(before[0], short.counters.totals())
    expected = _difference(before[1], full.counters.totals())
    if counted != expected:
        raise AssertionError(f"counted {counted}, not {expected}")


def _check_header(read: PacketHeader | Unparsable) -> None:
    if isinstance(read, Unparsable):
        return
    bits = 32 if read.version == 4 else 128
    if not (
        0 <= read.source < 1 << bits
        and 0 <= read.destination < 1 << bits
        and 0 <= read.protocol < 256
        and 0 <= read.source_port < 65536
        and 0 <= read.destination_port < 65536
    ):
        raise AssertionError(f"out of range: {read}")


def _difference(before: list[int], after: list[int]) -> dict[int, int]:
    return {
        index: new - old
        for index, (old, new) in enumerate(zip(before, after, strict=True))
        if new != old and index != OUTCOMES_USED
    }


def seeds() -> Iterator[bytes]:
    """A packet of each protocol, family and shape."""
    ends = {4: ("198.51.100.9", "10.0.1.4"), 6: ("2600:1f00::1", "fd00:10:0:1::4")}
    make = partial(ip_packet, number=1)
    for version, (source, destination) in ends.items():
        for protocol in (6, 17, 1 if version == 4 else 58, 47, 50, 51, 132):
            ports = (40000, 80) if protocol in (6, 17) else (0, 0)
            packet = Packet(version, protocol, source, destination, *ports, None, None)
            for shape in Shape:
                if version == 4 and shape in (Shape.HOP_BY_HOP, Shape.DESTINATION_OPTIONS):
                    continue
                for mark in (0, 0x00010000, _LAYOUT.is_reply, _LAYOUT.mask):
                    yield _HEAD.pack(protocol % 2, mark) + make(packet, shape)
