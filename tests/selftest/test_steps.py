"""A daemon's life with packets, and a self-test that notices what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main
from nsgd.lab.netns import own_namespaces
from nsgd.selftest import policy, run, steps
from nsgd.selftest.finding import Finding, State
from nsgd.selftest.steps import live

pytestmark = pytest.mark.kernel


def states(directory: Path, engine: str, failure_mode: str) -> list[tuple[State, str]]:
    return [(each.state, each.detail) for each in live(directory, engine, failure_mode)]


@pytest.mark.parametrize(
    ("engine", "failure_mode"),
    [
        ("queue", "closed"),
        pytest.param("queue", "open", marks=pytest.mark.slow),
        pytest.param("kernel", "closed", marks=pytest.mark.slow),
        pytest.param("kernel", "open", marks=pytest.mark.slow),
    ],
)
def test_all_is_well(tmp_path: Path, engine: str, failure_mode: str) -> None:
    """Every check passes, and nothing is left behind."""
    found = states(tmp_path, engine, failure_mode)
    assert [state for state, _ in found] == [State.PASSED] * 10, found
    assert own_namespaces() == []


def test_a_policy_that_is_not_enforced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is open and should not be is told by its name; the rest is not tried."""

    def wider(engine: str, failure_mode: str) -> bytes:
        made = json.loads(policy.document(engine, failure_mode))
        made["networkSecurityGroups"][0]["securityRules"][0]["destinationPortRange"] = "80-81"
        return json.dumps(made).encode()

    monkeypatch.setattr(steps, "document", wider)
    found = states(tmp_path, "kernel", "closed")
    assert [state for state, _ in found[:3]] == [State.PASSED, State.PASSED, State.FAILED]
    assert found[2][1] == "tcp 81 over IPv4 passes, tcp 81 over IPv6 passes"
    assert {state for state, _ in found[3:]} == {State.SKIPPED}


def test_a_daemon_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the end of its log."""
    monkeypatch.setattr(steps, "document", lambda engine, failure_mode: b"{")
    found = states(tmp_path, "queue", "closed")
    assert found[1][0] is State.FAILED
    assert "ended with exit code 3" in found[1][1]
    assert "not started, 1 problem" in found[1][1]


@pytest.mark.parametrize("state", list(State))
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: State
) -> None:
    """Its exit code, its JSON, and the engine that it is asked for."""
    asked = []

    def one(directory: Path, engine: str, failure_mode: str) -> list[Finding]:
        asked.append((engine, failure_mode))
        return [Finding("it starts", state, "", engine, failure_mode)]

    monkeypatch.setattr(run, "live", one)
    code = main(["selftest", "-o", "json", "--engine", "kernel"])
    assert asked == [("kernel", "closed"), ("kernel", "open")]
    found = json.loads(capsys.readouterr().out)
    assert (code == 0) is found["passed"] is (state is State.PASSED)
    assert found["checks"][0]["check"] == "the kernel can do what nsgd needs"
    assert found["checks"][0]["state"] == "passed"
    assert len(found["checks"]) == 3
