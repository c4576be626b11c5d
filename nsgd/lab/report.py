"""The lab's report: one table of what was expected and observed, then the daemon's counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.lab.traffic import Observation, Observed
from nsgd.model.rule import Access

_PASSES = {Access.ALLOW: Observed.ANSWERED, Access.DENY: Observed.NO_ANSWER}


@dataclass(frozen=True, slots=True)
class Row:
    """One probe with what was expected of it; *decided_by* is for the reader only."""

    observation: Observation
    expected: Access
    decided_by: str

    @property
    def is_match(self) -> bool:
        """Tell whether the wire showed what was expected: an answer, or silence."""
        return self.observation.observed is _PASSES[self.expected]


def format_rows(rows: Sequence[Row], *, only_failures: bool = False) -> str:
    """The table; rows of the two families that say the same are one."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if only_failures and row.is_match:
            continue
        probe, observed = row.observation.probe, row.observation
        detail = f" ({observed.detail})" if observed.detail else ""
        cells = (
            probe.sender.name,
            probe.receiver.name,
            probe.service.name,
            row.expected.value,
            f"{observed.observed.value}{detail}",
            row.decided_by,
            "" if row.is_match else "MISMATCH",
        )
        merged.setdefault(cells, []).append(f"{probe.version}")
    if not merged:
        return "no mismatch"
    heading = ("From", "To", "Service", "IP", "Expected", "On the wire", "Decided by", "")
    lines = [(*cells[:3], "+".join(versions), *cells[3:]) for cells, versions in merged.items()]
    return format_table([heading, *lines])


def format_table(lines: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def format_counters(status: Mapping[str, Any]) -> str:
    """What the daemon counted: rules that were hit, flows, and its other numbers."""
    hits = [
        (
            str(entry["networkSecurityGroup"] or "-"),
            str(entry["direction"]),
            str(entry["rule"]),
            str(entry["access"]),
            str(entry["hits"]),
        )
        for entry in status.get("ruleHits", ())
        if entry["hits"]
    ]
    parts = [
        format_table(
            [("Network security group", "Direction", "Rule", "Access", "Hits"), *sorted(hits)]
        )
    ]
    flows = [
        tuple(str(entry.get(key)) for key in ("direction", "access", "reason", "flows"))
        for entry in status.get("flows", ())
    ]
    if flows:
        parts.append(format_table([("Direction", "Access", "Reason", "Flows"), *flows]))
    for section in ("packets", "queue"):
        numbers = ", ".join(f"{name} {number}" for name, number in _numbers(status.get(section)))
        if numbers:
            parts.append(f"{section}: {numbers}")
    return "\n\n".join(parts)


def _numbers(section: object, prefix: str = "") -> Iterator[tuple[str, int]]:
    """The numbers other than 0 at any depth, by dotted name."""
    for name, value in section.items() if isinstance(section, dict) else ():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int) and value:
            yield f"{prefix}{name}", value


def rows_as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The table for programs."""
    return [
        {
            "from": row.observation.probe.sender.name,
            "to": row.observation.probe.receiver.name,
            "service": row.observation.probe.service.name,
            "ipVersion": row.observation.probe.version,
            "expected": row.expected.value,
            "observed": row.observation.observed.value,
            "detail": row.observation.detail,
            "decidedBy": row.decided_by,
            "isMatch": row.is_match,
        }
        for row in rows
    ]
