"""On tiny policies lint finds what asking every packet finds, no more and no less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import pytest

from nsgd.analysis.findings import Finding, Kind
from nsgd.analysis.groups import denies_everything
from nsgd.analysis.lint import LintResult, lint
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.answers.ip_flow import judge
from nsgd.model.address import Address, Prefix
from nsgd.model.network import NetworkModel
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import (
    Access,
    Direction,
    GroupMembers,
    SecurityRule,
    ServiceTag,
    TagAddress,
)
from nsgd.policy.address_set import AddressSet
from nsgd.policy.effective import EffectiveSecurityRule, RuleKind, effective_security_rules
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.spaces.budget import Budget
from tests.analysis.drawn import tiny_model, tiny_packets
from tests.policy.builders import ALLOW, DENY, INBOUND, OUTBOUND

MODELS = 10
PORT = 2  # what manages machines in a tiny network
FAR = Address.parse("9.9.9.9").value  # stands for all of the Internet that no rule names
BALANCER = Address.parse("168.63.129.16").value
_IPV6 = [Address.parse(t).value for t in ("2a00::1", "fd00::1", "fe80::1234:5678:9abc")]
PACKETS = [
    *tiny_packets(),
    *(
        PacketHeader(6, protocol, *ends, *ports, False)
        for ends in product(_IPV6, _IPV6)
        for protocol in (6, 17, 47, 50, 58)
        for ports in (product(range(5), range(5)) if protocol in (6, 17) else [(0, 0)])
    ),
]

SPACE = {4: Prefix.parse("10.0.0.0/29"), 6: Prefix.parse("fd00::/125")}


def packets_of(direction: Direction) -> list[PacketHeader]:
    """Those from or to an address of the network."""
    return [
        packet
        for packet in PACKETS
        if SPACE[packet.version].contains(
            Address(packet.version, packet.destination if direction is INBOUND else packet.source)
        )
    ]


Found = set[tuple[Kind, str, str, Direction]]


def rules_of(model: NetworkModel) -> Iterator[tuple[str, Direction, list[SecurityRule]]]:
    """Each group's rules of each direction, by priority."""
    for group in model.network_security_groups:
        for direction in (INBOUND, OUTBOUND):
            rules = [rule for rule in group.security_rules if rule.direction is direction]
            yield group.name, direction, sorted(rules, key=lambda rule: rule.priority)


class Brute:
    """Asks every packet."""

    def __init__(self, model: NetworkModel) -> None:
        self.model = model
        self.policy = AnalysedPolicy(model)
        self.found: Found = set()
        network = model.virtual_networks[0]
        self.resolver = self.policy.compiled.views.resolver((network.name, ()))
        self.tables = {
            (group.name, direction): compile_table(
                group.name, direction, effective_security_rules(self.resolver, group, direction)
            )
            for group in model.network_security_groups
            for direction in (INBOUND, OUTBOUND)
        }
        self.backstops = {
            (group, direction): rules[-1].name
            for group, direction, rules in rules_of(model)
            if rules and denies_everything(rules[-1])
        }

    def all(self) -> Found:
        for group, direction, rules in rules_of(self.model):
            self._rules(group, direction, rules)
        self._resources()
        return self.found

    def _rules(self, group: str, direction: Direction, rules: list[SecurityRule]) -> None:
        table = self.tables[group, direction]
        packets = packets_of(direction)
        decided = {table.match(*packet[:6]) for packet in packets}
        names = table.rule_names
        for rule in rules:
            index = names.index(rule.name)
            sides = rule.source, rule.destination
            if any(
                isinstance(side, GroupMembers) and self.resolver.addresses(side) == AddressSet()
                for side in sides
            ):
                self._add(Kind.EMPTY_GROUP, group, rule, direction)
                assert index not in decided
                continue
            if self.backstops.get((group, direction)) == rule.name:
                continue
            if index not in decided:
                alone = compile_table(group, direction, (table.rules[index], table.rules[-1]))
                if any(alone.match(*packet[:6]) == 0 for packet in packets):
                    self._add(Kind.NEVER_MATCHES, group, rule, direction)
                continue
            left = [each for each in table.rules if each.name != rule.name]
            without = compile_table(group, direction, left)
            if not any(
                table.match(*packet[:6]) == index
                and without.is_allowed(without.match(*packet[:6])) is not table.is_allowed(index)
                for packet in packets
            ) and not self._is_default(rule, table, direction, packets):
                self._add(Kind.CHANGES_NOTHING, group, rule, direction)

    def _is_default(
        self,
        rule: SecurityRule,
        table: CompiledTable,
        direction: Direction,
        packets: list[PacketHeader],
    ) -> bool:
        """Whether an Allow of what leaves, or of probes, is one that no Allow had to be for."""
        of_probes = rule.source == TagAddress(ServiceTag.AZURE_LOAD_BALANCER)
        if rule.access is DENY or (direction is INBOUND and not of_probes):
            return False
        left = [
            each for each in table.rules if each.access is DENY or each.kind is not RuleKind.USER
        ]
        without = compile_table("g", direction, left)
        index = table.rule_names.index(rule.name)
        return all(
            without.is_allowed(without.match(*packet[:6]))
            for packet in packets
            if table.match(*packet[:6]) == index
        )

    def _resources(self) -> None:
        local: dict[str, set[int]] = {}
        passing: set[tuple[str, Direction, str]] = set()
        stopped: dict[tuple[str, Direction, str], SecurityRule] = {}
        by_name = {
            (group, direction, rule.name): rule
            for group, direction, rules in rules_of(self.model)
            for rule in rules
        }
        alone: set[tuple[str, Direction]] = set()
        endpoint_map = self.policy.compiled.policy.endpoint_map
        for packet, direction in product(PACKETS, (INBOUND, OUTBOUND)):
            address = packet.destination if direction is INBOUND else packet.source
            endpoint = endpoint_map.by_address(packet.version, address)
            if endpoint < 0:
                continue
            tables = self.policy.tables(endpoint, direction)
            if len(tables) == 1:
                alone.add((tables[0].network_security_group, direction))
            local.setdefault(str(endpoint), set()).add(address)
            answer = judge(tables, packet)
            reported = answer.reported
            for table in tables:
                key = (
                    table.network_security_group,
                    direction,
                    table.rule_names[table.match(*packet[:6])],
                )
                if key in by_name and by_name[key].access is ALLOW:
                    if answer.access is Access.ALLOW:
                        passing.add(key)
                    else:
                        stopped[key] = by_name[key]
            if reported is None:
                continue
            key = reported.network_security_group, direction, reported.rule
            rule = by_name.get(key)
            if rule is not None and direction is INBOUND and packet.protocol == 6:
                self._service(packet, key[0], rule, tables)
        for key, rule in stopped.items():
            if key not in passing and key[:2] not in alone:
                self._add(Kind.DENIED_ELSEWHERE, key[0], rule, key[1])

    def _service(
        self,
        packet: PacketHeader,
        group: str,
        rule: SecurityRule,
        tables: tuple[CompiledTable, ...],
    ) -> None:
        """What a TCP packet to a resource shows of the rule that is reported."""
        if rule.access is ALLOW and packet.source == FAR and packet.destination_port == PORT:
            self._add(Kind.MANAGEMENT_PORT_OPEN, group, rule, INBOUND)
        serving = any(
            each.access is ALLOW
            and each.priority < 65000
            and each.protocol.value in ("Tcp", "*")
            and each.destination_ports != ((0, 65535),)
            and packet.destination_port != PORT
            and any(f <= packet.destination_port <= t for f, t in each.destination_ports)
            for table in tables
            for each in table.rules
        )
        is_special = rule.name != self.backstops.get((group, INBOUND))
        everywhere = ((0, (1 << 32) - 1),)
        if (
            rule.access is DENY
            and packet.source == BALANCER
            and serving
            and is_special
            and self.resolver.addresses(rule.source).ranges_v4 != everywhere
        ):
            self._add(Kind.DENIES_PROBES, group, rule, INBOUND)

    def _add(self, kind: Kind, group: str, rule: SecurityRule, direction: Direction) -> None:
        self.found.add((kind, group, rule.name, direction))


def said(result: LintResult, model: NetworkModel) -> Found:
    """The findings that brute force looks for; of unattached groups those of rules alone."""
    attached = {
        name
        for resources in (model.virtual_networks[0].subnets, model.network_interfaces)
        for each in resources
        if (name := each.network_security_group)
    }
    of_resources = (Kind.MANAGEMENT_PORT_OPEN, Kind.DENIES_PROBES)
    return {
        (each.kind, each.group, each.rule or "", each.direction or INBOUND)
        for each in result.findings
        if each.kind
        not in (
            Kind.CONFLICTING_RULES,
            Kind.NO_SUCH_ADDRESS,
            Kind.UNATTACHED_GROUP,
            Kind.DENIES_PLATFORM,
        )
        and (each.group in attached or each.kind not in of_resources)
    }


@pytest.mark.parametrize("number", range(MODELS))
def test_every_packet_says_the_same(number: int) -> None:
    """Rules that never match, change nothing, are denied elsewhere; open ports; probes."""
    model = tiny_model(f"brute-{number}")
    result = lint(model, Budget(), {PORT: "tiny"})
    assert not result.unfinished
    assert said(result, model) == Brute(model).all()


def test_the_models_have_everything() -> None:
    """Each kind that brute force looks for is among what it finds."""
    models = [tiny_model(f"brute-{number}") for number in range(MODELS)]
    found = [said(lint(model, Budget(), {PORT: "tiny"}), model) for model in models]
    kinds = {kind for of_model in found for kind, *_ in of_model}
    assert kinds == {
        Kind.NEVER_MATCHES,
        Kind.CHANGES_NOTHING,
        Kind.EMPTY_GROUP,
        Kind.DENIED_ELSEWHERE,
        Kind.MANAGEMENT_PORT_OPEN,
        Kind.DENIES_PROBES,
    }


def test_named_rules_cover_together() -> None:
    """The rules that a finding names decide all that the rule matches, and none is superfluous."""
    checked = 0
    for number in range(30):
        model = tiny_model(f"cover-{number}")
        brute = Brute(model)
        for finding in lint(model, Budget()).findings:
            if finding.kind is not Kind.NEVER_MATCHES:
                continue
            assert finding.rule is not None
            assert finding.direction is not None
            table = brute.tables[finding.group, finding.direction]
            names = [other.rule for other in finding.others]
            kept = [
                each
                for each in table.rules
                if each.name in (*names, finding.rule) or each is table.rules[-1]
            ]
            assert not _decides(finding, kept)
            for name in names:
                assert _decides(finding, [each for each in kept if each.name != name])
            checked += 1
    assert checked >= 5


def _decides(finding: Finding, rules: Sequence[EffectiveSecurityRule]) -> bool:
    assert finding.rule is not None
    table = compile_table(finding.group, finding.direction or INBOUND, rules)
    index = table.rule_names.index(finding.rule)
    packets = packets_of(finding.direction or INBOUND)
    return any(table.match(*packet[:6]) == index for packet in packets)
