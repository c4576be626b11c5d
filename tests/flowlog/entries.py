"""Entries of a log, and the records that they stand for, one for each side."""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.flowlog.azure_v4 import encode_record
from nsgd.flowlog.entry import DIRECTION_LETTERS, Entry, Place, Ruling
from nsgd.flowlog.following import NOTHING, Counts, Saying
from nsgd.flowlog.record import FlowRecord, FlowState
from nsgd.flowlog.tuples import write_v4
from nsgd.model.address import Address
from nsgd.model.packet import PacketHeader

# Rulings are found again by identity.
_RULINGS: dict[tuple[object, ...], Ruling] = {}


def entry_of(record: FlowRecord, place: Place | None = None, number: int = 32) -> Entry:
    """The entry of one record; a record without a state is one that begins."""
    source, destination = Address.parse(record.source), Address.parse(record.destination)
    header = PacketHeader(
        source.version,
        record.protocol,
        source.value,
        destination.value,
        record.source_port,
        record.destination_port,
        False,
    )
    counts: Counts | None = None
    sent, received = record.packets_sent, record.packets_received
    sent_bytes, received_bytes = record.bytes_sent, record.bytes_received
    if None not in (sent, sent_bytes, received, received_bytes):
        counts = sent or 0, sent_bytes or 0, received or 0, received_bytes or 0
    counts = NOTHING if counts == NOTHING else counts
    decided = record.acl_id, record.network_security_group, record.rule
    key = record.direction, number, *decided
    letter = DIRECTION_LETTERS[record.direction]
    ruling = _RULINGS.setdefault(key, Ruling(record.direction, letter, number, *decided))
    return Entry(
        Saying(record.state or FlowState.BEGIN, record.time_ms, header, 0, counts),
        record.source,
        record.destination,
        ((place or Place("lab", record.mac_address), ruling),),
    )


def records_of(entry: Entry) -> Iterator[FlowRecord]:
    """What each side logs."""
    saying, header = entry.saying, entry.saying.header
    sent, sent_bytes, received, received_bytes = saying.counts or (None, None, None, None)
    for place, ruling in entry.sides:
        yield FlowRecord(
            saying.time_ms,
            entry.source,
            entry.destination,
            header.source_port,
            header.destination_port,
            header.protocol,
            ruling.direction,
            saying.state,
            sent,
            sent_bytes,
            received,
            received_bytes,
            mac_address=place.mac_address,
            target=place.target,
            acl_id=ruling.acl_id,
            network_security_group=ruling.network_security_group,
            rule=ruling.rule,
        )


def v4_tuples(entry: Entry) -> list[str]:
    """The tuple of each side."""
    start, end = write_v4(entry)
    return [f"{start}{ruling.letter}{end}" for _, ruling in entry.sides]


def v4_record(network: str, mac: str, time_ms: int, *flows: FlowRecord) -> str:
    """An element of a document, of one interface."""
    place = Place(network, mac)
    made = [entry_of(flow, place) for flow in flows]
    return encode_record(place, time_ms, [(each.sides[0][1], v4_tuples(each)) for each in made])
