"""Virtual networks and subnets as references find them, before they are values of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsgd.config.names import Names
from nsgd.config.report import Place, Report
from nsgd.model.address import Prefix

PlacedPrefix = tuple[Prefix, Place]


@dataclass(slots=True)
class DeclaredSubnet:
    """A subnet and the name of the virtual network that it is in."""

    network: str
    name: str
    prefixes: tuple[Prefix, ...]


@dataclass(slots=True)
class DeclaredNetwork:
    """A virtual network; *subnets* and *all_subnets* are filled when its subnets are read."""

    name: str  # empty where the document has none, which has then been reported
    place: Place
    address_space: list[PlacedPrefix]
    subnets: Names[DeclaredSubnet]
    all_subnets: list[DeclaredSubnet] = field(default_factory=list)


def declare_networks(
    sections: Sequence[tuple[Place, Mapping[str, Any]]], report: Report
) -> tuple[Names[DeclaredNetwork], list[DeclaredNetwork]]:
    """The networks by name for references, and in the order of *sections*."""
    names: Names[DeclaredNetwork] = Names("virtual network", report)
    networks = []
    for place, raw in sections:
        name: str | None = raw.get("name")
        space = [
            (prefix, place.at("addressSpace", index))
            for index, prefix in enumerate(raw.get("addressSpace") or ())
            if prefix is not None
        ]
        network = DeclaredNetwork(name or "", place, space, Names("subnet", report))
        networks.append(network)
        if name is not None:
            names.declare(name, place, network)
    return names, networks
