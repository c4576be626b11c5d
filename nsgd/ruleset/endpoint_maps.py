"""Which chain a packet's sender and receiver go on in, by link and by address, as nftables maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkInterface
from nsgd.model.rule import Access, Direction
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED, Endpoint, EndpointMap
from nsgd.ruleset.branches import BranchEntry
from nsgd.ruleset.keys import Key, address_key, link_key
from nsgd.ruleset.matches import Side
from nsgd.ruleset.names import interface_count, interface_counter
from nsgd.ruleset.objects import (
    AddressRangeSet,
    AnySet,
    CountingSet,
    LinkSet,
    VerdictMap,
)

SIDES: dict[Direction, Side] = {
    Direction.OUTBOUND: "source",
    Direction.INBOUND: "destination",
}
DIRECTION_NAMES = {Direction.OUTBOUND: "out", Direction.INBOUND: "in"}
# Where packets go that touch a resource whose rules make no tree.
ASKED_LINKS = "asked_links"

# The chain for an endpoint's traffic in a direction, or None where the worker is to be asked.
ChainOf = Callable[[Endpoint, Direction, IPVersion], str | None]


@dataclass(frozen=True, slots=True)
class Ways:
    """Names of the chains in which the ways of endpoints go on."""

    of_link: ChainOf
    of_address: ChainOf
    of_subnet: ChainOf  # where of_address asks no table of the subnet; None where it does
    has_subnets: bool
    ask: str  # the chain in which the worker is asked


def by_address(direction: Direction, version: IPVersion) -> str:
    """The map of single addresses to chains."""
    return f"{DIRECTION_NAMES[direction]}_addresses{version}"


def by_range(direction: Direction, version: IPVersion) -> str:
    """The map of ranges of addresses to chains."""
    return f"{DIRECTION_NAMES[direction]}_ranges{version}"


def by_link(direction: Direction, version: IPVersion) -> str:
    """The map of links to chains."""
    return f"{DIRECTION_NAMES[direction]}_links{version}"


def by_subnet(direction: Direction, version: IPVersion) -> str:
    """The map of ranges of addresses to the tables of their subnets."""
    return f"{DIRECTION_NAMES[direction]}_subnets{version}"


def denied_by_address(direction: Direction, version: IPVersion) -> str:
    """The set of addresses whose elements count denials."""
    return f"{DIRECTION_NAMES[direction]}_denied{version}"


def denied_by_link(direction: Direction) -> str:
    """The set of links whose elements count denials."""
    return f"{DIRECTION_NAMES[direction]}_denied_links"


# What has elements that count: of each more than one may stand in the table for a time.
COUNTING_WAYS = frozenset(
    name
    for direction in SIDES
    for version in IP_VERSIONS
    for name in (by_address(direction, version), by_link(direction, version))
)
COUNTING_DENIALS = frozenset(
    name
    for direction in SIDES
    for name in (
        *(denied_by_address(direction, version) for version in IP_VERSIONS),
        denied_by_link(direction),
    )
)


def asked(version: IPVersion) -> str:
    """The set of receivers whose packets the worker is asked about."""
    return f"asked{version}"


class EndpointMaps:
    """The maps of one policy's endpoints."""

    def __init__(
        self,
        endpoint_map: EndpointMap,
        interfaces: Sequence[NetworkInterface],
        ways: Ways,
    ) -> None:
        """Prepare.

        Args:
            endpoint_map: Of the policy, with the interfaces last of all endpoints.
            interfaces: The model's, in its order.
            ways: From both to the tables.
        """
        self._map = endpoint_map
        self._interfaces = interfaces
        self._first_interface = len(endpoint_map.endpoints) - len(interfaces)
        self._ways = ways
        self._denials = {
            direction: tuple(
                interface_counter(each.name, direction, Access.DENY) for each in interfaces
            )
            for direction in SIDES
        }
        self._counts = {
            direction: tuple(interface_count(each.name, direction) for each in interfaces)
            for direction in SIDES
        }
        self._asked_receivers = {
            version: tuple(self._asked_ranges(version)) for version in IP_VERSIONS
        }
        asked_links = tuple(
            link
            for link, index in endpoint_map.by_link.items()
            if any(self._of_link(index, Direction.INBOUND, v) == ways.ask for v in IP_VERSIONS)
        )
        self._asked_links = asked_links
        self.has_asked_receivers = {
            version: bool(self._asked_receivers[version]) for version in IP_VERSIONS
        }
        self.has_asked_links = bool(asked_links)

    def sets(self) -> Iterator[AnySet]:
        """All maps, and the sets of receivers that the kernel does not decide about."""
        for version in IP_VERSIONS:
            yield AddressRangeSet(asked(version), version, self._asked_receivers[version])
        yield LinkSet(ASKED_LINKS, self._asked_links)
        for direction, side in SIDES.items():
            for version in IP_VERSIONS:
                key = address_key(version, side)
                yield _counting(
                    by_address(direction, version), key, self._singles(direction, version)
                )
                ranges = tuple(self._ranges(direction, version))
                yield VerdictMap(by_range(direction, version), key, ranges, is_interval=True)
                if self._ways.has_subnets:
                    subnets = tuple(self._subnets(direction, version))
                    name = by_subnet(direction, version)
                    yield VerdictMap(name, key, subnets, is_interval=True)
                links = self._links(direction, version)
                yield _counting(by_link(direction, version), link_key(side), links)
                denials = tuple(self._denied(direction, version))
                name = denied_by_address(direction, version)
                yield CountingSet(name, key, denials, _room(len(denials)))
            of_links = tuple(
                (each.link, count)
                for each, count in zip(self._interfaces, self._denials[direction], strict=True)
                if each.link is not None
            )
            yield CountingSet(denied_by_link(direction), link_key(side), of_links)

    def _of_address(self, value: int, direction: Direction, version: IPVersion) -> str:
        if value <= AMBIGUOUS:
            return self._ways.ask
        endpoint = self._map.endpoints[value]
        return self._ways.of_address(endpoint, direction, version) or self._ways.ask

    def _of_link(self, index: int, direction: Direction, version: IPVersion) -> str:
        endpoint = self._map.endpoints[index]
        return self._ways.of_link(endpoint, direction, version) or self._ways.ask

    def _counted(self, target: str, index: int, direction: Direction) -> str:
        """The count of an interface's packets that go on in a chain; the worker counts its own."""
        return "" if target == self._ways.ask else self._counts[direction][index]

    def _singles(
        self, direction: Direction, version: IPVersion
    ) -> Iterator[tuple[BranchEntry, str]]:
        for index, interface in enumerate(self._interfaces):
            endpoint = self._first_interface + index
            for address in interface.private_ip_addresses:
                if address.version == version:
                    # Another interface may have the address in an unpeered network.
                    is_its = self._map.by_address(version, address.value) == endpoint
                    target = (
                        self._of_address(endpoint, direction, version) if is_its else self._ways.ask
                    )
                    counted = self._counted(target, index, direction)
                    yield (address.value, address.value, target), counted

    def _intervals(self, version: IPVersion) -> Iterator[tuple[int, int, int]]:
        starts, values = self._map.starts[version], self._map.values[version]
        ends = (*starts[1:], 1 << ADDRESS_BITS[version])
        for start, end, value in zip(starts, ends, values, strict=True):
            yield start, end - 1, value

    def _ranges(self, direction: Direction, version: IPVersion) -> Iterator[BranchEntry]:
        """What is declared and no interface's."""
        return _joined(
            (first, last, self._of_address(value, direction, version))
            for first, last, value in self._intervals(version)
            if value != NOT_DECLARED and value < self._first_interface
        )

    def _subnets(self, direction: Direction, version: IPVersion) -> Iterator[BranchEntry]:
        """All that is declared and goes on by its subnet."""
        return _joined(
            (first, last, target)
            for first, last, value in self._intervals(version)
            if value > NOT_DECLARED
            if (target := self._ways.of_subnet(self._map.endpoints[value], direction, version))
        )

    def _asked_ranges(self, version: IPVersion) -> Iterator[tuple[int, int]]:
        for first, last, value in self._intervals(version):
            if value != NOT_DECLARED and (
                self._of_address(value, Direction.INBOUND, version) == self._ways.ask
            ):
                yield first, last

    def _links(self, direction: Direction, version: IPVersion) -> Iterator[tuple[BranchEntry, str]]:
        for link, endpoint in self._map.by_link.items():
            target = self._of_link(endpoint, direction, version)
            counted = self._counted(target, endpoint - self._first_interface, direction)
            yield (link, link, target), counted

    def _denied(self, direction: Direction, version: IPVersion) -> Iterator[tuple[int, str]]:
        counts = zip(self._interfaces, self._denials[direction], strict=True)
        for endpoint, (interface, count) in enumerate(counts, self._first_interface):
            for address in interface.private_ip_addresses:
                # Of one that others have too, what is not known by its link is the worker's.
                if address.version == version and (
                    self._map.by_address(version, address.value) == endpoint
                ):
                    yield address.value, count


def _joined(entries: Iterable[tuple[int, int, str]]) -> Iterator[BranchEntry]:
    """Neighbours that go the same way are one."""
    pending: tuple[int, int, str] | None = None
    for first, last, target in entries:
        if pending is not None and pending[2] == target and pending[1] == first - 1:
            pending = pending[0], last, target
            continue
        if pending is not None:
            yield pending
        pending = first, last, target
    if pending is not None:
        yield pending


def _counting(name: str, key: Key, counted: Iterable[tuple[BranchEntry, str]]) -> VerdictMap:
    """A map whose elements count: a look-up and a counter's memory less than maps of counters."""
    pairs = tuple(counted)
    entries = tuple(entry for entry, _ in pairs)
    is_of_links = key.version is None
    room = 0 if is_of_links else _room(len(entries))
    return VerdictMap(name, key, entries, room=room, counts=tuple(count for _, count in pairs))


def _room(entries: int) -> int:
    """Room for as many again, in steps, so that a map of that size serves for long."""
    return max(256, 1 << (2 * entries).bit_length())
