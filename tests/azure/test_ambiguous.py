"""What could be read in two ways, or past, is refused; and nothing of it costs a square."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from nsgd.azure.recognise import NATIVE_SECTIONS, is_azure
from nsgd.config.schema import DOCUMENT
from tests.azure.resources import (
    Raw,
    asg,
    configuration,
    flatten,
    load,
    nic,
    nsg,
    problem,
    problems,
    ref,
    resource,
    rid,
    rule,
    vnet,
)


def without_id(written: Raw) -> Raw:
    """The same without saying where it is."""
    return {key: value for key, value in written.items() if key != "id"}


def attached(group: str = "rg") -> Raw:
    """A NIC with the group web of a resource group."""
    return nic(networkSecurityGroup=ref("networkSecurityGroups", "web", group))


@pytest.mark.parametrize("is_first", [True, False])
def test_the_very_id_comes_first(is_first: bool) -> None:
    """One without an id may be any, but not where there is one of just this id."""
    loose, exact = without_id(nsg(rule("Loose"))), nsg(rule("Exact"))
    groups = [loose, exact] if is_first else [exact, loose]
    single = rule("Single", priority=200)
    model = load(vnet(), attached(), groups, single).model
    (interface,) = model.network_interfaces
    rules = {g.name: [r.name for r in g.security_rules] for g in model.network_security_groups}
    assert interface.network_security_group == "rg/web"
    assert rules == {"web": ["Loose"], "rg/web": ["Exact", "Single"]}


def test_one_without_an_id_may_be_meant() -> None:
    """Where there is no other."""
    (interface,) = load(vnet(), attached(), without_id(nsg())).model.network_interfaces
    assert interface.network_security_group == "web"


def test_which_of_two_parents() -> None:
    """A part without an id names its parent only: that is not enough where there are two."""
    single = without_id(rule("web/Single"))
    found = problem([nsg(group="a"), nsg(group="b")], single)
    assert found.startswith("d1 : ")
    assert "network security group 'web', that this belongs to or refers to, may be either" in found
    assert "of [0] in d0 and [1] in d0; give each of them its resource id" in found


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"type": "A.b/c", "networkSecurityGroups": [{"name": "web"}]}, False),
        ({"type": "A.b/c", "daemon": {"queueNumber": 3}}, False),
        ({"type": "A.b/c", "virtualNetworks": []}, True),
        ({"id": rid("x", "y"), "networkInterfaces": [{"name": "n", "subnet": "s"}]}, False),
        ({"properties": {}, "networkSecurityGroups": [{"name": "web"}]}, False),
        # As az prints them.
        ({**nsg(), "networkInterfaces": [ref("networkInterfaces", "n")], "subnets": None}, True),
        ({**nsg(), "networkInterfaces": []}, True),
    ],
)
def test_a_native_section_makes_a_native_document(tree: Raw, expected: bool) -> None:
    """Whatever stands beside it: it would be read over whole."""
    assert is_azure(tree) is expected


def test_the_native_sections_are_those_of_the_schema() -> None:
    """They are listed twice, as Azure's JSON is read below the native format."""
    assert set(DOCUMENT.fields) == NATIVE_SECTIONS


def test_a_native_document_is_not_read_over() -> None:
    """It is refused for the key that it should not have."""
    found = problem({"type": "A.b/c", "networkSecurityGroups": [{"name": "web"}]})
    assert found.startswith("d0 type: ")


@pytest.mark.parametrize(
    "empty", [[], [[]], {"value": []}, [resource("publicIPAddresses", "p", {})]]
)
def test_answers_without_a_resource(empty: object) -> None:
    """As 'az ... list' answers in the wrong subscription; beside others it is right."""
    assert "d0 : no resource is declared" in problem(empty)
    assert "no resource is declared" in problem({"daemon": {"queueNumber": 3}}, empty)
    assert load(nsg(), empty).model.network_security_groups


def test_two_overlays_of_one_interface() -> None:
    """The last one would win in silence, or both together."""
    first = {"networkInterfaces": [{"name": "web1", "link": "veth1"}]}
    second = {"networkInterfaces": [{"name": "WEB1", "link": "veth2"}]}
    assert load(vnet(), nic(), first).model.network_interfaces[0].link == "veth1"
    found = problem(vnet(), nic(), first, second)
    assert found.startswith("d3 networkInterfaces[0]: ")
    assert "is added already by networkInterfaces[0] in d2; " in found
    both = {"networkInterfaces": first["networkInterfaces"] + second["networkInterfaces"]}
    found = problem(vnet(), nic(), both)
    assert found.startswith("d2 networkInterfaces[1]: ")
    assert "is added already by networkInterfaces[0]; " in found


def test_an_empty_object_is_not_absent() -> None:
    """Not where it would say something; where nothing depends on it, it may be."""
    assert "an empty object says nothing" in problem(vnet(), nic(networkSecurityGroup={}))
    written = nsg()
    written["properties"]["securityRules"] = {}
    assert "an empty object says nothing" in problem(written)
    assert load(vnet(), nic(dnsSettings={}, unheardOf={})).model.network_interfaces


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("Microsoft.Network/networkSecurityGroups/securityRule", "is not known, and may decide"),
        ("Microsoft.Network/virtualNetworks/subnet", "is not known, and may decide"),
        ("Microsoft.Network/networkSecurityGroup", "is not known, and may decide"),
        ("Microsoft.ClassicNetwork/networkSecurityGroups", "of the classic deployment model"),
    ],
)
def test_types_that_may_decide(kind: str, why: str) -> None:
    """A misspelt rule is not read over."""
    name = "x/y" if kind.count("/") > 1 else "x"
    assert why in problem(nsg(), {"type": kind, "name": name, "properties": {}})


@pytest.mark.parametrize(
    "kind",
    [
        "Microsoft.Compute/virtualMachineScaleSets/extensions",
        "Microsoft.Network/virtualNetworks/providers/locks",
        "Microsoft.Network/networkSecurityPerimeters",
        "Microsoft.Network/virtualNetworkTaps",
    ],
)
def test_types_that_do_not(kind: str) -> None:
    """They are read over and counted."""
    loaded = load(nsg(), {"type": kind, "name": "x/y", "properties": {}})
    assert loaded.notes == (f"read over: 1 of type {kind}",)


def test_keys_compare_without_case() -> None:
    """All of them, those too that tell what a resource is."""
    written = nsg(rule())
    expected = load(written).model
    for key in ("properties", "type", "id", "name"):
        changed = {**written, key.title(): written[key]}
        del changed[key]
        assert load(changed).model == expected, key
    loud = {"Properties": written["properties"], "Type": written["type"], "Id": written["id"]}
    assert load(loud).model == expected


def test_two_keys_that_differ_in_case_only() -> None:
    """Which of them counts would be a guess."""
    one, other = ref("networkSecurityGroups", "web"), ref("networkSecurityGroups", "open")
    both = {"Id": other["id"], **one}
    found = problem(vnet(), nic(networkSecurityGroup=both), nsg(), nsg(name="open"))
    assert found.startswith("d1 properties.networkSecurityGroup.Id: ")
    assert "also by properties.networkSecurityGroup.id; " in found
    for key in ("Type", "Id", "Name"):
        assert any(f"d0 {key}: " in line for line in problems({**nsg(), key: "x"}))
    assert any("d0 Properties: " in line for line in problems({**nsg(), "Properties": {"a": 1}}))


def test_a_field_in_both_places_is_told_by_its_path() -> None:
    """Under properties and beside them."""
    written = {**rule(), "access": "Deny"}
    found = problem(nsg(written))
    assert "access is given twice, also by properties.securityRules[0].access; " in found


def test_a_configuration_without_a_subnet() -> None:
    """That of another one would be a guess."""
    second = configuration("10.0.1.5")
    del second["properties"]["subnet"]
    found = problem(vnet(), nic(configuration(), second))
    assert found.startswith("d1 properties.ipConfigurations[1].properties.subnet: ")
    found = problem(vnet(), nic(second, configuration()))
    assert found.startswith("d1 properties.ipConfigurations[0].properties.subnet: ")


@pytest.mark.parametrize("has_type", [True, False])
def test_a_part_with_another_name_than_its_id(has_type: bool) -> None:
    """As of resources; a peering's name decides nothing."""
    written = {**rule("Single"), "name": "Other"}
    if not has_type:
        del written["type"]
    assert "'Other' is not the name in its id" in problem(nsg(), written)


def many_groups(count: int) -> list[object]:
    """Groups of one name, each different; and NICs that refer to it."""
    return [[without_id(nsg(rule(description=str(i)))) for i in range(count)]]


def many_parts(count: int) -> list[object]:
    """Rules by themselves, of one name."""
    return [nsg(), [rule("Single", description=str(i)) for i in range(count)]]


@pytest.mark.parametrize("make", [many_groups, many_parts])
def test_work_grows_as_the_number(make: Callable[[int], list[object]]) -> None:
    """Eight times as many take about eight times as many calls; a square would be 64."""

    def calls(count: int) -> int:
        documents = make(count)
        made = 0

        def count_call(frame: object, event: str, argument: object) -> None:
            nonlocal made
            made += event in ("call", "c_call")

        sys.setprofile(count_call)
        try:
            problems(*documents)
        finally:
            sys.setprofile(None)
        return made

    assert calls(400) < 12 * calls(50)


def test_flattened_groups_still_load() -> None:
    """With what az prints of those that use them."""
    written = flatten(nsg(rule(), networkInterfaces=[ref("networkInterfaces", "web1")]))
    assert load(written, asg()).model.network_security_groups
