"""How start, reload and memory of nsgd grow with its documents: one measurement, and the tables."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nsgd.bench.daemon_contender import ENGINES
from nsgd.bench.machine import resident_mib
from nsgd.bench.report import Column
from nsgd.bench.running_daemon import start_daemon
from nsgd.bench.scale_documents import (
    FORMATS,
    Extent,
    change_rule,
    document_text,
    scale_documents,
    write_whole,
)
from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, ratio_text
from nsgd.lab.netns import Lab

FULL_EXTENT = Extent(nics=10_000, groups=200)

SCALE_COLUMNS = (
    Column("startMs", "Start ms", "from the start of the process to the policy in force"),
    Column("interpreterMs", "Interpreter ms", "of this, until the control socket was there"),
    Column("readMs", "Read ms", "then until the worker was started: the documents are compiled"),
    Column("installMs", "Install ms", "the rest: the worker is ready, the rules are in the kernel"),
    Column(
        "reloadMs",
        "Reload ms",
        "from the moment before a file with one changed rule is written to the policy in force",
    ),
    Column("supervisorMib", "RSS MiB", "memory of the supervisor, once started"),
    Column("supervisorAfterMib", "after reloads", "the same, after the reloads"),
    Column("workerMib", "Worker MiB", "memory of the worker, once started"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run nsgd: its engine, the form of its documents, and how much they declare."""

    engine: str
    form: str
    extent: Extent

    @property
    def name(self) -> str:
        """For tables; the same at each extent."""
        return f"{self.engine}, {self.form.upper()}"


Values = dict[str, float | None]
Measured = Mapping[Variant, Sequence[Values]]  # by round; empty where it failed


def variants(full: Extent, engines: Sequence[str] = ENGINES) -> list[Variant]:
    """What is measured once in each round, a tenth of it first."""
    return [
        Variant(engine, form, extent)
        for engine in engines
        for form in FORMATS
        for extent in (full.tenth, full)
    ]


def measure_scale(
    variant: Variant, reloads: int, tags: Sequence[str], tags_file: Path | None
) -> Values:
    """Start nsgd once, and reload it several times, each with another rule changed.

    Args:
        variant: What to run.
        reloads: How many; the median counts.
        tags: Service tags for rules to name.
        tags_file: Where they are from; None where there are none.

    Raises:
        ContenderFailed: nsgd does not start, or refuses the documents.
    """
    documents = scale_documents(variant.extent, variant.engine, tags)
    options = [] if tags_file is None else ["--service-tags", str(tags_file.resolve())]
    values: Values = {}
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as name, Lab() as lab:
        directory = Path(name)
        config = directory / "policy"
        config.mkdir()
        for stem, document in documents.items():
            (config / f"{stem}.{variant.form}").write_text(document_text(document, variant.form))
        running = start_daemon(lab.namespace("gateway"), directory, config, options)
        values["startMs"] = _milliseconds(running.apply_s)
        values["interpreterMs"] = _milliseconds(running.socket_s)
        values["readMs"] = _milliseconds(running.worker_s, running.socket_s)
        values["installMs"] = _milliseconds(running.apply_s, running.worker_s)
        for what, pid in running.processes.items():
            values[f"{what}Mib"] = resident_mib(pid)
        taken = []
        for turn in range(reloads):
            stem = change_rule(documents, turn)
            path = config / f"{stem}.{variant.form}"
            text = document_text(documents[stem], variant.form)
            taken.append(running.reload_by_signal_s(partial(write_whole, path, text)))
        values["reloadMs"] = _milliseconds(statistics.median(taken))
        values["supervisorAfterMib"] = resident_mib(running.processes["supervisor"])
        running.check()
    return values


def _milliseconds(end_s: float | None, start_s: float | None = 0.0) -> float | None:
    return None if end_s is None or start_s is None else (end_s - start_s) * 1000


def summaries(rounds: Sequence[Values]) -> dict[str, Summary | None]:
    """Each quantity over all rounds."""
    return {column.key: Summary.of(v.get(column.key) for v in rounds) for column in SCALE_COLUMNS}


def growth(small: Sequence[Values], large: Sequence[Values]) -> dict[str, Summary | None]:
    """Each quantity at the large extent by that at the small one, in the same round."""
    return {
        column.key: Summary.of(
            after / before if before and after is not None else None
            for before, after in (
                (one.get(column.key), other.get(column.key))
                for one, other in zip(small, large, strict=True)
            )
        )
        for column in SCALE_COLUMNS
    }


def _growths(measured: Measured) -> dict[str, dict[str, Summary | None]]:
    """By the names of variants that were measured at two extents."""
    return {
        variant.name: growth(measured[small], rounds)
        for variant, rounds in measured.items()
        for small in (Variant(variant.engine, variant.form, variant.extent.tenth),)
        if small in measured
    }


def format_scale(measured: Measured) -> str:
    """Both tables for people, and what their columns are."""
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
    meanings = "\n".join(f"{column.heading}: {column.meaning}" for column in SCALE_COLUMNS)
    return "\n\n".join(
        [
            format_table(rows),
            "Documents of ten times as much take so many times as much:\n" + format_table(grown),
            meanings,
        ]
    )


def scale_as_json(measured: Measured) -> dict[str, Any]:
    """Everything for programs."""
    return {
        "columns": {column.key: column.meaning for column in SCALE_COLUMNS},
        "variants": [
            {
                "engine": variant.engine,
                "form": variant.form,
                "nics": variant.extent.nics,
                "networkSecurityGroups": variant.extent.groups,
                "securityRules": variant.extent.rules,
                "measured": _as_json(summaries(rounds)),
            }
            for variant, rounds in measured.items()
        ],
        "growth": {name: _as_json(of_name) for name, of_name in _growths(measured).items()},
    }


def _as_json(found: Mapping[str, Summary | None]) -> dict[str, Any]:
    return {key: None if summary is None else summary.as_json() for key, summary in found.items()}
