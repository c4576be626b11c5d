"""Where the addresses of a drawn policy live around the gateway, and so by which links packets go.

A bound network interface is behind its own link, other declared addresses behind ``inner``, and
the rest of the world behind ``outer``. Behind a forwarding interface is also what a drawn packet
has it forward to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.oracle.choose import read_address, read_network
from tests.oracle.oracle import Address, Packet, Prefix, machines

INNER, OUTER = "inner", "outer"
_MOST_BEHIND_FORWARDERS = 16
_ICMP, _ICMPV6, _HOP_BY_HOP = 1, 58, 0

# What a router does not forward, from or to, whatever its filters say.
_NEVER_FORWARDED: tuple[Prefix, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/127",
        "::ffff:0:0/96",
        "fe80::/10",
        "ff00::/8",
    )
)


@dataclass(frozen=True, slots=True)
class Way:
    """A packet as it crosses the gateway."""

    packet: Packet  # with the links that it takes here
    is_spoofed: bool  # its source claims an address that cannot be behind its link
    is_transit: bool  # a forwarding interface sends or receives it for somebody else


class Placement:
    """The links of one document's addresses."""

    def __init__(self, document: dict[str, Any], packets: Iterable[Packet]) -> None:
        networks = document.get("virtualNetworks") or []
        self._declared = [read_network(t) for n in networks for t in n["addressSpace"]]
        subnets = [s for n in networks for s in n["subnets"]]
        self._subnets = [read_network(t) for s in subnets for t in s["addressPrefixes"]]
        self._own: dict[str, set[Address]] = {}
        self._forwarders: set[str] = set()
        self._hosts: dict[Address, str] = {}
        for interface in (*(document.get("networkInterfaces") or []), *machines(document)):
            link = interface.get("link")
            if link:
                own = {read_address(text) for text in interface["privateIPAddresses"]}
                self._own[link] = own
                self._hosts |= dict.fromkeys(own, link)
                if interface.get("enableIPForwarding"):
                    self._forwarders.add(link)
        self._place_behind_forwarders(packets)

    def _place_behind_forwarders(self, packets: Iterable[Packet]) -> None:
        placed = 0
        for packet in packets:
            destination = read_address(packet.destination)
            if (
                packet.out_link in self._forwarders
                and placed < _MOST_BEHIND_FORWARDERS
                and destination not in self._hosts
                and not _is_never_forwarded(destination)
            ):
                self._hosts[destination] = packet.out_link or ""
                placed += 1

    @property
    def links(self) -> frozenset[str]:
        """Those that interfaces are bound to."""
        return frozenset(self._own)

    def routes(self) -> dict[str, str]:
        """The link of each prefix, the default routes apart."""
        routes = {str(prefix): INNER for prefix in self._declared}
        return routes | {
            f"{address}/{address.max_prefixlen}": link for address, link in self._hosts.items()
        }

    def way(self, drawn: Packet) -> Way | None:
        """How a packet goes here; None where it never comes to the filter as what was drawn."""
        source, destination = read_address(drawn.source), read_address(drawn.destination)
        if _is_never_forwarded(source) or _is_never_forwarded(destination):
            return None
        # conntrack knows ICMP in its own family alone; and 0 is no protocol of an IPv6 packet
        # but a header in front of one.
        odd = (_ICMP, _HOP_BY_HOP) if drawn.version == 6 else (_ICMPV6,)
        if drawn.protocol in odd:
            return None
        in_link, out_link = drawn.in_link, self._link_of(destination)
        if in_link not in self._forwarders:
            in_link = self._link_of(source)
        forwards = in_link in self._forwarders
        return Way(
            drawn._replace(in_link=in_link, out_link=out_link),
            not forwards and _is_in(source, self._declared) and not _is_in(source, self._subnets),
            (forwards and source not in self._own[in_link])
            or (out_link in self._forwarders and destination not in self._own[out_link]),
        )

    def _link_of(self, address: Address) -> str:
        return self._hosts.get(address) or (INNER if _is_in(address, self._declared) else OUTER)


def _is_in(address: Address, prefixes: Iterable[Prefix]) -> bool:
    return any(address in prefix for prefix in prefixes)


def _is_never_forwarded(address: Address) -> bool:
    return _is_in(address, _NEVER_FORWARDED)
