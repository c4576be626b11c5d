"""The chains that ask the tables of an endpoint, one for all endpoints that ask the same.

A resource's group and its subnet's are a pair. Few pairs have a chain each; where there are many,
there is a chain for each group of resources, which looks the subnet's table up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nsgd.model.address import IPVersion
from nsgd.model.rule import Direction
from nsgd.policy.endpoints import Endpoint
from nsgd.ruleset.chains import ASK
from nsgd.ruleset.endpoint_maps import Ways
from nsgd.ruleset.names import profile_chain, root_chain

# Pairs that have chains of their own, at most.
MOST_PAIRS = 256

# Indexes of tables in the order in which they are asked; None is the subnet's, by the address.
Tables = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class AskedTable:
    """What the chains that ask a table need of it."""

    label: str
    is_of_group: bool
    final_marks: tuple[int, ...]
    tree_versions: tuple[IPVersion, ...]


class Profiles:
    """Which chain an endpoint's packets go by, and what these chains ask.

    Its chains are known once every endpoint has asked for its way.
    """

    def __init__(self, asked: Sequence[AskedTable]) -> None:
        self._asked = asked
        self._names: set[str] = set()
        self._profiles: dict[tuple[Direction, Tables, IPVersion], str] = {}

    def ways(self, endpoints: Iterable[Endpoint]) -> Ways:
        """The ways of endpoints: None where a table on it has no tree."""
        pairs = {each.outbound for each in endpoints if self._is_pair(each.outbound)}
        has_subnets = len(pairs) > MOST_PAIRS
        half = self._half if has_subnets else self._pair
        return Ways(self._pair, half, self._subnet, has_subnets, ASK)

    def chains(self) -> Collection[tuple[tuple[Direction, Tables, IPVersion], str]]:
        """Each chain's direction, tables in the order in which it asks them, version; its name."""
        return self._profiles.items()

    def _pair(self, endpoint: Endpoint, direction: Direction, version: IPVersion) -> str | None:
        """The chain that asks all tables of an endpoint."""
        tables = _tables_of(endpoint, direction)
        return (
            self._profile(direction, tables, version) if self._has_trees(tables, version) else None
        )

    def _half(self, endpoint: Endpoint, direction: Direction, version: IPVersion) -> str | None:
        """The chain that asks those of the endpoint itself, and looks the subnet's up."""
        tables = _tables_of(endpoint, direction)
        if not self._has_trees(tables, version):
            return None
        if not self._is_pair(tables):
            return self._profile(direction, tables, version)
        place = _place_of_subnet(direction, tables)
        return self._profile(direction, (*tables[:place], None, *tables[place + 1 :]), version)

    def _subnet(self, endpoint: Endpoint, direction: Direction, version: IPVersion) -> str | None:
        """The chain of the table that _half() leaves out."""
        tables = _tables_of(endpoint, direction)
        if not self._is_pair(tables) or not self._has_trees(tables, version):
            return None
        table = self._asked[tables[_place_of_subnet(direction, tables)]]
        return root_chain(table.label, version)

    def _is_pair(self, tables: tuple[int, ...]) -> bool:
        """Tell whether the last two are of groups, the resource's own and its subnet's."""
        of_groups = 0
        for index in tables:
            if self._asked[index].is_of_group:
                of_groups += 1
        return of_groups == 2

    def _has_trees(self, tables: tuple[int, ...], version: IPVersion) -> bool:
        for index in tables:  # noqa: SIM110 - a generator costs as much as all the rest
            if version not in self._asked[index].tree_versions:
                return False
        return True

    def _profile(self, direction: Direction, tables: Tables, version: IPVersion) -> str:
        """The chain that asks these tables."""
        key = direction, tables, version
        name = self._profiles.get(key)
        if name is None:
            labels = [None if index is None else self._asked[index].label for index in tables]
            name = profile_chain(direction, version, labels)
            # Tables of one group in two virtual networks.
            while name in self._names:
                name += "_"
            self._names.add(name)
            self._profiles[key] = name
        return name


def _tables_of(endpoint: Endpoint, direction: Direction) -> tuple[int, ...]:
    return endpoint.outbound if direction is Direction.OUTBOUND else endpoint.inbound


def _place_of_subnet(direction: Direction, tables: tuple[int, ...]) -> int:
    """Where in a pair the subnet's table is: the one further from the resource."""
    return len(tables) - (1 if direction is Direction.OUTBOUND else 2)
