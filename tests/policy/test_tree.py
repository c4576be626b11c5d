"""Decision trees decide as a search through the rules does, and stay within their bounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, IPVersion
from nsgd.model.rule import Access, Protocol
from nsgd.policy import gathering, tree
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet, Range, merge_ranges
from nsgd.policy.effective import ALL_PORT_RANGES, EffectiveSecurityRule
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.policy.tree import LONGEST_LIST
from nsgd.policy.tree_nodes import (
    Bounds,
    Field,
    Flattener,
    PlainNode,
    Tree,
    is_list,
    is_split,
    left_to_ask,
    longest_list_of,
    match_plain,
    nodes_of,
)
from tests.policy.builders import INBOUND
from tests.policy.test_table import FULL, LAST, PROTOCOL_NUMBERS, effective

Values = tuple[int, ...]  # in the order of Field
Rules = Sequence[EffectiveSecurityRule]

PORTED = (6, 17)
NUMBERS = (0, 1, 6, 7, 16, 17, 18, 47, 50, 51, 58, 255)
TOP_PORT = 65535
# Fields whose values may be known before a table is asked.
KNOWN = (
    set[int](),
    {Field.PROTOCOL, Field.SOURCE, Field.DESTINATION},
    {Field.SOURCE, Field.SOURCE_PORT},
    {Field.PROTOCOL, Field.DESTINATION_PORT},
    set(Field),
)


def naive(rules: Rules, version: IPVersion, values: Values) -> int:
    """The first rule that says nothing against the packet, read off the rules one by one."""
    number, destination_port, source, destination, source_port = values
    for index, rule in enumerate(rules):
        numbers = {
            PROTOCOL_NUMBERS[protocol][version]
            for protocol in rule.protocols
            if protocol is not Protocol.ANY
        }
        if Protocol.ANY not in rule.protocols and number not in numbers:
            continue
        if number not in PORTED:
            ports = rule.source_ports == rule.destination_ports == ALL_PORT_RANGES
        else:
            ports = holds(rule.source_ports, source_port) and holds(
                rule.destination_ports, destination_port
            )
        addresses = holds(rule.source.ranges(version), source) and holds(
            rule.destination.ranges(version), destination
        )
        if ports and addresses:
            return index
    raise AssertionError("the last rule matches everything")


def holds(ranges: Sequence[Range], value: int) -> bool:
    return any(first <= value <= last for first, last in ranges)


def is_within(bounds: Bounds, value: int) -> bool:
    """Whether one of the ranges has the value; each is its start and the value behind its end."""
    return any(start <= value < end for start, end in batched(bounds))


def batched(bounds: Bounds) -> Iterator[tuple[int, int]]:
    assert len(bounds) % 2 == 0
    return zip(bounds[::2], bounds[1::2], strict=True)


def walk(node: PlainNode, values: Values) -> int:
    """The rule at the end of a packet's way, by the definitions of the nodes and nothing else."""
    while not isinstance(node, int):
        kind, starts_or_tests, children_or_rest = node
        if kind in set(Field):
            position = max(i for i, start in enumerate(starts_or_tests) if start <= values[kind])
            node = children_or_rest[position]
            continue
        for rule, conditions in starts_or_tests:
            if all(is_within(bounds, values[field]) for field, bounds in conditions):
                assert isinstance(rule, int)
                return rule
        node = children_or_rest
    return node


def most_splits(node: PlainNode) -> int:
    """Splits on the way that has most of them."""
    if isinstance(node, int):
        return 0
    if is_list(node):
        return most_splits(node[2])
    return 1 + max(map(most_splits, node[2]))


def edges(rules: Rules, version: IPVersion) -> list[list[int]]:
    """By field, values at which something can change, and the lowest and highest."""
    top = (1 << ADDRESS_BITS[version]) - 1
    by_field: list[set[int]] = [
        set(NUMBERS),
        {0, TOP_PORT},
        {0, top},
        {0, top},
        {0, TOP_PORT},
    ]
    for rule in rules:
        for found, ranges, highest in (
            (by_field[Field.DESTINATION_PORT], rule.destination_ports, TOP_PORT),
            (by_field[Field.SOURCE], rule.source.ranges(version), top),
            (by_field[Field.DESTINATION], rule.destination.ranges(version), top),
            (by_field[Field.SOURCE_PORT], rule.source_ports, TOP_PORT),
        ):
            for first, last in ranges:
                found |= {max(first - 1, 0), first, last, min(last + 1, highest)}
    return [sorted(each) for each in by_field]


def packets(rules: Rules, version: IPVersion, seed: int, number: int) -> Iterator[Values]:
    """Packets at the edges of rules, and some within: most are at two edges of one rule at once."""
    generator = random.Random(seed)
    choices = edges(rules, version)
    tops = [255, TOP_PORT, choices[2][-1], choices[3][-1], TOP_PORT]
    for _ in range(number):
        values = [
            generator.choice(each) if generator.random() < 0.9 else generator.randint(0, top)
            for each, top in zip(choices, tops, strict=True)
        ]
        if generator.random() < 0.6:
            aimed = generator.choice(rules)
            for field, ranges in (
                (Field.DESTINATION_PORT, aimed.destination_ports),
                (Field.SOURCE, aimed.source.ranges(version)),
                (Field.DESTINATION, aimed.destination.ranges(version)),
                (Field.SOURCE_PORT, aimed.source_ports),
            ):
                if ranges:
                    first, last = generator.choice(ranges)
                    values[field] = generator.choice((first, last, generator.randint(first, last)))
            values[Field.PROTOCOL] = generator.choice((6, 6, 17, values[Field.PROTOCOL]))
        if values[Field.PROTOCOL] not in PORTED:
            values[Field.SOURCE_PORT] = values[Field.DESTINATION_PORT] = 0
        yield tuple(values)


def check(table: CompiledTable, version: IPVersion, seed: int, number: int) -> Tree:
    """The tree, which decides packets as it should and is made as it says."""
    tree = table.tree(version, Flattener())
    for values in packets(table.rules, version, seed, number):
        expected = naive(table.rules, version, values)
        assert walk(tree.root, values) == expected, (version, values)
        protocol, destination_port, source, destination, source_port = values
        packet = version, protocol, source, destination, source_port, destination_port
        assert table.match(*packet) == expected
        check_what_is_left(table.plain_tree(version, Flattener()), values, expected)
    check_shape(table, tree, version)
    return tree


def check_what_is_left(root: PlainNode, values: Values, expected: int) -> None:
    """Whatever is known of a packet: what is left decides it, and asks no such thing at first."""
    for known in KNOWN:
        of_these = tuple(value if field in known else None for field, value in enumerate(values))
        left = left_to_ask(root, of_these)
        assert match_plain(left, values) == expected, known
        while isinstance(left, tuple) and left[0] == -1:
            conditions = [field for _, each in left[1] for field, _ in each]
            assert conditions
            assert not known & set(conditions)
            left = left[2]
        assert isinstance(left, int) or left[0] not in known


def check_shape(table: CompiledTable, tree: Tree, version: IPVersion) -> None:
    """Bounds, order of nodes, and what chains that are made of them rely on."""
    assert most_splits(tree.root) <= len(Field)
    elements = 0
    longest = 0
    seen: set[int] = set()
    for node in nodes_of(tree.root):
        assert id(node) not in seen
        assert is_split(node) != is_list(node)
        if is_split(node):
            _, starts, following = node
            assert starts[0] == 0
            assert all(one < other for one, other in pairwise(starts))
            assert len(starts) == len(following) >= 2
            assert all(one is not other for one, other in pairwise(following))
            assert all(one != other for one, other in pairwise(following) if isinstance(one, int))
            elements += len(starts)
        else:
            _, tests, rest = node
            assert tests
            assert all(conditions for _, conditions in tests)
            rules = [rule for rule, _ in tests]
            assert rules == sorted(set(rules))
            following = (rest,)
            elements += len(tests)
            longest = max(longest, len(tests))
        assert all(isinstance(each, int) or id(each) in seen for each in following)
        seen.add(id(node))
    assert longest <= tree.longest_list
    assert longest_list_of(tree.root) <= tree.longest_list
    assert elements <= tree.elements
    if tree.longest_list <= LONGEST_LIST:
        assert tree.elements <= bound(table, version)
    check_ports(tree.root)


def bound(table: CompiledTable, version: IPVersion) -> int:
    """The most elements that nsgd.policy.tree promises; equal objects of ranges count once."""
    axes = (
        [rule.source_ports for rule in table.rules],
        [rule.destination_ports for rule in table.rules],
        [rule.source.ranges(version) for rule in table.rules],
        [rule.destination.ranges(version) for rule in table.rules],
    )
    ranges = sum(len(each) for axis in axes for each in {id(each): each for each in axis}.values())
    # One to four protocols, by the handful of lists of them.
    return 1024 + 16 * len(table.rules) + 2 * (ranges + 16)


def check_ports(node: PlainNode, *, has_ports: bool | None = None) -> None:
    """Ports are asked only where the protocol is known to have some."""
    if is_list(node):
        _, tests, rest = node
        for _, conditions in tests:
            is_known = has_ports
            for field, bounds in conditions:
                if field == Field.PROTOCOL:
                    is_known = all(
                        end == start + 1 and start in PORTED for start, end in batched(bounds)
                    )
                elif field in (Field.SOURCE_PORT, Field.DESTINATION_PORT):
                    assert is_known
        check_ports(rest, has_ports=has_ports)
    elif is_split(node):
        asked, starts, children = node
        if asked in (Field.SOURCE_PORT, Field.DESTINATION_PORT):
            assert has_ports
        for start, child in zip(starts, children, strict=True):
            if asked == Field.PROTOCOL:
                has_ports = start in PORTED
            check_ports(child, has_ports=has_ports)


def table_of(rules: Rules) -> CompiledTable:
    return compile_table("nsg", INBOUND, (*rules, LAST))


# Few values, so that rules meet; low and high ends of each field, where a class has no end.
def few_ranges(top: int) -> st.SearchStrategy[tuple[Range, ...]]:
    values = st.one_of(st.integers(0, 12), st.integers(top - 12, top))
    pair = st.tuples(values, values).map(lambda two: (min(two), max(two)))
    return st.lists(pair, max_size=3).map(merge_ranges)


ADDRESSES = st.one_of(
    st.just(ALL_ADDRESSES),
    st.just(AddressSet()),  # a group without members
    st.builds(AddressSet, few_ranges((1 << 32) - 1), few_ranges((1 << 128) - 1)),
    st.builds(AddressSet, st.just(()), few_ranges((1 << 128) - 1)),
    st.integers(0, 12).map(lambda at: AddressSet(((at, at),), ((at, at),))),
)
PORTS = st.one_of(
    st.just(ALL_PORT_RANGES),
    few_ranges(TOP_PORT).filter(lambda ranges: ranges != ((0, TOP_PORT),)),
)
OF_2017 = (Protocol.TCP, Protocol.UDP, Protocol.ICMP)


@st.composite
def rule_lists(draw: st.DrawFn) -> list[EffectiveSecurityRule]:
    """Rules of every kind; addresses and ports are often the same objects, as in a document."""
    addresses = draw(st.lists(ADDRESSES, min_size=1, max_size=4))
    ports = draw(st.lists(PORTS, min_size=1, max_size=4))
    rules = []
    for index in range(draw(st.integers(0, 40))):
        access = draw(st.sampled_from(Access))
        made = effective(
            f"rule-{index}",
            access,
            draw(st.sampled_from((Protocol.TCP, Protocol.UDP, Protocol.ANY, *Protocol))),
            draw(st.sampled_from(addresses)),
            draw(st.sampled_from(addresses)),
            draw(st.sampled_from(ports)),
            draw(st.sampled_from(ports)),
        )
        rules.append(
            replace(
                made,
                any_protocol=draw(st.sampled_from(((), OF_2017))),
                is_silent=draw(st.booleans()),
                is_final=access is Access.ALLOW and draw(st.booleans()),
            )
        )
    return rules


@settings(max_examples=150, deadline=None)
@given(rule_lists(), st.integers(0, 1 << 30))
def test_a_tree_agrees_with_a_linear_search(rules: list[EffectiveSecurityRule], seed: int) -> None:
    """Whatever the rules, for packets at their edges."""
    table = table_of(rules)
    for version in IP_VERSIONS:
        check(table, version, seed, 60)


@settings(max_examples=150, deadline=None)
@given(rule_lists(), st.integers(0, 1 << 30), st.sampled_from((0, 3, 9)), st.sampled_from((2, 8)))
def test_shared_lists_agree_with_a_linear_search(
    rules: list[EffectiveSecurityRule], seed: int, few_classes: int, most_rules: int
) -> None:
    """The same where nodes of few classes have lists in common already, and shorter ones."""
    few = mock.patch.object(tree, "FEW_CLASSES", few_classes)
    # As short as the default rules' list, else so few rules would seldom be more than one list.
    short = mock.patch.object(tree, "_LIST_LENGTHS", (4, 16, 64, 256, 1 << 30))
    with few, short, mock.patch.object(gathering, "_MOST_RULES", most_rules):
        table = table_of(rules)
        for version in IP_VERSIONS:
            check(table, version, seed, 60)


def of_port(number: int, protocol: Protocol, *more: int) -> EffectiveSecurityRule:
    """A rule for some sources and one port, or more."""
    ports = tuple((port, port) for port in (1000 + 2 * number, *more))
    source = AddressSet(((number, 4000 - number),))
    return effective(f"of {number}", protocol=protocol, source=source, ports=ports)


def with_defaults(rules: Rules) -> CompiledTable:
    """A table that ends as most do, with rules for some addresses before the last one."""
    ends = [effective(f"default {n}", source=AddressSet(((4100 + n, 5000),))) for n in range(3)]
    return table_of([*rules, *ends])


def lists_of_ports(root: PlainNode, protocol: int) -> dict[int, PlainNode]:
    """The lists that the ports of a protocol go on to, by id; not that of ports of no rule."""
    _, starts, children = root
    asked, first_ports, lists = children[
        max(i for i, start in enumerate(starts) if start <= protocol)
    ]
    assert asked == Field.DESTINATION_PORT
    assert first_ports[0] == 0
    assert all(map(is_list, lists))
    return {id(node): node for node in lists if node is not lists[0]}


@pytest.mark.parametrize(("ports", "lists"), [(24, 24), (25, 4)])
def test_classes_of_a_large_node_share_lists(ports: int, lists: int) -> None:
    """Eight rules in each, that test the port too; a node of few classes has a list for each."""
    table = with_defaults([of_port(number, Protocol.TCP) for number in range(ports)])
    found = lists_of_ports(check(table, 4, 8, 200).root, 6).values()
    assert len(found) == lists
    assert sum(len(node[1]) for node in found) == ports
    asked = {field for node in found for _, each in node[1] for field, _ in each}
    assert (Field.DESTINATION_PORT in asked) == (lists < ports)


def test_a_rule_of_several_ports_has_a_list_of_its_own() -> None:
    """In a shared one it would be tested for each of its ports."""
    rules = [of_port(number, Protocol.TCP, 9000 + 2 * number) for number in range(30)]
    found = lists_of_ports(check(with_defaults(rules), 4, 9, 200).root, 6).values()
    assert [len(node[1]) for node in found] == [1] * 30
    for node in found:
        assert {field for _, each in node[1] for field, _ in each} == {Field.SOURCE}


def test_protocols_share_the_lists_of_rules_of_any_protocol() -> None:
    """TCP's and UDP's nodes go on by the same ones, whatever stands between."""
    protocols = (Protocol.TCP, Protocol.ANY, Protocol.UDP, Protocol.ANY)
    rules = [of_port(number, protocols[number % 4]) for number in range(80)]
    root = check(with_defaults(rules), 4, 10, 400).root
    tcp, udp = (lists_of_ports(root, protocol).keys() for protocol in PORTED)
    assert len(tcp) == len(udp) == 5 + 3  # of 40 rules of any protocol, and 20 of its own
    assert len(tcp & udp) == 5


def test_what_is_met_for_certain_ends_a_class() -> None:
    """A class with such a rule has it in a list with others, whose rules stand behind it."""
    certain = [
        effective(f"all {n}", ports=((1000 + 2 * n, 1000 + 2 * n),)) for n in range(0, 30, 2)
    ]
    rules = [*certain, *(of_port(number, Protocol.TCP) for number in range(30))]
    for order in (rules, rules[::-1]):
        check(with_defaults(order), 4, 11, 600)


def test_rules_of_nothing_and_of_everything() -> None:
    """The smallest tables: no node at all, where no packet can be told from another."""
    empty = effective("empty", source=AddressSet())
    for rules in ((), (empty,), (empty, effective("all"), empty)):
        tree = check(table_of(rules), 4, 1, 20)
        assert isinstance(tree.root, int)
        assert (tree.elements, tree.longest_list) == (0, 0)


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP, Protocol.ICMP, Protocol.ANY])
def test_rules_for_one_address_come_first(protocol: Protocol) -> None:
    """Ahead of everything, with ports and without, for one address on either side."""
    one = AddressSet(((5, 5),), ((7, 7),))
    ports: tuple[Range, ...] = ((80, 80), (443, 443))
    has_ports = protocol is not Protocol.ICMP
    rules = [
        effective("to one", protocol=protocol, destination=one),
        effective("ports", Access.DENY, protocol, source=one, ports=ports if has_ports else FULL),
        effective("both", protocol=protocol, source=one, destination=AddressSet(((9, 12),))),
        replace(effective("any", Access.DENY, source=one), any_protocol=OF_2017),
        *rectangles(30, cut, 11),
    ]
    for version in IP_VERSIONS:
        check(table_of(rules), version, 12, 200)


def test_rules_of_one_ip_version_are_not_in_the_tree_of_the_other() -> None:
    """Of a rule for IPv4 addresses nothing is left in IPv6."""
    only_v4 = effective("v4", source=AddressSet(((1, 5),)), ports=((80, 80),))
    table = table_of((only_v4,))
    assert isinstance(check(table, 6, 1, 50).root, int)
    assert not isinstance(check(table, 4, 1, 50).root, int)


A_TOP = (1 << 32) - 1


def cut(generator: random.Random, top: int) -> tuple[Range, ...]:
    """Anything from narrow to wide."""
    first, last = sorted(generator.sample(range(top + 1), 2))
    return ((first, last),)


def wide(generator: random.Random, top: int) -> tuple[Range, ...]:
    """More than half of all values, so that every rule meets every other."""
    size = generator.randrange(top // 2, top)
    first = generator.randrange(top - size + 1)
    return ((first, first + size),)


def rectangles(
    number: int, span: Callable[[random.Random, int], tuple[Range, ...]], seed: int
) -> list[EffectiveSecurityRule]:
    """Rules that constrain four fields at once."""
    generator = random.Random(seed)
    return [
        effective(
            f"rule-{index}",
            generator.choice(list(Access)),
            generator.choice((Protocol.TCP, Protocol.UDP, Protocol.ANY)),
            AddressSet(span(generator, A_TOP)),
            AddressSet(span(generator, A_TOP)),
            span(generator, TOP_PORT),
            span(generator, TOP_PORT),
        )
        for index in range(number)
    ]


def prefixes(generator: random.Random, number: int) -> AddressSet:
    """So many ranges of both versions, no two of them neighbours."""
    starts = generator.sample(range(1 << 19), number)
    return AddressSet(
        merge_ranges((at << 13, (at << 13) + generator.choice((0, 255, 4095))) for at in starts),
        merge_ranges((at << 109, (at << 109) + (1 << 64) - 1) for at in starts),
    )


def port_crossings(number: int) -> list[EffectiveSecurityRule]:
    """Each with a range of its own on both sides, all crossing."""
    generator = random.Random(3)
    return [
        effective(
            f"rule-{index}",
            protocol=Protocol.TCP,
            source_ports=cut(generator, TOP_PORT),
            ports=cut(generator, TOP_PORT),
        )
        for index in range(number)
    ]


def long_lists(rules: int, number: int) -> list[EffectiveSecurityRule]:
    """Rules with so many prefixes of their own on both sides, and crossing ports."""
    generator = random.Random(4)
    return [
        effective(
            f"rule-{index}",
            generator.choice(list(Access)),
            generator.choice((Protocol.TCP, Protocol.ANY)),
            prefixes(generator, number),
            prefixes(generator, number),
            ports=((index * 10, index * 10 + 500),),
        )
        for index in range(rules)
    ]


def cloud(number: int) -> list[EffectiveSecurityRule]:
    """One long list in many rules, as a service tag is, among narrow rules before and behind."""
    generator = random.Random(5)
    tag = prefixes(generator, number)
    rules = []
    for index in range(60):
        narrow = prefixes(generator, 2)
        source, destination = generator.choice(
            ((tag, ALL_ADDRESSES), (tag, narrow), (narrow, tag), (narrow, narrow))
        )
        rules.append(
            effective(
                f"rule-{index}",
                generator.choice(list(Access)),
                generator.choice((Protocol.TCP, Protocol.UDP, Protocol.ANY)),
                source,
                destination,
                ports=generator.choice((ALL_PORT_RANGES, ((index, index + 9),), ((80, 80),))),
            )
        )
    return rules


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(rectangles(24, cut, 1), id="24 rectangles"),
        pytest.param(rectangles(60, wide, 2), id="60 wide rectangles"),
        pytest.param(long_lists(8, 4000), id="8 rules of 4000 prefixes a side"),
        pytest.param(long_lists(100, 40), id="100 rules of 40 prefixes a side"),
        pytest.param(port_crossings(100), id="100 crossing port ranges"),
        pytest.param(cloud(10_000), id="a tag of 10 000 prefixes"),
    ],
)
def test_what_would_explode_stays_within_bounds(rules: list[EffectiveSecurityRule]) -> None:
    """Elements and lists are bounded, and every packet is decided as the rules say."""
    table = table_of(rules)
    for version in IP_VERSIONS:
        assert check(table, version, 6, 120).longest_list <= LONGEST_LIST


def test_the_bound_grows_with_ranges() -> None:
    """More elements than a table of few ranges may spend are spent where ranges make up for it."""
    tree = check(table_of(long_lists(100, 100)), 4, 7, 50)
    assert tree.elements > 1024 + 16 * 101
    assert tree.longest_list <= LONGEST_LIST


def test_where_no_tree_is_within_bounds_the_list_says_so() -> None:
    """A thousand crossing rules: still decided as they say, by a list that the kernel cannot walk.

    nsgd.ruleset.table_chains leaves such a table to the worker.
    """
    tree = check(table_of(rectangles(1000, wide, 8)), 4, 9, 60)
    assert tree.longest_list > LONGEST_LIST


def test_equal_rules_are_equal_trees() -> None:
    """The same rules make the same nodes in the same order, so that chains keep their names."""

    def nodes(table: CompiledTable, version: IPVersion) -> list[object]:
        names: dict[int, int] = {}
        result: list[object] = []
        for node in nodes_of(table.tree(version, Flattener()).root):
            following = node[2] if is_split(node) else (node[2],)
            told = [each if isinstance(each, int) else names[id(each)] for each in following]
            result.append((*node[:2], told))
            names[id(node)] = -len(result)
        return result

    for rules, again in (
        (rectangles(40, cut, 1), rectangles(40, cut, 1)),
        (cloud(50), cloud(50)),
    ):
        for version in IP_VERSIONS:
            assert nodes(table_of(rules), version) == nodes(table_of(again), version)
