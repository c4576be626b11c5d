"""What a log is made of: one thing said of a flow, and those ends of it that log it.

A record is written for each end. What records of an end or of a rule have in common is kept once,
and found again by identity: two places that are equal may still be two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nsgd.flowlog import names
from nsgd.flowlog.following import Saying
from nsgd.model.rule import Direction

DIRECTION_LETTERS = {Direction.INBOUND: "I", Direction.OUTBOUND: "O"}


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Whose records go together: *mac_address* is zeros where it is no declared interface."""

    virtual_network: str
    mac_address: str

    @property
    def target(self) -> str:
        """The id of what the log is of."""
        return names.resource_id("virtualNetworks", self.virtual_network)


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """What decided a flow at an end, and which one that is."""

    direction: Direction
    letter: str  # of the direction
    number: int  # of the decision
    acl_id: str
    network_security_group: str  # empty where no group decided
    rule: str

    @classmethod
    def of(cls, direction: Direction, number: int, group: str, rule: str) -> Ruling:
        """By the names of the group and the rule, as documents have them."""
        letter = DIRECTION_LETTERS[direction]
        acl_id = names.acl_id(group, rule)
        return cls(direction, letter, number, acl_id, group, names.rule_name(rule))


Side = tuple[Place, Ruling]


class Entry(NamedTuple):
    """A record for each of *sides*, the sender's first; addresses are in text."""

    saying: Saying
    source: str
    destination: str
    sides: tuple[Side, ...]
