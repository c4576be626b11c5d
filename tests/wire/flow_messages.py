"""Conntrack's messages in the kernel's layout, for tests."""

from __future__ import annotations

import ipaddress

from nsgd.wire import netlink


def flow_tuple(kind: int, source: str, destination: str, protocol: int, *ports: int) -> bytes:
    """One direction of a flow; ICMP has its id instead of ports."""
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    first = 1 if one.version == 4 else 3
    parts = [netlink.attribute(1, bytes([protocol]))]
    numbers = {1: (4,), 58: (7,)}.get(protocol, (2, 3))
    parts += [netlink.be16(number, port) for number, port in zip(numbers, ports, strict=True)]
    return netlink.nested(
        kind,
        netlink.nested(
            1,
            netlink.attribute(first, one.packed),
            netlink.attribute(first + 1, other.packed),
        ),
        netlink.nested(2, *parts),
    )


def pair(kind: int, first: int, second: int) -> bytes:
    """Counters, or timestamps."""
    return netlink.nested(kind, netlink.be64(1, first), netlink.be64(2, second))


def flow_message(
    *tuples: bytes, version: int = 4, mark: int | None = 7, ident: int = 9, more: bytes = b""
) -> bytes:
    """What follows the netlink header."""
    marked = b"" if mark is None else netlink.be32(8, mark)
    family = bytes([2 if version == 4 else 10, 0, 0, 0])
    return family + b"".join(tuples) + netlink.be32(12, ident) + marked + more
