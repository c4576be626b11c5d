"""NSG flow logs, versions 1 and 2."""

from __future__ import annotations

import json
from typing import Any

from nsgd.flowlog.fields import Problems
from nsgd.flowlog.nsg import v2_document
from nsgd.flowlog.read import read_flow_log
from nsgd.flowlog.record import FlowRecord
from tests.flowlog.records import BEGIN, DENIED, END, PING, nsg_document

V1 = "1700000000,203.0.113.9,10.0.1.4,40000,443,T,I,A"
V2 = f"{V1},B,,,,"


def read(document: Any) -> tuple[list[FlowRecord], Problems]:
    """The records of a document, and what is wrong with it."""
    problems = Problems()
    return list(read_flow_log(json.dumps(document).encode(), problems)), problems


def test_both_versions_say_the_same() -> None:
    """Group from the resource's id, rule without the prefix of the user's rules."""
    for version, text in ((1, V1), (2, V2)):
        (record,), problems = read(nsg_document(version, text))
        assert problems.count == 0
        assert (record.network_security_group, record.rule) == ("WEB", "AllowWeb")
        assert (record.mac_address, record.destination_port) == ("000D3A000001", 443)


def test_default_rules_keep_their_prefix() -> None:
    """As version 4 writes them."""
    (record,), _ = read(nsg_document(2, V2, rule="DefaultRule_DenyAllInBound"))
    assert record.rule == "DefaultRule_DenyAllInBound"


def test_another_version_is_not_guessed() -> None:
    """There is no version 3."""
    found, problems = read(nsg_document(3, V2))
    assert (found, problems.lines) == ([], ["records[0].properties.Version: 3 is not 1 or 2"])


def test_version_2_of_version_4() -> None:
    """Times in seconds, rules with their prefixes, the group beside the log's target; no ICMP."""
    document, left_out = v2_document([BEGIN, DENIED, END, PING])
    assert left_out == 1
    (record,) = document["records"]
    assert record["resourceId"] == (
        "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/WEB"
    )
    assert record["properties"] == {
        "Version": 2,
        "flows": [
            {
                "rule": "UserRule_AllowHttps",
                "flows": [
                    {
                        "mac": "02ABCDEF0123",
                        "flowTuples": [
                            "1700000000,10.0.1.4,203.0.113.10,40000,443,T,O,A,B,,,,",
                            "1700000005,10.0.1.4,203.0.113.10,40000,443,T,O,A,E,5,400,4,5200",
                        ],
                    }
                ],
            },
            {
                "rule": "DefaultRule_DenyAllInBound",
                "flows": [
                    {
                        "mac": "02ABCDEF0123",
                        "flowTuples": [
                            "1700000000,2001:db8::9,fd00:10:0:1::4,40000,443,U,I,D,B,,,,"
                        ],
                    }
                ],
            },
        ],
    }


def test_version_2_of_version_2_is_itself() -> None:
    """Whoever passes a log through changes nothing that it says."""
    before, _ = read(nsg_document(2, V2, V2.replace("A,B,,,,", "A,E,1,66,2,132")))
    after, _ = read(v2_document(before)[0])
    assert after == before
