"""Metrics of the connection table's room."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from nsgd.observe.conntrack_state import ConntrackState
from nsgd.observe.families import counter, gauge


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
