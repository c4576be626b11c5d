"""Rules that pass management traffic, ahead of everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nsgd.model.address import IPVersion
from nsgd.model.packet import TCP, UDP
from nsgd.model.rule import Protocol
from nsgd.model.settings import Failsafe
from nsgd.ruleset.matches import MatchAddress, MatchCtReply, MatchPorts, MatchProtocol, Side
from nsgd.ruleset.objects import NftRule
from nsgd.ruleset.statements import Accept, Count


def failsafe_set(index: int, version: IPVersion) -> str:
    """Name of the set of a failsafe entry's sources."""
    return f"failsafe_{index}_{version}"


def failsafe_rules(entries: Iterable[Failsafe]) -> Iterator[NftRule]:
    """Pass management traffic and its answers ahead of everything."""
    for index, failsafe in enumerate(entries):
        protocol = MatchProtocol(TCP if failsafe.protocol is Protocol.TCP else UDP)
        versions = {prefix.version for prefix in failsafe.sources}
        for ports in failsafe.ports:
            for is_reply in (False, True):
                side: Side = "source" if is_reply else "destination"
                peer: Side = "destination" if is_reply else "source"
                port_match = MatchPorts(side, ports.first, ports.last)
                matches = (protocol, port_match, MatchCtReply(is_reply))
                action = (Count("failsafe"), Accept())
                if not failsafe.sources:
                    yield NftRule((*matches, *action), "failsafe")
                for version in sorted(versions):
                    address = MatchAddress(version, peer, failsafe_set(index, version))
                    yield NftRule((address, *matches, *action), "failsafe")
