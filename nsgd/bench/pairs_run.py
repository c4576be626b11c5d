"""``nsgd bench --pairs``: contenders that take turns seconds apart, and their ratios by rounds."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.bench.contenders import Contender
from nsgd.bench.daemon_contender import ENGINES
from nsgd.bench.machine import describe
from nsgd.bench.measure import Measurement
from nsgd.bench.options import Options, WrongUsage
from nsgd.bench.pairs import MOST_RATE, measure_turns
from nsgd.bench.ratios import NONE, add_ratios
from nsgd.bench.report import (
    RATIO_COLUMNS,
    Column,
    as_json,
    format_descriptions,
    format_hits,
    notes,
)
from nsgd.bench.says import heading, say
from nsgd.bench.selection import all_contenders, is_meant
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import format_table, number_text, quartiles_text
from nsgd.lab.netns import remove_leftovers

DEFAULT_WORDS = ("conntrack", "one-rule", "bare", *ENGINES)
TWICE = ("conntrack", "bare")  # each stands in two gateways
_AGAIN = " again"
_PACED_S, _TCP_S = 1.0, 0.4  # of a turn

_COST_COLUMNS = (
    Column("cpuUsPerFlow", "CPU us/flow", "processor time of the whole machine for each new flow"),
    Column("senderUsPerFlow", "sender", "of it, the generator's, who delivers up to the queue"),
    Column("workerUsPerFlow", "worker", "of it, that of the program behind the queue"),
    Column("restUsPerFlow", "rest", "of it, everything else"),
)
_SPEED_COLUMN = Column("gbitPerS", "Gbit/s", "of one established TCP connection")
_RATIOS = {
    column.key: column
    for column in RATIO_COLUMNS
    if column.key in ("cpuByOneRule", "cpuByBare", "gbitByConntrack")
}
TABLE_COLUMNS = (
    *_COST_COLUMNS,
    _RATIOS["cpuByOneRule"],
    _RATIOS["cpuByBare"],
    _SPEED_COLUMN,
    _RATIOS["gbitByConntrack"],
)
COLUMNS = (
    *TABLE_COLUMNS,
    Column("ksoftirqdUsPerFlow", "", "of the rest, that of the kernel's threads for interrupts"),
    Column("waitingUsPerFlow", "", "of contenders without a turn meanwhile, taken out"),
    Column("pacedPerS", "", "new flows a second while processor time was measured"),
    Column("pacedLostPercent", "", "of these, what did not arrive"),
    Column("othersLoad", "", "processors that other programs used meanwhile, taken out"),
    Column("startedS", "", "seconds from the first turn's begin to this one's"),
)
Results = Mapping[str, Sequence[Measurement]]  # by contender, one for each round


def run_pairs(args: argparse.Namespace, options: Options) -> int:
    """Measure and report; the exit code. Raises WrongUsage before anything is measured."""
    if args.print_rulesets or args.write_policies:
        raise WrongUsage("rulesets and policies are those of a run without --pairs")
    if options.plan.rate > MOST_RATE:
        raise WrongUsage(f"--rate is at most {MOST_RATE} with --pairs")
    contenders = in_turn(chosen_contenders(options))
    plan = options.plan
    if not args.quick:
        plan = dataclasses.replace(plan, paced_s=_PACED_S, tcp_s=_TCP_S)
    remove_leftovers()
    started = time.perf_counter()
    measured, failures = measure_turns(contenders, plan, options.rounds, options.size.nics)
    results = as_listed(measured)
    add_ratios(results)
    texts = {contender.name: contender.description for contender in contenders}
    descriptions = {name: texts[name] for name in results}
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": {
            "rate": plan.rate,
            "pacedS": plan.paced_s,
            "tcpS": plan.tcp_s,
            **dataclasses.asdict(options.size),
            "repeat": options.rounds,
            "order": list(measured),
            "rateShares": {},
        },
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        say(failure)
    if args.output == "json":
        print(json.dumps(pairs_as_json(results, descriptions, context), indent=2))
    else:
        numbers = "medians of the rounds; ratios within a round: median (quartiles)"
        parts = (
            heading(context, numbers),
            format_pairs(results),
            format_descriptions(descriptions),
            format_hits(results),
            "\n".join(pairs_notes(results)),
        )
        print("\n\n".join(part for part in parts if part))
    return 1 if failures else 0


def chosen_contenders(options: Options) -> list[Contender]:
    """Those that were asked for. Raises WrongUsage where they have no place in this run."""
    able = (NONE, *DEFAULT_WORDS)
    candidates = [c for c in all_contenders(options.size) if is_meant(c.name, able)]
    for word in options.words:
        if not any(is_meant(contender.name, [word]) for contender in candidates):
            names = ", ".join(f"{word}-*" if word in ENGINES else word for word in able)
            raise WrongUsage(f"--pairs has no {word}: its contenders are {names}")
    words = options.words or DEFAULT_WORDS
    return [contender for contender in candidates if is_meant(contender.name, words)]


def in_turn(chosen: Sequence[Contender]) -> list[Contender]:
    """The order of turns: second gateways come half a round behind the first ones."""
    seconds = [
        dataclasses.replace(
            contender,
            name=f"{contender.name}{_AGAIN}",
            description=f"the same as {contender.name}, in a second gateway",
        )
        for contender in chosen
        if contender.name in TWICE
    ]
    half = (len(chosen) + len(seconds)) // 2
    return [*chosen[:half], *seconds, *chosen[half:]]


def as_listed(measured: Results) -> dict[str, Sequence[Measurement]]:
    """The order of the report: a second gateway stands below the first one."""
    listed: dict[str, Sequence[Measurement]] = {}
    for name, measurements in measured.items():
        if name.endswith(_AGAIN):
            continue
        listed[name] = measurements
        if (again := name + _AGAIN) in measured:
            listed[again] = measured[again]
    return listed


def format_pairs(results: Results) -> str:
    """A row for each contender: medians of the rounds, and of ratios the quartiles."""
    return format_table(
        [
            ("Contender", *(column.heading for column in TABLE_COLUMNS)),
            *(
                (name, *(_cell(measurements, column) for column in TABLE_COLUMNS))
                for name, measurements in results.items()
            ),
        ]
    )


def _cell(measurements: Sequence[Measurement], column: Column) -> str:
    summary = Summary.of(measurement.values.get(column.key) for measurement in measurements)
    if summary is None:
        return "-"
    if column.key in _RATIOS:
        return quartiles_text(summary.values)
    return number_text(summary.median)


def pairs_notes(results: Results) -> list[str]:
    """How to tell a difference from noise, and what would make the numbers doubtful."""
    pairs = [f"{name}{_AGAIN} by {name}" for name in TWICE if name + _AGAIN in results]
    noise = [f"how much of a ratio is noise: {', '.join(pairs)}"] if pairs else []
    return noise + notes(results)


def pairs_as_json(
    results: Results, descriptions: Mapping[str, str], context: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything for programs: beside summaries the values of each turn, in rounds' order."""
    document = as_json(results, descriptions, context, COLUMNS)
    for contender in document["contenders"]:
        contender["turns"] = [
            {column.key: measurement.values.get(column.key) for column in COLUMNS}
            for measurement in results[contender["name"]]
        ]
    document["notes"] = pairs_notes(results)
    return document
