"""nsgd's nftables table: one socket that owns it, one transaction for each change.

The table is owned and persistent where the kernel can do that: nobody else can flush or edit
it, and it stays when the daemon dies (docs/adr/0002-owned-table.md).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from itertools import chain as joined
from types import TracebackType

from nsgd.kernel.barrier import wait_for_packets
from nsgd.kernel.error import KernelError, UnansweredError
from nsgd.kernel.table_contents import NftContents
from nsgd.ruleset import batch, carry, commands, diff, encode, physical
from nsgd.ruleset.names import is_interface_count
from nsgd.ruleset.objects import NftRule, Ruleset, no_counters
from nsgd.ruleset.replace import replace_ruleset, take_back
from nsgd.ruleset.statements import Queue
from nsgd.ruleset.written import Written

_OWNED = batch.TABLE_OWNER | batch.TABLE_PERSIST
# Each is asked for its rules.
_MOST_REFILLED = 64


class NftTable(NftContents):
    """The table of this network namespace.

    Raises KernelError from every method; the kernel's content is then what it was before, but for
    UnansweredError, after which it is not known.
    """

    def __init__(self) -> None:
        super().__init__()
        self._flags: int | None = None
        self._written: Written | None = None
        self._epoch: str | None = None
        self._garbage: Iterable[commands.Message] | None = None
        self._ending: frozenset[str] = frozenset()  # sets that go with it, and count till then
        # The rules of chains to which a change puts others behind, until it deletes them.
        self._old_rules: dict[str, list[bytes]] = {}
        self._carried: carry.Counts | None = None  # what elements that are gone have counted
        self._spare_counters: Callable[[], Collection[str]] = no_counters

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

    @property
    def is_known(self) -> bool:
        """Tell whether it is known what the table holds: not before apply(), nor after forget()."""
        return self._written is not None

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

    def apply(self, desired: Ruleset, before_switch: Callable[[], None] = lambda: None) -> bool:
        """Make the table hold *desired*, by nsgd.ruleset.diff; False where it did already.

        The first call takes the table over. EPERM then means that another process owns it.
        *before_switch* is called before rules in force change, and by the first call as late as
        that; what it raises is raised, and the rules stay.
        """
        self.tidy()
        self._spare_counters = desired.spare_counters
        if self._written is not None:
            before_switch()
            change = diff.change_ruleset(self._written, desired)
            is_changed = self._make(change)
        else:
            try:
                flags = self._flags if self._flags is not None else _OWNED
                self._replace(desired, flags, before_switch)
            except KernelError as error:
                # An older kernel does not know the flags; a plain table cannot be given them later
                # without deleting it, which would drop queued packets.
                unknown = (errno.EOPNOTSUPP, errno.EINVAL)
                if self._flags is not None or error.number not in unknown:
                    raise
                # Nothing says whose it is, but that what is waited for is nobody else's.
                before_switch()
                self._replace(desired, 0)
            is_changed = True
        return is_changed

    def epoch(self) -> str:
        """The epoch for the names of sets of the next ruleset (nsgd.ruleset.physical)."""
        if self._epoch is None:
            self._epoch = physical.next_epoch(self.set_names())
        return self._epoch

    def forget(self) -> None:
        """Somebody else has changed the table: the next apply() writes all of it."""
        self._written = self._epoch = None
        self._garbage = self._carried = None

    def tidy(self) -> bool:
        """Delete what the last change has left over, once no packet can be in it any more.

        False where there was no change since the last call.
        """
        garbage, self._garbage = self._garbage, None
        if garbage is None:
            return False
        wait_for_packets()
        try:
            carrying, after = self._carrying(self.element_counts(self._ending))
            # A table of earlier versions has maps to counters that are counts to be carried now.
            self._transact(joined(garbage, carrying), "clean")
        except KernelError:
            self.forget()
            raise
        self._carried = after
        return True

    def _replace(
        self, desired: Ruleset, flags: int, before_switch: Callable[[], None] = lambda: None
    ) -> None:
        before = self.present()
        try:
            self._make(replace_ruleset(desired, before, flags), before_switch)
        except BaseException:
            self.forget()
            with suppress(KernelError):  # nor had it taken any of it
                self._transact(take_back(before, self.present()), "clean")
            raise
        self._flags = flags

    def _make(self, change: diff.Change, before_switch: Callable[[], None] = lambda: None) -> bool:
        """Carry out a change; what it leaves over is for tidy()."""
        self._old_rules = {}
        try:
            if change.losing:
                is_changed = self._make_and_carry(change)
            else:
                is_changed = self._transact_each(self._steps(change, before_switch), "write")
        except UnansweredError:
            self.forget()
            raise
        except KernelError:
            self._leave_as_it_was()
            raise
        self._written = change.written
        # Counters of an interface may go where no rule or set is another.
        if is_changed or change.clean or self._has_unwanted():
            self._garbage, self._ending = change.clean, change.ending
        return is_changed

    def _has_unwanted(self) -> bool:
        if not self._carried:
            return False
        wanted = self._spare_counters()
        return any(name not in wanted for name in self._carried)

    def _make_and_carry(self, change: diff.Change) -> bool:
        """What elements have counted that the switch deletes goes on in named counters.

        Packets between the look at them and the switch, a millisecond or two, are not in it.
        """
        self._transact_each(batch.parts(change.prepare), "write")
        switch = list(change.switch)
        carrying, after = self._carrying(self.element_counts(change.losing, change.losing))
        self._transact(joined(carrying, switch), "write")
        self._carried = after
        return True

    def _carrying(self, ended: carry.Counts) -> tuple[list[commands.Message], carry.Counts]:
        """How named counters take over what elements have counted, and what they hold then."""
        if self._carried is None:
            self._carried = {
                name: carry.read_counter(data) or carry.NOTHING
                for name, data in self.objects(commands.OBJECT_COUNTER)
                if is_interface_count(name)
            }
        if not ended and not self._carried:
            return [], {}
        # As long as the interface is declared, also while its packets are the worker's to count.
        return carry.carry(self._carried, ended, self._spare_counters())

    def _steps(
        self, change: diff.Change, before_switch: Callable[[], None]
    ) -> Iterator[Iterable[commands.Message]]:
        """What is put beside, in parts, and the switch: in the last part's transaction, if it may.

        A transaction takes as long as the whole table is large, but for one that only deletes.
        """
        if change.is_at_once:
            *first, last = batch.parts(change.prepare)
            yield from first
            yield joined(last, change.switch)
            return
        prepare, switch = change.prepare, change.switch
        if 0 < len(change.refilled) <= _MOST_REFILLED:
            self._old_rules = self.rule_handles(change.refilled)
            prepare, switch = joined(prepare, change.behind), encode.delete_rules(self._old_rules)
        yield from batch.parts(prepare)
        yield ()  # none is under way any more, nor refused
        before_switch()
        yield switch

    def _leave_as_it_was(self) -> None:
        """Delete what a refused change has put beside; the rules in force never met it."""
        before = self._written
        if before is None:
            return  # _replace() does
        try:
            there = self.rule_handles(self._old_rules)
            if any(not set(old) <= set(there[chain]) for chain, old in self._old_rules.items()):
                # Others have deleted some: without those behind them, packets would meet no rule
                # at all.
                self.forget()
                return
            behind = {
                chain: [each for each in handles if each not in self._old_rules[chain]]
                for chain, handles in there.items()
            }
            others = diff.remove_others(before, self.present())
            self._transact(joined(encode.delete_rules(behind), others), "clean")
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
