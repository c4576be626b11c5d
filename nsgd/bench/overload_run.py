"""``nsgd bench --overload``: somebody else's connections under floods of denied flows."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.machine import describe
from nsgd.bench.network import write_denied_frames
from nsgd.bench.options import OVERLOAD_NAMES, Options, WrongUsage
from nsgd.bench.overload import (
    FULL_OVERLOAD,
    ONE_RULE,
    QUICK_OVERLOAD,
    SOURCES,
    policy,
    start_one_rule,
    starter,
)
from nsgd.bench.overload_pairs import PairedRound, measure_pairs
from nsgd.bench.says import heading, say
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, quartiles_text, ratio_text
from nsgd.lab.netns import remove_leftovers
from nsgd.lab.progress import progress

BASE = "one-rule"
CONTENDERS = dict(
    zip(
        OVERLOAD_NAMES,
        (
            start_one_rule,
            starter("queue"),
            starter("queue", admission={"enabled": False}),
            starter("kernel"),
        ),
        strict=True,
    )
)
_COLUMNS = (
    ("flood/s", "floodPerS", number_text),
    ("connected %", "connectedPercent", number_text),
    ("of one-rule", "connectedRatio", ratio_text),
    ("paced flow Mbit/s", "pacedMbitPerS", number_text),
    ("of one-rule, by pairs", "pacedRatios", ratio_text),
    ("unpaced", "unpacedMbitPerS", number_text),
    ("of one-rule, by pairs", "unpacedRatios", ratio_text),
    ("queued/s", "queuedPerS", number_text),
    ("not admitted/s", "notAdmittedPerS", number_text),
    ("lost at queue/s", "queueDroppedPerS", number_text),
)


def run_overload(args: argparse.Namespace, options: Options) -> int:
    """Measure and report; the exit code. Raises WrongUsage before anything is measured."""
    strange = [word for word in options.words if word not in CONTENDERS]
    if strange:
        raise WrongUsage(f"--overload has the contenders {', '.join(CONTENDERS)} only")
    if args.print_rulesets or args.write_policies:
        # What nsgd writes for its policy, nsgd itself shows.
        print(ONE_RULE if args.print_rulesets else json.dumps(policy("queue"), indent=1))
        return 0
    chosen = [name for name in CONTENDERS if name in options.words or not options.words]
    plan = QUICK_OVERLOAD if args.quick else FULL_OVERLOAD
    remove_leftovers()
    started = time.perf_counter()
    failures: list[str] = []
    measured: dict[tuple[str, str], list[PairedRound]] = {}
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory:
        frames = Path(directory, "frames")
        for sources, addresses in SOURCES.items():
            write_denied_frames(frames, addresses())
            for number in range(1, options.rounds + 1):
                # In turn, so that what changes with time meets all alike.
                for name in chosen:
                    progress(f"{sources} sources, round {number} of {options.rounds}: {name}")
                    own = CONTENDERS[name]
                    try:
                        found = measure_pairs(CONTENDERS[BASE], own, frames, plan)
                    except ContenderFailed as failed:
                        found = PairedRound()
                        failures.append(f"{name}, {sources} sources, round {number}: {failed}")
                    measured.setdefault((sources, name), []).append(found)
    progress("")
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": {
            "repeat": options.rounds,
            "attempts": plan.attempts,
            "attemptsPerS": plan.attempts_per_s,
            "pairs": plan.pairs,
            "sliceS": plan.slice_s,
            "paceMbitPerS": plan.pace_mbit_per_s,
        },
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        say(failure)
    if args.output == "json":
        results = [
            {
                "sources": sources,
                "contender": name,
                "rounds": [
                    {
                        **found.values,
                        "pacedRatios": found.paced_ratios,
                        "unpacedRatios": found.unpaced_ratios,
                    }
                    for found in rounds
                ],
            }
            for (sources, name), rounds in measured.items()
        ]
        print(json.dumps({**context, "results": results}, indent=2))
    else:
        print(f"{heading(context)}\n\n{format_overload(measured)}")
    return 1 if failures else 0


def format_overload(measured: Mapping[tuple[str, str], Sequence[PairedRound]]) -> str:
    """A row for each flood and contender: medians, with least and most of the rounds.

    Ratios by pairs have the quartiles of all pairs instead.
    """
    return format_table(
        [
            ("contender", "sources", *(title for title, _, _ in _COLUMNS)),
            *(
                (name, sources, *(_cell(rounds, key, write) for _, key, write in _COLUMNS))
                for (sources, name), rounds in measured.items()
            ),
        ]
    )


def _cell(rounds: Sequence[PairedRound], key: str, write: Callable[[float], str]) -> str:
    if key == "pacedRatios":
        return quartiles_text([ratio for found in rounds for ratio in found.paced_ratios])
    if key == "unpacedRatios":
        return quartiles_text([ratio for found in rounds for ratio in found.unpaced_ratios])
    if key == "connectedPercent":
        shares = [found.values.get("connectedShare") for found in rounds]
        return cell(Summary.of(None if s is None else 100 * s for s in shares), write)
    return cell(Summary.of(found.values.get(key) for found in rounds), write)
