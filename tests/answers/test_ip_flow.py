"""IP flow verify: whose groups are asked, what is reported, and what has no one answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from nsgd.answers.ip_flow import flow_answer_as_json
from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.refused import QuestionRefused
from nsgd.model.platform import Subscription, SubscriptionKind

from .policies import MODEL, POLICY, ask

ALLOW_WEB, ALLOW_WEB_TOO = "securityRules/AllowWeb", "securityRules/AllowWebToo"
DENY_IN = "defaultSecurityRules/DenyAllInBound"
VNET_OUT = "defaultSecurityRules/AllowVnetOutBound"


@pytest.mark.parametrize(
    ("local", "access", "rule", "group"),
    [
        # Both allow: the last one is reported.
        ("10.0.1.4:80", "Allow", ALLOW_WEB_TOO, "Nic"),
        # The subnet's denies first, and the interface's is not asked.
        ("10.0.1.4:22", "Deny", DENY_IN, "Subnet"),
        # The subnet's allows, the interface's denies.
        ("10.0.1.4:8443", "Deny", DENY_IN, "Nic"),
        ("10.0.1.5:80", "Allow", ALLOW_WEB, "Subnet"),
        ("10.0.2.4:80", "Allow", ALLOW_WEB_TOO, "Nic"),
        ("10.0.2.5:81", "Deny", DENY_IN, "Nic"),
        ("10.0.2.6:81", "Allow", None, None),
        # An address of the subnet that nobody declares, and an instance of the scale set.
        ("10.0.1.99:80", "Allow", ALLOW_WEB, "Subnet"),
        ("10.0.1.40:80", "Allow", ALLOW_WEB_TOO, "Nic"),
        ("[fd00:10:0:1::4]:80", "Allow", ALLOW_WEB_TOO, "Nic"),
    ],
)
def test_inbound(local: str, access: str, rule: str | None, group: str | None) -> None:
    """The subnet's group, then the resource's own."""
    remote = "[2600::1]:5" if local.startswith("[") else "203.0.113.9:50000"
    answer = flow_answer_as_json(POLICY.ip_flow_verify(ask("Inbound", "TCP", local, remote)))
    assert answer == {
        "access": access,
        "ruleName": rule,
        "ruleId": "",
        "networkSecurityGroup": group,
    }


@pytest.mark.parametrize(
    ("protocol", "remote", "access", "rule", "group"),
    [
        # Outbound the subnet's group comes last.
        ("UDP", "10.0.2.9:53", "Deny", "securityRules/DenyDns", "Subnet"),
        ("UDP", "10.0.2.9:54", "Allow", VNET_OUT, "Subnet"),
        ("ICMP", "10.0.2.9", "Allow", VNET_OUT, "Subnet"),
        ("47", "172.31.0.1", "Deny", "defaultSecurityRules/DenyAllOutBound", "Nic"),
        # The platform's own address is exempt, whatever the port.
        ("UDP", "168.63.129.16:53", "Allow", "platformRules/AllowHostOutBound", "Subnet"),
    ],
)
def test_outbound(protocol: str, remote: str, access: str, rule: str, group: str) -> None:
    """The resource's own group, then the subnet's."""
    local = "10.0.1.4" if ":" not in remote else "10.0.1.4:*"
    answer = flow_answer_as_json(POLICY.ip_flow_verify(ask("Outbound", protocol, local, remote)))
    assert (answer["access"], answer["ruleName"], answer["networkSecurityGroup"]) == (
        access,
        rule,
        group,
    )


def test_only_one_end_is_asked() -> None:
    """What the other end's groups say does not count, though it is declared."""
    question = ask("Outbound", "TCP", "10.0.2.6:*", "10.0.2.4:22")
    assert flow_answer_as_json(POLICY.ip_flow_verify(question))["access"] == "Allow"
    inbound = ask("Inbound", "TCP", "10.0.2.4:22", "8.8.8.8:*")
    assert flow_answer_as_json(POLICY.ip_flow_verify(inbound))["access"] == "Deny"


def test_smtp_stands_ahead_of_the_groups() -> None:
    """Its rule belongs to no group, and where it says nothing it is not named."""
    subscription = Subscription(SubscriptionKind.PAY_AS_YOU_GO, date(2020, 1, 1))
    policy = QuestionedPolicy(replace(MODEL, subscription=subscription))
    for local in ("10.0.1.4:*", "10.0.2.6:*"):
        denied = policy.ip_flow_verify(ask("Outbound", "TCP", local, "8.8.8.8:25"))
        assert flow_answer_as_json(denied) == {
            "access": "Deny",
            "ruleName": "platformRules/DenySmtpOutBound",
            "ruleId": "",
            "networkSecurityGroup": None,
        }
    allowed = policy.ip_flow_verify(ask("Outbound", "TCP", "10.0.2.6:*", "8.8.8.8:587"))
    assert flow_answer_as_json(allowed)["ruleName"] is None


def test_every_source_port() -> None:
    """One answer where ports are judged alike, else none, with the ports that differ."""
    alike = ask("Inbound", "TCP", "10.0.2.4:443", "8.8.9.8:*")
    assert flow_answer_as_json(POLICY.ip_flow_verify(alike))["ruleName"] == DENY_IN
    with pytest.raises(QuestionRefused) as caught:
        POLICY.ip_flow_verify(ask("Inbound", "TCP", "10.0.2.4:443", "8.8.8.8:*"))
    assert str(caught.value) == (
        f"the answer depends on the remote port: 0-1023 Deny by {DENY_IN} of Nic,"
        " 1024-65535 Allow by securityRules/AllowHigh of Nic; name the port"
    )
    for port, access in ((1023, "Deny"), (1024, "Allow")):
        named = ask("Inbound", "TCP", "10.0.2.4:443", f"8.8.8.8:{port}")
        assert flow_answer_as_json(POLICY.ip_flow_verify(named))["access"] == access


def test_a_named_interface() -> None:
    """Names compare without case; the address must be the interface's."""
    question = ask("Inbound", "TCP", "10.0.2.5:80", "8.8.8.8:*")
    answer = POLICY.ip_flow_verify(question, "vm3")
    assert flow_answer_as_json(answer)["ruleName"] == ALLOW_WEB_TOO
    with pytest.raises(QuestionRefused) as caught:
        POLICY.ip_flow_verify(question, "VM1")
    assert str(caught.value) == (
        "10.0.2.5 is no address of network interface VM1; it has 10.0.1.4, fd00:10:0:1::4"
    )
    with pytest.raises(QuestionRefused, match="no network interface 'VM7'; did you mean VM4"):
        POLICY.ip_flow_verify(question, "VM7")


def test_an_address_of_two_networks() -> None:
    """Both resources are named; the interface's name settles it."""
    question = ask("Inbound", "TCP", "10.5.0.4:22", "8.8.8.8:*")
    with pytest.raises(QuestionRefused) as caught:
        POLICY.ip_flow_verify(question)
    assert str(caught.value) == (
        "10.5.0.4 may be network interface twin1 or network interface twin2: their virtual networks"
        " overlap; name the network interface"
    )
    first, second = (POLICY.ip_flow_verify(question, name) for name in ("twin1", "twin2"))
    assert flow_answer_as_json(first)["networkSecurityGroup"] == "Subnet"
    assert flow_answer_as_json(second)["networkSecurityGroup"] is None


def test_an_address_of_nobody() -> None:
    """It has no groups to ask."""
    with pytest.raises(QuestionRefused, match=r"192\.0\.2\.1 is in no declared subnet"):
        POLICY.ip_flow_verify(ask("Inbound", "TCP", "192.0.2.1:22", "8.8.8.8:*"))
