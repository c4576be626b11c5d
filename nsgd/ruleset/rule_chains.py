"""What a security rule does once it is known to decide: one chain for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
DENIED = {Direction.OUTBOUND: "denied_out", Direction.INBOUND: "denied_in"}


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


@dataclass(frozen=True, slots=True)
class RuleChain:
    """The chain, the counter and, where it denies, the limit of one rule."""

    decision: TableDecision
    number: int
    layout: MarkLayout
    log_group: int

    @property
    def name(self) -> str:
        """Of the chain and the counter."""
        return rule_name(self.decision)

    def limit(self) -> RateLimit | None:
        """How many of its denials are told."""
        if self.decision.access is Access.ALLOW:
            return None
        return RateLimit(limit_name(self.decision), RULE_LIMIT_PER_S, RULE_LIMIT_BURST)

    def chain(self) -> Chain:
        """Allow: note the number and go back. Deny: tell, and count by the network interface."""
        direction = self.decision.direction
        noted = set_number(self.layout, direction, self.number)
        if self.decision.access is Access.ALLOW:
            return Chain(self.name, (nft_rule(Count(self.name), noted, Return()),))
        if direction is Direction.OUTBOUND:
            # In audit mode the flow goes on from here, asked nothing more.
            inbound = half_of(self.layout, Direction.INBOUND)
            bits = noted.bits | self.layout.inbound(NO_TABLE)
            noted = SetMark("meta", noted.keep & ~inbound, bits)
        return Chain(self.name, tuple(self._deny(noted)))

    def _deny(self, noted: SetMark) -> Iterator[NftRule]:
        yield nft_rule(Count(self.name), noted)
        yield nft_rule(
            Limit(limit_name(self.decision)),
            Limit(ALL_DENIALS.name),
            Log(self.log_group, SNAP_BYTES),
            Goto(DENIED[self.decision.direction]),
        )
        yield nft_rule(Count(UNTOLD), Goto(DENIED[self.decision.direction]))
