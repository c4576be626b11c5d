"""The fields of a packet that rules compare with values and look up in sets and maps."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.ruleset import matches
from nsgd.ruleset.matches import Side
from nsgd.wire import expressions as x

_TYPE_INTEGER, _TYPE_IPV4, _TYPE_IPV6, _TYPE_PROTOCOL = 4, 7, 8, 12
_TYPE_PORT, _TYPE_MARK, _TYPE_LINK = 13, 19, 41


@dataclass(frozen=True, slots=True)
class Key:
    """A field whose values are integers, or names of links."""

    text: str  # the field in nft text
    type_name: str  # nft's name of the type of its values
    type_number: int  # the same as the kernel keeps it for nft
    value_bytes: int
    is_network_order: bool
    version: IPVersion | None  # of addresses
    loading: tuple[bytes, ...] = field(
        repr=False
    )  # puts the value in the register, or ends the rule unmatched

    @property
    def top(self) -> int:
        """The highest value."""
        return (1 << 8 * self.value_bytes) - 1

    def encode(self, value: int | str) -> bytes:
        """A value as it lies in the register."""
        if isinstance(value, str):
            return x.link_name(value)
        return value.to_bytes(self.value_bytes, "big" if self.is_network_order else sys.byteorder)

    def range_text(self, first: int | str, last: int | str) -> str:
        """Values from *first* to *last* in nft text."""
        if isinstance(first, str) or isinstance(last, str):
            return f'"{first}"'
        if self.version is not None:
            return matches.addresses_text(self.version, (first, last))
        if self.type_number == _TYPE_MARK:
            return f"{first:#010x}"
        return str(first) if first == last else f"{first}-{last}"


def address_key(version: IPVersion, side: Side) -> Key:
    """The source or destination address; unmatched in packets of the other IP version."""
    return Key(
        matches.address_text(version, side),
        "ipv4_addr" if version == 4 else "ipv6_addr",
        _TYPE_IPV4 if version == 4 else _TYPE_IPV6,
        ADDRESS_BITS[version] // 8,
        True,
        version,
        (*matches.load_family(version), matches.load_address(version, side)),
    )


def port_key(side: Side) -> Key:
    """The source or destination port, of TCP and UDP only."""
    name, offset = ("sport", 0) if side == "source" else ("dport", 2)
    loading = (x.transport_payload(offset, 2),)
    return Key(f"th {name}", "inet_service", _TYPE_PORT, 2, True, None, loading)


def mark_key(mask: int) -> Key:
    """Some bits of the packet mark."""
    loading = (x.meta_load(x.META_MARK), x.bitwise32(mask))
    return Key(f"meta mark & {mask:#010x}", "mark", _TYPE_MARK, 4, False, None, loading)


def ct_mark_key(mask: int) -> Key:
    """Some bits of the conntrack mark; unmatched where the packet has no entry."""
    loading = (x.ct_load(x.CT_MARK), x.bitwise32(mask))
    return Key(f"ct mark & {mask:#010x}", "mark", _TYPE_MARK, 4, False, None, loading)


def link_key(side: Side) -> Key:
    """The name of the incoming (source) or outgoing (destination) link."""
    return Key(
        matches.link_text(side),
        "ifname",
        _TYPE_LINK,
        x.LINK_NAME_BYTES,
        False,
        None,
        (matches.load_link(side),),
    )


def flow_hash_key(modulus: int) -> Key:
    """A number below *modulus* that the packets of a flow have in common, in both directions."""
    loading = (x.symmetric_hash(modulus),)
    return Key(f"symhash mod {modulus}", "integer", _TYPE_INTEGER, 4, False, None, loading)


PROTOCOL = Key(
    "meta l4proto", "inet_proto", _TYPE_PROTOCOL, 1, False, None, (x.meta_load(x.META_L4PROTO),)
)
NEXT_HEADER = Key(
    "ip6 nexthdr",
    "inet_proto",
    _TYPE_PROTOCOL,
    1,
    False,
    None,
    (*matches.load_family(6), x.network_payload(6, 1)),
)
HOP_LIMIT = Key(
    "ip6 hoplimit",
    "integer",
    _TYPE_INTEGER,
    1,
    True,
    None,
    (*matches.load_family(6), x.network_payload(7, 1)),
)
TRANSPORT_BYTE = Key(
    "@th,0,8", "integer", _TYPE_INTEGER, 1, True, None, (x.transport_payload(0, 1),)
)
