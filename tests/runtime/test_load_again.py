"""What a load after another does not do again, and that it keeps nothing but the last one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nsgd.config import rules as config_rules
from nsgd.config.interfaces import InterfaceReader
from nsgd.config.problem import ConfigRefused
from nsgd.policy import compile as policy_compile
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime import load as runtime_load
from nsgd.runtime.load import LoadedBefore
from tests.runtime.directories import load_all, policy


@pytest.fixture(autouse=True)
def nothing_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector of the test run stays as it is."""
    monkeypatch.setattr(runtime_load, "set_aside", lambda: None)


@dataclass
class Work:
    """What was assembled, compiled and looked through."""

    rules: int = 0
    interfaces: int = 0
    tables: int = 0
    endpoint_maps: int = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts from now on."""
    done = Work()

    def counting(owner: Any, name: str, count: Callable[..., None]) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            count(*args, **kwargs)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    def add(name: str, number: int = 1) -> None:
        setattr(done, name, getattr(done, name) + number)

    counting(config_rules, "assemble_rule", lambda *_: add("rules"))
    counting(InterfaceReader, "assemble", lambda _, given: add("interfaces", len(given)))
    counting(policy_compile, "compile_table", lambda *_: add("tables"))
    counting(policy_compile, "build_endpoint_map", lambda *_: add("endpoint_maps"))
    return done


@pytest.mark.parametrize(("groups", "interfaces"), [(4, 20), (40, 200)])
def test_a_changed_rule_costs_its_group(
    groups: int, interfaces: int, tmp_path: Path, work: Work
) -> None:
    """However big the policy is; all other tables, the endpoint map and the numbers stay."""
    parts = policy(groups, interfaces)
    before = LoadedBefore()
    first = load_all(tmp_path, parts, DecisionNumbers(), before)
    assert work == Work(5 * groups, interfaces, 2 * groups, 1)
    parts["g1.json"]["networkSecurityGroups"][0]["securityRules"][3]["priority"] = 4000
    vars(work).update(vars(Work()))
    second = load_all(tmp_path, parts, first.numbers, before)
    assert work == Work(rules=5, tables=2)
    changed = [
        table.network_security_group
        for table, old in zip(second.policy.tables, first.policy.tables, strict=True)
        if table is not old
    ]
    assert changed == ["g1"]
    assert second.policy.endpoint_map is first.policy.endpoint_map
    assert second.numbers is first.numbers
    assert second.model.network_interfaces is first.model.network_interfaces


def test_a_moved_member_costs_what_names_its_group(tmp_path: Path, work: Work) -> None:
    """One document of interfaces, and the tables whose rules name the groups that it left."""
    parts = policy(4, 20)
    before = LoadedBefore()
    first = load_all(tmp_path, parts, DecisionNumbers(), before)
    parts["nics10.json"]["networkInterfaces"][0].pop("applicationSecurityGroups")
    vars(work).update(vars(Work()))
    second = load_all(tmp_path, parts, first.numbers, before)
    assert work == Work(interfaces=10, tables=4, endpoint_maps=1)
    changed = [
        table.network_security_group
        for table, old in zip(second.policy.tables, first.policy.tables, strict=True)
        if table is not old
    ]
    assert changed == ["g0", "g2"]  # inbound; nothing of outbound names a group


def test_a_refused_load_leaves_what_was_kept(tmp_path: Path, work: Work) -> None:
    """A mistake costs a load from scratch, and its repair nothing."""
    parts = policy(4, 20)
    before = LoadedBefore()
    first = load_all(tmp_path, parts, DecisionNumbers(), before)
    spoilt = copy.deepcopy(parts)
    spoilt["nics0.json"]["networkInterfaces"][0]["privateIPAddresses"] = ["10.0.1.3"]
    with pytest.raises(ConfigRefused, match=r"10\.0\.1\.3 is already taken"):
        load_all(tmp_path, spoilt, first.numbers, before)
    vars(work).update(vars(Work()))
    again = load_all(tmp_path, parts, first.numbers, before)
    assert work == Work()
    assert again.policy == first.policy
    assert all(a is b for a, b in zip(again.policy.tables, first.policy.tables, strict=True))


def test_only_the_last_load_is_kept(tmp_path: Path) -> None:
    """What was resolved and compiled for rules that are gone goes with them."""
    parts = policy(2, 10)
    before = LoadedBefore()
    numbers = DecisionNumbers()
    sizes = []
    for round_ in range(4):
        rules = parts["g1.json"]["networkSecurityGroups"][0]["securityRules"]
        rules[0]["destinationAddressPrefix"] = ""
        rules[0]["destinationAddressPrefixes"] = [f"10.9.{round_}.0/24", "10.8.0.0/16"]
        numbers = load_all(tmp_path, parts, numbers, before).numbers
        compiled = before.loaded.compiled
        assert compiled is not None
        resolver = compiled.views.resolver(("hub", ()))
        sizes.append(len(resolver._shared._sets))
    assert sizes == [1] * 4
    assert before.kept.model is not None
    assert len(before.kept.groups) == 2
    assert len(before.loaded.digests) == len(parts)


def test_contents_that_stay_are_kept_once(tmp_path: Path) -> None:
    """A reload reads every file, and keeps the bytes that it knows already."""
    parts = policy(2, 4)
    before = LoadedBefore()
    first = load_all(tmp_path, parts, DecisionNumbers(), before)
    parts["g1.json"]["networkSecurityGroups"][0]["securityRules"][3]["priority"] = 4000
    second = load_all(tmp_path, parts, first.numbers, before)
    kept = {id(document.content) for document in first.documents}
    new = [document.name for document in second.documents if id(document.content) not in kept]
    assert [Path(name).name for name in new] == ["g1.json"]
