"""Chooses the hosts of a lab: few, and every group, subnet and kind of host among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nsgd.lab.candidates import Candidate, Shown
from nsgd.lab.outside import INTERNET
from nsgd.lab.topology import LabHost
from nsgd.policy.compile import CompiledPolicy

# What a host is chosen for: one of these outweighs any number of those below it.
_WEIGHTS: dict[str, int] = {
    "network security group": 10**12,
    "forwarding network interface": 10**10,
    "application security group": 10**10,
    "place outside": 10**9,
    "combination of groups": 10**7,
    "subnet": 10**6,
    "undeclared": 10**4,
    "class": 1,
}
# Told when none of the chosen hosts shows it.
_TOLD = (
    "network security group",
    "application security group",
    "subnet",
    "forwarding network interface",
    "place outside",
)
# Beyond, what rules tell apart is not looked at: the groups and subnets decide.
_MAXIMUM_CLASSES = 400_000


@dataclass(frozen=True, slots=True)
class Choice:
    """*chosen* in the order of the candidates; *not_shown* is what the lab has no host for."""

    chosen: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    not_shown: tuple[Shown, ...]

    @property
    def hosts(self) -> tuple[LabHost, ...]:
        """All hosts of the lab."""
        return tuple(host for candidate in self.chosen for host in candidate.hosts)


def choose_hosts(candidates: Sequence[Candidate], limit: int, policy: CompiledPolicy) -> Choice:
    """Choose at most *limit* hosts, by what each adds for its number; ties go to the first.

    The Internet is always there, so *limit* is at least 2.
    """
    shows = [
        candidate.shows | classes
        for candidate, classes in zip(candidates, _classes(candidates, policy), strict=True)
    ]
    chosen: set[int] = set()
    shown: set[Shown] = set()
    room = limit

    def take(index: int) -> None:
        nonlocal room
        chosen.add(index)
        shown.update(shows[index])
        room -= len(candidates[index].hosts)

    for index, candidate in enumerate(candidates):
        if candidate.shows == {("place outside", INTERNET)}:
            take(index)
    # Many NICs show the same: one of each kind stands for them until all is shown.
    alike: dict[frozenset[Shown], list[int]] = {}
    for index, what in enumerate(shows):
        if index not in chosen:
            alike.setdefault(what, []).append(index)
    while True:
        gains = [
            (_gain(what - shown) // len(candidates[indexes[0]].hosts), -indexes[0], indexes)
            for what, indexes in alike.items()
            if indexes and len(candidates[indexes[0]].hosts) <= room
        ]
        best = max(gains, default=(0, 0, []))
        if not best[0]:
            break
        take(best[2].pop(0))
    for index, candidate in enumerate(candidates):
        if index not in chosen and len(candidate.hosts) <= room:
            take(index)
    every = {what for candidate in candidates for what in candidate.shows if what[0] in _TOLD}
    order = {kind: number for number, kind in enumerate(_TOLD)}
    return Choice(
        tuple(c for i, c in enumerate(candidates) if i in chosen),
        tuple(c for i, c in enumerate(candidates) if i not in chosen),
        tuple(sorted(every - shown, key=lambda what: (order[what[0]], what[1]))),
    )


def _gain(what: Iterable[Shown]) -> int:
    return sum(_WEIGHTS[kind] for kind, _ in what)


def _classes(candidates: Sequence[Candidate], policy: CompiledPolicy) -> Iterable[set[Shown]]:
    """What the rules of all tables tell of each candidate's addresses."""
    addresses = sum(len(host.addresses) for each in candidates for host in each.hosts)
    if addresses * len(policy.tables) > _MAXIMUM_CLASSES:
        return [set() for _ in candidates]
    found = []
    for candidate in candidates:
        classes: set[Shown] = set()
        for host in candidate.hosts:
            for version, value in host.addresses:
                for index, table in enumerate(policy.tables):
                    family = table.family_v4 if version == 4 else table.family_v6
                    sources, destinations = family.sources, family.destinations
                    rules = f"{sources.rules(value):x}/{destinations.rules(value):x}"
                    classes.add(("class", f"{index}: {version} {rules}"))
        found.append(classes)
    return found
