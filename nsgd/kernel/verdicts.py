"""Verdicts on their way to the kernel: several in one message where packets come in bursts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from struct import Struct

from nsgd.wire import netlink
from nsgd.wire.verdict import Give

# A packet waits for its verdict until this many others have theirs, or none is left to read.
_MOST = 8
_VERDICT = 3 << 8 | 1  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_VERDICT
_HEADER_ATTRIBUTE, _MARK_ATTRIBUTE = 2, 3
# What differs from message to message, and the head of the mark's attribute in between.
_VARIABLE = Struct(">IIII")


def verdict_sender(descriptor: int, queue_number: int) -> tuple[Give, Callable[[], None]]:
    """Two functions: one gives a packet its verdict and mark, one sends what is left of them.

    The binding sends each verdict with a system call of its own, which costs as much as all the
    rest of a verdict. Both are closures and not methods, which costs a tenth less.

    Args:
        descriptor: The queue's, of which a copy is used.
        queue_number: Number of the queue.

    Raises:
        OSError: from both functions, where verdicts are lost.
    """
    sender = socket.socket(fileno=os.dup(descriptor))
    mark = netlink.be32(_MARK_ATTRIBUTE, 0)
    header = netlink.attribute(_HEADER_ATTRIBUTE, bytes(8))
    message = netlink.message(_VERDICT, 0, 0, 0, header + mark, resource=queue_number)
    message_bytes = len(message)
    first = message_bytes - _VARIABLE.size
    mark_head = int.from_bytes(mark[:4], "big")
    buffer = bytearray(message * _MOST)
    view = memoryview(buffer)
    fill = _VARIABLE.pack_into
    full = first + len(buffer)
    next_place = first

    def give(verdict: int, packet: int, packet_mark: int) -> None:
        nonlocal next_place
        fill(buffer, next_place, verdict, packet, mark_head, packet_mark)
        next_place += message_bytes
        if next_place == full:
            send()

    def send() -> None:
        nonlocal next_place
        end = next_place - first
        if end:
            next_place = first
            sender.send(view[:end])

    return give, send
