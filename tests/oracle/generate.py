"""Draw policy documents and packets that lie on the edges of their rules.

The drawing is written once, against a source of small integers: Python's random
generator for bulk runs, Hypothesis for runs whose failures shrink. Drawn documents are
valid by Azure's text: names and priorities are unique, subnets and the prefixes of one
list do not overlap, a tag stands alone, peers do not overlap, an interface has an
address that Azure hands out. Within that they spell the same thing in every way
the format allows: case, singular or list, absent or empty.

In every choice the first option is the plainest, so that shrinking leads there.
"""

from __future__ import annotations

import functools
import ipaddress
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from hypothesis import strategies as st

from .oracle import (
    LOAD_BALANCER,
    NOT_PUBLIC_IPV4,
    NOT_PUBLIC_IPV6,
    PUBLIC_AGAIN_IPV6,
    Address,
    Packet,
    Prefix,
)

T = TypeVar("T")
Written = dict[str, Any]

# Blocks for address spaces: neighbours, private and public ones, both families.
SPACES_IPV4 = (
    "10.0.0.0/16",
    "10.1.0.0/16",
    "10.1.0.0/17",  # in the one before: taken only by a network that may overlap it
    "10.0.128.0/17",
    "172.16.0.0/20",
    "192.168.0.0/22",
    "100.64.0.0/18",
    "20.40.0.0/16",
    "9.255.255.0/24",
    "168.63.129.0/28",  # ends just before the host's virtual address
    "172.31.240.0/20",
)
SPACES_IPV6 = ("fd00:10::/48", "fd00:11::/48", "2a01:10::/48", "2001:db8:7::/48", "2001:1::/48")
# Prefixes behind gateways and of routes.
FAR_PREFIXES = (
    "192.168.64.0/24",
    "172.20.0.0/16",
    "198.51.100.0/25",
    "8.8.8.0/24",
    "203.0.113.7/32",
    "fd99::/64",
    "2a02:20::/32",
    "10.200.0.0/14",
)
ROUTES = ("10.255.0.0/24", "52.0.0.0/8", "0.0.0.0/0", "::/0", "192.168.64.0/25", "fd98::/64")
# Prefixes that users write besides those of their own networks.
COMMON_PREFIXES = (
    "8.8.8.8",
    "8.8.8.0/24",
    "203.0.113.0/24",
    "198.18.0.0/15",
    "100.64.0.0/10",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "168.63.129.16/32",
    "192.0.2.0/25",
    "2001:db8::/32",
    "2a00::1",
    "2001::/16",
    "fe80::/10",
    "fd00::/8",
    "128.0.0.0/1",
)
TAGS = ("VirtualNetwork", "Internet", "AzureLoadBalancer")
PROTOCOLS = ("*", "Tcp", "Udp", "Icmp", "Esp", "Ah")
PROTOCOL_NUMBERS = {"*": 132, "Tcp": 6, "Udp": 17, "Icmp": 1, "Esp": 50, "Ah": 51}
PACKET_PROTOCOLS = (6, 17, 1, 58, 50, 51, 132, 47, 0, 255)
PORT_FIELDS: tuple[tuple[str | int, ...], ...] = (
    ("*",),
    ("80",),
    (443,),
    ("0",),
    (0,),
    ("65535",),
    ("0-65535",),
    ("1-65535",),
    ("0-65534",),
    ("1024-65535",),
    ("80", "443"),
    (22, "8000-8100", "65535"),
    ("0-1023", "1024-65535"),
    ("1024-65535", "0-1022"),
    ("32768-65535", "0-9", "10-32767"),
    ("0-79", "81-65535"),
    ("8080", "8081", "8082-8090"),
)
PLAIN_PORTS = (0, 1, 79, 80, 81, 443, 1023, 1024, 40000, 65534, 65535)

OUTSIDE_IPV4 = ("8.8.8.8", "203.0.113.7", "172.31.0.100", "192.168.77.1", "52.1.2.3", "1.1.1.1")
OUTSIDE_IPV6 = ("2a00::1", "2606:4700::1111", "fd77::1", "fe80::1", "::1")


class Chooser(Protocol):
    """A source of decisions."""

    def integer(self, last: int) -> int:
        """A whole number from 0 to *last*, both included."""


class RandomChooser:
    """Decisions from Python's random generator."""

    def __init__(self, seed: str | int) -> None:
        self._random = random.Random(seed).random

    def integer(self, last: int) -> int:
        return int(self._random() * (last + 1))


class HypothesisChooser:
    """Decisions from Hypothesis, each one seen and shrunk by it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, last: int) -> int:
        return self._draw(st.integers(0, last)) if last > 0 else 0


def chance(chooser: Chooser, percent: int) -> bool:
    """True in *percent* of a hundred; False is the plain outcome."""
    return chooser.integer(99) >= 100 - percent


def pick(chooser: Chooser, options: Sequence[T]) -> T:
    return options[chooser.integer(len(options) - 1)]


def weighted(chooser: Chooser, options: Sequence[tuple[int, T]]) -> T:
    """One of *options*, each with its weight."""
    point = chooser.integer(sum(weight for weight, _ in options) - 1)
    for weight, option in options:
        if point < weight:
            return option
        point -= weight
    raise AssertionError("weights add up")


# -- documents -------------------------------------------------------------------------


def draw_document(chooser: Chooser) -> Written:
    """A valid document in the project's own format."""
    overlap = chance(chooser, 20)
    every_link = chance(chooser, 50)
    networks = _draw_networks(chooser, overlap)
    groups = ("Web", "app", "Db-1", "edge.Out")[: pick(chooser, (1, 1, 2, 2, 2, 3, 3, 4, 4, 0))]
    application_groups = [
        {
            "name": name,
            "virtualNetwork": cased(chooser, pick(chooser, networks)["name"]),
        }
        for name in ("WebServers", "logic", "DB_1", "g.4")[: chooser.integer(4)]
    ]
    for network in networks:
        for subnet in network["subnets"]:
            _maybe_reference(chooser, subnet, "networkSecurityGroup", groups, 65)
    interfaces = _draw_interfaces(
        chooser, networks, groups, application_groups, overlap and every_link
    )
    prefixes = _prefixes_to_write(networks, interfaces)
    document = {
        "virtualNetworks": networks,
        "networkInterfaces": interfaces,
        "networkSecurityGroups": [
            {"name": name, "securityRules": _draw_rules(chooser, prefixes, application_groups)}
            for name in groups
        ],
        "applicationSecurityGroups": application_groups,
    }
    return {key: value for key, value in document.items() if value or not chance(chooser, 50)}


def cased(chooser: Chooser, text: str) -> str:
    """*text* in one of the spellings that compare equal."""
    spelling = chooser.integer(9)
    if spelling == 8:
        return text.upper()
    return text.lower() if spelling == 9 else text


def _draw_networks(chooser: Chooser, overlap: bool) -> list[Written]:
    count = 2 + chooser.integer(2) if overlap else 1 + chooser.integer(3)
    networks: list[Written] = []
    for name in ("lab", "Hub", "spoke-1", "Far_net")[:count]:
        taken = [] if overlap else [p for other in networks for p in other["addressSpace"]]
        space: list[str] = []
        if overlap and networks and chance(chooser, 75):
            space.append(networks[0]["addressSpace"][0])
        for blocks, percent in ((SPACES_IPV4, 30), (SPACES_IPV6, 70)):
            if (blocks is SPACES_IPV4 and not space) or chance(chooser, percent):
                free = [p for p in blocks if not _overlaps_any(p, [*taken, *space])]
                if free:
                    space.append(pick(chooser, free))
        network: Written = {"name": name, "addressSpace": space}
        _maybe_list(chooser, network, "onPremises", FAR_PREFIXES, 45)
        _maybe_list(chooser, network, "routes", ROUTES, 20)
        network["subnets"] = _draw_subnets(chooser, space)
        networks.append(network)
    _draw_peerings(chooser, networks)
    return networks


def _draw_peerings(chooser: Chooser, networks: list[Written]) -> None:
    """Peerings, mutual or of one side only, between networks that do not overlap."""
    neighbours: dict[int, set[int]] = {index: {index} for index in range(len(networks))}
    declared: dict[int, list[str | Written]] = {index: [] for index in range(len(networks))}
    for left in range(len(networks)):
        for right in range(left + 1, len(networks)):
            # Nor may the peers of one network overlap each other.
            close = neighbours[left] | neighbours[right]
            if not chance(chooser, 60) or _any_overlap([networks[index] for index in close]):
                continue
            sides = pick(chooser, ((left, right), (left, right), (left,), (right,)))
            neighbours[left].add(right)
            neighbours[right].add(left)
            for side in sides:
                name = cased(chooser, networks[right if side == left else left]["name"])
                if chance(chooser, 50):
                    settings: Written = {"name": name}
                    for flag in ("allowGatewayTransit", "useRemoteGateways"):
                        if chance(chooser, 75):
                            settings[flag] = not chance(chooser, 15)
                    declared[side].append(settings)
                else:
                    declared[side].append(name)
    for index, network in enumerate(networks):
        if declared[index] or chance(chooser, 30):
            network["peerings"] = declared[index]


def _draw_subnets(chooser: Chooser, space: Sequence[str]) -> list[Written]:
    """Subnets inside *space*, neighbours more often than not, all of them disjoint."""
    ipv4 = [ipaddress.ip_network(text) for text in space if ":" not in text]
    ipv6 = [ipaddress.ip_network(text) for text in space if ":" in text]
    taken: list[str] = []

    def cut(block: Prefix, length: int) -> str | None:
        count = 1 << (length - block.prefixlen)
        index = pick(chooser, (0, 0, 1, 2, count // 2, count - 1))
        index = min(index, count - 1)
        first = int(block.network_address) + (index << (block.max_prefixlen - length))
        text = f"{ipaddress.ip_address(first)}/{length}"
        if _overlaps_any(text, taken):
            return None
        taken.append(text)
        return text

    subnets: list[Written] = []
    for name in ("web", "Data", "gw.1")[: 1 + chooser.integer(2)]:
        prefixes: list[str] = []
        for _ in range(1 + chance(chooser, 15)):
            block = pick(chooser, ipv4)
            length = pick(chooser, (24, 29, 27, 26, block.prefixlen))
            text = cut(block, max(length, block.prefixlen))
            if text is not None:
                prefixes.append(text)
        if prefixes and ipv6 and chance(chooser, 75):
            text = cut(pick(chooser, ipv6), 64)
            if text is not None:
                prefixes.append(text)
        if prefixes:
            subnets.append({"name": name, "addressPrefixes": prefixes})
    return subnets


def _draw_interfaces(
    chooser: Chooser,
    networks: list[Written],
    groups: Sequence[str],
    application_groups: list[Written],
    every_link: bool,
) -> list[Written]:
    interfaces: list[Written] = []
    for network in networks:
        members = [
            group["name"]
            for group in application_groups
            if group["virtualNetwork"].lower() == network["name"].lower()
        ]
        used: set[str] = set()
        for subnet in network["subnets"]:
            for _ in range(pick(chooser, (1, 0, 1, 2, 3))):
                addresses = _draw_addresses(chooser, subnet["addressPrefixes"], used)
                if not addresses:
                    continue
                number = len(interfaces)
                name = f"{network['name']}{number}"
                interface: Written = {
                    "name": name,
                    "subnet": cased(chooser, f"{network['name']}/{subnet['name']}"),
                    "privateIPAddresses": addresses,
                }
                if every_link or not chance(chooser, 35):
                    interface["link"] = f"veth{number}"
                elif chance(chooser, 20):
                    interface["link"] = None
                _maybe_reference(chooser, interface, "networkSecurityGroup", groups, 75)
                if chance(chooser, 30):
                    interface["enableIPForwarding"] = chance(chooser, 80)
                if members and chance(chooser, 70):
                    interface["applicationSecurityGroups"] = [
                        cased(chooser, member) for member in _some(chooser, members)
                    ]
                interfaces.append(interface)
    return interfaces


def _draw_addresses(chooser: Chooser, prefixes: Sequence[str], used: set[str]) -> list[str]:
    """Free addresses of a subnet, an IPv4 one first, as Azure wants."""
    found: list[str] = []
    wanted = [text for text in prefixes if ":" not in text][:1]
    wanted += [text for text in prefixes if chance(chooser, 50)]
    for text in wanted:
        block = ipaddress.ip_network(text)
        last = min(block.num_addresses, 1 << 20) - 2
        offset = min(pick(chooser, (4, 5, 6, last, last - 1, 40)), last)
        address = str(block.network_address + offset)
        if address not in used:
            used.add(address)
            found.append(address)
    return found if found and ":" not in found[0] else []


def _draw_rules(
    chooser: Chooser, prefixes: Sequence[str], application_groups: Sequence[Written]
) -> list[Written]:
    rules: list[Written] = []
    taken: set[tuple[str, int]] = set()
    for number in range(pick(chooser, (1, 0, 2, 3, 4, 6, 9))):
        direction = pick(chooser, ("Inbound", "Outbound"))
        priority = pick(chooser, (100 + 10 * number, 100, 200, 4096, 100 + chooser.integer(3996)))
        if (direction, priority) in taken:
            continue
        taken.add((direction, priority))
        rule: Written = {
            "name": f"{pick(chooser, ('Rule', 'allow-', 'Deny_X.'))}{number}",
            "priority": priority,
            "direction": cased(chooser, direction),
            "access": cased(chooser, pick(chooser, ("Allow", "Deny"))),
            "protocol": cased(
                chooser,
                weighted(
                    chooser,
                    [(45, "*"), (30, "Tcp"), (12, "Udp"), (7, "Icmp"), (3, "Esp"), (3, "Ah")],
                ),
            ),
        }
        # Both sides by groups: Azure wants all members in one virtual network, and we
        # keep that for the several groups of one side too.
        network = (
            pick(chooser, application_groups)["virtualNetwork"].lower()
            if application_groups
            else None
        )
        groups = [
            group["name"]
            for group in application_groups
            if group["virtualNetwork"].lower() == network
        ]
        for side in ("source", "destination"):
            _write_side(chooser, rule, side, prefixes, groups)
        _write_ports(chooser, rule, "sourcePortRange", 15)
        _write_ports(chooser, rule, "destinationPortRange", 60)
        if chance(chooser, 5):
            rule["description"] = "as asked for"
        rules.append(rule)
    return rules


def _write_side(
    chooser: Chooser, rule: Written, side: str, prefixes: Sequence[str], groups: Sequence[str]
) -> None:
    kind = weighted(
        chooser,
        [(28, "*"), (17, "tag"), (22, "prefix"), (17, "list"), (6, "all"), (16, "groups")],
    )
    singular = f"{side}AddressPrefix"
    if kind == "groups" and groups:
        rule[f"{side}ApplicationSecurityGroups"] = [
            cased(chooser, name) for name in _some(chooser, groups)
        ]
        if chance(chooser, 30):
            rule[singular] = pick(chooser, ("", None))
        return
    if kind == "tag":
        values = [cased(chooser, pick(chooser, TAGS))]
    elif kind == "all":
        values = [pick(chooser, ("0.0.0.0/0", "::/0"))]
    elif kind == "prefix":
        values = [pick(chooser, prefixes)]
    elif kind == "list":
        values = _disjoint(chooser, prefixes, 2 + chooser.integer(3))
    else:
        values = ["*"]
    _write_one_or_many(chooser, rule, singular, f"{side}AddressPrefixes", values)
    if chance(chooser, 10):
        rule[f"{side}ApplicationSecurityGroups"] = pick(chooser, ([], None))


def _write_ports(chooser: Chooser, rule: Written, field: str, percent: int) -> None:
    values = list(pick(chooser, PORT_FIELDS)) if chance(chooser, percent) else ["*"]
    _write_one_or_many(chooser, rule, field, f"{field}s", values)


def _write_one_or_many(
    chooser: Chooser, rule: Written, singular: str, plural: str, values: list[Any]
) -> None:
    if len(values) > 1 or chance(chooser, 15):
        rule[plural] = values
        if chance(chooser, 25):
            rule[singular] = pick(chooser, ("", None))
    else:
        rule[singular] = values[0]
        if chance(chooser, 25):
            rule[plural] = pick(chooser, ([], None))


def _prefixes_to_write(networks: list[Written], interfaces: list[Written]) -> list[str]:
    """What rules may name: the document's own prefixes, their halves, hosts and others."""
    texts: list[str] = []
    for network in networks:
        for text in network["addressSpace"]:
            block = ipaddress.ip_network(text)
            texts += [text, str(block.supernet())]
        for subnet in network["subnets"]:
            for text in subnet["addressPrefixes"]:
                texts += [text, *(str(half) for half in ipaddress.ip_network(text).subnets())]
        texts += network.get("onPremises") or []
    for interface in interfaces:
        for address in interface["privateIPAddresses"]:
            texts += [address, f"{address}/{128 if ':' in address else 32}"]
    return [*dict.fromkeys([*texts, *COMMON_PREFIXES])]


def _some(chooser: Chooser, options: Sequence[T]) -> list[T]:
    """One or more of *options*, in their order."""
    chosen = [option for option in options if chance(chooser, 40)]
    return chosen or [pick(chooser, options)]


def _maybe_reference(
    chooser: Chooser, owner: Written, field: str, names: Sequence[str], percent: int
) -> None:
    if names and chance(chooser, percent):
        owner[field] = cased(chooser, pick(chooser, names))
    elif chance(chooser, 10):
        owner[field] = pick(chooser, (None, ""))


def _maybe_list(
    chooser: Chooser, owner: Written, field: str, options: Sequence[str], percent: int
) -> None:
    if chance(chooser, percent):
        owner[field] = _disjoint(chooser, options, 1 + chooser.integer(2))
    elif chance(chooser, 15):
        owner[field] = []


def _disjoint(chooser: Chooser, options: Sequence[str], count: int) -> list[str]:
    chosen: list[str] = []
    for _ in range(count):
        text = pick(chooser, options)
        if not _overlaps_any(text, chosen):
            chosen.append(text)
    return chosen


def _overlaps_any(text: str, others: Iterable[str]) -> bool:
    block = _network(text)
    return any(_overlap(block, _network(other)) for other in others)


def _overlap(left: Prefix, right: Prefix) -> bool:
    if isinstance(left, ipaddress.IPv4Network):
        return isinstance(right, ipaddress.IPv4Network) and left.overlaps(right)
    return isinstance(right, ipaddress.IPv6Network) and left.overlaps(right)


def _any_overlap(networks: Sequence[Written]) -> bool:
    seen: list[str] = []
    for network in networks:
        if any(_overlaps_any(text, seen) for text in network["addressSpace"]):
            return True
        seen += network["addressSpace"]
    return False


@functools.lru_cache(maxsize=100_000)
def _network(text: str) -> Prefix:
    return ipaddress.ip_network(text)


@functools.lru_cache(maxsize=100_000)
def _address(text: str) -> Address:
    return ipaddress.ip_address(text)


# -- packets ---------------------------------------------------------------------------


class Host(NamedTuple):
    """One end of a packet: an address, and the link and groups it may have."""

    address: str
    link: str | None
    groups: tuple[str, ...]  # names of its network security groups, in lower case
    forwards: bool


@functools.lru_cache(maxsize=100_000)
def edges(text: str) -> tuple[str, ...]:
    """The addresses on and beside both ends of a prefix: first, last, before and after."""
    block = _network(text)
    first, last = int(block.network_address), int(block.broadcast_address)
    make = ipaddress.IPv4Address if block.version == 4 else ipaddress.IPv6Address
    return tuple(
        str(make(number))
        for number in (first, last, first - 1, last + 1, (first + last) // 2)
        if 0 <= number < 1 << block.max_prefixlen
    )


TAG_EDGES: dict[int, tuple[str, ...]] = {
    4: tuple(
        address
        for prefix in (*NOT_PUBLIC_IPV4, LOAD_BALANCER[0], ipaddress.ip_network("192.0.0.0/24"))
        for address in edges(str(prefix))
    ),
    6: tuple(
        address
        for prefix in (
            *NOT_PUBLIC_IPV6,
            *PUBLIC_AGAIN_IPV6,
            LOAD_BALANCER[1],
            ipaddress.ip_network("2000::/3"),
        )
        for address in edges(str(prefix))
    ),
}


class PacketSource:
    """Draws packets towards the edges of one document."""

    def __init__(self, document: Written) -> None:
        networks = document.get("virtualNetworks") or []
        interfaces = document.get("networkInterfaces") or []
        groups_of_subnet: dict[str, str] = {}
        self._undeclared: dict[int, list[Host]] = {4: [], 6: []}
        self._edges: dict[int, list[str]] = {4: [], 6: []}
        for network in networks:
            for text in (
                *network["addressSpace"],
                *(network.get("onPremises") or []),
                *(network.get("routes") or []),
            ):
                self._add_edges(text)
            for subnet in network["subnets"]:
                group = (subnet.get("networkSecurityGroup") or "").lower()
                groups_of_subnet[f"{network['name']}/{subnet['name']}".lower()] = group
                for text in subnet["addressPrefixes"]:
                    version = self._add_edges(text)
                    for address in edges(text):
                        inside = _address(address) in _network(text)
                        self._undeclared[version].append(
                            Host(address, None, (group,) if group and inside else (), False)
                        )
        self._interfaces: dict[int, list[Host]] = {4: [], 6: []}
        self._members: dict[str, list[str]] = {}
        self._links: list[str] = ["eth0"]
        for interface in interfaces:
            link = interface.get("link")
            if link:
                self._links.append(link)
            names = (
                (interface.get("networkSecurityGroup") or "").lower(),
                groups_of_subnet[interface["subnet"].lower()],
            )
            for address in interface["privateIPAddresses"]:
                host = Host(
                    address,
                    link,
                    tuple(name for name in names if name),
                    bool(interface.get("enableIPForwarding")),
                )
                self._interfaces[6 if ":" in address else 4].append(host)
            for group in interface.get("applicationSecurityGroups") or []:
                self._members.setdefault(group.lower(), []).extend(interface["privateIPAddresses"])
        self._rules: dict[str, list[Written]] = {
            group["name"].lower(): group.get("securityRules") or []
            for group in document.get("networkSecurityGroups") or []
        }
        for rules in self._rules.values():
            for rule in rules:
                for text in _rule_prefixes(rule):
                    self._add_edges(text)
        # Every rule that an endpoint's own address does not rule out.
        self._targets: dict[int, list[tuple[Host, Written]]] = {
            version: [
                (host, rule)
                for host in (*self._interfaces[version], *self._undeclared[version])
                for group in host.groups
                for rule in self._rules[group]
                if self._may_see(version, host, rule)
            ]
            for version in (4, 6)
        }

    def draw(self, chooser: Chooser) -> Packet:
        """One packet: more often than not aimed at a rule that could see it."""
        version = 6 if chance(chooser, 45) and self._undeclared[6] else 4
        if self._targets[version] and chance(chooser, 75):
            near, rule = pick(chooser, self._targets[version])
            return self._aimed_packet(chooser, version, near, rule)
        near = self._managed_host(chooser, version)
        outbound = chance(chooser, 50)
        far = self._any_host(chooser, version)
        if chance(chooser, 4):
            near = self._any_host(chooser, version)
        protocol = weighted(
            chooser, [(50, 6), (20, 17), (10, 58 if version == 6 else 1), (20, None)]
        ) or pick(chooser, PACKET_PROTOCOLS)
        ports = [pick(chooser, PLAIN_PORTS), pick(chooser, PLAIN_PORTS)]
        return self._packet(chooser, version, near, far, outbound, protocol, ports)

    def _aimed_packet(self, chooser: Chooser, version: int, near: Host, rule: Written) -> Packet:
        """A packet that meets *rule* in most fields and lies on the edge of some."""
        outbound = rule["direction"].lower() == "outbound"
        near_side, far_side = ("source", "destination") if outbound else ("destination", "source")
        far = self._host_for(chooser, version, rule, far_side)
        kind = chooser.integer(19)
        if kind == 19:  # its own link with any address that the rule names
            near = near._replace(address=self._host_for(chooser, version, rule, near_side).address)
        elif kind > 16:
            near = self._host_for(chooser, version, rule, near_side)
        name = str(rule["protocol"]).capitalize()
        if chance(chooser, 15) or name == "*":
            protocol = weighted(
                chooser, [(3, 6), (2, 17), (2, 58 if version == 6 else 1), (3, None)]
            ) or pick(chooser, PACKET_PROTOCOLS)
        else:
            protocol = 58 if name == "Icmp" and version == 6 else PROTOCOL_NUMBERS[name]
        ports = [
            pick(chooser, PLAIN_PORTS)
            if chance(chooser, 10)
            else self._port_for(chooser, rule, field)
            for field in ("sourcePortRange", "destinationPortRange")
        ]
        return self._packet(chooser, version, near, far, outbound, protocol, ports)

    def _packet(
        self,
        chooser: Chooser,
        version: int,
        near: Host,
        far: Host,
        outbound: bool,
        protocol: int,
        ports: Sequence[int],
    ) -> Packet:
        if near.forwards and near.link and chance(chooser, 25):
            # It forwards for others: its link with a foreign address.
            near = near._replace(address=self._any_host(chooser, version).address)
        source, destination = (near, far) if outbound else (far, near)
        source_port, destination_port = ports if protocol in (6, 17) else (0, 0)
        return Packet(
            version,
            protocol,
            source.address,
            destination.address,
            source_port,
            destination_port,
            self._link(chooser, source),
            self._link(chooser, destination),
        )

    def _link(self, chooser: Chooser, host: Host) -> str | None:
        kind = chooser.integer(19)
        if kind < 14:
            return host.link or pick(chooser, (None, "eth0"))
        if kind < 18:
            return None
        return pick(chooser, self._links)

    def _managed_host(self, chooser: Chooser, version: int) -> Host:
        if self._interfaces[version] and not chance(chooser, 25):
            return pick(chooser, self._interfaces[version])
        if self._undeclared[version]:
            return pick(chooser, self._undeclared[version])
        return self._any_host(chooser, version)

    def _any_host(self, chooser: Chooser, version: int) -> Host:
        kind = weighted(
            chooser,
            [(25, "outside"), (25, "interface"), (10, "undeclared"), (25, "edge"), (15, "tag")],
        )
        if kind == "interface" and self._interfaces[version]:
            return pick(chooser, self._interfaces[version])
        if kind == "undeclared" and self._undeclared[version]:
            return pick(chooser, self._undeclared[version])
        if kind == "edge" and self._edges[version]:
            return self._host(pick(chooser, self._edges[version]))
        if kind == "tag":
            return self._host(pick(chooser, TAG_EDGES[version]))
        return self._host(pick(chooser, OUTSIDE_IPV6 if version == 6 else OUTSIDE_IPV4))

    def _host_for(self, chooser: Chooser, version: int, rule: Written, side: str) -> Host:
        """A host in, or just beside, what a rule names on one side."""
        members = [
            address
            for group in rule.get(f"{side}ApplicationSecurityGroups") or []
            for address in self._members.get(group.lower(), [])
            if (":" in address) == (version == 6)
        ]
        if members:
            return self._host(pick(chooser, members))
        texts = [
            text
            for text in _side_prefixes(rule, side)
            if _is_prefix(text) and (":" in text) == (version == 6)
        ]
        if texts:
            found = edges(pick(chooser, texts))
            return self._host(pick(chooser, (found[0], found[1], found[-1], *found)))
        tag = str(_side_prefixes(rule, side)[:1]).lower()
        if "azureloadbalancer" in tag and chance(chooser, 60):
            return self._host("fe80::1234:5678:9abc" if version == 6 else "168.63.129.16")
        if "virtualnetwork" in tag and chance(chooser, 50):
            return self._host(pick(chooser, self._edges[version] or TAG_EDGES[version]))
        if "internet" in tag and chance(chooser, 60):
            outside = OUTSIDE_IPV4[:2] if version == 4 else OUTSIDE_IPV6[:2]
            return self._host(pick(chooser, (*outside, *TAG_EDGES[version])))
        return self._any_host(chooser, version)

    def _may_see(self, version: int, host: Host, rule: Written) -> bool:
        """Whether *rule*, in a group of *host*, can match with this address at its end."""
        outbound = rule["direction"].lower() == "outbound"
        near_side, far_side = ("source", "destination") if outbound else ("destination", "source")
        near, far = _side_prefixes(rule, near_side), _side_prefixes(rule, far_side)
        if far and all(_is_prefix(text) and (":" in text) != (version == 6) for text in far):
            return False
        if not near:
            return any(
                host.address in self._members.get(group.lower(), ())
                for group in rule[f"{near_side}ApplicationSecurityGroups"]
            )
        return any(
            text.lower() != "azureloadbalancer"
            and (not _is_prefix(text) or _address(host.address) in _network(text))
            for text in near
        )

    def _host(self, address: str) -> Host:
        """The interface that has *address*, else a stranger."""
        for host in self._interfaces[6 if ":" in address else 4]:
            if host.address == address:
                return host
        return Host(address, None, (), False)

    def _port_for(self, chooser: Chooser, rule: Written, field: str) -> int:
        values = _values(rule, field, f"{field}s")
        text = str(pick(chooser, values))
        if text == "*":
            return pick(chooser, PLAIN_PORTS)
        first, _, last = text.partition("-")
        low, high = int(first), int(last or first)
        near = (low, high, low, high, max(low - 1, 0), min(high + 1, 65535))
        return pick(chooser, near)

    def _add_edges(self, text: str) -> int:
        version = 6 if ":" in text else 4
        self._edges[version] += edges(text)
        return version


def _values(rule: Written, singular: str, plural: str) -> list[Any]:
    value = rule.get(singular)
    return (rule.get(plural) or []) + ([] if value is None or value == "" else [value])


def _side_prefixes(rule: Written, side: str) -> list[str]:
    return _values(rule, f"{side}AddressPrefix", f"{side}AddressPrefixes")


def _is_prefix(text: str) -> bool:
    return text[0].isdigit() or ":" in text


def _rule_prefixes(rule: Written) -> list[str]:
    return [
        text
        for side in ("source", "destination")
        for text in _side_prefixes(rule, side)
        if _is_prefix(text)
    ]


# -- both, for bulk runs and for Hypothesis ------------------------------------------------


def random_case(seed: str, packets: int) -> tuple[Written, list[Packet]]:
    """A document and packets for it, the same for the same seed."""
    chooser = RandomChooser(seed)
    document = draw_document(chooser)
    source = PacketSource(document)
    return document, [source.draw(chooser) for _ in range(packets)]


@st.composite
def documents(draw: st.DrawFn) -> Written:
    """Valid documents."""
    return draw_document(HypothesisChooser(draw))


@st.composite
def cases(draw: st.DrawFn, most_packets: int = 8) -> tuple[Written, list[Packet]]:
    """A document with one packet or a few."""
    chooser = HypothesisChooser(draw)
    document = draw_document(chooser)
    source = PacketSource(document)
    count = 1 + chooser.integer(most_packets - 1)
    return document, [source.draw(chooser) for _ in range(count)]
