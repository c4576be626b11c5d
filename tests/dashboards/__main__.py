"""Make the pictures of docs/prometheus.md from a lab's real traffic; needs root, and matplotlib.

python -m tests.dashboards docs/images
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.dashboards.draw import Times, draw
from tests.dashboards.server import Prometheus
from tests.dashboards.site import Site
from tests.kernel.network import network

PICTURES = {
    "dashboard-health.png": ("Health", "Verdicts"),
    "dashboard-rules.png": ("Rules by rate", "Denials", "Network interfaces"),
    "dashboard-queues.png": ("Queues and kernel",),
    "dashboard-policy.png": ("Reloads and policy", "Flow log"),
}
_PORT, _INTERVAL_S, _ROUND_S, _RATE = 9480, 2, 0.5, "20s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Five minutes of traffic with its incidents, and a picture of each part of the dashboard."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--engine", choices=("queue", "kernel"), default="queue")
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made, network(Path(made)) as net:
        site = Site(net, options.engine, _PORT)
        server = Prometheus(net.gateway, Path(made) / "prometheus", _INTERVAL_S)
        try:
            server.start(site.port)
            start_s = time.time() + 2 * _INTERVAL_S
            run(site, start_s, options.seconds)
            end_s = time.time()
            times = Times(start_s, end_s, _INTERVAL_S, _RATE)
            for name, rows in PICTURES.items():
                draw(rows, server, times, options.directory / name)
                print(options.directory / name)
        finally:
            server.close()
    return 0


def run(site: Site, start_s: float, seconds: int) -> None:
    """Traffic that rises and falls, a surge of denials, a change of policy, and two mishaps."""
    incidents: list[tuple[float, Callable[[], None]]] = [
        (0.25, lambda: site.net.reload(site.changed())),
        (0.40, lambda: os.kill(site.net.status()["worker"]["pid"], signal.SIGKILL)),
        (0.80, site.refused_reload),
    ]
    site.connections()
    while (part := (time.time() - start_s) / seconds) < 1:
        if incidents and part >= incidents[0][0]:
            incidents.pop(0)[1]()
        site.some_traffic(busy=2 if 0.2 < part < 0.7 else 1)
        if 0.55 < part < 0.65:
            for _ in range(40):
                site.udp("internet", site.net["web2"].address(), 3389)
        time.sleep(_ROUND_S)


if __name__ == "__main__":
    sys.exit(main())
