"""Writes the table anew where another program has changed it, or nobody knows what it holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from nsgd.runtime.loop import Loop
from nsgd.runtime.policy_table import PolicyTable, TableWatch

log = logging.getLogger("nsgd")

# A program that changes the table again and again gets so many answers, not one for each.
_PAUSE_S = 1.0


class TableGuard:
    """Counts what others do: *changes* of the table, *base_chains* of theirs that they deleted."""

    def __init__(
        self,
        loop: Loop,
        watch: TableWatch,
        table: PolicyTable,
        install_again: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._watch = watch
        self._table = table
        self._install_again = install_again
        self._is_changed = False
        self._next_s = 0.0
        self.changes = self.repairs = self.base_chains = 0

    def start(self) -> None:
        """Begin to watch; what others did since the watch was made counts already."""
        self._loop.watch(self._watch, self._read)
        self._read()

    def _read(self) -> None:
        found = self._watch.read()
        if found.base_chains_deleted:
            self.base_chains += found.base_chains_deleted
            log.warning(
                "another program deleted %d base chains of nftables: the kernel drops what waits"
                " in queues then",
                found.base_chains_deleted,
            )
        if found.is_changed:
            self.changes += 1
            self._is_changed = True
            who = ", ".join(found.by) or "an unknown program"
            log.error("table inet nsgd was changed by %s: writing it anew", who)
            self.tend()

    def tend(self) -> None:
        """Write the table anew if it was changed, or may be, but not too often."""
        if not self._is_changed and self._table.is_known:
            return
        now_s = time.monotonic()
        if now_s < self._next_s:
            self._loop.soon(self._next_s - now_s)
            return
        self._next_s = now_s + _PAUSE_S
        self._table.forget()
        if self._install_again():
            self._is_changed = False
            self.repairs += 1
