"""Where outbound rules deny Azure's platform, in dialects that do not exempt its traffic."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nsgd.model.address import ADDRESS_BITS, Address, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.packet import TCP, UDP
from nsgd.model.platform import PlatformAddresses
from nsgd.policy.address_set import Range
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.endpoints import AMBIGUOUS, EndpointMap
from nsgd.policy.table import CompiledTable

_EPHEMERAL_PORT = 50000


class _Service(NamedTuple):
    """What every virtual machine asks of an address of the platform."""

    name: str
    protocol: int
    port: int
    source_port: int = _EPHEMERAL_PORT


_OF_HOST = (
    _Service("DHCP", UDP, 67, 68),
    _Service("DNS", UDP, 53),
    _Service("DNS over TCP", TCP, 53),
    _Service("the agent", TCP, 80),
)
_OF_METADATA = (_Service("metadata", TCP, 80),)


def platform_notes(model: NetworkModel) -> list[str]:
    """A line on each network security group that denies a service of the platform to a resource.

    Source:
        Azure, Network security overview of 2017-09-19, on 168.63.129.16 and 169.254.169.254: «Si
        vous bloquez le trafic vers ou à partir de ces adresses IP, une machine virtuelle ne peut
        pas fonctionner correctement.»
    """
    if model.dialect.exempts_platform_traffic:
        return []
    policy = compile_policy(model)
    senders: dict[tuple[int, IPVersion], list[Range]] = {}
    for version in ADDRESS_BITS:
        for table, span in _senders(policy.endpoint_map, version):
            senders.setdefault((table, version), []).append(span)
    return list(dict.fromkeys(_notes(policy, senders, model.platform)))


def _notes(
    policy: CompiledPolicy,
    senders: dict[tuple[int, IPVersion], list[Range]],
    platform: PlatformAddresses,
) -> Iterator[str]:
    """One line for each table that denies one address."""
    services: list[tuple[Address, tuple[_Service, ...]]] = [
        *((address, _OF_HOST) for address in platform.host),
        *((address, _OF_METADATA) for address in platform.metadata),
    ]
    for (index, version), spans in sorted(senders.items()):
        table = policy.tables[index]
        if not table.network_security_group:
            continue
        for address, of_address in services:
            if address.version != version:
                continue
            denied = {
                service.name: rule
                for service in of_address
                for rule in (_denying_rule(table, spans, address, service),)
                if rule is not None
            }
            if denied:
                words = ", ".join(f"{name} by {rule}" for name, rule in denied.items())
                yield (
                    f"network security group {table.network_security_group} denies outbound traffic"
                    f" to {address} ({words}), without which a virtual machine does not work"
                    " properly; allow it by a rule of a lower priority number"
                )


def _senders(endpoint_map: EndpointMap, version: IPVersion) -> Iterator[tuple[int, Range]]:
    """Addresses of resources, with each table that judges what leaves them."""
    starts, values = endpoint_map.starts[version], endpoint_map.values[version]
    ends = [*(start - 1 for start in starts[1:]), (1 << ADDRESS_BITS[version]) - 1]
    for first, last, value in zip(starts, ends, values, strict=True):
        if value <= AMBIGUOUS:
            found: Iterable[int] = endpoint_map.ambiguities[AMBIGUOUS - value].values()
        else:
            found = (value,) if value >= 0 else ()
        for endpoint in found:
            for table in endpoint_map.endpoints[endpoint].outbound:
                yield table, (first, last)


def _denying_rule(
    table: CompiledTable, spans: Iterable[Range], to: Address, service: _Service
) -> str | None:
    """The rule that denies the service to some address of *spans*, if one does."""
    family = table.family_v4 if to.version == 4 else table.family_v6
    starts = family.sources.starts
    for first, last in spans:
        # What the table says changes at these addresses only.
        inside = starts[bisect_right(starts, first) : bisect_left(starts, last + 1)]
        for source in (first, *inside):
            rule = table.match(
                to.version, service.protocol, source, to.value, service.source_port, service.port
            )
            if not table.is_allowed(rule):
                return table.rule_names[rule]
    return None
