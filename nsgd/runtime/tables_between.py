"""The tables that judge packets between two classes of addresses, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from nsgd.runtime.asked_sides import Said, Side, Sides, values_of
from nsgd.runtime.asked_tables import AskedTable
from nsgd.runtime.worker_lookups import Judges
from nsgd.wire.packet import Fields

_MOST_KNOWN = 16384  # some 10 MB


class TablesBetween:
    """The tables that judge IPv4 packets between two classes of addresses, in order.

    Of each is left what a packet's addresses and protocol do not tell; that is remembered.
    """

    def __init__(
        self,
        judges: Sequence[Judges | None],
        tables: Sequence[AskedTable],
        unasked: tuple[int, int],
    ) -> None:
        """Remember nothing yet.

        Args:
            judges: Says of each class of IPv4 addresses which tables judge it.
            tables: All that there are, for IPv4.
            unasked: Mark bits that say that no table was asked, of the sender's and the receiver's.
        """
        self._unasked = unasked
        self._said_nothing = Said(unasked[1], (), None)
        self._judges = judges
        self._tables = tables
        self._sides = Sides()
        self._known: dict[tuple[int, int, int], tuple[Side, Side] | None] = {}

    def ask(
        self, packet: Fields, source_class: int, destination_class: int, port_classes: int
    ) -> tuple[Said, Said] | None:
        """What the sender's tables say and, unless these deny, the receiver's.

        Args:
            packet: A packet of IPv4.
            source_class: That of its source.
            destination_class: That of its destination.
            port_classes: Those of its ports, as one number.

        Returns:
            None where no table is asked, or addresses alone do not tell which.
        """
        key = source_class, destination_class, packet[1]
        if key in self._known:
            between = self._known[key]
        else:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
                self._sides.forget()
            between = self._known[key] = self._new(packet, source_class, destination_class)
        if between is None:
            return None
        sender, receiver = between
        sent = sender.known.get(port_classes)
        if sent is None:
            sent = self._sides.ask(sender, values_of(packet), port_classes)
        if sent.reason is not None:
            return sent, self._said_nothing
        received = receiver.known.get(port_classes)
        if received is None:
            received = self._sides.ask(receiver, values_of(packet), port_classes)
        return sent, received

    def _new(
        self, packet: Fields, source_class: int, destination_class: int
    ) -> tuple[Side, Side] | None:
        sender, receiver = self._judges[source_class], self._judges[destination_class]
        if sender is None or receiver is None or not sender.outbound + receiver.inbound:
            return None
        sent, received = self._unasked
        return (
            self._side(packet, sender.outbound, sent),
            self._side(packet, receiver.inbound, received),
        )

    def _side(self, packet: Fields, indexes: Sequence[int], mark: int) -> Side:
        tables = [self._tables[index].knowing(*packet[1:4]) for index in indexes]
        return self._sides.side(tables, mark, packet[1])
