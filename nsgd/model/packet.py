"""What a decision needs to know of a packet, and why some packets have none."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from nsgd.model.address import IPVersion

TCP = 6
UDP = 17
ICMP = 1
ICMPV6 = 58
ESP = 50
AH = 51


class PacketHeader(NamedTuple):
    """The fields that rules look at, in host byte order.

    Addresses are unsigned integers of *version*; they are those after destination
    translation and before source translation.
    """

    version: IPVersion
    protocol: int  # IANA protocol number of the first header that is not an extension
    source: int
    destination: int
    source_port: int  # 0 unless protocol is TCP or UDP
    destination_port: int  # 0 unless protocol is TCP or UDP
    is_midstream: bool  # a TCP segment that does not open a connection (not SYN alone)

    def reversed(self) -> PacketHeader:
        """The same flow seen from its other direction."""
        return PacketHeader(
            self.version,
            self.protocol,
            self.destination,
            self.source,
            self.destination_port,
            self.source_port,
            self.is_midstream,
        )


class Unparsable(Enum):
    """Why a packet could not be read; such a packet is denied and counted."""

    EMPTY = "empty"
    VERSION = "ip-version"
    IP_HEADER = "ip-header"
    EXTENSION_HEADER = "extension-header"
    FRAGMENT = "fragment"
    TRANSPORT_HEADER = "transport-header"
