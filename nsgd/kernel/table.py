"""nsgd's nftables table: one socket that owns it, one transaction for each change.

The table is owned and persistent where the kernel can do that: nobody else can flush or edit
it, and it stays when the daemon dies (docs/adr/0002-owned-table.md).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from nsgd.kernel.error import KernelError
from nsgd.ruleset import batch
from nsgd.ruleset.objects import TABLE, NftRule, Ruleset
from nsgd.ruleset.statements import Queue
from nsgd.wire import netlink

_NETLINK_NETFILTER = 12
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_SEND_BUFFER_BYTES = 64 << 20
_RECEIVE_BYTES = 1 << 18
_REPLY_TIMEOUT_S = 30.0


class NftTable:
    """The table of this network namespace.

    Raises KernelError from every method; the kernel's content is then what it was before.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        try:
            self._socket.settimeout(_REPLY_TIMEOUT_S)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            # A batch is one datagram: without room for it the send fails with EMSGSIZE.
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
            self._socket.bind((0, 0))
        except OSError as error:
            self._socket.close()
            raise KernelError("open", "nftables", error.errno or errno.EIO) from error
        self._sequence = 0
        self._flags: int | None = None

    def __enter__(self) -> NftTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up ownership; a persistent table and its rules stay."""
        self._socket.close()

    @property
    def is_owned(self) -> bool:
        """Tell whether the table was made owned and persistent by this socket."""
        return bool(self._flags)

    def has_queue_statement(self) -> bool:
        """Tell whether this kernel has nftables' own queue statement."""
        try:
            self._transact(batch.queue_probe(NftRule((Queue(0, native=True),))), "probe")
        except KernelError as error:
            if error.number in (errno.ENOENT, errno.EOPNOTSUPP):
                return False
            raise
        return True

    def apply(self, desired: Ruleset) -> None:
        """Make the table hold *desired*, in one transaction.

        The first call takes the table over. EPERM then means that another process owns it.
        """
        present = self.present()
        if self._flags is not None:
            self._transact(batch.replace_ruleset(desired, present, self._flags), "write")
            return
        flags = batch.TABLE_OWNER | batch.TABLE_PERSIST
        try:
            self._transact(batch.replace_ruleset(desired, present, flags), "write")
        except KernelError as error:
            # An older kernel does not know the flags; a plain table cannot be given them later
            # without deleting it, which would drop queued packets.
            if error.number not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            flags = 0
            self._transact(batch.replace_ruleset(desired, present, flags), "write")
        self._flags = flags

    def remove(self) -> bool:
        """Delete the table. Returns False where there was none."""
        try:
            self._transact(batch.delete_table(), "delete")
        except KernelError as error:
            if error.number == errno.ENOENT:
                return False
            raise
        return True

    def present(self) -> batch.Present:
        """Names of the table's sets and of its chains that have no hook."""
        sets = set()
        for attributes in self._dump(batch.GETSET):
            if _text(attributes.get(1)) == TABLE:
                sets.add(_text(attributes.get(2)))
        chains = set()
        for attributes in self._dump(batch.GETCHAIN):
            if _text(attributes.get(1)) == TABLE and 4 not in attributes:
                chains.add(_text(attributes.get(3)))
        return batch.Present(frozenset(sets), frozenset(chains))

    def read_counters(self) -> dict[str, int]:
        """Packets of each named counter."""
        counters = {}
        request = netlink.text(1, TABLE) + netlink.be32(3, batch.OBJECT_COUNTER)
        for attributes in self._dump(batch.GETOBJ, request):
            if _text(attributes.get(1)) != TABLE:
                continue
            data = netlink.split_attributes(attributes.get(4, b""))
            packets = data.get(2, b"")
            if len(packets) == 8:
                counters[_text(attributes.get(2))] = int(struct.unpack(">Q", packets)[0])
        return counters

    def _transact(self, messages: Sequence[batch.Message], operation: str) -> None:
        first = self._sequence + 1
        parts = [
            netlink.message(
                netlink.NFNL_MSG_BATCH_BEGIN, 0, first, 0, resource=netlink.NFNL_SUBSYS_NFTABLES
            )
        ]
        for sequence, (command, flags, payload) in enumerate(messages, start=first + 1):
            kind = netlink.nft_message_type(command)
            parts.append(netlink.message(kind, flags, sequence, batch.FAMILY_INET, payload))
        last = first + len(messages) + 1
        parts.append(
            netlink.message(
                netlink.NFNL_MSG_BATCH_END,
                netlink.NLM_F_ACK,
                last,
                0,
                resource=netlink.NFNL_SUBSYS_NFTABLES,
            )
        )
        self._sequence = last
        self._send(b"".join(parts), operation)
        # Each failing message gives an error; a good batch gives one acknowledgement of its end.
        while True:
            for kind, sequence, payload in netlink.split_messages(self._receive(operation)):
                if kind != netlink.NLMSG_ERROR or not first <= sequence <= last:
                    continue
                number = netlink.error_number(payload)
                if number:
                    self._drain()
                    raise KernelError(operation, _describe(messages, sequence - first), number)
                if sequence == last:
                    return

    def _dump(self, command: int, payload: bytes = b"") -> list[dict[int, bytes]]:
        self._sequence += 1
        sequence = self._sequence
        self._send(
            netlink.message(
                netlink.nft_message_type(command),
                netlink.NLM_F_DUMP,
                sequence,
                batch.FAMILY_INET,
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

    def _send(self, data: bytes, operation: str) -> None:
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


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")


_COMMANDS = {
    batch.NEWTABLE: "table",
    batch.DELTABLE: "table",
    batch.NEWCHAIN: "chain",
    batch.DELCHAIN: "chain",
    batch.NEWRULE: "rule of chain",
    batch.DELRULE: "rules of table",
    batch.NEWSET: "set",
    batch.DELSET: "set",
    batch.NEWSETELEM: "elements of set",
    batch.NEWOBJ: "counter",
}


def _describe(messages: Sequence[batch.Message], position: int) -> str:
    """Say which object of a batch was refused."""
    if not 1 <= position <= len(messages):
        return f"table inet {TABLE}"
    command, _, payload = messages[position - 1]
    attributes = netlink.split_attributes(payload)
    name = _text(attributes.get(3 if command in (batch.NEWCHAIN, batch.DELCHAIN) else 2))
    if command in (batch.NEWTABLE, batch.DELTABLE, batch.DELRULE):
        name = TABLE
    return f"{_COMMANDS.get(command, 'object')} {name} (message {position} of {len(messages)})"
