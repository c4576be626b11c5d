"""The supervisor: one policy in force, one worker alive, one table in the kernel.

It never touches a packet. A reload is one kernel transaction and one hand-over; whatever goes
wrong on the way leaves the old policy in force.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from nsgd.config.problem import ConfigRefused
from nsgd.model.settings import DaemonSettings, OnStop
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.adoption import AdoptionWindow
from nsgd.runtime.audit_log import AuditLog
from nsgd.runtime.beside import do_beside
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.flows import Flows
from nsgd.runtime.link_follower import LinkFollower
from nsgd.runtime.load import LoadedBefore, LoadedPolicy, load_policy
from nsgd.runtime.loop import Loop
from nsgd.runtime.notify import Notifier
from nsgd.runtime.open_flows import OpenFlows, RefusedByKernel
from nsgd.runtime.policy_table import PolicyTable, TableWatch
from nsgd.runtime.says import refusal_lines, rules_that_stay, state_line
from nsgd.runtime.state import StateError, has_started, load_numbers, note_start, save_numbers
from nsgd.runtime.table_guard import TableGuard
from nsgd.runtime.tag_store import InstalledTags
from nsgd.runtime.tag_watch import TagWatch
from nsgd.runtime.told_denials import LogReader, ToldDenials
from nsgd.runtime.worker_keeper import WorkerKeeper
from nsgd.runtime.worker_policy import WorkerPolicy

log = logging.getLogger("nsgd")
_T = TypeVar("_T")


class Supervisor:
    """Owns the policy in force and the worker."""

    def __init__(
        self,
        paths: Sequence[Path],
        state_directory: Path,
        table: PolicyTable,
        flows: Flows,
        notifier: Notifier,
        tags: InstalledTags,
        parameters: Sequence[Path] = (),
        open_log_group: Callable[[int], LogReader | None] = lambda group: None,
    ) -> None:
        self._notifier = notifier
        self._tags = TagWatch(tags, state_directory)
        self.open_flows = OpenFlows(flows, state_directory)
        self._adoption = AdoptionWindow(self._install_again)
        self._audit_log: AuditLog | None = None
        self._paths, self._parameters = paths, parameters
        self._read_documents = LoadedBefore()
        self._state_directory = state_directory
        self._table = table
        self.loop = Loop()
        self._keeper = WorkerKeeper(self.loop)
        self.denials = ToldDenials(self.loop, open_log_group)
        self.guard: TableGuard | None = None
        self._links = LinkFollower(self.loop, self._install_again)
        self._prepared: tuple[LoadedPolicy, bool] | None = None
        self._remove_rules = self.has_served = False
        self.lock = threading.Lock()  # a scrape reads while the loop changes
        self.loaded: LoadedPolicy | None = None
        self.counters: SharedCounters | None = None
        self.generation = 0
        self.loaded_at_s = 0.0
        self.reloads_succeeded = self.reloads_refused = 0
        self.last_reload_succeeded = True

    @property
    def settings(self) -> DaemonSettings:
        """Settings in force. Raises RuntimeError before the first start."""
        return self.in_force().settings

    def in_force(self) -> LoadedPolicy:
        """The policy in force. Raises RuntimeError before the first start."""
        if self.loaded is None:
            raise RuntimeError("no policy is in force yet")
        return self.loaded

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return self._keeper.pid

    @property
    def worker_restarts(self) -> int:
        """Workers started in place of others."""
        return self._keeper.restarts

    def prepare(self) -> DaemonSettings:
        """Load the first policy; nothing is started or changed.

        Raises:
            ConfigRefused, StateError: The documents or the state directory are at fault.
        """
        is_first = not has_started(self._state_directory)
        loaded = self._load(load_numbers(self._state_directory), None)
        self._prepared = loaded, is_first
        return loaded.settings

    def start(self) -> None:
        """Bring the prepared policy into force.

        The worker comes before the rules: from the first queued packet on somebody answers.

        Raises:
            StateError, WorkerError, RefusedByKernel: The rules in the kernel are what they were.
        """
        if self._prepared is None:
            raise RuntimeError("no policy was prepared")
        loaded, is_first = self._prepared
        self.counters = SharedCounters.create(MarkLayout(loaded.settings.mark_mask).capacity)
        self._audit_log = AuditLog(self.counters, self.denials)
        self.loaded = loaded
        self.generation = 1
        made = self._beside(partial(self._for_worker, loaded))
        self._keeper.start(loaded.settings, self.counters, made)
        # Numbers before the rules that use them, marks before the rules that read them.
        save_numbers(self._state_directory, loaded.numbers)
        window_s = self.open_flows.at_start(loaded, is_first=is_first)
        self._beside(partial(self._table.install, loaded, adopting=window_s > 0))
        self.denials.follow(loaded.settings)
        note_start(self._state_directory)
        self._tags.in_force(loaded)
        self._adoption.open(window_s)
        self.has_served = True
        self.loaded_at_s = time.time()
        log.info("policy 1 in force: %s", loaded.summary)
        self._notifier.ready(self._state())

    def reload(self, *, reevaluate: bool = False) -> int:
        """Read all documents again and bring them into force.

        Args:
            reevaluate: Judge every open flow again, by its original direction.

        Returns:
            The new generation.

        Raises:
            ConfigRefused, StateError, RefusedByKernel: The old policy stays.
        """
        self._notifier.reloading()
        try:
            return self._reload(reevaluate=reevaluate)
        except (ConfigRefused, StateError, RefusedByKernel) as error:
            with self.lock:
                self.reloads_refused += 1
                self.last_reload_succeeded = False
            for line in refusal_lines(error, self.generation):
                log.error("%s", line)
            raise
        finally:
            self._notifier.ready(self._state())

    def _state(self) -> str:
        return state_line(self.settings, self.generation, self.last_reload_succeeded)

    def _reload(self, *, reevaluate: bool) -> int:
        previous = self.in_force()
        loaded = self._load(previous.numbers, previous.settings)
        if loaded.numbers != previous.numbers:
            save_numbers(self._state_directory, loaded.numbers)
        self.open_flows.before_reload(previous, loaded)
        install = partial(self._table.install, adopting=self._adoption.is_open)
        self._beside(partial(install, loaded))
        with self.lock:
            self.loaded = loaded
            self.generation += 1
            self.loaded_at_s = time.time()
            self.reloads_succeeded += 1
            self.last_reload_succeeded = True
        self.denials.follow(loaded.settings)
        self._keeper.hand_over(self._beside(partial(self._for_worker, loaded)))
        self._tags.in_force(loaded)
        # After the worker: what it decided by the old policy is in the table by now.
        self.open_flows.after_reload(previous, loaded, everything=reevaluate)
        log.info("policy %d in force: %s", self.generation, loaded.summary)
        return self.generation

    def _load(self, numbers: DecisionNumbers, running: DaemonSettings | None) -> LoadedPolicy:
        read = self._read_documents, self._tags, self._parameters
        return self._beside(partial(load_policy, self._paths, numbers, running, *read))

    def _beside(self, work: Callable[[], _T]) -> _T:
        """What takes long is done while the worker and the watchdog are looked after."""
        return do_beside(work, self._stay_alive)

    def _for_worker(self, loaded: LoadedPolicy) -> bytes:
        made = WorkerPolicy.build(self.generation, loaded.policy, loaded.numbers, loaded.settings)
        return made.to_bytes()

    # The loop

    def _stay_alive(self) -> None:
        self._keeper.tend()
        self._notifier.tend(is_alive=self._keeper.is_alive)

    def watch_table(self, watch: TableWatch) -> None:
        """Notice what others do to the table from now on, and undo it."""
        self.guard = TableGuard(self.loop, watch, self._table, self._install_again)
        self.guard.start()

    def links_changed(self) -> None:
        """Links or routes changed: names and the way inwards are looked up again."""
        self._keeper.links_changed()
        self._links.changed()

    def request_stop(self, *, remove_rules: bool) -> None:
        """Leave the loop after what is under way."""
        self._remove_rules = remove_rules
        self.loop.stop()

    def run(self) -> None:
        """Serve until asked to stop."""

        def look_around() -> None:
            self._stay_alive()
            self._links.tend()
            self._follow_tags()
            self._adoption.tend()
            self.open_flows.tend()
            self._table.tidy()
            if self.guard is not None:
                self.guard.tend()
            if self._audit_log is not None and self.loaded is not None:
                self._audit_log.tick(self.loaded)

        self.loop.run(
            {
                signal.SIGHUP: self._reload_on_signal,
                signal.SIGTERM: lambda: self.request_stop(remove_rules=False),
                signal.SIGINT: lambda: self.request_stop(remove_rules=False),
            },
            look_around,
        )

    def close(self) -> None:
        """End the worker; remove the rules where that was asked for, else leave them in force."""
        if self.has_served and self.settings.on_stop is OnStop.REMOVE:
            self._remove_rules = True
        if self._remove_rules:
            # First the rules: packets that still wait in the queue may yet be decided, and none
            # comes after them.
            try:
                self._table.remove()
                log.info("rules removed: traffic passes unfiltered")
            except RefusedByKernel as error:
                log.error("%s; the rules stay in place", error)
        elif self.has_served and self.loaded is not None:
            # Nobody will end the adoption or follow the routes any more.
            try:
                self._table.install(self.loaded, is_served=False)
            except RefusedByKernel as error:
                log.error("%s; the rules stay as they were", error)
        self._keeper.stop()
        self.denials.close()
        if self.has_served and not self._remove_rules:
            log.info("%s", rules_that_stay(self.settings))
        self.loop.close()
        if self.counters is not None:
            self.counters.close()

    def _reload_on_signal(self) -> None:
        try:
            self.reload()
        except (ConfigRefused, StateError, RefusedByKernel):
            return  # logged and counted

    def _follow_tags(self) -> None:
        """Reload where another service tags file is installed than the policy was made from."""
        cloud = self._tags.changed(time.monotonic())
        if cloud is not None:
            log.info("the service tags file of %s has changed: reloading", cloud)
            self._reload_on_signal()

    def _install_again(self) -> bool:
        """Write what the kernel should hold of the policy in force."""
        if self.loaded is None:
            return False
        try:
            self._table.install(self.loaded, adopting=self._adoption.is_open)
        except RefusedByKernel as error:
            log.error("%s; the rules in the kernel stay as they were", error)
            return False
        return True
