"""Network interfaces and scale sets, from Azure's JSON to the model."""

from __future__ import annotations

from datetime import date

import pytest

from nsgd.model.network import NetworkInterface, ScaleSet
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
    scale_set,
    scale_set_interface,
    subnet,
    vnet,
)
from tests.models import addresses, prefixes

WEB: Raw = {"applicationSecurityGroups": [ref("applicationSecurityGroups", "WebServers")]}
DUAL = subnet(addressPrefixes=["10.0.1.0/24", "fd00:10:0:1::/64"])
DUAL["properties"].pop("addressPrefix")


def dual_network() -> Raw:
    """A network with both families."""
    network = vnet(DUAL)
    network["properties"]["addressSpace"]["addressPrefixes"].append("fd00:10::/48")
    return network


def test_an_interface() -> None:
    """All its configurations, its groups, and what az shows besides."""
    written = nic(
        configuration("10.0.1.4", **WEB, publicIPAddress=ref("publicIPAddresses", "pip")),
        configuration("10.0.1.9", **WEB, primary=False),
        configuration("fd00:10:0:1::4", **WEB, privateIPAddressVersion="IPv6"),
        networkSecurityGroup=ref("networkSecurityGroups", "web"),
        enableIPForwarding=True,
        enableAcceleratedNetworking=False,
        disableTcpStateTracking=False,
        dnsSettings={"dnsServers": [], "appliedDnsServers": []},
        macAddress="00-0D-3A-1B-C7-21",
        primary=True,
        virtualMachine=ref("Microsoft.Compute/virtualMachines", "vm"),
        hostedWorkloads=[],
        tapConfigurations=[],
    )
    others = (dual_network(), nsg(), asg())
    loaded = load(written, *others)
    assert loaded.model.network_interfaces == (
        NetworkInterface(
            "web1",
            "hub",
            "web",
            addresses("10.0.1.4", "10.0.1.9", "fd00:10:0:1::4"),
            network_security_group="web",
            enable_ip_forwarding=True,
            application_security_groups=("WebServers",),
        ),
    )
    assert load(flatten(written), *others).model == loaded.model


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        (nic(configuration("10.0.2.4")), "[0].properties.privateIPAddress", "outside subnet"),
        (nic(configuration("10.0.1.3")), "[0].properties.privateIPAddress", "is reserved"),
        (
            nic(configuration(), configuration("10.0.1.4")),
            "[1].properties.privateIPAddress",
            "taken in virtual network 'hub' by properties.ipConfigurations[0].properties.privateIP",
        ),
        (
            nic(configuration(None, privateIPAllocationMethod="Static")),
            "[0].properties.privateIPAddress",
            "null is not an address",
        ),
        (
            nic(configuration(privateIPAddressPrefixLength=28)),
            "[0].properties.privateIPAddressPrefixLength",
            "may decide",
        ),
        (
            nic(configuration("10.0.1.4", f"{rid('virtualNetworks', 'hub')}/subnets/gone")),
            "[0].properties.subnet.id",
            "no subnet named 'gone'",
        ),
        (
            nic(
                configuration(),
                configuration("10.0.2.9", f"{rid('virtualNetworks', 'hub')}/subnets/b"),
            ),
            "[1].properties.subnet.id",
            "differs from",
        ),
        (
            nic(configuration(**WEB), configuration("10.0.1.5")),
            "[1].properties.applicationSecurityGroups",
            "differ from those of the interface's first",
        ),
    ],
)
def test_problems(written: Raw, path: str, message: str) -> None:
    """Each at the configuration that has it."""
    network = vnet(subnet(), subnet("b", "10.0.2.0/24"))
    found = problems(written, network, asg())
    wanted = f"d0 properties.ipConfigurations{path}: "
    assert any(line.startswith(wanted) and message in line for line in found), found
    assert len(found) <= 2


def test_no_configurations() -> None:
    """There is then nothing to judge, and that is said where they would be."""
    written = nic()
    written["properties"]["ipConfigurations"] = []
    assert [line.partition(": ")[0] for line in problems(written, vnet())] == [
        "d0 properties.ipConfigurations",
        "d0 properties.ipConfigurations",
    ]


@pytest.mark.parametrize(
    ("key", "value"), [("disableTcpStateTracking", True), ("networkSecurityGroups", ["x"])]
)
def test_what_cannot_be_expressed(key: str, value: object) -> None:
    """It would decide."""
    changed: Raw = {key: value}
    assert problem(nic(**changed), vnet()).startswith(f"d0 properties.{key}: ")


class TestDynamic:
    """Dynamic addresses: the first free ones from the fourth on (azure-reference.md, choice 15)."""

    def addresses_of(self, *documents: object) -> list[str]:
        """The first address of each interface."""
        interfaces = load(*documents).model.network_interfaces
        return [str(interface.private_ip_addresses[0]) for interface in interfaces]

    def test_document_order(self) -> None:
        """Whatever order their networks stand in."""
        nics = [nic(configuration(None), name=name) for name in ("a", "b", "c")]
        expected = ["10.0.1.4", "10.0.1.5", "10.0.1.6"]
        assert self.addresses_of(nics, vnet()) == expected
        assert self.addresses_of(vnet(), *nics) == expected
        assert self.addresses_of([flatten(n) for n in nics], vnet()) == expected

    def test_taken_addresses_are_passed_over(self) -> None:
        """Static ones, those that Azure has given already, and those of native documents."""
        native = {
            "networkInterfaces": [
                {"name": "n", "subnet": "HUB/web", "privateIPAddresses": ["10.0.1.6"]}
            ]
        }
        written = [
            nic(configuration(None), name="a"),
            nic(configuration("10.0.1.4"), name="b"),
            nic(configuration("10.0.1.5", privateIPAllocationMethod="Dynamic"), name="c"),
            nic(configuration(None), name="d"),
        ]
        assert self.addresses_of(written, vnet(), native) == [
            "10.0.1.7", "10.0.1.4", "10.0.1.5", "10.0.1.8", "10.0.1.6"
        ]  # fmt: skip

    def test_several_configurations_and_families(self) -> None:
        """Each family from its own prefix."""
        written = nic(
            configuration(None),
            configuration(None, privateIPAddressVersion="IPv6"),
            configuration(None),
        )
        (interface,) = load(written, dual_network()).model.network_interfaces
        assert interface.private_ip_addresses == addresses("10.0.1.4", "fd00:10:0:1::4", "10.0.1.5")

    def test_a_subnet_is_full(self) -> None:
        """A /29 has three addresses to give; the fourth interface is told."""
        network = vnet(subnet(prefix="10.0.1.0/29"))
        nics = [nic(configuration(None), name=f"n{i}") for i in range(4)]
        assert self.addresses_of(nics[:3], network) == ["10.0.1.4", "10.0.1.5", "10.0.1.6"]
        found = problem(nics, network)
        path = "[3].properties.ipConfigurations[0].properties.privateIPAddress"
        assert found.startswith(f"d0 {path}: ")
        assert "has no free IPv4 address left" in found
        no_v6 = nic(configuration(None, privateIPAddressVersion="IPv6"))
        assert "has no free IPv6 address left" in problem(no_v6, vnet())

    def test_an_unknown_subnet(self) -> None:
        """Only the subnet is reported."""
        found = problem(nic(configuration(None)), nsg())
        assert found.startswith("d0 properties.ipConfigurations[0].properties.subnet.id: ")

    def test_other_networks_do_not_matter(self) -> None:
        """Unpeered networks may overlap: an address is taken in its own only."""
        other = f"{rid('virtualNetworks', 'other')}/subnets/web"
        nics = [nic(configuration("10.0.1.4", other), name="a"), nic(configuration(None), name="b")]
        assert self.addresses_of(nics, vnet(), vnet(name="other")) == ["10.0.1.4", "10.0.1.4"]

    def test_a_native_network(self) -> None:
        """The subnet may be declared natively."""
        native = {
            "virtualNetworks": [
                {
                    "name": "Hub",
                    "addressSpace": ["10.0.0.0/16"],
                    "subnets": [{"name": "Web", "addressPrefixes": ["10.0.9.0/24"]}],
                }
            ]
        }
        assert self.addresses_of(native, nic(configuration(None))) == ["10.0.9.4"]

    def test_instances_are_passed_over(self) -> None:
        """Scale sets that say their prefixes hold these."""
        native = {
            "scaleSets": [
                {
                    "name": "s",
                    "subnet": "hub/web",
                    "privateIPAddressPrefixes": ["10.0.1.0/28", "10.0.1.32/27"],
                }
            ]
        }
        taken = nic(configuration("10.0.1.16"), name="b")
        expected = ["10.0.1.17", "10.0.1.16"]
        assert self.addresses_of(nic(configuration(None)), taken, vnet(), native) == expected


class TestOverlay:
    """Native entries that add links and addresses (azure-reference.md, choice 15)."""

    def overlay(self, *entries: Raw) -> Raw:
        """A native document with such entries."""
        return {"networkInterfaces": list(entries)}

    def test_a_link_and_an_address(self) -> None:
        """By name, without case, in any order; other entries stay."""
        overlay = self.overlay(
            {"name": "WEB1", "link": "veth1", "privateIPAddresses": ["10.0.1.77"]},
            {"name": "own", "subnet": "hub/web", "privateIPAddresses": ["10.0.1.4"]},
        )
        for documents in ((overlay, vnet(), nic()), (nic(), overlay, vnet())):
            by_name = {i.name: i for i in load(*documents).model.network_interfaces}
            assert by_name["web1"].link == "veth1"
            assert by_name["web1"].private_ip_addresses == addresses("10.0.1.77")
            assert by_name["own"].private_ip_addresses == addresses("10.0.1.4")

    def test_it_fixes_dynamic_addresses(self) -> None:
        """Nothing is then chosen, and the address is taken for others."""
        overlay = self.overlay({"name": "a", "privateIPAddresses": ["10.0.1.4"]})
        nics = [nic(configuration(None), name="b"), nic(configuration(None), name="a")]
        interfaces = load(nics, vnet(), overlay).model.network_interfaces
        assert [str(i.private_ip_addresses[0]) for i in interfaces] == ["10.0.1.5", "10.0.1.4"]

    def test_created(self) -> None:
        """The day on which the rule about SMTP depends."""
        overlay = self.overlay({"name": "web1", "created": "2020-01-01"})
        (interface,) = load(nic(), vnet(), overlay).model.network_interfaces
        assert interface.created == date(2020, 1, 1)

    def test_problems_are_the_overlays(self) -> None:
        """With its path in its own document, also past entries that were taken out."""
        overlay = self.overlay(
            {"name": "web1", "link": "a/b", "privateIPAddresses": ["10.0.9.9"]},
            {"name": "own", "subnet": "hub/web", "privateIPAddresses": ["x"]},
        )
        found = problems(nic(), vnet(), overlay)
        assert sorted(line.partition(": ")[0] for line in found) == [
            "d2 networkInterfaces[0].link",
            "d2 networkInterfaces[0].privateIPAddresses[0]",
            "d2 networkInterfaces[1].privateIPAddresses[0]",
        ]

    def test_what_it_may_not_add(self) -> None:
        """What Azure decides stays Azure's; a whole declaration of the name is a clash."""
        found = problem(nic(), vnet(), self.overlay({"name": "web1", "enableIPForwarding": True}))
        assert found.startswith("d2 networkInterfaces[0].enableIPForwarding: ")
        whole = {"name": "web1", "subnet": "hub/web", "privateIPAddresses": ["10.0.1.9"]}
        assert "already taken" in problem(nic(), vnet(), self.overlay(whole))

    def test_of_nothing(self) -> None:
        """An entry of a name that no Azure document has is a declaration that lacks its subnet."""
        found = problem(
            nic(),
            vnet(),
            self.overlay({"name": "other", "link": "v", "privateIPAddresses": ["10.0.1.9"]}),
        )
        assert found.startswith("d2 networkInterfaces[0].subnet: ")


class TestScaleSets:
    """Scale sets: the group, the subnet and the application security groups of their instances."""

    def test_the_whole_subnet(self) -> None:
        """Azure does not say which addresses; that is told."""
        written = scale_set(
            scale_set_interface(networkSecurityGroup=ref("networkSecurityGroups", "web")),
            timeCreated="2021-03-04T05:06:07.89+00:00",
            orchestrationMode="Uniform",
            upgradePolicy={"mode": "Manual"},
        )
        written["sku"] = {"name": "Standard_D2s_v3", "capacity": 3}
        loaded = load(written, vnet(), nsg())
        assert loaded.model.scale_sets == (
            ScaleSet("vmss", "hub", "web", prefixes("10.0.1.0/24"), "web", (), date(2021, 3, 4)),
        )
        (note,) = loaded.notes
        assert "every address of subnet web" in note
        assert load(flatten(written), vnet(), nsg()).model == loaded.model

    def test_prefixes_of_an_overlay(self) -> None:
        """A native document may say which addresses they have; two sets then share a subnet."""
        one, two = (scale_set(scale_set_interface(), name=name) for name in ("one", "two"))
        overlay = {
            "scaleSets": [
                {"name": "one", "privateIPAddressPrefixes": ["10.0.1.32/27"]},
                {"name": "two", "privateIPAddressPrefixes": ["10.0.1.64/27"]},
            ]
        }
        loaded = load(one, two, vnet(), overlay)
        assert [s.private_ip_address_prefixes for s in loaded.model.scale_sets] == [
            prefixes("10.0.1.32/27"),
            prefixes("10.0.1.64/27"),
        ]
        assert loaded.notes == ()
        security_group = ref("networkSecurityGroups", "web")
        two = scale_set(scale_set_interface(networkSecurityGroup=security_group), name="two")
        found = problems(one, two, vnet(), nsg())
        assert sum("several scale sets are in subnet web" in line for line in found) == 2
        assert "scaleSets: [{name: one, privateIPAddressPrefixes: [...]}]" in found[0]

    def test_alike_in_one_subnet(self) -> None:
        """Where the same decides about both, it does not matter whose an address is."""
        one, two = (scale_set(scale_set_interface(), name=name) for name in ("one", "two"))
        loaded = load(one, two, vnet())
        assert [(s.name, s.private_ip_address_prefixes) for s in loaded.model.scale_sets] == [
            ("one", prefixes("10.0.1.0/24"))
        ]
        assert any("instances of two are judged as those of one" in n for n in loaded.notes)

    def test_several_interfaces(self) -> None:
        """Each configuration is an entry of its own."""
        other = {"id": f"{rid('virtualNetworks', 'hub')}/subnets/b"}
        second = scale_set_interface("eth1")
        second["properties"]["ipConfigurations"][0]["properties"]["subnet"] = other
        written = scale_set(scale_set_interface("eth0"), second)
        network = vnet(subnet(), subnet("b", "10.0.2.0/24"))
        sets = load(written, network).model.scale_sets
        assert [(s.name, s.subnet) for s in sets] == [("vmss.eth0", "web"), ("vmss.eth1", "b")]

    def test_flexible_orchestration(self) -> None:
        """Without a network profile the instances are interfaces of their own."""
        written = scale_set(orchestrationMode="Flexible")
        assert load(written, vnet()).model.scale_sets == ()
        profile = written["properties"]["virtualMachineProfile"]
        profile["networkProfile"] = {"networkApiVersion": "2020-11-01"}
        assert load(written, vnet()).model.scale_sets == ()
        del written["properties"]["virtualMachineProfile"]
        assert load(written, vnet()).model.scale_sets == ()

    @pytest.mark.parametrize("mode", ["Uniform", None])
    @pytest.mark.parametrize(
        ("profile", "path"),
        [
            (None, ""),
            ({"osProfile": {"computerNamePrefix": "x"}}, ".networkProfile"),
            (
                {"networkProfile": {"healthProbe": {"id": "x"}}},
                ".networkProfile.networkInterfaceConfigurations",
            ),
        ],
    )
    def test_no_interface(self, mode: str | None, profile: Raw | None, path: str) -> None:
        """Only flexible instances may be interfaces of their own."""
        written = scale_set(orchestrationMode=mode)
        written["properties"]["virtualMachineProfile"] = profile
        found = problem(written, vnet())
        assert "its orchestration mode is not Flexible" in found
        assert found.startswith(f"d0 properties.virtualMachineProfile{path}: ")

    @pytest.mark.parametrize("mode", ["Uniform", "Flexible"])
    def test_a_misspelt_level(self, mode: str) -> None:
        """What stands there would be passed over, its group too."""
        interface = scale_set_interface(networkSecurityGroup=ref("networkSecurityGroups", "web"))
        written = scale_set(interface, orchestrationMode=mode)
        profile = written["properties"]["virtualMachineProfile"]["networkProfile"]
        profile["networkInterfaceConfiguration"] = profile.pop("networkInterfaceConfigurations")
        found = problems(written, vnet(), nsg())
        assert "key 'networkInterfaceConfiguration' of a network profile is not known" in found[0]
        profile["networkInterfaceConfigurations"] = profile.pop("networkInterfaceConfiguration")
        inner = written["properties"]["virtualMachineProfile"]
        inner["networkProfiles"] = inner.pop("networkProfile")
        found = problems(written, vnet(), nsg())
        assert "key 'networkProfiles' of a virtual machine profile is not known" in found[0]

    def test_forwarding_cannot_be_expressed(self) -> None:
        """Instances would send from others' addresses."""
        written = scale_set(scale_set_interface(enableIPForwarding=True))
        path = "virtualMachineProfile.networkProfile.networkInterfaceConfigurations[0].properties"
        found = problem(written, vnet())
        assert found.startswith(f"d0 properties.{path}.enableIPForwarding: ")

    def test_problems(self) -> None:
        """At the path of the profile."""
        group = ref("networkSecurityGroups", "gone")
        written = scale_set(scale_set_interface(networkSecurityGroup=group))
        path = "virtualMachineProfile.networkProfile.networkInterfaceConfigurations[0].properties"
        found = problem(written, vnet())
        assert found.startswith(f"d0 properties.{path}.networkSecurityGroup.id: ")

    def test_interfaces_of_instances(self) -> None:
        """az vmss nic list: they are read with their scale set, or refused."""
        instance = resource("x", "nic", {})
        instance["type"] = (
            "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces"
        )
        parent = rid("Microsoft.Compute/virtualMachineScaleSets", "vmss")
        instance["id"] = f"{parent}/virtualMachines/0/networkInterfaces/nic"
        assert "scale set vmss, which is not among" in problem(instance, vnet())
        loaded = load(instance, scale_set(scale_set_interface()), vnet())
        assert len(loaded.model.scale_sets) == 1
        assert any("read over" in note for note in loaded.notes)
