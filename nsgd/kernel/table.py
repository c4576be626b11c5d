"""nsgd's nftables table: one socket that owns it, one transaction for each change.

The table is owned and persistent where the kernel can do that: nobody else can flush or edit
it, and it stays when the daemon dies (docs/adr/0002-owned-table.md).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain as joined
from types import TracebackType

from nsgd.kernel.barrier import wait_for_packets
from nsgd.kernel.error import KernelError
from nsgd.kernel.netfilter import NETLINK_NETFILTER, SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_NETLINK
from nsgd.ruleset import batch, commands, diff, physical
from nsgd.ruleset.describe import describe_message
from nsgd.ruleset.objects import TABLE, NftRule, Ruleset
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.statements import Queue
from nsgd.ruleset.written import Present, Written
from nsgd.wire import netlink

_NETLINK_CAP_ACK = 10
_SEND_BUFFER_BYTES = 64 << 20
_RECEIVE_BYTES = 1 << 18
_REPLY_TIMEOUT_S = 30.0
_PACKETS = struct.Struct(">Q")
_OWNED = batch.TABLE_OWNER | batch.TABLE_PERSIST


class NftTable:
    """The table of this network namespace.

    Raises KernelError from every method; the kernel's content is then what it was before.
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
        self._flags: int | None = None
        self._written: Written | None = None
        self._epoch: str | None = None
        self._garbage: Iterable[commands.Message] | None = None

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

    @property
    def port_id(self) -> int:
        """What the kernel calls this socket in all that it announces of it (RulesetMonitor)."""
        return int(self._socket.getsockname()[0])

    def has_queue_statement(self) -> bool:
        """Tell whether this kernel has nftables' own queue statement."""
        try:
            self._transact(batch.queue_probe(NftRule((Queue(0, native=True),))), "probe")
        except KernelError as error:
            if error.number in (errno.ENOENT, errno.EOPNOTSUPP):
                return False
            raise
        return True

    def apply(self, desired: Ruleset) -> bool:
        """Make the table hold *desired*, by nsgd.ruleset.diff; False where it did already.

        The first call takes the table over. EPERM then means that another process owns it.
        """
        self.tidy()
        if self._written is not None:
            change = diff.change_ruleset(self._written, desired)
            is_changed = self._make(change)
        else:
            try:
                self._replace(desired, self._flags if self._flags is not None else _OWNED)
            except KernelError as error:
                # An older kernel does not know the flags; a plain table cannot be given them later
                # without deleting it, which would drop queued packets.
                unknown = (errno.EOPNOTSUPP, errno.EINVAL)
                if self._flags is not None or error.number not in unknown:
                    raise
                self._replace(desired, 0)
            is_changed = True
        return is_changed

    def epoch(self) -> str:
        """The epoch for the names of sets of the next ruleset (nsgd.ruleset.physical)."""
        if self._epoch is None:
            self._epoch = physical.next_epoch(self._set_names())
        return self._epoch

    def forget(self) -> None:
        """Somebody else has changed the table: the next apply() writes all of it."""
        self._written = self._epoch = None
        self._garbage = None

    def tidy(self) -> None:
        """Delete what the last change has left over, once no packet can be in it any more."""
        garbage, self._garbage = self._garbage, None
        if garbage is not None:
            wait_for_packets()
            try:
                self._transact(garbage, "clean")
            except KernelError:
                self.forget()
                raise

    def _replace(self, desired: Ruleset, flags: int) -> None:
        self._make(replace_ruleset(desired, self.present(), flags))
        self._flags = flags

    def _make(self, change: diff.Change) -> bool:
        """Carry out a change; what it leaves over is for tidy()."""
        is_changed = False
        try:
            last = change.switch
            if change.is_at_once:
                # A transaction takes as long as the whole table is large.
                last = joined(change.prepare, change.switch)
            else:
                for part in batch.parts(change.prepare):
                    is_changed |= self._transact(part, "write")
            is_changed |= self._transact(last, "write")
        except KernelError:
            self._leave_as_it_was()
            raise
        self._written = change.written
        if is_changed:
            self._garbage = change.clean
        return is_changed

    def _leave_as_it_was(self) -> None:
        """Delete what a refused change has put beside; the rules in force never met it."""
        before = self._written
        if before is None:
            # Whatever is there: the next apply() writes all of it.
            self.forget()
            return
        try:
            self._transact(diff.remove_others(before, self.present()), "clean")
        except KernelError:
            self.forget()

    def remove(self) -> bool:
        """Delete the table. Returns False where there was none."""
        try:
            self._transact(batch.delete_table(), "delete")
        except KernelError as error:
            if error.number == errno.ENOENT:
                return False
            raise
        return True

    def present(self) -> Present:
        """Names of what the table holds; sets that belong to a rule go with it."""
        chains: set[str] = set()
        base_chains: set[str] = set()
        for attributes in self._dump(commands.GETCHAIN):
            if _text(attributes.get(1)) == TABLE:
                hooked = base_chains if 4 in attributes else chains
                hooked.add(_text(attributes.get(3)))
        return Present(
            self._set_names(),
            frozenset(chains),
            frozenset(name for name, _ in self._objects(commands.OBJECT_LIMIT)),
            frozenset(name for name, _ in self._objects(commands.OBJECT_COUNTER)),
            frozenset(base_chains),
        )

    def _set_names(self) -> frozenset[str]:
        return frozenset(
            _text(attributes.get(2))
            for attributes in self._dump(commands.GETSET)
            if _text(attributes.get(1)) == TABLE
            and not int.from_bytes(attributes.get(3, b"")) & commands.SET_ANONYMOUS
        )

    def read_counters(self) -> dict[str, int]:
        """Packets of each named counter."""
        counters = {}
        for name, data in self._objects(commands.OBJECT_COUNTER):
            packets = netlink.split_attributes(data).get(2, b"")
            if len(packets) == 8:
                counters[name] = int(_PACKETS.unpack(packets)[0])
        return counters

    def _objects(self, kind: int) -> Iterator[tuple[str, bytes]]:
        """Name and data of the table's counters or limits."""
        request = netlink.text(1, TABLE) + netlink.be32(3, kind)
        for attributes in self._dump(commands.GETOBJ, request):
            if _text(attributes.get(1)) == TABLE:
                yield _text(attributes.get(2)), attributes.get(4, b"")

    def _transact(self, messages: Iterable[commands.Message], operation: str) -> bool:
        """One transaction; False where there is nothing to do."""
        first = last = self._sequence + 1
        # One buffer, which can be large: it is given back as a whole.
        data = bytearray(batch.bracket(netlink.NFNL_MSG_BATCH_BEGIN, 0, first))
        for command, flags, payload in messages:
            last += 1
            kind = netlink.nft_message_type(command)
            data += netlink.message(kind, flags, last, commands.FAMILY_INET, payload)
        if last == first:
            return False
        last += 1
        data += batch.bracket(netlink.NFNL_MSG_BATCH_END, netlink.NLM_F_ACK, last)
        self._sequence = last
        self._send(data, operation)
        # Each failing message gives an error; a good batch gives one acknowledgement of its end.
        while True:
            for kind, sequence, payload in netlink.split_messages(self._receive(operation)):
                if kind != netlink.NLMSG_ERROR or not first <= sequence <= last:
                    continue
                number = netlink.error_number(payload)
                if number:
                    self._drain()
                    raise KernelError(operation, describe_message(bytes(data), sequence), number)
                if sequence == last:
                    return True

    def _dump(self, command: int, payload: bytes = b"") -> list[dict[int, bytes]]:
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


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")
