"""Flows as the kernel tells of them: their begins and ends as events, and all of them in a dump.

The kernel never waits for the reader: events that do not fit into the socket's buffer are lost,
which is noticed and counted here; a dump then says which flows there are.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from struct import Struct

from nsgd.kernel.datagrams import Datagrams
from nsgd.kernel.error import KernelError
from nsgd.kernel.netfilter import NETLINK_NETFILTER, SO_RCVBUFFORCE, SOL_NETLINK
from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.wire import netlink
from nsgd.wire.flow_events import (
    FLOW_TOLD,
    GROUP_DESTROY,
    GROUP_NEW,
    FlowSeen,
    dump_request,
    look_up_request,
)
from nsgd.wire.flow_layouts import FlowEvent, FlowReader

_SUBJECT = "conntrack events"
# An event takes about 1 KB of it: 60 000 flows may begin or end while the reader is busy.
RECEIVE_BUFFER_BYTES = 64 << 20
# An event has about 250 bytes, and with all that the kernel may tell of a flow less than 1 KB.
_EVENT_BYTES = 1 << 12
_EVENTS_PER_CALL = 32
_DUMP_BYTES = 1 << 18
_ANSWER_TIMEOUT_S = 30.0
_NETLINK_ADD_MEMBERSHIP = 1
_SO_MEMINFO = 55
_unpack_meminfo = Struct("=9I").unpack
_DROPS = 8  # SK_MEMINFO_DROPS
_LOOK_UPS_PER_SEND = 128


class FlowEvents:
    """Begins and ends of flows of this network namespace, until close(). Raises KernelError."""

    def __init__(
        self,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
        groups: Sequence[int] = (GROUP_NEW, GROUP_DESTROY),
    ) -> None:
        """Listen, with so much room for events that wait to be read; of begins, or of ends too."""
        self.overflows = self._cut = 0
        self._reader = FlowReader()
        self._datagrams = Datagrams(_EVENTS_PER_CALL, _EVENT_BYTES)
        self._socket = _open(receive_buffer_bytes)
        try:
            for group in groups:
                self._socket.setsockopt(SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise KernelError("join", _SUBJECT, error.errno or errno.EIO) from error

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    @property
    def lost(self) -> int:
        """Events that did not fit into the buffer since the beginning."""
        memory = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        return int(_unpack_meminfo(memory)[_DROPS]) + self._cut

    def read(self, most: int, give_way: Callable[[], None] = lambda: None) -> list[FlowEvent]:
        """What has come, oldest first, without waiting: whether a flow ended, and the flow.

        After a loss *overflows* is more than before, and what is returned may have gaps.

        Args:
            most: Datagrams at most; fewer events do not mean that none are left.
            give_way: Called before each system call, which reads some of them.
        """
        found: list[FlowEvent] = []
        for done in range(0, most, _EVENTS_PER_CALL):
            give_way()
            try:
                datagrams, cut = self._datagrams.receive(self._socket, most - done)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelError("read", _SUBJECT, error.errno or errno.EIO) from error
                self.overflows += 1
                continue
            self._cut += cut
            self.overflows += cut
            found += self._reader.read(datagrams)
        return found

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def dump_flows() -> Iterator[list[FlowSeen]]:
    """Every flow of both families, a datagram's at a time. Raises KernelError.

    Flows that begin or end meanwhile may be in it or not.
    """
    reader = FlowReader()
    with _open() as channel:
        try:
            for version in IP_VERSIONS:
                channel.send(dump_request(version, version))
                while True:
                    flows, is_done = _dumped(channel.recv(_DUMP_BYTES), version, reader)
                    yield flows
                    if is_done:
                        break
        except OSError as error:
            raise KernelError("read", "conntrack", error.errno or errno.ETIMEDOUT) from error


def _dumped(data: bytes, sequence: int, reader: FlowReader) -> tuple[list[FlowSeen], bool]:
    told: list[bytes] = []
    is_done = False
    for kind, answered, message in netlink.whole_messages(data):
        if answered != sequence:
            continue
        if kind == netlink.NLMSG_DONE:
            is_done = True
            break
        if kind == netlink.NLMSG_ERROR:
            number = netlink.error_number(message[netlink.HEADER_BYTES :])
            raise KernelError("read", "conntrack", number or errno.EIO)
        if kind == FLOW_TOLD:
            told.append(message)
    return [flow for _, flow in reader.read(told)], is_done


def look_up_flows(keys: Iterable[tuple[bytes, IPVersion]]) -> None:
    """Have the kernel end those flows that have run out. Raises KernelError."""
    wanted = list(keys)
    with _open() as channel:
        try:
            for start in range(0, len(wanted), _LOOK_UPS_PER_SEND):
                part = wanted[start : start + _LOOK_UPS_PER_SEND]
                channel.send(
                    b"".join(
                        look_up_request(key, version, index)
                        for index, (key, version) in enumerate(part, start=1)
                    )
                )
                answered = 0
                while answered < len(part):
                    for kind, _, _ in netlink.split_messages(channel.recv(_DUMP_BYTES)):
                        answered += kind == netlink.NLMSG_ERROR
        except OSError as error:
            raise KernelError("look up", "flows", error.errno or errno.ETIMEDOUT) from error


def _open(receive_buffer_bytes: int = 8 << 20) -> socket.socket:
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    except OSError as error:
        raise KernelError("open", _SUBJECT, error.errno or errno.EIO) from error
    try:
        # Not to be had in a user namespace; the buffer is then as large as it is.
        with suppress(PermissionError):
            made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer_bytes)
        made.settimeout(_ANSWER_TIMEOUT_S)
        made.bind((0, 0))
    except OSError as error:
        made.close()
        raise KernelError("open", _SUBJECT, error.errno or errno.EIO) from error
    return made
