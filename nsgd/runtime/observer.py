"""Collects what metrics and status show, at about one moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import add

import nsgd
from nsgd.model.decision import Reason
from nsgd.model.settings import DaemonRole
from nsgd.observe.conntrack_state import ConntrackState
from nsgd.observe.counted import DecisionTimes
from nsgd.observe.service_tag_state import ServiceTagsState
from nsgd.observe.snapshot import (
    AppliedState,
    FlowCount,
    ForeignActs,
    KernelDenials,
    QueueState,
    RuleHits,
    Snapshot,
    WorkerSeen,
)
from nsgd.policy.numbers import DIRECTIONS
from nsgd.ruleset.admission import BEYOND_SOURCE_RATE, BEYOND_SOURCES
from nsgd.ruleset.telling import UNTOLD
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.flow_log.state import flow_log_state
from nsgd.runtime.kernel_counts import KernelCounts, KernelNicCounts
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flow_count import OpenFlowCount
from nsgd.runtime.rules_in_force import RulesInForce
from nsgd.runtime.supervisor import Supervisor
from nsgd.runtime.table_guard import TableGuard
from nsgd.runtime.trial import Trial

# Reasons that deny nothing.
_NOT_DENIALS = (Reason.UNMANAGED, Reason.NO_NSG)


class Observer:
    """Reads the workers' counters, the kernel's and the supervisor's state."""

    def __init__(
        self,
        supervisor: Supervisor,
        kernel_counters: Callable[[], Mapping[str, int]],
        queue_state: Callable[[int, int], QueueState | None],
        is_table_owned: Callable[[], bool],
        conntrack: Callable[[], ConntrackState | None] = lambda: None,
        marks: Callable[[], Mapping[int, int]] = dict,
    ) -> None:
        """Observe a supervisor.

        Args:
            supervisor: The one that runs.
            kernel_counters: Packets by name of the table's counters; empty where unreadable.
            queue_state: State of a queue by its number and configured length.
            is_table_owned: Whether others are kept from changing the table.
            conntrack: The room of the connection table.
            marks: How many flows have each conntrack mark. Raises RefusedByKernel.
        """
        self._supervisor = supervisor
        self._kernel_counters = kernel_counters
        self._queue_state = queue_state
        self._is_table_owned = is_table_owned
        self._conntrack = conntrack
        self._started_s = time.time()
        self._open_flows = OpenFlowCount(marks)
        self._kernel_counts = KernelCounts()
        self._kernel_nic_counts = KernelNicCounts()
        self._rules: RulesInForce | None = None  # of the policy at the last reading

    def scrape(self) -> Snapshot:
        """One reading with the open flows, which with many of them takes seconds."""
        snapshot = self.collect()
        return replace(snapshot, open_flows=self._open_flows.get(self._supervisor.in_force()))

    def collect(self) -> Snapshot:
        """One reading; called from the loop and from scrapes."""
        supervisor = self._supervisor
        with supervisor.lock:
            loaded, areas = supervisor.loaded, supervisor.counters
            if loaded is None or not areas:
                raise RuntimeError("no policy is in force yet")
            kernel = self._kernel_counters()
            settings = loaded.settings
            # What was queued, then what waits, then verdicts: so nothing is missed among them that
            # was decided in between.
            workers = tuple(
                WorkerSeen(
                    worker.queue_number,
                    worker.pid,
                    worker.restarts,
                    self._queue_state(worker.queue_number, settings.queue_length),
                )
                for worker in supervisor.worker_states
            )
            cells, counters = SharedCounters.sum(areas), areas[0]
            self._kernel_counts.add(cells, kernel, loaded.numbers, counters)
            if self._rules is None or self._rules.of is not loaded:
                self._rules = RulesInForce(loaded)
            in_force, passing = self._rules.all, self._rules.passing
            unmanaged_dropped = kernel.get("unmanaged_dropped", 0) + cells[cell.UNMANAGED_DROPPED]
            denied = {
                reason.value: cells[index]
                for reason, index in cell.DENIED.items()
                if reason not in _NOT_DENIALS
            }
            denied |= {
                "spoofed": kernel.get("spoofed", 0),
                "invalid": kernel.get("invalid", 0),
                "cut": kernel.get("cut", 0),
                "relatedUndecided": kernel.get("related_undecided", 0),
                "unmanaged": unmanaged_dropped,
                "internalError": cells[cell.INTERNAL_ERRORS],
            }
            return Snapshot(
                version=nsgd.__version__,
                engine=settings.engine.value,
                roles=tuple(role.value for role in DaemonRole if role in settings.roles),
                mode=settings.mode.value,
                failure_mode=settings.failure_mode.value,
                generation=supervisor.generation,
                policy_hash=loaded.content_hash,
                loaded_at_s=supervisor.loaded_at_s,
                start_time_s=self._started_s,
                reloads_succeeded=supervisor.reloads_succeeded,
                reloads_refused=supervisor.reloads_refused,
                last_reload_succeeded=supervisor.refused_reload is None,
                refused_reload=supervisor.refused_reload,
                rule_hits=tuple(
                    RuleHits(group, direction, rule, access, hits)
                    for direction in DIRECTIONS
                    for (group, rule, access), number in loaded.numbers.by_direction[
                        direction
                    ].items()
                    for hits in (cells[counters.first_hit_cell(direction) + number],)
                    if hits or in_force[direction][number]
                ),
                flows=tuple(
                    FlowCount(direction, access, reason, cells[index])
                    for (direction, access, reason), index in cell.FLOWS.items()
                    if cells[index]
                ),
                denied_packets=denied,
                unparsable_packets={
                    reason.value: cells[index] for reason, index in cell.UNPARSABLE.items()
                },
                unmanaged_packets={
                    "accept": kernel.get("unmanaged_accepted", 0) + cells[cell.UNMANAGED_ACCEPTED],
                    "drop": unmanaged_dropped,
                },
                midstream_packets=cells[cell.MIDSTREAM],
                not_admitted_packets={
                    "sourceRate": kernel.get(BEYOND_SOURCE_RATE, 0),
                    "sources": kernel.get(BEYOND_SOURCES, 0),
                },
                queued_packets=kernel.get("queued", 0),
                undecided_packets=kernel.get("undecided_passed", 0),
                failsafe_packets=kernel.get("failsafe", 0),
                verdicts={"accept": cells[cell.ACCEPTED], "drop": cells[cell.DROPPED]},
                adopted_flows=supervisor.open_flows.adopted + kernel.get("adopted", 0),
                reevaluated_flows=supervisor.open_flows.judged_again,
                cut_flows=supervisor.open_flows.cut,
                workers=workers,
                foreign_marks=kernel.get("foreign_mark", 0),
                table_owned=self._is_table_owned(),
                mark_mask=settings.mark_mask,
                service_tags=_service_tags(loaded),
                kernel_denials=KernelDenials(
                    supervisor.told.denials.told,
                    kernel.get(UNTOLD, 0),
                    supervisor.told.denials.lost,
                ),
                applied=_applied(supervisor.trial),
                foreign_acts=_foreign_acts(supervisor.guard),
                conntrack=self._conntrack(),
                flow_log=flow_log_state(
                    supervisor.told.flow_log, settings.flow_log, loaded.numbers, passing
                ),
                metrics_detail=settings.metrics_detail.value,
                nics=self._nics(areas, kernel),
                decision_times=_decision_times(cells),
            )

    def _nics(
        self, areas: Sequence[SharedCounters], kernel: Mapping[str, int]
    ) -> Mapping[str, Sequence[int]]:
        slots = self._supervisor.nic_slots.by_name
        counts, *others = (area.nic_counts(slots) for area in areas)
        for other in others:
            counts = {name: list(map(add, counts[name], other[name])) for name in slots}
        self._kernel_nic_counts.add(counts, kernel, slots)
        return counts


def _decision_times(cells: Sequence[int]) -> DecisionTimes:
    bounds, first = cell.DECISION_BOUNDS_NS, cell.DECISIONS_TIMED
    return DecisionTimes(bounds, cells[first : first + len(bounds) + 1], cells[cell.DECISION_NS])


def _applied(trial: Trial) -> AppliedState:
    return AppliedState(dict(trial.counts), trial.is_standing, trial.seconds_left)


def _foreign_acts(guard: TableGuard | None) -> ForeignActs:
    if guard is None:
        return ForeignActs()
    return ForeignActs(guard.changes, guard.repairs, guard.base_chains)


def _service_tags(loaded: LoadedPolicy) -> ServiceTagsState | None:
    file = loaded.tag_file
    if file is None:
        return None
    return ServiceTagsState(
        cloud=file.cloud,
        change_number=file.change_number,
        age_s=max(0.0, time.time() - file.installed_at_s),
        is_previous=file.is_previous,
        prefixes={tag.name: len(tag.prefixes) for tag in loaded.model.service_tags},
    )
