"""What the supervisor needs of the kernel's table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import RefusedByKernel

log = logging.getLogger("nsgd")


@dataclass(frozen=True, slots=True)
class ForeignChanges:
    """What others did to nftables."""

    is_changed: bool = False  # the table of rules, or perhaps
    by: tuple[str, ...] = ()  # programs, as they call themselves
    base_chains_deleted: int = 0  # of other tables: each time, what waits in queues is dropped


class TableWatch(Protocol):
    """Notices what others do to nftables."""

    def fileno(self) -> int:
        """For a selector."""

    def read(self) -> ForeignChanges:
        """What others did since the last call."""


def at_once() -> None:
    """Nothing is to be done or waited for before rules change."""


class PolicyTable(Protocol):
    """Holds the rules of one policy."""

    @property
    def is_known(self) -> bool:
        """Tell whether it is known what the table holds; not where an answer was lost."""

    def install(
        self,
        loaded: LoadedPolicy,
        *,
        adopting: bool = False,
        is_served: bool = True,
        before_switch: Callable[[], None] = at_once,
    ) -> None:
        """Write the ruleset of a policy. Raises RefusedByKernel; the old one then stays.

        Args:
            loaded: The policy.
            adopting: Let mid-stream TCP pass and mark it.
            is_served: Somebody follows the routes of this host.
            before_switch: Called when what can be written beside the rules in force has been
                written, before these change. What it raises is raised, and they stay.
        """

    def tidy(self) -> None:
        """Delete what the last install() has left over; called after a while, at leisure."""

    def forget(self) -> None:
        """Others have changed the table: the next install() writes all of it."""

    def remove(self) -> bool:
        """Delete the table. Returns False where there was none."""


def install_again(table: PolicyTable, loaded: LoadedPolicy, adopting: bool) -> bool:
    """Write a policy that is in force already; False where the kernel refused, which is logged."""
    try:
        table.install(loaded, adopting=adopting)
    except RefusedByKernel as error:
        log.error("%s; the rules in the kernel stay as they were", error)
        return False
    return True
