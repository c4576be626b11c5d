"""What only the deployment knows stays marked, and nothing is decided by what nobody said."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.arm.scope import DeploymentContext
from nsgd.arm.unknown import Origin, Unknown, find_unknowns, is_assumed, is_unknown
from tests.arm.templates import CONTEXT, VNET, deploy, only, refusals, resource, value

SECRET = "listKeys('x', '1').key"


@pytest.mark.parametrize(
    ("expression", "origin"),
    [
        ("[listKeys('x', '1')]", Origin.SECRET),
        ("[listAccountSas('x', '1').token[0].a]", Origin.SECRET),
        ("[utcNow()]", Origin.GENERATED),
        ("[newGuid()]", Origin.GENERATED),
        ("[pickZones('Microsoft.Compute', 'virtualMachines', 'x')]", Origin.REFERENCE),
        ("[toLogicalZone('a', 'b', 'c')]", Origin.REFERENCE),
        ("[toLogicalZones('a', 'b', 'c')]", Origin.REFERENCE),
        ("[toPhysicalZone('a', 'b', 'c')]", Origin.REFERENCE),
        ("[toPhysicalZones('a', 'b', 'c')]", Origin.REFERENCE),
        ("[providers('a')]", Origin.REFERENCE),
        ("[references('a')]", Origin.REFERENCE),
        ("[deployer().objectId]", Origin.REFERENCE),
        ("[getSecret('a')]", Origin.REFERENCE),
        ("[reference('elsewhere').id]", Origin.REFERENCE),
        ("[dateTimeAdd('2020-01-01', 'P1D')]", Origin.NOT_EVALUATED),
        ("[dateTimeFromEpoch(1)]", Origin.NOT_EVALUATED),
        ("[dateTimeToEpoch('2020-01-01')]", Origin.NOT_EVALUATED),
        ("[externalInput('a')]", Origin.NOT_EVALUATED),
        ("[parameters('p')]", Origin.PARAMETER),
        (f"[concat('a', {SECRET})]", Origin.SECRET),
        (f"[toLower({SECRET})]", Origin.SECRET),
        (f"[if({SECRET}, 1, 2)]", Origin.SECRET),
        (f"[and(true(), {SECRET})]", Origin.SECRET),
        (f"[coalesce({SECRET}, 1)]", Origin.SECRET),
        (f"[length({SECRET})]", Origin.SECRET),
        (f"[contains(createArray({SECRET}), 'a')]", Origin.SECRET),
        (f"[union(createArray({SECRET}), createArray(1))]", Origin.SECRET),
        (f"[string(createObject('a', {SECRET}))]", Origin.SECRET),
        (f"[createObject({SECRET}, 1)]", Origin.SECRET),
        (f"[createArray(1)[{SECRET}]]", Origin.SECRET),
        (f"[createArray({SECRET})[0]]", Origin.SECRET),
        (f"[createArray(1, {SECRET})[1].a.b]", Origin.SECRET),
        (f"[variables({SECRET})]", Origin.SECRET),
        (f"[resourceId('Microsoft.Network/x', {SECRET})]", Origin.SECRET),
        (f"[filter(createArray(1), lambda('i', {SECRET}))]", Origin.SECRET),
        (f"[map({SECRET}, lambda('i', 1))]", Origin.SECRET),
    ],
)
def test_unknown(expression: str, origin: Origin) -> None:
    """A function of an unknown value is unknown, for the same reason."""
    result = value(expression, parameters={"p": {"type": "string"}})
    assert is_unknown(result)
    assert isinstance(result, Unknown)
    assert result.origin is origin
    assert result.why
    assert result.way_out


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"[createArray({SECRET}, 2)[1]]", 2),
        (f"[length(createArray({SECRET}, 2))]", 2),
        (f"[createObject('a', {SECRET}, 'b', 3).b]", 3),
        (f"[last(concat(createArray({SECRET}), createArray(5)))]", 5),
        (f"[first(skip(createArray({SECRET}, 6), 1))]", 6),
        (f"[union(createObject('a', {SECRET}, 'b', 1), createObject('b', 7)).b]", 7),
        (f"[and({SECRET}, false())]", False),
        (f"[or({SECRET}, true())]", True),
        (f"[if(true(), 8, {SECRET})]", 8),
        (f"[contains(createObject('a', {SECRET}), 'A')]", True),
        (f"[contains(createObject('a', {SECRET}), 'b')]", False),
        (
            "[map(createArray(1, 2), lambda('i', "
            f"if(equals(lambdaVariables('i'), 1), {SECRET}, 9)))[1]]",
            9,
        ),
    ],
)
def test_what_stands_beside_is_known(expression: str, expected: Any) -> None:
    """An unknown value hides only what depends on it."""
    assert value(expression) == expected


def test_where_it_began() -> None:
    """The text and its place are kept through variables, copies and functions."""
    nsg = resource(
        securityRules=[{"name": "a", "properties": {"sourceAddressPrefix": "[variables('x')]"}}]
    )
    deployment = deploy(
        nsg, variables={"x": {"y": [1, "[concat(reference('/subscriptions/s').ip, '/32')]"]}}
    )
    ((keys, unknown),) = find_unknowns(only(deployment).properties)
    assert keys == ("securityRules", 0, "properties", "sourceAddressPrefix", "y", 1)
    assert unknown.path == ("variables", "x", "y", 1)
    assert unknown.expression == "[concat(reference('/subscriptions/s').ip, '/32')]"


def test_a_merge_with_an_unknown_object_is_unknown_at_its_key() -> None:
    """The unknown object may have other keys, which the merge would keep."""
    result = value(f"[union(createObject('a', {SECRET}), createObject('a', createObject('b', 1)))]")
    assert is_unknown(result["a"])
    result = value(f"[union(createObject('a', createObject('b', 1)), createObject('a', {SECRET}))]")
    assert is_unknown(result["a"])


def test_an_unknown_key_makes_the_object_unknown() -> None:
    """It could be any key of the object."""
    one = only(deploy(resource(tags={f"[{SECRET}]": 1, "b": 2}, other=3)))
    assert is_unknown(one.properties["tags"])
    assert one.properties["other"] == 3


NOWHERE = DeploymentContext()


@pytest.mark.parametrize(
    "expression",
    [
        "[resourceGroup().name]", "[resourceGroup().id]", "[subscription().subscriptionId]",
        "[deployment().name]", "[uniqueString(resourceGroup().id)]",
        "[concat('nic-', toLower(resourceGroup().name))]", "[resourceId('Microsoft.A/b', 'c')]",
        "[last(split(resourceId('Microsoft.A/b', 'c'), '/'))]",
        "[string(createObject('id', resourceId('Microsoft.A/b', 'c')))]",
    ],
)  # fmt: skip
def test_assumed(expression: str) -> None:
    """Names are made from placeholders, and marked; with the real ones they are plain text."""
    assert is_assumed(value(expression, context=NOWHERE))
    assert not is_assumed(value(expression))
    assert isinstance(value(expression), str)


@pytest.mark.parametrize(
    "expression",
    [
        "[equals(resourceGroup().name, 'prod')]", "[length(resourceGroup().name)]",
        "[contains(resourceGroup().id, 'x')]", "[startsWith(resourceGroup().name, 'r')]",
        "[empty(resourceGroup().name)]", "[if(equals(subscription().subscriptionId, 'x'), 1, 2)]",
        # It might be long enough, or have that many parts.
        "[substring(resourceGroup().name, 0, 60)]", "[split(resourceGroup().name, '-')[7]]",
        "[int(resourceGroup().name)]", "[resourceGroup().location]", "[subscription().tenantId]",
        "[tenant().tenantId]", "[resourceGroup().tags.a]", "[subscription().displayName]",
    ],
)  # fmt: skip
def test_nothing_is_decided_by_an_assumed_name(expression: str) -> None:
    """A placeholder says nothing, so a decision by it is unknown, with a way out."""
    result = value(expression, context=NOWHERE)
    assert is_unknown(result)
    assert result.origin is Origin.CONTEXT
    assert "deployed to" in result.way_out


def test_one_assumed_name_equals_itself() -> None:
    """Whatever the group is called, it is the same group."""
    both = "resourceGroup().name"
    assert value(f"[equals({both}, {both})]", context=NOWHERE) is True


@pytest.mark.parametrize("negation", ["", "not"])
@pytest.mark.parametrize("question", ["empty({})", "equals({}, '')", "equals('', {})"])
def test_an_assumed_id_is_not_empty(question: str, negation: str) -> None:
    """Whatever the names in it are."""
    text = question.format("resourceId('A.B/c', 'd')")
    found = value(f"[{negation}({text})]" if negation else f"[{text}]", context=NOWHERE)
    assert found is (negation == "not")


def test_a_merge_of_objects_keeps_what_is_not_assumed() -> None:
    """An id that is assumed does not hide the number beside it."""
    result = value(
        "[union(createObject('id', resourceId('Microsoft.A/b', 'c'), 'priority', 100), "
        "createObject('other', 1))]",
        context=NOWHERE,
    )
    assert (result["priority"], result["other"], is_assumed(result["id"])) == (100, 1, True)


MISSING = {"p": {"type": "string"}}


@pytest.mark.parametrize(
    "one",
    [
        resource(securityRules=[{"name": "[parameters('p')]"}]),
        resource(name="[parameters('p')]"),
        {**resource(), "condition": "[equals(parameters('p'), 'a')]"},
        {**resource(), "copy": {"name": "c", "count": "[length(parameters('p'))]"}},
        resource(VNET, subnets="[parameters('p')]"),
        resource(
            "Microsoft.Compute/virtualMachineScaleSets",
            virtualMachineProfile={"networkProfile": ["[parameters('p')]"]},
        ),
        resource(
            "Microsoft.Network/networkSecurityGroups/securityRules", "a/b", x="[parameters('p')]"
        ),
    ],
)
def test_a_missing_parameter_that_decides_is_refused(one: dict[str, Any]) -> None:
    """Each is named once, with what depends on it and the way out."""
    problems = refusals(one, one, parameters=MISSING)
    assert [problem.path for problem in problems] == [("parameters", "p")]
    assert "parameter 'p' has neither a value nor a default, and resources[0]" in str(problems[0])
    assert problems[0].way_out == "give it with --parameters"
    assert deploy(one, parameters=MISSING, given={"p": "a"}).resources


@pytest.mark.parametrize(
    "one",
    [
        resource("Microsoft.Compute/virtualMachines", "vm", adminPassword="[parameters('p')]"),
        resource(securityRules=[{"properties": {"description": "[parameters('p')]"}}]),
        {**resource(), "tags": {"a": "[parameters('p')]"}, "location": "[parameters('p')]"},
        resource("Microsoft.Network/publicIPAddresses", "[parameters('p')]"),
        resource(
            "Microsoft.Compute/virtualMachineScaleSets",
            virtualMachineProfile={"osProfile": ["[parameters('p')]"]},
        ),
        resource(
            "Microsoft.Network/networkInterfaces",
            ipConfigurations=[{"properties": {"publicIPAddress": {"id": "[parameters('p')]"}}}],
        ),
    ],
)
def test_a_missing_parameter_that_decides_nothing_stays_unknown(one: dict[str, Any]) -> None:
    """A password is not needed to read security rules."""
    found = only(deploy(one, parameters=MISSING))
    unknowns = [*find_unknowns([found.properties, found.fields, found.name])]
    assert unknowns
    assert all(unknown.parameter == "p" for _, unknown in unknowns)


def test_existing_resources_may_be_unknown() -> None:
    """The template does not say what they are like, so nothing here depends on their name."""
    one = {**resource(name="[parameters('p')]"), "existing": True}
    assert is_unknown(only(deploy(one, parameters=MISSING)).name)


def test_all_missing_parameters_are_told_at_once() -> None:
    """Nobody wants to learn of them one by one."""
    both = {"p": {"type": "string"}, "q": {"type": "string"}}
    one = resource(VNET, "[parameters('p')]", subnets="[parameters('q')]")
    assert [problem.path[1] for problem in refusals(one, parameters=both)] == ["p", "q"]


def test_context() -> None:
    """With a full context nothing of it is assumed."""
    assert value("[resourceGroup().location]", context=CONTEXT) == "westeurope"
