"""Spoil a valid document in one way, or almost.

Each function here makes the one change its name says, in a document of its own. Some of what
they draw is the nearest thing that Azure still takes, so that a check is seen to say both;
which it is, ``validity`` tells.
"""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from typing import Any

from .choose import Chooser, Written, cased, chance, pick
from .generate import PLATFORM, TAGS, Case
from .oracle import DEFAULT_RULES
from .platform_parts import KINDS
from .tag_files import tag_names

Mistake = Callable[[Chooser, Case], None]

PREFIX_PAIRS = (
    ("149.173.0.0/16", "149.173.8.27/32"),  # the service's own example (section 1)
    ("8.8.8.8", "8.8.8.8/32"),
    ("2a00::/16", "2a00:1::/32"),
    ("2a00::/16", "2a01::/16"),
    ("0.0.0.0/0", "8.8.8.0/24"),
    ("10.0.0.0/9", "10.128.0.0/9"),
    ("0.0.0.0/0", "::/0"),
    ("8.8.8.8", "8.8.8.9"),
    ("10.0.0.0/8", "11.0.0.0/8"),
)
FAMILY_PAIRS = (
    ("10.0.0.0/8", "fd00::/8"),
    ("fd00::1", "8.8.8.8"),
    ("0.0.0.0/0", "::/0"),
    ("::ffff:0:0/96", "10.0.0.0/8"),  # IPv4 in IPv6's notation is of IPv6
    ("10.0.0.0/8", "11.0.0.0/8"),
    ("2a00::/16", "fd00::/8"),
)
# More of the first one's family; by whether that is IPv6.
NEIGHBOURS = (("172.31.9.0/24", "192.0.2.1"), ("2a01::/16", "2a02::1"))
RULE_DEFAULTS: Written = {
    "direction": "Inbound",
    "access": "Deny",
    "protocol": "*",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}


def spoiled(chooser: Chooser, case: Case) -> tuple[str, Case]:
    """The name of a mistake and *case* with it; *case* itself stays as it is."""
    mistake = pick(chooser, MISTAKES)
    document = copy.deepcopy(case.document)
    for field in (
        "networkInterfaces",
        "networkSecurityGroups",
        "applicationSecurityGroups",
        "scaleSets",
    ):
        document.setdefault(field, [])
    if not document["networkSecurityGroups"]:
        document["networkSecurityGroups"] = [{"name": "Added", "securityRules": []}]
    changed = case._replace(document=document)
    mistake(chooser, changed)
    return mistake.__name__, changed


# -- what the functions below are made of ------------------------------------------------


def _add_rule(chooser: Chooser, case: Case, **fields: Any) -> Written:
    """A good rule but for *fields*, in one of the groups; None takes a default field out."""
    group = pick(chooser, case.document["networkSecurityGroups"])
    rules = group["securityRules"] = group.get("securityRules") or []
    taken = {rule.get("priority") for rule in rules}
    free = next(number for number in range(1000, 4000) if number not in taken)
    rule: Written = {"name": f"Added{len(rules)}", "priority": free, **RULE_DEFAULTS, **fields}
    rule = {field: value for field, value in rule.items() if value is not None}
    rules.append(rule)
    return rule


def _side_of(chooser: Chooser, value: Any, field: str) -> Written:
    """Fields of a rule with *value* in *field* of one side, instead of that side's prefix."""
    side = pick(chooser, ("source", "destination"))
    return {f"{side}AddressPrefix": None, f"{side}{field}": value}


def _direction(chooser: Chooser) -> str:
    return pick(chooser, ("Inbound", "Outbound"))


def _network(chooser: Chooser, case: Case) -> Written:
    network: Written = pick(chooser, case.document["virtualNetworks"])
    return network


def _add_application_group(case: Case, network: str | None) -> str:
    groups = case.document["applicationSecurityGroups"]
    name = f"Added{len(groups)}"
    groups.append({"name": name} if network is None else {"name": name, "virtualNetwork": network})
    return name


def _subnets(case: Case) -> list[tuple[str, Written]]:
    return [
        (f"{network['name']}/{subnet['name']}", subnet)
        for network in case.document["virtualNetworks"]
        for subnet in network["subnets"]
    ]


def _any_tag(chooser: Chooser, case: Case) -> str:
    names = [*TAGS, *PLATFORM, "*"]
    for file in case.tag_files.values():
        names += tag_names(file)
    return cased(chooser, pick(chooser, names))


# -- rules -------------------------------------------------------------------------------


def priority_clash(chooser: Chooser, case: Case) -> None:
    rule = _add_rule(chooser, case, direction=_direction(chooser))
    for group in case.document["networkSecurityGroups"]:
        if rule in (group.get("securityRules") or []) or chance(chooser, 30):
            group["securityRules"] = [
                *(group.get("securityRules") or []),
                {**rule, "name": "Clash", "direction": cased(chooser, _direction(chooser))},
            ]


def overlapping_prefixes(chooser: Chooser, case: Case) -> None:
    texts = list(pick(chooser, PREFIX_PAIRS))
    if chance(chooser, 50):
        texts.reverse()
    if chance(chooser, 50):
        is_ipv6 = any(":" in text for text in texts) or "0.0.0.0/0" in texts
        texts.insert(1, "fd00::/64" if is_ipv6 else "172.31.9.0/24")
    _add_rule(chooser, case, **_side_of(chooser, texts, "AddressPrefixes"))


def mixed_families(chooser: Chooser, case: Case) -> None:
    """In one list, or on two sides; what stands on the other side may be of no family."""
    first, other = pick(chooser, FAMILY_PAIRS)
    of_no_family = (*TAGS, "*")
    if chance(chooser, 50):
        texts = [first, pick(chooser, NEIGHBOURS[":" in first]), other][chooser.integer(1) :]
        if chance(chooser, 50):
            texts.reverse()
        fields = _side_of(chooser, texts, "AddressPrefixes")
        side = "destination" if "sourceAddressPrefixes" in fields else "source"
        fields[f"{side}AddressPrefix"] = pick(chooser, (*of_no_family, first))
    else:
        if chance(chooser, 30):
            other = cased(chooser, pick(chooser, of_no_family))
        ends = [first, other] if chance(chooser, 50) else [other, first]
        fields = {}
        for side, text in zip(("source", "destination"), ends, strict=True):
            if chance(chooser, 30):
                fields |= {f"{side}AddressPrefix": None, f"{side}AddressPrefixes": [text]}
            else:
                fields[f"{side}AddressPrefix"] = text
    access = pick(chooser, ("Allow", "Deny"))
    _add_rule(chooser, case, direction=_direction(chooser), access=access, **fields)


def tag_in_list(chooser: Chooser, case: Case) -> None:
    texts = [_any_tag(chooser, case)]
    if chance(chooser, 80):
        texts.insert(chooser.integer(1), pick(chooser, ("8.8.8.8", _any_tag(chooser, case))))
    _add_rule(chooser, case, **_side_of(chooser, texts, "AddressPrefixes"))


def platform_tag_rule(chooser: Chooser, case: Case) -> None:
    tag = cased(chooser, pick(chooser, PLATFORM))
    fields = _side_of(chooser, [tag], "AddressPrefixes")
    if chance(chooser, 50):
        fields = {f"{pick(chooser, ('source', 'destination'))}AddressPrefix": tag}
    _add_rule(
        chooser,
        case,
        direction=_direction(chooser),
        access=cased(chooser, pick(chooser, ("Deny", "Allow", "Deny"))),
        protocol=pick(chooser, ("*", "*", "Udp")),
        # Not 0-65535: whether the service takes it for every port here is not known.
        sourcePortRange=pick(chooser, ("*", "*", "*", "53")),
        destinationPortRange=pick(chooser, ("*", "*", "*", 53, "1688")),
        **fields,
    )


def unknown_tag(chooser: Chooser, case: Case) -> None:
    names = [
        "Storag",
        "Storage.Nowhere",
        "Storage.",
        "AzureFrontDoor",
        "VirtualNetworks",
        "VirtualNetwork.WestUS",
        "AzurePlatform",
        "AzurePlatformDNS.WestUS",
        "8.8.8.8.8",
        "fd00::/129",
        "10.0.0.0/33",
    ]
    for file in case.tag_files.values():  # of any cloud, the document's or another
        names += tag_names(file)
    text = cased(chooser, pick(chooser, names))
    _add_rule(chooser, case, **_side_of(chooser, text, "AddressPrefix"))


def another_cloud(chooser: Chooser, case: Case) -> None:
    case.document["serviceTags"] = {"cloud": pick(chooser, ("AzureGermany", *case.tag_files))}


def prefix_beside_group(chooser: Chooser, case: Case) -> None:
    name = _add_application_group(case, _network(chooser, case)["name"])
    side = pick(chooser, ("source", "destination"))
    other = pick(chooser, ("source", "destination"))
    fields: Written = {f"{side}AddressPrefix": None, f"{side}ApplicationSecurityGroups": [name]}
    fields[f"{other}AddressPrefix{pick(chooser, ('', 'es'))}"] = "8.8.8.8"
    for field in ("sourceAddressPrefixes", "destinationAddressPrefixes"):
        if field in fields:
            fields[field] = ["8.8.8.8"]
            if other != side:
                fields[field.removesuffix("es")] = None
    _add_rule(chooser, case, **fields)


def two_ways_to_write(chooser: Chooser, case: Case) -> None:
    side = pick(chooser, ("source", "destination"))
    kept = pick(chooser, (None, "", "*"))
    if chance(chooser, 50):
        fields: Written = {f"{side}AddressPrefix": kept, f"{side}AddressPrefixes": ["8.8.8.8"]}
    else:
        fields = {f"{side}PortRange": kept, f"{side}PortRanges": ["80"]}
    _add_rule(chooser, case, **fields)


def taken_name(chooser: Chooser, case: Case) -> None:
    rule = _add_rule(chooser, case)
    default = pick(chooser, DEFAULT_RULES)["name"]
    name = pick(chooser, (rule["name"], default, default + "_", "Another", default[:-1]))
    _add_rule(chooser, case, name=cased(chooser, name))


def bad_name(chooser: Chooser, case: Case) -> None:
    names = ("-a", "a.", "a-", "a b", "_a", "x" * 81, "x" * 80, "a_", "1", "a.b-c_d", "a/b")
    _add_rule(chooser, case, name=pick(chooser, names))


def bad_value(chooser: Chooser, case: Case) -> None:
    field, values = pick(
        chooser,
        (
            ("priority", (99, 4097, 0, 100000, "150", 150.5, 4096)),
            ("direction", ("In", "Both", "INBOUND", "outbound")),
            ("access", ("Alow", "Drop", "DENY")),
            ("protocol", ("Any", "Sctp", "All", "ICMP", "ah", "Icmpv6")),
            ("description", ("x" * 140, "x" * 141)),
        ),
    )
    values_drawn: Any = pick(chooser, values)
    case.document["networkSecurityGroups"].append({"name": "Alone", "securityRules": []})
    alone = case._replace(
        document={"networkSecurityGroups": case.document["networkSecurityGroups"][-1:]}
    )
    _add_rule(chooser, alone, **{field: values_drawn})


def missing_field(chooser: Chooser, case: Case) -> None:
    rule = _add_rule(chooser, case, description="as asked for")
    field = pick(chooser, ("name", "priority", *RULE_DEFAULTS, "description"))
    if chance(chooser, 50):
        del rule[field]
    else:
        rule[field] = pick(chooser, (None, ""))


def bad_ports(chooser: Chooser, case: Case) -> None:
    values: tuple[Any, ...] = (
        "0-65536",
        65536,
        "65536",
        "90-80",
        "80,443",
        "80-",
        "-80",
        "http",
        65535,
        "80-80",
        ["*", "80"],
        ["*"],
        ["80", "80-"],
        ["80", "80-90"],
        ["0-65535", "80"],
    )
    value = pick(chooser, values)
    side = pick(chooser, ("source", "destination"))
    if isinstance(value, list):
        _add_rule(chooser, case, **{f"{side}PortRange": None, f"{side}PortRanges": value})
    else:
        _add_rule(chooser, case, **{f"{side}PortRange": value})


# -- groups ------------------------------------------------------------------------------


def groups_across_networks(chooser: Chooser, case: Case) -> None:
    source = _add_application_group(case, _network(chooser, case)["name"])
    destination = _add_application_group(case, _network(chooser, case)["name"])
    _add_rule(
        chooser,
        case,
        direction=_direction(chooser),
        sourceAddressPrefix=None,
        sourceApplicationSecurityGroups=[cased(chooser, source)],
        destinationAddressPrefix=None,
        destinationApplicationSecurityGroups=[destination],
    )


def member_across_networks(chooser: Chooser, case: Case) -> None:
    """A group that declares a network, or has it from its first member."""
    members = [*case.document["networkInterfaces"], *case.document["scaleSets"]]
    declared = chance(chooser, 50)
    name = _add_application_group(case, _network(chooser, case)["name"] if declared else None)
    for _ in range(2):
        if members:
            member = pick(chooser, members)
            joined = member.get("applicationSecurityGroups") or []
            if name not in joined:
                member["applicationSecurityGroups"] = [*joined, name]


def too_many_groups(chooser: Chooser, case: Case) -> None:
    network = _network(chooser, case)["name"]
    members = [
        member
        for member in case.document["networkInterfaces"]
        if member["subnet"].partition("/")[0].lower() == network.lower()
    ]
    if members and chance(chooser, 50):
        member = pick(chooser, members)
        joined = member.get("applicationSecurityGroups") or []
        wanted = pick(chooser, (20, 21)) - len(joined)
        names = [_add_application_group(case, network) for _ in range(wanted)]
        member["applicationSecurityGroups"] = [*joined, *names]
    else:
        names = [_add_application_group(case, network) for _ in range(pick(chooser, (10, 11)))]
        _add_rule(chooser, case, **_side_of(chooser, names, "ApplicationSecurityGroups"))


def group_twice(chooser: Chooser, case: Case) -> None:
    name = _add_application_group(case, _network(chooser, case)["name"])
    names = [name, pick(chooser, (name.upper(), name, "AddedLast"))]
    case.document["applicationSecurityGroups"].append({"name": "AddedLast"})
    _add_rule(chooser, case, **_side_of(chooser, names, "ApplicationSecurityGroups"))


def unknown_reference(chooser: Chooser, case: Case) -> None:
    owners: list[tuple[Written, str, Any]] = [
        (subnet, "networkSecurityGroup", "Nobody") for _, subnet in _subnets(case)
    ]
    for member in (*case.document["networkInterfaces"], *case.document["scaleSets"]):
        owners += [
            (member, "networkSecurityGroup", "Nobody"),
            (member, "applicationSecurityGroups", ["Nobody"]),
            (member, "subnet", "nowhere/web"),
        ]
    owners.append((_network(chooser, case), "peerings", ["nowhere"]))
    owner, field, value = pick(chooser, owners)
    owner[field] = value


# -- networks, interfaces, scale sets ------------------------------------------------------


def overlapping_peers(chooser: Chooser, case: Case) -> None:
    """13.16: refused where both sides declare it; networks that are no peers may overlap."""
    network = _network(chooser, case)
    network["peerings"] = [*(network.get("peerings") or []), "Twin"]
    twin: Written = {"name": "Twin", "addressSpace": [network["addressSpace"][0]], "subnets": []}
    if chance(chooser, 30):
        twin["addressSpace"] = ["11.99.0.0/16"]
    if chance(chooser, 60):
        twin["peerings"] = [cased(chooser, network["name"])]
    case.document["virtualNetworks"].append(twin)


def bad_subnet(chooser: Chooser, case: Case) -> None:
    network = _network(chooser, case)
    space = ipaddress.ip_network(network["addressSpace"][0])
    taken = network["subnets"][0]["addressPrefixes"][0] if network["subnets"] else str(space)
    last = space.broadcast_address
    text = pick(chooser, (taken, f"{last}/{space.max_prefixlen}", "11.99.0.0/24"))
    network["subnets"].append({"name": "Added", "addressPrefixes": [text]})


def bad_address(chooser: Chooser, case: Case) -> None:
    reference, subnet = pick(chooser, _subnets(case))
    block = ipaddress.ip_network(subnet["addressPrefixes"][0])
    offsets = (0, 3, 4, block.num_addresses - 1, block.num_addresses - 2, block.num_addresses)
    number = int(block.network_address) + pick(chooser, offsets)
    address = str(ipaddress.ip_address(number))
    interfaces = case.document["networkInterfaces"]
    if interfaces and chance(chooser, 25):
        other = pick(chooser, interfaces)
        reference, address = other["subnet"], other["privateIPAddresses"][0]
    interfaces.append({"name": "Added", "subnet": reference, "privateIPAddresses": [address]})


def bad_scale_set(chooser: Chooser, case: Case) -> None:
    reference, subnet = pick(chooser, _subnets(case))
    if chance(chooser, 40):
        case.document["scaleSets"].clear()
    others = [
        text
        for scale_set in case.document["scaleSets"]
        for text in scale_set["privateIPAddressPrefixes"]
    ]
    block = ipaddress.ip_network(pick(chooser, subnet["addressPrefixes"]))
    neighbour = f"{block.network_address + block.num_addresses}/{block.max_prefixlen}"
    halves = [str(half) for half in block.subnets()]
    texts = pick(
        chooser,
        (
            [pick(chooser, others)] if others else [str(block)],
            [str(block.supernet())],
            [neighbour],
            [halves[0], str(block)],
            [halves[-1]],
            halves,
        ),
    )
    case.document["scaleSets"].append(
        {
            "name": pick(chooser, ("Added", "Added", "Added", "SET0")),
            "subnet": reference,
            "privateIPAddressPrefixes": texts,
        }
    )


# -- the platform ----------------------------------------------------------------------------


def bad_subscription(chooser: Chooser, case: Case) -> None:
    written: Written = {
        "kind": pick(chooser, (*KINDS, "Enterprise", "PAYASYOUGO")),
        "created": pick(chooser, ("2018-01-31", "2018-01-31", "2018-02-29", "20180131", None)),
    }
    if chance(chooser, 50):
        written["smtpExempted"] = pick(chooser, ("2019-05-01", "2019-05-01", "2019-5-1", ""))
    case.document["subscription"] = written


def bad_day(chooser: Chooser, case: Case) -> None:
    members = [*case.document["networkInterfaces"], *case.document["scaleSets"]]
    if members:
        days = ("2020-02-30", "2020-1-1", "today", "20200101", "2020-02-29", "2020-01-01T00:00")
        pick(chooser, members)["created"] = pick(chooser, days)


def bad_platform_addresses(chooser: Chooser, case: Case) -> None:
    field = pick(chooser, ("host", "metadata", "keyManagement", "loadBalancer", "dns"))
    values: tuple[Any, ...] = (
        ["168.63.129.16"],
        [],
        ["168.63.129.16/32"],
        ["host"],
        ["168.63.129.256"],
        ["fe80::1"],
    )
    case.document["platformAddresses"] = {field: pick(chooser, values)}


MISTAKES: tuple[Mistake, ...] = (
    priority_clash,
    overlapping_prefixes,
    mixed_families,
    tag_in_list,
    platform_tag_rule,
    unknown_tag,
    another_cloud,
    prefix_beside_group,
    two_ways_to_write,
    taken_name,
    bad_name,
    bad_value,
    missing_field,
    bad_ports,
    groups_across_networks,
    member_across_networks,
    too_many_groups,
    group_twice,
    unknown_reference,
    overlapping_peers,
    bad_subnet,
    bad_address,
    bad_scale_set,
    bad_subscription,
    bad_day,
    bad_platform_addresses,
)
