"""Parameters and variables: their values, types and bounds, and what refers to itself."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.arm.unknown import Origin, is_unknown
from tests.arm.templates import mistake, refusals, resource, value

STRING = {"type": "string"}


@pytest.mark.parametrize(
    "given",
    [
        {"$schema": "x", "contentVersion": "1.0.0.0", "parameters": {"p": {"value": "a"}}},
        {"parameters": {"P": {"Value": "a"}}},
        {"p": {"value": "a"}},
        {"p": "a"},
        {"$schema": "x", "p": "a"},
    ],
)
def test_values_are_given(given: dict[str, Any]) -> None:
    """A parameter file and a bare object say the same, and names have no case."""
    parameters = {"p": {**STRING, "defaultValue": "default"}}
    assert value("[PARAMETERS('P')]", parameters=parameters, given=given) == "a"
    assert value("[parameters('p')]", parameters=parameters) == "default"


def test_given_values_are_no_expressions() -> None:
    """Brackets in a parameter file mean nothing; in a default they do."""
    parameters = {"p": {**STRING, "defaultValue": "[concat('a', 'b')]"}}
    assert value("[parameters('p')]", parameters=parameters) == "ab"
    assert value("[parameters('p')]", parameters=parameters, given={"p": "[x]"}) == "[x]"


def test_defaults_may_use_other_parameters() -> None:
    """In any order."""
    parameters = {
        "a": {**STRING, "defaultValue": "[concat(parameters('b'), '!')]"},
        "b": {**STRING, "defaultValue": "x"},
    }
    assert value("[parameters('a')]", parameters=parameters) == "x!"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", "a", 1), ("securestring", "a", {}), ("int", 1, "1"), ("INT", 1, True),
        ("bool", True, "true"), ("object", {"a": 1}, []), ("secureObject", {}, "{}"),
        ("array", [1], {"a": 1, "b": 2}),
    ],
)  # fmt: skip
def test_types(kind: str, good: Any, bad: Any) -> None:
    """A value has the declared type."""
    parameters = {"p": {"type": kind}}
    assert value("[parameters('p')]", parameters=parameters, given={"p": {"value": good}}) == good
    message = mistake("[parameters('p')]", parameters=parameters, given={"p": {"value": bad}})
    assert f"declared {kind}" in message
    default = {"p": {"type": kind, "defaultValue": bad}}
    assert f"declared {kind}" in mistake("[parameters('p')]", parameters=default)


@pytest.mark.parametrize(
    ("declaration", "good", "bad"),
    [
        ({"type": "string", "allowedValues": ["a", "b"]}, "B", "c"),
        ({"type": "int", "allowedValues": [1, 2]}, 2, 3),
        ({"type": "array", "allowedValues": ["a", "b"]}, ["b", "a"], ["a", "c"]),
        ({"type": "array", "allowedValues": [["a"], ["b"]]}, ["a"], ["c"]),
        ({"type": "int", "minValue": 1, "maxValue": 3}, 1, 0),
        ({"type": "int", "minValue": 1, "maxValue": 3}, 3, 4),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "ab", "a"),
        ({"type": "string", "maxLength": 3}, "abc", "abcd"),
        ({"type": "array", "minLength": 1}, [1], []),
    ],
)
def test_bounds(declaration: dict[str, Any], good: Any, bad: Any) -> None:
    """Allowed values and bounds hold, edges included."""
    parameters = {"p": declaration}
    assert value("[parameters('p')]", parameters=parameters, given={"p": good}) == good
    message = mistake("[parameters('p')]", parameters=parameters, given={"p": bad})
    assert "parameter 'p'" in message
    assert "allowed" in message or "the template wants" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"q": 1}, "there is no parameter 'q'"),
        ({"parameters": {"p": 5}}, "parameter 'p' of the file has no value"),
    ],
)
def test_bad_parameter_files(given: dict[str, Any], message: str) -> None:
    """A value that goes nowhere is a typing mistake."""
    (problem, *_) = refusals(parameters={"p": STRING}, given=given)
    assert message in problem.message


def test_a_vault_secret_is_unknown() -> None:
    """Nobody reads key vaults here."""
    result = value(
        "[parameters('p')]",
        parameters={"p": {"type": "securestring"}},
        given={"parameters": {"p": {"reference": {"keyVault": {"id": "x"}, "secretName": "y"}}}},
    )
    assert is_unknown(result)
    assert result.origin is Origin.SECRET


def test_nullable() -> None:
    """Such a parameter is null when it is not given."""
    parameters = {"p": {"type": "string", "nullable": True}}
    assert value("[parameters('p')]", parameters=parameters) is None
    assert value("[parameters('p')]", parameters=parameters, given={"p": None}) is None


def test_unknown_types_are_named() -> None:
    """Only the type of a definition may be missing."""
    assert "has the type 'strng'" in mistake(
        "[parameters('p')]", parameters={"p": {"type": "strng", "defaultValue": "a"}}
    )
    parameters = {"p": {"$ref": "#/definitions/x", "defaultValue": "a"}}
    assert value("[parameters('p')]", parameters=parameters) == "a"


def test_variables() -> None:
    """They may use parameters and each other, have no case, and are made once."""
    variables = {"A": "[concat(variables('b').c[0], '!')]", "b": {"c": ["[toUpper('x')]"]}}
    assert value("[variables('a')]", variables=variables) == "X!"
    assert "there is no variable 'ab'; 'A' is near it" in mistake(
        "[variables('ab')]", variables={"A": 1}
    )


@pytest.mark.parametrize(
    ("sections", "chain"),
    [
        ({"variables": {"a": "[variables('A')]"}}, "a -> a"),
        ({"variables": {"a": ["[variables('b')]"], "b": {"c": "[variables('a')]"}}}, "a -> b -> a"),
        ({"parameters": {"a": {**STRING, "defaultValue": "[parameters('a')]"}}}, "a -> a"),
    ],
)
def test_a_circle_is_named(sections: dict[str, Any], chain: str) -> None:
    """Once, with the way around."""
    kind = next(iter(sections))
    message = mistake(f"[{kind}('a')]", **sections)
    assert f"refers to itself: {chain}" in message


def test_variable_loops() -> None:
    """Loops make variables, and properties of variables."""
    variables = {
        "copy": [
            {"name": "x", "count": 3, "input": "[copyIndex('x', 1)]"},
            {"name": "y", "count": "[length(variables('x'))]", "input": {"i": "[copyIndex('y')]"}},
            {"name": "none", "count": 0, "input": 1},
        ],
        "z": {"copy": [{"name": "w", "count": 2, "input": "[copyIndex('w')]"}], "v": 1},
    }
    assert value("[variables('x')]", variables=variables) == [1, 2, 3]
    assert value("[variables('y')]", variables=variables) == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert value("[variables('none')]", variables=variables) == []
    assert value("[variables('z')]", variables=variables) == {"w": [0, 1], "v": 1}


FUNCTIONS = [
    {
        "namespace": "my",
        "members": {
            "twice": {
                "parameters": [{"name": "Text", "type": "string"}],
                "output": {
                    "type": "string",
                    "value": "[concat(parameters('text'), parameters('text'))]",
                },
            },
            "four": {
                "parameters": [{"name": "x", "type": "string"}],
                "output": {"type": "string", "value": "[my.twice(my.twice(parameters('x')))]"},
            },
            "endless": {"output": {"type": "string", "value": "[my.endless()]"}},
            "lambda": {"output": {"type": "string", "value": "[lambdaVariables('i')]"}},
            "other": {"output": {"type": "string", "value": "[reference('nsg').a]"}},
            "outside": {"output": {"type": "string", "value": "[variables('v')]"}},
        },
    }
]  # fmt: skip


def test_user_functions() -> None:
    """They see their own parameters only."""
    assert value("[My.Twice('ab')]", functions=FUNCTIONS) == "abab"
    assert value("[my.four('a')]", functions=FUNCTIONS) == "aaaa"
    assert "there is no variable 'v'" in mistake(
        "[my.outside()]", functions=FUNCTIONS, variables={"v": 1}
    )
    assert is_unknown(value("[my.other()]", functions=FUNCTIONS, resources=[resource(a=1)]))
    assert "there is no lambda variable 'i'" in mistake(
        "[map(createArray(1), lambda('i', my.lambda()))]", functions=FUNCTIONS
    )
    assert "my.twice() has 0 arguments; it takes 1" in mistake("[my.twice()]", functions=FUNCTIONS)
    assert "nested deeper than" in mistake("[my.endless()]", functions=FUNCTIONS)
