"""Verdicts to the kernel: their bytes, how many go together, and that no packet is left waiting."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator

import pytest

from nsgd.kernel.verdicts import verdict_sender
from nsgd.wire.verdict import ACCEPT, DROP
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

# The functions keep their socket for as long as a worker lives.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ALLOWED = ("strict", "Inbound", "AllowDns")
DENIED = ("strict", "Inbound", "DenyAllInBound")
QUEUE = 0x1234
TOGETHER = 8


@pytest.fixture
def kernel() -> Iterator[tuple[socket.socket, int]]:
    """What receives the messages, and the descriptor to send them on."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs.fileno()


def expected(verdict: int, packet: int, mark: int) -> bytes:
    """NFQNL_MSG_VERDICT by linux/netlink.h and linux/netfilter/nfnetlink_queue.h."""
    return (
        struct.pack("=IHHII", 16 + 4 + 12 + 8, 0x0301, 1, 0, 0)  # NLM_F_REQUEST
        + struct.pack(">BBH", 0, 0, QUEUE)
        + struct.pack("=HH", 12, 2)  # NFQA_VERDICT_HDR
        + struct.pack(">II", verdict, packet)
        + struct.pack("=HH", 8, 3)  # NFQA_MARK
        + struct.pack(">I", mark)
    )


def messages(kernel: socket.socket) -> list[bytes]:
    """All that was sent, by message."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(kernel.recv(1 << 16))
    return found


@pytest.mark.parametrize(
    "verdict", [(DROP, 1, 0), (ACCEPT, 2, 0), (ACCEPT, 0xFEDCBA98, 0x89ABCDEF), (ACCEPT, 0, 1)]
)
def test_the_bytes(kernel: tuple[socket.socket, int], verdict: tuple[int, int, int]) -> None:
    """Drop, accept, and accept with a mark."""
    give, send = verdict_sender(kernel[1], QUEUE)
    assert (DROP, ACCEPT) == (0, 1)
    give(*verdict)
    assert messages(kernel[0]) == []
    send()
    assert messages(kernel[0]) == [expected(*verdict)]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 15, 16, 17, 100])
def test_eight_go_together(kernel: tuple[socket.socket, int], count: int) -> None:
    """The rest with send(), each once and in order, whatever was sent before."""
    give, send = verdict_sender(kernel[1], QUEUE)
    for first in (1, 1000):
        verdicts = [expected(n % 2, first + n, n % 2 * 0x10101 * n) for n in range(count)]
        for n in range(count):
            give(n % 2, first + n, n % 2 * 0x10101 * n)
        whole = count // TOGETHER * TOGETHER
        together = [
            b"".join(verdicts[start : start + TOGETHER]) for start in range(0, whole, TOGETHER)
        ]
        assert messages(kernel[0]) == together
        send()
        assert messages(kernel[0]) == ([b"".join(verdicts[whole:])] if count > whole else [])
        send()
        assert messages(kernel[0]) == []


def test_the_descriptor_is_a_copy(kernel: tuple[socket.socket, int]) -> None:
    """The queue's own stays open when the functions are forgotten."""
    give, send = verdict_sender(kernel[1], QUEUE)
    del give, send
    give, send = verdict_sender(kernel[1], QUEUE)
    give(ACCEPT, 1, 0)
    send()
    assert messages(kernel[0]) == [expected(ACCEPT, 1, 0)]


def test_a_message_that_is_lost_is_told() -> None:
    """By the eighth verdict as by send()."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        give, send = verdict_sender(theirs.fileno(), QUEUE)
        ours.close()
        give(ACCEPT, 1, 0)
        with pytest.raises(BrokenPipeError):
            send()
        for number in range(TOGETHER - 1):
            give(ACCEPT, number, 0)
        with pytest.raises(BrokenPipeError):
            give(ACCEPT, 8, 0)


def test_a_burst_of_new_flows(net: Network) -> None:
    """A hundred wait in the queue at once: each allowed one arrives, and each denied is counted."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    allowed = [rule("AllowDns", 100, "Inbound", "Allow", "Udp", "53")]
    net.start(
        document([subnet("one", 1, "strict")], [nic("server", "one", 4, 1)], {"strict": allowed})
    )
    server = net["server"].bound(socket.SOCK_DGRAM, 53)
    clients = [net["internet"].bound(socket.SOCK_DGRAM) for _ in range(100)]
    worker = net.status()["worker"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        for number, client in enumerate(clients):
            port = 54 if number % 3 == 2 else 53
            client.sendto(b"%d" % number, (net["server"].address(), port))
    finally:
        os.kill(worker, signal.SIGCONT)
    arrived = {int(server.recv(10)) for _ in range(67)}
    assert arrived == {number for number in range(100) if number % 3 != 2}
    net.wait(lambda: net.hits().get(DENIED, 0) == 33, "not all were denied")
    assert net.hits()[ALLOWED] == 67
    assert net.status()["queue"]["length"] == 0
