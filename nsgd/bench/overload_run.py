"""``nsgd bench --overload``: somebody else's connections under floods of denied flows."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
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
    measure_overload,
    policy,
    start_one_rule,
    starter,
)
from nsgd.bench.says import heading, say
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, ratio_text
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
Values = Mapping[str, float]
_COLUMNS = (
    ("flood/s", "floodPerS", number_text),
    ("connected %", "connectedPercent", number_text),
    ("of one-rule", "connectedRatio", ratio_text),
    ("open flow Mbit/s", "bulkMbitPerS", number_text),
    ("of one-rule", "bulkRatio", ratio_text),
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
    measured: dict[tuple[str, str], list[Values]] = {}
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory:
        frames = Path(directory, "frames")
        for sources, addresses in SOURCES.items():
            write_denied_frames(frames, addresses())
            for number in range(1, options.rounds + 1):
                # In turn, so that what changes with time meets all alike.
                for name in chosen:
                    progress(f"{sources} sources, round {number} of {options.rounds}: {name}")
                    try:
                        values: Values = measure_overload(CONTENDERS[name], frames, plan)
                    except ContenderFailed as failed:
                        values = {}
                        failures.append(f"{name}, {sources} sources, round {number}: {failed}")
                    measured.setdefault((sources, name), []).append(values)
    progress("")
    derived = {key: with_ratios(rounds, measured, key[0]) for key, rounds in measured.items()}
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": {
            "repeat": options.rounds,
            "attempts": plan.attempts,
            "attemptsPerS": plan.attempts_per_s,
            "bulkS": plan.bulk_s,
        },
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        say(failure)
    if args.output == "json":
        results = [
            {"sources": sources, "contender": name, "rounds": rounds}
            for (sources, name), rounds in derived.items()
        ]
        print(json.dumps({**context, "results": results}, indent=2))
    else:
        print(f"{heading(context)}\n\n{format_overload(derived)}")
    return 1 if failures else 0


def with_ratios(
    rounds: Sequence[Values], measured: Mapping[tuple[str, str], Sequence[Values]], sources: str
) -> list[Values]:
    """Each round's values with what they are of those of one-rule in the same round."""
    made: list[Values] = []
    for values, base in zip(rounds, measured.get((sources, BASE), [{}] * len(rounds)), strict=True):
        more = {}
        if values:
            more["connectedPercent"] = 100 * values["connectedShare"]
        for name, key in (("connectedRatio", "connectedShare"), ("bulkRatio", "bulkMbitPerS")):
            if values and base.get(key):
                more[name] = values[key] / base[key]
        made.append({**values, **more})
    return made


def format_overload(derived: Mapping[tuple[str, str], Sequence[Values]]) -> str:
    """A row for each flood and contender: medians, with least and most."""
    rows: list[Sequence[str]] = [
        ("contender", "sources", *(title for title, _, _ in _COLUMNS)),
        *(
            (
                name,
                sources,
                *(
                    cell(Summary.of(r.get(key) for r in rounds), write)
                    for _, key, write in _COLUMNS
                ),
            )
            for (sources, name), rounds in derived.items()
        ),
    ]
    return format_table(rows)
