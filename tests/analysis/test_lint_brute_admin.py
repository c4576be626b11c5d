"""On tiny policies with security admin rules lint finds what asking every packet finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from nsgd.analysis.findings import Kind
from nsgd.analysis.lint import LintResult, lint
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.answers.ip_flow import judge
from nsgd.model.address import Address, Prefix
from nsgd.model.admin import (
    AdminAccess,
    AdminAddress,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import AnyAddress, Direction, PrefixList, Protocol, ServiceTag, TagAddress
from nsgd.policy.admin import is_admin_table
from nsgd.policy.effective import EffectiveSecurityRule, RuleKind
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.spaces.budget import Budget
from tests.analysis.drawn import tiny_model
from tests.analysis.test_lint_brute import BALANCER, FAR, PACKETS, PORT
from tests.oracle.choose import Chooser, RandomChooser, chance, pick
from tests.policy.builders import ALLOW, DENY, INBOUND, OUTBOUND, port_ranges, prefixes, subnet

MODELS = (4, 19, 40, 57)  # which have everything
MORE_MODELS = range(70, 100)
EVERYTHING = ((0, (1 << 32) - 1),)
SPACES = {"vnet": prefixes("10.0.0.0/29", "fd00::/125"), "other": prefixes("10.0.0.8/31")}
SIDES: tuple[tuple[AdminAddress, ...], ...] = (
    (AnyAddress(),),
    (AnyAddress(),),
    *(
        tuple(PrefixList((Prefix.parse(text),)) for text in texts.split(","))
        for texts in ("10.0.0.0/29", "10.0.0.0/30", "10.0.0.4/31", "10.0.0.1,10.0.0.8", "8.8.8.8")
    ),
    *((TagAddress(tag),) for tag in ServiceTag),
    (TagAddress(ServiceTag.INTERNET), PrefixList((Prefix.parse("10.0.0.0/30"),))),
)
Found = set[tuple[Kind, str, str, Direction]]


def admin_rules(chooser: Chooser, first: int) -> Iterator[SecurityAdminRule]:
    """A few rules of few values, often wide ones."""
    for index in range(1 + chooser.integer(3)):
        protocol = Protocol(pick(chooser, ("*", "*", "Tcp", "Udp")))
        yield SecurityAdminRule(
            f"a{first + index}",
            first + index,
            OUTBOUND if chance(chooser, 30) else INBOUND,
            pick(chooser, tuple(AdminAccess)),
            protocol,
            pick(chooser, SIDES),
            destinations=pick(chooser, SIDES) if chance(chooser, 40) else (AnyAddress(),),
            destination_ports=port_ranges(pick(chooser, ("*", "*", "0-1", "1-2", "2-65535", "3"))),
        )


def administered(seed: str) -> NetworkModel:
    """A tiny network and another, with rules that both have and rules of one alone."""
    chooser = RandomChooser(f"{seed}-admin")
    model = tiny_model(seed)
    other = VirtualNetwork(
        "other",
        SPACES["other"],
        (subnet("s3", "10.0.0.8/31", pick(chooser, ("g1", "g2", None))),),
    )
    collections = tuple(
        RuleCollection(f"c{first}", networks, tuple(admin_rules(chooser, first)))
        for first, networks in ((1, ("vnet", "other")), (10, ("other",)), (20, ("vnet", "other")))
    )
    return replace(
        model,
        virtual_networks=(*model.virtual_networks, other),
        security_admin_configurations=(SecurityAdminConfiguration("base", collections),),
    )


def follows(table: CompiledTable, index: int) -> tuple[bool, bool]:
    """What follows a rule of security admin rules: whether it denies, and whether it is final."""
    return not table.is_allowed(index), table.is_final(index)


class Brute:
    """Asks every packet of every resource, and of every address that a network has."""

    def __init__(self, model: NetworkModel) -> None:
        self.policy = AnalysedPolicy(model)
        self.found: Found = set()
        self.asked: list[tuple[Direction, str, tuple[CompiledTable, ...], list[PacketHeader]]] = []
        endpoint_map = self.policy.compiled.policy.endpoint_map
        for direction in (INBOUND, OUTBOUND):
            by_endpoint: dict[int, list[PacketHeader]] = {}
            for packet in PACKETS:
                endpoint = endpoint_map.by_address(packet.version, local(packet, direction))
                if endpoint >= 0:
                    by_endpoint.setdefault(endpoint, []).append(packet)
            for endpoint, packets in by_endpoint.items():
                network = self.policy.subjects[endpoint].virtual_network
                tables = self.policy.tables(endpoint, direction)
                self.asked.append((direction, network, tables, packets))

    def all(self) -> Found:
        for direction in (INBOUND, OUTBOUND):
            self._admin(direction)
        for direction, _, tables, packets in self.asked:
            if direction is INBOUND:
                for packet in packets:
                    self._service(packet, tables)
        self._groups()
        return self.found

    def _admin(self, direction: Direction) -> None:
        tables = {
            network: table
            for of_direction, network, asked, _ in self.asked
            for table in asked
            if of_direction is direction and is_admin_table(table)
        }
        packets = {
            network: [p for p in PACKETS if is_of(network, p, direction)] for network in tables
        }
        decided = {
            network: [table.match(*packet[:6]) for packet in packets[network]]
            for network, table in tables.items()
        }
        names = {name for table in tables.values() for name in table.rule_names[:-1]}
        for name in names:
            seen = {n: table for n, table in tables.items() if name in table.rule_names}
            rule = next(t.rules[t.rule_names.index(name)] for t in seen.values())
            if is_deny_all(rule) and all(t.rule_names[-2] == name for t in seen.values()):
                continue
            indexes = {network: table.rule_names.index(name) for network, table in seen.items()}
            if not any(indexes[network] in decided[network] for network in seen):
                if any(
                    alone(table, indexes[network]).match(*packet[:6]) == 0
                    for network, table in seen.items()
                    for packet in packets[network]
                ):
                    self.found.add((Kind.NEVER_MATCHES, "", name, direction))
                continue
            if not any(
                follows(without, without.match(*packet[:6])) != follows(table, index)
                for network, table in seen.items()
                for without in [less(table, indexes[network])]
                for packet, index in zip(packets[network], decided[network], strict=True)
                if index == indexes[network]
            ):
                self.found.add((Kind.CHANGES_NOTHING, "", name, direction))

    def _service(self, packet: PacketHeader, tables: tuple[CompiledTable, ...]) -> None:
        reported = judge(tables, packet).reported
        if packet.protocol != 6 or reported is None or reported.network_security_group:
            return
        (rule,) = (rule for table in tables for rule in table.rules if rule.name == reported.rule)
        if rule.access is ALLOW and packet.source == FAR and packet.destination_port == PORT:
            self.found.add((Kind.MANAGEMENT_PORT_OPEN, "", rule.name, INBOUND))
        serving = any(
            each.access is ALLOW
            and each.kind in (RuleKind.USER, RuleKind.ADMIN)
            and each.protocol in (Protocol.TCP, Protocol.ANY)
            and each.destination_ports != ((0, 65535),)
            and packet.destination_port != PORT
            and any(f <= packet.destination_port <= t for f, t in each.destination_ports)
            for table in tables
            for each in table.rules
        )
        is_special = rule.access is DENY and rule.source.ranges_v4 != EVERYTHING
        if is_special and packet.source == BALANCER and serving:
            self.found.add((Kind.DENIES_PROBES, "", rule.name, INBOUND))

    def _groups(self) -> None:
        """What becomes of the packets that a rule of a group decides, wherever it is asked."""
        ends: dict[tuple[str, str, Direction], set[str]] = {}
        rules: dict[tuple[str, str, Direction], EffectiveSecurityRule] = {}
        alone, without_admin = set(), set()
        for direction, _, tables, packets in self.asked:
            for table in tables:
                group = table.network_security_group
                if len(tables) == 1:
                    alone.add((group, direction))
                if not any(is_admin_table(each) for each in tables):
                    without_admin.add((group, direction))
            for packet in packets:
                passes = judge(tables, packet).access is ALLOW
                denies = is_final = False
                for before in filter(is_admin_table, tables):
                    denies, is_final = follows(before, before.match(*packet[:6]))
                for table in tables:
                    rule = table.rules[table.match(*packet[:6])]
                    if rule.kind is RuleKind.USER:
                        key = table.network_security_group, rule.name, direction
                        rules[key] = rule
                        ends.setdefault(key, set()).update(
                            (
                                "passes" if passes else "stopped",
                                "denied" if denies else "final" if is_final else "asked",
                            )
                        )
        for key, seen in ends.items():
            group, name, direction = key
            if is_deny_all(rules[key]):
                continue  # a backstop, if anything of it decides
            of_group = group, direction
            is_allow = rules[key].access is ALLOW
            if is_allow and "passes" not in seen and of_group not in alone:
                self.found.add((Kind.DENIED_ELSEWHERE, group, name, direction))
            elif "asked" not in seen and of_group not in without_admin:
                is_overridden = not is_allow and "final" in seen
                kind = Kind.ALWAYS_ALLOWED if is_overridden else Kind.NEVER_ASKED
                self.found.add((kind, group, name, direction))


def local(packet: PacketHeader, direction: Direction) -> int:
    return packet.destination if direction is INBOUND else packet.source


def is_of(network: str, packet: PacketHeader, direction: Direction) -> bool:
    address = Address(packet.version, local(packet, direction))
    return any(prefix.contains(address) for prefix in SPACES[network])


def is_deny_all(rule: EffectiveSecurityRule) -> bool:
    return (
        rule.access is DENY
        and rule.protocol is Protocol.ANY
        and rule.source.ranges_v4 == rule.destination.ranges_v4 == EVERYTHING
        and rule.source_ports == rule.destination_ports == ((0, 65535),)
    )


def alone(table: CompiledTable, index: int) -> CompiledTable:
    return compile_table("", table.direction, (table.rules[index], table.rules[-1]))


def less(table: CompiledTable, index: int) -> CompiledTable:
    rules = [rule for number, rule in enumerate(table.rules) if number != index]
    return compile_table("", table.direction, rules)


def said(result: LintResult) -> Found:
    """Of security admin rules, and of those of groups that they leave without effect."""
    about_groups = (Kind.DENIED_ELSEWHERE, Kind.NEVER_ASKED, Kind.ALWAYS_ALLOWED)
    others = (Kind.CONFLICTING_RULES, Kind.NO_SUCH_ADDRESS, Kind.DENIES_PLATFORM)
    return {
        (each.kind, each.group, each.rule or "", each.direction or INBOUND)
        for each in result.findings
        if (each.kind not in others if not each.group else each.kind in about_groups)
    }


@pytest.mark.parametrize(
    "number", [*MODELS, *(pytest.param(each, marks=pytest.mark.slow) for each in MORE_MODELS)]
)
def test_every_packet_says_the_same(number: int) -> None:
    """Rules that never match, change nothing, are never asked; open ports; probes."""
    model = administered(f"admin-{number}")
    result = lint(model, Budget(), {PORT: "tiny"})
    assert not result.unfinished
    assert said(result) == Brute(model).all()


def test_the_models_have_everything() -> None:
    """Each kind that brute force looks for is among what it finds."""
    models = [administered(f"admin-{number}") for number in MODELS]
    found = {each for m in models for each in said(lint(m, Budget(), {PORT: "tiny"}))}
    assert {(kind, bool(group)) for kind, group, *_ in found} == {
        *product((Kind.NEVER_MATCHES, Kind.CHANGES_NOTHING), [False]),
        *product((Kind.MANAGEMENT_PORT_OPEN, Kind.DENIES_PROBES), [False]),
        *product((Kind.DENIED_ELSEWHERE, Kind.NEVER_ASKED, Kind.ALWAYS_ALLOWED), [True]),
    }
