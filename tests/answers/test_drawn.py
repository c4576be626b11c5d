"""Every kind of answer agrees with what packets are decided by, on drawn policies."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from typing import Any

import pytest

from nsgd.answers.azure_names import rule_name
from nsgd.answers.batch import BatchVerifier
from nsgd.answers.effective_rules import effective_rules_as_json
from nsgd.answers.ip_flow import flow_answer_as_json
from nsgd.answers.path import PathQuestion
from nsgd.answers.question import WITH_PORTS, FlowQuestion
from nsgd.answers.refused import QuestionRefused
from nsgd.model.decision import Reason
from nsgd.model.packet import ICMP, ICMPV6
from nsgd.model.rule import Access, Direction

from .drawn import DrawnPacket, drawn_policies

SERIES = [(f"answers-{number}", 12, 40) for number in range(3)]


def as_words(question: FlowQuestion) -> dict[str, Any]:
    """A question as a line of a batch has it."""
    words: dict[str, Any] = {
        "direction": question.direction.value,
        "protocol": question.protocol_name,
        "localIPAddress": str(question.local),
        "remoteIPAddress": str(question.remote),
    }
    if question.protocol in WITH_PORTS:
        words |= {"localPort": str(question.local_port), "remotePort": str(question.remote_port)}
    return words


@pytest.mark.parametrize("series", SERIES)
def test_ip_flow_verify(series: tuple[str, int, int]) -> None:
    """One end's answer is that end's part of the decision about the packet."""
    seen: Counter[str] = Counter()
    for packets in drawn_policies(*series):
        for drawn in packets:
            consulted = drawn.decision.consulted
            for question in drawn.answerable():
                answer = drawn.policy.ip_flow_verify(question)
                expected = tuple(d for d in consulted if d.direction is question.direction)
                is_denied_before = question.direction is Direction.INBOUND and any(
                    d.access is Access.DENY and d.direction is Direction.OUTBOUND for d in consulted
                )
                if drawn.decision.reason is Reason.AMBIGUOUS_NETWORK or is_denied_before:
                    continue
                assert answer.consulted == expected, (question, drawn.decision)
                seen[f"{question.direction.value} {answer.access.value}"] += 1
    assert len(seen) == 4, seen
    assert min(seen.values()) > 5


@pytest.mark.parametrize("series", SERIES)
def test_the_explanation_agrees_with_the_verdict(series: tuple[str, int, int]) -> None:
    """Walking the effective rules ends at the rules that the compiled tables name."""
    seen: Counter[int] = Counter()
    for packets in drawn_policies(*series):
        for drawn in packets:
            for question in drawn.answerable():
                answer = drawn.policy.ip_flow_verify(question)
                explanation = drawn.policy.explain(question)
                assert explanation.access is answer.access
                assert [
                    (t.network_security_group, t.direction, t.matched.name, t.matched.access)
                    for t in explanation.tables
                ] == [
                    (d.network_security_group, d.direction, d.rule, d.access)
                    for d in answer.consulted
                ]
                for table in explanation.tables:
                    assert [rule.is_match for rule in table.rules] == [
                        *[False] * (len(table.rules) - 1),
                        True,
                    ]
                    seen[len(table.rules)] += 1
    assert len(seen) > 5, "rules of many places decide"


@pytest.mark.parametrize("series", SERIES)
def test_a_path_is_decided_as_its_packet(series: tuple[str, int, int]) -> None:
    """Both ends together are what decide() consults, in its order."""
    asked = 0
    for packets in drawn_policies(*series):
        for drawn in packets:
            words = as_words(next(iter(drawn.questions())))
            question = PathQuestion(
                words["localIPAddress"],
                words["remoteIPAddress"],
                words["protocol"],
                words.get("remotePort"),
                words.get("localPort", "*"),
            )
            reason = drawn.decision.reason
            if reason in (Reason.AMBIGUOUS_NETWORK, Reason.UNMANAGED):
                with pytest.raises(QuestionRefused):
                    drawn.policy.path(question)
                continue
            answer = drawn.policy.path(question)
            assert answer.answer.access is drawn.decision.access
            assert answer.answer.consulted == drawn.decision.consulted
            is_consulted = [table.is_consulted for table in answer.tables]
            assert is_consulted == sorted(is_consulted, reverse=True)
            asked += 1
    assert asked > 100


@pytest.mark.parametrize("series", SERIES)
def test_a_batch_answers_as_a_single_question(series: tuple[str, int, int]) -> None:
    """Twice each: the first time read word by word, then from what was remembered."""
    for packets in drawn_policies(*series):
        verifier = BatchVerifier(packets[0].policy)
        for drawn in packets * 2:
            for question in drawn.questions():
                line = json.dumps(as_words(question)).encode()
                try:
                    answer = flow_answer_as_json(drawn.policy.ip_flow_verify(question))
                except QuestionRefused as refused:
                    answer = {"error": str(refused)}
                text, is_answer = verifier.answer_line(line)
                assert json.loads(text) == answer
                assert is_answer == ("error" not in answer)


# What a listing does not say of platform tags: the port that they stand for beside addresses, and
# that outbound rules which deny by them are tried first.
TAG_PORTS = {"AzurePlatformDNS": 53, "AzurePlatformLKM": 1688}
PLATFORM_TAGS = {*TAG_PORTS, "AzurePlatformIMDS"}


def is_tried_first(rule: dict[str, Any]) -> bool:
    """Whether a listed rule denies outbound platform traffic by its tag."""
    return (rule["direction"], rule["access"]) == ("Outbound", "Deny") and rule[
        "destinationAddressPrefix"
    ] in PLATFORM_TAGS


def listed_match(rule: dict[str, Any], drawn: DrawnPacket) -> bool:
    """Whether a listed effective rule matches, by what the listing alone says."""
    header = drawn.header
    has_ports = header.protocol in WITH_PORTS
    for side, value, port in (
        ("source", header.source, header.source_port),
        ("destination", header.destination, header.destination_port),
    ):
        prefixes = rule[f"{side}AddressPrefixes"]
        expanded = rule.get(f"expanded{side.capitalize()}AddressPrefix", prefixes)
        # '*' of both families is listed as in Azure's answers, twice 0.0.0.0/0.
        if prefixes != ["0.0.0.0/0", "0.0.0.0/0"] and not any(
            network.version == header.version and int(network[0]) <= value <= int(network[-1])
            for network in map(ipaddress.ip_network, expanded)
        ):
            return False
        ranges = [tuple(map(int, text.split("-"))) for text in rule[f"{side}PortRanges"]]
        if not has_ports and ranges != [(0, 65535)]:
            return False
        if has_ports and not any(first <= port <= last for first, last in ranges):
            return False
        if prefixes[0] in TAG_PORTS and not (has_ports and port == TAG_PORTS[prefixes[0]]):
            return False
    numbers = {"Tcp": 6, "Udp": 17, "Esp": 50, "Ah": 51}
    numbers["Icmp"] = ICMP if header.version == 4 else ICMPV6
    return rule["protocol"] == "All" or header.protocol == numbers[rule["protocol"]]


@pytest.mark.parametrize("series", SERIES)
def test_listed_rules_say_what_is_decided(series: tuple[str, int, int]) -> None:
    """The first listed rule that matches, by its expanded prefixes, is the one that decides."""
    compared = 0
    for packets in drawn_policies(*series):
        listings: dict[Any, Any] = {}
        for drawn in packets:
            for question in drawn.answerable():
                resource = drawn.policy.local_resource(question, None)
                listed = listings.get(resource)
                if listed is None:
                    listed = effective_rules_as_json(drawn.policy.model, resource)["value"]
                    listings[resource] = listed
                by_group = {
                    element["networkSecurityGroup"]["id"]: sorted(
                        element["effectiveSecurityRules"], key=is_tried_first, reverse=True
                    )
                    for element in listed
                }
                for decision in drawn.policy.ip_flow_verify(question).consulted:
                    if decision.rule.startswith("platformRules/"):
                        continue  # not listed, as in Azure's answers
                    first = next(
                        rule
                        for rule in by_group[decision.network_security_group]
                        if rule["direction"] == question.direction.value
                        and listed_match(rule, drawn)
                    )
                    assert (first["name"], first["access"]) == (
                        rule_name(decision.rule),
                        decision.access.value,
                    )
                    compared += 1
    assert compared > 100
