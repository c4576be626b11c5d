"""``nsgd bench --flow-log``: each contender with and without a log, in turn, and their ratios."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.flow_log import (
    FULL_FLOW_LOG,
    QUICK_FLOW_LOG,
    FlowLogPlan,
    measure_flow_log,
)
from nsgd.bench.flow_log_contenders import Start, start_one_rule, start_reader, starter
from nsgd.bench.flow_log_pairs import LOG, PairsPlan, measure_flow_log_pairs
from nsgd.bench.machine import describe
from nsgd.bench.network import write_frames
from nsgd.bench.options import FLOW_LOG_NAMES, Options, WrongUsage
from nsgd.bench.says import heading, say
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, ratio_text
from nsgd.lab.netns import remove_leftovers
from nsgd.lab.progress import progress

# Who is the same without a log.
WITHOUT = {"one-rule-reader": "one-rule", "queue-log": "queue", "kernel-log": "kernel"}
_MOST_RATE = 50_000  # for which there are frames enough
_BUSY_LOAD = 0.05
Values = Mapping[str, float]
# Of a contender with a log, by that without one in the same round.
_RATIOS = {
    "cpuRatio": "cpuUsPerFlow",
    "pacedDeliveredRatio": "pacedDeliveredPercent",
    "deliveredRatio": "deliveredPerS",
}
_COST_COLUMNS = (
    ("CPU us/flow", "cpuUsPerFlow", number_text),
    ("more", "cpuMoreUsPerFlow", number_text),
    ("ratio", "cpuRatio", ratio_text),
    ("log us/flow", "logUsPerFlow", number_text),
    ("log us/event", "logUsPerEvent", number_text),
    ("processors idle", "idleProcessors", ratio_text),
)
_OTHERS_COLUMNS = (
    ("paced %", "pacedDeliveredPercent", number_text),
    ("ratio", "pacedDeliveredRatio", ratio_text),
    ("unpaced/s", "deliveredPerS", number_text),
    ("ratio", "deliveredRatio", ratio_text),
    ("events lost then", "eventsLostUnpaced", number_text),
)
_LATENCY_COLUMNS = (
    ("processors idle", "idleProcessors", ratio_text),
    ("p50 us", "latencyP50Us", number_text),
    ("ratio", "latencyP50Ratio", ratio_text),
    ("p99 us", "latencyP99Us", number_text),
    ("ratio", "latencyP99Ratio", ratio_text),
)
# Flows a second at which a log needs a twentieth of a processor, and most are idle.
_LOW_RATE = 2_000
_FULL_PAIRS = PairsPlan(rates=(), turns=6, probes=150, warm_up=FULL_FLOW_LOG.warm_up)
_QUICK_PAIRS = PairsPlan(rates=(), turns=1, probes=20, warm_up=200)
# By contender and rate, a round each.
Latencies = Mapping[tuple[str, float], Sequence[Values]]


def contenders(options: Options) -> dict[str, Start]:
    """By name, in the order in which they take turns: each beside itself without a log."""
    size, policy = options.size, options.policy
    starts: tuple[Start, ...] = (
        start_one_rule,
        start_reader,
        *(
            starter(engine, size, policy, logs=logs)
            for engine in ("queue", "kernel")
            for logs in (False, True)
        ),
    )
    return dict(zip(FLOW_LOG_NAMES, starts, strict=True))


def run_flow_log(args: argparse.Namespace, options: Options) -> int:
    """Measure and report; the exit code. Raises WrongUsage before anything is measured."""
    strange = [word for word in options.words if word not in FLOW_LOG_NAMES]
    if strange:
        raise WrongUsage(f"--flow-log has the contenders {', '.join(FLOW_LOG_NAMES)} only")
    if args.print_rulesets or args.write_policies:
        raise WrongUsage("rulesets and policies are those of a run without --flow-log")
    plan = QUICK_FLOW_LOG if args.quick else FULL_FLOW_LOG
    if args.rate is not None:
        plan = dataclasses.replace(plan, rate=args.rate)
    if plan.rate > _MOST_RATE:
        raise WrongUsage(f"--rate is at most {_MOST_RATE} with --flow-log")
    chosen = {
        name: start
        for name, start in contenders(options).items()
        if name in options.words or not options.words
    }
    remove_leftovers()
    started = time.perf_counter()
    pairs = dataclasses.replace(
        _QUICK_PAIRS if args.quick else _FULL_PAIRS,
        rates=tuple(sorted({min(_LOW_RATE, plan.rate), plan.rate})),
    )
    measured, latencies, failures = _measure(chosen, options, plan, pairs)
    derived = with_ratios(measured)
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": {
            **dataclasses.asdict(plan),
            **dataclasses.asdict(options.size),
            "latency": dataclasses.asdict(pairs),
            "policy": options.policy,
            "repeat": options.rounds,
            "rateShares": {},
        },
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        say(failure)
    told = notes(derived, latencies)
    if args.output == "json":
        results = [{"contender": name, "rounds": rounds} for name, rounds in derived.items()]
        waits = [
            {"contender": name, "rate": rate, "rounds": rounds}
            for (name, rate), rounds in latencies.items()
        ]
        found = {"results": results, "latencies": waits, "notes": told}
        print(json.dumps({**context, **found}, indent=2))
    else:
        tables = format_flow_log(derived), *format_latencies(latencies)
        print("\n\n".join([heading(context), *tables, *told]))
    return 1 if failures else 0


def _measure(
    chosen: Mapping[str, Start], options: Options, plan: FlowLogPlan, pairs: PairsPlan
) -> tuple[dict[str, list[Values]], Latencies, list[str]]:
    measured: dict[str, list[Values]] = {name: [] for name in chosen}
    latencies: dict[tuple[str, float], list[Values]] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory:
        frames = Path(directory, "frames")
        write_frames(frames, options.size.nics)
        for number in range(1, options.rounds + 1):
            # In turn, so that what changes with time meets all alike; every other round the other
            # way round, so that neither of a pair is always the first.
            in_turn = list(chosen.items())
            for name, start in in_turn if number % 2 else in_turn[::-1]:
                progress(f"round {number} of {options.rounds}: {name}")
                try:
                    measured[name].append(measure_flow_log(start, frames, plan))
                except ContenderFailed as failed:
                    measured[name].append({})
                    failures.append(f"{name}, round {number}: {failed}")
            for name, without in WITHOUT.items():
                if not {name, without} <= chosen.keys():
                    continue
                progress(f"round {number} of {options.rounds}: {without} and {name} by turns")
                found: Mapping[tuple[str, float], Values] = {}
                try:
                    found = measure_flow_log_pairs(chosen[without], chosen[name], frames, pairs)
                except ContenderFailed as failed:
                    failures.append(f"{without} and {name} by turns, round {number}: {failed}")
                for (which, rate), values in found.items():
                    own = name if which == LOG else f"{without}{which}"
                    latencies.setdefault((own, rate), []).append(values)
    progress("")
    return measured, latencies, failures


def with_ratios(measured: Mapping[str, Sequence[Values]]) -> dict[str, list[Values]]:
    """Each round's values with what they are of those without a log in the same round."""
    made: dict[str, list[Values]] = {}
    for name, rounds in measured.items():
        others = measured.get(WITHOUT.get(name, ""), [{}] * len(rounds))
        made[name] = [
            {**values, **_compared(values, other)}
            for values, other in zip(rounds, others, strict=True)
        ]
    return made


def _compared(values: Values, other: Values) -> dict[str, float]:
    found = {
        ratio: values[key] / other[key]
        for ratio, key in _RATIOS.items()
        if key in values and other.get(key)
    }
    if "cpuRatio" in found:
        found["cpuMoreUsPerFlow"] = values["cpuUsPerFlow"] - other["cpuUsPerFlow"]
    return found


def format_flow_log(derived: Mapping[str, Sequence[Values]]) -> str:
    """Two tables with a row for each contender: medians, with least and most."""
    tables = []
    for columns in (_COST_COLUMNS, _OTHERS_COLUMNS):
        rows: list[Sequence[str]] = [("contender", *(title for title, _, _ in columns))]
        for name, rounds in derived.items():
            summaries = ((Summary.of(r.get(key) for r in rounds), w) for _, key, w in columns)
            rows.append((name, *(cell(summary, write) for summary, write in summaries)))
        tables.append(format_table(rows))
    return "\n\n".join(tables)


def format_latencies(latencies: Latencies) -> list[str]:
    """A table with a row for each contender and rate, or none where no two were compared."""
    rows: list[Sequence[str]] = [
        ("contender", "flows/s", *(title for title, _, _ in _LATENCY_COLUMNS))
    ]
    for (name, rate), rounds in latencies.items():
        summaries = ((Summary.of(r.get(key) for r in rounds), w) for _, key, w in _LATENCY_COLUMNS)
        rows.append((name, f"{rate:.0f}", *(cell(summary, write) for summary, write in summaries)))
    return [format_table(rows)] if latencies else []


def notes(derived: Mapping[str, Sequence[Values]], latencies: Latencies) -> list[str]:
    """What a reader must know before believing the tables."""
    told = []
    for name, rounds in derived.items():
        lost = sum(values.get("eventsLost", 0) for values in rounds)
        if lost:
            told.append(f"{name}: {lost:.0f} events were lost at the paced rate")
        records = Summary.of(values.get("recordsPerFlow") for values in rounds)
        if records is not None and round(records.minimum, 2) != 4:
            text = cell(records, ratio_text)
            told.append(f"{name}: {text} records of each flow were written instead of 4")
    for (name, rate), rounds in latencies.items():
        probes = sum(values["probesLost"] for values in rounds)
        if probes:
            told.append(f"{name}: {probes:.0f} first packets did not arrive at {rate:.0f} flows/s")
    loads = [values["othersLoad"] for rounds in derived.values() for values in rounds if values]
    if loads and max(loads) > _BUSY_LOAD:
        told.append(
            f"other programs used up to {max(loads):.2f} processors: times are those of a busy"
            " machine"
        )
    return told
