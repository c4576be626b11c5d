"""Flows of network interfaces, as the kernel counts them: what asks, and what of it is denied."""

from __future__ import annotations

from collections.abc import Mapping

from nsgd.model.rule import Access, Direction
from nsgd.runtime.counters import NICS
from nsgd.runtime.kernel_counts import KernelNicCounts

NAMES = ("web",)


def read(
    of_kernel: KernelNicCounts, packets: Mapping[str, int], worker: int = 0
) -> dict[tuple[Direction, Access], int]:
    """What is counted of web."""
    counts = {name: [worker] * len(NICS) for name in NAMES}
    of_kernel.add(counts, packets, NAMES)
    return dict(zip(NICS, counts["web"], strict=True))


def test_what_is_not_denied_is_allowed() -> None:
    """In either direction, beside what the worker has counted."""
    packets = {"nic/web/in": 7, "nic/web/in/deny": 3, "nic/web/out": 5, "nic/other/in": 9}
    assert read(KernelNicCounts(), packets, worker=10) == {
        (Direction.INBOUND, Access.ALLOW): 14,
        (Direction.INBOUND, Access.DENY): 13,
        (Direction.OUTBOUND, Access.ALLOW): 15,
        (Direction.OUTBOUND, Access.DENY): 10,
    }


def test_what_is_allowed_never_shrinks() -> None:
    """Denials are read a moment later, and may be more than those among what was read before."""
    of_kernel = KernelNicCounts()
    allowed = Direction.INBOUND, Access.ALLOW
    assert read(of_kernel, {"nic/web/in": 100, "nic/web/in/deny": 40})[allowed] == 60
    assert read(of_kernel, {"nic/web/in": 110, "nic/web/in/deny": 55})[allowed] == 60
    assert read(of_kernel, {"nic/web/in": 200, "nic/web/in/deny": 130})[allowed] == 70
    # Counted anew, after a change of engine.
    assert read(of_kernel, {"nic/web/in": 2, "nic/web/in/deny": 3})[allowed] == 0
    assert read(of_kernel, {"nic/web/in": 5, "nic/web/in/deny": 3})[allowed] == 2
