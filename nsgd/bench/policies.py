"""Five policies of four network security groups, with as many rules and NICs as are asked for.

In each group rules overlap as nested ranges do: later rules also match what earlier ones decide,
and every rule decides an equal share of the flows of nsgd.bench.flows. All of them allow, so that
each new flow asks all four groups and is delivered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nsgd.bench.flows import (
    ADDRESSES,
    CLIENT_BASE,
    CLIENT_NETWORK,
    DIGITS,
    FIRST_PORT,
    FIVE,
    PORTS,
    SERVER_BASE,
    SERVER_NETWORK,
    addresses,
    offsets,
)

RULES = (10, 100, 1000)  # in each group
NICS = tuple(2 * count for count in ADDRESSES)  # half of them on a side, with one address each
Rule = dict[str, Any]

_SIDES = {"client": (CLIENT_BASE, CLIENT_NETWORK), "server": (SERVER_BASE, SERVER_NETWORK)}
_ANY: Rule = {
    "access": "Allow",
    "protocol": "*",
    "sourcePortRange": "*",
    "destinationPortRange": "*",
    "sourceAddressPrefix": "*",
    "destinationAddressPrefix": "*",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How large a policy is: *rules* in each of its four groups, *nics* on both sides together."""

    rules: int = RULES[-1]
    nics: int = NICS[-1]

    def __post_init__(self) -> None:
        if self.rules not in RULES or self.nics not in NICS:
            raise ValueError(f"not a size of a policy: {self.rules} rules, {self.nics} NICs")

    @property
    def asgs(self) -> int:
        """Application security groups of a side: ten, as many as a rule can name, or one a NIC."""
        return min(10, self.nics // 2)


def policy_document(
    name: str, size: Size, engine: str = "queue", queues: int = 1
) -> dict[str, Any]:
    """The document of a policy of POLICIES, for an engine of nsgd's with so many workers."""
    return {
        "virtualNetworks": [
            {
                "name": "bench",
                "addressSpace": [CLIENT_NETWORK, SERVER_NETWORK],
                "subnets": [
                    {
                        "name": side,
                        "addressPrefixes": [network],
                        "networkSecurityGroup": f"{side}-subnet",
                    }
                    for side, (_, network) in _SIDES.items()
                ],
            }
        ],
        "networkInterfaces": [nic for side in _SIDES for nic in _interfaces(side, size)],
        "networkSecurityGroups": [
            {
                "name": f"{side}-{place}",
                "securityRules": _numbered(group_rules(name, side, size), direction),
            }
            for side, direction in (("client", "Outbound"), ("server", "Inbound"))
            for place in ("nic", "subnet")
        ],
        "applicationSecurityGroups": [
            {"name": _asg(side, index), "virtualNetwork": "bench"}
            for side in _SIDES
            for index in range(size.asgs)
        ],
        "daemon": {
            "metricsListen": "127.0.0.1:0",
            "engine": engine,
            "queues": queues,
            # A few sources open as many flows as can be decided.
            "admission": {"enabled": False},
        },
    }


def group_rules(name: str, side: str, size: Size) -> Iterator[Rule]:
    """What the rules of a group of that side match, in the order of their priorities.

    Of a security rule's fields those that are not ``*``, and None for those that are left out.
    """
    return POLICIES[name](side, size)


def nic_addresses(side: str, size: Size) -> list[int]:
    """The address of each NIC of a side."""
    return addresses(_SIDES[side][0], size.nics // 2)


def asg_addresses(side: str, size: Size) -> dict[str, list[int]]:
    """The addresses in each application security group of a side."""
    members: dict[str, list[int]] = {}
    for index, address in enumerate(nic_addresses(side, size)):
        members.setdefault(_asg(side, index % size.asgs), []).append(address)
    return members


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


def _interfaces(side: str, size: Size) -> Iterator[dict[str, Any]]:
    for index, address in enumerate(nic_addresses(side, size)):
        yield {
            "name": f"{side}{index}",
            "subnet": f"bench/{side}",
            "privateIPAddresses": [str(ipaddress.IPv4Address(address))],
            "networkSecurityGroup": f"{side}-nic",
            "applicationSecurityGroups": [_asg(side, index % size.asgs)],
        }


def _asg(side: str, index: int) -> str:
    return f"{side.capitalize()}Servers{index}"


def _ports(side: str, size: Size) -> Iterator[Rule]:
    """Destination port ranges that all begin alike, one for UDP and TCP each, or end alike."""
    last = FIRST_PORT + PORTS - 1
    if side == "server":
        for width in _nested_widths(size.rules):
            yield {"destinationPortRange": f"{last - width + 1}-{last}"}
        return
    for width in _nested_widths(size.rules // 2):
        for protocol in ("Tcp", "Udp"):
            ports = f"{FIRST_PORT}-{FIRST_PORT + width - 1}"
            yield {"protocol": protocol, "destinationPortRange": ports}


def _nested_widths(count: int) -> Iterator[int]:
    """Widths of nested port ranges, each wider by the same number of ports."""
    step = PORTS // count
    yield from range(step, PORTS + 1, step)


def _nested_prefixes(base: int, count: int) -> Iterator[str]:
    """Ten prefixes around each of a tenth of *count* places, the longest of all places first.

    They nest by a digit of five. Ahead of each goes one with half of the addresses that it adds,
    by the digit of two below.
    """
    places = {10: 0, 100: 2, 1000: 4}[count]  # digits that tell them apart
    five, two = DIGITS[places][1], DIGITS[places + 1][1]
    for nesting, start in enumerate(FIVE):
        for offset, free_bits in ((start << five, two), (0, five + nesting)):
            for place in offsets(0, places):
                address = ipaddress.IPv4Address(base + place + offset)
                yield f"{address}/{32 - free_bits}"


def _sources(side: str, size: Size) -> Iterator[Rule]:
    """Nested source prefixes."""
    for prefix in _nested_prefixes(CLIENT_BASE, size.rules):
        yield {"sourceAddressPrefix": prefix}


def _destinations(side: str, size: Size) -> Iterator[Rule]:
    """Nested destination prefixes."""
    for prefix in _nested_prefixes(SERVER_BASE, size.rules):
        yield {"destinationAddressPrefix": prefix}


def _mixed(side: str, size: Size) -> Iterator[Rule]:
    """Protocol, source prefix, destination prefix and port range together.

    Rules for one protocol stand before rules for any, which decide the other protocol. Ten rules
    are too few for more than one destination and port range.
    """
    destinations = _wide_prefixes(SERVER_BASE)
    if size.rules == RULES[0]:
        destinations = destinations[-1:]
    ranges = size.rules // (2 * len(FIVE) * len(destinations))
    for index, width in enumerate(_nested_widths(ranges)):
        ports = f"{FIRST_PORT}-{FIRST_PORT + width - 1}"
        for source in _wide_prefixes(CLIENT_BASE):
            for destination in destinations:
                for protocol in ("Udp" if index % 2 else "Tcp", "*"):
                    yield {
                        "protocol": protocol,
                        "sourceAddressPrefix": source,
                        "destinationAddressPrefix": destination,
                        "destinationPortRange": ports,
                    }


def _wide_prefixes(base: int) -> list[str]:
    """Five nested prefixes; each adds a fifth of a side's addresses."""
    _, shift = DIGITS[0]
    return [f"{ipaddress.IPv4Address(base)}/{32 - shift - nesting}" for nesting in range(len(FIVE))]


def _lists(side: str, size: Size) -> Iterator[Rule]:
    """Lists of port ranges and prefixes, and up to ten application security groups a rule."""
    ranges = size.rules // size.asgs
    width = PORTS // ranges
    own, other = ("source", "destination") if side == "client" else ("destination", "source")
    other_network = SERVER_NETWORK if side == "client" else CLIENT_NETWORK
    halves = [str(half) for half in ipaddress.IPv4Network(other_network).subnets()]
    for index in range(ranges):
        start = FIRST_PORT + width * index
        ports = [f"{start}-{start + width // 2 - 1}", f"{start + width // 2}-{start + width - 1}"]
        if index:
            ports.append(f"{FIRST_PORT}-{start - 1}")
        for group in range(size.asgs):
            yield {
                "destinationPortRanges": ports,
                f"{own}ApplicationSecurityGroups": [_asg(side, i) for i in range(group + 1)],
                f"{other}AddressPrefixes": halves,
                # These fields exclude the plural ones.
                "destinationPortRange": None,
                f"{own}AddressPrefix": None,
                f"{other}AddressPrefix": None,
            }


POLICIES: dict[str, Callable[[str, Size], Iterator[Rule]]] = {
    "ports": _ports,
    "sources": _sources,
    "destinations": _destinations,
    "mixed": _mixed,
    "lists": _lists,
}
DECIDED_BY = {
    "ports": "overlapping destination port ranges, on one side for either protocol",
    "sources": "nested source prefixes",
    "destinations": "nested destination prefixes",
    "mixed": "protocol, nested prefixes and port ranges together",
    "lists": "lists of port ranges, application security groups",
}
