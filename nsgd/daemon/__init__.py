"""Builds the daemon: the only file that joins concrete kernel objects with the runtime."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nsgd.config.problem import ConfigRefused
from nsgd.daemon.adapters import (
    FlowBegins,
    GatewayTable,
    KernelFlows,
    TableMonitor,
    open_log_group,
)
from nsgd.daemon.readings import read_conntrack_state, read_counters, read_queue_state
from nsgd.kernel.error import KernelError
from nsgd.kernel.links import LinkMonitor
from nsgd.kernel.table import NftTable
from nsgd.model.settings import Engine, OnStop
from nsgd.observe.metrics import start_metrics_server
from nsgd.observe.snapshot import snapshot_as_json
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.gateway import fail_closed_ruleset
from nsgd.ruleset.guarded import Guarded
from nsgd.ruleset.telling import UNTOLD
from nsgd.runtime.collection import give_back, keep_together
from nsgd.runtime.conntrack_watch import ConntrackWatch
from nsgd.runtime.control import ControlServer
from nsgd.runtime.control_wire import SOCKET_NAME
from nsgd.runtime.flow_list import FlowLister
from nsgd.runtime.guarded_file import load_guarded
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.loop import END_SIGNALS, EndedEarly
from nsgd.runtime.notify import Notifier
from nsgd.runtime.observer import Observer
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.policy_in_force import PolicyTeller
from nsgd.runtime.policy_loader import PolicyLoader
from nsgd.runtime.says import closed_until_then, rules_that_stay
from nsgd.runtime.standing_documents import StandingDocuments
from nsgd.runtime.state import StateError, load_numbers, save_numbers
from nsgd.runtime.supervisor import Supervisor
from nsgd.runtime.tag_store import InstalledTags
from nsgd.runtime.worker_process import WorkerError

log = logging.getLogger("nsgd")

EXIT_FAILED = 1
EXIT_CONFIG = 3
EXIT_PERMISSION = 5


def _configure_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="nsgd: %(levelname)s: %(message)s"
    )


def run(
    config_files: Sequence[Path],
    runtime_dir: Path,
    state_dir: Path,
    tags: InstalledTags,
    parameters: Sequence[Path] = (),
) -> int:
    """Run the daemon in the foreground until it is told to stop; returns the exit status.

    Documents, *parameters* for templates among them, and service tags are read at each reload.
    """
    _configure_logging()
    keep_together()
    # No document is read yet: this start is the reload that is asked for.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        nft = NftTable()
    except KernelError as error:
        log.error("%s; nsgd needs CAP_NET_ADMIN", error)
        return EXIT_PERMISSION
    with nft:
        return _run(nft, config_files, runtime_dir, state_dir, tags, parameters)


def _run(
    nft: NftTable,
    config_files: Sequence[Path],
    runtime_dir: Path,
    state_dir: Path,
    tags: InstalledTags,
    parameters: Sequence[Path],
) -> int:
    table, flows = GatewayTable(nft), KernelFlows()
    supervisor = Supervisor(
        config_files,
        state_dir,
        table,
        flows,
        Notifier.from_environment(),
        tags,
        parameters,
        open_log_group,
    )
    # Reading needs no ownership, and a scrape must not wait for a transaction's answer.
    reader = NftTable()
    lister = FlowLister(flows, supervisor.open_flows, supervisor.in_force)
    conntrack = ConntrackWatch(read_conntrack_state)
    supervisor.loop.at_ticks(conntrack.tend)
    observer = Observer(
        supervisor,
        partial(read_counters, reader),
        read_queue_state,
        lambda: table.is_owned,
        conntrack.read,
        flows.marks,
    )
    teller = PolicyTeller(supervisor)
    links = LinkMonitor()
    control = None
    metrics = None
    monitor = None
    try:
        try:
            runtime_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            way_out = "name a directory that can be written"
            raise OSError(f"--runtime-dir {runtime_dir}: {error.strerror}; {way_out}") from error
        control = ControlServer(
            runtime_dir / SOCKET_NAME,
            {
                "status": lambda request: snapshot_as_json(observer.collect()),
                "policy": lambda request: teller.answer(),
                "reload": lambda request: {
                    "generation": supervisor.reload(reevaluate=request.get("reevaluate") is True)
                },
                "stop": lambda request: _stop(supervisor, request),
                "apply": supervisor.trial.apply,
                "confirm": supervisor.trial.confirm,
                "flows": lister.list_flows,
                "cutFlows": lister.cut_flows,
                "monitor": supervisor.told.monitor,
                "denials": lambda request: supervisor.told.list_denials(request, supervisor.loaded),
            },
            write_verbs=frozenset({"reload", "stop", "apply", "confirm", "cutFlows"}),
        )
        # From here on documents may have been read before they were changed.
        supervisor.loop.note(signal.SIGHUP)
        # What can fail without touching traffic comes before what touches it.
        settings = supervisor.prepare()
        metrics = start_metrics_server(
            settings.metrics_host, settings.metrics_port, observer.scrape, after_large=give_back
        )
        # An end in the middle would leave what was written, or rules that settings.on_stop removes.
        supervisor.loop.note(*END_SIGNALS)
        supervisor.start()
        log.info("metrics at http://%s:%d/metrics", settings.metrics_host, metrics.port)

        def links_changed() -> None:
            links.drain()
            supervisor.links_changed()

        supervisor.loop.watch(links, links_changed)
        # Only now: for a listener the kernel announces each element of each map that is written,
        # which takes as long as writing them.
        monitor = TableMonitor(nft)
        supervisor.watch_table(monitor)
        untold = partial(_untold, supervisor, reader)
        supervisor.told.let_monitor(supervisor.in_force, FlowBegins, untold, control.feed)
        supervisor.loop.watch(control, control.handle)
        supervisor.loop.at_ticks(control.tend)
        supervisor.run()
    except ConfigRefused as error:
        for problem in error.problems:
            log.error("%s", problem)
        count = len(error.problems)
        log.error("not started, %d problem%s", count, "" if count == 1 else "s")
        return EXIT_CONFIG
    except EndedEarly:
        log.info("ended while it started: the rules in the kernel stay as they were")
    except (StateError, WorkerError, RefusedByKernel, KernelError, OSError) as error:
        log.error("%s: %s", "ended" if supervisor.has_served else "not started", error)
        return EXIT_FAILED
    finally:
        if metrics is not None:
            metrics.close()
        if control is not None:
            control.close()
        supervisor.close()
        reader.close()
        links.close()
        if monitor is not None:
            monitor.close()
    return 0


def _untold(supervisor: Supervisor, reader: NftTable) -> int:
    try:
        with supervisor.lock:
            return reader.read_counter(UNTOLD)
    except KernelError as error:
        log.warning("denials that are not told cannot be counted: %s", error)
        return 0


def _stop(supervisor: Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    remove = request.get("removeRules") is True
    supervisor.request_stop(remove_rules=remove)
    removed = remove or supervisor.settings.on_stop is OnStop.REMOVE
    rules = "rules are removed: traffic passes unfiltered"
    return {"stopping": True, "rules": rules if removed else rules_that_stay(supervisor.settings)}


def boot(
    config_files: Sequence[Path],
    state_dir: Path,
    tags: InstalledTags,
    parameters: Sequence[Path] = (),
) -> int:
    """Load a policy's rules without a worker; where that fails, rules that forward nothing.

    What is for the worker is then dropped, or follows failureMode, until the daemon takes the table
    over. That is every new flow where the kernel engine cannot have the decision numbers.
    """
    _configure_logging()
    status = 0
    with NftTable() as nft:
        table = GatewayTable(nft)
        try:
            loaded = _load_for_boot(config_files, state_dir, tags, parameters)
            table.install(loaded, is_served=False)
        except (ConfigRefused, StateError, RefusedByKernel) as error:
            for problem in error.problems if isinstance(error, ConfigRefused) else (error,):
                log.error("%s", problem)
            try:
                guarded = _guarded_last(state_dir)
                nft.apply(fail_closed_ruleset(guarded, nft.epoch()))
            except KernelError as refusal:
                log.error("nor is anything closed: %s", refusal)
                return EXIT_FAILED
            log.error("the policy is not loaded: %s until nsgd runs", closed_until_then(guarded))
            status = EXIT_CONFIG if isinstance(error, ConfigRefused) else EXIT_FAILED
        else:
            log.info("rules loaded, no daemon yet: %s", loaded.summary)
    return status


def _guarded_last(state_dir: Path) -> Guarded:
    try:
        return load_guarded(state_dir)
    except StateError as error:
        # Whether this machine is a host, nobody can tell; closed as a gateway it can be repaired.
        log.error("%s", error)
        return Guarded()


def _load_for_boot(
    config_files: Sequence[Path], state_dir: Path, tags: InstalledTags, parameters: Sequence[Path]
) -> LoadedPolicy:
    """Load a policy with the numbers that a daemon will go on with."""
    numbers, refusal = DecisionNumbers(), None
    try:
        numbers = load_numbers(state_dir)
    except StateError as error:
        refusal = error
    standing = StandingDocuments(config_files, parameters, state_dir)
    loaded = PolicyLoader(config_files, parameters, standing, tags).load(numbers, None)
    try:
        is_numbering = loaded.settings.engine is Engine.KERNEL and loaded.numbers != numbers
        if is_numbering and refusal is None:
            save_numbers(state_dir, loaded.numbers)
    except StateError as error:
        refusal = error
    if refusal is None:
        return loaded
    # Marks with numbers that nobody knows would be taken for other rules' later.
    log.error("%s: every new flow waits for the daemon", refusal)
    return replace(loaded, settings=replace(loaded.settings, engine=Engine.QUEUE))


def remove_rules() -> bool:
    """Delete a table that no running daemon owns; False where there is none.

    Raises PermissionError and RefusedByKernel, whose texts say why.
    """
    try:
        with NftTable() as table:
            return table.remove()
    except KernelError as error:
        if error.number in (errno.EPERM, errno.EACCES):
            hint = "this needs CAP_NET_ADMIN, and no running daemon may own the table"
            raise PermissionError(f"{error}; {hint}") from error
        raise RefusedByKernel(str(error)) from error
