"""Five policies of four network security groups with a thousand rules each.

In each group rules overlap as nested ranges do: later rules also match what earlier ones decide,
and every rule decides an equal share of the flows of nsgd.bench.flows. All of them allow, so that
each new flow asks all four groups and is delivered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nsgd.bench.flows import (
    BLOCK_OFFSETS,
    BLOCKS_PER_GROUP,
    CLIENT_BASE,
    CLIENT_NETWORK,
    FIRST_PORT,
    GROUPS,
    PORTS,
    SERVER_BASE,
    SERVER_NETWORK,
    addresses,
    block_starts,
)

RULES = 1000
NICS_PER_SIDE = 20
Rule = dict[str, Any]

_ANY: Rule = {
    "access": "Allow",
    "protocol": "*",
    "sourcePortRange": "*",
    "destinationPortRange": "*",
    "sourceAddressPrefix": "*",
    "destinationAddressPrefix": "*",
}
_BLOCK_LENGTHS = (32, 31, 30, 29, 28)
_SMALLEST_GROUP_LENGTH = 22


def policy_document(name: str) -> dict[str, Any]:
    """The document of a policy of POLICIES."""
    groups = [
        {"name": f"{side}-{place}", "securityRules": _numbered(POLICIES[name](side), direction)}
        for side, direction in (("client", "Outbound"), ("server", "Inbound"))
        for place in ("nic", "subnet")
    ]
    return {
        "virtualNetworks": [
            {
                "name": "bench",
                "addressSpace": [CLIENT_NETWORK, SERVER_NETWORK],
                "subnets": [
                    {
                        "name": side,
                        "addressPrefixes": [prefix],
                        "networkSecurityGroup": f"{side}-subnet",
                    }
                    for side, prefix in (("client", CLIENT_NETWORK), ("server", SERVER_NETWORK))
                ],
            }
        ],
        "networkInterfaces": [*_interfaces("client"), *_interfaces("server")],
        "networkSecurityGroups": groups,
        "applicationSecurityGroups": [
            {"name": _asg(side, index), "virtualNetwork": "bench"}
            for side in ("client", "server")
            for index in range(_ASGS)
        ],
        "daemon": {"metricsListen": "127.0.0.1:0"},
    }


def _numbered(rules: Iterable[Rule], direction: str) -> list[Rule]:
    return [
        {
            **_ANY,
            **rule,
            "name": f"Rule{index + 1:04}",
            "priority": 100 + index,
            "direction": direction,
        }
        for index, rule in enumerate(rules)
    ]


def _interfaces(side: str) -> Iterator[dict[str, Any]]:
    of_side = addresses(_BASES[side])
    size = len(of_side) // NICS_PER_SIDE
    for index in range(NICS_PER_SIDE):
        yield {
            "name": f"{side}{index}",
            "subnet": f"bench/{side}",
            "privateIPAddresses": [
                str(ipaddress.IPv4Address(address))
                for address in of_side[index * size : (index + 1) * size]
            ],
            "networkSecurityGroup": f"{side}-nic",
            "applicationSecurityGroups": [_asg(side, index % _ASGS)],
        }


_BASES = {"client": CLIENT_BASE, "server": SERVER_BASE}
_ASGS = 10  # as many as a rule can name


def _asg(side: str, index: int) -> str:
    return f"{side.capitalize()}Servers{index}"


def _ports(side: str) -> Iterator[Rule]:
    """Destination port ranges that all begin alike (client) or end alike (server)."""
    step = PORTS // RULES
    last = FIRST_PORT + PORTS - 1
    for index in range(RULES):
        width = step * (index + 1)
        bounds = (FIRST_PORT, FIRST_PORT + width - 1)
        if side == "server":
            bounds = (last - width + 1, last)
        yield {"protocol": "Udp", "destinationPortRange": f"{bounds[0]}-{bounds[1]}"}


def _block_prefixes(base: int) -> Iterator[str]:
    """All /32 first, then the /31 around each, and so on to /28."""
    for length in _BLOCK_LENGTHS:
        for start in block_starts():
            yield f"{ipaddress.IPv4Address(base + start)}/{length}"


def _sources(side: str) -> Iterator[Rule]:
    """Chains of five nested source prefixes."""
    for prefix in _block_prefixes(CLIENT_BASE):
        yield {"protocol": "Udp", "sourceAddressPrefix": prefix}


def _destinations(side: str) -> Iterator[Rule]:
    """Chains of five nested destination prefixes."""
    for prefix in _block_prefixes(SERVER_BASE):
        yield {"protocol": "Udp", "destinationAddressPrefix": prefix}


_MIXED_PORT_RANGES = 30
_TCP_PORT_RANGES = 10


def _mixed(side: str) -> Iterator[Rule]:
    """Protocol, source prefix, destination prefix and port range together.

    Of the thousand rules 250 are for TCP, stand before the others and decide no UDP flow.
    """
    for index in range(_MIXED_PORT_RANGES):
        width = PORTS // _MIXED_PORT_RANGES
        ports = f"{FIRST_PORT}-{FIRST_PORT + width * (index + 1) - 1}"
        protocols = ["Udp" if index % 2 else "*"]
        if index < _TCP_PORT_RANGES:
            protocols.insert(0, "Tcp")
        for source in range(GROUPS):
            for destination in range(GROUPS):
                for protocol in protocols:
                    yield {
                        "protocol": protocol,
                        "sourceAddressPrefix": _group_prefix(CLIENT_BASE, source),
                        "destinationAddressPrefix": _group_prefix(SERVER_BASE, destination),
                        "destinationPortRange": ports,
                    }


def _group_prefix(base: int, group: int) -> str:
    return f"{ipaddress.IPv4Address(base)}/{_SMALLEST_GROUP_LENGTH - group}"


_LISTED_PORT_RANGES = 100


def _lists(side: str) -> Iterator[Rule]:
    """Lists of port ranges and prefixes, and up to ten application security groups a rule."""
    width = PORTS // _LISTED_PORT_RANGES
    other = "destination" if side == "client" else "source"
    own = "source" if side == "client" else "destination"
    halves = [str(half) for half in ipaddress.IPv4Network(_NETWORKS[other]).subnets()]
    for index in range(_LISTED_PORT_RANGES):
        start = FIRST_PORT + width * index
        ports = [f"{start}-{start + width // 2 - 1}", f"{start + width // 2}-{start + width - 1}"]
        if index:
            ports.append(f"{FIRST_PORT}-{start - 1}")
        for group in range(_ASGS):
            yield {
                "destinationPortRanges": ports,
                f"{own}ApplicationSecurityGroups": [_asg(side, i) for i in range(group + 1)],
                f"{other}AddressPrefixes": halves,
                "protocol": "Udp",
                # These fields exclude the plural ones.
                "destinationPortRange": None,
                f"{own}AddressPrefix": None,
                f"{other}AddressPrefix": None,
            }


_NETWORKS = {"source": CLIENT_NETWORK, "destination": SERVER_NETWORK}

POLICIES: dict[str, Callable[[str], Iterator[Rule]]] = {
    "ports": _ports,
    "sources": _sources,
    "destinations": _destinations,
    "mixed": _mixed,
    "lists": _lists,
}
DECIDED_BY = {
    "ports": "overlapping destination port ranges",
    "sources": "nested source prefixes",
    "destinations": "nested destination prefixes",
    "mixed": "protocol, nested prefixes and port ranges together",
    "lists": "lists of port ranges, application security groups",
}

assert len(BLOCK_OFFSETS) * BLOCKS_PER_GROUP * GROUPS == RULES
