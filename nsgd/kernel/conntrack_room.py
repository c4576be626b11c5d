"""How full the connection table of this network namespace is, and what it had no room for."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from nsgd.kernel.error import KernelError
from nsgd.kernel.netfilter import NETLINK_NETFILTER
from nsgd.wire import netlink
from nsgd.wire.conntrack import NFNL_SUBSYS_CTNETLINK

_STATS_OF_PROCESSORS = NFNL_SUBSYS_CTNETLINK << 8 | 4
_STATS = NFNL_SUBSYS_CTNETLINK << 8 | 5
_ENTRIES, _MAXIMUM = 1, 2  # CTA_STATS_GLOBAL_*
_DROPPED = 10  # CTA_STATS_DROP
_RECEIVE_BYTES = 1 << 16
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ConntrackRoom:
    """Entries of this namespace; as many as any namespace may have; and dropped packets so far."""

    entries: int
    maximum: int  # 0 where the kernel does not say: before 5.15
    dropped: int  # for which no entry could be made; since the machine's boot


def read_conntrack_room() -> ConntrackRoom:
    """Ask conntrack itself: /proc/sys may be hidden from a hardened service. Raises KernelError."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as channel:
            channel.settimeout(_TIMEOUT_S)
            channel.bind((0, 0))
            (table,) = _ask(channel, _STATS, 0)
            processors = _ask(channel, _STATS_OF_PROCESSORS, netlink.NLM_F_DUMP)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else errno.EBADMSG
        raise KernelError("read", "conntrack statistics", number or errno.ETIMEDOUT) from error
    dropped = sum(_number(each, _DROPPED) for each in processors)
    return ConntrackRoom(_number(table, _ENTRIES), _number(table, _MAXIMUM), dropped)


def _number(attributes: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(attributes.get(kind, b""))


def _ask(channel: socket.socket, command: int, flags: int) -> list[dict[int, bytes]]:
    """The attributes of each message of an answer. Raises OSError."""
    channel.send(netlink.message(command, flags, command, socket.AF_UNSPEC))
    found: list[dict[int, bytes]] = []
    while True:
        for kind, sequence, body in netlink.split_messages(channel.recv(_RECEIVE_BYTES)):
            if sequence != command:
                continue
            if kind == netlink.NLMSG_DONE:
                return found
            if kind == netlink.NLMSG_ERROR:
                number = netlink.error_number(body)
                raise OSError(number or errno.EIO, "conntrack statistics")
            found.append(netlink.split_attributes(netlink.generic_payload(body)))
            if not flags:
                return found
