"""Classes of values that neither rules nor endpoints tell apart, for the worker's look-ups.

They are most of what a policy costs to hand over, and a change of one rule leaves most of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from operator import sub
from typing import NamedTuple

from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, IPVersion
from nsgd.model.rule import Protocol
from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap, classes_of, join_classes, random_tokens
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.effective import EffectiveSecurityRule
from nsgd.policy.refine import refine_ports, refine_steps
from nsgd.policy.table import CompiledTable

_PORTS = 65536
# Beyond so many ranges, as of a big tag, all is made anew.
_MOST_RANGES = 256
# What is gone stays told apart, until so many ranges have come since all was made anew: a quarter
# of the number of rules, and not fewer than these.
_MOST_SPARE = 250


@dataclass(frozen=True, slots=True)
class PolicyClasses:
    """The classes of one policy; fields are those of nsgd.runtime.worker_policy.WorkerPolicy."""

    addresses: Mapping[IPVersion, tuple[Sequence[int], Sequence[int]]]
    links: Mapping[str, int]
    source_ports: Sequence[int]
    tcp_ports: Sequence[int]
    udp_ports: Sequence[int]


# Ports of a rule, and whether they are ports of TCP and of UDP.
_PortsKey = tuple[bool, bool, Sequence[Range]]


class Told(NamedTuple):
    """What some tables tell apart."""

    addresses: frozenset[tuple[IPVersion, Sequence[Range]]] = frozenset()
    source_ports: frozenset[Sequence[Range]] = frozenset()
    destination_ports: frozenset[_PortsKey] = frozenset()

    @classmethod
    def of(cls, rules: Sequence[EffectiveSecurityRule]) -> Told:
        """What rules tell apart."""
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

    def without(self, other: Told) -> Told:
        """What only these tell apart."""
        return Told(
            self.addresses - other.addresses,
            self.source_ports - other.source_ports,
            self.destination_ports - other.destination_ports,
        )

    @property
    def ranges(self) -> int:
        """How many there are in all."""
        ports = (*self.source_ports, *(ports for _, _, ports in self.destination_ports))
        return sum(map(len, (*ports, *(ranges for _, ranges in self.addresses))))

    def to_plain(self) -> tuple[list[object], ...]:
        """For refined() in another process: Told(*plain)."""
        return tuple(map(list, self))


class PolicyClassesMaker:
    """Makes the classes of one policy after the other; what cannot differ is made once.

    After a change of few rules they are those of before, refined by what is new: *added* says by
    what, for refined(). It is None where they were made anew.
    """

    def __init__(self) -> None:
        self._before: tuple[CompiledPolicy, PolicyClasses] | None = None
        self._spare = self._most_spare = 0
        self.added: Told | None = None

    def of(self, policy: CompiledPolicy) -> PolicyClasses:
        """The classes of a policy."""
        made = None if self._before is None else self._after(*self._before, policy)
        if made is None:
            rules = _rules(policy.tables)
            made = _made_anew(policy, rules)
            self._spare, self._most_spare = 0, max(_MOST_SPARE, len(rules) // 4)
            self.added = None
        self._before = policy, made
        return made

    def _after(
        self, before: CompiledPolicy, known: PolicyClasses, policy: CompiledPolicy
    ) -> PolicyClasses | None:
        if before.endpoint_map is not policy.endpoint_map:
            return None
        came = _without(policy.tables, before.tables)
        went = _without(before.tables, policy.tables)
        now, then = map(Told.of, _others(_rules(came), _rules(went)))
        self.added = now.without(then)
        self._spare += self.added.ranges
        if self.added.ranges > _MOST_RANGES or self._spare > self._most_spare:
            return None
        return refined(known, self.added)


def refined(known: PolicyClasses, added: Told) -> PolicyClasses | None:
    """Classes that tell apart what *added* does too; what does so already is the same object.

    None where there would be too many of ports.
    """
    made = known
    if added.addresses:
        addresses = dict(known.addresses)
        for version, ranges in added.addresses:
            addresses[version] = refine_steps(
                addresses[version], ranges, 1 << ADDRESS_BITS[version]
            )
        if any(addresses[version] is not known.addresses[version] for version in IP_VERSIONS):
            made = replace(made, addresses=addresses)
    for ports in added.source_ports:
        found = refine_ports([made.source_ports], [ports])
        if found is None:
            return None
        made = replace(made, source_ports=found[0])
    for is_tcp, is_udp, ports in added.destination_ports:
        meant = [ports if is_tcp else (), ports if is_udp else ()]
        found = refine_ports([made.tcp_ports, made.udp_ports], meant)
        if found is None:
            return None
        made = replace(made, tcp_ports=found[0], udp_ports=found[1])
    return made


def _made_anew(policy: CompiledPolicy, rules: Sequence[EffectiveSecurityRule]) -> PolicyClasses:
    return PolicyClasses(
        {version: _address_classes(policy, version) for version in IP_VERSIONS},
        _link_classes(policy),
        _port_classes(rule.source_ports for rule in rules),
        *_destination_port_classes(rules),
    )


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
    flips: defaultdict[int, int] = defaultdict(int)
    flips[0] = 0
    keys = dict.fromkeys(map(_ports_key, rules))
    for (is_tcp, is_udp, ports), token in zip(keys, random_tokens(), strict=False):
        for first, last in ports:
            if is_tcp:
                flips[first] ^= token
                flips[last + 1] ^= token
            if is_udp:
                flips[_PORTS + first] ^= token
                flips[_PORTS + last + 1] ^= token
    classes = _written_out(classes_of(flips), 2 * _PORTS)
    return classes[:_PORTS], classes[_PORTS:]


def _written_out(step_map: StepMap, count: int) -> array[int]:
    """The results for the first *count* values."""
    starts, results = step_map
    # What a range that ends with the last value says of the one behind it is nobody's.
    bounds = [*starts[: bisect_left(starts, count)], count]
    return array("H", chain.from_iterable(map(repeat, results, map(sub, bounds[1:], bounds))))
