"""What a template would lose in silence is refused: each case once dropped a rule or a group."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.config.problem import ConfigRefused

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
Raw = dict[str, Any]


def template(*resources: Raw, **parts: object) -> Raw:
    """A template of these resources."""
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", **parts, "resources": list(resources)}


def rule(name: str, priority: object, access: object) -> Raw:
    """A rule about everything inbound."""
    return {
        "name": name,
        "properties": {
            "priority": priority,
            "direction": "Inbound",
            "access": access,
            "protocol": "*",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "*",
        },
    }


def group(*rules: Raw, **fields: object) -> Raw:
    """The group web."""
    return {
        "type": "Microsoft.Network/networkSecurityGroups",
        "apiVersion": "2020-05-01",
        "name": "web",
        "properties": {"securityRules": list(rules)},
        **fields,
    }


def deployment(inner: object, **properties: object) -> Raw:
    """A nested deployment."""
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2020-06-01",
        "name": "inner",
        "properties": {"mode": "Incremental", "template": inner, **properties},
    }


def child_rule(**fields: object) -> Raw:
    """A denial that stands by itself."""
    return {
        "type": "Microsoft.Network/networkSecurityGroups/securityRules",
        "apiVersion": "2020-05-01",
        **rule("web/D", 100, "Deny"),
        **fields,
    }


def refusal(content: Raw | str) -> str:
    """Why it is refused."""
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(ConfigRefused) as refused:
        load_documents([Document("t.json", text.encode())])
    return str(refused.value)


ALLOW = group(rule("A", 200, "Allow"))


@pytest.mark.parametrize("parameters", ["[variables('p')]", []])
def test_parameters_of_a_deployment_that_are_no_object(parameters: object) -> None:
    """Else the defaults inside would count."""
    inner = template(ALLOW)
    assert "parameters of a deployment is no object" in refusal(
        template(deployment(inner, parameters=parameters), variables={"p": {}})
    )


def test_a_linked_parameter_file() -> None:
    """Its values are not known."""
    linked = deployment(template(ALLOW), parametersLink={"uri": "https://example.org/p.json"})
    assert "linked parameter file" in refusal(template(linked))


def test_a_nested_template_from_a_variable() -> None:
    """What it deploys would be missing."""
    assert "template of a deployment is no object" in refusal(
        template(ALLOW, deployment("[variables('n')]"), variables={"n": template(child_rule())})
    )
    whole = {**deployment({}), "properties": "[variables('n')]"}
    assert "properties of a deployment is no object" in refusal(
        template(ALLOW, whole, variables={"n": {}})
    )


def test_a_loop_of_deployments_of_one_group() -> None:
    """Which of them comes last is not known from where they stand."""
    access = "[if(equals(copyIndex(), 0), 'Allow', 'Deny')]"
    loop = {
        **deployment(template(group(rule("A", 100, access)))),
        "name": "[concat('dep', copyIndex())]",
        "copy": {"name": "deps", "count": 2, "mode": "serial"},
    }
    assert "not known which is deployed last" in refusal(template(loop))


def test_a_part_by_itself_of_a_group_that_is_deployed_twice() -> None:
    """The second deployment may end it, or not."""
    again = deployment(template(group(rule("B", 300, "Allow"))))
    again["dependsOn"] = ["web", "D"]
    assert "not known whether it outlasts" in refusal(template(ALLOW, child_rule(), again))


def test_keys_that_meet() -> None:
    """A loop beside the list, two loops, and a key that an expression makes."""
    loop = [{"name": "securityRules", "count": 1, "input": rule("A", 200, "Allow")}]
    for properties in (
        {"securityRules": [rule("D", 100, "Deny")], "copy": loop},
        {"copy": loop * 2},
        {
            "securityRules": [rule("D", 100, "Deny")],
            "[concat('security', 'Rules')]": [rule("A", 200, "Allow")],
        },
    ):
        assert "two keys" in refusal(template({**ALLOW, "properties": properties}))


@pytest.mark.parametrize("key", ["properties", "name"])
def test_one_key_in_two_spellings(key: str) -> None:
    """Azure refuses it; one of the two would be lost."""
    text = json.dumps(template({**ALLOW, key.title(): ALLOW[key]}))
    assert "two keys" in refusal(text)


def test_a_machine_that_brings_its_interfaces() -> None:
    """With groups that would not be enforced."""
    machine = {
        "type": "Microsoft.Compute/virtualMachines",
        "apiVersion": "2021-07-01",
        "name": "vm",
        "properties": {"networkProfile": {"networkInterfaceConfigurations": [{"name": "nic"}]}},
    }
    assert "own definition" in refusal(template(ALLOW, machine))


def test_a_linked_template_that_is_not_deployed() -> None:
    """It lies beside the one that links to it, and is no template by itself."""
    linked = {
        **deployment(None, templateLink={"relativePath": "debug.json"}),
        "condition": False,
    }
    del linked["properties"]["template"]
    documents = [
        Document("d/main.json", json.dumps(template(ALLOW, linked)).encode()),
        Document("d/debug.json", json.dumps(template(group(rule("X", 100, "Allow")))).encode()),
    ]
    (found,) = load_documents(documents).model.network_security_groups
    assert [each.name for each in found.security_rules] == ["A"]
