"""Scale sets: the prefixes of their instances, inside a subnet and apart from one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.declared import DeclaredSubnet, PlacedPrefix
from nsgd.config.interfaces import InterfaceReader
from nsgd.config.names import Names
from nsgd.config.overlap import find_overlaps
from nsgd.config.report import Place, Report
from nsgd.config.sections import Section
from nsgd.config.wording import show
from nsgd.model.address import Prefix
from nsgd.model.network import ScaleSet


def assemble_scale_sets(
    sections: Sequence[Section],
    security_groups: Names[str],
    interfaces: InterfaceReader,
    report: Report,
) -> list[ScaleSet]:
    """The scale sets as values; one whose subnet or name was refused is left out.

    Args:
        sections: Of all documents.
        security_groups: The declared ones.
        interfaces: Follows references to subnets and application security groups.
        report: Where problems go.
    """
    names: Names[None] = Names("scale set", report)
    by_network: dict[str, list[PlacedPrefix]] = {}
    result = []
    for place, raw in sections:
        name: str | None = raw.get("name")
        if name is not None:
            names.declare(name, place, None)
        security_group = security_groups.resolve(
            raw.get("networkSecurityGroup"), place, "networkSecurityGroup"
        )
        subnet = interfaces.subnet(raw.get("subnet"), place)
        prefixes = _prefixes(raw, place)
        if subnet is not None:
            _check_inside(prefixes, subnet, report)
            by_network.setdefault(subnet.network, []).extend(prefixes)
        groups: tuple[str, ...] = ()
        if entries := raw.get("applicationSecurityGroups"):
            # How many instances there are is not known, so none count towards a limit.
            at = place.at("applicationSecurityGroups")
            groups = interfaces.join(entries, name, subnet, 0, at)
        if name is not None and subnet is not None:
            result.append(
                ScaleSet(
                    name,
                    subnet.network,
                    subnet.name,
                    tuple(prefix for prefix, _ in prefixes),
                    security_group,
                    groups,
                    raw.get("created"),
                )
            )
    for network, placed in by_network.items():
        _check_apart(network, placed, report)
    return result


def _prefixes(raw: Mapping[str, Any], place: Place) -> list[PlacedPrefix]:
    entries: Sequence[Prefix | None] = raw.get("privateIPAddressPrefixes") or ()
    return [
        (prefix, place.at("privateIPAddressPrefixes", index))
        for index, prefix in enumerate(entries)
        if prefix is not None
    ]


def _check_inside(prefixes: Sequence[PlacedPrefix], subnet: DeclaredSubnet, report: Report) -> None:
    if not subnet.prefixes:
        return  # which has been reported
    for prefix, at in prefixes:
        if not any(of_subnet.covers(prefix) for of_subnet in subnet.prefixes):
            shown = ", ".join(str(of_subnet) for of_subnet in subnet.prefixes[:5])
            report.add(
                at,
                f"{prefix} is not inside subnet {subnet.network}/{subnet.name} ({shown})",
                "write a prefix of the subnet, or name another subnet",
            )


def _check_apart(network: str, placed: Sequence[PlacedPrefix], report: Report) -> None:
    for outer, inner in find_overlaps(placed):
        report.add(
            inner[1],
            f"{inner[0]} overlaps {outer[0]} at {report.locate(outer[1], inner[1])}, in virtual"
            f" network {show(network)}",
            "give each scale set addresses of its own",
        )
