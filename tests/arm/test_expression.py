"""The syntax of expressions: what is one, how it is read, and that nothing else is raised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.arm.expression import Call, Literal, Member, Node, is_expression, parse_expression
from nsgd.arm.problem import Mistake
from tests.arm.templates import mistake, value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"), ("", ""), ("[[a]", "[a]"), ("[[a] b", "[[a] b"), ("[a] b", "[a] b"),
        ("a []", "a []"), (" ['a']", " ['a']"), ("['a''b']", "a'b"), ("['']", ""), ("['''']", "'"),
        ("[ 'a' ]", "a"), ("[\n\tconcat( 'a' ,\n'b' )\r\n]", "ab"), ("[-5]", -5), ("[007]", 7),
        ("[CONCAT('a')]", "a"), ("[sys.concat('a')]", "a"), ("['[x]']", "[x]"), ("['é☃']", "é☃"),
        ("[createObject('a', createArray(1, 2)).A[1]]", 2), ("[createArray(1)[0]]", 1),
        ("[createObject('a b', 1)['a b']]", 1), ("[json('[[1]]')[0][0]]", 1),
    ],
)  # fmt: skip
def test_text_and_expressions(text: str, expected: Any) -> None:
    """Brackets make an expression, unless there are two of them at the start."""
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "a value is expected before the end"),
        ("[concat('a']", "')' is expected before the end"),
        ("[concat('a'))]", "the end is expected before ')'"),
        ("[concat('a',)]", "a value is expected"),
        ("['a]", "has no closing quote"),
        ('[concat("a")]', "a double quote"),
        ("[1 + 2]", "operators are functions"),
        ("[1.5]", "write it as float('1.5')"),
        ("[true]", "write true()"),
        ("[name]", "neither text nor a call"),
        ("[99999999999999999999999]", "is too large"),
        ("[concat('a').]", "a name is expected"),
        ("[concat('a')[0]", "']' is expected"),
        ("[nothing('a')]", "there is no function 'nothing'"),
        ("[concatt('a')]", "concat() is near it"),
        ("[own.made('a')]", "declares no function own.made"),
        ("[createArray(1)[1]]", "has no element 1; it has 1 elements"),
        ("[createArray(1)[-1]]", "has no element -1"),
        ("[createArray(1)['a']]", "an array has no property 'a'"),
        ("[createObject('a', 1).b]", "no property 'b'"),
        ("['a'.b]", "text has no property 'b'"),
        ("[null().b]", "null has no property 'b'"),
        ("[createArray(1)[true()]]", "has no element true"),
        ("[" + "concat(" * 41 + "'a'" + ")" * 41 + "]", "nests deeper than 40"),
        ("[createObject()" + ".a" * 41 + "]", "more than 40 properties"),
        ("['" + "a" * 24_573 + "']", "24577 characters"),
    ],
)
def test_bad_expressions(text: str, message: str) -> None:
    """Each mistake is named."""
    assert message in mistake(text)


def test_the_limits_themselves_are_taken() -> None:
    """One less than too much is fine."""
    assert value("[" + "concat(" * 39 + "'a'" + ")" * 39 + "]") == "a"
    assert len(value("['" + "a" * 24_572 + "']")) == 24_572


def written(node: Node) -> str:
    """A tree as text again."""
    if isinstance(node, Literal):
        quoted = str(node.value).replace("'", "''")
        return str(node.value) if isinstance(node.value, int) else f"'{quoted}'"
    if isinstance(node, Member):
        return f"{written(node.base)}[{written(node.key)}]"
    name = f"{node.namespace}.{node.name}" if node.namespace else node.name
    return f"{name}({', '.join(written(argument) for argument in node.arguments)})"


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TREES = st.recursive(
    st.builds(Literal, st.text() | st.integers(-(2**63), 2**63 - 1)),
    lambda inner: (
        st.builds(Call, st.just("") | NAMES, NAMES, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Member, inner, inner)
    ),
    max_leaves=12,
)


@given(TREES)
def test_a_tree_survives_being_written(tree: Node) -> None:
    """Parsing is the inverse of writing."""
    assert parse_expression(f"[{written(tree)}]") == tree


PIECES = st.sampled_from(
    [
        "concat",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "'",
        "''",
        "a",
        "1",
        "-",
        " ",
        "\n",
        '"',
        "é",
        "0" * 30,
    ]
)


@given(st.text() | st.lists(PIECES, max_size=60).map("".join))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Nothing but Mistake is raised, and what is parsed can be written and parsed again."""
    whole = f"[{text}]"
    if not is_expression(whole):
        return
    try:
        tree = parse_expression(whole)
    except Mistake:
        return
    assert parse_expression(f"[{written(tree)}]") == tree
