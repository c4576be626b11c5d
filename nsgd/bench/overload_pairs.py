"""A firewall and the one that it is compared with, under the same flood by turns.

Both gateways are there at the same time, so that turns are a second apart: what else the machine
does, and where its scheduler puts whom, changes within seconds, and by more than firewalls differ.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nsgd.bench.contenders import Running
from nsgd.bench.overload import OverloadPlan, Site, overload_site
from nsgd.lab.netns import NetworkNamespace

Start = Callable[[NetworkNamespace, Path], Running]


@dataclass(slots=True)
class PairedRound:
    """One round: rates a second and shares of a contender, and its ratios to the base by pairs."""

    values: dict[str, float] = field(default_factory=dict)
    paced_ratios: list[float] = field(default_factory=list)
    unpaced_ratios: list[float] = field(default_factory=list)


def measure_pairs(base: Start, own: Start, frames: Path, plan: OverloadPlan) -> PairedRound:
    """Measure a contender beside the base. Raises ContenderFailed."""
    made = PairedRound()
    with contextlib.ExitStack() as stack:
        sites = [stack.enter_context(overload_site(start, frames)) for start in (base, own)]
        base_share, share = (site.connected_share(plan) for site in sites)
        made.values["connectedShare"] = share
        if base_share:
            made.values["connectedRatio"] = share / base_share
        paced: list[float] = []
        unpaced: list[float] = []
        for number in range(plan.pairs):
            first, second = _in_turn(sites, number, plan)
            paced.append(second[0])
            unpaced.append(second[1])
            for ratios, ours, theirs in (
                (made.paced_ratios, second[0], first[0]),
                (made.unpaced_ratios, second[1], first[1]),
            ):
                if theirs:
                    ratios.append(ours / theirs)
        made.values["pacedMbitPerS"] = statistics.median(paced)
        made.values["unpacedMbitPerS"] = statistics.median(unpaced)
        made.values |= sites[1].values()
        sites[0].running.check()
    return made


def _in_turn(sites: list[Site], number: int, plan: OverloadPlan) -> list[tuple[float, float]]:
    """What the open flow of each site carries; every other time the second comes first."""
    order = (0, 1) if number % 2 == 0 else (1, 0)
    found = {index: sites[index].open_flow_mbit_per_s(plan) for index in order}
    return [found[0], found[1]]
