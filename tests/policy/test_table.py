"""Compiled tables agree with a linear search through the same rules."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.model.address import IPVersion
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet, Range, merge_ranges
from nsgd.policy.classifier import Classifier
from nsgd.policy.effective import EffectiveSecurityRule
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.policy.tree_nodes import Flattener
from tests.policy.builders import ALLOW, DENY, INBOUND, OUTBOUND, address_set, value

FULL: tuple[Range, ...] = ((0, 65535),)


def effective(
    name: str,
    access: Access = ALLOW,
    protocol: Protocol = Protocol.ANY,
    source: AddressSet = ALL_ADDRESSES,
    destination: AddressSet = ALL_ADDRESSES,
    source_ports: tuple[Range, ...] = FULL,
    ports: tuple[Range, ...] = FULL,
) -> EffectiveSecurityRule:
    return EffectiveSecurityRule(
        name, 100, access, protocol, source, source_ports, destination, ports
    )


LAST = effective("last", DENY)


def table_of(*rules: EffectiveSecurityRule) -> CompiledTable:
    return compile_table("nsg", INBOUND, (*rules, LAST))


def match_name(
    table: CompiledTable,
    version: IPVersion = 4,
    protocol: int = 6,
    source: int = 0,
    destination: int = 0,
    source_port: int = 0,
    port: int = 0,
) -> str:
    index = table.match(version, protocol, source, destination, source_port, port)
    return table.decision(index).rule


@pytest.mark.parametrize(
    ("port", "rules"),
    [
        (0, 0b00),
        (79, 0b00),
        (80, 0b01),
        (89, 0b01),
        (90, 0b11),
        (100, 0b11),
        (101, 0b10),
        (110, 0b10),
        (111, 0b00),
        (65535, 0b00),
    ],
)
def test_classifier_edges(port: int, rules: int) -> None:
    """A rule's bit is set from the first value of its range to the last, both included."""
    classifier = Classifier.of_ranges([[(80, 100)], [(90, 110)]])
    assert classifier.rules(port) == rules


def test_classifier_keeps_only_the_cuts() -> None:
    """Touching ranges of one rule need no cut, and equal sets of rules are one integer."""
    classifier = Classifier.of_ranges([[(0, 9), (10, 19)], [(0, 19)]])
    assert classifier.starts == [0, 20]
    assert classifier.rule_sets == [0b11, 0]
    assert Classifier.of_ranges([]) == Classifier([0], [0])
    assert Classifier.of_ranges([FULL]).rules(65535) == 1


RANGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair))),
    max_size=4,
).map(merge_ranges)


@given(st.lists(RANGES, max_size=12), st.integers(0, 45))
def test_classifier_agrees_with_a_linear_search(
    ranges_by_rule: list[tuple[Range, ...]], number: int
) -> None:
    """The bits are those of the rules with a range around the value."""
    expected = sum(
        1 << index
        for index, ranges in enumerate(ranges_by_rule)
        if any(first <= number <= last for first, last in ranges)
    )
    assert Classifier.of_ranges(ranges_by_rule).rules(number) == expected


@pytest.mark.parametrize(
    ("protocol", "v4", "v6"),
    [
        (Protocol.TCP, {6}, {6}),
        (Protocol.UDP, {17}, {17}),
        (Protocol.ICMP, {1}, {58}),  # each family's own, never the other's
        (Protocol.ESP, {50}, {50}),
        (Protocol.AH, {51}, {51}),
        (Protocol.ANY, set(range(256)), set(range(256))),
    ],
)
def test_protocol_numbers(protocol: Protocol, v4: set[int], v6: set[int]) -> None:
    """A rule matches its protocol's numbers in each family and no other of the 256."""
    table = table_of(effective("rule", protocol=protocol))
    for version, numbers in ((4, v4), (6, v6)):
        for number in range(256):
            family: IPVersion = 4 if version == 4 else 6
            found = match_name(table, version=family, protocol=number)
            assert (found == "rule") is (number in numbers), (version, number)


@pytest.mark.parametrize(
    ("ports", "source_ports", "protocol", "name"),
    [
        (((80, 80),), FULL, 1, "last"),
        (FULL, ((80, 80),), 1, "last"),
        (((1, 65535),), FULL, 47, "last"),
        (((0, 0),), FULL, 50, "last"),  # no ports is not port 0
        (((0, 0),), FULL, 6, "rule"),
        (FULL, FULL, 1, "rule"),
        (FULL, FULL, 47, "rule"),
    ],
)
def test_rules_with_ports_say_nothing_of_packets_without(
    ports: tuple[Range, ...], source_ports: tuple[Range, ...], protocol: int, name: str
) -> None:
    """A packet without ports is matched by rules for all ports only."""
    table = table_of(effective("rule", ports=ports, source_ports=source_ports))
    assert match_name(table, protocol=protocol) == name


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        ("10.0.0.0/24", ["10.0.0.0", "10.0.0.255"], ["9.255.255.255", "10.0.1.0"]),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], []),
        ("fd00::/64", ["fd00::", "fd00::ffff:ffff:ffff:ffff"], ["fd00:0:0:1::", "fcff::"]),
        ("::/0", ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], []),
    ],
)
def test_address_edges(prefix: str, inside: list[str], outside: list[str]) -> None:
    """A prefix's first and last address match, its neighbours and the other family do not."""
    version: IPVersion = 6 if ":" in prefix else 4
    other: IPVersion = 4 if version == 6 else 6
    of_source = table_of(effective("rule", source=address_set(prefix)))
    of_destination = table_of(effective("rule", destination=address_set(prefix)))
    for texts, name in ((inside, "rule"), (outside, "last")):
        for text in texts:
            assert match_name(of_source, version, source=value(text)) == name
            assert match_name(of_destination, version, destination=value(text)) == name
    assert match_name(of_source, other) == match_name(of_destination, other) == "last"


def test_first_match_wins() -> None:
    """Both orders of an allow and a deny for the same packets."""
    allow, deny = effective("allow", ALLOW), effective("deny", DENY)
    assert match_name(table_of(allow, deny)) == "allow"
    assert match_name(table_of(deny, allow)) == "deny"


@pytest.mark.parametrize("direction", [INBOUND, OUTBOUND])
def test_decision_names_everything(direction: Direction) -> None:
    """An index becomes group, direction, rule and access."""
    table = compile_table("nsg", direction, (effective("rule", ALLOW), LAST))
    allowed, denied = table.decision(0), table.decision(1)
    assert (allowed.network_security_group, allowed.direction) == ("nsg", direction)
    assert (allowed.rule, allowed.access) == ("rule", ALLOW)
    assert (denied.rule, denied.access) == ("last", DENY)
    assert (table.is_allowed(0), table.is_allowed(1)) == (True, False)


@pytest.mark.parametrize(
    "last",
    [
        effective("r", protocol=Protocol.TCP),
        effective("r", ports=((0, 65534),)),
        effective("r", source_ports=((1, 65535),)),
        effective("r", source=address_set("0.0.0.0/0")),
        effective("r", destination=address_set("::/0")),
    ],
)
def test_the_last_rule_must_match_everything(last: EffectiveSecurityRule) -> None:
    """A packet that no rule matches must not exist."""
    with pytest.raises(ValueError, match="must match every packet"):
        compile_table("nsg", INBOUND, (last,))


def test_silent_and_final_rules() -> None:
    """What they are survives the hand-over, and a silent rule is not among the decisions."""
    table = compile_table(
        "",
        OUTBOUND,
        (
            effective("deny", DENY, ports=((25, 25),)),
            replace(effective("final", ALLOW, ports=((80, 80),)), is_final=True),
            replace(LAST, is_silent=True),
        ),
    )
    handed_over = CompiledTable.from_plain(
        marshal.loads(marshal.dumps(table.to_plain(Flattener())))
    )
    assert handed_over == replace(table, rules=())
    for each in (table, handed_over):
        assert [each.is_silent(index) for index in range(3)] == [False, False, True]
        assert [each.is_final(index) for index in range(3)] == [False, True, False]
        assert [decision.rule for decision in each.decisions()] == ["deny", "final"]
        assert each.match(4, 17, 0, 0, 0, 443) == 2


PROTOCOL_NUMBERS = {
    Protocol.TCP: {4: 6, 6: 6},
    Protocol.UDP: {4: 17, 6: 17},
    Protocol.ICMP: {4: 1, 6: 58},
    Protocol.ESP: {4: 50, 6: 50},
    Protocol.AH: {4: 51, 6: 51},
}


def linear_search(
    rules: Sequence[EffectiveSecurityRule],
    version: IPVersion,
    protocol: int,
    source: int,
    destination: int,
    source_port: int,
    port: int,
) -> str:
    """The first rule whose every field holds the packet's."""

    def within(number: int, ranges: tuple[Range, ...]) -> bool:
        return any(first <= number <= last for first, last in ranges)

    for candidate in rules:
        any_protocol = candidate.protocol is Protocol.ANY
        if not any_protocol and PROTOCOL_NUMBERS[candidate.protocol][version] != protocol:
            continue
        if not within(source, candidate.source.ranges(version)):
            continue
        if not within(destination, candidate.destination.ranges(version)):
            continue
        if protocol not in (6, 17):
            if candidate.source_ports == candidate.destination_ports == FULL:
                return candidate.name
            continue
        if within(source_port, candidate.source_ports) and within(
            port, candidate.destination_ports
        ):
            return candidate.name
    raise AssertionError("the last rule matches everything")


SETS = st.one_of(st.just(ALL_ADDRESSES), st.builds(AddressSet, RANGES, RANGES))
PORTS = st.one_of(st.just(FULL), RANGES)
RULES = st.lists(
    st.builds(
        effective,
        st.just("rule"),
        st.sampled_from(Access),
        st.sampled_from(Protocol),
        SETS,
        SETS,
        PORTS,
        PORTS,
    ),
    max_size=8,
)
SMALL = st.integers(0, 45)


@given(RULES, st.sampled_from((4, 6)), st.sampled_from((1, 6, 17, 47, 50, 51, 58)), *[SMALL] * 4)
def test_table_agrees_with_a_linear_search(
    drawn: list[EffectiveSecurityRule],
    version: IPVersion,
    protocol: int,
    source: int,
    destination: int,
    source_port: int,
    port: int,
) -> None:
    """The deciding rule is the first that matches, before and after the hand-over."""
    rules = [replace(each, name=f"rule-{index}") for index, each in enumerate(drawn)]
    table = table_of(*rules)
    if protocol not in (6, 17):
        source_port = port = 0
    packet = (version, protocol, source, destination, source_port, port)
    expected = linear_search((*rules, LAST), *packet)
    assert match_name(table, *packet) == expected
    handed_over = CompiledTable.from_plain(
        marshal.loads(marshal.dumps(table.to_plain(Flattener())))
    )
    assert handed_over == replace(table, rules=())
    assert match_name(handed_over, *packet) == expected
