"""A question's words: what is taken, and that the first thing wrong is named with its way out."""

from __future__ import annotations

import pytest

from nsgd.answers.question import EVERY_PORT, split_endpoint
from nsgd.answers.refused import QuestionRefused
from nsgd.model.packet import ICMP, ICMPV6
from nsgd.model.rule import Direction

from .policies import ask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.4:80", ("10.0.0.4", "80")),
        ("10.0.0.4:*", ("10.0.0.4", "*")),
        ("10.0.0.4", ("10.0.0.4", None)),
        ("[fd00::4]:80", ("fd00::4", "80")),
        ("[fd00::4]", ("fd00::4", None)),
        ("fd00::4", ("fd00::4", None)),
    ],
)
def test_endpoints(text: str, expected: tuple[str, str | None]) -> None:
    """An address with a port or without, IPv6 in brackets where a port follows."""
    assert split_endpoint("--local", text) == expected


def test_a_question() -> None:
    """Words compare without case; the packet runs as the direction says."""
    question = ask("outbound", "tcp", "10.0.0.4:*", "8.8.8.8:443")
    assert question.direction is Direction.OUTBOUND
    assert question.source_port is EVERY_PORT
    packet = question.packet(60000)
    assert (packet.source_port, packet.destination_port) == (60000, 443)
    assert packet.source == int.from_bytes(bytes([10, 0, 0, 4]))
    inbound = ask("INBOUND", "Udp", "10.0.0.4:53", "8.8.8.8:99").packet(99)
    assert inbound.destination == packet.source
    assert (inbound.source_port, inbound.destination_port) == (99, 53)


@pytest.mark.parametrize(
    ("protocol", "local", "remote", "number"),
    [
        ("Icmp", "10.0.0.4", "8.8.8.8", ICMP),
        ("ICMP", "fd00::4", "fd00::5", ICMPV6),
        ("icmp", "10.0.0.4:*", "8.8.8.8:*", ICMP),
        ("47", "10.0.0.4", "8.8.8.8", 47),
        ("58", "10.0.0.4", "8.8.8.8", ICMPV6),
        ("1", "fd00::4", "fd00::5", ICMP),
        ("17", "10.0.0.4:5", "8.8.8.8:6", 17),
        ("Ah", "10.0.0.4", "8.8.8.8", 51),
    ],
)
def test_protocols(protocol: str, local: str, remote: str, number: int) -> None:
    """Names, and numbers for what has no name; ICMP is the family's own."""
    question = ask("Inbound", protocol, local, remote)
    assert question.protocol == number
    assert ask("Inbound", question.protocol_name, local, remote) == question


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("In", "TCP", "10.0.0.4:1", "8.8.8.8:1"), "direction: 'In' is neither Inbound nor"),
        (("Inbound", "GRE", "10.0.0.4", "8.8.8.8"), "protocol: 'GRE' is none of TCP"),
        (("Inbound", "256", "10.0.0.4", "8.8.8.8"), "protocol: '256' is none of TCP"),
        (("Inbound", "*", "10.0.0.4", "8.8.8.8"), "protocol: '*' is none of TCP"),
        (("Inbound", "TCP", "10.0.0:1", "8.8.8.8:1"), "local: '10.0.0' is no IP address"),
        (("Inbound", "TCP", "10.0.0.0/24:1", "8.8.8.8:1"), "is no IP address"),
        (("Inbound", "TCP", "fd00::4:80:x", "8.8.8.8:1"), "write IPv6 as [ADDRESS]:PORT"),
        (("Inbound", "TCP", "10.0.0.4:1", "fd00::1"), "are of two families"),
        (("Inbound", "TCP", "10.0.0.4:65536", "8.8.8.8:1"), "local port: '65536' is not within"),
        (("Inbound", "TCP", "10.0.0.4:-1", "8.8.8.8:1"), "local port: '-1' is not within"),
        (("Inbound", "TCP", "10.0.0.4:1-2", "8.8.8.8:1"), "local port: '1-2' is not within"),
        (("Inbound", "TCP", "10.0.0.4", "8.8.8.8:1"), "local port: missing"),
        (("Inbound", "TCP", "10.0.0.4:", "8.8.8.8:1"), "local port: missing"),
        (("Inbound", "TCP", "10.0.0.4:*", "8.8.8.8:1"), "local port: '*' is for the port of the"),
        (("Outbound", "TCP", "10.0.0.4:1", "8.8.8.8:*"), "remote port: '*' is for the port of"),
        (("Inbound", "ICMP", "10.0.0.4:1", "8.8.8.8"), "local port: only TCP and UDP have ports"),
    ],
)
def test_refused_words(words: tuple[str, str, str, str], message: str) -> None:
    """Each is refused with what is wrong."""
    with pytest.raises(QuestionRefused) as caught:
        ask(*words)
    assert message in str(caught.value)
