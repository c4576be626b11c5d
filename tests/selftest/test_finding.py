"""What a self-test found, for people and for programs."""

from __future__ import annotations

from nsgd.selftest.finding import Finding, State, findings_as_json, format_findings

FINDINGS = [
    Finding("the kernel can", State.PASSED, "Linux 6.1"),
    Finding("it starts", State.FAILED, "ended with exit code 1", "queue", "closed"),
    Finding("rules are counted", State.SKIPPED, "'it starts' failed", "queue", "closed"),
]


def test_table() -> None:
    """A line each; the sum counts what has passed."""
    assert format_findings(FINDINGS) == (
        "State    Engine  Mode    Check\n"
        "passed   -       -       the kernel can     Linux 6.1\n"
        "FAILED   queue   closed  it starts          ended with exit code 1\n"
        "skipped  queue   closed  rules are counted  'it starts' failed\n"
        "\n"
        "1 of 3 passed"
    )


def test_json() -> None:
    """Passed as a whole only where each has passed."""
    made = findings_as_json(FINDINGS)
    assert made["passed"] is False
    assert made["checks"][1] == {
        "check": "it starts",
        "state": "failed",
        "engine": "queue",
        "failureMode": "closed",
        "detail": "ended with exit code 1",
    }
    assert findings_as_json(FINDINGS[:1])["passed"] is True
