"""The order of a start: workers and the kernel's table, each beside the other, one behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.policy_handover import HandOver
from nsgd.runtime.state import has_started, load_numbers
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
