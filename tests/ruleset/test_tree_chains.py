"""How a node of a decision tree is written: as comparisons, or as a look-up."""

from __future__ import annotations

import pytest

from nsgd.policy.tree_nodes import Field
from nsgd.ruleset.branches import Branch, MatchValue
from nsgd.ruleset.objects import Chain
from nsgd.ruleset.statements import Goto
from nsgd.ruleset.tree_chains import AddressSets, TreeChains


def node(classes: int, field: Field = Field.DESTINATION_PORT) -> Chain:
    """The chain of a node of so many ports with a chain each, and others between them."""
    starts = tuple(range(2 * classes + 1))
    children = tuple(0 if start % 2 == 0 else 1 + start // 2 for start in starts)
    targets = ["other", *(f"of{number}" for number in range(classes))]
    (root, *below) = TreeChains(
        "nsg/web/in", 4, (int(field), starts, children), targets, AddressSets("a"), {}
    ).chains
    return below[0] if below else root


@pytest.mark.parametrize("classes", [1, 9, 24])
def test_some_classes_are_compared_in_turn(classes: int) -> None:
    """In one chain, in the order of the values, what is left last: no set is asked."""
    *compared, rest = node(classes).rules
    assert [rule.statements for rule in compared] == [
        (MatchValue(rule.statements[0].key, 2 * number + 1, 2 * number + 1), Goto(f"of{number}"))
        for number, rule in enumerate(compared)
        if isinstance(rule.statements[0], MatchValue)
    ]
    assert len(compared) == classes
    assert rest.statements == (Goto("other"),)


def test_many_classes_are_looked_up() -> None:
    """Beyond that a look-up is cheaper, however many there are."""
    looked_up, rest = node(25).rules
    (branch,) = looked_up.statements
    assert isinstance(branch, Branch)
    assert len(branch.entries) == 25
    assert rest.statements == (Goto("other"),)
