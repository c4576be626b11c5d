"""Start, reload, death and stop of the daemon, seen from the wire."""

from __future__ import annotations

import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from netfilterqueue import NetfilterQueue

from nsgd.model.settings import DaemonSettings
from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network

ALLOW_80 = rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")


def web(*rules: dict[str, Any], **daemon: Any) -> dict[str, Any]:
    """One server in one subnet."""
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": list(rules)})
    return made | {"daemon": daemon}


def with_hosts(net: Network) -> Network:
    """A server and the internet."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    return net


class Session:
    """An open TCP connection that can be asked whether it still works."""

    def __init__(self, net: Network, source: str, destination: str, port: int) -> None:
        self._server = net[destination].listen(port)
        self._client = net[source].bound(socket.SOCK_STREAM)
        self._client.connect((net[destination].address(), port))
        self._accepted, _ = self._server.accept()
        self._accepted.settimeout(2)
        self._client.settimeout(2)
        self._server.close()

    def works(self) -> bool:
        """A byte each way."""
        self._client.sendall(b"x")
        if self._accepted.recv(1) != b"x":
            return False
        self._accepted.sendall(b"y")
        return self._client.recv(1) == b"y"

    def close(self) -> None:
        """Close both ends."""
        self._client.close()
        self._accepted.close()


def test_a_bad_document_leaves_the_policy_in_force(net: Network) -> None:
    """Refused reloads are counted and logged; rules, generation and traffic stay."""
    with_hosts(net).start(web(ALLOW_80))

    def refused() -> int:
        return int(net.status()["reloads"]["refused"])

    for bad in ("{", '{"networkSecurityGroups": [{"name": "web", "rules": []}]}', ""):
        before = refused() + 1
        net.config.write_text(bad)
        assert net.daemon is not None
        net.daemon.send_signal(signal.SIGHUP)
        net.wait(partial(lambda n: refused() == n, before), "not refused")
        assert net.tcp("internet", "server", 80)
        assert not net.tcp("internet", "server", 81)
    status = net.status()
    assert status["generation"] == 1
    assert status["reloads"]["lastSucceeded"] is False
    assert "keeping policy 1" in net.log.read_text()
    net.reload(web())
    assert not net.tcp("internet", "server", 80)
    assert net.status()["reloads"]["lastSucceeded"] is True


def test_settings_fixed_while_running_are_refused(net: Network) -> None:
    """A changed queue number would need another worker and another rule at one moment."""
    with_hosts(net).start(web(ALLOW_80))
    net.write(web(ALLOW_80, queueNumber=7))
    answer = net.nsgd("reload")
    assert answer.returncode == 3
    assert "daemon.queueNumber" in answer.stderr
    assert "restart the daemon" in answer.stderr
    assert net.tcp("internet", "server", 80)


def test_a_killed_worker_is_replaced(net: Network) -> None:
    """Open flows do not notice; counts go on; new flows are decided again at once."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    hits = net.hits()[("web", "Inbound", "AllowHttp")]
    pid = net.status()["worker"]["pid"]
    os.kill(pid, signal.SIGKILL)
    assert session.works()
    net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "no new worker")
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    assert net.hits()[("web", "Inbound", "AllowHttp")] == hits + 1
    assert net.status()["worker"]["restarts"] == 1
    assert session.works()
    session.close()


def test_a_killed_supervisor_takes_its_worker_along(net: Network) -> None:
    """Rules stay: open flows go on, new ones wait for the next daemon, which takes over."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    net.kill()
    assert session.works()
    assert net.tcp("internet", "server", 80) == net.decides_alone
    assert not net.tcp("internet", "server", 81)
    net.restart()
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    assert session.works()
    session.close()


def test_decision_numbers_keep_their_meaning(net: Network) -> None:
    """A rule has the number that it had before it went away, over a restart too."""
    with_hosts(net).start(web(ALLOW_80))

    def mark() -> int:
        assert net.tcp("internet", "server", 80)
        line = next(text for text in net.conntrack().splitlines() if "dport=80 " in text)
        net.gateway.run(["conntrack", "-F"])
        return int(line.partition("mark=")[2].split()[0])

    first = mark()
    other = rule("AllowEverything", 100, "Inbound", "Allow")
    net.reload(web(other))
    second = mark()
    net.stop()
    net.write(web(ALLOW_80))
    net.restart()
    assert second != first
    assert mark() == first


def test_a_second_daemon_is_refused(net: Network) -> None:
    """On the same runtime directory, and on another one with the same queue."""
    with_hosts(net).start(web(ALLOW_80))
    arguments = ["run", "--config", str(net.config), "--state-dir", str(net.directory / "s2")]
    for directory in ("run", "run2"):
        again = net.gateway.run(
            net._nsgd(*arguments, "--runtime-dir", str(net.directory / directory)), check=False
        )
        assert again.returncode == 1
        assert "not started" in again.stderr
        owner = net.status()["worker"]["pid"] if directory == "run2" else net.daemon_pid
        assert str(owner) in again.stderr
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)


def test_a_start_without_its_queue_leaves_nothing(net: Network) -> None:
    """Another program reads it: what was written meanwhile has gone again."""
    with_hosts(net).write(web(ALLOW_80))
    number = DaemonSettings().queue_number

    other = net.gateway.call(NetfilterQueue)
    other.bind(number, lambda packet: packet.drop())
    arguments = ["--runtime-dir", str(net.directory / "run")]
    arguments += ["--state-dir", str(net.directory / "state")]
    ended = net.gateway.run(net._nsgd("run", "--config", str(net.config), *arguments), check=False)
    assert ended.returncode == 1
    assert f"queue {number} cannot be bound" in ended.stderr
    assert "nsgd" not in net.gateway.run(["nft", "list", "tables"]).stdout
    assert net.tcp("internet", "server", 81)
    other.unbind()


def test_a_stop_during_the_start_is_one(net: Network) -> None:
    """Once rules are there they end as the settings say, though nothing has been told of them."""
    with_hosts(net).write(web(ALLOW_80, onStop="remove"))
    original = net._nsgd

    def stopped(verb: str, *arguments: str) -> list[str]:
        code = (
            "import os, signal, sys\n"
            "from nsgd.runtime import supervisor\n"
            "supervisor.note_start = lambda _: os.kill(os.getpid(), signal.SIGTERM)\n"
            "from nsgd.cli import main\n"
            "sys.exit(main())"
        )
        return [sys.executable, "-P", "-c", code, verb, *arguments]

    net._nsgd = stopped  # type: ignore[method-assign]
    net.start_daemon()
    net._nsgd = original  # type: ignore[method-assign]
    assert net.daemon is not None
    assert net.daemon.wait(20) == 0
    assert "rules removed" in net.log.read_text()
    assert "nsgd" not in net.gateway.run(["nft", "list", "tables"]).stdout
    assert net.tcp("internet", "server", 81)


def test_stop_keeps_or_removes_the_rules(net: Network) -> None:
    """Stopped: closed for new flows that a worker decides. Stopped with --remove-rules: open."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    net.stop()
    assert "--remove-rules" in net.log.read_text()
    assert session.works()
    assert net.tcp("internet", "server", 80) == net.decides_alone
    assert not net.tcp("internet", "server", 81)
    # Nobody runs: the orphaned table can still be removed.
    answer = net.nsgd("stop", "--remove-rules")
    assert answer.returncode == 0, answer.stderr
    assert net.tcp("internet", "server", 81)
    net.restart()
    assert not net.tcp("internet", "server", 81)
    net.stop(remove_rules=True)
    assert net.tcp("internet", "server", 81)
    assert "nsgd" not in net.gateway.run(["nft", "list", "tables"]).stdout
    session.close()


def test_unmanaged_traffic_can_be_refused(net: Network) -> None:
    """The setting follows a reload, both ways."""
    with_hosts(net)
    net.host("other", "192.0.2.50", "2001:db8::50")
    net.start(web(ALLOW_80, unmanagedTraffic="drop"))
    assert not net.udp("internet", "other", 9)
    assert net.status()["packets"]["unmanaged"]["drop"] == 1
    net.reload(web(ALLOW_80))
    assert net.udp("internet", "other", 9)


def web_servers(*members: str) -> dict[str, Any]:
    """The 2017 overview's walk-through: WebServers, MyNSG, Internet to 80 and 443."""
    allow = rule(
        "AllowWeb",
        100,
        "Inbound",
        "Allow",
        "Tcp",
        ["80", "443"],
        source="Internet",
        destinationApplicationSecurityGroups=["WebServers"],
    )
    nics = [
        nic(
            name,
            "one",
            number,
            1,
            applicationSecurityGroups=["WebServers"] if name in members else [],
        )
        for name, number in (("first", 4), ("second", 5))
    ]
    return document([subnet("one", 1, "MyNSG")], nics, {"MyNSG": [allow]}, ["WebServers"])


def test_web_servers_of_the_2017_overview(net: Network) -> None:
    """A NIC that joins WebServers later is covered, one outside it is not."""
    net.host("first", *nic_addresses(1, 4))
    net.host("second", *nic_addresses(1, 5))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.start(web_servers("first"))
    for version in (4, 6):
        assert net.tcp("internet", "first", 80, version)
        assert net.tcp("internet", "first", 443, version)
        assert not net.tcp("internet", "first", 8080, version)
        assert not net.tcp("internet", "second", 80, version)
    net.reload(web_servers("first", "second"))
    for version in (4, 6):
        assert net.tcp("internet", "second", 80, version)
        assert net.tcp("internet", "second", 443, version)
        assert not net.udp("internet", "second", 80, version)


def test_a_link_made_again_is_known_by_its_name(net: Network) -> None:
    """A link that comes back with another index, and a NIC that is declared before its link."""
    net.host("internet", INTERNET_V4, INTERNET_V6)
    groups = {"web": [ALLOW_80]}
    late = nic("late", "one", 4, 1, networkSecurityGroup="web")
    net.start(document([subnet("one", 1)], [late], groups))
    net.host("late", *nic_addresses(1, 4))
    assert net.tcp("internet", "late", 80)
    assert not net.tcp("internet", "late", 81)
    net["late"].close()
    net.gateway.delete_link("veth-late")
    net.host("late", *nic_addresses(1, 4))
    assert net.tcp("internet", "late", 80)
    assert not net.tcp("internet", "late", 81)


def test_transit_through_a_forwarding_nic_is_judged_at_each_crossing(net: Network) -> None:
    """The flow's first crossing is allowed; the second one asks the receiver's own tables."""
    for name, number in (("client", 4), ("router", 5)):
        net.host(name, *nic_addresses(1, number))
    net.host("server", *nic_addresses(2, 4))

    def policy(*rules: dict[str, Any]) -> dict[str, Any]:
        return document(
            [subnet("one", 1), subnet("two", 2)],
            [
                nic("client", "one", 4, 1),
                nic("router", "one", 5, 1, enableIPForwarding=True),
                nic("server", "two", 4, 2, networkSecurityGroup="server"),
            ],
            {"server": list(rules)},
        )

    # The gateway sends the client's traffic for the server through the router, which forwards.
    router = net["router"].namespace
    router.sysctl([("net.ipv4.ip_forward", "1")])
    server = net["server"].address()
    net.gateway.run(
        f"ip route add {server}/32 via {net['router'].address()} dev veth-router table 77".split()
    )
    net.gateway.run(["ip", "rule", "add", "iif", "veth-client", "lookup", "77", "priority", "10"])
    closed = rule("DenyVnet", 200, "Inbound", "Deny")
    net.start(policy(rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80"), closed))
    assert net.tcp("client", "server", 80)
    assert not net.tcp("client", "server", 81)
    hits = net.hits()
    assert hits[("server", "Inbound", "AllowHttp")] >= 1
    assert hits[("server", "Inbound", "DenyVnet")] == 1


def test_a_worker_that_hangs_is_replaced(net: Network) -> None:
    """No heartbeat for some seconds: killed and replaced; meanwhile the daemon answers."""
    with_hosts(net).start(web(ALLOW_80))
    pid = net.status()["worker"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    for _ in range(50):
        net.gateway.set_down("veth-internet")
        net.gateway.set_up("veth-internet")
    net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "not replaced", 10)
    assert "hangs" in net.log.read_text()
    for text in net["internet"].addresses:
        route = f"{text}/{32 if '.' in text else 128}"
        net.gateway.run(["ip", "route", "replace", route, "dev", "veth-internet"])
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)


def test_a_failed_start_changes_nothing(net: Network) -> None:
    """A metrics port in use, a state directory that cannot be written: traffic as before."""
    with_hosts(net)
    busy = net.gateway.call(lambda: socket.create_server(("127.0.0.1", 9555)))
    (net.directory / "file").write_text("")
    for daemon, state, complaint in (
        ({"metricsListen": "127.0.0.1:9555"}, "state", "9555"),
        ({}, "file", "cannot be"),
    ):
        net.write(web(ALLOW_80, **daemon))
        arguments = ["--runtime-dir", str(net.directory / "run")]
        arguments += ["--state-dir", str(net.directory / state)]
        ended = net.gateway.run(
            net._nsgd("run", "--config", str(net.config), *arguments), check=False
        )
        assert ended.returncode == 1
        assert "not started" in ended.stderr
        assert complaint in ended.stderr
        assert net.tcp("internet", "server", 81)
    busy.close()


def test_a_reload_asked_for_during_the_start(net: Network) -> None:
    """SIGHUP before the daemon is ready, for a document that changed since it was read."""
    with_hosts(net).write(web(ALLOW_80))
    net.start_daemon()
    daemon = net.daemon
    assert daemon is not None
    net.wait((net.directory / "run" / "nsgd.sock").exists, "no socket")
    daemon.send_signal(signal.SIGHUP)
    # Of documents that are read a worker is made, which takes a while.
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    net.wait(lambda: children.read_text() != "", "no worker")
    net.write(web({**ALLOW_80, "destinationPortRange": "81"}))
    daemon.send_signal(signal.SIGHUP)
    net.wait_until_ready()
    net.wait(lambda: net.status()["reloads"]["succeeded"] == 1, "not read again")
    assert net.tcp("internet", "server", 81)
    assert not net.tcp("internet", "server", 80)
