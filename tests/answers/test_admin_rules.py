"""Security admin rules in every kind of answer, and that all agree with what packets meet."""

from __future__ import annotations

import itertools
import json

import pytest

from nsgd.answers.batch import BatchVerifier
from nsgd.answers.diagnostics import explanation_as_json
from nsgd.answers.ip_flow import flow_answer_as_json
from nsgd.answers.path import PathQuestion, path_answer_as_json
from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.question import read_question
from nsgd.answers.text import (
    effective_rules_as_text,
    explanation_as_text,
    flow_answer_as_text,
    path_as_text,
)
from nsgd.model.packet import TCP, UDP
from nsgd.model.rule import Access
from nsgd.policy.evaluate import decide
from tests.answers.policies import ask
from tests.policy.builders import INBOUND, OUTBOUND, packet
from tests.policy.test_admin import BLOCKED, INTERNET, RULES, admin_rule, model_of

MODEL = model_of(
    *RULES,
    admin_rule("web", 5, INBOUND, "AlwaysAllow", "Tcp", sources="tag:Internet 10.9.0.0/16",
               ports="443,8000-8080"),
    admin_rule("go", 50, INBOUND, "Allow", "Tcp", ports="80"),
    admin_rule("no-udp", 60, INBOUND, "Deny", "Udp", source_ports="1-99"),
    at_nic="closed",
    subscription=BLOCKED,
)  # fmt: skip
POLICY = QuestionedPolicy(MODEL)


def test_ip_flow_verify() -> None:
    """The rule by its collection, without a group."""
    denied = POLICY.ip_flow_verify(ask("Inbound", "TCP", "10.0.0.4:9", f"{INTERNET}:*"))
    assert flow_answer_as_json(denied) == {
        "access": "Deny",
        "ruleName": "securityAdminRules/deny-in-9",
        "ruleId": "",
        "networkSecurityGroup": None,
    }
    allowed = POLICY.ip_flow_verify(ask("Inbound", "TCP", "10.0.0.4:443", f"{INTERNET}:*"))
    assert flow_answer_as_text(allowed).splitlines()[0] == "Allow by securityAdminRules/web"
    # The group decides after an Allow; the table shows both.
    both = POLICY.ip_flow_verify(ask("Inbound", "TCP", "10.0.0.4:80", f"{INTERNET}:*"))
    assert flow_answer_as_text(both).splitlines() == [
        "Deny by securityRules/none-Inbound of closed",
        "Direction  Network security group  Access  Rule",
        "Inbound                            Allow   securityAdminRules/go",
        "Inbound    closed                  Deny    securityRules/none-Inbound",
    ]


def test_a_batch_ends_at_always_allow() -> None:
    """The group after it denies all, and is not asked; asked twice, as the second is remembered."""
    verifier = BatchVerifier(POLICY)
    words = {
        "direction": "Inbound",
        "protocol": "TCP",
        "localIPAddress": "10.0.0.4",
        "localPort": "443",
        "remoteIPAddress": INTERNET,
        "remotePort": "9",
    }
    for port, rule in (("443", "securityAdminRules/web"), ("80", "securityRules/none-Inbound")):
        for _ in range(2):
            text, is_answer = verifier.answer_line(json.dumps(words | {"localPort": port}).encode())
            assert (json.loads(text)["ruleName"], is_answer) == (rule, True)


def test_diagnostics() -> None:
    """As Azure's example: the rule's bare name, applied to the network, ahead of the groups."""
    explanation = POLICY.explain(ask("Inbound", "TCP", "10.0.0.4:80", f"{INTERNET}:*"))
    (result,) = explanation_as_json(explanation)["results"]
    admin, own = result["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"]
    assert (admin["networkSecurityGroupId"], admin["appliedTo"]) == (None, "vnet")
    assert admin["matchedRule"] == {"ruleName": "go", "action": "Allow"}
    assert [each["name"] for each in admin["rulesEvaluationResult"]] == ["web", "deny-in-9", "go"]
    assert admin["rulesEvaluationResult"][0] == {
        "name": "web",
        "protocolMatched": True,
        "sourceMatched": True,
        "sourcePortMatched": True,
        "destinationMatched": True,
        "destinationPortMatched": False,
    }
    assert (own["networkSecurityGroupId"], own["appliedTo"]) == ("closed", "a")
    assert result["networkSecurityGroupResult"]["securityRuleAccessResult"] == "Deny"


def test_explanation_for_people() -> None:
    """A final Allow ends it; SMTP stands ahead of the administrator's rules."""
    final = POLICY.explain(ask("Inbound", "TCP", "10.0.0.4:443", f"{INTERNET}:*"))
    assert explanation_as_text(final).splitlines() == [
        "Allow",
        "ahead of every group, Inbound, at vnet:",
        "  Rule                    Access",
        "  securityAdminRules/web  Allow   matches",
    ]
    mail = POLICY.explain(ask("Outbound", "TCP", "10.0.0.4:*", f"{INTERNET}:25"))
    assert [(table.applied_to, table.matched.name) for table in mail.tables] == [
        ("a", "platformRules/DenySmtpOutBound")
    ]
    silent = POLICY.explain(ask("Outbound", "TCP", "10.0.0.4:*", f"{INTERNET}:26"))
    assert [table.network_security_group for table in silent.tables] == ["closed"]


def test_both_ends() -> None:
    """What stands behind a denial is shown; what an AlwaysAllow spares is not asked."""
    answer = POLICY.path(PathQuestion("10.0.0.4", "10.0.0.5", "TCP", "9"))
    assert [
        (table["direction"], table["networkSecurityGroup"], table["ruleName"], table["isConsulted"])
        for table in path_answer_as_json(answer)["tables"]
    ] == [
        ("Outbound", None, "securityAdminRules/always-8-9", True),
        ("Inbound", None, "securityAdminRules/deny-in-9", True),
        ("Inbound", "closed", "securityRules/none-Inbound", False),
    ]
    assert path_as_text(answer).startswith(
        "10.0.0.4 -> 10.0.0.5: Deny by securityAdminRules/deny-in-9\n"
    )


def test_effective_rules() -> None:
    """A list of their own, inbound first, with all that they stand in."""
    answer = POLICY.effective_rules("a")
    assert [each["networkSecurityGroup"]["id"] for each in answer["value"]] == ["closed"]
    found = answer["effectiveSecurityAdminRules"]
    assert [(rule["direction"], rule["priority"], rule["name"]) for rule in found] == [
        ("Inbound", 5, "securityAdminRules/web"),
        ("Inbound", 10, "securityAdminRules/deny-in-9"),
        ("Inbound", 50, "securityAdminRules/go"),
        ("Inbound", 60, "securityAdminRules/no-udp"),
        ("Outbound", 10, "securityAdminRules/allow-7-8"),
        ("Outbound", 20, "securityAdminRules/always-8-9"),
        ("Outbound", 30, "securityAdminRules/deny-8"),
    ]
    text = effective_rules_as_text(answer, 100)
    tags = found[0].pop("tagMap")
    assert list(tags) == ["Internet"]
    assert "8.0.0.0/7" in tags["Internet"]
    assert found[0] == {
        "id": "baseline/always/web",
        "name": "securityAdminRules/web",
        "protocol": "Tcp",
        "sources": [
            {"addressPrefix": "Internet", "addressPrefixType": "ServiceTag"},
            {"addressPrefix": "10.9.0.0/16", "addressPrefixType": "IPPrefix"},
        ],
        "destinations": [{"addressPrefix": "*", "addressPrefixType": "IPPrefix"}],
        "sourcePortRanges": ["0-65535"],
        "destinationPortRanges": ["443-443", "8000-8080"],
        "access": "AlwaysAllow",
        "priority": 5,
        "direction": "Inbound",
    }
    assert text.startswith("security admin rules, ahead of every group\nDirection  Priority  Name")
    assert "AlwaysAllow  Tcp       Internet 10.9.0.0/16  *      *            443 8000-8080" in text
    assert "\nInternet: " in text


def test_effective_rules_where_there_are_none() -> None:
    """No key where none is applied; without a group the text says what is left."""
    for interface in ("bastion", "f"):
        assert POLICY.effective_rules(interface) == {"value": []}
    bare = QuestionedPolicy(model_of(*RULES)).effective_rules("a")
    assert bare["value"] == []
    assert effective_rules_as_text(bare, 80).splitlines()[-1] == (
        "no network security group is associated: what they do not deny is allowed"
    )


@pytest.mark.parametrize("local", ["10.0.0.4", "10.0.0.33", "10.0.0.77", "10.0.9.4"])
def test_every_answer_agrees_with_packets(local: str) -> None:
    """IP flow verify, batch, diagnostics and both ends, from and to an address outside."""
    batch = BatchVerifier(POLICY)
    compared = 0
    for port, protocol, (direction, way), source_port in itertools.product(
        (1, 7, 8, 9, 10, 25, 80, 443, 8080, 8081),
        (("TCP", TCP), ("UDP", UDP)),
        (("Inbound", INBOUND), ("Outbound", OUTBOUND)),
        (99, 100),
    ):
        name, number = protocol
        ends = (INTERNET, local) if way is INBOUND else (local, INTERNET)
        expected = decide(POLICY.policy, packet(*ends, port, number, source_port), None, None)
        ports = (port, source_port) if way is INBOUND else (source_port, port)
        words = (direction, name, local, str(ports[0]), INTERNET, str(ports[1]))
        answer = POLICY.ip_flow_verify(read_question(*words))
        assert (answer.access, answer.consulted) == (expected.access, expected.consulted)
        keys = ("direction", "protocol", "localIPAddress", "localPort", "remoteIPAddress",
                "remotePort")  # fmt: skip
        line = json.dumps(dict(zip(keys, words, strict=True))).encode()
        for _ in range(2):  # read word by word, then by what is remembered
            assert json.loads(batch.answer_line(line)[0]) == flow_answer_as_json(answer)
        tables = POLICY.explain(read_question(*words)).tables
        assert [(each.network_security_group, each.matched.name) for each in tables] == [
            (each.network_security_group, each.rule) for each in expected.consulted
        ]
        whole = POLICY.path(PathQuestion(*ends, name, str(port), str(source_port)))
        assert whole.answer.access is (expected.access or Access.ALLOW)
        assert whole.answer.consulted == expected.consulted
        compared += 1
    assert compared == 80
