"""What status and metrics read from the kernel at each look."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from nsgd.kernel.conntrack_room import read_conntrack_room
from nsgd.kernel.error import KernelError
from nsgd.kernel.queue import read_queue_counters
from nsgd.kernel.table import NftTable
from nsgd.observe.conntrack_state import ConntrackState
from nsgd.observe.snapshot import QueueState

log = logging.getLogger("nsgd")


def read_counters(reader: NftTable) -> Mapping[str, int]:
    """Packets by the table's counters; none where they cannot be read."""
    try:
        return reader.read_counters()
    except KernelError as error:
        log.warning("counters of the table cannot be read: %s", error)
        return {}


def read_queue_state(number: int, max_length: int) -> QueueState | None:
    """A queue, by its number and configured length; None where it cannot be read."""
    counters = read_queue_counters(number)
    if counters is None:
        return None
    return QueueState(
        number=number,
        length=counters.waiting,
        max_length=max_length,
        dropped_full=counters.dropped_full,
        dropped_socket=counters.dropped_socket,
        packets_seen=counters.packets_seen,
    )


def read_conntrack_state() -> ConntrackState | None:
    """The room of the connection table; None where the kernel does not say."""
    try:
        room = read_conntrack_room()
    except KernelError:
        return None
    return ConntrackState(room.entries, room.maximum, room.dropped)
