"""Answers that Azure gave, asked again of nsgd: what differs is listed in the documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.answers.diagnostics import explanation_as_json
from nsgd.answers.ip_flow import flow_answer_as_json
from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.prefixes import to_prefixes
from nsgd.answers.question import FlowQuestion, read_question
from nsgd.answers.refused import QuestionRefused
from nsgd.config.load import Document, load_documents
from nsgd.model.address import Prefix
from nsgd.policy.address_set import AddressSet

from .differences import differences, listed_blocks, listed_differences
from .recordings import last_name, needs_recordings, one_interface, recorded


def policy_of(document: dict[str, Any]) -> QuestionedPolicy:
    """A document as a policy that can be asked."""
    loaded = load_documents([Document("recorded.json", json.dumps(document).encode())])
    return QuestionedPolicy(loaded.model)


def question_of(request: dict[str, str]) -> FlowQuestion:
    """The question of a recorded request."""
    return read_question(
        request["direction"],
        request["protocol"],
        request["localIPAddress"],
        request["localPort"],
        request["remoteIPAddress"],
        request["remotePort"],
    )


def effective_rules() -> tuple[dict[str, Any], dict[str, Any]]:
    """The recorded effective rules, and nsgd's answer.

    Group, interface and the network's 10.0.0.0/16 are recorded (its routes and the tag map).
    Assumed: the subnet 10.0.0.0/24 and the address 10.0.0.4, which are the CLI's own and appear in
    no answer.
    """
    body = next(
        call["body"]
        for call in recorded("azure-cli-effective-nsg")
        if call["command"] == "network nic list-effective-nsg" and call["body"]
    )
    first = body["value"][0]
    interface = last_name(first["association"]["networkInterface"]["id"])
    group = last_name(first["networkSecurityGroup"]["id"])
    (space,) = (p for p in first["tagMap"]["VirtualNetwork"] if p != "168.63.129.16/32")
    document = one_interface(interface, group, "10.0.0.4", space=space)
    return body, policy_of(document).effective_rules(interface)


def diagnostics() -> tuple[dict[str, Any], dict[str, Any], QuestionedPolicy, FlowQuestion]:
    """The recorded diagnostics, nsgd's answer to the same, the policy and the question.

    The group and the interface are recorded. Assumed: a network of 10.0.0.0/16, as the CLI makes,
    and the interface's 10.0.0.9, which the other questions of the same recording ask about.
    """
    calls = recorded("azure-cli-network-watcher-vm")
    body = next(
        call["body"]
        for call in calls
        if call["command"] == "network watcher run-configuration-diagnostic" and call["body"]
    )
    (result,) = body["results"]
    (evaluated,) = result["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"]
    interface = last_name(evaluated["appliedTo"])
    group = last_name(evaluated["networkSecurityGroupId"])
    policy = policy_of(one_interface(interface, group, "10.0.0.9"))
    profile = result["profile"]
    question = read_question(
        profile["direction"],
        profile["protocol"],
        profile["destination"],
        profile["destinationPort"],
        profile["source"],
        "*",
    )
    resource = policy.resources.of_interface(policy.resources.interface(interface))
    return body, explanation_as_json(policy.explain_at(resource, question)), policy, question


def watcher_policy(topology: dict[str, Any]) -> QuestionedPolicy:
    """The policy of a recorded topology: the interface, its group and its subnet's.

    Assumed: a network of 10.0.0.0/16, the SDK's own, and no rule of a user's, as the security
    group view of the same recording says.
    """
    by_id = {resource["id"]: resource for resource in topology["resources"]}
    interface = next(r for r in by_id.values() if r["name"] == "ni923478")
    attached = {
        last_name(a["resourceId"].rpartition("/")[0]): a["resourceId"]
        for a in interface["associations"]
    }
    subnet = by_id[attached["subnets"]]
    groups = [a["name"] for a in subnet["associations"]]
    return policy_of(
        one_interface(
            interface["name"],
            last_name(attached["networkSecurityGroups"]),
            "10.0.0.4",
            network=attached["subnets"].split("/")[-3],
            subnet=subnet["name"],
            subnet_group=groups[0] if groups else None,
        )
    )


def view_differences(calls: list[dict[str, Any]]) -> set[str]:
    """What differs between the recorded security group view and nsgd's effective rules."""
    topologies = [call["body"] for call in calls if call["call"] == "topology"]
    view = next(call["body"] for call in calls if call["call"] == "security-group-view")
    (interface,) = view["networkInterfaces"]
    viewed = interface["securityRuleAssociations"]["effectiveSecurityRules"]
    policy = watcher_policy(topologies[0])
    (element,) = policy.effective_rules(last_name(interface["id"]))["value"]
    found: set[str] = set()

    shown = [rule for rule in viewed if rule["name"].startswith("DefaultRule_")]
    for rule in viewed:
        if rule not in shown:
            is_known = rule["name"] in ("DefaultInboundDenyAll", "DefaultOutboundDenyAll")
            is_shadowed = (rule["access"], rule["priority"]) == ("Deny", 65500)
            found.add("viewHiddenRules" if is_known and is_shadowed else f"rule {rule['name']}")
    by_name = {rule["name"]: rule for rule in element["effectiveSecurityRules"]}
    renamed = []
    for rule in shown:
        found.add("viewRuleNames")
        name = rule["name"].replace("DefaultRule_", "defaultSecurityRules/")
        ours = {k: v for k, v in by_name[name].items() if not k.startswith("expanded")}
        # This recording, unlike that of the effective rules, has no expanded prefixes.
        found |= set(differences({**rule, "name": name}, ours))
        renamed.append(name)
    assert sorted(renamed) == sorted(by_name)
    if renamed != list(by_name):
        assert [rule["direction"] for rule in shown] == ["Outbound"] * 3 + ["Inbound"] * 3
        found.add("viewOrder")
    return found


@needs_recordings
def test_every_difference_is_listed() -> None:
    """None that is not, and none listed that there is no more."""
    of_rules = set(differences(*effective_rules()))
    recorded_diagnostics, answered, policy, question = diagnostics()
    of_diagnostics = set(differences(recorded_diagnostics, answered))
    with pytest.raises(QuestionRefused, match="is in no declared subnet"):
        policy.explain(question)
    of_diagnostics.add("foreignAddress")
    of_view = view_differences(recorded("network-watcher-calls"))
    assert of_rules == {"ids", "repeatedElement", "internetIPv4", "internetIPv6"}
    assert of_diagnostics == {"ids", "foreignAddress"}
    assert of_rules | of_diagnostics | of_view == listed_differences()


@needs_recordings
def test_internet_block_by_block() -> None:
    """The page's blocks are exactly those that only one side has."""
    body, answered = effective_rules()

    def internet(answer: dict[str, Any]) -> AddressSet:
        prefixes = map(Prefix.parse, answer["value"][0]["tagMap"]["Internet"])
        return AddressSet(AddressSet.of_prefixes(prefixes).ranges_v4)

    of_azure, ours = internet(body), internet(answered)
    for kind, difference in (
        ("internet-only-nsgd", ours - of_azure),
        ("internet-only-azure", of_azure - ours),
    ):
        assert [str(prefix) for prefix in to_prefixes(difference)] == listed_blocks(kind)


@needs_recordings
def test_blocks_are_written_as_azure_writes_them() -> None:
    """Azure lists the fewest blocks in ascending order, and so does nsgd."""
    body, _ = effective_rules()
    prefixes = body["value"][0]["tagMap"]["Internet"]
    written = to_prefixes(AddressSet.of_prefixes(map(Prefix.parse, prefixes)))
    assert [str(prefix) for prefix in written] == prefixes


@needs_recordings
def test_recorded_ip_flow_verify_of_the_cli() -> None:
    """Vectors 4 and 5: request by request, the answer that follows it."""
    *_, policy, _ = diagnostics()
    calls = recorded("azure-cli-network-watcher-vm")
    flows = [call for call in calls if call["command"] == "network watcher test-ip-flow"]
    asked = 0
    for request, answer in zip(flows[::2], flows[1::2], strict=True):
        ours = flow_answer_as_json(policy.ip_flow_verify(question_of(request["request"])))
        assert ours == {**answer["body"], "networkSecurityGroup": "nsg1"}
        asked += 1
    assert asked == 2


@needs_recordings
def test_recorded_ip_flow_verify_of_the_sdk() -> None:
    """Vector 6, by the topology of before and by that of after.

    The later topology also names eight rules of the group, NRMS-Rule-101 and so on, which no
    recording shows; they are left out.
    """
    calls = recorded("network-watcher-calls")
    flow = next(call for call in calls if call["call"] == "ip-flow-verify")
    topologies = [call["body"] for call in calls if call["call"] == "topology"]
    for policy in map(watcher_policy, topologies):
        question = question_of(flow["request_from_test_source"])
        ours = flow_answer_as_json(policy.ip_flow_verify(question, "ni923478"))
        assert ours == {**flow["body"], "networkSecurityGroup": "nsg923478"}
    assert len(topologies) == 2


@needs_recordings
def test_recorded_diagnostics() -> None:
    """Vector 34: rule by rule, field by field."""
    body, answered, _, _ = diagnostics()
    (of_azure,) = body["results"][0]["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"]
    (ours,) = answered["results"][0]["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"]
    assert ours["rulesEvaluationResult"] == of_azure["rulesEvaluationResult"]
    assert ours["matchedRule"] == of_azure["matchedRule"]
    assert answered["results"][0]["profile"] == body["results"][0]["profile"]


@pytest.mark.parametrize(
    ("direction", "local", "remote", "access", "rule"),
    [
        # Vectors 1-3: Azure, Diagnose a virtual machine network traffic filter problem.
        ("Outbound", "60000", ("13.107.21.200", "80"), "Allow", "AllowInternetOutBound"),
        ("Outbound", "60000", ("172.31.0.100", "80"), "Deny", "DenyAllOutBound"),
        ("Inbound", "80", ("172.31.0.100", "60000"), "Deny", "DenyAllInBound"),
    ],
)
def test_documented_answers(
    direction: str, local: str, remote: tuple[str, str], access: str, rule: str
) -> None:
    """A network interface with the default rules only."""
    policy = policy_of(one_interface("myVMVMNic", "myVMNSG", "10.0.0.4"))
    question = read_question(direction, "TCP", "10.0.0.4", local, *remote)
    assert flow_answer_as_json(policy.ip_flow_verify(question)) == {
        "access": access,
        "ruleName": f"defaultSecurityRules/{rule}",
        "ruleId": "",
        "networkSecurityGroup": "myVMNSG",
    }


def test_an_unlisted_difference_is_seen() -> None:
    """The comparison itself: a change anywhere has a name that no list holds."""
    answer = {"value": [{"effectiveSecurityRules": [{"name": "a", "access": "Allow"}]}]}
    changed = json.loads(json.dumps(answer).replace("Allow", "Deny"))
    assert list(differences(answer, answer)) == []
    others: tuple[dict[str, Any], ...] = (changed, {"value": []}, {"value": [{}]}, {})
    for other in others:
        (found,) = differences(answer, other)
        assert found not in listed_differences()
    assert len(listed_differences()) == 8
