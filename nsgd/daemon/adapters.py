"""Kernel objects as the runtime knows them; their refusals become its own."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nsgd.kernel.conntrack import FlowTable
from nsgd.kernel.error import KernelError
from nsgd.kernel.flow_events import FlowEvents
from nsgd.kernel.nflog import DenialReceiver
from nsgd.kernel.routes import links_towards, own_addresses
from nsgd.kernel.ruleset_monitor import RulesetMonitor
from nsgd.kernel.table import NftTable
from nsgd.model.address import Address
from nsgd.ruleset import batch
from nsgd.ruleset.policy_rulesets import PolicyRulesets
from nsgd.ruleset.queues import QueueRule
from nsgd.runtime.collection import collecting_rarely, give_back, set_aside
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.policy_table import ForeignChanges, at_once
from nsgd.runtime.told_denials import LogReader
from nsgd.wire.conntrack import ConntrackEntry
from nsgd.wire.flow_events import GROUP_NEW, FlowSeen

log = logging.getLogger("nsgd")

# Monitors lose what does not fit: some 4000 flows that begin between two looks at them.
_MONITOR_BUFFER_BYTES = 4 << 20


class GatewayTable:
    """The kernel's table, written from loaded policies."""

    def __init__(self, table: NftTable) -> None:
        self._table = table
        self._has_queue_statement: bool | None = None
        self._has_flow_timeouts = False  # as far as it was asked
        self._rulesets = PolicyRulesets()
        self._is_written = False

    @property
    def is_owned(self) -> bool:
        """Tell whether others are kept from changing the table."""
        return self._table.is_owned

    @property
    def is_known(self) -> bool:
        """Tell whether it is known what the table holds."""
        return self._table.is_known

    def install(
        self,
        loaded: LoadedPolicy,
        *,
        adopting: bool = False,
        is_served: bool = True,
        before_switch: Callable[[], None] = at_once,
    ) -> None:
        """Write the ruleset of a policy, unless the kernel holds it already."""
        settings = loaded.settings
        try:
            if self._has_queue_statement is None:
                self._has_queue_statement = self._table.has_queue_statement()
            rule = QueueRule(settings.queue_number, self._has_queue_statement, settings.queues)
            networks = loaded.model.virtual_networks
            declared = (prefix for network in networks for prefix in network.address_space)
            inward = None
            if is_served:
                # A machine may have no other route than its default one to its own network.
                inward = links_towards(declared, or_own=settings.is_host_only)
            with collecting_rarely():
                desired = self._rulesets.ruleset(
                    loaded.model,
                    loaded.policy,
                    loaded.numbers,
                    settings,
                    rule,
                    inward_links=inward,
                    adopting=adopting,
                    epoch=self._table.epoch(),
                )
                if desired.timeouts:
                    self._require_flow_timeouts()
                is_first = not self._is_written
                self._table.apply(desired, before_switch)
                if is_first:
                    self._is_written = True
                    set_aside()
        except KernelError as error:
            hint = ""
            if error.number == errno.EPERM:
                hint = "; another process owns the table, or CAP_NET_ADMIN is missing"
            raise RefusedByKernel(f"the kernel refused the ruleset: {error}{hint}") from error

    def _require_flow_timeouts(self) -> None:
        if not self._has_flow_timeouts:
            self._has_flow_timeouts = self._table.takes(batch.timeout_probe())
        if not self._has_flow_timeouts:
            raise RefusedByKernel(
                "flowTimeoutInMinutes: this kernel has no timeout policies of conntrack"
                " (CONFIG_NF_CONNTRACK_TIMEOUT); remove it from the virtual networks"
            )

    def tidy(self) -> None:
        """Delete what the last change has left over."""
        try:
            if self._table.tidy():
                give_back()
        except KernelError as error:
            log.error("what an old policy left in the table stays: %s", error)

    def forget(self) -> None:
        """Others have changed the table: the next install() writes all of it."""
        self._table.forget()

    def remove(self) -> bool:
        """Delete the table."""
        try:
            return self._table.remove()
        except KernelError as error:
            raise RefusedByKernel(f"the kernel did not remove the rules: {error}") from error


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

    def pages(self) -> Iterator[Sequence[tuple[ConntrackEntry, bytes]]]:
        """Every flow with its attributes, page by page."""
        try:
            yield from self._table.pages()
        except KernelError as error:
            raise RefusedByKernel(f"the connection table cannot be read: {error}") from error

    def marks(self) -> Mapping[int, int]:
        """How many flows have each mark."""
        try:
            return self._table.marks()
        except KernelError as error:
            raise RefusedByKernel(f"the connection table cannot be read: {error}") from error

    def set_marks(self, entries: Iterable[ConntrackEntry], mark: int, mask: int) -> int:
        """Change bits of marks."""
        try:
            return self._table.set_marks(entries, mark, mask)
        except KernelError as error:
            raise RefusedByKernel(f"flows cannot be marked: {error}") from error

    def own_addresses(self) -> frozenset[Address]:
        """All addresses of this machine."""
        try:
            return own_addresses()
        except KernelError as error:
            raise RefusedByKernel(f"the machine's addresses cannot be read: {error}") from error


def open_log_group(group: int) -> LogReader | None:
    """The reader of an NFLOG group; None where it cannot be had, which the log is told."""
    try:
        return DenialReceiver(group)
    except KernelError as error:
        log.error("%s: the kernel engine's denials are counted and not told", error)
        return None


class FlowBegins:
    """The kernel's events of new flows, its refusals told as the runtime knows them."""

    def __init__(self) -> None:
        try:
            self._events = FlowEvents(_MONITOR_BUFFER_BYTES, (GROUP_NEW,))
        except KernelError as error:
            raise RefusedByKernel(f"the kernel does not tell of new flows: {error}") from error

    @property
    def lost(self) -> int:
        """Events that did not fit."""
        return self._events.lost

    def read(self, most: int) -> list[tuple[bool, FlowSeen]]:
        """What has come."""
        try:
            return self._events.read(most)
        except KernelError as error:
            raise RefusedByKernel(f"the kernel does not tell of new flows: {error}") from error

    def close(self) -> None:
        """Hear no more."""
        self._events.close()


class TableMonitor:
    """What others do to the table."""

    def __init__(self, table: NftTable) -> None:
        self._table = table
        self._monitor = RulesetMonitor()

    def fileno(self) -> int:
        """For a selector."""
        return self._monitor.fileno()

    def read(self) -> ForeignChanges:
        """What others did since the last call."""
        found = self._monitor.read(self._table.port_id)
        names = tuple(f"{each.program} (PID {each.process_id})" for each in found.changed_by)
        return ForeignChanges(found.is_changed, names, found.base_chains_deleted)

    def close(self) -> None:
        """Stop listening."""
        self._monitor.close()
