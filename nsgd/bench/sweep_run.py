"""``nsgd bench --sweep``: every point once in each round, tables, and a plot where asked for."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.machine import describe
from nsgd.bench.measure import Measurement, measure_cost
from nsgd.bench.network import write_frames
from nsgd.bench.options import Options, WrongUsage
from nsgd.bench.plot import PlotImpossible, check_plot, draw
from nsgd.bench.report import notes
from nsgd.bench.says import heading, say
from nsgd.bench.sweep import Point, families, families_as_json, format_families, sweep_points
from nsgd.lab.netns import remove_leftovers
from nsgd.lab.progress import progress


def run_sweep(args: argparse.Namespace, options: Options) -> int:
    """Measure, report, draw; the exit code. Raises WrongUsage before anything is measured."""
    if args.plot is not None:
        try:
            check_plot(args.plot)
        except PlotImpossible as impossible:
            raise WrongUsage(str(impossible)) from impossible
    points = sweep_points(options.policy, options.words)
    if not points:
        raise WrongUsage("a sweep has none of these contenders")
    remove_leftovers()
    started = time.perf_counter()
    measured, failures = _measure(points, options)
    plan: dict[str, Any] = {
        **dataclasses.asdict(options.plan),
        "policy": options.policy,
        "repeat": options.rounds,
        "rateShares": {
            f"{point.contender.name} of {point.size.rules} rules": point.contender.rate_share
            for point in points
        },
    }
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": plan,
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    by_point = {
        (point.contender.name, point.size): results
        for point, results in zip(points, measured, strict=True)
    }
    found = families(by_point)
    told = notes({f"{name} {s.rules}/{s.nics}": ms for (name, s), ms in by_point.items()})
    for failure in failures:
        say(failure)
    if args.output == "json":
        print(json.dumps({**context, **families_as_json(found), "notes": told}, indent=2))
    else:
        print("\n\n".join([heading(context), format_families(found), "\n".join(told)]))
    if args.plot is not None:
        draw(found, options.policy, args.plot)
        say(f"drawn: {args.plot}")
    return 1 if failures else 0


def _measure(
    points: Sequence[Point], options: Options
) -> tuple[list[list[Measurement]], list[str]]:
    """Measurements of each point by round, and what failed."""
    results: list[list[Measurement]] = [[] for _ in points]
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory:
        frames = {nics: Path(directory, f"frames-{nics}") for nics in {p.size.nics for p in points}}
        for nics, path in frames.items():
            progress(f"frames between {nics} NICs")
            write_frames(path, nics)
        for number in range(1, options.rounds + 1):
            for point, of_point in zip(points, results, strict=True):
                size = point.size
                what = f"{point.contender.name}, {size.rules} rules, {size.nics} NICs"
                progress(f"round {number} of {options.rounds}: {what}")
                try:
                    of_point.append(measure_cost(point.contender, options.plan, frames[size.nics]))
                except ContenderFailed as failed:
                    of_point.append(Measurement(conntrack_invalid=failed.invalid_packets))
                    failures.append(f"{what}, round {number}: {failed}")
    progress("")
    return results, failures
