"""Debian's Prometheus scrapes a running daemon: every query of the dashboard, and every alert."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.dashboards.dashboard import (
    SELECTOR,
    alerts,
    documented_queries,
    queries,
    substituted,
)
from tests.dashboards.server import Prometheus, prometheus
from tests.dashboards.site import Site
from tests.kernel.network import Network

_FIND_S = 60.0
# Only while something is so: what they are about is shown by their unit tests.
_EVENTS = {"Policy changes", "Refused reloads"}


@pytest.mark.parametrize("engine", ["queue", "kernel"])
def test_every_query_finds_data(net: Network, tmp_path: Path, engine: str) -> None:
    """Of a daemon with real traffic; alerts fire on what is provoked, and on nothing else."""
    prometheus()
    site = Site(net, engine)
    server = Prometheus(net.gateway, tmp_path / "prometheus")
    try:
        server.start(site.port)
        site.connections()
        missing = find_all(site, server)
        assert not missing
        assert server.problems() == []
        check_alert_selectors(server)
        assert server.firing() == set()
        same_numbers(site, server)
        provoke(site, server)
    finally:
        server.close()


def find_all(site: Site, server: Prometheus) -> list[tuple[str, str]]:
    """Send traffic until every query has found something; what has not in time."""
    left = [query for query in queries() if query[0] not in _EVENTS]
    left += documented_queries()
    assert len(left) > 60
    deadline = time.monotonic() + _FIND_S
    while left and time.monotonic() < deadline:
        site.some_traffic()
        left = [
            (title, expression)
            for title, expression in left
            if not server.query(substituted(expression, step="15s", span="60s"))
        ]
        time.sleep(0.5)
    return left


def check_alert_selectors(server: Prometheus) -> None:
    """What alerts look at is there: one that fires never because of a wrong name is none."""
    for rule in alerts():
        server.query(rule["expr"])
        selectors = SELECTOR.findall(rule["expr"])
        for name, chosen in selectors or [("up", '{job="nsgd"}')]:
            assert server.query(f"{name}{chosen}"), (rule["alert"], name)


def same_numbers(site: Site, server: Prometheus) -> None:
    """What Prometheus has, once nothing moves any more, is what the daemon says."""

    def has() -> bool:
        rows = server.query("nsgd_rule_hits_total")
        found = {
            (s["metric"]["nsg"], s["metric"]["direction"], s["metric"]["rule"]): int(s["value"][1])
            for s in rows
        }
        return {key: value for key, value in found.items() if value} == site.net.hits()

    site.net.wait(has, "Prometheus has other hits than the daemon", 10.0)


def provoke(site: Site, server: Prometheus) -> None:
    """A refused reload and a dead worker, each seen by its alert."""
    site.refused_reload()
    site.net.wait(lambda: "NsgdReloadRefused" in server.firing(), "no alert", 15.0)
    os.kill(site.net.status()["worker"]["pid"], signal.SIGKILL)
    site.net.wait(lambda: "NsgdWorkerRestarts" in server.firing(), "no alert", 15.0)
    assert server.firing() <= {"NsgdReloadRefused", "NsgdWorkerRestarts", "NsgdWorkerDown"}
    assert server.query(substituted(dict(queries())["Refused reloads"], step="30s", span="60s"))
    site.net.kill()
    site.net.wait(lambda: "NsgdDown" in server.firing(), "no alert", 15.0)
