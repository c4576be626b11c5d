"""What may have decided at a time, and whether a loss then is a fault's."""

from __future__ import annotations

import time

from tests.soak.history import History
from tests.soak.policies import KERNEL, QUEUE, RELOADS_OF_AN_ENGINE, InForce, at_reload

FIRST, SECOND = InForce(0, QUEUE), InForce(1, KERNEL)


def test_a_change() -> None:
    """The old one before, either during it, the new one after."""
    history = History(FIRST)
    before_s = time.monotonic()
    with history.change(SECOND):
        during_s = time.monotonic()
        assert history.in_force(during_s, during_s) == {FIRST, SECOND}
    after_s = time.monotonic()
    assert history.in_force(before_s - 1, before_s - 1) == {FIRST}
    assert history.in_force(during_s, after_s + 1) == {FIRST, SECOND}
    assert history.in_force(after_s + 1, after_s + 1) == {SECOND}
    assert history.current == SECOND


def test_a_fault() -> None:
    """From its begin to its end, and while it goes on."""
    history = History(FIRST)
    before_s = time.monotonic() - 1
    assert not history.was_faulty(before_s, before_s + 9)
    with history.fault():
        now_s = time.monotonic()
        assert history.was_faulty(now_s, now_s)
        assert history.was_faulty(now_s + 5, now_s + 6)
    assert history.was_faulty(before_s, now_s)
    assert not history.was_faulty(now_s + 5, now_s + 6)
    assert not history.was_faulty(before_s, before_s + 0.5)


def test_every_policy_is_carried_out_by_both_engines() -> None:
    """Within five minutes of reloads every ten seconds."""
    pairs = {at_reload(count, (QUEUE, KERNEL)) for count in range(7 * RELOADS_OF_AN_ENGINE * 2)}
    assert len(pairs) == 14
