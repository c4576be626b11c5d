"""One netlink socket to nftables: transactions, and what is read."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from nsgd.kernel.error import KernelError, UnansweredError
from nsgd.kernel.netfilter import NETLINK_NETFILTER, SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_NETLINK
from nsgd.ruleset import batch, commands
from nsgd.ruleset.describe import describe_message
from nsgd.ruleset.objects import TABLE
from nsgd.wire import netlink

_NETLINK_CAP_ACK = 10
_SEND_BUFFER_BYTES = 64 << 20
_RECEIVE_BYTES = 1 << 18
_REPLY_TIMEOUT_S = 30.0


class _Batch(NamedTuple):
    """The messages of a transaction, between their brackets."""

    data: bytearray
    first: int  # sequence numbers
    last: int


class NftSocket:
    """For those that write nftables; it owns what its transactions make, if they say so.

    Raises KernelError from every method; what a transaction was to change is then as it was.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        try:
            self._socket.settimeout(_REPLY_TIMEOUT_S)
            self._socket.setsockopt(SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            # A batch is one datagram: without room for it the send fails with EMSGSIZE.
            self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
            self._socket.bind((0, 0))
        except OSError as error:
            self._socket.close()
            raise KernelError("open", "nftables", error.errno or errno.EIO) from error
        self._sequence = 0

    def close(self) -> None:
        """Give up ownership; a persistent table and its rules stay."""
        self._socket.close()

    @property
    def port_id(self) -> int:
        """What the kernel calls this socket in all that it announces of it (RulesetMonitor)."""
        return int(self._socket.getsockname()[0])

    def _transact(self, messages: Iterable[commands.Message], operation: str) -> bool:
        """One transaction; False where there is nothing to do."""
        made = self._batch(messages)
        if made is not None:
            self._commit(made, operation)
        return made is not None

    def _transact_each(self, parts: Iterable[Iterable[commands.Message]], operation: str) -> bool:
        """A transaction for each part, in turn; False where there is nothing to do.

        While the kernel is at one of them the next is made. None is sent behind one that failed.
        """
        is_any = False
        with ThreadPoolExecutor(1) as sender:
            sending: Future[None] | None = None
            for part in parts:
                made = self._batch(part)
                if sending is not None:
                    sending.result()
                    sending = None
                if made is not None:
                    is_any = True
                    sending = sender.submit(self._commit, made, operation)
            if sending is not None:
                sending.result()
        return is_any

    def _batch(self, messages: Iterable[commands.Message]) -> _Batch | None:
        first = self._sequence + 1
        # One buffer, which can be large: it is given back as a whole.
        data = bytearray(batch.bracket(netlink.NFNL_MSG_BATCH_BEGIN, 0, first))
        last = netlink.append_messages(data, messages, first, commands.FAMILY_INET)
        if last == first:
            return None
        last += 1
        data += batch.bracket(netlink.NFNL_MSG_BATCH_END, netlink.NLM_F_ACK, last)
        self._sequence = last
        return _Batch(data, first, last)

    def _commit(self, made: _Batch, operation: str) -> None:
        data, first, last = made
        self._send(data, operation)
        # Each failing message gives an error; a good batch gives one acknowledgement of its end.
        while True:
            try:
                answer = self._receive(operation)
            except KernelError as error:
                raise UnansweredError(error.operation, error.subject, error.number) from error
            for kind, sequence, payload in netlink.split_messages(answer):
                if kind != netlink.NLMSG_ERROR or not first <= sequence <= last:
                    continue
                number = netlink.error_number(payload)
                if number:
                    self._drain()
                    raise KernelError(operation, describe_message(bytes(data), sequence), number)
                if sequence == last:
                    return

    def _dump(self, command: int, payload: bytes = b"") -> list[dict[int, bytes]]:
        """The attributes of each object that a command reads."""
        self._sequence += 1
        sequence = self._sequence
        self._send(
            netlink.message(
                netlink.nft_message_type(command),
                netlink.NLM_F_DUMP,
                sequence,
                commands.FAMILY_INET,
                payload,
            ),
            "read",
        )
        found: list[dict[int, bytes]] = []
        while True:
            for kind, answered, body in netlink.split_messages(self._receive("read")):
                if answered != sequence:
                    continue
                if kind == netlink.NLMSG_DONE:
                    return found
                if kind == netlink.NLMSG_ERROR:
                    number = netlink.error_number(body)
                    if number:
                        raise KernelError("read", f"table inet {TABLE}", number)
                    return found
                found.append(netlink.split_attributes(netlink.generic_payload(body)))

    def _look_up(self, command: int, payload: bytes) -> dict[int, bytes] | None:
        """The attributes of the one object that is named; None where there is none."""
        self._sequence += 1
        sequence = self._sequence
        kind = netlink.nft_message_type(command)
        self._send(netlink.message(kind, 0, sequence, commands.FAMILY_INET, payload), "read")
        while True:
            for answer, answered, content in netlink.split_messages(self._receive("read")):
                if answered != sequence:
                    continue
                if answer != netlink.NLMSG_ERROR:
                    return netlink.split_attributes(netlink.generic_payload(content))
                number = netlink.error_number(content)
                if number == errno.ENOENT:
                    return None
                raise KernelError("read", f"table inet {TABLE}", number or errno.EIO)

    def _send(self, data: bytes | bytearray, operation: str) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise KernelError(operation, f"table inet {TABLE}", error.errno or errno.EIO) from error

    def _receive(self, operation: str) -> bytes:
        try:
            return self._socket.recv(_RECEIVE_BYTES)
        except OSError as error:
            number = error.errno or errno.ETIMEDOUT
            raise KernelError(operation, f"table inet {TABLE}", number) from error

    def _drain(self) -> None:
        """Throw away further errors of a batch that has failed."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while self._socket.recv(_RECEIVE_BYTES):
                pass
        self._socket.settimeout(_REPLY_TIMEOUT_S)
