"""Sentences of Azure's overview of 2017 that no other test shows, from documents to answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.question import read_question
from tests.config.documents import Raw, Tags, interface, load, network, refuse_one, rule, tag_file

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "web-servers.yaml"
INTERNET = ("203.0.113.7", "50000")
OLD_DIALECTS = pytest.mark.parametrize("dialect", ["2017", "classic"])


def web(*rules: Raw, group: object = "web", subnet_group: object = None) -> Raw:
    """Two interfaces, 10.0.1.4 in WebServers and 10.0.1.5 in none, both with a group."""
    (subnet,) = network()["subnets"]
    return {
        "virtualNetworks": [network(subnets=[{**subnet, "networkSecurityGroup": subnet_group}])],
        "networkInterfaces": [
            interface(networkSecurityGroup=group, applicationSecurityGroups=["WebServers"]),
            interface("other", privateIPAddresses=["10.0.1.5"], networkSecurityGroup=group),
        ],
        "networkSecurityGroups": [{"name": "web", "securityRules": list(rules)}],
        "applicationSecurityGroups": [{"name": "WebServers"}, {"name": "Empty"}],
    }


def access(document: Raw, local: str, port: str, remote: tuple[str, str] = INTERNET) -> str:
    """What IP flow verify says of an inbound TCP flow."""
    policy = QuestionedPolicy(load(document).model)
    question = read_question("Inbound", "TCP", local, port, *remote)
    return policy.ip_flow_verify(question).access.value


def answer(
    policy: QuestionedPolicy, direction: str, local: str, remote: str, protocol: str = "TCP"
) -> str:
    """What IP flow verify says of ADDRESS:PORT at both ends: access, rule and group."""
    (here, here_port), (there, there_port) = local.split(":"), remote.split(":")
    question = read_question(direction, protocol, here, here_port, there, there_port)
    found = policy.ip_flow_verify(question)
    by = found.reported
    return " ".join((found.access.value, *((by.rule, by.network_security_group) if by else ())))


@pytest.mark.parametrize("absent", [None, "", []])
def test_no_group_or_one(absent: object) -> None:
    """Of an interface and of a subnet; several are refused at the reference."""
    model = load(web(group=absent, subnet_group=absent)).model
    assert model.network_interfaces[0].network_security_group is None
    assert model.virtual_networks[0].subnets[0].network_security_group is None
    model = load(web(subnet_group="web")).model
    assert model.network_interfaces[0].network_security_group == "web"
    assert model.virtual_networks[0].subnets[0].network_security_group == "web"
    path, message, _ = refuse_one(web(subnet_group=["web", "web"]))
    assert path == "virtualNetworks[0].subnets[0].networkSecurityGroup"
    assert "a list is not text" in message
    two: Raw = {**web(), "networkInterfaces": [interface(networkSecurityGroup=["web", "web"])]}
    path, message, _ = refuse_one({**two, "applicationSecurityGroups": []})
    assert path == "networkInterfaces[0].networkSecurityGroup"
    assert "a list is not text" in message


def test_an_augmented_rule_is_all_its_combinations() -> None:
    """Addresses, ranges and ports as lists, an application security group on the other side."""
    augmented = rule(
        sourceAddressPrefix=None,
        sourceAddressPrefixes=["203.0.113.7", "198.51.100.0/24"],
        destinationAddressPrefix=None,
        destinationApplicationSecurityGroups=["WebServers"],
        destinationPortRange=None,
        destinationPortRanges=[80, "10000-10005"],
    )
    document = web(augmented)
    for source, is_source in (
        ("203.0.113.7", True),
        ("203.0.113.8", False),
        ("198.51.100.255", True),
        ("198.51.101.0", False),
    ):
        for port, is_port in (("80", True), ("81", False), ("10005", True), ("10006", False)):
            for local, is_member in (("10.0.1.4", True), ("10.0.1.5", False)):
                expected = "Allow" if is_source and is_port and is_member else "Deny"
                assert access(document, local, port, (source, "5")) == expected


def test_an_empty_group_beside_others_changes_nothing() -> None:
    """The members of the others are meant, whichever stands first."""
    for groups in (["WebServers", "Empty"], ["Empty", "WebServers"]):
        fields: Raw = {
            "destinationAddressPrefix": None,
            "destinationApplicationSecurityGroups": groups,
        }
        document = web(rule(**fields))
        assert access(document, "10.0.1.4", "80") == "Allow"
        assert access(document, "10.0.1.5", "80") == "Deny"


@pytest.mark.parametrize("key", ["Mine", "tags", "values", "prefixes"])
def test_tags_cannot_be_defined(key: str) -> None:
    """The section chooses a file, and has no place for prefixes."""
    path, message, _ = refuse_one({"serviceTags": {key: {"Mine": ["10.0.0.0/8"]}}})
    assert path == f"serviceTags.{key}"
    assert "key" in message


def test_sql_without_a_region() -> None:
    """Refused in 2017, and taken since: both are tags of the file, and neither holds the other."""
    tags = Tags(tag_file(Sql=["203.0.113.0/28"], Sql__EastUS=["203.0.113.0/29"]))
    for name, outside in (("Sql", "203.0.113.16"), ("sql.eastus", "203.0.113.8")):
        policy = QuestionedPolicy(load(web(rule(sourceAddressPrefix=name)), tags=tags).model)
        for remote, expected in (("203.0.113.7", "Allow"), (outside, "Deny")):
            question = read_question("Inbound", "TCP", "10.0.1.4", "80", remote, "5")
            assert policy.ip_flow_verify(question).access.value == expected


def test_routes_of_a_subnet_are_its_own() -> None:
    """A route table widens VirtualNetwork for the subnet that uses it, and for no other."""
    document = web()
    far = ("192.168.7.7", "5")
    (subnet,) = document["virtualNetworks"][0]["subnets"]
    other = {"name": "other", "addressPrefixes": ["10.0.77.0/24"], "routes": ["192.168.0.0/16"]}
    document["virtualNetworks"][0]["subnets"].append(other)
    assert access(document, "10.0.1.4", "80", far) == "Deny"
    subnet["routes"] = other.pop("routes")
    assert access(document, "10.0.1.4", "80", far) == "Allow"


def test_routes_widen_the_whole_network() -> None:
    """What a network declares itself counts for each of its subnets."""
    document = web()
    assert access(document, "10.0.1.4", "80", ("192.168.7.7", "5")) == "Deny"
    document["virtualNetworks"][0]["routes"] = ["192.168.0.0/16"]
    assert access(document, "10.0.1.4", "80", ("192.168.7.7", "5")) == "Allow"


# Dialects


@pytest.mark.parametrize("dialect", ["now", "2017"])
def test_the_example_in_the_dialect_of_its_time(dialect: str) -> None:
    """WebServers and MyNSG read and decide alike; what leads to the platform does not."""
    policy = QuestionedPolicy(load(EXAMPLE.read_bytes(), {"dialect": dialect}).model)
    for local, remote, expected in (
        ("10.0.0.4:80", "203.0.113.7:5", "Allow AllowWebFromInternet MyNSG"),
        ("10.0.0.4:443", "203.0.113.7:5", "Allow AllowWebFromInternet MyNSG"),
        ("10.0.0.4:22", "203.0.113.7:5", "Deny DenyAllInBound MyNSG"),
        ("10.0.0.5:443", "203.0.113.7:5", "Deny DenyAllInBound MyNSG"),
        ("10.0.0.5:22", "10.0.0.4:5", "Allow AllowVnetInBound MyNSG"),
    ):
        assert answer(policy, "Inbound", local, remote) == expected
    by = {"now": "platformRules/AllowHostOutBound", "2017": "AllowInternetOutBound"}[dialect]
    asked = answer(policy, "Outbound", "10.0.0.5:5", "168.63.129.16:53", "UDP")
    assert asked == f"Allow {by} MyNSG"


def test_a_classic_machine_under_two_groups() -> None:
    """Inbound the subnet's group first, outbound the machine's, as of a network interface."""
    (subnet,) = network()["subnets"]
    deny = {"access": "Deny", "sourceAddressPrefix": "*", "destinationPortRange": "*"}
    rules = [
        rule(name="Out80", direction="Outbound", **{**deny, "destinationPortRange": "80"}),
        rule(name="In81", **{**deny, "destinationPortRange": "81"}),
        rule(name="Web", priority=200, sourceAddressPrefix="INTERNET", destinationPortRange="*"),
    ]
    document: Raw = {
        "dialect": "classic",
        "virtualNetworks": [network(subnets=[{**subnet, "networkSecurityGroup": "of-subnet"}])],
        "virtualMachines": [interface(networkSecurityGroup="of-machine")],
        "cloudServices": [
            {
                "name": "shop",
                "networkSecurityGroup": "of-machine",
                "roleInstances": [interface("role", "10.0.1.5")],
            }
        ],
        "networkSecurityGroups": [
            {"name": name, "securityRules": rules} for name in ("of-subnet", "of-machine")
        ],
    }
    policy = QuestionedPolicy(load(document).model)
    for machine in ("10.0.1.4", "10.0.1.5"):
        inbound = answer(policy, "Inbound", f"{machine}:81", "203.0.113.7:5")
        assert inbound == "Deny In81 of-subnet"
        outbound = answer(policy, "Outbound", f"{machine}:5", "203.0.113.7:80")
        assert outbound == "Deny Out80 of-machine"
        allowed = answer(policy, "Inbound", f"{machine}:443", "203.0.113.7:5")
        assert allowed == "Allow Web of-machine"


@pytest.mark.parametrize("dialect", ["now", "2017"])
def test_a_limit_that_was_not_listed(dialect: str) -> None:
    """4 000 addresses on a side and 20 groups of an interface are limits of today alone."""
    prefixes = [f"192.168.{number // 250}.{number % 250}" for number in range(4001)]
    many = web(rule(sourceAddressPrefix=None, sourceAddressPrefixes=prefixes))
    names = [f"a{number}" for number in range(21)]
    member: Raw = {
        "virtualNetworks": [network()],
        "networkInterfaces": [interface(applicationSecurityGroups=names)],
        "applicationSecurityGroups": [{"name": name} for name in names],
    }
    for document, key in (
        (many, "limits.addressesPerSide"),
        (member, "limits.applicationSecurityGroupsPerNetworkInterface"),
    ):
        if dialect == "now":
            assert key in refuse_one(document)[1]
        else:
            assert load({"dialect": dialect, **document}).model.dialect.name == dialect


@pytest.mark.parametrize(("dialect", "maximum"), [("2017", 10), ("classic", None)])
def test_peerings(dialect: str, maximum: int | None) -> None:
    """Of classic networks the limits of 2017 list none."""
    names = [f"peer{number}" for number in range(11)]
    others = [network(name, f"10.{100 + n}.0.0/16", subnets=[]) for n, name in enumerate(names)]
    document: Raw = {"dialect": dialect, "virtualNetworks": [network(peerings=names), *others]}
    if maximum is None:
        load(document)
    else:
        assert (
            f"11 peerings, and a virtual network has at most {maximum}" in refuse_one(document)[1]
        )
        document["virtualNetworks"][0]["peerings"] = names[:maximum]
        load(document)


@OLD_DIALECTS
def test_mail_of_what_is_not_declared(dialect: str) -> None:
    """A resource of a subnet has no day of its own, so no exemption is for it."""
    subscription = {"kind": "PayAsYouGo", "created": "2018-01-31", "smtpExempted": "2019-05-01"}
    machines = "virtualMachines" if dialect == "classic" else "networkInterfaces"
    document: Raw = {
        "dialect": dialect,
        "subscription": subscription,
        "virtualNetworks": [network()],
        machines: [interface(created="2019-05-01")],
    }
    policy = QuestionedPolicy(load(document).model)
    for remote in ("203.0.113.7:25", "10.0.1.9:25"):
        assert answer(policy, "Outbound", "10.0.1.4:5", remote) == "Allow"
        denied = answer(policy, "Outbound", "10.0.1.77:5", remote)
        assert denied.rstrip() == "Deny platformRules/DenySmtpOutBound"


def test_licensing_and_a_subnets_default_route() -> None:
    """Exempt but where the subnet's own table, or the whole network, has 0.0.0.0/0."""
    fields: Raw = {"direction": "Outbound", "access": "Deny", "protocol": "*"}
    fields |= {"sourceAddressPrefix": "*", "destinationPortRange": "*"}
    document = web(rule(name="DenyOut", **fields), subnet_group="web")
    other = {"name": "other", "addressPrefixes": ["10.0.2.0/24"], "networkSecurityGroup": "web"}
    (subnet,) = document["virtualNetworks"][0]["subnets"]
    document["virtualNetworks"][0]["subnets"].append(other)
    keys, exempt = "20.118.99.224:1688", "Allow platformRules/AllowKeyManagementOutBound web"

    def asked() -> tuple[str, str]:
        policy = QuestionedPolicy(load(document).model)
        first = answer(policy, "Outbound", "10.0.1.4:5", keys)
        return first, answer(policy, "Outbound", "10.0.2.4:5", keys)

    assert asked() == (exempt, exempt)
    subnet["routes"] = ["0.0.0.0/0"]
    assert asked() == ("Deny DenyOut web", exempt)
    document["virtualNetworks"][0]["routes"] = subnet.pop("routes")
    assert asked() == ("Deny DenyOut web", "Deny DenyOut web")
