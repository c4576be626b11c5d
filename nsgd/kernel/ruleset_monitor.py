"""Notices what others do to nftables: to nsgd's table, and to base chains, whose end drops packets.

The kernel unregisters the hook of a base chain that is deleted, and then drops whatever waits in
any queue of the network namespace; nothing else tells of it.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from nsgd.kernel.error import KernelError
from nsgd.kernel.netfilter import NETLINK_NETFILTER, SO_RCVBUFFORCE, SOL_NETLINK
from nsgd.ruleset import commands
from nsgd.ruleset.objects import TABLE
from nsgd.wire import netlink, nft_events
from nsgd.wire.nft_events import Change, NftChainName, NftEvent, NftGeneration, NftObject

_SO_ATTACH_FILTER = 26
_NETLINK_ADD_MEMBERSHIP = 1
_RECEIVE_BUFFER_BYTES = 8 << 20
_RECEIVE_BYTES = 1 << 18
# A flood must not keep the caller from its other work; what is left wakes it again.
_DATAGRAMS_PER_READ = 1024
_DUMP_ATTEMPTS = 8
_DUMP_TIMEOUT_S = 10.0
_KERNEL = 0  # the port id of the kernel's own messages
_PORT_ID_OFFSET = 12  # in the netlink header
# Classic BPF: load a word, jump if equal, return.
_BPF_LOAD_WORD, _BPF_JUMP_EQUAL, _BPF_RETURN = 0x20, 0x15, 0x06

# Handles are unique within a table, and a table within its family.
_ChainKey = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who sent a transaction, as the kernel tells it: for people, not to decide by."""

    program: str  # chosen by the program itself; empty for the kernel
    process_id: int  # of the thread, in the initial PID namespace; 0 for the kernel


@dataclass(frozen=True, slots=True)
class RulesetChanges:
    """What others did since the last read."""

    changed_by: tuple[Writer, ...] = ()  # to nsgd's table; each once, in order
    # Announcements were lost or not understood: anything may have changed, by anyone.
    is_unknown: bool = False
    # At some time, even where the table has been made again since: what it held is gone.
    is_table_deleted: bool = False
    # Of other tables, or a link taken from one; at least as many where is_unknown.
    base_chains_deleted: int = 0

    @property
    def is_changed(self) -> bool:
        """Tell whether nsgd's table may no longer be what nsgd wrote."""
        return bool(self.changed_by) or self.is_unknown


@dataclass(slots=True)
class _Found:
    """The changes while they are being read."""

    changed_by: dict[Writer, None] = field(default_factory=dict)
    is_unknown: bool = False
    is_table_deleted: bool = False
    base_chains_deleted: int = 0


class RulesetMonitor:
    """A descriptor that becomes readable when another socket has changed nftables.

    Own transactions are told by the port id of the socket that sent them, which every message
    carries and which is unique in the network namespace while that socket is open. The process id
    would not do: the kernel gives the thread's, in the initial PID namespace. So another socket of
    this process counts as another's: only the one that owns the table has any business in it.

    Not announced at all, hence not seen (Linux 6.18): the end of a table whose owner closed its
    socket without the flag "persist", and the end of a link that a chain is hooked to. Not counted
    among base chains: those of a table that is made dormant.

    Raises KernelError from the constructor and read(), both for the same network namespace.
    """

    def __init__(self, receive_buffer_bytes: int = _RECEIVE_BUFFER_BYTES) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
        )
        self._ignored_port_id = _KERNEL
        # By the port id of a transaction whose end has not come yet: whether it deleted the table.
        self._unfinished: dict[int, bool] = {}
        self._is_behind = False
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer_bytes)
            self._socket.bind((0, 0))
            self._socket.setsockopt(
                SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, nft_events.MULTICAST_GROUP
            )
            # Subscribed first: a change during the dump is told again, and noting it twice is
            # noting it once.
            self._base_chains = _read_base_chains()
        except OSError as error:
            self._socket.close()
            raise KernelError("watch", "nftables", error.errno or errno.EIO) from error
        except KernelError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def read(self, own_port_id: int) -> RulesetChanges:
        """What was announced since the last call, without waiting for more.

        *own_port_id* is NftTable.port_id. Call once before that socket's first transaction: from
        then on the kernel does not even queue what it announces of that socket, so that a large
        ruleset of our own cannot overflow the buffer.

        A flood is read in parts. A transaction is reported with its end, in the read that gets it.
        """
        found = _Found()
        try:
            self._ignore(own_port_id)
            for _ in range(_DATAGRAMS_PER_READ):
                data = self._receive(found)
                if data is None:
                    self._catch_up(found)
                    break
                for event in nft_events.parse_events(data):
                    self._note(event, own_port_id, found)
        except OSError as error:
            raise KernelError("watch", "nftables", error.errno or errno.EIO) from error
        return RulesetChanges(
            tuple(found.changed_by),
            found.is_unknown or self._is_behind,
            found.is_table_deleted,
            found.base_chains_deleted,
        )

    def _ignore(self, port_id: int) -> None:
        """Have the kernel leave out what it announces of a socket.

        A datagram holds messages of one transaction only, so its first message speaks for all.
        """
        if port_id == self._ignored_port_id:
            return
        # The kernel loads words as big endian, and the header is in host order.
        loaded = socket.htonl(port_id)
        program = b"".join(
            struct.pack("=HBBI", *instruction)
            for instruction in (
                (_BPF_LOAD_WORD, 0, 0, _PORT_ID_OFFSET),
                (_BPF_JUMP_EQUAL, 0, 1, loaded),
                (_BPF_RETURN, 0, 0, 0),
                (_BPF_RETURN, 0, 0, 0xFFFFFFFF),
            )
        )
        held = ctypes.create_string_buffer(program, len(program))
        pointed = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointed)
        self._ignored_port_id = port_id

    def _receive(self, found: _Found) -> bytes | None:
        """The next datagram of the kernel, empty where there is nothing to read in it."""
        try:
            data, _, flags, sender = self._socket.recvmsg(_RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._lose(found)
            return b""
        # Other privileged programs can send to a group as well.
        if sender[0] != _KERNEL:
            return b""
        if flags & socket.MSG_TRUNC:
            self._lose(found)
            return b""
        return data

    def _note(
        self, event: NftEvent | NftGeneration | None, own_port_id: int, found: _Found
    ) -> None:
        if event is None:
            self._lose(found)
        elif event.port_id == own_port_id:
            return
        elif isinstance(event, NftGeneration):
            self._finish(event.port_id, Writer(event.program, event.process_id), found)
        elif event.family == commands.FAMILY_INET and event.table == TABLE:
            is_deletion = event.change is Change.DELETE and event.kind is NftObject.TABLE
            former = self._unfinished.get(event.port_id, False)
            self._unfinished[event.port_id] = former or is_deletion
            if event.port_id == _KERNEL:
                # No transaction, so no end of one. Seen only of a quota used up (Linux 6.18),
                # which bears the packet's family and so never ours.
                self._finish(_KERNEL, Writer("", 0), found)
        elif event.chain is not None:
            self._note_chain(event, event.chain, found)

    def _finish(self, port_id: int, writer: Writer, found: _Found) -> None:
        is_deletion = self._unfinished.pop(port_id, None)
        if is_deletion is not None:
            found.changed_by[writer] = None
            found.is_table_deleted |= is_deletion

    def _note_chain(self, event: NftEvent, chain: NftChainName, found: _Found) -> None:
        key = event.family, event.table, chain.handle
        if event.change is Change.DELETE:
            if key in self._base_chains:
                found.base_chains_deleted += 1
            if not chain.has_hook:
                self._base_chains.discard(key)
        elif chain.has_hook:
            self._base_chains.add(key)
        else:
            # A table made again counts its handles anew, and its end may not have been announced.
            self._base_chains.discard(key)

    def _lose(self, found: _Found) -> None:
        found.is_unknown = True
        self._is_behind = True
        self._unfinished.clear()

    def _catch_up(self, found: _Found) -> None:
        """Look for the base chains again after a loss, once all that came before it is read."""
        if not self._is_behind:
            return
        found.is_unknown = True
        try:
            present = _read_base_chains()
        except KernelError:
            # Tried again at the next read, which says "unknown" until it succeeds.
            return
        found.base_chains_deleted += len(self._base_chains - present)
        self._base_chains = present
        self._is_behind = False


def _read_base_chains() -> set[_ChainKey]:
    """Every base chain of other tables, in every family. Raises KernelError."""
    for _ in range(_DUMP_ATTEMPTS):
        found = set()
        is_whole = True
        for message in _dump_chains():
            # The ruleset changed meanwhile, and chains may have been left out.
            is_whole &= not message.flags & nft_events.NLM_F_DUMP_INTR
            if message.kind == netlink.NLMSG_DONE:
                continue
            event = nft_events.parse_event(message)
            if not isinstance(event, NftEvent) or event.chain is None:
                raise KernelError("read", "chains", errno.EBADMSG)
            is_own = event.family == commands.FAMILY_INET and event.table == TABLE
            if event.chain.has_hook and not is_own:
                found.add((event.family, event.table, event.chain.handle))
        if is_whole:
            return found
    raise KernelError("read", "chains", errno.EINTR)


def _dump_chains() -> Iterator[nft_events.NetlinkMessage]:
    """The answer with its end. A socket of its own: announcements may have filled the other."""
    request = netlink.message(
        netlink.nft_message_type(commands.GETCHAIN), netlink.NLM_F_DUMP, 1, socket.AF_UNSPEC
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as channel:
        try:
            channel.settimeout(_DUMP_TIMEOUT_S)
            channel.send(request)
            while True:
                data, sender = channel.recvfrom(_RECEIVE_BYTES)
                if sender[0] != _KERNEL:
                    continue
                for message in nft_events.iterate_messages(data):
                    if message is None:
                        raise KernelError("read", "chains", errno.EBADMSG)
                    if message.kind in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
                        number = netlink.error_number(message.payload)
                        if number:
                            raise KernelError("read", "chains", number)
                    yield message
                    if message.kind == netlink.NLMSG_DONE:
                        return
        except OSError as error:
            raise KernelError("read", "chains", error.errno or errno.ETIMEDOUT) from error
