"""Resources: loops, conditions, children, symbolic names, ids, and where each came from."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.arm.unknown import Origin, is_unknown
from tests.arm.templates import (
    CONTEXT,
    GROUP,
    NSG,
    VNET,
    deploy,
    mistake,
    names,
    only,
    refusal,
    refusals,
    resource,
    value,
)  # fmt: skip


def test_a_resource() -> None:
    """All that a resource says, evaluated."""
    one = only(
        deploy(
            {
                "type": NSG,
                "apiVersion": "2020-01-01",
                "name": "[concat('a', 'b')]",
                "location": "[resourceGroup().location]",
                "tags": {"[concat('k', 1)]": "v"},
                "comments": "[not evaluated",
                "dependsOn": ["[resourceId('Microsoft.Network/virtualNetworks', 'v')]", "x"],
                "properties": {"n": None, "l": ["[add(1, 2)]", 1.5, True], "[[x]": "[[y]"},
            }
        )
    )
    assert (one.type, one.name, one.api_version) == (NSG, "ab", "2020-01-01")
    assert one.id == f"{GROUP}/providers/{NSG}/ab"
    assert one.properties == {"n": None, "l": [3, 1.5, True], "[x]": "[y]"}
    assert one.fields == {"location": "westeurope", "tags": {"k1": "v"}}
    assert one.depends_on == (f"{GROUP}/providers/{VNET}/v", "x")
    assert (one.subscription_id, one.resource_group) == (CONTEXT.subscription_id, "rg")
    assert (one.path, one.document, one.copy_index) == (("resources", 0), "", None)
    assert (one.is_existing, one.uncertain, one.symbolic_name) == (False, None, None)


def looped(count: Any, **more: Any) -> dict[str, Any]:
    """A resource in a loop."""
    return {
        **resource(NSG, "[concat('n', copyIndex())]", **more),
        "copy": {"name": "loop", "count": count, "mode": "serial", "batchSize": 2},
    }


def test_resource_loops() -> None:
    """Each iteration is a resource, with its index."""
    deployment = deploy(
        looped("[parameters('n')]", i="[copyIndex('LOOP', 10)]", j="[copyIndex(5)]"),
        parameters={"n": {"type": "int", "defaultValue": 3}},
    )
    assert names(deployment) == ["n0", "n1", "n2"]
    assert [one.properties for one in deployment.resources] == [
        {"i": 10 + at, "j": 5 + at} for at in range(3)
    ]
    assert [one.copy_index for one in deployment.resources] == [0, 1, 2]
    assert deploy(looped(0)).resources == ()
    assert len(deploy(looped(800)).resources) == 800


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (801, "a loop of 801 iterations"), (-1, "a loop of -1"), ("3", "is text"),
        (True, "is a bool"), (None, "is null"),
    ],
)  # fmt: skip
def test_bad_counts(count: Any, message: str) -> None:
    """Azure's bounds of a loop hold."""
    problem = refusal(looped(count))
    assert message in problem.message
    assert problem.path == ("resources", 0, "copy", "count")
    copy = [{"name": "x", "count": count, "input": 1}]
    assert message in refusal(resource(copy=copy)).message


def test_property_loops() -> None:
    """They make arrays beside the other properties, also inside loops of resources."""
    one = only(
        deploy(
            {
                **resource(
                    NSG,
                    "n",
                    other=1,
                    copy=[
                        {
                            "name": "securityRules",
                            "count": 2,
                            "input": {
                                "name": "[concat(copyIndex(), '-', copyIndex('securityRules', 1))]",
                                "copy": [{"name": "p", "count": 2, "input": "[copyIndex('p')]"}],
                            },
                        },
                        {"name": "none", "count": 0, "input": "[div(1, 0)]"},
                    ],
                ),
                "copy": {"name": "r", "count": 1},
            }
        )
    )
    assert one.properties == {
        "other": 1,
        "none": [],
        "securityRules": [{"name": "0-1", "p": [0, 1]}, {"name": "0-2", "p": [0, 1]}],
    }


def test_a_property_that_is_called_copy() -> None:
    """Without name, count and input it is a property like any other."""
    assert only(deploy(resource(copy=[{"name": "x"}], a=1))).properties == {
        "copy": [{"name": "x"}], "a": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[copyIndex()]", "outside a loop of resources"),
        ("[copyIndex('x')]", "names the loop 'x', which is not around it"),
        ("[copyIndex(1, 'x')]", "a loop's name and an offset"),
    ],
)
def test_copy_index_without_a_loop(expression: str, message: str) -> None:
    """There is no index to give."""
    assert message in mistake(expression)


def test_output_loops() -> None:
    """An output may be a loop, and have a condition."""
    outputs = {
        "a": {"type": "array", "copy": {"count": 2, "input": "[copyIndex(1)]"}},
        "b": {"type": "int", "condition": "[false()]", "value": "[div(1, 0)]"},
    }
    assert deploy(outputs=outputs).outputs == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (True, ["nsg"]), (False, []), ("true", ["nsg"]), ("False", []),
        ("[equals(1, 2)]", []), ("[not(false())]", ["nsg"]),
    ],
)  # fmt: skip
def test_conditions(condition: Any, expected: list[str]) -> None:
    """A resource whose condition is false is absent, whatever else it says."""
    one = {**resource(x=1 if expected else "[div(1, 0)]"), "condition": condition}
    assert names(deploy(one)) == expected


def test_a_condition_that_is_none() -> None:
    """Only true and false are conditions."""
    problem = refusal({**resource(), "condition": "[add(1, 1)]"})
    assert problem.path == ("resources", 0, "condition")
    assert "the condition is an integer" in problem.message


def test_uncertain() -> None:
    """Whether or how often a resource exists can be unknown; it is kept once, and marked."""
    secret = "[equals(reference('/subscriptions/s').a, 1)]"
    one = only(deploy({**resource(), "condition": secret}))
    assert one.uncertain is not None
    assert one.uncertain.origin is Origin.REFERENCE
    many = only(deploy(looped("[length(reference('/subscriptions/s').a)]")))
    assert many.uncertain is not None


def test_children() -> None:
    """Resources inside a resource get its type and name; a condition does not reach them."""
    inner = {"type": "subnets", "name": "s", "properties": {}, "resources": [
        {"type": "locks", "name": "l", "properties": {}},
    ]}  # fmt: skip
    full = {"type": f"{VNET}/subnets", "name": "v0/t", "properties": {}}
    whole_type = {"type": f"{VNET}/subnets", "name": "u", "properties": {}}
    vnet = {
        **resource(VNET, "[concat('v', copyIndex())]"),
        "copy": {"name": "c", "count": 1},
        "resources": [inner, full, whole_type],
    }
    deployment = deploy(vnet)
    assert [(one.type, one.name, one.path) for one in deployment.resources] == [
        (VNET, "v0", ("resources", 0)),
        (f"{VNET}/subnets", "v0/s", ("resources", 0, "resources", 0)),
        (f"{VNET}/subnets/locks", "v0/s/l", ("resources", 0, "resources", 0, "resources", 0)),
        (f"{VNET}/subnets", "v0/t", ("resources", 0, "resources", 1)),
        (f"{VNET}/subnets", "v0/u", ("resources", 0, "resources", 2)),
    ]
    assert deployment.resources[2].id == f"{GROUP}/providers/{VNET}/v0/subnets/s/locks/l"
    assert names(deploy({**vnet, "condition": False})) == ["v0/s", "v0/s/l", "v0/t", "v0/u"]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (resource(VNET, "a/b"), "the name 'a/b' does not fit the type"),
        (resource(f"{VNET}/subnets", "b"), "the name 'b' does not fit the type"),
        (resource(name=""), "the name of a resource is ''"),
        ({"type": NSG}, "the name of a resource is null"),
        (resource(kind="[add(1, 2)]"), "the type of a resource is 3"),
        (5, "a resource is an integer"),
        ({**resource(), "copy": {"count": 1}}, "a loop of resources has no name"),
    ],
)
def test_bad_resources(one: Any, message: str) -> None:
    """What Azure would refuse is refused with its place."""
    problem = refusal(one)
    assert message in problem.message
    assert problem.path[:2] == ("resources", 0)


def test_all_problems_are_told() -> None:
    """One mistake does not hide another, and one in a variable is told once."""
    problems = refusals(
        resource(a="[div(1, 0)]", b=["[nothing()]"], c="[variables('v')]", d="[variables('v')]"),
        resource(x="[parameters('y')]"),
        variables={"v": "[add('a', 1)]"},
    )
    assert [(problem.path, problem.expression) for problem in problems] == [
        (("resources", 0, "properties", "a"), "[div(1, 0)]"),
        (("resources", 0, "properties", "b", 0), "[nothing()]"),
        (("variables", "v"), "[add('a', 1)]"),
        (("resources", 1, "properties", "x"), "[parameters('y')]"),
    ]
    assert str(problems[0]) == (
        "resources[0].properties.a: a division by zero in '[div(1, 0)]'; divide by another number"
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("resourceId('Microsoft.Network/virtualNetworks/subnets', 'v', 's')",
         f"{GROUP}/providers/{VNET}/v/subnets/s"),
        ("resourceId('Microsoft.Network/virtualNetworks/', 'v')", f"{GROUP}/providers/{VNET}/v"),
        ("resourceId('other', 'Microsoft.Network/virtualNetworks', 'v')",
         f"{GROUP[:-2]}other/providers/{VNET}/v"),
        ("resourceId('sub', 'other', 'Microsoft.Network/virtualNetworks', 'v')",
         f"/subscriptions/sub/resourceGroups/other/providers/{VNET}/v"),
        ("subscriptionResourceId('Microsoft.A/b', 'c')",
         f"/subscriptions/{CONTEXT.subscription_id}/providers/Microsoft.A/b/c"),
        ("subscriptionResourceId('sub', 'Microsoft.A/b', 'c')",
         "/subscriptions/sub/providers/Microsoft.A/b/c"),
        ("extensionResourceId('/x/y', 'Microsoft.A/b', 'c')", "/x/y/providers/Microsoft.A/b/c"),
        ("tenantResourceId('Microsoft.A/b', 'c')", "/providers/Microsoft.A/b/c"),
        ("managementGroupResourceId('mg', 'Microsoft.A/b', 'c')",
         "/providers/Microsoft.Management/managementGroups/mg/providers/Microsoft.A/b/c"),
        ("resourceGroup().id", GROUP),
        ("resourceGroup().name", "rg"),
        ("subscription().id", GROUP.removesuffix("/resourceGroups/rg")),
        ("subscription().tenantId", CONTEXT.tenant_id),
        ("tenant().tenantId", CONTEXT.tenant_id),
        ("deployment().name", "main"),
        ("environment().name", "AzureCloud"),
        ("environment().suffixes.storage", "core.windows.net"),
    ],
)  # fmt: skip
def test_ids_and_places(expression: str, expected: str) -> None:
    """Ids are those of the deployment's place, or of the one that is named."""
    assert value(f"[{expression}]") == expected


@pytest.mark.parametrize(
    "expression", ["managementGroup().name", "managementGroupResourceId('Microsoft.A/b', 'c')"]
)
def test_management_groups(expression: str) -> None:
    """Nobody says which one."""
    assert is_unknown(value(f"[{expression}]"))


def test_bad_ids() -> None:
    """Names that do not fit the type, as in some published templates."""
    message = "no argument is a type with its names"
    assert message in mistake("[resourceId('Microsoft.Network/virtualNetworks/subnets', 's')]")
    assert message in mistake("[resourceId('virtualNetworks', 's')]")


def test_a_template_for_a_subscription() -> None:
    """It knows no resource group."""
    schema = {"$schema": "https://x/2018-05-01/subscriptionDeploymentTemplate.json#"}
    one = only(deploy(resource("Microsoft.Resources/resourceGroups", "g"), **schema))
    assert one.resource_group is None
    assert one.id == f"/subscriptions/{CONTEXT.subscription_id}/providers/{one.type}/g"
    assert "no meaning above" in mistake("[resourceGroup().id]", **schema)
    above = {"$schema": "https://x/tenantDeploymentTemplate.json#"}
    assert "no meaning above" in mistake("[subscription().id]", **above)


def test_reference() -> None:
    """What the template says of its own resources is known; what Azure adds is not."""
    nsg = resource(NSG, "nsg", a={"b": [1, {"c": 2}]}, secret="[listKeys('x', '1')]")
    found = {
        "known": "[reference('nsg').a.b[1].c]",
        "by id": f"[reference(resourceId('{NSG}', 'NSG'), '2020-01-01').a.b[0]]",
        "full": "[reference('nsg', '2020-01-01', 'Full').location]",
        "added": "[reference('nsg').resourceGuid]",
        "whole": "[reference('nsg').a.b]",
        "function": "[length(reference('nsg').a.b)]",
        "secret": "[reference('nsg').secret]",
        "elsewhere": "[reference('other').a]",
    }
    outputs = {name: {"type": "string", "value": text} for name, text in found.items()}
    result = deploy({**nsg, "location": "x"}, outputs=outputs).outputs
    assert (result["known"], result["by id"], result["full"]) == (2, 1, "x")
    assert all(
        is_unknown(result[name]) for name in ("added", "whole", "function", "secret", "elsewhere")
    )
    assert result["secret"].origin is Origin.SECRET


def test_a_reference_that_says_nothing() -> None:
    """To what may not be deployed, to one of two names, and of a function of a reference."""
    nsg = resource(NSG, "nsg", a=1)
    uncertain = {**nsg, "condition": "[equals(reference('/subscriptions/s').a, 1)]"}
    assert is_unknown(value("[reference('nsg').a]", resources=[uncertain]))
    two = [nsg, resource(VNET, "nsg", a=2)]
    assert is_unknown(value("[reference('nsg').a]", resources=two))
    assert value(f"[reference(resourceId('{VNET}', 'nsg')).a]", resources=two) == 2
    assert is_unknown(value("[string(reference('nsg')).a]", resources=[nsg]))
    assert is_unknown(value("[first(createArray(reference('nsg'))).b]", resources=[nsg]))


def test_a_mistake_in_a_loop_is_told_once() -> None:
    """It stands in the template once."""
    copy = [{"name": "x", "count": 3, "input": "[div(1, 0)]"}]
    problem = refusal({**resource(copy=copy), "copy": {"name": "c", "count": 2}})
    assert problem.path == ("resources", 0, "properties", "copy", 0, "input")


def test_references_in_a_circle() -> None:
    """Neither can be deployed before the other."""
    problems = refusals(
        resource(NSG, "a", x="[reference('b').x]"), resource(NSG, "b", x="[reference('a').x]")
    )
    assert any("refers to itself" in problem.message for problem in problems)


def test_symbolic_names() -> None:
    """Resources as an object; existing ones are marked, and references go by symbol."""
    deployment = deploy(
        languageVersion="2.0",
        outputs={
            "id": {"type": "string", "value": "[resourceInfo('group').id]"},
            "x": {"type": "int", "value": "[reference('many[1]').x]"},
            "old": {"type": "int", "value": "[reference('old').x]"},
        },
        resources={
            "group": resource(NSG, "g"),
            "old": {**resource(VNET, "v"), "existing": True, "resourceGroup": "net"},
            "many": {**looped(2, x="[copyIndex()]")},
        },
    )
    assert [(one.symbolic_name, one.name, one.path) for one in deployment.resources] == [
        ("group", "g", ("resources", "group")),
        ("old", "v", ("resources", "old")),
        ("many[0]", "n0", ("resources", "many")),
        ("many[1]", "n1", ("resources", "many")),
    ]
    old = deployment.resources[1]
    assert (old.is_existing, old.resource_group) == (True, "net")
    assert deployment.outputs["id"] == f"{GROUP}/providers/{NSG}/g"
    assert deployment.outputs["x"] == 1
    assert is_unknown(deployment.outputs["old"])


def test_source_paths() -> None:
    """A value's place in the template is found through loops, and ends at an expression."""
    one = only(
        deploy(
            resource(
                copy=[{"name": "securityRules", "count": 2, "input": {"properties": {"p": 1}}}],
                plain=[{"a": 1}],
                made="[variables('v')]",
            ),
            variables={"v": [{"a": 1}]},
        )
    )
    here = ("resources", 0)
    assert one.source_path(("properties", "plain", 0, "A")) == (
        *here,
        "properties",
        "plain",
        0,
        "a",
    )
    assert one.source_path(("properties", "made", 0, "a")) == (*here, "properties", "made")
    assert one.source_path(("properties", "securityRules", 1, "properties", "p")) == (
        *here, "properties", "copy", 0, "input", "properties", "p",
    )  # fmt: skip
    assert one.source_path(("name",)) == (*here, "name")
    assert one.source_path(("nothing", 0)) == here
