"""The messages by which nsgd's table comes, changes as a whole, and goes."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator

from nsgd.model.packet import TCP
from nsgd.ruleset import encode
from nsgd.ruleset.commands import (
    DELTABLE,
    NEWCHAIN,
    NEWOBJ,
    NEWRULE,
    NEWTABLE,
    Message,
)
from nsgd.ruleset.flow_timeout import FlowTimeout
from nsgd.ruleset.objects import TABLE, NftRule
from nsgd.wire import netlink
from nsgd.wire.netlink import be32, text

TABLE_OWNER = 2
TABLE_PERSIST = 4
# How a trial ends whose messages the kernel takes, where it is to leave no trace.
TAKEN = errno.EEXIST
_MOST_MESSAGES = 8000
_ENDS = (NEWCHAIN, NEWRULE, NEWOBJ)


def table_message(flags: int) -> Message:
    """Create the table or take over one whose owner has died."""
    return NEWTABLE, netlink.NLM_F_CREATE, text(1, TABLE) + be32(2, flags)


def delete_table() -> list[Message]:
    """Remove everything; drops what waits in the namespace's queues."""
    return [(DELTABLE, 0, text(1, TABLE))]


def queue_probe(native_rule: NftRule) -> list[Message]:
    """A table that dies with its socket, with one rule in a chain that nothing runs."""
    name = f"{TABLE}_probe"
    rule = encode.rule_payload("probe", native_rule, table=name)
    return [
        (NEWTABLE, netlink.NLM_F_CREATE, text(1, name) + be32(2, TABLE_OWNER)),
        (NEWCHAIN, netlink.NLM_F_CREATE, text(1, name) + text(3, "probe")),
        (NEWRULE, netlink.NLM_F_CREATE | netlink.NLM_F_APPEND, rule),
        (DELTABLE, 0, text(1, name)),
    ]


def timeout_probe() -> list[Message]:
    """A table with a timeout of flows, and at last what fails with TAKEN: nothing happens at all.

    nft 1.0.6's monitor dies where such a timeout is deleted.
    """
    name = f"{TABLE}_probe"
    _, _, payload = encode.new_timeout(FlowTimeout(TCP, 240))
    in_table = len(text(1, TABLE))
    return [
        (NEWTABLE, netlink.NLM_F_CREATE, text(1, name) + be32(2, TABLE_OWNER)),
        (NEWOBJ, netlink.NLM_F_CREATE, text(1, name) + payload[in_table:]),
        (NEWTABLE, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL, text(1, name)),
    ]


def parts(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Cut a long list between objects: the kernel goes through all of a batch for each look-up."""
    part: list[Message] = []
    for message in messages:
        part.append(message)
        # Elements come after their set, and a rule after sets of its own, in the same batch.
        if len(part) >= _MOST_MESSAGES and message[0] in _ENDS:
            yield part
            part = []
    yield part


def bracket(kind: int, flags: int, sequence: int) -> bytes:
    """The begin or the end of a batch."""
    return netlink.message(kind, flags, sequence, 0, resource=netlink.NFNL_SUBSYS_NFTABLES)
