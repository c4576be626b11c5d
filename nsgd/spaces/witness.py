"""One packet out of many: the one that a reader would think of first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nsgd.model.address import ADDRESS_BITS, Address, IPVersion
from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.policy.address_set import Range
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.ranges import Ranges
from nsgd.spaces.space import Box, Space

_PROTOCOLS = (TCP, UDP, ICMP, ICMPV6)
# No program uses port 0, so the last of each comes before it.
_SOURCE_PORTS = (50000, 40000, 1)
_DESTINATION_PORTS = (443, 80, 8080, 1)
_ADDRESSES: dict[IPVersion, tuple[int, ...]] = {
    4: tuple(Address.parse(text).value for text in ("203.0.113.7", "10.0.0.4")),
    6: tuple(Address.parse(text).value for text in ("2a00::7", "fd00::7")),
}


def ranges_of(space: Space, box: Box) -> dict[Field, Ranges]:
    """The values of a box by field."""
    return {
        field: axis.ranges(classes)
        for field, axis, classes in zip(space.order, space.axes, box, strict=True)
    }


def witness(version: IPVersion, values: Mapping[Field, Ranges]) -> PacketHeader:
    """A packet with these values; of protocols without ports the ports are 0."""
    # One without ports only where there is no other: ICMPv6 is no packet of IPv4.
    unfit = ICMPV6 if version == 4 else ICMP
    protocol = choose(values[Field.PROTOCOL], [number for number in _PROTOCOLS if number != unfit])
    has_ports = protocol in (TCP, UDP)
    return PacketHeader(
        version,
        protocol,
        _address(version, values[Field.SOURCE]),
        _address(version, values[Field.DESTINATION]),
        choose(values[Field.SOURCE_PORT], _SOURCE_PORTS) if has_ports else 0,
        choose(values[Field.DESTINATION_PORT], _DESTINATION_PORTS) if has_ports else 0,
        False,
    )


def choose(ranges: Sequence[Range], liked: Iterable[int]) -> int:
    """The first of *liked* that is there, or the lowest value."""
    for value in liked:
        if any(first <= value <= last for first, last in ranges):
            return value
    return ranges[0][0]


def _address(version: IPVersion, ranges: Ranges) -> int:
    chosen = choose(ranges, _ADDRESSES[version])
    first, last = ranges[0]
    # The first address of a block is that of the network.
    if chosen == first and last - first > 2 and last - first < 1 << ADDRESS_BITS[version]:
        return first + 4 if last - first > 8 else first + 1
    return chosen
