"""What the oracle says of one end of a packet, or of one group: of one direction alone."""

from __future__ import annotations

from typing import NamedTuple

from .admin import SUBNET_SERVICES
from .oracle import (
    TCP,
    UDP,
    Answer,
    End,
    Oracle,
    Packet,
    _address,
    _answer,
    _ports_match,
    _protocol_matches,
    _Rule,
    _Subnet,
)
from .reading import key


class Named(NamedTuple):
    """A rule as a document names it, and what it says."""

    rule: str
    access: str


class EndOracle(Oracle):
    """Answers about the local end of a packet alone, whatever its other end is."""

    @property
    def networks(self) -> frozenset[str]:
        """The virtual networks, in lower case."""
        return frozenset(self._networks)

    def judge_end(
        self, direction: str, network: str, packet: Packet, link: str | None = None
    ) -> Answer:
        """What the resource of *network* with the packet's local address, or *link*, is asked.

        An address that nothing declares is asked nothing, and its packets pass.
        """
        source, destination = _ends(packet)
        local = destination if direction == "Inbound" else source
        ends = [
            end
            for end in self._candidates(link, local.address)
            if end.subnet.network == key(network)
        ]
        if not ends:
            return _answer([])
        (end,) = ends
        if direction == "Outbound" and self._smtp_is_denied(end, packet, destination):
            return _answer([("", direction, "platformRules/DenySmtpOutBound", "Deny")])
        return _answer(self._cross(direction, end, packet, source, destination))

    def decided_in_group(
        self, group: str, direction: str, subnet: str, packet: Packet, without: str | None = None
    ) -> Named | None:
        """The rule of a group that decides, seen from a subnet; *without* one of its rules.

        None where the packet's protocol is none that the dialect's rules can name.
        """
        network = self._see(subnet)
        _, rules = self._security_groups[key(group)]
        left = [rule for rule in rules if without is None or key(rule.name) != key(without)]
        source, destination = _ends(packet)
        rule = self._first_match(left, direction, network, packet, source, destination)
        return None if rule is None else Named(rule.name, rule.access)

    def decided_by_admin(
        self, direction: str, subnet: str, packet: Packet, without: str | None = None
    ) -> Named | None:
        """The security admin rule that decides in a subnet, *without* one of them; or None."""
        found = self._see_subnet(subnet)
        network = found.network
        every = self._admin_rules[network]
        left = [rule for rule in every if without is None or key(rule.name) != key(without)]
        source, destination = _ends(packet)
        self._admin_rules[network] = left
        try:
            rule = self._first_admin_match(direction, found, packet, source, destination)
        finally:
            self._admin_rules[network] = every
        return None if rule is None else Named(rule.name, rule.access)

    def admin_matches(self, rule: str, direction: str, subnet: str, packet: Packet) -> bool:
        """Whether a security admin rule matches in a subnet, whatever stands before it."""
        network = self._see(subnet)
        every = self._admin_rules[network]
        self._admin_rules[network] = [each for each in every if key(each.name) == key(rule)]
        try:
            return self.decided_by_admin(direction, subnet, packet) is not None
        finally:
            self._admin_rules[network] = every

    def admin_rules(self, subnet: str) -> dict[str, str]:
        """The security admin rules that are applied in a subnet, and what they say."""
        found = self._see_subnet(subnet)
        if any(service in SUBNET_SERVICES for service in found.services):
            return {}
        return {rule.name: rule.access for rule in self._admin_rules[found.network]}

    def access(self, group: str, rule: str) -> str:
        """What a rule of a group says."""
        (found,) = self._named(group, rule)
        return found.access

    def matches(self, group: str, rule: str, subnet: str, packet: Packet) -> bool:
        """Whether a rule of a group matches, whatever stands before it."""
        network = self._see(subnet)
        (found,) = self._named(group, rule)
        source, destination = _ends(packet)
        return (
            _protocol_matches(found.protocol, packet, self._dialect.any_protocol)
            and _ports_match(found, packet)
            and self._side_matches(found.source, source, network)
            and self._side_matches(found.destination, destination, network)
        )

    def _named(self, group: str, rule: str) -> list[_Rule]:
        _, rules = self._security_groups[key(group)]
        return [each for each in rules if key(each.name) == key(rule)]

    def _see(self, subnet: str) -> str:
        """Set routes as a subnet sees them; its network."""
        return self._see_subnet(subnet).network

    def _see_subnet(self, subnet: str) -> _Subnet:
        found = self._subnet(subnet)
        self._routes = {
            **self._network_routes,
            found.network: (*self._network_routes[found.network], *found.routes),
        }
        self._exempt = {**self._network_exempt, found.network: self._exemptions(found.network)}
        return found


def _ends(packet: Packet) -> tuple[End, End]:
    has_ports = packet.protocol in (TCP, UDP)
    return (
        End(_address(packet.source), packet.source_port if has_ports else None),
        End(_address(packet.destination), packet.destination_port if has_ports else None),
    )
