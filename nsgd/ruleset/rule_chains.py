"""What a security rule does once it is known to decide: one chain for each."""

from __future__ import annotations

from functools import lru_cache

from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.ruleset.marks import ALL_BITS, NO_TABLE, MarkLayout
from nsgd.ruleset.names import rule_name
from nsgd.ruleset.objects import Chain, nft_rule
from nsgd.ruleset.statements import Count, Goto, SetMark

DENIED = {Direction.OUTBOUND: "denied_out", Direction.INBOUND: "denied_in"}


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


def rule_chain(decision: TableDecision, number: int, layout: MarkLayout) -> Chain:
    """The chain of a rule: one rule of few statements, since there are tens of thousands.

    Count, note the number and, where the rule allows, go back, which the end of the chain does by
    itself; a denial goes on to where all of its direction are told and counted by the network
    interface. The counter has the chain's name.
    """
    name, direction = rule_name(decision), decision.direction
    told_by = layout.mask << 32 | number
    noted = set_number(layout, direction, number)
    if decision.access is Access.ALLOW:
        return Chain(name, (nft_rule(Count(name), noted),), told_by)
    if direction is Direction.OUTBOUND:
        # In audit mode the flow goes on from here, asked nothing more.
        inbound = half_of(layout, Direction.INBOUND)
        noted = SetMark("meta", noted.keep & ~inbound, noted.bits | layout.inbound(NO_TABLE))
    return Chain(name, (nft_rule(Count(name), noted, Goto(DENIED[direction])),), told_by)
