"""Names of a flow's ends, and of the rules that its mark has the numbers of, by one policy."""

from __future__ import annotations

from typing import Any

from nsgd.model.address import Address
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.ruleset.marks import ADOPTED, AUDIT_DENIED, NO_TABLE, MarkLayout
from nsgd.runtime.flow_filter import PROTOCOL_NAMES, Side
from nsgd.runtime.load import LoadedPolicy

_WITHOUT_RULE = {
    NO_TABLE: ("noNetworkSecurityGroup", Access.ALLOW),
    ADOPTED: ("adopted", Access.ALLOW),
    AUDIT_DENIED: ("audit", Access.DENY),
}


class FlowNames:
    """What numbers and addresses mean; numbers that a policy before had are among them."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        self.layout = MarkLayout(loaded.settings.mark_mask)
        self._endpoints = loaded.policy.endpoint_map
        self._tables = loaded.policy.tables
        self._identities = {
            direction: {number: rule for rule, number in by_rule.items()}
            for direction, by_rule in loaded.numbers.by_direction.items()
        }
        self._sides: dict[tuple[Direction, int], Side] = {}

    def sides(self, mark: int) -> tuple[Side, Side]:
        """What a conntrack mark says of the outbound and of the inbound side."""
        outbound, inbound = self.layout.numbers(mark)
        return self.side(Direction.OUTBOUND, outbound), self.side(Direction.INBOUND, inbound)

    def side(self, direction: Direction, number: int) -> Side:
        """What a decision number says of a side."""
        side = self._sides.get((direction, number))
        if side is None:
            side = self._sides[direction, number] = self._new_side(direction, number)
        return side

    def _new_side(self, direction: Direction, number: int) -> Side:
        identity = self._identities[direction].get(number)
        if identity is not None:
            group, rule, access = identity
            return Side(direction, group or None, rule, access.value, "rule")
        # Unknown are those of a state directory that was lost, or of another gateway's.
        reason, access = _WITHOUT_RULE.get(number, ("unknown", Access.ALLOW))
        return Side(direction, None, None, access.value, reason)

    def ends(self, header: PacketHeader) -> tuple[str | None, str | None]:
        """The interfaces at both ends by their addresses; None for what is not declared."""
        found = self._endpoints.find(header.version, header.source, header.destination, None, None)
        sender, receiver = (
            self._endpoints.endpoints[index].name if index >= 0 else None for index in found
        )
        return sender, receiver

    def asked_before(self, header: PacketHeader, side: Side) -> tuple[str, ...]:
        """Groups that let a flow pass at this end ahead of the one that its mark names.

        A mark has the rule that allowed last: inbound the interface's where the subnet has a group
        too. Empty where the policy in force does not have the end under that rule's group.
        """
        if side.rule is None or side.access != Access.ALLOW.value:
            return ()
        is_outbound = side.direction is Direction.OUTBOUND
        found = self._endpoints.find(header.version, header.source, header.destination, None, None)
        index = found[0] if is_outbound else found[1]
        if index < 0:
            return ()
        endpoint = self._endpoints.endpoints[index]
        asked = [
            self._tables[table].network_security_group
            for table in (endpoint.outbound if is_outbound else endpoint.inbound)
        ]
        group = side.network_security_group or ""
        return tuple(filter(None, asked[: asked.index(group)])) if group in asked else ()


def ends_as_json(header: PacketHeader, names: tuple[str | None, str | None]) -> dict[str, Any]:
    """Protocol, addresses and ports of a flow, and its ends' names."""
    has_ports = header.protocol in (TCP, UDP)
    return {
        "protocol": PROTOCOL_NAMES.get(header.protocol, str(header.protocol)),
        "source": str(Address(header.version, header.source)),
        "sourcePort": header.source_port if has_ports else None,
        "destination": str(Address(header.version, header.destination)),
        "destinationPort": header.destination_port if has_ports else None,
        "from": names[0],
        "to": names[1],
    }


def side_as_json(side: Side, asked_before: tuple[str, ...] | None = None) -> dict[str, Any]:
    """What is known of a side's decision."""
    before = {} if asked_before is None else {"allowedBeforeBy": list(asked_before)}
    return {
        "networkSecurityGroup": side.network_security_group,
        "rule": side.rule,
        "access": side.access,
        "reason": side.reason,
        **before,
    }
