"""Everything that metrics and status show, at about one moment: values only.

All counts start with the daemon and only grow, except those of the queue, which the kernel starts
anew with each worker of that queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any

from nsgd.model.decision import Reason
from nsgd.model.rule import Access, Direction
from nsgd.observe.conntrack_state import ConntrackState, conntrack_as_json
from nsgd.observe.counted import DecisionTimes, OpenFlows
from nsgd.observe.flow_log_state import FlowLogState, flow_log_as_json
from nsgd.observe.refused_reload import RefusedReload, reloads_as_json
from nsgd.observe.service_tag_state import ServiceTagsState, service_tags_as_json

# What is counted of each network interface.
NIC_COUNTS = tuple(product(Direction, Access))


@dataclass(frozen=True, slots=True)
class RuleHits:
    """How often a security rule decided its network security group for a first packet."""

    network_security_group: str  # empty for a rule that stands ahead of all groups
    direction: Direction
    rule: str
    access: Access
    hits: int


@dataclass(frozen=True, slots=True)
class FlowCount:
    """Flows with one outcome; *direction* is Inbound where no rule was asked."""

    direction: Direction
    access: Access
    reason: Reason
    flows: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue of the kernel; counts are since the present worker bound it."""

    number: int
    length: int  # packets that wait now
    max_length: int
    dropped_full: int
    dropped_socket: int  # the worker's receive buffer was full
    packets_seen: int


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A queue's worker."""

    queue_number: int
    pid: int | None  # None while none serves the queue
    restarts: int
    queue: QueueState | None  # None where nobody reads it or its state cannot be read


@dataclass(frozen=True, slots=True)
class KernelDenials:
    """Packets that the kernel engine denied, by what the daemon learned of them."""

    told: int = 0
    untold: int = 0  # beyond the limits
    lost: int = 0  # logged and not read in time


@dataclass(frozen=True, slots=True)
class ForeignActs:
    """What other programs did to nftables."""

    table_changes: int = 0
    table_repairs: int = 0  # of nsgd's table, after these
    base_chains_deleted: int = 0  # of other tables; each drops what waits in queues


@dataclass(frozen=True, slots=True)
class AppliedState:
    """Policies that came by 'nsgd apply'."""

    counts: Mapping[str, int]  # by result: applied, confirmed, reverted, refused
    is_standing: bool = False  # documents stand in place of those of --config
    seconds_left: float | None = None  # until what is on trial is reverted; None: nothing is


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of the daemon. Keys of the mappings are closed sets."""

    version: str
    engine: str
    roles: tuple[str, ...]  # gateway, host, or both
    mode: str  # enforce or audit
    failure_mode: str  # closed or open
    generation: int
    policy_hash: str  # of the documents' bytes
    loaded_at_s: float  # unix time
    start_time_s: float  # unix time
    reloads_succeeded: int
    reloads_refused: int
    last_reload_succeeded: bool  # true before the first reload
    rule_hits: tuple[RuleHits, ...]
    flows: tuple[FlowCount, ...]
    denied_packets: Mapping[str, int]  # by reason
    unparsable_packets: Mapping[str, int]  # by Unparsable.value
    unmanaged_packets: Mapping[str, int]  # by verdict
    midstream_packets: int
    not_admitted_packets: Mapping[str, int]  # by what was used up
    queued_packets: int  # sent to the queue by our rules
    undecided_packets: int  # let through by failureMode open, nobody having decided
    failsafe_packets: int
    verdicts: Mapping[str, int]  # given by the workers
    adopted_flows: int
    reevaluated_flows: int
    cut_flows: int
    workers: tuple[WorkerSeen, ...]  # at least one, by the numbers of their queues
    foreign_marks: int
    table_owned: bool
    mark_mask: int
    service_tags: ServiceTagsState | None = None  # None where rules name none
    kernel_denials: KernelDenials = KernelDenials()
    foreign_acts: ForeignActs = ForeignActs()
    applied: AppliedState = AppliedState({})
    flow_log: FlowLogState | None = None  # None where flows are not logged
    conntrack: ConntrackState | None = None  # None where it cannot be read
    metrics_detail: str = "full"  # full, rules or summary
    # First packets of each interface, in the order of NIC_COUNTS; none where not counted.
    nics: Mapping[str, Sequence[int]] = field(default_factory=dict)
    decision_times: DecisionTimes | None = None
    open_flows: OpenFlows | None = None  # counted for scrapes only
    refused_reload: RefusedReload | None = None  # None unless the last one was refused


def snapshot_as_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot for programs, in the words of ``nsgd status -o json``."""
    seconds_left = snapshot.applied.seconds_left
    return {
        "state": "running",
        "version": snapshot.version,
        "engine": snapshot.engine,
        "roles": list(snapshot.roles),
        "mode": snapshot.mode,
        "failureMode": snapshot.failure_mode,
        "generation": snapshot.generation,
        "policyHash": snapshot.policy_hash,
        "startedAt": _iso_utc(snapshot.start_time_s),
        "loadedAt": _iso_utc(snapshot.loaded_at_s),
        "ruleHits": [
            {
                "networkSecurityGroup": entry.network_security_group or None,
                "direction": entry.direction.value,
                "rule": entry.rule,
                "access": entry.access.value,
                "hits": entry.hits,
            }
            for entry in snapshot.rule_hits
        ],
        "flows": [
            {
                "direction": entry.direction.value,
                "access": entry.access.value,
                "reason": entry.reason.value,
                "flows": entry.flows,
            }
            for entry in snapshot.flows
        ],
        "packets": {
            "queued": snapshot.queued_packets,
            "notAdmitted": dict(snapshot.not_admitted_packets),
            "passedUndecided": snapshot.undecided_packets,
            "failsafe": snapshot.failsafe_packets,
            "denied": dict(snapshot.denied_packets),
            "unparsable": dict(snapshot.unparsable_packets),
            "unmanaged": dict(snapshot.unmanaged_packets),
            "midstream": snapshot.midstream_packets,
            "verdicts": dict(snapshot.verdicts),
            "foreignMarks": snapshot.foreign_marks,
        },
        "kernelDenials": {
            "told": snapshot.kernel_denials.told,
            "untold": snapshot.kernel_denials.untold,
            "lost": snapshot.kernel_denials.lost,
        },
        "openFlows": {
            "adopted": snapshot.adopted_flows,
            "judgedAgain": snapshot.reevaluated_flows,
            "cut": snapshot.cut_flows,
        },
        # All of them as one: the first one's queue number and process, and sums.
        "queue": _queue_as_json(_all_queues(snapshot.workers)),
        "worker": {
            "up": all(worker.pid is not None for worker in snapshot.workers),
            "pid": snapshot.workers[0].pid,
            "restarts": sum(worker.restarts for worker in snapshot.workers),
        },
        "workers": [
            {
                "queueNumber": worker.queue_number,
                "up": worker.pid is not None,
                "pid": worker.pid,
                "restarts": worker.restarts,
                "queue": _queue_as_json(worker.queue),
            }
            for worker in snapshot.workers
        ],
        "reloads": reloads_as_json(
            snapshot.reloads_succeeded, snapshot.reloads_refused, snapshot.refused_reload
        )
        | {"lastSucceeded": snapshot.last_reload_succeeded},
        "table": {
            "owned": snapshot.table_owned,
            "markMask": f"{snapshot.mark_mask:#010x}",
            "changedByOthers": snapshot.foreign_acts.table_changes,
            "repaired": snapshot.foreign_acts.table_repairs,
            "foreignBaseChainsDeleted": snapshot.foreign_acts.base_chains_deleted,
        },
        "serviceTags": service_tags_as_json(snapshot.service_tags),
        "applied": {
            **snapshot.applied.counts,
            "standsInPlaceOfConfig": snapshot.applied.is_standing,
            "secondsToConfirm": None if seconds_left is None else round(seconds_left),
        },
        "flowLog": flow_log_as_json(snapshot.flow_log),
        "conntrack": conntrack_as_json(snapshot.conntrack),
        "metricsDetail": snapshot.metrics_detail,
        # Those that have counted something.
        "networkInterfaces": [
            {"name": name, **_nic_as_json(nic)} for name, nic in snapshot.nics.items() if any(nic)
        ],
    }


def _all_queues(workers: tuple[WorkerSeen, ...]) -> QueueState | None:
    queues = [worker.queue for worker in workers if worker.queue is not None]
    if len(queues) < len(workers):
        return None
    return QueueState(
        number=queues[0].number,
        length=sum(queue.length for queue in queues),
        max_length=sum(queue.max_length for queue in queues),
        dropped_full=sum(queue.dropped_full for queue in queues),
        dropped_socket=sum(queue.dropped_socket for queue in queues),
        packets_seen=sum(queue.packets_seen for queue in queues),
    )


def _nic_as_json(counts: Sequence[int]) -> dict[str, dict[str, int]]:
    made: dict[str, dict[str, int]] = {}
    for (direction, access), count in zip(NIC_COUNTS, counts, strict=True):
        made.setdefault(direction.value.lower(), {})[access.value.lower()] = count
    return made


def _queue_as_json(queue: QueueState | None) -> dict[str, Any] | None:
    if queue is None:
        return None
    return {
        "number": queue.number,
        "length": queue.length,
        "maxLength": queue.max_length,
        "droppedFull": queue.dropped_full,
        "droppedSocket": queue.dropped_socket,
        "packetsSeen": queue.packets_seen,
    }


def _iso_utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
