"""The status as its reader sees it."""

from __future__ import annotations

import dataclasses

from nsgd.observe.refused_reload import RefusedReload
from nsgd.observe.snapshot import AppliedState, WorkerSeen, snapshot_as_json
from nsgd.observe.text import format_status, format_table
from tests.observe.snapshots import SEVERAL, SNAPSHOT

EXPECTED = """\
nsgd     1.2.3, running since 2020-09-13T12:26:40Z
engine   queue
roles    gateway, host
mode     enforce; failure mode closed
policy   4, loaded 2023-11-14T22:13:20Z, documents 0123456789abcdef
         came by 'nsgd apply', and stands in place of the documents of --config
reloads  3 succeeded, 1 refused; the last one was refused, the policy before stays
worker   up, process 4321, 1 restart
queue    9480: 3 of 4096 packets wait, 5 dropped as it was full, 6 by the worker's socket
table    owned, mark mask 0xffff3fff
tracked  900 of at most 1000 flows; 8 packets dropped for want of room

Rule hits
Hits  Access  Direction  Network security group  Rule
 130  Deny    Inbound    web                     DenyAllInBound
  12  Allow   Inbound    web                     AllowHttp

Flows
Flows  Access  Direction  Reason
  130  Deny    Inbound    rule
   12  Allow   Inbound    rule

Packets
Packets  Kind        Reason
    150  queued
     40  admission   sourceRate
     12  verdict     accept
    132  verdict     drop
    130  denied      rule
      8  denied      spoofed
      2  unparsable  fragment
     20  unmanaged   accept
      1  midstream

1 rule without hits not shown; --all shows everything"""


def test_status() -> None:
    """Columns are aligned, the busiest rule comes first and zeros are left out."""
    assert format_status(snapshot_as_json(SNAPSHOT)) == EXPECTED


def test_status_of_a_refused_reload() -> None:
    """When it was, and each problem below it."""
    refused = RefusedReload.of(["policy.yaml:7: priority 99"], 1_700_000_000)
    text = format_status(snapshot_as_json(dataclasses.replace(SNAPSHOT, refused_reload=refused)))
    assert "the last one was refused at 2023-11-14T22:13:20Z, the policy before stays\n" in text
    assert "\n         policy.yaml:7: priority 99\n" in text


def test_status_with_everything() -> None:
    """Zeros are there on request, and no line tells of hidden ones."""
    text = format_status(snapshot_as_json(SNAPSHOT), show_all=True)
    assert "   0  Deny    Outbound   web                     DenyAllOutBound" in text
    assert "      0  denied        invalid" in text
    assert "--all" not in text


def test_status_of_an_idle_and_troubled_daemon() -> None:
    """What is wrong is said in words, and empty tables are one line."""
    snapshot = dataclasses.replace(
        SNAPSHOT,
        rule_hits=(),
        flows=(),
        workers=(WorkerSeen(9480, None, 0, None),),
        table_owned=False,
        last_reload_succeeded=True,
    )
    text = format_status(snapshot_as_json(snapshot))
    assert "worker   DOWN: new flows follow the failure mode, 0 restarts\n" in text
    assert "queue    9480: state not readable\n" in text
    assert "table    not owned: others may change it, mark mask 0xffff3fff\n" in text
    assert "reloads  3 succeeded, 1 refused\n" in text
    assert "\n\nRule hits: none yet\n\nFlows: none yet\n\n" in text


def test_table() -> None:
    """No line ends in spaces."""
    assert format_table([("A", "Bcd"), (100, "e")]) == "  A  Bcd\n100  e"


def test_a_policy_on_trial() -> None:
    """The way to keep it stands beside the time that is left."""
    applied = AppliedState({}, is_standing=True, seconds_left=41.6)
    on_trial = dataclasses.replace(SNAPSHOT, applied=applied)
    shown = format_status(snapshot_as_json(on_trial))
    assert "\n         ON TRIAL: reverted in 42 seconds unless 'nsgd confirm' comes\n" in shown
    assert "stands in place" not in shown
    at_once = dataclasses.replace(SNAPSHOT, applied=AppliedState({}, seconds_left=0.0))
    assert "reverted in 0 seconds" in format_status(snapshot_as_json(at_once))
    config = dataclasses.replace(SNAPSHOT, applied=AppliedState({}))
    assert "nsgd apply" not in format_status(snapshot_as_json(config))


def test_status_of_several_workers() -> None:
    """A line for each, and what the missing one means."""
    lines = format_status(snapshot_as_json(SEVERAL)).splitlines()
    assert [" ".join(line.split()) for line in lines if line.startswith("worker")] == [
        "worker 0 up, process 4321, 1 restart; queue 9480: 3 of 4096 packets wait,"
        " 5 dropped as it was full, 6 by the worker's socket",
        "worker 1 DOWN: its share of new flows follows the failure mode, 2 restarts;"
        " queue 9481: state not readable",
        "worker 2 up, process 4323, 0 restarts; queue 9482: 9 of 4096 packets wait,"
        " 5 dropped as it was full, 6 by the worker's socket",
    ]
    assert not [line for line in lines if line.startswith("queue ")]
