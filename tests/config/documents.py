"""Documents for the tests of this folder, and what loading them says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file

Raw = dict[str, Any]


def tag_file(cloud: str = "Public", change_number: int = 7, **tags: list[str]) -> TagCatalogue:
    """A file in Microsoft's format; two underscores in a name stand for a dot."""
    names = {key.replace("__", "."): prefixes for key, prefixes in tags.items()}
    values = [
        {"name": name, "id": name, "properties": {"addressPrefixes": prefixes}}
        for name, prefixes in names.items()
    ]
    document = {"cloud": cloud, "changeNumber": change_number, "values": values}
    return read_tag_file(json.dumps(document).encode())


class Tags:
    """A source of these catalogues; *asked* lists the clouds that were asked for."""

    def __init__(self, *catalogues: TagCatalogue) -> None:
        self.asked: list[str] = []
        self._catalogues = {catalogue.cloud: catalogue for catalogue in catalogues}

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """As TagSource."""
        self.asked.append(cloud)
        return self._catalogues.get(cloud)


STORAGE = ["20.38.98.0/24", "2603:1030:1002::/48"]
TAGS = Tags(
    tag_file(
        Storage=STORAGE,
        Storage__WestUS=["20.38.98.0/25"],
        AzureFrontDoor__Backend=["13.73.248.16/29"],
        # No file decides these.
        Internet=["1.0.0.0/8"],
        AzurePlatformDNS=["1.1.1.1/32"],
    ),
    tag_file("AzureGovernment", 3, Storage=["52.127.0.0/16"], OnlyHere=["52.128.0.0/16"]),
)


def load(*documents: Raw | str | bytes, tags: Tags | None = TAGS) -> LoadedConfig:
    """Load documents given as values (written as JSON), text or bytes."""
    return load_documents(
        [Document(f"d{index}", _bytes(document)) for index, document in enumerate(documents)],
        tags=tags,
    )


def refuse(*documents: Raw | str | bytes, tags: Tags | None = TAGS) -> tuple[Problem, ...]:
    """The problems of documents that must have some."""
    with pytest.raises(ConfigRefused) as caught:
        load(*documents, tags=tags)
    assert caught.value.problems
    return caught.value.problems


def refuse_one(*documents: Raw | str | bytes, tags: Tags | None = TAGS) -> tuple[str, str, str]:
    """Path, message and way out of the only problem."""
    problems = refuse(*documents, tags=tags)
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
      - {name: db, addressPrefix: 10.0.2.0/24, services: [ApplicationGateway, databricks]}
  - name: other
    addressSpace: [10.1.0.0/16]
    peerings: [{name: LAB, useRemoteGateways: true}]
    subnets: [{name: app, addressPrefix: 10.1.1.0/24}]
networkInterfaces:
  - {name: web1, subnet: LAB/Web, privateIPAddresses: [10.0.1.4, 'fd00:10:0:1::4'], link: veth-web1,
     networkSecurityGroup: WEB, enableIPForwarding: true, applicationSecurityGroups: [webservers],
     created: 2020-01-01}
  - {name: app1, subnet: app, privateIPAddresses: [10.1.1.4], networkSecurityGroup: null, link: ""}
networkSecurityGroups:
  - name: web
    securityRules:
      - {name: AllowHttp, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: Internet, sourcePortRange: '*', destinationAddressPrefix: '*',
         destinationPortRanges: ['80', 443, 8000-8080], description: "the site"}
      - {name: DenyDb, priority: 100, direction: outbound, access: DENY, protocol: '*',
         sourceApplicationSecurityGroups: [{name: WebServers}], sourceAddressPrefixes: [],
         sourcePortRange: 0-65535, destinationAddressPrefixes: [10.0.2.0/24, 10.0.3.1],
         destinationPortRange: 5432}
      - {name: AllowStorage, priority: 101, direction: Outbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: VirtualNetwork, sourcePortRange: '*',
         destinationAddressPrefix: storage.westus, destinationPortRange: 443}
      - {name: DenyDns, priority: 102, direction: Outbound, access: Deny, protocol: '*',
         sourceAddressPrefix: '*', sourcePortRange: '*',
         destinationAddressPrefixes: [AzurePlatformDns], destinationPortRange: '*'}
      - {name: DenyDbIPv6, priority: 103, direction: Outbound, access: Deny, protocol: '*',
         sourceAddressPrefix: 'fd00:10:0:1::/64', sourcePortRange: '*',
         destinationAddressPrefixes: ['fd00:10:0:2::/64', fd00::1], destinationPortRange: 5432}
scaleSets:
  - {name: pool, subnet: lab/db, privateIPAddressPrefixes: [10.0.2.32/27],
     networkSecurityGroup: web, applicationSecurityGroups: [WebServers], created: 2021-01-01}
securityAdminConfigurations:
  - name: baseline
    applyOnNetworkIntentPolicyBasedServices: allowRulesOnly
    ruleCollections:
      - name: always
        appliesTo: [LAB, other]
        rules:
          - {name: AllowProbes, priority: 1, direction: inbound, access: alwaysallow, protocol: Tcp,
             sources: [10.9.0.0/16, storage.westus, internet, 'fd00::1'], sourcePortRanges: ['*'],
             destinations: ['*'], destinationPortRanges: ['443', 8000-8080], description: probes}
      - name: never
        appliesTo: [other]
        rules:
          - {name: DenyAll, priority: 4096, direction: Outbound, access: Deny, protocol: any,
             sources: ['*'], sourcePortRanges: ['*'], destinations: ['*'],
             destinationPortRanges: ['*']}
  - name: unused
platformAddresses: {host: [168.63.129.16], metadata: [], loadBalancer: ['fe80::1234:5678:9abc']}
subscription: {kind: enterpriseDevTest, created: 2018-01-31, smtpExempted: 2019-05-01}
serviceTags: {cloud: Public}
limits: {securityRulesPerNetworkSecurityGroup: 2000, networkSecurityGroups: 6000}
applicationSecurityGroups: [{name: WebServers}, {name: Empty}, {name: Apps, virtualNetwork: other}]
daemon: {roles: [gateway], engine: queue, failureMode: closed, unmanagedTraffic: drop,
         metricsListen: '[::1]:9481', queues: 1, queueNumber: 7, queueLength: 512,
         markMask: '0x00ffffff'}
"""
