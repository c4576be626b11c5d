"""Peerings: the network that each leads to exists, is another one, and does not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.declared import DeclaredNetwork
from nsgd.config.limits import Limits
from nsgd.config.names import Names, fold
from nsgd.config.overlap import find_overlaps
from nsgd.config.report import Report
from nsgd.config.wording import show
from nsgd.model.network import Peering, VirtualNetwork


def assemble_peerings(
    raw_network: Mapping[str, Any],
    network: DeclaredNetwork,
    names: Names[DeclaredNetwork],
    limits: Limits,
    report: Report,
) -> list[Peering]:
    """One network's peerings as values."""
    raw_peerings: Sequence[Mapping[str, Any] | None] = raw_network.get("peerings") or ()
    place = network.place.at("peerings")
    limits.check("peeringsPerVirtualNetwork", len(raw_peerings), place, report)
    peerings: dict[str, Peering] = {}
    for index, raw in enumerate(raw_peerings):
        if raw is None:
            continue
        place = network.place.at("peerings", index)
        remote = names.resolve(raw.get("name"), place)
        if remote is None:
            continue
        key = fold(remote.name)
        if key == fold(network.name):
            report.add(place, f"{show(remote.name)} is this network itself", "remove the peering")
        elif key in peerings:
            report.add(
                place, f"the peering with {show(remote.name)} is given twice", "keep one of them"
            )
        else:
            peerings[key] = Peering(
                remote.name,
                raw.get("allowGatewayTransit") or False,
                raw.get("useRemoteGateways") or False,
            )
    return list(peerings.values())


def check_peer_overlaps(
    networks: Sequence[VirtualNetwork], names: Names[DeclaredNetwork], report: Report
) -> None:
    """Report prefixes that two peers share, where both sides declare the peering.

    A packet between them could not be told apart from one inside. Networks that are not peers
    may overlap (docs/azure-reference.md, choice 16).
    """
    peers = {
        (network.name, peering.remote_virtual_network)
        for network in networks
        for peering in network.peerings
    }
    for name, remote_name in sorted(peers):
        if name >= remote_name or (remote_name, name) not in peers:
            continue
        network, remote = names.find(name), names.find(remote_name)
        if network is None or remote is None:
            continue
        entries = network.address_space + remote.address_space
        owners = [network] * len(network.address_space) + [remote] * len(remote.address_space)
        owned = [
            (prefix, (place, owner)) for (prefix, place), owner in zip(entries, owners, strict=True)
        ]
        for (outer, (outer_place, outer_owner)), (
            inner,
            (inner_place, inner_owner),
        ) in find_overlaps(owned):
            if outer_owner is not inner_owner:
                report.add(
                    inner_place,
                    f"{inner} overlaps {outer} of peer {show(outer_owner.name)} "
                    f"({report.locate(outer_place, inner_place)})",
                    "change one address space, or remove the peering",
                )
