"""Small policies that labs are made of, as plain documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nsgd.config.load import Document, LoadedConfig, load_documents

Json = dict[str, Any]
ANY = "*"


def rule(name: str, priority: int, direction: str, access: str, **fields: object) -> Json:
    """A rule about everything, but for what is given."""
    named: Json = {
        "name": name,
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": ANY,
        "sourcePortRange": ANY,
        "destinationPortRange": ANY,
    }
    for side in ("source", "destination"):
        if f"{side}ApplicationSecurityGroups" not in fields:
            named[f"{side}AddressPrefix"] = ANY
    return named | fields


def group(name: str, *rules: Json) -> Json:
    """A network security group."""
    return {"name": name, "securityRules": list(rules)}


def load(document: Json) -> LoadedConfig:
    """A document as the daemon would load it."""
    return load_documents([Document("policy.json", json.dumps(document).encode())])


def subnet(name: str, *prefixes: str, nsg: str | None = None) -> Json:
    """A subnet."""
    return {"name": name, "addressPrefixes": list(prefixes), "networkSecurityGroup": nsg}


def nic(name: str, place: str, *addresses: str, **fields: object) -> Json:
    """A network interface."""
    return {"name": name, "subnet": place, "privateIPAddresses": list(addresses), **fields}


def network(name: str, space: Sequence[str], *subnets: Json, **fields: object) -> Json:
    """A virtual network."""
    return {"name": name, "addressSpace": list(space), "subnets": list(subnets), **fields}


WEB = group(
    "web",
    rule(
        "AllowWeb",
        100,
        "Inbound",
        "Allow",
        protocol="Tcp",
        sourceAddressPrefix="Internet",
        destinationPortRange="8000-8010",
    ),
    rule(
        "DenyOffice",
        110,
        "Inbound",
        "Deny",
        sourceAddressPrefix="198.51.100.0/25",
    ),
    rule(
        "AllowTime",
        120,
        "Inbound",
        "Allow",
        protocol="Udp",
        sourcePortRange="123",
        destinationPortRange="123",
    ),
)

# Two networks that peer and one that does not, IPv6, a group of applications.
PEERED: Json = {
    "virtualNetworks": [
        network(
            "hub",
            ["10.0.0.0/16", "fd00:10::/48"],
            subnet("web", "10.0.1.0/24", "fd00:10:0:1::/64", nsg="web"),
            subnet("open", "10.0.2.0/24"),
            peerings=["spoke"],
            onPremises=["192.168.0.0/16"],
        ),
        network(
            "spoke", ["10.1.0.0/16"], subnet("apps", "10.1.1.0/24", nsg="apps"), peerings=["hub"]
        ),
        network("alone", ["10.2.0.0/16"], subnet("one", "10.2.1.0/24")),
    ],
    "networkInterfaces": [
        nic(
            "web1",
            "hub/web",
            "10.0.1.4",
            "fd00:10:0:1::4",
            link="to-web1",
            applicationSecurityGroups=["WebServers"],
        ),
        nic("web2", "hub/web", "10.0.1.5", "fd00:10:0:1::5"),
        nic("app1", "spoke/apps", "10.1.1.4", networkSecurityGroup="app1"),
    ],
    "applicationSecurityGroups": [{"name": "WebServers", "virtualNetwork": "hub"}],
    "networkSecurityGroups": [
        WEB,
        group(
            "apps",
            rule(
                "DenyOffice",
                100,
                "Inbound",
                "Deny",
                protocol="Tcp",
                sourceAddressPrefix="192.168.7.0/24",
                destinationPortRange="1433",
            ),
            rule("AllowAlone", 110, "Inbound", "Allow", sourceAddressPrefix="10.2.0.0/16"),
            rule("DenyPing", 100, "Outbound", "Deny", protocol="Icmp"),
        ),
        group(
            "app1",
            rule(
                "DenyFromAlone",
                100,
                "Inbound",
                "Deny",
                sourceAddressPrefix="10.2.0.0/16",
            ),
            rule(
                "DenyFromWebPart",
                110,
                "Inbound",
                "Deny",
                protocol="Tcp",
                sourceAddressPrefix="10.0.1.128/25",
                destinationPortRange="22",
            ),
        ),
        group("nowhere"),
    ],
}

# To and from a group of applications, which an instance and a NIC are in and others are not.
SCALED: Json = {
    "virtualNetworks": [
        network("net", ["10.3.0.0/16"], subnet("pool", "10.3.1.0/24", nsg="pool")),
    ],
    "networkInterfaces": [
        nic("member", "pool", "10.3.1.4", applicationSecurityGroups=["Members"]),
        # Inside the prefix of the scale set, and none of its instances.
        nic("guest", "pool", "10.3.1.36"),
    ],
    "scaleSets": [
        {
            "name": "set",
            "subnet": "net/pool",
            "privateIPAddressPrefixes": ["10.3.1.32/27"],
            "networkSecurityGroup": "set",
            "applicationSecurityGroups": ["Members"],
        }
    ],
    "applicationSecurityGroups": [{"name": "Members", "virtualNetwork": "net"}],
    "networkSecurityGroups": [
        group(
            "pool",
            rule(
                "AllowMembers",
                100,
                "Inbound",
                "Allow",
                protocol="Tcp",
                sourceApplicationSecurityGroups=["Members"],
                destinationApplicationSecurityGroups=["Members"],
                destinationPortRange="5000-5010",
            ),
            rule("DenyVnet", 200, "Inbound", "Deny", sourceAddressPrefix="VirtualNetwork"),
        ),
        group(
            "set",
            rule("DenyOne", 100, "Inbound", "Deny", protocol="Tcp", destinationPortRange="5005"),
        ),
    ],
}

# A NIC that passes on what others send, and a host behind it.
FORWARDING: Json = {
    "virtualNetworks": [
        network(
            "net",
            ["10.4.0.0/16", "fd00:14::/48"],
            subnet("nva", "10.4.0.0/24", "fd00:14::/64"),
            subnet("apps", "10.4.1.0/24", "fd00:14:0:1::/64", nsg="apps"),
            routes=["10.99.0.0/16"],
        )
    ],
    "networkInterfaces": [
        nic(
            "firewall",
            "nva",
            "10.4.0.4",
            "fd00:14::4",
            enableIPForwarding=True,
            networkSecurityGroup="firewall",
        ),
        nic("app1", "apps", "10.4.1.4", "fd00:14:0:1::4"),
    ],
    "networkSecurityGroups": [
        group(
            "firewall",
            rule("DenyPing", 100, "Outbound", "Deny", protocol="Icmp"),
            rule(
                "AllowRouted",
                110,
                "Outbound",
                "Allow",
                protocol="Tcp",
                sourceAddressPrefix="10.99.0.0/16",
                destinationPortRange="1000-1999",
            ),
        ),
        group(
            "apps",
            rule("AllowOdd", 100, "Inbound", "Allow", protocol="Tcp", destinationPortRange="1999"),
            rule("DenyRest", 110, "Inbound", "Deny", protocol="Tcp"),
        ),
    ],
}

NO_GROUP: Json = {
    "virtualNetworks": [network("net", ["10.5.0.0/16"], subnet("one", "10.5.1.0/24"))],
    "networkInterfaces": [nic("a", "one", "10.5.1.4"), nic("b", "one", "10.5.1.5")],
}
