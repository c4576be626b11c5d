"""Tables that are asked one after the other, as masks of rules, and what they may still decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from nsgd.spaces.book import RuleBook

NOBODY = -1  # no table decided: none was asked, or all were silent


class Standing(NamedTuple):
    """What is known where some rules are left and some of them match for certain."""

    kept: int  # the rules that can still decide
    may_allow: bool
    may_deny: bool
    rule: int | None  # the bit that is reported, or NOBODY; None where it is not known yet

    @property
    def is_settled(self) -> bool:
        """Whether the verdict is known, though perhaps not yet by which rule."""
        return self.may_allow is not self.may_deny


@dataclass(frozen=True, slots=True)
class Chain:
    """The tables of one direction of a resource, in the order in which they are asked."""

    tables: tuple[int, ...]  # masks of rules; the last rule of each matches every packet
    allow: int
    silent: int
    final: int

    @classmethod
    def of(cls, book: RuleBook, tables: Iterable[int]) -> Chain:
        """The chain of some masks of *book*, which gets no further rules."""
        return cls(tuple(tables), book.allow, book.silent, book.final)

    def stand(self, candidates: int, sure: int) -> Standing:
        """What the chain may decide.

        Args:
            candidates: The rules that match some packets here.
            sure: The rules that match all packets here.
        """
        kept = 0
        may_allow, may_deny, may_settle, is_known = True, False, False, True
        reported = NOBODY
        for mask in self.tables:
            left = candidates & mask
            met = left & sure
            # What comes behind a rule that matches for certain decides nothing.
            left &= ((met & -met) << 1) - 1
            kept |= left
            is_decided = not left & (left - 1)
            if is_decided and left & self.silent:
                continue
            if not left & self.allow:
                # Whichever rule it is; unless an earlier table settles the direction.
                may_deny = True
                may_allow = may_settle
                is_known = is_known and is_decided
                reported = left.bit_length() - 1
                break
            if not is_decided:
                is_known = False
                may_deny = may_deny or bool(left & ~self.allow)
                may_settle = may_settle or bool(left & self.final)
                continue
            reported = left.bit_length() - 1
            if left & self.final:
                break
        return Standing(kept, may_allow, may_deny, reported if is_known else None)
