"""Security rules and the groups that hold them: what Azure takes, and what it refuses."""

from __future__ import annotations

import pytest

from nsgd.model.address import ALL_PORTS, PortRange, Prefix
from nsgd.model.packet import ICMP
from nsgd.model.rule import (
    Access,
    AnyAddress,
    Direction,
    GroupMembers,
    PrefixList,
    Protocol,
    PublishedTag,
    SecurityRule,
    ServiceTag,
    TagAddress,
)
from nsgd.policy.compile import compile_policy
from tests.config.documents import Raw, group, interface, load, network, refuse, refuse_one, rule

RULE = "networkSecurityGroups[0].securityRules[0]"


def only_rule(document: Raw) -> SecurityRule:
    """The one rule of a good document."""
    (found,) = load(document).model.network_security_groups[0].security_rules
    return found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("priority", value) for value in (100, 4096)),
        *(("name", value) for value in ("a", "1", "a_", "A.b-c_d", "a" * 80)),
        ("description", "x" * 140),
        ("description", "two\nlines\twith é"),
        ("description", ""),
    ],
)
def test_a_value_at_the_edge_is_taken(field: str, value: object) -> None:
    """As it is written."""
    assert getattr(only_rule(group(rule(**{field: value}))), field) == value


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("priority", 99, "99 is outside 100-4096"),
        ("priority", 4097, "4097 is outside 100-4096"),
        ("priority", 10**400, "is outside 100-4096"),
        ("priority", "100", "'100' is text, not an integer"),
        ("priority", 100.0, "100.0 is not an integer"),
        ("priority", True, "true is not an integer"),
        ("priority", [100], "a list is not an integer"),
        ("name", "-a", "'-a' is not allowed"),
        ("name", "a-", "'a-' is not allowed"),
        ("name", "a.", "'a.' is not allowed"),
        ("name", "_a", "'_a' is not allowed"),
        ("name", "a b", "'a b' is not allowed"),
        ("name", "a/b", "'a/b' is not allowed"),
        ("name", "é", "'é' is not allowed"),
        ("name", "a\n", r"'a\n' is not allowed"),
        ("name", "a" * 81, "is not allowed"),
        ("name", 12, "12 is not text"),
        ("description", "x" * 141, "text of 141 characters, where at most 140 are allowed"),
        ("description", "\x1b[31m", r"'\x1b[31m' has characters that cannot be shown"),
        ("description", "\ud800", r"'\ud800' has characters that cannot be shown"),
        ("access", "Alow", "'Alow' is not allowed"),
        ("direction", "In", "'In' is not allowed"),
        ("protocol", 6, "6 is not allowed"),
        ("protocol", "Any", "'Any' is not allowed"),
        ("protocol", "sctp", "'sctp' is not allowed"),
    ],
)
def test_a_value_that_is_refused(field: str, value: object, message: str) -> None:
    """With the value and the field's path."""
    path, found, _ = refuse_one(group(rule(**{field: value})))
    assert path == f"{RULE}.{field}"
    assert message in found


@pytest.mark.parametrize("direction", ["Inbound", "inbound", "INBOUND"])
@pytest.mark.parametrize("access", ["Deny", "deny", "DENY"])
@pytest.mark.parametrize(
    ("word", "protocol"),
    [("Tcp", Protocol.TCP), ("TCP", Protocol.TCP), ("icmp", Protocol.ICMP), ("*", Protocol.ANY)],
)
def test_words_without_regard_to_case(
    direction: str, access: str, word: str, protocol: Protocol
) -> None:
    """As Azure compares them."""
    written = rule(direction=direction, access=access, protocol=word, destinationPortRange="*")
    found = only_rule(group(written))
    assert (found.direction, found.access) == (Direction.INBOUND, Access.DENY)
    assert found.protocol == protocol


@pytest.mark.parametrize("protocol", list(Protocol))
def test_every_protocol_is_taken(protocol: Protocol) -> None:
    """Esp and Ah too, which the portal does not offer."""
    found = only_rule(group(rule(protocol=protocol.value, destinationPortRange="*")))
    assert found.protocol == protocol


@pytest.mark.parametrize("protocol", ["Icmp", "esp", "AH"])
@pytest.mark.parametrize("access", ["Allow", "Deny"])
@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("destinationPortRange", 80, "80"),
        ("destinationPortRange", "0-65534", "0-65534"),
        ("destinationPortRange", "1-65535", "1-65535"),
        ("sourcePortRange", "8", "8"),
        ("destinationPortRanges", ["0-79", "81-65535"], "0-79, 81-65535"),
        ("sourcePortRanges", list("1234567"), "1, 2, 3, 4, 5 and 2 more"),
    ],
)
def test_ports_of_a_protocol_without_any(
    protocol: str, access: str, field: str, value: object, shown: str
) -> None:
    """Such a rule would match nothing: a Deny would fail open."""
    all_ports: Raw = {"sourcePortRange": "*", "destinationPortRange": "*"}
    all_ports.pop(field.removesuffix("s"))
    written = rule(**{"destinationPortRange": None, **all_ports, field: value}, access=access)
    if field.startswith("source"):
        written.pop("sourcePortRange", None)
        written[field] = value
    path, message, way_out = refuse_one(group({**written, "protocol": protocol}))
    assert path == f"{RULE}.{field}"
    assert message == (
        f"'AllowHttp' of 'web': protocol {protocol.capitalize()} has no ports, and {shown} would"
        " match nothing"
    )
    assert way_out == "write '*', or protocol Tcp or Udp if ports are meant"
    only_rule(group({**written, "protocol": "Tcp"}))


@pytest.mark.parametrize(
    "ports",
    [
        {"destinationPortRange": "0-65535"},
        {"destinationPortRange": None, "destinationPortRanges": ["*"]},
        {"destinationPortRange": None, "destinationPortRanges": ["100-65535", "0-99"]},
    ],
)
def test_all_ports_of_a_protocol_without_any(ports: Raw) -> None:
    """However they are written, they match what has none."""
    document = group(rule(protocol="Icmp", access="Deny", sourceAddressPrefix="*", **ports))
    document["virtualNetworks"] = [
        {
            "name": "lab",
            "addressSpace": ["10.0.0.0/16"],
            "subnets": [
                {"name": "s", "addressPrefix": "10.0.0.0/24", "networkSecurityGroup": "web"}
            ],
        }
    ]
    policy = compile_policy(load(document).model)
    (table,) = (table for table in policy.tables if table.direction is Direction.INBOUND)
    first = table.match(4, ICMP, 8 << 24, (10 << 24) + 4, 0, 0)
    assert table.rule_names[first] == "AllowHttp"


@pytest.mark.parametrize("field", ["name", "priority", "direction", "access", "protocol"])
@pytest.mark.parametrize("absent", [None, "", []])
def test_a_required_field_that_is_absent(field: str, absent: object) -> None:
    """Null, empty text and an empty list are as good as nothing."""
    raw = rule()
    raw[field] = absent
    path, message, way_out = refuse_one(group(raw))
    assert path == f"{RULE}.{field}"
    assert message.endswith(f"{field} is missing")
    assert way_out == f"add {field}"


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("what", ["AddressPrefix", "PortRange"])
def test_an_absent_side_is_not_read_as_all(side: str, what: str) -> None:
    """Nothing is widened silently."""
    path, message, way_out = refuse_one(group(rule(**{f"{side}{what}": None})))
    assert path == f"{RULE}.{side}{what}"
    assert message == f"'AllowHttp' of 'web': {side}{what} is missing"
    assert way_out == f"write {side}{what}: '*' to match all"


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"AddressPrefix": "*"}, AnyAddress()),
        ({"AddressPrefix": "0.0.0.0/0"}, PrefixList((Prefix(4, 0, 0),))),
        ({"AddressPrefix": "10.0.0.4"}, PrefixList((Prefix.parse("10.0.0.4/32"),))),
        ({"AddressPrefixes": ["*"]}, AnyAddress()),
        ({"AddressPrefixes": ["internet"]}, TagAddress(ServiceTag.INTERNET)),
        ({"AddressPrefixes": ["storage"]}, PublishedTag("Storage")),
        (
            {"AddressPrefixes": ["::/1", "8000::/1"]},
            PrefixList((Prefix(6, 0, 1), Prefix(6, 1 << 127, 1))),
        ),
        ({"AddressPrefixes": ["fd00::/8"]}, PrefixList((Prefix.parse("fd00::/8"),))),
        (
            {"AddressPrefix": "", "AddressPrefixes": ["10.0.0.8/29", "10.0.0.0/29", "1.1.1.1"]},
            PrefixList(
                tuple(Prefix.parse(text) for text in ("10.0.0.8/29", "10.0.0.0/29", "1.1.1.1"))
            ),
        ),
        ({"AddressPrefix": "*", "AddressPrefixes": []}, AnyAddress()),
        ({"ApplicationSecurityGroups": ["ASG1"]}, GroupMembers(("asg1",))),
        ({"ApplicationSecurityGroups": [{"name": "asg2"}, "asg1"]}, GroupMembers(("asg2", "asg1"))),
    ],
)
def test_a_side(side: str, fields: Raw, expected: object) -> None:
    """Singular and plural, in the document's order; a list of one may hold a tag or *."""
    document = group(
        rule(**{f"{side}AddressPrefix": None, **{f"{side}{k}": v for k, v in fields.items()}})
    )
    document["applicationSecurityGroups"] = [{"name": "asg1"}, {"name": "asg2"}]
    found = only_rule(document)
    assert (found.source if side == "source" else found.destination) == expected


UNSUPPORTED = "SecurityRuleParameterContainsUnsupportedValue"
OVERLAPPING = "OverlappingSubnetsNotPermittedInSecurityRule"


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("entries", "index", "message"),
    [
        (["10.0.0.0/8", "*"], 1, f"{UNSUPPORTED}: '*' in a list of several"),
        (["Internet", "10.0.0.0/8"], 0, f"{UNSUPPORTED}: 'Internet' in a list of several"),
        (["10.0.0.0/8", "storage"], 1, f"{UNSUPPORTED}: 'storage' in a list of several"),
        (["azureplatformdns", "1.1.1.1"], 0, f"{UNSUPPORTED}: 'AzurePlatformDNS' in a list of"),
        # 0.0.0.0/0 is a prefix like others.
        (["0.0.0.0/0", "10.0.0.0/8"], 1, f"{OVERLAPPING}: 10.0.0.0/8 is inside 0.0.0.0/0, entry 0"),
        (["0.0.0.0/0", "0.0.0.0/0"], 1, f"{OVERLAPPING}: 0.0.0.0/0 is inside 0.0.0.0/0, entry 0"),
        (
            ["149.173.8.27/32", "1.1.1.1", "149.173.0.0/16"],
            0,
            f"{OVERLAPPING}: 149.173.8.27/32 is inside 149.173.0.0/16, entry 2 of the same list",
        ),
        (["fd00::/8", "fd00::1"], 1, f"{OVERLAPPING}: fd00::1/128 is inside fd00::/8, entry 0"),
        (["1.1.1.1", "1.1.1.1/32"], 1, f"{OVERLAPPING}: 1.1.1.1/32 is inside 1.1.1.1/32, entry 0"),
        (["1.1.1.1", ""], 1, "SecurityRuleInvalidAddressPrefix: '' is not a prefix"),
        (["1.1.1.1", None], 1, "SecurityRuleInvalidAddressPrefix: null is not text"),
    ],
)
def test_a_list_of_several_that_is_refused(
    side: str, entries: list[object], index: int, message: str
) -> None:
    """As the service refuses it, at the entry."""
    document = group(rule(**{f"{side}AddressPrefix": None, f"{side}AddressPrefixes": entries}))
    path, found, _ = refuse_one(document)
    assert path == f"{RULE}.{side}AddressPrefixes[{index}]"
    assert message in found


MIXED = "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"


@pytest.mark.parametrize("access", ["Allow", "Deny"])
@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
@pytest.mark.parametrize(
    ("source", "destination", "path", "told"),
    [
        (
            ["1.1.1.1", "10.0.0.0/8", "fd00::/8", "::1"],
            "*",
            "sourceAddressPrefixes[2]",
            "in the source, 1.1.1.1/32 is IPv4 and fd00::/8 is IPv6",
        ),
        (
            "VirtualNetwork",
            ["::/0", "0.0.0.0/0"],
            "destinationAddressPrefixes[1]",
            "in the destination, ::/0 is IPv6 and 0.0.0.0/0 is IPv4",
        ),
        (
            "0.0.0.0/0",
            "::/0",
            "destinationAddressPrefix",
            "source 0.0.0.0/0 is IPv4, destination ::/0 is IPv6",
        ),
        (
            ["fd00::1"],
            "10.0.0.4",
            "destinationAddressPrefix",
            "source fd00::1/128 is IPv6, destination 10.0.0.4/32 is IPv4",
        ),
        (
            "10.0.0.4",
            ["fd00::/64", "10.1.0.0/16"],
            "destinationAddressPrefixes[0]",
            "source 10.0.0.4/32 is IPv4, destination fd00::/64 is IPv6",
        ),
        (
            "10.0.0.4",
            ["10.1.0.0/16", "fd00::/64"],
            "destinationAddressPrefixes[1]",
            "source 10.0.0.4/32 is IPv4, destination fd00::/64 is IPv6",
        ),
        # IPv4 as IPv6 writes it is of IPv6.
        (
            "10.0.0.4",
            "::ffff:10.0.0.4",
            "destinationAddressPrefix",
            "source 10.0.0.4/32 is IPv4, destination ::ffff:10.0.0.4/128 is IPv6",
        ),
    ],
)
def test_prefixes_of_both_families(
    source: object, destination: object, path: str, told: str, access: str, direction: str
) -> None:
    """Told once, at the first prefix that is not of the family of the rule's first one."""
    fields: Raw = {"access": access, "direction": direction}
    for side, value in (("source", source), ("destination", destination)):
        fields[f"{side}AddressPrefix"] = None
        fields[f"{side}AddressPrefix{'es' if isinstance(value, list) else ''}"] = value
    found_path, message, way_out = refuse_one(group(rule(**fields)))
    assert found_path == f"{RULE}.{path}"
    # Python before 3.13 writes the last 32 bits of an IPv4-mapped address as IPv6 does.
    assert message.replace("::ffff:a00:4", "::ffff:10.0.0.4") == (
        f"'AllowHttp' of 'web': {MIXED}: {told}"
    )
    assert way_out == "write two rules, one with prefixes of IPv4 alone and one of IPv6 alone"


@pytest.mark.parametrize("family", [["10.0.0.0/8", "1.1.1.1"], ["fd00::/8", "2a00::1"]])
@pytest.mark.parametrize(
    "other",
    [
        {"destinationAddressPrefix": "*"},
        {"destinationAddressPrefixes": ["Internet"]},
        {"destinationAddressPrefix": "storage"},
        {"destinationAddressPrefix": "AzurePlatformIMDS"},
        {"destinationApplicationSecurityGroups": ["asg"]},
    ],
)
def test_what_is_of_no_family(family: list[str], other: Raw) -> None:
    """Service tags, '*' and application security groups stand beside prefixes of either."""
    fields = {"sourceAddressPrefix": None, "sourceAddressPrefixes": family, "access": "Deny"}
    document = group(rule(**{**fields, "destinationAddressPrefix": None, **other}))
    document["applicationSecurityGroups"] = [{"name": "asg"}]
    assert only_rule(document).source == PrefixList(tuple(map(Prefix.parse, family)))


def test_families_beside_other_mistakes() -> None:
    """Both are told: what cannot be read is of no family, what can be is."""
    fields: Raw = {"sourceAddressPrefix": None, "destinationAddressPrefix": "fd00::/129"}
    entries = ["10.0.0.0/8", "Internet", "::/0", "10.1.0.0/16"]
    problems = refuse(group(rule(**fields, sourceAddressPrefixes=entries)))
    plural = f"{RULE}.sourceAddressPrefixes"
    assert {(problem.path, problem.message.split(": ")[1]) for problem in problems} == {
        (f"{plural}[1]", UNSUPPORTED),
        (f"{plural}[2]", MIXED),
        (f"{plural}[3]", OVERLAPPING),
        (f"{RULE}.destinationAddressPrefix", "SecurityRuleInvalidAddressPrefix"),
    }


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    "together",
    [
        {"AddressPrefix": "10.0.0.0/8", "AddressPrefixes": ["11.0.0.0/8"]},
        {"AddressPrefix": "10.0.0.0/8", "ApplicationSecurityGroups": ["asg"]},
        {"AddressPrefix": None, "AddressPrefixes": ["::/0"], "ApplicationSecurityGroups": ["asg"]},
        {"PortRange": 80, "PortRanges": [81]},
    ],
)
def test_fields_that_exclude_each_other(side: str, together: Raw) -> None:
    """Neither wins, even where both say the same."""
    document = group(rule(**{f"{side}{key}": value for key, value in together.items()}))
    document["applicationSecurityGroups"] = [{"name": "asg"}]
    path, message, _ = refuse_one(document)
    keys = [f"{side}{key}" for key, value in together.items() if value is not None]
    assert path == f"{RULE}.{keys[1]}"
    assert message == f"'AllowHttp' of 'web': {keys[0]} and {keys[1]} are given together"


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["*"], (ALL_PORTS,)),
        ([80], (PortRange(80, 80),)),
        (["80", 443, "80-90"], (PortRange(80, 80), PortRange(443, 443), PortRange(80, 90))),
        (["0-65535", 80], (ALL_PORTS, PortRange(80, 80))),
    ],
)
def test_a_list_of_ports(side: str, entries: list[object], expected: object) -> None:
    """In the document's order; Azure does not refuse ranges that overlap."""
    found = only_rule(group(rule(**{f"{side}PortRange": None, f"{side}PortRanges": entries})))
    assert (found.source_ports if side == "source" else found.destination_ports) == expected


def test_all_ports_beside_others() -> None:
    """Whoever writes both does not mean both."""
    document = group(rule(destinationPortRange=None, destinationPortRanges=[80, "*"]))
    path, message, _ = refuse_one(document)
    assert path == f"{RULE}.destinationPortRanges[1]"
    assert message.endswith("SecurityRuleInvalidPortRange: '*' in a list of several")


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    "entries",
    [
        ["Internet", "INTERNET"],
        ["Internet", "VirtualNetwork"],
        ["Storage", "storage"],
        ["Storage", "Storage.WestUS"],
        ["AzurePlatformIMDS", "AzurePlatformIMDS"],
        # Whether there is such a tag does not matter.
        ["Nowhere", "Nowhere"],
        ["*", "*"],
    ],
)
def test_tags_in_one_list(side: str, entries: list[str]) -> None:
    """One tag on a side of a rule: another one is refused, and so is the same once more."""
    fields = {f"{side}AddressPrefix": None, f"{side}AddressPrefixes": entries}
    problems = refuse(group(rule(access="Deny", **fields)))
    plural = f"{RULE}.{side}AddressPrefixes"
    assert [problem.path for problem in problems] == [f"{plural}[0]", f"{plural}[1]"]
    assert all(UNSUPPORTED in problem.message for problem in problems)


def test_priority_is_unique_in_a_direction() -> None:
    """And may be used once more in the other, and in another group."""
    first = rule(name="first")
    load(
        {
            "networkSecurityGroups": [
                {"name": "a", "securityRules": [first, rule(name="x", direction="Outbound")]},
                {"name": "b", "securityRules": [first]},
            ]
        }
    )
    path, message, _ = refuse_one(group(first, rule(name="second", direction="INBOUND")))
    assert path == "networkSecurityGroups[0].securityRules[1].priority"
    assert message == (
        "'second' of 'web': SecurityRuleConflict: Inbound priority 100 is already taken by 'first'"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ALLOWHTTP", "rule name 'ALLOWHTTP' is already taken by securityRules[0]"),
        ("denyallinbound", "'denyallinbound' is the name of a default security rule"),
        ("AllowVNetInBound", "'AllowVNetInBound' is the name of a default security rule"),
    ],
)
def test_a_rule_name_is_unique(name: str, message: str) -> None:
    """In its group, in both directions, the six included, without regard to case."""
    document = group(rule(), rule(name=name, priority=200, direction="Outbound"))
    path, found, _ = refuse_one(document)
    assert path == "networkSecurityGroups[0].securityRules[1].name"
    assert found == f"'web': {message}"


def test_application_security_groups_that_are_refused() -> None:
    """Unknown ones and one given twice, each at its entry."""
    fields: Raw = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": ["a", "A", "b"]}
    document = {**group(rule(**fields)), "applicationSecurityGroups": [{"name": "a"}]}
    assert [(problem.path, problem.message) for problem in refuse(document)] == [
        (f"{RULE}.sourceApplicationSecurityGroups[1]", "'AllowHttp' of 'web': 'a' is given twice"),
        (
            f"{RULE}.sourceApplicationSecurityGroups[2]",
            "'AllowHttp' of 'web': there is no application security group named 'b'",
        ),
    ]


@pytest.mark.parametrize(
    ("source", "destination", "is_taken"),
    [
        (["lab1"], ["lab2"], True),
        (["lab1"], ["other"], False),
        (["lab1", "other"], ["lab2"], False),
        # Nothing is known of a group without members.
        (["lab1"], ["empty"], True),
        (["other"], ["declared"], False),
    ],
)
def test_groups_on_both_sides_are_in_one_network(
    source: list[str], destination: list[str], is_taken: bool
) -> None:
    """By their members or by their declaration."""
    fields: Raw = {
        "sourceAddressPrefix": None,
        "destinationAddressPrefix": None,
        "sourceApplicationSecurityGroups": source,
        "destinationApplicationSecurityGroups": destination,
    }
    document = {
        **group(rule(**fields)),
        "virtualNetworks": [network(), network("other", "10.0.0.0/16")],
        "networkInterfaces": [
            interface(applicationSecurityGroups=["lab1", "lab2"]),
            interface("web2", subnet="other/web", applicationSecurityGroups=["other"]),
        ],
        "applicationSecurityGroups": [
            *({"name": name} for name in ("lab1", "lab2", "other", "empty")),
            {"name": "declared", "virtualNetwork": "lab"},
        ],
    }
    if is_taken:
        load(document)
        return
    path, message, _ = refuse_one(document)
    assert path == f"{RULE}.destinationApplicationSecurityGroups"
    assert "source and destination groups must be in one virtual network" in message
    assert "in 'lab'" in message
    assert "'other' in 'other'" in message


def test_a_good_rule_with_groups_of_two_networks_on_one_side_only() -> None:
    """Azure's sentence is about source and destination."""
    fields: Raw = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": ["a", "b"]}
    document = {
        **group(rule(**fields)),
        "virtualNetworks": [network(), network("other")],
        "applicationSecurityGroups": [
            {"name": "a", "virtualNetwork": "lab"},
            {"name": "b", "virtualNetwork": "other"},
        ],
    }
    assert only_rule(document).source == GroupMembers(("a", "b"))
