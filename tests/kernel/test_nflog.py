"""A log group with real packets: what is read of them, and that none is lost without a count."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from nsgd.kernel.error import KernelError
from nsgd.kernel.nflog import TOGETHER, DenialReceiver
from nsgd.model.packet import UDP, PacketHeader
from nsgd.wire import netlink, nflog
from nsgd.wire.nflog import LoggedPacket
from nsgd.wire.packet import parse_packet
from tests.kernel.documents import INTERNET_V4, INTERNET_V6, nic_addresses
from tests.kernel.network import Network

# Its bytes differ, so that their order shows.
GROUP = 0x0105
MARK = 0xFEDCBA98
PORT = 9
RULES = f"""
table inet probe {{
  counter dropped {{}}
  chain forward {{
    type filter hook forward priority 0
    udp dport {PORT} jump denied
  }}
  chain denied {{
    meta mark set {MARK}
    log prefix "web/DenyAllInBound" group {GROUP} snaplen 128
    counter name dropped drop
  }}
}}
"""
# The network's stack takes a thousand packets at a time, and drops what is more.
BURST = 250


@pytest.fixture
def denying(net: Network) -> Network:
    """A gateway that drops and logs what goes to a port."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.gateway.run(["nft", "-f", "-"], text_input=RULES)
    return net


@contextlib.contextmanager
def receiver(network: Network, group: int = GROUP, **options: int) -> Iterator[DenialReceiver]:
    """A receiver inside the gateway, while the test is outside."""
    made = network.gateway.call(lambda: DenialReceiver(group, **options))
    with contextlib.closing(made):
        yield made


def dropped(network: Network) -> int:
    """Packets that came past the log statement."""
    listing = network.gateway.run(["nft", "list", "counter", "inet", "probe", "dropped"]).stdout
    found = re.search(r"packets (\d+)", listing)
    assert found
    return int(found[1])


def send(network: Network, count: int, port: int = PORT) -> None:
    """Have packets dropped; each burst has been when the next begins."""
    target = network["server"].address(), port
    start = dropped(network)
    sent = 0
    with contextlib.closing(network["internet"].bound(socket.SOCK_DGRAM)) as client:
        while sent < count:
            # The first waits for the neighbour's address.
            burst = min(BURST, count - sent) if sent else 1
            for _ in range(burst):
                client.sendto(b"?", target)
            sent += burst
            wait_until_dropped(network, start + sent)
    assert dropped(network) == start + count


def wait_until_dropped(network: Network, count: int) -> None:
    network.wait(lambda: dropped(network) >= count, f"fewer than {count} packets came")


def is_readable(made: DenialReceiver) -> bool:
    return bool(select.select([made], [], [], 5.0)[0])


def read(made: DenialReceiver, count: int) -> list[LoggedPacket]:
    """Read until so many packets are read here or lost at any time."""
    found: list[LoggedPacket] = []
    while len(found) + made.lost < count:
        assert is_readable(made), f"{len(found)} read and {made.lost} lost of {count}"
        found += made.read(1000)
    return found


def logged(sequence: int) -> bytes:
    """A message as the kernel makes it, with the least that it can have."""
    body = struct.pack(">BBH", 2, 0, GROUP)
    body += struct.pack("=HH", 8, 12) + struct.pack(">I", sequence)  # NFULA_SEQ
    body += struct.pack("=HH", 8, 9) + b"what"  # NFULA_PAYLOAD
    return struct.pack("=IHHII", 16 + len(body), 0x0400, 0, 0, 0) + body


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet(denying: Network, version: int) -> None:
    """Its mark, the rule's prefix, both links, and the addresses and ports in its bytes."""
    source, destination = denying["internet"].address(version), denying["server"].address(version)
    links = denying.gateway.links()
    with receiver(denying) as made:
        assert made.read(TOGETHER) == []
        client = denying["internet"].bound(socket.SOCK_DGRAM, 4711, version)
        client.sendto(bytes(1000), (destination, PORT))
        (packet,) = read(made, 1)
        assert packet._replace(payload=b"") == LoggedPacket(
            MARK, "web/DenyAllInBound", links["veth-internet"], links["veth-server"], b"", 0
        )
        assert len(packet.payload) == 128
        assert parse_packet(packet.payload) == PacketHeader(
            4 if version == 4 else 6,
            UDP,
            int(ip_address(source)),
            int(ip_address(destination)),
            4711,
            PORT,
            False,
        )
        assert made.read(TOGETHER) == []
        assert made.lost == 0


def test_a_packet_to_and_from_the_gateway(net: Network) -> None:
    """Each has one link; the log statement has no prefix, and the packet no mark."""
    net.host("internet", INTERNET_V4)
    rules = "".join(
        f"add chain inet probe {hook} {{ type filter hook {hook} priority 0; }}\n"
        f"add rule inet probe {hook} udp dport {PORT} log group {GROUP}\n"
        for hook in ("input", "output")
    )
    net.gateway.run(["nft", "-f", "-"], text_input="add table inet probe\n" + rules)
    link = net.gateway.links()["veth-internet"]
    inside = net.gateway.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with receiver(net) as made, inside:
        client = net["internet"].bound(socket.SOCK_DGRAM)
        client.sendto(b"in", ("169.254.1.1", PORT))
        incoming = read(made, 1)
        inside.sendto(b"out", (INTERNET_V4, PORT))
        outgoing = read(made, 1)
    for packets, links in ((incoming, (link, 0)), (outgoing, (0, link))):
        (packet,) = packets
        assert (packet.mark, packet.prefix, packet.in_link, packet.out_link) == (0, "", *links)


def test_a_flood_is_read_entirely(denying: Network) -> None:
    """5000 packets wait in the buffer, are all read, each once and in order."""
    with receiver(denying) as made:
        send(denying, 5000)
        packets = read(made, 5000)
        assert [packet.sequence for packet in packets] == list(range(5000))
        assert {packet.mark for packet in packets} == {MARK}
        assert made.lost == 0
        assert made.read(1000) == []


def test_what_does_not_fit_is_counted_exactly(denying: Network) -> None:
    """Twice: the buffer overflows, is read, and the next packet's number tells how many."""
    sent = 0
    packets: list[LoggedPacket] = []
    with receiver(denying, receive_buffer_bytes=64 << 10) as made:
        for _ in range(2):
            lost = made.lost
            send(denying, 2499)
            # The error comes ahead of what had room, and counts as one until the number is known.
            assert is_readable(made)
            packets += made.read(TOGETHER)
            assert packets
            assert made.lost == lost + 1
            while found := made.read(1000):
                packets += found
            send(denying, 1)
            sent += 2500
            packets += read(made, sent - len(packets))
            assert made.lost > lost + 1
            assert len(packets) + made.lost == sent
        numbers = [packet.sequence for packet in packets]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == sent - 1


def test_a_loss_before_the_first_packet_is_counted(denying: Network) -> None:
    """The group counts from 0 for each reader: a first datagram that is missing shows."""
    with receiver(denying) as made:
        send(denying, 100)
        assert is_readable(made)
        with socket.socket(fileno=os.dup(made.fileno())) as thief:
            stolen = [kind for kind, _, _ in netlink.split_messages(thief.recv(1 << 18))]
        missing = stolen.count(nflog.LOG_PACKET)
        assert missing > 0
        assert len(read(made, 100)) == 100 - missing
        assert made.lost == missing


def test_what_cannot_be_read_is_counted(denying: Network) -> None:
    """Another rule logs to the group without any byte of the packet."""
    match = f"add rule inet probe forward udp dport {PORT + 1}"
    for statement in (f"log group {GROUP} snaplen 0", "counter name dropped drop"):
        denying.gateway.run(["nft", f"{match} {statement}"])
    with receiver(denying) as made:
        send(denying, 2, PORT + 1)
        send(denying, 1)
        assert [packet.sequence for packet in read(made, 3)] == [2]
        assert made.lost == 2


def test_the_numbers_begin_again(net: Network) -> None:
    """After 2 ** 32 packets, which is no loss; a gap across the end is counted."""
    with receiver(net) as made:
        made._collect(logged(0xFFFFFFFE), [])
        start = made.lost
        made._collect(logged(0xFFFFFFFF) + logged(0), [])
        assert made.lost == start
        made._next_sequence = 0xFFFFFFFE
        made._collect(logged(1), [])
        assert made.lost == start + 3


def test_a_call_reads_so_many_at_most(denying: Network) -> None:
    """And what is left makes the descriptor readable; less than a datagram cannot be asked for."""
    with receiver(denying) as made:
        for most in (TOGETHER, TOGETHER + 1, 100):
            send(denying, 500)
            found = 0
            while found < 500:
                assert is_readable(made)
                packets = made.read(most)
                assert 0 < len(packets) <= most
                found += len(packets)
        assert made.lost == 0
        with pytest.raises(ValueError, match=str(TOGETHER)):
            made.read(TOGETHER - 1)


def test_a_group_has_one_reader(denying: Network) -> None:
    """Another is refused by name, other groups are free, and a closed one is free again."""
    with (
        receiver(denying) as made,
        receiver(denying, GROUP & 0xFF),
        receiver(denying, GROUP << 8 & 0xFFFF),
    ):
        with (
            pytest.raises(KernelError, match=f"bind log group {GROUP}: ") as refused,
            receiver(denying),
        ):
            pass
        assert refused.value.number == errno.EPERM
        send(denying, 1)
        assert len(read(made, 1)) == 1
    with receiver(denying) as made:
        send(denying, 1)
        assert [packet.sequence for packet in read(made, 1)] == [0]


def test_other_senders_are_not_heard(denying: Network) -> None:
    """A process with the right to write to the socket cannot make a packet up."""
    with receiver(denying) as made:
        with socket.socket(fileno=os.dup(made.fileno())) as same:
            port = same.getsockname()[0]
        other = denying.gateway.call(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
        with other:
            for _ in range(3):
                other.sendto(logged(1000), (port, 0))
        assert is_readable(made)
        assert made.read(TOGETHER) == []
        send(denying, 1)
        assert [packet.sequence for packet in read(made, 1)] == [0]
        assert made.lost == 0


@pytest.mark.parametrize(("held", "is_bound"), [("net_admin", True), ("net_raw", False)])
def test_one_capability_suffices(denying: Network, held: str, is_bound: bool) -> None:
    """CAP_NET_ADMIN, and without it the group is refused."""
    rights = [f"--{which}=-all,+{held}" for which in ("bounding-set", "inh-caps")]
    program = (
        "from nsgd.kernel.error import KernelError\n"
        "from nsgd.kernel.nflog import DenialReceiver\n"
        "try:\n"
        f"    DenialReceiver({GROUP}).close()\n"
        "    print('bound')\n"
        "except KernelError as error:\n"
        "    print(error.number)\n"
    )
    command = ["setpriv", *rights, sys.executable, "-P", "-c", program]
    answer = denying.gateway.run(command).stdout.strip()
    assert answer == ("bound" if is_bound else str(errno.EPERM))
