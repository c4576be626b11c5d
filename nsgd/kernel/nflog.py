"""Packets that rules drop and log, read from a log group of this network namespace.

The kernel gathers them into datagrams and never waits for the reader: what does not fit into the
socket's buffer is lost, and counted here by the gap in the group's sequence numbers.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from nsgd.kernel.error import KernelError
from nsgd.kernel.netfilter import NETLINK_NETFILTER, SO_RCVBUFFORCE
from nsgd.wire import netlink, nflog
from nsgd.wire.nflog import LoggedPacket

_RECEIVE_BUFFER_BYTES = 8 << 20
_ANSWER_TIMEOUT_S = 30.0
_BIND_SEQUENCE = 1
_SEQUENCE_MASK = 0xFFFFFFFF

# Headers need no more, as for the queue; a rule's snaplen can ask for less.
COPY_RANGE_BYTES = 256
# Packets of one datagram at most, and how long the first of them waits for the others.
TOGETHER = 32
_TIMEOUT_HUNDREDTHS = 10
# 32 packets have at most 256 bytes each, and some 450 of attributes with the longest prefix.
_DATAGRAM_BYTES = 1 << 16
# The kernel rounds its allocation up and fills that.
_RECEIVE_BYTES = 1 << 18


class DenialReceiver:
    """The one reader of a log group. Raises KernelError."""

    def __init__(self, group: int, receive_buffer_bytes: int = _RECEIVE_BUFFER_BYTES) -> None:
        """Bind a group, until close(); EPERM means that another socket has it, or no right to it.

        Args:
            group: 0-65535, as in the rules' log statement.
            receive_buffer_bytes: What may wait to be read, with the kernel's own overhead.
        """
        self._subject = f"log group {group}"
        self._next_sequence = 0
        self._missing = 0
        self._overflows = 0
        request = nflog.bind_request(
            group,
            _BIND_SEQUENCE,
            copy_range_bytes=COPY_RANGE_BYTES,
            together=TOGETHER,
            datagram_bytes=_DATAGRAM_BYTES,
            timeout_hundredths=_TIMEOUT_HUNDREDTHS,
        )
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        except OSError as error:
            raise KernelError("open", self._subject, error.errno or errno.EIO) from error
        try:
            # Not to be had in a user namespace; the buffer is then as large as it is.
            with suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer_bytes)
            self._socket.bind((0, 0))
            self._socket.settimeout(_ANSWER_TIMEOUT_S)
            self._socket.send(request)
            number = self._bind_answer()
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise KernelError("bind", self._subject, error.errno or errno.ETIMEDOUT) from error
        if number:
            self._socket.close()
            raise KernelError("bind", self._subject, number)

    def fileno(self) -> int:
        """For a selector; stays readable while there is something left to read."""
        return self._socket.fileno()

    @property
    def lost(self) -> int:
        """Packets that were logged since the bind and cannot be read any more; never falls.

        Exact up to the last packet read. How many were lost after it shows in the next one's
        sequence number; until then an overflow of the buffer counts as one. The kernel does not
        number what it has no memory to log at all.
        """
        return self._missing + self._overflows

    def read(self, most: int) -> list[LoggedPacket]:
        """What is there, oldest first, without waiting; empty where nothing is.

        Args:
            most: Packets at most, TOGETHER or more. Only whole datagrams are read, so that none
                waits here unseen by a selector: fewer packets do not mean that no more are left.

        Raises:
            ValueError: *most* is less than a datagram may hold.
            KernelError: The group is lost. An overflow does not raise, see `lost`.
        """
        if most < TOGETHER:
            raise ValueError(f"fewer than the {TOGETHER} packets of a datagram: {most}")
        found: list[LoggedPacket] = []
        # Each step is a datagram or an overflow, also one that brings no packet.
        for _ in range(most):
            if len(found) > most - TOGETHER:
                break
            try:
                data, (sender, _) = self._socket.recvfrom(_RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelError("read", self._subject, error.errno or errno.EIO) from error
                self._overflows += 1
                continue
            # Any process with CAP_NET_ADMIN can write to this socket; the kernel is port 0.
            if sender == 0:
                self._collect(data, found)
        return found

    def close(self) -> None:
        """Give the group up; its packets are then logged nowhere."""
        self._socket.close()

    def _bind_answer(self) -> int:
        """The errno that answers the bind, or 0.

        Packets that come before it are not kept: the next one's number counts them as lost.
        """
        while True:
            data, (sender, _) = self._socket.recvfrom(_RECEIVE_BYTES)
            if sender != 0:
                continue
            for kind, sequence, payload in netlink.split_messages(data):
                if kind == netlink.NLMSG_ERROR and sequence == _BIND_SEQUENCE:
                    return netlink.error_number(payload)

    def _collect(self, data: bytes, found: list[LoggedPacket]) -> None:
        """Append a datagram's packets, and count those that are missing before each."""
        for kind, _, payload in netlink.split_messages(data):
            if kind != nflog.LOG_PACKET:
                continue
            packet = nflog.parse_logged(payload)
            if packet is None:
                continue  # counted by the next one's number
            gap = (packet.sequence - self._next_sequence) & _SEQUENCE_MASK
            if gap:
                self._missing += gap
                # The kernel reports an overflow once, when it begins, ahead of all that was there
                # before it; it ends when everything is read. So each makes one gap.
                self._overflows = max(0, self._overflows - 1)
            self._next_sequence = packet.sequence + 1
            found.append(packet)
