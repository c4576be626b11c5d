"""What is Azure's JSON and what is not, and which resources a document of it holds."""

from __future__ import annotations

import pytest

from nsgd.azure.findings import Findings
from nsgd.azure.recognise import find_resources, is_azure
from tests.azure.resources import (
    Raw,
    asg,
    configuration,
    flatten,
    load,
    nic,
    nsg,
    problem,
    problems,
    ref,
    resource,
    rid,
    rule,
    subnet,
    vnet,
)

NATIVE: Raw = {"networkSecurityGroups": [{"name": "web", "securityRules": []}]}


@pytest.mark.parametrize(
    "tree",
    [
        nsg(),
        flatten(nsg()),
        [],
        [nsg()],
        {"value": [nsg()]},
        {"value": []},
        {"@odata.context": "x", "value": []},
        {"NewNSG": flatten(nsg())},
        {"newVNet": flatten(vnet())},
        {"id": rid("virtualNetworks", "hub") + "/subnets/web", "name": "web"},
        {"properties": {"securityRules": []}},
    ],
)
def test_azure_documents(tree: object) -> None:
    """Resources, flattened or not, alone, in lists and in pages."""
    assert is_azure(tree)


@pytest.mark.parametrize(
    "tree",
    [
        NATIVE,
        {},
        {"daemon": {}},
        None,
        "text",
        {"name": "web", "securityRules": []},
        {"$schema": "https://schema.management.azure.com/...", "resources": []},
        {"NewNSG": nsg(), "daemon": {}},
        {"value": "text"},
        {"value": [], "networkSecurityGroups": []},
    ],
)
def test_other_documents(tree: object) -> None:
    """Native documents and templates are left to their own readers."""
    assert not is_azure(tree)


@pytest.mark.parametrize("as_az", [False, True])
def test_one_model_by_every_road(as_az: bool) -> None:
    """One file or several, flattened or not, listed or paged: the model is the same."""
    resources = [
        asg(),
        nsg(
            rule(),
            rule(
                "AllowApp",
                priority=110,
                sourceAddressPrefix=None,
                sourceApplicationSecurityGroups=[ref("applicationSecurityGroups", "WebServers")],
            ),
        ),
        vnet(subnet(networkSecurityGroup=ref("networkSecurityGroups", "web"))),
        nic(
            configuration(
                applicationSecurityGroups=[ref("applicationSecurityGroups", "WebServers")]
            )
        ),
    ]
    expected = load(resources).model
    assert len(expected.network_security_groups[0].security_rules) == 2
    assert expected.virtual_networks[0].subnets[0].network_security_group == "web"
    assert expected.network_interfaces[0].application_security_groups == ("WebServers",)
    written = [flatten(r) for r in resources] if as_az else resources
    assert load(written).model == expected
    assert load(*written).model == expected
    assert load({"value": written}).model == expected
    assert load([[written[0]], [written[1:]]]).model == expected
    assert load({"value": written[:2]}, written[2:]).model == expected


def test_az_spellings() -> None:
    """Older az writes privateIpAddress and its like; keys compare without case."""
    written = flatten(nic(enableIPForwarding=True))
    assert isinstance(written, dict)
    written["enableIpForwarding"] = written.pop("enableIPForwarding")
    (inner,) = written["ipConfigurations"]
    inner["privateIpAddress"] = inner.pop("privateIPAddress")
    inner["privateIpAllocationMethod"] = inner.pop("privateIPAllocationMethod")
    assert load(vnet(), written).model == load(vnet(), nic(enableIPForwarding=True)).model


def test_a_key_twice_in_two_cases() -> None:
    """Which of them counts would be a guess."""
    written = nsg(rule())
    written["properties"]["SecurityRules"] = []
    assert load(written).model.network_security_groups[0].security_rules  # empty is absent
    written["properties"]["SecurityRules"] = [rule("Other")]
    assert "d0 properties.SecurityRules" in problem(written)


def test_names_come_from_ids_where_absent() -> None:
    """A resource without its name is named by its id; with another name it is refused."""
    written = nsg()
    del written["name"]
    assert load(written).model == load(nsg()).model
    written["name"] = "other"
    assert "not the name in its id" in problem(written)


def test_type_and_id_agree() -> None:
    """A type that its id contradicts is refused."""
    written = nsg()
    written["type"] = "Microsoft.Network/routeTables"
    assert any("is not the type in its id" in line for line in problems(written))


def test_what_cannot_be_told_is_refused() -> None:
    """A request's body has no type and no name; an answer of a question is no resource."""
    assert "neither a type nor a resource id" in problem({"properties": {"securityRules": []}})
    answer = {
        "value": [
            {
                "networkSecurityGroup": ref("networkSecurityGroups", "web"),
                "effectiveSecurityRules": [],
            }
        ]
    }
    assert "d0 value[0]: it has neither" in problem(answer)
    assert "d0 [1]: 'text' is not a resource" in problem([nsg(), "text"])


def test_a_page_that_is_not_the_last() -> None:
    """Half a list would be half a policy."""
    page = {"value": [nsg()], "nextLink": "https://management.azure.com/..."}
    assert "d0 nextLink: the list goes on" in problem(page)
    assert load({"value": [nsg()], "nextLink": None}).model.network_security_groups


def test_other_types_are_read_over_and_counted() -> None:
    """They are told on request, and do not decide."""
    others = [
        resource("publicIPAddresses", name, {"ipAddress": "1.2.3.4", "what": {"ever": 1}})
        for name in ("a", "b")
    ]
    balancer = resource("loadBalancers", "lb", {"frontendIPConfigurations": [{}]})
    loaded = load([nsg(), *others, balancer])
    assert loaded.model == load(nsg()).model
    assert loaded.notes == (
        "read over: 1 of type Microsoft.Network/loadBalancers",
        "read over: 2 of type Microsoft.Network/publicIPAddresses",
    )


def test_security_admin_rules_are_not_read_over() -> None:
    """They would decide ahead of every group."""
    kind = "networkManagers/m/securityAdminConfigurations/c/ruleCollections/r/rules"
    admin = resource(kind, "deny", {})
    admin["type"] = (
        "Microsoft.Network/networkManagers/securityAdminConfigurations/ruleCollections/rules"
    )
    assert "write securityAdminConfigurations in a native document" in problem([nsg(), admin])


def test_deep_lists_do_no_harm() -> None:
    """Neither finding nor comparing recurses in Python."""
    tree: object = nsg()
    for _ in range(5_000):
        tree = [tree]
    findings = Findings()
    assert len(find_resources(tree, 0, findings)) == 1
    assert findings.mistakes == []
