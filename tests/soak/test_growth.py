"""Growth is told from noise, from a start, and from another policy's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.soak.growth import growth


def samples(
    resident: Callable[[float], int] = lambda at: 40_000,
    descriptors: Callable[[float], int] = lambda at: 18,
    rules: Callable[[float], int] = lambda at: 100,
    supervisor: Callable[[float], int] = lambda at: 1,
) -> list[dict[str, Any]]:
    """An hour of them; two policies with tables of different size take turns."""
    made = []
    for count in range(360):
        at = count * 10.0
        process = {
            "pid": supervisor(at),
            "rssKiB": resident(at),
            "anonymousKiB": 20_000,
            "descriptors": descriptors(at),
            "threads": 2,
        }
        made.append(
            {
                "atSeconds": at,
                "policy": count % 2,
                "engine": "kernel",
                "isSettled": count % 7 != 0,
                "supervisor": process,
                "workers": [{**process, "pid": count, "rssKiB": 25_000}],
                "table": {"rule": rules(at) + 50 * (count % 2)},
            }
        )
    return made


def test_nothing_grows() -> None:
    """Also where memory comes and goes."""
    assert growth(samples())["grown"] == []
    assert growth(samples(lambda at: 40_000 + int(at) % 3000))["grown"] == []


def test_what_is_filled_at_the_start_is_no_growth() -> None:
    """Five minutes after the begin, and after that of the supervisor that lived longest."""
    assert growth(samples(lambda at: 40_000 + 10 * int(min(at, 290))))["grown"] == []
    assert growth(samples(rules=lambda at: int(min(at, 290))))["grown"] == []

    def resident(at: float) -> int:
        return 30_000 + 10 * int(min(at - (600 if at >= 600 else 0), 290))

    assert growth(samples(resident, supervisor=lambda at: 1 + (at >= 600)))["grown"] == []


def test_what_a_change_leaves_over_for_a_moment_is_no_growth() -> None:
    """It is deleted within a second, and a sample may come before that."""
    assert growth(samples(rules=lambda at: 100 + 500 * (at % 550 == 0)))["grown"] == []


def test_engines_differ_in_what_they_need() -> None:
    """A descriptor more, and the engine that has it more often towards the end."""
    made = samples()
    for count, sample in enumerate(made):
        if count % 5 >= (3 if count < 180 else 2):
            sample["engine"] = "queue"
            sample["supervisor"]["descriptors"] = 19
    assert growth(made)["grown"] == []


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (samples(lambda at: 40_000 + int(at)), "supervisor, engine kernel: rssKiB"),
        (
            samples(descriptors=lambda at: 18 + (at > 3000)),
            "supervisor, engine kernel: descriptors",
        ),
        (samples(rules=lambda at: 100 + (at > 1900)), "table, policy 1 by kernel: rule"),
    ],
)
def test_what_grows(made: list[dict[str, Any]], name: str) -> None:
    """A MiB of memory, and a single descriptor or rule."""
    assert name in growth(made)["grown"]


def test_a_run_of_seconds_says_nothing() -> None:
    """There is nothing to compare."""
    assert growth(samples()[:20]) == {"series": {}, "grown": []}
