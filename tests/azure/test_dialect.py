"""Documents of a dialect are printed as documents of that dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.azure.export import rest_resources
from nsgd.azure.native import native_document
from nsgd.azure.yaml_text import to_yaml
from nsgd.cli import main
from nsgd.model.dialect import CLASSIC, DIALECT_2017
from nsgd.model.network import NetworkModel
from tests.azure.test_native import check_both, read

OF_2017 = """\
dialect: 2017
limits: {securityRulesPerNetworkSecurityGroup: 500}
subscription: {kind: PayAsYouGo, created: 2018-01-31, smtpExempted: 2019-05-01}
virtualNetworks:
  - name: lab
    addressSpace: [10.0.0.0/16]
    routes: [172.20.0.0/16]
    subnets: [{name: web, addressPrefix: 10.0.1.0/24, networkSecurityGroup: g}]
networkInterfaces:
  - {name: a, subnet: web, privateIPAddresses: [10.0.1.40], applicationSecurityGroups: [a]}
networkSecurityGroups:
  - name: g
    securityRules:
      - {name: A, priority: 100, direction: Outbound, access: Deny, protocol: '*',
         sourceApplicationSecurityGroups: [a], sourcePortRange: '*', destinationPortRange: '*',
         destinationAddressPrefix: storage.westus}
      - {name: B, priority: 101, direction: Inbound, access: Deny, protocol: Udp,
         sourceAddressPrefix: AzureLoadBalancer, sourcePortRange: '*',
         destinationPortRanges: ['1', '2'], destinationAddressPrefix: VirtualNetwork}
applicationSecurityGroups: [{name: a}]
"""

OF_CLASSIC = """\
dialect: Classic
limits: {networkSecurityGroups: 200}
subscription: {kind: bizspark, created: 2018-01-31}
virtualNetworks:
  - name: lab
    addressSpace: [10.0.0.0/16]
    subnets: [{name: web, addressPrefix: 10.0.1.0/24, networkSecurityGroup: g}]
virtualMachines:
  - {name: own, subnet: web, privateIPAddresses: [10.0.1.4], networkSecurityGroup: g, link: veth-a}
  - {name: of-shop, subnet: web, privateIPAddresses: [10.0.1.5], created: 2020-01-01}
  - {name: of-bare, subnet: web, privateIPAddresses: [10.0.1.6], networkSecurityGroup: g}
  - {name: none, subnet: web, privateIPAddresses: [10.0.1.7], enableIPForwarding: true, link: b}
cloudServices:
  - name: rg/shop
    networkSecurityGroup: s
    virtualMachines: [OF-SHOP]
    roleInstances:
      - {name: role_0, subnet: web, privateIPAddresses: [10.0.1.8], link: veth-r}
      - {name: role_1, subnet: web, privateIPAddresses: [10.0.1.9], created: 2020-01-02}
  - {name: bare, virtualMachines: [of-bare],
     roleInstances: [{name: role_0, subnet: web, privateIPAddresses: [10.0.1.10]}]}
  - {name: empty, networkSecurityGroup: s}
networkSecurityGroups:
  - name: g
    securityRules:
      - {name: A, priority: 100, direction: Outbound, access: Deny, protocol: '*',
         sourceAddressPrefix: virtual_network, sourcePortRange: '*', destinationPortRange: '*',
         destinationAddressPrefix: Internet}
      - {name: B, priority: 101, direction: Inbound, access: Deny, protocol: Udp,
         sourceAddressPrefix: AZURE_LOADBALANCER, sourcePortRange: '*',
         destinationPortRange: '1', destinationAddressPrefix: 10.0.1.4}
  - {name: s}
"""


@pytest.mark.parametrize("text", [OF_2017, OF_CLASSIC], ids=["2017", "classic"])
def test_read_as_the_same_model(text: str) -> None:
    """With its dialect and all that is of it."""
    loaded = read(text)
    assert loaded.model.dialect in (DIALECT_2017, CLASSIC)
    check_both(loaded)


def test_what_is_printed() -> None:
    """The dialect first; classic tags in their spellings, groups where they were attached."""
    document: dict[str, Any] = native_document(read(OF_CLASSIC).model)
    assert next(iter(document.items())) == ("dialect", "classic")
    assert "networkInterfaces" not in document
    groups = {m["name"]: m.get("networkSecurityGroup") for m in document["virtualMachines"]}
    assert groups == {"own": "g", "of-shop": None, "of-bare": "g", "none": None}
    shop = document["cloudServices"][0]
    assert (shop["name"], shop["networkSecurityGroup"]) == ("rg/shop", "s")
    assert shop["virtualMachines"] == ["of-shop"]
    assert [instance["name"] for instance in shop["roleInstances"]] == ["role_0", "role_1"]
    first, second = document["networkSecurityGroups"][0]["securityRules"]
    assert first["sourceAddressPrefix"] == "VIRTUAL_NETWORK"
    assert first["destinationAddressPrefix"] == "INTERNET"
    assert second["sourceAddressPrefix"] == "AZURE_LOADBALANCER"
    assert native_document(NetworkModel(dialect=DIALECT_2017)) == {"dialect": "2017"}
    assert read(to_yaml({"dialect": "2017"})).model.dialect is DIALECT_2017


@pytest.mark.parametrize("text", [OF_2017, OF_CLASSIC], ids=["2017", "classic"])
def test_azures_json_has_no_place_for_a_dialect(text: str) -> None:
    """Read again it would be the default one, which decides otherwise."""
    loaded = read(text)
    changes = rest_resources(loaded.model).changes
    assert f"dialect {loaded.model.dialect.name}" in changes
    assert not any("dialect" in line for line in rest_resources(NetworkModel()).changes)


def test_convert(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The command keeps the dialect, in both forms, and refuses Azure's."""
    path = tmp_path / "policy.yaml"
    path.write_text(OF_CLASSIC)
    for output in ("json", "yaml"):
        assert main(["convert", "--config", str(path), "-o", output]) == 0
        printed = capsys.readouterr().out
        assert read(printed).model == read(OF_CLASSIC).model
    assert json.loads(json.dumps(native_document(read(OF_CLASSIC).model)))["dialect"] == "classic"
    assert main(["convert", "--config", str(path), "-o", "arm"]) != 0
    assert "left out: dialect classic" in capsys.readouterr().err


def test_check_notes(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What denies the platform is told on request."""
    path = tmp_path / "policy.yaml"
    path.write_text(OF_CLASSIC)
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr()
    assert "7 virtual machines, 3 cloud services" in shown.out
    assert "169.254.169.254" not in shown.err
    assert main(["check", "--notes", str(path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3  # g denies both addresses, s the metadata service
    assert sum("169.254.169.254 (metadata by DenyAllOutBound)" in line for line in lines) == 2


def test_questions(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """IP flow verify names what denies a protocol that rules cannot name."""
    path = tmp_path / "policy.yaml"
    path.write_text(OF_2017.replace("storage.westus", "Internet"))
    words = ["--direction", "Inbound", "--local", "10.0.1.40", "--remote", "10.0.1.41"]
    command = ["ip-flow-verify", "--config", str(path), *words, "-o", "json", "--protocol"]
    for protocol, rule in (
        ("47", "platformRules/unsupportedProtocol"),
        ("ESP", "platformRules/unsupportedProtocol"),
        ("ICMP", "defaultSecurityRules/AllowVnetInBound"),
    ):
        main([*command, protocol])
        assert json.loads(capsys.readouterr().out)["ruleName"] == rule
        main([*command, protocol, "--explain"])
        (result,) = json.loads(capsys.readouterr().out)["results"]
        (table,) = result["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"]
        matched = [
            all(value for key, value in each.items() if key.endswith("Matched"))
            for each in table["rulesEvaluationResult"]
        ]
        assert matched == [*(False for _ in matched[1:]), True]
        assert table["matchedRule"]["ruleName"].endswith(rule.partition("/")[2])
