"""Draw policy documents, the service tags they name, and packets on the edges of their rules.

Drawn documents are valid by Azure's text: names and priorities are unique, subnets and the
prefixes of one list do not overlap, those of one rule are of one family, a tag stands alone,
peers do not overlap, an interface has an address that Azure hands out. Within that they spell
the same thing in every way the format allows: case, singular or list, absent or empty.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from .choose import (
    Chooser,
    HypothesisChooser,
    RandomChooser,
    Written,
    any_overlap,
    cased,
    chance,
    disjoint,
    maybe_list,
    maybe_reference,
    overlaps_any,
    pick,
    some,
    weighted,
)
from .dialect_parts import FORMS, PORT_FIELDS, add_admin_rules, as_2017, as_classic
from .many_rules import add_many_rules
from .oracle import PLATFORM_TAGS, Packet, Prefix
from .packets import PacketSource
from .platform_parts import (
    MACHINE_DAYS,
    draw_platform_addresses,
    draw_scale_sets,
    draw_subscription,
    maybe_day,
)
from .tag_files import draw_tag_files, tag_names

# Blocks for address spaces: neighbours, private and public ones, both families.
SPACES_IPV4 = (
    "10.0.0.0/16",
    "10.1.0.0/16",
    "10.1.0.0/17",  # in the one before: taken only by a network that may overlap it
    "10.0.128.0/17",
    "172.16.0.0/20",
    "192.168.0.0/22",
    "100.64.0.0/18",
    "20.40.0.0/16",
    "9.255.255.0/24",
    "168.63.129.0/28",  # ends just before the host's virtual address
    "172.31.240.0/20",
)
SPACES_IPV6 = ("fd00:10::/48", "fd00:11::/48", "2a01:10::/48", "2001:db8:7::/48", "2001:1::/48")
# Prefixes behind gateways and of routes.
FAR_PREFIXES = (
    "192.168.64.0/24",
    "172.20.0.0/16",
    "198.51.100.0/25",
    "8.8.8.0/24",
    "203.0.113.7/32",
    "fd99::/64",
    "2a02:20::/32",
    "10.200.0.0/14",
    "168.63.129.0/24",  # around the host's address: no longer of the Internet
)
ROUTES = (
    "10.255.0.0/24",
    "0.0.0.0/0",  # turns off the exemption of key management
    "52.0.0.0/8",
    "0.0.0.0/0",
    "::/0",
    "192.168.64.0/25",
    "fd98::/64",
    "168.63.129.16/32",
)
# Prefixes that users write besides those of their own networks.
COMMON_PREFIXES = (
    "8.8.8.8",
    "8.8.8.0/24",
    "203.0.113.0/24",
    "198.18.0.0/15",
    "100.64.0.0/10",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "168.63.129.16/32",
    "192.0.2.0/25",
    "2001:db8::/32",
    "2a00::1",
    "2001::/16",
    "fe80::/10",
    "fd00::/8",
    "128.0.0.0/1",
)
TAGS = ("VirtualNetwork", "Internet", "AzureLoadBalancer")
PLATFORM = ("AzurePlatformDNS", "AzurePlatformIMDS", "AzurePlatformLKM")
# Of a hundred rules so many name IPv6 prefixes, if any: a rule's are of one family.
IPV6_RULES = 45
PROTOCOLS = ("*", "Tcp", "Udp", "Icmp", "Esp", "Ah")


class Case(NamedTuple):
    """A document, the tag files installed beside it by cloud, and packets to judge."""

    document: Written
    tag_files: dict[str, Written]
    packets: list[Packet]


# -- documents -------------------------------------------------------------------------


def draw_document(
    chooser: Chooser, *, names_tags: bool = True
) -> tuple[Written, dict[str, Written]]:
    """A valid document in the project's own format, and the tag files it needs, by cloud.

    Without *names_tags* it names no published tag and has no files.
    """
    overlap = chance(chooser, 20)
    every_link = chance(chooser, 50)
    networks = _draw_networks(chooser, overlap)
    groups = ("Web", "app", "Db-1", "edge.Out")[: pick(chooser, (1, 1, 2, 2, 2, 3, 3, 4, 4, 0))]
    application_groups = [
        {
            "name": name,
            "virtualNetwork": cased(chooser, pick(chooser, networks)["name"]),
        }
        for name in ("WebServers", "logic", "DB_1", "g.4")[: chooser.integer(4)]
    ]
    for network in networks:
        for subnet in network["subnets"]:
            maybe_reference(chooser, subnet, "networkSecurityGroup", groups, 65)
    interfaces = _draw_interfaces(
        chooser, networks, groups, application_groups, overlap and every_link
    )
    scale_sets = draw_scale_sets(chooser, networks, groups, application_groups, interfaces)
    prefixes = _prefixes_to_write(networks, interfaces)
    tag_files = draw_tag_files(chooser, prefixes) if names_tags else {}
    cloud = pick(chooser, list(tag_files)) if tag_files else "Public"
    names = tag_names(tag_files[cloud]) if tag_files else []
    platform = draw_platform_addresses(chooser, interfaces) if chance(chooser, 45) else None
    # As a source a platform's tag meets packets only where a machine has such an address.
    sources = 30 if platform and _are_of_machines(platform, interfaces) else 3
    document: Written = {
        "virtualNetworks": networks,
        "networkInterfaces": interfaces,
        "networkSecurityGroups": [
            {
                "name": name,
                "securityRules": _draw_rules(chooser, prefixes, application_groups, names, sources),
            }
            for name in groups
        ],
        "applicationSecurityGroups": application_groups,
        "scaleSets": scale_sets,
    }
    document = {key: value for key, value in document.items() if value or not chance(chooser, 50)}
    if cloud != "Public" or chance(chooser, 30):
        document["serviceTags"] = {"cloud": cloud}
    if platform is not None:
        document["platformAddresses"] = platform
    if chance(chooser, 40):
        document["subscription"] = draw_subscription(chooser)
    return document, tag_files


def _draw_networks(chooser: Chooser, overlap: bool) -> list[Written]:
    count = 2 + chooser.integer(2) if overlap else 1 + chooser.integer(3)
    networks: list[Written] = []
    for name in ("lab", "Hub", "spoke-1", "Far_net")[:count]:
        taken = [] if overlap else [p for other in networks for p in other["addressSpace"]]
        space: list[str] = []
        if overlap and networks and chance(chooser, 75):
            space.append(networks[0]["addressSpace"][0])
        for blocks, percent in ((SPACES_IPV4, 30), (SPACES_IPV6, 70)):
            if (blocks is SPACES_IPV4 and not space) or chance(chooser, percent):
                free = [p for p in blocks if not overlaps_any(p, [*taken, *space])]
                if free:
                    space.append(pick(chooser, free))
        network: Written = {"name": name, "addressSpace": space}
        maybe_list(chooser, network, "onPremises", FAR_PREFIXES, 45)
        maybe_list(chooser, network, "routes", ROUTES, 30)
        network["subnets"] = _draw_subnets(chooser, space)
        for subnet in network["subnets"]:
            maybe_list(chooser, subnet, "routes", ROUTES, 15)
        networks.append(network)
    _draw_peerings(chooser, networks)
    return networks


def _draw_peerings(chooser: Chooser, networks: list[Written]) -> None:
    """Peerings, mutual or of one side only, between networks that do not overlap."""
    neighbours: dict[int, set[int]] = {index: {index} for index in range(len(networks))}
    declared: dict[int, list[str | Written]] = {index: [] for index in range(len(networks))}
    for left in range(len(networks)):
        for right in range(left + 1, len(networks)):
            # Nor may the peers of one network overlap each other.
            close = neighbours[left] | neighbours[right]
            if not chance(chooser, 60) or any_overlap([networks[index] for index in close]):
                continue
            sides = pick(chooser, ((left, right), (left, right), (left,), (right,)))
            neighbours[left].add(right)
            neighbours[right].add(left)
            for side in sides:
                name = cased(chooser, networks[right if side == left else left]["name"])
                if chance(chooser, 50):
                    settings: Written = {"name": name}
                    for flag in ("allowGatewayTransit", "useRemoteGateways"):
                        if chance(chooser, 75):
                            settings[flag] = not chance(chooser, 15)
                    declared[side].append(settings)
                else:
                    declared[side].append(name)
    for index, network in enumerate(networks):
        if declared[index] or chance(chooser, 30):
            network["peerings"] = declared[index]


def _draw_subnets(chooser: Chooser, space: Sequence[str]) -> list[Written]:
    """Subnets inside *space*, neighbours more often than not, all of them disjoint."""
    ipv4 = [ipaddress.ip_network(text) for text in space if ":" not in text]
    ipv6 = [ipaddress.ip_network(text) for text in space if ":" in text]
    taken: list[str] = []

    def cut(block: Prefix, length: int) -> str | None:
        count = 1 << (length - block.prefixlen)
        index = pick(chooser, (0, 0, 1, 2, count // 2, count - 1))
        index = min(index, count - 1)
        first = int(block.network_address) + (index << (block.max_prefixlen - length))
        text = f"{ipaddress.ip_address(first)}/{length}"
        if overlaps_any(text, taken):
            return None
        taken.append(text)
        return text

    subnets: list[Written] = []
    for name in ("web", "Data", "gw.1")[: 1 + chooser.integer(2)]:
        prefixes: list[str] = []
        for _ in range(1 + chance(chooser, 15)):
            block = pick(chooser, ipv4)
            length = pick(chooser, (24, 29, 27, 26, block.prefixlen))
            text = cut(block, max(length, block.prefixlen))
            if text is not None:
                prefixes.append(text)
        if prefixes and ipv6 and chance(chooser, 75):
            text = cut(pick(chooser, ipv6), 64)
            if text is not None:
                prefixes.append(text)
        if prefixes:
            subnets.append({"name": name, "addressPrefixes": prefixes})
    return subnets


def _draw_interfaces(
    chooser: Chooser,
    networks: list[Written],
    groups: Sequence[str],
    application_groups: list[Written],
    every_link: bool,
) -> list[Written]:
    interfaces: list[Written] = []
    for network in networks:
        members = [
            group["name"]
            for group in application_groups
            if group["virtualNetwork"].lower() == network["name"].lower()
        ]
        used: set[str] = set()
        for subnet in network["subnets"]:
            for _ in range(pick(chooser, (1, 0, 1, 2, 3))):
                addresses = _draw_addresses(chooser, subnet["addressPrefixes"], used)
                if not addresses:
                    continue
                number = len(interfaces)
                name = f"{network['name']}{number}"
                interface: Written = {
                    "name": name,
                    "subnet": cased(chooser, f"{network['name']}/{subnet['name']}"),
                    "privateIPAddresses": addresses,
                }
                if every_link or not chance(chooser, 35):
                    interface["link"] = f"veth{number}"
                elif chance(chooser, 20):
                    interface["link"] = None
                maybe_reference(chooser, interface, "networkSecurityGroup", groups, 75)
                if chance(chooser, 30):
                    interface["enableIPForwarding"] = chance(chooser, 80)
                if members and chance(chooser, 70):
                    interface["applicationSecurityGroups"] = [
                        cased(chooser, member) for member in some(chooser, members)
                    ]
                maybe_day(chooser, interface, "created", MACHINE_DAYS)
                interfaces.append(interface)
    return interfaces


def _draw_addresses(chooser: Chooser, prefixes: Sequence[str], used: set[str]) -> list[str]:
    """Free addresses of a subnet, an IPv4 one first, as Azure wants."""
    found: list[str] = []
    wanted = [text for text in prefixes if ":" not in text][:1]
    wanted += [text for text in prefixes if chance(chooser, 50)]
    for text in wanted:
        block = ipaddress.ip_network(text)
        last = min(block.num_addresses, 1 << 20) - 2
        offset = min(pick(chooser, (4, 5, 6, last, last - 1, 40)), last)
        address = str(block.network_address + offset)
        if address not in used:
            used.add(address)
            found.append(address)
    return found if found and ":" not in found[0] else []


def _draw_rules(
    chooser: Chooser,
    prefixes: Sequence[str],
    application_groups: Sequence[Written],
    names: Sequence[str],
    platform_sources: int,
) -> list[Written]:
    rules: list[Written] = []
    taken: set[tuple[str, int]] = set()
    for number in range(pick(chooser, (1, 0, 2, 3, 4, 6, 9))):
        direction = pick(chooser, ("Inbound", "Outbound"))
        priority = pick(chooser, (100 + 10 * number, 100, 200, 4096, 100 + chooser.integer(3996)))
        if (direction, priority) in taken:
            continue
        taken.add((direction, priority))
        rule: Written = {
            "name": f"{pick(chooser, ('Rule', 'allow-', 'Deny_X.'))}{number}",
            "priority": priority,
            "direction": cased(chooser, direction),
            "access": cased(chooser, pick(chooser, ("Allow", "Deny"))),
            "protocol": cased(
                chooser,
                weighted(
                    chooser,
                    [(45, "*"), (30, "Tcp"), (12, "Udp"), (7, "Icmp"), (3, "Esp"), (3, "Ah")],
                ),
            ),
        }
        # Both sides by groups: Azure wants all members in one virtual network, and we
        # keep that for the several groups of one side too.
        network = (
            pick(chooser, application_groups)["virtualNetwork"].lower()
            if application_groups
            else None
        )
        groups = [
            group["name"]
            for group in application_groups
            if group["virtualNetwork"].lower() == network
        ]
        is_ipv6 = chance(chooser, IPV6_RULES)
        texts = [text for text in prefixes if (":" in text) == is_ipv6]
        for side in ("source", "destination"):
            _write_side(chooser, rule, side, texts, groups, names, platform_sources)
        tags = _platform_tags(rule)
        if tags:  # 7: such a rule denies, and one on DNS is for every protocol and port
            rule["access"] = cased(chooser, "Deny")
        if "azureplatformdns" in tags:
            rule["protocol"] = "*"
        # Neither has one of a protocol without ports any.
        no_ports = "azureplatformdns" in tags or rule["protocol"].lower() in ("icmp", "esp", "ah")
        _write_ports(chooser, rule, "sourcePortRange", 0 if no_ports else 15)
        percent = 0 if no_ports else 25 if tags else 60
        _write_ports(chooser, rule, "destinationPortRange", percent)
        if chance(chooser, 5):
            rule["description"] = "as asked for"
        rules.append(rule)
    return rules


def _are_of_machines(platform: Written, interfaces: Sequence[Written]) -> bool:
    own = {text for interface in interfaces for text in interface["privateIPAddresses"]}
    return any(own & {*texts} for texts in platform.values())


def _platform_tags(rule: Written) -> set[str]:
    """The tags of the platform that a rule names, in lower case."""
    texts: list[Any] = []
    for side in ("source", "destination"):
        texts += [rule.get(f"{side}AddressPrefix"), *(rule.get(f"{side}AddressPrefixes") or [])]
    return {str(text).lower() for text in texts} & {*PLATFORM_TAGS}


def _write_side(
    chooser: Chooser,
    rule: Written,
    side: str,
    prefixes: Sequence[str],
    groups: Sequence[str],
    names: Sequence[str],
    platform_sources: int,
) -> None:
    aims_at_platform = side == "destination" and rule["direction"].lower() == "outbound"
    kind = weighted(
        chooser,
        [
            (28, "*"),
            (17, "tag"),
            (22, "prefix"),
            (17, "list"),
            (6, "all"),
            (16, "groups"),
            (12, "published"),
            (18 if aims_at_platform else platform_sources, "platform"),
        ],
    )
    singular = f"{side}AddressPrefix"
    if kind == "groups" and groups:
        rule[f"{side}ApplicationSecurityGroups"] = [
            cased(chooser, name) for name in some(chooser, groups)
        ]
        if chance(chooser, 30):
            rule[singular] = pick(chooser, ("", None))
        return
    if kind == "published" and names:
        values = [cased(chooser, pick(chooser, names))]
    elif kind == "platform":
        values = [cased(chooser, pick(chooser, (*PLATFORM, PLATFORM[1])))]
    elif kind == "tag":
        values = [cased(chooser, pick(chooser, TAGS))]
    elif kind == "all":
        values = ["::/0" if ":" in prefixes[0] else "0.0.0.0/0"]
    elif kind == "prefix":
        values = [pick(chooser, prefixes)]
    elif kind == "list":
        values = disjoint(chooser, prefixes, 2 + chooser.integer(3))
    else:
        values = ["*"]
    _write_one_or_many(chooser, rule, singular, f"{side}AddressPrefixes", values)
    if chance(chooser, 10):
        rule[f"{side}ApplicationSecurityGroups"] = pick(chooser, ([], None))


def _write_ports(chooser: Chooser, rule: Written, field: str, percent: int) -> None:
    values = list(pick(chooser, PORT_FIELDS)) if chance(chooser, percent) else ["*"]
    _write_one_or_many(chooser, rule, field, f"{field}s", values)


def _write_one_or_many(
    chooser: Chooser, rule: Written, singular: str, plural: str, values: list[Any]
) -> None:
    if len(values) > 1 or chance(chooser, 15):
        rule[plural] = values
        if chance(chooser, 25):
            rule[singular] = pick(chooser, ("", None))
    else:
        rule[singular] = values[0]
        if chance(chooser, 25):
            rule[plural] = pick(chooser, ([], None))


def _prefixes_to_write(networks: list[Written], interfaces: list[Written]) -> list[str]:
    """What rules may name: the document's own prefixes, their halves, hosts and others."""
    texts: list[str] = []
    for network in networks:
        for text in network["addressSpace"]:
            block = ipaddress.ip_network(text)
            texts += [text, str(block.supernet())]
        for subnet in network["subnets"]:
            for text in subnet["addressPrefixes"]:
                texts += [text, *(str(half) for half in ipaddress.ip_network(text).subnets())]
        texts += network.get("onPremises") or []
    for interface in interfaces:
        for address in interface["privateIPAddresses"]:
            texts += [address, f"{address}/{128 if ':' in address else 32}"]
    return [*dict.fromkeys([*texts, *COMMON_PREFIXES])]


# -- both, for bulk runs and for Hypothesis ------------------------------------------------


def random_tagged_case(seed: str, packets: int) -> Case:
    """A document, its tag files and packets, the same for the same seed."""
    return _draw_case(RandomChooser(seed), packets)


def random_case_of_any_form(seed: str, packets: int, form: str | None = None) -> Case:
    """A case of any dialect, or with security admin rules; of one *form* where it is named.

    The form "many", of groups with many rules, is drawn only where it is named.
    """
    return _draw_case(RandomChooser(seed), packets, form)


def random_case(seed: str, packets: int, form: str = "now") -> tuple[Written, list[Packet]]:
    """A document that needs no tag file, and packets, the same for the same seed."""
    document, _, drawn = _draw_case(RandomChooser(seed), packets, form, names_tags=False)
    return document, drawn


def _draw_case(
    chooser: Chooser, packets: int, form: str | None = "now", *, names_tags: bool = True
) -> Case:
    form = form or weighted(chooser, FORMS)
    document, tag_files = draw_document(chooser, names_tags=names_tags)
    if form == "admin":
        cloud = (document.get("serviceTags") or {}).get("cloud") or "Public"
        prefixes = _prefixes_to_write(
            document["virtualNetworks"], document.get("networkInterfaces") or []
        )
        tags = tag_names(tag_files[cloud]) if tag_files else []
        document = add_admin_rules(chooser, document, prefixes, tags)
    elif form == "many":
        own = document["virtualNetworks"], document.get("networkInterfaces") or []
        document = add_many_rules(chooser, document, _prefixes_to_write(*own))
    elif form != "now":
        document, tag_files = as_2017(chooser, document, tag_files)
        if form == "classic":
            document = as_classic(chooser, document)
    return _with_packets(chooser, document, tag_files, packets)


def _with_packets(
    chooser: Chooser, document: Written, tag_files: dict[str, Written], packets: int
) -> Case:
    if packets == 0:
        return Case(document, tag_files, [])
    source = PacketSource(document, tag_files)
    return Case(document, tag_files, [source.draw(chooser) for _ in range(packets)])


@st.composite
def cases(draw: st.DrawFn, most_packets: int = 8) -> Case:
    """A case with one packet or a few."""
    chooser = HypothesisChooser(draw)
    return _draw_case(chooser, 1 + chooser.integer(most_packets - 1), None)
