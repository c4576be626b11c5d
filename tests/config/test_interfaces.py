"""Network interfaces and application security groups."""

from __future__ import annotations

import pytest

from nsgd.model.address import Address
from tests.config.documents import Raw, interface, load, network, refuse, refuse_one


def document(*interfaces: Raw, **fields: object) -> Raw:
    """The network lab, a twin of it named other, and these interfaces."""
    return {
        "virtualNetworks": [network(), network("other")],
        "networkInterfaces": list(interfaces),
        "applicationSecurityGroups": [{"name": "a"}, {"name": "b", "virtualNetwork": "lab"}],
        **fields,
    }


def in_subnet(prefix: str, address: str) -> Raw:
    """One interface in a subnet of that prefix alone."""
    subnet = {"name": "s", "addressPrefix": prefix}
    return {
        "virtualNetworks": [network(addressSpace=[prefix], subnets=[subnet])],
        "networkInterfaces": [interface(address=address, subnet="s")],
    }


@pytest.mark.parametrize(
    ("prefix", "address", "allowed"),
    [
        ("10.0.1.0/24", "10.0.1.0", "10.0.1.4 to 10.0.1.254"),
        ("10.0.1.0/24", "10.0.1.3", "10.0.1.4 to 10.0.1.254"),
        ("10.0.1.0/24", "10.0.1.4", None),
        ("10.0.1.0/24", "10.0.1.254", None),
        ("10.0.1.0/24", "10.0.1.255", "10.0.1.4 to 10.0.1.254"),
        ("10.0.1.8/29", "10.0.1.11", "10.0.1.12 to 10.0.1.14"),
        ("10.0.1.8/29", "10.0.1.12", None),
        ("10.0.1.8/29", "10.0.1.15", "10.0.1.12 to 10.0.1.14"),
        ("10.0.1.8/30", "10.0.1.8", None),
        ("10.0.1.8/31", "10.0.1.9", None),
        ("10.0.1.8/32", "10.0.1.8", None),
        ("fd00::/64", "fd00::", None),
        ("fd00::/64", "fd00::ffff:ffff:ffff:ffff", None),
    ],
)
def test_reserved_addresses(prefix: str, address: str, allowed: str | None) -> None:
    """The first four and the last of an IPv4 subnet that Azure could have."""
    if allowed is None:
        load(in_subnet(prefix, address))
    else:
        path, message, way_out = refuse_one(in_subnet(prefix, address))
        assert path == "networkInterfaces[0].privateIPAddresses[0]"
        assert message.startswith(f"'web1': {address} is reserved")
        assert way_out == f"write an address from {allowed}"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.2.4", "10.0.2.4 is outside subnet lab/web (10.0.1.0/24)"),
        ("fd00::4", "fd00::4 is outside subnet lab/web (10.0.1.0/24)"),
        ("10.0.1.4/24", "'10.0.1.4/24' is not an address"),
        ("10.0.1", "'10.0.1' is not an address"),
    ],
)
def test_an_address_that_is_refused(address: str, message: str) -> None:
    """Outside the subnet, or none."""
    path, found, _ = refuse_one(document(interface(address=address)))
    assert path == "networkInterfaces[0].privateIPAddresses[0]"
    assert found == f"'web1': {message}"


def test_an_address_is_taken_once_in_a_network() -> None:
    """By another interface or by the same one; another network may have it too."""
    twin = interface("web2", subnet="other/web")
    load(document(interface(), twin))
    path, message, _ = refuse_one(document(interface(), twin, interface("web3")))
    assert path == "networkInterfaces[2].privateIPAddresses[0]"
    assert message == (
        "'web3': 10.0.1.4 is already taken in virtual network 'lab' by "
        "networkInterfaces[0].privateIPAddresses[0]"
    )
    same = document(interface(privateIPAddresses=["10.0.1.4", "10.0.1.4"]))
    assert refuse_one(same)[0] == "networkInterfaces[0].privateIPAddresses[1]"


@pytest.mark.parametrize("absent", [None, "", []])
def test_an_address_is_required(absent: object) -> None:
    """An interface without one is never matched."""
    path, message, _ = refuse_one(document(interface(privateIPAddresses=absent)))
    assert path == "networkInterfaces[0].privateIPAddresses"
    assert message.endswith("privateIPAddresses is missing")


def test_several_addresses() -> None:
    """In the document's order."""
    addresses = ["10.0.1.9", "10.0.1.4"]
    config = load(document(interface(privateIPAddresses=addresses)))
    found = config.model.network_interfaces[0].private_ip_addresses
    assert found == tuple(Address.parse(address) for address in addresses)


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        ("lab/nope", "there is no subnet named 'nope'"),
        ("nope/web", "there is no virtual network named 'nope'"),
        ("nope", "there is no subnet named 'nope'"),
        ("web", "2 virtual networks have a subnet 'web'"),
        # A network's own name may have a slash.
        ("lab/web/x", "there is no virtual network named 'lab/web'"),
        ("/web", "there is no virtual network named ''"),
        ("lab/", "there is no subnet named ''"),
        (5, "5 is not text"),
    ],
)
def test_a_subnet_that_is_refused(subnet: object, message: str) -> None:
    """Unknown, or known twice."""
    path, found, way_out = refuse_one(document(interface(subnet=subnet)))
    assert path == "networkInterfaces[0].subnet"
    assert found == f"'web1': {message}"
    if "2 virtual" in message:
        assert way_out == "write the network too: lab/web, other/web"


@pytest.mark.parametrize("link", ["eth0", "a" * 15, "veth-web1", "x.100", "...", "é", "a@b", "_"])
def test_a_link_name(link: str) -> None:
    """What Linux takes and can be typed; bytes count, not characters."""
    if link == "é":
        assert refuse_one(document(interface(link=link)))[0] == "networkInterfaces[0].link"
    else:
        assert load(document(interface(link=link))).model.network_interfaces[0].link == link


@pytest.mark.parametrize(
    "link", ["a" * 16, "a/b", "a b", "a:b", ".", "..", "a\tb", "a\n", "\x7f", "\u00a0"]
)
def test_a_link_name_that_is_refused(link: str) -> None:
    """As dev_valid_name() of the kernel refuses it."""
    path, message, _ = refuse_one(document(interface(link=link)))
    assert path == "networkInterfaces[0].link"
    assert message.endswith("is not allowed")


def test_a_link_binds_one_interface() -> None:
    """Otherwise it would not say whose packets come."""
    one = interface(link="l0")
    load(document(one, interface("web2", "10.0.1.5", link="L0")))
    path, message, _ = refuse_one(document(one, interface("web2", "10.0.1.5", link="l0")))
    assert path == "networkInterfaces[1].link"
    assert message == "'web2': link 'l0' is already bound by networkInterfaces[0].link"


def test_names_are_unique_without_case() -> None:
    """In all documents together."""
    path, message, _ = refuse_one(document(interface(), interface("WEB1", "10.0.1.5")))
    assert path == "networkInterfaces[1].name"
    assert "network interface name 'WEB1' is already taken by networkInterfaces[0]" in message


def test_unknown_references() -> None:
    """Each at its place."""
    problems = refuse(
        document(
            interface(networkSecurityGroup="x", applicationSecurityGroups=["a", {"name": "y"}])
        )
    )
    assert [(problem.path, problem.message) for problem in problems] == [
        (
            "networkInterfaces[0].networkSecurityGroup",
            "'web1': there is no network security group named 'x'",
        ),
        (
            "networkInterfaces[0].applicationSecurityGroups[1]",
            "'y' of 'web1': there is no application security group named 'y'",
        ),
    ]


def test_members_of_a_group_are_in_one_network() -> None:
    """That of the first member, or the declared one."""
    mine = interface(applicationSecurityGroups=["A", "b"])
    config = load(document(mine))
    assert [item.virtual_network for item in config.model.application_security_groups] == [
        "lab",
        "lab",
    ]
    theirs = interface("web2", subnet="other/web", applicationSecurityGroups=["a", "b"])
    problems = refuse(document(mine, theirs))
    assert [problem.path for problem in problems] == [
        "networkInterfaces[1].applicationSecurityGroups[0]",
        "networkInterfaces[1].applicationSecurityGroups[1]",
    ]
    assert "'a' is in virtual network 'lab' by its first member, 'web1'" in problems[0].message
    assert "'b' is in virtual network 'lab' by its virtualNetwork" in problems[1].message


def test_a_group_is_joined_once() -> None:
    """Twice is a slip of the pen."""
    path, message, _ = refuse_one(document(interface(applicationSecurityGroups=["a", "A"])))
    assert path == "networkInterfaces[0].applicationSecurityGroups[1]"
    assert message == "'web1': 'a' is given twice"


def test_the_number_of_groups() -> None:
    """20 for one interface."""
    names = [f"g{i}" for i in range(21)]
    groups = [{"name": name} for name in names]

    def joined(count: int) -> Raw:
        mine = interface(applicationSecurityGroups=names[:count])
        return document(mine, applicationSecurityGroups=groups)

    load(joined(20))
    path, message, _ = refuse_one(joined(21))
    assert path == "networkInterfaces[0].applicationSecurityGroups"
    assert "21 application security groups, and a network interface is in at most 20" in message


def test_group_declarations_that_are_refused() -> None:
    """Unknown network, and a name taken."""
    raw = [{"name": "a"}, {"name": "A"}, {"name": "c", "virtualNetwork": "nope"}]
    assert [problem.path for problem in refuse(document(applicationSecurityGroups=raw))] == [
        "applicationSecurityGroups[1].name",
        "applicationSecurityGroups[2].virtualNetwork",
    ]
