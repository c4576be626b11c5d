"""Metrics of network interfaces: four series each, whatever the traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import Metric

from nsgd.observe.families import counter
from nsgd.observe.snapshot import NIC_COUNTS

_LABELS = [(direction.value, access.value) for direction, access in NIC_COUNTS]


def nic_metrics(nics: Mapping[str, Sequence[int]]) -> Iterator[Metric]:
    """None where they are not counted."""
    if nics:
        yield counter(
            "nsgd_nic_first_packets",
            "First packets of flows that a network interface's rules allowed or denied, of what it"
            " sends (Outbound) and gets (Inbound); a sender's count whatever the receiver's rules"
            " then say.",
            ("nic", "direction", "access"),
            (
                ((name, *labels), count)
                for name, counts in nics.items()
                for labels, count in zip(_LABELS, counts, strict=True)
            ),
        )
