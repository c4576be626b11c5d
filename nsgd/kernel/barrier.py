"""Waits until no packet can be in rules that were replaced."""

from __future__ import annotations

import ctypes
import platform
import time

# No such function in the C library: the system call by its number.
_MEMBARRIER = {
    "x86_64": 324,
    "i686": 375,
    "armv7l": 389,
    "aarch64": 283,
    "riscv64": 283,
    "ppc64le": 365,
    "s390x": 356,
}.get(platform.machine())
_GLOBAL = 1
# For kernels without it; a packet passes a ruleset in microseconds.
_PAUSE_S = 0.05


def wait_for_packets() -> None:
    """Return after every processor has been seen outside of packet processing.

    Source:
        membarrier(2), MEMBARRIER_CMD_GLOBAL, which waits for what rules are read under.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if _MEMBARRIER is None or library.syscall(_MEMBARRIER, _GLOBAL, 0, 0) != 0:
        time.sleep(_PAUSE_S)
