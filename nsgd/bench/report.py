"""Results as aligned tables and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.bench.measure import GENERATOR, Measurement
from nsgd.bench.ratios import NONE, add_ratios
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, ratio_text

_BUSY_LOAD = 0.05


@dataclass(frozen=True, slots=True)
class Column:
    """A measured quantity: its key in JSON, its heading, and what it is."""

    key: str
    heading: str
    meaning: str


FLOW_COLUMNS = (
    Column("offeredPerS", "Offered/s", "new flows a second that the generator sent, unpaced"),
    Column("deliveredPerS", "Delivered/s", "of these, what arrived at the server"),
    Column(
        "cpuUsPerFlow",
        "CPU us/flow",
        "processor time of the whole machine for each new flow, paced",
    ),
    Column("cpuAgainUsPerFlow", "again", "the same, the very same flows a second time"),
    Column("cpuNetUsPerFlow", "less none", "the first less that of none in the same round"),
    Column("latencyP50Us", "p50 us", "from send to receive of a new flow's first packet, median"),
    Column("latencyP99Us", "p99 us", "the same, which 99 of 100 do not exceed"),
)
OTHER_COLUMNS = (
    Column("connectsPerS", "Connects/s", "TCP connections one after another"),
    Column("gbitPerS", "Gbit/s", "of one established TCP connection"),
    Column("applyMs", "Apply ms", "from the start to the policy in force, interpreter included"),
    Column("reloadMs", "Reload ms", "one changed rule, by nsgd reload"),
    Column("rssMib", "RSS MiB", "memory of all its processes"),
)
RATIO_COLUMNS = (
    Column("cpuByOneRule", "CPU/one-rule", "processor time for each new flow by one-rule's"),
    Column("cpuNetByOneRule", "net/one-rule", "the same, none taken off both"),
    Column("cpuByBare", "CPU/bare", "processor time for each new flow by bare's"),
    Column("cpuNetByBare", "net/bare", "the same, none taken off both"),
    Column("linearByCpu", "linear/CPU", "processor time of linear with the same policy by it"),
    Column("linearNetByCpu", "linear/net", "the same, none taken off both"),
    Column("gbitByConntrack", "Gbit/conntrack", "an established connection's speed by conntrack's"),
)
# In JSON only.
MORE_COLUMNS = (
    Column("pacedPerS", "", "new flows a second while processor time was measured"),
    Column("pacedLostPercent", "", "of these, what did not arrive"),
    Column("probesLost", "", "latency probes that did not arrive"),
    Column("othersLoad", "", "processors that other programs used meanwhile, taken out"),
    Column("supervisorMib", "", "memory of the supervisor"),
    Column("workerMib", "", "memory of the worker"),
    Column("programMib", "", "memory of the queue program"),
)
COLUMNS = FLOW_COLUMNS + OTHER_COLUMNS + RATIO_COLUMNS + MORE_COLUMNS

Results = Mapping[str, Sequence[Measurement]]  # by contender, one for each round


def add_derived(results: Results) -> None:
    """Fill in what follows from other values: net processor time, all memory together, ratios."""
    baseline = results.get(NONE, ())
    for name, measurements in results.items():
        for index, measurement in enumerate(measurements):
            values = measurement.values
            parts = [
                v for key in ("supervisor", "worker", "program") if (v := values.get(f"{key}Mib"))
            ]
            values["rssMib"] = sum(parts) if parts else None
            values["cpuNetUsPerFlow"] = None
            gross = values.get("cpuUsPerFlow")
            if index < len(baseline) and name not in (GENERATOR, NONE) and gross is not None:
                none = baseline[index].values.get("cpuUsPerFlow")
                values["cpuNetUsPerFlow"] = None if none is None else gross - none
    add_ratios(results, without=(GENERATOR,))


def summaries(
    measurements: Sequence[Measurement], columns: Sequence[Column] = COLUMNS
) -> dict[str, Summary | None]:
    """Each quantity over all rounds."""
    return {
        column.key: Summary.of(m.values.get(column.key) for m in measurements) for column in columns
    }


@dataclass(frozen=True, slots=True)
class Spread:
    """How evenly the paced flows hit a group's rules; the counts are of rules that were hit."""

    group: str
    rules: int
    rules_hit: int
    minimum: int
    median: float
    maximum: int
    hits: int


def spreads(measurements: Sequence[Measurement]) -> list[Spread]:
    """Of each network security group that was asked, in its direction, in the first round."""
    found = []
    first = next((m.rule_hits for m in measurements if m.rule_hits), {})
    for group, rules in sorted(first.items()):
        counts = [hits for hits in rules.values() if hits]
        if counts:
            found.append(
                Spread(
                    group,
                    len(rules),
                    len(counts),
                    min(counts),
                    statistics.median(counts),
                    max(counts),
                    sum(counts),
                )
            )
    return found


def format_report(results: Results, descriptions: Mapping[str, str]) -> str:
    """Everything for people."""
    by_name = {name: summaries(measurements) for name, measurements in results.items()}
    parts = []
    for columns, title, write in (
        (FLOW_COLUMNS, "", number_text),
        (OTHER_COLUMNS, "", number_text),
        (RATIO_COLUMNS, "Ratios within a round:\n", ratio_text),
    ):
        rows = [["Contender", *(column.heading for column in columns)]]
        for name, summary in by_name.items():
            if not title or any(summary[column.key] for column in columns):
                rows.append([name, *(cell(summary[column.key], write) for column in columns)])
        if len(rows) > 1:
            parts.append(title + format_table(rows))
    parts.append(format_descriptions(descriptions))
    parts.append(format_hits(results))
    parts.append("\n".join(notes(results)))
    return "\n\n".join(part for part in parts if part)


def format_descriptions(descriptions: Mapping[str, str]) -> str:
    """A line for each contender."""
    return "\n".join(f"{name}: {text}" for name, text in descriptions.items())


def format_hits(results: Results) -> str:
    """The table that proves that policies were exercised; nothing where none has one."""
    rows = [["Contender", "Group and direction", "Rules", "Hit", "Min", "Median", "Max", "Hits"]]
    for name, measurements in results.items():
        for spread in spreads(measurements):
            _, *numbers = dataclasses.astuple(spread)
            rows.append([name, spread.group, *(f"{number:.10g}" for number in numbers)])
    if len(rows) == 1:
        return ""
    return "Hits of the first round's paced flows:\n" + format_table(rows)


def notes(results: Results) -> list[str]:
    """What would make the numbers doubtful, or that nothing does."""
    lines = []
    dropped = sum(m.conntrack_dropped for ms in results.values() for m in ms)
    evicted = sum(m.conntrack_evicted for ms in results.values() for m in ms)
    invalid = sum(m.conntrack_invalid for ms in results.values() for m in ms)
    lines.append(
        f"conntrack: {dropped} packets dropped, {evicted} entries evicted for want of room,"
        f" {invalid} packets invalid"
    )
    for name, measurements in results.items():
        lost = Summary.of(m.values.get("pacedLostPercent") for m in measurements)
        if lost is not None and lost.maximum > 0.1:
            lines.append(f"{name}: up to {lost.maximum:.1f} % of the paced flows were lost")
        probes = sum(int(m.values.get("probesLost") or 0) for m in measurements)
        if probes:
            lines.append(f"{name}: {probes} latency probes were lost")
    loads = Summary.of(m.values.get("othersLoad") for ms in results.values() for m in ms)
    if loads is not None:
        busy = loads.maximum > _BUSY_LOAD
        lines.append(
            f"other programs meanwhile: median {loads.median:.2f}, at most {loads.maximum:.2f}"
            " processors" + ("; the machine is not quiet" if busy else "")
        )
    return lines


def as_json(
    results: Results,
    descriptions: Mapping[str, str],
    context: Mapping[str, Any],
    columns: Sequence[Column] = COLUMNS,
) -> dict[str, Any]:
    """Everything for programs."""
    contenders = []
    for name, measurements in results.items():
        contenders.append(
            {
                "name": name,
                "description": descriptions[name],
                "measured": {
                    key: None if summary is None else summary.as_json()
                    for key, summary in summaries(measurements, columns).items()
                },
                "ruleHits": [
                    {
                        "networkSecurityGroup": group,
                        "direction": direction,
                        "rules": spread.rules,
                        "rulesHit": spread.rules_hit,
                        "min": spread.minimum,
                        "median": spread.median,
                        "max": spread.maximum,
                        "hits": spread.hits,
                    }
                    for spread in spreads(measurements)
                    for group, _, direction in (spread.group.partition(" "),)
                ],
                "conntrack": {
                    "dropped": sum(m.conntrack_dropped for m in measurements),
                    "evicted": sum(m.conntrack_evicted for m in measurements),
                    "invalid": sum(m.conntrack_invalid for m in measurements),
                },
            }
        )
    return {
        **context,
        "columns": {column.key: column.meaning for column in columns},
        "contenders": contenders,
        "notes": notes(results),
    }
