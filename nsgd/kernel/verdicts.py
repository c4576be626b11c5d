"""Verdicts on their way to the kernel: several in one message where packets come in bursts."""

from __future__ import annotations

import os
import socket
from struct import Struct

from nsgd.wire import netlink

DROP, ACCEPT = 0, 1  # NF_DROP, NF_ACCEPT

# A packet waits for its verdict until this many others have theirs, or none is left to read.
_MOST = 8
_VERDICT = 3 << 8 | 1  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_VERDICT
_HEADER_ATTRIBUTE, _MARK_ATTRIBUTE = 2, 3
# What differs from message to message, and the head of the mark's attribute in between.
_fill = Struct(">II4sI").pack_into


class Verdicts:
    """A buffer of messages that are alike but for verdict, packet and mark.

    The binding sends each verdict with a system call of its own, which costs as much as all the
    rest of a verdict.
    """

    def __init__(self, descriptor: int, queue_number: int) -> None:
        """Send on a copy of the queue's *descriptor*."""
        self._socket = socket.socket(fileno=os.dup(descriptor))
        mark = netlink.be32(_MARK_ATTRIBUTE, 0)
        header = netlink.attribute(_HEADER_ATTRIBUTE, bytes(8))
        message = netlink.message(_VERDICT, 0, 0, 0, header + mark, resource=queue_number)
        self._message_bytes = len(message)
        self._first = len(message) - len(mark) - 8
        self._mark_head = mark[:4]
        self._buffer = bytearray(message * _MOST)
        self._view = memoryview(self._buffer)
        self._end = 0

    def give(self, verdict: int, packet: int, mark: int) -> None:
        """Give the packet of an id its verdict and mark. Raises OSError where all are lost."""
        end = self._end
        _fill(self._buffer, end + self._first, verdict, packet, self._mark_head, mark)
        self._end = end = end + self._message_bytes
        if end == len(self._buffer):
            self.send()

    def send(self) -> None:
        """Send what is left. Raises OSError."""
        end = self._end
        if end:
            self._end = 0
            self._socket.send(self._view[:end])

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()
