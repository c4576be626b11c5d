"""How a problem reads."""

from __future__ import annotations

import pytest

from nsgd.config.problem import ConfigRefused, Key, Problem, format_path
from nsgd.config.wording import closest, show


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a.yaml", "x[0].y", 3, "is bad", "mend it"), "a.yaml:3: x[0].y: is bad; mend it"),
        (Problem("a.yaml", "x", None, "is bad", "mend it"), "a.yaml: x: is bad; mend it"),
        (Problem("a.yaml", "", 3, "is bad", "mend it"), "a.yaml:3: is bad; mend it"),
        (Problem("a.yaml", "", None, "is bad", "mend it"), "a.yaml: is bad; mend it"),
    ],
)
def test_problem(problem: Problem, text: str) -> None:
    """File, line and path first, as editors follow them."""
    assert str(problem) == text
    assert str(ConfigRefused((problem, problem))) == f"{text}\n{text}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", 0, "b", 1, 2), "a[0].b[1][2]"),
        ((0, "a"), "[0].a"),
        (("a", "b c"), "a['b c']"),
        (("a", "x\ny"), r"a['x\ny']"),
        (("$schema",), "$schema"),
    ],
)
def test_path(path: tuple[Key, ...], text: str) -> None:
    """A key that is not plain is quoted."""
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ("é", "'é'"),
        ("a\n\x1b\ud800", r"'a\n\x1b\ud800'"),
        ("a" * 60, f"'{'a' * 60}'"),
        ("a" * 61, f"'{'a' * 60}...'"),
        (10**100, f"1{'0' * 59}..."),
        ([1], "a list"),
        ({}, "an object"),
    ],
)
def test_show(value: object, text: str) -> None:
    """As the document writes it, printable and bounded."""
    assert show(value) == text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("prioritty", "priority"),
        ("PRIORITY", "priority"),
        ("acess", "access"),
        ("zzz", None),
        ("", None),
        ("priority" * 100, None),
    ],
)
def test_closest(word: str, expected: str | None) -> None:
    """Near, without regard to case, or nothing."""
    assert closest(word, ("priority", "access")) == expected
