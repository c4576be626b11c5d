"""The room of the connection table: as metrics, as JSON, and in a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import Metric

from nsgd.observe.families import counter, gauge


@dataclass(frozen=True, slots=True)
class ConntrackState:
    """Flows in this network namespace's table, the most there may be, and packets without room."""

    entries: int
    limit: int
    dropped: int


def conntrack_metrics(state: ConntrackState | None) -> Iterator[Metric]:
    """None where it cannot be read."""
    if state is None:
        return
    yield gauge(
        "nsgd_conntrack_entries",
        "Flows in the kernel's connection table of this network namespace.",
        state.entries,
    )
    yield gauge(
        "nsgd_conntrack_entries_limit",
        "Flows that the table may hold; the kernel drops the first packets of others.",
        state.limit,
    )
    yield counter(
        "nsgd_conntrack_dropped",
        "Packets that the kernel dropped ahead of every rule since it has no room for their flows,"
        " since the network namespace was made.",
        (),
        [((), state.dropped)],
    )


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
