"""A daemon that is not there: its answers, for tests of pages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nsgd.answers.policy import QuestionedPolicy
from nsgd.config.document import Document
from nsgd.config.load import load_documents
from nsgd.observe.snapshot import snapshot_as_json
from nsgd.runtime.control_client import ControlError
from nsgd.web.source import FoundFlows, Status
from tests.observe.snapshots import SNAPSHOT

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "three-tier.yaml"
# Whatever of this reaches a page must stay text.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{7*7}}"

# The part of a status about the flow log, where there is one.
LOGGED: dict[str, Any] = {
    "path": "/var/log/nsgd",
    "format": "azure",
    "up": True,
    "pid": 4322,
    "restarts": 0,
    "openFlows": 3,
    "records": {"written": 9, "write_failed": 0, "no_reader": 0, "max_bytes": 0},
    "waiting": 0,
    "lastWrite": "2026-03-01T12:00:00Z",
    "eventsLost": 0,
    "resyncs": 0,
    "begunUnseen": 0,
    "endedUnseen": 0,
    "notFollowed": 0,
    "denialsMissed": 0,
    "ruleTraffic": [
        {
            "networkSecurityGroup": "web",
            "direction": "Inbound",
            "rule": "AllowWebFromInternet",
            "access": "Allow",
            "packets": 1234,
            "bytes": 5_000_000_001,
        }
    ],
}


@lru_cache(maxsize=1)
def example() -> QuestionedPolicy:
    """The three tiers."""
    return policy_of(EXAMPLE.read_bytes())


def policy_of(document: bytes) -> QuestionedPolicy:
    """A policy to ask."""
    return QuestionedPolicy(load_documents([Document("a.yaml", document)]).model)


def status(**changes: Any) -> dict[str, Any]:
    """A daemon with which all is well."""
    found = snapshot_as_json(SNAPSHOT)
    found["reloads"] = {"succeeded": 3, "refused": 0, "lastSucceeded": True}
    found["worker"] = {"up": True, "pid": 4321, "restarts": 0}
    found["queue"] |= {"droppedFull": 0, "droppedSocket": 0}
    found["table"] |= {"changedByOthers": 0, "repaired": 0, "foreignBaseChainsDeleted": 0}
    found["applied"] |= {"standsInPlaceOfConfig": False}
    found["kernelDenials"] = {"told": 0, "untold": 0, "lost": 0}
    found["conntrack"] |= {"entries": 5, "dropped": 0}
    found["packets"] |= {"queued": 147, "passedUndecided": 0, "notAdmitted": {"sourceRate": 0}}
    return found | changes


def denial(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One denial."""
    return {
        "id": number,
        "time": "2026-03-01T12:00:00.500Z",
        "direction": "Inbound",
        "networkSecurityGroup": "web",
        "rule": "DenyAllInBound",
        "protocol": "Tcp",
        "source": "203.0.113.7",
        "sourcePort": 40000 + number,
        "destination": "10.0.1.4",
        "destinationPort": 3389,
        "from": None,
        "to": "web1",
        "networkInterface": "web1",
        "times": number,
        "timesLately": number,
    } | changes


def flow(**changes: Any) -> dict[str, Any]:
    """One open flow."""
    return {
        "protocol": "Tcp",
        "source": "203.0.113.7",
        "sourcePort": 40000,
        "destination": "10.0.1.4",
        "destinationPort": 80,
        "from": None,
        "to": "web1",
        "outbound": {
            "networkSecurityGroup": None,
            "rule": None,
            "access": "Allow",
            "reason": "noNetworkSecurityGroup",
        },
        "inbound": {
            "networkSecurityGroup": "web",
            "rule": "AllowWebFromInternet",
            "access": "Allow",
            "reason": "rule",
        },
        "state": "ESTABLISHED",
        "ageSeconds": 3725,
        "expiresInSeconds": 100,
        "packets": 1,
        "bytes": 60,
        "replyPackets": 1200,
        "replyBytes": 1000000,
    } | changes


class FakeSource:
    """Answers as it is told; with an error, none at all."""

    def __init__(self) -> None:
        self.error: ControlError | None = None
        self.is_whole = True
        self.now: dict[str, Any] = status()
        self.asked = example()
        self.denied = [denial(number) for number in (3, 2, 1)]
        self.open = [flow()]
        self.arguments: list[Mapping[str, Any]] = []

    def status(self) -> Status:
        """The status."""
        self._fail()
        return self.now

    def policy(self) -> QuestionedPolicy:
        """The policy in force."""
        self._fail()
        return self.asked

    def denials(self, **arguments: Any) -> Mapping[str, Any]:
        """Recent ones."""
        self._fail()
        self.arguments.append(arguments)
        return {
            "denials": self.denied,
            "lastId": 3,
            "kept": len(self.denied),
            "mostKept": 1000,
            "givenUp": 7,
            "since": "2026-03-01T11:00:00.000Z",
            "notTold": 5,
        }

    def flows(self, limit: int, **arguments: Any) -> FoundFlows:
        """Open ones."""
        self._fail()
        self.arguments.append(arguments)
        return FoundFlows(self.open, self.is_whole)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
