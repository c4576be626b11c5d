"""The flow log in metrics and status."""

from __future__ import annotations

import dataclasses

from prometheus_client import CollectorRegistry, generate_latest

from nsgd.model.rule import Access, Direction
from nsgd.observe.flow_log_state import FlowLogState, RuleTraffic
from nsgd.observe.metrics import SnapshotCollector
from nsgd.observe.snapshot import snapshot_as_json
from nsgd.observe.text import format_status
from tests.observe.snapshots import SNAPSHOT

STATE = FlowLogState(
    path="/var/log/nsgd",
    format="azure",
    pid=4322,
    restarts=1,
    open_flows=7,
    records={"written": 100, "write_failed": 2, "no_reader": 0, "max_bytes": 1},
    waiting=4,
    last_write_s=1_700_000_000,
    events_lost=5,
    resyncs=2,
    begun_unseen=3,
    ended_unseen=6,
    not_followed=0,
    denials_missed=8,
    rule_traffic=(RuleTraffic("web", Direction.INBOUND, "AllowHttp", Access.ALLOW, 10, 5321),),
)
WITH = dataclasses.replace(SNAPSHOT, flow_log=STATE)
LABELS = '{access="Allow",direction="Inbound",nsg="web",rule="AllowHttp"}'
SAMPLES = f"""\
nsgd_flow_log_up 1
nsgd_flow_log_open_flows 7
nsgd_flow_log_waiting_records 4
nsgd_flow_log_last_write_timestamp_seconds 1.7e+09
nsgd_flow_log_records_total{{result="written"}} 100
nsgd_flow_log_records_total{{result="write_failed"}} 2
nsgd_flow_log_records_total{{result="no_reader"}} 0
nsgd_flow_log_records_total{{result="max_bytes"}} 1
nsgd_flow_log_restarts_total 1
nsgd_flow_log_events_lost_total 5
nsgd_flow_log_resyncs_total 2
nsgd_flow_log_flows_begun_unseen_total 3
nsgd_flow_log_flows_ended_unseen_total 6
nsgd_flow_log_flows_not_followed_total 0
nsgd_flow_log_denials_missed_total 8
nsgd_rule_packets_total{LABELS} 10
nsgd_rule_bytes_total{LABELS} 5321
"""


def test_metrics() -> None:
    """Each value under its name, and none where flows are not logged."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: WITH))
    text = generate_latest(registry).decode()
    found = {
        line.replace(".0", "")
        for line in text.splitlines()
        if line.startswith(("nsgd_flow_log", "nsgd_rule_packets", "nsgd_rule_bytes"))
    }
    assert found == set(SAMPLES.replace("1.7e+09", "1.7e+09").splitlines())
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: SNAPSHOT))
    assert "flow_log" not in generate_latest(registry).decode()


def test_status() -> None:
    """One line, which says what is lost."""
    assert (
        "flow log  azure at /var/log/nsgd, 7 open flows, 100 records written, 4 wait, 3 LOST,"
        " 5 events lost\n"
    ) in format_status(snapshot_as_json(WITH))
    down = dataclasses.replace(SNAPSHOT, flow_log=dataclasses.replace(STATE, pid=None))
    assert "flow log  DOWN: flows are not logged, 7 open" in format_status(snapshot_as_json(down))
    assert "flow log" not in format_status(snapshot_as_json(SNAPSHOT))


def test_json() -> None:
    """The same for programs."""
    log = snapshot_as_json(WITH)["flowLog"]
    assert log["lastWrite"] == "2023-11-14T22:13:20Z"
    assert (log["records"]["max_bytes"], log["up"], log["pid"]) == (1, True, 4322)
    assert log["ruleTraffic"][0]["bytes"] == 5321
    never = dataclasses.replace(WITH, flow_log=dataclasses.replace(STATE, last_write_s=0))
    assert snapshot_as_json(never)["flowLog"]["lastWrite"] is None
