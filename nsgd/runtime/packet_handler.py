"""Gives each queued packet its verdict, new IPv4 flows of UDP and TCP by a short way.

The short way is one function whose every name is local, one integer made of the classes of a
packet's fields, one look-up, and one counter: what is left of a verdict when nothing is asked
that has been answered before. Whatever it does not know is judged by VerdictPath.judge.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import Struct
from typing import Protocol

from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Direction
from nsgd.runtime.nic_counts import CountNics
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.verdict import VerdictPath
from nsgd.wire.packet import FIN_SYN_RST_ACK, SYN, Fields, parse_fields
from nsgd.wire.verdict import ACCEPT, DROP, Give

_MOST_REMEMBERED = 65536  # about 8 MB
_MOST_PLACES = 1 << 17  # 1 MiB

# The cell of the outcome, mark bits to accept with or None to drop, and how interfaces are counted:
# nsgd.runtime.nic_counts.Way.
_Known = tuple[int, int | None, int | None, int | None, CountNics | None]

# First byte, total length, flags and fragment offset, protocol, halves of addresses, ports: IPv4
# without options, and UDP or the beginning of TCP. Halves are what is asked for, and a number of 32
# bits is two digits to Python, which calculates with one in half the time.
_unpack_plain = Struct("!BxHxxHxBxxHHHHHH").unpack_from
_FIRST_BYTE = 0x45
_IP_BYTES = 20
_UDP_BYTES = 28  # with the IP header
_TCP_BYTES = 40
_DATA_OFFSET, _FLAGS = 32, 33  # bytes of TCP behind such an IP header
_DONT_FRAGMENT = 0x4000
# By the byte of TCP's flags, and by that of its data offset: the end of its header in the packet.
_IS_OPENING = bytes(flags & FIN_SYN_RST_ACK == SYN for flags in range(256))
_HEADER_END = bytes(_IP_BYTES + (offset >> 4) * 4 for offset in range(256))


class QueuedPacket(Protocol):
    """What netfilterqueue hands over."""

    @property
    def id(self) -> int:
        """The kernel's number of the packet."""

    @property
    def indev(self) -> int:
        """Index of the link by which it came; 0 for none."""

    @property
    def outdev(self) -> int:
        """Index of the link by which it will leave; 0 for none."""

    def get_payload(self) -> bytes:
        """The packet from its IP header on, perhaps cut short."""

    def get_mark(self) -> int:
        """The packet mark."""


Handler = Callable[[QueuedPacket], None]


def packet_handler(path: VerdictPath, outcome_cells: OutcomeCells, give: Give) -> Handler:
    """A function that decides a queued packet and calls *give* once.

    It knows the names of links for as long as none changes; after that a new one is made. All of
    a worker's share *outcome_cells*: a signal may make one while another is at work, and two that
    gave out cells by themselves would give the same one.
    """
    unpack = _unpack_plain
    ends = path.ends_v4
    top, pages, first_page = ends.top, ends.pages, ends.first_page
    class_mask, slot_shift = ends.class_mask, ends.slot_shift
    source_ports, tcp_ports, udp_ports = path.source_ports, path.tcp_ports, path.udp_ports
    last_source_class = max(source_ports)
    tells_source_ports = last_source_class > 0
    # What the parts of the integer are multiplied by.
    to_factor = max(max(tcp_ports), max(udp_ports)) + 1
    from_factor = to_factor * first_page
    port_factor = from_factor * first_page
    link_factor = port_factor * (last_source_class + 1)
    requests, other_bits = path.requests, path.other_bits
    outcomes = path.counters.outcomes
    judge, decide, is_audit = path.judge, path.decide, path.is_audit
    outcome_cell = outcome_cells.get
    is_opening, header_end = _IS_OPENING, _HEADER_END
    # By the integer. A packet finds its place in a list without touching keys, of which there may
    # be more than a processor's caches hold. Numbers of pairs of links have no end.
    places = link_factor
    is_listed = places <= _MOST_PLACES and not path.tells_links
    remembered: dict[int, _Known] | list[_Known | None] = [None] * places if is_listed else {}
    held = 0
    denials = path.denials
    denied: dict[int, tuple[Direction, int]] = {}
    names: dict[int, str | None] = {0: None}
    # Both links of a packet as one number; no number where no link binds a NIC.
    tells_links = path.tells_links
    pairs: dict[tuple[int, int], int] = {}
    pair_numbers: dict[tuple[int | None, ...], int] = {}

    def name(index: int) -> str | None:
        if index not in names:
            try:
                names[index] = socket.if_indextoname(index)
            except OSError:
                return None  # the link is gone; its packets are judged by address
        return names[index]

    nic_cells = path.counters.nics
    nic_ways = path.nics.ways(name)

    def pair_number(links: tuple[int, int]) -> int:
        classes = path.links_class(name(links[0]), name(links[1]))
        pairs[links] = pair_numbers.setdefault(classes, len(pair_numbers))
        return pairs[links]

    def learn(
        key: int, fields: Fields, packet: QueuedPacket, source_class: int, to_class: int
    ) -> _Known | None:
        """Remember what follows from a packet; None where it has no cell."""
        nonlocal held
        links = (name(packet.indev), name(packet.outdev)) if tells_links else (None, None)
        outcome = decide(fields, *links, source_class, to_class)
        counted = outcome_cell(outcome.counted)
        if counted is None:
            return None
        if held >= _MOST_REMEMBERED:
            held = 0
            denied.clear()
            if isinstance(remembered, dict):
                remembered.clear()
            else:
                remembered[:] = [None] * places
        held += 1
        if outcome.denial is not None:
            denied[key] = outcome.denial
        way = nic_ways(fields, source_class, to_class, outcome.counted)
        known = remembered[key] = counted, outcome.decision, *way
        return known

    def tell(key: int, payload: bytes) -> None:
        denial = denied.get(key)
        if denial is not None and denials.wants(*denial):
            fields = parse_fields(payload)
            if isinstance(fields, tuple):
                denials.write(PacketHeader(*fields), *denial)

    def handle(packet: QueuedPacket) -> None:
        payload = packet.get_payload()
        mark = packet.get_mark()
        if len(payload) >= _UDP_BYTES and not (mark and mark & requests):
            first, total, fragment, protocol, source_page, source, to_page, to, port, to_port = (
                unpack(payload)
            )
            if (
                first == _FIRST_BYTE
                and (not fragment or fragment == _DONT_FRAGMENT)
                and total >= _UDP_BYTES
                and (
                    protocol == UDP
                    or (
                        protocol == TCP
                        and total >= _TCP_BYTES <= len(payload)
                        and is_opening[payload[_FLAGS]]
                        and _TCP_BYTES <= header_end[payload[_DATA_OFFSET]] <= total
                    )
                )
            ):
                sender = top[source_page]
                if sender >= first_page:
                    sender = pages[sender][source]
                receiver = top[to_page]
                if receiver >= first_page:
                    receiver = pages[receiver][to]
                key = (
                    (sender & class_mask) * from_factor
                    + (receiver & class_mask) * to_factor
                    + (udp_ports if protocol == UDP else tcp_ports)[to_port]
                )
                if tells_source_ports:
                    key += source_ports[port] * port_factor
                if tells_links:
                    links = packet.indev, packet.outdev
                    number = pairs.get(links)
                    key += (pair_number(links) if number is None else number) * link_factor
                try:
                    known = remembered[key]
                except KeyError:
                    known = None
                if known is None:
                    addresses = source_page << 16 | source, to_page << 16 | to
                    fields: Fields = 4, protocol, *addresses, port, to_port, False
                    known = learn(key, fields, packet, sender & class_mask, receiver & class_mask)
                if known is not None:
                    outcome, decision, sent, received, count_nics = known
                    outcomes[outcome] += 1
                    if decision is None:
                        give(DROP, packet.id, 0)
                        tell(key, payload)
                    else:
                        give(ACCEPT, packet.id, mark & other_bits | decision if mark else decision)
                        if is_audit:
                            tell(key, payload)
                    if sent is not None:
                        nic_cells[sent + (sender >> slot_shift)] += 1
                    if received is not None:
                        nic_cells[received + (receiver >> slot_shift)] += 1
                    if count_nics is not None:
                        count_nics(source_page << 16 | source, to_page << 16 | to, packet)
                    return
        verdict = judge(payload, mark, name(packet.indev), name(packet.outdev))
        if verdict is None:
            give(DROP, packet.id, 0)
        else:
            give(ACCEPT, packet.id, verdict)

    return handle
