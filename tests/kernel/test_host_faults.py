"""The host under nsgd: links, addresses, namespaces, a full disk, descriptors, and the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nsgd.lab.names import remove
from nsgd.runtime.control_client import request
from tests.kernel.documents import document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, Session, web, with_hosts

# To see the second one takes as long as the first: it is left to make test-slow.
ENGINES = pytest.mark.parametrize(
    "engine", ["queue", pytest.param("kernel", marks=pytest.mark.slow)]
)


def is_right(net: Network, server: str = "server") -> bool:
    """Allowed passes and denied does not."""
    return net.tcp("internet", server, 80) and not net.tcp("internet", server, 81)


def two_servers(engine: str) -> dict[str, Any]:
    made = document(
        [subnet("one", 1, "web")],
        [nic("server", "one", 4, 1), nic("other", "one", 5, 1)],
        {"web": [ALLOW_80]},
    )
    return made | {"daemon": {"engine": engine}}


def route(net: Network, verb: str, host: str, link: str) -> None:
    """Routes of the gateway to a host."""
    for text in net[host].addresses:
        length = 32 if "." in text else 128
        net.gateway.run(["ip", "route", verb, f"{text}/{length}", "dev", link])


@ENGINES
def test_a_link_goes_down(net: Network, engine: str) -> None:
    """Its NIC is unreachable, others are not; it comes back, and is judged as before."""
    with_hosts(net)
    net.host("other", *nic_addresses(1, 5))
    net.start(two_servers(engine))
    session = Session(net, "internet", "server", 80)
    net.gateway.set_down("veth-server")
    assert is_right(net, "other")
    net.gateway.set_up("veth-server")
    route(net, "replace", "server", "veth-server")
    net.wait(lambda: net.tcp("internet", "server", 80), "not back", 10)
    assert is_right(net)
    assert is_right(net, "other")
    assert session.works()
    assert net.status()["worker"]["restarts"] == 0
    session.close()


@ENGINES
def test_a_link_is_renamed(net: Network, engine: str) -> None:
    """The NIC that it bound is known by its addresses then, and by the link when it is back."""
    with_hosts(net)
    net.host("other", *nic_addresses(1, 5))
    net.start(two_servers(engine))
    session = Session(net, "internet", "server", 80)
    for before, after in (("veth-server", "renamed"), ("renamed", "veth-server")):
        net.gateway.run(["ip", "link", "set", before, "name", after])
        assert session.works()
        net.wait(lambda: net.tcp("internet", "server", 80), "not followed", 10)
        assert is_right(net)
        # Neither name lets it send as another.
        spoofed = net.denied("spoofed")
        net["server"].send_raw(datagram(net["other"].address(), net["internet"].address()))
        net.wait(partial(spoofed_at_least, net, spoofed + 1), "not spoofed")
    # Another link takes the name: what comes by it is the NIC's, or it is spoofed.
    net.gateway.run(["ip", "link", "set", "veth-server", "name", "renamed"])
    net.gateway.run(["ip", "link", "set", "veth-internet", "name", "veth-server"])
    assert not net.tcp("internet", "other", 80)
    assert net.denied("spoofed") > 0
    session.close()


def spoofed_at_least(net: Network, count: int) -> bool:
    return net.denied("spoofed") >= count


def datagram(source: str, destination: str) -> bytes:
    from scapy.layers.inet import IP, UDP
    from scapy.packet import Raw

    return bytes(IP(src=source, dst=destination) / UDP(sport=1000, dport=9) / Raw(b"x"))


@ENGINES
def test_an_address_moves_to_another_link(net: Network, engine: str) -> None:
    """The route follows: rules of its NIC hold there, and the old place cannot use it any more."""
    with_hosts(net)
    unbound = nic("server", "one", 4, 1)
    del unbound["link"]
    policy = document([subnet("one", 1, "web")], [unbound], {"web": [ALLOW_80]})
    net.start(policy | {"daemon": {"engine": engine}})
    assert is_right(net)
    moved = net.host("moved")
    for text in net["server"].addresses:
        moved.namespace.add_address("eth0", f"{text}/{32 if '.' in text else 128}")
    moved.addresses = net["server"].addresses
    route(net, "replace", "server", "veth-moved")
    net.wait(lambda: net.tcp("internet", "moved", 80), "the route is not followed", 10)
    assert is_right(net, "moved")
    spoofed = net.denied("spoofed")
    net["server"].send_raw(datagram(net["server"].address(), net["internet"].address()))
    net.wait(lambda: net.denied("spoofed") == spoofed + 1, "the old place may still use it")


@ENGINES
def test_a_namespace_is_deleted(net: Network, engine: str) -> None:
    """A host's, with its link: others are served. The gateway's own name: the daemon goes on."""
    with_hosts(net)
    net.host("other", *nic_addresses(1, 5))
    net.start(two_servers(engine))
    session = Session(net, "internet", "other", 80)
    net["server"].close()
    remove(net["server"].namespace.name)
    net.gateway.delete_link("veth-server")
    assert is_right(net, "other")
    remove(net.gateway.name)
    assert session.works()
    assert is_right(net, "other")
    assert net.status()["worker"]["restarts"] == 0
    answer = request(net.directory / "run" / "nsgd.sock", "stop")
    assert answer["stopping"] is True
    assert net.daemon is not None
    assert net.daemon.wait(10) == 0
    session.close()


@pytest.fixture
def full(net: Network) -> Iterator[Path]:
    """The state directory, on a file system of a few pages."""
    state = net.directory / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(state)], check=True)
    try:
        yield state
    finally:
        net.close()
        subprocess.run(["umount", str(state)], check=True)


def fill(directory: Path) -> Path:
    """Take all the room that is left."""
    waste = directory / "waste"
    with contextlib.suppress(OSError), waste.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return waste


@ENGINES
def test_a_full_disk(net: Network, full: Path, engine: str) -> None:
    """A policy with rules that have no numbers yet is refused; with room again it is taken."""
    with_hosts(net)
    waste = fill(full)
    net.write(web(ALLOW_80, engine=engine))
    command = net._nsgd("run", "--config", str(net.config), *net._directories(state=True))
    ended = net.gateway.run(command, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "not started" in ended.stderr
    assert "No space left on device" in ended.stderr
    assert net.tcp("internet", "server", 81), "a failed start touches nothing"
    waste.unlink()
    net.restart()
    fill(full)
    numbers = (full / "decision-numbers.json").read_bytes()
    new = rule("AllowOther", 110, "Inbound", "Allow", "Tcp", "82")
    net.write(web(ALLOW_80, new, engine=engine))
    answer = net.nsgd("reload")
    assert answer.returncode != 0
    assert "No space left on device" in answer.stderr + net.log.read_text()
    assert (full / "decision-numbers.json").read_bytes() == numbers
    status = net.status()
    assert (status["generation"], status["reloads"]["lastSucceeded"]) == (1, False)
    assert is_right(net)
    assert not net.tcp("internet", "server", 82)
    # A worker needs no disk.
    pid = status["worker"]["pid"]
    os.kill(pid, signal.SIGKILL)
    net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "no new worker")
    assert is_right(net)
    waste.unlink()
    assert net.nsgd("reload").returncode == 0
    assert net.tcp("internet", "server", 82)


def test_64_descriptors(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients take them all: flows are decided, nothing ends, and all is well when they go."""
    plain = net._nsgd

    def limited(verb: str, *arguments: str) -> list[str]:
        command = plain(verb, *arguments)
        # Some are taken from the beginning: each client has its time, and a slow machine might
        # not let them all in within it.
        taken = "".join(f"exec {number}</dev/null; " for number in range(3, 10))
        holder = ["sh", "-c", f'{taken}exec "$@"', "sh"]
        return ["prlimit", "--nofile=64:64", *holder, *command] if verb == "run" else command

    monkeypatch.setattr(net, "_nsgd", limited)
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    complaint = "control socket: no connection accepted: Too many open files"
    path = str(net.directory / "run" / "nsgd.sock")
    served = net.log.read_text().partition("metrics at http://")[2].partition("/")[0]
    port = int(served.rpartition(":")[2])
    with contextlib.ExitStack() as clients:

        def has_complained() -> bool:
            """Some more clients: a slow machine has turned the first away when the last come."""
            for _ in range(20):
                scraper = clients.enter_context(net.gateway.call(socket.socket))
                control = clients.enter_context(socket.socket(socket.AF_UNIX))
                # Where nobody takes them any more, they wait, or are turned away.
                for client, address in ((scraper, ("127.0.0.1", port)), (control, path)):
                    client.setblocking(False)
                    with contextlib.suppress(OSError):
                        client.connect(address)
                        client.sendall(b"\0")
            return complaint in net.log.read_text()

        net.wait(has_complained, "there are descriptors left", 10)
        assert is_right(net)
        assert session.works()
    net.wait(lambda: has_status(net), "no status afterwards", 15)
    pid = net.status()["worker"]["pid"]
    os.kill(pid, signal.SIGKILL)
    net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "no new worker", 15)
    assert is_right(net)

    def scrape() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    assert "nsgd_worker_up" in net.gateway.call(scrape)
    assert net.log.read_text().count(complaint) == 1
    assert session.works()
    session.close()


def has_status(net: Network) -> bool:
    try:
        net.status()
    except AssertionError:
        return False
    return True


CLOCK = """
import os, time

_FILE = os.environ.get("NSGD_TEST_CLOCK")


def _ahead():
    try:
        return int(open(_FILE).read() or 0)
    except (OSError, TypeError, ValueError):
        return 0


_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _ahead()
time.time_ns = lambda: _time_ns() + _ahead() * 1_000_000_000
"""
YEAR_S = 365 * 86400


@ENGINES
def test_the_clock_jumps_by_a_year(
    net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """To and fro, for both processes: nobody is replaced, and a trial lasts as long as it should.

    The daemon's own wall clock: it loads a module that sets it, as the machine's must not be.
    """
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    ahead = tmp_path / "ahead"
    monkeypatch.setenv("NSGD_TEST_CLOCK", str(ahead))
    path = str(tmp_path / "clock")
    given = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{path}{os.pathsep}{given}" if given else path)
    with_hosts(net).start(web(ALLOW_80, engine=engine))
    worker = net.status()["worker"]["pid"]
    session = Session(net, "internet", "server", 80)
    # Under a trial of a minute.
    other = tmp_path / "other.json"
    other.write_text(net.config.read_text())
    answer = net.nsgd("apply", str(other), "--confirm", "60")
    assert answer.returncode == 0, answer.stderr
    years = []
    for jump in (YEAR_S, -YEAR_S, 0, 50 * YEAR_S):
        ahead.write_text(str(jump))
        status = net.status()
        seconds = status["applied"]["secondsToConfirm"]
        assert seconds is not None
        assert 0 < seconds <= 60
        assert is_right(net)
        assert session.works()
        years.append(status["startedAt"][:4])
    assert net.nsgd("confirm").returncode == 0
    assert net.nsgd("reload").returncode == 0
    # The clock did jump: what is for people shows it.
    loaded = int(net.status()["loadedAt"][:4])
    assert loaded >= int(years[0]) + 49
    status = net.status()
    assert (status["worker"]["pid"], status["worker"]["restarts"]) == (worker, 0)
    assert "hangs" not in net.log.read_text()
    assert "Traceback" not in net.log.read_text()
    session.close()


def test_the_clock_of_the_boot_is_another(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon in a time namespace, whose monotonic clock and whose boot are a year ahead."""
    plain = net._nsgd

    def shifted(verb: str, *arguments: str) -> list[str]:
        command = plain(verb, *arguments)
        shift = ["--monotonic", str(YEAR_S), "--boottime", str(YEAR_S)]
        return ["unshare", "--time", *shift, "--", *command] if verb == "run" else command

    monkeypatch.setattr(net, "_nsgd", shifted)
    with_hosts(net).start(web(ALLOW_80))
    pid = net.status()["worker"]["pid"]
    assert is_right(net)
    os.kill(pid, signal.SIGKILL)
    net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "no new worker")
    assert is_right(net)
