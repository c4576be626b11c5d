"""Azure's own samples of flow logs, where they are at hand, as nsgd reads them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from nsgd.flowlog.fields import Problems
from nsgd.flowlog.read import read_flow_log
from nsgd.flowlog.record import FlowRecord, FlowState
from nsgd.flowlog.tuples import read_nsg, read_v4
from nsgd.model.rule import Access
from tests.corpus.recordings import CORPUS
from tests.flowlog.independent_reader import flows_of_document

SAMPLES = CORPUS / "flowlogs"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}")


def read(name: str) -> list[FlowRecord]:
    """The records of a sample, which has nothing that cannot be read."""
    problems = Problems()
    found = list(read_flow_log((SAMPLES / name).read_bytes(), problems))
    assert problems.lines == []
    return found


@pytest.mark.parametrize(
    ("name", "records", "denied"),
    [
        ("nsg_flowlog_v1.PT1H.json", 11, 3),
        ("nsg_flowlog_v2.PT1H.json", 11, 7),
        ("vnet_flowlog_v4.PT1H.json", 19, 9),
    ],
)
def test_samples(name: str, records: int, denied: int) -> None:
    """All of each, with rule, group and interface."""
    found = read(name)
    assert len(found) == records
    assert sum(record.access is Access.DENY for record in found) == denied
    for record in found:
        assert record.rule
        assert record.network_security_group or record.acl_id
        assert len(record.mac_address) == 12


def test_the_independent_reader_agrees() -> None:
    """On version 4, tuple by tuple."""
    path = Path(SAMPLES / "vnet_flowlog_v4.PT1H.json")
    theirs = list(flows_of_document(json.loads(path.read_bytes())))
    ours = read(path.name)
    assert [(f["time_ms"], f["source"], f["state"], f["counts"][1], f["rule"]) for f in theirs] == [
        (r.time_ms, r.source, r.state.value if r.state else "", r.bytes_sent, r.rule) for r in ours
    ]


def test_the_documented_sum() -> None:
    """Azure's page on bandwidth: what a flow's records add up to, in both formats."""
    sample = json.loads((SAMPLES / "bandwidth_tuples.json").read_bytes())
    for records in (
        [read_v4(text) for text in sample["vnet_v4"]],
        [read_nsg(text, 2) for text in sample["nsg_v2"]],
    ):
        assert Counter(record.state for record in records) == Counter(
            (FlowState.BEGIN, FlowState.CONTINUE, FlowState.END)
        )
        assert sample["documented_totals"] == {
            "packets": sum((r.packets_sent or 0) + (r.packets_received or 0) for r in records),
            "bytes": sum((r.bytes_sent or 0) + (r.bytes_received or 0) for r in records),
        }
