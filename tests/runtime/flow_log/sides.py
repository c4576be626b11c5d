"""Entries of one record each, for tests of outputs."""

from __future__ import annotations

from nsgd.flowlog.entry import Entry, Place
from tests.flowlog.entries import entry_of
from tests.flowlog.records import BEGIN, TIME_MS

HOUR_MS = 3_600_000
NOW_S = TIME_MS / 1000
_PLACES: dict[tuple[str, str], Place] = {}


def attributed(
    number: int = 0, time_ms: int = TIME_MS, mac: str = "02ABCDEF0123", network: str = "lab"
) -> Entry:
    """A begin, told from others by its port."""
    place = _PLACES.setdefault((network, mac), Place(network, mac))
    return entry_of(BEGIN._replace(source_port=number, time_ms=time_ms), place)
