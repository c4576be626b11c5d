"""Numbers of netfilter's netlink sockets that Python's socket module does not name."""

from __future__ import annotations

NETLINK_NETFILTER = 12
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SOL_NETLINK = 270
