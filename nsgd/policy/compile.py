"""From a network model to the compiled policy that every engine and every question uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from nsgd.model.address import Prefix
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet, VirtualNetwork
from nsgd.model.rule import Direction
from nsgd.policy.admin import AdminRules, is_exempt
from nsgd.policy.effective import NetworkResolver, SharedAddresses, effective_security_rules
from nsgd.policy.endpoints import Ahead, EndpointMap, build_endpoint_map
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

    Subnets with routes of their own see their network differently and have tables of their own.
    Where the subscription may not send SMTP, each virtual network has a table for that too, and
    one for each direction of which it has security admin rules.
    """
    groups = {group.name: group for group in model.network_security_groups}
    views = _Views(model)
    tables: list[CompiledTable] = []
    index: dict[tuple[str, str, str], tuple[int, int]] = {}
    compiled: dict[tuple[_View, str], tuple[int, int]] = {}
    for network, subnet, group_name in _associations(model):
        if (network, subnet, group_name) in index:
            continue
        view = views.of_subnet[network, subnet]
        if (view, group_name) not in compiled:
            for direction in (Direction.OUTBOUND, Direction.INBOUND):
                rules = effective_security_rules(
                    views.resolver(view), groups[group_name], direction
                )
                tables.append(compile_table(group_name, direction, rules))
            compiled[view, group_name] = (len(tables) - 2, len(tables) - 1)
        index[network, subnet, group_name] = compiled[view, group_name]
    smtp: dict[str, int] = {}
    # Where a resource of unknown age may send, all may.
    terms = model.dialect.smtp
    if is_smtp_blocked(model.subscription, None, terms):
        for owner in model.virtual_networks:
            smtp[owner.name] = len(tables)
            tables.append(smtp_table(views.resolver((owner.name, ()))))

    admin = _add_admin_tables(model, views, tables)

    def ahead(network: str, subnet: str, created: date | None) -> Ahead:
        outbound, inbound = admin.get((network, subnet), ((), ()))
        # The platform lets no administrator allow what it forbids.
        if is_smtp_blocked(model.subscription, created, terms):
            outbound = (smtp[network], *outbound)
        return outbound, inbound

    return CompiledPolicy(tuple(tables), build_endpoint_map(model, index, ahead))


# A virtual network's name, and the routes of its own that a subnet sees it with.
_View = tuple[str, tuple[Prefix, ...]]


class _Views:
    """How each subnet sees its virtual network."""

    def __init__(self, model: NetworkModel) -> None:
        self._model = model
        self._shared = SharedAddresses(model)
        self._seen: dict[_View, VirtualNetwork] = {}
        self._resolvers: dict[_View, NetworkResolver] = {}
        self.of_subnet: dict[tuple[str, str], _View] = {}
        for network in model.virtual_networks:
            self._seen[network.name, ()] = network
            for subnet in network.subnets:
                view = network.name, subnet.routes
                self._seen.setdefault(view, network.seen_from(subnet))
                self.of_subnet[network.name, subnet.name] = view

    def resolver(self, view: _View) -> NetworkResolver:
        """What resolves rules in a view."""
        found = self._resolvers.get(view)
        if found is None:
            seen = self._seen[view]
            found = self._resolvers[view] = NetworkResolver(self._model, seen, self._shared)
        return found


def _add_admin_tables(
    model: NetworkModel, views: _Views, tables: list[CompiledTable]
) -> dict[tuple[str, str], Ahead]:
    """The tables of security admin rules by virtual network and subnet; shared in a view."""
    result: dict[tuple[str, str], Ahead] = {}
    admin_rules = AdminRules(model)
    made: dict[_View, Ahead] = {}
    for network in model.virtual_networks:
        for subnet in network.subnets:
            if is_exempt(subnet):
                continue
            view = views.of_subnet[network.name, subnet.name]
            if view not in made:
                indexes: list[tuple[int, ...]] = []
                for direction in (Direction.OUTBOUND, Direction.INBOUND):
                    rules = admin_rules.effective(views.resolver(view), network.name, direction)
                    indexes.append((len(tables),) if rules else ())
                    if rules:
                        tables.append(compile_table("", direction, rules))
                made[view] = indexes[0], indexes[1]
            result[network.name, subnet.name] = made[view]
    return result


def _associations(model: NetworkModel) -> Iterator[tuple[str, str, str]]:
    """Virtual network, subnet and group of each association."""
    for network in model.virtual_networks:
        for subnet in network.subnets:
            if subnet.network_security_group:
                yield network.name, subnet.name, subnet.network_security_group
    resources: tuple[NetworkInterface | ScaleSet, ...] = (
        *model.network_interfaces,
        *model.scale_sets,
    )
    for resource in resources:
        if resource.network_security_group:
            yield resource.virtual_network, resource.subnet, resource.network_security_group
