"""A load after another is as one from scratch: same policy, notes and problems, with less work."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsgd.config.load import Document, LoadedConfig, ReadDocuments, load_documents
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.runnable import what_cannot_run
from nsgd.runtime import load as runtime_load
from nsgd.runtime.load import LoadedBefore, LoadedPolicy
from tests.oracle.choose import RandomChooser, Written, chance, pick
from tests.oracle.generate import draw_document
from tests.runtime.directories import Tags, load_all, loaded, policy, write
from tests.runtime.edits import EDITS, State
from tests.tag_files import tag_document

SEQUENCES = 14
STEPS = 14


@pytest.fixture(autouse=True)
def nothing_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector of the test run stays as it is."""
    monkeypatch.setattr(runtime_load, "set_aside", lambda: None)


def configured(
    texts: dict[str, str], tags: Tags, before: ReadDocuments | None
) -> LoadedConfig | tuple[Problem, ...]:
    """What documents declare, with their notes, or every problem."""
    documents = [Document(name, text.encode()) for name, text in sorted(texts.items())]
    try:
        return load_documents(documents, before, tags)
    except ConfigRefused as refused:
        return refused.problems


def drawn(chooser: RandomChooser) -> State:
    """A policy that one gateway can run."""
    while True:
        state = State(*draw_document(chooser))
        found = configured(state.texts(), Tags(state.tag_files), None)
        if isinstance(found, LoadedConfig) and not what_cannot_run(found.model):
            return state


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_every_load_is_as_from_scratch(seed: int, tmp_path: Path) -> None:
    """Whatever is edited, spoilt and repaired between loads."""
    chooser = RandomChooser(f"incremental-{seed}")
    state = drawn(chooser)
    good = copy.deepcopy(state)
    read, before = ReadDocuments(), LoadedBefore()
    numbers = DecisionNumbers()
    tags = Tags(state.tag_files)
    for _ in range(STEPS):
        texts = state.texts()
        tags.files = copy.deepcopy(state.tag_files)
        assert configured(texts, tags, read) == configured(texts, tags, None)
        write(tmp_path, texts)
        found = loaded(tmp_path, numbers, tags, before)
        assert found == loaded(tmp_path, numbers, tags, None)
        if isinstance(found, LoadedPolicy):
            good = copy.deepcopy(state)
            numbers = found.numbers
        elif chance(chooser, 70):
            state = copy.deepcopy(good)
        pick(chooser, EDITS)(chooser, state)


# -- what parts depend on -------------------------------------------------------------------


def interfaces_of(parts: dict[str, Any], name: str) -> list[Written]:
    """The list of one document."""
    found: list[Written] = parts[name]["networkInterfaces"]
    return found


def add_base(**sections: Any) -> Callable[[dict[str, Any], Tags], None]:
    """An edit that gives the first document more sections."""
    return lambda parts, _: parts["base.json"].update(sections)


def change_first(**fields: Any) -> Callable[[dict[str, Any], Tags], None]:
    """An edit of the first interface of the first document of them."""
    return lambda parts, _: interfaces_of(parts, "nics0.json")[0].update(fields)


def change_tag_file(_: dict[str, Any], tags: Tags) -> None:
    """The tag that a rule names has other prefixes."""
    tags.files = {"Public": tag_document({"Storage": ["203.0.113.0/25"]}, change_number=8)}


ADMIN: dict[str, Any] = {
    "name": "baseline",
    "ruleCollections": [
        {
            "name": "c",
            "appliesTo": ["hub"],
            "rules": [
                {
                    "name": "DenySsh",
                    "priority": 1,
                    "direction": "Inbound",
                    "access": "Deny",
                    "protocol": "Tcp",
                    "sources": ["*"],
                    "sourcePortRanges": ["*"],
                    "destinations": ["*"],
                    "destinationPortRanges": ["22"],
                }
            ],
        }
    ],
}


@pytest.mark.parametrize(
    ("edit", "is_refused"),
    [
        (add_base(limits={"securityRulesPerNetworkSecurityGroup": 5}), True),
        (add_base(limits={"securityRulesPerNetworkSecurityGroup": 6}), False),
        (add_base(limits={"ipConfigurationsPerApplicationSecurityGroup": 9}), True),
        (add_base(limits={"ipConfigurationsPerApplicationSecurityGroup": 10}), False),
        (add_base(limits={"privateIPAddressesPerVirtualNetwork": 19}), True),
        (add_base(limits={"privateIPAddressesPerVirtualNetwork": 20}), False),
        (change_first(name="N11"), True),
        (change_first(link="veth11"), True),
        (change_first(link="veth0"), False),
        (change_first(subnet="s3", privateIPAddresses=["10.3.1.3"]), True),
        (change_first(subnet="s3", privateIPAddresses=["10.3.1.9"]), False),
        (change_first(networkSecurityGroup="G3"), False),
        (change_first(applicationSecurityGroups=["A1"]), False),
        (add_base(applicationSecurityGroups=[{"name": "A0"}, {"name": "a1"}]), False),
        (add_base(applicationSecurityGroups=[{"name": "a0"}]), True),
        (add_base(securityAdminConfigurations=[ADMIN]), False),
        (add_base(subscription={"kind": "payAsYouGo", "created": "2019-01-01"}), False),
        (add_base(dialect="classic"), True),
        (change_tag_file, False),
        (lambda _, tags: tags.files.clear(), True),
    ],
)
def test_what_parts_depend_on(
    edit: Callable[[dict[str, Any], Tags], None], is_refused: bool, tmp_path: Path
) -> None:
    """Something changes beside a part that would be taken over, and is changed back."""
    parts = policy(4, 20)
    rules = parts["g1.json"]["networkSecurityGroups"][0]["securityRules"]
    rules.append(rules[0] | {"name": "tag", "priority": 200, "destinationAddressPrefix": "Storage"})
    interfaces_of(parts, "nics10.json")[0]["link"] = "veth11"
    tags = Tags({"Public": tag_document({"Storage": ["203.0.113.0/24"]})})
    before = LoadedBefore()
    for change in (None, edit, None):
        changed, files = copy.deepcopy(parts), copy.deepcopy(tags.files)
        if change is not None:
            change(changed, tags)
        write(tmp_path, {name: json.dumps(part) for name, part in changed.items()})
        numbers = DecisionNumbers()
        found = loaded(tmp_path, numbers, tags, before)
        assert found == loaded(tmp_path, numbers, tags, None)
        assert isinstance(found, LoadedPolicy) is not (change is edit and is_refused)
        tags.files = files


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        ("ipConfigurationsPerApplicationSecurityGroup", 10),
        ("privateIPAddressesPerVirtualNetwork", 20),
    ],
)
def test_what_all_documents_have_together(limit: str, number: int, tmp_path: Path) -> None:
    """One address more, in one of the documents, is one too many of all."""
    parts = policy(4, 20)
    parts["base.json"]["limits"] = {limit: number}
    before = LoadedBefore()
    for name in ("nics0.json", "nics10.json"):
        load_all(tmp_path, parts, DecisionNumbers(), before)
        changed = copy.deepcopy(parts)
        first = interfaces_of(changed, name)[0]
        first["privateIPAddresses"].append(f"10.{first['subnet'][1]}.9.9")
        write(tmp_path, {name: json.dumps(part) for name, part in changed.items()})
        found = loaded(tmp_path, DecisionNumbers(), Tags({}), before)
        assert not isinstance(found, LoadedPolicy)
        assert found == loaded(tmp_path, DecisionNumbers(), Tags({}), None)


def test_another_dialect(tmp_path: Path) -> None:
    """What the networks' tags hold differs from dialect to dialect, and so do tables."""
    parts = policy(2, 0)
    parts["base.json"].pop("applicationSecurityGroups")
    for name in ("g0.json", "g1.json"):
        for each in parts[name]["networkSecurityGroups"][0]["securityRules"]:
            each.pop("sourceApplicationSecurityGroups")
            each["sourceAddressPrefix"] = "VirtualNetwork"
    before = LoadedBefore()
    for dialect in ("now", "2017", "now"):
        parts["base.json"]["dialect"] = dialect
        found = load_all(tmp_path, parts, DecisionNumbers(), before)
        assert found == loaded(tmp_path, DecisionNumbers(), Tags({}), None)
