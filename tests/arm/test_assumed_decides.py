"""Nothing is decided by a name that nobody gave: neither whether, nor how many, nor which."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.arm.scope import DeploymentContext
from nsgd.arm.unknown import AssumedParts, Origin, Unknown, is_assumed, is_unknown
from tests.arm.templates import deploy, names, only, refusal, resource, value

NOWHERE = DeploymentContext()
GROUP = "resourceGroup().name"
PARTS = f"split({GROUP}, '-')"
HIT = "createObject('resource-group', 'a', 'b', 'c')"


@pytest.mark.parametrize(
    "expression",
    [
        f"length({PARTS})", f"length(skip({PARTS}, 1))", f"length(take({PARTS}, 2))",
        f"empty(skip({PARTS}, 2))", f"empty({PARTS})", f"equals(first({PARTS}), 'resource')",
        f"equals(last({PARTS}), 'group')", f"contains({PARTS}, 'group')", f"{PARTS}[2]",
        f"indexOf({PARTS}, 'group')", f"lastIndexOf({PARTS}, 'group')",
        f"range(0, length({PARTS}))",
        f"empty(intersection({PARTS}, createArray('prod')))",
        f"length(intersection(createArray({GROUP}), createArray('resource-group')))",
        f"length(union(createArray({GROUP}), createArray('resource-group')))",
        f"length(union({PARTS}, createArray('a')))", f"length(concat({PARTS}, createArray('a')))",
        f"intersection(createArray('a', 'b'), createArray({GROUP}))",
        f"intersection(createObject('a', {GROUP}), createObject('a', 'resource-group'))",
        f"contains(createArray('a', {GROUP}), 'resource-group')",
        f"contains({HIT}, {GROUP})", f"tryGet({HIT}, {GROUP})", f"tryGet({HIT}, 'x', {GROUP})",
        f"coalesce(tryGet(createObject('prod', 1), {GROUP}), 2)", f"{HIT}[{GROUP}]",
        f"empty(objectKeys(createObject({GROUP}, 1)))", f"length(items(createObject({GROUP}, 1)))",
        f"createObject('a', 1, {GROUP}, 2)", f"createObject({GROUP}, 'x')['resource-group']",
        f"contains(createObject({GROUP}, 1), 'prod')",
        f"variables({GROUP})", "variables('keyed')", "variables('keyed').a",
        f"parameters({GROUP})", f"copyIndex({GROUP})",
        f"length(filter({PARTS}, lambda('x', equals(lambdaVariables('x'), 'group'))))",
        f"filter(createArray('group', 'a'), lambda('x', contains({GROUP}, lambdaVariables('x'))))",
        f"length(map({PARTS}, lambda('x', 1)))",
        f"sort(createArray('b', {GROUP}), lambda('x', 'y', "
        "less(lambdaVariables('x'), lambdaVariables('y'))))",
        f"toObject(createArray({GROUP}), lambda('x', lambdaVariables('x')))",
        f"groupBy(createArray({GROUP}, 'a'), lambda('x', lambdaVariables('x')))",
        f"reduce({PARTS}, 0, lambda('x', 'y', add(lambdaVariables('x'), 1)))",
        f"json(concat('[', {GROUP}, ']'))", f"json(concat('{{', {GROUP}, ':1}}')).a",
        f"json(concat('{{\"', {GROUP}, '\":1}}'))", f"base64ToJson(base64(concat('\"', {GROUP})))",
        f"length(base64ToJson(base64(concat('[\"', {GROUP}, '\"]'))))",
        f"replace('resource-group-open', {GROUP}, 'a')", f"split('a-resource-group-b', {GROUP})",
        f"split('open-resource-group', {GROUP})[0]", f"split('open-group', {PARTS})[0]",
        f"equals(format('{{0,14}}{{0}}', {GROUP}), concat('resource-group', {GROUP}))",
        f"equals(format('{{0}}{{1}}', {GROUP}, createArray({GROUP})), "
        f"concat({GROUP}, '[\"resource-group\"]'))",
        f"equals(toLower({GROUP}), {GROUP})", f"equals(take({GROUP}, 30), {GROUP})",
        f"equals(concat({GROUP}, 'resource-group'), concat('resource-group', {GROUP}))",
        f"bool({GROUP})", f"not(equals({GROUP}, 'a'))", f"if(contains({GROUP}, 'a'), 1, 2)",
        f"min(length({GROUP}), 3)", f"less({GROUP}, 'z')", f"endsWith({GROUP}, 'group')",
        f"resourceInfo({GROUP})", f"reference('resource-group', '1', {GROUP})", "own.parts()[3]",
        "length(own.parts())",
    ],
)  # fmt: skip
def test_an_assumed_name_decides_nothing(expression: str) -> None:
    """Neither whether, nor how many, nor which."""
    own = {"parts": {"output": {"type": "array", "value": f"[{PARTS}]"}}}
    found = value(
        f"[{expression}]",
        context=NOWHERE,
        variables={"resource-group": "hit", "keyed": {f"[{GROUP}]": 1, "a": 2}},
        functions=[{"namespace": "own", "members": own}],
    )
    assert isinstance(found, Unknown)
    assert found.origin is Origin.CONTEXT
    assert "deployed to" in found.way_out
    assert found.expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"length(createArray({GROUP}, 'a'))", 2),
        (f"empty(createArray({GROUP}))", False),
        (f"contains(createObject('a', {GROUP}), 'A')", True),
        (f"contains(createObject('a', {GROUP}), 'b')", False),
        (f"contains(createArray({GROUP}, 'a'), 'a')", True),
        (f"contains(createArray(1, {GROUP}), 2)", False),
        (f"contains(createArray(1, 2), {GROUP})", False),
        (f"objectKeys(createObject('a', {GROUP}))", ["a"]),
        (f"tryGet(createObject('a', {GROUP}, 'b', 2), 'b')", 2),
        (f"tryGet(createObject('a', {GROUP}), 'b')", None),
        (f"length(array({GROUP}))", 1),
        (f"indexOf(createArray('a', {GROUP}), 'a')", 0),
        (f"lastIndexOf(createArray({GROUP}, 'a'), 'a')", 1),
        (f"length(union(createArray({GROUP}), createArray(1, {GROUP})))", 2),
        (f"length(intersection(createArray({GROUP}, 1), createArray({GROUP})))", 1),
        (f"intersection(createObject('a', {GROUP}, 'b', 1), createObject('b', 1))", {"b": 1}),
        (f"json(concat('{{\"id\":\"', {GROUP}, '\",\"n\":1}}')).n", 1),
        ("equals(resourceId('A.B/c', 'd'), resourceId('A.B/c', 'e'))", False),
        ("equals(resourceId('A.B/c', 'd'), format('{0}', resourceId('A.B/c', 'd')))", True),
        ("length(union(createArray(resourceId('A.B/c', 'd')), "
         "createArray(resourceId('A.B/c', 'e'))))", 2),
        (f"if(true(), 1, {GROUP})", 1),
    ],
)  # fmt: skip
def test_what_the_name_does_not_decide_is_known(expression: str, expected: Any) -> None:
    """An id beside it hides no number, and no length."""
    found = value(f"[{expression}]", context=NOWHERE)
    assert (found, type(found)) == (expected, type(expected))


def test_parts_of_assumed_text_are_assumed_text() -> None:
    """They name resources, as the whole does."""
    parts = value(f"[{PARTS}]", context=NOWHERE)
    assert isinstance(parts, AssumedParts)
    for expression in (f"{PARTS}[0]", f"first({PARTS})", f"join({PARTS}, '')", f"last({PARTS})",
                       f"first(take({PARTS}, 1))", f"concat({PARTS}, createArray('a'))[0]",
                       f"tryGet({PARTS}, 1)", f"coalesce(null(), {GROUP}, 1)",
                       f"items(createObject('a', {GROUP}))[0].value",
                       f"json(concat('{{\"id\":\"', {GROUP}, '\"}}')).id"):  # fmt: skip
        assert is_assumed(value(f"[{expression}]", context=NOWHERE)), expression


def unsure(condition: Any) -> dict[str, Any]:
    """A group under a condition."""
    return {**resource(), "condition": condition}


@pytest.mark.parametrize(
    "condition",
    [
        f"[contains({PARTS}, 'group')]",
        f"[equals(length({PARTS}), 2)]",
        f"[replace({GROUP}, 'resource-group', 'true')]",
        f"[replace({GROUP}, 'resource-group', 'false')]",
        f"[first(split(concat('true-', {GROUP}), '-'))]",
        f"[bool(first(split(concat('false-', {GROUP}), '-')))]",
    ],
)
def test_a_condition(condition: str) -> None:
    """It is not known whether the group is deployed."""
    one = only(deploy(unsure(condition), context=NOWHERE))
    assert one.uncertain is not None
    assert one.uncertain.origin is Origin.CONTEXT


def test_a_count_and_a_loop() -> None:
    """Neither how many resources nor how many elements."""
    count = f"[length({PARTS})]"
    loop = {"name": "l", "count": count}
    one = only(deploy({**resource(), "copy": loop}, context=NOWHERE))
    assert one.uncertain is not None
    one = only(deploy(resource(copy=[{**loop, "input": 1}]), context=NOWHERE))
    assert is_unknown(one.properties["l"])
    assert is_unknown(value("[variables('l')]", context=NOWHERE,
                            variables={"copy": [{**loop, "input": 1}]}))  # fmt: skip


def test_a_key() -> None:
    """It could be any, so what the object has is not known; the place is told."""
    one = only(deploy(resource(a={f"[{GROUP}]": 1, "b": 2}, c=3), context=NOWHERE))
    unknown = one.properties["a"]
    assert isinstance(unknown, Unknown)
    assert (unknown.expression, unknown.path[-2:]) == (f"[{GROUP}]", ("a", f"[{GROUP}]"))
    assert one.properties["c"] == 3


def test_a_type() -> None:
    """What is no known type is no security group either."""
    problem = refusal(resource(f"[concat('Microsoft.Network/', {GROUP})]"), context=NOWHERE)
    assert "the type is not known; say which it is deployed to" in str(problem)


@pytest.mark.parametrize(
    ("end", "said"), [("", "the type depends on a name"), ("/", "no argument is a type")]
)
def test_an_id_of_an_assumed_type(end: str, said: str) -> None:
    """The same of an id."""
    expression = f"[resourceId(concat('Microsoft.Network/', {GROUP}, '{end}'), 'x')]"
    problem = refusal(outputs={"x": {"type": "string", "value": expression}}, context=NOWHERE)
    assert said in str(problem)


def nested(**properties: Any) -> dict[str, Any]:
    """A deployment."""
    return resource("Microsoft.Resources/deployments", "inner", **properties)


def test_a_link() -> None:
    """No file is taken for one that a name would choose."""
    asked: list[str] = []

    def load(link: str) -> None:
        asked.append(link)

    linked = nested(templateLink={"uri": f"[concat('https://a/', {GROUP}, '.json')]"})
    deployment = deploy(linked, context=NOWHERE, load_linked=load)
    assert asked == []
    assert is_unknown(deployment.linked[0].uri)
    deploy(linked, load_linked=load)
    assert asked == ["https://a/rg.json"]


@pytest.mark.parametrize("scope", [f"[{GROUP}]", "[parameters('p')]"])
def test_the_scope_of_a_deployment(scope: str) -> None:
    """Whose parameters the expressions inside name."""
    one = nested(template={"resources": []}, expressionEvaluationOptions={"scope": scope})
    problem = refusal(one, context=NOWHERE, parameters={"p": {"type": "string"}})
    assert "the scope of expressions is not known" in problem.message


def test_a_placeholder_is_not_the_text_that_it_is_written_with() -> None:
    """A resource of that name is another one."""
    same = resource("A.B/c", "resource-group", x=1)
    for target in (GROUP, f"resourceId('A.B/c', {GROUP})"):
        assert is_unknown(value(f"[reference({target}).x]", resources=[same], context=NOWHERE))
    named = resource("A.B/c", f"[{GROUP}]", x=1)
    for target in (GROUP, f"resourceId('A.B/c', {GROUP})"):
        assert value(f"[reference({target}).x]", resources=[named], context=NOWHERE) == 1
    assert value("[reference('s').x]", resources={"s": named}, context=NOWHERE) == 1
    symbol = {"resource-group": resource("A.B/c", "d", x=1)}
    assert is_unknown(value(f"[reference({GROUP}).x]", resources=symbol, context=NOWHERE))


def test_values_of_a_parameter_that_are_not_known() -> None:
    """They are not compared with what it allows; those beside them are."""
    allowed = {"q": {"type": "array", "allowedValues": ["a", "b"],
                     "defaultValue": ["a", "[listKeys('x', '1')]", f"[{GROUP}]"]}}  # fmt: skip
    assert len(value("[parameters('q')]", parameters=allowed, context=NOWHERE)) == 3
    allowed["q"]["defaultValue"] = ["c", f"[{GROUP}]"]
    problem = refusal(
        outputs={"x": {"type": "array", "value": "[parameters('q')]"}},
        parameters=allowed,
        context=NOWHERE,
    )
    assert "which is not allowed" in problem.message


def test_names_stay_as_they_are() -> None:
    """With them given, nothing of all this is unknown."""
    assert value(f"[length({PARTS})]") == 1
    assert names(deploy(unsure(f"[equals({GROUP}, 'rg')]"))) == ["nsg"]
    assert names(deploy(unsure(f"[equals({GROUP}, 'x')]"))) == []


def test_where_it_began() -> None:
    """The place is that of the text which the name decides, not of those that use it."""
    found = value(
        "[add(variables('n'), 1)]", context=NOWHERE, variables={"n": f"[length({PARTS})]"}
    )
    assert isinstance(found, Unknown)
    assert (found.path, found.expression) == (("variables", "n"), f"[length({PARTS})]")


def test_what_is_unknown_inside_an_object_is_unknown_inside_it() -> None:
    """Whether it has such a key is not known."""
    assert is_unknown(value("[tryGet(createObject('a', listKeys('x', '1')), 'a', 'b')]"))
