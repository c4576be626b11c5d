"""Security rules in Azure's words, and the six that every network security group has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nsgd.model.address import ALL_PORTS, PortRange, Prefix

HIGHEST_PRIORITY = 100
LOWEST_PRIORITY = 4096


class Access(Enum):
    """What a rule does with a flow that it matches."""

    __hash__ = object.__hash__

    ALLOW = "Allow"
    DENY = "Deny"


class Direction(Enum):
    """Seen from the network interface, not from the Linux host."""

    __hash__ = object.__hash__

    INBOUND = "Inbound"
    OUTBOUND = "Outbound"


class Protocol(Enum):
    """The values of a rule's protocol field."""

    __hash__ = object.__hash__

    TCP = "Tcp"
    UDP = "Udp"
    ICMP = "Icmp"
    ESP = "Esp"
    AH = "Ah"
    ANY = "*"


class ServiceTag(Enum):
    """Service tags that are computed from the virtual network itself."""

    __hash__ = object.__hash__

    VIRTUAL_NETWORK = "VirtualNetwork"
    INTERNET = "Internet"
    AZURE_LOAD_BALANCER = "AzureLoadBalancer"


class PlatformService(Enum):
    """Service tags of platform traffic, which only rules with these tags can deny."""

    __hash__ = object.__hash__

    DNS = "AzurePlatformDNS"
    IMDS = "AzurePlatformIMDS"
    LKM = "AzurePlatformLKM"


@dataclass(frozen=True, slots=True)
class AnyAddress:
    """``*``: every address of both families."""


@dataclass(frozen=True, slots=True)
class PrefixList:
    """Explicit addresses and CIDR blocks, in the document's order; never empty."""

    prefixes: tuple[Prefix, ...]


@dataclass(frozen=True, slots=True)
class TagAddress:
    """One service tag that is computed from the virtual network."""

    tag: ServiceTag


@dataclass(frozen=True, slots=True)
class PublishedTag:
    """One service tag of Microsoft's file, in the file's spelling."""

    name: str


@dataclass(frozen=True, slots=True)
class PlatformTag:
    """One service tag of platform traffic."""

    service: PlatformService


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """Application security groups, by name; never empty, though the groups may be."""

    application_security_groups: tuple[str, ...]


RuleAddress = AnyAddress | PrefixList | TagAddress | PublishedTag | PlatformTag | GroupMembers


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """One rule; *priority* is 100-4096 for a user's rule, lower first, and above for a default."""

    name: str
    priority: int
    direction: Direction
    access: Access
    protocol: Protocol
    source: RuleAddress = AnyAddress()
    source_ports: tuple[PortRange, ...] = (ALL_PORTS,)
    destination: RuleAddress = AnyAddress()
    destination_ports: tuple[PortRange, ...] = (ALL_PORTS,)
    description: str = ""


def _default(
    name: str,
    priority: int,
    direction: Direction,
    access: Access,
    source: ServiceTag | None = None,
    destination: ServiceTag | None = None,
) -> SecurityRule:
    return SecurityRule(
        name=name,
        priority=priority,
        direction=direction,
        access=access,
        protocol=Protocol.ANY,
        source=TagAddress(source) if source else AnyAddress(),
        destination=TagAddress(destination) if destination else AnyAddress(),
    )


# Azure, Network security groups overview, Default security rules. The page spells the names
# inconsistently (AllowVNetInBound, DenyAllInbound); these are the spellings of the API's answers.
DEFAULT_SECURITY_RULES: tuple[SecurityRule, ...] = (
    _default(
        "AllowVnetInBound",
        65000,
        Direction.INBOUND,
        Access.ALLOW,
        ServiceTag.VIRTUAL_NETWORK,
        ServiceTag.VIRTUAL_NETWORK,
    ),
    _default(
        "AllowAzureLoadBalancerInBound",
        65001,
        Direction.INBOUND,
        Access.ALLOW,
        source=ServiceTag.AZURE_LOAD_BALANCER,
    ),
    _default("DenyAllInBound", 65500, Direction.INBOUND, Access.DENY),
    _default(
        "AllowVnetOutBound",
        65000,
        Direction.OUTBOUND,
        Access.ALLOW,
        ServiceTag.VIRTUAL_NETWORK,
        ServiceTag.VIRTUAL_NETWORK,
    ),
    _default(
        "AllowInternetOutBound",
        65001,
        Direction.OUTBOUND,
        Access.ALLOW,
        destination=ServiceTag.INTERNET,
    ),
    _default("DenyAllOutBound", 65500, Direction.OUTBOUND, Access.DENY),
)
