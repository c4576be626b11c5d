"""Version 4 as JSON: what is written is what an independent reader and ours read."""

from __future__ import annotations

import json
from typing import Any

from nsgd.flowlog import names
from nsgd.flowlog.azure_v4 import FILE_END, FILE_START, encode_record
from nsgd.flowlog.entry import Place, Ruling
from nsgd.flowlog.fields import Problems
from nsgd.flowlog.names import resource_id
from nsgd.flowlog.read import read_flow_log
from nsgd.flowlog.record import FlowRecord
from nsgd.model.rule import Direction
from tests.flowlog.entries import v4_record
from tests.flowlog.independent_reader import flows_of_document
from tests.flowlog.records import BEGIN, DENIED, END, TIME_MS

FLOWS = [BEGIN, DENIED, END]


def document(*flows: FlowRecord) -> bytes:
    """A file with one record."""
    record = v4_record("lab", "02ABCDEF0123", TIME_MS + 60_000, *flows)
    return FILE_START + record.encode() + FILE_END


def test_ours_reads_it_again() -> None:
    """All fields; the target is the virtual network."""
    problems = Problems()
    target = resource_id("virtualNetworks", "lab")
    found = sorted(read_flow_log(document(*FLOWS), problems), key=lambda flow: flow.time_ms)
    assert found == [flow._replace(target=target) for flow in FLOWS]
    assert problems.count == 0


def test_an_independent_reader_reads_it() -> None:
    """Every tuple under its rule and access list."""
    found = list(flows_of_document(json.loads(document(*FLOWS))))
    assert [(flow["rule"], flow["state"], flow["counts"]) for flow in found] == [
        ("AllowHttps", "B", (0, 0, 0, 0)),
        ("AllowHttps", "E", (5, 400, 4, 5200)),
        ("DefaultRule_DenyAllInBound", "D", (0, 0, 0, 0)),
    ]
    assert {flow["acl"] for flow in found} == {BEGIN.acl_id}


def test_it_is_what_an_encoder_would_make() -> None:
    """Written by hand, key by key; rules that were numbered twice are one."""
    place = Place("group/lab", "02ABCDEF0123")
    inbound = Direction.INBOUND
    rulings = [
        (Ruling.of(inbound, 32, 'w"eb', "a\\b"), ["1", "2"]),
        (Ruling.of(inbound, 33, 'w"eb', "DenyAllInBound"), ["3"]),
        (Ruling.of(inbound, 16, "", ""), ["4"]),
        (Ruling.of(inbound, 34, 'w"eb', "a\\b"), ["5"]),
    ]
    acl = names.acl_id('w"eb')
    expected = {
        "time": names.iso_time(TIME_MS, 7),
        "flowLogVersion": 4,
        "flowLogGUID": names.flow_log_guid("group/lab"),
        "macAddress": "02ABCDEF0123",
        "category": "FlowLogFlowEvent",
        "flowLogResourceID": names.flow_log_id("group/lab"),
        "targetResourceID": resource_id("virtualNetworks", "group/lab"),
        "operationName": "FlowLogFlowEvent",
        "flowRecords": {
            "flows": [
                {
                    "aclID": acl,
                    "networkSecurityGroup": 'w"eb',
                    "flowGroups": [
                        {"rule": "a\\b", "flowTuples": ["1", "2", "5"]},
                        {"rule": "DefaultRule_DenyAllInBound", "flowTuples": ["3"]},
                    ],
                },
                {
                    "aclID": names.NO_ACL,
                    "flowGroups": [{"rule": "PlatformRule", "flowTuples": ["4"]}],
                },
            ]
        },
    }
    written = encode_record(place, TIME_MS, rulings)
    assert written == json.dumps(expected, separators=(",", ":"))


def test_a_record_is_one_line() -> None:
    """A file that is cut off is mended line by line."""
    assert b"\n" not in document(BEGIN._replace(rule="a\nb"))


def _read(record: Any) -> tuple[list[FlowRecord], Problems]:
    problems = Problems()
    return list(read_flow_log(json.dumps({"records": [record]}).encode(), problems)), problems


def test_what_is_wrong_is_told_with_its_path_and_the_rest_is_read() -> None:
    """A bad tuple costs itself alone."""
    whole = json.loads(document(*FLOWS))["records"][0]
    groups = whole["flowRecords"]["flows"][0]["flowGroups"]
    groups[0]["flowTuples"].insert(1, "1,2,3")
    groups[0]["flowTuples"].insert(2, 7)
    groups.append("nothing")
    groups.append({"rule": "x"})
    found, problems = _read(whole)
    assert len(found) == 3
    path = "records[0].flowRecords.flows[0].flowGroups"
    assert problems.lines == [
        f"{path}[0].flowTuples[1]: 3 fields instead of 13",
        f"{path}[0].flowTuples[2]: not text",
        f"{path}[2]: not an object",
        f"{path}[3].flowTuples: not a list",
    ]


def test_another_version_is_not_guessed() -> None:
    """Version 5 may mean anything."""
    whole = json.loads(document(*FLOWS))["records"][0] | {"flowLogVersion": 5}
    found, problems = _read(whole)
    assert found == []
    assert problems.lines == ["records[0].flowLogVersion: 5 is not 4"]


def test_problems_are_bounded() -> None:
    """A file of nothing but mistakes does not fill the memory with them."""
    problems = Problems()
    assert list(read_flow_log(json.dumps({"records": [1] * 1000}).encode(), problems)) == []
    assert (problems.count, len(problems.lines)) == (1000, 20)
