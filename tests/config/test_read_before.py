"""Documents that did not change are not read again, and everything is checked again."""

from __future__ import annotations

import json

import pytest

from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.config.parse import ParsedDocument, parse_document
from nsgd.config.problem import ConfigRefused
from nsgd.config.report import Place
from nsgd.config.rule import References, assemble_rule
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
    changed = documents(NETWORK, group(rule(), name="other"))
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
