"""An NFQUEUE: bound by the worker, its counters read by the supervisor."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsgd.kernel.verdicts import verdict_sender
from nsgd.wire import netlink

# The binding reads into 4096 bytes: a packet copied whole could be larger, would never reach
# the callback and would wait in the queue for ever. Headers need far less.
COPY_RANGE_BYTES = 256
_RECEIVE_BUFFER_BYTES = 8 << 20
_QUEUE_CONFIG = 3 << 8 | 2  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG
_CONFIG_MASK, _CONFIG_FLAGS, _FAIL_OPEN = 4, 5, 1
_COUNTERS = Path("/proc/self/net/netfilter/nfnetlink_queue")


class QueueInUseError(Exception):
    """Another process reads this queue."""


@dataclass(frozen=True, slots=True)
class QueueCounters:
    """One line of /proc/net/netfilter/nfnetlink_queue."""

    reader_port_id: int
    waiting: int
    dropped_full: int
    dropped_socket: int
    packets_seen: int


# Handles one packet of the binding and gives it its verdict.
Handler = Callable[[Any], None]


class PacketQueue:
    """Hands each queued packet to a handler."""

    def __init__(self, number: int, failed: Callable[[], None]) -> None:
        """Open a socket for the queue, which is not bound yet.

        Args:
            number: Queue number of this network namespace.
            failed: Called where the handler raised, with the exception being handled.
        """
        # Imported here: reading the counters needs no extension module.
        from netfilterqueue import NetfilterQueue

        self._number = number
        self._handle: Handler = _drop
        self._failed = failed
        self.is_idle = False  # every packet that was read has its verdict, in the kernel
        self._queue = NetfilterQueue()
        self.give, self.send_verdicts = verdict_sender(self._queue.get_fd(), number)

    def bind(self, length: int, handle: Handler) -> None:
        """Have the kernel's packets handled.

        Args:
            length: Packets that may wait before the kernel drops.
            handle: Calls give() once; an exception from it denies the packet.

        Raises:
            QueueInUseError: Another process has the queue.
        """
        self._handle = handle
        try:
            self._queue.bind(
                self._number,
                self._packet,
                max_len=length,
                range=COPY_RANGE_BYTES,
                sock_len=_RECEIVE_BUFFER_BYTES,
            )
        except OSError as error:
            owner = _owner(self._number)
            raise QueueInUseError(
                f"queue {self._number} cannot be bound: {error}{owner}"
            ) from error

    def set_fail_open(self, is_open: bool) -> None:
        """Accept or drop what does not fit into the queue or its socket buffer.

        The binding cannot say this, so the message goes out on its descriptor; no answer is asked
        for, since one would have to be read from among the packets.
        """
        flags = netlink.be32(_CONFIG_FLAGS, _FAIL_OPEN if is_open else 0)
        payload = netlink.be32(_CONFIG_MASK, _FAIL_OPEN) + flags
        request = netlink.message(_QUEUE_CONFIG, 0, 0, 0, payload, resource=self._number)
        with socket.socket(fileno=os.dup(self._queue.get_fd())) as channel:
            channel.send(request)

    def use_handler(self, handle: Handler) -> None:
        """Hand every later packet to another handler."""
        self._handle = handle

    def run(self) -> None:
        """Serve packets until a signal handler raises. Raises OSError where verdicts are lost."""
        poller = select.poll()
        poller.register(self._queue.get_fd(), select.POLLIN)
        serve, send = self._queue.run, self.send_verdicts
        try:
            while True:
                serve(block=False)
                send()
                self.is_idle = True
                poller.poll()
                self.is_idle = False
        finally:
            send()

    def close(self) -> None:
        """Give the queue up; what waits in it is dropped."""
        self._queue.unbind()

    def _packet(self, packet: Any) -> None:
        # The binding has no type information.
        try:
            self._handle(packet)
        except OSError:
            raise  # verdicts are lost: a new worker with a new queue is the way out
        except Exception:
            # A bug must not let a packet through, nor one odd packet stop all others.
            packet.drop()
            self._failed()


def _drop(packet: Any) -> None:
    """What becomes of a packet while there is no handler yet."""
    packet.drop()


def read_queue_counters(number: int) -> QueueCounters | None:
    """The kernel's counters of a queue; None where it has no reader or they cannot be read."""
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = [int(field) for field in line.split()]
        if len(fields) >= 8 and fields[0] == number:
            return QueueCounters(fields[1], fields[2], fields[5], fields[6], fields[7])
    return None


def _owner(number: int) -> str:
    """Who reads a queue, for a message. A socket's port id is its process id as a rule."""
    counters = read_queue_counters(number)
    if counters is None:
        return ""
    port_id = counters.reader_port_id
    try:
        name = Path(f"/proc/{port_id}/comm").read_text().strip()
    except OSError:
        return f"; it is read by netlink port {port_id}"
    return f"; it is read by process {port_id} ({name})"
