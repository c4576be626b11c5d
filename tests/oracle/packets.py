"""Draw packets that lie on the edges of one document's rules, tags and platform addresses."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from typing import Any, NamedTuple

from .choose import Chooser, Written, chance, pick, read_address, read_network, weighted
from .oracle import (
    NOT_PUBLIC_IPV4,
    NOT_PUBLIC_IPV6,
    PLATFORM_ADDRESSES,
    PLATFORM_TAGS,
    PUBLIC_AGAIN_IPV6,
    Packet,
    machines,
)
from .tag_files import tag_names, tag_prefixes

PROTOCOL_NUMBERS = {"*": 132, "Tcp": 6, "Udp": 17, "Icmp": 1, "Esp": 50, "Ah": 51}
PACKET_PROTOCOLS = (6, 17, 1, 58, 50, 51, 132, 47, 0, 255)
PLAIN_PORTS = (0, 1, 79, 80, 81, 443, 1023, 1024, 40000, 65534, 65535, 25, 53, 1688)
MAIL_PORTS = (25, 25, 25, 25, 24, 26, 587)
# The ports on and beside those that the platform's rules and tags speak of.
KEY_MANAGEMENT_PORTS = (1688, 1688, 1688, 1687, 1689)
PLATFORM_PORTS = (53, 1688, 53, 1688, 52, 54, 1687, 1689, 80, 32526, 25, 67)

OUTSIDE_IPV4 = ("8.8.8.8", "203.0.113.7", "172.31.0.100", "192.168.77.1", "52.1.2.3", "1.1.1.1")
OUTSIDE_IPV6 = ("2a00::1", "2606:4700::1111", "fd77::1", "fe80::1", "::1")


class Host(NamedTuple):
    """One end of a packet: an address, and the link and groups it may have."""

    address: str
    link: str | None
    groups: tuple[str, ...]  # names of its network security groups, in lower case
    forwards: bool


@functools.lru_cache(maxsize=100_000)
def edges(text: str) -> tuple[str, ...]:
    """The addresses on and beside both ends of a prefix: first, last, before and after."""
    block = read_network(text)
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
        for prefix in (*NOT_PUBLIC_IPV4, "168.63.129.16/32", "192.0.0.0/24")
        for address in edges(str(prefix))
    ),
    6: tuple(
        address
        for prefix in (
            *NOT_PUBLIC_IPV6,
            *PUBLIC_AGAIN_IPV6,
            "fe80::1234:5678:9abc/128",
            "2000::/3",
        )
        for address in edges(str(prefix))
    ),
}


class PacketSource:
    """Draws packets towards the edges of one document."""

    def __init__(self, document: Written, tag_files: dict[str, Written]) -> None:
        self._read_tags(document, tag_files)
        self._has_subscription = bool(document.get("subscription"))
        networks = document.get("virtualNetworks") or []
        interfaces = [*(document.get("networkInterfaces") or []), *machines(document)]
        admin_rules = _admin_rules(document)
        groups_of_subnet: dict[str, tuple[str, ...]] = {}
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
                for text in subnet.get("routes") or []:
                    self._add_edges(text)
                names = (
                    (subnet.get("networkSecurityGroup") or "").lower(),
                    _admin_name(network["name"]),
                )
                groups = tuple(name for name in names if name)
                groups_of_subnet[f"{network['name']}/{subnet['name']}".lower()] = groups
                for text in subnet["addressPrefixes"]:
                    version = self._add_edges(text)
                    for address in edges(text):
                        inside = read_address(address) in read_network(text)
                        self._undeclared[version].append(
                            Host(address, None, groups if inside else (), False)
                        )
        self._members: dict[str, list[str]] = {}
        declared = [text for interface in interfaces for text in interface["privateIPAddresses"]]
        for scale_set in document.get("scaleSets") or []:
            groups = groups_of_subnet[scale_set["subnet"].lower()]
            self._add_scale_set(scale_set, groups, declared)
        self._interfaces: dict[int, list[Host]] = {4: [], 6: []}
        self._links: list[str] = ["eth0"]
        for interface in interfaces:
            link = interface.get("link")
            if link:
                self._links.append(link)
            attached: tuple[str, ...] = (
                (interface.get("networkSecurityGroup") or "").lower(),
                *groups_of_subnet[interface["subnet"].lower()],
            )
            for address in interface["privateIPAddresses"]:
                host = Host(
                    address,
                    link,
                    tuple(name for name in attached if name),
                    bool(interface.get("enableIPForwarding")),
                )
                self._interfaces[6 if ":" in address else 4].append(host)
            for group in interface.get("applicationSecurityGroups") or []:
                self._members.setdefault(group.lower(), []).extend(interface["privateIPAddresses"])
        self._rules: dict[str, list[Written]] = {
            group["name"].lower(): group.get("securityRules") or []
            for group in document.get("networkSecurityGroups") or []
        }
        self._rules |= admin_rules
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
                for rule in self._rules.get(group, ())
                if self._may_see(version, host, rule)
            ]
            for version in (4, 6)
        }

    def _read_tags(self, document: Written, tag_files: dict[str, Written]) -> None:
        """What each tag that rules may name stands for, as texts of prefixes or addresses."""
        written = document.get("platformAddresses") or {}
        platform = {
            field: list(default if written.get(field) is None else written[field])
            for field, default in PLATFORM_ADDRESSES.items()
        }
        self._tags: dict[str, list[str]] = {
            "azureplatformdns": platform["host"],
            "azureplatformimds": platform["metadata"],
            "azureplatformlkm": platform["keyManagement"],
            "azureloadbalancer": platform["loadBalancer"],
        }
        cloud = (document.get("serviceTags") or {}).get("cloud") or "Public"
        file = tag_files.get(cloud)
        if file is not None:
            self._tags |= {name.lower(): tag_prefixes(file, name) for name in tag_names(file)}
        both = {
            version: [
                text
                for texts in (*platform.values(), *PLATFORM_ADDRESSES.values())
                for text in texts
                if (":" in text) == (version == 6)
            ]
            for version in (4, 6)
        }
        # Azure's own too: where a document has others, those are ordinary addresses.
        self._platform = {version: [*dict.fromkeys(texts)] for version, texts in both.items()}

    def _add_scale_set(
        self, scale_set: Written, groups_of_subnet: tuple[str, ...], declared: Sequence[str]
    ) -> None:
        """Its edges, and what lies in it of the addresses *declared* in any network."""
        names = ((scale_set.get("networkSecurityGroup") or "").lower(), *groups_of_subnet)
        for text in scale_set["privateIPAddressPrefixes"]:
            version = self._add_edges(text)
            within = [each for each in declared if read_address(each) in read_network(text)]
            for address in (*edges(text), *within):
                inside = read_address(address) in read_network(text)
                host = Host(
                    address,
                    None,
                    tuple(name for name in names if name) if inside else (),
                    False,
                )
                self._undeclared[version].append(host)
                for group in scale_set.get("applicationSecurityGroups") or []:
                    self._members.setdefault(group.lower(), []).append(address)

    def draw(self, chooser: Chooser) -> Packet:
        """One packet: more often than not aimed at a rule that could see it."""
        version = 6 if chance(chooser, 45) and self._undeclared[6] else 4
        if self._has_subscription and chance(chooser, 15):
            return self._mail(chooser, version)
        if self._platform[version] and chance(chooser, 12):
            return self._platform_packet(chooser, version)
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

    def _mail(self, chooser: Chooser, version: int) -> Packet:
        """A packet to port 25, or beside it, of any host."""
        ports = [pick(chooser, (40000, *PLAIN_PORTS)), pick(chooser, MAIL_PORTS)]
        return self._packet(
            chooser,
            version,
            self._managed_host(chooser, version),
            self._any_host(chooser, version),
            not chance(chooser, 10),
            weighted(chooser, [(17, 6), (2, 17), (1, 132)]),
            ports,
        )

    def _platform_packet(self, chooser: Chooser, version: int) -> Packet:
        """A packet to or from an address of the platform, or the one beside it."""
        text = pick(chooser, self._platform[version])
        if text in self._tags["azureplatformlkm"] and chance(chooser, 60):
            ports, protocol = (
                [40000, pick(chooser, KEY_MANAGEMENT_PORTS)],
                pick(chooser, (6, 6, 17)),
            )
        else:
            ports = [pick(chooser, (40000, *PLATFORM_PORTS)), pick(chooser, PLATFORM_PORTS)]
            protocol = weighted(
                chooser, [(45, 6), (35, 17), (10, 58 if version == 6 else 1), (10, None)]
            ) or pick(chooser, PACKET_PROTOCOLS)
        found = edges(text)
        far = self._host(found[0] if not chance(chooser, 10) else pick(chooser, found))
        return self._packet(
            chooser,
            version,
            self._managed_host(chooser, version),
            far,
            not chance(chooser, 15),
            protocol,
            ports,
        )

    def _aimed_packet(self, chooser: Chooser, version: int, near: Host, rule: Written) -> Packet:
        """A packet that meets *rule* in most fields and lies on the edge of some."""
        outbound = rule["direction"].lower() == "outbound"
        near_side, far_side = ("source", "destination") if outbound else ("destination", "source")
        far = self._host_for(chooser, version, rule, far_side)
        tags = {str(text).lower() for text in _side_prefixes(rule, near_side)}
        if tags & {*PLATFORM_TAGS} and self._platform[version] and chance(chooser, 60):
            far = self._host(pick(chooser, self._platform[version]))  # the platform to itself
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
        tag = str((_side_prefixes(rule, side) or [""])[0]).lower().replace("_", "")
        texts = [text for text in self._tags.get(tag, ()) if (":" in text) == (version == 6)]
        if texts and chance(chooser, 80):
            found = edges(pick(chooser, texts))
            return self._host(pick(chooser, (found[0], found[1], found[-1], *found)))
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
        return any(self._may_hold(text, host.address) for text in near)

    def _may_hold(self, text: str, address: str) -> bool:
        """Whether a prefix or tag holds an address; of a tag that depends on a network: maybe."""
        known = [text] if _is_prefix(text) else self._tags.get(text.lower())
        return known is None or any(read_address(address) in read_network(each) for each in known)

    def _host(self, address: str) -> Host:
        """The interface that has *address*, else a stranger."""
        for host in self._interfaces[6 if ":" in address else 4]:
            if host.address == address:
                return host
        return Host(address, None, (), False)

    def _port_for(self, chooser: Chooser, rule: Written, field: str) -> int:
        values = _values(rule, field, f"{field}s")
        text = str(pick(chooser, values))
        tag = str(rule.get(f"{field.removesuffix('PortRange')}AddressPrefix")).lower()
        if tag in PLATFORM_TAGS and chance(chooser, 80):
            return pick(chooser, PLATFORM_PORTS)
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


def _admin_name(network: str) -> str:
    """What the rules that a network has from its administrators go by; no group has a space."""
    return f"admin {network.lower()}"


def _admin_rules(document: Written) -> dict[str, list[Written]]:
    """Security admin rules by that name, written as the rules of groups are."""
    found: dict[str, list[Written]] = {}
    for configuration in document.get("securityAdminConfigurations") or []:
        for collection in configuration.get("ruleCollections") or []:
            rules = [
                {
                    "direction": rule["direction"],
                    "protocol": "*" if rule["protocol"].lower() == "any" else rule["protocol"],
                    "sourceAddressPrefixes": rule["sources"],
                    "sourcePortRanges": rule["sourcePortRanges"],
                    "destinationAddressPrefixes": rule["destinations"],
                    "destinationPortRanges": rule["destinationPortRanges"],
                }
                for rule in collection["rules"]
            ]
            for network in collection["appliesTo"]:
                found.setdefault(_admin_name(network), []).extend(rules)
    return found


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
