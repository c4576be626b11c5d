"""What is judged well, to be looked at, and wrong; and that each trouble has a way out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nsgd.health.judge import FULL_SHARE, checks, worst
from tests.web.fake import status

ALERTS = Path(__file__).parents[2] / "docs" / "dashboards" / "alerts.yaml"
FLOW_LOG: dict[str, Any] = {
    "path": "/var/log/nsgd",
    "up": True,
    "records": {"written": 5, "no_reader": 0},
    "eventsLost": 0,
    "resyncs": 0,
    "denialsMissed": 0,
}
CONNTRACK = {"entries": 5, "limit": 100, "dropped": 0}
TAGS = {"cloud": "Public", "changeNumber": 7, "ageSeconds": 86400, "isPrevious": False}


def changed(**changes: Any) -> dict[str, Any]:
    """A healthy status with *changes* of its first level merged in."""
    found = status()
    for key, value in changes.items():
        old = found.get(key)
        found[key] = old | value if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def test_all_is_well() -> None:
    """Nothing is to be done."""
    found = checks(status(flowLog=FLOW_LOG, serviceTags=TAGS, conntrack=CONNTRACK))
    assert {check.kind for check in found} == {worst(found)} == {"ok"}
    assert not any(check.way_out or check.count for check in found)


@pytest.mark.parametrize(
    ("name", "kind", "changes"),
    [
        ("Last reload", "bad", {"reloads": {"lastSucceeded": False}}),
        ("On trial", "warn", {"applied": {"secondsToConfirm": 30}}),
        ("Documents", "warn", {"applied": {"standsInPlaceOfConfig": True}}),
        ("Mode", "warn", {"mode": "audit"}),
        ("Worker", "bad", {"worker": {"up": False, "pid": None, "restarts": 1}, "queue": None}),
        ("Worker", "warn", {"worker": {"up": True, "pid": 1, "restarts": 1}}),
        ("Errors", "bad", {"packets": {"denied": {"internalError": 1}}}),
        ("Queue", "warn", {"queue": None}),
        ("Queue", "bad", {"queue": {"droppedFull": 1}}),
        ("Queue", "bad", {"queue": {"droppedSocket": 1}}),
        ("Queue", "warn", {"queue": {"length": 3300}, "packets": {"queued": 3444}}),
        ("Lost unseen", "warn", {"packets": {"queued": 150}}),
        ("Lost unseen", "warn", {"packets": {"notAdmitted": {"sourceRate": 1}}}),
        ("Lost unseen", "warn", {"packets": {"passedUndecided": 1}}),
        ("Lost unseen", "warn", {"kernelDenials": {"lost": 4}}),
        ("Lost unseen", "warn", {"flowLog": FLOW_LOG | {"eventsLost": 1}}),
        ("Lost unseen", "warn", {"flowLog": FLOW_LOG | {"denialsMissed": 1}}),
        ("Rules in the kernel", "bad", {"table": {"changedByOthers": 1}}),
        ("Rules in the kernel", "warn", {"table": {"changedByOthers": 1, "repaired": 1}}),
        ("Other programs", "warn", {"table": {"foreignBaseChainsDeleted": 2}}),
        ("Connection table", "warn", {"conntrack": CONNTRACK | {"entries": 85}}),
        ("Connection table", "bad", {"conntrack": CONNTRACK | {"dropped": 1}}),
        ("Flow log", "bad", {"flowLog": FLOW_LOG | {"up": False}}),
        ("Flow log", "bad", {"flowLog": FLOW_LOG | {"records": {"written": 1, "max_bytes": 1}}}),
        ("Service tags", "warn", {"serviceTags": TAGS | {"ageSeconds": 11 * 86400}}),
        ("Service tags", "bad", {"serviceTags": TAGS | {"isPrevious": True}}),
    ],
)
def test_trouble(name: str, kind: str, changes: dict[str, Any]) -> None:
    """One thing at a time, told with what to do."""
    found = checks(changed(**changes))
    (check,) = (each for each in found if each.kind != "ok")
    assert (check.name, check.kind, worst(found)) == (name, kind, kind)
    assert check.way_out


def test_a_table_that_cannot_be_owned_is_well() -> None:
    """Kernels before 6.9 have it so: what others do to it is judged, not that they could."""
    (check,) = (
        each for each in checks(changed(table={"owned": False})) if "kernel" in each.name.lower()
    )
    assert (check.kind, "others can change them" in check.text) == ("ok", True)


def test_a_refused_reload_says_when_and_why() -> None:
    """With the first problem, its line, and how many others there are."""
    problems = ["policy.yaml:7: priority: 105 is taken", "policy.yaml:9: x", "policy.yaml:11: y"]
    refused = {
        "lastSucceeded": False,
        "refusedAt": "2026-05-02T09:14:07Z",
        "problemCount": 7,
        "problems": problems,
    }
    found = checks(changed(reloads=refused))[0].text
    assert "REFUSED at 2026-05-02 09:14:07 UTC; policy 4 stays" in found
    assert f"{problems[0]} (and 6 more)" in found


def test_what_was_lost_is_named_and_counted() -> None:
    """All that has no check of its own, in one."""
    packets = {"queued": 150, "notAdmitted": {"sourceRate": 2, "sources": 3}}
    (check,) = (each for each in checks(changed(packets=packets)) if each.count)
    assert "3 packets that left the queue without a verdict; 5 first packets" in check.text
    assert check.count == 8


def test_the_alerts_have_the_same_thresholds() -> None:
    """So that page, live view and alerts agree on what is nearly full."""
    filling = r"expr: nsgd_(?:queue_depth|conntrack_entries).*> (0\.\d+)"
    shares = re.findall(filling, ALERTS.read_text())
    assert [float(share) for share in shares] == [FULL_SHARE] * 2
