"""What decides which packets pass must be given; each property that does is named here."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.arm.needed import DECIDING
from nsgd.arm.problem import Path, TemplateRefused
from tests.arm.templates import VNET, deploy, resource

MISSING = {"p": {"type": "string"}}
P = "[parameters('p')]"
NETWORK = "Microsoft.Network/"
NSG = f"{NETWORK}networkSecurityGroups"
NIC = f"{NETWORK}networkInterfaces"

# The types with all their properties, and the others with each that decides.
WHOLE = [
    (f"{NSG}/securityRules", "a/b"),
    (f"{VNET}/subnets", "a/b"),
    (f"{VNET}/virtualNetworkPeerings", "a/b"),
    (f"{NETWORK}routeTables/routes", "a/b"),
]
PARTS = [
    (NSG, ("securityRules",)),
    (NSG, ("defaultSecurityRules",)),
    (NSG, ("flushConnection",)),
    (VNET, ("addressSpace",)),
    (VNET, ("subnets",)),
    (VNET, ("virtualNetworkPeerings",)),
    (NIC, ("ipConfigurations",)),
    (NIC, ("networkSecurityGroup",)),
    (NIC, ("enableIPForwarding",)),
    (NIC, ("disableTcpStateTracking",)),
    (f"{NETWORK}routeTables", ("routes",)),
    ("Microsoft.Compute/virtualMachineScaleSets", ("virtualMachineProfile", "networkProfile")),
]
BY_NAME_ALONE = [f"{NETWORK}applicationSecurityGroups"]


def inside(keys: Path, value: Any) -> dict[str, Any]:
    """An object with the value at these keys."""
    for key in reversed(keys):
        value = {key: value}
    return value if isinstance(value, dict) else {}


def is_refused(one: dict[str, Any]) -> bool:
    """Whether the parameter p must be given; with a value the resource is always there."""
    assert deploy(one, parameters=MISSING, given={"p": "a"}).resources
    try:
        deploy(one, parameters=MISSING)
    except TemplateRefused as refused:
        return [problem.path for problem in refused.problems] == [("parameters", "p")]
    return False


@pytest.mark.parametrize(("kind", "keys"), PARTS)
@pytest.mark.parametrize("below", [(), ("x",)])
def test_a_property_that_decides(kind: str, keys: Path, below: Path) -> None:
    """Where it is missing, and where something inside is."""
    assert is_refused(resource(kind, "a", **inside((*keys, *below), P)))


@pytest.mark.parametrize(("kind", "name"), WHOLE)
def test_a_type_that_decides(kind: str, name: str) -> None:
    """By any of its properties, and all of them."""
    assert is_refused(resource(kind, name, anything=P))
    assert is_refused({**resource(kind, name), "properties": P})


@pytest.mark.parametrize("kind", [*BY_NAME_ALONE, *(kind for kind, _ in PARTS)])
def test_a_name_and_a_condition(kind: str) -> None:
    """What is there, and what it is called."""
    assert is_refused(resource(kind, P))
    assert is_refused({**resource(kind, "a"), "condition": "[equals(parameters('p'), 'a')]"})
    assert not is_refused(resource(kind, "a", tags=P))


def test_all_that_decides_is_named_here() -> None:
    """None of it is without a test."""
    expected: dict[str, Any] = {kind.lower(): None for kind, _ in WHOLE}
    expected |= {kind.lower(): () for kind in BY_NAME_ALONE}
    for kind, keys in PARTS:
        expected[kind.lower()] = (*expected.get(kind.lower(), ()), keys)
    assert expected == DECIDING


@pytest.mark.parametrize("is_inside", [True, False])
@pytest.mark.parametrize(
    ("delegations", "decides"),
    [
        (P, True),
        ([P], True),
        ([{"name": "d", "properties": P}], True),
        ([{"name": "d", "properties": {"serviceName": P}}], True),
        ([{"name": "d", "serviceName": P}], True),
        ([{"name": P, "properties": {"serviceName": "Microsoft.Sql/managedInstances"}}], False),
        ([{"id": P, "properties": {"serviceName": "x", "actions": [P]}}], False),
    ],
)
def test_a_delegation(delegations: Any, decides: bool, is_inside: bool) -> None:
    """Its service keeps security admin rules from the subnet, whatever it is called itself."""
    subnet = {"name": "s", "properties": {"delegations": delegations}}
    one = (
        resource(VNET, "v", subnets=[subnet])
        if is_inside
        else {**resource(f"{VNET}/subnets", "v/s"), "properties": subnet["properties"]}
    )
    assert is_refused(one) is decides
