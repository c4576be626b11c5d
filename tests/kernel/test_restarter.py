"""A dead daemon comes back by the unit's own settings, read from the unit and carried out here.

systemd is not there to do it in most build environments; a daemon that it would leave dead, or
start again and again, would show here all the same.
"""

from __future__ import annotations

import configparser
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, Session, web, with_hosts

UNIT = Path(__file__).parents[2] / "systemd" / "nsgd.service"


class Restarter:
    """What systemd does with ``Restart=on-failure``: the network's daemon is kept alive."""

    def __init__(self, net: Network) -> None:
        # The unit has a key twice, and its values hold '%'.
        unit = configparser.RawConfigParser(strict=False)
        unit.read(UNIT)
        service = unit["Service"]
        assert service["restart"] == "on-failure"
        assert service["restartsec"].endswith("ms")
        self._pause_s = int(service["restartsec"].removesuffix("ms")) / 1000
        self._final = {0, *map(int, service["restartpreventexitstatus"].split())}
        self._net = net
        self._is_stopping = threading.Event()
        self.starts = 0
        self.last_status: int | None = None
        self._thread = threading.Thread(target=self._keep_alive)
        self._thread.start()

    def _keep_alive(self) -> None:
        while not self._is_stopping.is_set():
            daemon = self._net.daemon
            assert daemon is not None
            if daemon.poll() is None:
                time.sleep(0.01)
                continue
            self.last_status = daemon.returncode
            # SIGTERM is a clean end to systemd; every other signal is a failure.
            if daemon.returncode in (*self._final, -signal.SIGTERM):
                return
            time.sleep(self._pause_s)
            self._net.start_daemon()
            # Now: who waits for it looks at the daemon next.
            self.starts += 1

    def close(self) -> None:
        """Let the daemon be."""
        self._is_stopping.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_a_killed_daemon_is_back_by_itself(net: Network) -> None:
    """An open connection goes on all along, and new flows are decided again."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    restarter = Restarter(net)

    def has_started(times: int) -> bool:
        return restarter.starts == times

    try:
        for number in range(1, 4):
            os.kill(net.daemon_pid, signal.SIGKILL)
            assert session.works()
            net.wait(partial(has_started, number), "it stays dead", 10.0)
            net.wait_until_ready()
            assert session.works()
            assert net.tcp("internet", "server", 80)
            assert not net.tcp("internet", "server", 81)
    finally:
        restarter.close()
        session.close()


def test_refused_documents_are_not_tried_for_ever(net: Network) -> None:
    """The rules that were in force stay, and the restarter gives up at once."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    restarter = Restarter(net)
    try:
        net.config.write_text("networkSecurityGroups: 1")
        os.kill(net.daemon_pid, signal.SIGKILL)
        net.wait(lambda: restarter.last_status == 3, "it does not end with status 3", 15.0)
        assert restarter.starts == 1
        assert session.works()
        assert not net.tcp("internet", "server", 80)
    finally:
        restarter.close()
        session.close()
