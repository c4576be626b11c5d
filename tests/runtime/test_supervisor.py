"""The order of a start: workers and the kernel's table, each beside the other, one behind."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.loop import EndedEarly
from nsgd.runtime.policy_handover import HandOver
from nsgd.runtime.state import StateError, has_started, load_numbers
from nsgd.runtime.worker_process import WorkerError
from nsgd.runtime.workers import Workers
from tests.runtime.test_trial import Daemon


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """Not started; no process is."""
    monkeypatch.setattr(Workers, "keep_spare", lambda self: None)
    made = Daemon(tmp_path)
    made.write("Allow")
    return made


def test_rules_change_once_workers_serve(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then the numbers that rules have are saved, which a killed daemon must not lose."""
    order = []

    def serve(self: Workers, policy: HandOver) -> None:
        assert not daemon.table.access
        order.append((policy.generation, load_numbers(daemon.state) == DecisionNumbers()))

    monkeypatch.setattr(Workers, "start", serve)
    write = daemon.table.install

    def install(loaded: LoadedPolicy, **options: Any) -> None:
        write(loaded, **options)
        assert order == [(1, True)]
        assert load_numbers(daemon.state) == loaded.numbers != DecisionNumbers()
        assert not has_started(daemon.state)

    monkeypatch.setattr(daemon.table, "install", install)
    assert daemon.start().table.access == "Allow"
    assert has_started(daemon.state)


def test_rules_stay_where_no_worker_serves(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start fails as the worker did."""
    error = WorkerError("worker did not start: taken")

    def fail(self: Workers, policy: HandOver) -> None:
        raise error

    monkeypatch.setattr(Workers, "start", fail)
    with pytest.raises(WorkerError) as raised:
        daemon.start()
    assert raised.value is error
    assert not daemon.table.access
    assert not has_started(daemon.state)
    assert not daemon.supervisor.has_served


def test_rules_stay_where_the_end_is_asked_for_before_they_change(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is saved, and nothing is left to be ended."""
    monkeypatch.setattr(Workers, "start", lambda *given: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    try:
        daemon.supervisor.loop.note(signal.SIGTERM)
        with pytest.raises(EndedEarly):
            daemon.start()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not daemon.table.access
    assert load_numbers(daemon.state) == DecisionNumbers()
    assert not daemon.supervisor.has_served


def test_rules_in_force_are_ended_as_such_where_the_start_fails_behind_them(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else onStop would not hold for them, and nobody would say that they stay."""
    monkeypatch.setattr(Workers, "start", lambda *given: None)

    def fail(directory: Path) -> None:
        raise StateError("full")

    monkeypatch.setattr("nsgd.runtime.supervisor.note_start", fail)
    with pytest.raises(StateError):
        daemon.start()
    assert daemon.table.access == "Allow"
    assert daemon.supervisor.has_served
