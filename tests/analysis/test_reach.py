"""Reach says of every packet of tiny policies what the engines decide, and so do its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from nsgd.analysis.assertion_check import Outcome, check
from nsgd.analysis.assertions import Assertion
from nsgd.analysis.ends import End, Ends
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.analysis.reach import Reach, is_allowed
from nsgd.analysis.reach_flows import Ruling
from nsgd.analysis.reach_rows import in_question, rows_of_resources
from nsgd.analysis.reach_summary import rows_of_ends
from nsgd.analysis.reach_told import Among, Asked, Label, Row
from nsgd.model.address import Address
from nsgd.model.admin import (
    AdminAccess,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.network import ApplicationSecurityGroup, NetworkModel, VirtualNetwork
from nsgd.model.packet import ICMP, ICMPV6, PacketHeader
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import UNMANAGED, decide
from nsgd.spaces.budget import Budget
from nsgd.spaces.flow_sets import EVERY, FlowBox
from tests.analysis.drawn import tiny_model
from tests.analysis.test_lint_brute import PACKETS
from tests.oracle.choose import RandomChooser, pick
from tests.policy.builders import ALLOW, INBOUND, group, nic, prefixes, rule, side, subnet

MODELS = 6
_EVERY_FLOW = FlowBox(*EVERY)


def with_admin_rules(model: NetworkModel, seed: str) -> NetworkModel:
    """The model with a few security admin rules ahead of its groups."""
    chooser = RandomChooser(seed)
    rules = tuple(
        SecurityAdminRule(
            f"a{number}",
            number + 1,
            pick(chooser, tuple(Direction)),
            pick(chooser, tuple(AdminAccess)),
            pick(chooser, (Protocol.TCP, Protocol.ANY)),
            (side(pick(chooser, ("*", "10.0.0.4/31", "tag:Internet"))),),  # type: ignore[arg-type]
        )
        for number in range(3)
    )
    configuration = SecurityAdminConfiguration("c", (RuleCollection("r", ("vnet",), rules),))
    return replace(model, security_admin_configurations=(configuration,))


def model_of(number: int) -> NetworkModel:
    groups = tuple(ApplicationSecurityGroup(name, "vnet") for name in ("a", "b"))
    model = replace(tiny_model(f"reach-{number}"), application_security_groups=groups)
    return with_admin_rules(model, f"admin-{number}") if number % 2 else model


def flow_of(packet: PacketHeader) -> tuple[int, int, int]:
    """In the words of functions, which have ICMP for both versions."""
    protocol = packet.protocol
    if packet.version == 6:
        protocol = {ICMP: ICMPV6, ICMPV6: ICMP}.get(protocol, protocol)
    return protocol, packet.destination_port, packet.source_port


def class_of(reach: Reach, packet: PacketHeader, address: int) -> int:
    """The one class that has an address."""
    (found,) = (
        number
        for number, each in enumerate(reach.classes.classes)
        if each.version == packet.version
        and any(f <= address <= t for part in each.parts for f, t in part.ranges)
    )
    return found


def everything(model: NetworkModel, *, is_by_rule: bool = True) -> tuple[Reach, Ends, End]:
    policy = AnalysedPolicy(model)
    ends = Ends(policy)
    every = ends.find("*")
    return Reach(policy, [every], Budget(), is_by_rule=is_by_rule), ends, every


@pytest.mark.parametrize("number", range(MODELS))
def test_every_packet_is_decided_alike(number: int) -> None:
    """By the same rules, at both ends, security admin rules among them; and a pair if judged."""
    model = model_of(number)
    reach, _, every = everything(model)
    compiled = compile_policy(model)
    pairs = dict(reach.pairs(every, every))
    classes: dict[tuple[int, int], int] = {}
    rulings: dict[tuple[int, int], int] = {}
    for packet in PACKETS:
        ends = []
        for address in (packet.source, packet.destination):
            key = packet.version, address
            if key not in classes:
                classes[key] = class_of(reach, packet, address)
            ends.append(classes[key])
        sender, receiver = ends
        decision = decide(compiled, packet, None, None)
        is_judged = bool(pairs.get(sender, 0) >> receiver & 1)
        assert is_judged is (decision != UNMANAGED)
        if not is_judged:
            continue
        if (sender, receiver) not in rulings:
            found = reach.flow_set(sender, receiver)
            assert found is not None
            rulings[sender, receiver] = found
        ruling = reach.flows.at(rulings[sender, receiver], flow_of(packet))
        assert is_allowed(ruling) is (decision.access is Access.ALLOW)
        # The rule that is reported of each direction.
        told = {each.direction: each for each in decision.consulted}
        said = reach.decided(sender, receiver, packet)
        assert said == (told.get(Direction.OUTBOUND), told.get(Direction.INBOUND))
        assert isinstance(ruling, Ruling)
        assert (ruling.outbound >= 0, ruling.inbound >= 0) == tuple(
            each is not None for each in said
        )


def holds(row: Row, packet: PacketHeader, model: NetworkModel) -> bool:
    """Whether a row is about the ends of a packet."""
    ends = ((row.senders, packet.source), (row.receivers, packet.destination))
    return row.version == packet.version and all(
        any(_is_at(label, packet, address, model) for label in labels) for labels, address in ends
    )


def _is_at(label: Label, packet: PacketHeader, address: int, model: NetworkModel) -> bool:
    if label.addresses is not None:
        return any(first <= address <= last for first, last in label.addresses)
    owner = _owner(model, Address(packet.version, address))
    return label.subject.name == (owner or "*")


def _owner(model: NetworkModel, address: Address) -> str | None:
    for each in model.network_interfaces:
        if address in each.private_ip_addresses:
            return each.name
    for each_subnet in model.virtual_networks[0].subnets:
        if any(prefix.contains(address) for prefix in each_subnet.address_prefixes):
            return f"vnet/{each_subnet.name}"
    return None


@pytest.mark.parametrize("is_by_rule", [False, True])
@pytest.mark.parametrize("number", range(MODELS))
def test_rows_tell_every_packet(number: int, is_by_rule: bool) -> None:
    """A packet that passes is in one line; one that does not is in none, or in one of Deny."""
    model = model_of(number)
    reach, _, every = everything(model, is_by_rule=is_by_rule)
    compiled = compile_policy(model)
    asked = Asked([(every, every)], reach.flows.of_box(_EVERY_FLOW, True, False), True)
    told = rows_of_resources(reach, asked)
    assert not told.undetermined
    for packet in PACKETS[::7]:
        decision = decide(compiled, packet, None, None)
        ends = [_owner(model, Address(packet.version, a)) for a in packet[2:4]]
        if packet.source == packet.destination or (ends[0] == ends[1] in ("n1", "n2")):
            continue  # nobody sends to itself
        lines = [
            line
            for row in told.rows
            if holds(row, packet, model)
            for line in row.lines
            if _has(line.box, packet)
        ]
        if decision == UNMANAGED:
            assert not lines
            continue
        (line,) = lines
        assert line.is_allowed is (decision.access is Access.ALLOW)
    for row in told.rows:
        for line in row.lines:
            assert holds(row, line.witness, model)
            assert _has(line.box, line.witness)
            assert line.witness.source != line.witness.destination
            decision = decide(compiled, line.witness, None, None)
            assert line.is_allowed is (decision.access is Access.ALLOW)


def _has(box: FlowBox, packet: PacketHeader) -> bool:
    flow = flow_of(packet)
    has_ports = flow[0] in (6, 17)
    return all(
        any(first <= value <= last for first, last in ranges)
        for level, (ranges, value) in enumerate(zip(box, flow, strict=True))
        if level == 0 or has_ports
    )


_NAMES = ("n1", "n2", "vnet/s1", "vnet/s2", "a", "b", "Internet", "VirtualNetwork", "10.0.0.4/31")


def _packets(model: NetworkModel, senders: str, receivers: str) -> Iterator[PacketHeader]:
    """The packets of a tiny space between two ends, by what the ends are in plain words."""
    members = {"a": ("n1", "n2"), "b": ("n2",)}
    resolver = AnalysedPolicy(model).compiled.views.resolver(("vnet", ()))

    def is_in(name: str, packet: PacketHeader, value: int) -> bool:
        address = Address(packet.version, value)
        owner = _owner(model, address)
        if name in members:
            return owner in members[name]
        if name.startswith("vnet/"):
            (found,) = (s for s in model.virtual_networks[0].subnets if name == f"vnet/{s.name}")
            return any(prefix.contains(address) for prefix in found.address_prefixes)
        if name[0].isupper():
            of_tag = resolver.addresses(side(f"tag:{name}"))
            # Of the platform's address these ends are without.
            return of_tag.contains(packet.version, value) and str(address) != "168.63.129.16"
        if name[0].isdigit():
            return any(prefix.contains(address) for prefix in prefixes(name))
        return owner == name

    for packet in PACKETS:
        owners = [_owner(model, Address(packet.version, value)) for value in packet[2:4]]
        if owners == [None, None] or packet.source == packet.destination:
            continue
        if owners[0] == owners[1] in ("n1", "n2"):
            continue
        if is_in(senders, packet, packet.source) and is_in(receivers, packet, packet.destination):
            yield packet


@pytest.mark.parametrize("number", range(24))
def test_assertions_and_summaries(number: int) -> None:
    """All and any, and what passes between all and some: as asking every packet says."""
    chooser = RandomChooser(f"assert-{number}")
    model = model_of(number % MODELS)
    policy = AnalysedPolicy(model)
    ends = Ends(policy)
    names = pick(chooser, _NAMES), pick(chooser, _NAMES)
    one, other = (ends.find(name) for name in names)
    reach = Reach(policy, [one, other], Budget())
    ports = pick(chooser, (((0, 65535),), ((1, 1),), ((2, 3),)))
    flows = FlowBox(((6, 6),), ports, ((0, 65535),))
    packets = [packet for packet in _packets(model, *names) if _has(flows, packet)]
    verdicts = {
        packet: decide(policy.compiled.policy, packet, None, None).access is Access.ALLOW
        for packet in packets
    }
    for expects in (True, False):
        for is_of_all in (True, False):
            asserted = Assertion("x", None, (one,), (other,), flows, expects, is_of_all)
            (checked,) = check(reach, [asserted])
            met = [verdict is expects for verdict in verdicts.values()]
            holds_here = (all(met) if is_of_all else any(met)) and bool(met)
            assert (checked.outcome is Outcome.HOLDS) is holds_here
            if not holds_here and met:
                assert checked.packet is not None
                decided = decide(policy.compiled.policy, checked.packet, None, None)
                assert (decided.access is Access.ALLOW) is not expects
                assert _has(flows, checked.packet)
    asked = Asked([(one, other)], reach.flows.of_box(flows, True, False))
    told = rows_of_ends(reach, asked)
    assert not told.undetermined
    for among in Among:
        for row in told.rows:
            for line in row.lines:
                if line.among is among:
                    inside = [
                        verdict
                        for packet, verdict in verdicts.items()
                        if _has(line.box, packet) and packet.version == row.version
                    ]
                    assert all(inside) if among is Among.ALL else not all(inside)
    passing = {packet for packet, verdict in verdicts.items() if verdict}
    for packet in passing:
        assert any(
            _has(line.box, packet)
            for row in told.rows
            if row.version == packet.version
            for line in row.lines
        )


def test_over_budget_is_undetermined() -> None:
    """What is too much is named with its ends, and an assertion about it has no outcome."""
    model = tiny_model("reach-0")
    policy = AnalysedPolicy(model)
    ends = Ends(policy)
    one = ends.find("*")
    reach = Reach(policy, [one], Budget(2))
    asked = Asked([(one, one)], 0)
    asked.flows = reach.flows.leaf(True)
    told = rows_of_resources(reach, asked)
    assert told.undetermined
    assertion = Assertion("x", None, (one,), (one,), _EVERY_FLOW, True, True)
    (checked,) = check(Reach(policy, [one], Budget(2)), [assertion])
    assert checked.outcome is Outcome.UNDETERMINED


def test_resources_that_are_alike_are_one_class() -> None:
    """A hundred network interfaces of one subnet and group are looked at once."""
    nics = tuple(
        nic(f"n{host}", f"10.0.0.{host}", "s1", None, asgs=("a",)) for host in range(4, 104)
    )
    model = NetworkModel(
        virtual_networks=(
            VirtualNetwork("vnet", prefixes("10.0.0.0/24"), (subnet("s1", "10.0.0.0/24", "g"),)),
        ),
        network_interfaces=nics,
        network_security_groups=(
            group("g", rule("r", 100, INBOUND, ALLOW, "Tcp", destination="asg:a", ports="80")),
        ),
    )
    policy = AnalysedPolicy(model)
    ends = Ends(policy)
    every = ends.resources()
    reach = Reach(policy, [every], Budget())
    assert len(reach.classes.classes) == 2  # and the rest of the subnet
    asked = Asked([(every, every)], reach.flows.leaf(True))
    told = rows_of_resources(reach, asked)
    assert len(told.rows) == 1
    assert len(told.rows[0].senders) == 101
    assert in_question(reach)(reach.flows.leaf(True), reach.flows.leaf(False)) == reach.flows.leaf(
        None
    )


def test_overlapping_networks() -> None:
    """An address of two unpeered networks is, seen from either, its own network's."""
    space = prefixes("10.0.0.0/29")
    model = NetworkModel(
        virtual_networks=tuple(
            VirtualNetwork(name, space, (subnet("s", "10.0.0.0/29", None),)) for name in ("a", "b")
        ),
    )
    policy = AnalysedPolicy(model)
    ends = Ends(policy)
    one, other = ends.find("a/s"), ends.find("b/s")
    reach = Reach(policy, [one, other], Budget())
    assert list(reach.pairs(one, other)) == []
    assert len(list(reach.pairs(one, one))) == 1
