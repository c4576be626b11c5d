"""The verdicts that a queued packet may get, and who gives them."""

from __future__ import annotations

from collections.abc import Callable

DROP, ACCEPT = 0, 1  # NF_DROP and NF_ACCEPT of linux/netfilter.h

# give(DROP or ACCEPT, packet id, mark)
Give = Callable[[int, int, int], None]
