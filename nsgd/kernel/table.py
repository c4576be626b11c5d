"""nsgd's nftables table: one socket that owns it, one transaction for each change.

The table is owned and persistent where the kernel can do that: nobody else can flush or edit
it, and it stays when the daemon dies (docs/adr/0002-owned-table.md).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator
from itertools import chain as joined
from types import TracebackType

from nsgd.kernel.barrier import wait_for_packets
from nsgd.kernel.error import KernelError
from nsgd.kernel.nft_socket import NftSocket
from nsgd.ruleset import batch, commands, diff, physical
from nsgd.ruleset.objects import TABLE, NftRule, Ruleset
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.statements import Queue
from nsgd.ruleset.written import Present, Written
from nsgd.wire import netlink

_PACKETS = struct.Struct(">Q")
_OWNED = batch.TABLE_OWNER | batch.TABLE_PERSIST


class NftTable(NftSocket):
    """The table of this network namespace.

    Raises KernelError from every method; the kernel's content is then what it was before.
    """

    def __init__(self) -> None:
        super().__init__()
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

    @property
    def is_owned(self) -> bool:
        """Tell whether the table was made owned and persistent by this socket."""
        return bool(self._flags)

    def has_queue_statement(self) -> bool:
        """Tell whether this kernel has nftables' own queue statement."""
        return self.takes(batch.queue_probe(NftRule((Queue(0, native=True),))))

    def takes(self, probe: Iterable[commands.Message]) -> bool:
        """Tell whether this kernel has what a trial needs."""
        try:
            self._transact(probe, "probe")
        except KernelError as error:
            if error.number not in (errno.ENOENT, errno.EOPNOTSUPP, batch.TAKEN):
                raise
            return error.number == batch.TAKEN
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

    def tidy(self) -> bool:
        """Delete what the last change has left over, once no packet can be in it any more.

        False where there was no change since the last call.
        """
        garbage, self._garbage = self._garbage, None
        if garbage is None:
            return False
        wait_for_packets()
        try:
            self._transact(garbage, "clean")
        except KernelError:
            self.forget()
            raise
        return True

    def _replace(self, desired: Ruleset, flags: int) -> None:
        self._make(replace_ruleset(desired, self.present(), flags))
        self._flags = flags

    def _make(self, change: diff.Change) -> bool:
        """Carry out a change; what it leaves over is for tidy()."""
        try:
            is_changed = self._transact_each(self._steps(change), "write")
        except KernelError:
            self._leave_as_it_was()
            raise
        self._written = change.written
        if is_changed:
            self._garbage = change.clean
        return is_changed

    @staticmethod
    def _steps(change: diff.Change) -> Iterator[Iterable[commands.Message]]:
        """What is put beside, in parts, and the switch: in the last part's transaction, if it may.

        A transaction takes as long as the whole table is large.
        """
        if change.is_at_once:
            *first, last = batch.parts(change.prepare)
            yield from first
            yield joined(last, change.switch)
        else:
            yield from batch.parts(change.prepare)
            yield change.switch

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

    def read_counter(self, name: str) -> int:
        """Packets of one named counter; 0 where the table has none of this name."""
        request = netlink.text(1, TABLE) + netlink.text(2, name)
        found = self._look_up(commands.GETOBJ, request + netlink.be32(3, commands.OBJECT_COUNTER))
        data = netlink.split_attributes(found.get(4, b"")) if found is not None else {}
        packets = data.get(2, b"")
        return int(_PACKETS.unpack(packets)[0]) if len(packets) == 8 else 0

    def _objects(self, kind: int) -> Iterator[tuple[str, bytes]]:
        """Name and data of the table's counters or limits."""
        request = netlink.text(1, TABLE) + netlink.be32(3, kind)
        for attributes in self._dump(commands.GETOBJ, request):
            if _text(attributes.get(1)) == TABLE:
                yield _text(attributes.get(2)), attributes.get(4, b"")


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")
