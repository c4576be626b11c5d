"""Classes of values that neither rules nor endpoints tell apart, for the worker's look-ups.

They are most of what a policy costs to hand over, and a change of one rule leaves most of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.rule import Protocol
from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap, join_classes
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.effective import EffectiveSecurityRule
from nsgd.policy.table import CompiledTable

_PORTS = 65536
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PolicyClasses:
    """The classes of one policy; fields are those of nsgd.runtime.worker_policy.WorkerPolicy."""

    addresses: Mapping[IPVersion, tuple[Sequence[int], Sequence[int]]]
    links: Mapping[str, int]
    source_ports: array[int]
    tcp_ports: array[int]
    udp_ports: array[int]


# Ports of a rule, and whether they are ports of TCP and of UDP.
_PortsKey = tuple[bool, bool, Sequence[Range]]


@dataclass(frozen=True, slots=True)
class _Told:
    """What some tables tell apart; by identity where that is quicker, as it often is."""

    addresses: frozenset[tuple[IPVersion, Sequence[Range]]]
    source_ports: frozenset[Sequence[Range]]
    destination_ports: frozenset[_PortsKey]

    @classmethod
    def of(cls, rules: Sequence[EffectiveSecurityRule]) -> _Told:
        return cls(
            frozenset(
                (version, side.ranges(version))
                for rule in rules
                for side in (rule.source, rule.destination)
                for version in IP_VERSIONS
            ),
            frozenset(rule.source_ports for rule in rules),
            frozenset(map(_ports_key, rules)),
        )


class PolicyClassesMaker:
    """Makes the classes of one policy after the other; what cannot differ is made once."""

    def __init__(self) -> None:
        self._before: tuple[CompiledPolicy, PolicyClasses] | None = None

    def of(self, policy: CompiledPolicy) -> PolicyClasses:
        """The classes of a policy."""
        before, known = self._before or (None, None)
        has_all = before is not None and before.endpoint_map is policy.endpoint_map
        came = _without(policy.tables, before.tables) if before is not None and has_all else ()
        went = _without(before.tables, policy.tables) if before is not None and has_all else ()
        now, then = map(_Told.of, _others(_rules(came), _rules(went)))

        def kept_or(
            is_same: bool, kept: Callable[[PolicyClasses], _T], make: Callable[[], _T]
        ) -> _T:
            return kept(known) if has_all and is_same and known is not None else make()

        source_ports = kept_or(
            now.source_ports == then.source_ports,
            lambda known: known.source_ports,
            lambda: _port_classes(rule.source_ports for rule in _rules(policy.tables)),
        )
        tcp_ports, udp_ports = kept_or(
            now.destination_ports == then.destination_ports,
            lambda known: (known.tcp_ports, known.udp_ports),
            lambda: _destination_port_classes(_rules(policy.tables)),
        )
        addresses = kept_or(
            now.addresses == then.addresses,
            lambda known: known.addresses,
            lambda: {version: _address_classes(policy, version) for version in IP_VERSIONS},
        )
        links = kept_or(True, lambda known: known.links, lambda: _link_classes(policy))
        made = PolicyClasses(addresses, links, source_ports, tcp_ports, udp_ports)
        self._before = policy, made
        return made


def _without(
    tables: Sequence[CompiledTable], others: Sequence[CompiledTable]
) -> Sequence[CompiledTable]:
    there = {id(table) for table in others}
    return [table for table in tables if id(table) not in there]


def _rules(tables: Iterable[CompiledTable]) -> list[EffectiveSecurityRule]:
    return [rule for table in tables for rule in table.rules]


def _others(
    came: Sequence[EffectiveSecurityRule], went: Sequence[EffectiveSecurityRule]
) -> tuple[Sequence[EffectiveSecurityRule], Sequence[EffectiveSecurityRule]]:
    """Without what both begin and end with: most of two tables of which one took the other's place.

    It is compared, mostly by identity, in much less time than hashed.
    """
    shorter = min(len(came), len(went))
    first = next((i for i in range(shorter) if came[i] != went[i]), shorter)
    last = next(
        (i for i in range(shorter - first) if came[-1 - i] != went[-1 - i]), shorter - first
    )
    return came[first : len(came) - last], went[first : len(went) - last]


def _alike(policy: CompiledPolicy) -> list[int]:
    """For each endpoint the first one that is judged by the same tables in the same network."""
    first: dict[tuple[object, ...], int] = {}
    return [
        first.setdefault((endpoint.virtual_network, endpoint.outbound, endpoint.inbound), index)
        for index, endpoint in enumerate(policy.endpoint_map.endpoints)
    ]


def _link_classes(policy: CompiledPolicy) -> dict[str, int]:
    by_link = policy.endpoint_map.by_link
    if not by_link:
        return {}
    alike = _alike(policy)
    return {link: alike[endpoint] for link, endpoint in by_link.items()}


def _address_classes(
    policy: CompiledPolicy, version: IPVersion
) -> tuple[Sequence[int], Sequence[int]]:
    endpoints = policy.endpoint_map
    # Where packets of this version are nobody's no table is asked about them.
    if version not in endpoints.versions:
        return [0], [0]
    alike = _alike(policy)
    values = [value if value < 0 else alike[value] for value in endpoints.values[version]]
    sets = (
        side.ranges(version)
        for table in policy.tables
        for rule in table.rules
        for side in (rule.source, rule.destination)
    )
    return join_classes([(endpoints.starts[version], values)], sets)


def _port_classes(ranges: Iterable[Sequence[Range]]) -> array[int]:
    return _written_out(join_classes((), ranges), _PORTS)


def _ports_key(rule: EffectiveSecurityRule) -> _PortsKey:
    is_any = Protocol.ANY in rule.protocols
    is_tcp = is_any or Protocol.TCP in rule.protocols
    is_udp = is_any or Protocol.UDP in rule.protocols
    return is_tcp, is_udp, rule.destination_ports


def _destination_port_classes(
    rules: Iterable[EffectiveSecurityRule],
) -> tuple[array[int], array[int]]:
    """Of TCP and of UDP, as if the ports of UDP came behind those of TCP."""
    ranges = (
        tuple(
            (first + offset, last + offset)
            for is_meant, offset in ((is_tcp, 0), (is_udp, _PORTS))
            if is_meant
            for first, last in ports
        )
        for is_tcp, is_udp, ports in dict.fromkeys(map(_ports_key, rules))
    )
    classes = _written_out(join_classes((), ranges), 2 * _PORTS)
    return classes[:_PORTS], classes[_PORTS:]


def _written_out(step_map: StepMap, count: int) -> array[int]:
    """The results for the first *count* values."""
    written = array("H")
    starts, results = step_map
    for first, after, number in zip(starts, (*starts[1:], count), results, strict=True):
        # No port is behind the last, though a range that ends there says what would be.
        written.extend([number] * (min(after, count) - min(first, count)))
    return written
