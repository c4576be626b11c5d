"""Counts by the minute."""

from __future__ import annotations

from nsgd.runtime.tally import Tally

MINUTE_MS = 60_000


def test_what_is_past_is_in_the_total_alone() -> None:
    """Nine whole minutes and the one that has begun are lately."""
    tally = Tally()
    for minute in range(100, 130):
        for _ in range(2):
            tally.add(minute * MINUTE_MS + 59_999)
    assert (tally.total, tally.lately(129 * MINUTE_MS)) == (60, 20)
    assert tally.lately(135 * MINUTE_MS) == 8
    assert tally.lately(200 * MINUTE_MS) == 0


def test_late_ones_count_for_the_newest_minute() -> None:
    """Two workers' denials come nearly in order; a clock may be set back."""
    tally = Tally()
    for minute in (5, 4, 5, 1):
        tally.add(minute * MINUTE_MS)
    assert (tally.total, tally.lately(5 * MINUTE_MS)) == (4, 4)
