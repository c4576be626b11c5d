"""Small service tags files in Microsoft's format, made up: never the published data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

TAGS: Mapping[str, Sequence[str]] = {
    "Storage": ("198.51.100.0/25", "203.0.113.0/24", "2001:db8:1::/48"),
    "Storage.WestEurope": ("203.0.113.0/24",),
    "AzureFrontDoor.Frontend": ("192.0.2.0/28", "2001:db8:2::/64"),
}


def tag_document(
    tags: Mapping[str, Sequence[str]] = TAGS, change_number: int = 7, cloud: str = "Public"
) -> dict[str, Any]:
    """The file as a value, for tests that spoil it."""
    return {
        "changeNumber": change_number,
        "cloud": cloud,
        "values": [
            {
                "name": name,
                "id": name,
                "properties": {
                    "changeNumber": 1,
                    "region": "",
                    "regionId": 0,
                    "platform": "Azure",
                    "systemService": "",
                    "addressPrefixes": list(prefixes),
                    "networkFeatures": ["NSG"],
                },
            }
            for name, prefixes in tags.items()
        ],
    }


def tag_file(
    tags: Mapping[str, Sequence[str]] = TAGS, change_number: int = 7, cloud: str = "Public"
) -> bytes:
    """The file's bytes."""
    return json.dumps(tag_document(tags, change_number, cloud), indent=2).encode()


def many_tags(count: int, prefixes: int = 1) -> dict[str, list[str]]:
    """So many tags, with so many prefixes each."""
    return {
        f"Tag{number}": [f"10.{number}.{octet}.0/24" for octet in range(prefixes)]
        for number in range(count)
    }
