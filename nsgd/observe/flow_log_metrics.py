"""Metrics of the flow log; none where flows are not logged."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from nsgd.observe.families import by, counter, gauge
from nsgd.observe.flow_log_state import FlowLogState

_RULE_LABELS = ("nsg", "direction", "rule", "access")


def flow_log_metrics(state: FlowLogState | None, *, by_rule: bool) -> Iterator[Metric]:
    """How it fares, and traffic by rule as its records have it."""
    if state is None:
        return
    yield gauge("nsgd_flow_log_up", "Whether the flow log's process runs.", state.pid is not None)
    yield gauge("nsgd_flow_log_open_flows", "Flows that the flow log follows.", state.open_flows)
    yield gauge("nsgd_flow_log_waiting_records", "Records that are not written yet.", state.waiting)
    yield gauge(
        "nsgd_flow_log_last_write_timestamp_seconds",
        "When a record was last written, in unix time; 0 before the first.",
        state.last_write_s,
    )
    yield by(
        "nsgd_flow_log_records",
        "Flow records by what became of them: written, or lost as the files could not be written,"
        " as nobody read the pipe, or as maxBytes leaves no room.",
        "result",
        state.records,
    )
    for name, help_text, value in (
        ("restarts", "Processes of the flow log started in place of one that ended.", "restarts"),
        (
            "events_lost",
            "Begins and ends of flows that the kernel told and that were not read in time.",
            "events_lost",
        ),
        ("resyncs", "Times that the open flows were looked up after such a loss.", "resyncs"),
        (
            "flows_begun_unseen",
            "Flows whose begin was not told: it was logged when they were found.",
            "begun_unseen",
        ),
        (
            "flows_ended_unseen",
            "Flows whose end was not told: their last packets are in no record.",
            "ended_unseen",
        ),
        (
            "flows_not_followed",
            "Flows that began while as many were followed as can be: only their ends are logged.",
            "not_followed",
        ),
        (
            "denials_missed",
            "Denied packets that were told faster than they could be logged.",
            "denials_missed",
        ),
    ):
        yield counter(f"nsgd_flow_log_{name}", help_text, (), [((), getattr(state, value))])
    if not by_rule:
        return
    rules = [
        (
            (each.network_security_group, each.direction.value, each.rule, each.access.value),
            each.packets,
            each.bytes,
        )
        for each in state.rule_traffic
    ]
    yield counter(
        "nsgd_rule_packets",
        "Packets of flows, both ways, by the rule that their flow records name: the last to allow"
        " on either side. Counted when they are logged.",
        _RULE_LABELS,
        ((labels, packets) for labels, packets, _ in rules),
    )
    yield counter(
        "nsgd_rule_bytes",
        "Bytes of the same packets, with IP headers.",
        _RULE_LABELS,
        ((labels, count) for labels, _, count in rules),
    )
