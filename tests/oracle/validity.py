"""Say what is wrong with a document, naively and from Azure's text alone.

The second opinion against which the loader's refusals are tested; like the oracle it shares no
code with nsgd. It knows the constraints of sections 1, 6 and 7 of the project's notes on Azure's
semantics, those of the tables in the policy document's description, and 13.14 and 13.16; where
section 1 quotes the service's error code, the complaint starts with it. It expects the shape
that drawn documents have (lists are lists, prefixes are written as CIDR without host bits), and
looks at the contents.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from .choose import read_network
from .oracle import DEFAULT_RULES, PLATFORM_ADDRESSES, PLATFORM_TAGS, PROTOCOL_NUMBERS

Written = Mapping[str, Any]

# MAN: begins with a letter or number, ends with one or an underscore.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")
PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
COMPUTED_TAGS = ("virtualnetwork", "internet", "azureloadbalancer")
SUBSCRIPTION_KINDS = (
    "enterpriseagreement",
    "enterprisedevtest",
    "payasyougo",
    "msdn",
    "azurepass",
    "azureinopen",
    "education",
    "bizspark",
    "freetrial",
    "cloudserviceprovider",
)
# LIM, the column "now", where a small document can reach it.
MOST_GROUPS_OF_A_SIDE = 10
MOST_GROUPS_OF_AN_INTERFACE = 20
LONGEST_DESCRIPTION = 140


def complaints(
    document: Written, tag_files: Mapping[str, Mapping[str, Any]] | None = None
) -> list[str]:
    """What is wrong with *document*; nothing of a valid one."""
    return list(_Check(document, tag_files or {}).all())


class _Check:
    def __init__(self, document: Written, tag_files: Mapping[str, Mapping[str, Any]]) -> None:
        self._document = document
        self._networks = {
            _key(network["name"]): network for network in self._list("virtualNetworks")
        }
        self._security_groups = [
            _key(group["name"]) for group in self._list("networkSecurityGroups")
        ]
        self._groups: dict[str, str | None] = {
            _key(group["name"]): _key(group["virtualNetwork"])
            if group.get("virtualNetwork")
            else None
            for group in self._list("applicationSecurityGroups")
        }
        for member in (*self._list("networkInterfaces"), *self._list("scaleSets")):
            for name in _entries(member, "applicationSecurityGroups"):
                # ASG: the first member fixes the network of a group that declares none.
                network = _key(member["subnet"].partition("/")[0])
                if _key(name) in self._groups and self._groups[_key(name)] is None:
                    self._groups[_key(name)] = network
        cloud = (document.get("serviceTags") or {}).get("cloud") or "Public"
        file = tag_files.get(cloud)
        self._published = {_key(entry["name"]) for entry in file["values"]} if file else set()

    def _list(self, field: str) -> list[Any]:
        return _entries(self._document, field)

    def all(self) -> Iterator[str]:
        """Every complaint, of every part."""
        yield from self._names()
        for network in self._networks.values():
            yield from self._network(network)
        yield from self._peers()
        yield from self._interfaces()
        yield from self._scale_sets()
        for group in self._list("networkSecurityGroups"):
            yield from self._security_group(group)
        yield from self._platform()
        yield from self._subscription()

    def _names(self) -> Iterator[str]:
        for field in (
            "virtualNetworks",
            "networkInterfaces",
            "networkSecurityGroups",
            "applicationSecurityGroups",
            "scaleSets",
        ):
            yield from _twice(
                f"name in {field}", [_key(owner["name"]) for owner in self._list(field)]
            )
        for group in self._list("applicationSecurityGroups"):
            name = group.get("virtualNetwork")
            if name and _key(name) not in self._networks:
                yield f"no virtual network {name}"

    # -- networks ------------------------------------------------------------------

    def _network(self, network: Written) -> Iterator[str]:
        space = [*network["addressSpace"]]
        yield from _overlaps(space, "address space")
        subnets = _entries(network, "subnets")
        yield from _twice("subnet", [_key(subnet["name"]) for subnet in subnets])
        texts = [text for subnet in subnets for text in subnet["addressPrefixes"]]
        yield from _overlaps(texts, "subnets")
        for text in texts:
            if not any(_is_inside(text, block) for block in space):
                yield f"subnet {text} is outside the address space"
        for subnet in subnets:
            yield from self._security_group_reference(subnet)
        remotes = [_peer_name(peering) for peering in _entries(network, "peerings")]
        yield from _twice("peering", remotes)
        for remote in remotes:
            if remote not in self._networks or remote == _key(network["name"]):
                yield f"no peer {remote}"

    def _peers(self) -> Iterator[str]:
        """13.16: two networks that both declare the peering do not overlap."""
        for name, network in self._networks.items():
            for remote in {_peer_name(peering) for peering in _entries(network, "peerings")}:
                other = self._networks.get(remote, {"addressSpace": []})
                back = {_peer_name(peering) for peering in _entries(other, "peerings")}
                if remote != name and name in back:
                    for left in network["addressSpace"]:
                        for right in other["addressSpace"]:
                            if _is_inside(left, right) or _is_inside(right, left):
                                yield f"peers {name} and {remote} overlap"

    def _subnet(self, owner: Written) -> Written | None:
        network, _, name = str(owner["subnet"]).partition("/")
        for subnet in _entries(self._networks.get(_key(network), {}), "subnets"):
            if _key(subnet["name"]) == _key(name):
                return {**subnet}
        return None

    def _security_group_reference(self, owner: Written) -> Iterator[str]:
        name = owner.get("networkSecurityGroup")
        if name and _key(name) not in self._security_groups:
            yield f"no network security group {name}"

    # -- members ---------------------------------------------------------------------

    def _interfaces(self) -> Iterator[str]:
        holders: list[tuple[str, str]] = []
        links = []
        for interface in self._list("networkInterfaces"):
            yield from self._member(interface)
            links += [interface["link"]] if interface.get("link") else []
            subnet = self._subnet(interface)
            network = _key(interface["subnet"].partition("/")[0])
            for text in interface["privateIPAddresses"]:
                address = ipaddress.ip_address(text)
                holders.append((network, str(address)))
                for prefix in subnet["addressPrefixes"] if subnet else ():
                    block = read_network(prefix)
                    if address in block:
                        offset = int(address) - int(block.network_address)
                        if block.version == 4 and (
                            offset < 4 or address == block.broadcast_address
                        ):
                            yield f"{text} is kept by Azure"
                        break
                else:
                    yield f"{text} is outside the subnet"
        yield from _twice("address", holders)
        yield from _twice("link", links)

    def _scale_sets(self) -> Iterator[str]:
        taken: dict[str, list[str]] = {}
        for scale_set in self._list("scaleSets"):
            yield from self._member(scale_set)
            subnet = self._subnet(scale_set)
            network = _key(scale_set["subnet"].partition("/")[0])
            for text in _entries(scale_set, "privateIPAddressPrefixes"):
                blocks = subnet["addressPrefixes"] if subnet else [text]
                if not any(_is_inside(text, block) for block in blocks):
                    yield f"scale set prefix {text} is outside the subnet"
                taken.setdefault(network, []).append(text)
        for texts in taken.values():
            yield from _overlaps(texts, "scale sets")

    def _member(self, member: Written) -> Iterator[str]:
        """What interfaces and scale sets have in common."""
        if self._subnet(member) is None:
            yield f"no subnet {member['subnet']}"
        yield from self._security_group_reference(member)
        yield from _day(member, "created")
        network = _key(member["subnet"].partition("/")[0])
        names = [_key(name) for name in _entries(member, "applicationSecurityGroups")]
        yield from _twice("application security group", names)
        if len(names) > MOST_GROUPS_OF_AN_INTERFACE:
            yield "too many application security groups of one interface"
        for name in names:
            if name not in self._groups:
                yield f"no application security group {name}"
            elif self._groups[name] != network:
                yield f"application security group {name} is in another virtual network"

    # -- rules -------------------------------------------------------------------------

    def _security_group(self, group: Written) -> Iterator[str]:
        rules = _entries(group, "securityRules")
        defaults = [_key(rule["name"]) for rule in DEFAULT_RULES]
        names = [_key(rule["name"]) for rule in rules if rule.get("name")]
        yield from _twice("rule name", [*names, *defaults])
        clashes = Counter(
            (_key(str(rule.get("direction"))), rule["priority"])
            for rule in rules
            if isinstance(rule.get("priority"), int)
        )
        for (direction, priority), count in clashes.items():
            if count > 1:
                yield f"SecurityRuleConflict: {direction} {priority} {count} times"
        for rule in rules:
            for complaint in self._rule(rule):
                yield f"{complaint} (rule {rule.get('name')})"

    def _rule(self, rule: Written) -> Iterator[str]:
        for field, allowed in (
            ("direction", ("inbound", "outbound")),
            ("access", ("allow", "deny")),
            ("protocol", ("*", *PROTOCOL_NUMBERS)),
        ):
            if _key(str(rule.get(field) or "")) not in allowed:
                yield f"{field} is {rule.get(field)!r}"
        if not NAME.fullmatch(str(rule.get("name") or "")):
            yield f"name is {rule.get('name')!r}"
        priority = rule.get("priority")
        if type(priority) is not int or not 100 <= priority <= 4096:
            yield f"priority is {priority!r}"
        if len(rule.get("description") or "") > LONGEST_DESCRIPTION:
            yield "description is too long"
        tags: set[str] = set()
        groups: list[str] = []
        families: set[int] = set()
        for side in ("source", "destination"):
            yield from self._side(rule, side)
            yield from _ports(rule, f"{side}PortRange")
            groups += [_key(g) for g in _entries(rule, f"{side}ApplicationSecurityGroups")]
            texts = _side_texts(rule, side)
            tags |= {_key(text) for text in texts} & {*PLATFORM_TAGS}
            families |= {read_network(text).version for text in texts if _is_prefix(text)}
        if len(families) > 1:
            # The service speaks of the whole rule: a tag, * and groups are of no family.
            yield "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies: IPv4 and IPv6"
        networks = {self._groups[name] for name in groups if name in self._groups} - {None}
        both = all(
            _entries(rule, f"{side}ApplicationSecurityGroups") for side in ("source", "destination")
        )
        if both and len(networks) > 1:
            yield "application security groups of two virtual networks in one rule"
        if _key(str(rule.get("protocol"))) in ("icmp", "esp", "ah"):
            for side in ("source", "destination"):
                if not _are_all_ports(_port_texts(rule, f"{side}PortRange")):
                    yield f"{rule['protocol']} has no {side} ports"
        if tags and _key(str(rule.get("access"))) != "deny":
            yield "SecurityRuleInvalidAccessType: a platform's tag is for Deny only"
        if "azureplatformdns" in tags:
            ports = _port_texts(rule, "sourcePortRange") + _port_texts(rule, "destinationPortRange")
            if rule.get("protocol") != "*" or {*ports} - {"*"}:
                yield "the DNS tag needs every protocol and port"

    def _side(self, rule: Written, side: str) -> Iterator[str]:
        texts = _side_texts(rule, side)
        groups = [_key(name) for name in _entries(rule, f"{side}ApplicationSecurityGroups")]
        given = [
            rule.get(field)
            for field in (
                f"{side}AddressPrefix",
                f"{side}AddressPrefixes",
                f"{side}ApplicationSecurityGroups",
            )
        ]
        if sum(not _is_absent(value) for value in given) != 1:
            yield f"{side} is not written in one way"
        yield from _twice(f"{side} group", groups)
        if len(groups) > MOST_GROUPS_OF_A_SIDE:
            yield f"too many {side} groups"
        for name in groups:
            if name not in self._groups:
                yield f"no application security group {name}"
        prefixes = _entries(rule, f"{side}AddressPrefixes")
        if len(prefixes) > 1 and not all(_is_prefix(text) for text in prefixes):
            yield "SecurityRuleParameterContainsUnsupportedValue: a tag or * in a list"
        elif not all(self._is_known(text) for text in texts):
            yield f"SecurityRuleInvalidAddressPrefix: {texts}"
        prefixes = [text for text in prefixes if _is_prefix(text)]
        if any(_overlaps(prefixes, side)):
            yield f"OverlappingSubnetsNotPermittedInSecurityRule: {side}"

    def _is_known(self, text: str) -> bool:
        known = ("*", *COMPUTED_TAGS, *PLATFORM_TAGS, *self._published)
        return _is_prefix(text) or _key(text) in known

    # -- the platform ------------------------------------------------------------------

    def _platform(self) -> Iterator[str]:
        written = self._document.get("platformAddresses") or {}
        for field, texts in written.items():
            if field not in PLATFORM_ADDRESSES:
                yield f"platformAddresses has no {field}"
            for text in texts or ():
                if not _is_address(text):
                    yield f"{text!r} is no address"

    def _subscription(self) -> Iterator[str]:
        written = self._document.get("subscription")
        if not written:
            return
        kind = _key(str(written.get("kind") or ""))
        if kind not in SUBSCRIPTION_KINDS:
            yield f"no kind of subscription: {written.get('kind')!r}"
        if not written.get("created"):
            yield "a subscription without a day"
        yield from _day(written, "created")
        yield from _day(written, "smtpExempted")
        if written.get("smtpExempted") and kind != "enterprisedevtest":
            yield f"no exemption is given to {kind}"


def _ports(rule: Written, field: str) -> Iterator[str]:
    values = [rule.get(field), rule.get(f"{field}s")]
    if sum(not _is_absent(value) for value in values) != 1:
        yield f"{field} is not written in one way"
    texts = _port_texts(rule, field)
    if len(_entries(rule, f"{field}s")) > 1 and "*" in rule[f"{field}s"]:
        yield f"SecurityRuleInvalidPortRange: * in a list of {field}s"
    for text in texts:
        match = PORTS.fullmatch(text)
        if text == "*":
            continue
        if match is None or not int(match[1]) <= int(match[2] or match[1]) <= 65535:
            yield f"SecurityRuleInvalidPortRange: {text!r}"


def _are_all_ports(texts: Sequence[str]) -> bool:
    if "*" in texts or not texts:
        return True
    # What is no range is complained of as such.
    found = [PORTS.fullmatch(text) for text in texts]
    named = {
        port
        for match in found
        if match is not None
        for port in range(int(match[1]), int(match[2] or match[1]) + 1)
    }
    return None in found or named >= {*range(65536)}


def _port_texts(rule: Written, field: str) -> list[str]:
    value = rule.get(field)
    return [
        str(each) for each in ([] if _is_absent(value) else [value]) + _entries(rule, f"{field}s")
    ]


def _side_texts(rule: Written, side: str) -> list[str]:
    value = rule.get(f"{side}AddressPrefix")
    return ([] if _is_absent(value) else [str(value)]) + _entries(rule, f"{side}AddressPrefixes")


def _overlaps(texts: Sequence[str], what: str) -> Iterator[str]:
    for index, left in enumerate(texts):
        for right in texts[index + 1 :]:
            if _is_inside(left, right) or _is_inside(right, left):
                yield f"{left} and {right} overlap in {what}"


def _is_inside(inner: str, outer: str) -> bool:
    small, large = read_network(inner), read_network(outer)
    return (
        small.version == large.version
        and small.prefixlen >= large.prefixlen
        and small.network_address in large
    )


def _is_prefix(text: str) -> bool:
    try:
        read_network(text)
    except ValueError:
        return False
    return True


def _is_address(text: object) -> bool:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def _day(owner: Written, field: str) -> Iterator[str]:
    value = owner.get(field)
    if _is_absent(value):
        return
    try:
        if not DAY.fullmatch(str(value)):
            raise ValueError
        date.fromisoformat(str(value))
    except ValueError:
        yield f"{field} is {value!r}, which is no day"


def _twice(what: str, values: Sequence[object]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} {value} is given {count} times"


def _entries(owner: Written, field: str) -> list[Any]:
    return list(owner.get(field) or ())


def _peer_name(peering: str | Written) -> str:
    return _key(peering if isinstance(peering, str) else peering["name"])


def _is_absent(value: object) -> bool:
    """13.2."""
    return value is None or value == "" or value == []


def _key(name: str) -> str:
    return name.lower()
