"""The ``platformAddresses`` section: where the services of Azure's platform are, or that none is.

Outside Azure these addresses belong to others. A list may then be emptied, so this is the one place
where ``[]`` does not mean that a key is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.config.addresses import parse_address
from nsgd.config.compound import Field, ListOf, ObjectOf
from nsgd.config.report import Report
from nsgd.config.sections import Section
from nsgd.config.shape import Mistake, Parsed
from nsgd.model.address import Address
from nsgd.model.platform import AZURE_PLATFORM, PlatformAddresses

_ADDRESSES = ListOf(Parsed("an address", parse_address))
_KEYS: Mapping[str, tuple[str, tuple[Address, ...]]] = {
    "host": ("host", AZURE_PLATFORM.host),
    "metadata": ("metadata", AZURE_PLATFORM.metadata),
    "keyManagement": ("key_management", AZURE_PLATFORM.key_management),
    "loadBalancer": ("load_balancer", AZURE_PLATFORM.load_balancer),
}

PLATFORM_ADDRESSES: Mapping[str, Field] = {
    key: Field(_ADDRESSES, default=[str(address) for address in default])
    for key, (_, default) in _KEYS.items()
}


class ObjectWithEmptyLists(ObjectOf):
    """An object in which an empty list is a value; null still means that the key is absent."""

    def read(self, value: object, mistakes: list[Mistake]) -> dict[str, Any] | None:
        """As any object, with the empty lists."""
        result = ObjectOf.read(self, value, mistakes)
        if result is not None and isinstance(value, dict):
            result |= {key: [] for key in self.fields if value.get(key) == []}
        return result


def assemble_platform(section: Section | None, report: Report) -> PlatformAddresses:
    """The addresses of the one section, with Azure's for each key that it lacks."""
    if section is None:
        return AZURE_PLATFORM
    place, raw = section
    values: dict[str, tuple[Address, ...]] = {}
    for key, (attribute, _) in _KEYS.items():
        if key not in raw:
            continue
        addresses: dict[Address, None] = {}
        for index, address in enumerate(raw[key] or ()):
            if address is None:
                continue
            if address in addresses:
                report.add(place.at(key, index), f"{address} is given twice", "keep one of them")
            addresses[address] = None
        values[attribute] = tuple(addresses)
    return PlatformAddresses(**values)
