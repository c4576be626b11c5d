"""Network security groups and their rules, from Azure's JSON to the model."""

from __future__ import annotations

import copy

import pytest

from nsgd.azure.export import rest_resources
from nsgd.config.load import Document, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.model.address import PortRange
from nsgd.model.network import NetworkModel, NetworkSecurityGroup
from nsgd.model.rule import GroupMembers
from tests.azure.resources import (
    Raw,
    asg,
    flatten,
    load,
    nsg,
    problem,
    problems,
    ref,
    rid,
    rule,
)


def defaults() -> list[Raw]:
    """The six, as the service answers them."""
    (resource,) = rest_resources(
        NetworkModel(network_security_groups=(NetworkSecurityGroup("web"),))
    ).resources
    properties = resource["properties"]
    assert isinstance(properties, dict)
    found: list[Raw] = copy.deepcopy(properties["defaultSecurityRules"])
    return found


def test_a_rule() -> None:
    """Every field arrives; empty lists beside the singular fields mean nothing."""
    loaded = load(nsg(rule(description="the site", destinationPortRange="80-90")))
    (group,) = loaded.model.network_security_groups
    (read,) = group.security_rules
    assert (read.name, read.priority, read.description) == ("AllowHttp", 100, "the site")
    assert read.destination_ports == (PortRange(80, 90),)
    assert loaded.notes == ()


@pytest.mark.parametrize(
    ("changed", "path", "message"),
    [
        ({"destinationPortRange": "70000"}, "destinationPortRange", "outside 0-65535"),
        ({"priority": 99}, "priority", "outside 100-4096"),
        ({"priority": None}, "priority", "priority is missing"),
        ({"access": "Perhaps"}, "access", "is not allowed"),
        ({"sourceAddressPrefix": "10.0.0.1/8"}, "sourceAddressPrefix", "host bits"),
        (
            {"sourceAddressPrefix": "", "sourceAddressPrefixes": ["10.0.0.0/8", "*"]},
            "sourceAddressPrefixes[1]",
            "SecurityRuleParameterContainsUnsupportedValue",
        ),
        (
            {"sourceAddressPrefix": "", "sourceAddressPrefixes": ["10.0.0.0/8", "fd00::/8"]},
            "sourceAddressPrefixes[1]",
            "in the source, 10.0.0.0/8 is IPv4 and fd00::/8 is IPv6; write two rules, one with",
        ),
        (
            {"sourceAddressPrefix": "::/0", "destinationAddressPrefix": "10.0.0.4"},
            "destinationAddressPrefix",
            "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies: source ::/0 is IPv6,"
            " destination 10.0.0.4/32 is IPv4; write two rules, one with",
        ),
        ({"destinationFqdn": "a.b"}, "destinationFqdn", "not known, and may decide"),
    ],
)
def test_problems_name_the_users_path(changed: Raw, path: str, message: str) -> None:
    """In the words of the file: through properties, or beside the name where az flattened it."""
    written = nsg(rule("First", priority=200), rule(**changed))
    found = problem(written)
    assert found.startswith(f"d0 properties.securityRules[1].properties.{path}: ")
    assert message in found
    assert "'AllowHttp' of 'web'" in found
    assert problem([flatten(written)]).startswith(f"d0 [0].securityRules[1].{path}: ")


def test_problems_know_the_line() -> None:
    """Lines are those of the file as the user wrote it."""
    text = """{
  "type": "Microsoft.Network/networkSecurityGroups",
  "name": "web",
  "properties": {
    "securityRules": [
      {"name": "A",
       "properties": {"priority": 100, "direction": "Inbound", "access": "Allow",
          "protocol": "Tcp", "sourceAddressPrefix": "*", "sourcePortRange": "*",
          "destinationAddressPrefix": "*",
          "destinationPortRange": "x"}}]}}
"""
    with pytest.raises(ConfigRefused) as caught:
        load_documents([Document("d", text.encode())])
    assert [problem.line for problem in caught.value.problems] == [10]


def test_a_clash_names_both_rules_in_the_users_words() -> None:
    """The other place in a message is a path of the file too."""
    found = problem(nsg(rule(), rule("Other")))
    assert found.startswith("d0 properties.securityRules[1].properties.priority: ")
    assert "SecurityRuleConflict" in found
    assert "taken by 'AllowHttp'" in found
    found = problem(nsg(rule(), rule(priority=200)))
    assert "already taken by" in found


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_unknown_but_empty(value: object) -> None:
    """A key that says nothing decides nothing."""
    assert load(nsg(rule(), somethingNew=value)).model == load(nsg(rule())).model


@pytest.mark.parametrize("value", [False, 0, "x", ["x"], {"a": 1}])
def test_unknown_and_not_empty(value: object) -> None:
    """False may be what is not usual."""
    assert "d0 properties.somethingNew: 'web': key 'somethingNew' of a network security group" in (
        problem(nsg(rule(), somethingNew=value))
    )


def test_back_references_are_passed_over() -> None:
    """What a group is attached to is said by the subnet and the interface."""
    written = nsg(
        rule(),
        subnets=[{"id": f"{rid('virtualNetworks', 'gone')}/subnets/web"}],
        networkInterfaces=[ref("networkInterfaces", "gone")],
        flowLogs=[ref("networkWatchers", "gone")],
        resourceGuid="x",
    )
    assert load(written).model == load(nsg(rule())).model
    assert load(flatten(written)).model == load(nsg(rule())).model


def test_default_rules() -> None:
    """They may be there whole, and never changed (azure-reference.md, choice 14)."""
    written = nsg(rule(), defaultSecurityRules=defaults())
    assert load(written).model == load(nsg(rule())).model
    assert load(flatten(written)).model == load(nsg(rule())).model
    changed = defaults()
    changed[1]["properties"]["access"] = "Deny"
    found = problem(nsg(rule(), defaultSecurityRules=changed))
    assert found.startswith("d0 properties.defaultSecurityRules[1]: ")
    assert "differs in access" in found
    assert "DenyAllOutBound is missing" in problem(
        nsg(rule(), defaultSecurityRules=defaults()[:-1])
    )


def test_default_rules_one_by_one() -> None:
    """az network nsg rule show DenyAllInBound: some of the six are no mistake, changed ones are."""
    group, some = nsg(rule()), defaults()[2:4]
    for single in some:
        single["id"] = f"{group['id']}/defaultSecurityRules/{single['name']}"
    assert load(group, some).model == load(group).model
    assert load(nsg(rule(), defaultSecurityRules=defaults()), some).model == load(group).model
    some[0]["properties"]["access"] = "Allow"
    found = problems(group, some)
    assert any(line.startswith("d1 [0]: ") and "differs in access" in line for line in found)


def test_flush_connection() -> None:
    """The switch that has open flows judged again."""
    assert load(nsg(rule(), flushConnection=True)).model.network_security_groups[0].flush_connection
    assert "d0 properties.flushConnection" in problem(nsg(flushConnection="yes"))


def test_application_groups_of_a_rule() -> None:
    """By id, without case, several; unknown ones by path."""
    groups = [ref("applicationSecurityGroups", "WEBSERVERS"), ref("applicationSecurityGroups", "b")]
    written = nsg(rule(sourceAddressPrefix=None, sourceApplicationSecurityGroups=groups))
    (group,) = load(written, [asg(), asg("B")]).model.network_security_groups
    assert group.security_rules[0].source == GroupMembers(("WebServers", "B"))
    found = problem(written, asg())
    path = "properties.securityRules[0].properties.sourceApplicationSecurityGroups[1].id"
    assert found.startswith(f"d0 {path}: ")
    assert "no application security group named 'b'" in found
    wrong = nsg(
        rule(sourceAddressPrefix=None, sourceApplicationSecurityGroups=[ref("routeTables", "b")])
    )
    assert "is not the id of a application security group" in problems(wrong)[0]


def test_rules_that_stand_by_themselves() -> None:
    """az network nsg rule list: they join their group; the same rule twice is read once."""
    single = rule("Single", priority=300)
    assert "type" in single
    group = nsg(rule())
    expected = load(nsg(rule(), single)).model
    assert load(group, [single]).model == expected
    assert load([flatten(single)], group).model == expected
    assert load(nsg(rule(), single), single).model == expected
    without_type = {key: value for key, value in single.items() if key != "type"}
    assert load(group, without_type).model == expected
    changed = rule("Single", priority=301)
    assert "already taken" in problem(nsg(rule(), single), changed)
    found = problem(single)
    assert "network security group 'web' of resource group rg, that this is a part of" in found


def test_parts_named_as_in_templates() -> None:
    """Without an id, PARENT/NAME says where a part belongs."""
    single = rule("web/Single", priority=300)
    del single["id"]
    assert load(nsg(rule()), single).model == load(nsg(rule(), rule("Single", priority=300))).model
    single["name"] = "Single"
    assert "'Single' does not name a" in problem(nsg(rule()), single)
