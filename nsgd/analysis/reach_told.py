"""What reach tells, as values: rows of ends that are alike, and the flows between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from nsgd.analysis.ends import End
from nsgd.analysis.policy import Subject
from nsgd.model.address import IPVersion
from nsgd.model.decision import TableDecision
from nsgd.model.packet import PacketHeader
from nsgd.spaces.flow_sets import FlowBox, FlowSet
from nsgd.spaces.ranges import Ranges

MOST_BOXES = 1000  # of one row


class Among(Enum):
    """Between how many pairs of resources flows pass."""

    ALL = "all"
    SOME = "some"


@dataclass(frozen=True, slots=True)
class Label:
    """One end in a row; *addresses* are None where they are all that it has."""

    subject: Subject | End
    addresses: Ranges | None = None


class Line(NamedTuple):
    """Flows of a row, with a packet and the rules that decide it, outbound and inbound."""

    is_allowed: bool
    among: Among
    box: FlowBox
    decisions: tuple[TableDecision | None, TableDecision | None]
    witness: PacketHeader


@dataclass(frozen=True, slots=True)
class Row:
    """Flows from each of some ends to each other one of others; *is_cut* at MOST_BOXES."""

    version: IPVersion
    senders: tuple[Label, ...]
    receivers: tuple[Label, ...]
    lines: tuple[Line, ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ReachRows:
    """All rows, and the ends between which flows are too many cases for the budget."""

    rows: tuple[Row, ...]
    undetermined: tuple[Row, ...]  # without lines


@dataclass(slots=True)
class Asked:
    """What is asked about: pairs of ends, and flows.

    *flows* is a function to True for the flows in question, and False for others.
    """

    ends: Sequence[tuple[End, End]]
    flows: FlowSet
    shows_denied: bool = False
