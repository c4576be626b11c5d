"""One reading of what changes while it is read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from nsgd.health.losses import losses
from nsgd.observe.snapshot import QueueState, snapshot_as_json
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.load import load_policy
from nsgd.runtime.observer import Observer
from tests.runtime.test_trial import Daemon


def test_what_is_decided_meanwhile_is_not_lost(tmp_path: Path) -> None:
    """A packet that waited when queued ones were counted has its verdict a moment later."""
    (tmp_path / "policy.json").write_text('{"networkSecurityGroups": [{"name": "web"}]}')
    daemon = Daemon(tmp_path)
    supervisor = cast(Any, daemon.supervisor)
    counters = SharedCounters.create(64)
    supervisor.loaded = load_policy([tmp_path / "policy.json"], DecisionNumbers(), None)
    supervisor._workers = SimpleNamespace(
        counters=[counters], states=[SimpleNamespace(queue_number=9480, pid=1, restarts=0)]
    )

    def queue_state(number: int, most: int) -> QueueState:
        counters.cells[cell.ACCEPTED] += 1
        return QueueState(number, 0, most, 0, 0, 1)

    observer = Observer(supervisor, lambda: {"queued": 1}, queue_state, lambda: True)
    found = snapshot_as_json(observer.collect())
    assert losses(found)[0].count == 0
    counters.close()
