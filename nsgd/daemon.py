"""Builds the daemon: the only file that joins concrete kernel objects with the runtime."""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nsgd
from nsgd.config.problem import ConfigRefused
from nsgd.kernel.conntrack import FlowTable
from nsgd.kernel.error import KernelError
from nsgd.kernel.links import LinkMonitor
from nsgd.kernel.queue import read_queue_counters
from nsgd.kernel.table import NftTable
from nsgd.model.decision import Reason
from nsgd.model.settings import OnStop
from nsgd.observe.metrics import start_metrics_server
from nsgd.observe.snapshot import FlowCount, QueueState, RuleHits, Snapshot, snapshot_as_json
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.chains import QueueRule
from nsgd.ruleset.gateway import fail_closed_ruleset, gateway_ruleset
from nsgd.ruleset.objects import Ruleset
from nsgd.runtime import counters as cell
from nsgd.runtime.control import ControlServer
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.state import StateError
from nsgd.runtime.supervisor import Supervisor
from nsgd.runtime.worker_process import WorkerError
from nsgd.wire.conntrack import ConntrackEntry

log = logging.getLogger("nsgd")

SOCKET_NAME = "nsgd.sock"
EXIT_FAILED = 1
EXIT_CONFIG = 3
EXIT_PERMISSION = 5


class GatewayTable:
    """The kernel's table, written from loaded policies."""

    def __init__(self, table: NftTable) -> None:
        self._table = table
        self._has_queue_statement: bool | None = None
        self._written: Ruleset | None = None

    @property
    def is_owned(self) -> bool:
        """Tell whether others are kept from changing the table."""
        return self._table.is_owned

    def install(self, loaded: LoadedPolicy, *, adopting: bool = False) -> None:
        """Write the ruleset of a policy, unless the kernel holds it already."""
        settings = loaded.settings
        try:
            if self._has_queue_statement is None:
                self._has_queue_statement = self._table.has_queue_statement()
            rule = QueueRule(settings.queue_number, self._has_queue_statement)
            desired = gateway_ruleset(loaded.model, settings, rule, adopting=adopting)
            if desired != self._written:
                self._table.apply(desired)
                self._written = desired
        except KernelError as error:
            hint = ""
            if error.number == errno.EPERM:
                hint = "; another process owns the table, or CAP_NET_ADMIN is missing"
            raise RefusedByKernel(f"the kernel refused the ruleset: {error}{hint}") from error

    def remove(self) -> bool:
        """Delete the table."""
        return self._table.remove()


class KernelFlows:
    """The kernel's connection table, its refusals told as the runtime knows them."""

    def __init__(self) -> None:
        self._table = FlowTable()

    def entries(self) -> list[ConntrackEntry]:
        """Every flow."""
        try:
            return self._table.entries()
        except KernelError as error:
            raise RefusedByKernel(f"the connection table cannot be read: {error}") from error

    def set_marks(self, entries: Iterable[ConntrackEntry], mark: int, mask: int) -> int:
        """Change bits of marks."""
        try:
            return self._table.set_marks(entries, mark, mask)
        except KernelError as error:
            raise RefusedByKernel(f"flows cannot be marked: {error}") from error


class Observer:
    """Collects what metrics and status show."""

    def __init__(self, supervisor: Supervisor, table: GatewayTable) -> None:
        self._supervisor = supervisor
        self._table = table
        # Reading needs no ownership, and a scrape must not wait for a transaction's answer.
        self._reader = NftTable()
        self._started_s = time.time()

    def close(self) -> None:
        """Close the reading socket."""
        self._reader.close()

    def collect(self) -> Snapshot:
        """Everything at about one moment; called from the loop and from scrapes."""
        supervisor = self._supervisor
        with supervisor.lock:
            loaded, counters = supervisor.loaded, supervisor.counters
            if loaded is None or counters is None:
                raise RuntimeError("no policy is in force yet")
            try:
                kernel = self._reader.read_counters()
            except KernelError as error:
                log.warning("counters of the table cannot be read: %s", error)
                kernel = {}
            cells = counters.cells
            settings = loaded.settings
            rule_hits = tuple(
                RuleHits(group, direction, rule, access, counters.hits(direction, number))
                for direction in DIRECTIONS
                for (group, rule, access), number in loaded.numbers.by_direction[direction].items()
                if (group, direction, rule, access) in self._rules_in_force(loaded)
                or counters.hits(direction, number)
            )
            unmanaged_dropped = kernel.get("unmanaged_dropped", 0) + cells[cell.UNMANAGED_DROPPED]
            denied = {
                reason.value: cells[index]
                for reason, index in cell.DENIED.items()
                if reason not in (Reason.UNMANAGED, Reason.NO_NSG)
            }
            denied |= {
                "spoofed": kernel.get("spoofed", 0),
                "invalid": kernel.get("invalid", 0),
                "relatedUndecided": kernel.get("related_undecided", 0),
                "unmanaged": unmanaged_dropped,
                "internalError": cells[cell.INTERNAL_ERRORS],
            }
            queue = read_queue_counters(settings.queue_number)
            return Snapshot(
                version=nsgd.__version__,
                engine="queue",
                generation=supervisor.generation,
                policy_hash=loaded.content_hash,
                loaded_at_s=supervisor.loaded_at_s,
                start_time_s=self._started_s,
                reloads_succeeded=supervisor.reloads_succeeded,
                reloads_refused=supervisor.reloads_refused,
                last_reload_succeeded=supervisor.last_reload_succeeded,
                rule_hits=rule_hits,
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
                queued_packets=kernel.get("queued", 0),
                verdicts={"accept": cells[cell.ACCEPTED], "drop": cells[cell.DROPPED]},
                queue=None
                if queue is None
                else QueueState(
                    number=settings.queue_number,
                    length=queue.waiting,
                    max_length=settings.queue_length,
                    dropped_full=queue.dropped_full,
                    dropped_socket=queue.dropped_socket,
                    packets_seen=queue.packets_seen,
                ),
                worker_up=supervisor.worker_pid is not None,
                worker_restarts=supervisor.worker_restarts,
                worker_pid=supervisor.worker_pid,
                foreign_marks=kernel.get("foreign_mark", 0),
                table_owned=self._table.is_owned,
                mark_mask=settings.mark_mask,
            )

    def _rules_in_force(self, loaded: LoadedPolicy) -> set[tuple[Any, ...]]:
        if self._cached_for is not loaded:
            self._cached_for = loaded
            self._cached = {
                (table.network_security_group, table.direction, decision.rule, decision.access)
                for table in loaded.policy.tables
                for decision in map(table.decision, range(len(table.rule_names)))
            }
        return self._cached

    _cached_for: LoadedPolicy | None = None
    _cached: set[tuple[Any, ...]] = set()  # noqa: RUF012


def _configure_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="nsgd: %(levelname)s: %(message)s"
    )


def run(config_files: Sequence[Path], runtime_dir: Path, state_dir: Path) -> int:
    """Run the daemon in the foreground until it is told to stop; returns the exit status."""
    _configure_logging()
    try:
        nft = NftTable()
    except KernelError as error:
        log.error("%s; nsgd needs CAP_NET_ADMIN", error)
        return EXIT_PERMISSION
    with nft:
        return _run(nft, config_files, runtime_dir, state_dir)


def _run(nft: NftTable, config_files: Sequence[Path], runtime_dir: Path, state_dir: Path) -> int:
    table = GatewayTable(nft)
    supervisor = Supervisor(config_files, state_dir, table, KernelFlows())
    observer = Observer(supervisor, table)
    links = LinkMonitor()
    control = None
    metrics = None
    try:
        runtime_dir.mkdir(parents=True, exist_ok=True)
        control = ControlServer(
            runtime_dir / SOCKET_NAME,
            {
                "status": lambda request: snapshot_as_json(observer.collect()),
                "reload": lambda request: {
                    "generation": supervisor.reload(reevaluate=request.get("reevaluate") is True)
                },
                "stop": lambda request: _stop(supervisor, request),
            },
            write_verbs=frozenset({"reload", "stop"}),
        )
        supervisor.start()

        def links_changed() -> None:
            links.drain()
            supervisor.links_changed()

        supervisor.loop.watch(links, links_changed)
        settings = supervisor.settings
        metrics = start_metrics_server(
            settings.metrics_host, settings.metrics_port, observer.collect
        )
        log.info("metrics at http://%s:%d/metrics", settings.metrics_host, metrics.port)
        supervisor.loop.watch(control, control.handle)
        supervisor.run(tick=lambda: None)
    except ConfigRefused as error:
        for problem in error.problems:
            log.error("%s", problem)
        log.error("not started, %d problems in the documents", len(error.problems))
        return EXIT_CONFIG
    except (StateError, WorkerError, RefusedByKernel, OSError) as error:
        log.error("not started: %s", error)
        return EXIT_FAILED
    finally:
        if metrics is not None:
            metrics.close()
        if control is not None:
            control.close()
        supervisor.close()
        observer.close()
        links.close()
    return 0


def _stop(supervisor: Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    remove = request.get("removeRules") is True
    supervisor.request_stop(remove_rules=remove)
    removed = remove or supervisor.settings.on_stop is OnStop.REMOVE
    rules = "rules are removed: traffic passes unfiltered"
    return {"stopping": True, "rules": rules if removed else supervisor.rules_that_stay()}


def boot(config_files: Sequence[Path]) -> int:
    """Load a policy's rules without a worker; where that fails, rules that forward nothing.

    New flows are then dropped, or follow failureMode, until the daemon takes the table over.
    """
    _configure_logging()
    status = 0
    with NftTable() as nft:
        table = GatewayTable(nft)
        try:
            loaded = load_policy(config_files, DecisionNumbers(), None)
            table.install(loaded)
        except (ConfigRefused, RefusedByKernel) as error:
            for problem in error.problems if isinstance(error, ConfigRefused) else (error,):
                log.error("%s", problem)
            log.error("the policy is not loaded: nothing is forwarded until nsgd runs")
            nft.apply(fail_closed_ruleset())
            status = EXIT_CONFIG if isinstance(error, ConfigRefused) else EXIT_FAILED
        else:
            log.info("rules loaded, no daemon yet: %s", loaded.summary)
    return status


def remove_rules() -> bool:
    """Delete a table that no running daemon owns. Raises KernelError; False where there is none."""
    with NftTable() as table:
        return table.remove()
