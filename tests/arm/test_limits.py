"""Templates that mean harm end soon, in a refusal, and in bounded memory."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nsgd.arm.evaluate import evaluate_template
from nsgd.arm.problem import TemplateRefused
from tests.arm.templates import NSG, looped_name, refusals, resource

ENOUGH_S = 60  # the slowest takes 4 to 10 on a slow machine that others share


def doubled(first: Any, step: str, count: int = 40) -> dict[str, Any]:
    """Variables of which each is made of two of the one before it."""
    return {"v0": first} | {
        f"v{n}": step.replace("#", f"variables('v{n - 1}')") for n in range(1, count)
    }


LAST = "[variables('v39')]"
HOSTILE: dict[str, dict[str, Any]] = {
    "doubled lists": {"variables": doubled([1], "[createArray(#, #)]"), "use": LAST},
    "doubled lists, joined": {"variables": doubled([1], "[concat(#, #)]"), "use": LAST},
    "doubled lists, compared": {
        "variables": doubled([1], "[createArray(#, #)]"),
        "use": "[equals(variables('v39'), variables('v38'))]",
    },
    "doubled lists, as text": {
        "variables": doubled([1], "[createArray(#, #)]"), "use": "[string(variables('v39'))]",
    },
    "doubled text": {"variables": doubled("a" * 100, "[concat(#, #)]"), "use": LAST},
    "doubled text, by format": {"variables": doubled("ab", "[format('{0}{0}', #)]"), "use": LAST},
    "doubled text, by replace": {"variables": doubled("ab", "[replace(#, 'a', #)]"), "use": LAST},
    "doubled text, by join": {
        "variables": doubled("ab", "[join(createArray(#, #), #)]"), "use": LAST,
    },
    "long padding": {"use": "[padLeft('a', 2147483647)]"},
    "wide format": {"use": "[format('" + "{0,9999}" * 200 + "', 1)]"},
    "nested ranges": {
        "use": "[map(range(0, 10000), lambda('a', map(range(0, 10000), lambda('b', 1))))]",
    },
    "deep by reduce": {
        "use": "[reduce(range(0, 10000), 1, lambda('a', 'b', createArray(lambdaVariables('a'))))]",
    },
    "sorting": {
        "use": "[map(range(0, 99), lambda('i', sort(range(0, 9999), lambda('a', 'b', "
               "less(lambdaVariables('b'), lambdaVariables('a'))))))]",
    },
    "long chain of variables": {
        "variables": {f"v{n}": f"[variables('v{n + 1}')]" for n in range(5000)} | {"v5000": 1},
        "use": "[variables('v0')]",
    },
    "json inside json": {"use": "[json('" + "[" * 5000 + "')]"},
    "huge number": {"use": "[int('" + "9" * 20000 + "')]"},
    "many delimiters": {
        "variables": {
            "v": "a" * 900_000,
            "d": "[map(range(0, 5000), lambda('i', string(lambdaVariables('i'))))]",
        },
        "use": "[split(variables('v'), variables('d'))]",
    },
    "hashes": {
        "variables": {"v": "a" * 900_000},
        "use": "[map(range(0, 10000), lambda('i', uniqueString(variables('v'))))]",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_values(case: str) -> None:
    """Each is refused, and soon."""
    sections = dict(HOSTILE[case])
    start = time.monotonic()
    refusals(resource(x=sections.pop("use")), **sections)
    assert time.monotonic() - start < ENOUGH_S


def loops(depth: int) -> Any:
    """Property loops in each other."""
    if depth == 0:
        return 1
    return {"copy": [{"name": f"l{depth}", "count": 800, "input": loops(depth - 1)}]}


def test_loops_in_loops() -> None:
    """800 to the fourth is too much."""
    (problem,) = refusals(resource(x=loops(4)))
    assert "too many steps" in problem.message


def test_too_many_resources() -> None:
    """13 loops of 800 are more than 10 000 resources."""
    one = {**resource(NSG, looped_name()), "copy": {"name": "l", "count": 800}}
    (problem,) = refusals(*[one] * 13)
    assert "more than 10000 resources" in problem.message


def test_deep_templates() -> None:
    """Lists in lists, as deep as Python can hold them."""
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    (problem,) = refusals(resource(x=deep))
    assert "nested deeper than 100 levels" in problem.message


def test_a_template_that_holds_itself() -> None:
    """No JSON reader gives one."""
    one: dict[str, Any] = resource()
    one["properties"]["x"] = one
    (problem,) = refusals(one)
    assert "nested deeper" in problem.message


def test_the_deepest_that_is_taken() -> None:
    """Sixty levels of values and forty of calls are far more than templates have."""
    deep: Any = "[" + "concat(" * 38 + "'a'" + ")" * 38 + "]"
    for _ in range(60):
        deep = [deep]
    evaluate_template({"resources": [resource(x=deep)]})


@pytest.mark.parametrize(
    "bad",
    [[], {"resources": 5}, {}, {"resources": [object()]}, {"resources": [], 1: 2},
     {"resources": [], "variables": 5, "outputs": []}, {"resources": [], "parameters": [1]}],
)  # fmt: skip
def test_what_is_no_template(bad: Any) -> None:
    """It is refused, not crashed on."""
    with pytest.raises(TemplateRefused):
        evaluate_template(bad)
