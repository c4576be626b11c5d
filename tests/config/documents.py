"""Documents for the tests of this folder, and what loading them says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused, Problem

Raw = dict[str, Any]


def load(*documents: Raw | str | bytes) -> LoadedConfig:
    """Load documents given as values (written as JSON), text or bytes."""
    return load_documents(
        [Document(f"d{index}", _bytes(document)) for index, document in enumerate(documents)]
    )


def refuse(*documents: Raw | str | bytes) -> tuple[Problem, ...]:
    """The problems of documents that must have some."""
    with pytest.raises(ConfigRefused) as caught:
        load(*documents)
    assert caught.value.problems
    return caught.value.problems


def refuse_one(*documents: Raw | str | bytes) -> tuple[str, str, str]:
    """Path, message and way out of the only problem."""
    problems = refuse(*documents)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0].path, problems[0].message, problems[0].way_out


def _bytes(document: Raw | str | bytes) -> bytes:
    if isinstance(document, bytes):
        return document
    return (document if isinstance(document, str) else json.dumps(document)).encode()


def rule(**fields: object) -> Raw:
    """A valid rule with some fields changed; None takes a field away."""
    result: Raw = {
        "name": "AllowHttp",
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": "Internet",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": 80,
    }
    result.update(fields)
    return {key: value for key, value in result.items() if value is not None}


def group(*rules: Raw, name: str = "web", **fields: object) -> Raw:
    """A document with one network security group."""
    return {"networkSecurityGroups": [{"name": name, "securityRules": list(rules), **fields}]}


def network(name: str = "lab", space: str = "10.0.0.0/16", **fields: object) -> Raw:
    """A virtual network with a subnet web, 10.0.1.0/24 unless given."""
    result: Raw = {
        "name": name,
        "addressSpace": [space],
        "subnets": [{"name": "web", "addressPrefixes": ["10.0.1.0/24"]}],
    }
    result.update(fields)
    return result


def interface(name: str = "web1", address: str = "10.0.1.4", **fields: object) -> Raw:
    """A network interface in lab/web."""
    result: Raw = {"name": name, "subnet": "lab/web", "privateIPAddresses": [address]}
    result.update(fields)
    return result


# Everything that a document may hold.
FULL = """\
virtualNetworks:
  - name: lab
    addressSpace: [10.0.0.0/16, fd00:10::/48]
    peerings: [{name: other, allowGatewayTransit: true}]
    onPremises: [192.168.0.0/16]
    routes: [0.0.0.0/0]
    subnets:
      - {name: web, addressPrefixes: [10.0.1.0/24, fd00:10:0:1::/64], networkSecurityGroup: Web}
      - {name: db, addressPrefix: 10.0.2.0/24}
  - name: other
    addressSpace: [10.1.0.0/16]
    peerings: [{name: LAB, useRemoteGateways: true}]
    subnets: [{name: app, addressPrefix: 10.1.1.0/24}]
networkInterfaces:
  - {name: web1, subnet: LAB/Web, privateIPAddresses: [10.0.1.4, 'fd00:10:0:1::4'], link: veth-web1,
     networkSecurityGroup: WEB, enableIPForwarding: true, applicationSecurityGroups: [webservers]}
  - {name: app1, subnet: app, privateIPAddresses: [10.1.1.4], networkSecurityGroup: null, link: ""}
networkSecurityGroups:
  - name: web
    securityRules:
      - {name: AllowHttp, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: Internet, sourcePortRange: '*', destinationAddressPrefix: '*',
         destinationPortRanges: ['80', 443, 8000-8080], description: "the site"}
      - {name: DenyDb, priority: 100, direction: outbound, access: DENY, protocol: '*',
         sourceApplicationSecurityGroups: [{name: WebServers}], sourceAddressPrefixes: [],
         sourcePortRange: 0-65535, destinationAddressPrefixes: [10.0.2.0/24, fd00::1],
         destinationPortRange: 5432}
applicationSecurityGroups: [{name: WebServers}, {name: Empty}, {name: Apps, virtualNetwork: other}]
daemon: {roles: [gateway], engine: queue, failureMode: closed, unmanagedTraffic: drop,
         metricsListen: '[::1]:9481', queues: 1, queueNumber: 7, queueLength: 512,
         markMask: '0x00ffffff'}
"""
