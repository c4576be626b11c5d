"""The packet reader: every edge by hand, scapy as the second opinion, and no bytes that raise."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.packet import Raw

from nsgd.model.packet import PacketHeader, Unparsable
from nsgd.wire.packet import parse_packet

V4_SOURCE, V4_DESTINATION = "203.0.113.7", "10.0.1.4"
V6_SOURCE, V6_DESTINATION = "2001:db8::7", "fd00:1::4"


def ip4(**fields: Any) -> Any:
    return IP(src=V4_SOURCE, dst=V4_DESTINATION, **fields)


def ip6(**fields: Any) -> Any:
    return IPv6(src=V6_SOURCE, dst=V6_DESTINATION, **fields)


def tcp(flags: str = "S", **fields: Any) -> Any:
    return TCP(sport=40000, dport=443, flags=flags, **fields)


def udp() -> Any:
    return UDP(sport=5353, dport=53)


def expected(
    version: int, protocol: int, ports: tuple[int, int] = (0, 0), is_midstream: bool = False
) -> PacketHeader:
    addresses = {4: (V4_SOURCE, V4_DESTINATION), 6: (V6_SOURCE, V6_DESTINATION)}[version]
    source, destination = (int(ip_address(text)) for text in addresses)
    return PacketHeader(
        4 if version == 4 else 6, protocol, source, destination, *ports, is_midstream
    )


def patched(packet: Any, offset: int, *replacement: int) -> bytes:
    """The packet's bytes with some of them replaced."""
    data = bytearray(bytes(packet))
    data[offset : offset + len(replacement)] = replacement
    return bytes(data)


TCP_PORTS, UDP_PORTS = (40000, 443), (5353, 53)
HOP_ROUTING_DESTINATION = IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt()


@pytest.mark.parametrize(
    ("packet", "header"),
    [
        (ip4() / tcp(), expected(4, 6, TCP_PORTS)),
        (ip4() / udp(), expected(4, 17, UDP_PORTS)),
        (ip4() / ICMP(), expected(4, 1)),
        (ip6() / tcp(), expected(6, 6, TCP_PORTS)),
        (ip6() / udp(), expected(6, 17, UDP_PORTS)),
        (ip6() / ICMPv6EchoRequest(), expected(6, 58)),
        # Options are passed over, in both headers.
        (ip4(options=[IPOption_NOP()] * 4) / tcp(), expected(4, 6, TCP_PORTS)),
        (ip4(options=[IPOption_NOP()] * 40) / udp(), expected(4, 17, UDP_PORTS)),
        (ip4() / tcp(options=[("MSS", 1460)]), expected(4, 6, TCP_PORTS)),
        # "Don't fragment" and the reserved bit say nothing of a fragment.
        (ip4(flags="DF") / tcp(), expected(4, 6, TCP_PORTS)),
        (ip4(flags="evil") / tcp(), expected(4, 6, TCP_PORTS)),
        # Extension headers are passed over, wherever they stand.
        (ip6() / IPv6ExtHdrHopByHop() / udp(), expected(6, 17, UDP_PORTS)),
        (ip6() / HOP_ROUTING_DESTINATION / tcp(), expected(6, 6, TCP_PORTS)),
        (ip6() / IPv6ExtHdrDestOpt() / ICMPv6EchoRequest(), expected(6, 58)),
        (ip6() / IPv6ExtHdrFragment() / tcp(), expected(6, 6, TCP_PORTS)),
        # AH, ESP, no-next-header and whatever is unknown are protocols, in both families.
        (ip4(proto=51) / Raw(bytes(24)), expected(4, 51)),
        (ip4(proto=50) / Raw(bytes(8)), expected(4, 50)),
        (ip4(proto=47), expected(4, 47)),
        (ip4(proto=0), expected(4, 0)),
        (ip4(proto=44), expected(4, 44)),
        (ip6(nh=51) / Raw(bytes(24)), expected(6, 51)),
        (ip6(nh=50) / Raw(bytes(8)), expected(6, 50)),
        (ip6(nh=59), expected(6, 59)),
        (ip6(nh=135) / Raw(bytes(8)), expected(6, 135)),
        (ip6() / IPv6ExtHdrDestOpt(nh=51) / Raw(bytes(24)), expected(6, 51)),
        (ip6() / IPv6ExtHdrHopByHop(nh=59), expected(6, 59)),
        # The other family's ICMP is a protocol like any other.
        (ip4(proto=58), expected(4, 58)),
        (ip6(nh=1), expected(6, 1)),
    ],
    ids=lambda value: value.summary() if hasattr(value, "summary") else "",
)
def test_whole_packets(packet: Any, header: PacketHeader) -> None:
    """The protocol is that of the first header that is not an extension."""
    assert parse_packet(bytes(packet)) == header


@pytest.mark.parametrize(
    ("flags", "is_midstream"),
    [
        ("S", False),
        ("SPU", False),  # data with the SYN
        ("SEC", False),  # explicit congestion notification set-up (RFC 3168)
        ("SA", True),
        ("SR", True),
        ("SF", True),
        ("A", True),
        ("R", True),
        ("FA", True),
        ("", True),
        ("FPU", True),
    ],
)
def test_midstream(flags: str, is_midstream: bool) -> None:
    """Only SYN without ACK, RST and FIN opens a connection."""
    for packet in (ip4() / tcp(flags), ip6() / tcp(flags)):
        header = parse_packet(bytes(packet))
        assert isinstance(header, PacketHeader)
        assert header.is_midstream is is_midstream


TCP4, TCP6 = ip4() / tcp(), ip6() / tcp()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Unparsable.EMPTY),
        # The version nibble.
        (patched(TCP4, 0, 0x05), Unparsable.VERSION),
        (patched(TCP4, 0, 0x55), Unparsable.VERSION),
        (patched(TCP6, 0, 0x70), Unparsable.VERSION),
        # Read as IPv6, the identification 1 is the length and the flags 0 are hop-by-hop options.
        (patched(TCP4, 0, 0x65), Unparsable.EXTENSION_HEADER),
        # IHL: below 5, past the bytes, past the total length.
        (patched(TCP4, 0, 0x44), Unparsable.IP_HEADER),
        (patched(TCP4, 0, 0x40), Unparsable.IP_HEADER),
        (patched(TCP4, 0, 0x4F), Unparsable.IP_HEADER),
        # Total length: below the header, and at its end.
        (patched(TCP4, 2, 0, 0), Unparsable.IP_HEADER),
        (patched(TCP4, 2, 0, 19), Unparsable.IP_HEADER),
        (patched(TCP4, 2, 0, 20), Unparsable.TRANSPORT_HEADER),
        (patched(TCP4, 2, 0, 39), Unparsable.TRANSPORT_HEADER),
        (patched(ip4() / udp(), 2, 0, 27), Unparsable.TRANSPORT_HEADER),
        (patched(ip4() / ICMP(), 2, 0, 27), Unparsable.TRANSPORT_HEADER),
        # IPv6 payload length. 0 would be a jumbogram, which no link here carries.
        (patched(TCP6, 4, 0, 0), Unparsable.TRANSPORT_HEADER),
        (patched(TCP6, 4, 0, 19), Unparsable.TRANSPORT_HEADER),
        (patched(ip6() / udp(), 4, 0, 7), Unparsable.TRANSPORT_HEADER),
        (patched(ip6() / ICMPv6EchoRequest(), 4, 0, 7), Unparsable.TRANSPORT_HEADER),
        # Fragments: the first, a later one, the last; the lowest offset bit.
        (bytes(ip4(flags="MF") / tcp()), Unparsable.FRAGMENT),
        (bytes(ip4(flags="MF", frag=185) / tcp()), Unparsable.FRAGMENT),
        (bytes(ip4(frag=1) / tcp()), Unparsable.FRAGMENT),
        (bytes(ip4(frag=8191) / tcp()), Unparsable.FRAGMENT),
        (bytes(ip6() / IPv6ExtHdrFragment(m=1) / tcp()), Unparsable.FRAGMENT),
        (bytes(ip6() / IPv6ExtHdrFragment(offset=1) / tcp()), Unparsable.FRAGMENT),
        (bytes(ip6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(m=1)), Unparsable.FRAGMENT),
        # A first fragment too short for its ports (RFC 1858) is a fragment before all else.
        (bytes(ip4(flags="MF", proto=6) / Raw(bytes(8))), Unparsable.FRAGMENT),
        # TCP data offset: below 5, and past the packet's end.
        (patched(TCP4, 32, 0x40), Unparsable.TRANSPORT_HEADER),
        (patched(TCP4, 32, 0x00), Unparsable.TRANSPORT_HEADER),
        (patched(TCP4, 32, 0x60), Unparsable.TRANSPORT_HEADER),
        (patched(TCP6, 52, 0xF0), Unparsable.TRANSPORT_HEADER),
        # An extension header past the packet's end, by its own length or by the packet's.
        (patched(ip6() / IPv6ExtHdrDestOpt(nh=59), 41, 1), Unparsable.EXTENSION_HEADER),
        (patched(ip6() / IPv6ExtHdrDestOpt() / tcp(), 41, 4), Unparsable.EXTENSION_HEADER),
        (patched(ip6() / IPv6ExtHdrDestOpt() / tcp(), 41, 255), Unparsable.EXTENSION_HEADER),
        (patched(ip6() / IPv6ExtHdrDestOpt() / tcp(), 4, 0, 7), Unparsable.EXTENSION_HEADER),
        (patched(ip6() / IPv6ExtHdrFragment() / tcp(), 4, 0, 7), Unparsable.EXTENSION_HEADER),
        (bytes(ip6(nh=0)), Unparsable.EXTENSION_HEADER),
        (bytes(ip6(nh=44)), Unparsable.EXTENSION_HEADER),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else value.value,
)
def test_unparsable(payload: bytes, reason: Unparsable) -> None:
    """What cannot be read is named by the header that cannot."""
    assert parse_packet(payload) is reason


def test_reserved_bits_of_a_fragment_header_do_not_count() -> None:
    """Byte 1 is no length and two bits mean nothing: an atomic fragment stays whole."""
    packet = ip6() / IPv6ExtHdrFragment(res1=255, res2=3) / udp()
    assert parse_packet(bytes(packet)) == expected(6, 17, UDP_PORTS)


def test_a_chain_of_headers_ends_with_the_bytes() -> None:
    """A chain that goes on past the copy range is unparsable, whatever the packet claims."""
    chain = (b"\x3c\x00" + bytes(6)) * 27
    payload = struct.pack("!IHBB", 0x60000000, 1400, 60, 64) + bytes(32) + chain
    assert len(payload) == 256
    assert parse_packet(payload) is Unparsable.EXTENSION_HEADER


EMPTY = (1, Unparsable.EMPTY)  # up to one byte short of this length, for this reason
V4_CUT, V6_CUT = (20, Unparsable.IP_HEADER), (40, Unparsable.IP_HEADER)


@pytest.mark.parametrize(
    ("packet", "cuts"),
    [
        (ip4() / tcp() / Raw(bytes(300)), [EMPTY, V4_CUT, (40, Unparsable.TRANSPORT_HEADER)]),
        (
            ip4(options=[IPOption_NOP()] * 8) / tcp(options=[("MSS", 1460)]),
            [EMPTY, (28, Unparsable.IP_HEADER), (48, Unparsable.TRANSPORT_HEADER)],
        ),
        (ip4() / udp() / Raw(b"x"), [EMPTY, V4_CUT, (28, Unparsable.TRANSPORT_HEADER)]),
        (ip4() / ICMP() / Raw(b"x"), [EMPTY, V4_CUT, (28, Unparsable.TRANSPORT_HEADER)]),
        (ip4(proto=47) / Raw(b"xyz"), [EMPTY, V4_CUT]),
        (ip6() / tcp() / Raw(bytes(300)), [EMPTY, V6_CUT, (60, Unparsable.TRANSPORT_HEADER)]),
        (ip6() / udp(), [EMPTY, V6_CUT, (48, Unparsable.TRANSPORT_HEADER)]),
        (ip6() / ICMPv6EchoRequest(), [EMPTY, V6_CUT, (48, Unparsable.TRANSPORT_HEADER)]),
        (ip6(nh=50) / Raw(bytes(8)), [EMPTY, V6_CUT]),
        (
            ip6() / HOP_ROUTING_DESTINATION / IPv6ExtHdrFragment() / udp(),
            [
                EMPTY,
                V6_CUT,
                (72, Unparsable.EXTENSION_HEADER),
                (80, Unparsable.TRANSPORT_HEADER),
            ],
        ),
    ],
    ids=lambda value: value.summary() if hasattr(value, "summary") else "",
)
def test_every_truncation(packet: Any, cuts: list[tuple[int, Unparsable]]) -> None:
    """The copy range may cut anywhere: a reason up to the last byte needed, the header after."""
    whole = bytes(packet)
    header = parse_packet(whole)
    assert isinstance(header, PacketHeader)
    for length in range(len(whole) + 1):
        reasons = [reason for enough, reason in cuts if length < enough]
        assert parse_packet(whole[:length]) == (reasons[0] if reasons else header), length


def test_bytes_after_the_packet_are_not_its_own() -> None:
    """Link padding never stands in for a transport header."""
    assert parse_packet(bytes(ip4() / udp()) + bytes(18)) == expected(4, 17, UDP_PORTS)
    short = bytes(ip4(proto=17) / Raw(bytes(7)))
    assert parse_packet(short + bytes(11)) is Unparsable.TRANSPORT_HEADER


PORTS = st.integers(0, 65535)
TRANSPORTS = st.one_of(
    st.builds(
        lambda sport, dport, flags, options: TCP(
            sport=sport, dport=dport, flags=flags, options=[("NOP", None)] * options
        ),
        PORTS,
        PORTS,
        st.integers(0, 255),
        st.integers(0, 40),
    ),
    st.builds(lambda sport, dport: UDP(sport=sport, dport=dport), PORTS, PORTS),
)
EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)


@st.composite
def valid_packets(draw: st.DrawFn) -> bytes:
    """Whole packets of both families, with and without options and extension headers."""
    packet: Any
    if draw(st.booleans()):
        packet = IP(
            src=str(draw(st.ip_addresses(v=4))),
            dst=str(draw(st.ip_addresses(v=4))),
            options=[IPOption_NOP()] * draw(st.integers(0, 40)),
        )
        echo = ICMP()
    else:
        packet = IPv6(src=str(draw(st.ip_addresses(v=6))), dst=str(draw(st.ip_addresses(v=6))))
        for extension in draw(st.lists(st.sampled_from(EXTENSIONS), max_size=4)):
            packet /= extension()
        echo = ICMPv6EchoRequest()
    packet /= draw(st.one_of(TRANSPORTS, st.just(echo)))
    return bytes(packet / Raw(draw(st.binary(max_size=16))))


def dissect(payload: bytes) -> PacketHeader:
    """What scapy reads in a valid packet."""
    layer: Any = IP(payload) if payload[0] >> 4 == 4 else IPv6(payload)
    source, destination = int(ip_address(layer.src)), int(ip_address(layer.dst))
    version, protocol = layer.version, 0
    while type(layer) in (IP, IPv6, *EXTENSIONS):
        protocol = layer.proto if version == 4 else layer.nh
        layer = layer.payload
    is_tcp = protocol == 6
    source_port, destination_port = (layer.sport, layer.dport) if protocol in (6, 17) else (0, 0)
    opens = is_tcp and layer.flags.S and not (layer.flags.A or layer.flags.R or layer.flags.F)
    is_midstream = is_tcp and not opens
    return PacketHeader(
        version, protocol, source, destination, source_port, destination_port, is_midstream
    )


@given(valid_packets())
def test_agrees_with_scapy(payload: bytes) -> None:
    """Both readers tell the same of every valid packet."""
    assert parse_packet(payload) == dissect(payload)


@st.composite
def mutated_packets(draw: st.DrawFn) -> bytes:
    """Valid packets with some bytes changed, most of them in the headers."""
    data = bytearray(draw(valid_packets()))
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(st.one_of(st.binary(max_size=300), mutated_packets()), st.integers(0, 300))
def test_any_bytes(payload: bytes, cut: int) -> None:
    """Never raises; and what a cut packet still tells is what the whole one tells."""
    whole = parse_packet(payload)
    assert isinstance(whole, PacketHeader | Unparsable)
    cut_short = parse_packet(payload[:cut])
    assert isinstance(cut_short, Unparsable) or cut_short == whole


@given(mutated_packets(), st.binary(min_size=1, max_size=64))
def test_what_follows_the_packet_changes_nothing(payload: bytes, padding: bytes) -> None:
    """Bytes past the packet's own length are not looked at."""
    position, header = (2, 0) if payload[0] >> 4 == 4 else (4, 40)
    own_length = header + int.from_bytes(payload[position : position + 2], "big")
    if own_length <= len(payload):
        ended = payload[:own_length]
        assert len(ended) < 6 or parse_packet(ended) == parse_packet(ended + padding)
