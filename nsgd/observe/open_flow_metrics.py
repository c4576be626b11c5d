"""Metrics about what was done to flows that are open."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from nsgd.observe.families import counter
from nsgd.observe.snapshot import Snapshot


def open_flow_metrics(snapshot: Snapshot) -> Iterator[Metric]:
    """Adopted, judged again, cut."""
    yield counter(
        "nsgd_adopted_flows",
        "Flows that were open before the first start and go on without a rule's decision.",
        (),
        [((), snapshot.adopted_flows)],
    )
    yield counter(
        "nsgd_reevaluated_flows",
        "Open flows whose decision was taken back, to be judged again with their next packet.",
        (),
        [((), snapshot.reevaluated_flows)],
    )
    yield counter(
        "nsgd_cut_flows",
        "Open flows that an operator ended with 'nsgd flows cut'.",
        (),
        [((), snapshot.cut_flows)],
    )
