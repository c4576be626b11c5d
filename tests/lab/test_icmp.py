"""Echo messages are written and read right, and what is no echo of ours is passed over."""

from __future__ import annotations

import struct

import pytest

from nsgd.lab.icmp import Echo, echo_request, read_echo, read_syn

IPV4_HEADER = bytes([0x45]) + bytes(8) + bytes([1]) + bytes(10)
IPV6_HEADER = bytes([0x60]) + bytes(5) + bytes([58]) + bytes(33)
OUTER = {4: IPV4_HEADER, 6: b""}  # an IPv6 raw socket leaves the header out
INNER = {4: IPV4_HEADER, 6: IPV6_HEADER}
SYN, SYN_ACK = 0x02, 0x12


@pytest.mark.parametrize("version", [4, 6])
def test_request_is_read_back(version: int) -> None:
    """The receiving host sees identifier and payload."""
    message = OUTER[version] + echo_request(version, 4711, b"token")
    assert read_echo(version, message) == Echo("request", 4711, "token")


def test_checksum_is_that_of_the_kernel() -> None:
    """Summed over the whole message it gives all ones, for odd lengths too."""
    for payload in (b"", b"odd", b"even"):
        message = echo_request(4, 1, payload)
        padded = message + b"\0" * (len(message) % 2)
        total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


@pytest.mark.parametrize(("version", "kind"), [(4, 0), (6, 129)])
def test_reply(version: int, kind: int) -> None:
    """A reply names the request by its identifier."""
    message = struct.pack("!BBHHH", kind, 0, 0, 7, 1) + b"token"
    assert read_echo(version, OUTER[version] + message) == Echo("reply", 7, "token")


@pytest.mark.parametrize(("version", "kind"), [(4, 3), (4, 11), (6, 1), (6, 3)])
def test_error_about_a_request(version: int, kind: int) -> None:
    """The identifier is found in the packet that the error quotes."""
    error = bytes([kind, 13]) + bytes(6) + INNER[version] + echo_request(version, 7, b"token")
    assert read_echo(version, OUTER[version] + error) == Echo("error", 7, f"{kind}/13")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("length", range(60))
def test_what_is_cut_short_is_passed_over(version: int, length: int) -> None:
    """No length makes the reader fail."""
    kind = {4: 3, 6: 1}[version]
    error = bytes([kind, 13]) + bytes(6) + INNER[version] + echo_request(version, 7, b"")
    whole = OUTER[version] + error
    assert read_echo(version, whole[: min(length, len(whole) - 1)]) is None


def test_error_about_another_protocol_is_passed_over() -> None:
    """An error about a UDP packet whose port looks like an echo type is none of ours."""
    udp = bytearray(IPV4_HEADER)
    udp[9] = 17
    assert read_echo(4, IPV4_HEADER + bytes([3, 3]) + bytes(6) + udp + bytes([8] + [0] * 7)) is None


@pytest.mark.parametrize(
    ("flags", "ports"), [(SYN, (40000, 80)), (SYN_ACK, None), (0x10, None), (0x04, None)]
)
@pytest.mark.parametrize("version", [4, 6])
def test_syn(version: int, flags: int, ports: tuple[int, int] | None) -> None:
    """Only the segment that opens a connection counts as an arrival."""
    segment = struct.pack("!HHIIBBHHH", 40000, 80, 0, 0, 5 << 4, flags, 0, 0, 0)
    assert read_syn(version, OUTER[version] + segment) == ports
    assert read_syn(version, (OUTER[version] + segment)[:-8]) is None
