"""What was decided for a flow, by which rules, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nsgd.model.rule import Access, Direction


class Reason(Enum):
    """Why a flow ended as it did: a closed set, used as a metric label."""

    RULE = "rule"
    NO_NSG = "noNetworkSecurityGroup"
    UNMANAGED = "unmanaged"
    AMBIGUOUS_NETWORK = "ambiguousNetwork"
    UNPARSABLE = "unparsable"
    # A protocol that the dialect's rules cannot name, under a network security group.
    UNSUPPORTED_PROTOCOL = "unsupportedProtocol"


@dataclass(frozen=True, slots=True)
class TableDecision:
    """One network security group's answer for one direction."""

    network_security_group: str
    direction: Direction
    rule: str
    access: Access


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for a flow.

    *consulted* lists the tables in the order of evaluation, the deciding one last.
    On Allow the reported rule is that of the last group that allowed, on Deny the
    first that denied; all three are None where no group was consulted. *access* is
    None for traffic that touches nothing declared: a setting decides it.
    """

    access: Access | None
    reason: Reason
    consulted: tuple[TableDecision, ...] = ()

    @property
    def reported(self) -> TableDecision | None:
        """The table decision that Azure would name."""
        return self.consulted[-1] if self.consulted else None

    @property
    def network_security_group(self) -> str | None:
        """Name of the reported group."""
        return self.reported.network_security_group if self.reported else None

    @property
    def direction(self) -> Direction | None:
        """Direction of the reported rule."""
        return self.reported.direction if self.reported else None

    @property
    def rule(self) -> str | None:
        """Name of the reported rule."""
        return self.reported.rule if self.reported else None
