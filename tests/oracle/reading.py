"""Read the words that documents are made of, for the oracle: protocols, ports, absent values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PortRange = tuple[int, int]  # first and last, both included

# NSG, SPEC: the protocols a rule may name, by IP version.
PROTOCOL_NUMBERS: Mapping[str, Mapping[int, int]] = {
    "tcp": {4: 6, 6: 6},
    "udp": {4: 17, 6: 17},
    "icmp": {4: 1, 6: 58},  # 13.4: ICMPv6 on IPv6
    "esp": {4: 50, 6: 50},
    "ah": {4: 51, 6: 51},
}


def read_protocol(text: str) -> str:
    name = key(text)
    if name != "*" and name not in PROTOCOL_NUMBERS:
        raise ValueError(f"not a protocol: {text}")
    return name


def read_port_ranges(texts: Iterable[Any]) -> tuple[PortRange, ...]:
    """Ports as numbers."""
    return tuple(_port_range(str(text)) for text in texts)


def _port_range(text: str) -> PortRange:
    if text == "*":
        return 0, 65535
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def is_absent(value: object) -> bool:
    """13.2: "", null and [] mean absent. A port 0 does not."""
    return value is None or value == "" or value == []


def entries(owner: Mapping[str, Any], field: str) -> list[Any]:
    value = owner.get(field)
    return [] if is_absent(value) else list(owner[field])


def key(name: str) -> str:
    """13.2: names, enumerations and tags compare without case."""
    return name.lower()
