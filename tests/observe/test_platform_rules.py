"""A platform rule that stands ahead of all groups has no group to be shown with."""

from __future__ import annotations

import dataclasses

from prometheus_client import generate_latest

from nsgd.lab.prediction import counted_hits, decided_by
from nsgd.lab.report import format_counters
from nsgd.model.decision import Decision, Reason, TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.observe.metrics import metrics_registry
from nsgd.observe.snapshot import RuleHits, snapshot_as_json
from nsgd.observe.text import format_status
from tests.observe.snapshots import SNAPSHOT

RULE = "platformRules/DenySmtpOutBound"
SMTP = RuleHits("", Direction.OUTBOUND, RULE, Access.DENY, 12)  # as often as a rule of web
BLOCKING = dataclasses.replace(SNAPSHOT, rule_hits=(*SNAPSHOT.rule_hits, SMTP))
STATUS = snapshot_as_json(BLOCKING)


def test_status() -> None:
    """Null for programs, a dash for people."""
    assert STATUS["ruleHits"][-1] == {
        "networkSecurityGroup": None,
        "direction": "Outbound",
        "rule": RULE,
        "access": "Deny",
        "hits": 12,
    }
    assert f"  12  Deny    Outbound   -                       {RULE}\n" in format_status(STATUS)


def test_metrics() -> None:
    """The label is there, and empty."""
    text = generate_latest(metrics_registry(lambda: BLOCKING)).decode()
    sample = f'nsgd_rule_hits_total{{access="Deny",direction="Outbound",nsg="",rule="{RULE}"}} 12.0'
    assert sample in text


def test_lab() -> None:
    """Its hits are found under the name that the decision gives."""
    denied = TableDecision("", Direction.OUTBOUND, RULE, Access.DENY)
    assert decided_by(Decision(Access.DENY, Reason.RULE, (denied,))) == f"Outbound {RULE}"
    assert counted_hits(STATUS)["", "Outbound", RULE] == 12
    assert RULE in format_counters(STATUS)
