"""Dialects in documents: which one is in force, and the refusal of what each lacks."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from jsonschema import Draft202012Validator

from nsgd.config.json_schema import document_schema
from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.model.admin import AzureService
from nsgd.model.dialect import CLASSIC, DIALECT_2017, DIALECTS, NOW, Dialect
from nsgd.model.network import ServiceTagPrefixes
from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.model.rule import DEFAULT_SECURITY_RULES, PublishedTag, ServiceTag, TagAddress
from tests.config.documents import (
    STORAGE,
    Raw,
    Tags,
    group,
    interface,
    load,
    network,
    refuse,
    refuse_one,
    rule,
    tag_file,
)

OF_2017 = Tags(
    tag_file(
        Storage=STORAGE,
        Storage__WestUS=["20.38.98.0/25"],
        StorageSyncService=["20.38.85.152/29"],
        Sql=["13.65.31.249/32"],
        Sql__EastUS=["13.65.31.250/32"],
        SqlManagement=["13.64.155.40/32"],
        AzureTrafficManager=["13.65.92.252/32"],
        AzureTrafficManager__WestUS=["13.65.92.253/32"],
        EventHub=["13.64.195.117/32"],
    )
)


def in_dialect(name: str, *documents: Raw) -> Raw:
    """One document of several with other keys, in a dialect."""
    joined: Raw = {"dialect": name}
    for document in documents:
        joined |= document
    return joined


def naming(dialect: str, tag: str, **changes: object) -> Raw:
    """A group whose one rule names a tag as its source."""
    return in_dialect(dialect, group(rule(sourceAddressPrefix=tag, **changes)))


# Which one is in force


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("now", NOW),
        ("NOW", NOW),
        ("2017", DIALECT_2017),
        (2017, DIALECT_2017),
        ("classic", CLASSIC),
        ("Classic", CLASSIC),
        ("", NOW),
        (None, NOW),
    ],
)
def test_a_dialect(value: object, expected: Dialect) -> None:
    """By its name in any case; 2017 is a number to YAML."""
    assert load({"dialect": value, **group()}).model.dialect is expected
    assert load(group()).model.dialect is NOW
    assert load("dialect: 2017").model.dialect is DIALECT_2017
    validator = Draft202012Validator(document_schema())
    assert validator.is_valid({"dialect": value})


@pytest.mark.parametrize("value", ["2018", 2018, "arm", True, 2017.0, ["2017"], {}, "20l7"])
def test_not_a_dialect(value: object) -> None:
    """Refused, and by the schema too."""
    path, message, way_out = refuse_one({"dialect": value})
    assert path == "dialect"
    assert message.endswith("is not a dialect")
    assert way_out == "write one of now, 2017, classic"
    # A number is a number to JSON Schema, however it is written.
    assert Draft202012Validator(document_schema()).is_valid({"dialect": value}) is (value == 2017)


def test_documents_agree() -> None:
    """Any of them may name it, and all may; who names none follows."""
    other = group(rule(protocol="Udp"))
    assert load(other, {"dialect": "2017"}).model.dialect is DIALECT_2017
    assert load({"dialect": "2017"}, {"dialect": 2017}).model.dialect is DIALECT_2017
    path, message, _ = refuse_one(
        group(rule(protocol="Icmp", destinationPortRange="*")), {"dialect": "2017"}
    )
    assert path == "networkSecurityGroups[0].securityRules[0].protocol"
    assert "the dialect 2017 has no protocol Icmp" in message


def test_documents_contradict_one_another() -> None:
    """Said once each, and nothing else is refused for its dialect's sake."""
    document = in_dialect(
        "2017",
        group(rule(protocol="Icmp", sourceAddressPrefix="EventHub", destinationPortRange="*")),
    )
    path, message, way_out = refuse_one(document, {"dialect": "now"}, tags=OF_2017)
    assert path == "dialect"
    assert message == "the dialect now is named, and 2017 by dialect in d0"
    assert "name it in one of them" in way_out


def test_an_unreadable_document_may_name_the_dialect() -> None:
    """Nothing is then refused for lack of it in the default one; where one is named, it is."""
    unreadable = "a: *"
    for document in (
        group(rule(sourceAddressPrefix="VIRTUAL_NETWORK")),
        {"virtualMachines": [interface()], "virtualNetworks": [network()]},
    ):
        assert [problem.document for problem in refuse(document, unreadable)] == ["d1"]
    named = naming("2017", "VIRTUAL_NETWORK")
    assert [problem.document for problem in refuse(named, unreadable)] == ["d0", "d1"]


def test_a_dialect_that_cannot_be_read() -> None:
    """The only mistake, beside another document's good one too: which was meant is not known."""
    wrong: Raw = {"dialect": 2018, **group(rule(sourceAddressPrefix="VIRTUAL_NETWORK"))}
    assert refuse_one(wrong)[0] == "dialect"
    other = in_dialect("2017", group(rule(protocol="Icmp", destinationPortRange="*"), name="b"))
    assert refuse_one(wrong, other)[0] == "dialect"


def test_a_dialect_beside_documents_that_were_read_before() -> None:
    """They are not read again, and judged by the new dialect."""
    first = Document(
        "d0", json.dumps(group(rule(protocol="Icmp", destinationPortRange="*"))).encode()
    )
    before = ReadDocuments()
    load_documents([first], before)
    assert None not in before.find([first])
    with pytest.raises(Exception, match="no protocol Icmp"):
        load_documents([first, Document("d1", b"dialect: 2017")], before)


# Protocols and lists

EVERYTHING = {"sourceAddressPrefix": "*", "destinationPortRange": "*"}


@pytest.mark.parametrize("dialect", ["2017", "classic"])
@pytest.mark.parametrize("protocol", ["Icmp", "Esp", "AH"])
def test_a_protocol_that_the_dialect_lacks(dialect: str, protocol: str) -> None:
    """ICMP needs '*', which the way out says."""
    path, message, way_out = refuse_one(
        in_dialect(dialect, group(rule(protocol=protocol, **EVERYTHING)))
    )
    assert path == "networkSecurityGroups[0].securityRules[0].protocol"
    assert message == (
        f"'AllowHttp' of 'web': the dialect {dialect} has no protocol {protocol.capitalize()}"
    )
    assert way_out == "write one of Tcp, Udp, '*'; '*' is Tcp, Udp, Icmp"


WORDS = "write one of Tcp, Udp, '*'; '*' is Tcp, Udp, Icmp"


@pytest.mark.parametrize("dialect", ["2017", "classic"])
@pytest.mark.parametrize("protocol", ["Icpm", "icmpv4", "Espp", "Any", "tcpp", 6, None])
@pytest.mark.parametrize("is_in_another", [True, False])
def test_no_protocol_at_all(dialect: str, protocol: object, is_in_another: bool) -> None:
    """The way out has only what the dialect has, wherever that is named; else it has all six."""
    document = group(rule(protocol=protocol, **EVERYTHING))
    named: Raw = {"dialect": dialect}
    documents = [document, named] if is_in_another else [named | document]
    path, _, way_out = refuse_one(*documents)
    assert path == "networkSecurityGroups[0].securityRules[0].protocol"
    assert way_out == WORDS
    _, _, way_out = refuse_one(document)
    assert way_out != WORDS
    assert protocol is None or "Icmp, Esp, Ah" in way_out


def test_no_protocol_where_the_dialect_is_not_known() -> None:
    """Which words it has is not known either."""
    document = in_dialect("2017", group(rule(protocol="Icpm", **EVERYTHING)))
    ways_out = {problem.path: problem.way_out for problem in refuse(document, {"dialect": "now"})}
    path = "networkSecurityGroups[0].securityRules[0].protocol"
    assert ways_out[path].startswith("did you mean 'Icmp'?")


def test_a_key_named_protocol_elsewhere() -> None:
    """It is no protocol of a rule."""
    document = in_dialect("2017", group(rule()), {"daemon": {"protocol": "Icpm"}})
    path, message, way_out = refuse_one(document)
    assert (path, message) == ("daemon.protocol", "unknown key 'protocol'")
    assert way_out != WORDS


@pytest.mark.parametrize("dialect", ["2017", "classic"])
@pytest.mark.parametrize("protocol", ["Icmp", "Esp", "Ah"])
def test_ports_of_a_protocol_that_the_dialect_lacks(dialect: str, protocol: str) -> None:
    """Said once: that the protocol has no ports would be said as if it were there."""
    document = in_dialect(dialect, group(rule(protocol=protocol)))
    path, message, way_out = refuse_one(document)
    assert path == "networkSecurityGroups[0].securityRules[0].protocol"
    assert f"has no protocol {protocol}" in message
    assert way_out == WORDS
    # Where the dialect is not known, the ports are what is known to be wrong.
    paths = [problem.path for problem in refuse(document, {"dialect": "now"})]
    assert "networkSecurityGroups[0].securityRules[0].destinationPortRange" in paths


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("protocol", ["Tcp", "UDP", "*"])
def test_protocols_of_every_dialect(dialect: str, protocol: str) -> None:
    """These three."""
    load(in_dialect(dialect, group(rule(protocol=protocol))))


LISTS = {
    "sourceAddressPrefixes": ["10.0.0.0/24", "10.0.1.0/24"],
    "destinationAddressPrefixes": ["10.0.0.0/24", "10.0.1.0/24"],
    "sourcePortRanges": ["1", "2"],
    "destinationPortRanges": ["80", "443"],
}


@pytest.mark.parametrize("key", LISTS)
def test_lists(key: str) -> None:
    """A preview in 2017, and not for classic groups; one entry is no list of several."""
    singular = key.removesuffix("es") if "Prefix" in key else key.removesuffix("s")
    several = group(rule(**{singular: None, key: LISTS[key]}))
    load(in_dialect("2017", several))
    path, message, way_out = refuse_one(in_dialect("classic", several))
    assert path == f"networkSecurityGroups[0].securityRules[0].{key}"
    what = "prefixes" if "Prefix" in key else "ports"
    assert message.endswith(f"the dialect classic has no lists of {what} in a rule")
    assert way_out == "write a rule for each"
    load(in_dialect("classic", group(rule(**{singular: None, key: LISTS[key][:1]}))))


def test_a_refused_entry_of_a_list_is_one_mistake() -> None:
    """What cannot be read is still counted as an entry."""
    raw = rule(destinationPortRange=None, destinationPortRanges=["80", "x"])
    messages = [problem.message for problem in refuse(in_dialect("classic", group(raw)))]
    assert len(messages) == 2
    assert any("not a port" in message for message in messages)


# Service tags


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("storage", "Storage"),
        ("Storage.WestUS", "Storage.WestUS"),
        ("sql.eastus", "Sql.EastUS"),
        ("AzureTrafficManager", "AzureTrafficManager"),
    ],
)
def test_published_tags_of_2017(tag: str, name: str) -> None:
    """Their prefixes come from the installed file."""
    model = load(naming("2017", tag), tags=OF_2017).model
    assert model.network_security_groups[0].security_rules[0].source == PublishedTag(name)
    assert [each.name for each in model.service_tags] == [name]
    assert isinstance(model.service_tags[0], ServiceTagPrefixes)


@pytest.mark.parametrize(
    "tag",
    [
        *("Sql", "EventHub", "StorageSyncService", "SqlManagement", "AzureTrafficManager.WestUS"),
        *("Storage.", "VIRTUAL_NETWORK", "AZURE_LOADBALANCER", "Nonsense"),
    ],
)
def test_a_tag_that_2017_lacks(tag: str) -> None:
    """Also where the file has it; every rule that names it is reported."""
    document = in_dialect(
        "2017",
        group(
            rule(sourceAddressPrefix=tag),
            rule(
                name="B",
                priority=101,
                sourceAddressPrefix=None,
                sourceAddressPrefixes=[tag],
            ),
        ),
    )
    problems = refuse(document, tags=OF_2017)
    if tag == "Storage.":  # allowed by the form, and in no file
        assert all("Microsoft's file" in problem.message for problem in problems)
        return
    assert [problem.path for problem in problems] == [
        "networkSecurityGroups[0].securityRules[0].sourceAddressPrefix",
        "networkSecurityGroups[0].securityRules[1].sourceAddressPrefixes[0]",
    ]
    for problem in problems:
        assert problem.message.endswith(f"the dialect 2017 has no service tag '{tag}'")
        assert problem.way_out.endswith(
            "it has VirtualNetwork, Internet, AzureLoadBalancer, AzureTrafficManager, Storage,"
            " Storage.REGION, Sql.REGION"
        )


@pytest.mark.parametrize("dialect", ["2017", "classic"])
@pytest.mark.parametrize("tag", ["AzurePlatformDNS", "azureplatformimds", "AzurePlatformLKM"])
def test_no_tags_of_platform_traffic(dialect: str, tag: str) -> None:
    """Rules judge the platform's addresses like any other."""
    fields: Raw = {"direction": "Outbound", "access": "Deny", "protocol": "*"}
    fields |= {"destinationAddressPrefix": tag, "destinationPortRange": "*"}
    path, message, way_out = refuse_one(in_dialect(dialect, group(rule(**fields))))
    assert path.endswith("destinationAddressPrefix")
    assert f"the dialect {dialect} has no service tag AzurePlatform" in message
    assert way_out.startswith("write the addresses")


@pytest.mark.parametrize(
    ("dialect", "tag"),
    [("classic", "VirtualNetwork"), ("classic", "Storage"), ("2017", "AzurePlatformIMDS")],
)
def test_a_tag_that_stands_alone_in_a_list(dialect: str, tag: str) -> None:
    """Looked at as in the singular field."""
    raw = rule(access="Deny", sourceAddressPrefix=None, sourceAddressPrefixes=[tag])
    path, message, _ = refuse_one(in_dialect(dialect, group(raw)))
    assert path.endswith("sourceAddressPrefixes[0]")
    assert f"the dialect {dialect} has no service tag" in message


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("VIRTUAL_NETWORK", ServiceTag.VIRTUAL_NETWORK),
        ("virtual_network", ServiceTag.VIRTUAL_NETWORK),
        ("AZURE_LOADBALANCER", ServiceTag.AZURE_LOAD_BALANCER),
        ("INTERNET", ServiceTag.INTERNET),
        ("Internet", ServiceTag.INTERNET),
    ],
)
def test_classic_tags(text: str, tag: ServiceTag) -> None:
    """In spellings of their own; without a file, for none is asked."""
    model = load(naming("classic", text), tags=None).model
    assert model.network_security_groups[0].security_rules[0].source == TagAddress(tag)


@pytest.mark.parametrize(
    ("tag", "way_out"),
    [
        ("VirtualNetwork", "write VIRTUAL_NETWORK"),
        ("AzureLoadBalancer", "write AZURE_LOADBALANCER"),
        ("Storage", "it has VIRTUAL_NETWORK, INTERNET, AZURE_LOADBALANCER"),
        ("Sql.EastUS", "it has VIRTUAL_NETWORK, INTERNET, AZURE_LOADBALANCER"),
        ("VIRTUALNETWORK", "write VIRTUAL_NETWORK"),
        (
            "VIRTUAL_NETWROK",
            "did you mean VIRTUAL_NETWORK? it has VIRTUAL_NETWORK, INTERNET, AZURE_LOADBALANCER",
        ),
    ],
)
def test_a_tag_that_classic_lacks(tag: str, way_out: str) -> None:
    """No other spelling, and no other tag."""
    path, message, said = refuse_one(naming("classic", tag), tags=OF_2017)
    assert path == "networkSecurityGroups[0].securityRules[0].sourceAddressPrefix"
    assert "the dialect classic has no service tag" in message
    assert said == way_out


@pytest.mark.parametrize("text", ["VIRTUAL_NETWORK", "AZURE_LOADBALANCER"])
def test_classic_spellings_elsewhere(text: str) -> None:
    """Refused as ever."""
    _, message, way_out = refuse_one(naming("now", text))
    assert "there is no service tag" in message
    assert way_out.startswith("did you mean")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_default_rules_in_a_document(dialect: Dialect) -> None:
    """In the dialect's spelling of the tags; names are the API's."""

    def side(address: object) -> str:
        return dialect.tag_spellings[address.tag] if isinstance(address, TagAddress) else "*"

    raw = [
        rule(
            name=each.name,
            priority=each.priority,
            direction=each.direction.value,
            access=each.access.value,
            protocol="*",
            sourceAddressPrefix=side(each.source),
            destinationAddressPrefix=side(each.destination),
            destinationPortRange="*",
        )
        for each in DEFAULT_SECURITY_RULES
    ]
    load({"dialect": dialect.name, **group(defaultSecurityRules=raw)})


# Limits


def many_rules(count: int) -> list[Raw]:
    """As many valid inbound rules."""
    return [rule(name=f"r{number}", priority=100 + number) for number in range(count)]


@pytest.mark.parametrize(("dialect", "maximum"), [("2017", 500), ("classic", 400)])
def test_rules_of_a_group(dialect: str, maximum: int) -> None:
    """200, raised as far as Azure raised it; classic groups cannot use lists instead."""
    load(in_dialect(dialect, group(*many_rules(200))))
    _, message, way_out = refuse_one(in_dialect(dialect, group(*many_rules(201))))
    assert message == (
        "'web': 201 rules, and a network security group has at most 200"
        f" (limits.securityRulesPerNetworkSecurityGroup raises it, to {maximum} at most)"
    )
    assert ("lists" in way_out) is (dialect == "2017")
    key = "securityRulesPerNetworkSecurityGroup"
    load(in_dialect(dialect, group(*many_rules(maximum)), {"limits": {key: maximum}}))
    raised = in_dialect(dialect, group(*many_rules(maximum + 1)), {"limits": {key: maximum}})
    _, message, _ = refuse_one(raised)
    assert message.endswith(f"at most {maximum} (the most in the dialect {dialect})")


@pytest.mark.parametrize(
    ("dialect", "key", "maximum"),
    [
        *(("2017", key, limit.maximum) for key, limit in DIALECT_2017.limits.items()),
        *(("classic", key, limit.maximum) for key, limit in CLASSIC.limits.items()),
    ],
)
def test_a_limit_has_a_maximum(dialect: str, key: str, maximum: int) -> None:
    """Raised beyond it, it is refused at its key."""
    load(in_dialect(dialect, {"limits": {key: maximum}}))
    path, message, way_out = refuse_one(in_dialect(dialect, {"limits": {key: maximum + 1}}))
    assert path == f"limits.{key}"
    assert message == f"{maximum + 1} is above {maximum}, the most in the dialect {dialect}"
    assert way_out == f"write a number from 1 to {maximum}"


@pytest.mark.parametrize("dialect", [DIALECT_2017, CLASSIC], ids=["2017", "classic"])
def test_a_limit_that_the_dialect_lacks(dialect: Dialect) -> None:
    """Azure listed none, so none is refused and none can be raised."""
    missing = NOW.limits.keys() - dialect.limits.keys()
    assert missing >= {"addressesPerSide", "applicationSecurityGroups"}
    for key in missing:
        path, message, _ = refuse_one(in_dialect(dialect.name, {"limits": {key: 5}}))
        assert path == f"limits.{key}"
        assert message == f"the dialect {dialect.name} has no limit {key}"


def test_the_limits_of_2017() -> None:
    """As Azure listed them, default and maximum (docs/azure-reference.md, Limits)."""
    found = {key: (limit.default, limit.maximum) for key, limit in DIALECT_2017.limits.items()}
    assert found == {
        "networkSecurityGroups": (100, 400),
        "securityRulesPerNetworkSecurityGroup": (200, 500),
        "applicationSecurityGroupsPerRuleSide": (1, 1),
        "peeringsPerVirtualNetwork": (10, 50),
        "privateIPAddressesPerVirtualNetwork": (4096, 8192),
    }
    assert CLASSIC.limits["networkSecurityGroups"].maximum == 200


def test_groups() -> None:
    """The hundred and first is named."""
    groups = [{"name": f"g{number}"} for number in range(101)]
    document: Raw = {"dialect": "2017", "networkSecurityGroups": groups}
    path, message, _ = refuse_one(document)
    assert path == "networkSecurityGroups"
    assert "101 network security groups" in message
    assert "to 400 at most" in message


def test_one_application_security_group_a_side() -> None:
    """Several are of today."""
    asgs: Raw = {"applicationSecurityGroups": [{"name": "a"}, {"name": "b"}]}

    def of(*names: str) -> Raw:
        fields: Raw = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": list(names)}
        return in_dialect("2017", group(rule(**fields)), asgs)

    load(of("a"))
    path, message, way_out = refuse_one(of("a", "b"))
    assert path.endswith("sourceApplicationSecurityGroups")
    assert message.endswith(
        "2 application security groups, and one side of a rule has at most 1"
        " (the most in the dialect 2017)"
    )
    assert way_out == "use several rules"


# Sections


@pytest.mark.parametrize(
    ("dialect", "key", "section", "way_out"),
    [
        ("now", "virtualMachines", [interface()], "groups attach to network interfaces"),
        ("2017", "virtualMachines", [interface()], "groups attach to network interfaces"),
        ("now", "cloudServices", [{"name": "s"}], "attach groups to network interfaces"),
        ("2017", "cloudServices", [{"name": "s"}], "attach groups to network interfaces"),
        ("classic", "networkInterfaces", [interface()], "groups attach to machines"),
        (
            "classic",
            "scaleSets",
            [{"name": "s", "subnet": "lab/web", "privateIPAddressPrefixes": ["10.0.1.32/27"]}],
            "declare each machine in virtualMachines",
        ),
        ("classic", "applicationSecurityGroups", [{"name": "a"}], "write prefixes in the rules"),
        *(
            (
                dialect,
                "securityAdminConfigurations",
                [{"name": "c"}],
                "write the rules into network security groups",
            )
            for dialect in ("2017", "classic")
        ),
    ],
)
def test_a_section_that_the_dialect_lacks(
    dialect: str, key: str, section: object, way_out: str
) -> None:
    """Refused whole, in each document that has it; an absent one is not there."""
    document = in_dialect(dialect, {"virtualNetworks": [network()], key: section})
    path, message, said = refuse_one(document)
    assert path == key
    assert message == f"the dialect {dialect} has no {key}"
    assert said.startswith(way_out)
    load(in_dialect(dialect, {"virtualNetworks": [network()], key: []}))


@pytest.mark.parametrize("dialect", ["2017", "classic"])
def test_services_of_a_subnet(dialect: str) -> None:
    """They keep security admin rules out, which the dialect has not; each subnet is told."""
    services = ["Bastion", "SqlManagedInstance"]
    of_lab = network()
    of_lab["subnets"].append({"name": "db", "addressPrefix": "10.0.2.0/24"})
    for subnet in of_lab["subnets"]:
        subnet["services"] = services
    document: Raw = {"dialect": dialect, "virtualNetworks": [of_lab]}
    problems = refuse(document)
    assert [problem.path for problem in problems] == [
        f"virtualNetworks[0].subnets[{index}].services" for index in range(2)
    ]
    for problem in problems:
        assert problem.message.endswith(f"the dialect {dialect} has no services of a subnet")
        assert problem.way_out.startswith("remove it")
    load({**document, "dialect": "now"})
    # The dialect may be named in another document; a contradiction says nothing about them.
    split = {key: value for key, value in document.items() if key != "dialect"}
    assert len(refuse(split, {"dialect": dialect})) == len(problems)
    assert refuse_one(document, {"dialect": "now"})[0] == "dialect"
    for subnet in of_lab["subnets"]:
        subnet["services"] = []
    load(document)


@pytest.mark.parametrize("dialect", ["now", "2017", "classic"])
def test_services_that_azures_json_tells_by_a_name(dialect: str) -> None:
    """A gateway's subnet has its name in every dialect: that is no statement on such rules."""
    subnet = {"name": "GatewaySubnet", "properties": {"addressPrefix": "10.0.1.0/24"}}
    resource = {
        "name": "azure",
        "type": "Microsoft.Network/virtualNetworks",
        "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [subnet],
        },
    }
    model = load(json.dumps([resource]), {"dialect": dialect}).model
    (found,) = model.virtual_networks[0].subnets
    assert found.services == ((AzureService.VPN_GATEWAY,) if dialect == "now" else ())


def test_what_the_default_has_2017_keeps() -> None:
    """Scale sets and application security groups: nothing is said against them."""
    scale_set: Raw = {
        "name": "s",
        "subnet": "lab/web",
        "privateIPAddressPrefixes": ["10.0.1.32/27"],
        "applicationSecurityGroups": ["a"],
    }
    document: Raw = {
        "dialect": "2017",
        "virtualNetworks": [network()],
        "scaleSets": [scale_set],
        "networkInterfaces": [interface()],
        "applicationSecurityGroups": [{"name": "a"}],
    }
    assert load(document).model.scale_sets[0].application_security_groups == ("a",)


def test_groups_on_a_side_of_a_classic_rule() -> None:
    """Refused at the rule, and at the section that declares them."""
    raw = rule(sourceAddressPrefix=None, sourceApplicationSecurityGroups=["a"])
    document = in_dialect("classic", group(raw), {"applicationSecurityGroups": [{"name": "a"}]})
    assert sorted(problem.path for problem in refuse(document)) == [
        "applicationSecurityGroups",
        "networkSecurityGroups[0].securityRules[0].sourceApplicationSecurityGroups",
    ]


def test_azures_json_is_of_the_resource_manager() -> None:
    """Loaded beside a document that says classic, its interfaces are refused in its file."""
    resource = {
        "name": "nic",
        "type": "Microsoft.Network/networkInterfaces",
        "properties": {
            "ipConfigurations": [
                {
                    "name": "a",
                    "properties": {
                        "privateIPAddress": "10.0.1.4",
                        "privateIPAllocationMethod": "Static",
                        "subnet": {
                            "id": "/subscriptions/s/resourceGroups/g/providers"
                            "/Microsoft.Network/virtualNetworks/lab/subnets/web"
                        },
                    },
                }
            ]
        },
    }
    azure = json.dumps([resource])
    classic: Raw = {"dialect": "classic", "virtualNetworks": [network()]}
    problems = refuse(azure, classic)
    lacking = [p for p in problems if "the dialect classic has no networkInterfaces" in p.message]
    assert [problem.document for problem in lacking] == ["d0"]


# The subscription


@pytest.mark.parametrize("dialect", ["2017", "classic"])
def test_offers_of_2017(dialect: str) -> None:
    """Those that its text names, BizSpark among them."""
    for kind in SubscriptionKind:
        raw: Raw = {"kind": kind.value, "created": "2018-01-31"}
        document = in_dialect(dialect, {"subscription": raw})
        if kind.value in ("EnterpriseDevTest", "CloudServiceProvider"):
            path, message, way_out = refuse_one(document)
            assert path == "subscription.kind"
            assert message == f"the dialect {dialect} has no subscription of kind {kind.value}"
            assert "BizSpark" in way_out
            assert kind.value not in way_out
        else:
            found = load(document).model.subscription
            assert isinstance(found, Subscription)
            assert found.kind is kind


@pytest.mark.parametrize("kind", sorted(DIALECT_2017.smtp.offers, key=str))
def test_an_exemption_in_2017(kind: SubscriptionKind) -> None:
    """For pay-as-you-go alone."""
    raw: Raw = {"kind": kind.value, "created": "2018-01-31", "smtpExempted": "2019-05-01"}
    document = in_dialect("2017", {"subscription": raw})
    if kind is SubscriptionKind.PAY_AS_YOU_GO:
        load(document)
        return
    path, _, way_out = refuse_one(document)
    assert path == "subscription.smtpExempted"
    assert way_out == "remove it, or correct kind: PayAsYouGo has it"


def test_a_dialect_is_a_value() -> None:
    """Equal to its copy, hashable, and different from the others in its name at least."""
    for dialect in DIALECTS.values():
        copy = Dialect(**{each.name: getattr(dialect, each.name) for each in fields(Dialect)})
        assert copy == dialect
        assert hash(copy) == hash(dialect)
    assert len(set(DIALECTS.values())) == 3
