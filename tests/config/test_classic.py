"""Virtual machines and cloud services of the classic deployment model."""

from __future__ import annotations

import pytest

from nsgd.model.network import CloudService
from tests.config.documents import Raw, load, network, refuse, refuse_one


def machine(name: str = "web1", address: str = "10.0.1.4", **fields: object) -> Raw:
    """A virtual machine in lab/web."""
    return {"name": name, "subnet": "lab/web", "privateIPAddresses": [address], **fields}


def instance(name: str = "role_0", address: str = "10.0.1.6", **fields: object) -> Raw:
    """A role instance in lab/web."""
    return machine(name, address, **fields)


def document(
    machines: list[Raw], *services: Raw, groups: tuple[str, ...] = ("vm", "service")
) -> Raw:
    """A classic document with network lab and some groups."""
    return {
        "dialect": "classic",
        "virtualNetworks": [network()],
        "virtualMachines": machines,
        "cloudServices": list(services),
        "networkSecurityGroups": [{"name": name} for name in groups],
    }


def service(name: str = "shop", **fields: object) -> Raw:
    """A cloud service with a group."""
    return {"name": name, "networkSecurityGroup": "service", **fields}


def test_a_machine_is_a_network_interface() -> None:
    """With all that an interface has, application security groups apart."""
    fields: Raw = {
        "link": "veth-web1",
        "networkSecurityGroup": "VM",
        "enableIPForwarding": True,
        "created": "2020-01-01",
    }
    (classic,) = load(document([machine(**fields)])).model.network_interfaces
    as_interface: Raw = {
        "virtualNetworks": [network()],
        "networkInterfaces": [machine(**fields)],
        "networkSecurityGroups": [{"name": "vm"}, {"name": "service"}],
    }
    assert classic == load(as_interface).model.network_interfaces[0]
    path, message, _ = refuse_one(document([machine(applicationSecurityGroups=["a"])]))
    assert path == "virtualMachines[0].applicationSecurityGroups"
    assert "unknown key 'applicationSecurityGroups'" in message


def test_a_cloud_service() -> None:
    """Its group is that of its machines and role instances, and of no other."""
    loaded = load(
        document(
            [machine(networkSecurityGroup="vm"), machine("web2", "10.0.1.5")],
            service(virtualMachines=["WEB2"], roleInstances=[instance()]),
            service("empty"),
        )
    ).model
    assert [(nic.name, nic.network_security_group) for nic in loaded.network_interfaces] == [
        ("web1", "vm"),
        ("web2", "service"),
        ("shop/role_0", "service"),
    ]
    assert loaded.cloud_services == (
        CloudService("shop", "service", ("web2",), ("shop/role_0",)),
        CloudService("empty", "service"),
    )


def test_a_cloud_service_without_a_group() -> None:
    """Its machines keep their own."""
    loaded = load(
        document(
            [machine(networkSecurityGroup="vm")],
            {"name": "shop", "virtualMachines": ["web1"], "roleInstances": [instance()]},
        )
    ).model
    groups = [nic.network_security_group for nic in loaded.network_interfaces]
    assert groups == ["vm", None]


def test_role_instances_of_two_services_may_have_one_name() -> None:
    """They are told apart by their service."""
    loaded = load(
        document(
            [],
            service(roleInstances=[instance()]),
            service("other", roleInstances=[instance(address="10.0.1.7")]),
        )
    ).model
    assert [nic.name for nic in loaded.network_interfaces] == ["shop/role_0", "other/role_0"]
    twice = service(roleInstances=[instance(), instance(address="10.0.1.7")])
    path, message, _ = refuse_one(document([], twice))
    assert path == "cloudServices[0].roleInstances[1].name"
    assert "virtual machine name 'shop/role_0' is already taken" in message


def test_a_group_of_the_machine_and_one_of_its_service() -> None:
    """Azure does not say what holds, so one must go; even if both are the same group."""
    for own in ("vm", "service"):
        path, message, way_out = refuse_one(
            document([machine(networkSecurityGroup=own)], service(virtualMachines=["web1"]))
        )
        assert path == "cloudServices[0].virtualMachines[0]"
        assert message == (
            f"'shop': virtual machine 'web1' has network security group '{own}' of its own, and"
            " this cloud service has 'service'"
        )
        assert way_out == "keep one of them"


@pytest.mark.parametrize(
    ("services", "path", "first"),
    [
        (
            [service(virtualMachines=["web1"]), service("b", virtualMachines=["web1"])],
            "cloudServices[1].virtualMachines[0]",
            "cloudServices[0].virtualMachines[0]",
        ),
        (
            [service(virtualMachines=["web1", "WEB1"])],
            "cloudServices[0].virtualMachines[1]",
            "cloudServices[0].virtualMachines[0]",
        ),
        (
            [
                service(virtualMachines=["b/role_0"]),
                service("b", roleInstances=[instance()]),
            ],
            "cloudServices[0].virtualMachines[0]",
            "cloudServices[1].roleInstances[0]",
        ),
    ],
)
def test_a_machine_is_in_one_cloud_service(services: list[Raw], path: str, first: str) -> None:
    """Two could have two groups."""
    found, message, _ = refuse_one(document([machine()], *services))
    assert found == path
    assert message.endswith(f"is already in a cloud service, by {first}")


@pytest.mark.parametrize(
    ("changed", "path", "message"),
    [
        (
            service(virtualMachines=["web9"]),
            "virtualMachines[0]",
            "'shop': there is no virtual machine named 'web9'",
        ),
        (
            service(networkSecurityGroup="none"),
            "networkSecurityGroup",
            "'shop': there is no network security group named 'none'",
        ),
        (
            service(roleInstances=[instance(networkSecurityGroup="vm")]),
            "roleInstances[0].networkSecurityGroup",
            "'role_0' of 'shop': unknown key 'networkSecurityGroup'",
        ),
        (
            service(roleInstances=[instance(address="10.0.2.4")]),
            "roleInstances[0].privateIPAddresses[0]",
            "'role_0' of 'shop': 10.0.2.4 is outside subnet lab/web (10.0.1.0/24)",
        ),
        (
            service(roleInstances=[instance(address="10.0.1.4")]),
            "roleInstances[0].privateIPAddresses[0]",
            "'role_0' of 'shop': 10.0.1.4 is already taken in virtual network 'lab' by "
            "virtualMachines[0].privateIPAddresses[0]",
        ),
        ({"virtualMachines": ["web1"]}, "name", "name is missing"),
    ],
)
def test_what_is_refused(changed: Raw, path: str, message: str) -> None:
    """With the place inside the service."""
    found, said, _ = refuse_one(document([machine()], changed))
    assert found == f"cloudServices[0].{path}"
    assert said == message


def test_services_have_names_of_their_own() -> None:
    """Compared without case; a virtual machine may have the same."""
    path, message, _ = refuse_one(document([machine("shop")], service(), service("SHOP")))
    assert path == "cloudServices[1].name"
    assert "cloud service name 'SHOP' is already taken by cloudServices[0]" in message


def test_machines_in_several_documents() -> None:
    """A service may name a machine of another document."""
    first = document([machine()])
    second: Raw = {"cloudServices": [service(virtualMachines=["web1"])]}
    (nic,) = load(first, second).model.network_interfaces
    assert nic.network_security_group == "service"
    assert {problem.document for problem in refuse(first, second, {"dialect": "now"})} == {"d2"}
