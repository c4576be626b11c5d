"""A policy as a worker gets it: compiled, numbered, and classed for quick look-ups."""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nsgd.model.address import IPVersion
from nsgd.model.rule import Direction
from nsgd.model.settings import DaemonSettings, Mode, UnmanagedTraffic
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.table import CompiledTable
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.policy_classes import PolicyClasses, PolicyClassesMaker


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
        classes: PolicyClasses | None = None,
    ) -> WorkerPolicy:
        """Prepare everything that need not be computed for each packet.

        *classes* are the policy's; None to make them.
        """
        rule_numbers = [numbers.of_table(policy, index) for index in range(len(policy.tables))]
        rule_marks = [
            marks_of(table, table_numbers, settings.mark_mask)
            for table, table_numbers in zip(policy.tables, rule_numbers, strict=True)
        ]
        classes = classes or PolicyClassesMaker().of(policy)
        return cls(
            generation,
            policy,
            **settings_of(settings),
            rule_numbers=rule_numbers,
            rule_marks=rule_marks,
            address_classes=classes.addresses,
            link_classes=classes.links,
            source_port_classes=classes.source_ports,
            tcp_port_classes=classes.tcp_ports,
            udp_port_classes=classes.udp_ports,
            nic_slots=nic_slots,
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
            ports_to_plain(self.source_port_classes),
            ports_to_plain(self.tcp_port_classes),
            ports_to_plain(self.udp_port_classes),
            slots_to_plain(self.nic_slots),
        )
        return marshal.dumps(plain)

    @classmethod
    def from_bytes(cls, data: bytes) -> WorkerPolicy:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        generation, policy, *rest, source, tcp, udp, slots = marshal.loads(data)  # noqa: S302
        ports = map(ports_from_plain, (source, tcp, udp))
        made = cls(generation, CompiledPolicy.from_plain(policy), *rest, *ports)
        return replace(made, nic_slots=slots_from_plain(slots))


def settings_of(settings: DaemonSettings) -> dict[str, Any]:
    """What of a WorkerPolicy the settings say, by its names."""
    return {
        "mark_mask": settings.mark_mask,
        "accept_unmanaged": settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT,
        "is_audit": settings.mode is Mode.AUDIT,
        "tells_denials": settings.mode is Mode.AUDIT or settings.flow_log is not None,
        "is_fail_open": settings.lets_undecided_pass,
        "is_host_only": settings.is_host_only,
    }


def marks_of(table: CompiledTable, numbers: Iterable[int], mark_mask: int) -> list[int]:
    """The mark bits of the numbers of a table's rules."""
    layout = MarkLayout(mark_mask)
    of_side = layout.outbound if table.direction is Direction.OUTBOUND else layout.inbound
    return [of_side(number) for number in numbers]


def ports_to_plain(classes: Sequence[int]) -> bytes:
    """The class of each port, for the hand-over."""
    return array("H", classes).tobytes()


def ports_from_plain(data: bytes) -> Sequence[int]:
    """The inverse: as bytes where they fit, which are read in half the time."""
    classes = array("H", data)
    return bytes(classes.tolist()) if max(classes) < 256 else classes


def slots_to_plain(slots: Sequence[int]) -> bytes:
    """Slots of network interfaces, for the hand-over."""
    return array("H", slots).tobytes()


def slots_from_plain(data: bytes) -> Sequence[int]:
    """The inverse."""
    return array("H", data)
