"""References by id, and names where two resources would clash."""

from __future__ import annotations

import json

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.config.problem import ConfigRefused
from tests.azure.resources import (
    configuration,
    load,
    nic,
    nsg,
    problem,
    problems,
    ref,
    rid,
    rule,
    subnet,
    vnet,
)

NATIVE_GROUP = {"networkSecurityGroups": [{"name": "web", "securityRules": []}]}


def attached(group: str) -> object:
    """A network whose subnet has the group web of a resource group."""
    return vnet(subnet(networkSecurityGroup=ref("networkSecurityGroups", "WEB", group)))


def test_a_reference_is_found_without_case() -> None:
    """And is spelled as its resource spells itself."""
    (network,) = load(attached("RG"), nsg()).model.virtual_networks
    assert network.subnets[0].network_security_group == "web"


def test_a_reference_to_what_is_not_loaded() -> None:
    """The way to it is the id in the file."""
    found = problem(attached("rg"))
    assert found.startswith("d0 properties.subnets[0].properties.networkSecurityGroup.id: ")
    assert "no network security group named 'WEB'" in found


def test_a_reference_into_another_group() -> None:
    """One of the same name in another resource group is another one."""
    found = problem(attached("rg2"), nsg())
    assert found.startswith("d0 properties.subnets[0].properties.networkSecurityGroup.id: ")
    assert "of resource group rg2, that this refers to, is not among the documents" in found


def test_a_reference_to_a_native_declaration() -> None:
    """A native document has names only, and its groups may be referred to."""
    (network,) = load(attached("rg2"), NATIVE_GROUP).model.virtual_networks
    assert network.subnets[0].network_security_group == "web"


def test_no_reference() -> None:
    """Text and objects without id are none."""
    value: object
    for value in ("web", {"name": "web"}, 1, ["web"]):
        found = problem(vnet(subnet(networkSecurityGroup=value)), nsg())
        assert found.startswith("d0 properties.subnets[0].properties.networkSecurityGroup: ")
        assert "is not a reference" in found
    for value in ("web", 1, None):
        assert "is not the id of a network security group" in problem(
            vnet(subnet(networkSecurityGroup={"id": value})), nsg()
        )


def test_names_of_two_groups() -> None:
    """Where two would clash each is GROUP/NAME, and references find the right one (13.16)."""
    loaded = load(
        [nsg(rule("One"), group="a"), nsg(rule("Two"), group="b"), nsg(name="other")],
        attached("b"),
    ).model
    assert [g.name for g in loaded.network_security_groups] == ["a/web", "b/web", "other"]
    assert loaded.virtual_networks[0].subnets[0].network_security_group == "b/web"


def test_networks_of_two_groups() -> None:
    """A subnet's reference then has the group, the network and the subnet."""
    loaded = load(
        vnet(group="a"),
        vnet(group="b"),
        nic(configuration("10.0.1.9", f"{rid('virtualNetworks', 'hub', 'b')}/subnets/web")),
    ).model
    assert [network.name for network in loaded.virtual_networks] == ["a/hub", "b/hub"]
    assert loaded.network_interfaces[0].virtual_network == "b/hub"


def test_one_resource_twice() -> None:
    """Just the same it is read once and told; changed meanwhile it is refused."""
    loaded = load(nsg(rule()), [nsg(rule())])
    assert loaded.model == load(nsg(rule())).model
    assert loaded.notes == ("d1: [0]: is given before, just the same",)
    found = problem(nsg(rule()), [nsg(rule(priority=300))])
    assert found.startswith("d1 [0].name: ")
    assert "name 'web' is already taken by" in found
    assert found.split("; ")[0].endswith(" by d0")


def test_a_native_name_that_clashes() -> None:
    """Which of them is meant would be a guess."""
    found = problem(NATIVE_GROUP, nsg())
    assert found.startswith("d1 name: ")
    assert "already taken by networkSecurityGroups[0] in d0" in found


def test_an_unreadable_document_may_hold_what_is_missing() -> None:
    """As with native documents, no reference is then said to be wrong."""
    documents = [
        Document("d0", json.dumps(attached("rg2")).encode()),
        Document("d1", json.dumps([nsg(), rule("Single")]).encode().replace(b"/web/", b"/gone/")),
        Document("d2", b"["),
    ]
    with pytest.raises(ConfigRefused) as caught:
        load_documents(documents)
    assert [problem.document for problem in caught.value.problems] == ["d2"]
    assert len(problems(attached("rg2"), nsg())) == 1
