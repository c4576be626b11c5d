"""NSG flow logs, versions 1 and 2: the JSON of a file to records, and records to version 2."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nsgd.flowlog import names
from nsgd.flowlog.fields import Problems, child, entries, objects, text
from nsgd.flowlog.record import FlowRecord, NotAFlowLogError
from nsgd.flowlog.tuples import read_nsg, write_v2

CATEGORY = "NetworkSecurityGroupFlowEvent"
_OPERATION = "NetworkSecurityGroupFlowEvents"
_VERSIONS = (1, 2)
_MINUTE_MS = 60_000


def is_nsg(record: Mapping[str, Any]) -> bool:
    """Tell whether an element of *records* is of this format."""
    return record.get("category") == CATEGORY or "properties" in record


def decode_record(record: Mapping[str, Any], path: str, problems: Problems) -> Iterator[FlowRecord]:
    """The flows of one element; what cannot be read is reported with its path and left out."""
    properties = child(record, "properties", path, problems)
    path = f"{path}.properties"
    version = properties.get("Version")
    if version not in _VERSIONS:
        problems.add(f"{path}.Version", f"{version!r} is not 1 or 2")
        return
    resource = text(record, "resourceId")
    group = resource.rpartition("/")[2]
    for rule, rule_path in objects(properties, "flows", path, problems):
        for interface, flows_path in objects(rule, "flows", rule_path, problems):
            said: dict[str, Any] = {
                "mac_address": text(interface, "mac").upper(),
                "target": resource,
                "network_security_group": group,
                "rule": names.without_user_prefix(text(rule, "rule")),
            }
            tuples = entries(interface, "flowTuples", flows_path, problems)
            for index, written in enumerate(tuples):
                try:
                    if not isinstance(written, str):
                        raise NotAFlowLogError("not text")
                    yield read_nsg(written, version)._replace(**said)
                except NotAFlowLogError as error:
                    problems.add(f"{flows_path}.flowTuples[{index}]", str(error))


def v2_document(flows: Iterable[FlowRecord]) -> tuple[dict[str, Any], int]:
    """Records as a document of version 2, and how many it has no way to write.

    These are records of protocols other than TCP and UDP. Records are gathered by minute, network
    security group and interface, as Azure gathers them.
    """
    gathered: dict[tuple[int, str, str], dict[str, list[str]]] = {}
    left_out = 0
    for flow in flows:
        written = write_v2(flow)
        if written is None:
            left_out += 1
            continue
        group = flow.network_security_group or flow.acl_id or names.NO_ACL
        resource = names.security_group_id(flow.target, group)
        key = flow.time_ms // _MINUTE_MS, resource, flow.mac_address
        by_rule = gathered.setdefault(key, {})
        by_rule.setdefault(names.with_user_prefix(flow.rule), []).append(written)
    return {"records": [_record(*key, rules) for key, rules in gathered.items()]}, left_out


def _record(minute: int, resource: str, mac: str, rules: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        # Of the minute's end, when all of it is known.
        "time": names.iso_time((minute + 1) * _MINUTE_MS, 7),
        "systemId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"nsgd:{mac}")),
        "macAddress": mac,
        "category": CATEGORY,
        "resourceId": resource,
        "operationName": _OPERATION,
        "properties": {
            "Version": 2,
            "flows": [
                {"rule": rule, "flows": [{"mac": mac, "flowTuples": tuples}]}
                for rule, tuples in rules.items()
            ],
        },
    }
