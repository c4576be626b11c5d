"""How two decisions share a mark.

A decided flow carries the number of the rule reported on its outbound side and of the one on
its inbound side, in the two halves of a configurable mask of its conntrack mark. The same bits
of the packet mark carry the request to the worker and its answer, between two base chains of
one hook. See docs/adr/0001-decision-marks.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

# Numbers below 16 are never decisions: the low four bits of the outbound half say to the worker
# how conntrack sees the packet.
REQUEST_BITS = 4
NO_TABLE = 16  # no network security group was consulted on this side
ADOPTED = 17  # open before nsgd first started
AUDIT_DENIED = 18  # let through by audit mode, denied by no rule of a group (ambiguous, unparsable)
CUT = 19  # ended by the operator; alone, without an outbound number, so it is no decision
FIRST_RULE_NUMBER = 32
MIN_MASK_BITS = 24
ALL_BITS = 0xFFFFFFFF  # of a mark


@dataclass(frozen=True, slots=True)
class MarkLayout:
    """The bits of *mask*, lower half for outbound numbers, upper half for inbound ones."""

    mask: int
    outbound_positions: tuple[int, ...] = field(init=False)
    inbound_positions: tuple[int, ...] = field(init=False)
    # How far to shift a mark to the right, and which bits to take then, for each run of positions.
    _outbound_runs: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    _inbound_runs: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = [bit for bit in range(32) if self.mask >> bit & 1]
        if len(positions) < MIN_MASK_BITS or self.mask >> 32:
            raise ValueError(f"a mark mask needs {MIN_MASK_BITS} of 32 bits, not {self.mask:#x}")
        half = len(positions) // 2
        object.__setattr__(self, "outbound_positions", tuple(positions[:half]))
        object.__setattr__(self, "inbound_positions", tuple(positions[half : 2 * half]))
        object.__setattr__(self, "_outbound_runs", _runs(self.outbound_positions))
        object.__setattr__(self, "_inbound_runs", _runs(self.inbound_positions))

    @property
    def capacity(self) -> int:
        """Numbers that fit on each side."""
        return int(1 << len(self.outbound_positions))

    @property
    def is_reply(self) -> int:
        """Request bit: the packet runs against the flow's original direction."""
        return 1 << self.outbound_positions[0]

    @property
    def is_open(self) -> int:
        """Request bit: conntrack knows the flow, which has no decision."""
        return 1 << self.outbound_positions[1]

    @property
    def is_decided(self) -> int:
        """Request bit: the flow has a decision, which says nothing of this crossing."""
        return 1 << self.outbound_positions[2]

    @property
    def is_each(self) -> int:
        """Request bit: judge the packet by itself and leave no decision (untracked, IPv6 AH)."""
        return 1 << self.outbound_positions[3]

    @property
    def requests(self) -> int:
        """All request bits."""
        return self.is_reply | self.is_open | self.is_decided | self.is_each

    @property
    def outbound_decided(self) -> int:
        """Bits of which at least one is set in every outbound number."""
        return _spread((1 << len(self.outbound_positions)) - 16, self.outbound_positions)

    @property
    def inbound_decided(self) -> int:
        """Bits of which at least one is set in every inbound number."""
        return _spread((1 << len(self.inbound_positions)) - 16, self.inbound_positions)

    @property
    def cut(self) -> int:
        """All our bits of a flow that the operator cut."""
        return self.inbound(CUT)

    def is_decision(self, mark: int) -> bool:
        """Tell whether a conntrack mark holds a decision, as the rules in the kernel do."""
        return bool(mark & self.outbound_decided and mark & self.inbound_decided)

    def outbound(self, number: int) -> int:
        """The mark bits of an outbound number."""
        return _spread(number, self.outbound_positions)

    def inbound(self, number: int) -> int:
        """The mark bits of an inbound number."""
        return _spread(number, self.inbound_positions)

    def numbers(self, mark: int) -> tuple[int, int]:
        """The outbound and the inbound number in a mark."""
        outbound = inbound = 0
        for shift, bits in self._outbound_runs:
            outbound |= mark >> shift & bits
        for shift, bits in self._inbound_runs:
            inbound |= mark >> shift & bits
        return outbound, inbound


def _spread(number: int, positions: tuple[int, ...]) -> int:
    if number >> len(positions):
        raise ValueError(f"decision number {number} needs more than {len(positions)} bits")
    if positions[-1] - positions[0] == len(positions) - 1:
        return number << positions[0]
    mark = 0
    for marks in _marks_of_bytes(positions):
        mark |= marks[number & 0xFF]
        number >>= 8
    return mark


@lru_cache(maxsize=8)
def _marks_of_bytes(positions: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """For each byte of a number, the lowest first, the mark bits of every value of it."""
    return tuple(
        tuple(
            sum(1 << position for bit, position in enumerate(some) if value >> bit & 1)
            for value in range(256)
        )
        for some in (positions[start : start + 8] for start in range(0, len(positions), 8))
    )


def _runs(positions: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Shift and bits of each run of neighbours: one or two, of a mask that leaves a gap."""
    runs: dict[int, int] = {}
    for bit, position in enumerate(positions):
        shift = position - bit
        runs[shift] = runs.get(shift, 0) | 1 << bit
    return tuple(runs.items())
