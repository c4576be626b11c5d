"""Metrics about flows that are open: how many, and what was done to them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from nsgd.observe.counted import OpenFlows
from nsgd.observe.families import counter, gauge
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


def open_flow_gauges(open_flows: OpenFlows | None, *, by_rule: bool) -> Iterator[Metric]:
    """None where they could not be counted."""
    if open_flows is None:
        return
    yield gauge(
        "nsgd_open_flows",
        "Flows in the connection table that carry a decision, as last counted.",
        open_flows.flows,
    )
    if not by_rule:
        return
    family = GaugeMetricFamily(
        "nsgd_rule_open_flows",
        "Open flows by the rule that they carry, on either side; no rule without such flows.",
        labels=("nsg", "direction", "rule", "access"),
    )
    for (group, direction, rule, access), count in open_flows.by_rule.items():
        family.add_metric((group, direction.value, rule, access.value), count)
    yield family
