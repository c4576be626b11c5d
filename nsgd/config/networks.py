"""Virtual networks with their subnets, and what must not overlap among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.declared import DeclaredNetwork, DeclaredSubnet, PlacedPrefix
from nsgd.config.dialect import NOW_IN_FORCE, DialectInForce, check_services
from nsgd.config.limits import Limits
from nsgd.config.names import Names
from nsgd.config.overlap import find_overlaps
from nsgd.config.peerings import assemble_peerings
from nsgd.config.report import Place, Report
from nsgd.model.address import Prefix
from nsgd.model.network import Subnet, VirtualNetwork


def assemble_networks(
    sections: Sequence[tuple[Place, Mapping[str, Any]]],
    networks: Sequence[DeclaredNetwork],
    names: Names[DeclaredNetwork],
    security_groups: Names[str],
    limits: Limits,
    report: Report,
    in_force: DialectInForce = NOW_IN_FORCE,
) -> list[VirtualNetwork]:
    """The networks as values, after every check that concerns one of them alone."""
    result = []
    for (_, raw), network in zip(sections, networks, strict=True):
        for outer, inner in find_overlaps(network.address_space):
            report.add(
                inner[1],
                f"{inner[0]} overlaps {outer[0]} of the same address space",
                "remove one of them",
            )
        subnets = _assemble_subnets(raw, network, security_groups, report, in_force)
        peerings = assemble_peerings(raw, network, names, limits, report)
        result.append(
            VirtualNetwork(
                network.name,
                tuple(prefix for prefix, _ in network.address_space),
                tuple(subnets),
                tuple(peerings),
                tuple(prefix for prefix in raw.get("onPremises") or () if prefix is not None),
                tuple(prefix for prefix in raw.get("routes") or () if prefix is not None),
                raw.get("flowTimeoutInMinutes"),
            )
        )
    return result


def _assemble_subnets(
    raw_network: Mapping[str, Any],
    network: DeclaredNetwork,
    security_groups: Names[str],
    report: Report,
    in_force: DialectInForce,
) -> list[Subnet]:
    subnets = []
    all_prefixes: list[PlacedPrefix] = []
    for index, raw in enumerate(raw_network.get("subnets") or ()):
        if raw is None:
            continue
        place = network.place.at("subnets", index)
        prefixes = _subnet_prefixes(raw, place, report)
        for prefix, where in prefixes:
            if network.address_space and not any(
                space.covers(prefix) for space, _ in network.address_space
            ):
                spaces = ", ".join(str(space) for space, _ in network.address_space[:5])
                report.add(
                    where,
                    f"{prefix} is outside the address space {spaces}",
                    "correct it, or widen addressSpace",
                )
        all_prefixes += prefixes
        group = security_groups.resolve(
            raw.get("networkSecurityGroup"), place, "networkSecurityGroup"
        )
        services = check_services(raw.get("services") or (), place.at("services"), in_force, report)
        name: str | None = raw.get("name")
        if name is None:
            continue
        subnet = Subnet(
            name,
            tuple(prefix for prefix, _ in prefixes),
            group,
            services,
            tuple(prefix for prefix in raw.get("routes") or () if prefix is not None),
        )
        declared = DeclaredSubnet(network.name, name, subnet.address_prefixes)
        if network.subnets.declare(name, place, declared):
            network.all_subnets.append(declared)
        subnets.append(subnet)
    for outer, inner in find_overlaps(all_prefixes):
        where_outer = report.locate(outer[1], inner[1])
        report.add(
            inner[1],
            f"{inner[0]} overlaps {outer[0]} at {where_outer}",
            "subnets of a virtual network must not overlap",
        )
    return subnets


def _subnet_prefixes(raw: Mapping[str, Any], place: Place, report: Report) -> list[PlacedPrefix]:
    if "addressPrefix" in raw and "addressPrefixes" in raw:
        report.add(
            place.at("addressPrefixes"),
            "addressPrefix and addressPrefixes are given together",
            "keep one of them",
        )
    elif "addressPrefix" not in raw and "addressPrefixes" not in raw:
        report.add(
            place.at("addressPrefixes"),
            "addressPrefixes is missing",
            "add the subnet's prefixes, as a list",
        )
    if "addressPrefixes" in raw:
        return [
            (prefix, place.at("addressPrefixes", index))
            for index, prefix in enumerate(raw["addressPrefixes"])
            if prefix is not None
        ]
    prefix: Prefix | None = raw.get("addressPrefix")
    return [] if prefix is None else [(prefix, place.at("addressPrefix"))]
