"""Processor time for each new flow as policies grow: what to measure, and the curves it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.bench.contenders import PLAIN_CONTENDERS, Contender
from nsgd.bench.measure import Measurement
from nsgd.bench.policies import NICS, RULES, Size
from nsgd.bench.selection import KINDS, is_meant, policy_contender
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text

QUANTITY = "cpuUsPerFlow"
BASELINES = ("one-rule", "bare")


@dataclass(frozen=True, slots=True)
class Point:
    """One contender at one size; baselines have no policy, but their flows are between the NICs."""

    contender: Contender
    size: Size


@dataclass(frozen=True, slots=True)
class Curve:
    """A contender's processor time in microseconds, by how many rules or NICs there were."""

    name: str
    points: tuple[tuple[int, Summary], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Curves against one number, all else equal."""

    key: str
    title: str
    axis: str
    curves: tuple[Curve, ...]


Measured = Mapping[tuple[str, Size], Sequence[Measurement]]  # by contender's name and size


def sweep_points(policy: str, words: Sequence[str]) -> list[Point]:
    """What is measured once in each round.

    Args:
        policy: Of POLICIES.
        words: Names of contenders, or the first parts of their names; none means all.
    """
    baselines = [c for c in PLAIN_CONTENDERS if c.name in BASELINES and is_meant(c.name, words)]
    points = []
    for size in _sizes():
        if size.rules == RULES[-1]:
            points += [Point(contender, size) for contender in baselines]
        points += [
            Point(policy_contender(kind, policy, size), size)
            for kind in KINDS
            if is_meant(f"{kind}-{policy}", words)
        ]
    return points


def _sizes() -> list[Size]:
    return [
        *(Size(rules, NICS[-1]) for rules in RULES[:-1]),
        *(Size(RULES[-1], nics) for nics in NICS),
    ]


def families(measured: Measured) -> tuple[Family, Family]:
    """The curves against rules and against NICs; what was not measured has none."""
    names = list(dict.fromkeys(name for name, _ in measured))
    largest = Size()
    by_rules = {
        name: [
            # A baseline has no rules: it is the same at any number of them.
            (rules, measured.get((name, largest if name in BASELINES else Size(rules)), ()))
            for rules in RULES
        ]
        for name in names
    }
    by_nics = {
        name: [(nics, measured.get((name, Size(nics=nics)), ())) for nics in NICS] for name in names
    }
    return (
        Family(
            "rules",
            f"{largest.nics} NICs",
            "rules in each of four groups",
            _curves(by_rules),
        ),
        Family(
            "nics",
            f"{largest.rules} rules in each of four groups",
            "NICs",
            _curves(by_nics),
        ),
    )


def _curves(
    measured: Mapping[str, Sequence[tuple[int, Sequence[Measurement]]]],
) -> tuple[Curve, ...]:
    curves = []
    for name, by_number in measured.items():
        summaries = (
            (number, Summary.of(m.values.get(QUANTITY) for m in measurements))
            for number, measurements in by_number
        )
        points = tuple((number, summary) for number, summary in summaries if summary is not None)
        if points:
            curves.append(Curve(name, points))
    return tuple(curves)


def format_families(found: Sequence[Family]) -> str:
    """A table for each family: contenders down, numbers across."""
    parts = []
    for family in found:
        numbers = sorted({number for curve in family.curves for number, _ in curve.points})
        rows = [["Contender", *map(str, numbers)]]
        for curve in family.curves:
            by_number = dict(curve.points)
            rows.append(
                [curve.name, *(cell(by_number.get(number), number_text) for number in numbers)]
            )
        parts.append(f"CPU us for each new flow, by {family.axis}; {family.title}:")
        parts.append(format_table(rows) if family.curves else "nothing was measured")
    return "\n\n".join(parts)


def families_as_json(found: Sequence[Family]) -> dict[str, Any]:
    """The curves for programs."""
    return {
        family.key: {
            "axis": family.axis,
            "title": family.title,
            "unit": "processor microseconds for each new flow",
            "curves": [
                {
                    "name": curve.name,
                    "points": [
                        {family.key: number, QUANTITY: summary.as_json()}
                        for number, summary in curve.points
                    ],
                }
                for curve in family.curves
            ],
        }
        for family in found
    }
