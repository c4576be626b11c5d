"""The oracle's security admin rules and older dialects, by hand, and that drawn cases test them.

Worked vectors carry their number in section 12 of the project's notes on Azure's semantics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import admin
from . import oracle as text
from .generate import Case, random_case_of_any_form
from .oracle import Answer, Oracle, Packet
from .test_oracle import (
    DENY_80_OUT,
    IN_80,
    INTERNET_HOST,
    OUT_80,
    icmp,
    one_network,
    rule,
    tcp,
    two_networks,
    verdict,
)

VM, OTHER = "10.0.0.4", "10.0.0.5"
HOST = "168.63.129.16"
UNSUPPORTED = "platformRules/unsupportedProtocol"
SMTP = ("Deny", "", "platformRules/DenySmtpOutBound")


def admin_rule(
    access: str, priority: int = 10, direction: str = "Inbound", **fields: Any
) -> dict[str, Any]:
    return {
        "name": f"{access}{priority}",
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": "Any",
        "sources": ["*"],
        "sourcePortRanges": ["*"],
        "destinations": ["*"],
        "destinationPortRanges": ["*"],
        **fields,
    }


def administered(
    document: dict[str, Any],
    *rules: dict[str, Any],
    services: tuple[str, ...] = (),
    to: tuple[str, ...] = ("VNET",),
    intent: str | None = None,
) -> dict[str, Any]:
    """The document with one rule collection; *services* are in its first subnet."""
    network, *others = document["virtualNetworks"]
    subnet, *more = network["subnets"]
    first = {**network, "subnets": [{**subnet, "services": list(services)}, *more]}
    collection = {"name": "c", "appliesTo": list(to), "rules": list(rules)}
    return {
        **document,
        "virtualNetworks": [first, *others],
        "securityAdminConfigurations": [
            {
                "name": "a",
                "applyOnNetworkIntentPolicyBasedServices": intent,
                "ruleCollections": [collection],
            }
        ],
    }


def path(answer: Answer) -> list[str]:
    return [f"{group or '-'} {rule.rpartition('/')[2]}" for group, _, rule, _ in answer.consulted]


def judge(document: dict[str, Any], packet: Packet) -> Answer:
    return Oracle(document).judge(packet)


# -- security admin rules ----------------------------------------------------------------

BASTION = tcp("10.0.1.4", VM, 443)
DENY_VNET = rule(1000, "Deny", source="VirtualNetwork", name="DenyVnetInBound")
ALLOW_BASTION = rule(900, "Allow", source="10.0.1.0/26", name="AllowBastion")
CLOSED = [rule(100, "Deny", name="In"), rule(100, "Deny", direction="Outbound", name="Out")]
OPEN = [rule(100, "Allow", name="In"), rule(100, "Allow", direction="Outbound", name="Out")]


def test_vectors_22_and_23() -> None:
    """NDIAG: Allow goes on to the subnet's group and the interface's, which decide."""
    allow = admin_rule("Allow", sources=["VirtualNetwork"])
    for rules, access, last in (
        ([DENY_VNET], "Deny", "NSG2 DenyVnetInBound"),
        ([DENY_VNET, ALLOW_BASTION], "Allow", "NSG2 AllowBastion"),
    ):
        document = one_network({"vm": VM}, subnet_group=[], interface_group=rules)
        answer = judge(administered(document, allow), BASTION)
        assert answer.access == access
        assert path(answer) == ["- Allow10", "NSG1 AllowVnetInBound", last]


def test_vectors_24_and_25() -> None:
    """AVNM: AlwaysAllow delivers what groups deny; Deny drops what they allow, and without any."""
    for direction, packet in (("Inbound", IN_80), ("Outbound", OUT_80)):
        for groups in (CLOSED, OPEN, None):
            document = one_network({"vm": VM}, interface_group=groups, subnet_group=groups)
            for access, end in (("AlwaysAllow", "Allow"), ("Deny", "Deny")):
                answer = judge(
                    administered(document, admin_rule(access, direction=direction)), packet
                )
                assert verdict(answer) == (end, "", f"securityAdminRules/{access}10")
                assert len(answer.consulted) == 1


def test_an_allow_without_groups() -> None:
    """It is the one that was asked."""
    answer = judge(administered(one_network({"vm": VM}), admin_rule("Allow")), IN_80)
    assert verdict(answer) == ("Allow", "", "securityAdminRules/Allow10")


def test_always_allow_is_of_one_direction() -> None:
    """The receiver's groups are still asked, and its admin rules."""
    document = one_network({"vm": VM, "other": OTHER}, interface_group=CLOSED)
    always = admin_rule("AlwaysAllow", direction="Outbound")
    assert path(judge(administered(document, always), tcp(VM, OTHER))) == [
        "- AlwaysAllow10",
        "NSG2 In",
    ]
    answer = judge(administered(document, always, admin_rule("Deny", 20)), tcp(VM, OTHER))
    assert path(answer) == ["- AlwaysAllow10", "- Deny20"]


def test_the_lowest_number_decides() -> None:
    """Whatever the order in the document; what does not match is passed over."""
    rules = [
        admin_rule("Deny", 30),
        admin_rule("AlwaysAllow", 20, protocol="Tcp", destinationPortRanges=["80-81"]),
        admin_rule("Allow", 10, protocol="Udp"),
    ]
    document = administered(one_network({"vm": VM}, interface_group=CLOSED), *rules)
    assert judge(document, IN_80).rule == "securityAdminRules/AlwaysAllow20"
    assert judge(document, tcp(INTERNET_HOST, VM, 82)).rule == "securityAdminRules/Deny30"
    assert judge(document, icmp(INTERNET_HOST, VM)).rule == "securityAdminRules/Deny30"
    assert judge(document, IN_80._replace(protocol=17)).rule == "In"


@pytest.mark.parametrize("protocol", [6, 17, 1, 50, 51, 47, 132])
def test_any_is_every_protocol(protocol: int) -> None:
    document = administered(one_network({"vm": VM}), admin_rule("Deny"))
    assert judge(document, icmp(INTERNET_HOST, VM, protocol)).access == "Deny"


def test_admin_rules_are_of_networks() -> None:
    """Each end's network asks its own, in each direction, and its tags are those that it sees."""
    document = two_networks({"peerings": ["right"]}, {"peerings": ["vnet"]})
    packet = tcp(VM, "10.1.0.9")
    for to, direction, is_asked in (
        ("vnet", "Outbound", True),
        ("RIGHT", "Inbound", True),
        ("vnet", "Inbound", False),
        ("right", "Outbound", False),
    ):
        deny = admin_rule("Deny", direction=direction, sources=["10.0.0.0/24", "INTERNET"])
        answer = judge(administered(document, deny, to=(to,)), packet)
        assert (answer.rule == "securityAdminRules/Deny10") is is_asked, (to, direction)
    near = admin_rule("Deny", sources=["203.0.113.7", "VirtualNetwork"])
    for source, access in (
        ("10.1.0.9", "Deny"),
        ("203.0.113.7", "Deny"),
        ("203.0.113.8", "Allow"),
        ("192.168.7.9", "Allow"),  # behind the other's gateway, which does not let it through
    ):
        written = administered(one_group_less(document), near, to=("vnet",))
        assert judge(written, tcp(source, VM)).access == access, source


def one_group_less(document: dict[str, Any]) -> dict[str, Any]:
    """The document with interfaces that have no group."""
    interfaces = [
        {**interface, "networkSecurityGroup": None} for interface in document["networkInterfaces"]
    ]
    return {**document, "networkInterfaces": interfaces}


def test_exempt_services() -> None:
    """AVNM: a subnet's services exempt the subnet; two of them the network, by default."""
    deny, allow = admin_rule("Deny", 20, protocol="Tcp"), admin_rule("AlwaysAllow", 10)
    document = one_network({"vm": VM}, interface_group=CLOSED)
    for service in admin.SUBNET_SERVICES:
        assert judge(administered(document, deny, services=(service,)), IN_80).rule == "In"
    for service in admin.NETWORK_SERVICES:
        for which, rules, expected in (
            (None, (deny,), "In"),
            ("none", (allow, deny), "In"),
            ("AllowRulesOnly", (deny,), "In"),
            ("AllowRulesOnly", (allow, deny), "securityAdminRules/AlwaysAllow10"),
            ("All", (deny,), "securityAdminRules/Deny20"),
        ):
            written = administered(document, *rules, services=(service,), intent=which)
            assert judge(written, IN_80).rule == expected, (service, which)
    # The other subnets of the network too.
    other = {"name": "o", "addressPrefixes": ["10.0.7.0/24"], "services": ["Databricks"]}
    document["virtualNetworks"][0]["subnets"].append(other)
    assert judge(administered(document, deny), IN_80).rule == "In"


def test_smtp_and_the_platform() -> None:
    """Mail is the platform's, ahead of all; other platform traffic administrators may deny."""
    document = one_network({"vm": VM}, interface_group=CLOSED)
    document["subscription"] = {"kind": "PayAsYouGo", "created": "2018-01-31"}
    always = administered(document, admin_rule("AlwaysAllow", direction="Outbound"))
    assert verdict(judge(always, tcp(VM, INTERNET_HOST, 25))) == SMTP
    never = administered(document, admin_rule("Deny", direction="Outbound"))
    assert judge(never, tcp(VM, HOST, 53)).rule == "securityAdminRules/Deny10"


# -- the older dialects ------------------------------------------------------------------


def of_2017(document: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {**document, "dialect": "2017", **sections}


def test_vector_29() -> None:
    """SEED: a rule for TCP does not meet ICMP; one for * does."""
    for protocol, name in (("Tcp", "DenyAllInBound"), ("*", "Rule100")):
        rules = [rule(100, "Allow", protocol=protocol)]
        document = of_2017(one_network({"vm": VM}, interface_group=rules))
        assert judge(document, icmp(INTERNET_HOST, VM)).rule == name
        assert judge(document, icmp("2a00::1", "fd00:10::4", 58)).access == "Allow"  # no group


@pytest.mark.parametrize(
    ("version", "protocol", "is_known"),
    [
        *((4, 6, True), (4, 17, True), (4, 1, True), (4, 58, False), (4, 47, False)),
        *((4, 50, False), (6, 58, True), (6, 1, False), (6, 51, False)),
    ],
)
def test_any_is_tcp_udp_and_icmp(version: int, protocol: int, is_known: bool) -> None:
    """13.4: any other protocol is denied under a group, even where * allows it."""
    ends = (INTERNET_HOST, VM) if version == 4 else ("2a00::1", "fd00:10::4")
    for groups in (OPEN, None):
        document = of_2017(one_network({"vm": VM}, subnet_group=groups))
        answer = judge(document, icmp(*ends, protocol))
        if is_known or groups is None:
            assert answer.access == "Allow"
        else:
            assert verdict(answer) == ("Deny", "NSG1", UNSUPPORTED)
            assert answer.reason == "unsupportedProtocol"


def test_vector_30_of_2017() -> None:
    """SEED only warns: what the rules deny is denied, to the host and to metadata."""
    deny_all = [rule(100, "Deny", direction="Outbound", name="DenyAll")]
    document = one_network({"vm": VM}, interface_group=deny_all)
    for address in (HOST, "169.254.169.254"):
        assert judge(document, tcp(VM, address)).access == "Allow"
        assert judge(of_2017(document), tcp(VM, address)).rule == "DenyAll"


def test_vector_32_of_2017() -> None:
    """A probe comes by the load balancer's rule; VirtualNetwork has no host yet."""
    document = one_network({"vm": VM}, interface_group=[], routes=["192.168.7.0/24"])
    probe, far = tcp(HOST, VM), tcp("192.168.7.7", VM)
    assert judge(document, probe).rule == "AllowVnetInBound"
    assert judge(document, far).rule == "AllowVnetInBound"
    assert judge(of_2017(document), probe).rule == "AllowAzureLoadBalancerInBound"
    assert judge(of_2017(document), far).rule == "DenyAllInBound"


@pytest.mark.parametrize(
    ("kind", "created", "exempted", "machine", "may"),
    [
        ("PayAsYouGo", "2017-11-14", None, None, True),
        ("PayAsYouGo", "2017-11-15", None, None, False),
        ("PayAsYouGo", "2018-01-31", "2019-05-01", "2019-05-01", True),
        ("PayAsYouGo", "2018-01-31", "2019-05-01", "2019-04-30", False),
        ("PayAsYouGo", "2018-01-31", "2019-05-01", None, False),
        ("EnterpriseAgreement", "2018-01-31", None, None, True),
        ("BizSpark", "2018-01-31", None, None, False),
    ],
)
def test_smtp_of_2017(
    kind: str, created: str, exempted: str | None, machine: str | None, may: bool
) -> None:
    """SEED: closed to all resources, inside the network too; exemptions for pay-as-you-go."""
    document = of_2017(
        one_network({"vm": VM, "other": OTHER}),
        subscription={"kind": kind, "created": created, "smtpExempted": exempted},
    )
    document["networkInterfaces"][0]["created"] = machine
    for destination in (INTERNET_HOST, OTHER):
        answer = judge(document, tcp(VM, destination, 25))
        assert (verdict(answer) != SMTP) is may


def classic(
    *rules: dict[str, Any], of_machine: str | None = None, of_service: str | None = None
) -> dict[str, Any]:
    """Two machines of one service, one of which is its instance; one beside it."""
    document = one_network({"vm": VM, "beside": "10.0.0.6"}, interface_group=rules)
    vm, beside = document.pop("networkInterfaces")
    del vm["networkSecurityGroup"], beside["networkSecurityGroup"]
    instance = {"name": "r", "subnet": "vnet/default", "privateIPAddresses": [OTHER]}
    return {
        **document,
        "dialect": "CLASSIC",
        "virtualMachines": [{**vm, "networkSecurityGroup": of_machine}, beside],
        "cloudServices": [
            {
                "name": "s",
                "networkSecurityGroup": of_service,
                "virtualMachines": ["VM"],
                "roleInstances": [instance],
            }
        ],
    }


def test_classic_attachments() -> None:
    """SEED: machines and cloud services; a service's group is that of its machines."""
    for of_machine, of_service, closed in (
        (None, None, ()),
        ("nsg2", None, (VM,)),
        (None, "NSG2", (VM, OTHER)),
    ):
        document = classic(of_machine=of_machine, of_service=of_service)
        for address in (VM, OTHER, "10.0.0.6"):
            answer = judge(document, tcp(INTERNET_HOST, address))
            assert (answer.access == "Deny") is (address in closed)


def test_classic_tags() -> None:
    """Other spellings of the same three."""
    deny = DENY_80_OUT[0]
    for tag, source in (
        ("VIRTUAL_NETWORK", "10.0.200.9"),
        ("azure_loadbalancer", HOST),
        ("INTERNET", INTERNET_HOST),
    ):
        document = classic(rule(100, "Allow", source=tag, name="Tag"), deny, of_machine="nsg2")
        for each in ("10.0.200.9", HOST, INTERNET_HOST):
            is_in = each == source or (each == HOST and tag == "INTERNET")  # REC: both have it
            assert (judge(document, tcp(each, VM)).rule == "Tag") is is_in, (tag, each)


# -- the drawn cases tell mistakes from the truth ------------------------------------------

DOCUMENTS, PACKETS = 150, 40
Mutate = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[tuple[Case, list[Answer]]]]:
    found: dict[str, list[tuple[Case, list[Answer]]]] = {}
    for form, documents in (("admin", 3 * DOCUMENTS), ("2017", DOCUMENTS), ("classic", DOCUMENTS)):
        for number in range(documents):
            case = random_case_of_any_form(f"dialects-{number}", PACKETS, form)
            oracle = Oracle(case.document, case.tag_files)
            answers = [oracle.judge(packet) for packet in case.packets]
            found.setdefault(form, []).append((case, answers))
    return found


def _access_is(access: str, other: str) -> Mutate:
    """Rules of one access are read as of another."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        read = admin._read

        def mutant(written: Any) -> admin.AdminRule:
            found = read(written)
            return found._replace(access=other) if found.access == access else found

        patch.setattr(admin, "_read", mutant)

    return mutate


def _rules_instead(change: Callable[[Any, Any], Any]) -> Mutate:
    """The rules of the networks are others: from the document and the right ones."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        read = admin.read_admin_rules
        patch.setattr(
            text,
            "read_admin_rules",
            lambda document, services: change(document, read(document, services)),
        )

    return mutate


def _of_all_networks(document: Any, rules: dict[str, list[admin.AdminRule]]) -> Any:
    every = sorted((each for found in rules.values() for each in found), key=lambda r: r.priority)
    return dict.fromkeys(rules, every)


def _configured_as(value: str, other: str) -> Mutate:
    key = "applyOnNetworkIntentPolicyBasedServices"

    def mutate(patch: pytest.MonkeyPatch) -> None:
        read = admin.read_admin_rules

        def mutant(document: Any, services: Any) -> Any:
            changed = [
                {**each, key: other} if (each.get(key) or "none").lower() == value else each
                for each in document.get("securityAdminConfigurations") or []
            ]
            return read({**document, "securityAdminConfigurations": changed}, services)

        patch.setattr(text, "read_admin_rules", mutant)

    return mutate


def _without(module: Any, name: str, value: str) -> Mutate:
    kept = tuple(each for each in getattr(module, name) if each != value)
    return lambda patch: patch.setattr(module, name, kept)


def _admin_ahead_of_mail(patch: pytest.MonkeyPatch) -> None:
    denied = Oracle._smtp_is_denied

    def mutant(self: Oracle, sender: Any, packet: Packet, end: Any) -> bool:
        source = text.End(text._address(packet.source), packet.source_port)
        found = self._first_admin_match("Outbound", sender.subnet, packet, source, end)
        return denied(self, sender, packet, end) and (found is None or found.access == "allow")

    patch.setattr(Oracle, "_smtp_is_denied", mutant)


def _always_allow_silences_receiver(patch: pytest.MonkeyPatch) -> None:
    judged = Oracle.judge

    def mutant(self: Oracle, packet: Packet) -> Answer:
        answer = judged(self, packet)
        always = {
            f"securityAdminRules/{rule.name}"
            for rules in self._admin_rules.values()
            for rule in rules
            if rule.access == "alwaysallow"
        }
        if answer.consulted and answer.consulted[0][2] in always:
            return text._answer(list(answer.consulted[:1]))
        return answer

    patch.setattr(Oracle, "judge", mutant)


def _dialect_has(**changed: Any) -> Mutate:
    def mutate(patch: pytest.MonkeyPatch) -> None:
        for name in ("2017", "classic"):
            patch.setitem(text.DIALECTS, name, text.DIALECTS[name]._replace(**changed))

    return mutate


def _machines_instead(change: Callable[[Any, Any], Any]) -> Mutate:
    """Machines are read otherwise: from the document and the right ones."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        read = text.machines
        patch.setattr(text, "machines", lambda document: change(document, read(document)))

    return mutate


def _own_groups_only(document: Any, found: Any) -> Any:
    own = {each["name"]: each.get("networkSecurityGroup") for each in document["virtualMachines"]}
    return [{**each, "networkSecurityGroup": own.get(each["name"])} for each in found]


def _no_instances(document: Any, found: Any) -> Any:
    return found[: len(document["virtualMachines"])]


def _no_groups_of_instances(document: Any, found: Any) -> Any:
    count = len(document["virtualMachines"])
    return found[:count] + [{**each, "networkSecurityGroup": None} for each in found[count:]]


MUTANTS: dict[str, tuple[str, Mutate]] = {
    "no_admin_rules": ("admin", _rules_instead(lambda document, rules: dict.fromkeys(rules, ()))),
    "admin_rules_of_all_networks": ("admin", _rules_instead(_of_all_networks)),
    "highest_number_first": (
        "admin",
        _rules_instead(lambda document, rules: {k: v[::-1] for k, v in rules.items()}),
    ),
    "by_collection": (
        "admin",
        _rules_instead(
            lambda document, rules: {
                k: sorted(v, key=lambda rule: int(rule.name.removeprefix("Admin")))
                for k, v in rules.items()
            }
        ),
    ),
    "always_allow_goes_on": ("admin", _access_is("alwaysallow", "allow")),
    "allow_delivers": ("admin", _access_is("allow", "alwaysallow")),
    "deny_goes_on": ("admin", _access_is("deny", "allow")),
    "always_allow_silences_receiver": ("admin", _always_allow_silences_receiver),
    "admin_ahead_of_mail": ("admin", _admin_ahead_of_mail),
    **{
        f"{service}_is_not_exempt": ("admin", _without(text, "SUBNET_SERVICES", service))
        for service in admin.SUBNET_SERVICES
    },
    **{
        f"{service}_is_not_exempt": ("admin", _without(admin, "NETWORK_SERVICES", service))
        for service in admin.NETWORK_SERVICES
    },
    **{
        f"{value}_is_{other}": ("admin", _configured_as(value, other))
        for value in ("none", "allowrulesonly", "all")
        for other in ("None", "AllowRulesOnly", "All")
        if value != other.lower()
    },
    **{
        f"{form}_{name}": (form, _dialect_has(**{field: value}))
        for form in ("2017", "classic")
        for name, field, value in (
            ("any_is_everything", "any_protocol", None),
            ("any_is_tcp_and_udp", "any_protocol", ("tcp", "udp")),
            ("any_has_esp", "any_protocol", ("tcp", "udp", "icmp", "esp")),
            ("platform_is_exempt", "exempts_platform", True),
            ("virtual_network_is_wide", "widens_virtual_network", True),
            ("exemption_of_now", "mail_exemptible", "enterprisedevtest"),
            ("mail_in_the_network", "limits_mail_to_internet", True),
        )
    },
    "services_have_no_groups": ("classic", _machines_instead(_own_groups_only)),
    "no_role_instances": ("classic", _machines_instead(_no_instances)),
    "instances_have_no_groups": ("classic", _machines_instead(_no_groups_of_instances)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_exposed(
    name: str,
    drawn: dict[str, list[tuple[Case, list[Answer]]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some drawn packet is judged otherwise by an oracle with one mistake."""
    form, mutate = MUTANTS[name]
    mutate(monkeypatch)
    for case, expected in drawn[form]:
        wrong = Oracle(case.document, case.tag_files)
        if [wrong.judge(packet) for packet in case.packets] != expected:
            return
    pytest.fail("no drawn packet tells the mistake from the truth")
