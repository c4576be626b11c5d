"""Reads all links, routes and routing rules of this network namespace; changes nothing."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.kernel.error import KernelError
from nsgd.model.address import IP_VERSIONS, Prefix
from nsgd.wire import netlink

_GETLINK, _GETROUTE, _GETRULE = 18, 26, 34
# struct ifinfomsg, struct rtmsg, struct fib_rule_hdr
_LINK_BYTES, _ROUTE_BYTES, _RULE_BYTES = 16, 12, 12
_GENERIC_BYTES = 4  # of which netlink.message() itself writes the first
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_IFLA_NAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 10, 18, 1
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 1, 4, 5, 18
_FRA_MARK, _FRA_MARK_MASK = 10, 16
_UNICAST = 1
_MAIN_TABLE = 254
_RECEIVE_BYTES = 1 << 18
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """A link; *master* is the index of the bridge or bond that it is a port of."""

    index: int
    name: str
    master: int | None = None
    kind: str = ""  # such as bridge or veth; empty for hardware


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """A route of the main table; *is_direct* where the hosts are on the link itself."""

    prefix: Prefix
    link: int
    is_direct: bool


def read_links() -> list[LinkSeen]:
    """Every link. Raises KernelError."""
    return [_link(body) for body in _dump(_GETLINK, 0, _LINK_BYTES)]


def read_routes() -> list[RouteSeen]:
    """The main table's unicast routes that have one link, of both families. Raises KernelError."""
    found = []
    for version in IP_VERSIONS:
        for body in _dump(_GETROUTE, _FAMILY[version], _ROUTE_BYTES):
            _, length, _, _, table, _, _, kind = struct.unpack_from("8B", body)
            attributes = netlink.split_attributes(body[_ROUTE_BYTES:])
            if kind != _UNICAST or table != _MAIN_TABLE or _RTA_OIF not in attributes:
                continue
            network = int.from_bytes(attributes.get(_RTA_DST, b""), "big")
            is_direct = _RTA_GATEWAY not in attributes and _RTA_VIA not in attributes
            link = _integer(attributes[_RTA_OIF])
            found.append(RouteSeen(Prefix(version, network, length), link, is_direct))
    return found


def read_rule_marks() -> frozenset[int]:
    """The bits of the packet mark that each routing rule compares. Raises KernelError."""
    found = set()
    for family in _FAMILY.values():
        for body in _dump(_GETRULE, family, _RULE_BYTES):
            attributes = netlink.split_attributes(body[_RULE_BYTES:])
            mask = _integer(attributes.get(_FRA_MARK_MASK, bytes(4)))
            if mask or _FRA_MARK in attributes:
                found.add(mask)
    return frozenset(found)


def _link(body: bytes) -> LinkSeen:
    (index,) = struct.unpack_from("=i", body, 4)
    attributes = netlink.split_attributes(body[_LINK_BYTES:])
    information = netlink.split_attributes(attributes.get(_IFLA_LINKINFO, b""))
    return LinkSeen(
        index,
        _text(attributes.get(_IFLA_NAME)),
        _integer(attributes[_IFLA_MASTER]) if _IFLA_MASTER in attributes else None,
        _text(information.get(_IFLA_INFO_KIND)),
    )


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")


def _integer(data: bytes) -> int:
    return int(struct.unpack("=I", data)[0])


def _dump(kind: int, family: int, header_bytes: int) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as route:
        route.settimeout(_TIMEOUT_S)
        try:
            rest = bytes(header_bytes - _GENERIC_BYTES)
            route.send(netlink.message(kind, netlink.NLM_F_DUMP, 1, family, rest))
            while True:
                for answer, _, body in netlink.split_messages(route.recv(_RECEIVE_BYTES)):
                    if answer == netlink.NLMSG_DONE:
                        return
                    if answer == netlink.NLMSG_ERROR:
                        raise KernelError("read", "links", netlink.error_number(body))
                    yield body
        except OSError as error:
            raise KernelError("read", "links", error.errno or errno.ETIMEDOUT) from error
