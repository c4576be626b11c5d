"""Scale sets: prefixes inside their subnet, apart from one another, and groups to be in."""

from __future__ import annotations

from datetime import date

import pytest

from nsgd.model.network import ScaleSet
from tests.config.documents import Raw, interface, load, network, refuse_one
from tests.models import prefixes

SUBNETS = [
    {"name": "web", "addressPrefixes": ["10.0.1.0/24", "fd00:10:0:1::/64"]},
    {"name": "db", "addressPrefix": "10.0.2.0/24"},
]


def scale_set(name: str = "vmss", *texts: str, **fields: object) -> Raw:
    """In lab/web with 10.0.1.32/27 unless given."""
    return {
        "name": name,
        "subnet": "lab/web",
        "privateIPAddressPrefixes": list(texts) or ["10.0.1.32/27"],
        **fields,
    }


def document(*scale_sets: Raw, **fields: object) -> Raw:
    """The networks lab and other, which have the same subnets, and these scale sets."""
    spaces: Raw = {"addressSpace": ["10.0.0.0/16", "fd00:10::/48"], "subnets": SUBNETS}
    return {
        "virtualNetworks": [network(**spaces), network("other", **spaces)],
        "networkSecurityGroups": [{"name": "Web"}],
        "applicationSecurityGroups": [{"name": "a"}, {"name": "b", "virtualNetwork": "other"}],
        "scaleSets": list(scale_sets),
        **fields,
    }


def test_everything() -> None:
    """References in any case come out as they were declared."""
    full = scale_set(
        "vmss",
        "10.0.1.32/27",
        "10.0.1.128",
        "fd00:10:0:1::/80",
        networkSecurityGroup="WEB",
        applicationSecurityGroups=["A"],
        created="2020-01-01",
        subnet="LAB/Web",
    )
    config = load(document(full, scale_set("bare", subnet="other/web")))
    assert config.model.scale_sets == (
        ScaleSet(
            "vmss",
            "lab",
            "web",
            prefixes("10.0.1.32/27", "10.0.1.128", "fd00:10:0:1::/80"),
            "Web",
            ("a",),
            date(2020, 1, 1),
        ),
        # Another network may have the same addresses.
        ScaleSet("bare", "other", "web", prefixes("10.0.1.32/27")),
    )
    # The first member fixes the group's network.
    assert config.model.application_security_groups[0].virtual_network == "lab"


def test_several_documents() -> None:
    """Their lists are joined."""
    rest = {"scaleSets": [scale_set("second", "10.0.1.64/27")]}
    names = [each.name for each in load(document(scale_set()), rest).model.scale_sets]
    assert names == ["vmss", "second"]


@pytest.mark.parametrize("text", ["10.0.1.0/24", "10.0.1.0/32", "10.0.1.255", "fd00:10:0:1::/64"])
def test_inside_the_subnet(text: str) -> None:
    """The whole of it is inside too."""
    load(document(scale_set("vmss", text)))


@pytest.mark.parametrize("text", ["10.0.0.0/23", "10.0.2.0/28", "10.0.0.255", "fd00:10:0:2::/80"])
def test_outside_the_subnet(text: str) -> None:
    """Wider, beside it, or in another one of the network."""
    path, message, way_out = refuse_one(document(scale_set("vmss", "fd00:10:0:1::4", text)))
    assert path == "scaleSets[0].privateIPAddressPrefixes[1]"
    assert "is not inside subnet lab/web (10.0.1.0/24, fd00:10:0:1::/64)" in message
    assert way_out == "write a prefix of the subnet, or name another subnet"


@pytest.mark.parametrize(
    ("first", "second"),
    [("10.0.1.32/27", "10.0.1.48/28"), ("10.0.1.48/28", "10.0.1.32/27"), ("10.0.1.9", "10.0.1.9")],
)
def test_overlaps(first: str, second: str) -> None:
    """Of two scale sets, and within one."""
    beside = scale_set("beside", "10.0.1.64/27")
    two = document(scale_set("one", first), beside, scale_set("two", second))
    path, message, _ = refuse_one(two)
    assert path.startswith("scaleSets[")
    assert "overlaps" in message
    assert message.endswith("in virtual network 'lab'")
    path, message, _ = refuse_one(document(scale_set("one", first, second)))
    assert path.startswith("scaleSets[0].privateIPAddressPrefixes[")
    # Neighbours and other networks do not.
    load(document(scale_set("one", first), beside, scale_set("two", second, subnet="other/web")))


def test_an_interface_inside() -> None:
    """A declared NIC takes its address out of the scale set."""
    inside = interface(address="10.0.1.40")
    assert load(document(scale_set(), networkInterfaces=[inside])).model.scale_sets


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"name": None}, "name", "name is missing"),
        ({"subnet": None}, "subnet", "subnet is missing"),
        ({"privateIPAddressPrefixes": []}, "privateIPAddressPrefixes", "privateIPAddressPrefixes"),
        ({"subnet": "lab/x"}, "subnet", "there is no subnet named 'x'"),
        ({"subnet": "web"}, "subnet", "2 virtual networks have a subnet 'web'"),
        ({"networkSecurityGroup": "x"}, "networkSecurityGroup", "there is no network security"),
        ({"applicationSecurityGroups": ["x"]}, "applicationSecurityGroups[0]", "there is no appl"),
        (
            {"applicationSecurityGroups": ["b"]},
            "applicationSecurityGroups[0]",
            "application security group 'b' is in virtual network 'other'",
        ),
        ({"link": "eth0"}, "link", "unknown key 'link'"),
        ({"created": "today"}, "created", "'today' is not a date"),
        ({"privateIPAddressPrefixes": ["10.0.1.1/24"]}, "privateIPAddressPrefixes[0]", "'10.0.1."),
    ],
)
def test_what_is_refused(fields: Raw, path: str, message: str) -> None:
    """With the place."""
    found, said, way_out = refuse_one(document(scale_set(**fields)))
    assert found == f"scaleSets[0].{path}"
    assert said.removeprefix("'vmss': ").startswith(message)
    assert way_out


def test_a_name_is_taken_once() -> None:
    """Without case; a NIC may have it too."""
    path, message, _ = refuse_one(document(scale_set(), scale_set("VMSS", "10.0.1.64/27")))
    assert path == "scaleSets[1].name"
    assert message == "scale set name 'VMSS' is already taken by scaleSets[0]"
    load(document(scale_set("web1"), networkInterfaces=[interface()]))
