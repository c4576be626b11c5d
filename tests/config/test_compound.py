"""Texts that are known from before are read as if they were new."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nsgd.config.compound import Field, ListOf, NameOr, ObjectOf
from nsgd.config.problem import Refusal
from nsgd.config.shape import Known, Mistake, Parsed, Text


class _Reader:
    """Counts what it is asked; refuses texts that begin with 'bad'."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def __call__(self, value: object) -> object:
        self.asked.append(value)
        if str(value).startswith("bad"):
            raise Refusal(f"{value} is bad", "mend it")
        return ("read", value)


def _read(shape: ListOf | ObjectOf, value: object) -> tuple[Any, list[tuple[str, list[Any]]]]:
    mistakes: list[Mistake] = []
    result = shape.read(value, mistakes)
    return result, [(mistake.message, mistake.path) for mistake in mistakes]


def test_a_text_is_read_once() -> None:
    """In lists and in objects, and its value is one object."""
    reader = _Reader()
    shape = Parsed("anything", reader)
    entry = ObjectOf("an entry", {"a": Field(shape), "b": Field(shape)})
    result, mistakes = _read(ListOf(entry), [{"a": "x", "b": "y"}, {"a": "y", "b": "x"}])
    assert not mistakes
    assert reader.asked == ["x", "y"]
    assert result[0]["a"] is result[1]["b"]
    assert _read(ListOf(shape), ["y", "z", "z"])[0] == [("read", each) for each in "yzz"]
    assert reader.asked == ["x", "y", "z"]


@pytest.mark.parametrize("other", [1, 1.0, True])
def test_what_is_no_text_is_read_each_time(other: object) -> None:
    """A number is not the text of it, and 1 is not true."""
    reader = _Reader()
    shape = ListOf(Parsed("anything", reader))
    result, _ = _read(shape, ["1", other, 1, other, "1"])
    assert [each[1] for each in result] == ["1", other, 1, other, "1"]
    assert list(map(type, reader.asked)) == [str, type(other), int, type(other)]


def test_what_is_refused_is_refused_each_time() -> None:
    """With its own place."""
    reader = _Reader()
    shape = Parsed("anything", reader)
    entry = ObjectOf("an entry", {"list": Field(ListOf(shape)), "one": Field(shape)})
    result, mistakes = _read(entry, {"list": ["bad", "good", "bad"], "one": "bad"})
    assert result == {"list": [None, ("read", "good"), None], "one": None}
    assert mistakes == [
        ("bad is bad", [0, "list"]),
        ("bad is bad", [2, "list"]),
        ("bad is bad", ["one"]),
    ]


def test_a_refused_text_that_is_still_returned() -> None:
    """Such as a name: it is refused each time all the same."""
    shape = ListOf(Text("letters", re.compile("[a-z]+")))
    result, mistakes = _read(shape, ["a", "1", "a", "1"])
    assert result == ["a", "1", "a", "1"]
    assert [path for _, path in mistakes] == [[1], [3]]
    entry = ObjectOf("an entry", {"a": Field(shape.item), "b": Field(shape.item)})
    assert [path for _, path in _read(entry, {"a": "1", "b": "1"})[1]] == [["a"], ["b"]]


def test_an_object_that_stands_for_its_name() -> None:
    """The text and the object are read to the same."""
    shape = ListOf(NameOr(ObjectOf("a name", {"name": Field(Parsed("a name", str))})))
    assert _read(shape, ["x", {"name": "x"}, "x"]) == ([{"name": "x"}] * 3, [])


def test_few_texts_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is bounded, whatever documents hold."""
    monkeypatch.setattr("nsgd.config.shape._MOST_KNOWN", 3)
    known = Known()
    for number in range(10):
        known.keep(str(number), number)
        assert len(known) <= 3
        assert known[str(number)] == number
