"""What an operator should know of a daemon's health, as the page says it too: the worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from nsgd.health.judge import Check, checks

Status = Mapping[str, Any]


class Level(IntEnum):
    """How bad it is."""

    PROBLEM = 0  # something is wrong, or not as it was asked for
    NOTE = 1  # to be looked at


_LEVELS = {"bad": Level.PROBLEM, "warn": Level.NOTE}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, what it means, and what to do about it."""

    level: Level
    text: str


def findings(status: Status, before: Status | None = None) -> list[Finding]:
    """Everything that is not well; what was lost since *before* is told apart.

    Args:
        status: What snapshot_as_json returns.
        before: The same a moment earlier, of the same start of the daemon.
    """
    old = {} if before is None else {check.name: check.count for check in checks(before)}
    found = [
        Finding(_LEVELS[check.kind], _text(check, old.get(check.name, check.count)))
        for check in checks(status)
        if check.kind in _LEVELS
    ]
    return sorted(found, key=lambda finding: finding.level)


def _text(check: Check, count_before: int) -> str:
    since = check.count - count_before
    just_now = f", {since} just now" if since > 0 else ""
    way_out = f". {check.way_out}" if check.way_out else ""
    return f"{check.name}: {check.text}{just_now}{way_out}"
