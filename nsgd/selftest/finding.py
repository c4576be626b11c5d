"""What a self-test found, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class State(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "skipped"  # what it needs failed before


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; *engine* and *failure_mode* are empty where neither plays a part."""

    check: str
    state: State
    detail: str = ""
    engine: str = ""
    failure_mode: str = ""


def format_findings(findings: Sequence[Finding]) -> str:
    """A line each, and the sum."""
    rows = [
        (each.state.value, each.engine or "-", each.failure_mode or "-", each.check, each.detail)
        for each in findings
    ]
    head = ("State", "Engine", "Mode", "Check", "")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        + (f"  {row[4]}" if row[4] else "")
        for row in (head, *rows)
    ]
    passed = sum(each.state is State.PASSED for each in findings)
    return "\n".join((*(line.rstrip() for line in lines), "", f"{passed} of {len(rows)} passed"))


def findings_as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """For programs."""
    return {
        "passed": all(each.state is State.PASSED for each in findings),
        "checks": [
            {
                "check": each.check,
                "state": each.state.value.lower(),
                "engine": each.engine or None,
                "failureMode": each.failure_mode or None,
                "detail": each.detail,
            }
            for each in findings
        ],
    }
