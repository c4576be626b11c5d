"""Virtual networks, subnets, network interfaces and the groups attached to them.

Every reference is a name in the spelling of its declaration: the config layer has
already matched it without case and refused what does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from nsgd.model.address import Address, Prefix
from nsgd.model.admin import AzureService, SecurityAdminConfiguration
from nsgd.model.dialect import NOW, Dialect
from nsgd.model.platform import AZURE_PLATFORM, PlatformAddresses, Subscription
from nsgd.model.rule import SecurityRule


@dataclass(frozen=True, slots=True)
class Peering:
    """One side of a peering; it counts only when the remote network declares the other side."""

    remote_virtual_network: str
    allow_gateway_transit: bool = False
    use_remote_gateways: bool = False


@dataclass(frozen=True, slots=True)
class Subnet:
    """Prefixes of a virtual network, with at most one network security group."""

    name: str
    address_prefixes: tuple[Prefix, ...]
    network_security_group: str | None = None
    services: tuple[AzureService, ...] = ()  # that security admin rules are not applied for
    routes: tuple[Prefix, ...] = ()  # of its route table; they count for this subnet alone


@dataclass(frozen=True, slots=True)
class VirtualNetwork:
    """An address space; *on_premises* and *routes* widen its VirtualNetwork tag only.

    Its routes are those of every subnet, beside what a subnet has of its own.
    """

    name: str
    address_space: tuple[Prefix, ...]
    subnets: tuple[Subnet, ...] = ()
    peerings: tuple[Peering, ...] = ()
    on_premises: tuple[Prefix, ...] = ()
    routes: tuple[Prefix, ...] = ()
    flow_timeout_minutes: int | None = None  # of idle flows; None: as the kernel has it

    def seen_from(self, subnet: Subnet) -> VirtualNetwork:
        """This network with the routes that count for a resource in *subnet*."""
        return replace(self, routes=(*self.routes, *subnet.routes)) if subnet.routes else self


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """A NIC; *link* is the Linux link that leads to it and to nothing else, where bound."""

    name: str
    virtual_network: str
    subnet: str
    private_ip_addresses: tuple[Address, ...]
    link: str | None = None
    network_security_group: str | None = None
    enable_ip_forwarding: bool = False
    application_security_groups: tuple[str, ...] = ()
    created: date | None = None  # None means before any exemption from the SMTP rule


@dataclass(frozen=True, slots=True)
class ScaleSet:
    """Instances that come and go: any address of the prefixes that no NIC is declared to have."""

    name: str
    virtual_network: str
    subnet: str
    private_ip_address_prefixes: tuple[Prefix, ...]
    network_security_group: str | None = None
    application_security_groups: tuple[str, ...] = ()
    created: date | None = None


@dataclass(frozen=True, slots=True)
class CloudService:
    """A classic cloud service: its group is that of the machines, which the NICs stand for."""

    name: str
    network_security_group: str | None = None
    virtual_machines: tuple[str, ...] = ()  # names of NICs
    role_instances: tuple[str, ...] = ()  # names of NICs: the service's, a slash, the instance's


@dataclass(frozen=True, slots=True)
class NetworkSecurityGroup:
    """The user's rules, in the document's order; the default rules are not repeated here."""

    name: str
    security_rules: tuple[SecurityRule, ...] = ()
    flush_connection: bool = False  # judge open flows again when the rules change


@dataclass(frozen=True, slots=True)
class ApplicationSecurityGroup:
    """A named set of NICs, all in *virtual_network*; None while it has no member."""

    name: str
    virtual_network: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceTagPrefixes:
    """What Microsoft's file says of one service tag that some rule names."""

    name: str
    prefixes: tuple[Prefix, ...]


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """Everything that the loaded documents declare, in their order."""

    virtual_networks: tuple[VirtualNetwork, ...] = ()
    network_interfaces: tuple[NetworkInterface, ...] = ()
    network_security_groups: tuple[NetworkSecurityGroup, ...] = ()
    application_security_groups: tuple[ApplicationSecurityGroup, ...] = ()
    scale_sets: tuple[ScaleSet, ...] = ()
    service_tags: tuple[ServiceTagPrefixes, ...] = ()  # only those in use
    platform: PlatformAddresses = AZURE_PLATFORM
    subscription: Subscription | None = None  # None: SMTP is left to the groups
    dialect: Dialect = NOW
    cloud_services: tuple[CloudService, ...] = ()
    security_admin_configurations: tuple[SecurityAdminConfiguration, ...] = ()

    @property
    def security_admin_rules(self) -> int:
        """How many security admin rules there are, in all rule collections."""
        return sum(
            len(collection.rules)
            for configuration in self.security_admin_configurations
            for collection in configuration.rule_collections
        )
