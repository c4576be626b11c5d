"""Which denials reach the daemon: a few of each rule, of all together no more than it can read.

A rule's share is kept by its number, which the packet mark has: one set for all rules, and nothing
in the chain of each. What is beyond the limits is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.rule import Direction
from nsgd.ruleset.branches import LimitBy
from nsgd.ruleset.keys import mark_key
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.objects import Chain, DynamicSet, NftRule, RateLimit, nft_rule
from nsgd.ruleset.rule_chains import DENIED, half_of
from nsgd.ruleset.statements import Count, Jump, Limit, Log, Return

# Of each rule, so that a noisy one leaves room for the others, and of all together.
RULE_RATE = 10, 20  # a second, and at once
ALL_DENIALS = RateLimit("told", 500, 500)
UNTOLD = "untold"  # counts denials beyond these
# Enough for an IPv6 header with extensions and ports.
SNAP_BYTES = 128
TOLD_RULES = "told_rules"
# A rule that has denied nothing for so long may tell as many at once as one that is new here.
_REMEMBERED_S = 10
_TELL = {Direction.OUTBOUND: "tell_out", Direction.INBOUND: "tell_in"}


@dataclass(frozen=True, slots=True)
class Telling:
    """The chains that tell of a denied packet, one for each direction, and their set."""

    layout: MarkLayout
    log_group: int  # NFLOG group that denials go to

    @property
    def _room(self) -> int:
        """Every number of both directions has a place: rules that are many leave none out."""
        return 2 * self.layout.capacity

    def sets(self) -> Iterator[DynamicSet]:
        """The rates of rules; numbers of the two directions have no bit in common."""
        key = mark_key(self.layout.mask)
        yield DynamicSet(TOLD_RULES, key, self._room, _REMEMBERED_S, RULE_RATE)

    def chains(self) -> Iterator[Chain]:
        """They come back, and what was denied goes on as if they had not been."""
        for direction in DENIED:
            rule = mark_key(half_of(self.layout, direction))
            # The rule's share first: what it is over with takes nothing of what all have.
            told = nft_rule(
                LimitBy(rule, TOLD_RULES, RULE_RATE),
                Limit(ALL_DENIALS.name),
                Log(self.log_group, SNAP_BYTES),
                Return(),
            )
            # Also where the set is full.
            yield Chain(_TELL[direction], (told, nft_rule(Count(UNTOLD))))


def tell(direction: Direction) -> NftRule:
    """Tell of a packet with the number of the rule that denies it in its mark, or count it."""
    return nft_rule(Jump(_TELL[direction]))
