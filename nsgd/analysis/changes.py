"""What changes between two policies, as values: sites, verdicts and boxes of flows."""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.analysis.policy import Subject
from nsgd.model.address import IPVersion
from nsgd.model.decision import TableDecision
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.ranges import Ranges

MOST_BOXES = 1000  # of one change at one resource

Values = dict[Field, Ranges]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided; *decision* is None where no table says anything."""

    access: Access
    decision: TableDecision | None


@dataclass(frozen=True, slots=True)
class Change:
    """Flows with one verdict before and another after, as disjoint boxes of values."""

    before: Verdict
    after: Verdict
    boxes: tuple[Values, ...]
    witness: PacketHeader
    is_cut: bool  # there are more than MOST_BOXES


@dataclass(frozen=True, slots=True)
class Site:
    """A resource by what it is in either policy; one of them at least is there."""

    before: Subject | None
    after: Subject | None

    @property
    def subject(self) -> Subject:
        """What it is now, or was."""
        found = self.after or self.before
        if found is None:
            raise LookupError("a site is in one policy at least")
        return found


@dataclass(frozen=True, slots=True)
class SiteDifference:
    """What changes in one direction at sites that are all judged alike."""

    sites: tuple[Site, ...]
    direction: Direction
    version: IPVersion
    addresses: Ranges  # of the sites
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Sites whose flows are too many cases to compare within the budget."""

    sites: tuple[Site, ...]
    direction: Direction
    version: IPVersion


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """All differences. Without any, and nothing undetermined, the policies judge alike.

    *only_before* and *only_after* are resources at addresses that the other policy does not
    declare at all: flows between such addresses are none of its business.
    """

    differences: tuple[SiteDifference, ...]
    undetermined: tuple[Undetermined, ...]
    only_before: tuple[Subject, ...]
    only_after: tuple[Subject, ...]

    @property
    def has_differences(self) -> bool:
        """Whether some flow is not judged alike."""
        return bool(self.differences or self.only_before or self.only_after)

    @property
    def is_equal(self) -> bool:
        """Whether every flow is proved to be judged alike."""
        return not self.has_differences and not self.undetermined
