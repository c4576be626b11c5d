"""Text with names in it that nobody gave: what it is made of, and what it surely is not."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.arm.assumed import Spelled, compare, placeholder, spell
from nsgd.arm.limits import Budget
from nsgd.arm.problem import LimitReached
from nsgd.arm.scope import PLACEHOLDER_GROUP, DeploymentContext
from nsgd.arm.unknown import Assumed, is_assumed
from tests.arm.templates import refusal, value

NOWHERE = DeploymentContext()
GROUP = "resourceGroup().name"
X, Y = placeholder("x"), placeholder("y")


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (X, X, True),
        (X, Y, None),
        (X, "x", None),
        (X, Assumed("x"), None),
        (Assumed("x"), Assumed("x"), None),
        (X, "", None),
        (spell("/a/", X), "", False),
        (spell("/a/", X), "/a", False),
        (spell("/a/", X), "/a/x", None),
        (spell("/a/", X), "/b/x", False),
        (spell(X, "/a"), "x/b", False),
        (spell("a", X, "b"), "ab", None),
        (spell("ab", X, "bc"), "abc", False),
        (spell(X, "-a"), spell(X, "-b"), False),
        (spell(X, "a"), spell(X, "ba"), False),
        (spell("a", X), spell("ab", X), False),
        (spell("a", X), spell(X, "a"), None),
        (spell(X, "x"), spell("x", X), None),
        (spell(X, Y), spell(X, Y), True),
        (spell(X, Y), spell(Y, X), None),
        (spell(X, "a", Y), spell(X, "b", Y), False),
        ([X, 1], [X, 2], False),
        ([Y, 1], [X, 1], None),
        ([X], [X, 1], False),
        ({"a": X}, {"b": X}, False),
        ({"a": X, "b": 1}, {"b": 1, "a": X}, True),
        ({"a": X}, [X], False),
        (X, 1, False),
        (X, None, False),
        (1, True, False),
        (1, 1.0, False),
    ],
)
def test_compare(left: Any, right: Any, expected: bool | None) -> None:
    """True and false hold for all names; the answer is the same from both sides."""
    assert compare(left, right, Budget()) is expected
    assert compare(right, left, Budget()) is expected


def test_what_is_looked_at_is_paid_for() -> None:
    """Values of lists, and characters of texts."""
    for one in ([1] * 100, "x" * 3200):
        compare(one, one, Budget(110))
        with pytest.raises(LimitReached):
            compare(one, one, Budget(50))


def test_what_is_marked_is_paid_for() -> None:
    """Again each time, however small it is where it stands."""
    text = f"concat('[[', join(range(0, 9000), ','), ',\"', {GROUP}, '\"]]')"
    problem = refusal(
        variables={"x": f"[base64ToJson(base64({text}))]"},
        outputs={"x": {"type": "array", "value": "[map(range(0, 800), lambda('i', "
                       "take(variables('x'), 1)))]"}},
        context=NOWHERE,
    )  # fmt: skip
    assert "takes too many steps" in problem.message


def test_compare_is_paid_for() -> None:
    """Long lists of texts that nobody can tell apart end too."""
    many = f"map(range(0, 3000), lambda('i', concat('a', {GROUP}, string(lambdaVariables('i')))))"
    problem = refusal(
        outputs={"x": {"type": "array", "value": f"[union({many}, {many})]"}}, context=NOWHERE
    )
    assert "takes too many steps" in problem.message


@pytest.mark.parametrize("character", ["\ue000", "".join(map(chr, range(0xE000, 0xE100)))])
def test_json_of_characters_of_private_use(character: str) -> None:
    """None of them is taken for a name."""
    found = value(f"[json(concat('{{\"a\":\"{character}', {GROUP}, '\"}}')).a]", context=NOWHERE)
    assert is_assumed(found)
    assert found == f"{character}resource-group"


def test_spell() -> None:
    """The pieces of what is joined stay apart from the names."""
    whole = spell("a", "b", X, Y, "c")
    assert isinstance(whole, Spelled)
    assert (str(whole), whole.pieces) == ("abxyc", ("ab", "x", "", "y", "c"))
    assert type(spell("a", "b")) is str
    assert not isinstance(spell(X, Assumed("b")), Spelled)
    assert isinstance(spell(X, Assumed("b")), Assumed)
    assert PLACEHOLDER_GROUP.pieces == ("", str(PLACEHOLDER_GROUP), "")
