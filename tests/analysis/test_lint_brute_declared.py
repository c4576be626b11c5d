"""On tiny policies the findings about declarations are what asking every value and packet says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nsgd.analysis.findings import Kind
from nsgd.analysis.groups import denies_everything
from nsgd.analysis.lint import lint
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.answers.ip_flow import judge
from nsgd.model.address import Address
from nsgd.model.dialect import DIALECTS
from nsgd.model.network import NetworkModel, ServiceTagPrefixes
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import (
    Access,
    Direction,
    GroupMembers,
    PrefixList,
    PublishedTag,
    RuleAddress,
    SecurityRule,
    ServiceTag,
    TagAddress,
)
from nsgd.policy.effective import RuleKind
from nsgd.spaces.budget import Budget
from tests.analysis.drawn import tiny_model
from tests.analysis.test_lint_brute import PACKETS, Brute, packets_of, rules_of
from tests.policy.builders import ALLOW, INBOUND, OUTBOUND, prefixes

MODELS = 30
_PORTS = (0, 1, 2, 3, 4, 65535)
_ADDRESSES = {
    (packet.version, a) for packet in PACKETS for a in (packet.source, packet.destination)
}
Told = set[tuple[str, str, Direction]]


def told(model: NetworkModel, kind: Kind) -> Told:
    result = lint(model, Budget())
    assert not result.unfinished
    return {
        (each.group, each.rule or "", each.direction or INBOUND)
        for each in result.findings
        if each.kind is kind
    }


def attached(model: NetworkModel) -> set[str]:
    return {
        name
        for owners in (model.virtual_networks[0].subnets, model.network_interfaces)
        for each in owners
        if (name := each.network_security_group)
    }


# -- conflicting rules -----------------------------------------------------------------


def values_of(brute: Brute, rule: SecurityRule) -> dict[str, set[object]]:
    """What a rule matches in each field where it may straddle another, of the tiny space."""
    found: dict[str, set[object]] = {}
    for name, ports in (("source", rule.source_ports), ("destination", rule.destination_ports)):
        found[f"{name} ports"] = {
            port for port in _PORTS if any(each.first <= port <= each.last for each in ports)
        }
    for name, side in (("source", rule.source), ("destination", rule.destination)):
        if isinstance(side, PrefixList | GroupMembers):
            addresses = brute.resolver.addresses(side)
            found[f"{name} {type(side).__name__}"] = {
                (version, value)
                for version, value in _ADDRESSES
                if addresses.contains(version, value)
            }
    return found


def conflicts(brute: Brute, model: NetworkModel) -> Iterator[tuple[str, str, Direction]]:
    """Rules that straddle one ahead of them of the other access, which decides some packet of both.

    A rule that is all that a direction ends with on purpose conflicts with none, nor do those that
    decide nothing.
    """
    for group, direction, rules in rules_of(model):
        table = brute.tables[group, direction]
        packets = packets_of(direction)
        deciding = {packet: table.rule_names[table.match(*packet[:6])] for packet in packets}
        alive = set(deciding.values())
        if rules and denies_everything(rules[-1]):
            alive.discard(rules[-1].name)
        for index, rule in enumerate(rules):
            for other in rules[:index]:
                if (
                    other.access is not rule.access
                    and {rule.name, other.name} <= alive
                    and _straddle(values_of(brute, rule), values_of(brute, other))
                    and any(
                        decider == other.name and _matches(brute, rule, packet)
                        for packet, decider in deciding.items()
                    )
                ):
                    yield group, rule.name, direction
                    break


def _matches(brute: Brute, rule: SecurityRule, packet: PacketHeader) -> bool:
    resolved = brute.resolver.resolve(rule)
    numbers = {"Tcp": {6}, "Udp": {17}, "Icmp": {1 if packet.version == 4 else 58}, "Esp": {50}}
    has_ports = packet.protocol in (6, 17)
    of_ports = (
        (rule.source_ports, packet.source_port),
        (rule.destination_ports, packet.destination_port),
    )
    return (
        packet.protocol in numbers.get(rule.protocol.value, {packet.protocol})
        and resolved.source.contains(packet.version, packet.source)
        and resolved.destination.contains(packet.version, packet.destination)
        and all(
            any(each.first <= port <= each.last for each in ports)
            if has_ports
            else any((each.first, each.last) == (0, 65535) for each in ports)
            for ports, port in of_ports
        )
    )


def _straddle(one: dict[str, set[object]], other: dict[str, set[object]]) -> bool:
    return any(
        values & other[name] and values - other[name] and other[name] - values
        for name, values in one.items()
        if name in other
    )


def test_conflicting_rules() -> None:
    """A list or range of one field overlaps another's, and neither holds the other."""
    seen = 0
    for number in range(MODELS):
        model = tiny_model(f"declared-{number}")
        expected = set(conflicts(Brute(model), model))
        seen += len(expected)
        assert told(model, Kind.CONFLICTING_RULES) == expected
    assert seen >= 3


# -- addresses that nothing has --------------------------------------------------------


def strangers(model: NetworkModel) -> Iterator[tuple[str, str, Direction]]:
    """Rules whose own side names prefixes of which no resource that asks them has an address."""
    policy = AnalysedPolicy(model)
    addresses: dict[int, set[tuple[int, int]]] = {}
    for version, value in _ADDRESSES:
        endpoint = policy.compiled.policy.endpoint_map.by_address(version, value)
        if endpoint >= 0:
            addresses.setdefault(endpoint, set()).add((version, value))
    for group, direction, rules in rules_of(model):
        local = {
            address
            for endpoint, found in addresses.items()
            for address in found
            if any(
                table.network_security_group == group
                for table in policy.tables(endpoint, direction)
            )
        }
        for rule in rules:
            side = rule.destination if direction is INBOUND else rule.source
            if isinstance(side, PrefixList):
                named = {p.version for p in side.prefixes}
                has_some = any(
                    prefix.contains(Address(version, value))  # type: ignore[arg-type]
                    for prefix in side.prefixes
                    for version, value in local
                )
                is_matched = any(
                    isinstance(each, GroupMembers)
                    and not any(
                        set(nic.application_security_groups) & set(each.application_security_groups)
                        for nic in model.network_interfaces
                    )
                    for each in (rule.source, rule.destination)
                )
                if not has_some and not is_matched and named & {version for version, _ in local}:
                    yield group, rule.name, direction


def test_addresses_that_nothing_has() -> None:
    """Of attached groups, whose resources all have others."""
    seen = 0
    for number in range(MODELS):
        model = tiny_model(f"declared-{number}")
        expected = set(strangers(model))
        seen += len(expected)
        assert told(model, Kind.NO_SUCH_ADDRESS) == expected
    assert seen > 10


# -- denials of the platform -----------------------------------------------------------

_SERVICES = (
    ("168.63.129.16", UDP, 67),
    ("168.63.129.16", UDP, 53),
    ("168.63.129.16", TCP, 53),
    ("168.63.129.16", TCP, 80),
    ("169.254.169.254", TCP, 80),
)


def platform_denials(model: NetworkModel) -> Iterator[tuple[str, str, Direction]]:
    """Rules that are reported for a denied packet to a service, but for deliberate last ones."""
    policy = AnalysedPolicy(model)
    backstops = {
        (group, rules[-1].name)
        for group, direction, rules in rules_of(model)
        if direction is OUTBOUND and rules and denies_everything(rules[-1])
    }
    services = [(Address.parse(text).value, *rest) for text, *rest in _SERVICES]
    services += [(address.value, TCP, 1688) for address in model.platform.key_management]
    for version, source in _ADDRESSES:
        endpoint = policy.compiled.policy.endpoint_map.by_address(version, source)
        if endpoint < 0 or version == 6:
            continue
        tables = policy.tables(endpoint, OUTBOUND)
        users = {
            (table.network_security_group, rule.name)
            for table in tables
            for rule in table.rules
            if rule.kind is RuleKind.USER
        }
        for (address, protocol, port), source_port in (
            (service, source_port) for service in services for source_port in _PORTS
        ):
            packet = PacketHeader(4, protocol, source, address, source_port, port, False)
            answer = judge(tables, packet)
            if answer.access is Access.DENY and answer.reported is not None:
                key = answer.reported.network_security_group, answer.reported.rule
                if key in users and key not in backstops:
                    yield *key, OUTBOUND


def all_outbound(model: NetworkModel) -> NetworkModel:
    """Every rule is about what leaves."""
    groups = tuple(
        replace(
            group,
            security_rules=tuple(
                replace(rule, direction=OUTBOUND) for rule in group.security_rules
            ),
        )
        for group in model.network_security_groups
    )
    return replace(model, network_security_groups=groups)


def test_denials_of_the_platform() -> None:
    """In the dialect of 2017, where every rule may deny it."""
    seen = 0
    for number in range(MODELS):
        model = all_outbound(replace(tiny_model(f"declared-{number}"), dialect=DIALECTS["2017"]))
        expected = {each for each in platform_denials(model) if each[0] in attached(model)}
        seen += len(expected)
        found = told(model, Kind.DENIES_PLATFORM)
        assert {each for each in found if each[0] in attached(model)} == expected
    assert seen > 5


# -- tags of all regions ---------------------------------------------------------------


def with_tags(model: NetworkModel) -> NetworkModel:
    """Two addresses are a tag, and one of them its region, in place of other sides of rules."""
    used: set[str] = set()

    def changed(side: RuleAddress) -> RuleAddress:
        if side == TagAddress(ServiceTag.INTERNET):
            used.add("Storage")
            return PublishedTag("Storage")
        if side == PrefixList(prefixes("8.8.8.8")):
            used.add("Storage.WestUS")
            return PublishedTag("Storage.WestUS")
        return side

    groups = tuple(
        replace(
            group,
            security_rules=tuple(
                replace(rule, source=changed(rule.source), destination=changed(rule.destination))
                for rule in group.security_rules
            ),
        )
        for group in model.network_security_groups
    )
    tags = {"Storage": ("8.8.8.8", "9.9.9.9"), "Storage.WestUS": ("8.8.8.8",)}
    return replace(
        model,
        network_security_groups=groups,
        service_tags=tuple(
            ServiceTagPrefixes(name, prefixes(*tags[name])) for name in sorted(used)
        ),
    )


def wide_tags(model: NetworkModel) -> Iterator[tuple[str, str, Direction]]:
    """Allow rules of the tag that decide a packet of another region than the one in use."""
    if len(model.service_tags) < 2:
        return
    brute = Brute(model)
    other = Address.parse("9.9.9.9").value
    for group, direction, rules in rules_of(model):
        table = brute.tables[group, direction]
        last = rules[-1] if rules and denies_everything(rules[-1]) else None
        for rule in rules:
            sides = ((rule.source, "source"), (rule.destination, "destination"))
            index = table.rule_names.index(rule.name)
            if (
                rule is not last
                and rule.access is ALLOW
                and any(
                    side == PublishedTag("Storage")
                    and any(
                        getattr(packet, name) == other and table.match(*packet[:6]) == index
                        for packet in packets_of(direction)
                    )
                    for side, name in sides
                )
            ):
                yield group, rule.name, direction


def test_tags_of_all_regions() -> None:
    """An Allow that reaches a region which the policy does not name."""
    seen = 0
    for number in range(MODELS):
        model = with_tags(tiny_model(f"declared-{number}"))
        expected = set(wide_tags(model))
        seen += len(expected)
        assert told(model, Kind.WIDE_TAG) == expected
    assert seen >= 3
