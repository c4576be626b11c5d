"""Security admin configurations: read in Azure's words, and whatever is unclear is refused."""

from __future__ import annotations

import pytest

from nsgd.model.address import ALL_PORTS, PortRange
from nsgd.model.admin import (
    AdminAccess,
    AzureService,
    IntentPolicyNetworks,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.rule import (
    AnyAddress,
    Direction,
    PlatformService,
    PrefixList,
    Protocol,
    PublishedTag,
    ServiceTag,
    TagAddress,
)
from tests.config.documents import FULL, Raw, load, network, refuse, refuse_one
from tests.models import prefixes

AT = "securityAdminConfigurations[0].ruleCollections[0]"
FULL_CONFIGURATIONS = (
    SecurityAdminConfiguration(
        "baseline",
        (
            RuleCollection(
                "always",
                ("lab", "other"),
                (
                    SecurityAdminRule(
                        "AllowProbes",
                        1,
                        Direction.INBOUND,
                        AdminAccess.ALWAYS_ALLOW,
                        Protocol.TCP,
                        (
                            PrefixList(prefixes("10.9.0.0/16")),
                            PublishedTag("Storage.WestUS"),
                            TagAddress(ServiceTag.INTERNET),
                            PrefixList(prefixes("fd00::1")),
                        ),
                        (ALL_PORTS,),
                        (AnyAddress(),),
                        (PortRange(443, 443), PortRange(8000, 8080)),
                        "probes",
                    ),
                ),
            ),
            RuleCollection(
                "never",
                ("other",),
                (
                    SecurityAdminRule(
                        "DenyAll", 4096, Direction.OUTBOUND, AdminAccess.DENY, Protocol.ANY
                    ),
                ),
            ),
        ),
        IntentPolicyNetworks.ALLOW_RULES_ONLY,
    ),
    SecurityAdminConfiguration("unused"),
)


def admin_rule(name: object = "r", **fields: object) -> Raw:
    """A rule that denies everything inbound, with some fields changed; None takes one away."""
    made: Raw = {
        "name": name,
        "priority": 10,
        "direction": "Inbound",
        "access": "Deny",
        "protocol": "Any",
        "sources": ["*"],
        "sourcePortRanges": ["*"],
        "destinations": ["*"],
        "destinationPortRanges": ["*"],
        **fields,
    }
    return {key: value for key, value in made.items() if value is not None}


def collection(*rules: Raw, name: str = "c", **fields: object) -> Raw:
    """For the network lab unless others are named."""
    return {"name": name, "appliesTo": ["lab"], "rules": list(rules), **fields}


def document(*collections: Raw, **fields: object) -> Raw:
    """The networks lab and other, and one configuration."""
    return {
        "virtualNetworks": [network(), network("other")],
        "securityAdminConfigurations": [
            {"name": "baseline", "ruleCollections": list(collections), **fields}
        ],
    }


def one(**fields: object) -> Raw:
    """A document with one rule."""
    return document(collection(admin_rule(**fields)))


def test_everything() -> None:
    """Every key, in any case; prefixes and tags of one side in the document's order."""
    assert load(FULL).model.security_admin_configurations == FULL_CONFIGURATIONS


def test_tags_are_in_use() -> None:
    """A tag that only an admin rule names is taken from the file."""
    model = load(one(sources=["Storage.WestUS"])).model
    assert [tag.name for tag in model.service_tags] == ["Storage.WestUS"]


def test_what_an_absent_key_means() -> None:
    """Without the key, or null: no services' networks have rules applied."""
    for fields in ({}, {"applyOnNetworkIntentPolicyBasedServices": None}):
        (found,) = load(document(**fields)).model.security_admin_configurations
        assert found == SecurityAdminConfiguration("baseline")


@pytest.mark.parametrize(
    "key",
    [
        *("name", "priority", "direction", "access", "protocol"),
        *("sources", "sourcePortRanges", "destinations", "destinationPortRanges"),
    ],
)
def test_nothing_that_is_absent_is_read_as_any(key: str) -> None:
    """Each field of a rule is required, also where Azure calls it optional."""
    empty: object
    for empty in (None, "", []):
        path, message, _ = refuse_one(one(**{key: empty}))
        assert path == f"{AT}.rules[0].{key}"
        assert message.endswith(f"{key} is missing")


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"priority": 0}, "priority", "0 is outside 1-4096"),
        ({"priority": 4097}, "priority", "4097 is outside 1-4096"),
        ({"access": "Permit"}, "access", "'Permit' is not allowed"),
        ({"protocol": "Gre"}, "protocol", "'Gre' is not allowed"),
        ({"sources": ["*", "10.0.0.0/8"]}, "sources[0]", "'*' in a list of several"),
        ({"sources": ["10.0.0.1/8"]}, "sources[0]", "host bits"),
        ({"sources": ["NoTag"]}, "sources[0]", "there is no service tag 'NoTag'"),
        ({"sources": ["10.0.0.0/8", "NoTag"]}, "sources[1]", "there is no service tag 'NoTag'"),
        ({"destinationPortRanges": ["*", "80"]}, "destinationPortRanges[0]", "list of several"),
        ({"destinationPortRanges": ["80,81"]}, "destinationPortRanges[0]", "not a port or a range"),
        (
            {"protocol": "Icmp", "destinationPortRanges": ["80"]},
            "destinationPortRanges",
            "protocol Icmp has no ports",
        ),
        ({"description": "x" * 141}, "description", "at most 140"),
        ({"name": "a/b"}, "name", "'a/b' is not allowed"),
        ({"name": "x" * 81}, "name", "is not allowed"),
        ({"sourcePortRange": "*"}, "sourcePortRange", "unknown key"),
    ],
)
def test_a_refused_field(fields: Raw, path: str, message: str) -> None:
    """One problem at its place; bounds on both sides are taken."""
    found, text, _ = refuse_one(one(**fields))
    assert found == f"{AT}.rules[0].{path}"
    assert message in text
    for priority in (1, 4096):
        load(one(priority=priority))


@pytest.mark.parametrize("service", list(PlatformService))
@pytest.mark.parametrize("side", ["sources", "destinations"])
def test_no_platform_tags(service: PlatformService, side: str) -> None:
    """Azure supports none of the three in these rules."""
    path, message, way_out = refuse_one(one(**{side: [service.value.lower()]}))
    assert path == f"{AT}.rules[0].{side}[0]"
    assert message.endswith(f"security admin rules do not support {service.value}")
    assert "in a network security group" in way_out


@pytest.mark.parametrize(
    ("key", "way_out"),
    [
        ("sourceApplicationSecurityGroups", "write prefixes or service tags in sources"),
        ("destinationApplicationSecurityGroups", "write prefixes or service tags in destinations"),
        ("sourceAddressPrefix", "did you mean sources, a list?"),
        ("destinationAddressPrefixes", "did you mean destinations, a list?"),
        ("destinationPortRange", "did you mean destinationPortRanges?"),
    ],
)
def test_keys_of_a_groups_rules(key: str, way_out: str) -> None:
    """They are told what is meant here."""
    path, message, found = refuse_one(one(**{key: ["x"]}))
    assert (path, found) == (f"{AT}.rules[0].{key}", way_out)
    assert "application security groups" in message or "unknown key" in message


def test_names_and_priorities_in_a_collection() -> None:
    """Unique there, priorities in each direction; another collection may repeat both."""
    same = [admin_rule("a"), admin_rule("b", direction="Outbound")]
    load(document(collection(*same)))
    load(document(collection(*same), collection(admin_rule("A"), name="d")))
    path, message, _ = refuse_one(document(collection(admin_rule("a"), admin_rule("b"))))
    assert path == f"{AT}.rules[1].priority"
    assert "Inbound priority 10 is already taken by" in message
    problem = refuse_one(document(collection(admin_rule("a"), admin_rule("A", priority=11))))
    assert "security admin rule name 'A' is already taken" in problem[1]
    twice = document(collection(admin_rule()), collection(admin_rule(), name="C"))
    assert "rule collection name 'C' is already taken" in refuse_one(twice)[1]
    configurations = document()
    configurations["securityAdminConfigurations"].append({"name": "BASELINE"})
    assert "configuration name 'BASELINE' is already taken" in refuse_one(configurations)[1]


def test_networks() -> None:
    """Known ones, each once, under one configuration."""
    unknown = document(collection(admin_rule(), appliesTo=["LAB", "hub"]))
    path, message, _ = refuse_one(unknown)
    assert (path, message) == (
        f"{AT}.appliesTo[1]",
        "'c' of 'baseline': there is no virtual network named 'hub'",
    )
    assert "given twice" in refuse_one(document(collection(admin_rule(), appliesTo=["lab"] * 2)))[1]
    assert "appliesTo is missing" in refuse_one(document(collection(admin_rule(), appliesTo=[])))[1]
    assert "rules is missing" in refuse_one(document(collection()))[1]
    two = document(collection(admin_rule()))
    other: Raw = {
        "name": "second",
        "ruleCollections": [collection(admin_rule(), appliesTo=["other"])],
    }
    two["securityAdminConfigurations"].append(other)
    load(two)
    other["ruleCollections"][0]["appliesTo"] = ["lab", "other"]
    path, message, way_out = refuse_one(two)
    assert path == "securityAdminConfigurations[1].ruleCollections[0].appliesTo[0]"
    assert "'lab' has rules of another security admin configuration, by" in message
    assert way_out.startswith("make them rule collections of one configuration")
    # Two documents are one, and a mistake names the other.
    spread = {"securityAdminConfigurations": two["securityAdminConfigurations"][1:]}
    assert "d0" in refuse_one(document(collection(admin_rule())), {**spread})[1]


@pytest.mark.parametrize(
    ("fields", "is_refused"),
    [
        ({"access": "Allow"}, True),
        ({"access": "AlwaysAllow"}, True),
        ({"access": "Deny"}, False),  # they agree
        ({"access": "Allow", "priority": 11}, False),
        ({"access": "Allow", "direction": "Outbound"}, False),
        # No packet matches both.
        ({"access": "Allow", "protocol": "Udp"}, False),
        ({"access": "Allow", "destinationPortRanges": ["81-90"]}, False),
        ({"access": "Allow", "destinationPortRanges": ["80-90"]}, True),
        ({"access": "Allow", "sourcePortRanges": ["1-999"]}, False),
        ({"access": "Allow", "sources": ["10.8.0.0/16", "10.10.0.0/15"]}, False),
        ({"access": "Allow", "sources": ["10.8.0.0/16", "10.9.1.0/24"]}, True),
        ({"access": "Allow", "sources": ["10.8.0.0/16", "Internet"]}, True),  # perhaps
        ({"access": "Allow", "destinations": ["10.0.0.5"]}, False),
        ({"access": "Allow", "destinations": ["10.0.0.4"]}, True),
    ],
)
def test_priorities_of_two_collections(fields: Raw, is_refused: bool) -> None:
    """Azure does not say which of two decides, so they must not disagree about a packet."""
    first = admin_rule(
        "first",
        protocol="Tcp",
        sources=["10.9.0.0/16"],
        sourcePortRanges=["1000-2000"],
        destinations=["10.0.0.4"],
        destinationPortRanges=["80"],
    )
    second = admin_rule("second", **{"protocol": "Any", **fields})
    for rules in ((first, second), (second, first)):
        made = document(collection(rules[0]), collection(rules[1], name="d"))
        if is_refused:
            path, message, way_out = refuse_one(made)
            assert path == "securityAdminConfigurations[0].ruleCollections[1].rules[0].priority"
            assert "for virtual network 'lab', and Azure does not say which decides" in message
            assert way_out == "give them different priorities; the lower number decides"
        else:
            load(made)
        # Where no network has both, nothing is unclear.
        made["securityAdminConfigurations"][0]["ruleCollections"][1]["appliesTo"] = ["other"]
        load(made)


def test_services() -> None:
    """Of a subnet, in any case; a misspelt one is told."""

    def served(*services: str) -> Raw:
        web = {"name": "x", "addressPrefix": "10.0.1.0/24", "services": list(services)}
        return {"virtualNetworks": [network(subnets=[web])]}

    (found,) = load(served("bastion", "Databricks")).model.virtual_networks
    assert found.subnets[0].services == (AzureService.BASTION, AzureService.DATABRICKS)
    first, second = refuse(served("AzureBastion", "Storage"))
    assert first.path == "virtualNetworks[0].subnets[0].services[0]"
    assert "did you mean 'Bastion'?" in first.way_out
    assert "'Storage' is not allowed" in second.message
