"""Whose a flow is: the interfaces at both ends, and the rules that its mark names."""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nsgd.flowlog import names
from nsgd.flowlog.following import Saying
from nsgd.flowlog.record import NO_MAC_ADDRESS, FlowRecord, FlowState
from nsgd.model.address import Address
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Direction
from nsgd.policy.endpoints import AMBIGUOUS, EndpointMap
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.marks import ADOPTED, NO_TABLE, MarkLayout

_MOST_REMEMBERED = 65536


class Side(NamedTuple):
    """One end of a flow, whose interface logs it."""

    virtual_network: str
    target: str  # its id
    mac_address: str
    direction: Direction
    number: int  # of the decision
    acl_id: str
    network_security_group: str
    rule: str


class _Place(NamedTuple):
    """What an endpoint is in a log: *mac_address* is zeros where it is no declared interface."""

    virtual_network: str
    mac_address: str


@dataclass(slots=True)
class Attribution:
    """Endpoints by address, and rules by number, of one policy."""

    mark_mask: int
    endpoints: EndpointMap
    places: list[_Place]  # by endpoint
    # By direction as in DIRECTIONS: group and rule of each number.
    rules: tuple[dict[int, tuple[str, str]], dict[int, tuple[str, str]]]
    networks_of_groups: dict[str, str]  # a network with the group
    _layout: MarkLayout = field(init=False)
    _remembered: dict[tuple[object, ...], tuple[str, str, tuple[Side, ...]]] = field(
        init=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        self._layout = MarkLayout(self.mark_mask)

    @classmethod
    def build(
        cls, model: NetworkModel, endpoints: EndpointMap, numbers: DecisionNumbers, mark_mask: int
    ) -> Attribution:
        """What a policy's flows are attributed by."""
        interfaces = {nic.name for nic in model.network_interfaces}
        networks = [network.name for network in model.virtual_networks]
        places = [
            _Place(
                networks[endpoint.virtual_network],
                names.mac_address(endpoint.name) if endpoint.name in interfaces else NO_MAC_ADDRESS,
            )
            for endpoint in endpoints.endpoints
        ]
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
                [tuple(place) for place in self.places],
                self.rules,
                self.networks_of_groups,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Attribution:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        mask, endpoints, places, *rest = marshal.loads(data)  # noqa: S302 # nosec B302
        made: list[Any] = [EndpointMap.from_plain(endpoints), [_Place(*p) for p in places], *rest]
        return cls(mask, *made)

    def is_decided(self, mark: int) -> bool:
        """Tell whether a conntrack mark carries a decision."""
        outbound, inbound = self._layout.numbers(mark)
        return outbound >= NO_TABLE and inbound >= NO_TABLE

    def records(self, saying: Saying) -> Iterator[tuple[Side, FlowRecord]]:
        """A record for each end that is declared, the sender's first."""
        numbers = self._layout.numbers(saying.mark)
        yield from self._records(
            saying.state, saying.time_ms, saying.header, numbers, saying.counts
        )

    def denial(
        self, time_ms: int, header: PacketHeader, direction: Direction, number: int
    ) -> Iterator[tuple[Side, FlowRecord]]:
        """The record of a denied packet: one, by the side whose rule denied it."""
        numbers = (number, 0) if direction is Direction.OUTBOUND else (0, number)
        yield from self._records(FlowState.DENY, time_ms, header, numbers, (0, 0, 0, 0))

    def _records(
        self,
        state: FlowState,
        time_ms: int,
        header: PacketHeader,
        numbers: tuple[int, int],
        counts: tuple[int, int, int, int] | None,
    ) -> Iterator[tuple[Side, FlowRecord]]:
        version, protocol, source, destination, source_port, destination_port, _ = header
        key = version, source, destination, numbers
        known = self._remembered.get(key)
        if known is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[key] = (
                str(Address(version, source)),
                str(Address(version, destination)),
                tuple(self._sides(header, numbers)),
            )
        source_text, destination_text, sides = known
        sent, sent_bytes, received, received_bytes = counts or (None, None, None, None)
        for side in sides:
            yield (
                side,
                FlowRecord(
                    time_ms,
                    source_text,
                    destination_text,
                    source_port,
                    destination_port,
                    protocol,
                    side.direction,
                    state,
                    sent,
                    sent_bytes,
                    received,
                    received_bytes,
                    mac_address=side.mac_address,
                    target=side.target,
                    acl_id=side.acl_id,
                    network_security_group=side.network_security_group,
                    rule=side.rule,
                ),
            )

    def _sides(self, header: PacketHeader, numbers: tuple[int, int]) -> Iterator[Side]:
        ends = self.endpoints.find(header.version, header.source, header.destination, None, None)
        for index, direction in enumerate(DIRECTIONS):
            number, endpoint = numbers[index], ends[index]
            if not number:
                continue
            group, rule = self.rules[index].get(number, ("", ""))
            if endpoint >= 0:
                place = self.places[endpoint]
            elif endpoint <= AMBIGUOUS or number not in _OF_NOBODY:
                # A rule decided: the sender or receiver is one that was known by its link, such as
                # a NIC that forwards for others, or by a network that the addresses do not tell.
                place = _Place(self._network(group, ends[1 - index]), NO_MAC_ADDRESS)
            else:
                continue  # an end outside of every virtual network
            yield Side(
                place.virtual_network,
                names.resource_id("virtualNetworks", place.virtual_network),
                place.mac_address,
                direction,
                number,
                names.acl_id(group, rule),
                group,
                names.rule_name(rule),
            )

    def _network(self, group: str, other_end: int) -> str:
        if group in self.networks_of_groups:
            return self.networks_of_groups[group]
        if other_end >= 0:
            return self.places[other_end].virtual_network
        return self.places[0].virtual_network if self.places else ""


# Numbers that say nothing of an end that is not declared.
_OF_NOBODY = (NO_TABLE, ADOPTED)
