"""Monitors of a running daemon: each decision once, as counters say, with either engine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.runtime.control_client import ControlError, request_parts
from nsgd.runtime.monitors import MOST_MONITORS, MOST_WAITING
from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network, network

RULES = [
    rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80"),
    rule("AllowDns", 110, "Inbound", "Allow", "Udp", "53"),
    rule("AllowPing", 120, "Inbound", "Allow", "Icmp"),
    rule("DenyWebOut", 100, "Outbound", "Deny", "Tcp", "8080"),
]
COUNTS = ("lost", "suppressed", "missed")


class Listener:
    """A monitor of the control socket, in a thread of its own."""

    def __init__(self, net: Network, **arguments: Any) -> None:
        self.decisions: list[dict[str, Any]] = []
        self.counts = dict.fromkeys(COUNTS, 0)
        self._parts = request_parts(net.directory / "run" / "nsgd.sock", "monitor", **arguments)
        self._take(next(self._parts))  # it listens by now
        self._stopping = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        # A part comes each second.
        while not self._stopping:
            self._take(next(self._parts))

    def _take(self, part: dict[str, Any]) -> None:
        self.decisions += part["decisions"]
        for name in COUNTS:
            self.counts[name] += part[name]

    def close(self) -> None:
        """Leave."""
        self._stopping = True
        self._thread.join(10)
        self._parts.close()  # type: ignore[attr-defined]

    def rules(self) -> Counter[tuple[str, str, str]]:
        """How often each rule is named."""
        return Counter(
            (side["networkSecurityGroup"] or "", direction.capitalize(), side["rule"])
            for decision in self.decisions
            for direction in ("outbound", "inbound")
            for side in (decision[direction],)
            if side is not None and side["rule"] is not None
        )


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A server behind a group of its subnet and one of its own, and the internet."""
    with network(tmp_path_factory.mktemp("monitor")) as made:
        made.host("server", *nic_addresses(1, 4))
        made.host("internet", INTERNET_V4, INTERNET_V6)
        made.start(
            document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": RULES})
        )
        yield made


def hits(net: Network, before: dict[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
    """What the counters have come to since *before*."""
    return {key: more for key, count in net.hits().items() if (more := count - before.get(key, 0))}


def event_listeners(net: Network) -> int:
    """Sockets of the gateway that hear of new flows."""
    lines = Path(f"/proc/{net.daemon_pid}/net/netlink").read_text().splitlines()[1:]
    return sum(
        1
        for line in lines
        for _, protocol, _, groups, *_ in (line.split(),)
        if protocol == "12" and int(groups, 16) & 1
    )


def test_each_decision_is_told_once(net: Network) -> None:
    """Allowed and denied, of both families and directions: what is told is what is counted."""
    before = dict(net.hits())
    listener = Listener(net)
    assert event_listeners(net) == 1
    for version in (4, 6):
        assert net.tcp("internet", "server", 80, version)
        assert net.udp("internet", "server", 53, version)
        assert net.ping("internet", "server", version)
        assert not net.udp("internet", "server", 54, version)
        assert not net.tcp("internet", "server", 22, version)
        assert not net.tcp("server", "internet", 8080, version)
        assert net.tcp("server", "internet", 8081, version)
    counted = hits(net, before)
    assert len(counted) == 6
    net.wait(lambda: len(listener.decisions) >= 14, "not all are told")
    # One of each side of the server would make it more.
    net.wait(lambda: listener.rules() == counted, f"{listener.rules()} is not {counted}")
    listener.close()
    assert listener.counts == dict.fromkeys(COUNTS, 0)
    assert Counter(each["access"] for each in listener.decisions) == {"Allow": 8, "Deny": 6}
    ssh = next(each for each in listener.decisions if each["destinationPort"] == 22)
    assert ssh["time"].endswith("Z")
    assert ssh | {"time": "", "sourcePort": 0} == {
        "time": "",
        "access": "Deny",
        "protocol": "Tcp",
        "source": INTERNET_V4,
        "sourcePort": 0,
        "destination": "10.0.1.4",
        "destinationPort": 22,
        "from": None,
        "to": "server",
        "outbound": None,
        "inbound": {
            "networkSecurityGroup": "web",
            "rule": "DenyAllInBound",
            "access": "Deny",
            "reason": "rule",
        },
    }
    net.wait(lambda: event_listeners(net) == 0, "the kernel is still asked for events")


def test_filters_and_no_events_for_denials_alone(net: Network) -> None:
    """Each hears what it has asked for; for Deny the kernel is not asked to tell of flows."""
    denials = Listener(net, access="deny", nsg="WEB", protocol="Udp", port=55)
    assert event_listeners(net) == 0
    allowed = Listener(net, access="Allow", nic="server", source=f"{INTERNET_V4}/32")
    assert not net.udp("internet", "server", 54)
    assert not net.udp("internet", "server", 55)
    assert net.tcp("internet", "server", 80)
    assert net.tcp("internet", "server", 80, 6)
    assert net.tcp("server", "internet", 8081)
    net.wait(lambda: bool(denials.decisions and allowed.decisions), "not all are told")
    denials.close()
    allowed.close()
    assert [each["destinationPort"] for each in denials.decisions] == [55]
    assert [each["destinationPort"] for each in allowed.decisions] == [80]


def test_a_flood_is_told_or_counted(net: Network) -> None:
    """The queue engine tells all of it, the kernel engine within its limits and says how many."""
    before = dict(net.hits())
    listener = Listener(net, access="Deny")
    with net["internet"].bound(socket.SOCK_DGRAM) as client:
        for _ in range(200):
            client.sendto(b"x", (net["server"].address(), 56))
    key = "web", "Inbound", "DenyAllInBound"
    net.wait(lambda: hits(net, before).get(key) == 200, "not all were denied")
    net.wait(
        lambda: len(listener.decisions) + listener.counts["suppressed"] == 200,
        "what is told and what is not do not make all",
    )
    listener.close()
    assert listener.counts["lost"] == listener.counts["missed"] == 0
    assert (listener.counts["suppressed"] > 0) is (net.engine == "kernel")


def test_a_reader_that_does_not_read(net: Network) -> None:
    """It loses the oldest and hears how many; nobody else waits, and counters go on."""
    if net.engine == "kernel":
        pytest.skip("its limits keep it from telling so many")
    before = dict(net.hits())
    parts = request_parts(net.directory / "run" / "nsgd.sock", "monitor", access="Deny")
    next(parts)
    key = "web", "Inbound", "DenyAllInBound"
    sent = 0
    with net["internet"].bound(socket.SOCK_DGRAM) as client:
        while sent < 2 * MOST_WAITING:
            for _ in range(200):
                client.sendto(b"x", (net["server"].address(), 57))
            sent += 200
            net.wait(lambda: hits(net, before).get(key) == sent, "not all were denied")  # noqa: B023
    assert net.udp("internet", "server", 53)
    told, counts = 0, Counter[str]()
    while told + sum(counts.values()) < sent:
        part = next(parts)
        told += len(part["decisions"])
        counts.update({name: part[name] for name in COUNTS if part[name]})
    parts.close()  # type: ignore[attr-defined]
    assert told + sum(counts.values()) == sent
    assert counts["lost"] > 0
    assert told >= MOST_WAITING


def test_only_so_many_at_once(net: Network) -> None:
    """One more is refused with the way out, and has its place when another leaves."""
    path = net.directory / "run" / "nsgd.sock"
    held = [request_parts(path, "monitor") for _ in range(MOST_MONITORS)]
    for parts in held:
        next(parts)
    done = net.nsgd("monitor", "--limit", "1")
    assert done.returncode == 1
    assert "8 monitors already" in done.stderr
    held.pop().close()  # type: ignore[attr-defined]

    def is_free() -> bool:
        parts = request_parts(path, "monitor")
        try:
            next(parts)
        except ControlError:
            return False
        parts.close()  # type: ignore[attr-defined]
        return True

    net.wait(is_free, "the place of the one that left is not free")
    for parts in held:
        parts.close()  # type: ignore[attr-defined]
    net.wait(lambda: event_listeners(net) == 0, "the kernel is still asked for events")


def test_the_command(net: Network) -> None:
    """JSON lines as they come, a table with a head, and a sum at the end."""
    arguments = ["monitor", "--runtime-dir", str(net.directory / "run"), "--port", "80"]
    command = [sys.executable, "-P", "-m", "nsgd", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Whoever runs the tests in the background may have them ignore it, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with (
        subprocess.Popen([*command, "-o", "json", "--limit", "2"], **pipes) as lines,
        subprocess.Popen(command, **pipes) as table,
    ):
        signal.signal(signal.SIGINT, before)
        assert table.stdout is not None
        assert table.stdout.readline().startswith("Time ")
        net.wait(lambda: event_listeners(net) == 1, "the kernel is not asked")
        # The first one may be not there yet when the other is.
        while lines.poll() is None:
            assert net.tcp("internet", "server", 80)
        printed, said = lines.communicate()
        assert [json.loads(line)["inbound"]["rule"] for line in printed.splitlines()] == [
            "AllowHttp",
            "AllowHttp",
        ]
        assert said == "nsgd: 2 decisions\n"
        row = table.stdout.readline().split()
        assert row[1:3] == ["Allow", "Tcp"]
        assert row[-2:] == ["Inbound", "web/AllowHttp"]
        table.send_signal(signal.SIGINT)
        assert table.wait(10) == 0
        assert table.stderr is not None
        assert "decisions" in table.stderr.read()


def test_the_live_view_and_denials_say_the_same(net: Network) -> None:
    """Hits are the counters', and the denial that was just made stands there."""
    assert not net.tcp("internet", "server", 23)
    net.wait(
        lambda: "10.0.1.4:23" in net.nsgd("denials", "--nic", "server").stdout, "no denial is told"
    )
    found = json.loads(
        net.nsgd("top", "--once", "--interval", "0.5", "--nic", "server", "-o", "json").stdout
    )
    told = {
        (row["networkSecurityGroup"], row["direction"], row["rule"]): row["hits"]
        for row in found["rules"]
        if row["hits"]
    }
    assert told == net.hits()
    (denial,) = (row for row in found["denials"] if row["destinationPort"] == 23)
    assert (denial["source"], denial["rule"], denial["times"]) == (INTERNET_V4, "DenyAllInBound", 1)
