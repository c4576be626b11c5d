"""Virtual network flow logs, version 4: records to the JSON of a file, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from nsgd.flowlog import names
from nsgd.flowlog.entry import Place, Ruling
from nsgd.flowlog.fields import Problems, child, entries, objects, text
from nsgd.flowlog.record import FlowRecord, NotAFlowLogError
from nsgd.flowlog.tuples import read_v4

CATEGORY = "FlowLogFlowEvent"
VERSION = 4

# A file is a document at every moment: Azure too writes the end anew with each block.
FILE_START = b'{"records":['
FILE_END = b"]}"


# Tuples as written, by what decided them.
Rulings = Iterable[tuple[Ruling, Iterable[str]]]


def encode_record(place: Place, time_ms: int, rulings: Rulings) -> str:
    """One element of *records*: what an interface saw until *time_ms*, as JSON on one line.

    Beside Azure's keys each access list has ``networkSecurityGroup``, its name: a GUID made of a
    name cannot be turned back.
    """
    groups: dict[str, dict[str, str]] = {}
    # By hand, as it is the most of what a file of few flows costs; a tuple has nothing to escape.
    for ruling, tuples in rulings:
        access_list, rule = _of_ruling(ruling)
        by_rule = groups.get(access_list)
        if by_rule is None:
            by_rule = groups[access_list] = {}
        more = '","'.join(tuples)
        before = by_rule.get(rule)
        by_rule[rule] = more if before is None else f'{before}","{more}'
    flows = ",".join(
        f'{{{access_list},"flowGroups":['
        + ",".join(f'{{{rule},"flowTuples":["{tuples}"]}}' for rule, tuples in by_rule.items())
        + "]}"
        for access_list, by_rule in groups.items()
    )
    start, end = _of_network(place.virtual_network)
    return (
        f'{{"time":"{_time(time_ms)}",{start},"macAddress":"{place.mac_address}",{end},'
        f'"flowRecords":{{"flows":[{flows}]}}}}'
    )


@lru_cache(maxsize=4)  # all of a flush have one
def _time(time_ms: int) -> str:
    return names.iso_time(time_ms, 7)


@lru_cache(maxsize=1024)
def _of_network(virtual_network: str) -> tuple[str, str]:
    """What stands before and behind the interface in all elements of a network."""
    return _inner(flowLogVersion=VERSION, flowLogGUID=names.flow_log_guid(virtual_network)), _inner(
        category=CATEGORY,
        flowLogResourceID=names.flow_log_id(virtual_network),
        targetResourceID=names.resource_id("virtualNetworks", virtual_network),
        operationName=CATEGORY,
    )


@lru_cache(maxsize=65536)
def _of_ruling(ruling: Ruling) -> tuple[str, str]:
    """An access list without its rules, and a rule without its tuples."""
    group = ruling.network_security_group
    named = {"networkSecurityGroup": group} if group else {}
    return _inner(aclID=ruling.acl_id, **named), _inner(rule=ruling.rule)


def _inner(**keys: object) -> str:
    """The inside of an object."""
    return json.dumps(keys, separators=(",", ":"))[1:-1]


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
