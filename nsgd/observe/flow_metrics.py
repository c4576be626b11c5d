"""Metrics of flows by outcome, and of the rules that decided them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from nsgd.model.decision import Reason
from nsgd.model.rule import Access, Direction
from nsgd.observe.families import counter
from nsgd.observe.open_flow_metrics import open_flow_metrics
from nsgd.observe.snapshot import RuleHits, Snapshot

# Outcomes that there are, so that a series begins at 0 and not with its first flow.
_FLOWS = tuple(
    (direction, access, reason)
    for reason, directions, accesses in (
        (Reason.RULE, tuple(Direction), tuple(Access)),
        (Reason.NO_NSG, (Direction.INBOUND,), (Access.ALLOW,)),
        (Reason.UNSUPPORTED_PROTOCOL, tuple(Direction), (Access.DENY,)),
        (Reason.AMBIGUOUS_NETWORK, (Direction.INBOUND,), (Access.DENY,)),
        (Reason.UNPARSABLE, (Direction.INBOUND,), (Access.DENY,)),
    )
    for direction in directions
    for access in accesses
)


def flow_metrics(snapshot: Snapshot, *, by_rule: bool) -> Iterator[Metric]:
    """Hits of rules, unless they are not asked for, and outcomes of flows."""
    if by_rule:
        yield _rule_hits(snapshot.rule_hits)
    flows = dict.fromkeys(_FLOWS, 0)
    flows |= {(each.direction, each.access, each.reason): each.flows for each in snapshot.flows}
    yield counter(
        "nsgd_flows",
        "Flows by final outcome, each counted once at its first packet;"
        " a retry after a denial is a flow again.",
        ("direction", "access", "reason"),
        (
            ((direction.value, access.value, reason.value), count)
            for (direction, access, reason), count in flows.items()
        ),
    )
    yield counter(
        "nsgd_midstream_packets",
        "First packets of allowed flows that were TCP segments from the middle of a connection,"
        " as after a loss of the kernel's connection table.",
        (),
        [((), snapshot.midstream_packets)],
    )
    yield from open_flow_metrics(snapshot)


def _rule_hits(hits: Iterable[RuleHits]) -> Metric:
    """How often each rule decided."""
    return counter(
        "nsgd_rule_hits",
        "First packets of flows for which a security rule decided its network security group;"
        " a flow counts in each group that it consults, up to the first that denies."
        " The label nsg is empty for platform and security admin rules ahead of all groups.",
        ("nsg", "direction", "rule", "access"),
        (
            (
                (
                    entry.network_security_group,
                    entry.direction.value,
                    entry.rule,
                    entry.access.value,
                ),
                entry.hits,
            )
            for entry in hits
        ),
    )
