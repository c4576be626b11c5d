"""A document beside one read before: what is the same in the text, and what is parsed."""

from __future__ import annotations

import json

import pytest

from nsgd.config.json_parts import Comparison, Known, OddError, compare, find_parts

BEFORE = '{"a": {"x": 1}, "networkSecurityGroups": [{"n": 1}, {"n": 2}], "b": "t"}'


def compared(text: str, before: str = BEFORE) -> Comparison:
    """What differs; the parts are those of a reading from the beginning."""
    found = compare(text, before, find_parts(before))
    parts = find_parts(text)
    assert (found.parts.sections, list(found.parts.groups)) == (parts.sections, parts.groups)
    return found


def test_parts_are_where_the_text_has_them() -> None:
    """Blanks around them are none of theirs."""
    text = json.dumps(json.loads(BEFORE), indent=3)
    parts = find_parts(text)
    assert {key: json.loads(text[slice(*span)]) for key, span in parts.sections.items()} == (
        json.loads(BEFORE)
    )
    assert [text[slice(*span)] for span in parts.groups] == [
        '{\n         "n": 1\n      }',
        '{\n         "n": 2\n      }',
    ]


@pytest.mark.parametrize(
    ("old", "new", "changed", "groups"),
    [
        ("x", "x", {}, None),
        ('{"x": 1}', '{"x": 11}', {"a": {"x": 11}}, None),
        ('"t"', '"t1"', {"b": "t1"}, None),
        ('"t"', "[]", {"b": []}, None),
        ('{"n": 1}, ', "", {}, [Known(1)]),
        ('{"n": 1}, {"n": 2}', '{"n": 2}, {"n": 1}', {}, [Known(1), {"n": 1}]),
        ('{"n": 2}', '{"n": 1}, 0, {"n": 2}', {}, [Known(0), {"n": 1}, 0, Known(1)]),
        ('{"n": 1}, {"n": 2}', "", {}, []),
        ('[{"n": 1}, {"n": 2}]', "{}", {"networkSecurityGroups": {}}, None),
    ],
)
def test_what_differs(
    old: str, new: str, changed: dict[str, object], groups: list[object] | None
) -> None:
    """Sections as a whole, groups each by itself."""
    found = compared(BEFORE.replace(old, new, 1))
    assert (found.changed, found.groups) == (changed, groups)


def test_parts_move_with_what_stands_before_them() -> None:
    """The comparison after the next goes by where they are by now."""
    moved = BEFORE.replace('"x": 1', '"x": 1000')
    assert compared(BEFORE.replace('"n": 2', '"n": 3'), moved).groups == [Known(0), {"n": 3}]


def test_a_number_goes_on_as_long_as_it_does() -> None:
    """What does not say where it ends is read."""
    assert compared('{"a": 12}', '{"a": 1}').changed == {"a": 12}


@pytest.mark.parametrize(
    "text",
    [
        BEFORE.replace(', "b": "t"', ""),
        BEFORE.replace('"b"', '"c"'),
        BEFORE.replace('"b": "t"', '"b": "t", "b": "t"'),
        BEFORE.replace('{"x": 1}', '{"x": 1, "x": 1}'),
        BEFORE.replace('{"n": 1}', '{"n": 1, "n": 1}'),
        BEFORE.replace('{"n": 1}', "[NaN]"),
        BEFORE.replace('{"n": 1},', '{"n": 1},,'),
        BEFORE.replace('{"n": 1},', '{"n": 1}'),
        BEFORE.replace("[", "[["),
        BEFORE[:-1],
        BEFORE + "x",
        f"[{BEFORE}]",
        "{}",
        "",
        "a: 1",
        '{"a": ' + "[" * 100_000,
    ],
)
def test_what_is_odd_is_for_others(text: str) -> None:
    """No JSON, or not the sections of before."""
    with pytest.raises(OddError):
        compare(text, BEFORE, find_parts(BEFORE))
