"""One listed rule as a row of text, for a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.answers.ports import ports_as_text


def rule_row(rule: Mapping[str, Any], source: str, destination: str) -> tuple[str, ...]:
    """A rule as the answers have it, with its sides as text."""
    return (
        rule["direction"],
        str(rule["priority"]),
        rule["name"],
        rule["access"],
        rule["protocol"],
        source,
        ports_as_text(rule["sourcePortRanges"]),
        destination,
        ports_as_text(rule["destinationPortRanges"]),
    )
