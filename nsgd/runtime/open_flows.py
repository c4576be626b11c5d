"""Applies to the kernel's connection table what a start or a reload means for open flows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nsgd.model.settings import DaemonRole, DaemonSettings, ExistingFlows, Mode
from nsgd.ruleset.gateway import managed_addresses
from nsgd.ruleset.marks import ADOPTED, MarkLayout
from nsgd.runtime.flows import (
    Flows,
    adoptable,
    decided,
    denied_by_audit,
    groups_to_flush,
    of_other_machines,
    of_roles,
    under_groups,
)
from nsgd.runtime.guarded_file import load_guarded, save_guarded
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.state import StateError
from nsgd.wire.conntrack import ConntrackEntry

log = logging.getLogger("nsgd")

# At boot nothing can have been open before: mid-stream TCP then is not a flow to adopt.
_BOOT_S = 180.0


class RefusedByKernel(Exception):
    """The kernel did not do what was asked; the text says what and why."""


class OpenFlows:
    """Counts what was done: flows *adopted*, *judged_again* and *cut* since the start."""

    def __init__(self, flows: Flows, state_directory: Path) -> None:
        self._flows = flows
        self._state_directory = state_directory
        self.adopted = 0
        self.judged_again = 0
        self.cut = 0
        self.marked: Callable[[], None] = lambda: None  # called after marks were changed
        self._unfinished: tuple[LoadedPolicy, LoadedPolicy, bool] | None = None
        self._next_attempt_s = 0.0

    def window_s(self, settings: DaemonSettings, *, is_first: bool) -> float:
        """Seconds for which mid-stream TCP is to be adopted, because conntrack knows nothing.

        To be asked before rules are written: with these conntrack begins. Raises RefusedByKernel.
        """
        is_meant = is_first and settings.existing_flows is ExistingFlows.ADOPT
        if not is_meant or not settings.adopt_seconds:
            return 0.0
        if time.clock_gettime(time.CLOCK_BOOTTIME) < _BOOT_S or self._flows.entries():
            return 0.0
        log.info(
            "connection tracking was not active: for %d s, TCP of unknown flows is adopted",
            settings.adopt_seconds,
        )
        return float(settings.adopt_seconds)

    def at_start(self, loaded: LoadedPolicy, *, is_first: bool) -> None:
        """Adopt open flows at the first start; later, forget what audit mode let through.

        Raises:
            RefusedByKernel: The connection table cannot be read or changed.
            StateError: What was guarded before cannot be read, or what is now be written.
        """
        before = load_guarded(self._state_directory)
        save_guarded(self._state_directory, loaded.guarded)
        settings = loaded.settings
        layout = MarkLayout(settings.mark_mask)
        entries = self._flows.entries()
        if not is_first:
            if settings.mode is Mode.ENFORCE:
                self._judge_again(denied_by_audit(entries, loaded.numbers, layout), layout)
            self._adopt_new_roles(settings.roles - before.roles, loaded)
        elif settings.existing_flows is ExistingFlows.ADOPT:
            self._adopt(entries, loaded)

    def before_reload(self, old: LoadedPolicy, new: LoadedPolicy) -> None:
        """Adopt open flows that nobody guarded so far. Raises RefusedByKernel, StateError."""
        save_guarded(self._state_directory, new.guarded)
        self._adopt_new_roles(new.settings.roles - old.settings.roles, new)

    def before_going_back(self, old: LoadedPolicy, new: LoadedPolicy) -> None:
        """As before_reload(); a full disk does not keep a policy on trial in force."""
        try:
            self.before_reload(old, new)
        except StateError as error:
            log.error("%s", error)

    def _adopt_new_roles(self, roles: frozenset[DaemonRole], loaded: LoadedPolicy) -> None:
        """For what a role newly guards this is the first start."""
        if roles and loaded.settings.existing_flows is ExistingFlows.ADOPT:
            own = self._flows.own_addresses()
            self._adopt(of_roles(self._flows.entries(), own, roles), loaded)

    def _adopt(self, entries: Iterable[ConntrackEntry], loaded: LoadedPolicy) -> None:
        layout = MarkLayout(loaded.settings.mark_mask)
        mark = layout.outbound(ADOPTED) | layout.inbound(ADOPTED)
        found = list(adoptable(entries, managed_addresses(loaded.model), layout))
        adopted = self._flows.set_marks(found, mark, layout.mask) if found else 0
        self.adopted += adopted
        if adopted:
            self.marked()
            log.info("%d open flows adopted", adopted)

    def after_reload(self, old: LoadedPolicy, new: LoadedPolicy, *, everything: bool) -> None:
        """Have flows judged again where the change or the user asks for it.

        What the kernel refuses is tried again by tend().
        """
        if self._unfinished is not None:
            # From the policy by which the flows were decided, over all changes since.
            old, everything = self._unfinished[0], everything or self._unfinished[2]
        self._unfinished = old, new, everything
        self._try()

    def tend(self) -> None:
        """Finish what could not be done before, a second later."""
        if self._unfinished is not None and time.monotonic() >= self._next_attempt_s:
            self._try()

    def _try(self) -> None:
        if self._unfinished is None:
            return
        old, new, everything = self._unfinished
        try:
            self._after_reload(old, new, everything)
        except RefusedByKernel as error:
            self._next_attempt_s = time.monotonic() + 1
            log.error("open flows not judged again: %s; trying again", error)
        else:
            self._unfinished = None

    def _after_reload(self, old: LoadedPolicy, new: LoadedPolicy, everything: bool) -> None:
        layout = MarkLayout(new.settings.mark_mask)
        ends_audit = old.settings.mode is Mode.AUDIT and new.settings.mode is Mode.ENFORCE
        groups = groups_to_flush(old.model, old.policy, new.model, new.policy)
        moved = (
            old.model.network_interfaces != new.model.network_interfaces
            or old.model.scale_sets != new.model.scale_sets
        )
        if not (everything or ends_audit or groups or moved):
            return
        entries = list(decided(self._flows.entries(), layout))
        chosen: dict[bytes, ConntrackEntry] = {}
        if everything:
            chosen.update((entry.key, entry) for entry in entries)
        if ends_audit:
            found = denied_by_audit(entries, new.numbers, layout)
            chosen.update((entry.key, entry) for entry in found)
        if moved:
            found = of_other_machines(entries, old.model, new.model)
            chosen.update((entry.key, entry) for entry in found)
        if groups:
            found = under_groups(entries, new.policy, groups)
            chosen.update((entry.key, entry) for entry in found)
        self._judge_again(chosen.values(), layout)

    def _judge_again(self, entries: Iterable[ConntrackEntry], layout: MarkLayout) -> None:
        """Clear decisions and keep the entries: deleted ones could come back reversed."""
        pending = list(entries)
        if pending:
            changed = self._flows.set_marks(pending, 0, layout.mask)
            self.judged_again += changed
            self.marked()
            log.info("%d open flows are judged again with their next packet", changed)
