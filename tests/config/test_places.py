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
