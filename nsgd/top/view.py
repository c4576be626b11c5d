"""What the live view shows, from two readings of the daemon: rates, denials in groups, filters.

Values only. A rate is that of the time between the readings; there is none across a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from enum import Enum
from typing import Any

from nsgd.top.health import Finding, findings

Status = Mapping[str, Any]


class RuleSort(Enum):
    """What stands first among the rules."""

    RATE = "rate"
    HITS = "hits"
    BYTES = "bytes"
    NAME = "name"

    def next(self, *, has_bytes: bool) -> RuleSort:
        """The one that the key *s* goes on to; without a flow log nobody knows bytes."""
        every = [each for each in RuleSort if has_bytes or each in (self, *_WITHOUT_BYTES)]
        return every[(every.index(self) + 1) % len(every)]


_WITHOUT_BYTES = (RuleSort.RATE, RuleSort.HITS, RuleSort.NAME)


class DenialSort(Enum):
    """What stands first among the denials."""

    TIME = "time"
    COUNT = "count"

    def next(self) -> DenialSort:
        """The other one."""
        return DenialSort.COUNT if self is DenialSort.TIME else DenialSort.TIME


@dataclass(frozen=True, slots=True)
class Reading:
    """What the daemon answered at one moment."""

    status: Status
    denials: Mapping[str, Any]  # of the verb ``denials``
    monotonic_s: float
    unix_s: float
    groups_of_nic: frozenset[str] | None = None  # None where no interface is asked for


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants to see."""

    network_security_group: str | None = None
    network_interface: str | None = None
    rule_sort: RuleSort = RuleSort.RATE
    denial_sort: DenialSort = DenialSort.TIME
    denies_only: bool = False


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A security rule, how often it decides, and what it let through."""

    network_security_group: str | None  # None for a rule that stands ahead of all groups
    direction: str
    rule: str
    access: str
    hits: int
    per_s: float | None  # None where there is no reading before
    # Both ways, of flows whose records name the rule; None where none are logged of it.
    packets: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DenialRow:
    """Recent denials that differ in time and source port only."""

    source: str
    destination: str
    destination_port: int | None
    protocol: str
    network_interface: str | None
    network_security_group: str | None
    direction: str
    rule: str
    lately: int  # that were told in the last ten minutes
    count: int  # in all
    last: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class View:
    """All that is shown of one moment."""

    reading: Reading
    seconds: float | None  # between the readings; None where there is one only
    rules: tuple[RuleRow, ...]
    denials: tuple[DenialRow, ...]
    allowed_per_s: float | None  # new flows
    denied_per_s: float | None
    outside_rules: tuple[tuple[str, int, float | None], ...]  # reason, packets, packets a second
    findings: tuple[Finding, ...]


def view(now: Reading, before: Reading | None, choice: Choice) -> View:
    """What to show of *now*, with rates since *before*."""
    if before is not None and before.status["startedAt"] != now.status["startedAt"]:
        before = None
    seconds = None if before is None else max(now.monotonic_s - before.monotonic_s, 1e-3)
    status, old = now.status, None if before is None else before.status

    def rate(count: int, count_before: int) -> float | None:
        # The kernel engine's counters can begin anew with its table.
        return None if seconds is None else max(0, count - count_before) / seconds

    hits = {} if old is None else {_rule(row): row["hits"] for row in old["ruleHits"]}
    traffic = _traffic(status)
    rules = [
        RuleRow(
            *_rule(row),
            row["hits"],
            rate(row["hits"], hits.get(_rule(row), 0)),
            *traffic.get(_rule(row), (None, None)),
        )
        for row in status["ruleHits"]
        if _is_meant(row, choice, now.groups_of_nic)
    ]
    rules.sort(key=lambda row: _rule_key(row, choice.rule_sort))
    denials = group_denials(now.denials["denials"])
    if choice.denial_sort is DenialSort.COUNT:
        denials.sort(key=most_first)
    outside = {"rule", "unsupportedProtocol"}
    denied, denied_before = _outside(status, outside), {} if old is None else _outside(old, outside)
    return View(
        now,
        seconds,
        tuple(rules),
        tuple(denials),
        rate(_flows(status, "Allow"), _flows(old, "Allow")),
        rate(_flows(status, "Deny"), _flows(old, "Deny")),
        tuple(
            (reason, count, rate(count, denied_before.get(reason, 0)))
            for reason, count in denied.items()
            if count
        ),
        tuple(findings(status, old)),
    )


def group_denials(rows: Iterable[Mapping[str, Any]]) -> list[DenialRow]:
    """Denials that differ in time and source port only become one; the newest come first.

    Args:
        rows: Of the verb ``denials``, newest first; the newest says how many were told.
    """
    found: dict[tuple[Any, ...], DenialRow] = {}
    for row in rows:
        one = DenialRow(
            row["source"],
            row["destination"],
            row["destinationPort"],
            row["protocol"],
            row["networkInterface"],
            row["networkSecurityGroup"],
            row["direction"],
            row["rule"],
            row["timesLately"],
            row["times"],
            row["time"],
        )
        found.setdefault(astuple(one)[:-3], one)
    return list(found.values())


def most_first(row: DenialRow) -> tuple[int, int]:
    """A key to sort by: who is denied most by now, and only then who was."""
    return -row.lately, -row.count


def _rule(row: Mapping[str, Any]) -> tuple[str | None, str, str, str]:
    return row["networkSecurityGroup"], row["direction"], row["rule"], row["access"]


def _traffic(status: Status) -> dict[tuple[str | None, str, str, str], tuple[int, int]]:
    """Packets and bytes of each rule, where flows are logged."""
    rows = (status.get("flowLog") or {}).get("ruleTraffic", ())
    return {_rule(row): (row["packets"], row["bytes"]) for row in rows}


def _is_meant(row: Mapping[str, Any], choice: Choice, groups_of_nic: frozenset[str] | None) -> bool:
    group = (row["networkSecurityGroup"] or "").casefold()
    wanted = choice.network_security_group
    return (
        (wanted is None or group == wanted.casefold())
        and (groups_of_nic is None or group in groups_of_nic)
        and not (choice.denies_only and row["access"] != "Deny")
    )


def _rule_key(row: RuleRow, sort: RuleSort) -> tuple[Any, ...]:
    name = (row.network_security_group or "").casefold(), row.direction, row.rule.casefold()
    if sort is RuleSort.NAME:
        return name
    rate = row.per_s or 0.0 if sort is RuleSort.RATE else 0.0
    size = row.bytes or 0 if sort is RuleSort.BYTES else 0
    return (-rate, -size, -row.hits, *name)


def _flows(status: Status | None, access: str) -> int:
    if status is None:
        return 0
    return sum(row["flows"] for row in status["flows"] if row["access"] == access)


def _outside(status: Status, rules: set[str]) -> dict[str, int]:
    denied: Mapping[str, int] = status["packets"]["denied"]
    return {reason: count for reason, count in denied.items() if reason not in rules}
