"""What the host role's rules ask of a packet besides: whether it stays on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.ruleset.matches import Side, link_text, load_link
from nsgd.wire import expressions as x

_CT_DESTINATION_TRANSLATED = 1 << 5  # IPS_DST_NAT
_ROUTE_TYPE_LOCAL = 2  # RTN_LOCAL


@dataclass(frozen=True, slots=True)
class MatchTranslatedToLocal:
    """A destination translation has sent the packet to an address of this machine."""

    def text(self) -> str:
        return "ct status dnat fib daddr type local"

    def encode(self) -> list[bytes]:
        return [
            x.ct_load(x.CT_STATUS),
            x.bitwise32(_CT_DESTINATION_TRANSLATED),
            x.compare(x.CMP_NOT_EQUAL, x.native32(0)),
            x.destination_type(),
            x.compare(x.CMP_EQUAL, x.native32(_ROUTE_TYPE_LOCAL)),
        ]


@dataclass(frozen=True, slots=True)
class MatchLoopback:
    """The packet comes in (source) or goes out (destination) by the loopback link."""

    side: Side

    def text(self) -> str:
        return f'{link_text(self.side)} "lo"'

    def encode(self) -> list[bytes]:
        return [load_link(self.side), x.compare(x.CMP_EQUAL, x.link_name("lo"))]
