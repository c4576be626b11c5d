"""A connection table without room is told once for each loss, and what was lost before is not."""

from __future__ import annotations

import logging

import pytest

from nsgd.observe.conntrack_state import ConntrackState
from nsgd.runtime.conntrack_watch import ConntrackWatch


def test_losses_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """One line for what was dropped since the last look; nothing where nothing was."""
    now_s, state = [0.0], [ConntrackState(5, 10, 3)]
    watch = ConntrackWatch(lambda: state[0], lambda: now_s[0])

    def told(later_s: float, dropped: int) -> list[str]:
        now_s[0] += later_s
        state[0] = ConntrackState(10, 10, dropped)
        caplog.clear()
        watch.tend()
        return [record.getMessage() for record in caplog.records]

    caplog.set_level(logging.INFO)
    assert told(0, 3) == []
    assert told(1, 7) == []  # not yet
    assert told(5, 7) == [
        "the connection table is full, 10 of at most 10 flows: the kernel has dropped 4 packets of"
        " new flows ahead of every rule; raise net.netfilter.nf_conntrack_max"
    ]
    assert told(5, 7) == []
    assert told(5, 8)[0].count("dropped 1 packets") == 1


def test_what_cannot_be_read_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    watch = ConntrackWatch(lambda: None, lambda: 0.0)
    watch.tend()
    assert caplog.records == []
