"""Which hosts a lab has, and which addresses: without building any."""

from __future__ import annotations

import pytest

from nsgd.lab.candidates import Candidate, givers_for, inside_candidates
from nsgd.lab.choose import Choice, choose_hosts
from nsgd.lab.outside import outside_candidates
from nsgd.lab.topology import topology_problems
from nsgd.model.address import Address
from nsgd.policy.compile import compile_policy
from nsgd.policy.service_tags import GLOBALLY_REACHABLE
from tests.lab.policies import (
    FORWARDING,
    NO_GROUP,
    PEERED,
    SCALED,
    Json,
    load,
    network,
    nic,
    subnet,
)


def candidates_of(document: Json) -> list[Candidate]:
    """All hosts that there could be."""
    model = load(document).model
    givers = givers_for(model)
    return [*inside_candidates(model, givers), *outside_candidates(model, givers)]


def choice_of(document: Json, limit: int = 24) -> Choice:
    """The hosts that there are."""
    return choose_hosts(candidates_of(document), limit, compile_policy(load(document).model))


def addresses(choice: Choice, name: str) -> list[str]:
    """Those of one host."""
    return [str(a) for host in choice.hosts if host.name == name for a in host.addresses]


@pytest.mark.parametrize("document", [PEERED, SCALED, FORWARDING, NO_GROUP])
def test_every_lab_can_be_built(document: Json) -> None:
    """No name, link or address twice."""
    choice = choice_of(document)
    assert topology_problems(choice.hosts) == []
    assert (choice.left_out, choice.not_shown) == ((), ())


def test_a_host_for_everything_that_is_judged_apart() -> None:
    """NICs, an undeclared address of each subnet, and each place outside."""
    names = [host.name for host in choice_of(PEERED).hosts]
    assert names == [
        "web1",
        "web2",
        "app1",
        "hub-web-other",
        "hub-open-other",
        "spoke-apps-other",
        "alone-one-other",
        "internet",
        "elsewhere",
        "platform",
        "on-premises-hub",
    ]


def test_links_of_documents_are_kept_and_others_made_up() -> None:
    """Unlike one another, and unlike any that a document names."""
    document = NO_GROUP | {
        "networkInterfaces": [
            nic("a", "one", "10.5.1.4"),
            nic("b", "one", "10.5.1.5", link="h-a"),
            nic("a-very-long-name-indeed-1", "one", "10.5.1.6"),
            nic("a-very-long-name-indeed-2", "one", "10.5.1.7"),
        ]
    }
    links = [host.gateway_link for host in choice_of(document).hosts[:4]]
    assert links == ["h-a-2", "h-a", "h-a-very-long-n", "h-a-very-long-2"]


def test_addresses_that_rules_tell_apart() -> None:
    """Inside of a part of a subnet that a rule names, and at the edges of prefixes outside."""
    choice = choice_of(PEERED)
    assert addresses(choice, "hub-web-other") == ["10.0.1.6", "fd00:10:0:1::6", "10.0.1.128"]
    assert addresses(choice, "internet")[2:] == ["198.51.100.127", "198.51.100.128"]
    assert addresses(choice, "on-premises-hub") == ["192.168.0.4", "192.168.7.255", "192.168.8.0"]
    assert all(
        GLOBALLY_REACHABLE.contains(*Address.parse(a)) for a in addresses(choice, "internet")
    )
    assert not any(
        GLOBALLY_REACHABLE.contains(*Address.parse(a)) for a in addresses(choice, "elsewhere")
    )


def test_the_internet_is_elsewhere_where_a_network_has_its_addresses() -> None:
    """A declared network may use any addresses, those of the lab's Internet too."""
    document = {
        "virtualNetworks": [
            network(
                "net",
                ["203.0.113.0/24"],
                subnet("one", "203.0.113.0/25"),
                onPremises=["172.31.0.0/16"],
            )
        ]
    }
    choice = choice_of(document)
    assert not addresses(choice, "internet")[0].startswith("203.0.113.")
    assert addresses(choice, "elsewhere") == ["192.168.255.100"]


def test_two_instances_of_a_scale_set() -> None:
    """At addresses that no NIC has and Azure does not reserve; nobody else has them."""
    choice = choice_of(SCALED)
    assert addresses(choice, "set-0") + addresses(choice, "set-1") == ["10.3.1.32", "10.3.1.33"]
    assert addresses(choice, "net-pool-other") == ["10.3.1.5"]


def test_a_host_behind_a_forwarding_nic() -> None:
    """It has an address that a route leads to, where there is one, and no link of its own."""
    (candidate,) = (c for c in choice_of(FORWARDING).chosen if c.name == "firewall")
    firewall, behind = candidate.hosts
    assert [str(a) for a in behind.addresses] == ["10.99.0.4", "fd53:b::4"]
    assert (behind.behind, behind.gateway_link) == ("firewall", firewall.gateway_link)


@pytest.mark.parametrize("limit", range(2, 12))
def test_few_hosts_show_the_most(limit: int) -> None:
    """The Internet always, then groups; what is not shown is told, and the limit holds."""
    choice = choice_of(PEERED, limit)
    assert len(choice.hosts) <= limit
    assert "internet" in {host.name for host in choice.hosts}
    shown = {what for candidate in choice.chosen for what in candidate.shows}
    assert not shown & set(choice.not_shown)
    groups = {name for kind, name in shown if kind == "network security group"}
    assert groups == ({"web", "apps", "app1"} if limit > 2 else {"apps", "app1"})
    kinds = {kind for kind, _ in choice.not_shown}
    assert ("network security group" in kinds) == (limit == 2)
    assert ("subnet" in kinds) == (limit < 8)


def test_names_fit_for_files() -> None:
    """A network of a resource group is named GROUP/NAME; no two hosts get one name."""
    document = {
        "virtualNetworks": [
            network("rg/net", ["10.6.0.0/16"], subnet("one", "10.6.1.0/24")),
            network("rg-net", ["10.7.0.0/16"], subnet("one", "10.7.1.0/24")),
        ],
        "networkInterfaces": [nic("gateway", "rg/net/one", "10.6.1.4")],
    }
    names = [host.name for host in choice_of(document).hosts]
    assert names[:3] == ["gateway-2", "rg-net-one-other", "rg-net-one-other-2"]


def test_what_tells_rules_apart_chooses_among_the_rest() -> None:
    """Of fifty NICs in one subnet, the one that a rule names is there."""
    document = {
        "virtualNetworks": [
            network("net", ["10.8.0.0/16"], subnet("one", "10.8.1.0/24", nsg="group"))
        ],
        "networkInterfaces": [nic(f"n{i}", "one", f"10.8.1.{i}") for i in range(10, 60)],
        "networkSecurityGroups": [
            {
                "name": "group",
                "securityRules": [
                    {
                        "name": "FromOne",
                        "priority": 100,
                        "direction": "Inbound",
                        "access": "Deny",
                        "protocol": "*",
                        "sourceAddressPrefix": "10.8.1.47",
                        "sourcePortRange": "*",
                        "destinationAddressPrefix": "*",
                        "destinationPortRange": "*",
                    }
                ],
            }
        ],
    }
    choice = choice_of(document, 6)
    assert "n47" in {host.name for host in choice.hosts}
    assert len(choice.left_out) == 50 + 1 + 3 - 6
