"""The supervisor: one policy in force, its workers alive, one table in the kernel.

It never touches a packet. A reload is one kernel transaction and one hand-over; whatever goes
wrong on the way leaves the old policy in force.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from nsgd.config.document import Document
from nsgd.config.problem import ConfigRefused
from nsgd.model.settings import DaemonSettings, OnStop
from nsgd.observe.refused_reload import RefusedReload
from nsgd.runtime.adoption import AdoptionWindow
from nsgd.runtime.beside import Beside
from nsgd.runtime.collection import collecting_rarely
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.ending import leave_rules, remove_rules
from nsgd.runtime.flows import Flows
from nsgd.runtime.link_follower import LinkFollower
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.loop import END_SIGNALS, Loop
from nsgd.runtime.nic_slots import NicSlots
from nsgd.runtime.notify import Notifier
from nsgd.runtime.open_flows import OpenFlows, RefusedByKernel
from nsgd.runtime.policy_handover import HandOver, HandOverMaker
from nsgd.runtime.policy_loader import PolicyLoader
from nsgd.runtime.policy_table import PolicyTable, TableWatch, install_again
from nsgd.runtime.says import problems_of, refusal_lines, rules_that_stay, state_line
from nsgd.runtime.standing_documents import StandingDocuments
from nsgd.runtime.state import StateError, has_started, load_numbers, note_start, numbers_saver
from nsgd.runtime.table_guard import TableGuard
from nsgd.runtime.tag_store import InstalledTags
from nsgd.runtime.tag_watch import TagWatch
from nsgd.runtime.told import Told
from nsgd.runtime.told_denials import LogReader
from nsgd.runtime.trial import Trial
from nsgd.runtime.workers import Workers, WorkerState

log = logging.getLogger("nsgd")


class Supervisor:
    """Owns the policy in force and the workers."""

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
        standing = StandingDocuments(paths, parameters, state_directory)
        self._loader = PolicyLoader(paths, parameters, standing, self._tags)
        self.trial = Trial(self, standing)
        self._state_directory, self._save_numbers = state_directory, numbers_saver(state_directory)
        self._table = table
        self.loop = Loop()
        self._workers = Workers(self.loop)
        # A worker that dies during a long load is replaced at once too.
        self._beside = Beside(self._stay_alive, lambda: self._workers.exit_descriptors)
        self.told = Told(self.loop, open_log_group, state_directory)
        self.open_flows.marked = self.told.flow_log.marked
        self.guard: TableGuard | None = None
        self._links = LinkFollower(self.loop, self._install_again)
        self._prepared: tuple[LoadedPolicy, bool] | None = None
        self._remove_rules = self.has_served = False
        self.lock = threading.Lock()  # a scrape reads while the loop changes
        self.loaded: LoadedPolicy | None = None
        self.nic_slots, self._hand_overs = NicSlots(), HandOverMaker()
        self.generation = self.reloads_succeeded = self.reloads_refused = 0
        self.loaded_at_s = 0.0
        self.refused_reload: RefusedReload | None = None  # the last one, where it was refused

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
    def worker_states(self) -> Sequence[WorkerState]:
        """The worker of each queue."""
        return self._workers.states

    @property
    def counters(self) -> Sequence[SharedCounters]:
        """What each worker and those before it have counted."""
        return self._workers.counters

    def prepare(self) -> DaemonSettings:
        """Load the first policy; nothing is started or changed.

        Raises:
            ConfigRefused, StateError: The documents or the state directory are at fault.
        """
        load = partial(self._loader.load, load_numbers(self._state_directory), None)
        self._prepared = self._beside.do(load), not has_started(self._state_directory)
        return self._prepared[0].settings

    def start(self) -> None:
        """Bring the prepared policy into force.

        What is beside the rules in force is written while the workers start. They serve before
        rules change: from the first queued packet on somebody answers.

        Raises:
            StateError, WorkerError, RefusedByKernel, EndedEarly: Rules stay, but if *has_served*.
        """
        assert self._prepared is not None, "prepare() comes first"
        loaded, is_first = self._prepared
        self._workers.open(loaded.settings)
        self._workers.keep_spare()  # it loads its code meanwhile, and becomes the first worker
        self.told.begin(self.counters)
        self.loaded, self.generation = loaded, 1
        window_s = self.open_flows.window_s(loaded.settings, is_first=is_first)
        self._beside.do(loaded.make_trees)
        with ExitStack() as told:

            def serve() -> None:
                self._workers.start(self._for_workers(loaded))
                told.enter_context(self.told.coming(loaded))

            def number(served: Callable[[], None]) -> None:
                served()
                self.loop.go_on()
                # Numbers before the rules that use them, marks before the rules that read them.
                self._save_numbers(loaded.numbers)
                self.open_flows.at_start(loaded, is_first=is_first)

            write = partial(self._table.install, loaded, adopting=window_s > 0)
            self._beside.do_with(lambda s: write(before_switch=partial(number, s)), serve)
            self.has_served, self.loaded_at_s = True, time.time()  # rules end as onStop says
        note_start(self._state_directory)
        self._tags.in_force(loaded)
        self._adoption.open(window_s)
        self.trial.started()
        log.info("policy 1 in force: %s", loaded.summary)
        self._notifier.ready(self._state())

    def reload(self, *, reevaluate: bool = False) -> int:
        """Read all documents again and bring them into force; returns the new generation.

        *reevaluate*: judge every open flow again, by its original direction.

        Raises:
            ConfigRefused, StateError, RefusedByKernel: The old policy stays.
        """
        return self._reload(None, reevaluate)

    def _reload(self, given: Sequence[Document] | None, reevaluate: bool) -> int:
        with collecting_rarely(), self._notifier.reload(self._state):
            try:
                if given is None:
                    self.trial.require_none()
                generation = self._load_and_change(given, reevaluate)
            except (ConfigRefused, StateError, RefusedByKernel) as error:
                with self.lock:
                    self.reloads_refused += 1
                    self.refused_reload = RefusedReload.of(problems_of(error), time.time())
                for line in refusal_lines(error, self.generation):
                    log.error("%s", line)
                raise
            self.trial.settle()
            with self.lock:
                self.reloads_succeeded += 1
                self.refused_reload = None
            return generation

    def bring_into_force(self, documents: Sequence[Document], *, reevaluate: bool) -> int:
        """As reload(), of these documents; not counted as one."""
        with collecting_rarely(), self._notifier.reload(self._state):
            return self._load_and_change(documents, reevaluate)

    def go_back(self, before: LoadedPolicy, *, reevaluate: bool) -> int:
        """Bring a policy into force again. Raises as reload()."""
        previous = self.in_force()
        self.open_flows.before_going_back(previous, before)
        return self._change(previous, replace(before, numbers=previous.numbers), reevaluate)

    def _state(self) -> str:
        return state_line(self.settings, self.generation, self.refused_reload is None)

    def _load_and_change(self, given: Sequence[Document] | None, reevaluate: bool) -> int:
        previous = self.in_force()
        known = previous.numbers, previous.settings
        loaded = self._beside.do(partial(self._loader.load, *known, given))
        if loaded.numbers != previous.numbers:
            self._save_numbers(loaded.numbers)
        self.open_flows.before_reload(previous, loaded)
        return self._change(previous, loaded, reevaluate)

    def _change(self, previous: LoadedPolicy, loaded: LoadedPolicy, reevaluate: bool) -> int:
        with self.told.coming(loaded, previous):
            self._beside.do(partial(self._table.install, loaded, adopting=self._adoption.is_open))
        with self.lock:
            self.loaded = loaded
            self.generation += 1
            self.loaded_at_s = time.time()
        made = self._beside.do(partial(self._for_workers, loaded))
        self._workers.hand_over(made, self._stay_alive)
        self._tags.in_force(loaded)
        # After the workers: what they decided by the old policy is in the table by now.
        self.open_flows.after_reload(previous, loaded, everything=reevaluate)
        log.info("policy %d in force: %s", self.generation, loaded.summary)
        return self.generation

    def _for_workers(self, loaded: LoadedPolicy) -> HandOver:
        parts = loaded.policy, loaded.numbers, loaded.settings
        slots = self.nic_slots.of(loaded, self.counters)
        return self._hand_overs.of(self.generation, *parts, slots)

    def _stay_alive(self) -> None:
        self._workers.tend()
        self._notifier.tend(is_alive=self._workers.are_alive)

    def watch_table(self, watch: TableWatch) -> None:
        """Notice what others do to the table from now on, and undo it."""
        self.guard = TableGuard(self.loop, watch, self._table, self._install_again)
        self.guard.start()

    def links_changed(self) -> None:
        """Links or routes changed: names and the way inwards are looked up again."""
        self._workers.links_changed()
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
            self._tags.tend(lambda: self._reload_on_signal(self.trial.documents))
            self._adoption.tend()
            self.open_flows.tend()
            self.trial.tend()
            self._table.tidy()
            if self.guard is not None:
                self.guard.tend()
            self.told.tend(self.loaded)
            self._workers.keep_spare()

        ends = dict.fromkeys(END_SIGNALS, partial(self.request_stop, remove_rules=False))
        self.loop.run({**ends, signal.SIGHUP: self._reload_on_signal}, look_around)

    def close(self) -> None:
        """End the workers; remove the rules where that was asked for, else leave them in force."""
        if self.has_served and self.settings.on_stop is OnStop.REMOVE:
            self._remove_rules = True
        if self._remove_rules:
            # First the rules: packets that wait may yet be decided, and none comes after them.
            remove_rules(self._table)
        elif self.has_served and self.loaded is not None:
            self.trial.end()
            leave_rules(self._table, self.loaded)
        self._workers.stop()
        self.told.close()
        if self.has_served and not self._remove_rules:
            log.info("%s", rules_that_stay(self.settings))
        self.loop.close()
        self._beside.close()
        self._workers.close()

    def _reload_on_signal(self, given: Sequence[Document] | None = None) -> None:
        try:
            self._reload(given, reevaluate=False)
        except (ConfigRefused, StateError, RefusedByKernel):
            return  # logged and counted

    def _install_again(self) -> bool:
        """Write what the kernel should hold of the policy in force."""
        loaded, adopting = self.loaded, self._adoption.is_open
        return loaded is not None and install_again(self._table, loaded, adopting)
