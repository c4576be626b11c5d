"""Readings of a daemon that tests of the live view share."""

from __future__ import annotations

import copy
from typing import Any

from nsgd.observe.snapshot import snapshot_as_json
from nsgd.top.view import Reading
from tests.observe.snapshots import SNAPSHOT

DENIAL: dict[str, Any] = {
    "id": 1,
    "time": "2026-05-02T09:14:07.312Z",
    "direction": "Inbound",
    "networkSecurityGroup": "web",
    "rule": "DenyAllInBound",
    "protocol": "Tcp",
    "source": "203.0.113.7",
    "sourcePort": 51344,
    "destination": "10.0.1.4",
    "destinationPort": 22,
    "from": None,
    "to": "web1",
    "networkInterface": "web1",
    "times": 1,
    "timesLately": 1,
}
LATER = DENIAL | {
    "time": "2026-05-02T09:14:09.000Z",
    "sourcePort": 51345,
    "times": 2,
    "timesLately": 2,
}
OTHER = DENIAL | {
    "time": "2026-05-02T09:14:08.000Z",
    "protocol": "Udp",
    "source": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "destination": "fd00:10:0:1:1234:5678:9abc:def0",
    "destinationPort": 53,
}
LOG: dict[str, Any] = {
    "up": True,
    "format": "azure",
    "path": "/log",
    "openFlows": 3,
    "records": {"written": 9},
    "waiting": 0,
    "eventsLost": 0,
    "resyncs": 0,
    "denialsMissed": 0,
}


def answer(*denials: dict[str, Any], not_told: int = 0) -> dict[str, Any]:
    """Of the verb denials."""
    return {
        "denials": list(denials),
        "lastId": len(denials),
        "kept": len(denials),
        "mostKept": 1000,
        "givenUp": 0,
        "since": "2026-05-02T09:00:00.000Z",
        "notTold": not_told,
    }


def status(**changes: Any) -> dict[str, Any]:
    """One that is healthy, with *changes* of its first level merged in."""
    made = copy.deepcopy(snapshot_as_json(SNAPSHOT))
    healthy: dict[str, Any] = {
        "mode": "enforce",
        "reloads": {"succeeded": 3, "refused": 0, "lastSucceeded": True},
        "applied": {"standsInPlaceOfConfig": False},
        "kernelDenials": {"lost": 0},
        "table": {"changedByOthers": 0, "foreignBaseChainsDeleted": 0},
        "worker": {"restarts": 0},
        "queue": {"droppedFull": 0, "droppedSocket": 0},
        "packets": {"queued": 147, "notAdmitted": {}, "passedUndecided": 0},
        "conntrack": {"entries": 5, "dropped": 0},
    }
    for name, value in (*healthy.items(), *changes.items()):
        if isinstance(made.get(name), dict) and isinstance(value, dict):
            made[name] |= value
        else:
            made[name] = value
    return made


def reading(at_s: float = 0.0, *denials: dict[str, Any], **changes: Any) -> Reading:
    """At a time after 2026-05-02 09:14:10."""
    return Reading(status(**changes), answer(*denials), at_s, 1_777_713_250 + at_s)


def hits(**counts: int) -> list[dict[str, Any]]:
    """Rules of group web, inbound; those that begin with Deny deny."""
    return [
        {
            "networkSecurityGroup": "web",
            "direction": "Inbound",
            "rule": rule,
            "access": "Deny" if rule.startswith("Deny") else "Allow",
            "hits": count,
        }
        for rule, count in counts.items()
    ]
