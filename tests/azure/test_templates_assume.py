"""No document says what a template is deployed to: what that name decides is refused, not guessed.

Most of these once loaded, decided by the name that stands in for the real one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from tests.azure.test_templates_lose_nothing import Raw, rule, template

GROUP = "resourceGroup().name"
PARTS = f"split({GROUP}, '-')"
DECIDES = "it depends on the name of the subscription, resource group or deployment"


def network_resource(kind: str, name: str, fields: Raw | None = None, **properties: Any) -> Raw:
    """A resource of Microsoft.Network."""
    whole = {"type": f"Microsoft.Network/{kind}", "apiVersion": "2023-09-01", "name": name}
    return {**whole, "properties": properties, **(fields or {})}


def group(rules: object, name: str = "web", **fields: Any) -> Raw:
    """A network security group."""
    return network_resource("networkSecurityGroups", name, fields, securityRules=rules)


def network(subnet: Raw, **properties: Any) -> Raw:
    """A virtual network with one subnet."""
    return network_resource(
        "virtualNetworks",
        "net",
        addressSpace={"addressPrefixes": ["10.0.0.0/16"]},
        subnets=[{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24", **subnet}}],
        **properties,
    )


def load(content: Raw) -> LoadedConfig:
    """Load a template alone."""
    return load_documents([Document("t.json", json.dumps(content).encode())])


def refusal(content: Raw) -> str:
    """Why it is refused."""
    with pytest.raises(ConfigRefused) as refused:
        load(content)
    return str(refused.value)


ALLOW, DENY = rule("A", 200, "Allow"), rule("D", 100, "Deny")
QUESTIONS = [
    f"contains({PARTS}, 'prod')",
    f"equals(first({PARTS}), 'prod')",
    f"equals(last({PARTS}), 'prod')",
    f"equals(length({PARTS}), 3)",
    f"greater(length(take({PARTS}, 3)), 2)",
    f"not(empty(skip({PARTS}, 2)))",
    f"not(empty(intersection({PARTS}, createArray('prod'))))",
    f"equals(length(union({PARTS}, createArray('prod'))), 2)",
    f"contains(createObject({GROUP}, 1), 'prod')",
    f"equals(items(createObject({GROUP}, 1))[0].key, 'prod')",
    f"contains(objectKeys(createObject({GROUP}, 1)), 'prod')",
    f"contains(createObject('prod', 1), {GROUP})",
    f"not(equals(tryGet(createObject('prod', 1), {GROUP}), null()))",
    f"equals(coalesce(tryGet(createObject('prod', 1), {GROUP}), 2), 1)",
    f"greater(indexOf({PARTS}, 'prod'), -1)",
    f"not(empty(filter({PARTS}, lambda('x', equals(lambdaVariables('x'), 'prod')))))",
    f"contains(toObject(createArray({GROUP}), lambda('x', lambdaVariables('x'))), 'prod')",
    f"contains(groupBy(createArray({GROUP}), lambda('x', lambdaVariables('x'))), 'prod')",
    "contains(variables('byGroup'), 'prod')",
    f"not(equals(toLower({GROUP}), {GROUP}))",
    f"not(equals(take({GROUP}, 20), {GROUP}))",
]
VARIABLES = {
    "byGroup": {f"[{GROUP}]": True},
    "rules": {"resource-group": [ALLOW], "prod": [DENY]},
    "resource-group": [ALLOW],
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_condition(question: str) -> None:
    """Whether a rule, or a whole group, is there."""
    denial = network_resource(
        "networkSecurityGroups/securityRules",
        "web/D",
        {"condition": f"[{question}]"},
        **DENY["properties"],
    )
    text = refusal(template(group([ALLOW]), denial, variables=VARIABLES))
    assert DECIDES in text
    assert "resources[1].condition" in text
    assert question[:20] in text


@pytest.mark.parametrize(
    "rules",
    [
        f"[if({QUESTIONS[0]}, variables('rules').prod, createArray())]",
        f"[variables('rules')[{GROUP}]]",
        f"[variables({GROUP})]",
        f"[tryGet(variables('rules'), {GROUP})]",
        f"[take(variables('rules').prod, sub(length({PARTS}), 2))]",
        f"[intersection(createArray({GROUP}), createArray('prod'))]",
        f"[json(replace('[]', {GROUP}, ''))]",
        f"[filter(variables('rules').prod, lambda('x', contains({PARTS}, 'prod')))]",
    ],
)
def test_which_rules(rules: str) -> None:
    """Which there are, or how many."""
    text = refusal(template(group(rules), variables=VARIABLES))
    assert DECIDES in text
    assert "resources[0].properties.securityRules" in text


def test_how_many() -> None:
    """The count of a loop: of groups, and of rules."""
    count = f"[length({PARTS})]"
    loop = {"name": "each", "count": count}
    many = group([ALLOW], "[concat('web', copyIndex())]", copy=loop)
    assert DECIDES in refusal(template(many))
    copied = network_resource(
        "networkSecurityGroups", "web", copy=[{**loop, "name": "securityRules", "input": DENY}]
    )
    assert DECIDES in refusal(template(copied))


def test_which_group_of_a_subnet() -> None:
    """An id that the name chooses; not one that only has the name in it."""
    groups = [group([ALLOW], "open"), group([DENY], "closed")]
    ids = {
        key: f"[resourceId('Microsoft.Network/networkSecurityGroups', '{name}')]"
        for key, name in (("resource-group", "open"), ("prod", "closed"))
    }
    for chosen in (
        f"[variables('ids')[{GROUP}]]",
        f"[tryGet(variables('ids'), {GROUP})]",
        "[resourceId('Microsoft.Network/networkSecurityGroups',"
        f" replace('resource-group', {GROUP}, 'open'))]",
    ):
        subnet = {"networkSecurityGroup": {"id": chosen}}
        assert DECIDES in refusal(template(*groups, network(subnet), variables={"ids": ids}))
    named = f"[concat({GROUP}, '-nsg')]"
    attached = {
        "networkSecurityGroup": {
            "id": "[resourceId('Microsoft.Network/networkSecurityGroups',"
            f" concat({GROUP}, '-nsg'))]"
        }
    }
    (found,) = load(template(group([ALLOW], named), network(attached))).model.virtual_networks
    assert found.subnets[0].network_security_group == "resource-group-nsg"


def test_what_the_name_does_not_decide() -> None:
    """Ids in lists and objects hide nothing of their shape."""
    content = template(
        group("[variables('all')]", condition="[not(empty(variables('ids')))]"),
        network(
            {
                "networkSecurityGroup": "[if(contains(variables('one'), 'id'),"
                " json(concat('{\"id\": \"', variables('one').id, '\"}')), null())]"
            }
        ),
        variables={
            "ids": "[createArray(resourceId('Microsoft.Network/networkSecurityGroups', 'web'))]",
            "one": {"id": "[variables('ids')[0]]"},
            "all": "[take(createArray(variables('a')), length(variables('ids')))]",
            "a": ALLOW,
        },
    )
    model = load(content).model
    assert [each.name for each in model.network_security_groups[0].security_rules] == ["A"]
    assert model.virtual_networks[0].subnets[0].network_security_group == "web"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[parameters('p')]", "parameter 'p' has neither a value nor a default"),
        ("[reference('x').service]", "the value is not known"),
        (f"[if({QUESTIONS[0]}, 'Microsoft.Sql/managedInstances', 'x')]", DECIDES),
    ],
)
def test_a_delegation(value: str, said: str) -> None:
    """Its service keeps security admin rules from the subnet."""
    delegation = {"name": "d", "properties": {"serviceName": value}}
    parameters = {"p": {"type": "string"}}
    subnet = {"delegations": [delegation]}
    assert said in refusal(template(network(subnet), parameters=parameters))
    assert said in refusal(template(network({"delegations": value}), parameters=parameters))
    delegation["properties"] = {"serviceName": "Microsoft.Sql/managedInstances"}
    delegation["name"] = value
    (found,) = load(template(network(subnet), parameters=parameters)).model.virtual_networks
    assert [service.value for service in found.subnets[0].services] == ["SqlManagedInstance"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[parameters('p')]", "parameter 'p' has neither a value nor a default"),
        ("[reference('x').peerings]", "the value is not known"),
        (f"[if({QUESTIONS[0]}, createArray(), createArray(1))]", DECIDES),
    ],
)
def test_peerings(value: str, said: str) -> None:
    """They widen the VirtualNetwork tag."""
    peered = network({}, virtualNetworkPeerings=value)
    assert said in refusal(template(peered, parameters={"p": {"type": "array"}}))
