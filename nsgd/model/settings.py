"""The ``daemon`` section of a document: how one host runs a policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class UnmanagedTraffic(Enum):
    """What happens to forwarded traffic that touches nothing declared."""

    ACCEPT = "accept"
    DROP = "drop"


# The bits that two 15-bit decision numbers need, without 0x4000 and 0x8000
# (docs/adr/0001-decision-marks.md lists who takes which).
DEFAULT_MARK_MASK = 0xFFFF3FFF


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """Settings with their defaults; *mark_mask* are the ct and packet mark bits that are ours."""

    unmanaged_traffic: UnmanagedTraffic = UnmanagedTraffic.ACCEPT
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9480
    queue_number: int = 9480
    queue_length: int = 4096
    mark_mask: int = DEFAULT_MARK_MASK
