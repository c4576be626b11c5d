"""Templates as text: comments, stray commas, lines, and what is no JSON at all."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.arm.problem import Mistake, TemplateProblem, TemplateRefused
from nsgd.arm.text import parse_json, parse_template_text, with_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1} // end', {"a": 1}),
        ("{/* a */\"a\"/**/: /* * / */ [1, /*x*/ 2,], }", {"a": [1, 2]}),
        ("\ufeff{'a': 'it\\'s \"b\"'}", {"a": 'it\'s "b"'}),
        ('{"a": "line\n  two\ttab"}', {"a": "line\n  two\ttab"}),
        ('{a: true, b_1: null}', {"a": True, "b_1": None}),
        ('{"a": "\\u00e9\\n\\\\\\/\\ud83d\\ude00"}', {"a": "é\n\\/😀"}),
        ('{"a": [-1, 0.5, 1e3, -2.5E-1, 12345678901234567890]}',
         {"a": [-1, 0.5, 1000.0, -0.25, 12345678901234567890]}),
        ('{"a": "http://x/*y*/"}', {"a": "http://x/*y*/"}),
        ("{}", {}),
    ],
)  # fmt: skip
def test_lenient_json(text: str, expected: Any) -> None:
    """What Azure's tools read is read."""
    assert parse_template_text(text).tree == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "a value is expected before the end"),
        ("[1]", 1, "this is an array"),
        ('{"a": 1,\n "a": 2}', 2, "key 'a' is given twice"),
        ('{"a": 1\n "b": 2}', 2, "a comma or a closing bracket"),
        ('{"a"\n\n 1}', 3, "a colon is expected"),
        ('{"a": 1}\n{', 2, "follows the value"),
        ('{"a": tru}', 1, "a value is expected before 'tru}'"),
        ('{"a": "x}', 1, "a text is not closed"),
        ('{"a": /* x}', 1, "a value is expected"),
        ('{"a": "\\x"}', 1, "no escape of JSON"),
        ('{"a": 1e999}', 1, "is too large"),
        ('{"a": 1x}', 1, "a comma is expected"),
        ('{"a": ]}', 1, "a value is expected"),
        ('{,}', 1, "a key is expected"),
        ("[" * 101, 1, "nested deeper than 100"),
        ('{"a": ' + "9" * 50 + "}", 1, "a comma is expected"),
    ],
)  # fmt: skip
def test_what_is_no_json(text: str, line: int, message: str) -> None:
    """The line and the reason are told."""
    with pytest.raises(TemplateRefused) as refused:
        parse_template_text(text)
    (problem,) = refused.value.problems
    assert (problem.line, problem.path) == (line, ())
    assert message in problem.message


def test_lines() -> None:
    """Values know their lines, and a path that leads nowhere gives the last line on the way."""
    parsed = parse_template_text('{\n "a": [\n  1,\n  {\n   "b": // x\n    "c"}]\n}')
    assert [
        parsed.line_of(path)
        for path in [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("a", 1, "x"), ("a", 9), ("z",)]
    ] == [1, 2, 3, 4, 5, 4, 2, 1]


def test_problems_get_their_lines() -> None:
    """Those of the document that was read."""
    parsed = parse_template_text('{\n"resources": [\n{\n"name": 1}]}')
    here = TemplateProblem(("resources", 0, "name"), None, "a", "b")
    there = replace(here, document="linked")
    assert [one.line for one in with_lines((here, there), parsed)] == [4, None]
    assert str(with_lines((here,), parsed)[0]) == "line 4 resources[0].name: a; b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON, st.booleans())
def test_json_is_read_as_python_reads_it(tree: Any, is_ascii: bool) -> None:
    """On JSON itself, the reader agrees with the standard one."""
    if any(isinstance(number, int) and abs(number) >= 10**40 for number in walk(tree)):
        return
    text = json.dumps(tree, ensure_ascii=is_ascii, indent=1)
    assert parse_json(text) == json.loads(text)


def walk(tree: Any) -> list[Any]:
    """All values in a tree."""
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [tree, *(value for item in inside for value in walk(item))]


PIECES = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"', "'", "\\", "//", "/*", "*/", "*", "a", "1", "-", ".", "e",
     "true", "\n", " ", "\\u00", "\ud800"]
)  # fmt: skip


@given(st.text() | st.lists(PIECES, max_size=60).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but Mistake is raised."""
    with contextlib.suppress(Mistake):
        parse_json(text)
