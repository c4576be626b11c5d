"""What ``nsgd bench --scale`` measured, as tables and as JSON: columns, changes, growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.bench.report import Column
from nsgd.bench.scale import Values, Variant
from nsgd.bench.scale_changes import CHANGES
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, ratio_text

_SLOWEST = "slowestMs"
SCALE_COLUMNS = (
    Column("startMs", "Start ms", "from the start of the process to the policy in force"),
    Column("interpreterMs", "Interpreter ms", "of this, until the control socket was there"),
    Column("readMs", "Read ms", "then until the worker was started: the documents are compiled"),
    Column("installMs", "Install ms", "the rest: the worker is ready, the rules are in the kernel"),
    Column(
        "reloadMs",
        "Reload ms",
        "from the moment before a file with one changed rule is written to the policy in force:"
        " the median of all changes",
    ),
    Column(_SLOWEST, "slowest", "the same, of the kind of change whose median is the largest"),
    Column("supervisorMib", "RSS MiB", "memory of the supervisor, once started"),
    Column("supervisorAfterMib", "after reloads", "the same, after the reloads"),
    Column("workerMib", "Worker MiB", "memory of the worker, once started"),
)
CHANGE_COLUMNS = tuple(Column(change.key, change.heading, change.meaning) for change in CHANGES)

Measured = Mapping[Variant, Sequence[Values]]  # by round; empty where it failed


def changes(rounds: Sequence[Values]) -> dict[str, Summary | None]:
    """The reloads after each kind of change, over all rounds."""
    return {column.key: Summary.of(v.get(column.key) for v in rounds) for column in CHANGE_COLUMNS}


def slowest(rounds: Sequence[Values]) -> str | None:
    """The kind of change whose median over all rounds is the largest; None where none was made.

    Not each round's slowest one: with few reloads that would be whatever else was disturbed.
    """
    known = {key: found.median for key, found in changes(rounds).items() if found is not None}
    return max(known, key=known.__getitem__, default=None)


def summaries(rounds: Sequence[Values]) -> dict[str, Summary | None]:
    """Each quantity over all rounds."""
    keys = _keys(slowest(rounds))
    return {column: Summary.of(v.get(key) for v in rounds) for column, key in keys.items()}


def growth(small: Sequence[Values], large: Sequence[Values]) -> dict[str, Summary | None]:
    """Each quantity at the large extent by that at the small one, in the same round.

    The slowest kind of change is that of the large extent, at both.
    """
    return {
        column: Summary.of(
            after / before if before and after is not None else None
            for before, after in (
                (one.get(key), other.get(key)) for one, other in zip(small, large, strict=True)
            )
        )
        for column, key in _keys(slowest(large)).items()
    }


def _keys(slowest_kind: str | None) -> dict[str, str]:
    """What is found under which key of Values, by column."""
    keys = {column.key: column.key for column in SCALE_COLUMNS}
    return keys if slowest_kind is None else {**keys, _SLOWEST: slowest_kind}


def _growths(measured: Measured) -> dict[str, dict[str, Summary | None]]:
    """By the names of variants that were measured at two extents."""
    return {
        variant.name: growth(measured[small], rounds)
        for variant, rounds in measured.items()
        for small in (Variant(variant.engine, variant.form, variant.extent.tenth),)
        if small in measured
    }


def format_scale(measured: Measured) -> str:
    """All tables for people, and what their columns and rows are."""
    headings = [column.heading for column in SCALE_COLUMNS]
    rows = [["Engine, form", "NICs", "Rules", *headings]]
    for variant, rounds in measured.items():
        found = summaries(rounds)
        rows.append(
            [
                variant.name,
                str(variant.extent.nics),
                str(variant.extent.rules),
                *(cell(found[column.key], number_text) for column in SCALE_COLUMNS),
            ]
        )
    grown = [["Engine, form", *headings]]
    for name, of_name in _growths(measured).items():
        grown.append([name, *(cell(of_name[column.key], ratio_text) for column in SCALE_COLUMNS)])
    return "\n\n".join(
        [
            format_table(rows),
            "Documents of ten times as much take so many times as much:\n" + format_table(grown),
            _meanings(SCALE_COLUMNS),
            "One rule changed, by what changes (ms):\n" + _format_changes(measured),
            _meanings(CHANGE_COLUMNS),
        ]
    )


def _format_changes(measured: Measured) -> str:
    """A row for each kind of change, a column for each variant."""
    names = [f"{variant.name}, {variant.extent.nics} NICs" for variant in measured]
    found = [changes(rounds) for rounds in measured.values()]
    rows = [
        [column.heading, *(cell(of[column.key], number_text) for of in found)]
        for column in CHANGE_COLUMNS
    ]
    return format_table([["Changed", *names], *rows])


def _meanings(columns: Sequence[Column]) -> str:
    return "\n".join(f"{column.heading}: {column.meaning}" for column in columns)


def scale_as_json(measured: Measured) -> dict[str, Any]:
    """Everything for programs."""
    return {
        "columns": {column.key: column.meaning for column in SCALE_COLUMNS},
        "changes": {column.key: column.meaning for column in CHANGE_COLUMNS},
        "variants": [
            {
                "engine": variant.engine,
                "form": variant.form,
                "nics": variant.extent.nics,
                "networkSecurityGroups": variant.extent.groups,
                "securityRules": variant.extent.rules,
                "measured": _as_json(summaries(rounds)),
                "changes": _as_json(changes(rounds)),
                "slowestChange": slowest(rounds),
            }
            for variant, rounds in measured.items()
        ],
        "growth": {name: _as_json(of_name) for name, of_name in _growths(measured).items()},
    }


def _as_json(found: Mapping[str, Summary | None]) -> dict[str, Any]:
    return {key: None if summary is None else summary.as_json() for key, summary in found.items()}
