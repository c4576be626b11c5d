"""Security admin rules: what whole virtual networks are judged by, ahead of every group."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nsgd.model.address import ALL_PORTS, PortRange
from nsgd.model.rule import AnyAddress, Direction, PrefixList, Protocol, PublishedTag, TagAddress

FIRST_ADMIN_PRIORITY = 1
LAST_ADMIN_PRIORITY = 4096

# Each entry of a rule's sources or destinations; a PrefixList here has one prefix. No application
# security groups, and no tags of platform traffic.
AdminAddress = AnyAddress | PrefixList | TagAddress | PublishedTag


class AdminAccess(Enum):
    """What a security admin rule does with a flow that it matches."""

    ALLOW = "Allow"  # the network security groups still decide
    DENY = "Deny"
    ALWAYS_ALLOW = "AlwaysAllow"  # the network security groups of this direction are not asked


class AzureService(Enum):
    """Services in a subnet for whose sake Azure does not apply security admin rules."""

    APPLICATION_GATEWAY = "ApplicationGateway"
    BASTION = "Bastion"
    FIREWALL = "Firewall"
    ROUTE_SERVER = "RouteServer"
    VPN_GATEWAY = "VpnGateway"
    VIRTUAL_WAN = "VirtualWan"
    EXPRESS_ROUTE_GATEWAY = "ExpressRouteGateway"
    SQL_MANAGED_INSTANCE = "SqlManagedInstance"
    DATABRICKS = "Databricks"

    @property
    def exempts_network(self) -> bool:
        """Tell whether the rules are not applied in the whole virtual network.

        These services have network intent policies; all others exempt their own subnet.
        """
        return self in (AzureService.SQL_MANAGED_INSTANCE, AzureService.DATABRICKS)


class IntentPolicyNetworks(Enum):
    """Which rules apply where a service exempts the virtual network."""

    NONE = "None"
    ALL = "All"
    ALLOW_RULES_ONLY = "AllowRulesOnly"  # all but those that deny


@dataclass(frozen=True, slots=True)
class SecurityAdminRule:
    """One rule; it matches what is in any of *sources* and in any of *destinations*."""

    name: str
    priority: int  # 1-4096, lower first
    direction: Direction
    access: AdminAccess
    protocol: Protocol
    sources: tuple[AdminAddress, ...] = (AnyAddress(),)
    source_ports: tuple[PortRange, ...] = (ALL_PORTS,)
    destinations: tuple[AdminAddress, ...] = (AnyAddress(),)
    destination_ports: tuple[PortRange, ...] = (ALL_PORTS,)
    description: str = ""


@dataclass(frozen=True, slots=True)
class RuleCollection:
    """Rules, and the names of the virtual networks that they apply to."""

    name: str
    applies_to: tuple[str, ...]
    rules: tuple[SecurityAdminRule, ...]


@dataclass(frozen=True, slots=True)
class SecurityAdminConfiguration:
    """Rule collections; no virtual network is in the collections of two configurations."""

    name: str
    rule_collections: tuple[RuleCollection, ...] = ()
    intent_policy_networks: IntentPolicyNetworks = IntentPolicyNetworks.NONE
