"""What a worker looks things up in, made of its policy; one policy takes over of the one before.

What is made of addresses is most of it, and has nothing to do with rules, but for addresses that
rules newly tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nsgd.model.address import ADDRESS_BITS
from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.differences import differing_ranges, steps_between
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED, EndpointMap
from nsgd.runtime.asked_tables import AskedTables, asked_tables
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.nic_counts import NicCounts
from nsgd.runtime.worker_policy import WorkerPolicy

_ADDRESSES = 1 << ADDRESS_BITS[4]
# Where classes differ in more steps than these, all is made anew, in less time.
_MOST_STEPS = 4096


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
    tables = asked_tables(policy, counters, before.tables)
    has_same_nics = (
        policy.nic_slots is known.nic_slots and policy.is_host_only is known.is_host_only
    )
    if policy.policy.endpoint_map is not known.policy.endpoint_map:
        judges = _judges_by_class(policy.policy, *policy.address_classes[4])
        nics = NicCounts(policy, counters)
    elif policy.address_classes is not known.address_classes:
        now = policy.address_classes[4]
        differing = differing_ranges(known.address_classes[4], now, _ADDRESSES, _MOST_STEPS)
        if differing is None:
            judges = _judges_by_class(policy.policy, *now)
        else:
            judges = _changed_judges(judges, policy.policy, now, differing)
        nics = nics.changed(policy, differing) if has_same_nics else NicCounts(policy, counters)
    elif not has_same_nics:
        nics = NicCounts(policy, counters)
    return Lookups(policy, tables, judges, nics)


def _judges_by_class(
    policy: CompiledPolicy, starts: Sequence[int], classes: Sequence[int]
) -> list[Judges | None]:
    """Lookups.judges.

    Args:
        policy: Says whose addresses are whose.
        starts: Where a class begins; addresses that other tables judge are of other classes.
        classes: The class from each start on.
    """
    judges: list[Judges | None] = [None] * (max(classes) + 1)
    for start, number in zip(starts, classes, strict=True):
        if judges[number] is None:
            judges[number] = _judges_of(policy.endpoint_map, start)
    return judges


def _changed_judges(
    known: Sequence[Judges | None],
    policy: CompiledPolicy,
    address_classes: StepMap,
    differing: Iterable[Range],
) -> list[Judges | None]:
    """The same of other classes with the same endpoint map.

    A class of which some address is outside of *differing* had that address before, when it was
    asked whose it is, and the answer is that of all its addresses, None too. Any other class has
    all of its addresses inside, where they are asked. This holds however classes were numbered; a
    number that no address has any more is asked by nobody.

    Args:
        known: Those of the classes before.
        policy: See _judges_by_class().
        address_classes: Starts and the class from each on.
        differing: All addresses whose class has another number than before.
    """
    count = max(address_classes[1]) + 1
    judges = [*known[:count], *[None] * (count - len(known))]
    for first, last in differing:
        for start, _, number in steps_between(address_classes, first, last + 1):
            judges[number] = _judges_of(policy.endpoint_map, start)
    return judges


def _judges_of(endpoint_map: EndpointMap, address: int) -> Judges | None:
    """Those of an IPv4 address."""
    value = endpoint_map.by_address(4, address)
    if value == NOT_DECLARED:
        return Judges((), ())
    if value <= AMBIGUOUS:
        return None
    endpoint = endpoint_map.endpoints[value]
    return Judges(endpoint.outbound, endpoint.inbound)
