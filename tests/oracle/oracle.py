"""Judge one packet from a policy document, naively and from Azure's text alone.

The second opinion against which the compiled policy is tested. It shares no code
with nsgd, works on the document as plain dicts and searches linearly: slow and
obvious is the trade. Only what is parsed and lists that never change are kept between
packets. Documents are taken to be valid; of an invalid one the answers mean nothing,
except that text with no meaning raises ValueError.

Sources are named as in the project's notes on Azure's semantics: NSG (network
security groups overview), HOW (how network security groups filter traffic), TAGS
(service tags overview), ASG (application security groups), SEED (the 2017 overview),
REC (recorded answers of the service), AVNM (security admin rules, read by admin.py), 7 for
the notes' section on the platform, and 13.x for this project's own choices.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from . import reading
from .admin import SUBNET_SERVICES, AdminRule, read_admin_rules
from .reading import PortRange, read_port_ranges, read_protocol

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network

_entries = reading.entries
_is_absent = reading.is_absent
_key = reading.key
PROTOCOL_NUMBERS = reading.PROTOCOL_NUMBERS

TCP = 6
UDP = 17

# 7, REC: the platform's addresses where a document does not set them. The host's is also in
# VirtualNetwork (TAGS), those of the load balancer are the tag AzureLoadBalancer.
PLATFORM_ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "host": ("168.63.129.16",),
    "metadata": ("169.254.169.254",),
    "keyManagement": ("20.118.99.224", "40.83.235.53", "23.102.135.246"),
    "loadBalancer": ("168.63.129.16", "fe80::1234:5678:9abc"),
}
DNS_PORT = 53
KEY_MANAGEMENT_PORT = 1688
SMTP_PORT = 25
EVERY_IPV4 = ipaddress.ip_network("0.0.0.0/0")

# 7: subscriptions older than this may send mail, whatever their kind; that day is not older.
SMTP_LIMITED_SINCE = date(2017, 11, 15)

# NSG: rules on these tags alone reach traffic to the platform.
PLATFORM_TAGS = ("azureplatformdns", "azureplatformimds", "azureplatformlkm")


class Dialect(NamedTuple):
    """13.1: what of the meaning differs between Azure's now and then."""

    any_protocol: tuple[str, ...] | None  # what * stands for; None: every IP protocol
    tags: Mapping[str, str]  # the computed tags by their spelling, in lower case
    exempts_platform: bool  # outbound traffic to the platform
    # Whether VirtualNetwork has the host's address and the prefixes of user-defined routes.
    widens_virtual_network: bool
    mail_exemptible: str  # the kind of subscription that may have an exemption
    limits_mail_to_internet: bool  # else port 25 is closed to all destinations


_TAGS = {name: name for name in ("virtualnetwork", "internet", "azureloadbalancer")}
# SEED: "Tout, ce qui inclut TCP, UDP et ICMP"; "bloquées vers toutes les ressources".
_TCP_UDP_ICMP = ("tcp", "udp", "icmp")
DIALECTS: Mapping[str, Dialect] = {
    "now": Dialect(None, _TAGS, True, True, "enterprisedevtest", True),
    "2017": Dialect(_TCP_UDP_ICMP, _TAGS, False, False, "payasyougo", False),
    "classic": Dialect(
        _TCP_UDP_ICMP,
        {
            **_TAGS,  # of the default rules; users write the others
            "virtual_network": "virtualnetwork",
            "azure_loadbalancer": "azureloadbalancer",
        },
        False,
        False,
        "payasyougo",
        False,
    ),
}
# 13.4: what denies where * is not everything. Reports name it beside the platform's rules.
UNSUPPORTED = "platformRules/unsupportedProtocol"

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
    reason: str  # "rule", "noNetworkSecurityGroup", "ambiguousNetwork", "unmanaged" ...
    network_security_group: str | None
    rule: str | None
    direction: str | None
    consulted: tuple[tuple[str, str, str, str], ...]  # group, direction, rule, access: in order


class End(NamedTuple):
    """One end of a packet."""

    address: Address
    port: int | None  # None unless the protocol is TCP or UDP


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
    services: tuple[str, ...]  # of Azure, in lower case: AVNM
    routes: tuple[Prefix, ...]  # of its own route table


@dataclass(frozen=True)
class _Interface:
    subnet: _Subnet
    addresses: tuple[Address, ...]
    link: str | None
    security_group: str | None
    application_groups: tuple[str, ...]
    created: date | None


@dataclass(frozen=True)
class _ScaleSet:
    subnet: _Subnet
    prefixes: tuple[Prefix, ...]
    security_group: str | None
    application_groups: tuple[str, ...]
    created: date | None


@dataclass(frozen=True)
class _Endpoint:
    """A declared interface, an instance of a scale set, or a subnet's resource (owner None)."""

    subnet: _Subnet
    owner: _Interface | _ScaleSet | None


@dataclass(frozen=True)
class _Subscription:
    kind: str  # in lower case
    created: date
    exempted: date | None


class Oracle:
    """Answers of one policy document."""

    def __init__(
        self,
        document: Mapping[str, Any],
        tag_files: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Read *document*, in the project's own format, already parsed.

        *tag_files* are Microsoft's files of service tags, parsed, by cloud.
        """
        self._dialect = DIALECTS[_key(str(document.get("dialect") or "now"))]
        self._networks: dict[str, Mapping[str, Any]] = {
            _key(network["name"]): network for network in _entries(document, "virtualNetworks")
        }
        self._subnets: dict[tuple[str, str], _Subnet] = {
            (network_key, _key(subnet["name"])): _Subnet(
                network_key,
                _prefixes(_entries(subnet, "addressPrefixes")),
                _reference(subnet, "networkSecurityGroup"),
                tuple(_key(name) for name in _entries(subnet, "services")),
                _prefixes(_entries(subnet, "routes")),
            )
            for network_key, network in self._networks.items()
            for subnet in _entries(network, "subnets")
        }
        self._interfaces = [
            self._read_interface(interface)
            for interface in (*_entries(document, "networkInterfaces"), *machines(document))
        ]
        self._scale_sets = [
            self._read_scale_set(scale_set) for scale_set in _entries(document, "scaleSets")
        ]
        self._security_groups: dict[str, tuple[str, list[_Rule]]] = {
            _key(group["name"]): (group["name"], _read_rules(_entries(group, "securityRules")))
            for group in _entries(document, "networkSecurityGroups")
        }
        self._peers = {network: self._mutual_peers(network) for network in self._networks}
        self._connected = {network: self._connected_space(network) for network in self._networks}
        self._network_routes = {
            key: _prefixes(_entries(network, "routes")) for key, network in self._networks.items()
        }
        self._routes = self._network_routes
        self._platform = _read_platform(document)
        self._network_exempt = {network: self._exemptions(network) for network in self._networks}
        self._exempt = self._network_exempt
        self._subscription = _read_subscription(document)
        self._published = _read_tags(document, tag_files or {})
        self._admin_rules = self._read_admin_rules(document)

    def judge(self, packet: Packet) -> Answer:
        """Say what becomes of *packet*.

        Source:
            HOW, SEED: outbound is filtered by the interface's group, then the
            subnet's; inbound by the subnet's, then the interface's; traffic inside
            a subnet is filtered at both ends. The first Deny ends it.
        """
        has_ports = packet.protocol in (TCP, UDP)
        source = End(_address(packet.source), packet.source_port if has_ports else None)
        destination = End(
            _address(packet.destination),
            packet.destination_port if has_ports else None,
        )
        senders = self._candidates(packet.in_link, source.address)
        receivers = self._candidates(packet.out_link, destination.address)
        if not senders and not receivers:
            return Answer("Unmanaged", "unmanaged", None, None, None, ())
        nearer_senders = self._prefer_network_of(receivers, senders)
        nearer_receivers = self._prefer_network_of(senders, receivers)
        if len(nearer_senders) > 1 or len(nearer_receivers) > 1:
            return Answer("Deny", "ambiguousNetwork", None, None, None, ())

        consulted: list[tuple[str, str, str, str]] = []
        for direction, ends in (("Outbound", nearer_senders), ("Inbound", nearer_receivers)):
            for end in ends:
                if direction == "Outbound" and self._smtp_is_denied(end, packet, destination):
                    # 7, 13.8: ahead of all and outside the groups, so it has none to name.
                    mail = ("", direction, "platformRules/DenySmtpOutBound", "Deny")
                    return _answer([mail])
                consulted += self._cross(direction, end, packet, source, destination)
                if consulted and consulted[-1][3] == "Deny":
                    return _answer(consulted)
        return _answer(consulted)

    def _cross(
        self, direction: str, end: _Endpoint, packet: Packet, source: End, destination: End
    ) -> list[tuple[str, str, str, str]]:
        """What one end is asked, in order, up to the first Deny.

        Source:
            AVNM: admin rules are evaluated ahead of the groups. Deny drops, AlwaysAllow delivers
            without them, Allow and no match go on to them. They have no group to name.
        """
        network = end.subnet.network
        # A route table counts for the subnets that use it.
        own = (*self._network_routes[network], *end.subnet.routes)
        if own != self._routes.get(network):
            self._routes = {**self._network_routes, network: own}
            self._exempt = {**self._network_exempt, network: self._exemptions(network)}
        consulted: list[tuple[str, str, str, str]] = []
        admin = self._first_admin_match(direction, end.subnet, packet, source, destination)
        if admin is not None:
            access = "Deny" if admin.access == "deny" else "Allow"
            consulted.append(("", direction, f"securityAdminRules/{admin.name}", access))
            if admin.access != "allow":
                return consulted
        groups = [end.subnet.security_group]
        if end.owner is not None:  # HOW: outbound the interface's first, inbound the subnet's
            groups.insert(len(groups) if direction == "Inbound" else 0, end.owner.security_group)
        for group in groups:
            if group is None:
                continue
            name, rules = self._security_groups[group]
            rule = self._first_match(rules, direction, network, packet, source, destination)
            if rule is None:
                return [*consulted, (name, direction, UNSUPPORTED, "Deny")]
            consulted.append((name, direction, rule.name, rule.access))
            if rule.access == "Deny":
                break
        return consulted

    # -- security admin rules ------------------------------------------------------

    def _read_admin_rules(self, document: Mapping[str, Any]) -> dict[str, list[AdminRule]]:
        services: dict[str, set[str]] = {network: set() for network in self._networks}
        for subnet in self._subnets.values():
            services[subnet.network] |= {*subnet.services}
        return read_admin_rules(document, services)

    def _first_admin_match(
        self, direction: str, subnet: _Subnet, packet: Packet, source: End, destination: End
    ) -> AdminRule | None:
        """The rule of lowest number that matches, of the network's; of exempt subnets none."""
        if any(service in SUBNET_SERVICES for service in subnet.services):
            return None
        for rule in self._admin_rules[subnet.network]:
            if (
                rule.direction == direction
                and _protocol_matches(rule.protocol, packet, None)
                and _ports_match(rule, packet)
                and any(self._covers(text, source, subnet.network) for text in rule.sources)
                and any(
                    self._covers(text, destination, subnet.network) for text in rule.destinations
                )
            ):
                return rule
        return None

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
            found.append(_Endpoint(subnet, self._owner(subnet, address)))
        return found

    def _owner(self, subnet: _Subnet, address: Address) -> _Interface | _ScaleSet | None:
        """Who has an address of a subnet: a declared interface goes before a scale set."""
        for interface in self._interfaces:
            if interface.subnet is subnet and address in interface.addresses:
                return interface
        for scale_set in self._scale_sets:
            if scale_set.subnet is subnet and any(
                address in prefix for prefix in scale_set.prefixes
            ):
                return scale_set
        return None

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
        source: End,
        destination: End,
    ) -> _Rule | None:
        """NSG: rules go by ascending priority and the first that matches decides.

        None where the protocol is none that the dialect's * holds (13.4).
        """
        for rule in self._in_order(rules, direction, network):
            if (
                _protocol_matches(rule.protocol, packet, self._dialect.any_protocol)
                and _ports_match(rule, packet)
                and self._side_matches(rule.source, source, network)
                and self._side_matches(rule.destination, destination, network)
            ):
                return rule
        if self._dialect.any_protocol is None:
            raise AssertionError("the last default rule matches every packet")
        return None

    def _in_order(self, rules: list[_Rule], direction: str, network: str) -> list[_Rule]:
        """The rules of one direction as they are tried, with those of the platform.

        Source:
            NSG, 7: traffic to the platform's addresses is not subject to the groups,
            unless a rule on one of the platform's tags targets it; 13.7: outbound only.
        """
        ordered = [rule for rule in rules if rule.direction == direction]
        if direction == "Inbound" or not self._dialect.exempts_platform:
            return ordered
        denials = [rule for rule in ordered if _names_platform(rule.destination)]
        others = [rule for rule in ordered if not _names_platform(rule.destination)]
        return [*denials, *self._exempt[network], *others]

    def _exemptions(self, network: str) -> list[_Rule]:
        """What leaves unjudged: to the host, to the metadata service, to activation servers."""
        exempt = [
            _platform_rule("AllowHostOutBound", "*", self._platform["host"], None),
            _platform_rule("AllowMetadataOutBound", "*", self._platform["metadata"], None),
        ]
        # NSG, 7: this rule is off where a route for 0.0.0.0/0 is configured.
        if EVERY_IPV4 not in self._routes[network]:
            exempt.append(
                _platform_rule(
                    "AllowKeyManagementOutBound",
                    "tcp",
                    self._platform["keyManagement"],
                    KEY_MANAGEMENT_PORT,
                )
            )
        return exempt

    def _side_matches(self, side: _Side, end: End, network: str) -> bool:
        return any(self._covers(text, end, network) for text in side.prefixes) or any(
            self._is_member(group, end.address, network) for group in side.groups
        )

    def _covers(self, text: str, end: End, network: str) -> bool:
        """Whether a prefix or tag, as written, holds *end* seen from *network*."""
        name = self._dialect.tags.get(_key(text), _key(text))
        address, port = end
        if name == "*":
            return True
        if name == "azureplatformdns":
            return address in self._platform["host"] and port == DNS_PORT
        if name == "azureplatformimds":
            return address in self._platform["metadata"]
        if name == "azureplatformlkm":
            return address in self._platform["keyManagement"] and port == KEY_MANAGEMENT_PORT
        if name == "virtualnetwork":
            # TAGS: with the host's virtual address and the prefixes of user-defined routes;
            # SEED has neither.
            return any(address in prefix for prefix in self._connected[network]) or (
                self._dialect.widens_virtual_network
                and (
                    address in self._platform["host"]
                    or any(address in prefix for prefix in self._routes[network])
                )
            )
        if name == "azureloadbalancer":
            return address in self._platform["loadBalancer"]
        if name == "internet":
            return self._is_internet(address, network)
        if name in self._published:
            return any(address in prefix for prefix in self._published[name])
        return address in _prefix(text)

    def _is_internet(self, address: Address, network: str) -> bool:
        """13.5: routes do not shrink it, nor does the host's virtual address (REC)."""
        return _is_public(address) and not any(
            address in prefix for prefix in self._connected[network]
        )

    def _is_member(self, group: str, address: Address, network: str) -> bool:
        """ASG: a rule naming a group applies to its members' addresses only."""
        members: list[_Interface | _ScaleSet] = [*self._interfaces, *self._scale_sets]
        for member in members:
            member_network = member.subnet.network
            if (
                group in member.application_groups
                and (member_network == network or member_network in self._peers[network])
                and self._is_address_of(member, address)
            ):
                return True
        return False

    def _is_address_of(self, member: _Interface | _ScaleSet, address: Address) -> bool:
        """An interface has its addresses; a scale set those of its prefixes that none has."""
        if isinstance(member, _Interface):
            return address in member.addresses
        return any(address in prefix for prefix in member.prefixes) and not any(
            interface.subnet.network == member.subnet.network and address in interface.addresses
            for interface in self._interfaces
        )

    # -- mail ----------------------------------------------------------------------

    def _smtp_is_denied(self, sender: _Endpoint, packet: Packet, destination: End) -> bool:
        """13.8: TCP port 25 from what the documents declare to the Internet, by subscription."""
        return (
            packet.protocol == TCP
            and destination.port == SMTP_PORT
            and (
                not self._dialect.limits_mail_to_internet
                or self._is_internet(destination.address, sender.subnet.network)
            )
            and not self._may_send_mail(None if sender.owner is None else sender.owner.created)
        )

    def _may_send_mail(self, created: date | None) -> bool:
        """The table of 7; *created* is the day of the machine, None means before any exemption."""
        subscription = self._subscription
        if subscription is None or subscription.created < SMTP_LIMITED_SINCE:
            return True
        if subscription.kind == "enterpriseagreement":
            return True
        if subscription.kind == self._dialect.mail_exemptible:
            exempted = subscription.exempted
            return exempted is not None and created is not None and created >= exempted
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

    def _subnet(self, reference: str) -> _Subnet:
        network, _, subnet = reference.partition("/")
        return self._subnets[_key(network), _key(subnet)]

    def _read_scale_set(self, scale_set: Mapping[str, Any]) -> _ScaleSet:
        return _ScaleSet(
            self._subnet(scale_set["subnet"]),
            _prefixes(_entries(scale_set, "privateIPAddressPrefixes")),
            _reference(scale_set, "networkSecurityGroup"),
            tuple(_key(name) for name in _entries(scale_set, "applicationSecurityGroups")),
            _day(scale_set, "created"),
        )

    def _read_interface(self, interface: Mapping[str, Any]) -> _Interface:
        return _Interface(
            self._subnet(interface["subnet"]),
            tuple(_address(text) for text in _entries(interface, "privateIPAddresses")),
            interface.get("link") or None,
            _reference(interface, "networkSecurityGroup"),
            tuple(_key(name) for name in _entries(interface, "applicationSecurityGroups")),
            _day(interface, "created"),
        )


def machines(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Classic machines, written as the interfaces that stand for them.

    Source:
        SEED: in classic, groups attach to subnets, virtual machines and cloud services. 13.1,
        the notes: a service's group is that of each of its machines.
    """
    groups: dict[str, Any] = {}
    instances: list[Mapping[str, Any]] = []
    for service in _entries(document, "cloudServices"):
        group = service.get("networkSecurityGroup")
        for name in _entries(service, "virtualMachines"):
            groups[_key(name)] = group
        instances += [
            {**instance, "networkSecurityGroup": group}
            for instance in _entries(service, "roleInstances")
        ]
    found: list[Mapping[str, Any]] = []
    for machine in _entries(document, "virtualMachines"):
        own = machine.get("networkSecurityGroup")
        group = groups.get(_key(machine["name"])) if _is_absent(own) else own
        found.append({**machine, "networkSecurityGroup": group})
    return [*found, *instances]


def _answer(consulted: list[tuple[str, str, str, str]]) -> Answer:
    """13.3: the last group that allowed, or the first that denied; the last asked either way."""
    if not consulted:
        return Answer("Allow", "noNetworkSecurityGroup", None, None, None, ())
    name, direction, rule, access = consulted[-1]
    reason = "unsupportedProtocol" if rule == UNSUPPORTED else "rule"
    return Answer(access, reason, name, rule, direction, tuple(consulted))


def _platform_rule(
    name: str, protocol: str, addresses: Iterable[Address], port: int | None
) -> _Rule:
    every_port = ((0, 65535),)
    return _Rule(
        f"platformRules/{name}",
        0,
        "Outbound",
        "Allow",
        protocol,
        _Side(("*",), ()),
        every_port,
        _Side(tuple(str(address) for address in addresses), ()),
        every_port if port is None else ((port, port),),
    )


def _names_platform(side: _Side) -> bool:
    return any(_key(text) in PLATFORM_TAGS for text in side.prefixes)


def _is_public(address: Address) -> bool:
    """13.5: what the IANA special-purpose registries call globally reachable."""
    if address.version == 4:
        return not any(address in prefix for prefix in NOT_PUBLIC_IPV4)
    if address not in GLOBAL_UNICAST_IPV6:
        return False
    if any(address in prefix for prefix in PUBLIC_AGAIN_IPV6):
        return True
    return not any(address in prefix for prefix in NOT_PUBLIC_IPV6)


def _protocol_matches(protocol: str, packet: Packet, any_protocol: tuple[str, ...] | None) -> bool:
    """13.4: * is every IP protocol, where *any_protocol* does not list what it is."""
    if protocol != "*":
        return PROTOCOL_NUMBERS[protocol][packet.version] == packet.protocol
    return any_protocol is None or any(
        PROTOCOL_NUMBERS[name][packet.version] == packet.protocol for name in any_protocol
    )


def _ports_match(rule: _Rule | AdminRule, packet: Packet) -> bool:
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
            read_protocol(rule["protocol"]),
            _read_side(rule, "source"),
            _read_ports(rule, "sourcePortRange"),
            _read_side(rule, "destination"),
            _read_ports(rule, "destinationPortRange"),
        )
        for rule in (*rules, *DEFAULT_RULES)
    ]
    return sorted(read, key=lambda rule: rule.priority)


def _read_platform(document: Mapping[str, Any]) -> dict[str, tuple[Address, ...]]:
    """The platform's addresses; here an empty list says that there are none."""
    written = document.get("platformAddresses") or {}
    found = {}
    for field, default in PLATFORM_ADDRESSES.items():
        texts = written.get(field)
        texts = default if texts is None else texts
        found[field] = tuple(_address(text) for text in texts)
    return found


def _read_subscription(document: Mapping[str, Any]) -> _Subscription | None:
    written = document.get("subscription")
    if not written:
        return None
    created = _day(written, "created")
    if created is None:
        raise ValueError("a subscription without a date")
    return _Subscription(_key(written["kind"]), created, _day(written, "smtpExempted"))


def _read_tags(
    document: Mapping[str, Any], tag_files: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Prefix, ...]]:
    """The prefixes of each tag of the document's cloud, by its whole name in lower case."""
    cloud = (document.get("serviceTags") or {}).get("cloud") or "Public"
    return {
        _key(entry["name"]): _prefixes(entry["properties"]["addressPrefixes"])
        for entry in tag_files.get(cloud, {"values": []})["values"]
    }


def _day(owner: Mapping[str, Any], field: str) -> date | None:
    value = owner.get(field)
    return None if _is_absent(value) else date.fromisoformat(str(value))


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
    return read_port_ranges(texts)


def _one_or_many(rule: Mapping[str, Any], singular: str, plural: str) -> list[Any]:
    """A field that Azure lets one write as one value or as a list (SPEC)."""
    value = rule.get(singular)
    return ([] if _is_absent(value) else [value]) + _entries(rule, plural)


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
    return tuple(_prefix(text) for text in texts)


@functools.lru_cache(maxsize=100_000)
def _prefix(text: str) -> Prefix:
    return ipaddress.ip_network(text)


@functools.lru_cache(maxsize=100_000)
def _address(text: str) -> Address:
    return ipaddress.ip_address(text)
