"""From a network model to the compiled policy that every engine and every question uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from nsgd.model.network import NetworkInterface, NetworkModel, NetworkSecurityGroup, ScaleSet
from nsgd.model.rule import Direction
from nsgd.policy.admin import AdminRules, is_exempt
from nsgd.policy.effective import effective_security_rules
from nsgd.policy.endpoints import Ahead, EndpointMap, build_endpoint_map
from nsgd.policy.smtp import is_smtp_blocked, smtp_table
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.policy.tree_nodes import Flattener
from nsgd.policy.views import View, Views, is_equal


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """Everything that a decision needs; NICs share the tables of their groups."""

    tables: tuple[CompiledTable, ...]
    endpoint_map: EndpointMap

    def make_trees(self) -> None:
        """Make the trees of all tables, which otherwise come about where one is first asked for.

        For those who are about to ask for them in two threads.
        """
        flattener = Flattener()
        for table in self.tables:
            for version in self.endpoint_map.versions:
                table.plain_tree(version, flattener)

    def to_plain(self) -> tuple[Any, ...]:
        """The policy in built-in types only, for the hand-over to a worker."""
        flattener = Flattener()
        versions = self.endpoint_map.versions
        tables = tuple(table.to_plain(flattener, versions) for table in self.tables)
        return tables, self.endpoint_map.to_plain()

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> CompiledPolicy:
        """A policy that can be asked about packets, and not about its rules."""
        tables, endpoint_map = plain
        return cls(
            tuple(CompiledTable.from_plain(table) for table in tables),
            EndpointMap.from_plain(endpoint_map),
        )


_Association = tuple[str, str, str]  # virtual network, subnet, network security group


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy, and what the next one may take over of it where nothing differs."""

    policy: CompiledPolicy
    model: NetworkModel
    views: Views
    associations: tuple[_Association, ...]
    of_groups: Mapping[tuple[View, str], tuple[int, int]]  # outbound and inbound table index
    ahead: _TablesAhead


@dataclass(frozen=True, slots=True)
class _TablesAhead:
    """Tables that stand ahead of those of groups, and whose traffic they judge."""

    tables: tuple[CompiledTable, ...]
    smtp: Mapping[str, int]  # by virtual network
    admin: Mapping[tuple[str, str], Ahead]  # by virtual network and subnet


def compile_policy(model: NetworkModel) -> CompiledPolicy:
    """Compile one table per (network security group, direction, virtual network) in use.

    Subnets with routes of their own see their network differently and have tables of their own.
    Where the subscription may not send SMTP, each virtual network has a table for that too, and
    one for each direction of which it has security admin rules.
    """
    return compile_after(None, model).policy


def compile_after(before: Compiled | None, model: NetworkModel) -> Compiled:
    """As compile_policy(); tables and an endpoint map that are equal are those of *before*."""
    views = Views(model, None if before is None else before.views)
    if before is not None and views.are_same:
        associations = before.associations
    else:
        associations = tuple(dict.fromkeys(_associations(model)))
    groups = {group.name: group for group in model.network_security_groups}
    source = _Source(before, views, groups)
    tables: list[CompiledTable] = []
    of_groups: dict[tuple[View, str], tuple[int, int]] = {}
    viewed: Iterable[tuple[View, str]]
    if before is not None and views.are_same:
        viewed = before.of_groups
    else:
        of_subnet = views.of_subnet
        viewed = ((of_subnet[network, subnet], name) for network, subnet, name in associations)
    for view, name in viewed:
        if (view, name) not in of_groups:
            of_groups[view, name] = len(tables), len(tables) + 1
            tables += source.tables(view, name)
    ahead = _tables_ahead(before, model, views, len(tables))
    tables += ahead.tables
    if before is not None and ahead is before.ahead:
        # The resources are the same then, and so are the indexes of the tables of their groups.
        endpoint_map = before.policy.endpoint_map
    else:
        index = {
            (network, subnet, name): of_groups[views.of_subnet[network, subnet], name]
            for network, subnet, name in associations
        }
        endpoint_map = _endpoint_map(model, index, ahead)
    policy = CompiledPolicy(tuple(tables), endpoint_map)
    return Compiled(policy, model, views, associations, of_groups, ahead)


class _Source:
    """Gives the tables of groups: those of before, where they are the same, or new ones."""

    def __init__(
        self, before: Compiled | None, views: Views, groups: Mapping[str, NetworkSecurityGroup]
    ) -> None:
        self._before = before
        self._views = views
        self._groups = groups
        model = NetworkModel() if before is None else before.model
        before_by_name = {group.name: group for group in model.network_security_groups}
        self._unchanged = {
            name for name, group in groups.items() if is_equal(group, before_by_name.get(name))
        }

    def tables(self, view: View, name: str) -> tuple[CompiledTable, CompiledTable]:
        """The outbound and the inbound table of a group in one view."""
        before, views, group = self._before, self._views, self._groups[name]
        indexes = None if before is None else before.of_groups.get((view, name))
        if before is None or indexes is None:
            return self._compile(view, group, Direction.OUTBOUND), self._compile(
                view, group, Direction.INBOUND
            )
        outbound, inbound = (before.policy.tables[index] for index in indexes)
        if name in self._unchanged and (
            views.are_same or views.resolves_alike(view, group, before.views)
        ):
            return outbound, inbound
        made_outbound = self._compile(view, group, Direction.OUTBOUND)
        made_inbound = self._compile(view, group, Direction.INBOUND)
        # Descriptions and other spellings of one thing leave a table as it was.
        return (
            outbound if outbound == made_outbound else made_outbound,
            inbound if inbound == made_inbound else made_inbound,
        )

    def _compile(
        self, view: View, group: NetworkSecurityGroup, direction: Direction
    ) -> CompiledTable:
        rules = effective_security_rules(self._views.resolver(view), group, direction)
        return compile_table(group.name, direction, rules)


def _tables_ahead(
    before: Compiled | None, model: NetworkModel, views: Views, first: int
) -> _TablesAhead:
    """The tables that stand ahead, which have indexes from *first* on."""
    if (
        before is not None
        and views.are_same
        and model.subscription == before.model.subscription
        and is_equal(
            model.security_admin_configurations, before.model.security_admin_configurations
        )
    ):
        return before.ahead
    tables: list[CompiledTable] = []
    smtp: dict[str, int] = {}
    # Where a resource of unknown age may send, all may.
    if is_smtp_blocked(model.subscription, None, model.dialect.smtp):
        for owner in model.virtual_networks:
            smtp[owner.name] = first + len(tables)
            tables.append(smtp_table(views.resolver((owner.name, ()))))
    admin = _add_admin_tables(model, views, first, tables)
    known = {} if before is None else {_likeness(each): each for each in before.ahead.tables}
    for position, table in enumerate(tables):
        found = known.get(_likeness(table))
        if found == table:
            tables[position] = found
    return _TablesAhead(tuple(tables), smtp, admin)


def _likeness(table: CompiledTable) -> object:
    """What equal tables have in common, and few others."""
    sizes = tuple(
        (len(rule.source.ranges_v4), len(rule.destination.ranges_v4)) for rule in table.rules
    )
    return table.direction, table.rule_names, table.allows, sizes


def _endpoint_map(
    model: NetworkModel, index: Mapping[_Association, tuple[int, int]], tables: _TablesAhead
) -> EndpointMap:
    terms = model.dialect.smtp

    def ahead(network: str, subnet: str, created: date | None) -> Ahead:
        outbound, inbound = tables.admin.get((network, subnet), ((), ()))
        # The platform lets no administrator allow what it forbids.
        if is_smtp_blocked(model.subscription, created, terms):
            outbound = (tables.smtp[network], *outbound)
        return outbound, inbound

    return build_endpoint_map(model, index, ahead)


def _add_admin_tables(
    model: NetworkModel, views: Views, first: int, tables: list[CompiledTable]
) -> dict[tuple[str, str], Ahead]:
    """The tables of security admin rules by virtual network and subnet; shared in a view."""
    result: dict[tuple[str, str], Ahead] = {}
    admin_rules = AdminRules(model)
    made: dict[View, Ahead] = {}
    for network in model.virtual_networks:
        for subnet in network.subnets:
            if is_exempt(subnet):
                continue
            view = views.of_subnet[network.name, subnet.name]
            if view not in made:
                indexes: list[tuple[int, ...]] = []
                for direction in (Direction.OUTBOUND, Direction.INBOUND):
                    rules = admin_rules.effective(views.resolver(view), network.name, direction)
                    indexes.append((first + len(tables),) if rules else ())
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
