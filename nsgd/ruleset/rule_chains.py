"""What a security rule does once it is known to decide: one chain for each."""

from __future__ import annotations

from functools import lru_cache

from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.ruleset.marks import ALL_BITS, NO_TABLE, MarkLayout
from nsgd.ruleset.names import limit_name, rule_name
from nsgd.ruleset.objects import Chain, NftRule, RateLimit, nft_rule
from nsgd.ruleset.statements import Count, Goto, Limit, Log, Return, SetMark

# Denials that reach the daemon: of each rule, so that a noisy one leaves room for the others, and
# of all together.
RULE_LIMIT_PER_S, RULE_LIMIT_BURST = 10, 20
ALL_DENIALS = RateLimit("told", 500, 500)
UNTOLD = "untold"  # counts denials beyond these
# Enough for an IPv6 header with extensions and ports.
SNAP_BYTES = 128
_RETURN = Return()
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


def rule_chain(
    decision: TableDecision, number: int, layout: MarkLayout, log_group: int
) -> tuple[Chain, RateLimit | None]:
    """The chain of a rule and, where it denies, how many of its denials are told.

    Allow: note the number and go back. Deny: tell, and count by the network interface. The counter
    has the chain's name.
    """
    name, direction = rule_name(decision), decision.direction
    told_by = layout.mask << 32 | log_group << 64 | number
    noted = set_number(layout, direction, number)
    if decision.access is Access.ALLOW:
        return Chain(name, (NftRule((Count(name), noted, _RETURN)),), told_by), None
    if direction is Direction.OUTBOUND:
        # In audit mode the flow goes on from here, asked nothing more.
        inbound = half_of(layout, Direction.INBOUND)
        noted = SetMark("meta", noted.keep & ~inbound, noted.bits | layout.inbound(NO_TABLE))
    limit = RateLimit(limit_name(decision), RULE_LIMIT_PER_S, RULE_LIMIT_BURST)
    denied = Goto(DENIED[direction])
    rules = (
        nft_rule(
            Count(name),
            noted,
            Limit(limit.name),
            Limit(ALL_DENIALS.name),
            Log(log_group, SNAP_BYTES),
            denied,
        ),
        nft_rule(Count(UNTOLD), denied),
    )
    return Chain(name, rules, told_by), limit
