"""Which addresses of a lab's hosts take part, and who sends to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nsgd.lab.candidates import Candidate
from nsgd.lab.topology import LabHost
from nsgd.model.address import IP_VERSIONS, Address

_ADDRESSES_OF_AN_INTERFACE = 2  # of each family


@dataclass(frozen=True, slots=True)
class End:
    """One address of a host, as a host that has no other."""

    host: LabHost
    address: Address
    is_outside: bool
    is_first: bool


def ends_of(chosen: Sequence[Candidate]) -> list[End]:
    """The addresses that take part."""
    ends = []
    for candidate in chosen:
        is_outside = candidate.kind == "place outside"
        for host in candidate.hosts:
            for version in IP_VERSIONS:
                addresses = [a for a in host.addresses if a.version == version]
                if candidate.kind == "network interface":
                    addresses = addresses[:_ADDRESSES_OF_AN_INTERFACE]
                for index, address in enumerate(addresses):
                    view = LabHost(host.name, (address,), host.link, host.behind)
                    ends.append(End(view, address, is_outside, index == 0))
    return ends


def pairs_of(ends: Sequence[End]) -> list[tuple[End, End]]:
    """Who sends to whom. What is outside on both sides is nobody's, so once is enough."""
    return [
        (sender, receiver)
        for sender in ends
        for receiver in ends
        if sender.address.version == receiver.address.version
        and sender.host.gateway_link != receiver.host.gateway_link
        and (
            not (sender.is_outside and receiver.is_outside)
            or (sender.is_first and receiver.is_first)
        )
    ]
