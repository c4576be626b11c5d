"""Whatever comes, a document is loaded or refused: nothing else is raised, and nothing hangs."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nsgd.config.limits import LIMITS
from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.parse import parse_document
from nsgd.config.problem import ConfigRefused, Problem
from tests.config.documents import FULL, TAGS

FULL_TREE: Any = parse_document(FULL.encode()).tree


def outcome(*contents: bytes) -> LoadedConfig | tuple[Problem, ...]:
    """The config or the problems, each of which must be fit to print."""
    try:
        return load_documents([Document("f", content) for content in contents], tags=TAGS)
    except ConfigRefused as refused:
        problems = refused.problems
    assert problems
    for problem in problems:
        assert str(problem).isprintable()
        assert problem.message
        assert problem.way_out
        assert problem.line is None or problem.line >= 1
    return problems


def agree(tree: object) -> None:
    """JSON and YAML say the same of *tree*, lines apart."""
    text = json.dumps(tree)
    # The comment makes YAML of it, and each line one more.
    as_json, as_yaml = outcome(text.encode()), outcome(f"# YAML\n{text}".encode())
    # YAML does not know the escapes of characters beyond 16 bits, nor of halves of them.
    if "\\ud" in text:
        return
    if isinstance(as_json, LoadedConfig):
        assert as_yaml == as_json
        return
    assert isinstance(as_yaml, tuple)
    assert [replace(problem, line=None) for problem in as_yaml] == [
        replace(problem, line=None) for problem in as_json
    ]


KEYS = sorted(
    {key for entry in FULL_TREE.values() if isinstance(entry, list) for o in entry for key in o}
    | set(FULL_TREE)
    | {key for entry in FULL_TREE.values() if isinstance(entry, dict) for key in entry}
    | set(LIMITS)
    | {"<<", "$schema", "mode", "", "é", "\ud800"}
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            *("*", "10.0.0.0/8", "10.0.1.4", "::/0", "web", "lab", "lab/web", "Internet", "Allow"),
            *("Tcp", "80-90", "80,443", "", "\ud800", "\x00", "0x00ffffff", "queue", "Inbound"),
            *("Storage", "STORAGE.westus", "Storage.", "AzurePlatformLKM", "Public", "../Public"),
            *("AzureGovernment", "Elsewhere", "PayAsYouGo", "2019-02-29", "2017-11-15"),
        ]
    ),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_random_bytes(contents: list[bytes]) -> None:
    """Not text at all."""
    outcome(*contents)


YAML_PIECES = [
    *(
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "&x ",
        "*x",
        "*",
        "[",
        "]",
        "{",
        "}",
        ",",
        "? ",
        ": ",
        "<<: ",
    ),
    *(
        "!!python/name:os.x ",
        "!t ",
        "'",
        '"',
        "|\n",
        ">",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
    ),
    *("virtualNetworks:", "daemon: ", "name", "1", "0x1", "null", "\\u0000", "\u2028", "\x85", "é"),
]


@given(st.lists(st.sampled_from(YAML_PIECES), max_size=40))
def test_random_yaml(pieces: list[str]) -> None:
    """What YAML has, in any order."""
    outcome("".join(pieces).encode())


@given(VALUES)
def test_random_structures(value: object) -> None:
    """As JSON and as YAML alike."""
    agree(value)


@given(st.dictionaries(st.sampled_from(sorted(FULL_TREE)), VALUES))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_random_sections(document: dict[str, object]) -> None:
    """Known keys with values of all kinds."""
    agree(document)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        found += _places(tree[key], (*path, key))
    return found


PLACES = _places(FULL_TREE)


@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES | st.just(...)), min_size=1, max_size=3))
@settings(max_examples=300)
def test_mutated_structures(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """A good document with values replaced and taken away, as JSON and as YAML alike."""
    tree = copy.deepcopy(FULL_TREE)
    for path, value in changes:
        holder = tree
        try:
            for key in path[:-1]:
                holder = holder[key]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = copy.deepcopy(value)
        except (LookupError, TypeError):
            continue  # an earlier change took this place away
    agree(tree)


@given(st.integers(0, len(FULL)), st.integers(0, 30), st.text(max_size=5))
@settings(max_examples=300)
def test_mutated_text(position: int, length: int, text: str) -> None:
    """A good document with some characters replaced."""
    mutated = FULL[:position] + text + FULL[position + length :]
    outcome(mutated.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("length", range(0, len(FULL), 7))
def test_half_written(length: int) -> None:
    """A document cut anywhere is no reason to stop."""
    outcome(FULL[:length].encode())


def test_yaml_and_json_agree() -> None:
    """The same document in the three ways to write it."""
    expected = outcome(FULL.encode())
    assert isinstance(expected, LoadedConfig)
    assert outcome(json.dumps(FULL_TREE).encode()) == expected
    assert outcome(json.dumps(FULL_TREE, indent=1).encode()) == expected
    assert outcome(yaml.safe_dump(FULL_TREE).encode()) == expected
