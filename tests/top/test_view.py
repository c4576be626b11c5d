"""Rates, order, filters and groups of what the live view shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nsgd.top.view import Choice, DenialSort, RuleSort, View, group_denials, view
from tests.top.readings import DENIAL, LATER, LOG, OTHER, hits, reading

ALL = Choice()


def rules(found: View) -> list[tuple[str, float | None]]:
    """Names and rates."""
    return [(row.rule, row.per_s) for row in found.rules]


def test_a_rate_is_of_the_time_between() -> None:
    """Four hits in two seconds; a rule that is new counts from zero."""
    before = reading(0, ruleHits=hits(A=10, B=5))
    now = reading(2, ruleHits=hits(A=10, B=9, C=1))
    assert rules(view(now, before, ALL)) == [("B", 2.0), ("C", 0.5), ("A", 0.0)]


def test_without_a_reading_before_there_is_no_rate() -> None:
    """Nor across a restart, whose counts begin anew."""
    now = reading(2, ruleHits=hits(A=10, B=15))
    restarted = reading(0, startedAt="2020-01-01T00:00:00Z", ruleHits=hits(A=1))
    for before in (None, restarted):
        found = view(now, before, ALL)
        assert rules(found) == [("B", None), ("A", None)]
        assert found.seconds is found.allowed_per_s is found.denied_per_s is None


def test_counts_that_fall_are_no_negative_rate() -> None:
    """Somebody else made the table anew."""
    found = view(reading(1, ruleHits=hits(A=1)), reading(0, ruleHits=hits(A=10)), ALL)
    assert rules(found) == [("A", 0.0)]


@pytest.mark.parametrize(
    ("sort", "order"),
    [(RuleSort.RATE, "CBA"), (RuleSort.HITS, "BAC"), (RuleSort.NAME, "ABC")],
)
def test_order_of_rules(sort: RuleSort, order: str) -> None:
    """The key s goes through all three."""
    before = reading(0, ruleHits=hits(B=50, A=20, C=0))
    now = reading(1, ruleHits=hits(B=50, A=20, C=3))
    found = view(now, before, replace(ALL, rule_sort=sort))
    assert "".join(row.rule for row in found.rules) == order
    assert sort.next(has_bytes=False).next(has_bytes=False).next(has_bytes=False) is sort


def test_traffic_of_rules() -> None:
    """As the flow log's records have it; the key s comes to its order where there is one."""
    traffic = [{**row, "packets": 3, "bytes": 3 * row["hits"]} for row in hits(A=20, B=7)]
    now = reading(flowLog=LOG | {"ruleTraffic": traffic}, ruleHits=hits(B=50, A=20, DenyC=30))
    found = view(now, None, replace(ALL, rule_sort=RuleSort.BYTES))
    assert [(row.rule, row.packets, row.bytes) for row in found.rules] == [
        ("A", 3, 60),
        ("B", 3, 21),
        ("DenyC", None, None),
    ]
    order = [RuleSort.RATE]
    for _ in range(4):
        order.append(order[-1].next(has_bytes=True))
    assert order == [*RuleSort, RuleSort.RATE]
    assert RuleSort.BYTES.next(has_bytes=False) is RuleSort.NAME


def test_filters_of_rules() -> None:
    """By group without case, by an interface's groups, and those that deny."""
    rows = [*hits(A=1, DenyB=1), {**hits(C=1)[0], "networkSecurityGroup": None}]
    rows.append({**hits(D=1)[0], "networkSecurityGroup": "app"})
    now = reading(ruleHits=rows)
    of_nic = replace(now, groups_of_nic=frozenset({"app"}))
    assert [rule for rule, _ in rules(view(now, None, Choice("WEB")))] == ["A", "DenyB"]
    assert [rule for rule, _ in rules(view(of_nic, None, ALL))] == ["D"]
    assert [rule for rule, _ in rules(view(now, None, Choice(denies_only=True)))] == ["DenyB"]


def test_denials_in_groups() -> None:
    """Time and source port do not part them; the newest group comes first, or the largest."""
    newest_first = [LATER, OTHER, DENIAL]
    ssh, dns = group_denials(newest_first)
    assert (ssh.count, ssh.last, ssh.destination_port) == (2, LATER["time"], 22)
    assert (dns.count, dns.source) == (1, OTHER["source"])
    most = replace(ALL, denial_sort=DenialSort.COUNT)
    now = reading(0, OTHER | {"time": "2026-05-02T10:00:00.000Z"}, LATER, DENIAL)
    assert [row.count for row in view(now, None, ALL).denials] == [1, 2]
    assert [row.count for row in view(now, None, most).denials] == [2, 1]
    assert most.denial_sort.next() is DenialSort.TIME


def test_who_is_denied_most_is_denied_now() -> None:
    """A flood of yesterday comes after whoever was denied in the last ten minutes."""
    past = DENIAL | {"times": 5000, "timesLately": 0}
    present = OTHER | {"times": 3, "timesLately": 3}
    most = replace(ALL, denial_sort=DenialSort.COUNT)
    found = view(reading(0, past, present), None, most).denials
    assert [(row.lately, row.count) for row in found] == [(3, 3), (0, 5000)]


def test_flows_and_what_no_rule_denied() -> None:
    """Per second, by access and by reason."""

    def counts(allowed: int, denied: int, spoofed: int) -> dict[str, Any]:
        packets = reading().status["packets"]
        return {
            "flows": [
                {"direction": "Inbound", "access": "Allow", "reason": "rule", "flows": allowed},
                {"direction": "Inbound", "access": "Deny", "reason": "rule", "flows": denied},
            ],
            "packets": packets | {"denied": {"rule": denied, "spoofed": spoofed, "invalid": 0}},
        }

    found = view(reading(2, **counts(30, 5, 8)), reading(0, **counts(10, 1, 2)), ALL)
    assert (found.allowed_per_s, found.denied_per_s) == (10.0, 2.0)
    assert found.outside_rules == (("spoofed", 8, 3.0),)
