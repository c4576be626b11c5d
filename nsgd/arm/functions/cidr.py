"""Functions of the template language that divide address ranges.

Source:
    Azure, CIDR functions for ARM templates.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from nsgd.arm.functions.arguments import Function, need_integer, need_text, wrong
from nsgd.arm.problem import Mistake, show

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: Any) -> _Network:
    if "/" not in need_text(text):
        raise wrong(text, "a range such as 10.0.0.0/16")
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise wrong(text, "a range such as 10.0.0.0/16") from error


def _hosts(network: _Network) -> tuple[int, int]:
    """The first and the last address that a host may have; the last is inclusive."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if isinstance(network, ipaddress.IPv4Network) and network.prefixlen < 31:
        return first + 1, last - 1
    return first, last


def _parse_cidr(text: Any) -> dict[str, Any]:
    network = _network(text)
    first, last = _hosts(network)
    make = type(network.network_address)
    parsed = {"network": str(network.network_address), "netmask": str(network.netmask)}
    if isinstance(network, ipaddress.IPv4Network):
        parsed["broadcast"] = str(network.broadcast_address)
    return parsed | {
        "firstUsable": str(make(first)),
        "lastUsable": str(make(last)),
        "cidr": network.prefixlen,
    }


def _cidr_subnet(text: Any, length: Any, index: Any) -> str:
    network, length, index = _network(text), need_integer(length), need_integer(index)
    if not network.prefixlen <= length <= network.max_prefixlen:
        raise Mistake(
            f"/{length} does not divide {show(text)}",
            f"a length from {network.prefixlen} to {network.max_prefixlen} does",
        )
    if not 0 <= index < 1 << (length - network.prefixlen):
        raise Mistake(
            f"{show(text)} has no /{length} with index {index}",
            f"it has {1 << (length - network.prefixlen)}, counted from 0",
        )
    start = int(network.network_address) + (index << (network.max_prefixlen - length))
    return f"{type(network.network_address)(start)}/{length}"


def _cidr_host(text: Any, index: Any) -> str:
    network, index = _network(text), need_integer(index)
    # Index 0 is the address after the network's own, in both families.
    address = int(network.network_address) + 1 + index
    if index < 0 or address > _hosts(network)[1]:
        raise Mistake(f"{show(text)} has no host with index {index}", "take a larger range")
    return str(type(network.network_address)(address))


FUNCTIONS = (
    Function("parseCidr", _parse_cidr, 1, 1),
    Function("cidrSubnet", _cidr_subnet, 3, 3),
    Function("cidrHost", _cidr_host, 2, 2),
)
