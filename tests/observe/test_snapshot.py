"""The JSON that other programs read."""

from __future__ import annotations

import dataclasses
import json

from nsgd.observe.snapshot import WorkerSeen, snapshot_as_json
from tests.observe.snapshots import SEVERAL, SNAPSHOT


def test_json() -> None:
    """Names are camelCase, times are UTC, values are the snapshot's."""
    assert snapshot_as_json(SNAPSHOT) == {
        "state": "running",
        "version": "1.2.3",
        "engine": "queue",
        "roles": ["gateway", "host"],
        "mode": "enforce",
        "failureMode": "closed",
        "generation": 4,
        "policyHash": "0123456789abcdef",
        "startedAt": "2020-09-13T12:26:40Z",
        "loadedAt": "2023-11-14T22:13:20Z",
        "ruleHits": [
            {
                "networkSecurityGroup": "web",
                "direction": direction,
                "rule": rule,
                "access": access,
                "hits": hits,
            }
            for direction, rule, access, hits in (
                ("Inbound", "AllowHttp", "Allow", 12),
                ("Inbound", "DenyAllInBound", "Deny", 130),
                ("Outbound", "DenyAllOutBound", "Deny", 0),
            )
        ],
        "flows": [
            {"direction": "Inbound", "access": "Allow", "reason": "rule", "flows": 12},
            {"direction": "Inbound", "access": "Deny", "reason": "rule", "flows": 130},
        ],
        "packets": {
            "queued": 150,
            "notAdmitted": {"sourceRate": 40, "sources": 0},
            "passedUndecided": 3,
            "failsafe": 5,
            "denied": {"rule": 130, "spoofed": 8, "invalid": 0},
            "unparsable": {"fragment": 2, "empty": 0},
            "unmanaged": {"accept": 20, "drop": 0},
            "midstream": 1,
            "verdicts": {"accept": 12, "drop": 132},
            "foreignMarks": 0,
        },
        "kernelDenials": {"told": 7, "untold": 93, "lost": 1},
        "openFlows": {"adopted": 6, "judgedAgain": 9, "cut": 2},
        "queue": {
            "number": 9480,
            "length": 3,
            "maxLength": 4096,
            "droppedFull": 5,
            "droppedSocket": 6,
            "packetsSeen": 7,
        },
        "worker": {"up": True, "pid": 4321, "restarts": 1},
        "workers": [
            {
                "queueNumber": 9480,
                "up": True,
                "pid": 4321,
                "restarts": 1,
                "queue": {
                    "number": 9480,
                    "length": 3,
                    "maxLength": 4096,
                    "droppedFull": 5,
                    "droppedSocket": 6,
                    "packetsSeen": 7,
                },
            }
        ],
        "reloads": {
            "succeeded": 3,
            "refused": 1,
            "refusedAt": None,
            "problemCount": 0,
            "problems": [],
            "lastSucceeded": False,
        },
        "table": {
            "owned": True,
            "markMask": "0xffff3fff",
            "changedByOthers": 3,
            "repaired": 2,
            "foreignBaseChainsDeleted": 4,
        },
        "serviceTags": None,
        "applied": {
            "applied": 5,
            "confirmed": 1,
            "reverted": 2,
            "refused": 3,
            "standsInPlaceOfConfig": True,
            "secondsToConfirm": None,
        },
        "flowLog": None,
        "conntrack": {"entries": 900, "limit": 1000, "dropped": 8},
        "metricsDetail": "full",
        "networkInterfaces": [
            {
                "name": "web1",
                "inbound": {"allow": 7, "deny": 100},
                "outbound": {"allow": 3, "deny": 0},
            }
        ],
    }


def test_json_without_queue_and_worker() -> None:
    """What is not known is null, and everything is plain JSON."""
    made = snapshot_as_json(
        dataclasses.replace(SNAPSHOT, workers=(WorkerSeen(9480, None, 1, None),))
    )
    assert made["queue"] is None
    assert made["worker"] == {"up": False, "pid": None, "restarts": 1}
    assert json.loads(json.dumps(made)) == made


def test_json_of_several_workers() -> None:
    """Together they are up where all are, and their queues known where all are."""
    made = snapshot_as_json(SEVERAL)
    assert made["worker"] == {"up": False, "pid": 4321, "restarts": 3}
    assert made["queue"] is None
    assert [(each["queueNumber"], each["pid"]) for each in made["workers"]] == [
        (9480, 4321),
        (9481, None),
        (9482, 4323),
    ]
    workers = tuple(worker for worker in SEVERAL.workers if worker.pid)
    made = snapshot_as_json(dataclasses.replace(SEVERAL, workers=workers))
    assert made["worker"] == {"up": True, "pid": 4321, "restarts": 1}
    assert made["queue"] == {
        "number": 9480,
        "length": 12,
        "maxLength": 8192,
        "droppedFull": 10,
        "droppedSocket": 12,
        "packetsSeen": 14,
    }
