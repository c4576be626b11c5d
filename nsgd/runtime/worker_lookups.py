"""What a worker looks things up in, made of its policy; one policy takes over of the one before.

What is made of addresses is most of it, and has nothing to do with rules, but for addresses that
rules newly tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED
from nsgd.runtime.asked_tables import AskedTables, asked_tables
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.nic_counts import NicCounts
from nsgd.runtime.worker_policy import WorkerPolicy


class Judges(NamedTuple):
    """The tables that judge what a resource sends and gets."""

    outbound: tuple[int, ...]
    inbound: tuple[int, ...]


class Lookups(NamedTuple):
    """Those of one policy."""

    policy: WorkerPolicy
    tables: AskedTables
    # By class of IPv4 addresses; None where the other address, too, says which resource it is.
    judges: Sequence[Judges | None]
    nics: NicCounts  # with the classes of IPv4 addresses


def make_lookups(
    policy: WorkerPolicy, counters: SharedCounters, before: Lookups | None = None
) -> Lookups:
    """The look-ups of a policy.

    Args:
        policy: The policy.
        counters: Where packets are counted.
        before: Those of another policy with the same counters, to take over what depends on parts
            only that are the same objects in both policies.
    """
    if before is None:
        return Lookups(
            policy,
            asked_tables(policy, counters),
            _judges_by_class(policy.policy, *policy.address_classes[4]),
            NicCounts(policy, counters),
        )
    known, judges, nics = before.policy, before.judges, before.nics
    is_same_map = policy.policy.endpoint_map is known.policy.endpoint_map
    has_same_classes = policy.address_classes is known.address_classes
    if not (has_same_classes and is_same_map):
        judges = _judges_by_class(policy.policy, *policy.address_classes[4])
    if not (
        has_same_classes
        and is_same_map
        and policy.nic_slots is known.nic_slots
        and policy.is_host_only is known.is_host_only
    ):
        nics = NicCounts(policy, counters)
    return Lookups(policy, asked_tables(policy, counters, before.tables), judges, nics)


def _judges_by_class(
    policy: CompiledPolicy, starts: Sequence[int], classes: Sequence[int]
) -> list[Judges | None]:
    """Lookups.judges.

    Args:
        policy: Says whose addresses are whose.
        starts: Where a class begins; addresses that other tables judge are of other classes.
        classes: The class from each start on.
    """
    endpoint_map = policy.endpoint_map
    judges: list[Judges | None] = [None] * (max(classes) + 1)
    for start, number in zip(starts, classes, strict=True):
        if judges[number] is None:
            value = endpoint_map.by_address(4, start)
            if value == NOT_DECLARED:
                judges[number] = Judges((), ())
            elif value > AMBIGUOUS:
                endpoint = endpoint_map.endpoints[value]
                judges[number] = Judges(endpoint.outbound, endpoint.inbound)
    return judges
