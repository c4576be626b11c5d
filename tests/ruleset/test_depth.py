"""The kernel follows so many jumps and gotos from a hook; no policy may need more."""

from __future__ import annotations

from itertools import product

import pytest

from nsgd.model.address import IP_VERSIONS
from nsgd.policy.tree_nodes import Field, Flattener
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.written import Present
from tests.policy.test_tree import most_splits
from tests.ruleset.deepest import deepest_policy
from tests.ruleset.nft_simulator import MOST_LEVELS, Table
from tests.ruleset.policies import Policy, load, random_policy, worst_policy
from tests.ruleset.test_dispatch import case


def levels(policy: Policy) -> int:
    """The most below a hook; the model of the table refuses too many by itself."""
    table = Table()
    change = replace_ruleset(load(policy), Present(), 6)
    table.commit(change.prepare)
    table.commit(change.switch)
    return max(table.levels().values())


def test_the_worst_policy_is_the_worst() -> None:
    """Its groups and admin rules make trees that ask all fields, of both IP versions."""
    tables = [table for table in case(worst_policy()).policy.tables if len(table.rule_names) > 9]
    assert len(tables) == 6
    for table, version in product(tables, IP_VERSIONS):
        assert most_splits(table.tree(version, Flattener()).root) == len(Field)


@pytest.mark.parametrize("roles", [("gateway",), ("host",), ("gateway", "host")])
@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_the_longest_way_is_short_enough(mode: str, roles: tuple[str, ...]) -> None:
    """Links that bind, transit, AlwaysAllow, five fields a table, and audit mode's last chain.

    Behind the fields one list more, where classes of the last one share it.
    """
    assert levels(worst_policy(mode, roles=roles)) < levels(deepest_policy(mode, roles))
    assert levels(deepest_policy(mode, roles)) <= MOST_LEVELS


@pytest.mark.parametrize("seed", range(10))
def test_random_policies(seed: int) -> None:
    """None comes near."""
    assert levels(random_policy(seed)) < MOST_LEVELS
