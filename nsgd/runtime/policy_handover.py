"""What workers get of one policy after the other: all of it, or what differs from the one before.

All of a policy of 20 000 rules takes a worker and the supervisor a third of a second; of that a
change of one rule is a thousandth.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import EndpointMap
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Flattener
from nsgd.runtime.policy_classes import PolicyClasses, PolicyClassesMaker, Told, refined
from nsgd.runtime.worker_policy import (
    WorkerPolicy,
    marks_of,
    ports_from_plain,
    ports_to_plain,
    settings_of,
    slots_from_plain,
    slots_to_plain,
)

# Tables that are handed over by themselves do not share with others what they have in common, such
# as the prefixes of service tags. Of more than so much a worker gets all of the policy anew.
_MOST_APART_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the policy of a worker is made of; parts of two that are the same object are equal."""

    generation: int
    policy: CompiledPolicy
    numbers: DecisionNumbers
    settings: DaemonSettings
    nic_slots: Sequence[int]
    classes: PolicyClasses

    def whole(self) -> bytes:
        """All of it, for WorkerPolicy.from_bytes()."""
        return WorkerPolicy.build(
            self.generation,
            self.policy,
            self.numbers,
            self.settings,
            self.nic_slots,
            self.classes,
        ).to_bytes()


class HandOver:
    """One policy for workers: for one that has none, and for those that have the one before."""

    def __init__(
        self, generation: int, make: Callable[[], bytes], changes: bytes = b"", changes_of: int = 0
    ) -> None:
        """Hand over a policy.

        Args:
            generation: The policy's.
            make: Makes all of it.
            changes: What differs from another one, for changed_policy(); empty where that is
                not told.
            changes_of: The generation of that one.
        """
        self.generation = generation
        self.changes, self.changes_of = changes, changes_of
        self._make = make
        self._whole: bytes | None = None

    def whole(self) -> bytes:
        """All of the policy, for WorkerPolicy.from_bytes(); kept until forget()."""
        if self._whole is None:
            self._whole = self._make()
        return self._whole

    def forget(self) -> None:
        """Let all of the policy go: it is made again where another worker needs it."""
        self._whole = None


class HandOverMaker:
    """Makes them of one policy after the other."""

    def __init__(self, most_apart_bytes: int = _MOST_APART_BYTES) -> None:
        self._most_apart_bytes = most_apart_bytes
        self._classes = PolicyClassesMaker()
        self._before: _Parts | None = None
        # Bytes of those of its tables that workers have got by themselves, by the tables' ids.
        self._apart: Mapping[int, int] = {}

    def of(
        self,
        generation: int,
        policy: CompiledPolicy,
        numbers: DecisionNumbers,
        settings: DaemonSettings,
        nic_slots: Sequence[int],
    ) -> HandOver:
        """What workers get that have the policy of the last call, or none.

        The arguments are those of WorkerPolicy.build().
        """
        classes = self._classes.of(policy)
        parts = _Parts(generation, policy, numbers, settings, nic_slots, classes)
        before, self._before = self._before, parts
        if before is None or not _keeps_numbers(before, parts):
            return self._whole(parts)
        there = {id(table): index for index, table in enumerate(before.policy.tables)}
        apart = {
            id(table): self._apart[id(table)]
            for table in parts.policy.tables
            if id(table) in there and id(table) in self._apart
        }
        tables: list[int | bytes] = []
        flattener = Flattener()
        for index, table in enumerate(parts.policy.tables):
            if id(table) in there:
                tables.append(there[id(table)])
            else:
                made = _table_to_plain(parts, index, flattener)
                apart[id(table)] = len(made)
                tables.append(made)
        if sum(apart.values()) > self._most_apart_bytes:
            return self._whole(parts)
        self._apart = apart
        is_same_map = parts.policy.endpoint_map is before.policy.endpoint_map
        changes = (
            before.generation,
            parts.generation,
            settings_of(parts.settings),
            tables,
            None if is_same_map else parts.policy.endpoint_map.to_plain(),
            self._classes_to_plain(parts.classes, before.classes),
            None if parts.nic_slots is before.nic_slots else slots_to_plain(parts.nic_slots),
        )
        return HandOver(parts.generation, parts.whole, marshal.dumps(changes), before.generation)

    def _classes_to_plain(self, classes: PolicyClasses, before: PolicyClasses) -> Any:
        """For _with_classes()."""
        added = self._classes.added
        if added is not None and classes is not before:
            return added.to_plain()
        return _others_to_plain(classes, before)

    def _whole(self, parts: _Parts) -> HandOver:
        self._apart = {}
        made = HandOver(parts.generation, parts.whole)
        made.whole()  # it is needed at once, and takes long
        return made


def _keeps_numbers(before: _Parts, after: _Parts) -> bool:
    """Tell whether the rules of a table that is in both have the same numbers and marks.

    And whether they are asked about the same IP versions.
    """
    if before.settings.mark_mask != after.settings.mark_mask:
        return False
    if before.policy.endpoint_map.versions != after.policy.endpoint_map.versions:
        return False
    return before.numbers is after.numbers or all(
        known.items() <= after.numbers.by_direction[direction].items()
        for direction, known in before.numbers.by_direction.items()
    )


def _table_to_plain(parts: _Parts, index: int, flattener: Flattener) -> bytes:
    numbers = parts.numbers.of_table(parts.policy, index)
    table = parts.policy.tables[index]
    return marshal.dumps(
        (
            table.to_plain(flattener, parts.policy.endpoint_map.versions),
            numbers,
            marks_of(table, numbers, parts.settings.mark_mask),
        )
    )


# Of WorkerPolicy's fields, those of PolicyClasses.
_PLAIN_CLASSES = {"addresses": "address_classes", "links": "link_classes"}
_PORT_CLASSES = {
    "source_ports": "source_port_classes",
    "tcp_ports": "tcp_port_classes",
    "udp_ports": "udp_port_classes",
}


def _others_to_plain(classes: PolicyClasses, before: PolicyClasses) -> dict[str, Any]:
    """Those that are others than before, by their names in a WorkerPolicy."""
    others: dict[str, Any] = {}
    for name, in_worker in _PLAIN_CLASSES.items():
        if getattr(classes, name) is not getattr(before, name):
            others[in_worker] = getattr(classes, name)
    for name, in_worker in _PORT_CLASSES.items():
        if getattr(classes, name) is not getattr(before, name):
            others[in_worker] = ports_to_plain(getattr(classes, name))
    return others


def _with_classes(policy: WorkerPolicy, plain: Any) -> WorkerPolicy:
    """A policy with other classes: with those that are told, or with its own, refined.

    Raises ValueError where those would be too many, which the supervisor would not have asked for.
    """
    told: dict[str, Any]
    if isinstance(plain, dict):
        ports = _PORT_CLASSES.values()
        told = {name: ports_from_plain(v) if name in ports else v for name, v in plain.items()}
        return replace(policy, **told)
    of_fields = {**_PLAIN_CLASSES, **_PORT_CLASSES}
    told = {field: getattr(policy, name) for field, name in of_fields.items()}
    made = refined(PolicyClasses(**told), Told(*plain))
    if made is None:
        raise ValueError("too many classes of ports")
    told = {name: getattr(made, field) for field, name in of_fields.items()}
    return replace(policy, **told)


def changed_policy(before: WorkerPolicy, data: bytes) -> WorkerPolicy:
    """The policy that a worker decides by after one, with all that is the same in both.

    Args:
        before: The policy that the worker has.
        data: HandOver.changes.

    Raises:
        ValueError: They are changes of another one.
    """
    # Written by the supervisor, over a descriptor that nobody else holds.
    changes_of, generation, settings, tables, endpoint_map, classes, slots = marshal.loads(data)  # noqa: S302 # nosec B302
    if changes_of != before.generation:
        raise ValueError(f"changes of policy {changes_of}, and this is {before.generation}")
    made: list[tuple[CompiledTable, Any, Any]] = []
    known = list(zip(before.policy.tables, before.rule_numbers, before.rule_marks, strict=True))
    for each in tables:
        if isinstance(each, int):
            made.append(known[each])
        else:
            plain, numbers, marks = marshal.loads(each)  # noqa: S302 # nosec B302
            made.append((CompiledTable.from_plain(plain), numbers, marks))
    policy = CompiledPolicy(
        tuple(table for table, _, _ in made),
        before.policy.endpoint_map
        if endpoint_map is None
        else EndpointMap.from_plain(endpoint_map),
    )
    changed = replace(
        before,
        generation=generation,
        policy=policy,
        rule_numbers=[numbers for _, numbers, _ in made],
        rule_marks=[marks for _, _, marks in made],
        nic_slots=before.nic_slots if slots is None else slots_from_plain(slots),
        **settings,
    )
    return _with_classes(changed, classes)
