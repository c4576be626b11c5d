"""Flow tuples: the comma-separated text that holds one record in each of Azure's formats."""

from __future__ import annotations

import re
from typing import NamedTuple

from nsgd.flowlog.entry import DIRECTION_LETTERS, Entry
from nsgd.flowlog.following import NOTHING
from nsgd.flowlog.record import UNENCRYPTED, FlowRecord, FlowState, NotAFlowLogError
from nsgd.model.address import Address
from nsgd.model.packet import TCP, UDP
from nsgd.model.rule import Direction

# The end of the year 9999, after which no date can be written.
_LAST_S = 253402300799
_NUMBER = re.compile(r"[0-9]{1,20}")
_ENCRYPTION = re.compile(r"[A-Z][A-Z0-9_]*")
_DIRECTIONS = {letter: direction for direction, letter in DIRECTION_LETTERS.items()}
_STATES = {state.value: state for state in FlowState}
_PROTOCOL_LETTERS = {"T": TCP, "U": UDP}
_LETTERS = {number: letter for letter, number in _PROTOCOL_LETTERS.items()}
_NOT_COUNTED = ("",) * 4
_NOTHING_COUNTED = {state: f",{state},{UNENCRYPTED},0,0,0,0" for state in FlowState}
_V1_FIELDS, _V2_FIELDS, _V4_FIELDS = 8, 13, 13


class _Counts(NamedTuple):
    packets_sent: int | None
    bytes_sent: int | None
    packets_received: int | None
    bytes_received: int | None


def read_v4(text: str) -> FlowRecord:
    """A tuple of version 4, that of virtual network flow logs. Raises NotAFlowLogError.

    Source:
        Azure, Virtual network flow logs, Log format: time in milliseconds, source, destination,
        ports, IANA protocol, direction, state, encryption, packets and bytes of either way. The
        counts of its bandwidth example are empty where they are 0 in its sample.
    """
    parts = _split(text, _V4_FIELDS)
    state = _STATES.get(parts[7])
    if state is None:
        raise NotAFlowLogError(f"{parts[7]!r} is no flow state (B, C, E, D)")
    if not _ENCRYPTION.fullmatch(parts[8]):
        raise NotAFlowLogError(f"{parts[8]!r} is no encryption state")
    return FlowRecord(
        _number(parts[0], "time in milliseconds", _LAST_S * 1000),
        *_ends(parts),
        _number(parts[5], "protocol", 255),
        _direction(parts[6]),
        state,
        *_counts(parts[9:13]),
        parts[8],
    )


def write_v4(entry: Entry) -> tuple[str, str]:
    """The tuples of version 4: what stands before and what behind the letter of the direction."""
    (state, time_ms, header, _, counts), source, destination, _ = entry
    _, protocol, _, _, source_port, destination_port, _ = header
    start = f"{time_ms},{source},{destination},{source_port},{destination_port},{protocol},"
    if counts is NOTHING:
        return start, _NOTHING_COUNTED[state]
    sent, sent_bytes, received, received_bytes = _NOT_COUNTED if counts is None else counts
    return (
        start,
        f",{state},{UNENCRYPTED},{sent},{sent_bytes},{received},{received_bytes}",
    )


def read_nsg(text: str, version: int) -> FlowRecord:
    """A tuple of version 1 or 2, those of NSG flow logs. Raises NotAFlowLogError.

    Source:
        Azure, NSG flow logs, Log format: time in seconds, source, destination, ports, T or U, I or
        O, A or D; version 2 adds the state, packets and bytes of either way.
    """
    parts = _split(text, _V1_FIELDS if version == 1 else _V2_FIELDS)
    protocol = _PROTOCOL_LETTERS.get(parts[5])
    if protocol is None:
        raise NotAFlowLogError(f"{parts[5]!r} is no protocol (T, U)")
    if parts[7] not in ("A", "D"):
        raise NotAFlowLogError(f"{parts[7]!r} is no decision (A, D)")
    state: FlowState | None = None
    counts = _Counts(None, None, None, None)
    if version != 1:
        state = _STATES.get(parts[8])
        if state is None:
            raise NotAFlowLogError(f"{parts[8]!r} is no flow state (B, C, E)")
        counts = _counts(parts[9:13])
    if parts[7] == "D":
        state = FlowState.DENY
    elif state is FlowState.DENY:
        raise NotAFlowLogError("an allowed flow in state D")
    return FlowRecord(
        _number(parts[0], "time in seconds", _LAST_S) * 1000,
        *_ends(parts),
        protocol,
        _direction(parts[6]),
        state,
        *counts,
        encryption="",
    )


def write_v2(record: FlowRecord) -> str | None:
    """The tuple of version 2; None where its protocol is neither TCP nor UDP."""
    letter = _LETTERS.get(record.protocol)
    if letter is None:
        return None
    is_denied = record.state is FlowState.DENY
    state, counts = "B", ",,,"  # B has four empty fields there, and so has what is denied
    if record.state in (FlowState.CONTINUE, FlowState.END):
        state, counts = record.state.value, _written_counts(record)
    return (
        f"{record.time_ms // 1000},{record.source},{record.destination},{record.source_port},"
        f"{record.destination_port},{letter},{DIRECTION_LETTERS[record.direction]},"
        f"{'D' if is_denied else 'A'},{state},{counts}"
    )


def _split(text: str, fields: int) -> list[str]:
    parts = text.split(",")
    if len(parts) != fields:
        raise NotAFlowLogError(f"{len(parts)} fields instead of {fields}")
    return parts


def _ends(parts: list[str]) -> tuple[str, str, int, int]:
    return _address(parts[1]), _address(parts[2]), _port(parts[3]), _port(parts[4])


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except ValueError:
        raise NotAFlowLogError(f"{text!r} is no address") from None


def _port(text: str) -> int:
    # What has no ports may leave them empty.
    return _number(text, "port", 65535) if text else 0


def _direction(text: str) -> Direction:
    found = _DIRECTIONS.get(text)
    if found is None:
        raise NotAFlowLogError(f"{text!r} is no direction (I, O)")
    return found


def _counts(parts: list[str]) -> _Counts:
    packets_sent, bytes_sent, packets_received, bytes_received = (
        _number(part, "count", (1 << 64) - 1) if part else None for part in parts
    )
    return _Counts(packets_sent, bytes_sent, packets_received, bytes_received)


def _number(text: str, what: str, largest: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise NotAFlowLogError(f"{text!r} is no {what}")
    return int(text)


def _written_counts(record: FlowRecord) -> str:
    counts = (
        record.packets_sent,
        record.bytes_sent,
        record.packets_received,
        record.bytes_received,
    )
    return ",".join("" if count is None else str(count) for count in counts)
