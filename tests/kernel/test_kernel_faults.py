"""The kernel refuses, overflows or is full: netlink EPERM and ENOBUFS, and the connection table."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from nsgd.kernel.table import NftTable
from nsgd.ruleset.objects import Ruleset
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, Session, web, with_hosts
from tests.kernel.test_load import ALLOWED, DENIED, Load
from tests.kernel.test_load import with_hosts as with_two_hosts
from tests.kernel.test_process_faults import policy, sent_more

_MAXIMUM = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_BUCKETS = Path("/proc/sys/net/netfilter/nf_conntrack_buckets")
ENGINES = pytest.mark.parametrize("engine", ["queue", "kernel"])


def test_without_the_capability(net: Network) -> None:
    """EPERM at the first message: exit status 5, and traffic is as before."""
    with_hosts(net).write(web(ALLOW_80))
    command = net._nsgd("run", "--config", str(net.config), *net._directories(state=True))
    ended = net.gateway.run(
        ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", *command], check=False
    )
    assert ended.returncode == 5, ended.stderr
    assert "nsgd needs CAP_NET_ADMIN" in ended.stderr
    assert net.tcp("internet", "server", 81)


def test_a_table_that_another_process_owns(net: Network) -> None:
    """EPERM at the ruleset: not started, exit status 1, and traffic is as before."""
    with_hosts(net).write(web(ALLOW_80))
    with net.gateway.call(NftTable) as other:
        other.apply(Ruleset((), (), (), ()))
        assert other.is_owned
        command = net._nsgd("run", "--config", str(net.config), *net._directories(state=True))
        ended = net.gateway.run(command, check=False)
        assert ended.returncode == 1, ended.stderr
        assert "EPERM" in ended.stderr
        assert "another process owns the table" in ended.stderr
        assert net.tcp("internet", "server", 81)
    net.restart()
    assert not net.tcp("internet", "server", 81)


@ENGINES
def test_a_flood_of_route_changes(net: Network, engine: str, tmp_path: Path) -> None:
    """ENOBUFS at the link monitor: taken for a change, and the way inwards is looked up again."""
    with_hosts(net).start(web(ALLOW_80, engine=engine))
    changes = tmp_path / "changes"
    lines = [
        f"route {verb} 192.0.{i}.{j}/32 dev lo"
        for i in range(8)
        for j in range(1, 255)
        for verb in ("add", "del")
    ]
    changes.write_text("\n".join(lines))
    assert net.daemon is not None
    net.daemon.send_signal(signal.SIGSTOP)
    try:
        net.gateway.run(["ip", "-batch", str(changes)])
        # The last of it, which no message tells of any more.
        net.gateway.run(["ip", "link", "set", "veth-server", "name", "renamed"])
        net.gateway.run(["ip", "link", "set", "renamed", "name", "veth-server"])
        assert net.tcp("internet", "server", 80)
    finally:
        net.daemon.send_signal(signal.SIGCONT)
    assert net.status()["worker"]["restarts"] == 0
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    # It still follows.
    net.gateway.run(["ip", "route", "del", f"{net['server'].address()}/32", "dev", "veth-server"])
    net.gateway.run(["ip", "route", "add", f"{net['server'].address()}/32", "dev", "veth-server"])
    assert net.tcp("internet", "server", 80)


def fill(net: Network, count: int) -> None:
    """So many assured TCP flows, as if they had come, in the gateway's connection table."""
    from nsgd.wire import netlink
    from nsgd.wire.netlink import attribute, be16, be32, nested

    new = 1 << 8

    def endpoints(source: bytes, destination: bytes, source_port: int, port: int) -> bytes:
        return nested(1, attribute(1, source), attribute(2, destination)) + nested(
            2, attribute(1, b"\x06"), be16(2, source_port), be16(3, port)
        )

    def request(number: int) -> bytes:
        client = socket.inet_aton(f"198.18.{number >> 16 & 255}.1")
        server = socket.inet_aton("198.19.0.1")
        port = number & 0xFFFF
        body = (
            nested(1, endpoints(client, server, port, 1))
            + nested(2, endpoints(server, client, 1, port))
            + be32(3, 0xE)  # seen reply, assured, confirmed
            + be32(7, 3600)
            + nested(4, nested(1, attribute(1, b"\x03")))  # established
        )
        return netlink.message(new, 0x600, 1, socket.AF_INET, body)

    def write() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as channel:
            channel.setsockopt(socket.SOL_SOCKET, 32, 1 << 20)
            for start in range(0, count, 500):
                channel.send(b"".join(map(request, range(start, min(start + 500, count)))))

    net.gateway.call(write)


@pytest.mark.parametrize(
    ("engine", "mode"),
    [("queue", "closed"), pytest.param("kernel", "open", marks=pytest.mark.slow)],
)
def test_a_full_connection_table(net: Network, engine: str, mode: str) -> None:
    """The kernel drops new flows ahead of every rule, in each mode; decided ones go on; it is told.

    nf_conntrack_max is one of the machine's and the count is the namespace's: the table is filled.
    """
    most = int(_MAXIMUM.read_text())
    if most > 600_000:
        pytest.skip(f"filling {most} entries takes long")
    with_hosts(net).start(web(ALLOW_80, engine=engine, failureMode=mode))
    session = Session(net, "internet", "server", 80)
    before = net.status()
    fill(net, most + 200)
    assert net.status()["conntrack"] == {"entries": most, "limit": most, "dropped": 0}
    assert not net.tcp("internet", "server", 80)
    assert not net.udp("internet", "server", 9)
    assert session.works()
    status = net.status()
    assert status["conntrack"]["dropped"] == 2
    assert status["packets"]["queued"] == before["packets"]["queued"]
    assert net.hits() == {("web", "Inbound", "AllowHttp"): 1}
    net.wait(lambda: "the connection table is full" in net.log.read_text(), "not told", 10)
    doctor = net.nsgd("doctor").stdout
    assert "when it is full, new flows are dropped before any rule" in doctor
    net.gateway.run(["conntrack", "-F"])
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    session.close()


@pytest.mark.slow
@ENGINES
def test_a_hash_table_that_is_resized(net: Network, engine: str) -> None:
    """Under load, to and fro: no flow is lost or decided wrongly.

    There is one such table in the kernel, so this is a change to the whole machine for a moment:
    only where NSGD_TEST_MACHINE_SETTINGS is set.
    """
    if not os.environ.get("NSGD_TEST_MACHINE_SETTINGS"):
        pytest.skip("NSGD_TEST_MACHINE_SETTINGS is not set: the machine's settings stay")
    before = _BUCKETS.read_text()
    with_two_hosts(net).start(policy(engine, "closed", queueLength=4096))
    with contextlib.closing(Load(net, (ALLOWED, DENIED), 1500)) as made:
        with made:
            try:
                for times in (2, 1, 4, 1) * 3:
                    sent_more(net, made, 100)
                    _BUCKETS.write_text(str(int(before) * times // 2))
            finally:
                _BUCKETS.write_text(before)
            sent_more(net, made)
        assert made.received(ALLOWED) == set(range(made.sent[ALLOWED]))
        assert made.received(DENIED) == set()
