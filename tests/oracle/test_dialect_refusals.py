"""nsgd refuses what a dialect lacks and what Azure takes in no security admin rule.

Each row is a change of a right document and whether it is then refused, written from the notes'
sections 1, 5, 7, 8, 9 and 13 alone; the nearest right variant stands beside the wrong one.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.config.problem import ConfigRefused

from .agreement import InstalledTags

Raw = dict[str, Any]
TAGS = ("Storage", "Storage.WestUS", "Sql", "Sql.WestUS", "AzureTrafficManager", "AzureCloud")
TAG_FILE = {
    "changeNumber": 1,
    "cloud": "Public",
    "values": [
        {
            "name": name,
            "id": name,
            "properties": {
                "changeNumber": 1,
                "region": "",
                "regionId": 0,
                "platform": "Azure",
                "systemService": "",
                "addressPrefixes": ["20.40.0.0/16"],
                "networkFeatures": [],
            },
        }
        for name in TAGS
    ],
}
RULE: Raw = {
    "name": "r",
    "priority": 100,
    "direction": "Outbound",
    "access": "Deny",
    "protocol": "*",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}
MACHINE: Raw = {"name": "m", "subnet": "v/s", "privateIPAddresses": ["10.0.0.4"]}
ADMIN: Raw = {
    "name": "a",
    "priority": 10,
    "direction": "Inbound",
    "access": "Deny",
    "protocol": "Tcp",
    "sources": ["*"],
    "sourcePortRanges": ["*"],
    "destinations": ["*"],
    "destinationPortRanges": ["*"],
}


def base(dialect: str) -> Raw:
    """A right document: a machine, a group with one rule."""
    owners = "virtualMachines" if dialect == "classic" else "networkInterfaces"
    document: Raw = {
        "dialect": dialect,
        "virtualNetworks": [
            {
                "name": name,
                "addressSpace": [f"10.{number}.0.0/16"],
                "subnets": [{"name": "s", "addressPrefixes": [f"10.{number}.0.0/24"]}],
            }
            for number, name in enumerate(("v", "w"))
        ],
        owners: [MACHINE],
        "networkSecurityGroups": [{"name": "g", "securityRules": [RULE]}],
    }
    if dialect != "classic":
        document["applicationSecurityGroups"] = [{"name": "x"}, {"name": "y"}]
    return copy.deepcopy(document)


def is_refused(document: Raw) -> bool:
    tags = InstalledTags({"Public": TAG_FILE})
    try:
        load_documents([Document("d.json", json.dumps(document).encode())], tags=tags)
    except ConfigRefused:
        return True
    return False


def with_rule(dialect: str, **fields: Any) -> Raw:
    document = base(dialect)
    rule = document["networkSecurityGroups"][0]["securityRules"][0]
    for key, value in fields.items():
        if value is None:
            del rule[key]
        else:
            rule[key] = value
    return document


def side(**fields: Any) -> Raw:
    """Fields in place of the destination's prefix."""
    return {"destinationAddressPrefix": None, **fields}


def tag(name: str) -> Raw:
    return {"destinationAddressPrefix": name}


@pytest.mark.parametrize("dialect", ["now", "2017", "classic"])
def test_the_right_document(dialect: str) -> None:
    assert not is_refused(base(dialect))


OWNERS = ("networkInterfaces", "virtualMachines")
GROUPS = "destinationApplicationSecurityGroups"
PREFIXES = "destinationAddressPrefixes"


@pytest.mark.parametrize(
    ("fields", "refusing"),
    [
        *(({"protocol": name}, "2017 classic") for name in ("Icmp", "Esp", "Ah", "icmp")),
        *(({"protocol": name}, "") for name in ("tcp", "UDP", "*")),
        # Tags: those of the 2017 list, classic's three, and its spellings.
        (tag("VirtualNetwork"), "classic"),
        (tag("AzureLoadBalancer"), "classic"),
        (tag("Internet"), ""),
        (tag("VIRTUAL_NETWORK"), "now 2017"),
        (tag("azure_loadbalancer"), "now 2017"),
        (tag("INTERNET"), ""),
        (tag("Storage"), "classic"),
        (tag("storage.westus"), "classic"),
        (tag("Storage.Nowhere"), "now 2017 classic"),
        (tag("Sql"), "2017 classic"),
        (tag("Sql.WestUS"), "classic"),
        (tag("AzureTrafficManager"), "classic"),
        (tag("AzureCloud"), "2017 classic"),
        *((tag(f"AzurePlatform{name}"), "2017 classic") for name in ("DNS", "IMDS", "LKM")),
        # Augmented rules and groups.
        (side(**{PREFIXES: ["10.0.0.1", "10.0.0.2"]}), "classic"),
        (side(**{PREFIXES: ["10.0.0.1"]}), ""),
        ({"destinationPortRange": None, "destinationPortRanges": ["1", "2"]}, "classic"),
        ({"destinationPortRange": None, "destinationPortRanges": ["1-2"]}, ""),
        (side(**{GROUPS: ["x"]}), "classic"),
        (side(**{GROUPS: ["x", "y"]}), "2017 classic"),
        ({"sourceApplicationSecurityGroups": []}, ""),
        ({"destinationAddressPrefix": "168.63.129.16"}, ""),
    ],
)
def test_rules(fields: Raw, refusing: str) -> None:
    """Which dialects refuse a rule."""
    found = [name for name in ("now", "2017", "classic") if is_refused(with_rule(name, **fields))]
    assert " ".join(found) == refusing


def subscription(kind: str, exempted: bool = False) -> Raw:
    written = {"kind": kind, "created": "2018-01-31"}
    return {"subscription": {**written, **({"smtpExempted": "2019-05-01"} if exempted else {})}}


def service(**fields: Any) -> Raw:
    return {"cloudServices": [{"name": "c", **fields}]}


COLLECTION = {"name": "c", "appliesTo": ["v"], "rules": [ADMIN]}
BASELINE = {"name": "a", "ruleCollections": [COLLECTION]}
SET = {"name": "t", "subnet": "v/s", "privateIPAddressPrefixes": ["10.0.0.32/27"]}
OTHER = {**MACHINE, "name": "o", "privateIPAddresses": ["10.0.0.5"]}
INSTANCE = {**MACHINE, "name": "i", "privateIPAddresses": ["10.0.0.6"]}

SECOND = {**MACHINE, "name": "j", "privateIPAddresses": ["10.0.0.7"]}


@pytest.mark.parametrize(
    ("sections", "refusing"),
    [
        ({"virtualMachines": [OTHER]}, "now 2017"),
        ({"networkInterfaces": [OTHER]}, "classic"),
        ({"scaleSets": [SET]}, "classic"),
        ({"applicationSecurityGroups": [{"name": "x"}]}, "classic"),
        (service(roleInstances=[INSTANCE], networkSecurityGroup="G"), "now 2017"),
        ({"securityAdminConfigurations": [BASELINE]}, "2017 classic"),
        ({"platformAddresses": {"host": []}}, ""),
        # Section 7: what each column lists, and who may have an exemption.
        (subscription("PayAsYouGo"), ""),
        (subscription("PayAsYouGo", exempted=True), "now"),
        (subscription("EnterpriseDevTest"), "2017 classic"),
        (subscription("EnterpriseDevTest", exempted=True), "2017 classic"),
        (subscription("EnterpriseAgreement"), ""),
        (subscription("EnterpriseAgreement", exempted=True), "now 2017 classic"),
        (subscription("CloudServiceProvider"), "2017 classic"),
        (subscription("MSDN", exempted=True), "now 2017 classic"),
        (subscription("BizSpark"), ""),
        # Section 8: raised up to the maximum where there is one.
        ({"limits": {"securityRulesPerNetworkSecurityGroup": 400}}, ""),
        ({"limits": {"securityRulesPerNetworkSecurityGroup": 401}}, "classic"),
        ({"limits": {"securityRulesPerNetworkSecurityGroup": 500}}, "classic"),
        ({"limits": {"securityRulesPerNetworkSecurityGroup": 501}}, "2017 classic"),
        ({"limits": {"networkSecurityGroups": 200}}, ""),
        ({"limits": {"networkSecurityGroups": 201}}, "classic"),
        ({"limits": {"networkSecurityGroups": 401}}, "2017 classic"),
    ],
)
def test_sections(sections: Raw, refusing: str) -> None:
    """Which dialects refuse a section."""
    found = []
    for name in ("now", "2017", "classic"):
        document = base(name)
        for key, value in sections.items():
            document[key] = [*document.get(key, []), *value] if key in OWNERS else value
        if is_refused(document):
            found.append(name)
    assert " ".join(found) == refusing


@pytest.mark.parametrize(
    ("dialect", "count", "refused"),
    [("2017", 200, False), ("2017", 201, True), ("classic", 200, False), ("classic", 201, True)],
)
def test_default_limits(dialect: str, count: int, refused: bool) -> None:
    """Section 8: 200 rules in a group, 100 groups, unless raised."""
    document = base(dialect)
    document["networkSecurityGroups"][0]["securityRules"] = [
        {**RULE, "name": f"r{number}", "priority": 100 + number} for number in range(count)
    ]
    assert is_refused(document) is refused
    document["limits"] = {"securityRulesPerNetworkSecurityGroup": 400}
    assert not is_refused(document)
    groups = [{"name": f"g{number}"} for number in range(count - 100)]
    assert is_refused({**base(dialect), "networkSecurityGroups": groups}) is refused


TWO = (("c", "m"), ("d", "grouped"))


@pytest.mark.parametrize(
    ("services", "refused"),
    [
        ([{"name": "c", "networkSecurityGroup": "g", "virtualMachines": ["M"]}], False),
        # 13.1, the notes: a machine's own group beside its service's.
        ([{"name": "c", "networkSecurityGroup": "g", "virtualMachines": ["grouped"]}], True),
        ([{"name": "c", "virtualMachines": ["grouped"]}], False),
        ([{"name": name, "virtualMachines": ["m"]} for name in ("c", "d")], True),
        ([{"name": name, "virtualMachines": [own]} for name, own in TWO], False),
        ([{"name": name} for name in ("c", "C")], True),
        ([{"name": "c", "virtualMachines": ["nobody"]}], True),
        ([{"name": "c", "networkSecurityGroup": "none"}], True),
        ([{"name": "c", "roleInstances": [{**INSTANCE, "networkSecurityGroup": "g"}]}], True),
        ([{"name": "c", "roleInstances": [INSTANCE]}], False),
        ([{"name": "c", "roleInstances": [INSTANCE, {**SECOND, "name": "I"}]}], True),
        ([{"name": "c", "roleInstances": [INSTANCE, SECOND]}], False),
    ],
)
def test_cloud_services(services: list[Raw], refused: bool) -> None:
    """What attaches to whom is not guessed."""
    document = base("classic")
    grouped = {**OTHER, "name": "grouped", "networkSecurityGroup": "g"}
    document["virtualMachines"] = [MACHINE, grouped]
    document["cloudServices"] = copy.deepcopy(services)
    assert is_refused(document) is refused


def collection(*rules: Raw, name: str = "c", to: tuple[str, ...] = ("v",)) -> Raw:
    return {"name": name, "appliesTo": list(to), "rules": list(rules)}


def configuration(*collections: Raw, name: str = "a") -> Raw:
    return {"name": name, "ruleCollections": list(collections)}


def changed(**fields: Any) -> list[Raw]:
    return [configuration(collection({**ADMIN, **fields}))]


ALLOW = {**ADMIN, "name": "b", "access": "Allow"}


@pytest.mark.parametrize(
    ("configurations", "refused"),
    [
        *((changed(priority=number), number not in (1, 4096)) for number in (0, 1, 4096, 4097)),
        (changed(access="alwaysallow"), False),
        (changed(access="Block"), True),
        *((changed(protocol=name), False) for name in ("Any", "*", "Icmp", "Esp", "Ah", "UDP")),
        (changed(protocol="Sctp"), True),
        (changed(sources=["10.0.0.0/8", "fd00::/8", "VirtualNetwork", "Storage"]), False),
        (changed(sources=["10.0.0.0/8", "10.0.0.4"]), False),
        (changed(sources=["*", "10.0.0.0/8"]), True),
        (changed(sources=["Nothing"]), True),
        (changed(sources=["AzurePlatformDNS"]), True),
        (changed(sources=["VIRTUAL_NETWORK"]), True),
        (changed(sources=[]), True),
        (changed(sourceApplicationSecurityGroups=["x"]), True),
        (changed(destinationPortRanges=["80", "90-99"]), False),
        (changed(destinationPortRanges=["80,90"]), True),
        ([configuration(collection(ADMIN, ALLOW))], True),
        ([configuration(collection(ADMIN, {**ALLOW, "direction": "Outbound"}))], False),
        ([configuration(collection(ADMIN, {**ALLOW, "priority": 11}))], False),
        ([configuration(collection(ADMIN, {**ALLOW, "priority": 11, "name": "A"}))], True),
        # One number in two collections: refused where they could disagree on a packet.
        ([configuration(collection(ADMIN), collection(ALLOW, name="d"))], True),
        ([configuration(collection(ADMIN), collection(ALLOW, name="d", to=("w",)))], False),
        (
            [configuration(collection(ADMIN), collection({**ALLOW, "access": "Deny"}, name="d"))],
            False,
        ),
        (
            [configuration(collection(ADMIN), collection({**ALLOW, "protocol": "Udp"}, name="d"))],
            False,
        ),
        ([configuration(collection(ADMIN, to=("V",)))], False),
        ([configuration(collection(ADMIN, to=("nowhere",)))], True),
        ([configuration(collection(ADMIN)), configuration(collection(ADMIN), name="b")], True),
        (
            [
                configuration(collection(ADMIN)),
                configuration(collection(ADMIN, to=("w",)), name="b"),
            ],
            False,
        ),
    ],
)
def test_security_admin_rules(configurations: list[Raw], refused: bool) -> None:
    """Section 9, and that no network is in two configurations."""
    document = {**base("now"), "securityAdminConfigurations": configurations}
    assert is_refused(document) is refused
