"""Under new-flow load: reloads lose nothing, deaths lose what waited, and all is accounted for."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kernel.documents import document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network

ALLOWED, DENIED, CHANGING = 40000, 40001, 40002
FLOWS_PER_S = 6000
_SO_RCVBUFFORCE = 33


def big_policy(generation: int, **daemon: Any) -> dict[str, Any]:
    """Four groups of 1000 rules; the last two say what the test looks at, one of them in turns."""

    def rules(direction: str) -> list[dict[str, Any]]:
        made = [
            rule(f"Rule{i}", 100 + i, direction, "Deny", "Udp", f"{1000 + 3 * i}-{1001 + 3 * i}")
            for i in range(996)
        ]
        changing = "Allow" if generation % 2 else "Deny"
        return [
            *made,
            rule("Allowed", 2000, direction, "Allow", "Udp", str(ALLOWED)),
            rule("Changing", 2001, direction, changing, "Udp", str(CHANGING)),
            rule("Tcp", 2002, direction, "Allow", "Tcp"),
            rule("DenyRest", 3000, direction, "Deny"),
        ]

    made = document(
        [subnet("one", 1, "client-subnet"), subnet("two", 2, "server-subnet")],
        [
            nic("client", "one", 4, 1, networkSecurityGroup="client-nic"),
            nic("server", "two", 4, 2, networkSecurityGroup="server-nic"),
        ],
        {
            "client-nic": rules("Outbound"),
            "client-subnet": rules("Outbound"),
            "server-subnet": rules("Inbound"),
            "server-nic": rules("Inbound"),
        },
    )
    assert all(len(group["securityRules"]) == 1000 for group in made["networkSecurityGroups"])
    return made | {"daemon": daemon}


class Load:
    """Sends new UDP flows at a steady rate and counts what arrives, by destination port."""

    def __init__(
        self, net: Network, ports: tuple[int, ...], flows_per_s: int = FLOWS_PER_S
    ) -> None:
        self._net = net
        self._ports = ports
        self._flows_per_s = flows_per_s
        self._stop = threading.Event()
        self.sent = dict.fromkeys(ports, 0)
        self._sinks = {}
        for port in ports:
            sink = net["server"].bound(socket.SOCK_DGRAM, port)
            sink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
            self._sinks[port] = sink
        client = net["client"]
        self._socket = client.namespace.call(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        source = socket.inet_aton(self._net["client"].address())
        destination = socket.inet_aton(self._net["server"].address())
        header = bytearray(
            struct.pack("!BBHHHBBH", 0x45, 0, 36, 0, 0, 64, 17, 0) + source + destination
        )
        words = struct.unpack("!10H", header)
        total = sum(words)
        total = (total >> 16) + (total & 0xFFFF)
        header[10:12] = struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)
        number = 0
        while True:
            # A source port comes again after 60 000 flows a destination port: later than its
            # entry's end, or as one packet more of a flow that was decided alike.
            for port in self._ports:
                ports = struct.pack("!HHHH", 1024 + number % 60000, port, 16, 0)
                yield port, bytes(header) + ports + struct.pack("!Q", number)
            number += 1

    def _run(self) -> None:
        address = ("eth0", 0x0800, 0, 0, self._net["client"].gateway_mac)
        packets = self._packets()
        started = time.monotonic()
        sent = 0
        while not self._stop.is_set():
            due = int((time.monotonic() - started) * self._flows_per_s)
            while sent < due:
                port, packet = next(packets)
                self._socket.sendto(packet, address)
                self.sent[port] += 1
                sent += 1
            time.sleep(0.002)

    def go_on(self, packets: int) -> None:
        """Wait until so many more were sent."""
        until = sum(self.sent.values()) + packets
        self._net.wait(lambda: sum(self.sent.values()) >= until, "nothing is sent", 20.0)

    def received(self, port: int) -> set[int]:
        """The numbers that arrived, once no more come."""
        numbers = set()
        sink = self._sinks[port]
        sink.settimeout(0.5)
        try:
            while True:
                numbers.add(struct.unpack("!Q", sink.recv(100))[0])
        except TimeoutError:
            return numbers

    def close(self) -> None:
        """Give the ports back."""
        for sink in self._sinks.values():
            sink.close()


def with_hosts(net: Network) -> Network:
    """A client and a server behind one gateway."""
    net.host("client", *nic_addresses(1, 4))
    net.host("server", *nic_addresses(2, 4))
    return net


def test_reloads_under_load_lose_nothing(net: Network) -> None:
    """Twenty that change rules: what both policies allow arrives, what both deny does not."""
    with_hosts(net).start(big_policy(0))
    with Load(net, (ALLOWED, DENIED, CHANGING)) as load:
        for generation in range(1, 21):
            net.write(big_policy(generation))
            answer = net.nsgd("reload")
            assert answer.returncode == 0, answer.stderr
            # A table of another tool, without base chains: deleting one drops what is queued.
            other = f"add table inet other{generation}; add chain inet other{generation} c"
            net.gateway.run(["nft", other])
            net.gateway.run(["nft", f"delete table inet other{generation}"])
    assert load.received(ALLOWED) == set(range(load.sent[ALLOWED]))
    assert load.received(DENIED) == set()
    assert 0 < len(load.received(CHANGING)) < load.sent[CHANGING]
    status = net.status()
    assert status["generation"] == 21
    assert status["queue"]["droppedFull"] == status["queue"]["droppedSocket"] == 0
    assert status["packets"]["queued"] == sum(status["packets"]["verdicts"].values())


class Transfer(threading.Thread):
    """A long TCP transfer that must not notice."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        listener = net["server"].listen(5001)
        self._client = net["client"].bound(socket.SOCK_STREAM)
        self._client.connect((net["server"].address(), 5001))
        self._accepted, _ = listener.accept()
        listener.close()
        for end in (self._client, self._accepted):
            end.settimeout(10)
        self._halt = threading.Event()
        self.moved = 0
        self.start()

    def run(self) -> None:
        """Echo blocks until stopped."""
        block = bytes(16384)
        while not self._halt.is_set():
            self._client.sendall(block)
            left = len(block)
            while left:
                left -= len(self._accepted.recv(left))
            self.moved += len(block)

    def finish(self) -> None:
        """Stop, and see that it moved to the end."""
        before = self.moved
        Network.wait(lambda: self.moved > before, "the transfer stands still")
        self._halt.set()
        self.join(15)
        assert not self.is_alive()
        self._client.close()
        self._accepted.close()


@pytest.mark.parametrize("mode", ["closed", "open"])
def test_a_worker_killed_under_load(net: Network, mode: str) -> None:
    """The transfer goes on, the spare worker serves in its place, and losses can be counted."""
    with_hosts(net).start(big_policy(0, failureMode=mode))
    transfer = Transfer(net)
    net.wait(lambda: len(net.spares()) == 1, "no spare")
    (spare,) = net.spares()
    pid = net.status()["worker"]["pid"]
    with Load(net, (ALLOWED, DENIED)) as load:
        load.go_on(3000)
        os.kill(pid, signal.SIGKILL)
        net.wait(lambda: net.status()["worker"]["pid"] not in (pid, None), "not replaced")
        # It had all that a worker loads: nothing of a start stood between.
        assert net.status()["worker"]["pid"] == spare
        before = dict(load.sent)
        load.go_on(6000)
    transfer.finish()
    arrived = load.received(ALLOWED)
    lost = set(range(load.sent[ALLOWED])) - arrived
    # Lost only around the kill, and what was sent after another one served arrived whole.
    assert not {number for number in lost if number >= before[ALLOWED]}
    passed = load.received(DENIED)
    if mode == "closed":
        assert passed == set()
    status = net.status()
    packets, verdicts = status["packets"], status["packets"]["verdicts"]
    assert status["queue"]["length"] == packets["passedUndecided"] == 0
    # What got no verdict was lost, or passed with nobody there: its entry has no mark.
    unanswered = packets["queued"] - sum(verdicts.values())
    undecided = sum(
        f"dport={ALLOWED} " in line and " mark=0 " in line for line in net.conntrack().splitlines()
    )
    was_lost = len(lost) + load.sent[DENIED] - verdicts["drop"] - len(passed)
    # A worker counts before its verdicts go out, eight at once: the last ones may not have.
    assert -8 <= unanswered - was_lost - undecided - len(passed) <= 0


@pytest.mark.parametrize("mode", ["closed", "open"])
def test_a_supervisor_killed_under_load(net: Network, mode: str) -> None:
    """Its worker goes too; new flows follow the failure mode; the next daemon takes over."""
    with_hosts(net).start(big_policy(0, failureMode=mode))
    transfer = Transfer(net)
    with Load(net, (ALLOWED, DENIED)) as load:
        load.go_on(3000)
        net.kill()
        alone = dict(load.sent)
        load.go_on(3000)
        still_alone = dict(load.sent)
        net.restart()
        served = dict(load.sent)
        load.go_on(3000)
    transfer.finish()
    arrived, passed = load.received(ALLOWED), load.received(DENIED)
    meanwhile = set(range(alone[ALLOWED] + 50, still_alone[ALLOWED]))
    if mode == "closed":
        assert not meanwhile & arrived
        assert passed == set()
    else:
        assert meanwhile <= arrived
        assert set(range(alone[DENIED] + 50, still_alone[DENIED])) <= passed
    assert set(range(served[ALLOWED], load.sent[ALLOWED])) <= arrived
    assert not {number for number in passed if number >= served[DENIED]}
