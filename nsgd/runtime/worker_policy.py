"""A policy as a worker gets it: compiled, numbered, and classed for quick look-ups."""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.rule import Direction, Protocol
from nsgd.model.settings import DaemonSettings, Mode, UnmanagedTraffic
from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap, join_classes
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.effective import EffectiveSecurityRule
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import MarkLayout

_PORTS = 65536


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """A compiled policy with the marks and numbers of its rules, as a worker uses it."""

    generation: int
    policy: CompiledPolicy
    mark_mask: int
    accept_unmanaged: bool
    is_audit: bool
    tells_denials: bool  # each one; otherwise some of each rule
    is_fail_open: bool
    is_host_only: bool
    rule_numbers: Sequence[Sequence[int]]  # by table and rule
    rule_marks: Sequence[Sequence[int]]  # mark bits of these numbers, on their table's side
    # Classes of addresses that no rule and no endpoint tells apart, on either side: starts, class.
    address_classes: Mapping[IPVersion, tuple[Sequence[int], Sequence[int]]]
    link_classes: Mapping[str, int]  # the same for links that bind a NIC
    source_port_classes: Sequence[int]  # the class of each port
    # The same of destination ports; ports of TCP and of UDP may be of one class.
    tcp_port_classes: Sequence[int]
    udp_port_classes: Sequence[int]
    # Of each network interface (nsgd.runtime.nic_slots), in the model's order; none: not counted.
    nic_slots: Sequence[int] = ()

    @classmethod
    def build(
        cls,
        generation: int,
        policy: CompiledPolicy,
        numbers: DecisionNumbers,
        settings: DaemonSettings,
        nic_slots: Sequence[int] = (),
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
        rules = [rule for table in policy.tables for rule in table.rules]
        return cls(
            generation,
            policy,
            settings.mark_mask,
            settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT,
            settings.mode is Mode.AUDIT,
            settings.mode is Mode.AUDIT or settings.flow_log is not None,
            settings.lets_undecided_pass,
            settings.is_host_only,
            rule_numbers,
            rule_marks,
            {version: _address_classes(policy, version) for version in IP_VERSIONS},
            _link_classes(policy),
            _port_classes(rule.source_ports for rule in rules),
            *_destination_port_classes(rules),
            nic_slots,
        )

    def to_bytes(self) -> bytes:
        """For the hand-over between processes of this same Python; never for a file."""
        plain: tuple[Any, ...] = (
            self.generation,
            self.policy.to_plain(),
            self.mark_mask,
            self.accept_unmanaged,
            self.is_audit,
            self.tells_denials,
            self.is_fail_open,
            self.is_host_only,
            self.rule_numbers,
            self.rule_marks,
            self.address_classes,
            self.link_classes,
            array("H", self.source_port_classes).tobytes(),
            array("H", self.tcp_port_classes).tobytes(),
            array("H", self.udp_port_classes).tobytes(),
            array("H", self.nic_slots).tobytes(),
        )
        return marshal.dumps(plain)

    @classmethod
    def from_bytes(cls, data: bytes) -> WorkerPolicy:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        generation, policy, *rest, source, tcp, udp, slots = marshal.loads(data)  # noqa: S302
        ports = (_smallest(array("H", classes)) for classes in (source, tcp, udp))
        made = cls(generation, CompiledPolicy.from_plain(policy), *rest, *ports)
        return replace(made, nic_slots=array("H", slots))


def _alike(policy: CompiledPolicy) -> list[int]:
    """For each endpoint the first one that is judged by the same tables in the same network."""
    first: dict[tuple[object, ...], int] = {}
    return [
        first.setdefault((endpoint.virtual_network, endpoint.outbound, endpoint.inbound), index)
        for index, endpoint in enumerate(policy.endpoint_map.endpoints)
    ]


def _link_classes(policy: CompiledPolicy) -> dict[str, int]:
    alike = _alike(policy)
    return {link: alike[endpoint] for link, endpoint in policy.endpoint_map.by_link.items()}


def _address_classes(policy: CompiledPolicy, version: IPVersion) -> tuple[list[int], list[int]]:
    endpoints = policy.endpoint_map
    alike = _alike(policy)
    values = [value if value < 0 else alike[value] for value in endpoints.values[version]]
    # Where packets of this version are nobody's no table is asked about them.
    asked = policy.tables if version in endpoints.versions else ()
    sets = (
        side.ranges(version)
        for table in asked
        for rule in table.rules
        for side in (rule.source, rule.destination)
    )
    return join_classes([(endpoints.starts[version], values)], sets)


def _port_classes(ranges: Iterable[Sequence[Range]]) -> array[int]:
    return _written_out(join_classes((), ranges), _PORTS)


def _destination_port_classes(
    rules: Iterable[EffectiveSecurityRule],
) -> tuple[array[int], array[int]]:
    """Of TCP and of UDP, as if the ports of UDP came behind those of TCP."""
    ranges: dict[tuple[bool, bool, Sequence[Range]], tuple[Range, ...]] = {}
    for rule in rules:
        is_any = Protocol.ANY in rule.protocols
        key = (
            is_any or Protocol.TCP in rule.protocols,
            is_any or Protocol.UDP in rule.protocols,
            rule.destination_ports,
        )
        if key not in ranges:
            ranges[key] = tuple(
                (first + offset, last + offset)
                for is_meant, offset in zip(key, (0, _PORTS), strict=False)
                if is_meant
                for first, last in rule.destination_ports
            )
    classes = _written_out(join_classes((), ranges.values()), 2 * _PORTS)
    return classes[:_PORTS], classes[_PORTS:]


def _written_out(step_map: StepMap, count: int) -> array[int]:
    """The results for the first *count* values."""
    written = array("H")
    starts, results = step_map
    for first, after, number in zip(starts, (*starts[1:], count), results, strict=True):
        # No port is behind the last, though a range that ends there says what would be.
        written.extend([number] * (min(after, count) - min(first, count)))
    return written


def _smallest(classes: array[int]) -> Sequence[int]:
    """As bytes where they fit, which are read in half the time."""
    return bytes(classes.tolist()) if max(classes) < 256 else classes
