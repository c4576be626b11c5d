"""The entries of the host role: what this machine itself receives and sends.

The machine's end of a packet says whether it is ours: the receiver at input, the sender at output.
Loopback, and neighbour discovery and DHCP of the machine's own segment, are never blocked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from nsgd.model.address import IP_VERSIONS
from nsgd.model.packet import ICMPV6, UDP
from nsgd.model.settings import Failsafe
from nsgd.ruleset.branches import MatchValue
from nsgd.ruleset.failsafe import failsafe_rules
from nsgd.ruleset.keys import HOP_LIMIT, TRANSPORT_BYTE, address_key
from nsgd.ruleset.local_matches import MatchLoopback, MatchTranslatedToLocal
from nsgd.ruleset.matches import (
    MatchAddress,
    MatchLink,
    MatchPorts,
    MatchProtocol,
    Side,
    opposite,
)
from nsgd.ruleset.objects import Chain, NftRule, nft_rule
from nsgd.ruleset.statements import Accept, Jump, Return, Statement

_LINK_SCOPED = "link_scoped"

_NEIGHBOUR_DISCOVERY = 133, 137  # solicitations, advertisements and redirects, RFC 4861
_MULTICAST_LISTENERS = (130, 132), (143, 143)  # without them switches cut discovery off, RFC 4541
_DHCP_V4, _DHCP_V6 = (67, 68), (546, 547)
_BROADCAST_V4 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class OwnEnd:
    """How the machine's end of a packet is known: by its side's address, or else by its link."""

    side: Side  # destination at input, source at output
    by_link: bool  # a link that binds a NIC is the machine's own

    @property
    def link_side(self) -> Side:
        """The machine receives by the incoming link and sends by the outgoing one."""
        return opposite(self.side)

    def loopback(self) -> MatchLoopback:
        """What the machine sends to itself."""
        return MatchLoopback(self.link_side)

    def is_own(self) -> Iterator[Statement]:
        """Matches of packets whose end here is declared, one of which is enough."""
        if self.by_link:
            yield MatchLink(self.link_side, "links")
        for version in IP_VERSIONS:
            yield MatchAddress(version, self.side, f"managed{version}")

    def is_another(self) -> Iterator[tuple[Statement, ...]]:
        """Matches of packets whose end here nobody has declared, one of which tells each."""
        links = (MatchLink(self.link_side, "links", inverted=True),) if self.by_link else ()
        for version in IP_VERSIONS:
            yield *links, MatchAddress(version, self.side, f"managed{version}", inverted=True)


def own_ends(*, by_link: bool) -> tuple[tuple[str, OwnEnd], tuple[str, OwnEnd]]:
    """The machine's end by the hook; *by_link* where links that bind NICs are its own."""
    return (
        ("hook_input", OwnEnd("destination", by_link)),
        ("hook_output", OwnEnd("source", by_link)),
    )


def host_chains(
    failsafe: Iterable[Failsafe],
    received: Iterable[NftRule],
    sent: Iterable[NftRule],
    *,
    by_link: bool,
) -> Iterator[Chain]:
    """The hooks' entries and what they jump to.

    Args:
        failsafe: What passes ahead of everything.
        received: What follows for packets to the machine's declared interfaces.
        sent: What follows for packets from them.
        by_link: Links that bind interfaces are the machine's own.
    """
    failsafe = tuple(failsafe)
    to_itself = nft_rule(MatchTranslatedToLocal(), Accept(), comment="to the machine itself")
    rules = tuple(received), (to_itself, *sent)
    for (name, end), further in zip(own_ends(by_link=by_link), rules, strict=True):
        yield Chain(name, (*failsafe_rules(failsafe), *_entry(end), *further))
    yield Chain(_LINK_SCOPED, tuple(_link_scoped()))


def _entry(end: OwnEnd) -> Iterator[NftRule]:
    """What is not ours ends here, and what must never be blocked."""
    yield nft_rule(end.loopback(), Accept())
    for matches in end.is_another():
        yield NftRule((*matches, Return()), "not ours")
    for protocol in (ICMPV6, UDP):
        yield nft_rule(MatchProtocol(protocol), Jump(_LINK_SCOPED))


def _link_scoped() -> Iterator[NftRule]:
    """Neighbour discovery and DHCP that no router has forwarded, nor would."""
    icmp = MatchProtocol(ICMPV6)
    yield nft_rule(
        icmp,
        MatchValue(HOP_LIMIT, 255, 255),
        MatchValue(TRANSPORT_BYTE, *_NEIGHBOUR_DISCOVERY),
        Accept(),
        comment="neighbour discovery",
    )
    from_link = _v6("source", "fe80::", 10)
    unspecified = _v6("source", "::", 128)
    for first, last in _MULTICAST_LISTENERS:
        for source in (from_link, unspecified):
            yield nft_rule(
                icmp,
                MatchValue(HOP_LIMIT, 1, 1),
                MatchValue(TRANSPORT_BYTE, first, last),
                source,
                Accept(),
                comment="multicast listeners",
            )
    unconfigured = MatchValue(address_key(4, "source"), 0, 0)
    broadcast = MatchValue(address_key(4, "destination"), _BROADCAST_V4, _BROADCAST_V4)
    for match in (unconfigured, broadcast):
        yield nft_rule(*_ports(_DHCP_V4), match, Accept(), comment="DHCP")
    for to in (_v6("destination", "fe80::", 10), _v6("destination", "ff02::", 16)):
        yield nft_rule(*_ports(_DHCP_V6), from_link, to, Accept(), comment="DHCP")


def _ports(ports: tuple[int, int]) -> tuple[Statement, ...]:
    return MatchProtocol(UDP), MatchPorts("source", *ports), MatchPorts("destination", *ports)


def _v6(side: Side, network: str, length: int) -> MatchValue:
    first = int(IPv6Address(network))
    return MatchValue(address_key(6, side), first, first | (1 << 128 - length) - 1)
