"""Idle timeouts of virtual networks: what conntrack forgets after so many minutes of silence.

A flow gets its timeout with its first packet, while conntrack has not confirmed the entry, and
keeps it. Objects are named by what they say and never deleted: the flows of a deleted one would
fall back to the kernel's timeouts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nsgd.model.address import IP_VERSIONS
from nsgd.model.network import VirtualNetwork
from nsgd.model.packet import TCP, UDP
from nsgd.policy.address_set import AddressSet
from nsgd.ruleset.flow_timeout import FlowTimeout
from nsgd.ruleset.matches import CtState, MatchAddress, MatchCtState, MatchProtocol, Side
from nsgd.ruleset.objects import AddressRangeSet, Chain, NftRule, nft_rule
from nsgd.ruleset.statements import Goto, Jump, SetFlowTimeout

CHAIN = "idle_timeout"
_SIDES: tuple[Side, Side] = ("source", "destination")
_PROTOCOLS = (TCP, UDP)


class IdleTimeouts:
    """The chains, sets and objects that the timeouts of some networks need; none for none."""

    def __init__(self, networks: Iterable[VirtualNetwork]) -> None:
        by_minutes: dict[int, list[VirtualNetwork]] = {}
        for network in networks:
            if network.flow_timeout_minutes is not None:
                by_minutes.setdefault(network.flow_timeout_minutes, []).append(network)
        # Of two ends with different ones the shorter holds: in Azure each end has its own record
        # of a flow, and a flow does not outlive either.
        self._by_minutes = dict(sorted(by_minutes.items()))

    def objects(self) -> tuple[FlowTimeout, ...]:
        """One for each time and protocol."""
        return tuple(
            FlowTimeout(protocol, minutes * 60)
            for minutes in self._by_minutes
            for protocol in _PROTOCOLS
        )

    def sets(self) -> Iterator[AddressRangeSet]:
        """The addresses of the networks of each time."""
        for minutes, networks in self._by_minutes.items():
            space = AddressSet.of_prefixes(p for each in networks for p in each.address_space)
            for version in IP_VERSIONS:
                name = _set_name(minutes, version)
                yield AddressRangeSet(name, version, space.ranges(version))

    def entry(self) -> Iterator[NftRule]:
        """For packets that touch something declared; they come back."""
        if self._by_minutes:
            yield nft_rule(MatchCtState(CtState.NEW), Jump(CHAIN))

    def chains(self) -> Iterator[Chain]:
        """The shortest time first."""
        if not self._by_minutes:
            return
        yield Chain(
            CHAIN,
            tuple(
                nft_rule(
                    MatchAddress(version, side, _set_name(minutes, version)),
                    Goto(f"{CHAIN}/{minutes}"),
                )
                for minutes in self._by_minutes
                for version in IP_VERSIONS
                for side in _SIDES
            ),
        )
        for minutes in self._by_minutes:
            yield Chain(
                f"{CHAIN}/{minutes}",
                tuple(
                    nft_rule(
                        MatchProtocol(protocol), SetFlowTimeout(FlowTimeout(protocol, minutes * 60))
                    )
                    for protocol in _PROTOCOLS
                ),
            )


def _set_name(minutes: int, version: int) -> str:
    return f"idle_{minutes}_{version}"
