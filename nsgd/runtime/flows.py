"""Which open flows a start or a reload touches: adopted, judged again, or left alone. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Protocol

from nsgd.model.address import Address, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonRole
from nsgd.policy.address_set import AddressSet
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import AMBIGUOUS
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import AUDIT_DENIED, MarkLayout
from nsgd.wire.conntrack import ConntrackEntry


class Flows(Protocol):
    """What the supervisor needs of the kernel's connection table."""

    def entries(self) -> list[ConntrackEntry]:
        """Every flow."""

    def pages(self) -> Iterator[Sequence[tuple[ConntrackEntry, bytes]]]:
        """Every flow with its attributes, in pages of bounded length."""

    def set_marks(self, entries: Iterable[ConntrackEntry], mark: int, mask: int) -> int:
        """Change bits of marks; returns how many entries were still there."""

    def own_addresses(self) -> frozenset[Address]:
        """All addresses of this machine."""


def adoptable(
    entries: Iterable[ConntrackEntry], managed: AddressSet, layout: MarkLayout
) -> Iterator[ConntrackEntry]:
    """Undecided flows that touch a declared subnet."""
    for entry in entries:
        header = entry.header
        if not entry.mark & layout.mask and (
            managed.contains(header.version, header.source)
            or managed.contains(header.version, header.destination)
        ):
            yield entry


def of_roles(
    entries: Iterable[ConntrackEntry], own: frozenset[Address], roles: frozenset[DaemonRole]
) -> Iterator[ConntrackEntry]:
    """Flows that one of *roles* guards: of the machine's *own* addresses, or else forwarded."""
    for entry in entries:
        header = entry.header
        ends = (Address(header.version, end) for end in (header.source, header.destination))
        role = DaemonRole.HOST if any(end in own for end in ends) else DaemonRole.GATEWAY
        if role in roles:
            yield entry


def decided(entries: Iterable[ConntrackEntry], layout: MarkLayout) -> Iterator[ConntrackEntry]:
    """Flows that carry a decision, whatever it is; one that was cut has none to take back."""
    return (
        entry
        for entry in entries
        if entry.mark & layout.mask and entry.mark & layout.mask != layout.cut
    )


def denied_by_audit(
    entries: Iterable[ConntrackEntry], numbers: DecisionNumbers, layout: MarkLayout
) -> Iterator[ConntrackEntry]:
    """Flows that audit mode let through: only there does a flow carry a denying rule's number."""
    denying = {
        direction: {
            number
            for (_, _, access), number in numbers.by_direction[direction].items()
            if access is Access.DENY
        }
        | {AUDIT_DENIED}
        for direction in Direction
    }
    for entry in entries:
        outbound, inbound = layout.numbers(entry.mark)
        if outbound in denying[Direction.OUTBOUND] or inbound in denying[Direction.INBOUND]:
            yield entry


def under_groups(
    entries: Iterable[ConntrackEntry], policy: CompiledPolicy, groups: frozenset[str]
) -> Iterator[ConntrackEntry]:
    """Flows whose judgement asks one of *groups*.

    A flow's links are not known to conntrack, so it is found by its addresses; one whose network
    they do not tell is taken along.
    """
    endpoint_map = policy.endpoint_map
    for entry in entries:
        header = entry.header
        sender, receiver = endpoint_map.find(
            header.version, header.source, header.destination, None, None
        )
        if AMBIGUOUS in (sender, receiver):
            yield entry
            continue
        tables = () if sender < 0 else endpoint_map.endpoints[sender].outbound
        if receiver >= 0:
            tables += endpoint_map.endpoints[receiver].inbound
        if any(policy.tables[index].network_security_group in groups for index in tables):
            yield entry


def groups_to_flush(
    old: NetworkModel, old_policy: CompiledPolicy, new: NetworkModel, new_policy: CompiledPolicy
) -> frozenset[str]:
    """Groups with flushConnection whose rules changed, or for which it was turned on.

    Source:
        Azure REST, NetworkSecurityGroup, flushConnection: "When enabled, flows created from
        Network Security Group connections will be re-evaluated when rules are updates. Initial
        enablement will trigger re-evaluation."
    """
    had = {group.name for group in old.network_security_groups if group.flush_connection}
    flushing = {group.name for group in new.network_security_groups if group.flush_connection}
    return frozenset(
        name
        for name in flushing
        if name not in had or _tables(old_policy, name) != _tables(new_policy, name)
    )


def of_other_machines(
    entries: Iterable[ConntrackEntry], old: NetworkModel, new: NetworkModel
) -> Iterator[ConntrackEntry]:
    """Flows of addresses that are another NIC's or scale set's now: its rules never allowed them.

    Azure keeps open flows when rules change; a flow does not outlive the machine at its end.
    """
    before, after = _holders(old), _holders(new)
    moved = {key for key, holder in before.items() if after.get(key) != holder}
    sets_before, sets_after = _scale_sets(old), _scale_sets(new)
    if not moved and not sets_before:
        return

    def is_moved(version: IPVersion, address: int) -> bool:
        if (version, address) in before:
            return (version, address) in moved
        was = _scale_set_of(sets_before, version, address)
        return was is not None and (
            (version, address) in after or _scale_set_of(sets_after, version, address) != was
        )

    for entry in entries:
        header = entry.header
        if is_moved(header.version, header.source) or is_moved(header.version, header.destination):
            yield entry


def _holders(model: NetworkModel) -> dict[tuple[int, int], tuple[str, str, str | None]]:
    return {
        (address.version, address.value): (
            interface.virtual_network,
            interface.name,
            interface.link,
        )
        for interface in model.network_interfaces
        for address in interface.private_ip_addresses
    }


_ScaleSetRanges = list[tuple[IPVersion, int, int, tuple[str, str]]]


def _scale_sets(model: NetworkModel) -> _ScaleSetRanges:
    """First and last address of each prefix, and whose it is."""
    return sorted(
        (prefix.version, prefix.first, prefix.last, (scale_set.virtual_network, scale_set.name))
        for scale_set in model.scale_sets
        for prefix in scale_set.private_ip_address_prefixes
    )


def _scale_set_of(
    ranges: _ScaleSetRanges, version: IPVersion, address: int
) -> tuple[str, str] | None:
    """Whose instance has the address; a gateway's networks do not overlap, so there is one."""
    index = bisect_right(ranges, (version, address), key=itemgetter(0, 1)) - 1
    if index < 0:
        return None
    of_version, _, last, scale_set = ranges[index]
    return scale_set if of_version == version and address <= last else None


def _tables(policy: CompiledPolicy, group: str) -> list[object]:
    return [table for table in policy.tables if table.network_security_group == group]
