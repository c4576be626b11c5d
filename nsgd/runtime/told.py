"""Those who tell of flows and denials: audit mode's log, the flow log, and what both hear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nsgd.runtime.audit_log import AuditLog
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.flow_log.keeper import FlowLogKeeper
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.loop import Loop
from nsgd.runtime.monitors import FlowBegins, Monitor, Monitors
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.recent_denials import RecentDenials
from nsgd.runtime.told_denials import LogReader, ToldDenials


class Told:
    """Follows the policy in force."""

    def __init__(
        self, loop: Loop, open_log_group: Callable[[int], LogReader | None], state_directory: Path
    ) -> None:
        self._loop = loop
        self.denials = ToldDenials(loop, open_log_group)
        self.flow_log = FlowLogKeeper(loop, state_directory)
        self._areas: Sequence[SharedCounters] = ()
        self._audit_log: AuditLog | None = None
        self.recent: RecentDenials | None = None
        self.monitors: Monitors | None = None

    def begin(self, areas: Sequence[SharedCounters]) -> None:
        """Hear of what the workers deny, each in its area."""
        self._areas = areas
        self._audit_log = AuditLog(areas, self.denials)
        self.recent = RecentDenials(areas, self.denials)

    @contextmanager
    def coming(self, loaded: LoadedPolicy, previous: LoadedPolicy | None = None) -> Iterator[None]:
        """While a policy is brought into force: its first flows are told by its own rules.

        Where that fails, the policy before is the one that is followed.
        """
        self._log_flows(loaded)
        try:
            yield
        except BaseException:
            if previous is not None:
                self._log_flows(previous)
            raise
        self.denials.follow(loaded.settings)

    def tend(self, loaded: LoadedPolicy | None) -> None:
        """Write lines, and look after the flow log."""
        if self._audit_log is not None and loaded is not None:
            self._audit_log.tick(loaded)
        if self.recent is not None and loaded is not None:
            self.recent.tend(loaded)
        self.flow_log.tend()
        if self.monitors is not None and loaded is not None:
            self.monitors.tend()

    def let_monitor(
        self,
        in_force: Callable[[], LoadedPolicy],
        open_events: Callable[[], FlowBegins],
        untold: Callable[[], int],
        feed: Callable[[], None],
    ) -> None:
        """Let clients monitor from now on; the arguments are those of Monitors."""
        if self.recent is not None:
            self.monitors = Monitors(self._loop, in_force, self.recent, open_events, untold, feed)

    def monitor(self, arguments: Mapping[str, Any]) -> Monitor:
        """Tell a client of decisions. Raises UsageRefused, RefusedByKernel."""
        if self.monitors is None:
            raise RefusedByKernel("the daemon is still starting; try again")
        return self.monitors.attach(arguments)

    def list_denials(
        self, arguments: Mapping[str, Any], loaded: LoadedPolicy | None
    ) -> dict[str, Any]:
        """Recent denials. Raises UsageRefused; RuntimeError before begin()."""
        if self.recent is None:
            raise RuntimeError("no policy is in force yet")
        return self.recent.list_denials(arguments, loaded)

    def close(self) -> None:
        """Tell no more."""
        if self.monitors is not None:
            self.monitors.close()
        self.denials.close()
        self.flow_log.close()

    def _log_flows(self, loaded: LoadedPolicy) -> None:
        if self._areas:
            self.denials.also = self.flow_log.follow(loaded, self._areas)
