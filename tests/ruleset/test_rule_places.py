"""Where the statements of rules stand, and that no chain is missing or in vain."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nsgd.policy.tree_nodes import Field
from nsgd.ruleset import rule_places
from nsgd.ruleset.branches import Branch
from nsgd.ruleset.objects import Ruleset, VerdictMap
from nsgd.ruleset.rule_places import rules_apart
from nsgd.ruleset.statements import Count, Goto, Jump, Return
from tests.ruleset.policies import Daemon, load, random_policy
from tests.ruleset.test_diff import Kernel

PORT, SOURCE = int(Field.DESTINATION_PORT), int(Field.SOURCE)
OF_RULES = ("allow/", "deny/")


def rules_list(*rules: int, rest: Any) -> Any:
    """A list of rules for some sources each, and what it goes on with."""
    return -1, tuple((rule, ((SOURCE, (rule, rule + 1)),)) for rule in rules), rest


def by_port(*children: Any) -> Any:
    """A node of a port for each child."""
    return PORT, tuple(range(len(children))), children


def bits(*rules: int) -> int:
    """A set of rules."""
    return sum(1 << rule for rule in set(rules))


def test_rules_of_few_lists_stand_in_them() -> None:
    """Once or twice; what a list goes on with is a place too, and with a third it has a chain."""
    assert rules_apart(rules_list(0, 1, rest=2), 0) == 0
    two = by_port(rules_list(0, 1, rest=9), rules_list(0, 2, rest=8))
    assert rules_apart(two, 0) == 0
    three = by_port(*(rules_list(0, each, rest=9) for each in (1, 2, 3)))
    assert rules_apart(three, 0) == bits(0, 9)


@pytest.mark.parametrize("classes", [2, 24, 25, 26])
def test_elements_of_maps_lead_to_chains(classes: int) -> None:
    """A rule that a look-up leads to has a chain; what is compared in turn has none."""
    children = [child for rule in range(1, classes + 1) for child in (0, rule)]
    is_compared = classes <= 24
    assert rules_apart(by_port(*children), 0) == (
        0 if is_compared else bits(*range(1, classes + 1))
    )
    # Though it stands in a list too.
    both = by_port(*children, rules_list(1, rest=0))
    assert bool(rules_apart(both, 0) & bits(1)) == (classes + 1 > 24)


def test_a_tree_that_is_one_rule() -> None:
    """The table's own chain goes to it."""
    assert rules_apart(3, 0) == bits(3)


def test_silent_rules_are_one_way() -> None:
    """All of them go back: together they may be what most values do, and they have no chain."""
    for classes in (24, 25):
        children = [child for rule in range(classes) for child in (30 + rule, rule)]
        some = bits(*range(classes))
        silent = bits(*range(30, 30 + classes))
        # Of as many values with a way each one needs no entry.
        assert rules_apart(by_port(*children), 0).bit_count() == 2 * classes - 1
        assert rules_apart(by_port(*children), silent) == (0 if classes == 24 else some)


def chains_led_to(ruleset: Ruleset) -> Counter[str]:
    """How many rules and elements lead to each chain."""
    found: Counter[str] = Counter()
    for chain in ruleset.chains:
        for rule in chain.rules:
            for statement in rule.statements:
                if isinstance(statement, Goto | Jump):
                    found[statement.chain] += 1
                elif isinstance(statement, Branch):
                    found.update(target for _, _, target in statement.entries if target)
    for each in ruleset.sets:
        if isinstance(each, VerdictMap):
            found.update(target for _, _, target in each.entries if target)
    return found


@pytest.mark.parametrize("most_places", [0, 1, 2, 1000])
@pytest.mark.parametrize("seed", range(8))
def test_every_chain_that_is_led_to_is_there(
    seed: int, most_places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule's too, but no other one; and each rule that decides counts, wherever it stands."""
    monkeypatch.setattr(rule_places, "_MOST_PLACES", most_places)
    monkeypatch.setattr(rule_places, "_MOST_COMPARISONS", (24, 0, 3, 8)[seed % 4])
    ruleset = load({**random_policy(seed), "daemon": {"engine": "kernel"}}).whole()
    led_to, there = chains_led_to(ruleset), {chain.name for chain in ruleset.chains}
    assert led_to.keys() <= there
    assert {name for name in there if name.startswith(OF_RULES)} <= led_to.keys()
    counting = Counter(
        statement.counter
        for chain in ruleset.chains
        for rule in chain.rules
        for statement in rule.statements
        if isinstance(statement, Count) and statement.counter.startswith(OF_RULES)
    )
    assert counting.keys() <= set(ruleset.counters)
    for name, places in counting.items():
        assert (name in there) <= (places >= 1)
        if most_places == 0:
            assert name in there


def test_what_is_allowed_goes_back() -> None:
    """A chain of the rule's own ends there; in a tree's chain other rules would come behind."""
    ruleset = load({**random_policy(3), "daemon": {"engine": "kernel"}}).whole()
    ends = {
        chain.name.startswith(OF_RULES): rule.statements[-1]
        for chain in ruleset.chains
        for rule in chain.rules
        if any(isinstance(s, Count) and s.counter.startswith("allow/") for s in rule.statements)
    }
    assert isinstance(ends[False], Return)


def test_a_rule_gets_a_chain_and_loses_it() -> None:
    """By reloads that lead to it from more places and from fewer: the kernel takes both."""
    kernel, daemon = Kernel(), Daemon()

    def policy(others: int) -> dict[str, Any]:
        rules = [("Asked", 100 + others, "*", "10.0.0.0/25", "*")]
        rules += [
            (f"Other{number}", 100 + number, "10.8.0.0/16", "*", f"{1000 + 10 * number}")
            for number in range(others)
        ]
        return {
            "daemon": {"engine": "kernel"},
            "virtualNetworks": [
                {
                    "name": "lab",
                    "addressSpace": ["10.0.0.0/16"],
                    "subnets": [
                        {
                            "name": "one",
                            "addressPrefixes": ["10.0.0.0/24"],
                            "networkSecurityGroup": "web",
                        }
                    ],
                }
            ],
            "networkSecurityGroups": [
                {
                    "name": "web",
                    "securityRules": [
                        {
                            "name": name,
                            "priority": priority,
                            "direction": "Inbound",
                            "access": "Deny",
                            "protocol": "Tcp",
                            "sourceAddressPrefix": source,
                            "sourcePortRange": "*",
                            "destinationAddressPrefix": destination,
                            "destinationPortRange": port,
                        }
                        for name, priority, source, destination, port in rules
                    ],
                }
            ],
        }

    had = []
    for others in (0, 12, 0, 12):
        ruleset = daemon.load(policy(others))
        kernel.change(ruleset)
        had.append("deny/web/in/Asked" in {chain.name for chain in ruleset.whole().chains})
    assert had == [False, True, False, True]
