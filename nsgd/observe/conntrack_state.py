"""The room of the connection table, as JSON and in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ConntrackState:
    """Flows in this network namespace's table, the most there may be, and packets without room."""

    entries: int
    limit: int
    dropped: int


def conntrack_as_json(state: ConntrackState | None) -> dict[str, int] | None:
    """For programs."""
    if state is None:
        return None
    return {"entries": state.entries, "limit": state.limit, "dropped": state.dropped}


def conntrack_line(state: Mapping[str, Any]) -> str:
    """For people, from the JSON form."""
    line = f"{state['entries']} of at most {state['limit']} flows"
    if state["dropped"]:
        line += f"; {state['dropped']} packets dropped for want of room"
    return line
