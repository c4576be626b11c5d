"""Groups and rules are found again in what the user wrote, whatever form that has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.document import Document
from nsgd.config.load import load_documents
from nsgd.config.places import Places
from nsgd.config.problem import format_path

NATIVE = """\
networkSecurityGroups:
  - name: web
    securityRules:
      - {name: AllowHttp, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: '*', sourcePortRange: '*',
         destinationAddressPrefix: '*', destinationPortRange: '80'}
      - {name: AllowHttps, priority: 110, direction: Inbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: '*', sourcePortRange: '*',
         destinationAddressPrefix: '*', destinationPortRange: '443'}
"""
RULE = {
    "name": "ssh",
    "properties": {
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "22",
    },
}


def places(*contents: str) -> Places:
    documents = [
        Document(f"d{number}", content.encode()) for number, content in enumerate(contents)
    ]
    found = load_documents(documents, keep_places=True).places
    assert found is not None
    return found


def shown(found: Any) -> tuple[str, str, int | None]:
    return found.document, format_path(found.path), found.line


def test_native_documents() -> None:
    """By line; names compare without case, and default rules stand where their group does."""
    found = places("networkSecurityGroups: [{name: first}]", NATIVE)
    group = ("d1", "networkSecurityGroups[0]", 2)
    assert shown(found.group("WEB")) == group
    assert shown(found.rule("web", "allowhttps")) == (
        "d1",
        "networkSecurityGroups[0].securityRules[1]",
        7,
    )
    assert shown(found.rule("web", "DenyAllInBound")) == group
    assert shown(found.group("first"))[0] == "d0"
    with pytest.raises(KeyError):
        found.group("other")


def test_azure_json() -> None:
    """In the export, not in what it was translated to."""
    export = {
        "name": "web",
        "type": "Microsoft.Network/networkSecurityGroups",
        "properties": {"securityRules": [RULE]},
    }
    found = places(json.dumps(export, indent=1))
    document, path, line = shown(found.rule("web", "ssh"))
    assert (document, path) == ("d0", "properties.securityRules[0]")
    assert line == json.dumps(export, indent=1).splitlines().index("   {") + 1


def test_templates() -> None:
    """In the template, by its line."""
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [
            {
                "type": "Microsoft.Network/networkSecurityGroups",
                "apiVersion": "2020-05-01",
                "name": "[concat('we', 'b')]",
                "location": "here",
                "properties": {"securityRules": [RULE]},
            }
        ],
    }
    text = json.dumps(template, indent=1)
    document, path, line = shown(places(text).rule("web", "ssh"))
    assert (document, path) == ("d0", "resources[0].properties.securityRules[0]")
    assert line is not None
    assert '"ssh"' in text.splitlines()[line]


def test_only_where_it_is_asked_for() -> None:
    """A daemon does not keep the text."""
    assert load_documents([Document("d", NATIVE.encode())]).places is None


def test_security_admin_rules() -> None:
    """By the shortest name that is a rule's alone, as reports have it."""
    rule = (
        "{name: %s, priority: %d, direction: Inbound, access: Deny, protocol: Any,"
        " sources: ['*'], sourcePortRanges: ['*'],"
        " destinations: ['*'], destinationPortRanges: ['*']}"
    )
    found = places(
        "virtualNetworks: [{name: v, addressSpace: [10.0.0.0/16]}]",
        f"""\
securityAdminConfigurations:
  - name: base
    ruleCollections:
      - name: first
        appliesTo: [v]
        rules:
          - {rule % ("Ssh", 1)}
          - {rule % ("Web", 2)}
      - name: second
        appliesTo: [v]
        rules:
          - {rule % ("Web", 3)}
""",
    )
    configuration = "securityAdminConfigurations[0]"
    assert shown(found.admin_rules()) == ("d1", configuration, 2)
    rules = f"{configuration}.ruleCollections"
    assert shown(found.admin_rule("ssh")) == ("d1", f"{rules}[0].rules[0]", 7)
    assert shown(found.admin_rule("first/Web")) == ("d1", f"{rules}[0].rules[1]", 8)
    assert shown(found.admin_rule("base/second/web")) == ("d1", f"{rules}[1].rules[0]", 12)
    with pytest.raises(KeyError):
        found.admin_rule("other")
