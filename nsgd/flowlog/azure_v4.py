"""Virtual network flow logs, version 4: records to the JSON of a file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nsgd.flowlog import names
from nsgd.flowlog.fields import Problems, child, entries, objects, text
from nsgd.flowlog.record import FlowRecord, NotAFlowLogError
from nsgd.flowlog.tuples import read_v4, write_v4

CATEGORY = "FlowLogFlowEvent"
VERSION = 4

# A file is a document at every moment: Azure too writes the end anew with each block.
FILE_START = b'{"records":['
FILE_END = b"]}"


def encode_record(virtual_network: str, mac: str, time_ms: int, flows: Iterable[FlowRecord]) -> str:
    """One element of *records*: what an interface saw until *time_ms*, as JSON on one line.

    Beside Azure's keys each access list has ``networkSecurityGroup``, its name: a GUID made of a
    name cannot be turned back.
    """
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for flow in flows:
        by_rule = groups.setdefault((flow.acl_id, flow.network_security_group), {})
        by_rule.setdefault(flow.rule, []).append(write_v4(flow))
    return json.dumps(
        {
            "time": names.iso_time(time_ms, 7),
            "flowLogVersion": VERSION,
            "flowLogGUID": names.flow_log_guid(virtual_network),
            "macAddress": mac,
            "category": CATEGORY,
            "flowLogResourceID": names.flow_log_id(virtual_network),
            "targetResourceID": names.resource_id("virtualNetworks", virtual_network),
            "operationName": CATEGORY,
            "flowRecords": {
                "flows": [
                    {
                        "aclID": acl_id,
                        **({"networkSecurityGroup": group} if group else {}),
                        "flowGroups": [
                            {"rule": rule, "flowTuples": tuples} for rule, tuples in rules.items()
                        ],
                    }
                    for (acl_id, group), rules in groups.items()
                ]
            },
        },
        separators=(",", ":"),
    )


def is_v4(record: Mapping[str, Any]) -> bool:
    """Tell whether an element of *records* is of this format."""
    return record.get("category") == CATEGORY or "flowRecords" in record


def decode_record(record: Mapping[str, Any], path: str, problems: Problems) -> Iterator[FlowRecord]:
    """The flows of one element; what cannot be read is reported with its path and left out."""
    if record.get("flowLogVersion") != VERSION:
        problems.add(f"{path}.flowLogVersion", f"{record.get('flowLogVersion')!r} is not {VERSION}")
        return
    flows = child(record, "flowRecords", path, problems)
    common: dict[str, Any] = {
        "mac_address": text(record, "macAddress").upper().replace("-", "").replace(":", ""),
        "target": text(record, "targetResourceID"),
    }
    for access_list, list_path in objects(flows, "flows", f"{path}.flowRecords", problems):
        ids: dict[str, Any] = {
            "acl_id": text(access_list, "aclID"),
            "network_security_group": text(access_list, "networkSecurityGroup"),
        }
        for group, group_path in objects(access_list, "flowGroups", list_path, problems):
            said = {**common, **ids, "rule": text(group, "rule")}
            yield from _decode_tuples(group, group_path, said, problems)


def _decode_tuples(
    group: Mapping[str, Any], path: str, said: Mapping[str, Any], problems: Problems
) -> Iterator[FlowRecord]:
    for index, written in enumerate(entries(group, "flowTuples", path, problems)):
        try:
            if not isinstance(written, str):
                raise NotAFlowLogError("not text")
            yield read_v4(written)._replace(**said)
        except NotAFlowLogError as error:
            problems.add(f"{path}.flowTuples[{index}]", str(error))
