"""The explanation: which fields of which rules matched, in the form of NSG diagnostics."""

from __future__ import annotations

import pytest

from nsgd.answers.diagnostics import explanation_as_json
from nsgd.answers.refused import QuestionRefused
from nsgd.answers.text import explanation_as_text

from .policies import POLICY, ask


def test_as_azure_writes_it() -> None:
    """Each rule up to and with the match, each table up to and with the one that denies."""
    explanation = POLICY.explain(ask("Inbound", "TCP", "10.0.1.4:443", "8.8.8.8:1023"))
    (result,) = explanation_as_json(explanation)["results"]
    assert result["profile"] == {
        "direction": "Inbound",
        "protocol": "Tcp",
        "source": "8.8.8.8",
        "destination": "10.0.1.4",
        "destinationPort": "443",
    }
    found = result["networkSecurityGroupResult"]
    assert found["securityRuleAccessResult"] == "Deny"
    subnets, own = found["evaluatedNetworkSecurityGroups"]
    assert (subnets["networkSecurityGroupId"], subnets["appliedTo"]) == ("Subnet", "lab/grouped")
    assert subnets["matchedRule"] == {"ruleName": "UserRule_AllowToWeb", "action": "Allow"}
    assert subnets["rulesEvaluationResult"] == [
        {
            "name": "UserRule_AllowWeb",
            "protocolMatched": True,
            "sourceMatched": True,
            "sourcePortMatched": True,
            "destinationMatched": True,
            "destinationPortMatched": False,
        },
        {
            "name": "UserRule_AllowToWeb",
            "protocolMatched": True,
            "sourceMatched": True,
            "sourcePortMatched": True,
            "destinationMatched": True,
            "destinationPortMatched": True,
        },
    ]
    assert own["matchedRule"] == {"ruleName": "DefaultRule_DenyAllInBound", "action": "Deny"}
    assert [
        (rule["name"], rule["sourceMatched"], rule["sourcePortMatched"])
        for rule in own["rulesEvaluationResult"]
    ] == [
        ("UserRule_AllowWebToo", True, True),
        ("UserRule_AllowHigh", True, False),
        ("DefaultRule_AllowVnetInBound", False, True),
        ("DefaultRule_AllowAzureLoadBalancerInBound", False, True),
        ("DefaultRule_DenyAllInBound", True, True),
    ]


def test_a_packet_without_ports() -> None:
    """A rule that names ports differs in them."""
    explanation = POLICY.explain(ask("Inbound", "1", "10.0.2.4", "10.0.2.6"))
    (table,) = explanation.tables
    assert table.rules[0].failed_fields == ("protocol", "destination port")
    assert table.matched.name == "AllowVnetInBound"


def test_every_source_port() -> None:
    """One explanation is for all ports, so none of them may take another way."""
    with pytest.raises(QuestionRefused, match="depends on the remote port"):
        POLICY.explain(ask("Inbound", "TCP", "10.0.2.4:443", "9.9.9.9:*"))
    (table,) = POLICY.explain(ask("Inbound", "TCP", "10.0.2.4:443", "9.9.9.8:*")).tables
    assert table.rules[1].failed_fields == ("source", "source port")


def test_as_text() -> None:
    """For people: the verdict, then rule by rule what differs."""
    explanation = POLICY.explain(ask("Outbound", "UDP", "10.0.1.5:*", "10.0.2.4:53"))
    assert explanation_as_text(explanation).splitlines() == [
        "Deny",
        "Subnet, Outbound, at lab/grouped:",
        "  Rule                                      Access",
        "  platformRules/AllowHostOutBound           Allow   differs in destination",
        "  platformRules/AllowMetadataOutBound       Allow   differs in destination",
        "  platformRules/AllowKeyManagementOutBound  Allow   differs in protocol, destination,"
        " destination port",
        "  securityRules/DenyDns                     Deny    matches",
    ]
    nobody = POLICY.explain(ask("Inbound", "UDP", "10.0.2.6:53", "8.8.8.8:*"))
    assert explanation_as_text(nobody) == "Allow\nno network security group is asked"


def test_where_each_group_is_applied() -> None:
    """Inbound the subnet's comes first, outbound the resource's own."""
    inbound = POLICY.explain(ask("Inbound", "TCP", "10.0.1.4:80", "8.8.8.8:*"))
    outbound = POLICY.explain(ask("Outbound", "TCP", "10.0.1.40:*", "8.8.8.8:80"))
    assert [(table.network_security_group, table.applied_to) for table in inbound.tables] == [
        ("Subnet", "lab/grouped"),
        ("Nic", "VM1"),
    ]
    assert [(table.network_security_group, table.applied_to) for table in outbound.tables] == [
        ("Nic", "Set"),
        ("Subnet", "lab/grouped"),
    ]
