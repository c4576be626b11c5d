"""What resources let in and out by all their tables: ports that are open, and services denied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from nsgd.analysis.findings import Finding, Kind, RuleName, Unfinished
from nsgd.analysis.groups import Asked, SeenGroup
from nsgd.analysis.policy import last_address
from nsgd.analysis.table_search import Apart, Outcome, TableSearch, Values
from nsgd.model.address import IP_VERSIONS, Address, IPVersion
from nsgd.model.packet import TCP, UDP
from nsgd.model.platform import PlatformAddresses
from nsgd.model.rule import Access, Protocol, ServiceTag, TagAddress
from nsgd.policy.address_set import AddressSet
from nsgd.policy.admin import is_admin_table
from nsgd.policy.effective import ALL_PORT_RANGES, EffectiveSecurityRule, NetworkResolver, RuleKind
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.budget import Budget, OverBudget
from nsgd.spaces.chain import NOBODY
from nsgd.spaces.ranges import Ranges, common, minus, size, union
from nsgd.spaces.space import Box
from nsgd.spaces.witness import witness

MANAGEMENT_PORTS: Mapping[int, str] = {
    22: "SSH",
    23: "Telnet",
    135: "RPC",
    445: "SMB",
    2375: "Docker",
    3389: "RDP",
    5900: "VNC",
    5985: "WinRM",
    5986: "WinRM over TLS",
}
# So many addresses are "the Internet": those of a /8, or of IPv6 of a /16. An administrator's own
# addresses, or those of a company, are fewer.
_MANY: dict[IPVersion, int] = {4: 1 << 24, 6: 1 << 112}
_TCP: Ranges = ((TCP, TCP),)
_WRITTEN = (RuleKind.USER, RuleKind.ADMIN)


class ChainLint:
    """The tables that some resources are asked by, in one direction."""

    def __init__(
        self,
        asked: Asked,
        resolver: NetworkResolver,
        subnet: str | None,
        groups: Mapping[str, SeenGroup],
        budget: Budget,
    ) -> None:
        """Prepare.

        Args:
            asked: The tables, and whose they are.
            resolver: How tags are seen there.
            subnet: From where, as network/subnet.
            groups: Every group by name, for its deliberate last denial.
            budget: Of all questions.
        """
        self._asked = asked
        self._resolver = resolver
        self._subnet = subnet
        self._groups = groups
        self._budget = budget

    def open_ports(self, ports: Mapping[int, str]) -> Iterator[Finding | Unfinished]:
        """Rules that let much of the Internet reach a port that manages machines."""
        internet = self._resolver.addresses(TagAddress(ServiceTag.INTERNET))
        suspects = [port for port in ports if self._may_open(port)]
        if not suspects:
            return
        search = self._search(
            {
                version: {
                    Field.PROTOCOL: [_TCP],
                    Field.DESTINATION_PORT: [((port, port),) for port in suspects],
                    Field.SOURCE: [internet.ranges(version)],
                }
                for version in IP_VERSIONS
            }
        )

        def is_open(outcome: Outcome, rule: EffectiveSecurityRule) -> bool:
            return outcome[0] and rule.kind in _WRITTEN

        found: dict[RuleName, tuple[list[int], Values, IPVersion]] = {}
        for version, port in product(IP_VERSIONS, suspects):
            parts = {
                Field.PROTOCOL: _TCP,
                Field.DESTINATION_PORT: ((port, port),),
                Field.SOURCE: internet.ranges(version),
            }
            unfinished, ends = self._ends(
                Kind.MANAGEMENT_PORT_OPEN, search, version, parts, is_open
            )
            yield from unfinished
            for name, boxes in ends.items():
                reached = union(box[Field.SOURCE] for box in boxes)
                if size(reached) >= _MANY[version]:
                    known = found.setdefault(name, ([], boxes[0], version))
                    if port not in known[0]:
                        known[0].append(port)
        for name, (open_ports, box, version) in found.items():
            listed = ", ".join(f"{port} ({ports[port]})" for port in sorted(open_ports))
            message = f"opens TCP {listed} to the Internet"
            yield self._finding(Kind.MANAGEMENT_PORT_OPEN, name, message, version, box)

    def denied_probes(self, ports: Mapping[int, str]) -> Iterator[Finding | Unfinished]:
        """Rules that deny health probes, by chance or on purpose, where there is a service.

        A Deny of everything from everywhere is a decision. One of VirtualNetwork or Internet, both
        of which hold the address that probes come from, may not have been made about probes. A
        service is a port that some rule names, but for *ports* that manage machines.
        """
        serving = union(
            rule.destination_ports
            for rule in self._written_rules(Access.ALLOW)
            if rule.protocol in (Protocol.TCP, Protocol.ANY)
            # All ports are no service, and who manages machines does so one by one.
            and rule.destination_ports != ALL_PORT_RANGES
        )
        serving = minus(serving, tuple((port, port) for port in sorted(ports)))
        balancer = self._resolver.addresses(TagAddress(ServiceTag.AZURE_LOAD_BALANCER))
        if not serving or not any(
            common(rule.source.ranges(version), balancer.ranges(version))
            and rule.source.ranges(version) != _everything(version)
            for rule in self._written_rules(Access.DENY)
            for version in IP_VERSIONS
        ):
            return
        for version in IP_VERSIONS:
            parts = {
                Field.PROTOCOL: _TCP,
                Field.DESTINATION_PORT: serving,
                Field.SOURCE: balancer.ranges(version),
            }
            search = self._search({version: {field: [each] for field, each in parts.items()}})
            everything = _everything(version)

            def is_denied(
                outcome: Outcome,
                rule: EffectiveSecurityRule,
                version: IPVersion = version,
                everything: Ranges = everything,
            ) -> bool:
                is_user = rule.kind in _WRITTEN
                return not outcome[0] and is_user and rule.source.ranges(version) != everything

            unfinished, ends = self._ends(Kind.DENIES_PROBES, search, version, parts, is_denied)
            yield from unfinished
            for name, boxes in ends.items():
                message = "denies health probes of the load balancer to ports that others may use"
                yield self._finding(Kind.DENIES_PROBES, name, message, version, boxes[0])

    def denied_platform(self, platform: PlatformAddresses) -> Iterator[Finding | Unfinished]:
        """Rules that deny what virtual machines need of Azure's platform."""

        def is_denied(outcome: Outcome, rule: EffectiveSecurityRule) -> bool:
            return not outcome[0] and rule.kind in _WRITTEN

        found: dict[RuleName, tuple[list[str], Values, IPVersion]] = {}
        for service, version in product(_services(platform), IP_VERSIONS):
            destinations = AddressSet.of_addresses(service.addresses).ranges(version)
            if not self._may_deny(destinations, version, service.port):
                continue
            parts: dict[Field, Ranges] = {
                Field.PROTOCOL: ((service.protocol, service.protocol),),
                Field.DESTINATION_PORT: ((service.port, service.port),),
                Field.DESTINATION: destinations,
            }
            search = self._search({version: {field: [each] for field, each in parts.items()}})
            unfinished, ends = self._ends(Kind.DENIES_PLATFORM, search, version, parts, is_denied)
            yield from unfinished
            for name, boxes in ends.items():
                found.setdefault(name, ([], boxes[0], version))[0].append(service.name)
        for name, (denied, box, version) in found.items():
            message = f"denies {', '.join(denied)}, which virtual machines need of the platform"
            yield self._finding(Kind.DENIES_PLATFORM, name, message, version, box)

    # -- what they share ---------------------------------------------------------------

    def _written_rules(self, access: Access) -> Iterator[EffectiveSecurityRule]:
        for table in self._asked.tables:
            for rule in table.rules:
                if rule.kind in _WRITTEN and rule.access is access:
                    yield rule

    def _may_open(self, port: int) -> bool:
        return any(
            rule.protocol in (Protocol.TCP, Protocol.ANY)
            and common(rule.destination_ports, ((port, port),))
            and any(size(rule.source.ranges(version)) >= _MANY[version] for version in IP_VERSIONS)
            for rule in self._written_rules(Access.ALLOW)
        )

    def _may_deny(self, destinations: Ranges, version: IPVersion, port: int) -> bool:
        return any(
            common(rule.destination.ranges(version), destinations)
            and common(rule.destination_ports, ((port, port),))
            for rule in self._written_rules(Access.DENY)
        )

    def _search(self, apart: Apart) -> TableSearch:
        asked = self._asked
        return TableSearch(asked.tables, asked.direction, asked.local, self._budget, apart)

    def _ends(
        self,
        kind: Kind,
        search: TableSearch,
        version: IPVersion,
        parts: Mapping[Field, Ranges],
        wanted: Callable[[Outcome, EffectiveSecurityRule], bool],
    ) -> tuple[list[Unfinished], dict[RuleName, list[Values]]]:
        """By reported rule, the boxes of local packets with these values that end as wanted."""
        if not all(parts.values()):
            return [], {}
        box = search.local_box(version)
        if box is None:
            return [], {}
        space = search.space(version)
        own = space.box({f: space.axis(f).of_ranges(ranges) for f, ranges in parts.items()})
        inside: Box = tuple(a & b for a, b in zip(box, own, strict=True))
        if not all(inside):
            return [], {}

        def is_wanted(outcome: Outcome) -> bool:
            if outcome[1] == NOBODY:
                return False
            name, rule = self._named(search, outcome[1])
            return wanted(outcome, rule) and not self._is_backstop(name)

        try:
            with self._budget.question():
                ends = search.outcomes(version, inside, is_wanted)
        except OverBudget:
            return [
                Unfinished(kind, table.network_security_group, None)
                for table in self._asked.tables
                if table.network_security_group or is_admin_table(table)
            ], {}
        result: dict[RuleName, list[Values]] = {}
        for outcome, boxes in ends.items():
            result.setdefault(self._named(search, outcome[1])[0], []).extend(boxes)
        return [], result

    @staticmethod
    def _named(search: TableSearch, bit: int) -> tuple[RuleName, EffectiveSecurityRule]:
        reference = search.book.after(bit)
        group = reference.table.network_security_group
        return RuleName(group, reference.rule.name), reference.rule

    def _is_backstop(self, name: RuleName) -> bool:
        seen = self._groups.get(name.group)
        # A last security admin rule that denies everything is told where it denies the platform:
        # the last rule of a group does not.
        backstops = () if seen is None else seen.backstops(self._asked.direction)
        return any(backstop.name == name.rule for backstop in backstops)

    def _finding(
        self, kind: Kind, name: RuleName, message: str, version: IPVersion, box: Values
    ) -> Finding:
        return Finding(
            kind,
            name.group,
            name.rule,
            message,
            self._asked.direction,
            (),
            witness(version, box),
            self._subnet,
        )


class _Service(NamedTuple):
    name: str
    addresses: tuple[Address, ...]
    protocol: int
    port: int


def _services(platform: PlatformAddresses) -> tuple[_Service, ...]:
    return (
        _Service("DHCP", platform.host, UDP, 67),
        _Service("DNS", platform.host, UDP, 53),
        _Service("DNS over TCP", platform.host, TCP, 53),
        _Service("the agent", platform.host, TCP, 80),
        _Service("metadata", platform.metadata, TCP, 80),
        _Service("Windows activation", platform.key_management, TCP, 1688),
    )


def _everything(version: IPVersion) -> Ranges:
    return ((0, last_address(version)),)
