"""nftables expressions as netlink attributes, for the few kinds that nsgd's rules need."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

from nsgd.wire.netlink import attribute, be32, be64, nested, text

# Registers are 4-byte slots from 8 on; a link name takes four of them.
REGISTER = 8
REGISTER_AFTER_LINK = 12
_VERDICT_REGISTER = 0

META_MARK = 3
META_IIFNAME = 6
META_OIFNAME = 7
META_NFPROTO = 15
META_L4PROTO = 16
CT_STATE = 0
CT_DIRECTION = 1
CT_STATUS = 2
CT_MARK = 3

CMP_EQUAL = 0
CMP_NOT_EQUAL = 1
CMP_LESS_OR_EQUAL = 3
CMP_GREATER_OR_EQUAL = 5

NF_DROP = 0
NF_ACCEPT = 1
NFT_JUMP = -3
NFT_GOTO = -4
NFT_RETURN = -5

_FIB_RESULT_OIF, _FIB_RESULT_ADDRESS_TYPE = 1, 3
_FIB_SOURCE_ADDRESS, _FIB_DESTINATION_ADDRESS = 1, 2
_FIB_INCOMING_LINK = 8
_HASH_SYMMETRIC = 1
_DYNSET_UPDATE = 1
_INVERTED = 1
OBJECT_COUNTER = 1
OBJECT_LIMIT = 4
OBJECT_FLOW_TIMEOUT = 7
LINK_NAME_BYTES = 16
_NATIVE32 = struct.Struct("=I").pack
# The kernel puts a number in; a rule finds its own by the identifier in the batch.
ANONYMOUS_SET, ANONYMOUS_MAP = "__set%d", "__map%d"


def expression(name: str, *parts: bytes) -> bytes:
    """One, by its name and the attributes of its data."""
    return nested(1, text(1, name), nested(2, *parts))


def _around(make: Callable[[bytes], bytes], size: int) -> tuple[bytes, bytes]:
    """What *make* puts before and behind the last value of so many bytes.

    Thousands of expressions differ in one value of a few lengths: all else is made once.
    """
    hole = b"\xff" * size
    head, _, tail = make(hole).rpartition(hole)
    return head, tail


def _value(kind: int, data: bytes) -> bytes:
    return nested(kind, attribute(1, data))


def native32(value: int) -> bytes:
    """Marks and conntrack states are compared in host byte order."""
    return _NATIVE32(value)


def link_name(name: str) -> bytes:
    """A link name as the kernel compares it: 16 bytes, padded with NUL."""
    return name.encode().ljust(LINK_NAME_BYTES, b"\0")


@lru_cache(maxsize=64)
def meta_load(key: int, register: int = REGISTER) -> bytes:
    """Load a meta key."""
    return expression("meta", be32(2, key), be32(1, register))


@lru_cache(maxsize=64)
def meta_set(key: int, register: int = REGISTER) -> bytes:
    """Store a register in a meta key."""
    return expression("meta", be32(2, key), be32(3, register))


@lru_cache(maxsize=64)
def ct_load(key: int, register: int = REGISTER) -> bytes:
    """Load a conntrack key; the rule does not match where the packet has no entry."""
    return expression("ct", be32(2, key), be32(1, register))


@lru_cache(maxsize=64)
def ct_set(key: int, register: int = REGISTER) -> bytes:
    """Store a register in a conntrack key."""
    return expression("ct", be32(2, key), be32(4, register))


@lru_cache(maxsize=64)
def network_payload(offset: int, length: int, register: int = REGISTER) -> bytes:
    """Load bytes of the network header."""
    return expression("payload", be32(1, register), be32(2, 1), be32(3, offset), be32(4, length))


@lru_cache(maxsize=64)
def transport_payload(offset: int, length: int, register: int = REGISTER) -> bytes:
    """Load bytes of the transport header."""
    return expression("payload", be32(1, register), be32(2, 2), be32(3, offset), be32(4, length))


def bitwise32(mask: int, xor: int = 0, register: int = REGISTER) -> bytes:
    """Replace a 32-bit register by ``(register & mask) ^ xor``."""
    return _bitwise32_head(mask, register) + _NATIVE32(xor)


@lru_cache(maxsize=256)
def _bitwise32_head(mask: int, register: int) -> bytes:
    def make(xor: bytes) -> bytes:
        return expression(
            "bitwise",
            be32(1, register),
            be32(2, register),
            be32(3, 4),
            _value(4, native32(mask)),
            _value(5, xor),
        )

    return _around(make, 4)[0]


def symmetric_hash(modulus: int, register: int = REGISTER) -> bytes:
    """Load a hash of addresses, ports and protocol, the same for both directions."""
    return expression("hash", be32(2, register), be32(4, modulus), be32(7, _HASH_SYMMETRIC))


def compare(operator: int, data: bytes, register: int = REGISTER) -> bytes:
    """Go on with the rule only if the register equals, or does not equal, *data*."""
    head, tail = _compare_around(operator, len(data), register)
    return head + data + tail


@lru_cache(maxsize=64)
def _compare_around(operator: int, size: int, register: int) -> tuple[bytes, bytes]:
    def make(data: bytes) -> bytes:
        return expression("cmp", be32(1, register), be32(2, operator), _value(3, data))

    return _around(make, size)


@lru_cache(maxsize=512)
def lookup(set_name: str, *, inverted: bool = False, register: int = REGISTER) -> bytes:
    """Go on with the rule only if the register is in the set, or is not."""
    return expression(
        "lookup",
        text(1, set_name),
        be32(2, register),
        *((be32(5, 1),) if inverted else ()),
    )


def reverse_path_link(register: int = REGISTER) -> bytes:
    """Load the link that the route to the source uses, 0 where it is not the incoming one."""
    return expression(
        "fib",
        be32(1, register),
        be32(2, _FIB_RESULT_OIF),
        be32(3, _FIB_SOURCE_ADDRESS | _FIB_INCOMING_LINK),
    )


def destination_type(register: int = REGISTER) -> bytes:
    """Load what routing says of the destination: unicast, local and others."""
    return expression(
        "fib",
        be32(1, register),
        be32(2, _FIB_RESULT_ADDRESS_TYPE),
        be32(3, _FIB_DESTINATION_ADDRESS),
    )


@lru_cache(maxsize=512)
def bitwise(mask: bytes, register: int = REGISTER) -> bytes:
    """Keep the bits of *mask* in a register of its length."""
    return expression(
        "bitwise",
        be32(1, register),
        be32(2, register),
        be32(3, len(mask)),
        _value(4, mask),
        _value(5, bytes(len(mask))),
    )


def in_range(first: bytes, last: bytes, register: int = REGISTER) -> bytes:
    """Go on with the rule only if the register is between two values, both included."""
    return expression(
        "range", be32(1, register), be32(2, CMP_EQUAL), _value(3, first), _value(4, last)
    )


def lookup_anonymous(identifier: int, *, is_map: bool, register: int = REGISTER) -> bytes:
    """Look up in a set of this batch that belongs to the rule; in a map, take its verdict."""
    return expression(
        "lookup",
        text(1, ANONYMOUS_MAP if is_map else ANONYMOUS_SET),
        be32(2, register),
        *((be32(3, _VERDICT_REGISTER),) if is_map else ()),
        be32(4, identifier),
    )


def lookup_verdict(map_name: str, register: int = REGISTER) -> bytes:
    """Take the verdict of a named map; the rule does not match where it has none."""
    return expression("lookup", text(1, map_name), be32(2, register), be32(3, _VERDICT_REGISTER))


def verdict(code: int, chain: str | None = None) -> bytes:
    """End the rule with a verdict."""
    if chain is None:
        return _verdict(code, None)
    name = chain.encode()
    head, tail = _verdict_around(code, len(name))
    return head + name + tail


@lru_cache(maxsize=512)
def _verdict_around(code: int, size: int) -> tuple[bytes, bytes]:
    return _around(lambda chain: _verdict(code, chain), size)


def _verdict(code: int, chain: bytes | None) -> bytes:
    return expression("immediate", be32(1, _VERDICT_REGISTER), _verdict_data(2, code, chain))


def verdict_data(kind: int, code: int, chain: str | None = None) -> bytes:
    """A verdict as the attribute *kind* of an expression or of an element of a map."""
    return _verdict_data(kind, code, None if chain is None else chain.encode())


def _verdict_data(kind: int, code: int, chain: bytes | None) -> bytes:
    target = (attribute(2, chain + b"\0"),) if chain is not None else ()
    return nested(kind, nested(2, be32(1, code), *target))


def update_set(
    set_name: str, rate: tuple[int, int] | None = None, *, is_beyond: bool = True
) -> bytes:
    """Put the register into a set of rules' own, for that set's time from now on.

    Goes on with the rule where it is in, and beyond a rate (packets a second, burst) of its own,
    or within it, where one is given; not where the set is full.
    """
    limiting: tuple[bytes, ...] = ()
    if rate is not None:
        per_second, burst = rate
        flags = be32(5, _INVERTED if is_beyond else 0)
        data = be64(1, per_second) + be64(2, 1) + be32(3, burst) + be32(4, 0) + flags
        limiting = (nested(7, text(1, "limit"), nested(2, data)),)
    return expression(
        "dynset", text(1, set_name), be32(3, _DYNSET_UPDATE), be32(4, REGISTER), *limiting
    )


def count(counter_name: str) -> bytes:
    """Add the packet to a named counter."""
    name = counter_name.encode()
    head, tail = _object_around(OBJECT_COUNTER, len(name))
    return head + name + tail


@lru_cache(maxsize=512)
def _object_around(kind: int, size: int) -> tuple[bytes, bytes]:
    def make(name: bytes) -> bytes:
        return expression("objref", be32(1, kind), attribute(2, name + b"\0"))

    return _around(make, size)


def limit(limit_name: str) -> bytes:
    """Go on with the rule only while the rate of a named limit is not used up."""
    name = limit_name.encode()
    head, tail = _object_around(OBJECT_LIMIT, len(name))
    return head + name + tail


def flow_timeout(timeout_name: str) -> bytes:
    """Give the packet's flow the timeouts of a named object of its protocol, while it is new."""
    name = timeout_name.encode()
    head, tail = _object_around(OBJECT_FLOW_TIMEOUT, len(name))
    return head + name + tail
