"""Nothing is decided by a name that nobody gave, by whatever function or place it goes.

Every function is tried with each text, number and truth of its cases in turn as one that is made
of such a name, or is not known: what comes of it must hold whatever the name turns out to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.arm.assumed import placeholder
from nsgd.arm.evaluator import FORMS
from nsgd.arm.functions.table import FUNCTIONS
from nsgd.arm.problem import TemplateRefused
from nsgd.arm.scope import DeploymentContext
from nsgd.arm.unknown import Assumed, Unknown, is_unknown
from tests.arm.templates import NSG, deploy, resource, value
from tests.arm.test_functions import CASES

NOWHERE = DeploymentContext()
GROUP = "resourceGroup().name"

# Functions whose results keep their shape or are known in spite of an assumed text inside.
# All others give assumed text, or an unknown value.
KEEP_WHAT_IS_KNOWN = {
    "and", "array", "coalesce", "concat", "contains", "createarray", "createobject", "empty",
    "equals", "filter", "first", "flatten", "groupby", "if", "indexfromend", "indexof",
    "intersection", "items", "json", "last", "lastindexof", "length", "map", "mapvalues",
    "objectkeys", "or", "reduce", "shallowmerge", "skip", "sort", "take", "toobject", "tryget",
    "tryindexfromend", "union",
}  # fmt: skip
# Functions of no argument, and those whose results are unknown whatever they are given.
CONSTANT = {"true", "false", "null"}
ALWAYS_UNKNOWN = {
    "datetimeadd", "datetimefromepoch", "datetimetoepoch", "deployer", "externalinput",
    "getsecret", "managementgroup", "newguid", "pickzones", "providers", "references",
    "tologicalzone", "tologicalzones", "tophysicalzone", "tophysicalzones", "utcnow",
}  # fmt: skip
# Of the place; what they give is tested by what they are taken for below.
OF_THE_DEPLOYMENT = {"deployment", "environment", "resourcegroup", "subscription", "tenant"}
NO_VALUES = {"fail", "lambda"}
OTHERS = [
    "copyIndex('loop', 3)",
    "extensionResourceId('/a', 'Microsoft.Network/x', 'y')",
    "guid('a', 'b')",
    "managementGroupResourceId('m', 'Microsoft.Network/x', 'y')",
    "map(createArray(1), lambda('x', lambdaVariables('x')))",
    "parameters('other')",
    "reference('nsg').rule",
    "reference('nsg', '2020-01-01', 'Full').properties.rule",
    "resourceId('s', 'g', 'Microsoft.Network/x', 'y')",
    "resourceInfo('symbol').name",
    "subscriptionResourceId('Microsoft.Network/x', 'y')",
    "tenantResourceId('Microsoft.Network/x', 'y')",
    "variables('variable')",
]
EXPRESSIONS = [expression for expression, _ in CASES] + OTHERS
TOKEN = re.compile(r"'(?:[^']|'')*'|-?\b[0-9]+\b|\b(?:true|false)\(\)")


def other_texts(text: str) -> list[str]:
    """Texts that could stand there instead."""
    return [text, text.swapcase(), f"{text}x", text[1:], "", "a", "two", "1", "true"]


def spots(expression: str) -> Iterator[tuple[str, str]]:
    """The expression with one of its values as the parameter p, and the text of the value."""
    for token in TOKEN.finditer(expression):
        before, after = expression[: token.start()], expression[token.end() :]
        if token[0].startswith("'"):
            yield f"{before}parameters('p'){after}", token[0][1:-1].replace("''", "'")
        elif token[0].endswith("()"):
            yield f"{before}bool(parameters('p')){after}", token[0][:-2]
        else:
            yield f"{before}int(parameters('p')){after}", token[0]


def result(expression: str, given: Any) -> Any:
    """What the expression gives, or the refusal."""
    nsg = resource(NSG, "nsg", rule="found")
    try:
        deployment = deploy(
            resources={"symbol": nsg},
            parameters={"p": {"type": "string"}, "other": {"type": "string", "defaultValue": "q"}},
            variables={"variable": "v"},
            outputs={
                "x": {
                    "type": "array",
                    "copy": {"name": "loop", "count": 1, "input": f"[{expression}]"},
                }
            },
            given=given,
        )
    except TemplateRefused as refused:
        return refused
    loop = deployment.outputs["x"]
    return loop if isinstance(loop, Unknown) else loop[0]


def holds(said: Any, actual: Any) -> bool:
    """Whether what is said under an assumption is true of what comes out without it."""
    if isinstance(said, Unknown) or isinstance(actual, Unknown):
        return isinstance(said, Unknown)
    if isinstance(said, Assumed):
        return isinstance(actual, str)
    if type(said) is not type(actual):
        return False
    if isinstance(said, list):
        return len(said) == len(actual) and all(map(holds, said, actual))
    if isinstance(said, dict):
        return list(said) == list(actual) and all(holds(said[key], actual[key]) for key in said)
    return bool(said == actual)


def outermost(expression: str) -> str:
    """The name of the function whose result it is."""
    return expression.partition("(")[0].lower()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_comes_of_an_assumption_holds_without_it(expression: str) -> None:
    """Whichever argument it stands in, and whatever stands there in truth."""
    for changed, text in spots(expression):
        for given in ({"p": Assumed(text)}, {"p": placeholder(text)}, {}):
            said = result(changed, given)
            if isinstance(said, TemplateRefused):
                continue
            if outermost(expression) not in KEEP_WHAT_IS_KNOWN and given:
                assert isinstance(said, Assumed | Unknown), changed
            for other in other_texts(text):
                actual = result(changed, {"p": other})
                if not isinstance(actual, TemplateRefused):
                    assert holds(said, actual), (changed, given, other)


def test_every_function_is_tried() -> None:
    """A function that is added has a case, with a value that can be assumed, or is named here."""
    tried = {
        name.lower()
        for expression in EXPRESSIONS
        if any(not isinstance(result(*one), TemplateRefused) for one in assumed(expression))
        for name in re.findall(r"(\w+)\(", expression)
    }
    rest = CONSTANT | ALWAYS_UNKNOWN | OF_THE_DEPLOYMENT | NO_VALUES
    assert tried - CONSTANT - NO_VALUES == (FUNCTIONS.keys() | FORMS.keys()) - rest


def assumed(expression: str) -> Iterator[tuple[str, Any]]:
    """The expression with each of its values assumed in turn."""
    return ((changed, {"p": Assumed(text)}) for changed, text in spots(expression))


@pytest.mark.parametrize("name", sorted(ALWAYS_UNKNOWN))
def test_what_is_always_unknown(name: str) -> None:
    """So that none of them needs a case above."""
    arguments = ", ".join(["'2020-01-01'"] * FORMS[name].least)
    assert is_unknown(value(f"[{name}({arguments})]", context=NOWHERE))
