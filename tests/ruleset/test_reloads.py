"""Drawn policies edited in every way, one after the other in one table, as each from nothing."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nsgd.model.settings import Engine
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset import profiles, rule_places, table_chains
from nsgd.ruleset.objects import Ruleset
from nsgd.ruleset.physical import next_epoch
from nsgd.ruleset.policy_rulesets import PolicyRulesets
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.written import Present
from nsgd.runtime import load as runtime_load
from nsgd.runtime.load import LoadedBefore, LoadedPolicy
from tests.oracle.choose import RandomChooser, chance, pick
from tests.ruleset.nft_simulator import Table
from tests.ruleset.test_diff import Kernel
from tests.runtime.directories import Tags, load_all, loaded, policy, write
from tests.runtime.edits import EDITS
from tests.runtime.test_incremental_load import ADMIN, drawn

SEQUENCES, STEPS = 8, 7


def ruleset_of(
    rulesets: PolicyRulesets, loaded: LoadedPolicy, engine: Engine, epoch: str
) -> Ruleset:
    """By an engine, whatever the documents say."""
    return rulesets.ruleset(
        loaded.model,
        loaded.policy,
        loaded.numbers,
        replace(loaded.settings, engine=engine),
        QueueRule(1, False),
        inward_links=sorted(i.link for i in loaded.model.network_interfaces if i.link),
        adopting=False,
        epoch=epoch,
    )


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_every_table_is_as_from_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever rulesets and tables keep of the policies before."""
    monkeypatch.setattr(runtime_load, "set_aside", lambda: None)
    # Other forms of trees and of ways, which small policies have else not.
    monkeypatch.setattr(rule_places, "_MOST_COMPARISONS", (24, 2, 0, 5)[seed % 4])
    monkeypatch.setattr(rule_places, "_MOST_PLACES", (2, 0, 1, 9)[seed % 4])
    monkeypatch.setattr(table_chains, "LONGEST_LIST", (100, 100, 2, 4)[seed % 4])
    monkeypatch.setattr(profiles, "MOST_PAIRS", (256, 1, 256, 0)[seed % 4])
    chooser, draw = RandomChooser(f"tables-{seed}"), random.Random(seed)
    state = drawn(chooser)
    good = copy.deepcopy(state)
    before, tags = LoadedBefore(), Tags(state.tag_files)
    numbers = DecisionNumbers()
    rulesets, kernel = PolicyRulesets(), Kernel()
    engine, epoch = Engine.KERNEL, "a"
    for _ in range(STEPS):
        tags.files = copy.deepcopy(state.tag_files)
        write(tmp_path, state.texts())
        found = loaded(tmp_path, numbers, tags, before)
        if isinstance(found, LoadedPolicy):
            good = copy.deepcopy(state)
            numbers = found.numbers
            anew = loaded(tmp_path, numbers, tags, None)
            assert isinstance(anew, LoadedPolicy)
            if draw.random() < 0.1:
                kernel.forget()
                rulesets, before = PolicyRulesets(), LoadedBefore()
                epoch = next_epoch(kernel.table.present().sets)
            if draw.random() < 0.1:
                engine = Engine.QUEUE if engine is Engine.KERNEL else Engine.KERNEL
            kernel.change(ruleset_of(rulesets, found, engine, epoch))
            scratch = Table()
            change = replace_ruleset(
                ruleset_of(PolicyRulesets(), anew, engine, epoch), Present(), 6
            )
            for messages in (change.prepare, change.switch, change.clean):
                scratch.commit(messages)
            assert kernel.table.content() == scratch.content()
        elif chance(chooser, 70):
            state = copy.deepcopy(good)
        for _ in range(draw.choice((1, 1, 2, 3))):
            pick(chooser, EDITS)(chooser, state)


def admin_rules(*names: str) -> dict[str, Any]:
    """A section of security admin rules that are final."""
    (rule,) = ADMIN["ruleCollections"][0]["rules"]
    rules = [
        rule | {"name": name, "priority": number, "access": "AlwaysAllow"}
        for number, name in enumerate(names, 1)
    ]
    collection = ADMIN["ruleCollections"][0] | {"rules": rules}
    return {"securityAdminConfigurations": [ADMIN | {"ruleCollections": [collection]}]}


def test_other_numbers_after_a_refused_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that the next load has too gets the numbers of that one, in the map of final rules.

    The kernel has refused the first, so its numbers are nobody's.
    """
    monkeypatch.setattr(runtime_load, "set_aside", lambda: None)
    before, rulesets, kernel = LoadedBefore(), PolicyRulesets(), Kernel()
    parts = policy(2, 10)

    def load(numbers: DecisionNumbers) -> LoadedPolicy:
        return load_all(tmp_path, parts, numbers, before)

    first = load(DecisionNumbers())
    kernel.change(ruleset_of(rulesets, first, Engine.KERNEL, "a"))
    rules = parts["g0.json"]["networkSecurityGroups"][0]["securityRules"]
    rules.append(rules[0] | {"name": "new", "priority": 900})
    parts["base.json"].update(admin_rules("one", "two"))
    refused = load(first.numbers)
    ruleset_of(rulesets, refused, Engine.KERNEL, "a")
    rules.pop()
    second = load(first.numbers)
    assert second.policy.tables[-1] is refused.policy.tables[-1]
    assert second.numbers.of_table(second.policy, -1) != refused.numbers.of_table(
        refused.policy, -1
    )
    desired = ruleset_of(rulesets, second, Engine.KERNEL, "a")
    anew = ruleset_of(PolicyRulesets(), second, Engine.KERNEL, "a")
    assert desired.whole() == anew.whole()
