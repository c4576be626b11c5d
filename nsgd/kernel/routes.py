"""Which links the kernel's routes to some prefixes use, and which addresses are the machine's."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator

from nsgd.kernel.error import KernelError
from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, Address, IPVersion, Prefix
from nsgd.wire import netlink

_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_TABLE_LOCAL = 255
_KIND_LOCAL = 2
_RTA_DST, _RTA_OIF, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 9, 15
_ROUTE_MESSAGE = struct.Struct("=BBBBBBBBI")
_NEXT_HOP = struct.Struct("=HBBi")
_RECEIVE_BYTES = 1 << 18
_TIMEOUT_S = 10.0
# 10.0.0.0/8 may lead to 10.1.0.0/16, and fd00::/8 to a /48 of it.
_WIDER_BITS: dict[int, int] = {socket.AF_INET: 8, socket.AF_INET6: 40}
_FAMILY: dict[IPVersion, int] = {4: socket.AF_INET, 6: socket.AF_INET6}


def links_towards(prefixes: Iterable[Prefix], *, or_own: bool = False) -> frozenset[str]:
    """Names of links that a route to some address of *prefixes* uses, default routes apart.

    With *or_own* also those that have an address of *prefixes* themselves.

    Raises:
        KernelError: The routes cannot be read.
    """
    wanted = list(prefixes)
    links: set[int] = set()
    for version, family in _FAMILY.items():
        ranges = [(prefix.first, prefix.last) for prefix in wanted if prefix.version == version]
        for first, last, link_indexes in _routes(version, with_own=or_own):
            # A route much wider than the network, such as half of everything, is a default route
            # by another name.
            widest = _WIDER_BITS[family]
            if any(
                start <= last and first <= end and last - first <= (end - start + 1) << widest
                for start, end in ranges
            ):
                links |= link_indexes
    return frozenset(name for index in links if (name := _name(index)))


def own_addresses() -> frozenset[Address]:
    """All addresses of this machine. Raises KernelError."""
    found = set()
    for version in IP_VERSIONS:
        for header, attributes in _dump(_FAMILY[version]):
            address = attributes.get(_RTA_DST, b"")
            is_own = _table(header, attributes) == _TABLE_LOCAL and header[7] == _KIND_LOCAL
            if is_own and header[1] == len(address) * 8:
                found.add(Address(version, int.from_bytes(address, "big")))
    return frozenset(found)


def _table(header: tuple[int, ...], attributes: dict[int, bytes]) -> int:
    if _RTA_TABLE in attributes:
        return int(struct.unpack("=I", attributes[_RTA_TABLE])[0])
    return header[4]


def _name(index: int) -> str | None:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None  # gone since


def _routes(version: IPVersion, *, with_own: bool) -> Iterator[tuple[int, int, set[int]]]:
    """First and last address and the links of every route that is not a default route.

    Routes to the machine's own addresses are left out, or are the only ones of their table.
    """
    bits = ADDRESS_BITS[version]
    for header, attributes in _dump(_FAMILY[version]):
        length = header[1]
        if length == 0 or length > bits:
            continue
        is_own = with_own and header[7] == _KIND_LOCAL
        if _table(header, attributes) == _TABLE_LOCAL and not is_own:
            continue
        first = int.from_bytes(attributes.get(_RTA_DST, bytes(bits // 8)), "big")
        links: set[int] = set()
        if _RTA_OIF in attributes:
            links.add(int(struct.unpack("=I", attributes[_RTA_OIF])[0]))
        hops = attributes.get(_RTA_MULTIPATH, b"")
        while len(hops) >= _NEXT_HOP.size:
            size, _, _, index = _NEXT_HOP.unpack_from(hops)
            links.add(index)
            hops = hops[max(size, _NEXT_HOP.size) :]
        yield first, first | (1 << (bits - length)) - 1, links


def _dump(family: int) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    body = _ROUTE_MESSAGE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    length = netlink.HEADER_BYTES + len(body)
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
            channel.settimeout(_TIMEOUT_S)
            channel.bind((0, 0))
            channel.send(struct.pack("=IHHII", length, _RTM_GETROUTE, flags, 1, 0) + body)
            while True:
                for kind, _, payload in netlink.split_messages(channel.recv(_RECEIVE_BYTES)):
                    if kind == netlink.NLMSG_DONE:
                        return
                    if kind == netlink.NLMSG_ERROR:
                        number = netlink.error_number(payload)
                        raise KernelError("read", "routes", number or errno.EIO)
                    if kind == _RTM_NEWROUTE and len(payload) >= _ROUTE_MESSAGE.size:
                        yield (
                            _ROUTE_MESSAGE.unpack_from(payload),
                            netlink.split_attributes(payload[_ROUTE_MESSAGE.size :]),
                        )
    except OSError as error:
        raise KernelError("read", "routes", error.errno or errno.ETIMEDOUT) from error
