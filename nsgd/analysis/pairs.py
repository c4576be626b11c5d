"""Whose traffic two policies judge: each address with its resource in the one and in the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nsgd.analysis.policy import AnalysedPolicy, Subject, last_address
from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.policy.address_set import Range, merge_ranges
from nsgd.spaces.ranges import Ranges


@dataclass(slots=True)
class Pair:
    """The resource of some addresses before and after; None where they are not declared."""

    before: int | None
    after: int | None
    _spans: dict[IPVersion, list[Range]] = field(default_factory=lambda: {4: [], 6: []})

    def add(self, version: IPVersion, span: Range) -> None:
        """Give it more addresses."""
        self._spans[version].append(span)

    def addresses(self, version: IPVersion) -> Ranges:
        """The addresses in question."""
        return merge_ranges(self._spans[version])


def pair_resources(before: AnalysedPolicy, after: AnalysedPolicy) -> list[Pair]:
    """Every address that either policy declares, by its resources.

    A packet is judged by the resource that has its address, whatever the resource is called. A
    network interface that forwards is judged by its link, and so for every address.
    """
    pairs: dict[tuple[int | None, int | None], Pair] = {}

    def add(old: int | None, new: int | None, version: IPVersion, span: Range) -> None:
        pair = pairs.get((old, new))
        if pair is None:
            pair = pairs[old, new] = Pair(old, new)
        pair.add(version, span)

    for version in IP_VERSIONS:
        for first, last, old, new in _sweep(before, after, version):
            for network in dict.fromkeys((*old, *new)):
                add(old.get(network), new.get(network), version, (first, last))
    by_name = [{key: index for index, key in _by_name(policy)} for policy in (before, after)]
    for key, old_index in by_name[0].items():
        new_index = by_name[1].get(key)
        if new_index is not None and (
            before.subjects[old_index].has_every_address
            or after.subjects[new_index].has_every_address
        ):
            for version in IP_VERSIONS:
                add(old_index, new_index, version, (0, last_address(version)))
    return list(pairs.values())


def _by_name(policy: AnalysedPolicy) -> Iterator[tuple[int, tuple[str, ...]]]:
    for index, subject in enumerate(policy.subjects):
        yield index, _key(subject)


def _key(subject: Subject) -> tuple[str, ...]:
    return subject.kind.value, subject.virtual_network.lower(), subject.name.lower()


def _sweep(
    before: AnalysedPolicy, after: AnalysedPolicy, version: IPVersion
) -> Iterator[tuple[int, int, dict[str, int], dict[str, int]]]:
    """Ranges of addresses with the resources by network in both policies."""
    changes: dict[int, list[dict[str, int] | None]] = {}
    for side, policy in enumerate((before, after)):
        for start, there in policy.spans(version):
            changes.setdefault(start, [None, None])[side] = there
    starts = sorted(changes)
    old: dict[str, int] = {}
    new: dict[str, int] = {}
    for start, following in zip(starts, [*starts[1:], last_address(version) + 1], strict=True):
        old_there, new_there = changes[start]
        old = old if old_there is None else old_there
        new = new if new_there is None else new_there
        if old or new:
            yield start, following - 1, old, new
