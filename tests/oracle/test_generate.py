"""The drawn cases can tell every choice apart that they are meant to test.

Each mutant is an oracle with one mistake. If no drawn packet exposes it, agreement
with nsgd would say nothing about that choice.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from . import oracle as text
from .choose import Written
from .generate import Case, cases, random_tagged_case
from .oracle import Answer, Oracle, Packet

DOCUMENTS = 600
PACKETS = 50


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Case, list[Answer]]]:
    """Cases, and the right answers to their packets."""
    found = []
    for number in range(DOCUMENTS):
        case = random_tagged_case(f"mutants-{number}", PACKETS)
        oracle = Oracle(case.document, case.tag_files)
        found.append((case, [oracle.judge(packet) for packet in case.packets]))
    return found


def one_sided_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peering counts when this side declares it."""
    peerings = text._peerings
    monkeypatch.setattr(
        Oracle, "_mutual_peers", lambda self, name: {*peerings(self._networks[name])}
    )
    # The peer may not name this network: no flags then.
    monkeypatch.setattr(text, "_peerings", lambda network: defaultdict(dict, peerings(network)))


def flags_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """On-premises prefixes reach every peer."""
    peerings = text._peerings
    both = {"useRemoteGateways": True, "allowGatewayTransit": True}
    monkeypatch.setattr(text, "_peerings", lambda network: dict.fromkeys(peerings(network), both))


def one_flag(field: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One of the two flags is taken as set."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        peerings = text._peerings
        monkeypatch.setattr(
            text,
            "_peerings",
            lambda network: {
                name: {**settings, field: True} for name, settings in peerings(network).items()
            },
        )

    mutate.__name__ = f"without_{field}"
    return mutate


def routes_leave_virtual_network(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = text._entries
    monkeypatch.setattr(
        text, "_entries", lambda owner, name: [] if name == "routes" else entries(owner, name)
    )


def covers_instead(name: str, holds: Callable[..., bool]) -> Callable[[pytest.MonkeyPatch], None]:
    """One tag is read in another way, by *holds* of the oracle, the end and the network."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        covers = Oracle._covers

        def mutant(self: Oracle, text: str, end: Any, network: str) -> bool:
            if text.lower() == name:
                return holds(self, end, network)
            return covers(self, text, end, network)

        monkeypatch.setattr(Oracle, "_covers", mutant)

    return mutate


def named(
    name: str, mutate: Callable[[pytest.MonkeyPatch], None]
) -> Callable[[pytest.MonkeyPatch], None]:
    mutate.__name__ = name
    return mutate


def host_not_in_virtual_network(monkeypatch: pytest.MonkeyPatch) -> None:
    covers = Oracle._covers

    def mutant(self: Oracle, name: str, end: Any, network: str) -> bool:
        if name.lower() == "virtualnetwork":
            spaces = (*self._connected[network], *self._routes[network])
            return any(end.address in prefix for prefix in spaces)
        return covers(self, name, end, network)

    monkeypatch.setattr(Oracle, "_covers", mutant)


def with_platform(field: str, *addresses: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Other addresses of the platform where a document leaves Azure's."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        changed = {**text.PLATFORM_ADDRESSES, field: addresses}
        monkeypatch.setattr(text, "PLATFORM_ADDRESSES", changed)

    return named(f"{field}_is_{'_'.join(addresses)}", mutate)


def emptied_addresses_are_azures(monkeypatch: pytest.MonkeyPatch) -> None:
    """[] is read as absent, as it is elsewhere."""
    read = text._read_platform

    def mutant(document: Written) -> Any:
        written = document.get("platformAddresses") or {}
        kept = {field: value for field, value in written.items() if value}
        return read({**document, "platformAddresses": kept})

    monkeypatch.setattr(text, "_read_platform", mutant)


def internet_keeps_own_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Oracle, "_is_internet", lambda self, address, network: text._is_public(address)
    )


def without_block(block: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One special-purpose block is forgotten."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NOT_PUBLIC_IPV4", "NOT_PUBLIC_IPV6", "PUBLIC_AGAIN_IPV6"):
            kept = tuple(p for p in getattr(text, name) if str(p) != block)
            monkeypatch.setattr(text, name, kept)

    mutate.__name__ = f"without_{block}"
    return mutate


def members_instead(
    name: str, is_near: Callable[[Oracle, str, str], bool]
) -> Callable[[pytest.MonkeyPatch], None]:
    """Members count by another relation of their network and the rule's."""

    def mutant(self: Oracle, group: str, address: text.Address, network: str) -> bool:
        members: list[Any] = [*self._interfaces, *self._scale_sets]
        return any(
            group in member.application_groups
            and is_near(self, member.subnet.network, network)
            and self._is_address_of(member, address)
            for member in members
        )

    return named(name, lambda monkeypatch: monkeypatch.setattr(Oracle, "_is_member", mutant))


def icmp_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {**text.PROTOCOL_NUMBERS, "icmp": {4: 1, 6: 1}}
    monkeypatch.setattr(text, "PROTOCOL_NUMBERS", numbers)


def portless_ignore_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_covers_every_port", lambda ranges: True)


def portless_need_one_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_covers_every_port", lambda ranges: (0, 65535) in ranges)


def no_preferred_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oracle, "_prefer_network_of", lambda self, others, candidates: candidates)


def no_preferred_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    prefer = Oracle._prefer_network_of

    def mutant(
        self: Oracle, others: list[text._Endpoint], candidates: list[text._Endpoint]
    ) -> list[text._Endpoint]:
        chosen = prefer(self, others, candidates)
        same = others and chosen[:1] and chosen[0].subnet.network == others[0].subnet.network
        return chosen if same else candidates

    monkeypatch.setattr(Oracle, "_prefer_network_of", mutant)


def links_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = Oracle._candidates
    monkeypatch.setattr(
        Oracle, "_candidates", lambda self, link, address: candidates(self, None, address)
    )


def no_order_of_consultation(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Oracle.judge

    def mutant(self: Oracle, packet: Packet) -> text.Answer:
        answer = judge(self, packet)
        return answer._replace(consulted=tuple(sorted(answer.consulted)))

    monkeypatch.setattr(Oracle, "judge", mutant)


# -- the platform ----------------------------------------------------------------------


def in_order(name: str, order: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Outbound rules are tried in another order, from all rules, denials and exemptions."""

    def mutant(self: Oracle, rules: Any, direction: str, network: str) -> Any:
        mine = [rule for rule in rules if rule.direction == direction]
        if direction == "Inbound":
            return mine
        denials = [rule for rule in mine if text._names_platform(rule.destination)]
        return order(mine, denials, self._exempt[network])

    return named(name, lambda monkeypatch: monkeypatch.setattr(Oracle, "_in_order", mutant))


def _rest(rules: list[Any], taken: list[Any]) -> list[Any]:
    return [rule for rule in rules if rule not in taken]


def source_tags_come_first_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule on a platform's tag goes ahead whichever side names it."""

    def mutant(self: Oracle, rules: Any, direction: str, network: str) -> Any:
        mine = [rule for rule in rules if rule.direction == direction]
        if direction == "Inbound":
            return mine
        first = [
            rule
            for rule in mine
            if text._names_platform(rule.destination) or text._names_platform(rule.source)
        ]
        return [*first, *self._exempt[network], *_rest(mine, first)]

    monkeypatch.setattr(Oracle, "_in_order", mutant)


def inbound_is_exempt_too(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Oracle._in_order

    def mutant(self: Oracle, rules: Any, direction: str, network: str) -> Any:
        if direction == "Outbound":
            return order(self, rules, direction, network)
        turned = [
            dataclasses.replace(rule, source=rule.destination, destination=rule.source)
            for rule in self._exempt[network][:2]
        ]
        return [*turned, *order(self, rules, direction, network)]

    monkeypatch.setattr(Oracle, "_in_order", mutant)


def key_management_ignores_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "EVERY_IPV4", "no route")


def key_management_heeds_ipv6_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    exemptions = Oracle._exemptions

    def mutant(self: Oracle, network: str) -> Any:
        found = exemptions(self, network)
        default = ipaddress.ip_network("::/0")
        return found[:2] if default in self._routes[network] else found

    monkeypatch.setattr(Oracle, "_exemptions", mutant)


def key_management_by_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    exemptions = Oracle._exemptions
    monkeypatch.setattr(
        Oracle,
        "_exemptions",
        lambda self, network: [
            dataclasses.replace(rule, protocol="*") for rule in exemptions(self, network)
        ],
    )


def one_number(name: str, value: object) -> Callable[[pytest.MonkeyPatch], None]:
    """A constant is another."""
    return named(
        f"{name.lower()}_is_{value}",
        lambda monkeypatch: monkeypatch.setattr(text, name, value),
    )


# -- published tags --------------------------------------------------------------------


def tags_instead(
    name: str, read: Callable[[dict[str, Any], Written, dict[str, Written]], dict[str, Any]]
) -> Callable[[pytest.MonkeyPatch], None]:
    """The tags are read otherwise: from the right ones, the document and the files."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        truth = text._read_tags
        monkeypatch.setattr(
            text,
            "_read_tags",
            lambda document, files: read(truth(document, files), document, files),
        )

    return named(name, mutate)


def _of_public_cloud(
    tags: dict[str, Any], document: Written, files: dict[str, Written]
) -> dict[str, Any]:
    entries = files["Public"]["values"]
    public = {
        entry["name"].lower(): text._prefixes(entry["properties"]["addressPrefixes"])
        for entry in entries
    }
    return {**tags, **public}


def _with_whole_service(
    tags: dict[str, Any], document: Written, files: dict[str, Written]
) -> dict[str, Any]:
    return {name: tags.get(name.partition(".")[0], prefixes) for name, prefixes in tags.items()}


def computed_tags_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    covers = Oracle._covers

    def mutant(self: Oracle, name: str, end: Any, network: str) -> bool:
        known = self._published.get(name.lower())
        if known is not None:
            return any(end.address in prefix for prefix in known)
        return covers(self, name, end, network)

    monkeypatch.setattr(Oracle, "_covers", mutant)


# -- mail ------------------------------------------------------------------------------


def mail_instead(
    name: str, denied: Callable[[Oracle, Any, Packet, Any], bool]
) -> Callable[[pytest.MonkeyPatch], None]:
    """Mail is denied by another test, which is asked where the right one says no, or yes."""
    return named(name, lambda monkeypatch: monkeypatch.setattr(Oracle, "_smtp_is_denied", denied))


def _right_but(changed: Callable[[Oracle, Any, Packet, Any], bool]) -> Callable[..., bool]:
    truth = Oracle._smtp_is_denied
    return lambda self, sender, packet, end: (
        truth(self, sender, packet, end) or changed(self, sender, packet, end)
    )


def _denies_to_all(self: Oracle, sender: Any, packet: Packet, end: Any) -> bool:
    created = None if sender.owner is None else sender.owner.created
    return packet.protocol == 6 and end.port == 25 and not self._may_send_mail(created)


def _denies_udp(self: Oracle, sender: Any, packet: Packet, end: Any) -> bool:
    return packet.protocol == 17 and _denies_to_all(self, sender, packet._replace(protocol=6), end)


def subscription_instead(
    name: str, change: Callable[[Any], Any]
) -> Callable[[pytest.MonkeyPatch], None]:
    """The section is read as another."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        read = text._read_subscription

        def mutant(document: Written) -> Any:
            found = read(document)
            return None if found is None else change(found)

        monkeypatch.setattr(text, "_read_subscription", mutant)

    return named(name, mutate)


def kind_instead(kind: str, other: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One kind of subscription is treated as another."""

    def change(found: Any) -> Any:
        return dataclasses.replace(found, kind=other) if found.kind == kind else found

    return subscription_instead(f"{kind}_is_{other}", change)


def days_instead(
    name: str, change: Callable[[date | None], date | None]
) -> Callable[[pytest.MonkeyPatch], None]:
    """A machine's day is read as another; those of the section stay."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        may_send = Oracle._may_send_mail
        monkeypatch.setattr(
            Oracle, "_may_send_mail", lambda self, created: may_send(self, change(created))
        )

    return named(name, mutate)


def mail_is_denied_after_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A denial by a group is named ahead of the platform's."""
    judge = Oracle.judge

    def mutant(self: Oracle, packet: Packet) -> Answer:
        answer = judge(self, packet)
        if answer.network_security_group != "":
            return answer
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Oracle, "_smtp_is_denied", lambda *given: False)
            plain = judge(self, packet)
        return plain if plain.access == "Deny" else answer

    monkeypatch.setattr(Oracle, "judge", mutant)


# -- scale sets ------------------------------------------------------------------------


def scale_sets_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their addresses are the subnet's."""
    owner = Oracle._owner

    def mutant(self: Oracle, subnet: Any, address: text.Address) -> Any:
        found = owner(self, subnet, address)
        return None if isinstance(found, text._ScaleSet) else found

    monkeypatch.setattr(Oracle, "_owner", mutant)


def scale_sets_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Oracle._owner

    def mutant(self: Oracle, subnet: Any, address: text.Address) -> Any:
        for scale_set in self._scale_sets:
            if scale_set.subnet is subnet and any(address in p for p in scale_set.prefixes):
                return scale_set
        return owner(self, subnet, address)

    monkeypatch.setattr(Oracle, "_owner", mutant)


def scale_sets_in_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Oracle,
        "_is_address_of",
        lambda self, member, address: address in getattr(member, "addresses", ()),
    )


def scale_sets_take_interfaces_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared interface is in the groups of the scale set around it."""

    def mutant(self: Oracle, member: Any, address: text.Address) -> bool:
        if isinstance(member, text._Interface):
            return address in member.addresses
        return any(address in prefix for prefix in member.prefixes)

    monkeypatch.setattr(Oracle, "_is_address_of", mutant)


DNS = "azureplatformdns"
IMDS = "azureplatformimds"
LKM = "azureplatformlkm"
MUTANTS = [
    one_sided_peers,
    flags_ignored,
    one_flag("useRemoteGateways"),
    one_flag("allowGatewayTransit"),
    routes_leave_virtual_network,
    host_not_in_virtual_network,
    with_platform("loadBalancer", "168.63.129.16"),
    with_platform("loadBalancer", "fe80::1234:5678:9abc"),
    internet_keeps_own_space,
    *(
        without_block(str(block))
        for block in (*text.NOT_PUBLIC_IPV4, *text.NOT_PUBLIC_IPV6, *text.PUBLIC_AGAIN_IPV6)
    ),
    members_instead("groups_reach_every_network", lambda self, member, network: True),
    members_instead("groups_stay_in_one_network", lambda self, member, network: member == network),
    icmp_is_one,
    portless_ignore_ports,
    portless_need_one_whole_range,
    no_preferred_network,
    no_preferred_peer,
    links_ignored,
    no_order_of_consultation,
    # Platform rules and their tags.
    in_order("no_exemption", lambda rules, denials, exempt: rules),
    in_order("no_denial_ahead", lambda rules, denials, exempt: [*exempt, *rules]),
    in_order(
        "exempt_ahead_of_denials",
        lambda rules, denials, exempt: [*exempt, *denials, *_rest(rules, denials)],
    ),
    in_order(
        "denials_by_priority_among_all",
        lambda rules, denials, exempt: (
            [*rules[: rules.index(denials[-1]) + 1], *exempt, *rules[rules.index(denials[-1]) :]]
            if denials
            else [*exempt, *rules]
        ),
    ),
    in_order(
        "denials_end_the_exemption",
        lambda rules, denials, exempt: (
            [*denials, *_rest(rules, denials)] if denials else [*exempt, *rules]
        ),
    ),
    in_order(
        "metadata_ahead_of_host",
        lambda rules, denials, exempt: ([*denials, *reversed(exempt), *_rest(rules, denials)]),
    ),
    source_tags_come_first_too,
    inbound_is_exempt_too,
    key_management_ignores_routes,
    key_management_heeds_ipv6_routes,
    key_management_by_udp,
    with_platform("host"),
    with_platform("metadata"),
    with_platform("keyManagement", "20.118.99.224", "40.83.235.53"),
    emptied_addresses_are_azures,
    one_number("DNS_PORT", 54),
    one_number("KEY_MANAGEMENT_PORT", 1689),
    named(
        "dns_on_every_port",
        covers_instead(DNS, lambda self, end, network: end.address in self._platform["host"]),
    ),
    named(
        "metadata_has_no_portless_traffic",
        covers_instead(
            IMDS,
            lambda self, end, network: (
                end.address in self._platform["metadata"] and end.port is not None
            ),
        ),
    ),
    named(
        "metadata_on_port_80",
        covers_instead(
            IMDS,
            lambda self, end, network: (
                end.address in self._platform["metadata"] and end.port in (80, None)
            ),
        ),
    ),
    named(
        "key_management_tag_on_every_port",
        covers_instead(
            LKM, lambda self, end, network: end.address in self._platform["keyManagement"]
        ),
    ),
    # Published tags.
    tags_instead("tags_of_the_public_cloud", _of_public_cloud),
    tags_instead("tags_split_at_the_dot", _with_whole_service),
    tags_instead(
        "tags_of_ipv4_only",
        lambda tags, document, files: {
            name: tuple(prefix for prefix in prefixes if prefix.version == 4)
            for name, prefixes in tags.items()
        },
    ),
    tags_instead(
        "first_prefix_of_a_tag_only",
        lambda tags, document, files: {name: prefixes[:1] for name, prefixes in tags.items()},
    ),
    computed_tags_of_the_file,
    # Mail.
    one_number("SMTP_PORT", 24),
    one_number("SMTP_LIMITED_SINCE", date(2017, 11, 16)),
    one_number("SMTP_LIMITED_SINCE", date(2017, 11, 14)),
    mail_instead("mail_is_not_denied", lambda self, sender, packet, end: False),
    mail_instead("mail_to_all_is_denied", _denies_to_all),
    mail_instead("udp_mail_is_denied", _right_but(_denies_udp)),
    mail_is_denied_after_groups,
    *(
        kind_instead(kind, "enterpriseagreement")
        for kind in ("payasyougo", "msdn", "cloudserviceprovider", "enterprisedevtest")
    ),
    kind_instead("enterpriseagreement", "msdn"),
    subscription_instead(
        "no_exemption_of_mail", lambda found: dataclasses.replace(found, exempted=None)
    ),
    days_instead("no_day_is_after_exemption", lambda day: day or date(2024, 1, 1)),
    days_instead("that_day_is_before", lambda day: None if day == date(2019, 5, 1) else day),
    days_instead(
        "the_day_before_is_after",
        lambda day: date(2019, 5, 1) if day == date(2019, 4, 30) else day,
    ),
    # Scale sets.
    scale_sets_ignored,
    scale_sets_go_first,
    scale_sets_in_no_group,
    scale_sets_take_interfaces_along,
]


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_a_mistake_is_exposed(
    mutate: Callable[[pytest.MonkeyPatch], None],
    drawn: list[tuple[Case, list[Answer]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some drawn packet is judged otherwise by an oracle with one mistake."""
    mutate(monkeypatch)
    for case, expected in drawn:
        wrong = Oracle(case.document, case.tag_files)
        if [wrong.judge(packet) for packet in case.packets] != expected:
            return
    pytest.fail("no drawn packet tells the mistake from the truth")


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(cases())
def test_drawn_cases_have_answers(case: Case) -> None:
    """Hypothesis draws documents the oracle reads, and packets it decides."""
    oracle = Oracle(case.document, case.tag_files)
    assert {oracle.judge(packet).access for packet in case.packets} <= {
        "Allow",
        "Deny",
        "Unmanaged",
    }
