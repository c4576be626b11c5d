"""Application security groups: all members of one are in one virtual network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.config.declared import DeclaredNetwork
from nsgd.config.limits import Limits
from nsgd.config.names import Names
from nsgd.config.report import Place, Report
from nsgd.config.wording import show
from nsgd.model.network import ApplicationSecurityGroup
from nsgd.model.rule import GroupMembers, SecurityRule


@dataclass(slots=True)
class Group:
    """A declared group; *reason* says what fixed its network, where one is known."""

    name: str
    virtual_network: str | None = None
    reason: str = ""
    ip_configurations: int = 0  # of the interfaces that have joined


def declare_groups(
    sections: Sequence[tuple[Place, Mapping[str, Any]]],
    networks: Names[DeclaredNetwork],
    report: Report,
) -> Names[Group]:
    """The groups by name, in the network that they declare."""
    groups: Names[Group] = Names("application security group", report)
    for place, raw in sections:
        network = networks.resolve(raw.get("virtualNetwork"), place.at("virtualNetwork"))
        name: str | None = raw.get("name")
        if name is not None:
            reason = "by its virtualNetwork" if network else ""
            groups.declare(name, place, Group(name, network.name if network else None, reason))
    return groups


def join_group(group: Group, member: str, network: str, place: Place, report: Report) -> None:
    """Make a network interface of *network* a member; the first one fixes the group's network.

    Source:
        Azure, Application security groups: "All network interfaces assigned to an application
        security group have to exist in the same virtual network that the first network interface
        assigned to the application security group is in."
    """
    if group.virtual_network is None:
        group.virtual_network = network
        group.reason = f"by its first member, {member}"
    elif group.virtual_network != network:
        report.add(
            place,
            f"application security group {show(group.name)} is in virtual network "
            f"{show(group.virtual_network)} {group.reason}, and this interface is in "
            f"{show(network)}",
            "use one application security group for each virtual network",
        )


def check_one_network(
    rule: SecurityRule, place: Place, groups: Names[Group], report: Report
) -> None:
    """Report a rule whose source and destination groups are in different virtual networks."""
    source, destination = rule.source, rule.destination
    if not isinstance(source, GroupMembers) or not isinstance(destination, GroupMembers):
        return
    networks: dict[str, str] = {}
    for name in source.application_security_groups + destination.application_security_groups:
        group = groups.find(name)
        if group is not None and group.virtual_network is not None:
            networks.setdefault(group.virtual_network, name)
    if len(networks) > 1:
        listed = " and ".join(f"{show(name)} in {show(where)}" for where, name in networks.items())
        report.add(
            place.at("destinationApplicationSecurityGroups"),
            f"source and destination groups must be in one virtual network, and there is {listed}",
            "write one rule for each virtual network, or use prefixes on one side",
        )


def assemble_groups(
    sections: Sequence[tuple[Place, Mapping[str, Any]]],
    groups: Names[Group],
    limits: Limits,
    report: Report,
) -> list[ApplicationSecurityGroup]:
    """The groups as values, once all members have joined."""
    result = []
    for place, raw in sections:
        name: str | None = raw.get("name")
        group = groups.find(name) if name is not None else None
        if group is not None:
            limits.check(
                "ipConfigurationsPerApplicationSecurityGroup",
                group.ip_configurations,
                place,
                report,
            )
            result.append(ApplicationSecurityGroup(group.name, group.virtual_network))
    return result
