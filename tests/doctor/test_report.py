"""The report, as text and as JSON."""

from __future__ import annotations

import json

import pytest

from nsgd.doctor.check import Check, State, ok, problem, unknown, warning
from nsgd.doctor.report import checks_as_json, checks_as_text, worst

CHECKS = (
    ok("kernel", "6.12"),
    unknown("marks", "not seen"),
    warning("IPv4 forwarding", "off", "sysctl -w net.ipv4.ip_forward=1"),
)


def test_text() -> None:
    """A line a check, what to do below it, and a count."""
    assert checks_as_text(CHECKS) == (
        "ok       kernel           6.12\n"
        "unknown  marks            not seen\n"
        "warning  IPv4 forwarding  off\n"
        "                          -> sysctl -w net.ipv4.ip_forward=1\n"
        "\n"
        "1 warning, 1 unknown, 1 ok"
    )


def test_json() -> None:
    """The worst state, and each check with null where nothing is to be done."""
    document = json.loads(checks_as_json(CHECKS))
    assert document["state"] == "warning"
    assert document["checks"][0] == {
        "name": "kernel",
        "state": "ok",
        "found": "6.12",
        "fix": None,
    }


@pytest.mark.parametrize(
    ("checks", "state"),
    [
        ((), State.OK),
        (CHECKS[:2], State.UNKNOWN),
        (CHECKS, State.WARNING),
        ((problem("queue rule", "neither", "modprobe"), *CHECKS), State.PROBLEM),
    ],
)
def test_worst(checks: tuple[Check, ...], state: State) -> None:
    """A problem outweighs a warning, and a warning what is unknown."""
    assert worst(checks) is state
