"""One question about a flow, read from the words that ``az network watcher test-ip-flow`` takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nsgd.answers.refused import QuestionRefused
from nsgd.config.wording import show
from nsgd.model.address import Address, IPVersion
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Direction

WITH_PORTS = (TCP, UDP)
EVERY_PORT = None  # '*': the answer must be the same for all of them

_DIRECTIONS = {direction.value.lower(): direction for direction in Direction}
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "esp": ESP, "ah": AH}
_NAMES = {number: name.upper() for name, number in _PROTOCOLS.items() if number != ICMP}
_NUMBER = re.compile(r"[0-9]{1,5}")
_ENDPOINT = re.compile(r"\[(?P<v6>[^\]]*)\](?::(?P<port6>.*))?|(?P<v4>[^:]*)(?::(?P<port4>[^:]*))?")


@dataclass(frozen=True, slots=True)
class FlowQuestion:
    """The first packet of a flow, seen from the local resource.

    The port of the flow's source (the local one outbound, the remote one inbound) may be
    EVERY_PORT. Both are 0 unless the protocol is TCP or UDP.
    """

    direction: Direction
    protocol: int  # IANA protocol number
    local: Address
    local_port: int | None
    remote: Address
    remote_port: int | None

    @property
    def source_port(self) -> int | None:
        """The port of the flow's source, or EVERY_PORT."""
        is_outbound = self.direction is Direction.OUTBOUND
        return self.local_port if is_outbound else self.remote_port

    @property
    def protocol_name(self) -> str:
        """The protocol as a question spells it: read again, it is this one."""
        # The other family's ICMP has no name here.
        if self.protocol == (ICMP if self.local.version == 4 else ICMPV6):
            return "ICMP"
        return _NAMES.get(self.protocol, str(self.protocol))

    def packet(self, source_port: int) -> PacketHeader:
        """The flow's first packet, from a port of its source."""
        if self.direction is Direction.OUTBOUND:
            source, destination, port = self.local, self.remote, self.remote_port
        else:
            source, destination, port = self.remote, self.local, self.local_port
        assert port is not None
        return PacketHeader(
            source.version,
            self.protocol,
            source.value,
            destination.value,
            source_port,
            port,
            is_midstream=False,
        )


def read_question(
    direction: str,
    protocol: str,
    local: str,
    local_port: str | None,
    remote: str,
    remote_port: str | None,
) -> FlowQuestion:
    """Check the words of a question.

    Args:
        direction: Inbound or Outbound, in any case.
        protocol: A rule's protocol, in any case, or an IANA protocol number.
        local: An address.
        local_port: A number, ``*`` where it is the source's, or None without ports.
        remote: An address of the same family.
        remote_port: As *local_port*.

    Raises:
        QuestionRefused: The first thing that is wrong.
    """
    seen_from = _DIRECTIONS.get(direction.lower())
    if seen_from is None:
        raise QuestionRefused(f"direction: {show(direction)} is neither Inbound nor Outbound")
    local_address, remote_address = read_address("local", local), read_address("remote", remote)
    if local_address.version != remote_address.version:
        raise QuestionRefused(
            f"{local_address} and {remote_address} are of two families; a flow has one"
        )
    number = read_protocol(protocol, local_address.version)
    is_outbound = seen_from is Direction.OUTBOUND
    return FlowQuestion(
        seen_from,
        number,
        local_address,
        read_port("local", local_port, number, is_source=is_outbound),
        remote_address,
        read_port("remote", remote_port, number, is_source=not is_outbound),
    )


def read_address(side: str, text: str) -> Address:
    """One address. Raises QuestionRefused."""
    try:
        return Address.parse(text)
    except ValueError:
        raise QuestionRefused(f"{side}: {show(text)} is no IP address") from None


def read_protocol(text: str, version: IPVersion) -> int:
    """The protocol's number in a family. Raises QuestionRefused."""
    number = _PROTOCOLS.get(text.lower())
    if number is None and _NUMBER.fullmatch(text) and int(text) <= 255:
        number = int(text)
    if number is None:
        raise QuestionRefused(
            f"protocol: {show(text)} is none of TCP, UDP, ICMP, ESP, AH and the numbers 0-255"
        )
    is_icmp = text.lower() == "icmp"
    return ICMPV6 if is_icmp and version == 6 else number


def read_port(side: str, text: str | None, protocol: int, *, is_source: bool) -> int | None:
    """One port, EVERY_PORT, or 0 for a protocol without ports. Raises QuestionRefused."""
    if protocol not in WITH_PORTS:
        if text not in (None, "", "*"):
            raise QuestionRefused(f"{side} port: only TCP and UDP have ports; leave it out")
        return 0
    if text == "*":
        if not is_source:
            raise QuestionRefused(
                f"{side} port: '*' is for the port of the flow's source (the remote one inbound,"
                " the local one outbound); name a port"
            )
        return EVERY_PORT
    if not text:
        raise QuestionRefused(f"{side} port: missing; TCP and UDP need ADDRESS:PORT")
    if not _NUMBER.fullmatch(text) or int(text) > 65535:
        raise QuestionRefused(f"{side} port: {show(text)} is not within 0-65535")
    return int(text)


def split_endpoint(side: str, text: str) -> tuple[str, str | None]:
    """Split ``10.0.0.4:80``, ``[fd00::4]:80``, ``10.0.0.4:*`` or an address without a port.

    Raises:
        QuestionRefused: It is none of these.
    """
    match = _ENDPOINT.fullmatch(text)
    if match is not None:
        if match["v6"] is not None:
            return match["v6"], match["port6"]
        return match["v4"], match["port4"]
    try:
        Address.parse(text)  # an IPv6 address without a port
    except ValueError:
        raise QuestionRefused(
            f"{side}: {show(text)} is no ADDRESS:PORT; write IPv6 as [ADDRESS]:PORT"
        ) from None
    return text, None
