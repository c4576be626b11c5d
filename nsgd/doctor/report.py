"""Checks as aligned text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from nsgd.doctor.check import SEVERITY, Check, State
from nsgd.observe.text import format_table


def worst(checks: Sequence[Check]) -> State:
    """The most serious state of all."""
    return max((check.state for check in checks), key=SEVERITY.index, default=State.OK)


def checks_as_text(checks: Sequence[Check]) -> str:
    """A line for each check, and one for what to do."""
    rows: list[tuple[str, str, str]] = []
    for check in checks:
        rows.append((check.state.value, check.name, check.found))
        if check.fix:
            rows.append(("", "", f"-> {check.fix}"))
    counts = Counter(check.state for check in checks)
    summary = ", ".join(
        f"{counts[state]} {state.value}" for state in reversed(SEVERITY) if counts[state]
    )
    return f"{format_table(rows, right=())}\n\n{summary}"


def checks_as_json(checks: Sequence[Check]) -> str:
    """For programs; names of checks and states are kept from release to release."""
    return json.dumps(
        {
            "state": worst(checks).value,
            "checks": [
                {
                    "name": check.name,
                    "state": check.state.value,
                    "found": check.found,
                    "fix": check.fix or None,
                }
                for check in checks
            ],
        },
        indent=2,
    )
