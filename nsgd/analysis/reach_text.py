"""What reach tells, as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nsgd.analysis.flow_text import decision_as_json, packet_as_json, packet_text
from nsgd.analysis.labels import (
    AddressLabels,
    number_list,
    port_list,
    port_text,
    prefixes_of,
    protocol_text,
)
from nsgd.analysis.policy import Subject
from nsgd.analysis.reach import protocols_of
from nsgd.analysis.reach_told import Among, Label, Line, ReachRows, Row
from nsgd.answers.azure_names import group_name, rule_name
from nsgd.answers.resources import Kind
from nsgd.answers.text import aligned
from nsgd.model.address import IPVersion
from nsgd.model.decision import TableDecision
from nsgd.policy.address_set import AddressSet
from nsgd.spaces.flow_sets import WITH_PORTS, FlowBox
from nsgd.spaces.ranges import common

_MOST_NAMES = 8
_HEADS = (
    "From",
    "To",
    "IP",
    "Access",
    "Protocol",
    "Ports",
    "Source ports",
    "Between",
    "Decided by",
)
_NARROW = {0, 1, 5}

_Key = tuple[str, str, tuple[tuple[str, ...], ...]]


def reach_as_text(
    told: ReachRows,
    names: dict[str, AddressSet],
    *,
    shows_denied: bool = False,
    shows_rules: bool = False,
    shows_packets: bool = False,
) -> str:
    """A table; IPv4 and IPv6 together where they are alike.

    Args:
        told: What to tell.
        names: Tags and groups by name, for sets of addresses.
        shows_denied: Whether Access has a column.
        shows_rules: Whether the rules that decide have one.
        shows_packets: Whether each line of the table has a packet below.
    """
    labels: dict[IPVersion, AddressLabels] = {v: AddressLabels(v, names) for v in (4, 6)}
    merged: dict[_Key, list[Row]] = {}
    for row in told.rows:
        cells = tuple(_cells(line, shows_rules) for line in row.lines)
        senders, receivers = _both_ends(row, labels)
        merged.setdefault((senders, receivers, cells), []).append(row)
    order = {senders: number for number, (senders, *_) in enumerate(reversed(merged))}
    rows = []
    for (senders, receivers, cells), of_key in sorted(
        merged.items(), key=lambda item: -order[item[0][0]]
    ):
        versions = ", ".join(sorted(str(row.version) for row in of_key))
        ends = (senders, receivers, versions)
        for number, cell in enumerate(cells):
            rows.append((*(ends if number == 0 else ("", "", "")), *cell))
            if shows_packets:
                shown = dict.fromkeys(packet_text(row.lines[number].witness) for row in of_key)
                rows += [("", "", "", "", f"such as {packet}", "", "", "", "") for packet in shown]
        if any(row.is_cut for row in of_key):
            rows.append(("", "", "", "", "and more", "", "", "", ""))
    used = [
        column
        for column, head in enumerate(_HEADS)
        if (head != "Access" or shows_denied)
        and (head != "Decided by" or shows_rules)
        and (head != "Source ports" or any(row[column] not in ("", "*") for row in rows))
        and (head != "Between" or any(row[column] not in ("", "all") for row in rows))
    ]
    lines = []
    if rows:
        table = aligned(
            [_HEADS[column] for column in used],
            [[row[column] for column in used] for row in rows],
            {used.index(column) for column in _NARROW},
        )
        lines.append(table)
    lines += _undetermined(told, labels)
    return "\n".join(lines)


def _undetermined(told: ReachRows, labels: dict[IPVersion, AddressLabels]) -> Iterator[str]:
    for row in told.undetermined:
        senders, receivers = _both_ends(row, labels)
        yield (
            f"from {senders} to {receivers}, IPv{row.version}: undetermined: too many cases for"
            " --budget"
        )


def _both_ends(row: Row, labels: dict[IPVersion, AddressLabels]) -> tuple[str, str]:
    return _ends_text(row.senders, row, labels), _ends_text(row.receivers, row, labels)


def _cells(line: Line, shows_rules: bool) -> tuple[str, ...]:
    box = line.box
    has_ports = bool(common(box.protocols, WITH_PORTS))
    access = "Allow" if line.is_allowed else "Deny"
    return (
        access,
        protocol_text(4, box.protocols),
        port_text(box.destination_ports) if has_ports else "",
        port_text(box.source_ports) if has_ports else "",
        "some only" if line.among is Among.SOME else "all",
        decisions_text(line.decisions) if shows_rules else "",
    )


def decisions_text(decisions: Iterable[TableDecision | None]) -> str:
    """``web: AllowVnetOutBound, app: AllowApi``: outbound, then inbound."""
    found = []
    for decision in decisions:
        if decision is not None:
            group = group_name(decision.network_security_group)
            rule = rule_name(decision.rule)
            short = rule.partition("/")[2] if group else rule
            found.append(f"{group}: {short}" if group else short)
    return ", ".join(found) or "no group"


def _ends_text(ends: Sequence[Label], row: Row, labels: dict[IPVersion, AddressLabels]) -> str:
    texts = [_label_text(label, row.version, labels) for label in ends[:_MOST_NAMES]]
    more = len(ends) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")


def _label_text(label: Label, version: IPVersion, labels: dict[IPVersion, AddressLabels]) -> str:
    subject = label.subject
    name = subject.name
    if isinstance(subject, Subject) and subject.kind is Kind.SUBNET:
        name = f"rest of {name}"
    if label.addresses is None:
        return name
    return f"{name} ({labels[version].text(label.addresses)})"


def reach_as_json(told: ReachRows) -> dict[str, Any]:
    """The same in full; the form stays as it is, apart from new keys."""
    return {
        "rows": [_row_as_json(row) for row in told.rows],
        "undetermined": [_ends_as_json(row) for row in told.undetermined],
    }


def _ends_as_json(row: Row) -> dict[str, Any]:
    return {
        "ipVersion": row.version,
        "from": [_label_as_json(label, row.version) for label in row.senders],
        "to": [_label_as_json(label, row.version) for label in row.receivers],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        **_ends_as_json(row),
        "flows": [_line_as_json(line, row.version) for line in row.lines],
        "hasMoreFlows": row.is_cut,
    }


def _line_as_json(line: Line, version: IPVersion) -> dict[str, Any]:
    outbound, inbound = line.decisions
    return {
        "access": "Allow" if line.is_allowed else "Deny",
        "between": line.among.value,
        **flows_as_json(line.box, version),
        "outbound": decision_as_json(outbound),
        "inbound": decision_as_json(inbound),
        "witness": packet_as_json(line.witness),
    }


def flows_as_json(box: FlowBox, version: IPVersion) -> dict[str, Any]:
    """Protocols by number, and ports where some of them have any."""
    found: dict[str, Any] = {"protocols": number_list(protocols_of(version, box.protocols))}
    if common(box.protocols, WITH_PORTS):
        found["destinationPorts"] = port_list(box.destination_ports)
        found["sourcePorts"] = port_list(box.source_ports)
    return found


def _label_as_json(label: Label, version: IPVersion) -> dict[str, Any]:
    subject = label.subject
    found: dict[str, Any] = {"kind": subject.kind.value, "name": subject.name}
    if label.addresses is not None:
        found["addresses"] = prefixes_of(version, label.addresses)
    return found
