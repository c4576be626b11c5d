"""A soak of seconds: what an hour of it asks, with one restart and a few kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import summary
from tests.soak.run import Settings, Soak


@pytest.mark.kernel
def test_a_short_soak(tmp_path: Path) -> None:
    """No wrong verdict and no flow lost, with both engines, reloads, and a worker killed."""
    least = {"reloads": 3, "worker kills": 1, "supervisor kills": 1, "connected": 1}
    settings = Settings(
        4.0, reload_every_s=1.2, kill_every_s=1.5, restarts_at=(0.4,), packets_per_s=50, least=least
    )
    report = Soak(settings, tmp_path).run()
    assert report["isGood"], summary(report)
    for name, count in least.items():
        assert {**report["done"], **report["connections"]}[name] >= count
    assert {sample["engine"] for sample in report["samples"]} <= {"queue", "kernel"}
    # Nobody has slept through it.
    assert report["probes"]["passed"] > 0
    assert report["probes"]["denied"] > 0
    assert all(flow["rounds"] > 1 for flow in report["longFlows"].values())
