"""What a security rule does once it is known to decide."""

from __future__ import annotations

from functools import lru_cache

from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access, Direction
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


def what_follows(
    name: str, decision: TableDecision, number: int, layout: MarkLayout
) -> tuple[Statement, ...]:
    """What is done with a packet that a rule decides about: count it, note the number, and go on.

    Allowed packets go back; denied ones to where all of their direction are told and counted by
    the network interface.

    Args:
        name: Of the rule's counter, by nsgd.ruleset.names.
        decision: What the rule decides.
        number: Its decision number.
        layout: Of the marks.
    """
    direction = decision.direction
    noted = set_number(layout, direction, number)
    if decision.access is Access.ALLOW:
        return Count(name), noted, _RETURN
    if direction is Direction.OUTBOUND:
        # In audit mode the flow goes on from here, asked nothing more.
        inbound = half_of(layout, Direction.INBOUND)
        noted = SetMark("meta", noted.keep & ~inbound, noted.bits | layout.inbound(NO_TABLE))
    return Count(name), noted, _DENIED[direction]


def rule_chain(name: str, decision: TableDecision, number: int, layout: MarkLayout) -> Chain:
    """The chain of a rule, named as its counter: one rule, since there are tens of thousands.

    The arguments are those of what_follows().
    """
    statements = what_follows(name, decision, number, layout)
    if statements[-1] is _RETURN:
        statements = statements[:-1]  # the end of the chain does so by itself
    return Chain(name, (NftRule(statements),), layout.mask << 32 | number)
