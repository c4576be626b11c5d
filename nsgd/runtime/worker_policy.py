"""A policy as a worker gets it: compiled, numbered, and classed for quick look-ups."""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.rule import Direction
from nsgd.model.settings import DaemonSettings, FailureMode, Mode, UnmanagedTraffic
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import MarkLayout


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """A compiled policy with the marks and numbers of its rules, as a worker uses it."""

    generation: int
    policy: CompiledPolicy
    mark_mask: int
    accept_unmanaged: bool
    is_audit: bool
    is_fail_open: bool
    rule_numbers: Sequence[Sequence[int]]  # by table and rule
    rule_marks: Sequence[Sequence[int]]  # mark bits of these numbers, on their table's side
    address_starts: Mapping[IPVersion, Sequence[int]]  # where classes of addresses begin
    port_classes: bytes  # the class of each port, as native 16-bit numbers

    @classmethod
    def build(
        cls,
        generation: int,
        policy: CompiledPolicy,
        numbers: DecisionNumbers,
        settings: DaemonSettings,
    ) -> WorkerPolicy:
        """Prepare everything that need not be computed for each packet."""
        layout = MarkLayout(settings.mark_mask)
        rule_numbers = [numbers.of_table(policy, index) for index in range(len(policy.tables))]
        rule_marks = [
            [
                layout.outbound(number)
                if table.direction is Direction.OUTBOUND
                else layout.inbound(number)
                for number in table_numbers
            ]
            for table, table_numbers in zip(policy.tables, rule_numbers, strict=True)
        ]
        return cls(
            generation,
            policy,
            settings.mark_mask,
            settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT,
            settings.mode is Mode.AUDIT,
            settings.failure_mode is FailureMode.OPEN,
            rule_numbers,
            rule_marks,
            {version: _address_starts(policy, version) for version in IP_VERSIONS},
            _port_classes(policy),
        )

    def to_bytes(self) -> bytes:
        """For the hand-over between processes of this same Python; never for a file."""
        plain: tuple[Any, ...] = (
            self.generation,
            self.policy.to_plain(),
            self.mark_mask,
            self.accept_unmanaged,
            self.is_audit,
            self.is_fail_open,
            self.rule_numbers,
            self.rule_marks,
            self.address_starts,
            self.port_classes,
        )
        return marshal.dumps(plain)

    @classmethod
    def from_bytes(cls, data: bytes) -> WorkerPolicy:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        generation, policy, *rest = marshal.loads(data)  # noqa: S302
        return cls(generation, CompiledPolicy.from_plain(policy), *rest)


def _address_starts(policy: CompiledPolicy, version: IPVersion) -> list[int]:
    """Where anything that a decision looks up by address may change, on either side."""
    starts = set(policy.endpoint_map.starts[version])
    for table in policy.tables:
        family = table.family_v4 if version == 4 else table.family_v6
        starts.update(family.sources.starts, family.destinations.starts)
    return sorted(starts)


def _port_classes(policy: CompiledPolicy) -> bytes:
    """The same for ports, one entry a port."""
    starts = {0}
    for table in policy.tables:
        starts.update(table.source_ports.starts, table.destination_ports.starts)
    classes = array("H")
    for number, (first, after) in enumerate(pairwise((*sorted(starts - {65536}), 65536))):
        classes.extend([number] * (after - first))
    return classes.tobytes()
