"""nsgd decides flows of every policy of the corpus as the oracle does, which reads it by itself.

``python -m tests.corpus.agreement --flows 10000`` judges many more and prints what decided.
"""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest

from tests.corpus.agreement import Raw, Source, compare, sources
from tests.corpus.recordings import CORPUS
from tests.corpus.synthetic import near_prefixes, network_beside, synthetic_network
from tests.corpus.test_exports import TAG_FILE
from tests.oracle.azure_json import read_attachments, read_groups, read_rule

FLOWS = int(os.environ.get("NSGD_CORPUS_FLOWS", "60"))

pytestmark = pytest.mark.skipif(
    not sources() or not TAG_FILE.exists(), reason=f"no policies or tags in {CORPUS}"
)


@pytest.mark.parametrize("name", sources())
def test_agreement(name: str) -> None:
    """On flows at the edges of the policy's own rules, the same ones in every run."""
    source = sources()[name]()
    assert source is not None, f"{name} is refused"
    found = compare(name, source, FLOWS)
    assert found.trouble == ""
    assert found.summary.cases in (0, FLOWS)


def test_the_corpus_is_whole() -> None:
    """Exports, examples and templates are all among the policies."""
    kinds = [name.partition(" ")[0] for name in sources()]
    counted = {kind: kinds.count(kind) for kind in kinds}
    assert counted["export"] >= 36
    assert counted["example"] >= 40
    assert counted["template"] >= 65


def _mixed() -> Source:
    source = sources()["export nsg-mixed-rules-680cf68a0f"]()
    assert source is not None
    return source


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("access", {"Allow": "Deny", "Deny": "Allow"}),
        ("direction", {"Inbound": "Outbound", "Outbound": "Inbound"}),
        ("protocol", {"*": "Udp", "Tcp": "Udp", "TCP": "Udp", "Udp": "Tcp"}),
        ("name", None),
    ],
)
def test_a_rule_read_otherwise_is_seen(key: str, value: dict[str, str] | None) -> None:
    """The two do not agree on whatever is drawn."""
    source = _mixed()
    resources: list[Raw] = copy.deepcopy(source.resources)
    for rule in resources[0]["properties"]["securityRules"]:
        fields = rule["properties"]
        if value is None:
            rule["name"] += "x"
        else:
            fields[key] = value[fields[key]]
    found = compare("mixed", source._replace(resources=resources), 400)
    assert found.summary.disagreements > 0
    assert "oracle: Answer" in found.trouble


def test_groups_attached_otherwise_are_seen() -> None:
    """Who has a group is compared apart from what is decided."""
    name = "example NetworkInterfaceGet 200"
    source = sources()[name]()
    assert source is not None
    resources: Any = copy.deepcopy(source.resources)
    (interface,) = (each for each in resources if "ipConfigurations" in each["properties"])
    del interface["properties"]["networkSecurityGroup"]
    with pytest.raises(AssertionError, match="attached otherwise"):
        compare(name, source._replace(resources=resources), 1)


def test_what_the_reader_does_not_know() -> None:
    """A field that may decide is not passed over; parts are read by their ids."""
    fields = {"priority": "100", "access": "Allow", "direction": "Inbound", "protocol": "*"}
    rule = {"name": "a", "properties": {**fields, "description": "x"}}
    assert read_rule(rule) == {"name": "a", **fields, "priority": 100}
    with pytest.raises(ValueError, match="what is icmpType"):
        read_rule({"name": "a", "properties": {**fields, "icmpType": 8}})
    parent = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/n"
    part = {**rule, "id": f"{parent}/securityRules/a"}
    whole = {"name": "N", "id": parent, "properties": {"securityRules": []}}
    assert read_groups([whole, part]) == {"n": [read_rule(rule)]}
    subnet = {"properties": {"networkSecurityGroup": {"id": parent}}, "name": "s"}
    networks = parent.replace("networkSecurityGroups/n", "virtualNetworks/v")
    for network in (
        {"name": "v", "id": networks, "properties": {"subnets": [subnet]}},
        {**subnet, "id": f"{networks}/subnets/s"},
        {**subnet, "name": "v/s", "type": "Microsoft.Network/virtualNetworks/subnets"},
    ):
        assert read_attachments([network]) == {("v/s", "n")}


def test_a_network_for_what_has_none() -> None:
    """Each group is on one subnet and on one interface of another, beside members."""
    document = synthetic_network(["a", "b"], ["x"], "10.0", "fd00:10:0")
    (network,) = document["virtualNetworks"]
    groups = [subnet.get("networkSecurityGroup") for subnet in network["subnets"]]
    assert groups == ["a", None, "b", None]
    attached = [nic.get("networkSecurityGroup") for nic in document["networkInterfaces"]]
    assert attached == [None, "a", None, "a", "a", "a", None, "b", None, "b", "b", "b"]
    members = [nic for nic in document["networkInterfaces"] if "applicationSecurityGroups" in nic]
    assert len(members) == 4


def test_a_network_beside_others() -> None:
    """Where the rules speak of the group's own side there are machines; overlaps are avoided."""
    rules: list[Raw] = [
        {"direction": "Inbound", "destinationAddressPrefix": "10.195.0.0/24"},
        {"direction": "Outbound", "sourceAddressPrefixes": ["10.1.2.0/29", "8.8.8.0/24"]},
        {"direction": "Outbound", "destinationAddressPrefix": "10.5.0.0/24"},
        {"direction": "Inbound", "destinationAddressPrefix": "VirtualNetwork"},
        {"direction": "Inbound", "destinationAddressPrefix": "10.0.0.0/24"},
    ]
    near = near_prefixes(rules)
    assert near == ["10.195.0.0/24", "10.1.2.0/29", "10.0.0.0/24"]
    theirs = {"virtualNetworks": [{"addressSpace": ["10.0.0.0/15", "fd00::/48"]}]}
    for document, space in (({}, "10.0"), (theirs, "10.213")):
        (network,) = network_beside(document, {"a": near}, [])["virtualNetworks"]
        found = [text for text in network["addressSpace"] if ":" not in text]
        assert found[0] == f"{space}.0.0/16"
        assert found[1:] == near[:2] if not document else found[1:] == near[:1]
