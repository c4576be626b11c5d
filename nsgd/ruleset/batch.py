"""A ruleset as the netlink messages of one nftables transaction."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.ruleset.objects import (
    TABLE,
    AddressRangeSet,
    AnySet,
    BaseChain,
    LinkAddressSet,
    LinkSet,
    NftRule,
    Ruleset,
)
from nsgd.ruleset.statements import Jump
from nsgd.wire import expressions, netlink
from nsgd.wire.netlink import attribute, be32, nested, text

NEWTABLE, DELTABLE = 0, 2
NEWCHAIN, GETCHAIN, DELCHAIN = 3, 4, 5
NEWRULE, DELRULE = 6, 8
NEWSET, GETSET, DELSET = 9, 10, 11
NEWSETELEM = 12
NEWOBJ, GETOBJ = 18, 19

FAMILY_INET = 1
TABLE_OWNER = 2
TABLE_PERSIST = 4
OBJECT_COUNTER = 1

_SET_INTERVAL = 0x4
_SET_CONCAT = 0x80
_ELEMENT_INTERVAL_END = 1
_TYPE_IPV4, _TYPE_IPV6, _TYPE_LINK = 7, 8, 41
_HOST_BYTE_ORDER, _NETWORK_BYTE_ORDER = 1, 2
# Elements of one message are one nested attribute, whose length has 16 bits.
_ELEMENTS_PER_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Present:
    """Names of what the kernel holds in the table now."""

    sets: frozenset[str] = frozenset()
    chains: frozenset[str] = frozenset()  # base chains are not among them


Message = tuple[int, int, bytes]  # command, flags, payload


def table_message(flags: int) -> Message:
    """Create the table or take over one whose owner has died."""
    return (
        NEWTABLE,
        netlink.NLM_F_CREATE,
        text(1, TABLE) + be32(2, flags),
    )


def delete_table() -> list[Message]:
    """Remove everything; drops what waits in the namespace's queues."""
    return [(DELTABLE, 0, text(1, TABLE))]


def replace_ruleset(desired: Ruleset, present: Present, table_flags: int) -> list[Message]:
    """Turn whatever the table holds into *desired*, keeping base chains and counters.

    Rules and sets are built anew inside the one transaction: a packet sees the old content or
    the new, and base chains stay registered.
    """
    return list(_replace(desired, present, table_flags))


def _replace(desired: Ruleset, present: Present, table_flags: int) -> Iterator[Message]:
    create = netlink.NLM_F_CREATE
    yield table_message(table_flags)
    for base in desired.base_chains:
        yield NEWCHAIN, create, _base_chain(base)
    for chain in desired.chains:
        yield NEWCHAIN, create, text(1, TABLE) + text(3, chain.name)
    yield DELRULE, 0, text(1, TABLE)
    for name in sorted(present.sets):
        yield DELSET, 0, text(1, TABLE) + text(2, name)
    for name in sorted(present.chains - {chain.name for chain in desired.chains}):
        yield DELCHAIN, 0, text(1, TABLE) + text(3, name)
    for counter in desired.counters:
        yield (
            NEWOBJ,
            create,
            text(1, TABLE) + text(2, counter) + be32(3, OBJECT_COUNTER) + nested(4),
        )
    for identifier, any_set in enumerate(desired.sets, start=1):
        yield NEWSET, create, _set(any_set, identifier)
        yield from _elements(any_set)
    for base in desired.base_chains:
        yield (
            NEWRULE,
            create | netlink.NLM_F_APPEND,
            _rule(base.name, NftRule((Jump(base.target),))),
        )
    for chain in desired.chains:
        for rule in chain.rules:
            yield NEWRULE, create | netlink.NLM_F_APPEND, _rule(chain.name, rule)


def queue_probe(native_rule: NftRule) -> list[Message]:
    """A table that dies with its socket, with one rule in a chain that nothing runs."""
    name = f"{TABLE}_probe"
    return [
        (NEWTABLE, netlink.NLM_F_CREATE, text(1, name) + be32(2, TABLE_OWNER)),
        (NEWCHAIN, netlink.NLM_F_CREATE, text(1, name) + text(3, "probe")),
        (
            NEWRULE,
            netlink.NLM_F_CREATE | netlink.NLM_F_APPEND,
            _rule("probe", native_rule, table=name),
        ),
        (DELTABLE, 0, text(1, name)),
    ]


def _base_chain(base: BaseChain) -> bytes:
    hook = nested(4, be32(1, base.hook.value), be32(2, base.chain_priority))
    policy = be32(5, expressions.NF_ACCEPT)
    return text(1, TABLE) + text(3, base.name) + hook + policy + text(7, "filter")


def _rule(chain: str, rule: NftRule, table: str = TABLE) -> bytes:
    encoded = b"".join(part for statement in rule.statements for part in statement.encode())
    payload = text(1, table) + text(2, chain) + nested(4, encoded)
    if rule.comment:
        data = rule.comment.encode() + b"\0"
        payload += attribute(7, bytes([0, len(data)]) + data)
    return payload


def _set(any_set: AnySet, identifier: int) -> bytes:
    flags = 0
    description = b""
    byte_order = _NETWORK_BYTE_ORDER
    match any_set:
        case LinkSet():
            key_type, key_bytes = _TYPE_LINK, expressions.LINK_NAME_BYTES
            byte_order = _HOST_BYTE_ORDER
        case AddressRangeSet(version=version):
            key_type = _TYPE_IPV4 if version == 4 else _TYPE_IPV6
            key_bytes = ADDRESS_BITS[version] // 8
            flags = _SET_INTERVAL
        case LinkAddressSet(version=version):
            key_type = _TYPE_LINK << 6 | (_TYPE_IPV4 if version == 4 else _TYPE_IPV6)
            address = ADDRESS_BITS[version] // 8
            key_bytes = expressions.LINK_NAME_BYTES + address
            flags = _SET_CONCAT
            fields = (nested(1, be32(1, size)) for size in (expressions.LINK_NAME_BYTES, address))
            description = nested(9, nested(2, *fields))
    # What nft itself notes for its listing: the byte order of the key.
    user_data = attribute(13, bytes([0, 4]) + struct.pack("=I", byte_order))
    return (
        text(1, TABLE)
        + text(2, any_set.name)
        + be32(3, flags)
        + be32(4, key_type)
        + be32(5, key_bytes)
        + be32(10, identifier)
        + description
        + user_data
    )


def _elements(any_set: AnySet) -> Iterator[Message]:
    keys: list[tuple[bytes, bool]] = []
    match any_set:
        case LinkSet(links=links):
            keys = [(expressions.link_name(link), False) for link in links]
        case LinkAddressSet(version=version, pairs=pairs):
            keys = [
                (expressions.link_name(link) + _address_bytes(version, value), False)
                for link, value in pairs
            ]
        case AddressRangeSet(version=version, ranges=ranges):
            for first, last in ranges:
                keys.append((_address_bytes(version, first), False))
                if last + 1 < 1 << ADDRESS_BITS[version]:
                    keys.append((_address_bytes(version, last + 1), True))
    for offset in range(0, len(keys), _ELEMENTS_PER_MESSAGE):
        elements = (
            nested(
                1,
                nested(1, attribute(1, key)),
                *((be32(3, _ELEMENT_INTERVAL_END),) if is_end else ()),
            )
            for key, is_end in keys[offset : offset + _ELEMENTS_PER_MESSAGE]
        )
        yield (
            NEWSETELEM,
            netlink.NLM_F_CREATE,
            text(1, TABLE) + text(2, any_set.name) + nested(3, *elements),
        )


def _address_bytes(version: IPVersion, value: int) -> bytes:
    """An address in network byte order, as sets hold it."""
    return struct.pack(">I", value) if version == 4 else value.to_bytes(16, "big")
