"""Addresses that no rule of a policy tells apart, and whose resources are judged alike.

Resources with equal tables and group memberships share their classes, so that a thousand network
interfaces are some dozens of classes, and pairs of classes are what is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nsgd.analysis.ends import End
from nsgd.analysis.policy import AnalysedPolicy, last_address
from nsgd.answers.resources import Kind
from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.rule import Direction
from nsgd.policy.address_set import AddressSet, Range, merge_ranges
from nsgd.policy.service_tags import mutual_peers
from nsgd.policy.table import CompiledTable
from nsgd.policy.views import View
from nsgd.spaces.axis import bits_of
from nsgd.spaces.ranges import Ranges, minus, size, union

NOT_DECLARED: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Addresses of one resource; *endpoint* is None for those that nothing declares."""

    endpoint: int | None
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class AddressClass:
    """Addresses that are judged alike, by resource.

    *hidden_from* are networks that take these addresses for others', where networks overlap.
    """

    version: IPVersion
    view: View | None
    outbound: int  # number of the list of tables that is asked about what leaves
    inbound: int
    hidden_from: frozenset[str]
    parts: tuple[Part, ...]


class _Key(NamedTuple):
    """What addresses of one class have in common."""

    sets: int  # those of rules and ends that hold them
    view: View | None
    outbound: int
    inbound: int
    hidden_from: frozenset[str]
    memberships: int  # the ends that name their resources


_Spans = dict[int | None, list[Range]]


class AddressClasses:
    """All classes of declared addresses, and of those that some ends add.

    Sets of classes are bits of an integer.

    Attributes:
        classes: By number.
        table_lists: The lists of tables that resources are asked by, by number; 0 is empty.
        by_view: The classes by the view of their network; None of what nothing declares.
    """

    def __init__(self, policy: AnalysedPolicy, ends: Sequence[End]) -> None:
        self._policy = policy
        self.table_lists: list[tuple[CompiledTable, ...]] = [()]
        self.classes: list[AddressClass] = []
        self._list_numbers: dict[tuple[int, ...], int] = {(): 0}
        self._set_numbers: dict[int, int] = {}  # by identity, which is quicker than by value
        self._numbers_by_value: dict[AddressSet, int] = {}
        self._sets: list[AddressSet] = []
        self._of_set: list[int] = []
        self._of_end: dict[tuple[int, View | None], int] = {}
        self._of_version: dict[IPVersion, int] = {4: 0, 6: 0}
        self._hidden: dict[str, int] = {}  # by network that takes them for others'
        self.by_view: dict[View | None, int] = {None: 0}
        self._ends = list(ends)
        peers = {
            network.name: {network.name, *(p.name for p in mutual_peers(policy.model, network))}
            for network in policy.model.virtual_networks
        }
        self._peers = peers
        self._views = policy.compiled.views.of_subnet
        self._judged = [
            (
                self._list(policy.tables(endpoint, Direction.OUTBOUND)),
                self._list(policy.tables(endpoint, Direction.INBOUND)),
            )
            for endpoint in range(len(policy.subjects))
        ]
        self._memberships = [0] * len(policy.subjects)
        for number, end in enumerate(self._ends):
            for endpoint in end.endpoints or ():
                self._memberships[endpoint] |= 1 << number
        for tables in self.table_lists:
            for table in tables:
                for rule in table.rules:
                    self._number(rule.source)
                    self._number(rule.destination)
        self._wanted = [
            addresses for end in self._ends for addresses in (end.addresses or {}).values()
        ]
        for addresses in self._wanted:
            self._number(addresses)
        self._of_set = [0] * len(self._sets)
        of_endpoints = [0] * len(self._ends)
        for version in IP_VERSIONS:
            self._sweep(version, of_endpoints)
        for number, end in enumerate(self._ends):
            for view in {None, *self._views.values()}:
                if end.addresses is None:
                    self._of_end[id(end), view] = of_endpoints[number]
                elif view is not None:
                    self._of_end[id(end), view] = self.of_addresses(end.addresses[view])

    # -- what there is -------------------------------------------------------------------

    def of_addresses(self, addresses: AddressSet) -> int:
        """The classes in a set of addresses that some rule or end has."""
        return self._of_set[self._set_numbers[id(addresses)]]

    def of_end(self, end: End, view: View | None) -> int:
        """The classes of an end in a view of a network; no view sees a tag."""
        return self._of_end.get((id(end), view), 0)

    def judged_with(self, one: AddressClass) -> int:
        """The classes with which flows of another are judged as theirs.

        Flows have one IP version, and nobody judges those that touch nothing declared. Where
        networks overlap, an address is the own network's, or a peer's.
        """
        found = self._of_version[one.version]
        if one.view is None:
            found &= ~self.by_view[None]
        for view, of_view in self.by_view.items():
            if view is not None and view[0] in one.hidden_from:
                found &= ~of_view
        if one.view is not None:
            found &= ~self._hidden.get(one.view[0], 0)
        return found

    def parts_of_pair(
        self, sender: AddressClass, receiver: AddressClass
    ) -> tuple[Part, Part] | None:
        """Parts with two different addresses that a flow may have; None where there are none.

        A network interface sends nothing to itself through the network.
        """
        for one in sender.parts[:2]:
            for other in receiver.parts[:2]:
                if one.endpoint != other.endpoint or self._may_send_to_itself(one, other):
                    return one, other
        return None

    def _may_send_to_itself(self, one: Part, other: Part) -> bool:
        if one.endpoint is None:
            return False
        is_one = self._policy.subjects[one.endpoint].kind is Kind.NETWORK_INTERFACE
        return not is_one and size(union([one.ranges, other.ranges])) > 1

    # -- how it is made ------------------------------------------------------------------

    def _list(self, tables: tuple[CompiledTable, ...]) -> int:
        key = tuple(map(id, tables))
        found = self._list_numbers.setdefault(key, len(self.table_lists))
        if found == len(self.table_lists):
            self.table_lists.append(tables)
        return found

    def _number(self, addresses: AddressSet) -> int:
        found = self._set_numbers.get(id(addresses))
        if found is None:
            found = self._numbers_by_value.setdefault(addresses, len(self._sets))
            self._set_numbers[id(addresses)] = found
            if found == len(self._sets):
                self._sets.append(addresses)
        return found

    def _sweep(self, version: IPVersion, of_endpoints: list[int]) -> None:
        edges: dict[int, list[int]] = {}
        for number, addresses in enumerate(self._sets):
            _add_edges(edges, addresses.ranges(version), number)
        wanted_bit = len(self._sets)
        wanted = union(addresses.ranges(version) for addresses in self._wanted)
        wanted = minus(wanted, self._policy.nobodys(version))
        _add_edges(edges, wanted, wanted_bit)
        spans = dict(self._policy.spans(version))
        starts = sorted({0, *edges, *spans})
        found: dict[_Key, _Spans] = {}
        sets = 0
        there: dict[str, int] = {}
        for start, following in zip(starts, [*starts[1:], last_address(version) + 1], strict=True):
            for number in edges.get(start, ()):
                sets ^= 1 << number
            there = spans.get(start, there)
            if start >= following:
                continue
            owners: Iterable[int | None] = there.values()
            if not there:
                owners = (NOT_DECLARED,) if sets >> wanted_bit else ()
            for owner in owners:
                key = self._key(owner, there, sets & ~(1 << wanted_bit))
                spans_of_key = found.setdefault(key, {})
                spans_of_key.setdefault(owner, []).append((start, following - 1))
        for key, spans_of_key in found.items():
            self._keep(version, key, spans_of_key, of_endpoints)

    def _key(self, owner: int | None, there: dict[str, int], sets: int) -> _Key:
        if owner is None:
            return _Key(sets, None, 0, 0, frozenset(), 0)
        subject = self._policy.subjects[owner]
        network = subject.virtual_network
        hidden = frozenset(
            other
            for other, peers in self._peers.items()
            if len(there) > 1 and not self._takes(other, peers, there, network)
        )
        view = self._views[network, subject.subnet]
        return _Key(sets, view, *self._judged[owner], hidden, self._memberships[owner])

    @staticmethod
    def _takes(viewer: str, peers: set[str], there: dict[str, int], network: str) -> bool:
        """As nsgd.policy.endpoints.EndpointMap.disambiguate does."""
        if viewer in there:
            return viewer == network
        return [each for each in there if each in peers] == [network]

    def _keep(self, version: IPVersion, key: _Key, spans: _Spans, of_endpoints: list[int]) -> None:
        bit = 1 << len(self.classes)
        parts = tuple(Part(endpoint, merge_ranges(ranges)) for endpoint, ranges in spans.items())
        self.classes.append(
            AddressClass(version, key.view, key.outbound, key.inbound, key.hidden_from, parts)
        )
        self._of_version[version] |= bit
        self.by_view[key.view] = self.by_view.get(key.view, 0) | bit
        for network in key.hidden_from:
            self._hidden[network] = self._hidden.get(network, 0) | bit
        for number in bits_of(key.sets):
            self._of_set[number] |= bit
        for number in bits_of(key.memberships):
            of_endpoints[number] |= bit


def _add_edges(edges: dict[int, list[int]], ranges: Ranges, number: int) -> None:
    for first, last in ranges:
        edges.setdefault(first, []).append(number)
        edges.setdefault(last + 1, []).append(number)
