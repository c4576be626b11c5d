"""Whose a flow is: the interfaces at both ends, and the rules that its mark names."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nsgd.flowlog import names
from nsgd.flowlog.entry import Entry, Place, Ruling, Side
from nsgd.flowlog.following import NOTHING, Saying
from nsgd.flowlog.record import NO_MAC_ADDRESS, FlowState
from nsgd.model.address import Address, IPVersion
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Direction
from nsgd.policy.endpoints import AMBIGUOUS, EndpointMap
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.marks import ADOPTED, NO_TABLE, MarkLayout

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_MOST_REMEMBERED = 65536


@dataclass(slots=True)
class Attribution:
    """Endpoints by address, and rules by number, of one policy."""

    mark_mask: int
    endpoints: EndpointMap
    places: list[Place]  # by endpoint; those of one file are one
    # By direction as in DIRECTIONS: group and rule of each number.
    rules: tuple[dict[int, tuple[str, str]], dict[int, tuple[str, str]]]
    networks_of_groups: dict[str, str]  # a network with the group
    _layout: MarkLayout = field(init=False)
    _decided: tuple[int, int] = field(init=False)  # bits that a decision has, of either side
    # What has been found already, each within bounds.
    _numbers: dict[int, tuple[int, int]] = field(init=False, default_factory=dict)  # by mark
    _ends: dict[IPVersion, dict[int, tuple[str, int]]] = field(init=False)
    _rulings: tuple[dict[int, Ruling], dict[int, Ruling]] = field(init=False)
    # By numbers and endpoints of both ends.
    _sides: dict[tuple[int, int, int, int], tuple[Side, ...]] = field(
        init=False, default_factory=dict
    )
    _anonymous: dict[str, Place] = field(init=False)  # of no interface, by network

    def __post_init__(self) -> None:
        self._layout = layout = MarkLayout(self.mark_mask)
        self._decided = layout.outbound_decided, layout.inbound_decided
        self._ends = {4: {}, 6: {}}
        self._rulings = {}, {}
        self._anonymous = {
            place.virtual_network: place
            for place in self.places
            if place.mac_address == NO_MAC_ADDRESS
        }

    @classmethod
    def build(
        cls, model: NetworkModel, endpoints: EndpointMap, numbers: DecisionNumbers, mark_mask: int
    ) -> Attribution:
        """What a policy's flows are attributed by."""
        interfaces = {nic.name for nic in model.network_interfaces}
        networks = [network.name for network in model.virtual_networks]
        places = _places(
            (
                networks[endpoint.virtual_network],
                names.mac_address(endpoint.name) if endpoint.name in interfaces else NO_MAC_ADDRESS,
            )
            for endpoint in endpoints.endpoints
        )
        used: dict[str, str] = {}
        for network in model.virtual_networks:
            for subnet in network.subnets:
                used.setdefault(subnet.network_security_group or "", network.name)
        resources: tuple[NetworkInterface | ScaleSet, ...] = (
            *model.network_interfaces,
            *model.scale_sets,
        )
        for resource in resources:
            used.setdefault(resource.network_security_group or "", resource.virtual_network)
        rules = tuple(
            {number: (group, rule) for (group, rule, _), number in known.items()}
            for known in (numbers.by_direction[direction] for direction in DIRECTIONS)
        )
        return cls(mark_mask, endpoints, places, (rules[0], rules[1]), used)

    def to_bytes(self) -> bytes:
        """For the hand-over between processes of this same Python; never for a file."""
        return marshal.dumps(
            (
                self.mark_mask,
                self.endpoints.to_plain(),
                [(place.virtual_network, place.mac_address) for place in self.places],
                self.rules,
                self.networks_of_groups,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Attribution:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        mask, endpoints, places, *rest = marshal.loads(data)  # noqa: S302 # nosec B302
        made: list[Any] = [EndpointMap.from_plain(endpoints), _places(places), *rest]
        return cls(mask, *made)

    def is_decided(self, mark: int) -> bool:
        """Tell whether a conntrack mark carries a decision."""
        outbound, inbound = self._decided
        return bool(mark & outbound and mark & inbound)

    def entry(self, saying: Saying) -> Entry:
        """With a side for each end that is declared."""
        mark = saying.mark
        numbers = self._numbers.get(mark)
        if numbers is None:
            numbers = _remember(self._numbers, mark, self._layout.numbers(mark))
        return self._entry(saying, *numbers)

    def denial(
        self, time_ms: int, header: PacketHeader, direction: Direction, number: int
    ) -> Entry:
        """That of a denied packet: with the side whose rule denied it."""
        numbers = (number, 0) if direction is Direction.OUTBOUND else (0, number)
        return self._entry(Saying(FlowState.DENY, time_ms, header, 0, NOTHING), *numbers)

    def _entry(self, saying: Saying, outbound: int, inbound: int) -> Entry:
        version, _, source, destination, _, _, _ = saying.header
        ends = self._ends[version]
        source_text, leaves = ends.get(source) or self._find(version, source)
        destination_text, enters = ends.get(destination) or self._find(version, destination)
        sides: tuple[Side, ...] | None
        if leaves >= 0 and enters >= 0 and outbound and inbound:
            # There are so many pairs of ours that hardly one comes again.
            from_rulings, to_rulings = self._rulings
            sides = (
                (self.places[leaves], from_rulings.get(outbound) or self._ruling(0, outbound)),
                (self.places[enters], to_rulings.get(inbound) or self._ruling(1, inbound)),
            )
        else:
            key = outbound, inbound, leaves, enters
            sides = self._sides.get(key)
            if sides is None:
                if leaves <= AMBIGUOUS or enters <= AMBIGUOUS:
                    leaves, enters = self.endpoints.find(version, source, destination, None, None)
                found = (
                    *self._side(0, outbound, leaves, enters),
                    *self._side(1, inbound, enters, leaves),
                )
                sides = _remember(self._sides, key, found)
        # By the tuple's own constructor, which is called for all that is logged.
        return tuple.__new__(Entry, (saying, source_text, destination_text, sides))

    def _find(self, version: IPVersion, address: int) -> tuple[str, int]:
        """The text of an address, and its endpoint, as far as it is known by it alone."""
        found = str(Address(version, address)), self.endpoints.by_address(version, address)
        return _remember(self._ends[version], address, found)

    def _ruling(self, index: int, number: int) -> Ruling:
        group, rule = self.rules[index].get(number, ("", ""))
        made = self._rulings[index][number] = Ruling.of(DIRECTIONS[index], number, group, rule)
        return made

    def _side(self, index: int, number: int, endpoint: int, other: int) -> Iterator[Side]:
        """The sender's, of index 0, or the receiver's; none where that is nobody of ours."""
        if not number:
            return
        if AMBIGUOUS < endpoint < 0 and number in _OF_NOBODY:
            return  # an end outside of every virtual network
        ruling = self._rulings[index].get(number) or self._ruling(index, number)
        if endpoint >= 0:
            yield self.places[endpoint], ruling
            return
        # A rule decided: the sender or receiver is one that was known by its link, such as a NIC
        # that forwards for others, or by a network that the addresses do not tell.
        network = self._network(ruling.network_security_group, other)
        yield self._anonymous.setdefault(network, Place(network, NO_MAC_ADDRESS)), ruling

    def _network(self, group: str, other_end: int) -> str:
        if group in self.networks_of_groups:
            return self.networks_of_groups[group]
        if other_end >= 0:
            return self.places[other_end].virtual_network
        return self.places[0].virtual_network if self.places else ""


def _places(plain: Iterable[tuple[str, str]]) -> list[Place]:
    made: dict[tuple[str, str], Place] = {}
    return [made.setdefault((network, mac), Place(network, mac)) for network, mac in plain]


def _remember(known: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[key] = value
    return value


# Numbers that say nothing of an end that is not declared.
_OF_NOBODY = (NO_TABLE, ADOPTED)
