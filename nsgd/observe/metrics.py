"""All metrics of nsgd, made from a snapshot at each scrape; nothing is counted here.

Label values are names from the documents or closed sets, never anything taken from a packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from nsgd.observe.applied_metrics import applied_metrics
from nsgd.observe.conntrack_metrics import conntrack_metrics
from nsgd.observe.decision_metrics import decision_metrics
from nsgd.observe.families import by, counter, gauge
from nsgd.observe.flow_log_metrics import flow_log_metrics
from nsgd.observe.flow_metrics import flow_metrics
from nsgd.observe.metrics_server import MetricsServer
from nsgd.observe.nic_metrics import nic_metrics
from nsgd.observe.open_flow_metrics import open_flow_gauges
from nsgd.observe.service_tag_metrics import service_tag_metrics
from nsgd.observe.snapshot import Snapshot
from nsgd.observe.worker_metrics import worker_metrics

_SUMMARY = "summary"


class SnapshotCollector(Collector):
    """Turns each snapshot into metrics."""

    def __init__(self, collect: Callable[[], Snapshot]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        """Metrics of a fresh snapshot."""
        snapshot = self._collect()
        by_rule = snapshot.metrics_detail != _SUMMARY
        yield from _daemon(snapshot)
        yield from flow_metrics(snapshot, by_rule=by_rule)
        yield from _packets(snapshot)
        yield from worker_metrics(snapshot.workers)
        yield from decision_metrics(snapshot.decision_times)
        yield from conntrack_metrics(snapshot.conntrack)
        yield from service_tag_metrics(snapshot.service_tags)
        yield from applied_metrics(snapshot.applied)
        yield from open_flow_gauges(snapshot.open_flows, by_rule=by_rule)
        yield from flow_log_metrics(snapshot.flow_log, by_rule=by_rule)
        yield from nic_metrics(snapshot.nics)


def metrics_registry(collect: Callable[[], Snapshot]) -> CollectorRegistry:
    """Our metrics, and memory, CPU and descriptors of this process."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(collect))
    ProcessCollector(registry=registry)
    return registry


def start_metrics_server(
    host: str,
    port: int,
    collect: Callable[[], Snapshot],
    timeout_s: float = 10.0,
    after_large: Callable[[], None] = lambda: None,
) -> MetricsServer:
    """Serve ``/metrics`` from a thread.

    Args:
        host: Address or name to listen on.
        port: TCP port; 0 takes a free one, which the server's *port* then names.
        collect: Called at each scrape, from the scrape's own thread.
        timeout_s: A client that is silent for longer is cut off.
        after_large: Called once a large answer has gone, from the scrape's own thread.

    Raises:
        OSError: It cannot listen there; the text names the address.
    """
    registry = metrics_registry(collect)
    return MetricsServer(host, port, registry, timeout_s, after_large=after_large)


def _daemon(snapshot: Snapshot) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "nsgd_build",
        "Version, engine and roles of the running daemon; always 1.",
        value={
            "version": snapshot.version,
            "engine": snapshot.engine,
            "roles": ",".join(snapshot.roles),
        },
    )
    yield InfoMetricFamily(
        "nsgd_policy",
        "Hash of the documents in force, as the log and 'nsgd status' show it; always 1.",
        value={"hash": snapshot.policy_hash},
    )
    for name, help_text, states, current in (
        ("nsgd_mode", "1 for the mode that is set.", ("enforce", "audit"), snapshot.mode),
        (
            "nsgd_failure_mode",
            "1 for the failure mode that is set.",
            ("closed", "open"),
            snapshot.failure_mode,
        ),
    ):
        family = GaugeMetricFamily(name, help_text, labels=("mode",))
        for state in states:
            family.add_metric((state,), state == current)
        yield family
    yield gauge(
        "nsgd_start_time_seconds",
        "When the daemon started, in unix time.",
        snapshot.start_time_s,
    )
    yield gauge(
        "nsgd_policy_generation",
        "Number of the policy in force: 1 at the start, one more with each successful reload.",
        snapshot.generation,
    )
    yield gauge(
        "nsgd_config_last_reload_successful",
        "Whether the last reload came into force; 0 means that an older policy still decides.",
        snapshot.last_reload_succeeded,
    )
    yield gauge(
        "nsgd_config_last_reload_success_timestamp_seconds",
        "When the policy in force was loaded, in unix time.",
        snapshot.loaded_at_s,
    )
    yield counter(
        "nsgd_reloads",
        "Reloads since the daemon started, by result; the first load is not one.",
        ("result",),
        [(("succeeded",), snapshot.reloads_succeeded), (("refused",), snapshot.reloads_refused)],
    )
    yield gauge(
        "nsgd_table_owned",
        "Whether the kernel keeps other programs from changing the nftables table.",
        snapshot.table_owned,
    )


def _packets(snapshot: Snapshot) -> Iterator[Metric]:
    yield by(
        "nsgd_denied_packets",
        "Packets that nsgd dropped, by reason, or in audit mode would have;"
        " not those lost from a full queue.",
        "reason",
        snapshot.denied_packets,
    )
    yield by(
        "nsgd_unparsable_packets",
        "Packets dropped because a header could not be read, by the part that is at fault.",
        "reason",
        snapshot.unparsable_packets,
    )
    yield by(
        "nsgd_unmanaged_packets",
        "Packets of traffic that touches nothing declared, by what the setting did to them.",
        "verdict",
        snapshot.unmanaged_packets,
    )
    yield counter(
        "nsgd_queued_packets",
        "Packets that the kernel's rules sent to the queues; less the verdicts and the waiting,"
        " these are the packets lost there.",
        (),
        [((), snapshot.queued_packets)],
    )
    yield by(
        "nsgd_not_admitted_packets",
        "Packets that open flows and were not queued, since too many came: beyond the rate of their"
        " source, or of sources that have none of their own. They follow the failure mode.",
        "reason",
        snapshot.not_admitted_packets,
    )
    yield counter(
        "nsgd_passed_undecided_packets",
        "Later packets of open flows that passed because nobody was there to decide; first packets"
        " are the queued less the verdicts and the waiting.",
        (),
        [((), snapshot.undecided_packets)],
    )
    yield counter(
        "nsgd_failsafe_packets",
        "Packets that passed as failsafe traffic, ahead of every rule.",
        (),
        [((), snapshot.failsafe_packets)],
    )
    yield by(
        "nsgd_verdicts",
        "Packets that the workers answered, by verdict.",
        "verdict",
        snapshot.verdicts,
    )
    yield counter(
        "nsgd_foreign_marks",
        "Packets that came with a mark like a decision's, which was cleared:"
        " another program uses bits of the mask.",
        (),
        [((), snapshot.foreign_marks)],
    )
    yield by(
        "nsgd_kernel_denials",
        "Packets that the kernel engine denied: told to the daemon, untold beyond the limits of"
        " their rule, or lost on the way.",
        "result",
        {
            "told": snapshot.kernel_denials.told,
            "untold": snapshot.kernel_denials.untold,
            "lost": snapshot.kernel_denials.lost,
        },
    )
    acts = snapshot.foreign_acts
    yield counter(
        "nsgd_table_changed_by_others",
        "Times that another program changed nsgd's nftables table.",
        (),
        [((), acts.table_changes)],
    )
    yield counter(
        "nsgd_table_repairs",
        "Times that the table was written anew after that.",
        (),
        [((), acts.table_repairs)],
    )
    yield counter(
        "nsgd_foreign_base_chains_deleted",
        "Base chains that other programs deleted; the kernel drops what waits in queues then.",
        (),
        [((), acts.base_chains_deleted)],
    )
