"""Looking at classes finds what looking at every packet finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nsgd.model.address import Address
from nsgd.model.network import NetworkModel
from nsgd.model.packet import PacketHeader
from nsgd.policy.compile import compile_policy
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.book import RuleBook, common_sequence
from nsgd.spaces.budget import Budget, OverBudget
from nsgd.spaces.chain import NOBODY, Chain
from nsgd.spaces.diagram import Diagrams, merge_boxes
from nsgd.spaces.explore import explore, find
from nsgd.spaces.space import PLAIN_ORDER, Space, intersect
from nsgd.spaces.witness import choose, ranges_of, witness
from tests.analysis.drawn import holds, tiny_model, tiny_packets


def tables_of(model: NetworkModel) -> tuple[CompiledTable, ...]:
    """All tables, as if they were asked one after the other."""
    return compile_policy(model).tables


def ask(tables: tuple[CompiledTable, ...], packet: PacketHeader) -> tuple[bool, int]:
    """Whether a packet passes, and the bit of the rule that is reported."""
    reported, first = NOBODY, 0
    for table in tables:
        rule = table.match(*packet[:6])
        if not table.is_silent(rule):
            reported = first + rule
            if not table.is_allowed(rule):
                return False, reported
            if table.is_final(rule):
                break
        first += len(table.rules)
    return True, reported


@pytest.mark.parametrize("number", range(6))
def test_a_chain_is_explored(number: int) -> None:
    """Every packet has the value that the tables give it, and is in one box of that value."""
    tables = tables_of(tiny_model(f"explore-{number}"))[:3]
    book = RuleBook()
    masks = [book.add(table) for table in tables]
    chain = Chain.of(book, masks)
    budget = Budget()
    space = Space(book, 4)
    diagrams: Diagrams[tuple[bool, int]] = Diagrams(space.everything, budget)

    def judge(candidates: int, sure: int) -> tuple[int, tuple[bool, int] | None]:
        standing = chain.stand(candidates, sure)
        if standing.rule is None:
            return standing.kept, None
        assert standing.is_settled
        return 0, (standing.may_allow, standing.rule)

    root = explore(space, space.scope(space.everything), judge, diagrams, budget)
    boxes = {
        value: [ranges_of(space, box) for box in merge_boxes(list(diagrams.boxes(root, value)))]
        for value in diagrams.values(root)
    }
    for value, of_value in boxes.items():
        for box in of_value:
            assert ask(tables, witness(4, box)) == value
    for packet in list(tiny_packets())[::7]:
        expected = ask(tables, packet)
        found = [value for value, of_value in boxes.items() for b in of_value if holds(b, packet)]
        assert found == [expected]
    # Sets of packets are functions to truth: here, what passes by no rule of the first table.
    allowed = _map(diagrams, root, lambda value: (value[0], NOBODY))
    denied = _map(diagrams, root, lambda value: (not value[0], NOBODY))
    both = diagrams.apply(lambda a, b: (a[0] and b[0], NOBODY), allowed, denied)
    either = diagrams.apply(lambda a, b: (a[0] or b[0], NOBODY), allowed, denied)
    assert diagrams.value(both) == (False, NOBODY)
    assert diagrams.value(either) == (True, NOBODY)


Value = tuple[bool, int]


def _map(diagrams: Diagrams[Value], root: int, change: Callable[[Value], Value]) -> int:
    return diagrams.apply(lambda value, _: change(value), root, root)


@pytest.mark.parametrize("number", range(6))
def test_find(number: int) -> None:
    """For each rule a packet that it decides is found if there is one, within its box."""
    table = tables_of(tiny_model(f"find-{number}"))[1]
    book = RuleBook()
    mask = book.add(table)
    chain = Chain.of(book, [mask])
    space = Space(book, 4)
    decided = {table.match(*packet[:6]) for packet in tiny_packets()}
    for bit in range(len(table.rules)):
        inside = space.of_rule(bit)
        if not all(inside):
            assert bit not in decided
            continue

        def judge(candidates: int, sure: int, bit: int = bit) -> tuple[int, bool | None]:
            standing = chain.stand(candidates, sure)
            if not standing.kept >> bit & 1:
                return 0, False
            return standing.kept, None if standing.rule is None else standing.rule == bit

        found = find(space, space.scope(inside), judge, Budget())
        assert (found is not None) == (bit in decided), table.rules[bit]
        if found is not None:
            assert intersect(found, inside) == found
            assert table.match(*witness(4, ranges_of(space, found))[:6]) == bit


def test_a_budget_ends_a_question() -> None:
    """And not the next one, until all steps are spent."""
    budget = Budget(10)
    with pytest.raises(OverBudget), budget.question():
        budget.spend(11)
    with budget.question():
        budget.spend(10)
    for _ in range(8):
        with budget.question():
            budget.spend(10)
    with pytest.raises(OverBudget), budget.question():
        budget.spend(1)


def test_large_sets_cost_more() -> None:
    """So that steps bound the memory."""
    budget = Budget(10)
    with pytest.raises(OverBudget), budget.question():
        budget.spend(1, 100_000)


def test_versions_of_a_table_share_what_is_common() -> None:
    """In their order; what has moved is two."""
    assert common_sequence("abcd", "abxd") == ((0, 0), (1, 1), (3, 3))
    assert common_sequence("abc", "cab") == ((0, 1), (1, 2))
    assert common_sequence("", "a") == ()
    before, after = (tables_of(tiny_model(name))[1] for name in ("pair-1", "pair-2"))
    book = RuleBook()
    old, new = book.add_pair(before, after)
    assert old.bit_count() == len(before.rules)
    assert new.bit_count() == len(after.rules)
    shared = [bit for bit in range(len(book.rules)) if (old & new) >> bit & 1]
    assert shared  # the default rules
    for bit in shared:
        assert book.before(bit).rule.access is book.after(bit).rule.access
    order = [book.before(bit).index for bit in range(len(book.rules)) if old >> bit & 1]
    assert order == list(range(len(before.rules)))
    only_new = next(bit for bit in range(len(book.rules)) if new >> bit & 1 and bit not in shared)
    with pytest.raises(LookupError):
        book.before(only_new)


def test_ports_come_after_the_protocol() -> None:
    """Which tells whether there are any."""
    with pytest.raises(ValueError, match="protocol"):
        Space(RuleBook(), 4, tuple(reversed(PLAIN_ORDER)))


def test_a_witness_is_what_one_thinks_of() -> None:
    """TCP to a usual port from an ephemeral one, where that is in the set."""
    every = dict.fromkeys(Field, ((0, 65535),)) | {
        Field.PROTOCOL: ((0, 255),),
        Field.SOURCE: ((0, (1 << 32) - 1),),
        Field.DESTINATION: ((Address.parse("10.1.2.0").value, Address.parse("10.1.2.255").value),),
    }
    found = witness(4, every)
    assert (found.protocol, found.source_port, found.destination_port) == (6, 50000, 443)
    assert str(Address(4, found.destination)) == "10.1.2.4"
    portless = witness(4, every | {Field.PROTOCOL: ((47, 47),)})
    assert (portless.source_port, portless.destination_port) == (0, 0)
    assert witness(6, every | {Field.PROTOCOL: ((1, 1), (58, 58))}).protocol == 58
    assert choose(((5, 9),), (1, 7)) == 7
