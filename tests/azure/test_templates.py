"""Templates of many styles, from tests/azure/templates: what they declare, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsgd.arm.text import parse_template_text
from nsgd.azure.native import native_document
from nsgd.azure.yaml_text import to_yaml
from nsgd.config.document import Document, Role
from nsgd.config.load import LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.model.rule import PrefixList
from nsgd.runtime.documents import read_documents, read_linked

TEMPLATES = Path(__file__).parent / "templates"
CORPORATE = """\
virtualNetworks:
  - name: corp-vnet
    addressSpace: [10.9.0.0/16]
    subnets: [{name: desktops, addressPrefix: 10.9.1.0/24}]
"""


def load(name: str, *beside: Document, parameters: tuple[Path, ...] = ()) -> LoadedConfig:
    """Load a template as a user does."""
    found = [*read_documents([TEMPLATES / name], parameters), *beside]
    return load_documents(found, read_linked=read_linked)


def load_one(tree: object, *beside: Document) -> LoadedConfig:
    """Load a template that is given as a value or a text."""
    text = tree if isinstance(tree, str) else json.dumps(tree, indent=1)
    return load_documents([Document("t.json", text.encode()), *beside])


def problems(tree: object, *beside: Document) -> list[str]:
    """What is wrong with a template."""
    with pytest.raises(ConfigRefused) as caught:
        load_one(tree, *beside)
    return [str(problem) for problem in caught.value.problems]


def read(name: str) -> Any:
    """A template as a value."""
    return parse_template_text((TEMPLATES / name).read_text()).tree


def changed(name: str, change: Callable[[Any], object]) -> Any:
    """A template after a change."""
    tree = read(name)
    change(tree)
    return tree


def native(text: str) -> Document:
    """A document of the native format."""
    return Document("native.yaml", text.encode())


ALONE = [
    "aks.json",
    "bicep-symbolic.json",
    "child-rules.json",
    "child-subnets.json",
    "copy-vms.json",
    "hub-spoke.json",
    "linked/main.json",
    "route-tables.json",
    "update-subnet.json",
    "vmss.json",
]


@pytest.mark.parametrize("name", ALONE)
def test_what_is_printed_is_the_same_policy(name: str) -> None:
    """As YAML and as JSON."""
    loaded = load(name)
    document = native_document(loaded.model, loaded.settings, loaded.reading)
    for text in (json.dumps(document), to_yaml(document)):
        assert load_documents([native(text)]).model == loaded.model


def test_the_style_of_the_documentation() -> None:
    """Comments and stray commas; a parameter file beside it; a dynamic address."""
    loaded = load("docs-style.json", parameters=(TEMPLATES / "docs-style.parameters.json",))
    model = loaded.model
    (rule,) = model.network_security_groups[0].security_rules
    assert (rule.name, rule.priority) == ("allow-ssh", 300)
    assert isinstance(rule.source, PrefixList)
    assert [str(p) for p in rule.source.prefixes] == ["203.0.113.0/24"]
    (nic,) = model.network_interfaces
    assert (nic.name, str(nic.private_ip_addresses[0])) == ("simple-vm-nic", "10.0.0.4")
    assert model.virtual_networks[0].subnets[0].network_security_group == "default-NSG"


def test_symbolic_names() -> None:
    """Bicep's output: loops of loops, lambdas, null() for no group, existing resources."""
    model = load("bicep-symbolic.json").model
    assert {
        group.name: [str(rule.destination_ports[0]) for rule in group.security_rules]
        for group in model.network_security_groups
    } == {"nsg-web": ["80", "443"], "nsg-db": ["1433"]}
    subnets = model.virtual_networks[0].subnets
    assert [s.network_security_group for s in subnets] == ["nsg-web", "nsg-db"]
    tree = changed(
        "bicep-symbolic.json", lambda t: t["parameters"]["protectDb"].update(defaultValue=False)
    )
    subnets = load_one(tree).model.virtual_networks[0].subnets
    assert [s.network_security_group for s in subnets] == ["nsg-web", None]


def test_a_cluster() -> None:
    """What is in no network is read over; lists come out of parameters."""
    loaded = load("aks.json")
    (group,) = loaded.model.network_security_groups
    assert [rule.name for rule in group.security_rules] == ["AllowIngress", "AllowProbes"]
    assert any("Microsoft.ContainerService/managedClusters" in note for note in loaded.notes)


def test_hub_and_spokes() -> None:
    """Groups of one name in several resource groups; peerings across them, both ways."""
    model = load("hub-spoke.json").model
    networks = {network.name: network for network in model.virtual_networks}
    assert list(networks) == ["hub-rg/vnet", "spoke1-rg/vnet", "spoke2-rg/vnet"]
    for spoke, prefix in (("spoke1-rg", "10.1.1.0/24"), ("spoke2-rg", "10.2.1.0/24")):
        network = networks[f"{spoke}/vnet"]
        (subnet,) = network.subnets
        assert subnet.network_security_group == f"{spoke}/workload"
        assert [str(p) for p in subnet.address_prefixes] == [prefix]
    peers = {n: sorted(str(p) for p in network.peerings) for n, network in networks.items()}
    assert all("vnet" in peer for of_network in peers.values() for peer in of_network)
    assert [len(of_network) for of_network in peers.values()] == [2, 1, 1]


def test_route_tables() -> None:
    """Routes inside a table, nested and by themselves."""
    (network,) = load("route-tables.json").model.virtual_networks
    routes = {prefix for subnet in network.subnets for prefix in subnet.routes}
    assert sorted(map(str, routes)) == ["0.0.0.0/0", "172.16.0.0/12", "192.168.0.0/16"]


def test_rules_by_themselves() -> None:
    """Nested, in a loop, and named by a function of the template."""
    (group,) = load("child-rules.json").model.network_security_groups
    assert sorted((r.priority, r.name) for r in group.security_rules) == [
        (1000, "AllowSql"),
        (1001, "AllowWeb"),
        (4096, "DenyAll"),
    ]


def test_subnets_by_themselves() -> None:
    """One that is also inside the network is deployed later, and counts as it is there."""
    loaded = load("child-subnets.json")
    subnets = {s.name: s for s in loaded.model.virtual_networks[0].subnets}
    assert (subnets["data"].network_security_group, len(subnets)) == ("data", 2)
    assert len(subnets["web"].address_prefixes) == 2
    assert any("subnets[0]: is deployed again later" in note for note in loaded.notes)


def test_loops_of_interfaces() -> None:
    """Loops in loops, application security groups, and a storage account that is not there."""
    model = load("copy-vms.json").model
    assert [
        (nic.name, [str(address) for address in nic.private_ip_addresses])
        for nic in model.network_interfaces
    ] == [(f"nic{n}", [f"10.40.0.{n * 10}", f"10.40.0.{n * 10 + 1}"]) for n in (1, 2, 3)]
    assert all(nic.application_security_groups == ("farm-web",) for nic in model.network_interfaces)


def test_scale_sets() -> None:
    """Two that the same decides about are one; where they differ a document must say more."""
    loaded = load("vmss.json")
    (scale_set,) = loaded.model.scale_sets
    assert (scale_set.name, scale_set.network_security_group) == ("blue", "pool-nsg")


def test_a_network_that_is_deployed_twice() -> None:
    """What dependsOn says is last counts; where it says nothing, nothing is guessed."""
    loaded = load("update-subnet.json")
    (network,) = loaded.model.virtual_networks
    assert network.subnets[0].network_security_group == "work-nsg"
    assert any("'net' is deployed again later" in note for note in loaded.notes)

    def forget(tree: Any) -> None:
        del tree["resources"][2]["dependsOn"]

    (problem,) = problems(changed("update-subnet.json", forget))
    assert "not known which is deployed last; say it with dependsOn" in problem


def test_an_existing_network() -> None:
    """A NIC in a network that is nowhere is refused, with the ways out; each of them works."""
    found = problems(read("avd.json"))
    assert len(found) == 2
    assert re.match(r"t\.json:\d+: resources\[2\]\.properties\.ipConfigurations\[0\]", found[0])
    assert "there is no virtual network named 'corp-vnet'" in found[0]
    assert "(from [variables('subnet-id')])" in found[0]
    assert "an export ('az network ... show')" in found[0]
    assert "or a native document" in found[0]
    by_native = load("avd.json", native(CORPORATE)).model
    export = {
        "id": "/subscriptions/s/resourceGroups/network-rg/providers/Microsoft.Network"
        "/virtualNetworks/corp-vnet",
        "name": "corp-vnet",
        "type": "Microsoft.Network/virtualNetworks",
        "properties": {
            "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
            "subnets": [{"name": "desktops", "properties": {"addressPrefix": "10.9.1.0/24"}}],
        },
    }
    by_export = load("avd.json", Document("e.json", json.dumps(export).encode())).model
    assert by_export == by_native
    assert [nic.network_security_group for nic in by_native.network_interfaces] == ["avd-nsg"] * 2
    # Another group's network of that name is another network.
    export["id"] = str(export["id"]).replace("network-rg", "other-rg")
    found = problems(read("avd.json"), Document("e.json", json.dumps(export).encode()))
    assert "of resource group network-rg" in found[0]
    assert "there is one in group other-rg" in found[0]


def test_linked_templates() -> None:
    """By a path and by a link made from the template's own; one elsewhere is noted."""
    loaded = load("linked/main.json")
    (nic,) = loaded.model.network_interfaces
    assert (nic.virtual_network, nic.subnet) == ("net", "work")
    assert [Path(document.name).name for document in loaded.linked] == [
        "network.json",
        "interface.json",
    ]
    assert all(document.role is Role.LINKED for document in loaded.linked)
    assert any("'https://example.com/telemetry.json' is not loaded" in n for n in loaded.notes)


def test_a_problem_in_a_loop_names_place_line_and_expression() -> None:
    """The line is that of the input of the loop, and the document is the user's."""

    def reverse(tree: Any) -> None:
        rule = tree["resources"]["nsgs"]["properties"]["copy"][0]["input"]["properties"]
        rule["priority"] = "[mul(10, copyIndex('securityRules'))]"

    text = json.dumps(changed("bicep-symbolic.json", reverse), indent=1)
    line = 1 + next(n for n, one in enumerate(text.splitlines()) if "[mul(10" in one)
    first = problems(text)[0]
    assert first.startswith(
        f"t.json:{line}: resources.nsgs.properties.copy[0].input.properties.priority: 'Allow-80' of"
    )
    assert "(from [mul(10, copyIndex('securityRules'))])" in first


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sourceAddressPrefix", "[reference('x').ip]", "after the deployment"),
        ("sourceAddressPrefix", "[resourceGroup().tags.office]", "write the value itself"),
        ("destinationPortRange", "[substring(uniqueString(resourceGroup().id), 0, 1)]", "is made"),
        ("priority", "[length(resourceGroup().name)]", "write the value itself"),
        ("access", "[listKeys('x', '2020-01-01').keys[0].value]", "is not known"),
    ],
)
def test_what_decides_must_be_known(key: str, value: str, said: str) -> None:
    """Nothing is guessed: neither what Azure makes, nor names that nobody gave."""

    def change(tree: Any) -> None:
        tree["resources"][1]["properties"][key] = value

    found = problems(changed("child-rules.json", change))
    assert all(said in problem for problem in found), found
    assert f"resources[1].properties.{key}: " in found[0]
    assert f"(from {value})" in found[0]


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            {"sourceAddressPrefixes": "[concat(createArray('10.0.0.0/8'), createArray('::/0'))]"},
            "sourceAddressPrefixes",
            "in the source, 10.0.0.0/8 is IPv4 and ::/0 is IPv6",
        ),
        (
            {"sourceAddressPrefix": "[variables('any')]", "destinationAddressPrefix": "10.0.0.4"},
            "destinationAddressPrefix",
            "source ::/0 is IPv6, destination 10.0.0.4/32 is IPv4",
        ),
    ],
)
def test_prefixes_of_both_families(change: Any, path: str, message: str) -> None:
    """A rule is of one of them, whatever expressions its prefixes come from."""

    def mix(tree: Any) -> None:
        tree.setdefault("variables", {})["any"] = "::/0"
        properties = tree["resources"][1]["properties"]
        for key in [key for key in properties if "AddressPrefix" in key]:
            del properties[key]
        properties |= {"destinationAddressPrefix": "*", **change}

    found = problems(changed("child-rules.json", mix))
    assert len(found) == 2  # the template's loop of two rules
    for problem, name in zip(found, ("AllowSql", "AllowWeb"), strict=True):
        assert f"resources[1].properties.{path}: '{name}'" in problem
        code = "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"
        assert f"{code}: {message}" in problem
        assert "write two rules, one with prefixes of IPv4 alone and one of IPv6" in problem


def test_what_decides_nothing_need_not_be_known() -> None:
    """A description, a key of a storage account, a public address."""

    def change(tree: Any) -> None:
        tree["resources"][1]["properties"]["description"] = "[reference('x').text]"
        tree["resources"][0]["tags"] = {"by": "[reference('x').text]"}

    assert load_one(changed("child-rules.json", change)).model == load("child-rules.json").model


def test_a_condition_that_is_not_known() -> None:
    """A group may or may not be there: that decides."""

    def change(tree: Any) -> None:
        tree["resources"][0]["condition"] = "[equals(resourceGroup().location, 'westeurope')]"

    found = problems(changed("child-rules.json", change))
    assert "resources[0].condition" in found[0]


def test_groups_only() -> None:
    """A template without networks loads; one without anything of a network has nothing to load."""
    assert len(load("child-rules.json").model.network_security_groups) == 1
    empty = {"contentVersion": "1.0.0.0", "resources": []}
    with pytest.raises(ConfigRefused, match="no resource is declared"):
        load_one(empty)


def test_resources_of_two_templates() -> None:
    """What one refers to another may declare, as both may be deployed to one group."""
    group = Document("rules.json", (TEMPLATES / "child-rules.json").read_bytes())
    tree = {
        "contentVersion": "1.0.0.0",
        "resources": [
            {
                "type": "Microsoft.Network/virtualNetworks",
                "apiVersion": "2020-11-01",
                "name": "n",
                "properties": {
                    "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                    "subnets": [
                        {
                            "name": "s",
                            "properties": {
                                "addressPrefix": "10.0.0.0/24",
                                "networkSecurityGroup": {
                                    "id": "[resourceId('Microsoft.Network/networkSecurityGroups',"
                                    " 'app')]"
                                },
                            },
                        }
                    ],
                },
            }
        ],
    }
    (network,) = load_one(tree, group).model.virtual_networks
    assert network.subnets[0].network_security_group == "app"
    assert "there is no network security group named 'app'" in problems(tree)[0]


def test_a_group_in_an_ip_configuration() -> None:
    """Azure takes such a template, and attaches nothing: told, not attached."""

    def change(tree: Any) -> None:
        properties = tree["resources"][3]["properties"]
        group = properties.pop("networkSecurityGroup")
        properties["copy"][0]["input"]["properties"]["networkSecurityGroup"] = group

    loaded = load_one(changed("copy-vms.json", change))
    assert {nic.network_security_group for nic in loaded.model.network_interfaces} == {None}
    assert any("Azure disregards a group in an IP configuration" in n for n in loaded.notes)


@pytest.mark.parametrize("text", ["{// no\n}", '{"virtualNetworks": [], }'])
def test_comments_are_for_templates_only(text: str) -> None:
    """Other documents are JSON, or YAML."""
    assert "not JSON" in problems(text)[0] or "is empty" in problems(text)[0]


def test_a_template_that_is_no_json() -> None:
    """Its line is told."""
    text = (TEMPLATES / "docs-style.json").read_text().replace('"contentVersion":', '"content', 1)
    (problem,) = problems(text)
    assert problem.startswith("t.json:4: ")
