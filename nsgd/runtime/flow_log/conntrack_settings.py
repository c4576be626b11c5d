"""What conntrack must keep of each flow for its log, turned on where that is permitted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_DIRECTORY = Path("/proc/sys/net/netfilter")
# Each with what is missing without it. All hold only for flows that begin after they are set.
_NEEDED = (
    ("nf_conntrack_acct", "records of flows have no packets and bytes"),
    ("nf_conntrack_events", "ends of flows are told late, by what is no longer there"),
    ("nf_conntrack_timestamp", "flows whose begin was not told begin when they were found"),
)


def turn_on(directory: Path = _DIRECTORY) -> Iterator[str]:
    """Set all to 1; a line for each that is not and cannot be."""
    for name, missing in _NEEDED:
        path = directory / name
        try:
            if path.read_text().strip() == "1":
                continue
            path.write_text("1")
        except OSError as error:
            reason = error.strerror or str(error)
            yield (
                f"flow log: net.netfilter.{name} is not 1 and cannot be set"
                f" ({reason.lower()}): {missing}; set it at boot (nsgd.sysctl)"
            )
