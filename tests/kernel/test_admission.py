"""Floods of new flows ahead of the queue: who is admitted, who is not, and what is counted."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6

from nsgd.kernel.netfilter import SO_RCVBUFFORCE
from tests.kernel.documents import INTERNET_V4, document, nic, rule, subnet
from tests.kernel.network import Host, Network, internet_checksum
from tests.kernel.test_lifecycle import Session, with_hosts

ALLOW_80 = rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")
ALLOW_UDP = rule("AllowUdp", 110, "Inbound", "Allow", "Udp", "7000")
OTHER_V4, OTHER_V6 = "198.51.100.7", "2001:db8:7::7"
DENIED_PORT = 9
QUEUE_LENGTH = 512
FREE = QUEUE_LENGTH // 2  # what may come at once, whoever sends it
BURST = 60
# A second of the test adds one packet to each, which tests leave room for.
STRICT = {
    "flowsPerSecond": 1,
    "sourceFlowsPerSecond": 1,
    "sourceBurst": BURST,
    "allowedSourceFlowsPerSecond": 1,
}
SLACK = 60


def web(*rules: dict[str, Any], **daemon: Any) -> dict[str, Any]:
    """One server behind a queue that holds few packets."""
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": list(rules)})
    settings = {"engine": "queue", "queueLength": QUEUE_LENGTH, "admission": STRICT}
    return made | {"daemon": {**settings, **daemon}}


def not_admitted(net: Network) -> dict[str, int]:
    """Packets, by what was used up."""
    counts: dict[str, int] = net.status()["packets"]["notAdmitted"]
    return counts


def queued(net: Network) -> int:
    """Packets that were sent to the queue."""
    return int(net.status()["packets"]["queued"])


def ipv4_udp(source: str, destination: str, source_port: int, port: int) -> bytes:
    """A datagram without data."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0)
    header += socket.inet_aton(source) + socket.inet_aton(destination)
    checksum = struct.pack("!H", internet_checksum(header))
    return header[:10] + checksum + header[12:] + struct.pack("!HHHH", source_port, port, 8, 0)


def send(net: Network, sources: Sequence[str], count: int, port: int = DENIED_PORT) -> None:
    """Datagrams of a new flow each, from these sources in turn, on the internet's link."""
    host = net["internet"]
    version = 6 if ":" in sources[0] else 4
    to = net["server"].address(version)
    ethertype = 0x0800 if version == 4 else 0x86DD
    packets = [
        ipv4_udp(source, to, source_port, port)
        if version == 4
        else bytes(IPv6(src=source, dst=to) / UDP(sport=source_port, dport=port))
        for index in range(count)
        for source, source_port in ((sources[index % len(sources)], 1024 + index % 60_000),)
    ]
    # Made beforehand: rates count while they are sent.
    kind = socket.AF_PACKET, socket.SOCK_DGRAM, 0
    with host.namespace.call(lambda: socket.socket(*kind)) as sender:
        for packet in packets:
            sender.sendto(packet, ("eth0", ethertype, 0, 0, host.gateway_mac))


@contextlib.contextmanager
def standing_still(net: Network) -> Iterator[None]:
    """Nobody reads the queue, and nobody minds."""
    worker = net.status()["worker"]["pid"]
    os.kill(net.daemon_pid, signal.SIGSTOP)
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)
        os.kill(net.daemon_pid, signal.SIGCONT)


def connect(host: Host, to: str, count: int) -> list[socket.socket]:
    """Connections that have been begun."""
    clients = []
    for _ in range(count):
        client = host.bound(socket.SOCK_STREAM)
        client.setblocking(False)
        client.connect_ex((to, 80))
        clients.append(client)
    return clients


def connected(clients: Sequence[socket.socket], timeout_s: float) -> int:
    """How many of them have come about, within a time in which no segment is sent again."""
    waiting = set(clients)
    while waiting:
        _, ready, _ = select.select([], waiting, [], timeout_s)
        if not ready:
            break
        waiting -= set(ready)
    return sum(
        client not in waiting and not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        for client in clients
    )


@pytest.mark.parametrize("queues", [1, 3])
def test_a_flood_of_one_source_takes_nothing_from_another(net: Network, queues: int) -> None:
    """20 000 packets while nobody decides: what a source may not have is not even queued."""
    with_hosts(net)
    other = net.host("other", OTHER_V4)
    length = QUEUE_LENGTH // queues * 2 if queues > 1 else QUEUE_LENGTH
    free = length * queues // 2
    # Of several workers some decide meanwhile: the other source is then one of allowed flows.
    admission = STRICT | {"allowedSourceFlowsPerSecond": BURST}
    net.start(web(ALLOW_80, queues=queues, queueLength=length, admission=admission))
    server = net["server"].listen(80)
    with standing_still(net):
        send(net, [INTERNET_V4], 20_000)
        clients = connect(other, net["server"].address(), 50)
    assert connected(clients, 0.7) == 50
    net.wait(lambda: net.status()["queue"]["length"] == 0, "packets wait")
    status = net.status()
    assert status["queue"]["droppedFull"] == 0
    assert not_admitted(net)["sources"] == 0
    refused = not_admitted(net)["sourceRate"]
    assert queued(net) + refused == 20_050
    assert free + BURST <= queued(net) - 50 <= free + BURST + SLACK
    assert status["packets"]["verdicts"] == {"accept": 50, "drop": queued(net) - 50}
    server.close()


def test_without_admission_a_flood_takes_all(net: Network) -> None:
    """The same with the queue's own end only, which takes whoever comes first."""
    with_hosts(net)
    other = net.host("other", OTHER_V4)
    net.start(web(ALLOW_80, admission={"enabled": False}))
    server = net["server"].listen(80)
    with standing_still(net):
        send(net, [INTERNET_V4], 20_000)
        clients = connect(other, net["server"].address(), 50)
    assert connected(clients, 0.7) == 0
    assert sum(not_admitted(net).values()) == 0
    assert (
        "admission"
        not in net.gateway.run(["nft", "list", "chain", "inet", "nsgd", "decide"]).stdout
    )
    server.close()


def test_the_kernel_engine_queues_no_flood(net: Network) -> None:
    """It denies by itself, and limits nobody."""
    with_hosts(net)
    other = net.host("other", OTHER_V4)
    net.start(web(ALLOW_80, engine="kernel"))
    server = net["server"].listen(80)
    with standing_still(net):
        send(net, [INTERNET_V4], 20_000)
        assert connected(connect(other, net["server"].address(), 50), 0.7) == 50
    assert queued(net) == 0
    assert sum(not_admitted(net).values()) == 0
    assert net.hits()[("web", "Inbound", "DenyAllInBound")] == 20_000
    server.close()


def test_what_is_decided_or_failsafe_is_never_limited(net: Network) -> None:
    """Nor is the middle of a connection that conntrack knows and nobody has decided."""
    failsafe = {"protocol": "Udp", "destinationPortRange": 7001, "sourceAddressPrefix": "*"}
    with_hosts(net).start(web(ALLOW_80, ALLOW_UDP, failsafe=[failsafe]))
    session = Session(net, "internet", "server", 80)
    client = net["internet"].bound(socket.SOCK_DGRAM, 5000)
    server = net["server"].bound(socket.SOCK_DGRAM, 7000)
    client.sendto(b"first", (net["server"].address(), 7000))
    assert server.recv(10) == b"first"
    send(net, [INTERNET_V4], 2000)
    assert not_admitted(net)["sourceRate"] >= 2000 - FREE - BURST - SLACK
    refused = not_admitted(net)["sourceRate"]
    assert not net.udp("internet", "server", 7000), "new flows of this source are still admitted"
    assert not_admitted(net)["sourceRate"] == refused + 1
    for _ in range(100):
        client.sendto(b"next", (net["server"].address(), 7000))
        assert server.recv(10) == b"next"
    assert session.works()
    assert all(net.udp("internet", "server", 7001) for _ in range(20))
    assert net.nsgd("reload", "--reevaluate").returncode == 0
    assert session.works()  # judged again
    assert not_admitted(net)["sourceRate"] == refused + 1
    session.close()


@pytest.mark.parametrize("version", [4, 6])
def test_a_source_of_allowed_flows_has_a_higher_rate(net: Network, version: int) -> None:
    """Which what it is denied neither gives nor takes."""
    with_hosts(net)
    net.host("other", OTHER_V4, OTHER_V6)
    net.start(web(ALLOW_UDP, admission=STRICT | {"allowedSourceFlowsPerSecond": 500}))
    allowed = net["internet"].address(version)
    denied = net["other"].address(version)
    assert net.udp("internet", "server", 7000, version)
    send(net, [denied], FREE + 1000)
    before, refused = queued(net), not_admitted(net)["sourceRate"]
    assert refused >= 1000 - BURST - SLACK
    send(net, [allowed], 300)
    assert (queued(net), not_admitted(net)["sourceRate"]) == (before + 300, refused)
    send(net, [allowed], 2000)
    assert not_admitted(net)["sourceRate"] >= refused + 200
    refused = not_admitted(net)["sourceRate"]
    send(net, [denied], 300)
    assert not_admitted(net)["sourceRate"] >= refused + 300 - SLACK


def test_sources_of_ipv6_are_networks(net: Network) -> None:
    """A /64 has one rate, whatever addresses it makes up."""
    with_hosts(net)
    net.host("other", OTHER_V4, OTHER_V6)
    net.start(web(ALLOW_80, ALLOW_UDP))
    send(net, [f"2600:1f00::{index:x}:1" for index in range(1, 500)], FREE + 200)
    assert not_admitted(net)["sourceRate"] >= 200 - BURST - SLACK
    before = not_admitted(net)["sourceRate"]
    assert not net.udp("internet", "server", 7000, 6)
    assert not_admitted(net)["sourceRate"] == before + 1
    assert net.udp("other", "server", 7000, 6)
    assert net.udp("internet", "server", 7000), "IPv4 is another source"


def test_more_sources_than_are_remembered_share_a_rate(net: Network) -> None:
    """Those that are remembered keep theirs."""
    with_hosts(net)
    net.host("other", OTHER_V4)
    net.start(web(ALLOW_UDP))
    everyone = [f"11.0.{index >> 8}.{index & 255}" for index in range(20_000)]
    send(net, [INTERNET_V4, OTHER_V4], FREE + 2)
    send(net, everyone, 20_000)
    counts = not_admitted(net)
    remembered = 16_384 - 2  # these two
    assert counts["sourceRate"] == 0
    beyond = 20_000 - remembered
    assert beyond - 100 - SLACK <= counts["sources"] <= beyond - 100
    assert net.udp("other", "server", 7000)
    refused = not_admitted(net)["sources"]
    send(net, ["12.0.0.1"], 1)
    assert not_admitted(net)["sources"] in (refused, refused + 1)
    listing = net.gateway.run(["nft", "list", "ruleset"]).stdout
    assert "ip saddr limit rate over 1/second burst 60 packets }" in listing


@pytest.mark.parametrize("setting", [{"failureMode": "open"}, {"mode": "audit"}])
def test_beyond_it_the_failure_mode_holds(net: Network, setting: dict[str, str]) -> None:
    """Nothing is dropped where nothing is dropped that nobody decides; it stays undecided."""
    with_hosts(net).start(web(ALLOW_80, **setting))
    server = net["server"].bound(socket.SOCK_DGRAM, DENIED_PORT)
    server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    send(net, [INTERNET_V4], FREE + BURST + SLACK + 50)
    refused = not_admitted(net)["sourceRate"]
    assert refused >= 50
    arrived = 0
    with contextlib.suppress(TimeoutError):
        while True:
            server.recv(10)
            arrived += 1
    sent = FREE + BURST + SLACK + 50
    assert arrived == (sent if "mode" in setting else refused)
    assert net.status()["packets"]["queued"] == sent - refused


def test_other_limits_come_with_a_reload(net: Network) -> None:
    """Counts go on, and nobody is held to what held before."""
    with_hosts(net).start(web(ALLOW_80, ALLOW_UDP))
    send(net, [INTERNET_V4], 2000)
    assert not net.udp("internet", "server", 7000)
    refused = not_admitted(net)["sourceRate"]
    assert refused > 1000
    net.reload(web(ALLOW_80, ALLOW_UDP, admission={"flowsPerSecond": 10_000}))
    assert net.udp("internet", "server", 7000)
    assert not_admitted(net)["sourceRate"] == refused
    net.reload(web(ALLOW_80, ALLOW_UDP))
    send(net, [INTERNET_V4], FREE + BURST + SLACK + 5)
    assert not_admitted(net)["sourceRate"] > refused
    net.reload(web(ALLOW_80, ALLOW_UDP, admission={"enabled": False}))
    refused = not_admitted(net)["sourceRate"]
    send(net, [INTERNET_V4], 2000)
    assert not_admitted(net)["sourceRate"] == refused
