"""Where first packets of each network interface are counted: a slot for as long as it is declared.

Slots are the supervisor's, so counts outlive reloads and workers, and end with the interface.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from nsgd.model.network import NetworkInterface
from nsgd.model.settings import MetricsDetail
from nsgd.runtime.counters import MOST_NICS, NO_SLOT, SharedCounters
from nsgd.runtime.load import LoadedPolicy

log = logging.getLogger("nsgd")


class NicSlots:
    """The slot of each interface that is counted, by name."""

    def __init__(self) -> None:
        self.by_name: Mapping[str, int] = {}
        self._interfaces: Sequence[NetworkInterface] | None = None  # that were given slots last
        self._slots: Sequence[int] = ()
        self._next = NO_SLOT + 1
        self._free: list[int] = []
        # Of interfaces that the last policy had no more: until that one was in force, a worker
        # counted there.
        self._leaving: list[int] = []
        self._is_told = False

    def of(self, loaded: LoadedPolicy, areas: Sequence[SharedCounters]) -> Sequence[int]:
        """The slots of a policy that is about to come into force, in the order of its interfaces.

        None where metricsDetail asks for none; the same object where the interfaces are the same.
        *areas* are those in which workers count.
        """
        is_counted = loaded.settings.metrics_detail is MetricsDetail.FULL
        interfaces = loaded.model.network_interfaces if is_counted else ()
        if interfaces is self._interfaces:
            return self._slots

        def clear(slot: int) -> None:
            for area in areas:
                area.clear_nic(slot)

        self._slots = self.give((interface.name for interface in interfaces), clear)
        self._interfaces = interfaces
        return self._slots

    def give(self, names: Iterable[str], clear: Callable[[int], None]) -> list[int]:
        """The slots of interfaces.

        Args:
            names: Of all that are to be counted from now on.
            clear: Called with each slot that another interface has had.

        Returns:
            In the order of the names; NO_SLOT beyond as many as there is room for.
        """
        known = self.by_name
        self._free += self._leaving
        given: dict[str, int] = {}
        uncounted = 0
        slots = []
        for name in names:
            slot = known.get(name, NO_SLOT)
            if slot == NO_SLOT and self._free:
                slot = self._free.pop()
                clear(slot)
            elif slot == NO_SLOT and self._next < MOST_NICS:
                slot = self._next
                self._next += 1
            if slot == NO_SLOT:
                uncounted += 1
            else:
                given[name] = slot
            slots.append(slot)
        self._leaving = [slot for name, slot in known.items() if name not in given]
        # A reader has the mapping of before or this one.
        self.by_name = given
        if uncounted and not self._is_told:
            log.warning("%d network interfaces have no counters: room for %d", uncounted, MOST_NICS)
        self._is_told = bool(uncounted)
        return slots
