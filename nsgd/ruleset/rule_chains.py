"""What a security rule does once it is known to decide."""

from __future__ import annotations

from functools import lru_cache

from nsgd.model.rule import Direction
from nsgd.ruleset.marks import ALL_BITS, NO_TABLE, MarkLayout
from nsgd.ruleset.objects import Chain, NftRule
from nsgd.ruleset.statements import Count, Goto, Return, SetMark, Statement

DENIED = {Direction.OUTBOUND: "denied_out", Direction.INBOUND: "denied_in"}
_DENIED = {direction: Goto(chain) for direction, chain in DENIED.items()}
_RETURN = Return()


@lru_cache(maxsize=8)
def half_of(layout: MarkLayout, direction: Direction) -> int:
    """The mark bits of one direction's numbers."""
    positions = (
        layout.outbound_positions if direction is Direction.OUTBOUND else layout.inbound_positions
    )
    return sum(1 << position for position in positions)


def set_number(layout: MarkLayout, direction: Direction, number: int) -> SetMark:
    """Put a decision number in the packet mark's half of a direction."""
    bits = layout.outbound(number) if direction is Direction.OUTBOUND else layout.inbound(number)
    return SetMark("meta", ~half_of(layout, direction) & ALL_BITS, bits)


class RuleEnds:
    """What the rules of one direction do with packets that they decide about.

    A packet is counted, its rule's number noted, and it goes on. Allowed ones go back; denied ones
    to where all of their direction are told and counted by the network interface.
    """

    def __init__(self, direction: Direction, layout: MarkLayout) -> None:
        """Prepare what all of them have in common."""
        self._mask = layout.mask
        self._keep = self._denied_keep = ~half_of(layout, direction) & ALL_BITS
        self._bits, self._denied_bits = layout.inbound, 0
        self._denied = _DENIED[direction]
        if direction is Direction.OUTBOUND:
            self._bits = layout.outbound
            # In audit mode the flow goes on from here, asked nothing more.
            self._denied_keep &= ~half_of(layout, Direction.INBOUND)
            self._denied_bits = layout.inbound(NO_TABLE)

    def of(self, name: str, number: int, *, is_allowed: int) -> tuple[Statement, ...]:
        """What a rule does; *name* is its counter's, by nsgd.ruleset.names."""
        bits = self._bits(number)
        if is_allowed:
            return Count(name), SetMark("meta", self._keep, bits), _RETURN
        noted = SetMark("meta", self._denied_keep, bits | self._denied_bits)
        return Count(name), noted, self._denied

    def chain(self, name: str, number: int, *, is_allowed: int) -> Chain:
        """The same as a chain, named as the counter: one rule, since there can be many."""
        statements = self.of(name, number, is_allowed=is_allowed)
        if is_allowed:
            statements = statements[:-1]  # the end of the chain does so by itself
        return Chain(name, (NftRule(statements),), self._mask << 32 | number)
