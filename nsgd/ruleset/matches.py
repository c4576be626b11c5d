"""What nsgd's rules can ask of a packet, each as nft text and as netlink expressions."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import IntFlag
from typing import Literal

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.policy.address_set import Range
from nsgd.wire import expressions as x

Side = Literal["source", "destination"]
_NFPROTO: dict[IPVersion, int] = {4: 2, 6: 10}
_ADDRESS_OFFSET: dict[tuple[IPVersion, Side], int] = {
    (4, "source"): 12,
    (4, "destination"): 16,
    (6, "source"): 8,
    (6, "destination"): 24,
}
_ADDRESS_BYTES: dict[IPVersion, int] = {4: 4, 6: 16}


def opposite(side: Side) -> Side:
    """The other end of a packet."""
    return "source" if side == "destination" else "destination"


class CtState(IntFlag):
    """Conntrack states, as the kernel's bits."""

    INVALID = 1
    ESTABLISHED = 2
    RELATED = 4
    NEW = 8
    UNTRACKED = 64


def address_text(version: IPVersion, side: Side) -> str:
    """An address field in nft text."""
    return f"{'ip' if version == 4 else 'ip6'} {'saddr' if side == 'source' else 'daddr'}"


def link_text(side: Side) -> str:
    """A link field in nft text."""
    return "iifname" if side == "source" else "oifname"


def load_link(side: Side) -> bytes:
    """Load the name of a link."""
    return x.meta_load(x.META_IIFNAME if side == "source" else x.META_OIFNAME)


def addresses_text(version: IPVersion, bounds: Range) -> str:
    """A range of addresses in nft text, as a prefix where it is one."""
    first, last = bounds
    size = last - first + 1
    if size & (size - 1) == 0 and first % size == 0:
        length = ADDRESS_BITS[version] - size.bit_length() + 1
        suffix = "" if size == 1 else f"/{length}"
        return f"{_one_address(version, first)}{suffix}"
    return f"{_one_address(version, first)}-{_one_address(version, last)}"


def _one_address(version: IPVersion, value: int) -> str:
    address = ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)
    return str(address)


def load_family(version: IPVersion) -> list[bytes]:
    """End the rule for packets of the other IP version."""
    return [x.meta_load(x.META_NFPROTO), x.compare(x.CMP_EQUAL, bytes([_NFPROTO[version]]))]


def load_address(version: IPVersion, side: Side, register: int = x.REGISTER) -> bytes:
    """Load an address; only behind load_family."""
    return x.network_payload(_ADDRESS_OFFSET[version, side], _ADDRESS_BYTES[version], register)


@dataclass(frozen=True, slots=True)
class MatchLink:
    """The incoming (source) or outgoing (destination) link is in a set, or is not."""

    side: Side
    set_name: str
    inverted: bool = False

    def text(self) -> str:
        operator = "!= " if self.inverted else ""
        return f"{link_text(self.side)} {operator}@{self.set_name}"

    def encode(self) -> list[bytes]:
        lookup = x.lookup(self.set_name, inverted=self.inverted)
        return [load_link(self.side), lookup]


@dataclass(frozen=True, slots=True)
class MatchAddress:
    """The source or destination address is in a set, or is not."""

    version: IPVersion
    side: Side
    set_name: str
    inverted: bool = False

    def text(self) -> str:
        operator = "!= " if self.inverted else ""
        return f"{address_text(self.version, self.side)} {operator}@{self.set_name}"

    def encode(self) -> list[bytes]:
        return [
            *load_family(self.version),
            load_address(self.version, self.side, x.REGISTER),
            x.lookup(self.set_name, inverted=self.inverted),
        ]


@dataclass(frozen=True, slots=True)
class MatchLinkAddress:
    """Link and address together are in a set of pairs, or are not."""

    version: IPVersion
    side: Side
    set_name: str
    inverted: bool = False

    def text(self) -> str:
        operator = "!= " if self.inverted else ""
        address = address_text(self.version, self.side)
        return f"{link_text(self.side)} . {address} {operator}@{self.set_name}"

    def encode(self) -> list[bytes]:
        return [
            *load_family(self.version),
            load_link(self.side),
            load_address(self.version, self.side, x.REGISTER_AFTER_LINK),
            x.lookup(self.set_name, inverted=self.inverted),
        ]


@dataclass(frozen=True, slots=True)
class MatchNoReversePath:
    """The route to the source does not use the incoming link."""

    def text(self) -> str:
        return "fib saddr . iif oif 0"

    def encode(self) -> list[bytes]:
        return [x.reverse_path_link(), x.compare(x.CMP_EQUAL, x.native32(0))]


@dataclass(frozen=True, slots=True)
class MatchCtState:
    """The packet's conntrack state is one of those given, or is not."""

    states: CtState
    inverted: bool = False

    def text(self) -> str:
        names = [s.name.lower() for s in CtState if s in self.states and s.name]
        operator = "!= " if self.inverted else ""
        return f"ct state {operator}{','.join(names)}"

    def encode(self) -> list[bytes]:
        return [
            x.ct_load(x.CT_STATE),
            x.bitwise32(int(self.states)),
            x.compare(x.CMP_EQUAL if self.inverted else x.CMP_NOT_EQUAL, x.native32(0)),
        ]


@dataclass(frozen=True, slots=True)
class MatchCtReply:
    """The packet runs in the flow's reply direction, or in its original one."""

    is_reply: bool = True

    def text(self) -> str:
        return f"ct direction {'reply' if self.is_reply else 'original'}"

    def encode(self) -> list[bytes]:
        return [x.ct_load(x.CT_DIRECTION), x.compare(x.CMP_EQUAL, bytes([self.is_reply]))]


@dataclass(frozen=True, slots=True)
class MatchMark:
    """Some bit of *mask* is set in the packet or conntrack mark, or none is."""

    where: Literal["meta", "ct"]
    mask: int
    is_set: bool = True

    def text(self) -> str:
        operator = "!=" if self.is_set else "=="
        return f"{self.where} mark & {self.mask:#010x} {operator} 0x00000000"

    def encode(self) -> list[bytes]:
        load = x.meta_load(x.META_MARK) if self.where == "meta" else x.ct_load(x.CT_MARK)
        operator = x.CMP_NOT_EQUAL if self.is_set else x.CMP_EQUAL
        return [load, x.bitwise32(self.mask), x.compare(operator, x.native32(0))]


@dataclass(frozen=True, slots=True)
class MatchProtocol:
    """The transport protocol number, behind IPv6 extension headers, is this one, or is not."""

    number: int
    inverted: bool = False

    def text(self) -> str:
        return f"meta l4proto {'!= ' if self.inverted else ''}{self.number}"

    def encode(self) -> list[bytes]:
        operator = x.CMP_NOT_EQUAL if self.inverted else x.CMP_EQUAL
        return [x.meta_load(x.META_L4PROTO), x.compare(operator, bytes([self.number]))]


@dataclass(frozen=True, slots=True)
class MatchTransportByte:
    """The first byte of the transport header: ICMP's type."""

    value: int

    def text(self) -> str:
        return f"@th,0,8 {self.value}"

    def encode(self) -> list[bytes]:
        return [x.transport_payload(0, 1), x.compare(x.CMP_EQUAL, bytes([self.value]))]


@dataclass(frozen=True, slots=True)
class MatchPorts:
    """The source or destination port of TCP or UDP is in a range."""

    side: Side
    first: int
    last: int

    def text(self) -> str:
        side = "sport" if self.side == "source" else "dport"
        return f"th {side} >= {self.first} th {side} <= {self.last}"

    def encode(self) -> list[bytes]:
        offset = 0 if self.side == "source" else 2
        return [
            x.transport_payload(offset, 2),
            x.compare(x.CMP_GREATER_OR_EQUAL, self.first.to_bytes(2, "big")),
            x.transport_payload(offset, 2),
            x.compare(x.CMP_LESS_OR_EQUAL, self.last.to_bytes(2, "big")),
        ]


@dataclass(frozen=True, slots=True)
class MatchTcpFlags:
    """In TCP, of the flags in *mask* exactly those in *flags* are set, or not so.

    FIN is 1, SYN 2, RST 4 and ACK 16.
    """

    mask: int
    flags: int
    inverted: bool = False

    def text(self) -> str:
        operator = "!=" if self.inverted else "=="
        return f"tcp flags & {self.mask:#04x} {operator} {self.flags:#04x}"

    def encode(self) -> list[bytes]:
        return [
            x.meta_load(x.META_L4PROTO),
            x.compare(x.CMP_EQUAL, b"\x06"),
            x.transport_payload(13, 1),
            x.bitwise(bytes([self.mask])),
            x.compare(x.CMP_NOT_EQUAL if self.inverted else x.CMP_EQUAL, bytes([self.flags])),
        ]


@dataclass(frozen=True, slots=True)
class MatchFamily:
    """The packet's IP version."""

    version: IPVersion

    def text(self) -> str:
        return f"meta nfproto ipv{self.version}"

    def encode(self) -> list[bytes]:
        return load_family(self.version)
