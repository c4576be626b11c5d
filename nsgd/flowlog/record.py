"""One record of a flow log, whatever the format that it is written in."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from nsgd.model.rule import Access, Direction

# Azure: "NX: connection is unencrypted".
UNENCRYPTED = "NX"
NO_MAC_ADDRESS = "000000000000"


class FlowState(StrEnum):
    """What a record says of its flow, in Azure's letters."""

    BEGIN = "B"
    CONTINUE = "C"
    END = "E"
    DENY = "D"


class FlowRecord(NamedTuple):
    """What one network interface saw of one flow.

    Source is who began the flow, in records of either side. Packets and bytes are those since the
    flow's record before, bytes with IP headers; None where they were not counted, or not written.
    """

    time_ms: int  # unix time
    source: str
    destination: str
    source_port: int  # 0 where the protocol has none
    destination_port: int
    protocol: int  # IANA number
    direction: Direction
    state: FlowState | None  # None: allowed, of version 1, which has no states
    packets_sent: int | None = None  # from source to destination
    bytes_sent: int | None = None
    packets_received: int | None = None  # from destination to source
    bytes_received: int | None = None
    encryption: str = UNENCRYPTED  # empty in formats without it
    mac_address: str = NO_MAC_ADDRESS  # 12 upper-case hexadecimal digits
    target: str = ""  # resource id: what the log is of
    acl_id: str = ""  # of the network security group, where it was given one
    network_security_group: str = ""  # its name, where the format says it
    # Without the prefix UserRule_; names of default rules keep DefaultRule_.
    rule: str = ""

    @property
    def access(self) -> Access:
        """Whether the flow was let through."""
        return Access.DENY if self.state is FlowState.DENY else Access.ALLOW


class NotAFlowLogError(ValueError):
    """A tuple, a record or a document that is not of any flow log format."""
