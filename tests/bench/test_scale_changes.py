"""Changes of large documents: each is of one rule, makes something new, and loads."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest

from nsgd.bench.scale import FULL_EXTENT
from nsgd.bench.scale_changes import (
    CHANGES,
    MOST_TURNS,
    Change,
    change_rule,
    changes_of_turn,
    turns_of_round,
)
from nsgd.bench.scale_documents import Document, Extent, scale_documents
from nsgd.config.load import Document as File
from nsgd.config.load import load_documents
from nsgd.model.network import NetworkModel
from nsgd.model.rule import PrefixList, SecurityRule

SMALL = Extent(nics=20, groups=6)
TURNS = (0, 1, 2, MOST_TURNS - 1)
BY_KEY = {change.key: change for change in CHANGES}

Rules = dict[tuple[str, str], SecurityRule]  # by their groups and names


def loaded(documents: dict[str, Document]) -> NetworkModel:
    """What nsgd makes of them."""
    files = [File(f"{name}.json", json.dumps(d).encode()) for name, d in documents.items()]
    return load_documents(files).model


def rules_of(model: NetworkModel) -> Rules:
    """All rules, in the order of their groups, directions and priorities."""
    return {
        (group.name, rule.name): rule
        for group in model.network_security_groups
        for rule in sorted(group.security_rules, key=lambda r: (r.direction.value, r.priority))
    }


def strings(value: object) -> Iterator[str]:
    """All that a document says in words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def changed_rule(before: Rules, after: Rules) -> tuple[SecurityRule | None, SecurityRule | None]:
    """The only rule that is not in both; None where it is not there."""
    (key,) = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    return before.get(key), after.get(key)


def fields_changed(before: SecurityRule | None, after: SecurityRule | None) -> set[str]:
    """The names of fields in which they differ."""
    assert before is not None
    assert after is not None
    names = [field.name for field in dataclasses.fields(SecurityRule)]
    return {name for name in names if getattr(before, name) != getattr(after, name)}


def test_each_changes_one_rule() -> None:
    """Of one file, by turns with all the others, and what nsgd loads differs in that rule only."""
    documents = scale_documents(SMALL, "kernel")
    before = loaded(documents)
    for turn in TURNS:
        for change in changes_of_turn(turn):
            texts = {name: json.dumps(d) for name, d in documents.items()}
            name = change_rule(documents, change, turn)
            assert [n for n, d in documents.items() if json.dumps(d) != texts[n]] == [name]
            after = loaded(documents)
            old, new = changed_rule(rules_of(before), rules_of(after))
            assert (old is None, new is None) == (change.key == "added", change.key == "removed")
            groups = before.network_security_groups
            assert dataclasses.replace(after, network_security_groups=groups) == before
            before = after


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("sourcePorts", "source_ports"),
        ("destinationPort", "destination_ports"),
        ("destinationPorts", "destination_ports"),
        ("address", "source"),
        ("addresses", "source"),
        ("access", "access"),
        ("priority", "priority"),
        ("protocol", "protocol"),
    ],
)
def test_one_field_changes(key: str, field: str) -> None:
    """What the change is called, nothing else, and each turn another value of it or rule."""
    documents = scale_documents(SMALL, "kernel")
    models = [loaded(documents)]
    seen = []
    for turn in TURNS:
        change_rule(documents, BY_KEY[key], turn)
        models.append(loaded(documents))
        old, new = changed_rule(*map(rules_of, models[-2:]))
        assert fields_changed(old, new) == {field}
        assert new is not None
        seen.append((new.name, getattr(new, field)))
    assert len(set(seen)) == len(TURNS)
    orders = [list(rules_of(model)) for model in models]
    assert all(order == orders[0] for order in orders)  # a priority too: the rule keeps its place


def test_lists_stay_lists() -> None:
    """Several ranges of ports, several prefixes; and one, where one is said."""
    documents = scale_documents(SMALL, "kernel")
    before = rules_of(loaded(documents))
    counts = {}
    for key in ("destinationPort", "destinationPorts", "address", "addresses"):
        change_rule(documents, BY_KEY[key], 0)
        after = rules_of(loaded(documents))
        _, new = changed_rule(before, after)
        assert new is not None
        assert isinstance(new.source, PrefixList)
        counts[key] = len(new.source.prefixes if "address" in key else new.destination_ports)
        before = after
    assert counts == {"destinationPort": 1, "destinationPorts": 2, "address": 1, "addresses": 2}


def test_both_ways_of_access() -> None:
    """Rounds that follow one another deny what was allowed and allow what was denied."""
    documents = scale_documents(SMALL, "kernel")
    models = [loaded(documents)]
    ways = set()
    for turn in range(3):
        change_rule(documents, BY_KEY["access"], turn)
        models.append(loaded(documents))
        old, new = changed_rule(*map(rules_of, models[-2:]))
        assert old is not None
        assert new is not None
        ways.add((old.access.value, new.access.value))
    assert ways == {("Allow", "Deny"), ("Deny", "Allow")}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.key)
def test_nothing_runs_out(change: Change) -> None:
    """Every turn finds a rule, and the last one's documents load; there is no turn after it."""
    documents = scale_documents(SMALL, "kernel")
    texts = {json.dumps(documents[max(documents)])}
    for turn in range(MOST_TURNS):
        texts.add(json.dumps(documents[change_rule(documents, change, turn)]))
    assert len(texts) == MOST_TURNS + 1
    loaded(documents)
    with pytest.raises(ValueError, match="turn 12"):
        change_rule(documents, change, MOST_TURNS)


def test_new_words_are_new() -> None:
    """Ports and prefixes that are said to be new were in no rule of the full extent before."""
    documents = scale_documents(FULL_EXTENT, "kernel")
    name = max(documents)
    known = {word for document in documents.values() for word in strings(document)}
    for turn in TURNS:
        for key in ("destinationPort", "destinationPorts", "address", "addresses", "added"):
            change_rule(documents, BY_KEY[key], turn)
            new = set(strings(documents[name])) - known
            assert len(new) == (1 if key in ("destinationPort", "address") else 2), key
            known |= new


def test_all_are_first_by_turns() -> None:
    """Each turn makes every change once, and begins with another one."""
    orders = [changes_of_turn(turn) for turn in range(MOST_TURNS)]
    assert all(sorted(order) == sorted(CHANGES) for order in orders)
    assert [order[0] for order in orders[: len(CHANGES)]] == list(CHANGES)


def test_turns_of_rounds() -> None:
    """Other ones than before, never twice in a round, for any number of rounds."""
    assert [turns_of_round(number, 1) for number in (1, 2, 3)] == [[0], [1], [2]]
    assert [turns_of_round(number, 2) for number in (1, 2)] == [[0, 1], [2, 3]]
    assert turns_of_round(MOST_TURNS + 1, 1) == [0]
