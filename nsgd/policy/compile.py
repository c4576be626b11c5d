"""From a network model to the compiled policy that every engine and every question uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet
from nsgd.model.rule import Direction
from nsgd.policy.effective import NetworkResolver, SharedAddresses, effective_security_rules
from nsgd.policy.endpoints import EndpointMap, build_endpoint_map
from nsgd.policy.smtp import is_smtp_blocked, smtp_table
from nsgd.policy.table import CompiledTable, compile_table


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """Everything that a decision needs; NICs share the tables of their groups."""

    tables: tuple[CompiledTable, ...]
    endpoint_map: EndpointMap

    def to_plain(self) -> tuple[Any, ...]:
        """The policy in built-in types only, for the hand-over to a worker."""
        return (tuple(table.to_plain() for table in self.tables), self.endpoint_map.to_plain())

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> CompiledPolicy:
        """The inverse of to_plain."""
        tables, endpoint_map = plain
        return cls(
            tuple(CompiledTable.from_plain(table) for table in tables),
            EndpointMap.from_plain(endpoint_map),
        )


def compile_policy(model: NetworkModel) -> CompiledPolicy:
    """Compile one table per (network security group, direction, virtual network) in use.

    Where the subscription may not send SMTP, each virtual network has a table for that too.
    """
    groups = {group.name: group for group in model.network_security_groups}
    shared = SharedAddresses(model)
    resolvers = {
        network.name: NetworkResolver(model, network, shared) for network in model.virtual_networks
    }
    tables: list[CompiledTable] = []
    index: dict[tuple[str, str], tuple[int, int]] = {}
    for network, group_name in _associations(model):
        if (network, group_name) in index:
            continue
        for direction in (Direction.OUTBOUND, Direction.INBOUND):
            rules = effective_security_rules(resolvers[network], groups[group_name], direction)
            tables.append(compile_table(group_name, direction, rules))
        index[network, group_name] = (len(tables) - 2, len(tables) - 1)
    smtp: dict[str, int] = {}
    # Where a resource of unknown age may send, all may.
    if is_smtp_blocked(model.subscription, None):
        for name, resolver in resolvers.items():
            smtp[name] = len(tables)
            tables.append(smtp_table(resolver))

    def ahead_of_outbound(network: str, created: date | None) -> tuple[int, ...]:
        return (smtp[network],) if is_smtp_blocked(model.subscription, created) else ()

    return CompiledPolicy(tuple(tables), build_endpoint_map(model, index, ahead_of_outbound))


def _associations(model: NetworkModel) -> Iterator[tuple[str, str]]:
    for network in model.virtual_networks:
        for subnet in network.subnets:
            if subnet.network_security_group:
                yield network.name, subnet.network_security_group
    resources: tuple[NetworkInterface | ScaleSet, ...] = (
        *model.network_interfaces,
        *model.scale_sets,
    )
    for resource in resources:
        if resource.network_security_group:
            yield resource.virtual_network, resource.network_security_group
