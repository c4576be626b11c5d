"""Worker and supervisor killed, stopped or overrun under load: both engines and modes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nsgd.runtime.control_client import ControlError, request
from nsgd.runtime.worker_keeper import HUNG_AFTER_S
from tests.kernel.documents import document, nic, rule, subnet
from tests.kernel.network import Network, network
from tests.kernel.test_load import ALLOWED, DENIED, Load, with_hosts
from tests.kernel.test_odd_packets import frame_socket

FLOWS_PER_S = 1500
QUEUE_LENGTH = 512
CASES = [
    ("queue", "closed"),
    ("queue", "open"),
    ("kernel", "closed"),
    pytest.param(("kernel", "open"), marks=pytest.mark.slow),
]


class Site(NamedTuple):
    """A running network and how it was configured."""

    net: Network
    engine: str
    mode: str

    @property
    def is_decided(self) -> bool:
        """Tell whether a new flow is decided while no worker serves."""
        return self.engine == "kernel"


def policy(engine: str, mode: str, **daemon: Any) -> dict[str, Any]:
    """A server with one open port of UDP, and of TCP all."""
    made = document(
        [subnet("one", 1), subnet("two", 2, "server")],
        [nic("client", "one", 4, 1), nic("server", "two", 4, 2)],
        {
            "server": [
                rule("Allowed", 200, "Inbound", "Allow", "Udp", str(ALLOWED)),
                rule("Tcp", 210, "Inbound", "Allow", "Tcp"),
                rule("DenyRest", 300, "Inbound", "Deny"),
            ]
        },
    )
    settings = {"engine": engine, "failureMode": mode, "queueLength": QUEUE_LENGTH}
    return made | {"daemon": settings | daemon}


@pytest.fixture(
    scope="module", params=CASES, ids=["queue-closed", "queue-open", "kernel-closed", "kernel-open"]
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One daemon for all tests of an engine and a failure mode."""
    with network(tmp_path_factory.mktemp("faults")) as made:
        with_hosts(made).start(policy(*request.param))
        yield Site(made, *request.param)


@pytest.fixture
def site(running: Site) -> Site:
    """With an empty connection table: source ports come again."""
    running.net.gateway.run(["conntrack", "-F"])
    return running


class Outcome(NamedTuple):
    """Numbers of the flows that arrived."""

    allowed: set[int]
    denied: set[int]


@contextlib.contextmanager
def load(net: Network) -> Iterator[Load]:
    """New flows to an allowed and a denied port, beside an open connection that never notices."""
    with contextlib.closing(Load(net, (ALLOWED, DENIED), FLOWS_PER_S)) as made:
        yield made


def arrived(made: Load) -> Outcome:
    return Outcome(made.received(ALLOWED), made.received(DENIED))


def sent_more(net: Network, made: Load, count: int = 200) -> dict[int, int]:
    """Wait until so many more were sent to each port; how many there were before."""
    before = dict(made.sent)
    net.wait(lambda: made.sent[DENIED] >= before[DENIED] + count, "nothing is sent", 10)
    return before


class Echo:
    """An open TCP connection, asked again and again."""

    def __init__(self, net: Network) -> None:
        listener = net["server"].listen(5001)
        self._client = net["client"].bound(socket.SOCK_STREAM)
        self._client.connect((net["server"].address(), 5001))
        self._accepted, _ = listener.accept()
        listener.close()
        for end in (self._client, self._accepted):
            end.settimeout(2)

    def works(self) -> bool:
        self._client.sendall(b"x")
        return self._accepted.recv(1) == b"x"

    def close(self) -> None:
        self._client.close()
        self._accepted.close()


@pytest.fixture
def echo(site: Site) -> Iterator[Echo]:
    with contextlib.closing(Echo(site.net)) as made:
        yield made


def restarts(net: Network) -> int:
    return int(net.status()["worker"]["restarts"])


def await_other_worker(net: Network, pid: int) -> None:
    net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "not replaced", 15)


def test_a_worker_killed(site: Site, echo: Echo) -> None:
    """Another one serves; what is decided later is right, and the kernel engine misses nothing."""
    net, pid, before = site.net, site.net.status()["worker"]["pid"], restarts(site.net)
    with load(net) as made:
        with made:
            sent_more(net, made)
            os.kill(pid, signal.SIGKILL)
            assert echo.works()
            await_other_worker(net, pid)
            served = sent_more(net, made)
        found = arrived(made)
    assert set(range(served[ALLOWED], made.sent[ALLOWED])) <= found.allowed
    assert not {number for number in found.denied if number >= served[DENIED]}
    if site.is_decided:
        assert found == (set(range(made.sent[ALLOWED])), set())
    elif site.mode == "closed":
        assert found.denied == set()
    assert echo.works()
    assert restarts(net) == before + 1
    assert f"worker {pid} of queue 9480 died, starting another" in net.log.read_text()


@pytest.mark.slow
def test_a_worker_stopped(site: Site, echo: Echo) -> None:
    """Its queue fills up, the failure mode says what becomes of the rest; it is replaced."""
    net, pid, before = site.net, site.net.status()["worker"]["pid"], restarts(site.net)
    with load(net) as made:
        with made:
            sent_more(net, made)
            os.kill(pid, signal.SIGSTOP)
            hung = sent_more(net, made, QUEUE_LENGTH + 200)
            still_hung = dict(made.sent)
            assert echo.works()
            if not site.is_decided and site.mode == "closed":
                net.wait(lambda: net.status()["queue"]["droppedFull"] > 0, "the queue is not full")
            await_other_worker(net, pid)
            served = sent_more(net, made)
        found = arrived(made)
    assert set(range(served[ALLOWED], made.sent[ALLOWED])) <= found.allowed
    assert not {number for number in found.denied if number >= served[DENIED]}
    if site.is_decided:
        assert found == (set(range(made.sent[ALLOWED])), set())
    elif site.mode == "closed":
        assert found.denied == set()
    else:
        # Behind the last that found room.
        meanwhile = range(hung[DENIED] + QUEUE_LENGTH, still_hung[DENIED])
        assert meanwhile
        assert set(meanwhile) <= found.denied
        assert set(meanwhile) <= found.allowed
    assert restarts(net) == before + 1
    assert f"worker {pid} of queue 9480 hangs, replacing it" in net.log.read_text()


def test_a_supervisor_stopped(site: Site, echo: Echo) -> None:
    """The worker goes on as if nothing were; who asks is told that there is no answer."""
    net, worker, before = site.net, site.net.status()["worker"]["pid"], restarts(site.net)
    assert net.daemon is not None
    with load(net) as made:
        with made:
            os.kill(net.daemon_pid, signal.SIGSTOP)
            try:
                sent_more(net, made)
                assert echo.works()
                with pytest.raises(ControlError, match="within"):
                    request(net.directory / "run" / "nsgd.sock", "status", timeout_s=0.3)
                # What comes meanwhile is not lost: a reload, and links that change.
                generation = policy(site.engine, site.mode)
                net.write(generation)
                net.daemon.send_signal(signal.SIGHUP)
                sent_more(net, made)
            finally:
                os.kill(net.daemon_pid, signal.SIGCONT)
            net.wait(lambda: net.status()["reloads"]["succeeded"] >= 1, "no reload", 10)
            sent_more(net, made)
        found = arrived(made)
    assert found == (set(range(made.sent[ALLOWED])), set())
    assert net.status()["worker"]["pid"] == worker
    assert restarts(net) == before


def test_a_supervisor_killed(site: Site, echo: Echo) -> None:
    """The worker goes with it: the failure mode, or the kernel engine, until the next daemon."""
    net = site.net
    with load(net) as made:
        with made:
            sent_more(net, made)
            net.kill()
            alone = dict(made.sent)
            sent_more(net, made)
            still_alone = dict(made.sent)
            assert echo.works()
            net.restart()
            served = sent_more(net, made)
        found = arrived(made)
    # A flow that was on its way when the worker died belongs to neither time.
    meanwhile = set(range(alone[DENIED] + 50, still_alone[DENIED]))
    if site.is_decided:
        assert found == (set(range(made.sent[ALLOWED])), set())
    elif site.mode == "closed":
        assert not meanwhile & found.allowed
        assert found.denied == set()
    else:
        assert meanwhile <= found.allowed
        assert meanwhile <= found.denied
    assert set(range(served[ALLOWED], made.sent[ALLOWED])) <= found.allowed
    assert not {number for number in found.denied if number >= served[DENIED]}
    assert echo.works()


@pytest.mark.slow
def test_both_stopped_as_a_suspended_machine(net: Network) -> None:
    """The supervisor wakes first and sees a heart that has not beaten for long; it looks twice."""
    with_hosts(net).start(policy("queue", "closed"))
    worker, supervisor = net.status()["worker"]["pid"], net.daemon_pid
    for pid in (supervisor, worker):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HUNG_AFTER_S + 0.3)
    os.kill(supervisor, signal.SIGCONT)
    # It takes two looks for these, not half a second apart.
    net.status()
    net.status()
    os.kill(worker, signal.SIGCONT)
    assert net.udp("client", "server", ALLOWED)
    net.nsgd("reload")
    time.sleep(0.6)  # the second look
    assert net.status()["worker"]["pid"] == worker
    assert "hangs" not in net.log.read_text()


@pytest.mark.parametrize("mode", ["closed", "open"])
def test_a_full_queue_of_the_kernel_engine(net: Network, mode: str) -> None:
    """What is left to the worker follows the failure mode; first packets do not wait in it."""
    with_hosts(net).start(policy("kernel", mode, queueLength=2))
    worker = net.status()["worker"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        server = net["server"].sniffer()
        for number in range(6):
            # Middles of connections: for the worker.
            net["client"].send_raw(segment(net, 3000 + number))
        if mode == "closed":
            net.wait(lambda: net.status()["queue"]["droppedFull"] == 4, "not dropped")
        net.wait(lambda: net.status()["queue"]["length"] == 2, "nothing waits")
        assert net.udp("client", "server", ALLOWED)
        assert not net.udp("client", "server", DENIED)
    finally:
        os.kill(worker, signal.SIGCONT)
    passed = set()
    with contextlib.suppress(TimeoutError):
        while True:
            packet = server.recv(2000)
            if packet[9:10] == b"\x06" and packet[12:16] == socket.inet_aton("10.0.1.4"):
                passed.add(int.from_bytes(packet[20:22], "big"))
    everything = set(range(3000, 3006))
    assert passed == (everything if mode == "open" else {3000, 3001})


def segment(net: Network, source_port: int) -> bytes:
    """An acknowledgement of a connection that nobody knows."""
    from scapy.layers.inet import IP, TCP

    head = IP(src=net["client"].address(), dst=net["server"].address())
    return bytes(head / TCP(sport=source_port, dport=8080, flags="A"))


@pytest.mark.parametrize("mode", ["closed", "open"])
def test_a_worker_whose_socket_overflows(net: Network, mode: str) -> None:
    """ENOBUFS: the kernel drops or passes, and counts; the same worker goes on with the rest."""
    with_hosts(net).start(policy("queue", mode, queueLength=65535))
    worker = net.status()["worker"]["pid"]
    assert net.daemon is not None
    supervisor = net.daemon.pid
    flood = Flood(net, 40000)
    # The supervisor too, which would take the worker for hung where sending takes long.
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(worker, signal.SIGSTOP)
    try:
        flood.send()
        # Number, listener, length, what is copied, how much, dropped full, dropped by the socket.
        counters = Path(f"/proc/{worker}/net/netfilter/nfnetlink_queue").read_text().split()
    finally:
        flood.close()
        os.kill(worker, signal.SIGCONT)
        os.kill(supervisor, signal.SIGCONT)
    assert int(counters[5]) == 0
    assert 1000 < int(counters[2]) < 40000
    net.wait(lambda: net.status()["queue"]["length"] == 0, "not read", 20)
    assert net.udp("client", "server", ALLOWED)
    assert not net.udp("client", "server", DENIED)
    status = net.status()
    assert status["worker"]["pid"] == worker
    assert status["worker"]["restarts"] == 0
    packets, verdicts = status["packets"], status["packets"]["verdicts"]
    if mode == "closed":
        # Seen or not, nothing is unaccounted for.
        lost = packets["queued"] - sum(verdicts.values())
        assert lost == status["queue"]["droppedSocket"] > 1000
    else:
        assert status["queue"]["droppedSocket"] == 0
        assert packets["queued"] - sum(verdicts.values()) > 1000


class Flood:
    """Datagrams of new flows to a denied port, as fast as they can be sent."""

    def __init__(self, net: Network, count: int) -> None:
        from scapy.layers.inet import IP, UDP
        from scapy.packet import Raw

        head = IP(src=net["client"].address(), dst=net["server"].address())
        plain = bytearray(bytes(head / UDP(sport=1, dport=DENIED) / Raw(b"x" * 8)))
        plain[26:28] = b"\0\0"
        self._packets = []
        for number in range(count):
            plain[20:24] = (1024 + number % 60000).to_bytes(2, "big") + DENIED.to_bytes(2, "big")
            self._packets.append(bytes(plain))
        self._socket = frame_socket(net["client"])
        self._to = ("eth0", 0x0800, 0, 0, net["client"].gateway_mac)

    def send(self) -> None:
        for packet in self._packets:
            self._socket.sendto(packet, self._to)

    def close(self) -> None:
        self._socket.close()


def test_a_storm_of_hangups(net: Network) -> None:
    """A thousand SIGHUPs are a few reloads; flows are decided all along."""
    with_hosts(net).start(policy("queue", "closed"))
    worker = net.status()["worker"]["pid"]
    halt = threading.Event()
    assert net.daemon is not None
    with load(net) as made:
        with made:
            for _ in range(1000):
                net.daemon.send_signal(signal.SIGHUP)
                halt.wait(0.001)
            net.wait(lambda: net.status()["reloads"]["succeeded"] > 0, "no reload", 10)
            sent_more(net, made)
        found = arrived(made)
    assert found == (set(range(made.sent[ALLOWED])), set())
    status = net.status()
    assert status["worker"]["pid"] == worker
    assert 0 < status["reloads"]["succeeded"] < 500
    assert status["reloads"]["refused"] == 0


def test_two_daemons_started_at_once(net: Network) -> None:
    """One serves, the other one ends: whichever."""
    with_hosts(net).write(policy("queue", "closed"))
    command = net._nsgd("run", "--config", str(net.config), *net._directories(state=True))
    with net.log.open("a") as log:
        started = [net.gateway.popen(command, stdout=log, stderr=log) for _ in range(4)]
    net.wait(lambda: sum(each.poll() is None for each in started) == 1, "more than one runs", 20)
    (net.daemon,) = (each for each in started if each.poll() is None)
    assert [each.returncode for each in started if each is not net.daemon] == [1, 1, 1]
    net.wait_until_ready()
    assert net.udp("client", "server", ALLOWED)
    assert not net.udp("client", "server", DENIED)
    assert net.log.read_text().count("not started") == 3
