"""State, spoofing and odd packets: what passes with a flow and what does not."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.packet import Packet, Raw

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
    rule("AllowDns", 100, "Inbound", "Allow", "Udp", "53"),
    rule("AllowFtp", 110, "Inbound", "Allow", "Tcp", "21"),
    rule("AllowTftp", 120, "Inbound", "Allow", "Udp", "69"),
    rule("DenyIn", 200, "Inbound", "Deny"),
    rule("DenyOut", 200, "Outbound", "Deny"),
]
VERSIONS = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A server that may only be asked, a neighbour, an undeclared host, and the internet."""
    with network(tmp_path_factory.mktemp("flows")) as made:
        made.host("server", *nic_addresses(1, 4))
        made.host("peer", *nic_addresses(2, 4))
        made.host("stray", *nic_addresses(1, 77))
        made.host("internet", INTERNET_V4, INTERNET_V6)
        made.host("other", "192.0.2.50", "2001:db8::50")
        made.start(
            document(
                [subnet("one", 1, "strict"), subnet("two", 2)],
                [nic("server", "one", 4, 1), nic("peer", "two", 4, 2)],
                {"strict": RULES},
            )
        )
        yield made


def ip(source: str, destination: str) -> Packet:
    """An IP header of the addresses' family."""
    return (IPv6 if ":" in source else IP)(src=source, dst=destination)


def arrives(net: Network, host: str, marker: bytes, packets: list[bytes], sender: str) -> bool:
    """Whether a packet that holds *marker* reaches a host's link."""
    sniffer = net[host].sniffer()
    with contextlib.closing(sniffer):
        for packet in packets:
            net[sender].send_raw(packet)
        with contextlib.suppress(TimeoutError):
            while True:
                if marker in sniffer.recv(65536):
                    return True
    return False


@VERSIONS
def test_icmp_error_of_an_allowed_flow_passes(net: Network, version: int) -> None:
    """Nobody listens: the server's port unreachable reaches the client, though out is denied."""
    client = net["internet"].bound(socket.SOCK_DGRAM, 0, version)
    client.connect((net["server"].address(version), 53))
    client.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)


@VERSIONS
def test_icmp_error_of_no_flow_is_dropped(net: Network, version: int) -> None:
    """An error that quotes a flow nobody has is invalid to conntrack."""
    before = net.denied("invalid")
    source, destination = net["internet"].address(version), net["server"].address(version)
    quoted = ip(destination, source) / UDP(sport=53, dport=5555) / Raw(b"MARKER-ERROR-OF-NONE")
    if version == 4:
        error = ip(source, destination) / ICMP(type=3, code=3) / quoted
    else:
        from scapy.layers.inet6 import ICMPv6DestUnreach

        error = ip(source, destination) / ICMPv6DestUnreach(code=4) / quoted
    assert not arrives(net, "server", b"MARKER-ERROR-OF-NONE", [bytes(error)], "internet")
    assert net.denied("invalid") == before + 1


@VERSIONS
def test_a_redirect_about_a_flow_is_dropped(net: Network, version: int) -> None:
    """It changes the receiver's routes and is not an error."""
    server = net["server"].bound(socket.SOCK_DGRAM, 53, version)
    client = net["internet"].bound(socket.SOCK_DGRAM, 0, version)
    client.sendto(b"ask", (net["server"].address(version), 53))
    server.recv(10)
    port = client.getsockname()[1]
    source, destination = net["internet"].address(version), net["server"].address(version)
    # The server's reply as the redirect quotes it.
    quoted = ip(destination, source) / UDP(sport=53, dport=port) / Raw(b"MARKER-REDIRECT")
    if version == 4:
        packet = ip(source, destination) / ICMP(type=5, code=1, gw=source) / quoted
    else:
        from scapy.layers.inet6 import ICMPv6ND_Redirect

        packet = (
            ip(source, destination) / ICMPv6ND_Redirect(tgt=source, dst=source) / Raw(bytes(quoted))
        )
    assert not arrives(net, "server", b"MARKER-REDIRECT", [bytes(packet)], "internet")
    server.close()
    client.close()


@VERSIONS
def test_helper_data_flows_are_judged_as_new(net: Network, version: int) -> None:
    """TFTP's answer from another port is related to an allowed flow and denied by DenyOut."""
    helper = 'table inet helpers {\n ct helper tftp {\n type "tftp" protocol udp;\n }\n'
    helper += " chain pre {\n type filter hook prerouting priority 0;\n"
    helper += ' udp dport 69 ct helper set "tftp"\n }\n}\n'
    net.gateway.run(["nft", "-f", "-"], text_input=helper)
    server = net["server"].bound(socket.SOCK_DGRAM, 69, version)
    data = net["server"].bound(socket.SOCK_DGRAM, 0, version)
    client = net["internet"].bound(socket.SOCK_DGRAM, 0, version)
    client.sendto(b"\0\1file\0octet\0", (net["server"].address(version), 69))
    _, sender = server.recvfrom(100)
    expectations = net.gateway.run(["conntrack", "-L", "expect", "-f", f"ipv{version}"]).stdout
    assert "helper=tftp" in expectations, "the helper is not at work: the test would show nothing"
    before = dict(net.hits())
    data.sendto(b"\0\3\0\1data", sender)
    with pytest.raises(TimeoutError):
        client.recv(100)
    key = ("strict", "Outbound", "DenyOut")
    assert net.hits().get(key, 0) == before.get(key, 0) + 1
    for made in (server, data, client):
        made.close()
    net.gateway.run(["nft", "flush", "chain", "inet", "helpers", "pre"])


@VERSIONS
def test_spoofed_sources_are_dropped(net: Network, version: int) -> None:
    """A declared source from the wrong link, and a foreign one from a NIC's link."""
    server, peer = net["server"].address(version), net["peer"].address(version)
    stray, internet = net["stray"].address(version), net["internet"].address(version)
    cases = [
        ("internet", peer),  # a NIC's address from outside
        ("internet", stray),  # an undeclared address of a subnet from outside
        ("internet", "10.0.99.9" if version == 4 else "fd00:10:0:99::9"),  # of no subnet
        ("peer", stray),  # another's address from a NIC's link
        ("peer", internet),  # an outside address from a NIC's link
        ("stray", peer),  # a NIC's address from another host of the network
    ]
    for number, (sender, source) in enumerate(cases):
        before = net.denied("spoofed")
        marker = b"MARKER-SPOOF-%d-%d" % (version, number)
        packet = ip(source, server) / UDP(sport=1000 + number, dport=53) / Raw(marker)
        assert not arrives(net, "server", marker, [bytes(packet)], sender), (sender, source)
        assert net.denied("spoofed") == before + 1, (sender, source)
    # The same packet from where it belongs arrives.
    packet = ip(peer, server) / UDP(sport=1000, dport=53) / Raw(b"MARKER-HONEST")
    assert arrives(net, "server", b"MARKER-HONEST", [bytes(packet)], "peer")


@VERSIONS
def test_a_spoofed_packet_cannot_ride_on_a_decided_flow(net: Network, version: int) -> None:
    """The flow is open; the same addresses and ports from the wrong link are dropped."""
    server = net["server"].bound(socket.SOCK_DGRAM, 53, version)
    client = net["peer"].bound(socket.SOCK_DGRAM, 0, version)
    client.sendto(b"ask", (net["server"].address(version), 53))
    server.recv(10)
    packet = (
        ip(net["peer"].address(version), net["server"].address(version))
        / UDP(sport=client.getsockname()[1], dport=53)
        / Raw(b"MARKER-RIDE")
    )
    assert not arrives(net, "server", b"MARKER-RIDE", [bytes(packet)], "internet")
    assert arrives(net, "server", b"MARKER-RIDE", [bytes(packet)], "peer")
    server.close()
    client.close()


@VERSIONS
def test_two_queries_of_one_socket_are_both_answered(net: Network, version: int) -> None:
    """A and AAAA at once: two first packets of one flow wait in the queue together."""
    server = net["server"].bound(socket.SOCK_DGRAM, 53, version)
    for _ in range(50):
        client = net["internet"].bound(socket.SOCK_DGRAM, 0, version)
        client.sendto(b"A", (net["server"].address(version), 53))
        client.sendto(b"AAAA", (net["server"].address(version), 53))
        for _ in range(2):
            query, sender = server.recvfrom(100)
            server.sendto(b"answer to " + query, sender)
        answers = {client.recv(100), client.recv(100)}
        assert answers == {b"answer to A", b"answer to AAAA"}
        client.close()
    server.close()


@VERSIONS
def test_datagrams_larger_than_the_mtu(net: Network, version: int) -> None:
    """Fragments are reassembled before the decision and pass whole, however large."""
    server = net["server"].bound(socket.SOCK_DGRAM, 53, version)
    for size in (1473, 4000, 9000, 60000):
        client = net["internet"].bound(socket.SOCK_DGRAM, 0, version)
        client.sendto(bytes(size), (net["server"].address(version), 53))
        data, sender = server.recvfrom(65536)
        assert len(data) == size
        server.sendto(bytes(size), sender)
        assert len(client.recv(65536)) == size
        client.close()
    assert net.status()["queue"]["length"] == 0
    server.close()


@VERSIONS
def test_fragments_of_a_denied_datagram_do_not_pass(net: Network, version: int) -> None:
    """Whole or in pieces, port 54 is closed, and a lone later fragment goes nowhere."""
    source, destination = net["internet"].address(version), net["server"].address(version)
    big = ip(source, destination) / UDP(sport=7, dport=54) / Raw(b"MARKER-FRAGMENT" * 200)
    if version == 4:
        pieces = [bytes(piece) for piece in fragment(big, 800)]
    else:
        from scapy.layers.inet6 import fragment6

        with_header = (
            ip(source, destination)
            / IPv6ExtHdrFragment(id=7)
            / UDP(sport=7, dport=54)
            / Raw(b"MARKER-FRAGMENT" * 200)
        )
        pieces = [bytes(piece) for piece in fragment6(with_header, 800)]
    assert len(pieces) > 3
    assert not arrives(net, "server", b"MARKER-FRAGMENT", pieces, "internet")
    assert not arrives(net, "server", b"MARKER-FRAGMENT", pieces[1:2], "internet")


def test_extension_headers_do_not_hide_a_port(net: Network) -> None:
    """The decision looks behind destination options: 53 passes, 54 does not."""
    source, destination = net["internet"].address(6), net["server"].address(6)
    for port, passes in ((53, True), (54, False)):
        packet = (
            IPv6(src=source, dst=destination)
            / IPv6ExtHdrDestOpt()
            / UDP(sport=900, dport=port)
            / Raw(b"MARKER-EXTENSION")
        )
        assert arrives(net, "server", b"MARKER-EXTENSION", [bytes(packet)], "internet") is passes


@VERSIONS
def test_unanswered_flow_needs_one_decision(net: Network, version: int) -> None:
    """Syslog-like traffic: conntrack calls each packet new, the mark still decides it."""
    server = net["server"].bound(socket.SOCK_DGRAM, 53, version)
    client = net["internet"].bound(socket.SOCK_DGRAM, 0, version)
    before = net.status()["packets"]["queued"]
    for _ in range(20):
        client.sendto(b"line", (net["server"].address(version), 53))
        server.recv(10)
    # Several may have waited for the first verdict; a decided flow is queued no more.
    middle = net.status()["packets"]["queued"]
    assert before < middle <= before + 3
    client.sendto(b"line", (net["server"].address(version), 53))
    server.recv(10)
    assert net.status()["packets"]["queued"] == middle
    server.close()
    client.close()


@VERSIONS
def test_midstream_tcp_is_judged_and_counted(net: Network, version: int) -> None:
    """An ACK of no known flow follows the rules of its apparent direction."""
    source, destination = net["internet"].address(version), net["server"].address(version)
    before = net.status()["packets"]["midstream"]
    allowed = ip(source, destination) / TCP(sport=3000, dport=21, flags="A") / Raw(b"MARKER-ACK")
    denied = ip(source, destination) / TCP(sport=3001, dport=22, flags="A") / Raw(b"MARKER-ACK")
    assert arrives(net, "server", b"MARKER-ACK", [bytes(allowed)], "internet")
    assert not arrives(net, "server", b"MARKER-ACK", [bytes(denied)], "internet")
    assert net.status()["packets"]["midstream"] == before + 1


@VERSIONS
def test_invalid_packets_are_dropped(net: Network, version: int) -> None:
    """A SYN+ACK of no flow, with an allowed port."""
    before = net.denied("invalid")
    source, destination = net["internet"].address(version), net["server"].address(version)
    packet = ip(source, destination) / TCP(sport=3000, dport=21, flags="SA") / Raw(b"MARKER-SA")
    assert not arrives(net, "server", b"MARKER-SA", [bytes(packet)], "internet")
    assert net.denied("invalid") == before + 1


@VERSIONS
def test_undeclared_host_is_under_its_subnets_group(net: Network, version: int) -> None:
    """It has no NIC in the document and the subnet's rules hold for it."""
    assert net.udp("internet", "stray", 53, version)
    assert not net.udp("internet", "stray", 54, version)
    assert not net.udp("stray", "internet", 53, version)


@VERSIONS
def test_unmanaged_traffic_passes_untouched(net: Network, version: int) -> None:
    """Two hosts outside every network: no decision, no mark, no queue."""
    before: dict[str, Any] = net.status()["packets"]
    assert net.udp("internet", "other", 5353, version)
    assert net.tcp("other", "internet", 5354, version)
    after = net.status()["packets"]
    assert after["queued"] == before["queued"]
    assert after["unmanaged"]["accept"] > before["unmanaged"]["accept"]
    line = next(text for text in net.conntrack().splitlines() if "dport=5353" in text)
    assert "mark=0 " in line


def test_decisions_show_in_the_connection_table(net: Network) -> None:
    """Only our bits of the mark are set, and they are set."""
    assert net.udp("internet", "server", 53)
    line = next(
        text
        for text in net.conntrack().splitlines()
        if "dport=53 " in text and f"dst={net['server'].address()}" in text
    )
    mark = int(line.partition("mark=")[2].split()[0])
    assert mark
    assert not mark & 0xC000


def test_other_tools_marks_are_kept(net: Network) -> None:
    """Bits outside the mask survive in packet and conntrack mark, on the copying path too."""
    marker = "table inet others {\n chain pre {\n type filter hook prerouting priority -150;\n"
    marker += " udp dport 53 meta mark set 0x4000 ct mark set 0x8000\n }\n"
    marker += " chain post {\n type filter hook postrouting priority 100;\n"
    marker += " meta mark 0x4000 counter\n }\n}\n"
    net.gateway.run(["nft", "-f", "-"], text_input=marker)
    try:
        assert net.udp("internet", "server", 53)
        rows = [text for text in net.conntrack().splitlines() if "dport=53 " in text]
        marks = [int(text.partition("mark=")[2].split()[0]) for text in rows]
        assert any(mark & 0x8000 and mark & ~0xC000 for mark in marks)
        listing = net.gateway.run(["nft", "list", "chain", "inet", "others", "post"]).stdout
        assert "packets 0" not in listing, "the packet mark was lost"
    finally:
        net.gateway.run(["nft", "flush", "chain", "inet", "others", "pre"])


def test_the_ruleset_can_be_listed_and_not_flushed(net: Network) -> None:
    """Every other tool on the host calls these."""
    assert "chain hook_forward" in net.gateway.run(["nft", "list", "ruleset"]).stdout
    assert '"nftables"' in net.gateway.run(["nft", "-j", "list", "ruleset"]).stdout
    net.gateway.run(["nft", "flush", "ruleset"])
    assert "queued" in net.gateway.run(["nft", "list", "table", "inet", "nsgd"]).stdout
    assert net.udp("internet", "server", 53)
    assert not net.udp("internet", "server", 54)


def ah(inner: Packet, source: str, destination: str) -> Packet:
    """*inner* behind an IPv6 authentication header."""
    from scapy.layers.ipsec import AH

    header = AH(nh=inner.overload_fields[IPv6]["nh"], spi=1, seq=1, icv=bytes(12))
    return IPv6(src=source, dst=destination, nh=51) / header / inner


def test_ah_decides_nothing_about_the_flow_inside(net: Network) -> None:
    """conntrack looks through AH: its decision must not open the port behind it."""
    source, destination = net["peer"].address(6), net["server"].address(6)
    allow_ah = document(
        [subnet("one", 1, "strict"), subnet("two", 2)],
        [nic("server", "one", 4, 1), nic("peer", "two", 4, 2)],
        {"strict": [rule("AllowAh", 150, "Inbound", "Allow", "Ah"), *RULES]},
    )
    net.reload(allow_ah)
    plain = IPv6(src=source, dst=destination) / UDP(sport=4001, dport=54) / Raw(b"MARKER-AH")
    behind = ah(UDP(sport=4001, dport=54) / Raw(b"MARKER-AH"), source, destination)
    for _ in range(2):
        assert arrives(net, "server", b"MARKER-AH", [bytes(behind)], "peer")
        assert not arrives(net, "server", b"MARKER-AH", [bytes(plain)], "peer")
    net.reload(
        document(
            [subnet("one", 1, "strict"), subnet("two", 2)],
            [nic("server", "one", 4, 1), nic("peer", "two", 4, 2)],
            {"strict": RULES},
        )
    )
    # The other way round: AH is denied, and an allowed flow under the same tuple changes nothing.
    plain = IPv6(src=source, dst=destination) / UDP(sport=4002, dport=53) / Raw(b"MARKER-AH")
    behind = ah(UDP(sport=4002, dport=53) / Raw(b"MARKER-AH"), source, destination)
    for _ in range(2):
        assert arrives(net, "server", b"MARKER-AH", [bytes(plain)], "peer")
        assert not arrives(net, "server", b"MARKER-AH", [bytes(behind)], "peer")


@pytest.mark.parametrize("bits", ["0x1", "0x80", "0x40000", "0x80000000"])
def test_a_bit_of_another_tool_is_no_decision(net: Network, bits: str) -> None:
    """Whatever stands in the conntrack mark, a denied port stays denied."""
    table = "table inet others {\n chain pre {\n type filter hook prerouting priority -150;\n"
    table += f" ct mark set {bits}\n }}\n}}\n"
    net.gateway.run(["nft", "-f", "-"], text_input=table)
    try:
        assert not net.udp("internet", "server", 54)
        assert net.udp("internet", "server", 53)
    finally:
        net.gateway.run(["nft", "flush", "chain", "inet", "others", "pre"])


def test_marks_of_unmanaged_traffic_stay_what_they_were(net: Network) -> None:
    """Even where they look like a decision of ours."""
    table = "table inet others {\n chain pre {\n type filter hook prerouting priority -150;\n"
    table += " udp dport 5355 meta mark set 0xffff3fff\n }\n"
    table += " chain seen {\n type filter hook postrouting priority 100;\n"
    table += " udp dport 5355 meta mark 0xffff3fff counter\n }\n}\n"
    net.gateway.run(["nft", "-f", "-"], text_input=table)
    assert net.udp("internet", "other", 5355)
    assert "packets 1" in net.gateway.run(["nft", "list", "chain", "inet", "others", "seen"]).stdout
    line = next(text for text in net.conntrack().splitlines() if "dport=5355" in text)
    assert "mark=0 " in line
    net.gateway.run(["nft", "flush", "chain", "inet", "others", "pre"])


@VERSIONS
def test_a_default_route_does_not_make_an_inside_address_honest(net: Network, version: int) -> None:
    """From the link of the default route, an address of the network that no host has."""
    gateway = net["internet"].address(version)
    command = ["ip", f"-{version}", "route", "replace", "default", "via", gateway]
    net.gateway.run([*command, "dev", "veth-internet", "onlink"])
    free = "10.0.1.200" if version == 4 else "fd00:10:0:1::200"
    no_subnet = "10.0.99.9" if version == 4 else "fd00:10:0:99::9"
    for source in (free, no_subnet):
        before = net.denied("spoofed")
        packet = ip(source, net["server"].address(version)) / UDP(sport=9, dport=53)
        packet /= Raw(b"MARKER-FREE")
        assert not arrives(net, "server", b"MARKER-FREE", [bytes(packet)], "internet")
        assert net.denied("spoofed") == before + 1
    assert net.udp("internet", "server", 53, version)


@VERSIONS
def test_a_new_connection_is_judged_though_its_tuple_was_decided(
    net: Network, version: int
) -> None:
    """After the server's reset conntrack still holds the old entry, decision and all."""
    allowed = document(
        [subnet("one", 1, "strict"), subnet("two", 2)],
        [nic("server", "one", 4, 1), nic("peer", "two", 4, 2)],
        {"strict": [rule("Allow90", 150, "Inbound", "Allow", "Tcp", "90"), *RULES]},
    )
    net.reload(allowed)
    listener = net["server"].listen(90, version)
    port = 7100 + version
    client = net["internet"].bound(socket.SOCK_STREAM, port, version)
    client.connect((net["server"].address(version), 90))
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    client.close()
    allowed["networkSecurityGroups"][0]["securityRules"] = RULES
    net.reload(allowed)
    again = net["internet"].bound(socket.SOCK_STREAM, port, version)
    with pytest.raises(TimeoutError):
        again.connect((net["server"].address(version), 90))
    again.close()
    listener.close()
