"""Documents that did not change are not read again, and everything is checked again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from nsgd.config.load import Document, LoadedConfig, ReadDocuments, load_documents
from nsgd.config.parse import ParsedDocument, parse_document
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.report import Place
from nsgd.config.rule import References, assemble_rule
from nsgd.config.schema import DOCUMENT
from nsgd.config.shape import Mistake
from nsgd.model.rule import SecurityRule
from tests.config.documents import Raw, group, interface, network, rule


def documents(*contents: Raw) -> list[Document]:
    """Documents of values."""
    return [Document(f"d{i}", json.dumps(content).encode()) for i, content in enumerate(contents)]


NETWORK: Raw = {"virtualNetworks": [network()], "networkInterfaces": [interface()]}
GROUP: Raw = group(rule())


def test_only_what_changed_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the result is that of a fresh reading."""
    parsed: list[bytes] = []

    def noting(content: bytes) -> ParsedDocument:
        parsed.append(content)
        return parse_document(content)

    for module in ("load", "parse"):
        monkeypatch.setattr(f"nsgd.config.{module}.parse_document", noting)
    before = ReadDocuments()
    first = documents(NETWORK, GROUP)
    assert load_documents(first, before) == load_documents(first)
    parsed.clear()
    assert load_documents(first, before) == load_documents(first)
    assert len(parsed) == 2  # the fresh reading's
    parsed.clear()
    changed = documents(NETWORK, group(rule(), name="other") | {"daemon": {}})
    loaded = load_documents(changed, before)
    assert parsed == [changed[1].content]
    assert loaded == load_documents(changed)


def test_what_was_read_before_is_checked_again() -> None:
    """A document that was right beside another may be wrong beside a third; lines stay known."""
    before = ReadDocuments()
    load_documents(documents(NETWORK, GROUP), before)
    with pytest.raises(ConfigRefused) as refused:
        load_documents(documents(NETWORK, GROUP, GROUP), before)
    assert [problem.document for problem in refused.value.problems] == ["d2"]
    assert refused.value.problems[0].line == 1


def test_a_refused_reading_is_not_kept() -> None:
    """The mistakes of a document are told each time."""
    before = ReadDocuments()
    bad = documents({"networkSecurityGroups": [{"name": "web", "rules": []}]})
    for _ in range(2):
        with pytest.raises(ConfigRefused, match="rules"):
            load_documents(bad, before)


def test_only_what_changed_in_a_document_is_assembled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of a changed document whose fields are the same is taken over."""
    assembled: list[str] = []

    def noting(raw: Raw, place: Place, references: References) -> SecurityRule | None:
        assembled.append(raw["name"])
        return assemble_rule(raw, place, references)

    monkeypatch.setattr("nsgd.config.rules.assemble_rule", noting)

    def groups(port: str, *others: str) -> Raw:
        (one,) = group(rule(name="one", destinationPortRange=port))["networkSecurityGroups"]
        (two,) = group(rule(name="two"), name="other")["networkSecurityGroups"]
        more = [two | {"name": name} for name in others]
        return {"networkSecurityGroups": [*more, one, two]}

    before = ReadDocuments()
    load_documents(documents(NETWORK, groups("80")), before)
    assert assembled == ["one", "two"]
    for contents, expected in (
        ((NETWORK, groups("81")), ["one"]),
        ((groups("81"), NETWORK), []),
        ((NETWORK, groups("81", "third")), ["two"]),
        ((NETWORK, groups("80")), ["one"]),
    ):
        assembled.clear()
        loaded = load_documents(documents(*contents), before)
        assert assembled == expected
        assert loaded == load_documents(documents(*contents))


def test_only_what_changed_in_a_document_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the others the text is the same, wherever it stands by now."""
    read: list[str] = []
    whole = DOCUMENT

    class Noting:
        """The table of fields, which notes the groups that are read."""

        def read(self, value: Raw, mistakes: list[Mistake]) -> Raw | None:
            """As the table of fields."""
            read.extend(each["name"] for each in value.get("networkSecurityGroups", ()))
            return whole.read(value, mistakes)

    monkeypatch.setattr("nsgd.config.read_before.DOCUMENT", Noting())
    groups = {name: group(rule(), name=name)["networkSecurityGroups"][0] for name in "abcdef"}

    def policy(names: str, **sections: Raw) -> list[Document]:
        return documents(NETWORK, {"networkSecurityGroups": [groups[n] for n in names], **sections})

    before = ReadDocuments()
    load_documents(policy("abcde"), before)
    for names, expected in (("bcde", ""), ("bcfde", "f"), ("cbfd", "b"), ("d", ""), ("dae", "ae")):
        read.clear()
        loaded = load_documents(policy(names), before)
        assert "".join(read) == expected
        assert loaded == load_documents(policy(names))
    # Where a section comes or goes the whole is read.
    read.clear()
    assert load_documents(policy("da", daemon={}), before) == load_documents(
        policy("da", daemon={})
    )
    assert not read


def test_a_section_that_becomes_empty() -> None:
    """It is as good as absent, whatever it was."""
    before = ReadDocuments()
    sections: Raw = {**group(rule()), "applicationSecurityGroups": [{"name": "a"}]}
    for key in ("applicationSecurityGroups", "networkSecurityGroups"):
        values: tuple[Any, ...] = ([], None, sections[key])
        for value in values:
            given = documents(NETWORK, {**sections, key: value})
            assert load_documents(given, before) == load_documents(given)


@pytest.mark.parametrize("key", ["sourcePortRanges", "destinationPortRanges"])
def test_all_ports_in_a_list_where_they_were_a_range(key: str) -> None:
    """The one equals the other, and is refused in a list of several."""
    ports = rule()
    ports.pop(key.removesuffix("s"))
    before = ReadDocuments()
    good, bad = (
        documents(NETWORK, group({**ports, key: [written, "80"]})) for written in ("0-65535", "*")
    )
    for given in (good, bad, good, bad):
        assert outcome(given, before) == outcome(given, None)


def outcome(
    given: list[Document], before: ReadDocuments | None
) -> LoadedConfig | tuple[Problem, ...]:
    """What documents declare, or every problem."""
    try:
        return load_documents(given, before)
    except ConfigRefused as refused:
        return refused.problems


PIECES: tuple[str, ...] = (
    *'{}[]",: 1a\né\\\x01',
    *("1.0", "true", "null", '"a"', '"name"', '{"name": "x"}', "[]", "{}", "\\u0041"),
    *(', "flushConnection": true', ', "name": "b"', "deploymentTemplate.json"),
)


def end_of(text: str, start: int) -> int:
    """Where an object ends, or the text where it is none."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return len(text)
    return int(end)


def edited(text: str, chooser: random.Random) -> str:
    """With one change, which leaves it JSON or not."""
    start = chooser.randrange(len(text))
    end = min(len(text), start + chooser.choice((0, 0, 1, 1, 5, 60)))
    objects = [index for index, character in enumerate(text) if character == "{"]
    match chooser.randrange(7):
        case 0 | 1:
            return text[:start] + chooser.choice(PIECES) + text[end:]
        case 2:  # twice
            return text[:end] + text[start:]
        case 3:  # another object of it
            into, out_of = chooser.choice(objects), chooser.choice(objects)
            return text[:into] + text[out_of : end_of(text, out_of)] + text[end_of(text, into) :]
        case 4:
            value = chooser.choice(('"80"', "81", "true", '"x-1"', "1e1", '"*"', "[]", "{}", "[1]"))
            return text.replace('"80"', value, 1)
        case 5:
            return text.replace(chooser.choice("abc123"), chooser.choice("abc123"), 1)
        case _:
            try:
                return json.dumps(json.loads(text), indent=chooser.choice((None, 1, 2)))
            except ValueError:
                return text


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_edited_is_read_as_afresh(seed: int) -> None:
    """The same policy or the same problems, with their lines, after edits of any text."""
    chooser = random.Random(seed)
    groups = [
        {
            "name": name,
            "securityRules": [
                rule(name=f"r{n}", priority=100 + n, destinationPortRange="80", description="é {")
                for n in range(2)
            ],
        }
        for name in "abc"
    ]
    document = {"networkSecurityGroups": groups, "applicationSecurityGroups": [{"name": "g"}]}
    good = text = json.dumps(document, ensure_ascii=False, indent=chooser.choice((None, 1)))
    before = ReadDocuments()
    refused = 0
    for _ in range(120):
        given = [*documents(NETWORK), Document("policy", text.encode())]
        found = outcome(given, before)
        assert found == outcome(given, None)
        if isinstance(found, LoadedConfig):
            good = text
        else:
            refused += 1
            text = good
        text = edited(text, chooser)
    assert 20 < refused < 110
