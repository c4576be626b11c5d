"""Judge one packet from a policy document, naively and from Azure's text alone.

The second opinion against which the compiled policy is tested. It shares no code
with nsgd, works on the document as plain dicts and searches linearly: slow and
obvious is the trade. Only prefixes and lists that never change are kept between
packets. Documents are taken to be valid; of an invalid one the answers mean nothing,
except that text with no meaning raises ValueError.

Sources are named as in the project's notes on Azure's semantics: NSG (network
security groups overview), HOW (how network security groups filter traffic), TAGS
(service tags overview), ASG (application security groups), SEED (the 2017 overview),
REC (recorded answers of the service), and 13.x for this project's own choices.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network
PortRange = tuple[int, int]  # first and last, both included

TCP = 6
UDP = 17
# NSG, SPEC: the protocols a rule may name, by IP version.
PROTOCOL_NUMBERS: Mapping[str, Mapping[int, int]] = {
    "tcp": {4: 6, 6: 6},
    "udp": {4: 17, 6: 17},
    "icmp": {4: 1, 6: 58},  # 13.4: ICMPv6 on IPv6
    "esp": {4: 50, 6: 50},
    "ah": {4: 51, 6: 51},
}

# REC: the two prefixes of AzureLoadBalancer; the first is also in VirtualNetwork (TAGS).
HOST_ADDRESS = ipaddress.ip_network("168.63.129.16/32")
LOAD_BALANCER: tuple[Prefix, ...] = (
    HOST_ADDRESS,
    ipaddress.ip_network("fe80::1234:5678:9abc/128"),
)

# 13.5, from the IANA IPv4 special-purpose address registry and the multicast and
# reserved space: not globally reachable. 192.0.0.0/24, 198.51.100.0/24 and
# 203.0.113.0/24 are not here because the recorded list of Internet holds them.
NOT_PUBLIC_IPV4: tuple[Prefix, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
    )
)
# 13.5, IPv6: the allocated global unicast space less its special blocks.
GLOBAL_UNICAST_IPV6 = ipaddress.ip_network("2000::/3")
NOT_PUBLIC_IPV6: tuple[Prefix, ...] = tuple(
    ipaddress.ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# The registry calls these parts of 2001::/23 globally reachable.
PUBLIC_AGAIN_IPV6: tuple[Prefix, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        "2001:3::/32",
        "2001:4:112::/48",
        "2001:20::/28",
        "2001:30::/28",
    )
)

# NSG, "Default security rules", spelled as the service's answers spell them (13.2).
DEFAULT_RULES: tuple[dict[str, Any], ...] = tuple(
    {
        "name": name,
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": "*",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": destination,
        "destinationPortRange": "*",
    }
    for name, priority, direction, source, destination, access in (
        ("AllowVnetInBound", 65000, "Inbound", "VirtualNetwork", "VirtualNetwork", "Allow"),
        ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "AzureLoadBalancer", "*", "Allow"),
        ("DenyAllInBound", 65500, "Inbound", "*", "*", "Deny"),
        ("AllowVnetOutBound", 65000, "Outbound", "VirtualNetwork", "VirtualNetwork", "Allow"),
        ("AllowInternetOutBound", 65001, "Outbound", "*", "Internet", "Allow"),
        ("DenyAllOutBound", 65500, "Outbound", "*", "*", "Deny"),
    )
)


class Packet(NamedTuple):
    """The first packet of a flow as it crosses the gateway."""

    version: int  # 4 or 6
    protocol: int  # IP protocol number
    source: str
    destination: str
    source_port: int  # 0 unless protocol is TCP or UDP
    destination_port: int
    in_link: str | None  # the Linux link it came from, None when unknown
    out_link: str | None


class Answer(NamedTuple):
    """What Azure would do with a packet, and which rule says so."""

    access: str  # "Allow", "Deny" or "Unmanaged"
    reason: str  # "rule", "noNetworkSecurityGroup", "ambiguousNetwork" or "unmanaged"
    network_security_group: str | None
    rule: str | None
    direction: str | None
    consulted: tuple[tuple[str, str, str, str], ...]  # group, direction, rule, access: in order


class _Side(NamedTuple):
    """The source or the destination of a rule: prefixes and tags, or groups."""

    prefixes: tuple[str, ...]
    groups: tuple[str, ...]  # application security groups


@dataclass(frozen=True)
class _Rule:
    name: str
    priority: int
    direction: str
    access: str
    protocol: str
    source: _Side
    source_ports: tuple[PortRange, ...]
    destination: _Side
    destination_ports: tuple[PortRange, ...]


@dataclass(frozen=True)
class _Subnet:
    network: str  # the virtual network, in lower case
    prefixes: tuple[Prefix, ...]
    security_group: str | None


@dataclass(frozen=True)
class _Interface:
    subnet: _Subnet
    addresses: tuple[Address, ...]
    link: str | None
    security_group: str | None
    application_groups: tuple[str, ...]


@dataclass(frozen=True)
class _Endpoint:
    """A declared interface, or an undeclared resource of a subnet (interface None)."""

    subnet: _Subnet
    interface: _Interface | None


class Oracle:
    """Answers of one policy document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Read *document*, in the project's own format, already parsed."""
        self._networks: dict[str, Mapping[str, Any]] = {
            _key(network["name"]): network for network in _entries(document, "virtualNetworks")
        }
        self._subnets: dict[tuple[str, str], _Subnet] = {
            (network_key, _key(subnet["name"])): _Subnet(
                network_key,
                _prefixes(_entries(subnet, "addressPrefixes")),
                _reference(subnet, "networkSecurityGroup"),
            )
            for network_key, network in self._networks.items()
            for subnet in _entries(network, "subnets")
        }
        self._interfaces = [
            self._read_interface(interface) for interface in _entries(document, "networkInterfaces")
        ]
        self._security_groups: dict[str, tuple[str, list[_Rule]]] = {
            _key(group["name"]): (group["name"], _read_rules(_entries(group, "securityRules")))
            for group in _entries(document, "networkSecurityGroups")
        }
        self._peers = {network: self._mutual_peers(network) for network in self._networks}
        self._connected = {network: self._connected_space(network) for network in self._networks}
        self._routes = {
            key: _prefixes(_entries(network, "routes")) for key, network in self._networks.items()
        }
        self._prefix_of_text: dict[str, Prefix] = {}

    def judge(self, packet: Packet) -> Answer:
        """Say what becomes of *packet*.

        Source:
            HOW, SEED: outbound is filtered by the interface's group, then the
            subnet's; inbound by the subnet's, then the interface's; traffic inside
            a subnet is filtered at both ends. The first Deny ends it.
        """
        source = ipaddress.ip_address(packet.source)
        destination = ipaddress.ip_address(packet.destination)
        senders = self._candidates(packet.in_link, source)
        receivers = self._candidates(packet.out_link, destination)
        if not senders and not receivers:
            return Answer("Unmanaged", "unmanaged", None, None, None, ())
        nearer_senders = self._prefer_network_of(receivers, senders)
        nearer_receivers = self._prefer_network_of(senders, receivers)
        if len(nearer_senders) > 1 or len(nearer_receivers) > 1:
            return Answer("Deny", "ambiguousNetwork", None, None, None, ())

        steps: list[tuple[str, str | None, str]] = []  # direction, security group, network
        for sender in nearer_senders:
            network = sender.subnet.network
            if sender.interface is not None:
                steps.append(("Outbound", sender.interface.security_group, network))
            steps.append(("Outbound", sender.subnet.security_group, network))
        for receiver in nearer_receivers:
            network = receiver.subnet.network
            steps.append(("Inbound", receiver.subnet.security_group, network))
            if receiver.interface is not None:
                steps.append(("Inbound", receiver.interface.security_group, network))

        consulted: list[tuple[str, str, str, str]] = []
        for direction, group, network in steps:
            if group is None:
                continue
            name, rules = self._security_groups[group]
            rule = self._first_match(rules, direction, network, packet, source, destination)
            consulted.append((name, direction, rule.name, rule.access))
            if rule.access == "Deny":
                break
        if not consulted:
            return Answer("Allow", "noNetworkSecurityGroup", None, None, None, ())
        # 13.3: the last group that allowed, or the first that denied; the last either way.
        name, direction, rule_name, access = consulted[-1]
        return Answer(access, "rule", name, rule_name, direction, tuple(consulted))

    # -- who sends and who receives ------------------------------------------------

    def _candidates(self, link: str | None, address: Address) -> list[_Endpoint]:
        """Every endpoint the packet's end may be, at most one for each virtual network."""
        if link is not None:
            for interface in self._interfaces:
                if interface.link == link:
                    return [_Endpoint(interface.subnet, interface)]
        found: list[_Endpoint] = []
        for subnet in self._subnets.values():
            if not any(address in prefix for prefix in subnet.prefixes):
                continue
            owner = None
            for interface in self._interfaces:
                if interface.subnet is subnet and address in interface.addresses:
                    owner = interface
            found.append(_Endpoint(subnet, owner))
        return found

    def _prefer_network_of(
        self, others: list[_Endpoint], candidates: list[_Endpoint]
    ) -> list[_Endpoint]:
        """13.16: among overlapping networks take the other end's, then a peer of it."""
        if len(candidates) < 2 or len(others) != 1:
            return candidates
        network = others[0].subnet.network
        same = [endpoint for endpoint in candidates if endpoint.subnet.network == network]
        if same:
            return same
        peers = self._peers[network]
        near = [endpoint for endpoint in candidates if endpoint.subnet.network in peers]
        return near or candidates

    # -- rules ---------------------------------------------------------------------

    def _first_match(
        self,
        rules: list[_Rule],
        direction: str,
        network: str,
        packet: Packet,
        source: Address,
        destination: Address,
    ) -> _Rule:
        """NSG: rules go by ascending priority and the first that matches decides."""
        for rule in rules:
            if (
                rule.direction == direction
                and _protocol_matches(rule.protocol, packet)
                and _ports_match(rule, packet)
                and self._side_matches(rule.source, source, network)
                and self._side_matches(rule.destination, destination, network)
            ):
                return rule
        raise AssertionError("the last default rule matches every packet")

    def _side_matches(self, side: _Side, address: Address, network: str) -> bool:
        return any(self._covers(text, address, network) for text in side.prefixes) or any(
            self._is_member(group, address, network) for group in side.groups
        )

    def _covers(self, text: str, address: Address, network: str) -> bool:
        """Whether a prefix or tag, as written, holds *address* seen from *network*."""
        name = _key(text)
        if name == "*":
            return True
        if name == "virtualnetwork":
            # TAGS: with the host's virtual address and the prefixes of user-defined routes.
            return (
                address in HOST_ADDRESS
                or any(address in prefix for prefix in self._connected[network])
                or any(address in prefix for prefix in self._routes[network])
            )
        if name == "azureloadbalancer":
            return any(address in prefix for prefix in LOAD_BALANCER)
        if name == "internet":
            # 13.5: routes do not shrink it, nor does the host's virtual address (REC).
            return _is_public(address) and not any(
                address in prefix for prefix in self._connected[network]
            )
        prefix = self._prefix_of_text.get(text)
        if prefix is None:
            prefix = self._prefix_of_text[text] = ipaddress.ip_network(text)
        return address in prefix

    def _is_member(self, group: str, address: Address, network: str) -> bool:
        """ASG: a rule naming a group applies to its members' addresses only."""
        for interface in self._interfaces:
            member_network = interface.subnet.network
            if (
                group in interface.application_groups
                and (member_network == network or member_network in self._peers[network])
                and address in interface.addresses
            ):
                return True
        return False

    # -- virtual networks ----------------------------------------------------------

    def _mutual_peers(self, network: str) -> set[str]:
        """13.6: a peering counts only when both sides declare it, and is not transitive."""
        return {
            other
            for other in _peerings(self._networks[network])
            if other != network and network in _peerings(self._networks[other])
        }

    def _connected_space(self, network: str) -> tuple[Prefix, ...]:
        """The network's own space, its peers' and what lies behind their gateways."""
        own = self._networks[network]
        space = [*_entries(own, "addressSpace"), *_entries(own, "onPremises")]
        for peer in self._peers[network]:
            other = self._networks[peer]
            space += _entries(other, "addressSpace")
            if _peerings(own)[peer].get("useRemoteGateways") and _peerings(other)[network].get(
                "allowGatewayTransit"
            ):
                space += _entries(other, "onPremises")
        return _prefixes(space)

    def _read_interface(self, interface: Mapping[str, Any]) -> _Interface:
        network, _, subnet = interface["subnet"].partition("/")
        return _Interface(
            self._subnets[_key(network), _key(subnet)],
            tuple(ipaddress.ip_address(text) for text in _entries(interface, "privateIPAddresses")),
            interface.get("link") or None,
            _reference(interface, "networkSecurityGroup"),
            tuple(_key(name) for name in _entries(interface, "applicationSecurityGroups")),
        )


def _is_public(address: Address) -> bool:
    """13.5: what the IANA special-purpose registries call globally reachable."""
    if address.version == 4:
        return not any(address in prefix for prefix in NOT_PUBLIC_IPV4)
    if address not in GLOBAL_UNICAST_IPV6:
        return False
    if any(address in prefix for prefix in PUBLIC_AGAIN_IPV6):
        return True
    return not any(address in prefix for prefix in NOT_PUBLIC_IPV6)


def _protocol_matches(protocol: str, packet: Packet) -> bool:
    """13.4: * is every IP protocol."""
    return protocol == "*" or PROTOCOL_NUMBERS[protocol][packet.version] == packet.protocol


def _ports_match(rule: _Rule, packet: Packet) -> bool:
    """Ports count for TCP and UDP; other packets need a rule for every port."""
    if packet.protocol in (TCP, UDP):
        return _holds(rule.source_ports, packet.source_port) and _holds(
            rule.destination_ports, packet.destination_port
        )
    return _covers_every_port(rule.source_ports) and _covers_every_port(rule.destination_ports)


def _holds(ranges: Iterable[PortRange], port: int) -> bool:
    return any(first <= port <= last for first, last in ranges)


def _covers_every_port(ranges: Iterable[PortRange]) -> bool:
    """Whether the ranges together hold 0 to 65535."""
    next_port = 0
    for first, last in sorted(ranges):
        if first > next_port:
            return False
        next_port = max(next_port, last + 1)
    return next_port > 65535


def _read_rules(rules: Iterable[Mapping[str, Any]]) -> list[_Rule]:
    """The user's rules and the six default ones, by ascending priority."""
    read = [
        _Rule(
            rule["name"],
            rule["priority"],
            str(rule["direction"]).capitalize(),
            str(rule["access"]).capitalize(),
            _read_protocol(rule["protocol"]),
            _read_side(rule, "source"),
            _read_ports(rule, "sourcePortRange"),
            _read_side(rule, "destination"),
            _read_ports(rule, "destinationPortRange"),
        )
        for rule in (*rules, *DEFAULT_RULES)
    ]
    return sorted(read, key=lambda rule: rule.priority)


def _read_protocol(text: str) -> str:
    name = _key(text)
    if name != "*" and name not in PROTOCOL_NUMBERS:
        raise ValueError(f"not a protocol: {text}")
    return name


def _read_side(rule: Mapping[str, Any], side: str) -> _Side:
    prefixes = _one_or_many(rule, f"{side}AddressPrefix", f"{side}AddressPrefixes")
    groups = _entries(rule, f"{side}ApplicationSecurityGroups")
    if bool(prefixes) == bool(groups):
        raise ValueError(f"{rule['name']}: {side} needs either prefixes or groups")
    return _Side(tuple(prefixes), tuple(_key(group) for group in groups))


def _read_ports(rule: Mapping[str, Any], field: str) -> tuple[PortRange, ...]:
    texts = _one_or_many(rule, field, f"{field}s")
    if not texts:
        raise ValueError(f"{rule['name']}: no {field}")
    return tuple(_port_range(str(text)) for text in texts)


def _port_range(text: str) -> PortRange:
    if text == "*":
        return 0, 65535
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _one_or_many(rule: Mapping[str, Any], singular: str, plural: str) -> list[Any]:
    """A field that Azure lets one write as one value or as a list (SPEC)."""
    value = rule.get(singular)
    return ([] if _is_absent(value) else [value]) + _entries(rule, plural)


def _is_absent(value: object) -> bool:
    """13.2: "", null and [] mean absent. A port 0 does not."""
    return value is None or value == "" or value == []


def _entries(owner: Mapping[str, Any], field: str) -> list[Any]:
    value = owner.get(field)
    return [] if _is_absent(value) else list(owner[field])


def _reference(owner: Mapping[str, Any], field: str) -> str | None:
    value = owner.get(field)
    return None if _is_absent(value) else _key(owner[field])


def _peerings(network: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The declared peerings by the other network's name; a bare name has no flags."""
    found: dict[str, Mapping[str, Any]] = {}
    for peering in _entries(network, "peerings"):
        settings = {"name": peering} if isinstance(peering, str) else peering
        found[_key(settings["name"])] = settings
    return found


def _prefixes(texts: Iterable[str]) -> tuple[Prefix, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _key(name: str) -> str:
    """13.2: names, enumerations and tags compare without case."""
    return name.lower()
