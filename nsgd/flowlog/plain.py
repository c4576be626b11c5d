"""A record as an object with a key for each fact: JSON lines, and what ``flow-log read`` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from nsgd.flowlog import names
from nsgd.flowlog.entry import Entry, Place, Ruling
from nsgd.flowlog.record import UNENCRYPTED, FlowRecord, FlowState, NotAFlowLogError
from nsgd.flowlog.tuples import read_v4
from nsgd.model.rule import Access, Direction

COLUMNS = (
    "time",
    "macAddress",
    "direction",
    "state",
    "access",
    "protocol",
    "sourceAddress",
    "sourcePort",
    "destinationAddress",
    "destinationPort",
    "networkSecurityGroup",
    "rule",
    "packetsSent",
    "bytesSent",
    "packetsReceived",
    "bytesReceived",
    "encryption",
    "aclID",
    "targetResourceID",
)
_ALLOWED, _DENIED = Access.ALLOW.value, Access.DENY.value
_NOT_COUNTED = ("null",) * 4
_LETTERS = {Direction.INBOUND.value: "I", Direction.OUTBOUND.value: "O"}


def plain_record(record: FlowRecord) -> dict[str, Any]:
    """The object, with the keys of *COLUMNS*; what is not known is None."""
    return {
        "time": names.iso_time(record.time_ms),
        "macAddress": record.mac_address,
        "direction": record.direction.value,
        "state": None if record.state is None else record.state.value,
        "access": record.access.value,
        "protocol": record.protocol,
        "sourceAddress": record.source,
        "sourcePort": record.source_port,
        "destinationAddress": record.destination,
        "destinationPort": record.destination_port,
        "networkSecurityGroup": record.network_security_group or None,
        "rule": record.rule or None,
        "packetsSent": record.packets_sent,
        "bytesSent": record.bytes_sent,
        "packetsReceived": record.packets_received,
        "bytesReceived": record.bytes_received,
        "encryption": record.encryption or None,
        "aclID": record.acl_id or None,
        "targetResourceID": record.target or None,
    }


def json_line(record: FlowRecord) -> str:
    """The object as JSON, without a line's end.

    By hand, as it is most of the cost of a record; what repeats is encoded once.
    """
    sent, received = _number(record.packets_sent), _number(record.packets_received)
    state = "null" if record.state is None else f'"{record.state.value}"'
    return (
        f'{{"time":"{_second(record.time_ms // 1000)}.{record.time_ms % 1000:03}Z"'
        f',"macAddress":{_quoted(record.mac_address)},"direction":"{record.direction.value}"'
        f',"state":{state},"access":"{record.access.value}","protocol":{record.protocol}'
        f',"sourceAddress":{_quoted(record.source)},"sourcePort":{record.source_port}'
        f',"destinationAddress":{_quoted(record.destination)}'
        f',"destinationPort":{record.destination_port}'
        f',"networkSecurityGroup":{_quoted(record.network_security_group)}'
        f',"rule":{_quoted(record.rule)},"packetsSent":{sent}'
        f',"bytesSent":{_number(record.bytes_sent)},"packetsReceived":{received}'
        f',"bytesReceived":{_number(record.bytes_received)}'
        f',"encryption":{_quoted(record.encryption)},"aclID":{_quoted(record.acl_id)}'
        f',"targetResourceID":{_quoted(record.target)}}}'
    )


def json_lines(entry: Entry) -> Iterator[str]:
    """The line of each of an entry's records, as json_line() would write it."""
    (state, time_ms, header, _, counts), source, destination, sides = entry
    _, protocol, _, _, source_port, destination_port, _ = header
    access = _DENIED if state is FlowState.DENY else _ALLOWED
    sent, sent_bytes, received, received_bytes = _NOT_COUNTED if counts is None else counts
    time = f"{_second(time_ms // 1000)}.{time_ms % 1000:03}"
    flow = (
        f'"state":"{state}","access":"{access}","protocol":{protocol}'
        f',"sourceAddress":"{source}","sourcePort":{source_port}'
        f',"destinationAddress":"{destination}","destinationPort":{destination_port}'
    )
    numbers = (
        f'"packetsSent":{sent},"bytesSent":{sent_bytes}'
        f',"packetsReceived":{received},"bytesReceived":{received_bytes}'
        f',"encryption":"{UNENCRYPTED}"'
    )
    for place, ruling in sides:
        mac, target = _of_place(place)
        direction, rule, acl = _of_ruling(ruling)
        yield f'{{"time":"{time}Z",{mac},{direction},{flow},{rule},{numbers},{acl},{target}}}'


# What all records of a place have in common, and all of a ruling, with their keys.


@lru_cache(maxsize=65536)
def _of_place(place: Place) -> tuple[str, str]:
    return f'"macAddress":"{place.mac_address}"', f'"targetResourceID":{json.dumps(place.target)}'


@lru_cache(maxsize=65536)
def _of_ruling(ruling: Ruling) -> tuple[str, str, str]:
    return (
        f'"direction":"{ruling.direction.value}"',
        f'"networkSecurityGroup":{_quoted(ruling.network_security_group)}'
        f',"rule":{_quoted(ruling.rule)}',
        f'"aclID":{_quoted(ruling.acl_id)}',
    )


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return names.iso_time(seconds * 1000)[:19]


@lru_cache(maxsize=65536)
def _quoted(text: str) -> str:
    return json.dumps(text) if text else "null"


def _number(count: int | None) -> str:
    return "null" if count is None else str(count)


def is_plain(fields: Mapping[str, Any]) -> bool:
    """Tell whether an object is of this format."""
    return "sourceAddress" in fields and "destinationAddress" in fields


def read_plain(fields: Mapping[str, Any]) -> FlowRecord:
    """The record of an object. Raises NotAFlowLogError."""
    state = fields.get("state")
    if state is None:
        # Of version 1, and then only what is denied has one.
        if fields.get("access") != "Allow":
            raise NotAFlowLogError("no state")
    elif not isinstance(state, str):
        raise NotAFlowLogError("a state that is not text")
    parts = (
        _time_ms(fields.get("time")),
        fields.get("sourceAddress"),
        fields.get("destinationAddress"),
        fields.get("sourcePort", 0),
        fields.get("destinationPort", 0),
        fields.get("protocol"),
        _LETTERS.get(str(fields.get("direction"))),
        FlowState.BEGIN.value if state is None else state,
        fields.get("encryption") or "NX",
        *(fields.get(key) for key in COLUMNS[12:16]),
    )
    # Text in its own right, not parts of it: a comma in one would move the others.
    written = ["" if part is None else str(part) for part in parts]
    if any("," in part for part in written) or any(isinstance(part, bool) for part in parts):
        raise NotAFlowLogError("a field of the wrong kind")
    record = read_v4(",".join(written))
    return record._replace(
        state=None if state is None else record.state,
        encryption=_text(fields, "encryption"),
        mac_address=_text(fields, "macAddress") or record.mac_address,
        target=_text(fields, "targetResourceID"),
        acl_id=_text(fields, "aclID"),
        network_security_group=_text(fields, "networkSecurityGroup"),
        rule=_text(fields, "rule"),
    )


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _time_ms(value: object) -> int:
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise NotAFlowLogError(f"{value!r} is no time")
    # By whole seconds and the rest: a float of both is not exact.
    return int(parsed.replace(microsecond=0).timestamp()) * 1000 + parsed.microsecond // 1000
