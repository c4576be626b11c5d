"""How the flow log fares, and what it says that each rule let through: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nsgd.model.rule import Access, Direction


@dataclass(frozen=True, slots=True)
class RuleTraffic:
    """Packets and bytes, both ways, of flows by the rule that records name."""

    network_security_group: str  # empty for a rule that stands ahead of all groups
    direction: Direction
    rule: str
    access: Access
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FlowLogState:
    """Counts since the daemon started; *records* by what became of them."""

    path: str
    format: str
    pid: int | None  # None while no process runs
    restarts: int
    open_flows: int  # followed now
    records: Mapping[str, int]
    waiting: int  # records that are not written yet
    last_write_s: int  # unix time; 0 before the first
    events_lost: int
    resyncs: int
    begun_unseen: int
    ended_unseen: int
    not_followed: int
    denials_missed: int
    rule_traffic: tuple[RuleTraffic, ...] = ()


def flow_log_as_json(state: FlowLogState | None) -> dict[str, Any] | None:
    """For ``nsgd status -o json``; None where flows are not logged."""
    if state is None:
        return None
    last_write = datetime.fromtimestamp(state.last_write_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "path": state.path,
        "format": state.format,
        "up": state.pid is not None,
        "pid": state.pid,
        "restarts": state.restarts,
        "openFlows": state.open_flows,
        "records": dict(state.records),
        "waiting": state.waiting,
        "lastWrite": last_write if state.last_write_s else None,
        "eventsLost": state.events_lost,
        "resyncs": state.resyncs,
        "begunUnseen": state.begun_unseen,
        "endedUnseen": state.ended_unseen,
        "notFollowed": state.not_followed,
        "denialsMissed": state.denials_missed,
        "ruleTraffic": [
            {
                "networkSecurityGroup": each.network_security_group or None,
                "direction": each.direction.value,
                "rule": each.rule,
                "access": each.access.value,
                "packets": each.packets,
                "bytes": each.bytes,
            }
            for each in state.rule_traffic
        ],
    }


def flow_log_line(log: Mapping[str, Any]) -> str:
    """What ``nsgd status`` says of it."""
    lost = sum(count for result, count in log["records"].items() if result != "written")
    parts = [
        f"{log['format']} at {log['path']}" if log["up"] else "DOWN: flows are not logged",
        f"{log['openFlows']} open flows",
        f"{log['records']['written']} records written",
        *([f"{log['waiting']} wait"] if log["waiting"] else []),
        *([f"{lost} LOST"] if lost else []),
        *([f"{log['eventsLost']} events lost"] if log["eventsLost"] else []),
    ]
    return ", ".join(parts)
