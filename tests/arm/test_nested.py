"""Nested and linked templates: scopes, parameters, outputs, places and paths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nsgd.arm.unknown import Origin, is_unknown
from tests.arm.templates import (
    CONTEXT,
    GROUP,
    NSG,
    deploy,
    names,
    refusal,
    refusals,
    resource,
    template,
)

DEPLOYMENTS = "Microsoft.Resources/deployments"


def nested(inner: dict[str, Any], scope: str | None = None, **more: Any) -> dict[str, Any]:
    """A deployment of a nested template."""
    properties: dict[str, Any] = {"mode": "Incremental", "template": inner}
    if scope:
        properties["expressionEvaluationOptions"] = {"scope": scope}
    if "parameters" in more:
        properties["parameters"] = more.pop("parameters")
    return {"type": DEPLOYMENTS, "apiVersion": "2020-10-01", "name": "inner",
            "properties": properties, **more}  # fmt: skip


EXAMPLE = template(
    resource(
        NSG,
        "[concat('n-', variables('x'))]",
        g="[resourceGroup().name]",
        d="[deployment().name]",
    ),
    variables={"x": "inside"},
    outputs={"x": {"type": "string", "value": "[variables('x')]"}},
)
OUTPUTS = {"x": {"type": "string", "value": "[reference('inner').outputs.x.value]"}}


@pytest.mark.parametrize(
    ("scope", "name", "group", "deployment"),
    [
        (None, "outside", "rg", "main"),
        ("outer", "outside", "rg", "main"),
        ("inner", "inside", "other", "inner"),
    ],
)
def test_scopes(scope: str | None, name: str, group: str, deployment: str) -> None:
    """Names mean what they mean outside, unless the scope is inner; the place is the nested one."""
    deployed = deploy(
        nested(EXAMPLE, scope, resourceGroup="other"), variables={"x": "outside"}, outputs=OUTPUTS
    )
    outer, one = deployed.resources
    assert (outer.type, outer.properties["mode"]) == (DEPLOYMENTS, "Incremental")
    assert (one.name, one.properties) == (f"n-{name}", {"g": group, "d": deployment})
    assert one.resource_group == "other"
    assert one.id == f"{GROUP[:-2]}other/providers/{NSG}/n-{name}"
    assert one.path == ("resources", 0, "properties", "template", "resources", 0)
    assert deployed.outputs == {"x": name}


def test_parameters_are_passed() -> None:
    """They are evaluated outside, when they are asked for."""
    inner = template(
        resource(NSG, "[parameters('a')]", b="[parameters('b')]", c="[parameters('c')]"),
        parameters={
            "a": {"type": "string"},
            "b": {"type": "string", "defaultValue": "default"},
            "c": {"type": "securestring"},
        },
    )
    passed = {
        "a": {"value": "[concat(parameters('p'), copyIndex())]"},
        "c": {"reference": {"keyVault": {"id": "x"}, "secretName": "y"}},
    }
    one = {**nested(inner, "inner", parameters=passed), "copy": {"name": "c", "count": 2}}
    deployed = deploy(one, parameters={"p": {"type": "string", "defaultValue": "n"}})
    assert names(deployed) == ["inner", "n0", "inner", "n1"]
    assert deployed.resources[1].properties["b"] == "default"
    assert deployed.resources[1].properties["c"].origin is Origin.SECRET


def test_a_missing_parameter_of_a_nested_template() -> None:
    """It is named in its own template."""
    inner = template(resource(NSG, "[parameters('a')]"), parameters={"a": {"type": "string"}})
    problem = refusal(nested(inner, "inner"))
    path = ("resources", 0, "properties", "template", "parameters", "a")
    assert problem.path == path


def test_outer_scope_has_the_loop_and_two_brackets_mean_the_inner_one() -> None:
    """Azure evaluates a nested template in outer scope twice, once in each."""
    inner = template(
        resource(NSG, "[concat('n', copyIndex())]", inner="[[variables('x')]"),
        variables={"x": "inside"},
    )
    one = {**nested(inner), "copy": {"name": "c", "count": 2}}
    deployed = deploy(one, variables={"x": "outside"})
    assert names(deployed) == ["inner", "n0", "inner", "n1"]
    assert deployed.resources[1].properties["inner"] == "inside"


def test_outputs_of_one_are_parameters_of_another() -> None:
    """In any order, and references to resources around reach an outer scope only."""
    first = nested(template(outputs={"ip": {"type": "string", "value": "10.0.0.4"}}), "inner")
    second = {
        **nested(
            template(
                resource(NSG, "n", ip="[parameters('ip')]", around="[reference('nsg').a]"),
                parameters={"ip": {"type": "string"}},
            ),
            "inner",
            parameters={"ip": {"value": "[reference('inner').outputs.ip.value]"}},
        ),
        "name": "second",
    }
    third = {**nested(template(resource(NSG, "o", around="[reference('nsg').a]"))), "name": "third"}
    deployed = deploy(second, third, first, resource(NSG, "nsg", a=5))
    by_name = {one.name: one for one in deployed.resources}
    assert by_name["n"].properties["ip"] == "10.0.0.4"
    assert is_unknown(by_name["n"].properties["around"])
    assert by_name["o"].properties["around"] == 5


def test_outputs_in_a_circle() -> None:
    """Two deployments that need each other cannot be deployed."""
    one = nested(
        template(
            parameters={"x": {"type": "string"}},
            outputs={"x": {"type": "string", "value": "[parameters('x')]"}},
        ),
        "inner",
        parameters={"x": {"value": "[reference('inner').outputs.x.value]"}},
    )
    problem = refusal(one, outputs=OUTPUTS)
    assert "refer" in problem.message


def test_outputs_that_need_themselves() -> None:
    """In outer scope they can be written so."""
    problem = refusal(nested(template(outputs=OUTPUTS)), outputs=OUTPUTS)
    assert "the outputs of a template refer to themselves" in problem.message


def test_the_location_of_another_group() -> None:
    """Only that of the deployment's own is known."""
    inner = template(resource(x="[resourceGroup().location]"))
    assert deploy(nested(inner, "inner")).resources[1].properties["x"] == "westeurope"
    other = deploy(nested(inner, "inner", resourceGroup="other")).resources[1]
    assert is_unknown(other.properties["x"])


def test_a_condition_reaches_what_is_deployed_inside() -> None:
    """False: nothing of it. Unknown: all of it is uncertain."""
    assert deploy({**nested(EXAMPLE, "inner"), "condition": False}).resources == ()
    secret = "[equals(reference('/subscriptions/s').a, 1)]"
    deployed = deploy({**nested(EXAMPLE, "inner"), "condition": secret})
    assert [one.uncertain is not None for one in deployed.resources] == [True, True]


def linked(**link: Any) -> dict[str, Any]:
    """A deployment of a linked template."""
    return {"type": DEPLOYMENTS, "apiVersion": "2020-10-01", "name": "inner",
            "properties": {"mode": "Incremental", "templateLink": link}}  # fmt: skip


def test_a_linked_template_that_is_not_loaded() -> None:
    """The caller is told which, and what depends on it is unknown."""
    deployed = deploy(linked(uri="[concat('https://x/', 'a.json')]"), resource(), outputs=OUTPUTS)
    (link,) = deployed.linked
    assert (link.name, link.uri, link.is_relative) == ("inner", "https://x/a.json", False)
    assert (link.path, link.document) == (("resources", 0), "")
    assert names(deployed) == ["inner", "nsg"]
    assert deployed.outputs["x"].origin is Origin.LINKED


def test_links_are_refused_if_asked() -> None:
    """A caller that needs all resources says so."""
    unknown = linked(uri="[uri(deployment().properties.templateLink.uri, 'a.json')]")
    problems = refusals(linked(uri="https://x/a.json"), unknown, refuses_links=True)
    assert [problem.path for problem in problems] == [("resources", 0), ("resources", 1)]
    assert "the linked template 'https://x/a.json' is not loaded" in problems[0].message
    assert problems[1].expression == "[uri(deployment().properties.templateLink.uri, 'a.json')]"


@pytest.mark.parametrize(
    ("link", "base", "asked", "is_relative"),
    [
        ({"uri": "https://x/a.json"}, None, "https://x/a.json", False),
        ({"relativePath": "nested/a.json"}, None, "nested/a.json", True),
        ({"relativePath": "nested/a.json"}, "dir/main.json", "dir/nested/a.json", False),
        ({"uri": "[uri(deployment().properties.templateLink.uri, 'a.json')]"},
         "https://x/main.json", "https://x/a.json", False),
        ({"id": "/subscriptions/s/spec"}, None, "/subscriptions/s/spec", False),
    ],
)  # fmt: skip
def test_links(link: dict[str, Any], base: str | None, asked: str, is_relative: bool) -> None:
    """The link is asked for as the template computes it, relative to its own where known."""
    context = replace(CONTEXT, template_uri=base)
    loaded: list[str] = []

    def load(uri: str) -> dict[str, Any] | None:
        loaded.append(uri)
        return EXAMPLE

    deployed = deploy(linked(**link), context=context, load_linked=load, outputs=OUTPUTS)
    assert loaded == [asked]
    assert deployed.linked == ()
    assert names(deployed) == ["inner", "n-inside"]
    assert (deployed.resources[1].document, deployed.resources[1].path) == (asked, ("resources", 0))
    assert deployed.outputs == {"x": "inside"}
    (left,) = deploy(linked(**link), context=context, load_linked=lambda uri: None).linked
    assert (left.uri, left.is_relative) == (asked, is_relative)


def test_an_unknown_link() -> None:
    """It is kept as it is."""
    uri = "[uri(deployment().properties.templateLink.uri, 'a.json')]"
    (link,) = deploy(linked(uri=uri), load_linked=lambda uri: EXAMPLE).linked
    assert is_unknown(link.uri)


def test_a_template_that_links_itself() -> None:
    """It would never end."""
    problem = refusal(
        linked(uri="https://x/a"), load_linked=lambda uri: template(linked(uri="https://x/a"))
    )
    assert "templates nest deeper than 8" in problem.message


def test_a_mistake_in_a_linked_template_names_it() -> None:
    """The path leads through the linked document."""
    problem = refusal(
        linked(uri="https://x/a"), load_linked=lambda uri: template(resource(x="[div(1, 0)]"))
    )
    assert (problem.document, problem.path) == ("https://x/a", ("resources", 0, "properties", "x"))
    assert str(problem).startswith("https://x/a resources[0].properties.x: a division by zero")


def test_a_nested_template_for_a_subscription() -> None:
    """Its schema says that it lies in no group."""
    schema = {"$schema": "https://x/subscriptionDeploymentTemplate.json#"}
    inner = template(resource("Microsoft.Resources/resourceGroups", "g"), **schema)
    one = deploy(nested(inner, "inner", location="x")).resources[1]
    assert one.resource_group is None
