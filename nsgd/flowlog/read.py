"""Reads a flow log of any format that nsgd knows, Azure's own files included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nsgd.flowlog import azure_v4, nsg, plain
from nsgd.flowlog.fields import Problems, entries
from nsgd.flowlog.record import FlowRecord, NotAFlowLogError


def read_flow_log(content: bytes, problems: Problems) -> Iterator[FlowRecord]:
    """The records of a file, in its order.

    It is one JSON document with ``records``, as in Azure's storage accounts, or has such a
    document, an element of ``records``, or a record of nsgd's own in each line. What cannot be read
    is reported with its path and left out.
    """
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add("file", f"not UTF-8, at byte {error.start}")
        return
    if not decoded.strip():
        problems.add("file", "empty")
        return
    try:
        whole = json.loads(decoded)
    except (ValueError, RecursionError) as error:
        yield from _read_lines(decoded, str(error), problems)
        return
    yield from _read_value(whole, "", problems)


def _read_lines(decoded: str, whole_error: str, problems: Problems) -> Iterator[FlowRecord]:
    has_lines = False
    for number, line in enumerate(decoded.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            if number == 1:
                # Lines of JSON begin with one: this is a document, and its own error says more.
                problems.add("file", f"not JSON: {whole_error}")
                return
            problems.add(f"line {number}", "not JSON")
            continue
        has_lines = True
        yield from _read_value(value, f"line {number}: ", problems)
    if not has_lines:
        problems.add("file", f"not JSON: {whole_error}")


def _read_value(value: Any, place: str, problems: Problems) -> Iterator[FlowRecord]:
    if isinstance(value, list):
        # What flow-log read prints with -o json.
        for index, entry in enumerate(value):
            yield from _read_element(entry, f"{place}[{index}]", problems)
    elif isinstance(value, dict) and "records" in value:
        for index, entry in enumerate(entries(value, "records", place.strip(), problems)):
            yield from _read_element(entry, f"{place}records[{index}]", problems)
    else:
        yield from _read_element(value, place.rstrip(": ") or "file", problems)


def _read_element(element: Any, path: str, problems: Problems) -> Iterator[FlowRecord]:
    if not isinstance(element, Mapping):
        problems.add(path, "not an object")
    elif azure_v4.is_v4(element):
        yield from azure_v4.decode_record(element, path, problems)
    elif nsg.is_nsg(element):
        yield from nsg.decode_record(element, path, problems)
    elif plain.is_plain(element):
        try:
            yield plain.read_plain(element)
        except NotAFlowLogError as error:
            problems.add(path, str(error))
    else:
        problems.add(path, "no flow log record")
