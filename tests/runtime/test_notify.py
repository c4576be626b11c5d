"""What systemd would receive, by a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsgd.runtime.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def service_manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A socket as systemd has one."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = str(tmp_path / "notify") if request.param == "path" else f"\0nsgd-test-{os.getpid()}"
    with listener:
        listener.bind(name)
        listener.settimeout(1)
        yield listener


def address(listener: socket.socket) -> str:
    """As it stands in the environment."""
    name = listener.getsockname()
    return f"@{name[1:].decode()}" if isinstance(name, bytes) else str(name)


def received(listener: socket.socket) -> list[str]:
    """The lines of the next message."""
    return listener.recv(4096).decode().splitlines()


def test_messages(service_manager: socket.socket) -> None:
    """One datagram for each, with systemd's words."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address(service_manager)})
    notifier.ready("policy 1,\n in force")
    assert received(service_manager) == ["READY=1", "STATUS=policy 1, in force"]
    before_us = time.monotonic_ns() // 1000
    notifier.reloading()
    state, time_us = received(service_manager)
    assert state == "RELOADING=1"
    assert before_us <= int(time_us.removeprefix("MONOTONIC_USEC="))
    assert int(time_us.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.ready()
    assert received(service_manager) == ["READY=1"]
    notifier.status("queue half full")
    assert received(service_manager) == ["STATUS=queue half full"]
    notifier.watchdog()
    assert received(service_manager) == ["WATCHDOG=1"]
    notifier.stopping("rules stay in place")
    assert received(service_manager) == ["STOPPING=1", "STATUS=rules stay in place"]


def test_a_busy_service_manager_is_not_waited_for(service_manager: socket.socket) -> None:
    """The newest state is not lost: it goes with the first message that finds room."""
    notifier = Notifier(address(service_manager))
    for _ in range(2000):
        notifier.status("still here")
    notifier.reloading()
    notifier.ready("policy 2 in force")
    service_manager.setblocking(False)
    had_room = 0
    while True:
        try:
            assert received(service_manager) == ["STATUS=still here"]
        except BlockingIOError:
            break
        had_room += 1
    assert 0 < had_room < 2000
    notifier.watchdog()
    assert received(service_manager) == ["READY=1", "WATCHDOG=1"]
    notifier.watchdog()
    assert received(service_manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    "name", [None, "", "vsock:2:1234", "relative", "/no/such/socket", "@", "/" + "x" * 200, "/a\0b"]
)
def test_without_a_listener_nothing_happens(name: str | None) -> None:
    """No socket, one of another kind, one that is gone, and names that are none."""
    notifier = Notifier.from_environment({} if name is None else {"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.reloading()
    notifier.watchdog()
    notifier.stopping("\ud800")


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        # A child has the environment, and not the duty.
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_watchdog_interval(environment: dict[str, str], interval_s: float | None) -> None:
    """Half of systemd's limit, where it waits for this process."""
    made = Notifier.from_environment({"NOTIFY_SOCKET": "/run/x", **environment})
    assert made.watchdog_interval_s == interval_s
    assert Notifier.from_environment(environment).watchdog_interval_s is None
