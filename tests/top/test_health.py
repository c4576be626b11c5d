"""What the live view says of a daemon's health: what the page says, the worst first."""

from __future__ import annotations

from nsgd.health.judge import checks
from nsgd.top.health import Level, findings
from tests.top.readings import status


def test_nothing_to_say() -> None:
    """Of this status, which the cases below change."""
    assert findings(status(), status()) == []


def test_what_is_not_well_is_said_in_the_words_of_the_page() -> None:
    """With the way out, the worst first."""
    now = status(
        mode="audit",
        worker={"restarts": 2},
        reloads={"lastSucceeded": False},
        packets={"queued": 1000},
    )
    found = findings(now)
    assert [each.level for each in found] == [Level.PROBLEM] + [Level.NOTE] * 3
    assert found[0].text.startswith("Last reload: REFUSED")
    for check in checks(now):
        said = [each for each in found if each.text.startswith(f"{check.name}: {check.text}")]
        assert len(said) == (check.kind != "ok")
        assert all(each.text.endswith(f". {check.way_out}") for each in said)


def test_what_is_lost_without_a_restart_is_said() -> None:
    """A hundred packets that were queued and not answered are no silence."""
    (found,) = findings(status(packets={"queued": 247}))
    assert "100 packets that left the queue without a verdict" in found.text


def test_what_is_new_is_told() -> None:
    """Drops since the reading before are told apart."""
    now = status(queue={"droppedFull": 7})
    (found,) = findings(now, status(queue={"droppedFull": 4}))
    assert "7 packets dropped, 3 just now. " in found.text
    assert "just now" not in findings(now, now)[0].text
