"""nftables expressions that hand packets to processes: by queues, and by log groups."""

from __future__ import annotations

import struct
from functools import lru_cache

from nsgd.wire.expressions import expression
from nsgd.wire.netlink import attribute, be16, be32, text


@lru_cache(maxsize=8)
def log(group: int, snap_bytes: int) -> bytes:
    """Hand a copy of the packet's first bytes to the listener of an NFLOG group."""
    return expression("log", be16(1, group), be32(3, snap_bytes))


def queue_statement(number: int, *, bypass: bool) -> bytes:
    """nftables' own queue statement."""
    return expression("queue", be16(1, number), be16(2, 1), be16(3, int(bypass)))


def queue_target(number: int, *, bypass: bool) -> bytes:
    """The xtables NFQUEUE target, revision 3, for kernels without the queue statement."""
    information = struct.pack("=HHHH", number, 1, int(bypass), 0)
    return expression("target", text(1, "NFQUEUE"), be32(2, 3), attribute(3, information))
