"""What is said of a daemon's health, and that a healthy one has nothing said."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.top.health import Level, findings
from tests.top.readings import status

LOG: dict[str, Any] = {"up": True, "records": {"written": 5, "max_bytes": 0}, "eventsLost": 0}


def test_nothing_to_say() -> None:
    """Of this status, which the cases below change."""
    assert findings(status(), status()) == []
    assert findings(status(flowLog=LOG)) == []


@pytest.mark.parametrize(
    ("level", "changes", "words"),
    [
        (Level.PROBLEM, {"worker": {"up": False}}, "no worker"),
        (Level.PROBLEM, {"queue": {"length": 3000}}, "3000 of 4096 places"),
        (Level.PROBLEM, {"queue": None}, "cannot be read"),
        (Level.PROBLEM, {"queue": {"droppedFull": 2}}, "2 packets dropped as the queue was full"),
        (Level.PROBLEM, {"queue": {"droppedSocket": 2}}, "by the worker's socket"),
        (Level.PROBLEM, {"packets": {"denied": {"internalError": 1}}}, "an error in nsgd"),
        (Level.PROBLEM, {"kernelDenials": {"lost": 4}}, "4 denials of the kernel engine lost"),
        (Level.PROBLEM, {"reloads": {"lastSucceeded": False}}, "last reload was REFUSED"),
        (Level.PROBLEM, {"table": {"owned": False}}, "not owned"),
        (Level.PROBLEM, {"flowLog": LOG | {"up": False}}, "DOWN"),
        (
            Level.PROBLEM,
            {"flowLog": LOG | {"records": {"written": 1, "max_bytes": 3}}},
            "3 flow log records LOST: max_bytes 3",
        ),
        (Level.PROBLEM, {"serviceTags": {"isPrevious": True}}, "service tags file cannot be used"),
        (Level.NOTE, {"flowLog": LOG | {"eventsLost": 2}}, "found again by a dump"),
        (Level.NOTE, {"mode": "audit"}, "let through"),
        (Level.NOTE, {"applied": {"secondsToConfirm": 12}}, "reverted in 12 s"),
        (Level.NOTE, {"applied": {"standsInPlaceOfConfig": True}}, "in place of"),
        (Level.NOTE, {"worker": {"restarts": 2}}, "restarts since the start: 2"),
        (Level.NOTE, {"table": {"changedByOthers": 3}}, "changed by other programs 3 times"),
        (Level.NOTE, {"table": {"foreignBaseChainsDeleted": 1}}, "base chains deleted"),
    ],
)
def test_each(level: Level, changes: dict[str, Any], words: str) -> None:
    """By itself."""
    (found,) = findings(status(**changes))
    assert found.level is level
    assert words in found.text


def test_problems_come_first_and_what_is_new_is_told() -> None:
    """Drops since the reading before are told apart."""
    now = status(mode="audit", queue={"droppedFull": 7})
    first, second = findings(now, status(queue={"droppedFull": 4}))
    assert (first.level, second.level) == (Level.PROBLEM, Level.NOTE)
    assert first.text.endswith("7 packets dropped as the queue was full, 3 just now")
    assert not findings(now, now)[0].text.endswith("just now")
