"""Short spellings for the networks, rules and packets of the policy tests."""

from __future__ import annotations

from datetime import date

from nsgd.model.address import Address, PortRange, Prefix
from nsgd.model.network import NetworkInterface, NetworkSecurityGroup, ScaleSet, Subnet
from nsgd.model.packet import ICMP, ICMPV6, TCP, PacketHeader
from nsgd.model.rule import (
    Access,
    AnyAddress,
    Direction,
    GroupMembers,
    PlatformService,
    PlatformTag,
    PrefixList,
    Protocol,
    PublishedTag,
    RuleAddress,
    SecurityRule,
    ServiceTag,
    TagAddress,
)
from nsgd.policy.address_set import AddressSet

ALLOW, DENY = Access.ALLOW, Access.DENY
INBOUND, OUTBOUND = Direction.INBOUND, Direction.OUTBOUND


def prefixes(*texts: str) -> tuple[Prefix, ...]:
    return tuple(Prefix.parse(text) for text in texts)


def address_set(*texts: str) -> AddressSet:
    return AddressSet.of_prefixes(prefixes(*texts))


def value(text: str) -> int:
    """An address as an integer."""
    return Address.parse(text).value


def side(text: str) -> RuleAddress:
    """``*``, ``asg:NAME,NAME``, prefixes with commas, or a tag of one of the three kinds:

    ``tag:NAME``, ``published:NAME``, ``platform:NAME``.
    """
    kind, _, rest = text.partition(":")
    if text == "*":
        return AnyAddress()
    if kind == "tag":
        return TagAddress(ServiceTag(rest))
    if kind == "published":
        return PublishedTag(rest)
    if kind == "platform":
        return PlatformTag(PlatformService[rest])
    if kind == "asg":
        return GroupMembers(tuple(rest.split(",")))
    return PrefixList(prefixes(*text.split(",")))


def port_ranges(text: str) -> tuple[PortRange, ...]:
    """``*``, or ports and ranges with commas."""
    if text == "*":
        return (PortRange(0, 65535),)
    bounds = (part.partition("-") for part in text.split(","))
    return tuple(PortRange(int(first), int(last or first)) for first, _, last in bounds)


def rule(
    name: str,
    priority: int,
    direction: Direction,
    access: Access,
    protocol: str = "*",
    *,
    source: str = "*",
    source_ports: str = "*",
    destination: str = "*",
    ports: str = "*",
) -> SecurityRule:
    return SecurityRule(
        name,
        priority,
        direction,
        access,
        Protocol(protocol),
        side(source),
        port_ranges(source_ports),
        side(destination),
        port_ranges(ports),
    )


def group(name: str, *rules: SecurityRule) -> NetworkSecurityGroup:
    return NetworkSecurityGroup(name, rules)


def subnet(name: str, prefix: str, nsg: str | None = None) -> Subnet:
    return Subnet(name, prefixes(*prefix.split(",")), nsg)


def nic(
    name: str,
    addresses: str,
    subnet_name: str,
    nsg: str | None = None,
    *,
    network: str = "vnet",
    link: str | None = None,
    asgs: tuple[str, ...] = (),
    created: str | None = None,
) -> NetworkInterface:
    return NetworkInterface(
        name,
        network,
        subnet_name,
        tuple(Address.parse(text) for text in addresses.split(",")),
        link,
        nsg,
        application_security_groups=asgs,
        created=date.fromisoformat(created) if created else None,
    )


def scale_set(
    name: str,
    prefix: str,
    subnet_name: str,
    nsg: str | None = None,
    *,
    network: str = "vnet",
    asgs: tuple[str, ...] = (),
    created: str | None = None,
) -> ScaleSet:
    return ScaleSet(
        name,
        network,
        subnet_name,
        prefixes(*prefix.split(",")),
        nsg,
        asgs,
        date.fromisoformat(created) if created else None,
    )


def packet(
    source: str, destination: str, port: int = 0, protocol: int = TCP, source_port: int = 60000
) -> PacketHeader:
    """The first packet of a flow; without ports where the protocol has none."""
    version, source_value = Address.parse(source)
    _, destination_value = Address.parse(destination)
    has_ports = protocol in (6, 17)
    return PacketHeader(
        version,
        protocol,
        source_value,
        destination_value,
        source_port if has_ports else 0,
        port if has_ports else 0,
        is_midstream=False,
    )


def echo(source: str, destination: str) -> PacketHeader:
    """An echo request of the addresses' family."""
    is_v4 = Address.parse(source).version == 4
    return packet(source, destination, protocol=ICMP if is_v4 else ICMPV6)
