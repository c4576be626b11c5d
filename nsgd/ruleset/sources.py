"""Where a source may come from: anti-spoofing, for packets to what is declared and from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.ruleset.matches import MatchAddress, MatchLink, MatchLinkAddress, MatchNoReversePath
from nsgd.ruleset.objects import NftRule, nft_rule
from nsgd.ruleset.statements import Accept, Count, Drop, Goto, Statement

MANAGED = "managed"


@dataclass(frozen=True, slots=True)
class Sources:
    """What the rules depend on, and the rules."""

    is_gateway: bool  # a link that binds a NIC leads to it
    has_links: bool
    has_forwarders: bool
    knows_inward: bool
    deny: Accept | Drop

    def rules(self) -> Iterator[NftRule]:
        """For an entry; sources that are not checked go on with the next rule."""
        if self.has_links and self.is_gateway:
            yield nft_rule(MatchLink("source", "links"), Goto("bound"))
        for version in IP_VERSIONS:
            source = MatchAddress(version, "source", f"managed{version}")
            yield nft_rule(source, Goto(f"inside{version}"))
        for version in IP_VERSIONS:
            # Ours to check, whatever the destination is.
            declared = MatchAddress(version, "source", f"declared{version}")
            yield self._spoofed(declared, "an address of no subnet")

    def chains(self) -> Iterator[tuple[str, Iterable[NftRule]]]:
        """Those that the rules lead to; who comes from where it should goes on to be decided."""
        if self.is_gateway:
            yield "bound", self._bound()
        for version in IP_VERSIONS:
            yield f"inside{version}", self._inside(version)

    def _bound(self) -> Iterator[NftRule]:
        """From a link that binds a NIC: only the NIC's own addresses, unless it forwards."""
        if self.has_forwarders:
            yield nft_rule(MatchLink("source", "forwarders"), Goto(MANAGED))
        for version in IP_VERSIONS:
            own = MatchLinkAddress(version, "source", f"own{version}")
            yield nft_rule(own, Goto(MANAGED))
        yield nft_rule(Count("spoofed"), self.deny, comment="not an address of the link's NIC")

    def _inside(self, version: IPVersion) -> Iterator[NftRule]:
        """A source in a declared subnet: it must come from there."""
        if self.knows_inward:
            # A default route leads everywhere, so it proves nothing of an address that no host
            # has: declared networks come by the links that routes of their own use.
            inward = MatchLink("source", "inward", inverted=True)
            yield self._spoofed(inward, "no route to the network uses the link")
        yield self._spoofed(MatchNoReversePath(), "the route to the source uses another link")
        yield nft_rule(Goto(MANAGED))

    def _spoofed(self, match: Statement, comment: str) -> NftRule:
        return nft_rule(match, Count("spoofed"), self.deny, comment=comment)
