"""Both ends of a flow: every group on the way, also those behind one that denies."""

from __future__ import annotations

import pytest

from nsgd.answers.path import PathQuestion, path_answer_as_json
from nsgd.answers.refused import QuestionRefused
from nsgd.answers.text import path_as_text

from .policies import POLICY


def test_all_four_groups() -> None:
    """The first denial decides, and what comes behind it is shown as not asked."""
    answer = POLICY.path(PathQuestion("VM1", "10.0.1.40", "UDP", "53"))
    assert path_answer_as_json(answer) == {
        "access": "Deny",
        "ruleName": "securityRules/DenyDns",
        "networkSecurityGroup": "Subnet",
        "source": "10.0.1.4",
        "destination": "10.0.1.40",
        "tables": [
            {
                "direction": direction,
                "appliedTo": at,
                "networkSecurityGroup": group,
                "access": access,
                "ruleName": rule,
                "isConsulted": is_consulted,
            }
            for direction, at, group, access, rule, is_consulted in [
                (
                    "Outbound",
                    "network interface VM1",
                    "Nic",
                    "Allow",
                    "defaultSecurityRules/AllowVnetOutBound",
                    True,
                ),
                (
                    "Outbound",
                    "network interface VM1",
                    "Subnet",
                    "Deny",
                    "securityRules/DenyDns",
                    True,
                ),
                (
                    "Inbound",
                    "an instance of scale set Set",
                    "Subnet",
                    "Allow",
                    "defaultSecurityRules/AllowVnetInBound",
                    False,
                ),
                (
                    "Inbound",
                    "an instance of scale set Set",
                    "Nic",
                    "Allow",
                    "defaultSecurityRules/AllowVnetInBound",
                    False,
                ),
            ]
        ],
    }
    lines = path_as_text(answer).splitlines()
    assert lines[0] == "10.0.1.4 -> 10.0.1.40: Deny by securityRules/DenyDns of Subnet"
    assert lines[-1].endswith("not asked: denied before")


@pytest.mark.parametrize(
    ("sender", "receiver", "source", "destination"),
    [
        ("VM1", "VM4", "10.0.1.4", "10.0.2.6"),
        ("VM1", "fd00:10:0:1::9", "fd00:10:0:1::4", "fd00:10:0:1::9"),
        ("8.8.8.8", "vm3", "8.8.8.8", "10.0.2.4"),
        # Overlapping networks: the other end settles it, or the interface's name.
        ("twin2", "10.5.0.9", "10.5.0.4", "10.5.0.9"),
    ],
)
def test_ends(sender: str, receiver: str, source: str, destination: str) -> None:
    """A name or an address; of one family, IPv4 where both have it."""
    answer = POLICY.path(PathQuestion(sender, receiver, "TCP", "80"))
    assert (str(answer.source), str(answer.destination)) == (source, destination)


def test_a_name_settles_the_network() -> None:
    """The first network's subnet has a group, the second's has none."""
    in_first = POLICY.path(PathQuestion("twin1", "10.5.0.9", "TCP", "80"))
    in_second = POLICY.path(PathQuestion("twin2", "10.5.0.9", "TCP", "80"))
    assert (len(in_first.tables), len(in_second.tables)) == (2, 0)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (PathQuestion("VM9x", "VM1", "TCP", "80"), "there is no network interface 'VM9x'"),
        (PathQuestion("8.8.8.8", "9.9.9.9", "TCP", "80"), "neither 8.8.8.8 nor 9.9.9.9 is in a"),
        (PathQuestion("VM2", "fd00:10:0:1::4", "TCP", "80"), "no address family in common"),
        (PathQuestion("VM1", "VM2", "TCP", None), "destination port: missing"),
        (PathQuestion("VM1", "VM2", "TCP", "*"), "destination port: '*' is for the port of"),
        (PathQuestion("VM1", "VM2", "ICMP", "8"), "destination port: only TCP and UDP have ports"),
        (PathQuestion("VM1", "fd00::zz", "TCP", "80"), "--to: 'fd00::zz' is no IP address"),
        (PathQuestion("10.5.0.4", "8.8.8.8", "TCP", "80"), "10.5.0.4 may be network interface"),
        (PathQuestion("9.9.9.9", "VM3", "TCP", "443"), "depends on the local port: 0-1023 Deny"),
    ],
)
def test_refused(question: PathQuestion, message: str) -> None:
    """What has no one answer says why."""
    with pytest.raises(QuestionRefused) as caught:
        POLICY.path(question)
    assert message in str(caught.value)


def test_a_source_port() -> None:
    """It may be named, and then one answer there is."""
    for port, access in (("1023", "Deny"), ("1024", "Allow")):
        answer = POLICY.path(PathQuestion("9.9.9.9", "VM3", "TCP", "443", port))
        assert answer.answer.access.value == access
