"""What is judged well, to be looked at, and wrong; and that each trouble has a way out."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.web.health import checks, losses, trouble
from tests.web.fake import status

FLOW_LOG = {
    "path": "/var/log/nsgd",
    "up": True,
    "records": {"written": 5, "no_reader": 0},
    "eventsLost": 0,
    "resyncs": 0,
    "denialsMissed": 0,
}
CONNTRACK = {"entries": 5, "limit": 100, "dropped": 0}
TAGS = {"cloud": "Public", "changeNumber": 7, "ageSeconds": 86400, "isPrevious": False}


def test_all_is_well() -> None:
    """Nothing is to be done, and nothing was lost."""
    found = status(flowLog=FLOW_LOG, serviceTags=TAGS, conntrack=CONNTRACK)
    assert trouble(found) == 0
    assert not any(check.way_out for check in checks(found))
    assert not any(loss.count for loss in losses(found))


@pytest.mark.parametrize(
    ("name", "kind", "changes"),
    [
        ("Last reload", "bad", {"reloads": {"lastSucceeded": False}}),
        ("On trial", "warn", {"applied": {"secondsToConfirm": 30}}),
        ("Documents", "warn", {"applied": {"standsInPlaceOfConfig": True}}),
        ("Mode", "warn", {"mode": "audit"}),
        ("Worker", "bad", {"worker": {"up": False, "pid": None, "restarts": 1}}),
        ("Worker", "warn", {"worker": {"up": True, "pid": 1, "restarts": 1}}),
        ("Queue", "warn", {"queue": None}),
        ("Queue", "bad", {"queue": {"droppedFull": 1}}),
        ("Queue", "warn", {"queue": {"length": 4000}}),
        ("Rules in the kernel", "bad", {"table": {"changedByOthers": 1}}),
        ("Rules in the kernel", "warn", {"table": {"changedByOthers": 1, "repaired": 1}}),
        ("Other programs", "warn", {"table": {"foreignBaseChainsDeleted": 2}}),
        ("Connection table", "warn", {"conntrack": CONNTRACK | {"entries": 95}}),
        ("Connection table", "bad", {"conntrack": CONNTRACK | {"dropped": 1}}),
        ("Flow log", "bad", {"flowLog": FLOW_LOG | {"up": False}}),
        ("Flow log", "bad", {"flowLog": FLOW_LOG | {"records": {"written": 1, "max_bytes": 1}}}),
        ("Service tags", "warn", {"serviceTags": TAGS | {"ageSeconds": 11 * 86400}}),
        ("Service tags", "bad", {"serviceTags": TAGS | {"isPrevious": True}}),
    ],
)
def test_trouble(name: str, kind: str, changes: dict[str, Any]) -> None:
    """One thing at a time, told with what to do."""
    found = status()
    for key, value in changes.items():
        old = found.get(key)
        found[key] = old | value if isinstance(old, dict) and isinstance(value, dict) else value
    (check,) = (each for each in checks(found) if each.kind != "ok")
    assert (check.name, check.kind) == (name, kind)
    assert check.way_out


def test_losses_are_counted_apart() -> None:
    """What left the queue without a verdict is what it got, less the decided and the waiting."""
    found = status()
    found["packets"]["queued"] = 160
    found["packets"]["notAdmitted"] = {"sourceRate": 3, "sources": 4}
    assert {loss.name: loss.count for loss in losses(found) if loss.count} == {
        "packets that left the queue without a verdict": 13,
        "first packets not admitted to the queue": 7,
    }
    found["queue"] = None
    assert losses(found)[0].count is None


def test_readings_of_one_moment_may_differ() -> None:
    """A verdict that was counted before its packet is no negative loss."""
    found = status()
    found["packets"]["queued"] = 1
    assert losses(found)[0].count == 0
