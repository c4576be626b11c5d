"""Flow records as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from nsgd.flowlog.names import iso_time
from nsgd.flowlog.plain import COLUMNS, json_line, plain_record
from nsgd.flowlog.record import FlowRecord
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP

_PROTOCOLS = {TCP: "Tcp", UDP: "Udp", ICMP: "Icmp", ICMPV6: "Icmp", ESP: "Esp", AH: "Ah"}
_HEADS = (
    "Time",
    "MAC address",
    "Direction",
    "State",
    "Protocol",
    "Source",
    "Destination",
    "Packets",
    "Bytes",
    "NSG",
    "Rule",
)


def as_json(records: Iterable[FlowRecord]) -> Iterator[str]:
    """A JSON list, in lines: an object a line."""
    separator = "["
    for record in records:
        yield f"{separator}\n{json_line(record)}"
        separator = ","
    yield "[]" if separator == "[" else "\n]"


def as_csv(records: Iterable[FlowRecord]) -> Iterator[str]:
    """Lines of CSV, names of columns first; empty where something is not known."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="")
    rows = (tuple(plain_record(record).values()) for record in records)
    for row in (COLUMNS, *rows):
        writer.writerow(row)
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def as_table(records: Sequence[FlowRecord]) -> Iterator[str]:
    """Lines of a table; packets and bytes are those sent and those received."""
    rows = [_HEADS, *(_row(record) for record in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(record: FlowRecord) -> tuple[str, ...]:
    return (
        iso_time(record.time_ms),
        _shown(record.mac_address),
        record.direction.value,
        "A" if record.state is None else record.state.value,
        _PROTOCOLS.get(record.protocol, str(record.protocol)),
        _end(record.source, record.source_port, record.protocol),
        _end(record.destination, record.destination_port, record.protocol),
        _both(record.packets_sent, record.packets_received),
        _both(record.bytes_sent, record.bytes_received),
        _shown(record.network_security_group or record.acl_id),
        _shown(record.rule),
    )


def _end(address: str, port: int, protocol: int) -> str:
    if protocol not in (TCP, UDP):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _both(sent: int | None, received: int | None) -> str:
    if sent is None and received is None:
        return "-"
    return f"{'?' if sent is None else sent} / {'?' if received is None else received}"


def _shown(text: str) -> str:
    # Anybody may have written the file, and a terminal obeys what it is shown.
    return "".join(c if c.isprintable() else "?" for c in text) or "-"
