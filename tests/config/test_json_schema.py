"""The JSON Schema: valid is what the reader takes, and what it refuses alone is not."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nsgd.config.compound import ListOf, NameOr, ObjectOf
from nsgd.config.json_schema import document_schema
from nsgd.config.parse import parse_document
from nsgd.config.schema import DOCUMENT
from nsgd.config.schema_meanings import MEANINGS
from nsgd.config.shape import Choice, Mistake, Shape
from tests.config.documents import FULL, Raw, group, interface, network, rule

SCHEMA = document_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "docs" / "examples").glob("*.yaml")
    if not path.name.endswith((".expected.yaml", ".assertions.yaml"))
)


def complaints(document: object) -> list[str]:
    """What the schema says against a document."""
    return [error.json_path for error in VALIDATOR.iter_errors(document)]


def test_it_is_a_schema() -> None:
    """Of its own dialect."""
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid(path: Path) -> None:
    """Every policy that the documentation shows."""
    assert complaints(parse_document(path.read_bytes()).tree) == []


def test_examples_are_found() -> None:
    """The test above is not empty."""
    assert len(EXAMPLES) >= 2


def test_everything_that_a_document_may_hold_is_valid() -> None:
    """Every field, other spellings, and the three ways to write that a field is absent."""
    assert complaints(parse_document(FULL.encode()).tree) == []
    assert complaints(group(rule(description=""))) == []
    absent: object
    for absent in (None, "", []):
        assert complaints({"virtualNetworks": absent, "daemon": absent}) == []


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"networkSecurityGroup": []},
        {"networkSecurityGroups": {}},
        {"$schema": "x"},
        group(rule(prioritty=100)),
        group(rule(priority=99)),
        group(rule(priority=4097)),
        group(rule(priority="100")),
        group(rule(priority=True)),
        group(rule(priority=None)),
        group(rule(access="Permit")),
        group(rule(protocol="Tcp ")),
        group(rule(protocol="Any")),
        group(rule(direction=None)),
        group(rule(name="")),
        group(rule(name="-web")),
        group(rule(name="a" * 81)),
        group(rule(description="a" * 141)),
        group(rule(sourceAddressPrefix="10.0.0.256")),
        group(rule(sourceAddressPrefix="10.0.0.0/33")),
        group(rule(sourceAddressPrefix="any")),
        group(rule(sourceAddressPrefix="Storage WestUS")),
        group(rule(sourceAddressPrefix="1Storage")),
        group(rule(destinationPortRange="80,443")),
        group(rule(destinationPortRange="080")),
        group(rule(destinationPortRange=65536)),
        group(rule(sourceAddressPrefixes="10.0.0.0/8")),
        {"virtualNetworks": [network(addressSpace=[])]},
        {"virtualNetworks": [network(space="any")]},
        {"networkInterfaces": [interface(link="eth0:1")]},
        {"networkInterfaces": [interface(link="..")]},
        {"networkInterfaces": [interface(address="10.0.1.4/32")]},
        {"networkInterfaces": [interface(enableIPForwarding="yes")]},
        {"daemon": {"engine": "nft"}},
        {"daemon": {"queueNumber": 65536}},
        {"daemon": {"markMask": "0xffffffff0"}},
        {"daemon": {"metricsListen": "9480"}},
        {
            "daemon": {
                "failsafe": [
                    {
                        "protocol": "Tcp",
                        "destinationPortRange": 22,
                        "sourceAddressPrefix": "Internet",
                    }
                ]
            }
        },
        {"serviceTags": {"cloud": "../Public"}},
        {"serviceTags": {"tags": []}},
        {"limits": {"networkSecurityGroups": 0}},
        {"limits": {"networkSecurityGroups": "5000"}},
        {"limits": {"securityRules": 5000}},
    ],
    ids=repr,
)
def test_refused_documents_are_not_valid(document: object) -> None:
    """Unknown keys, wrong types, words, bounds and forms; the reader refuses each too."""
    mistakes: list[Mistake] = []
    DOCUMENT.read(document, mistakes)
    assert mistakes
    assert complaints(document)


@pytest.mark.parametrize("word", ["Tcp", "tcp", "TCP", "*"])
def test_enumerations_compare_without_case(word: str) -> None:
    """As in the reader; the spelling of the documentation is what an editor offers."""
    assert complaints(group(rule(protocol=word))) == []
    protocol = SCHEMA["$defs"]["securityRule"]["properties"]["protocol"]
    assert protocol["anyOf"][0]["enum"] == ["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"]


def test_no_value_of_a_mutated_document_is_taken_by_the_reader_alone() -> None:
    """Every value of a full document replaced by odd ones: what is read is valid."""
    full = parse_document(FULL.encode()).tree
    odd: list[object] = [
        *("Storage", "storage.WESTUS", "AzurePlatformdns", "any", "ALL", "a" * 129, 10**9, -1),
        *(None, "", [], {}, True, 0, 1, 100, 80, "*", "80", "8000-8080", "any", "TCP", "internet"),
        *("10.0.0.0/08", "fd00::/048", "::ffff:1.2.3.4", "fd00::", "0XFFFFFF", "a" * 80, "[::]:1"),
        *(["*"], [None], {"name": "x"}, ["x"], [{"name": "x"}], 65535, 4294967295, "host:0"),
    ]
    count = 0
    for path in paths(full):
        for value in odd:
            document = replaced(full, path, value)
            mistakes: list[Mistake] = []
            DOCUMENT.read(document, mistakes)
            if not mistakes:
                count += 1
                assert complaints(document) == [], (path, value)
    assert count > 500


def paths(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside."""
    items = value.items() if isinstance(value, dict) else []
    for key, entry in enumerate(value) if isinstance(value, list) else items:
        yield (*above, key)
        yield from paths(entry, (*above, key))


def replaced(document: Any, path: tuple[Any, ...], value: object) -> Raw:
    """A copy with another value at *path*."""
    result = holder = copy.deepcopy(document)
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert isinstance(result, dict)
    return result


def test_patterns_are_those_of_ecma() -> None:
    """No anchors, groups or flags that only Python has, and each is anchored."""
    patterns = re.findall(r"'pattern': (?:'([^']*)'|\"([^\"]*)\")", repr(SCHEMA))
    assert len(patterns) > 10
    for first, second in patterns:
        pattern = first or second
        assert not re.search(r"\\\\[AZz]|\(\?[P<iaLmsux]", pattern), pattern
        assert pattern.startswith("^")
        assert pattern.endswith("$")


def test_every_key_has_a_meaning() -> None:
    """And no meaning outlives its key."""
    assert set(keys(DOCUMENT)) == MEANINGS.keys()


def test_defaults_are_shown() -> None:
    """Where the tables have them, and they are valid themselves."""
    daemon = SCHEMA["$defs"]["daemonSection"]["properties"]
    assert daemon["queueNumber"]["default"] == 9480
    assert daemon["markMask"]["default"] == "0xffff3fff"
    section = {key: field["default"] for key, field in daemon.items() if "default" in field}
    assert daemon.keys() - section.keys() == {"flowLog"}
    assert complaints({"daemon": section}) == []
    limits = SCHEMA["$defs"]["limitsSection"]["properties"]
    assert limits["addressesPerSide"]["default"] == 4000
    assert SCHEMA["$defs"]["serviceTagsSection"]["properties"]["cloud"]["default"] == "Public"


def keys(shape: Shape) -> Iterator[str]:
    """The keys of every object below."""
    match shape:
        case ListOf():
            yield from keys(shape.item)
        case NameOr():
            yield from keys(shape.full)
        case ObjectOf():
            for key, field in shape.fields.items():
                yield key
                yield from keys(field.shape)
        case Choice():
            assert all(word.isascii() for word in shape.choices)
