"""Counts the first packets that the worker decides by the network interfaces at their two ends.

The sender's counts as allowed where the rules of its side let it pass, whatever the receiver's then
say; the receiver's where its own are asked. It is what the kernel engine counts in nftables.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.model.decision import Reason
from nsgd.model.rule import Access, Direction
from nsgd.policy.address_set import Range
from nsgd.policy.differences import steps_between
from nsgd.policy.endpoints import NOT_DECLARED
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import NO_SLOT, SharedCounters
from nsgd.runtime.paged_ends import PagedEnds
from nsgd.runtime.worker_policy import WorkerPolicy
from nsgd.wire.packet import Fields

# The area of the sender's counts, and of the receiver's; None where that side is not counted.
_Areas = tuple[int | None, int | None]
_SENT = {access: cell.NICS[Direction.OUTBOUND, access] for access in Access}
_RECEIVED = {access: cell.NICS[Direction.INBOUND, access] for access in Access}
_NEITHER: _Areas = None, None
_BOTH_ALLOWED: _Areas = _SENT[Access.ALLOW], _RECEIVED[Access.ALLOW]
# By the cell of flows that an outcome counts in. A flow without one is not counted, or its ends
# are not known.
_AREAS: Mapping[int, _Areas] = {
    cell.FLOWS[direction, access, reason]: areas
    for direction, access, reasons, areas in (
        (Direction.OUTBOUND, Access.ALLOW, (Reason.RULE,), _BOTH_ALLOWED),
        (Direction.INBOUND, Access.ALLOW, (Reason.RULE, Reason.NO_NSG), _BOTH_ALLOWED),
        *(
            (direction, Access.DENY, (Reason.RULE, Reason.UNSUPPORTED_PROTOCOL), areas)
            for direction, areas in (
                (Direction.OUTBOUND, (_SENT[Access.DENY], None)),
                (Direction.INBOUND, (_SENT[Access.ALLOW], _RECEIVED[Access.DENY])),
            )
        ),
    )
    for reason in reasons
}


class Links(Protocol):
    """The links of a queued packet by their indexes; 0 for none."""

    @property
    def indev(self) -> int:
        """By which it came."""

    @property
    def outdev(self) -> int:
        """By which it will leave."""


# Counts a packet by its IPv4 addresses and its links.
CountNics = Callable[[int, int, Links], None]
# How packets like this one are counted; the classes are those of its addresses.
Ways = Callable[[Fields, int, int, Sequence[int]], "Way"]
# Names a link by its index.
NameOf = Callable[[int], str | None]
# The slots of the two ends; None for one that its address tells.
_Ends = tuple[int | None, int | None]


class Way(NamedTuple):
    """How packets that are decided alike are counted."""

    # Areas to count in by the slots that the addresses have, NO_SLOT too; None: not on that side.
    sent: int | None
    received: int | None
    by_links: CountNics | None  # where the addresses do not tell


_NO_WAY = Way(None, None, None)


class NicCounts:
    """The interfaces of one policy, by link and by address."""

    def __init__(self, worker_policy: WorkerPolicy, counters: SharedCounters) -> None:
        self._map = worker_policy.policy.endpoint_map
        self.is_counted = bool(worker_policy.nic_slots)
        self._is_host_only = worker_policy.is_host_only
        self._cells = counters.nics
        # Interfaces are the last of all endpoints.
        others = len(self._map.endpoints) - len(worker_policy.nic_slots)
        self._slots: Sequence[int] = (*(NO_SLOT,) * others, *worker_policy.nic_slots)
        self._by_link = {link: self._slots[index] for link, index in self._map.by_link.items()}
        self.ends_v4 = self._paged(worker_policy)
        self._slot_of: Mapping[IPVersion, Callable[[int], int | None]] = {
            4: self.ends_v4.find_slot,
            6: self._addresses(6, 0, 1 << ADDRESS_BITS[6]).get,
        }

    def changed(self, worker_policy: WorkerPolicy, differing: Sequence[Range] | None) -> NicCounts:
        """Those of another policy with the same endpoint map, slots and roles.

        Args:
            worker_policy: The policy.
            differing: The IPv4 addresses whose class is another one than here; None where they are
                not known, or are too many.
        """
        made = copy.copy(self)
        ends = None
        if differing is not None:
            addresses = partial(self._addresses, 4)
            ends = self.ends_v4.changed(*worker_policy.address_classes[4], differing, addresses)
        made.ends_v4 = ends or self._paged(worker_policy)
        made._slot_of = {**self._slot_of, 4: made.ends_v4.find_slot}
        return made

    def _paged(self, worker_policy: WorkerPolicy) -> PagedEnds:
        addresses = self._addresses(4, 0, 1 << ADDRESS_BITS[4])
        return PagedEnds(*worker_policy.address_classes[4], addresses)

    def _addresses(self, version: IPVersion, low: int, high: int) -> dict[int, int]:
        """The slots of addresses from one on up to another, which is not among them."""
        step_map = self._map.starts[version], self._map.values[version]
        return {
            address: self._slots[value]
            for start, end, value in steps_between(step_map, low, high)
            if value > NOT_DECLARED and self._slots[value] != NO_SLOT
            for address in range(start, end)
        }

    def count(
        self,
        packet: Fields,
        in_link: str | None,
        out_link: str | None,
        counted: Sequence[int],
    ) -> None:
        """Count a packet of its flow's original direction; *counted* are its outcome's cells."""
        sent, received = _areas(counted)
        if sent is None and received is None:
            return
        sender, receiver = self._ends(packet[0], packet[2], packet[3], in_link, out_link)
        if sender and sent is not None:
            self._cells[sent + sender] += 1
        if receiver and received is not None:
            self._cells[received + receiver] += 1

    def ways(self, name: NameOf) -> Ways:
        """How packets are counted that come after one another and are decided alike.

        Args:
            name: For as long as no link changes.

        Returns:
            A function of the first of such packets, which is of IPv4, the classes of its addresses,
            and its outcome's cells.
        """
        tells_by_addresses = not (self._by_link or self._is_host_only or self._map.ambiguities)
        made: dict[_Areas, CountNics] = {}
        # By class: addresses of one class are declared, or none of them is.
        known: dict[int, bool] = {}

        def is_declared(of_class: int, address: int) -> bool:
            found = known.get(of_class)
            if found is None:
                found = known[of_class] = self._map.by_address(4, address) != NOT_DECLARED
            return found

        def of_alike(
            packet: Fields, source_class: int, destination_class: int, counted: Sequence[int]
        ) -> Way:
            if not self.is_counted:
                return _NO_WAY
            sent, received = _areas(counted)
            if tells_by_addresses:
                # What is decided alike has declared addresses on the same sides.
                if not is_declared(source_class, packet[2]):
                    sent = None
                if not is_declared(destination_class, packet[3]):
                    received = None
                return Way(sent, received, None)
            areas = sent, received
            if areas == _NEITHER:
                return _NO_WAY
            count = made.get(areas)
            if count is None:
                make = self._in_full if self._map.ambiguities else self._by_links
                count = made[areas] = make(name, sent, received)
            return Way(None, None, count)

        return of_alike

    def _by_links(self, name: NameOf, sent: int | None, received: int | None) -> CountNics:
        cells, slot_of = self._cells, self.ends_v4.find_slot
        pairs: dict[tuple[int, int], _Ends] = {}

        def count(source: int, destination: int, links: Links) -> None:
            pair = links.indev, links.outdev
            ends = pairs.get(pair)
            if ends is None:
                ends = pairs[pair] = self._ends_by_link(name(pair[0]), name(pair[1]))
            sender, receiver = ends
            if sent is not None:
                if sender is None:
                    sender = slot_of(source)
                if sender:
                    cells[sent + sender] += 1
            if received is not None:
                if receiver is None:
                    receiver = slot_of(destination)
                if receiver:
                    cells[received + receiver] += 1

        return count

    def _in_full(self, name: NameOf, sent: int | None, received: int | None) -> CountNics:
        cells = self._cells

        def count(source: int, destination: int, links: Links) -> None:
            in_link, out_link = name(links.indev), name(links.outdev)
            sender, receiver = self._ends(4, source, destination, in_link, out_link)
            if sender and sent is not None:
                cells[sent + sender] += 1
            if receiver and received is not None:
                cells[received + receiver] += 1

        return count

    def _ends_by_link(self, in_link: str | None, out_link: str | None) -> _Ends:
        by_link = self._by_link
        if not self._is_host_only:
            return by_link.get(in_link or ""), by_link.get(out_link or "")
        # One end is the machine's, and nobody else's is asked. Where the links do not tell which,
        # both are, by their addresses.
        if (in_link is None) == (out_link is None):
            return None, None
        own = by_link.get(in_link or out_link or "")
        return (NO_SLOT, own) if out_link is None else (own, NO_SLOT)

    def _ends(
        self,
        version: IPVersion,
        source: int,
        destination: int,
        in_link: str | None,
        out_link: str | None,
    ) -> tuple[int | None, int | None]:
        """The slots of both ends, of the endpoints that nsgd.policy.evaluate finds."""
        sender, receiver = self._ends_by_link(in_link, out_link)
        if self._map.ambiguities and not self._is_host_only:
            found = self._map.find(version, source, destination, in_link, out_link)
            sender, receiver = (NO_SLOT if end < 0 else self._slots[end] for end in found)
            return sender, receiver
        slot_of = self._slot_of[version]
        if sender is None:
            sender = slot_of(source)
        if receiver is None:
            receiver = slot_of(destination)
        return sender, receiver


def _areas(counted: Sequence[int]) -> _Areas:
    # A flow's cell is one of the last.
    for index in reversed(counted):
        if index in _AREAS:
            return _AREAS[index]
    return _NEITHER
