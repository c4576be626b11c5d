"""A memory that is shared fairly."""

from __future__ import annotations

import random

from nsgd.runtime.fair_ring import FairRing


def test_one_key_is_a_ring() -> None:
    """The oldest goes, and is handed back."""
    ring: FairRing[str, int] = FairRing(3)
    assert [ring.add("a", n) for n in range(5)] == [None, None, None, 0, 1]
    assert (sorted(ring), len(ring), ring.given_up) == ([2, 3, 4], 3, 2)


def test_who_has_most_loses_first() -> None:
    """However many it adds; and all of one each are a ring again."""
    ring: FairRing[str, tuple[str, int]] = FairRing(4)
    ring.add("rare", ("rare", 0))
    for n in range(100):
        ring.add("flood", ("flood", n))
    assert sorted(ring) == [("flood", 97), ("flood", 98), ("flood", 99), ("rare", 0)]
    for key in "wxyz":
        ring.add(key, (key, 0))
    # What is left of the flood has been one for less long than the others.
    assert sorted(key for key, _ in ring) == ["flood", "x", "y", "z"]


def test_shares_even_out() -> None:
    """Whatever comes, nobody who lost something has less than others by more than one."""
    draw = random.Random(7)
    ring: FairRing[int, tuple[int, int]] = FairRing(50)
    for n in range(5000):
        ring.add(key := min(draw.randrange(12), draw.randrange(12)), (key, n))
        assert len(ring) == len(list(ring)) == min(n + 1, 50)
    of_key = [sum(key == each for each, _ in ring) for key in range(12)]
    assert max(of_key) - min(of_key) <= 1
    assert len(ring._sizes) <= 2
