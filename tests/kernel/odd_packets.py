"""Packets that no honest host sends, by name: broken headers, fragments that do not fit, lies.

All go from the internet to the server and ask, where they still ask for anything, for port 53 of
UDP or 80 of TCP, which are allowed: what keeps them out is what is wrong with them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.packet import Packet, Raw

from tests.kernel.documents import INTERNET_V4, INTERNET_V6, nic_addresses
from tests.kernel.network import internet_checksum

SERVER_V4, SERVER_V6 = nic_addresses(1, 4)
ALLOWED_UDP, ALLOWED_TCP = 53, 80
_ICMPV6, _UDP = 58, 17
_FILL = b"ODD-PACKET" * 8

# What becomes of a packet on its way, and who counts it.
HEADER = (
    "header"  # the kernel's IP drops it ahead of every rule, and counts it in its own statistics
)
HELD = "held"  # the kernel drops it or waits for what is missing, and nsgd sees nothing of it
INVALID, SPOOFED = "invalid", "spoofed"  # nsgd counts it so among the denied
EXTENSION = "extension-header"  # nsgd counts it so among the unparsable


class Case(NamedTuple):
    """What is sent, in this order, in frames of which version, and what becomes of it."""

    name: str
    outcome: str
    version: int
    packets: list[bytes]


class _Ports:
    """A source port for each flow: one that has been decided must not let another pass."""

    def __init__(self) -> None:
        self._last = 2000

    def __call__(self) -> int:
        self._last += 1
        return self._last


port = _Ports()


def four(**fields: object) -> Packet:
    return IP(src=INTERNET_V4, dst=SERVER_V4, **fields)


def six(**fields: object) -> Packet:
    return IPv6(src=INTERNET_V6, dst=SERVER_V6, **fields)


def _patched(packet: bytes, at: int, new: bytes, *, keep_checksum: bool = False) -> bytes:
    """Other bytes in an IPv4 packet, whose checksum is right afterwards unless told otherwise."""
    made = bytearray(packet)
    made[at : at + len(new)] = new
    if not keep_checksum:
        length = max((made[0] & 15) * 4, 20)
        made[10:12] = b"\0\0"
        if length <= len(made):
            made[10:12] = struct.pack("!H", internet_checksum(bytes(made[:length])))
    return bytes(made)


def _udp4(to: int = ALLOWED_UDP) -> bytes:
    return bytes(four() / UDP(sport=port(), dport=to) / Raw(_FILL))


def _tcp4() -> bytes:
    return bytes(four() / TCP(sport=port(), dport=ALLOWED_TCP, flags="S"))


def _cut4(packet: bytes, length: int) -> bytes:
    """Cut short, with a total length that says so."""
    return _patched(packet[:length], 2, struct.pack("!H", length))


def piece4(data: bytes, offset: int, more: bool, number: int, protocol: int = _UDP) -> bytes:
    """A fragment of IPv4; *offset* in bytes."""
    return bytes(
        four(id=number, frag=offset // 8, flags="MF" if more else 0, proto=protocol) / Raw(data)
    )


def piece6(data: bytes, offset: int, more: bool, number: int, header: int = _UDP) -> bytes:
    """A fragment of IPv6; *offset* in bytes."""
    fragment = IPv6ExtHdrFragment(id=number, offset=offset // 8, m=int(more), nh=header)
    return bytes(six() / fragment / Raw(data))


def datagram(version: int, to: int, size: int = 80) -> bytes:
    """UDP with a checksum that is right."""
    header = four() if version == 4 else six()
    whole = bytes(header / UDP(sport=port(), dport=to) / Raw((_FILL * 8)[:size]))
    return whole[20 if version == 4 else 40 :]


def ipv4() -> Iterator[Case]:
    """Of IPv4."""
    for length in (0, 4):
        yield Case(f"IHL {length}", HEADER, 4, [_patched(_udp4(), 0, bytes([0x40 | length]))])
    yield Case("IHL beyond the end", HEADER, 4, [_cut4(_patched(_udp4(), 0, b"\x4f"), 40)])
    yield Case("options cut short", HEADER, 4, [_cut4(_patched(_udp4(), 0, b"\x46\x00"), 22)])
    for nibble in (0, 5, 6, 15):
        packet = _patched(_udp4(), 0, bytes([nibble << 4 | 5]))
        yield Case(f"version {nibble} in a frame of IPv4", HEADER, 4, [packet])
    yield Case("a header cut short", HEADER, 4, [_udp4()[:12]])
    yield Case("nothing but a first byte", HEADER, 4, [_udp4()[:1]])
    for name, length in (("below the header's", 16), ("beyond the bytes", 200)):
        packet = _patched(_udp4(), 2, struct.pack("!H", length))
        yield Case(f"total length {name}", HEADER, 4, [packet])
    packet = _patched(_udp4(), 10, b"\x12\x34", keep_checksum=True)
    yield Case("a wrong header checksum", HEADER, 4, [packet])
    yield Case("TCP cut short", INVALID, 4, [_cut4(_tcp4(), 30)])
    for name, offset in (("4", b"\x40"), ("beyond the end", b"\xf0")):
        yield Case(f"TCP data offset {name}", INVALID, 4, [_patched(_tcp4(), 32, offset)])
    yield Case("UDP cut short", INVALID, 4, [_cut4(_udp4(), 24)])
    for length in (0, 7, 8 + len(_FILL) + 40):
        packet = _patched(_udp4(), 24, struct.pack("!HH", length, 0))
        yield Case(f"UDP length {length}", INVALID, 4, [packet])
    yield Case("UDP with a wrong checksum", INVALID, 4, [_patched(_udp4(), 26, b"\x12\x34")])
    echo = bytes(four() / ICMP() / Raw(_FILL))
    yield Case("ICMP cut short", INVALID, 4, [_cut4(echo, 24)])
    for name, outcome, option in (
        ("a source route", HELD, b"\x83\x07\x04\x0a\x00\x01\x05\x00"),
        ("an option of length 0", HEADER, b"\x07\x00\x00\x00"),
    ):
        packet = bytes(four(options=[IPOption(option)]) / UDP(sport=port(), dport=53) / Raw(_FILL))
        yield Case(name, outcome, 4, [packet])
    for source, outcome in (
        ("127.0.0.1", HELD),
        ("224.0.0.1", HELD),
        ("255.255.255.255", HELD),
        (SERVER_V4, SPOOFED),
    ):
        packet = bytes(IP(src=source, dst=SERVER_V4) / UDP(sport=port(), dport=53) / Raw(_FILL))
        yield Case(f"from {source}", outcome, 4, [packet])


def ipv4_fragments() -> Iterator[Case]:
    """Of IPv4: what does not make a whole."""
    whole = datagram(4, ALLOWED_UDP)
    for number, (name, packets) in enumerate(
        (
            ("a first fragment alone", [(0, 32, True)]),
            ("a last fragment alone", [(32, 88, False)]),
            ("a middle fragment alone", [(32, 64, True)]),
            ("overlapping fragments", [(0, 48, True), (32, 88, False)]),
            ("two different ends", [(32, 48, False), (32, 88, False), (0, 32, True)]),
            ("fragments of no multiple of 8", [(0, 31, True), (32, 88, False)]),
            ("an empty fragment", [(32, 32, True), (0, 32, True)]),
        )
    ):
        pieces = [piece4(whole[at:end], at, more, 100 + number) for at, end, more in packets]
        yield Case(name, HELD, 4, pieces)
    pieces = [piece4(whole[:32], 0, True, 99), piece4(whole * 3, 65528, False, 99)]
    yield Case("a fragment beyond 65535 bytes", HELD, 4, pieces)


def ipv6() -> Iterator[Case]:
    """Of IPv6."""

    def udp() -> bytes:
        return bytes(six() / UDP(sport=port(), dport=ALLOWED_UDP) / Raw(_FILL))

    yield Case("IPv6: a header cut short", HEADER, 6, [udp()[:24]])
    for nibble in (0, 4, 5, 7):
        packet = bytes([nibble << 4]) + udp()[1:]
        yield Case(f"version {nibble} in a frame of IPv6", HEADER, 6, [packet])
    for name, outcome, length in (("beyond the bytes", HEADER, 200), ("0", INVALID, 0)):
        packet = udp()[:4] + struct.pack("!H", length) + udp()[6:]
        yield Case(f"IPv6: payload length {name}", outcome, 6, [packet])
    for name, protocol, content in (
        ("TCP", 6, b"\x04\x57\x00\x50" + bytes(8)),
        ("UDP", _UDP, b"\x04\x57\x00\x35"),
        ("ICMP", _ICMPV6, b"\x80\x00\x00\x00"),
    ):
        packet = bytes(six(nh=protocol) / Raw(content))
        yield Case(f"IPv6: {name} cut short", INVALID, 6, [packet])
    for length in (0, 7, 8 + len(_FILL) + 40):
        packet = udp()[:44] + struct.pack("!H", length) + udp()[46:]
        yield Case(f"IPv6: UDP length {length}", INVALID, 6, [packet])
    for source, outcome in (
        ("::1", HEADER),
        ("ff02::1", HEADER),
        ("::", HEADER),
        (SERVER_V6, SPOOFED),
    ):
        packet = bytes(IPv6(src=source, dst=SERVER_V6) / UDP(sport=port(), dport=53) / Raw(_FILL))
        yield Case(f"from {source}", outcome, 6, [packet])


def ipv6_extensions() -> Iterator[Case]:
    """Of IPv6: chains of headers that end nowhere."""
    udp = UDP(sport=port(), dport=ALLOWED_UDP) / Raw(_FILL)
    filler = bytes(6)
    for name, outcome, first, content in (
        ("hop-by-hop options beyond the end", HEADER, 0, b"\x11\xff" + filler + bytes(udp)),
        ("destination options beyond the end", INVALID, 60, b"\x11\xff" + filler + bytes(udp)),
        ("half an extension header", INVALID, 60, b"\x11\x00"),
        ("headers without an end", INVALID, 60, b"\x3c\x00" + filler),
        ("no next header, and bytes", INVALID, 59, b"\x11" + filler + bytes(udp)),
    ):
        yield Case(name, outcome, 6, [bytes(six(nh=first) / Raw(content))])
    # Behind them is a port that is allowed: what is not read is not believed.
    chain = (b"\x3c\x00" + filler) * 40 + b"\x11\x00" + filler
    yield Case("more headers than are read", EXTENSION, 6, [bytes(six(nh=60) / Raw(chain) / udp)])


def ipv6_fragments() -> Iterator[Case]:
    """Of IPv6: what does not make a whole."""
    whole = datagram(6, ALLOWED_UDP)
    for number, (name, outcome, packets) in enumerate(
        (
            ("a first fragment alone", HELD, [(0, 32, True)]),
            ("a last fragment alone", HELD, [(32, 88, False)]),
            ("overlapping fragments", HELD, [(0, 48, True), (32, 88, False)]),
            ("two different ends", INVALID, [(32, 48, False), (32, 88, False), (0, 32, True)]),
            ("fragments of no multiple of 8", INVALID, [(0, 31, True)]),
        )
    ):
        pieces = [piece6(whole[at:end], at, more, 100 + number) for at, end, more in packets]
        yield Case(f"IPv6: {name}", outcome, 6, pieces)
    yield Case("IPv6: beyond 65535 bytes", HELD, 6, [piece6(whole * 4, 65528, False, 98)])
    pieces = [
        # Destination options alone; the port comes with the second (RFC 7112).
        piece6(b"\x11\x00" + bytes(6), 0, True, 97, 60),
        piece6(whole, 8, False, 97, 60),
    ]
    yield Case("IPv6: a first fragment without the header it needs", INVALID, 6, pieces)
    packet = bytes(
        six()
        / IPv6ExtHdrFragment(id=96, offset=0, m=0)
        / IPv6ExtHdrFragment(id=95, offset=2, m=1)
        / UDP(sport=port(), dport=ALLOWED_UDP)
        / Raw(_FILL)
    )
    yield Case("IPv6: a fragment within a fragment", INVALID, 6, [packet])
    echo = bytes(six() / ICMPv6EchoRequest(data=_FILL))[40:]
    pieces = [
        piece6(echo[:48], 0, True, 94, _ICMPV6),
        piece6(echo[40:], 40, False, 94, _ICMPV6),
    ]
    yield Case("IPv6: overlapping echo requests", HELD, 6, pieces)


def malformed() -> list[Case]:
    """Everything that is wrong in itself, with names that are there once."""
    makers = (ipv4, ipv4_fragments, ipv6, ipv6_extensions, ipv6_fragments)
    cases = [case for make in makers for case in make()]
    assert len({case.name for case in cases}) == len(cases)
    return cases


def tricks(to: int) -> Iterator[tuple[str, int, list[bytes]]]:
    """Ways to hide a port of UDP, all of which are well formed or reassembled, by name and version.

    The real port is *to*; where a packet shows another one, it is the allowed one.
    """
    for version, piece in ((4, piece4), (6, piece6)):
        of = f"IPv{version}: "
        base = 1000 * version
        data = datagram(version, to)
        shown = datagram(version, ALLOWED_UDP)
        yield (
            f"{of}a first fragment of 8 bytes",
            version,
            [piece(data[:8], 0, True, base + 1), piece(data[8:], 8, False, base + 1)],
        )
        yield (
            f"{of}fragments backwards",
            version,
            [
                piece(data[start : start + 8], start, start + 8 < len(data), base + 2)
                for start in reversed(range(0, len(data), 8))
            ],
        )
        yield (
            f"{of}an allowed port, and another one over it",
            version,
            [
                piece(shown[:32], 0, True, base + 3),
                piece(data[:32], 0, True, base + 3),
                piece(data[32:], 32, False, base + 3),
            ],
        )
        yield (
            f"{of}another port first, and an allowed one over it",
            version,
            [
                piece(data[:32], 0, True, base + 4),
                piece(shown[:32], 0, True, base + 4),
                piece(shown[32:], 32, False, base + 4),
            ],
        )
        yield (
            f"{of}the last 4 bytes of the header over again",
            version,
            [
                piece(shown[:16], 0, True, base + 5),
                piece(data[8:], 8, False, base + 5),
                piece(data[:8], 0, True, base + 5),
            ],
        )
        yield (
            f"{of}an empty datagram",
            version,
            [bytes((four() if version == 4 else six()) / UDP(sport=port(), dport=to))],
        )
    yield (
        "IPv4: options",
        4,
        [bytes(four(options=[IPOption(b"\x01" * 40)]) / UDP(sport=port(), dport=to) / Raw(_FILL))],
    )
    yield (
        "IPv4: from a class of the future",
        4,
        [bytes(IP(src="240.0.0.1", dst=SERVER_V4) / UDP(sport=port(), dport=to) / Raw(_FILL))],
    )
    for name, headers in (
        ("an atomic fragment", IPv6ExtHdrFragment(id=1)),
        ("hop-by-hop options", IPv6ExtHdrHopByHop()),
        ("hop-by-hop options after others", IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop()),
        ("destination options twice", IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()),
        (
            "a routing header of type 0 to itself",
            IPv6ExtHdrRouting(type=0, segleft=1, addresses=[SERVER_V6]),
        ),
        ("a routing header that is done", IPv6ExtHdrRouting(type=2, segleft=0)),
        ("options behind an atomic fragment", IPv6ExtHdrFragment(id=2) / IPv6ExtHdrDestOpt()),
        ("ten headers", _chain(10)),
        ("thirty headers", _chain(30)),
    ):
        packet = bytes(six() / headers / UDP(sport=port(), dport=to) / Raw(_FILL))
        yield f"IPv6: {name}", 6, [packet]
    packet = bytes(six() / UDP(sport=port(), dport=to) / Raw(_FILL))
    yield "IPv6: without a checksum", 6, [packet[:46] + b"\0\0" + packet[48:]]


def _chain(count: int) -> Packet:
    headers = IPv6ExtHdrDestOpt()
    for _ in range(count - 1):
        headers = headers / IPv6ExtHdrDestOpt()
    return headers
