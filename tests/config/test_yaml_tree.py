"""YAML is data here: JSON's types, no expansion without bound, one line for each mistake."""

from __future__ import annotations

import math

import pytest

from nsgd.config.tree import Unreadable
from nsgd.config.yaml_tree import MAXIMUM_DEPTH, read_lines, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("443", 443),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("-0.5E-1", -0.05),
        ("1e999", math.inf),
        *(
            (text, text)
            for text in (
                *("~", "Null", "NULL", "True", "yes", "no", "on", "off", "y", "n", "0100", "0x10"),
                *("0o17", "1_000", "22:30", "1:1:1", "2024-01-01", "2024-01-01T00:00:00Z", "+1"),
                *(
                    ".5",
                    "1.",
                    ".inf",
                    ".nan",
                    "-x",
                    "1e",
                    "=",
                    "10.0.0.0/8",
                    "fd00::1",
                    "8000-8080",
                ),
                "9" * 5000,
            )
        ),
        ("'12'", "12"),
        ('"true"', "true"),
        ("|\n  12\n", "12\n"),
        ("''", ""),
    ],
)
def test_only_json_types_are_recognised(text: str, value: object) -> None:
    """What YAML 1.1 would guess stays text, and quotes always make text."""
    tree, mistakes = read_yaml(f"a: {text}")
    assert isinstance(tree, dict)
    assert tree == {"a": value}
    assert type(tree["a"]) is type(value)
    assert mistakes == []


def test_keys_are_text() -> None:
    """As in JSON; a port or a truth value is none."""
    assert read_yaml("80: a\ntrue: b\nnull: c")[0] == {"80": "a", "true": "b", "null": "c"}


def test_aliases() -> None:
    """An alias stands for the value, of any kind, and the last anchor of a name counts."""
    text = "a: &x [1, {b: 2}]\nc: *x\nd: &x text\ne: *x\n&k f: *k\n"
    assert read_yaml(text)[0] == {
        "a": [1, {"b": 2}],
        "c": [1, {"b": 2}],
        "d": "text",
        "e": "text",
        "f": "f",
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a:\n  b: *\n", 2, "'*' stands here without quotes"),
        ("a: [*, b]", 1, "'*' stands here without quotes"),
        ("- *\n", 1, "'*' stands here without quotes"),
        ("a: 1\nb: *x", 2, "*x refers to an anchor that is not set before it"),
        ("a: *x\nb: &x 1", 1, "*x refers to an anchor that is not set before it"),
        ("a: &x [*x]", 1, "*x stands inside what it refers to"),
        ("a: &x\n  b: [{c: *x}]", 2, "*x stands inside what it refers to"),
        ("a: 1\n---\nb: 2", 2, "a second document begins here ('---')"),
        ("a:\n\tb: c", 2, "a tab indents this line"),
        ("a: @b", 1, "text may not begin with '@'"),
        ("? [a]\n: b", 1, "a key must be text, not a list, an object or an alias"),
        ("? {a: 1}\n: b", 1, "a key must be text, not a list, an object or an alias"),
        ("a: &x 1\n*x : b", 2, "a key must be text, not a list, an object or an alias"),
        ("a: [b\n", 2, "not YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a: b: c", 1, "not YAML: mapping values are not allowed in this context"),
        ("- " * 100_000, 1, f"nested deeper than {MAXIMUM_DEPTH} levels"),
        ("a: " + "[" * 100_000, 1, f"nested deeper than {MAXIMUM_DEPTH} levels"),
        ("a: " + "{b: " * 100_000, 1, f"nested deeper than {MAXIMUM_DEPTH} levels"),
    ],
)
def test_unreadable(text: str, line: int, message: str) -> None:
    """One message each, in words of the document rather than of the parser where possible."""
    with pytest.raises(Unreadable) as caught:
        read_yaml(text)
    assert (caught.value.line, caught.value.message) == (line, message)


def test_depth_on_both_sides_of_the_bound() -> None:
    """The bound itself is allowed."""
    read_yaml("[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH)
    with pytest.raises(Unreadable):
        read_yaml("[" * (MAXIMUM_DEPTH + 1) + "]" * (MAXIMUM_DEPTH + 1))


def _doubling(levels: int) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]" for level in range(1, levels)]
    return "\n".join(lines)


def test_aliases_that_explode() -> None:
    """Counted without expanding: 2^60 values are refused at once, and at the line that is too much.

    Level n is of 2^(n+2) - 1 values: levels 1 to 16 add 524,248, and 17 passes a million.
    """
    assert isinstance(read_yaml(_doubling(17))[0], dict)
    with pytest.raises(Unreadable, match="aliases expand to more than 1000000 values") as caught:
        read_yaml(_doubling(60))
    assert caught.value.line == 18


def test_a_large_document_without_aliases_is_no_explosion() -> None:
    """Only what aliases add is bounded."""
    tree, _ = read_yaml("\n".join(["- [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"] * 20_000))
    assert isinstance(tree, list)
    assert len(tree) == 20_000


@pytest.mark.parametrize(
    ("text", "path", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", ("a",), 3, "key 'a' is given twice in one object"),
        ("l: [{a: 1}, {a: 1,\n 'a': 3}]", ("l", 1, "a"), 2, "key 'a' is given twice in one object"),
        ("a: !!str 1", ("a",), 1, "YAML tag 'tag:yaml.org,2002:str' is not read"),
        ("l: [1, !x [2]]", ("l", 1), 1, "YAML tag '!x' is not read"),
        (
            "a: !!python/object/apply:os.system [x]",
            ("a",),
            1,
            "YAML tag 'tag:yaml.org,2002:python/object/apply:os.system' is not read",
        ),
        ("!x a: 1", ("a",), 1, "YAML tag '!x' is not read"),
    ],
)
def test_mistakes_that_leave_the_rest_readable(
    text: str, path: tuple[str | int, ...], line: int, message: str
) -> None:
    """They are told with their place, beside whatever else is wrong."""
    (mistake,) = read_yaml(text)[1]
    assert (mistake.path, mistake.line, mistake.message) == (path, line, message)


def test_lines() -> None:
    """A key's line, an entry's line, through aliases and in JSON."""
    lines = read_lines('{"a":\n [1,\n 2],\n "b": {"c":\n 3}}')
    assert isinstance(lines.children, dict)
    assert {key: value.line for key, value in lines.children.items()} == {"a": 1, "b": 4}
    entries = lines.children["a"].children
    assert isinstance(entries, list)
    assert [entry.line for entry in entries] == [2, 3]
    aliased = read_lines("a: &x\n  b:\n    c\nd: *x").children
    assert isinstance(aliased, dict)
    inner = aliased["d"].children
    assert aliased["d"].line == 4
    assert isinstance(inner, dict)
    assert inner["b"].line == 2
