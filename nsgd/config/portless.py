"""Rules of protocols without ports: they name none, as they would match nothing if they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.report import Place, Report
from nsgd.model.address import ALL_PORTS, PortRange
from nsgd.model.rule import Protocol

WITHOUT_PORTS = (Protocol.ICMP, Protocol.ESP, Protocol.AH)
_MOST_SHOWN = 5


def check_portless(raw: Mapping[str, Any], place: Place, report: Report) -> None:
    """Report ports in a rule of a protocol that has none.

    Azure takes such rules. Nothing says what they match, and here they match nothing: a Deny would
    deny nothing without a word.
    """
    protocol = raw.get("protocol")
    if protocol not in WITHOUT_PORTS:
        return
    for side in ("source", "destination"):
        for key in (f"{side}PortRange", f"{side}PortRanges"):
            written = raw.get(key)
            ports: list[Any] = written if isinstance(written, list) else [written]
            if key not in raw or None in ports or _are_all(ports):
                continue
            shown = ", ".join(map(str, ports[:_MOST_SHOWN]))
            more = len(ports) - _MOST_SHOWN
            report.add(
                place.at(key),
                f"protocol {protocol.value} has no ports, and {shown}"
                f"{f' and {more} more' if more > 0 else ''} would match nothing",
                "write '*', or protocol Tcp or Udp if ports are meant",
            )


def _are_all(ports: Sequence[PortRange]) -> bool:
    """Whether no port is missing: then such a packet is matched too."""
    end = -1
    for port in sorted(ports):
        if port.first > end + 1:
            return False
        end = max(end, port.last)
    return end == ALL_PORTS.last
