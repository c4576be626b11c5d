"""Records with the side that they are of, for tests of outputs."""

from __future__ import annotations

from nsgd.flowlog import names
from nsgd.flowlog.record import FlowRecord
from nsgd.model.rule import Direction
from nsgd.runtime.flow_log.attribution import Side
from nsgd.runtime.flow_log.output import Attributed
from tests.flowlog.records import BEGIN, TIME_MS

HOUR_MS = 3_600_000
NOW_S = TIME_MS / 1000
TARGET = names.resource_id("virtualNetworks", "lab")


def attributed(
    number: int = 0, time_ms: int = TIME_MS, mac: str = "02ABCDEF0123", network: str = "lab"
) -> Attributed:
    """A begin, told from others by its port."""
    record: FlowRecord = BEGIN._replace(
        source_port=number, time_ms=time_ms, mac_address=mac, target=TARGET
    )
    return (
        Side(network, TARGET, mac, Direction.OUTBOUND, 32, record.acl_id, "web", record.rule),
        record,
    )
