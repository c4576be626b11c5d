"""A second reader of version 4, written from Azure's page on the format, importing nothing of nsgd.

It takes a file as a log shipper would: the keys and the fields that the page names, no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORD_KEYS = {
    "time",
    "flowLogVersion",
    "flowLogGUID",
    "macAddress",
    "category",
    "flowLogResourceID",
    "targetResourceID",
    "operationName",
    "flowRecords",
}
ENCRYPTION = {
    "X",
    "NX",
    "NX_HW_NOT_SUPPORTED",
    "NX_SW_NOT_READY",
    "NX_NOT_ACCEPTED",
    "NX_NOT_SUPPORTED",
    "NX_LOCAL_DST",
    "NX_FALLBACK",
}


def flows_of_document(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each tuple with what it stands in; AssertionError where the document is not as described."""
    for record in document["records"]:
        assert record.keys() >= RECORD_KEYS
        assert record["flowLogVersion"] == 4
        assert record["category"] == record["operationName"] == "FlowLogFlowEvent"
        assert len(record["macAddress"]) == 12
        assert int(record["macAddress"], 16) >= 0
        assert record["time"].endswith("Z")
        for access_list in record["flowRecords"]["flows"]:
            for group in access_list["flowGroups"]:
                for text in group["flowTuples"]:
                    yield {
                        "mac": record["macAddress"],
                        "target": record["targetResourceID"],
                        "acl": access_list["aclID"],
                        # nsgd's, where the page has a GUID alone.
                        "group": access_list.get("networkSecurityGroup", ""),
                        "rule": group["rule"],
                        **flow_of_tuple(text),
                    }


def flow_of_tuple(text: str) -> dict[str, Any]:
    """The thirteen fields of a tuple."""
    time, source, destination, source_port, port, protocol, direction, state, *rest = text.split(
        ","
    )
    encryption, *counts = rest
    assert len(counts) == 4
    assert direction in ("I", "O")
    assert state in ("B", "C", "E", "D")
    assert encryption in ENCRYPTION
    return {
        "time_ms": int(time),
        "source": source,
        "destination": destination,
        "source_port": int(source_port),
        "destination_port": int(port),
        "protocol": int(protocol),
        "direction": direction,
        "state": state,
        # Packets and bytes sent, packets and bytes received; empty is what was not counted.
        "counts": tuple(int(count) if count else None for count in counts),
    }


def flows_below(directory: Path) -> list[dict[str, Any]]:
    """The flows of every hour's file below a directory, with the file's path among the fields."""
    return [
        {"path": str(path.relative_to(directory)), **flow}
        for path in sorted(directory.rglob("PT1H.json"))
        for flow in flows_of_document(json.loads(path.read_bytes()))
    ]
