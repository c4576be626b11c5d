"""Asks what this kernel's nftables and queue can do, and leaves nothing behind.

Each trial is one transaction that makes a table of its own name and deletes it again. It has no
base chain: deleting one would drop what waits in the namespace's queues.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

from nsgd.kernel.error import KernelError
from nsgd.kernel.table import NftTable
from nsgd.ruleset import batch, commands
from nsgd.ruleset.branches import MatchValue
from nsgd.ruleset.keys import flow_hash_key
from nsgd.ruleset.matches import MatchCtReply
from nsgd.ruleset.objects import NftRule
from nsgd.ruleset.statements import Queue
from nsgd.wire import netlink

_REFUSED = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL)
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_NETDEV = 5
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_NETDEV_HOOKS = ("ingress", "egress")
_QUEUE_CONFIG = 3 << 8 | 2
_QUEUE_COMMAND = 1
# A command of old kernels; newer ones take it and do nothing.
_PF_BIND = struct.pack(">BBH", 3, 0, 2)


class BaseChainSeen(NamedTuple):
    """A base chain of this network namespace, whoever made it."""

    family: str
    table: str
    name: str
    hook: str
    priority: int
    is_drop_policy: bool


class NftProbe(NftTable):
    """A socket that is never used for the table of a policy."""

    def __enter__(self) -> Self:
        return self

    def has_queue_target(self) -> bool:
        """Tell whether xtables' NFQUEUE target can be used from nftables."""
        return self._takes(batch.queue_probe(NftRule((Queue(0, native=False),))))

    def has_conntrack(self) -> bool:
        """Tell whether rules can ask for a packet's flow."""
        return self._takes(batch.queue_probe(NftRule((MatchCtReply(),))))

    def has_flow_hash(self) -> bool:
        """Tell whether rules can spread flows over several queues."""
        return self._takes(batch.queue_probe(NftRule((MatchValue(flow_hash_key(2), 0, 0),))))

    def takes_table_flags(self, flags: int) -> bool:
        """Tell whether a table can be made with these flags."""
        name = netlink.text(1, f"nsgd_doctor_{os.getpid()}")
        new = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
        return self._takes(
            [(commands.NEWTABLE, new, name + netlink.be32(2, flags)), (commands.DELTABLE, 0, name)]
        )

    def has_queues(self) -> bool:
        """Tell whether the kernel hands packets to processes."""
        self._sequence += 1
        payload = netlink.attribute(_QUEUE_COMMAND, _PF_BIND)
        self._send(
            netlink.message(_QUEUE_CONFIG, netlink.NLM_F_ACK, self._sequence, 0, payload), "probe"
        )
        while True:
            for kind, sequence, body in netlink.split_messages(self._receive("probe")):
                if kind == netlink.NLMSG_ERROR and sequence == self._sequence:
                    number = netlink.error_number(body)
                    if number and number not in _REFUSED:
                        raise KernelError("probe", "nfnetlink_queue", number)
                    return number == 0

    def base_chains(self) -> list[BaseChainSeen]:
        """Every base chain of every family."""
        self._sequence += 1
        kind = netlink.nft_message_type(commands.GETCHAIN)
        self._send(netlink.message(kind, netlink.NLM_F_DUMP, self._sequence, 0), "read")
        found: list[BaseChainSeen] = []
        while True:
            for kind, sequence, body in netlink.split_messages(self._receive("read")):
                if sequence != self._sequence:
                    continue
                if kind == netlink.NLMSG_DONE:
                    return found
                if kind == netlink.NLMSG_ERROR:
                    raise KernelError("read", "chains", netlink.error_number(body))
                attributes = netlink.split_attributes(netlink.generic_payload(body))
                if 4 in attributes:
                    found.append(_base_chain(body[0], attributes))

    def _takes(self, messages: Sequence[commands.Message]) -> bool:
        try:
            self._transact(messages, "probe")
        except KernelError as error:
            if error.number in _REFUSED:
                return False
            raise
        return True


def _base_chain(family: int, attributes: dict[int, bytes]) -> BaseChainSeen:
    hook = netlink.split_attributes(attributes[4])
    number = int.from_bytes(hook.get(1, b""))
    names = _NETDEV_HOOKS if family == _NETDEV else _HOOKS
    policy = attributes.get(5)
    return BaseChainSeen(
        family=_FAMILIES.get(family, str(family)),
        table=_text(attributes.get(1)),
        name=_text(attributes.get(3)),
        hook=names[number] if number < len(names) else str(number),
        priority=int.from_bytes(hook.get(2, b""), signed=True),
        is_drop_policy=policy is not None and int.from_bytes(policy) == 0,
    )


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")
