"""Numbers for rules, small enough for a mark and stable for as long as a flow may carry them.

A number means (network security group, rule, access) on one side. It keeps that meaning over
reloads and restarts and is not given to another rule, since an open flow may still carry it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nsgd.model.rule import Access, Direction
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.table import CompiledTable

RuleIdentity = tuple[str, str, Access]  # network security group, rule, access
DIRECTIONS = (Direction.OUTBOUND, Direction.INBOUND)
_ALLOW, _DENY = Access.ALLOW, Access.DENY


class NumbersExhaustedError(Exception):
    """More rules, those of the past included, than the mark can number."""

    def __init__(self, direction: Direction, needed: int, capacity: int) -> None:
        super().__init__(
            f"{needed} {direction.value.lower()} rules need decision numbers and the mark mask"
            f" has room for {capacity}; give daemon.markMask more bits"
        )


@dataclass(frozen=True, slots=True)
class DecisionNumbers:
    """The number of every rule that ever had one, by direction."""

    by_direction: dict[Direction, dict[RuleIdentity, int]] = field(
        default_factory=lambda: {direction: {} for direction in DIRECTIONS}
    )

    def extended(
        self,
        policy: CompiledPolicy,
        first_number: int,
        capacity: int,
        numbered: CompiledPolicy | None = None,
    ) -> DecisionNumbers:
        """Number the rules of *policy* that have none yet; these very numbers where all have one.

        Args:
            policy: Its tables' rules, each in its own direction.
            first_number: The lowest number that a rule may have.
            capacity: One more than the highest.
            numbered: A policy whose rules all have a number here; tables that are among its own
                are not looked through.

        Raises:
            NumbersExhaustedError: There are not enough numbers.
        """
        done = set() if numbered is None else {id(table) for table in numbered.tables}
        new = [table for table in policy.tables if id(table) not in done]
        extended = {}
        for direction in DIRECTIONS:
            known = self.by_direction[direction]
            added: dict[RuleIdentity, int] = {}
            next_number = max(known.values(), default=first_number - 1) + 1
            for identity in _identities(new, direction):
                if identity not in known and identity not in added:
                    added[identity] = next_number
                    next_number += 1
            if next_number > capacity:
                needed, room = next_number - first_number, capacity - first_number
                raise NumbersExhaustedError(direction, needed, room)
            extended[direction] = known | added if added else known
        if all(extended[direction] is self.by_direction[direction] for direction in DIRECTIONS):
            return self
        return DecisionNumbers(extended)

    def of_table(self, policy: CompiledPolicy, table_index: int) -> tuple[int, ...]:
        """The number of each rule of a table, in the table's order; 0 for silent ones."""
        table = policy.tables[table_index]
        known = self.by_direction[table.direction]
        group, allows, silent = table.network_security_group, table.allows, table.silent
        return tuple(
            [
                0
                if silent >> index & 1
                else known[group, name, _ALLOW if allows >> index & 1 else _DENY]
                for index, name in enumerate(table.rule_names)
            ]
        )


def _identities(tables: Iterable[CompiledTable], direction: Direction) -> Iterator[RuleIdentity]:
    for table in tables:
        if table.direction is direction:
            group, allows, silent = table.network_security_group, table.allows, table.silent
            for index, name in enumerate(table.rule_names):
                if not silent >> index & 1:
                    yield group, name, Access.ALLOW if allows >> index & 1 else Access.DENY
