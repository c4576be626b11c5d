"""Addresses, prefixes and ports as values.

An address is an IP version and an integer: ranges then compare and bisect
without an object for each address, which the packet path depends on.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nsgd.model.spelling import ipv4_value

IPVersion = Literal[4, 6]
IP_VERSIONS: tuple[IPVersion, IPVersion] = (4, 6)
ADDRESS_BITS: dict[IPVersion, int] = {4: 32, 6: 128}
_LENGTHS = {str(length): length for length in range(33)}


class Address(NamedTuple):
    """One IPv4 or IPv6 address; *value* is the address as an unsigned integer."""

    version: IPVersion
    value: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address. Raises ValueError for anything else, zone ids included."""
        value = ipv4_value(text)  # a sixth of the time
        if value is not None:
            return cls(4, value)
        parsed = ipaddress.ip_address(text)
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
            raise ValueError(f"{text!r} has a zone id")
        return cls(4 if parsed.version == 4 else 6, int(parsed))

    def __str__(self) -> str:
        if self.version == 4:
            return str(ipaddress.IPv4Address(self.value))
        return str(ipaddress.IPv6Address(self.value))


@dataclass(frozen=True, slots=True, order=True)
class Prefix:
    """Addresses whose first *length* bits equal those of *network*; no host bits are set."""

    version: IPVersion
    network: int
    length: int

    def __post_init__(self) -> None:
        bits, length, network = ADDRESS_BITS[self.version], self.length, self.network
        if not 0 <= length <= bits:
            raise ValueError(f"prefix length {length} is outside 0-{bits}")
        if not 0 <= network < 1 << bits or network & (1 << bits - length) - 1:
            raise ValueError("host bits are set in the prefix")

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """Read an address or a CIDR block. Raises ValueError, also where host bits are set."""
        address_text, slash, length_text = text.partition("/")
        value = ipv4_value(address_text)
        if value is not None:
            length = _LENGTHS.get(length_text) if slash else 32
            if length is not None:
                return cls(4, value, length)
        if not slash:
            address = Address.parse(text)
            return cls(address.version, address.value, ADDRESS_BITS[address.version])
        # ipaddress would also read 10.0.0.0/255.0.0.0, which Azure does not.
        if not (length_text.isascii() and length_text.isdigit()):
            raise ValueError(f"{text!r} has no prefix length")
        address = Address.parse(address_text)
        return cls(address.version, address.value, int(length_text))

    @property
    def _host_bits(self) -> int:
        return ADDRESS_BITS[self.version] - self.length

    @property
    def first(self) -> int:
        """Lowest address, as an integer."""
        return self.network

    @property
    def last(self) -> int:
        """Highest address, as an integer."""
        return self.network | (1 << ADDRESS_BITS[self.version] - self.length) - 1

    def contains(self, address: Address) -> bool:
        """Tell whether *address* is of this version and inside."""
        # What differs is in the bits of the host.
        differing = address.value ^ self.network
        return address.version == self.version and not differing >> self._host_bits

    def covers(self, other: Prefix) -> bool:
        """Tell whether every address of *other* is inside."""
        differing = other.network ^ self.network
        return (
            other.version == self.version
            and other.length >= self.length
            and not differing >> self._host_bits
        )

    def overlaps(self, other: Prefix) -> bool:
        """Tell whether some address is in both."""
        return self.covers(other) or other.covers(self)

    def __str__(self) -> str:
        return f"{Address(self.version, self.network)}/{self.length}"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports *first* to *last*, both included, 0-65535."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= 65535:
            raise ValueError(f"not a port range: {self.first}-{self.last}")

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


ALL_PORTS = PortRange(0, 65535)
